"""Backup, restore and copy of a whole store, each proven by counts and checksums."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, func, insert, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from gridgis.errors import StoreError
from gridgis.replace import replacing
from gridgis.store import geopackage, upgrades
from gridgis.store.digests import Digest, digest, digests, tables
from gridgis.store.engines import Place, engine_of, place_of
from gridgis.store.manifests import MANIFEST, beside, manifest, wanted
from gridgis.store.models import Revision

_SQLITE, _DUMP = b"SQLite format 3\0", b"PGDMP"

#: Rows of a new store: its counter and its first organisation.
_BORN = 2

Progress = Callable[[str, int], object]


def copy(source: str | Path, goal: str | Path, progress: Progress | None = None) -> dict[str, Digest]:
    """Move everything that a store holds into an empty one, in one transaction; either may be a file or a database.

    Parameters
    ----------
    source, goal : str or Path
        A store; and where there is none yet, or an empty one.
    progress : callable, optional
        Told the name of a table and how many of its rows were written so far.

    Returns
    -------
    dict of table to Digest
        What was moved: the digests of both stores, which are equal.

    Raises
    ------
    StoreError
        `source` is no store of this version; `goal` holds something; what arrived is not what was sent. The goal is
        then as it was.
    """
    return _moved(source, place_of(goal), progress)


def _moved(
    source: str | Path, there: Place, progress: Progress | None = None, told: Mapping[str, Digest] | None = None
) -> dict[str, Digest]:
    """Copy a store; with `told`, only if it holds just that."""
    new = there.path is not None and not there.path.exists()
    origin, target = _opened(place_of(source)), engine_of(there)
    try:
        _make_empty(there, target)
        with origin.connect() as reading, target.begin() as writing:
            arrived = _send_all(reading, writing, there, progress, told)
    except BaseException as error:
        target.dispose()
        if new and there.path is not None:
            _remove(there.path)
        if isinstance(error, SQLAlchemyError):
            raise StoreError(f"the store cannot be copied: {getattr(error, 'orig', None) or error}",
                             source=there.name, remedy="Nothing was kept.") from error  # fmt: skip
        raise
    finally:
        origin.dispose()
        target.dispose()
    return arrived


def _send_all(
    reading: Connection, writing: Connection, there: Place, progress: Progress | None, told: Mapping[str, Digest] | None
) -> dict[str, Digest]:
    _at_one_moment(reading)
    _references_later(writing)
    sent = {table.name: _send(reading, writing, table, progress) for table in tables()}
    _count_on(writing)
    if told is not None:
        _same(sent, told, there)
    arrived = digests(writing)
    wrong = sorted(name for name in sent if sent[name] != arrived[name])
    if wrong:
        raise StoreError("what arrived is not what was sent", source=there.name,
                         found=f"other content in {', '.join(wrong)}",
                         remedy="Nothing was kept. Try again; check the disk.")  # fmt: skip
    return arrived


def _send(reading: Connection, writing: Connection, table: Table, progress: Progress | None) -> Digest:
    writing.execute(delete(table))  # what a new store is born with: its counter
    done = 0

    def put(rows: list[dict[str, Any]]) -> None:
        nonlocal done
        writing.execute(insert(table), rows)
        done += len(rows)
        if progress is not None:
            progress(table.name, done)

    sent = digest(reading, table, put)
    if writing.dialect.name == "sqlite" and "geometry" in table.columns:
        geopackage.note_change(writing, table, writing.execute(select(table.c.geometry)).scalars())
    return sent


def backup(store: str | Path, file: str | Path) -> dict[str, Digest]:
    """Write a store to a file while it is in use: SQLite's own backup, or pg_dump; whole or not at all.

    Returns
    -------
    dict of table to Digest
        What is in the backup. The same stands beside it, in FILE.manifest.json, for :func:`restore` to compare.

    Raises
    ------
    StoreError
        There is no such store; pg_dump is missing or fails; the file cannot be written.
    """
    place, goal = place_of(store), Path(file)
    engine = _opened(place)
    try:
        # The manifest is renamed first: it knows the backup that is replaced as well.
        with replacing(beside(goal), goal) as (noted, made):
            held = _dump(place, made) if place.path is None else _backup_file(place.path, made)
            noted.write_text(manifest(made, held, goal), "utf-8")
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise StoreError(f"the backup cannot be written: {getattr(error, 'orig', None) or error}", source=goal,
                         remedy="Make room on the disk. The store and the backup before this one are unchanged.",
                         ) from error  # fmt: skip
    finally:
        engine.dispose()
    return held


def _backup_file(path: Path, made: Path) -> dict[str, Digest]:
    from_there = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    with closing(from_there) as source, closing(sqlite3.connect(made)) as goal:
        source.backup(goal, pages=2_000, sleep=0.01)
    return _held(made)


def _held(path: Path) -> dict[str, Digest]:
    """What is in the file of a store."""
    engine = engine_of(Place(str(path), path, None))
    try:
        with engine.connect() as connection:
            found = digests(connection)
        with closing(engine.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA journal_mode = DELETE")
    finally:
        engine.dispose()
    return found


def _dump(place: Place, made: Path) -> dict[str, Digest]:
    assert place.url is not None  # a place is a file or an address
    engine = engine_of(place)
    try:
        with engine.connect() as connection:
            _at_one_moment(connection)
            snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
            _run(place.url, "pg_dump", "--format=custom", f"--snapshot={snapshot}", "--no-owner", "--no-privileges",
                 # Of PostGIS, and there already where it is restored; only an administrator may write it.
                 "--exclude-table-data=spatial_ref_sys", "--file", str(made))  # fmt: skip
            return digests(connection)
    finally:
        engine.dispose()


def restore(file: str | Path, store: str | Path) -> dict[str, Digest]:
    """Bring a backup back into an empty store, proven by the counts and checksums that stand beside it.

    Parameters
    ----------
    file : str or Path
        What :func:`backup` wrote. The backup of a file goes into a file or a database, that of a database into a
        database.
    store : str or Path
        Where there is none yet, or an empty one.

    Raises
    ------
    StoreError
        The file is no backup, or not whole; its manifest is missing or tells of something else; it was made by another
        version of gridgis; `store` holds something. It is then as it was.
    """
    source = Path(file)
    told = wanted(source)
    head = _head(source)
    goal = place_of(store)
    if head == _SQLITE:
        return _moved(source, goal, told=told)
    if head[:5] != _DUMP:
        raise StoreError("the file is no backup of a store", source=source)
    if goal.url is None:
        raise StoreError("the backup of a database goes into a database", source=source, found=goal.name,
                         remedy="Restore it into one, then gridgis store copy takes it into a file.")  # fmt: skip
    engine = engine_of(goal)
    try:
        if upgrades.state(goal, engine) != "empty":
            raise _not_empty(goal)
        _run(goal.url, "pg_restore", "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges",
             "--schema=public", "--dbname", goal.url.database or "", str(source))  # fmt: skip
        with engine.connect() as connection:
            found = digests(connection)
        try:
            return _same(found, told, goal)
        except StoreError:
            upgrades.downgrade(engine, "base")
            with engine.begin() as connection:
                connection.execute(text(f"DROP TABLE {upgrades.VERSION_TABLE}"))
            raise
    finally:
        engine.dispose()


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


def _same(found: dict[str, Digest], told: Mapping[str, Digest], goal: Place) -> dict[str, Digest]:
    wrong = sorted(name for name in {*found, *told} if found.get(name) != told.get(name))
    if wrong:
        raise StoreError("the backup is not what its manifest says", source=goal.name,
                         found=f"other content in {', '.join(wrong)}", remedy="Take another backup.")  # fmt: skip
    return found


def _run(url: URL, program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL; the password goes by the environment, where no list of processes shows it."""
    found = shutil.which(program)
    if found is None:
        raise StoreError(f"the program {program} is missing", source=url.render_as_string(),
                         remedy="Install PostgreSQL's client programs (Debian: postgresql-client).")  # fmt: skip
    plain = url.set(drivername="postgresql", password=None)
    environment = {**os.environ, "PGDATABASE": plain.render_as_string(hide_password=False)}
    if url.password:
        environment["PGPASSWORD"] = str(url.password)
    command = [found, *arguments]
    if program == "pg_dump":
        command += ["--dbname", plain.render_as_string(hide_password=False)]
    else:
        command[command.index("--dbname") + 1] = plain.render_as_string(hide_password=False)
    # A full disk or a limit is told by the program (Python ignores SIGXFSZ, and so does what it starts in this way).
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, restore_signals=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise StoreError(f"{program} failed: {said[0] if said else done.returncode}", source=url.render_as_string())


def _at_one_moment(connection: Connection) -> None:
    """Everything that is read from now on is of this moment (on SQLite a transaction is that anyway)."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


def _references_later(connection: Connection) -> None:
    """Rows may come before those that they refer to; at the end of the transaction all must be there."""
    later = "PRAGMA defer_foreign_keys = ON" if connection.dialect.name == "sqlite" else "SET CONSTRAINTS ALL DEFERRED"
    connection.exec_driver_sql(later)


def _count_on(connection: Connection) -> None:
    """PostgreSQL numbers new rows by a counter of its own, which has not seen the rows that were copied."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables():
        last = func.max(table.c.id) if "id" in table.primary_key.columns else None
        if last is None:
            continue
        counter = connection.execute(select(func.pg_get_serial_sequence(table.name, "id"))).scalar()
        highest = connection.execute(select(last)).scalar()
        if counter is not None and highest is not None:
            connection.execute(select(func.setval(counter, highest)))


def _opened(place: Place) -> Engine:
    """An engine of a store that is there."""
    engine = engine_of(place)
    if upgrades.state(place, engine) == "empty":
        engine.dispose()
        raise StoreError("there is no such store", source=place.name, remedy="Check the path or address.")
    return engine


def _make_empty(place: Place, engine: Engine) -> None:
    """See that a store is empty; make it where there is none."""
    if upgrades.state(place, engine) == "empty":
        upgrades.upgrade(engine)
        return
    with engine.connect() as connection:
        counts = [connection.execute(select(func.count()).select_from(t)).scalar_one() for t in tables()]
        used = connection.execute(select(func.sum(Revision.number))).scalar_one()
    if used or sum(counts) > _BORN:
        raise _not_empty(place)


def _not_empty(place: Place) -> StoreError:
    return StoreError("the store holds something", source=place.name, wanted="an empty one, or none yet",
                      remedy="Nothing was changed.")  # fmt: skip


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


__all__ = ["MANIFEST", "backup", "copy", "restore"]
