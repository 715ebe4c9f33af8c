"""Tables to a draft: a plan laid on the table, checked once, so that edits can trust it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from gridgis import crs as crs_
from gridgis.errors import GeometryError, PlanError, SchemaError
from gridgis.locate import GridLocator
from gridgis.plan.checking.polygons import no_polygon
from gridgis.plan.editing.cutting import Edge, edge_of
from gridgis.plan.editing.draft import (
    Barrier,
    Base,
    Block,
    Draft,
    Grid,
    Homes,
    ResponsibilityBlock,
    Segment,
    heaviest_of,
    kind_of_grid,
    loads_of,
    measured,
    united,
)
from gridgis.plan.faces.network import Floats, Ints, Shapes, metres_per_unit, rim_segments, segments_of
from gridgis.plan.loads import households_of
from gridgis.plan.partition import Plan
from gridgis.plan.units import unique_codes
from gridgis.schema import BARRIER_CLASSES, codes_as_text, ids_of

#: Code of a new grid, unless the caller says otherwise.
CODE = "{unit}{n:02d}"

_LOADS = ("households", "persons", "estimated", "buildings")

#: A block is in the responsibility block that has more than this share of its ground, and none of it lies in two.
_WHOLE = 1 - 1e-6


def open_plan(
    plan: Plan,
    *,
    houses: gpd.GeoDataFrame | None = None,
    buildings: gpd.GeoDataFrame | None = None,
    persons: pd.DataFrame | None = None,
    borders: gpd.GeoDataFrame | None = None,
    never_cross: Iterable[str] = (),
    responsibility_blocks: gpd.GeoDataFrame | None = None,
    segments: gpd.GeoDataFrame | None = None,
    code: str = CODE,
) -> Draft:
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
    buildings : GeoDataFrame, optional
        The buildings that blocks count: on a cut they go where they lie.
    persons : DataFrame, optional
        Persons with ``house``, the code of one of `houses`: on a cut they go with their house.
    borders : GeoDataFrame, optional
        The borders of :func:`~gridgis.plan.blocks.make_blocks`: class and name of the barrier by geometry. Pieces of
        blocks inherit them.
    never_cross : iterable of str
        Classes of barriers (schema.BARRIER_CLASSES): an edit that would leave a grid hanging together only across one
        of these is refused. Needs `borders`.
    responsibility_blocks : GeoDataFrame, optional
        code, grid and perhaps name, kind; polygons of whole blocks that tile the grids that have any.
    segments : GeoDataFrame, optional
        code, grid and perhaps name, kind; lines.
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
        A block is no valid polygon, a segment no line.
    PlanError
        Blocks without a grid or with an unknown one, grids without a block or in two units, loads that are missing or
        negative, blocks whose borders do not match vertex for vertex, borders that are not those of the blocks,
        responsibility blocks that are not made of whole blocks or do not tile their grid.

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
    codes, known = unique_codes(blocks, "blocks"), unique_codes(grids, "grids")
    shapes = _shapes(blocks)
    locator = GridLocator(blocks.set_geometry(shapes, crs=crs))
    homes, home_rows = _homes(houses, persons, locator, crs)
    built, built_rows = _places(buildings, "buildings", locator, crs)
    made = _blocks(blocks, codes, shapes, _grid_of(blocks, codes, set(known)), home_rows, built_rows)
    members: dict[str, set[str]] = {name: set() for name in sorted(known)}
    for block in made.values():
        members[block.grid].add(block.code)
    _check_members(members, made)
    scale = metres_per_unit(crs, metric, np.asarray(blocks.total_bounds))
    base = Base(
        plan, homes, built, crs, metric, scale, code, tuple(codes.tolist()), shapely.STRtree(shapes), {},
        _barriers(borders, shapes, crs), borders is not None, _classes(never_cross, borders),
        responsibility_blocks, segments,
    )  # fmt: skip
    opened = _grids(base, members, made, known)
    base = replace(base, grids=opened)
    parts = _responsibility(responsibility_blocks, base, made, members)
    streets = _segments(segments, base, set(members))
    own = {name: frozenset(codes_) for name, codes_ in members.items()}
    return Draft(base, made, opened, own, responsibility=parts, segments=streets)


# --- blocks and who lives there ---------------------------------------------------------------------------------------


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


def _blocks(
    blocks: gpd.GeoDataFrame,
    codes: Shapes,
    shapes: Shapes,
    grid: Shapes,
    homes: Mapping[int, tuple[int, ...]],
    built: Mapping[int, tuple[int, ...]],
) -> dict[str, Block]:
    loads = {name: _whole(blocks, name).tolist() for name in _LOADS}
    unit = codes_as_text(blocks["unit"]).fillna("").to_numpy() if "unit" in blocks.columns else np.full(len(codes), "")
    made = {}
    for i, (name, shape) in enumerate(zip(codes.tolist(), shapes, strict=True)):
        households, persons, estimated, buildings = (loads[column][i] for column in _LOADS)
        made[name] = Block(name, unit[i], grid[i], shape, households, persons, estimated, buildings, i,
                           homes.get(i, ()), built.get(i, ()))  # fmt: skip
    return made


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


def _places(
    table: gpd.GeoDataFrame | None, source: str, locator: GridLocator, crs: pyproj.CRS
) -> tuple[Floats, dict[int, tuple[int, ...]]]:
    """Where things lie, in the plane of the plan, and the positions of those in each block."""
    if table is None or len(table) == 0:
        return np.empty((0, 2)), {}
    places = crs_.project(np.asarray(table.geometry.array, dtype=object), crs_.require_crs(table, source), crs)
    xy = np.column_stack([f(shapely.point_on_surface(places)) for f in (shapely.get_x, shapely.get_y)])
    row = locator.locate(xy[:, 0], xy[:, 1])
    order = np.argsort(row, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(row[order])) + 1)
    return xy, {int(row[part[0]]): tuple(part.tolist()) for part in parts if row[part[0]] >= 0}


def _homes(
    houses: gpd.GeoDataFrame | None, persons: pd.DataFrame | None, locator: GridLocator, crs: pyproj.CRS
) -> tuple[Homes, dict[int, tuple[int, ...]]]:
    """The houses, and the positions of those in each block."""
    xy, rows = _places(houses, "houses", locator, crs)
    if houses is None or len(houses) == 0:
        if persons is not None and len(persons):
            raise PlanError("persons are counted by their house", source="persons", found="no houses",
                            remedy="Give the houses too.")  # fmt: skip
        nothing = np.zeros(0, dtype=np.int64)
        return Homes(xy, nothing, nothing, nothing, np.empty(0, dtype=object)), rows
    count = np.rint(households_of(houses, 1.0)).astype(np.int64)
    guessed = np.zeros(len(houses), dtype=bool)
    if "estimated" in houses.columns:
        guessed = houses["estimated"].fillna(False).to_numpy(dtype=bool)
    named = codes_as_text(houses["code"]) if "code" in houses.columns else pd.Series([None] * len(houses), dtype=object)
    code = np.array([c or str(i + 1) for i, c in enumerate(named)], dtype=object)
    return Homes(xy, count, count * guessed, _living(persons, houses), code), rows


def _living(persons: pd.DataFrame | None, houses: gpd.GeoDataFrame) -> Ints:
    """Persons of each house; those whose house is not known are in no house."""
    if persons is None:
        return np.zeros(len(houses), dtype=np.int64)
    if "house" not in persons.columns:
        raise SchemaError("persons are counted by their house", source="persons", wanted="a column 'house'",
                          found=", ".join(map(str, persons.columns)))  # fmt: skip
    place = pd.Series(np.arange(len(houses)), index=unique_codes(houses, "houses"))
    row = codes_as_text(persons["house"]).map(place).dropna().to_numpy(dtype=np.int64)
    return np.bincount(row, minlength=len(houses)).astype(np.int64)


# --- grids ------------------------------------------------------------------------------------------------------------


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
            heaviest_of(base, mine), row,
        )  # fmt: skip
    return out


def _texts(table: pd.DataFrame, column: str) -> list[str | None]:
    if column not in table.columns:
        return [None] * len(table)
    texts: list[str | None] = codes_as_text(table[column]).tolist()
    return texts


def _corners(shape: Any) -> set[tuple[float, ...]]:
    return set(map(tuple, shapely.get_coordinates(shape).tolist()))


# --- barriers ---------------------------------------------------------------------------------------------------------


def _classes(never_cross: Iterable[str], borders: gpd.GeoDataFrame | None) -> frozenset[str]:
    classes = frozenset([never_cross] if isinstance(never_cross, str) else never_cross)
    unknown = sorted(classes.difference(BARRIER_CLASSES))
    if unknown:
        raise PlanError("barriers of an unknown class", source="never_cross", ids=unknown,
                        wanted=", ".join(BARRIER_CLASSES))  # fmt: skip
    if classes and borders is None:
        raise PlanError("which barriers must not be crossed is known from the borders of blocks",
                        source="never_cross", found="no borders",
                        remedy="Give the borders of gridgis blocks.")  # fmt: skip
    return classes


def _barriers(borders: gpd.GeoDataFrame | None, shapes: Shapes, crs: pyproj.CRS) -> dict[Edge, Barrier]:
    """What the edges of blocks lie on, by geometry."""
    if borders is None:
        return {}
    missing = [c for c in ("left", "right", "class") if c not in borders.columns]
    if missing:
        raise SchemaError("borders lack columns", source="borders", found=", ".join(map(str, borders.columns)),
                          wanted=", ".join(missing))  # fmt: skip
    own = crs_.require_crs(borders, "borders")
    lines = crs_.project(shapely.force_2d(np.asarray(borders.geometry.array, dtype=object)), own, crs)
    classes, names = _texts(borders, "class"), _texts(borders, "name")
    known = [i for i, text in enumerate(classes) if text]
    parts, row = shapely.get_parts(lines[known], return_index=True)
    ends, part = segments_of(parts)
    found: dict[Edge, Barrier] = {}
    of: dict[Edge, int] = {}
    for (a, b), number in zip(ends.tolist(), row[part].tolist(), strict=True):
        edge = edge_of((a[0] + 0.0, a[1] + 0.0), (b[0] + 0.0, b[1] + 0.0))
        found[edge] = (classes[known[number]], names[known[number]])
        of[edge] = known[number]
    rims = {edge_of(tuple(a), tuple(b)) for a, b in (rim_segments(shapes).ends + 0.0).tolist()}
    strange = sorted({of[edge] for edge in found.keys() - rims})
    if strange:
        sides = zip(codes_as_text(borders["left"]), codes_as_text(borders["right"]), strict=True)
        pairs = [f"{a} with {b}" if b else f"{a} at the outline" for a, b in sides]
        raise PlanError("borders do not run along the rims of blocks", source="borders",
                        ids=[pairs[i] for i in strange],
                        remedy="Take blocks and borders from the same run.")  # fmt: skip
    return found


# --- responsibility blocks and segments -------------------------------------------------------------------------------


def _responsibility(
    table: gpd.GeoDataFrame | None, base: Base, blocks: dict[str, Block], members: Mapping[str, set[str]]
) -> dict[str, ResponsibilityBlock]:
    """The responsibility blocks that came in; each of `blocks` in them is put in place anew."""
    if table is None or len(table) == 0:
        return {}
    source = "responsibility blocks"
    codes, grid = unique_codes(table, source), _grids_of(table, source, members)
    areas = crs_.project(
        shapely.force_2d(np.asarray(table.geometry.array, dtype=object)), crs_.require_crs(table, source), base.crs
    )
    bad = no_polygon(areas)
    if bad.any():
        raise GeometryError("not every row is a valid polygon", source=source, ids=codes[bad].tolist())
    order = list(blocks)
    shapes = np.array([blocks[c].shape for c in order], dtype=object)
    part, row = shapely.STRtree(shapes).query(areas, predicate="intersects")
    share = shapely.area(shapely.intersection(areas[part], shapes[row])) / shapely.area(shapes[row])
    broken = sorted({codes[p] for p, s in zip(part, share, strict=True) if 1 - _WHOLE < s < _WHOLE})
    if broken:
        raise PlanError("responsibility blocks are not made of whole blocks", source=source, ids=broken,
                        remedy="Cut the blocks along them first (split_block), or leave them out.")  # fmt: skip
    for p, r in sorted(zip(part[share >= _WHOLE].tolist(), row[share >= _WHOLE].tolist(), strict=True)):
        block = blocks[order[r]]
        if block.responsibility or block.grid != grid[p]:
            raise PlanError("responsibility blocks overlap, or leave their grid", source=source, ids=[codes[p]],
                            found=f"block {block.code} of the grid {block.grid}")  # fmt: skip
        blocks[block.code] = replace(block, responsibility=codes[p])
    bare = [c for g in sorted(set(grid)) for c in sorted(members[g]) if not blocks[c].responsibility]
    if bare:
        raise PlanError("responsibility blocks do not tile their grid", source=source, ids=bare,
                        found="blocks in none", wanted="every block of the grid in one")  # fmt: skip
    names, kinds = _texts(table, "name"), _texts(table, "kind")
    return {c: ResponsibilityBlock(c, names[i] or c, kinds[i], grid[i]) for i, c in enumerate(codes.tolist())}


def _segments(table: gpd.GeoDataFrame | None, base: Base, known: set[str]) -> dict[str, Segment]:
    if table is None or len(table) == 0:
        return {}
    codes, grid = unique_codes(table, "segments"), _grids_of(table, "segments", known)
    lines = crs_.project(
        shapely.force_2d(np.asarray(table.geometry.array, dtype=object)), crs_.require_crs(table, "segments"), base.crs
    )
    lines = np.array([shapely.line_merge(s) if s is not None and s.geom_type == "MultiLineString" else s
                      for s in lines], dtype=object)  # fmt: skip
    bad = np.array([s is None or s.is_empty or s.geom_type != "LineString" for s in lines])
    if bad.any():
        raise GeometryError("not every segment is one line", source="segments", ids=codes[bad].tolist())
    names, kinds = _texts(table, "name"), _texts(table, "kind")
    return {c: Segment(c, names[i] or c, kinds[i], grid[i], lines[i], i) for i, c in enumerate(codes.tolist())}


def _grids_of(table: gpd.GeoDataFrame, source: str, known: Iterable[str]) -> list[str]:
    if "grid" not in table.columns:
        raise SchemaError("the column 'grid' is missing", source=source, found=", ".join(map(str, table.columns)))
    grid = codes_as_text(table["grid"])
    wrong = ~grid.isin(list(known)).to_numpy()
    if wrong.any():
        raise PlanError("rows are in grids that do not exist", source=source, ids=ids_of(table, wrong, "code"),
                        found=", ".join(sorted({str(g) for g in grid[wrong]})))  # fmt: skip
    return [str(g) for g in grid]
