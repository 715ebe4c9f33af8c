"""The grids themselves: points are gathered in bins, an STR-tree finds the grids near each bin, GEOS decides."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Shapes = NDArray[Any]

#: Points worked on at once, and point-grid pairs tested at once: what bounds the memory (about 150 MB).
_CHUNK = 1 << 19
_PAIRS = 1 << 20

#: Bins of points per grid: finer bins meet fewer grids, coarser ones are fewer to look up.
_BINS_PER_GRID = 16
#: Up to so many points are looked up one by one.
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
        #: What is asked: the grid as it came, and, once that pays, a prepared copy that nobody else has seen before
        #: it was ready. So no lock is needed, and a process forked in the middle of it finds nothing half done.
        self._asked: Shapes = np.full(len(bounds), None, dtype=object) if shapes is None else shapes.copy()
        self._read: Bools = np.full(len(bounds), shapes is not None)
        self._times: Ints = np.zeros(len(bounds), dtype=np.int64)
        self._ready: Bools = np.zeros(len(bounds), dtype=bool)

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
                hit = shapely.intersects_xy(self.shapes(rows), x[part][points], y[part][points])
                yield points[hit] + start, rows[hit]

    def interior(self, rows: Ints, x: Floats, y: Floats) -> Bools:
        """Whether each point lies inside its row's grid and not on its border."""
        inside: Bools = shapely.contains_xy(self.shapes(rows), x, y)
        return inside

    def shapes(self, rows: Ints) -> Shapes:
        """The grids of these rows, to be asked as often as they are named here."""
        if not self._read[rows].all():
            self._load(np.unique(rows[~self._read[rows]]))
        if not self._ready[rows].all():
            named, times = np.unique(rows[~self._ready[rows]], return_counts=True)
            self._times[named] += times
            self._prepare(named[self._times[named] > _OFTEN])
        return self._asked[rows]

    def all_shapes(self) -> Shapes:
        """Every grid, to be read only."""
        self._load(np.flatnonzero(~self._read))
        return self._asked

    def _load(self, rows: Ints) -> None:
        if self._wkb is None or self._offsets is None:
            return
        for row in rows.tolist():
            start, end = self._offsets[row : row + 2]
            if end > start:
                self._asked[row] = shapely.from_wkb(self._wkb[start:end].tobytes())
        self._read[rows] = True

    def _prepare(self, rows: Ints) -> None:
        if len(rows) == 0:
            return
        copies = shapely.force_2d(self._asked[rows])
        shapely.prepare(copies)
        # GEOS builds its index at the first question within the bounds: asked here, before others see the copy.
        xmin, ymin, xmax, ymax = self.bounds[rows].T
        shapely.intersects_xy(copies, (xmin + xmax) / 2, (ymin + ymax) / 2)
        shapely.contains_xy(copies, (xmin + xmax) / 2, (ymin + ymax) / 2)
        self._asked[rows] = copies
        self._ready[rows] = True

    def _pairs(self, x: Floats, y: Floats) -> Iterator[tuple[Ints, Ints]]:
        """Pairs of point and row whose bounds contain it, falling by row; `_PAIRS` (or a bin) at once."""
        left, bottom, right, top = self.extent
        inside = np.flatnonzero((x >= left) & (x <= right) & (y >= bottom) & (y <= top))
        if len(inside) == 0:
            return
        used, tree = self._used
        if len(inside) <= _FEW:
            point, row = tree.query(shapely.points(x[inside], y[inside]))
            falling = np.lexsort((point, -row))
            yield inside[point[falling]], used[row[falling]]
            return
        order, starts = _bins(x[inside], y[inside], min(len(inside), _BINS_PER_GRID * len(self)))
        order = inside[order]
        ends = np.append(starts[1:], len(order))
        # The envelope of the points themselves, not of the bin: no rounding can put a point outside it.
        boxes = shapely.box(
            np.minimum.reduceat(x[order], starts),
            np.minimum.reduceat(y[order], starts),
            np.maximum.reduceat(x[order], starts),
            np.maximum.reduceat(y[order], starts),
        )
        bins, rows = tree.query(boxes)
        falling = np.lexsort((bins, -rows))
        bins, rows = bins[falling], used[rows[falling]]
        sizes = (ends - starts)[bins]
        for batch in _batches(sizes):
            size = sizes[batch]
            row = np.repeat(rows[batch], size)
            first = np.repeat(starts[bins[batch]] - np.cumsum(size) + size, size)
            point = order[first + np.arange(len(row))]
            xmin, ymin, xmax, ymax = self.bounds[row].T
            near = (x[point] >= xmin) & (x[point] <= xmax) & (y[point] >= ymin) & (y[point] <= ymax)
            yield point[near].astype(np.int64), row[near].astype(np.int64)


def _bins(x: Floats, y: Floats, count: int) -> tuple[Ints, Ints]:
    """Order of the points by bin of their extent (about `count` square bins), and where each bin starts."""
    width, height = np.ptp(x), np.ptp(y)
    side = np.sqrt(width * height / count) if width * height > 0 else max(width, height) / count
    if not (side > 0 and np.isfinite(side)):  # all in one place
        return np.arange(len(x)), np.zeros(1, dtype=np.int64)
    columns = min(int(width / side) + 1, count)
    lines = min(int(height / side) + 1, count)
    column = np.minimum((x - x.min()) / side, columns - 1).astype(np.int64)
    line = np.minimum((y - y.min()) / side, lines - 1).astype(np.int64)
    key = line * columns + column
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    return order, starts


def _batches(sizes: Ints) -> Iterator[slice]:
    """Runs of `sizes` whose sums stay within `_PAIRS`, each at least one long."""
    total = np.cumsum(sizes)
    start, before = 0, 0
    while start < len(sizes):
        stop = max(int(np.searchsorted(total, before + _PAIRS, side="right")), start + 1)
        yield slice(start, stop)
        start, before = stop, int(total[stop - 1])
