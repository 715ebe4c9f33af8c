"""The loops of the search, compiled where numba (the extra ``fast``) is installed, and what they work on."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from gridgis.plan.faces.network import Floats, Ints
from gridgis.plan.sharing import moves, trees

#: What the compiled functions call, and the functions that are called from outside.
_INNER: tuple[Callable[..., Any], ...] = (
    trees.draw, trees.price, trees.push, trees.pop, trees.grow, trees.add_up, trees.add_homes, trees.best_cut,
    trees.collect, trees.measure, trees.worth, trees.how_many, trees.cut_up, trees.matched, trees.away, trees.relabel,
    moves.gain, moves.can_leave, moves.shift, moves.partner,
)  # fmt: skip
_OUTER: tuple[Callable[..., Any], ...] = (trees.bisect, trees.recombine, moves.move, moves.swap)


@functools.cache
def compiled() -> dict[str, Callable[..., Any]] | None:
    """Bisect, recombine, move and swap compiled; None without numba.

    The machine code is kept on disk where that can be written. The compiled functions let other threads run.
    """
    if importlib.util.find_spec("numba") is None:
        return None
    import numba
    from numba.extending import register_jitable

    for function in _INNER:
        register_jitable(function)
    loops: dict[str, Callable[..., Any]] = {}
    for function in _OUTER:
        try:
            loops[function.__name__] = numba.njit(cache=True, nogil=True)(function)
        except RuntimeError:  # no folder for the machine code can be written
            loops[function.__name__] = numba.njit(nogil=True)(function)
    return loops


def plain() -> dict[str, Callable[..., Any]]:
    """The same functions as they stand, for lists."""
    return {function.__name__: function for function in _OUTER}


def ground_of(
    pairs: Ints, metres: Floats, cost: Floats, sizes: tuple[Floats, Floats, Floats], home: Ints, hold: Floats
) -> tuple[Any, ...]:
    """Neighbours of each block in rows one after the other; load, area, metres around, home and hold of each block."""
    ends = np.concatenate([pairs, pairs[:, ::-1]])
    order = np.lexsort((ends[:, 1], ends[:, 0]))
    start = np.searchsorted(ends[order, 0], np.arange(len(sizes[0]) + 1))
    twice = [np.ascontiguousarray(np.concatenate([v, v])[order], dtype=np.float64) for v in (metres, cost)]
    near = np.ascontiguousarray(ends[order, 1], dtype=np.int64)
    own = [np.ascontiguousarray(v, dtype=np.float64) for v in (*sizes, hold)]
    return (start.astype(np.int64), near, *twice, *own[:3], np.ascontiguousarray(home, dtype=np.int64), own[3])


def room_for(blocks: int, pairs: int) -> tuple[Any, ...]:
    """Scratch space for ground of so many blocks and pairs of neighbours."""
    heap, n = 2 * pairs + 2, blocks + 2
    whole, real = np.int64, np.float64
    kinds = [
        (heap, real), (heap, whole), (heap, whole),  # 0-2: keys, nodes and parents of the heap
        (n, whole), (n, whole), (n, whole), (n, whole),  # 3-6: order, parent, depth, mark
        (n, real), (n, real), (n, real), (n, real), (n, real),  # 7-11: sums of branches
        (n, whole),  # 12: side of the best cut
        (n, whole), (n, whole), (n, whole),  # 13-15: what is to be cut, in how many, from which block
        (n, whole), (9, real), (n, whole), (n, whole),  # 16-19: blocks, sums of grids, changed grids, new parts
        (n, real), (n, real),  # 20-21: what branches hold of two homes
    ]  # fmt: skip
    room = tuple(np.zeros(size, dtype=kind) for size, kind in kinds)
    room[19][:] = -1
    return room
