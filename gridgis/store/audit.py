"""Who did what when: one row for each change, added in the transaction of the change."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import pandas as pd
from sqlalchemy import Connection, insert, select

from gridgis.store.models import Base

_AUDIT = Base.metadata.tables["audit"]

#: Tables whose rows are of residents: of these the log has ids and names of columns, never a value.
PERSONAL = ("person", "house", "household", "site", "visit")

#: Tables that :meth:`gridgis.store.Store.load` refuses: :class:`gridgis.store.personal.Personal` reads them and notes
#: who looked and what for. A house is an address and nobody who lives there; a site may be a care address.
LOOKED = ("person", "household", "site", "visit")


def login() -> str:
    """The name of whoever runs the program; their number where the system knows no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid()) if hasattr(os, "getuid") else "?"


def named(row: Mapping[str, Any], key: Iterable[str]) -> str:
    """How the log names a row that these columns tell from others."""
    return "/".join(str(row[name]) for name in key)


def note(
    connection: Connection,
    by: str,
    what: What,
    table: str,
    key: str | None = None,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Add a row to the log.

    Parameters
    ----------
    by : str
        Who.
    what : str
        What in a word, one of :data:`What`.
    table, key : str
        The rows meant; the key may be left out where all of them are.
    before, after : mapping, optional
        Plain values, as JSON has them. Of a personal table only the names of the columns that changed are kept.
    """
    _add(connection, by, what, table, [(key, *_told(table, before, after))])


#: What can be done, and how it is called in Chinese.
What = Literal[
    "add", "archive", "check", "disable", "enable", "expire", "forget", "load", "look", "password", "publish",
    "rehash", "remove", "role", "save",
]  # fmt: skip
CHINESE: Mapping[What, str] = {
    "add": "添加", "archive": "归档", "check": "检查", "disable": "停用", "enable": "启用", "expire": "到期删除",
    "forget": "应要求删除", "load": "装入", "look": "查看", "password": "改口令", "publish": "公布", "rehash": "换散列",
    "remove": "删除", "role": "改角色", "save": "保存",
}  # fmt: skip

#: The key of a row, and its values before and after; one of both is None where it was not there.
Change: TypeAlias = tuple[str, Mapping[str, Any] | None, Mapping[str, Any] | None]


def note_changes(connection: Connection, by: str, what: What, table: str, changes: Iterable[Change]) -> None:
    """Add a row for each change; of a personal table as :func:`note` does."""
    _add(connection, by, what, table, [(key, *_told(table, before, after)) for key, before, after in changes])


def note_count(
    connection: Connection, by: str, what: What, table: str, counts: Mapping[str, Any], *, key: str | None = None
) -> None:
    """Add a row that counts: how many rows were loaded, seen or removed, out of which files; never a value of one."""
    _add(connection, by, what, table, [(key, None, counts)])


def _told(table: str, before: Any, after: Any) -> tuple[Any, Any]:
    if table not in PERSONAL:
        return before, after
    old, new = before or {}, after or {}
    return None, {"columns": sorted(name for name in {*old, *new} if old.get(name) != new.get(name))}


def _add(connection: Connection, by: str, what: What, table: str, rows: Iterable[tuple[str | None, Any, Any]]) -> None:
    now = datetime.now(UTC)
    told = [
        {"at": now, "by": by, "what": what, "table": table, "key": key, "before": before, "after": after}
        for key, before, after in rows
    ]
    if told:
        connection.execute(insert(_AUDIT), told)


def entries(
    connection: Connection,
    *,
    table: str | None = None,
    key: str | None = None,
    by: str | None = None,
    since: datetime | None = None,
    last: int | None = None,
) -> pd.DataFrame:
    """What the log says, the newest first.

    Parameters
    ----------
    connection : Connection
    table, key, by : str, optional
        Only of this table, of this row, of this person's doing.
    since : datetime, optional
        Only from this moment on, with its zone.
    last : int, optional
        At most so many.

    Returns
    -------
    DataFrame
        at (UTC), by, what, table, key, before, after (mappings, or None).
    """
    names = ("at", "by", "what", "table", "key", "before", "after")
    wanted = [_AUDIT.c[name] == value for name, value in (("table", table), ("key", key), ("by", by)) if value]
    if since is not None:
        wanted.append(_AUDIT.c["at"] >= since)
    query = select(*(_AUDIT.c[name] for name in names)).where(*wanted).order_by(_AUDIT.c["id"].desc()).limit(last)
    found = pd.DataFrame(connection.execute(query).all(), columns=list(names), dtype=object)
    return found.assign(at=pd.to_datetime(found["at"], utc=True))
