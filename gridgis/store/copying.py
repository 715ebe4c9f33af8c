"""Many rows into a table at once, the quickest way that each database has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import shapely
from sqlalchemy import Connection, Table, insert
from sqlalchemy.exc import DBAPIError

from gridgis.store import organisations
from gridgis.store.geopackage import to_blobs
from gridgis.store.types import SRID, Document


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows: COPY on PostgreSQL, prepared inserts on SQLite; all with the same columns."""
    if not rows:
        return
    whose = organisations.of(connection)
    if whose is not None:
        rows = [{**row, organisations.COLUMN: whose} for row in rows]
    if connection.dialect.name == "sqlite":
        _insert_at_once(connection, table, rows)
        return
    # psycopg is there where there is a connection to PostgreSQL.
    from psycopg import Error, sql

    names = list(rows[0])
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in names)
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), columns)
    ready = [_column([row[name] for row in rows], table, name) for name in names]
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as lines:
            for line in zip(*ready, strict=True):
                lines.write_row(line)
    except Error as error:  # told in SQLAlchemy's words, like every other fault of the database
        lost = bool(driver.closed)
        if lost:
            connection.invalidate(error)
        raise DBAPIError("COPY", None, error, connection_invalidated=lost) from error


def _insert_at_once(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Prepared inserts whose values are made ready a column at a time."""
    names, dialect = list(rows[0]), connection.dialect
    statement = str(insert(table).compile(dialect=dialect, column_keys=names))
    ready = []
    for name in names:
        values: Iterable[Any] = [row[name] for row in rows]
        processor = table.c[name].type.dialect_impl(dialect).bind_processor(dialect)
        if name == "geometry":
            values = to_blobs(values, SRID)
        elif processor is not None:
            values = map(processor, values)
        ready.append(values)
    order = table.columns.keys()
    placed = sorted(zip(names, ready, strict=True), key=lambda pair: order.index(pair[0]))
    connection.exec_driver_sql(statement, list(zip(*(values for _, values in placed), strict=True)))


def _column(values: list[Any], table: Table, name: str) -> list[Any]:
    if name == "geometry":
        placed = shapely.set_srid(values, SRID)
        hexes: list[Any] = shapely.to_wkb(placed, hex=True, output_dimension=2, include_srid=True).tolist()
        return hexes
    if isinstance(table.c[name].type, Document):
        return [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
    return values
