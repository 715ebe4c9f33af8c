"""Plans in a store: drafts that several people edit, and versions that never change once they are published.

draft → checked → published from a day → archived. What was published stays as it was: triggers of the database refuse
every change of its rows. Grids keep their codes from plan to plan; the lineage says where ground and households came
from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import geopandas as gpd
import pandas as pd
from sqlalchemy import Connection, Select, and_, delete, func, or_, select, update

from gridgis.errors import NotFoundError, StoreError
from gridgis.plan.closing import Drafted
from gridgis.plan.partition import Plan
from gridgis.store import Store, audit, edits, plan_rows, publishing
from gridgis.store.models import Base
from gridgis.store.plan_rows import BLOCK, BORDER, GRID, PLAN

_OPERATION, _LINEAGE = (Base.metadata.tables[name] for name in ("plan_operation", "lineage"))
_ENDED = ("published", "archived")


class Version(NamedTuple):
    """What a plan is: its number, title and state, the days on which it holds, and how often it was saved."""

    id: int
    title: str
    state: str
    valid_from: date | None
    valid_to: date | None
    based_on: int | None
    revision: int
    made_at: datetime
    made_by: str
    published_at: datetime | None
    published_by: str | None


class Plans:
    """The plans of an open store. Every change is one transaction, with a row in the audit log."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # --- what is there ------------------------------------------------------------------------------------------------

    def listed(self) -> list[Version]:
        """All plans, the newest first."""
        query = select(*_version_columns()).order_by(PLAN.c.id.desc())
        return self._store.ask(lambda connection: [Version(*row) for row in connection.execute(query)])

    def version(self, plan: int) -> Version:
        """One plan.

        Raises
        ------
        NotFoundError
            There is no plan of that number.
        """
        return self._store.ask(lambda connection: self._version(connection, plan))

    def at(self, day: date) -> Version | None:
        """The plan that holds on a day, past or to come; None where none does."""

        def ask(connection: Connection) -> Version | None:
            found = connection.execute(_holding(day)).scalar()
            return None if found is None else self._version(connection, found)

        return self._store.ask(ask)

    def load(self, plan: int) -> tuple[Plan, gpd.GeoDataFrame, Version]:
        """A plan with its borders, and the version that was read: hand its revision to :meth:`save`."""

        def ask(connection: Connection) -> tuple[Plan, gpd.GeoDataFrame, Version]:
            version = self._version(connection, plan)
            return *plan_rows.loaded(connection, plan), version

        return self._store.ask(ask)

    def operations(self, plan: int) -> list[dict[str, Any]]:
        """The log of edits, the first one first."""
        query = select(_OPERATION.c.operation).where(_OPERATION.c.plan == plan).order_by(_OPERATION.c.number)
        return self._store.ask(lambda connection: [dict(found) for found in connection.execute(query).scalars()])

    def lineage(self, plan: int) -> pd.DataFrame:
        """Of a published plan: code, before (a grid of the plan before), ground_share, household_share of that grid."""
        names = ("code", "before", "ground_share", "household_share")
        query = select(*(_LINEAGE.c[name] for name in names)).where(_LINEAGE.c.plan == plan).order_by(_LINEAGE.c.id)
        return self._store.ask(lambda c: pd.DataFrame(c.execute(query).all(), columns=list(names)))

    # --- drafts -------------------------------------------------------------------------------------------------------

    def add(
        self,
        plan: Plan | Drafted,
        *,
        title: str,
        by: str,
        borders: gpd.GeoDataFrame | None = None,
        based_on: int | None = None,
    ) -> int:
        """Keep a plan as a new draft.

        Returns
        -------
        int
            Its number.

        Raises
        ------
        SchemaError, GeometryError, CRSError, StoreError
            What cannot be kept; nothing is written.
        """
        rows, notes = plan_rows.ready(plan, title, borders)
        with self._store.writing() as connection:
            if based_on is not None:
                self._version(connection, based_on)
            number = plan_rows.add(connection, rows, title=title, by=by, notes=notes, based_on=based_on)
            audit.note(connection, by, "add", "plan", str(number), after={"title": title, "blocks": len(plan.blocks)})
        return number

    def keeping(
        self, plan: Plan | Drafted, *, title: str, by: str, on: date, borders: gpd.GeoDataFrame | None = None
    ) -> Callable[[Connection], int | None]:
        """What keeps a plan without faults as the one that holds from a day on, to be done in a transaction of others.

        It is for :meth:`gridgis.store.Store.save`. Nothing is added where the plan that holds on that day has the same
        blocks and grids; a plan that began on the very day gives way, archived. The call gives the number of the new
        plan, None where there is none.
        """
        rows, notes = plan_rows.ready(plan, title, borders)

        def keep(connection: Connection) -> int | None:
            query = _holding(on)
            earlier = connection.execute(query).scalar()
            if earlier is not None and all(plan_rows.held(connection, t, earlier, rows[t]) for t in (BLOCK, GRID)):
                return None
            number = plan_rows.add(connection, rows, title=title, by=by, notes=notes, based_on=earlier)
            end = publishing.make_room(connection, on, replace=True)
            if earlier is not None:
                before, after = (plan_rows.loaded(connection, n)[0].grids for n in (earlier, number))
                publishing.write_lineage(connection, number, before, after)
            values = {"state": "published", "valid_from": on, "valid_to": end, "published_at": datetime.now(UTC),
                      "published_by": by}  # fmt: skip
            connection.execute(update(PLAN).where(PLAN.c.id == number).values(values))
            audit.note(connection, by, "publish", "plan", str(number), after={"title": title, "from": on.isoformat()})
            return number

        return keep

    def save(
        self,
        plan: int,
        before: Plan,
        after: Plan | Drafted,
        *,
        seen: int,
        by: str,
        operations: Iterable[Mapping[str, Any]] = (),
    ) -> Version:
        """Write what an editor changed into a draft.

        Parameters
        ----------
        plan : int
        before, after : Plan, or what :func:`gridgis.plan.closing.plan_of` gives
            What :meth:`load` gave, and what became of it.
        seen : int
            The revision that was loaded.
        by : str
        operations : iterable of mapping
            The edits that led from one to the other, for the log.

        Returns
        -------
        Version
            As it is now. Where others saved in the meantime, their changes are in it too.

        Raises
        ------
        ConflictError
            Others changed the same blocks or grids, or both changes together break a grid apart. Nothing is written,
            both values of each row are in the error.
        StoreError
            The plan is no draft.
        """
        done = [dict(operation) for operation in operations]
        with self._store.writing() as connection:
            self._lock(connection, plan)
            version = self._version(connection, plan)
            others = version.revision - 1 != seen
            for table, old, new in ((BLOCK, before.blocks, after.blocks), (GRID, before.grids, after.grids)):
                edits.write_changes(connection, table, plan, old, new, alone=not others)
            if others:
                edits.make_whole(connection, plan)
            _add_operations(connection, plan, done, by)
            changed = {"revision": version.revision, "operations": [operation.get("op") for operation in done]}
            audit.note(connection, by, "save", "plan", str(plan), after=changed)
            return self._version(connection, plan)

    def remove(self, plan: int, *, by: str) -> None:
        """Throw a draft away. What was published cannot be."""
        with self._store.writing() as connection:
            self._lock(connection, plan)
            for table in (BLOCK, GRID, BORDER, _OPERATION, _LINEAGE):
                connection.execute(delete(table).where(table.c.plan == plan))
            connection.execute(delete(PLAN).where(PLAN.c.id == plan))
            audit.note(connection, by, "remove", "plan", str(plan))

    # --- from a draft to what is public -------------------------------------------------------------------------------

    def check(self, plan: int, *, by: str, units: gpd.GeoDataFrame | None = None) -> gpd.GeoDataFrame:
        """Validate a draft; one without faults is checked.

        Parameters
        ----------
        plan : int
        by : str
        units : GeoDataFrame, optional
            What the grids must tile and nest in; by default the units of the store, where it has any.

        Returns
        -------
        GeoDataFrame
            The defects, as :func:`gridgis.validate` gives them; grids in several pieces are errors here.
        """
        made, _, version = self.load(plan)
        ground = self._units() if units is None else units
        defects = publishing.faults(made, ground)
        if (defects["severity"] == "error").any():
            return defects
        with self._store.writing() as connection:
            fresh = and_(PLAN.c.id == plan, PLAN.c.revision == version.revision, PLAN.c.state == "draft")
            if connection.execute(update(PLAN).where(fresh).values(state="checked")).rowcount:
                audit.note(connection, by, "check", "plan", str(plan), after={"revision": version.revision})
        return defects

    def publish(self, plan: int, *, by: str, on: date, units: gpd.GeoDataFrame | None = None) -> Version:
        """Make a draft the plan that holds from a day on.

        The plan that held before ends the day before; one that is to hold later still begins on its day. The lineage
        is computed from the plan before.

        Raises
        ------
        StoreError
            The draft has gaps, overlaps or other faults; another plan begins on the same day; it is no draft.
        """
        made, _, version = self.load(plan)
        if version.state in _ENDED:
            raise StoreError("the plan is published already", source=f"plan {plan}", found=version.state)
        defects = publishing.faults(made, self._units() if units is None else units)
        wrong = defects[defects["severity"] == "error"]
        if len(wrong):
            counts = wrong["kind"].value_counts()
            raise StoreError("a plan with faults is not published", source=f"plan {plan}",
                             found=", ".join(f"{kind} {n}" for kind, n in sorted(counts.items())),
                             remedy="gridgis validate shows where.")  # fmt: skip
        earlier = self.at(on)
        parents = None if earlier is None else self.load(earlier.id)[0].grids
        with self._store.writing() as connection:
            self._lock(connection, plan)
            if self._version(connection, plan).revision != version.revision + 1:
                raise StoreError("the draft was saved while it was checked", source=f"plan {plan}", remedy="Try again.")
            end = publishing.make_room(connection, on)
            if parents is not None:
                publishing.write_lineage(connection, plan, parents, made.grids)
            values = {"state": "published", "valid_from": on, "valid_to": end, "revision": version.revision,
                      "published_at": datetime.now(UTC), "published_by": by}  # fmt: skip
            connection.execute(update(PLAN).where(PLAN.c.id == plan).values(values))
            publishing.count(connection)
            audit.note(connection, by, "publish", "plan", str(plan), after={"from": on.isoformat()})
        return self.version(plan)

    def archive(self, plan: int, *, by: str, on: date) -> Version:
        """End a published plan: `on` is the last day on which it holds.

        Raises
        ------
        StoreError
            It is not published, or begins later.
        """
        with self._store.writing() as connection:
            begun = or_(PLAN.c.valid_from.is_(None), PLAN.c.valid_from <= on)
            meant = and_(PLAN.c.id == plan, PLAN.c.state == "published", begun)
            last = func.coalesce(PLAN.c.valid_to, on)
            done = connection.execute(update(PLAN).where(meant).values(state="archived", valid_to=last)).rowcount
            version = self._version(connection, plan)
            if not done:
                raise StoreError("the plan cannot be archived", source=f"plan {plan}",
                                 found=f"{version.state}, from {version.valid_from}",
                                 wanted=f"a published plan that holds on {on}")  # fmt: skip
            publishing.count(connection)
            audit.note(connection, by, "archive", "plan", str(plan), after={"to": on.isoformat()})
            return version

    # --- inside -------------------------------------------------------------------------------------------------------

    def _units(self) -> gpd.GeoDataFrame | None:
        units = self._store.load("unit")
        return units if isinstance(units, gpd.GeoDataFrame) and len(units) else None

    def _lock(self, connection: Connection, plan: int) -> None:
        """Take the plan for this transaction, and count its revision; what was checked is a draft again."""
        open_ = and_(PLAN.c.id == plan, PLAN.c.state.in_(("draft", "checked")))
        values = {"revision": PLAN.c.revision + 1, "state": "draft"}
        if not connection.execute(update(PLAN).where(open_).values(values)).rowcount:
            found = self._version(connection, plan).state
            raise StoreError("a published plan never changes", source=f"plan {plan}", found=found,
                             remedy="Make a draft that is based on it.")  # fmt: skip

    def _version(self, connection: Connection, plan: int) -> Version:
        row = connection.execute(select(*_version_columns()).where(PLAN.c.id == plan)).one_or_none()
        if row is None:
            raise NotFoundError("there is no such plan", source=self._store.name, found=str(plan))
        return Version(*row)


def holding(connection: Connection, day: date) -> int | None:
    """The number of the plan that holds on a day, within a transaction of others."""
    found: int | None = connection.execute(_holding(day)).scalar()
    return found


def grids_of(connection: Connection, plan: int) -> gpd.GeoDataFrame:
    """The grids of a plan as :meth:`Plans.load` gives them, within a transaction of others."""
    return gpd.GeoDataFrame(plan_rows.loaded(connection, plan)[0].grids)


def _version_columns() -> list[Any]:
    return [PLAN.c[name] for name in Version._fields]


def _holding(day: date) -> Select[int]:
    """The number of the plan that holds on a day."""
    holds = and_(
        PLAN.c.state.in_(_ENDED),
        PLAN.c.valid_from <= day,
        or_(PLAN.c.valid_to.is_(None), PLAN.c.valid_to >= day),
    )
    return select(PLAN.c.id).where(holds).order_by(PLAN.c.valid_from.desc(), PLAN.c.id.desc()).limit(1)


def _add_operations(connection: Connection, plan: int, operations: Iterable[Mapping[str, Any]], by: str) -> None:
    last = connection.execute(select(func.max(_OPERATION.c.number)).where(_OPERATION.c.plan == plan)).scalar() or 0
    now = datetime.now(UTC)
    rows = [{"number": last + n, "at": now, "by": by, "operation": dict(o)} for n, o in enumerate(operations, 1)]
    plan_rows.insert_into(connection, _OPERATION, plan, rows)
