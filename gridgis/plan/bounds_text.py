"""The bounds text (四至) of grids: on each side the names of the barriers that limit it, else who lies beside it."""

from __future__ import annotations

from typing import NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd

from gridgis.plan.faces.network import Floats, Ints, Shapes
from gridgis.plan.rims import Rims
from gridgis.schema import codes_as_text

#: A name is told if it makes up this share of a side, at most so many of them; who lies beside it, from this share on.
NAME_SHARE = 0.2
MOST_NAMES = 3
NEIGHBOUR_SHARE = 0.5

#: Outward directions. The text goes round clockwise, and along each side too.
SIDES = {"东": (1.0, 0.0), "南": (0.0, -1.0), "西": (-1.0, 0.0), "北": (0.0, 1.0)}
_ENGLISH = {"东": "east", "南": "south", "西": "west", "北": "north"}
OUTLINE, OUTLINE_EN = "街道界", "the outline"
_BOTH = "\x1f"  # between the Chinese and the English words for one thing


class _Told(NamedTuple):
    """A name on a side: its share of the side, and where it is met as one walks along (metres)."""

    name: str
    share: float
    place: float


def bounds_texts(
    grids: gpd.GeoDataFrame, codes: Shapes, rims: Rims, names: Shapes, units: pd.DataFrame | None
) -> tuple[list[str], list[str]]:
    """The bounds text of each grid, in Chinese and with English words between the names.

    Parameters
    ----------
    grids : GeoDataFrame
    codes : ndarray of str
    rims : Rims
    names : ndarray of str or None
        The name of the barrier that each piece of rim runs along.
    units : DataFrame, optional
    """
    beside_it = _neighbour_names(grids, codes, rims, units)
    unnamed = beside_it.copy()
    unnamed[pd.notna(names)] = None
    texts: list[list[str]] = [[] for _ in range(len(grids))]
    others: list[list[str]] = [[] for _ in range(len(grids))]
    for side, direction in SIDES.items():
        weight = rims.length * np.maximum(0.0, rims.normal @ np.array(direction)) ** 2
        whole: Floats = np.bincount(rims.grid, weight, len(grids)).astype(float)
        place: Floats = rims.middle @ np.array((direction[1], -direction[0]))
        by_name = _shares(rims.grid, names, weight, place, whole)
        beside = _shares(rims.grid, unnamed, weight, place, whole)
        anyone = _shares(rims.grid, beside_it, weight, place, whole)
        for grid in range(len(grids)):
            told = [t for t in by_name.get(grid, []) if t.share >= NAME_SHARE][:MOST_NAMES]
            told += [t for t in beside.get(grid, []) if t.share >= NEIGHBOUR_SHARE]
            told = sorted(told or anyone[grid][:1], key=lambda t: (t.place, t.name))
            words = [t.name.partition(_BOTH) for t in told]
            texts[grid].append(f"{side}至" + "、".join(zh for zh, _, _ in words))
            others[grid].append(f"{_ENGLISH[side]} to " + ", ".join(en or zh for zh, _, en in words))
    return ["，".join(parts) for parts in texts], ["; ".join(parts) for parts in others]


def _shares(grid: Ints, name: Shapes, weight: Floats, place: Floats, whole: Floats) -> dict[int, list[_Told]]:
    """For each grid the names on a side, the largest share first."""
    table = pd.DataFrame({"grid": grid, "name": name, "weight": weight, "moment": weight * place})
    sums = table[table["name"].notna()].groupby(["grid", "name"])[["weight", "moment"]].sum()
    found: dict[int, list[_Told]] = {}
    for (row, title), metres, moment in sums.itertuples():
        at = moment / metres if metres else 0.0
        found.setdefault(int(row), []).append(_Told(str(title), round(metres / whole[row], 3), round(at, 3)))
    return {row: sorted(told, key=lambda t: (-t.share, t.name)) for row, told in found.items()}


def _neighbour_names(grids: gpd.GeoDataFrame, codes: Shapes, rims: Rims, units: pd.DataFrame | None) -> Shapes:
    """What lies beside each piece, in Chinese and English: the neighbour, another unit, or the outline."""
    names = np.array([*codes, OUTLINE], dtype=object)
    if "name" in grids.columns:
        given = grids["name"].to_numpy(dtype=object)
        names[:-1] = [n if isinstance(n, str) and n.strip() else c for n, c in zip(given, codes, strict=True)]
    english = np.array([*(f"{_BOTH}grid {code}" for code in codes), _BOTH + OUTLINE_EN], dtype=object)
    if units is None or not {"code", "name"} <= set(units.columns) or "parent" not in grids.columns:
        both: Shapes = (names + english)[rims.beside]
        return both
    titles = {c: n for c, n in zip(codes_as_text(units["code"]), units["name"], strict=True) if isinstance(n, str)}
    parent = np.array([titles.get(code, "") for code in codes_as_text(grids["parent"])] + [""], dtype=object)
    same = (rims.beside < 0) | (parent[rims.beside] == parent[rims.grid]) | (parent[rims.beside] == "")
    # Inside a unit its name need not be said; beside another unit that unit's name says it all.
    short = np.array([n.removeprefix(p) or n for n, p in zip(names, parent, strict=True)], dtype=object)
    other = parent + "界" + _BOTH + "the border of " + parent
    told: Shapes = np.where(same, (short + english)[rims.beside], other[rims.beside])
    return told
