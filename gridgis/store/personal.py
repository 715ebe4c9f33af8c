"""What a store has about persons: tracks, kept for their days only; removal on request; every look is in the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any

import pandas as pd
from sqlalchemy import ColumnElement, Connection, Table, and_, delete, select, update
from sqlalchemy.exc import DBAPIError

from gridgis.errors import InputError, NotFoundError, StoreError
from gridgis.patrol.packing import unpacked
from gridgis.patrol.painted import PAINTED_COLUMNS, join_painted
from gridgis.patrol.tracks import DEFAULTS
from gridgis.profile import Parameters
from gridgis.schema import check
from gridgis.store import Store, audit, read_table
from gridgis.store.models import TABLES, Revision
from gridgis.store.numbering import note_places
from gridgis.store.walks import PAINTED as _PAINTED
from gridgis.store.walks import TRACK as _TRACK
from gridgis.store.walks import Keeper, Kept, read

_NOBODY = pd.DataFrame({"staff": "-", "time": ["2000-01-01T00:00Z"], "lon": 0.0, "lat": 0.0, "accuracy": 0.0})


class Personal:
    """The personal rows of an open store. Every change and every look is one transaction, with a row in the log.

    Parameters
    ----------
    store : Store
    by : str
        Who changes or looks.
    """

    def __init__(self, store: Store, by: str) -> None:
        self._store, self._by = store, by

    # --- tracks -------------------------------------------------------------------------------------------------------

    def keep_tracks(self, portions: pd.DataFrame | Iterable[pd.DataFrame], parameters: Parameters = DEFAULTS) -> Kept:
        """Keep fixes, by member of staff and local day, and paint them for the plan that holds on the day.

        Fixes that are there already stay as they are. A day that was painted before stays with the plan of then; one
        without a plan is not painted.

        Parameters
        ----------
        portions : DataFrame, or iterable of DataFrame
            staff, time (with its zone), lon, lat (degrees, WGS 84), accuracy (metres); other columns are not kept.
            Each portion holds all fixes of its staff, as :func:`gridgis.files.stream_tracks` yields them.
        parameters : Parameters
            The time zone of the place, which says when a day ends; those of the cleaning; `sight_m`.

        Returns
        -------
        Kept
            Fixes that are new, and fixes that were there (one of a member of staff and a moment is one); painted days
            that were written; days of staff for which there is no plan.
        """
        with self._changing() as connection:
            listed = [portions] if isinstance(portions, pd.DataFrame) else portions
            return keep_portions(connection, self._by, listed, parameters)

    def tracks(
        self, staff: str | None = None, first: date | None = None, last: date | None = None, *, purpose: str
    ) -> pd.DataFrame:
        """The fixes of one member of staff, or of all, on some days or all; the look is in the log.

        Returns
        -------
        DataFrame
            staff, time (UTC), lon, lat, accuracy, by staff and time.

        Raises
        ------
        InputError, StoreError
            As :meth:`load`.
        """
        wanted = _days(_TRACK, staff, first, last)
        query = select(_TRACK.c.fixes).where(wanted).order_by(_TRACK.c.staff, _TRACK.c.day)
        with self._looking(purpose) as connection:
            found = [read(held) for held in connection.execute(query).scalars()]
            looked = {"from": str(first or ""), "to": str(last or ""), "tracks": len(found), "purpose": purpose}
            audit.note_count(connection, self._by, "look", "track", looked, key=staff)
        if not found:
            return check(_NOBODY, "fix").iloc[:0]
        return pd.concat(found, ignore_index=True)

    def painted(
        self,
        staff: str | None = None,
        first: date | None = None,
        last: date | None = None,
        *,
        key: Mapping[str, Any] | None = None,
        purpose: str,
    ) -> pd.DataFrame:
        """Painted days of one member of staff, or of all, on some days or all; the look is in the log.

        Parameters
        ----------
        key : mapping, optional
            Only what was painted for these grids and parameters (:func:`gridgis.patrol.painted.painted_key`). Without
            it all has to be of the same ones.

        Returns
        -------
        DataFrame
            As of :func:`gridgis.patrol.painted.paint_days`, for :func:`gridgis.patrol.painted.coverage_of` of any
            window and sight up to the reach that was painted, with the grids of the plan; ``attrs["plans"]`` are the
            numbers of the plans for which it was painted.

        Raises
        ------
        InputError
            The days were painted for several grids or with several parameters; or as :meth:`load`.
        StoreError
            As :meth:`load`.
        """
        columns = (_PAINTED.c.plan, _PAINTED.c.made_with, _PAINTED.c.painted)
        query = select(*columns).where(_days(_PAINTED, staff, first, last)).order_by(_PAINTED.c.day, _PAINTED.c.staff)
        with self._looking(purpose) as connection:
            found = connection.execute(query).all()
            rows = [row for row in found if key is None or row.made_with == dict(key)]
            looked = {"from": str(first or ""), "to": str(last or ""), "painted": len(rows), "purpose": purpose}
            audit.note_count(connection, self._by, "look", "painted_day", looked, key=staff)
        if any(row.made_with != rows[0].made_with for row in rows):
            raise InputError("the painted days are of several grids or parameters", source=self._store.name,
                             found="plans " + ", ".join(map(str, sorted({row.plan for row in rows}))),
                             remedy="Name those that are meant, by their key.")  # fmt: skip
        if not rows:
            out = pd.DataFrame(columns=PAINTED_COLUMNS)
            out["date"] = pd.to_datetime(out["date"]).astype("datetime64[us]")
            out.attrs = {"plans": [], **({} if key is None else {"key": dict(key)})}
            return out
        out = join_painted([unpacked(row.painted, self._store.name) for row in rows])
        out.attrs["plans"] = sorted({row.plan for row in rows})
        return out

    def expire(self, today: date, kept_days: int) -> int:
        """Delete the tracks and painted days that are more than so many days ago; how many tracks there were.

        Parameters
        ----------
        today : date
        kept_days : int
            The profile's `track_kept_days`.
        """
        oldest = oldest_kept(today, kept_days)
        with self._changing() as connection:
            gone = connection.execute(delete(_TRACK).where(_TRACK.c.day < oldest)).rowcount
            if gone:
                audit.note_count(connection, self._by, "expire", "track", {"before": str(oldest), "tracks": gone})
            faded = connection.execute(delete(_PAINTED).where(_PAINTED.c.day < oldest)).rowcount
            if faded:
                told = {"before": str(oldest), "painted": faded}
                audit.note_count(connection, self._by, "expire", "painted_day", told)
        return gone

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        """A transaction that has the lock from the start; what it deletes is overwritten in the file."""
        with self._store.locked() as connection:
            _overwrite(connection)
            yield connection

    @contextmanager
    def _looking(self, purpose: str) -> Iterator[Connection]:
        """A transaction of reading that notes it: without the note there is nothing to see."""
        if not purpose.strip():
            raise InputError("a look at personal rows needs a purpose", wanted="a few words, for the audit log")
        with self._store.writing() as connection:
            try:
                connection.execute(update(Revision).values(number=Revision.number))
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise
                raise StoreError(
                    f"personal rows cannot be looked at, because the look cannot be noted: {error.orig}",
                    source=self._store.name, remedy="Open the store where it can be written.",
                ) from error  # fmt: skip
            yield connection

    # --- rows of residents --------------------------------------------------------------------------------------------

    def load(self, table: str, *, purpose: str) -> pd.DataFrame:
        """A table as :meth:`gridgis.store.Store.load` gives it; a look at rows of residents is in the log.

        Parameters
        ----------
        table : str
        purpose : str
            What the rows are for, in a few words. The log has it beside who looked, when, at which table and at how
            many rows; it should name nobody.

        Raises
        ------
        NotFoundError
            There is no table of that name.
        InputError
            The purpose is empty.
        StoreError
            The store can only be read, so that the look cannot be noted: nothing is given out.
        """
        if table not in audit.PERSONAL:
            return self._store.load(table)
        with self._looking(purpose) as connection:
            found = read_table(connection, table, self._store.name)
            audit.note_count(connection, self._by, "look", table, {"rows": len(found), "purpose": purpose})
        return found

    def forget(self, person: str) -> None:
        """Remove a person on request. The log says that it was done, and not of whom.

        Visits to the person go as well. Where nobody else is kept in the person's house, so do what tells that somebody
        lived there: its households, its sites (a care address), and visits to either; the house itself stays, an
        address. Where others live there it all stays, since nothing says whose it was. Earlier rows of the log have
        ids and no other value; the log is never changed.

        Raises
        ------
        NotFoundError
            There is no such person.
        """
        persons = TABLES["person"]
        with self._changing() as connection:
            mine = persons.c.id == person
            found = connection.execute(select(persons.c.house).where(mine)).one_or_none()
            if found is None:
                raise NotFoundError("there is no such person", source=self._store.name)
            self._remove(connection, "person", mine)
            self._forget_traces(connection, person, found.house)
            connection.execute(update(Revision).values(number=Revision.number + 1))

    def _forget_traces(self, connection: Connection, person: str, house: str | None) -> None:
        """Remove what points at a person who is gone, and at the house if it was the last one there."""
        persons, sites, households, visits = (TABLES[n] for n in ("person", "site", "household", "visit"))
        targets = [person]
        others = select(persons.c.id).where(persons.c.house == house).limit(1)
        if house is not None and connection.execute(others).one_or_none() is None:
            cared = connection.execute(select(sites.c.code).where(sites.c.house == house)).scalars().all()
            shared = connection.execute(select(households.c.code).where(households.c.house == house)).scalars().all()
            targets += [house, *cared, *shared]
            self._remove(connection, "site", sites.c.house == house)
            self._remove(connection, "household", households.c.house == house)
        self._remove(connection, "visit", visits.c.target.in_(targets))

    def _remove(self, connection: Connection, table: str, which: ColumnElement[bool]) -> None:
        """Delete rows of residents; the log has how many went, if any."""
        rows = TABLES[table]
        gone = connection.execute(delete(rows).where(which)).rowcount
        if not gone:
            return
        if connection.dialect.name == "sqlite" and "geometry" in rows.columns:
            note_places(connection, rows)
        audit.note_count(connection, self._by, "forget", table, {"rows": gone})

    def forget_tracks(self, staff: str) -> int:
        """Remove all tracks and painted days of a member of staff, as when they leave; how many tracks there were."""
        with self._changing() as connection:
            gone = connection.execute(delete(_TRACK).where(_TRACK.c.staff == staff)).rowcount
            if gone:
                audit.note_count(connection, self._by, "forget", "track", {"tracks": gone})
            faded = connection.execute(delete(_PAINTED).where(_PAINTED.c.staff == staff)).rowcount
            if faded:
                audit.note_count(connection, self._by, "forget", "painted_day", {"painted": faded})
        return gone


def keep_portions(
    connection: Connection,
    by: str,
    portions: Iterable[pd.DataFrame],
    parameters: Parameters,
    otherwise: int | None = None,
) -> Kept:
    """What :meth:`Personal.keep_tracks` does, in a transaction of others that has the lock.

    Parameters
    ----------
    connection : Connection
    by : str
        Who keeps them, for the log.
    portions, parameters
        As of :meth:`Personal.keep_tracks`.
    otherwise : int, optional
        The number of a published plan, for whose grids a day is painted on which none holds.
    """
    _overwrite(connection)
    keeper = Keeper(connection, parameters, otherwise)
    for fixes in portions:
        keeper.add(fixes)
    kept = keeper.kept
    if kept.new:
        audit.note_count(connection, by, "load", "track", {"fixes": kept.new})
    if kept.painted:
        audit.note_count(connection, by, "load", "painted_day", {"painted": kept.painted})
    return kept


def oldest_kept(today: date, kept_days: int) -> date:
    """The oldest day whose tracks are kept.

    Examples
    --------
    >>> oldest_kept(date(2026, 6, 1), 90), oldest_kept(date(2026, 6, 1), 10**9)
    (datetime.date(2026, 3, 3), datetime.date(1, 1, 2))
    """
    # Of the second day that a date can be, the beginning has its moment in UTC wherever the place is.
    return date.fromordinal(max(today.toordinal() - kept_days, 2))


def _overwrite(connection: Connection) -> None:
    """What is deleted from now on is overwritten in the file."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")


def _days(table: Table, staff: str | None, first: date | None, last: date | None) -> ColumnElement[bool]:
    whose = table.c.staff == staff if staff is not None else table.c.id > 0
    return and_(whose, table.c.day >= (first or date.min), table.c.day <= (last or date.max))
