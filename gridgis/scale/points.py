"""x and y of the points of a piece of a Parquet table, without making a point of each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyproj
import shapely
from numpy.typing import NDArray

from gridgis.crs import WGS84
from gridgis.errors import CRSError, GeometryError, SchemaError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: A point in WKB: the order of bytes, the type (two-dimensional point), x, y.
_POINT = np.dtype([("order", "u1"), ("type", "<u4"), ("x", "<f8"), ("y", "<f8")])


@dataclass(frozen=True)
class Place:
    """Where a table has its points: in `column`, encoded as `encoding`, or (column None) in lon and lat; in `crs`."""

    column: str | None
    encoding: str
    crs: pyproj.CRS


def place_of(schema: pa.Schema, named: pyproj.CRS | None, source: object) -> Place:
    """Where a Parquet table has its points; `named` is the CRS of a table that names none.

    Raises
    ------
    GeometryError
        If it has neither geometry nor lon and lat.
    CRSError
        If its CRS is missing.
    """
    kept = (schema.metadata or {}).get(b"geo")
    if kept is None:
        if {"lon", "lat"} <= set(schema.names):
            return Place(None, "lon, lat", WGS84)
        raise GeometryError(
            "houses need a place", source=source, found="a table without geometry", wanted="points, or lon and lat"
        )
    geo = json.loads(kept)
    column = geo["primary_column"]
    told = geo["columns"][column]
    # What GeoParquet says: no crs means degrees, an empty one means that nobody knows.
    projected = named if "crs" in told and told["crs"] is None else _crs(told.get("crs"))
    if projected is None:
        raise CRSError(
            "the coordinate reference system is missing", source=source, remedy="Name it with --crs EPSG:4326."
        )
    return Place(column, told["encoding"], projected)


def _crs(told: Any) -> pyproj.CRS:
    if told is None:
        return WGS84
    found = pyproj.CRS.from_user_input(told)
    # CRS84 is EPSG:4326 with x before y, and x comes first here whatever the CRS says.
    plain = found.to_authority(min_confidence=100)
    return WGS84 if plain in (("OGC", "CRS84"), ("EPSG", "4326")) else found


def coordinates(batch: pa.RecordBatch, place: Place, source: object, start: int) -> tuple[Floats, Floats]:
    """x and y of each row, NaN where it has no place; `start` rows stand before these in the file.

    Raises
    ------
    SchemaError
        If a lon or lat is no number, or one is there without the other.
    GeometryError
        If a row is no point, or its coordinates are not finite.
    CRSError
        If degrees cannot be degrees.
    """
    if place.column is None:
        x, y = (_numbers(batch.column(name), name, source, start) for name in ("lon", "lat"))
        half = np.isnan(x) != np.isnan(y)
        if half.any():
            raise SchemaError(
                "rows with a lon or a lat but not both", source=source, ids=_rows(half, start), wanted="both or neither"
            )
    else:
        x, y = _points(batch.column(place.column), place, source, start)
    endless = np.isinf(x) | np.isinf(y)
    if endless.any():
        raise GeometryError("coordinates that are not finite numbers", source=source, ids=_rows(endless, start))
    wrong = (np.abs(x) > 180) | (np.abs(y) > 90)
    if place.crs.is_geographic and wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise CRSError(
            f"the coordinates are not degrees, though the CRS ({place.crs.name}) says so",
            source=source,
            ids=_rows(wrong, start),
            found=f"x {x[first]}, y {y[first]}",
            wanted="longitude −180 to 180, latitude −90 to 90",
            remedy="Give the file its right CRS, or swap x and y if they were swapped.",
        )
    return x, y


def _numbers(values: pa.Array, name: str, source: object, start: int) -> Floats:
    given = values.to_pandas()
    numbers = pd.to_numeric(given, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if given.dtype.kind not in "fiu":
        blank = given.isna().to_numpy() | (given.astype(str).str.strip() == "").to_numpy()
        bad = np.isnan(numbers) & ~blank
        if bad.any():
            raise SchemaError(
                f"the column {name!r} has values that are no numbers",
                source=source,
                ids=_rows(bad, start),
                found=", ".join(repr(v) for v in given[bad].head(3)),
                wanted="degrees as 116.3221",
            )
    return np.asarray(numbers, dtype=float)


def _points(values: pa.Array, place: Place, source: object, start: int) -> tuple[Floats, Floats]:
    if place.encoding == "point":
        x, y = (np.array(part.to_numpy(zero_copy_only=False), dtype=float) for part in values.flatten()[:2])
        return x, y
    plain = _plain_points(values)
    if plain is not None:
        return plain
    try:
        shapes = shapely.from_wkb(values.to_numpy(zero_copy_only=False))
    except shapely.GEOSException as error:
        raise GeometryError("geometry that cannot be read", source=source, found=str(error)) from error
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    wrong = there & (shapely.get_type_id(shapes) != shapely.GeometryType.POINT)
    if wrong.any():
        raise GeometryError(
            "houses that are not points",
            source=source,
            ids=_rows(wrong, start),
            remedy="Assign footprints as buildings, or take a point in each.",
        )
    x, y = np.full(len(shapes), np.nan), np.full(len(shapes), np.nan)
    x[there], y[there] = shapely.get_x(shapes[there]), shapely.get_y(shapes[there])
    return x, y


def _plain_points(values: pa.Array) -> tuple[Floats, Floats] | None:
    """x and y where every row is a plain point in WKB, read in one go; None where one is not."""
    if values.null_count or not (pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type)):
        return None
    width = np.dtype("i8" if pa.types.is_large_binary(values.type) else "i4")
    _, offsets, data = values.buffers()
    ends = np.frombuffer(offsets, dtype=width)[values.offset : values.offset + len(values) + 1]
    if len(values) == 0 or data is None or (np.diff(ends) != _POINT.itemsize).any():
        return None
    points = np.frombuffer(data, dtype=_POINT, count=len(values), offset=int(ends[0]))
    if (points["order"] != 1).any() or (points["type"] != 1).any():
        return None
    return points["x"].copy(), points["y"].copy()


def _rows(mask: Bools, start: int) -> list[int]:
    return (np.flatnonzero(mask) + start + 1).tolist()
