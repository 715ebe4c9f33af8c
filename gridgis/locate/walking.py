"""The exact test near an edge: walk from a sub-cell's centre, whose grid is known, to the point, counting crossings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gridgis.locate.codes import ASK, rows_of, spread, summed

if TYPE_CHECKING:
    from gridgis.locate.table import CellTable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_ULP = 2.0**-53
#: The sign of an orientation is certain where it exceeds this share of its two products: bound A of J. R. Shewchuk,
#: "Adaptive precision floating-point arithmetic and fast robust geometric predicates", 1997, section 4.1.
BOUND = (3 + 16 * _ULP) * _ULP
#: Added for products so small that they lose digits or vanish.
TINY = 1e-290


def walk(
    table: CellTable, tile: Ints, row: Ints, start: tuple[Floats, Floats], end: tuple[Floats, Floats]
) -> NDArray[np.int64]:
    """The row at the end of each walk.

    Parameters
    ----------
    tile : ndarray
        The tile of each walk; both its ends are in one sub-cell of it.
    row : ndarray
        The row at its start, or `OUTSIDE`.
    start, end : pair of ndarray
        x and y.

    Returns
    -------
    ndarray
        A row or `OUTSIDE`; `ASK` where a sign is within the bound of rounding, and where grids overlap.

    Notes
    -----
    A walk crosses an edge when the edge's line parts its ends and its own line parts the ends of the edge. Where
    either pair lies on one side for certain there is no crossing; where all four signs are certain there is one.
    """
    step, edge = _near_edges(table, tile, start, end)
    ends = table.edges.take(edge, axis=0)
    (ax, ay, bx, by), (cx, cy), (px, py) = ends.T, (start[0][step], start[1][step]), (end[0][step], end[1][step])
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        of_end = _side(ax, ay, bx, by, px, py)
        of_start = _side(ax, ay, bx, by, cx, cy)
        parted = np.flatnonzero((of_end * of_start) <= 0)
        ax, ay, bx, by, cx, cy, px, py = (part[parted] for part in (ax, ay, bx, by, cx, cy, px, py))
        across = _side(cx, cy, px, py, ax, ay) * _side(cx, cy, px, py, bx, by)
    touched = parted[across <= 0]
    step, of_end, certain = step[touched], of_end[touched], (of_end * of_start)[touched] * across[across <= 0] != 0
    total = summed(row)
    np.add.at(total, step, of_end * table.deltas[edge[touched]])
    found = rows_of(total, table.grids)
    found[step[~certain]] = ASK
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


def _side(ax: Floats, ay: Floats, bx: Floats, by: Floats, x: Floats, y: Floats) -> NDArray[np.int8]:
    """1 where x, y lies left of the line from a to b, -1 right of it, 0 where rounding leaves that open."""
    left, right = (ax - x) * (by - y), (ay - y) * (bx - x)
    turn = left - right
    bound = BOUND * (np.abs(left) + np.abs(right)) + TINY
    return (turn > bound).astype(np.int8) - (turn < -bound).astype(np.int8)
