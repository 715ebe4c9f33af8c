"""The ground of each grid: its outline less buildings and water, its cells, and how near walks came to each of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from gridgis import crs
from gridgis.errors import InputError
from gridgis.patrol import inside
from gridgis.patrol.painting import Raster, filled, paint, raster_of
from gridgis.patrol.tracks import by_code
from gridgis.profile import Parameters

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Centimetres = NDArray[np.uint16]

#: Side of the cells, in metres.
CELL_M = 1.0

#: In a grid with more of them the cells are twice as large (a grid of some 4 km² and more, where one matters less).
_FINE_CELLS = 6_000_000

#: More cells in one grid than this are refused.
_MOST_CELLS = 50_000_000

#: A narrow sight is painted in finer cells: at least this many to its radius.
_CELLS_TO_SIGHT = 4

#: The distance of a cell that nobody came near, in centimetres.
UNSEEN = 65_535

#: The widest sight, in metres: distances are kept in centimetres, of two bytes each.
MOST_SIGHT_M = 600.0


class Ground(NamedTuple):
    """The ground of one grid: its code, its outline and area, the cells of the whole grid, and which are ground."""

    code: str
    shape: Any
    area: float
    raster: Raster
    rows: Ints  # positions of the cells with ground in the flattened raster
    share: Floats  # the share of ground in each of them


class Grounds:
    """Grounds, made one at a time.

    Parameters
    ----------
    grids : GeoDataFrame
        code and polygons; taken in the order of their codes as text.
    cell : float
        Metres.
    parameters : Parameters
        `ground` "walkable" takes the obstacles out; "area" leaves them in.
    obstacles : GeoDataFrame or GeoSeries, optional
        Buildings and water; only polygons count.

    Raises
    ------
    InputError
        A `ground` that has no area; a grid with too many cells.
    CRSError, SchemaError
        Grids or obstacles without CRS, grids without code.
    """

    def __init__(self, grids: gpd.GeoDataFrame, cell: float, parameters: Parameters, obstacles: Any = None) -> None:
        if parameters.ground not in ("area", "walkable"):
            raise InputError("this ground has no area", found=repr(parameters.ground), wanted="area or walkable")
        self.metric: pyproj.CRS = crs.metric_crs(grids)
        ordered = by_code(grids)
        self.codes = [str(code) for code in ordered["code"]]
        self.shapes = inside.grid_shapes(ordered, self.metric)
        self.cell = cell
        walkable = parameters.ground == "walkable" and obstacles is not None
        self._blocked = polygons_of(obstacles, self.metric) if walkable else np.empty(0, dtype=object)
        self._tree = shapely.STRtree(self._blocked)

    def __len__(self) -> int:
        return len(self.codes)

    def box(self, at: int, margin: float) -> Floats:
        """West, south, east, north of a grid, `margin` metres wider on each side."""
        return np.asarray(shapely.bounds(self.shapes[at]) + np.array([-1, -1, 1, 1]) * margin, dtype=float)

    def raster(self, at: int) -> Raster:
        """The cells of a whole grid, whatever stands on it."""
        if shapely.is_empty(self.shapes[at]):
            return Raster(0.0, 0.0, self.cell, 1, 1)
        raster = raster_of(self.shapes[at], self.cell)
        if self.cell == CELL_M and raster.rows * raster.columns > _FINE_CELLS:
            raster = raster_of(self.shapes[at], 2 * CELL_M)
        if raster.rows * raster.columns > _MOST_CELLS:
            raise InputError(
                f"grid {self.codes[at]} has more than {_MOST_CELLS:,} cells of {raster.cell:g} m",
                found=f"{raster.rows:,} × {raster.columns:,}",
                remedy="Take larger cells, or a wider sight.",
            )
        return raster

    def ground(self, at: int) -> Ground:
        """The ground of a grid."""
        shape, raster = self.shapes[at], self.raster(at)
        blocked = self._blocked[np.sort(self._tree.query(shape))]
        if len(blocked):
            shape = shapely.difference(shape, shapely.union_all(blocked))
        if shapely.is_empty(shape):
            return Ground(self.codes[at], shape, 0.0, raster, np.empty(0, dtype=np.int64), np.empty(0))
        share = filled(shape, raster).ravel()
        rows = np.flatnonzero(share > 0)
        return Ground(self.codes[at], shape, float(shapely.area(shape)), raster, rows, share[rows])


def with_area(parameters: Parameters) -> Parameters:
    """The parameters for what is a piece of ground whatever coverage is measured by: streets and buildings lie on it.

    Examples
    --------
    >>> with_area(Parameters(ground="streets")).ground, with_area(Parameters(ground="area")).ground
    ('walkable', 'area')
    """
    return parameters if parameters.ground == "area" else replace(parameters, ground="walkable")


def check_sizes(sight: float, cell: float) -> float:
    """The cell to paint with: finer where the sight is narrow.

    Raises
    ------
    InputError
        A sight or cell that is not above 0, a sight wider than can be kept.
    """
    for name, value in (("sight", sight), ("cell", cell)):
        if not 0 < value < np.inf:
            raise InputError(f"the {name} must be above 0 m", found=repr(value))
    if sight > MOST_SIGHT_M:
        raise InputError(f"the sight must not exceed {MOST_SIGHT_M:g} m", found=repr(sight))
    return min(cell, sight / _CELLS_TO_SIGHT)


def polygons_of(layer: gpd.GeoDataFrame | gpd.GeoSeries, metric: pyproj.CRS) -> NDArray[Any]:
    """The polygons of a layer in metres; faulty rings are mended in the copy, lines and points left out."""
    shapes = np.array(layer.geometry.array, dtype=object)
    shapes = shapes[np.isin(shapely.get_type_id(shapes), (3, 6))]
    shapes = np.asarray(crs.project(shapely.force_2d(shapes), crs.require_crs(layer), metric))
    faulty = ~shapely.is_valid(shapes)
    shapes[faulty] = shapely.make_valid(shapes[faulty], method="structure", keep_collapsed=False)
    return shapes


def distances(ends: Floats, raster: Raster, reach: float, compiled: bool) -> Centimetres:
    """How near some lines come to the centre of each cell, in whole centimetres.

    Parameters
    ----------
    ends : (n, 4) floats
        Metres.
    raster : Raster
    reach : float
        Metres; what is further away is :data:`UNSEEN`.
    compiled : bool

    Returns
    -------
    (rows * columns,) uint16

    Examples
    --------
    >>> distances(np.array([[0.0, 1.0, 9.0, 1.0]]), Raster(0.0, 0.0, 2.0, 3, 2), 3.0, False)
    array([    0,     0,   200,   200, 65535, 65535], dtype=uint16)
    """
    least = np.sqrt(paint(ends, raster, reach, compiled)).ravel()
    least[least > reach] = UNSEEN / 100
    return np.asarray(np.rint(least * 100), dtype=np.uint16)


def seen_by_distance(sight: float, cell: float) -> Floats:
    """What share of a cell is seen, by the distance of its centre in centimetres: the edge of sight is antialiased."""
    share = np.clip((sight - np.arange(UNSEEN + 1) / 100) / cell + 0.5, 0.0, 1.0)
    share[UNSEEN] = 0.0
    return share


def reach_of(sight: float, cell: float) -> float:
    """How far to paint for a sight: to the last cell of which a part may be seen."""
    return sight + cell / 2
