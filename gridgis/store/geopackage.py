"""What makes the file of a store a GeoPackage too, so that QGIS and GDAL open it as it stands.

OGC 12-128r18 (GeoPackage 1.3): geometry is WKB behind a header of its own, and three tables say which layers there
are, where they lie and in which CRS. Spatial indexes are left out: they need functions that SQLite alone lacks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

import numpy as np
import shapely
from sqlalchemy import Connection, Table, text

#: "GPKG", and version 1.3.
APPLICATION_ID, USER_VERSION = 0x47504B47, 10300

_MAGIC = b"GP"
#: Length in bytes of the envelope, by its code in the flags.
_ENVELOPES = (0, 32, 48, 48, 64)
_LITTLE, _BOUNDS, _EMPTY = 1, 1 << 1, 1 << 4

TABLES = ("gpkg_spatial_ref_sys", "gpkg_contents", "gpkg_geometry_columns")

_MADE = """
CREATE TABLE gpkg_spatial_ref_sys (
    srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT NULL,
    organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (
    table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE, description TEXT DEFAULT '',
    last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
    min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
    CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (
    table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL,
    z TINYINT NOT NULL, m TINYINT NOT NULL,
    CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name), CONSTRAINT uk_gc_table_name UNIQUE (table_name),
    CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
    CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id));
"""

_WGS84 = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],'
    'AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",0.0174532925199433,'
    'AUTHORITY["EPSG","9122"]],AXIS["Latitude",NORTH],AXIS["Longitude",EAST],AUTHORITY["EPSG","4326"]]'
)
_SYSTEMS = (
    ("Undefined Cartesian SRS", -1, "NONE", -1, "undefined", "undefined Cartesian coordinate reference system"),
    ("Undefined geographic SRS", 0, "NONE", 0, "undefined", "undefined geographic coordinate reference system"),
    ("WGS 84 geodetic", 4326, "EPSG", 4326, _WGS84, "longitude/latitude coordinates in decimal degrees on WGS 84"),
)


def to_blob(shape: Any, srid: int) -> bytes:
    """A flat shape as a GeoPackage keeps it: header, bounds (for other shapes than points), WKB.

    Examples
    --------
    >>> from_blob(to_blob(shapely.Point(116, 40), 4326))
    <POINT (116 40)>
    """
    wkb: bytes = shapely.to_wkb(shape, output_dimension=2, byte_order=1)
    if shapely.is_empty(shape):
        return _MAGIC + struct.pack("<BBi", 0, _LITTLE | _EMPTY, srid) + wkb
    if shapely.get_type_id(shape) == 0:
        return _MAGIC + struct.pack("<BBi", 0, _LITTLE, srid) + wkb
    left, bottom, right, top = shapely.bounds(shape).tolist()
    return _MAGIC + struct.pack("<BBi4d", 0, _LITTLE | _BOUNDS, srid, left, right, bottom, top) + wkb


def to_blobs(shapes: Iterable[Any], srid: int) -> list[bytes | None]:
    """The same for many shapes, None where there is none; quick for points."""
    listed = np.array([*shapes, None], dtype=object)[:-1]
    plain = (shapely.get_type_id(listed) == 0) & ~shapely.is_empty(listed)
    head = _MAGIC + struct.pack("<BBi", 0, _LITTLE, srid)
    wkbs = shapely.to_wkb(listed, output_dimension=2, byte_order=1)
    return [
        head + wkb if point else None if wkb is None else to_blob(shape, srid)
        for shape, wkb, point in zip(listed, wkbs, plain, strict=True)
    ]


def from_blob(blob: bytes) -> Any:
    """The shape in a blob, whoever wrote it.

    Raises
    ------
    ValueError
        It is no geometry of a GeoPackage.
    """
    if blob[:2] != _MAGIC or len(blob) < 8 or (blob[3] >> 1) & 7 >= len(_ENVELOPES):
        raise ValueError("no geometry of a GeoPackage")
    return shapely.from_wkb(blob[8 + _ENVELOPES[(blob[3] >> 1) & 7] :])


def make(connection: Connection) -> None:
    """Declare an SQLite file a GeoPackage, without layers yet."""
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.exec_driver_sql(f"PRAGMA user_version = {USER_VERSION}")
    for statement in filter(str.strip, _MADE.split(";\n")):
        connection.exec_driver_sql(statement)
    for row in _SYSTEMS:
        connection.exec_driver_sql("INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, ?)", row)


def unmake(connection: Connection) -> None:
    """Take that back."""
    for name in reversed(TABLES):
        connection.exec_driver_sql(f"DROP TABLE {name}")
    connection.exec_driver_sql("PRAGMA application_id = 0")
    connection.exec_driver_sql("PRAGMA user_version = 0")


def register(connection: Connection, name: str, *, placed: bool, srid: int) -> None:
    """List a table as a layer, or as a table without places."""
    connection.execute(
        text(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id) VALUES (:name, :kind, :name, :srid)"
        ),
        {"name": name, "kind": "features" if placed else "attributes", "srid": srid if placed else None},
    )
    if placed:
        connection.execute(
            text("INSERT INTO gpkg_geometry_columns VALUES (:name, 'geometry', 'GEOMETRY', :srid, 0, 0)"),
            {"name": name, "srid": srid},
        )


def unregister(connection: Connection, name: str) -> None:
    """Take a table off the list."""
    for listed in ("gpkg_geometry_columns", "gpkg_contents"):
        connection.execute(text(f"DELETE FROM {listed} WHERE table_name = :name"), {"name": name})


def note_change(connection: Connection, table: Table, shapes: Iterable[Any]) -> None:
    """Say when a layer changed and where it lies now."""
    found = [shape for shape in shapes if shape is not None and not shapely.is_empty(shape)]
    bounds = shapely.total_bounds(found).tolist() if found else [None] * 4
    connection.execute(
        text(
            "UPDATE gpkg_contents SET last_change = strftime('%Y-%m-%dT%H:%M:%fZ','now'),"
            " min_x = :left, min_y = :bottom, max_x = :right, max_y = :top WHERE table_name = :name"
        ),
        {"name": table.name, **dict(zip(("left", "bottom", "right", "top"), bounds, strict=True))},
    )
