"""Addresses as people write them: the house is the same, the words are not.

Each way of writing is a function of the parts of one address and some random numbers. The house of each is found; where
the estate is named instead of its lane, only beside the table of compounds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gridgis.sample import names

_ADDRESS = re.compile(r"(?P<street>.+?)(?:(?P<lane>\d+)弄)?(?P<number>\d+)号(?P<stem>[甲乙]?)(?P<room>\d{3,4})室")
_WIDE = str.maketrans("0123456789", "０１２３４５６７８９")
_DIGITS = "〇一二三四五六七八九"


class Parts(NamedTuple):
    """The address of a house in parts; `lane`, `stem` and `estate` may be empty."""

    street: str
    lane: str
    number: str
    stem: str
    room: str
    community: str
    estate: str

    @classmethod
    def of(cls, address: str, community: str, estate: str) -> Parts:
        """Read the address as the register has it (兰桥路12弄3号301室, 石磨村4号甲101室)."""
        found = _ADDRESS.fullmatch(address)
        if found is None:
            raise ValueError(f"no address of the register: {address}")
        return cls(**{k: v or "" for k, v in found.groupdict().items()}, community=community, estate=estate)

    def text(self, number: str = "号", room: str = "室") -> str:
        """The address again, with other words for the building and for the room."""
        lane = f"{self.lane}弄" if self.lane else ""
        return f"{self.street}{lane}{self.number}{number}{self.stem}{self.room}{room}"


class Way(NamedTuple):
    """A way of writing: what it makes of an address, whom it fits, how often it is used."""

    write: Callable[[Parts, np.random.Generator], str]
    fits: Callable[[Parts], bool]
    weight: float


def _always(parts: Parts) -> bool:
    return True


def _plain(parts: Parts, rng: np.random.Generator) -> str:
    return parts.text()


def _full(parts: Parts, rng: np.random.Generator) -> str:
    return f"{names.CITY}{names.DISTRICT}{names.TOWN}{parts.community}{parts.text()}"


def _prefixed(parts: Parts, rng: np.random.Generator) -> str:
    choices = (
        names.TOWN,
        f"{names.DISTRICT}{names.TOWN}",
        f"{names.TOWN}{parts.community}",
        names.CITY,
        parts.community,
    )
    return f"{choices[int(rng.integers(len(choices)))]}{parts.text()}"


def _wide(parts: Parts, rng: np.random.Generator) -> str:
    return parts.text().translate(_WIDE)


def _said(number: str) -> str:
    """A number as it is said (十二), from 100 on as it is spelt (一〇二)."""
    value = int(number)
    if value >= 100:
        return "".join(_DIGITS[int(digit)] for digit in number)
    tens, ones = divmod(value, 10)
    words = ("" if tens == 1 else _DIGITS[tens]) + "十" if tens else ""
    return words + (_DIGITS[ones] if ones or not tens else "")


def _numerals(parts: Parts, rng: np.random.Generator) -> str:
    said = {"lane": _said(parts.lane) if parts.lane else "", "number": _said(parts.number), "room": _said(parts.room)}
    return parts._replace(**said).text()


def _short(parts: Parts, rng: np.random.Generator) -> str:
    return parts.text("號" if rng.random() < 0.5 else "号", "")


def _with_stair(parts: Parts, rng: np.random.Generator) -> str:
    stair = (int(parts.room[-2:]) + 1) // 2
    word = str(stair) if rng.random() < 0.5 else _said(str(stair))
    return parts._replace(room=f"{word}单元{parts.room}").text()


def _spaced(parts: Parts, rng: np.random.Generator) -> str:
    head = f"{parts.street} {parts.lane}弄" if parts.lane else parts.street
    comma = "，" if rng.random() < 0.5 else " "
    return f"{head}{comma}{parts.number}号{parts.stem} {parts.room} 室"


def _stem_first(parts: Parts, rng: np.random.Generator) -> str:
    if rng.random() < 0.5:
        return f"{parts.street}{parts.stem}{parts.number}号{parts.room}室"
    return f"{parts.street}{parts.number}{parts.stem}号{parts.room}"


def _as_block(parts: Parts, rng: np.random.Generator) -> str:
    return parts.text(("栋", "幢", "号楼", "座")[int(rng.integers(4))])


def _by_estate(parts: Parts, rng: np.random.Generator) -> str:
    word = ("号", "号楼", "栋")[int(rng.integers(3))]
    return f"{parts.estate}{parts.number}{word}{parts.room}室"


#: The ways, by name.
WAYS: dict[str, Way] = {
    "register": Way(_plain, _always, 0.20),
    "full": Way(_full, _always, 0.14),
    "prefix": Way(_prefixed, _always, 0.14),
    "full width": Way(_wide, _always, 0.11),
    "numerals": Way(_numerals, lambda p: not p.stem, 0.11),
    "short": Way(_short, lambda p: not p.stem, 0.08),
    "stair": Way(_with_stair, lambda p: bool(p.lane), 0.07),
    "spaced": Way(_spaced, _always, 0.06),
    "stem": Way(_stem_first, lambda p: bool(p.stem), 0.01),
    "block for number": Way(_as_block, lambda p: bool(p.lane), 0.04),
    "estate": Way(_by_estate, lambda p: bool(p.lane and p.estate), 0.04),
}
