"""Patrols, and the share of the ground they covered."""

from __future__ import annotations

from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from walks import CORNER, METRES, grids_of, line, walk

from gridgis.errors import CRSError, GridgisWarning, InputError, SchemaError
from gridgis.patrol import coverage as room
from gridgis.patrol.coverage import SHARE_ERROR, holes, patrol_coverage
from gridgis.patrol.inside import cleaned_steps, grid_shapes, inside_of, metres_of, near_pairs
from gridgis.patrol.painting import Raster, filled, paint, raster_of
from gridgis.patrol.tracks import PATROL_COLUMNS, clean_tracks, patrols
from gridgis.profile import Parameters

X, Y = CORNER
AREA = Parameters(ground="area")
LEFT_RIGHT = grids_of(A=shapely.box(0, 0, 300, 300), B=shapely.box(300, 0, 600, 300))


# --- patrols ----------------------------------------------------------------------------------------------------------


def test_minutes_and_metres_of_a_straight_walk() -> None:
    # 480 m at 1.2 m/s: 40 steps of 12 m and 10 s; the first 300 m lie in A.
    out = patrols(walk(line((0, 150), (480, 150))), LEFT_RIGHT)
    assert list(out.columns) == PATROL_COLUMNS
    one = out.iloc[0]
    assert one[["staff", "patrol", "grid"]].tolist() == ["w1", "w1/20260302T080000", "A"]
    assert one["date"] == pd.Timestamp("2026-03-02")
    assert one["start"] == pd.Timestamp("2026-03-02T00:00Z")
    assert (one["end"] - one["start"]).total_seconds() == 400
    assert one["minutes"] == pytest.approx(400 / 60)
    assert one[["raw_m", "cleaned_m"]].tolist() == pytest.approx([480, 480], abs=1e-4)
    assert one[["inside_m", "inside_min"]].tolist() == pytest.approx([300, 250 / 60], abs=1e-4)
    assert out.attrs["parameters"]["dead_band_m"] == 10


def test_the_grid_is_that_of_the_posting_on_the_day() -> None:
    fixes = walk(line((0, 150), (480, 150)))
    postings = pd.DataFrame(
        {
            "staff": ["w1", "w1", "w2"],
            "grid": ["B", "A", "A"],
            "from": pd.to_datetime(["2026-03-02", None, None]),
            "to": pd.to_datetime([None, "2026-03-01", None]),
        }
    )
    today = patrols(fixes, LEFT_RIGHT, postings).iloc[0]
    assert today["grid"] == "B"
    assert today[["inside_m", "inside_min"]].tolist() == pytest.approx([180, 150 / 60], abs=1e-4)
    before = patrols(walk(line((0, 150), (480, 150)), start="2026-03-01T08:00"), LEFT_RIGHT, postings).iloc[0]
    assert before["grid"] == "A"
    stranger = patrols(fixes.assign(staff="w9"), LEFT_RIGHT, postings).iloc[0]
    assert stranger["grid"] is None
    assert np.isnan(stranger[["inside_m", "inside_min"]].astype(float)).all()
    both = pd.DataFrame({"staff": "w1", "grid": ["B", "A"]})
    assert patrols(fixes, LEFT_RIGHT, both)["grid"].tolist() == ["A"]
    away = pd.DataFrame({"staff": "w1", "grid": ["B"]})
    never = patrols(walk(line((0, 150), (200, 150))), LEFT_RIGHT, away).iloc[0]
    assert never[["grid", "inside_m", "inside_min"]].tolist() == ["B", 0, 0]


def test_postings_to_unknown_grids_are_warned_of() -> None:
    postings = pd.DataFrame({"staff": ["w1"], "grid": ["Z"]})
    with pytest.warns(GridgisWarning, match=r"grids that do not exist were passed over \(Z\)"):
        assert patrols(walk(line((0, 0), (90, 0))), LEFT_RIGHT, postings)["grid"].tolist() == [None]


def test_a_gap_is_not_walked_and_a_patrol_over_midnight_is_one() -> None:
    first = walk(line((0, 10), (120, 10)), start="2026-03-02T23:50")
    second = walk(line((120, 10), (240, 10)), start="2026-03-03T00:05")
    out = patrols(pd.concat([first, second]), LEFT_RIGHT)
    # Ten steps of 10 s each side of a gap of 13 min 20 s.
    assert out["date"].tolist() == [pd.Timestamp("2026-03-02")]
    assert out["minutes"].tolist() == pytest.approx([200 / 60])
    assert out["cleaned_m"].tolist() == pytest.approx([240], abs=1e-4)
    moved = walk(line((250, 290), (290, 290)), start="2026-03-03T00:05")
    assert patrols(pd.concat([first, moved]), LEFT_RIGHT)["raw_m"].tolist() == pytest.approx([160], abs=1e-4)
    later = walk(line((120, 10), (240, 10)), start="2026-03-03T00:30")
    assert patrols(pd.concat([first, later]), LEFT_RIGHT)["patrol"].tolist() == [
        "w1/20260302T235000", "w1/20260303T003000",
    ]  # fmt: skip


def test_standing_still_takes_time_and_no_way() -> None:
    out = patrols(walk(np.zeros((61, 2)) + 100, step_s=60), LEFT_RIGHT).iloc[0]
    assert out[["minutes", "inside_min"]].tolist() == [60, 60]
    assert out[["raw_m", "cleaned_m", "inside_m"]].tolist() == pytest.approx([0, 0, 0], abs=1e-6)


def test_a_walk_outside_every_grid_has_none() -> None:
    out = patrols(walk(line((0, -500), (300, -500))), LEFT_RIGHT).iloc[0]
    assert out[["grid", "inside_m", "inside_min"]].tolist() == [None, 0, 0]


crooked = st.lists(
    st.tuples(st.floats(-100, 700), st.floats(-100, 400)), min_size=2, max_size=12, unique=True
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(crooked, st.integers(0, 3))
def test_a_tiling_adds_to_its_union_and_inside_is_no_more_than_all(
    corners: list[tuple[float, float]], cut: int
) -> None:
    tiles = {
        f"T{i}{j}": shapely.box(150 * i, 100 * j, 150 * i + 150, 100 * j + 100) for i in range(4) for j in range(3)
    }
    # Skewed, so that no walk runs exactly along a border.
    skew = np.array([[1, 0.137 + cut / 100], [0.071, 1]])
    shapes = grids_of(**{code: shapely.transform(tile, lambda xy: xy @ skew) for code, tile in tiles.items()})
    clean = clean_tracks(walk(np.array(corners), step_s=290), Parameters(max_speed_mps=50))
    steps = cleaned_steps(clean, metres_of(clean, METRES))
    whole = np.array([shapely.union_all(shapes.geometry.array)])
    parts = inside_of(steps, grid_shapes(shapes, METRES), *near_pairs(steps, grid_shapes(shapes, METRES)))
    union = inside_of(steps, whole, *near_pairs(steps, whole))
    for name, total in (("inside_m", steps.metres.sum()), ("inside_min", steps.seconds.sum() / 60)):
        assert parts[name].sum() == pytest.approx(union[name].sum(), abs=1e-6)
        assert union[name].sum() <= total + 1e-6


def test_the_clip_is_that_of_shapely() -> None:
    random = np.random.default_rng(3)
    xy = np.cumsum(random.normal(0, 30, (400, 2)), axis=0) + 250
    shape = shapely.Point(250, 250).buffer(200, 5).difference(shapely.Point(260, 240).buffer(60, 3))
    out = patrols(walk(xy, step_s=60), grids_of(A=shape), parameters=Parameters(dead_band_m=0)).iloc[0]
    track = shapely.LineString(xy)
    assert out["raw_m"] == pytest.approx(track.length, rel=1e-9)
    assert out["inside_m"] == pytest.approx(shapely.intersection(track, shape).length, rel=1e-6)


# --- cells ------------------------------------------------------------------------------------------------------------

triangles = st.lists(st.tuples(st.floats(0, 60), st.floats(0, 40)), min_size=3, max_size=7, unique=True)


@settings(max_examples=60, deadline=None)
@given(triangles, st.sampled_from([1.0, 2.0, 7.3]))
def test_cells_are_filled_exactly(corners: list[tuple[float, float]], cell: float) -> None:
    shape = shapely.MultiPoint(corners).convex_hull
    if shape.area < 1:
        return
    shape = shape.difference(shape.centroid.buffer(1.5, 2))
    raster = raster_of(shape, cell)
    shares = filled(shape, raster)
    left, bottom = raster.columns_x() - cell / 2, raster.rows_y()[:, None] - cell / 2
    boxes = shapely.box(*np.broadcast_arrays(left, bottom, left + cell, bottom + cell))
    exact = shapely.area(shapely.intersection(boxes, shape)) / cell**2
    assert np.abs(shares - exact).max() < 1e-8
    assert shares.sum() * cell**2 == pytest.approx(shape.area, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-20, 80)] * 4), min_size=1, max_size=8))
def test_painting_is_the_distance_to_the_nearest_segment(rows: list[tuple[float, ...]]) -> None:
    lines = np.array(rows)
    lines[0, 2:] = lines[0, :2]  # one is a point
    raster = Raster(0.0, 0.0, 4.0, 12, 15)
    least = paint(lines, raster, 18.0)
    centres = shapely.points(*np.broadcast_arrays(raster.columns_x(), raster.rows_y()[:, None]))
    segments = shapely.union_all(
        [
            shapely.LineString(r.reshape(2, 2)) if np.ptp(r[::2]) + np.ptp(r[1::2]) else shapely.Point(r[:2])
            for r in lines
        ]
    )
    exact = shapely.distance(centres, segments)
    near = exact < 18
    assert np.abs(np.sqrt(least[near]) - exact[near]).max(initial=0) < 1e-6
    assert (np.sqrt(least[~near]) >= 18 - 1e-9).all()
    np.testing.assert_allclose(paint(lines, raster, 18.0, compiled=True), least, atol=1e-9)


# --- coverage: laws ---------------------------------------------------------------------------------------------------


def random_walk(seed: int, count: int = 60, spread: float = 0.6) -> np.ndarray:
    random = np.random.default_rng(seed)
    heading = np.cumsum(random.normal(0, spread, count))
    return np.cumsum(np.column_stack([np.cos(heading), np.sin(heading)]) * 12, axis=0) + random.uniform(50, 250, 2)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.integers(0, 999), st.floats(8, 60), st.floats(0, 30))
def test_more_walks_and_wider_sight_never_cover_less(one: int, other: int, sight: float, wider: float) -> None:
    first, second = walk(random_walk(one)), walk(random_walk(other), staff="w2")
    alone = patrol_coverage(first, LEFT_RIGHT, sight=sight)["share"]
    both = patrol_coverage(pd.concat([second, first]), LEFT_RIGHT, sight=sight)["share"]
    wide = patrol_coverage(first, LEFT_RIGHT, sight=sight + wider)["share"]
    assert alone.between(0, 1).all() and both.between(0, 1).all()
    assert (both >= alone).all()
    assert (wide >= alone).all()
    turned = patrol_coverage(pd.concat([first, second]).sample(frac=1, random_state=one), LEFT_RIGHT, sight=sight)
    assert turned["share"].equals(both)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 999), st.integers(1, 58))
def test_a_walk_split_at_a_fix_of_both_halves_covers_the_same(seed: int, at: int) -> None:
    whole = walk(random_walk(seed))
    halves = pd.concat([whole.iloc[: at + 1], whole.iloc[at:].assign(staff="w2")])
    assert patrol_coverage(halves, LEFT_RIGHT)["share"].equals(patrol_coverage(whole, LEFT_RIGHT)["share"])


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 999), st.integers(2, 4))
def test_a_window_is_the_union_of_its_days(seed: int, days: int) -> None:
    apart = pd.concat([walk(random_walk(seed + k), start=f"2026-03-0{2 + k}T08:00") for k in range(4)])
    windows = patrol_coverage(apart, LEFT_RIGHT, days=days)
    assert len(windows) == 2 * (4 - days + 1)
    for first in range(4 - days + 1):
        chosen = [walk(random_walk(seed + k), staff=f"w{k}") for k in range(first, first + days)]
        same_day = patrol_coverage(pd.concat(chosen), LEFT_RIGHT)
        window = windows[windows["from"] == pd.Timestamp(2026, 3, 2 + first)]
        assert window["share"].tolist() == same_day["share"].tolist()
        assert ((window["to"] - window["from"]).dt.days == days - 1).all()
    both = patrol_coverage(apart, LEFT_RIGHT, days=[days, 1])
    each = pd.concat([patrol_coverage(apart, LEFT_RIGHT, days=n) for n in sorted({1, days})])
    each = each.sort_values("grid", kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(both, each)


# --- coverage: examples -----------------------------------------------------------------------------------------------


def exact_share(xy: np.ndarray, ground: shapely.Geometry, sight: float) -> float:
    segments = shapely.linestrings(np.stack([xy[:-1], xy[1:]], axis=1))
    seen = shapely.union_all(shapely.buffer(segments, sight, quad_segs=64))
    return float(shapely.area(shapely.intersection(seen, ground)) / shapely.area(ground))


@pytest.mark.parametrize("seed", range(16))
def test_the_share_is_that_of_the_exact_surroundings(seed: int) -> None:
    random = np.random.default_rng(seed)
    size, sight = random.uniform(150, 550), float(random.choice([15, 25, 40]))
    turn = random.uniform(0, np.pi / 2)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    ground = shapely.transform(shapely.box(-size / 2, -size / 3, size / 2, size / 3), lambda xy: xy @ rotation + 150)
    xy = random_walk(seed, int(random.integers(20, 250)))
    grids = grids_of(A=ground)
    obstacles = None
    if seed % 2:
        buildings = shapely.buffer(shapely.points(random.uniform(-size / 2, size / 2, (15, 2)) + 150), 12, quad_segs=1)
        obstacles = gpd.GeoSeries(shapely.transform(buildings, lambda c: c + CORNER), crs=METRES).to_crs(4326)
        ground = shapely.difference(ground, shapely.union_all(buildings))
    out = patrol_coverage(walk(xy), grids, sight=sight, obstacles=obstacles).iloc[0]
    assert out["share"] == pytest.approx(exact_share(xy, ground, sight), abs=SHARE_ERROR)
    assert out["ground_m2"] == pytest.approx(ground.area, abs=1e-3)
    assert out["covered_m2"] == pytest.approx(out["share"] * out["ground_m2"])


def test_a_large_grid_has_larger_cells_and_the_same_share() -> None:
    xy = line((100, 203.7), (2300, 911.3), (400, 2011.9))
    ground = shapely.box(0, 0, 2500, 2500)
    out = patrol_coverage(walk(xy), grids_of(A=ground)).iloc[0]
    assert out["share"] == pytest.approx(exact_share(xy, ground, 25), abs=2e-6)
    assert out["ground_m2"] == pytest.approx(6_250_000)


def test_compiled_and_plain_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    fixes = pd.concat([walk(random_walk(k, 300), staff=f"w{k}") for k in range(3)])
    plain = patrol_coverage(fixes, LEFT_RIGHT)["share"].to_numpy()
    monkeypatch.setattr(room, "COMPILE_FROM", 1)
    assert np.abs(patrol_coverage(fixes, LEFT_RIGHT)["share"].to_numpy() - plain).max() < 1e-9


def test_every_grid_and_window_has_a_row() -> None:
    fixes = pd.concat([walk(line((0, 150), (290, 150)), start=f"2026-03-0{d}T08:00") for d in (2, 4)])
    out = patrol_coverage(fixes, LEFT_RIGHT.iloc[::-1])
    assert list(out.columns) == ["grid", "from", "to", "share", "covered_m2", "ground_m2", "undecided", "low", "high"]
    assert out["grid"].tolist() == ["A"] * 3 + ["B"] * 3
    assert out["from"].dt.day.tolist() == [2, 3, 4] * 2
    assert out["share"].iloc[1] == 0
    assert out["share"].iloc[0] == out["share"].iloc[2] == pytest.approx(50 / 300, abs=0.01)
    assert out.attrs["parameters"]["sight_m"] == 25
    assert out.attrs["parameters"]["ground"] == "area"
    short = patrol_coverage(fixes, LEFT_RIGHT, days=5)
    assert short[["from", "to"]].drop_duplicates().to_numpy().tolist() == [
        [pd.Timestamp("2026-03-02"), pd.Timestamp("2026-03-04")]
    ]
    longer = patrol_coverage(fixes, LEFT_RIGHT, days=5, start="2026-03-01", end="2026-03-07")
    assert longer["from"].dt.day.tolist() == [1, 2, 3] * 2
    assert longer["share"].iloc[2] == out["share"].iloc[2]


def test_the_ground_and_what_stands_on_it() -> None:
    grids = grids_of(A=shapely.box(0, 0, 100, 100), C=shapely.box(200, 0, 220, 20))
    pond = gpd.GeoDataFrame(
        {"name": ["pond", "ditch", "shed"]},
        geometry=[
            shapely.box(X, Y + 50, X + 100, Y + 200), shapely.LineString([(X, Y), (X + 9, Y)]),
            shapely.box(X + 190, Y - 9, X + 300, Y + 99),
        ],
        crs=METRES,
    )  # fmt: skip
    fixes = walk(line((0, 25), (100, 25)))
    dry = patrol_coverage(fixes, grids, obstacles=pond, cell=1.0)
    assert dry["ground_m2"].tolist() == pytest.approx([5000, 0], abs=1e-3)
    assert dry["share"].iloc[0] == pytest.approx(1.0, abs=1e-3)
    assert np.isnan(dry["share"].iloc[1]) and dry["covered_m2"].iloc[1] == 0
    whole = patrol_coverage(fixes, grids, obstacles=pond, cell=1.0, parameters=AREA)
    assert whole["ground_m2"].tolist() == pytest.approx([10_000, 400])
    assert whole["share"].iloc[0] == pytest.approx(0.5, abs=2e-3)


def test_a_share_at_the_mark_is_undecided() -> None:
    # Straight through a square of 100 m: 50 of 100 m seen.
    grids = grids_of(A=shapely.box(0, 0, 100, 100))
    half = line((-50, 50), (150, 50))
    out = patrol_coverage(walk(half), grids, parameters=Parameters(full_share=0.5))
    assert out["undecided"].tolist() == [True]
    assert patrol_coverage(walk(half), grids, parameters=Parameters(full_share=0.52))["undecided"].tolist() == [False]


def test_gaps_and_jumps_see_nothing() -> None:
    grids = grids_of(A=shapely.box(0, 0, 1000, 50))
    ends = pd.concat([walk([(0, 25), (10, 25)]), walk([(990, 25), (1000, 25)], start="2026-03-02T08:10")])
    near = patrol_coverage(ends, grids)["share"].iloc[0]
    assert near == pytest.approx(
        exact_share(np.array([(0, 25), (10, 25)]), shapely.box(0, 0, 1000, 50), 25) * 2, abs=1e-3
    )


def test_degrees_and_metres_agree() -> None:
    fixes = walk(random_walk(5, 200))
    metric = patrol_coverage(fixes, LEFT_RIGHT)
    degrees = patrol_coverage(fixes, LEFT_RIGHT.to_crs(4326).rename_geometry("outline"))
    assert degrees["share"].to_numpy() == pytest.approx(metric["share"].to_numpy(), abs=1e-4)


# --- holes ------------------------------------------------------------------------------------------------------------


def test_holes_are_the_rest_the_largest_first() -> None:
    fixes = walk(line((0, 100), (300, 100)))
    grids = grids_of(A=shapely.box(0, 0, 300, 300))
    out = holes(fixes, grids)
    # 75 m lie below what is seen, 175 m above it.
    assert out["grid"].tolist() == ["A", "A"]
    assert out["area_m2"].tolist() == pytest.approx([300 * 175, 300 * 75], rel=0.02)
    assert out.crs == grids.crs
    assert shapely.area(out.geometry.array) == pytest.approx(out["area_m2"].to_numpy())
    assert out.geometry.iloc[0].bounds == pytest.approx((X, Y + 124, X + 300, Y + 300), abs=2)
    few = holes(fixes, grids, min_area_m2=30_000)
    assert len(few) == 1 and few.attrs["left_out"] == 1
    degrees = holes(fixes, grids.to_crs(4326))
    assert degrees.crs == "EPSG:4326"


@pytest.mark.parametrize("seed", range(4))
def test_holes_and_what_was_seen_make_the_ground(seed: int) -> None:
    fixes = walk(random_walk(seed, 150))
    shed = gpd.GeoSeries([shapely.box(X + 100, Y + 100, X + 130, Y + 140)], crs=METRES)
    seen = patrol_coverage(fixes, LEFT_RIGHT, obstacles=shed)
    left = holes(fixes, LEFT_RIGHT, obstacles=shed).groupby("grid")["area_m2"].sum().reindex(["A", "B"], fill_value=0)
    ratio = (left.to_numpy() + seen["covered_m2"].to_numpy()) / seen["ground_m2"].to_numpy()
    assert ratio == pytest.approx([1, 1], abs=3e-3)


def test_no_holes_where_all_was_seen() -> None:
    out = holes(walk(line((0, 10), (40, 10))), grids_of(A=shapely.box(0, 0, 40, 20)))
    assert len(out) == 0
    assert list(out.columns) == ["grid", "area_m2", "geometry"]


# --- bad input --------------------------------------------------------------------------------------------------------


def test_bad_input_is_one_clear_error() -> None:
    fixes = walk(line((0, 0), (50, 0)))
    with pytest.raises(CRSError, match="coordinate reference system is missing"):
        patrol_coverage(fixes, LEFT_RIGHT.set_crs(None, allow_override=True))
    with pytest.raises(SchemaError, match="grids need the column 'code'; found 'name', 'geometry'"):
        patrols(fixes, LEFT_RIGHT.rename(columns={"code": "name"}))
    with pytest.raises(SchemaError, match="postings need the column 'grid'"):
        patrols(fixes, LEFT_RIGHT, pd.DataFrame({"staff": ["w1"]}))
    with pytest.raises(InputError, match=r"grid codes are not unique \(row A\)"):
        patrols(fixes, LEFT_RIGHT.assign(code="A"), pd.DataFrame({"staff": ["w1"], "grid": ["A"]}))
    with pytest.raises(InputError, match="the sight must be above 0 m; found 0"):
        patrol_coverage(fixes, LEFT_RIGHT, sight=0)
    with pytest.raises(InputError, match="a window has at least one day; found 0"):
        patrol_coverage(fixes, LEFT_RIGHT, days=0)
    with pytest.raises(InputError, match=r"coverage of streets needs them; wanted a layer of streets.*--streets"):
        patrol_coverage(fixes, LEFT_RIGHT, parameters=replace(AREA, ground="streets"))
    with pytest.raises(InputError, match="the period ends before it begins; found 2026-03-02 to 2026-03-01"):
        patrol_coverage(fixes, LEFT_RIGHT, end="2026-03-01")
    with pytest.raises(InputError, match=r"no fix is left after cleaning.*first and last day"):
        patrol_coverage(fixes.iloc[:0], LEFT_RIGHT)
    with pytest.raises(InputError, match=r"grid A has more than 50,000,000 cells of 0\.0025 m.*wider sight"):
        patrol_coverage(fixes, LEFT_RIGHT, sight=0.01)
    assert patrol_coverage(fixes.iloc[:0], LEFT_RIGHT, start="2026-03-02", end="2026-03-02")["share"].tolist() == [0, 0]


def test_no_fixes_are_no_patrols() -> None:
    out = patrols(walk(line((0, 0), (50, 0))).iloc[:0], LEFT_RIGHT)
    assert len(out) == 0 and list(out.columns) == PATROL_COLUMNS
    assert len(patrols(walk([(0, 0)]).iloc[:0], LEFT_RIGHT, pd.DataFrame({"staff": ["w1"], "grid": ["A"]}))) == 0
