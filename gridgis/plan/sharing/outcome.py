"""What a partition gives: the grids as a table, and in figures what was reached."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gridgis import crs as crs_
from gridgis.plan.faces.graph import Graph
from gridgis.plan.faces.network import Floats, Ints, Shapes
from gridgis.plan.reading_order import reading_order
from gridgis.plan.sharing.norms import Norms, grids_wanted, kind_of
from gridgis.plan.sharing.numbering import give_codes, path_order
from gridgis.plan.sharing.possible import Outlook, Table
from gridgis.plan.sharing.previous import continued
from gridgis.plan.sharing.recombine import beside
from gridgis.plan.sharing.shares import Share


class Group(NamedTuple):
    """The blocks of a grid (rows of the table), its code where it has one, and what it should hold."""

    rows: Ints
    code: str
    target: float
    kind: str | None
    reason: str


def groups_of(shares: list[Share], locked: Shapes, table: Table, rule: Norms) -> list[Group]:
    """The grids that were found, and those that are locked."""
    groups = [
        Group(rows, "", share.target, share.kind, reason)
        for share in shares for rows, reason in zip(share.blocks, share.reasons, strict=True)
    ]  # fmt: skip
    for code in sorted(set(locked[locked != ""])):
        rows = np.flatnonzero(locked == code)
        kind = kind_of(table.kind[rows], table.load[rows])
        groups.append(Group(rows, code, rule.target(kind), kind, "locked"))
    return groups


def drawn(
    groups: list[Group],
    table: Table,
    graph: Graph,
    blocks: gpd.GeoDataFrame,
    rule: Norms,
    units: Mapping[str, str],
    titles: Mapping[str, str],
    taken: frozenset[str] = frozenset(),
) -> tuple[gpd.GeoDataFrame, Ints]:
    """Grids by code, and for each block the row of its grid (-1: in none of them).

    `units` and `titles` are names of units and of grids that there were before; no new grid gets a code of `taken`.
    """
    shapes: Shapes = blocks.geometry.to_numpy()
    union = shapely.coverage_union_all if graph.clean else shapely.union_all
    merged = np.array([_one(union(shapes[group.rows])) for group in groups], dtype=object)
    of = np.full(len(table.code), -1, dtype=np.int64)
    for number, group in enumerate(groups):
        of[group.rows] = number
    parent = np.array([table.unit[group.rows[0]] for group in groups], dtype=object)
    known, before = _known_codes(groups, table, graph.area)
    orders = _orders(parent, crs_.project(merged, blocks.crs, crs_.metric_crs(blocks)), of, graph, rule.order)
    codes, names = give_codes(parent, known, orders, rule.code, units, titles, before | taken)
    load = np.array([table.load[group.rows].sum() for group in groups])
    deviation = load / np.array([group.target for group in groups]) - 1
    off = np.abs(deviation) > rule.tolerance
    reason = [group.reason if o else None for group, o in zip(groups, off, strict=True)]
    texts = {
        "code": codes, "name": names, "parent": [code or None for code in parent],
        "compound_kind": [group.kind for group in groups], "reason": reason, "kind": ["residential"] * len(groups),
    }  # fmt: skip
    out = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in texts.items()})
    out["deviation"], out["level"] = deviation, 3
    order = np.argsort(codes.astype(str), kind="stable")
    place = np.append(np.argsort(order), -1)
    return gpd.GeoDataFrame(out, geometry=merged, crs=blocks.crs).iloc[order].reset_index(drop=True), place[of]


def _one(shape: Any) -> Any:
    return shape.geoms[0] if shape.geom_type == "MultiPolygon" and len(shape.geoms) == 1 else shape


def _known_codes(groups: list[Group], table: Table, area: Floats) -> tuple[Shapes, set[str]]:
    """The code that goes on in each grid ("" for none), and all codes that there were."""
    known = np.array([group.code for group in groups], dtype=object)
    if table.home is None:
        return known, set()
    free = np.flatnonzero(known == "")
    home = np.where(np.isin(table.home, known[known != ""]), "", table.home)
    if len(free):
        known[free] = continued([groups[number].rows for number in free], home, table.load, area)
    return known, set(table.home) - {""}


def _orders(parent: Shapes, shapes: Shapes, of: Ints, graph: Graph, order: str) -> dict[str, Ints]:
    """The rows of each unit's grids, in the order of their numbers."""
    inner = (of[graph.pairs] >= 0).all(axis=1)
    pairs = beside(of, graph.pairs[inner])
    orders = {}
    unit = np.unique(parent.astype(str), return_inverse=True)[1]
    same = pairs[unit[pairs[:, 0]] == unit[pairs[:, 1]]]
    ranks = np.argsort(unit, kind="stable")
    start = np.append(0, np.cumsum(np.bincount(unit)))
    same = same[np.argsort(unit[same[:, 0]], kind="stable")]
    first = np.searchsorted(unit[same[:, 0]], np.arange(len(start)))
    for number in range(len(start) - 1):
        own = np.sort(ranks[start[number] : start[number + 1]])
        if order == "north":
            ordered = reading_order(shapes[own])
        else:
            ordered = path_order(shapes[own], np.searchsorted(own, same[first[number] : first[number + 1]]))
        orders[parent[own[0]]] = own[ordered]
    return orders


# --- figures ----------------------------------------------------------------------------------------------------------


def summary_of(
    grids: gpd.GeoDataFrame,
    grid: Ints,
    table: Table,
    graph: Graph,
    outlook: Outlook,
    rule: Norms,
    classed: bool,
    parameters: dict[str, Any],
) -> dict[str, Any]:
    """What was reached, as plain types."""
    deviation = grids["deviation"].abs().to_numpy(dtype=float)
    off = deviation > rule.tolerance
    shapes = crs_.project(grids.geometry.to_numpy(), grids.crs, crs_.metric_crs(grids))
    inner = grid[graph.pairs[:, 0]] != grid[graph.pairs[:, 1]]
    length = float(graph.metres[inner].sum())
    rows = grids.loc[off, ["code", parameters["weight"], "reason", "deviation"]]
    summary = {
        "grids": len(grids),
        "norm": rule.shown,
        "bound_off_norm": outlook.bound_off_norm,
        "off_norm": int(off.sum()),
        "max_deviation": round(float(deviation.max()), 6),
        "mean_deviation": round(float(deviation.mean()), 6),
        "compactness": round(float(np.mean(compactness(shapes))), 6),
        "road_share": round(float(graph.strong[inner].sum()) / length, 6) if classed and length else None,
        "parameters": parameters,
        "off": [
            {"grid": code, "households": int(load), "reason": reason, **_remedy(load, deviation, reason, rule)}
            for code, load, reason, deviation in rows.itertuples(index=False)
        ],
    }
    if outlook.notes:
        summary["notes"] = list(outlook.notes)
    if rule.per_unit is not None:
        summary["grids_per_community"] = list(rule.per_unit)
        summary["communities_off"] = _communities_off(grid, table, rule, parameters["stay"])
    return summary


def _remedy(load: float, deviation: float, reason: str, rule: Norms) -> dict[str, str]:
    """What to do about a block that is too large."""
    if reason != "indivisible block" or deviation < 0:
        return {}
    parts = max(2, grids_wanted(load, load / (1 + deviation), rule.tolerance)[0])
    return {"remedy": f"cut it into {parts} parts"}


def _communities_off(grid: Ints, table: Table, rule: Norms, stay: float) -> list[dict[str, Any]]:
    """Units with fewer or more grids than wanted, and why: the norm comes first."""
    low, high = rule.per_unit or (0, 0)
    found = []
    unit = table.unit.astype(str)
    names, of = np.unique(unit, return_inverse=True)
    counts = np.bincount(np.unique(np.stack([of, grid], axis=1), axis=0)[:, 0], minlength=len(names))
    for number in np.flatnonzero((counts < low) | (counts > high)).tolist():
        own = of == number
        load = float(table.load[own].sum())
        target = rule.target(kind_of(table.kind[own], table.load[own]))
        if load == 0:
            reason = "no households"
        elif load / low < (1 - rule.tolerance) * target:
            reason = f"too small: {low} grids would have {load / low:.0f} each, the norm is {target:g}"
        elif load / high > (1 + rule.tolerance) * target:
            reason = f"too large: {high} grids would have {load / high:.0f} each, the norm is {target:g}"
        elif bool((table.load[own] > (1 + rule.tolerance) * target).any()):
            reason = "a block too heavy for any grid stands alone; the rest is shared out by the norm"
        elif stay > 0:
            reason = "goes on from a plan with other numbers of grids"
        else:
            reason = (
                f"the norm comes first: plans with {low} to {high} grids left some of them off it, or there were none"
            )
        found.append({"unit": names[number] or None, "grids": int(counts[number]), "reason": reason})
    return found


def compactness(shapes: Shapes) -> Floats:
    """Polsby-Popper of areas in metres: 4 pi area / perimeter², 1 for a circle.

    Examples
    --------
    >>> import shapely
    >>> compactness([shapely.box(0, 0, 1, 1)]).round(3).tolist()
    [0.785]
    """
    share: Floats = 4 * math.pi * shapely.area(shapes) / shapely.length(shapes) ** 2
    return share
