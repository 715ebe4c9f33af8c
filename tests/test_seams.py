"""Do segments join and cover their streets, each stretch once? Laws first, then each kind, real places, bad input."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapely import LineString, MultiLineString
from shapely.ops import substring
from shapes import DEGREES, LAT0, LON0, METRES, METRES_PER_DEGREE, X0, Y0

from gridgis.errors import GeometryError, GridgisWarning, InputError
from gridgis.plan.checking import seams
from gridgis.plan.checking.ruler import Ruler
from gridgis.plan.checking.seams import DOUBLED_LENGTH_M, REACH_M, SEAM_M, seam_faults
from gridgis.plan.checking.tiling import Fault

LAWS = settings(max_examples=30, deadline=None)

seeds = st.integers(0, 10_000)
units = st.sampled_from([METRES, DEGREES])
with_streets = st.booleans()


# --- streets and segments ---------------------------------------------------------------------------------------------


def placed(lines: Sequence[Any], crs: str = METRES) -> gpd.GeoSeries:
    """Lines given in metres near 0, 0, around the spot of the shared shapes; None stays None."""
    origin, scale = ((X0, Y0), (1.0, 1.0)) if crs == METRES else ((LON0, LAT0), METRES_PER_DEGREE)
    moved = [g if g is None else shapely.transform(g, lambda xy: xy / scale + origin) for g in lines]
    return gpd.GeoSeries(moved, crs=crs)


def street(seed: int, metres: float = 500.0) -> LineString:
    """A crooked street that never turns back: each edge is at most 20° off its general direction."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi) + rng.uniform(-np.pi / 9, np.pi / 9, 40)
    step = rng.uniform(5, 60, 40)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return substring(LineString(np.vstack([[0, 0], np.cumsum(step, axis=0)])), 0, metres)


def chain(line: LineString, seed: int, pieces: int = 5, shortest: float = 45.0) -> list[LineString]:
    """The street cut at random places."""
    rng = np.random.default_rng(seed)
    spare = np.diff(np.concatenate([[0], np.sort(rng.random(pieces - 1)), [1]])) * (line.length - pieces * shortest)
    at = np.concatenate([[0], np.cumsum(spare + shortest)])
    return [substring(line, a, b) for a, b in pairwise(at)]


def town(seed: int, size: int = 4) -> tuple[list[LineString], list[LineString]]:
    """The streets of a crooked chessboard, and segments that are short, aside, doubled or missing here and there."""
    rng = np.random.default_rng(seed)
    nodes = np.stack(np.meshgrid(*2 * [np.arange(size) * 110.0]), axis=-1) + rng.uniform(-15, 15, (size, size, 2))
    sides = [((i, j), (i + di, j + dj)) for i in range(size) for j in range(size) for di, dj in ((0, 1), (1, 0))]
    streets = [LineString([nodes[a], nodes[b]]) for a, b in sides if max(b) < size]
    segments = []
    for line in streets:
        fate = rng.random()
        if fate < 0.1:
            continue
        trim = rng.uniform(0, 28, 2) * (rng.random(2) < 0.3)
        piece = substring(line, trim[0], line.length - trim[1])
        if fate > 0.7:
            piece = shapely.transform(piece, lambda xy: xy + rng.uniform(-4, 4, 2))
        segments += [piece, substring(line, 0, 60)] if fate > 0.9 else [piece]
    return streets, segments


def faults(lines: gpd.GeoSeries, streets: gpd.GeoSeries | None = None, **options: Any) -> list[Fault]:
    ruler = Ruler.of(lines if streets is None else streets)
    return seam_faults(lines.to_numpy(), None if streets is None else streets.to_numpy(), ruler, **options)


def facts(found: list[Fault]) -> list[tuple[str, str, tuple[int, ...]]]:
    return sorted((fault.kind, fault.note, fault.rows) for fault in found)


def places_of(found: list[Fault]) -> list[tuple[object, ...]]:
    """What must not depend on the order of rows: kind, length and middle of each fault, to a millimetre.

    Of two segments that run along each other the stretch of the first is given, so only their number tells.
    """
    lines = [(f.geometry.length, *f.geometry.centroid.coords[0]) if f.kind != "overlap" else () for f in found]
    return sorted((f.kind, *(round(value, 3) for value in line)) for f, line in zip(found, lines, strict=True))


def metres(fault: Fault, lines: gpd.GeoSeries) -> float:
    return float(shapely.length(Ruler.of(lines).metres(fault.geometry)))


# --- laws -------------------------------------------------------------------------------------------------------------


@LAWS
@given(seeds, units, with_streets, st.integers(1, 8), st.sampled_from([0.1, SEAM_M, 8.0]))
def test_a_chain_cut_from_one_street_has_no_fault(seed: int, crs: str, streets: bool, pieces: int, seam: float) -> None:
    line = street(seed)
    lines = placed(chain(line, seed, pieces, shortest=15.0), crs)
    assert faults(lines, placed([line], crs) if streets else None, seam=seam) == []


@LAWS
@given(seeds, units, with_streets, st.integers(0, 3), st.floats(0, 28), st.floats(0, 1), st.sampled_from([0.1, SEAM_M]))
def test_a_shortened_end_is_one_seam_as_wide_as_what_is_missing(
    seed: int, crs: str, streets: bool, at: int, missing: float, share: float, seam: float
) -> None:
    line = street(seed)
    pieces = chain(line, seed)
    pieces[at] = substring(pieces[at], 0, pieces[at].length - share * missing)
    pieces[at + 1] = substring(pieces[at + 1], (1 - share) * missing, pieces[at + 1].length)
    lines = placed(pieces, crs)
    ends = [lines.iloc[at].coords[-1], lines.iloc[at + 1].coords[0]]
    width = float(shapely.length(Ruler.of(lines).metres(LineString(ends))))
    assume(width > seam + 0.01)
    (fault,) = faults(lines, placed([line], crs) if streets else None, seam=seam)
    assert fault[:2] == ("gap", (at, at + 1)) and fault.note == "seam"
    assert metres(fault, lines) == width
    assert sorted(fault.geometry.coords) == sorted(ends)  # bit for bit


@LAWS
@given(seeds, units, st.integers(0, 4))
def test_a_dropped_segment_is_one_uncovered_street(seed: int, crs: str, dropped: int) -> None:
    line = street(seed)
    pieces = placed(chain(line, seed), crs)
    streets = placed([line], crs)
    left = pieces.drop(index=dropped)
    (fault,) = faults(left, streets)
    beside = [row for row, piece in enumerate(left.index) if abs(piece - dropped) == 1]
    assert fault[:2] == ("uncovered", tuple(beside)) and fault.note == "street"
    there = Ruler.of(streets).metres(np.array([fault.geometry, pieces[dropped]], dtype=object))
    assert shapely.hausdorff_distance(*there) < 1e-4  # shares of an edge differ a little between metres and degrees
    assert set(fault.geometry.coords[1:-1]) <= set(streets.iloc[0].coords)  # bit for bit
    assert faults(left) == []


@LAWS
@given(seeds, units, with_streets, st.integers(0, 4), st.booleans())
def test_a_doubled_segment_is_one_overlap(seed: int, crs: str, streets: bool, twice: int, turned: bool) -> None:
    line = street(seed)
    pieces = chain(line, seed)
    copy = shapely.reverse(pieces[twice]) if turned else pieces[twice]
    lines = placed([*pieces, copy], crs)
    (fault,) = faults(lines, placed([line], crs) if streets else None)
    assert fault[:2] == ("overlap", (twice, 5)) and fault.note == "segment"
    assert fault.geometry.equals_exact(lines[twice], 0)


@LAWS
@given(seeds, with_streets, st.tuples(st.floats(0, 15), st.floats(0, 60)).map(sorted))
def test_a_larger_seam_reports_nothing_that_a_smaller_one_does_not(
    seed: int, streets: bool, seam: Sequence[float]
) -> None:
    roads, segments = map(placed, town(seed))
    small, large = (faults(segments, roads if streets else None, seam=s) for s in seam)
    for kind in ("gap", "overlap"):
        assert {(f.rows, f.geometry.wkb) for f in large if f.kind == kind} <= {
            (f.rows, f.geometry.wkb) for f in small if f.kind == kind
        }
    before, after = (
        shapely.union_all([f.geometry for f in found if f.kind == "uncovered"]) for found in (small, large)
    )
    assert shapely.difference(after, before.buffer(1e-5)).is_empty


@LAWS
@given(seeds, with_streets, st.randoms(use_true_random=False))
def test_the_order_and_the_direction_of_lines_do_not_matter(seed: int, streets: bool, random: Any) -> None:
    roads, segments = map(placed, town(seed))
    order = list(range(len(segments)))
    random.shuffle(order)
    turned = [shapely.reverse(segments[row]) if random.random() < 0.5 else segments[row] for row in order]
    some = gpd.GeoSeries(turned, crs=METRES)
    other = roads.sample(frac=1, random_state=random.randrange(1000)) if streets else None
    assert places_of(faults(some, other)) == places_of(faults(segments, roads if streets else None))


@given(seeds, with_streets)
@LAWS
def test_the_same_input_gives_the_same_bytes_and_is_not_changed(seed: int, streets: bool) -> None:
    roads, segments = map(placed, town(seed))
    before = segments.to_wkb().tolist()
    first, second = (faults(segments, roads if streets else None) for _ in range(2))
    assert [(f.kind, f.rows, f.geometry.wkb) for f in first] == [(f.kind, f.rows, f.geometry.wkb) for f in second]
    assert segments.to_wkb().tolist() == before


# --- breaks -----------------------------------------------------------------------------------------------------------

WEST, EAST = LineString([(-100, 0), (-12, 0)]), LineString([(0, 0), (100, 0)])
ACROSS = LineString([(0, -100), (0, 100)])


def test_a_street_that_stops_short_of_the_line_that_it_runs_into_is_a_break_where_streets_are_known() -> None:
    lines = placed([WEST, ACROSS])
    assert faults(lines) == []
    (fault,) = faults(lines, placed([LineString([(-100, 0), (0, 0)]), ACROSS]))
    assert fault[:2] == ("gap", (0, 1))
    assert metres(fault, lines) == pytest.approx(12)


def test_at_a_crossing_the_segment_that_goes_straight_on_is_named() -> None:
    south, north = LineString([(0, -100), (0, 0)]), LineString([(0, 0), (0, 100)])
    lines = placed([north, south, WEST, EAST])
    for streets in (None, placed([LineString([(-100, 0), (100, 0)]), ACROSS])):
        assert facts(faults(lines, streets)) == [("gap", "seam", (2, 3))]


def test_the_end_of_a_street_is_no_break() -> None:
    facing = placed([WEST, LineString([(0, 3), (100, 3)])])
    streets = placed([WEST, LineString([(0, 3), (100, 3)])])
    assert facts(faults(facing)) == [("gap", "seam", (0, 1))]
    assert faults(facing, streets) == []


def test_ends_that_lie_beside_each_other_are_no_break() -> None:
    carriageways = placed([LineString([(0, 0), (100, 0)]), LineString([(0, 9), (100, 9)])])
    kerb = LineString([(100, -50), (100, 50)])
    assert faults(carriageways) == []
    ways = [*placed([kerb]), *carriageways]
    assert facts(faults(carriageways, gpd.GeoSeries(ways, crs=METRES))) == [("uncovered", "street", (0, 1))]


def test_a_name_joins_ends_where_the_street_turns() -> None:
    lines = placed([WEST, LineString([(-4, 3), (-4, 100)])])
    assert faults(lines) == []
    assert faults(lines, names=["青石路", "荻塘路"]) == []
    assert faults(lines, names=[None, None]) == []
    assert facts(faults(lines, names=["青石路", "青石路"])) == [("gap", "seam", (0, 1))]


def test_a_street_that_turns_within_the_break_is_followed() -> None:
    lines = placed([WEST, LineString([(0, 12), (0, 100)])])
    assert faults(lines) == []
    (fault,) = faults(lines, placed([LineString([(-100, 0), (0, 0), (0, 100)])]))
    assert fault.rows == (0, 1)
    assert metres(fault, lines) == pytest.approx(np.hypot(12, 12))


def test_an_end_away_from_every_street_looks_straight_ahead() -> None:
    lines = placed([WEST, EAST])
    away = placed([LineString([(-100, 500), (100, 500)])])
    assert facts(faults(lines, away)) == [("gap", "seam", (0, 1)), ("uncovered", "street", ())]


def test_parts_of_one_segment_are_joined_or_are_a_break_of_it_alone() -> None:
    joined = MultiLineString([[(0, 0), (50, 0)], [(50, 0), (100, 0)]])
    broken = MultiLineString([[(0, 0), (50, 0)], [(60, 0), (100, 0)]])
    assert faults(placed([joined])) == []
    (fault,) = faults(placed([broken]))
    assert fault.rows == (0,)
    assert fault.geometry.length == pytest.approx(10)


@pytest.mark.parametrize(
    ("line", "beside"),
    [
        ([(0, 0), (40, 0), (40, 40), (0, 40), (0, 0)], [(0, -12), (90, -12)]),
        ([(0, -50), (0, 0), (20, 20), (0, 40), (-20, 20), (0, 0)], [(12, -12), (70, 46)]),
    ],
    ids=["ring", "lollipop"],
)
def test_a_line_that_returns_to_itself_has_no_loose_end_there(line: Any, beside: Any) -> None:
    names = ["环路", "环路"]
    assert faults(placed([LineString(line), LineString(beside)]), names=names) == []
    cut = substring(LineString(line), 0, LineString(line).length - 5)
    assert facts(faults(placed([cut, LineString(beside)]), names=names)) == [("gap", "seam", (0, 1))]


# --- uncovered and doubled --------------------------------------------------------------------------------------------


def test_only_streets_of_the_segments_kinds_are_expected() -> None:
    main, lane, river, other = (LineString([(0, y), (300, y)]) for y in (0, 100, 200, 300))
    lines, streets = placed([main]), placed([main, lane, river, other])
    found: dict[str, Any] = {"classes": ["main", "lane", "river", None]}
    assert faults(lines, streets, kinds=["main"], **found) == []
    assert len(faults(lines, streets, **found)) == 2  # the river is no street
    assert len(faults(lines, streets, kinds=["责任路段"], **found)) == 2  # a kind that is no class tells nothing
    assert len(faults(lines, streets)) == 3


def test_a_street_that_is_listed_twice_is_missed_once() -> None:
    (fault,) = faults(placed([ACROSS]), placed([EAST, shapely.reverse(EAST), ACROSS]))
    assert fault.geometry.length == pytest.approx(100)


def test_streets_count_on_the_ground_only() -> None:
    lines, streets = placed([EAST]), placed([LineString([(0, 0), (300, 0)]), LineString([(400, 0), (500, 0)])])
    ground = shapely.box(X0 - 10, Y0 - 10, X0 + 150, Y0 + 10)
    (fault,) = faults(lines, streets, ground=ground)
    assert fault.geometry.equals(LineString([(X0 + 100, Y0), (X0 + 150, Y0)]))
    assert faults(lines, streets, ground=shapely.box(X0, Y0, X0 + 100, Y0 + 10)) == []
    assert faults(lines, streets, ground=shapely.box(X0, Y0 + 50, X0 + 100, Y0 + 60)) == []


@pytest.mark.parametrize(("left", "kinds"), [(REACH_M - 1, []), (REACH_M + 1, ["uncovered"])])
def test_the_last_metres_of_a_street_are_let_off(left: float, kinds: list[str]) -> None:
    found = faults(placed([LineString([(0, 0), (200 - left, 0)])]), placed([LineString([(0, 0), (200, 0)])]))
    assert [fault.kind for fault in found] == kinds


def test_a_ring_is_uncovered_in_one_piece_wherever_it_begins() -> None:
    ring = LineString([(0, 0), (40, 0), (40, 40), (0, 40), (0, 0)])
    (fault,) = faults(placed([substring(ring, 20, 140)]), placed([ring]))
    assert fault.geometry.length == pytest.approx(40)


def test_a_street_in_many_pieces_is_uncovered_in_one() -> None:
    pieces = [LineString([(x, 0), (x + 10, 0)]) for x in range(0, 200, 10)]
    (fault,) = faults(placed([LineString([(0, 0), (90, 0)])]), placed(pieces))
    assert fault.geometry.length == pytest.approx(110)


def test_what_runs_beside_a_street_covers_it_within_the_tolerance() -> None:
    aside = placed([LineString([(0, 3), (200, 3)])])
    streets = placed([LineString([(0, 0), (200, 0)])])
    assert facts(faults(aside, streets)) == [("uncovered", "street", ())]
    assert faults(aside, streets, seam=3.0) == []


@pytest.mark.parametrize("shape", [ACROSS, LineString([(-100, -30), (100, 30)]), LineString([(-100, 9), (100, 9)])])
def test_crossings_forks_and_carriageways_are_not_doubled(shape: LineString) -> None:
    assert faults(placed([LineString([(-100, 0), (100, 0)]), shape])) == []


@pytest.mark.parametrize(("over", "rows"), [(DOUBLED_LENGTH_M - 1, []), (DOUBLED_LENGTH_M + 1, [(0, 1)])])
def test_a_segment_that_runs_on_beside_the_next_is_doubled(over: float, rows: list[tuple[int, int]]) -> None:
    lines = placed([LineString([(0, 0), (100 + over, 0)]), LineString([(100, 0), (200, 0)])])
    found = faults(lines)
    assert [fault.rows for fault in found] == rows
    assert [fault.geometry.length for fault in found] == pytest.approx([over] * len(rows))


# --- real places ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streets", [False, True])
@pytest.mark.parametrize("seam", [0.0, SEAM_M, 11.0])
def test_the_planted_break_of_the_sample_is_found_and_nothing_else(sample: Path, streets: bool, seam: float) -> None:
    lines = gpd.read_file(sample / "segments.geojson")
    barriers = gpd.read_file(sample / "barriers.geojson")
    ground = gpd.read_file(sample / "boundary.geojson").union_all()
    options: dict[str, Any] = {"kinds": lines["kind"], "classes": barriers["class"], "ground": ground}
    found = (
        faults(lines.geometry, barriers.geometry, seam=seam, **options)
        if streets
        else faults(lines.geometry, seam=seam)
    )
    (fault,) = found
    assert [lines["code"][row] for row in fault.rows] == ["LD084", "LD085"]
    assert (fault.kind, fault.note) == ("gap", "seam")
    assert metres(fault, lines.geometry) == pytest.approx(12, abs=1)  # five decimals of a degree


@pytest.mark.places
def test_cambridge_covers_itself(places: Path) -> None:
    lines = gpd.read_file(places / "cambridge" / "TRANS_Centerlines.geojson")
    # One street is listed twice for 33 m; dead ends that face each other are breaks as long as no street tells.
    overlaps = [f for f in faults(lines.geometry, lines.geometry, names=lines["Street"]) if f.kind == "overlap"]
    assert [set(lines["Street"][list(f.rows)]) for f in overlaps] == [{"Elmwood Ave"}]
    assert facts(faults(lines.geometry, lines.geometry)) == facts(overlaps)
    assert [f.kind for f in faults(lines.geometry)].count("gap") == 6


@pytest.mark.places
def test_streets_taken_from_cambridge_are_missed(places: Path) -> None:
    lines = gpd.read_file(places / "cambridge" / "TRANS_Centerlines.geojson").geometry
    long = np.flatnonzero(shapely.length(Ruler.of(lines).metres(lines.to_numpy())) > 60)[::40]
    found = faults(lines.drop(index=long), lines)
    missed = shapely.union_all([f.geometry for f in found if f.kind == "uncovered"])
    middles = shapely.line_interpolate_point(lines.to_numpy(), 0.5, normalized=True)
    there = shapely.distance(middles, missed) < 1e-9
    assert len(long) > 30
    assert np.flatnonzero(there).tolist() == long.tolist()


# --- bad input --------------------------------------------------------------------------------------------------------


def test_rows_without_a_line_keep_their_place_and_are_counted() -> None:
    lines = placed([None, WEST, LineString(), EAST, LineString([(5, 5), (5, 5)])])
    with pytest.warns(GridgisWarning, match=r"segments: 3 of 5 have no line and cover nothing \(3 rows: 1, 3, 5\)"):
        assert facts(faults(lines)) == [("gap", "seam", (1, 3))]


def test_no_segments_leave_every_street_and_no_streets_nothing() -> None:
    streets = placed([EAST, None, LineString()])
    nothing = np.array([], dtype=object)
    ruler = Ruler.of(streets)
    assert facts(seam_faults(nothing, streets.to_numpy(), ruler)) == [("uncovered", "street", ())]
    assert seam_faults(nothing, None, ruler) == seam_faults(nothing, nothing, ruler) == []
    assert seam_faults(np.array([WEST, EAST], dtype=object), nothing, ruler)[0].rows == (0, 1)


def test_heights_are_not_read() -> None:
    high = placed([LineString([(-100, 0, 5), (-12, 0, 9)]), EAST])
    assert [f.geometry.has_z for f in faults(high)] == [False]


@pytest.mark.parametrize("seam", [-1.0, float("nan"), float("inf")])
def test_the_tolerance_is_a_number(seam: float) -> None:
    with pytest.raises(InputError, match=f"seam must be a number ≥ 0; found {seam}"):
        faults(placed([EAST]), seam=seam)


def test_columns_fit_their_rows() -> None:
    with pytest.raises(InputError, match="kinds must be one for each row; found 2; wanted 1"):
        faults(placed([EAST]), kinds=["main", "main"])
    with pytest.raises(InputError, match="names must be one for each row; found 0; wanted 1"):
        faults(placed([EAST]), names=[])
    with pytest.raises(InputError, match="classes must be one for each row; found 1; wanted 2"):
        faults(placed([EAST]), placed([EAST, WEST]), classes=["main"])


def test_lines_are_lines_with_numbers() -> None:
    point, area = shapely.Point(0, 0), shapely.box(0, 0, 1, 1)
    with pytest.raises(GeometryError, match=r"of the wrong type \(2 rows: 2, 3\); found Point, Polygon"):
        faults(placed([EAST, point, area]))
    with pytest.raises(GeometryError, match=r"streets: geometry of the wrong type .*found Point; wanted lines"):
        faults(placed([EAST]), placed([point, EAST]))
    with np.errstate(invalid="ignore"):
        nowhere = np.array([EAST, LineString([(0, 0), (float("nan"), 1)])], dtype=object)
    with pytest.raises(GeometryError, match=r"segments: coordinates that are no numbers \(row 2\)"):
        seam_faults(nowhere, None, Ruler.of(placed([EAST])))


def test_the_defaults_are_stated() -> None:
    assert (seams.SEAM_M, seams.REACH_M, seams.DOUBLED_M) == (2.0, 30.0, 1.0)
