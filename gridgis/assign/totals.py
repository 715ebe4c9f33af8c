"""Totals of grids and units; and those that may be published, small counts hidden so that nobody works them out."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gridgis.profile import Parameters

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: What is counted of each grid.
COUNTED = ("buildings", "houses", "households", "persons")


def unit_totals(totals: pd.DataFrame) -> pd.DataFrame:
    """The totals of each unit: the sums over its grids.

    Parameters
    ----------
    totals : DataFrame
        The totals of a :class:`~gridgis.assign.chain.Chain`: unit, grid and counts. What is in no grid (grid None) is
        in no unit.

    Returns
    -------
    DataFrame
        unit (None for grids that name none, last), grids (how many) and the sums, missing where nothing was counted.

    Examples
    --------
    >>> totals = pd.DataFrame({"unit": ["U", "U", None], "grid": ["A", "B", None], "persons": [30, 4, 7]})
    >>> unit_totals(totals).values.tolist()
    [['U', 2, 34]]
    """
    placed = totals[totals["grid"].notna()]
    columns = [c for c in COUNTED if c in placed.columns]
    groups = placed.groupby("unit", dropna=False, sort=True)
    # min_count: nothing counted is not the same as 0.
    sums = groups[columns].sum(min_count=1).astype({c: placed[c].dtype for c in columns})
    sums.insert(0, "grids", groups.size())
    out = sums.reset_index()
    out["unit"] = pd.Series([None if pd.isna(u) else u for u in out["unit"]], index=out.index, dtype=object)
    return out


def public_totals(totals: pd.DataFrame, parameters: Parameters | None = None) -> pd.DataFrame:
    """The totals of grids, units and the whole as they may be published.

    Parameters
    ----------
    totals : DataFrame
        The totals of a :class:`~gridgis.assign.chain.Chain`: unit, grid and counts. What is in no grid is left out.
    parameters : Parameters, optional
        Its small_count (5): counts from 1 to below it are hidden.

    Returns
    -------
    DataFrame
        level (grid, unit, all), unit, grid and the counts (Int64): a row for each grid, then one for each unit, then
        one for the whole. Hidden counts are missing. ``attrs["parameters"]`` carries small_count.

    Notes
    -----
    A hidden count could be had from the total of its unit if it were the only one hidden there. So others are hidden
    with it (complementary suppression), the smallest first, until from all that is published each hidden count can be
    any number from 1 to small_count at least. Where the counts of a unit do not suffice, its total is hidden too,
    together with that of another unit; where those of all units do not, the total of the whole. Zeros are told, and
    each kind of count is looked at by itself.

    Not promised: that a count cannot be had with the help of a table published elsewhere, such as an earlier state of
    this one.

    Examples
    --------
    >>> totals = pd.DataFrame({"unit": ["U"] * 3, "grid": ["A", "B", "C"], "persons": [30, 4, 20]})
    >>> public_totals(totals)[["level", "grid", "persons"]].values.tolist()
    [['grid', 'A', 30], ['grid', 'B', <NA>], ['grid', 'C', <NA>], ['unit', None, 54], ['all', None, 54]]
    """
    used = parameters or Parameters()
    cells = totals[totals["grid"].notna()].reset_index(drop=True)
    units = unit_totals(cells)
    columns = [c for c in COUNTED if c in cells.columns]
    whole = pd.DataFrame({"unit": pd.Series([None], dtype=object), **{c: [units[c].sum(min_count=1)] for c in columns}})
    parts = {"grid": cells, "unit": units.drop(columns="grids"), "all": whole}
    out = pd.concat([frame.assign(level=level) for level, frame in parts.items()], ignore_index=True)
    out = out[["level", "unit", "grid", *columns]].astype(dict.fromkeys(columns, "Int64"))
    for name in ("unit", "grid"):
        out[name] = pd.Series([None if pd.isna(v) else v for v in out[name]], index=out.index, dtype=object)
    unit = pd.Index(units["unit"].fillna("")).get_indexer(cells["unit"].fillna("")).astype(np.int64)
    for column in columns:
        if cells[column].notna().all():
            hidden = hidden_counts(cells[column].to_numpy(dtype=np.int64), unit, len(units), used.small_count)
            out[column] = out[column].mask(np.concatenate(hidden))
    out.attrs["parameters"] = used.as_dict("small_count")
    return out


def hidden_counts(counts: Ints, unit: Ints, units: int, small_count: float) -> tuple[Bools, Bools, Bools]:
    """Which counts, which totals of units, and whether the total of all (an array of one) must be hidden.

    Parameters
    ----------
    counts, unit : ndarray of int
        A count for each grid, and its unit, numbered from 0 to below `units`.
    """
    least = math.ceil(small_count)
    hide = (counts > 0) & (counts < small_count)
    total = np.bincount(unit, counts, minlength=units)
    group = np.arange(units)  # units whose totals are told apart; of those told only together, the first of them
    every = np.zeros(1, dtype=bool)
    lacking = [int(g) for g in np.unique(group[unit[hide]])]
    while lacking:
        here = group[unit] == lacking[0]
        if _hide_more(counts, hide, here, least):
            lacking.pop(0)
            continue
        others = [int(g) for g in np.unique(group[total > 0]) if g != lacking[0]]
        if not others:
            every[:] = True
            break
        # Another unit that hides something already costs least, then the one with the smallest total.
        other = min(others, key=lambda g: (not hide[group[unit] == g].any(), total[group == g].sum(), g))
        joint = min(other, lacking[0])
        group[(group == other) | (group == lacking[0])] = joint
        lacking = [joint, *(g for g in lacking[1:] if g != other)]
    size = np.bincount(group, total > 0, minlength=units)
    return hide, (total > 0) & ((size[group] > 1) | every), every


def _hide_more(counts: Ints, hide: Bools, here: Bools, least: int) -> bool:
    """Hide further counts of one group, the smallest first, until none can be told; whether that was enough."""
    for at in sorted(np.flatnonzero(here & ~hide & (counts > 0)), key=lambda i: (counts[i], i)):
        if _enough(counts[here & hide], least):
            return True
        hide[at] = True
    return _enough(counts[here & hide], least)


def _enough(hidden: Ints, least: int) -> bool:
    """Whether each of these counts, all above 0, can be any number from 1 to `least` though their sum is known."""
    return len(hidden) > 1 and int(hidden.sum()) - len(hidden) + 1 >= least
