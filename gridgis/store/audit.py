"""Who did what when: one row for each change, added in the transaction of the change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert

from gridgis.store.models import Base

_AUDIT = Base.metadata.tables["audit"]

#: Tables whose rows are of residents: of these the log has ids and names of columns, never a value.
PERSONAL = ("person", "house", "household", "site", "visit")

#: Tables that :meth:`gridgis.store.Store.load` refuses: :class:`gridgis.store.personal.Personal` reads them and notes
#: who looked and what for. A house is an address and nobody who lives there; a site may be a care address.
LOOKED = ("person", "household", "site", "visit")


def note(
    connection: Connection,
    by: str,
    what: str,
    table: str,
    key: str | None = None,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Add a row to the log.

    Parameters
    ----------
    by, what : str
        Who, and what in a word ("save", "publish").
    table, key : str
        The rows meant; the key may be left out where all of them are.
    before, after : mapping, optional
        Plain values, as JSON has them. Of a personal table only the names of the columns that changed are kept.
    """
    _add(connection, by, what, table, [(key, *_told(table, before, after))])


def note_changes(
    connection: Connection,
    by: str,
    what: str,
    table: str,
    changes: Iterable[tuple[str, Mapping[str, Any], Mapping[str, Any]]],
) -> None:
    """Add a row for each change: key, before, after; of a personal table as :func:`note` does."""
    _add(connection, by, what, table, [(key, *_told(table, before, after)) for key, before, after in changes])


def note_count(
    connection: Connection, by: str, what: str, table: str, counts: Mapping[str, Any], *, key: str | None = None
) -> None:
    """Add a row that counts: how many rows were loaded, seen or removed, out of which files; never a value of one."""
    _add(connection, by, what, table, [(key, None, counts)])


def _told(table: str, before: Any, after: Any) -> tuple[Any, Any]:
    if table not in PERSONAL:
        return before, after
    old, new = before or {}, after or {}
    return None, {"columns": sorted(name for name in {*old, *new} if old.get(name) != new.get(name))}


def _add(connection: Connection, by: str, what: str, table: str, rows: Iterable[tuple[str | None, Any, Any]]) -> None:
    now = datetime.now(UTC)
    told = [
        {"at": now, "by": by, "what": what, "table": table, "key": key, "before": before, "after": after}
        for key, before, after in rows
    ]
    if told:
        connection.execute(insert(_AUDIT), told)
