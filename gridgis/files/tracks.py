"""Reads tracks: GPX, CSV, GeoJSON and Parquet, single files, folders and archives, into one table of fixes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BytesIO
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

#: The first staff of a part of the tracks, and what reads it.
_Part: TypeAlias = tuple[str, Callable[[], pd.DataFrame]]

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
    frames = [_read_one(s, rename, staff_from) for path in _named(paths) for s in sources_of(path, tuple(_READERS))]
    return _joined(frames, datum)


def read_usable_tracks(
    paths: str | Path | Iterable[str | Path],
    *,
    datum: str | None = None,
    rename: Mapping[str, str] | None = None,
    staff_from: StaffFrom = "track",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the tracks that can be read, and tell which files cannot.

    Parameters are those of :func:`read_tracks`.

    Returns
    -------
    fixes : DataFrame
        As of :func:`read_tracks`.
    rejects : DataFrame
        source (the file), reason; without rows where every file could be read.

    Raises
    ------
    InputError
        If no file can be read: the error of the first.
    """
    frames, errors = [], []
    for path in _named(paths):
        try:
            found = sources_of(path, tuple(_READERS))
        except InputError as error:
            errors.append((str(path), error))
            continue
        for source in found:
            try:
                frames.append(_read_one(source, rename, staff_from))
            except InputError as error:
                errors.append((source.name, error))
    if not frames:
        raise errors[0][1]
    rejects = pd.DataFrame(
        {"source": [name for name, _ in errors], "reason": [str(error) for _, error in errors]}, dtype=object
    )
    return _joined(frames, datum), rejects


def stream_tracks(
    paths: str | Path | Iterable[str | Path],
    *,
    datum: str | None = None,
    rename: Mapping[str, str] | None = None,
    staff_from: StaffFrom = "track",
    rows: int = 500_000,
) -> Iterator[pd.DataFrame]:
    """Read tracks in portions, each with all fixes of its staff, so that more can be read than the memory holds.

    Parameters
    ----------
    paths, datum, rename, staff_from
        As for :func:`read_tracks`.
    rows : int
        Fixes in a portion, about; one person's are never parted.

    Yields
    ------
    DataFrame
        As of :func:`read_tracks`; no two hold the same staff.

    Raises
    ------
    InputError, SchemaError
        As :func:`read_tracks`.

    Notes
    -----
    Parquet files are read by row groups, best sorted by staff and with a few megabytes each: held back is whoever later
    row groups may hold too. Other files are read whole first.
    """
    parts, whole = [], []
    for path in _named(paths):
        for source in sources_of(path, tuple(_READERS)):
            if source.suffix == ".parquet" and source.entry is None:
                parts += _row_groups(source, rename, staff_from)
            else:
                whole.append(_read_one(source, rename, staff_from))
    if whole:
        small = pd.concat(whole, ignore_index=True)
        parts.append((str(small["staff"].min()), lambda: small))
    parts.sort(key=lambda part: part[0])
    held: list[pd.DataFrame] = []
    for k, (_, load) in enumerate(parts):
        held.append(load())
        if sum(map(len, held)) < rows and k + 1 < len(parts):
            continue
        fixes = pd.concat(held, ignore_index=True) if len(held) > 1 else held[0]
        # Whoever comes before the first of a later part is complete.
        done = (fixes["staff"] < parts[k + 1][0]).to_numpy() if k + 1 < len(parts) else np.ones(len(fixes), dtype=bool)
        held = [fixes[~done]] if not done.all() else []
        if done.any():
            yield _joined([fixes[done]], datum)


def _named(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    given = [Path(paths)] if isinstance(paths, str | Path) else [Path(p) for p in paths]
    if not given:
        raise InputError("no track files were named")
    return given


def _joined(frames: list[pd.DataFrame], datum: str | None) -> pd.DataFrame:
    if datum is not None and datum not in crs.DATUMS:
        raise InputError("the datum is unknown", found=repr(datum), wanted=", ".join(crs.DATUMS))
    fixes = pd.concat(frames, ignore_index=True)
    if datum in ("gcj02", "bd09"):
        shift = crs.gcj02_to_wgs84 if datum == "gcj02" else crs.bd09_to_wgs84
        fixes["lon"], fixes["lat"] = shift(fixes["lon"].to_numpy(), fixes["lat"].to_numpy())
    return fixes[FIX_COLUMNS + [c for c in fixes.columns if c not in FIX_COLUMNS]]


def _read_one(source: Source, rename: Mapping[str, str] | None, staff_from: str) -> pd.DataFrame:
    if source.suffix == ".gpx":
        fixes = _read_gpx(source, staff_from)
        fixes["time"] = fixes["time"].dt.as_unit("us")
        return _in_degrees(fixes, source.name)
    return _checked(_READERS[source.suffix](source), source, rename)


def _checked(table: pd.DataFrame, source: Source, rename: Mapping[str, str] | None) -> pd.DataFrame:
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


def _row_groups(source: Source, rename: Mapping[str, str] | None, staff_from: str) -> list[_Part]:
    """The first staff of each row group, by its statistics, and what reads it; a file without them is one part."""
    try:
        file = pyarrow.parquet.ParquetFile(source.path)
    except pyarrow.ArrowInvalid as error:
        raise InputError(f"the Parquet file cannot be read: {error}", source=source.name) from error
    names = list(file.schema_arrow.names)
    ours = list(schema.rename_headers(file.schema_arrow.empty_table().to_pandas(), "fix", rename, source.name).columns)
    geo = b"geo" in (file.schema_arrow.metadata or {})
    firsts: list[str | None] = []
    if "staff" in ours and len(ours) == len(names) and not geo:
        column = ours.index("staff")
        for k in range(file.num_row_groups):
            found = file.metadata.row_group(k).column(column).statistics
            firsts.append(str(found.min) if found is not None and found.has_min_max else None)
    if not firsts or None in firsts:
        fixes = _read_one(source, rename, staff_from)
        return [(str(fixes["staff"].min()), lambda: fixes)]

    def reader(k: int) -> Callable[[], pd.DataFrame]:
        def read() -> pd.DataFrame:
            with pyarrow.parquet.ParquetFile(source.path) as again:
                return _checked(again.read_row_group(k).to_pandas(), source, rename)

        return read

    return [(str(first), reader(k)) for k, first in enumerate(firsts)]


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


def _read_csv(source: Source) -> pd.DataFrame:
    text = _bytes(source)
    for encoding in _ENCODINGS:
        try:
            return pd.read_csv(BytesIO(text), dtype=object, encoding=encoding, keep_default_na=False, na_values=[""])
        except UnicodeDecodeError:
            continue
        except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
            raise InputError(f"the CSV cannot be read: {error}", source=source.name) from error
    raise InputError("the CSV is neither UTF-8 nor GB 18030 text", source=source.name)


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
