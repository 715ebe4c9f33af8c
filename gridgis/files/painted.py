"""Keeps painted days as files: one Parquet file a day, in a folder named after the grids and parameters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gridgis.errors import InputError
from gridgis.patrol.lines import Day
from gridgis.patrol.packing import packed, unpacked
from gridgis.patrol.painted import PAINTED_COLUMNS, check_key
from gridgis.replace import replacing


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
        with replacing(path) as (made,):
            made.write_bytes(packed(rows, key))
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
    found = unpacked(path.read_bytes(), path)
    check_key(found.attrs["key"], key, path)
    found.attrs = {}
    return found
