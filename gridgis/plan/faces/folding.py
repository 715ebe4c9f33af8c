"""Faces that lines cut, and which of them are no blocks of their own: small, narrow, shut in, between carriageways.

Each of these is folded into the neighbour in its unit with the longest border on the weakest barrier.
"""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pyproj
import shapely

from gridgis import crs as crs_
from gridgis.errors import PlanError
from gridgis.locate import GridLocator
from gridgis.plan.faces import network
from gridgis.plan.faces.graph import CLASS_COST
from gridgis.plan.faces.network import Bools, Floats, Ints, Lines, Shapes
from gridgis.schema import BARRIER_CLASSES

#: Units whose edges do not fit together by more than this cannot be cut, m².
_LOST_M2 = 100.0

#: What a person can walk in from, and the metres of it that a block needs for access.
_ROADS = ("main", "secondary", "lane")
_ACCESS_M = 3.0

#: What can have two carriageways, and the share of an island's rim that they make up.
_CARRIAGEWAYS = ("expressway", "main", "secondary")
_ISLAND_SHARE = 0.75

#: The share of a court's rim on lanes without a name, walls and no barrier.
_COURT_SHARE = 0.5

#: Ground is folded into water, and water into ground, only where there is no other neighbour: a shore counts so much.
_SHORE = 0.001


class Faces(NamedTuple):
    """What the lines cut: polygons, the row of the unit of each, their rims, and the line each rim lies on (-1)."""

    pieces: Shapes
    unit: Ints
    rims: network.Segments
    on: Ints


class Limits(NamedTuple):
    """Below what a face is no block: m², metres of mean width, of an island between carriageways; m² of a court."""

    min_block_m2: float
    min_width_m: float
    island_width_m: float
    min_court_m2: float
    need_access: bool


class Rims(NamedTuple):
    """Segments between blocks: ends, block on either side (-1: outline), row of the barrier line (-1), metres."""

    ends: Floats
    left: Ints
    right: Ints
    line: Ints
    length_m: Floats


class _Borders(NamedTuple):
    """Neighbouring faces of one unit (the lower row first), metres of their border, and these weighted by weakness."""

    pairs: Ints
    metres: Floats
    costs: Floats


def faces_in_units(edges: Shapes, ground: gpd.GeoDataFrame, lines: Lines, scale: Floats) -> Faces:
    """The faces of the edges that lie in a unit.

    Raises
    ------
    PlanError
        Units that cannot be cut without losing ground.
    """
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
    return Faces(pieces, unit, rims, network.lying_on(rims.ends.mean(axis=1) * scale, lines, scale))


def fold_faces(
    faces: Faces,
    edges: Shapes,
    lines: Lines,
    planes: tuple[pyproj.CRS, pyproj.CRS],
    scale: Floats,
    limits: Limits,
    *,
    wet: Bools,
    empty: Bools,
) -> tuple[Shapes, Ints, Rims]:
    """Blocks out of faces: their polygons, the row of the unit of each, and what is left of the rims.

    Parameters
    ----------
    faces : Faces
    edges : ndarray of LineString
        All noded edges, those that do not cut too: a road into a face is access.
    lines : Lines
    planes : (CRS, CRS)
        That of the coordinates, and the metric one.
    scale : ndarray, shape (2,)
        Metres per unit of x and y.
    limits : Limits
    wet, empty : ndarray of bool
        Faces that are water, which need no access; and those where nobody lives, which may be courts.
    """
    length = shapely.length(crs_.project(shapely.linestrings(faces.rims.ends), *planes))
    metric = crs_.project(faces.pieces, *planes)
    area, perimeter = shapely.area(metric), shapely.length(metric)
    borders = _borders(faces, length, lines, wet)
    unwanted = _islands(faces, length, lines) & (2 * area <= limits.island_width_m * perimeter)
    unwanted |= _courts(faces, length, lines) & (area < limits.min_court_m2) & empty
    if limits.need_access:
        unwanted |= _without_access(faces, edges, lines, scale)
    label = _fold(area, perimeter, unwanted & ~wet, borders, limits.min_block_m2, limits.min_width_m)
    return _merged(faces, label, length)


def _borders(faces: Faces, length: Floats, lines: Lines, wet: Bools) -> _Borders:
    rims = faces.rims
    inner = rims.right >= 0
    inner[inner] = faces.unit[rims.left[inner]] == faces.unit[rims.right[inner]]
    pair = np.stack([rims.left[inner], rims.right[inner]], axis=1)
    pairs, of = np.unique(pair, axis=0, return_inverse=True)
    metres: Floats = np.bincount(of.ravel(), length[inner], len(pairs)).astype(float)
    costs: Floats = np.bincount(of.ravel(), (length * _costs(lines, faces.on))[inner], len(pairs)).astype(float)
    shore = wet[pairs[:, 0]] != wet[pairs[:, 1]]
    return _Borders(pairs, metres, np.where(shore, _SHORE * costs, costs))


def _costs(lines: Lines, row: Ints) -> Floats:
    """CLASS_COST of the barrier lines named by row (-1: on no barrier)."""
    rank = np.append(lines.rank, len(BARRIER_CLASSES))[row]
    costs: Floats = np.array([CLASS_COST[c] for c in (*BARRIER_CLASSES, None)])[rank]
    return costs


# --- faces that are no blocks -----------------------------------------------------------------------------------------


def _without_access(faces: Faces, edges: Shapes, lines: Lines, scale: Floats) -> Bools:
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


def _islands(faces: Faces, length: Floats, lines: Lines) -> Bools:
    """Faces whose rim lies for the most part on larger roads of one name: the ground between two carriageways."""
    large = np.isin(lines.rank, [BARRIER_CLASSES.index(c) for c in _CARRIAGEWAYS])
    large &= np.array([name is not None for name in lines.name], dtype=bool)
    name = np.full(len(lines.rank) + 1, -1, dtype=np.int64)
    name[:-1][large] = np.unique(lines.name[large].astype(str), return_inverse=True)[1]
    face, of, metres = _both_sides(faces, name[faces.on], length)
    named = of >= 0
    pairs, group = np.unique(np.column_stack([face[named], of[named]]), axis=0, return_inverse=True)
    most = np.zeros(len(faces.unit))
    np.maximum.at(most, pairs[:, 0], np.bincount(group.ravel(), metres[named], len(pairs)))
    result: Bools = most >= _ISLAND_SHARE * np.bincount(face, metres, len(faces.unit))
    return result


def _courts(faces: Faces, length: Floats, lines: Lines) -> Bools:
    """Faces whose rim lies for the most part on lanes without a name, walls, or no barrier."""
    weak = np.append(lines.rank == BARRIER_CLASSES.index("wall"), True)
    weak[:-1] |= (lines.rank == BARRIER_CLASSES.index("lane")) & np.array([n is None for n in lines.name], dtype=bool)
    face, is_weak, metres = _both_sides(faces, weak[faces.on].astype(np.int64), length)
    size = len(faces.unit)
    result: Bools = np.bincount(face, metres * is_weak, size) > _COURT_SHARE * np.bincount(face, metres, size)
    return result


def _both_sides(faces: Faces, value: Ints, length: Floats) -> tuple[Ints, Ints, Floats]:
    """Rims from both sides: face, value, metres."""
    two = faces.rims.right >= 0
    return (
        np.concatenate([faces.rims.left, faces.rims.right[two]]),
        np.concatenate([value, value[two]]),
        np.concatenate([length, length[two]]),
    )


# --- folding ----------------------------------------------------------------------------------------------------------


def _fold(area: Floats, perimeter: Floats, unwanted: Bools, borders: _Borders, min_m2: float, min_width: float) -> Ints:
    """Label of each face after folding, the smallest first: small, narrow and `unwanted` ones into a neighbour."""
    label = np.arange(len(area))
    sizes, rounds, closed = area.tolist(), perimeter.tolist(), unwanted.tolist()
    beside: list[dict[int, tuple[float, float]]] = [{} for _ in sizes]
    for (a, b), length, cost in zip(
        borders.pairs.tolist(), borders.metres.tolist(), borders.costs.tolist(), strict=True
    ):
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


def _merged(faces: Faces, label: Ints, length: Floats) -> tuple[Shapes, Ints, Rims]:
    """Faces of one label as one polygon, its unit, and the rims between labels."""
    pieces, unit, rims, on = faces
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
