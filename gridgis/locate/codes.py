"""What the numbers in the table of cells mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

#: A cell that edges cross is a tile of SIDE x SIDE sub-cells; SHIFT and MASK part a sub-cell's number into both.
SIDE, SHIFT, MASK = 8, 3, 7
SUBCELLS = SIDE * SIDE

#: What a cell or a sub-cell says, beside the row of the grid it lies in wholly: outside, or GEOS must be asked.
OUTSIDE, ASK = -1, -2
#: A cell that holds TILE - t is tile t. A sub-cell that holds CROSSED - row is crossed by edges, its centre in that
#: row (or `OUTSIDE`).
TILE, CROSSED = -3, -4

#: A sum over grids that cover a place: each adds DEPTH + 1 + row. One grid alone is told from all sums of several.
DEPTH = 1 << 40


def spread(counts: Ints, first: Ints) -> tuple[Ints, Ints]:
    """For each of `counts` its number as often as it counts, and beside it the numbers that follow its `first`.

    Examples
    --------
    >>> [part.tolist() for part in spread(np.array([2, 0, 3]), np.array([7, 8, 9]))]
    [[0, 0, 2, 2, 2], [7, 8, 9, 10, 11]]
    """
    owner = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(owner))
    place += np.repeat(first - np.cumsum(counts) + counts, counts)
    return owner, place


def summed(row: NDArray[np.integer[Any]]) -> Ints:
    """The sum that stands for one grid, or for none."""
    return np.where(row >= 0, row + np.int64(DEPTH + 1), np.int64(0))


def rows_of(total: Ints, grids: int) -> Ints:
    """The one row that a sum stands for, `OUTSIDE` for none, `ASK` for several."""
    row = total - (DEPTH + 1)
    return np.where((row >= 0) & (row < grids), row, np.where(total == 0, OUTSIDE, ASK))


def runs(sizes: Ints, most: int) -> Iterator[slice]:
    """Slices of `sizes` whose sums stay within `most`, each at least one long."""
    total = np.cumsum(sizes)
    start, before = 0, 0
    while start < len(sizes):
        stop = max(int(np.searchsorted(total, before + most, side="right")), start + 1)
        yield slice(start, stop)
        start, before = stop, int(total[stop - 1])
