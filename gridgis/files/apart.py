"""Read a table and set aside the rows that cannot be used, each with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gridgis.chinese import in_both
from gridgis.errors import CRSError, GeometryError, SchemaError
from gridgis.files.vectors import load, parse_spec, settle
from gridgis.schema import check

#: The columns that stand before a rejected row's own.
REJECT_COLUMNS = ("file", "row", "reason")


class Apart(NamedTuple):
    """What can be used of a file, and what cannot.

    `frame` is as :func:`gridgis.files.read` gives it; `named` are the columns that the file itself has, without those
    that the check filled in; `numbers` is the row of the file that each row of the frame was, from 1 without the
    header; `rejects` has the file, the row, the reason, and the row as the file has it.
    """

    frame: gpd.GeoDataFrame | pd.DataFrame
    named: tuple[str, ...]
    numbers: np.ndarray
    rejects: pd.DataFrame


def read_apart(
    spec: str,
    table: str,
    *,
    crs: str | None = None,
    datum: str | None = None,
    rename: Mapping[str, str] | None = None,
) -> Apart:
    """Read a table of a file; rows that cannot be used are set aside.

    Set aside are rows with a value that does not fit its column, without a key or with one that stands twice, with a
    missing, invalid or wrong kind of geometry, or with coordinates that cannot be.

    Parameters
    ----------
    spec : str
        As in :func:`gridgis.files.read`, like the others.
    table : str
        A key of :data:`gridgis.schema.TABLES`.

    Raises
    ------
    InputError, CRSError, NotFoundError, SchemaError, GeometryError
        As :func:`gridgis.files.read`, where the file as a whole cannot be used, or not one row of it can.
    """
    given = parse_spec(spec)
    raw = load(given, table, crs=crs, rename=rename)
    number = np.arange(1, len(raw) + 1)
    rejects: list[pd.DataFrame] = []
    while True:
        try:
            frame = settle(raw, given, table, crs=crs, datum=datum)
            checked = check(frame, table, source=str(given.path))
            _refuse_invalid(checked, str(given.path))
        except (SchemaError, GeometryError, CRSError) as error:
            if not error.rows or len(error.rows) >= len(raw) or given.code is not None:
                raise
            bad = np.zeros(len(raw), dtype=bool)
            bad[list(error.rows)] = True
            rejects.append(rejected(raw[bad], number[bad], spec, error))
            raw, number = raw[~bad].reset_index(drop=True), number[~bad]
        else:
            listed = pd.concat(rejects).sort_values("row", ignore_index=True) if rejects else none_rejected()
            return Apart(checked, tuple(str(c) for c in frame.columns), number, listed)


def none_rejected() -> pd.DataFrame:
    """A list of rejects without a row."""
    return pd.DataFrame(columns=list(REJECT_COLUMNS))


def _refuse_invalid(frame: Any, source: str) -> None:
    if not isinstance(frame, gpd.GeoDataFrame):
        return
    shapes = frame.geometry.to_numpy()
    wrong = ~(shapely.is_valid(shapes) | shapely.is_missing(shapes))
    if wrong.any():
        positions = np.flatnonzero(wrong)
        raise GeometryError(
            "invalid geometry", source=source, ids=(positions + 1).tolist(), rows=positions.tolist(),
            found=shapely.is_valid_reason(shapes[positions[0]]), remedy="gridgis repair mends grids.",
        )  # fmt: skip


def rejected(rows: Any, number: np.ndarray, spec: str, error: SchemaError | GeometryError | CRSError) -> pd.DataFrame:
    """Rows of a file as they are listed: their numbers in it, and for each what is wrong with its own value."""
    seen = [_said(v) for v in rows[error.column]] if error.column in rows.columns else [""] * len(rows)
    reasons = [in_both(SchemaError(error.message, found=found, wanted=error.wanted)) for found in seen]
    plain = pd.DataFrame(rows.drop(columns=rows.geometry.name) if isinstance(rows, gpd.GeoDataFrame) else rows)
    plain = plain.drop(columns=[c for c in REJECT_COLUMNS if c in plain.columns])
    own = pd.DataFrame({"file": spec, "row": number, "reason": reasons}, index=plain.index)
    return pd.concat([own, plain.astype(object)], axis=1)


def _said(value: object) -> str:
    return "nothing" if value is None or value is pd.NA or value != value else repr(value)
