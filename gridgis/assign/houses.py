"""House to grid, with how it was decided; and the list of houses that somebody should look at."""

from __future__ import annotations

import warnings
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gridgis import crs
from gridgis.assign.ready import HOW, ReadyGrids
from gridgis.assign.shift import UNDO, detect_shift
from gridgis.errors import GeometryError, GridgisWarning, InputError
from gridgis.schema import codes_as_text, ids_of

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Texts = NDArray[np.object_]

#: What may be wrong with a house, the graver first.
PROBLEMS = ("no place", "outside", "nearest", "overlap", "border")


def assign_houses(
    houses: gpd.GeoDataFrame, grids: gpd.GeoDataFrame | ReadyGrids, *, within: float = 0.0
) -> gpd.GeoDataFrame:
    """The grid of each house.

    Parameters
    ----------
    houses : GeoDataFrame
        Points in any CRS; None and empty geometry is allowed (grid_how "none").
    grids : GeoDataFrame or ReadyGrids
        Valid polygons with `code`. Where they share a border or overlap, the lowest code (as text) wins. A
        :class:`~gridgis.assign.ready.ReadyGrids` made of them before is not made again.
    within : float
        Metres: a house outside all grids goes to the nearest one no further away than this.

    Returns
    -------
    GeoDataFrame
        `houses` with ``grid`` (code or None), ``grid_how`` (inside, border, nearest, none) and ``grid_distance_m``
        (metres; 0 inside and on a border, NaN for none). The same index; the geometry untouched.
        ``attrs["parameters"]`` carries within_m.

    Raises
    ------
    SchemaError, GeometryError
        If a grid has no code or is not valid, or a house is not a point.
    CRSError
        If houses or grids have no CRS.
    InputError
        If `within` is not a number ≥ 0.

    Warns
    -----
    GridgisWarning
        Where houses lie in several grids at once, because these overlap.

    Notes
    -----
    Inside and border are decided in the CRS of the grids, exactly; distances are measured in the metric CRS of the
    place (EPSG codes of :func:`gridgis.crs.metric_crs`), so they carry its scale error (up to 4e-4).

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> grids = gpd.GeoDataFrame({"code": ["B", "A"]}, geometry=[shapely.box(0, 0, 9, 9), shapely.box(9, 0, 18, 9)],
    ...                          crs=4548)
    >>> houses = gpd.GeoDataFrame({"code": ["1", "2", "3"]}, geometry=gpd.points_from_xy([4, 9, 20], [5, 5, 5]),
    ...                           crs=4548)
    >>> assign_houses(houses, grids, within=3).grid.tolist()
    ['B', 'A', 'A']
    """
    check_within(within)
    ground = ReadyGrids.of(grids)
    x, y = points_in(houses, ground)
    placed = ground.place(x, y, within=within)
    twice = ground.claimed_twice(x, y)
    if twice.any():
        warnings.warn(
            f"{int(twice.sum())} houses lie in several grids at once, because the grids overlap; the lowest code has "
            "them. gridgis validate lists the overlaps, gridgis repair mends them.",
            GridgisWarning,
            stacklevel=2,
        )
    out = houses.copy()
    out["grid"] = pd.Series(ground.coded(placed.row), index=out.index, dtype=object)
    out["grid_how"] = pd.Series(HOW[placed.how], index=out.index, dtype=object)
    out["grid_distance_m"] = placed.metres
    out.attrs["parameters"] = {**out.attrs.get("parameters", {}), "within_m": float(within)}
    return out


def check_within(within: float) -> None:
    """Raise :class:`InputError` if `within` is not a finite number of metres, 0 or more."""
    if not (np.isfinite(within) and within >= 0):
        raise InputError("within must be metres ≥ 0", found=repr(within))


def points_in(houses: gpd.GeoDataFrame, ground: ReadyGrids) -> tuple[Floats, Floats]:
    """x and y of the houses in the CRS of the grids; NaN where a house has no place."""
    if not isinstance(houses, gpd.GeoDataFrame):
        raise GeometryError(
            "houses need a place", found="a table without geometry", wanted="points, or the columns lon and lat"
        )
    source = crs.require_crs(houses, "houses")
    points = np.asarray(houses.geometry.array, dtype=object)
    wrong = ~shapely.is_missing(points) & (shapely.get_type_id(points) != 0)
    if wrong.any():
        raise GeometryError(
            "houses that are not points",
            ids=ids_of(houses, wrong, "code"),
            remedy="Assign footprints as buildings, or take a point in each.",
        )
    x, y = np.full(len(points), np.nan), np.full(len(points), np.nan)
    placed = ~(shapely.is_missing(points) | shapely.is_empty(points))
    x[placed], y[placed] = shapely.get_x(points[placed]), shapely.get_y(points[placed])
    if source != ground.crs:
        x, y = crs.transformer(source, ground.crs).transform(x, y)
    return x, y


# --- what somebody should look at -----------------------------------------------------------------------------------


def house_problems(
    placed: gpd.GeoDataFrame, grids: gpd.GeoDataFrame | ReadyGrids, told: dict[str, Any] | None = None
) -> gpd.GeoDataFrame:
    """The houses that somebody should look at: on a border, outside, without a place, in grids that overlap.

    Parameters
    ----------
    placed : GeoDataFrame
        What :func:`assign_houses` gave.
    grids : GeoDataFrame or ReadyGrids
        The same grids.
    told : dict, optional
        What :func:`~gridgis.assign.shift.detect_shift` told of these houses, if it was asked before.

    Returns
    -------
    GeoDataFrame
        One row for each such house, in the order of `placed`: ``code`` (or the row's number from 1 where houses have
        none), ``problem`` (one of :data:`PROBLEMS`: "no place", "outside", "nearest": outside and given to the nearest
        grid, "overlap", "border"), ``grids`` (on a border and in overlaps all grids that have the point, else the
        nearest), ``distance_m`` (how far outside, 0 on borders, NaN without a place), ``hint`` and the geometry.
        ``hint`` is "swapped" where latitude and longitude changed about would be inside, "gcj02" or "bd09" where all
        houses tell of that shift and this one would be inside without it; else None. Nothing is mended.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> grids = gpd.GeoDataFrame({"code": ["A"]}, geometry=[shapely.box(116, 39, 116.1, 39.1)], crs=4326)
    >>> houses = gpd.GeoDataFrame({"code": ["1", "2"]}, geometry=gpd.points_from_xy([116.05, 39.05], [39.05, 116.05]),
    ...                           crs=4326)
    >>> house_problems(assign_houses(houses, grids), grids)[["code", "problem", "hint"]].values.tolist()
    [['2', 'outside', 'swapped']]
    """
    ground = ReadyGrids.of(grids)
    x, y = points_in(placed, ground)
    there = np.isfinite(x) & np.isfinite(y)
    shapes = np.asarray(placed.geometry.array, dtype=object)
    given = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    how = placed["grid_how"].to_numpy(dtype=object)
    problem: Texts = np.full(len(placed), None, dtype=object)
    problem[how == "border"] = "border"
    problem[ground.claimed_twice(x, y)] = "overlap"
    problem[how == "nearest"] = "nearest"
    problem[how == "none"] = np.where(given[how == "none"], "outside", "no place")
    names, metres = _grids_and_metres(ground, x, y, np.isin(problem, ("border", "overlap")), there)
    rows = np.flatnonzero(problem != None)  # noqa: E711  an array of objects
    out = gpd.GeoDataFrame(
        {
            "code": _codes(placed)[rows],
            "problem": problem[rows],
            "grids": pd.Series(names[rows], dtype=object),
            "distance_m": metres[rows],
            "hint": pd.Series(_hints(placed, ground, problem, told)[rows], dtype=object),
        },
        geometry=shapes[rows],
        crs=placed.crs,
    )
    out.attrs["parameters"] = dict(placed.attrs.get("parameters", {}))
    return out


def _codes(houses: pd.DataFrame) -> Texts:
    numbers: Texts = np.array([str(n) for n in range(1, len(houses) + 1)], dtype=object)
    if "code" not in houses.columns:
        return numbers
    codes = codes_as_text(houses["code"]).to_numpy(dtype=object)
    return np.where(pd.isna(codes), numbers, codes).astype(object)


def _grids_and_metres(ground: ReadyGrids, x: Floats, y: Floats, shared: Bools, there: Bools) -> tuple[Texts, Floats]:
    """All grids of points that several have, the nearest of those outside; and metres to it."""
    names: Texts = np.full(len(x), None, dtype=object)
    metres = np.full(len(x), np.nan)
    at = np.flatnonzero(shared)
    metres[at] = 0.0
    point, row = ground.locator.candidates(x[at], y[at])
    several = pd.Series(ground.codes[row]).groupby(point).agg(";".join)
    names[at[several.index.to_numpy(dtype=np.int64)]] = several.to_numpy(dtype=object)
    outside = np.flatnonzero(there & (ground.locator.locate(x, y) < 0))
    near, row, away = ground.nearest(x[outside], y[outside])
    names[outside[near]], metres[outside[near]] = ground.codes[row], away
    return names, metres


def _hints(houses: gpd.GeoDataFrame, ground: ReadyGrids, problem: Texts, told: dict[str, Any] | None) -> Texts:
    """What would bring each house inside: see :func:`house_problems`."""
    hints: Texts = np.full(len(houses), None, dtype=object)
    outside = np.flatnonzero(np.isin(problem, ("outside", "nearest")))
    source = crs.require_crs(houses)
    if len(outside) == 0:
        return hints
    told = told or detect_shift(houses, ground)
    points = crs.project(np.asarray(houses.geometry.array, dtype=object)[outside], source, crs.WGS84)
    lon, lat = shapely.get_x(points), shapely.get_y(points)
    ways = [told["datum"]] if told is not None else []
    for datum in dict.fromkeys([*ways, *(["swapped"] if source.is_geographic else [])]):
        x, y = crs.transformer(crs.WGS84, ground.crs).transform(*UNDO[datum](lon, lat))
        free = np.array([hint is None for hint in hints[outside]])
        hints[outside[free & (ground.locator.locate(x, y) >= 0)]] = datum
    return hints
