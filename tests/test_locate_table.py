"""The table of cells: large and odd sets, when it is built, kept files, threads and forked processes."""

from __future__ import annotations

import gc
import multiprocessing
import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
import shapes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_locate import awkward_points, by_hand, check

from gridgis.errors import InputError
from gridgis.locate import GridLocator, building, compiled, kept, table
from gridgis.locate.locator import SUFFIX

PRESENT = compiled.installed()


def by_tree(grids: gpd.GeoSeries, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The lowest row that shapely's `intersects` gives, for larger sets."""
    placed = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    point, row = shapely.STRtree(np.array(grids.geometry)).query(
        shapely.points(x[placed], y[placed]), predicate="intersects"
    )
    lowest = np.full(len(x), len(grids))
    np.minimum.at(lowest, placed[point], row)
    return np.where(lowest < len(grids), lowest, -1)


def points_at(xy: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """These places, one step beside them, and a few millionths beside."""
    beside = np.nextafter(xy, rng.choice([-np.inf, np.inf], xy.shape))
    near = xy * (1 + rng.choice([-1, 1], xy.shape) * 1e-13)
    x, y = np.vstack([xy, beside, near]).T
    return np.ascontiguousarray(x), np.ascontiguousarray(y)


def adversarial(grids: gpd.GeoSeries, count: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Nodes, points on edges, on the lines that go on from edges, level with nodes, and all over."""
    rng = np.random.default_rng(seed)
    xy, ring = shapely.get_coordinates(np.array(grids.geometry), return_index=True)
    starts = np.flatnonzero(ring[:-1] == ring[1:])
    some = rng.choice(starts, count // 4)
    a, b = xy[some], xy[some + 1]
    t = rng.choice([0.25, 0.5, 0.75, 1.5, -0.5, rng.random()], (len(some), 1))
    level = np.column_stack([a[:, 0], b[::-1, 1]])
    low, high = xy.min(axis=0), xy.max(axis=0)
    all_over = rng.uniform(low - (high - low) / 10, high + (high - low) / 10, (count // 4, 2))
    return points_at(np.vstack([a, a + t * (b - a), level, all_over]), rng)


def discs() -> gpd.GeoSeries:
    rng = np.random.default_rng(4)
    return gpd.GeoSeries(shapely.buffer(shapely.points(rng.uniform(0, 1000, (60, 2))), rng.uniform(20, 200, 60)))


def enclaves() -> gpd.GeoSeries:
    rings = [shapely.Point(500, 500).buffer(r, quad_segs=40) for r in (400, 300, 200, 100)]
    return gpd.GeoSeries([a.difference(b) for a, b in zip(rings, [*rings[1:], shapely.Point()], strict=True)])


SETS = {
    "wiggly": lambda: shapes.voronoi(150).geometry,
    "wiggly in degrees": lambda: shapes.in_degrees(shapes.voronoi(150)).geometry,
    "fishnet": lambda: shapes.squares(12, 9, 50.0).geometry,
    "twice": lambda: gpd.GeoSeries([*shapes.voronoi(40).geometry, *shapes.voronoi(40).geometry]),
    "discs": discs,
    "enclaves": enclaves,
    "about zero": lambda: shapes.voronoi(100).geometry.translate(-shapes.X0 - 500, -shapes.Y0 - 500),
    "huge": lambda: shapes.voronoi(60).geometry.scale(1e7, 1e7, origin=(0, 0)),
    "vast": lambda: shapes.voronoi(30).geometry.scale(1e150, 1e150, origin=(0, 0)),
    "tiny": lambda: shapes.voronoi(60).geometry.translate(-shapes.X0, -shapes.Y0).scale(1e-9, 1e-9, origin=(0, 0)),
    "far": lambda: shapes.voronoi(60).geometry.scale(1e-5, 1e-5).translate(1e9, 1e9),
    "one afar": lambda: gpd.GeoSeries([*shapes.voronoi(60).geometry, shapely.box(9e6, 9e6, 9e6 + 1, 9e6 + 1)]),
    "many edges": lambda: gpd.GeoSeries([shapely.Point(0, 0).buffer(1, quad_segs=500), shapely.box(-9e3, 2, 9e3, 9e3)]),
}


@pytest.mark.parametrize("name", SETS)
def test_sets_of_many_kinds_against_points_in_the_worst_places(name: str) -> None:
    grids = SETS[name]()
    grids = grids[grids.is_valid].reset_index(drop=True)
    x, y = adversarial(grids)
    wanted = by_tree(grids, x, y).tolist()
    locator = GridLocator(grids, method="table", compiled=False)
    assert locator.locate(x, y).tolist() == wanted
    assert GridLocator(grids, method="bins").locate(x, y).tolist() == wanted
    if PRESENT:
        assert locator.use(compiled=True).locate(x, y).tolist() == wanted


def test_coordinates_at_the_end_of_what_numbers_hold() -> None:
    grids = gpd.GeoSeries([shapely.box(-1.7e308, 0, -1e308, 1), shapely.box(1e308, 0, 1.7e308, 2e9)])
    x = np.array([-1.7e308, -1.2e308, -1e308, 0.0, 1e308, 1.2e308, 1.7e308] * 20)
    y = np.repeat([0.0, 0.5, 1.0, 2.0], 35)
    wanted = by_tree(grids, x, y).tolist()
    assert {0, 1, -1} == set(wanted)
    for method in ("table", "bins"):
        assert GridLocator(grids, method=method).locate(x, y).tolist() == wanted  # type: ignore[arg-type]


_scale = st.sampled_from([1e-6, 1.0, 3.7, 1e5])
_shift = st.tuples(st.sampled_from([0.0, 116.4, 447_000.0, -4e6]), st.sampled_from([0.0, 39.9, 4_427_000.0]))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40), st.booleans(), _scale, _shift)
def test_overlapping_hulls_anywhere(
    seed: int, count: int, whole: bool, scale: float, shift: tuple[float, float]
) -> None:
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 20, (count, 1, 2)) + rng.normal(0, 2, (count, 7, 2))
    places = (np.round(centres) if whole else centres) * scale + shift
    hulls = shapely.convex_hull(shapely.multipoints(places))
    grids = gpd.GeoSeries([hull for hull in hulls if hull.geom_type == "Polygon" and hull.is_valid], dtype="geometry")
    x, y = awkward_points(grids, seed, count=60)
    check(grids, x, y)


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_points_is_irrelevant(random: object) -> None:
    grids = shapes.voronoi(60)
    x, y = adversarial(grids.geometry, 400)
    order = np.array(random.sample(range(len(x)), len(x)))  # type: ignore[attr-defined]
    locator = GridLocator(grids, method="table")
    assert locator.locate(x[order], y[order]).tolist() == locator.locate(x, y)[order].tolist()


def test_the_order_of_grids_and_their_rings_direction_change_nothing_but_the_lowest_row() -> None:
    grids = shapes.voronoi(80).geometry
    x, y = adversarial(grids)
    turned = gpd.GeoSeries(shapely.reverse(np.array(grids))[::-1])
    points, rows = GridLocator(turned, method="table").candidates(x, y)
    order = np.lexsort((len(grids) - 1 - rows, points))
    back = points[order].tolist(), (len(grids) - 1 - rows)[order].tolist()
    assert back == tuple(part.tolist() for part in GridLocator(grids, method="table").candidates(x, y))


def test_most_points_on_borders_need_no_geos_and_points_in_overlaps_do() -> None:
    grids = shapes.voronoi(150).geometry
    locator = GridLocator(grids, method="table")
    xy = shapely.get_coordinates(np.array(grids))
    locator.locate([], [])
    assert locator._table is not None
    found, asked = locator._table.rows(xy[:, 0].copy(), xy[:, 1].copy())
    assert len(asked) < len(xy) / 50
    assert (found[np.setdiff1d(np.arange(len(xy)), asked)] >= 0).all()
    _, asked = locator._table.rows(xy[:, 0].copy(), xy[:, 1].copy(), borders=False)
    assert len(asked) == len(xy)
    over = GridLocator(gpd.GeoSeries([shapely.box(0, 0, 2, 1), shapely.box(1, 0, 3, 1)]), method="table")
    over.locate([], [])
    assert over._table is not None
    assert len(over._table.rows(np.array([1.5, 0.5]), np.array([0.5, 0.5]))[1]) == 1


# --- when it is built -------------------------------------------------------------------------------------------------


def test_the_table_is_built_when_it_pays() -> None:
    grids = shapes.voronoi(50)
    x, y = np.full(200_000, shapes.X0 + 1.0), np.full(200_000, shapes.Y0 + 1.0)
    few = GridLocator(grids)
    few.locate(x[:100], y[:100])
    assert few.table_bytes == 0
    many = GridLocator(grids)
    many.locate(x, y)
    assert many.table_bytes > 0
    for _ in range(30):  # small calls add up
        few.locate(x[:10_000], y[:10_000])
    assert few.table_bytes > 0
    told = GridLocator(grids, expected=10_000_000)
    told.locate(x[:1], y[:1])
    assert told.table_bytes > 0
    never = GridLocator(grids, expected=10_000_000, method="bins")
    never.locate(x, y)
    assert never.table_bytes == 0


def test_lines_and_points_among_the_rows_are_answered_without_a_table() -> None:
    grids = gpd.GeoSeries([shapely.box(0, 0, 1, 1), shapely.LineString([(0, 2), (1, 2)]), shapely.Point(3, 3)])
    locator = GridLocator(grids, method="table")
    assert locator.locate([0.5, 0.5, 3.0, 4.0], [0.5, 2.0, 3.0, 4.0]).tolist() == [0, 1, 2, -1]
    assert locator.table_bytes == 0


@pytest.mark.parametrize("rows", [[], [None], [shapely.Polygon(), None], [shapely.MultiPolygon()]])
def test_sets_without_ground(rows: list[object], tmp_path: Path) -> None:
    grids = gpd.GeoSeries(rows, dtype="geometry")
    for method in ("auto", "table", "bins"):
        locator = GridLocator(grids, method=method)  # type: ignore[arg-type]
        assert locator.locate([0.0, np.nan], [0.0, 0.0]).tolist() == [-1, -1]
        assert locator.on_border([0.0], [0.0]).tolist() == [False]
        assert [part.tolist() for part in locator.candidates([0.0], [0.0])] == [[], []]
    again = GridLocator.load(locator.save(tmp_path / "none.locator"))
    assert len(again) == len(rows)
    assert again.locate([0.0], [0.0]).tolist() == [-1]


def test_a_crowded_tile_is_left_to_geos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "_MOST_EDGES", 2)
    grids = shapes.voronoi(60).geometry
    check(grids, *awkward_points(grids, count=300))


@pytest.mark.parametrize("pieces", [1, 7])
def test_the_size_of_the_pieces_it_is_built_in_changes_nothing(pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes_ = np.array(shapes.voronoi(60).geometry)
    whole = building.build(shapes_)
    monkeypatch.setattr(building, "_TILES", pieces)
    assert whole is not None
    again = building.build(shapes_)
    assert again is not None
    assert all(np.array_equal(one, other) for one, other in zip(whole, again, strict=True))


def test_an_unlucky_hash_only_leaves_shared_edges_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "_hash", lambda ends, bits: np.arange(len(ends)) % 3)
    grids = shapes.voronoi(60).geometry
    check(grids, *awkward_points(grids, count=300))


def test_arguments_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    grids = shapes.squares()
    with pytest.raises(InputError, match=r"no such method; found 'rtree'; wanted auto, table or bins"):
        GridLocator(grids, method="rtree")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"counts; found threads 0, expected None"):
        GridLocator(grids, threads=0)
    with pytest.raises(InputError, match=r"counts; found threads 1, expected -1"):
        GridLocator(grids, expected=-1)
    monkeypatch.setattr(compiled, "installed", lambda: False)
    with pytest.raises(InputError, match=r'numba is not installed. Install "gridgis\[fast\]", or leave compiled out'):
        GridLocator(grids, compiled=True)
    assert GridLocator(grids, method="table").locate([shapes.X0 + 1], [shapes.Y0 + 1]).tolist() == [0]


# --- kept files -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return GridLocator(shapes.voronoi(30)).save(tmp_path_factory.mktemp("kept") / "grids.locator")


def test_a_kept_locator_answers_from_the_mapped_file(file: Path) -> None:
    grids = shapes.voronoi(30).geometry
    x, y = adversarial(grids)
    locator = GridLocator.load(file)
    assert locator._table is not None
    assert isinstance(locator._table.cells.base.base, np.memmap) or isinstance(locator._table.cells.base, np.memmap)
    assert locator.table_bytes > 0
    assert locator.locate(x, y).tolist() == by_tree(grids, x, y).tolist()
    assert locator.use(method="bins").locate(x, y).tolist() == by_tree(grids, x, y).tolist()
    assert (
        GridLocator.load(locator.save(file.with_name("again"))).locate(x, y).tolist() == locator.locate(x, y).tolist()
    )


def test_kept_finds_its_file_by_the_coordinates(tmp_path: Path) -> None:
    grids = shapes.voronoi(30)
    GridLocator.kept(grids, tmp_path)
    (only,) = tmp_path.iterdir()
    assert only.suffix == SUFFIX
    written = only.stat().st_mtime_ns
    GridLocator.kept(grids.rename_geometry("ground"), tmp_path)
    assert only.stat().st_mtime_ns == written
    moved = shapes.moved(grids, grids["code"].iloc[3], 1e-9)
    GridLocator.kept(moved, tmp_path)
    GridLocator.kept(grids.iloc[::-1], tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_stale_file_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "grids.locator"
    grids = shapes.squares()
    GridLocator.kept(grids, path)
    turned = grids.iloc[::-1]
    x, y = [shapes.X0 + 50.0], [shapes.Y0 + 50.0]
    assert GridLocator.kept(turned, path).locate(x, y).tolist() == [8]
    assert GridLocator.load(path).locate(x, y).tolist() == [8]
    assert [part.name for part in tmp_path.iterdir()] == ["grids.locator"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_refused_by_load_and_made_anew_by_kept(
    file: Path, tmp_path: Path, data: st.DataObject
) -> None:
    raw = bytearray(file.read_bytes())
    path = tmp_path / "damaged.locator"
    if data.draw(st.booleans(), "cut"):
        raw = raw[: data.draw(st.integers(len(kept._FORMAT), len(raw) - kept._ALIGN), "length")]
    else:
        # Behind the name of the format; the zeros between arrays mean nothing.
        place = data.draw(st.integers(len(kept._FORMAT), len(raw) - 1), "place")
        raw[place] ^= data.draw(st.integers(1, 255), "bits")
    path.write_bytes(raw)
    grids = shapes.voronoi(30)
    x, y = adversarial(grids.geometry, 100)
    wanted = by_tree(grids.geometry, x, y).tolist()
    try:
        assert GridLocator.load(path).locate(x, y).tolist() == wanted  # a zero between arrays
    except InputError as error:
        assert "the kept locator is" in str(error)
    assert GridLocator.kept(grids, path).locate(x, y).tolist() == wanted
    assert GridLocator.load(path).locate(x, y).tolist() == wanted


def test_messages_of_files_that_cannot_be_used(file: Path, tmp_path: Path) -> None:
    grids = shapes.squares()
    raw = file.read_bytes()
    path = tmp_path / "old.locator"
    path.write_bytes(kept._FORMAT + b"0" + raw[len(kept._MAGIC) - 1 :])
    with pytest.raises(InputError, match=r"old.locator: the kept locator is of another version; found .*Make it anew"):
        GridLocator.load(path)
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(InputError, match=r"old.locator: the kept locator is truncated or damaged; found other"):
        GridLocator.load(path)
    path.write_bytes(raw[: len(kept._MAGIC) + 5])
    with pytest.raises(InputError, match=r"the kept locator is truncated or damaged; found \d+ bytes"):
        GridLocator.load(path)
    foreign = tmp_path / "notes.txt"
    foreign.write_text("mine", "utf-8")
    with pytest.raises(InputError, match=r"notes.txt: this is no kept locator; wanted a file that GridLocator.save"):
        GridLocator.load(foreign)
    for write in (GridLocator(grids).save, lambda path: GridLocator.kept(grids, path)):
        with pytest.raises(InputError, match=r"notes.txt: this is no kept locator, and it is not overwritten"):
            write(foreign)
        with pytest.raises(InputError, match=r"the locator cannot be written; found No such file or directory"):
            write(tmp_path / "nowhere" / "x.locator")
    assert foreign.read_text("utf-8") == "mine"
    with pytest.raises(InputError, match=r"absent.locator: the locator cannot be read; found No such file"):
        GridLocator.load(tmp_path / "absent.locator")


# --- threads and processes --------------------------------------------------------------------------------------------


def test_threads_share_one_locator_while_its_table_is_built(tmp_path: Path) -> None:
    grids = shapes.voronoi(120)
    x, y = adversarial(grids.geometry, 8000)
    wanted = by_tree(grids.geometry, x, y).tolist()
    opened = GridLocator.load(GridLocator(grids).save(tmp_path / "grids.locator"))
    for shared in (GridLocator(grids), GridLocator(grids, method="table"), opened):
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _, one=shared: one.locate(x, y).tolist(), range(12)))
        assert answers == [wanted] * 12


@pytest.mark.parametrize(
    "use_compiled", [False, pytest.param(True, marks=[] if PRESENT else pytest.mark.skip("no numba"))]
)
def test_more_threads_give_the_same(use_compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridgis.locate.locator._SHARE", 1000)
    grids = gpd.GeoSeries([*shapes.voronoi(60).geometry, *discs().translate(shapes.X0, shapes.Y0)])
    x, y = adversarial(grids, 6000)
    wanted = by_tree(grids, x, y).tolist()
    assert GridLocator(grids, method="table", compiled=use_compiled, threads=3).locate(x, y).tolist() == wanted


def _answers(locator: GridLocator, x: np.ndarray, y: np.ndarray, queue: object) -> None:
    queue.put(locator.locate(x, y).tolist())  # type: ignore[attr-defined]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
@pytest.mark.parametrize("state", ["new", "asked", "held", "opened"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_answers_too(state: str, tmp_path: Path) -> None:
    grids = shapes.voronoi(60)
    x, y = adversarial(grids.geometry, 2000)
    wanted = by_tree(grids.geometry, x, y).tolist()
    locator = GridLocator(grids, method="bins" if state == "new" else "table")
    if state == "asked":
        locator.locate(x, y)
    elif state == "held":  # by another thread of the parent, for ever as the child sees it
        locator._building[1].acquire()
    elif state == "opened":
        locator = GridLocator.load(locator.save(tmp_path / "grids.locator"))
    fork = multiprocessing.get_context("fork")
    queue = fork.SimpleQueue()
    child = fork.Process(target=_answers, args=(locator, x, y, queue))
    child.start()
    assert queue.get() == wanted
    child.join(60)
    assert child.exitcode == 0


def _keep(path: str, queue: object) -> None:
    grids = shapes.voronoi(60)
    x, y = adversarial(grids.geometry, 400)
    for _ in range(5):
        Path(path).unlink(missing_ok=True)
        found = GridLocator.kept(grids, path).locate(x, y).tolist()
    queue.put(found)  # type: ignore[attr-defined]


def test_two_processes_keep_the_same_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "grids.locator"
    spawn = multiprocessing.get_context("spawn")
    queue = spawn.SimpleQueue()
    pair = [spawn.Process(target=_keep, args=(str(path), queue)) for _ in range(2)]
    for process in pair:
        process.start()
    answers = [queue.get() for _ in pair]
    for process in pair:
        process.join(60)
    grids = shapes.voronoi(60).geometry
    x, y = adversarial(grids, 400)
    assert answers == [by_tree(grids, x, y).tolist()] * 2
    assert [process.exitcode for process in pair] == [0, 0]
    GridLocator.kept(grids, path)
    assert [part.name for part in tmp_path.iterdir()] == ["grids.locator"]


def test_memory_is_given_back_and_grows_with_the_answers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "CHUNK", 1 << 14)
    grids = shapes.voronoi(60)
    x, y = adversarial(grids.geometry, 200_000)
    locator = GridLocator(grids, method="table", compiled=False)
    locator.locate(x, y)
    peaks = []
    for count in (len(x) // 3, len(x)):
        gc.collect()
        tracemalloc.start()
        for _ in range(3):
            locator.locate(x[:count], y[:count])
        left, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert left < 100_000
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 2 * 8 * (len(x) - len(x) // 3)


def test_a_hand_made_answer_agrees_with_the_tree() -> None:
    grids = shapes.voronoi(20).geometry
    x, y = adversarial(grids, 200)
    hits = by_hand(grids, x, y)
    assert by_tree(grids, x, y).tolist() == np.where(hits.any(axis=1), hits.argmax(axis=1), -1).tolist()
