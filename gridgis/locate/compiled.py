"""The look-up and the walk as one loop over points, compiled where numba (the extra ``fast``) is installed.

It is the sums of table.py and walking.py over again, point by point, with the same answers; the tests compare them.
numba keeps the machine code by the date of this file alone: touch it when codes.py or a bound of walking.py changes.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridgis.locate.codes import ASK, CROSSED, DEPTH, MASK, OUTSIDE, SHIFT, SIDE, SUBCELLS, TILE
from gridgis.locate.table import CellTable
from gridgis.locate.walking import BOUND, LEAST, ROOM, SPLIT, TINY

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: What the exact side says beside -1, 0 and 1: on the edge; not known.
_ON, _OPEN = 2, 3
#: Points of a block of the loop.
_BLOCK = 1024


def installed() -> bool:
    """Whether numba can be imported."""
    return importlib.util.find_spec("numba") is not None


def loaded() -> bool:
    """Whether numba is in this process already."""
    return "numba" in sys.modules


@functools.cache
def loop() -> Callable[..., int]:
    """The loop, compiled; it lets other threads run. Its machine code is kept on disk where that can be written."""
    import numba
    from numba.extending import register_jitable

    for inner in (_exact, _rest, _exact_side, _side, _walk):
        register_jitable(inner)
    try:
        made: Callable[..., int] = numba.njit(cache=True, nogil=True)(_rows)
    except RuntimeError:  # no folder for the machine code can be written
        made = numba.njit(nogil=True)(_rows)
    return made


def rows(table: CellTable, x: Floats, y: Floats, *, borders: bool = True) -> tuple[Ints, Ints]:
    """As `CellTable.rows`."""
    found = np.empty(len(x), dtype=np.int64)
    parts = (_frozen(part) if isinstance(part, np.ndarray) else part for part in table)
    if not loop()(_frozen(x), _frozen(y), found, borders, *parts):
        return found, np.empty(0, dtype=np.int64)
    asked = np.flatnonzero(found == ASK)
    found[asked] = OUTSIDE
    return found, asked


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    """A view that cannot be written, as those of a kept table are: so there is one type to compile for."""
    view = np.ascontiguousarray(array).view(np.ndarray)
    view.flags.writeable = False
    return view


def _rows(
    x: Any, y: Any, found: Any, borders: bool, left: float, bottom: float, step: float, per_unit: float,
    columns: int, lines: int, grids: int, cells: Any, tiles: Any, first: Any, edges: Any, sides: Any,
) -> int:  # fmt: skip
    # Step by step for a block of points: so that many cells are fetched at once, none waiting for the one before.
    # Numbers without a sign, and views that start at 0, spare the compiler asking whether to count from the end.
    column, line, near = np.empty(_BLOCK, np.uint32), np.empty(_BLOCK, np.uint32), np.empty(_BLOCK, np.uint32)
    since, until, touch = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.int64), np.empty(_BLOCK)
    last_u, last_v, wide = columns * SIDE - 0.5, lines * SIDE - 0.5, np.uint32(columns)
    shift, side, mask = np.uint32(SHIFT), np.uint32(SUBCELLS), np.uint32(MASK)
    asked = 0
    for start in range(0, len(x), _BLOCK):
        px, py, rows = x[start : start + _BLOCK], y[start : start + _BLOCK], found[start : start + _BLOCK]
        for i in range(len(px)):
            u, v = (px[i] - left) * per_unit, (py[i] - bottom) * per_unit
            u, v = (u if u > 0.0 else 0.0), (v if v > 0.0 else 0.0)  # NaN is not above 0
            column[i], line[i] = np.uint32(u if u < last_u else last_u), np.uint32(v if v < last_v else last_v)
        for i in range(len(px)):
            rows[i] = cells[(line[i] >> shift) * wide + (column[i] >> shift)]
        met = np.uint32(0)
        for i in range(len(px)):
            near[met] = i
            met += np.uint32(rows[i] <= ASK)
        for k in range(met):
            i = near[k]
            if rows[i] < ASK:
                since[k] = TILE - rows[i]
                rows[i] = tiles[np.uint64(since[k]) * side + ((line[i] & mask) << shift) + (column[i] & mask)]
        walks = 0
        for k in range(met):
            i = near[k]
            if rows[i] < ASK:
                tile = np.uint64(since[k])
                near[walks], since[walks], until[walks] = i, first[tile], first[tile + np.uint64(1)]
                walks += 1
            elif rows[i] == ASK:
                asked += 1
        for k in range(walks):  # an edge of each tile is read, and comes into the cache
            touch[k] = edges[np.uint64(since[k]), 0] if since[k] < until[k] else 0.0
        for k in range(walks):
            i = near[k]
            cx, cy = left + (column[i] + 0.5) * step, bottom + (line[i] + 0.5) * step
            row = CROSSED - rows[i]
            rows[i] = _walk(row, cx, cy, px[i], py[i], since[k], until[k], edges, sides, grids, borders)
            asked += rows[i] == ASK
    return asked


def _walk(
    row: int, cx: float, cy: float, px: float, py: float, since: int, until: int,
    edges: Any, sides: Any, grids: int, borders: bool,
) -> int:  # fmt: skip
    if (abs(px) < LEAST and px != 0) or (abs(py) < LEAST and py != 0):
        return ASK
    total = row + (DEPTH + 1) if row >= 0 else 0
    west, east, south, north = min(cx, px), max(cx, px), min(cy, py), max(cy, py)
    lowest = grids
    for edge in range(np.uint64(since), np.uint64(until)):
        ax, ay, bx, by = edges[edge, 0], edges[edge, 1], edges[edge, 2], edges[edge, 3]
        if ay > north or by < south or min(ax, bx) > east or max(ax, bx) < west:
            continue
        of_end, of_start = _side(ax, ay, bx, by, px, py), _side(ax, ay, bx, by, cx, cy)
        if of_end * of_start > 0:
            continue
        across = _side(cx, cy, px, py, ax, ay) * _side(cx, cy, px, py, bx, by)
        if across > 0:
            continue
        left, right = sides[edge, 0], sides[edge, 1]
        if of_end == 0 and of_start != 0:
            of_end = _exact_side(ax, ay, bx, by, px, py)
            if of_end == _ON:
                if not borders:
                    return ASK
                lowest = min(lowest, left if right < 0 or 0 <= left < right else right)
                continue
            if of_end == _OPEN:
                return ASK
            if of_end * of_start >= 0:
                continue
        if of_end * of_start * across == 0:
            return ASK
        total += of_end * ((left + (DEPTH + 1) if left >= 0 else 0) - (right + (DEPTH + 1) if right >= 0 else 0))
    if total == 0:
        return lowest if lowest < grids else OUTSIDE
    row = total - (DEPTH + 1)
    return min(row, lowest) if 0 <= row < grids else ASK


def _side(ax: float, ay: float, bx: float, by: float, x: float, y: float) -> int:
    left, right = (ax - x) * (by - y), (ay - y) * (bx - x)
    turn = left - right
    bound = BOUND * (abs(left) + abs(right)) + TINY
    if turn > bound:
        return 1
    if turn < -bound:
        return -1
    return 0


def _exact_side(ax: float, ay: float, bx: float, by: float, x: float, y: float) -> int:
    if (ax == x and ay == y) or (bx == x and by == y):
        return _ON
    if not (_exact(ax, x) and _exact(ay, y) and _exact(bx, x) and _exact(by, y) and _exact(bx, ax) and _exact(by, ay)):
        return _OPEN
    px, py, qx, qy = ax - x, ay - y, bx - x, by - y
    left, right = px * qy, py * qx
    if (abs(left) <= ROOM and px != 0 and qy != 0) or (abs(right) <= ROOM and py != 0 and qx != 0):
        return _OPEN
    turn = left - right if left != right else _rest(px, qy) - _rest(py, qx)
    if turn > 0:
        return 1
    if turn < 0:
        return -1
    if turn != 0:  # NaN
        return _OPEN
    return _ON if min(ax, bx) <= x <= max(ax, bx) and ay <= y <= by else 0


def _exact(one: float, other: float) -> bool:
    difference = one - other
    back = one - difference
    return (one - (difference + back)) + (back - other) == 0


def _rest(one: float, other: float) -> float:
    product = one * other
    shifted, shifted_ = SPLIT * one, SPLIT * other
    high, high_ = shifted - (shifted - one), shifted_ - (shifted_ - other)
    low, low_ = one - high, other - high_
    return ((high * high_ - product) + high * low_ + low * high_) + low * low_
