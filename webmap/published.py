"""What the public may see of one revision of the store, computed once and kept in memory."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

import pyproj
import shapely

from gridgis import crs
from gridgis.errors import NotFoundError, StoreError
from gridgis.locate import GridLocator
from gridgis.publish.boards import Board
from gridgis.publish.extent import Sheet
from gridgis.schema import BARRIER_CLASSES
from gridgis.shown import show_store
from gridgis.store import Store, open_store
from gridgis.store.engines import place_of
from gridgis.store.plans import Plans, Version
from webmap import layers
from webmap.finding import Finder

#: A point so near to a border is told of both sides, metres: coordinates are rarely better.
BORDER_M = 2.0


@dataclass(frozen=True)
class Position:
    """In which grids a point lies: their rows, and whether it is on (or within `BORDER_M` of) a border."""

    rows: tuple[int, ...]
    on_border: bool


class Published:
    """One revision, as the public may see it. Threads may share it; nothing in it changes.

    Parameters
    ----------
    store : Store
    plan : Version, optional
        A plan of another day: its grids are shown, and no people, whose contacts are published for today only. Without
        it the plan that holds today, or the grids of the last build where none does.

    Raises
    ------
    StoreError
        There are no grids.
    """

    def __init__(self, store: Store, plan: Version | None = None) -> None:
        self.revision = store.revision()
        shown = self._shown = show_store(store, plan)
        self.settings, self.parameters = shown.settings, shown.parameters
        #: The day by the clocks of the place; the plan that is shown (None: the store has none).
        self.day, self.plan = shown.day, shown.plan
        self.of_another_day = plan is not None
        self.grids, self.units = shown.grids, shown.units
        self.barriers, self.water, self.buildings = shown.barriers, shown.water, shown.buildings
        self.rows = {str(code): row for row, code in enumerate(self.grids["code"])}
        self.finder = Finder(self.grids, shown.places["building"], shown.places["compound"])
        self._locator = GridLocator(self.grids)
        self._boards: tuple[date, dict[str, Board]] | None = None

    @cached_property
    def grids_layer(self) -> bytes:
        """The grids as GeoJSON."""
        return layers.grids_layer(self.grids)

    @cached_property
    def context_layer(self) -> bytes:
        """Barriers, water, buildings and street names as GeoJSON."""
        return layers.context_layer(self.barriers, self.water, self.buildings)

    @cached_property
    def sheet(self) -> Sheet:
        """The same, ready to be drawn by the server."""
        return self._shown.sheet()

    @cached_property
    def legend(self) -> tuple[str, ...]:
        """What the map shows beside the grids: classes of barriers, "water", "building"."""
        classes = set(self.barriers["class"]) if len(self.barriers) else set()
        shown = [c for c in BARRIER_CLASSES if c in classes]
        return (*shown, *(["water"] if len(self.water) else []), *(["building"] if len(self.buildings) else []))

    @cached_property
    def estimated(self) -> bool:
        """Whether any household is an estimate."""
        return bool(self.grids["estimated"].any())

    @cached_property
    def _in_metres(self) -> tuple[shapely.STRtree, pyproj.Transformer]:
        metric = crs.metric_crs(self.grids)
        shapes = crs.project(self.grids.geometry.array, crs.WGS84, metric)
        return shapely.STRtree(shapes), pyproj.Transformer.from_crs(crs.WGS84, metric, always_xy=True)

    def prepare(self) -> Published:
        """Compute all that the first visitor would wait for."""
        _ = self.grids_layer, self.context_layer, self.sheet, self._in_metres, self.boards()
        return self

    def holds(self, store: Store) -> bool:
        """Whether this is still what a store has to show: nothing was saved, and no other plan began with the day."""
        if self.revision != store.revision():
            return False
        today = self.now().date()
        return today == self.day or Plans(store).at(today) == self.plan

    def row(self, code: str) -> int:
        """The row of a grid.

        Raises
        ------
        NotFoundError
            If no grid has that code.
        """
        if code not in self.rows:
            raise NotFoundError("no grid has this code", found=repr(code))
        return self.rows[code]

    def where(self, lon: float, lat: float) -> Position:
        """The grids at a point, degrees of WGS 84; all of them on a border, none outside."""
        _, rows = self._locator.candidates([lon], [lat])
        tree, transformer = self._in_metres
        point = shapely.Point(transformer.transform(lon, lat))
        near = tree.query(point, predicate="dwithin", distance=BORDER_M)
        found = tuple(sorted({int(r) for r in rows} | {int(r) for r in near}))
        exact = bool(self._locator.on_border([lon], [lat])[0])
        return Position(found, exact or len(found) > len(rows) or len(found) > 1)

    def neighbours(self, row: int) -> list[int]:
        """The rows of the grids that touch a grid, at a corner too, within `BORDER_M`."""
        tree, _ = self._in_metres
        near = tree.query(tree.geometries[row], predicate="dwithin", distance=BORDER_M)
        return sorted(int(r) for r in near if r != row)

    def now(self) -> datetime:
        """The time at the place, as its clocks show it."""
        return self._shown.now()

    def boards(self) -> dict[str, Board]:
        """The board of each grid as of today, by code."""
        today = self.now().date()
        kept = self._boards
        if kept is None or kept[0] != today:
            self._boards = kept = (today, self._shown.boards(today))
        return kept[1]


#: So many plans of other days are kept ready.
KEPT_DAYS = 4


class Shelf:
    """The store that the web reads: asks for its revision, and reads it anew when it was saved or replaced."""

    def __init__(self, where: str) -> None:
        self._where, self._place = where, place_of(where)
        self._lock, self._lock_of_days = threading.Lock(), threading.Lock()
        self._of_days: dict[tuple[int, int], Published] = {}
        self._store: Store | None = None
        self._file: tuple[int, int] | None = None
        self._published: Published | None = None

    def current(self) -> Published:
        """The newest revision.

        Raises
        ------
        StoreError
            If the store cannot be read or holds no grids.
        """
        with self._lock:
            store = self._open()
            if self._published is None or not self._published.holds(store):
                self._published = Published(store).prepare()
            return self._published

    def on(self, day: date) -> Published | None:
        """What held, holds or is to hold on a day; None where no published plan does.

        Raises
        ------
        StoreError
            If the store cannot be read.
        """
        today = self.current()
        if day == today.day:
            return today
        # Whoever asks for other days waits for each other, and nobody else does.
        with self._lock_of_days:
            with self._lock:
                store = self._open()
            plan = Plans(store).at(day)
            if plan is None:
                return None
            key = today.revision, plan.id
            found = self._of_days.pop(key, None) or Published(store, plan)
            kept = [*((k, v) for k, v in self._of_days.items() if k[0] == today.revision), (key, found)]
            self._of_days = dict(kept[-KEPT_DAYS:])
            return found

    def close(self) -> None:
        """Close the store; asked again, it is opened again."""
        with self._lock:
            if self._store is not None:
                self._store.close()
            self._store, self._published, self._of_days = None, None, {}

    def _open(self) -> Store:
        file = self._identity()
        if self._store is None or file != self._file:
            if self._store is not None:
                self._store.close()
            self._store, self._published, self._of_days = open_store(self._where), None, {}
            self._file = file
        return self._store

    def _identity(self) -> tuple[int, int]:
        """Tells a file from another one that took its place; a database stays the same."""
        if self._place.path is None:
            return 0, 0
        try:
            status = self._place.path.stat()
        except OSError as error:
            raise StoreError("there is no such store", source=self._place.name) from error
        return status.st_dev, status.st_ino
