"""Buildings and houses to their grids, and houses by the million over workers, in figures.

Run with ``make bench``, or ``python benchmarks/assign.py``: buildings, houses, and 20 M houses on one and two workers
(about 2 GB of disk and some minutes).

    --only buildings,houses,workers   only these
    --full                            100 M houses as well: whether memory stays flat (about 8 GB of disk)
    --million 20                      another number of houses for the workers

Everything is seeded. Buildings and houses are measured in CPU seconds of one process, ours and geopandas' in the same
run and with equal answers; workers in seconds of wall, for that is what they are to save, without the start of the
cluster, and their memory is the peak resident set of each. Targets stand beside the figures; nothing fails when one is
missed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from distributed import Client, LocalCluster
from tilings import METRES, tiling

from gridgis.assign.buildings import assign_buildings
from gridgis.assign.houses import assign_houses
from gridgis.assign.ready import ReadyGrids
from gridgis.scale import assign_parts

#: Grids, vertices a grid, and how much wider than those of tilings.py (200 m) they are.
GRIDS, VERTICES, WIDER = 3000, 180, 2.0
#: Footprints, and the sides of them in metres.
BUILDINGS, LONG_M, SHORT_M = 100_000, (8.0, 24.0), (8.0, 14.0)
HOUSES = 1_000_000
#: Houses a part for the workers.
PART = 1_000_000
REPEAT = 3

TARGETS = {
    "buildings": "≥ 10 × geopandas.overlay",
    "two": "two workers ≥ 1.6 × one",
    "memory": "all workers < 4 GB, no more for 100 M houses than for 20 M",
}


def told(name: str, met: bool) -> str:
    return f"target {TARGETS[name]}: {'met' if met else 'missed'}"


def seconds(call: Callable[[], Any], repeat: int = REPEAT) -> tuple[float, Any]:
    """The least CPU seconds of a few calls, and what the last one gave."""
    best, result = np.inf, None
    for _ in range(repeat):
        start = time.process_time()
        result = call()
        best = min(best, time.process_time() - start)
    return best, result


def ground() -> gpd.GeoDataFrame:
    grids = tiling(GRIDS, 0, vertices=VERTICES).grids
    corner = np.asarray(grids.total_bounds[:2])
    wider = shapely.transform(grids.geometry.to_numpy(), lambda xy: corner + (xy - corner) * WIDER)
    return grids.set_geometry(gpd.GeoSeries(wider, crs=METRES))


def footprints(grids: gpd.GeoDataFrame, count: int) -> gpd.GeoDataFrame:
    """Turned rectangles all over the ground; some stick out."""
    rng = np.random.default_rng(1)
    left, bottom, right, top = grids.total_bounds
    x, y = rng.uniform(left, right, count), rng.uniform(bottom, top, count)
    boxes = shapely.box(0, 0, rng.uniform(*LONG_M, count), rng.uniform(*SHORT_M, count))
    turn = rng.uniform(0, np.pi, count)
    xy, of = shapely.get_coordinates(boxes, return_index=True)
    cos, sin = np.cos(turn[of]), np.sin(turn[of])
    turned = np.column_stack([x[of] + cos * xy[:, 0] - sin * xy[:, 1], y[of] + sin * xy[:, 0] + cos * xy[:, 1]])
    codes = [f"b{i}" for i in range(count)]
    return gpd.GeoDataFrame({"code": codes}, geometry=shapely.set_coordinates(boxes, turned), crs=METRES)


# --- buildings, houses ------------------------------------------------------------------------------------------------


def buildings() -> None:
    grids = ground()
    table = footprints(grids, BUILDINGS)
    once, found = seconds(lambda: assign_buildings(table, grids))
    kept = ReadyGrids(grids)
    again, _ = seconds(lambda: assign_buildings(table, kept))
    named = grids.rename(columns={"code": "grid"})
    peer, pieces = seconds(lambda: gpd.overlay(table, named, keep_geom_type=True), 1)
    pieces["area"] = pieces.area
    best = pieces.sort_values(["code", "area"]).groupby("code").last()
    ours = found.set_index("code").loc[best.index]
    share = best["area"] / table.set_index("code").area.loc[best.index]
    across = int(found["grid_how"].eq("border").sum())
    print(f"buildings: {BUILDINGS:,} footprints x {GRIDS:,} grids of {WIDER * 200:g} m, {across:,} straddle")
    print(
        f"  ours                     {once:6.2f} CPU s   {peer / once:5.1f} x   {told('buildings', peer >= 10 * once)}"
    )
    print(f"  ours, grids kept ready   {again:6.2f} CPU s   {peer / again:5.1f} x")
    print(f"  geopandas.overlay        {peer:6.2f} CPU s       1 x")
    other, off = int((ours["grid"] != best["grid"]).sum()), (ours["grid_share"] - share).abs().max()
    print(f"  {other} of {len(best):,} in another grid, shares differ by {off:.1e}")


def houses() -> None:
    grids = ground()
    left, bottom, right, top = grids.total_bounds
    rng = np.random.default_rng(2)
    xy = rng.uniform((left - 100, bottom - 100), (right + 100, top + 100), (HOUSES, 2))
    table = gpd.GeoDataFrame({"code": np.arange(HOUSES)}, geometry=gpd.points_from_xy(*xy.T), crs=METRES)
    print(f"houses: {HOUSES:,} points x {GRIDS:,} grids, from frame to frame")
    for within in (0.0, 30.0):
        spent, found = seconds(lambda within=within: assign_houses(table, grids, within=within))
        how = found["grid_how"].value_counts().to_dict()
        print(f"  ours, within {within:>2g} m        {spent:6.2f} CPU s   {HOUSES / spent / 1e6:5.2f} M/s   {how}")
    peer, joined = seconds(lambda: table.sjoin(grids[["code", "geometry"]], how="left", predicate="intersects"), 1)
    wanted = joined.groupby(level=0)["code_right"].min()
    other = int((found["grid"].where(found["grid_how"] != "nearest").fillna("") != wanted.fillna("")).sum())
    print(f"  geopandas.sjoin          {peer:6.2f} CPU s   {HOUSES / peer / 1e6:5.2f} M/s   {other} other answers")


# --- workers ----------------------------------------------------------------------------------------------------------


def write_parts(folder: Path, grids: gpd.GeoDataFrame, million: int) -> None:
    """GeoParquet with a code and a point, one part a million; the first parts are the same whatever their number."""
    left, bottom, right, top = grids.total_bounds
    told_crs = json.loads(grids.crs.to_json())
    geo = {"primary_column": "geometry", "version": "1.0.0",
           "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Point"], "crs": told_crs}}}  # fmt: skip
    schema = pa.schema([("code", pa.int64()), ("geometry", pa.binary())], metadata={b"geo": json.dumps(geo).encode()})
    for number in range(million):
        path = folder / f"part-{number:04d}.parquet"
        if path.exists():
            continue
        rng = np.random.default_rng([3, number])
        wkb = np.empty(PART, dtype=[("order", "u1"), ("type", "<u4"), ("x", "<f8"), ("y", "<f8")])
        wkb["order"], wkb["type"] = 1, 1
        wkb["x"], wkb["y"] = rng.uniform(left - 50, right + 50, PART), rng.uniform(bottom - 50, top + 50, PART)
        offsets = np.arange(PART + 1, dtype=np.int32) * wkb.itemsize
        points = pa.Array.from_buffers(pa.binary(), PART, [None, pa.py_buffer(offsets), pa.py_buffer(wkb)])
        codes = pa.array(np.arange(number * PART, (number + 1) * PART))
        pq.write_table(pa.Table.from_arrays([codes, points], schema=schema), path, compression="zstd")


def peak() -> float:
    """Peak resident set of this process, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def over_workers(folder: Path, out: Path, grids: gpd.GeoDataFrame, count: int) -> tuple[float, float, Any]:
    """Seconds of wall, GB of all workers together, and the report."""
    quiet: dict[str, Any] = {"dashboard_address": None, "worker_dashboard_address": None, "silence_logs": 50}
    with (
        LocalCluster(n_workers=count, threads_per_worker=1, host="127.0.0.1", **quiet) as cluster,
        Client(cluster) as client,
    ):
        client.run(os.getpid)  # all are up
        start = time.perf_counter()
        report = assign_parts(folder, grids, out, cluster=cluster.scheduler_address)
        spent = time.perf_counter() - start
        return spent, sum(client.run(peak).values()), report


def workers(million: int, full: bool) -> None:
    grids = ground()
    with tempfile.TemporaryDirectory(prefix="gridgis-bench-") as name:
        parts = Path(name, "parts")
        parts.mkdir()
        write_parts(parts, grids, million)
        print(f"workers: {million} M houses in parts of {PART:,} x {GRIDS:,} grids, {os.cpu_count()} cores")
        spent: dict[int, float] = {}
        memory: dict[int, float] = {}
        for count in (1, 2):
            spent[count], memory[million], report = over_workers(parts, Path(name, f"out-{count}"), grids, count)
            rate = report.rows / spent[count] / 1e6
            print(f"  {count} worker(s)  {spent[count]:7.1f} s   {rate:5.2f} M/s   {memory[million]:5.2f} GB at most")
        print(f"  {spent[1] / spent[2]:.2f} x   {told('two', spent[1] / spent[2] >= 1.6)}")
        if full:
            write_parts(parts, grids, 100)
            taken, most, report = over_workers(parts, Path(name, "out-100"), grids, 2)
            print(f"  2 workers, 100 M  {taken:.1f} s   {report.rows / taken / 1e6:.2f} M/s   {most:.2f} GB at most")
            flat = most < 4 and most < 1.15 * memory[million]
            print(f"  {memory[million]:.2f} GB for {million} M, {most:.2f} GB for 100 M   {told('memory', flat)}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", default="buildings,houses,workers")
    options.add_argument("--full", action="store_true")
    options.add_argument("--million", type=int, default=20)
    given = options.parse_args()
    asked = given.only.split(",")
    if "buildings" in asked:
        buildings()
    if "houses" in asked:
        houses()
    if "workers" in asked:
        workers(given.million, given.full)


if __name__ == "__main__":
    main()
