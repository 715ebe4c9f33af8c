"""Wide water while blocks are cut: its shore cuts, what crosses it does not, and it is a block of its own."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pyproj
import shapely

from gridgis import crs as crs_
from gridgis.errors import GeometryError
from gridgis.plan.faces.network import Bools, Floats, Lines, Shapes, extend_with, flatten
from gridgis.schema import BARRIER_CLASSES

#: What lies deeper in water than this does not cut, metres; the shore itself does.
_SHORE_M = 0.5


def wide_water(
    water: gpd.GeoDataFrame | None,
    crs: pyproj.CRS,
    metric: pyproj.CRS,
    *,
    min_water_m2: float,
    min_water_width_m: float,
) -> tuple[Shapes, Shapes]:
    """Polygons, in `crs`, and names of bodies of water of `min_water_m2` or more that are `min_water_width_m` wide.

    The width is twice the area over the perimeter. Narrower water is a border, not ground.

    Raises
    ------
    GeometryError
        A row that is no polygon.
    """
    nothing = np.empty(0, dtype=object)
    if water is None or len(water) == 0:
        return nothing, nothing
    given = shapely.force_2d(np.asarray(water.geometry.array, dtype=object))
    there = ~(shapely.is_missing(given) | shapely.is_empty(given))
    wrong = there & ~np.isin(shapely.get_type_id(given), (3, 6))
    if wrong.any():
        raise GeometryError("water must be polygons", source="water", ids=(np.flatnonzero(wrong) + 1).tolist())
    found = crs_.require_crs(water, "water")
    names = water["name"].astype(object).to_numpy() if "name" in water.columns else np.full(len(water), None)
    shapes = shapely.make_valid(crs_.project(given[there], found, crs))
    told = np.array([n.strip() if isinstance(n, str) else "" for n in names[there]], dtype=object)
    kinds = sorted(set(told))
    # A river is often mapped in several pieces, whose seams are no shores.
    joined = np.array([shapely.union_all(shapes[told == kind]) for kind in kinds], dtype=object)
    parts, kind = shapely.get_parts(joined, return_index=True)
    flat = crs_.project(parts, crs, metric)
    area, rim = shapely.area(flat), shapely.length(flat)
    wide = (shapely.get_type_id(parts) == 3) & (area >= min_water_m2) & (2 * area >= min_water_width_m * rim)
    return parts[wide], np.array([kinds[k] or None for k in kind[wide]], dtype=object)


def with_shores(lines: Lines, bodies: Shapes, names: Shapes) -> Lines:
    """Barriers with the shores of `bodies`, which are of class river."""
    if len(bodies) == 0:
        return lines
    rings, body = shapely.get_rings(bodies, return_index=True)
    shores = shapely.normalize(shapely.get_parts(shapely.boundary(shapely.polygons(rings))))
    rank = np.full(len(shores), BARRIER_CLASSES.index("river"))
    return extend_with(lines, Lines(shores, rank, names[body]))


def in_water(edges: Shapes, bodies: Shapes, scale: Floats) -> Bools:
    """Edges that lie for the most part in water, off its shore: bridges, ferries, middle lines of rivers."""
    inside = np.zeros(len(edges))
    if len(bodies):
        areas = shapely.buffer(flatten(bodies, scale), -_SHORE_M)
        flat = flatten(edges, scale)
        edge, area = shapely.STRtree(areas).query(flat, predicate="intersects")
        np.add.at(inside, edge, shapely.length(shapely.intersection(flat[edge], areas[area])))
    result: Bools = inside > 0.5 * shapely.length(flatten(edges, scale))
    return result
