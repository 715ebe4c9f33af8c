"""GridLocator."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Literal

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from gridgis.errors import InputError
from gridgis.locate import compiled as compiling
from gridgis.locate import kept as keeping
from gridgis.locate.building import build
from gridgis.locate.cost import LEAST_POINTS, compiling_pays, table_pays
from gridgis.locate.ground import Ground
from gridgis.locate.table import CellTable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Method = Literal["auto", "table", "bins"]

#: The ending of files that keep a locator.
SUFFIX = ".locator"
#: Points that a thread takes at once.
_SHARE = 1 << 20


class GridLocator:
    """Find the grid of each point, exactly as shapely's `intersects` does, the lowest row winning.

    Parameters
    ----------
    grids : GeoDataFrame or GeoSeries
        Valid polygons in any CRS; the active geometry is used. They may overlap. Rows whose geometry is
        None or empty never match. The frame is not changed, and later changes to it are not seen.
    expected : int, optional
        Points that will be asked for in all. Without it, those of the first call, and then those so far, tell
        whether a table of cells pays.
    method : {"auto", "table", "bins"}
        Build the table when it pays, at the first question, or never. The answers are the same.
    compiled : bool, optional
        Whether to look up with numba (the extra ``fast``). By default where it is installed and saves more than its
        start takes.
    threads : int
        Threads that look up at once. Two help the compiled loop to almost twice the speed, numpy little.

    Raises
    ------
    InputError
        If `compiled` is True and numba is not installed, if `expected` is negative, `threads` not positive,
        or `method` unknown.

    Notes
    -----
    Few points are sorted into bins, the bounds of each grid pick theirs, and GEOS tests what is left of the pairs, the
    lowest row of each point first. For many points there is a table of square cells: one that no edge crosses holds its
    row, one that edges cross parts into 8 x 8, and only points in crossed sub-cells need a test: from the centre,
    whose row is known, to the point the crossings of the cell's own edges are added up. Signs within Shewchuk's
    bound of rounding, and ground that several grids cover, go to GEOS. One locator may be used from several threads
    and by forked processes.

    Not promised: a particular answer for invalid polygons (run ``validate`` first). Rows of other types than
    polygons are answered by GEOS, without a table.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> grids = gpd.GeoSeries([shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)])
    >>> GridLocator(grids).locate([0.5, 1.0, 1.5, 3.0], [0.5, 0.5, 0.5, 0.5])
    array([ 0,  0,  1, -1])
    """

    def __init__(
        self,
        grids: gpd.GeoDataFrame | gpd.GeoSeries,
        *,
        expected: int | None = None,
        method: Method = "auto",
        compiled: bool | None = None,
        threads: int = 1,
    ) -> None:
        shapes = np.array(grids.geometry.array, dtype=object, copy=True)
        self._set(Ground(shapes), None)
        self.use(expected=expected, method=method, compiled=compiled, threads=threads)

    def _set(self, ground: Ground, table: CellTable | None) -> None:
        self._ground, self._table = ground, table
        self._no_table = False
        self._asked = 0
        self._building = (os.getpid(), threading.Lock())

    @cached_property
    def _vertices(self) -> int:
        return int(shapely.get_num_coordinates(self._ground.shapes()).sum())

    def use(
        self,
        *,
        expected: int | None = None,
        method: Method = "auto",
        compiled: bool | None = None,
        threads: int = 1,
    ) -> GridLocator:
        """Set how questions are answered from now on; the parameters are those of the class. Returns itself."""
        if compiled and not compiling.installed():
            raise InputError("numba is not installed", remedy='Install "gridgis[fast]", or leave compiled out.')
        if method not in ("auto", "table", "bins"):
            raise InputError("no such method", found=repr(method), wanted="auto, table or bins")
        if threads < 1 or (expected is not None and expected < 0):
            raise InputError("threads and expected are counts", found=f"threads {threads}, expected {expected}")
        self._expected, self._method, self._compiled, self._threads = expected or 0, method, compiled, threads
        return self

    def __len__(self) -> int:
        return len(self._ground)

    @property
    def table_bytes(self) -> int:
        """Memory of the table of cells; 0 where there is none (yet)."""
        return 0 if self._table is None else self._table.nbytes

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
        found, open_ = self._settled(xs, ys, borders=True)
        if open_ is None:
            return self._ground.lowest(xs, ys)
        if len(open_):
            found[open_] = self._ground.lowest(xs[open_], ys[open_])
        return found

    def candidates(self, x: ArrayLike, y: ArrayLike) -> tuple[Ints, Ints]:
        """All grids of all points: on borders and in overlaps there are several.

        Returns
        -------
        points, rows : ndarray of int64, shape (k,)
            Positions in x and positions in `grids` of each pair that intersects, sorted by point, then row.
        """
        xs, ys = _coordinates(x, y)
        found, open_ = self._settled(xs, ys, borders=False)
        alone = np.flatnonzero(found >= 0)
        hits = [(alone, found[alone]), *self._hits(xs, ys, open_)]
        if len(hits) == 1:
            return hits[0]
        points, rows = (np.concatenate(part) for part in zip(*hits, strict=True))
        order = np.lexsort((rows, points))
        return points[order], rows[order]

    def on_border(self, x: ArrayLike, y: ArrayLike) -> Bools:
        """Whether each point lies exactly on the border of any grid; outlines and rims of holes count."""
        xs, ys = _coordinates(x, y)
        border = np.zeros(len(xs), dtype=bool)
        _, open_ = self._settled(xs, ys, borders=False)
        for points, rows in self._hits(xs, ys, open_):
            border[points[~self._ground.interior(rows, xs[points], ys[points])]] = True
        return border

    def save(self, path: str | Path) -> Path:
        """Keep the locator in a file, with its table (built now, if it is not yet there).

        Raises
        ------
        InputError
            If the file cannot be written, or is another program's.
        """
        goal = Path(path)
        _check_ours(goal)
        wkb, offsets = keeping.packed(shapely.force_2d(self._ground.shapes()))
        self._build(wait=True)
        keeping.write(goal, wkb, offsets, self._ground.bounds, self._vertices, self._table)
        return goal

    @classmethod
    def load(cls, path: str | Path) -> GridLocator:
        """Open a file that :meth:`save` wrote. It is mapped into memory, and all its bytes are checked once.

        Raises
        ------
        InputError
            If there is no such file, or it is truncated, damaged, of another version or no locator.
        """
        return cls._of(keeping.read(Path(path)))

    @classmethod
    def kept(cls, grids: gpd.GeoDataFrame | gpd.GeoSeries, path: str | Path) -> GridLocator:
        """The locator kept for these grids, made and written first where there is none.

        Parameters
        ----------
        grids : GeoDataFrame or GeoSeries
            As for the class. A hash of all coordinates, in the order of the rows, tells whether the file is theirs.
        path : str or Path
            A file, or a folder, in which the file is named by the hash. A file of other grids, of another version,
            truncated or damaged is made anew. Several processes may do so at once.

        Raises
        ------
        InputError
            If the file cannot be written, or is another program's.
        """
        shapes = shapely.force_2d(np.asarray(grids.geometry.array, dtype=object))
        wkb, offsets = keeping.packed(shapes)
        named = keeping.digest(wkb, offsets)
        goal = Path(path)
        if goal.is_dir():
            goal = goal / f"{named}{SUFFIX}"
        _check_ours(goal)
        if goal.exists():
            try:
                content = keeping.read(goal)
            except keeping.Broken:
                content = None
            if content is not None and content.digest == named:
                return cls._of(content)
        made = cls(gpd.GeoSeries(shapes))
        made._build(wait=True)
        keeping.write(goal, wkb, offsets, made._ground.bounds, made._vertices, made._table)
        return made

    @classmethod
    def _of(cls, content: keeping.Content) -> GridLocator:
        made = cls.__new__(cls)
        ground = Ground(bounds=content.bounds, wkb=content.wkb, offsets=content.offsets)
        made._set(ground, content.table)
        made._vertices = content.vertices
        made._no_table = content.table is None
        return made.use()

    def _settled(self, x: Floats, y: Floats, *, borders: bool) -> tuple[Ints, Ints | None]:
        """The rows that the table knows, and the points it leaves open; None for all, where there is no table.

        Without `borders` it leaves those open that lie on one.
        """
        if self._method != "bins" and self._table is None and not self._no_table:
            points = max(self._expected, self._asked + len(x))
            if self._method == "table" or (points >= LEAST_POINTS and table_pays(points, len(self), self._vertices)):
                self._build(wait=self._method == "table")
        self._asked += len(x)
        if self._table is None or self._method == "bins":
            return np.full(len(x), -1, dtype=np.int64), None
        return self._looked_up(self._table, x, y, borders)

    def _looked_up(self, table: CellTable, x: Floats, y: Floats, borders: bool) -> tuple[Ints, Ints]:
        compiled = self._compiled
        if compiled is None:
            compiled = compiling_pays(max(self._expected, len(x)), loaded=compiling.loaded()) and compiling.installed()

        def rows(start: int, size: int) -> tuple[Ints, Ints]:
            part = slice(start, start + size)
            look_up = compiling.rows if compiled else CellTable.rows
            found, left = look_up(table, x[part], y[part], borders=borders)
            return found, left + start

        if self._threads == 1 or len(x) <= _SHARE:
            return rows(0, len(x))
        with ThreadPoolExecutor(self._threads) as pool:
            parts = list(pool.map(lambda start: rows(start, _SHARE), range(0, len(x), _SHARE)))
        found, left = (np.concatenate(part) for part in zip(*parts, strict=True))
        return found, left

    def _build(self, *, wait: bool) -> None:
        """Build the table, once. Another thread that builds it already is not waited for unless asked."""
        if self._building[0] != os.getpid():  # forked, perhaps while a thread of the parent held the lock
            self._building = (os.getpid(), threading.Lock())
        lock = self._building[1]
        if not lock.acquire(blocking=wait):
            return
        try:
            if self._table is None and not self._no_table:
                self._table = build(self._ground.shapes())
                self._no_table = self._table is None
        finally:
            lock.release()

    def _hits(self, x: Floats, y: Floats, among: Ints | None) -> Iterator[tuple[Ints, Ints]]:
        """Pairs of point and row that intersect, of the points `among` (None: all); rows fall within a chunk."""
        if among is None:
            yield from self._ground.hits(x, y)
        elif len(among):
            for points, rows in self._ground.hits(x[among], y[among]):
                yield among[points], rows


def _check_ours(path: Path) -> None:
    """Raise where `path` is a file that is no locator: it is not overwritten."""
    try:
        ours = not path.exists() or (path.is_file() and keeping.is_ours(path))
    except OSError as error:
        raise InputError("the locator cannot be read", source=path, found=error.strerror or "") from error
    if not ours:
        raise InputError(
            "this is no kept locator, and it is not overwritten", source=path, remedy="Name another file, or a folder."
        )


def _coordinates(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    xs, ys = _numbers(x), _numbers(y)
    if xs.ndim != 1 or xs.shape != ys.shape:
        raise InputError(
            "x and y do not fit each other",
            found=f"shapes {xs.shape} and {ys.shape}",
            wanted="two arrays of one length",
        )
    return xs, ys


def _numbers(values: ArrayLike) -> Floats:
    given = np.atleast_1d(np.asarray(values))
    wanted = "arrays of numbers, x and y"
    text = [v for v in given.ravel() if isinstance(v, str)] if given.dtype.kind in "OU" else []
    if text:
        raise InputError("the coordinates are not numbers", found=f"the text {str(text[0])!r}", wanted=wanted)
    try:
        return given.astype(float, copy=False)
    except (TypeError, ValueError) as error:
        raise InputError("the coordinates are not numbers", found=str(error), wanted=wanted) from error
