"""What was painted of the tracks, a day each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gridgis.store.types import Document

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


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


def downgrade() -> None:
    """They go, an older version has no place for them; they can be painted again from the tracks."""
    op.drop_table("painted_day")


def _organisation() -> sa.Column:
    return sa.Column("organisation", sa.Integer, nullable=False, server_default="1")
