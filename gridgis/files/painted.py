"""Keeps painted days as files: one Parquet file a day, in a folder named after the grids and parameters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gridgis.errors import InputError
from gridgis.patrol.lines import Day
from gridgis.patrol.painted import PAINTED_COLUMNS, check_key
from gridgis.replace import replacing

_KEY = b"gridgis_painted"
_SCHEMA = pa.schema(
    [
        ("staff", pa.string()),
        ("date", pa.timestamp("us")),
        ("grid", pa.string()),
        ("cells", pa.list_(pa.int32())),
        ("cm", pa.list_(pa.uint16())),
    ]
)


def save_painted(painted: pd.DataFrame, folder: Path | str) -> list[Path]:
    """Write painted days into `folder`; what it holds of the same staff and days is replaced, the rest stays.

    Parameters
    ----------
    painted : DataFrame
        What :func:`gridgis.patrol.painted.paint_days` returned.
    folder : path
        Made if it does not exist. Other grids and parameters have folders of their own in it.

    Returns
    -------
    list of Path
        The files written, one a day.

    Raises
    ------
    InputError
        If it is no result of paint_days, a file is broken, or the system cannot write.
    """
    key = painted.attrs.get("key")
    if key is None:
        raise InputError("these are no painted days", remedy="Make them with paint_days.")
    place = painted_folder(folder, key)
    place.mkdir(parents=True, exist_ok=True)
    written = []
    for day, rows in painted.groupby("date", sort=True):
        path = place / f"{day:%Y-%m-%d}.parquet"
        if path.exists():
            old = _read(path, key)
            rows = pd.concat([old[~old["staff"].isin(rows["staff"])], rows])
        rows = rows.sort_values(["staff", "grid"], kind="stable")
        table = pa.Table.from_pandas(rows[PAINTED_COLUMNS], schema=_SCHEMA, preserve_index=False)
        table = table.replace_schema_metadata({_KEY: json.dumps(key, sort_keys=True).encode()})
        with replacing(path) as (made,):
            pq.write_table(
                table,
                made,
                compression="zstd",
                use_dictionary=["staff", "grid"],
                column_encoding={"cells.list.element": "DELTA_BINARY_PACKED"},
            )
        written.append(path)
    return written


def read_painted(
    folder: Path | str, key: Mapping[str, Any], *, start: Day | None = None, end: Day | None = None
) -> pd.DataFrame:
    """Read the painted days that :func:`save_painted` keeps in `folder`.

    Parameters
    ----------
    folder : path
    key : mapping
        Of the grids and parameters, from :func:`gridgis.patrol.painted.painted_key`.
    start, end : date, optional
        First and last day; all by default.

    Returns
    -------
    DataFrame
        As of :func:`gridgis.patrol.painted.paint_days`; without rows where nothing was kept.

    Raises
    ------
    InputError
        If a file is broken or was made with others.
    """
    first = "" if start is None else f"{pd.Timestamp(start):%Y-%m-%d}"
    last = "9999" if end is None else f"{pd.Timestamp(end):%Y-%m-%d}"
    paths = sorted(p for p in painted_folder(folder, key).glob("*.parquet") if first <= p.stem <= last)
    frames = [_read(path, key) for path in paths]
    out = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=PAINTED_COLUMNS)
    out["date"] = pd.to_datetime(out["date"]).astype("datetime64[us]")
    out.attrs["key"] = dict(key)
    return out


def painted_folder(folder: Path | str, key: Mapping[str, Any]) -> Path:
    """Where the days of these grids and parameters are."""
    digest = hashlib.sha256(json.dumps(dict(key), sort_keys=True).encode()).hexdigest()
    return Path(folder) / f"painted-{digest[:12]}"


def _read(path: Path, key: Mapping[str, Any]) -> pd.DataFrame:
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise InputError(
            "the painted day cannot be read", source=path, remedy="Delete it and paint the tracks again."
        ) from error
    kept = json.loads((table.schema.metadata or {}).get(_KEY, b"{}"))
    check_key(kept, key, path)
    out = table.select(["staff", "date", "grid"]).to_pandas()
    for name in ("cells", "cm"):
        lists = table.column(name).combine_chunks()
        values, ends = lists.flatten().to_numpy(), np.cumsum(lists.value_lengths().to_numpy())
        out[name] = pd.Series(np.split(values, ends[:-1]) if len(ends) else [], index=out.index, dtype=object)
    return out
