"""kill -9 in the middle of load, publish, migrate and backup; a full disk; a lost connection."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest
from crash import strike
from crash_jobs import FILLING, JOBS, Case, Databases, Files, fill, limited
from postgres import Server
from sqlalchemy import Connection, event, text

from gridgis.cli import run
from gridgis.errors import LostError, StoreError
from gridgis.loading import load_files
from gridgis.store import Store, copying, moving, open_store
from gridgis.store.merging import Part, merge


@pytest.mark.parametrize("kind", ["file", "postgis"])
@pytest.mark.parametrize("job", JOBS)
def test_kill_loses_nothing_and_leaves_nothing_half_done(
    job: str, kind: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    places = Files() if kind == "file" else Databases(request.getfixturevalue("postgres"))
    counted = strike(job, kind, places, moments=3)
    with capsys.disabled():
        print(f"\n{counted}", end="")
    assert counted.faults == []
    assert counted.found["half"] == 0
    assert counted.kills == sum(counted.found.values()) == 3


# --- a full disk, a lost connection -----------------------------------------------------------------------------------


def houses(folder: Path, n: int) -> str:
    path = folder / "houses.csv"
    pd.DataFrame({"code": [f"H{i}" for i in range(n)], "address": "幸福路12号"}).to_csv(path, index=False)
    return str(path)


def test_a_load_that_fills_the_disk_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    with open_store(tmp_path / "place.gpkg", create=True) as store:
        load_files(store, "house", [houses(tmp_path, 5)], by="one")

        @event.listens_for(store._engine, "begin")
        def _fill(connection: Any) -> None:
            connection.exec_driver_sql("PRAGMA max_page_count = 150")

        with pytest.raises(StoreError, match=r"the store cannot be written: .*full.*saved before is whole"):
            load_files(store, "house", [houses(tmp_path, 30_000)], by="one")
        assert (store.tables()["house"], store.revision()) == (5, 1)


@pytest.mark.parametrize(
    ("job", "room"), [*((job, 20_000) for job in FILLING), ("load", 36_000), ("backup", 36_000), ("restore", 36_000)]
)
def test_a_job_that_finds_no_room_says_so_and_changes_nothing(job: str, room: int, tmp_path: Path) -> None:
    """Room not even for SQLite's locks, or for these but not for what is to be written."""
    case = Case(job, str(tmp_path / "place.gpkg"), tmp_path, Files())
    case.prepare()
    said = fill(case, limited(room))
    assert re.search(r"cannot be (read|written|copied): (disk I/O error|database or disk is full)\.", said)


def test_a_dump_that_finds_no_room_leaves_the_one_before(postgres: Server, tmp_path: Path) -> None:
    with postgres.database() as address:
        case = Case("backup", address, tmp_path, Databases(postgres))
        case.prepare()
        assert "pg_dump failed: pg_dump: error: could not write" in fill(case, limited(30_000))


def test_no_room_ends_a_command_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "place.gpkg"
    with open_store(place, create=True) as store:
        load_files(store, "house", [houses(tmp_path, 3_000)], by="one")
    for arguments, said in (
        (["backup", place, tmp_path / "b"], "the backup cannot be written: "),
        (["init", tmp_path / "new.gpkg"], "the store cannot be made: "),
    ):
        with limited(60_000):
            assert run(["store", *map(str, arguments)]) == 2
        assert re.search(
            rf"error: [^\n]*{said}disk I/O error\. Make room on the disk[^\n]*\n$", capsys.readouterr().err
        )
    assert {path.name for path in tmp_path.iterdir()} <= {
        "place.gpkg",
        "place.gpkg-wal",
        "place.gpkg-shm",
        "houses.csv",
    }


@pytest.fixture
def served(postgres: Server) -> Iterator[Store]:
    with postgres.database(store=True) as address, open_store(address) as store:
        yield store


def cut(store: Store) -> None:
    """End every connection that the store has, as a server does that restarts."""
    address = store._engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_reading_goes_on_after_a_lost_connection(served: Store) -> None:
    served.save({"staff": pd.DataFrame({"id": ["s1"], "name": "甲"})})
    cut(served)
    assert served.tables()["staff"] == 1
    turns = []

    def question(connection: Connection) -> int:
        turns.append(1)
        if len(turns) == 1:
            cut(served)
        return int(connection.execute(text("SELECT count(*) FROM staff")).scalar_one())

    assert served.ask(question) == 1
    assert len(turns) == 2


def test_a_change_is_not_repeated_after_a_lost_connection_but_told(served: Store, tmp_path: Path) -> None:
    def strike_once(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("UPDATE revision"):
            cut(served)

    event.listen(served._engine, "after_cursor_execute", strike_once)
    with pytest.raises(StoreError, match=r"the connection was lost while the store was written: .*look, then do it"):
        load_files(served, "house", [houses(tmp_path, 5)], by="one")
    event.remove(served._engine, "after_cursor_execute", strike_once)
    assert (served.tables()["house"], served.revision()) == (0, 0)
    assert load_files(served, "house", [houses(tmp_path, 5)], by="one").counts.new == 5


def test_a_connection_lost_at_the_commit_says_that_the_change_may_be_there(
    served: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has committed when the answer is lost: nobody who asks can know, so it is told, and once is enough."""
    dialect, path = type(served._engine.dialect), houses(tmp_path, 5)
    commit = dialect.do_commit

    def strike(connection: Any, *, late: bool) -> None:
        if late:
            commit(served._engine.dialect, connection)
        cut(served)
        connection.execute("SELECT 1")

    monkeypatch.setattr(dialect, "do_commit", lambda _self, connection: strike(connection, late=False))
    with pytest.raises(LostError, match=r"while the store was written: .*the change be there: look, then do it again"):
        load_files(served, "house", [path], by="one")
    assert (served.tables()["house"], served.revision()) == (0, 0)
    monkeypatch.setattr(dialect, "do_commit", lambda _self, connection: strike(connection, late=True))
    with pytest.raises(LostError, match=r"while the store was written: .*the change be there: look, then do it again"):
        load_files(served, "house", [path], by="one")
    monkeypatch.undo()
    assert (served.tables()["house"], served.revision()) == (5, 1)
    assert load_files(served, "house", [path], by="one").counts == (0, 0, 5)  # twice is once


def test_a_connection_lost_amid_a_backup_is_told(
    served: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strike(*_given: Any) -> None:
        cut(served)

    monkeypatch.setattr(moving, "_run", strike)
    with pytest.raises(StoreError, match=r"the backup cannot be written: .*terminat"):
        moving.backup(served._engine.url.render_as_string(hide_password=False), tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_connection_lost_amid_a_copy_is_told(served: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    column, path = copying._column, houses(tmp_path, 5)

    def strike_once(*given: Any) -> list[Any]:
        cut(served)
        return column(*given)

    monkeypatch.setattr(copying, "_column", strike_once)
    with pytest.raises(StoreError, match="the connection was lost while the store was written"):
        load_files(served, "house", [path], by="one")
    monkeypatch.undo()
    with pytest.raises(StoreError, match=r"the store cannot be written: .*NUL"):
        merge(served, "house", [Part(pd.DataFrame({"code": ["a\0b"]}), ["code"])], by="one")
    assert served.tables()["house"] == 0
