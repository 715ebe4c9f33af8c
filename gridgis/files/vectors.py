"""Read the users' tables: whatever GDAL reads, CSV, Parquet and OSM, as ``FILE``, ``FILE:LAYER``, ``…#CODE``."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pyogrio
import pyogrio.errors
import pyogrio.raw
import pyproj
import shapely

from gridgis.crs import WGS84, from_datum, require_crs
from gridgis.errors import CRSError, GridgisWarning, InputError, NotFoundError, SchemaError
from gridgis.files.tables import (
    check_degrees,
    infer_types,
    read_csv,
    read_geojson,
    refuse_shapes,
    unreadable,
    with_points,
    with_wkt,
)
from gridgis.schema import TABLES, check, codes_as_text, rename_headers

_CSV = (".csv", ".tsv", ".txt")
_OSM = (".osm", ".pbf", ".osm.gz", ".osm.bz2")
_PARQUET = (".parquet", ".geoparquet")
_WKT_COLUMNS = ("geometry", "wkt", "geom", "the_geom")
_CODE_COLUMNS = ("code", "编码", "代码")
_PLURALS = {"boundary": "boundaries", "leave": "leave"}
_ONE_LAYER = (*_CSV, *_PARQUET, ".geojson", ".json")
_GDAL_ERRORS = (
    pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError,
    pyogrio.errors.FieldError, pyogrio.errors.GeometryError, UnicodeDecodeError, RuntimeError, ValueError, OSError,
)  # fmt: skip
# Whole numbers with gaps stay whole: as floats, codes of more than 15 digits would be rounded.
_EXACT = {"integer_object_nulls": True}
_EXACT_FLOATS = 2**53
_UNIT_DIGITS, _LONG_DIGITS = 9, 12


class Spec(NamedTuple):
    """What ``FILE:LAYER#CODE`` names."""

    path: Path
    layer: str | None
    code: str | None


def parse_spec(spec: str | Path) -> Spec:
    """Take ``FILE``, ``FILE:LAYER``, ``FILE#CODE`` or ``FILE:LAYER#CODE`` apart; a path that exists wins.

    Raises
    ------
    InputError
        If there is no such file.
    """
    text = str(spec)
    if Path(text).exists():
        return Spec(Path(text), None, None)
    for cut in range(len(text) - 1, 0, -1):
        if text[cut] in ":#" and Path(text[:cut]).exists():
            rest = text[cut:]
            layer, _, code = rest[1:].partition("#") if rest[0] == ":" else ("", "", rest[1:])
            return Spec(Path(text[:cut]), layer or None, code.strip() or None)
    raise InputError("no such file", source=text)


def read(
    spec: str | Path,
    *,
    table: str | None = None,
    layer: str | None = None,
    crs: str | None = None,
    datum: str | None = None,
    rename: Mapping[str, str] | None = None,
    lenient: Iterable[str] = (),
) -> gpd.GeoDataFrame | pd.DataFrame:
    """Read one table of a file.

    Parameters
    ----------
    spec : str or Path
        ``FILE``, ``FILE:LAYER``, and ``…#CODE`` for the one feature with that code (a 9-digit unit code equals its
        12-digit form). A path that exists as it stands wins.
    table : str, optional
        A key of :data:`gridgis.schema.TABLES`: headers are renamed to its columns and it is checked at the door.
        Without it columns travel as they are.
    layer : str, optional
        The layer where the spec names none. By default the one named as the table (or its plural), else the only one.
    crs : str, optional
        The CRS of a file that names none; it does not override one that is named.
    datum : {"wgs84", "gcj02", "bd09"}, optional
        The datum of the degrees in the file; they are shifted to WGS 84.
    rename : mapping, optional
        Their headers to ours.
    lenient : iterable of {"codes", "geometry", "choices"}
        What :func:`gridgis.schema.check` lets pass.

    Returns
    -------
    GeoDataFrame or DataFrame
        In the file's CRS and with its exact coordinates; heights (z) are dropped. A DataFrame where the file has no
        geometry. CSV and Parquet with lon and lat columns give points in EPSG:4326 and keep the columns.

    Raises
    ------
    InputError
        If the file does not exist, cannot be read or was cut off, or has several layers and none is named.
    CRSError
        If the CRS is missing, unknown, geographic with coordinates that cannot be degrees, or in metres with a place
        of less than a metre whose coordinates can.
    NotFoundError
        If no feature has the code.
    SchemaError, GeometryError
        If a ring is open, several features have the code, or the table is not what :func:`gridgis.schema.check`
        wants.

    Notes
    -----
    Coordinates are not sent through any projection. A `datum` is the only thing that changes them. A CSV file that was
    cut off exactly at the end of a row cannot be told from a whole one.
    """
    given = parse_spec(spec)
    frame = settle(load(given, table, layer=layer, crs=crs, rename=rename), given, table, crs=crs, datum=datum)
    return frame if table is None else check(frame, table, source=str(given.path), lenient=lenient)


def load(
    given: Spec,
    table: str | None,
    *,
    layer: str | None = None,
    crs: str | None = None,
    rename: Mapping[str, str] | None = None,
) -> gpd.GeoDataFrame | pd.DataFrame:
    """The first half of :func:`read`: the rows of a file as they are, under the names of our columns."""
    frame = _plain_text(_load(given.path, given.layer or layer, table, _known_crs(crs)))
    frame = rename_headers(frame, table, rename, str(given.path))
    if given.path.suffix.lower() in _CSV:
        known = {c.name for c in TABLES[table].columns} if table else set()
        frame = infer_types(frame, {*known, *_WKT_COLUMNS})
    return frame


def settle(
    frame: gpd.GeoDataFrame | pd.DataFrame,
    given: Spec,
    table: str | None,
    *,
    crs: str | None = None,
    datum: str | None = None,
) -> gpd.GeoDataFrame | pd.DataFrame:
    """The second half of :func:`read`, but for the check at the door: places, their CRS, the one feature asked for."""
    source, named = str(given.path), _known_crs(crs)
    frame = _with_geometry(frame, table, named, source)
    if isinstance(frame, gpd.GeoDataFrame):
        frame = _settled(frame, named, source)
        check_degrees(frame, source)
    if datum is not None:
        frame = _shifted(frame, datum, source)
    return frame if given.code is None else _feature(frame, given.code, table, source)


def list_layers(spec: str | Path) -> list[str]:
    """The layers of a file that can have several; none for the formats that hold one table."""
    path = parse_spec(spec).path
    return [] if path.suffix.lower() in _ONE_LAYER else _layers(path)


def read_layer_beside(
    spec: str | Path, layer: str, *, table: str | None = None, crs: str | None = None
) -> gpd.GeoDataFrame | pd.DataFrame | None:
    """Another layer of what :func:`gridgis.files.write_layers` wrote: in the same file, or ``NAME.LAYER.EXT`` beside.

    None where there is neither.
    """
    path = parse_spec(spec).path
    beside = path.with_name(f"{path.stem}.{layer}{path.suffix}")
    if beside.is_file():
        return read(beside, table=table, crs=crs)
    return read(path, layer=layer, table=table, crs=crs) if layer in list_layers(path) else None


def _known_crs(crs: str | None) -> pyproj.CRS | None:
    try:
        return None if crs is None else pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise CRSError("the CRS is unknown", found=repr(str(crs)), wanted="a code as EPSG:4326") from error


def _load(path: Path, layer: str | None, table: str | None, crs: pyproj.CRS | None) -> Any:
    """The rows of the file as they are, text columns of CSV still text."""
    ending = path.suffix.lower()
    if path.name.lower().endswith(_OSM):
        return _load_osm(path, layer, table)
    if ending in _CSV:
        _only_layer([path.stem], layer, path)
        return read_csv(path)
    if ending in _PARQUET:
        _only_layer([path.stem], layer, path)
        return _load_parquet(path)
    if ending in (".geojson", ".json"):
        found = read_geojson(path, crs)
        if found is not None:
            _only_layer([path.stem, found[0]], layer, path)
            return found[1]
    return _load_gdal(path, layer, table)


def _plain_text(frame: Any) -> Any:
    """Text as plain objects, None where missing, whichever way the format came in."""
    texts = [c for c in frame.columns if isinstance(frame[c].dtype, pd.StringDtype)]
    return frame.assign(**{c: frame[c].astype(object).where(frame[c].notna(), None) for c in texts}) if texts else frame


def _load_osm(path: Path, layer: str | None, table: str | None) -> gpd.GeoDataFrame:
    from gridgis.files.osm import read_osm

    layers = read_osm(path)
    return layers[_choose(list(layers), layer, table, path)]


def _load_parquet(path: Path) -> gpd.GeoDataFrame | pd.DataFrame:
    try:
        if b"geo" in (pa.parquet.read_schema(path).metadata or {}):
            frame = gpd.read_parquet(path, to_pandas_kwargs=_EXACT)
            named = None if frame.crs is None else frame.crs.to_authority(min_confidence=100)
            # CRS84 is EPSG:4326 with x before y, and x comes first here whatever the CRS says.
            plain = WGS84 if named == ("OGC", "CRS84") else named and ":".join(named)
            return frame if plain is None else frame.set_crs(plain, allow_override=True)
        return pa.parquet.read_table(path).to_pandas(**_EXACT)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(
            "the file cannot be read as Parquet (was it cut off?)", source=path, found=_first_line(error)
        ) from error


def _load_gdal(path: Path, layer: str | None, table: str | None) -> gpd.GeoDataFrame | pd.DataFrame:
    chosen = _choose(_layers(path, table), layer, table, path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            frame = _read_gdal(path, chosen)
        except shapely.GEOSException:
            raw = pyogrio.raw.read(path, layer=chosen, columns=[])[2]
            refuse_shapes(unreadable(raw, shapely.from_wkb), path)
            raise
        except _GDAL_ERRORS as error:
            raise InputError(
                "the file cannot be read (was it cut off?)", source=path, found=_first_line(error)
            ) from error
    said = list(dict.fromkeys(_first_line(w.message) for w in caught if issubclass(w.category, RuntimeWarning)))
    if said:
        warnings.warn(f"{path}: {len(said)} remarks while reading: {'; '.join(said[:3])}", GridgisWarning, stacklevel=4)
    return frame


def _read_gdal(path: Path, layer: str) -> gpd.GeoDataFrame | pd.DataFrame:
    info = pyogrio.read_info(path, layer=layer)
    _check_length(path)
    frame = _read_encoded(path, layer, info)
    if 0 <= info["features"] != len(frame):
        raise InputError(
            "the file was cut off",
            source=path,
            found=f"{len(frame)} features",
            wanted=f"the {info['features']} it names",
        )
    return _exact_integers(frame, path, layer, info)


def _check_length(path: Path) -> None:
    """A shapefile names its own length (in words of two bytes); GDAL reads a shorter one as missing shapes."""
    if path.suffix.lower() == ".shp":
        with path.open("rb") as file:
            named = 2 * int.from_bytes(file.read(28)[24:28], "big")
        if path.stat().st_size < named:
            raise InputError(
                "the file was cut off",
                source=path,
                found=f"{path.stat().st_size} bytes",
                wanted=f"the {named} it names",
            )


def _exact_integers(frame: Any, path: Path, layer: str, info: Mapping[str, Any]) -> Any:
    """Long codes stored as whole numbers with gaps: as exact numbers, where floats would have rounded them."""
    whole = [str(f) for f, kind in zip(info["fields"], info["dtypes"], strict=True) if kind == "int64"]
    rounded = [f for f in whole if frame[f].dtype == float and frame[f].abs().max() >= _EXACT_FLOATS]
    if not rounded:
        return frame
    exact = pyogrio.read_dataframe(
        path, layer=layer, columns=rounded, read_geometry=False, use_arrow=True,
        arrow_to_pandas_kwargs=_EXACT,
    )  # fmt: skip
    return frame.assign(**{f: exact[f] for f in rounded})


def _read_encoded(path: Path, layer: str, info: Mapping[str, Any]) -> gpd.GeoDataFrame | pd.DataFrame:
    # A shapefile that does not say its encoding: Chinese ones are UTF-8 or GB 18030, never Latin-1 as GDAL assumes.
    if info["driver"] == "ESRI Shapefile" and info["encoding"] == "ISO-8859-1":
        try:
            return pyogrio.read_dataframe(path, layer=layer, encoding="UTF-8")
        except UnicodeDecodeError:
            return pyogrio.read_dataframe(path, layer=layer, encoding="GB18030")
    return pyogrio.read_dataframe(path, layer=layer)


def _layers(path: Path, table: str | None = None) -> list[str]:
    """Layers of a file of GDAL's; without those that have no geometry, where the table needs it."""
    try:
        listed = pyogrio.list_layers(path)
    except _GDAL_ERRORS as error:
        raise _not_readable(path, error) from error
    placed = table is not None and TABLES[table].geometry_required
    return [str(name) for name, shape in listed if shape is not None or not placed]


def _not_readable(path: Path, error: Exception) -> InputError:
    if path.is_dir():
        return InputError("this is a folder", source=path, wanted="the name of a file in it")
    if path.stat().st_size == 0:
        return InputError("the file is empty", source=path, wanted="a table with rows")
    if "not recognized" in str(error):
        return InputError("the file cannot be read", source=path, found="no known format", wanted="one that GDAL reads")
    return InputError("the file cannot be read (was it cut off?)", source=path, found=_first_line(error))


def _choose(names: Sequence[str], layer: str | None, table: str | None, path: Path) -> str:
    """The layer that was named, else that of the table's name or plural, else the only one."""
    if layer is not None:
        _only_layer(names, layer, path)
        return layer
    ours = () if table is None else (table, _PLURALS.get(table, f"{table}s"))
    found = [name for name in names if name in ours] or list(names)
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError("the file has no layer that fits", source=path, wanted="a layer with geometry")
    raise InputError(
        f"the file has {len(names)} layers and none is named",
        source=path,
        found=", ".join(names),
        remedy=f"Name one: {path}:{names[0]}",
    )


def _only_layer(names: Sequence[str], layer: str | None, path: Path) -> None:
    if layer is not None and layer not in names:
        raise NotFoundError(
            f"there is no layer {layer!r}", source=path, found=", ".join(dict.fromkeys(names)) or "no layers"
        )


def _with_geometry(frame: Any, table: str | None, crs: pyproj.CRS | None, source: str) -> Any:
    """Points of lon and lat, or shapes of a WKT column, where a plain table has them and the table is a place."""
    if isinstance(frame, gpd.GeoDataFrame) or (table is not None and TABLES[table].shape is None):
        return frame
    if {"lon", "lat"} <= set(frame.columns):
        return with_points(frame, source)
    column = next((c for c in frame.columns if str(c).lower() in _WKT_COLUMNS), None)
    return frame if column is None else with_wkt(frame, column, crs, source)


def _settled(frame: gpd.GeoDataFrame, crs: pyproj.CRS | None, source: str) -> gpd.GeoDataFrame:
    """`frame` with a CRS and flat geometry, its rows numbered from 0."""
    frame = frame.reset_index(drop=True)
    if frame.crs is None and crs is not None:
        frame = frame.set_crs(crs)
    require_crs(frame, source)
    _check_metres(frame, source)
    shapes = frame.geometry.array
    return frame.set_geometry(shapely.force_2d(shapes), crs=frame.crs) if shapes.has_z.any() else frame


def _check_metres(frame: gpd.GeoDataFrame, source: str) -> None:
    """Raise where a CRS in metres has coordinates that are degrees: a place of less than a metre does not exist."""
    west, south, east, north = frame.total_bounds
    small = 0 < max(east - west, north - south) < 1
    if frame.crs.is_projected and small and max(-west, east) <= 180 and max(-south, north) <= 90:
        raise CRSError(
            f"the coordinates look like degrees, though the CRS ({frame.crs.name}) is in metres",
            source=source,
            found=f"x {west:g} to {east:g}, y {south:g} to {north:g}",
            remedy="Give the file the CRS that its coordinates are in.",
        )


def _shifted(frame: Any, datum: str, source: str) -> Any:
    """`frame` in WGS 84; its lon and lat columns, where it has them, move with it."""
    if isinstance(frame, gpd.GeoDataFrame):
        moved = from_datum(frame, datum, source)
        points = {"lon", "lat"} <= set(frame.columns) and (moved.geom_type.dropna() == "Point").all()
        return moved.assign(lon=moved.geometry.x, lat=moved.geometry.y) if points else moved
    if {"lon", "lat"} <= set(frame.columns):
        moved = _shifted(with_points(frame, source), datum, source)
        return pd.DataFrame(moved.drop(columns=moved.geometry.name))
    raise InputError("a datum is named for a table without coordinates", source=source, found=datum)


def _feature(frame: Any, code: str, table: str | None, source: str) -> Any:
    """The one row whose code is `code`."""
    key = TABLES[table].key if table else None
    wanted = [c for c in frame.columns if str(c).strip().lower() in _CODE_COLUMNS or c == key]
    if not wanted:
        raise SchemaError(
            "there is no column of codes to find a feature by",
            source=source,
            found=", ".join(repr(str(c)) for c in frame.columns),
            wanted="a column code",
            remedy="Rename yours with --map theirs=code.",
        )
    codes = codes_as_text(frame[wanted[0]])
    rows = np.flatnonzero((codes.map(_short) == _short(code)).to_numpy())
    if len(rows) == 0:
        shown = ", ".join(str(c) for c in codes.dropna().head(10))
        raise NotFoundError(f"no feature has the code {code}", source=source, found=f"codes as {shown}")
    if len(rows) > 1:
        raise SchemaError(
            f"{len(rows)} features have the code {code}", source=source, ids=[int(r) + 1 for r in rows], wanted="one"
        )
    return frame.iloc[rows].reset_index(drop=True)


def _short(code: object) -> object:
    """A 12-digit unit code that only adds zeros as its 9 digits."""
    text = str(code)
    zeros = "0" * (_LONG_DIGITS - _UNIT_DIGITS)
    return text[:_UNIT_DIGITS] if len(text) == _LONG_DIGITS and text.isdigit() and text.endswith(zeros) else code


def _first_line(error: object) -> str:
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line.split("; It might help")[0].rstrip(".")
