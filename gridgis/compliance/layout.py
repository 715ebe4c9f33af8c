"""Rules of the plan itself: how many households, grids and levels; what is not covered; whether every link holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gridgis import crs
from gridgis.compliance.case import Case, grids_of
from gridgis.compliance.states import standing, unknown
from gridgis.plan.validate import validate
from gridgis.rules import Rule

_KINDS = ("residential", "street-face", "extension")
#: Names of the sub-district among the levels of a profile.
_SUB_DISTRICT = ("街道", "镇")
#: A community belongs to an overlay's grid that has more than this share of its ground.
_MOSTLY = 0.5
_NO_GRIDS = "no grids were given"


def check_layout(rule: Rule, case: Case) -> pd.DataFrame:
    """The results of a rule of the plan."""
    checks: dict[str, Callable[[Rule, Case], pd.DataFrame]] = {
        "households": _loads,
        "persons": _loads,
        "grids": _grids,
        "small_grids": _children,
        "grid_types": _types,
        "grid_maps_drawn": _maps,
        "levels": _levels,
        "bounds_text": _bounds,
        "communities": _communities,
        "uncovered_area": _areas,
        "overlap_area": _areas,
        "gap_area": _areas,
        "seam_gap": _seams,
        "link_completeness": _links,
    }
    return checks[rule.metric](rule, case)


def _loads(rule: Rule, case: Case) -> pd.DataFrame:
    grids, codes = case.given.grids, grids_of(rule, case)
    if grids is None or rule.metric not in grids.columns or not codes:
        why = f"there is no {rule.subject}" if grids is not None and not codes else f"nobody counted {rule.metric}"
        return unknown(rule, case, _NO_GRIDS if grids is None else why)
    by_code = grids.set_index(grids["code"].astype(str))
    value = pd.to_numeric(by_code.loc[codes, rule.metric]).to_numpy(dtype=float, na_value=np.nan)
    reason = np.where(np.isnan(value), f"nobody counted {rule.metric}", "").astype(object)
    if "estimated" in grids.columns and rule.metric == "households":
        guessed = pd.to_numeric(by_code.loc[codes, "estimated"]).fillna(0).to_numpy(dtype=float)
        reason = np.where((guessed > 0) & (reason == ""), "of these some are estimated", reason)
    return standing(rule, case, {"grid": codes, "value": value}, reason)


def _grids(rule: Rule, case: Case) -> pd.DataFrame:
    grids, units = case.given.grids, case.given.units
    if grids is None:
        return unknown(rule, case, _NO_GRIDS)
    if rule.subject == "sub-district":
        return standing(rule, case, {"target": [None], "value": [float(len(grids))]}, "")
    if "parent" not in grids.columns or grids["parent"].isna().all():
        return unknown(rule, case, "the grids have no parent")
    count = grids["parent"].astype(object).value_counts()
    codes = sorted(set(count.index) if units is None else set(units["code"].astype(str)))
    return standing(rule, case, {"target": codes, "value": [float(count.get(c, 0)) for c in codes]}, "")


def _children(rule: Rule, case: Case) -> pd.DataFrame:
    grids = case.given.grids
    if grids is None:
        return unknown(rule, case, _NO_GRIDS)
    parent = grids["parent"].astype(object) if "parent" in grids.columns else pd.Series(dtype=object)
    count = parent[parent.isin(grids["code"])].value_counts()
    if not len(count):
        return unknown(rule, case, "no grid lies in another grid: small grids are not in the table")
    lowest = set(grids["code"]) - set(count.index)
    codes = sorted(set(grids["code"]) - {c for c in lowest if parent[grids["code"] == c].isin(count.index).any()})
    return standing(rule, case, {"grid": codes, "value": [float(count.get(c, 0)) for c in codes]}, "")


def _types(rule: Rule, case: Case) -> pd.DataFrame:
    grids = case.given.grids
    if grids is None or "kind" not in grids.columns:
        return unknown(rule, case, _NO_GRIDS if grids is None else "the grids have no kind")
    found = [kind for kind in _KINDS if (grids["kind"].astype(object) == kind).any()]
    return standing(rule, case, {"target": [None], "value": [float(len(found))]}, ", ".join(found))


def _maps(rule: Rule, case: Case) -> pd.DataFrame:
    grids = case.given.grids
    if grids is None or "parent" not in grids.columns:
        return unknown(rule, case, _NO_GRIDS if grids is None else "the grids have no parent")
    shapes = grids.geometry.to_numpy()
    drawn = pd.Series(~(shapely.is_missing(shapes) | shapely.is_empty(shapes)), index=grids.index)
    whole = drawn.groupby(grids["parent"].astype(object)).all()
    units = case.given.units
    codes = sorted(set(whole.index) if units is None else set(units["code"].astype(str)))
    value = [float(bool(whole.get(code, False))) for code in codes]
    return standing(rule, case, {"target": codes, "value": value}, "")


def _levels(rule: Rule, case: Case) -> pd.DataFrame:
    """Levels from the sub-district down, and those that the profile names above it."""
    numbers = []
    for frame, more in ((case.given.grids, 0), (case.given.units, 1)):
        if frame is not None and "level" in frame.columns:
            level = pd.to_numeric(frame["level"]).dropna()
            numbers += [int(level.max()) + more] if len(level) else []
    if not numbers:
        return unknown(rule, case, "neither grids nor units tell their level")
    names = case.profile.levels
    above = next((n for n, name in enumerate(names) if name in _SUB_DISTRICT), 0)
    said = f"{', '.join(names[:above])} above the sub-district" if above else ""
    return standing(rule, case, {"target": [None], "value": [float(max(numbers) + above)]}, said)


def _bounds(rule: Rule, case: Case) -> pd.DataFrame:
    grids, codes = case.given.grids, grids_of(rule, case)
    if grids is None or "bounds_text" not in grids.columns:
        return unknown(rule, case, _NO_GRIDS if grids is None else "the grids have no bounds text: describe writes it")
    text = grids.set_index(grids["code"].astype(str))["bounds_text"].loc[codes]
    there = text.notna() & (text.astype(str).str.strip() != "")
    return standing(rule, case, {"grid": codes, "value": there.astype(float)}, np.where(there, "", "no bounds text"))


def _communities(rule: Rule, case: Case) -> pd.DataFrame:
    grids, units = case.given.grids, case.given.units
    if grids is None or units is None:
        return unknown(rule, case, "grids and communities (units) are needed")
    metric = crs.metric_crs(units)
    whole, parts = (np.asarray(crs.project(f.geometry.to_numpy(), crs.require_crs(f), metric)) for f in (units, grids))
    tree = shapely.STRtree(whole)
    grid, unit = tree.query(parts, predicate="intersects")
    share = shapely.area(shapely.intersection(parts[grid], whole[unit])) / shapely.area(whole[unit])
    count = np.bincount(grid[share > _MOSTLY], minlength=len(grids)).astype(float)
    table = {"grid": grids["code"].astype(str), "value": count}
    return standing(rule, case, table, "").sort_values("grid", ignore_index=True)


def _areas(rule: Rule, case: Case) -> pd.DataFrame:
    """Square metres of gap, overlap, or ground in no grid, as validate finds them."""
    grids = case.given.grids
    kinds = {"uncovered_area": ("uncovered", "gap"), "overlap_area": ("overlap",), "gap_area": ("gap",)}[rule.metric]
    if rule.subject == "responsibility blocks":
        return _block_areas(rule, case, kinds)
    if grids is None:
        return unknown(rule, case, _NO_GRIDS)
    if rule.subject == "extension grids" and not grids_of(Rule(**{**rule.__dict__, "subject": "extension grid"}), case):
        return unknown(rule, case, "there is no extension grid")
    found = case.given.defects
    if found is None:
        if rule.metric == "uncovered_area":
            return unknown(rule, case, "the boundary of the ground was not given")
        found = _defects(grids, None, case)
    return standing(rule, case, {"target": [None], "value": [_sum(found, kinds)]}, _told(found, kinds))


def _block_areas(rule: Rule, case: Case, kinds: tuple[str, ...]) -> pd.DataFrame:
    blocks, grids = case.given.responsibility_blocks, case.given.grids
    if blocks is None or grids is None:
        return unknown(rule, case, "no responsibility blocks were given")
    named = (
        grids["code"].astype(str).isin(blocks["grid"].astype(str))
        if "grid" in blocks.columns
        else grids["code"].notna()
    )
    found = _defects(blocks, grids[named], case)
    # A strip from edge to edge is a gap between blocks as well.
    kinds = ("gap", "uncovered") if rule.metric == "gap_area" else kinds
    return standing(rule, case, {"target": [None], "value": [_sum(found, kinds)]}, _told(found, kinds))


def _defects(frame: gpd.GeoDataFrame, ground: gpd.GeoDataFrame | None, case: Case) -> gpd.GeoDataFrame:
    limits = case.parameters
    return validate(frame, ground, min_area=limits.min_area_m2, min_width=limits.min_width_m)


def _sum(found: pd.DataFrame, kinds: tuple[str, ...]) -> float:
    return float(pd.to_numeric(found.loc[found["kind"].isin(kinds), "area_m2"]).sum())


def _told(found: pd.DataFrame, kinds: tuple[str, ...]) -> str:
    some = found[found["kind"].isin(kinds)]
    codes = sorted({str(code) for row in some["codes"] for code in row})
    return f"{len(some)} places: {', '.join(codes[:6])}{' …' if len(codes) > 6 else ''}" if len(some) else ""


def _seams(rule: Rule, case: Case) -> pd.DataFrame:
    """The widest gap between road segments that should meet, in metres."""
    segments, grids = case.given.segments, case.given.grids
    if segments is None or grids is None:
        return unknown(rule, case, "no segments were given")
    found = validate(grids, segments=segments)
    some = found[(found["kind"] == "gap") & found["codes"].map(lambda row: set(row) <= set(segments["code"]))]
    breaks = crs.project(some.geometry.to_numpy(), crs.require_crs(some), crs.metric_crs(segments))
    width = float(shapely.length(breaks).max()) if len(some) else 0.0
    return standing(rule, case, {"target": [None], "value": [width]}, _told(some, ("gap",)))


def _links(rule: Rule, case: Case) -> pd.DataFrame:
    counts: Any = case.given.chain
    if counts is None:
        return unknown(rule, case, "no persons or houses were given: chain counts the links")
    links = {k: v for k, v in counts.items() if isinstance(v, dict) and v.get("total")}
    value = [100.0 * v["complete"] / v["total"] for v in links.values()]
    reason = [f"{v['broken']} of {v['total']} broken" if v["broken"] else "" for v in links.values()]
    return standing(rule, case, {"target": list(links), "value": value}, np.array(reason, dtype=object))
