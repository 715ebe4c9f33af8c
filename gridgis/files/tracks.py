"""Reads tracks: GPX, CSV, GeoJSON and Parquet, single files and folders, into one table of fixes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal
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

FIX_COLUMNS = ["staff", "time", "lon", "lat", "accuracy"]

#: Encodings of a CSV file, tried in turn: UTF-8 with or without its mark, then what a Chinese Excel writes.
_ENCODINGS = ("utf-8-sig", "gb18030")


def read_tracks(
    paths: str | Path | Iterable[str | Path],
    *,
    datum: str | None = None,
    rename: Mapping[str, str] | None = None,
    staff_from: Literal["track", "file"] = "track",
) -> pd.DataFrame:
    """Read tracks into one table of fixes.

    Parameters
    ----------
    paths : path or iterable of paths
        .gpx, .csv, .geojson, .json and .parquet files, and folders: every such file below them, in the order of
        their names.
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
        that are not degrees.
    SchemaError
        A table without the columns of a fix, or values that are not times with a zone and numbers.

    Warns
    -----
    GridgisWarning
        GPX points without a time are left out; GPX times without a zone are read as UTC, as GPX 1.1 has it. Both
        with their count.
    """
    if datum is not None and datum not in crs.DATUMS:
        raise InputError("the datum is unknown", found=repr(datum), wanted=", ".join(crs.DATUMS))
    frames = [_read_one(path, rename, staff_from) for path in _files(paths)]
    fixes = pd.concat(frames, ignore_index=True)
    if datum in ("gcj02", "bd09"):
        shift = crs.gcj02_to_wgs84 if datum == "gcj02" else crs.bd09_to_wgs84
        fixes["lon"], fixes["lat"] = shift(fixes["lon"].to_numpy(), fixes["lat"].to_numpy())
    return fixes[FIX_COLUMNS + [c for c in fixes.columns if c not in FIX_COLUMNS]]


def _files(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    given = [Path(paths)] if isinstance(paths, str | Path) else [Path(p) for p in paths]
    if not given:
        raise InputError("no track files were named")
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in _READERS and p.is_file())
            if not inside:
                raise InputError("the folder holds no tracks", source=path, wanted=", ".join(_READERS))
            found += inside
        elif not path.exists():
            raise InputError("no such file or folder", source=path)
        elif path.suffix.lower() not in _READERS:
            raise InputError(
                "not a kind of track file that is known",
                source=path,
                found=repr(path.suffix),
                wanted=", ".join(_READERS),
            )
        else:
            found.append(path)
    return found


def _read_one(path: Path, rename: Mapping[str, str] | None, staff_from: str) -> pd.DataFrame:
    suffix = path.suffix.lower()
    if suffix == ".gpx":
        fixes = _read_gpx(path, staff_from)
    else:
        fixes = schema.rename_headers(_READERS[suffix](path), "fix", rename, source=path)
        if "staff" not in fixes.columns:
            fixes = fixes.assign(staff=path.stem)
        fixes = schema.check(fixes, "fix", source=path)
        if "accuracy" not in fixes.columns:
            fixes["accuracy"] = np.nan
    fixes["time"] = fixes["time"].dt.as_unit("us")
    off = ~(fixes["lon"].abs().le(180) & fixes["lat"].abs().le(90)).to_numpy()
    if off.any():
        raise InputError(
            "longitudes and latitudes that are not degrees",
            source=path,
            ids=schema.ids_of(fixes, off, None),
            found=", ".join(f"{lon:g} {lat:g}" for lon, lat in fixes.loc[off, ["lon", "lat"]].to_numpy()[:3]),
            wanted="lon within ±180, lat within ±90",
        )
    return fixes


def _read_gpx(path: Path, staff_from: str) -> pd.DataFrame:
    try:
        document = gpxpy.parse(path.read_bytes())
    except gpxpy.gpx.GPXException as error:
        raise InputError(
            f"the GPX is broken: {error}",
            source=path,
            remedy="Was it cut off while it was copied? Export it again.",
        ) from error
    except UnicodeDecodeError as error:
        raise InputError("the GPX is not UTF-8 text", source=path, remedy="Export it again.") from error
    rows = [
        ((track.name or "").strip() if staff_from == "track" else "", point)
        for track in document.tracks
        for segment in track.segments
        for point in segment.points
    ]
    if not rows:
        raise InputError("the GPX holds no track points", source=path, wanted="at least one <trkpt>")
    timed = [(name or path.stem, p.time, p) for name, p in rows if p.time is not None]
    if not timed:
        raise InputError(
            "the GPX has no times",
            source=path,
            found=f"{len(rows)} points without <time>",
            remedy="A route or a drawn line is no patrol; export the recorded track.",
        )
    if len(timed) < len(rows):
        _warn(path, f"{len(rows) - len(timed)} of {len(rows)} points have no time and were left out")
    naive = sum(time.tzinfo is None for _, time, _ in timed)
    if naive:
        _warn(path, f"{naive} times have no zone and were read as UTC")
    return pd.DataFrame(
        {
            "staff": pd.Series([name for name, _, _ in timed], dtype=object),
            "time": pd.to_datetime([time for _, time, _ in timed], utc=True),
            "lon": np.array([p.longitude for _, _, p in timed], dtype=float),
            "lat": np.array([p.latitude for _, _, p in timed], dtype=float),
            "accuracy": np.nan,
        }
    )


def _warn(path: Path, message: str) -> None:
    warn(f"{path}: {message}.", GridgisWarning, stacklevel=4)


def _read_csv(path: Path) -> pd.DataFrame:
    for encoding in _ENCODINGS:
        try:
            return pd.read_csv(path, dtype=object, encoding=encoding, keep_default_na=False, na_values=[""])
        except UnicodeDecodeError:
            continue
        except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
            raise InputError(f"the CSV cannot be read: {error}", source=path) from error
    raise InputError("the CSV is neither UTF-8 nor GB 18030 text", source=path)


def _read_geojson(path: Path) -> pd.DataFrame:
    try:
        frame = gpd.read_file(path)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise InputError(f"the GeoJSON cannot be read: {error}", source=path) from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise GeometryError("the GeoJSON has no geometry", source=path, wanted="points, one a fix")
    return _with_degrees(frame, path)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        kept = pyarrow.parquet.read_schema(path).metadata or {}
        if b"geo" in kept:
            return _with_degrees(gpd.read_parquet(path), path)
        return pd.read_parquet(path)
    except pyarrow.ArrowInvalid as error:
        raise InputError(f"the Parquet file cannot be read: {error}", source=path) from error


def _with_degrees(frame: gpd.GeoDataFrame, path: Path) -> pd.DataFrame:
    """The table of a layer of points, with lon and lat in place of its geometry."""
    crs.require_crs(frame, path)
    points = frame.geometry
    bad = (points.is_empty | points.isna() | (points.geom_type != "Point")).to_numpy()
    if bad.any():
        raise GeometryError(
            "a fix is one point with its time",
            source=path,
            ids=schema.ids_of(frame, bad, None),
            found=", ".join(sorted({str(t) for t in points[bad].geom_type.fillna("no geometry")})),
            wanted="Point",
        )
    degrees: Any = points.to_crs(crs.WGS84).array
    table = pd.DataFrame(frame.drop(columns=points.name))
    return table.assign(lon=shapely.get_x(degrees), lat=shapely.get_y(degrees))


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".gpx": lambda path: _read_gpx(path, "track"),
    ".csv": _read_csv,
    ".geojson": _read_geojson,
    ".json": _read_geojson,
    ".parquet": _read_parquet,
}
