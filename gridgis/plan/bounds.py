"""What a grid looks like in words and figures: bounds text (四至), border on barriers, compactness, load."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from gridgis import crs as crs_
from gridgis.locate import GridLocator
from gridgis.plan.bounds_text import MOST_NAMES, NAME_SHARE, NEIGHBOUR_SHARE, bounds_texts
from gridgis.plan.faces import network
from gridgis.plan.faces.network import Bools, Floats, Ints, Lines, Shapes
from gridgis.plan.loads import households_of
from gridgis.plan.partition import compactness
from gridgis.plan.rims import NEAR_M, Rims, on_barriers, rims_of
from gridgis.plan.units import unique_codes
from gridgis.profile import Profile
from gridgis.schema import BARRIER_CLASSES, STRONG_BARRIERS

#: What should not cut through a grid, and what it is called where it has no name.
MAJOR = {"river": "河道", "railway": "铁路", "expressway": "快速路", "main": "主干路"}

#: Less of one barrier than this inside a grid, metres, is not told.
CUT_M = 30.0


def describe(
    grids: gpd.GeoDataFrame,
    barriers: gpd.GeoDataFrame,
    *,
    profile: Profile | None = None,
    units: pd.DataFrame | None = None,
    houses: gpd.GeoDataFrame | None = None,
) -> gpd.GeoDataFrame:
    """Describe each grid: what limits it on each side, how it is shaped and what it holds.

    Parameters
    ----------
    grids : GeoDataFrame
        Polygons with a unique ``code``, perhaps ``name``, ``parent``, ``compound_kind``; in any CRS.
    barriers : GeoDataFrame
        Lines with ``class`` and perhaps ``name``.
    profile : Profile, optional
        Its norm gives the deviation; without one, a deviation that is there stays.
    units : DataFrame, optional
        ``code`` and ``name``: a side on the border to another unit is called by that unit's name.
    houses : GeoDataFrame, optional
        Points, from which households (and which of them are estimates) are counted anew; the lowest code wins a
        border.

    Returns
    -------
    GeoDataFrame
        The rows of `grids` with

        - ``bounds_text`` (东至…，南至…，西至…，北至…): of each side up to 3 names of barriers that make up a fifth
          of it, and who lies beside it where that makes up half of it or more without a name: the neighbour, another
          unit, or 街道界 at the outline. ``bounds_text_en`` has English words between the same names.
        - ``area_m2``; ``border_m``, the length of the whole border; ``share_river`` … ``share_wall``, the share of it
          on each class of barrier, and ``share_none`` on none: together 1.
        - ``road_share``: fraction of the border to other grids on strong barriers (missing where there is none), and
          ``no_road_m``, metres of that border on no barrier.
        - ``cut_through``: rivers, railways, expressways and main roads inside the grid, farther than 15 m from its
          border, with their metres ("荷清路 350 m、铁路 120 m"; missing where there is none), ``cut_through_m`` in all.
        - ``compactness`` (Polsby-Popper, 1 for a circle), ``households``, ``persons``, ``estimated`` (missing where
          nobody counted), ``deviation`` (signed fraction of the norm), ``reason`` (kept where still off norm).

    Raises
    ------
    InputError
        A CRS, a code, a class or all lines are missing.

    Notes
    -----
    A piece of border counts for a side by the squared cosine between its outward normal and the side's direction, so
    that a slanting road limits two sides. It belongs to a barrier that runs along it within 15 m. Names stand in the
    order in which one meets them walking round clockwise: on the east side from north to south, on the south side from
    east to west. Of what cuts through, two carriageways count twice, and less than 30 m of a name do not count. Not
    promised: that the text reads as a surveyor would have written it where a border turns often.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> grids = gpd.GeoDataFrame(
    ...     {"code": ["A", "B"]}, geometry=shapely.box([0, 100], 0, [100, 200], 100), crs=32650
    ... )
    >>> road = gpd.GeoDataFrame(
    ...     {"class": ["main"], "name": ["成府路"]}, geometry=[shapely.LineString([(100, 0), (100, 100)])], crs=32650
    ... )
    >>> described = describe(grids, road)
    >>> described["bounds_text"].tolist()
    ['东至成府路，南至街道界，西至街道界，北至街道界', '东至街道界，南至街道界，西至成府路，北至街道界']
    >>> described["road_share"].tolist(), described["compactness"].round(3).tolist()
    ([1.0, 1.0], [0.785, 0.785])
    """
    codes = unique_codes(grids, "grids")
    crs, metric = crs_.require_crs(grids, "grids"), crs_.metric_crs(grids, "grids")
    shapes: Shapes = crs_.project(np.asarray(grids.geometry.array, dtype=object), crs, metric)
    lines = network.barrier_lines(barriers, metric)
    rims = rims_of(shapes, metric)
    on, named = on_barriers(rims, lines), _named(lines)
    names = np.array([*named.name, None], dtype=object)[on_barriers(rims, named)]
    out = grids.copy()
    texts = bounds_texts(grids, codes, rims, names, units)
    for column, told in zip(("bounds_text", "bounds_text_en"), texts, strict=True):
        out[column] = pd.Series(told, index=out.index, dtype=object)
    out = _with_borders(out, rims, np.append(lines.rank, len(BARRIER_CLASSES))[on])
    out["cut_through"], out["cut_through_m"] = _cut_through(shapes, lines, out.index)
    out["compactness"], out["area_m2"] = compactness(shapes), shapely.area(shapes)
    out = _with_loads(out, codes, houses, (crs, metric))
    out = _with_deviation(out, profile)
    out.attrs["parameters"] = {
        "near_m": NEAR_M, "name_share": NAME_SHARE, "most_names": MOST_NAMES, "neighbour_share": NEIGHBOUR_SHARE,
        "cut_m": CUT_M,
    }  # fmt: skip
    return out


def _named(lines: Lines) -> Lines:
    return network.take(lines, np.flatnonzero([name is not None for name in lines.name]))


def _with_borders(grids: gpd.GeoDataFrame, rims: Rims, rank: Ints) -> gpd.GeoDataFrame:
    """Metres of border, the share of it on each class (`rank` of each piece), and of the inner border on roads."""
    out, size = grids, len(grids)
    classes = (*BARRIER_CLASSES, "none")
    whole = np.bincount(rims.grid, rims.length, size)
    metres = np.bincount(rims.grid * len(classes) + rank, rims.length, size * len(classes)).reshape(size, -1)
    out["border_m"] = whole
    for number, name in enumerate(classes):
        out[f"share_{name}"] = metres[:, number] / whole
    out["road_share"] = _share_of_inner(rims, rank <= BARRIER_CLASSES.index(STRONG_BARRIERS[-1]), size)
    loose = (rims.beside >= 0) & (rank == len(BARRIER_CLASSES))
    out["no_road_m"] = np.bincount(rims.grid[loose], rims.length[loose], size)
    return out


def _share_of_inner(rims: Rims, strong: Bools, size: int) -> Floats:
    inner = rims.beside >= 0
    whole = np.bincount(rims.grid[inner], rims.length[inner], size)
    part = np.bincount(rims.grid[inner & strong], rims.length[inner & strong], size)
    share: Floats = np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan)
    return share


def _cut_through(shapes: Shapes, lines: Lines, index: pd.Index) -> tuple[pd.Series, pd.Series]:
    """Major barriers inside each grid, off its border: names with metres, the longest first; and metres in all."""
    major = network.take(lines, np.flatnonzero(np.isin(lines.rank, [BARRIER_CLASSES.index(c) for c in MAJOR])))
    inside = shapely.buffer(shapes, -NEAR_M)
    line, grid = shapely.STRtree(inside).query(major.shapes, predicate="intersects")
    words = [n or MAJOR[BARRIER_CLASSES[r]] for n, r in zip(major.name, major.rank, strict=True)]
    table = pd.DataFrame(
        {
            "grid": grid,
            "name": np.array([*words, None], dtype=object)[line],
            "metres": shapely.length(shapely.intersection(major.shapes[line], inside[grid])),
        }
    )
    sums = table.groupby(["grid", "name"], as_index=False)["metres"].sum()
    sums = sums[sums["metres"] >= CUT_M].sort_values(["grid", "metres", "name"], ascending=[True, False, True])
    told: list[str | None] = [None] * len(shapes)
    for row, name, metres in sums.itertuples(index=False):
        told[row] = (f"{told[row]}、" if told[row] else "") + f"{name} {metres:.0f} m"
    whole = np.bincount(sums["grid"].to_numpy(dtype=np.int64), sums["metres"], len(shapes))
    return pd.Series(told, index=index, dtype=object), pd.Series(whole, index=index)


def _with_loads(
    grids: gpd.GeoDataFrame, codes: Shapes, houses: gpd.GeoDataFrame | None, planes: tuple[pyproj.CRS, pyproj.CRS]
) -> gpd.GeoDataFrame:
    """Households and estimates counted from houses; columns that nobody counted are there, and missing."""
    out = grids
    for column in ("households", "persons", "estimated"):
        if column not in out.columns:
            out[column] = pd.array([pd.NA] * len(out), dtype="Int64")
    if houses is None or len(houses) == 0:
        return out
    order = np.array(sorted(range(len(out)), key=lambda i: codes[i]), dtype=np.int64)
    points = crs_.project(
        np.asarray(houses.geometry.array, dtype=object), crs_.require_crs(houses, "houses"), planes[0]
    )
    row = GridLocator(out.geometry.iloc[order]).locate(shapely.get_x(points), shapely.get_y(points))
    grid = order[row[row >= 0]]
    count = households_of(houses, 1.0)
    guessed = houses["estimated"].fillna(False).to_numpy(dtype=bool) if "estimated" in houses.columns else count < 0
    for column, values in (("households", count), ("estimated", count * guessed)):
        out[column] = np.rint(np.bincount(grid, values[row >= 0], len(out))).astype(np.int64)
    return out


def _with_deviation(grids: gpd.GeoDataFrame, profile: Profile | None) -> gpd.GeoDataFrame:
    """Signed deviation from the profile's norm; reasons stay only where it is off."""
    out = grids
    if "deviation" not in out.columns:
        out["deviation"] = np.nan
    if "reason" not in out.columns:
        out["reason"] = pd.Series([None] * len(out), index=out.index, dtype=object)
    norm = None if profile is None else profile.norm
    if norm is None or not (norm.households or norm.persons):
        return out
    if norm.households:
        kinds: Any = out["compound_kind"] if "compound_kind" in out.columns else [None] * len(out)
        target = np.array([norm.target(kind if isinstance(kind, str) else None) for kind in kinds])
        load = out["households"]
    else:
        target, load = np.full(len(out), sum(norm.persons or ()) / 2), out["persons"]
    out["deviation"] = load.astype("Float64").to_numpy(dtype=float, na_value=np.nan) / target - 1
    off = out["deviation"].abs() > norm.tolerance
    out["reason"] = out["reason"].astype(object).where(off & out["reason"].notna(), None)
    return out
