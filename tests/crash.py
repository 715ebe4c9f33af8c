"""kill -9 in the middle of the work: what was committed is there, and nothing is half done.

A job runs in a process of its own, which is killed after a random while; then the store is looked at.
``python tests/crash.py --moments 50`` does it at 50 moments a job on both databases, and prints the counts.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from sqlalchemy import func, select

from gridgis.errors import StoreError
from gridgis.files import write
from gridgis.loading import load_files
from gridgis.plan.partition import Plan, partition
from gridgis.store import Store, open_store, upgrade_store, upgrades
from gridgis.store.checking import check
from gridgis.store.engines import engine_of, place_of
from gridgis.store.models import Base
from gridgis.store.moving import MANIFEST, backup, restore
from gridgis.store.plans import Plans

JOBS = ("load", "publish", "migrate", "backup")
BEFORE, AFTER = 40, 2_000
_DAY = date(2026, 5, 1)
_AUDIT = Base.metadata.tables["audit"]


@dataclass
class Count:
    """How often a job was killed, and what was found then."""

    job: str
    kind: str
    kills: int = 0
    found: dict[str, int] = field(default_factory=lambda: {"before": 0, "after": 0})

    def __str__(self) -> str:
        told = ", ".join(f"{what} {n}" for what, n in self.found.items())
        return f"{self.job:8} {self.kind:8} kill -9 at {self.kills} moments: {told}, half done 0"


def struck(job: Callable[[], object], after: float | None) -> tuple[bool, float]:
    """Run a job in a process of its own and kill it after so many seconds; whether it was done, and how long it ran."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        said = b"f"
        try:
            os.write(theirs, b"b")
            job()
            said = b"d"
        finally:
            os.write(theirs, said)
            os._exit(0)
    os.close(theirs)
    with open(ours, "rb", buffering=0) as told:  # noqa: PTH123 (a pipe has no path)
        assert told.read(1) == b"b"
        begun = time.perf_counter()
        if after is not None:
            time.sleep(after)
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        said = told.read(1)
    assert said != b"f", "the job failed by itself"
    return said == b"d", time.perf_counter() - begun


class Case:
    """A job on one store: made, struck, looked at, and done again."""

    def __init__(self, job: str, where: str, folder: Path) -> None:
        self.job, self.where, self.folder = job, where, folder
        self.file = folder / "backup"

    def prepare(self) -> None:
        getattr(self, f"_prepare_{self.job}")()

    def run(self) -> object:
        return getattr(self, f"_run_{self.job}")()

    def look(self) -> str:
        """Whether the store is as before the job or as after it; everything else is an error."""
        found: str = getattr(self, f"_look_{self.job}")()
        return found

    # --- load ---------------------------------------------------------------------------------------------------------

    def _prepare_load(self) -> None:
        for name, first, n in (("one.parquet", 0, BEFORE), ("two.parquet", BEFORE // 2, AFTER)):
            codes = [f"H{i}" for i in range(first, first + n)]
            points = gpd.points_from_xy(116 + np.arange(n) * 1e-6, np.full(n, 40.0))
            write(gpd.GeoDataFrame({"code": codes, "address": name}, geometry=points, crs=4326), self.folder / name)
        with open_store(self.where, create=True) as store:
            load_files(store, "house", [str(self.folder / "one.parquet")], by="one")

    def _run_load(self) -> object:
        with open_store(self.where) as store:
            return load_files(store, "house", [str(self.folder / "two.parquet")], by="two")

    def _look_load(self) -> str:
        with open_store(self.where) as store:
            seen = (store.revision(), store.tables()["house"], _logged(store, "load"))
        changed = BEFORE // 2
        states = {
            (1, BEFORE, 1): "before",
            (2, AFTER + changed, 2 + changed): "after",
        }
        return states[seen]

    # --- publish ------------------------------------------------------------------------------------------------------

    def _prepare_publish(self) -> None:
        with open_store(self.where, create=True) as store:
            plans = Plans(store)
            first = plans.add(_plan(), title="甲", by="planner")
            plans.publish(first, by="boss", on=date(2026, 1, 1))
            plans.add(_plan(), title="乙", by="planner", based_on=first)

    def _run_publish(self) -> object:
        with open_store(self.where) as store:
            plans = Plans(store)
            return plans.publish(plans.listed()[0].id, by="boss", on=_DAY)

    def _look_publish(self) -> str:
        with open_store(self.where) as store:
            plans = Plans(store)
            second, first = plans.listed()
            holds = plans.at(_DAY)
            seen = (second.state, first.valid_to is None, holds is not None and holds.id == second.id,
                    _logged(store, "publish"), store.revision(), len(plans.lineage(second.id)) > 0)  # fmt: skip
        states = {
            ("draft", True, False, 1, 1, False): "before",
            ("published", False, True, 2, 2, True): "after",
        }
        return states[seen]

    # --- migrate ------------------------------------------------------------------------------------------------------

    def _prepare_migrate(self) -> None:
        place = place_of(self.where)
        engine = engine_of(place)
        upgrades.upgrade(engine, "0001")
        square = shapely.to_wkb(shapely.box(116, 40, 116.1, 40.1))
        with engine.begin() as connection:
            into = "INSERT INTO grid (row, code, geometry) VALUES "
            for row in range(1, 60):
                shape = "?" if place.path is not None else "ST_SetSRID(ST_GeomFromWKB(%s), 4326)"
                values = (row, f"G{row}", square)
                mark = "?" if place.path is not None else "%s"
                connection.exec_driver_sql(f"{into} ({mark}, {mark}, {shape})", values)
        engine.dispose()

    def _run_migrate(self) -> object:
        return upgrade_store(self.where)

    def _look_migrate(self) -> str:
        place = place_of(self.where)
        engine = engine_of(place)
        version = upgrades.version_of(place, engine)
        engine.dispose()
        if version == upgrades.HEAD:
            with open_store(self.where) as store:
                grids = store.load("grid")
                assert grids["code"].tolist() == [f"G{row}" for row in range(1, 60)]
                assert grids.geometry.is_valid.all()
        return {"0001": "before", upgrades.HEAD: "after"}[version or ""]

    # --- backup -------------------------------------------------------------------------------------------------------

    def _prepare_backup(self) -> None:
        self._prepare_load()
        backup(self.where, self.file)
        self._run_load()

    def _run_backup(self) -> object:
        return backup(self.where, self.file)

    def _look_backup(self) -> str:
        goal = self.folder / "restored.gpkg"
        if place_of(self.where).path is None:
            # pg_restore lists what is in a dump that is whole; the counts beside it say which one it is.
            held = _manifested(self.file)
        else:
            held = restore(self.file, goal)["house"].rows
            goal.unlink()
        return {BEFORE: "before", AFTER + BEFORE // 2: "after"}[held]


def _manifested(file: Path) -> int:
    import json
    import subprocess

    subprocess.run(["pg_restore", "--list", str(file)], check=True, capture_output=True)
    told = json.loads(file.with_name(file.name + MANIFEST).read_text("utf-8"))
    return int(told["tables"]["house"][0])


def _logged(store: Store, what: str) -> int:
    with store.reading() as connection:
        query = select(func.count()).select_from(_AUDIT).where(_AUDIT.c.what == what)
        return int(connection.execute(query).scalar_one())


def _plan() -> Plan:
    x, y = (n.ravel() for n in np.meshgrid(np.arange(8), np.arange(6)))
    shapes = shapely.set_precision(shapely.box(x, y, x + 1, y + 1), 1)
    shapes = shapely.transform(shapes, lambda xy: np.round(np.array([116.0, 40.0]) + xy * 1e-3, 7))
    codes = [f"b{i}{j}" for i, j in zip(x, y, strict=True)]
    return partition(gpd.GeoDataFrame({"code": codes, "unit": "U", "households": 150}, geometry=shapes, crs=4326), 300)


def strike(job: str, kind: str, places: Callable[[], Iterator[str]], moments: int, seed: int = 0) -> Count:
    """Kill a job at random moments, each on a store of its own, and look at what is left.

    After each kill the store is checked from end to end, and the job is done again: it must then be as after.
    """
    counted, draw, span = Count(job, kind), random.Random(f"{seed} {job} {kind}"), 0.0
    for moment in range(moments + 1):
        with tempfile.TemporaryDirectory() as folder, contextmanager(places)() as where:
            case = Case(job, where, Path(folder))
            case.prepare()
            if moment == 0:  # how long it takes when nobody disturbs it
                done, span = struck(case.run, None)
                assert done
                assert case.look() == "after"
                continue
            done, _ = struck(case.run, draw.uniform(0, 1.05 * span))
            _settle(case.where)
            found = case.look()
            assert found == "after" or not done, "what was committed is lost"
            counted.kills += 1
            counted.found[found] += 1
            if found == "before":
                case.run()
                assert case.look() == "after"
            _whole(case)
    return counted


def _whole(case: Case) -> None:
    faults = check(case.where)[1]
    assert not faults, faults


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
    from postgres import programs, server

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    found = programs()
    if found is None:
        print("no PostgreSQL server is installed (make system installs one)", file=sys.stderr)
        return 1
    with server(found) as running, tempfile.TemporaryDirectory() as folder:

        def in_files() -> Iterator[str]:
            with tempfile.TemporaryDirectory(dir=folder) as own:
                yield f"{own}/place.gpkg"

        def in_databases() -> Iterator[str]:
            with running.database() as address:
                yield address

        for job in JOBS:
            for kind, places in (("file", in_files), ("postgis", in_databases)):
                print(strike(job, kind, places, asked.moments, asked.seed), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
