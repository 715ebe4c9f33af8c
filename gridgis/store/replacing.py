"""What replacing whole tables changes, row by row, for the audit log."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from operator import ne
from typing import Any, TypeAlias

import numpy as np
import shapely
from sqlalchemy import Connection, Table, func, select

from gridgis import schema
from gridgis.store import audit
from gridgis.store.digests import BATCH, plain
from gridgis.store.models import Setting
from gridgis.store.rows import named_columns

#: Tables that a build computes anew: the log has how many rows there were and are. Plans keep their own history.
COMPUTED = ("block", "border", "grid", "defect", "patrol", "patrol_coverage", "rule_result")
#: Columns that a build computes in the tables that it is given; a new plan changes them in nearly every row.
COMPUTED_COLUMNS = (
    "grid", "grid_share", "grid_how", "grid_distance_m", "house_how", "house_score", "house_distance_m", "estimated",
)  # fmt: skip
#: Where the grid of a row is what somebody said, and not computed.
_GRID_GIVEN = ("posting", "board", "segment", "responsibility_block", "matter")

_Row: TypeAlias = Mapping[str, Any]


def note_replaced(connection: Connection, by: str, table: Table, rows: Sequence[_Row]) -> None:
    """Say in the log what changes when all rows of a table give way to others; to be called before they do.

    Rows are known by the table's key; without one, a row is the same where all its columns are. Each row that changes
    or goes has an entry, and the whole has one that counts; where nothing changes nothing is said.

    Parameters
    ----------
    connection : Connection
        The transaction of the change.
    by : str
    table : Table
    rows : sequence of mapping
        The rows to come, each with all columns of the table.
    """
    before = connection.execute(select(func.count()).select_from(table)).scalar_one()
    if not before or table.name in COMPUTED:
        if before or rows:
            audit.note_count(connection, by, "save", table.name, {"new": len(rows), "removed": before})
        return
    told = _ByKey(table, rows) if schema.key_of(table.name) else _ByContent(table, rows)
    query = select(*(table.c[name] for name in told.columns)).order_by(table.c.row)
    for part in connection.execute(query, execution_options={"yield_per": BATCH}).partitions(BATCH):
        changes, gone = told.meet(dict(zip(told.columns, zip(*part, strict=True), strict=True)))
        audit.note_changes(connection, by, "save", table.name, changes)
        audit.note_changes(connection, by, "remove", table.name, gone)
    if told.changed or told.removed or told.met < len(rows):
        counts = {"new": len(rows) - told.met, "changed": told.changed, "removed": told.removed,
                  "same": told.met - told.changed}  # fmt: skip
        audit.note_count(connection, by, "save", table.name, counts)


def note_settings(connection: Connection, by: str, chosen: Mapping[str, str]) -> None:
    """Say in the log which settings change; to be called before they do."""
    held = {row.key: row.value for row in connection.execute(select(Setting.key, Setting.value))}
    changes: list[audit.Change] = [
        (key, {"value": held[key]} if key in held else None, {"value": value})
        for key, value in sorted(chosen.items())
        if held.get(key) != value
    ]
    audit.note_changes(connection, by, "save", "setting", changes)


class _Coming(ABC):
    """The rows that a table is to have, and what has become of those that it had."""

    def __init__(self, table: Table) -> None:
        computed = {name for name in COMPUTED_COLUMNS if name != "grid" or table.name not in _GRID_GIVEN}
        self.counted = [name for name in (*named_columns(table), "geometry", "extra")
                        if name in table.columns and name not in computed]  # fmt: skip
        self.key = schema.key_of(table.name) or ("row",)
        self.columns = list(dict.fromkeys([*self.key, *self.counted]))
        self.met = self.changed = self.removed = 0

    @abstractmethod
    def meet(self, there: Mapping[str, Sequence[Any]]) -> tuple[list[audit.Change], list[audit.Change]]:
        """What becomes of some rows that the table has, given by column: those that change, and those that go."""

    def _gone(self, there: Mapping[str, Sequence[Any]], at: int) -> audit.Change:
        self.removed += 1
        row = {name: there[name][at] for name in self.columns}
        return audit.named(row, self.key), self._values(row), None

    def _values(self, row: _Row) -> dict[str, Any]:
        """The values that count, as JSON says them; without those that are missing."""
        said = {name: plain(row[name]) for name in self.counted}
        if said.get("extra"):
            said["extra"] = {name: value for name, value in said["extra"].items() if value is not None} or None
        return {name: value for name, value in said.items() if value is not None}


class _ByKey(_Coming):
    """Rows that are known by a key."""

    def __init__(self, table: Table, rows: Sequence[_Row]) -> None:
        super().__init__(table)
        self._rows = {tuple(row[part] for part in self.key): row for row in rows}

    def meet(self, there: Mapping[str, Sequence[Any]]) -> tuple[list[audit.Change], list[audit.Change]]:
        names = zip(*(there[part] for part in self.key), strict=True)
        coming = [self._rows.get(name) for name in names]
        gone = [self._gone(there, at) for at, row in enumerate(coming) if row is None]
        both = [at for at, row in enumerate(coming) if row is not None]
        self.met += len(both)
        after = [row for row in coming if row is not None]
        changes: list[audit.Change] = []
        for at in self._unlike(there, both, after):
            old = self._values({name: there[name][both[at]] for name in self.columns})
            new = self._values(after[at])
            differs = [name for name in self.counted if old.get(name) != new.get(name)]
            if differs:
                old, new = ({name: said.get(name) for name in differs} for said in (old, new))
                changes.append((audit.named(after[at], self.key), old, new))
        self.changed += len(changes)
        return changes, gone

    def _unlike(self, there: Mapping[str, Sequence[Any]], both: Sequence[int], after: Sequence[_Row]) -> list[int]:
        """Of the rows that stay, those with a value that is not just the same: few, as a rule."""
        unlike = np.zeros(len(both), dtype=bool)
        for name in self.counted:
            old, new = [there[name][at] for at in both], [row[name] for row in after]
            if name == "geometry":
                old, new = (shapely.to_wkb(shapes, byte_order=1).tolist() for shapes in (old, new))
            unlike |= np.fromiter(map(ne, old, new), dtype=bool, count=len(both))
        return [int(at) for at in np.flatnonzero(unlike)]


class _ByContent(_Coming):
    """Rows without a key: one that changes goes, and another one comes."""

    def __init__(self, table: Table, rows: Sequence[_Row]) -> None:
        super().__init__(table)
        self._often = Counter(map(self._digest, rows))

    def meet(self, there: Mapping[str, Sequence[Any]]) -> tuple[list[audit.Change], list[audit.Change]]:
        gone: list[audit.Change] = []
        for at in range(len(there["row"])):
            digest = self._digest({name: there[name][at] for name in self.columns})
            if self._often[digest]:
                self._often[digest] -= 1
                self.met += 1
            else:
                gone.append(self._gone(there, at))
        return [], gone

    def _digest(self, row: _Row) -> bytes:
        said = json.dumps(self._values(row), ensure_ascii=False, sort_keys=True)
        return hashlib.blake2b(said.encode("utf-8"), digest_size=16).digest()
