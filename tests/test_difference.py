"""Two plans compared: laws first, then ground, households, codes and successors, and the command."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import shapes
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import X0, Y0

from gridgis.cli import run
from gridgis.errors import CRSError, GeometryError, PlanError, SchemaError
from gridgis.files import write
from gridgis.plan import edit
from gridgis.plan.closing import plan_of
from gridgis.plan.difference import LEAST_M2, difference
from gridgis.plan.opening import open_plan
from gridgis.plan.partition import Plan, partition


def strips(*widths: float, codes: str = "ABCDEF", households: object = None) -> gpd.GeoDataFrame:
    """Grids side by side, 100 m high."""
    x = np.cumsum([0, *widths])
    made = shapes.frame(shapely.box(x[:-1], 0, x[1:], 100), [*codes[: len(widths)]])
    return made if households is None else made.assign(households=households)


def houses(*x: float, households: object = 1) -> gpd.GeoDataFrame:
    places = [shapely.Point(X0 + v, Y0 + 50) for v in x]
    return gpd.GeoDataFrame({"households": households}, index=range(len(x)), geometry=places, crs=shapes.METRES)


@cache
def planned(seed: int) -> Plan:
    rng = np.random.default_rng(seed)
    blocks = shapes.squares(5, 4).drop(columns="name").assign(unit="U", households=rng.integers(0, 90, 20))
    return partition(blocks, 200.0, seed=seed)


# --- laws -------------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 14), other=st.integers(0, 14), degrees=st.booleans())
def test_ground_and_households_add_up_and_the_way_back_is_the_same(seed: int, other: int, degrees: bool) -> None:
    a, b = (planned(s).grids for s in (seed, other))
    if degrees:
        a, b = shapes.in_degrees(a), shapes.in_degrees(b)
    found, back = difference(a, b), difference(b, a)
    assert found.grids["area_before_m2"].sum() == pytest.approx(found.grids["area_after_m2"].sum())
    moved = found.moved["area_m2"].sum()
    assert moved + found.grids["kept_m2"].sum() == pytest.approx(found.grids["area_before_m2"].sum(), abs=0.5)
    assert back.moved["area_m2"].sum() == pytest.approx(moved, abs=0.5)
    one = {(r["from"], r["to"]): r["area_m2"] for r in found.summary["moved"]}
    two = {(r["to"], r["from"]): r["area_m2"] for r in back.summary["moved"]}
    assert one == pytest.approx(two, abs=0.05)
    assert (found.lineage.groupby("from")["share"].sum() - 1).abs().max() < 1e-5
    assert json.loads(json.dumps(found.summary)) == found.summary


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 14))
def test_a_plan_differs_from_itself_in_nothing(seed: int) -> None:
    grids = planned(seed).grids
    found = difference(grids, grids.sample(frac=1, random_state=1))
    assert len(found.moved) == 0
    assert set(found.grids["status"]) == {"kept"}
    assert (found.lineage["share"] == 1).all()
    assert (found.summary["ground_moved_m2"], found.summary["households_moved"]) == (0, 0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000))
def test_what_an_edit_says_is_what_the_difference_finds(seed: int) -> None:
    plan = planned(seed % 15)
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 300, 2) + np.array([X0, Y0])
    lived = houses(*rng.uniform(0, 500, 30)).set_geometry(
        gpd.points_from_xy(X0 + rng.uniform(0, 500, 30), Y0 + rng.uniform(0, 400, 30), crs=shapes.METRES)
    )
    counted = lived.sjoin(plan.blocks[["code", "geometry"]])["code"].value_counts()
    blocks = plan.blocks.assign(households=plan.blocks["code"].map(counted).fillna(0).astype(int))
    start = open_plan(Plan(blocks, plan.grids, plan.summary), houses=lived)
    try:
        draft, change = edit.draw(start, shapely.box(*low, *(low + rng.uniform(30, 200, 2))))
    except PlanError:
        return
    found = difference(plan_of(start).grids, plan_of(draft).grids, houses=lived)
    assert found.summary["households_moved"] == change.households_moved == len(change.houses)
    assert set(found.grids["code"][found.grids["status"] != "kept"]) == set(change.grids) - {
        code for code, (was, now) in change.grids.items() if was and now and was.area_m2 == now.area_m2
    }


# --- examples ---------------------------------------------------------------------------------------------------------


def test_ground_moves_from_whom_to_whom_and_is_drawn() -> None:
    found = difference(strips(300, 100, 100), strips(250, 150, 100))
    assert found.moved[["from", "to", "area_m2"]].values.tolist() == [["A", "B", 5000.0]]
    assert found.moved.geometry.iloc[0].equals(shapely.box(X0 + 250, Y0, X0 + 300, Y0 + 100))
    assert found.grids.set_index("code")["status"].to_dict() == {"A": "changed", "B": "changed", "C": "kept"}
    assert found.summary["households_moved"] is None


def test_codes_new_gone_and_their_lineage() -> None:
    found = difference(strips(200, 200, codes="AB", households=[40, 60]), strips(200, 150, 50, codes="AXY"))
    assert [found.summary[s] for s in ("kept", "changed", "new", "gone")] == [["A"], [], ["X", "Y"], ["B"]]
    assert found.lineage[["from", "to", "share", "household_share"]].values.tolist() == [
        ["A", "A", 1.0, 1.0], ["B", "X", 0.75, 0.75], ["B", "Y", 0.25, 0.25],
    ]  # fmt: skip
    assert found.moved[["from", "to", "households", "estimated"]].values.tolist() == [
        ["B", "X", 45, True], ["B", "Y", 15, True],
    ]  # fmt: skip


def test_households_are_counted_where_they_live() -> None:
    lived = houses(10, 120, 180, 190, households=[1, 2, 3, 4])
    found = difference(strips(200, 100, households=99), strips(150, 150), houses=lived)
    assert found.moved[["from", "to", "households", "estimated"]].values.tolist() == [["A", "B", 7, False]]
    by_code = found.grids.set_index("code")
    assert by_code["households_before"].to_dict() == {"A": 10, "B": 0}
    assert by_code["households_after"].to_dict() == {"A": 3, "B": 7}
    assert found.lineage.set_index(["from", "to"])["household_share"]["A", "B"] == 0.7


def test_a_grid_with_another_code_is_recoded_and_ground_has_predecessors() -> None:
    found = difference(strips(100, 100, 200, codes="ABC"), strips(100, 100, 200, codes="AXC"))
    assert found.summary["recoded"] == [{"from": "B", "to": "X"}]
    merged = difference(strips(100, 100, 200, codes="ABC"), strips(200, 200, codes="AC"))
    assert merged.summary["recoded"] == []
    table = merged.lineage[["from", "to", "share", "to_share"]].values.tolist()
    assert table == [["A", "A", 1.0, 0.5], ["B", "A", 1.0, 0.5], ["C", "C", 1.0, 1.0]]


def test_ground_of_one_plan_only_goes_to_nobody() -> None:
    found = difference(strips(100, 100, codes="AB"), strips(100, codes="A"))
    assert found.moved[["from", "to", "area_m2"]].values.tolist() == [["B", None, 10000.0]]
    assert found.summary["ground_left_m2"] == 10000
    back = difference(strips(100, codes="A"), strips(100, 100, codes="AB"))
    assert back.moved[["from", "to"]].values.tolist() == [[None, "B"]]
    assert back.summary["ground_added_m2"] == 10000
    assert back.summary["ground_moved_m2"] == 0


def test_a_vertex_more_on_a_border_moves_nothing() -> None:
    bent = shapes.replaced(strips(100, 100), "A", shapely.segmentize(shapely.box(X0, Y0, X0 + 100, Y0 + 100), 30))
    found = difference(strips(100, 100), bent)
    assert len(found.moved) == 0
    assert found.summary["kept"] == ["A", "B"]
    assert found.summary["parameters"]["least_m2"] == LEAST_M2


def test_another_crs_and_inputs_as_they_were() -> None:
    a, b = strips(300, 100), strips(200, 200).rename_geometry("ground").to_crs(4326)
    before = b.copy(deep=True)
    found = difference(a, b)
    assert found.moved[["from", "to"]].values.tolist() == [["A", "B"]]
    assert found.moved["area_m2"].iloc[0] == pytest.approx(10_000, rel=1e-4)
    assert found.moved.crs == a.crs
    pd.testing.assert_frame_equal(pd.DataFrame(b), pd.DataFrame(before))


def test_bad_input_is_named() -> None:
    good = strips(100, 100)
    bow = shapes.replaced(good, "A", shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]))
    with pytest.raises(GeometryError, match=r"before: not every grid is a valid polygon \(row A\)"):
        difference(bow, good)
    with pytest.raises(SchemaError, match=r"^after: .*A"):
        difference(good, good.assign(code="A"))
    with pytest.raises(CRSError, match="after"):
        difference(good, good.set_crs(None, allow_override=True))


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_prints_writes_and_gives_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(tmp_path / name) for name in ("a.gpkg", "b.gpkg", "moved.geojson", "houses.geojson")]
    write(strips(300, 100, households=[30, 10]), Path(paths[0]))
    write(strips(200, 200, households=[20, 20]), Path(paths[1]))
    write(houses(10, 250, 260).assign(code=["1", "2", "3"]), Path(paths[3]))
    assert run(["diff", *paths[:2]]) == 0
    text = capsys.readouterr().out
    assert "有变 changed: 2（A, B）" in text
    assert "换格户数 households moved: 10（按面积估算 estimated by area）" in text
    assert run(["diff", *paths[:2], "--houses", paths[3], "--json", "-o", paths[2]]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["households_moved"], summary["households_estimated"]) == (2, False)
    assert gpd.read_file(paths[2])[["from", "to"]].values.tolist() == [["A", "B"]]


def test_the_command_names_the_file_that_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.gpkg", tmp_path / "bad.gpkg"
    write(strips(100, 100), good)
    bow = shapely.Polygon([(X0, Y0), (X0 + 9, Y0 + 9), (X0 + 9, Y0), (X0, Y0 + 9)])
    write(shapes.replaced(strips(100, 100), "A", bow), bad)
    assert run(["diff", str(good), str(bad)]) == 2
    error = capsys.readouterr().err
    assert "not every grid is a valid polygon (row A)" in error
    assert "bad.gpkg" in error
