"""Grids ready to be asked many times: sorted by code, located, near. What commands, the web and workers keep."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from gridgis import crs
from gridgis.assign.common_area import Outlines
from gridgis.errors import GeometryError, SchemaError
from gridgis.locate import GridLocator
from gridgis.schema import codes_as_text, ids_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Texts = NDArray[np.object_]

#: How the grid of a point was decided; :class:`Placed` holds positions in it.
HOW: Texts = np.array(["none", "inside", "border", "nearest"], dtype=object)
NONE, INSIDE, BORDER, NEAREST = range(4)


class Placed(NamedTuple):
    """Points in grids: the row of each point's grid (-1: none), how (a position in :data:`HOW`), and metres."""

    row: Ints
    how: NDArray[np.int8]
    metres: Floats


class ReadyGrids:
    """The grids of a place, ready to be asked.

    Parameters
    ----------
    grids : GeoDataFrame
        Valid polygons with `code`, in any CRS. Rows without geometry hold nothing.

    Attributes
    ----------
    frame : GeoDataFrame
        The grids sorted by code as text, so that the lowest code is the lowest row.
    codes : ndarray of str
        Their codes as text.

    Raises
    ------
    SchemaError, GeometryError
        If there are no grids, a grid has no code or is not valid.
    CRSError
        If the grids have no CRS.

    Notes
    -----
    Threads may share one.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> grids = gpd.GeoDataFrame({"code": ["B", "A"]}, geometry=[shapely.box(0, 0, 9, 9), shapely.box(9, 0, 18, 9)],
    ...                          crs=4548)
    >>> ground = ReadyGrids(grids)
    >>> placed = ground.place(np.array([4.0, 9.0, 20.0]), np.array([5.0, 5.0, 5.0]), within=3)
    >>> ground.coded(placed.row).tolist(), HOW[placed.how].tolist()
    (['B', 'A', 'A'], ['inside', 'border', 'nearest'])
    """

    def __init__(self, grids: gpd.GeoDataFrame) -> None:
        self.frame, self.codes = sorted_grids(grids)
        self.crs: pyproj.CRS = crs.require_crs(self.frame, "grids")

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made of the grids: where it arrives it is made again."""
        return {name: self.__dict__[name] for name in ("frame", "codes", "crs")}

    @staticmethod
    def of(grids: gpd.GeoDataFrame | ReadyGrids) -> ReadyGrids:
        """`grids` itself where it is a ground already."""
        return grids if isinstance(grids, ReadyGrids) else ReadyGrids(grids)

    @cached_property
    def locator(self) -> GridLocator:
        """The locator of :attr:`frame`."""
        return GridLocator(self.frame)

    @cached_property
    def outlines(self) -> Outlines:
        """The edges of :attr:`frame`, for footprints."""
        return Outlines(np.asarray(self.frame.geometry.array, dtype=object))

    @cached_property
    def metric(self) -> pyproj.CRS:
        """The CRS that distances are measured in."""
        return crs.metric_crs(self.frame, "grids")

    @cached_property
    def _near(self) -> shapely.STRtree:
        return shapely.STRtree(crs.project(np.asarray(self.frame.geometry.array, dtype=object), self.crs, self.metric))

    def place(self, x: Floats, y: Floats, *, within: float = 0.0) -> Placed:
        """The grid of each point.

        Parameters
        ----------
        x, y : ndarray of float, shape (n,)
            In the CRS of the grids; NaN where a point has no place.
        within : float
            Metres: a point outside goes to the nearest grid no further away than this.
        """
        row = self.locator.locate(x, y)
        how = np.zeros(len(row), dtype=np.int8)
        found = np.flatnonzero(row >= 0)
        how[found] = np.where(self.locator.on_border(x[found], y[found]), BORDER, INSIDE)
        metres = np.where(row >= 0, 0.0, np.nan)
        outside = np.flatnonzero((row < 0) & np.isfinite(x) & np.isfinite(y))
        if within > 0 and len(outside):
            near, nearest, away = self.nearest(x[outside], y[outside], within)
            row[outside[near]], metres[outside[near]], how[outside[near]] = nearest, away, NEAREST
        return Placed(row, how, metres)

    def nearest(self, x: Floats, y: Floats, within: float = np.inf) -> tuple[Ints, Ints, Floats]:
        """Which of the points are near a grid, its row (the lowest of equally near ones), and metres to it."""
        points = crs.project(shapely.points(x, y), self.crs, self.metric)
        points[~np.isfinite(shapely.get_x(points) + shapely.get_y(points))] = None  # beyond what the CRS can hold
        limit = within * (1 + 1e-9) if 0 < within < np.inf else None
        (near, row), metres = self._near.query_nearest(points, max_distance=limit, return_distance=True)
        order = np.lexsort((row, near))
        near, row, metres = near[order], row[order], metres[order]
        first = np.flatnonzero((np.diff(near, prepend=-1) > 0) & (metres <= within))
        return near[first], row[first], metres[first]

    def claimed_twice(self, x: Floats, y: Floats) -> Bools:
        """Whether each point lies inside one grid and in another one as well: there the grids overlap."""
        point, row = self.locator.candidates(x, y)
        several = np.bincount(point, minlength=len(x))[point] > 1
        point, row = point[several], row[several]
        inner = shapely.contains_xy(shapely.force_2d(self.frame.geometry.to_numpy())[row], x[point], y[point])
        twice = np.zeros(len(x), dtype=bool)
        twice[point[inner]] = True
        return twice

    def coded(self, row: Ints) -> Texts:
        """The codes of rows; None for -1."""
        codes: Texts = np.append(self.codes, np.array([None]))[row]
        return codes


def sorted_grids(grids: gpd.GeoDataFrame) -> tuple[gpd.GeoDataFrame, Texts]:
    """Grids sorted by code as text, so that the lowest code wins; and those codes. Checked: codes, CRS, validity."""
    if "code" not in grids.columns:
        raise SchemaError("grids need the column 'code'", found=", ".join(map(repr, map(str, grids.columns))))
    if len(grids) == 0:
        raise SchemaError("there are no grids", wanted="at least one")
    crs.require_crs(grids, "grids")
    codes = codes_as_text(grids["code"]).to_numpy(dtype=object)
    missing = np.array([code is None for code in codes])
    if missing.any():
        raise SchemaError("grids without a code", ids=ids_of(grids, missing, None))
    flawed = ~shapely.is_valid(grids.geometry.array) & ~shapely.is_missing(grids.geometry.array)
    if flawed.any():
        raise GeometryError(
            "grids whose polygons are not valid", ids=ids_of(grids, flawed, "code"), remedy="Run gridgis validate."
        )
    order = np.argsort(codes, kind="stable")
    return grids.iloc[order], codes[order]
