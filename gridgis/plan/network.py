"""From lines to faces: outlines and barriers noded once, so that neighbouring faces share every vertex.

Everything here happens in the plane of the coordinates as given; lengths are judged in a *flat* copy, the same
coordinates times metres per unit along x and y (good to 0.1 % over a sub-district), from which nothing is copied back
but the far end of a carried line.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from gridgis import crs as crs_
from gridgis.errors import GeometryError, InputError
from gridgis.schema import BARRIER_CLASSES

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Shapes = NDArray[Any]

#: How far a carried end goes past an inner point of the line it is carried to, metres: rounding cannot leave it
#: short, and what sticks out is a dead end that is dropped.
_OVERSHOOT_M = 0.01

#: A point counts as lying on a line that it was computed from within this distance, metres.
_ON_LINE_M = 1e-3

_STABLE_AFTER = 4


class Lines(NamedTuple):
    """Barrier lines: 2-D LineStrings, their rank in BARRIER_CLASSES (0 is the strongest) and their name."""

    shapes: Shapes
    rank: Ints
    name: NDArray[Any]


class Segments(NamedTuple):
    """Two-point pieces of the rims of areas: ends, and which areas lie beside it (`right` is -1 at the outline)."""

    ends: Floats  # (n, 2, 2)
    left: Ints
    right: Ints


def barrier_lines(barriers: gpd.GeoDataFrame, crs: pyproj.CRS, source: object = "barriers") -> Lines:
    """The lines of a barrier table in `crs`, in an order that does not depend on the order of rows.

    Raises
    ------
    InputError
        If there is no column ``class``, a class is unknown, or no row has a line.
    GeometryError
        If a row is neither a line nor empty.
    """
    if "class" not in barriers.columns:
        raise InputError(
            "a barrier needs the column 'class'", source=source, found=", ".join(map(str, barriers.columns))
        )
    shapes = crs_.project(
        shapely.force_2d(np.asarray(barriers.geometry.array, dtype=object)), crs_.require_crs(barriers, source), crs
    )
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    wrong = there & ~np.isin(shapely.get_type_id(shapes), (1, 2, 5))
    if wrong.any():
        raise GeometryError("barriers must be lines", source=source, ids=(np.flatnonzero(wrong) + 1).tolist())
    classes = barriers["class"].astype(object).to_numpy()
    unknown = there & ~np.isin(classes.astype(str), BARRIER_CLASSES)
    if unknown.any():
        raise InputError(
            "barriers of an unknown class", source=source, ids=(np.flatnonzero(unknown) + 1).tolist(),
            wanted=", ".join(BARRIER_CLASSES),
        )  # fmt: skip
    names = barriers["name"].astype(object).to_numpy() if "name" in barriers.columns else np.full(len(shapes), None)
    parts, row = shapely.get_parts(shapes[there], return_index=True)
    row = np.flatnonzero(there)[row]
    rings = shapely.get_type_id(parts) == 2
    parts[rings] = [shapely.LineString(ring.coords) for ring in parts[rings]]
    keep = shapely.length(parts) > 0
    parts, row = shapely.normalize(parts[keep]), row[keep]
    if len(parts) == 0:
        raise InputError(
            "the barriers have no lines", source=source, wanted="roads, rivers, railways or walls as lines"
        )
    rank = np.array([BARRIER_CLASSES.index(c) for c in classes[row]], dtype=np.int64)
    name = np.array([n if isinstance(n, str) and n.strip() else None for n in names[row]], dtype=object)
    order = np.array(
        sorted(range(len(parts)), key=lambda i: (rank[i], name[i] or "", shapely.to_wkb(parts[i]))), dtype=np.int64
    )
    return Lines(parts[order], rank[order], name[order])


def metres_per_unit(crs: pyproj.CRS, metric: pyproj.CRS, bounds: Floats) -> Floats:
    """Metres along one unit of x and of y of `crs` at the centre of `bounds`, shape (2,)."""
    if crs == metric:
        return np.ones(2)
    x, y = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    step = max(bounds[2] - bounds[0], bounds[3] - bounds[1], 1e-6) / 100
    ends = np.array([[[x - step, y], [x + step, y]], [[x, y - step], [x, y + step]]])
    scale: Floats = shapely.length(crs_.project(shapely.linestrings(ends), crs, metric)) / (2 * step)
    return scale


def node(lines: Shapes) -> Shapes:
    """Noded edges of `lines`: cut at every crossing and touching, doubled pieces once. Vertices are kept."""
    edges: Shapes = shapely.get_parts(shapely.union_all(lines))
    for _ in range(_STABLE_AFTER):  # a rounded crossing can make another one, very rarely
        again = shapely.get_parts(shapely.union_all(edges))
        if len(again) == len(edges):
            break
        edges = again
    return edges


def outlines(polygons: Shapes) -> Shapes:
    """The rims of `polygons` as lines; where a corner of one lies on an edge of another, that edge gets the vertex."""
    rings = shapely.get_rings(shapely.get_parts(polygons))
    corners = np.unique(shapely.get_coordinates(rings), axis=0)
    ends, ring = segments_of(rings)
    # A corner on an edge is off it by rounding only: a few steps of the floating point grid.
    reach = 8 * np.spacing(np.abs(corners).max())
    tree = shapely.STRtree(shapely.linestrings(ends))
    point, segment = tree.query(shapely.points(corners), predicate="dwithin", distance=reach)
    inner = (corners[point] != ends[segment, 0]).any(axis=1) & (corners[point] != ends[segment, 1]).any(axis=1)
    point, segment = point[inner], segment[inner]
    along = ((corners[point] - ends[segment, 0]) * (ends[segment, 1] - ends[segment, 0])).sum(axis=1)
    coords = np.vstack([ends[:, 0], corners[point]])
    order = np.lexsort(
        (
            np.append(np.zeros(len(ends)), along),
            np.append(np.arange(len(ends)), segment),
            np.append(ring, ring[segment]),
        )
    )
    coords, owner = coords[order], np.append(ring, ring[segment])[order]
    closed = [np.vstack([c, c[:1]]) for c in np.split(coords, np.flatnonzero(np.diff(owner)) + 1)]
    return np.array([shapely.LineString(c) for c in closed], dtype=object)


def segments_of(shapes: Shapes) -> tuple[Floats, Ints]:
    """The two-point segments of lines or rings, shape (n, 2, 2), and the row each comes from."""
    coords, row = shapely.get_coordinates(shapes, return_index=True)
    follows = row[:-1] == row[1:]
    follows &= (coords[:-1] != coords[1:]).any(axis=1)
    ends: Floats = np.stack([coords[:-1][follows], coords[1:][follows]], axis=1)
    return ends, row[:-1][follows].astype(np.int64)


def rim_segments(areas: Shapes) -> Segments:
    """The rims of areas as two-point segments, each once, with the one or two areas beside it.

    Two areas are neighbours where they have a segment in common, end for end. `left` is the lower row.

    Examples
    --------
    >>> import shapely
    >>> rims = rim_segments(shapely.box([0, 1], 0, [1, 2], 1))
    >>> len(rims.left), rims.ends[rims.right == 1].tolist()
    (7, [[[1.0, 0.0], [1.0, 1.0]]])
    """
    parts, owner = shapely.get_parts(areas, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    ends, ring = segments_of(rings)
    area = owner[part[ring]].astype(np.int64)
    turned = (ends[:, 0, 0] > ends[:, 1, 0]) | ((ends[:, 0, 0] == ends[:, 1, 0]) & (ends[:, 0, 1] > ends[:, 1, 1]))
    ends[turned] = ends[turned][:, ::-1]
    flat = ends.reshape(-1, 4)
    order = np.lexsort((area, flat[:, 3], flat[:, 2], flat[:, 1], flat[:, 0]))
    flat, area = flat[order], area[order]
    first = np.append(True, (flat[1:] != flat[:-1]).any(axis=1))
    starts = np.flatnonzero(first)
    size = np.diff(np.append(starts, len(flat)))
    right = np.full(len(starts), -1, dtype=np.int64)
    right[size > 1] = area[starts[size > 1] + 1]
    return Segments(flat[starts].reshape(-1, 2, 2), area[starts], right)


def take(lines: Lines, rows: Ints) -> Lines:
    """The lines of these rows."""
    return Lines(lines.shapes[rows], lines.rank[rows], lines.name[rows])


def extend(lines: Lines, shapes: Shapes, source: Ints) -> Lines:
    """`lines` and more `shapes` that have the class and name of the rows `source`, strongest first again."""
    both = Lines(
        np.concatenate([lines.shapes, shapes]),
        np.concatenate([lines.rank, lines.rank[source]]),
        np.concatenate([lines.name, lines.name[source]]),
    )
    order = sorted(range(len(both.shapes)), key=lambda i: (both.rank[i], both.name[i] or ""))
    return take(both, np.array(order, dtype=np.int64))


def middles(edges: Shapes, scale: Floats) -> Floats:
    """Half-way points of edges, in the flat plane."""
    points: Floats = shapely.get_coordinates(
        shapely.line_interpolate_point(flatten(edges, scale), 0.5, normalized=True)
    )
    return points


def lying_on(points: Floats, lines: Lines, scale: Floats, reach_m: float = _ON_LINE_M) -> Ints:
    """The row of the strongest line within `reach_m` metres of each point (flat plane), -1 where there is none.

    Lines are ordered by strength, then name, so that the lowest row is the answer.
    """
    tree = shapely.STRtree(flatten(lines.shapes, scale))
    point, line = tree.query(shapely.points(points), predicate="dwithin", distance=reach_m)
    found = np.full(len(points), len(lines.shapes), dtype=np.int64)
    np.minimum.at(found, point, line)
    found[found == len(lines.shapes)] = -1
    return found


def flatten(shapes: Shapes, scale: Floats) -> Shapes:
    """Shapes in the flat plane: coordinates times metres per unit."""
    flat: Shapes = shapely.transform(shapes, lambda xy: xy * scale)
    return flat


class _Plane(NamedTuple):
    """Noded edges, their flat copies and an index of these."""

    edges: Shapes
    flat: Shapes
    tree: shapely.STRtree
    scale: Floats


def _plane(edges: Shapes, scale: Floats) -> _Plane:
    flat = flatten(edges, scale)
    return _Plane(edges, flat, shapely.STRtree(flat), scale)


def carry_ends(edges: Shapes, scale: Floats, snap_m: float) -> tuple[Shapes, Ints]:
    """Lines that carry each loose end to the line it falls short of.

    A loose end is a node of one edge. It goes on straight ahead if that meets a line within `snap_m` metres, else
    to the nearest point within `snap_m` metres (unless its edge is shorter than that: then it is an overshoot).

    Returns
    -------
    carried : ndarray of LineString
    edge : ndarray of int
        The row in `edges` that each of them goes on from.
    """
    plane = _plane(edges, scale)
    first, last = shapely.get_point(edges, 0), shapely.get_point(edges, -1)
    nodes = np.vstack([shapely.get_coordinates(first), shapely.get_coordinates(last)])
    _, inverse, count = np.unique(nodes, axis=0, return_inverse=True, return_counts=True)
    loose = np.flatnonzero(count[inverse.ravel()] == 1)
    carried, rows = [], []
    for end in loose:
        edge, at_start = int(end % len(edges)), end < len(edges)
        coords = shapely.get_coordinates(edges[edge])
        tip, before = (coords[0], coords[1]) if at_start else (coords[-1], coords[-2])
        goal = _ahead(plane, edge, tip, before, snap_m)
        if goal is None and shapely.length(plane.flat[edge]) > snap_m:
            goal = _nearest(plane, edge, tip, snap_m)
        if goal is not None:
            carried.append(shapely.LineString([tip, goal]))
            rows.append(edge)
    return np.array(carried, dtype=object), np.array(rows, dtype=np.int64)


def _ahead(plane: _Plane, edge: int, tip: Floats, before: Floats, reach_m: float) -> Floats | None:
    """Where going on straight ahead from `tip` meets another edge within reach, in the given plane."""
    way = (tip - before) * plane.scale
    way /= np.hypot(*way)
    start = tip * plane.scale
    ray = shapely.LineString([start, start + way * reach_m])
    others = plane.tree.query(ray, predicate="intersects")
    others = others[others != edge]
    if len(others) == 0:
        return None
    point = shapely.Point(start)
    gaps = shapely.distance(shapely.intersection(plane.flat[others], ray), point)
    best = int(np.argmin(gaps))
    return _goal(plane, int(others[best]), start + way * gaps[best], way)


def _nearest(plane: _Plane, edge: int, tip: Floats, reach_m: float) -> Floats | None:
    """The nearest point of another edge within reach, in the given plane."""
    point = shapely.Point(tip * plane.scale)
    others = np.sort(plane.tree.query(point, predicate="dwithin", distance=reach_m))
    others = others[others != edge]
    if len(others) == 0:
        return None
    gaps = shapely.distance(plane.flat[others], point)
    best = int(np.argmin(gaps))
    foot = shapely.get_coordinates(shapely.shortest_line(plane.flat[others[best]], point))[0]
    way = foot - tip * plane.scale
    return _goal(plane, int(others[best]), foot, way / max(np.hypot(*way), 1e-9))


def _goal(plane: _Plane, edge: int, foot: Floats, way: Floats) -> Floats:
    """`foot` (flat, on `edge`) in the given plane: the edge's own vertex if it is one, else a little beyond it."""
    vertices = shapely.get_coordinates(plane.flat[edge])
    gaps = np.hypot(*(vertices - foot).T)
    nearest = int(np.argmin(gaps))
    if gaps[nearest] < _OVERSHOOT_M:
        corner: Floats = shapely.get_coordinates(plane.edges[edge])[nearest]
        return corner
    beyond: Floats = (foot + way * _OVERSHOOT_M) / plane.scale
    return beyond


def faces(edges: Shapes) -> Shapes:
    """The faces that noded edges enclose, north to south; dead ends enclose nothing and are left out."""
    found: Shapes = shapely.normalize(shapely.get_parts(shapely.polygonize(edges)))
    inner = shapely.get_coordinates(shapely.point_on_surface(found))
    order = np.lexsort((inner[:, 0], -inner[:, 1]))
    ordered: Shapes = found[order]
    return ordered
