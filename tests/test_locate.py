"""GridLocator: always what shapely's `intersects` says, the lowest row winning."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
import shapes
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridgis.errors import InputError
from gridgis.locate import GridLocator, compiled, ground, table


def by_hand(
    grids: gpd.GeoSeries, x: np.ndarray, y: np.ndarray, predicate: Callable[..., np.ndarray] = shapely.intersects
) -> np.ndarray:
    """Which grid intersects which point, one by one and unprepared: rows are points, columns are grids."""
    points = np.full(len(x), None, dtype=object)
    placed = np.isfinite(x) & np.isfinite(y)
    points[placed] = shapely.points(x[placed], y[placed])
    polygons = shapely.from_wkb(shapely.to_wkb(np.array(grids.geometry, dtype=object)))  # copies, never prepared
    return predicate(polygons[None, :], points[:, None])


def awkward_points(grids: gpd.GeoSeries, seed: int = 0, count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Vertices, points on and one step beside edges, points all over and outside, NaN and infinity."""
    rng = np.random.default_rng(seed)
    corners = shapely.get_coordinates(np.array(grids.geometry, dtype=object))
    if len(corners) == 0:
        corners = np.zeros((2, 2))
    ends = corners[1:]
    share = rng.random((len(ends), 1)).round(2)
    on_edges = corners[:-1] * (1 - share) + ends * share
    low, high = corners.min(axis=0), corners.max(axis=0)
    margin = (high - low) / 5 + 1
    all_over = rng.uniform(low - margin, high + margin, (count, 2))
    sound = np.vstack([corners, on_edges, (corners[:-1] + ends) / 2, all_over])
    beside = np.nextafter(sound, rng.choice([-np.inf, np.inf], sound.shape))
    nowhere = [(np.nan, 0), (0, np.nan), (np.inf, 0), (0, -np.inf), (1e300, 1e300)]
    x, y = np.vstack([sound, beside, nowhere]).T
    return x, y


def cell_points(locator: GridLocator, seed: int = 0, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Corners and centres of cells and sub-cells of the table, exact and one step beside; none without a table."""
    table = locator._table
    if table is None:
        return np.empty(0), np.empty(0)
    rng = np.random.default_rng(seed)
    halves = rng.integers(0, np.array([table.columns, table.lines]) * 16 + 1, (count, 2))
    xy = np.array([table.left, table.bottom]) + halves / 2 * table.step
    x, y = np.vstack([xy, np.nextafter(xy, np.inf), np.nextafter(xy, -np.inf)]).T
    return x, y


def check(grids: gpd.GeoSeries, x: np.ndarray, y: np.ndarray, folder: Path | None = None) -> None:
    """Every way to look up says what `intersects`, and `touches` for borders, say of each pair."""
    tabled = GridLocator(grids, method="table")
    tabled.locate([], [])
    x, y = (np.concatenate(part) for part in zip((x, y), cell_points(tabled), strict=True))
    hits = by_hand(grids, x, y)
    wanted = np.where(hits.any(axis=1), hits.argmax(axis=1), -1) if hits.size else np.full(len(x), -1)
    border = (hits & ~by_hand(grids, x, y, shapely.contains)).any(axis=1)
    ways = {"bins": GridLocator(grids, method="bins"), "table": tabled}
    if folder is not None:
        ways["loaded"] = GridLocator.load(tabled.save(folder / "grids.locator"))
    for name, locator in ways.items():
        assert locator.locate(x, y).tolist() == wanted.tolist(), name
        points, rows = locator.candidates(x, y)
        assert np.column_stack([points, rows]).tolist() == np.argwhere(hits).tolist(), name
        assert locator.on_border(x, y).tolist() == border.tolist(), name
        if compiled.installed() and locator._table is not None:
            assert locator.use(compiled=True).locate(x, y).tolist() == wanted.tolist(), f"{name}, compiled"


_place = st.tuples(st.integers(-6, 6), st.integers(-6, 6))
_fine_place = st.tuples(st.floats(-6, 6, width=32), st.floats(-6, 6, width=32))


@st.composite
def polygons(draw: st.DrawFn) -> shapely.Geometry | None:
    """A valid polygon of any kind, most on a lattice so that they share edges and nodes; None and empty too."""
    kind = draw(st.sampled_from(["box", "hull", "fine", "disc", "ring", "two", "none", "empty"]))
    if kind in ("none", "empty"):
        return None if kind == "none" else shapely.Polygon()
    if kind in ("hull", "fine"):
        places = draw(st.lists(_place if kind == "hull" else _fine_place, min_size=3, max_size=9))
        hull = shapely.convex_hull(shapely.MultiPoint(places))
        return hull if hull.geom_type == "Polygon" and hull.is_valid else shapely.Polygon()
    x, y = draw(_place)
    width, height = draw(st.integers(3, 6)), draw(st.integers(3, 6))
    shape = shapely.box(x, y, x + width, y + height)
    if kind == "disc":
        return shapely.Point(x, y).buffer(width / 3)
    if kind == "ring":
        return shape.difference(shapely.box(x + 1, y + 1, x + width - 1, y + height - 1))
    if kind == "two":
        return shapely.union_all([shape, shapely.box(x + 20, y, x + 21, y + 1)])
    return shape


@settings(max_examples=200, deadline=None)
@example([shapely.Polygon([(-1, 0), (0, 0.5), (0, 0)])], 0)  # points a smallest number from 0
@example([shapely.box(-1, -2, 2, 1).difference(shapely.box(0, -1, 1, 0))], 0)
@given(st.lists(polygons(), min_size=0, max_size=8), st.integers(0, 99))
def test_any_polygons_and_any_points_are_as_intersects_says(drawn: list[shapely.Geometry], seed: int) -> None:
    grids = gpd.GeoSeries(drawn, dtype="geometry")
    lattice = np.array(list(itertools.product(range(-7, 14), repeat=2)), dtype=float)
    x, y = awkward_points(grids, seed, count=40)
    check(grids, np.concatenate([lattice[:, 0], x]), np.concatenate([lattice[:, 1], y]))


@pytest.mark.parametrize("name", [*shapes.CLEAN, "overlap", "gap", "duplicate", "contained", "empty", "multipart"])
@pytest.mark.parametrize("degrees", [False, True])
def test_every_shape_of_the_zoo(name: str, degrees: bool, tmp_path: Path) -> None:
    grids = {**shapes.CLEAN, **shapes.FAULTY}[name]()
    if degrees:
        grids = shapes.in_degrees(grids)
    check(grids, *awkward_points(grids), tmp_path)


def test_slivers_of_a_tenth_of_a_micrometre() -> None:
    edges = np.cumsum(np.full(40, 1e-7)) + shapes.X0
    grids = gpd.GeoSeries([shapely.box(a, 0, b, 1) for a, b in itertools.pairwise(edges)])
    check(grids, *awkward_points(grids))


def test_small_chunks_give_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    grids = shapes.contained()
    x, y = awkward_points(grids, count=500)
    whole = GridLocator(grids).locate(x, y)
    monkeypatch.setattr(ground, "_CHUNK", 37)
    monkeypatch.setattr(ground, "_PAIRS", 5)
    monkeypatch.setattr(ground, "_FEW", 3)
    monkeypatch.setattr(table, "CHUNK", 41)
    assert GridLocator(grids).locate(x, y).tolist() == whole.tolist()
    check(grids, x, y)


def test_few_points_in_many_grids() -> None:
    places = np.random.default_rng(3).uniform(0, 30, (3000, 2)).round()
    grids = gpd.GeoSeries([*shapely.box(*places.T, *(places + 2).T), None, shapely.Polygon()])
    x, y = np.random.default_rng(4).uniform(-1, 33, (2, 400)).round(1)
    x[:3], y[5:8] = np.nan, np.inf
    locator = GridLocator(grids)
    hits = by_hand(grids, x, y)
    wanted = np.where(hits.any(axis=1), hits.argmax(axis=1), -1).tolist()
    assert [locator.locate(x, y).tolist() for _ in range(4)] == [wanted] * 4


#: Grids as given, copied, prepared, and as it is chosen.
HOW_OFTEN = pytest.mark.parametrize(
    ("seldom", "often"), [(1 << 40, 1 << 40), (0, 1 << 40), (0, 0), (ground.SELDOM, ground.OFTEN)]
)

NEAR_ZERO = [
    # a vertex, or a point, a smallest number from 0; a hole that touches its rim; parts that touch each other
    shapely.from_wkt("POLYGON ((3 -5, -5 0, 4 5e-324, 4 -5, 3 -5))"),
    shapely.from_wkt("POLYGON ((-4 -4, 4 -4, 4 4, -4 4, -4 -4), (-4 0, 1 5e-324, 1 2, -4 0))"),
    shapely.from_wkt("POLYGON ((-4 -4, 4 -4, 4 4, -4 4, -4 -4), (0 0, -4 -2, 2 -1, 0 0))"),
    shapely.from_wkt("MULTIPOLYGON (((0 4, 0 4.33, 2 4, 4 3, 0 4)), ((-4 5, -0.33 4.39, -0.48 4.12, -4 5)))"),
    shapely.from_wkt("MULTIPOLYGON (((5e-324 -2.2, 0.46 -2.8, 5e-324 -3, 5e-324 -2.2)), ((0 5, 6 4, 2 0, 0 5)))"),
]


@HOW_OFTEN
@pytest.mark.parametrize("shape", NEAR_ZERO, ids=range(len(NEAR_ZERO)))
def test_points_and_corners_a_smallest_number_from_zero(
    shape: shapely.Geometry, seldom: int, often: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ground, "SELDOM", seldom)
    monkeypatch.setattr(ground, "OFTEN", often)
    assert shapely.is_valid(shape)
    least = [0.0, 5e-324, -5e-324, 1e-300, -1e-300]
    lattice = np.array([*itertools.product(least, np.arange(-6, 6.5, 0.5)), *itertools.product(least, least)])
    beside = np.nextafter(lattice, np.inf)
    grids = gpd.GeoSeries([shape, shapely.box(-1, -1, 1, 1)])
    xy = np.vstack([lattice, lattice[:, ::-1], beside, beside[:, ::-1], np.transpose(awkward_points(grids))])
    check(grids, *xy.T)


@HOW_OFTEN
def test_a_hole_that_touches_its_rim(seldom: int, often: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground, "SELDOM", seldom)
    monkeypatch.setattr(ground, "OFTEN", often)
    square = shapely.box(-4, -4, 4, 4)
    at_node, at_edge = shapely.Polygon([(-4, -4), (0, 1), (1, 0)]), shapely.Polygon([(4, 1), (1, 3), (2, 1)])
    both = square.difference(at_node).difference(at_edge)
    assert len(both.interiors) == 2
    grids = gpd.GeoSeries([both, at_node, at_edge, shapely.affinity.rotate(both, 33), square])
    check(grids, *awkward_points(grids, count=400))


def test_grids_that_others_prepare_are_asked_all_the_same() -> None:
    grids = shapes.voronoi(30)
    x, y = awkward_points(grids, count=300)
    wanted = GridLocator(grids, method="bins").locate(x, y).tolist()
    locator = GridLocator(grids, method="bins")
    shapely.prepare(grids.geometry.array)
    assert locator.locate(x, y).tolist() == wanted
    shapely.destroy_prepared(np.asarray(grids.geometry.array))
    assert locator.locate(x, y).tolist() == wanted


def test_the_lowest_row_wins_a_border_whatever_the_order_of_the_rows() -> None:
    grids = shapes.squares()
    x, y = [shapes.X0 + 100.0], [shapes.Y0 + 100.0]  # where four cells meet
    assert grids["code"].iloc[GridLocator(grids).locate(x, y)].tolist() == ["11"]
    turned = grids.iloc[::-1]
    assert turned["code"].iloc[GridLocator(turned).locate(x, y)].tolist() == ["22"]


def test_borders_are_edges_nodes_and_rims_of_holes() -> None:
    grids = shapes.donut()
    x = shapes.X0 + np.array([0.0, 100.0, 150.0, 50.0, 150.0, 300.0, 400.0, np.nan])
    y = shapes.Y0 + np.array([0.0, 150.0, 100.0, 50.0, 150.0, 7.0, 0.0, 0.0])
    assert GridLocator(grids).on_border(x, y).tolist() == [True, True, True, False, False, True, False, False]


def test_threads_and_copies_agree() -> None:
    grids = shapes.voronoi(200)
    x, y = awkward_points(grids, count=5000)
    wanted = GridLocator(grids).locate(x, y).tolist()
    shared = GridLocator(grids)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: shared.locate(x, y).tolist(), range(16)))
    assert answers == [wanted] * 16


def test_the_frame_is_not_touched_and_not_followed() -> None:
    grids = shapes.squares()
    before = grids.copy()
    locator = GridLocator(grids)
    locator.locate([shapes.X0 + 1.0], [shapes.Y0 + 1.0])
    assert grids.equals(before)
    assert not shapely.is_prepared(grids.geometry.array).any()
    grids.loc[:, "geometry"] = None
    assert locator.locate([shapes.X0 + 1.0], [shapes.Y0 + 1.0]).tolist() == [0]


def test_no_points_no_grids_and_whole_numbers() -> None:
    grids = shapes.squares()
    assert GridLocator(grids).locate([], []).tolist() == []
    assert GridLocator(grids.iloc[:0]).locate([1.0], [1.0]).tolist() == [-1]
    assert len(GridLocator(grids)) == 9
    x, y = np.array([447_050]), np.array([4_427_050], dtype=np.int32)
    found = GridLocator(grids).locate(x, y)
    assert found.tolist() == [0]
    assert found.dtype == np.int64


def test_other_names_of_the_geometry_column() -> None:
    grids = shapes.squares().rename_geometry("ground")
    grids["old"] = None
    assert GridLocator(grids).locate([shapes.X0 + 250.0], [shapes.Y0 + 250.0]).tolist() == [8]


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1.0, 2.0], [1.0], r"x and y do not fit each other; found shapes \(2,\) and \(1,\)"),
        ([[1.0]], [[1.0]], r"found shapes \(1, 1\)"),
        (["east"], [1.0], "the coordinates are not numbers; found the text 'east'; wanted arrays of numbers"),
        ([1.0], ["39.9"], "the coordinates are not numbers; found the text '39.9'"),
        ([1.0, None, "2"], [1.0, 2.0, 3.0], "the coordinates are not numbers; found the text '2'"),
        ([object()], [1.0], r"the coordinates are not numbers; found .*float"),
    ],
)
def test_coordinates_that_cannot_be_used(x: list[object], y: list[object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        GridLocator(shapes.squares()).locate(x, y)


@pytest.mark.places
def test_a_real_city(places: Path) -> None:
    grids = gpd.read_file(places / "cambridge" / "PUBLICSAFETY_PoliceResponseDistricts.geojson")
    assert len(grids) == 117
    check(grids, *(part[::20] for part in awkward_points(grids, count=2000)))
