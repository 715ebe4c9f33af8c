"""How long edits take on a plan of about 700 grids and 10,000 blocks, undo of 1,000 steps, and the index that changes.

    python benchmarks/edit.py [--blocks 100]

The plan is a slanting chessboard of `blocks` times `blocks` with straight cells as grids, every second grid in two
responsibility blocks, borders on roads and railways that must not be crossed, three houses a block, seed 0. CPU time.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gridgis.errors import EditError
from gridgis.plan import edit
from gridgis.plan.closing import plan_of
from gridgis.plan.desk import Desk
from gridgis.plan.editing.change import Edited
from gridgis.plan.editing.draft import Draft
from gridgis.plan.opening import open_plan
from gridgis.plan.operations import apply, log, redo, replay, undo
from gridgis.plan.partition import Plan

#: Limits of the issue: one edit, and undo of a thousand.
EDIT_S, UNDO_S = 0.05, 2.0
STEPS = 1000

Act = Callable[[Draft], Edited]


def made(side: int) -> tuple[Plan, dict[str, Any]]:
    """A plan of side² blocks in 5 × 3 cells, and what it is opened with."""
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
    borders = streets(corners, blocks.crs)
    halves = blocks.assign(half=np.where(c % 5 < 2, "1", "2"))[c // 5 % 2 == 0]
    parts = halves[["grid", "half", "geometry"]].dissolve(["grid", "half"], method="coverage").reset_index()
    parts["code"] = parts["grid"] + "-" + parts["half"]
    how = {"houses": homes, "borders": borders, "never_cross": ["railway"], "responsibility_blocks": parts}
    summary = {"norm": 400.0, "parameters": {"tolerance": 0.25, "weight": "households"}}
    return Plan(blocks, grids, summary), how


def streets(corners: np.ndarray, crs: Any) -> gpd.GeoDataFrame:
    """The borders of the chessboard: lanes, every fifth column a main road, every thirtieth row a railway."""
    upright = shapely.linestrings(np.stack([corners[:, :-1], corners[:, 1:]], axis=2).reshape(-1, 2, 2))
    across = shapely.linestrings(np.stack([corners[:-1], corners[1:]], axis=2).reshape(-1, 2, 2))
    size = len(corners)
    column, row = np.repeat(np.arange(size), size - 1), np.tile(np.arange(size), size - 1)
    kinds = [*np.where(column % 5 == 0, "main", "lane"), *np.where(row % 30 == 0, "railway", "lane")]
    table = pd.DataFrame({"left": None, "right": None, "class": kinds, "name": None})
    return gpd.GeoDataFrame(table, geometry=np.concatenate([upright, across]), crs=crs)


def timed(draft: Draft, edits: list[Act]) -> list[float]:
    """CPU seconds of each edit that is not refused."""
    found = []
    for act in edits:
        begin = time.process_time()
        try:
            act(draft)
        except EditError:
            continue
        found.append(time.process_time() - begin)
    return found


def through(shape: shapely.Polygon, reach: tuple[float, float]) -> shapely.LineString:
    """A line through the middle of a shape."""
    middle = np.array(shape.centroid.coords[0])
    return shapely.LineString([middle - np.array(reach), middle + np.array(reach)])


def kinds(draft: Draft, rng: np.random.Generator, times: int) -> dict[str, list[Act]]:
    """Edits of every kind at random places."""
    grids, blocks = sorted(draft.grids), sorted(draft.blocks)
    tree = shapely.STRtree([draft.grids[code].shape for code in grids])
    low, high = shapely.total_bounds([g.shape for g in draft.grids.values()]).reshape(2, 2)
    out: dict[str, list[Act]] = {}
    for _ in range(times):
        grid, block = str(rng.choice(grids)), str(rng.choice(blocks))
        beside = grids[int(rng.choice(tree.query(draft.blocks[block].shape, "intersects")))]
        circle = shapely.Point(rng.uniform(low, high)).buffer(400, quad_segs=32)
        line, across = through(draft.grids[grid].shape, (30, 2000)), through(draft.blocks[block].shape, (90, 9))
        rim = shapely.LineString(draft.grids[grid].shape.exterior.coords[:6])
        acts: dict[str, Act] = {
            "assign a block": lambda d, b=block, g=beside: edit.assign(d, [b], g),
            "draw a polygon of 128 corners, 50 ha": lambda d, p=circle: edit.draw(d, p),
            "split a grid by a line": lambda d, g=grid, w=line: edit.split_grid(d, g, w, "main"),
            "split a block by a line": lambda d, b=block, w=across: edit.split_block(d, b, w),
            "split a block in 3 by its houses": lambda d, b=block: edit.split_block_evenly(d, b, 3),
            "merge two grids": lambda d, o=draft.blocks[block].grid, g=beside: edit.merge(d, [o, g]),
            "new grid of a block": lambda d, b=block: edit.new_grid(d, [b]),
            "another code": lambda d, g=grid: edit.recode(d, g, f"X{g}"),
            "lock a grid": lambda d, g=grid: edit.lock(d, [g]),
            "split into responsibility blocks": lambda d, g=grid, w=line: edit.split_responsibility(d, g, w),
            "new road segment": lambda d, g=grid, w=rim: edit.new_segment(d, g, w),
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
            except EditError:
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


def told(spent: float, limit: float) -> str:
    """A time against its limit."""
    return f"target {limit * 1000:.0f} ms {'met' if spent < limit else 'MISSED'}"


def edits(start: Draft, rng: np.random.Generator) -> None:
    """A line for each kind of edit."""
    timed(start, [acts[0] for acts in kinds(start, np.random.default_rng(2), 1).values()])  # loads scipy
    for name, acts in kinds(start, rng, 30).items():
        spent = timed(start, acts)
        middle, most = statistics.median(spent), max(spent)
        print(f"{name:40} median {middle * 1000:6.1f} ms   worst {most * 1000:6.1f} ms   {len(spent)} runs   "
              f"{told(most, EDIT_S)}")  # fmt: skip
    refused = timed_refusals(start, rng)
    print(f"{'an edit that is refused':40} median {statistics.median(refused) * 1000:6.1f} ms   "
          f"worst {max(refused) * 1000:6.1f} ms   {len(refused)} runs   {told(max(refused), EDIT_S)}")  # fmt: skip
    lopsided, pair = uneven(start)
    begin = time.process_time()
    moved = edit.rebalance(lopsided, pair).change.households_moved
    spent = time.process_time() - begin
    print(f"{'rebalance two grids (a search, no limit)':40} {spent * 1000:6.0f} ms   "
          f"{' and '.join(loads(lopsided, pair))} households, {moved:.0f} moved")  # fmt: skip


def uneven(start: Draft) -> tuple[Draft, list[str]]:
    """Two neighbouring grids after four blocks of one went to the other."""
    pair, draft, moved = sorted(start.grids)[:2], start, 0
    for code in sorted(start.blocks):
        if draft.blocks[code].grid == pair[0] and moved < 4:
            try:
                draft = edit.assign(draft, [code], pair[1]).draft
            except EditError:
                continue
            moved += 1
    return draft, pair


def loads(draft: Draft, codes: list[str]) -> list[str]:
    """Households of grids."""
    return [f"{sum(b.households for b in draft.blocks.values() if b.grid == code):.0f}" for code in codes]


def timed_refusals(start: Draft, rng: np.random.Generator) -> list[float]:
    """CPU seconds of moves that would tear a grid."""
    found, blocks, grids = [], sorted(start.blocks), sorted(start.grids)
    for _ in range(30):
        begin = time.process_time()
        try:
            edit.assign(start, [str(rng.choice(blocks))], str(rng.choice(grids)))
        except EditError:
            found.append(time.process_time() - begin)
    return found


def history(plan: Plan, how: dict[str, Any], start: Draft, rng: np.random.Generator) -> Draft:
    """A thousand edits, taken back, done again and replayed."""
    begin = time.process_time()
    draft = long_draft(start, rng)
    print(f"{STEPS} edits with their answers, and many that were refused: {time.process_time() - begin:.2f} s")
    begin, back = time.process_time(), draft
    for _ in range(STEPS):
        back = undo(back)
    spent = time.process_time() - begin
    print(f"undo of {STEPS} steps: {spent:.2f} s   {told(spent, UNDO_S)}   same plan: {same(back, start)}")
    begin = time.process_time()
    for _ in range(STEPS):
        back = redo(back)
    print(f"redo of {STEPS} steps: {time.process_time() - begin:.2f} s   same plan: {same(back, draft)}")
    begin = time.process_time()
    again = replay(plan, log(draft), **how)
    print(f"replay of the log: {time.process_time() - begin:.2f} s   same plan: {same(again, draft)}")
    begin = time.process_time()
    plan_of(draft)
    print(f"tables of the draft, borders and all: {time.process_time() - begin:.2f} s")
    return draft


def indexes(start: Draft, draft: Draft) -> None:
    """The index that changes (rtree) against one built anew after each edit (STRtree), over the same edits."""
    operations = log(draft)[:200]
    begin = time.process_time()
    desk = Desk(start)
    opened = time.process_time() - begin
    follow, rebuild, now = 0.0, 0.0, start
    for operation in operations:
        now = apply(now, operation).draft
        begin = time.process_time()
        desk._follow(now, now.done[-1].replaced, 1)
        follow += time.process_time() - begin
        begin = time.process_time()
        shapely.STRtree(np.array([b.shape for b in now.blocks.values()], dtype=object)).query(shapely.Point(0, 0))
        rebuild += time.process_time() - begin
    size = len(operations)
    print(f"index after an edit, mean of {size}: rtree {follow / size * 1000:.2f} ms, STRtree built anew "
          f"{rebuild / size * 1000:.2f} ms, the base's STRtree with pieces by row 0 ms; "
          f"rtree filled once in {opened * 1000:.0f} ms")  # fmt: skip
    box = (450_000.0, 4_430_000.0, 451_000.0, 4_431_000.0)
    begin = time.process_time()
    for _ in range(200):
        desk.blocks_in(box)
    spent = (time.process_time() - begin) / 200
    print(f"blocks of a view of 1 km²: {len(desk.blocks_in(box))} in {spent * 1000:.2f} ms")


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=100, help="blocks along each side")
    side = parser.parse_args().blocks
    plan, how = made(side)
    begin = time.process_time()
    start = open_plan(plan, **how)
    print(f"{len(start.blocks)} blocks, {len(start.grids)} grids, {len(start.responsibility)} responsibility blocks, "
          f"{len(how['houses'])} houses, {len(how['borders'])} borders: opened in "
          f"{time.process_time() - begin:.2f} s")  # fmt: skip
    rng = np.random.default_rng(1)
    edits(start, rng)
    indexes(start, history(plan, how, start, rng))


if __name__ == "__main__":
    main()
