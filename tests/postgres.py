"""A throw-away PostgreSQL with PostGIS for the tests: a folder, a socket, no port, gone at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psutil
import psycopg
from sqlalchemy.engine import make_url

from gridgis.store import open_store

#: Where Debian keeps the server's programs; the newest one is taken.
_PROGRAMS = "/usr/lib/postgresql"
_TEMPLATE = "template_postgis"
_STORE = "template_store"
#: It refuses to run as an administrator.
_USER = "postgres"
#: Nothing has to survive a power cut here.
_QUICK = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"


def programs() -> Path | None:
    """The folder of initdb and pg_ctl; None where there is no server."""
    found = sorted(Path(_PROGRAMS).glob("*/bin/pg_ctl"), key=lambda p: int(p.parts[-3]))
    if found:
        return found[-1].parent
    elsewhere = shutil.which("pg_ctl")
    return Path(elsewhere).resolve().parent if elsewhere else None


class Server:
    """A running server; databases are clones of one that has PostGIS."""

    def __init__(self, folder: Path, bin: Path, options: str) -> None:
        self.folder, self.bin, self._options = folder, bin, options
        self._number = count(1)
        self._made = False
        self._users: set[str] = set()

    def url(self, database: str) -> str:
        """The address of a database, as a user of gridgis would give it."""
        return f"postgresql+psycopg://{_USER}@/{database}?host={self.folder}"

    def _tell(self, command: str, database: str = "postgres") -> None:
        with psycopg.connect(host=str(self.folder), user=_USER, dbname=database, autocommit=True) as connection:
            connection.execute(command)  # type: ignore[call-overload]

    def _pg_ctl(self, *command: str) -> None:
        _run(self.folder, str(self.bin / "pg_ctl"), "-D", str(self.folder / "data"), *command)

    def start(self) -> None:
        """Start it, also after a crash."""
        # The log is a file: the server would hold a pipe open.
        self._pg_ctl("-o", self._options, "-l", str(self.folder / "log"), "-w", "start")

    def stop(self) -> None:
        """Stop it as a power cut would: nothing is written any more."""
        self._pg_ctl("-m", "immediate", "-w", "stop")

    def crash(self, *, hard: bool) -> None:
        """Stop it at once: with `hard` by kill -9 of its first process, else by an immediate stop."""
        if not hard:
            self.stop()
            return
        first = psutil.Process(int((self.folder / "data" / "postmaster.pid").read_text().split()[0]))
        others = first.children()
        first.kill()
        # They end by themselves when they notice; a server that starts would refuse to until then.
        psutil.wait_procs([first, *others], timeout=20)

    @contextmanager
    def database(
        self, *, store: bool = False, owner: str = _USER, like: str | None = None, encoding: str | None = None
    ) -> Iterator[str]:
        """The address of a fresh database with PostGIS, dropped at the end; with `store` there is one in it.

        Another `owner` is an ordinary user, who may do nothing beyond his databases. `like`: a copy of another one.
        With an `encoding` it is made from nothing.
        """
        name = f"test_{os.getpid()}_{next(self._number)}"
        if store:
            self._make_store()
        if owner != _USER and owner not in self._users:
            self._tell(f"CREATE ROLE {owner} LOGIN")
            self._users.add(owner)
        if encoding is None:
            template = make_url(like).database if like is not None else _STORE if store else _TEMPLATE
            self._tell(f"CREATE DATABASE {name} OWNER {owner} TEMPLATE {template}")
        else:
            self._tell(f"CREATE DATABASE {name} OWNER {owner} ENCODING '{encoding}' TEMPLATE template0")
            self._tell("CREATE EXTENSION postgis", name)
        try:
            yield self.url(name).replace(f"{_USER}@", f"{owner}@")
        finally:
            self._tell(f"DROP DATABASE {name} WITH (FORCE)")

    def _make_store(self) -> None:
        """Run the migrations once, in a database that others are clones of."""
        if not self._made:
            self._tell(f"CREATE DATABASE {_STORE} TEMPLATE {_TEMPLATE}")
            open_store(self.url(_STORE), create=True).close()
            self._made = True

    def prepare(self) -> None:
        """Make the database that all others are clones of."""
        self._tell(f"CREATE DATABASE {_TEMPLATE}")
        self._tell("CREATE EXTENSION postgis", _TEMPLATE)


def _run(folder: Path, *command: str) -> None:
    user = _USER if os.geteuid() == 0 else None
    done = subprocess.run(command, user=user, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def server(bin: Path, *, durable: bool = False) -> Iterator[Server]:
    """Start a server in a folder of its own, and stop it; a `durable` one keeps what was committed through a crash."""
    folder = Path(tempfile.mkdtemp(prefix="gridgis-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, _USER)
    try:
        _run(folder, str(bin / "initdb"), "-D", str(folder / "data"), "-U", _USER, "-A", "trust", "-E", "UTF8",
             "--locale=C", "-N")  # fmt: skip
        options = f"-k {folder} -c listen_addresses='' -c max_connections=60 {'' if durable else _QUICK}"
        made = Server(folder, bin, options)
        made.start()
        try:
            made.prepare()
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
