"""What replacing whole tables changes, row by row, for the audit log."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

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
    coming = _Coming(table, rows)
    changed = removed = 0
    query = select(table).order_by(table.c.row).execution_options(yield_per=BATCH)
    for part in connection.execute(query).mappings().partitions(BATCH):
        changes, gone = coming.meet([dict(row) for row in part])
        audit.note_changes(connection, by, "save", table.name, changes)
        audit.note_changes(connection, by, "remove", table.name, gone)
        changed, removed = changed + len(changes), removed + len(gone)
    new = len(rows) - coming.met
    if new or changed or removed:
        same = coming.met - changed
        counts = {"new": new, "changed": changed, "removed": removed, "same": same}
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


class _Coming:
    """The rows that a table is to have, and how many of them it had."""

    def __init__(self, table: Table, rows: Sequence[_Row]) -> None:
        key = schema.key_of(table.name)
        computed = {name for name in COMPUTED_COLUMNS if name != "grid" or table.name not in _GRID_GIVEN}
        self.names = [name for name in (*named_columns(table), "geometry", "extra")
                      if name in table.columns and name not in computed]  # fmt: skip
        self.met = 0
        self._key = key
        self._name = itemgetter(*key) if key else self._digest
        self._rows = {self._name(row): row for row in rows}
        self._often = Counter(map(self._name, rows))

    def meet(self, there: Sequence[_Row]) -> tuple[list[audit.Change], list[audit.Change]]:
        """What becomes of rows that the table has: those that change, and those that go."""
        changes: list[audit.Change] = []
        gone: list[audit.Change] = []
        for row in there:
            name = self._name(row)
            known = "/".join(str(row[part]) for part in self._key or ("row",))
            if not self._often[name]:
                gone.append((known, dict(self._values(row)), None))
                continue
            self._often[name] -= 1
            self.met += 1
            before, after = dict(self._values(row)), dict(self._values(self._rows[name]))
            differs = [column for column in self.names if before.get(column) != after.get(column)]
            if differs:
                old, new = ({column: said.get(column) for column in differs} for said in (before, after))
                changes.append((known, old, new))
        return changes, gone

    def _values(self, row: _Row) -> Iterator[tuple[str, Any]]:
        """The values that count, as JSON says them; without those that are missing."""
        for name in self.names:
            value = row[name]
            if name == "extra" and value is not None:
                value = {key: said for key, said in value.items() if said is not None} or None
            if value is not None:
                yield name, list(value) if isinstance(value, tuple) else plain(value)

    def _digest(self, row: _Row) -> bytes:
        said = json.dumps(list(self._values(row)), ensure_ascii=False, sort_keys=True)
        return hashlib.blake2b(said.encode("utf-8"), digest_size=16).digest()
