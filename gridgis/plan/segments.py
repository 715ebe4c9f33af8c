"""Directed segments of polygons, and which of them have no exact opposite.

Every ring is taken as directed segments with the polygon on the left; the ground's rings run the other way round. Write
f(p) for the number of polygons over a point p, less one where p is on the ground. f jumps only across segments whose
directions do not cancel; so if all cancel, f is 0 everywhere: the polygons tile the ground, exactly. The segments
that do not cancel are where f changes, and only they have to be looked at (see :mod:`gridgis.plan.tiling`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: The owner of the ground's segments; polygons are owners 0, 1, 2, …
GROUND = -1

_MIX_X, _MIX_Y, _MIX = (np.uint64(m) for m in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93))


class Segments(NamedTuple):
    """Directed segments: `start` and `end` (n, 2) in the CRS of the polygons, `owner` (n,) position of the polygon."""

    start: Floats
    end: Floats
    owner: Ints

    def take(self, rows: Any) -> Segments:
        return Segments(self.start[rows], self.end[rows], self.owner[rows])


class Network(NamedTuple):
    """Unmatched segments after they were split where vertices of others lie on them.

    `points` (n, 2); `tail`, `head` (positions in `points`) and `owner` of each segment whose directions do not
    cancel. `lacking`, `missed`: owner of a segment, and the point on it that it has no vertex at. `holder`, `held`:
    owner of a segment, and each point that it does have a vertex at.
    """

    points: Floats
    tail: Ints
    head: Ints
    owner: Ints
    lacking: Ints
    missed: Ints
    holder: Ints
    held: Ints

    def lines(self) -> Any:
        """The segments as LineStrings, one each."""
        return shapely.linestrings(np.stack([self.points[self.tail], self.points[self.head]], axis=1))


def directed_segments(polygons: Any) -> Segments:
    """The segments of valid polygons, the polygon on their left; doubled vertices give none.

    Parameters
    ----------
    polygons : array of Polygon or MultiPolygon
        Valid, none of them None; empty ones have no segments. Z is ignored.

    Returns
    -------
    Segments
        `owner` is the position in `polygons`.
    """
    parts, part_owner = shapely.get_parts(polygons, return_index=True)
    real = ~shapely.is_empty(parts)
    parts, part_owner = parts[real], part_owner[real]
    if len(parts) == 0:
        return Segments(np.empty((0, 2)), np.empty((0, 2)), np.empty(0, dtype=np.int64))
    _, xy, (ring_from, part_from) = shapely.to_ragged_array(parts, include_z=False)
    xy = xy + 0.0  # -0.0 becomes 0.0, so that equal coordinates have equal bits
    vertices = np.diff(ring_from)
    ring_of = np.repeat(np.arange(len(vertices)), vertices)
    last = np.zeros(len(xy), dtype=bool)
    last[ring_from[1:] - 1] = True
    rows = np.flatnonzero(~last)
    ring = ring_of[rows]
    start, end = xy[rows], xy[rows + 1]
    flip = _clockwise(start, end, xy[ring_from[:-1]][ring], ring, len(vertices))
    hole = np.ones(len(vertices), dtype=bool)
    hole[part_from[:-1]] = False
    wrong = (flip ^ hole)[ring]
    start[wrong], end[wrong] = end[wrong], start[wrong]
    rings_of_part = np.diff(part_from)
    owner = np.repeat(part_owner, rings_of_part)[ring].astype(np.int64)
    return Segments(start, end, owner).take((start != end).any(axis=1))


def _clockwise(start: Floats, end: Floats, origin: Floats, ring: Ints, rings: int) -> Bools:
    """Which rings run clockwise. Measured from a vertex of each ring: far from 0, 0 the sum would lose its digits."""
    a, b = start - origin, end - origin
    doubled = np.bincount(ring, weights=a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0], minlength=rings)
    clockwise: Bools = doubled < 0
    return clockwise


def reversed_segments(ground: Any) -> Segments:
    """The segments of the ground with the ground on their right, all owned by :data:`GROUND`."""
    there = directed_segments(np.array([ground], dtype=object))
    return Segments(there.end, there.start, np.full(len(there.owner), GROUND, dtype=np.int64))


def joined(first: Segments, second: Segments) -> Segments:
    """Both in one table."""
    return Segments(*(np.concatenate(pair) for pair in zip(first, second, strict=True)))


def unmatched(segments: Segments) -> Segments:
    """The segments whose directions do not cancel, bit for bit.

    Segments with the same ends are grouped by a 64-bit hash of both; a group whose directions add up to 0 is matched.
    Groups in which two different segments met by chance are returned as well, so nothing is lost to a collision.
    """
    forward, low, high = _undirected(segments.start, segments.end)
    key = _hashed(low, high)
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.empty(0, dtype=int)
    if len(first) == 0:
        return segments
    net = np.add.reduceat(np.where(forward[order], 1, -1), first)
    sizes = np.diff(np.append(first, len(key)))
    group = np.repeat(np.arange(len(first)), sizes)
    head = np.repeat(order[first], sizes)
    differs = (low[order] != low[head]).any(axis=1) | (high[order] != high[head]).any(axis=1)
    open_group = net != 0
    open_group[group[differs]] = True
    return segments.take(np.sort(order[open_group[group]]))


def _undirected(start: Floats, end: Floats) -> tuple[Bools, Floats, Floats]:
    """Whether each segment runs from its lower end (by x, then y), and its lower and higher ends."""
    forward = (start[:, 0] < end[:, 0]) | ((start[:, 0] == end[:, 0]) & (start[:, 1] < end[:, 1]))
    return forward, np.where(forward[:, None], start, end), np.where(forward[:, None], end, start)


def _hashed(low: Floats, high: Floats) -> NDArray[np.uint64]:
    a, b = (np.ascontiguousarray(xy).view(np.uint64) for xy in (low, high))
    key = np.zeros(len(a), dtype=np.uint64)
    for bits, mix in ((a[:, 0], _MIX_X), (a[:, 1], _MIX_Y), (b[:, 0], _MIX_X), (b[:, 1], _MIX_Y)):
        key ^= bits * mix
        key *= _MIX
        key ^= key >> np.uint64(29)
    return key


def split_at_vertices(segments: Segments, tolerance: float) -> Network:
    """Split segments where vertices of others lie on them, and keep those whose directions do not cancel then.

    Vertices nearer than `tolerance` to each other become the one that is lowest (by x, then y); a vertex nearer than
    `tolerance` to a segment becomes a node of it. So a border that one side has fewer vertices on is matched all the
    same, exactly, and leaves no sliver behind.

    Parameters
    ----------
    segments : Segments
    tolerance : float
        In the units of the coordinates.
    """
    count = len(segments.owner)
    points, tail, head = _points(segments, tolerance)
    on, point = _vertices_on(points, tail, head, tolerance)
    span = points[head[on]] - points[tail[on]]
    along = ((points[point] - points[tail[on]]) * span).sum(axis=1) / (span**2).sum(axis=1)
    every = np.arange(count)
    row = np.concatenate([every, on, every])
    node = np.concatenate([tail, point, head])
    place = np.concatenate([np.zeros(count), along, np.ones(count)])
    order = np.lexsort((np.clip(place, 0, 1), row))
    # The ends stand first and last of their rows, whatever rounding did to the places between.
    row, node = row[order], node[order]
    inner = row[1:] == row[:-1]
    new_tail, new_head, source = node[:-1][inner], node[1:][inner], row[:-1][inner]
    real = new_tail != new_head
    new_tail, new_head, owner = new_tail[real], new_head[real], segments.owner[source[real]]
    open_ = _not_cancelled(new_tail, new_head, len(points))
    held = np.unique(np.column_stack([np.tile(segments.owner, 2), np.concatenate([tail, head])]), axis=0)
    return Network(
        points, new_tail[open_], new_head[open_], owner[open_], segments.owner[on], point, held[:, 0], held[:, 1]
    )


def _points(segments: Segments, tolerance: float) -> tuple[Floats, Ints, Ints]:
    """The distinct ends (near ones made one), and the positions of each segment's tail and head among them."""
    ends = np.ascontiguousarray(np.concatenate([segments.start, segments.end]))
    distinct, position = np.unique(ends.view(np.complex128).ravel(), return_inverse=True)
    points = np.column_stack([distinct.real, distinct.imag])
    near = cKDTree(points).query_pairs(tolerance, output_type="ndarray") if len(points) else np.empty((0, 2), int)
    if len(near):
        links = coo_array((np.ones(len(near)), (near[:, 0], near[:, 1])), shape=(len(points), len(points)))
        _, group = connected_components(links, directed=False)
        _, lowest = np.unique(group, return_index=True)
        position = lowest[group][position]
    count = len(segments.owner)
    return points, position[:count].astype(np.int64), position[count:].astype(np.int64)


def _vertices_on(points: Floats, tail: Ints, head: Ints, tolerance: float) -> tuple[Ints, Ints]:
    """Pairs (segment, point) where a point that is no end of the segment lies within `tolerance` of it."""
    tree = shapely.STRtree(shapely.linestrings(np.stack([points[tail], points[head]], axis=1)))
    used = np.unique(np.concatenate([tail, head]))
    near, on = tree.query(shapely.points(points[used]), predicate="dwithin", distance=tolerance)
    point = used[near]
    inside = (point != tail[on]) & (point != head[on]) & (tail[on] != head[on])
    return on[inside].astype(np.int64), point[inside].astype(np.int64)


def _not_cancelled(tail: Ints, head: Ints, points: int) -> Bools:
    forward = tail < head
    key = np.where(forward, tail * points + head, head * points + tail)
    _, group = np.unique(key, return_inverse=True)
    net = np.bincount(group, weights=np.where(forward, 1.0, -1.0))
    open_: Bools = net[group] != 0
    return open_
