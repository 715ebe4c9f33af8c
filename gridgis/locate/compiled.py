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

#: Points of a block of the loop.
_BLOCK = 1024


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
    loop()(_frozen(x), _frozen(y), found, *(_frozen(part) if isinstance(part, np.ndarray) else part for part in table))
    return found


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    """A view that cannot be written, as those of a kept table are: so there is one type to compile for."""
    view = np.ascontiguousarray(array).view(np.ndarray)
    view.flags.writeable = False
    return view


def _rows(
    x: Any, y: Any, found: Any, left: float, bottom: float, step: float, per_unit: float, columns: int, lines: int,
    grids: int, cells: Any, tiles: Any, first: Any, edges: Any, deltas: Any,
) -> None:  # fmt: skip
    # Step by step for a block of points: so that many cells are fetched at once, none waiting for the one before.
    column, line = np.empty(_BLOCK, dtype=np.int32), np.empty(_BLOCK, dtype=np.int32)
    row, near = np.empty(_BLOCK, dtype=np.int32), np.empty(_BLOCK, dtype=np.int32)
    since, until = np.empty(_BLOCK, dtype=np.int64), np.empty(_BLOCK, dtype=np.int64)
    touch = np.empty(_BLOCK)  # reading an edge of each tile brings it into the cache
    last_u, last_v = columns * SIDE - 0.5, lines * SIDE - 0.5
    for start in range(0, len(x), _BLOCK):
        count = min(_BLOCK, len(x) - start)
        for i in range(count):
            u, v = (x[start + i] - left) * per_unit, (y[start + i] - bottom) * per_unit
            u, v = (u if u > 0.0 else 0.0), (v if v > 0.0 else 0.0)  # NaN is not above 0
            column[i], line[i] = np.int32(u if u < last_u else last_u), np.int32(v if v < last_v else last_v)
        for i in range(count):
            row[i] = cells[(line[i] >> SHIFT) * columns + (column[i] >> SHIFT)]
        met = 0
        for i in range(count):
            found[start + i] = row[i]
            near[met] = i
            met += row[i] < ASK
        for k in range(met):
            i = near[k]
            place = ((line[i] & MASK) << SHIFT) + (column[i] & MASK)
            found[start + i] = tiles[(np.int64(TILE - row[i]) << 2 * SHIFT) + place]
        walks = 0
        for k in range(met):
            i = near[k]
            if found[start + i] < ASK:
                near[walks], since[walks], until[walks] = i, first[TILE - row[i]], first[TILE - row[i] + 1]
                walks += 1
        for k in range(walks):
            touch[k] = edges[since[k], 0] if since[k] < until[k] else 0.0
        for k in range(walks):
            i = near[k]
            cx, cy = left + (column[i] + 0.5) * step, bottom + (line[i] + 0.5) * step
            found[start + i] = _walk(
                CROSSED - found[start + i], cx, cy, x[start + i], y[start + i], since[k], until[k], edges, deltas, grids
            )


def _walk(
    row: int, cx: float, cy: float, px: float, py: float, since: int, until: int,
    edges: Any, deltas: Any, grids: int,
) -> int:  # fmt: skip
    total = row + (DEPTH + 1) if row >= 0 else 0
    west, east, south, north = min(cx, px), max(cx, px), min(cy, py), max(cy, py)
    for edge in range(since, until):
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
