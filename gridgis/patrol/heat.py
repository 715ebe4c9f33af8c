"""How often the ground was seen, and by whom: of tracks that come in portions, and only of staff on duty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gridgis import crs
from gridgis.patrol.ground import CELL_M, UNSEEN, Ground, Grounds, with_area
from gridgis.patrol.lines import Day, period
from gridgis.patrol.nearest import Packed, pack, unpack
from gridgis.patrol.painted import Span, heat_table, paint_rows, who_table
from gridgis.patrol.tracks import on_duty
from gridgis.profile import Parameters


class Heats:
    """Paints portions of cleaned tracks and tells afterwards what was seen how often, and by whom.

    Parameters
    ----------
    grids : GeoDataFrame
        code and polygons, in any CRS.
    postings : DataFrame, optional
        staff, and from, to (dates, both included; missing is open). With it only days on which the staff had a posting
        count: where somebody is who is not on duty is nobody's business.
    parameters : Parameters
        `sight_m`, and those of the cleaning.
    """

    def __init__(self, grids: gpd.GeoDataFrame, postings: pd.DataFrame | None, parameters: Parameters) -> None:
        self._grids, self._postings, self._parameters = grids, postings, parameters
        ground = Grounds(grids, CELL_M, Parameters(ground="area"))
        self._cells = {code: ground.raster(at).cell for at, code in enumerate(ground.codes)}
        self._kept: dict[str, list[tuple[str, pd.Timestamp, Packed | None]]] = {}

    def add(self, clean: pd.DataFrame) -> None:
        """Paint a portion; no two may hold the same staff.

        Parameters
        ----------
        clean : DataFrame
            What :func:`gridgis.patrol.tracks.clean_tracks` returned.
        """
        used = clean
        if self._postings is not None:
            used = clean[on_duty(clean["staff"], clean["date"], self._postings)]
            used.attrs = clean.attrs
        sight = self._parameters.sight_m
        for staff, day, code, cells, cm in paint_rows(used, self._grids, sight, parameters=self._parameters):
            dense = np.full(cells[-1] + 1, UNSEEN, dtype=np.uint16)
            dense[cells] = cm
            self._kept.setdefault(code, []).append((staff, day, pack(dense, sight, self._cells[code])))

    def heat(self, obstacles: Any = None, start: Day | None = None, end: Day | None = None) -> gpd.GeoDataFrame:
        """On how many days each piece of ground was seen; as :func:`gridgis.patrol.painted.heat`."""
        grounds, span = self._opened(obstacles, start, end)
        into = crs.require_crs(self._grids)
        return heat_table(self._by_grid(grounds, span), grounds, span, self._parameters.sight_m, into)

    def covered(
        self, walks: pd.DataFrame, obstacles: Any = None, start: Day | None = None, end: Day | None = None
    ) -> pd.DataFrame:
        """Who covered what; as :func:`gridgis.patrol.painted.who_covered`, with the metres walked there.

        Parameters
        ----------
        walks : DataFrame
            What :func:`gridgis.patrol.tracks.patrols` returned, of the days that count.
        obstacles, start, end
            As of :func:`gridgis.patrol.painted.who_covered`.

        Returns
        -------
        DataFrame
            Also `metres`: inside the grid, of those patrols whose grid it is (0 where somebody passed another's).
        """
        grounds, span = self._opened(obstacles, start, end)
        out = who_table(self._by_grid(grounds, span), grounds, span, self._parameters.sight_m)
        inside = walks.groupby([walks["grid"].astype(str), walks["staff"].astype(str)])["inside_m"].sum()
        keys = pd.MultiIndex.from_frame(out[["grid", "staff"]].astype(str))
        out.insert(out.columns.get_loc("days") + 1, "metres", inside.reindex(keys).fillna(0.0).to_numpy())
        return out

    def _opened(self, obstacles: Any, start: Day | None, end: Day | None) -> tuple[Grounds, Span]:
        days: NDArray[np.datetime64] = np.array(
            sorted({day for rows in self._kept.values() for _, day, _ in rows}), dtype="datetime64[D]"
        )
        grounds = Grounds(self._grids, CELL_M, with_area(self._parameters), obstacles)
        return grounds, period(days, start, end)

    def _by_grid(self, grounds: Grounds, span: Span) -> Iterator[tuple[Ground, pd.DataFrame]]:
        """Each grid with the days on which it was come near, one unpacked at a time."""
        first, last = map(pd.Timestamp, span)
        for at, code in enumerate(grounds.codes):
            rows = [
                (staff, day, *_cells(packed)) for staff, day, packed in self._kept.get(code, []) if first <= day <= last
            ]
            yield grounds.ground(at), pd.DataFrame(rows, columns=["staff", "date", "cells", "cm"])


def _cells(packed: Packed | None) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    """Positions of cells, and how near they were come."""
    cm = np.empty(0, dtype=np.uint16) if packed is None else unpack(packed)
    return np.arange(len(cm)), cm
