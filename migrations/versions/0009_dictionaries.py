"""The words of an organisation's own for the categories of matters, sites, boards and the like."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gridgis.store import geopackage
from gridgis.store.types import SRID, Document

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dictionary",
        sa.Column("row", sa.Integer, nullable=False),
        sa.Column("organisation", sa.Integer, nullable=False, server_default="1"),
        sa.Column("dictionary", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("name_zh", sa.Text, nullable=False),
        sa.Column("name_en", sa.Text),
        sa.Column("position", sa.Integer),
        sa.Column("retired_on", sa.Date),
        sa.Column("extra", Document()),
        sa.PrimaryKeyConstraint("row", name="pk_dictionary"),
        sa.UniqueConstraint("organisation", "dictionary", "code", name="uq_dictionary_organisation"),
    )
    if op.get_bind().dialect.name == "sqlite":
        geopackage.register(op.get_bind(), "dictionary", placed=False, srid=SRID)


def downgrade() -> None:
    """They go: an older version has no place for them. The codes in the other tables stay."""
    if op.get_bind().dialect.name == "sqlite":
        geopackage.unregister(op.get_bind(), "dictionary")
    op.drop_table("dictionary")
