"""One part of a partitioned table: read in pieces, placed, written beside and renamed. What a worker does."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyproj
import shapely

from gridgis import crs
from gridgis.assign.ready import HOW, ReadyGrids
from gridgis.errors import GridgisError, InputError, SchemaError
from gridgis.scale.points import Place, coordinates, place_of

#: Rows worked on at once: what bounds the memory of a worker, whatever the size of a part (about 300 MB).
_ROWS = 1 << 18
_ADDED = ("grid", "grid_how", "grid_distance_m")
#: Where a part written by us says what it was made of and what it holds.
_KEY = b"gridgis"


@dataclass(frozen=True)
class Task:
    """What is to be done with each part: `job` names the grids and parameters, `named` the CRS of parts without one."""

    job: str
    within: float
    named: str | None
    folder: str
    out: str


def assign_part(name: str, task: Task, ground: ReadyGrids) -> dict[str, Any]:
    """Assign one part: its row counts by how, or the reason why it cannot be used.

    The result has the same rows in the same order and all their columns, and grid, grid_how and grid_distance_m. It
    appears under its name only when it is whole; doing it twice gives the same file.
    """
    source, goal = Path(task.folder, name), Path(task.out, name)
    try:
        return _assigned(source, goal, task, ground)
    except GridgisError as error:
        return {"reason": str(error)}


def _assigned(source: Path, goal: Path, task: Task, ground: ReadyGrids) -> dict[str, Any]:
    beside = Path(task.out, ".unfinished", f"{uuid4().hex}.parquet")
    mark = mark_of(source, task.job)
    try:
        with _readable(source), pq.ParquetFile(source) as file:
            place = place_of(file.schema_arrow, None if task.named is None else pyproj.CRS(task.named), source)
            _check_codes(file, source)
            counts = _write(file, place, beside, mark, task, ground, source)
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        goal.parent.mkdir(parents=True, exist_ok=True)
        beside.replace(goal)
    except OSError as error:
        raise InputError("the part cannot be written", source=goal, found=error.strerror or str(error)) from error
    finally:
        beside.unlink(missing_ok=True)
    return counts


@contextmanager
def _readable(source: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, json.JSONDecodeError, KeyError, pyproj.exceptions.CRSError) as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError("the part cannot be read as Parquet (was it cut off?)", source=source, found=line) from error


def _check_codes(file: pq.ParquetFile, source: Path) -> None:
    """Codes are there, and each once in its part; what other parts have is not known here."""
    if "code" not in file.schema_arrow.names:
        raise SchemaError(
            "a house needs the column 'code'", source=source, found=", ".join(map(repr, file.schema_arrow.names))
        )
    codes = file.read(["code"], use_threads=False).column("code")
    if codes.null_count:
        empty = np.flatnonzero(pc.is_null(codes).to_numpy(zero_copy_only=False)) + 1
        raise SchemaError("rows without a code", source=source, ids=empty.tolist())
    if len(codes.unique()) < len(codes):
        counts = codes.value_counts()
        doubled = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
        raise SchemaError(
            "the code is not unique",
            source=source,
            ids=sorted(map(str, doubled.to_pylist())),
            wanted="each code once",
            remedy="Give each row its own, or take the doubled rows out.",
        )


def _write(
    file: pq.ParquetFile, place: Place, beside: Path, mark: dict[str, Any], task: Task, ground: ReadyGrids, source: Path
) -> dict[str, Any]:
    kept = [name for name in file.schema_arrow.names if name not in _ADDED]
    fields = [file.schema_arrow.field(name) for name in kept]
    types = (pa.string(), pa.string(), pa.float64())
    added = [pa.field(name, kind) for name, kind in zip(_ADDED, types, strict=True)]
    schema = pa.schema([*fields, *added], metadata=file.schema_arrow.metadata)
    way = None if place.crs == ground.crs else crs.transformer(place.crs, ground.crs)
    codes, hows = pa.array([*ground.codes, None], pa.string()), pa.array(HOW, pa.string())
    tally, rows, without = np.zeros(len(HOW), dtype=np.int64), 0, 0
    # A dictionary of what differs from row to row costs time and saves nothing.
    repeated = [name for name in schema.names if name not in ("code", place.column, "lon", "lat")]
    with pq.ParquetWriter(beside, schema, compression="zstd", compression_level=1, use_dictionary=repeated) as writer:
        for batch in file.iter_batches(_ROWS, use_threads=False):
            x, y = coordinates(batch, place, source, rows)
            without += int(np.isnan(x).sum())
            if way is not None:
                x, y = way.transform(x, y)
            found = ground.place(x, y, within=task.within)
            grid = codes.take(pa.array(np.where(found.row < 0, len(ground.codes), found.row)))
            metres = pa.array(found.metres, from_pandas=True)
            columns = [*(batch.column(name) for name in kept), grid, hows.take(pa.array(found.how)), metres]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
            tally += np.bincount(found.how, minlength=len(HOW))
            rows += batch.num_rows
        counts = {"rows": rows, "without_place": without, **dict(zip(HOW.tolist(), tally.tolist(), strict=True))}
        writer.add_key_value_metadata({_KEY: json.dumps({**mark, "counts": counts})})
    return counts


def mark_of(source: Path, job: str) -> dict[str, Any]:
    """What tells a part and the work on it from any other."""
    try:
        found = source.stat()
    except OSError as error:
        raise InputError("the part cannot be read", source=source, found=error.strerror or str(error)) from error
    return {"job": job, "size": found.st_size, "mtime_ns": found.st_mtime_ns}


def done_before(goal: Path, mark: dict[str, Any]) -> dict[str, Any] | None:
    """The counts of a part that was assigned before, by the same job from the same file; None if it was not."""
    kept = _footer(goal)
    if kept is None:
        return None
    counts: dict[str, Any] = kept.pop("counts")
    return counts if kept == mark else None


def made_by_us(path: Path) -> bool:
    """Whether a file is a part written here."""
    return _footer(path) is not None


def _footer(path: Path) -> dict[str, Any] | None:
    """What a part written here says of itself; None of a file that is not there, not whole or another's."""
    try:
        kept = json.loads((pq.read_metadata(path).metadata or {}).get(_KEY, b"null"))
    except (OSError, pa.ArrowException):
        return None
    return kept if isinstance(kept, dict) else None


def fingerprint(ground: ReadyGrids, within: float, named: str | None) -> str:
    """A name for the job: the same grids and parameters have the same."""
    from hashlib import sha256

    digest = sha256(json.dumps([ground.crs.to_wkt(), within, named, ground.codes.tolist()]).encode())
    for shape in shapely.to_wkb(np.asarray(ground.frame.geometry.array, dtype=object)):
        digest.update(shape or b"-")
    return digest.hexdigest()[:32]
