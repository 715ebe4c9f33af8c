"""The exact test near an edge: walk from a sub-cell's centre, whose grid is known, to the point, counting crossings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gridgis.locate.codes import ASK, OUTSIDE, rows_of, spread, summed

if TYPE_CHECKING:
    from gridgis.locate.table import CellTable

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Signs = NDArray[np.int8]

_ULP = 2.0**-53
#: The sign of an orientation is certain where it exceeds this share of its two products: bound A of J. R. Shewchuk,
#: "Adaptive precision floating-point arithmetic and fast robust geometric predicates", 1997, section 4.1.
BOUND = (3 + 16 * _ULP) * _ULP
#: Added for products so small that they lose digits or vanish.
TINY = 1e-290
#: A coordinate nearer to 0 than this, and not 0, is left to GEOS: it multiplies such differences to nothing.
LEAST = 1e-100
#: Products beyond this have room for their rounding errors.
ROOM = 1e-250
#: Parts a number into two halves of its digits.
SPLIT = 2.0**27 + 1


def walk(
    table: CellTable,
    tile: Ints,
    row: Ints,
    start: tuple[Floats, Floats],
    end: tuple[Floats, Floats],
    *,
    borders: bool,
) -> Ints:
    """The row at the end of each walk.

    Parameters
    ----------
    tile : ndarray
        The tile of each walk; both its ends are in one sub-cell of it.
    row : ndarray
        The row at its start, or `OUTSIDE`.
    start, end : pair of ndarray
        x and y.
    borders : bool
        Whether ends on a border get the lowest row that touches them, or `ASK`.

    Returns
    -------
    ndarray
        A row or `OUTSIDE`; `ASK` where rounding leaves a sign open, and where grids overlap.

    Notes
    -----
    A walk crosses an edge when the edge's line parts its ends and its own line parts the ends of the edge. Where
    either pair lies on one side for certain there is no crossing; where all four signs are certain there is one.
    An end on an edge is touched by the two grids beside it, and by the one whose ground the walk has come to.
    """
    step, edge = _near_edges(table, tile, start, end)
    (ax, ay, bx, by), (cx, cy), (px, py) = table.edges[edge].T, (p[step] for p in start), (p[step] for p in end)
    of_end, of_start = side(ax, ay, bx, by, px, py), side(ax, ay, bx, by, cx, cy)
    parted = np.flatnonzero(of_end * of_start <= 0)
    ax, ay, bx, by, cx, cy, px, py = (part[parted] for part in (ax, ay, bx, by, cx, cy, px, py))
    across = side(cx, cy, px, py, ax, ay) * side(cx, cy, px, py, bx, by)
    met = np.flatnonzero(across <= 0)
    step, edge, across = step[parted][met], edge[parted][met], across[met]
    of_end, of_start = of_end[parted][met], of_start[parted][met]
    close = np.flatnonzero((of_end == 0) & (of_start != 0))
    on = np.zeros(len(step), dtype=bool)
    of_end[close], on[close], known = exact_side(*(p[met][close] for p in (ax, ay, bx, by, px, py)))
    passed = np.zeros(len(step), dtype=bool)  # no crossing after all: the exact sign, or the end beyond the edge's
    passed[close] = known & ~on[close] & (of_end[close] * of_start[close] >= 0)
    crossed = (of_end * of_start < 0) & (across < 0)
    found = _arrived(table, row, step, edge, of_end, (crossed, on, ~(crossed | on | passed)), borders)
    found[near_zero(end[0]) | near_zero(end[1])] = ASK
    return found


def _arrived(
    table: CellTable,
    row: Ints,
    step: Ints,
    edge: Ints,
    of_end: Signs,
    how: tuple[Bools, Bools, Bools],
    borders: bool,
) -> Ints:
    """The rows of walks, given for each edge met whether it was crossed, is where the walk ends, or is open."""
    crossed, on, unsure = how
    total = summed(row)
    left, right = table.sides[edge[crossed]].T
    np.add.at(total, step[crossed], of_end[crossed] * (summed(left) - summed(right)))
    found = rows_of(total, table.grids)
    if borders:
        left, right = table.sides[edge[on]].T
        lowest = np.where(left < 0, right, np.where(right < 0, left, np.minimum(left, right)))
        found[found == OUTSIDE] = table.grids
        np.minimum.at(found, step[on], lowest)  # ASK is lower still, and stays
        found[found == table.grids] = OUTSIDE
    else:
        found[step[on]] = ASK
    found[step[unsure]] = ASK
    return found


def _near_edges(
    table: CellTable, tile: Ints, start: tuple[Floats, Floats], end: tuple[Floats, Floats]
) -> tuple[Ints, Ints]:
    """Pairs of walk and edge whose bounds meet, out of all edges of the walks' tiles."""
    first = table.first[tile]
    step, edge = spread(table.first[tile + 1] - first, first)
    ends = table.edges.take(edge, axis=0)
    near = np.ones(len(step), dtype=bool)
    for axis in (0, 1):
        low, high = np.minimum(start[axis], end[axis])[step], np.maximum(start[axis], end[axis])[step]
        one, other = ends[:, axis], ends[:, axis + 2]
        near &= (np.minimum(one, other) <= high) & (np.maximum(one, other) >= low)
    return step[near], edge[near]


def side(ax: Floats, ay: Floats, bx: Floats, by: Floats, x: Floats, y: Floats) -> Signs:
    """1 where x, y lies left of the line from a to b, -1 right of it, 0 where rounding leaves that open."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        left, right = (ax - x) * (by - y), (ay - y) * (bx - x)
        turn = left - right
        bound = BOUND * (np.abs(left) + np.abs(right)) + TINY
        return (turn > bound).astype(np.int8) - (turn < -bound).astype(np.int8)


def exact_side(ax: Floats, ay: Floats, bx: Floats, by: Floats, x: Floats, y: Floats) -> tuple[Signs, Bools, Bools]:
    """The side without rounding, whether the point lies on the edge, and whether both are known.

    They are where the differences of the coordinates are exact, as they are for coordinates of like size: then the
    products are taken with their rounding errors (T. J. Dekker, "A floating-point technique for extending the
    available precision", 1971). GEOS computes the same sign of the same differences with twice the digits, and
    comes to the same answer. At the ends of an edge nothing has to be computed.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        east, north = _differences((ax, bx, bx), (x, x, ax)), _differences((ay, by, by), (y, y, ay))
        (px, qx, *_), (py, qy, *_) = east[0], north[0]
        known = east[1] & north[1]
        (left, left_low), (right, right_low) = _product(px, qy), _product(py, qx)
        for product, one, other in ((left, px, qy), (right, py, qx)):
            known &= (np.abs(product) > ROOM) | (one == 0) | (other == 0)
        turn = np.where(left != right, left - right, left_low - right_low)
        sign = np.sign(turn).astype(np.int8)
    within = (np.minimum(ax, bx) <= x) & (x <= np.maximum(ax, bx)) & (ay <= y) & (y <= by)
    at_end = ((ax == x) & (ay == y)) | ((bx == x) & (by == y))
    sign[at_end] = 0
    known |= at_end
    sign[~known] = 0
    return sign, known & (sign == 0) & within, known


def near_zero(values: Floats) -> Bools:
    """Which coordinates are so near to 0, and not 0, that GEOS is left with them."""
    near: Bools = (np.abs(values) < LEAST) & (values != 0)
    return near


def _differences(ones: tuple[Floats, ...], others: tuple[Floats, ...]) -> tuple[list[Floats], Bools]:
    """The differences, and whether none of them was rounded."""
    found: list[Floats] = []
    exact: Bools = np.ones(len(ones[0]), dtype=bool)
    for one, other in zip(ones, others, strict=True):
        difference = one - other
        back = one - difference
        exact &= ((one - (difference + back)) + (back - other)) == 0
        found.append(difference)
    return found, exact


def _product(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """A product and its rounding error."""
    product = one * other
    (high, low), (high_, low_) = _halves(one), _halves(other)
    return product, ((high * high_ - product) + high * low_ + low * high_) + low * low_


def _halves(value: Floats) -> tuple[Floats, Floats]:
    shifted = SPLIT * value
    high = shifted - (shifted - value)
    return high, value - high
