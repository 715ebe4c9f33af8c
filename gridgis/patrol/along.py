"""What was passed: stretches of street, and buildings.

A **stretch** is the part of a street from one junction to the next, cut at the border of the grid. A metre of it was
passed when a track came within `gps_error_m` of it, and a stretch when `street_passed` of its metres were: counting
each metre within sight would credit a quarter of the streets that nobody walked. A building was passed when a track
came within `building_passed_m` of its outline.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gridgis import crs
from gridgis.errors import GeometryError
from gridgis.locate import GridLocator
from gridgis.patrol import inside
from gridgis.patrol.lines import Day, Days, Lines, lines_of, period, window_lengths, windows
from gridgis.patrol.tracks import DEFAULTS, by_code, cleaned
from gridgis.profile import Parameters

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: The classes of barriers that are walked on patrol; a layer without classes is taken whole.
STREET_CLASSES = ("main", "secondary", "lane")

#: A street this near to the border of a grid, in metres, is one of its streets; along a border, of both grids.
_BORDER_M = 1.0

#: Shorter pieces, in metres, are what the border cuts off the next street.
_SHORTEST_M = 3.0

#: Streets are looked at in pieces no longer than this, in metres.
_PIECE_M = 1.0


def stretches(streets: gpd.GeoDataFrame, grids: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The streets of each grid from junction to junction.

    Parameters
    ----------
    streets : GeoDataFrame
        Lines, in any CRS; name and class where known. Of classes other than :data:`STREET_CLASSES` (rivers, walls,
        expressways) nothing is a street.
    grids : GeoDataFrame
        code and polygons, in any CRS.

    Returns
    -------
    GeoDataFrame
        grid, stretch (the grid's code and a number), name, class, length_m, geometry (LineString, in the CRS of
        `grids`), sorted by grid, name and place. A street along a border is in both grids.

    Raises
    ------
    GeometryError
        A layer without lines.
    CRSError, SchemaError
        A layer without CRS, grids without code.

    Notes
    -----
    Streets meet where their lines do: a bridge over a street counts as a junction. Pieces below 3 m are left out.

    Examples
    --------
    >>> grids = gpd.GeoDataFrame({"code": ["A"]}, geometry=[shapely.box(0, 0, 100, 100)], crs="EPSG:4548")
    >>> lines = [shapely.LineString([(-50, 50), (200, 50)]), shapely.LineString([(40, 0), (40, 50)])]
    >>> streets = gpd.GeoDataFrame({"name": ["East", "South"]}, geometry=lines, crs="EPSG:4548")
    >>> stretches(streets, grids)[["stretch", "name", "length_m"]].round(0).to_numpy().tolist()
    [['A-001', 'East', 41.0], ['A-002', 'East', 61.0], ['A-003', 'South', 50.0]]
    """
    metric = crs.metric_crs(grids)
    ordered = by_code(grids)
    shapes = shapely.buffer(inside.grid_shapes(ordered, metric), _BORDER_M)
    lines, name, kind = _lines(streets, metric)
    lines, owner = _from_junction_to_junction(lines, name, kind)
    grid, line = shapely.STRtree(lines).query(shapes, predicate="intersects")
    cut, whose = shapely.get_parts(shapely.intersection(lines[line], shapes[grid]), return_index=True)
    long = (shapely.get_type_id(cut) == 1) & (shapely.length(cut) >= _SHORTEST_M)
    cut, grid, owner = cut[long], grid[whose[long]], owner[line[whose[long]]]
    low = shapely.bounds(cut).reshape(-1, 4)
    order = np.lexsort((low[:, 1].round(3), low[:, 0].round(3), kind[owner], name[owner], grid))
    cut, grid, owner = cut[order], grid[order], owner[order]
    codes = ordered["code"].astype(str).to_numpy(dtype=object)[grid]
    number = np.arange(len(grid)) - np.searchsorted(grid, grid) + 1
    return gpd.GeoDataFrame(
        {
            "grid": codes,
            "stretch": np.array([f"{code}-{n:03d}" for code, n in zip(codes, number, strict=True)], dtype=object),
            "name": np.where(name[owner] == "", None, name[owner]),
            "class": np.where(kind[owner] == "", None, kind[owner]),
            "length_m": shapely.length(cut),
        },
        geometry=crs.project(cut, metric, crs.require_crs(grids)),
        crs=grids.crs,
    )


def streets_passed(
    fixes: pd.DataFrame,
    grids: gpd.GeoDataFrame,
    streets: gpd.GeoDataFrame,
    *,
    days: int | Sequence[int] = 1,
    start: Day | None = None,
    end: Day | None = None,
    parameters: Parameters = DEFAULTS,
) -> gpd.GeoDataFrame:
    """Which stretches of street were passed in each window of days.

    Parameters
    ----------
    fixes, grids, days, start, end
        As for :func:`gridgis.patrol.coverage.patrol_coverage`.
    streets : GeoDataFrame
        As for :func:`stretches`.
    parameters : Parameters
        `gps_error_m` and `street_passed`, and those of the cleaning.

    Returns
    -------
    GeoDataFrame
        The columns of :func:`stretches` and from, to, share (of its length that was passed, to the metre), passed,
        undecided (the share is nearer to `street_passed` than one metre of the stretch); a row for each stretch and
        window. ``attrs["parameters"]`` says how it was measured.
    """
    clean = cleaned(fixes, parameters)
    parts = stretches(streets, grids)
    lines, spans = _walked(clean, crs.metric_crs(grids), days, start, end)
    points, whose = _pieces(np.asarray(crs.project(parts.geometry.array, grids.crs, crs.metric_crs(grids))))
    count = np.bincount(whose, minlength=len(parts))
    daily = {day: _near(shapely.points(points), lines, day, parameters.gps_error_m) for day in np.unique(lines.day)}
    rows = []
    for first, last in zip(*spans, strict=True):
        passed = _any(daily, first, last, len(points))
        share = np.bincount(whose, passed, minlength=len(parts)) / count
        near = np.abs(share - parameters.street_passed) * count <= 1.0
        window = {"from": pd.Timestamp(first), "to": pd.Timestamp(last), "share": share}
        rows.append(
            parts.assign(**window, passed=share >= parameters.street_passed - 1e-9, undecided=near & (share < 1))
        )
    out = pd.concat(rows, ignore_index=True)
    out.attrs["parameters"] = _used(clean, days, parameters, "gps_error_m", "street_passed")
    return gpd.GeoDataFrame(out, geometry=parts.geometry.name, crs=grids.crs)


def streets_by_name(passed: pd.DataFrame) -> pd.DataFrame:
    """What :func:`streets_passed` found, for each named street of a grid.

    Returns
    -------
    DataFrame
        grid, name (None: streets without one), from, to, length_m, passed_m (of the stretches that were passed), share.
    """
    table = pd.DataFrame(passed).assign(passed_m=passed["length_m"].where(passed["passed"], 0.0))
    groups = table.groupby(["grid", "name", "from", "to"], dropna=False, sort=True)
    out = groups[["length_m", "passed_m"]].sum().reset_index()
    out["name"] = out["name"].astype(object).where(out["name"].notna(), None)
    return out.assign(share=out["passed_m"] / out["length_m"])


def buildings_passed(
    fixes: pd.DataFrame,
    grids: gpd.GeoDataFrame,
    buildings: gpd.GeoDataFrame,
    *,
    days: int | Sequence[int] = 1,
    start: Day | None = None,
    end: Day | None = None,
    parameters: Parameters = DEFAULTS,
) -> pd.DataFrame:
    """Which buildings were passed in each window of days.

    Parameters
    ----------
    fixes, grids, days, start, end
        As for :func:`gridgis.patrol.coverage.patrol_coverage`.
    buildings : GeoDataFrame
        Polygons or points; code where known.
    parameters : Parameters
        `building_passed_m`, and those of the cleaning.

    Returns
    -------
    DataFrame
        grid (the one in which the building's inner point lies; buildings outside all grids are left out), building (its
        code, else its row number), from, to, passed; a row for each building and window.
    """
    clean = cleaned(fixes, parameters)
    metric = crs.metric_crs(grids)
    there = buildings[~(buildings.geometry.isna() | buildings.geometry.is_empty)]
    shapes = np.asarray(crs.project(shapely.force_2d(there.geometry.array), crs.require_crs(buildings), metric))
    names = (there["code"] if "code" in there.columns else pd.Series(np.arange(len(there)))).astype(str)
    ordered = by_code(grids)
    ground = gpd.GeoDataFrame(geometry=inside.grid_shapes(ordered, metric), crs=metric)
    inner = shapely.point_on_surface(shapes)
    at = GridLocator(ground).locate(shapely.get_x(inner), shapely.get_y(inner))
    shapes, names, at = shapes[at >= 0], names.to_numpy(dtype=object)[at >= 0], at[at >= 0]
    codes = ordered["code"].astype(str).to_numpy(dtype=object)[at]
    lines, spans = _walked(clean, metric, days, start, end)
    daily = {day: _near(shapes, lines, day, parameters.building_passed_m) for day in np.unique(lines.day)}
    rows = [
        pd.DataFrame({"grid": codes, "building": names, "from": pd.Timestamp(a), "to": pd.Timestamp(b)}).assign(
            passed=_any(daily, a, b, len(shapes))
        )
        for a, b in zip(*spans, strict=True)
    ]
    out = pd.concat(rows, ignore_index=True)
    out.attrs["parameters"] = _used(clean, days, parameters, "building_passed_m")
    return out


# --- as patrol coverage -----------------------------------------------------------------------------------------------


def streets_coverage(
    fixes: pd.DataFrame,
    grids: gpd.GeoDataFrame,
    streets: gpd.GeoDataFrame,
    days: int | Sequence[int],
    start: Day | None,
    end: Day | None,
    parameters: Parameters,
) -> pd.DataFrame:
    """Share of the length of each grid's streets in stretches that were passed; columns as of patrol_coverage."""
    passed = streets_passed(fixes, grids, streets, days=days, start=start, end=end, parameters=parameters)
    table = pd.DataFrame(passed)[["grid", "from", "to", "length_m", "passed", "undecided"]]
    return _as_coverage(table, grids, passed.attrs["parameters"], parameters)


def buildings_coverage(
    fixes: pd.DataFrame,
    grids: gpd.GeoDataFrame,
    buildings: gpd.GeoDataFrame,
    days: int | Sequence[int],
    start: Day | None,
    end: Day | None,
    parameters: Parameters,
) -> pd.DataFrame:
    """Share of each grid's buildings that were passed; columns as of patrol_coverage."""
    passed = buildings_passed(fixes, grids, buildings, days=days, start=start, end=end, parameters=parameters)
    table = passed.drop(columns="building").assign(length_m=1.0, undecided=False)
    return _as_coverage(table, grids, passed.attrs["parameters"], parameters)


def _as_coverage(
    table: pd.DataFrame, grids: gpd.GeoDataFrame, used: dict[str, Any], parameters: Parameters
) -> pd.DataFrame:
    amount, sure = table["length_m"], table["passed"] & ~table["undecided"]
    table = table.assign(
        covered=amount * table["passed"], low=amount * sure, high=amount * (table["passed"] | table["undecided"])
    )
    sums = table.groupby(["grid", "from", "to"])[["length_m", "covered", "low", "high"]].sum()
    spans = table[["from", "to"]].drop_duplicates()
    codes = pd.DataFrame({"grid": by_code(grids)["code"].astype(str).to_numpy(dtype=object)})
    rows = codes.merge(spans, how="cross").join(sums, on=["grid", "from", "to"])
    days = rows["to"] - rows["from"]
    rows = rows.iloc[np.lexsort((rows["from"], days, rows["grid"].astype(str)))].reset_index(drop=True)
    whole = rows["length_m"].fillna(0.0)
    out = rows[["grid", "from", "to"]].assign(share=rows["covered"] / rows["length_m"])
    out = out.assign(covered_m2=np.nan, ground_m2=np.nan, covered=rows["covered"].fillna(0.0), ground=whole)
    low, high = rows["low"] / rows["length_m"], rows["high"] / rows["length_m"]
    astride = (low < parameters.full_share) & (high >= parameters.full_share)
    out = out.assign(undecided=astride, low=low, high=high)
    out.attrs["parameters"] = used | parameters.as_dict("full_share", "ground")
    return out


# --- beside holes -----------------------------------------------------------------------------------------------------


def streets_beside(
    shapes: NDArray[Any], streets: gpd.GeoDataFrame, metric: pyproj.CRS, sight: float
) -> NDArray[np.object_]:
    """The names of the streets in or within `sight` of each polygon: the longest inside first, then the nearest."""
    lines, name, _ = _lines(streets, metric)
    lines, name = lines[name != ""], name[name != ""]
    shape, line = shapely.STRtree(lines).query(shapes, predicate="dwithin", distance=sight)
    table = pd.DataFrame({"shape": shape, "name": name[line]})
    table["length"] = -shapely.length(shapely.intersection(lines[line], shapes[shape])).round(3)
    table["away"] = shapely.distance(lines[line], shapes[shape]).round(3)
    table = table.groupby(["shape", "name"], as_index=False).agg({"length": "sum", "away": "min"})
    table = table.sort_values(["shape", "length", "away", "name"], kind="stable")
    joined = table.groupby("shape")["name"].agg("、".join)
    return np.asarray(joined.reindex(range(len(shapes)), fill_value="").to_numpy(dtype=object))


# --- parts ------------------------------------------------------------------------------------------------------------


def _lines(streets: gpd.GeoDataFrame, metric: pyproj.CRS) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The streets as single lines in metres, their names and classes ("" where there is none)."""
    used = streets[streets["class"].isin(STREET_CLASSES)] if "class" in streets.columns else streets
    shapes = np.array(used.geometry.array, dtype=object)
    parts, row = shapely.get_parts(shapely.force_2d(shapes), return_index=True)
    line = shapely.get_type_id(parts) == 1
    if not line.any():
        raise GeometryError(
            "the streets are no lines",
            wanted=f"LineStrings; of a class, where there is one: {', '.join(STREET_CLASSES)}",
        )
    words = [
        (used[c].fillna("").astype(str) if c in used.columns else pd.Series("", index=used.index)).to_numpy(
            dtype=object
        )
        for c in ("name", "class")
    ]
    moved = np.asarray(crs.project(parts[line], crs.require_crs(streets), metric), dtype=object)
    return moved, words[0][row[line]], words[1][row[line]]


def _from_junction_to_junction(
    lines: NDArray[Any], name: NDArray[Any], kind: NDArray[Any]
) -> tuple[NDArray[Any], Ints]:
    """The lines cut wherever they meet and joined where only two of one street do; the row of a line of that street."""
    # To the tenth of a millimetre: ends that meet in degrees are some nanometres apart in metres.
    pieces = shapely.get_parts(shapely.union_all(shapely.set_precision(lines, 1e-4), grid_size=1e-4))
    middles = shapely.line_interpolate_point(pieces, 0.5, normalized=True)
    owner = shapely.STRtree(lines).query_nearest(middles, all_matches=False)[1]
    ends = np.column_stack([shapely.get_coordinates(shapely.get_point(pieces, k)) for k in (0, -1)]).reshape(-1, 2)
    node = np.unique(ends.round(3), axis=0, return_inverse=True)[1].reshape(-1)
    piece = np.repeat(np.arange(len(pieces)), 2)
    street = np.unique(np.array([f"{n}\0{k}" for n, k in zip(name, kind, strict=True)]), return_inverse=True)[1][owner]
    order = np.argsort(node, kind="stable")
    first = order[np.flatnonzero(np.bincount(node)[node[order]] == 2)][::2]
    second = order[np.flatnonzero(np.bincount(node)[node[order]] == 2)][1::2]
    same = street[piece[first]] == street[piece[second]]
    joins = coo_array((np.ones(same.sum()), (piece[first[same]], piece[second[same]])), shape=(len(pieces),) * 2)
    group = connected_components(joins, directed=False)[1]
    order = np.argsort(group, kind="stable")
    begins = np.flatnonzero(np.diff(group[order], prepend=-1))
    merged = [shapely.line_merge(shapely.multilinestrings(part)) for part in np.split(pieces[order], begins[1:])]
    return np.array(merged, dtype=object), np.asarray(owner[order[begins]], dtype=np.int64)


def _pieces(lines: NDArray[Any]) -> tuple[Floats, Ints]:
    """The middles of equal pieces of each line, no longer than a metre, and whose they are."""
    count = np.maximum(np.ceil(shapely.length(lines) / _PIECE_M), 1).astype(np.int64)
    whose = np.repeat(np.arange(len(lines)), count)
    nth = np.arange(len(whose)) - np.repeat(np.cumsum(count) - count, count)
    points = shapely.line_interpolate_point(lines[whose], (nth + 0.5) / count[whose], normalized=True)
    return shapely.get_coordinates(points), whose


def _walked(
    clean: pd.DataFrame, metric: pyproj.CRS, days: int | Sequence[int], start: Day | None, end: Day | None
) -> tuple[Lines, tuple[Days, Days]]:
    lines = lines_of(clean, metric)
    first, last = period(lines.day, start, end)
    return lines.within(first, last), windows(first, last, days)


def _near(shapes: NDArray[Any], lines: Lines, day: np.datetime64, metres: float) -> NDArray[np.bool_]:
    """Which shapes a track of that day came within so many metres of."""
    tree = shapely.STRtree(lines.take(lines.day == day).shapes())
    near = np.zeros(len(shapes), dtype=bool)
    near[tree.query(shapes, predicate="dwithin", distance=metres)[0]] = True
    return near


def _any(daily: dict[Any, NDArray[np.bool_]], first: Any, last: Any, count: int) -> NDArray[np.bool_]:
    days = [passed for day, passed in daily.items() if first <= day <= last]
    return np.logical_or.reduce(days) if days else np.zeros(count, dtype=bool)


def _used(clean: pd.DataFrame, days: int | Sequence[int], parameters: Parameters, *names: str) -> dict[str, Any]:
    lengths = window_lengths(days)
    span = lengths[0] if len(lengths) == 1 else lengths
    return {**clean.attrs["parameters"], "days": span, **parameters.as_dict(*names)}
