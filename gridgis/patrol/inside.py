"""How much of a walk lies inside a grid: the steps of the cleaned line, clipped exactly."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray

from gridgis import crs

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Steps(NamedTuple):
    """Straight steps from fix to fix: whose session, where from and to (metres), how long they took (seconds)."""

    session: Ints
    start: Floats  # (n, 2)
    end: Floats  # (n, 2)
    seconds: Floats

    @property
    def metres(self) -> Floats:
        return np.asarray(np.hypot(*(self.end - self.start).T), dtype=float)

    def lines(self, rows: Ints) -> NDArray[Any]:
        return np.asarray(shapely.linestrings(np.stack([self.start[rows], self.end[rows]], axis=1)))


def metres_of(fixes: pd.DataFrame, metric: pyproj.CRS) -> Floats:
    """Positions in `metric`, an (n, 2) array; a position that cannot be projected is put very far away."""
    move = crs.transformer(crs.WGS84, metric)
    xy = np.column_stack(move.transform(fixes["lon"].to_numpy(dtype=float), fixes["lat"].to_numpy(dtype=float)))
    return np.where(np.isfinite(xy), xy, 1e9)


def moments_of(fixes: pd.DataFrame) -> NDArray[np.datetime64]:
    """Times in UTC, to the microsecond; NaT where missing."""
    return np.asarray(fixes["time"].dt.tz_convert("UTC").dt.tz_localize(None), dtype="datetime64[us]")


def seconds_of(fixes: pd.DataFrame) -> Floats:
    """Times as seconds since 1970, to the microsecond; none may be missing."""
    return moments_of(fixes).astype(np.int64) / 1e6


def raw_metres(fixes: pd.DataFrame, xy: Floats, gap_s: float) -> pd.Series:
    """Metres of the line through all fixes of each session as they were recorded, gaps left out."""
    session, seconds = fixes["session"].to_numpy(), seconds_of(fixes)
    joined = (session[1:] == session[:-1]) & (session[1:] >= 0) & (np.diff(seconds) <= gap_s)
    length = np.hypot(*np.diff(xy, axis=0).T)
    return pd.Series(length[joined]).groupby(session[1:][joined]).sum()


def cleaned_steps(fixes: pd.DataFrame, xy: Floats) -> Steps:
    """The steps of the cleaned line of each segment.

    Its vertices are the fixes flagged `moving`; a step without length holds the time that a segment goes on after
    its last vertex, so that the seconds of a segment's steps add to its duration.
    """
    used = np.flatnonzero(fixes["kept"].to_numpy())
    segment, moving = fixes["segment"].to_numpy()[used], fixes["moving"].to_numpy()[used]
    if len(used) == 0:
        return Steps(np.empty(0, dtype=np.int64), np.empty((0, 2)), np.empty((0, 2)), np.empty(0))
    last = np.append(segment[1:] != segment[:-1], True)
    # Where the phone was at each fix, by the cleaned line: at the vertex before it.
    vertex = np.maximum.accumulate(np.where(moving, np.arange(len(used)), 0))
    keep = moving | last
    rows, at = used[keep], used[vertex[keep]]
    same = segment[keep][1:] == segment[keep][:-1]
    seconds = np.diff(seconds_of(fixes)[rows])[same]
    return Steps(fixes["session"].to_numpy()[rows][1:][same], xy[at][:-1][same], xy[at][1:][same], seconds)


def near_pairs(steps: Steps, shapes: NDArray[Any]) -> tuple[Ints, Ints]:
    """Pairs (step, grid) whose boxes meet."""
    low, high = np.minimum(steps.start, steps.end), np.maximum(steps.start, steps.end)
    boxes = shapely.box(low[:, 0], low[:, 1], high[:, 0], high[:, 1])
    step, grid = shapely.STRtree(shapes).query(boxes)
    return step.astype(np.int64), grid.astype(np.int64)


def inside_of(steps: Steps, shapes: NDArray[Any], step: Ints, grid: Ints) -> pd.DataFrame:
    """Metres and minutes inside, for each session and grid among the pairs (`step`, `grid`).

    Parameters
    ----------
    steps : Steps
    shapes : array of Polygon or MultiPolygon
        Grids, in the CRS of the steps.
    step, grid : (n,) int arrays
        Pairs to look at: positions in `steps` and in `shapes`.

    Returns
    -------
    DataFrame
        session, grid (position in `shapes`), inside_m, inside_min; one row for each that occurs in the pairs.

    Notes
    -----
    A step's time is spread evenly over its length. The border belongs to a grid, so a step exactly along a border
    counts for the grids on both sides; elsewhere the grids of a tiling add to their union.
    """
    order = np.argsort(grid, kind="stable")
    step, grid = step[order], grid[order]
    share = np.zeros(len(step))
    metres = steps.metres
    bounds = np.flatnonzero(np.diff(grid, prepend=-1, append=-1))
    for first, last in pairwise(bounds):
        share[first:last] = _share_inside(steps, metres, step[first:last], shapes[grid[first]])
    table = pd.DataFrame(
        {
            "session": steps.session[step],
            "grid": grid,
            "inside_m": metres[step] * share,
            "inside_min": steps.seconds[step] * share / 60,
        }
    )
    return table.groupby(["session", "grid"], as_index=False).sum()


def _share_inside(steps: Steps, metres: Floats, rows: Ints, shape: Any) -> Floats:
    """Share of each step inside one grid: prepared tests settle most, the rest are cut."""
    share = np.zeros(len(rows))
    shapely.prepare(shape)
    still = metres[rows] == 0
    spots = steps.start[rows[still]]
    share[still] = shapely.intersects_xy(shape, spots[:, 0], spots[:, 1])
    walked = np.flatnonzero(~still)
    lines = steps.lines(rows[walked])
    whole = shapely.covers(shape, lines)
    share[walked[whole]] = 1.0
    cut = ~whole & shapely.intersects(shape, lines)
    at = walked[cut]
    share[at] = np.minimum(shapely.length(shapely.intersection(lines[cut], shape)) / metres[rows[at]], 1.0)
    return share


def grid_shapes(grids: gpd.GeoDataFrame, metric: pyproj.CRS) -> NDArray[Any]:
    """The grids' geometry in `metric`, None as an empty polygon; faulty rings are mended in the copy."""
    shapes = np.array(grids.geometry.array, dtype=object)
    shapes[shapely.is_missing(shapes)] = shapely.Polygon()
    shapes = np.asarray(crs.project(shapely.force_2d(shapes), crs.require_crs(grids), metric))
    faulty = ~shapely.is_valid(shapes)
    shapes[faulty] = shapely.make_valid(shapes[faulty], method="structure", keep_collapsed=False)
    return shapes
