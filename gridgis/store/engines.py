"""Where a store is: a file (SQLite) or a database address (PostgreSQL with PostGIS); and a connection to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from gridgis.errors import StoreError
from gridgis.store import organisations
from gridgis.store.types import Blob

#: How long a writer waits for another one, milliseconds.
BUSY_MS = 10_000

_DRIVER = "postgresql+psycopg"
_KNOWN = ("postgres", "postgresql", _DRIVER)


class Place(NamedTuple):
    """Where a store is: `name` for messages (never with a password), `path` where it is a file, else `url`.

    `organisation` is the code of the one that is meant, where it was named.
    """

    name: str
    path: Path | None
    url: URL | None
    organisation: str | None = None


def place_of(where: str | Path) -> Place:
    """Tell a file from a database address.

    Parameters
    ----------
    where : str or Path
        The path of a file, or ``postgresql://user@host/database`` (also ``postgres://`` and
        ``postgresql+psycopg://``). A password is better left to the environment (PGPASSWORD or a password file).
        ``…#CODE`` names one of the organisations of a store; a path that exists as it stands wins.

    Raises
    ------
    StoreError
        A folder; an address of another kind; the driver is not installed.

    Examples
    --------
    >>> place_of("postgres://me:secret@db/ground").name
    'postgresql+psycopg://me:***@db/ground'
    >>> place_of("postgres://db/ground#110108014").organisation
    '110108014'
    """
    plain, mark, code = str(where).rpartition("#")
    if mark and not ("://" not in str(where) and Path(where).exists()):
        found = place_of(plain)
        return found._replace(name=f"{found.name}#{code}", organisation=code)
    if "://" not in str(where):
        path = Path(where)
        if path.is_dir():
            raise StoreError("a store is a file", source=path, found="a folder")
        return Place(str(path), path, None)
    scheme = str(where).partition("://")[0]
    if scheme not in _KNOWN:
        raise StoreError(
            "a store is a file or a PostgreSQL database", found=f"an address of {scheme}://…",
            wanted="a path, or postgresql://user@host/database",
        )  # fmt: skip
    try:
        url = make_url(str(where)).set(drivername=_DRIVER)
    except (ArgumentError, ValueError) as error:
        raise StoreError("the database address cannot be read", found=f"an address of {scheme}://…",
                         wanted="postgresql://user@host/database") from error  # fmt: skip
    if find_spec("psycopg") is None:
        raise StoreError("the driver for PostgreSQL is not installed", source=url.render_as_string(),
                         remedy="pip install 'gridgis[postgis]'.")  # fmt: skip
    return Place(url.render_as_string(), None, url)


def engine_of(place: Place) -> Engine:
    """An engine; nothing is opened yet."""
    serializer = partial(json.dumps, ensure_ascii=False)
    if place.url is not None:
        # A connection that went stale in the pool is noticed before it is used. Text travels as UTF-8, whatever the
        # database or PGCLIENTENCODING says.
        talk = {"client_encoding": "utf8"}
        return _ruled(create_engine(place.url, json_serializer=serializer, pool_pre_ping=True, connect_args=talk))
    engine = create_engine(URL.create("sqlite", database=str(place.path)), json_serializer=serializer)
    # To GeoAlchemy2 a column of this type is one of SpatiaLite; here it is bytes.
    engine.dialect.ischema_names = {**engine.dialect.ischema_names, "GEOMETRY": Blob}  # type: ignore[attr-defined]

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: Any) -> None:
        # Python's driver would begin transactions by itself, and not before DDL: SQLAlchemy does it below.
        connection.isolation_level = None
        for pragma in (f"busy_timeout={BUSY_MS}", "journal_mode=WAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    return _ruled(engine)


def _ruled(engine: Engine) -> Engine:
    """Every statement of a connection that works for an organisation keeps to its rows."""

    @event.listens_for(engine, "before_execute", retval=True)
    def _own(
        _connection: Any, statement: Any, many: Any, parameters: Any, options: Mapping[str, Any]
    ) -> tuple[Any, Any, Any]:
        whose = options.get(organisations.OPTION)
        return (statement if whose is None else organisations.own(statement, whose)), many, parameters

    return engine
