"""Editing a plan: laws of every sequence of edits first, then each edit, its answer, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import shapes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plans import Scene, area, bits, board, chessboard, houses_in, laid, line, planned, scene, state, town
from shapes import X0, Y0

from gridgis.errors import EditError, GeometryError, PlanError, SchemaError
from gridgis.plan import edit
from gridgis.plan.closing import plan_of
from gridgis.plan.editing.cutting import cut_along, edges_of
from gridgis.plan.editing.draft import Draft
from gridgis.plan.editing.rules import Joints
from gridgis.plan.opening import open_plan
from gridgis.plan.operations import apply, log, redo, replay, undo
from gridgis.plan.partition import Plan, partition
from gridgis.plan.validate import validate, verdict
from gridgis.schema import GRID_KINDS, check

REASONS = {"unknown", "argument", "geometry", "outside", "nothing", "locked", "pieces", "unit", "barrier"}


# --- laws -------------------------------------------------------------------------------------------------------------


def random_edit(draft: Draft, rng: np.random.Generator) -> Any:
    """One edit with arguments that may be refused."""
    blocks, grids = sorted(draft.blocks), sorted(draft.grids)
    bounds = shapely.total_bounds([b.shape for b in draft.blocks.values()])
    spots = rng.uniform(bounds[:2], bounds[2:], (4, 2))
    grid, block = str(rng.choice(grids)), str(rng.choice(blocks))
    corners = shapely.get_coordinates(draft.blocks[block].shape)
    spots = corners.mean(axis=0) + (spots - bounds[:2] - (bounds[2:] - bounds[:2]) / 2) * rng.choice([0.2, 0.5])
    if rng.random() < 0.3:  # along a border that is there
        spots[:3] = corners[:3]
    centre = np.array(draft.grids[grid].shape.centroid.coords[0])
    reach = spots[0] - centre
    through = shapely.LineString([centre - 9 * reach, centre + 9 * reach]) if reach.any() else shapely.LineString(spots)
    across = shapely.LineString([spots[0] * 5 - spots[1] * 4, spots[1] * 5 - spots[0] * 4])
    beside = [c for c in blocks if draft.blocks[c].shape.intersects(draft.grids[grid].shape)]
    other = str(rng.choice(beside))
    near = draft.blocks[other].grid
    hull = shapely.convex_hull(shapely.MultiPoint(spots))
    choices = [
        lambda: edit.assign(draft, [other], grid),
        lambda: edit.draw(draft, hull, grid),
        lambda: edit.draw(draft, hull, draft.blocks[block].grid),
        lambda: edit.draw(draft, shapely.Polygon(spots)),
        lambda: edit.split_grid(draft, grid, through),
        lambda: edit.split_block(draft, block, across),
        lambda: edit.split_block_evenly(draft, block, int(rng.integers(2, 4))),
        lambda: edit.merge(draft, [grid, near]),
        lambda: edit.new_grid(draft, [block], name="新格"),
        lambda: edit.rename(draft, grid, f"第{rng.integers(9)}格"),
        lambda: edit.recode(draft, grid, f"X{rng.integers(9)}"),
        lambda: edit.set_kind(draft, grid, str(rng.choice(GRID_KINDS))),
        lambda: (edit.unlock if rng.random() < 0.8 and draft.grids[grid].locked else edit.lock)(draft, [grid]),
        lambda: edit.split_responsibility(draft, grid, through),
        lambda: edit.draw_responsibility(draft, grid, hull),
        lambda: edit.new_responsibility(draft, [block], kind="商户"),
        lambda: edit.drop_responsibility(draft, grid),
        lambda: edit.new_segment(draft, draft.blocks[block].grid, shapely.LineString(corners[:3])),
    ]
    if draft.responsibility:
        codes = sorted(draft.responsibility)
        part = str(rng.choice(codes))
        choices += [
            lambda: edit.assign_responsibility(draft, [block], part),
            lambda: edit.merge_responsibility(draft, rng.choice(codes, 2).tolist()),
            lambda: edit.describe_responsibility(draft, part, name=f"片{rng.integers(3)}"),
        ]
    if draft.segments:
        segments = sorted(draft.segments)
        one = str(rng.choice(segments))
        choices += [
            lambda: edit.split_segment(
                draft, one, draft.segments[one].shape.interpolate(rng.random(), normalized=True)
            ),
            lambda: edit.merge_segments(draft, rng.choice(segments, 2).tolist()),
            lambda: edit.assign_segment(draft, one, near),
            lambda: edit.describe_segment(draft, one, kind="主街"),
        ]
    return choices[int(rng.integers(len(choices)))]()


def assert_rules(draft: Draft, start: Draft) -> None:
    """Each block in one grid, each grid in one piece and one unit, nobody and no ground lost, no seam open."""
    plan = plan_of(draft)
    blocks, grids = plan.blocks, plan.grids
    assert blocks["code"].is_unique
    assert set(blocks["grid"]) == set(grids["code"]) == set(draft.members)
    first = start.base.plan.blocks
    for column in {"households", "persons"} & set(first.columns):
        assert blocks[column].sum() == grids[column].sum() == first[column].sum()
    for column in {"buildings"} & set(first.columns):
        assert blocks[column].sum() == first[column].sum()
    if "estimated" in first.columns:
        assert blocks["estimated"].sum() >= first["estimated"].sum()
    for name in ("homes", "built"):
        assert sorted(h for b in draft.blocks.values() for h in getattr(b, name)) == sorted(
            h for b in start.blocks.values() for h in getattr(b, name)
        )
    assert (blocks["estimated"] <= blocks["households"]).all()
    for code, grid in draft.grids.items():
        own = blocks[blocks["grid"] == code]
        assert set(own["code"]) == draft.members[code]
        assert set(own["unit"]) == {grid.unit}
        assert grid.households == own["households"].sum()
        assert grid.heaviest == own["households"].max()
        assert grid.shape.geom_type == "Polygon"
        assert grid.shape.equals(shapely.coverage_union_all(own.geometry.to_numpy()))
        in_parts = {draft.blocks[b].responsibility for b in own["code"]}
        assert in_parts == {""} or in_parts == {c for c, p in draft.responsibility.items() if p.grid == code}
    assert shapely.coverage_is_valid(blocks.geometry.to_numpy())
    before = {tuple(xy) for xy in start.base.plan.blocks.get_coordinates().to_numpy()}
    assert before <= {tuple(xy) for xy in blocks.get_coordinates().to_numpy()}
    assert {b.row: 0 for b in draft.blocks.values()} == dict.fromkeys(range(len(first)), 0)
    for code, block in draft.blocks.items():
        assert code in draft.pieces.get(block.row, (start.base.codes[block.row],))


def assert_ways(draft: Draft, start: Draft) -> None:
    """Barriers stay where they are, responsibility blocks tile their grids, no stretch of street is lost."""
    now, then = plan_of(draft), plan_of(start)
    assert now.borders is not None
    assert then.borders is not None
    length = [t.dropna(subset="class").groupby("class")["length_m"].sum() for t in (then.borders, now.borders)]
    assert length[0].to_dict() == pytest.approx(length[1].to_dict(), rel=1e-6)
    for code, grid in draft.grids.items():
        joints = Joints(draft.base, [draft.blocks[b] for b in sorted(draft.members[code])], draft.drawn)
        assert joints.pieces == 1
        parts = now.responsibility_blocks[now.responsibility_blocks["grid"] == code]
        if len(parts):
            assert grid.shape.equals(shapely.coverage_union_all(parts.geometry.to_numpy()))
            assert shapely.coverage_is_valid(parts.geometry.to_numpy())
            assert parts["households"].sum() == grid.households
    new = [o["line"]["coordinates"] for o in log(draft) if o["op"] == "new_segment"]
    laid_out = then.segments.length.sum() + sum(shapely.LineString(xy).length for xy in new)
    assert now.segments.length.sum() == pytest.approx(laid_out)
    assert set(now.segments["grid"]) <= set(draft.grids)
    again = open_plan(
        Plan(*now[:3]), borders=now.borders, never_cross=draft.base.never_cross, segments=now.segments,
        responsibility_blocks=now.responsibility_blocks,
    )  # fmt: skip
    assert bits(again)[0] == bits(draft)[0]


def assert_answer(change: Any, before: Draft, after: Draft) -> None:
    """The change says which grids differ, and adds up."""
    differ = {c for c in before.grids.keys() | after.grids.keys() if before.grids.get(c) is not after.grids.get(c)}
    assert set(change.grids) == differ
    for code, (was, now) in change.grids.items():
        assert (was is None) == (code not in before.grids)
        assert (now is None) == (code not in after.grids)
        if now is not None:
            assert (now.households, now.blocks, now.pieces) == (
                after.grids[code].households,
                len(after.members[code]),
                1,
            )
    recoded = change.operation["op"] == "recode"
    gains = sum(max(0, (n.households if n else 0) - (w.households if w else 0)) for w, n in change.grids.values())
    assert recoded or gains <= change.households_moved
    for code, shares in change.successors.items():
        assert sum(share for _, share in shares) == pytest.approx(1, abs=1e-5)
        assert code in before.grids
    assert json.loads(json.dumps(change.as_json())) == change.as_json()


def play(start: Draft, seed: int, steps: int) -> list[Draft]:
    """The drafts after each of some random edits; those that are refused change nothing and say why and where."""
    rng = np.random.default_rng(seed)
    drafts, before = [start], state(start)
    for _ in range(steps):
        try:
            draft, change = random_edit(drafts[-1], rng)
        except EditError as error:
            assert error.source == "plan"
            assert error.reason in REASONS
            assert error.place is None or f"{error.place[0]:.6f}, {error.place[1]:.6f}" in str(error)
            assert state(drafts[-1]) == before
        else:
            assert_answer(change, drafts[-1], draft)
            drafts.append(draft)
            before = state(draft)
    return drafts


def assert_log(drafts: list[Draft], scene: Scene) -> None:
    """The log makes the same plan, undo and redo go through the very same drafts, and the plan validates."""
    draft, states = drafts[-1], [state(d) for d in drafts]
    operations = json.loads(json.dumps(log(draft)))
    assert bits(replay(scene.plan, operations, **scene.how)) == bits(draft)
    back = draft
    for known in states[-2::-1]:
        back = undo(back)
        assert state(back) == known
    for known in states[1:]:
        back = redo(back)
        assert state(back) == known
    assert bits(back) == bits(draft)
    found = validate(plan_of(draft).grids, shapes.outline(scene.plan.blocks))
    assert verdict(found, strict=True)["valid"], found[["kind", "codes", "width_m"]]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 100_000),
    steps=st.integers(1, 5),
    units=st.integers(1, 2),
    degrees=st.booleans(),
    lived=st.booleans(),
)
def test_any_edits_keep_the_rules_and_the_log_makes_the_same_plan(
    seed: int, steps: int, units: int, degrees: bool, lived: bool
) -> None:
    plan = planned(seed % 10, units, degrees)
    bare = Scene(plan, {"houses": houses_in(plan.blocks, seed)} if lived else {})
    drafts = play(bare.open(), seed, steps)
    assert_rules(drafts[-1], drafts[0])
    assert_log(drafts, bare)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 100_000),
    steps=st.integers(1, 6),
    units=st.integers(1, 2),
    degrees=st.booleans(),
    shape=st.sampled_from(["whole", "hole", "exclave"]),
)
def test_any_edits_of_a_full_plan_keep_barriers_responsibility_blocks_and_segments(
    seed: int, steps: int, units: int, degrees: bool, shape: str
) -> None:
    full = scene(seed % 8, units, degrees, shape)
    drafts = play(full.open(), seed, steps)
    assert_rules(drafts[-1], drafts[0])
    assert_ways(drafts[-1], drafts[0])
    assert_log(drafts, full)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 100_000), degrees=st.booleans())
def test_cuts_tile_the_blocks_and_move_nothing_else(seed: int, degrees: bool) -> None:
    blocks = planned(seed % 10, 1, degrees).blocks
    rng = np.random.default_rng(seed)
    bounds = blocks.total_bounds
    way = rng.uniform(bounds[:2], bounds[2:], (int(rng.integers(2, 5)), 2))
    if rng.random() < 0.4:  # through corners, along edges
        corners = blocks.get_coordinates().to_numpy()
        way[: len(way) - 1] = corners[rng.integers(len(corners), size=len(way) - 1)]
    cut_line = shapely.LineString(way)
    if not cut_line.is_simple or cut_line.length == 0:
        return
    scale = np.array([85_435.0, 111_025.0]) if degrees else np.ones(2)
    ground = blocks.geometry.to_numpy()
    allowed = rng.random(len(ground)) < 0.8
    cut = cut_along(ground, allowed, [cut_line], scale)
    assert all(allowed[row] for row in cut.pieces)
    after = [p for i, g in enumerate(ground) for p in cut.pieces.get(i, [cut.bent.get(i, g)])]
    assert shapely.is_valid(after).all()
    assert shapely.coverage_is_valid(after)
    old = set(map(tuple, shapely.get_coordinates(ground).tolist()))
    assert old <= set(map(tuple, shapely.get_coordinates(after).tolist()))
    noise = 1e-9 * shapely.area(ground).max()
    for row, pieces in cut.pieces.items():
        assert len(pieces) > 1
        assert abs(sum(p.area for p in pieces) - ground[row].area) < noise
    for row, shape in cut.bent.items():
        assert row not in cut.pieces
        assert abs(shape.area - ground[row].area) < noise
        assert shape.symmetric_difference(ground[row]).area < noise


def test_edges_are_the_same_whichever_way_a_ring_runs() -> None:
    square = shapely.box(0, 0, 1, 1)
    assert edges_of(square) == edges_of(square.reverse())
    assert len(edges_of(square)) == 4


# --- each edit and its answer -----------------------------------------------------------------------------------------


def test_a_drawn_polygon_cuts_blocks_and_houses_say_where_the_households_go() -> None:
    blocks = chessboard(10)
    places = [(x, y) for x in (10, 90, 120) for y in (120, 180)]
    houses = gpd.GeoDataFrame(
        {"code": [f"h{i}" for i in range(6)], "households": [3, 3, 2, 2, 5, 5]},
        geometry=[shapely.Point(X0 + x, Y0 + y) for x, y in places], crs=blocks.crs,
    )  # fmt: skip
    start = open_plan(laid(blocks, [*"AAABBBCCC"]), houses=houses)
    draft, change = edit.draw(start, area(-5, 95, 50, 150), "A")
    assert change.cut == {"21": ("21.1", "21.2")}
    assert [round(p.area) for p in (draft.blocks["21.1"].shape, draft.blocks["21.2"].shape)] == [7500, 2500]
    assert (draft.blocks["21.2"].households, draft.blocks["21.2"].estimated) == (3, 0)
    assert draft.blocks["21.2"].grid == "A"
    assert (change.households_moved, change.houses) == (3, (("h0", "B", "A"),))
    before, after = change.grids["A"]
    assert (before.households, after.households, after.pieces, round(after.area_m2)) == (30, 33, 1, 32_500)
    assert after.compactness < before.compactness
    assert after.deviation == pytest.approx(33 / 300 - 1)


def test_without_houses_households_are_shared_by_area_and_are_estimates() -> None:
    draft = edit.split_block(board(), "22", line((90, 125), (210, 125))).draft
    assert [(draft.blocks[c].households, draft.blocks[c].estimated) for c in ("22.1", "22.2")] == [(75, 75), (25, 25)]
    assert (draft.grids["B"].households, draft.grids["B"].estimated) == (300, 100)


def test_neighbours_get_the_new_vertices_and_keep_their_own() -> None:
    start = board()
    draft = edit.split_block(start, "22", line((150, 90), (150, 210))).draft
    for code, place in (("12", (150, 100)), ("32", (150, 200))):
        was = list(start.blocks[code].shape.exterior.coords)
        now = list(draft.blocks[code].shape.exterior.coords)
        assert [xy for xy in now if xy not in was] == [(X0 + place[0], Y0 + place[1])]
        assert [xy for xy in now if xy in was] == was
    for code in ("11", "13", "21", "23", "31", "33"):
        assert draft.blocks[code] is start.blocks[code]


def test_a_line_near_corners_and_borders_runs_along_them() -> None:
    draft, change = edit.split_grid(board(), "B", line((99.97, 90), (100.03, 210)))
    assert not change.cut
    assert {c: sorted(m) for c, m in draft.members.items() if c in ("B", "U01")} == {"B": ["22", "23"], "U01": ["21"]}


def test_slivers_stay_with_the_piece_beside_them() -> None:
    with pytest.raises(PlanError, match="cuts nothing of the block 22"):
        edit.split_block(board(), "22", line((100.3, 90), (100.3, 210)))


def test_a_grid_is_split_by_a_line_that_reaches_beyond_it() -> None:
    draft, change = edit.split_grid(board(), "B", line((140, -50), (140, 350)))
    assert set(change.cut) == {"22"}
    assert sorted(draft.members["B"]) == ["22.2", "23"]
    assert sorted(draft.members["U01"]) == ["21", "22.1"]
    assert [draft.grids[c].households for c in ("B", "U01")] == [160, 140]
    assert draft.grids["A"].households == 300


def test_a_block_is_split_by_its_buildings() -> None:
    blocks = chessboard([0, 0, 0, 0, 90, 0, 0, 0, 0])
    at = [105, 110, 115, 150, 155, 160, 190, 193, 196]
    houses = gpd.GeoDataFrame(
        {"households": 10}, index=range(9), geometry=[shapely.Point(X0 + x, Y0 + 110 + i) for i, x in enumerate(at)],
        crs=blocks.crs,
    )  # fmt: skip
    start = open_plan(laid(blocks, [*"AAABBBCCC"]), houses=houses)
    draft, change = edit.split_block_evenly(start, "22", 3)
    assert [draft.blocks[c].households for c in change.cut["22"]] == [30, 30, 30]
    assert draft.grids["B"].estimated == 0
    with pytest.raises(PlanError, match="no straight line parts the houses of the block 11"):
        edit.split_block_evenly(start, "11", 2)


def test_merging_keeps_the_first_code_and_says_which_are_gone() -> None:
    draft, change = edit.merge(board(), ["B", "C"])
    assert sorted(draft.grids) == ["A", "B"]
    assert change.grids["C"][1] is None
    assert change.grids["B"][1].households == 600
    assert edit.merge(board(), ["A", "B"], into="B").draft.grids["B"].households == 600


def test_new_grids_take_the_next_code_that_no_grid_has() -> None:
    one = edit.new_grid(board(), ["11"]).draft
    two = edit.new_grid(one, ["33"], name="东北角", kind="dedicated").draft
    assert [(g.code, g.name, g.kind) for g in map(two.grids.get, ("U01", "U02")) if g] == [
        ("U01", "U01", "residential"), ("U02", "东北角", "dedicated"),
    ]  # fmt: skip
    assert edit.new_grid(board(), ["11"], code="X").draft.grids["X"].households == 100


def test_a_block_in_the_middle_becomes_a_grid_inside_a_grid() -> None:
    draft = edit.merge(board(), ["A", "B", "C"]).draft
    draft = edit.new_grid(draft, ["22"]).draft
    assert len(draft.grids["A"].shape.interiors) == 1
    assert verdict(validate(plan_of(draft).grids), strict=True)["valid"]


def test_a_polygon_inside_a_block_is_a_piece_with_a_ring_round_it() -> None:
    draft, change = edit.draw(board(), area(120, 120, 180, 180))
    assert change.cut == {"22": ("22.1", "22.2")}
    assert len(draft.grids["B"].shape.interiors) == 1
    assert sorted(round(draft.blocks[c].shape.area) for c in change.cut["22"]) == [3600, 6400]


def test_a_locked_grid_keeps_its_ground_but_takes_vertices() -> None:
    draft = edit.lock(board(), ["A"]).draft
    cut = edit.split_block(draft, "22", line((150, 90), (150, 210))).draft
    assert cut.grids["A"].shape.equals(draft.grids["A"].shape)
    assert len(cut.grids["A"].shape.exterior.coords) == len(draft.grids["A"].shape.exterior.coords) + 1
    freed = edit.unlock(cut, ["A"]).draft
    assert edit.assign(freed, ["11"], "B").draft.grids["B"].households == 400


def test_the_plan_that_goes_out_fits_the_contract_and_the_one_that_came_in_stays() -> None:
    plan = partition(town(3), 250.0)
    blocks, grids = plan.blocks.copy(deep=True), plan.grids.copy(deep=True)
    same = plan_of(open_plan(plan))
    pd.testing.assert_frame_equal(pd.DataFrame(same.blocks), pd.DataFrame(plan.blocks), check_dtype=False)
    columns = plan.grids.columns.tolist()
    assert same.grids[columns].to_wkb().equals(plan.grids.to_wkb())
    draft = edit.new_grid(open_plan(plan), ["b00"]).draft
    out = plan_of(draft)
    check(out.grids, "grid")
    check(out.blocks, "block")
    assert json.loads(json.dumps(out.summary)) == out.summary
    assert out.summary["grids"] == len(out.grids)
    pd.testing.assert_frame_equal(pd.DataFrame(plan.blocks), pd.DataFrame(blocks))
    pd.testing.assert_frame_equal(pd.DataFrame(plan.grids), pd.DataFrame(grids))


def test_persons_that_nobody_counted_stay_unknown() -> None:
    blocks = chessboard(persons=pd.array([pd.NA] * 9, dtype="Int64"))
    plan = laid(chessboard(), [*"AAABBBCCC"])
    known = Plan(blocks.assign(grid=plan.blocks["grid"]), plan.grids, plan.summary)
    out = plan_of(edit.assign(open_plan(known), ["11"], "B").draft)
    assert out.blocks["persons"].isna().all()
    assert out.grids["persons"].isna().all()


def test_what_describe_wrote_is_emptied_where_the_ground_changed() -> None:
    plan = laid(chessboard(), [*"AAABBBCCC"])
    told = Plan(plan.blocks, plan.grids.assign(bounds_text="东至…"), plan.summary)
    out = plan_of(edit.assign(open_plan(told), ["11"], "B").draft).grids.set_index("code")["bounds_text"]
    assert out["C"] == "东至…"
    assert out[["A", "B"]].isna().all()


# --- what is refused --------------------------------------------------------------------------------------------------

BOWTIE = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])

REFUSED = {
    "blocks do not exist (row nix)": lambda d: edit.assign(d, ["nix"], "A"),
    "grids do not exist (row nix)": lambda d: edit.assign(d, ["11"], "nix"),
    "the edit changes nothing; found place": lambda d: edit.assign(d, ["11"], "A"),
    "the grid B would be in 2 pieces": lambda d: edit.assign(d, ["22"], "A"),
    "(row 33); found a piece at 447250.000000, 4427250.000000": lambda d: edit.assign(d, ["33"], "A"),
    "the polygon lies outside the plan; found at 447945.000000": lambda d: edit.draw(d, area(900, 0, 990, 9), "A"),
    "the polygon takes no ground from another grid": lambda d: edit.draw(d, area(10, 10, 60, 60), "A"),
    "the polygon is none; found LineString": lambda d: edit.draw(d, line((0, 0), (1, 1)), "A"),
    "the polygon is none; found empty Polygon": lambda d: edit.draw(d, shapely.Polygon(), "A"),
    "the polygon is none; found nothing": lambda d: edit.draw(d, None, "A"),
    "the polygon crosses itself": lambda d: edit.draw(d, BOWTIE, "A"),
    "the polygon cannot be read": lambda d: edit.draw(d, {"type": "Polygon"}, "A"),
    "coordinates that are no numbers": lambda d: edit.split_block(d, "22", line((0, 0), (float("nan"), 1))),
    "the line does not part the grid B": lambda d: edit.split_grid(d, "B", line((150, 90), (150, 150))),
    "the line does not part the grid A": lambda d: edit.split_grid(d, "A", line((0, 250), (300, 250))),
    "the line crosses itself": lambda d: edit.split_grid(d, "A", line((0, 0), (9, 9), (9, 0), (0, 9))),
    "the line is none; found Polygon": lambda d: edit.split_grid(d, "A", area(0, 0, 1, 1)),
    "the line cuts nothing of the block 22": lambda d: edit.split_block(d, "22", line((0, 50), (300, 50))),
    "a block is split into 2 parts or more; found 1": lambda d: edit.split_block_evenly(d, "22", 1),
    "no straight line parts the houses of the block 22; found 0": lambda d: edit.split_block_evenly(d, "22", 2),
    "the grid A would be in 2 pieces": lambda d: edit.merge(d, ["A", "C"]),
    "merging takes two grids or more; found A": lambda d: edit.merge(d, ["A", "A"]),
    "grids are merged into one of them (row C)": lambda d: edit.merge(d, ["A", "B"], into="C"),
    "a grid needs a block": lambda d: edit.new_grid(d, []),
    "the code is taken (row A)": lambda d: edit.new_grid(d, ["33"], code="A"),
    "the code is empty": lambda d: edit.new_grid(d, ["33"], code=" "),
    "the name is empty; found ''": lambda d: edit.rename(d, "A", ""),
    "the kind is unknown; found 'park'": lambda d: edit.set_kind(d, "A", "park"),
    "there is nothing to undo": undo,
    "there is nothing to redo": redo,
    "the operation is unknown; found 'fly'": lambda d: apply(d, {"op": "fly"}),
    "the operation rename does not have these arguments; found grid": lambda d: apply(d, {"op": "rename", "grid": "A"}),
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_refused_edits_say_why(text: str) -> None:
    draft = board()
    before = state(draft)
    with pytest.raises(EditError) as caught:
        REFUSED[text](draft)
    assert text in str(caught.value)
    assert state(draft) == before


LOCKED = {
    "assign": lambda d: edit.assign(d, ["11"], "B"),
    "assign to": lambda d: edit.assign(d, ["21"], "A"),
    "draw": lambda d: edit.draw(d, area(10, 50, 60, 150), "B"),
    "split": lambda d: edit.split_grid(d, "A", line((150, -9), (150, 109))),
    "merge": lambda d: edit.merge(d, ["B", "A"]),
    "new": lambda d: edit.new_grid(d, ["11"]),
    "rename": lambda d: edit.rename(d, "A", "甲"),
    "kind": lambda d: edit.set_kind(d, "A", "dedicated"),
}


@pytest.mark.parametrize("name", LOCKED)
def test_a_locked_grid_is_not_changed(name: str) -> None:
    draft = edit.lock(board(), ["A"]).draft
    with pytest.raises(PlanError, match=r"the grid A is locked.*Unlock it first"):
        LOCKED[name](draft)


def test_units_are_not_crossed() -> None:
    blocks = chessboard().assign(unit=[*"UUUUUUVVV"])
    draft = open_plan(laid(blocks, [*"AAABBBCCC"]))
    for refused in (
        lambda: edit.assign(draft, ["31"], "B"),
        lambda: edit.draw(draft, area(0, 150, 90, 250), "B"),
        lambda: edit.merge(draft, ["B", "C"]),
    ):
        with pytest.raises(PlanError, match=r"the grid B would cross a unit \(.*\); found units U, V"):
            refused()


def test_plans_that_cannot_be_edited_are_named() -> None:
    plan = laid(chessboard(), [*"AAABBBCCC"])
    blocks = plan.blocks
    bent = shapes.replaced(blocks, "22", shapely.union(shapes.shape_of(blocks, "22"), area(150, 150, 201, 160)))
    for frame, error, text in (
        (blocks.drop(columns="grid"), SchemaError, "the column 'grid' is missing"),
        (blocks.assign(grid=[None, *"AABBBCCC"]), PlanError, r"blocks are in no grid \(row 11\)"),
        (blocks.assign(grid=[*"XAABBBCCC"]), PlanError, r"grids that do not exist \(row 11\); found X"),
        (blocks.assign(grid="A"), PlanError, r"grids have no block \(2 rows: B, C\)"),
        (blocks.assign(unit=[*"UVUUUUUUU"]), PlanError, r"grids lie in two units \(row A\)"),
        (blocks.assign(households=-1), PlanError, "households that are missing or negative"),
        (bent, PlanError, "borders of blocks do not match vertex for vertex"),
        (shapes.replaced(blocks, "22", BOWTIE), GeometryError, r"not every block is a valid polygon \(row 22\)"),
    ):
        with pytest.raises(error, match=text):
            open_plan(Plan(frame, plan.grids, plan.summary))


def test_a_log_that_does_not_fit_names_the_operation() -> None:
    draft = edit.rename(board(), "A", "甲").draft
    operations = [*log(draft), {"op": "rename", "grid": "nix", "name": "乙"}]
    with pytest.raises(PlanError, match=r"operation 2 of the log: grids do not exist \(row nix\)"):
        replay(draft.base.plan, operations)
