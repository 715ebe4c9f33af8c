"""What can go wrong. Each error says where, which rows, what was found, what is wanted and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

#: How many ids an error message names before it only counts them.
SHOWN_IDS = 10


def name_ids(ids: Iterable[object], noun: str = "") -> str:
    """Name one id, or the count of all and the first ten.

    Parameters
    ----------
    ids : iterable
        Ids of the rows meant, in the order of the table.
    noun : str, optional
        What they are, in the singular.

    Examples
    --------
    >>> name_ids(["a"]), name_ids(["a", "b"]), name_ids(["a", "b"], "row")
    ('a', '2: a, b', '2 rows: a, b')
    >>> name_ids(range(100))
    '100: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …'
    """
    listed = [str(i) for i in ids]
    if len(listed) == 1:
        return f"{noun} {listed[0]}".strip()
    more = ", …" if len(listed) > SHOWN_IDS else ""
    count = f"{len(listed)} {noun}s" if noun else f"{len(listed)}"
    return f"{count}: {', '.join(listed[:SHOWN_IDS])}{more}"


class GridgisError(Exception):
    """Something that a user can mend.

    Parameters
    ----------
    message : str
        One sentence, without the file's name.
    source : str, optional
        The file or table meant; stands before the message.
    ids : iterable, optional
        Ids of the rows meant; the first ten are shown, and their count.
    found, wanted, remedy : str, optional
        What was found, what is wanted, what to do.
    rows : iterable of int, optional
        Where the rows meant stand in their table, from 0: a reader can set these aside and take the others.
    column : str, optional
        The column meant.
    """

    def __init__(
        self,
        message: str,
        *,
        source: object = None,
        ids: Iterable[object] = (),
        found: str = "",
        wanted: str = "",
        remedy: str = "",
        rows: Iterable[int] = (),
        column: str | None = None,
    ) -> None:
        self.message = message
        self.source = None if source is None else str(source)
        self.ids = tuple(ids)
        self.found = found
        self.wanted = wanted
        self.remedy = remedy
        self.rows = tuple(rows)
        self.column = column
        super().__init__(self._text())

    def _text(self) -> str:
        text = f"{self.source}: {self.message}" if self.source else self.message
        if self.ids:
            text += f" ({name_ids(self.ids, 'row')})"
        if found := self.what_was_found():
            text += f"; found {found}"
        if self.wanted:
            text += f"; wanted {self.wanted}"
        text = text.rstrip(".")
        return f"{text}. {self.remedy}" if self.remedy else f"{text}."

    def what_was_found(self) -> str:
        """What was found, as the message has it."""
        return self.found


class InputError(GridgisError):
    """A file or an argument that cannot be used."""


class SchemaError(InputError):
    """A table without the columns, types or keys that it must have."""


class GeometryError(InputError):
    """Geometry that is missing, of the wrong type or not closed."""


class CRSError(InputError):
    """A coordinate reference system that is missing or does not fit."""


class ProfileError(InputError):
    """A profile that does not exist or has a line that cannot be used."""


class PlanError(GridgisError):
    """Blocks or grids from which no plan can be made."""


class EditError(PlanError):
    """An edit of a plan that is refused; the plan stays as it was.

    Parameters
    ----------
    message, ids, found, wanted, remedy, source
        As :class:`GridgisError`.
    reason : str
        One word for programs: "unknown", "argument", "geometry", "outside", "nothing", "locked", "pieces", "unit" or
        "barrier".
    place : (float, float), optional
        Where, x and y in the CRS of the plan; the message says it too.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        place: tuple[float, float] | None = None,
        source: object = "plan",
        ids: Iterable[object] = (),
        found: str = "",
        wanted: str = "",
        remedy: str = "",
    ) -> None:
        self.reason = reason
        self.place = None if place is None else (float(place[0]), float(place[1]))
        super().__init__(message, source=source, ids=ids, found=found, wanted=wanted, remedy=remedy)

    def what_was_found(self) -> str:
        if self.place is None:
            return self.found
        where = f"at {self.place[0]:.6f}, {self.place[1]:.6f}"
        return f"{self.found} {where}" if self.found else where


class StoreError(GridgisError):
    """A store that cannot be opened, read or written."""


class LostError(StoreError):
    """The connection to the database was lost. What only reads may be asked again."""


class ConflictError(StoreError):
    """Somebody else changed the same rows in the meantime; `conflicts` has each row with both values."""

    def __init__(self, message: str, *, conflicts: Mapping[str, tuple[object, object]], **told: Any) -> None:
        self.conflicts = dict(conflicts)
        super().__init__(message, ids=self.conflicts, **told)


class NotFoundError(GridgisError):
    """A grid, layer or plan that does not exist."""


class GridgisWarning(UserWarning):
    """Something a user should look at, though the work goes on."""
