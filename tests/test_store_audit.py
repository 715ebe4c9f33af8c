"""Every change of a table as a whole is in the audit log, row by row; the log can be read; on both databases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridgis.cli import run
from gridgis.store import Store, add_organisation, audit, open_store


def log(store: Store, **which: Any) -> list[tuple[Any, ...]]:
    """what, table, key, before, after; the oldest first."""
    found = store.ask(lambda connection: audit.entries(connection, **which))[::-1]
    return list(found[["what", "table", "key", "before", "after"]].itertuples(index=False, name=None))


def staff(**names: str) -> pd.DataFrame:
    return pd.DataFrame({"id": list(names), "name": list(names.values()), "phone": "11"})


def counts(new: int, changed: int, removed: int, same: int) -> dict[str, int]:
    return {"new": new, "changed": changed, "removed": removed, "same": same}


# --- tables that are replaced -----------------------------------------------------------------------------------------


def test_what_a_save_changes_is_told_row_by_row(store: Store) -> None:
    store.save({"staff": staff(a="甲", b="乙", c="丙")}, by="boss")
    assert log(store) == [("save", "staff", None, None, {"new": 3, "removed": 0})]
    store.save({"staff": staff(a="甲", b="丁", d="戊")}, by="clerk")
    assert log(store, by="clerk") == [
        ("save", "staff", "b", {"name": "乙"}, {"name": "丁"}),
        ("remove", "staff", "c", {"id": "c", "name": "丙", "phone": "11"}, None),
        ("save", "staff", None, None, counts(1, 1, 1, 1)),
    ]
    store.save({"staff": staff(a="甲", b="丁", d="戊")}, by="again")
    assert log(store, by="again") == []


def test_rows_of_residents_are_told_by_id_and_column(store: Store) -> None:
    def houses(**addresses: str) -> gpd.GeoDataFrame:
        places = gpd.points_from_xy([116.0] * len(addresses), [40.0] * len(addresses))
        frame = pd.DataFrame({"code": list(addresses), "address": list(addresses.values()), "households": 7})
        return gpd.GeoDataFrame(frame, geometry=places, crs=4326)

    store.save({"house": houses(H1="幸福路1号", H2="幸福路2号"), "person": pd.DataFrame({"id": ["p1"], "house": "H1"})})
    store.save({"house": houses(H1="幸福路9号"), "person": pd.DataFrame({"id": ["p1"], "house": "H2"})}, by="clerk")
    assert log(store, by="clerk", table="person")[0] == ("save", "person", "p1", None, {"columns": ["house"]})
    changed, gone, _ = log(store, by="clerk", table="house")
    assert changed == ("save", "house", "H1", None, {"columns": ["address"]})
    assert gone == ("remove", "house", "H2", None, {"columns": ["address", "code", "geometry", "households"]})
    assert "幸福路" not in json.dumps(log(store), ensure_ascii=False)


def test_what_a_build_computes_is_counted(store: Store) -> None:
    square = gpd.GeoDataFrame({"code": ["G1"]}, geometry=[shapely.box(116, 40, 116.1, 40.1)], crs=4326)
    house = pd.DataFrame({"code": ["H1"], "grid": ["G1"], "grid_how": ["inside"]})
    store.save({"grid": square, "house": house}, by="boss")
    store.save({"grid": square.assign(code="G2"), "house": house.assign(grid="G2")}, by="clerk")
    assert log(store, by="clerk") == [("save", "grid", None, None, {"new": 1, "removed": 1})]
    board = pd.DataFrame({"code": ["B1"], "grid": ["G1"]})
    store.save({"board": board}, by="boss")
    store.save({"board": board.assign(grid="G2")}, by="hand")
    assert log(store, by="hand")[0] == ("save", "board", "B1", {"grid": "G1"}, {"grid": "G2"})


def test_rows_without_a_key_go_and_come(store: Store) -> None:
    visits = pd.DataFrame({"target": ["S1", "S1", "S2"], "time": ["2026-03-02T08:30:00+08:00"] * 3})
    leave = pd.DataFrame({"staff": ["w1", "w1", "w2"], "date": ["2026-03-02"] * 3, "theirs": [(1, 2), (1, 2), (3,)]})
    store.save({"leave": leave, "visit": visits})
    store.save({"leave": leave.iloc[1:], "visit": visits}, by="clerk")
    gone, whole = log(store, by="clerk")
    assert gone[0:2] == ("remove", "leave")
    assert gone[3] == {"staff": "w1", "date": "2026-03-02", "extra": {"theirs": [1, 2]}}
    assert whole[4] == counts(0, 0, 1, 2)


def test_settings_are_told(store: Store) -> None:
    store.save({}, {"title": "甲", "phone": "1"}, by="boss")
    store.save({}, {"title": "乙", "phone": "1"}, by="clerk")
    assert log(store, by="clerk") == [("save", "setting", "title", {"value": "甲"}, {"value": "乙"})]


def test_nothing_is_told_of_what_is_not_done(store: Store) -> None:
    store.save({"staff": staff(a="甲")})
    before = log(store)

    def fail(_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.save({"staff": staff(a="乙")}, {"title": "甲"}, then=fail)
    assert log(store) == before
    assert store.load("staff")["name"].tolist() == ["甲"]


def test_a_new_organisation_is_told_in_its_own_log(store: Store) -> None:
    add_organisation(store.name, "other", "另一街道", by="root")
    with open_store(store.name, organisation="other") as other:
        assert log(other) == [("add", "organisation", "other", None, {"code": "other", "name": "另一街道"})]
    with open_store(store.name, organisation="1") as first:
        assert log(first) == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_law_the_log_leads_from_one_state_to_the_next(store: Store, data: st.DataObject) -> None:
    """What was there, with the changes and removals of the log undone from what is there, is the same."""
    table = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["甲", "乙", "丙"]))
    first, second = data.draw(table), data.draw(table)
    store.save({"staff": staff(**first)})
    seen = len(log(store))
    store.save({"staff": staff(**second)})
    entries = log(store)[seen:]
    was = dict(second)
    for what, _, key, before, after in entries:
        if key is not None and what == "save":
            assert was[key] == after["name"]
        if key is not None:
            was[key] = before["name"]
    fresh = second.keys() - first.keys()
    assert {key: name for key, name in was.items() if key not in fresh} == first
    told = next((after for _, _, key, _, after in entries if key is None), {"new": 0, "removed": 0})
    assert (told["new"], told["removed"]) == (len(fresh), len(first.keys() - second.keys()))


# --- reading the log --------------------------------------------------------------------------------------------------


def test_the_command_shows_the_log(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.save({"staff": staff(a="甲", b="乙")}, by="boss")
    store.save({"staff": staff(a="丙", b="乙" * 99)}, by="clerk")
    assert run(["store", "log", store.name, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["log"]
    assert [entry["by"] for entry in told] == ["clerk", "clerk", "clerk", "boss"]
    assert told[2]["key"] == "a"
    assert told[2]["before"] == {"name": "甲"}
    assert told[2]["at"].endswith("Z")
    assert run(["store", "log", store.name, "--table", "staff", "--key", "b", "--last", "1"]) == 0
    shown = capsys.readouterr().out
    assert "日志 audit log" in shown
    assert "保存 save" in shown
    assert "乙" * 99 not in shown
    assert run(["store", "log", store.name, "--since", "2999-01-01", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["log"] == []
    assert run(["store", "log", store.name, "--who", "clerk", "--last", "1", "-o", str(tmp_path / "log.csv")]) == 0
    written = pd.read_csv(tmp_path / "log.csv")
    assert len(written) == 3
    assert json.loads(written["after"].iloc[1]) == {"name": "乙" * 99}


def test_every_word_of_the_log_has_its_chinese() -> None:
    assert set(audit.CHINESE) == set(get_args(audit.What))
    assert all(audit.CHINESE.values())
