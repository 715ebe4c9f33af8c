"""gridgis store: what it prints, its exit codes, and what it refuses."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from postgres import Server

from gridgis.cli import run
from gridgis.store import open_store, upgrades
from gridgis.store.engines import engine_of, place_of


@pytest.fixture
def store(tmp_path: Path) -> Path:
    grids = gpd.GeoDataFrame({"code": ["甲"]}, geometry=[shapely.box(116, 40, 116.1, 40.1)], crs=4326)
    path = tmp_path / "a.gpkg"
    with open_store(path, create=True) as made:
        made.save({"grid": grids, "staff": pd.DataFrame({"id": ["s1"], "name": "甲"})})
    return path


def told(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> tuple[str, str]:
    assert run(["store", *map(str, arguments)]) == code
    out = capsys.readouterr()
    assert "Traceback" not in out.out + out.err
    return out.out, out.err


def test_a_store_is_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new.gpkg"
    assert f"已建立 made: {path}" in told(capsys, "init", path)[1]
    before = path.read_bytes()
    assert "new.gpkg: there is a store already. Nothing was changed." in told(capsys, "init", path, code=2)[1]
    assert path.read_bytes() == before
    assert "完好 whole" in told(capsys, "check", path)[0]


def test_a_round_trip_by_the_command_line(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], postgres: Server
) -> None:
    with postgres.database() as address:
        told(capsys, "backup", store, tmp_path / "b")
        told(capsys, "restore", tmp_path / "b", address)
        told(capsys, "copy", address, tmp_path / "c.gpkg")
        first, second = (
            json.loads(told(capsys, "check", where, "--json")[0]) for where in (store, tmp_path / "c.gpkg")
        )
        assert first == second
        assert first["whole"] is True
        assert first["tables"]["grid"]["rows"] == 1
        assert "the store holds something" in told(capsys, "copy", store, address, code=2)[1]


def test_what_is_wrong_is_listed(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE gpkg_contents SET min_x = 0 WHERE table_name = 'grid'")
        connection.execute("DELETE FROM gpkg_geometry_columns WHERE table_name = 'unit'")
        connection.execute("DELETE FROM gpkg_contents WHERE table_name = 'unit'")
        connection.execute("INSERT INTO posting (row, staff, \"grid\", role) VALUES (1, 's1', '乙', 'grid head')")
        connection.execute("INSERT INTO house (row, code, geometry) VALUES (1, 'H1', x'00')")
    connection.close()
    document = json.loads(told(capsys, "check", store, "--json", code=1)[0])
    assert document["whole"] is False
    assert {(fault["table"], fault["message"]) for fault in document["faults"]} == {
        ("grid", "the GeoPackage's list has other bounds than the rows"),
        ("unit", "the table is not in the GeoPackage's list of layers"),
        ("posting", "grid names what is not in grid (乙)"),
        ("house", "rows cannot be read: no geometry of a GeoPackage"),
    }
    assert "乙" in told(capsys, "check", store, code=1)[0]


def test_geometry_that_cannot_be_is_listed(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bow_tie = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    units = gpd.GeoDataFrame({"code": ["a", "b"]}, geometry=[bow_tie, shapely.box(181, 0, 182, 1)], crs=4326)
    with open_store(store) as opened:
        opened.save({"unit": units})
    faults = json.loads(told(capsys, "check", store, "--json", code=1)[0])["faults"]
    assert {fault["message"] for fault in faults} == {"invalid geometry (row 1)", "geometry outside the globe (row 2)"}


def test_a_damaged_file_is_told(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(store) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'grid'").fetchone()[0]
    connection.close()
    data = bytearray(store.read_bytes())
    data[(page - 1) * size : page * size] = bytes(size)
    store.write_bytes(data)
    out = told(capsys, "check", store, code=1)[0]
    assert "the file is damaged" in out or "rows cannot be read" in out


def test_a_store_of_an_older_version_is_offered_the_upgrade(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old.gpkg"
    engine = engine_of(place_of(path))
    upgrades.upgrade(engine, "0001")
    engine.dispose()
    assert "made by an older version of gridgis; found revision 0001; wanted revision" in (
        message := told(capsys, "check", path, code=2)[1]
    )
    assert "Take a copy of it, then run gridgis store upgrade." in message
    assert told(capsys, "upgrade", path)[0] == f"已升级 brought up: 0001 → {upgrades.HEAD}\n"
    assert told(capsys, "upgrade", path)[0] == f"已是最新 up to date: {upgrades.HEAD}\n"
    assert "完好 whole" in told(capsys, "check", path)[0]
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE gridgis_version SET version_num = '9999'")
    connection.close()
    assert "made by a newer version of gridgis" in told(capsys, "upgrade", path, code=2)[1]
    assert "there is no such store" in told(capsys, "upgrade", tmp_path / "none.gpkg", code=2)[1]
