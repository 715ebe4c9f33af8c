"""The jobs that are killed: each made ready once, run on a copy, and looked at against what it must have left."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import geopandas as gpd
import numpy as np
import shapely
from postgres import Server
from sqlalchemy import Engine, event, func, inspect, select
from sqlalchemy.engine.default import DefaultDialect

from gridgis.errors import GridgisError
from gridgis.files import write
from gridgis.loading import load_files
from gridgis.plan.partition import Plan, partition
from gridgis.store import Store, open_store, upgrade_store, upgrades
from gridgis.store.checking import check
from gridgis.store.digests import Digest
from gridgis.store.engines import engine_of, place_of
from gridgis.store.models import Base
from gridgis.store.moving import backup, restore
from gridgis.store.plans import Plans

JOBS = ("load", "publish", "migrate", "backup")
#: What needs room on a disk.
FILLING = ("load", "publish", "backup", "restore")
BEFORE, AFTER = 40, 2_000
_DAY = date(2026, 5, 1)
_AUDIT = Base.metadata.tables["audit"]


class Places(Protocol):
    """Where stores are made."""

    def fresh(self, folder: Path, like: str | None = None) -> AbstractContextManager[str]:
        """An empty place for a store, or a copy of another; gone at the end."""


class Files:
    """Stores in files, in the folder of the job."""

    @contextmanager
    def fresh(self, folder: Path, like: str | None = None) -> Iterator[str]:
        path = folder / "place.gpkg"
        if like is not None:
            shutil.copyfile(like, path)
        yield str(path)


class Databases:
    """Stores in databases of a server."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @contextmanager
    def fresh(self, _folder: Path, like: str | None = None) -> Iterator[str]:
        with self.server.database(like=like) as address:
            yield address


class Case:
    """A job on one store: made ready, struck, looked at, and done again."""

    def __init__(self, job: str, where: str, folder: Path, places: Places) -> None:
        self.job, self.where, self.folder, self.places = job, where, folder, places
        self.file = folder / "backup"

    def prepare(self) -> None:
        getattr(self, f"_prepare_{self.job}")()

    def run(self) -> object:
        return getattr(self, f"_run_{self.job}")()

    def look(self) -> str:
        """Whether all is as before the job (old) or as after it (new); everything else is an error."""
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
            (1, BEFORE, 1): "old",
            (2, AFTER + changed, 2 + changed): "new",
        }
        assert seen in states, f"half done: {seen}"
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
            ("draft", True, False, 1, 1, False): "old",
            ("published", False, True, 2, 2, True): "new",
        }
        assert seen in states, f"half done: {seen}"
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
        else:
            assert self._grids_of_old() == 59
        return {"0001": "old", upgrades.HEAD: "new"}[version or ""]

    def _grids_of_old(self) -> int:
        engine = engine_of(place_of(self.where))
        with engine.connect() as connection:
            assert set(inspect(connection).get_table_names()).isdisjoint({"plan", "audit", "organisation"})
            found = int(connection.exec_driver_sql("SELECT count(*) FROM grid").scalar_one())
        engine.dispose()
        return found

    # --- backup -------------------------------------------------------------------------------------------------------

    def _prepare_backup(self) -> None:
        self._prepare_load()
        old = backup(self.where, self.file)
        self._run_load()
        new = check(self.where)[0]
        (self.folder / "held.json").write_text(json.dumps({"old": old, "new": new}), "utf-8")

    def _run_backup(self) -> object:
        return backup(self.where, self.file)

    def _look_backup(self) -> str:
        """Bring what is there back into an empty store, and hold it against the store that was backed up."""
        told = json.loads((self.folder / "held.json").read_text("utf-8"))
        spare = self.folder / "spare"
        spare.mkdir(exist_ok=True)
        with self.places.fresh(spare) as where:
            restore(self.file, where)
            held, faults = check(where)
        shutil.rmtree(spare)
        assert not faults, faults
        known = {what: {name: Digest(*found) for name, found in tables.items()} for what, tables in told.items()}
        found = [what for what, tables in known.items() if tables == held]
        assert found, "the backup holds neither the one nor the other"
        return found[0]

    # --- restore ------------------------------------------------------------------------------------------------------

    def _prepare_restore(self) -> None:
        """A backup, and an empty place to bring it back to."""
        source = self.folder / "source.gpkg"
        other = Case("load", str(source), self.folder, self.places)
        other.prepare()
        other.run()
        held = backup(source, self.file)
        source.unlink()
        (self.folder / "held.json").write_text(json.dumps({"new": held}), "utf-8")

    def _run_restore(self) -> object:
        return restore(self.file, self.where)

    def _look_restore(self) -> str:
        if not Path(self.where).exists():
            return "old"
        known = json.loads((self.folder / "held.json").read_text("utf-8"))["new"]
        assert check(self.where) == ({name: Digest(*found) for name, found in known.items()}, [])
        return "new"

    def left(self) -> int:
        """Temporary files beside the backup."""
        return len(list(self.folder.glob(".gridgis-*")))


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


@contextmanager
def limited(size: int) -> Iterator[None]:
    """No file grows beyond so many bytes: not of this process, and not of those that it starts."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def filled(folder: Path, free: int) -> Iterator[None]:
    """Only so many bytes are free on the disk that a folder is on: a small one."""
    ballast = folder / "ballast"
    there = shutil.disk_usage(folder).free - free
    ballast.write_bytes(b"\0" * max(there, 0))
    try:
        yield
    finally:
        ballast.unlink()


def fill(case: Case, full: AbstractContextManager[None]) -> str:
    """Do a job where there is no room, and again where there is; what was said. The old state must stay whole."""
    names = {path.name for path in case.folder.iterdir()} | {"place.gpkg-wal", "place.gpkg-shm"}
    try:
        with full:
            case.run()
    except GridgisError as error:
        said = str(error)
    else:
        raise AssertionError("there was room for it")
    left = {path.name for path in case.folder.iterdir()} - names
    assert not left, f"left behind: {left}"
    assert case.look() == "old"
    case.run()
    assert case.look() == "new"
    assert check(case.where)[1] == []
    return said


class Marks:
    """Where a job is, said at each step: w it writes, c it commits, C it has committed."""

    def __init__(self, tell: Any) -> None:
        self.tell, self.said = tell, ""

    def __call__(self, mark: str) -> None:
        if mark not in self.said:
            self.said += mark
            self.tell(mark)

    def set_up(self, job: str) -> None:
        """In the process of the job alone: it ends with it."""
        if job == "backup":
            self._of_files()
        else:
            self._of_transactions()

    def _of_transactions(self) -> None:
        commit = DefaultDialect.do_commit

        def before(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            if statement.lstrip().split(None, 1)[0].upper() in _WRITING:
                self("w")

        def committing(dialect: Any, connection: Any) -> None:
            if "w" in self.said:
                self("c")
            commit(dialect, connection)
            if "w" in self.said:
                self("C")

        event.listen(Engine, "before_cursor_execute", before)
        DefaultDialect.do_commit = committing  # type: ignore[method-assign]

    def _of_files(self) -> None:
        """A backup is there when the last of its files has its name."""
        replace, touch = Path.replace, Path.touch

        def touching(path: Path, *given: Any, **more: Any) -> None:
            self("w")
            touch(path, *given, **more)

        def replacing(path: Path, goal: Path) -> Path:
            self("c")
            done = replace(path, goal)
            if goal.name == "backup":
                self("C")
            return done

        Path.replace, Path.touch = replacing, touching  # type: ignore[method-assign, assignment]


_WRITING = {"INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP"}
