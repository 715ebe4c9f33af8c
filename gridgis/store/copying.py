"""Many rows into a table at once, the quickest way that each database has."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import shapely
from sqlalchemy import Connection, Table, insert

from gridgis.store.types import SRID, Document


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows: COPY on PostgreSQL, prepared inserts on SQLite; all with the same columns."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        connection.execute(insert(table), list(rows))
        return
    # psycopg is there where there is a connection to PostgreSQL.
    from psycopg import sql

    names = list(rows[0])
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in names)
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), columns)
    ready = [_column([row[name] for row in rows], table, name) for name in names]
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(statement) as lines:
        for line in zip(*ready, strict=True):
            lines.write_row(line)


def _column(values: list[Any], table: Table, name: str) -> list[Any]:
    if name == "geometry":
        placed = shapely.set_srid(values, SRID)
        hexes: list[Any] = shapely.to_wkb(placed, hex=True, output_dimension=2, include_srid=True).tolist()
        return hexes
    if isinstance(table.c[name].type, Document):
        return [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
    return values
