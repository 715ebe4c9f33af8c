"""Everything measured against the rules of a profile: kept or missed, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from gridgis.compliance.calls import check_calls, check_household_rate, read_cadence, targets_of, visit_table
from gridgis.compliance.case import Case, Given, make_case
from gridgis.compliance.covered import check_coverage, check_grid_patrols, check_segments
from gridgis.compliance.layout import check_layout
from gridgis.compliance.marks import RESULT_COLUMNS, number, result_rows
from gridgis.compliance.matters import check_items
from gridgis.compliance.notices import check_boards, check_complete_boards
from gridgis.compliance.people import check_people
from gridgis.compliance.posts import COUNTED, check_grids_served, check_posts, check_stewards
from gridgis.patrol.coverage import SHARE_ERROR
from gridgis.profile import Profile
from gridgis.rules import STAFF, Rule, metric_of, window_days

#: The parameters that a check may use.
USED = (
    "noon", "week_start", "working_days", "timezone", "full_share", "large_grid_km2", "about", "building_passed_m",
    "visit_near_m", "visit_near_min", "board_verified_days", "yellow_days", "red_days",
)  # fmt: skip
#: The room of each metric that is not about people.
_CHECKS: dict[str, Callable[[Rule, Case], pd.DataFrame]] = {
    "patrol_coverage": check_coverage,
    "staff_on_duty": check_segments,
    "household_visit_rate": check_household_rate,
    "reported_items": check_items,
    "grids_served": check_grids_served,
    "building_steward_coverage": check_stewards,
    "boards": check_boards,
    "complete_boards": check_complete_boards,
    **dict.fromkeys(COUNTED, check_posts),
}
_CALLS = ("visits", "home_visits", "phone_follow_ups")
_PEOPLE = (
    "patrols", "patrols_each_half_day", "grid_visits", "patrol_hours", "inside_km", "building_rounds",
    "courtyard_rounds",
)  # fmt: skip


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
    fixes: pd.DataFrame | None = None,
    sites: pd.DataFrame | None = None,
    visits: pd.DataFrame | None = None,
    houses: pd.DataFrame | None = None,
    buildings: gpd.GeoDataFrame | None = None,
    compounds: gpd.GeoDataFrame | None = None,
    segments: gpd.GeoDataFrame | None = None,
    responsibility_blocks: gpd.GeoDataFrame | None = None,
    boards: pd.DataFrame | None = None,
    board_lacks: Mapping[str, Sequence[str]] | None = None,
    matters: pd.DataFrame | None = None,
    units: gpd.GeoDataFrame | None = None,
    defects: gpd.GeoDataFrame | None = None,
    chain: Mapping[str, Any] | None = None,
    start: date | str | None = None,
    end: date | str | None = None,
) -> pd.DataFrame:
    """Check the rules of a profile against what was patrolled, visited, posted, hung up and drawn.

    Parameters
    ----------
    patrols : DataFrame
        What :func:`gridgis.patrol.tracks.patrols` returned.
    coverage : DataFrame, optional
        What :func:`gridgis.patrol.coverage.patrol_coverage` returned; join the frames of each window length that
        :func:`windows` names.
    profile : Profile
        Its rules, its calendar, and the parameters that ``attrs`` lists.
    staff : DataFrame, optional
        id; who is judged where there are no postings, beside everyone with a patrol.
    postings : DataFrame, optional
        staff, grid, role, from, to. A role's rules count on the days of its posting. Without postings everyone is
        judged as a full-time worker, and each reason says so. A posting's grid may be the code of a road segment, a
        responsibility block or (of a building steward) a building.
    leave, weather : DataFrame, optional
        staff, date · date, kind: days of leave, and days of declared extreme weather (every row declares one).
    grids : GeoDataFrame, optional
        code and polygons: which grids are large; and kind, parent, level, households … for the rules about them.
        Without it the covered ground's area tells which are large.
    fixes : DataFrame, optional
        What :func:`gridgis.patrol.tracks.clean_tracks` returned, for segments, rounds, and visits that a track
        confirms.
    sites, visits, houses : DataFrame, optional
        code, class, cadence (or house: a care address) · target, staff, time, kind · code, households.
    buildings, compounds, segments, responsibility_blocks, units : GeoDataFrame, optional
        Tables of the contract.
    boards : DataFrame, optional
        code, kind, grid, building.
    board_lacks : mapping, optional
        The required fields that the board of each grid lacks, by code.
    matters : DataFrame, optional
        code, category, time, grid; and `finding`, where one was found unqualified or false.
    defects : GeoDataFrame, optional
        What :func:`gridgis.plan.validate.validate` found in the grids, with their boundary.
    chain : mapping, optional
        The counts of :func:`gridgis.assign.chain.chain`.
    start, end : date, optional
        First and last local day of the data; by default those of `patrols` and `coverage`. Days without a track
        count inside this period, none outside it.

    Returns
    -------
    DataFrame
        rule, staff, grid, target (a site, care address, segment, unit …), from, to (dates, both included), value,
        wanted (text), result, reason (text, None where there is nothing to say), strength, by rule in the order of
        the profile, staff, grid and date. For staff, grid is the one they are posted to (None where there are
        several). Rules that only make a part of the score have no row.

        - kept: the value holds, whatever else was the case.
        - excused: it does not, and there was leave or declared weather. Of a week the other days must hold their
          share (7 − n of 7), else it is missed. Of a window of days one declared day excuses. What the scheme only
          observed, planned or aimed at is excused as well: it is not required.
        - missed: it does not. A day without a track has the value 0 and the reason "no track".
        - undecided: the covered share is nearer to the mark than its error.
        - no data: the period cuts the week or window, nobody is posted, a table was not given, or no machine can
          check the rule (one row, "not checked by machine: …").

        ``attrs["parameters"]`` are the thresholds used; ``attrs["rejects"]`` the rows that were set aside, each with
        table, id and reason.

    Raises
    ------
    InputError
        If the period is unknown or ends before it begins.
    SchemaError
        If a column is missing.

    Notes
    -----
    Every calendar day counts, weekends too, but of rules of a working day: those of the parameter `working_days` and
    of the profile's calendar. A patrol belongs to the half day and day in which it began (local time). Of "each patrol
    lasts an hour" the longest of each half day is judged: a second, short one does no harm. A patrol without a minute
    of walking counts for nothing. What is standing (posts, boards, loads) is judged on the last day. Values may fall
    short by 1e-6 through rounding.
    """
    given = Given(
        staff, postings, leave, weather, grids, fixes, sites, visits, houses, buildings, compounds, segments,
        responsibility_blocks, boards, board_lacks, matters, units, defects, chain,
    )  # fmt: skip
    case = make_case(patrols, coverage, profile, given, start, end)
    targets = None if sites is None else targets_of(sites, houses, grids)
    made = None if visits is None or targets is None else visit_table(visits, targets, fixes, profile.parameters)
    frames = [_check(rule, case, targets, made) for rule in profile.rules if rule.check != "score"]
    out = pd.DataFrame({c: pd.Series(dtype=object) for c in RESULT_COLUMNS})
    if frames:
        out = pd.concat(frames, ignore_index=True)[RESULT_COLUMNS]
    out["value"] = out["value"].astype(float)
    for name in ("from", "to"):
        out[name] = out[name].astype("datetime64[us]")
    for name in ("staff", "grid", "target", "reason"):
        out[name] = out[name].astype(object).where(out[name].notna(), None)
    out.attrs["parameters"] = {
        **profile.parameters.as_dict(*USED),
        "share_error": SHARE_ERROR,
        "start": case.first.date().isoformat(),
        "end": case.last.date().isoformat(),
    }
    out.attrs["rejects"] = rejects_of(given)
    return out


def windows(profile: Profile) -> list[int]:
    """How many days long the windows of patrol coverage are that the rules of a profile ask for.

    Examples
    --------
    >>> windows(Profile.load("xueyan"))
    [1, 5]
    """
    rules = [r for r in profile.rules if r.metric == "patrol_coverage"]
    return sorted({days for r in rules if (days := window_days(r.period)) is not None})


def coverage_marks(profile: Profile) -> list[float]:
    """The shares of ground, streets or buildings that the rules of a profile ask for: near them a bracket decides.

    Examples
    --------
    >>> coverage_marks(Profile.load("xueyan"))
    [0.9]
    """
    full = profile.parameters.full_share
    asked = {number(rule) * full for rule in profile.rules if rule.metric == "patrol_coverage" and rule.check == "rule"}
    return sorted(asked | {full})


def _check(rule: Rule, case: Case, targets: gpd.GeoDataFrame | None, visits: pd.DataFrame | None) -> pd.DataFrame:
    if rule.check == "none":
        mark = " to ".join(f"{v:g}" for v in rule.value) if isinstance(rule.value, tuple) else f"{rule.value}"
        span = {"from": [case.first], "to": [case.last], "result": ["no data"]}
        return result_rows(rule, span, f"{rule.op} {mark} {rule.unit}", f"not checked by machine: {rule.why}")
    metric = metric_of(rule)
    if metric in _CALLS:
        return check_calls(rule, case, targets, visits)
    if metric in _PEOPLE:
        about_staff = {s.strip() for s in rule.subject.split(",")} <= set(STAFF)
        return check_people(rule, case) if about_staff else check_grid_patrols(rule, case)
    return _CHECKS.get(metric, check_layout)(rule, case)


# --- rows that are set aside ------------------------------------------------------------------------------------------


def rejects_of(given: Given) -> list[dict[str, Any]]:
    """Rows that name what nobody knows: table, id, reason; in the order of the tables."""
    found: list[dict[str, Any]] = []

    def reject(table: str, ids: Any, bad: Any, reason: str) -> None:
        for i in np.asarray(ids, dtype=object)[np.asarray(bad, dtype=bool)]:
            found.append({"table": table, "id": str(i), "reason": reason})

    def lost(frame: pd.DataFrame, column: str, known: set[str]) -> Any:
        named = frame[column] if column in frame.columns else pd.Series(None, index=frame.index, dtype=object)
        return named.notna() & ~named.astype(str).isin(known)

    codes = None if given.grids is None else set(given.grids["code"].astype(str))
    if given.sites is not None:
        odd = _odd_cadence(given.sites)
        reject("sites", given.sites["code"], odd, "the cadence cannot be read: the rule's own counts")
        if given.visits is not None:
            houses = set() if given.houses is None else set(given.houses["code"].astype(str))
            bad = lost(given.visits, "target", set(given.sites["code"].astype(str)) | houses)
            reject("visits", given.visits["target"], bad, "no such site, care address or house")
    if given.boards is not None:
        if codes is not None:
            reject("boards", given.boards["code"], lost(given.boards, "grid", codes), "no such grid")
        if given.buildings is not None:
            known = set(given.buildings["code"].astype(str))
            reject("boards", given.boards["code"], lost(given.boards, "building", known), "no such building")
    if given.segments is not None and codes is not None:
        reject("segments", given.segments["code"], lost(given.segments, "grid", codes), "no such grid")
    if given.matters is not None:
        _reject_matters(given.matters, codes, reject, lost)
    return found


def _reject_matters(matters: pd.DataFrame, codes: set[str] | None, reject: Any, lost: Any) -> None:
    ids = matters["code"]
    time, grid = (
        matters[c] if c in matters.columns else pd.Series(None, index=matters.index) for c in ("time", "grid")
    )
    reject("matters", ids, time.isna(), "no time")
    reject("matters", ids, grid.isna(), "no grid")
    if codes is not None:
        reject("matters", ids, lost(matters, "grid", codes), "no such grid")


def _odd_cadence(sites: pd.DataFrame) -> Any:
    if "cadence" not in sites.columns:
        return np.zeros(len(sites), dtype=bool)
    return np.array([not pd.isna(c) and read_cadence(c) is None for c in sites["cadence"]], dtype=bool)
