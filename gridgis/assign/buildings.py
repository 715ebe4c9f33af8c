"""Building to grid by the larger share; the shares of all grids for buildings that straddle."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gridgis import crs
from gridgis.assign.common_area import Outlines, common_areas
from gridgis.assign.ready import BORDER, HOW, INSIDE, NONE, ReadyGrids
from gridgis.errors import GridgisWarning
from gridgis.schema import codes_as_text

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Texts = NDArray[np.object_]

#: Shares of a building that differ by less count as equal: the lowest code wins.
EQUAL_SHARES = 1e-9
#: A share below this is rounding: a building that only touches a grid.
_NOTHING = 1e-12
#: More than the whole by this share: the grids overlap. Less is what long edges in degrees and in metres differ by.
_OVERLAP = 1e-4
#: Above this share a building may lie wholly in a grid, and GEOS says whether it does.
_NEARLY_WHOLE = 1 - 1e-4
#: A footprint with more vertices is cut by GEOS, whose time does not grow with vertices times vertices.
_MANY_VERTICES = 64


class _Shares(NamedTuple):
    """Pairs of building and grid with common ground, sorted by building, then row of the grid."""

    building: Ints
    row: Ints
    share: Floats
    whole: Bools


def assign_buildings(buildings: gpd.GeoDataFrame, grids: gpd.GeoDataFrame | ReadyGrids) -> gpd.GeoDataFrame:
    """The grid that holds the larger share of each building's footprint.

    Parameters
    ----------
    buildings : GeoDataFrame
        Polygons in any CRS. Footprints that are not valid are measured as ``shapely.make_valid`` mends them.
    grids : GeoDataFrame or ReadyGrids
        Valid polygons with `code`.

    Returns
    -------
    GeoDataFrame
        `buildings` with ``grid`` (code or None), ``grid_share`` (fraction of the footprint in that grid, by area in
        metres; NaN for none) and ``grid_how``: inside (wholly in the grid), border (across a border or the outline),
        none. Shares that differ by less than 1e-9 are equal: the lowest code wins. The same index.

    Raises
    ------
    SchemaError, GeometryError, CRSError
        As :func:`gridgis.assign.houses.assign_houses`.

    Warns
    -----
    GridgisWarning
        Where the grids overlap under buildings.

    Notes
    -----
    Only buildings that an edge of a grid comes near are measured, all of them at once and without cutting one
    (:mod:`gridgis.assign.common_area`). Areas are those of the metric CRS of the place.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> grids = gpd.GeoDataFrame({"code": ["A", "B"]}, geometry=[shapely.box(0, 0, 9, 9), shapely.box(9, 0, 18, 9)],
    ...                          crs=4548)
    >>> buildings = gpd.GeoDataFrame({"code": ["1", "2"]}, geometry=[shapely.box(1, 1, 3, 3), shapely.box(8, 1, 12, 2)],
    ...                              crs=4548)
    >>> assign_buildings(buildings, grids)[["grid", "grid_share", "grid_how"]].values.tolist()
    [['A', 1.0, 'inside'], ['B', 0.75, 'border']]
    """
    ground = ReadyGrids.of(grids)
    found = _shares(_footprints(buildings, ground), ground)
    _warn_of_overlaps(found, len(buildings))
    row, share = np.full(len(buildings), -1, dtype=np.int64), np.full(len(buildings), np.nan)
    whole = np.zeros(len(buildings), dtype=bool)
    best = _largest(found)
    at = found.building[best]
    row[at], share[at], whole[at] = found.row[best], found.share[best], found.whole[best]
    out = buildings.copy()
    out["grid"] = pd.Series(ground.coded(row), index=out.index, dtype=object)
    out["grid_share"] = share
    out["grid_how"] = pd.Series(HOW[np.select([row < 0, whole], [NONE, INSIDE], BORDER)], index=out.index, dtype=object)
    return out


def building_shares(buildings: gpd.GeoDataFrame, grids: gpd.GeoDataFrame | ReadyGrids) -> gpd.GeoDataFrame:
    """What each grid has of the buildings that straddle: across a border, or across the outline.

    Parameters
    ----------
    buildings, grids
        As :func:`assign_buildings`.

    Returns
    -------
    GeoDataFrame
        One row for each piece, sorted as `buildings`, then by code: ``code`` (of the building), ``grid`` (None: what
        is in no grid), ``share`` (fraction of the footprint), ``area_m2`` and the piece as geometry, in the CRS of the
        grids. Where the grids do not overlap the shares of a building add up to 1.

    Raises
    ------
    SchemaError, GeometryError, CRSError
        As :func:`assign_buildings`.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> grids = gpd.GeoDataFrame({"code": ["A", "B"]}, geometry=[shapely.box(0, 0, 9, 9), shapely.box(9, 0, 18, 9)],
    ...                          crs=4548)
    >>> buildings = gpd.GeoDataFrame({"code": ["1", "2"]}, geometry=[shapely.box(1, 1, 3, 3), shapely.box(8, 1, 12, 2)],
    ...                              crs=4548)
    >>> building_shares(buildings, grids)[["code", "grid", "share"]].values.tolist()
    [['2', 'A', 0.25], ['2', 'B', 0.75]]
    """
    ground = ReadyGrids.of(grids)
    shapes = _footprints(buildings, ground)
    found = _shares(shapes, ground)
    across = np.zeros(len(shapes), dtype=bool)
    across[found.building] = True
    across[found.building[found.whole]] = False
    pairs = np.flatnonzero(across[found.building])
    building, row, share = found.building[pairs], found.row[pairs], found.share[pairs]
    areas = np.asarray(ground.frame.geometry.array, dtype=object)
    pieces = shapely.intersection(shapes[building], areas[row])
    rest, left, beyond = _beyond(shapes, areas, building, row, share)
    building, row, share = np.append(building, rest), np.append(row, np.full(len(rest), -1)), np.append(share, left)
    pieces = np.append(pieces, beyond)
    size = shapely.area(crs.project(shapes, ground.crs, ground.metric))
    order = np.lexsort((np.where(row < 0, len(areas), row), building))
    named = buildings["code"] if "code" in buildings.columns else pd.Series(np.arange(1, len(buildings) + 1))
    codes = codes_as_text(named).to_numpy(dtype=object)
    out = {
        "code": codes[building],
        "grid": ground.coded(row),
        "share": share,
        "area_m2": share * size[building],
    }
    return gpd.GeoDataFrame(
        {name: pd.Series(values[order], dtype=values.dtype) for name, values in out.items()},
        geometry=pieces[order],
        crs=ground.frame.crs,
    )


def _largest(found: _Shares) -> Ints:
    """The pair of each building with the largest share, of equal ones that of the lowest row."""
    begins = np.flatnonzero(np.diff(found.building, prepend=-1))
    if len(begins) == 0:
        return begins
    share = np.round(found.share / EQUAL_SHARES)
    most = np.repeat(np.maximum.reduceat(share, begins), np.diff(begins, append=len(share)))
    largest = np.flatnonzero(share == most)
    return largest[np.flatnonzero(np.diff(found.building[largest], prepend=-1))]


def _beyond(shapes: Any, areas: Any, building: Ints, row: Ints, share: Floats) -> tuple[Ints, Floats, Any]:
    """The buildings of which a part is in no grid, how large a share, and that part."""
    total = np.bincount(building, share, minlength=len(shapes))
    rest = np.unique(building[total[building] < 1 - EQUAL_SHARES])
    parts = [areas[row[building == b]] for b in rest]
    beyond: Any = np.array(
        [shapely.difference(shapes[b], shapely.union_all(p)) for b, p in zip(rest, parts, strict=True)], dtype=object
    )
    return rest, np.asarray(1 - total[rest], dtype=float), beyond


def _footprints(buildings: gpd.GeoDataFrame, ground: ReadyGrids) -> NDArray[Any]:
    """The footprints in the CRS of the grids."""
    shapes = np.array(buildings.geometry.array, dtype=object)
    return np.asarray(crs.project(shapes, crs.require_crs(buildings, "buildings"), ground.crs), dtype=object)


def _shares(shapes: NDArray[Any], ground: ReadyGrids) -> _Shares:
    """The shares of all grids in all footprints; of `shapes`, those not valid that are measured are mended."""
    areas = np.asarray(ground.frame.geometry.array, dtype=object)
    building, row = shapely.STRtree(areas).query(shapes)
    pair = row.astype(np.int64) * len(shapes) + building
    pair.sort()  # by grid: its edges stay at hand
    row, building = np.divmod(pair, len(shapes))
    met, whole = ground.outlines.around(row, shapely.bounds(shapes).reshape(-1, 4)[building])
    share = whole.astype(float)
    cut = np.flatnonzero(met)
    some = np.unique(building[cut])
    broken = some[~shapely.is_valid(shapes[some])]
    shapes[broken] = shapely.make_valid(shapes[broken], method="structure")
    if len(cut):
        share[cut] = _measured(shapes, areas, building[cut], row[cut], ground)
        whole[cut] = share[cut] >= 1 - EQUAL_SHARES
        nearly = cut[(share[cut] > _NEARLY_WHOLE) & ~whole[cut]]
        whole[nearly] = shapely.covers(areas[row[nearly]], shapes[building[nearly]])
        share[whole] = 1.0
    kept = np.flatnonzero(share > _NOTHING)
    kept = kept[np.argsort(building[kept] * len(areas) + row[kept])]
    return _Shares(building[kept], row[kept], share[kept], whole[kept])


def _measured(shapes: NDArray[Any], areas: NDArray[Any], building: Ints, row: Ints, ground: ReadyGrids) -> Floats:
    """The share of each pair, by area in metres."""
    some, at = np.unique(building, return_inverse=True)
    footprints, outlines, of = crs.project(shapes[some], ground.crs, ground.metric), ground.outlines, row
    if ground.crs != ground.metric:
        grids, of = np.unique(row, return_inverse=True)
        outlines = Outlines(crs.project(areas[grids], ground.crs, ground.metric))
    common = np.zeros(len(at))
    plain = (shapely.get_num_coordinates(footprints) <= _MANY_VERTICES)[at]
    common[plain] = common_areas(footprints, outlines, at[plain], of[plain])
    pieces = shapely.intersection(shapes[building[~plain]], areas[row[~plain]])
    common[~plain] = shapely.area(crs.project(pieces, ground.crs, ground.metric))
    whole = shapely.area(footprints)[at]
    share: Floats = np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)
    return share


def _warn_of_overlaps(found: _Shares, count: int) -> None:
    total = np.bincount(found.building, found.share, minlength=count)
    twice = int((total > 1 + _OVERLAP).sum())
    if twice:
        warnings.warn(
            f"{twice} buildings stand on ground that several grids claim, because the grids overlap; the larger share "
            "has them, the lowest code where shares are equal. gridgis validate lists the overlaps.",
            GridgisWarning,
            stacklevel=3,
        )
