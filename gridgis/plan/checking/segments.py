"""Directed segments of polygons, and which of them have no exact opposite.

Every ring is taken as directed segments with the polygon on the left; the ground's rings run the other way round. Write
f(p) for the number of polygons over a point p, less one where p is on the ground. f jumps only across segments whose
directions do not cancel; so if all cancel, f is 0 everywhere: the polygons tile the ground, exactly. The segments
that do not cancel are where f changes, and only they have to be looked at (see :mod:`gridgis.plan.checking.tiling`).
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

_MIX_X, _MIX_Y = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)


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
        Valid, none of them None; empty ones have no segments. Only x and y are read.

    Returns
    -------
    Segments
        `owner` is the position in `polygons`.
    """
    parts, part_owner = parts_of(polygons)
    if len(parts) == 0:
        return Segments(np.empty((0, 2)), np.empty((0, 2)), np.empty(0, dtype=np.int64))
    _, xy, (ring_from, part_from) = shapely.to_ragged_array(parts, include_z=False)
    xy += 0.0  # -0.0 becomes 0.0, so that equal coordinates have equal bits
    sizes = np.diff(ring_from)
    inner = np.ones(len(xy), dtype=bool)
    inner[ring_from[1:] - 1] = False
    places = _as_one(xy)
    start, end = _as_two(places[inner]), _as_two(places[1:][inner[:-1]])
    hole = np.ones(len(sizes), dtype=bool)
    hole[part_from[:-1]] = False
    wrong = np.repeat(_clockwise(xy, ring_from) ^ hole, sizes - 1)
    if wrong.any():
        turned = wrong[:, None]
        start, end = np.where(turned, end, start), np.where(turned, start, end)
    owner = np.repeat(np.repeat(part_owner, np.diff(part_from)), sizes - 1)
    real = _as_one(start) != _as_one(end)
    found = Segments(start, end, owner)
    return found if real.all() else found.take(real)


def _as_one(xy: Floats) -> NDArray[np.complex128]:
    """Each row x, y as one number: numpy takes and compares those several times faster than rows."""
    return np.ascontiguousarray(xy).view(np.complex128).ravel()


def _as_two(places: NDArray[np.complex128]) -> Floats:
    return places.view(np.float64).reshape(-1, 2)


def parts_of(polygons: Any) -> tuple[Any, Ints]:
    """The parts that are not empty, and the position of each one's polygon; nothing is copied if each is one part."""
    if (shapely.get_type_id(polygons) == shapely.GeometryType.POLYGON).all():
        parts, owner = polygons, np.arange(len(polygons))
    else:
        parts, owner = shapely.get_parts(polygons, return_index=True)
    real = ~shapely.is_empty(parts)
    return parts[real], owner[real].astype(np.int64)


def _clockwise(xy: Floats, ring_from: Ints) -> Bools:
    """Which rings run clockwise. Measured from a vertex of each ring: far from 0, 0 the sum would lose its digits."""
    a = xy - np.repeat(xy[ring_from[:-1]], np.diff(ring_from), axis=0)
    # Both ends of a ring are 0, 0 now, so the step from one ring to the next adds nothing.
    cross = a[:-1, 0] * a[1:, 1] - a[1:, 0] * a[:-1, 1]
    clockwise: Bools = np.add.reduceat(cross, ring_from[:-1]) < 0
    return clockwise


def reversed_segments(ground: Any) -> Segments:
    """The segments of the ground with the ground on their right, all owned by :data:`GROUND`."""
    there = directed_segments(np.array([ground], dtype=object))
    return Segments(there.end, there.start, np.full(len(there.owner), GROUND, dtype=np.int64))


def joined(first: Segments, second: Segments) -> Segments:
    """Both in one table."""
    return Segments(*(np.concatenate(pair) for pair in zip(first, second, strict=True)))


def unmatched(segments: Segments, label: Ints | None = None) -> Segments:
    """The segments that are in no couple, in their order; see :func:`couples`."""
    return segments.take(alone(len(segments.owner), couples(segments, label)))


def alone(count: int, pairs: tuple[Ints, Ints]) -> Ints:
    """Which of `count` positions are in none of the pairs."""
    left = np.ones(count, dtype=bool)
    for side in pairs:
        left[side] = False
    return np.flatnonzero(left)


def couples(segments: Segments, label: Ints | None = None) -> tuple[Ints, Ints]:
    """Positions of the segments that have exactly one exact opposite, bit for bit, and of that opposite.

    Segments are sorted by a 64-bit hash of their ends and compared with their neighbour, so a collision can only leave
    a matched pair out, never bring an open segment in. Three or more on the same ends are left for a closer look.

    Parameters
    ----------
    segments : Segments
    label : array of int, optional
        One a segment: only segments of one label cancel each other.
    """
    key = _hashed(segments.start) + _hashed(segments.end)
    if label is not None:
        key += label.astype(np.uint64) * _MIX_X
    order = np.argsort(key)
    key = key[order]
    step = key[1:] != key[:-1]
    first = np.concatenate([[True], step]) if len(key) else np.empty(0, dtype=bool)
    last = np.concatenate([step, [True]]) if len(key) else first
    couple = np.flatnonzero(first[:-1] & ~first[1:] & last[1:])
    one, other = order[couple], order[couple + 1]
    start, end = _as_one(segments.start), _as_one(segments.end)
    opposite = (start[one] == end[other]) & (end[one] == start[other])
    if label is not None:
        opposite &= label[one] == label[other]
    return one[opposite], other[opposite]


def _hashed(xy: Floats) -> NDArray[np.uint64]:
    bits = np.ascontiguousarray(xy).view(np.uint64)
    key = bits[:, 0] * _MIX_X
    key ^= key >> np.uint64(29)
    key += bits[:, 1]
    key *= _MIX_Y
    key ^= key >> np.uint64(32)
    key *= _MIX_X
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
    ends, _, tail, head = merged_ends(segments, tolerance)
    points = _as_two(ends)
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
    new_tail, new_head, source = new_tail[real], new_head[real], source[real]
    owner = segments.owner[source]
    open_ = _not_cancelled(new_tail, new_head)
    holder, held = distinct_pairs(np.tile(segments.owner, 2), np.concatenate([tail, head]))
    return Network(points, new_tail[open_], new_head[open_], owner[open_], segments.owner[on], point, holder, held)


def distinct(numbers: Ints) -> Ints:
    """The distinct numbers, sorted; np.unique hashes whole numbers first, which takes 50 times as long for millions."""
    numbers = np.sort(numbers)
    first = np.ones(len(numbers), dtype=bool)
    first[1:] = numbers[1:] != numbers[:-1]
    return numbers[first]


def distinct_pairs(first: Ints, second: Ints) -> tuple[Ints, Ints]:
    """The distinct pairs of two columns (`first` ≥ -1, `second` ≥ 0), sorted by the second, then the first."""
    span = int(first.max(initial=0)) + 2
    key = distinct(second * span + first + 1)
    return key % span - 1, key // span


def merged_ends(segments: Segments, tolerance: float) -> tuple[NDArray[np.complex128], Ints, Ints, Ints]:
    """The distinct ends (x + iy, sorted), which of them stands for each, and those of each segment's start and end."""
    ends, position = np.unique(_as_one(np.concatenate([segments.start, segments.end])), return_inverse=True)
    stand = first_of_near(_as_two(ends), tolerance)
    position = stand[position]
    count = len(segments.owner)
    return ends, stand, position[:count], position[count:]


def first_of_near(points: Floats, tolerance: float) -> Ints:
    """For each point the first one of those that hang together with it by steps of at most `tolerance`."""
    near = cKDTree(points).query_pairs(tolerance, output_type="ndarray") if len(points) else np.empty((0, 2), int)
    if len(near) == 0:
        return np.arange(len(points), dtype=np.int64)
    links = coo_array((np.ones(len(near)), (near[:, 0], near[:, 1])), shape=(len(points), len(points)))
    _, group = connected_components(links, directed=False)
    _, lowest = np.unique(group, return_index=True)
    first: Ints = lowest[group]
    return first


def spans(begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """All numbers from each `begin` up to its `end`, one span after the other, and the span of each."""
    count = end - begin
    span = np.repeat(np.arange(len(count)), count)
    return np.arange(len(span)) + (begin - np.cumsum(count) + count)[span], span


def _vertices_on(points: Floats, tail: Ints, head: Ints, tolerance: float) -> tuple[Ints, Ints]:
    """Pairs (segment, point) where a point that is no end of the segment lies within `tolerance` of it."""
    tree = shapely.STRtree(shapely.linestrings(np.stack([points[tail], points[head]], axis=1)))
    used = distinct(np.concatenate([tail, head]))
    near, on = tree.query(shapely.points(points[used]), predicate="dwithin", distance=tolerance)
    point = used[near]
    inside = (point != tail[on]) & (point != head[on]) & (tail[on] != head[on])
    return on[inside].astype(np.int64), point[inside].astype(np.int64)


def _not_cancelled(tail: Ints, head: Ints) -> Bools:
    forward = tail < head
    low, high = np.where(forward, tail, head), np.where(forward, head, tail)
    order = np.lexsort((high, low))
    step = np.zeros(len(order), dtype=bool)
    step[1:] = (np.diff(low[order]) != 0) | (np.diff(high[order]) != 0)
    group = np.empty(len(order), dtype=np.int64)
    group[order] = np.cumsum(step)
    net = np.bincount(group, weights=np.where(forward, 1.0, -1.0))
    open_: Bools = net[group] != 0
    return open_
