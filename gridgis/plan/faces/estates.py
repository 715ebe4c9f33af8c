"""Housing estates while blocks are cut: lanes and walls inside do not cut, unless an estate exceeds the norm."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from gridgis import crs as crs_
from gridgis.locate import GridLocator
from gridgis.plan.faces.network import Bools, Floats, Lines, Shapes, flatten, lying_on, middles
from gridgis.plan.loads import households_of
from gridgis.profile import Norm
from gridgis.schema import BARRIER_CLASSES, codes_as_text

#: A lane keeps cutting along the rim of an estate: only what lies deeper inside than this does not, metres.
_RIM_M = 10.0


def read_estates(compounds: gpd.GeoDataFrame | None, crs: pyproj.CRS) -> gpd.GeoDataFrame | None:
    """The estates as valid areas in `crs`, None where there are none."""
    if compounds is None or len(compounds) == 0:
        return None
    moved = compounds.to_crs(crs) if crs_.require_crs(compounds, "compounds") != crs else compounds
    shapes = shapely.make_valid(shapely.force_2d(np.asarray(moved.geometry.array, dtype=object)))
    return moved.set_geometry(gpd.GeoSeries(shapes, index=moved.index, crs=crs))


def inside_estates(edges: Shapes, lines: Lines, estates: gpd.GeoDataFrame, scale: Floats) -> Bools:
    """Lanes and walls that lie mostly inside an estate, deeper than its rim."""
    areas = shapely.buffer(flatten(estates.geometry.to_numpy(), scale), -_RIM_M)
    flat = flatten(edges, scale)
    on = lying_on(middles(edges, scale), lines, scale)
    weak = (on >= 0) & (lines.rank[on] >= BARRIER_CLASSES.index("lane")) if len(lines.rank) else on >= 0
    edge, area = shapely.STRtree(areas).query(flat, predicate="intersects")
    inside = np.zeros(len(edges))
    np.maximum.at(inside, edge, shapely.length(shapely.intersection(flat[edge], areas[area])))
    result: Bools = weak & (inside > 0.5 * shapely.length(flat))
    return result


def too_large(
    estates: gpd.GeoDataFrame,
    norm: Norm,
    houses: gpd.GeoDataFrame | None,
    buildings: gpd.GeoDataFrame | None,
    persons: pd.DataFrame | None,
) -> Bools:
    """Estates with more households than the norm of their kind and its tolerance allow one grid to have.

    Where the norm is of persons alone, those with more persons than its upper end and the tolerance.
    """
    homes = houses if houses is not None else buildings
    none: Bools = np.zeros(len(estates), dtype=bool)
    if homes is None or len(homes) == 0:
        return none
    if norm.households:
        count = households_of(homes, 1.0 if houses is not None else 0.0)
        kinds = estates["kind"].astype(object) if "kind" in estates.columns else pd.Series([None] * len(estates))
        limit = np.array([norm.target(kind if isinstance(kind, str) else None) for kind in kinds])
    elif norm.persons is not None and houses is not None and persons is not None and "house" in persons.columns:
        heads = codes_as_text(persons["house"]).value_counts()
        count = codes_as_text(houses["code"]).map(heads).fillna(0).to_numpy(dtype=float)
        limit = np.full(len(estates), float(norm.persons[1]))
    else:
        return none
    at = crs_.project(np.asarray(homes.geometry.array, dtype=object), crs_.require_crs(homes), estates.crs)
    inner = shapely.point_on_surface(at)
    row = GridLocator(estates).locate(shapely.get_x(inner), shapely.get_y(inner))
    load: Floats = np.bincount(row[row >= 0], count[row >= 0], len(estates)).astype(float)
    result: Bools = load > limit * (1 + norm.tolerance)
    return result
