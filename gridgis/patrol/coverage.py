"""Patrol coverage: which share of a grid's ground somebody on patrol came within sight of, and what is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray

from gridgis import crs
from gridgis.errors import InputError
from gridgis.patrol.along import buildings_coverage, streets_beside, streets_coverage
from gridgis.patrol.bracket import bracket
from gridgis.patrol.ground import (
    CELL_M,
    Centimetres,
    Ground,
    Grounds,
    check_sizes,
    distances,
    reach_of,
    seen_by_distance,
    with_area,
)
from gridgis.patrol.lines import Day, Days, Lines, Near, lines_of, period, window_lengths, windows
from gridgis.patrol.painting import COMPILE_FROM, boxes_of
from gridgis.patrol.tracks import DEFAULTS, cleaned
from gridgis.profile import Parameters

Floats = NDArray[np.float64]

#: How far the painted share may be off (1.6e-4 in the 60 seeded cases of benchmarks/patrol.py, against the exact union
#: of the segments' surroundings, from 0.015 km²); a share nearer than this to its pass mark is settled by a bracket.
SHARE_ERROR = 2e-4


def patrol_coverage(
    fixes: pd.DataFrame,
    grids: gpd.GeoDataFrame,
    *,
    sight: float = DEFAULTS.sight_m,
    days: int | Sequence[int] = 1,
    obstacles: gpd.GeoDataFrame | gpd.GeoSeries | None = None,
    streets: gpd.GeoDataFrame | None = None,
    buildings: gpd.GeoDataFrame | None = None,
    cell: float = CELL_M,
    start: Day | None = None,
    end: Day | None = None,
    marks: Sequence[float] | None = None,
    parameters: Parameters = DEFAULTS,
) -> pd.DataFrame:
    """The share of each grid's ground that was patrolled, for every window of `days` days.

    Parameters
    ----------
    fixes : DataFrame
        What :func:`gridgis.patrol.tracks.clean_tracks` returned; or fixes as read, which are then cleaned with
        `parameters`. Of all staff together: coverage asks what was seen, not by whom.
    grids : GeoDataFrame
        code and polygons, in any CRS.
    sight : float
        Metres to each side of a track that count as seen.
    days : int or sequence of int
        Length of a window, or several lengths at once. A window is the union of its days.
    obstacles : GeoDataFrame or GeoSeries, optional
        Buildings, water: polygons that are no ground to be walked. Used when `parameters.ground` is "walkable".
    streets, buildings : GeoDataFrame, optional
        Of which a share is asked when `parameters.ground` is "streets" or "buildings"; see
        :mod:`gridgis.patrol.along`. `sight` is not used then.
    cell : float
        Side of the cells, metres; finer where `sight` is narrow (see ``attrs``), twice as large in a grid of more
        than some 4 km².
    start, end : date, optional
        First and last local day; by default those of the fixes. A day belongs to a patrol as
        :func:`~gridgis.patrol.tracks.clean_tracks` has it: the local day on which it began.
    marks : sequence of float, optional
        Pass marks (shares) that will be asked for: a share near one of them is settled by a bracket. By default
        `parameters.full_share`.
    parameters : Parameters
        `ground`, `full_share`, and those of the cleaning.

    Returns
    -------
    DataFrame
        grid, from, to (dates, both included), share (fraction of 1), covered_m2, ground_m2, undecided (whether
        `parameters.full_share` lies between the bounds), low and high (bounds of the share: the error of the method,
        or near a mark a bracket of polygons drawn inside and outside what was seen), sorted by grid, length and from;
        a row for every grid and window, walked or not. Where the period is shorter than `days` there is one, cut to
        it.
        A grid without ground has no share (NaN). ``attrs["parameters"]`` says how it was measured.

    Raises
    ------
    InputError
        No fixes and no `start` and `end`; a sight or cell that is not above 0; `ground` "streets" without streets.
    CRSError, SchemaError
        Grids or obstacles without CRS, grids without code, fixes without a column.

    Notes
    -----
    The least squared distance of each cell's centre to the segments is painted into an array for each grid and day;
    the edge of what is seen is antialiased, and the share of ground in a cell is exact. Against the exact union of
    the segments' surroundings the share errs by less than 2e-4 for grids from 0.015 km². Only lines between fixes of a
    segment are walked, so gaps and jumps see nothing. Not promised: that whoever passed looked, nor that walls were
    transparent; sight goes through everything.

    Examples
    --------
    >>> import geopandas as gpd, pandas as pd, shapely
    >>> grids = gpd.GeoDataFrame({"code": ["A"]}, geometry=[shapely.box(0, 0, 300, 100)], crs="EPSG:4548")
    >>> walk = gpd.GeoSeries(gpd.points_from_xy(range(0, 301, 5), [50] * 61), crs="EPSG:4548").to_crs("EPSG:4326")
    >>> time = pd.date_range("2026-03-02T08:00+08:00", periods=61, freq="5s")
    >>> fixes = pd.DataFrame({"staff": "w1", "time": time, "lon": walk.x, "lat": walk.y})
    >>> patrol_coverage(fixes, grids)["share"].round(3).tolist()
    [0.5]
    """
    if parameters.ground == "streets":
        return streets_coverage(fixes, grids, _needed(streets, "streets"), days, start, end, parameters)
    if parameters.ground == "buildings":
        return buildings_coverage(fixes, grids, _needed(buildings, "buildings"), days, start, end, parameters)
    cell = check_sizes(sight, cell)
    lengths = window_lengths(days)
    clean = cleaned(fixes, parameters)
    grounds = Grounds(grids, cell, parameters, obstacles)
    lines = lines_of(clean, grounds.metric)
    first, last = period(lines.day, start, end)
    lines = lines.within(first, last)
    spans = windows(first, last, lengths)
    marks = [parameters.full_share] if marks is None else list(marks)
    near = Near(lines)
    frames = []
    for at in range(len(grounds)):
        ground = grounds.ground(at)
        beside = lines.take(near.rows(grounds.box(at, sight + cell)))
        daily = _daily(ground, beside, reach_of(sight, ground.raster.cell), len(lines.day) >= COMPILE_FROM)
        frames.append(window_rows(ground, daily, spans, sight, marks, beside))
    return coverage_table(frames, clean.attrs["parameters"], sight, lengths, cell, obstacles, parameters)


def _needed(layer: gpd.GeoDataFrame | None, name: str) -> gpd.GeoDataFrame:
    if layer is None:
        raise InputError(
            f"patrol coverage of {name} needs them", wanted=f"a layer of {name}", remedy=f"Name it with --{name}."
        )
    return layer


def window_rows(
    ground: Ground,
    daily: Mapping[np.datetime64, Centimetres],
    spans: tuple[Days, Days],
    sight: float,
    marks: Sequence[float],
    lines: Lines | None = None,
) -> pd.DataFrame:
    """The rows of one grid: its share in each window, and between which bounds it lies.

    Parameters
    ----------
    ground : Ground
    daily : mapping
        For each walked day how near each cell with ground was seen, in centimetres.
    spans : (starts, ends)
        Days, both included.
    sight : float
        Metres.
    marks : sequence of float
        A share within :data:`SHARE_ERROR` of one of them is settled, where `lines` are given.
    lines : Lines, optional
        What was walked near the grid.
    """
    shares = _shares(ground, daily, *spans, seen_by_distance(sight, ground.raster.cell))
    low, high = np.clip(shares - SHARE_ERROR, 0.0, 1.0), np.clip(shares + SHARE_ERROR, 0.0, 1.0)
    for k in np.flatnonzero(near_marks(shares, marks) & (lines is not None)):
        assert lines is not None  # for the types
        low[k], high[k] = bracket(ground, lines.within(spans[0][k], spans[1][k]).ends, sight)
    return pd.DataFrame(
        {
            "grid": pd.Series([ground.code] * len(shares), dtype=object),
            "from": spans[0].astype("datetime64[us]"),
            "to": spans[1].astype("datetime64[us]"),
            "share": shares,
            "covered_m2": np.nan_to_num(shares) * ground.area,
            "ground_m2": ground.area,
            "low": low,
            "high": high,
        }
    )


def near_marks(shares: Any, marks: Sequence[float]) -> NDArray[np.bool_]:
    """Which shares lie within :data:`SHARE_ERROR` of a mark.

    Examples
    --------
    >>> near_marks([0.5, 0.89999], [0.9]).tolist()
    [False, True]
    """
    apart = np.abs(np.asarray(shares, dtype=float)[:, None] - np.asarray(marks, dtype=float))
    return np.asarray((apart <= SHARE_ERROR).any(axis=1))


def coverage_table(
    frames: Sequence[pd.DataFrame],
    cleaning: Mapping[str, Any],
    sight: float,
    lengths: Sequence[int],
    cell: float,
    obstacles: Any,
    parameters: Parameters,
) -> pd.DataFrame:
    """The rows of all grids as one table with its parameters."""
    out = pd.concat(frames, ignore_index=True)
    unsure = decided(out, parameters.full_share).isna() & out["share"].notna()
    out.insert(out.columns.get_loc("low"), "undecided", unsure.to_numpy())
    out.attrs["parameters"] = measured_by(cleaning, sight, lengths, cell, obstacles, parameters)
    return out


def decided(coverage: pd.DataFrame, mark: float) -> pd.Series:
    """Whether each share reaches a mark: True, False, or NA where its bounds lie on both sides of it.

    Parameters
    ----------
    coverage : DataFrame
        As :func:`patrol_coverage` returns it; give it the marks that will be asked for. Without `low` and `high` they
        are the share less and more :data:`SHARE_ERROR`.
    mark : float
        A share of 1.

    Examples
    --------
    >>> shares = pd.DataFrame({"low": [0.4999, 0.8999, 0.9499], "high": [0.5001, 0.9, 0.9501]})
    >>> decided(shares, 0.9).tolist()
    [False, <NA>, True]
    >>> decided(pd.DataFrame({"share": [0.8999, 0.91]}), 0.9).tolist()
    [<NA>, True]
    """
    reached = pd.Series(pd.NA, index=coverage.index, dtype="boolean", name="reached")
    known = "low" in coverage.columns
    reached[(coverage["low"] if known else coverage["share"] - SHARE_ERROR) >= mark] = True
    reached[(coverage["high"] if known else coverage["share"] + SHARE_ERROR) < mark] = False
    return reached


def holes(
    fixes: pd.DataFrame,
    grids: gpd.GeoDataFrame,
    *,
    sight: float = DEFAULTS.sight_m,
    obstacles: gpd.GeoDataFrame | gpd.GeoSeries | None = None,
    streets: gpd.GeoDataFrame | None = None,
    cell: float = CELL_M,
    start: Day | None = None,
    end: Day | None = None,
    min_area_m2: float = 0.0,
    parameters: Parameters = DEFAULTS,
) -> gpd.GeoDataFrame:
    """The ground that nobody on patrol came within sight of from `start` to `end`, as polygons.

    Parameters are those of :func:`patrol_coverage`; holes smaller than `min_area_m2` are left out and counted. Where
    `parameters.ground` is streets or buildings, the ground is what is walkable.

    Returns
    -------
    GeoDataFrame
        grid, area_m2, geometry (Polygon), in the CRS of `grids`, the largest first; with `streets` also their names:
        those in a hole or within `sight` of it, the longest there first, separated by "、". ``attrs`` holds
        `parameters` and `left_out` (count of those too small).

    Raises
    ------
    InputError, CRSError, SchemaError
        As :func:`patrol_coverage`.

    Notes
    -----
    Outlines follow the cells, and the grid's own border where they meet it: no corner is more than about one cell
    off. A cell is seen when its centre is.
    """
    cell = check_sizes(sight, cell)
    clean = cleaned(fixes, parameters)
    parameters = with_area(parameters)
    grounds = Grounds(grids, cell, parameters, obstacles)
    lines = lines_of(clean, grounds.metric)
    lines = lines.within(*period(lines.day, start, end))
    near, compiled = Near(lines), len(lines.day) >= COMPILE_FROM
    found = []
    for at in range(len(grounds)):
        ground = grounds.ground(at)
        ends = lines.ends[near.rows(grounds.box(at, sight + cell))]
        least = distances(ends, ground.raster, reach_of(sight, ground.raster.cell), compiled)[ground.rows]
        found.append((ground.code, outlines(least > 100 * sight, ground)))
    out = hole_table(found, grids, grounds.metric, sight, streets, min_area_m2)
    used = measured_by(clean.attrs["parameters"], sight, [1], cell, obstacles, parameters)
    out.attrs["parameters"] = used | {"min_area_m2": min_area_m2}
    return out


def hole_table(
    found: Sequence[tuple[str, NDArray[Any]]],
    grids: gpd.GeoDataFrame,
    metric: pyproj.CRS,
    sight: float,
    streets: gpd.GeoDataFrame | None,
    min_area_m2: float = 0.0,
) -> gpd.GeoDataFrame:
    """The holes of each grid (its code, and polygons in `metric`) as one table: that of :func:`holes`."""
    codes = [code for code, parts in found for _ in parts]
    shapes = np.concatenate([np.empty(0, dtype=object), *(parts for _, parts in found)])
    area = shapely.area(shapes)
    order = np.lexsort((np.arange(len(area)), -area))
    large = order[area[order] >= min_area_m2]
    out = gpd.GeoDataFrame(
        {"grid": pd.Series(codes, dtype=object).iloc[large].to_numpy(), "area_m2": area[large]},
        geometry=crs.project(shapes[large], metric, crs.require_crs(grids)),
        crs=grids.crs,
    )
    if streets is not None:
        out.insert(2, "streets", streets_beside(shapes[large], streets, metric, sight))
    out.attrs["left_out"] = len(order) - len(large)
    return out


def measured_by(
    cleaning: Mapping[str, Any],
    sight: float,
    lengths: Sequence[int],
    cell: float,
    obstacles: Any,
    parameters: Parameters,
) -> dict[str, Any]:
    return {
        **cleaning,
        "sight_m": sight,
        "days": lengths[0] if len(lengths) == 1 else list(lengths),
        "cell_m": cell,
        "full_share": parameters.full_share,
        "ground": "area" if obstacles is None else parameters.ground,
        "share_error": SHARE_ERROR,
    }


def _daily(ground: Ground, lines: Lines, reach: float, compiled: bool) -> dict[np.datetime64, Centimetres]:
    """For each walked day, how near each cell with ground was seen."""
    return {
        day: distances(lines.ends[lines.day == day], ground.raster, reach, compiled)[ground.rows]
        for day in np.unique(lines.day)
    }


def _shares(
    ground: Ground, daily: Mapping[np.datetime64, Centimetres], starts: Days, ends: Days, seen: Floats
) -> Floats:
    """Share of the ground seen in each window; of each cell the day on which somebody came nearest counts."""
    shares = np.full(len(starts), np.nan if ground.area == 0 else 0.0)
    whole = ground.share.sum()
    for k, (first, last) in enumerate(zip(starts, ends, strict=True)):
        days = [cells for day, cells in daily.items() if first <= day <= last]
        if days and whole > 0:
            least = days[0].copy()
            for other in days[1:]:
                np.minimum(least, other, out=least)
            shares[k] = min(float((seen[least] * ground.share).sum() / whole), 1.0)
    return shares


def outlines(chosen: NDArray[np.bool_], ground: Ground) -> NDArray[Any]:
    """The chosen ones of the cells with ground as polygons, cut to the ground."""
    if not chosen.any():
        return np.empty(0, dtype=object)
    cells = np.zeros(ground.raster.rows * ground.raster.columns, dtype=bool)
    cells[ground.rows] = chosen
    drawn = shapely.union_all(boxes_of(cells.reshape(ground.raster.rows, -1), ground.raster))
    parts = shapely.get_parts(shapely.intersection(drawn, ground.shape))
    return np.asarray(parts[shapely.get_type_id(parts) == 3], dtype=object)
