"""Person -> household -> house -> building -> grid -> map: what is complete at each link, and every break."""

from __future__ import annotations

from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gridgis.assign.buildings import assign_buildings
from gridgis.assign.houses import assign_houses
from gridgis.assign.persons import assign_persons, given_houses, unique_codes
from gridgis.assign.ready import ReadyGrids
from gridgis.assign.totals import COUNTED
from gridgis.errors import GeometryError, SchemaError
from gridgis.schema import codes_as_text

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Texts = NDArray[np.object_]

_NUMBERS = ("total", "complete", "ambiguous", "none", "broken")
_LOST = {
    "ambiguous": "several houses fit, or one fits weakly",
    "none": "no house fits what is given",
}


class Chain(NamedTuple):
    """The chain of a place.

    `counts` is a JSON-ready dict of links, each with total = complete + ambiguous + none and broken = ambiguous + none;
    `breaks` has one row for each break: link, id, reason; `totals` one row for each grid: unit, grid, buildings,
    houses, households, persons, and a last row (grid None) for what is in no grid, where there is any. `parameters`
    are those that were used.
    """

    counts: dict[str, Any]
    breaks: pd.DataFrame
    totals: pd.DataFrame
    parameters: dict[str, Any]

    def links(self) -> pd.DataFrame:
        """The counts as a table: link, total, complete, ambiguous, none, broken."""
        rows = [{"link": link, **{name: found[name] for name in _NUMBERS}} for link, found in self.counts.items()]
        return pd.DataFrame(rows)

    def document(self) -> dict[str, Any]:
        """The whole chain as one JSON-ready document: the links, breaks, totals and parameters."""
        totals = self.totals.astype(object).where(self.totals.notna(), None)
        return {
            **self.counts,
            "breaks": self.breaks.to_dict("records"),
            "totals": totals.to_dict("records"),
            "parameters": self.parameters,
        }


def chain(
    persons: pd.DataFrame,
    houses: pd.DataFrame,
    grids: gpd.GeoDataFrame,
    buildings: gpd.GeoDataFrame | None = None,
    *,
    within: float = 0.0,
) -> Chain:
    """Follow every person to a grid on the map, count at each link, and list the breaks.

    Parameters
    ----------
    persons : DataFrame
        With `id`; taken as it is where :func:`assign_persons` was run before, else it is run here.
    houses : DataFrame or GeoDataFrame
        With unique `code`, and `building` and `households` (1 where missing); assigned before (column `grid`), or
        points that are assigned here, or without a place: then the grid is that of the building.
    grids : GeoDataFrame
        With unique `code`; `parent` names the unit of each.
    buildings : GeoDataFrame, optional
        With `code`; assigned before or here. Without it the links to buildings are not counted.
    within : float
        Metres: houses that are assigned here go to a grid no further away than this.

    Returns
    -------
    Chain
        Links: person_house, house_building, building_grid, house_grid, grid_map, and over all links person_grid and
        household_grid. Breaks name ids only. A given house code that does not exist is a break even where the
        address or the place found the house (``wrong_code`` counts those and the ones not found). Houses whose grid
        is not their building's are counted (``other_than_building``); they are no break.

    Raises
    ------
    SchemaError, GeometryError, CRSError
        As :func:`assign_persons`, :func:`assign_houses`, :func:`assign_buildings`; if two grids have one code.
    """
    ground = ReadyGrids(grids)
    codes = ground.codes
    doubled = pd.Series(codes).duplicated(keep=False).to_numpy()
    if doubled.any():
        raise SchemaError(
            "the codes of grids are not unique",
            ids=sorted(set(codes[doubled])),
            remedy="gridgis validate lists them; counts cannot be told apart by them.",
        )
    mapped = ~(ground.frame.geometry.isna() | ground.frame.geometry.is_empty).to_numpy()
    on_map = pd.Index(codes[mapped], dtype=object)
    links = _Links()
    home, doubtful = _persons(links, persons, houses)
    built = None if buildings is None else _buildings(buildings, ground)
    house_grid, how = _grids_of_houses(links, houses, ground, built, within)
    if built is not None:
        _house_building(links, houses, built)
        building_at = _to_map(links, "building_grid", built.index.to_numpy(), built.to_numpy(), on_map)
    house_at = _to_map(links, "house_grid", unique_codes(houses, "houses"), house_grid, on_map)
    links.counts["house_grid"].update(how, **_other_than_building(houses, house_grid, built))
    links.add("grid_map", codes, mapped, np.full(len(codes), "the grid has no geometry", dtype=object))
    person_at = np.append(house_at, -1)[home]
    households = _households(houses)
    links.count("person_grid", len(home), int((person_at >= 0).sum()), doubtful)
    links.count("household_grid", int(households.sum()), int(households[house_at >= 0].sum()))
    parts: dict[str, tuple[Ints, Ints | None]] = {
        "houses": (house_at, None),
        "households": (house_at, households),
        "persons": (person_at, None),
    }
    if built is not None:
        parts["buildings"] = (building_at, None)
    return Chain(links.counts, links.breaks(), _totals(ground, on_map, parts), links.parameters)


def _totals(ground: ReadyGrids, on_map: pd.Index, parts: dict[str, tuple[Ints, Ints | None]]) -> pd.DataFrame:
    """One row a grid, sorted by code, and a last one (None) for what is in no grid on the map, if there is any.

    `parts` holds, for each column, the positions in `on_map` of its rows (-1: none), and how much each row counts.
    """
    grids = [*ground.codes, None]
    units = codes_as_text(ground.frame["parent"]).tolist() if "parent" in ground.frame.columns else [None] * len(grids)
    totals = pd.DataFrame(
        {"unit": pd.Series([*units, None][: len(grids)], dtype=object), "grid": pd.Series(grids, dtype=object)}
    )
    at = pd.Index(grids, dtype=object).get_indexer(on_map).astype(np.int64)
    at = np.append(at, len(grids) - 1)
    for name in COUNTED:
        if name in parts:
            position, weight = parts[name]
            totals[name] = np.bincount(at[position], weight, minlength=len(grids)).astype(np.int64)
        else:
            totals[name] = pd.Series(pd.NA, index=totals.index, dtype="Int64")
    lost = totals[list(parts)].iloc[-1].sum()
    return totals if lost else totals.iloc[:-1]


class _Links:
    """Counts and breaks as they are gathered."""

    def __init__(self) -> None:
        self.counts: dict[str, Any] = {}
        self.parameters: dict[str, Any] = {}
        self._breaks: list[pd.DataFrame] = []

    def count(self, link: str, total: int, complete: int, ambiguous: int = 0) -> None:
        broken = total - complete
        self.counts[link] = dict(zip(_NUMBERS, (total, complete, ambiguous, broken - ambiguous, broken), strict=True))

    def add(
        self, link: str, ids: Texts, complete: Bools, reasons: Texts, *, also: Bools | None = None, ambiguous: int = 0
    ) -> None:
        """Count a link; where it is not complete, or `also` says so, list the id and the reason."""
        self.count(link, len(ids), int(complete.sum()), ambiguous)
        told = ~complete if also is None else ~complete | also
        rows = pd.DataFrame({"link": link, "id": ids[told], "reason": reasons[told]}, dtype=object)
        self._breaks.append(rows)

    def breaks(self) -> pd.DataFrame:
        return pd.concat(self._breaks, ignore_index=True)


def _buildings(buildings: gpd.GeoDataFrame, ground: ReadyGrids) -> pd.Series:
    """Grid of each building, by the building's code."""
    placed = buildings if "grid" in buildings.columns else assign_buildings(buildings, ground)
    return codes_as_text(placed["grid"]).set_axis(pd.Index(unique_codes(buildings, "buildings"), dtype=object))


def _grids_of_houses(
    links: _Links, houses: pd.DataFrame, ground: ReadyGrids, built: pd.Series | None, within: float
) -> tuple[Texts, dict[str, Any]]:
    """Grid of each house (None where it has none), and how many were decided how, where that is known."""
    if "grid" not in houses.columns and isinstance(houses, gpd.GeoDataFrame):
        houses = assign_houses(houses, ground, within=within)
    links.parameters.update(houses.attrs.get("parameters", {}))
    if "grid" in houses.columns:
        how = {"how": _counts(houses["grid_how"])} if "grid_how" in houses.columns else {}
        return np.asarray(codes_as_text(houses["grid"]), dtype=object), how
    if built is None:
        raise GeometryError(
            "houses need a place",
            found="a table without geometry",
            wanted="points, the columns lon and lat, the column grid, or buildings",
        )
    grid = _of_building(houses, built)
    return grid, {"how": _counts(pd.Series(grid).notna().map({True: "building", False: "none"}))}


def _of_building(houses: pd.DataFrame, built: pd.Series) -> Texts:
    """Grid of the building of each house; None where the building is not known, or in no grid."""
    row = built.index.get_indexer(_building_codes(houses))
    grid: Texts = np.append(np.asarray(built, dtype=object), np.array([None]))[row]
    return grid


def _building_codes(houses: pd.DataFrame) -> Texts:
    if "building" not in houses.columns:
        return np.full(len(houses), None, dtype=object)
    return np.asarray(codes_as_text(houses["building"]), dtype=object)


def _households(houses: pd.DataFrame) -> Ints:
    if "households" not in houses.columns:
        return np.ones(len(houses), dtype=np.int64)
    return np.asarray(houses["households"].astype("Int64").fillna(1), dtype=np.int64)


def _persons(links: _Links, persons: pd.DataFrame, houses: pd.DataFrame) -> tuple[Ints, int]:
    """Count and list person -> house; the row of each person's house (-1 for none), and how many are ambiguous."""
    located = persons if "house_how" in persons.columns else assign_persons(persons, houses)
    links.parameters.update({f"person_{k}": v for k, v in located.attrs.get("parameters", {}).items()})
    known = pd.Index(unique_codes(houses, "houses"), dtype=object)
    ids = np.asarray(codes_as_text(located["id"]), dtype=object)
    home = _rows(known, codes_as_text(located["house"]))
    given = given_houses(located)
    wrong = given.notna().to_numpy() & (_rows(known, given) < 0)
    found = np.where(home >= 0, "found by " + located["house_how"].astype(str), located["house_how"].map(_LOST))
    found = np.where(home < 0, pd.Series(found).fillna("the house found before does not exist"), found)
    reason = np.where(wrong, "the given house does not exist; ", "").astype(object) + found
    ambiguous = int(((home < 0) & (located["house_how"] == "ambiguous").to_numpy()).sum())
    links.add("person_house", ids, home >= 0, reason, also=wrong, ambiguous=ambiguous)
    links.counts["person_house"].update(wrong_code=int(wrong.sum()), how=_counts(located["house_how"]))
    return home, ambiguous


def _house_building(links: _Links, houses: pd.DataFrame, built: pd.Series) -> None:
    """Count and list house -> building."""
    named = pd.Series(_building_codes(houses), dtype=object)
    reason = np.where(named.isna(), "no building is given", "the building does not exist").astype(object)
    links.add("house_building", unique_codes(houses, "houses"), _rows(built.index, named) >= 0, reason)


def _to_map(links: _Links, link: str, ids: Texts, grid: Texts, on_map: pd.Index) -> Ints:
    """Count and list a link to grids; the position in `on_map` of each row's grid, -1 for none."""
    at = _rows(on_map, pd.Series(grid, dtype=object))
    reason = np.where(pd.isna(grid), "in no grid", "its grid is not on the map").astype(object)
    links.add(link, ids, at >= 0, reason)
    return at


def _rows(known: pd.Index, codes: pd.Series) -> Ints:
    """The position of each code in `known`, -1 for those unknown or missing."""
    return np.where(codes.isna(), -1, known.get_indexer(codes)).astype(np.int64)


def _other_than_building(houses: pd.DataFrame, house_grid: Texts, built: pd.Series | None) -> dict[str, int]:
    """How many houses lie in another grid than their building."""
    if built is None:
        return {}
    grid = _of_building(houses, built)
    both = ~pd.isna(grid) & ~pd.isna(house_grid)
    return {"other_than_building": int((grid[both] != house_grid[both]).sum())}


def _counts(values: pd.Series) -> dict[str, int]:
    return {str(value): int(n) for value, n in sorted(values.value_counts().items())}
