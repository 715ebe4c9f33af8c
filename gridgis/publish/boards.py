"""The content of a board (公示牌): who is in charge of a grid, for what, when, and how to reach them.

A board names staff on duty and nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from gridgis.schema import ROLES

#: The roles in Chinese and English, in the order of a board.
ROLE_NAMES: dict[str, tuple[str, str]] = {
    "grid head": ("网格长", "Grid head"),
    "full-time worker": ("专职网格员", "Full-time grid worker"),
    "part-time worker": ("兼职网格员", "Part-time grid worker"),
    "liaison": ("网格联络员", "Grid liaison"),
    "information officer": ("信息员", "Information officer"),
    "building steward": ("楼栋长", "Building steward"),
    "volunteer": ("志愿者", "Volunteer"),
}
#: What a board tells of each member of staff, besides the name.
_OF_STAFF = ("role", "phone", "duties", "hours", "photo")
_BY_CHINESE = {chinese: role for role, (chinese, _) in ROLE_NAMES.items()}


@dataclass(frozen=True)
class BoardStaff:
    """One member of staff as a board shows them; empty text where nothing is known."""

    name: str
    role: str
    phone: str = ""
    duties: str = ""
    hours: str = ""
    photo: str = ""


@dataclass(frozen=True)
class Board:
    """A board; `missing` names the fields that the profile requires and nobody filled."""

    code: str
    name: str
    bounds_text: str
    staff: tuple[BoardStaff, ...]
    community_phone: str
    supervision_phone: str
    missing: tuple[str, ...]


def make_board(
    grid: Mapping[str, Any],
    staff: pd.DataFrame,
    postings: pd.DataFrame,
    *,
    settings: Mapping[str, str],
    required: Sequence[str] = (),
    on: date,
) -> Board:
    """The board of one grid as it is on a day.

    Parameters
    ----------
    grid : mapping
        A row of the grids: code, name, bounds_text.
    staff, postings : DataFrame
        Tables of the contract; postings of other grids and staff without a posting here are passed over.
    settings : mapping
        community_phone, supervision_phone.
    required : sequence of str
        The fields that a board must have (a profile's ``board.required``): code, name, bounds_text, extent (the
        map, which a grid always has), staff; role, phone, duties, hours, photo, of each member of staff;
        community_phone, supervision_phone, or any other setting.
    on : date
        A posting holds from its first to its last day, both included; an open end holds for ever.

    Returns
    -------
    Board
        Staff in the order of :data:`gridgis.schema.ROLES`, unknown roles last, then by name. A posting whose staff
        is not in the table is passed over.

    Examples
    --------
    >>> import pandas as pd
    >>> from datetime import date
    >>> staff = pd.DataFrame({"id": ["1"], "name": ["王某"], "phone": [None]})
    >>> posting = pd.DataFrame({"staff": ["1"], "grid": ["G1"], "role": ["网格长"]})
    >>> board = make_board(
    ...     {"code": "G1", "name": "一网格"}, staff, posting, settings={}, required=["name", "phone"],
    ...     on=date(2026, 3, 2),
    ... )
    >>> board.staff[0].role, board.missing
    ('grid head', ('phone',))
    """
    fields = {name: _text(grid.get(name)) for name in ("code", "name", "bounds_text")}
    phones = {name: _text(settings.get(name)) for name in ("community_phone", "supervision_phone")}
    people = _on_duty(fields["code"], staff, postings, on)

    def filled(field: str) -> bool:
        if field == "extent":
            return True
        if field == "staff":
            return bool(people)
        if field in _OF_STAFF:
            return bool(people) and all(getattr(person, field) for person in people)
        return bool(fields.get(field) or _text(settings.get(field)))

    missing = tuple(field for field in required if not filled(field))
    return Board(**fields, staff=people, **phones, missing=missing)


def make_boards(
    grids: pd.DataFrame,
    staff: pd.DataFrame,
    postings: pd.DataFrame,
    *,
    settings: Mapping[str, str],
    required: Sequence[str] = (),
    on: date,
) -> dict[str, Board]:
    """The board of each of many grids, by code, in their order; see :func:`make_board`.

    Examples
    --------
    >>> import pandas as pd
    >>> from datetime import date
    >>> nobody = pd.DataFrame({"staff": [], "grid": [], "role": []})
    >>> grids = pd.DataFrame({"code": ["G1", "G2"], "name": ["一网格", "二网格"]})
    >>> list(make_boards(grids, pd.DataFrame({"id": []}), nobody, settings={}, on=date(2026, 3, 2)))
    ['G1', 'G2']
    """
    of_grid = dict(tuple(postings.groupby("grid", sort=False))) if len(postings) else {}
    nobody = postings.iloc[:0]
    plain = grids.drop(columns="geometry", errors="ignore").to_dict("records")
    made = {}
    for grid in plain:
        held = of_grid.get(grid["code"], nobody)
        known = staff[staff["id"].isin(held["staff"])]
        made[str(grid["code"])] = make_board(grid, known, held, settings=settings, required=required, on=on)
    return made


def _on_duty(code: str, staff: pd.DataFrame, postings: pd.DataFrame, on: date) -> tuple[BoardStaff, ...]:
    held = postings[(postings["grid"].astype(object) == code).to_numpy(dtype=bool)]
    day = pd.Timestamp(on)
    for column, late in (("from", False), ("to", True)):
        if column in held.columns:
            dates = pd.to_datetime(held[column])
            held = held[(dates.isna() | ((dates >= day) if late else (dates <= day))).to_numpy(dtype=bool)]
    known = {_text(row["id"]): row for row in staff.to_dict("records")}
    people = {
        BoardStaff(
            role=_BY_CHINESE.get(_text(role), _text(role)),
            **{name: _text(known[_text(who)].get(name)) for name in ("name", *_OF_STAFF[1:])},
        )
        for who, role in zip(held["staff"], held["role"], strict=True)
        if _text(who) in known
    }
    order = {role: place for place, role in enumerate(ROLES)}
    return tuple(sorted(people, key=lambda p: (order.get(p.role, len(ROLES)), p.role, p.name, p.phone)))


def _text(value: Any) -> str:
    return "" if value is None or (not isinstance(value, str) and pd.isna(value)) else str(value).strip()
