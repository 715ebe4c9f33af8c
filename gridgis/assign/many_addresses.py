"""Many addresses at once: each head and each tail is read once, and what is exactly one house's is looked up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gridgis.assign.address_parts import Address, Area, Number
from gridgis.assign.characters import is_chinese
from gridgis.assign.chinese_addresses import Tail, head_length, join, on_road, read_head, read_tail
from gridgis.assign.english_addresses import read_english

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


class ExactAddresses:
    """Houses by exactly their parts: the quick way for addresses that say the same, whatever the writing.

    Only what is exactly the parts of one house, and of no other, is told; that house is also the best of all when
    every part is compared.
    """

    def __init__(self, parsed: Mapping[int, Address]) -> None:
        self._names: dict[_Names, int] = {}
        self._rests: dict[_Rest, int] = {}
        keys = [self._parted(address) for address in parsed.values()]
        names = [self._names.setdefault(first, len(self._names)) for first, _ in keys]
        rests = [self._rests.setdefault(rest, len(self._rests)) for _, rest in keys]
        table = pd.Series(list(parsed), index=self._code(names, rests), dtype=np.int64)
        self._table = table[~table.index.duplicated(keep=False)]

    @staticmethod
    def _parted(address: Address) -> tuple[_Names, _Rest]:
        first = tuple(name for name, before in address.names.items() if not before)
        return first, (tuple((n, before) for n, before in address.names.items() if before), address.numbers)

    def _code(self, names: Sequence[int] | Ints, rests: Sequence[int] | Ints) -> Ints:
        names, rests = np.asarray(names, dtype=np.int64), np.asarray(rests, dtype=np.int64)
        return np.where((names < 0) | (rests < 0), -1, names * (len(self._rests) + 1) + rests)

    def find(
        self, texts: Sequence[str], fits: Callable[[tuple[Area, ...], int], bool], left_out: Collection[str]
    ) -> Ints:
        """The row of each normalised address that has exactly the parts of one house, else -1.

        `fits` tells whether areas do not contradict a row; addresses with a name in `left_out` are not looked up.
        """
        areas: list[tuple[Area, ...]] = [()] * len(texts)
        names, rests = np.full(len(texts), -1), np.full(len(texts), -1)
        heads: dict[str, tuple[tuple[Area, ...], int, bool]] = {}
        tails: dict[tuple[str, bool], int] = {}
        for i, text in enumerate(texts):
            cut = head_length(text)
            head = heads.get(text[:cut])
            if head is None:
                head = heads[text[:cut]] = self._head(text[:cut], left_out)
            areas[i], known, road = head
            names[i] = known
            if known < 0:
                continue
            key = text[cut:], road
            rest = tails.get(key)
            if rest is None:
                rest = tails[key] = self._tail(key, left_out)
            rests[i] = rest
        at = self._table.index.get_indexer(self._code(names, rests))
        rows = np.where(at >= 0, self._table.to_numpy()[at] if len(self._table) else -1, -1)
        for i in np.flatnonzero(rows >= 0):
            if areas[i] and not fits(areas[i], int(rows[i])):
                rows[i] = -1
        return rows

    def _head(self, head: str, left_out: Collection[str]) -> tuple[tuple[Area, ...], int, bool]:
        areas, names = read_head(head)
        known = -1 if any(name in left_out for name in names) else self._names.get(names, -1)
        return areas, known, on_road(names)

    def _tail(self, key: tuple[str, bool], left_out: Collection[str]) -> int:
        tail = read_tail(*key)
        if any(name in left_out for name, _ in tail.names):
            return -1
        return self._rests.get((tail.names, tail.numbers), -1)
