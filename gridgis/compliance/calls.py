"""Visits of sites, care addresses and households against their cadence, and whether a track confirms them.

A care address is a code: no resident, no house and no reason leaves this room. Households are told by the grid.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gridgis import crs
from gridgis.compliance.case import Case
from gridgis.compliance.marks import holds, result_rows
from gridgis.compliance.passing import grid_of
from gridgis.compliance.periods import cut_text, spans, starts
from gridgis.patrol import inside
from gridgis.profile import Parameters
from gridgis.rules import Rule

#: What is said of a visit: a track of its staff passed at that time, did not, or there is none of that day.
CONFIRMED = ("yes", "no", "no track", "no place")
VISIT_COLUMNS = ["target", "class", "grid", "staff", "time", "date", "kind", "confirmed", "distance_m"]

#: The days of each span, to compare cadences by.
_DAYS = {"day": 1.0, "week": 7.0, "month": 30.4, "quarter": 91.3, "half-year": 182.6, "year": 365.25}
_PERIODS = {
    "day": "day", "daily": "day", "天": "day", "日": "day", "week": "week", "weekly": "week", "周": "week",
    "星期": "week", "month": "month", "monthly": "month", "月": "month", "quarter": "quarter",
    "quarterly": "quarter", "季": "quarter", "季度": "quarter", "half-year": "half-year", "half-yearly": "half-year",
    "半年": "half-year", "year": "year", "yearly": "year", "年": "year",
}  # fmt: skip
_COUNTS = {"once": 1, "twice": 2, "一": 1, "两": 2, "二": 2, "三": 3, "四": 4, "五": 5}
_ENGLISH = re.compile(r"(?:(once|twice|\d+ times?) (?:a|an|per|each|every) )?([a-z-]+)")
_CHINESE = re.compile(r"每(天|日|周|星期|月|季度|季|半年|年)(?:([一两二三四五]|\d+)次)?")
_CARE = ("care address", "走访地址")
_PHONE = ("phone", "电话", "电话回访")


class Cadence(NamedTuple):
    """How many visits in each span."""

    times: float
    period: str

    @property
    def rate(self) -> float:
        return self.times / _DAYS[self.period]


def read_cadence(text: object) -> Cadence | None:
    """A cadence as people write it; None where it cannot be read.

    Examples
    --------
    >>> read_cadence("twice a week"), read_cadence("每月一次"), read_cadence("daily"), read_cadence("often")
    (Cadence(times=2.0, period='week'), Cadence(times=1.0, period='month'), Cadence(times=1.0, period='day'), None)
    """
    plain = str(text).strip().lower()
    chinese, english = _CHINESE.fullmatch(plain), _ENGLISH.fullmatch(plain)
    if chinese:
        count = chinese[2] or "一"
        return Cadence(float(_COUNTS.get(count, 0) or count), _PERIODS[chinese[1]])
    if english and english[2] in _PERIODS:
        often = (english[1] or "once").partition(" ")[0]
        return Cadence(float(_COUNTS.get(often, 0) or often), _PERIODS[english[2]])
    return None


# --- what is to be visited --------------------------------------------------------------------------------------------


def targets_of(sites: pd.DataFrame, houses: pd.DataFrame | None, grids: gpd.GeoDataFrame | None) -> gpd.GeoDataFrame:
    """Sites and care addresses with their place, WGS 84: target, class, care, cadence, grid, geometry.

    What has a house and no class is a care address, and lies where its house does.
    """
    codes = sites["code"].astype(str).to_numpy(dtype=object)
    named = {c: sites[c].to_numpy(dtype=object) if c in sites.columns else np.full(len(sites), None) for c in _OF_SITES}
    kind = pd.Series(named["class"], dtype=object)
    care = kind.isin(_CARE) | (kind.isna() & pd.Series(named["house"], dtype=object).notna())
    shape = np.full(len(sites), None, dtype=object)
    if isinstance(sites, gpd.GeoDataFrame) and sites.active_geometry_name:
        shape = np.asarray(crs.project(sites.geometry.to_numpy(), crs.require_crs(sites), crs.WGS84), dtype=object)
    if isinstance(houses, gpd.GeoDataFrame):
        at = pd.Series(
            crs.project(houses.geometry.to_numpy(), crs.require_crs(houses), crs.WGS84), houses["code"].astype(str)
        )
        here = pd.Series(named["house"], dtype=object).map(at[~at.index.duplicated()]).to_numpy(dtype=object)
        shape = np.where(pd.isna(shape), here, shape)
    shape[pd.isna(shape)] = None
    table = {"target": codes, "class": kind.where(~care, "care address"), "care": care, "cadence": named["cadence"]}
    out = gpd.GeoDataFrame(table, geometry=gpd.GeoSeries(list(shape), crs=crs.WGS84))
    out["grid"] = None if grids is None else grid_of(out, grids)
    return out


_OF_SITES = ("class", "house", "cadence")


def visit_table(
    visits: pd.DataFrame,
    targets: gpd.GeoDataFrame,
    fixes: pd.DataFrame | None,
    parameters: Parameters,
) -> pd.DataFrame:
    """Visits of known targets, each with whether a track confirms it.

    Parameters
    ----------
    visits : DataFrame
        target, time (with a zone), and, where known, staff and kind (phone, or a call at the door).
    targets : GeoDataFrame
        What :func:`targets_of` returned.
    fixes : DataFrame, optional
        What :func:`gridgis.patrol.tracks.clean_tracks` returned.
    parameters : Parameters
        A track confirms a visit when it passed within `visit_near_m` of the place within `visit_near_min` minutes.

    Returns
    -------
    DataFrame
        target, class, grid, staff, time (UTC), date (local), kind, confirmed (one of :data:`CONFIRMED`; None of a
        call by phone), distance_m (the nearest fix of those minutes), by time and target. That a track passed does
        not prove a visit, nor its lack that there was none: heads and liaisons may carry no phone.
    """
    known = visits[visits["target"].astype(str).isin(targets["target"])]
    out = pd.DataFrame({c: known[c].to_numpy() if c in known.columns else None for c in ("target", "staff", "kind")})
    out["time"] = (
        known["time"].dt.tz_convert("UTC").to_numpy() if len(known) else pd.Series(dtype="datetime64[us, UTC]")
    )
    out["time"] = pd.to_datetime(out["time"], utc=True)
    out["target"] = out["target"].astype(str).astype(object)
    out["date"] = out["time"].dt.tz_convert(parameters.timezone).dt.tz_localize(None).dt.normalize()
    out["date"] = out["date"].astype("datetime64[us]")
    out["kind"] = np.where(out["kind"].isin(_PHONE), "phone", "call")
    by_code = targets.drop_duplicates("target").set_index("target")
    for name in ("class", "grid"):
        out[name] = out["target"].map(by_code[name])
    out = out.sort_values(["time", "target"], kind="stable", ignore_index=True)
    out["confirmed"], out["distance_m"] = _confirmed(out, by_code.geometry, fixes, parameters)
    return out[VISIT_COLUMNS]


def _confirmed(
    visits: pd.DataFrame, places: gpd.GeoSeries, fixes: pd.DataFrame | None, parameters: Parameters
) -> tuple[Any, Any]:
    said = np.full(len(visits), "no track", dtype=object)
    away = np.full(len(visits), np.nan)
    at = visits["target"].map(places).to_numpy(dtype=object)
    placed = np.array([shape is not None and not pd.isna(shape) for shape in at], dtype=bool)
    if fixes is not None and placed.any():
        metric = crs.metric_crs(gpd.GeoSeries(list(at[placed]), crs=crs.WGS84).to_frame("geometry"))
        kept = fixes[fixes["kept"] & fixes["staff"].astype(str).isin(set(visits["staff"].dropna().astype(str)))]
        table = pd.DataFrame({"staff": kept["staff"].astype(str).to_numpy(), "t": inside.seconds_of(kept)})
        table[["x", "y"]] = inside.metres_of(kept, metric)
        table["date"] = kept["date"].to_numpy()
        tracks = {who: own.sort_values("t") for who, own in table.groupby("staff")}
        xy = np.full((len(visits), 2), np.nan)
        xy[placed] = shapely.get_coordinates(crs.project(at[placed], crs.WGS84, metric))
        moment = visits["time"].dt.tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64) / 1e6
        for row, (who, day) in enumerate(zip(visits["staff"], visits["date"], strict=True)):
            own = tracks.get(str(who))
            if placed[row] and own is not None and (own["date"] == day).any():
                said[row], away[row] = _near(own, xy[row], moment[row], parameters)
    said[~placed] = "no place"
    said[(visits["kind"] == "phone").to_numpy()] = None
    return said, away


def _near(own: pd.DataFrame, xy: Any, moment: float, parameters: Parameters) -> tuple[str, float]:
    t = own["t"].to_numpy()
    low, high = np.searchsorted(t, moment + np.array([-60.0, 60.0]) * parameters.visit_near_min)
    if low == high:
        return "no", np.nan
    x, y = (own[c].to_numpy()[low:high] for c in ("x", "y"))
    metres = float(np.hypot(x - xy[0], y - xy[1]).min())
    return ("yes" if metres <= parameters.visit_near_m else "no"), round(metres, 1)


# --- rules ------------------------------------------------------------------------------------------------------------


def check_calls(rule: Rule, case: Case, targets: gpd.GeoDataFrame | None, visits: pd.DataFrame | None) -> pd.DataFrame:
    """Each target of a rule in each span of its cadence, or of its own where that asks for more."""
    wanted = f"{rule.op} {rule.value:g} {rule.unit}"
    if rule.subject == "household":
        return check_households(rule, case)
    span: dict[str, Any] = {"from": [case.first], "to": [case.last], "result": ["no data"]}
    if targets is None or visits is None:
        return result_rows(rule, span, wanted, "no sites or no visits were given")
    own = targets[targets["care"] == (rule.subject == "care address")]
    if not len(own):
        return result_rows(rule, span, wanted, f"no {rule.subject} was given")
    made = visits[(visits["kind"] == "phone") == (rule.metric == "phone_follow_ups")]
    asked = Cadence(float(rule.value), rule.period)  # type: ignore[arg-type]
    rhythm = [_stricter(asked, read_cadence(text)) for text in own["cadence"]]
    frames = []
    for cadence in sorted(set(rhythm)):
        some = own[[r == cadence for r in rhythm]]
        frames.append(_judged(rule, case, some, made, cadence, "" if cadence == asked else " (own cadence)"))
    return pd.concat(frames, ignore_index=True).sort_values(["target", "from"], kind="stable", ignore_index=True)


def _stricter(asked: Cadence, own: Cadence | None) -> Cadence:
    return own if own is not None and own.rate > asked.rate * 1.001 else asked


def _judged(
    rule: Rule, case: Case, own: pd.DataFrame, visits: pd.DataFrame, cadence: Cadence, whose: str
) -> pd.DataFrame:
    times = spans(case.first, case.last, cadence.period, case.parameters)
    every = pd.DataFrame(own[["target", "grid"]]).merge(times, how="cross")
    inside_period = visits[visits["date"].between(case.first, case.last)]
    made = inside_period.assign(**{"from": starts(inside_period["date"], cadence.period, case.parameters)})
    made = made.assign(proven=made["confirmed"] == "yes", denied=made["confirmed"] == "no")
    sums = made.groupby(["target", "from"]).agg(n=("kind", "size"), proven=("proven", "sum"), denied=("denied", "sum"))
    every = every.join(sums, on=["target", "from"]).fillna({"n": 0.0, "proven": 0.0, "denied": 0.0})
    exact = Rule(**{**rule.__dict__, "value": cadence.times})
    held = holds(exact, every["n"], case.parameters)
    storm = _all_stormy(every, case)
    cut = (every["inside"] < every["days"]).to_numpy()
    result = np.select([held, cut, storm != ""], ["kept", "no data", "excused"], "missed")
    counted = every["n"].astype(int).astype(str) + f" of {cadence.times:g} visits"
    reason = np.select(
        [result == "missed", result == "no data", result == "excused"],
        [
            np.where(every["n"] == 0, "no visit", counted),
            cut_text(cadence.period, every["inside"], every["days"]),
            storm,
        ],
        np.where((every["denied"] > 0) & (every["proven"] == 0), "not confirmed: no track near at that time", ""),
    )
    wanted = f"{rule.op} {cadence.times:g} {rule.unit} / {cadence.period}{whose}"
    table = {name: every[name] for name in ("grid", "target", "from", "to")}
    return result_rows(rule, {**table, "value": every["n"], "result": result}, wanted, reason)


def _all_stormy(every: pd.DataFrame, case: Case) -> Any:
    """The weather declared on every day of a span; "" where there was a day without."""
    return np.array(
        [
            f"{case.weather[a]} declared" if all(day in case.weather for day in pd.date_range(a, b)) else ""
            for a, b in zip(every["from"], every["to"], strict=True)
        ],
        dtype=object,
    )


def check_households(rule: Rule, case: Case) -> pd.DataFrame:
    """The share of households that had their visits, told for each grid, never for a household."""
    wanted = f"every household {rule.op} {rule.value:g} {rule.unit}"
    houses, visits = case.given.houses, case.given.visits
    span: dict[str, Any] = {"from": [case.first], "to": [case.last], "result": ["no data"]}
    if houses is None or visits is None:
        return result_rows(rule, span, wanted, "no houses or no visits were given")
    own = _houses(houses, case)
    made = _calls_at(own, visits, case, phone=rule.metric == "phone_follow_ups")
    times = spans(case.first, case.last, rule.period, case.parameters)
    made["from"] = starts(made["date"], rule.period, case.parameters)
    enough = made.groupby(["house", "from"]).size().rename("n").reset_index()
    enough = enough[holds(rule, enough["n"], case.parameters)].merge(own, on="house")
    total = own.groupby("grid")["households"].sum().rename("total").reset_index()
    every = total.merge(times, how="cross")
    done = enough.groupby(["grid", "from"])["households"].sum().rename("done")
    every = every.join(done, on=["grid", "from"]).fillna({"done": 0})
    share = every["done"] / every["total"].where(every["total"] > 0)
    cut = every["inside"] < every["days"]
    result = np.select([share >= 1, share.isna() | cut], ["kept", "no data"], "missed")
    counted = every["done"].astype(int).astype(str) + " of " + every["total"].astype(int).astype(str) + " households"
    reason = np.where(
        cut & (result == "no data"), counted + "; " + cut_text(rule.period, every["inside"], every["days"]), counted
    )
    table = {"grid": every["grid"], "from": every["from"], "to": every["to"], "value": share, "result": result}
    return result_rows(rule, table, wanted, reason)


def check_household_rate(rule: Rule, case: Case) -> pd.DataFrame:
    """The share of households of each community that were visited in the days asked for, as percent."""
    houses, visits = case.given.houses, case.given.visits
    wanted = f"{rule.op} {rule.value:g} {rule.unit}"
    span: dict[str, Any] = {"from": [case.first], "to": [case.last], "result": ["no data"]}
    if houses is None or visits is None:
        return result_rows(rule, span, wanted, "no houses or no visits were given")
    own = _houses(houses, case)
    parents = parents_of_grids(case)
    own["unit"] = own["grid"].map(parents).fillna("–")
    done = _calls_at(own, visits, case, phone=False)["house"].unique()
    table = (
        own.assign(done=own["households"].where(own["house"].isin(done), 0))
        .groupby("unit", as_index=False)
        .sum(numeric_only=True)
    )
    share = 100 * table["done"] / table["households"]
    result = np.where(holds(rule, share, case.parameters), "kept", "missed")
    reason = (
        table["done"].astype(int).astype(str) + " of " + table["households"].astype(int).astype(str) + " households"
    )
    rows = {"target": table["unit"], "from": [case.first] * len(table), "to": [case.last] * len(table)}
    return result_rows(rule, {**rows, "value": share, "result": result}, wanted, reason)


def parents_of_grids(case: Case) -> pd.Series:
    """The community of each grid: its parent."""
    grids = case.given.grids
    if grids is None or "parent" not in grids.columns:
        return pd.Series(dtype=object)
    return pd.Series(grids["parent"].to_numpy(dtype=object), index=grids["code"].astype(str).to_numpy(dtype=object))


def _houses(houses: pd.DataFrame, case: Case) -> pd.DataFrame:
    count = houses["households"] if "households" in houses.columns else 1
    own = pd.DataFrame({"house": houses["code"].astype(str).to_numpy(dtype=object), "households": count})
    if "grid" in houses.columns:
        own["grid"] = houses["grid"].to_numpy(dtype=object)
    elif isinstance(houses, gpd.GeoDataFrame) and case.given.grids is not None:
        own["grid"] = grid_of(houses, case.given.grids)
    else:
        own["grid"] = None
    return own.assign(grid=own["grid"].fillna("–"))


def _calls_at(own: pd.DataFrame, visits: pd.DataFrame, case: Case, phone: bool) -> pd.DataFrame:
    kind = visits["kind"].isin(_PHONE) if "kind" in visits.columns else pd.Series(False, index=visits.index)
    some = visits[(kind == phone) & visits["target"].astype(str).isin(own["house"])]
    day = some["time"].dt.tz_convert(case.parameters.timezone).dt.tz_localize(None).dt.normalize()
    table = pd.DataFrame({"house": some["target"].astype(str), "date": day.astype("datetime64[us]")})
    return table[table["date"].between(case.first, case.last)]


# --- what is overdue --------------------------------------------------------------------------------------------------


def overdue_calls(rules: pd.DataFrame, visits: pd.DataFrame | None, on: pd.Timestamp) -> pd.DataFrame:
    """What is overdue at the end of a day: the last whole span was missed, and nobody came since.

    Parameters
    ----------
    rules : DataFrame
        What :func:`gridgis.compliance.check_compliance` returned.
    visits : DataFrame
        What :func:`visit_table` returned.
    on : Timestamp
        The day.

    Returns
    -------
    DataFrame
        rule, target, grid, wanted, due (the last day of the missed span), last_visit (NaT where there is none),
        days (since it was due); the longest overdue first.
    """
    columns = ["rule", "target", "grid", "wanted", "due", "last_visit", "days"]
    judged = rules[rules["target"].notna() & rules["wanted"].str.contains(" / ", regex=False)]
    judged = judged[judged["result"].isin(("kept", "missed", "excused"))]
    last = judged.sort_values("to", kind="stable").drop_duplicates(["rule", "target"], keep="last")
    late = last[last["result"] == "missed"].rename(columns={"to": "due"})
    before: dict[Any, Any] = {}
    if visits is not None and len(visits):
        before = visits[visits["date"] <= on].groupby("target")["date"].max().to_dict()
    late = late.assign(last_visit=pd.to_datetime([before.get(t, pd.NaT) for t in late["target"]]))
    late["last_visit"] = late["last_visit"].astype("datetime64[us]")
    late = late[~(late["last_visit"] > late["due"])]
    late = late.assign(days=(on - late["due"]).dt.days)
    return late.sort_values(["days", "target", "rule"], ascending=[False, True, True], ignore_index=True)[columns]
