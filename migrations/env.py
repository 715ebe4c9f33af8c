"""Run the migrations over the connection that gridgis.store.upgrades hands in."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

from gridgis.store import geopackage
from gridgis.store.models import Base
from gridgis.store.types import Document, Shape, UTCTime


def render_item(kind: str, item: Any, autogen_context: Any) -> str | Literal[False]:
    """Write our own column types by their own names into a new revision."""
    if kind == "type" and isinstance(item, Document | Shape | UTCTime):
        name = type(item).__name__
        autogen_context.imports.add(f"from gridgis.store.types import {name}")
        return f"{name}()"
    return False


def include_name(name: str | None, kind: str, _parents: Any) -> bool:
    """Tables of PostGIS and of the GeoPackage are not in the model."""
    return not (kind == "table" and name in ("spatial_ref_sys", *geopackage.TABLES))


attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=Base.metadata,
    version_table=attributes["version_table"],
    # SQLite changes a table by writing it anew.
    render_as_batch=True,
    render_item=render_item,
    include_name=include_name,
    compare_type=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
