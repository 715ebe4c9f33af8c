"""Tracks of staff on duty, a day each, which go when their days are over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "track",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("staff", sa.Text, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("fixes", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_track"),
        sa.UniqueConstraint("staff", "day", name="uq_track_staff"),
    )
    op.create_index("ix_track_day", "track", ["day"])


def downgrade() -> None:
    op.drop_table("track")
