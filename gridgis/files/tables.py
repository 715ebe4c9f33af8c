"""Readers of text tables and GeoJSON that keep what GDAL would change: codes with leading zeros, open rings, dates."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from gridgis.crs import WGS84
from gridgis.errors import CRSError, GeometryError, InputError, SchemaError

# A number as a program writes it: no leading zero, no sign of plus; an exponent only in the way of repr ("1e-07").
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d+)?(e[+-]\d+)?")
# The WKT of a city's outline is longer than the 131,072 characters that csv allows by itself.
_LONGEST_CELL = 2**31 - 1
_OPEN_RING = "a ring that is not closed"
_FLOATED = re.compile(r"\d+\.0")
_GEOJSON_TYPES = {
    "FeatureCollection", "Feature", "Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon",
    "GeometryCollection",
}  # fmt: skip


def decode(path: Path) -> str:
    """The text of a file: UTF-8 with or without its mark, UTF-16 with its mark, else GB 18030 (Chinese Excel).

    Raises
    ------
    InputError
        If it is none of them.
    """
    data = path.read_bytes()
    marked = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise InputError("the file is not text", source=path, wanted="UTF-8 (or GB 18030)")


def read_csv(path: Path) -> pd.DataFrame:
    """A table of separated values (comma, semicolon or tab), all as text; blank cells are None.

    Rows may be shorter than the header, because Excel leaves the last blank cells of a row out.

    Raises
    ------
    InputError
        If the file is not text, a row has more cells than the header, or the last row is cut off.
    """
    text = decode(path)
    head = next(iter(text.splitlines()), "")
    # csv knows quotes: a separator inside one does not count.
    separator = max(",;\t", key=lambda s: len(next(csv.reader([head], delimiter=s), [])))
    limit = csv.field_size_limit(_LONGEST_CELL)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise InputError("the table is not whole (was it cut off?)", source=path, found=str(error)) from error
    finally:
        csv.field_size_limit(limit)
    cut_off = bool(rows) and text[-1] not in "\r\n" and len(rows[-1]) < len(rows[0])
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise InputError("the file is empty", source=path, wanted="a header and rows")
    header, body = [name.strip() for name in rows[0]], rows[1:]
    long = [number for number, row in enumerate(body, 1) if any(cell.strip() for cell in row[len(header) :])]
    if long or cut_off:
        raise InputError(
            "rows with more cells than the header" if long else "the last row is cut off",
            source=path,
            ids=long or [len(body)],
            found=", ".join(repr(cell) for cell in (body[long[0] - 1] if long else body[-1]))[:200],
            wanted=f"{len(header)} cells",
            remedy='Put cells that hold a separator into quotes ("…").' if long else "",
        )
    doubled = sorted({name for name in header if name and header.count(name) > 1})
    if doubled:
        raise SchemaError("two columns have one name", source=path, found=", ".join(doubled))
    width = len(header)
    cells = [[cell if cell.strip() else None for cell in row[:width]] + [None] * (width - len(row)) for row in body]
    frame = pd.DataFrame(cells, columns=pd.Index(header, dtype=object), dtype=object)
    return frame.loc[:, [bool(name) or frame.iloc[:, i].notna().any() for i, name in enumerate(header)]]


def infer_types(frame: pd.DataFrame, as_text: Iterable[str] = ()) -> pd.DataFrame:
    """`frame` of texts with numbers and booleans where every value of a column is one; `as_text` stay text.

    A code with a leading zero ("007") is no number. Where every value of a column of text is a whole number with ".0"
    behind it, a program has made floats of codes, and the ".0" goes.
    """
    kept = set(as_text)
    return frame.assign(**{c: _without_zeros(frame[c]) if c in kept else _inferred(frame[c]) for c in frame.columns})


def _without_zeros(values: pd.Series) -> pd.Series:
    distinct = set(values.dropna())
    floats = bool(distinct) and all(_FLOATED.fullmatch(text) for text in distinct)
    return values.map(lambda text: text and text[:-2]) if floats else values


def _inferred(values: pd.Series) -> pd.Series:
    distinct = set(values.dropna())
    if distinct and distinct <= {"True", "False"} and values.notna().all():
        return values == "True"
    if distinct and all(_NUMBER.fullmatch(text) for text in distinct):
        return pd.to_numeric(values)
    return values


def with_points(frame: pd.DataFrame, source: object) -> gpd.GeoDataFrame:
    """`frame` with a point of its lon and lat columns (degrees, WGS 84), None where both are blank.

    Raises
    ------
    SchemaError
        If a lon or lat is no number, or one is there without the other.
    CRSError
        If they cannot be degrees.
    """
    lon, lat = (_degrees(frame[name], source) for name in ("lon", "lat"))
    half = np.isnan(lon) != np.isnan(lat)
    if half.any():
        raise SchemaError(
            "rows with a lon or a lat but not both", source=source, ids=_rows(half), wanted="both or neither",
            rows=_positions(half),
        )  # fmt: skip
    points = np.full(len(frame), None, dtype=object)
    there = ~np.isnan(lon)
    points[there] = shapely.points(lon[there], lat[there])
    out = gpd.GeoDataFrame(frame.assign(lon=lon, lat=lat), geometry=points, crs=WGS84)
    check_degrees(out, source)
    return out


def _degrees(values: pd.Series, source: object) -> np.ndarray:
    numbers: np.ndarray = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    blank = values.isna().to_numpy() | (values.astype(str).str.strip() == "").to_numpy()
    bad = ~np.isfinite(numbers) & ~blank
    if bad.any():
        raise SchemaError(
            f"the column {values.name!r} has values that are no numbers",
            source=source,
            ids=_rows(bad),
            found=", ".join(repr(v) for v in values[bad].head(3)),
            wanted="degrees as 116.3221",
            rows=_positions(bad),
            column=str(values.name),
        )
    return numbers


def check_degrees(frame: gpd.GeoDataFrame, source: object) -> None:
    """Raise a :class:`CRSError` if a geographic CRS is claimed for coordinates that cannot be degrees.

    Infinite ones are a :class:`GeometryError`.
    """
    if frame.crs is None or not pyproj.CRS(frame.crs).is_geographic:
        return
    west, south, east, north = bounds = shapely.bounds(frame.geometry.array).reshape(-1, 4).T
    endless = np.isinf(bounds).any(axis=0)
    if endless.any():
        raise GeometryError("coordinates that are not finite numbers", source=source, ids=_rows(endless),
                            rows=_positions(endless))  # fmt: skip
    wrong = (west < -180) | (east > 180) | (south < -90) | (north > 90)
    if wrong.any():
        first = frame.geometry.array[int(np.flatnonzero(wrong)[0])]
        x, y = shapely.get_coordinates(first)[0]
        raise CRSError(
            f"the coordinates are not degrees, though the CRS ({frame.crs.name}) says so",
            source=source,
            ids=_rows(wrong),
            found=f"x {x}, y {y}",
            wanted="longitude −180 to 180, latitude −90 to 90",
            remedy="Give the file its right CRS, or swap x and y if they were swapped.",
            rows=_positions(wrong),
        )


def _rows(mask: np.ndarray) -> list[int]:
    return [row + 1 for row in _positions(mask)]


def _positions(mask: np.ndarray) -> list[int]:
    positions: list[int] = np.flatnonzero(mask).tolist()
    return positions


def with_wkt(frame: pd.DataFrame, column: str, crs: pyproj.CRS | None, source: object) -> gpd.GeoDataFrame:
    """`frame` with its WKT `column` as geometry; ``SRID=4548;POLYGON …`` names the CRS, else `crs` does.

    Raises
    ------
    GeometryError
        If a text is not WKT, or a ring is not closed.
    CRSError
        If the rows name more than one CRS.
    """
    texts = frame[column].astype(object).where(frame[column].notna(), None)
    parts = [None if t is None else re.fullmatch(r"\s*(?:SRID=(\d+);)?(.*)", str(t), re.S) for t in texts]
    srids = sorted({p[1] for p in parts if p is not None and p[1]})
    if len(srids) > 1:
        raise CRSError("the rows name more than one CRS", source=source, found=", ".join(srids))
    bare = np.array([None if p is None else p[2] for p in parts], dtype=object)
    refuse_shapes(unreadable(bare, shapely.from_wkt), source, "WKT as POLYGON ((x y, x y, …))")
    shapes = shapely.from_wkt(bare)
    named = f"EPSG:{srids[0]}" if srids else crs
    return gpd.GeoDataFrame(frame.drop(columns=column), geometry=shapes, crs=named)


def unreadable(shapes: Iterable[Any], parse: Callable[[Any], Any]) -> dict[int, str]:
    """The numbers (from 1) of the shapes that `parse` (from_geojson, from_wkt, from_wkb) cannot read, and why."""
    bad = {}
    for number, shape in enumerate(shapes, 1):
        try:
            parse(shape)
        except shapely.GEOSException as error:
            bad[number] = _reason(error)
    return bad


def _reason(error: Exception) -> str:
    text = str(error)
    if "closed" in text:
        return _OPEN_RING
    return "coordinates that are not numbers" if "json.exception" in text else text.split(": ", 1)[-1].strip(" !")


def refuse_shapes(bad: dict[int, str], source: object, wanted: str = "") -> None:
    """Raise a :class:`GeometryError` for rows (numbered from 1) and what is wrong with each, if there are any."""
    if bad:
        reasons = list(dict.fromkeys(bad.values()))
        raise GeometryError(
            "geometry that cannot be used",
            source=source,
            ids=bad,
            found="; ".join(reasons[:3]),
            wanted=wanted,
            remedy="Close each ring: its last position is its first." if _OPEN_RING in reasons else "",
            rows=[number - 1 for number in bad],
        )


def read_geojson(path: Path, crs: pyproj.CRS | None = None) -> tuple[str, gpd.GeoDataFrame] | None:
    """The name and the features of a GeoJSON file; None if it is JSON of another kind (TopoJSON, Esri).

    Coordinates are read exactly. The CRS is that of the old ``crs`` member, else degrees (EPSG:4326); `crs` counts
    where there is no member and the coordinates cannot be degrees.

    Raises
    ------
    InputError
        If it is not JSON (cut off?).
    GeometryError
        If a ring is not closed or coordinates are not numbers; names the rows from 1.
    CRSError
        If its ``crs`` member is unknown, or coordinates without one cannot be degrees.
    """
    text = decode(path)
    if not text.strip():
        raise InputError("the file is empty", source=path, wanted="GeoJSON features")
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"the file is not whole JSON: {error}", source=path) from error
    if not isinstance(data, dict) or data.get("type") not in _GEOJSON_TYPES:
        return None
    features = _features(data, path)
    frame = _table([f["properties"] for f in features])
    texts = [json.dumps(f["geometry"]) if f["geometry"] else None for f in features]
    shapes = _shapes(texts, path)
    name = "geometry" if "geometry" not in frame.columns else "geometry_"
    out = gpd.GeoDataFrame(frame, geometry=gpd.GeoSeries(shapes, index=frame.index, name=name))
    member = data.get("crs")
    if member is not None:
        return str(data.get("name", path.stem)), out.set_crs(_old_crs(member, path))
    bounds = np.asarray(out.total_bounds)
    if crs is not None and (np.abs(bounds) > [180, 90, 180, 90]).any():
        return str(data.get("name", path.stem)), out.set_crs(crs)
    return str(data.get("name", path.stem)), out.set_crs(WGS84)


def _table(records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """A column for each key, whole numbers whole even where some are missing (a float would change long codes)."""
    columns = {}
    for key in dict.fromkeys(key for record in records for key in record):
        values = [record.get(key) for record in records]
        whole = {type(v) for v in values} == {int, type(None)} and all(v is None or abs(v) < 2**63 for v in values)
        columns[key] = pd.Series(values, dtype="Int64" if whole else None)
        if not pd.api.types.is_numeric_dtype(columns[key]) and columns[key].dtype != bool:
            columns[key] = pd.Series(values, dtype=object)
    return pd.DataFrame(columns, index=pd.RangeIndex(len(records)))


def _features(data: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    if data["type"] == "FeatureCollection":
        listed = data.get("features")
    else:
        listed = [data if data["type"] == "Feature" else {"geometry": data}]
    if not isinstance(listed, list) or not all(isinstance(f, dict) for f in listed):
        raise InputError("the features cannot be read", source=path, wanted="a list of GeoJSON features")
    features = []
    for feature in listed:
        properties = feature.get("properties") or {}
        if not isinstance(properties, dict):
            raise InputError("properties that are no object", source=path, found=repr(properties)[:60])
        if "id" in feature and "id" not in properties:
            properties = {"id": feature["id"], **properties}
        features.append({"properties": properties, "geometry": feature.get("geometry")})
    return features


def _shapes(texts: Sequence[str | None], source: object) -> np.ndarray:
    """Geometries of GeoJSON texts; all at once, and one by one only to name those that cannot be read."""
    try:
        return np.asarray(shapely.from_geojson(np.array(texts, dtype=object)), dtype=object)
    except shapely.GEOSException:
        refuse_shapes(unreadable(texts, shapely.from_geojson), source)
        raise


def _old_crs(member: Any, path: Path) -> pyproj.CRS:
    try:
        found = pyproj.CRS.from_user_input(member["properties"]["name"])
    except (KeyError, TypeError, pyproj.exceptions.CRSError) as error:
        raise CRSError("the file names a CRS that is unknown", source=path, found=json.dumps(member)[:100]) from error
    # CRS84 is EPSG:4326 with x before y, and x comes first here whatever the CRS says.
    return WGS84 if "CRS84" in found.to_string() or found.name == "WGS 84 (CRS84)" else found
