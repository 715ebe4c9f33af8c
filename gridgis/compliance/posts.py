"""Rules of staffing: who is posted where on the last day of the period, counted by role."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gridgis.compliance.calls import parents_of_grids
from gridgis.compliance.case import Case, grids_of, roles_of
from gridgis.compliance.covered import posted_to_segments
from gridgis.compliance.passing import grid_of
from gridgis.compliance.states import standing, unknown
from gridgis.rules import ROLES, Rule

_WORKERS = ("full-time worker", "part-time worker")
_PAID = tuple(role for role in ROLES if role != "volunteer")
#: The roles that each metric counts.
COUNTED: dict[str, tuple[str, ...]] = {
    "staff_in_group": _PAID,
    "core_staff": _PAID,
    "grid_heads": ("grid head",),
    "grid_workers": _WORKERS,
    "full_time_workers": ("full-time worker",),
    "assistants": _WORKERS,
    "information_officers": ("information officer",),
    "volunteers": ("volunteer",),
    "block_heads": ("grid head",),
    "full_time_patrol_staff": ("full-time worker",),
}


def check_posts(rule: Rule, case: Case) -> pd.DataFrame:
    """How many staff of the roles of a rule are posted to each grid, block or segment."""
    if not case.posted:
        return unknown(rule, case, "no postings were given")
    duty = case.duty[case.duty["role"].isin(COUNTED[rule.metric])]
    if rule.metric == "full_time_patrol_staff":
        return _check_segment_staff(rule, case)
    key = "grid"
    if rule.metric == "block_heads":
        blocks, key = case.given.responsibility_blocks, "target"
        if blocks is None:
            return unknown(rule, case, "no responsibility blocks were given")
        codes = sorted(blocks["code"].astype(str))
    else:
        codes = grids_of(rule, case)
        if not codes:
            return unknown(rule, case, f"there is no {rule.subject}")
    before, now = (_count(duty, day) for day in (case.first, case.last))
    value = pd.Series([float(now.get(code, 0)) for code in codes])
    changed = np.array([before.get(code, 0) != now.get(code, 0) for code in codes])
    reason = np.where(value == 0, "nobody is posted", np.where(changed, "changed in the period", ""))
    return standing(rule, case, {key: codes, "value": value}, reason)


def _count(duty: pd.DataFrame, day: pd.Timestamp) -> dict[Any, int]:
    return {k: int(n) for k, n in duty[duty["date"] == day].groupby("grid")["staff"].nunique().items()}


def _check_segment_staff(rule: Rule, case: Case) -> pd.DataFrame:
    segments = case.given.segments
    if segments is None:
        return unknown(rule, case, "no segments were given")
    own = posted_to_segments(segments, case)
    there = own[(own["date"] == case.last) & own["role"].isin(COUNTED[rule.metric])]
    count = there.groupby("target")["who"].nunique()
    rows = own.drop_duplicates("target")[["target", "grid"]]
    value = rows["target"].map(count).fillna(0).astype(float)
    return standing(
        rule, case, {"target": rows["target"], "grid": rows["grid"], "value": value},
        np.where(value == 0, "nobody is posted", ""),
    )  # fmt: skip


def check_grids_served(rule: Rule, case: Case) -> pd.DataFrame:
    """In how many grids each member of staff is posted."""
    if not case.posted:
        return unknown(rule, case, "no postings were given")
    there = case.duty[case.duty["role"].isin(roles_of(rule)) & (case.duty["date"] == case.last)]
    grids = there.groupby("staff")["grid"].agg(lambda codes: sorted(set(codes)))
    reason = [", ".join(codes) if len(codes) > 1 else "" for codes in grids]
    rows = {"staff": list(grids.index), "value": [float(len(codes)) for codes in grids]}
    return standing(rule, case, rows, np.array(reason, dtype=object))


def check_stewards(rule: Rule, case: Case) -> pd.DataFrame:
    """The share of buildings of each community with a steward of their own, as percent."""
    buildings = case.given.buildings
    if not case.posted or buildings is None or case.given.grids is None:
        return unknown(rule, case, "postings, buildings and grids are needed")
    codes = buildings["code"].astype(str).to_numpy(dtype=object)
    held = case.duty[(case.duty["role"] == "building steward") & (case.duty["date"] == case.last)]
    parent = pd.Series(grid_of(buildings, case.given.grids)).map(parents_of_grids(case)).fillna("–")
    table = pd.DataFrame({"unit": parent, "has": np.isin(codes, held["grid"].to_numpy(dtype=object)), "one": 1})
    sums = table.groupby("unit", as_index=False).sum()
    return share_rows(rule, case, sums["unit"], sums["has"], sums["one"], "buildings")


def share_rows(rule: Rule, case: Case, units: Any, have: Any, total: Any, noun: str) -> pd.DataFrame:
    """Rows of shares as percent, each with its two numbers: 2,073 of 2,394 buildings are 86.59 %."""
    have, total = np.asarray(have, dtype=float), np.asarray(total, dtype=float)
    share = np.where(total > 0, 100 * have / np.where(total > 0, total, 1), np.nan)
    reason = np.array([f"{h:,.0f} of {t:,.0f} {noun}" for h, t in zip(have, total, strict=True)], dtype=object)
    exact = rule if "%" in rule.unit else Rule(**{**rule.__dict__, "value": 100.0, "unit": f"% of {noun}", "op": ">="})
    return standing(exact, case, {"target": units, "value": share}, reason)
