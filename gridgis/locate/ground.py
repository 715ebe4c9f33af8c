"""The grids themselves: points are sorted into bins, those in the bounds of each grid are found, GEOS decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from gridgis.locate.codes import runs, spread
from gridgis.locate.walking import near_zero

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Shapes = NDArray[Any]
_Number = Callable[[Floats], Ints]

#: Points worked on at once, and point-grid pairs tested at once: what bounds the memory (about 100 MB).
_CHUNK = 1 << 19
_PAIRS = 1 << 15

#: Grids whose bounds are looked up in the bins at once: what stays in the cache.
_GRIDS = 1 << 13
#: Bins of points per grid: finer bins meet fewer grids, coarser ones are fewer to look up.
_BINS_PER_GRID = 16
#: Up to so many points are looked up in a tree one by one.
_FEW = 64
#: How a grid is asked: as it was given, as a copy, as a prepared copy.
_GIVEN, _COPIED, _PREPARED = range(3)
#: A grid asked about more often than `SELDOM` is copied, one more often than `OFTEN` prepared: about where that has
#: paid. A question takes about 500 ns and 4 ns a vertex to a grid as given, 3.5 ns a vertex to a copy, 100 ns to a
#: prepared one; making a copy takes 10 to 40 ns a vertex, preparing one 145.
SELDOM, OFTEN = 8, 48
#: How often a grid was asked about that is always asked as given.
_NEVER = -(1 << 62)


class _Bins(NamedTuple):
    """Points in the order of their bins, where each bin begins, and how bins are numbered."""

    order: Ints
    begins: Ints
    column: _Number
    line: _Number
    columns: int


class Ground:
    """Grids that GEOS is asked about. Several threads and forked processes may use one.

    Parameters
    ----------
    shapes : ndarray of object, shape (n,), optional
        The grids. Others may prepare them meanwhile, and do not disturb: as the second argument of a predicate only
        their coordinates are read, and what is prepared is a copy.
    bounds : ndarray of float64, shape (n, 4), optional
        Of each grid, NaN for None and empty, where they are known.
    wkb, offsets : ndarray of uint8, ndarray of int64, shape (n + 1,), optional
        Or the grids as WKB, one after the other: each is read when it is first asked about. Then `bounds` are needed.
    """

    def __init__(
        self,
        shapes: Shapes | None = None,
        *,
        bounds: Floats | None = None,
        wkb: NDArray[np.uint8] | None = None,
        offsets: Ints | None = None,
    ) -> None:
        if bounds is not None:
            self.bounds = bounds
        self._given, self._wkb, self._offsets = shapes, wkb, offsets
        given = shapes if bounds is None else bounds
        count = 0 if given is None else len(given)
        self._unpacked: Shapes = np.full(count, None, dtype=object)
        self._read: Bools = np.zeros(count, dtype=bool)
        self._hitting = _Question(count, shapely.intersects, shapely.intersects_xy)
        self._holding = _Question(count, shapely.within, shapely.contains_xy)

    @cached_property
    def bounds(self) -> Floats:
        """Of each grid; NaN for None and empty."""
        return np.asarray(shapely.bounds(self.shapes()), dtype=float).reshape(-1, 4)

    def __len__(self) -> int:
        return len(self._read)

    @cached_property
    def _used(self) -> Ints:
        return np.flatnonzero(~np.isnan(self.bounds).any(axis=1))

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(shapely.box(*self.bounds[self._used].T))

    @cached_property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top of all grids; NaN where there are none."""
        if len(self._used) == 0:
            return (np.nan,) * 4
        left, bottom, right, top = self._sides
        return float(left.min()), float(bottom.min()), float(right.max()), float(top.max())

    @cached_property
    def _sides(self) -> tuple[Floats, ...]:
        """Left, bottom, right and top of the grids `_used`, each array by itself."""
        return tuple(np.ascontiguousarray(side[self._used]) for side in self.bounds.T)

    def lowest(self, x: Floats, y: Floats) -> Ints:
        """The lowest row that each point intersects; -1 for none."""
        found = np.full(len(x), -1, dtype=np.int64)
        for start in range(0, len(x), _CHUNK):
            px, py, chunk = x[start : start + _CHUNK], y[start : start + _CHUNK], found[start : start + _CHUNK]
            for points, rows in self._pairs(px, py):
                first = _first_of_each(points, len(px))
                for some in (first, ~first):  # mostly the lowest row is the right one, and the others are spared
                    asked = np.flatnonzero((chunk[points] < 0) & some)  # rows rise: what is found stays
                    point, row = points[asked], rows[asked]
                    hit = asked[self._hitting.ask(self, row, px[point], py[point])][::-1]
                    chunk[points[hit]] = rows[hit]  # the lowest is written last
        return found

    def hits(self, x: Floats, y: Floats) -> Iterator[tuple[Ints, Ints]]:
        """Pairs of point and row that intersect."""
        for start in range(0, len(x), _CHUNK):
            part = slice(start, start + _CHUNK)
            for points, rows in self._pairs(x[part], y[part]):
                hit = self._hitting.ask(self, rows, x[part][points], y[part][points])
                yield points[hit] + start, rows[hit]

    def interior(self, rows: Ints, x: Floats, y: Floats) -> Bools:
        """Whether each point lies inside its row's grid and not on its border."""
        return self._holding.ask(self, rows, x, y)

    def shapes(self) -> Shapes:
        """Every grid, with its third dimension if it has one; only coordinates may be read."""
        return self.some(np.arange(len(self))) if self._given is None else self._given

    def some(self, rows: Ints) -> Shapes:
        """The grids of these rows; only coordinates may be read."""
        if self._given is not None:
            return self._given[rows]
        if self._wkb is not None and self._offsets is not None and not self._read[rows].all():
            fresh = np.unique(rows[~self._read[rows]])
            for row in fresh.tolist():
                start, end = self._offsets[row : row + 2]
                if end > start:
                    self._unpacked[row] = shapely.from_wkb(self._wkb[start:end].tobytes())
            self._read[fresh] = True
        return self._unpacked[rows]

    def _pairs(self, x: Floats, y: Floats) -> Iterator[tuple[Ints, Ints]]:
        """Pairs of point and row whose bounds contain it, rising by row; `_PAIRS` (or a bin) at once."""
        left, bottom, right, top = self.extent
        inside = np.flatnonzero((x >= left) & (x <= right) & (y >= bottom) & (y <= top))
        if len(inside) == 0:
            return
        if len(inside) <= _FEW:
            point, row = self._tree.query(shapely.points(x[inside], y[inside]))
            rising = np.argsort(row, kind="stable")
            yield inside[point[rising]], self._used[row[rising]]
            return
        bins = self._binned(x, y, inside)
        for start in range(0, len(self._used), _GRIDS):
            yield from self._in_bounds(slice(start, start + _GRIDS), bins, x, y)

    def _in_bounds(self, part: slice, bins: _Bins, x: Floats, y: Floats) -> Iterator[tuple[Ints, Ints]]:
        """The pairs of a part of the grids `_used`."""
        left, bottom, right, top = (side[part] for side in self._sides)
        low = bins.line(bottom)
        grid, on = spread(bins.line(top) - low + 1, low)
        on *= bins.columns
        first, last = bins.begins[on + bins.column(left)[grid]], bins.begins[on + bins.column(right)[grid] + 1]
        some = np.flatnonzero(last > first)
        grid, first, sizes = grid[some], first[some], (last - first)[some]
        for batch in runs(sizes, _PAIRS):
            which, place = spread(sizes[batch], first[batch])
            row, point = grid[batch][which], bins.order[place]
            px, py = x[point], y[point]
            near = (px >= left[row]) & (px <= right[row]) & (py >= bottom[row]) & (py <= top[row])
            yield point[near], self._used[part][row[near]]

    def _binned(self, x: Floats, y: Floats, inside: Ints) -> _Bins:
        """The points `inside` sorted into bins.

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
        begins = np.zeros(columns * lines + 1, dtype=np.int64)
        np.cumsum(np.bincount(key, minlength=columns * lines), out=begins[1:])
        bits = len(key).bit_length()
        key <<= bits  # a bin and a point in one number: numpy sorts numbers ten times as fast as their places
        key |= np.arange(len(key))
        key.sort()
        return _Bins(inside[key & ((1 << bits) - 1)], begins, column, line, columns)


def _first_of_each(points: Ints, count: int) -> Bools:
    """Whether each entry is the first of its point."""
    place, first = np.arange(len(points)), np.empty(count, dtype=np.int64)
    first[points[::-1]] = place[::-1]  # the first is written last
    mine: Bools = first[points] == place
    return mine


def _numbering(low: float, extent: float, side: float, most: int) -> tuple[_Number, int]:
    """How bins are numbered along one axis, and how many there are."""
    count = min(int(extent / side) + 1, most) if side < np.inf else 1

    def number(values: Floats) -> Ints:
        if count == 1:
            return np.zeros(len(values), dtype=np.int64)
        with np.errstate(over="ignore"):
            return np.clip((values - low) / side, 0, count - 1).astype(np.int64)

    return number, count


class _Question:
    """A predicate of points and grids, which are copied, and prepared, once that pays.

    GEOS may build another index for each predicate, and does so at the first question or at the second. A copy that
    nobody has seen is prepared and asked twice, and only then are questions put to it: so no lock is needed, and a
    process forked in the middle of it finds nothing half done. A copy that is not prepared is asked as quickly as GEOS
    can, which looks whether somebody prepared it. Of coordinates very near to 0, a grid's or a point's, GEOS says at
    times one thing when asked so and another by the plain predicate: then the plain one is right.

    Parameters
    ----------
    plain : callable
        The predicate of points and grids.
    of_copies : callable
        The same of grids, x and y, some or all of them prepared.
    """

    def __init__(
        self,
        count: int,
        plain: Callable[[Shapes, Shapes], Bools],
        of_copies: Callable[[Shapes, Floats, Floats], Bools],
    ) -> None:
        self._plain, self._of_copies = plain, of_copies
        self._copies: Shapes = np.full(count, None, dtype=object)
        self._state: NDArray[np.int8] = np.full(count, _GIVEN, dtype=np.int8)
        self._times: Ints = np.zeros(count, dtype=np.int64)

    def ask(self, ground: Ground, rows: Ints, x: Floats, y: Floats) -> Bools:
        """What the predicate says of a point and the grid of each row."""
        if not (self._state[rows] == _PREPARED).all():
            begins = np.flatnonzero(np.diff(rows, prepend=-1))  # equal rows mostly come one after the other
            named = rows[begins]
            np.add.at(self._times, named, np.diff(begins, append=len(rows)))
            for state, times in ((_PREPARED, OFTEN), (_COPIED, SELDOM)):
                due = named[(self._times[named] > times) & (self._state[named] < state)]
                if len(due):
                    self._copy(ground, np.unique(due), state)
        own = (self._state[rows] > _GIVEN) & ~(near_zero(x) | near_zero(y))
        answer = np.empty(len(rows), dtype=bool)
        some = np.flatnonzero(own)
        answer[some] = self._of_copies(self._copies[rows[some]], x[some], y[some])
        some = np.flatnonzero(~own)
        answer[some] = self._plain(shapely.points(x[some], y[some]), ground.some(rows[some]))
        return answer

    def _copy(self, ground: Ground, rows: Ints, state: int) -> None:
        copies: Shapes = shapely.force_2d(ground.some(rows))
        xy, owner = shapely.get_coordinates(copies, return_index=True)
        tiny = np.zeros(len(rows), dtype=bool)
        tiny[owner[near_zero(xy).any(axis=1)]] = True
        self._times[rows[tiny]] = _NEVER
        rows, copies = rows[~tiny], copies[~tiny]
        if state == _PREPARED:
            shapely.prepare(copies)
            xmin, ymin, xmax, ymax = ground.bounds[rows].T
            for _ in range(2):  # GEOS builds the index at the first or the second question within the bounds
                self._of_copies(copies, xmin / 2 + xmax / 2, ymin / 2 + ymax / 2)
        self._copies[rows] = copies
        self._state[rows] = state
