"""Many addresses at once: each head and each tail is read once, and what is exactly one house's is looked up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gridgis.assign.address_parts import Address, Area, Number, firm
from gridgis.assign.characters import is_chinese
from gridgis.assign.chinese_addresses import Tail, head_length, join, on_road, read_head, read_tail
from gridgis.assign.english_addresses import read_english

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_Names = tuple[str, ...]
_Rest = tuple[tuple[tuple[str, int], ...], tuple[Number, ...]]


def read_all(texts: Sequence[str]) -> list[Address]:
    """Read normalised addresses; those that share their names share one mapping of them."""
    found: list[Address] = []
    heads: dict[str, tuple[tuple[Area, ...], _Names]] = {}
    tails: dict[tuple[str, bool], Tail] = {}
    shared: dict[_Names, dict[str, int]] = {}
    for text in texts:
        if not is_chinese(text):
            found.append(read_english(text))
            continue
        cut = head_length(text)
        head = heads.get(text[:cut]) or heads.setdefault(text[:cut], read_head(text[:cut]))
        key = text[cut:], on_road(head[1])
        tail = tails.get(key) or tails.setdefault(key, read_tail(*key))
        if tail.names:
            found.append(join(*head, tail))
        else:
            names = shared.setdefault(head[1], dict.fromkeys(head[1], 0))
            found.append(Address(head[0], names, tail.numbers, tail.words))
    return found


class _Rests(NamedTuple):
    """What stands behind the first names: its number where a house has it exactly, and where one has it but for units
    and floors; how many numbers are firm, and how many more count."""

    exact: int
    firm: int
    equal: int
    more: int


_NO_REST = _Rests(-1, -1, 0, 0)


class ExactAddresses:
    """Houses by exactly their parts: the quick way for addresses that say the same, whatever the writing.

    Only what is exactly the parts of one house, and of no other, is told; or all but for units and floors that no house
    of these parts has. That house is also the best of all when every part is compared.
    """

    def __init__(self, parsed: Mapping[int, Address]) -> None:
        self._names: dict[_Names, int] = {}
        self._rests: dict[_Rest, int] = {}
        self._firm: dict[_Rest, int] = {}
        names, rests, firms = [], [], []
        for address in parsed.values():
            first, later = _parted(address)
            names.append(self._names.setdefault(first, len(self._names)))
            rests.append(self._rests.setdefault((later, address.numbers), len(self._rests)))
            firms.append(self._firm.setdefault((later, firm(address.numbers)), len(self._firm)))
        rows = np.fromiter(parsed, dtype=np.int64, count=len(parsed))
        self._exact = _once(rows, _code(names, rests))
        self._nearly = _once(rows, _code(names, firms))
        whole = {row for row, address in parsed.items() if firm(address.numbers) == address.numbers}
        self._nearly = self._nearly[self._nearly.isin(whole)]

    def find(
        self, texts: Sequence[str], fits: Callable[[tuple[Area, ...], int], bool], left_out: Collection[str]
    ) -> tuple[Ints, Floats]:
        """Row and score of the house of each normalised address that is told in the quick way, else -1.

        `fits` tells whether areas do not contradict a row; addresses with a name in `left_out` are not looked up.
        """
        areas: list[tuple[Area, ...]] = []
        parts: list[tuple[int, int, _Rests]] = []
        heads: dict[str, tuple[tuple[Area, ...], int, bool, int]] = {}
        tails: dict[tuple[str, bool], _Rests] = {}
        for text in texts:
            cut = head_length(text)
            head = heads.get(text[:cut]) or heads.setdefault(text[:cut], self._head(text[:cut], left_out))
            its, name, road, count = head
            rest = _NO_REST
            if name >= 0:
                key = text[cut:], road
                rest = tails.get(key) or tails.setdefault(key, self._tail(key, left_out))
            areas.append(its)
            parts.append((name, count, rest))
        names, counts = (np.array([part[column] for part in parts], dtype=np.int64) for column in (0, 1))
        found = np.array([part[2] for part in parts], dtype=np.int64).reshape(len(parts), 4)
        rows, nearly = _at(self._exact, _code(names, found[:, 0])), _at(self._nearly, _code(names, found[:, 1]))
        equal = counts + found[:, 2]
        scores = np.where(rows >= 0, 1.0, equal / np.maximum(equal + found[:, 3], 1.0))
        rows = np.where(rows >= 0, rows, nearly)
        for row in np.flatnonzero(rows >= 0).tolist():
            if areas[row] and not fits(areas[row], int(rows[row])):
                rows[row] = -1
        return rows, scores

    def _head(self, head: str, left_out: Collection[str]) -> tuple[tuple[Area, ...], int, bool, int]:
        areas, names = read_head(head)
        known = -1 if any(name in left_out for name in names) else self._names.get(names, -1)
        return areas, known, on_road(names), len(set(names))

    def _tail(self, key: tuple[str, bool], left_out: Collection[str]) -> _Rests:
        tail = read_tail(*key)
        if any(name in left_out for name, _ in tail.names):
            return _NO_REST
        exact = self._rests.get((tail.names, tail.numbers), -1)
        fixed = firm(tail.numbers)
        if tail.names or not fixed or fixed == tail.numbers:
            return _Rests(exact, -1, 0, 0)
        more = tail.numbers.index(fixed[-1]) + 1 - len(fixed)
        return _Rests(exact, self._firm.get(((), fixed), -1), len(fixed), more)


def _parted(address: Address) -> tuple[_Names, tuple[tuple[str, int], ...]]:
    """The names before the first number, and the others with how many numbers stand before each."""
    names = address.names.items()
    return tuple(n for n, before in names if not before), tuple((n, before) for n, before in names if before)


def _code(names: Sequence[int] | Ints, rests: Sequence[int] | Ints) -> Ints:
    """One number for each pair of numbers; -1 where one of them is -1."""
    one, two = np.asarray(names, dtype=np.int64), np.asarray(rests, dtype=np.int64)
    return np.where((one < 0) | (two < 0), -1, (one << 32) + two)


def _once(rows: Ints, codes: Ints) -> pd.Series:
    """The rows by their codes, without codes that several have."""
    table = pd.Series(rows, index=codes)
    return table[~table.index.duplicated(keep=False)]


def _at(table: pd.Series, codes: Ints) -> Ints:
    at = table.index.get_indexer(codes)
    return np.where(at >= 0, np.append(table.to_numpy(), -1)[at], -1)
