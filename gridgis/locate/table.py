"""The table of cells: most points are answered by one look-up, some by two, and few need an exact test."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridgis.locate.codes import ASK, CROSSED, MASK, OUTSIDE, SHIFT, SIDE, TILE
from gridgis.locate.walking import walk

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Lines = NDArray[np.int32]

#: Points looked up at once: what stays in the cache.
CHUNK = 1 << 18


class _Desk(NamedTuple):
    """Arrays that chunk after chunk is worked out in: the cache knows them, and none is made anew."""

    place: Floats
    column: Lines
    line: Lines
    cell: NDArray[np.intp]
    found: Lines

    @classmethod
    def of(cls, size: int) -> _Desk:
        column, line, found = np.empty((3, size), dtype=np.int32)
        return cls(np.empty(size), column, line, np.empty(size, dtype=np.intp), found)

    def cut(self, size: int) -> _Desk:
        place, column, line, cell, found = self
        return _Desk(place[:size], column[:size], line[:size], cell[:size], found[:size])


class CellTable(NamedTuple):
    """Square cells over the extent of the grids, with a rim of empty ones around.

    Parameters
    ----------
    left, bottom : float
        The corner of the table.
    step, per_unit : float
        The width of a sub-cell, and sub-cells per unit of the coordinates.
    columns, lines : int
        Cells across and up.
    grids : int
        Rows of the grids it was made from.
    cells : ndarray of int32, shape (lines * columns,)
        A row, ``OUTSIDE``, ``ASK`` or ``TILE - t``.
    tiles : ndarray of int32, shape (tiles * 64,)
        A row, ``OUTSIDE``, ``ASK`` or ``CROSSED - row of the centre``.
    first : ndarray of int64, shape (tiles + 1,)
        Where the edges of each tile begin in `edges`.
    edges : ndarray of float64, shape (k, 4)
        The edges that touch each tile, from x, y to x, y, upwards, in the coordinates as given. An edge that two grids
        share is there once for both, and again in every further tile: side by side they are read several times as fast.
    sides : ndarray of int32, shape (k, 2)
        The row on the left of the edge and the one on its right, or ``OUTSIDE``.
    """

    left: float
    bottom: float
    step: float
    per_unit: float
    columns: int
    lines: int
    grids: int
    cells: NDArray[np.int32]
    tiles: NDArray[np.int32]
    first: NDArray[np.int64]
    edges: Floats
    sides: NDArray[np.int32]

    @property
    def nbytes(self) -> int:
        """Memory of the arrays, in bytes."""
        return sum(part.nbytes for part in self if isinstance(part, np.ndarray))

    def rows(self, x: Floats, y: Floats, *, borders: bool = True) -> tuple[Ints, Ints]:
        """The lowest row of each point, or ``OUTSIDE``; and the points where only GEOS can tell, who get that too.

        NaN and infinity: outside. Without `borders` GEOS is left every point on one.
        """
        found, left = np.empty(len(x), dtype=np.int64), [np.empty(0, dtype=np.int64)]
        desk = _Desk.of(min(len(x), CHUNK))
        for start in range(0, len(x), CHUNK):
            part = slice(start, start + CHUNK)
            rows = self._chunk(x[part], y[part], borders, desk.cut(len(x[part])))
            if rows.min() == ASK:
                asked = np.flatnonzero(rows == ASK)
                rows[asked] = OUTSIDE
                left.append(asked + start)
            found[part] = rows
        return found, np.concatenate(left)

    def _chunk(self, x: Floats, y: Floats, borders: bool, desk: _Desk) -> Lines:
        place, column, line, cell, found = desk
        self._subcells(x, self.left, self.columns, place, column)
        self._subcells(y, self.bottom, self.lines, place, line)
        np.right_shift(line, SHIFT, out=found)
        np.multiply(found, self.columns, out=cell)
        np.right_shift(column, SHIFT, out=found)
        cell += found
        self.cells.take(cell, out=found, mode="clip")  # all are in the table; "raise" would copy
        at = np.flatnonzero(found < ASK)
        if len(at):
            found[at] = self._in_tiles((x[at], y[at]), found[at], column[at], line[at], borders)
        return found

    def _subcells(self, values: Floats, low: float, count: int, place: Floats, out: Lines) -> None:
        """The number of the sub-cell along one axis; what lies outside, or nowhere, comes to the empty rim."""
        np.subtract(values, low, out=place)
        place *= self.per_unit
        np.fmax(place, 0.0, out=place)  # NaN becomes 0
        np.minimum(place, count * SIDE - 0.5, out=place)
        np.copyto(out, place, casting="unsafe")

    def _in_tiles(
        self, points: tuple[Floats, Floats], cell: Lines, column: Lines, line: Lines, borders: bool
    ) -> NDArray[np.int32]:
        tile = np.subtract(TILE, cell, dtype=np.int64)
        found: NDArray[np.int32] = self.tiles.take((tile << 2 * SHIFT) + ((line & MASK) << SHIFT) + (column & MASK))
        near = np.flatnonzero(found < ASK)
        if len(near):
            x, y = points
            middle = self.left + (column[near] + 0.5) * self.step, self.bottom + (line[near] + 0.5) * self.step
            row = CROSSED - found[near].astype(np.int64)
            found[near] = walk(self, tile[near], row, middle, (x[near], y[near]), borders=borders)
        return found
