"""Who did what when: one row for each change, added in the transaction of the change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert

from gridgis.store.models import Base

_AUDIT = Base.metadata.tables["audit"]

#: Tables whose rows are of residents: of these the log has ids and names of columns, never a value.
PERSONAL = ("person", "house", "household", "visit")


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
    if table in PERSONAL:
        changed = sorted(
            name for name in {*(before or {}), *(after or {})} if (before or {}).get(name) != (after or {}).get(name)
        )
        before, after = None, {"columns": changed}
    row = {
        "at": datetime.now(UTC),
        "by": by,
        "what": what,
        "table": table,
        "key": key,
        "before": before,
        "after": after,
    }
    connection.execute(insert(_AUDIT), [row])
