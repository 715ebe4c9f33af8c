"""Boundary, units and barriers (and who lives there) to blocks: the pieces of ground that grids are made of."""

from __future__ import annotations

import heapq
import warnings
from dataclasses import asdict
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from gridgis import crs as crs_
from gridgis.errors import GridgisWarning, PlanError
from gridgis.locate import GridLocator
from gridgis.plan import network
from gridgis.plan.carry import join
from gridgis.plan.estates import inside_estates, read_estates, too_large
from gridgis.plan.graph import CLASS_COST
from gridgis.plan.loads import compound_kinds, count_loads
from gridgis.plan.network import Bools, Floats, Ints, Lines, Shapes
from gridgis.plan.units import ground_units
from gridgis.profile import Norm
from gridgis.schema import BARRIER_CLASSES

#: Units whose edges do not fit together by more than this cannot be cut, m².
_LOST_M2 = 100.0

#: What a person can walk in from, and the metres of it that a block needs for access.
_ROADS = ("main", "secondary", "lane")
_ACCESS_M = 3.0

#: North-to-south bands in which blocks and grids are numbered west to east, metres.
_BAND_M = 200.0


class Blocks(NamedTuple):
    """Blocks and the borders between them (see :func:`make_blocks`)."""

    blocks: gpd.GeoDataFrame
    borders: gpd.GeoDataFrame


def make_blocks(
    boundary: gpd.GeoDataFrame,
    barriers: gpd.GeoDataFrame,
    *,
    units: gpd.GeoDataFrame | None = None,
    houses: gpd.GeoDataFrame | None = None,
    buildings: gpd.GeoDataFrame | None = None,
    compounds: gpd.GeoDataFrame | None = None,
    persons: pd.DataFrame | None = None,
    snap_m: float = 5.0,
    min_block_m2: float = 2000.0,
    min_width_m: float = 20.0,
    need_access: bool = True,
    norm: Norm | None = None,
) -> Blocks:
    """Cut the ground along barriers into blocks that tile every unit exactly, and count who lives in each.

    Parameters
    ----------
    boundary : GeoDataFrame
        Polygons, of several rows or parts, with or without holes. Its CRS is that of the result; its vertices
        come back bit for bit.
    barriers : GeoDataFrame
        Lines with ``class`` (one of schema.BARRIER_CLASSES) and perhaps ``name``.
    units : GeoDataFrame, optional
        Polygons with ``code`` that tile the boundary; by default each row of the boundary is a unit.
    houses, buildings, persons : optional
        Households are summed from the houses (points; 1 each if not given), or from the buildings where there are
        no houses; persons are those whose ``house`` is the code of one of the houses. A bool column ``estimated``
        in houses or buildings says which households are estimates.
    compounds : GeoDataFrame, optional
        Housing estates: lanes and walls inside do not cut (see `norm`); ``kind`` becomes the compound kind of blocks
        that lie for the most part in compounds of that kind.
    snap_m : float
        Barrier ends that fall short by up to this many metres are carried to the next line.
    min_block_m2, min_width_m : float
        Faces of less area (m²), or narrower than this (metres; twice the area over the perimeter: the strip between
        two carriageways), are merged into the neighbour in the unit with the longest border on the weakest barrier.
    need_access : bool
        Faces without access are merged in the same way: neither along their rim nor inside is there road of 3 m or
        more (main, secondary or lane; a dead end counts). Not judged in a unit where no face has any.
    norm : Norm, optional
        Lanes and walls cut all the same inside compounds with more households (where the norm is of persons alone,
        more persons) than the norm of their kind and its tolerance. Without it every compound stays whole.

    Returns
    -------
    Blocks
        ``blocks``: code (unit code and a running number, north to south), unit, households, persons, buildings,
        compound_kind, estimated (how many of the households are estimates), geometry. Neighbours share their
        border vertex for vertex. ``borders``: left, right (None at the outline), class (None where no barrier),
        name, length_m, geometry; one row for each pair of blocks, class and name.
        ``attrs["parameters"]`` of both holds the thresholds.

    Raises
    ------
    InputError
        A CRS, a class or all lines are missing.
    GeometryError
        A boundary or unit that is no valid polygon.
    PlanError
        Units that overlap each other, leave the boundary, or leave part of it free, by more than 1 m² in one place.

    Warns
    -----
    GridgisWarning
        No barrier meets the boundary; households or persons that are in no block, with their count.

    Notes
    -----
    Lines are noded in the plane of the boundary's CRS by GEOS (OverlayNG) and polygonized. A crossing on an outline
    is rounded to a floating point number, so that an edge of 1 km is bent there by less than 1e-6 m². Not promised:
    that two carriageways become one line.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> place = gpd.GeoDataFrame({"code": ["U"]}, geometry=[shapely.box(0, 0, 200, 100)], crs=32650)
    >>> street = gpd.GeoDataFrame(
    ...     {"class": ["main"], "name": ["成府路"]}, geometry=[shapely.LineString([(80, -9), (80, 98)])], crs=32650
    ... )
    >>> cut = make_blocks(place, street)
    >>> cut.blocks[["code", "households"]].values.tolist(), cut.blocks.area.tolist()
    ([['U-0001', 0], ['U-0002', 0]], [8000.0, 12000.0])
    >>> cut.borders.loc[cut.borders["right"].notna(), ["left", "right", "class", "name"]].values.tolist()
    [['U-0001', 'U-0002', 'main', '成府路']]
    """
    crs = crs_.require_crs(boundary, "boundary")
    metric = crs_.metric_crs(boundary, "boundary")
    scale = network.metres_per_unit(crs, metric, np.asarray(boundary.total_bounds))
    ground = ground_units(boundary, units, crs, scale)
    lines = network.barrier_lines(barriers, crs)
    lines = _near(lines, ground, scale, snap_m)
    estates = read_estates(compounds, crs)
    edges, lines = join(ground.geometry.to_numpy(), lines, scale, snap_m)
    cutting = edges
    if estates is not None:
        whole = estates if norm is None else estates[~too_large(estates, norm, houses, buildings, persons)]
        cutting = edges[~inside_estates(edges, lines, whole, scale)]
    faces = _faces_in_units(cutting, ground, lines, scale)
    closed = _without_access(faces, edges, lines, scale) if need_access else np.zeros(len(faces.unit), dtype=bool)
    shapes, unit, rims = _merge(faces, lines, (crs, metric), closed, min_block_m2, min_width_m)
    blocks, order = _numbered(shapes, unit, ground, metric)
    borders = _borders(rims, order, blocks["code"].to_numpy(), lines, crs)
    blocks = count_loads(blocks, houses, buildings, persons)
    blocks["compound_kind"] = pd.Series(compound_kinds(blocks, estates, metric), dtype=object)
    columns = ["code", "unit", "households", "persons", "buildings", "compound_kind", "estimated", "geometry"]
    blocks = blocks[columns]
    parameters = {
        "snap_m": snap_m, "min_block_m2": min_block_m2, "min_width_m": min_width_m, "need_access": need_access,
        "norm": None if norm is None else asdict(norm),
    }  # fmt: skip
    blocks.attrs["parameters"] = borders.attrs["parameters"] = parameters
    return Blocks(blocks, borders)


# --- ground and lines -------------------------------------------------------------------------------------------------


def _near(lines: Lines, ground: gpd.GeoDataFrame, scale: Floats, snap_m: float) -> Lines:
    """The lines within `snap_m` of the ground."""
    tree = shapely.STRtree(network.flatten(lines.shapes, scale))
    areas = network.flatten(ground.geometry.to_numpy(), scale)
    rows = np.unique(tree.query(areas, predicate="dwithin", distance=snap_m)[1])
    if len(rows) == 0:
        warnings.warn(
            f"none of the {len(lines.shapes)} barrier lines meets the boundary; each unit is one block "
            "(is it the right CRS and datum?)",
            GridgisWarning,
            stacklevel=3,
        )
    return network.take(lines, rows)


class _Faces(NamedTuple):
    """What the lines cut: polygons, the row of the unit of each, their rims, and the line each rim lies on (-1)."""

    pieces: Shapes
    unit: Ints
    rims: network.Segments
    on: Ints


def _faces_in_units(edges: Shapes, ground: gpd.GeoDataFrame, lines: Lines, scale: Floats) -> _Faces:
    """The faces of the edges that lie in a unit."""
    pieces = network.faces(edges)
    inner = shapely.get_coordinates(shapely.point_on_surface(pieces))
    unit = GridLocator(ground).locate(inner[:, 0], inner[:, 1])
    pieces, unit = pieces[unit >= 0], unit[unit >= 0]
    area = np.bincount(unit, shapely.area(pieces), len(ground)) - shapely.area(ground.geometry.to_numpy())
    lost = np.abs(area) * scale.prod() > _LOST_M2
    if lost.any():
        raise PlanError(
            "units cannot be cut without losing ground", source="units", ids=ground["code"][lost].tolist(),
            found=f"{np.abs(area[lost]).sum() * scale.prod():,.1f} m² lost",
            remedy="gridgis validate shows where they do not fit together.",
        )  # fmt: skip
    rims = network.rim_segments(pieces)
    return _Faces(pieces, unit, rims, network.lying_on(rims.ends.mean(axis=1) * scale, lines, scale))


# --- faces that are no blocks -----------------------------------------------------------------------------------------


def _without_access(faces: _Faces, edges: Shapes, lines: Lines, scale: Floats) -> Bools:
    """Faces that no road leads along or into, in units where some face has one."""
    is_road = np.append(np.isin(lines.rank, [BARRIER_CLASSES.index(c) for c in _ROADS]), False)
    roads = network.take(lines, np.flatnonzero(is_road))
    metres = np.zeros(len(faces.unit))
    along = is_road[faces.on]
    stronger = np.flatnonzero(~along & (faces.on >= 0))  # a lane beside a river on the same line
    along[stronger] = network.lying_on(faces.rims.ends[stronger].mean(axis=1) * scale, roads, scale) >= 0
    length = np.hypot(*((faces.rims.ends[:, 1] - faces.rims.ends[:, 0]) * scale).T)
    np.add.at(metres, faces.rims.left[along], length[along])
    along &= faces.rims.right >= 0
    np.add.at(metres, faces.rims.right[along], length[along])
    rest = np.flatnonzero(metres < _ACCESS_M)
    middles = network.middles(edges, scale)
    edge, face = shapely.STRtree(faces.pieces[rest]).query(shapely.points(middles / scale), predicate="within")
    into = network.lying_on(middles[edge], roads, scale) >= 0
    np.add.at(metres, rest[face[into]], shapely.length(network.flatten(edges[edge[into]], scale)))
    reached = metres >= _ACCESS_M
    result: Bools = ~reached & np.isin(faces.unit, faces.unit[reached])
    return result


class Rims(NamedTuple):
    """Segments between blocks: ends, block on either side (-1: outline), row of the barrier line (-1), metres."""

    ends: Floats
    left: Ints
    right: Ints
    line: Ints
    length_m: Floats


def _merge(
    faces: _Faces,
    lines: Lines,
    planes: tuple[pyproj.CRS, pyproj.CRS],
    closed: Bools,
    min_block_m2: float,
    min_width_m: float,
) -> tuple[Shapes, Ints, Rims]:
    """Faces with the small, narrow and `closed` ones folded into a neighbour; and what is left of their rims."""
    pieces, unit, rims, on = faces
    length = shapely.length(crs_.project(shapely.linestrings(rims.ends), *planes))
    metric = crs_.project(pieces, *planes)
    inner = rims.right >= 0
    inner[inner] = unit[rims.left[inner]] == unit[rims.right[inner]]
    pair = np.stack([rims.left[inner], rims.right[inner]], axis=1)
    pairs, of = np.unique(pair, axis=0, return_inverse=True)
    metres: Floats = np.bincount(of.ravel(), length[inner], len(pairs)).astype(float)
    costs: Floats = np.bincount(of.ravel(), (length * _costs(lines, on))[inner], len(pairs)).astype(float)
    sizes = shapely.area(metric), shapely.length(metric)
    label = _fold(*sizes, closed, pairs, metres, costs, min_block_m2, min_width_m)
    first, block = np.unique(label, return_index=True, return_inverse=True)[1:]
    groups = np.split(np.argsort(block, kind="stable"), np.cumsum(np.bincount(block))[:-1])
    shapes = np.array([pieces[g[0]] if len(g) == 1 else _union(pieces[g]) for g in groups], dtype=object)
    left = block[rims.left]
    right = np.where(rims.right >= 0, block[rims.right], -1)
    kept = left != right
    return shapes, unit[first], Rims(rims.ends[kept], left[kept], right[kept], on[kept], length[kept])


def _union(faces: Shapes) -> Any:
    """Faces that share their edges as one polygon, no vertex moved or lost."""
    merged = shapely.coverage_union_all(faces)
    return merged.geoms[0] if merged.geom_type == "MultiPolygon" and len(merged.geoms) == 1 else merged


def _costs(lines: Lines, row: Ints) -> Floats:
    """CLASS_COST of the barrier lines named by row (-1: on no barrier)."""
    rank = np.append(lines.rank, len(BARRIER_CLASSES))[row]
    costs: Floats = np.array([CLASS_COST[c] for c in (*BARRIER_CLASSES, None)])[rank]
    return costs


def _fold(
    area: Floats,
    perimeter: Floats,
    without: Bools,
    pairs: Ints,
    metres: Floats,
    costs: Floats,
    min_m2: float,
    min_width: float,
) -> Ints:
    """Label of each face after folding, smallest first, each too small, narrow or `without` into its best neighbour."""
    label = np.arange(len(area))
    sizes, rounds, closed = area.tolist(), perimeter.tolist(), without.tolist()
    beside: list[dict[int, tuple[float, float]]] = [{} for _ in sizes]
    for (a, b), length, cost in zip(pairs.tolist(), metres.tolist(), costs.tolist(), strict=True):
        beside[a][b] = beside[b][a] = (cost, length)

    def small(face: int) -> bool:
        return bool(closed[face] or sizes[face] < min_m2 or 2 * sizes[face] < min_width * rounds[face])

    queue = [(sizes[f], f) for f in range(len(sizes)) if small(f)]
    heapq.heapify(queue)
    while queue:
        size, face = heapq.heappop(queue)
        if size != sizes[face] or not beside[face]:  # folded or grown since, or alone in its unit
            continue
        goal = max(beside[face], key=lambda other: (beside[face][other][0], -other))
        rounds[goal] += rounds[face] - 2 * beside[face][goal][1]
        sizes[goal] += sizes[face]
        closed[goal] = closed[goal] and closed[face]
        for other, (cost, length) in beside[face].items():
            del beside[other][face]
            if other != goal:
                known = beside[goal].get(other, (0.0, 0.0))
                beside[goal][other] = beside[other][goal] = (known[0] + cost, known[1] + length)
        beside[face], sizes[face] = {}, -1.0
        label[face] = goal
        if small(goal):
            heapq.heappush(queue, (sizes[goal], goal))
    while (label != label[label]).any():
        label = label[label]
    return label


# --- codes, borders, loads --------------------------------------------------------------------------------------------


def reading_order(shapes: Shapes) -> Ints:
    """The order of areas (in metres) as text is read: bands from north to south, west to east in each."""
    middle = shapely.get_coordinates(shapely.centroid(shapes))
    band = np.floor((middle[:, 1].max() - middle[:, 1]) / _BAND_M)
    return np.lexsort((-middle[:, 1], middle[:, 0], band)).astype(np.int64)


def _numbered(
    shapes: Shapes, unit: Ints, ground: gpd.GeoDataFrame, metric: pyproj.CRS
) -> tuple[gpd.GeoDataFrame, Ints]:
    """Blocks with code and unit, by code; and the rows of `shapes` in that order."""
    moved = crs_.project(shapes, ground.crs, metric)
    rows, codes = [], []
    for number, name in enumerate(ground["code"]):
        own = np.flatnonzero(unit == number)
        if len(own) == 0:
            continue
        own = own[reading_order(moved[own])]
        width = max(4, len(str(len(own))))
        rows.append(own)
        codes += [f"{name}-{n:0{width}d}" for n in range(1, len(own) + 1)]
    order = np.concatenate(rows)
    columns = {"code": codes, "unit": ground["code"].to_numpy()[unit[order]]}
    table = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    return gpd.GeoDataFrame(table, geometry=shapes[order], crs=ground.crs), order


def _borders(rims: Rims, order: Ints, codes: Shapes, lines: Lines, crs: pyproj.CRS) -> gpd.GeoDataFrame:
    """One row for each pair of blocks, class and name; left is the lower code."""
    place = np.empty(len(order) + 1, dtype=np.int64)
    place[order], place[-1] = np.arange(len(order)), len(order)
    one, other = place[rims.left], place[rims.right]
    left, right = np.minimum(one, other), np.maximum(one, other)
    rank = np.append(lines.rank, len(BARRIER_CLASSES))[rims.line]
    title, name = np.unique([*(n or "" for n in lines.name), ""], return_inverse=True)
    key, of = np.unique(np.column_stack([left, right, rank, name[rims.line]]), axis=0, return_inverse=True)
    groups = np.split(np.argsort(of.ravel(), kind="stable"), np.cumsum(np.bincount(of.ravel()))[:-1])
    merged = shapely.line_merge([shapely.multilinestrings(shapely.linestrings(rims.ends[rows])) for rows in groups])
    known = np.array([*codes, None], dtype=object)
    columns = {
        "left": known[key[:, 0]],
        "right": known[key[:, 1]],
        "class": np.array([*BARRIER_CLASSES, None], dtype=object)[key[:, 2]],
        "name": [str(t) or None for t in title[key[:, 3]]],
    }
    table = pd.DataFrame({label: pd.Series(values, dtype=object) for label, values in columns.items()})
    table["length_m"] = np.bincount(of.ravel(), rims.length_m, len(key))
    return gpd.GeoDataFrame(table, geometry=shapely.normalize(merged), crs=crs)
