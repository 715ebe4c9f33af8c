"""Blocks to grids: even loads, each grid in one piece and inside its unit."""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from gridgis import crs as crs_
from gridgis.errors import GeometryError, GridgisWarning, PlanError, SchemaError
from gridgis.plan.blocks import reading_order
from gridgis.plan.graph import CLASS_COST, MIN_SHARED_M, Graph, block_graph, components
from gridgis.plan.network import Floats, Ints, Shapes
from gridgis.plan.polygons import no_polygon
from gridgis.plan.shares import Norms, Share, Table, between, grids_wanted, kind_of, norms_of, share_all
from gridgis.plan.units import unique_codes
from gridgis.profile import Profile
from gridgis.schema import codes_as_text, ids_of


class Plan(NamedTuple):
    """Blocks with their grid, the grids, and what was reached (see :func:`partition`)."""

    blocks: gpd.GeoDataFrame
    grids: gpd.GeoDataFrame
    summary: dict[str, Any]


def partition(
    blocks: gpd.GeoDataFrame,
    norm: Profile | float,
    *,
    borders: gpd.GeoDataFrame | None = None,
    tolerance: float | None = None,
    weight: str = "households",
    seed: int = 0,
    lock: pd.DataFrame | None = None,
    units: pd.DataFrame | None = None,
) -> Plan:
    """Share blocks out into grids of even load.

    Every block is in exactly one grid; every grid is one polygon made of whole blocks (their coordinates are
    copied) and lies in one unit.

    Parameters
    ----------
    blocks : GeoDataFrame
        ``code``, ``unit``, ``households`` and, for weight="persons", ``persons``; polygons side by side, in any CRS.
        ``compound_kind`` chooses the norm of a profile, ``estimated`` is summed where it is there.
    norm : Profile or float
        A profile, or the households (persons) wanted in a grid.
    borders : GeoDataFrame, optional
        The borders of :func:`~gridgis.plan.blocks.make_blocks`: cuts then lean to rivers and main roads.
    tolerance : float, optional
        Fraction by which a grid may be off norm; by default that of the profile, else 0.25.
    weight : {"households", "persons"}
        What is shared out evenly. The norm of a profile for persons is the middle of its range.
    seed : int
        The same seed and blocks give the same plan, whatever the order of rows.
    lock : DataFrame, optional
        ``code`` (of a block) and ``grid``: these blocks make up these grids and no others.
    units : DataFrame, optional
        ``code`` and ``name``, for the names of grids.

    Returns
    -------
    Plan
        ``blocks``: the rows that came in, with ``grid``. ``grids``: code, name, kind, level, parent, households,
        persons, estimated, deviation (signed fraction of the norm), reason (where off norm), compound_kind (whose
        norm was taken), geometry. ``summary``: as `gridgis partition --json` prints it.

    Raises
    ------
    SchemaError
        A column is missing, a code is missing or doubled.
    PlanError
        Overlapping blocks; loads that are missing or negative; a norm of 0 or less or none for this weight;
        locks that do not fit.

    Notes
    -----
    Pieces of a unit that hang together are shared out apart: an exclave has a grid of its own at least. A block above
    (1 + tolerance) times the norm cannot be mended by any plan and stands alone. The rest is cut in two, and these in
    two, along random spanning trees, and neighbouring grids are merged and cut anew as long as that lowers the price of
    load, shape and border (:mod:`gridgis.plan.trees`). Ctrl-C ends the search: the best plan so far is returned, with a
    warning and ``stopped`` among the parameters. numba makes it faster and changes nothing else. No optimum is
    promised; ``bound_off_norm`` says how many grids must be off norm.

    Reasons: "locked", "no households", "indivisible block" (the summary says into how many parts it should be cut),
    "isolated" (ground that hangs together with no other of its unit), "community mean" (no number of grids fits the
    unit's load), "no better cut found".

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> blocks = gpd.GeoDataFrame(
    ...     {"code": ["a", "b", "c", "d"], "unit": "U", "households": [150, 160, 140, 150]},
    ...     geometry=shapely.box([0, 100, 200, 300], 0, [100, 200, 300, 400], 100), crs=32650,
    ... )
    >>> plan = partition(blocks, 300)
    >>> plan.blocks["grid"].tolist(), plan.grids["households"].tolist(), plan.summary["off_norm"]
    (['U01', 'U01', 'U02', 'U02'], [310, 290], 0)
    """
    rule = norms_of(norm, tolerance, weight)
    table = _table(blocks, weight)
    shapes: Shapes = np.asarray(blocks.geometry.array, dtype=object)[table.row]
    ordered = gpd.GeoDataFrame(geometry=shapes, crs=crs_.require_crs(blocks, "blocks"))
    graph = block_graph(ordered, table.code, borders)
    locked = _locks(lock, table, graph)
    shares, stopped = share_all(table, graph, locked, rule, seed)
    if stopped:
        warnings.warn("stopped: this is the best plan so far, a search to the end may be better", GridgisWarning,
                      stacklevel=2)  # fmt: skip
    metric = crs_.metric_crs(ordered)
    grids, grid = _grids(shares, locked, table, graph, shapes, (ordered.crs, metric), rule, units)
    for column in ("households", "persons", "estimated"):
        values = _counts(blocks, column)[table.row]
        grids[column] = np.rint(np.bincount(grid, values, len(grids))).astype(np.int64)
    placed = blocks.copy()
    names = np.empty(len(blocks), dtype=object)
    names[table.row] = grids["code"].to_numpy()[grid]
    placed["grid"] = pd.Series(names, index=blocks.index, dtype=object)
    columns = ["code", "name", "kind", "level", "parent", "households", "persons", "estimated", "deviation", "reason"]
    grids = grids[[*columns, "compound_kind", "geometry"]]
    parameters = {
        "tolerance": rule.tolerance, "weight": weight, "seed": seed, "min_shared_m": MIN_SHARED_M,
        "class_cost": {name or "none": cost for name, cost in CLASS_COST.items()},
        "profile": norm.name if isinstance(norm, Profile) else None, "locked": int((locked != "").sum()),
        "stopped": stopped,
    }  # fmt: skip
    summary = _summary(grids, grid, graph, sum(s.bound for s in shares), rule, borders is not None, metric, parameters)
    grids.attrs["parameters"] = placed.attrs["parameters"] = parameters
    return Plan(placed, grids, summary)


# --- what comes in ----------------------------------------------------------------------------------------------------


def _table(blocks: gpd.GeoDataFrame, weight: str) -> Table:
    if len(blocks) == 0:
        raise SchemaError("the table is empty", source="blocks", wanted="at least one block")
    codes = unique_codes(blocks, "blocks")
    shapes = np.asarray(blocks.geometry.array, dtype=object)
    bad = no_polygon(shapes)
    if bad.any():
        raise GeometryError("not every block is a valid polygon", source="blocks", ids=ids_of(blocks, bad, "code"))
    if weight not in blocks.columns:
        raise SchemaError(
            f"the column {weight!r} is missing", source="blocks", found=", ".join(map(str, blocks.columns)),
            remedy="gridgis blocks counts them from houses or buildings.",
        )  # fmt: skip
    load = pd.to_numeric(blocks[weight], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = ~np.isfinite(load) | (load < 0)
    if wrong.any():
        raise PlanError(
            f"blocks with {weight} that are missing or negative", source="blocks", ids=ids_of(blocks, wrong, "code"),
            found=", ".join(dict.fromkeys(str(v) for v in blocks[weight][wrong].tolist()[:3])), wanted="0 or more",
        )  # fmt: skip
    row = np.array(sorted(range(len(codes)), key=lambda i: codes[i]), dtype=np.int64)
    unit = codes_as_text(blocks["unit"]).fillna("").to_numpy() if "unit" in blocks.columns else np.full(len(row), "")
    kind = np.full(len(row), None, dtype=object)
    if "compound_kind" in blocks.columns:
        kind = blocks["compound_kind"].astype(object).where(blocks["compound_kind"].notna(), None).to_numpy()
    return Table(codes[row], unit[row], load[row], kind[row], row)


def _counts(blocks: gpd.GeoDataFrame, column: str) -> Floats:
    if column not in blocks.columns:
        return np.zeros(len(blocks))
    values: Floats = pd.to_numeric(blocks[column]).to_numpy(dtype=float, na_value=0.0)
    return np.nan_to_num(values)


def _locks(lock: pd.DataFrame | None, table: Table, graph: Graph) -> Shapes:
    """The locked grid of each block, "" where it is free."""
    locked = np.full(len(table.code), "", dtype=object)
    if lock is None:
        return locked
    missing = [c for c in ("code", "grid") if c not in lock.columns]
    if missing:
        raise SchemaError("locks need columns", source="lock", found=", ".join(map(str, lock.columns)),
                          wanted=", ".join(missing))  # fmt: skip
    pairs = pd.DataFrame({"code": codes_as_text(lock["code"]), "grid": codes_as_text(lock["grid"])}).dropna()
    pairs = pairs.drop_duplicates()
    twice = sorted(set(pairs["code"][pairs["code"].duplicated()]))
    if twice:
        raise PlanError("blocks are locked to two grids", source="lock", ids=twice)
    unknown = sorted(set(pairs["code"]).difference(table.code))
    if unknown:
        raise PlanError("locked blocks do not exist", source="lock", ids=unknown)
    place = pd.Series(np.arange(len(table.code)), index=table.code)
    locked[place[pairs["code"]].to_numpy()] = pairs["grid"].to_numpy()
    for grid in sorted(set(pairs["grid"])):
        rows = np.flatnonzero(locked == grid)
        if len(set(table.unit[rows])) > 1:
            raise PlanError("a locked grid lies in two units", source="lock", ids=[grid],
                            found=", ".join(sorted(set(table.unit[rows]))))  # fmt: skip
        if components(len(rows), between(graph, rows)[1]).max() > 0:
            raise PlanError("a locked grid is not in one piece", source="lock", ids=[grid],
                            remedy="Lock blocks that hang together, or give the parts codes of their own.")  # fmt: skip
    return locked


# --- what goes out ----------------------------------------------------------------------------------------------------


def _grids(
    shares: list[Share],
    locked: Shapes,
    table: Table,
    graph: Graph,
    shapes: Shapes,
    planes: tuple[pyproj.CRS, pyproj.CRS],
    rule: Norms,
    units: pd.DataFrame | None,
) -> tuple[gpd.GeoDataFrame, Ints]:
    """Grids by code, and the row of its grid for each block."""
    groups, rows_of = [], []
    for share in shares:
        for rows, reason in zip(share.blocks, share.reasons, strict=True):
            groups.append(("", table.unit[rows[0]], share.target, share.kind, reason))
            rows_of.append(rows)
    for code in sorted(set(locked[locked != ""])):
        rows = np.flatnonzero(locked == code)
        kind = kind_of(table.kind[rows], table.load[rows])
        groups.append((code, table.unit[rows[0]], rule.target(kind), kind, "locked"))
        rows_of.append(rows)
    columns = zip(("lock", "parent", "target", "compound_kind", "reason"), zip(*groups, strict=True), strict=True)
    out = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns})
    union = shapely.coverage_union_all if graph.clean else shapely.union_all
    merged = np.array([_one(union(shapes[rows])) for rows in rows_of], dtype=object)
    _number(out, merged, planes, rule.code, units)
    load = np.array([table.load[rows].sum() for rows in rows_of])
    target = out["target"].to_numpy(dtype=float)
    out["deviation"] = load / target - 1
    off = np.abs(out["deviation"].to_numpy(dtype=float)) > rule.tolerance
    out["reason"] = out["reason"].where(off, None)
    out["kind"], out["level"] = pd.Series(["residential"] * len(out), dtype=object), 3
    out["parent"] = out["parent"].where(out["parent"] != "", None)
    grids = gpd.GeoDataFrame(out, geometry=merged, crs=planes[0])
    order = np.argsort(out["code"].to_numpy().astype(str), kind="stable")
    grid = np.empty(len(table.code), dtype=np.int64)
    for place, number in enumerate(order):
        grid[rows_of[number]] = place
    return grids.iloc[order].reset_index(drop=True), grid


def _one(shape: Any) -> Any:
    return shape.geoms[0] if shape.geom_type == "MultiPolygon" and len(shape.geoms) == 1 else shape


def _number(
    out: pd.DataFrame, shapes: Shapes, planes: tuple[pyproj.CRS, pyproj.CRS], template: str, units: pd.DataFrame | None
) -> None:
    """Give `out` code and name: numbers run north to south in each unit; locked grids keep their code."""
    names: dict[str, str] = {}
    if units is not None and {"code", "name"} <= set(units.columns):
        texts = zip(codes_as_text(units["code"]), units["name"], strict=True)
        names = {code: name for code, name in texts if code and isinstance(name, str)}
    moved = crs_.project(shapes, *planes)
    codes, titles = np.empty(len(out), dtype=object), np.empty(len(out), dtype=object)
    taken = set(out["lock"]) - {""}
    numbers: dict[str, int] = {}
    for unit in sorted(set(out["parent"])):
        own = np.flatnonzero((out["parent"] == unit).to_numpy())
        number = 0
        for row in own[reading_order(moved[own])]:
            if out["lock"].iloc[row]:
                codes[row] = out["lock"].iloc[row]
                continue
            number += 1
            while template.format(unit=unit, n=number) in taken:
                number += 1
            codes[row] = template.format(unit=unit, n=number)
            taken.add(codes[row])
            numbers[codes[row]] = number
        for row in own:
            known = numbers.get(codes[row]) or _number_in(codes[row], unit, template)
            titles[row] = f"{names.get(unit, '')}第{known}网格" if known else codes[row]
    out["code"], out["name"] = pd.Series(codes, dtype=object), pd.Series(titles, dtype=object)


def _number_in(code: str, unit: str, template: str, most: int = 999) -> int | None:
    """The number that makes `code` in the template, for the name of a locked grid."""
    return next((n for n in range(1, most + 1) if template.format(unit=unit, n=n) == code), None)


def _summary(
    grids: gpd.GeoDataFrame,
    grid: Ints,
    graph: Graph,
    bound: int,
    rule: Norms,
    classed: bool,
    metric: pyproj.CRS,
    parameters: dict[str, Any],
) -> dict[str, Any]:
    """What was reached, as plain types."""
    deviation = grids["deviation"].abs().to_numpy()
    off = deviation > rule.tolerance
    bound += int((off & (grids["reason"] == "locked").to_numpy()).sum())
    shapes = crs_.project(grids.geometry.to_numpy(), grids.crs, metric)
    inner = grid[graph.pairs[:, 0]] != grid[graph.pairs[:, 1]]
    length = float(graph.metres[inner].sum())
    rows = grids.loc[off, ["code", parameters["weight"], "reason", "deviation"]]
    return {
        "grids": len(grids),
        "norm": rule.shown,
        "bound_off_norm": bound,
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


def _remedy(load: float, deviation: float, reason: str, rule: Norms) -> dict[str, str]:
    """What to do about a block that is too large."""
    if reason != "indivisible block" or deviation < 0:
        return {}
    parts = max(2, grids_wanted(load, load / (1 + deviation), rule.tolerance)[0])
    return {"remedy": f"cut it into {parts} parts"}


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
