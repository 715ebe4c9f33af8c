"""The one model of a store: a table for each noun, explicit columns, and ``extra`` for what travels along.

Names of tables and columns are those of :mod:`gridgis.schema`. There are no foreign keys between them: a
house whose building is missing is a fault to be listed (``chain``), not one to be refused.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Double, ForeignKey, MetaData, Table, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

from gridgis.store.types import Document, Shape, UTCTime

#: Names for constraints, so that a migration can name what it changes.
NAMING = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(constraint_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 (read by SQLAlchemy as a class attribute)
        datetime: UTCTime,
        str: Text(),
        float: Double(),
        dict[str, Any]: Document(),
        list[str]: Document(),
    }


class Owned:
    """Whose the row is (:mod:`gridgis.store.organisations`)."""

    organisation: Mapped[int] = mapped_column(server_default="1")


class Rows(Owned):
    """What every table has: the row's number, which keeps the saved order, and the columns nobody named."""

    row: Mapped[int] = mapped_column(primary_key=True)
    extra: Mapped[dict[str, Any] | None]


class Placed:
    """A place, in WGS 84."""

    geometry: Mapped[Any | None] = mapped_column(Shape())


class Load:
    """How many live there, and how many of the households are estimates."""

    households: Mapped[int | None]
    persons: Mapped[int | None]
    estimated: Mapped[int | None]


class BlockColumns(Placed, Load):
    """What a block is, in a build and in a plan."""

    code: Mapped[str]
    unit: Mapped[str | None]
    buildings: Mapped[int | None]
    compound_kind: Mapped[str | None]


class BorderColumns(Placed):
    """What a border is, in a build and in a plan."""

    left: Mapped[str]
    right: Mapped[str | None]
    class_: Mapped[str | None] = mapped_column("class")
    name: Mapped[str | None]
    length_m: Mapped[float | None]


class GridColumns(Placed, Load):
    """What a grid is, in a build and in a plan."""

    code: Mapped[str]
    name: Mapped[str | None]
    kind: Mapped[str | None]
    level: Mapped[int | None]
    parent: Mapped[str | None]
    deviation: Mapped[float | None]
    reason: Mapped[str | None]
    compactness: Mapped[float | None]
    bounds_text: Mapped[str | None]
    road_share: Mapped[float | None]


def _key(name: str) -> tuple[UniqueConstraint]:
    """A key is unique within an organisation."""
    return (UniqueConstraint("organisation", name),)


class Organisation(Base):
    """Somebody whose rows nobody else sees: a sub-district, as a rule."""

    __tablename__ = "organisation"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str | None]


class Setting(Base):
    __tablename__ = "setting"
    organisation: Mapped[int] = mapped_column(primary_key=True, server_default="1", autoincrement=False)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class Revision(Base):
    """One row for each organisation: how often its part of the store was saved."""

    __tablename__ = "revision"
    id: Mapped[int] = mapped_column(primary_key=True)
    organisation: Mapped[int] = mapped_column(unique=True, server_default="1")
    number: Mapped[int]


class Saved(Base):
    """Which columns a table had when it was saved, in order, with the types of those in ``extra``."""

    __tablename__ = "saved"
    organisation: Mapped[int] = mapped_column(primary_key=True, server_default="1", autoincrement=False)
    name: Mapped[str] = mapped_column(primary_key=True)
    columns: Mapped[dict[str, Any]]


class Unit(Rows, Placed, Base):
    __tablename__ = "unit"
    __table_args__ = _key("code")
    code: Mapped[str]
    name: Mapped[str | None]
    level: Mapped[int | None]
    parent: Mapped[str | None]


class Barrier(Rows, Placed, Base):
    __tablename__ = "barrier"
    class_: Mapped[str] = mapped_column("class", Text)
    name: Mapped[str | None]


class Water(Rows, Placed, Base):
    __tablename__ = "water"
    name: Mapped[str | None]


class Compound(Rows, Placed, Base):
    __tablename__ = "compound"
    __table_args__ = _key("code")
    code: Mapped[str]
    name: Mapped[str | None]
    kind: Mapped[str | None]
    address: Mapped[str | None]


class Building(Rows, Placed, Base):
    __tablename__ = "building"
    __table_args__ = _key("code")
    code: Mapped[str]
    name: Mapped[str | None]
    kind: Mapped[str | None]
    levels: Mapped[float | None]
    address: Mapped[str | None]
    households: Mapped[int | None]
    estimated: Mapped[bool | None]
    grid: Mapped[str | None]
    grid_share: Mapped[float | None]
    grid_how: Mapped[str | None]


class House(Rows, Placed, Base):
    __tablename__ = "house"
    __table_args__ = _key("code")
    code: Mapped[str]
    building: Mapped[str | None]
    address: Mapped[str | None]
    households: Mapped[int | None]
    estimated: Mapped[bool | None]
    grid: Mapped[str | None]
    grid_how: Mapped[str | None]
    grid_distance_m: Mapped[float | None]


class Person(Rows, Placed, Base):
    """An id and a house; never a name, never an identity number."""

    __tablename__ = "person"
    __table_args__ = _key("id")
    id: Mapped[str]
    house: Mapped[str | None]
    address: Mapped[str | None]
    house_given: Mapped[str | None]
    house_how: Mapped[str | None]
    house_score: Mapped[float | None]
    house_distance_m: Mapped[float | None]


class Staff(Rows, Base):
    __tablename__ = "staff"
    __table_args__ = _key("id")
    id: Mapped[str]
    name: Mapped[str]
    phone: Mapped[str | None]
    photo: Mapped[str | None]
    duties: Mapped[str | None]
    hours: Mapped[str | None]


class Posting(Rows, Base):
    __tablename__ = "posting"
    staff: Mapped[str]
    grid: Mapped[str]
    role: Mapped[str]
    from_: Mapped[date | None] = mapped_column("from")
    to: Mapped[date | None]
    verified_at: Mapped[date | None]


class Board(Rows, Placed, Base):
    __tablename__ = "board"
    __table_args__ = _key("code")
    code: Mapped[str]
    kind: Mapped[str | None]
    grid: Mapped[str | None]
    building: Mapped[str | None]
    place: Mapped[str | None]
    installed_on: Mapped[date | None]
    checked_on: Mapped[date | None]


class Household(Rows, Base):
    """Who shares a house; a code and nothing else."""

    __tablename__ = "household"
    __table_args__ = _key("code")
    code: Mapped[str]
    house: Mapped[str | None]


class Site(Rows, Placed, Base):
    __tablename__ = "site"
    __table_args__ = _key("code")
    code: Mapped[str]
    class_: Mapped[str | None] = mapped_column("class")
    cadence: Mapped[str | None]
    house: Mapped[str | None]


class Visit(Rows, Base):
    __tablename__ = "visit"
    target: Mapped[str]
    staff: Mapped[str | None]
    time: Mapped[datetime]
    kind: Mapped[str | None]


class Leave(Rows, Base):
    __tablename__ = "leave"
    staff: Mapped[str]
    date_: Mapped[date] = mapped_column("date")


class Weather(Rows, Base):
    __tablename__ = "weather"
    date_: Mapped[date] = mapped_column("date")
    kind: Mapped[str]


class Segment(Rows, Placed, Base):
    __tablename__ = "segment"
    __table_args__ = _key("code")
    code: Mapped[str]
    name: Mapped[str | None]
    kind: Mapped[str | None]
    grid: Mapped[str | None]


class ResponsibilityBlock(Rows, Placed, Base):
    __tablename__ = "responsibility_block"
    __table_args__ = _key("code")
    code: Mapped[str]
    name: Mapped[str | None]
    kind: Mapped[str | None]
    grid: Mapped[str | None]


class Matter(Rows, Placed, Base):
    __tablename__ = "matter"
    __table_args__ = _key("code")
    code: Mapped[str]
    category: Mapped[str | None]
    time: Mapped[datetime | None]
    grid: Mapped[str | None]
    state: Mapped[str | None]
    deadline: Mapped[datetime | None]
    closed: Mapped[datetime | None]


class Dictionary(Rows, Base):
    """One word of a list of an organisation's own: what a code means that a column of another table may hold."""

    __tablename__ = "dictionary"
    __table_args__ = (UniqueConstraint("organisation", "dictionary", "code"),)
    dictionary: Mapped[str]
    code: Mapped[str]
    name_zh: Mapped[str]
    name_en: Mapped[str | None]
    position: Mapped[int | None]
    retired_on: Mapped[date | None]


class Block(Rows, BlockColumns, Base):
    __tablename__ = "block"
    __table_args__ = _key("code")
    grid: Mapped[str | None]


class Border(Rows, BorderColumns, Base):
    __tablename__ = "border"


class Grid(Rows, GridColumns, Base):
    __tablename__ = "grid"
    __table_args__ = _key("code")


class Defect(Rows, Placed, Base):
    __tablename__ = "defect"
    kind: Mapped[str]
    severity: Mapped[str]
    codes: Mapped[list[str] | None]
    area_m2: Mapped[float | None]
    width_m: Mapped[float | None]
    lon: Mapped[float | None]
    lat: Mapped[float | None]
    message: Mapped[str | None]


class Patrol(Rows, Base):
    __tablename__ = "patrol"
    staff: Mapped[str]
    patrol: Mapped[str | None]
    grid: Mapped[str | None]
    date_: Mapped[date | None] = mapped_column("date")
    start: Mapped[datetime | None]
    end: Mapped[datetime | None]
    minutes: Mapped[float | None]
    raw_m: Mapped[float | None]
    cleaned_m: Mapped[float | None]
    inside_m: Mapped[float | None]
    inside_min: Mapped[float | None]


class PatrolCoverage(Rows, Base):
    __tablename__ = "patrol_coverage"
    grid: Mapped[str]
    from_: Mapped[date | None] = mapped_column("from")
    to: Mapped[date | None]
    share: Mapped[float | None]
    covered_m2: Mapped[float | None]
    ground_m2: Mapped[float | None]


class RuleResult(Rows, Base):
    __tablename__ = "rule_result"
    rule: Mapped[str]
    staff: Mapped[str | None]
    grid: Mapped[str | None]
    from_: Mapped[date | None] = mapped_column("from")
    to: Mapped[date | None]
    value: Mapped[float | None]
    wanted: Mapped[str | None]
    result: Mapped[str]
    reason: Mapped[str | None]


# --- plans: versions that never change once they are published --------------------------------------------------------


class OfPlan(Owned):
    """A row of one plan."""

    id: Mapped[int] = mapped_column(primary_key=True)

    @declared_attr
    def plan(cls) -> Mapped[int]:
        return mapped_column(ForeignKey("plan.id", deferrable=True), index=True)


class PlanVersion(Owned, Base):
    """One version of all grids: draft, checked, published from a day, archived."""

    __tablename__ = "plan"
    __table_args__ = (CheckConstraint("state IN ('draft', 'checked', 'published', 'archived')", name="plan_state"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    state: Mapped[str]
    valid_from: Mapped[date | None]
    valid_to: Mapped[date | None]
    based_on: Mapped[int | None] = mapped_column(ForeignKey("plan.id", deferrable=True))
    revision: Mapped[int]
    made_at: Mapped[datetime]
    made_by: Mapped[str]
    published_at: Mapped[datetime | None]
    published_by: Mapped[str | None]
    notes: Mapped[dict[str, Any] | None]


class PlanBlock(OfPlan, BlockColumns, Base):
    __tablename__ = "plan_block"
    __table_args__ = (UniqueConstraint("plan", "code"),)
    grid: Mapped[str]
    extra: Mapped[dict[str, Any] | None]


class PlanBorder(OfPlan, BorderColumns, Base):
    __tablename__ = "plan_border"
    extra: Mapped[dict[str, Any] | None]


class PlanGrid(OfPlan, GridColumns, Base):
    """A grid of one plan: its code is the same from plan to plan as long as it goes on."""

    __tablename__ = "plan_grid"
    __table_args__ = (UniqueConstraint("plan", "code"),)
    extra: Mapped[dict[str, Any] | None]


class PlanOperation(OfPlan, Base):
    """One edit, as the log of a draft has it."""

    __tablename__ = "plan_operation"
    __table_args__ = (UniqueConstraint("plan", "number"),)
    number: Mapped[int]
    at: Mapped[datetime]
    by: Mapped[str]
    operation: Mapped[dict[str, Any]]


class Lineage(OfPlan, Base):
    """Where a grid's ground and households came from: a grid of the plan before."""

    __tablename__ = "lineage"
    code: Mapped[str]
    before: Mapped[str]
    ground_share: Mapped[float]
    household_share: Mapped[float]


class Track(Owned, Base):
    """What one member of staff walked on one day: the fixes as Parquet. Kept for the profile's `track_kept_days`."""

    __tablename__ = "track"
    __table_args__ = (UniqueConstraint("organisation", "staff", "day"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    staff: Mapped[str]
    day: Mapped[date] = mapped_column(index=True)
    count: Mapped[int]
    fixes: Mapped[bytes]


class PaintedDay(Owned, Base):
    """How near one member of staff came to the cells of the grids of a plan on one day.

    `painted` are the bytes of :mod:`gridgis.patrol.packing`, `count` is how many cells they tell of. The cells count
    from each grid's own corner in `crs`; `made_with` tells the rest of what has to be equal where they are read.
    """

    __tablename__ = "painted_day"
    __table_args__ = (UniqueConstraint("organisation", "staff", "day"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    staff: Mapped[str]
    day: Mapped[date] = mapped_column(index=True)
    plan: Mapped[int]
    made_with: Mapped[dict[str, Any]]
    crs: Mapped[str]
    cell_m: Mapped[float]
    reach_m: Mapped[float]
    count: Mapped[int]
    painted: Mapped[bytes]


class User(Owned, Base):
    """Somebody who may work with the rows of an organisation, and as what (:mod:`gridgis.store.users`)."""

    __tablename__ = "user_account"
    __table_args__ = (
        UniqueConstraint("organisation", "name"),
        CheckConstraint(
            "role IN ('worker', 'head', 'editor', 'supervisor', 'administrator')", name="user_account_role"
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    display_name: Mapped[str | None]
    role: Mapped[str]
    staff: Mapped[str | None]
    unit: Mapped[str | None]
    password_hash: Mapped[str]
    active: Mapped[bool]
    made_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class Audit(Owned, Base):
    """Who did what when: rows are added, never changed or deleted. Of personal rows it has ids and names of columns."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    by: Mapped[str]
    what: Mapped[str]
    table_: Mapped[str] = mapped_column("table")
    key: Mapped[str | None]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]


#: The tables that :meth:`gridgis.store.Store.save` takes, by name.
TABLES: dict[str, Table] = {
    name: table for name, table in sorted(Base.metadata.tables.items()) if {"row", "extra"} <= set(table.columns.keys())
}
