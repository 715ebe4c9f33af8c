"""Rows into a table beside those that are there: new ones are added, changed ones written, equal ones left alone."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from sqlalchemy import Connection, Table, bindparam, insert, select, text, update

from gridgis import schema
from gridgis.errors import NotFoundError
from gridgis.store import Store, audit, geopackage
from gridgis.store.copying import insert_rows
from gridgis.store.digests import BATCH, plain
from gridgis.store.models import TABLES, Revision, Saved
from gridgis.store.numbering import last_row, note_places
from gridgis.store.rows import merged_note, named_columns, to_rows

#: Rows that are made ready at once.
CHUNK = 20_000

Progress: TypeAlias = Callable[[int, int], object]
_Row: TypeAlias = dict[str, Any]


class Part(NamedTuple):
    """A frame to be merged, and the columns of it that count: what it does not name stays as it is."""

    frame: pd.DataFrame
    named: Sequence[str]


class Merged(NamedTuple):
    """How many rows were added, were changed, and were there already."""

    new: int
    changed: int
    same: int

    def plus(self, other: Merged) -> Merged:
        return Merged(*(a + b for a, b in zip(self, other, strict=True)))


def merge(
    store: Store,
    table: str,
    parts: Sequence[Part],
    *,
    by: str,
    told: Mapping[str, Any] | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Merged:
    """Bring frames into a table in one transaction; doing it twice changes nothing.

    Rows are known by the table's key; those of a table without one are the same where all their columns are. No row
    is ever removed.

    Parameters
    ----------
    store : Store
    table : str
    parts : sequence of Part
        Merged one after the other.
    by : str
        Who, for the audit log: one row for the whole, and one for each changed row.
    told : mapping, optional
        What the audit log is to say of the whole beside the counts.
    dry_run : bool
        Do everything, and take it back.
    progress : callable, optional
        Told how many rows are done, of how many.

    Raises
    ------
    NotFoundError
        There is no such table.
    SchemaError, GeometryError, CRSError, StoreError
        As :meth:`gridgis.store.Store.save`; nothing is written.
    """
    if table not in TABLES:
        raise NotFoundError("no such table", source=store.name, found=repr(table), wanted=", ".join(TABLES))
    into = _Into(TABLES[table], by, sum(len(part.frame) for part in parts), progress)
    with store.writing() as connection:
        # The first statement writes: so the lock is taken at once, and waited for.
        connection.execute(update(Revision).values(number=Revision.number + 1))
        done = Merged(0, 0, 0)
        for part in parts:
            if len(part.frame):
                done = done.plus(into.take(connection, part))
        if dry_run or not (done.new or done.changed):
            connection.rollback()
        else:
            into.finish(connection, done)
            after = {**(told or {}), "new": done.new, "changed": done.changed, "same": done.same}
            audit.note_count(connection, by, "load", table, after)
    return done


class _Into:
    """One table that rows are merged into."""

    def __init__(self, table: Table, by: str, total: int, progress: Progress | None) -> None:
        self.table, self.by, self.total, self.progress = table, by, total, progress
        self.key = schema.key_of(table.name)
        self.done = 0
        self.bounds: list[Any] = []

    def take(self, connection: Connection, part: Part) -> Merged:
        named = _Named(self.table, part, whole=not self.key)
        there = self._there(connection, named)
        last = last_row(connection, self.table)
        held = there.any()
        counted = Merged(0, 0, 0)
        note: dict[str, Any] = {}
        for start in range(0, len(part.frame), CHUNK):
            rows, note = to_rows(part.frame.iloc[start : start + CHUNK], self.table)
            fresh, changed = there.sort(rows, named)
            for number, row in enumerate(fresh, last + 1):
                row["row"] = number
            last += len(fresh)
            insert_rows(connection, self.table, fresh)
            self._change(connection, changed, named)
            self._reach(fresh)
            counted = counted.plus(Merged(len(fresh), len(changed), len(rows) - len(fresh) - len(changed)))
            self._tell(len(rows))
        if counted.new or counted.changed:
            self._note(connection, note, held)
        return counted

    def _tell(self, rows: int) -> None:
        self.done += rows
        if self.progress is not None:
            self.progress(self.done, self.total)

    def _reach(self, rows: Sequence[_Row]) -> None:
        shapes = [row["geometry"] for row in rows if row.get("geometry") is not None]
        if shapes:
            self.bounds.append(shapely.total_bounds(shapes))

    def _there(self, connection: Connection, named: _Named) -> _There:
        found = _There(self.key)
        wanted = [self.table.c.row, *(self.table.c[name] for name in named.columns(self.key))]
        query = select(*wanted).order_by(self.table.c.row)
        found_rows = connection.execute(query, execution_options={"yield_per": BATCH})
        for rows in found_rows.mappings().partitions(BATCH):
            for row in map(dict, rows):
                found.add(row, named.digest(row))
        return found

    def _change(self, connection: Connection, changed: Sequence[tuple[int, _Row]], named: _Named) -> None:
        """Write the columns that the file names; what differs goes into the log."""
        for start in range(0, len(changed), BATCH // 10):
            part = dict(changed[start : start + BATCH // 10])
            query = select(self.table).where(self.table.c.row.in_(list(part)))
            written, noted = [], []
            for row in map(dict, connection.execute(query).mappings()):
                new = named.over(row, part[row["row"]])
                differs = [name for name in new if plain(row[name]) != plain(new[name])]
                noted.append((audit.named(row, self.key or ("row",)), _said(row, differs), _said(new, differs)))
                written.append({"at_row": row["row"], **new})
            if written:
                statement = update(self.table).where(self.table.c.row == bindparam("at_row"))
                values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in written[0] if name != "at_row"}
                told = [{(k if k == "at_row" else f"new_{k}"): v for k, v in row.items()} for row in written]
                connection.execute(statement.values(values), told)
                audit.note_changes(connection, self.by, "load", self.table.name, noted)

    def _note(self, connection: Connection, note: Mapping[str, Any], held: bool) -> None:
        """Which columns the table has now."""
        mine = Saved.name == self.table.name
        old = connection.execute(select(Saved.columns).where(mine)).scalar_one_or_none()
        if old is None:
            connection.execute(insert(Saved).values(name=self.table.name, columns=dict(note)))
        else:
            connection.execute(update(Saved).where(mine).values(columns=merged_note(old, note, held=held)))

    def finish(self, connection: Connection, done: Merged) -> None:
        """Say in the list of layers where the table lies now."""
        if connection.dialect.name != "sqlite":
            return
        if done.changed and "geometry" in self.table.columns:
            note_places(connection, self.table)
            return
        query = text("SELECT min_x, min_y, max_x, max_y FROM gpkg_contents WHERE table_name = :name")
        listed = connection.execute(query, {"name": self.table.name}).one()
        boxes = [box for box in (*self.bounds, listed) if box[0] is not None and not np.isnan(box[0])]
        geopackage.note_change(connection, self.table, [shapely.box(*map(float, box)) for box in boxes])


class _There:
    """What a table holds: by key where it has one, else how often each row."""

    def __init__(self, key: tuple[str, ...]) -> None:
        self.name = itemgetter(*key) if key else None
        self.by_key: dict[Any, tuple[int, bytes]] = {}
        self.often: Counter[bytes] = Counter()

    def add(self, row: Mapping[str, Any], digest: bytes) -> None:
        if self.name is None:
            self.often[digest] += 1
        else:
            self.by_key[self.name(row)] = (row["row"], digest)

    def any(self) -> bool:
        return bool(self.by_key or self.often)

    def sort(self, rows: Iterable[_Row], named: _Named) -> tuple[list[_Row], list[tuple[int, _Row]]]:
        """The new rows, and the changed ones with the number of the row that they change."""
        if not self.any():
            return list(rows), []
        fresh: list[_Row] = []
        changed: list[tuple[int, _Row]] = []
        for row in rows:
            digest = named.digest(row)
            if self.name is None:
                if self.often[digest] > 0:
                    self.often[digest] -= 1
                else:
                    fresh.append(row)
                continue
            number, known = self.by_key.get(self.name(row), (0, b""))
            if not number:
                fresh.append(row)
            elif known != digest:
                changed.append((number, row))
        return fresh, changed


class _Named:
    """The columns that count when rows are compared and written."""

    def __init__(self, table: Table, part: Part, *, whole: bool) -> None:
        frame, known = part.frame, named_columns(table)
        placed = isinstance(frame, gpd.GeoDataFrame) and "geometry" in table.columns
        spatial = frame.geometry.name if placed else None
        self.known = [c for c in known if whole or c in part.named]
        self.placed = placed or (whole and "geometry" in table.columns)
        self.extra = [str(c) for c in frame.columns if c not in known and c != spatial]
        self.whole = whole

    def columns(self, key: Sequence[str]) -> list[str]:
        """The columns of the table to be read for a comparison."""
        own = [*self.known, *(["geometry"] if self.placed else []), *(["extra"] if self.extra or self.whole else [])]
        return [*(name for name in key if name not in own), *own]

    def digest(self, row: Mapping[str, Any]) -> bytes:
        values = [plain(row[name]) for name in self.known]
        if self.placed:
            values.append(plain(row["geometry"]))
        extra = row["extra"] or {} if self.extra or self.whole else {}
        given = {k: v for k, v in extra.items() if v is not None} if self.whole else extra
        values += sorted(given.items()) if self.whole else [extra.get(name) for name in self.extra]
        said = json.dumps(values, ensure_ascii=False, sort_keys=True)
        return hashlib.blake2b(said.encode("utf-8"), digest_size=16).digest()

    def over(self, old: Mapping[str, Any], new: _Row) -> _Row:
        """The columns to be written over a row that is there."""
        written = {name: new[name] for name in self.known}
        if self.placed:
            written["geometry"] = new["geometry"]
        if self.extra:
            written["extra"] = {**(old["extra"] or {}), **(new["extra"] or {})}
        return written


def _said(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: plain(row[name]) for name in names}
