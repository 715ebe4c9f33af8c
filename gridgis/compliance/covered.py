"""Rules of grids and road segments: the share that was patrolled, patrols a day, and who was on duty on a street."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gridgis.compliance.case import Case, grids_of
from gridgis.compliance.marks import compare, holds, number, result_rows, wanted_text
from gridgis.compliance.passing import passed
from gridgis.compliance.periods import DAY, cut_text, span_of, spans, starts, working
from gridgis.compliance.states import unknown
from gridgis.patrol.coverage import SHARE_ERROR, decided
from gridgis.rules import Rule, window_days


def check_coverage(rule: Rule, case: Case) -> pd.DataFrame:
    mark = number(rule) * case.parameters.full_share
    wanted = f"{rule.op} {mark:g}"
    days = window_days(rule.period) or 1
    if case.coverage is None or len(case.coverage) == 0:
        span: dict[str, Any] = {"from": [case.first], "to": [case.last], "result": ["no data"]}
        return result_rows(rule, span, wanted, "patrol coverage was not measured")
    codes = grids_of(rule, case)
    if not codes:
        span = {"from": [case.first], "to": [case.last], "result": ["no data"]}
        return result_rows(rule, span, wanted, f"there is no {rule.subject}")
    period = (case.last - case.first) // DAY + 1
    length = (case.coverage["to"] - case.coverage["from"]) // DAY + 1
    found = case.coverage[case.coverage["grid"].isin(codes) & (length == min(days, period))]
    found = found.sort_values(["grid", "from"], kind="stable", ignore_index=True)
    cut = f"window cut by the period: {period} of {days} days" if period < days else ""
    judged = _judge_shares(rule, case, found, mark, cut)
    reason = judged.pop("reason")
    absent = [c for c in codes if c not in set(found["grid"])]
    gaps: dict[str, Any] = {"grid": absent, "from": [case.first] * len(absent), "to": [case.last] * len(absent)}
    gaps["result"] = ["no data"] * len(absent)
    never = result_rows(rule, gaps, wanted, f"no windows of {days} days were measured")
    return pd.concat([result_rows(rule, judged, wanted, reason), never], ignore_index=True)


def _judge_shares(rule: Rule, case: Case, found: pd.DataFrame, mark: float, cut: str) -> dict[str, Any]:
    share = found["share"].to_numpy(dtype=float)
    nothing = np.isnan(share)
    reached = decided(found, mark)
    unsure = reached.isna().to_numpy() & ~nothing
    held = compare(rule.op, share, mark, case.parameters)
    if rule.op == ">=":
        held = reached.fillna(False).to_numpy(dtype=bool)
    posted = dict(list(case.duty.groupby("grid"))) if case.posted else None
    excuse = np.array(
        [
            "" if fine else _excuse(row.to_dict(), case, posted)
            for fine, (_, row) in zip(held | unsure, found.iterrows(), strict=True)
        ],
        dtype=object,
    )
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


# --- patrols of a grid, by whomever -----------------------------------------------------------------------------------


def check_grid_patrols(rule: Rule, case: Case) -> pd.DataFrame:
    """Patrols of each grid, of whoever is posted there, in each day or span."""
    period = span_of(rule.period)
    codes = grids_of(rule, case)
    if not codes:
        return unknown(rule, case, f"there is no {rule.subject}")
    times = spans(case.first, case.last, period, case.parameters)
    if rule.period == "working day":
        times = times[working(times["from"], case.parameters, case.calendar)]
    walked = case.by_grid.assign(**{"from": starts(case.by_grid["date"], period, case.parameters)})
    sums = walked.groupby(["grid", "from"])["patrols"].sum()
    every = pd.DataFrame({"grid": codes}, dtype=object).merge(times, how="cross")
    value = every.join(sums, on=["grid", "from"])["patrols"].fillna(0.0)
    held = holds(rule, value, case.parameters)
    posted = dict(list(case.duty.groupby("grid"))) if case.posted else None
    excuse = np.array(
        ["" if fine else _excuse(row, case, posted) for fine, row in zip(held, every.to_dict("records"), strict=True)],
        dtype=object,
    )
    cut = (every["inside"] < every["days"]).to_numpy()
    result = np.select(
        [held, excuse == "no posting", excuse != "", cut], ["kept", "no data", "excused", "no data"], "missed"
    )
    reason = np.where(excuse != "", excuse, np.where(cut, cut_text(period, every["inside"], every["days"]), ""))
    reason = np.where(result == "kept", "", np.where(result == "missed", "no track", reason))
    table = {"grid": every["grid"], "from": every["from"], "to": every["to"], "value": value, "result": result}
    return result_rows(rule, table, wanted_text(rule), reason)


# --- road segments ----------------------------------------------------------------------------------------------------


def check_segments(rule: Rule, case: Case) -> pd.DataFrame:
    """How many of its staff were on each road segment on each day.

    With tracks: whoever came within `building_passed_m` of it; without: whoever is posted and not on leave. Whose
    staff, the postings tell: to the segment by its code, else to its grid; without postings everybody counts.
    """
    segments = case.given.segments
    if segments is None:
        return unknown(rule, case, "no segments were given")
    days = pd.DataFrame({"date": pd.date_range(case.first, case.last).astype("datetime64[us]")})
    if rule.period == "working day":
        days = days[working(days["date"], case.parameters, case.calendar)]
    own = posted_to_segments(segments, case)
    every = own[["target", "grid"]].drop_duplicates("target").merge(days, how="cross")
    tracked = case.given.fixes is not None
    counts = _on_segments(own, case) if tracked else _posted_on_segments(own, case)
    every = every.join(counts, on=["target", "date"])
    value = every["staff"].fillna(0.0)
    held = holds(rule, value, case.parameters)
    storm = np.array([f"{case.weather[d]} declared" if d in case.weather else "" for d in every["date"]], dtype=object)
    nobody = ~every["target"].isin(own.dropna(subset="who")["target"]) & case.posted
    result = np.select([held, nobody, storm != ""], ["kept", "no data", "excused"], "missed")
    missing = "no track" if tracked else "nobody on duty"
    reason = np.select([result == "excused", nobody, result == "missed"], [storm, "no posting", missing], "")
    if not tracked:
        reason = np.where(result == "kept", "by postings, without tracks", reason)
    table = {"grid": every["grid"], "target": every["target"], "from": every["date"], "to": every["date"]}
    return result_rows(rule, {**table, "value": value, "result": result}, wanted_text(rule), reason)


def posted_to_segments(segments: pd.DataFrame, case: Case) -> pd.DataFrame:
    """target (segment), place (its position), grid, and each of its staff (who, date; None where there is nobody)."""
    codes = segments["code"].astype(str).to_numpy(dtype=object)
    grid = segments["grid"].to_numpy(dtype=object) if "grid" in segments.columns else np.full(len(codes), None)
    table = pd.DataFrame({"target": codes, "place": np.arange(len(codes)), "grid": grid}, dtype=object)
    duty = case.duty.rename(columns={"staff": "who", "grid": "at"})[["who", "role", "at", "date", "excused"]]
    if not case.posted:
        return table.merge(duty.drop(columns="at"), how="cross") if len(duty) else table.assign(who=None)
    own = table.merge(duty, left_on="target", right_on="at", how="inner")
    rest = table[~table["target"].isin(own["target"])].merge(duty, left_on="grid", right_on="at", how="left")
    return pd.concat([own, rest], ignore_index=True).sort_values(["target", "who", "date"], ignore_index=True)


def _on_segments(own: pd.DataFrame, case: Case) -> pd.Series:
    seen = passed(case.given.fixes, case.given.segments, case.parameters.building_passed_m)
    seen = seen.rename(columns={"staff": "who"}).astype({"place": object})
    there = own.dropna(subset="who").merge(seen, on=["who", "date", "place"])
    return there.groupby(["target", "date"])["who"].nunique().rename("staff")


def _posted_on_segments(own: pd.DataFrame, case: Case) -> pd.Series:
    there = own.dropna(subset="who")
    return there[~there["excused"].astype(bool)].groupby(["target", "date"])["who"].nunique().rename("staff")
