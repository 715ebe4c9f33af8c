"""kill -9 in the middle of the work: what was committed is there, and nothing is half done.

A job runs in a process of its own that says where it is; it is killed at random moments of its whole life, then what
is left is looked at. ``python tests/crash.py --moments 50`` does it at 50 moments a job on both databases, kills the
server of the database too, fills disks, and prints the counts.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from crash_jobs import FILLING, JOBS, Case, Databases, Files, Marks, Places, fill, filled
from postgres import Server, programs, server

from gridgis.errors import GridgisError, StoreError
from gridgis.store.checking import check
from gridgis.store.engines import place_of

#: What a process says: b begun, w the first write, c the commit begins, C it is done, d the job is done, f it failed.
ORDER = "bwcCd"
#: Where a kill is aimed: after which mark, and until which one. Two in ten fall near the commit on either side.
AIMED = (("b", "w"), ("w", "c"), ("w", "c"), ("w", "c"), ("w", "c"), ("c", "C"), ("c", "C"), ("C", "d"), ("C", "d"),
         ("d", "d"))  # fmt: skip
#: Where a job was when it was killed, by the last mark that it had said.
STAGES = {"b": "before the first write", "w": "writing", "c": "in the commit", "C": "after it", "d": "after it"}


class Struck(NamedTuple):
    """What a job had said when it was killed: each mark with its moment, and its error where it failed."""

    marks: dict[str, float]
    error: str

    @property
    def last(self) -> str:
        return max(self.marks, key=ORDER.index)


@dataclass
class Count:
    """How often a job was killed, where it was then, and what was found."""

    job: str
    kind: str
    stages: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STAGES.values(), 0))
    found: dict[str, int] = field(default_factory=lambda: {"old": 0, "new": 0, "half": 0})
    left: int = 0
    faults: list[str] = field(default_factory=list)
    usual: dict[str, float] = field(default_factory=dict)

    @property
    def kills(self) -> int:
        return sum(self.stages.values())

    def __str__(self) -> str:
        where = ", ".join(f"{stage} {n}" for stage, n in self.stages.items())
        what = ", ".join(f"{state} {n}" for state, n in self.found.items())
        left = f"; left beside it {self.left}, cleared by the next one" if self.job == "backup" else ""
        moments = list(self.usual.values())
        spans = " + ".join(f"{(late - early) * 1e3:.1f}" for early, late in pairwise(moments))
        head = f"{self.job:8} {self.kind:8} {self.kills} kills ({spans} ms undisturbed)"
        return "\n".join([f"{head}: {where}; found {what}{left}", *self.faults])


def struck(case: Case, after: str | None, delay: float = 0.0, kill: Callable[[], object] | None = None) -> Struck:
    """Run a job in a process of its own; so long after it said `after`, kill it (or, with `kill`, something else)."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        _live(case, theirs, wait=after is not None and kill is None)
    os.close(theirs)
    said: dict[str, float] = {}
    lines = _lines(ours)
    error = ""
    for mark, moment, text in lines:
        said[mark] = moment
        error = error or text
        if mark == after:
            _sleep_until(moment + delay)
            if kill is None:
                os.kill(child, signal.SIGKILL)
            else:
                kill()
    os.waitpid(child, 0)
    os.close(ours)
    if kill is None:
        assert not error, f"the job failed by itself: {error}"
    return Struck({mark: moment for mark, moment in said.items() if mark in ORDER}, error)


def _live(case: Case, told: int, *, wait: bool) -> None:
    """The life of the process: it says each step into the pipe, which outlives it, and never returns."""

    def tell(mark: str, text: str = "") -> None:
        os.write(told, f"{mark} {time.monotonic()!r} {text[:900]}\n".encode())

    try:
        Marks(tell).set_up(case.job)
        tell("b")
        try:
            case.run()
            tell("d")
        except BaseException as error:  # noqa: BLE001 (said to the one who looks)
            tell("f", f"{type(error).__name__}: {error}".replace("\n", " "))
        if wait:
            time.sleep(30)
    finally:
        os._exit(0)


def _lines(ours: int) -> Iterator[tuple[str, float, str]]:
    rest = b""
    while chunk := os.read(ours, 4096):
        rest += chunk
        while b"\n" in rest:
            line, rest = rest.split(b"\n", 1)
            mark, moment, text = line.decode().split(" ", 2)
            yield mark, float(moment), text


def _sleep_until(moment: float) -> None:
    if (left := moment - time.monotonic() - 3e-3) > 0:
        time.sleep(left)
    while time.monotonic() < moment:  # a commit is over in less than a sleep can be exact to
        pass


@contextmanager
def _copied(case: Case) -> Iterator[Case]:
    """The job once more, on a copy of its store and of the files beside it."""
    import shutil

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in case.folder.iterdir():
            if path.is_file() and not path.name.startswith("place.gpkg"):
                shutil.copyfile(path, folder / path.name)
        with case.places.fresh(folder, case.where) as where:
            yield Case(case.job, where, folder, case.places)


def strike(job: str, kind: str, places: Places, moments: int, seed: int = 0) -> Count:
    """Kill a job at random moments, each time on a fresh copy of its store, and look at what is left.

    How long its parts take undisturbed is measured first; the moments are spread over all of them. After each kill the
    store is checked from end to end, and the job is done again: it must then be as after it.
    """
    counted, draw = Count(job, kind), random.Random(f"{seed} {job} {kind}")
    with tempfile.TemporaryDirectory() as name, places.fresh(Path(name)) as where:
        made = Case(job, where, Path(name), places)
        made.prepare()
        quiet = []
        for _ in range(3):
            with _copied(made) as case:
                quiet.append(struck(case, None).marks)
                assert list(quiet[-1]) == list(ORDER), f"the job says {list(quiet[-1])}"
                assert case.look() == "new"
        # The quickest: the first finds cold files, and others work on the machine.
        usual = min(quiet, key=lambda marks: marks["d"] - marks["b"])
        counted.usual = usual
        for moment in range(moments):
            # A few moments take the stages that matter first: amid the writing, in the commit, after it.
            first, last = AIMED[(moment * (3 if moments >= len(AIMED) else 2) + 1) % len(AIMED)]
            span = max(usual[last] - usual[first], 1e-4)
            with _copied(made) as case:
                found = struck(case, first, draw.uniform(0, 1.1 * span))
                _count(counted, case, found)
    return counted


def _count(counted: Count, case: Case, found: Struck) -> None:
    counted.stages[STAGES[found.last]] += 1
    try:
        _settle(case.where)
        counted.left += case.left()
        state = case.look()
        assert state == "new" or "C" not in found.marks, "what was committed is lost"
        assert state == "old" or "c" in found.marks, "it is there, though it was not committed"
        if state == "old" or case.job == "backup":
            case.run()
            assert case.look() == "new"
        assert not case.left(), "what was left is not cleared"
        faults = check(case.where)[1]
        assert not faults, faults
    except (AssertionError, GridgisError, KeyError, ValueError) as error:
        counted.faults.append(f"  killed {STAGES[found.last]}: {type(error).__name__}: {error}")
        state = "half"
    counted.found[state] += 1


def strike_server(job: str, running: Server, moments: int, seed: int = 0) -> Count:
    """Kill the server itself while a job writes or commits: kill -9 and an immediate stop, in turn."""
    counted, draw = Count(job, "server"), random.Random(f"{seed} {job} server")
    places = Databases(running)
    with tempfile.TemporaryDirectory() as name, places.fresh(Path(name)) as where:
        made = Case(job, where, Path(name), places)
        made.prepare()
        with _copied(made) as case:
            usual = counted.usual = struck(case, None).marks
        for moment in range(moments):
            first, last = (("w", "c"), ("c", "C"), ("C", "d"))[moment % 3]
            hard = moment % 2 == 0
            with _copied(made) as case:
                delay = draw.uniform(0, usual[last] - usual[first])
                found = struck(case, first, delay, lambda: running.crash(hard=hard))  # noqa: B023 (called at once)
                running.start()
                if found.error and "LostError" not in found.error and "StoreError" not in found.error:
                    counted.faults.append(f"  told badly: {found.error}")
                _count(counted, case, found)
    return counted


def fill_disks() -> None:
    """Each job in a file on a disk of 8 MB that has room for a part of it only; for an administrator, who may mount."""
    for job in FILLING:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", name], check=True)
            try:
                case = Case(job, str(folder / "place.gpkg"), folder, Files())
                case.prepare()
                said = fill(case, filled(folder, 45_000))
                print(f"{job:8} file     on a full disk: old state whole, done again with room; {said}", flush=True)
            finally:
                subprocess.run(["umount", name], check=True)


def _settle(where: str) -> None:
    """Let the server notice that its client is gone."""
    import psycopg

    place = place_of(where)
    if place.url is None:
        if place.path is not None and place.path.exists():
            with closing(sqlite3.connect(place.path)) as connection:
                assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        return
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    address = place.url.set(drivername="postgresql").render_as_string(hide_password=False)
    until = time.monotonic() + 20
    with psycopg.connect(address, autocommit=True) as connection:
        while connection.execute(others).fetchone() != (0,):
            if time.monotonic() > until:
                raise StoreError("the server still works for a client that is gone", source=where)
            time.sleep(0.02)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--job", choices=(*JOBS, "server", "disk"), action="append", help="only this one; may be repeated"
    )
    parser.add_argument("--kind", choices=("file", "postgis"), action="append", help="only on this database")
    asked = parser.parse_args()
    found = programs()
    if found is None:
        print("no PostgreSQL server is installed (make system installs one)", file=sys.stderr)
        return 1
    jobs, kinds = asked.job or [*JOBS, "server", "disk"], asked.kind or ["file", "postgis"]
    half = 0

    def told(counted: Count) -> None:
        nonlocal half
        half += counted.found["half"] + len(counted.faults)
        print(counted, flush=True)

    with server(found) as running:
        for job in (job for job in JOBS if job in jobs):
            for kind in kinds:
                places = Files() if kind == "file" else Databases(running)
                told(strike(job, kind, places, asked.moments, asked.seed))
    if "server" in jobs:
        with server(found, durable=True) as running:
            for job in ("load", "publish"):
                told(strike_server(job, running, max(3, asked.moments // 5), asked.seed))
    if "disk" in jobs:
        if os.geteuid() == 0:
            fill_disks()
        else:
            print("the full disk is left out: only an administrator may mount one")
    return 1 if half else 0


if __name__ == "__main__":
    sys.exit(main())
