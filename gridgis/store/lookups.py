"""Answers out of one revision of a store: the grid at a point, by code, by unit, by staff, by address.

:class:`Lookups` holds what one revision says, in memory; :class:`Desk` hands out the newest one.
"""

from __future__ import annotations

import json
import threading
import time
from datetime import date, datetime
from functools import cached_property
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import geopandas as gpd
import pandas as pd
import shapely

from gridgis.assign.addresses import AddressIndex
from gridgis.crs import WGS84
from gridgis.errors import NotFoundError
from gridgis.profile import Parameters
from gridgis.store import Store
from gridgis.store.plans import Plans

#: A desk asks for the revision when the last answer is older than this, seconds.
ASKED_S = 0.5


class Served(NamedTuple):
    """A grid that a member of staff serves, and as what."""

    grid: str
    role: str


class Lookups:
    """What one revision of a store answers on one day. Threads may share it; nothing in it changes.

    The grids are those of the plan that holds on the day, else those of the last build.

    Parameters
    ----------
    store : Store
    on : date, optional
        Today by the clocks of the place (the time zone of the last build's profile), if not given.
    """

    def __init__(self, store: Store, on: date | None = None) -> None:
        self.revision = store.revision()
        kept = json.loads(store.settings().get("parameters") or "{}")
        self._zone = ZoneInfo(kept.get("timezone", Parameters().timezone))
        self.day = on or self.today()
        version = Plans(store).at(self.day)
        self.plan = None if version is None else version.id
        grids = store.load("grid") if version is None else Plans(store).load(version.id)[0].grids
        # By code, so that the lowest code wins a border.
        self.grids = gpd.GeoDataFrame(grids).sort_values("code", ignore_index=True)
        self._codes: list[str] = self.grids["code"].tolist()
        self._rows = {code: row for row, code in enumerate(self._codes)}
        self._tree = shapely.STRtree(self.grids.geometry.to_numpy())
        self._postings = store.load("posting")
        self._load = store.load

    def today(self) -> date:
        """The day by the clocks of the place."""
        return datetime.now(self._zone).date()

    def at(self, lon: float, lat: float) -> str | None:
        """The code of the grid at a point, degrees of WGS 84; on a border the lowest one, None outside.

        The same answer as :meth:`gridgis.GridLocator.locate` gives for many points at once.
        """
        found = self._tree.query(shapely.Point(lon, lat), predicate="intersects")
        return self._codes[found.min()] if len(found) else None

    def grid(self, code: str) -> dict[str, Any]:
        """The row of a grid, by column.

        Raises
        ------
        NotFoundError
            No grid has this code.
        """
        if code not in self._rows:
            raise NotFoundError("no grid has this code", found=repr(code))
        return {str(name): value for name, value in self.grids.iloc[self._rows[code]].items()}

    def of_unit(self, unit: str) -> list[str]:
        """The codes of the grids of a unit, in order; none where there is no such unit."""
        return self._of_unit.get(unit, [])

    def of_staff(self, staff: str) -> list[Served]:
        """The grids in which somebody is posted on the day, by code."""
        return self._of_staff.get(staff, [])

    def of_address(self, address: str) -> str | None:
        """The grid of the one building that an address means; None where it means none or several.

        A building lies in the grid that has the inner point of its ground. Where no building has an address, houses
        are asked. The first question makes the index, which takes 20 µs an address.
        """
        index, grids = self._addresses
        row = index.find(address).row
        return None if row < 0 else grids[row]

    @cached_property
    def _of_unit(self) -> dict[str, list[str]]:
        listed: dict[str, list[str]] = {}
        for code, unit in zip(self._codes, self.grids["parent"], strict=True):
            listed.setdefault(unit, []).append(code)
        return listed

    @cached_property
    def _of_staff(self) -> dict[str, list[Served]]:
        day, held = pd.Timestamp(self.day), self._postings
        begun = held["from"].isna() | (held["from"] <= day)
        lasts = held["to"].isna() | (held["to"] >= day)
        listed: dict[str, list[Served]] = {}
        for staff, grid, role in held[begun & lasts][["staff", "grid", "role"]].itertuples(index=False):
            listed.setdefault(staff, []).append(Served(grid, role))
        return {staff: sorted(served) for staff, served in listed.items()}

    @cached_property
    def _addresses(self) -> tuple[AddressIndex, list[str | None]]:
        there = _addressed(self._load("building"))
        there = there if len(there) else _addressed(self._load("house"))
        points = there.geometry.representative_point()
        grids = [None if point is None else self.at(point.x, point.y) for point in points]
        return AddressIndex(there["address"].tolist()), grids


def _addressed(frame: pd.DataFrame) -> gpd.GeoDataFrame:
    """The rows that have an address and a place."""
    if not isinstance(frame, gpd.GeoDataFrame):
        return gpd.GeoDataFrame({"address": []}, geometry=[], crs=WGS84)
    return frame[frame["address"].notna() & frame.geometry.notna() & ~frame.geometry.is_empty]


class Desk:
    """Hands out the look-ups of the newest revision: what another process published is there within a second.

    Threads may share it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._asked = 0.0
        self._current: Lookups | None = None

    def current(self) -> Lookups:
        """The look-ups of now.

        Raises
        ------
        StoreError
            The store cannot be read.
        """
        found = self._current
        if found is not None and time.monotonic() - self._asked < ASKED_S:
            return found
        with self._lock:
            held = self._current
            if held is None or held.revision != self._store.revision() or held.day != held.today():
                self._current = held = Lookups(self._store)
            self._asked = time.monotonic()
            return held
