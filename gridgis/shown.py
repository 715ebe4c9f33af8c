"""What of a store the public may see: the grids of the plan that holds, what lies around them, staff on duty."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pandas as pd

from gridgis import crs
from gridgis.errors import StoreError
from gridgis.profile import Parameters
from gridgis.publish import features
from gridgis.publish.boards import Board, make_boards
from gridgis.publish.extent import Sheet, tails
from gridgis.store import Store
from gridgis.store.plans import Plans, Version


@dataclass(frozen=True)
class Shown:
    """One revision of a store, as the public may see it; all geometry in EPSG:4326.

    `plan` is the plan whose grids these are (None: the grids of the last build); `grids` are sorted by code, with what
    :func:`gridgis.publish.features.public_grids` leaves; `places` are compounds and buildings with all their columns:
    for looking up, not for showing.
    """

    settings: Mapping[str, str]
    parameters: Parameters
    day: date
    plan: Version | None
    grids: gpd.GeoDataFrame
    units: Mapping[str, str]
    barriers: gpd.GeoDataFrame
    water: gpd.GeoDataFrame
    buildings: gpd.GeoDataFrame
    places: Mapping[str, gpd.GeoDataFrame]
    staff: pd.DataFrame
    postings: pd.DataFrame

    def now(self) -> datetime:
        """The time at the place, as its clocks show it."""
        return now_at(self.parameters)

    def sheet(self) -> Sheet:
        """The grids and what lies around them, ready to be drawn."""
        return Sheet(self.grids, tails(self.grids), self.barriers, self.water, self.buildings)

    def boards(self, day: date) -> dict[str, Board]:
        """The board of each grid as of a day, by code, in the order of the grids."""
        required = tuple(self.settings.get("board_required", "").split())
        return make_boards(self.grids, self.staff, self.postings, settings=self.settings, required=required, on=day)


def show_store(store: Store, plan: Version | None = None) -> Shown:
    """What the public may see of a store.

    Parameters
    ----------
    store : Store
    plan : Version, optional
        A plan of another day: its grids are shown, and no people, whose contacts are published for today only. Without
        it the plan that holds today by the clocks of the place, or the grids of the last build where none does.

    Raises
    ------
    StoreError
        There are no grids, or the store cannot be read.
    """
    settings = store.settings()
    kept = json.loads(settings.get("parameters") or "{}")
    parameters = Parameters(**{k: v for k, v in kept.items() if k in Parameters().as_dict()})
    day = now_at(parameters).date()
    held = plan or Plans(store).at(day)
    grids = store.load("grid") if held is None else Plans(store).load(held.id)[0].grids
    if len(grids) == 0:
        raise StoreError("the store holds no grids", source=store.name, remedy="Run gridgis build first.")
    # Sorted by code, so that the lowest code wins a border.
    ordered = grids.sort_values("code", ignore_index=True)
    public = features.public_grids(ordered, small_count=parameters.small_count)
    places = {table: _places(store, table) for table in ("building", "compound")}
    people = slice(None) if plan is None else slice(0, 0)
    return Shown(
        settings=settings,
        parameters=parameters,
        day=day,
        plan=held,
        # Where six colours do not do, the style sheet's six begin anew.
        grids=public.assign(colour=public["colour"] % features.COLOURS),
        units=_names(store.load("unit")),
        barriers=features.context(_places(store, "barrier"), "barrier"),
        water=features.context(_places(store, "water"), "water"),
        buildings=features.context(places["building"], "building"),
        places=places,
        staff=store.load("staff").iloc[people],
        postings=store.load("posting").iloc[people],
    )


def now_at(parameters: Parameters) -> datetime:
    """The time by the clocks of the build's profile, without its zone."""
    return datetime.now(ZoneInfo(parameters.timezone)).replace(tzinfo=None)


def _places(store: Store, table: str) -> gpd.GeoDataFrame:
    """A table with geometry, without the rows that have none."""
    frame = store.load(table)
    if not isinstance(frame, gpd.GeoDataFrame):
        frame = gpd.GeoDataFrame(frame, geometry=np.full(len(frame), None), crs=crs.WGS84)
    there = frame.geometry.notna() & ~frame.geometry.is_empty
    return frame[there.to_numpy()].reset_index(drop=True)


def _names(units: pd.DataFrame) -> dict[str, str]:
    return {str(c): str(n) for c, n in zip(units["code"], units["name"], strict=True) if isinstance(n, str) and n}
