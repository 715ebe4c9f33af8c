"""The first tables: units, ground, people, the plan, what was checked, and settings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "setting", "revision", "saved", "unit", "barrier", "water", "compound", "building", "house", "person",
    "staff", "posting", "board", "block", "border", "grid", "defect", "patrol", "patrol_coverage",
    "rule_result",
)  # fmt: skip


def upgrade() -> None:
    _settings()
    _ground()
    _people()
    _plan()
    _results()


def downgrade() -> None:
    for name in reversed(TABLES):
        op.drop_table(name)


def _shape() -> sa.types.TypeEngine:
    if op.get_bind().dialect.name == "sqlite":
        return sa.LargeBinary()
    return Geometry("GEOMETRY", srid=4326, spatial_index=False)


def _table(name: str, *columns: sa.Column, key: str | None = None, placed: bool = False) -> None:
    """A table of rows in order, with a unique key, a place, and room for columns that nobody named."""
    geometry = [sa.Column("geometry", _shape())] if placed else []
    unique = [sa.UniqueConstraint(key, name=f"uq_{name}_{key}")] if key else []
    op.create_table(
        name,
        sa.Column("row", sa.Integer, nullable=False),
        *columns,
        sa.Column("extra", sa.JSON),
        *geometry,
        sa.PrimaryKeyConstraint("row", name=f"pk_{name}"),
        *unique,
    )


def _text(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.String) for name in names]


def _needed(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.String, nullable=False) for name in names]


def _whole(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.Integer) for name in names]


def _number(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.Double) for name in names]


def _day(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.Date) for name in names]


def _settings() -> None:
    op.create_table(
        "setting",
        *_needed("key", "value"),
        sa.PrimaryKeyConstraint("key", name="pk_setting"),
    )
    counter = op.create_table(
        "revision",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revision"),
    )
    op.bulk_insert(counter, [{"id": 1, "number": 0}])
    op.create_table(
        "saved",
        *_needed("name"),
        sa.Column("columns", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_saved"),
    )


def _ground() -> None:
    _table("unit", *_needed("code"), *_text("name"), *_whole("level"), *_text("parent"), key="code", placed=True)
    _table("barrier", *_needed("class"), *_text("name"), placed=True)
    _table("water", *_text("name"), placed=True)
    _table("compound", *_needed("code"), *_text("name", "kind", "address"), key="code", placed=True)
    _table(
        "building",
        *_needed("code"),
        *_text("name", "kind"),
        *_number("levels"),
        *_text("address"),
        *_whole("households"),
        sa.Column("estimated", sa.Boolean),
        *_text("grid"),
        *_number("grid_share"),
        *_text("grid_how"),
        key="code",
        placed=True,
    )


def _people() -> None:
    _table(
        "house",
        *_needed("code"),
        *_text("building", "address"),
        *_whole("households"),
        sa.Column("estimated", sa.Boolean),
        *_text("grid", "grid_how"),
        *_number("grid_distance_m"),
        key="code",
        placed=True,
    )
    _table(
        "person",
        *_needed("id"),
        *_text("house", "address", "house_given", "house_how"),
        *_number("house_score", "house_distance_m"),
        key="id",
        placed=True,
    )
    _table("staff", *_needed("id", "name"), *_text("phone", "photo", "duties", "hours"), key="id")
    _table("posting", *_needed("staff", "grid", "role"), *_day("from", "to", "verified_at"))
    _table(
        "board",
        *_needed("code"),
        *_text("kind", "grid", "building", "place"),
        *_day("installed_on", "checked_on"),
        key="code",
        placed=True,
    )


def _plan() -> None:
    _table(
        "block",
        *_needed("code"),
        *_text("unit"),
        *_whole("households", "persons", "estimated", "buildings"),
        *_text("compound_kind", "grid"),
        key="code",
        placed=True,
    )
    _table("border", *_needed("left"), *_text("right", "class", "name"), *_number("length_m"), placed=True)
    _table(
        "grid",
        *_needed("code"),
        *_text("name", "kind"),
        *_whole("level"),
        *_text("parent"),
        *_whole("households", "persons", "estimated"),
        *_number("deviation"),
        *_text("reason"),
        *_number("compactness"),
        *_text("bounds_text"),
        *_number("road_share"),
        key="code",
        placed=True,
    )


def _results() -> None:
    _table(
        "defect",
        *_needed("kind", "severity"),
        sa.Column("codes", sa.JSON),
        *_number("area_m2", "width_m", "lon", "lat"),
        *_text("message"),
        placed=True,
    )
    _table(
        "patrol",
        *_needed("staff"),
        *_text("patrol", "grid"),
        *_day("date"),
        sa.Column("start", sa.DateTime(timezone=True)),
        sa.Column("end", sa.DateTime(timezone=True)),
        *_number("minutes", "raw_m", "cleaned_m", "inside_m", "inside_min"),
    )
    _table("patrol_coverage", *_needed("grid"), *_day("from", "to"), *_number("share", "covered_m2", "ground_m2"))
    _table(
        "rule_result",
        *_needed("rule"),
        *_text("staff", "grid"),
        *_day("from", "to"),
        *_number("value"),
        *_text("wanted"),
        *_needed("result"),
        *_text("reason"),
    )
