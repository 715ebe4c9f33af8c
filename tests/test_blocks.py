"""Blocks: laws of the tiling first, then examples of what is carried, dropped, folded, counted and refused."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from functools import cache
from pathlib import Path
from types import ModuleType

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import shapes
from hypothesis import given, settings
from hypothesis import strategies as st

from gridgis import crs
from gridgis.errors import CRSError, GeometryError, GridgisWarning, InputError, PlanError, SchemaError
from gridgis.plan.blocks import Blocks, make_blocks
from gridgis.plan.faces import network
from gridgis.plan.validate import GRIDS, validate
from gridgis.profile import Norm
from gridgis.schema import BARRIER_CLASSES, check

AREA = 1e-6
"""What blocks may leave free or cover too much, m² in all."""


# --- places -----------------------------------------------------------------------------------------------------------


def lines(*rows: tuple[str, str | None, list[tuple[float, float]]]) -> gpd.GeoDataFrame:
    """Barriers near 0, 0, put where the zoo lives."""
    moved = [shapely.LineString(np.array(xy) + np.array((shapes.X0, shapes.Y0))) for _, _, xy in rows]
    columns = {"class": [r[0] for r in rows], "name": [r[1] for r in rows]}
    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(moved, crs=shapes.METRES))


def ground(*polygons: shapely.Geometry, codes: list[str] | None = None) -> gpd.GeoDataFrame:
    return shapes.frame(polygons, codes or ["U", "V", "W"][: len(polygons)])


def points(xy: list[tuple[float, float]], **columns: list[object]) -> gpd.GeoDataFrame:
    at = gpd.GeoSeries([shapely.Point(x + shapes.X0, y + shapes.Y0) for x, y in xy], crs=shapes.METRES)
    return gpd.GeoDataFrame({"code": [f"h{i}" for i in range(len(xy))], **columns}, geometry=at)


@st.composite
def grounds(draw: st.DrawFn) -> gpd.GeoDataFrame:
    """A boundary of one to three parts, some with a hole, on a coarse or a fine raster."""
    step = draw(st.sampled_from([1.0, 0.37]))
    parts = []
    for number in range(draw(st.integers(1, 3))):
        size = draw(st.integers(80, 400)) * step
        corners = draw(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=4, max_size=9, unique=True))
        part = shapely.MultiPoint(corners).convex_hull
        if part.geom_type != "Polygon" or part.area < 900:
            part = shapely.box(0, 0, 99, 80)
        part = shapely.transform(part, lambda xy, n=number, s=size: xy / 100 * s + (n * 500.0, 0.0))
        if draw(st.booleans()):
            part = part.difference(
                shapely.transform(part, lambda xy, c=part.centroid: (xy - (c.x, c.y)) / 3 + (c.x, c.y))
            )
        parts.append(part)
    return ground(shapely.MultiPolygon(parts) if len(parts) > 1 else parts[0], codes=["U"])


@st.composite
def streets(draw: st.DrawFn) -> gpd.GeoDataFrame:
    """Lines all over the place: crossings, touches, doubles, ends that fall short."""
    whole = st.integers(-20, 1400)
    rows = []
    for _ in range(draw(st.integers(1, 14))):
        count = draw(st.integers(2, 4))
        xy = [(draw(whole) * 0.97, draw(st.integers(-20, 420)) * 1.01) for _ in range(count)]
        if len(set(xy)) < 2:
            xy = [(0.0, 10.0), (1200.0, 15.0)]
        rows.append((draw(st.sampled_from(BARRIER_CLASSES)), draw(st.sampled_from(["甲路", "乙街", None])), xy))
    return lines(*rows)


def parted(place: gpd.GeoDataFrame, at: float) -> gpd.GeoDataFrame:
    """The place cut in two units along a slanting line; where the cut meets the rim, only the units have a vertex."""
    whole = place.geometry.iloc[0]
    x = shapes.X0 + at
    knife = shapely.LineString([(x - 7.3, shapes.Y0 - 900), (x + 11.9, shapes.Y0 + 900)])
    pieces = shapely.get_parts(shapely.polygonize(shapely.get_parts(shapely.union_all([whole.boundary, knife]))))
    pieces = pieces[shapely.contains(whole.buffer(1e-6), pieces)]
    left = shapely.get_x(shapely.centroid(pieces)) < x
    both = [shapely.union_all(pieces[left]), shapely.union_all(pieces[~left])]
    return gpd.GeoDataFrame({"code": ["A", "B"]}, geometry=both, crs=place.crs)


def free_and_outside(blocks: gpd.GeoDataFrame, place: gpd.GeoDataFrame) -> float:
    """Ground of blocks outside the place, and of the place in no block, m² (judged in the plane of the coordinates).

    Block by block: GEOS' overlay of two outlines that differ by rounding cannot be trusted.
    """
    scale = network.metres_per_unit(place.crs, crs.metric_crs(place), place.total_bounds)
    whole = shapely.union_all(place.geometry.to_numpy())
    outside = shapely.area(shapely.difference(blocks.geometry.to_numpy(), whole)).sum()
    free = whole.area - shapely.area(blocks.geometry.to_numpy()).sum() + outside
    return float((outside + abs(free)) * scale.prod())


def assert_tiles(cut: Blocks, place: gpd.GeoDataFrame) -> None:
    blocks = cut.blocks
    assert shapely.coverage_is_valid(blocks.geometry.to_numpy())
    assert set(blocks.geom_type) == {"Polygon"}
    assert blocks.geometry.is_valid.all()
    assert free_and_outside(blocks, place) < AREA
    corners = set(map(tuple, shapely.get_coordinates(place.geometry.to_numpy())))
    assert corners <= set(map(tuple, shapely.get_coordinates(blocks.geometry.to_numpy())))


@cache
def benchmark() -> ModuleType:
    """benchmarks/blocks.py: it is no package, and its folder does not belong on the path."""
    path = Path(__file__).parents[1] / "benchmarks" / "blocks.py"
    spec = importlib.util.spec_from_file_location("benchmark_of_blocks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def wkb(frame: gpd.GeoDataFrame) -> list[object]:
    plain = pd.DataFrame(frame.drop(columns="geometry"))
    return [frame.geometry.to_wkb().tolist(), plain.astype(object).where(plain.notna(), None).values.tolist()]


# --- laws -------------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(place=grounds(), barriers=streets(), degrees=st.booleans())
def test_blocks_tile_any_ground_whatever_the_streets(
    place: gpd.GeoDataFrame, barriers: gpd.GeoDataFrame, degrees: bool
) -> None:
    if degrees:
        place, barriers = shapes.in_degrees(place), shapes.in_degrees(barriers)
    cut = cut_quietly(place, barriers, min_block_m2=50.0)
    assert_tiles(cut, place)
    assert cut.blocks["code"].is_unique
    assert cut.blocks["code"].tolist() == sorted(cut.blocks["code"])


@settings(max_examples=20, deadline=None)
@given(place=grounds(), barriers=streets(), at=st.integers(20, 300))
def test_blocks_tile_every_unit_and_none_lies_in_two(
    place: gpd.GeoDataFrame, barriers: gpd.GeoDataFrame, at: int
) -> None:
    units = parted(place, float(at))
    units = units[~units.geometry.is_empty]
    cut = cut_quietly(place, barriers, units=units, min_block_m2=200.0)
    assert_tiles(cut, place)
    for code, shape in zip(units["code"], units.geometry, strict=True):
        own = cut.blocks[cut.blocks["unit"] == code]
        assert shapely.symmetric_difference(shape, shapely.union_all(own.geometry.to_numpy())).area < AREA
        assert own["code"].str.startswith(f"{code}-").all()


@settings(max_examples=10, deadline=None)
@given(place=grounds(), barriers=streets(), at=st.integers(20, 300), degrees=st.booleans())
def test_validate_finds_nothing_to_say_of_blocks(
    place: gpd.GeoDataFrame, barriers: gpd.GeoDataFrame, at: int, degrees: bool
) -> None:
    units = parted(place, float(at))
    units = units[~units.geometry.is_empty]
    if degrees:
        place, barriers, units = shapes.in_degrees(place), shapes.in_degrees(barriers), shapes.in_degrees(units)
    blocks = cut_quietly(place, barriers, units=units, min_block_m2=200.0).blocks
    found = validate(blocks, place, units, parent="unit")
    # Units of the zoo may lie in several parts, which is said of them; of blocks nothing at all is.
    assert found.loc[(found["kind"] != "multipart") | (found["level"] == GRIDS), "kind"].tolist() == []


@settings(max_examples=12, deadline=None)
@given(count=st.integers(2, 60), seed=st.integers(0, 999), whole=st.booleans())
def test_a_clean_network_gives_exactly_its_faces(count: int, seed: int, whole: bool) -> None:
    place = benchmark().network(count, seed, whole=whole)
    found = make_blocks(place.boundary, place.streets).blocks.geometry.to_numpy()
    assert len(found) == len(place.truth)
    true, other = shapely.STRtree(found).query(shapely.point_on_surface(place.truth), predicate="within")
    assert true.tolist() == list(range(len(place.truth)))
    assert (
        shapely.area(shapely.symmetric_difference(place.truth, found[other])).max() < 0.1
    )  # lines are noded at 0.1 mm


@pytest.mark.parametrize("whole", [True, False], ids=["streets", "pieces"])
def test_a_network_whose_ends_fall_short_gives_its_blocks(whole: bool) -> None:
    bench = benchmark()
    place = bench.network(300, 1, whole=whole)
    short, count = bench.pulled_back(place.streets, 1)
    assert count >= 8
    found = make_blocks(place.boundary, short).blocks.geometry.to_numpy()
    assert bench.back(place.truth, found) >= 0.98 * len(place.truth)
    lost = make_blocks(place.boundary, short, snap_m=0.0).blocks.geometry.to_numpy()
    assert bench.back(place.truth, lost) < 0.98 * len(place.truth)


@pytest.mark.parametrize("fault", ["doubled", "overshot", "with dead ends"])
def test_a_network_drawn_badly_gives_its_blocks(fault: str) -> None:
    bench = benchmark()
    place = bench.network(150, 2)
    rng = np.random.default_rng(5)
    more = {
        # Every street a second time, a step aside.
        "doubled": lambda: place.streets.translate(*rng.uniform(0.1, 0.3, 2)),
        # A hair beyond both ends, as drawn by hand.
        "overshot": lambda: place.streets.scale(1.02, 1.02, origin="center"),
        # Three lanes into each block that end nowhere.
        "with dead ends": lambda: gpd.GeoSeries(
            [
                shapely.LineString([edge, edge + (point - edge) * share])
                for truth in place.truth
                for point in [np.array(truth.representative_point().coords[0])]
                for edge, share in zip(shapely.get_coordinates(truth)[[0, 3, 7]], rng.uniform(0.1, 0.6, 3), strict=True)
            ],
            crs=place.streets.crs,
        ),
    }[fault]()
    drawn = gpd.GeoDataFrame(
        {"class": "lane", "name": None}, index=range(len(more)), geometry=more.to_numpy(), crs=more.crs
    )
    if fault == "overshot":
        drawn["class"] = place.streets["class"].to_numpy()
    streets_ = drawn if fault == "overshot" else pd.concat([place.streets, drawn])
    found = make_blocks(place.boundary, streets_).blocks.geometry.to_numpy()
    assert len(found) == len(place.truth)
    assert bench.back(place.truth, found) >= 0.98 * len(place.truth)


@settings(max_examples=20, deadline=None)
@given(place=grounds(), barriers=streets(), seed=st.integers(0, 10_000), degrees=st.booleans())
def test_streets_that_run_along_the_outline_within_rounding_do_not_move_it(
    place: gpd.GeoDataFrame, barriers: gpd.GeoDataFrame, seed: int, degrees: bool
) -> None:
    rng = np.random.default_rng(seed)
    rim = shapely.get_coordinates(shapely.get_rings(shapely.get_parts(place.geometry.iloc[0]))[0])
    beside = [rim + rng.normal(0, 10.0 ** rng.integers(-10, 1), rim.shape) for _ in range(2)]
    more = gpd.GeoSeries([shapely.LineString(xy) for xy in beside], crs=place.crs)
    barriers = pd.concat([barriers, gpd.GeoDataFrame({"class": ["main"] * 2, "name": "环路"}, geometry=more)])
    if degrees:
        place, barriers = shapes.in_degrees(place), shapes.in_degrees(barriers)
    assert_tiles(make_blocks(place, barriers, min_block_m2=20.0, min_width_m=0.0), place)


@settings(max_examples=15, deadline=None)
@given(place=grounds(), barriers=streets(), seed=st.integers(0, 99))
def test_the_order_of_rows_and_of_points_does_not_matter(
    place: gpd.GeoDataFrame, barriers: gpd.GeoDataFrame, seed: int
) -> None:
    one = cut_quietly(place, barriers)
    rng = np.random.default_rng(seed)
    shuffled = barriers.iloc[rng.permutation(len(barriers))]
    turned = rng.random(len(barriers)) < 0.5
    shuffled = shuffled.set_geometry(
        [shapely.reverse(g) if t else g for g, t in zip(shuffled.geometry, turned, strict=True)], crs=barriers.crs
    )
    other = cut_quietly(place, shuffled)
    assert wkb(one.blocks) == wkb(other.blocks)
    assert wkb(one.borders) == wkb(other.borders)


@settings(max_examples=20, deadline=None)
@given(place=grounds(), barriers=streets(), seed=st.integers(0, 99))
def test_households_and_borders_add_up(place: gpd.GeoDataFrame, barriers: gpd.GeoDataFrame, seed: int) -> None:
    rng = np.random.default_rng(seed)
    west, south, east, north = place.total_bounds
    xy = rng.uniform((west, south), (east, north), (60, 2))
    inside = shapely.intersects_xy(place.geometry.iloc[0], xy)
    homes = gpd.GeoDataFrame(
        {"code": [f"h{i}" for i in range(60)], "households": rng.integers(0, 9, 60), "estimated": rng.random(60) < 0.5},
        geometry=shapely.points(xy), crs=place.crs,
    )[inside]  # fmt: skip
    cut = cut_quietly(place, barriers, houses=homes)
    assert cut.blocks["households"].sum() == homes["households"].sum()
    assert cut.blocks["estimated"].sum() == homes.loc[homes["estimated"], "households"].sum()
    borders = cut.borders
    assert (borders["right"].isna() | (borders["left"] < borders["right"])).all()
    rims = borders.groupby("left")["length_m"].sum().add(borders.groupby("right")["length_m"].sum(), fill_value=0)
    np.testing.assert_allclose(rims.loc[cut.blocks["code"]], cut.blocks.length, rtol=1e-9)
    np.testing.assert_allclose(borders.length, borders["length_m"], rtol=1e-9)


@settings(max_examples=20, deadline=None)
@given(place=grounds(), barriers=streets())
def test_no_small_block_is_left_that_has_a_neighbour(place: gpd.GeoDataFrame, barriers: gpd.GeoDataFrame) -> None:
    cut = cut_quietly(place, barriers, min_block_m2=2000.0, min_width_m=15.0)
    inner = cut.borders[cut.borders["right"].notna()]
    small = cut.blocks[(cut.blocks.area < 2000) | (2 * cut.blocks.area < 15 * cut.blocks.length)]
    assert not set(small["code"]) & (set(inner["left"]) | set(inner["right"]))


def cut_quietly(place: gpd.GeoDataFrame, barriers: gpd.GeoDataFrame, **options: object) -> Blocks:
    """`make_blocks` for streets that may all miss the place."""
    with pytest.warns(GridgisWarning) if misses(place, barriers) else no_warning():
        return make_blocks(place, barriers, **options)  # type: ignore[arg-type]


def misses(place: gpd.GeoDataFrame, barriers: gpd.GeoDataFrame) -> bool:
    scale = network.metres_per_unit(place.crs, crs.metric_crs(place), place.total_bounds)
    flat = [network.flatten(f.geometry.to_numpy(), scale) for f in (place, barriers)]
    return bool((shapely.distance(flat[0][0], flat[1]) > 5.0).all())


def no_warning() -> object:
    from contextlib import nullcontext

    return nullcontext()


# --- what is carried, dropped and folded ------------------------------------------------------------------------------

SQUARE = shapely.box(0, 0, 300, 200)


@pytest.mark.parametrize(("short", "blocks"), [(0.0, 2), (1e-7, 2), (3.0, 2), (4.9, 2), (5.1, 1), (30.0, 1)])
def test_an_end_that_falls_short_is_carried_to_the_outline(short: float, blocks: int) -> None:
    cut = make_blocks(ground(SQUARE), lines(("lane", None, [(100, -5), (100, 200 - short)])))
    assert len(cut.blocks) == blocks


def test_an_end_that_falls_short_of_a_slanting_street_goes_straight_on() -> None:
    cut = make_blocks(
        ground(SQUARE),
        lines(("main", "斜街", [(0, 50), (300, 150)]), ("lane", "短巷", [(150, -5), (150, 96)])),
    )
    assert len(cut.blocks) == 3
    inner = cut.borders[cut.borders["name"] == "短巷"]
    assert inner["length_m"].sum() == pytest.approx(100, abs=0.05)


def test_two_ends_that_face_each_other_meet() -> None:
    cut = make_blocks(
        ground(SQUARE), lines(("lane", None, [(100, -5), (100, 99)]), ("lane", None, [(101, 102), (101, 205)]))
    )
    assert len(cut.blocks) == 2


def test_dead_ends_and_overshoots_are_dropped() -> None:
    cut = make_blocks(
        ground(SQUARE),
        lines(("main", None, [(150, -30), (150, 230)]), ("lane", None, [(150, 80), (220, 80), (220, 120)])),
    )
    assert sorted(cut.blocks.area) == [30_000, 30_000]
    assert set(cut.borders["class"].dropna()) == {"main"}


def test_the_strip_between_two_carriageways_is_folded_into_one_side() -> None:
    cut = make_blocks(
        ground(SQUARE), lines(("main", "成府路", [(140, -9), (140, 209)]), ("main", "成府路", [(152, -9), (152, 209)]))
    )
    assert len(cut.blocks) == 2
    assert cut.blocks.area.sum() == SQUARE.area
    assert cut.borders[cut.borders["right"].notna()][["class", "name"]].values.tolist() == [["main", "成府路"]]


def test_a_small_face_joins_over_the_weakest_barrier() -> None:
    corner = [("river", None, [(40, -9), (40, 60)]), ("lane", None, [(-9, 40), (60, 40)])]
    cut = make_blocks(ground(SQUARE), lines(*corner, ("lane", None, [(40, 30), (40, 209)])))
    west = cut.blocks[cut.blocks.covers(shapely.Point(shapes.X0 + 10, shapes.Y0 + 10))]
    assert west.area.tolist() == [40 * 200]


RAIL, RIVER = ("railway", None, [(100, -5), (100, 205)]), ("river", None, [(200, -5), (200, 205)])


CORNER, STUB = ("lane", None, [(-5, 100), (60, 100), (60, 205)]), ("lane", None, [(150, 80), (150, 120)])


@pytest.mark.parametrize(
    ("ways", "areas"),
    [
        ([CORNER], [6_000, 54_000]),
        ([CORNER, STUB], [6_000, 14_000, 40_000]),
        ([("wall", None, [(150, -5), (150, 205)])], [10_000, 10_000, 20_000, 20_000]),
    ],
    ids=["no road leads to two", "a dead end is access", "nothing is known of roads"],
)
def test_ground_without_access_joins_a_neighbour(ways: list[tuple], areas: list[int]) -> None:
    cut = make_blocks(ground(SQUARE), lines(RAIL, RIVER, *ways))
    assert sorted(cut.blocks.area.round(3)) == areas
    assert len(make_blocks(ground(SQUARE), lines(RAIL, RIVER, *ways), need_access=False).blocks) == 4


@settings(max_examples=15, deadline=None)
@given(place=grounds(), barriers=streets())
def test_every_block_has_a_road_where_one_of_its_unit_has(place: gpd.GeoDataFrame, barriers: gpd.GeoDataFrame) -> None:
    cut = cut_quietly(place, barriers)
    roads = barriers.geometry[barriers["class"].isin(["main", "secondary", "lane"])].union_all().buffer(0.11)
    metres = shapely.length(shapely.intersection(cut.blocks.boundary.to_numpy(), roads))
    metres += shapely.area(shapely.intersection(cut.blocks.geometry.to_numpy(), roads)) / 0.22
    inner = cut.borders[cut.borders["right"].notna()]
    beside = cut.blocks["code"].isin(set(inner["left"]) | set(inner["right"])).to_numpy()
    assert (metres[beside] > 0).all() or not (metres > 3).any()


def test_small_faces_stay_in_their_unit() -> None:
    units = ground(shapely.box(0, 0, 30, 30), shapely.box(30, 0, 300, 30), codes=["A", "B"])
    cut = make_blocks(units, lines(("lane", None, [(15, -9), (15, 40)])), units=units)
    assert cut.blocks["unit"].tolist() == ["A", "B"]
    assert cut.blocks.area.tolist() == [900, 8100]


@pytest.mark.parametrize(("kind", "blocks"), [("lane", 1), ("wall", 1), ("secondary", 2), ("river", 2)])
def test_only_lanes_and_walls_inside_a_compound_do_not_cut(kind: str, blocks: int) -> None:
    estate = ground(shapely.box(-50, -50, 350, 250), codes=["C"]).assign(kind="managed")
    cut = make_blocks(ground(SQUARE), lines((kind, None, [(150, -5), (150, 205)])), compounds=estate)
    assert len(cut.blocks) == blocks
    assert set(cut.blocks["compound_kind"]) == {"managed"}


@pytest.mark.parametrize(
    ("norm", "blocks"),
    [
        (None, 1),
        (Norm(households={"managed": 500.0, "mixed": 10.0}, tolerance=0.2), 1),  # 600 are what it allows at most
        (Norm(households={"managed": 500.0, "mixed": 900.0}, tolerance=0.19), 2),
        (Norm(persons=(1.0, 2.0), tolerance=0.5), 1),
        (Norm(persons=(1.0, 2.0), tolerance=0.25), 2),
    ],
    ids=["no norm", "at the norm", "over the norm", "persons at it", "persons over it"],
)
def test_a_compound_stays_whole_unless_it_exceeds_the_norm(norm: Norm | None, blocks: int) -> None:
    estates = ground(shapely.box(-50, -50, 350, 250), shapely.box(900, 0, 999, 99), codes=["C", "D"])
    estates = estates.assign(kind=["managed", "mixed"])
    homes = points([(50, 50), (250, 50)], households=[350, 250])
    people = pd.DataFrame({"id": list("abc"), "house": ["h0", "h1", "h1"]})
    lane = lines(("lane", None, [(150, -5), (150, 205)]))
    cut = make_blocks(ground(SQUARE), lane, houses=homes, persons=people, compounds=estates, norm=norm)
    assert len(cut.blocks) == blocks
    assert cut.blocks["households"].sum() == 600
    towers = ground(shapely.box(10, 10, 30, 30)).assign(households=[601])
    by_building = make_blocks(ground(SQUARE), lane, buildings=towers, compounds=estates, norm=norm)
    assert len(by_building.blocks) == (2 if norm is not None and norm.households else 1)


def test_a_norm_without_homes_leaves_compounds_whole() -> None:
    estate = ground(shapely.box(-50, -50, 350, 250), codes=["C"])
    lane = lines(("lane", None, [(150, -5), (150, 205)]))
    cut = make_blocks(ground(SQUARE), lane, compounds=estate, norm=Norm(households={"mixed": 300.0}))
    assert len(cut.blocks) == 1
    assert cut.blocks.attrs["parameters"]["norm"]["households"] == {"mixed": 300.0}


def test_a_lane_along_the_rim_of_a_compound_cuts() -> None:
    estate = ground(shapely.box(100, -50, 350, 250), codes=["C"]).assign(kind="mixed")
    cut = make_blocks(ground(SQUARE), lines(("lane", None, [(105, -5), (105, 205)])), compounds=estate)
    assert cut.blocks["compound_kind"].tolist() == [None, "mixed"]


def test_a_lane_on_the_outline_inside_a_compound_loses_no_ground() -> None:
    estate = ground(shapely.box(-50, -50, 350, 250), codes=["C"])
    rim = [(0, 0), (300, 0), (300, 200), (0, 200), (0, 0)]
    cut = make_blocks(ground(SQUARE), lines(("lane", "环路", rim)), compounds=estate)
    assert cut.blocks.area.tolist() == [SQUARE.area]


def test_blocks_of_a_compound_that_is_cut_bear_its_code() -> None:
    estates = ground(shapely.box(0, 0, 190, 200), shapely.box(200, 0, 290, 200), codes=["C7", "C8"])
    ways = [("main", None, [(100, -5), (100, 205)]), ("lane", None, [(195, -5), (195, 205)])]
    cut = make_blocks(ground(SQUARE), lines(*ways), compounds=estates)
    assert cut.blocks["compound"].tolist() == ["C7", "C7", "C8"]
    assert make_blocks(ground(SQUARE), lines(*ways)).blocks["compound"].tolist() == [None] * 3
    nameless = make_blocks(ground(SQUARE), lines(*ways), compounds=estates.drop(columns="code")).blocks
    assert nameless["compound"].tolist() == [None] * 3


def test_of_two_compounds_on_one_ground_the_lowest_code_wins() -> None:
    estates = ground(shapely.box(0, 0, 300, 200), shapely.box(0, 0, 300, 200), codes=["D", "C"])
    cut = make_blocks(ground(SQUARE), lines(("lane", None, [(0, 50), (9, 50)])), compounds=estates)
    assert cut.blocks["compound"].tolist() == ["C"]


# --- water, islands between carriageways, courts ----------------------------------------------------------------------

LAKE = shapely.box(100, 50, 250, 190)
BRIDGE = ("main", "湖桥", [(-5, 120), (305, 120)])


def pond(shape: shapely.Geometry = LAKE, *more: shapely.Geometry, names: list[str | None] | None = None):  # type: ignore[no-untyped-def]
    return ground(shape, *more).assign(name=names or ["东湖"] * (1 + len(more)))


def test_wide_water_is_a_block_that_no_bridge_cuts() -> None:
    cut = make_blocks(ground(SQUARE), lines(BRIDGE), water=pond())
    assert sorted(cut.blocks.area.round(3)) == [13_500, 21_000, 25_500]
    inner = cut.borders[cut.borders["right"].notna()].groupby(["class", "name"])["length_m"].sum()
    assert inner.to_dict() == {("main", "湖桥"): 150.0, ("river", "东湖"): 580.0}
    assert len(make_blocks(ground(SQUARE), lines(BRIDGE)).blocks) == 2
    assert make_blocks(ground(SQUARE), lines(BRIDGE)).blocks.area.tolist() == [24_000, 36_000]


def test_water_from_side_to_side_parts_the_land_and_is_one_block_under_its_bridges() -> None:
    river, middle = shapely.box(-50, 80, 350, 140), ("river", "大河", [(-5, 110), (305, 110)])
    bridges = [("main", f"{n}桥", [(x, -5), (x, 205)]) for n, x in enumerate((100, 200))]
    cut = make_blocks(ground(SQUARE), lines(*bridges, middle, RAIL), water=pond(river, names=["大河"]))
    assert sorted(cut.blocks.area.round(3)) == [6_000] * 3 + [8_000] * 3 + [18_000]


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        (shapely.box(100, 50, 250, 180), {}),  # 19,500 m²
        (shapely.box(-200, 90, 500, 125), {}),  # 33 m wide
        (LAKE, {"min_water_m2": 21_001.0}),
        (LAKE, {"min_water_width_m": 73.0}),
    ],
    ids=["small", "narrow", "smaller than asked for", "narrower than asked for"],
)
def test_smaller_or_narrower_water_is_no_block(shape: shapely.Geometry, options: dict[str, float]) -> None:
    cut = make_blocks(ground(SQUARE), lines(BRIDGE), water=pond(shape), **options)
    assert cut.blocks.area.tolist() == [24_000, 36_000]


def test_water_in_several_pieces_of_one_name_is_one() -> None:
    west, east = shapely.box(100, 50, 170, 190), shapely.box(170, 50, 250, 190)
    cut = make_blocks(ground(SQUARE), lines(BRIDGE), water=pond(west, east))
    assert sorted(cut.blocks.area.round(3)) == [13_500, 21_000, 25_500]
    apart = make_blocks(ground(SQUARE), lines(BRIDGE), water=pond(west, east, names=["甲", "乙"]))
    assert apart.blocks.area.tolist() == [24_000, 36_000]


def test_land_is_not_folded_into_water_nor_water_into_land() -> None:
    strip = ("lane", None, [(-5, 45), (305, 45)])
    river = pond(shapely.box(-50, 55, 350, 140))
    north = ("main", "北路", [(-5, 170), (305, 170)])
    cut = make_blocks(ground(SQUARE), lines(strip, north), water=river)
    # 10 m of bank go to the land behind the lane, though the shore is as long.
    assert sorted(cut.blocks.area.round(3)) == [9_000, 9_000, 16_500, 25_500]


def test_water_that_is_no_polygon_is_refused_and_rows_without_geometry_are_left_out() -> None:
    with pytest.raises(GeometryError, match=r"water: water must be polygons \(row 1\)"):
        make_blocks(ground(SQUARE), lines(BRIDGE), water=pond(shapely.LineString([(0, 0), (9, 9)])))
    with pytest.raises(CRSError, match=r"water: .* is missing"):
        make_blocks(ground(SQUARE), lines(BRIDGE), water=pond().set_crs(None, allow_override=True))
    none = pond().set_geometry(gpd.GeoSeries([None], crs=shapes.METRES))
    assert len(make_blocks(ground(SQUARE), lines(BRIDGE), water=none).blocks) == 2


def test_the_ground_between_the_carriageways_of_one_road_is_no_block() -> None:
    def two(one: str | None, other: str | None, gap: float = 36.0) -> int:
        ways = [("main", one, [(100, -9), (100, 209)]), ("main", other, [(100 + gap, -9), (100 + gap, 209)])]
        return len(make_blocks(ground(SQUARE), lines(*ways)).blocks)

    assert two("荷清路", "荷清路") == 2
    assert two("荷清路", "双清路") == 3
    assert two(None, None) == 3
    assert two("荷清路", "荷清路", 60.0) == 3


COURT = [
    ("lane", None, [(100, 50), (160, 50), (160, 110), (100, 110), (100, 50)]),
    ("lane", None, [(100, 80), (-5, 80)]),
]


@pytest.mark.parametrize(
    ("houses", "name", "options", "blocks"),
    [
        ([(250, 150)], None, {}, 1),
        ([(250, 150), (130, 80)], None, {}, 2),  # somebody lives there
        (None, None, {}, 2),  # nobody counted
        ([(250, 150)], "静斋路", {}, 2),  # a lane with a name is a street
        ([(250, 150)], None, {"min_court_m2": 3_600.0}, 2),
    ],
    ids=["empty", "lived in", "not counted", "named lane", "large enough"],
)
def test_an_empty_court_among_nameless_lanes_is_no_block(
    houses: list[tuple[float, float]] | None, name: str | None, options: dict[str, float], blocks: int
) -> None:
    homes = None if houses is None else points(houses)
    ring = lines(("lane", name, COURT[0][2]), COURT[1])
    assert len(make_blocks(ground(SQUARE), ring, houses=homes, **options).blocks) == blocks


def test_courts_are_not_judged_in_a_unit_without_households() -> None:
    west, east = shapely.box(0, 0, 200, 200), shapely.box(200, 0, 300, 200)
    units = ground(west, east)
    lived = {"V": [(250, 150)], "U": [(20, 150)]}
    found = {u: make_blocks(ground(SQUARE), lines(*COURT), units=units, houses=points(h)) for u, h in lived.items()}
    assert {unit: len(cut.blocks) for unit, cut in found.items()} == {"V": 3, "U": 2}


def test_a_court_that_is_a_compound_stays_a_block() -> None:
    estate = ground(shapely.box(95, 45, 165, 115), codes=["C"])
    wall = lines(
        ("wall", None, COURT[0][2]), ("lane", None, [(105, 80), (60, 80)]), ("main", None, [(-5, 80), (60, 80)])
    )
    homes = points([(250, 150)])
    assert len(make_blocks(ground(SQUARE), lines(*COURT), houses=homes).blocks) == 1
    kept = make_blocks(ground(SQUARE), wall, houses=homes, compounds=estate, norm=Norm({"mixed": 0.1}))
    assert kept.blocks["compound"].isna().any()


@settings(max_examples=20, deadline=None)
@given(place=grounds(), barriers=streets(), seed=st.integers(0, 999), degrees=st.booleans())
def test_blocks_tile_any_ground_whatever_the_water_and_the_compounds(
    place: gpd.GeoDataFrame, barriers: gpd.GeoDataFrame, seed: int, degrees: bool
) -> None:
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(-50, 900, (4, 2)), rng.uniform(10, 500, (4, 2))
    box = shapely.transform(
        shapely.box(*corner.T, *(corner + size).T), lambda xy: xy * (1, 0.4) + (shapes.X0, shapes.Y0)
    )
    water = gpd.GeoDataFrame({"name": ["湖", "湖", None, "河"]}, geometry=box, crs=place.crs)
    estates = gpd.GeoDataFrame({"code": list("dcba")}, geometry=box[::-1], crs=place.crs)
    homes = gpd.GeoDataFrame(
        {"code": list("xyz")}, geometry=shapely.point_on_surface(np.repeat(place.geometry.to_numpy(), 3)), crs=place.crs
    )
    if degrees:
        place, barriers, water, estates, homes = map(shapes.in_degrees, (place, barriers, water, estates, homes))
    options = {"min_water_m2": 500.0, "min_water_width_m": 5.0, "min_block_m2": 50.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GridgisWarning)
        cut = make_blocks(place, barriers, water=water, compounds=estates, houses=homes, **options)
    assert_tiles(cut, place)
    assert validate(cut.blocks, place).query("kind != 'multipart'").empty
    assert cut.blocks["households"].sum() == 3


# --- units, boundaries, borders ---------------------------------------------------------------------------------------


def test_codes_run_from_north_to_south_and_west_to_east() -> None:
    cut = make_blocks(
        ground(shapely.box(0, 0, 600, 600), codes=["110108014"]),
        lines(("main", None, [(300, -5), (300, 605)]), ("main", None, [(-5, 300), (605, 300)])),
    )
    middle = cut.blocks.centroid
    assert cut.blocks["code"].tolist() == [f"110108014-000{n}" for n in (1, 2, 3, 4)]
    assert (middle.y - shapes.Y0).round().tolist() == [450, 450, 150, 150]
    assert (middle.x - shapes.X0).round().tolist() == [150, 450, 150, 450]


def test_a_corner_of_one_unit_on_the_edge_of_another_is_shared() -> None:
    units = shapes.in_degrees(
        ground(
            shapely.box(0, 0, 299.3, 100.7), shapely.box(0, 100.7, 133.1, 200), shapely.box(133.1, 100.7, 299.3, 200)
        )
    )
    place = gpd.GeoDataFrame({"code": ["S"]}, geometry=[shapely.union_all(units.geometry)], crs=units.crs)
    cut = make_blocks(place, shapes.in_degrees(lines(("lane", None, [(77.7, -5), (77.7, 205)]))), units=units)
    assert cut.blocks["unit"].value_counts().to_dict() == {"U": 2, "V": 2, "W": 1}
    assert_tiles(cut, place)


def test_rows_of_a_boundary_are_units_and_rows_of_one_code_are_one() -> None:
    place = ground(
        shapely.box(0, 0, 99, 99), shapely.box(99, 0, 200, 99), shapely.box(500, 0, 600, 99), codes=list("BAB")
    )
    cut = make_blocks(place, lines(("lane", None, [(150, -5), (150, 105)])))
    assert cut.blocks["unit"].tolist() == ["A", "A", "B", "B"]
    assert make_blocks(place.drop(columns="code"), lines(("lane", None, [(9, 0), (9, 9)]))).blocks["unit"].tolist() == [
        "1", "1",
    ]  # fmt: skip


def test_the_strongest_of_two_barriers_on_one_line_counts() -> None:
    both = [(100, -5), (100, 205)]
    cut = make_blocks(ground(SQUARE), lines(("lane", "小路", both), ("river", "万泉河", both), ("wall", None, both)))
    inner = cut.borders[cut.borders["right"].notna()]
    assert inner[["left", "right", "class", "name", "length_m"]].values.tolist() == [
        ["U-0001", "U-0002", "river", "万泉河", 200.0]
    ]
    assert set(cut.borders.loc[cut.borders["right"].isna(), "class"]) == {None}


def test_barriers_may_be_in_another_crs_and_the_boundary_stays_bit_for_bit() -> None:
    place = shapes.in_degrees(ground(SQUARE))
    street = lines(("lane", None, [(100, -5), (100, 205)]))
    cut = make_blocks(place, shapes.in_degrees(street).to_crs(shapes.METRES))
    assert len(cut.blocks) == 2
    assert cut.blocks.crs == place.crs
    assert_tiles(cut, place)


def test_inputs_stay_as_they_are_and_the_active_geometry_is_used() -> None:
    place, streets_ = ground(SQUARE), lines(("lane", None, [(100, -5), (100, 205)]))
    other = place.rename_geometry("ground").assign(geometry=None)
    before = wkb(place), wkb(streets_)
    assert wkb(make_blocks(other, streets_.rename_geometry("line")).blocks) == wkb(make_blocks(place, streets_).blocks)
    assert (wkb(place), wkb(streets_)) == before


def test_the_result_is_a_block_table_and_a_border_table() -> None:
    cut = make_blocks(ground(SQUARE), lines(("lane", None, [(100, -5), (100, 205)])))
    assert check(cut.blocks, "block")["code"].tolist() == ["U-0001", "U-0002"]
    assert len(check(cut.borders, "border")) == len(cut.borders)
    assert cut.blocks.attrs["parameters"] == {
        "snap_m": 5.0, "min_block_m2": 2000.0, "min_width_m": 20.0, "island_width_m": 40.0, "min_court_m2": 10_000.0,
        "need_access": True, "min_water_m2": 20_000.0, "min_water_width_m": 40.0, "norm": None,
    }  # fmt: skip


# --- loads ------------------------------------------------------------------------------------------------------------

STREET = ("lane", None, [(100, -5), (100, 205)])


def test_houses_on_a_border_count_for_the_lowest_block() -> None:
    homes = points([(100, 50), (50, 50), (200, 50)], households=[3, 1, 5], estimated=[True, False, False])
    cut = make_blocks(ground(SQUARE), lines(STREET), houses=homes)
    assert cut.blocks["households"].tolist() == [4, 5]
    assert cut.blocks["estimated"].tolist() == [3, 0]


def test_a_house_without_households_is_one_household() -> None:
    homes = points([(50, 50), (60, 60), (200, 50)])
    assert make_blocks(ground(SQUARE), lines(STREET), houses=homes).blocks["households"].tolist() == [2, 1]


def test_buildings_give_households_where_there_are_no_houses() -> None:
    towers = ground(shapely.box(10, 10, 30, 30), shapely.box(90, 50, 130, 70), shapely.box(200, 10, 220, 30)).assign(
        households=pd.array([40, 60, None], dtype="Int64"), estimated=[True, False, False]
    )
    cut = make_blocks(ground(SQUARE), lines(STREET), buildings=towers)
    assert cut.blocks["households"].tolist() == [40, 60]
    assert cut.blocks["buildings"].tolist() == [1, 2]
    counted = make_blocks(ground(SQUARE), lines(STREET), buildings=towers, houses=points([(250, 50)])).blocks
    assert counted["households"].tolist() == [0, 1]


def test_persons_are_counted_by_their_house_and_the_rest_is_told() -> None:
    homes = points([(50, 50), (200, 50)])
    people = pd.DataFrame({"id": list("abcd"), "house": ["h0", "h1", "h1", "h9"]})
    with pytest.warns(GridgisWarning, match="1 of 4 persons have no house in a block"):
        cut = make_blocks(ground(SQUARE), lines(STREET), houses=homes, persons=people)
    assert cut.blocks["persons"].tolist() == [1, 2]


def test_households_outside_are_told_with_their_houses() -> None:
    homes = points([(50, 50), (-50, 50)], households=[3, 7])
    with pytest.warns(GridgisWarning, match=r"7 households of houses outside the boundary are not counted \(h1\)"):
        cut = make_blocks(ground(SQUARE), lines(STREET), houses=homes)
    assert cut.blocks["households"].sum() == 3


def test_the_compound_that_covers_more_than_half_gives_its_kind() -> None:
    estates = ground(shapely.box(0, 0, 60, 200), shapely.box(100, 0, 190, 200)).assign(kind=["rural", "managed"])
    cut = make_blocks(ground(SQUARE), lines(STREET), compounds=estates)
    assert cut.blocks["compound_kind"].tolist() == ["rural", None]


# --- bad input --------------------------------------------------------------------------------------------------------


def test_a_barrier_file_without_lines_is_refused() -> None:
    none = lines(STREET).iloc[:0]
    with pytest.raises(InputError, match=r"barriers: the barriers have no lines; wanted roads, rivers"):
        make_blocks(ground(SQUARE), none)
    with pytest.raises(InputError, match="the barriers have no lines"):
        make_blocks(ground(SQUARE), lines(STREET).set_geometry(gpd.GeoSeries([None], crs=shapes.METRES)))


def test_barriers_that_are_areas_or_of_no_class_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"barriers must be lines \(row 1\)"):
        make_blocks(ground(SQUARE), ground(SQUARE).assign(**{"class": "lane"}))
    with pytest.raises(InputError, match=r"unknown class \(row 1\); wanted river, railway"):
        make_blocks(ground(SQUARE), lines(("footpath", None, [(0, 0), (9, 9)])))
    with pytest.raises(InputError, match="a barrier needs the column 'class'; found name, geometry"):
        make_blocks(ground(SQUARE), lines(STREET).drop(columns="class"))


@pytest.mark.parametrize("name", ["snap_m", "min_block_m2", "min_width_m", "island_width_m", "min_water_m2"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_thresholds_that_are_no_lengths_are_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"a threshold is no length or area; found {name}={value}; wanted 0 or more"):
        make_blocks(ground(SQUARE), lines(STREET), **{name: value})


@pytest.mark.parametrize("value", [-3, "two", float("inf")])
def test_households_that_are_no_counts_are_refused(value: object) -> None:
    homes = points([(50, 50), (60, 50)], households=pd.Series([1, value], dtype=object).tolist())
    with pytest.raises(
        SchemaError, match=rf"houses: households must be numbers of 0 or more \(row h1\); found {value}"
    ):
        make_blocks(ground(SQUARE), lines(STREET), houses=homes)


def test_houses_without_a_crs_are_refused() -> None:
    homes = points([(50, 50)]).set_crs(None, allow_override=True)
    with pytest.raises(CRSError, match="is missing"):
        make_blocks(ground(SQUARE), lines(STREET), houses=homes)


def test_an_empty_boundary_is_refused_and_empty_tables_beside_it_are_none() -> None:
    none = ground(SQUARE).iloc[:0]
    with pytest.raises(InputError, match="boundary: the table has no rows; wanted at least one polygon"):
        make_blocks(none, lines(STREET))
    with pytest.raises(InputError, match="units: the table has no rows"):
        make_blocks(ground(SQUARE), lines(STREET), units=none)
    cut = make_blocks(
        ground(SQUARE), lines(STREET), houses=points([]), buildings=none, compounds=none, water=none,
        persons=pd.DataFrame({"id": [], "house": []}),
    )  # fmt: skip
    assert cut.blocks["households"].tolist() == [0, 0]
    assert cut.blocks["compound"].tolist() == [None, None]


def test_lines_that_leave_the_ground_are_cut_at_its_outline() -> None:
    cut = make_blocks(ground(SQUARE), lines(("lane", "长街", [(-9e5, 100), (9e5, 100)])))
    assert cut.borders.loc[cut.borders["name"] == "长街", "length_m"].tolist() == [300.0]


def test_rows_without_geometry_are_left_out_of_the_barriers() -> None:
    streets_ = pd.concat([lines(STREET), lines(STREET).set_geometry(gpd.GeoSeries([None], crs=shapes.METRES))])
    assert len(make_blocks(ground(SQUARE), streets_).blocks) == 2


def test_a_missing_crs_says_how_to_give_one() -> None:
    with pytest.raises(CRSError, match=r"boundary: .* is missing\. Name it with --crs"):
        make_blocks(ground(SQUARE).set_crs(None, allow_override=True), lines(STREET))
    with pytest.raises(CRSError, match=r"barriers: .* is missing"):
        make_blocks(ground(SQUARE), lines(STREET).set_crs(None, allow_override=True))


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (None, "no geometry"),
        (shapely.Polygon(), "empty geometry"),
        (shapely.Polygon([(0, 0), (9, 9), (9, 0), (0, 9)]), "Self-intersection"),
        (shapely.LineString([(0, 0), (9, 9)]), "LineString"),
    ],
)
def test_a_boundary_that_is_no_polygon_is_refused(shape: object, reason: str) -> None:
    with pytest.raises(GeometryError, match=rf"boundary: not every row is a valid polygon \(row V\); found {reason}"):
        make_blocks(ground(SQUARE, shape), lines(STREET))


def test_units_must_lie_side_by_side_inside_the_boundary() -> None:
    west, east, wide = shapely.box(0, 0, 150, 200), shapely.box(150, 0, 300, 200), shapely.box(140, 0, 300, 200)
    with pytest.raises(PlanError, match=r"units overlap \(row U with V\); found 2,000.0 m²"):
        make_blocks(ground(SQUARE), lines(STREET), units=ground(west, wide))
    with pytest.raises(PlanError, match=r"leave part of the boundary free; found 30,000.0 m²"):
        make_blocks(ground(SQUARE), lines(STREET), units=ground(west))
    with pytest.raises(PlanError, match=r"outside the boundary \(row V\); found 30,000.0 m² outside"):
        make_blocks(ground(west), lines(STREET), units=ground(west, east))
    with pytest.raises(SchemaError, match=r"units: the code is not unique \(row A\)"):
        make_blocks(ground(SQUARE), lines(STREET), units=ground(west, east, codes=["A", "A"]))


def test_barriers_that_miss_the_boundary_are_told() -> None:
    with pytest.warns(GridgisWarning, match=r"none of the 1 barrier lines meets the boundary"):
        cut = make_blocks(ground(SQUARE), lines(("lane", None, [(5000, 0), (5000, 99)])))
    assert len(cut.blocks) == 1


# --- real ground ------------------------------------------------------------------------------------------------------


@pytest.mark.places
def test_qinghuayuan_is_cut_along_its_streets(places: Path) -> None:
    from gridgis.files import read, read_osm

    place = read(f"{places}/beijing/haidian-all.geojson#110108014", table="boundary")
    with pytest.warns(GridgisWarning, match="the rest has no data"):
        layers = read_osm(places / "qinghuayuan" / "map.osm", place)
    loads = {name: layers[name] for name in ("buildings", "compounds", "water")}
    cut = make_blocks(place, layers["barriers"], **loads)
    assert_tiles_coarsely(cut, place)
    assert 120 <= len(cut.blocks) <= 200
    assert cut.blocks["buildings"].sum() == pytest.approx(410, abs=6)
    named = cut.borders.groupby("name")["length_m"].sum()
    assert {"万泉河", "成府路", "荷清路", "学堂路", "清华路", "至善路"} <= set(named.index)
    assert named["学堂路"] > 1000
    # Where households are known, the courts of the campus where nobody lives are no blocks of their own.
    homes = loads["buildings"].assign(households=(loads["buildings"]["kind"] == "apartments") * 40)
    fewer = make_blocks(place, layers["barriers"], **{**loads, "buildings": homes})
    assert_tiles_coarsely(fewer, place)
    assert 80 <= len(fewer.blocks) <= 0.85 * len(cut.blocks)


def assert_tiles_coarsely(cut: Blocks, place: gpd.GeoDataFrame) -> None:
    assert shapely.coverage_is_valid(cut.blocks.geometry.to_numpy())
    assert free_and_outside(cut.blocks, place) < AREA
    corners = set(map(tuple, shapely.get_coordinates(place.geometry.to_numpy())))
    assert corners <= set(map(tuple, shapely.get_coordinates(cut.blocks.geometry.to_numpy())))
    assert validate(cut.blocks, place)["kind"].tolist() == []


@pytest.mark.places
def test_cambridge_is_cut_by_its_streets(places: Path) -> None:
    folder = places / "cambridge"
    place = gpd.read_file(folder / "BOUNDARY_CityBoundary.geojson")
    streets_ = gpd.read_file(folder / "TRANS_Centerlines.geojson")
    kinds = np.select([streets_["MajorRoad"] == 1, streets_["MajorRoad"] == 2], ["main", "secondary"], "lane")
    water = gpd.read_file(folder / "HYDRO_WaterBodies.geojson").rename(columns={"NAME": "name"})
    tracks = gpd.read_file(folder / "TRANS_Rail.geojson").geometry
    parts = [
        (streets_.geometry, kinds, streets_["Street"]),
        (water.boundary, "river", water["name"]),
        (tracks, "railway", None),
    ]
    layers = [gpd.GeoDataFrame(geometry=g.to_crs(place.crs)).assign(**{"class": c, "name": n}) for g, c, n in parts]
    cut = make_blocks(place, pd.concat(layers, ignore_index=True), water=water)
    assert_tiles_coarsely(cut, place)
    assert 600 < len(cut.blocks) < 1000
    inner = cut.borders[cut.borders["right"].notna()]
    assert {"river", "railway", "main", "secondary", "lane"} == set(inner["class"].dropna())
    assert inner.loc[inner["name"] == "Massachusetts Ave", "length_m"].sum() > 5000
    assert inner.loc[inner["class"].isna(), "length_m"].sum() < 0.001 * inner["length_m"].sum()
    # Fresh Pond is a block, and so is each of the three reaches of the Charles (a dam and a lock part them): no bridge
    # cuts them, no meadow is part of them.
    blocks = cut.blocks.to_crs(26919)
    for name in ("Fresh Pond", "Charles River"):
        body = water.loc[water["name"] == name].to_crs(26919).union_all().intersection(place.to_crs(26919).union_all())
        own = blocks[blocks.intersection(body).area > 0.5 * blocks.area]
        assert len(own) == (shapely.area(shapely.get_parts(body)) > 1).sum() == (1 if name == "Fresh Pond" else 3)
        assert own.intersection(body).area.sum() > 0.97 * body.area
        assert own.difference(body).area.sum() < 0.01 * own.area.sum()
