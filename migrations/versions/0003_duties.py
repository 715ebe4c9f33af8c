"""Households, sites and visits, leave and weather, segments and responsibility blocks, matters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gridgis.store import geopackage
from gridgis.store.types import SRID, Document, Shape, UTCTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

PLACED = ("site", "segment", "responsibility_block", "matter")
PLAIN = ("household", "visit", "leave", "weather")


def upgrade() -> None:
    _table("household", _text("code", needed=True), _text("house"), key="code")
    _table("site", _text("code", needed=True), _text("class"), _text("cadence"), key="code")
    _table("visit", _text("target", needed=True), _text("staff"), sa.Column("time", UTCTime(), nullable=False))
    _table("leave", _text("staff", needed=True), sa.Column("date", sa.Date, nullable=False))
    _table("weather", sa.Column("date", sa.Date, nullable=False), _text("kind", needed=True))
    for name in ("segment", "responsibility_block"):
        _table(name, _text("code", needed=True), _text("name"), _text("kind"), _text("grid"), key="code")
    moments = (sa.Column(name, UTCTime()) for name in ("deadline", "closed"))
    _table(
        "matter", _text("code", needed=True), _text("category"), sa.Column("time", UTCTime()), _text("grid"),
        _text("state"), *moments, key="code",
    )  # fmt: skip


def downgrade() -> None:
    connection = op.get_bind()
    for name in (*PLACED, *PLAIN):
        if connection.dialect.name == "sqlite":
            geopackage.unregister(connection, name)
        op.drop_table(name)


def _text(name: str, *, needed: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text, nullable=not needed)


def _table(name: str, *columns: sa.Column, key: str | None = None) -> None:
    placed = name in PLACED
    op.create_table(
        name,
        sa.Column("row", sa.Integer, nullable=False),
        *columns,
        sa.Column("extra", Document()),
        *([sa.Column("geometry", Shape())] if placed else []),
        sa.PrimaryKeyConstraint("row", name=f"pk_{name}"),
        *([sa.UniqueConstraint(key, name=f"uq_{name}_{key}")] if key else []),
    )
    if op.get_bind().dialect.name == "sqlite":
        geopackage.register(op.get_bind(), name, placed=placed, srid=SRID)
