"""The rows of one plan: a plan into the tables of a store and out of them, in a transaction of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely
from sqlalchemy import Connection, Table, insert, select

from gridgis.errors import StoreError
from gridgis.plan.closing import Drafted
from gridgis.plan.partition import Plan
from gridgis.store import copying
from gridgis.store.models import Base
from gridgis.store.rows import noun_of, to_frame, to_rows

PLAN, BLOCK, BORDER, GRID = (Base.metadata.tables[name] for name in ("plan", "plan_block", "plan_border", "plan_grid"))


def ready(
    plan: Plan | Drafted, title: str, borders: gpd.GeoDataFrame | None
) -> tuple[dict[Table, list[dict[str, Any]]], dict[str, Any]]:
    """A plan as rows of its tables, and the note that goes with it."""
    if not title.strip():
        raise StoreError("a plan needs a title", source="plan", found=repr(title))
    frames = {BLOCK: plan.blocks, GRID: plan.grids, BORDER: pd.DataFrame() if borders is None else borders}
    ready = {table: to_rows(frame, table) for table, frame in frames.items()}
    columns = {noun_of(table): note for table, (_, note) in ready.items()}
    return {table: rows for table, (rows, _) in ready.items()}, {"summary": plan.summary, "columns": columns}


def add(
    connection: Connection,
    rows: Mapping[Table, list[dict[str, Any]]],
    *,
    title: str,
    by: str,
    notes: dict[str, Any],
    based_on: int | None,
) -> int:
    """A new draft; its number."""
    row = {
        "title": title, "state": "draft", "based_on": based_on, "revision": 0, "made_at": datetime.now(UTC),
        "made_by": by, "notes": notes,
    }  # fmt: skip
    made = connection.execute(insert(PLAN).values(row)).inserted_primary_key
    number = int(made[0]) if made else 0
    for table, listed in rows.items():
        insert_into(connection, table, number, listed)
    return number


def held(connection: Connection, table: Table, plan: int, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a plan has just these rows."""
    own = [c for c in table.columns if c.name not in ("id", "plan", "organisation")]
    query = select(*own).where(table.c.plan == plan)
    there = {row["code"]: row for row in map(dict, connection.execute(query).mappings())}
    return len(there) == len(rows) and all(row["code"] in there and same(there[row["code"]], row) for row in rows)


def insert_into(connection: Connection, table: Table, plan: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows to a table of the plan."""
    copying.insert_rows(connection, table, [{**row, "plan": plan} for row in rows])


def loaded(connection: Connection, plan: int) -> tuple[Plan, gpd.GeoDataFrame]:
    """A plan and its borders."""
    notes = dict(connection.execute(select(PLAN.c.notes).where(PLAN.c.id == plan)).scalar_one() or {})
    columns = notes.get("columns", {})
    frames = {}
    for noun, table, key in (("block", BLOCK, "code"), ("grid", GRID, "code"), ("border", BORDER, "id")):
        rows = connection.execute(select(table).where(table.c.plan == plan).order_by(table.c[key])).all()
        frames[noun] = to_frame(rows, table, columns.get(noun, {}))
    return Plan(frames["block"], frames["grid"], dict(notes.get("summary", {}))), frames["border"]


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two rows have the same values, coordinate for coordinate."""
    return all(equal(one[name], other[name]) for name in one)


def equal(one: Any, other: Any) -> bool:
    """Whether two values are the same, coordinate for coordinate."""
    if isinstance(one, shapely.Geometry) and isinstance(other, shapely.Geometry):
        return bool(shapely.equals_identical(one, other))
    return bool(one == other)
