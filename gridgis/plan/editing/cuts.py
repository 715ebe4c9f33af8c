"""Edits that cut: a drawn polygon or line, or the houses themselves, say where blocks come apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from gridgis.errors import EditError
from gridgis.plan.editing.change import Edited
from gridgis.plan.editing.cutting import cut_along
from gridgis.plan.editing.draft import Draft, codes_in
from gridgis.plan.editing.given import (
    checked_barrier,
    drawn_geometry,
    known_blocks,
    known_grids,
    middle_of,
    next_grid_code,
    plain,
    unlocked,
)
from gridgis.plan.editing.rules import place_in
from gridgis.plan.editing.settle import hanging
from gridgis.plan.editing.sketch import Sketch
from gridgis.plan.faces.network import Floats

#: A block is split where its buildings leave most room, among the cuts that miss the wanted share by less than this.
_SHARE_SLACK = 0.1


def draw(draft: Draft, polygon: Any, to: str | None = None) -> Edited:
    """Give the ground inside a drawn polygon to a grid; blocks are cut where its rim runs.

    Parameters
    ----------
    draft : Draft
    polygon : Polygon or mapping
        In the CRS of the plan; a mapping as in GeoJSON. A third coordinate is left out.
    to : str, optional
        Code of a grid; by default a new one.

    Raises
    ------
    EditError
        Not a valid polygon; it lies outside the plan, takes no ground; or as :func:`~gridgis.plan.edit.assign`.
    """
    area = drawn_geometry(polygon, ("Polygon",), "the polygon")
    if to is not None:
        known_grids(draft, [to])
    sketch = Sketch(draft)
    shapely.prepare(area)
    codes = sorted(codes_in(draft.base, area.bounds, draft.pieces))
    near = shapely.intersects(area, np.array([draft.blocks[c].shape for c in codes], dtype=object))
    reached = [c for c, hit in zip(codes, near, strict=True) if hit]
    if not reached:
        raise EditError("the polygon lies outside the plan", reason="outside", place=middle_of(area))
    moved = inside_of(sketch, area, [code for code in reached if draft.blocks[code].grid != to])
    if not moved:
        raise EditError("the polygon takes no ground from another grid", reason="nothing", place=middle_of(area))
    target = to if to is not None else next_grid_code(draft, sketch.blocks[moved[0]].unit)
    sketch.place(moved, target)
    return sketch.finish({"op": "draw", "polygon": plain(area), "to": to})


def inside_of(sketch: Sketch, area: Any, blocks: list[str]) -> list[str]:
    """Cut blocks where the rim of an area runs: those and the pieces that lie in it."""
    rims = [shapely.LineString(ring.coords) for ring in (area.exterior, *area.interiors)]
    pieces, _ = sketch.cut(rims, blocks)
    own = sorted(set(blocks).difference(pieces).union(*pieces.values()))
    ground = np.array([sketch.blocks[c].shape for c in own], dtype=object)
    share = shapely.area(shapely.intersection(ground, area)) / shapely.area(ground)
    return [c for c, part in zip(own, share, strict=True) if part > 0.5]


def split_grid(
    draft: Draft, grid: str, line: Any, barrier: str | None = None, barrier_name: str | None = None
) -> Edited:
    """Split a grid along a line; its blocks are cut where the line runs.

    The part with most households (area, where equal) keeps the code; the others are new grids with its kind.

    Parameters
    ----------
    draft : Draft
    grid : str
    line : LineString or mapping
        In the CRS of the plan. What reaches beyond the grid is left out.
    barrier, barrier_name : str, optional
        Class (schema.BARRIER_CLASSES) and name of the barrier that the line is; the new borders lie on it.

    Raises
    ------
    EditError
        Unknown or locked grid; not a line, or one that crosses itself; the line does not part the grid.
    """
    unlocked(draft, [grid])
    way, kind = drawn_geometry(line, ("LineString",), "the line"), checked_barrier(barrier, barrier_name)
    sketch = Sketch(draft)
    pieces, cut = sketch.cut([way], draft.members[grid], kind)
    own = sorted(draft.members[grid].difference(pieces).union(*pieces.values()))
    groups = hanging(own, sketch.blocks, cut)
    if len(groups) == 1:
        raise EditError(f"the line does not part the grid {grid}", reason="nothing", place=middle_of(way),
                        remedy="Draw it from one side of the grid to the other.")  # fmt: skip
    kept = largest(sketch, groups)
    taken: set[str] = set()
    for group in (g for i, g in enumerate(groups) if i != kept):
        code = next_grid_code(draft, draft.grids[grid].unit, taken)
        taken.add(code)
        sketch.place(group, code)
        sketch.describe(code, kind=draft.grids[grid].kind)
    return sketch.finish({"op": "split_grid", "grid": grid, "line": plain(way), **_told(barrier, barrier_name)})


def _told(barrier: str | None, name: str | None) -> dict[str, str]:
    """The barrier of a line for the log, where there is one."""
    told = {"barrier": barrier, "barrier_name": name}
    return {key: value for key, value in told.items() if value is not None}


def largest(sketch: Sketch, groups: list[list[str]]) -> int:
    """Which group has most households, the most ground where equal, else the first."""
    area = [sum(sketch.blocks[c].shape.area for c in group) for group in groups]
    lived = [sum(sketch.blocks[c].households for c in group) for group in groups]
    return max(range(len(groups)), key=lambda i: (lived[i], area[i], -i))


def split_block(
    draft: Draft, block: str, line: Any, barrier: str | None = None, barrier_name: str | None = None
) -> Edited:
    """Cut a block along a line; its pieces (CODE.1, CODE.2, … north to south) stay in its grid.

    Parameters
    ----------
    draft : Draft
    block : str
    line : LineString or mapping
        In the CRS of the plan.
    barrier, barrier_name : str, optional
        Class (schema.BARRIER_CLASSES) and name of the barrier that the line is; the new borders lie on it.

    Raises
    ------
    EditError
        Unknown block; not a line, or one that crosses itself; the line cuts nothing.
    """
    known_blocks(draft, [block])
    way, kind = drawn_geometry(line, ("LineString",), "the line"), checked_barrier(barrier, barrier_name)
    sketch = Sketch(draft)
    if not sketch.cut([way], [block], kind)[0]:
        raise EditError(f"the line cuts nothing of the block {block}", reason="nothing", place=middle_of(way),
                        remedy="Draw it from one side of the block to the other.")  # fmt: skip
    return sketch.finish({"op": "split_block", "block": block, "line": plain(way), **_told(barrier, barrier_name)})


def split_block_evenly(draft: Draft, block: str, parts: int) -> Edited:
    """Cut a block into parts with about as many households each, by straight lines between its houses.

    Parameters
    ----------
    draft : Draft
        Opened with houses.
    block : str
    parts : int
        2 or more.

    Raises
    ------
    EditError
        Unknown block; too few houses; no straight line parts them.
    """
    known_blocks(draft, [block])
    if isinstance(parts, bool) or not isinstance(parts, int) or parts < 2:
        raise EditError("a block is split into 2 parts or more", reason="argument", found=repr(parts))
    sketch = Sketch(draft)
    todo = [(block, parts)]
    while todo:
        code, wanted = todo.pop()
        first = wanted // 2
        names, line = _cut_evenly(sketch, code, first / wanted)
        middle = shapely.centroid([sketch.blocks[name].shape for name in names])
        ahead = [line(np.asarray(point.coords[0])) for point in middle]
        low, high = names if ahead[0] < ahead[1] else names[::-1]
        todo += [pair for pair in ((low, first), (high, wanted - first)) if pair[1] > 1]
    return sketch.finish({"op": "split_block_evenly", "block": block, "parts": parts})


def _cut_evenly(sketch: Sketch, code: str, share: float) -> tuple[list[str], Any]:
    """Cut a block so that the low side gets a share of its households; and how far along a place lies."""
    base, block = sketch.draft.base, sketch.blocks[code]
    homes = np.array(block.homes, dtype=np.int64)
    xy, load = base.homes.xy[homes] * base.scale, base.homes.households[homes].astype(float)
    flat = shapely.transform(block.shape, lambda p: p * base.scale)
    axis = np.asarray(_long_axis(flat))
    for turn in (0, 90, 45, 135):
        angle = np.radians(turn)
        way = np.array(
            [axis[0] * np.cos(angle) - axis[1] * np.sin(angle), axis[0] * np.sin(angle) + axis[1] * np.cos(angle)]
        )
        at = _best_cut(xy @ way, load, share)
        if at is None:
            continue
        middle, reach = np.asarray(flat.centroid.coords[0]), shapely.minimum_bounding_radius(flat) * 3
        foot = middle + (at - middle @ way) * way
        across = np.array([-way[1], way[0]]) * reach
        line = shapely.LineString(np.array([foot - across, foot + across]) / base.scale)
        if len(cut_along(np.array([block.shape]), np.array([True]), [line], base.scale).pieces.get(0, [])) == 2:
            names = sketch.cut([line], [code])[0][code]
            return names, lambda p, w=way: float((p * base.scale) @ w)
    raise EditError(
        f"no straight line parts the houses of the block {block.code}", reason="nothing",
        place=place_in(block.shape), found=f"{len(homes)} houses",
        remedy="Open the plan with houses, or split the block by a line.",
    )  # fmt: skip


def _long_axis(flat: Any) -> Floats:
    """The direction of the longer side of the narrowest box round a shape, length 1."""
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(flat))
    sides = np.diff(corners[:3], axis=0)
    longer = sides[int(np.argmax(np.hypot(sides[:, 0], sides[:, 1])))]
    axis: Floats = longer / np.hypot(*longer)
    return axis if (axis[0], axis[1]) > (0, 0) else -axis


def _best_cut(at: Floats, load: Floats, share: float) -> float | None:
    """Where to cut between places along a line: near the wanted share of the load, in the widest gap there."""
    order = np.argsort(at, kind="stable")
    at, total = at[order], load.sum()
    gap = np.diff(at)
    real = np.flatnonzero(gap > 0)
    if len(real) == 0 or total == 0:
        return None
    miss = np.abs(np.cumsum(load[order])[real] / total - share)
    good = real[miss <= max(_SHARE_SLACK * share, float(miss.min()))]
    best = int(good[np.argmax(gap[good])])
    return float((at[best] + at[best + 1]) / 2)
