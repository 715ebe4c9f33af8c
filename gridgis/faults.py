"""Every fault of a profile with the line on which it stands: the parser of TOML tells no lines once a file is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gridgis.errors import ProfileError
from gridgis.rules import make_rule, rule_name

#: The least that makes a profile, beside which each other key is tried alone.
_BARE: Mapping[str, Any] = {"name": "name", "title": "title", "norm": {}}

Make = Callable[[Mapping[str, Any], str], Any]


def find_faults(text: str, data: Mapping[str, Any], source: str, make: Make) -> list[ProfileError]:
    """The faults of a profile, each named with its line.

    Parameters
    ----------
    text : str
        The profile as it is written.
    data : mapping
        The same, parsed.
    source : str
        What the file is called in messages.
    make : callable
        Makes a profile of data and a source, or raises ProfileError at the first fault.

    Returns
    -------
    list of ProfileError
        In the order of the lines; one for each key or rule at most. Empty where `make` takes `data`.
    """
    found: list[tuple[int, ProfileError]] = []
    for part, table, key in _parts(data):
        try:
            make(part, source)
        except ProfileError as error:
            found.append(_placed(error, source, line_of(text, table, key)))
    rules = data.get("rule", [])
    if _tables(rules):
        found += list(_rule_faults(text, rules, source))
    if not found:
        try:
            make(data, source)
        except ProfileError as error:  # keys that are fine alone and do not go together
            found.append(_placed(error, source, _first_line(text, error.message)))
    return [error for _, error in sorted(found, key=lambda pair: pair[0])]


def _parts(data: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str, str | None]]:
    """Profiles of one key each, beside the least that a profile needs; and where the key stands."""
    for name in _BARE:
        if name not in data:
            yield {k: v for k, v in _BARE.items() if k != name}, "", None
    for name, value in data.items():
        if isinstance(value, Mapping):
            for key, inner in value.items():
                yield {**_BARE, name: {key: inner}}, name, key
        if not value or not (isinstance(value, Mapping) or (name == "rule" and _tables(value))):
            yield {**_BARE, name: value}, name if isinstance(value, Mapping) else "", name


def _tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def _rule_faults(text: str, rules: list[Mapping[str, Any]], source: str) -> Iterator[tuple[int, ProfileError]]:
    seen: list[Any] = []
    for nth, item in enumerate(rules):
        name = rule_name(item, nth + 1)
        try:
            make_rule(item, name, source)
        except ProfileError as error:
            yield _placed(error, source, line_of(text, "rule", _odd_key(item, error, name), nth))
        if "id" in item and item["id"] in seen:
            again = ProfileError("rule ids are not unique", source=source, ids=[item["id"]])
            yield _placed(again, source, line_of(text, "rule", "id", nth))
        seen.append(item.get("id"))


def _odd_key(item: Mapping[str, Any], error: ProfileError, name: str) -> str | None:
    """The key of a rule that an error is about, by its words."""
    words = re.findall(r"\w+", error.message.removeprefix(name))
    if "keys" in words:
        words = re.findall(r"\w+", error.found)
    return next((word for word in words if word in item), None)


def _first_line(text: str, message: str) -> int | None:
    """The line of the first key that a message names as table.key."""
    named = re.match(r"\[?(\w+)[].]\.?(\w+)?", message)
    return line_of(text, named[1], named[2]) if named else None


def _placed(error: ProfileError, source: str, line: int | None) -> tuple[int, ProfileError]:
    """The line, and the same error with it in the file's name."""
    place = f"{source}, line {line}" if line else source
    again = ProfileError(
        error.message, source=place, ids=error.ids, found=error.found, wanted=error.wanted, remedy=error.remedy
    )
    return line or 0, again


def line_of(text: str, table: str, key: str | None = None, nth: int = 0) -> int | None:
    """The line, from 1, on which a table of TOML text, or a key in it, stands; None where it is written otherwise.

    Parameters
    ----------
    text : str
    table : str
        The name in the brackets; "" for what stands before the first table.
    key : str, optional
        Without it the line of the table's header is meant.
    nth : int
        Which of several tables ``[[table]]`` of that name, from 0.

    Examples
    --------
    >>> text = 'name = "x"\\n[[rule]]\\nid = "1"\\n[[rule]]\\nid = "2"'
    >>> line_of(text, "rule", "id", nth=1), line_of(text, "rule"), line_of(text, "", "name"), line_of(text, "norm")
    (5, 2, 1, None)
    """
    now, count, header = "", -1, 1 if not table else None
    for number, line in _plain_lines(text):
        found = re.match(r"\s*(\[\[?)\s*([^\]]+?)\s*\]", line)
        if found:
            now = found[2]
            count += now == table
            if now == table and count == nth:
                header = number
            if key is not None and now == f"{table}.{key}":
                return number
        elif key is not None and now == table and (not table or count == nth):
            written = re.match(r"\s*[\"']?([^\"'=\s.]+)[\"']?\s*[.=]", line)
            if written and written[1] == key:
                return number
    return header


def _plain_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of TOML text with their numbers, without those inside strings of several lines."""
    inside = ""
    for number, line in enumerate(text.splitlines(), 1):
        if not inside:
            yield number, line
        for mark in re.findall(r'"""|\'\'\'', line):
            inside = mark if not inside else "" if mark == inside else inside
