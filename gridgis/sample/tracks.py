"""Walks of grid workers, recorded at 1 Hz by phones that are a few metres off.

A worker has a round through the own grid, from door to door and along the streets; each day's walks go on from another
place of it. The noise is that of a phone: it drifts rather than jumps, so that the recorded length is about 1.6 times
the walk.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra

from gridgis.sample.plane import SEED, to_plan
from gridgis.sample.staff import DAYS, LAST_DAY, LEAVE, STORM_DAY

_CELL_M = 10.0
_INSET_M = 9.0
_SPEED_MPS = 1.15
_NOISE_M = 2.8
_DRIFT_S = 12.0
_STARTS = ("08:40", "14:10")
#: How far along the round each day begins behind the day before, as a share of it.
_NEXT_DAY = 0.37

#: Minutes of walks that are not of the usual length: (walker, day, half of the day); 0 where there is none.
ODD_MINUTES = {(1, "2026-03-02", 1): 35, (3, "2026-03-04", 1): 0}
_STORM_MINUTES = (22, 0)


class Walk(NamedTuple):
    """One walk: number of the walker, day, half of the day (0, 1), time in UTC (seconds), places (metres), accuracy."""

    walker: int
    day: str
    half: int
    seconds: NDArray[np.int64]
    xy: NDArray[np.float64]
    accuracy: NDArray[np.float64]


class Round(NamedTuple):
    """The round of one worker: its corners (metres, closed), metres along it, and the places called at."""

    corners: NDArray[np.float64]
    marks: NDArray[np.float64]
    calls: NDArray[np.float64]

    def at(self, along: NDArray[np.float64]) -> NDArray[np.float64]:
        """Places so many metres along the round, which goes on and on."""
        there = np.mod(along, self.marks[-1])
        return np.column_stack([np.interp(there, self.marks, self.corners[:, axis]) for axis in (0, 1)])


def make_rounds(
    codes: list[str],
    grids: gpd.GeoDataFrame,
    barriers: gpd.GeoDataFrame,
    buildings: gpd.GeoDataFrame,
    water: gpd.GeoDataFrame,
) -> list[Round]:
    """The round of each grid."""
    ground = dict(zip(grids["code"], to_plan(grids.geometry.to_numpy()), strict=True))
    on_foot = barriers[barriers["class"].isin(["main", "secondary", "lane"])]
    streets, houses, wet = (to_plan(frame.geometry.to_numpy()) for frame in (on_foot, buildings, water))
    return [_round(_walkable(ground[code], streets, houses, wet)) for code in codes]


def make_walks(rounds: list[Round]) -> Iterator[Walk]:
    """All walks of all walkers, without faults."""
    for walker, its in enumerate(rounds):
        rng = np.random.default_rng([SEED, 6, walker])
        away = {day for number, day in LEAVE if number == walker}
        along = 0.0
        for number, day in enumerate(DAYS):
            along = number * _NEXT_DAY * its.marks[-1]
            for half in (0, 1):
                minutes = _STORM_MINUTES[half] if day == STORM_DAY else 63 + int(rng.integers(0, 8))
                minutes = ODD_MINUTES.get((walker, day, half), minutes)
                late = int(rng.integers(0, 900))
                gone = walker == len(rounds) - 1 and day > LAST_DAY
                if minutes and day not in away and not gone:
                    walk = _recorded(its, along, minutes * 60, rng)
                    along += walk[2]
                    begin = pd.Timestamp(f"{day}T{_STARTS[half]}:00", tz="Asia/Shanghai").timestamp() + late
                    yield Walk(walker, day, half, int(begin) + np.arange(minutes * 60), walk[0], walk[1])


def _recorded(
    its: Round, start: float, seconds: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Places and accuracy as a phone records them, one fix a second, and the metres walked."""
    speed = _SPEED_MPS * (1 + 0.12 * drift(seconds, 60.0, rng))
    # Now and then a halt at a door.
    for halt in rng.choice(seconds, seconds // 600, replace=False):
        speed[halt : halt + int(rng.integers(15, 45))] = 0.0
    along = np.cumsum(np.clip(speed, 0.0, 1.7))
    noise = np.column_stack([drift(seconds, _DRIFT_S, rng), drift(seconds, _DRIFT_S, rng)]) * _NOISE_M
    accuracy = np.asarray(np.round(np.clip(5.0 + 1.2 * drift(seconds, 120.0, rng), 3.0, 12.0), 1), dtype=np.float64)
    return its.at(start + along) + noise, accuracy, float(along[-1])


def drift(count: int, memory_s: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise of standard deviation 1 that forgets itself in `memory_s` seconds (an autoregression of order 1)."""
    keep = float(np.exp(-1.0 / memory_s))
    shocks = rng.standard_normal(count) * np.sqrt(1 - keep**2)
    shocks[0] /= np.sqrt(1 - keep**2)
    return np.asarray(lfilter([1.0], [1.0, -keep], shocks), dtype=np.float64)


# --- rounds -----------------------------------------------------------------------------------------------------------


class _Walkable(NamedTuple):
    """Places to stand on in a grid (metres), the ways between them, and the ones to call at."""

    xy: NDArray[np.float64]
    ways: csr_array
    calls: NDArray[np.int64]


def _round(place: _Walkable) -> Round:
    """From call to call, always to the nearest that was not passed yet, and home again."""
    away, before = dijkstra(place.ways, directed=False, indices=place.calls, return_predecessors=True)
    row = {int(cell): n for n, cell in enumerate(place.calls)}
    waiting = np.ones(len(place.xy), dtype=bool)
    waiting[np.setdiff1d(np.arange(len(place.xy)), place.calls)] = False
    at = first = int(place.calls[0])
    waiting[at] = False
    cells = [at]
    while True:
        goals = np.flatnonzero(waiting)
        goal = int(goals[np.argmin(away[row[at], goals])]) if len(goals) else first
        leg = [goal]
        while leg[-1] != at:
            leg.append(int(before[row[at], leg[-1]]))
        cells += leg[-2::-1]
        waiting[leg] = False
        at = goal
        if not len(goals):
            break
    path = place.xy[cells]
    corners = np.vstack([path[:1], (path[:-2] + 2 * path[1:-1] + path[2:]) / 4, path[-1:]])
    marks = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    return Round(corners, marks, place.xy[place.calls])


def _walkable(grid: Any, streets: Any, houses: Any, wet: Any) -> _Walkable:
    """A lattice of places inside the grid, off buildings and water; ways along streets are preferred."""
    land = grid.difference(shapely.union_all(shapely.buffer(wet, 2.0)))
    inner = max(shapely.get_parts(land.buffer(-_INSET_M)), key=lambda part: part.area)
    west, south, east, north = inner.bounds
    x, y = np.meshgrid(np.arange(west, east, _CELL_M), np.arange(south, north, _CELL_M))
    built = shapely.union_all(shapely.buffer(houses[shapely.intersects(houses, grid)], 1.0))
    shapely.prepare(inner)
    shapely.prepare(built)
    free = shapely.contains_xy(inner, x, y) & ~shapely.contains_xy(built, x, y)
    close = shapely.union_all(streets[shapely.intersects(streets, grid)])
    shapely.prepare(close)
    near = shapely.dwithin(shapely.points(x, y), close, 1.5 * _CELL_M)
    return _largest(x, y, free, np.where(near, 0.6, 1.0), houses[shapely.within(houses, grid)])


def _largest(
    x: NDArray[np.float64], y: NDArray[np.float64], free: NDArray[np.bool_], cost: NDArray[np.float64], houses: Any
) -> _Walkable:
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
    return _Walkable(xy[kept], csr_array(ways[kept][:, kept]), np.unique([*calls, *spread]).astype(np.int64))
