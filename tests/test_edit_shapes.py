"""Awkward lines and polygons: whatever is drawn, the plan still tiles its ground, or the edit is refused."""

from __future__ import annotations

from functools import cache

import geopandas as gpd
import numpy as np
import pytest
import shapely
import shapes
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import area, board, chessboard, laid, line
from shapes import X0, Y0
from test_edit import assert_rules

from gridgis.errors import EditError
from gridgis.plan import edit
from gridgis.plan.closing import plan_of
from gridgis.plan.editing.draft import Draft
from gridgis.plan.editing.given import plain
from gridgis.plan.opening import open_plan
from gridgis.plan.validate import validate, verdict


@cache
def start_in(plane: str) -> Draft:
    """The board in metres or degrees, with persons."""
    blocks = chessboard(persons=300, estimated=0)
    return open_plan(laid(shapes.in_degrees(blocks) if plane == "degrees" else blocks, [*"AAABBBCCC"]))


def in_degrees(shape: shapely.Geometry) -> shapely.Geometry:
    return shapes.in_degrees(gpd.GeoDataFrame(geometry=[shape], crs=shapes.METRES)).geometry.iloc[0]


def zigzag(teeth: int) -> shapely.LineString:
    """A comb through the middle row, over its northern border and back."""
    x = np.linspace(-5, 305, 2 * teeth + 1)
    return line(*[(v, 160 if i % 2 else 240) for i, v in enumerate(x)])


LINES = {
    "through four corners": line((0, 0), (300, 300)),
    "along a border, then off": line((-9, 100), (150, 100), (150, 250)),
    "along a border only": line((-9, 100), (309, 100)),
    "along a border, 3 cm off": line((-9, 100.03), (309, 99.97)),
    "over a border and back along it": line((20, 50), (50, 130), (60, 100), (140, 100), (150, 150), (240, 90)),
    "grazes a corner": line((0, 200), (200, 0)),
    "touches a border and turns": line((50, 150), (150, 200), (250, 150)),
    "ends on a border": line((150, 100), (150, 200)),
    "ends 4 cm before a border": line((150, 100.04), (150, 199.96)),
    "ends in a block": line((-9, 150), (150, 150)),
    "a comb": zigzag(9),
    "a fine comb": zigzag(40),
    "a closed loop in a block": line((120, 120), (180, 120), (180, 180), (120, 180), (120, 120)),
    "a closed loop over four blocks": line((50, 50), (150, 50), (150, 150), (50, 150), (50, 50)),
    "doubled points": line((150, -9), (150, 50), (150, 50), (150, 309)),
    "three dimensions": shapely.force_3d(line((150, -9), (150, 309)), 55.0),
    "far beyond the plan": line((150, -90_000), (150, 90_000)),
    "very short steps": line(*[(150 + 1e-4 * i, -9 + 3.2 * i) for i in range(100)]),
    "a spiral": line(*[(150 + 9 * a * np.cos(a), 150 + 9 * a * np.sin(a)) for a in np.linspace(0.5, 14, 80)]),
}

POLYGONS = {
    "a block": area(100, 100, 200, 200),
    "a block, 3 cm larger": area(99.97, 99.97, 200.03, 200.03),
    "all of it": area(-9, -9, 309, 309),
    "a hole in it": area(50, 50, 250, 250).difference(area(120, 120, 180, 180)),
    "rings that touch": area(50, 50, 250, 250).difference(
        shapely.Polygon(line((50, 150), (150, 120), (150, 180)).coords)
    ),
    "a corner on a corner": area(200, 200, 290, 290),
    "a thin strip": area(-9, 149.8, 309, 150.2),
    "a needle": shapely.Polygon(line((-9, 150), (309, 149.99), (309, 150.01)).coords),
    "a star": shapely.Polygon(
        [(X0 + 150 + r * np.cos(a), Y0 + 150 + r * np.sin(a))
         for a, r in zip(np.linspace(0, 2 * np.pi, 24, endpoint=False), [140, 30] * 12, strict=True)]),
    "a disc of 500 corners": shapely.Point(X0 + 150, Y0 + 150).buffer(110, quad_segs=125),
    "three dimensions": shapely.force_3d(area(50, 50, 250, 250), 9.0),
}  # fmt: skip


#: What cuts and moves nothing.
NOTHING = {
    "along a border only", "along a border, 3 cm off", "grazes a corner", "ends in a block", "polygon: a needle",
    "polygon: a thin strip",
}  # fmt: skip


def tried(start: Draft, shape: shapely.Geometry) -> list[Draft]:
    """The drafts of every edit of a shape that is not refused."""
    if shape.geom_type == "LineString":
        acts = [lambda b=b: edit.split_block(start, b, shape) for b in ("11", "22", "33") if b in start.blocks]
        acts += [lambda g=g: edit.split_grid(start, g, shape) for g in sorted(start.grids)]
        acts += [lambda g=g: edit.split_responsibility(start, g, shape) for g in sorted(start.grids)]
    else:
        acts = [lambda g=g: edit.draw(start, shape, g) for g in (*sorted(start.grids), None)]
        acts += [lambda g=g: edit.draw_responsibility(start, g, shape) for g in sorted(start.grids)]
    done = []
    for act in acts:
        try:
            done.append(act().draft)
        except EditError as error:
            assert error.reason in ("nothing", "pieces")
            assert error.place is not None
    return done


@pytest.mark.parametrize("plane", ["metres", "degrees"])
@pytest.mark.parametrize("name", [*LINES, *(f"polygon: {p}" for p in POLYGONS)])
def test_whatever_is_drawn_the_plan_tiles_its_ground(name: str, plane: str) -> None:
    shape = POLYGONS[name.removeprefix("polygon: ")] if name.startswith("polygon: ") else LINES[name]
    start = start_in(plane)
    drafts = tried(start, shape if plane == "metres" else in_degrees(shape))
    for draft in drafts:
        assert_rules(draft, start)
    if drafts:  # and once more over what is cut already
        again = line((33, -9), (41, 309))
        more = tried(drafts[-1], again if plane == "metres" else in_degrees(again))
        assert_rules(more[-1], start)
        assert verdict(validate(plan_of(more[-1]).grids), strict=True)["valid"]
    assert drafts or name in NOTHING


@settings(max_examples=40, deadline=None)
@given(
    xy=st.lists(st.tuples(st.sampled_from([-20, 0, 50, 99.98, 100, 150, 200, 200.04, 300, 320]),
                          st.sampled_from([-20, 0, 50, 100, 100.02, 150, 200, 250, 300, 320])),
                min_size=2, max_size=6),
    plane=st.booleans(),
)  # fmt: skip
def test_any_line_through_corners_and_along_borders_keeps_the_rules(xy: list[tuple[float, float]], plane: bool) -> None:
    way = line(*xy) if plane else in_degrees(line(*xy))
    start = start_in("metres" if plane else "degrees")
    if not way.is_simple or way.length == 0:
        with pytest.raises(EditError, match="the line crosses itself or has no extent"):
            edit.split_grid(start, "B", way)
        return
    for draft in tried(start, way):
        assert_rules(draft, start)


def test_numbers_come_back_from_json_bit_for_bit() -> None:
    way = line((1 / 3, 0.1), (200 / 7, 1e-9 + 250))
    assert shapely.geometry.shape(plain(way)).equals_exact(way, 0)


BAD = {
    "the line is none; found MultiLineString": lambda d: edit.split_block(
        d, "22", shapely.MultiLineString([line((0, 0), (1, 1)), line((2, 2), (3, 3))])),
    "the line is none; found Point": lambda d: edit.split_block(d, "22", shapely.Point(0, 0)),
    "the line is none; found empty LineString": lambda d: edit.split_block(d, "22", shapely.LineString()),
    "the line is none; found nothing": lambda d: edit.split_grid(d, "A", None),
    "the line cannot be read": lambda d: edit.split_grid(d, "A", "LINESTRING (0 0, 1 1)"),
    "the line has coordinates that are no numbers": lambda d: edit.split_responsibility(
        d, "A", {"type": "LineString", "coordinates": [[0, 0], [1, float("inf")]]}),
    "the line crosses itself or has no extent; found at 447050.000000, 4427050.000000": lambda d: edit.split_grid(
        d, "A", line((0, 0), (100, 100), (100, 0), (0, 100))),
    "the line crosses itself or has no extent; found Too few points in geometry component at 447001": lambda d: (
        edit.split_grid(d, "A", line((1, 1), (1, 1)))),
    "the polygon is none; found MultiPolygon": lambda d: edit.draw(
        d, shapely.MultiPolygon([area(0, 0, 1, 1), area(2, 2, 3, 3)])),
    "the polygon crosses itself or has no extent; found Self-intersection at 447050.000000, 4427050.000000": lambda d: (
        edit.draw(d, shapely.Polygon(line((0, 0), (100, 100), (100, 0), (0, 100)).coords))),
    "the polygon cannot be read": lambda d: edit.draw(d, {"type": "Polygon", "coordinates": [[1, 2]]}),
    "the polygon lies outside the plan; found at": lambda d: edit.draw(d, shapely.box(116, 39, 117, 40)),
    "blocks do not exist (3 rows: 1, None, x)": lambda d: edit.assign(d, ["x", 1, None], "A"),
    "grids do not exist (row None)": lambda d: edit.assign(d, ["11"], None),
    "a block is split into 2 parts or more; found True": lambda d: edit.split_block_evenly(d, "22", True),
    "the code is empty; found None": lambda d: edit.recode(d, "A", None),
    "the code is empty; found ' '": lambda d: edit.recode(d, "A", " "),
    "the code is taken (row B)": lambda d: edit.recode(d, "A", "B"),
    "the name is empty; found 7": lambda d: edit.rename(d, "A", 7),
}  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_bad_input_is_one_clear_message(text: str) -> None:
    with pytest.raises(EditError) as caught:
        BAD[text](board())
    assert text in str(caught.value)
    assert str(caught.value).count("\n") == 0
