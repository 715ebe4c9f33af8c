"""Persons to houses by address and by place: how many a second, right and wrong, ours beside other programs.

Run with ``make bench``, or ``python benchmarks/addresses.py [PERSONS [HOUSES]]`` (1,000,000 and 200,000 by default).
Everything is seeded. Addresses: the persons of an invented city write as people write (the table `WAYS`), one in twenty
gives an address that does not exist; peers are a dict of exact strings, a dict of strings in one way of writing, and
rapidfuzz where it is installed, for a few persons. libpostal needs 2 GB of data and a C library: it is not measured.
Places: persons within some metres of houses, as points and as footprints; peers are geopandas.sjoin_nearest, scipy's
and pykdtree's trees. Times are CPU seconds of one process. The targets stand beside the figures; nothing fails when one
is missed.
"""

from __future__ import annotations

import importlib.util
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gridgis.assign.addresses import AddressIndex
from gridgis.assign.characters import normalise_all
from gridgis.assign.nearest import nearest_houses

METRES = "EPSG:4548"
X0, Y0 = 447_000.0, 4_427_000.0
#: Targets: persons a second by address, shares of right and wrong answers, and times as fast as sjoin_nearest.
A_SECOND, RIGHT, WRONG, FASTER = 100_000, 0.98, 0.003, 3.0
WITHIN_M = 30.0
#: Of the persons, those who give an address that does not exist.
STRANGE = 0.05
#: rapidfuzz compares every house with every person: so many persons are enough to see.
FUZZY_PERSONS = 20

_FIRST = "兰荻青文鹤柳南望米石榆筛渡柴酒旗湖云溪沙"
_SECOND = "桥塘石澜渡堤渚汀行榴钱谷口门坊亭家水岸清"
_WIDE = str.maketrans("0123456789", "０１２３４５６７８９")
_OLD = str.maketrans("号楼栋单门区县东阳", "號樓棟單門區縣東陽")
_SAID = "〇一二三四五六七八九"
_FRONT = (
    "晴岚市渚南区望汀街道",
    "渚南区望汀街道",
    "望汀街道",
    "望汀街道柳汀社区",
    "晴岚市渚南区",
    "江南省晴岚市渚南区望汀街道柳汀社区",
)


def _spelt(text: str) -> str:
    return "".join(_SAID[ord(c) - 48] if c.isdecimal() else c for c in text)


#: Ways of writing, how often each is used: from the register's text and a number for this person.
WAYS: tuple[tuple[float, Callable[[str, int], str]], ...] = (
    (0.30, lambda text, n: text),
    (0.25, lambda text, n: _FRONT[n % len(_FRONT)] + text),
    (0.12, lambda text, n: text.removesuffix("室")),
    (0.09, lambda text, n: text.translate(_WIDE)),
    (0.05, lambda text, n: text.translate(_OLD)),
    (0.05, lambda text, n: text.replace("号", f"号{n % 3 + 1}单元")),
    (0.05, lambda text, n: text.replace("号", ("栋", "幢", "号楼")[n % 3])),
    (0.04, lambda text, n: text.replace("弄", "弄 ").replace("号", "号，")),
    (0.03, lambda text, n: _spelt(text)),
    (0.02, lambda text, n: text + "（近北门）"),
)


def city(houses: int) -> list[str]:
    """The register: roads, lanes, buildings, rooms."""
    roads = [a + b + c for c in ("路", "街", "巷", "大道") for a in _FIRST for b in _SECOND]
    roads = roads[: max(houses // 500, 1)]
    out = []
    for i in range(houses):
        k = i // len(roads)
        out.append(f"{roads[i % len(roads)]}{12 + k // 60}弄{k // 12 % 5 + 1}号{k % 12 // 2 + 1}0{k % 2 + 1}室")
    return out


def written(register: list[str], persons: int, seed: int = 0) -> tuple[list[str], NDArray[np.int64]]:
    """What the persons write, and the row of the house of each (-1: it does not exist)."""
    rng = np.random.default_rng(seed)
    home = rng.integers(0, len(register), persons)
    way = rng.choice(len(WAYS), persons, p=[share for share, _ in WAYS])
    number, strange = rng.integers(0, 60, persons), rng.random(persons) < STRANGE
    texts = []
    for row, how, n, away in zip(home.tolist(), way.tolist(), number.tolist(), strange.tolist(), strict=True):
        text = register[row]
        texts.append(WAYS[how][1](text.replace("弄", "9弄", 1) if away else text, n))
    return texts, np.where(strange, -1, home)


def measured(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def memory_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def told(met: bool) -> str:
    return "met" if met else "missed"


# --- by address -------------------------------------------------------------------------------------------------------


def by_address(persons: int, houses: int) -> None:
    register = city(houses)
    texts, home = written(register, persons)
    print(f"\n{persons:,} persons by address, {len(set(texts)):,} ways of writing; {houses:,} houses")
    before = memory_gb()
    index, built = measured(lambda: AddressIndex(register))
    matches, took = measured(lambda: index.find_all(texts))
    right = float(((matches.row == home) & ((home >= 0) | (matches.how == "none"))).mean())
    wrong = float(((matches.row >= 0) & (matches.row != home) | (matches.how == "none") & (home >= 0)).mean())
    print(f"ours             index {built:5.1f} s, persons {took:6.2f} s, {persons / took:10,.0f} a second; with index"
          f" {persons / (took + built):,.0f}")  # fmt: skip
    print(f"                 right {right:.4f}, wrong {wrong:.5f}, ambiguous {(matches.how == 'ambiguous').mean():.4f}")
    print(f"                 memory at most {memory_gb():.2f} GB, {memory_gb() - before:.2f} of them for this")
    one = [index.find(text) for text in texts[:200]] and measured(lambda: [index.find(text) for text in texts[:2000]])[
        1
    ]
    print(f"                 one look-up {one / 2000 * 1e6:,.0f} µs (target 1,000: {told(one / 2000 < 1e-3)})")
    exact = {text: row for row, text in enumerate(register)}
    found, plain = measured(lambda: np.array([exact.get(text, -1) for text in texts]))
    print(f"dict, as written {plain:6.2f} s, right {(found == home).mean():.4f}")
    plain_register = {text: row for row, text in enumerate(normalise_all(register))}
    found, plain = measured(lambda: np.array([plain_register.get(text, -1) for text in normalise_all(texts)]))
    print(f"dict, one way    {plain:6.2f} s, right {(found == home).mean():.4f}")
    if importlib.util.find_spec("rapidfuzz"):
        from rapidfuzz import process

        best, took_fuzzy = measured(lambda: [process.extractOne(text, register) for text in texts[:FUZZY_PERSONS]])
        hit = float(np.mean([b[2] == row for b, row in zip(best, home[:FUZZY_PERSONS].tolist(), strict=True)]))
        print(f"rapidfuzz        {FUZZY_PERSONS / took_fuzzy:10,.1f} a second, right {hit:.2f}")
    else:
        print("rapidfuzz        not installed")
    print(f"targets: {A_SECOND:,} a second {told(persons / took >= A_SECOND)}, right ≥ {RIGHT} {told(right >= RIGHT)}, "
          f"wrong ≤ {WRONG} {told(wrong <= WRONG)}")  # fmt: skip


# --- by place ---------------------------------------------------------------------------------------------------------


def places(persons: int, houses: int, seed: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Persons near houses, one house in 20 by 20 m on average: x and y of both, in metres."""
    rng = np.random.default_rng(seed)
    width = 20.0 * np.sqrt(houses)
    goal = np.add(rng.uniform(0, width, (houses, 2)), (X0, Y0))
    start = goal[rng.integers(0, houses, persons)] + rng.normal(0, 8.0, (persons, 2))
    return start, goal


def by_place(persons: int, houses: int) -> None:
    start, goal = places(persons, houses)
    people = gpd.GeoSeries(gpd.points_from_xy(*start.T), crs=METRES)
    rng = np.random.default_rng(2)
    size = rng.uniform((2.0, 2.0), (9.0, 5.0), (houses, 2))
    boxes = shapely.box(*(goal - size).T, *(goal + size).T)
    crs = people.crs
    for name, shapes in {"points": np.array(gpd.points_from_xy(*goal.T)), "footprints": boxes}.items():
        print(f"\n{persons:,} persons by place, within {WITHIN_M:g} m; {houses:,} houses as {name}")
        near, took = measured(
            lambda shapes=shapes: nearest_houses(people.to_numpy(), crs, shapes, crs, crs, WITHIN_M)
        )  # fmt: skip
        print(f"ours             {took:6.2f} s; {(near.row >= 0).mean():.4f} found, {near.tied.mean():.5f} ties")
        table = gpd.GeoDataFrame(geometry=shapes, crs=METRES)
        joined, slow = measured(
            lambda table=table: gpd.GeoDataFrame(geometry=people).sjoin_nearest(
                table, how="left", max_distance=WITHIN_M, distance_col="metres"
            )
        )
        first = joined[~joined.index.duplicated()]
        theirs = first["metres"].to_numpy()
        same = np.isclose(near.distance, theirs, atol=1e-6, equal_nan=True).mean()
        print(f"sjoin_nearest    {slow:6.2f} s; the distance is ours for {same:.6f}")
        if name == "points":
            (_, _), scipys = measured(lambda: cKDTree(goal).query(start, distance_upper_bound=WITHIN_M))
            print(f"scipy cKDTree    {scipys:6.2f} s (one nearest, ties not seen)")
            if importlib.util.find_spec("pykdtree"):
                from pykdtree.kdtree import KDTree

                _, pyks = measured(lambda: KDTree(goal).query(start, distance_upper_bound=WITHIN_M))
                print(f"pykdtree         {pyks:6.2f} s (one nearest, ties not seen)")
        print(f"target: {FASTER:g} × sjoin_nearest: {slow / took:.1f} × {told(slow / took >= FASTER)}")


def main() -> None:
    persons, houses = (int(value) for value in (sys.argv[1:] + ["1000000", "200000"][len(sys.argv) - 1 :]))
    by_address(persons, houses)
    by_place(persons, houses)


if __name__ == "__main__":
    main()
