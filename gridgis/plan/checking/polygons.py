"""Polygons as a table has them become polygons fit for overlay: what is empty, invalid or of another type."""

from __future__ import annotations

import re
import warnings
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pyproj
import shapely

from gridgis.crs import require_crs
from gridgis.errors import GeometryError, GridgisWarning, name_ids
from gridgis.plan.checking.ruler import Bools
from gridgis.plan.checking.segments import Ints
from gridgis.plan.checking.tiling import Fault, Objects
from gridgis.schema import ids_of

_POLYGONS = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)


class Usable(NamedTuple):
    """The grids' geometry, fit for overlay: `polygons` (mended where invalid) of `rows`, positions in the grids."""

    polygons: Objects
    rows: Ints
    faults: list[Fault]


def usable_polygons(grids: gpd.GeoDataFrame, labels: list[str], source: str = "grids") -> Usable:
    """Set empty geometry aside and mend invalid geometry; both are faults.

    Raises
    ------
    GeometryError
        Lines or points among the grids; `labels` name the rows, `source` the table.
    """
    shapes = np.asarray(grids.geometry.array, dtype=object)
    empty = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    _refuse_others(shapes, ~empty, source, labels)
    faults = [Fault("empty", (int(row),), None) for row in np.flatnonzero(empty)]
    rows = np.flatnonzero(~empty)
    polygons = _flat(shapes[rows])
    wrong = ~shapely.is_valid(polygons)
    faults += [
        Fault("invalid_ring", (int(row),), _where_invalid(shape))
        for row, shape in zip(rows[wrong], polygons[wrong], strict=True)
    ]
    polygons[wrong] = mended(polygons[wrong])
    usable = ~shapely.is_empty(polygons)
    return Usable(polygons[usable], rows[usable].astype(np.int64), faults)


def no_polygon(shapes: Objects) -> Bools:
    """Which shapes are missing, empty, invalid or of another type than polygons."""
    wrong: Bools = (
        ~np.isin(shapely.get_type_id(shapes), _POLYGONS) | shapely.is_empty(shapes) | ~shapely.is_valid(shapes)
    )
    return wrong


def _flat(shapes: Objects) -> Objects:
    """`shapes` without Z; always a new array."""
    out = shapes.copy()
    high = shapely.has_z(out)
    out[high] = shapely.force_2d(out[high])
    return out


def _refuse_others(shapes: Objects, meant: Any, source: str, labels: list[str] | None = None) -> None:
    """Raise where geometry is neither polygon nor multipolygon."""
    other = meant & ~np.isin(shapely.get_type_id(shapes), _POLYGONS)
    if other.any():
        found = sorted({shape.geom_type for shape in shapes[other]})
        at = np.flatnonzero(other)
        raise GeometryError(
            "geometry of the wrong type",
            source=source,
            ids=[row + 1 if labels is None else labels[row] for row in at.tolist()],
            found=", ".join(found),
            wanted="polygons",
        )


def _where_invalid(shape: Any) -> Any:
    """The point that GEOS names as the place of the fault, or None where it has no coordinates."""
    place = re.search(r"\[(\S+) (\S+)\]", shapely.is_valid_reason(shape))
    if place is None:
        return None
    point = shapely.Point(float(place[1]), float(place[2]))
    return point if np.isfinite(shapely.get_coordinates(point)).all() else None


def mended(polygons: Objects) -> Objects:
    """Valid polygons of the same ground; an empty one where coordinates are no numbers or nothing is left.

    Each ring encloses what it goes round, holes are taken out: both wings of a bow-tie stay.
    """
    out = np.full(len(polygons), shapely.Polygon(), dtype=object)
    finite = [bool(np.isfinite(shapely.get_coordinates(polygon)).all()) for polygon in polygons]
    chosen = np.flatnonzero(finite)
    out[chosen] = shapely.make_valid(polygons[chosen], method="structure", keep_collapsed=False)
    return out


def ground_of(boundary: gpd.GeoDataFrame, crs: pyproj.CRS, source: str = "boundary") -> Any:
    """The boundary (or what `source` names) as one valid polygon or multipolygon in `crs`.

    Raises
    ------
    CRSError, GeometryError
        No CRS; no ground, or lines and points.

    Warns
    -----
    GridgisWarning
        If it has invalid rings; they are mended for the comparison.
    """
    own = require_crs(boundary, source)
    shapes = np.asarray((boundary if own == crs else boundary.to_crs(crs)).geometry.array, dtype=object)
    real = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    if not real.any():
        raise GeometryError(f"no row of the {source} has geometry", source=source, wanted="at least one polygon")
    _refuse_others(shapes, real, source)
    polygons = _flat(shapes[real])
    wrong = ~shapely.is_valid(polygons)
    if wrong.any():
        ids = ids_of(boundary, np.flatnonzero(real)[wrong], None)
        warnings.warn(
            f"{source}: {wrong.sum()} of {len(polygons)} polygons have invalid rings and were mended for the "
            f"comparison (rows {name_ids(ids)})",
            GridgisWarning,
            stacklevel=3,
        )
        polygons[wrong] = mended(polygons[wrong])
    ground = polygons[0] if len(polygons) == 1 else shapely.union_all(polygons)
    if ground.is_empty:
        raise GeometryError(f"no ring of the {source} encloses ground", source=source, remedy="Mend its rings.")
    return ground
