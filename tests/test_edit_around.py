"""What an edit takes along: borders and barriers, persons and buildings, reasons, rebalancing, the desk's index."""

from __future__ import annotations

import json
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import shapes
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import area, bits, board, borders_of, chessboard, laid, line, scene, town
from shapes import X0, Y0

from gridgis.errors import EditError, PlanError, SchemaError
from gridgis.plan import edit
from gridgis.plan.blocks import make_blocks
from gridgis.plan.closing import plan_of
from gridgis.plan.editing.apportion import parted
from gridgis.plan.editing.draft import Draft
from gridgis.plan.opening import open_plan
from gridgis.plan.operations import log, replay, undo
from gridgis.plan.partition import Plan, partition


def cut_ground() -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Four quarters, 100 m wide: a river between west and east, a lane between south and north."""
    ground = gpd.GeoDataFrame({"code": ["U"]}, geometry=[area(0, 0, 200, 200)], crs=shapes.METRES)
    ways = [line((100, -9), (100, 209)), line((-9, 100), (209, 100))]
    barriers = gpd.GeoDataFrame(
        {"class": ["river", "lane"], "name": ["万泉河", "槐树巷"]}, geometry=ways, crs=ground.crs
    )
    blocks, borders = make_blocks(ground, barriers)
    return blocks.assign(households=100), borders


def quarters(**how: Any) -> Draft:
    """The quarters (1 north-west, 2 south-west, 3 north-east, 4 south-east) with west as grid W, east as E."""
    blocks, borders = cut_ground()
    grids = ["W" if x < X0 + 100 else "E" for x in blocks.geometry.centroid.x]
    return open_plan(laid(blocks, grids), borders=borders, **how)


def told(draft: Draft) -> list[list[Any]]:
    borders = plan_of(draft).borders
    assert borders is not None
    inner = borders[borders["right"].notna()]
    rows = inner[["left", "right", "class", "name"]].astype(object)
    return rows.where(rows.notna(), None).values.tolist()


# --- borders and barriers ---------------------------------------------------------------------------------------------


def test_borders_of_a_plan_that_was_not_edited_are_those_that_came_in() -> None:
    blocks, borders = cut_ground()
    out = plan_of(quarters()).borders
    assert out is not None
    pd.testing.assert_frame_equal(
        pd.DataFrame(out.drop(columns="geometry")), pd.DataFrame(borders.drop(columns="geometry")), check_dtype=False
    )
    assert shapely.equals(out.geometry.to_numpy(), borders.geometry.to_numpy()).all()
    assert plan_of(open_plan(laid(blocks, [*"ABCD"]))).borders is None


def test_pieces_inherit_barriers_and_a_drawn_cut_is_a_border_on_none() -> None:
    draft = edit.split_block(quarters(), "U-0001", line((-9, 150), (150, 150))).draft
    assert told(draft) == [
        ["U-0001.1", "U-0001.2", None, None],
        ["U-0001.1", "U-0003", "river", "万泉河"],
        ["U-0001.2", "U-0002", "lane", "槐树巷"],
        ["U-0001.2", "U-0003", "river", "万泉河"],
        ["U-0002", "U-0004", "river", "万泉河"],
        ["U-0003", "U-0004", "lane", "槐树巷"],
    ]
    borders = plan_of(draft).borders
    assert borders is not None
    lengths = borders.set_index(["left", "right"])["length_m"]
    assert lengths["U-0001.1", "U-0003"] == pytest.approx(50, rel=1e-3)
    assert plan_of(draft).summary["road_share"] == 1.0


def test_a_barrier_given_with_the_line_is_what_the_new_border_lies_on() -> None:
    start = quarters()
    draft = edit.split_grid(start, "W", line((50, -9), (50, 209)), barrier="main", barrier_name="新路").draft
    new = [row for row in told(draft) if row[3] == "新路"]
    assert [row[:3] for row in new] == [["U-0001.1", "U-0001.2", "main"], ["U-0002.1", "U-0002.2", "main"]]
    assert bits(replay(start.base.plan, json.loads(json.dumps(log(draft))), borders=start_borders())) == bits(draft)
    assert told(undo(draft)) == told(start)
    with pytest.raises(EditError, match="the class of the barrier is unknown; found 'brook'"):
        edit.split_block(start, "U-0001", line((50, -9), (50, 209)), barrier="brook")


def start_borders() -> gpd.GeoDataFrame:
    return cut_ground()[1]


def test_a_barrier_that_must_not_be_crossed_is_not_crossed() -> None:
    draft = quarters(never_cross=["river"])
    with pytest.raises(EditError) as caught:
        edit.assign(draft, ["U-0003"], "W")
    assert "the grid W would cross a barrier that must not be crossed (row U-0003); found river 万泉河 at" in str(
        caught.value
    )
    assert caught.value.reason == "barrier"
    way = line((50, -9), (50, 209))
    assert caught.value.place == pytest.approx((X0 + 100, Y0 + 150))
    for refused in (
        lambda: edit.merge(draft, ["W", "E"]),
        lambda: edit.draw(draft, area(50, 110, 150, 190)),
        lambda: edit.split_block(edit.new_grid(draft, ["U-0001"]).draft, "U-0001", way, barrier="river"),
    ):
        with pytest.raises(EditError, match="would cross a barrier that must not be crossed"):
            refused()
    assert edit.merge(quarters(), ["W", "E"]).draft.grids["W"].households == 400
    assert len(edit.split_grid(draft, "W", way, barrier="river").draft.grids) == 3
    assert edit.split_block(draft, "U-0001", way, barrier="river").draft.grids.keys() == {"W", "E"}  # round its end


def test_a_plan_that_crosses_already_may_get_better_but_not_worse() -> None:
    blocks, borders = cut_ground()
    draft = open_plan(laid(blocks, [*"ABAB"]), borders=borders, never_cross="river")
    with pytest.raises(EditError, match="would cross a barrier"):
        edit.split_block(draft, "U-0001", line((50, 50), (50, 250)), barrier="river")
    assert edit.new_grid(draft, ["U-0001"]).draft.members["A"] == frozenset({"U-0003"})


def test_borders_and_classes_that_do_not_fit_are_named() -> None:
    blocks, borders = cut_ground()
    plan = laid(blocks, [*"ABCD"])
    moved = borders.set_geometry(borders.translate(1, 0))
    for how, error, text in (
        (
            {"borders": moved},
            PlanError,
            r"borders do not run along the rims of blocks \(.*U-0001 with U-0002.*same run",
        ),
        ({"borders": borders.drop(columns="class")}, SchemaError, "borders lack columns; found .*; wanted class"),
        ({"borders": borders, "never_cross": ["brook"]}, PlanError, r"of an unknown class \(row brook\); wanted river"),
        ({"never_cross": ["river"]}, PlanError, "found no borders. Give the borders of gridgis blocks"),
    ):
        with pytest.raises(error, match=text):
            open_plan(plan, **how)


# --- persons, buildings, estimates ------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(total=st.integers(0, 10_000), weights=st.lists(st.floats(0, 1e6), min_size=1, max_size=9).filter(any))
def test_parts_add_up_and_are_nearer_than_one(total: int, weights: list[float]) -> None:
    parts = parted(total, weights)
    exact = total * np.array(weights) / sum(weights)
    assert parts.sum() == total
    assert (np.abs(parts - exact) < 1 + 1e-6).all()


def test_persons_go_with_their_house_and_buildings_stay_where_they_stand() -> None:
    blocks = chessboard([0, 0, 0, 0, 3, 0, 0, 0, 0]).assign(
        persons=[0] * 4 + [5] + [0] * 4, buildings=[0] * 4 + [2] + [0] * 4
    )
    spots = [shapely.Point(X0 + x, Y0 + 150) for x in (110, 120, 190)]
    houses = gpd.GeoDataFrame({"code": ["h1", "h2", "h3"], "estimated": [False, False, True]}, geometry=spots,
                              crs=blocks.crs)  # fmt: skip
    persons = pd.DataFrame({"id": list("abcde"), "house": ["h1", "h2", "h2", "h2", "h3"]})
    built = gpd.GeoDataFrame(geometry=[spots[0].buffer(2), spots[2].buffer(2)], crs=blocks.crs)
    plan = laid(blocks, [*"AAABBBCCC"])
    draft = open_plan(plan, houses=houses, persons=persons, buildings=built)
    cut, change = edit.split_block(draft, "22", line((170, 50), (170, 250)))
    west, east = (cut.blocks[c] for c in change.cut["22"])
    assert (west.households, west.persons, west.buildings) == (2, 4, 1)
    assert (east.households, east.persons, east.buildings) == (1, 1, 1)
    moved, change = edit.draw(draft, area(100, 90, 150, 190), "A")
    assert (change.households_moved, change.persons_moved) == (2, 4)
    assert change.farthest is not None
    assert (change.farthest.house, change.farthest.metres) == ("h2", 20.0)
    assert [house for house, _, _ in change.houses] == ["h1", "h2"]
    assert change.as_json()["houses_moved"] == 2
    assert moved.grids["A"].persons == 4


def test_what_is_not_known_by_place_is_shared_by_what_is() -> None:
    blocks = chessboard(10, persons=7, buildings=3)
    houses = gpd.GeoDataFrame(
        {"code": ["h"], "households": [4]}, geometry=[shapely.Point(X0 + 110, Y0 + 150)], crs=blocks.crs
    )
    draft = open_plan(laid(blocks, [*"AAABBBCCC"]), houses=houses)
    cut, change = edit.split_block(draft, "22", line((170, 50), (170, 250)))
    west, east = (cut.blocks[c] for c in change.cut["22"])
    assert (west.households, west.estimated, west.persons, west.buildings) == (10, 10, 7, 2)
    assert (east.households, east.persons, east.buildings) == (0, 0, 1)
    with pytest.raises(PlanError, match="persons are counted by their house; found no houses"):
        open_plan(draft.base.plan, persons=pd.DataFrame({"house": ["h"]}))
    with pytest.raises(SchemaError, match="wanted a column 'house'"):
        open_plan(draft.base.plan, houses=houses, persons=pd.DataFrame({"id": ["h"]}))


# --- why a grid is off ------------------------------------------------------------------------------------------------


def off(draft: Draft) -> dict[str, tuple[str, str | None]]:
    """Reason and remedy of each grid that is off norm."""
    return {row["grid"]: (row["reason"], row.get("remedy")) for row in plan_of(draft).summary["off"]}


def test_grids_off_norm_say_why_in_the_words_of_the_partition() -> None:
    plan = laid(chessboard([900, 100, 100, 100, 100, 100, 100, 0, 0]), [*"AABCDBCDE"])
    draft = edit.assign(open_plan(plan), ["12"], "B").draft
    assert off(draft)["A"] == ("indivisible block", "cut it into 3 parts")
    draft, change = edit.split_block(draft, "11", line((50, -9), (50, 109)))
    assert off(draft)["A"] == ("indivisible block", "cut it into 2 parts")
    assert change.grids["A"][1].target == 300
    draft, change = edit.new_grid(draft, ["32"])
    assert change.grids["U01"][1].reason == "no households"
    assert off(edit.lock(draft, ["D"]).draft)["D"][0] == "locked"
    assert off(edit.merge(draft, ["B", "D"]).draft)["B"][0] == "edited"


def test_ground_apart_and_units_too_small_are_said() -> None:
    island = shapes.with_island().drop(columns="name").assign(unit="U", households=[150, 150, 40])
    lone = open_plan(laid(island, [*"AAB"]))
    assert edit.split_block(lone, "island", line((750, -9), (750, 109))).change.grids["B"][1].reason == "isolated"
    assert edit.new_grid(lone, ["west"]).change.grids["A"][1].reason == "edited"
    core = shapes.donut().drop(columns="name").assign(unit=["U", "V"], households=[300, 40])
    core = pd.concat([core, island.assign(code=["x", "y", "z"], unit=["U", "V", "V"]).set_geometry(
        island.translate(2000, 0))])  # fmt: skip
    ring = open_plan(laid(core, [*"ABCDE"]))
    assert edit.split_block(ring, "core", line((150, 50), (150, 250))).change.grids["B"][1].reason == "enclave"
    mean = open_plan(laid(chessboard(20), [*"AAAAAABBB"]))
    assert edit.assign(mean, ["23"], "B").change.grids["A"][1].reason == "community mean"
    river = quarters(never_cross=["river"])
    assert (
        edit.split_block(river, "U-0001", line((50, 50), (50, 250))).change.grids["W"][1].reason
        == "cut off by a barrier"
    )


# --- rebalancing ------------------------------------------------------------------------------------------------------


def test_rebalanced_grids_are_even_and_the_log_says_where_each_block_went() -> None:
    full = scene(3)
    start = full.open()
    pairs = [sorted(p) for p in ({a, b} for a in start.grids for b in start.grids) if len(p) == 2]
    tried = 0
    for pair in pairs:
        try:
            worse = edit.merge(start, pair).draft
            worse = edit.new_grid(worse, [sorted(worse.members[pair[0]])[0]]).draft
            other = next(c for c in worse.grids if c not in start.grids)
            draft, change = edit.rebalance(worse, [pair[0], other], seed=1)
        except EditError:
            continue
        tried += 1
        operation = json.loads(json.dumps(change.operation))
        assert set(operation["grid_of"].values()) <= set(draft.grids)
        assert bits(replay(full.plan, json.loads(json.dumps(log(draft))), **full.how)) == bits(draft)
        spread = [max(abs(d.grids[c].households - 250) for c in d.members if c not in start.grids or c in pair)
                  for d in (worse, draft)]  # fmt: skip
        assert spread[1] <= spread[0]
        others = set(draft.grids) - {pair[0], other}
        assert all(draft.members[c] == worse.members.get(c, draft.members[c]) for c in others)
        break
    assert tried


def test_rebalancing_refuses_locked_grids_and_grids_alone() -> None:
    draft = edit.lock(board(), "A").draft
    with pytest.raises(EditError, match="the grid A is locked"):
        edit.rebalance(draft, ["A", "B"])
    with pytest.raises(EditError, match="one grid alone cannot be rebalanced"):
        edit.rebalance(draft, ["B"])
    with pytest.raises(EditError, match="takes a grid or more; found none"):
        edit.rebalance(draft, [])
    with pytest.raises(EditError, match=r"only blocks of the grids that are rebalanced move \(row 11\)"):
        edit.rebalance(draft, ["B", "C"], grid_of={"11": "B"})
    with pytest.raises(EditError, match=r"only blocks of the grids that are rebalanced move \(row 31\)"):
        edit.rebalance(draft, ["B", "C"], grid_of={"31": "A"})
    with pytest.raises(EditError, match=r"the profile is unknown; found '/etc/passwd'; wanted .*yichang"):
        edit.rebalance(draft, ["B", "C"], "/etc/passwd")
    plan = draft.base.plan
    bare = open_plan(Plan(plan.blocks, plan.grids, {}))
    with pytest.raises(EditError, match="the norm of the plan is not known; found None"):
        edit.rebalance(bare, ["B", "C"])
    changed = edit.rebalance(edit.assign(bare, ["31", "32"], "B").draft, ["B", "C"], 300).draft
    assert {changed.grids[c].households for c in "BC"} == {300}


def test_persons_are_the_weight_where_the_norm_counts_them() -> None:
    blocks = town(2, units=1)
    plan = partition(blocks, 700, weight="persons", borders=borders_of(blocks, np.random.default_rng(0)))
    draft = open_plan(plan)
    assert {g.heaviest for g in draft.grids.values()} == {
        max(draft.blocks[b].persons for b in own) for own in draft.members.values()
    }
