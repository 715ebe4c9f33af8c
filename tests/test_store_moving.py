"""A whole store moves: copied between databases, backed up while in use, brought back; proven, or not done at all."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from pandas.testing import assert_frame_equal
from postgres import Server
from stored import everything
from test_store_plans import plan

from gridgis.errors import StoreError
from gridgis.replace import _machine
from gridgis.store import open_store, upgrades
from gridgis.store.models import TABLES
from gridgis.store.moving import MANIFEST, backup, copy, restore
from gridgis.store.plans import Plans

KINDS = ("file", "postgis")


@pytest.fixture
def places(tmp_path: Path, postgres: Server) -> Iterator[dict[str, list[str]]]:
    """Two places of each kind for a store."""
    with postgres.database() as one, postgres.database() as other:
        yield {"file": [str(tmp_path / "a.gpkg"), str(tmp_path / "b.gpkg")], "postgis": [one, other]}


def filled(where: str) -> dict[str, pd.DataFrame]:
    """A store with a little of everything; its tables as they load."""
    houses = gpd.GeoDataFrame(
        {"code": [f"H{i}" for i in range(12)], "address": "幸福路12号", "theirs": [0.1 * i for i in range(12)]},
        geometry=gpd.points_from_xy([116 + i / 3e5 for i in range(12)], [40.0] * 12), crs=4326,
    )  # fmt: skip
    grids = gpd.GeoDataFrame({"code": ["甲", "乙"]}, geometry=[shapely.box(116, 40, 116.1, 40.1)] * 2, crs=4326)
    time = pd.to_datetime(["2026-03-02T08:00:00.123+08:00", None])
    patrols = pd.DataFrame({"staff": ["w1", "w2"], "start": time, "date": pd.to_datetime(["2026-03-02", None])})
    with open_store(where, create=True) as store:
        store.save({"house": houses, "grid": grids, "patrol": patrols}, {"title": "清华园街道"})
        plans = Plans(store)
        first = plans.add(plan(), title="甲", by="planner")
        plans.publish(first, by="boss", on=date(2026, 5, 1))
        plans.add(plan(), title="乙", by="planner", based_on=first)
        return {name: everything(store, name) for name in TABLES}


def assert_holds(where: str, wanted: dict[str, pd.DataFrame]) -> None:
    with open_store(where) as store:
        assert store.settings() == {"title": "清华园街道"}
        assert store.revision() == 2  # saved once, published once
        assert [(v.title, v.state) for v in Plans(store).listed()] == [("乙", "draft"), ("甲", "published")]
        for name, frame in wanted.items():
            assert_frame_equal(everything(store, name), frame)


@contextmanager
def unchanged(*paths: Path) -> Iterator[None]:
    before = {path: path.read_bytes() if path.exists() else None for path in paths}
    yield
    assert {path: path.read_bytes() if path.exists() else None for path in paths} == before


def test_an_ordinary_user_backs_up_and_restores(postgres: Server, tmp_path: Path) -> None:
    with postgres.database(owner="clerk") as here, postgres.database(owner="clerk") as there:
        wanted = filled(here)
        assert backup(here, tmp_path / "b") == restore(tmp_path / "b", there)
        assert_holds(there, wanted)


@pytest.mark.parametrize("goal", KINDS)
@pytest.mark.parametrize("source", KINDS)
def test_everything_is_copied_either_way(places: dict[str, list[str]], source: str, goal: str) -> None:
    here, there = places[source][0], places[goal][1]
    wanted = filled(here)
    told: list[tuple[str, int]] = []
    moved = copy(here, there, lambda name, rows: told.append((name, rows)))
    assert_holds(there, wanted)
    assert_holds(here, wanted)
    with open_store(there) as store:  # new rows are numbered after those that came
        assert Plans(store).add(plan(), title="丙", by="planner") == 3
    assert (moved["house"].rows, moved["grid"].rows) == (12, 2)
    assert ("house", 12) in told


def test_the_same_content_has_the_same_checksum_on_both(places: dict[str, list[str]]) -> None:
    filled(places["file"][0])
    assert copy(places["file"][0], places["postgis"][0]) == copy(places["postgis"][0], places["file"][1])


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_copied_over_what_is_there(places: dict[str, list[str]], kind: str) -> None:
    here, there = places["file"][0], places[kind][1]
    filled(here)
    wanted = filled(there)
    with pytest.raises(StoreError, match=r"the store holds something; wanted an empty one, or none yet"):
        copy(here, there)
    assert_holds(there, wanted)
    with pytest.raises(StoreError, match=r"none\.gpkg: there is no such store"):
        copy(Path(here).with_name("none.gpkg"), there)


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_that_is_interrupted_leaves_nothing(places: dict[str, list[str]], kind: str) -> None:
    filled(places["file"][0])

    def strike(name: str, _rows: int) -> None:
        if name == "house":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(places["file"][0], places[kind][1], strike)
    if kind == "file":
        assert not Path(places[kind][1]).exists()
    else:
        with open_store(places[kind][1]) as store:
            assert (store.revision(), set(store.tables().values())) == (0, {0})


@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_comes_back_whole(places: dict[str, list[str]], kind: str, tmp_path: Path) -> None:
    wanted = filled(places[kind][0])
    made = backup(places[kind][0], tmp_path / "backup")
    assert {p.name for p in tmp_path.glob("backup*")} == {"backup", "backup" + MANIFEST}
    assert restore(tmp_path / "backup", places[kind][1]) == made
    assert_holds(places[kind][1], wanted)
    with pytest.raises(StoreError, match="the store holds something"):
        restore(tmp_path / "backup", places[kind][1])


def test_the_backup_of_a_file_comes_back_in_a_database(places: dict[str, list[str]], tmp_path: Path) -> None:
    wanted = filled(places["file"][0])
    backup(places["file"][0], tmp_path / "backup")
    restore(tmp_path / "backup", places["postgis"][0])
    assert_holds(places["postgis"][0], wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_is_of_one_moment_while_others_write(places: dict[str, list[str]], kind: str, tmp_path: Path) -> None:
    filled(places[kind][0])
    stop = threading.Event()

    def write() -> None:
        with open_store(places[kind][0]) as store:
            n = 0
            while not stop.is_set():
                n += 1
                staff = pd.DataFrame({"id": [f"s{n}"], "name": "甲"})
                store.save({"staff": staff, "posting": staff.rename(columns={"id": "staff"}).assign(grid="甲", role=n)})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = backup(places[kind][0], tmp_path / "backup")
    finally:
        stop.set()
        writer.join()
    assert restore(tmp_path / "backup", places[kind][1]) == made
    with open_store(places[kind][1]) as store:
        assert store.load("staff")["id"].tolist() == store.load("posting")["staff"].tolist()


def test_a_backup_that_cannot_be_trusted_is_refused(places: dict[str, list[str]], tmp_path: Path) -> None:
    filled(places["file"][0])
    file, manifest = tmp_path / "backup", tmp_path / f"backup{MANIFEST}"
    backup(places["file"][0], file)
    goal = Path(places["file"][1])
    with pytest.raises(StoreError, match="there is no such file"):
        restore(tmp_path / "none", goal)
    told = manifest.read_text("utf-8")
    manifest.unlink()
    with pytest.raises(StoreError, match="the manifest of the backup is missing"):
        restore(file, goal)
    manifest.write_text("{", "utf-8")
    with pytest.raises(StoreError, match="the manifest of the backup cannot be read"):
        restore(file, goal)
    manifest.write_text(told.replace(upgrades.HEAD, "0005"), "utf-8")
    with pytest.raises(StoreError, match="made by another version of gridgis; found revision 0005; wanted revision"):
        restore(file, goal)
    changed = json.loads(told)
    changed["tables"]["house"][0] += 1
    manifest.write_text(json.dumps(changed), "utf-8")
    with pytest.raises(StoreError, match="the backup is not what its manifest says; found other content in house"):
        restore(file, goal)
    assert not goal.exists()
    manifest.write_text(told, "utf-8")
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE house SET address = '别处' WHERE row = 1")
    connection.close()
    with pytest.raises(StoreError, match="the backup is not what its manifest says; found other content in house"):
        restore(file, goal)
    file.write_bytes(b"no backup at all")
    with pytest.raises(StoreError, match="the file is no backup of a store"):
        restore(file, goal)
    assert not goal.exists()


def test_a_dump_goes_into_a_database_only(places: dict[str, list[str]], tmp_path: Path) -> None:
    filled(places["postgis"][0])
    backup(places["postgis"][0], tmp_path / "backup")
    with pytest.raises(StoreError, match="the backup of a database goes into a database"):
        restore(tmp_path / "backup", places["file"][0])
    manifest = tmp_path / f"backup{MANIFEST}"
    told = manifest.read_text("utf-8")
    wrong = json.loads(told)
    wrong["tables"]["house"][0] += 1
    manifest.write_text(json.dumps(wrong), "utf-8")
    with pytest.raises(StoreError, match="the backup is not what its manifest says"):
        restore(tmp_path / "backup", places["postgis"][1])
    manifest.write_text(told, "utf-8")
    data = (tmp_path / "backup").read_bytes()
    (tmp_path / "backup").write_bytes(data[: len(data) // 2])
    with pytest.raises(StoreError, match="pg_restore failed"):
        restore(tmp_path / "backup", places["postgis"][1])
    with pytest.raises(StoreError, match="the database is empty"):
        open_store(places["postgis"][1])


def test_a_backup_that_cannot_be_written_leaves_the_old_one(places: dict[str, list[str]], tmp_path: Path) -> None:
    filled(places["file"][0])
    file = tmp_path / "backup"
    backup(places["file"][0], file)
    with unchanged(file, tmp_path / f"backup{MANIFEST}"), pytest.raises(StoreError, match="there is no such store"):
        backup(tmp_path / "none.gpkg", file)


def test_a_backup_that_breaks_off_between_its_two_names_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, file = str(tmp_path / "a.gpkg"), tmp_path / "backup"
    filled(store)
    old = backup(store, file)
    with open_store(store) as opened:
        opened.save({"staff": pd.DataFrame({"id": ["s1"], "name": "甲"})})
    replace = Path.replace

    def strike(path: Path, goal: Path) -> Path:
        if goal.name == "backup":
            raise KeyboardInterrupt
        return replace(path, goal)

    monkeypatch.setattr(Path, "replace", strike)
    for _ in range(2):  # twice: the manifest still knows the backup that is there
        with pytest.raises(KeyboardInterrupt):
            backup(store, file)
    monkeypatch.undo()
    assert restore(file, tmp_path / "b.gpkg") == old
    gone = tmp_path / f".gridgis-{_machine()}-4194999-{'0' * 32}"  # of a process that cannot be there any more
    mine = tmp_path / f".gridgis-{_machine()}-{os.getpid()}-{'0' * 32}"
    for left in (gone, mine):
        left.touch()
    new = backup(store, file)
    assert (gone.exists(), mine.exists()) == (False, True)
    assert restore(file, tmp_path / "c.gpkg") == new != old
