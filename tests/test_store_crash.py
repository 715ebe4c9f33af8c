"""kill -9 in the middle of load, publish, migrate and backup; a full disk; a lost connection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest
from crash import strike
from crash_jobs import JOBS, Databases, Files
from postgres import Server
from sqlalchemy import Connection, event, text

from gridgis.errors import StoreError
from gridgis.loading import load_files
from gridgis.store import Store, copying, open_store
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
