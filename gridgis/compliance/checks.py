"""Everything measured against the rules of a profile: kept or missed, and why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from gridgis.compliance.case import WORKER, Case, make_case
from gridgis.compliance.marks import RESULT_COLUMNS, compare, holds, number, result_rows, wanted_text
from gridgis.patrol.coverage import SHARE_ERROR
from gridgis.profile import Parameters, Profile, Rule
from gridgis.schema import ROLES

#: What the machine can check: the metric of a rule, and for each the periods.
METRICS = {
    "patrols": ("day", "week"),
    "patrols_each_half_day": ("day",),
    "grid_visits": ("day", "week"),
    "patrol_hours": ("patrol", "day", "week"),
    "inside_km": ("day", "week"),
    "patrol_coverage": ("day", "N days"),
}

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY = pd.Timedelta(days=1)
_GRIDS = ("small grid", "large grid", "grid")


def check_compliance(
    patrols: pd.DataFrame,
    coverage: pd.DataFrame | None,
    profile: Profile,
    *,
    staff: pd.DataFrame | None = None,
    postings: pd.DataFrame | None = None,
    leave: pd.DataFrame | None = None,
    weather: pd.DataFrame | None = None,
    grids: gpd.GeoDataFrame | None = None,
    start: date | str | None = None,
    end: date | str | None = None,
) -> pd.DataFrame:
    """Check the rules of a profile against what was patrolled.

    Parameters
    ----------
    patrols : DataFrame
        What :func:`gridgis.patrol.tracks.patrols` returned.
    coverage : DataFrame, optional
        What :func:`gridgis.patrol.coverage.patrol_coverage` returned; join the frames of each window length that
        :func:`windows` names.
    profile : Profile
        Its rules and its parameters `noon`, `week_start`, `full_share`, `large_grid_km2`, `about`, `timezone`.
    staff : DataFrame, optional
        id; who is judged where there are no postings, beside everyone with a patrol.
    postings : DataFrame, optional
        staff, grid, role, from, to. A role's rules count on the days of its posting. Without postings everyone is
        judged as a full-time worker, and each reason says so.
    leave, weather : DataFrame, optional
        staff, date · date, kind: days of leave, and days of declared extreme weather (every row declares one).
    grids : GeoDataFrame, optional
        code and polygons: which grids are large. Without it the covered ground's area tells.
    start, end : date, optional
        First and last local day of the data; by default those of `patrols` and `coverage`. Days without a track
        count inside this period, none outside it.

    Returns
    -------
    DataFrame
        rule, staff, grid, from, to (dates, both included), value, wanted (text), result, reason (text, None where
        there is nothing to say), by rule in the order of the profile, staff, grid and date. Either staff or grid is
        judged; for staff, grid is the one they are posted to (None where there are several).

        - kept: the value holds, whatever else was the case.
        - excused: it does not, and there was leave or declared weather. Of a week the other days must hold their
          share (7 − n of 7), else it is missed. Of a window of days one declared day excuses.
        - missed: it does not. A day without a track has the value 0 and the reason "no track".
        - undecided: the covered share is nearer to the mark than its error.
        - no data: the period cuts the week or window, nobody is posted, or the machine does not know the metric
          (one row, "not checked by machine").

        ``attrs["parameters"]`` are the thresholds used.

    Raises
    ------
    InputError
        If the period is unknown or ends before it begins.
    ProfileError
        If a rule's value is not a number although its metric is measured.
    SchemaError
        If a column is missing.

    Notes
    -----
    Every calendar day counts, weekends too. A patrol belongs to the half day and day in which it began (local time).
    Of "each patrol lasts an hour" the longest of each half day is judged: a second, short one does no harm. A patrol
    without a minute of walking counts for nothing. Values may fall short by 1e-6 through rounding.
    """
    case = make_case(patrols, coverage, profile.parameters, staff, postings, leave, weather, grids, start, end)
    frames = [_check(rule, case) for rule in profile.rules]
    out = pd.DataFrame({c: pd.Series(dtype=object) for c in RESULT_COLUMNS})
    if frames:
        out = pd.concat(frames, ignore_index=True)[RESULT_COLUMNS]
    out["value"] = out["value"].astype(float)
    for name in ("from", "to"):
        out[name] = out[name].astype("datetime64[us]")
    for name in ("staff", "grid", "reason"):
        out[name] = out[name].astype(object).where(out[name].notna(), None)
    out.attrs["parameters"] = {
        **profile.parameters.as_dict("noon", "week_start", "timezone", "full_share", "large_grid_km2", "about"),
        "share_error": SHARE_ERROR,
        "start": case.first.date().isoformat(),
        "end": case.last.date().isoformat(),
    }
    return out


def windows(profile: Profile) -> list[int]:
    """How many days long the windows of patrol coverage are that the rules of a profile ask for.

    Examples
    --------
    >>> windows(Profile.load("xueyan"))
    [1, 5]
    """
    rules = [r for r in profile.rules if r.metric == "patrol_coverage"]
    return sorted({days for r in rules if (days := _window_days(r.period)) is not None})


def _window_days(period: str) -> int | None:
    number, _, unit = period.partition(" ")
    if period == "day":
        return 1
    return int(number) if number.isdigit() and int(number) > 0 and unit in ("day", "days") else None


def _check(rule: Rule, case: Case) -> pd.DataFrame:
    if rule.metric == "patrol_coverage" and _window_days(rule.period) and rule.subject in _GRIDS:
        return _check_coverage(rule, case)
    roles = {s.strip() for s in rule.subject.split(",")}
    if rule.metric not in METRICS or rule.period not in METRICS[rule.metric] or not roles <= set(ROLES):
        span = {"from": [case.first], "to": [case.last], "result": ["no data"]}
        return result_rows(rule, span, f"{rule.op} {rule.value} {rule.unit}", "not checked by machine")
    checks: dict[str, Callable[[Rule, Case, pd.DataFrame], pd.DataFrame]] = {
        "patrol": _check_patrols,
        "day": _check_days,
        "week": _check_weeks,
    }
    duty = case.duty[case.duty["role"].isin(roles)]
    out = pd.concat([checks[rule.period](rule, case, duty), _no_posting(rule, case)], ignore_index=True)
    if not case.posted:
        out["reason"] = (out["reason"].fillna("") + f"; no postings: judged as {WORKER}").str.removeprefix("; ")
    return out


# --- rules of staff ---------------------------------------------------------------------------------------------------


def _check_days(rule: Rule, case: Case, duty: pd.DataFrame) -> pd.DataFrame:
    days = _by_person_and(duty, "date").join(case.daily, on=["staff", "date"])
    measured = days[case.daily.columns].fillna(0.0)
    held = holds(rule, measured[rule.metric], case.parameters)
    said = np.where(measured["patrols"] == 0, "no track", "")
    if rule.metric == "patrols_each_half_day":
        halves = "morning " + _counted(measured["morning"]) + ", afternoon " + _counted(measured["afternoon"])
        said = np.where(said == "", halves, said)
    result = np.select([held, days["excuse"] != ""], ["kept", "excused"], "missed")
    reason = np.where(result == "missed", said, np.where(result == "excused", days["excuse"], ""))
    table = {"staff": days["staff"], "grid": days["grid"], "from": days["date"], "to": days["date"]}
    return result_rows(rule, {**table, "value": measured[rule.metric], "result": result}, wanted_text(rule), reason)


def _check_patrols(rule: Rule, case: Case, duty: pd.DataFrame) -> pd.DataFrame:
    halves = _by_person_and(duty, "date").merge(case.longest, on=["staff", "date"])
    held = holds(rule, halves["hours"], case.parameters)
    result = np.select([held, halves["excuse"] != ""], ["kept", "excused"], "missed")
    reason = halves["half"].where(result != "excused", halves["half"] + ": " + halves["excuse"])
    table = {"staff": halves["staff"], "grid": halves["grid"], "from": halves["date"], "to": halves["date"]}
    return result_rows(rule, {**table, "value": halves["hours"], "result": result}, wanted_text(rule), reason)


def _check_weeks(rule: Rule, case: Case, duty: pd.DataFrame) -> pd.DataFrame:
    days = _by_person_and(duty, "date").assign(excused=lambda t: t["excuse"] != "")
    weeks = _by_person_and(days.assign(week=_week(days["date"], case.parameters)), "week")
    walked = case.daily.reset_index()
    walked["week"] = _week(walked["date"], case.parameters)
    sums = walked.groupby(["staff", "week"])[rule.metric].sum()
    value = weeks.join(sums, on=["staff", "week"])[rule.metric].fillna(0.0)
    end = weeks["week"] + 6 * _DAY
    inside = (end.clip(upper=case.last) - weeks["week"].clip(lower=case.first)) // _DAY + 1
    free = inside - weeks["on_duty"] + weeks["excused"]
    held = holds(rule, value, case.parameters)
    rest = holds(rule, value, case.parameters, (7 - free) / 7)
    result = np.select([held, inside < 7, (free > 0) & rest], ["kept", "no data", "excused"], "missed")
    cut = "week cut by the period: " + inside.astype(str) + " of 7 days"
    off = free.astype(str) + " of 7 days off (" + weeks["excuse"].where(weeks["excused"] > 0, "no posting") + ")"
    reason = np.select([inside < 7, ~held & (free > 0)], [cut, off], "")
    table = {"staff": weeks["staff"], "grid": weeks["grid"], "from": weeks["week"], "to": end}
    return result_rows(rule, {**table, "value": value, "result": result}, wanted_text(rule), reason)


def _no_posting(rule: Rule, case: Case) -> pd.DataFrame:
    count = len(case.strangers)
    table = {"staff": case.strangers, "from": [case.first] * count, "to": [case.last] * count}
    return result_rows(rule, {**table, "result": ["no data"] * count}, wanted_text(rule), "no posting")


def _by_person_and(duty: pd.DataFrame, day: str) -> pd.DataFrame:
    """One row a person and day (or week); the grid where it is only one."""
    days = duty.groupby(["staff", day], as_index=False).agg(
        grid=("grid", "first"), grids=("grid", "nunique"), on_duty=("date", "nunique"),
        excused=("excused", "sum"), excuse=("excuse", "max"),
    )  # fmt: skip
    return days.assign(grid=days["grid"].where(days["grids"] == 1, None))


def _week(days: pd.Series, parameters: Parameters) -> pd.Series:
    """The first day of the week of each day."""
    since = (days.dt.day_of_week - _WEEKDAYS.index(parameters.week_start)) % 7
    return days - pd.to_timedelta(since, unit="D")


def _counted(values: pd.Series) -> pd.Series:
    return values.astype(int).astype(str)


# --- rules of grids ---------------------------------------------------------------------------------------------------


def _check_coverage(rule: Rule, case: Case) -> pd.DataFrame:
    mark = number(rule) * case.parameters.full_share
    wanted = f"{rule.op} {mark:g}"
    days = _window_days(rule.period) or 1
    if case.coverage is None or len(case.coverage) == 0:
        span: dict[str, Any] = {"from": [case.first], "to": [case.last], "result": ["no data"]}
        return result_rows(rule, span, wanted, "patrol coverage was not measured")
    large = case.km2 >= case.parameters.large_grid_km2
    meant = {"large grid": large, "small grid": ~large}.get(rule.subject, large | True)
    codes = sorted(case.km2.index[meant])
    period = (case.last - case.first) // _DAY + 1
    length = (case.coverage["to"] - case.coverage["from"]) // _DAY + 1
    found = case.coverage[case.coverage["grid"].isin(codes) & (length == min(days, period))]
    found = found.sort_values(["grid", "from"], kind="stable", ignore_index=True)
    cut = f"window cut by the period: {period} of {days} days" if period < days else ""
    judged = _judge_shares(rule, case, found, mark, cut)
    reason = judged.pop("reason")
    absent = [c for c in codes if c not in set(found["grid"])]
    gaps = {"grid": absent, "from": [case.first] * len(absent), "to": [case.last] * len(absent)}
    unknown = {**gaps, "result": ["no data"] * len(absent)}
    never = result_rows(rule, unknown, wanted, f"no windows of {days} days were measured")
    return pd.concat([result_rows(rule, judged, wanted, reason), never], ignore_index=True)


def _judge_shares(rule: Rule, case: Case, found: pd.DataFrame, mark: float, cut: str) -> dict[str, Any]:
    share = found["share"].to_numpy(dtype=float)
    held = compare(rule.op, share, mark, case.parameters)
    unsure = np.abs(share - mark) <= SHARE_ERROR
    posted = dict(list(case.duty.groupby("grid"))) if case.posted else None
    excuse = np.array(
        [
            "" if fine else _excuse(row.to_dict(), case, posted)
            for fine, (_, row) in zip(held | unsure, found.iterrows(), strict=True)
        ],
        dtype=object,
    )
    nothing = np.isnan(share)
    result = np.select(
        [nothing, unsure, held, excuse == "no posting", excuse != "", np.full(len(share), cut != "")],
        ["no data", "undecided", "kept", "no data", "excused", "no data"],
        "missed",
    )
    reason = np.where(excuse != "", excuse, cut)
    reason = np.where(unsure, f"within {SHARE_ERROR:g} of the mark", reason)
    reason = np.where(nothing, "no ground to be covered", reason)
    window = {name: found[name] for name in ("grid", "from", "to")}
    return {**window, "value": share, "result": result, "reason": reason}


def _excuse(window: dict[str, Any], case: Case, posted: dict[Any, pd.DataFrame] | None) -> str:
    """Why nobody had to cover a grid in a window; "" if somebody had to."""
    days = pd.date_range(window["from"], window["to"])
    declared = [d for d in days if d in case.weather]
    if declared:
        return f"{case.weather[declared[0]]} declared on {len(declared)} of {len(days)} days"
    if posted is None:
        return ""
    duty = posted.get(window["grid"])
    if duty is None or not (there := duty["date"].isin(days)).any():
        return "no posting"
    return "leave" if duty.loc[there, "excused"].all() else ""
