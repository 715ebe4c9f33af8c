"""What is to be visited and dealt with: hazard sites, care addresses, visits, matters.

A care address is an id, a house and a cadence, and no reason.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gridgis.assign.houses import assign_houses
from gridgis.crs import WGS84
from gridgis.sample.phones import SHIFTED
from gridgis.sample.plane import SEED, degrees_of
from gridgis.sample.staff import DAYS, Team
from gridgis.sample.tracks import Round, Walk
from gridgis.sample.truth import Planted

SITES_FILE, CARE_FILE, VISITS_FILE, MATTERS_FILE = "sites.geojson", "care_addresses.csv", "visits.csv", "matters.csv"

_CLASSES = ("配电房", "易涝点", "老旧电梯", "燃气调压站", "在建工地")
_CARE = 30
_MATTERS = 48
_CATEGORIES = ("治安", "安全生产", "市容环境", "环境保护", "民生服务", "城市管理", "执法协助", "代办服务")
#: The site that nobody visits on one day, by the number of its walker; the visit that its walker did not make.
_UNVISITED, _CLAIMED = (0, "2026-03-06"), (3, "2026-03-04")
#: When the list of matters was drawn up.
_AS_OF = "2026-03-15T20:00:00+08:00"
_LATE, _STUCK, _MISPLACED = 5, 3, 2


class Duties(NamedTuple):
    """Tables by their files, and what was planted in them."""

    tables: dict[str, pd.DataFrame]
    planted: list[Planted]


def make_duties(
    team: Team, rounds: list[Round], walks: list[Walk], houses: pd.DataFrame, grids: gpd.GeoDataFrame
) -> Duties:
    """Sites, care addresses, visits and matters of two weeks, made to fit the walks."""
    rng = np.random.default_rng([SEED, 8])
    sites, site_visits, planted = _sites(team, rounds, walks)
    care, care_visits, overdue = _care(team, houses, grids, rng)
    visits = pd.concat([site_visits, care_visits]).sort_values(["time", "target"], ignore_index=True)
    visits["time"] = visits["time"].dt.strftime("%Y-%m-%dT%H:%M:%S+08:00")
    matters, late = _matters(grids, rng)
    tables = {SITES_FILE: sites, CARE_FILE: care, VISITS_FILE: visits, MATTERS_FILE: matters}
    return Duties(tables, [*planted, overdue, *late])


# --- sites ------------------------------------------------------------------------------------------------------------


def _sites(team: Team, rounds: list[Round], walks: list[Walk]) -> tuple[gpd.GeoDataFrame, pd.DataFrame, list[Planted]]:
    """A site in each grid that is walked, where its worker passes every day; the head goes where there was no walk."""
    places, visits, planted = [], [], []
    for walker, (who, grid) in enumerate(team.walking):
        code = f"HZ{walker + 1:02d}"
        days: dict[str, list[Walk]] = {}
        for walk in walks:
            if walk.walker == walker:
                days.setdefault(walk.day, []).append(walk)
        spot, when = _passed_daily(rounds[walker].calls, days)
        places.append(spot)
        visits += _stand_in(team, code, grid, set(when))
        for day, second in when.items():
            if (walker, day) == _UNVISITED:
                detail = f"{code} was not visited on {day}, though its cadence is daily"
                planted.append(
                    Planted("visit-missing", "visit", VISITS_FILE, (code,), "missing", "patrol", detail, {"date": day})
                )
                continue
            if (walker, day) == _CLAIMED:
                second = int(pd.Timestamp(f"{day}T22:10:00+08:00").timestamp())
                detail = f"{who} says to have been at {code} at 22:10; no track is near"
                planted.append(
                    Planted("visit-claimed", "visit", VISITS_FILE, (code,), "claimed", "patrol", detail, {"date": day})
                )
            visits.append((code, who, second))
    degrees = degrees_of(np.array(places))
    frame = gpd.GeoDataFrame(
        {
            "code": [f"HZ{n + 1:02d}" for n in range(len(places))],
            "class": [_CLASSES[n % len(_CLASSES)] for n in range(len(places))],
            "cadence": "daily",
        },
        geometry=shapely.points(degrees),
        crs=WGS84,
    )
    return frame, _visit_table(visits), planted


def _stand_in(team: Team, code: str, grid: str, walked: set[str]) -> list[tuple[str, str, int]]:
    """Visits of the grid's head, who carries no phone, on days of the two weeks on which nobody walked."""
    held = team.postings[(team.postings["grid"] == grid) & (team.postings["role"] == "grid head")]
    every = pd.date_range(DAYS[0], periods=14).strftime("%Y-%m-%d")
    return [
        (code, str(held["staff"].iloc[0]), int(pd.Timestamp(f"{day}T16:05:00+08:00").timestamp()))
        for day in every
        if day not in walked
    ]


def _passed_daily(
    calls: NDArray[np.float64], days: dict[str, list[Walk]]
) -> tuple[NDArray[np.float64], dict[str, int]]:
    """The call that the worker comes nearest to on the worst of the days, and when that is on each day."""
    away, second = [], []
    for own in days.values():
        seconds = np.concatenate([walk.seconds for walk in own])
        metres, row = cKDTree(np.vstack([walk.xy for walk in own])).query(calls)
        away.append(metres)
        second.append(seconds[row])
    best = int(np.argmin(np.max(away, axis=0)))
    return calls[best], {day: int(times[best]) for day, times in zip(days, second, strict=True)}


def _visit_table(rows: list[tuple[str, str, int]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["target", "staff", "time"])
    return table.assign(time=pd.to_datetime(table["time"], unit="s", utc=True).dt.tz_convert("Asia/Shanghai"))


# --- care addresses ---------------------------------------------------------------------------------------------------


def _care(
    team: Team, houses: pd.DataFrame, grids: gpd.GeoDataFrame, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame, Planted]:
    """Care addresses in walked grids, one to be called at once or twice a week; one was left out for a week."""
    points = gpd.GeoDataFrame(houses, geometry=gpd.points_from_xy(houses["lon"], houses["lat"]), crs=WGS84)
    grid = assign_houses(points, grids)["grid"].to_numpy(dtype=object)
    worker = {code: who for n, (who, code) in enumerate(team.walking[:-1]) if n not in SHIFTED}
    rows = np.sort(rng.choice(np.flatnonzero(np.isin(grid, list(worker))), _CARE, replace=False))
    care = pd.DataFrame(
        {
            "id": [f"ZF{n:02d}" for n in range(1, _CARE + 1)],
            "house": houses["code"].to_numpy(dtype=object)[rows],
            "cadence": np.where(np.arange(_CARE) % 3 == 0, "twice a week", "weekly"),
        }
    )
    away = set(zip(team.leave["staff"], team.leave["date"], strict=True))
    visits, forgotten = [], int(_CARE // 2)
    for n, (target, cadence, row) in enumerate(zip(care["id"], care["cadence"], rows.tolist(), strict=True)):
        who = worker[grid[row]]
        for week in (0, 1):
            free = [day for day in DAYS[5 * week : 5 * week + 5] if (who, day) not in away]
            for day in rng.choice(free, 2 if cadence != "weekly" else 1, replace=False):
                second = int(pd.Timestamp(f"{day}T09:00:00+08:00").timestamp()) + int(rng.integers(0, 7000))
                if (n, week) != (forgotten, 1):
                    visits.append((target, who, second))
    late = str(care["id"][forgotten])
    detail = "no visit in the week from 2026-03-09"
    planted = Planted("visit-overdue", "visit", VISITS_FILE, (late,), "overdue", "patrol", detail)
    return care, _visit_table(visits), planted


# --- matters ----------------------------------------------------------------------------------------------------------


def _matters(grids: gpd.GeoDataFrame, rng: np.random.Generator) -> tuple[pd.DataFrame, list[Planted]]:
    """Matters with place, grid, deadline (7 days) and state; some late, some stuck, two in the wrong grid."""
    codes = grids["code"].to_numpy(dtype=object)
    rows = rng.integers(0, len(codes), _MATTERS)
    places = np.round(shapely.get_coordinates(shapely.point_on_surface(grids.geometry.to_numpy()[rows])), 7)
    start = pd.Timestamp("2026-03-02T08:00:00", tz="Asia/Shanghai")
    begin = start + pd.to_timedelta(np.sort(rng.integers(0, 12 * 24 * 60, _MATTERS)), unit="min")
    taken = rng.integers(4, 6 * 24, _MATTERS)
    number = np.arange(_MATTERS)
    late, stuck = number[3 : 3 + _LATE], number[10 : 10 + _STUCK]
    taken[late] = 7 * 24 + rng.integers(5, 40, _LATE)
    closed = (begin + pd.to_timedelta(taken, unit="h")).strftime("%Y-%m-%dT%H:%M:%S+08:00").to_numpy(dtype=object)
    in_future = begin + pd.to_timedelta(taken, unit="h") > pd.Timestamp(_AS_OF)
    open_ = np.isin(number, stuck) | in_future
    wrong = number[20 : 20 + _MISPLACED]
    grid = codes[rows]
    grid[wrong] = codes[(rows[wrong] + 1) % len(codes)]
    ids = np.array([f"SX{n + 1:04d}" for n in number], dtype=object)
    frame = pd.DataFrame(
        {
            "code": ids,
            "category": [_CATEGORIES[int(c)] for c in rng.integers(0, len(_CATEGORIES), _MATTERS)],
            "time": begin.strftime("%Y-%m-%dT%H:%M:%S+08:00"),
            "grid": grid,
            "state": np.where(open_, "open", "closed"),
            "deadline": (begin + pd.Timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%S+08:00"),
            "closed": np.where(open_, None, closed),
            "lon": places[:, 0],
            "lat": places[:, 1],
        }
    )
    told: list[tuple[str, Any, str]] = [
        ("late", late, "closed after the deadline"),
        ("stuck", stuck, f"still open at {_AS_OF}, after the deadline"),
        ("misplaced", wrong, "the grid named is not the grid of the place"),
    ]
    return frame, [
        Planted(f"matter-{kind}", "matters", MATTERS_FILE, tuple(ids[which]), kind, "patrol", detail)
        for kind, which, detail in told
    ]
