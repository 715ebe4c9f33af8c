"""Scores by the two published templates, each printed as its formula with the numbers in it.

"items" (Xueyan): 0.6 × items + 0.2 × visits + 0.2 × base data, then deductions, of each grid.
"attendance" (Yichang): shares of attendance, daily work, special work and the community's rating, of each worker.
What no table tells is named, and counts nothing: a score without it is not the whole score.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pandas as pd

from gridgis.compliance.matters import valid_items
from gridgis.profile import Profile

SCORE_COLUMNS = ["template", "staff", "grid", "from", "to", "score", "formula", "unknown"]

#: Words of the grade of a matter: escalated A, B or C; any other, and none, was handled by the grid itself.
_GRADES = ("A", "B", "C")
_FINDINGS = {"unqualified": "unqualified", "不合格": "unqualified", "false": "false", "虚假": "false",
             "rejected": "rejected", "退回": "rejected"}  # fmt: skip


def compliance_scores(
    profile: Profile,
    rules: pd.DataFrame,
    *,
    matters: pd.DataFrame | None = None,
    visits: pd.DataFrame | None = None,
    grids: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The scores of a profile's template for the period of the results.

    Parameters
    ----------
    profile : Profile
        Its `score.template` and the weights and points of its rules with ``check = "score"``.
    rules : DataFrame
        What :func:`gridgis.compliance.check_compliance` returned.
    matters : DataFrame, optional
        code, grid, and where known time, `grade` (A, B, C; else the grid's own) and `finding` (unqualified, false,
        rejected).
    visits : DataFrame, optional
        What :func:`gridgis.compliance.calls.visit_table` returned.
    grids : DataFrame, optional
        code of the grids that are scored.

    Returns
    -------
    DataFrame
        template, staff or grid, from, to, score, formula (with its numbers), unknown (the parts that no table tells);
        empty where the profile has no template.

    Notes
    -----
    Monthly minima are deducted for whole calendar months alone: a fortnight is no month. Service records and forms of
    base data are in no table of gridgis.
    """
    points = {r.metric: r.value for r in profile.rules if r.check == "score"}
    if profile.score.template == "items":
        rows = _by_items(profile, rules, points, matters, visits, grids)
    elif profile.score.template == "attendance":
        rows = _by_attendance(rules, points)
    else:
        rows = []
    out = pd.DataFrame(rows, columns=SCORE_COLUMNS)
    out["score"] = out["score"].astype(float)
    for name in ("from", "to"):
        out[name] = pd.to_datetime(out[name]).astype("datetime64[us]")
    return out


def _number(points: Mapping[str, Any], name: str, default: float) -> float:
    value = points.get(name, default)
    return float(Fraction(value)) if isinstance(value, str) else float(value)


# --- items ------------------------------------------------------------------------------------------------------------


def item_points(a: int, b: int, c: int, own: int, points: Mapping[str, Any]) -> tuple[float, str]:
    """The points of a grid's items, and the formula: A 5, B 3, C 1, own 1 up to 40, then a third (three make one).

    Examples
    --------
    >>> item_points(1, 2, 3, 46, {})
    (56.0, '5×1 + 3×2 + 1×3 + 1×(40 + 6×1/3)')
    """
    worth = [float(w) for w in str(points.get("escalated item A / B / C", "5 / 3 / 1")).split("/")]
    each = _number(points, "self-handled item", 1)
    full = int(_number(points, "self_handled_items counted in full", 40))
    part = Fraction(str(points.get("self_handled_items beyond 40", "1/3")))
    beyond = max(own - full, 0)
    # Three count as one: what does not make a whole one counts nothing.
    counted = min(own, full) + int(beyond * part)
    total = worth[0] * a + worth[1] * b + worth[2] * c + each * counted
    owns = f"{each:g}×({full} + {beyond}×{part})" if beyond else f"{each:g}×{own}"
    return total, f"{worth[0]:g}×{a} + {worth[1]:g}×{b} + {worth[2]:g}×{c} + {owns}"


def _by_items(
    profile: Profile,
    rules: pd.DataFrame,
    points: Mapping[str, Any],
    matters: pd.DataFrame | None,
    visits: pd.DataFrame | None,
    grids: pd.DataFrame | None,
) -> list[tuple[Any, ...]]:
    if matters is None:
        return []
    first, last = (pd.Timestamp(rules.attrs["parameters"][name]) for name in ("start", "end"))
    codes = sorted(set(matters["grid"].dropna().astype(str)) if grids is None else set(grids["code"].astype(str)))
    some = _within(matters, first, last, profile.parameters.timezone)
    absent = _days_without_track(rules)
    calls = _visits_on_time(visits, first, last)
    rows = []
    for code in codes:
        own = some[some["grid"].astype(object) == code]
        score, formula = _grid_score(own, calls.get(code, 0), absent.get(code, 0), points)
        minimum = _missing_items(own, first, last, profile)
        if minimum is not None:
            score += minimum * _number(points, "deduction for missing reported item", -1)
            formula += f" − {minimum} items short of the month's minimum"
        formula += f" = {score:g}"
        told = ["base data", "service records"] + (["visits"] if visits is None else [])
        told += ["grades"] if "grade" not in matters.columns else []
        told += ["monthly minimum (no whole month)"] if minimum is None else []
        rows.append(("items", None, code, first, last, score, formula, ", ".join(told)))
    return rows


def _grid_score(own: pd.DataFrame, visits: int, absent: int, points: Mapping[str, Any]) -> tuple[float, str]:
    weights = [
        _number(points, f"weight {name}", default) / 100
        for name, default in (("service-management items", 60), ("visit records", 20), ("base data", 20))
    ]
    valid = valid_items(own)
    grade = valid["grade"].astype(object) if "grade" in valid.columns else pd.Series(dtype=object)
    a, b, c = (int((grade == g).sum()) for g in _GRADES)
    items, text = item_points(a, b, c, len(valid) - a - b - c, points)
    call = _number(points, "completed visit on time", 1)
    score = weights[0] * items + weights[1] * call * visits
    formula = f"{weights[0]:g}×({text}) + {weights[1]:g}×{call:g}×{visits} + {weights[2]:g}×0"
    finding = own["finding"].map(_FINDINGS) if "finding" in own.columns else pd.Series(dtype=object)
    found = [
        ("without track", absent, _number(points, "day without track and without leave", -2)),
        ("unqualified", int((finding == "unqualified").sum()), _number(points, "unqualified", -2)),
        ("false", int((finding == "false").sum()), _number(points, "false", -10)),
        ("rejected", int((finding == "rejected").sum()), _number(points, "wrongly escalated and rejected", -1)),
    ]
    for name, count, worth in found:
        score += count * worth
        formula += f" − {abs(worth):g}×{count} {name}" if count else ""
    return round(score, 6), formula


def _within(matters: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp, zone: str) -> pd.DataFrame:
    if "time" not in matters.columns:
        return matters.iloc[:0]
    day = matters["time"].dt.tz_convert(zone).dt.tz_localize(None).dt.normalize()
    return matters[day.between(first, last)].assign(day=day)


def _days_without_track(rules: pd.DataFrame) -> dict[Any, int]:
    """Days of a full-time worker without a track, leave or declared weather, by the grid of the posting."""
    found = rules[
        (rules["result"] == "missed") & rules["reason"].astype(object).eq("no track") & rules["staff"].notna()
    ]
    days = found[(found["from"] == found["to"])].drop_duplicates(["staff", "from"])
    return {code: int(n) for code, n in days.groupby("grid").size().items()}


def _visits_on_time(visits: pd.DataFrame | None, first: pd.Timestamp, last: pd.Timestamp) -> dict[Any, int]:
    if visits is None:
        return {}
    made = visits[visits["date"].between(first, last) & (visits["class"] == "care address")]
    return {code: int(n) for code, n in made.groupby("grid").size().items()}


def _missing_items(own: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp, profile: Profile) -> int | None:
    """How many items a grid is short of the minimum of the whole months in the period; None where there is none."""
    wanted = next((r.value for r in profile.rules if r.metric == "reported_items" and not r.category), None)
    months = pd.period_range(first, last, freq="M")
    whole = [m for m in months if m.start_time >= first and m.end_time.normalize() <= last]
    if not isinstance(wanted, int | float) or not whole:
        return None
    count = valid_items(own)["day"].dt.to_period("M").value_counts()
    return int(sum(max(wanted - count.get(month, 0), 0) for month in whole))


# --- attendance -------------------------------------------------------------------------------------------------------


def _by_attendance(rules: pd.DataFrame, points: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Of each worker: the share of days with a track or an excuse, and the share of daily rules kept or excused."""
    weights = [
        _number(points, f"{name}_weight", default)
        for name, default in (("attendance", 15), ("daily_work", 45), ("special_work", 30), ("community_rating", 10))
    ]
    daily = rules[rules["staff"].notna() & (rules["from"] == rules["to"])]
    daily = daily[daily["result"].isin(("kept", "missed", "excused"))]
    rows = []
    for who, own in daily.groupby("staff", sort=True):
        absent = own[own["reason"].astype(object).eq("no track") & (own["result"] == "missed")]
        days, away = own["from"].nunique(), absent["from"].nunique()
        kept = int((own["result"] != "missed").sum())
        parts = [weights[0] * (days - away) / days, weights[1] * kept / len(own)]
        score = round(sum(parts), 2)
        formula = (
            f"{weights[0]:g}×{days - away}/{days} + {weights[1]:g}×{kept}/{len(own)} = {score:g}"
            f" (of {weights[0] + weights[1]:g})"
        )
        unknown = f"special work ({weights[2]:g}), community rating ({weights[3]:g})"
        grids = own["grid"].dropna().unique()
        grid = grids[0] if len(grids) == 1 else None
        rows.append(("attendance", who, grid, own["from"].min(), own["to"].max(), score, formula, unknown))
    return rows
