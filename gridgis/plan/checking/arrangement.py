"""Directed segments cut where they cross or touch, the edges that come of it, and the faces that these enclose.

What repair moves is always a whole face. Faces are made of the very points of the segments, so a polygon that gains or
loses some is put together again without any overlay: coordinates are copied, none is computed twice.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gridgis.plan.checking.segments import (
    Bools,
    Floats,
    Ints,
    Segments,
    directed_segments,
    distinct,
    first_of_near,
    merged_ends,
    spans,
)
from gridgis.plan.checking.tiling import Objects

#: The owner of lines that only cut: known holes, inlets, the parts of a gap that is shared out.
CUT = -2
#: How often segments are cut anew. Each round moves cuts by less than the tolerance, so a second one seldom finds any.
_ROUNDS = 8


class Arrangement(NamedTuple):
    """Segments cut at each other, with the faces between them.

    `points` (p, 2), those of the segments first and unchanged, then the places where they cross.
    Edges run from `low` to `high` (positions in `points`, low < high) with the faces `left` and `right` (-1: none).
    Sides: `owner` has ground on the left (`sign` +1) or the right (-1) of `edge`. Chains: segment `chain_row` runs
    through the points `chain_node`, in order. `snapped`: the point that stands for each distinct end of the segments
    (`ends`, sorted as complex numbers).
    """

    points: Floats
    low: Ints
    high: Ints
    left: Ints
    right: Ints
    faces: Objects
    edge: Ints
    owner: Ints
    sign: Ints
    chain_row: Ints
    chain_node: Ints
    ends: Any
    snapped: Ints

    def edge_lengths(self, scale: tuple[float, float]) -> Floats:
        """Length of each edge; `scale` are the metres of a unit along x and y."""
        span = (self.points[self.high] - self.points[self.low]) * np.asarray(scale)
        length: Floats = np.hypot(span[:, 0], span[:, 1])
        return length


def arrange(segments: Segments, tolerance: float) -> Arrangement:
    """Cut segments at each other and find the faces.

    Parameters
    ----------
    segments : Segments
        Owners ≥ -1 as :mod:`gridgis.plan.checking.segments` has them, and :data:`CUT`.
    tolerance : float
        In units of the coordinates: ends nearer than this become one (the lowest by x, then y), and an end nearer
        than this to a segment cuts it.

    Returns
    -------
    Arrangement
        Edges on which every owner's directions cancel are left out, unless a cut runs there.
    """
    ends, snapped, tail, head = merged_ends(segments, tolerance)
    points = np.column_stack([ends.real, ends.imag])
    every = np.arange(len(tail))
    row, node = np.repeat(every, 2), np.column_stack([tail, head]).ravel()
    row, node = _without_repeats(row, node)
    seen = np.empty(0, dtype=np.complex128)
    for _ in range(_ROUNDS):
        points, row, node, seen, done = _cut_once(points, row, node, seen, tolerance)
        if done:
            break
    inner = row[1:] == row[:-1]
    a, b, source = node[:-1][inner], node[1:][inner], row[:-1][inner]
    low, high = np.minimum(a, b), np.maximum(a, b)
    size = max(len(points), 1)
    keys, at = np.unique(low * size + high, return_inverse=True)
    low, high = keys // size, keys % size
    edge, owner, sign = _sides(at, segments.owner[source], np.where(a < b, 1, -1))
    there = np.zeros(len(keys), dtype=bool)
    there[edge] = True
    position = np.cumsum(there) - 1
    low, high, edge = low[there], high[there], position[edge]
    faces, left, right = _faces(points, low, high)
    return Arrangement(points, low, high, left, right, faces, edge, owner, sign, row, node, ends, snapped)


def _without_repeats(row: Ints, node: Ints) -> tuple[Ints, Ints]:
    keep = np.ones(len(row), dtype=bool)
    keep[1:] = (row[1:] != row[:-1]) | (node[1:] != node[:-1])
    return row[keep], node[keep]


def _cut_once(
    points: Floats, row: Ints, node: Ints, seen: Any, tolerance: float
) -> tuple[Floats, Ints, Ints, Any, bool]:
    """Cut the pieces that were not seen before at points near them and at crossings; also what was seen, and if done.

    Pieces are told from those of the round before by their two ends.
    """
    inner = np.flatnonzero(row[1:] == row[:-1])
    a, b = node[inner], node[inner + 1]
    pair = np.minimum(a, b) + 1j * np.maximum(a, b)
    pairs, of = np.unique(pair, return_inverse=True)
    low, high = pairs.real.astype(np.int64), pairs.imag.astype(np.int64)
    fresh = np.flatnonzero(~np.isin(pairs, seen))
    lines = shapely.linestrings(np.stack([points[low], points[high]], axis=1))
    on, point = _points_near(points, low, high, lines, fresh, tolerance)
    points, cut, crossing = _crossings(points, low, high, lines, fresh, tolerance)
    on, point = np.concatenate([on, cut]), np.concatenate([point, crossing])
    apart = (point != low[on]) & (point != high[on])
    on, point = on[apart], point[apart]
    if len(on) == 0:
        return points, row, node, pairs, True
    row, node = _with_cuts(points, row, node, inner, of, low, high, on, point)
    return points, row, node, pairs, False


def _points_near(points: Floats, low: Ints, high: Ints, lines: Any, fresh: Ints, tolerance: float) -> tuple[Ints, Ints]:
    """Pairs (line, point) of used points within `tolerance` of a line, where the line or the point is new.

    A new point is an end of a new line, so lines near the ends of new lines are looked at, and all points near these.
    """
    used = distinct(np.concatenate([low, high]))
    line, at = shapely.STRtree(shapely.points(points[used])).query(lines[fresh], "dwithin", tolerance)
    fresh_ends = distinct(np.concatenate([low[fresh], high[fresh]]))
    end, other = shapely.STRtree(lines).query(shapely.points(points[fresh_ends]), "dwithin", tolerance)
    on = np.concatenate([fresh[line], other]).astype(np.int64)
    point = np.concatenate([used[at], fresh_ends[end]]).astype(np.int64)
    return on, point


def _crossings(
    points: Floats, low: Ints, high: Ints, lines: Any, fresh: Ints, tolerance: float
) -> tuple[Floats, Ints, Ints]:
    """The points with the crossings of new lines added, and pairs (line, point) of lines to cut there.

    Rounding may hide or invent a crossing only where an end lies on the other line, which is cut there anyway.
    """
    first, second = shapely.STRtree(lines).query(lines[fresh])
    first = fresh[first]
    other = (low[first] != low[second]) & (low[first] != high[second])
    other &= (high[first] != low[second]) & (high[first] != high[second])
    first, second = first[other], second[other]
    swap = first > second
    pair = distinct(np.where(swap, second, first) * len(low) + np.where(swap, first, second))
    one, two = pair // len(low), pair % len(low)
    a, b, c, d = points[low[one]], points[high[one]], points[low[two]], points[high[two]]
    begin, end = _turn(c, d, a), _turn(c, d, b)
    proper = (_turn(a, b, c) * _turn(a, b, d) < 0) & (begin * end < 0)
    one, two, begin, end = one[proper], two[proper], begin[proper], end[proper]
    if len(one) == 0:
        return points, one, one
    found = a[proper] + (begin / (begin - end))[:, None] * (b[proper] - a[proper]) + 0.0
    grown = np.concatenate([points, found])
    stand = first_of_near(grown, tolerance)
    # Two crossings may hang together by a point that stood apart from others before: only new ones may move.
    stand[: len(points)] = np.arange(len(points))
    new = stand[len(points) :]
    return grown, np.concatenate([one, two]), np.tile(new, 2)


def _turn(a: Floats, b: Floats, c: Floats) -> Floats:
    """Positive where c lies on the left of the way from a to b: twice the area of the triangle."""
    turn: Floats = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    return turn


def _with_cuts(
    points: Floats, row: Ints, node: Ints, inner: Ints, of: Ints, low: Ints, high: Ints, on: Ints, point: Ints
) -> tuple[Ints, Ints]:
    """The chains with `point` put in on every piece that is the line `on`."""
    span = points[high[on]] - points[low[on]]
    along = ((points[point] - points[low[on]]) * span).sum(axis=1) / (span**2).sum(axis=1)
    order = np.argsort(on, kind="stable")
    on, point, along = on[order], point[order], np.clip(along[order], 0, 1)
    at, piece = spans(np.searchsorted(on, of, "left"), np.searchsorted(on, of, "right"))
    backwards = node[inner] > node[inner + 1]
    share = np.where(backwards[piece], 1 - along[at], along[at])
    place = np.concatenate([np.arange(len(row)).astype(float), inner[piece].astype(float)])
    inside = np.concatenate([np.full(len(row), -1.0), share])
    order = np.lexsort((inside, place))
    rows, nodes = np.concatenate([row, row[inner[piece]]])[order], np.concatenate([node, point[at]])[order]
    return _without_repeats(rows, nodes)


def _sides(at: Ints, owner: Ints, sign: Ints) -> tuple[Ints, Ints, Ints]:
    """Edge, owner and net direction, where it is not zero; cuts never cancel."""
    span = int(owner.max(initial=0)) + 3
    keys, group = np.unique(at * span + owner + 2, return_inverse=True)
    net = np.bincount(group, weights=sign, minlength=len(keys)).astype(np.int64)
    edge, who = keys // span, keys % span - 2
    net[who == CUT] = 1
    real = net != 0
    return edge[real], who[real], net[real]


def _faces(points: Floats, low: Ints, high: Ints) -> tuple[Objects, Ints, Ints]:
    """The faces between edges, and those on the left and right of each edge."""
    left, right = np.full(len(low), -1, dtype=np.int64), np.full(len(low), -1, dtype=np.int64)
    if len(low) == 0:
        return np.empty(0, dtype=object), left, right
    lines = shapely.linestrings(np.stack([points[low], points[high]], axis=1))
    faces: Objects = shapely.get_parts(shapely.polygonize(lines))
    around = directed_segments(faces)
    used = distinct(np.concatenate([low, high]))
    tail, head = (_positions(points, used, xy) for xy in (around.start, around.end))
    size = len(points)
    edge = np.searchsorted(low * size + high, np.minimum(tail, head) * size + np.maximum(tail, head))
    forward = tail < head
    left[edge[forward]] = around.owner[forward]
    right[edge[~forward]] = around.owner[~forward]
    return faces, left, right


def _positions(points: Floats, used: Ints, xy: Floats) -> Ints:
    """Where coordinates stand among the `used` points; each is one of them, bit for bit."""
    known = points[used, 0] + 1j * points[used, 1]
    order = np.argsort(known)
    return used[order[np.searchsorted(known[order], xy[:, 0] + 1j * xy[:, 1])]]


def around_faces(plan: Arrangement, faces: Ints) -> tuple[Ints, Ints, Ints]:
    """The edges of `faces`: position in `faces`, edge, and +1 where the face is on the edge's left, else -1."""
    wanted = np.full(len(plan.faces) + 1, -1, dtype=np.int64)
    wanted[faces] = np.arange(len(faces))
    every = np.arange(len(plan.low))
    on_left, on_right = wanted[plan.left], wanted[plan.right]
    # A bridge has the same face on both sides and bounds nothing.
    real = plan.left != plan.right
    here, there = (on_left >= 0) & real, (on_right >= 0) & real
    face = np.concatenate([on_left[here], on_right[there]])
    edge = np.concatenate([every[here], every[there]])
    side = np.repeat([1, -1], [here.sum(), there.sum()])
    return face, edge, side


def joined_faces(plan: Arrangement, key: Ints, chosen: Bools) -> Ints:
    """A group for each face: those of `chosen` that share an edge and have the same `key`; -1 for all others."""
    link = np.flatnonzero((plan.left >= 0) & (plan.right >= 0))
    one, other = plan.left[link], plan.right[link]
    same = chosen[one] & chosen[other] & (key[one] == key[other])
    count = len(plan.faces)
    graph = coo_array((np.ones(same.sum()), (one[same], other[same])), shape=(count, count))
    _, group = connected_components(graph, directed=False)
    return np.where(chosen, group, -1).astype(np.int64)
