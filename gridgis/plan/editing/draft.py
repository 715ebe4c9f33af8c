"""A plan on the table: blocks and grids that edits (:mod:`gridgis.plan.edit`) change, and how it came to be so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyproj
import shapely

from gridgis import crs as crs_
from gridgis.plan.editing.cutting import Edge
from gridgis.plan.faces.network import Floats, Ints, Shapes
from gridgis.plan.partition import Plan, compactness

#: Class and name of the barrier that an edge lies on.
Barrier = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A block: `row` of the table it comes from, `homes` and `built` (positions of its houses and buildings).

    `responsibility` is the code of the responsibility block that it belongs to, "" where its grid has none.
    """

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
    built: tuple[int, ...] = ()
    responsibility: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """A grid: `row` of the table whose columns it keeps (-1: none); `area_m2` and `compactness` (Polsby-Popper).

    `heaviest` is the largest load of a block of it.
    """

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
    heaviest: int
    row: int = -1


@dataclass(frozen=True, slots=True)
class ResponsibilityBlock:
    """A part of a grid with its own head: some of the grid's blocks. All of a grid's blocks are in one, or none is."""

    code: str
    name: str
    kind: str | None
    grid: str


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A stretch of street of a grid; `row` of the table whose columns it keeps (-1: none)."""

    code: str
    name: str
    kind: str | None
    grid: str
    shape: Any
    row: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class Homes:
    """Houses: places in the plane of the plan, households of each, which of them are estimates, persons, codes."""

    xy: Floats
    households: Ints
    estimated: Ints
    persons: Ints
    code: Shapes


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """What came in, and how it is measured; shared by all drafts of a plan.

    `codes` and `index` (an STRtree) are those of the blocks that came in, by row; whatever becomes of a block stays
    inside its box. `barriers` is what edges lie on; a plan without `borders` has none.
    """

    plan: Plan
    homes: Homes
    built: Floats
    crs: pyproj.CRS
    metric: pyproj.CRS
    scale: Floats
    template: str
    codes: tuple[str, ...]
    index: Any
    grids: Mapping[str, Grid]
    barriers: Mapping[Edge, Barrier]
    borders: bool
    never_cross: frozenset[str]
    responsibility: Any
    segments: Any

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

    `members` are the codes of each grid's blocks; `pieces` the codes of what each row of the table that came in was cut
    into; `drawn` the barriers of edges that edits made; `done` and `undone` the steps that undo and redo go through.
    """

    base: Base
    blocks: Mapping[str, Block]
    grids: Mapping[str, Grid]
    members: Mapping[str, frozenset[str]]
    pieces: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    drawn: Mapping[Edge, Barrier] = field(default_factory=dict)
    responsibility: Mapping[str, ResponsibilityBlock] = field(default_factory=dict)
    segments: Mapping[str, Segment] = field(default_factory=dict)
    done: tuple[Any, ...] = ()
    undone: tuple[Any, ...] = ()


def codes_in(base: Base, bounds: Any, pieces: Mapping[int, tuple[str, ...]]) -> list[str]:
    """Codes of the blocks that may meet a box (xmin, ymin, xmax, ymax), by row: no other does.

    The index of what came in never changes, so it serves every draft, undone or not: a piece lies in its block's box.
    """
    rows = np.sort(base.index.query(shapely.box(*bounds))).tolist()
    return [code for row in rows for code in pieces.get(row, (base.codes[row],))]


def united(blocks: list[Block]) -> Any:
    """The ground of blocks that lie side by side, every vertex kept."""
    merged = shapely.coverage_union_all([b.shape for b in blocks])
    return merged.geoms[0] if merged.geom_type == "MultiPolygon" and len(merged.geoms) == 1 else merged


def ground_of(draft: Draft, responsibility: str) -> Any:
    """The ground of a responsibility block, every vertex of its blocks kept."""
    own = sorted(draft.members[draft.responsibility[responsibility].grid])
    return united([draft.blocks[b] for b in own if draft.blocks[b].responsibility == responsibility])


def loads_of(blocks: list[Block]) -> tuple[int, int, int]:
    """Households, persons and estimated households of blocks."""
    return sum(b.households for b in blocks), sum(b.persons for b in blocks), sum(b.estimated for b in blocks)


def heaviest_of(base: Base, blocks: list[Block]) -> int:
    """The largest load of a block."""
    weight = base.weight
    return max((getattr(b, weight) for b in blocks), default=0)


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
