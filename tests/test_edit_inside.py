"""Edits inside a grid: responsibility blocks and road segments, cut, named, and what becomes of them."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import pytest
import shapely
import shapes
from plans import area, bits, board, chessboard, laid, line
from shapes import X0, Y0

from gridgis.errors import EditError, GeometryError, PlanError, SchemaError
from gridgis.plan import edit
from gridgis.plan.closing import plan_of
from gridgis.plan.editing.draft import Draft, ground_of
from gridgis.plan.opening import open_plan
from gridgis.plan.operations import redo, undo
from gridgis.schema import check


def parts(draft: Draft) -> dict[str, list[str]]:
    """The blocks of each responsibility block."""
    found: dict[str, list[str]] = {code: [] for code in sorted(draft.responsibility)}
    for code in sorted(draft.blocks):
        if draft.blocks[code].responsibility:
            found[draft.blocks[code].responsibility].append(code)
    return found


def halves() -> Draft:
    """The board whose grid B is in two responsibility blocks: B-1 (21 and half of 22), B-2."""
    return edit.split_responsibility(board(), "B", line((150, 50), (150, 250))).draft


def place(x: float, y: float) -> shapely.Point:
    return shapely.Point(X0 + x, Y0 + y)


# --- responsibility blocks --------------------------------------------------------------------------------------------


def test_a_line_parts_a_grid_in_responsibility_blocks_that_tile_it() -> None:
    start = board()
    draft, change = edit.split_responsibility(start, "B", line((150, 50), (150, 250)))
    assert change.cut == {"22": ("22.1", "22.2")}
    assert parts(draft) == {"B-1": ["21", "22.1"], "B-2": ["22.2", "23"]}
    assert change.households_moved == 0
    assert {c: (was, now.households, now.blocks) for c, (was, now) in change.responsibility.items()} == {
        "B-1": (None, 150, 2), "B-2": (None, 150, 2),
    }  # fmt: skip
    assert shapely.union(ground_of(draft, "B-1"), ground_of(draft, "B-2")).equals(draft.grids["B"].shape)
    table = plan_of(draft).responsibility_blocks
    check(table, "responsibility_block")
    assert table[["code", "grid", "households"]].values.tolist() == [["B-1", "B", 150], ["B-2", "B", 150]]
    assert bits(undo(draft)) == bits(start)
    assert bits(redo(undo(draft))) == bits(draft)


def test_a_second_line_splits_only_what_it_parts() -> None:
    draft = edit.split_responsibility(halves(), "B", line((250, 50), (250, 250))).draft
    assert parts(draft) == {"B-1": ["21", "22.1"], "B-2": ["22.2", "23.1"], "B-3": ["23.2"]}


def test_responsibility_blocks_are_made_of_blocks_and_the_rest_becomes_one() -> None:
    draft = edit.new_responsibility(board(), ["22"], name="市场", kind="商户").draft
    assert parts(draft) == {"B-1": ["22"], "B-2": ["21"], "B-3": ["23"]}  # the rest hangs together in two pieces
    assert (draft.responsibility["B-1"].name, draft.responsibility["B-1"].kind) == ("市场", "商户")
    more = edit.assign_responsibility(draft, ["22"], "B-2").draft
    assert parts(more) == {"B-2": ["21", "22"], "B-3": ["23"]}
    one = edit.merge_responsibility(more, ["B-3", "B-2"]).draft
    assert parts(one) == {"B-3": ["21", "22", "23"]}
    assert edit.describe_responsibility(one, "B-3", name="整格").draft.responsibility["B-3"].name == "整格"
    assert parts(edit.drop_responsibility(one, "B").draft) == {}


def test_a_drawn_polygon_takes_only_ground_of_its_grid() -> None:
    draft, change = edit.draw_responsibility(board(), "B", area(-50, 50, 50, 250))
    assert parts(draft) == {"B-1": ["21.1"], "B-2": ["21.2", "22", "23"]}
    assert draft.members["A"] == frozenset({"11", "12", "13"})
    assert set(change.responsibility) == {"B-1", "B-2"}
    again = edit.draw_responsibility(draft, "B", area(-50, 50, 100, 250), to="B-1").draft
    assert parts(again) == {"B-1": ["21.1", "21.2"], "B-2": ["22", "23"]}


def test_blocks_that_leave_and_come_join_the_responsibility_block_beside_them() -> None:
    draft, change = edit.assign(halves(), ["13", "33"], "B")
    assert parts(draft) == {"B-1": ["21", "22.1"], "B-2": ["13", "22.2", "23", "33"]}
    assert change.responsibility["B-2"][1].households == 350
    left, change = edit.assign(halves(), ["21", "22.1"], "A")
    assert parts(left) == {"B-2": ["22.2", "23"]}
    assert change.responsibility["B-1"][1] is None


def test_a_grid_that_is_merged_brings_its_responsibility_blocks_along() -> None:
    draft = edit.merge(halves(), ["A", "B"]).draft
    assert parts(draft) == {"A-1": ["11", "12", "13"], "B-1": ["21", "22.1"], "B-2": ["22.2", "23"]}
    assert {p.grid for p in draft.responsibility.values()} == {"A"}


def test_a_split_grid_parts_the_responsibility_block_that_the_line_goes_through() -> None:
    draft = edit.split_grid(halves(), "B", line((60, 50), (60, 250))).draft
    kept, new = ("B", "U01")
    assert {c: p.grid for c, p in draft.responsibility.items()} == {"B-1": kept, "B-2": kept, "U01-1": new}
    assert parts(draft) == {"B-1": ["21.2", "22.1"], "B-2": ["22.2", "23"], "U01-1": ["21.1"]}


def test_a_responsibility_block_cut_in_two_by_what_leaves_becomes_two() -> None:
    plan = laid(chessboard(), [*"AAAABAAAA"])
    start = edit.new_responsibility(open_plan(plan), ["22"]).draft
    assert parts(start) == {"B-1": ["22"]}
    row = edit.new_responsibility(edit.merge(board(), ["B", "C"]).draft, ["21", "22", "23"]).draft
    assert parts(row) == {"B-1": ["21", "22", "23"], "B-2": ["31", "32", "33"]}
    torn = edit.assign(row, ["22"], "A").draft
    assert parts(torn) == {"B-1": ["21"], "B-2": ["31", "32", "33"], "B-3": ["23"]}


def test_a_new_code_of_the_grid_is_known_to_what_is_inside() -> None:
    start = edit.new_segment(halves(), "B", line((0, 100), (300, 100))).draft
    draft, change = edit.recode(start, "B", "K7")
    assert {p.grid for p in draft.responsibility.values()} == {"K7"}
    assert draft.segments["B-S1"].grid == "K7"
    assert change.successors == {"B": (("K7", 1.0),)}
    assert (change.households_moved, change.houses, change.ground_moved_m2) == (0, (), 0)
    assert draft.grids["K7"].name == "K7"  # it was the code
    assert edit.recode(edit.rename(board(), "A", "甲").draft, "A", "U99").draft.grids["U99"].name == "甲"


def test_blocks_and_responsibility_blocks_come_back_from_tables() -> None:
    plan = plan_of(halves())
    again = open_plan(plan, responsibility_blocks=plan.responsibility_blocks)
    assert parts(again) == parts(halves())
    assert bits(again) == bits(halves())
    table = plan.responsibility_blocks
    for frame, error, text in (
        (table.drop(columns="grid"), SchemaError, "the column 'grid' is missing"),
        (table.assign(grid="nix"), PlanError, "rows are in grids that do not exist"),
        (table.assign(grid="A"), PlanError, r"overlap, or leave their grid \(row B-1\); found block 21 of the grid B"),
        (table[:1], PlanError, r"do not tile their grid \(2 rows: 22.2, 23\); found blocks in none"),
        (shapes.replaced(table, "B-1", area(0, 100, 120, 200)), PlanError, r"not made of whole blocks \(row B-1\)"),
        (shapes.replaced(table, "B-1", None), GeometryError, "not every row is a valid polygon"),
    ):
        with pytest.raises(error, match=text):
            open_plan(plan, responsibility_blocks=frame)


# --- road segments ----------------------------------------------------------------------------------------------------


def street(draft: Draft | None = None) -> Draft:
    """The board with the street between A and B as a segment of B."""
    return edit.new_segment(draft or board(), "B", line((0, 100), (300, 100)), name="前街").draft


def test_a_segment_is_cut_at_a_place_and_its_pieces_meet() -> None:
    draft, change = edit.split_segment(street(), "B-S1", place(110, 104))
    first, second = (draft.segments[c] for c in ("B-S1.1", "B-S1.2"))
    assert first.shape.coords[-1] == second.shape.coords[0] == (X0 + 110, Y0 + 100)
    assert (first.name, second.grid) == ("前街", "B")
    assert change.segments["B-S1"][1] is None
    assert change.segments["B-S1.2"][1].length_m == 190
    check(plan_of(draft).segments, "segment")
    one = edit.merge_segments(draft, ["B-S1.2", "B-S1.1"], into="B-S1.1").draft
    assert one.segments["B-S1.1"].shape.length == 300
    named = edit.describe_segment(one, "B-S1.1", name="前街东段", kind="主街").draft.segments["B-S1.1"]
    assert (named.name, named.kind) == ("前街东段", "主街")
    assert edit.drop_segment(one, "B-S1.1").draft.segments == {}


def test_a_segment_goes_with_the_ground_along_it() -> None:
    start = edit.split_segment(street(), "B-S1", place(150, 100)).draft
    split, change = edit.split_grid(start, "B", line((150, 50), (150, 250)))
    gone = next(c for c in split.grids if c not in "ABC")
    assert {s.grid for s in split.segments.values()} == {gone, "B"}
    assert len(change.segments) == 1
    merged = edit.merge(start, ["C", "B"]).draft
    assert {s.grid for s in merged.segments.values()} == {"C"}
    kept = edit.assign(street(), ["21"], "C").draft
    assert kept.segments["B-S1"].grid == "B"


def test_columns_of_segments_that_came_in_stay() -> None:
    table = gpd.GeoDataFrame({"code": ["s"], "grid": ["A"], "width": [3.5]}, geometry=[line((0, 0), (300, 0))],
                             crs=shapes.METRES)  # fmt: skip
    draft = edit.split_segment(board(segments=table), "s", place(100, 0)).draft
    assert plan_of(draft).segments[["code", "width"]].values.tolist() == [["s.1", 3.5], ["s.2", 3.5]]
    with pytest.raises(GeometryError, match=r"not every segment is one line \(row s\)"):
        board(segments=table.set_geometry([place(0, 0)], crs=shapes.METRES))


REFUSED: dict[str, tuple[str, Any]] = {
    "the line does not part the grid B": ("nothing", lambda d: edit.split_responsibility(d, "B", line((0, 9), (9, 9)))),
    "responsibility blocks do not exist (row nix)": ("unknown", lambda d: edit.assign_responsibility(d, ["21"], "nix")),
    "would leave its grid B (row 11)": ("unit", lambda d: edit.assign_responsibility(d, ["11"], "B-1")),
    "the responsibility block B-1 would be in 2 pieces (row 23)": (
        "pieces", lambda d: edit.assign_responsibility(d, ["23"], "B-1")),
    "a responsibility block needs a block": ("argument", lambda d: edit.new_responsibility(d, [])),
    "a responsibility block lies in one grid": ("unit", lambda d: edit.new_responsibility(d, ["11", "21"])),
    "the code is taken (row B-1)": ("argument", lambda d: edit.new_responsibility(d, ["11"], code="B-1")),
    "merging takes two responsibility blocks or more": ("argument", lambda d: edit.merge_responsibility(d, "B-1")),
    "the responsibility block A-1 is of another grid": (
        "unit", lambda d: edit.merge_responsibility(edit.new_responsibility(d, ["11"]).draft, ["B-1", "A-1"])),
    "the polygon takes no ground of the grid B": (
        "nothing", lambda d: edit.draw_responsibility(d, "B", area(0, 0, 90, 90))),
    "the edit changes nothing; found drop_responsibility": ("nothing", lambda d: edit.drop_responsibility(d, "A")),
    "the grid B is locked; found at 447": (
        "locked", lambda d: edit.drop_responsibility(edit.lock(d, "B").draft, "B")),
    "segments do not exist (row nix)": ("unknown", lambda d: edit.drop_segment(d, "nix")),
    "the segment A-S1 does not run along the grid A": (
        "outside", lambda d: edit.new_segment(d, "A", line((0, 200), (300, 200)))),
    "the place is not on the segment B-S1; found 50.0 m off": (
        "outside", lambda d: edit.split_segment(d, "B-S1", place(100, 150))),
    "the place is at an end of the segment B-S1": (
        "nothing", lambda d: edit.split_segment(d, "B-S1", place(-10, 100))),
    "the place is none; found LineString": (
        "geometry", lambda d: edit.split_segment(d, "B-S1", line((0, 0), (1, 1)))),
    "the segments do not lie end to end": (
        "pieces", lambda d: edit.merge_segments(
            edit.new_segment(d, "B", line((0, 200), (90, 200))).draft, ["B-S1", "B-S2"])),
    "segments of several grids are not merged": (
        "unit", lambda d: edit.merge_segments(
            edit.new_segment(d, "A", line((0, 0), (90, 0))).draft, ["B-S1", "A-S1"])),
    "the segment B-S1 does not run along the grid C": ("outside", lambda d: edit.assign_segment(d, "B-S1", "C")),
    "the edit changes nothing; found describe_segment": (
        "nothing", lambda d: edit.describe_segment(d, "B-S1", name="前街")),
    "the name is empty": ("argument", lambda d: edit.describe_responsibility(d, "B-1", name=" ")),
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_refused_edits_say_why_and_where(text: str) -> None:
    reason, act = REFUSED[text]
    draft = street(halves())
    before = bits(draft)
    with pytest.raises(EditError) as caught:
        act(draft)
    assert text in str(caught.value)
    assert caught.value.reason == reason
    assert bits(draft) == before
