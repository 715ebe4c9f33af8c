"""How near each walk came to each cell of each grid, kept by staff and day; sight and window are chosen afterwards.

A walk of four hours at 1 Hz takes some hundred kilobytes. :mod:`gridgis.files.painted` keeps them as files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray

from gridgis import crs
from gridgis.errors import InputError
from gridgis.patrol.coverage import coverage_table, outlines, window_rows
from gridgis.patrol.ground import (
    CELL_M,
    UNSEEN,
    Centimetres,
    Ground,
    Grounds,
    check_sizes,
    distances,
    reach_of,
    seen_by_distance,
    with_area,
)
from gridgis.patrol.lines import Day, Near, lines_of, period, window_lengths, windows
from gridgis.patrol.painting import COMPILE_FROM, filled
from gridgis.patrol.tracks import DEFAULTS, by_code, cleaned
from gridgis.profile import Parameters

Cells: TypeAlias = NDArray[np.int32]
Span: TypeAlias = tuple[np.datetime64, np.datetime64]

#: How far from a walk distances are kept, in metres, if nothing is said: the widest sight that may be asked for.
REACH_M = 50.0

#: The form of what is kept; another one cannot be read.
VERSION = 1

PAINTED_COLUMNS = ["staff", "date", "grid", "cells", "cm"]

_CLEANING = ("gap_s", "max_speed_mps", "dead_band_m", "timezone", "max_accuracy_m", "session_gap_s")


def paint_days(
    fixes: pd.DataFrame,
    grids: gpd.GeoDataFrame,
    *,
    reach: float = REACH_M,
    cell: float = CELL_M,
    parameters: Parameters = DEFAULTS,
) -> pd.DataFrame:
    """How near each walk came to each cell.

    Parameters
    ----------
    fixes : DataFrame
        What :func:`gridgis.patrol.tracks.clean_tracks` returned; or fixes as read, which are then cleaned.
    grids : GeoDataFrame
        code and polygons, in any CRS.
    reach : float
        Metres; the widest sight that can be asked for afterwards.
    cell : float
        Side of the cells, metres.
    parameters : Parameters
        Those of the cleaning.

    Returns
    -------
    DataFrame
        staff, date (local day of the patrol), grid, cells (positions in the grid's flattened raster, ascending), cm
        (whole centimetres from the walk to the cell's centre); a row for each staff, day and grid that was come near,
        in this order. Only cells with ground of the grid. ``attrs["key"]`` tells for which grids and parameters.
    """
    out = pd.DataFrame(paint_rows(fixes, grids, reach, cell, parameters), columns=PAINTED_COLUMNS)
    out["date"] = pd.to_datetime(out["date"]).astype("datetime64[us]")
    out = out.sort_values(["date", "staff", "grid"], kind="stable", ignore_index=True)
    out.attrs["key"] = painted_key(grids, reach, cell, parameters)
    return out


def paint_rows(
    fixes: pd.DataFrame, grids: gpd.GeoDataFrame, reach: float, cell: float = CELL_M, parameters: Parameters = DEFAULTS
) -> Iterator[tuple[str, pd.Timestamp, str, Cells, Centimetres]]:
    """The rows of :func:`paint_days` one by one, grid after grid."""
    check_sizes(reach, cell)
    clean = cleaned(fixes, parameters)
    grounds = Grounds(grids, cell, Parameters(ground="area"))
    lines = lines_of(clean, grounds.metric)
    near, compiled = Near(lines), len(lines.day) >= COMPILE_FROM
    for at in range(len(grounds)):
        beside = lines.take(near.rows(grounds.box(at, reach + cell)))
        if len(beside.day) == 0:
            continue
        raster = grounds.raster(at)
        ours = filled(grounds.shapes[at], raster).ravel() > 0
        for staff, day in sorted(set(zip(beside.staff.tolist(), beside.day.tolist(), strict=True))):
            ends = beside.ends[(beside.staff == staff) & (beside.day == np.datetime64(day))]
            cm = distances(ends, raster, reach_of(reach, raster.cell), compiled)
            cells = np.flatnonzero(ours & (cm < UNSEEN)).astype(np.int32)
            if len(cells):
                yield str(lines.names[staff]), pd.Timestamp(day), grounds.codes[at], cells, cm[cells]


def join_painted(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Painted days of different staff as one table; at least one part, all of the same grids and parameters."""
    for part in parts:
        check_key(part.attrs["key"], parts[0].attrs["key"])
    out = pd.concat([part.set_axis(part.columns, axis=1) for part in parts], ignore_index=True)
    out = out.sort_values(["date", "staff", "grid"], kind="stable", ignore_index=True)
    out.attrs["key"] = parts[0].attrs["key"]
    return out


def painted_key(
    grids: gpd.GeoDataFrame, reach: float = REACH_M, cell: float = CELL_M, parameters: Parameters = DEFAULTS
) -> dict[str, Any]:
    """What painted days depend on: a digest of the grids, and the parameters; they are of use for the same only."""
    metric = crs.metric_crs(grids)
    ordered = by_code(grids)
    digest = hashlib.sha256(metric.to_wkt().encode())
    for code, shape in zip(ordered["code"].astype(str), shapely.to_wkb(ordered.geometry.array), strict=True):
        digest.update(code.encode() + b"\0" + (shape or b""))
    used = {"reach_m": reach, "cell_m": cell, **parameters.as_dict(*_CLEANING)}
    return {"version": VERSION, "grids": digest.hexdigest()[:16], **used}


def coverage_of(
    painted: pd.DataFrame,
    grids: gpd.GeoDataFrame,
    *,
    sight: float = DEFAULTS.sight_m,
    days: int | Sequence[int] = 1,
    obstacles: gpd.GeoDataFrame | gpd.GeoSeries | None = None,
    start: Day | None = None,
    end: Day | None = None,
    parameters: Parameters = DEFAULTS,
) -> pd.DataFrame:
    """Patrol coverage from what was kept.

    Parameters are those of :func:`gridgis.patrol.coverage.patrol_coverage`, and so is the result, except that a share
    near its mark stays undecided (the lines for a bracket are not kept), and that the period is by default that of the
    days kept: one on which nobody came near a grid is not among them.

    Raises
    ------
    InputError
        A sight wider than what was kept; other grids or parameters than it was made with.
    """
    grounds, first, last = _opened(painted, grids, sight, obstacles, start, end, parameters)
    lengths = window_lengths(days)
    spans = windows(first, last, lengths)
    frames = []
    for ground, rows in _by_grid(painted, grounds, first, last):
        daily = {np.datetime64(day, "D"): _least(part, ground) for day, part in rows.groupby("date")}
        frames.append(window_rows(ground, daily, spans, sight, [parameters.full_share]))
    cleaning = {name: painted.attrs["key"][name] for name in _CLEANING}
    return coverage_table(frames, cleaning, sight, lengths, grounds.cell, obstacles, parameters)


def who_covered(
    painted: pd.DataFrame,
    grids: gpd.GeoDataFrame,
    *,
    sight: float = DEFAULTS.sight_m,
    obstacles: gpd.GeoDataFrame | gpd.GeoSeries | None = None,
    start: Day | None = None,
    end: Day | None = None,
    parameters: Parameters = DEFAULTS,
) -> pd.DataFrame:
    """Who covered what from `start` to `end`.

    Returns
    -------
    DataFrame
        grid, staff, from, to, days (on which they came within sight of it), share (of the ground that they covered),
        alone (of the ground that they covered and nobody else), sorted by grid, the largest share first.
    """
    grounds, first, last = _opened(painted, grids, sight, obstacles, start, end, with_area(parameters))
    return who_table(_by_grid(painted, grounds, first, last), grounds, (first, last), sight)


def who_table(
    by_grid: Iterable[tuple[Ground, pd.DataFrame]], grounds: Grounds, span: Span, sight: float
) -> pd.DataFrame:
    """The table of :func:`who_covered`, from the painted days of each grid."""
    found = []
    for ground, rows in by_grid:
        least = {staff: _least(part, ground) for staff, part in rows.groupby("staff", sort=True)}
        if ground.area == 0:
            continue
        seen = seen_by_distance(sight, ground.raster.cell)
        # Of each cell the nearest and the second nearest: what remains of the first is seen by one alone.
        cells = np.sort(np.stack([*least.values(), np.full(len(ground.rows), UNSEEN, dtype=np.uint16)]), axis=0)[:2]
        for staff, mine in least.items():
            share = float((seen[mine] * ground.share).sum() / ground.share.sum())
            others = np.where(mine == cells[0], cells[1] if len(cells) > 1 else UNSEEN, cells[0])
            alone = float((np.clip(seen[mine] - seen[others], 0, 1) * ground.share).sum() / ground.share.sum())
            if share > 0:
                days = rows.loc[rows["staff"] == staff, "date"].nunique()
                found.append((ground.code, staff, *map(pd.Timestamp, span), days, share, alone))
    out = pd.DataFrame(found, columns=["grid", "staff", "from", "to", "days", "share", "alone"])
    out = out.sort_values(["grid", "share", "staff"], ascending=[True, False, True], kind="stable", ignore_index=True)
    out.attrs["parameters"] = {"sight_m": sight, "cell_m": grounds.cell}
    return out


def heat(
    painted: pd.DataFrame,
    grids: gpd.GeoDataFrame,
    *,
    sight: float = DEFAULTS.sight_m,
    obstacles: gpd.GeoDataFrame | gpd.GeoSeries | None = None,
    start: Day | None = None,
    end: Day | None = None,
    parameters: Parameters = DEFAULTS,
) -> gpd.GeoDataFrame:
    """On how many days each part of the ground was seen, from `start` to `end`.

    Returns
    -------
    GeoDataFrame
        grid, days (0: never), area_m2, geometry (MultiPolygon, in the CRS of `grids`), sorted by grid and days;
        together they are the ground. Outlines follow the cells; a cell is seen when its centre is.
    """
    grounds, first, last = _opened(painted, grids, sight, obstacles, start, end, with_area(parameters))
    return heat_table(_by_grid(painted, grounds, first, last), grounds, (first, last), sight, crs.require_crs(grids))


def heat_table(
    by_grid: Iterable[tuple[Ground, pd.DataFrame]], grounds: Grounds, span: Span, sight: float, into: pyproj.CRS
) -> gpd.GeoDataFrame:
    """The table of :func:`heat`, from the painted days of each grid."""
    codes, counts, shapes = [], [], []
    for ground, rows in by_grid:
        seen = [_least(part, ground) <= 100 * sight for _, part in rows.groupby("date")]
        count = np.sum(seen, axis=0) if seen else np.zeros(len(ground.rows), dtype=np.int64)
        for days in np.unique(count):
            parts = outlines(count == days, ground)
            if len(parts):
                codes.append(ground.code)
                counts.append(int(days))
                shapes.append(shapely.multipolygons(parts))
    moved = crs.project(np.array(shapes, dtype=object), grounds.metric, into)
    out = gpd.GeoDataFrame({"grid": codes, "days": counts}, geometry=moved, crs=into)
    out.insert(2, "area_m2", shapely.area(np.array(shapes, dtype=object)))
    out.attrs["parameters"] = {"sight_m": sight, "cell_m": grounds.cell, "from": str(span[0]), "to": str(span[1])}
    return out


def check_key(kept: Mapping[str, Any], wanted: Mapping[str, Any], source: object = None) -> None:
    """Refuse painted days of other grids or parameters.

    Raises
    ------
    InputError
        It names what differs.
    """
    differing = [name for name in wanted if kept.get(name) != wanted[name]]
    if differing:
        raise InputError(
            "the painted days were made with others",
            source=source,
            found=", ".join(f"{name} {json.dumps(kept.get(name))}" for name in differing),
            wanted=", ".join(f"{name} {json.dumps(wanted[name])}" for name in differing),
            remedy="Paint the tracks again.",
        )


def _opened(
    painted: pd.DataFrame,
    grids: gpd.GeoDataFrame,
    sight: float,
    obstacles: Any,
    start: Day | None,
    end: Day | None,
    parameters: Parameters,
) -> tuple[Grounds, np.datetime64, np.datetime64]:
    key = painted.attrs.get("key")
    if key is None:
        raise InputError("these are no painted days", remedy="Make them with paint_days or read_painted.")
    check_key(key, painted_key(grids, key["reach_m"], key["cell_m"], parameters))
    check_sizes(sight, key["cell_m"])
    if sight > key["reach_m"]:
        most = f"at most {key['reach_m']:g} m"
        raise InputError("the sight is wider than what was kept", found=f"{sight:g} m", wanted=most)
    grounds = Grounds(grids, key["cell_m"], parameters, obstacles)
    return grounds, *period(painted["date"].to_numpy().astype("datetime64[D]"), start, end)


def _by_grid(
    painted: pd.DataFrame, grounds: Grounds, first: np.datetime64, last: np.datetime64
) -> Iterator[tuple[Ground, pd.DataFrame]]:
    used = painted[(painted["date"] >= pd.Timestamp(first)) & (painted["date"] <= pd.Timestamp(last))]
    groups = {str(code): rows for code, rows in used.groupby("grid", sort=False)}
    for at in range(len(grounds)):
        yield grounds.ground(at), groups.get(grounds.codes[at], used.iloc[:0])


def _least(rows: pd.DataFrame, ground: Ground) -> Centimetres:
    """Of some painted walks the least distance to each cell with ground."""
    cells = np.full(ground.raster.rows * ground.raster.columns, UNSEEN, dtype=np.uint16)
    for at, cm in zip(rows["cells"], rows["cm"], strict=True):
        cells[at] = np.minimum(cells[at], cm)
    found: NDArray[np.uint16] = cells[ground.rows]
    return found
