"""Which grid belongs to an address, a compound or a building: suggestions while typing, and the answer.

Only buildings and compounds are known here, as the map shows them: no house, no room, nobody. A room number that is
typed is dropped before anything is looked up, and nothing that is typed is kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import shapely

from gridgis.assign.address_parts import Address
from gridgis.assign.addresses import WEAK_SCORE, AddressIndex, Ranked, parse
from gridgis.assign.characters import normalise

#: A building or compound counts to each grid that holds at least this share of its area.
LEAST_SHARE = 0.05
#: How many suggestions are made, and how much of what is typed is read.
SUGGESTIONS, LONGEST = 8, 100
#: Parts of an address below the building: never published, never asked for.
_ROOM = ("室",)
_INSIDE = ("单元", "层", *_ROOM)
#: What may stand behind a number that was typed without it.
_AFTER_NUMBER = ("号", "栋", "弄")


@dataclass
class Place:
    """Something with a name or an address: what it is called, the rows of its grids, a point in it (degrees).

    `address` is that of a compound, beside its name. `keys` are all ways to write it, normalised; the first is that of
    `label`.
    """

    label: str
    kind: str
    rows: tuple[int, ...]
    lon: float
    lat: float
    address: str = ""
    keys: list[str] = field(default_factory=list)


class Found(NamedTuple):
    """What fits a text: one place, several, or none; and whether the house number itself is known."""

    places: tuple[Place, ...]
    number_known: bool


class Finder:
    """Finds places by what residents type.

    Parameters
    ----------
    grids : GeoDataFrame
        EPSG:4326; places tell their rows in it.
    buildings, compounds : GeoDataFrame
        EPSG:4326; name and address (both may be missing).
    """

    def __init__(self, grids: gpd.GeoDataFrame, buildings: gpd.GeoDataFrame, compounds: gpd.GeoDataFrame) -> None:
        known: dict[str, Place] = {}
        estates = list(_entries(grids, compounds))
        for name, address, rows, at in estates:
            _add(known, name or address, "compound", rows, at, [address])
        begins = [(normalise(address), name) for name, address, _, _ in estates if name and address]
        houses = list(_entries(grids, buildings))
        for name, _, rows, at in houses:
            _add(known, name, "building", rows, at)
        every = {normalise(address) for _, address, _, _ in houses}
        for _, address, rows, at in houses:
            plain = normalise(address)
            also = [name + plain[len(start) :] for start, name in begins if _below(plain, start)]
            # In a compound 3号 is called 3号楼 as well, where there is no other building of that number.
            if plain.removesuffix("号") + "栋" not in every:
                also += [f"{way.removesuffix('号')}栋" for way in also if way.endswith("号")]
            _add(known, address, "address", rows, at, also)
        order = ("compound", "building", "address")
        self.places = sorted(known.values(), key=lambda p: (order.index(p.kind), _natural(p.keys[0])))
        texts = [(key, place) for place in self.places for key in place.keys]
        self._keys = [key for key, _ in texts]
        self._owners = [place for _, place in texts]
        self._index = AddressIndex(self._keys)
        self._by_key: dict[str, Place] = {}
        for place in self.places:
            for key in place.keys:
                self._by_key.setdefault(key, place)

    def suggest(self, text: str) -> list[Place]:
        """What a visitor may mean who is still typing: the best `SUGGESTIONS` places, none for a bare number."""
        plain = normalise(text[:LONGEST])
        if not re.search(r"[^\W\d_]", plain):
            return []
        exact = [self._by_key[key] for key in _whole(plain) if key in self._by_key]
        fitting = [self._owners[ranked.row] for ranked in self._ranked(text)]
        starting = [p for p in self.places if any(key.startswith(plain) for key in p.keys)]
        holding = [p for p in self.places if any(plain in key for key in p.keys)]
        return _once((*exact, *fitting, *starting, *holding))[:SUGGESTIONS]

    def find(self, text: str) -> Found:
        """The place of a text; several where it can mean several, none where nothing fits."""
        plain = normalise(text[:LONGEST])
        for key in _whole(plain):
            if key in self._by_key:
                return Found((self._by_key[key],), True)
        ranked = self._ranked(text)
        if ranked:
            best = ranked[0][:-1] if ranked[0].score >= WEAK_SCORE else None
            rows = [one.row for one in ranked if best is None or one[:-1] == best]
            given = len(_outside(_given(text)))
            known = any(given <= len(_outside(parse(self._keys[row]))) for row in rows)
            return Found(tuple(_once(self._owners[row] for row in rows)), known)
        if not re.search(r"[^\W\d_]", plain):
            return Found((), True)
        # A part of a name or street, but never a part of a number.
        before = r"(?<!\d)" if plain[0].isdigit() else ""
        after = r"(?!\d)" if plain[-1].isdigit() else ""
        part = re.compile(before + re.escape(plain) + after)
        return Found(tuple(p for p in self.places if any(part.search(key) for key in p.keys)), True)

    def _ranked(self, text: str) -> list[Ranked]:
        return self._index.rank(_given(text))


def _given(text: str) -> Address:
    """The parts of what was typed, down to the building; the parser keeps nothing of it."""
    read = parse(text[:LONGEST])
    rooms = [i for i, (kind, _) in enumerate(read.numbers) if kind in _ROOM]
    return read._replace(numbers=read.numbers[: rooms[0]], words=read.words[: rooms[0]]) if rooms else read


def _outside(address: Address) -> list[tuple[str, str]]:
    return [number for number in address.numbers if number[0] not in _INSIDE]


def _whole(plain: str) -> list[str]:
    """A text, and where it ends in a bare number also with what may stand behind it."""
    return [plain, *(plain + word for word in _AFTER_NUMBER)] if plain[-1:].isdigit() else [plain]


def _below(plain: str, start: str) -> bool:
    """Whether an address goes on from another, at the end of a number or name."""
    return plain.startswith(start) and len(plain) > len(start) and plain[len(start)].isdigit() and start[-1:].isalpha()


def _add(
    known: dict[str, Place],
    label: str,
    kind: str,
    rows: tuple[int, ...],
    at: tuple[float, float],
    also: Sequence[str] = (),
) -> None:
    """Make a place known, or add to the one of the same name."""
    keys = [key for key in (normalise(text) for text in (label, *also)) if key]
    if not label or not keys or not rows:
        return
    address = next(iter(also), "") if kind == "compound" else ""
    place = known.setdefault(keys[0], Place(label, kind, (), *at, address=address if address != label else ""))
    place.rows = tuple(sorted({*place.rows, *rows}))
    place.keys = list(dict.fromkeys((*place.keys, *keys)))


def _entries(
    grids: gpd.GeoDataFrame, frame: gpd.GeoDataFrame
) -> Iterator[tuple[str, str, tuple[int, ...], tuple[float, float]]]:
    """Name, address, rows of grids and a point of each row of a table; "" for what it has not."""
    shapes = np.asarray(frame.geometry.array, dtype=object)
    rows = _grids_of(np.asarray(grids.geometry.array, dtype=object), shapes)
    points = shapely.get_coordinates(shapely.point_on_surface(shapes)).round(6).tolist()
    names, addresses = (
        [_text(v) for v in frame[column]] if column in frame.columns else [""] * len(frame)
        for column in ("name", "address")
    )
    for name, address, found, (lon, lat) in zip(names, addresses, rows, points, strict=True):
        if any(kind in _ROOM for kind, _ in parse(address).numbers):
            address = ""
        yield name, address, found, (lon, lat)


def _grids_of(grids: Any, shapes: Any) -> list[tuple[int, ...]]:
    """The rows of the grids that hold at least `LEAST_SHARE` of each shape (shares are the same in degrees)."""
    which, rows = shapely.STRtree(grids).query(shapes, predicate="intersects")
    shares = shapely.area(shapely.intersection(shapes[which], grids[rows])) / shapely.area(shapes)[which]
    found: list[list[int]] = [[] for _ in shapes]
    for shape, row, share in zip(which.tolist(), rows.tolist(), shares.tolist(), strict=True):
        if share >= LEAST_SHARE:
            found[shape].append(row)
    return [tuple(sorted(some)) for some in found]


def _text(value: object) -> str:
    return unicodedata.normalize("NFKC", value).strip() if isinstance(value, str) else ""


def _once(places: Iterable[Place]) -> list[Place]:
    return list({place.keys[0]: place for place in places}.values())


def _natural(text: str) -> list[tuple[int, int | str]]:
    """Sorts 2号 before 10号."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", text) if part]
