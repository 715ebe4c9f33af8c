"""Write tables: .geojson, .gpkg, .parquet and .csv by ending, whole or not at all, with exact coordinates."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, contextmanager
from datetime import date, time
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyogrio
import pyogrio.errors
import pyproj
import shapely

from gridgis.crs import WGS84
from gridgis.errors import InputError, SchemaError
from gridgis.replace import replacing

_ENDINGS = (".geojson", ".gpkg", ".parquet", ".csv")
_POSITION = re.compile(r"\[([^\[\],]+),([^\[\],]+)\]")
_GDAL_ERRORS = (
    pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FieldError,
    pyogrio.errors.FeatureError, pyogrio.errors.GeometryError, RuntimeError, ValueError,
)  # fmt: skip
# GeoPackages carry the time of writing; this one makes two runs give the same bytes.
_STILL = "1970-01-01T00:00:00.000Z"


def write(frame: pd.DataFrame, path: Path | str, *, layer: str | None = None) -> Path:
    """Write one table, by the ending of `path`.

    Parameters
    ----------
    frame : DataFrame or GeoDataFrame
        Cells that are tuples or lists are joined with ";". ``attrs`` and the index are not written.
    path : Path or str
        ``.geojson``, ``.gpkg``, ``.parquet`` or ``.csv``; replaced if it exists.
    layer : str, optional
        The name of the GeoPackage's layer; by default the file's stem.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    InputError
        If the ending is unknown, the folder is missing or the system cannot write; the old file is then unchanged.
    SchemaError
        If a number cannot be written (infinite, in GeoJSON) or two columns have one name.

    Notes
    -----
    The CRS is the frame's own and coordinates are written exactly: read again, they are the same bits. GeoJSON in a CRS
    other than EPSG:4326 carries the ``crs`` member of the old specification. CSV has lon and lat (WGS 84) for points
    and WKT in a column ``geometry`` for other shapes; it does not name their CRS, and points of another CRS are
    projected to lon and lat, which is not exact. CSV with more than ASCII in it begins with the mark of UTF-8, by which
    Excel knows it.
    """
    path = Path(path)
    return write_layers({layer or path.stem: frame}, path)[0]


def write_layers(layers: Mapping[str, pd.DataFrame], path: Path | str) -> list[Path]:
    """Write several tables: layers of one ``.gpkg``, else ``NAME.EXT`` and ``NAME.<table>.EXT`` beside it.

    Parameters
    ----------
    layers : mapping of str to DataFrame or GeoDataFrame
        The first is the main one: ``NAME.EXT``.
    path : Path or str

    Returns
    -------
    list of Path
        What was written; all of it, or nothing.

    Raises
    ------
    InputError, SchemaError
        As :func:`write`.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in _ENDINGS:
        raise InputError(
            "the ending of the output is unknown", source=path, found=repr(ending), wanted=", ".join(_ENDINGS)
        )
    if not layers:
        raise InputError("there is nothing to write", source=path)
    plain = {name: _plain(frame, path) for name, frame in layers.items()}
    if ending == ".gpkg":
        with replacing(path) as (made,):
            _write_gpkg(plain, made, path)
        return [path]
    paths = [path, *(path.with_name(f"{path.stem}.{name}{path.suffix}") for name in list(plain)[1:])]
    with replacing(*paths) as beside:
        for made, frame in zip(beside, plain.values(), strict=True):
            _WRITERS[ending](frame, made, path)
    return paths


def _plain(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """A copy whose cells every format can hold; without attrs, with rows numbered from 0."""
    out = frame.reset_index(drop=True)
    out.columns = pd.Index([str(c) for c in out.columns], dtype=object)
    if out.columns.duplicated().any():
        raise SchemaError("two columns have one name", source=path, found=", ".join(out.columns))
    place = _place(out)
    if place is None:
        out = pd.DataFrame(out)
    for name in out.columns:
        if name == place:
            continue
        if isinstance(out[name].dtype, gpd.array.GeometryDtype):
            out[name] = pd.Series(_wkt(out[name].array), dtype=object)
        elif out[name].dtype == object or isinstance(out[name].dtype, pd.CategoricalDtype):
            out[name] = _one_type(pd.Series([_cell(v) for v in out[name]], dtype=object))
    out.attrs = {}
    return out


def _place(frame: pd.DataFrame) -> str | None:
    return frame.active_geometry_name if isinstance(frame, gpd.GeoDataFrame) else None


def _cell(value: Any) -> Any:
    if isinstance(value, list | tuple | np.ndarray):
        return ";".join("" if v is None else str(v) for v in value)
    if isinstance(value, set | frozenset):
        return ";".join(sorted(str(v) for v in value))
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, np.generic):
        return value.item()
    return value.isoformat() if isinstance(value, date | time) else value


def _one_type(values: pd.Series) -> pd.Series:
    """Cells of one type as they are; numbers beside text become text."""
    kinds = {type(v) for v in values if v is not None}
    if kinds <= {str}:
        return values
    if kinds <= {bool}:
        return values.astype("boolean")
    if kinds <= {int}:
        return values.astype("Int64")
    if kinds <= {int, float}:
        return values.astype(float)
    return values.map(lambda v: None if v is None else str(v))


# --- one writer a format: a plain frame, where to, and the name for messages ------------------------------------------


def _write_geojson(frame: pd.DataFrame, made: Path, path: Path) -> None:
    place = _place(frame)
    rows = frame.drop(columns=place) if place else frame
    columns = {name: _json_values(rows[name]) for name in rows.columns}
    texts = shapely.to_geojson(frame[place].array) if place else [None] * len(frame)
    head: dict[str, Any] = {"type": "FeatureCollection", "name": path.stem}
    if isinstance(frame, gpd.GeoDataFrame) and frame.crs is not None and pyproj.CRS(frame.crs) != WGS84:
        head["crs"] = {"type": "name", "properties": {"name": _crs_name(frame.crs)}}
    lines = []
    for i, text in enumerate(texts):
        try:
            cells = json.dumps({n: v[i] for n, v in columns.items()}, ensure_ascii=False, allow_nan=False)
        except ValueError as error:
            raise SchemaError("a number is infinite, which GeoJSON cannot hold", source=path, ids=[i + 1]) from error
        lines.append(f'{{"type": "Feature", "properties": {cells}, "geometry": {text or "null"}}}')
    body = ",\n".join(lines)
    opening = json.dumps(head, ensure_ascii=False)[:-1]
    made.write_bytes(f'{opening}, "features": [\n{body}\n]}}\n'.encode())


def _crs_name(crs: Any) -> str:
    authority = pyproj.CRS(crs).to_authority()
    return f"urn:ogc:def:crs:{authority[0]}::{authority[1]}" if authority else str(pyproj.CRS(crs).to_wkt())


def _json_values(values: pd.Series) -> list[Any]:
    if pd.api.types.is_datetime64_any_dtype(values):
        return [None if pd.isna(v) else _timestamp(v) for v in values]
    listed = values.astype(object).where(values.notna(), None).tolist()
    return [v.item() if isinstance(v, np.generic) else v for v in listed]


def _timestamp(value: pd.Timestamp) -> str:
    day = value.tzinfo is None and value == value.normalize()
    return str(value.date().isoformat() if day else value.isoformat())


def _write_csv(frame: pd.DataFrame, made: Path, path: Path) -> None:
    place = _place(frame)
    out = pd.DataFrame(frame.drop(columns=place)) if place else frame
    if place is not None:
        shapes = frame[place].array
        there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
        if (shapely.get_type_id(shapes)[there] == shapely.GeometryType.POINT).all():
            points = frame[place] if frame.crs in (None, WGS84) else frame[place].to_crs(WGS84)
            out = out.assign(lon=shapely.get_x(points.array), lat=shapely.get_y(points.array))
        else:
            out = out.assign(geometry=_wkt(shapes))
    times = [c for c in out.columns if pd.api.types.is_datetime64_any_dtype(out[c])]
    out = out.assign(**{c: _json_values(out[c]) for c in times})
    text = out.to_csv(index=False, lineterminator="\n")
    # The mark tells Excel that the text is UTF-8; plain ASCII needs none, and other programs stumble over it.
    made.write_bytes(text.encode("utf-8" if text.isascii() else "utf-8-sig"))


def _wkt(shapes: Any) -> list[str | None]:
    """WKT with every digit; shapely's own writer drops some of those far from the point."""
    names = {
        "Point": "POINT", "LineString": "LINESTRING", "LinearRing": "LINESTRING", "Polygon": "POLYGON",
        "MultiLineString": "MULTILINESTRING", "MultiPolygon": "MULTIPOLYGON", "MultiPoint": "MULTIPOINT",
    }  # fmt: skip

    def one(shape: Any) -> str | None:
        if shape is None:
            return None
        if shape.is_empty or shape.geom_type not in names or shape.has_z:
            return str(shapely.to_wkt(shape, rounding_precision=-1, trim=True))
        text = shapely.to_geojson(shape)
        inner = _POSITION.sub(r"\1 \2", text[text.index("[") : -1])
        bracketed = inner.replace("[", "(").replace("]", ")")
        return f"{names[shape.geom_type]} {bracketed if bracketed.startswith('(') else f'({bracketed})'}"

    return [one(shape) for shape in shapes]


def _write_parquet(frame: pd.DataFrame, made: Path, path: Path) -> None:
    try:
        frame.to_parquet(made, index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as error:
        raise SchemaError("the table does not fit into Parquet", source=path, found=str(error)) from error


def _write_gpkg(layers: Mapping[str, pd.DataFrame], made: Path, path: Path) -> None:
    try:
        with _still_clock():
            for number, (name, frame) in enumerate(layers.items()):
                options: dict[str, Any] = {"GEOMETRY_NAME": _place(frame)} if _place(frame) else {}
                if any(c.lower() == "fid" for c in frame.columns):
                    options["FID"] = "gridgis_fid"
                pyogrio.write_dataframe(
                    frame, made, layer=name, driver="GPKG", append=number > 0, promote_to_multi=False,
                    layer_options=options,
                )  # fmt: skip
        for name, frame in layers.items():
            _check_written(made, name, frame)
    except (*_GDAL_ERRORS, sqlite3.Error) as error:
        raise InputError(
            "the file cannot be written", source=path, found=str(error), remedy="What was there is unchanged."
        ) from error


def _check_written(made: Path, name: str, frame: pd.DataFrame) -> None:
    """GDAL says nothing when the disk is full just as the rows are there but their index is not."""
    quoted = name.replace('"', '""')
    with closing(sqlite3.connect(made)) as file:
        rows = file.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0]
        place = _place(frame)
        if place is not None:
            index = f"rtree_{name}_{place}".replace('"', '""')
            there = ~(shapely.is_missing(frame[place].array) | shapely.is_empty(frame[place].array))
            rows += file.execute(f'SELECT count(*) FROM "{index}"').fetchone()[0] - int(there.sum())
    if rows != len(frame):
        raise sqlite3.DatabaseError(f"the layer {name} is not whole")


@contextmanager
def _still_clock() -> Any:
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _STILL})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})


_WRITERS: dict[str, Callable[[pd.DataFrame, Path, Path], None]] = {
    ".geojson": _write_geojson,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
