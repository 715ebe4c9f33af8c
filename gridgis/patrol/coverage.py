"""Patrol coverage: which share of a grid's ground somebody on patrol came within sight of, and what is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, NamedTuple, TypeAlias

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray

from gridgis import crs
from gridgis.errors import InputError
from gridgis.patrol import inside
from gridgis.patrol.painting import COMPILE_FROM, Raster, filled, paint, raster_of
from gridgis.patrol.tracks import DEFAULTS, by_code, cleaned, in_time
from gridgis.profile import Parameters

Floats = NDArray[np.float64]
Days = NDArray[np.datetime64]
Day: TypeAlias = date | str | np.datetime64

#: Side of the cells, in metres.
CELL_M = 2.0

#: How far the covered share may be off (4.4e-4 in 40 seeded cases against the exact union of the segments'
#: surroundings, from 0.02 km²); a share nearer than this to its pass mark is undecided.
SHARE_ERROR = 5e-4

#: A narrow sight is painted in finer cells: at least this many to its radius.
_CELLS_TO_SIGHT = 4

#: More cells in one grid than this are refused (at 2 m, a grid of 200 km² within its box).
_MOST_CELLS = 50_000_000


class _Ground(NamedTuple):
    """The ground of one grid: its outline and area, its cells, and what share of each of them is ground."""

    shape: Any
    area: float
    raster: Raster
    rows: NDArray[np.int64]  # positions of the cells with ground in the flattened raster
    share: Floats


def patrol_coverage(
    fixes: pd.DataFrame,
    grids: gpd.GeoDataFrame,
    *,
    sight: float = DEFAULTS.sight_m,
    days: int | Sequence[int] = 1,
    obstacles: gpd.GeoDataFrame | gpd.GeoSeries | None = None,
    cell: float = CELL_M,
    start: Day | None = None,
    end: Day | None = None,
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
    cell : float
        Side of the cells, metres; finer where `sight` is narrow (see ``attrs``).
    start, end : date, optional
        First and last local day; by default those of the fixes. A day belongs to a patrol as
        :func:`~gridgis.patrol.tracks.clean_tracks` has it: the local day on which it began.
    parameters : Parameters
        `ground`, `full_share`, and those of the cleaning.

    Returns
    -------
    DataFrame
        grid, from, to (dates, both included), share (fraction of 1), covered_m2, ground_m2, undecided (whether the
        share is nearer to `parameters.full_share` than the error of the method), sorted by grid, length and from; a row
        for every grid and window, walked or not. Where the period is shorter than `days` there is one, cut to it.
        A grid without ground has no share (NaN). ``attrs["parameters"]`` says how it was measured.

    Raises
    ------
    InputError
        No fixes and no `start` and `end`; a sight or cell that is not above 0; a `ground` that is not an area.
    CRSError, SchemaError
        Grids or obstacles without CRS, grids without code, fixes without a column.

    Notes
    -----
    The least squared distance of each cell's centre to the segments is painted into an array for each grid and day;
    the edge of what is seen is antialiased, and the share of ground in a cell is exact. Against the exact union of
    the segments' surroundings the share errs by less than 5e-4 for grids from 0.02 km². Only lines between fixes of a
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
    lengths = sorted({days}) if isinstance(days, int) else sorted(set(days))
    _check_sizes(sight, lengths, cell)
    clean = cleaned(fixes, parameters)
    metric = crs.metric_crs(grids)
    cell = min(cell, sight / _CELLS_TO_SIGHT)
    lines, when = _lines(clean, metric)
    first, last = _period(when, start, end)
    starts, ends = _windows(first, last, lengths)
    use = (when >= first) & (when <= last)
    lines, when = lines[use], when[use]
    frames = []
    for code, ground, near in _grids(grids, lines, metric, sight, obstacles, cell, parameters):
        seen = _daily(ground, lines[near], when[near], sight, _compiled(lines))
        shares = _shares(ground, seen, starts, ends)
        frames.append(
            pd.DataFrame(
                {
                    "grid": pd.Series([code] * len(starts), dtype=object),
                    "from": starts.astype("datetime64[us]"),
                    "to": ends.astype("datetime64[us]"),
                    "share": shares,
                    "covered_m2": np.nan_to_num(shares) * ground.area,
                    "ground_m2": ground.area,
                }
            )
        )
    out = pd.concat(frames, ignore_index=True)
    out["undecided"] = (out["share"] - parameters.full_share).abs() <= SHARE_ERROR
    out.attrs["parameters"] = _used(clean, sight, lengths, cell, obstacles, parameters)
    return out


def _windows(first: np.datetime64, last: np.datetime64, lengths: Sequence[int]) -> tuple[Days, Days]:
    """First and last day of every window of each length; one, cut to the period, where that is shorter."""
    day = np.timedelta64(1, "D")
    starts = [np.arange(first, max(last - (n - 1) * day, first) + day) for n in lengths]
    ends = [np.minimum(s + (n - 1) * day, last) for s, n in zip(starts, lengths, strict=True)]
    return np.concatenate(starts), np.concatenate(ends)


def holes(
    fixes: pd.DataFrame,
    grids: gpd.GeoDataFrame,
    *,
    sight: float = DEFAULTS.sight_m,
    obstacles: gpd.GeoDataFrame | gpd.GeoSeries | None = None,
    cell: float = CELL_M,
    start: Day | None = None,
    end: Day | None = None,
    min_area_m2: float = 0.0,
    parameters: Parameters = DEFAULTS,
) -> gpd.GeoDataFrame:
    """The ground that nobody on patrol came within sight of from `start` to `end`, as polygons.

    Parameters are those of :func:`patrol_coverage`; holes smaller than `min_area_m2` are left out and counted.

    Returns
    -------
    GeoDataFrame
        grid, area_m2, geometry (Polygon), in the CRS of `grids`, the largest first. ``attrs`` holds `parameters` and
        `left_out` (count of those too small).

    Raises
    ------
    InputError, CRSError, SchemaError
        As :func:`patrol_coverage`.

    Notes
    -----
    Outlines follow the cells, and the grid's own border where they meet it: no corner is more than about one cell
    off. A cell is seen when its centre is.
    """
    _check_sizes(sight, [1], cell)
    clean = cleaned(fixes, parameters)
    metric = crs.metric_crs(grids)
    cell = min(cell, sight / _CELLS_TO_SIGHT)
    lines, when = _lines(clean, metric)
    first, last = _period(when, start, end)
    lines = lines[(when >= first) & (when <= last)]
    codes: list[str] = []
    parts: list[NDArray[Any]] = []
    for code, ground, near in _grids(grids, lines, metric, sight, obstacles, cell, parameters):
        unseen = np.zeros(ground.raster.rows * ground.raster.columns, dtype=bool)
        least = paint(lines[near], ground.raster, sight + cell / 2, _compiled(lines)).ravel()
        unseen[ground.rows] = least[ground.rows] > sight * sight
        found = _outlines(unseen.reshape(ground.raster.rows, -1), ground)
        codes += [code] * len(found)
        parts.append(found)
    shapes = np.concatenate(parts) if parts else np.empty(0, dtype=object)
    area = shapely.area(shapes)
    order = np.lexsort((np.arange(len(area)), -area))
    large = order[area[order] >= min_area_m2]
    out = gpd.GeoDataFrame(
        {"grid": pd.Series(codes, dtype=object).iloc[large].to_numpy(), "area_m2": area[large]},
        geometry=crs.project(shapes[large], metric, crs.require_crs(grids)),
        crs=grids.crs,
    )
    out.attrs["left_out"] = len(order) - len(large)
    out.attrs["parameters"] = _used(clean, sight, [1], cell, obstacles, parameters) | {"min_area_m2": min_area_m2}
    return out


def _check_sizes(sight: float, days: Sequence[int], cell: float) -> None:
    for name, value in (("sight", sight), ("cell", cell)):
        if not 0 < value < np.inf:
            raise InputError(f"the {name} must be above 0 m", found=repr(value))
    if not days or days[0] < 1:
        raise InputError("a window has at least one day", found=", ".join(map(repr, days)))


def _compiled(lines: Floats) -> bool:
    # Decided once for the whole run: many small grids and days make a long loop, too.
    return len(lines) >= COMPILE_FROM


def _used(
    clean: pd.DataFrame, sight: float, days: Sequence[int], cell: float, obstacles: Any, parameters: Parameters
) -> dict[str, Any]:
    return {
        **clean.attrs["parameters"],
        "sight_m": sight,
        "days": days[0] if len(days) == 1 else list(days),
        "cell_m": cell,
        "full_share": parameters.full_share,
        "ground": "area" if obstacles is None else parameters.ground,
        "share_error": SHARE_ERROR,
    }


def _lines(clean: pd.DataFrame, metric: pyproj.CRS) -> tuple[Floats, Days]:
    """What was walked: both ends of each segment's steps (n, 4), in metres, and their local days.

    A fix that stands alone is a step without length.
    """
    clean = in_time(clean[clean["kept"]])
    xy = inside.metres_of(clean, metric)
    segment = clean["segment"].to_numpy()
    same = segment[1:] == segment[:-1]
    alone = ~(np.append(same, False) | np.append(False, same)[: len(segment)])
    a = np.concatenate([np.flatnonzero(same), np.flatnonzero(alone)])
    b = np.concatenate([np.flatnonzero(same) + 1, np.flatnonzero(alone)])
    days = clean["date"].to_numpy().astype("datetime64[D]")
    return np.column_stack([xy[a], xy[b]]), days[a]


def _period(when: Days, start: Day | None, end: Day | None) -> tuple[np.datetime64, np.datetime64]:
    if len(when) == 0 and (start is None or end is None):
        raise InputError(
            "no fix is left after cleaning, so the period is unknown", remedy="Name it by its first and last day."
        )
    first = when.min() if start is None else np.datetime64(pd.Timestamp(start), "D")
    last = when.max() if end is None else np.datetime64(pd.Timestamp(end), "D")
    if last < first:
        raise InputError("the period ends before it begins", found=f"{first} to {last}")
    return first, last


def _grids(
    grids: gpd.GeoDataFrame,
    lines: Floats,
    metric: pyproj.CRS,
    sight: float,
    obstacles: gpd.GeoDataFrame | gpd.GeoSeries | None,
    cell: float,
    parameters: Parameters,
) -> Iterator[tuple[str, _Ground, NDArray[np.int64]]]:
    """One grid after the other: its code, its ground, and which lines come near it."""
    if parameters.ground not in ("area", "walkable"):
        raise InputError("this ground has no area", found=repr(parameters.ground), wanted="area or walkable")
    ordered = by_code(grids)
    shapes = inside.grid_shapes(ordered, metric)
    blocked = _obstacles(obstacles, metric) if parameters.ground == "walkable" else np.empty(0, dtype=object)
    tree = shapely.STRtree(blocked)
    low, high = np.minimum(lines[:, :2], lines[:, 2:]), np.maximum(lines[:, :2], lines[:, 2:])
    for code, shape in zip(ordered["code"].astype(str), shapes, strict=True):
        ground = _ground(code, shape, blocked[np.sort(tree.query(shape))], cell)
        box = shapely.bounds(shape) + np.array([-1, -1, 1, 1]) * (sight + cell)
        near = ((high >= box[:2]) & (low <= box[2:])).all(axis=1)
        yield code, ground, np.flatnonzero(near)


def _obstacles(obstacles: gpd.GeoDataFrame | gpd.GeoSeries | None, metric: pyproj.CRS) -> NDArray[Any]:
    if obstacles is None:
        return np.empty(0, dtype=object)
    shapes = np.array(obstacles.geometry.array, dtype=object)
    shapes = shapes[np.isin(shapely.get_type_id(shapes), (3, 6))]
    shapes = np.asarray(crs.project(shapely.force_2d(shapes), crs.require_crs(obstacles), metric))
    faulty = ~shapely.is_valid(shapes)
    shapes[faulty] = shapely.make_valid(shapes[faulty], method="structure", keep_collapsed=False)
    return shapes


def _ground(code: str, shape: Any, blocked: NDArray[Any], cell: float) -> _Ground:
    if len(blocked):
        shape = shapely.difference(shape, shapely.union_all(blocked))
    if shapely.is_empty(shape):
        return _Ground(shape, 0.0, Raster(0.0, 0.0, cell, 1, 1), np.empty(0, dtype=np.int64), np.empty(0))
    raster = raster_of(shape, cell)
    if raster.rows * raster.columns > _MOST_CELLS:
        raise InputError(
            f"grid {code} has more than {_MOST_CELLS:,} cells of {cell:g} m",
            found=f"{raster.rows:,} × {raster.columns:,}",
            remedy="Take larger cells, or a wider sight.",
        )
    share = filled(shape, raster).ravel()
    rows = np.flatnonzero(share > 0)
    return _Ground(shape, float(shapely.area(shape)), raster, rows, share[rows])


def _daily(ground: _Ground, lines: Floats, when: Days, sight: float, compiled: bool) -> dict[np.datetime64, Floats]:
    """For each walked day, which share of each cell with ground was seen; the edge of sight is antialiased."""
    cell = ground.raster.cell
    seen = {}
    for day in np.unique(when):
        least = paint(lines[when == day], ground.raster, sight + cell / 2, compiled).ravel()[ground.rows]
        seen[day] = np.clip((sight - np.sqrt(least)) / cell + 0.5, 0.0, 1.0)
    return seen


def _shares(ground: _Ground, seen: dict[np.datetime64, Floats], starts: Days, ends: Days) -> Floats:
    """Share of the ground seen in each window: a cell counts as on the day on which most of it was seen."""
    shares = np.full(len(starts), np.nan if ground.area == 0 else 0.0)
    whole = ground.share.sum()
    for k, (first, last) in enumerate(zip(starts, ends, strict=True)):
        days = [cells for day, cells in seen.items() if first <= day <= last]
        if days and whole > 0:
            shares[k] = min(float((np.maximum.reduce(days) * ground.share).sum() / whole), 1.0)
    return shares


def _outlines(unseen: NDArray[np.bool_], ground: _Ground) -> NDArray[Any]:
    """The unseen cells as polygons, cut to the ground."""
    if not unseen.any():
        return np.empty(0, dtype=object)
    flat = np.pad(unseen, ((0, 0), (1, 1))).astype(np.int8)
    row, begin = np.nonzero(np.diff(flat, axis=1) == 1)
    _, stop = np.nonzero(np.diff(flat, axis=1) == -1)
    raster = ground.raster
    left, right = raster.x + begin * raster.cell, raster.x + stop * raster.cell
    bottom = raster.y + row * raster.cell
    cells = shapely.union_all(shapely.box(left, bottom, right, bottom + raster.cell))
    parts = shapely.get_parts(shapely.intersection(cells, ground.shape))
    return np.asarray(parts[shapely.get_type_id(parts) == 3], dtype=object)
