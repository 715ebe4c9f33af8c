"""What a store has about persons: tracks, kept for their days only; removal on request; every look is in the log."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update
from sqlalchemy.exc import DBAPIError

from gridgis.errors import InputError, NotFoundError, StoreError
from gridgis.schema import check
from gridgis.store import Store, audit, read_table
from gridgis.store.models import TABLES, Base, Revision
from gridgis.store.numbering import note_places

_TRACK = Base.metadata.tables["track"]
_COLUMNS = ("staff", "time", "lon", "lat", "accuracy")
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

    def keep_tracks(self, fixes: pd.DataFrame, timezone: str = "Asia/Shanghai") -> tuple[int, int]:
        """Keep fixes, by member of staff and local day; those that are there already stay as they are.

        Parameters
        ----------
        fixes : DataFrame
            staff, time (with its zone), lon, lat (degrees, WGS 84), accuracy (metres); other columns are not kept.
        timezone : str
            That of the place, which says when a day ends.

        Returns
        -------
        (int, int)
            Fixes that are new, and fixes that were there (one of a member of staff and a moment is one).
        """
        listed = check(fixes, "fix", source="tracks")
        listed = listed[[name for name in _COLUMNS if name in listed.columns]]
        if "accuracy" not in listed.columns:
            listed = listed.assign(accuracy=float("nan"))
        days = listed["time"].dt.tz_convert(ZoneInfo(timezone)).dt.date
        new = 0
        with self._changing() as connection:
            for (staff, day), walked in listed.groupby([listed["staff"], days], sort=True):
                mine = and_(_TRACK.c.staff == staff, _TRACK.c.day == day)
                held = connection.execute(select(_TRACK.c.fixes).where(mine).with_for_update()).scalar()
                parts = [walked] if held is None else [_read(held), walked]
                whole = pd.concat(parts).drop_duplicates("time").sort_values("time", ignore_index=True)
                added = len(whole) - (0 if held is None else len(parts[0]))
                new += added
                values = {"count": len(whole), "fixes": _written(whole)}
                if held is None:
                    connection.execute(insert(_TRACK).values(staff=staff, day=day, **values))
                elif added:
                    connection.execute(update(_TRACK).where(mine).values(values))
            if new:
                audit.note_count(connection, self._by, "load", "track", {"fixes": new})
        return new, len(listed) - new

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
        wanted = and_(
            _TRACK.c.staff == staff if staff is not None else _TRACK.c.id > 0,
            _TRACK.c.day >= (first or date.min), _TRACK.c.day <= (last or date.max),
        )  # fmt: skip
        query = select(_TRACK.c.fixes).where(wanted).order_by(_TRACK.c.staff, _TRACK.c.day)
        with self._looking(purpose) as connection:
            found = [_read(held) for held in connection.execute(query).scalars()]
            looked = {"from": str(first or ""), "to": str(last or ""), "tracks": len(found), "purpose": purpose}
            audit.note_count(connection, self._by, "look", "track", looked, key=staff)
        if not found:
            return check(_NOBODY, "fix").iloc[:0]
        return pd.concat(found, ignore_index=True)

    def expire(self, today: date, kept_days: int) -> int:
        """Delete the tracks of days that are more than so many days ago; how many there were.

        Parameters
        ----------
        today : date
        kept_days : int
            The profile's `track_kept_days`.
        """
        oldest = today - timedelta(days=kept_days)
        with self._changing() as connection:
            gone = connection.execute(delete(_TRACK).where(_TRACK.c.day < oldest)).rowcount
            if gone:
                audit.note_count(connection, self._by, "expire", "track", {"before": str(oldest), "tracks": gone})
        return gone

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        """A transaction that has the lock from the start; what it deletes is overwritten in the file."""
        with self._store.writing() as connection:
            connection.execute(update(Revision).values(number=Revision.number))
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete = ON")
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
        """Remove all tracks of a member of staff, as when they leave; how many days there were."""
        with self._changing() as connection:
            gone = connection.execute(delete(_TRACK).where(_TRACK.c.staff == staff)).rowcount
            if gone:
                audit.note_count(connection, self._by, "forget", "track", {"tracks": gone})
        return gone


def _written(fixes: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    fixes.to_parquet(file, index=False, compression="zstd")
    return file.getvalue()


def _read(held: bytes) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(held)).astype({"staff": object})
