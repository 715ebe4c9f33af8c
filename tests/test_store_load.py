"""gridgis store load: new, changed, same and rejected rows; twice is once; all or nothing; on both databases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from sqlalchemy import event, select

from gridgis.cli import run
from gridgis.errors import InputError, NotFoundError, SchemaError
from gridgis.files import write
from gridgis.loading import LOADED, load_files
from gridgis.store import Store, open_store
from gridgis.store.checking import check
from gridgis.store.models import Base
from gridgis.store.rows import merged_note

_AUDIT = Base.metadata.tables["audit"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    return made


def houses(n: int = 6) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        {"code": [f"H{i}" for i in range(n)], "address": [f"幸福路{i}号" for i in range(n)], "theirs": range(n)},
        geometry=gpd.points_from_xy(116.375 + np.arange(n) * 1e-4, np.full(n, 39.975)), crs=4326,
    )  # fmt: skip


def text(folder: Path, content: str, name: str = "houses.csv") -> str:
    path = folder / name
    path.write_text(content, "utf-8")
    return str(path)


def audited(store: Store) -> list[Any]:
    with store.reading() as connection:
        return list(connection.execute(select(_AUDIT).order_by(_AUDIT.c.id)))


def state(store: Store) -> tuple[int, dict[str, int], list[Any]]:
    return store.revision(), store.tables(), audited(store)


# --- twice is once ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["gpkg", "geojson", "parquet", "csv"])
def test_the_same_file_twice_changes_nothing(store: Store, folder: Path, ending: str) -> None:
    path = folder / f"houses.{ending}"
    write(houses(), path)
    first = load_files(store, "houses", [str(path)], by="clerk")
    assert (first.counts, len(first.rejects)) == ((6, 0, 0), 0)
    loaded, before = store.load("house"), state(store)
    assert loaded["code"].tolist() == houses()["code"].tolist()
    assert loaded["households"].tolist() == [1] * 6
    assert (shapely.get_coordinates(loaded.geometry) == shapely.get_coordinates(houses().geometry)).all()
    assert load_files(store, "house", [str(path)], by="clerk").counts == (0, 0, 6)
    assert state(store) == before
    assert before[0] == 1
    assert check(store.name)[1] == []


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_law_a_load_gives_what_a_dict_would(store: Store, folder: Path, data: st.DataObject) -> None:
    store.save({"staff": pd.DataFrame()})
    known: dict[str, tuple[str, str | None]] = {}
    for turn in range(data.draw(st.integers(1, 3))):
        rows = data.draw(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["甲", "乙"]), min_size=1))
        phones = data.draw(st.booleans())
        frame = pd.DataFrame({"id": list(rows), "name": list(rows.values())})
        path = folder / f"staff{turn}.csv"
        write(frame.assign(phone="1") if phones else frame, path)
        counts = load_files(store, "staff", [str(path)], by="clerk").counts
        fresh = {key: (name, "1" if phones else known.get(key, ("", None))[1]) for key, name in rows.items()}
        new = sum(key not in known for key in fresh)
        changed = sum(key in known and known[key] != value for key, value in fresh.items())
        assert counts == (new, changed, len(rows) - new - changed)
        known |= fresh
        found = store.load("staff")
        phone = [None if pd.isna(value) else value for value in found["phone"]]
        assert dict(zip(found["id"], zip(found["name"], phone, strict=True), strict=True)) == known


def test_rows_without_a_key_are_compared_whole(store: Store, folder: Path) -> None:
    lines = (
        "target,staff,time\nS1,w1,2026-03-02T08:30:00+08:00\nS1,w1,2026-03-02T08:30:00+08:00\nS2,,2026-03-02T09:00Z\n"
    )
    path = text(folder, lines, "visits.csv")
    assert load_files(store, "visits", [path], by="clerk").counts == (3, 0, 0)
    assert load_files(store, "visits", [path], by="clerk").counts == (0, 0, 3)
    more = text(folder, lines + "S2,w2,2026-03-02T09:00Z\n", "more.csv")
    assert load_files(store, "visits", [more], by="clerk").counts == (1, 0, 3)
    assert store.tables()["visit"] == 4


def test_what_a_file_does_not_name_stays(store: Store, folder: Path) -> None:
    store.save({"house": houses(3).assign(households=[1, 2, 3], grid="G1")})
    path = text(folder, "房屋编码,地址\nH1,新街1号\nH2,幸福路2号\nH9,新街9号\n")
    assert load_files(store, "house", [path], by="clerk").counts == (1, 1, 1)
    found = store.load("house").set_index("code")
    assert found["address"].to_dict() == {"H0": "幸福路0号", "H1": "新街1号", "H2": "幸福路2号", "H9": "新街9号"}
    assert found["households"].tolist() == [1, 2, 3, 1]
    assert found["grid"].tolist()[:3] == ["G1"] * 3
    assert found["theirs"].tolist()[:3] == [0, 1, 2]
    assert pd.isna(found["theirs"].iloc[3])
    assert found.geometry.iloc[3] is None
    assert not found.geometry.iloc[:3].isna().any()


def test_columns_of_others_keep_their_types_where_they_can(store: Store, folder: Path) -> None:
    load_files(store, "staff", [text(folder, "id,name,age\n1,甲,30\n", "a.csv")], by="clerk")
    assert str(store.load("staff")["age"].dtype) == "int64"
    load_files(store, "staff", [text(folder, "id,name,rank\n2,乙,x\n", "b.csv")], by="clerk")
    assert str(store.load("staff")["age"].dtype) == "Int64"
    load_files(store, "staff", [text(folder, "id,name,age\n3,丙,young\n", "c.csv")], by="clerk")
    assert store.load("staff")["age"].tolist() == [30, None, "young"]
    note = {"extra": [["a", "bool"]], "named": ["id"], "placed": False}
    assert merged_note(note, note, held=True)["extra"] == [["a", "bool"]]
    assert merged_note(note, {"extra": []}, held=True)["extra"] == [["a", "boolean"]]


# --- what cannot be used ----------------------------------------------------------------------------------------------


def test_rows_that_cannot_be_used_are_set_aside_with_reasons(store: Store, folder: Path) -> None:
    path = text(
        folder,
        "房屋编码,户数,经度,纬度\nH1,2,116.3,39.9\nH2,二,116.3,39.9\nH3,1,x,39.9\nH4,1,116.3,\n,1,116.3,39.9\n"
        "H6,1,216.3,39.9\nH7,1,116.3,39.9\nH7,2,116.3,39.9\nH8,1,116.3,39.9\n",
    )
    done = load_files(store, "house", [path], by="clerk")
    assert done.counts == (2, 0, 0)
    chinese, english = zip(*(reason.split(" / ") for reason in done.rejects["reason"]), strict=True)
    assert dict(zip(done.rejects["row"], english, strict=True)) == {
        2: "the column 'households' has values that cannot be used; found '二'; wanted a whole number ≥ 0.",
        3: "the column 'lon' has values that are no numbers; found 'x'; wanted degrees as 116.3221.",
        4: "rows with a lon or a lat but not both; wanted both or neither.",
        5: "rows without a code; found nothing.",
        6: "the coordinates are not degrees, though the CRS (WGS 84) says so; "
        "wanted longitude −180 to 180, latitude −90 to 90.",
        7: "the code is not unique; found 'H7'; wanted each code once.",
        8: "the code is not unique; found 'H7'; wanted each code once.",
    }
    assert chinese[0] == "列 'households' 有的值不能用；发现：'二'；应为：≥ 0 的整数。"
    assert set(done.rejects["file"]) == {path}
    assert done.rejects["households"].tolist() == ["二", "1", "1", "1", "1", "1", "2"]
    assert audited(store)[0].after["rejected"] == 7
    mended = done.rejects.assign(households=1, lon=116.3, lat=39.9, code=[f"M{i}" for i in range(7)])
    write(mended.drop(columns=["file", "row", "reason"]), folder / "mended.csv")
    assert load_files(store, "house", [str(folder / "mended.csv")], by="clerk").counts == (7, 0, 0)


def test_invalid_shapes_and_doubles_between_files_are_set_aside(store: Store, folder: Path) -> None:
    bow_tie = shapely.Polygon([(116, 40), (116.1, 40.1), (116.1, 40), (116, 40.1)])
    square = shapely.box(116, 40, 116.1, 40.1)
    units = gpd.GeoDataFrame({"code": ["a", "b", "c"]}, geometry=[square, bow_tie, None], crs=4326)
    write(units, folder / "units.gpkg")
    done = load_files(store, "units", [str(folder / "units.gpkg")], by="clerk")
    assert done.counts == (1, 0, 0)
    assert done.rejects[["row", "reason"]].to_numpy().tolist() == [
        [2, "图形无效。 / invalid geometry."],
        [3, "有的行没有图形；应为：每行一个面。 / rows without geometry; wanted a polygon each."],
    ]  # fmt: skip
    one, other = text(folder, "id,name\n1,甲\n2,乙\n", "a.csv"), text(folder, "id,name\n2,丙\n3,丁\n", "b.csv")
    both = load_files(store, "staff", [one, other], by="clerk")
    assert both.counts == (2, 0, 0)
    assert both.rejects["reason"].tolist() == ["另一个文件里也有这个编号。 / the id stands in another file too."] * 2
    assert both.rejects[["file", "row"]].to_numpy().tolist() == [[one, 2], [other, 1]]
    with pytest.raises(SchemaError, match="the id is not unique"):
        load_files(store, "staff", [one, one], by="clerk")


def test_a_file_that_cannot_be_used_at_all_is_refused(store: Store, folder: Path) -> None:
    before = state(store)
    good, bad = text(folder, "id,name\n1,甲\n", "good.csv"), text(folder, "id,title\n1,甲\n", "bad.csv")
    with pytest.raises(
        SchemaError, match=r"bad\.csv: a staff needs the column 'name'; found the columns 'id', 'title'"
    ):
        load_files(store, "staff", [good, bad], by="clerk")
    with pytest.raises(SchemaError, match="has values that cannot be used"):
        load_files(store, "house", [text(folder, "code,households\nH1,x\nH2,y\n")], by="clerk")
    with pytest.raises(InputError, match="no such file"):
        load_files(store, "staff", [str(folder / "none.csv")], by="clerk")
    with pytest.raises(NotFoundError, match="no such table to load; found 'setting'; wanted unit, barrier"):
        load_files(store, "setting", [good], by="clerk")
    assert state(store) == before
    assert "fix" not in LOADED


@pytest.mark.parametrize("statement", ["UPDATE revision", "INSERT INTO saved", "INSERT INTO audit"])
def test_a_fault_in_the_middle_leaves_the_old_state(store: Store, folder: Path, statement: str) -> None:
    load_files(store, "staff", [text(folder, "id,name\n1,甲\n", "a.csv")], by="clerk")
    before = state(store)

    def strike(_c: Any, _cursor: Any, sql: str, *_rest: Any) -> None:
        if sql.startswith(statement):
            raise KeyboardInterrupt

    event.listen(store._engine, "after_cursor_execute", strike)
    with pytest.raises(KeyboardInterrupt):
        load_files(store, "house", [text(folder, "code\nH1\nH2\n")], by="clerk")
    event.remove(store._engine, "after_cursor_execute", strike)
    assert state(store) == before


# --- who did what -----------------------------------------------------------------------------------------------------


def test_the_log_has_each_change_and_no_value_of_a_resident(store: Store, folder: Path) -> None:
    load_files(store, "staff", [text(folder, "id,name,phone\n1,甲,11\n2,乙,22\n", "a.csv")], by="clerk")
    load_files(store, "staff", [text(folder, "id,name,phone\n1,甲,11\n2,乙,33\n", "b.csv")], by="boss")
    log = audited(store)
    assert [(row.what, row.table, row.key, row.by) for row in log] == [
        ("load", "staff", None, "clerk"), ("load", "staff", "2", "boss"), ("load", "staff", None, "boss"),
    ]  # fmt: skip
    assert (log[1].before, log[1].after) == ({"phone": "22"}, {"phone": "33"})
    assert {k: log[2].after[k] for k in ("new", "changed", "same")} == {"new": 0, "changed": 1, "same": 1}
    assert [len(digest) for digest in log[2].after["files"].values()] == [64]
    load_files(store, "person", [text(folder, "id,house,address\np1,H1,幸福路\n", "p.csv")], by="clerk")
    load_files(store, "person", [text(folder, "id,house,address\np1,H2,幸福路\n", "q.csv")], by="clerk")
    changed, whole = audited(store)[-2:]
    assert (changed.key, changed.before, changed.after) == ("p1", None, {"columns": ["house"]})
    assert "幸福路" not in json.dumps([whole.after, changed.after], ensure_ascii=False)


# --- the command ------------------------------------------------------------------------------------------------------


def told(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> tuple[str, str]:
    assert run(["store", "load", *map(str, arguments)]) == code
    out = capsys.readouterr()
    assert "Traceback" not in out.out + out.err
    return out.out, out.err


def test_a_dry_run_says_what_would_happen(store: Store, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = text(folder, "门牌号,地址,经度,纬度\nH1,甲街,116.3,39.9\nH2,乙街,x,39.9\n")
    before = state(store)
    out, _ = told(capsys, store.name, "house", path, "--map", "门牌号=code", "--dry-run")
    assert "a dry run: nothing was written" in out
    assert "甲街" in out
    document = json.loads(told(capsys, store.name, "house", path, "--map", "门牌号=code", "--dry-run", "--json")[0])
    assert (document["dry_run"], document["new"], document["rejected"], document["written"]) == (True, 1, 1, None)
    assert state(store) == before
    assert [p.name for p in folder.iterdir()] == ["houses.csv"]


def test_the_command_writes_the_rejects(store: Store, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = text(folder, "门牌号,经度,纬度\nH1,116.3,39.9\nH2,x,39.9\n")
    out, err = told(capsys, store.name, "houses", path, "--map", "门牌号=code", "--datum", "gcj02", "--by", "王某")
    assert "houses.rejects.csv" in err
    assert "that are no numbers" in out
    listed = pd.read_csv(folder / "houses.rejects.csv")
    assert listed[["row", "code"]].to_numpy().tolist() == [[2, "H2"]]
    assert audited(store)[0].by == "王某"
    point = store.load("house").geometry.iloc[0]
    assert 1e-3 < np.hypot(point.x - 116.3, point.y - 39.9) < 2e-2
    again = json.loads(told(capsys, store.name, "house", path, "--map", "门牌号=code", "--datum", "gcj02", "--json")[0])
    assert (again["new"], again["changed"], again["same"], again["rejected"]) == (0, 0, 1, 1)
    assert "no such table to load" in told(capsys, store.name, "hose", path, code=2)[1]


def test_both_databases_hold_the_same_after_the_same_loads(folder: Path, postgres: Any, tmp_path: Path) -> None:
    write(houses(40), folder / "a.gpkg")
    write(houses(50).assign(address="新街"), folder / "b.geojson")
    path = tmp_path / "one.gpkg"
    with postgres.database(store=True) as address:
        held = []
        for where in (path, address):
            with open_store(where, create=True) as opened:
                for name in ("a.gpkg", "b.geojson"):
                    load_files(opened, "house", [str(folder / name)], by="clerk")
                held.append(opened.load("house"))
    assert_frame_equal(pd.DataFrame(held[0]).drop(columns="geometry"), pd.DataFrame(held[1]).drop(columns="geometry"))
    assert held[0].geometry.geom_equals_exact(held[1].geometry, 0).all()
