"""Matters (事项): a light for each, whether it lies in the grid it names, and how many were reported in a month."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from gridgis.compliance.case import Case
from gridgis.compliance.marks import holds, result_rows, wanted_text
from gridgis.compliance.passing import grid_of
from gridgis.compliance.periods import cut_text, spans, starts
from gridgis.compliance.states import unknown
from gridgis.profile import Parameters, Profile
from gridgis.rules import Rule

LIGHTS = ("green", "yellow", "red")
#: Why a light is what it is.
LIGHT_REASONS = ("in time", "slow", "late", "stuck", "no time")
LIGHT_COLUMNS = ["code", "category", "grid", "grid_of_place", "light", "reason", "days", "due"]
#: What was found wrong with a reported item: such items are not valid.
_INVALID = ("unqualified", "false", "不合格", "虚假")


def matter_lights(
    matters: pd.DataFrame, grids: gpd.GeoDataFrame | None, parameters: Parameters, at: pd.Timestamp
) -> pd.DataFrame:
    """The traffic light of each matter at a moment.

    Parameters
    ----------
    matters : DataFrame
        code, and where known category, time, grid, deadline, closed (times with a zone), and places.
    grids : GeoDataFrame, optional
        To tell in which grid a matter lies.
    parameters : Parameters
        `yellow_days` and `red_days` after which an open matter is yellow, and one without a deadline is due.
    at : Timestamp
        With a zone. What was closed later was open then; what was reported later is left out.

    Returns
    -------
    DataFrame
        code, category, grid (as the matter names it), grid_of_place (None without a place), light, reason, days (from
        time to closing, or to `at`), due (UTC). Green: closed by its deadline, or open for less than `yellow_days`
        ("in time"). Yellow: closed after it ("late"), or open for longer and not yet due ("slow"). Red: open after it
        ("stuck"). A matter without a time has no light.
    """
    table = pd.DataFrame({"code": matters["code"].astype(str)}, dtype=object)
    for name in ("category", "grid"):
        table[name] = matters[name] if name in matters.columns else None
    for name in ("time", "deadline", "closed"):
        given = matters[name] if name in matters.columns else pd.Series(pd.NaT, index=matters.index)
        table[name] = pd.to_datetime(given, utc=True)
    table["grid_of_place"] = None
    if grids is not None and isinstance(matters, gpd.GeoDataFrame) and matters.active_geometry_name:
        table["grid_of_place"] = grid_of(matters, grids)
    moment = at.tz_convert("UTC")
    table = table[~(table["time"] > moment)]
    due = table["deadline"].fillna(table["time"] + pd.Timedelta(days=parameters.red_days))
    closed = table["closed"].where(table["closed"] <= moment)
    days = (closed.fillna(moment) - table["time"]).dt.total_seconds() / 86400
    is_open = closed.isna()
    reason = np.select(
        [table["time"].isna() & due.isna(), is_open & (moment > due), ~is_open & (closed > due),
         is_open & (days > parameters.yellow_days)],
        ["no time", "stuck", "late", "slow"], "in time",
    )  # fmt: skip
    light = pd.Series(reason).map(
        {"in time": "green", "slow": "yellow", "late": "yellow", "stuck": "red", "no time": None}
    )
    table = table.assign(light=light.to_numpy(dtype=object), reason=reason, days=days.round(2), due=due)
    return table.sort_values("code", kind="stable", ignore_index=True)[LIGHT_COLUMNS]


def categories_of(profile: Profile, category: str) -> tuple[str, ...]:
    """The words that lists of matters have for a category of the rules, itself among them."""
    return (category, *profile.score.categories.get(category, ()))


def valid_items(matters: pd.DataFrame) -> pd.DataFrame:
    """The matters of which nobody found that they are unqualified or false."""
    if "finding" not in matters.columns:
        return matters
    return matters[~matters["finding"].isin(_INVALID)]


def check_items(rule: Rule, case: Case) -> pd.DataFrame:
    """Valid reported items of a month, of all or of one category: the average of the grids."""
    matters = case.given.matters
    if matters is None or "time" not in matters.columns:
        return unknown(rule, case, "no matters were given")
    some = valid_items(matters)
    if rule.category:
        named: Any = some["category"] if "category" in some.columns else pd.Series(dtype=object)
        some = some[named.isin(categories_of(case.profile, rule.category))]
    day = some["time"].dt.tz_convert(case.parameters.timezone).dt.tz_localize(None).dt.normalize()
    day = day[day.between(case.first, case.last)].astype("datetime64[us]")
    count = starts(day, rule.period, case.parameters).value_counts()
    months = spans(case.first, case.last, rule.period, case.parameters)
    grids = max(len(case.given.grids) if case.given.grids is not None else len(case.km2), 1)
    total = months["from"].map(count).fillna(0).astype(int)
    value = total / grids
    held = holds(rule, value, case.parameters)
    cut = months["inside"] < months["days"]
    result = np.select([held, cut], ["kept", "no data"], "missed")
    counted = total.astype(str) + f" items in {grids} grids"
    told = counted + "; " + cut_text(rule.period, months["inside"], months["days"])
    table = {"from": months["from"], "to": months["to"], "value": value, "result": result}
    return result_rows(rule, table, wanted_text(rule), np.where(cut & ~held, told, counted))
