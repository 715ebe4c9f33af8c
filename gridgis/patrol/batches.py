"""Patrols and patrol coverage of more tracks than the memory holds: they come in portions, and only sums are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd

from gridgis.errors import InputError
from gridgis.patrol.coverage import coverage_table, window_rows
from gridgis.patrol.ground import CELL_M, Centimetres, Grounds, check_sizes, distances, reach_of
from gridgis.patrol.lines import Day, Near, lines_of, period, window_lengths, windows
from gridgis.patrol.painting import COMPILE_FROM
from gridgis.patrol.replays import Thin
from gridgis.patrol.suspicions import MARKS, Marks, copies, session_days, spot_checks, suspicion_table, thin_tracks
from gridgis.patrol.tracks import DEFAULTS, clean_tracks, patrols
from gridgis.profile import Parameters


class Walked(NamedTuple):
    """What :func:`patrol_batches` found; the tables are those of the functions that take all tracks at once."""

    patrols: pd.DataFrame
    coverage: pd.DataFrame
    suspicions: pd.DataFrame


def patrol_batches(
    batches: Iterable[pd.DataFrame],
    grids: gpd.GeoDataFrame,
    postings: pd.DataFrame | None = None,
    *,
    sight: float = DEFAULTS.sight_m,
    days: int | Sequence[int] = 1,
    obstacles: gpd.GeoDataFrame | gpd.GeoSeries | None = None,
    cell: float = CELL_M,
    start: Day | None = None,
    end: Day | None = None,
    now: pd.Timestamp | None = None,
    marks: Marks = MARKS,
    parameters: Parameters = DEFAULTS,
    keep: Callable[[pd.DataFrame], object] | None = None,
) -> Walked:
    """Clean, clip, cover and look at tracks, portion by portion.

    Parameters
    ----------
    batches : iterable of DataFrame
        Fixes as read; each portion holds all fixes of its staff, as :func:`gridgis.files.stream_tracks` yields them.
    grids, postings
        As for :func:`gridgis.patrol.tracks.patrols`.
    sight, days, obstacles, cell, start, end, parameters
        As for :func:`gridgis.patrol.coverage.patrol_coverage`; `parameters.ground` is an area.
    now, marks
        As for :func:`gridgis.patrol.suspicions.suspicions`.
    keep : callable, optional
        Called with the cleaned fixes of each portion, to look further at them or to write them.

    Returns
    -------
    Walked
        Sorted as if all tracks had come at once. A share near its mark stays undecided: the lines for a bracket are not
        kept. ``patrols.attrs`` holds `dropped`, `counts` and `parameters` of the cleaning.

    Raises
    ------
    InputError
        No portion at all; staff who come in two portions; and what the functions named raise.

    Notes
    -----
    Kept are two bytes for each cell of a grid and day that was walked (0.6 MB for 0.3 km²), a fix of every five seconds
    for the comparison of tracks, and the tables.
    """
    cell = check_sizes(sight, cell)
    lengths = window_lengths(days)
    sums = _Sums(Grounds(grids, cell, parameters, obstacles), sight)
    now = now if now is not None else pd.Timestamp.now("UTC")
    for fixes in batches:
        clean = clean_tracks(fixes, parameters)
        sums.add(clean, patrols(clean, grids, postings, parameters), spot_checks(clean, now, marks, parameters))
        if keep is not None:
            keep(clean)
    if not sums.walks:
        raise InputError("there are no tracks", found="not one portion")
    first, last = period(np.array(sorted(sums.days), dtype="datetime64[D]"), start, end)
    spans = windows(first, last, lengths)
    frames = [sums.rows(at, spans, parameters.full_share) for at in range(len(sums.grounds))]
    walks = pd.concat(sums.walks, ignore_index=True).sort_values(["staff", "start"], kind="stable", ignore_index=True)
    walks.attrs = {"dropped": dict(sums.dropped), "counts": dict(sums.counts), "parameters": sums.cleaning}
    return Walked(
        walks,
        coverage_table(frames, sums.cleaning, sight, lengths, cell, obstacles, parameters),
        suspicion_table([*sums.odd, copies(sums.thin(), pd.concat(sums.whose, ignore_index=True), marks)], marks),
    )


class _Sums:
    """What is kept of the portions."""

    def __init__(self, grounds: Grounds, sight: float) -> None:
        self.grounds = grounds
        self.sight = sight
        self.near: dict[tuple[int, np.datetime64], Centimetres] = {}
        self.walks: list[pd.DataFrame] = []
        self.odd: list[pd.DataFrame] = []
        self.whose: list[pd.DataFrame] = []
        self.days: set[np.datetime64] = set()
        self.dropped: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.cleaning: dict[str, Any] = {}
        self._thin: list[Thin] = []
        self._sessions = 0
        self._staff: set[str] = set()

    def add(self, clean: pd.DataFrame, walks: pd.DataFrame, odd: list[pd.DataFrame]) -> None:
        staff = set(clean["staff"].astype(str))
        if staff & self._staff:
            raise InputError("staff who come in two portions", ids=sorted(staff & self._staff))
        self._staff |= staff
        self.cleaning = clean.attrs["parameters"]
        self.dropped.update(clean.attrs["dropped"])
        self.counts.update(clean.attrs["counts"])
        walks.attrs = {}
        self.walks.append(walks)
        self.odd += odd
        thin = thin_tracks(clean, self.grounds.metric)
        self._thin.append(Thin(thin.session + self._sessions, thin.seconds, thin.xy))
        self.whose.append(session_days(clean))
        self._sessions += len(self.whose[-1])
        self._paint(clean)

    def _paint(self, clean: pd.DataFrame) -> None:
        lines = lines_of(clean, self.grounds.metric)
        near, compiled = Near(lines), len(lines.day) >= COMPILE_FROM
        self.days.update(np.unique(lines.day))
        for at in range(len(self.grounds)):
            rows = near.rows(self.grounds.box(at, self.sight + self.grounds.cell))
            if len(rows) == 0:
                continue
            raster, beside = self.grounds.raster(at), lines.take(rows)
            for day in np.unique(beside.day):
                reach = reach_of(self.sight, raster.cell)
                cm = distances(beside.ends[beside.day == day], raster, reach, compiled)
                before = self.near.setdefault((at, day), cm)
                np.minimum(before, cm, out=before)

    def thin(self) -> Thin:
        """The tracks of all portions."""
        return Thin(*(np.concatenate(parts) for parts in zip(*self._thin, strict=True)))

    def rows(self, at: int, spans: Any, mark: float) -> pd.DataFrame:
        """The rows of a grid; what was kept of it is given up."""
        ground = self.grounds.ground(at)
        days = [day for grid, day in self.near if grid == at]
        daily = {day: self.near.pop((at, day))[ground.rows] for day in sorted(days)}
        return window_rows(ground, daily, spans, self.sight, [mark])
