"""What a grid looks like in words and figures: bounds text (四至), border on barriers, compactness, load."""

from __future__ import annotations

from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from gridgis import crs as crs_
from gridgis.locate import GridLocator
from gridgis.plan import network
from gridgis.plan.loads import households_of
from gridgis.plan.network import Bools, Floats, Ints, Lines, Shapes
from gridgis.plan.partition import compactness
from gridgis.plan.units import unique_codes
from gridgis.profile import Profile
from gridgis.schema import BARRIER_CLASSES, STRONG_BARRIERS, codes_as_text

#: A border belongs to a barrier that runs beside it within this distance, metres, and turns off by no more than 30°.
NEAR_M = 15.0
_COS_TURN = float(np.cos(np.radians(30)))

#: Nearer than this, metres, a border lies on the barrier; of several the strongest counts.
_ON_M = 1.0

#: Borders are judged in pieces no longer than this, metres.
_PIECE_M = 10.0

#: The neighbour is asked for at this distance outside the border, metres.
_OUTSIDE_M = 1.0

#: A name is told if it makes up this share of a side, at most so many of them.
NAME_SHARE = 0.2
MOST_NAMES = 3

SIDES = {"东": (1.0, 0.0), "南": (0.0, -1.0), "西": (-1.0, 0.0), "北": (0.0, 1.0)}
OUTLINE = "街道界"


class _Rims(NamedTuple):
    """Pieces of the rims of grids, in metres: grid, middle, outward unit normal, length, neighbour (-1: none)."""

    grid: Ints
    middle: Floats
    normal: Floats
    length: Floats
    beside: Ints


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
        ``bounds_text`` (东至…，南至…，西至…，北至…: up to 3 names of barriers that make up a fifth of the side or
        more, longest first; else the neighbour, or 街道界 at the outline),
        ``road_share`` (fraction of the border to other grids on strong barriers; missing where there is none),
        ``compactness`` (Polsby-Popper, 1 for a circle), ``households``, ``persons``, ``estimated`` (missing where
        nobody counted), ``deviation`` (signed fraction of the norm), ``reason`` (kept where still off norm).

    Raises
    ------
    InputError
        A CRS, a code, a class or all lines are missing.

    Notes
    -----
    A piece of border counts for a side by the squared cosine between its outward normal and the side's direction, so
    that a slanting road limits two sides. It belongs to a barrier that runs along it within 15 m. Not promised:
    that the text reads as a surveyor would have written it where a border turns often.

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
    rims = _rims(shapes, metric)
    on, named = _on_barriers(rims, lines), _on_barriers(rims, _named(lines))
    out = grids.copy()
    out["bounds_text"] = pd.Series(
        _texts(grids, codes, rims, _named(lines), named, units), index=out.index, dtype=object
    )
    strong = (on >= 0) & (np.append(lines.rank, -1)[on] <= _rank(STRONG_BARRIERS[-1]))
    out["road_share"] = _share_of_inner(rims, strong, len(out))
    out["compactness"] = compactness(shapes)
    out = _with_loads(out, codes, houses, (crs, metric))
    out = _with_deviation(out, profile)
    out.attrs["parameters"] = {"near_m": NEAR_M, "name_share": NAME_SHARE, "most_names": MOST_NAMES}
    return out


def _rank(name: str) -> int:
    return BARRIER_CLASSES.index(name)


def _named(lines: Lines) -> Lines:
    return network.take(lines, np.flatnonzero([name is not None for name in lines.name]))


def _rims(shapes: Shapes, metric: pyproj.CRS) -> _Rims:
    """The rims of grids in short pieces, each with what lies outside."""
    parts, grid = shapely.get_parts(shapely.segmentize(shapes, _PIECE_M), return_index=True)
    rings, part = shapely.get_rings(shapely.orient_polygons(parts), return_index=True)
    ends, ring = network.segments_of(rings)
    way = ends[:, 1] - ends[:, 0]
    length = np.hypot(way[:, 0], way[:, 1])
    # Outlines run anticlockwise and holes clockwise: the outside is on the right.
    normal = np.column_stack([way[:, 1], -way[:, 0]]) / length[:, None]
    owner = grid[part[ring]].astype(np.int64)
    middle = ends.mean(axis=1)
    outside = middle + _OUTSIDE_M * normal
    beside = GridLocator(gpd.GeoSeries(shapes, crs=metric)).locate(outside[:, 0], outside[:, 1])
    beside[beside == owner] = -1
    return _Rims(owner, middle, normal, length, beside)


def _on_barriers(rims: _Rims, lines: Lines) -> Ints:
    """The row of the barrier that each piece of rim lies on or runs beside, -1 where there is none."""
    found = np.full(len(rims.grid), -1, dtype=np.int64)
    if len(lines.shapes) == 0:
        return found
    ends, line = network.segments_of(lines.shapes)
    segments = shapely.linestrings(ends)
    points = shapely.points(rims.middle)
    piece, segment = shapely.STRtree(segments).query(points, predicate="dwithin", distance=NEAR_M)
    way = ends[segment, 1] - ends[segment, 0]
    way /= np.hypot(way[:, 0], way[:, 1])[:, None]
    gap = shapely.distance(points[piece], segments[segment])
    # Past the end of a segment the way to it is not square to it: at a bend a little, at the end of a road far from it.
    aside = np.abs((way[:, ::-1] * (-1, 1) * (rims.middle[piece] - ends[segment, 0])).sum(axis=1))
    beside = aside >= _COS_TURN * gap - _ON_M
    along = np.abs((way * rims.normal[piece]).sum(axis=1)) <= np.sqrt(1 - _COS_TURN**2)
    piece, segment, gap = piece[beside & along], segment[beside & along], gap[beside & along]
    rank = np.where(gap <= _ON_M, lines.rank[line[segment]], len(BARRIER_CLASSES))
    order = np.lexsort((line[segment], gap, rank, piece))
    first = np.append(True, np.diff(piece[order]) != 0)[: len(order)]
    found[piece[order][first]] = line[segment][order][first]
    return found


def _share_of_inner(rims: _Rims, strong: Bools, size: int) -> Floats:
    inner = rims.beside >= 0
    whole = np.bincount(rims.grid[inner], rims.length[inner], size)
    part = np.bincount(rims.grid[inner & strong], rims.length[inner & strong], size)
    share: Floats = np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan)
    return share


def _texts(
    grids: gpd.GeoDataFrame, codes: Shapes, rims: _Rims, lines: Lines, named: Ints, units: pd.DataFrame | None
) -> list[str]:
    """The bounds text of each grid."""
    what = np.array([*lines.name, None], dtype=object)[named]
    neighbour = _neighbour_names(grids, codes, rims, units)
    texts = [""] * len(grids)
    for side, direction in SIDES.items():
        weight = rims.length * np.maximum(0.0, rims.normal @ np.array(direction)) ** 2
        whole = np.bincount(rims.grid, weight, len(grids))
        by_name, by_neighbour = _weights(rims.grid, what, weight), _weights(rims.grid, neighbour, weight)
        for grid in range(len(grids)):
            told = [n for n, share in by_name.get(grid, []) if share >= NAME_SHARE * whole[grid]][:MOST_NAMES]
            limit = "、".join(told) or by_neighbour[grid][0][0]
            texts[grid] += f"，{side}至{limit}" if texts[grid] else f"{side}至{limit}"
    return texts


def _weights(grid: Ints, name: Shapes, weight: Floats) -> dict[int, list[tuple[str, float]]]:
    """For each grid the names beside it with their weight, the heaviest first."""
    sums = pd.DataFrame({"grid": grid, "name": name, "weight": weight}).groupby(["grid", "name"])["weight"].sum()
    found: dict[int, list[tuple[str, float]]] = {}
    for (row, title), share in sums.items():
        found.setdefault(int(row), []).append((str(title), round(float(share), 3)))
    return {row: sorted(pairs, key=lambda pair: (-pair[1], pair[0])) for row, pairs in found.items()}


def _neighbour_names(grids: gpd.GeoDataFrame, codes: Shapes, rims: _Rims, units: pd.DataFrame | None) -> Shapes:
    """What lies beside each piece: the neighbour's name or code, the name of another unit, or the outline."""
    names = np.array([*codes, OUTLINE], dtype=object)
    if "name" in grids.columns:
        given = grids["name"].to_numpy(dtype=object)
        names[:-1] = [n if isinstance(n, str) and n.strip() else c for n, c in zip(given, codes, strict=True)]
    if units is None or not {"code", "name"} <= set(units.columns) or "parent" not in grids.columns:
        return names[rims.beside]
    titles = {c: n for c, n in zip(codes_as_text(units["code"]), units["name"], strict=True) if isinstance(n, str)}
    parent = np.array([titles.get(code, "") for code in codes_as_text(grids["parent"])] + [""], dtype=object)
    same = (rims.beside < 0) | (parent[rims.beside] == parent[rims.grid]) | (parent[rims.beside] == "")
    # Inside a unit its name need not be said; beside another unit that unit's name says it all.
    short = np.array([n.removeprefix(p) or n for n, p in zip(names, parent, strict=True)], dtype=object)
    return np.where(same, short[rims.beside], parent[rims.beside] + "界")


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
