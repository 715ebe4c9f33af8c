"""Tracks kept for their days, persons removed on request, looks in the log; no personal value in it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from pandas.testing import assert_frame_equal
from sqlalchemy import Engine, event, select
from stored import everything

from gridgis.cli import run
from gridgis.errors import InputError, NotFoundError, SchemaError, StoreError
from gridgis.store import Store, open_store
from gridgis.store.checking import check
from gridgis.store.models import Base
from gridgis.store.moving import copy
from gridgis.store.personal import Personal

_AUDIT = Base.metadata.tables["audit"]
SECRET = "芙蓉巷七十七号"


def fixes(days: int = 3) -> pd.DataFrame:
    """Two workers, each day before noon and before midnight by the clocks of China."""
    moments = pd.date_range("2026-03-02T15:30:00Z", periods=2 * days, freq="12h")
    rows = [(staff, moment, 116.3 + i / 1e4, 39.9) for staff in ("w2", "w1") for i, moment in enumerate(moments)]
    return pd.DataFrame(rows, columns=["staff", "time", "lon", "lat"])


def persons() -> gpd.GeoDataFrame:
    places = [shapely.Point(116, 40), shapely.Point(117, 41)]
    return gpd.GeoDataFrame({"id": ["p1", "p2"], "house": None, "address": ["甲街", SECRET]}, geometry=places, crs=4326)


def logged(store: Store) -> list[tuple[str, str, str | None, dict[str, object]]]:
    """The log without what filling the store wrote into it."""
    with store.reading() as connection:
        found = connection.execute(select(_AUDIT).where(_AUDIT.c.what != "save").order_by(_AUDIT.c.id)).all()
    assert all(row.by == "clerk" and row.before is None for row in found)
    return [(row.what, row.table, row.key, row.after) for row in found]


def test_tracks_come_back_and_twice_is_once(store: Store) -> None:
    personal, walked = Personal(store, "clerk"), fixes()
    assert personal.keep_tracks(walked.iloc[:7])[:2] == (7, 0)
    assert personal.keep_tracks(walked)[:2] == (5, 7)
    assert personal.keep_tracks(walked)[:2] == (0, 12)
    wanted = walked.sort_values(["staff", "time"], ignore_index=True)
    found = personal.tracks(purpose="test")
    assert_frame_equal(found[wanted.columns], wanted, check_dtype=False)
    assert found["accuracy"].isna().all()
    assert str(found["time"].dt.tz) == "UTC"
    mine = personal.tracks("w1", date(2026, 3, 3), date(2026, 3, 3), purpose="test")
    assert mine["time"].dt.tz_convert("Asia/Shanghai").dt.date.unique().tolist() == [date(2026, 3, 3)]
    assert set(mine["staff"]) == {"w1"}
    assert len(personal.tracks("nobody", purpose="test")) == 0
    assert [entry[:3] for entry in logged(store)] == [
        ("load", "track", None), ("load", "track", None), ("look", "track", None), ("look", "track", "w1"),
        ("look", "track", "nobody"),
    ]  # fmt: skip
    with pytest.raises(SchemaError, match="with its zone"):
        personal.keep_tracks(walked.assign(time="2026-03-02 08:00"))


def test_tracks_go_when_their_days_are_over(store: Store) -> None:
    personal = Personal(store, "clerk")
    personal.keep_tracks(fixes())
    days = sorted(set(fixes()["time"].dt.tz_convert("Asia/Shanghai").dt.date))
    assert personal.expire(date(2026, 5, 31), 90) == 0
    assert personal.expire(date(2026, 6, 1), 90) == 2
    left = personal.tracks(purpose="test")
    assert set(left["time"].dt.tz_convert("Asia/Shanghai").dt.date) == set(days[1:])
    assert personal.forget_tracks("w1") == len(days) - 1
    assert set(personal.tracks(purpose="test")["staff"]) == {"w2"}
    entries = [entry for entry in logged(store) if entry[0] in ("expire", "forget")]
    assert entries == [
        ("expire", "track", None, {"before": "2026-03-03", "tracks": 2}),
        ("forget", "track", None, {"tracks": len(days) - 1}),
    ]


def test_a_person_is_removed_and_the_log_does_not_say_whom(store: Store) -> None:
    store.save({"person": persons()})
    personal = Personal(store, "clerk")
    assert len(personal.load("person", purpose="test")) == 2
    personal.forget("p2")
    assert [row["id"] for row in everything(store, "person").to_dict("records")] == ["p1"]
    assert logged(store) == [
        ("look", "person", None, {"rows": 2, "purpose": "test"}), ("forget", "person", None, {"rows": 1}),
    ]  # fmt: skip
    assert store.revision() == 2
    with pytest.raises(NotFoundError, match="there is no such person"):
        personal.forget("p2")
    assert len(logged(store)) == 2
    assert check(store.name)[1] == []
    assert len(personal.load("staff", purpose="test")) == 0
    assert len(logged(store)) == 2  # staff on duty are no residents


def test_what_points_at_a_removed_person_goes_with_the_last_of_the_house(store: Store) -> None:
    people = pd.DataFrame({"id": ["p1", "p2", "p3", "p4"], "house": ["H1", "H1", "H2", None]})
    sites = gpd.GeoDataFrame(
        {"code": ["C1", "C2", "shop"], "house": ["H1", "H2", None]},
        geometry=[shapely.Point(116 + i, 40) for i in range(3)], crs=4326,
    )  # fmt: skip
    targets = ["C1", "C2", "shop", "H1", "H2", "p1", "p2", "F1"]
    visits = pd.DataFrame({"target": targets, "time": pd.Timestamp("2026-03-02T00:00Z")})
    households = pd.DataFrame({"code": ["F1", "F2"], "house": ["H1", "H2"]})
    store.save({"person": people, "site": sites, "visit": visits, "household": households})
    personal = Personal(store, "clerk")

    def left() -> list[list[str]]:
        columns = (("person", "id"), ("site", "code"), ("household", "code"), ("visit", "target"))
        return [everything(store, table)[column].tolist() for table, column in columns]

    personal.forget("p1")  # p2 still lives there
    assert left() == [
        ["p2", "p3", "p4"], ["C1", "C2", "shop"], ["F1", "F2"], ["C1", "C2", "shop", "H1", "H2", "p2", "F1"],
    ]  # fmt: skip
    personal.forget("p2")  # the last of H1
    rest = [["p3", "p4"], ["C2", "shop"], ["F2"], ["C2", "shop", "H2"]]
    assert left() == rest
    personal.forget("p4")  # without a house
    assert left() == [["p3"], *rest[1:]]
    assert [(what, table, key, after) for what, table, key, after in logged(store)] == [
        ("forget", "person", None, {"rows": 1}), ("forget", "visit", None, {"rows": 1}),
        ("forget", "person", None, {"rows": 1}), ("forget", "site", None, {"rows": 1}),
        ("forget", "household", None, {"rows": 1}), ("forget", "visit", None, {"rows": 4}),
        ("forget", "person", None, {"rows": 1}),
    ]  # fmt: skip
    assert not [fault for fault in check(store.name)[1] if "names what is not in" not in fault.message]


def test_rows_of_residents_are_not_read_without_a_word(store: Store) -> None:
    store.save({"person": persons()})
    for table in ("person", "household", "site", "visit"):
        with pytest.raises(StoreError, match=f"without saying who looks and what for; found '{table}'. Read them with"):
            store.load(table)
    personal = Personal(store, "clerk")
    for look in (lambda: personal.load("person", purpose=" "), lambda: personal.tracks(purpose="")):
        with pytest.raises(InputError, match="a look at personal rows needs a purpose"):
            look()
    assert logged(store) == []
    personal.load("visit", purpose="quarterly report")
    assert logged(store) == [("look", "visit", None, {"rows": 0, "purpose": "quarterly report"})]


def test_without_its_note_there_is_no_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "place.gpkg"
    with open_store(path, create=True) as store:
        store.save({"person": persons(), "staff": pd.DataFrame({"id": ["s1"], "name": "甲"})})

    def only_read(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA query_only = ON")

    event.listen(Engine, "connect", only_read)
    try:
        out = tmp_path / "out.csv"
        assert run(["export", str(path), "staff", "-o", str(out)]) == 0
        for layer in ("persons", "fixes"):
            capsys.readouterr()
            assert run(["export", str(path), layer, "-o", str(tmp_path / "no.csv")]) == 2
            assert "cannot be looked at, because the look cannot be noted: attempt to write" in capsys.readouterr().err
    finally:
        event.remove(Engine, "connect", only_read)
    assert not (tmp_path / "no.csv").exists()


def test_export_says_who_looked_and_what_for(tmp_path: Path) -> None:
    path = tmp_path / "place.gpkg"
    with open_store(path, create=True) as store:
        store.save({"person": persons()})
        line = ["export", str(path), "persons", "-o", str(tmp_path / "o.csv"), "--by", "clerk", "--purpose", "季报"]
        assert run(line) == 0
        assert logged(store) == [("look", "person", None, {"rows": 2, "purpose": "季报"})]


def test_nothing_of_a_removed_person_stays_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "place.gpkg"
    with open_store(path, create=True) as store:
        store.save({"person": persons()})
    assert SECRET.encode() in path.read_bytes()
    with open_store(path) as store:
        Personal(store, "clerk").forget("p2")
    assert SECRET.encode() not in b"".join(file.read_bytes() for file in tmp_path.glob("place.gpkg*"))


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, file = tmp_path / "place.gpkg", tmp_path / "walks.csv"
    with open_store(path, create=True) as store:
        store.save({"person": persons()})
    fixes().assign(time=fixes()["time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")).to_csv(file, index=False)

    def told(*arguments: object, code: int = 0) -> str:
        assert run([str(a) for a in arguments]) == code
        out = capsys.readouterr()
        return out.out + out.err

    assert "新增 new 12, 不变 same 0" in told("store", "tracks", path, file)
    assert "新增 new 0, 不变 same 12" in told("store", "tracks", path, file)
    assert "fix: 12" in told("export", path, "fixes", "-o", tmp_path / "out.csv")
    assert "person: 2" in told("export", path, "persons", "-o", tmp_path / "out.geojson")
    assert "tracks are kept by gridgis store tracks" in told("store", "load", path, "fixes", file, code=2)
    assert "removed: 1" in told("store", "forget", path, "--person", "p2")
    assert "there is no such person" in told("store", "forget", path, "--person", "p2", code=2)
    assert "name --person or --staff" in told("store", "forget", path, code=2)
    assert "track_kept_days 90" in told("store", "expire", path)
    with open_store(path) as store, store.reading() as connection:
        rows = connection.execute(select(_AUDIT).order_by(_AUDIT.c.id)).all()
    assert [(row.what, row.table) for row in rows][:5] == [
        ("save", "person"), ("load", "track"), ("look", "track"), ("look", "person"), ("forget", "person"),
    ]  # fmt: skip
    assert SECRET not in json.dumps([row.after for row in rows], ensure_ascii=False)


def test_tracks_move_with_the_store_and_rows_are_added_after_a_copy(store: Store, tmp_path: Path) -> None:
    Personal(store, "clerk").keep_tracks(fixes())
    copy(store.name, tmp_path / "copied.gpkg")
    with open_store(tmp_path / "copied.gpkg") as copied:
        personal = Personal(copied, "clerk")
        assert_frame_equal(personal.tracks(purpose="test"), Personal(store, "clerk").tracks(purpose="test"))
        assert personal.keep_tracks(fixes(5))[:2] == (8, 12)
