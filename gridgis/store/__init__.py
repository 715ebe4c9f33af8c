"""Plans, people, boards and patrols in one place: what ``build`` leaves behind and the map reads.

A store is an SQLite file or a PostgreSQL database with PostGIS. :func:`open_store` makes or opens one,
:meth:`Store.save` replaces whole tables in one transaction, :meth:`Store.load` gives them back as frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import pandas as pd
from sqlalchemy import Connection, Engine, Table, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from gridgis.errors import LostError, NotFoundError, StoreError
from gridgis.store import audit, copying, geopackage, organisations, upgrades
from gridgis.store.engines import BUSY_MS, Place, engine_of, place_of
from gridgis.store.models import TABLES, Organisation, Revision, Saved, Setting
from gridgis.store.numbering import last_row, note_places
from gridgis.store.replacing import note_replaced, note_settings
from gridgis.store.rows import to_frame, to_rows

T = TypeVar("T")

__all__ = ["BUSY_MS", "Store", "add_organisation", "create_store", "open_store", "upgrade_store"]


class Store:
    """An open store; make one with :func:`open_store`, and close it or use it as a context manager.

    Threads may share it. While somebody saves, readers see the last saved state; writers wait for each other,
    10 s at most.
    """

    def __init__(self, place: Place, engine: Engine, organisation: int = organisations.FIRST) -> None:
        self.name = place.name
        self.path = place.path
        self.organisation = organisation
        # The one place where it is said for whom a store works: all its connections are of this engine.
        self._engine = engine.execution_options(**{organisations.OPTION: organisation})

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; closing twice does no harm."""
        self._engine.dispose()

    def save(
        self,
        tables: Mapping[str, pd.DataFrame],
        settings: Mapping[str, str] | None = None,
        *,
        by: str | None = None,
        then: Callable[[Connection], object] | None = None,
    ) -> None:
        """Replace the named tables and settings, all or nothing; the others stay. Bumps the revision.

        Parameters
        ----------
        tables : mapping of table name to DataFrame or GeoDataFrame
            Geometry in any CRS; it is kept in EPSG:4326 (untouched where it is in it already), without
            heights. Columns that the table does not know travel along: text, numbers, truth values, times (as
            ISO 8601 text where they stand in a column of objects), lists. A frame without rows empties its
            table.
        settings : mapping of text to text, optional
        by : str, optional
            Who, for the audit log, which has each row that changes or goes; by default the login.
        then : callable, optional
            What else is to be done in the same transaction.

        Raises
        ------
        SchemaError, GeometryError, CRSError
            What :func:`gridgis.schema.check` finds; nothing is written.
        StoreError
            An unknown table, a value that cannot be kept, a file that cannot be written. The old state stays
            whole.
        """
        unknown = sorted(set(tables) - set(TABLES))
        if unknown:
            raise StoreError("no such table", source=self.name, found=", ".join(unknown), wanted=", ".join(TABLES))
        chosen = dict(settings or {})
        odd = sorted(str(k) for k, v in chosen.items() if not (isinstance(k, str) and isinstance(v, str)))
        if odd:
            raise StoreError("settings are text", source=self.name, found=f"other values for {', '.join(odd)}")
        prepared = {name: to_rows(tables[name], TABLES[name]) for name in sorted(tables)}
        who = by or audit.login()
        with self.writing() as connection:
            # The first statement writes: so the lock is taken at once, and waited for.
            connection.execute(update(Revision).values(number=Revision.number + 1))
            for name, (rows, note) in prepared.items():
                note_replaced(connection, who, TABLES[name], rows)
                connection.execute(delete(TABLES[name]))
                connection.execute(delete(Saved).where(Saved.name == name))
                connection.execute(insert(Saved).values(name=name, columns=note))
                others = last_row(connection, TABLES[name])
                if rows:
                    numbered = [{**row, "row": row["row"] + others} for row in rows] if others else rows
                    copying.insert_rows(connection, TABLES[name], numbered)
                if connection.dialect.name == "sqlite":
                    if others and "geometry" in TABLES[name].columns:
                        note_places(connection, TABLES[name])
                    else:
                        geopackage.note_change(connection, TABLES[name], (row.get("geometry") for row in rows))
            if chosen:
                note_settings(connection, who, chosen)
                connection.execute(delete(Setting).where(Setting.key.in_(list(chosen))))
                connection.execute(insert(Setting), [{"key": k, "value": chosen[k]} for k in sorted(chosen)])
            if then is not None:
                then(connection)

    def load(self, table: str) -> pd.DataFrame:
        """A table as it was saved: same rows, same order, RangeIndex; geometry in EPSG:4326 as ``geometry``.

        Returns
        -------
        GeoDataFrame or DataFrame
            The contract's columns, typed as :func:`gridgis.schema.check` does (empty where the saved frame
            lacked them), then the others that it had. A table that has geometry is a GeoDataFrame, unless it
            was saved as a plain frame; a table that was never saved has no rows.

        Raises
        ------
        NotFoundError
            There is no table of that name.
        StoreError
            Its rows are of residents: :meth:`gridgis.store.personal.Personal.load` reads them, and notes who looked.
        """
        if table in audit.LOOKED:
            raise StoreError("rows of residents are not read without saying who looks and what for", source=self.name,
                             found=repr(table), remedy="Read them with gridgis.store.personal.Personal.")  # fmt: skip
        return self.ask(lambda connection: read_table(connection, table, self.name))

    def tables(self) -> dict[str, int]:
        """How many rows each table has, by name; 0 where nothing was saved."""
        counts = {name: select(func.count()).select_from(table) for name, table in TABLES.items()}
        return self.ask(lambda c: {name: c.execute(query).scalar_one() for name, query in counts.items()})

    def settings(self) -> dict[str, str]:
        """All settings, by key."""
        query = select(Setting.key, Setting.value).order_by(Setting.key)
        return self.ask(lambda connection: {row.key: row.value for row in connection.execute(query)})

    def revision(self) -> int:
        """How often the store was saved, 0 for a new one: the key of what is computed from its content."""
        return self.ask(lambda connection: connection.execute(select(Revision.number)).scalar_one())

    def ask(self, question: Callable[[Connection], T]) -> T:
        """Read in a transaction; once more, where the connection to the database was lost on the way."""
        try:
            with self.reading() as connection:
                return question(connection)
        except LostError:
            with self.reading() as connection:
                return question(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads; what the database says of it comes as a StoreError."""
        with self._told("read"), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: all or nothing. Its first statement should write, so that the lock is waited for."""
        with self._told("written"), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def locked(self) -> Iterator[Connection]:
        """A transaction that has the lock from the start: what is read in it holds until its end."""
        with self.writing() as connection:
            connection.execute(update(Revision).values(number=Revision.number))
            yield connection

    @contextmanager
    def _told(self, done: str) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            told = getattr(error, "orig", None) or error
            if getattr(error, "connection_invalidated", False):
                raise LostError(
                    f"the connection was lost while the store was {done}: {told}", source=self.name,
                    remedy="What was saved before is whole. Only if it broke at the very end may the change be there: "
                    "look, then do it again.",
                ) from error  # fmt: skip
            raise StoreError(
                f"the store cannot be {done}: {told}",
                source=self.name,
                remedy="What was saved before is whole. Make room on the disk; see who holds the file.",
            ) from error


def read_table(connection: Connection, table: str, source: str) -> pd.DataFrame:
    """A table as :meth:`Store.load` gives it, for those who have asked whether it may be read."""
    if table not in TABLES:
        raise NotFoundError("no such table", source=source, found=repr(table), wanted=", ".join(TABLES))
    kept: Table = TABLES[table]
    rows = connection.execute(select(kept).order_by(kept.c.row)).all()
    note = connection.execute(select(Saved.columns).where(Saved.name == table)).scalar_one_or_none()
    return to_frame(rows, kept, note or {})


def open_store(where: str | Path, *, create: bool = False, organisation: str | None = None) -> Store:
    """Open a store; with `create`, make it where there is none.

    Parameters
    ----------
    where : str or Path
        A file, or the address of a PostgreSQL database with PostGIS (``postgresql://user@host/database``). Leave a
        password to the environment (PGPASSWORD) or a password file. ``…#CODE`` names the organisation.
    create : bool
        Run the migrations if the file does not exist, or the file or database is empty. An existing store is opened.
    organisation : str, optional
        The code of the organisation whose rows are meant; needed where the store has several.

    Raises
    ------
    StoreError
        There is no such file or database; it is no store of gridgis, or one of another version; it cannot be written;
        PostGIS is missing in the database.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, open_store(f"{folder}/a.gpkg", create=True) as store:
    ...     store.save({}, {"title": "清华园街道"})
    ...     store.settings(), store.revision(), store.tables()["grid"]
    ({'title': '清华园街道'}, 1, 0)
    """
    place = place_of(where)
    missing = place.path is not None and not place.path.exists()
    if missing and not create:
        raise StoreError(
            "there is no such store", source=place.name, remedy="Make one with gridgis build, or check the path."
        )
    if missing and place.path is not None and not place.path.parent.is_dir():
        raise StoreError("the folder of the store does not exist", source=place.name, remedy="Make it first.")
    engine = engine_of(place)
    try:
        state = upgrades.state(place, engine)
        if state == "empty" and not create:
            what = "file" if place.path is not None else "database"
            raise StoreError(f"the {what} is empty, not a store", source=place.name,
                             remedy="Make one with gridgis build.")  # fmt: skip
        meant = organisation or place.organisation
        if state == "empty" and meant not in (None, str(organisations.FIRST)):
            raise NotFoundError("no such organisation", source=place.name, found=repr(meant),
                                remedy="gridgis store init makes a store, store organisation adds one.")  # fmt: skip
        if state == "empty":
            _make(place, engine, remove=missing)
        whose = _whose(place, engine, meant)
    except BaseException:
        engine.dispose()
        raise
    return Store(place, engine, whose)


def _whose(place: Place, engine: Engine, code: str | None) -> int:
    """The number of the organisation that a store is opened for."""
    with engine.connect() as connection:
        known = {str(c): int(i) for i, c in connection.execute(select(Organisation.id, Organisation.code))}
    if code is None and len(known) == 1:
        return next(iter(known.values()))
    if code not in known:
        raise NotFoundError("the store holds several organisations" if code is None else "no such organisation",
                            source=place.name, found=repr(code) if code is not None else f"{len(known)} of them",
                            wanted="the code of one of them", remedy="Name it as STORE#CODE.")  # fmt: skip
    return known[code]


def add_organisation(where: str | Path, code: str, name: str | None = None, *, by: str | None = None) -> None:
    """Make room in a store for another organisation, whose rows the others do not see.

    Raises
    ------
    StoreError
        There is no such store; it has an organisation of this code.
    """
    place = place_of(where)
    engine = engine_of(place)
    try:
        if upgrades.state(place, engine) == "empty":
            raise StoreError("there is no such store", source=place.name, remedy="gridgis store init makes one.")
        with engine.begin() as connection:
            made = connection.execute(insert(Organisation).values(code=code, name=name)).inserted_primary_key
            number = int(made[0]) if made else 0
            connection.execute(insert(Revision).values(organisation=number, number=0))
            connection = connection.execution_options(**{organisations.OPTION: number})
            audit.note(connection, by or audit.login(), "add", "organisation", code, after={"code": code, "name": name})
    except IntegrityError as error:
        raise StoreError("there is an organisation of this code", source=place.name, found=repr(code)) from error
    finally:
        engine.dispose()


def create_store(where: str | Path) -> Store:
    """Make a store where there is none yet.

    Raises
    ------
    StoreError
        There is one already, or as :func:`open_store`.
    """
    place = place_of(where)
    engine = engine_of(place)
    try:
        there = upgrades.version_of(place, engine)
    finally:
        engine.dispose()
    if there is not None:
        raise StoreError("there is a store already", source=place.name, remedy="Nothing was changed.")
    return open_store(where, create=True)


def upgrade_store(where: str | Path) -> tuple[str, str]:
    """Bring a store of an older version up to this one, in one transaction.

    Returns
    -------
    (str, str)
        The revision that it had and the one that it has: equal, where nothing had to be done.

    Raises
    ------
    StoreError
        There is no store; it is one of a newer version; a step fails. It is then as it was.
    """
    place = place_of(where)
    engine = engine_of(place)
    try:
        before = upgrades.version_of(place, engine)
        if before is None:
            raise StoreError("there is no such store", source=place.name, remedy="gridgis store init makes one.")
        if before not in (*upgrades.revisions(), upgrades.NONE):
            upgrades.state(place, engine)  # says that it is newer
        upgrades.upgrade(engine)
    except SQLAlchemyError as error:
        raise StoreError(f"the store cannot be brought up: {getattr(error, 'orig', None) or error}",
                         source=place.name, remedy="It is as it was.") from error  # fmt: skip
    finally:
        engine.dispose()
    return before, upgrades.HEAD


def _make(place: Place, engine: Engine, *, remove: bool) -> None:
    """Run the migrations in one transaction; a file that was not there before is not left half made."""
    try:
        upgrades.upgrade(engine)
    except BaseException as error:
        engine.dispose()
        if remove and place.path is not None:
            place.path.unlink(missing_ok=True)
        if isinstance(error, SQLAlchemyError):
            told = getattr(error, "orig", None) or error
            raise StoreError(f"the store cannot be made: {told}", source=place.name,
                             remedy="Make room on the disk; see who may write there.") from error  # fmt: skip
        raise
