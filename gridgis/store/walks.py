"""Tracks and what was painted of them, into the tables of a store, in a transaction of somebody else's.

Fixes come in portions and stay by member of staff and local day; painted days are of the grids of a plan.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pandas as pd
from sqlalchemy import Connection, Table, and_, delete, insert, select, update

from gridgis import crs
from gridgis.patrol.ground import CELL_M, check_sizes
from gridgis.patrol.packing import packed
from gridgis.patrol.painted import REACH_M, paint_days, painted_key
from gridgis.patrol.tracks import clean_tracks
from gridgis.profile import Parameters
from gridgis.schema import check
from gridgis.store import plans
from gridgis.store.models import Base

TRACK: Table = Base.metadata.tables["track"]
PAINTED: Table = Base.metadata.tables["painted_day"]
_COLUMNS = ("staff", "time", "lon", "lat", "accuracy")
_ORDER = ["time", "accuracy", "lon", "lat"]


class Kept(NamedTuple):
    """Fixes that are new and that were there; painted days that were written; days for which there is no plan."""

    new: int
    same: int
    painted: int
    unplanned: int


class Packed(NamedTuple):
    """A painted day as it is kept."""

    key: dict[str, Any]
    cells: int
    content: bytes


def paint(fixes: pd.DataFrame, grids: gpd.GeoDataFrame, parameters: Parameters) -> pd.DataFrame:
    """Paint fixes as the store keeps them: as far as may be asked, as fine as coverage is measured by default."""
    cell, reach = sizes(parameters)
    return paint_days(fixes, grids, reach=reach, cell=cell, parameters=parameters)


def sizes(parameters: Parameters) -> tuple[float, float]:
    """The cell and the reach of what the store keeps, in metres."""
    return check_sizes(parameters.sight_m, CELL_M), max(REACH_M, parameters.sight_m)


def pack(painted: pd.DataFrame) -> Iterator[tuple[str, date, Packed]]:
    """Painted days one by one: staff, day, and what is kept of them."""
    key = painted.attrs["key"]
    for (staff, day), rows in painted.groupby(["staff", "date"], sort=True):
        yield str(staff), day.date(), Packed(key, sum(map(len, rows["cells"])), packed(rows, key))


class Keeper:
    """Keeps tracks, and paints them for the plan that holds on their day.

    Parameters
    ----------
    connection : Connection
        A transaction that writes.
    parameters : Parameters
        The time zone, which says when a day ends; those of the cleaning; `sight_m`.
    otherwise : int, optional
        The number of a published plan, for whose grids a day is painted on which none holds. Without it such a day is
        not painted.
    """

    def __init__(self, connection: Connection, parameters: Parameters, otherwise: int | None = None) -> None:
        self._connection, self._parameters, self._otherwise = connection, parameters, otherwise
        self._zone = ZoneInfo(parameters.timezone)
        self._grids: dict[int, tuple[gpd.GeoDataFrame, dict[str, Any]]] = {}
        self._holding: dict[date, int | None] = {}
        self.kept = Kept(0, 0, 0, 0)

    def add(self, fixes: pd.DataFrame) -> None:
        """Keep a portion, which holds all that comes of its staff.

        Parameters
        ----------
        fixes : DataFrame
            staff, time (with its zone), lon, lat (degrees, WGS 84), accuracy (metres); other columns are not kept.
        """
        changed: dict[str, set[date]] = {}
        ours = self._listed(fixes)
        for staff, mine in ours.groupby("staff", sort=True):
            days = mine["time"].dt.tz_convert(self._zone).dt.date
            new = {day: self._keep(str(staff), day, walked) for day, walked in mine.groupby(days, sort=True)}
            self._count(new=sum(new.values()), same=len(mine) - sum(new.values()))
            changed[str(staff)] = self._to_paint(str(staff), new)
        self._paint({staff: days for staff, days in changed.items() if days})

    def _count(self, *, new: int = 0, same: int = 0, painted: int = 0, unplanned: int = 0) -> None:
        self.kept = Kept(*(a + b for a, b in zip(self.kept, (new, same, painted, unplanned), strict=True)))

    def _listed(self, fixes: pd.DataFrame) -> pd.DataFrame:
        """The fixes with the columns that are kept."""
        listed = check(fixes, "fix", source="tracks")
        listed = listed[[name for name in _COLUMNS if name in listed.columns]]
        if "accuracy" not in listed.columns:
            listed = listed.assign(accuracy=float("nan"))
        return listed

    # --- fixes --------------------------------------------------------------------------------------------------------

    def _keep(self, staff: str, day: date, walked: pd.DataFrame) -> int:
        """Keep the fixes of a day beside those that are there; how many are new. Of a moment the best one is kept."""
        held = self._held(staff, day, lock=True)
        walked = walked.sort_values(_ORDER)
        parts = [walked] if held is None else [held, walked]
        whole = pd.concat(parts).drop_duplicates("time").sort_values("time", ignore_index=True)
        added = len(whole) - (0 if held is None else len(held))
        if not added:
            return 0
        values = {"count": len(whole), "fixes": written(whole)}
        if held is None:
            self._connection.execute(insert(TRACK).values(staff=staff, day=day, **values))
        else:
            self._connection.execute(update(TRACK).where(_mine(TRACK, staff, day)).values(values))
        return added

    def _held(self, staff: str, day: date, *, lock: bool = False) -> pd.DataFrame | None:
        query = select(TRACK.c.fixes).where(_mine(TRACK, staff, day))
        found = self._connection.execute(query.with_for_update() if lock else query).scalar()
        return None if found is None else read(found)

    # --- painting -----------------------------------------------------------------------------------------------------

    def _to_paint(self, staff: str, new: dict[date, int]) -> set[date]:
        """The days that have new fixes, or no painted day as it has to be; the others are as they were."""
        query = select(PAINTED.c.day, PAINTED.c.plan, PAINTED.c.made_with).where(_on(staff, new))
        there = {row.day: row for row in self._connection.execute(query)}
        wanted = set()
        for day, added in new.items():
            row = there.get(day)
            meant = self._plan(day, None if row is None else row.plan)
            if meant is None:
                self._count(unplanned=1)
            elif added or row is None or row.plan != meant or row.made_with != self._of_plan(meant)[1]:
                wanted.add(day)
        return wanted

    def _plan(self, day: date, painted_for: int | None = None) -> int | None:
        """The plan for whose grids a day is painted: as before, else that which holds on it, else `otherwise`."""
        if painted_for is not None:
            return painted_for
        if day not in self._holding:
            found = plans.holding(self._connection, day)
            self._holding[day] = self._otherwise if found is None else found
        return self._holding[day]

    def _of_plan(self, plan: int) -> tuple[gpd.GeoDataFrame, dict[str, Any]]:
        """The grids of a plan, and the key of what is painted for them."""
        if plan not in self._grids:
            grids, (cell, reach) = plans.grids_of(self._connection, plan), sizes(self._parameters)
            self._grids[plan] = grids, painted_key(grids, reach, cell, self._parameters)
        return self._grids[plan]

    def _paint(self, wanted: dict[str, set[date]]) -> None:
        """Paint days anew out of all fixes that are kept of them."""
        if not wanted:
            return
        around = [self._around(staff, days) for staff, days in wanted.items()]
        touched = {
            staff: set(frame["time"].dt.tz_convert(self._zone).dt.date)
            for staff, frame in zip(wanted, around, strict=True)
        }
        clean = clean_tracks(pd.concat(around, ignore_index=True), self._parameters)
        before = self._painted_for(touched)
        made: dict[str, dict[date, tuple[int, Packed]]] = {staff: {} for staff in wanted}
        plan_of = np.zeros(len(clean), dtype=np.int64)  # 0: of no day, or of one that has no plan
        for (staff, day), rows in clean.groupby(["staff", "date"], sort=False).indices.items():
            plan_of[rows] = self._plan(day.date(), before.get((str(staff), day.date()))) or 0
        for number in np.unique(plan_of[plan_of > 0]).tolist():
            part = clean[plan_of == number]
            part.attrs = clean.attrs
            for staff, day, ready in pack(paint(part, self._of_plan(number)[0], self._parameters)):
                made[staff][day] = number, ready
        for staff, days in touched.items():
            self._put(staff, days, made[staff])

    def _painted_for(self, touched: Mapping[str, set[date]]) -> dict[tuple[str, date], int]:
        query = select(PAINTED.c.staff, PAINTED.c.day, PAINTED.c.plan)
        asked = (query.where(_on(staff, days)) for staff, days in touched.items())
        return {(row.staff, row.day): row.plan for one in asked for row in self._connection.execute(one)}

    def _around(self, staff: str, days: set[date]) -> pd.DataFrame:
        """The fixes of some days, and of the days beside them where a patrol goes on over midnight."""
        pause = pd.Timedelta(seconds=max(self._parameters.session_gap_s, self._parameters.gap_s))
        held: dict[date, pd.DataFrame] = {}
        queue = sorted(days)
        while queue:
            day = queue.pop()
            if day not in held:
                found = self._held(staff, day)
                if found is None:
                    continue
                held[day] = found
            for step in (-1, 1):
                other = day + timedelta(days=step)
                beside = None if other in held else self._held(staff, other)
                if beside is None:
                    continue
                early, late = (held[day], beside) if step > 0 else (beside, held[day])
                if late["time"].min() - early["time"].max() <= pause:
                    held[other] = beside
                    queue.append(other)
        return pd.concat([held[day] for day in sorted(held)], ignore_index=True)

    def _put(self, staff: str, days: set[date], made: dict[date, tuple[int, Packed]]) -> None:
        """Write the painted days of somebody, where they are not there just so; those of `days` not made go."""
        query = select(PAINTED.c.day, PAINTED.c.plan, PAINTED.c.painted).where(_on(staff, days | made.keys()))
        there = {row.day: (row.plan, row.painted) for row in self._connection.execute(query)}
        for day in sorted(there.keys() | made.keys()):
            number, ready = made.get(day, (0, None))
            if ready is not None and there.get(day) == (number, ready.content):
                continue
            self._connection.execute(delete(PAINTED).where(_mine(PAINTED, staff, day)))
            if ready is not None:
                self._connection.execute(insert(PAINTED).values(self._row(staff, day, number, ready)))
                self._count(painted=1)

    def _row(self, staff: str, day: date, plan: int, ready: Packed) -> dict[str, Any]:
        return {
            "staff": staff, "day": day, "plan": plan, "made_with": ready.key,
            "crs": crs.metric_crs(self._of_plan(plan)[0]).to_string(), "cell_m": ready.key["cell_m"],
            "reach_m": ready.key["reach_m"], "count": ready.cells, "painted": ready.content,
        }  # fmt: skip


def _mine(table: Table, staff: str, day: date) -> Any:
    return and_(table.c.staff == staff, table.c.day == day)


def _on(staff: str, days: Iterable[date]) -> Any:
    """The painted days of somebody that are asked for: what is kept of a year is not read for the sake of a day."""
    return and_(PAINTED.c.staff == staff, PAINTED.c.day.in_(sorted(days)))


def written(fixes: pd.DataFrame) -> bytes:
    """Fixes as the bytes of a track."""
    file = io.BytesIO()
    fixes.to_parquet(file, index=False, compression="zstd")
    return file.getvalue()


def read(held: bytes) -> pd.DataFrame:
    """The fixes of a track."""
    return pd.read_parquet(io.BytesIO(held)).astype({"staff": object})
