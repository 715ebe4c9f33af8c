"""User accounts of each organisation, with the hashes of their passwords."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gridgis.store.types import UTCTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ROLES = ("worker", "head", "editor", "supervisor", "administrator")


def upgrade() -> None:
    roles = ", ".join(f"'{role}'" for role in ROLES)
    op.create_table(
        "user_account",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("organisation", sa.Integer, nullable=False, server_default="1"),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("staff", sa.Text),
        sa.Column("unit", sa.Text),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("made_at", UTCTime(), nullable=False),
        sa.Column("changed_at", UTCTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_user_account"),
        sa.UniqueConstraint("organisation", "name", name="uq_user_account_organisation"),
        sa.CheckConstraint(f"role IN ({roles})", name=op.f("ck_user_account_role")),
    )


def downgrade() -> None:
    """The accounts go: an older version has no place for them."""
    op.drop_table("user_account")
