"""How often the ground was seen, and by whom: of tracks that come in portions, and only of staff on duty."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import pandas as pd

from gridgis.patrol.painted import heat, join_painted, paint_days, who_covered
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
        self._painted: list[pd.DataFrame] = []

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
        parameters = self._parameters
        self._painted.append(paint_days(used, self._grids, reach=parameters.sight_m, parameters=parameters))

    def heat(self, **span: Any) -> gpd.GeoDataFrame:
        """On how many days each piece of ground was seen; `span` and the table as of :func:`painted.heat`."""
        parameters = self._parameters
        return heat(join_painted(self._painted), self._grids, sight=parameters.sight_m, parameters=parameters, **span)

    def covered(self, walks: pd.DataFrame, **span: Any) -> pd.DataFrame:
        """Who covered what; `span` and the table as of :func:`painted.who_covered`, with the metres walked there.

        Parameters
        ----------
        walks : DataFrame
            What :func:`gridgis.patrol.tracks.patrols` returned, of the days that count.

        Returns
        -------
        DataFrame
            Also `metres`: inside the grid, of those patrols whose grid it is (0 where somebody passed another's).
        """
        parameters = self._parameters
        out = who_covered(
            join_painted(self._painted), self._grids, sight=parameters.sight_m, parameters=parameters, **span
        )
        inside = walks.groupby([walks["grid"].astype(str), walks["staff"].astype(str)])["inside_m"].sum()
        keys = pd.MultiIndex.from_frame(out[["grid", "staff"]].astype(str))
        out.insert(out.columns.get_loc("days") + 1, "metres", inside.reindex(keys).fillna(0.0).to_numpy())
        return out
