"""Is a store whole: its file, its rows, its list of layers, and what its tables say of each other."""

from __future__ import annotations

from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple

import shapely
from sqlalchemy import Connection, Select, Table, and_, exists, select, text
from sqlalchemy.exc import SQLAlchemyError

from gridgis.errors import StoreError, name_ids
from gridgis.store import upgrades
from gridgis.store.dictionaries import DICTIONARY, governed
from gridgis.store.digests import Digest, digest, tables
from gridgis.store.engines import engine_of, place_of
from gridgis.store.models import TABLES

#: Columns that name a row of another table: table, column, the other table, its key.
NAMED = (
    ("house", "grid", "grid", "code"), ("building", "grid", "grid", "code"), ("block", "grid", "grid", "code"),
    ("board", "grid", "grid", "code"), ("posting", "grid", "grid", "code"), ("posting", "staff", "staff", "id"),
    ("house", "building", "building", "code"), ("person", "house", "house", "code"),
    ("household", "house", "house", "code"), ("segment", "grid", "grid", "code"),
    ("responsibility_block", "grid", "grid", "code"), ("matter", "grid", "grid", "code"),
    ("leave", "staff", "staff", "id"), ("visit", "staff", "staff", "id"), ("site", "house", "house", "code"),
)  # fmt: skip


class StoreFault(NamedTuple):
    """What is wrong with a table ("" for the store as a whole)."""

    table: str
    message: str


def check(store: str | Path) -> tuple[dict[str, Digest], list[StoreFault]]:
    """Read a store from end to end.

    Returns
    -------
    dict of table to Digest, list of StoreFault
        What it holds; and what is wrong: pages of the file that are damaged, rows that cannot be read, geometry that
        is invalid or lies outside the globe, a list of layers that is not true, names of rows that do not exist, words
        that the organisation's dictionary does not list.

    Raises
    ------
    StoreError
        There is no such store, or one of another version.
    """
    place = place_of(store)
    engine = engine_of(place)
    try:
        if upgrades.state(place, engine) == "empty":
            raise StoreError("there is no such store", source=place.name, remedy="Check the path or address.")
        with engine.connect() as connection:
            faults = _of_the_file(connection) if place.path is not None else []
            held: dict[str, Digest] = {}
            for table in tables():
                found, wrong = _of_a_table(connection, table, listed=place.path is not None and table.name in TABLES)
                faults += wrong
                if found is not None:
                    held[table.name] = found
            return held, faults + _of_names(connection) + _of_words(connection)
    finally:
        engine.dispose()


def _of_a_table(connection: Connection, table: Table, *, listed: bool) -> tuple[Digest | None, list[StoreFault]]:
    """The digest of a table where it can be read, and its faults."""
    shapes: list[tuple[Any, Any]] = []

    def gather(rows: list[dict[str, Any]]) -> None:
        shapes.extend((row.get("row"), row["geometry"]) for row in rows if row.get("geometry") is not None)

    try:
        found = digest(connection, table, gather)
    except (SQLAlchemyError, ValueError, shapely.errors.GEOSException) as error:
        return None, [StoreFault(table.name, f"rows cannot be read: {getattr(error, 'orig', None) or error}")]
    return found, _of_shapes(table, shapes) + (_of_the_list(connection, table, shapes) if listed else [])


def _of_the_file(connection: Connection) -> list[StoreFault]:
    try:
        told = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
    except SQLAlchemyError as error:
        told = [str(getattr(error, "orig", None) or error)]
    if told != ["ok"]:
        return [StoreFault("", f"the file is damaged: {line}") for line in told]
    loose = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    return [StoreFault(str(row[0]), f"row {row[1]} refers to a row of {row[2]} that is gone") for row in loose]


def _of_shapes(table: Table, shapes: list[tuple[Any, Any]]) -> list[StoreFault]:
    if not shapes:
        return []
    rows, found = zip(*shapes, strict=True)
    valid = shapely.is_valid(found)
    low_x, low_y, high_x, high_y = shapely.bounds(found).T
    outside = (low_x < -180) | (low_y < -90) | (high_x > 180) | (high_y > 90)
    faults = []
    if not valid.all():
        faults.append(StoreFault(table.name, f"invalid geometry ({name_ids(compress(rows, ~valid), 'row')})"))
    if outside.any():
        faults.append(
            StoreFault(table.name, f"geometry outside the globe ({name_ids(compress(rows, outside), 'row')})")
        )
    return faults


def _of_the_list(connection: Connection, table: Table, shapes: list[tuple[Any, Any]]) -> list[StoreFault]:
    """The list of layers that other programs go by."""
    query = text("SELECT min_x, min_y, max_x, max_y FROM gpkg_contents WHERE table_name = :name")
    listed = connection.execute(query, {"name": table.name}).one_or_none()
    if listed is None:
        return [StoreFault(table.name, "the table is not in the GeoPackage's list of layers")]
    full = [shape for _, shape in shapes if not shapely.is_empty(shape)]
    bounds = tuple(shapely.total_bounds(full).tolist()) if full else (None,) * 4
    return (
        []
        if tuple(listed) == bounds
        else [StoreFault(table.name, "the GeoPackage's list has other bounds than the rows")]
    )


def _of_names(connection: Connection) -> list[StoreFault]:
    faults = []
    for name, column, other, key in NAMED:
        mine, theirs = TABLES[name].c, TABLES[other].c
        said = mine[column]
        there = exists().where(theirs[key] == said, theirs.organisation == mine.organisation)
        query = select(said).where(said.is_not(None), ~there).distinct().order_by(said)
        if unknown := _found(connection, query):
            faults.append(StoreFault(name, f"{column} names what is not in {other} ({name_ids(unknown)})"))
    return faults


def _of_words(connection: Connection) -> list[StoreFault]:
    """Words of the columns for which an organisation has a dictionary."""
    faults = []
    for table, column, name in governed():
        said, listed = table.c[column], DICTIONARY.c
        mine = and_(listed.dictionary == name, listed.organisation == table.c.organisation)
        unknown = exists().where(mine) & ~exists().where(mine, listed.code == said)
        query = select(said).where(said.is_not(None), unknown).distinct().order_by(said)
        if words := _found(connection, query):
            faults.append(
                StoreFault(
                    table.name, f"{column} has words that the dictionary {name} does not list ({name_ids(words)})"
                )
            )
    return faults


def _found(connection: Connection, query: Select[Any]) -> list[Any]:
    """What a question finds; nothing where a table cannot be read, which is a fault of its own."""
    try:
        return list(connection.execute(query).scalars())
    except SQLAlchemyError:
        return []
