"""Patrols and patrol coverage of more tracks than the memory holds: they come in portions, and only sums are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gridgis.errors import InputError
from gridgis.patrol import inside
from gridgis.patrol.coverage import (
    coverage_table,
    hole_table,
    measured_by,
    near_marks,
    outlines,
    patrol_coverage,
    window_rows,
)
from gridgis.patrol.datum import likely_datums
from gridgis.patrol.ground import (
    CELL_M,
    UNSEEN,
    Centimetres,
    Ground,
    Grounds,
    check_sizes,
    distances,
    reach_of,
    with_area,
)
from gridgis.patrol.lines import Day, Lines, Near, lines_of, period, window_lengths, windows
from gridgis.patrol.nearest import Packed, nearer, pack, unpack
from gridgis.patrol.painting import COMPILE_FROM
from gridgis.patrol.replays import Thin
from gridgis.patrol.stays import stay_points
from gridgis.patrol.suspicions import MARKS, Marks, copies, session_days, spot_checks, suspicion_table, thin_tracks
from gridgis.patrol.tracks import DEFAULTS, clean_tracks, patrols
from gridgis.profile import Parameters


class Walked(NamedTuple):
    """What :func:`patrol_batches` found; the tables are those of the functions that take all tracks at once.

    `fixes` are the vertices of the cleaned lines, the end of each segment, and what was recorded about the time of a
    visit: enough for who passed what and which visit a track confirms, not for what was seen. Where
    `parameters.ground` is streets or buildings, they are all kept fixes. `set_aside` are the fixes that were not kept,
    with the reason (`why`). `holes` is None unless it was asked for.
    """

    patrols: pd.DataFrame
    coverage: pd.DataFrame
    suspicions: pd.DataFrame
    fixes: pd.DataFrame
    set_aside: pd.DataFrame
    stays: pd.DataFrame
    datums: pd.DataFrame
    holes: gpd.GeoDataFrame | None


def patrol_batches(
    batches: Iterable[pd.DataFrame],
    grids: gpd.GeoDataFrame,
    postings: pd.DataFrame | None = None,
    *,
    sight: float = DEFAULTS.sight_m,
    days: int | Sequence[int] = 1,
    obstacles: gpd.GeoDataFrame | gpd.GeoSeries | None = None,
    streets: gpd.GeoDataFrame | None = None,
    buildings: gpd.GeoDataFrame | None = None,
    cell: float = CELL_M,
    start: Day | None = None,
    end: Day | None = None,
    now: pd.Timestamp | None = None,
    marks: Marks = MARKS,
    shares: Sequence[float] | None = None,
    visits: pd.DataFrame | None = None,
    read_as: str = "wgs84",
    with_holes: bool = False,
    parameters: Parameters = DEFAULTS,
    keep: Callable[[pd.DataFrame], object] | None = None,
) -> Walked:
    """Clean, clip, cover and look at tracks, portion by portion.

    Parameters
    ----------
    batches : iterable of DataFrame
        Fixes as read; each portion holds all fixes of its staff, as :func:`gridgis.files.stream_tracks` yields them.
        What can be gone through again (that, or a list) is gone through once more where a share is near its mark.
    grids, postings
        As for :func:`gridgis.patrol.tracks.patrols`.
    sight, days, obstacles, streets, buildings, cell, start, end, parameters
        As for :func:`gridgis.patrol.coverage.patrol_coverage`; `shares` are its `marks`.
    now, marks
        As for :func:`gridgis.patrol.suspicions.suspicions`.
    visits : DataFrame, optional
        staff and time; what was recorded within `parameters.visit_near_min` of one is kept in `fixes` too.
    read_as : {"wgs84", "gcj02", "bd09"}
        As for :func:`gridgis.patrol.datum.likely_datums`.
    with_holes : bool
        Also the holes of the whole period, as of :func:`gridgis.patrol.coverage.holes`.
    keep : callable, optional
        Called with the cleaned fixes of each portion, to look further at them or to write them.

    Returns
    -------
    Walked
        Sorted as if all tracks had come at once, and equal to what then comes but for rounding, however the staff are
        parted, where all tracks lie in one zone of the national grid. ``patrols.attrs`` and ``fixes.attrs`` hold
        `dropped`, `counts` and `parameters` of the cleaning.

    Raises
    ------
    InputError
        No portion at all; staff who come in two portions; and what the functions named raise.

    Notes
    -----
    Kept are what was seen of each grid and day that was walked (:func:`gridgis.patrol.nearest.pack`: some 5 kB for four
    hours in 0.3 km²), a fix of every five seconds for the comparison of tracks, the vertices of the cleaned lines, and
    the tables. Where `parameters.ground` is streets or buildings, all kept fixes stay in memory.
    """
    cell, lengths = check_sizes(sight, cell), window_lengths(days)
    along = parameters.ground not in ("area", "walkable")
    grounds, paints = Grounds(grids, cell, with_area(parameters), obstacles), with_holes or not along
    sums = _Sums(grounds, sight, cell, along, paints, (start, end), visits, parameters)
    now = now if now is not None else pd.Timestamp.now("UTC")
    for fixes in batches:
        clean = clean_tracks(fixes, parameters)
        sums.add(clean, patrols(clean, grids, postings, parameters), spot_checks(clean, now, marks, parameters))
        sums.stays.append(stay_points(clean, postings, parameters=parameters))
        sums.datums.append(likely_datums(clean, grids, postings, read_as=read_as, parameters=parameters))
        if keep is not None:
            keep(clean)
        if postings is not None:  # of those to unknown grids the first portion has warned
            postings = postings[postings["grid"].astype(str).isin(sums.grounds.codes)]
    if not sums.walks:
        raise InputError("there are no tracks", found="not one portion")
    odd = suspicion_table([*sums.odd, copies(sums.thin(), pd.concat(sums.whose, ignore_index=True), marks)], marks)
    kept = sums.fixes()
    if along:
        options: dict[str, Any] = {"streets": streets, "buildings": buildings, "start": start, "end": end}
        covered = patrol_coverage(kept, grids, sight=sight, days=days, parameters=parameters, **options)
    else:
        frames = sums.covered(batches, lengths, start, end, shares, parameters)
        covered = coverage_table(frames, sums.cleaning, sight, lengths, cell, obstacles, parameters)
    return Walked(
        sums.joined(sums.walks, ["staff", "start"]),
        covered,
        odd,
        kept,
        pd.concat(sums.aside, ignore_index=True),
        sums.joined(sums.stays, ["staff", "from"]),
        sums.joined(sums.datums, ["staff"]),
        sums.holes(grids, streets, start, end, obstacles, parameters) if with_holes else None,
    )


class _Sums:
    """What is kept of the portions."""

    def __init__(
        self,
        grounds: Grounds,
        sight: float,
        cell: float,
        along: bool,
        paints: bool,
        asked: tuple[Day | None, Day | None],
        visits: pd.DataFrame | None,
        parameters: Parameters,
    ) -> None:
        self.grounds, self._paints = grounds, paints
        self._asked = period(np.array(["0001-01-01", "9999-12-31"], dtype="datetime64[D]"), *asked)
        self._visits, self._near_s = visits, 60.0 * parameters.visit_near_min
        self.sight, self.cell, self.along = sight, cell, along
        self.near: dict[int, dict[np.datetime64, Packed | None]] = {}
        self.walks: list[pd.DataFrame] = []
        self.odd: list[pd.DataFrame] = []
        self.whose: list[pd.DataFrame] = []
        self.aside: list[pd.DataFrame] = []
        self.stays: list[pd.DataFrame] = []
        self.datums: list[pd.DataFrame] = []
        self.days: set[np.datetime64] = set()
        self.dropped: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.cleaning: dict[str, Any] = {}
        self._lines: list[pd.DataFrame] = []
        self._thin: list[Thin] = []
        self._sessions = self._segments = 0
        self._staff_type: Any = None
        self._staff: set[str] = set()

    def add(self, clean: pd.DataFrame, walks: pd.DataFrame, odd: list[pd.DataFrame]) -> None:
        staff = set(clean["staff"].astype(str))
        if staff & self._staff:
            raise InputError("staff who come in two portions", ids=sorted(staff & self._staff))
        self._staff |= staff
        self.cleaning = clean.attrs["parameters"]
        self.dropped.update(clean.attrs["dropped"])
        self.counts.update(clean.attrs["counts"])
        self.walks.append(walks)
        self.odd += odd
        self._paint(clean)
        thin = thin_tracks(clean, self.grounds.metric)
        self._thin.append(Thin(thin.session + self._sessions, thin.seconds, thin.xy))
        self.whose.append(session_days(clean))
        self._keep(clean)
        self._sessions += len(self.whose[-1])
        self._segments += clean.attrs["counts"]["segments"]

    def _keep(self, clean: pd.DataFrame) -> None:
        """What is needed of the cleaned lines, its sessions and segments numbered on."""
        self.aside.append(clean.loc[~clean["kept"], ["staff", "time", "kept", "why"]].copy())
        used = clean[clean["kept"]]
        if not self.along:
            vertex = used["moving"] | (used["segment"] != used["segment"].shift(-1))
            used = used[vertex | self._at_visits(used)]
        used = used.assign(session=used["session"] + self._sessions, segment=used["segment"] + self._segments)
        used.attrs = {}
        self._staff_type = used["staff"].dtype
        self._lines.append(used.assign(staff=used["staff"].astype("category")).reset_index(drop=True))

    def _at_visits(self, used: pd.DataFrame) -> NDArray[np.bool_]:
        """Which fixes, in the order of staff and time, were recorded about the time of a visit of the same staff."""
        near = np.zeros(len(used), dtype=bool)
        if self._visits is None or "staff" not in self._visits.columns:
            return near
        rows = pd.Series(np.arange(len(used))).groupby(used["staff"].astype(str).to_numpy(dtype=object)).indices
        seconds = inside.seconds_of(used)
        asked = self._visits.dropna(subset=["staff", "time"])
        for who, moment in zip(asked["staff"].astype(str), inside.seconds_of(asked), strict=True):
            own = rows.get(who)
            if own is not None:
                near[own[np.abs(seconds[own] - moment) <= self._near_s]] = True
        return near

    def fixes(self) -> pd.DataFrame:
        """The kept fixes of all portions; the portions are given up, column by column, so that both need not fit."""
        parts, self._lines = self._lines, []
        names = list(parts[0].columns)
        parts = [part.assign(staff=part["staff"].astype(self._staff_type)) for part in parts]  # each name once a part
        out = pd.DataFrame({name: pd.concat([part.pop(name) for part in parts], ignore_index=True) for name in names})
        out.attrs = self._attrs()
        return out

    def _attrs(self) -> dict[str, Any]:
        return {"dropped": dict(self.dropped), "counts": dict(self.counts), "parameters": self.cleaning}

    def joined(self, tables: list[pd.DataFrame], by: list[str]) -> pd.DataFrame:
        """The tables of all portions as one."""
        attrs = self._attrs() if tables is self.walks else tables[0].attrs
        plain = [table.set_axis(table.columns, axis=1) for table in tables]
        for table in plain:
            table.attrs = {}
        out = pd.concat([t for t in plain if len(t)] or plain[:1], ignore_index=True)
        out = out.sort_values(by, kind="stable", ignore_index=True)
        out.attrs = attrs
        return out

    def _paint(self, clean: pd.DataFrame) -> None:
        lines = lines_of(clean, self.grounds.metric)
        self.days.update(np.unique(lines.day))
        if not self._paints:
            return
        lines = lines.within(*self._asked)
        near, compiled = Near(lines), len(lines.day) >= COMPILE_FROM
        for at in range(len(self.grounds)):
            rows = near.rows(self.grounds.box(at, self.sight + self.cell))
            if len(rows) == 0:
                continue
            raster, beside = self.grounds.raster(at), lines.take(rows)
            daily, reach = self.near.setdefault(at, {}), reach_of(self.sight, raster.cell)
            for day in np.unique(beside.day):
                cm = distances(beside.ends[beside.day == day], raster, reach, compiled)
                one = pack(cm, self.sight, raster.cell)
                daily[day] = nearer(daily.get(day), one, self.sight, raster.cell)

    def thin(self) -> Thin:
        """The tracks of all portions, which are given up likewise."""
        columns = [list(part) for part in zip(*self._thin, strict=True)]
        self._thin = []
        return Thin(*(np.concatenate(columns.pop(0)) for _ in Thin._fields))

    def covered(
        self,
        batches: Iterable[pd.DataFrame],
        lengths: list[int],
        start: Day | None,
        end: Day | None,
        shares: Sequence[float] | None,
        parameters: Parameters,
    ) -> list[pd.DataFrame]:
        """The rows of each grid; those near a mark are settled by going through the portions again."""
        first, last = self._period(start, end)
        spans = windows(first, last, lengths)
        marks = [parameters.full_share] if shares is None else list(shares)
        frames = [self._rows(at, spans, marks, None) for at in range(len(self.grounds))]
        close = [at for at, frame in enumerate(frames) if near_marks(frame["share"], marks).any()]
        if close and iter(batches) is not batches:
            for at, lines in self._lines_near(close, batches, parameters).items():
                frames[at] = self._rows(at, spans, marks, lines.within(first, last))
        return frames

    def _period(self, start: Day | None, end: Day | None) -> tuple[np.datetime64, np.datetime64]:
        return period(np.array(sorted(self.days), dtype="datetime64[D]"), start, end)

    def _rows(self, at: int, spans: Any, marks: Sequence[float], lines: Lines | None) -> pd.DataFrame:
        ground = self.grounds.ground(at)
        return window_rows(ground, self._daily(at, ground), spans, self.sight, marks, lines)

    def _daily(self, at: int, ground: Ground) -> dict[np.datetime64, Centimetres]:
        """How near each cell with ground of a grid was come, by day."""
        daily = sorted(self.near.get(at, {}).items())
        return {day: unpack(packed)[ground.rows] for day, packed in daily if packed is not None}

    def _lines_near(
        self, grids: list[int], batches: Iterable[pd.DataFrame], parameters: Parameters
    ) -> dict[int, Lines]:
        found: dict[int, list[Lines]] = {at: [] for at in grids}
        for fixes in batches:
            lines = lines_of(clean_tracks(fixes, parameters), self.grounds.metric)
            near = Near(lines)
            for at in grids:
                found[at].append(lines.take(near.rows(self.grounds.box(at, self.sight + self.cell))))
        out = {}
        for at, parts in found.items():
            ends, day, staff = (np.concatenate([part[k] for part in parts]) for k in range(3))
            out[at] = Lines(ends, day, staff, np.empty(0, dtype=object))  # whose they are is not asked
        return out

    def holes(
        self,
        grids: gpd.GeoDataFrame,
        streets: gpd.GeoDataFrame | None,
        start: Day | None,
        end: Day | None,
        obstacles: Any,
        parameters: Parameters,
    ) -> gpd.GeoDataFrame:
        """The ground that nobody saw in all of the period."""
        first, last = self._period(start, end)
        found = []
        for at in range(len(self.grounds)):
            ground = self.grounds.ground(at)
            days = [cells for day, cells in self._daily(at, ground).items() if first <= day <= last]
            unseen = np.full(len(ground.rows), UNSEEN, dtype=np.uint16)
            found.append((ground.code, outlines(np.minimum.reduce([unseen, *days]) > 100 * self.sight, ground)))
        out = hole_table(found, grids, self.grounds.metric, self.sight, streets)
        used = measured_by(self.cleaning, self.sight, [1], self.cell, obstacles, with_area(parameters))
        out.attrs["parameters"] = used | {"min_area_m2": 0.0}
        return out
