"""Column types: shapely geometry, UTC times and documents, in and out of both databases.

On SQLite they are what a GeoPackage asks for, in the names of their types too.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import shapely
from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import JSON, DateTime, Dialect, LargeBinary, Text
from sqlalchemy.dialects.sqlite import DATETIME
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import TypeDecorator, TypeEngine

from gridgis.store.geopackage import from_blob, to_blob

SRID = 4326
#: Made once: json.dumps makes one each time.
_ENCODER = json.JSONEncoder(ensure_ascii=False)


class _Moment(DATETIME):
    """ISO 8601 in UTC to the millisecond, as a GeoPackage has it."""

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Any:
        return lambda value: None if value is None else value.isoformat(timespec="milliseconds") + "Z"

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        return lambda value: None if value is None else datetime.fromisoformat(value)


class Blob(LargeBinary):
    """Bytes, in a column that calls itself a geometry."""

    cache_ok = True


@compiles(Blob)
def _name_of_blob(_type: Blob, _compiler: Any, **_options: Any) -> str:
    return "GEOMETRY"


class Shape(TypeDecorator[Any]):
    """A flat shapely geometry in WGS 84 (EPSG:4326): a geometry on PostGIS, a GeoPackage's blob on SQLite."""

    impl = Geometry
    cache_ok = True

    def __init__(self) -> None:
        # No spatial index: on SQLite GeoAlchemy2 would make a useless B-tree of the blobs.
        super().__init__("GEOMETRY", srid=SRID, spatial_index=False)

    def load_dialect_impl(self, dialect: Dialect | None) -> TypeEngine[Any]:
        # GeoAlchemy2's listeners also call this without a dialect.
        if dialect is not None and dialect.name == "sqlite":
            return dialect.type_descriptor(Blob())
        return self.impl_instance

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        if dialect.name == "sqlite":
            return to_blob(value, SRID)
        return WKBElement(shapely.to_wkb(value, output_dimension=2), srid=SRID)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        if dialect.name == "sqlite":
            return from_blob(value)
        return shapely.from_wkb(bytes(value.data) if isinstance(value, WKBElement) else value)


class UTCTime(TypeDecorator[datetime]):
    """A moment with its zone; kept in UTC, to the millisecond."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(_Moment())  # type: ignore[no-untyped-call]
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = value.astimezone(UTC)
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)  # the same on both databases
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Document(TypeDecorator[Any]):
    """Plain values (objects, lists, text, numbers) as JSON; text on SQLite, where a GeoPackage knows no JSON."""

    impl = JSON
    cache_ok = True

    def __init__(self) -> None:
        super().__init__(none_as_null=True)

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else JSON(none_as_null=True))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return _ENCODER.encode(value) if dialect.name == "sqlite" and value is not None else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return json.loads(value) if dialect.name == "sqlite" and value is not None else value
