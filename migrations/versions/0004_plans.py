"""Plans in versions that never change once published, with their operations and lineage; the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gridgis.store import geopackage
from gridgis.store.types import SRID, Document, Shape, UTCTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

PLACED = ("plan_block", "plan_border", "plan_grid")
OF_PLAN = (*PLACED, "plan_operation", "lineage")

_FROZEN = "a published plan never changes"
_KEPT = "the audit log is only added to"
_WHOLE = "this table is never emptied"
#: What may change of a published plan: it ends, and is archived.
_FIXED = ("id", "title", "valid_from", "based_on", "revision", "made_at", "made_by", "published_at", "published_by")


def upgrade() -> None:
    _plan()
    _of_plan("plan_block", *_texts("code", needed=True), *_texts("unit"), *_loads(), _whole("buildings"),
             *_texts("compound_kind"), *_texts("grid", needed=True), unique="code")  # fmt: skip
    _of_plan("plan_border", *_texts("left", needed=True), *_texts("right", "class", "name"), _number("length_m"))
    _of_plan("plan_grid", *_texts("code", needed=True), *_texts("name", "kind"), _whole("level"), *_texts("parent"),
             *_loads(), _number("deviation"), *_texts("reason"), _number("compactness"), *_texts("bounds_text"),
             _number("road_share"), unique="code")  # fmt: skip
    _of_plan("plan_operation", sa.Column("number", sa.Integer, nullable=False), *_moments("at", needed=True),
             *_texts("by", needed=True), sa.Column("operation", Document(), nullable=False),
             unique="number")  # fmt: skip
    _of_plan("lineage", *_texts("code", "before", needed=True),
             sa.Column("ground_share", sa.Double, nullable=False),
             sa.Column("household_share", sa.Double, nullable=False))  # fmt: skip
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, nullable=False),
        *_moments("at", needed=True),
        *_texts("by", "what", "table", needed=True),
        *_texts("key"),
        sa.Column("before", Document()),
        sa.Column("after", Document()),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    (_freeze_file if op.get_bind().dialect.name == "sqlite" else _freeze_database)()


def downgrade() -> None:
    connection = op.get_bind()
    file = connection.dialect.name == "sqlite"
    for name in ("audit", *reversed(OF_PLAN), "plan"):
        if file and name in PLACED:
            geopackage.unregister(connection, name)
        op.drop_table(name)
    if not file:
        for name in ("gridgis_frozen", "gridgis_ended", "gridgis_kept", "gridgis_whole"):
            op.execute(f"DROP FUNCTION {name}()")


def _texts(*names: str, needed: bool = False) -> list[sa.Column]:
    return [sa.Column(name, sa.Text, nullable=not needed) for name in names]


def _moments(*names: str, needed: bool = False) -> list[sa.Column]:
    return [sa.Column(name, UTCTime(), nullable=not needed) for name in names]


def _whole(name: str) -> sa.Column:
    return sa.Column(name, sa.Integer)


def _number(name: str) -> sa.Column:
    return sa.Column(name, sa.Double)


def _loads() -> list[sa.Column]:
    return [_whole(name) for name in ("households", "persons", "estimated")]


def _plan() -> None:
    op.create_table(
        "plan",
        sa.Column("id", sa.Integer, nullable=False),
        *_texts("title", "state", needed=True),
        sa.Column("valid_from", sa.Date),
        sa.Column("valid_to", sa.Date),
        _whole("based_on"),
        sa.Column("revision", sa.Integer, nullable=False),
        *_moments("made_at", needed=True),
        *_texts("made_by", needed=True),
        *_moments("published_at"),
        *_texts("published_by"),
        sa.Column("notes", Document()),
        sa.PrimaryKeyConstraint("id", name="pk_plan"),
        sa.ForeignKeyConstraint(["based_on"], ["plan.id"], name="fk_plan_based_on", deferrable=True),
        sa.CheckConstraint("state IN ('draft', 'checked', 'published', 'archived')", name="ck_plan_state"),
    )


def _of_plan(name: str, *columns: sa.Column, unique: str | None = None) -> None:
    placed = name in PLACED
    op.create_table(
        name,
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("plan", sa.Integer, nullable=False),
        *columns,
        *([sa.Column("extra", Document()), sa.Column("geometry", Shape())] if placed else []),
        sa.PrimaryKeyConstraint("id", name=f"pk_{name}"),
        sa.ForeignKeyConstraint(["plan"], ["plan.id"], name=f"fk_{name}_plan", deferrable=True),
        *([sa.UniqueConstraint("plan", unique, name=f"uq_{name}_plan")] if unique else []),
    )
    op.create_index(f"ix_{name}_plan", name, ["plan"])
    if placed and op.get_bind().dialect.name == "sqlite":
        geopackage.register(op.get_bind(), name, placed=True, srid=SRID)


def _freeze_file() -> None:
    for name in OF_PLAN:
        for act, rows in (("INSERT", ("NEW",)), ("UPDATE", ("OLD", "NEW")), ("DELETE", ("OLD",))):
            ids = ", ".join(f"{row}.plan" for row in rows)
            frozen = f"EXISTS (SELECT 1 FROM plan WHERE id IN ({ids}) AND state IN ('published', 'archived'))"
            _trigger(f"{name}_{act.lower()}_frozen", f"{act} ON {name}", frozen, _FROZEN)
    changed = " OR ".join(f'OLD."{column}" IS NOT NEW."{column}"' for column in _FIXED)
    ended = f"OLD.state = 'published' AND (NEW.state NOT IN ('published', 'archived') OR {changed})"
    _trigger("plan_update_frozen", "UPDATE ON plan", f"OLD.state = 'archived' OR ({ended})", _FROZEN)
    _trigger("plan_delete_frozen", "DELETE ON plan", "OLD.state IN ('published', 'archived')", _FROZEN)
    for act in ("UPDATE", "DELETE"):
        _trigger(f"audit_{act.lower()}_kept", f"{act} ON audit", "1", _KEPT)


def _trigger(name: str, when: str, condition: str, message: str) -> None:
    op.execute(sa.text(
        f"CREATE TRIGGER {name} BEFORE {when} FOR EACH ROW WHEN {condition} BEGIN SELECT RAISE(ABORT, '{message}'); END"
    ))  # fmt: skip


def _freeze_database() -> None:
    _function("gridgis_frozen", f"""
        IF EXISTS (SELECT 1 FROM plan WHERE state IN ('published', 'archived')
                   AND ((TG_OP <> 'INSERT' AND id = OLD.plan) OR (TG_OP <> 'DELETE' AND id = NEW.plan))) THEN
            RAISE EXCEPTION '{_FROZEN}';
        END IF;""")  # fmt: skip
    changed = " OR ".join(f'OLD."{column}" IS DISTINCT FROM NEW."{column}"' for column in _FIXED)
    _function("gridgis_ended", f"""
        IF OLD.state = 'archived' OR (OLD.state = 'published' AND (TG_OP = 'DELETE'
           OR NEW.state NOT IN ('published', 'archived') OR {changed})) THEN
            RAISE EXCEPTION '{_FROZEN}';
        END IF;""")  # fmt: skip
    _function("gridgis_kept", f"RAISE EXCEPTION '{_KEPT}';")
    _function("gridgis_whole", f"RAISE EXCEPTION '{_WHOLE}';")
    for name in OF_PLAN:
        op.execute(f"CREATE TRIGGER {name}_frozen BEFORE INSERT OR UPDATE OR DELETE ON {name}"
                   " FOR EACH ROW EXECUTE FUNCTION gridgis_frozen()")  # fmt: skip
    op.execute("CREATE TRIGGER plan_frozen BEFORE UPDATE OR DELETE ON plan"
               " FOR EACH ROW EXECUTE FUNCTION gridgis_ended()")  # fmt: skip
    op.execute("CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE ON audit"
               " FOR EACH ROW EXECUTE FUNCTION gridgis_kept()")  # fmt: skip
    for name in (*OF_PLAN, "plan", "audit"):
        op.execute(f"CREATE TRIGGER {name}_not_emptied BEFORE TRUNCATE ON {name}"
                   " FOR EACH STATEMENT EXECUTE FUNCTION gridgis_whole()")  # fmt: skip


def _function(name: str, body: str) -> None:
    op.execute(sa.text(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}"
        " IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$"
    ))  # fmt: skip
