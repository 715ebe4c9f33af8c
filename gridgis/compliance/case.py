"""What the rules are checked against: who had to patrol where on which day, and what each day's patrols add up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from warnings import warn

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gridgis import crs
from gridgis.errors import GridgisWarning, InputError, SchemaError, name_ids
from gridgis.profile import Calendar, Parameters, Profile
from gridgis.rules import ROLES, Rule

#: Whose rules count where nobody says what role anybody has.
WORKER = "full-time worker"

_CHINESE_ROLES = {
    "网格长": "grid head", "专职网格员": "full-time worker", "兼职网格员": "part-time worker", "网格联络员": "liaison",
    "联络员": "liaison", "信息员": "information officer", "楼栋长": "building steward", "志愿者": "volunteer",
}  # fmt: skip


@dataclass(frozen=True)
class Given:
    """The tables that rules are checked against, beside patrols and their coverage; None where nobody gave one."""

    staff: pd.DataFrame | None = None
    postings: pd.DataFrame | None = None
    leave: pd.DataFrame | None = None
    weather: pd.DataFrame | None = None
    grids: gpd.GeoDataFrame | None = None
    fixes: pd.DataFrame | None = None
    sites: pd.DataFrame | None = None
    visits: pd.DataFrame | None = None
    houses: pd.DataFrame | None = None
    buildings: gpd.GeoDataFrame | None = None
    compounds: gpd.GeoDataFrame | None = None
    segments: gpd.GeoDataFrame | None = None
    responsibility_blocks: gpd.GeoDataFrame | None = None
    boards: pd.DataFrame | None = None
    board_lacks: Mapping[str, Sequence[str]] | None = None
    matters: pd.DataFrame | None = None
    units: gpd.GeoDataFrame | None = None
    defects: gpd.GeoDataFrame | None = None
    chain: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Case:
    """What the rules are checked against."""

    daily: pd.DataFrame  # one row a staff and day with a patrol: the metrics
    longest: pd.DataFrame  # staff, date, half, hours: the longest patrol of each half day
    by_grid: pd.DataFrame  # grid, date, patrols
    coverage: pd.DataFrame | None
    duty: pd.DataFrame  # staff, role, grid, date, excuse ("" where there is none)
    weather: dict[pd.Timestamp, str]
    km2: pd.Series  # by grid code
    posted: bool  # whether postings were given
    strangers: list[str]  # staff with patrols and no posting
    first: pd.Timestamp
    last: pd.Timestamp
    profile: Profile
    given: Given = field(default_factory=Given)

    @property
    def parameters(self) -> Parameters:
        return self.profile.parameters

    @property
    def calendar(self) -> Calendar:
        return self.profile.calendar


def make_case(
    patrols: pd.DataFrame,
    coverage: pd.DataFrame | None,
    profile: Profile,
    given: Given,
    start: date | str | None,
    end: date | str | None,
) -> Case:
    first, last = _period(patrols, coverage, start, end)
    parameters, leave, weather = profile.parameters, given.leave, given.weather
    walked = patrols[patrols["date"].between(first, last) & (patrols["minutes"] > 0)]
    walked = walked.assign(staff=walked["staff"].astype(str).astype(object), half=_half(walked["start"], parameters))
    storms = {} if weather is None else dict(zip(days_of(weather, "date"), weather["kind"].astype(str), strict=True))
    ids = sorted(set(walked["staff"]) | (set() if given.staff is None else set(given.staff["id"].astype(str))))
    duty = _duty(given.postings, ids, first, last)
    absent = set() if leave is None else set(zip(leave["staff"].astype(str), days_of(leave, "date"), strict=True))
    excuses = [
        "leave" if (who, day) in absent else f"{storms[day]} declared" if day in storms else ""
        for who, day in zip(duty["staff"], duty["date"], strict=True)
    ]
    duty["excuse"] = pd.Series(excuses, dtype=object)
    duty["excused"] = duty["excuse"] != ""
    if coverage is not None:
        coverage = coverage[(coverage["from"] >= first) & (coverage["to"] <= last)]
    return Case(
        daily=_daily(walked),
        longest=walked.groupby(["staff", "date", "half"], as_index=False)
        .agg(hours=("minutes", "max"))
        .assign(hours=lambda t: t["hours"] / 60),
        by_grid=walked.dropna(subset="grid").groupby(["grid", "date"], as_index=False).agg(patrols=("staff", "size")),
        coverage=coverage,
        duty=duty,
        weather=storms,
        km2=_km2(coverage, given.grids),
        posted=given.postings is not None,
        strangers=[i for i in sorted(set(walked["staff"])) if i not in set(duty["staff"])],
        first=first,
        last=last,
        profile=profile,
        given=given,
    )


def roles_of(rule: Rule) -> set[str]:
    """The roles that a rule about people is for."""
    named = {s.strip() for s in rule.subject.split(",")}
    return set(ROLES) if "staff" in named else named


def grids_of(rule: Rule, case: Case) -> list[str]:
    """Codes of the grids that a rule about grids is for, sorted: all, or those of a size or kind."""
    area, subject = case.km2, rule.subject
    if subject in ("small grid", "large grid"):
        large = area >= case.parameters.large_grid_km2
        return sorted(area.index[large if subject == "large grid" else ~large])
    grids = case.given.grids
    if grids is None:
        return sorted(area.index)
    codes = grids["code"].astype(str).to_numpy(dtype=object)
    column, value = {
        "residential grid": ("kind", "residential"), "street-face grid": ("kind", "street-face"),
        "extension grid": ("kind", "extension"), "grid of a managed compound": ("compound_kind", "managed"),
        "grid of a mixed compound": ("compound_kind", "mixed"), "rural grid": ("compound_kind", "rural"),
    }.get(subject, ("", ""))  # fmt: skip
    if not column:
        return sorted(codes)
    if column not in grids.columns:
        return []
    return sorted(codes[(grids[column].astype(object) == value).to_numpy(dtype=bool)])


def _period(
    patrols: pd.DataFrame, coverage: pd.DataFrame | None, start: date | str | None, end: date | str | None
) -> tuple[pd.Timestamp, pd.Timestamp]:
    firsts, lasts = list(patrols["date"].dropna()), list(patrols["date"].dropna())
    if coverage is not None:
        firsts, lasts = firsts + list(coverage["from"]), lasts + list(coverage["to"])
    if (start is None and not firsts) or (end is None and not lasts):
        raise InputError("there is no patrol, so the period is unknown", remedy="Name its first and last day.")
    first = pd.Timestamp(start if start is not None else min(firsts)).normalize()
    last = pd.Timestamp(end if end is not None else max(lasts)).normalize()
    if last < first:
        raise InputError("the period ends before it begins", found=f"{first.date()} to {last.date()}")
    return first, last


def _half(start: pd.Series, parameters: Parameters) -> np.ndarray[Any, Any]:
    hour, _, minute = parameters.noon.partition(":")
    local = start.dt.tz_convert(parameters.timezone)
    return np.where(local.dt.hour * 60 + local.dt.minute < int(hour) * 60 + int(minute), "morning", "afternoon")


def days_of(table: pd.DataFrame, column: str) -> pd.Series:
    """A column of days; all missing where there is no such column."""
    if column not in table.columns:
        return pd.Series(pd.NaT, index=table.index, dtype="datetime64[us]")
    return pd.to_datetime(table[column]).dt.normalize().astype("datetime64[us]")


def _daily(walked: pd.DataFrame) -> pd.DataFrame:
    """The metrics of each staff and day with a patrol."""
    inside = (walked["inside_m"] > 0) | (walked["inside_min"] > 0)
    columns = pd.DataFrame(
        {
            "staff": walked["staff"],
            "date": walked["date"],
            "patrols": 1.0,
            "morning": (walked["half"] == "morning").astype(float),
            "afternoon": (walked["half"] == "afternoon").astype(float),
            "grid_visits": inside.astype(float),
            "patrol_hours": walked["minutes"] / 60,
            "inside_km": walked["inside_m"].fillna(0.0) / 1000,
        }
    )
    daily = columns.groupby(["staff", "date"]).sum()
    return daily.assign(patrols_each_half_day=daily[["morning", "afternoon"]].min(axis=1))


def _duty(postings: pd.DataFrame | None, ids: list[str], first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    """One row a staff, role, grid and day of the period: who had to patrol where."""
    if postings is None:
        table = pd.DataFrame({"staff": pd.Series(ids, dtype=object), "role": WORKER, "grid": None})
    else:
        missing = [c for c in ("staff", "grid", "role") if c not in postings.columns]
        if missing:
            raise SchemaError(f"postings need the column {', '.join(map(repr, missing))}")
        table = postings[["staff", "grid", "role"]].astype(str).astype(object)
        table["role"] = table["role"].replace(_CHINESE_ROLES)
        unknown = sorted(set(table["role"]) - set(ROLES))
        if unknown:
            warn(f"roles that no rule knows are not judged ({name_ids(unknown)}).", GridgisWarning, stacklevel=5)
    given = pd.DataFrame(index=table.index) if postings is None else postings
    begin = days_of(given, "from").fillna(first).clip(lower=first).to_numpy()
    until = days_of(given, "to").fillna(last).clip(upper=last).to_numpy()
    count = np.maximum((until - begin) // np.timedelta64(1, "D") + 1, 0).astype(np.int64)
    nth = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    duty = table.iloc[np.repeat(np.arange(len(table)), count)]
    duty = duty.assign(date=np.repeat(begin, count) + nth.astype("timedelta64[D]"))
    return duty.drop_duplicates().sort_values(["staff", "date", "grid"], kind="stable", ignore_index=True)


def _km2(coverage: pd.DataFrame | None, grids: gpd.GeoDataFrame | None) -> pd.Series:
    """Area of each grid in km²; of its ground, where the grids are not given."""
    if grids is not None:
        shapes = crs.project(grids.geometry.array, crs.require_crs(grids), crs.metric_crs(grids))
        return pd.Series(shapely.area(np.asarray(shapes)) / 1e6, index=grids["code"].astype(str).to_numpy(dtype=object))
    if coverage is None:
        return pd.Series(dtype=float)
    return coverage.groupby("grid")["ground_m2"].first() / 1e6
