"""An address in parts: what the readers of Chinese and English addresses make, and what is compared."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import NamedTuple

#: Kind and value of a numbered part: ("号", "28").
Number = tuple[str, str]
#: Kind and name of an administrative area: ("district", "海淀").
Area = tuple[str, str]

#: Numbered parts that may be missing on one side.
MAY_BE_MISSING = ("单元", "层")
#: Numbers that may be written as a range; more numbers than this are no range.
_RANGED, _LONGEST_RANGE = ("号", "栋"), 40


class Address(NamedTuple):
    """An address in parts.

    `areas` are (kind, name); `names` are roads, estates and villages, each with how many numbered parts stand before
    it; `numbers` are (kind, value) as written, from coarse to fine; `words` has what each number was called. A building
    below a lane or in an estate is a 栋, whether it was called 栋 or 号.
    """

    areas: tuple[Area, ...]
    names: Mapping[str, int]
    numbers: tuple[Number, ...]
    words: tuple[str, ...]


def firm(numbers: tuple[Number, ...]) -> tuple[Number, ...]:
    """The numbers that must be equal, from coarse to fine: without units and floors."""
    return tuple(number for number in numbers if number[0] not in MAY_BE_MISSING)


def in_range(number: Number) -> tuple[Number, ...]:
    """The single numbers of a range, every other one where both ends are odd or even; () for what is no range.

    Examples
    --------
    >>> in_range(("号", "12-16"))
    (('号', '12'), ('号', '14'), ('号', '16'))
    >>> in_range(("号", "28-3")), in_range(("号", "28"))
    ((), ())
    """
    kind, value = number
    if kind not in _RANGED or "-" not in value:
        return ()
    ends = value.split("-")
    if not all(end.isdecimal() for end in ends):
        return ()
    found = [int(end) for end in ends]
    if any(a >= b for a, b in itertools.pairwise(found)) or found[-1] - found[0] > _LONGEST_RANGE:
        return ()
    if len(found) == 2:
        step = 2 if (found[1] - found[0]) % 2 == 0 else 1
        found = list(range(found[0], found[1] + 1, step))
    return tuple((kind, str(value)) for value in found)
