"""A self-contained page about a time of patrols: rules kept or missed, a calendar, a map of what was covered, lists.

The page is internal (内部资料): it names staff on duty. Care addresses are codes on it, and no resident stands there.
It asks nothing of any other host; its only script chooses the language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import geopandas as gpd
import pandas as pd

from gridgis.profile import Profile
from gridgis.publish import rule_words, words
from gridgis.publish.languages import SCRIPT, SCRIPT_HASH
from gridgis.publish.page_templates import template
from gridgis.publish.patrol_maps import coverage_map, covered_shares, heat_map, shade_names
from gridgis.rules import Rule

#: Rows of a list that are written out.
SHOWN = 300
#: What stands before a day's other results in the calendar: the worst, by how much is to be done about it.
_WORST = ("missed", "undecided", "excused", "kept", "no data")


def compliance_page(
    walked: Mapping[str, Any],
    grids: gpd.GeoDataFrame,
    holes: gpd.GeoDataFrame | None,
    profile: Profile,
    *,
    title: str = "",
    made: str = "",
    staff: pd.DataFrame | None = None,
) -> str:
    """Patrols and rules of a time as one HTML page, Chinese first and English beside it.

    Parameters
    ----------
    walked : mapping
        coverage, patrols, rules; and heat, visits, overdue, lights, scores, board_faults and suspicions, where there
        are such: what :func:`gridgis.patrolled.check_patrols` gives.
    grids : GeoDataFrame
        code and polygons, in any CRS.
    holes : GeoDataFrame, optional
        The ground that was not walked in all of the time: what :func:`gridgis.patrol.coverage.holes` gives.
    profile : Profile
        The rules.
    title : str, optional
        The name of the place; by default the profile's title.
    made : str, optional
        When it was made, as it is to be printed.
    staff : DataFrame, optional
        id and name, to name who was on duty.

    Returns
    -------
    str
        The page. Lists are cut at :data:`SHOWN` rows and say so. The same arguments give the same bytes.
    """
    rules: pd.DataFrame = walked["rules"]
    known = {rule.id: rule for rule in profile.rules}
    names = {} if staff is None else dict(zip(staff["id"].astype(str), staff["name"].astype(str), strict=True))
    found = rules[~rules["reason"].astype(object).str.startswith("not checked", na=False)]
    missed = _gathered(found[found["result"].isin(("missed", "undecided"))])
    page = template("compliance.html", {"words": rule_words, "pair": words.pair}).render(
        title=title or profile.title,
        made=made,
        profile=profile,
        first=rules.attrs["parameters"]["start"],
        last=rules.attrs["parameters"]["end"],
        totals=[(r, words.pair(words.RESULTS, r), int((found["result"] == r).sum())) for r in words.RESULTS],
        signs=rule_words.SIGNS,
        summary=_summary(found, profile.rules),
        unchecked=[(*rule_words.rule_name(r), r) for r in profile.rules if r.check == "none"],
        calendar=_calendar(found, names),
        map=coverage_map(walked["coverage"], grids, holes),
        shades=shade_names(),
        heat=heat_map(walked.get("heat"), grids),
        grids=_grids(walked["coverage"], holes, profile),
        overdue=_records(walked.get("overdue")),
        visits=_visits(walked.get("visits")),
        missed=[_missed(row, known, names) for row in missed.head(SHOWN).to_dict("records")],
        more_missed=max(0, len(missed) - SHOWN),
        faults=_records(walked.get("board_faults")),
        lights=_lights(walked.get("lights")),
        scores=_records(walked.get("scores")),
        suspicions=_records(walked.get("suspicions")),
        rejects=rules.attrs.get("rejects", [])[:SHOWN],
        parameters={**walked["coverage"].attrs.get("parameters", {}), **rules.attrs["parameters"]},
        script=SCRIPT,
        script_hash=SCRIPT_HASH,
    )
    return page + "\n"


def _records(frame: pd.DataFrame | None) -> dict[str, Any]:
    if frame is None:
        return {"rows": [], "more": 0, "total": 0}
    rows = frame.head(SHOWN).astype(object).where(frame.head(SHOWN).notna(), None).to_dict("records")
    return {"rows": rows, "more": max(0, len(frame) - SHOWN), "total": len(frame)}


def _summary(rules: pd.DataFrame, listed: Sequence[Rule]) -> list[dict[str, Any]]:
    """Each rule with its words and how often it was kept, missed …"""
    tally = rules.groupby(["rule", "result"]).size()
    rows = []
    for rule in listed:
        if rule.check != "rule":
            continue
        counts = {result: int(tally.get((rule.id, result), 0)) for result in words.RESULTS}
        judged = counts["kept"] + counts["missed"]
        rows.append(
            {
                "id": rule.id,
                "name": rule_words.rule_name(rule),
                "mark": rule_words.rule_mark(rule),
                "strength": words.pair(rule_words.STRENGTHS, rule.strength),
                "counts": counts,
                "share": counts["kept"] / judged if judged else None,
            }
        )
    return rows


# --- the calendar -----------------------------------------------------------------------------------------------------


def _calendar(rules: pd.DataFrame, names: Mapping[str, str]) -> dict[str, Any]:
    """Of each member of staff and day the worst result of the rules of a day; the rules that were missed are named."""
    daily = rules[rules["staff"].notna() & (rules["from"] == rules["to"])]
    daily = daily[daily["result"] != "no data"]
    if not len(daily):
        return {"days": [], "rows": []}
    order = {result: n for n, result in enumerate(_WORST)}
    worst = daily.assign(rank=daily["result"].map(order)).sort_values(["staff", "from", "rank"], kind="stable")
    cells = worst.drop_duplicates(["staff", "from"]).set_index(["staff", "from"])["result"]
    odd = daily[daily["result"] == "missed"].groupby(["staff", "from"])["rule"].agg(", ".join)
    days = pd.date_range(daily["from"].min(), daily["from"].max())
    grid = daily.groupby("staff")["grid"].agg(lambda codes: ", ".join(sorted(set(codes.dropna()))))
    rows = []
    for who in sorted(set(daily["staff"])):
        own = [(day, cells.get((who, day)), odd.get((who, day), "")) for day in days]
        counts = [result for _, result, _ in own]
        rows.append(
            {
                "who": who,
                "name": names.get(who, ""),
                "grid": grid[who],
                "cells": [(result, f"{day:%m-%d} {missing}".strip()) for day, result, missing in own],
                "kept": counts.count("kept"),
                "missed": counts.count("missed"),
            }
        )
    return {
        "days": [
            (f"{d.month}/{d.day}" if n == 0 or d.day == 1 else f"{d.day}", d.day_of_week >= 5, f"{d:%Y-%m-%d}")
            for n, d in enumerate(days)
        ],
        "rows": rows,
    }


# --- the grids --------------------------------------------------------------------------------------------------------


def _grids(coverage: pd.DataFrame, holes: gpd.GeoDataFrame | None, profile: Profile) -> list[dict[str, Any]]:
    length = (coverage["to"] - coverage["from"]).dt.days + 1
    daily, longest = coverage[length == 1], int(length.max())
    whole, mark = covered_shares(coverage, holes), profile.parameters.full_share
    largest = pd.Series(dtype=float) if holes is None else holes.groupby("grid")["area_m2"].max()
    rows = []
    for code in sorted(set(coverage["grid"])):
        share = daily.loc[daily["grid"] == code, "share"]
        window = coverage.loc[(coverage["grid"] == code) & (length == longest), "share"]
        rows.append(
            {
                "code": code, "whole": whole.get(code), "days": len(share), "full": int((share >= mark).sum()),
                "mean": share.mean(), "best": window.max() if longest > 1 else None, "longest": longest,
                "hole": largest.get(code, 0.0),
            }
        )  # fmt: skip
    return rows


# --- lists ------------------------------------------------------------------------------------------------------------


def _gathered(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one rule, person or place and reason as one, in the order of the first: how often, when, how much."""
    keys = ["rule", "staff", "grid", "target", "result", "reason"]
    return rows.groupby(keys, dropna=False, sort=False, as_index=False).agg(
        first=("from", "min"), last=("to", "max"), times=("from", "size"), low=("value", "min"), high=("value", "max")
    )


def _missed(row: Mapping[str, Any], known: Mapping[str, Rule], names: Mapping[str, str]) -> dict[str, Any]:
    whom = [str(row[name]) for name in ("staff", "grid", "target") if not pd.isna(row.get(name))]
    if row["staff"] in names:
        whom[0] = f"{whom[0]} {names[row['staff']]}"
    rule = known[row["rule"]]
    return {
        **row,
        "name": rule_words.rule_name(rule),
        "mark": rule_words.rule_mark(rule),
        "whom": " · ".join(whom) or "–",
        "said": rule_words.reason_words(row["reason"]),
        "soft": rule.strength == "principle",
    }


def _visits(visits: pd.DataFrame | None) -> dict[str, Any] | None:
    """How many visits a track confirms, and the visits of sites that none does."""
    if visits is None or not len(visits):
        return None
    known = visits[visits["confirmed"].notna()]
    counts = [(words.pair(rule_words.CONFIRMED, c), int((known["confirmed"] == c).sum())) for c in rule_words.CONFIRMED]
    denied = known[known["confirmed"] == "no"]
    local = denied["time"].dt.tz_convert("Asia/Shanghai")
    denied = denied.assign(when=local.dt.strftime("%Y-%m-%d %H:%M"))
    return {"counts": counts, "denied": _records(denied), "total": len(visits)}


def _lights(lights: pd.DataFrame | None) -> dict[str, Any] | None:
    if lights is None or not len(lights):
        return None
    counts = [(c, words.pair(rule_words.LIGHTS, c), int((lights["light"] == c).sum())) for c in rule_words.LIGHTS]
    place = lights["grid_of_place"]
    wrong = lights[place.notna() & lights["grid"].notna() & (place != lights["grid"])]
    late = lights[lights["light"].isin(("yellow", "red"))]
    return {"counts": counts, "late": _records(late), "wrong": _records(wrong), "total": len(lights)}
