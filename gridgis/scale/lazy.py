"""Houses to grids in a frame of dask-geopandas: lazily, partition by partition."""

from __future__ import annotations

from typing import Any

import dask
import geopandas as gpd

from gridgis.assign.houses import assign_houses, check_within
from gridgis.assign.ready import ReadyGrids


def assign_lazily(houses: Any, grids: gpd.GeoDataFrame | ReadyGrids, *, within: float = 0.0) -> Any:
    """The grid of each house of a Dask frame, as :func:`gridgis.assign.houses.assign_houses` tells it.

    Parameters
    ----------
    houses : dask_geopandas.GeoDataFrame
        Points in any CRS.
    grids : GeoDataFrame or ReadyGrids
        As :func:`~gridgis.assign.houses.assign_houses`; each worker gets them once.
    within : float
        Metres, as there.

    Returns
    -------
    dask_geopandas.GeoDataFrame
        The same partitions, rows and order, with grid, grid_how and grid_distance_m. Nothing is computed yet; grids
        that cannot be used are told at once, houses that cannot when they are computed.

    Raises
    ------
    SchemaError, GeometryError, CRSError, InputError
        As :func:`~gridgis.assign.houses.assign_houses`.

    Notes
    -----
    Not promised: that work already done survives a failure; :func:`gridgis.scale.assign_parts` keeps it.
    """
    check_within(within)
    ground = ReadyGrids.of(grids)
    meta = assign_houses(houses._meta, ground, within=within)
    once = dask.delayed(ground, traverse=False)
    return houses.map_partitions(assign_houses, once, within=within, meta=meta)
