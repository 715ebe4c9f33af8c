"""The units that blocks tile: read, checked to be valid, side by side and nested in the boundary."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray

from gridgis import crs as crs_
from gridgis.errors import GeometryError, InputError, PlanError, SchemaError
from gridgis.plan.checking.polygons import no_polygon
from gridgis.plan.faces.network import Floats, Ints, Shapes, flatten
from gridgis.schema import check_key, codes_as_text, ids_of

#: Units may stick out of the boundary, overlap or leave ground free in places that are smaller (m²) or narrower
#: (metres, twice the area over the perimeter) than this: rounding, or straight edges of another CRS.
_MISFIT_M2 = 1.0
_MISFIT_M = 0.05


def ground_units(
    boundary: gpd.GeoDataFrame, units: gpd.GeoDataFrame | None, crs: pyproj.CRS, scale: Floats
) -> gpd.GeoDataFrame:
    """The units to tile: code and geometry (2-D, in `crs`), by code."""
    outline = _polygons(boundary, "boundary")
    if units is None:
        codes = codes_as_text(boundary["code"]) if "code" in boundary.columns else pd.Series([None] * len(boundary))
        by_code: dict[str, list[Any]] = {}
        for code, shape in zip(codes, outline, strict=True):
            by_code.setdefault(code or "1", []).append(shape)
        ordered = sorted(by_code)
        joined = [by_code[c][0] if len(by_code[c]) == 1 else shapely.union_all(by_code[c]) for c in ordered]
        ground = gpd.GeoDataFrame({"code": ordered}, geometry=joined, crs=crs)
    else:
        shapes = _polygons(units.to_crs(crs) if crs_.require_crs(units, "units") != crs else units, "units")
        ground = gpd.GeoDataFrame({"code": unique_codes(units, "units")}, geometry=shapes, crs=crs)
        ground = ground.sort_values("code", ignore_index=True)
        _check_nesting(ground, shapely.union_all(outline), scale)
    _check_overlaps(ground, scale, "boundary" if units is None else "units")
    return ground


def unique_codes(frame: pd.DataFrame, source: str) -> NDArray[Any]:
    """The codes of a table as text; an error where one is missing or doubled."""
    if "code" not in frame.columns:
        raise SchemaError("the column 'code' is missing", source=source, found=", ".join(map(str, frame.columns)))
    codes = codes_as_text(frame["code"])
    check_key(codes.to_frame("code"), "code", source)
    texts: NDArray[Any] = codes.to_numpy()
    return texts


def _polygons(frame: gpd.GeoDataFrame, source: str) -> Shapes:
    if len(frame) == 0:
        raise InputError("the table has no rows", source=source, wanted="at least one polygon")
    shapes: Shapes = shapely.force_2d(np.asarray(frame.geometry.array, dtype=object))
    bad = no_polygon(shapes)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        found = "no geometry" if shapes[row] is None else shapely.is_valid_reason(shapes[row])
        if found == "Valid Geometry":
            found = "empty geometry" if shapely.is_empty(shapes[row]) else shapes[row].geom_type
        raise GeometryError(
            "not every row is a valid polygon", source=source, ids=ids_of(frame, bad, "code"), found=found,
            remedy="gridgis validate shows where; mend the rings first.",
        )  # fmt: skip
    return shapes


def _check_overlaps(ground: gpd.GeoDataFrame, scale: Floats, source: str) -> None:
    shapes = ground.geometry.to_numpy()
    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    one, other = one[one < other], other[one < other]
    pieces, pair = _misfits(shapely.intersection(shapes[one], shapes[other]), scale)
    if len(pieces):
        codes = ground["code"].to_numpy()
        ids = sorted({f"{codes[one[p]]} with {codes[other[p]]}" for p in pair})
        raise PlanError(
            "units overlap", source=source, ids=ids, found=_told(pieces, scale), wanted="units side by side",
            remedy="gridgis validate shows where; FILE#CODE takes one feature of a file.",
        )  # fmt: skip


def _check_nesting(ground: gpd.GeoDataFrame, outline: Any, scale: Floats) -> None:
    shapes = ground.geometry.to_numpy()
    pieces, unit = _misfits(shapely.difference(shapes, outline), scale)
    if len(pieces):
        raise PlanError(
            "units lie partly outside the boundary", source="units", ids=sorted(set(ground["code"].to_numpy()[unit])),
            found=f"{_told(pieces, scale)} outside", wanted="units that tile the boundary",
            remedy="Clip them, or take their own union as the boundary.",
        )  # fmt: skip
    pieces, _ = _misfits(np.array([shapely.difference(outline, shapely.union_all(shapes))]), scale)
    if len(pieces):
        where = shapely.point_on_surface(pieces[int(np.argmax(shapely.area(pieces)))])
        raise PlanError(
            "the units leave part of the boundary free", source="units",
            found=f"{_told(pieces, scale)}, the largest piece at {where.x:.6f}, {where.y:.6f}",
            wanted="units that tile the boundary", remedy="gridgis validate UNITS --boundary shows where.",
        )  # fmt: skip


def _misfits(shapes: Shapes, scale: Floats) -> tuple[Shapes, Ints]:
    """The parts of shapes that are too large and wide to be rounding, and the row each comes from."""
    parts, row = shapely.get_parts(shapes, return_index=True)
    flat = flatten(parts, scale)
    area = shapely.area(flat)
    bad = (area > _MISFIT_M2) & (2 * area > _MISFIT_M * shapely.length(flat))
    return parts[bad], row[bad]


def _told(pieces: Shapes, scale: Floats) -> str:
    return f"{shapely.area(pieces).sum() * scale.prod():,.1f} m²"
