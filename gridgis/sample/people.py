"""Who lives there: houses and persons, the right answers beside them, and who cannot be found.

A person is an id and a house, or an address, or a place, and nothing else.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gridgis.sample import names
from gridgis.sample.plane import SEED, to_degrees, to_plan
from gridgis.sample.town import Town
from gridgis.sample.truth import Planted
from gridgis.sample.written import WAYS, Parts

HOUSES = 9600
PERSONS = 27000

PERSONS_FILE = "persons.parquet"
ANSWERS_FILE = "truth_persons.parquet"

_SIZES, _SIZE_SHARES = np.arange(1, 7), (0.17, 0.28, 0.28, 0.16, 0.08, 0.03)

#: How many persons have an address, and how many a place, instead of a house code.
_ADDRESSES, _PLACES = 3000, 320
#: How far off the given places are: standard deviation, and the most, in metres.
_OFF_M, _OFF_MOST_M = 1.2, 6.0

#: Persons whose house cannot be told, or not from the first thing given: 3 % of all. Number, what is said of them
#: today, and what was done.
WRONG: dict[str, tuple[int, str, str]] = {
    "unknown code": (210, "none", "a house code that does not exist"),
    "unknown code, right address": (100, "address", "a house code that does not exist, and the right address"),
    "two houses": (120, "ambiguous", "an address without its building: several houses have that lane and room"),
    "no room": (130, "ambiguous", "an address that ends at the building"),
    "unknown street": (100, "none", "an address in a street that is not there"),
    "shared place": (80, "ambiguous", "the place of a staircase, which several dwellings have"),
    "far place": (70, "none", "a place more than 30 m away from any house"),
}


class People(NamedTuple):
    """Persons (id, house, address, lon, lat), right answers for those without a right code, and what was planted."""

    persons: pd.DataFrame
    answers: pd.DataFrame
    planted: list[Planted]


def building_codes(town: Town) -> list[str]:
    return [f"L{number:04d}" for number in range(1, len(town.buildings) + 1)]


def make_houses(town: Town) -> pd.DataFrame:
    """Every dwelling: code, building, address, households, lon, lat.

    Flats above each other have one place; a village house is two dwellings side by side, of all floors each.
    """
    rng = np.random.default_rng([SEED, 3])
    rows: list[tuple[str, str, str]] = []
    places: list[Any] = []
    ground_floor: list[int] = []
    for code, building in zip(building_codes(town), town.buildings, strict=True):
        stairs = shapely.line_interpolate_point(
            building.axis, (np.arange(building.doors) + 0.5) / max(building.doors, 1), normalized=True
        )
        for floor in range(1, 2 if building.kind == "house" else building.levels + 1):
            for door in range(building.doors):
                room = f"{floor}{door + 1:02d}"
                if floor == 1 and building.kind == "apartments":
                    ground_floor.append(len(rows))
                rows.append((f"{code}-{room}", code, f"{building.address}{room}室"))
                places.append(stairs[door])
    # Some ground floors are shops, rooms for bicycles or of the neighbourhood, until the count is right.
    other_use = rng.choice(ground_floor, len(rows) - HOUSES, replace=False)
    kept = np.setdiff1d(np.arange(len(rows)), other_use)
    points = to_degrees(np.array(places, dtype=object)[kept])
    houses = pd.DataFrame([rows[i] for i in kept], columns=["code", "building", "address"])
    return houses.assign(households=1, lon=shapely.get_x(points), lat=shapely.get_y(points))


# --- persons ----------------------------------------------------------------------------------------------------------


def make_persons(town: Town, houses: pd.DataFrame) -> People:
    """One to six persons in each house; most give its code, some an address or a place, 3 % are wrong on purpose."""
    rng = np.random.default_rng([SEED, 4])
    home = np.repeat(np.arange(len(houses)), _sizes(len(houses), rng))
    persons = pd.DataFrame({"id": [f"P{number:05d}" for number in range(1, PERSONS + 1)]})
    persons["house"] = houses["code"].to_numpy(dtype=object)[home]
    persons["address"] = pd.Series(None, index=persons.index, dtype=object)
    persons["lon"] = persons["lat"] = np.nan
    way = np.full(PERSONS, "code", dtype=object)
    writer = _Writer(town, houses, home, persons, way, rng)
    writer.village_places(_PLACES)
    for kind, (count, _, _) in WRONG.items():
        writer.spoil(kind, count)
    writer.addresses(_ADDRESSES)
    told = np.isin(way, [*WAYS, "place", "unknown code, right address"])
    answers = pd.DataFrame(
        {"id": persons["id"], "house": houses["code"].to_numpy(dtype=object)[home], "way": way, "told": told}
    )
    return People(persons, answers[way != "code"].reset_index(drop=True), _planted(answers))


def _sizes(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """How many persons live in each house; all together :data:`PERSONS`."""
    sizes = rng.choice(_SIZES, count, p=_SIZE_SHARES)
    off = PERSONS - int(sizes.sum())
    room = np.flatnonzero(sizes < _SIZES[-1] if off > 0 else sizes > 1)
    sizes[rng.choice(room, abs(off), replace=False)] += np.sign(off)
    return sizes


class _Writer:
    """Writes what a person gives instead of the right house code; each person at most once."""

    def __init__(
        self,
        town: Town,
        houses: pd.DataFrame,
        home: NDArray[np.int64],
        persons: pd.DataFrame,
        way: NDArray[np.object_],
        rng: np.random.Generator,
    ) -> None:
        building = dict(zip(building_codes(town), town.buildings, strict=True))
        title = {code: name for code, name, _ in names.COMMUNITIES}
        self.parts = []
        for address, code in zip(houses["address"], houses["building"], strict=True):
            its = building[code]
            self.parts.append(Parts.of(address, title[its.unit], town.lots[its.lot].name))
        self.village = np.array([building[code].kind == "house" for code in houses["building"]])
        self.places = to_plan(shapely.points(houses["lon"], houses["lat"]))
        self.codes = houses["code"].to_numpy(dtype=object)
        self.home, self.persons, self.way, self.rng = home, persons, way, rng
        self.house, self.address = (persons[c].to_numpy(dtype=object).copy() for c in ("house", "address"))

    def choose(self, count: int, fit: NDArray[np.bool_]) -> NDArray[np.int64]:
        """So many persons of those that still give a right code, in the order of their ids."""
        free = np.flatnonzero((self.way == "code") & fit[self.home])
        return np.sort(self.rng.choice(free, count, replace=False))

    def give(self, rows: NDArray[np.int64], way: str, *, house: Any = None, address: Any = None) -> None:
        self.way[rows] = way
        self.house[rows], self.address[rows] = house, address
        self.persons["house"], self.persons["address"] = self.house, self.address

    def village_places(self, count: int) -> None:
        """Places measured at the door of a village house, a little off."""
        rows = self.choose(count, self.village)
        self.give(rows, "place")
        off = np.clip(self.rng.normal(0.0, _OFF_M, (count, 2)), -_OFF_MOST_M, _OFF_MOST_M)
        self.put(rows, shapely.get_coordinates(self.places[self.home[rows]]) + off)

    def put(self, rows: NDArray[np.int64], xy: NDArray[np.float64]) -> None:
        degrees = shapely.get_coordinates(to_degrees(shapely.points(xy)))
        self.persons.loc[rows, ["lon", "lat"]] = degrees

    def spoil(self, kind: str, count: int) -> None:
        """Persons of one kind of fault."""
        laned = np.array([bool(parts.lane) for parts in self.parts])
        rows = self.choose(count, laned if kind in ("two houses", "no room", "shared place") else laned | True)
        parts = [self.parts[h] for h in self.home[rows]]
        wrong = np.array([f"{self.codes[h][:5]}-{99 - i % 40}{i % 9 + 1:02d}" for i, h in enumerate(self.home[rows])])
        if kind == "unknown code":
            self.give(rows, kind, house=wrong.astype(object))
        elif kind == "unknown code, right address":
            self.give(rows, kind, house=wrong.astype(object), address=[p.text() for p in parts])
        elif kind == "two houses":
            self.give(rows, kind, address=[f"{p.street}{p.lane}弄{p.room}室" for p in parts])
        elif kind == "no room":
            self.give(rows, kind, address=[f"{p.street}{p.lane}弄{p.number}号" for p in parts])
        elif kind == "unknown street":
            self.give(rows, kind, address=[p._replace(street=f"旧{p.street[:1]}坝路").text() for p in parts])
        else:
            self.give(rows, kind)
            self.put(rows, self._bare_places(kind, rows))

    def _bare_places(self, kind: str, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """The staircase itself, or somewhere that is far from every house."""
        at: NDArray[np.float64] = shapely.get_coordinates(self.places[self.home[rows]])
        if kind == "shared place":
            return at
        tree = shapely.STRtree(self.places)
        far: list[NDArray[np.float64]] = []
        while len(far) < len(rows):
            place = self.rng.uniform((-950.0, -800.0), (1000.0, 820.0))
            if self.places[tree.nearest(shapely.Point(place))].distance(shapely.Point(place)) > 60.0:
                far.append(place)
        return np.array(far)

    def addresses(self, count: int) -> None:
        """Addresses in all ways of writing, of those whom each way fits."""
        share = np.array([way.weight for way in WAYS.values()])
        for (name, way), number in zip(WAYS.items(), np.rint(share / share.sum() * count).astype(int), strict=True):
            rows = self.choose(int(number), np.array([way.fits(parts) for parts in self.parts]))
            self.give(rows, name, address=[way.write(self.parts[h], self.rng) for h in self.home[rows]])


def _planted(answers: pd.DataFrame) -> list[Planted]:
    """The faults among the persons."""
    found = []
    for kind, (_, how, detail) in WRONG.items():
        ids = tuple(answers.loc[answers["way"] == kind, "id"])
        more = {"count": len(ids), "house_how": how}
        found.append(Planted(f"person-{kind}", "chain", PERSONS_FILE, ids, kind, "assign persons, chain", detail, more))
    return found
