"""The migrations: where they are, how far a file has come, and how to bring it to the newest version."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from gridgis.errors import StoreError
from gridgis.store import organisations
from gridgis.store.engines import Place

#: The newest revision of the migrations that this version of gridgis writes and reads.
HEAD = "0009"
#: The table that says which revision a file has; its presence says that the file is a store of gridgis.
VERSION_TABLE = "gridgis_version"
#: What stands for the revision of a store that was taken back to before the first one.
NONE = "(none)"
#: Tables that PostGIS makes.
_OF_POSTGIS = {"spatial_ref_sys"}
#: The name of the folder migrations/ in an installed gridgis.
_PACKAGE = "gridgis_migrations"


def folder() -> Path:
    """The folder of the migrations: ``migrations/`` beside the source, else the installed package.

    Raises
    ------
    StoreError
        If there is neither: a broken installation.
    """
    root = Path(__file__).resolve().parents[2]
    # Only in the source tree: in an installation another program's migrations/ may lie there.
    if (root / "setup.cfg").is_file() and (root / "migrations" / "env.py").is_file():
        return root / "migrations"
    spec = find_spec(_PACKAGE)
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (Path(place) / "env.py").is_file():
            return Path(place)
    raise StoreError("the migrations are missing", found=f"no package {_PACKAGE}", remedy="Install gridgis again.")


def config() -> Config:
    """Alembic's settings, made here: there is no alembic.ini to lose."""
    settings = Config()
    settings.set_main_option("script_location", str(folder()).replace("%", "%%"))
    settings.attributes["version_table"] = VERSION_TABLE
    return settings


def upgrade(engine: Engine, to: str = "head") -> None:
    """Bring a database to a revision, in one transaction."""
    with engine.execution_options(**organisations.EVERY).begin() as connection:
        settings = config()
        settings.attributes["connection"] = connection
        command.upgrade(settings, to)
    if engine.dialect.name == "sqlite":
        # Other programs look at the head of the file itself, not at what waits beside it.
        with closing(engine.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


def downgrade(engine: Engine, to: str) -> None:
    """Take a database back to an older revision (``base``: no tables), in one transaction."""
    with engine.execution_options(**organisations.EVERY).begin() as connection:
        settings = config()
        settings.attributes["connection"] = connection
        command.downgrade(settings, to)


def revisions() -> list[str]:
    """The revisions that this version of gridgis knows, the oldest first."""
    known = [script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()]
    return known[::-1]


def state(place: Place, engine: Engine) -> Literal["current", "empty"]:
    """Whether a place holds a store of this version, or nothing. It is only read.

    Raises
    ------
    StoreError
        It is no store of gridgis, or one of another version: an older one can be brought up, a newer one cannot be
        opened. A database cannot be reached, has no PostGIS, or another encoding than UTF-8.
    """
    version = version_of(place, engine)
    if version is None:
        return "empty"
    if version == HEAD:
        return "current"
    if version in revisions() or version == NONE:
        raise StoreError(
            "the store was made by an older version of gridgis", source=place.name, found=f"revision {version}",
            wanted=f"revision {HEAD}", remedy="Take a copy of it, then run gridgis store upgrade.",
        )  # fmt: skip
    raise StoreError(
        "the store was made by a newer version of gridgis", source=place.name, found=f"revision {version}",
        wanted=f"revision {HEAD}", remedy="Open it with the version that made it, or a later one.",
    )  # fmt: skip


def version_of(place: Place, engine: Engine) -> str | None:
    """The revision that a store says it has; None where there is nothing yet. Errors as :func:`state`."""
    if place.path is None:
        return _version_of_database(engine, place.name)
    if not place.path.exists() or place.path.stat().st_size == 0:
        return None
    return _version_of_file(place.path)


def _version_of_database(engine: Engine, name: str) -> str | None:
    try:
        with engine.connect() as connection:
            if connection.execute(text("SELECT 1 FROM pg_extension WHERE extname = 'postgis'")).scalar() is None:
                raise StoreError(
                    "the database has no PostGIS", source=name,
                    remedy="Run CREATE EXTENSION postgis in it, as the server's administrator.",
                )  # fmt: skip
            encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
            if encoding != "UTF8":
                raise StoreError(
                    "the database does not keep text as UTF-8", source=name, found=str(encoding), wanted="UTF8",
                    remedy="Make it with createdb --encoding UTF8 --template template0.",
                )  # fmt: skip
            tables = sorted(set(inspect(connection).get_table_names()) - _OF_POSTGIS)
            if VERSION_TABLE in tables:
                version = connection.execute(text("SELECT version_num FROM gridgis_version")).scalar()
                return str(version or NONE)
    except SQLAlchemyError as error:
        raise StoreError(f"the database cannot be reached: {getattr(error, 'orig', None) or error}", source=name,
                         remedy="Check the address, and that the server runs.") from error  # fmt: skip
    if tables:
        raise StoreError("the database is no store of gridgis", source=name,
                         found=f"the tables {', '.join(tables[:5])}",
                         remedy="Check the address; give the store a database of its own.")  # fmt: skip
    return None


def _version_of_file(path: Path) -> str | None:
    """The revision that a file says it has; None for an SQLite file without tables (a store not yet made)."""
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)
    except sqlite3.Error as error:
        raise StoreError(f"the file cannot be opened: {error}", source=path) from error
    found = None
    try:
        listed = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        tables = [name for (name,) in listed]
        if VERSION_TABLE in tables:
            found = connection.execute("SELECT version_num FROM gridgis_version").fetchone()
    except sqlite3.OperationalError as error:  # the disk, not the file: there may be no room even for a lock
        raise StoreError(f"the file cannot be read: {error}", source=path,
                         remedy="Make room on the disk; see who holds the file.") from error  # fmt: skip
    except sqlite3.Error as error:
        raise StoreError(f"the file is no store of gridgis: {error}", source=path, remedy="Check the path.") from error
    finally:
        connection.close()
    if tables and VERSION_TABLE not in tables:
        raise StoreError(
            "the file is no store of gridgis",
            source=path,
            found=f"an SQLite file with the tables {', '.join(tables[:5])}",
            remedy="Check the path; gridgis build makes a store.",
        )
    if not tables:
        return None
    return str(found[0]) if found else NONE
