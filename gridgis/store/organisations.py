"""Each organisation sees its own rows: the one rule, and where it is applied.

Every statement that an open store executes passes :func:`own` on its way to the database (a listener of the engine, see
:mod:`gridgis.store.engines`). It narrows what is read, changed and deleted to the rows of the store's organisation, and
marks what is inserted as theirs. Whole stores are moved and checked by connections of their own, which have no
organisation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Alias, Connection, Delete, FromClause, Insert, Join, Select, Table, Update
from sqlalchemy.sql import visitors

#: The column that says whose a row is, and the option of a connection that says for whom it works.
COLUMN = OPTION = "organisation"
#: The organisation that a store is born with.
FIRST = 1
#: For a statement that has to see the rows of all, as to number a new one.
EVERY = {OPTION: None}


def own(statement: Any, organisation: int) -> Any:
    """A statement that reads, changes and deletes rows of one organisation only, and inserts rows as theirs.

    Statements inside it are narrowed too; text is left as it is, and has to keep to tables that belong to nobody.
    """
    if not isinstance(statement, Select | Update | Delete | Insert) and not hasattr(statement, "selects"):
        return statement

    def narrow(found: Select[Any]) -> None:
        for table in (leaf for one in found.get_final_froms() for leaf in _leaves(one)):
            if COLUMN in table.c:
                found._where_criteria += (table.c[COLUMN] == organisation,)

    if isinstance(statement, Insert):
        if statement.select is not None:
            raise TypeError("an insert out of a select is not narrowed: read the rows first")
        return statement.values({COLUMN: organisation}) if COLUMN in statement.table.c else statement
    narrowed = visitors.cloned_traverse(statement, {}, {"select": narrow})
    table = getattr(narrowed, "table", None)
    return narrowed if table is None or COLUMN not in table.c else narrowed.where(table.c[COLUMN] == organisation)


def _leaves(found: FromClause) -> Iterator[FromClause]:
    """The tables of a join, under their other names too; statements in it are narrowed by themselves."""
    if isinstance(found, Join):
        yield from _leaves(found.left)
        yield from _leaves(found.right)
    elif isinstance(found, Table) or (isinstance(found, Alias) and isinstance(found.element, Table)):
        yield found


def of(connection: Connection) -> int | None:
    """The organisation that a connection works for; None where it sees all."""
    found: int | None = connection.get_execution_options().get(OPTION)
    return found
