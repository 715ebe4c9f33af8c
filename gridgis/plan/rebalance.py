"""Some grids of a plan shared out anew, all others left exactly as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from gridgis.errors import PlanError, SchemaError
from gridgis.plan.faces.network import Ints, Shapes
from gridgis.plan.partition import (
    Plan,
    checked_stay,
    counts_of,
    parameters_of,
    read_blocks,
    warn_if,
    with_bars,
)
from gridgis.plan.sharing.norms import Norms, kind_of, norms_of
from gridgis.plan.sharing.numbering import names_of
from gridgis.plan.sharing.outcome import drawn, groups_of, summary_of
from gridgis.plan.sharing.possible import Ground, Outlook, Table, grounds_of, outlook_of
from gridgis.plan.sharing.previous import moved
from gridgis.plan.sharing.shares import Progress, Search, share_all
from gridgis.plan.units import unique_codes
from gridgis.profile import Norm, Profile
from gridgis.schema import codes_as_text

#: Columns of grids that tell of the old shape: empty in a grid whose ground changed.
_OF_SHAPE = ("bounds_text", "compactness", "road_share")


def rebalance(
    plan: Plan,
    grids: Iterable[str],
    norm: Profile | float,
    *,
    borders: gpd.GeoDataFrame | None = None,
    tolerance: float | None = None,
    weight: str = "households",
    seed: int = 0,
    stay: float = 0.0,
    lock: pd.DataFrame | None = None,
    never_cross: Iterable[str] = (),
    units: pd.DataFrame | None = None,
    keep_count: bool = True,
    progress: Callable[[Progress], object] | None = None,
) -> Plan:
    """Share the blocks of some grids out anew among them; all other grids keep code, geometry and row.

    Parameters
    ----------
    plan : Plan
        Blocks with ``code``, ``grid``, ``households`` and perhaps ``unit``, ``persons``; grids with ``code``.
    grids : iterable of str
        Codes of grids that lie side by side, two or more of a unit.
    norm, borders, tolerance, weight, seed, units, never_cross, progress
        As in :func:`~gridgis.plan.partition.partition`. What the plan's parameters say is never crossed stays so.
    stay : float
        Price of a norm's load that leaves its grid, as there.
    lock : DataFrame, optional
        ``code`` (of a block) and ``grid``: grids with a locked block cannot be chosen, nor can those whose row says
        ``locked``.
    keep_count : bool
        As many grids as before, but for blocks that are too heavy and have to stand alone. False: another number is
        taken where it leaves fewer grids off norm (where `stay` counts: where it costs less).

    Returns
    -------
    Plan
        In the order of the plan that came in; new grids at the end. A code stays with the larger overlap of load, then
        of ground. The summary is that of the whole plan, and has ``rebalanced`` (codes chosen), ``changed`` (codes
        whose ground changed), ``new``, ``gone``, ``moved`` (load that changes grid), ``moved_blocks``, ``moved_share``.
        Grids that were not chosen and are off the norm without a reason in their row have the reason "as it was".

    Raises
    ------
    PlanError
        Unknown, locked or no grids; one grid alone, or grids that are no neighbours; nothing to share out; and what
        :func:`~gridgis.plan.partition.partition` refuses.

    Notes
    -----
    The search starts from the grids as they are: neighbours are merged and cut anew as long as that lowers the price.
    Where grids stay off norm and staying costs nothing, a plan from nothing is tried beside it.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> from gridgis.plan.partition import partition
    >>> blocks = gpd.GeoDataFrame(
    ...     {"code": ["a", "b", "c", "d"], "unit": "U", "households": [150, 160, 140, 150]},
    ...     geometry=shapely.box([0, 100, 200, 300], 0, [100, 200, 300, 400], 100), crs=32650,
    ... )
    >>> plan = partition(blocks, 300)
    >>> plan.blocks["households"] = [100, 100, 200, 300]
    >>> changed = rebalance(plan, ["U01", "U02"], 350)
    >>> changed.blocks["grid"].tolist(), changed.summary["moved"]
    (['U01', 'U01', 'U01', 'U02'], 200)
    """
    kept = plan.summary.get("parameters", {}).get("never_cross", ())
    bars = (never_cross,) if isinstance(never_cross, str) else tuple(never_cross)
    rule = with_bars(norms_of(norm, tolerance, weight), (*bars, *kept))._replace(per_unit=None)
    search = Search(seed, checked_stay(stay, True), keep_count)
    table, graph, ordered = read_blocks(plan.blocks, rule, weight, borders)
    home = _grids_of(plan)[table.row]
    chosen = _chosen(plan, grids, lock, keep_count)
    table = table._replace(home=np.where(np.isin(home, chosen), home, ""))
    others = np.where(np.isin(home, chosen), "", home)
    grounds = grounds_of(table, graph, others, rule, "chosen mean")
    _check(grounds, chosen, keep_count)
    outlook = outlook_of(grounds, table, others, rule)
    shares, stopped = share_all(grounds, table, rule, search, outlook, progress)
    warn_if(stopped)
    groups = groups_of(shares, np.full(len(home), "", dtype=object), table, rule)
    taken = frozenset(set(codes_as_text(plan.grids["code"])) | set(home))
    made, grid = drawn(groups, table, graph, ordered, rule, names_of(units), names_of(plan.grids), taken)
    now = home.copy()
    now[grid >= 0] = made["code"].to_numpy(dtype=object)[grid[grid >= 0]]
    placed = plan.blocks.copy()
    names = np.empty(len(now), dtype=object)
    names[table.row] = now
    placed["grid"] = pd.Series(names, index=placed.index, dtype=object)
    for column in ("households", "persons", "estimated"):
        made[column] = _summed(plan.blocks, column, table, grid, len(made))
    changed = sorted(set(home[home != now]) | set(now[home != now]))
    rows = _rows(plan.grids, made, chosen, changed)
    parameters = parameters_of(rule, weight, search, stopped) | {"rebalanced": chosen, "keep_count": keep_count}
    summary = _summary(rows, now, table, graph, outlook, rule, borders is not None, parameters)
    summary |= {"rebalanced": chosen, "changed": changed}
    summary |= {"new": sorted(set(now) - set(home)), "gone": sorted(set(home) - set(now))}
    summary |= moved(home, now, table.load)
    rows.attrs["parameters"] = placed.attrs["parameters"] = parameters
    return Plan(placed, rows, summary)


def _summed(blocks: gpd.GeoDataFrame, column: str, table: Table, grid: Ints, count: int) -> pd.Series:
    """The sum of a column for each grid; unknown where nobody counted."""
    if column in blocks.columns and len(blocks) and blocks[column].isna().all():
        return pd.Series([pd.NA] * count, dtype="Int64")
    values, inner = counts_of(blocks, column)[table.row], grid >= 0
    return pd.Series(np.rint(np.bincount(grid[inner], values[inner], count)).astype(np.int64))


def norm_of(grids: gpd.GeoDataFrame) -> Profile | None:
    """The norm that the grids of a plan were made for, from their households and deviation; None where it is not told.

    Parameters
    ----------
    grids : GeoDataFrame
        ``households``, ``deviation`` and perhaps ``compound_kind``, as :func:`~gridgis.plan.partition.partition` writes
        them for households.
    """
    if not {"households", "deviation"} <= set(grids.columns):
        return None
    load, off = (pd.to_numeric(grids[c], errors="coerce").to_numpy(dtype=float) for c in ("households", "deviation"))
    kinds = grids["compound_kind"].to_numpy(dtype=object) if "compound_kind" in grids.columns else [None] * len(load)
    found: dict[str, set[float]] = {}
    for kind, households, deviation in zip(kinds, load, off, strict=True):
        if households > 0 and deviation > -1:
            name = kind if isinstance(kind, str) else "mixed"
            found.setdefault(name, set()).add(float(round(households / (1 + deviation), 3)))
    if not found or any(len(values) > 1 for values in found.values()):
        return None
    norms = {kind: values.pop() for kind, values in sorted(found.items())}
    return Profile("as before", "as before", Norm(norms))


def _grids_of(plan: Plan) -> Shapes:
    """The grid of each block."""
    if "grid" not in plan.blocks.columns:
        found = ", ".join(map(str, plan.blocks.columns))
        raise SchemaError("the column 'grid' is missing", source="blocks", found=found,
                          remedy="gridgis partition writes it.")  # fmt: skip
    grid = codes_as_text(plan.blocks["grid"])
    none = grid.isna() | ~grid.isin(set(unique_codes(plan.grids, "grids")))
    if none.any():
        codes = codes_as_text(plan.blocks["code"])[none.to_numpy()]
        raise PlanError("blocks are in no grid of the plan", source="blocks", ids=codes.tolist(),
                        remedy="Take blocks and grids from the same run.")  # fmt: skip
    return np.asarray(grid.to_numpy(dtype=object))


def _chosen(plan: Plan, grids: Iterable[str], lock: pd.DataFrame | None, keep_count: bool) -> list[str]:
    """The codes to be rebalanced, in order."""
    chosen = sorted({grids} if isinstance(grids, str) else set(map(str, grids)))
    known = codes_as_text(plan.grids["code"])
    unknown = [code for code in chosen if code not in set(known)]
    if unknown:
        raise PlanError("there are no such grids", source="grids", ids=unknown,
                        wanted=", ".join(sorted(known)[:10]) + (", …" if len(known) > 10 else ""))  # fmt: skip
    if not chosen:
        raise PlanError("no grid is named", source="grids", wanted="codes of grids side by side")
    fixed: set[str] = set()
    if lock is not None:
        missing = [c for c in ("code", "grid") if c not in lock.columns]
        if missing:
            raise SchemaError("locks need columns", source="lock", found=", ".join(map(str, lock.columns)),
                              wanted=", ".join(missing))  # fmt: skip
        own = codes_as_text(plan.blocks["code"]).isin(set(codes_as_text(lock["code"])[lock["grid"].notna().to_numpy()]))
        fixed |= set(codes_as_text(plan.blocks["grid"])[own.to_numpy()])
    if "locked" in plan.grids.columns:
        fixed |= set(known[plan.grids["locked"].eq(True).to_numpy()])
    held = [code for code in chosen if code in fixed]
    if held:
        raise PlanError("locked grids cannot be rebalanced", source="grids", ids=held,
                        remedy="Unlock them, or leave them out.")  # fmt: skip
    if len(chosen) == 1 and keep_count:
        raise PlanError("one grid alone cannot be rebalanced", source="grids", ids=chosen,
                        remedy="Name the neighbours that may change with it.")  # fmt: skip
    return chosen


def _check(grounds: list[Ground], chosen: list[str], keep_count: bool) -> None:
    """Grids that can give nothing to each other, or have nothing to give, are refused."""
    together = {code for ground in grounds if len(ground.homes) > 1 for code in ground.homes}
    alone = [code for code in chosen if code not in together]
    if alone and keep_count:
        raise PlanError(
            "grids that have no neighbour among those to be rebalanced", source="grids", ids=alone,
            wanted="grids of one unit side by side, with no barrier between them that must not be crossed",
        )  # fmt: skip
    if not any(ground.piece.load.sum() > 0 for ground in grounds):
        raise PlanError("there is nothing to share out in these grids", source="grids", ids=chosen, found="0 in all")


def _rows(grids: gpd.GeoDataFrame, made: gpd.GeoDataFrame, chosen: list[str], changed: list[str]) -> gpd.GeoDataFrame:
    """The rows of the plan: those of changed grids anew, the others as they are; new grids at the end."""
    name = grids.active_geometry_name
    made = (made if made.active_geometry_name == name else made.rename_geometry(name)).set_index("code", drop=False)
    codes = codes_as_text(grids["code"])
    out = grids[~codes.isin(set(chosen) - set(made.index)).to_numpy()].copy()
    known = codes_as_text(out["code"])
    counted, reshaped = known.isin(made.index).to_numpy(), known.isin(set(made.index) & set(changed)).to_numpy()
    for column in ("households", "persons", "estimated", "deviation", "reason", "compound_kind", name):
        own = reshaped if column == name else counted
        fresh = made.loc[known[own]]
        if column in out.columns and own.any():
            if fresh[column].dtype == object and out[column].dtype != object:
                out[column] = out[column].astype(object)
            out.loc[own, column] = fresh[column].array
    for column in _OF_SHAPE:
        if column in out.columns:
            out[column] = out[column].mask(reshaped)
    new = made[~made["code"].isin(set(codes)).to_numpy()].reset_index(drop=True)
    if len(new):
        new = new[[column for column in out.columns if column in new.columns]]
        out = gpd.GeoDataFrame(pd.concat([out, new], ignore_index=True), geometry=name, crs=grids.crs)
    return out


def _summary(
    rows: gpd.GeoDataFrame,
    now: Shapes,
    table: Table,
    graph: Any,
    outlook: Outlook,
    rule: Norms,
    classed: bool,
    parameters: dict[str, Any],
) -> dict[str, Any]:
    """What the whole plan is like, against this norm."""
    codes = codes_as_text(rows["code"]).to_numpy()
    place = pd.Series(np.arange(len(codes)), index=codes)
    grid = place[now].to_numpy(dtype=np.int64)
    load = np.bincount(grid, table.load, len(codes))
    target = np.array([rule.target(kind_of(table.kind[grid == g], table.load[grid == g])) for g in range(len(codes))])
    reason = rows["reason"] if "reason" in rows.columns else pd.Series([None] * len(rows), dtype=object)
    told = pd.DataFrame({
        "code": codes, parameters["weight"]: load, "deviation": load / target - 1,
        "reason": pd.Series([r if isinstance(r, str) else "as it was" for r in reason], dtype=object),
    })  # fmt: skip
    shown = gpd.GeoDataFrame(told, geometry=rows.geometry.to_numpy(), crs=rows.crs)
    return summary_of(shown, grid, table, graph, outlook, rule, classed, parameters)
