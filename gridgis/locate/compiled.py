"""The look-up and the walk as one loop over points, compiled where numba (the extra ``fast``) is installed.

It is the sums of table.py and walking.py over again, point by point, with the same answers; the tests compare them.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridgis.locate.codes import ASK, CROSSED, DEPTH, MASK, OUTSIDE, SHIFT, SIDE, TILE
from gridgis.locate.table import CellTable
from gridgis.locate.walking import BOUND, TINY

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def installed() -> bool:
    """Whether numba can be imported."""
    return importlib.util.find_spec("numba") is not None


def loaded() -> bool:
    """Whether numba is in this process already."""
    return "numba" in sys.modules


@functools.cache
def loop() -> Callable[..., None]:
    """The loop, compiled; it lets other threads run. Its machine code is kept on disk where that can be written."""
    import numba
    from numba.extending import register_jitable

    for inner in (_side, _walk):
        register_jitable(inner)
    try:
        made: Callable[..., None] = numba.njit(cache=True, nogil=True)(_rows)
    except RuntimeError:  # no folder for the machine code can be written
        made = numba.njit(nogil=True)(_rows)
    return made


def rows(table: CellTable, x: Floats, y: Floats) -> Ints:
    """As `CellTable.rows`."""
    found = np.empty(len(x), dtype=np.int64)
    loop()(np.ascontiguousarray(x), np.ascontiguousarray(y), found, *table)
    return found


def _rows(
    x: Any, y: Any, found: Any, left: float, bottom: float, step: float, per_unit: float, columns: int, lines: int,
    grids: int, cells: Any, tiles: Any, first: Any, segments: Any, edges: Any, deltas: Any,
) -> None:  # fmt: skip
    last_u, last_v = columns * SIDE - 0.5, lines * SIDE - 0.5
    for i in range(len(x)):
        u, v = (x[i] - left) * per_unit, (y[i] - bottom) * per_unit
        column = int(min(u, last_u)) if u > 0.0 else 0  # NaN is not above 0
        line = int(min(v, last_v)) if v > 0.0 else 0
        row = cells[(line >> SHIFT) * columns + (column >> SHIFT)]
        if row < ASK:
            tile = TILE - row
            row = tiles[(tile << 2 * SHIFT) + ((line & MASK) << SHIFT) + (column & MASK)]
            if row < ASK:
                cx, cy = left + (column + 0.5) * step, bottom + (line + 0.5) * step
                found[i] = _walk(
                    CROSSED - row, cx, cy, x[i], y[i], first[tile], first[tile + 1], segments, edges, deltas, grids
                )
                continue
        found[i] = row


def _walk(
    row: int, cx: float, cy: float, px: float, py: float, since: int, until: int,
    segments: Any, edges: Any, deltas: Any, grids: int,
) -> int:  # fmt: skip
    total = row + (DEPTH + 1) if row >= 0 else 0
    west, east, south, north = min(cx, px), max(cx, px), min(cy, py), max(cy, py)
    for k in range(since, until):
        edge = segments[k]
        ax, ay, bx, by = edges[edge, 0], edges[edge, 1], edges[edge, 2], edges[edge, 3]
        if ay > north or by < south or min(ax, bx) > east or max(ax, bx) < west:
            continue
        of_end, of_start = _side(ax, ay, bx, by, px, py), _side(ax, ay, bx, by, cx, cy)
        if of_end * of_start > 0:
            continue
        across = _side(cx, cy, px, py, ax, ay) * _side(cx, cy, px, py, bx, by)
        if across > 0:
            continue
        if of_end * of_start * across == 0:
            return ASK
        total += of_end * deltas[edge]
    if total == 0:
        return OUTSIDE
    row = total - (DEPTH + 1)
    return row if 0 <= row < grids else ASK


def _side(ax: float, ay: float, bx: float, by: float, x: float, y: float) -> int:
    left, right = (ax - x) * (by - y), (ay - y) * (bx - x)
    turn = left - right
    bound = BOUND * (abs(left) + abs(right)) + TINY
    if turn > bound:
        return 1
    if turn < -bound:
        return -1
    return 0
