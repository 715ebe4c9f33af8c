"""How long edits take on a plan of about 700 grids and 10,000 blocks, and undo of 1,000 steps.

    python benchmarks/edit.py [--blocks 100]

The plan is a slanting chessboard of `blocks` × `blocks` with straight cells as grids, three houses a block, seed 0.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import geopandas as gpd
import numpy as np
import shapely

from gridgis.errors import PlanError
from gridgis.plan import edit
from gridgis.plan.change import Edited
from gridgis.plan.closing import plan_of
from gridgis.plan.draft import Draft
from gridgis.plan.opening import open_plan
from gridgis.plan.operations import log, redo, replay, undo
from gridgis.plan.partition import Plan

#: Limits of the issue: one edit, and undo of a thousand.
EDIT_S, UNDO_S = 0.05, 2.0
STEPS = 1000


def made(side: int) -> tuple[Plan, gpd.GeoDataFrame]:
    """A plan of side² blocks in 5 × 3 cells, and its houses."""
    rng = np.random.default_rng(0)
    steps = np.arange(side + 1) * 100.0
    x = 447_000 + steps[:, None] + rng.uniform(-25, 25, (side + 1, side + 1))
    y = 4_427_000 + steps[None, :] + rng.uniform(-25, 25, (side + 1, side + 1))
    c, r = (v.ravel() for v in np.meshgrid(np.arange(side), np.arange(side), indexing="ij"))
    corners = np.stack([x, y], axis=-1)
    rings = np.stack([corners[c, r], corners[c + 1, r], corners[c + 1, r + 1], corners[c, r + 1]], axis=1)
    households = rng.integers(0, 60, len(c))
    table = {"code": [f"b{i:05d}" for i in range(len(c))], "unit": "U", "households": households,
             "grid": [f"g{a // 5:03d}-{b // 3:03d}" for a, b in zip(c, r, strict=True)]}  # fmt: skip
    blocks = gpd.GeoDataFrame(table, geometry=shapely.polygons(rings), crs="EPSG:4548")
    grids = blocks[["grid", "geometry"]].dissolve("grid", method="coverage").reset_index().rename(
        columns={"grid": "code"}
    )  # fmt: skip
    places = rng.dirichlet(np.ones(4), (len(c), 3)) @ rings
    count = np.stack([households // 2, households // 4, households - households // 2 - households // 4], axis=1)
    homes = gpd.GeoDataFrame(
        {"households": count.ravel()}, geometry=shapely.points(places.reshape(-1, 2)), crs=blocks.crs
    )
    return Plan(blocks, grids, {"norm": 400.0}), homes


def timed(draft: Draft, edits: list[Callable[[Draft], Edited]]) -> list[float]:
    """Seconds of each edit that is not refused."""
    found = []
    for act in edits:
        begin = time.process_time()
        try:
            act(draft)
        except PlanError:
            continue
        found.append(time.process_time() - begin)
    return found


def through(shape: shapely.Polygon, reach: tuple[float, float]) -> shapely.LineString:
    """A line through the middle of a shape."""
    middle = np.array(shape.centroid.coords[0])
    return shapely.LineString([middle - np.array(reach), middle + np.array(reach)])


def kinds(draft: Draft, rng: np.random.Generator, times: int) -> dict[str, list[Callable[[Draft], Edited]]]:
    """Edits of every kind at random places."""
    grids, blocks = sorted(draft.grids), sorted(draft.blocks)
    tree = shapely.STRtree([draft.grids[code].shape for code in grids])
    low, high = shapely.total_bounds([g.shape for g in draft.grids.values()]).reshape(2, 2)
    out: dict[str, list[Callable[[Draft], Edited]]] = {}
    for _ in range(times):
        grid, block = str(rng.choice(grids)), str(rng.choice(blocks))
        beside = grids[int(rng.choice(tree.query(draft.blocks[block].shape, "intersects")))]
        circle = shapely.Point(rng.uniform(low, high)).buffer(400, quad_segs=32)
        line, across = through(draft.grids[grid].shape, (30, 2000)), through(draft.blocks[block].shape, (90, 9))
        acts: dict[str, Callable[[Draft], Edited]] = {
            "assign a block": lambda d, b=block, g=beside: edit.assign(d, [b], g),
            "draw a polygon of 128 corners, 50 ha": lambda d, p=circle: edit.draw(d, p),
            "split a grid by a line": lambda d, g=grid, w=line: edit.split_grid(d, g, w),
            "split a block by a line": lambda d, b=block, w=across: edit.split_block(d, b, w),
            "split a block in 3 by its houses": lambda d, b=block: edit.split_block_evenly(d, b, 3),
            "merge two grids": lambda d, o=draft.blocks[block].grid, g=beside: edit.merge(d, [o, g]),
            "new grid of a block": lambda d, b=block: edit.new_grid(d, [b]),
            "lock a grid": lambda d, g=grid: edit.lock(d, [g]),
        }
        for name, act in acts.items():
            out.setdefault(name, []).append(act)
    return out


def long_draft(draft: Draft, rng: np.random.Generator) -> Draft:
    """A draft after STEPS edits that were not refused."""
    while len(draft.done) < STEPS:
        for acts in kinds(draft, rng, 1).values():
            try:
                draft = acts[0](draft).draft
            except PlanError:
                continue
    while len(draft.done) > STEPS:
        draft = undo(draft)
    return draft


def same(one: Draft, other: Draft) -> bool:
    """Two drafts give the same bytes."""
    a, b = plan_of(one), plan_of(other)
    return all(
        (x.geometry.to_wkb() == y.geometry.to_wkb()).all() and x["code"].equals(y["code"])
        for x, y in zip(a[:2], b[:2], strict=True)
    )


def main() -> None:
    """Print a line for each kind of edit, then undo, redo and replay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=100, help="blocks along each side")
    side = parser.parse_args().blocks
    plan, houses = made(side)
    begin = time.perf_counter()
    start = open_plan(plan, houses=houses)
    print(f"{len(start.blocks)} blocks, {len(start.grids)} grids, {len(houses)} houses: opened in "
          f"{time.perf_counter() - begin:.2f} s")  # fmt: skip
    rng = np.random.default_rng(1)
    timed(start, [acts[0] for acts in kinds(start, np.random.default_rng(2), 1).values()])  # loads scipy
    for name, acts in kinds(start, rng, 30).items():
        spent = timed(start, acts)
        middle, most = statistics.median(spent), max(spent)
        verdict = "ok" if most < EDIT_S else "OVER"
        print(f"{name:40} median {middle * 1000:6.1f} ms   max {most * 1000:6.1f} ms   {len(spent)} runs   "
              f"limit {EDIT_S * 1000:.0f} ms {verdict}")  # fmt: skip
    begin = time.perf_counter()
    draft = long_draft(start, rng)
    print(f"{STEPS} edits with their answers: {time.perf_counter() - begin:.2f} s")
    begin, back = time.perf_counter(), draft
    for _ in range(STEPS):
        back = undo(back)
    spent_s = time.perf_counter() - begin
    print(f"undo of {STEPS} steps: {spent_s:.2f} s   limit {UNDO_S:.0f} s {'ok' if spent_s < UNDO_S else 'OVER'}")
    print(f"same plan as at the beginning: {same(back, start)}")
    begin = time.perf_counter()
    for _ in range(STEPS):
        back = redo(back)
    print(f"redo of {STEPS} steps: {time.perf_counter() - begin:.2f} s   same plan: {same(back, draft)}")
    begin = time.perf_counter()
    again = replay(plan, log(draft), houses=houses)
    print(f"replay of the log: {time.perf_counter() - begin:.2f} s   same plan: {same(again, draft)}")


if __name__ == "__main__":
    main()
