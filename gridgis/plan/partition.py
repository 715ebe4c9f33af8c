"""Blocks to grids: even loads, each grid in one piece and inside its unit."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd

from gridgis import crs as crs_
from gridgis.errors import GeometryError, GridgisWarning, PlanError, SchemaError
from gridgis.plan.checking.polygons import no_polygon
from gridgis.plan.faces.graph import MIN_SHARED_M, Graph, block_graph, components
from gridgis.plan.faces.network import Floats, Shapes
from gridgis.plan.sharing.norms import Norms, norms_of
from gridgis.plan.sharing.numbering import names_of
from gridgis.plan.sharing.outcome import compactness, drawn, groups_of, summary_of
from gridgis.plan.sharing.possible import Outlook, Table, grounds_of, outlook_of
from gridgis.plan.sharing.previous import grids_before, moved
from gridgis.plan.sharing.shares import Progress, Search, share_all
from gridgis.plan.units import unique_codes
from gridgis.profile import Profile
from gridgis.schema import codes_as_text, ids_of

__all__ = ["Outlook", "Plan", "Progress", "compactness", "partition"]


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
    never_cross: Iterable[str] = (),
    previous: Plan | gpd.GeoDataFrame | None = None,
    stay: float = 0.0,
    progress: Callable[[Progress], object] | None = None,
) -> Plan:
    """Share blocks out into grids of even load.

    Every block is in exactly one grid; every grid is one polygon made of whole blocks (their coordinates are
    copied) and lies in one unit.

    Parameters
    ----------
    blocks : GeoDataFrame
        ``code``, ``unit``, ``households`` and, for weight="persons", ``persons``; polygons side by side, in any CRS.
        ``compound_kind`` chooses the norm of a profile, ``estimated`` is summed where it is there; blocks of the same
        ``compound`` (code of a housing estate) lean to one grid.
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
    never_cross : iterable of str, optional
        Classes of barriers, beside those of the profile: no grid hangs together across a border with
        ``MIN_SHARED_M`` metres or more on one of them.
    previous : Plan or GeoDataFrame, optional
        A plan to go on from: blocks with ``grid``, or grids with ``code``. A block comes from the grid in which an
        inner point of it lies. Codes (and names) go on in the grid with the largest overlap of load, then of ground.
    stay : float
        Price of a norm's load that leaves the grid it comes from (a grid outside the tolerance costs about 3); ground
        without households counts a little. 0: nothing but the codes goes on. 1 to 3 keeps most households where they
        are, at the same balance; above that, grids stay off the norm rather than send anybody away. The search then
        starts from the previous grids.
    progress : callable, optional
        Called with :class:`Progress`, first before the search with what is possible, then some times a second.

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
        locks that do not fit; a previous plan of another place; must-not-cross barriers without borders.

    Notes
    -----
    Pieces of a unit that hang together are shared out apart: an exclave has a grid of its own at least. A block above
    (1 + tolerance) times the norm cannot be mended by any plan and stands alone. The rest is cut in two, and these in
    two, along random spanning trees, and neighbouring grids are merged and cut anew as long as that lowers the price of
    load, shape and border (:mod:`gridgis.plan.sharing.trees`; the weights are those of the profile). Ctrl-C ends the
    search: the best plan so far is returned, with a warning and ``stopped`` among the parameters. numba makes it faster
    and changes nothing else, nor do more processors. No optimum is promised.

    ``bound_off_norm`` is known before the search: one for each block that is too heavy alone, for each connected piece
    of ground whose load fits no number of grids (without heavy blocks), and for each locked grid that is off. No plan
    in which heavy blocks stand alone has fewer grids off the norm.

    Reasons: "locked", "no households", "indivisible block" (the summary says into how many parts it should be cut),
    "isolated" (ground that hangs together with no other of its unit), "enclave" (the same, inside another unit or a
    heavy block), "cut off by a barrier" (that must not be crossed), "cut off by locked grids", "community mean" (no
    number of grids fits the unit's load), "no better cut found".

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
    rule = with_bars(norms_of(norm, tolerance, weight), never_cross)
    search = Search(seed, checked_stay(stay, previous is not None))
    table, graph, ordered = read_blocks(blocks, rule, weight, borders)
    titles: dict[str, str] = {}
    if previous is not None:
        before = previous.blocks if isinstance(previous, Plan) else previous
        table = table._replace(home=grids_before(before, ordered))
        named = previous.grids if isinstance(previous, Plan) else previous
        titles = {} if "grid" in named.columns else names_of(named)  # blocks have names of their own
    locked = _locks(lock, table, graph)
    grounds = grounds_of(table if stay > 0 else table._replace(home=None), graph, locked, rule)
    outlook = outlook_of(grounds, table, locked, rule)
    shares, stopped = share_all(grounds, table, rule, search, outlook, progress)
    warn_if(stopped)
    groups = groups_of(shares, locked, table, rule)
    grids, grid = drawn(groups, table, graph, ordered, rule, names_of(units), titles)
    for column in ("households", "persons", "estimated"):
        grids[column] = np.rint(np.bincount(grid, counts_of(blocks, column)[table.row], len(grids))).astype(np.int64)
    placed = blocks.copy()
    names = np.empty(len(blocks), dtype=object)
    names[table.row] = grids["code"].to_numpy()[grid]
    placed["grid"] = pd.Series(names, index=blocks.index, dtype=object)
    columns = ["code", "name", "kind", "level", "parent", "households", "persons", "estimated", "deviation", "reason"]
    grids = grids[[*columns, "compound_kind", "geometry"]]
    parameters = parameters_of(rule, weight, search, stopped) | {"locked": int((locked != "").sum())}
    summary = summary_of(grids, grid, table, graph, outlook, rule, borders is not None, parameters)
    if table.home is not None:
        summary |= moved(table.home, names[table.row], table.load)
    grids.attrs["parameters"] = placed.attrs["parameters"] = parameters
    return Plan(placed, grids, summary)


def parameters_of(rule: Norms, weight: str, search: Search, stopped: bool) -> dict[str, Any]:
    """What a plan depends on, for its result."""
    return {
        "tolerance": rule.tolerance, "weight": weight, "seed": search.seed, "min_shared_m": MIN_SHARED_M,
        "never_cross": list(rule.never_cross), "weights": asdict(rule.weights), "order": rule.order,
        "stay": search.stay, "profile": rule.profile, "stopped": stopped,
    }  # fmt: skip


def warn_if(stopped: bool) -> None:
    """Say that the search was stopped."""
    if stopped:
        warnings.warn("stopped: this is the best plan so far, a search to the end may be better", GridgisWarning,
                      stacklevel=3)  # fmt: skip


# --- what comes in ----------------------------------------------------------------------------------------------------


def with_bars(rule: Norms, never_cross: Iterable[str]) -> Norms:
    """The rule with more classes that must not be crossed."""
    more = (never_cross,) if isinstance(never_cross, str) else tuple(never_cross)
    return rule._replace(never_cross=tuple(sorted({*rule.never_cross, *more})))


def checked_stay(stay: float, known: bool) -> float:
    """The price of leaving a grid, where that can be used."""
    if isinstance(stay, bool) or not (math.isfinite(stay) and stay >= 0):
        raise PlanError("the price of leaving a grid (stay) cannot be used", found=repr(stay), wanted="0 or more, as 1")
    if stay > 0 and not known:
        raise PlanError("nothing can stay without a previous plan", found=f"stay {stay:g}",
                        wanted="the plan to go on from", remedy="Give --previous.")  # fmt: skip
    return float(stay)


def read_blocks(
    blocks: gpd.GeoDataFrame, rule: Norms, weight: str, borders: gpd.GeoDataFrame | None
) -> tuple[Table, Graph, gpd.GeoDataFrame]:
    """Blocks ordered by code: as columns, as a graph, and their shapes."""
    table = _table(blocks, weight)
    shapes: Shapes = np.asarray(blocks.geometry.array, dtype=object)[table.row]
    ordered = gpd.GeoDataFrame(geometry=shapes, crs=crs_.require_crs(blocks, "blocks"))
    compound = None
    if "compound" in blocks.columns:
        named = codes_as_text(blocks["compound"]).astype(object)
        compound = named.where(named.notna() & (named != ""), None).to_numpy(dtype=object)[table.row]
    return table, block_graph(ordered, table.code, borders, rule.weights, rule.never_cross, compound), ordered


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


def counts_of(blocks: gpd.GeoDataFrame, column: str) -> Floats:
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
    allowed = ~graph.barred
    for grid in sorted(set(pairs["grid"])):
        rows = np.flatnonzero(locked == grid)
        if len(set(table.unit[rows])) > 1:
            raise PlanError("a locked grid lies in two units", source="lock", ids=[grid],
                            found=", ".join(sorted(set(table.unit[rows]))))  # fmt: skip
        inner = (locked[graph.pairs] == grid).all(axis=1)
        if components(len(rows), np.searchsorted(rows, graph.pairs[inner])).max() > 0:
            raise PlanError("a locked grid is not in one piece", source="lock", ids=[grid],
                            remedy="Lock blocks that hang together, or give the parts codes of their own.")  # fmt: skip
        if components(len(rows), np.searchsorted(rows, graph.pairs[inner & allowed])).max() > 0:
            raise PlanError("a locked grid lies across a barrier that must not be crossed", source="lock", ids=[grid],
                            remedy="Lock its sides as two grids, or allow the barrier.")  # fmt: skip
    return locked
