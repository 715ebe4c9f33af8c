"""Which grid is a point in: exact, for arrays of x and y. Used by plan, assign, patrol and the map."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from gridgis.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Points worked on at once, and point-grid pairs tested at once: what bounds the memory (about 150 MB).
_CHUNK = 1 << 19
_PAIRS = 1 << 20

#: Bins of points per grid: finer bins meet fewer grids, coarser ones are fewer to look up.
_BINS_PER_GRID = 16


class GridLocator:
    """Find the grid of each point, exactly as shapely's `intersects` does, the lowest row winning.

    Parameters
    ----------
    grids : GeoDataFrame or GeoSeries
        Valid polygons in any CRS; the active geometry is used. They may overlap. Rows whose geometry is
        None or empty never match. The frame is not changed, and later changes to it are not seen.

    Notes
    -----
    Points are gathered in bins, the envelope of each bin's points finds the grids by an STR-tree, and what
    is left of the pairs is tested by GEOS with prepared grids. One locator may be used from several threads.

    Not promised: a particular answer for invalid polygons (run ``validate`` first).

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> grids = gpd.GeoSeries([shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)])
    >>> GridLocator(grids).locate([0.5, 1.0, 1.5, 3.0], [0.5, 0.5, 0.5, 0.5])
    array([ 0,  0,  1, -1])
    """

    def __init__(self, grids: gpd.GeoDataFrame | gpd.GeoSeries) -> None:
        # Copies of our own: preparing one that others use at the same time is not safe.
        self._shapes: NDArray[Any] = shapely.force_2d(np.asarray(grids.geometry.array, dtype=object))
        self._tree = shapely.STRtree(self._shapes)
        self._bounds: Floats = shapely.bounds(self._shapes).reshape(-1, 4)
        self._ready: Bools = np.zeros(len(self._shapes), dtype=bool)
        self._lock = threading.Lock()
        used = self._bounds[~np.isnan(self._bounds).any(axis=1)]
        self._extent = (*used[:, :2].min(axis=0), *used[:, 2:].max(axis=0)) if len(used) else (np.nan,) * 4

    def __len__(self) -> int:
        return len(self._shapes)

    def locate(self, x: ArrayLike, y: ArrayLike) -> Ints:
        """The row of the grid of each point, -1 where there is none.

        Parameters
        ----------
        x, y : array_like, shape (n,)
            Coordinates in the CRS of the grids (longitude, latitude where that is geographic). NaN and
            infinity: no grid.

        Returns
        -------
        ndarray of int64, shape (n,)
            Positions (not index labels) in `grids`. A point on a border belongs to each grid it touches; the
            lowest row wins.

        Raises
        ------
        InputError
            If x and y are not two arrays of numbers of one length.
        """
        xs, ys = _coordinates(x, y)
        found = np.full(len(xs), -1, dtype=np.int64)
        for points, rows in self._hits(xs, ys):  # the highest row first, so that the lowest is written last
            found[points] = rows
        return found

    def candidates(self, x: ArrayLike, y: ArrayLike) -> tuple[Ints, Ints]:
        """All grids of all points: on borders and in overlaps there are several.

        Returns
        -------
        points, rows : ndarray of int64, shape (k,)
            Positions in x and positions in `grids` of each pair that intersects, sorted by point, then row.
        """
        hits = list(self._hits(*_coordinates(x, y)))
        if not hits:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        points, rows = (np.concatenate(part) for part in zip(*hits, strict=True))
        order = np.lexsort((rows, points))
        return points[order], rows[order]

    def on_border(self, x: ArrayLike, y: ArrayLike) -> Bools:
        """Whether each point lies exactly on the border of any grid; outlines and rims of holes count."""
        xs, ys = _coordinates(x, y)
        border = np.zeros(len(xs), dtype=bool)
        for points, rows in self._hits(xs, ys):
            border[points[~shapely.contains_xy(self._shapes[rows], xs[points], ys[points])]] = True
        return border

    def _hits(self, x: Floats, y: Floats) -> Iterator[tuple[Ints, Ints]]:
        """Pairs of point and row that intersect; within a chunk of points the rows fall."""
        for start in range(0, len(x), _CHUNK):
            part = slice(start, start + _CHUNK)
            for points, rows in self._pairs(x[part], y[part]):
                points += start
                self._prepare(rows)
                hit = shapely.intersects_xy(self._shapes[rows], x[points], y[points])
                yield points[hit], rows[hit]

    def _pairs(self, x: Floats, y: Floats) -> Iterator[tuple[Ints, Ints]]:
        """Pairs of point and row whose bounds contain it, falling by row; `_PAIRS` (or a bin) at once."""
        left, bottom, right, top = self._extent
        inside = np.flatnonzero((x >= left) & (x <= right) & (y >= bottom) & (y <= top))
        if len(inside) == 0:
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
        bins, rows = self._tree.query(boxes)
        falling = np.lexsort((bins, -rows))
        bins, rows = bins[falling], rows[falling]
        sizes = (ends - starts)[bins]
        for batch in _batches(sizes):
            size = sizes[batch]
            row = np.repeat(rows[batch], size)
            first = np.repeat(starts[bins[batch]] - np.cumsum(size) + size, size)
            point = order[first + np.arange(len(row))]
            xmin, ymin, xmax, ymax = self._bounds[row].T
            near = (x[point] >= xmin) & (x[point] <= xmax) & (y[point] >= ymin) & (y[point] <= ymax)
            yield point[near].astype(np.int64), row[near].astype(np.int64)

    def _prepare(self, rows: Ints) -> None:
        """Prepare these grids once. GEOS builds its index at the first question: asked here, locked."""
        if self._ready[rows].all():
            return
        with self._lock:
            fresh = np.unique(rows[~self._ready[rows]])
            shapes = self._shapes[fresh]
            shapely.prepare(shapes)
            xmin, ymin, xmax, ymax = self._bounds[fresh].T
            shapely.intersects_xy(shapes, (xmin + xmax) / 2, (ymin + ymax) / 2)
            shapely.contains_xy(shapes, (xmin + xmax) / 2, (ymin + ymax) / 2)
            self._ready[fresh] = True


def _coordinates(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    try:
        xs, ys = np.atleast_1d(np.asarray(x, dtype=float)), np.atleast_1d(np.asarray(y, dtype=float))
    except (TypeError, ValueError) as error:
        raise InputError("the coordinates are not numbers", wanted="arrays of numbers, x and y") from error
    if xs.ndim != 1 or xs.shape != ys.shape:
        raise InputError(
            "x and y do not fit each other",
            found=f"shapes {xs.shape} and {ys.shape}",
            wanted="two arrays of one length",
        )
    return xs, ys


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
