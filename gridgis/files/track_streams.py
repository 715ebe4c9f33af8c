"""Tracks in portions of whole persons, so that more can be read than the memory holds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet

from gridgis import schema
from gridgis.errors import InputError
from gridgis.files.track_sources import Source, sources_of
from gridgis.files.tracks import (
    FIX_COLUMNS,
    SUFFIXES,
    StaffFrom,
    checked_fixes,
    csv_pieces,
    named_paths,
    read_source,
    shifted,
)

#: Fixes in a portion, about.
ROWS = 500_000

#: Where a fix stood among all that were read.
_AT = "_at"

#: Runs that were written are read again in so many pieces.
_PIECES = 8


class _Part(NamedTuple):
    """Nobody in it comes before `first`."""

    first: str
    name: str
    load: Callable[[], pd.DataFrame]


class TrackStream:
    """What :func:`stream_tracks` returns: an iterable of portions that can be gone through again.

    Attributes
    ----------
    rejects : DataFrame
        source (the file), reason: what could not be read and was passed over, as far as the files have been read.
    """

    def __init__(
        self,
        paths: str | Path | Iterable[str | Path],
        datum: str | None,
        rename: Mapping[str, str] | None,
        staff_from: StaffFrom,
        rows: int,
        pass_over: bool,
    ) -> None:
        self._paths = named_paths(paths)
        self._datum, self._rename, self._staff_from = datum, rename, staff_from
        self._rows, self._pass_over = rows, pass_over
        self._errors: dict[str, InputError] = {}
        self._parts: list[_Part] | None = None
        # Only its owner may read it; it goes with this object.
        self._folder = tempfile.TemporaryDirectory(prefix="gridgis-tracks-")
        self._runs = 0

    @property
    def rejects(self) -> pd.DataFrame:
        reasons = [str(error) for error in self._errors.values()]
        return pd.DataFrame({"source": list(self._errors), "reason": reasons}, dtype=object)

    def __iter__(self) -> Iterator[pd.DataFrame]:
        if self._parts is None:
            self._parts = sorted(self._sorted_parts(), key=lambda part: part.first)
        parts, held, some = self._parts, [], False
        for k, part in enumerate(parts):
            fresh = self._loaded(part)
            held += [fresh] if fresh is not None else []
            last = k + 1 == len(parts)
            if not held or (sum(map(len, held)) < self._rows and not last):
                continue
            fixes = pd.concat(held, ignore_index=True) if len(held) > 1 else held[0]
            # Whoever comes before the first of a later part is complete.
            done = np.ones(len(fixes), dtype=bool) if last else (fixes["staff"] < parts[k + 1].first).to_numpy()
            held = [fixes[~done]] if not done.all() else []
            if done.any():
                some = True
                yield self._portion(fixes[done])
        if held:
            some = True
            yield self._portion(pd.concat(held, ignore_index=True))
        if not some and self._errors:
            raise next(iter(self._errors.values()))

    def _portion(self, fixes: pd.DataFrame) -> pd.DataFrame:
        """In the order in which they were read."""
        return shifted(fixes.sort_values(_AT, ignore_index=True)[FIX_COLUMNS], self._datum)

    def _loaded(self, part: _Part) -> pd.DataFrame | None:
        try:
            return part.load()
        except InputError as error:
            self._passed_over(part.name, error)
            return None

    def _passed_over(self, name: str, error: InputError) -> None:
        if not self._pass_over:
            raise error
        self._errors[name] = error

    def _sources(self) -> Iterator[Source]:
        for path in self._paths:
            try:
                yield from sources_of(path, SUFFIXES)
            except InputError as error:
                self._passed_over(str(path), error)

    def _sorted_parts(self) -> list[_Part]:
        """Row groups of files that are sorted by staff; of all else sorted runs, and what is left for none."""
        parts: list[_Part] = []
        pending: list[pd.DataFrame] = []
        count = 0
        for source in self._sources():
            try:
                groups = _row_groups(source, self._rename, count)
                if groups is not None:
                    parts += groups
                    count += pyarrow.parquet.read_metadata(source.path).num_rows
                    continue
                runs, rest, count = self._read(source, count)
            except InputError as error:
                self._passed_over(source.name, error)
                continue
            parts += runs
            pending += rest
            if sum(map(len, pending)) >= self._rows:
                parts += self._run(pending)
                pending = []
        if pending:
            small = pd.concat(pending, ignore_index=True)
            parts.append(_Part(str(small["staff"].min()), "", lambda: small))
        return parts

    def _read(self, source: Source, count: int) -> tuple[list[_Part], list[pd.DataFrame], int]:
        """A file, the runs of it that had to be written, and how many fixes were read up to its end."""
        runs: list[_Part] = []
        own: list[pd.DataFrame] = []
        for table in _pieces(source, self._rename, self._staff_from, self._rows):
            if len(table):
                own.append(table[FIX_COLUMNS].assign(**{_AT: np.arange(count, count + len(table))}))
            count += len(table)
            if sum(map(len, own)) >= self._rows:
                runs += self._run(own)
                own = []
        return runs, own, count

    def _run(self, frames: list[pd.DataFrame]) -> list[_Part]:
        """Fixes, sorted by staff and written."""
        path = Path(self._folder.name) / f"{self._runs:06}.parquet"
        self._runs += 1
        fixes = pd.concat(frames, ignore_index=True).sort_values("staff", kind="stable", ignore_index=True)
        table = pyarrow.Table.from_pandas(fixes, preserve_index=False)
        step = max(self._rows // _PIECES, 1)
        with pyarrow.parquet.ParquetWriter(path, table.schema) as writer:
            for at in range(0, len(table), step):
                writer.write_table(table.slice(at, step))
        firsts = fixes["staff"].iloc[::step].astype(str)
        return [_Part(first, path.name, _again(path, k)) for k, first in enumerate(firsts)]


def stream_tracks(
    paths: str | Path | Iterable[str | Path],
    *,
    datum: str | None = None,
    rename: Mapping[str, str] | None = None,
    staff_from: StaffFrom = "track",
    rows: int = ROWS,
    pass_over: bool = False,
) -> TrackStream:
    """Read tracks in portions, each with all fixes of its staff, so that more can be read than the memory holds.

    Parameters
    ----------
    paths, datum, rename, staff_from
        As for :func:`gridgis.files.read_tracks`.
    rows : int
        Fixes in a portion, about; one person's are never parted.
    pass_over : bool
        Go on without a file that cannot be read (a row group of a sorted Parquet file) and list it in `rejects`. It
        is an error if none can be read.

    Returns
    -------
    TrackStream
        Reads when it is gone through, and can be gone through again. Each portion is a table as of
        :func:`~gridgis.files.read_tracks`, with the five columns of a fix alone, in the order of reading; no two hold
        the same staff.

    Raises
    ------
    InputError, SchemaError
        As :func:`~gridgis.files.read_tracks`, when it is gone through.

    Notes
    -----
    Of a Parquet file whose row groups ascend by staff (a text) one row group after the other is read. All else is read
    once, a file or `rows` rows of CSV or Parquet at a time, and what does not fit is sorted by staff and kept in a
    folder for temporary files until the stream is given up: as much room as the fixes take as Parquet. Members of
    archives, GPX and GeoJSON are read whole, one at a time.
    """
    return TrackStream(paths, datum, rename, staff_from, rows, pass_over)


def _again(path: Path, k: int) -> Callable[[], pd.DataFrame]:
    def read() -> pd.DataFrame:
        with pyarrow.parquet.ParquetFile(path) as file:
            fixes: pd.DataFrame = file.read_row_group(k).to_pandas()
        return fixes

    return read


def _pieces(
    source: Source, rename: Mapping[str, str] | None, staff_from: StaffFrom, rows: int
) -> Iterator[pd.DataFrame]:
    """The checked fixes of a file, so many rows at a time where it can be read so."""
    if source.suffix == ".csv":
        for piece in csv_pieces(source, rows):
            yield checked_fixes(piece, source, rename)
    elif source.suffix == ".parquet" and source.entry is None and not _has_geometry(source):
        with pyarrow.parquet.ParquetFile(source.path) as file:
            for batch in file.iter_batches(batch_size=rows):
                yield checked_fixes(batch.to_pandas(), source, rename)
    else:
        yield read_source(source, rename, staff_from)


def _has_geometry(source: Source) -> bool:
    return b"geo" in (_schema(source).metadata or {})


def _schema(source: Source) -> pyarrow.Schema:
    try:
        return pyarrow.parquet.read_schema(source.path)
    except pyarrow.ArrowInvalid as error:
        raise InputError(f"the Parquet file cannot be read: {error}", source=source.name) from error


def _row_groups(source: Source, rename: Mapping[str, str] | None, count: int) -> list[_Part] | None:
    """The row groups of a Parquet file that ascend by staff; None where they do not, or nobody can tell."""
    if source.suffix != ".parquet" or source.entry is not None or _has_geometry(source):
        return None
    arrow = _schema(source)
    ours = list(schema.rename_headers(arrow.empty_table().to_pandas(), "fix", rename, source.name).columns)
    if "staff" not in ours or len(ours) != len(arrow.names):
        return None
    column = ours.index("staff")
    if not (pyarrow.types.is_string(arrow.types[column]) or pyarrow.types.is_large_string(arrow.types[column])):
        return None  # numbers are sorted otherwise than the texts that they become
    file = pyarrow.parquet.read_metadata(source.path)
    groups = [file.row_group(k) for k in range(file.num_row_groups)]
    told = [group.column(column).statistics for group in groups]
    if not told or any(one is None or not one.has_min_max for one in told):
        return None
    if any(str(one.max) > str(other.min) for one, other in pairwise(told)):
        return None

    def reader(k: int, begin: int) -> Callable[[], pd.DataFrame]:
        def read() -> pd.DataFrame:
            fixes = checked_fixes(_again(Path(source.path), k)(), source, rename)
            return fixes[FIX_COLUMNS].assign(**{_AT: np.arange(begin, begin + len(fixes))})

        return read

    begins = accumulate((group.num_rows for group in groups[:-1]), initial=count)
    several = len(groups) > 1
    return [
        _Part(str(one.min), f"{source.name}, row group {k + 1}" if several else source.name, reader(k, begin))
        for k, (one, begin) in enumerate(zip(told, begins, strict=True))
    ]
