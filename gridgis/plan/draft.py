"""A plan on the table: blocks and grids that edits (:mod:`gridgis.plan.edit`) change, and how it came to be so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from gridgis import crs as crs_
from gridgis.errors import GeometryError, PlanError, SchemaError
from gridgis.locate import GridLocator
from gridgis.plan.loads import households_of
from gridgis.plan.network import Floats, Ints, Shapes, metres_per_unit
from gridgis.plan.partition import Plan, compactness
from gridgis.plan.polygons import no_polygon
from gridgis.plan.units import unique_codes
from gridgis.schema import codes_as_text, ids_of

#: Code of a new grid, unless the caller says otherwise.
CODE = "{unit}{n:02d}"

#: Why a grid that was edited is off norm.
EDITED = "edited"

_LOADS = ("households", "persons", "estimated", "buildings")
_OF_GRIDS = ("households", "persons", "estimated")
#: What describe wrote of a grid is no longer true once its ground changed.
_STALE = ("bounds_text", "road_share")


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A block: `row` of the table it comes from, `homes` (positions of its houses)."""

    code: str
    unit: str
    grid: str
    shape: Any
    households: int
    persons: int
    estimated: int
    buildings: int
    row: int
    homes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """A grid; `area_m2` and `compactness` (Polsby-Popper) are measured in metres."""

    code: str
    name: str
    kind: str
    unit: str
    locked: bool
    shape: Any
    households: int
    persons: int
    estimated: int
    area_m2: float
    compactness: float
    compound_kind: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Homes:
    """Houses: places in the plane of the plan, households of each, which of them are estimates, codes."""

    xy: Floats
    households: Ints
    estimated: Ints
    code: Shapes


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """What came in, and how it is measured; shared by all drafts of a plan."""

    plan: Plan
    homes: Homes
    crs: pyproj.CRS
    metric: pyproj.CRS
    scale: Floats
    template: str
    grids: Mapping[str, Grid]

    def target(self, kind: str | None) -> float:
        """The load wanted in a grid of this compound kind; nan where the plan does not say."""
        norm = self.plan.summary.get("norm")
        if isinstance(norm, Mapping):
            norm = norm.get(kind or "mixed", norm.get("mixed", next(iter(norm.values()), None)))
        elif isinstance(norm, list | tuple):
            norm = sum(norm) / len(norm)
        return float("nan") if norm is None else float(norm)

    @property
    def weight(self) -> str:
        """What the norm counts."""
        return str(self.plan.summary.get("parameters", {}).get("weight", "households"))

    @property
    def tolerance(self) -> float:
        """How far a grid may be off the norm, as a fraction."""
        return float(self.plan.summary.get("parameters", {}).get("tolerance", 0.25))

    def deviation(self, grid: Grid) -> float:
        """Signed fraction of the norm; nan where there is none."""
        return float(getattr(grid, self.weight) / self.target(grid.compound_kind) - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A plan under edit. Never changed: every edit gives a new one.

    `members` are the codes of each grid's blocks, `done` and `undone` the steps that undo and redo go through.
    """

    base: Base
    blocks: Mapping[str, Block]
    grids: Mapping[str, Grid]
    members: Mapping[str, frozenset[str]]
    done: tuple[Any, ...] = ()
    undone: tuple[Any, ...] = ()


def open_plan(plan: Plan, *, houses: gpd.GeoDataFrame | None = None, code: str = CODE) -> Draft:
    """Lay a plan on the table.

    Parameters
    ----------
    plan : Plan
        As :func:`~gridgis.plan.partition.partition` gives it. Blocks need code, grid, households and perhaps unit,
        persons, estimated, buildings; grids need code and perhaps name, kind, ``locked``. The summary's norm and
        tolerance, where they are there, tell which grids are off.
    houses : GeoDataFrame, optional
        Houses or buildings (``households``, 1 each if not given, perhaps ``estimated``, ``code``): when a block is cut
        its households go where the houses are.
    code : str
        Template for the codes of new grids, with ``unit`` and ``n``.

    Returns
    -------
    Draft

    Raises
    ------
    SchemaError
        Columns are missing, codes are missing or doubled.
    GeometryError
        A block is no valid polygon.
    PlanError
        Blocks without a grid or with an unknown one, grids without a block or in two units, loads that are missing or
        negative, blocks whose borders do not match vertex for vertex.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> from gridgis.plan.partition import partition
    >>> shapes = shapely.box([0, 100, 200, 300], 0, [100, 200, 300, 400], 100)
    >>> table = {"code": ["a", "b", "c", "d"], "unit": "U", "households": [150, 160, 140, 150]}
    >>> draft = open_plan(partition(gpd.GeoDataFrame(table, geometry=shapes, crs=32650), 300))
    >>> {code: sorted(blocks) for code, blocks in draft.members.items()}
    {'U01': ['a', 'b'], 'U02': ['c', 'd']}
    """
    blocks, grids = plan.blocks, plan.grids
    crs = crs_.require_crs(blocks, "blocks")
    metric = crs_.metric_crs(blocks, "blocks")
    scale = metres_per_unit(crs, metric, np.asarray(blocks.total_bounds))
    codes = unique_codes(blocks, "blocks")
    known = unique_codes(grids, "grids")
    shapes = _shapes(blocks)
    grid = _grid_of(blocks, codes, set(known))
    homes, own = _homes(houses, blocks, shapes, crs)
    loads = {name: _whole(blocks, name) for name in _LOADS}
    unit = codes_as_text(blocks["unit"]).fillna("").to_numpy() if "unit" in blocks.columns else np.full(len(codes), "")
    made = {}
    for i, (name, shape) in enumerate(zip(codes, shapes, strict=True)):
        households, persons, estimated, buildings = (int(loads[column][i]) for column in _LOADS)
        made[name] = Block(name, unit[i], grid[i], shape, households, persons, estimated, buildings, i, own.get(i, ()))
    members: dict[str, set[str]] = {name: set() for name in sorted(known)}
    for block in made.values():
        members[block.grid].add(block.code)
    _check_members(members, made)
    base = Base(plan, homes, crs, metric, scale, code, {})
    opened = _grids(base, members, made, known)
    base = Base(plan, homes, crs, metric, scale, code, opened)
    return Draft(base, made, opened, {name: frozenset(own) for name, own in members.items()})


def _shapes(blocks: gpd.GeoDataFrame) -> Shapes:
    shapes: Shapes = shapely.force_2d(np.asarray(blocks.geometry.array, dtype=object))
    bad = no_polygon(shapes)
    if bad.any():
        raise GeometryError("not every block is a valid polygon", source="blocks", ids=ids_of(blocks, bad, "code"))
    faults = shapely.coverage_invalid_edges(shapes)
    loose = ~(shapely.is_missing(faults) | shapely.is_empty(faults))
    if loose.any():
        raise PlanError(
            "borders of blocks do not match vertex for vertex", source="blocks", ids=ids_of(blocks, loose, "code"),
            remedy="gridgis validate shows where, gridgis repair mends it.",
        )  # fmt: skip
    return shapes


def _grid_of(blocks: gpd.GeoDataFrame, codes: Shapes, known: set[str]) -> Shapes:
    if "grid" not in blocks.columns:
        raise SchemaError("the column 'grid' is missing", source="blocks", found=", ".join(map(str, blocks.columns)),
                          remedy="gridgis partition writes it.")  # fmt: skip
    grid = codes_as_text(blocks["grid"])
    none = grid.isna().to_numpy()
    if none.any():
        raise PlanError("blocks are in no grid", source="blocks", ids=codes[none].tolist())
    unknown = ~grid.isin(known).to_numpy()
    if unknown.any():
        raise PlanError("blocks are in grids that do not exist", source="blocks", ids=codes[unknown].tolist(),
                        found=", ".join(sorted(set(grid[unknown]))))  # fmt: skip
    return np.asarray(grid.to_numpy(dtype=object))


def _whole(blocks: gpd.GeoDataFrame, column: str) -> Ints:
    """Counts of blocks; persons that nobody counted are 0 here and stay unknown in what goes out."""
    if column not in blocks.columns:
        return np.zeros(len(blocks), dtype=np.int64)
    values = pd.to_numeric(blocks[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    unknown = np.isnan(values) & (column != "households")
    wrong = ~unknown & (~np.isfinite(values) | (values < 0))
    if wrong.any():
        raise PlanError(f"blocks with {column} that are missing or negative", source="blocks",
                        ids=ids_of(blocks, wrong, "code"), wanted="0 or more")  # fmt: skip
    return np.rint(np.where(unknown, 0, values)).astype(np.int64)


def _homes(
    houses: gpd.GeoDataFrame | None, blocks: gpd.GeoDataFrame, shapes: Shapes, crs: pyproj.CRS
) -> tuple[Homes, dict[int, tuple[int, ...]]]:
    """The houses, and the positions of those in each block."""
    if houses is None or len(houses) == 0:
        nothing = np.zeros(0, dtype=np.int64)
        return Homes(np.empty((0, 2)), nothing, nothing, np.empty(0, dtype=object)), {}
    places = crs_.project(np.asarray(houses.geometry.array, dtype=object), crs_.require_crs(houses, "houses"), crs)
    xy = np.column_stack([f(shapely.point_on_surface(places)) for f in (shapely.get_x, shapely.get_y)])
    count = np.rint(households_of(houses, 1.0)).astype(np.int64)
    guessed = np.zeros(len(houses), dtype=bool)
    if "estimated" in houses.columns:
        guessed = houses["estimated"].fillna(False).to_numpy(dtype=bool)
    named = codes_as_text(houses["code"]) if "code" in houses.columns else pd.Series([None] * len(houses), dtype=object)
    code = np.array([c or str(i + 1) for i, c in enumerate(named)], dtype=object)
    row = GridLocator(blocks.set_geometry(shapes, crs=crs)).locate(xy[:, 0], xy[:, 1])
    order = np.argsort(row, kind="stable")
    own: dict[int, tuple[int, ...]] = {}
    for part in np.split(order, np.flatnonzero(np.diff(row[order])) + 1):
        if row[part[0]] >= 0:
            own[int(row[part[0]])] = tuple(part.tolist())
    return Homes(xy, count, count * guessed, code), own


def _check_members(members: Mapping[str, set[str]], blocks: Mapping[str, Block]) -> None:
    empty = [code for code, own in members.items() if not own]
    if empty:
        raise PlanError("grids have no block", source="grids", ids=empty)
    torn = [code for code, own in members.items() if len({blocks[b].unit for b in own}) > 1]
    if torn:
        raise PlanError("grids lie in two units", source="grids", ids=torn)


def _grids(base: Base, members: Mapping[str, set[str]], blocks: Mapping[str, Block], known: Shapes) -> dict[str, Grid]:
    """The grids that came in; a geometry that lacks vertices of its blocks is made anew."""
    table = base.plan.grids
    row_of = {code: row for row, code in enumerate(known)}
    given = shapely.force_2d(np.asarray(table.geometry.array, dtype=object))
    name, kind = _texts(table, "name"), _texts(table, "kind")
    locked = table["locked"].fillna(False).to_numpy(dtype=bool) if "locked" in table.columns else np.zeros(len(table))
    shapes = []
    for code, own in members.items():
        made = united([blocks[b] for b in sorted(own)])
        shape = given[row_of[code]]
        shapes.append(shape if shape is not None and _corners(shape) == _corners(made) else made)
    area, round_ = measured(base, np.array(shapes, dtype=object))
    out = {}
    for i, (code, own) in enumerate(members.items()):
        row = row_of[code]
        mine = [blocks[b] for b in sorted(own)]
        households, persons, estimated = loads_of(mine)
        out[code] = Grid(
            code, name[row] or code, kind[row] or "residential", mine[0].unit, bool(locked[row]), shapes[i],
            households, persons, estimated, float(area[i]), float(round_[i]), kind_of_grid(base, mine),
        )  # fmt: skip
    return out


def _texts(table: pd.DataFrame, column: str) -> list[str | None]:
    if column not in table.columns:
        return [None] * len(table)
    return [value if isinstance(value, str) else None for value in table[column]]


def _corners(shape: Any) -> set[tuple[float, ...]]:
    return set(map(tuple, shapely.get_coordinates(shape).tolist()))


def united(blocks: list[Block]) -> Any:
    """The ground of blocks that lie side by side, every vertex kept."""
    merged = shapely.coverage_union_all([b.shape for b in blocks])
    return merged.geoms[0] if merged.geom_type == "MultiPolygon" and len(merged.geoms) == 1 else merged


def loads_of(blocks: list[Block]) -> tuple[int, int, int]:
    """Households, persons and estimated households of blocks."""
    return sum(b.households for b in blocks), sum(b.persons for b in blocks), sum(b.estimated for b in blocks)


def measured(base: Base, shapes: Shapes) -> tuple[Floats, Floats]:
    """Area in m² and compactness of shapes of the plan."""
    moved = crs_.project(shapes, base.crs, base.metric)
    return shapely.area(moved), compactness(moved)


def kind_of_grid(base: Base, blocks: list[Block]) -> str | None:
    """The compound kind that most households of the blocks live in; None where that is unknown."""
    table = base.plan.blocks
    if "compound_kind" not in table.columns:
        return None
    column = table["compound_kind"]
    sums: dict[str, int] = {}
    for block in blocks:
        value = column.iat[block.row]
        kind = value if isinstance(value, str) else ""
        sums[kind] = sums.get(kind, 0) + block.households
    return max(sorted(sums), key=lambda k: sums[k]) or None


# --- back to tables ---------------------------------------------------------------------------------------------------


def plan_of(draft: Draft) -> Plan:
    """The draft as a plan.

    Returns
    -------
    Plan
        Blocks in the order in which they came in, pieces where their block stood (with a new index once there are
        pieces). Grids by code, with a column ``locked``; deviation and reason of changed grids are computed anew, and
        what :func:`~gridgis.plan.bounds.describe` wrote of them is emptied. The bound and the share of border on
        roads are not computed.
    """
    blocks, grids = _block_table(draft), _grid_table(draft)
    blocks.attrs, grids.attrs = dict(draft.base.plan.blocks.attrs), dict(draft.base.plan.grids.attrs)
    deviation = grids["deviation"].to_numpy(dtype=float)
    off = np.abs(deviation) > draft.base.tolerance
    known = deviation[~np.isnan(deviation)]
    summary = {
        **draft.base.plan.summary,
        "grids": len(grids),
        "bound_off_norm": None,
        "off_norm": int(off.sum()),
        "max_deviation": round(float(np.abs(known).max()), 6) if len(known) else None,
        "mean_deviation": round(float(np.abs(known).mean()), 6) if len(known) else None,
        "compactness": round(float(np.mean([grid.compactness for grid in draft.grids.values()])), 6),
        "road_share": None,
        "off": [
            {"grid": code, "households": draft.grids[code].households, "reason": reason}
            for code, reason in zip(grids["code"][off], grids["reason"][off], strict=True)
        ],
    }
    return Plan(blocks, grids, summary)


def _block_table(draft: Draft) -> gpd.GeoDataFrame:
    came = draft.base.plan.blocks
    ordered = sorted(draft.blocks.values(), key=lambda b: (b.row, b.code))
    out = came.iloc[[b.row for b in ordered]].copy()
    if len({b.row for b in ordered}) < len(ordered):
        out = out.reset_index(drop=True)
    for column in ("code", "grid"):
        out[column] = pd.Series([getattr(b, column) for b in ordered], index=out.index, dtype=object)
    for column in _LOADS:
        if column in came.columns:
            unknown = out[column].isna().to_numpy()
            values = pd.Series([getattr(b, column) for b in ordered], index=out.index).astype(came[column].dtype)
            out[column] = values.mask(unknown) if unknown.any() else values
    return out.set_geometry(gpd.GeoSeries([b.shape for b in ordered], index=out.index, crs=draft.base.crs))


def _grid_table(draft: Draft) -> gpd.GeoDataFrame:
    base, came = draft.base, draft.base.plan.grids
    codes = sorted(draft.grids)
    grids = [draft.grids[code] for code in codes]
    row = pd.Series(np.arange(len(came)), index=codes_as_text(came["code"]).to_numpy())
    old = pd.DataFrame(came.drop(columns=came.active_geometry_name))
    out = old.reset_index(drop=True).reindex(row.reindex(codes).fillna(-1).astype(int).to_numpy())
    out = out.reset_index(drop=True)
    first = base.grids
    same = np.array([g.code in first and _ground(first[g.code]) == _ground(g) for g in grids])
    text = {"code": codes, "name": [g.name for g in grids], "kind": [g.kind for g in grids],
            "parent": [g.unit or None for g in grids], "compound_kind": [g.compound_kind for g in grids]}  # fmt: skip
    for column, values in text.items():
        out[column] = pd.Series(values, dtype=object)
    level = came["level"].dropna().tolist() if "level" in came.columns else []
    out["level"] = int(level[0]) if level else 3
    for column in _OF_GRIDS:
        out[column] = np.array([getattr(g, column) for g in grids], dtype=np.int64)
    if "persons" in base.plan.blocks.columns and base.plan.blocks["persons"].isna().any():
        out["persons"] = pd.array([pd.NA] * len(out), dtype="Int64")
    _put_deviation(out, base, grids, same)
    for column in _STALE:
        if column in out.columns:
            out[column] = out[column].where(same, None)
    if "compactness" in out.columns:
        out["compactness"] = [g.compactness for g in grids]
    out["locked"] = [g.locked for g in grids]
    return gpd.GeoDataFrame(out, geometry=[g.shape for g in grids], crs=base.crs)


def _ground(grid: Grid) -> tuple[float, int, int]:
    return grid.area_m2, grid.households, grid.persons


def _put_deviation(out: pd.DataFrame, base: Base, grids: list[Grid], same: Any) -> None:
    """Deviation and reason: as they came for grids that are the same, else what the norm says."""
    deviation = np.array([base.deviation(g) for g in grids])
    if "deviation" in out.columns:
        came = pd.to_numeric(out["deviation"]).to_numpy(dtype=float, na_value=np.nan)
        deviation = np.where(same, came, deviation)
    reason = [EDITED if abs(value) > base.tolerance else None for value in deviation]
    if "reason" in out.columns:
        was = [value if isinstance(value, str) else None for value in out["reason"]]
        reason = [old if kept else new for old, kept, new in zip(was, same, reason, strict=True)]
    out["deviation"], out["reason"] = deviation, pd.Series(reason, dtype=object)
