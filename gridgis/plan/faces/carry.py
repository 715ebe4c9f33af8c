"""Barriers joined to the outlines of units: loose ends are carried on, and outlines keep every vertex bit for bit.

A line that runs along an outline within rounding would be noded with it in thousands of hair-thin faces, and robust
noding might then move the outline itself. So barriers are first kept a little inside their unit, and what ends there
is carried to the outline, which gets a vertex at exactly that point.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import shapely

from gridgis.plan.faces.network import (
    Floats,
    Ints,
    Lines,
    Shapes,
    extend,
    flatten,
    lying_on,
    middles,
    node,
    outlines,
    segments_of,
    split,
)

#: Barriers keep this distance from outlines, metres, until they are carried there.
_INSIDE_M = 0.05

#: What is carried meets a vertex, or another end, that is nearer than this to where it would arrive, metres.
_SAME_M = 0.01

#: An end at an outline is carried there straight ahead within this distance, metres, whatever `snap_m` is.
_AHEAD_M = 1.0

#: How many floating point steps a new vertex may slide along its segment to lie on it better.
_STEPS = 32


class _Ground(NamedTuple):
    """What ends can be carried to: segments of outlines (rows below `rims`) and of barriers."""

    ends: Floats
    flat: Shapes
    tree: shapely.STRtree
    rims: int
    edge: Ints  # the barrier edge of each segment, -1 for outlines
    scale: Floats
    cuts: dict[int, list[Floats]]


def join(polygons: Shapes, lines: Lines, scale: Floats, snap_m: float) -> tuple[Shapes, Lines]:
    """Noded edges of outlines and barriers.

    Parameters
    ----------
    polygons : ndarray of Polygon or MultiPolygon
        Units side by side; their vertices come back bit for bit.
    lines : Lines
        Barriers in the same plane.
    scale : ndarray, shape (2,)
        Metres per unit of x and y.
    snap_m : float
        Metres within which a loose end is carried on: straight ahead if that meets a line, else to the nearest point
        (unless its edge is shorter than `snap_m`: then it is an overshoot).

    Returns
    -------
    edges : ndarray of LineString
    lines : Lines
        The barriers with what was carried.
    """
    rims = outlines(polygons)
    edges = _kept_inside(node(lines.shapes, scale), polygons, scale)
    ground = _ground(rims, edges, scale)
    carried, edge = _carry(ground, edges, polygons, snap_m)
    row = np.array([r for r, cuts in ground.cuts.items() for _ in cuts], dtype=np.int64)
    points = np.array([p for cuts in ground.cuts.values() for p in cuts]).reshape(-1, 2)
    whole = shapely.linestrings(split(ground.ends, row, points))
    if len(carried):
        lines = extend(lines, carried, lying_on(middles(edges[edge], scale), lines, scale))
    return shapely.get_parts(shapely.union_all(np.concatenate([whole, carried]))), lines


def _kept_inside(edges: Shapes, polygons: Shapes, scale: Floats) -> Shapes:
    """The parts of edges that lie in a polygon, a little off its outline."""
    inner = shapely.transform(shapely.buffer(flatten(polygons, scale), -_INSIDE_M), lambda xy: xy / scale)
    shapely.prepare(inner)
    polygon, edge = shapely.STRtree(edges).query(inner, predicate="intersects")
    order = np.lexsort((polygon, edge))
    polygon, edge = polygon[order], edge[order]
    whole = shapely.contains_properly(inner[polygon], edges[edge])
    cut = shapely.get_parts(shapely.intersection(edges[edge[~whole]], inner[polygon[~whole]]))
    kept: Shapes = np.concatenate([edges[edge[whole]], cut[shapely.get_type_id(cut) == 1]])
    return kept


def _ground(rims: Floats, edges: Shapes, scale: Floats) -> _Ground:

    inner, edge = segments_of(edges) if len(edges) else (np.empty((0, 2, 2)), np.empty(0, dtype=np.int64))
    ends = np.concatenate([rims, inner])
    flat = shapely.linestrings(ends * scale)
    owner = np.concatenate([np.full(len(rims), -1, dtype=np.int64), edge])
    return _Ground(ends, flat, shapely.STRtree(flat), len(rims), owner, scale, {})


def _carry(ground: _Ground, edges: Shapes, polygons: Shapes, snap_m: float) -> tuple[Shapes, Ints]:
    """Lines from loose ends to where they are carried, and the edge that each goes on from."""
    if len(edges) == 0:
        return np.empty(0, dtype=object), np.empty(0, dtype=np.int64)
    nodes = shapely.get_coordinates([shapely.get_point(edges, 0), shapely.get_point(edges, -1)])
    inverse, count = np.unique(nodes, axis=0, return_inverse=True, return_counts=True)[1:]
    loose = np.flatnonzero(count[inverse.ravel()] == 1)
    at_rim = _at_rim(ground, nodes[loose])
    carried, rows = [], []
    for end, rim in zip(loose.tolist(), at_rim.tolist(), strict=True):
        edge = end % len(edges)
        coords = shapely.get_coordinates(edges[edge])
        tip, before = (coords[0], coords[1]) if end < len(edges) else (coords[-1], coords[-2])
        goal = _ahead(ground, edge, tip, before, max(snap_m, _AHEAD_M) if rim else snap_m)
        if goal is None and (rim or shapely.length(shapely.LineString(coords * ground.scale)) > snap_m):
            goal = _nearest(ground, edge, tip, max(snap_m, 2 * _INSIDE_M) if rim else snap_m)
        if goal is not None:
            carried.append(shapely.LineString([tip, goal]))
            rows.append(edge)
    return np.array(carried, dtype=object), np.array(rows, dtype=np.int64)


def _at_rim(ground: _Ground, tips: Floats) -> Shapes:
    """Whether each tip is an end only because the outline is near."""
    tree = shapely.STRtree(ground.flat[: ground.rims])
    near = tree.query(shapely.points(tips * ground.scale), predicate="dwithin", distance=1.01 * _INSIDE_M)[0]
    return np.isin(np.arange(len(tips)), near)


def _ahead(ground: _Ground, edge: int, tip: Floats, before: Floats, reach_m: float) -> Floats | None:
    """Where going on straight ahead from `tip` meets a line within reach."""
    way = (tip - before) * ground.scale
    way /= np.hypot(*way)
    start = tip * ground.scale
    ray = shapely.LineString([start, start + way * reach_m])
    rows = np.sort(ground.tree.query(ray, predicate="intersects"))
    rows = rows[ground.edge[rows] != edge]
    if len(rows) == 0:
        return None
    gaps = shapely.distance(shapely.intersection(ground.flat[rows], ray), shapely.Point(start))
    best = int(np.argmin(gaps))
    return _goal(ground, int(rows[best]), start + way * gaps[best])


def _nearest(ground: _Ground, edge: int, tip: Floats, reach_m: float) -> Floats | None:
    """The nearest point of a line within reach."""
    point = shapely.Point(tip * ground.scale)
    rows = np.sort(ground.tree.query(point, predicate="dwithin", distance=reach_m))
    rows = rows[ground.edge[rows] != edge]
    if len(rows) == 0:
        return None
    best = int(rows[np.argmin(shapely.distance(ground.flat[rows], point))])
    return _goal(ground, best, shapely.get_coordinates(shapely.shortest_line(ground.flat[best], point))[0])


def _goal(ground: _Ground, row: int, foot: Floats) -> Floats:
    """The vertex at `foot` (flat) on segment `row`: an end of it, a cut that is there already, or a new cut."""
    known = [*ground.ends[row], *ground.cuts.get(row, [])]
    gaps = [np.hypot(*(point * ground.scale - foot)) for point in known]
    nearest = int(np.argmin(gaps))
    if gaps[nearest] < _SAME_M:
        same: Floats = known[nearest]
        return same
    start, stop = ground.ends[row]
    flat = (stop - start) * ground.scale
    share = float((foot - start * ground.scale) @ flat / (flat @ flat))
    cut = on_segment(start, stop, share)
    ground.cuts.setdefault(row, []).append(cut)
    return cut


def on_segment(start: Floats, stop: Floats, share: float) -> Floats:
    """A floating point position on the segment near `share` (0..1) of the way: the best of some next to each other.

    Rounding puts a computed point off its segment by half a step of the floating point grid, on 5 km more than
    1e-6 m². A few steps further along there is a point that lies on it thirty times better.
    """
    way = stop - start
    step = 4 * np.spacing(np.abs(np.concatenate([start, stop])).max()) / np.abs(way).max()
    shares = share + step * np.array(sorted(range(-_STEPS, _STEPS + 1), key=abs))
    points = start + shares[:, None] * way
    off = np.abs((points[:, 0] - start[0]) * way[1] - (points[:, 1] - start[1]) * way[0])
    best: Floats = points[int(np.argmin(off))]
    return best
