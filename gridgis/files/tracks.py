"""Reads tracks: GPX, CSV, GeoJSON and Parquet, single files, folders and archives, into one table of fixes."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias
from warnings import warn

import geopandas as gpd
import gpxpy
import gpxpy.gpx
import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pyogrio.errors
import shapely

from gridgis import crs, schema
from gridgis.errors import GeometryError, GridgisWarning, InputError
from gridgis.files.track_sources import Source, sources_of

StaffFrom: TypeAlias = Literal["track", "file"]

FIX_COLUMNS = ["staff", "time", "lon", "lat", "accuracy"]

#: Encodings of a CSV file, tried in turn: UTF-8 with or without its mark, then what a Chinese Excel writes.
_ENCODINGS = ("utf-8-sig", "gb18030")


def read_tracks(
    paths: str | Path | Iterable[str | Path],
    *,
    datum: str | None = None,
    rename: Mapping[str, str] | None = None,
    staff_from: StaffFrom = "track",
) -> pd.DataFrame:
    """Read tracks into one table of fixes.

    Parameters
    ----------
    paths : path or iterable of paths
        .gpx, .csv, .geojson, .json and .parquet files, .zip archives of them, and folders: every such file below them,
        in the order of their names. Archives are read in memory.
    datum : {"wgs84", "gcj02", "bd09"}, optional
        Of the longitudes and latitudes in the files (wgs84 if not given); they are shifted to WGS 84 on the way in.
    rename : mapping, optional
        Their column names to ours, for tables; a file without that column is an error.
    staff_from : {"track", "file"}
        Whose walk a GPX track is: its name (the file's, where it has none), or always the file's. A table has a
        column `staff`, or is one person's and named after them.

    Returns
    -------
    DataFrame
        staff (text), time (UTC), lon, lat (degrees, WGS 84), accuracy (metres, NaN where unknown), and any other
        column of the tables, in the order of the files.

    Raises
    ------
    InputError
        A path that does not exist, a folder without tracks, a broken file, GPX without tracks or times, coordinates
        that are not degrees; an archive that is damaged, encrypted, far too large, or that leads out of itself.
    SchemaError
        A table without the columns of a fix, or values that are not times with a zone and numbers.

    Warns
    -----
    GridgisWarning
        GPX points without a time are left out; GPX times without a zone are read as UTC, as GPX 1.1 has it. Both
        with their count.
    """
    found = [source for path in named_paths(paths) for source in sources_of(path, SUFFIXES)]
    fixes = shifted(pd.concat([read_source(source, rename, staff_from) for source in found], ignore_index=True), datum)
    return fixes[FIX_COLUMNS + [c for c in fixes.columns if c not in FIX_COLUMNS]]


def named_paths(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """The paths as a list.

    Raises
    ------
    InputError
        None.
    """
    given = [Path(paths)] if isinstance(paths, str | Path) else [Path(p) for p in paths]
    if not given:
        raise InputError("no track files were named")
    return given


def shifted(fixes: pd.DataFrame, datum: str | None) -> pd.DataFrame:
    """Fixes as read, their places moved in place from `datum` to WGS 84.

    Raises
    ------
    InputError
        An unknown datum.
    """
    if datum is not None and datum not in crs.DATUMS:
        raise InputError("the datum is unknown", found=repr(datum), wanted=", ".join(crs.DATUMS))
    if datum in ("gcj02", "bd09"):
        shift = crs.gcj02_to_wgs84 if datum == "gcj02" else crs.bd09_to_wgs84
        fixes["lon"], fixes["lat"] = shift(fixes["lon"].to_numpy(), fixes["lat"].to_numpy())
    return fixes


def read_source(source: Source, rename: Mapping[str, str] | None, staff_from: StaffFrom) -> pd.DataFrame:
    """The checked fixes of one file, not shifted; errors as of :func:`read_tracks`."""
    if source.suffix == ".gpx":
        fixes = _read_gpx(source, staff_from)
        fixes["time"] = fixes["time"].dt.as_unit("us")
        return _in_degrees(fixes, source.name)
    return checked_fixes(_READERS[source.suffix](source), source, rename)


def checked_fixes(table: pd.DataFrame, source: Source, rename: Mapping[str, str] | None) -> pd.DataFrame:
    """Rows of a table as fixes; errors as of :func:`read_tracks`."""
    fixes = schema.rename_headers(table, "fix", rename, source=source.name)
    if "staff" not in fixes.columns:
        fixes = fixes.assign(staff=source.stem)
    fixes = schema.check(fixes, "fix", source=source.name)
    if "accuracy" not in fixes.columns:
        fixes["accuracy"] = np.nan
    fixes["time"] = fixes["time"].dt.as_unit("us")
    return _in_degrees(fixes, source.name)


def _in_degrees(fixes: pd.DataFrame, source: str) -> pd.DataFrame:
    off = ~(fixes["lon"].abs().le(180) & fixes["lat"].abs().le(90)).to_numpy()
    if off.any():
        raise InputError(
            "longitudes and latitudes that are not degrees",
            source=source,
            ids=schema.ids_of(fixes, off, None),
            found=", ".join(f"{lon:g} {lat:g}" for lon, lat in fixes.loc[off, ["lon", "lat"]].to_numpy()[:3]),
            wanted="lon within ±180, lat within ±90",
        )
    return fixes


def _read_gpx(source: Source, staff_from: str) -> pd.DataFrame:
    try:
        document = gpxpy.parse(_bytes(source))
    except gpxpy.gpx.GPXException as error:
        raise InputError(
            f"the GPX is broken: {error}",
            source=source.name,
            remedy="Was it cut off while it was copied? Export it again.",
        ) from error
    except UnicodeDecodeError as error:
        raise InputError("the GPX is not UTF-8 text", source=source.name, remedy="Export it again.") from error
    rows = [
        ((track.name or "").strip() if staff_from == "track" else "", point)
        for track in document.tracks
        for segment in track.segments
        for point in segment.points
    ]
    if not rows:
        raise InputError("the GPX holds no track points", source=source.name, wanted="at least one <trkpt>")
    timed = [(name or source.stem, p.time, p) for name, p in rows if p.time is not None]
    if not timed:
        raise InputError(
            "the GPX has no times",
            source=source.name,
            found=f"{len(rows)} points without <time>",
            remedy="A route or a drawn line is no patrol; export the recorded track.",
        )
    if len(timed) < len(rows):
        _warn(source, f"{len(rows) - len(timed)} of {len(rows)} points have no time and were left out")
    naive = sum(time.tzinfo is None for _, time, _ in timed)
    if naive:
        _warn(source, f"{naive} times have no zone and were read as UTC")
    return pd.DataFrame(
        {
            "staff": pd.Series([name for name, _, _ in timed], dtype=object),
            "time": pd.to_datetime([time for _, time, _ in timed], utc=True),
            "lon": np.array([p.longitude for _, _, p in timed], dtype=float),
            "lat": np.array([p.latitude for _, _, p in timed], dtype=float),
            "accuracy": np.nan,
        }
    )


def _bytes(source: Source) -> bytes:
    content = source.content()
    return content.read_bytes() if isinstance(content, Path) else content.getvalue()


def _warn(source: Source, message: str) -> None:
    warn(f"{source.name}: {message}.", GridgisWarning, stacklevel=4)


def csv_pieces(source: Source, rows: int) -> Iterator[pd.DataFrame]:
    """A CSV file, so many rows at a time, as text.

    Raises
    ------
    InputError
        It is no table, or of no known encoding.
    """
    encoding = _encoding(source)
    try:
        with pd.read_csv(
            source.content(), dtype=object, encoding=encoding, keep_default_na=False, na_values=[""], chunksize=rows
        ) as pieces:
            yield from pieces
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"the CSV cannot be read: {error}", source=source.name) from error


def _encoding(source: Source) -> str:
    for encoding in _ENCODINGS:
        content = source.content()
        with content.open("rb") if isinstance(content, Path) else content as raw:
            try:
                for _ in codecs.iterdecode(iter(lambda: raw.read(1 << 20), b""), encoding):
                    pass
            except UnicodeDecodeError:
                continue
            return encoding
    raise InputError("the CSV is neither UTF-8 nor GB 18030 text", source=source.name)


def _read_csv(source: Source) -> pd.DataFrame:
    pieces = list(csv_pieces(source, 1_000_000))
    return pieces[0] if len(pieces) == 1 else pd.concat(pieces, ignore_index=True)


def _read_geojson(source: Source) -> pd.DataFrame:
    try:
        frame = gpd.read_file(source.content())
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise InputError(f"the GeoJSON cannot be read: {error}", source=source.name) from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise GeometryError("the GeoJSON has no geometry", source=source.name, wanted="points, one a fix")
    return _with_degrees(frame, source)


def _read_parquet(source: Source) -> pd.DataFrame:
    try:
        kept = pyarrow.parquet.read_schema(source.content()).metadata or {}
        if b"geo" in kept:
            return _with_degrees(gpd.read_parquet(source.content()), source)
        return pd.read_parquet(source.content())
    except pyarrow.ArrowInvalid as error:
        raise InputError(f"the Parquet file cannot be read: {error}", source=source.name) from error


def _with_degrees(frame: gpd.GeoDataFrame, source: Source) -> pd.DataFrame:
    """The table of a layer of points, with lon and lat in place of its geometry."""
    crs.require_crs(frame, source.name)
    points = frame.geometry
    bad = (points.is_empty | points.isna() | (points.geom_type != "Point")).to_numpy()
    if bad.any():
        raise GeometryError(
            "a fix is one point with its time",
            source=source.name,
            ids=schema.ids_of(frame, bad, None),
            found=", ".join(sorted({str(t) for t in points[bad].geom_type.fillna("no geometry")})),
            wanted="Point",
        )
    degrees: Any = points.to_crs(crs.WGS84).array
    table = pd.DataFrame(frame.drop(columns=points.name))
    return table.assign(lon=shapely.get_x(degrees), lat=shapely.get_y(degrees))


_READERS: dict[str, Callable[[Source], pd.DataFrame]] = {
    ".gpx": lambda source: _read_gpx(source, "track"),
    ".csv": _read_csv,
    ".geojson": _read_geojson,
    ".json": _read_geojson,
    ".parquet": _read_parquet,
}

#: How the names of the files end.
SUFFIXES = tuple(_READERS)
