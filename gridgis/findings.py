"""All that is found of a time of patrols: rules kept or missed, visits, what is overdue, lights, scores, boards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import geopandas as gpd
import pandas as pd

from gridgis.compliance import (
    board_faults,
    check_compliance,
    compliance_scores,
    matter_lights,
    overdue_calls,
    targets_of,
    visit_table,
)
from gridgis.profile import Profile
from gridgis.publish.boards import make_board

Frames = dict[str, Any]

#: What is found of tracks, and of the rules they are judged by; all None without tracks.
LISTS = ("visits", "overdue", "lights", "scores", "board_faults")
WALKED = (
    "fixes", "patrols", "coverage", "suspicions", "stays", "datums", "set_aside", "holes", "heat", "covered", "rules",
    *LISTS,
)  # fmt: skip
_JUDGED_BY = (
    "staff", "postings", "leave", "weather", "sites", "visits", "houses", "buildings", "compounds", "segments",
    "responsibility_blocks", "boards", "matters", "units", "defects",
)  # fmt: skip


def judge(
    walked: Frames,
    tables: Mapping[str, Any],
    grids: gpd.GeoDataFrame,
    profile: Profile,
    start: date | None,
    end: date | None,
) -> Frames:
    """The rules, and the lists beside them; None where their tables were not given, or no template of scores is."""
    given = {name: tables.get(name) for name in _JUDGED_BY}
    fixes, parameters = walked["fixes"], profile.parameters
    last = (
        pd.Timestamp(end) if end is not None else max(walked["patrols"]["date"].max(), walked["coverage"]["to"].max())
    )
    lacks = _board_lacks(tables, grids, profile, last)
    rules = check_compliance(
        walked["patrols"], walked["coverage"], profile, grids=grids, fixes=fixes, start=start, end=end,
        board_lacks=lacks, chain=tables.get("chain_counts"), **given,
    )  # fmt: skip
    visits = None
    if given["sites"] is not None and given["visits"] is not None:
        targets = targets_of(given["sites"], given["houses"], grids)
        visits = visit_table(given["visits"], targets, fixes, parameters)
        day = visits["date"]
        visits = visits[(day >= rules.attrs["parameters"]["start"]) & (day <= last)].reset_index(drop=True)
    lights = None
    if given["matters"] is not None:
        midnight = (last + pd.Timedelta(days=1)).tz_localize(parameters.timezone)
        lights = matter_lights(given["matters"], grids, parameters, midnight)
    faults = None
    if given["boards"] is not None:
        faults = board_faults(given["boards"], grids, last, parameters, lacks)
    scores = compliance_scores(profile, rules, matters=given["matters"], visits=visits, grids=grids)
    return {
        "rules": rules,
        "visits": visits,
        "overdue": None if visits is None else overdue_calls(rules, visits, last),
        "lights": lights,
        "scores": scores if len(scores) else None,
        "board_faults": faults,
    }


def _board_lacks(
    tables: Mapping[str, Any], grids: gpd.GeoDataFrame, profile: Profile, day: pd.Timestamp
) -> dict[str, tuple[str, ...]] | None:
    """The fields that the profile requires of the board of each grid and nobody filled; None without staff."""
    if any(tables.get(name) is None for name in ("boards", "staff", "postings")):
        return None
    told = tables.get("settings")
    settings = {name: str(value) for name, value in (told or {}).items()}
    # Phones of offices stand in the project file: without one nobody knows whether a board has them.
    unknown = () if told is not None else ("community_phone", "supervision_phone")
    required = [name for name in profile.board_required if name not in unknown]
    made = (
        make_board(row, tables["staff"], tables["postings"], settings=settings, required=required, on=day.date())
        for row in pd.DataFrame(grids.drop(columns=grids.geometry.name)).to_dict("records")
    )
    return {board.code: board.missing for board in made}
