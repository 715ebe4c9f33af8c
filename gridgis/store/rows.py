"""Frames into rows of a table, and back with the types that :func:`gridgis.schema.check` gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from sqlalchemy import Boolean, Column, Date, Float, Integer, String, Table

from gridgis import crs, schema
from gridgis.errors import SchemaError, StoreError
from gridgis.store.types import Document, UTCTime

#: Columns of every table that are the store's own.
_OWN = ("row", "id", "plan", "extra", "geometry", "organisation")
#: Rows of a plan are those of the nouns without this.
OF_PLAN = "plan_"


def named_columns(table: Table) -> dict[str, Column[Any]]:
    """The columns of `table` that hold what a frame's column of that name holds."""
    own = _OWN if "row" not in table.columns else tuple(name for name in _OWN if name not in ("id", "plan"))
    return {c.name: c for c in table.columns if c.name not in own}


def noun_of(table: Table) -> str:
    """The noun of :mod:`gridgis.schema` whose rows a table keeps."""
    return table.name.removeprefix(OF_PLAN)


def to_rows(frame: pd.DataFrame, table: Table) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """`frame` as rows for an insert, and the note that brings its own columns back.

    Raises
    ------
    SchemaError, GeometryError, CRSError
        What :func:`gridgis.schema.check` finds, and a frame without a CRS.
    StoreError
        A column holds what the store cannot keep.
    """
    source = f"table {table.name}"
    frame = _checked(frame, noun_of(table), source)
    known = named_columns(table)
    values: dict[str, list[Any]] = {"row": list(range(1, len(frame) + 1))} if "row" in table.columns else {}
    for name, column in known.items():
        values[name] = _values(frame[name], column, source) if name in frame.columns else [None] * len(frame)
        _require(values[name], column, source)
    if "geometry" in table.columns:
        values["geometry"] = _geometry(frame, source)
    placed = _has_geometry(frame) and "geometry" in table.columns
    spatial = frame.geometry.name if placed else None
    extra = [c for c in frame.columns if c not in known and c != spatial]
    values["extra"] = _extra(frame, extra, source)
    note = {
        "named": [str(c) for c in frame.columns if c in known],
        "extra": [[str(c), str(frame[c].dtype)] for c in extra],
        # An empty frame says nothing about the kind of frame that was meant.
        "placed": placed or len(frame) == 0,
    }
    names = list(values)
    rows = [dict(zip(names, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return rows, note


def to_frame(rows: Sequence[Any], table: Table, note: dict[str, Any]) -> pd.DataFrame:
    """Rows of `table`, in the order of its columns, as a frame: the contract's columns, then the others."""
    by_name = dict(zip([c.name for c in table.columns], zip(*rows, strict=True), strict=True)) if rows else {}
    known = named_columns(table)
    noun = noun_of(table)
    contract = [c.name for c in schema.TABLES[noun].columns] if noun in schema.TABLES else list(known)
    names = contract + [name for name in note.get("named", []) if name not in contract]
    data = {name: _series(by_name.get(name, ()), known[name]) for name in names}
    extras = by_name.get("extra", ())
    for name, dtype in note.get("extra", []):
        data[name] = _restored([(e or {}).get(name) for e in extras], dtype)
    frame = pd.DataFrame(data, index=pd.RangeIndex(len(rows)))
    if "geometry" not in table.columns or not note.get("placed", True):
        return frame
    shapes = np.array(by_name.get("geometry", ()), dtype=object)
    return gpd.GeoDataFrame(frame, geometry=gpd.GeoSeries(shapes, index=frame.index, crs=crs.WGS84))


def merged_note(old: dict[str, Any], new: Mapping[str, Any], *, held: bool) -> dict[str, Any]:
    """The note of a table after rows were added; `held`: there were rows before.

    A column that some rows lack takes a type that knows missing values; one that had another type holds anything.
    """
    was, now = ({str(name): str(kind) for name, kind in note.get("extra", [])} for note in (old, new))
    kinds = {}
    for name in dict.fromkeys([*was, *now]):
        one, other = was.get(name, now.get(name, "")), now.get(name, was.get(name, ""))
        wide = {_WITH_GAPS.get(one, one), _WITH_GAPS.get(other, other)}
        gaps = name not in now or (name not in was and held)
        kinds[name] = "object" if len(wide) > 1 else wide.pop() if gaps or one != other else one
    return {
        "named": list(dict.fromkeys([*old.get("named", []), *new.get("named", [])])),
        "extra": [[name, kind] for name, kind in kinds.items()],
        "placed": bool(old.get("placed", True) or new.get("placed", True)),
    }


#: Types that know no missing value, and those that stand for them.
_WITH_GAPS = {"int64": "Int64", "bool": "boolean"}


def _checked(frame: pd.DataFrame, name: str, source: str) -> pd.DataFrame:
    if len(frame) and name in schema.TABLES:
        return schema.check(frame, name, source=source)
    return frame


def _has_geometry(frame: pd.DataFrame) -> bool:
    return isinstance(frame, gpd.GeoDataFrame) and frame.active_geometry_name is not None


def _geometry(frame: pd.DataFrame, source: str) -> list[Any]:
    if not _has_geometry(frame):
        return [None] * len(frame)
    shapes = crs.project(frame.geometry.to_numpy(), crs.require_crs(frame, source), crs.WGS84)
    return list(shapely.force_2d(shapes))


def _extra(frame: pd.DataFrame, names: list[Any], source: str) -> list[dict[str, Any] | None]:
    if not names:
        return [None] * len(frame)
    columns = [_plain(frame[name], source) for name in names]
    keys = [str(name) for name in names]
    return [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain(values: pd.Series, source: str) -> list[Any]:
    """A column as JSON says it: missing as null, moments as ISO 8601, tuples and arrays as lists."""
    missing = values.isna().tolist()
    listed = [None if gone else value for value, gone in zip(values.tolist(), missing, strict=True)]
    try:
        plain: list[Any] = json.loads(json.dumps(listed, default=_say, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise StoreError(
            f"the column {str(values.name)!r} holds what a store cannot keep: {error}",
            source=source,
            wanted="text, finite numbers, truth values, times, or lists of them",
        ) from error
    return plain


def _say(value: Any) -> Any:
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"values of type {type(value).__name__}")


def _require(values: list[Any], column: Column[Any], source: str) -> None:
    gone = [] if column.nullable else [i + 1 for i, v in enumerate(values) if v is None]
    if gone:
        raise SchemaError(f"the column {column.name!r} has rows without a value", source=source, ids=gone)


def _values(values: pd.Series, column: Column[Any], source: str) -> list[Any]:
    """A column as Python values of the database column's type, None where missing."""
    kind = _kind(column)
    missing = values.isna().tolist()
    convert = _INTO[kind]
    try:
        return [None if gone else convert(value) for value, gone in zip(values.tolist(), missing, strict=True)]
    except (TypeError, ValueError) as error:
        raise StoreError(
            f"the column {column.name!r} holds what does not fit: {error}",
            source=source,
            wanted=_WANTED[kind],
        ) from error


def _whole(value: Any) -> int:
    if isinstance(value, bool) or int(value) != value:
        raise ValueError(repr(value))
    return int(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(repr(value))
    return value


def _number(value: Any) -> float:
    if isinstance(value, str | bool):
        raise TypeError(repr(value))
    return float(value)


def _day(value: Any) -> date:
    day: date = pd.Timestamp(value).date()
    return day


def _moment(value: Any) -> datetime:
    moment = pd.Timestamp(value)
    if moment.tzinfo is None:
        raise ValueError(f"{value} has no zone")
    whole: datetime = moment.floor("ms").to_pydatetime()
    return whole


_INTO: dict[type, Callable[[Any], Any]] = {
    UTCTime: _moment,
    Boolean: _truth,
    Integer: _whole,
    Float: _number,
    Date: _day,
    Document: list,
    String: str,
}
_WANTED = {
    UTCTime: "times with their zone",
    Boolean: "true or false",
    Integer: "whole numbers",
    Float: "numbers",
    Date: "dates",
    Document: "lists",
    String: "text",
}


def _kind(column: Column[Any]) -> type:
    return next(kind for kind in _INTO if isinstance(column.type, kind))


def _series(values: Sequence[Any], column: Column[Any]) -> pd.Series:
    kind = _kind(column)
    gone = any(value is None for value in values)
    if kind is UTCTime:
        return pd.to_datetime(pd.Series(values, dtype=object), utc=True).astype("datetime64[us, UTC]")
    if kind is Date:
        return pd.to_datetime(pd.Series(values, dtype=object)).astype("datetime64[us]")
    if kind is Float:
        return pd.Series(values, dtype="float64")
    if kind is Integer:
        return pd.Series(values, dtype="Int64" if gone else "int64")
    if kind is Boolean:
        return pd.Series(values, dtype="boolean" if gone else "bool")
    if kind is Document:
        values = [None if value is None else tuple(value) for value in values]
    return pd.Series(values, dtype=object)


def _restored(values: list[Any], dtype: str) -> pd.Series:
    """A column out of ``extra`` with the type it had."""
    if dtype.startswith("datetime64"):
        return pd.to_datetime(pd.Series(values, dtype=object), format="ISO8601", utc="," in dtype).astype(dtype)
    return pd.Series(values, dtype=dtype)
