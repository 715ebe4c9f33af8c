"""All parts of a table: what is done already, what workers do, what they could not, and one report."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import dask
import geopandas as gpd
import pandas as pd
from distributed import Client, KilledWorker, LocalCluster, WorkerPlugin, as_completed, get_worker

from gridgis.assign.houses import check_within
from gridgis.assign.ready import HOW, ReadyGrids
from gridgis.errors import InputError
from gridgis.files import write, write_text
from gridgis.locate import GridLocator
from gridgis.scale.part import Task, assign_part, done_before, fingerprint, made_by_us, mark_of

Tell = Callable[[int, int], None]

#: What stands in the folder of results beside the parts.
MANIFEST, REPORT, REJECTS = "manifest.json", "report.json", "rejects.csv"
_UNFINISHED, _LOCK = ".unfinished", ".lock"
#: A part at which this many workers die is set aside: it is likely to be the reason.
_DEATHS = 3
#: How long a cluster may take to answer.
_PATIENCE = "20s"


@dataclass(frozen=True)
class Report:
    """What a run found, over all parts, those done by earlier runs included.

    `counts` adds up to `rows`: inside, border, nearest and none. `rejected` holds part and reason of those that could
    not be used; `earlier` says how many parts were done before this run, `gone` which results of an earlier run were
    removed because their part is no longer there.
    """

    parts: int
    done: int
    earlier: int
    rows: int
    without_place: int
    counts: dict[str, int]
    rejected: list[dict[str, str]]
    gone: list[str]
    parameters: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """The report as one JSON-ready document."""
        return asdict(self)


def list_parts(folder: Path | str) -> list[str]:
    """The names of the Parquet files in a folder and the folders in it, sorted; hidden ones are left out.

    Raises
    ------
    InputError
        If the folder does not exist or holds none.
    """
    place = Path(folder)
    if not place.is_dir():
        raise InputError("the folder does not exist", source=place, wanted="a folder of .parquet files")
    names = [path.relative_to(place) for path in place.rglob("*.parquet") if path.is_file()]
    found = sorted(name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts))
    if not found:
        raise InputError("the folder holds no .parquet files", source=place)
    return found


def assign_parts(
    folder: Path | str,
    grids: gpd.GeoDataFrame | ReadyGrids,
    out: Path | str,
    *,
    within: float = 0.0,
    workers: int | None = None,
    cluster: str | None = None,
    named_crs: str | None = None,
    tell: Tell = lambda done, parts: None,
) -> Report:
    """The grid of each house of a partitioned table, by workers.

    Parameters
    ----------
    folder : Path or str
        A folder of GeoParquet files with points, or Parquet files with lon and lat (degrees); each has `code`. It may
        hold folders.
    grids : GeoDataFrame or ReadyGrids
        As :func:`gridgis.assign.houses.assign_houses`.
    out : Path or str
        The folder of results, made if missing: a file for each part, under the same name, with the same rows in the
        same order; manifest.json, report.json, and rejects.csv where parts could not be used. All workers must see it,
        and `folder`, under the same path.
    within : float
        Metres, as :func:`~gridgis.assign.houses.assign_houses`.
    workers : int, optional
        Processes on this machine; by default one a core.
    cluster : str, optional
        The address of a Dask scheduler, as tcp://10.0.0.1:8786, instead. gridgis is installed on its workers.
    named_crs : str, optional
        The CRS of parts that do not name theirs.
    tell : callable, optional
        Called with how many parts are done, and how many there are.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        If there are no parts, `out` holds the results of another job or is written to by another run, or the cluster
        does not answer.
    SchemaError, GeometryError, CRSError
        For grids that cannot be used. A part that cannot is set aside, with its reason, and the others are done.

    Notes
    -----
    A part is written beside and renamed, and says in its footer of which job and file it was made. So whatever is
    killed, and whenever, a part is there whole or not at all; the scheduler gives the work of a worker that died to
    another, and a later run does what is missing or was changed, and nothing else. The rows are those that one machine
    gives, for each is decided by itself.

    Not promised: that a code does not occur in two parts; within a part it is looked for.
    """
    check_within(within)
    place, goal = Path(folder).resolve(), Path(out).resolve()
    names = list_parts(place)
    if goal == place or place in goal.parents or goal in place.parents:
        raise InputError("results and parts must not lie in each other", source=out, wanted="a folder of its own")
    ground = ReadyGrids.of(grids)
    job = fingerprint(ground, within, named_crs)
    task = Task(job, float(within), named_crs, str(place), str(goal))
    goal.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, Any]] = {}
    rejected: dict[str, dict[str, Any]] = {}
    with _alone(goal):
        _claim(goal, job, within, len(ground.codes))
        gone = _tidy(goal, names)
        for name in names:
            before = done_before(goal / name, mark_of(place / name, job))
            if before is not None:
                found[name] = before
        earlier = len(found)
        tell(earlier, len(names))
        missing = [name for name in names if name not in found]
        if missing:
            with _client(workers, cluster, len(missing)) as client:
                for name, counts in _results(client, missing, task, ground):
                    (rejected if "reason" in counts else found)[name] = counts
                    if "reason" in counts:
                        (goal / name).unlink(missing_ok=True)  # of the part as it was before
                    tell(len(found) + len(rejected), len(names))
        reasons = {name: counts["reason"] for name, counts in rejected.items()}
        report = _report(names, found, reasons, earlier, gone, task)
        _keep(report, goal)
    return report


class _Grids(WorkerPlugin):  # type: ignore[misc]  # distributed has no types
    """Brings the grids to each worker, once; to one that takes the place of a dead one as well."""

    def __init__(self, task: Task, ground: ReadyGrids) -> None:
        self.name = f"gridgis-{task.job}"
        self.ground = ground
        self.kept = ground.locator.save(Path(task.out, _UNFINISHED, "grids.locator"))

    def setup(self, worker: Any) -> None:
        self.ground.locator = GridLocator.load(self.kept)  # mapped: processes of one machine share it


def _at_worker(name: str, task: Task) -> dict[str, Any]:
    return assign_part(name, task, get_worker().plugins[f"gridgis-{task.job}"].ground)


def _results(
    client: Client, names: Sequence[str], task: Task, ground: ReadyGrids
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The counts of each part, or the reason why it was set aside, as they come in."""
    client.register_plugin(_Grids(task, ground))
    futures = {
        client.submit(_at_worker, name, task, key=f"gridgis-{task.job}-{name}", retries=_DEATHS, pure=False): name
        for name in names
    }
    try:
        for future in as_completed(list(futures)):
            name = futures.pop(future)
            if future.status == "error" and isinstance(future.exception(), KilledWorker):
                yield name, {"reason": f"{_DEATHS + 1} workers died at it; did it need more memory than one has?"}
            else:
                yield name, future.result()
            future.release()
    finally:
        client.unregister_worker_plugin(f"gridgis-{task.job}")


@contextmanager
def _client(workers: int | None, address: str | None, parts: int) -> Iterator[Client]:
    """A client of the cluster at an address, or of one made here; nothing listens to the outside."""
    settings = {"distributed.scheduler.allowed-failures": _DEATHS, "distributed.admin.log-format": "%(message)s"}
    with dask.config.set(settings):
        if address is not None:
            try:
                client = Client(address, timeout=_PATIENCE)
            except (OSError, ValueError) as error:
                raise InputError("the cluster does not answer", source=address, found=str(error)) from error
            with client:
                yield client
            return
        count = min(workers or dask.system.CPU_COUNT, parts)
        local = {"n_workers": count, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
        with LocalCluster(**local, worker_dashboard_address=None, silence_logs=50) as made, Client(made) as client:
            yield client


@contextmanager
def _alone(goal: Path) -> Iterator[None]:
    """Keep other runs out of the folder of results; the system lets go of it however this one ends."""
    with (goal / _LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError("another run is writing here", source=goal, remedy="Let it end, or stop it.") from error
        shutil.rmtree(goal / _UNFINISHED, ignore_errors=True)  # what a killed run left
        (goal / _UNFINISHED).mkdir()
        try:
            yield
        finally:
            shutil.rmtree(goal / _UNFINISHED, ignore_errors=True)


def _claim(goal: Path, job: str, within: float, grids: int) -> None:
    """Say whose results the folder holds; refuse where they are of another job."""
    manifest = goal / MANIFEST
    mine = {"job": job, "grids": grids, "within_m": within}
    if manifest.exists():
        there = json.loads(manifest.read_text("utf-8"))
        if there != mine:
            raise InputError(
                "the folder holds the results of another job",
                source=goal,
                found=f"{there.get('grids')} grids within {there.get('within_m')} m, job {there.get('job')}",
                wanted=f"{grids} grids within {within} m, job {job}",
                remedy="Name another folder, or remove this one.",
            )
        return
    write_text(json.dumps(mine, indent=1), manifest)


def _tidy(goal: Path, names: Sequence[str]) -> list[str]:
    """Remove our results of parts that are no longer there, so that no row is there twice; their names."""
    listed = set(names)
    there = [path for path in goal.rglob("*.parquet") if path.relative_to(goal).as_posix() not in listed]
    stale = [path for path in there if made_by_us(path)]
    for path in stale:
        path.unlink()
    return sorted(path.relative_to(goal).as_posix() for path in stale)


def _report(
    names: Sequence[str],
    found: dict[str, dict[str, Any]],
    rejected: dict[str, str],
    earlier: int,
    gone: list[str],
    task: Task,
) -> Report:
    def total(name: str) -> int:
        return sum(int(counts[name]) for counts in found.values())

    return Report(
        parts=len(names),
        done=len(found),
        earlier=earlier,
        rows=total("rows"),
        without_place=total("without_place"),
        counts={how: total(how) for how in HOW},
        rejected=[{"part": name, "reason": rejected[name]} for name in sorted(rejected)],
        gone=gone,
        parameters={"within_m": task.within},
    )


def _keep(report: Report, goal: Path) -> None:
    if report.rejected:
        write(pd.DataFrame(report.rejected), goal / REJECTS)
    else:
        (goal / REJECTS).unlink(missing_ok=True)
    write_text(json.dumps(report.document(), ensure_ascii=False, indent=1), goal / REPORT)
