"""The area that polygons have in common, for many pairs at once and without cutting any of them.

At one x a polygon is where the number of its upper edges above y exceeds that of its lower ones; so the common area of
two polygons is a sum over pairs of their edges: plus or minus the integral, over the x that both have, of the lower one
of the two lines. It has no special cases: edges that meet, run along each other or stand upright need no care.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from gridgis.locate.codes import runs, spread

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Edges looked at, and pairs of edges measured, at once: what fits a processor's cache.
_AT_ONCE = 1 << 16


class Outlines:
    """The edges of polygons, from left to right.

    Parameters
    ----------
    shapes : ndarray of Polygon and MultiPolygon
        Valid ones, in one plane. None and empty ones have no edges, nor have points and lines.
    """

    def __init__(self, shapes: NDArray[Any]) -> None:
        x1, y1, x2, y2, sign, shape = _drawn(shapes)
        # One rising key for all shapes, so that one search finds a stretch of x in each of many shapes.
        self._left = x1.min(initial=np.inf)
        self._span = 2 * (x2.max(initial=-np.inf) - self._left) + 1.0 if len(shape) else 1.0
        key = shape * self._span + (x1 - self._left)
        order = np.argsort(key, kind="stable")  # along a ring x rises and falls in runs, which this sort makes use of
        self._key = key[order]
        self.x1, self.y1, self.x2, self.y2 = (v[order] for v in (x1, y1, x2, y2))
        self._low, self._high = np.minimum(self.y1, self.y2), np.maximum(self.y1, self.y2)
        #: 1 for upper edges of a shape, -1 for lower ones.
        self.sign: Floats = sign[order]
        count = np.bincount(shape, minlength=len(shapes))
        #: The edges of shape s are `first[s]` to before `first[s + 1]`.
        self.first: Ints = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
        self._widest = np.zeros(len(shapes))
        if len(shape):
            self._widest[count > 0] = np.maximum.reduceat(self.x2 - self.x1, self.first[:-1][count > 0])

    def between(self, shape: Ints, left: Floats, right: Floats) -> tuple[Ints, Ints]:
        """The first edge of each shape that may reach the stretch of x, and the one behind the last."""
        # Rounded outwards by far more than the key can err.
        room = 1e-9 * self._span * (len(self.first) + 1)
        low = np.clip(left - self._widest[shape] - self._left - room, -0.5, self._span / 2)
        high = np.clip(right - self._left + room, -0.5, self._span / 2 + 0.25)
        begin = np.searchsorted(self._key, shape * self._span + low, side="left")
        end = np.searchsorted(self._key, shape * self._span + high, side="right")
        first, last = self.first[shape], self.first[shape + 1]
        return np.clip(begin, first, last), np.clip(end, first, last)

    def around(self, shape: Ints, boxes: Floats) -> tuple[Bools, Bools]:
        """Whether the outline of each shape meets the box beside it (left, bottom, right, top), and holds it.

        An outline meets a box where the bounds of an edge do: what it does not meet is wholly in or wholly out.
        """
        meets, above = np.zeros(len(shape), dtype=bool), np.zeros(len(shape))
        begin, end = self.between(shape, boxes[:, 0], boxes[:, 2])
        sides = np.ascontiguousarray(boxes.T)
        count = end - begin
        for run in runs(count, _AT_ONCE):
            which, edge = spread(count[run], begin[run])
            left, bottom, right, top = (np.repeat(side[run], count[run]) for side in sides)
            x1, x2, low, high = self.x1[edge], self.x2[edge], self._low[edge], self._high[edge]
            at = (x2 >= left) & (x1 <= right) & (high >= bottom) & (low <= top)
            meets[run.start + which[at]] = True
            over = (x1 <= left) & (left < x2) & (low > top)
            above[run] = np.bincount(which[over], self.sign[edge[over]], minlength=len(above[run]))
        return meets, ~meets & (above > 0)


def common_areas(some: NDArray[Any], others: NDArray[Any] | Outlines, at: Ints, of: Ints) -> Floats:
    """The area of ``some[at] ∩ others[of]``, for each pair.

    Parameters
    ----------
    some : ndarray of Polygon and MultiPolygon
        Valid ones; small beside `others`.
    others : ndarray of Polygon and MultiPolygon, or Outlines
        Valid ones in the same plane.
    at, of : ndarray of int
        Positions in `some` and in `others`.

    Returns
    -------
    ndarray of float
        In square units of the coordinates, right to about 1e-12 of the smaller area. Shapes that only touch may come
        out a hair above or below 0.

    Examples
    --------
    >>> import shapely
    >>> square, frame = shapely.box(0, 0, 4, 4), shapely.box(2, 2, 9, 9).difference(shapely.box(3, 3, 8, 8))
    >>> common_areas(np.array([square]), np.array([frame]), np.array([0]), np.array([0])).tolist()
    [3.0]
    """
    area = np.zeros(len(at))
    small, large = Outlines(some), others if isinstance(others, Outlines) else Outlines(others)
    bounds = shapely.bounds(some).reshape(-1, 4)
    corner = bounds[:, :2].repeat(np.diff(small.first), axis=0)
    own = _Lines.of(small, np.arange(len(corner)), *corner.T)
    boxes = bounds[at]
    begin, end = large.between(of, boxes[:, 0], boxes[:, 2])
    count = end - begin
    for pairs in runs(count, _AT_ONCE):
        pair, edge = spread(count[pairs], begin[pairs])
        left, bottom, right = (np.repeat(side[pairs], count[pairs]) for side in boxes.T[:3])
        # What lies wholly below a shape adds nothing: its upper and lower edges cancel.
        near = np.flatnonzero((large.x2[edge] > left) & (large.x1[edge] < right) & (large._high[edge] > bottom))
        # Near the shape the numbers are small, and rounding with them.
        lines = _Lines.of(large, edge[near], left[near], bottom[near])
        area[pairs] = _common(own, small.first, at[pairs], lines, pair[near])
    return area


class _Lines(NamedTuple):
    """Edges from left to right, measured from somewhere near; `sign` as in `Outlines`."""

    x1: Floats
    y1: Floats
    x2: Floats
    slope: Floats
    sign: Floats

    @classmethod
    def of(cls, outlines: Outlines, edge: Ints, x: Floats, y: Floats) -> _Lines:
        x1, y1, x2, y2 = outlines.x1[edge] - x, outlines.y1[edge] - y, outlines.x2[edge] - x, outlines.y2[edge] - y
        # An upright line has no width in common with any: its slope may be what it will.
        return cls(x1, y1, x2, (y2 - y1) / np.where(x2 > x1, x2 - x1, 1.0), outlines.sign[edge])

    def take(self, which: Ints) -> _Lines:
        return _Lines(*(part[which] for part in self))


def _common(own: _Lines, first: Ints, at: Ints, lines: _Lines, pair: Ints) -> Floats:
    """The common area of each pair: of all edges of its small shape with the `lines` of its large one."""
    area = np.zeros(len(at))
    since = first[at[pair]]
    count = first[at[pair] + 1] - since
    for run in runs(count, _AT_ONCE):
        which, edge = spread(count[run], since[run])
        which += run.start
        one, two = own.take(edge), lines.take(which)
        area += np.bincount(pair[which], one.sign * two.sign * _lower_of(one, two), minlength=len(at))
    return area


def _lower_of(one: _Lines, two: _Lines) -> Floats:
    """The integral of the lower one of two lines over the x that both have; 0 where they have none."""
    start, end = np.maximum(one.x1, two.x1), np.minimum(one.x2, two.x2)
    width = np.maximum(end - start, 0.0)
    a0, a1 = (one.y1 + (x - one.x1) * one.slope for x in (start, end))
    d0, d1 = (two.y1 + (x - two.x1) * two.slope - a for x, a in ((start, a0), (end, a1)))
    below0, below1 = np.minimum(d0, 0.0), np.minimum(d1, 0.0)
    crossing = d0 * d1 < 0
    below = below0 + below1
    # Where the lines cross, the part below is a triangle of its height and its share of the width.
    triangle = -(below**2) / np.where(crossing, np.abs(d0 - d1), 1.0)
    lower: Floats = width * 0.5 * (a0 + a1 + np.where(crossing, triangle, below))
    return lower


def _drawn(shapes: NDArray[Any]) -> tuple[Floats, Floats, Floats, Floats, Floats, Ints]:
    """The edges of shapes: x and y of their left and right ends, their signs and their shapes (rising)."""
    if (shapely.get_type_id(shapes) == shapely.GeometryType.POLYGON).all():
        parts, shape = shapes, np.arange(len(shapes))
    else:
        parts, shape = shapely.get_parts(shapes, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    hole = np.diff(part, prepend=-1) == 0
    turn = np.where(shapely.is_ccw(rings) != hole, 1.0, -1.0)  # a hole goes the other way
    x, y = np.ascontiguousarray(xy.T)
    edge = np.flatnonzero(ring[1:] == ring[:-1])
    back = x[edge] > x[edge + 1]
    left, right = edge + back, edge + ~back
    sign = np.where(back, 1.0, -1.0) * turn[ring[edge]]
    return x[left], y[left], x[right], y[right], sign, shape[part[ring[edge]]]
