"""Edits of a plan: each gives a new draft and says at once what changed, or is refused with the reason and the place.

A plan is blocks and their grid, so no edit can leave a gap or an overlap: a drawn line or polygon becomes a cut of
blocks and a move of pieces. Drafts are never changed. Each edit is one operation of plain types, see
:mod:`gridgis.plan.operations`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

import numpy as np
import shapely
from shapely.geometry import mapping, shape

from gridgis.errors import GeometryError, PlanError
from gridgis.plan.cutting import Edge, cut_along, edges_of
from gridgis.plan.draft import Draft
from gridgis.plan.graph import components
from gridgis.plan.network import Floats, Ints
from gridgis.plan.sketch import Edited, Sketch, locked
from gridgis.schema import GRID_KINDS

#: A block is split where its buildings leave most room, among the cuts that miss the wanted share by less than this.
_SHARE_SLACK = 0.1


def assign(draft: Draft, blocks: Iterable[str], to: str) -> Edited:
    """Move blocks to a grid.

    Parameters
    ----------
    draft : Draft
    blocks : iterable of str
        Codes of blocks.
    to : str
        Code of a grid.

    Returns
    -------
    Edited
        The new draft, and the change. A grid that loses all its blocks is gone.

    Raises
    ------
    PlanError
        Unknown codes; a grid that would come apart, cross a unit, or is locked; nothing would change.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> from gridgis.plan.draft import open_plan
    >>> from gridgis.plan.partition import partition
    >>> shapes = shapely.box([0, 100, 200, 300], 0, [100, 200, 300, 400], 100)
    >>> table = {"code": ["a", "b", "c", "d"], "unit": "U", "households": [150, 160, 140, 150]}
    >>> draft = open_plan(partition(gpd.GeoDataFrame(table, geometry=shapes, crs=32650), 300))
    >>> draft, change = assign(draft, ["b"], "U02")
    >>> {code: (before.households, after.households) for code, (before, after) in change.grids.items()}
    {'U01': (310, 150), 'U02': (290, 450)}
    """
    return place(draft, dict.fromkeys(_listed(blocks), to))


def place(draft: Draft, grid_of: Mapping[str, str]) -> Edited:
    """Move blocks to grids, several at once: what a new partition of some grids gives.

    Parameters
    ----------
    draft : Draft
    grid_of : mapping
        Code of a block to the code of a grid.

    Raises
    ------
    PlanError
        As :func:`assign`.
    """
    _known_blocks(draft, grid_of)
    _known_grids(draft, grid_of.values())
    sketch = Sketch(draft)
    for code, to in sorted(grid_of.items()):
        sketch.place([code], to)
    return sketch.finish({"op": "place", "grid_of": dict(sorted(grid_of.items()))})


def draw(draft: Draft, polygon: Any, to: str | None = None) -> Edited:
    """Give the ground inside a drawn polygon to a grid; blocks are cut where its rim runs.

    Parameters
    ----------
    draft : Draft
    polygon : Polygon or mapping
        In the CRS of the plan; a mapping as in GeoJSON.
    to : str, optional
        Code of a grid; by default a new one.

    Raises
    ------
    GeometryError
        Not a valid polygon.
    PlanError
        The polygon lies outside the plan, or as :func:`assign`.
    """
    area = _geometry(polygon, ("Polygon",), "the polygon")
    if to is not None:
        _known_grids(draft, [to])
    sketch = Sketch(draft)
    rims = [shapely.LineString(ring.coords) for ring in (area.exterior, *area.interiors)]
    shapely.prepare(area)
    codes = list(sketch.blocks)
    near = shapely.intersects(area, np.array([sketch.blocks[c].shape for c in codes], dtype=object))
    reached = [c for c, hit in zip(codes, near, strict=True) if hit]
    if not reached:
        raise PlanError("the polygon lies outside the plan", source="plan", found=f"bounds {_told(area.bounds)}")
    own = {code for code in reached if draft.blocks[code].grid != to}
    pieces, _ = sketch.cut(rims, own)
    inside = sorted(own.difference(pieces).union(*pieces.values()))
    ground = np.array([sketch.blocks[c].shape for c in inside], dtype=object)
    share = shapely.area(shapely.intersection(ground, area)) / shapely.area(ground)
    moved = [c for c, part in zip(inside, share, strict=True) if part > 0.5]
    if not moved:
        raise PlanError("the polygon takes no ground from another grid", source="plan",
                        found=f"bounds {_told(area.bounds)}")  # fmt: skip
    target = to if to is not None else _next_code(draft, sketch.blocks[moved[0]].unit)
    sketch.place(moved, target)
    return sketch.finish({"op": "draw", "polygon": _plain(area), "to": target if to is not None else None})


def split_grid(draft: Draft, grid: str, line: Any) -> Edited:
    """Split a grid along a line; its blocks are cut where the line runs.

    The part with most households (area, where equal) keeps the code; the others are new grids with its kind.

    Parameters
    ----------
    draft : Draft
    grid : str
    line : LineString or mapping
        In the CRS of the plan. What reaches beyond the grid is left out.

    Raises
    ------
    GeometryError
        Not a line, or one that crosses itself.
    PlanError
        Unknown or locked grid; the line does not part it.
    """
    _known_grids(draft, [grid])
    if draft.grids[grid].locked:
        raise locked(grid)
    way = _geometry(line, ("LineString",), "the line")
    sketch = Sketch(draft)
    pieces, cut = sketch.cut([way], draft.members[grid])
    own = sorted(draft.members[grid].difference(pieces).union(*pieces.values()))
    part = _parts(sketch, own, cut)
    if part.max(initial=0) == 0:
        raise PlanError(
            f"the line does not part the grid {grid}", source="plan", found=f"bounds {_told(way.bounds)}",
            remedy="Draw it from one side of the grid to the other.",
        )  # fmt: skip
    groups = [[c for c, p in zip(own, part, strict=True) if p == number] for number in range(int(part.max()) + 1)]
    area = [sum(sketch.blocks[c].shape.area for c in group) for group in groups]
    lived = [sum(sketch.blocks[c].households for c in group) for group in groups]
    kept = max(range(len(groups)), key=lambda i: (lived[i], area[i], -i))
    taken: set[str] = set()
    for number, group in enumerate(groups):
        if number != kept:
            code = _next_code(draft, draft.grids[grid].unit, taken)
            taken.add(code)
            sketch.place(group, code)
            sketch.describe(code, kind=draft.grids[grid].kind)
    return sketch.finish({"op": "split_grid", "grid": grid, "line": _plain(way)})


def _parts(sketch: Sketch, codes: list[str], cut: frozenset[Edge]) -> Ints:
    """The part of each block, where blocks hang together by edges that the cut does not run along."""
    seen: dict[Edge, int] = {}
    pairs = []
    for i, code in enumerate(codes):
        for edge in edges_of(sketch.blocks[code].shape) - cut:
            if edge in seen:
                pairs.append((seen[edge], i))
            seen[edge] = i
    return components(len(codes), np.array(pairs, dtype=np.int64).reshape(-1, 2))


def split_block(draft: Draft, block: str, line: Any) -> Edited:
    """Cut a block along a line; its pieces (CODE.1, CODE.2, … north to south) stay in its grid.

    Parameters
    ----------
    draft : Draft
    block : str
    line : LineString or mapping
        In the CRS of the plan.

    Raises
    ------
    GeometryError
        Not a line, or one that crosses itself.
    PlanError
        Unknown block; the line cuts nothing.
    """
    _known_blocks(draft, [block])
    way = _geometry(line, ("LineString",), "the line")
    sketch = Sketch(draft)
    if not sketch.cut([way], [block])[0]:
        raise PlanError(
            f"the line cuts nothing of the block {block}", source="plan", found=f"bounds {_told(way.bounds)}",
            remedy="Draw it from one side of the block to the other.",
        )  # fmt: skip
    return sketch.finish({"op": "split_block", "block": block, "line": _plain(way)})


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
    PlanError
        Unknown block; too few houses; no straight line parts them.
    """
    _known_blocks(draft, [block])
    if isinstance(parts, bool) or not isinstance(parts, int) or parts < 2:
        raise PlanError("a block is split into 2 parts or more", source="plan", found=repr(parts))
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
    raise PlanError(
        f"no straight line parts the houses of the block {block.code}", source="plan",
        found=f"{len(homes)} houses", remedy="Open the plan with houses, or split the block by a line.",
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


def merge(draft: Draft, grids: Iterable[str], into: str | None = None) -> Edited:
    """Make one grid of several.

    Parameters
    ----------
    draft : Draft
    grids : iterable of str
        Codes of two or more grids of one unit that hang together.
    into : str, optional
        The one whose code, name and kind stay; by default the first.

    Raises
    ------
    PlanError
        Unknown codes, fewer than two grids, or as :func:`assign`.
    """
    codes = list(dict.fromkeys(_listed(grids)))
    _known_grids(draft, codes)
    if len(codes) < 2:
        raise PlanError("merging takes two grids or more", source="plan", found=", ".join(codes) or "none")
    goal = codes[0] if into is None else into
    if goal not in codes:
        raise PlanError("grids are merged into one of them", source="plan", ids=[goal], wanted=", ".join(codes))
    sketch = Sketch(draft)
    for code in codes:
        sketch.place(sorted(draft.members[code]), goal)
    return sketch.finish({"op": "merge", "grids": codes, "into": goal})


def new_grid(
    draft: Draft, blocks: Iterable[str], code: str | None = None, name: str | None = None, kind: str = "residential"
) -> Edited:
    """Make a grid of blocks.

    Parameters
    ----------
    draft : Draft
    blocks : iterable of str
        Codes of blocks of one unit that hang together.
    code : str, optional
        By default the next number of the unit.
    name : str, optional
        By default the code.
    kind : str
        One of schema.GRID_KINDS.

    Raises
    ------
    PlanError
        A code that is empty or taken, an empty name, an unknown kind, no blocks, or as :func:`assign`.
    """
    chosen = sorted(set(_listed(blocks)))
    _known_blocks(draft, chosen)
    if not chosen:
        raise PlanError("a grid needs a block", source="plan", found="none")
    if code is not None and (not isinstance(code, str) or not code.strip()):
        raise PlanError("the code is empty", source="plan", found=repr(code))
    if code in draft.grids:
        raise PlanError("the code is taken", source="plan", ids=[code])
    made = code if code is not None else _next_code(draft, draft.blocks[chosen[0]].unit)
    sketch = Sketch(draft)
    sketch.place(chosen, made)
    sketch.describe(made, name=made if name is None else _name(name), kind=_kind(kind))
    return sketch.finish({"op": "new_grid", "blocks": chosen, "code": made, "name": name, "kind": kind})


def rename(draft: Draft, grid: str, name: str) -> Edited:
    """Give a grid another name; its code stays.

    Raises
    ------
    PlanError
        Unknown or locked grid, an empty name, the name it has.
    """
    return _described(draft, [grid], {"name": _name(name)}, {"op": "rename", "grid": grid, "name": name})


def set_kind(draft: Draft, grid: str, kind: str) -> Edited:
    """Make a grid one of another kind (schema.GRID_KINDS).

    Raises
    ------
    PlanError
        Unknown or locked grid, an unknown kind, the kind it has.
    """
    return _described(draft, [grid], {"kind": _kind(kind)}, {"op": "set_kind", "grid": grid, "kind": kind})


def lock(draft: Draft, grids: Iterable[str]) -> Edited:
    """Lock grids: what would move their ground, name or kind is refused.

    Raises
    ------
    PlanError
        Unknown codes; all are locked.
    """
    codes = _listed(grids)
    return _described(draft, codes, {"locked": True}, {"op": "lock", "grids": codes})


def unlock(draft: Draft, grids: Iterable[str]) -> Edited:
    """Free grids that are locked.

    Raises
    ------
    PlanError
        Unknown codes; none is locked.
    """
    codes = _listed(grids)
    return _described(draft, codes, {"locked": False}, {"op": "unlock", "grids": codes})


def _described(draft: Draft, codes: list[str], attributes: dict[str, Any], operation: dict[str, Any]) -> Edited:
    _known_grids(draft, codes)
    sketch = Sketch(draft)
    for code in codes:
        if draft.grids[code].locked and "locked" not in attributes:
            raise locked(code)
        if any(getattr(draft.grids[code], key) != value for key, value in attributes.items()):
            sketch.describe(code, **attributes)
    return sketch.finish(operation)


# --- what comes in ----------------------------------------------------------------------------------------------------


def _listed(codes: Iterable[str]) -> list[str]:
    return [codes] if isinstance(codes, str) else list(codes)


def _known_blocks(draft: Draft, codes: Iterable[str]) -> None:
    unknown = sorted({str(code) for code in codes if code not in draft.blocks})
    if unknown:
        raise PlanError("blocks do not exist", source="plan", ids=unknown)


def _known_grids(draft: Draft, codes: Iterable[str]) -> None:
    unknown = sorted({str(code) for code in codes if code not in draft.grids})
    if unknown:
        raise PlanError("grids do not exist", source="plan", ids=unknown)


def _name(name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        raise PlanError("the name is empty", source="plan", found=repr(name))
    return name


def _kind(kind: str) -> str:
    if kind not in GRID_KINDS:
        raise PlanError("the kind is unknown", source="plan", found=repr(kind), wanted=", ".join(GRID_KINDS))
    return kind


def _geometry(given: Any, types: tuple[str, ...], what: str) -> Any:
    """The drawn geometry, 2-D and checked."""
    try:
        drawn = shapely.force_2d(shape(given) if isinstance(given, Mapping) else given)
    except (TypeError, ValueError, AttributeError, KeyError, shapely.errors.GEOSException) as error:
        raise GeometryError(f"{what} cannot be read", found=str(error)) from error
    found = "nothing" if drawn is None else drawn.geom_type
    if found not in types or drawn.is_empty:
        raise GeometryError(f"{what} is none", found=found if drawn is None or not drawn.is_empty else f"empty {found}",
                            wanted=" or ".join(types))  # fmt: skip
    if not np.isfinite(shapely.get_coordinates(drawn)).all():
        raise GeometryError(f"{what} has coordinates that are no numbers")
    if not drawn.is_valid or not drawn.is_simple:
        raise GeometryError(f"{what} crosses itself or has no extent", found=shapely.is_valid_reason(drawn))
    return drawn


def _plain(geometry: Any) -> dict[str, Any]:
    """A geometry as GeoJSON of lists, whose numbers come back bit for bit."""

    def listed(value: Any) -> Any:
        return [listed(v) for v in value] if isinstance(value, list | tuple) else value

    return {key: listed(value) for key, value in mapping(geometry).items()}


def _told(numbers: Iterable[float]) -> str:
    return ", ".join(f"{n:.6f}" for n in numbers)


def _next_code(draft: Draft, unit: str, taken: Iterable[str] = ()) -> str:
    """The first code of the template that no grid of the draft or of the plan that came in has."""
    used = draft.grids.keys() | draft.base.grids.keys() | set(taken)
    codes = (draft.base.template.format(unit=unit, n=n) for n in count(1))
    return next(code for code in codes if code not in used)
