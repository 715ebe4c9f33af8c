"""Several organisations in one store: every row belongs to one, what is there belongs to the first.

Sites have their house, visits their kind.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

#: Tables whose rows have a key, which is unique within an organisation from now on.
KEYED = {
    "unit": "code", "compound": "code", "building": "code", "house": "code", "person": "id", "staff": "id",
    "board": "code", "block": "code", "grid": "code", "household": "code", "site": "code", "segment": "code",
    "responsibility_block": "code", "matter": "code",
}  # fmt: skip
PLAIN = (
    "barrier", "water", "posting", "border", "defect", "patrol", "patrol_coverage", "rule_result", "visit", "leave",
    "weather", "plan", "plan_block", "plan_border", "plan_grid", "plan_operation", "lineage", "audit",
)  # fmt: skip
OWN = {"setting": "key", "saved": "name"}


def upgrade() -> None:
    made = op.create_table(
        "organisation",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_organisation"),
        sa.UniqueConstraint("code", name="uq_organisation_code"),
    )
    op.bulk_insert(made, [{"id": 1, "code": "1", "name": None}])
    if op.get_bind().dialect.name == "postgresql":
        # Their first rows were numbered by hand.
        for name in ("organisation", "revision"):
            op.execute(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), 1)")
    op.add_column("site", sa.Column("house", sa.Text))
    op.add_column("visit", sa.Column("kind", sa.Text))
    for name in PLAIN:
        op.add_column(name, _organisation())
    for name, key in KEYED.items():
        with op.batch_alter_table(name) as batch:
            batch.add_column(_organisation())
            batch.drop_constraint(f"uq_{name}_{key}", type_="unique")
            batch.create_unique_constraint(f"uq_{name}_organisation", ["organisation", key])
    for name, key in OWN.items():
        with op.batch_alter_table(name) as batch:
            batch.add_column(_organisation())
            batch.drop_constraint(f"pk_{name}", type_="primary")
            batch.create_primary_key(f"pk_{name}", ["organisation", key])
    with op.batch_alter_table("revision") as batch:
        batch.add_column(_organisation())
        batch.create_unique_constraint("uq_revision_organisation", ["organisation"])
    with op.batch_alter_table("track") as batch:
        batch.add_column(_organisation())
        batch.drop_constraint("uq_track_staff", type_="unique")
        batch.create_unique_constraint("uq_track_organisation", ["organisation", "staff", "day"])


def downgrade() -> None:
    """Only a store of one organisation goes back: rows of several would stand in each other's way."""
    with op.batch_alter_table("track") as batch:
        batch.drop_constraint("uq_track_organisation", type_="unique")
        batch.drop_column("organisation")
        batch.create_unique_constraint("uq_track_staff", ["staff", "day"])
    with op.batch_alter_table("revision") as batch:
        batch.drop_constraint("uq_revision_organisation", type_="unique")
        batch.drop_column("organisation")
    for name, key in OWN.items():
        with op.batch_alter_table(name) as batch:
            batch.drop_constraint(f"pk_{name}", type_="primary")
            batch.drop_column("organisation")
            batch.create_primary_key(f"pk_{name}", [key])
    for name, key in KEYED.items():
        with op.batch_alter_table(name) as batch:
            batch.drop_constraint(f"uq_{name}_organisation", type_="unique")
            batch.drop_column("organisation")
            batch.create_unique_constraint(f"uq_{name}_{key}", [key])
    for name in reversed(PLAIN):
        op.drop_column(name, "organisation")
    op.drop_column("visit", "kind")
    op.drop_column("site", "house")
    op.drop_table("organisation")


def _organisation() -> sa.Column:
    return sa.Column("organisation", sa.Integer, nullable=False, server_default="1")
