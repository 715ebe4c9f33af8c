"""The grids themselves: points are sorted into bins, those in the bounds of each grid are found, GEOS decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from gridgis.locate.codes import spread

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Shapes = NDArray[Any]
_Number = Callable[[Floats], Ints]

#: Points worked on at once, and point-grid pairs tested at once: what bounds the memory (about 150 MB).
_CHUNK = 1 << 19
_PAIRS = 1 << 20

#: Bins of points per grid: finer bins meet fewer grids, coarser ones are fewer to look up.
_BINS_PER_GRID = 16
#: Up to so many points are looked up in a tree one by one.
_FEW = 64
#: A grid asked about more often than this is prepared: about where GEOS's index of its edges has paid.
_OFTEN = 24


class Ground:
    """Grids that GEOS is asked about. Several threads and forked processes may use one.

    Parameters
    ----------
    bounds : ndarray of float64, shape (n, 4)
        Of each grid; NaN for None and empty.
    shapes : ndarray of object, shape (n,), optional
        The grids; nobody else may prepare them.
    wkb, offsets : ndarray of uint8, ndarray of int64, shape (n + 1,), optional
        Or the grids as WKB, one after the other: each is read when it is first asked about.
    """

    def __init__(
        self,
        bounds: Floats,
        shapes: Shapes | None = None,
        wkb: NDArray[np.uint8] | None = None,
        offsets: Ints | None = None,
    ) -> None:
        self.bounds = bounds
        self._wkb, self._offsets = wkb, offsets
        self._shapes: Shapes = np.full(len(bounds), None, dtype=object) if shapes is None else shapes
        self._read: Bools = np.full(len(bounds), shapes is not None)
        self._hitting = _Prepared(bounds, shapely.intersects_xy)
        self._holding = _Prepared(bounds, shapely.contains_xy)

    def __len__(self) -> int:
        return len(self.bounds)

    @cached_property
    def _used(self) -> tuple[Ints, shapely.STRtree]:
        rows = np.flatnonzero(~np.isnan(self.bounds).any(axis=1))
        tree = shapely.STRtree(shapely.box(*self.bounds[rows].T))
        return rows, tree

    @cached_property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top of all grids; NaN where there are none."""
        used = self.bounds[self._used[0]]
        if len(used) == 0:
            return (np.nan,) * 4
        left, bottom = used[:, :2].min(axis=0)
        right, top = used[:, 2:].max(axis=0)
        return float(left), float(bottom), float(right), float(top)

    def hits(self, x: Floats, y: Floats) -> Iterator[tuple[Ints, Ints]]:
        """Pairs of point and row that intersect; within a chunk of points the rows fall."""
        for start in range(0, len(x), _CHUNK):
            part = slice(start, start + _CHUNK)
            for points, rows in self._pairs(x[part], y[part]):
                hit = self._hitting.ask(self._named(rows), rows, x[part][points], y[part][points])
                yield points[hit] + start, rows[hit]

    def interior(self, rows: Ints, x: Floats, y: Floats) -> Bools:
        """Whether each point lies inside its row's grid and not on its border."""
        return self._holding.ask(self._named(rows), rows, x, y)

    def shapes(self) -> Shapes:
        """Every grid, to be read only."""
        return self._named(np.arange(len(self)))

    def _named(self, rows: Ints) -> Shapes:
        """The grids of these rows, read from WKB where that is still to be done."""
        if not self._read[rows].all() and self._wkb is not None and self._offsets is not None:
            fresh = np.unique(rows[~self._read[rows]])
            for row in fresh.tolist():
                start, end = self._offsets[row : row + 2]
                if end > start:
                    self._shapes[row] = shapely.from_wkb(self._wkb[start:end].tobytes())
            self._read[fresh] = True
        return self._shapes[rows]

    def _pairs(self, x: Floats, y: Floats) -> Iterator[tuple[Ints, Ints]]:
        """Pairs of point and row whose bounds contain it, falling by row; `_PAIRS` (or a bin) at once."""
        left, bottom, right, top = self.extent
        inside = np.flatnonzero((x >= left) & (x <= right) & (y >= bottom) & (y <= top))
        if len(inside) == 0:
            return
        used, tree = self._used
        if len(inside) <= _FEW:
            point, row = tree.query(shapely.points(x[inside], y[inside]))
            falling = np.argsort(-row, kind="stable")
            yield inside[point[falling]], used[row[falling]]
            return
        order, begins, column, line, columns = self._binned(x, y, inside)
        rows = used[::-1]
        (left, bottom, right, top) = self.bounds[rows].T
        owner, lines = spread(line(top) - line(bottom) + 1, line(bottom))
        rows, west, east = rows[owner], column(left)[owner], column(right)[owner]
        first, last = begins[lines * columns + west], begins[lines * columns + east + 1]
        some = np.flatnonzero(last > first)
        rows, first, sizes = rows[some], first[some], (last - first)[some]
        for batch in _batches(sizes):
            range_, place = spread(sizes[batch], first[batch])
            row, point = rows[batch][range_], order[place]
            xmin, ymin, xmax, ymax = self.bounds.take(row, axis=0).T
            px, py = x[point], y[point]
            near = np.flatnonzero((px >= xmin) & (px <= xmax) & (py >= ymin) & (py <= ymax))
            yield point[near], row[near]

    def _binned(self, x: Floats, y: Floats, inside: Ints) -> tuple[Ints, Ints, _Number, _Number, int]:
        """The points `inside` in the order of their bins, where each bin begins, and how bins are numbered.

        Bins are numbered line by line, so that those that a grid's bounds meet on one line lie side by side. The number
        never falls when the coordinate grows: no rounding parts a point from the bounds that hold it.
        """
        count = min(len(inside), _BINS_PER_GRID * len(self))
        px, py = x[inside], y[inside]
        with np.errstate(over="ignore", under="ignore"):
            width, height = float(np.ptp(px)), float(np.ptp(py))
            side = float(np.sqrt(np.float64(width) * height / count))
        side = max(side, max(width, height) / count)
        if not (0 < side < np.inf):  # all in one place, or in no place that numbers have room for
            side = np.inf
        column, columns = _numbering(float(px.min()), width, side, count)
        line, lines = _numbering(float(py.min()), height, side, count)
        key = line(py) * columns + column(px)
        order = np.argsort(key, kind="stable")
        begins = np.zeros(columns * lines + 1, dtype=np.int64)
        np.cumsum(np.bincount(key, minlength=columns * lines), out=begins[1:])
        return inside[order], begins, column, line, columns


def _numbering(low: float, extent: float, side: float, most: int) -> tuple[_Number, int]:
    """How bins are numbered along one axis, and how many there are."""
    count = min(int(extent / side) + 1, most) if side < np.inf else 1

    def number(values: Floats) -> Ints:
        if count == 1:
            return np.zeros(len(values), dtype=np.int64)
        with np.errstate(over="ignore"):
            return np.clip((values - low) / side, 0, count - 1).astype(np.int64)

    return number, count


def _batches(sizes: Ints) -> Iterator[slice]:
    """Runs of `sizes` whose sums stay within `_PAIRS`, each at least one long."""
    total = np.cumsum(sizes)
    start, before = 0, 0
    while start < len(sizes):
        stop = max(int(np.searchsorted(total, before + _PAIRS, side="right")), start + 1)
        yield slice(start, stop)
        start, before = stop, int(total[stop - 1])


class _Prepared:
    """Grids asked one predicate, prepared once that pays.

    GEOS builds another index for each predicate, at its first question. A copy that nobody has seen is prepared and
    asked, and then takes the grid's place: so no lock is needed, and a process forked in the middle of it finds
    nothing half done.
    """

    def __init__(self, bounds: Floats, predicate: Callable[[Shapes, Floats, Floats], Bools]) -> None:
        self._bounds, self._predicate = bounds, predicate
        self._copies: Shapes = np.full(len(bounds), None, dtype=object)
        self._ready: Bools = np.zeros(len(bounds), dtype=bool)
        self._times: Ints = np.zeros(len(bounds), dtype=np.int64)

    def ask(self, shapes: Shapes, rows: Ints, x: Floats, y: Floats) -> Bools:
        """What the predicate says of each shape and point; `rows` tells which grid each shape is."""
        ready = self._ready[rows]
        if not ready.all():
            named, first, times = np.unique(rows, return_index=True, return_counts=True)
            self._times[named] += times
            often = (self._times[named] > _OFTEN) & ~self._ready[named]
            self._prepare(named[often], shapes[first[often]])
            ready = self._ready[rows]
        asked = shapes.copy()
        asked[ready] = self._copies[rows[ready]]
        answer: Bools = self._predicate(asked, x, y)
        return answer

    def _prepare(self, rows: Ints, shapes: Shapes) -> None:
        if len(rows) == 0:
            return
        copies = shapely.force_2d(shapes)
        shapely.prepare(copies)
        xmin, ymin, xmax, ymax = self._bounds[rows].T
        self._predicate(copies, xmin / 2 + xmax / 2, ymin / 2 + ymax / 2)  # within the bounds, or no index is built
        self._copies[rows] = copies
        self._ready[rows] = True
