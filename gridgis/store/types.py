"""Column types: shapely geometry and UTC times, in and out of the database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import shapely
from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import DateTime, Dialect, LargeBinary
from sqlalchemy.types import TypeDecorator, TypeEngine

SRID = 4326


class Shape(TypeDecorator[Any]):
    """A flat shapely geometry in WGS 84 (EPSG:4326): a geometry on PostGIS, a blob of WKB on SQLite."""

    impl = Geometry
    cache_ok = True

    def __init__(self) -> None:
        # No spatial index: on SQLite GeoAlchemy2 would make a useless B-tree of the blobs.
        super().__init__("GEOMETRY", srid=SRID, spatial_index=False)

    def load_dialect_impl(self, dialect: Dialect | None) -> TypeEngine[Any]:
        # GeoAlchemy2's listeners also call this without a dialect.
        if dialect is not None and dialect.name == "sqlite":
            return dialect.type_descriptor(LargeBinary())
        return self.impl_instance

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        wkb = shapely.to_wkb(value, output_dimension=2)
        return wkb if dialect.name == "sqlite" else WKBElement(wkb, srid=SRID)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        return shapely.from_wkb(bytes(value.data) if isinstance(value, WKBElement) else value)


class UTCTime(TypeDecorator[datetime]):
    """A moment with its zone; kept in UTC, on SQLite without saying so."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
