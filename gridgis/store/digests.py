"""What a store holds, in figures that do not depend on the database: rows and a checksum for every table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import shapely
from sqlalchemy import Connection, Table, select

from gridgis.store.models import Base

Rows: TypeAlias = list[dict[str, Any]]

#: Rows read and written at once.
BATCH = 5_000


class Digest(NamedTuple):
    """How many rows a table has, and the SHA-256 of their content in the order of the key."""

    rows: int
    checksum: str


def tables() -> list[Table]:
    """Every table of the model, by name; plans last: rows of one that is published cannot be added to it."""
    return sorted(Base.metadata.tables.values(), key=lambda table: (table.name == "plan", table.name))


def rows_of(connection: Connection, table: Table) -> Iterator[Rows]:
    """The rows of a table in the order of its key, in batches."""
    found = connection.execution_options(yield_per=BATCH).execute(select(table).order_by(*table.primary_key.columns))
    for part in found.mappings().partitions(BATCH):
        yield [dict(row) for row in part]


def digest(
    connection: Connection, table: Table, each: Callable[[list[dict[str, Any]]], object] | None = None
) -> Digest:
    """Count and sum up a table; `each` is given every batch of rows on the way.

    Notes
    -----
    Columns by name; geometry as its WKB, moments in UTC, numbers in their shortest exact form: the same content gives
    the same checksum on SQLite and on PostgreSQL.
    """
    names = sorted(table.columns.keys())
    count, summed = 0, hashlib.sha256()
    for rows in rows_of(connection, table):
        count += len(rows)
        lines = (json.dumps([plain(row[name]) for name in names], ensure_ascii=False, sort_keys=True) for row in rows)
        summed.update("\n".join(lines).encode("utf-8") + b"\n")
        if each is not None:
            each(rows)
    return Digest(count, summed.hexdigest())


def digests(connection: Connection) -> dict[str, Digest]:
    """The digest of every table, by name."""
    return {table.name: digest(connection, table) for table in tables()}


def file_checksum(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def plain(value: Any) -> Any:
    """A value of a row as JSON says it, the same from both databases."""
    if isinstance(value, shapely.Geometry):
        return shapely.to_wkb(value, hex=True, output_dimension=2, byte_order=1)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value
