"""Points in grids in figures, beside what others offer, on seeded partitions of 300, 3,000 and 50,000 grids.

Run with ``make bench``, or ``python benchmarks/locate.py``: 300 and 3,000 grids, 1 M points, a few minutes.

    --full                    300, 3,000 and 50,000 grids, 1 M and 10 M points; about half an hour, up to 6 GB
    --grids 300,3000          sizes of the sets
    --points 1000000          numbers of points
    --few 10000,100000        numbers of points asked once, of a locator and of a tree made for them; 0 for none
    --methods table,sjoin     only the methods whose names contain one of these
    --no-peers                ours alone
    --repeat 3                best of so many of ours (peers run once)
    --json FILE               everything measured, as JSON

The sets: wiggly Voronoi grids (benchmarks/tilings.py, about 30 vertices a border, 170 a grid) with a wavy outline, two
holes and an island. 3 % of the points lie outside, 0.1 % exactly on nodes, 0.1 % exactly on edges. Every measurement is
a process of its own that may use one core (two where its name says so). CPU seconds are user + system of the call
alone, without reading the set and without making Points of x and y for those that need them; memory is the peak
resident set of the whole process. Rates are points a CPU second, for two cores a second of wall. Every answer of ours
is compared with shapely's, point by point. PostGIS is measured in a throw-away server where one is installed, or in the
database whose URL GRIDGIS_BENCH_POSTGIS holds; its work is another process's, so wall seconds stand for CPU seconds.
Beside each peer stands what loading its tables and indexes took, which is not counted.
Nothing fails when a target is missed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import os
import pickle
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

# Heavy libraries are imported by the measuring processes only: on Linux a child's peak memory starts at its parent's.

SEED = 1
VERTICES = 170
#: Shares of the points: outside, on nodes, on edges.
OUTSIDE, ON_NODES, ON_EDGES = 0.03, 0.001, 0.001
#: The loop over rtree takes so many points only; its rate is scaled.
LOOPED = 20_000


# --- sets -------------------------------------------------------------------------------------------------------------


def partition(count: int) -> Any:
    """`count` grids with a wavy outline, two holes and an island; an array of polygons in metres."""
    import shapely
    import tilings

    cells = np.asarray(tilings.tiling(round(count * 1.6), SEED, vertices=VERTICES).grids.geometry.array, dtype=object)
    middle = shapely.get_coordinates(shapely.centroid(cells))
    low, high = middle.min(axis=0), middle.max(axis=0)
    across, up = ((middle - (low + high) / 2) / (high - low) * 2).T
    outwards = np.hypot(across, up) / (1 + 0.12 * np.sin(5 * np.arctan2(up, across)))
    outwards[(np.hypot(across - 0.3, up - 0.2) < 0.12) | (np.hypot(across + 0.35, up + 0.1) < 0.08)] = np.inf
    outwards[np.hypot(across - 0.92, up - 0.92) < 0.1] = -1
    kept = np.sort(np.argsort(outwards, kind="stable")[:count])
    return cells[kept]


def points_for(cells: Any, count: int) -> tuple[Any, Any]:
    """x and y of seeded points; see above."""
    import shapely

    rng = np.random.default_rng(SEED)
    ground = shapely.coverage_union_all(cells)
    shapely.prepare(ground)
    nodes, edges, outside = round(count * ON_NODES), round(count * ON_EDGES), round(count * OUTSIDE)
    inside = count - nodes - edges - outside
    left, bottom, right, top = shapely.bounds(ground)
    kept: dict[bool, list[Any]] = {True: [], False: []}
    wanted = {True: inside, False: outside}
    while any(wanted.values()):
        xy = rng.uniform((left - 200, bottom - 200), (right + 200, top + 200), (1 << 20, 2))
        within = shapely.contains_xy(ground, xy[:, 0], xy[:, 1])
        for side in (True, False):
            some = xy[within == side][: wanted[side]]
            kept[side].append(some)
            wanted[side] -= len(some)
    corners, ring = shapely.get_coordinates(cells, return_index=True)
    starts = np.flatnonzero(ring[:-1] == ring[1:])
    a, b = corners[starts], corners[starts + 1]
    middles = (a + b) / 2
    exact = middles[((middles - a) == (b - middles)).all(axis=1)]  # nothing was rounded
    parts = [*kept[True], *kept[False], corners[rng.integers(0, len(corners), nodes)]]
    parts.append(exact[rng.integers(0, len(exact), edges)])
    xy = rng.permutation(np.vstack(parts))
    return np.ascontiguousarray(xy[:, 0]), np.ascontiguousarray(xy[:, 1])


def make_set(job: dict[str, Any]) -> dict[str, Any]:
    """Write the grids and the points of one set."""
    import shapely

    path = Path(job["grids_file"])
    if not path.exists():
        path.write_bytes(pickle.dumps(partition(job["grids"])))
    cells = pickle.loads(path.read_bytes())
    np.save(job["points_file"], np.array(points_for(cells, job["points"])))
    return {"vertices": int(shapely.get_num_coordinates(cells).sum())}


def reference(job: dict[str, Any]) -> dict[str, Any]:
    """What shapely's `intersects` says, the lowest row of each point; -1 for none."""
    import shapely

    cells, x, y = _read(job)
    tree = shapely.STRtree(cells)
    row = np.full(len(x), len(cells), dtype=np.int64)
    for start in range(0, len(x), 1 << 18):
        part = slice(start, start + (1 << 18))
        point, found = tree.query(shapely.points(x[part], y[part]), predicate="intersects")
        np.minimum.at(row[part], point, found)
    row[row == len(cells)] = -1
    np.save(job["truth_file"], row)
    return {"inside": int((row >= 0).sum())}


# --- the methods: what is prepared before the clock starts, and the call ----------------------------------------------


def _frame(cells: Any) -> Any:
    import geopandas as gpd

    return gpd.GeoDataFrame({"row": np.arange(len(cells))}, geometry=cells, crs="EPSG:4548")


def _locator(method: str, compiled: bool, threads: int = 1) -> Callable[[Any, Any, Any, dict[str, Any]], Any]:
    def prepare(cells: Any, x: Any, y: Any, job: dict[str, Any]) -> Any:
        import gridgis

        frame = _frame(cells)
        _ = gridgis.GridLocator  # imported before the clock, as the others are
        if compiled:  # compile before the clock
            gridgis.GridLocator(frame.iloc[:1], method="table", compiled=True).locate(x[:1], y[:1])
        if method == "kept":
            folder = Path(job["grids_file"]).parent
            gridgis.GridLocator.kept(frame, folder)
            locator = gridgis.GridLocator.kept(frame, folder).use(compiled=compiled, threads=threads)
            # What a service has after its first answers: grids with many points on their borders are read.
            locator.locate(x[:1], y[:1])
            return lambda: locator.locate(x, y)
        return lambda: gridgis.GridLocator(frame, method=method, compiled=compiled, threads=threads).locate(x, y)

    return prepare


def _opened(cells: Any, x: Any, y: Any, job: dict[str, Any]) -> Any:
    import gridgis

    frame, folder = _frame(cells), Path(job["grids_file"]).parent
    gridgis.GridLocator.kept(frame, folder)
    return lambda: gridgis.GridLocator.kept(frame, folder).use(compiled=False).locate(x, y)


def _sjoin(predicate: str) -> Callable[[Any, Any, Any, dict[str, Any]], Any]:
    def prepare(cells: Any, x: Any, y: Any, job: dict[str, Any]) -> Any:
        import geopandas as gpd

        frame = _frame(cells)
        points = gpd.GeoDataFrame(geometry=gpd.points_from_xy(x, y, crs=frame.crs))
        return lambda: len(gpd.sjoin(points, frame, predicate=predicate))

    return prepare


def _tree(cells: Any, x: Any, y: Any, job: dict[str, Any]) -> Any:
    import shapely

    points = shapely.points(x, y)
    return lambda: shapely.STRtree(points).query(cells, predicate="covers").shape[1]


def _tree_of_grids(cells: Any, x: Any, y: Any, job: dict[str, Any]) -> Any:
    import shapely

    points = shapely.points(x, y)

    def run() -> Any:
        point, row = shapely.STRtree(cells).query(points, predicate="intersects")
        lowest = np.full(len(x), len(cells), dtype=np.int64)
        np.minimum.at(lowest, point, row)
        return np.where(lowest < len(cells), lowest, -1)

    return run


def _binned(cells: Any, x: Any, y: Any, job: dict[str, Any]) -> Any:
    """Points sorted into bins, boxes of bins against a tree of grids, prepared grids against the points."""
    import shapely

    def run() -> int:
        side = np.sqrt(np.ptp(x) * np.ptp(y) / (16 * len(cells)))
        columns = int(np.ptp(x) / side) + 1
        key = ((y - y.min()) / side).astype(np.int64) * columns + ((x - x.min()) / side).astype(np.int64)
        order = np.argsort(key, kind="stable")
        starts = np.flatnonzero(np.diff(key[order], prepend=-1))
        sizes = np.diff(np.append(starts, len(order)))
        px, py = x[order], y[order]
        low, high = ([cut.reduceat(part, starts) for part in (px, py)] for cut in (np.minimum, np.maximum))
        bins, rows = shapely.STRtree(cells).query(shapely.box(*low, *high))
        shapely.prepare(cells)
        by_row = np.argsort(rows, kind="stable")
        bins, rows, found = bins[by_row], rows[by_row], 0
        for start in range(0, len(bins), 1 << 14):
            some, size = bins[start : start + (1 << 14)], sizes[bins[start : start + (1 << 14)]]
            point = np.repeat(starts[some] - np.cumsum(size) + size, size) + np.arange(size.sum())
            row = np.repeat(rows[start : start + (1 << 14)], size)
            found += int(shapely.contains_xy(cells[row], px[point], py[point]).sum())
        return found

    return run


def _sedona(cells: Any, x: Any, y: Any, job: dict[str, Any]) -> Any:
    import pyarrow as pa
    import sedonadb
    import shapely

    base = sedonadb.connect()
    base.sql(f"SET datafusion.execution.target_partitions = {job['cores']}").execute()
    grids = pa.table({"row": np.arange(len(cells)), "wkb": pa.array(shapely.to_wkb(cells), pa.binary())})
    points = pa.table({"id": np.arange(len(x)), "x": x, "y": y})
    base.create_data_frame(grids).to_view("wkb_grids")
    base.sql("SELECT row, ST_GeomFromWKB(wkb) AS shape FROM wkb_grids").to_memtable().to_view("grids")
    base.create_data_frame(points).to_view("xy")
    base.sql("SELECT id, ST_Point(x, y) AS place FROM xy").to_memtable().to_view("points")
    query = "SELECT p.id, g.row FROM points p JOIN grids g ON ST_Intersects(g.shape, p.place)"
    return lambda: pa.table(base.sql(query)).num_rows


def _polars(cells: Any, x: Any, y: Any, job: dict[str, Any]) -> Any:
    import polars as pl
    import polars_st as st
    import shapely

    grids = pl.DataFrame({"row": np.arange(len(cells)), "geometry": list(shapely.to_wkb(cells))})
    points = pl.DataFrame({"x": x, "y": y}).select(geometry=st.point(pl.concat_list("x", "y")))
    return lambda: len(points.st.sjoin(grids, on="geometry", predicate="intersects"))


def _duckdb(cells: Any, x: Any, y: Any, job: dict[str, Any]) -> Any:
    import duckdb
    import pyarrow as pa
    import shapely

    base = duckdb.connect(config={"autoinstall_known_extensions": "false", "threads": str(job["cores"])})
    base.execute("LOAD spatial")  # from the machine; nothing is fetched
    grids = pa.table({"row": np.arange(len(cells)), "wkb": pa.array(shapely.to_wkb(cells), pa.binary())})
    points = pa.table({"id": np.arange(len(x)), "x": x, "y": y})
    base.register("wkb_grids", grids)
    base.register("xy", points)
    base.execute("CREATE TABLE grids AS SELECT row, ST_GeomFromWKB(wkb) AS shape FROM wkb_grids")
    base.execute("CREATE TABLE points AS SELECT id, ST_Point(x, y) AS place FROM xy")
    query = "SELECT p.id, g.row FROM points p JOIN grids g ON ST_Intersects(g.shape, p.place)"
    return lambda: base.execute(query).fetch_arrow_table().num_rows


def _postgis(cells: Any, x: Any, y: Any, job: dict[str, Any]) -> Any:
    import shapely
    import sqlalchemy

    base = sqlalchemy.create_engine(os.environ["GRIDGIS_BENCH_POSTGIS"]).raw_connection()
    run = base.cursor()
    run.execute("CREATE TEMP TABLE bench_grids (row_number int, shape geometry)")
    run.execute("CREATE TEMP TABLE bench_points (id int, place geometry)")
    for table, shapes in (("bench_grids", cells), ("bench_points", shapely.points(x, y))):
        with run.copy(f"COPY {table} FROM STDIN") as rows:
            rows.write("".join(f"{i}\t{shape}\n" for i, shape in enumerate(shapely.to_wkb(shapes, hex=True))))
    run.execute("CREATE INDEX ON bench_grids USING gist (shape)")
    run.execute("ANALYZE bench_grids")
    run.execute("SET max_parallel_workers_per_gather = 0")

    def count(held: Any = base) -> int:  # let go, the connection would be reset, and its tables gone
        run.execute("SELECT count(*) FROM bench_points p JOIN bench_grids g ON ST_Intersects(g.shape, p.place)")
        return int(run.fetchone()[0])

    return count


def _dask(cells: Any, x: Any, y: Any, job: dict[str, Any]) -> Any:
    import dask
    import dask_geopandas
    import geopandas as gpd

    frame = _frame(cells)
    points = gpd.GeoDataFrame(geometry=gpd.points_from_xy(x, y, crs=frame.crs))
    parts = dask_geopandas.from_geopandas(points, npartitions=8)

    def run() -> int:
        with dask.config.set(scheduler="threads", num_workers=2):
            return len(dask_geopandas.sjoin(parts, frame, predicate="intersects").compute())

    return run


def _rtree(cells: Any, x: Any, y: Any, job: dict[str, Any]) -> Any:
    import rtree
    import shapely

    index = rtree.index.Index((i, box, None) for i, box in enumerate(shapely.bounds(cells).tolist()))
    shapely.prepare(cells)
    places = list(zip(x[:LOOPED].tolist(), y[:LOOPED].tolist(), strict=True))

    def run() -> int:
        return sum(
            shapely.intersects_xy(cells[row], px, py) for px, py in places for row in index.intersection((px, py))
        )

    return run


#: Each method, its cores, and whether it is ours and gives rows.
METHODS: dict[str, tuple[Callable[[Any, Any, Any, dict[str, Any]], Any], int, bool]] = {
    "table kept, numpy": (_locator("kept", False), 1, True),
    "table kept, compiled": (_locator("kept", True), 1, True),
    "table kept, compiled, 2 cores": (_locator("kept", True, 2), 2, True),
    "table opened each time, numpy": (_opened, 1, True),
    "table built each time, numpy": (_locator("table", False), 1, True),
    "bins": (_locator("bins", False), 1, True),
    "GridLocator as it chooses": (_locator("auto", False), 1, True),
    "sjoin intersects": (_sjoin("intersects"), 1, False),
    "sjoin within": (_sjoin("within"), 1, False),
    "STRtree of points, covers": (_tree, 1, False),
    "STRtree of grids, intersects": (_tree_of_grids, 1, False),
    "binned, prepared contains_xy": (_binned, 1, False),
    "SedonaDB": (_sedona, 1, False),
    "SedonaDB, 2 cores": (_sedona, 2, False),
    "polars-st": (_polars, 1, False),
    "DuckDB spatial": (_duckdb, 1, False),
    "PostGIS": (_postgis, 1, False),
    "dask-geopandas, 2 cores": (_dask, 2, False),
    "rtree + shapely, scaled": (_rtree, 1, False),
}

#: What few points are asked of, once; each the best of a few.
ONE_SHOT = ("GridLocator as it chooses", "STRtree of grids, intersects")


# --- one measurement, in its own process ------------------------------------------------------------------------------


def _read(job: dict[str, Any]) -> tuple[Any, Any, Any]:
    cells = pickle.loads(Path(job["grids_file"]).read_bytes())
    x, y = np.load(job["points_file"])
    return cells, x, y


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Run one method on one set: CPU and wall seconds of the call, peak memory, and how the answers compare."""
    prepare, cores, ours = METHODS[job["method"]]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])
    if job["method"] == "PostGIS" and "GRIDGIS_BENCH_POSTGIS" not in os.environ:
        return {"absent": "no server is installed, and GRIDGIS_BENCH_POSTGIS is not set"}
    cells, x, y = _read(job)
    before = time.perf_counter()
    try:
        run = prepare(cells, x, y, job | {"cores": cores})
    except ImportError as error:
        return {"absent": f"not installed: {error.name}"}
    except Exception as error:
        if type(error).__module__ not in ("_duckdb", "duckdb"):
            raise
        return {"absent": "DuckDB's extension spatial is not at hand"}
    load = time.perf_counter() - before
    best: dict[str, Any] = {}
    for _ in range(job["repeat"] if ours or job["few"] else 1):
        wall, cpu = time.perf_counter(), time.process_time()
        answer = run()
        spent = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
        best = spent if not best or spent["cpu_s"] < best["cpu_s"] else best
    best["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    best["load_s"] = load
    seconds = best["wall_s"] if cores > 1 or prepare is _postgis else best["cpu_s"]
    best["mps"] = (LOOPED if prepare is _rtree else len(x)) / seconds / 1e6
    truth = np.load(job["truth_file"], mmap_mode="r")
    if ours:
        best["mismatches"] = int((answer != truth).sum())
    return best


def limit(job: dict[str, Any]) -> dict[str, Any]:
    """Nanoseconds a point of the least that any table must do: read x and y, fetch one cell at random, write a row."""
    size = 1 << 16
    rng = np.random.default_rng(SEED)
    stream = rng.random((2, 4_000_000))
    written = np.empty(stream.shape[1], dtype=np.int64)
    cells = np.zeros(job["cells"], dtype=np.int32)
    places = rng.integers(0, len(cells), size * 16)
    fetched = np.empty(size, dtype=np.int32)

    def quickest(run: Callable[[], Any], points: int) -> float:
        times = []
        for _ in range(7):
            start = time.process_time()
            run()
            times.append(time.process_time() - start)
        return min(times) / points * 1e9

    def read() -> None:
        stream.sum()
        written.fill(1)

    def fetch() -> None:
        for start in range(0, len(places), size):
            cells.take(places[start : start + size], out=fetched, mode="wrap")

    return {"stream_ns": quickest(read, stream.shape[1]), "gather_ns": quickest(fetch, len(places))}


# --- the run ----------------------------------------------------------------------------------------------------------


class Run:
    """Starts the measuring processes, says what is going on, and keeps the figures."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.figures: dict[tuple[int, int, str], dict[str, Any]] = {}
        self.limits: dict[int, dict[str, Any]] = {}

    def say(self, text: str) -> None:
        print(f"[{time.perf_counter() - self.start:5.0f} s] {text}", file=sys.stderr, flush=True)

    def child(self, **job: Any) -> dict[str, Any]:
        command = [sys.executable, __file__, "--job", json.dumps(job)]
        alone = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS"), "1")
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | alone)
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            return {"failed": last[0]}
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    def rate(self, grids: int, points: int, method: str) -> float | None:
        """Million points a second."""
        value = self.figures.get((grids, points, method), {}).get("mps")
        return None if value is None else float(value)

    def others(self, grids: int, points: int) -> dict[str, float]:
        """The rates of the peers on one core that were measured."""
        return {
            name: rate
            for name, (_, cores, ours) in METHODS.items()
            if not ours and cores == 1 and (rate := self.rate(grids, points, name)) is not None
        }


def run_all(args: argparse.Namespace) -> Run:
    run = Run()
    with tempfile.TemporaryDirectory() as folder:
        for grids in args.grids:
            for points in (*args.few, *args.points):
                few = points in args.few
                job = {"grids": grids, "points": points, "few": few, "grids_file": f"{folder}/{grids}"}
                job |= {"points_file": f"{folder}/points.npy", "truth_file": f"{folder}/truth.npy"}
                for step in ("make", "truth"):
                    told = run.child(step=step, **job)
                    if "failed" in told:
                        raise SystemExit(f"{grids:,} grids, {points:,} points: {told['failed']}")
                    run.say(f"{grids:,} grids, {points:,} points: {told}")
                for name, (_, _, ours) in METHODS.items():
                    if few and name not in ONE_SHOT:
                        continue
                    if (ours or args.peers) and any(word in name for word in args.methods):
                        got = run.child(step="measure", method=name, repeat=args.repeat, **job)
                        run.figures[grids, points, name] = got
                        run.say(f"{grids:,} grids, {points:,} points: {name}: {_told(got)}")
            run.limits[grids] = run.child(step="limit", cells=max(1 << 20, grids * 64))
    return run


def _told(got: dict[str, Any]) -> str:
    if "mps" not in got:
        return str(got.get("absent") or got.get("failed"))
    text = f"{got['mps']:.3g} Mp/s, {got['cpu_s']:.2f} s CPU, {got['wall_s']:.2f} s wall, {got['peak_mb']:.0f} MB"
    return text + (f", {got['mismatches']} mismatches" if "mismatches" in got else f", {got['load_s']:.1f} s to load")


def print_figures(run: Run, args: argparse.Namespace) -> None:
    for points in (*args.few, *args.points):
        print(f"\n{points:,} points: million points a second | peak MB")
        print(f"{'':32}" + "".join(f"{f'{grids:,} grids':>20}" for grids in args.grids))
        for name in METHODS:
            got = [run.figures.get((grids, points, name), {}) for grids in args.grids]
            if any("mps" in one for one in got):
                print(f"{name:32}" + "".join(f"{_pair(one):>20}" for one in got))
            elif any(got):
                print(f"{name:32}  {got[0].get('absent') or got[0].get('failed')}")
    print("\nof the limit (read x and y, fetch one cell, write a row):")
    for grids, least in run.limits.items():
        floor = least["stream_ns"] + least["gather_ns"]
        shares = [
            f"{name} {run_rate * floor / 1e3:.0%}"
            for name in ("table kept, numpy", "table kept, compiled")
            if (run_rate := run.rate(grids, args.points[-1], name)) is not None
        ]
        print(
            f"{grids:>8,} grids: {least['stream_ns']:.2f} + {least['gather_ns']:.2f} ns a point; reached: "
            + ", ".join(shares)
        )


def _pair(got: dict[str, Any]) -> str:
    return f"{got['mps']:.3g} | {got['peak_mb']:,.0f}" if "mps" in got else "-"


def growth(run: Run, args: argparse.Namespace) -> Iterator[str]:
    """How the time of ours grows with points and grids."""
    for name in ("table kept, numpy", "table kept, compiled", "table built each time, numpy", "bins"):
        spent = {
            (grids, points): run.figures[grids, points, name]["cpu_s"]
            for grids in args.grids
            for points in args.points
            if "cpu_s" in run.figures.get((grids, points, name), {})
        }
        told = [f"{grids:,} x {points:,}: {seconds:.3f} s" for (grids, points), seconds in spent.items()]
        if told:
            yield f"{name}: " + "; ".join(told)


def targets(run: Run, args: argparse.Namespace) -> Iterator[tuple[str, str, str]]:
    """Each target, what was measured, and the verdict."""
    most = args.points[-1]
    numpy_, fast, built = "table kept, numpy", "table kept, compiled", "table built each time, numpy"
    for grids, method, against, least in (
        (3000, numpy_, "sjoin intersects", 50.0),
        (3000, numpy_, "", 12.0),
        (3000, fast, "", 25.0),
        (3000, built, "sjoin intersects", 30.0),
        (50_000, numpy_, "", 8.0),
    ):
        rate, others = run.rate(grids, most, method), run.others(grids, most)
        other = against or max(others, key=lambda name: others[name], default="")
        if rate is None or other not in others:
            continue
        ratio = rate / others[other]
        what = "the fastest other way: " * (not against) + other
        text = f"{grids:,} grids, {most:,} points: {method} at least {least:g} x {what}"
        yield text, f"{ratio:.1f} x", _verdict(ratio >= least)
    rate, others = run.rate(50_000, 1_000_000, "GridLocator as it chooses"), run.others(50_000, 1_000_000)
    if rate is not None and others:
        best = max(others, key=lambda name: others[name])
        ratio = rate / others[best]
        text = f"one shot, 50,000 grids, 1,000,000 points: not slower than {best}"
        yield text, f"{ratio:.2f} x", _verdict(ratio >= 1)
    for grids, points in itertools.product(args.grids, args.few):
        ours, tree = (run.rate(grids, points, name) for name in ONE_SHOT)
        if ours is not None and tree is not None:
            text = f"one shot, {grids:,} grids, {points:,} points: not slower than {ONE_SHOT[1]}"
            yield text, f"{ours / tree:.2f} x", _verdict(ours >= tree)
    for grids in args.grids:
        for points in (*args.few, *args.points):
            got = [run.figures.get((grids, points, name), {}).get("mismatches") for name in METHODS]
            wrong = [count for count in got if count is not None]
            if wrong:
                text = f"{grids:,} grids, {points:,} points: mismatches against shapely, of {len(wrong)} ways"
                yield text, str(sum(wrong)), _verdict(not any(wrong))


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "cores": str(os.cpu_count())}
    for name in ("gridgis", "numpy", "shapely", "geopandas", "numba", "sedonadb", "polars-st", "duckdb", "rtree"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _arguments() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description="Points in grids in figures, beside their peers")
    parser.add_argument("--full", action="store_true", help="50,000 grids and 10 M points too")
    parser.add_argument("--grids", type=numbers)
    parser.add_argument("--points", type=numbers)
    parser.add_argument("--few", type=numbers, default=[10_000, 100_000], help="asked once; 0 for none")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--methods", type=lambda s: s.split(","), default=[""], help="parts of their names")
    parser.add_argument("--repeat", type=int, default=3, help="best of so many of ours")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.few = [points for points in args.few if points]
    args.grids = args.grids or ([300, 3000, 50_000] if args.full else [300, 3000])
    args.points = args.points or ([1_000_000, 10_000_000] if args.full else [1_000_000])
    return args


@contextmanager
def _database(args: argparse.Namespace) -> Iterator[None]:
    """A throw-away database for PostGIS, that of the tests, where one is wanted and can be had."""
    wanted = args.peers and any(word in "PostGIS" for word in args.methods)
    if not wanted or "GRIDGIS_BENCH_POSTGIS" in os.environ:
        yield
        return
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    import postgres

    programs = postgres.programs()
    if programs is None:
        yield
        return
    with postgres.server(programs) as server, server.database() as url:
        os.environ["GRIDGIS_BENCH_POSTGIS"] = url
        yield
        del os.environ["GRIDGIS_BENCH_POSTGIS"]


def main() -> None:
    args = _arguments()
    if args.job:
        job = json.loads(args.job)
        steps = {"make": make_set, "truth": reference, "measure": measure, "limit": limit}
        print(json.dumps(steps[job["step"]](job)))
        return
    with _database(args):
        run = run_all(args)
    print_figures(run, args)
    print()
    for line in growth(run, args):
        print(line)
    print()
    checked = list(targets(run, args))
    for text, value, verdict in checked:
        print(f"{text:110}{value:>10}  {verdict}")
    print("\n" + ", ".join(f"{name} {version}" for name, version in versions().items()))
    if args.json:
        rows = [{"grids": g, "points": p, "method": m} | got for (g, p, m), got in run.figures.items()]
        told = [{"target": t, "measured": v, "verdict": w} for t, v, w in checked]
        document = {"versions": versions(), "seed": SEED, "figures": rows, "limits": run.limits, "targets": told}
        args.json.write_text(json.dumps(document, indent=1), "utf-8")


if __name__ == "__main__":
    main()
