"""The area that polygons have in common, for many pairs at once and without cutting any of them.

At one x a polygon is where the number of its upper edges above y exceeds that of its lower ones; so the common area of
two polygons is a sum over pairs of their edges: plus or minus the integral, over the x that both have, of the lower one
of the two lines. It has no special cases: edges that meet, run along each other or stand upright need no care.
"""

from __future__ import annotations

from typing import Any

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
            left, bottom, right, top = (side[run][which] for side in sides)
            x1, x2, low, high = self.x1[edge], self.x2[edge], self._low[edge], self._high[edge]
            at = (x2 >= left) & (x1 <= right) & (high >= bottom) & (low <= top)
            meets[run] = np.bincount(which[at], minlength=len(meets[run])) > 0
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
    boxes = shapely.bounds(some).reshape(-1, 4)[at]
    begin, end = large.between(of, boxes[:, 0], boxes[:, 2])
    count = end - begin
    for pairs in runs(count, _AT_ONCE):
        pair, edge = spread(count[pairs], begin[pairs])
        left, bottom, right = (side[pairs][pair] for side in np.ascontiguousarray(boxes.T[:3]))
        # What lies wholly below a shape adds nothing: its upper and lower edges cancel.
        near = (large.x2[edge] > left) & (large.x1[edge] < right)
        near &= large._high[edge] > bottom
        area[pairs] = _common(small, large, at[pairs], boxes[pairs], pair[near], edge[near])
    return area


def _common(small: Outlines, large: Outlines, at: Ints, boxes: Floats, pair: Ints, edge: Ints) -> Floats:
    """The common area of each pair, of whose large shape these edges are near."""
    area = np.zeros(len(at))
    first = small.first[at[pair]]
    count = small.first[at[pair] + 1] - first
    for run in runs(count, _AT_ONCE):
        row, own = spread(count[run], first[run])
        e, p = edge[run][row], pair[run][row]
        x, y = boxes[p, 0], boxes[p, 1]  # near the shape the numbers are small, and rounding with them
        lower = _lower_of(
            (small.x1[own] - x, small.y1[own] - y, small.x2[own] - x, small.y2[own] - y),
            (large.x1[e] - x, large.y1[e] - y, large.x2[e] - x, large.y2[e] - y),
        )
        area += np.bincount(p, small.sign[own] * large.sign[e] * lower, minlength=len(at))
    return area


def _lower_of(one: tuple[Floats, ...], two: tuple[Floats, ...]) -> Floats:
    """The integral of the lower one of two lines over the x that both have; 0 where they have none."""
    ax1, ay1, ax2, _ = one
    bx1, by1, bx2, _ = two
    start, end = np.maximum(ax1, bx1), np.minimum(ax2, bx2)
    width = np.maximum(end - start, 0.0)
    # An upright line has no width in common with any: its slope may be what it will.
    slope, other = ((y2 - y1) / np.where(x2 > x1, x2 - x1, 1.0) for x1, y1, x2, y2 in (one, two))
    a0, a1 = ay1 + (start - ax1) * slope, ay1 + (end - ax1) * slope
    d0, d1 = by1 + (start - bx1) * other - a0, by1 + (end - bx1) * other - a1
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
