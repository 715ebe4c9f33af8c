"""Comparing addresses part by part; the index that finds the house of an address, of one or of a million.

An address is read into parts (:mod:`gridgis.assign.chinese_addresses`, :mod:`gridgis.assign.english_addresses`):
administrative areas, names (roads, estates, villages) and numbered parts (弄, 号, 栋, 单元, 室, …), from coarse to
fine. Parts that differ part two addresses, parts that only one of them has lower the score.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gridgis.assign.address_parts import MAY_BE_MISSING, Address, Area, Number, firm, in_range
from gridgis.assign.characters import is_chinese, normalise, normalise_all
from gridgis.assign.chinese_addresses import (
    head_length,
    join,
    on_road,
    only_areas,
    read_areas,
    read_chinese,
    read_tail,
    split_names,
)
from gridgis.assign.english_addresses import read_english
from gridgis.assign.many_addresses import ExactAddresses, read_all

_Key = tuple[str, tuple[Number, ...]]

#: Below this share of equal parts a match is weak: reported as ambiguous, never taken.
WEAK_SCORE = 0.6
#: How many candidates of an ambiguous address are told.
CANDIDATES = 10

_AREA_WORDS = {"city": "市", "district": "区", "town": "街道", "community": "社区"}
_NOTHING = (0, 1, 0)


class Match(NamedTuple):
    """What an address was compared to.

    `row` of the house (-1 if none was taken), `how` (address, ambiguous, none), the `score` of the best, and the rows
    of the `candidates` where it is ambiguous: the lowest :data:`CANDIDATES` + 1.
    """

    row: int
    how: str
    score: float
    candidates: tuple[int, ...] = ()


class Matches(NamedTuple):
    """The matches of many addresses: an array of each field of :class:`Match`; candidates are None or tuples."""

    row: NDArray[np.int64]
    how: NDArray[np.object_]
    score: NDArray[np.float64]
    candidates: NDArray[np.object_]


class Ranked(NamedTuple):
    """How well a house fits: parts that are equal, their share of all, how many are written with the same word."""

    equal: int
    score: float
    exact: int
    row: int


def parse(text: str) -> Address:
    """Read an address into its parts. Nothing that was read is kept.

    Examples
    --------
    >>> address = parse("北京市海淀区成府路28号华清嘉园小区三号楼2单元301室")
    >>> address.areas
    (('city', '北京'), ('district', '海淀'))
    >>> address.names
    {'成府路': 0, '华清嘉园': 1}
    >>> address.numbers
    (('号', '28'), ('栋', '3'), ('单元', '2'), ('室', '301'))
    >>> parse("12-14 Main Street, Unit 3")[1:3]
    ({'main st': 0}, (('号', '12-14'), ('室', '3')))
    """
    return _read(normalise(text))


def _read(plain: str) -> Address:
    return read_chinese(plain) if is_chinese(plain) else read_english(plain)


def text_of(address: Address) -> str:
    """A Chinese address written out again from its parts; what it says is the same, whatever was written.

    Examples
    --------
    >>> text_of(parse("海淀区成府路 二十八號 华清嘉园三号楼 301"))
    '海淀区成府路28号华清嘉园3栋301室'
    """
    parts = [name + _AREA_WORDS[kind] for kind, name in address.areas]
    for before in range(len(address.numbers) + 1):
        parts += [name for name, at in address.names.items() if at == before]
        if before < len(address.numbers):
            parts.append(address.numbers[before][1].rstrip("'") + address.words[before])
    return "".join(parts)


def compare(given: Address, house: Address) -> float:
    """How well the address `given` for a person fits that of a house.

    Returns
    -------
    float
        0 where a part differs, no name is shared, or the house is finer than what is given. Else the equal parts'
        share of all parts of both. Numbers given below the house's finest do not count: a house that is a whole
        building (3栋) fits all addresses in it (3栋2单元301室). Only units and floors, and what stands before the
        last name that both have, may be missing on one side. A house with a range of numbers (12-14号) fits each of
        them. City, district and town part two addresses where they differ; a community that differs is a part that is
        not equal, for people know the names of their communities badly.

    Examples
    --------
    >>> compare(parse("海淀区成府路28号"), parse("成府路二十八號"))
    1.0
    >>> compare(parse("成府路28号"), parse("成府路29号"))
    0.0
    >>> compare(parse("华清嘉园3栋301室"), parse("成府路28号华清嘉园3栋301室"))
    0.6
    """
    equal, parts, _ = _equal_parts(given, house, dict(house.areas))
    return equal / parts


def _equal_parts(given: Address, house: Address, areas: Mapping[str, str]) -> tuple[int, int, int]:
    """How many parts are equal, of how many that count, how many in the same words; (0, 1, 0) where a part differs."""
    strange = [kind for kind, name in given.areas if areas.get(kind, name) != name]
    if strange and strange != ["community"]:
        return _NOTHING
    shared = given.names.keys() & house.names.keys()
    every = given.names.keys() | house.names.keys()
    if not shared or len(every) > max(len(given.names), len(house.names)):  # each has a name of its own
        return _NOTHING
    house_numbers = _narrowed(house.numbers, given.numbers)
    cut, house_cut = (max(one.names[name] for name in shared) for one in (given, house))
    head, tail = given.numbers[:cut], given.numbers[cut:]
    house_head, house_tail = house_numbers[:house_cut], house_numbers[house_cut:]
    if head and house_head and head != house_head:
        return _NOTHING
    house_firm = firm(house_tail)
    if firm(tail)[: len(house_firm)] != house_firm or (house_tail and house_tail[-1] not in tail):
        return _NOTHING
    if not all(_agree(tail, house_tail, kind) for kind in MAY_BE_MISSING):
        return _NOTHING
    if house_tail:
        tail = tail[: tail.index(house_tail[-1]) + 1]
    elif house.numbers:
        tail = ()
    equal = len(shared) + len(set(tail) & set(house_tail)) + (len(head) if head == house_head else 0)
    parts = len(every) + len({*tail, *house_tail}) + max(len(head), len(house_head)) + len(strange)
    same = {*zip(given.numbers, given.words, strict=True)} & {*zip(house.numbers, house.words, strict=True)}
    return equal, parts, len({*given.numbers} & {*house.numbers}) + len(same)


def _narrowed(ranges: tuple[Number, ...], numbers: tuple[Number, ...]) -> tuple[Number, ...]:
    """`ranges` with each range replaced by the one of `numbers` that lies in it."""
    if not any("-" in value for _, value in ranges):
        return ranges
    return tuple(next((n for n in numbers if n in in_range(r)), r) if r not in numbers else r for r in ranges)


class AddressIndex:
    """The addresses of houses, kept by name and number: finds the one house of an address, or says why not.

    Parameters
    ----------
    addresses : iterable of str or None
        One for each house, in the order of the rows; houses without one are never found.
    place : str
        The areas that all these houses lie in (晴岚市渚南区望汀街道): an address that names another is not here.
    estates : iterable of (str, str)
        Name and address of housing estates: 望汀府4栋 is 兰桥路40弄4号 where 望汀府 is 兰桥路40弄.

    Notes
    -----
    Nothing that is looked up is kept. The index is not changed by looking up, and can be shared by threads.

    Examples
    --------
    >>> index = AddressIndex(["成府路28号1单元101室", "成府路28号1单元102室"])
    >>> index.find("北京市成府路２８号一单元102")
    Match(row=1, how='address', score=1.0, candidates=())
    >>> index.find("成府路28号"), index.find("学院路5号").how
    (Match(row=-1, how='ambiguous', score=0.0, candidates=(0, 1)), 'none')
    """

    def __init__(
        self, addresses: Iterable[str | None], *, place: str = "", estates: Iterable[tuple[str, str]] = ()
    ) -> None:
        self._place = dict(_areas_of(normalise(place)))
        rows, texts = [], []
        for row, text in enumerate(addresses):
            if isinstance(text, str) and text.strip():
                rows.append(row)
                texts.append(text)
        self._parsed: dict[int, Address] = dict(zip(rows, read_all(normalise_all(texts)), strict=True))
        self._areas = {row: {**self._place, **dict(address.areas)} for row, address in self._parsed.items()}
        self._names: set[str] = set()
        self._rows: dict[_Key, list[int]] = {}
        self._below: dict[tuple[str, Number | None], list[int]] = {}
        for row, address in self._parsed.items():
            self._add(row, address)
        self._estates: dict[str, list[Address]] = {}
        for estate, lane in estates:
            self._add_estate(estate, lane)
        self._exact = ExactAddresses(self._parsed)

    def _add(self, row: int, address: Address) -> None:
        for name, before in address.names.items():
            self._names.add(name)
            numbers = firm(address.numbers[before:])
            for key in {numbers, *_in_ranges(numbers)}:
                self._rows.setdefault((name, key), []).append(row)
            for number in (None, *address.numbers, *chain.from_iterable(map(in_range, address.numbers))):
                self._below.setdefault((name, number), []).append(row)

    def _add_estate(self, name: str, address: str) -> None:
        names, lane = split_names(normalise(name)), self._reread(parse(address), normalise(address))
        if len(names) == 1 and lane.names and lane.numbers and names[0] not in lane.names:
            known = self._estates.setdefault(names[0], [])
            if lane not in known:
                known.append(lane)

    def find(self, text: str) -> Match:
        """The house of an address.

        Returns
        -------
        Match
            `how` is "address" for one best house that fits well, "ambiguous" where several fit equally well, the best
            fits weakly, or the address is coarser than the houses or lacks a part between (row -1), "none" where
            nothing fits (row -1). The house with the most equal parts is best: a finer one wins over the building
            that contains it.
        """
        return self._find(normalise(text))

    def find_all(self, texts: Sequence[str]) -> Matches:
        """The houses of many addresses: as :meth:`find`, each distinct writing once.

        Addresses whose parts are those of one house are looked up by their heads and tails; only the others are
        compared part by part.

        Examples
        --------
        >>> index = AddressIndex(["成府路28号", "成府路30号"])
        >>> index.find_all(["成府路三十号", "海淀区成府路28号", "学院路5号"]).row.tolist()
        [1, 0, -1]
        """
        which, distinct = pd.factorize(np.asarray(texts, dtype=object))
        plain, written = pd.factorize(np.asarray(normalise_all(distinct.tolist()), dtype=object))
        row, score = self._exact.find(written.tolist(), self._fit_areas, self._estates)
        taken = (row >= 0) & (score >= WEAK_SCORE)
        how = np.where(taken, "address", "none").astype(object)
        candidates: NDArray[np.object_] = np.full(len(row), None, dtype=object)
        for i in np.flatnonzero(~taken).tolist():
            row[i], how[i], score[i], candidates[i] = self._find(written[i])
        order = plain[which]
        return Matches(row[order], how[order], score[order], candidates[order])

    def rank(self, given: Address) -> list[Ranked]:
        """The houses that an address can mean; the best first.

        Examples
        --------
        >>> index = AddressIndex(["成府路28号", "成府路28号1单元"])
        >>> [(r.equal, r.score, r.row) for r in index.rank(parse("成府路28号1单元102"))]
        [(3, 1.0, 1), (2, 1.0, 0)]
        """
        ranked = []
        for row in {row for key in _keys(given) for row in self._rows.get(key, ())}:
            equal, parts, exact = _equal_parts(given, self._parsed[row], self._areas[row])
            if equal:
                ranked.append(Ranked(equal, equal / parts, exact, row))
        return sorted(ranked, reverse=True)

    def _find(self, plain: str) -> Match:
        given = self._reread(_read(plain), plain)
        readings, doubtful = self._readings(given)
        best: dict[int, float] = {}
        for reading in readings:
            ranked = self.rank(reading)
            best |= {r.row: r.score for r in ranked if r[:3] == ranked[0][:3]}
        if not best:
            near = sorted({row for reading in readings for row in self._near(reading)})
            return Match(-1, "ambiguous" if near else "none", 0.0, tuple(near[: CANDIDATES + 1]))
        score = max(best.values())
        if len(best) > 1 or score < WEAK_SCORE or doubtful:
            return Match(-1, "ambiguous", score, tuple(sorted(best)[: CANDIDATES + 1]))
        return Match(next(iter(best)), "address", score)

    def _reread(self, given: Address, plain: str) -> Address:
        """`given`, read again where its first name is unknown and ends in one that is known, behind areas alone."""
        if given.names and next(iter(given.names)) in self._names:
            return given
        if not is_chinese(plain):
            return self._reread_street(given)
        cut = head_length(plain)
        head = plain[:cut]
        for start in range(1, len(head)):
            names = tuple(split_names(head[start:]))
            if names and names[0] in self._names:
                areas = only_areas(head[:start])
                if areas is not None:
                    return join(areas, names, read_tail(plain[cut:], on_road(names)))
        return given

    def _reread_street(self, given: Address) -> Address:
        """A street without a word for street (Broadway) and the city behind it are read as one name: part them."""
        words = next(iter(given.names), "").split(" ")
        for end in range(len(words) - 1, 0, -1):
            street, city = " ".join(words[:end]), read_english("1 x st " + " ".join(words[end:])).areas
            if street in self._names and city:
                return given._replace(areas=city, names={street: 0})
        return given

    def _readings(self, given: Address) -> tuple[list[Address], bool]:
        """What an address can say: itself, and with each estate's name replaced by its lane; whether they differ."""
        readings, doubtful = [given], False
        for name in given.names.keys() & self._estates.keys():
            others = {k: v for k, v in given.names.items() if k != name}
            for lane in self._estates[name]:
                if others and not others.keys() & lane.names.keys():
                    continue
                if firm(given.numbers)[: len(lane.numbers)] == lane.numbers and others:
                    readings.append(given._replace(names=others))
                elif others and any(kind == lane.numbers[0][0] for kind, _ in given.numbers[: given.names[name]]):
                    doubtful = True
                elif not set(lane.numbers) & set(given.numbers):
                    numbers, words = lane.numbers + given.numbers, lane.words + given.words
                    readings.append(Address(given.areas or lane.areas, lane.names, numbers, words))
        return readings, doubtful

    def _near(self, given: Address) -> list[int]:
        """Houses in doubt: below a coarser address, with one part more in between, or each in a range of numbers."""
        found: list[int] = []
        wanted = firm(given.numbers)
        for name in given.names:
            # All of its numbers must be there: the rarest has the shortest list.
            lists = (self._below.get((name, number), []) for number in (wanted or (None,)))
            fitting = (row for row in min(lists, key=len) if self._may_be(given, wanted, row))
            found += islice(fitting, CANDIDATES + 1)
        for number in given.numbers:
            for single in in_range(number):
                one = given._replace(numbers=tuple(single if n == number else n for n in given.numbers))
                found += [ranked.row for ranked in self.rank(one)]
        return found

    def _may_be(self, given: Address, wanted: tuple[Number, ...], row: int) -> bool:
        house = self._parsed[row]
        named = given.names.keys() <= house.names.keys() or (wanted and house.names.keys() <= given.names.keys())
        if not named or self._strange(given.areas, row) or not _in_order(wanted, _narrowed(house.numbers, wanted)):
            return False
        return all(_agree(given.numbers, house.numbers, kind) for kind in MAY_BE_MISSING)

    def _strange(self, areas: Iterable[Area], row: int) -> bool:
        there = self._areas[row]
        return any(there.get(kind, name) != name for kind, name in areas if kind != "community")

    def _fit_areas(self, areas: tuple[Area, ...], row: int) -> bool:
        there = self._areas[row]
        return all(there.get(kind, name) == name for kind, name in areas)


def _areas_of(place: str) -> tuple[Area, ...]:
    return read_areas(place + "某")[0] if is_chinese(place) else read_english(f"1 any st, {place}").areas


def _agree(given: Sequence[Number], house: Sequence[Number], kind: str) -> bool:
    """Whether one of them lacks this kind of part, or all that is given is the house's."""
    loose, house_loose = ([n for n in numbers if n[0] == kind] for numbers in (given, house))
    return not loose or not house_loose or loose[: len(house_loose)] == house_loose


def _in_order(wanted: Sequence[Number], numbers: Sequence[Number]) -> bool:
    """Whether all of `wanted` are among `numbers`, in this order."""
    rest = iter(numbers)
    return all(number in rest for number in wanted)


def _keys(given: Address) -> Iterator[_Key]:
    """Every name with every run of firm numbers after it: under one of these stands each house that can fit."""
    for name, before in given.names.items():
        numbers = firm(given.numbers[before:])
        for end in range(len(numbers) + 1):
            yield name, numbers[:end]


def _in_ranges(numbers: tuple[Number, ...]) -> Iterator[tuple[Number, ...]]:
    """The numbers with each range replaced by each number in it."""
    for i, number in enumerate(numbers):
        for single in in_range(number):
            yield (*numbers[:i], single, *numbers[i + 1 :])
