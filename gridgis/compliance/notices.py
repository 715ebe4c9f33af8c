"""Rules of publication: boards (公示牌) of grids, communities and buildings, and what is wrong with a board."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from gridgis.compliance.case import Case, days_of, grids_of
from gridgis.compliance.passing import grid_of
from gridgis.compliance.posts import share_rows
from gridgis.compliance.states import standing, unknown
from gridgis.profile import Parameters
from gridgis.rules import Rule

#: Kinds of buildings that are nobody's home; those of any other kind, and of none, count as residential.
NOT_LIVED_IN = (
    "works", "office", "school", "shop", "public", "industrial", "commercial", "warehouse", "garage", "retail",
)  # fmt: skip
BOARD_FAULTS = ("lacking", "incomplete", "overdue", "unchecked", "placeless")


def check_boards(rule: Rule, case: Case) -> pd.DataFrame:
    """How many boards each grid or community has; of buildings, the share that has one."""
    boards = case.given.boards
    if boards is None:
        return unknown(rule, case, "no boards were given")
    if rule.subject == "building":
        return _of_buildings(rule, case, boards)
    if rule.subject == "community":
        return _of_communities(rule, case, boards)
    own = boards[~_of_kind(boards, "building")]
    codes = grids_of(rule, case)
    count = own["grid"].astype(object).value_counts() if "grid" in own.columns else {}
    value = np.array([float(count.get(code, 0)) for code in codes])
    return standing(rule, case, {"grid": codes, "value": value}, np.where(value == 0, "no board", ""))


def _of_kind(boards: pd.DataFrame, kind: str) -> pd.Series:
    named = boards["kind"] if "kind" in boards.columns else pd.Series(None, index=boards.index, dtype=object)
    return named.astype(object) == kind


def _of_communities(rule: Rule, case: Case, boards: pd.DataFrame) -> pd.DataFrame:
    units = case.given.units
    if units is None:
        return unknown(rule, case, "no communities were given (units)")
    own = boards[_of_kind(boards, "community")]
    where = own["grid"].to_numpy(dtype=object) if "grid" in own.columns else np.full(len(own), None, dtype=object)
    if isinstance(own, gpd.GeoDataFrame) and own.active_geometry_name:
        where = np.where(pd.isna(where), grid_of(own, units), where)
    count = pd.Series(where, dtype=object).value_counts()
    codes = sorted(units["code"].astype(str))
    value = np.array([float(count.get(code, 0)) for code in codes])
    return standing(rule, case, {"target": codes, "value": value}, np.where(value == 0, "no board", ""))


def _of_buildings(rule: Rule, case: Case, boards: pd.DataFrame) -> pd.DataFrame:
    buildings, grids = case.given.buildings, case.given.grids
    if buildings is None:
        return unknown(rule, case, "no buildings were given")
    lived = buildings
    if "kind" in buildings.columns:
        lived = buildings[~buildings["kind"].astype(object).isin(NOT_LIVED_IN)]
    grid = np.full(len(lived), "–", dtype=object) if grids is None else pd.Series(grid_of(lived, grids)).fillna("–")
    named = boards["building"].dropna().astype(str) if "building" in boards.columns else pd.Series(dtype=object)
    has = lived["code"].astype(str).isin(set(named)).to_numpy()
    sums = pd.DataFrame({"grid": np.asarray(grid), "has": has, "one": 1}).groupby("grid", as_index=False).sum()
    out = share_rows(rule, case, sums["grid"], sums["has"], sums["one"], "buildings")
    return out.assign(grid=out["target"], target=None)


def check_complete_boards(rule: Rule, case: Case) -> pd.DataFrame:
    """The share of grids with a board that has all fields the profile requires, as percent."""
    boards, lacks = case.given.boards, case.given.board_lacks
    if boards is None or lacks is None:
        return unknown(rule, case, "boards, staff and postings are needed")
    codes = grids_of(rule, case)
    hung = set(boards.loc[~_of_kind(boards, "building"), "grid"].dropna().astype(str))
    complete = [code in hung and not lacks.get(code, ("no board",)) for code in codes]
    return share_rows(rule, case, [None], [sum(complete)], [len(codes)], "grids")


def board_faults(
    boards: pd.DataFrame,
    grids: gpd.GeoDataFrame | None,
    on: pd.Timestamp,
    parameters: Parameters,
    lacks: Any = None,
) -> pd.DataFrame:
    """What is wrong with boards on a day.

    Parameters
    ----------
    boards : DataFrame
        code, and where known kind, grid, building, place, checked_on.
    grids : GeoDataFrame, optional
        Those that need a board each.
    on : Timestamp
    parameters : Parameters
        A board that was not checked for `board_verified_days` is overdue.
    lacks : mapping of str to sequence of str, optional
        Fields that the profile requires and nobody filled, by the code of the grid.

    Returns
    -------
    DataFrame
        code (of the board; of the grid where there is none), grid, fault (one of :data:`BOARD_FAULTS`), detail;
        in the order of the faults and codes.
    """
    checked = days_of(boards, "checked_on")
    place = boards["place"] if "place" in boards.columns else pd.Series(None, index=boards.index, dtype=object)
    code = boards["code"].astype(str).to_numpy(dtype=object)
    grid = boards["grid"].to_numpy(dtype=object) if "grid" in boards.columns else np.full(len(boards), None)
    old = (on - checked).dt.days
    rows: list[tuple[Any, Any, str, str]] = []
    if grids is not None:
        hung = {str(g) for g in grid[~_of_kind(boards, "building").to_numpy()] if not pd.isna(g)}
        bare = sorted(set(grids["code"].astype(str)) - hung)
        rows += [(g, g, "lacking", "no board in the grid") for g in bare]
    for c, g in sorted(zip(code, grid, strict=True), key=lambda pair: str(pair[0])):
        if lacks and not pd.isna(g) and lacks.get(str(g)):
            rows.append((c, g, "incomplete", ", ".join(lacks[str(g)])))
    for fault, which, detail in (
        (
            "overdue",
            old > parameters.board_verified_days,
            "checked " + old.fillna(0).astype(int).astype(str) + " days ago",
        ),
        ("unchecked", checked.isna(), "nobody wrote down when it was checked"),
        ("placeless", place.isna(), "nobody wrote down where it hangs"),
    ):
        told = pd.Series(np.broadcast_to(np.asarray(detail, dtype=object), len(code)))
        rows += [(code[i], grid[i], fault, told.iloc[i]) for i in np.flatnonzero(np.asarray(which))]
    out = pd.DataFrame(rows, columns=["code", "grid", "fault", "detail"], dtype=object)
    order = out["fault"].map({fault: n for n, fault in enumerate(BOARD_FAULTS)})
    return out.assign(_n=order).sort_values(["_n", "code"], ignore_index=True).drop(columns="_n")
