"""Reading English addresses: number, street, unit and city, as in 12-14 Main St #3, Cambridge, MA 02139."""

from __future__ import annotations

import re

from gridgis.assign.address_parts import Address, Number

_TYPES = {
    "street": "st", "str": "st", "avenue": "ave", "av": "ave", "road": "rd", "drive": "dr", "lane": "ln", "place": "pl",
    "court": "ct", "terrace": "ter", "terr": "ter", "circle": "cir", "parkway": "pkwy", "highway": "hwy", "park": "pk",
    "square": "sq", "boulevard": "blvd", "gardens": "gdns", "way": "way", "alley": "aly", "close": "cl",
    "crescent": "cres", "row": "row", "path": "path", "mews": "mews", "wharf": "whf", "turnpike": "tpke",
}  # fmt: skip
_TYPES |= {short: short for short in _TYPES.values()}
_SIDES = {"north": "n", "south": "s", "east": "e", "west": "w", "northeast": "ne", "northwest": "nw",
          "southeast": "se", "southwest": "sw"}  # fmt: skip
_SIDES |= {short: short for short in _SIDES.values()}
_ORDINALS = {
    "first": "1st", "second": "2nd", "third": "3rd", "fourth": "4th", "fifth": "5th", "sixth": "6th", "seventh": "7th",
    "eighth": "8th", "ninth": "9th", "tenth": "10th", "eleventh": "11th", "twelfth": "12th",
}  # fmt: skip
#: Short for the first word of a name.
_FIRST = {"st": "saint", "mt": "mount", "ft": "fort", "mass": "massachusetts", "msgr": "monsignor", "dr": "doctor",
          "prof": "professor", "pres": "president"}  # fmt: skip

_UNIT_WORD = r"(?:apartment|apt|unit|suite|ste|room|rm|flat|no|number)"
_ALONE = re.compile(rf"(?:#|{_UNIT_WORD}\b) ?#? ?([\w/#-]+)$")
_UNIT = re.compile(rf" (?:#|{_UNIT_WORD}\b) ?#? ?([\w/#-]+)")
_FLOOR = re.compile(r" (?:(?:floor|fl) (\w+)|(\d+)(?:st|nd|rd|th)? (?:floor|fl)\b)")
_NUMBER = re.compile(r"(\d+[a-z]{0,2}(?: ?[-&/] ?\d+[a-z]{0,2})*)(?: (rear|r|1/2))? (.+)")
_STATE = re.compile(r"(?:^| )[a-z]{2}(?: \d{5}(?:-\d{4})?)?$|(?:^| )\d{5}(?:-\d{4})?$|(?:^| )usa$")


def read_english(text: str) -> Address:
    """Read a normalised English address; one without a number is a name, with a unit or without.

    Examples
    --------
    >>> read_english("12-14 main street, apt 3, cambridge, ma 02139")
    Address(areas=(('city', 'cambridge'),), names={'main st': 0}, numbers=(('号', '12-14'), ('室', '3')),
            words=('号', '室'))
    """
    segments = [segment for segment in text.split(", ") if segment]
    numbers: list[Number] = []
    unit = floor = ""
    left = []
    for segment in segments:
        alone = _ALONE.fullmatch(segment)
        if alone and len(segments) > 1:
            unit = alone[1]
            continue
        found = _UNIT.search(segment)
        if found:
            unit, segment = found[1], segment.replace(found[0], "")
        level = _FLOOR.search(f" {segment}")
        if level:
            floor, segment = level[1] or level[2], f" {segment}".replace(level[0], "").strip()
        if segment:
            left.append(segment)
    street, *more = left or [""]
    numbered = _NUMBER.fullmatch(street)
    if numbered:
        value = re.sub(r" ?[-&/] ?", "-", numbered[1])
        numbers.append(("号", value + {"rear": "r", "r": "r", "1/2": ".5"}.get(numbered[2], "")))
        street = numbered[3]
    numbers += [("层", floor)] if floor else []
    numbers += [("室", unit)] if unit else []
    street, city = _street(street)
    city = city or (_city(more[-2] if len(more) > 1 and not _city(more[-1]) else more[-1]) if more else "")
    words = tuple(kind for kind, _ in numbers)
    return Address((("city", city),) if city else (), {street: 0} if street else {}, tuple(numbers), words)


def _street(text: str) -> tuple[str, str]:
    """The name of a street in one way of writing, and the city that stands behind it."""
    tokens = text.split(" ")
    types = [i for i, token in enumerate(tokens) if i and token in _TYPES]
    city = ""
    if types:
        end = types[0]
        while end + 1 in types:
            end += 1
        end += 2 if end + 1 < len(tokens) and tokens[end + 1] in _SIDES else 1
        tokens, city = tokens[:end], _city(" ".join(tokens[end:]))
    out = [_ORDINALS.get(token, token) for token in tokens]
    if len(out) > 1:
        out = [_SIDES.get(out[0], _FIRST.get(out[0], out[0])), *(_word(token) for token in out[1:])]
    return " ".join(out), city


def _word(token: str) -> str:
    return _TYPES.get(token, _SIDES.get(token, token))


def _city(text: str) -> str:
    """A city without its state, postcode and country."""
    before = None
    while text != before:
        before, text = text, _STATE.sub("", text)
    return text
