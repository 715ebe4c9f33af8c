"""Rules of people: what each member of staff walked on a day, in each half of it, and in a week or a longer span."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gridgis.compliance.case import WORKER, Case, roles_of
from gridgis.compliance.marks import holds, result_rows, wanted_text
from gridgis.compliance.passing import rounds
from gridgis.compliance.periods import DAY, cut_text, ends, span_of, starts, working
from gridgis.rules import Rule


def check_people(rule: Rule, case: Case) -> pd.DataFrame:
    """The results of a rule of staff, and of whoever walked without a posting."""
    duty = case.duty[case.duty["role"].isin(roles_of(rule))]
    if rule.metric in ("building_rounds", "courtyard_rounds"):
        out = _check_rounds(rule, case, duty)
    elif rule.period == "patrol":
        out = _check_patrols(rule, case, duty)
    elif rule.period in ("day", "working day"):
        out = _check_days(rule, case, _on_working_days(rule, case, duty))
    else:
        out = _check_spans(rule, case, duty)
    out = pd.concat([out, _no_posting(rule, case)], ignore_index=True)
    if not case.posted:
        out["reason"] = (out["reason"].fillna("") + f"; no postings: judged as {WORKER}").str.removeprefix("; ")
    return out


def _on_working_days(rule: Rule, case: Case, duty: pd.DataFrame) -> pd.DataFrame:
    if rule.period != "working day":
        return duty
    return duty[working(duty["date"], case.parameters, case.calendar)]


def _check_days(rule: Rule, case: Case, duty: pd.DataFrame) -> pd.DataFrame:
    days = by_person_and(duty, "date").join(case.daily, on=["staff", "date"])
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
    halves = by_person_and(duty, "date").merge(case.longest, on=["staff", "date"])
    held = holds(rule, halves["hours"], case.parameters)
    result = np.select([held, halves["excuse"] != ""], ["kept", "excused"], "missed")
    reason = halves["half"].where(result != "excused", halves["half"] + ": " + halves["excuse"])
    table = {"staff": halves["staff"], "grid": halves["grid"], "from": halves["date"], "to": halves["date"]}
    return result_rows(rule, {**table, "value": halves["hours"], "result": result}, wanted_text(rule), reason)


def _check_spans(rule: Rule, case: Case, duty: pd.DataFrame) -> pd.DataFrame:
    """Sums of weeks and longer spans; of one with days off the other days must hold their share."""
    period = span_of(rule.period)
    days = by_person_and(duty, "date").assign(excused=lambda t: t["excuse"] != "")
    weeks = by_person_and(days.assign(week=starts(days["date"], period, case.parameters)), "week")
    walked = case.daily.reset_index()
    walked["week"] = starts(walked["date"], period, case.parameters)
    sums = walked.groupby(["staff", "week"])[rule.metric].sum()
    value = weeks.join(sums, on=["staff", "week"])[rule.metric].fillna(0.0)
    end = ends(weeks["week"], period)
    length = (end - weeks["week"]) // DAY + 1
    inside = (end.clip(upper=case.last) - weeks["week"].clip(lower=case.first)) // DAY + 1
    free = inside - weeks["on_duty"] + weeks["excused"]
    held = holds(rule, value, case.parameters)
    rest = holds(rule, value, case.parameters, (length - free) / length)
    result = np.select([held, inside < length, (free > 0) & rest], ["kept", "no data", "excused"], "missed")
    off = free.astype(str) + " of " + length.astype(str) + " days off ("
    off += weeks["excuse"].where(weeks["excused"] > 0, "no posting") + ")"
    reason = pd.Series(
        np.select([inside < length, ~held & (free > 0)], [cut_text(period, inside, length), off], ""), dtype=object
    )
    reason = (reason + _changes(days, weeks, period, case)).str.removeprefix("; ")
    table = {"staff": weeks["staff"], "grid": weeks["grid"], "from": weeks["week"], "to": end}
    return result_rows(rule, {**table, "value": value, "result": result}, wanted_text(rule), reason)


def _changes(days: pd.DataFrame, weeks: pd.DataFrame, period: str, case: Case) -> pd.Series:
    """Of each span in which somebody went from one grid to another: from which to which; "" of the others."""
    known = days.dropna(subset="grid")
    known = known.assign(week=starts(known["date"], period, case.parameters)).drop_duplicates(["staff", "week", "grid"])
    passed = known.groupby(["staff", "week"])["grid"].agg(" → ".join)
    told = weeks.join(passed.rename("passed"), on=["staff", "week"])["passed"].fillna("")
    return ("; grid changed in the period: " + told).where(told.str.contains(" → ", regex=False), "")


def _check_rounds(rule: Rule, case: Case, duty: pd.DataFrame) -> pd.DataFrame:
    """Of each day: the share of the buildings (or compounds) of the own grids that were passed, against the mark."""
    places = case.given.buildings if rule.metric == "building_rounds" else case.given.compounds
    noun = "buildings" if rule.metric == "building_rounds" else "compounds"
    mark = float(rule.value) * case.parameters.full_share if isinstance(rule.value, float | int) else 1.0
    wanted = f"{rule.op} {mark:g} of the {noun}"
    if places is None or case.given.fixes is None or case.given.grids is None:
        span = {"from": [case.first], "to": [case.last], "result": ["no data"]}
        return result_rows(rule, span, wanted, f"{noun}, grids and tracks are needed")
    days = _on_working_days(rule, case, duty)
    seen = rounds(days, case.given.fixes, places, case.given.grids, case.parameters.building_passed_m)
    held = (seen["share"] >= mark - 1e-9).to_numpy()
    result = np.select([seen["total"] == 0, held, seen["excuse"] != ""], ["no data", "kept", "excused"], "missed")
    counted = seen["passed"].astype(str) + " of " + seen["total"].astype(str) + f" {noun} passed"
    reason = np.where(seen["total"] == 0, f"no {noun} in the grid", counted)
    reason = np.where(result == "excused", seen["excuse"], reason)
    table = {"staff": seen["staff"], "grid": seen["grid"], "from": seen["date"], "to": seen["date"]}
    return result_rows(rule, {**table, "value": seen["share"], "result": result}, wanted, reason)


def _no_posting(rule: Rule, case: Case) -> pd.DataFrame:
    count = len(case.strangers)
    table = {"staff": case.strangers, "from": [case.first] * count, "to": [case.last] * count}
    return result_rows(rule, {**table, "result": ["no data"] * count}, wanted_text(rule), "no posting")


def by_person_and(duty: pd.DataFrame, day: str) -> pd.DataFrame:
    """One row a person and day (or span); the grid where it is only one."""
    days = duty.groupby(["staff", day], as_index=False).agg(
        grid=("grid", "first"), grids=("grid", "nunique"), on_duty=("date", "nunique"),
        excused=("excused", "sum"), excuse=("excuse", "max"),
    )  # fmt: skip
    return days.assign(grid=days["grid"].where(days["grids"] == 1, None))


def _counted(values: pd.Series) -> pd.Series:
    return values.astype(int).astype(str)
