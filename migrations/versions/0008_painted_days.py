"""What was painted of the tracks, a day each; and an organisation's own categories."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gridgis.store import geopackage
from gridgis.store.types import SRID, Document

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

DICTIONARIES = ("matter_category", "site_class", "board_kind", "compound_kind")


def upgrade() -> None:
    op.create_table(
        "painted_day",
        sa.Column("id", sa.Integer, nullable=False),
        _organisation(),
        sa.Column("staff", sa.Text, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("plan", sa.Integer, nullable=False),
        sa.Column("made_with", Document(), nullable=False),
        sa.Column("crs", sa.Text, nullable=False),
        sa.Column("cell_m", sa.Double, nullable=False),
        sa.Column("reach_m", sa.Double, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("painted", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_painted_day"),
        sa.UniqueConstraint("organisation", "staff", "day", name="uq_painted_day_organisation"),
    )
    op.create_index("ix_painted_day_day", "painted_day", ["day"])
    named = ", ".join(f"'{name}'" for name in DICTIONARIES)
    op.create_table(
        "dictionary",
        sa.Column("row", sa.Integer, nullable=False),
        _organisation(),
        sa.Column("dictionary", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("name_zh", sa.Text, nullable=False),
        sa.Column("name_en", sa.Text),
        sa.Column("position", sa.Integer),
        sa.Column("retired", sa.Date),
        sa.Column("extra", Document()),
        sa.PrimaryKeyConstraint("row", name="pk_dictionary"),
        sa.UniqueConstraint("organisation", "dictionary", "code", name="uq_dictionary_organisation"),
        sa.CheckConstraint(f"dictionary IN ({named})", name=op.f("ck_dictionary_name")),
    )
    if op.get_bind().dialect.name == "sqlite":
        geopackage.register(op.get_bind(), "dictionary", placed=False, srid=SRID)


def downgrade() -> None:
    """Both go, an older version has no place for them; what was painted can be painted again from the tracks."""
    if op.get_bind().dialect.name == "sqlite":
        geopackage.unregister(op.get_bind(), "dictionary")
    op.drop_table("dictionary")
    op.drop_table("painted_day")


def _organisation() -> sa.Column:
    return sa.Column("organisation", sa.Integer, nullable=False, server_default="1")
