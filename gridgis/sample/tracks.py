"""Walks of grid workers, recorded at 1 Hz by phones that are a few metres off.

A worker goes from door to door and along the streets of the own grid, always to what is near and not yet visited; the
second walk of a day goes on where the first one ended. The noise is that of a phone: it drifts rather than jumps, so
that the recorded length is about 1.6 times the walk.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra

from gridgis.sample.plane import SEED, to_degrees, to_plan
from gridgis.sample.staff import DAYS

_CELL_M = 10.0
_INSET_M = 9.0
_SPEED_MPS = 1.15
_NOISE_M = 2.8
_DRIFT_S = 12.0

#: Minutes of each walk: walker, day, morning and afternoon. One is too short, one is missing, one is a day of leave.
MINUTES = (
    ((68, 72), (66, 70), (71, 67)),
    ((66, 35), (69, 68), (67, 70)),
    ((70, 66), (0, 0), (68, 69)),
    ((67, 71), (72, 66), (66, 0)),
)
_STARTS = ("08:40", "14:10")


class Walkable(NamedTuple):
    """Places to stand on in a grid (metres), the ways between them, and the ones to call at."""

    xy: NDArray[np.float64]
    ways: csr_array
    calls: NDArray[np.int64]


def make_tracks(
    walking: list[tuple[str, str]],
    grids: gpd.GeoDataFrame,
    barriers: gpd.GeoDataFrame,
    buildings: gpd.GeoDataFrame,
    water: gpd.GeoDataFrame,
) -> pd.DataFrame:
    """Fixes of the walkers: staff, time (UTC), lon, lat, accuracy (metres)."""
    ground = dict(zip(grids["code"], to_plan(grids.geometry.to_numpy()), strict=True))
    on_foot = barriers[barriers["class"].isin(["main", "secondary", "lane"])]
    streets, houses, wet = (to_plan(frame.geometry.to_numpy()) for frame in (on_foot, buildings, water))
    pieces = []
    for number, (who, code) in enumerate(walking):
        rng = np.random.default_rng([SEED, 6, number])
        place = _walkable(ground[code], streets, houses, wet)
        for day, minutes in zip(DAYS, MINUTES[number], strict=True):
            pieces += _walks_of_a_day(place, day, minutes, rng, who)
    fixes = pd.concat(pieces, ignore_index=True).sort_values(["staff", "time"], ignore_index=True)
    points = to_degrees(shapely.points(fixes.pop("x").to_numpy(), fixes.pop("y").to_numpy()))
    fixes["time"] = fixes["time"].dt.as_unit("us")
    columns = fixes.assign(lon=shapely.get_x(points), lat=shapely.get_y(points))
    return columns[["staff", "time", "lon", "lat", "accuracy"]]


def _walkable(grid: Any, streets: Any, houses: Any, wet: Any) -> Walkable:
    """A lattice of places inside the grid, off buildings and water; ways along streets are preferred."""
    land = grid.difference(shapely.union_all(shapely.buffer(wet, 2.0)))
    inner = max(shapely.get_parts(land.buffer(-_INSET_M)), key=lambda part: part.area)
    west, south, east, north = inner.bounds
    x, y = np.meshgrid(np.arange(west, east, _CELL_M), np.arange(south, north, _CELL_M))
    built = shapely.union_all(shapely.buffer(houses[shapely.intersects(houses, grid)], 1.0))
    free = shapely.contains_xy(inner, x, y) & ~shapely.contains_xy(built, x, y)
    near = shapely.dwithin(shapely.points(x, y), shapely.union_all(streets), 1.5 * _CELL_M)
    return _largest(x, y, free, np.where(near, 0.6, 1.0), houses[shapely.within(houses, grid)])


def _largest(
    x: NDArray[np.float64], y: NDArray[np.float64], free: NDArray[np.bool_], cost: NDArray[np.float64], houses: Any
) -> Walkable:
    """The lattice as a graph of eight neighbours; what cannot be reached from its middle is left out."""
    rows, columns = x.shape
    index = np.arange(rows * columns).reshape(rows, columns)
    starts, ends, lengths = [], [], []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        left = (slice(0, rows - down), slice(max(0, -right), columns - max(0, right)))
        there = (slice(down, rows), slice(max(0, right), columns + min(0, right)))
        both = free[left] & free[there]
        starts.append(index[left][both])
        ends.append(index[there][both])
        lengths.append((np.hypot(down, right) * _CELL_M * (cost[left] + cost[there]) / 2)[both])
    start, end, length = np.concatenate(starts), np.concatenate(ends), np.concatenate(lengths)
    ways = csr_array(coo_array((length, (start, end)), shape=(x.size, x.size)))
    xy = np.column_stack([x.ravel(), y.ravel()])
    open_cells = np.flatnonzero(free.ravel())
    middle = open_cells[np.argmin(np.hypot(*(xy[open_cells] - xy[open_cells].mean(axis=0)).T))]
    reached = np.isfinite(dijkstra(ways, directed=False, indices=middle))
    kept = np.flatnonzero(reached)
    doors = shapely.get_coordinates(shapely.centroid(houses))
    calls = [int(np.argmin(np.hypot(*(xy[kept] - door).T))) for door in doors]
    # Besides the doors every fifth place in both directions, so that yards, parks and streets are seen as well.
    spread = np.flatnonzero((kept // columns % 5 == 2) & (kept % columns % 5 == 2))
    return Walkable(xy[kept], csr_array(ways[kept][:, kept]), np.unique([*calls, *spread]).astype(np.int64))


def _walks_of_a_day(
    place: Walkable, day: str, minutes: tuple[int, int], rng: np.random.Generator, who: str
) -> list[pd.DataFrame]:
    """The morning's and the afternoon's walk of one day."""
    waiting = set(place.calls.tolist())
    at = int(rng.choice(place.calls))
    found = []
    for start, length in zip(_STARTS, minutes, strict=True):
        if not length:
            continue
        seconds = length * 60 + int(rng.integers(0, 50))
        path, at = _path(place, at, waiting, seconds * _SPEED_MPS, rng)
        begin = pd.Timestamp(f"{day}T{start}:00", tz="Asia/Shanghai") + pd.Timedelta(seconds=int(rng.integers(0, 900)))
        found.append(_recorded(path, seconds, begin.tz_convert("UTC"), rng, who))
    return found


def _path(
    place: Walkable, at: int, waiting: set[int], length: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], int]:
    """A walk of about `length` metres from call to call; `waiting` shrinks as calls are made."""
    cells, walked = [at], 0.0
    while walked < length:
        if not waiting:
            waiting.update(place.calls.tolist())
        waiting.discard(at)
        away, before = dijkstra(place.ways, directed=False, indices=at, return_predecessors=True)
        goals = np.array(sorted(waiting), dtype=np.int64)
        if len(goals) == 0:
            break
        nearest = goals[np.argsort(away[goals], kind="stable")[:2]]
        goal = int(nearest[0] if len(nearest) < 2 or rng.random() < 0.85 else nearest[1])
        leg = [goal]
        while leg[-1] != at:
            leg.append(int(before[leg[-1]]))
        leg.reverse()
        cells += leg[1:]
        walked += float(np.hypot(*np.diff(place.xy[leg], axis=0).T).sum())
        waiting.difference_update(leg)
        at = goal
    return place.xy[cells], at


def _recorded(
    path: NDArray[np.float64], seconds: int, begin: pd.Timestamp, rng: np.random.Generator, who: str
) -> pd.DataFrame:
    """The walk as a phone records it, one fix a second, in metres of the plan."""
    corners = _rounded_off(path)
    marks = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    speed = _SPEED_MPS * (1 + 0.12 * _drift(seconds, 60.0, rng))
    # Now and then a halt at a door.
    for halt in rng.choice(seconds, seconds // 600, replace=False):
        speed[halt : halt + int(rng.integers(15, 45))] = 0.0
    along = np.cumsum(np.clip(speed, 0.0, 1.7))
    true = np.column_stack([np.interp(along, marks, corners[:, axis]) for axis in (0, 1)])
    noise = np.column_stack([_drift(seconds, _DRIFT_S, rng), _drift(seconds, _DRIFT_S, rng)]) * _NOISE_M
    accuracy = np.round(np.clip(5.0 + 1.2 * _drift(seconds, 120.0, rng), 3.0, 12.0), 1)
    times = begin + pd.to_timedelta(np.arange(seconds), unit="s")
    measured = true + noise
    return pd.DataFrame({"staff": who, "time": times, "x": measured[:, 0], "y": measured[:, 1], "accuracy": accuracy})


def _rounded_off(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners of the lattice rounded off by a moving mean; both ends stay."""
    if len(path) < 5:
        return path
    padded = np.vstack([path[:1], path, path[-1:]])
    return np.asarray((padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4)


def _drift(count: int, memory_s: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise of standard deviation 1 that forgets itself in `memory_s` seconds (an autoregression of order 1)."""
    keep = float(np.exp(-1.0 / memory_s))
    shocks = rng.standard_normal(count) * np.sqrt(1 - keep**2)
    shocks[0] /= np.sqrt(1 - keep**2)
    return np.asarray(lfilter([1.0], [1.0, -keep], shocks), dtype=np.float64)
