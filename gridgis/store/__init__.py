"""Plans, people, boards and patrols in one file: what ``build`` leaves behind and the map reads.

A store is an SQLite file. :func:`open_store` makes or opens one, :meth:`Store.save` replaces whole tables in
one transaction, :meth:`Store.load` gives them back as frames.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd
from sqlalchemy import Engine, Table, create_engine, delete, event, func, insert, select, update
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from gridgis.errors import NotFoundError, StoreError
from gridgis.store import upgrades
from gridgis.store.models import TABLES, Revision, Saved, Setting
from gridgis.store.rows import to_frame, to_rows

__all__ = ["Store", "open_store"]

#: How long a writer waits for another one, milliseconds.
BUSY_MS = 10_000


class Store:
    """An open store; make one with :func:`open_store`, and close it or use it as a context manager.

    Threads may share it. While somebody saves, readers see the last saved state; writers wait for each other,
    10 s at most.
    """

    def __init__(self, path: Path, engine: Engine) -> None:
        self.path = path
        self._engine = engine

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; closing twice does no harm."""
        self._engine.dispose()

    def save(self, tables: Mapping[str, pd.DataFrame], settings: Mapping[str, str] | None = None) -> None:
        """Replace the named tables and settings, all or nothing; the others stay. Bumps the revision.

        Parameters
        ----------
        tables : mapping of table name to DataFrame or GeoDataFrame
            Geometry in any CRS; it is kept in EPSG:4326 (untouched where it is in it already), without
            heights. Columns that the table does not know travel along: text, numbers, truth values, times (as
            ISO 8601 text where they stand in a column of objects), lists. A frame without rows empties its
            table.
        settings : mapping of text to text, optional

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
            raise StoreError("no such table", source=self.path, found=", ".join(unknown), wanted=", ".join(TABLES))
        chosen = dict(settings or {})
        odd = sorted(str(k) for k, v in chosen.items() if not (isinstance(k, str) and isinstance(v, str)))
        if odd:
            raise StoreError("settings are text", source=self.path, found=f"other values for {', '.join(odd)}")
        prepared = {name: to_rows(tables[name], TABLES[name]) for name in sorted(tables)}
        with self._told("written"), self._engine.begin() as connection:
            # The first statement writes: so the lock is taken at once, and waited for.
            connection.execute(update(Revision).values(number=Revision.number + 1))
            for name, (rows, note) in prepared.items():
                connection.execute(delete(TABLES[name]))
                connection.execute(delete(Saved).where(Saved.name == name))
                connection.execute(insert(Saved).values(name=name, columns=note))
                if rows:
                    connection.execute(insert(TABLES[name]), rows)
            if chosen:
                connection.execute(delete(Setting).where(Setting.key.in_(list(chosen))))
                connection.execute(insert(Setting), [{"key": k, "value": chosen[k]} for k in sorted(chosen)])

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
        """
        if table not in TABLES:
            raise NotFoundError("no such table", source=self.path, found=repr(table), wanted=", ".join(TABLES))
        kept: Table = TABLES[table]
        with self._told("read"), self._engine.connect() as connection:
            rows = connection.execute(select(kept).order_by(kept.c.row)).all()
            note = connection.execute(select(Saved.columns).where(Saved.name == table)).scalar_one_or_none()
        return to_frame(rows, kept, note or {})

    def tables(self) -> dict[str, int]:
        """How many rows each table has, by name; 0 where nothing was saved."""
        with self._told("read"), self._engine.connect() as connection:
            return {
                name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for name, table in TABLES.items()
            }

    def settings(self) -> dict[str, str]:
        """All settings, by key."""
        with self._told("read"), self._engine.connect() as connection:
            found = connection.execute(select(Setting.key, Setting.value).order_by(Setting.key))
            return {row.key: row.value for row in found}

    def revision(self) -> int:
        """How often the store was saved, 0 for a new one: the key of what is computed from its content."""
        with self._told("read"), self._engine.connect() as connection:
            return connection.execute(select(Revision.number)).scalar_one()

    @contextmanager
    def _told(self, done: str) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise StoreError(
                f"the store cannot be {done}: {getattr(error, 'orig', None) or error}",
                source=self.path,
                remedy="What was saved before is whole. Make room on the disk; see who holds the file.",
            ) from error


def open_store(where: str | Path, *, create: bool = False) -> Store:
    """Open a store; with `create`, make it where there is none.

    Parameters
    ----------
    where : str or Path
        A file. Database addresses (``postgresql://…``) are refused: this version keeps stores in files.
    create : bool
        Make the file by running the migrations if it does not exist or is empty. An existing store is opened.

    Raises
    ------
    StoreError
        There is no such file; it is no store of gridgis, or one of another version; it cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, open_store(f"{folder}/a.gpkg", create=True) as store:
    ...     store.save({}, {"title": "清华园街道"})
    ...     store.settings(), store.revision(), store.tables()["grid"]
    ({'title': '清华园街道'}, 1, 0)
    """
    path = _file(where)
    missing = not path.exists()
    if missing and not create:
        raise StoreError(
            "there is no such store", source=path, remedy="Make one with gridgis build, or check the path."
        )
    if missing and not path.parent.is_dir():
        raise StoreError("the folder of the store does not exist", source=path, remedy="Make it first.")
    state = upgrades.state(path)
    if state == "empty" and not create:
        raise StoreError("the file is empty, not a store", source=path, remedy="Make one with gridgis build.")
    engine = _engine(path)
    if state == "empty":
        _make(path, engine, remove=missing)
    return Store(path, engine)


def _file(where: str | Path) -> Path:
    if "://" in str(where):
        scheme = str(where).partition("://")[0]
        raise StoreError(
            "this version keeps stores in files",
            found=f"a database address ({scheme}://…)",
            wanted="the path of a file, such as out/gridgis.gpkg",
        )
    path = Path(where)
    if path.is_dir():
        raise StoreError("a store is a file", source=path, found="a folder")
    return path


def _engine(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)), json_serializer=partial(json.dumps, ensure_ascii=False)
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: Any) -> None:
        # Python's driver would begin transactions by itself, and not before DDL: SQLAlchemy does it below.
        connection.isolation_level = None
        for pragma in (f"busy_timeout={BUSY_MS}", "journal_mode=WAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _make(path: Path, engine: Engine, *, remove: bool) -> None:
    """Run the migrations in one transaction; a file that was not there before is not left half made."""
    try:
        upgrades.upgrade(engine)
    except BaseException as error:
        engine.dispose()
        if remove:
            path.unlink(missing_ok=True)
        if isinstance(error, SQLAlchemyError):
            raise StoreError(f"the store cannot be made: {error}", source=path) from error
        raise
