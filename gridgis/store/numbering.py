"""What concerns the rows of all organisations together: their numbers, and where a layer lies."""

from __future__ import annotations

from sqlalchemy import Connection, Table, func, select

from gridgis.store import geopackage, organisations


def last_row(connection: Connection, table: Table) -> int:
    """The highest number that a row of a table has, whoever's it is; 0 where there is none."""
    found = connection.execute(select(func.max(table.c.row)), execution_options=organisations.EVERY).scalar()
    return int(found or 0)


def note_places(connection: Connection, table: Table) -> None:
    """Say in the list of layers of a GeoPackage where a table lies now."""
    shapes = connection.execute(select(table.c.geometry), execution_options=organisations.EVERY).scalars()
    geopackage.note_change(connection, table, shapes)
