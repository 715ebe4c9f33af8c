"""From lines to faces: outlines and barriers noded once, so that neighbouring faces share every vertex.

Everything here happens in the plane of the coordinates as given; distances are judged in a *flat* copy, the same
coordinates times metres per unit along x and y (good to 0.1 % over a sub-district).
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

#: Barriers are noded on a decimal grid of this or less, metres.
_GRID_M = 1e-4

#: A border counts as lying on a barrier within this distance, metres.
_ON_LINE_M = 0.1


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


def node(lines: Shapes, scale: Floats) -> Shapes:
    """Noded edges of barrier lines: cut at every crossing and touching, doubled pieces once.

    Vertices are rounded to a decimal grid of 0.1 mm or less, which leaves coordinates with few decimals as they are.
    """
    if len(lines) == 0:
        return lines
    grid = 10.0 ** np.floor(np.log10(_GRID_M / scale.max()))
    edges = shapely.get_parts(shapely.union_all(lines, grid_size=grid))
    real: Shapes = edges[shapely.length(edges) > 0]
    return real


def outlines(polygons: Shapes) -> Floats:
    """The rims of `polygons` as segments, each once, shape (n, 2, 2).

    Where a corner of one polygon lies on an edge of another (up to rounding), that edge is cut there: what two units
    have in common is then the same segments.
    """
    ends, _ = segments_of(shapely.get_rings(shapely.get_parts(polygons)))
    corners = np.unique(ends[:, 0], axis=0)
    # A corner on an edge is off it by rounding only: a few steps of the floating point grid.
    reach = 8 * np.spacing(np.abs(corners).max())
    tree = shapely.STRtree(shapely.linestrings(ends))
    point, segment = tree.query(shapely.points(corners), predicate="dwithin", distance=reach)
    inner = (corners[point] != ends[segment, 0]).any(axis=1) & (corners[point] != ends[segment, 1]).any(axis=1)
    whole = split(ends, segment[inner], corners[point[inner]])
    turned = (whole[:, 0, 0] > whole[:, 1, 0]) | (
        (whole[:, 0, 0] == whole[:, 1, 0]) & (whole[:, 0, 1] > whole[:, 1, 1])
    )
    whole[turned] = whole[turned][:, ::-1]
    return np.unique(whole, axis=0)


def _west_first(ends: Floats) -> Floats:
    """Segments from west to east (south to north where upright), so that equal ones have equal rows."""
    (x0, y0), (x1, y1) = ends[:, 0].T, ends[:, 1].T
    turned = (x0 > x1) | ((x0 == x1) & (y0 > y1))
    out: Floats = np.where(turned[:, None, None], ends[:, ::-1], ends)
    return out


def split(ends: Floats, segment: Ints, points: Floats) -> Floats:
    """The segments, shape (n, 2, 2), with `segment` (rows) cut at `points`."""
    way = ends[segment, 1] - ends[segment, 0]
    along = ((points - ends[segment, 0]) * way).sum(axis=1)
    order = np.lexsort((along, segment))
    cut, at = segment[order], points[order]
    starts = np.concatenate([ends[:, 0], at])
    owner = np.concatenate([np.arange(len(ends)), cut])
    place = np.argsort(owner, kind="stable")  # the start of each segment stands before its cuts
    starts, owner = starts[place], owner[place]
    last = np.append(owner[1:] != owner[:-1], True)[: len(owner)]
    stops = np.where(last[:, None], ends[owner, 1], np.roll(starts, -1, axis=0))
    return np.stack([starts, stops], axis=1)


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
    flat = _west_first(ends).reshape(-1, 4)
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
    return extend_with(lines, Lines(shapes, lines.rank[source], lines.name[source]))


def extend_with(lines: Lines, more: Lines) -> Lines:
    """`lines` and `more` as one, strongest first again."""
    both = Lines(*(np.concatenate(columns) for columns in zip(lines, more, strict=True)))
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
    found = np.full(len(points), len(lines.shapes), dtype=np.int64)
    if len(lines.shapes):
        # Segment by segment: a shore of 5,000 vertices would else be walked along for every point of a block beside it.
        ends, line = segments_of(flatten(lines.shapes, scale))
        tree = shapely.STRtree(shapely.linestrings(ends))
        point, segment = tree.query(shapely.points(points), predicate="dwithin", distance=reach_m)
        np.minimum.at(found, point, line[segment])
    found[found == len(lines.shapes)] = -1
    return found


def mostly_in(pieces: Shapes, areas: Shapes) -> Bools:
    """Which pieces lie in areas with more than half of their ground."""
    covered = np.zeros(len(pieces))
    if len(areas):
        parts = shapely.get_parts(shapely.union_all(areas))
        piece, area = shapely.STRtree(parts).query(pieces, predicate="intersects")
        np.add.at(covered, piece, shapely.area(shapely.intersection(pieces[piece], parts[area])))
    result: Bools = covered > 0.5 * shapely.area(pieces)
    return result


def flatten(shapes: Shapes, scale: Floats) -> Shapes:
    """Shapes in the flat plane: coordinates times metres per unit."""
    flat: Shapes = shapely.transform(shapes, lambda xy: xy * scale)
    return flat


def faces(edges: Shapes) -> Shapes:
    """The faces that noded edges enclose, north to south; dead ends enclose nothing and are left out."""
    found: Shapes = shapely.normalize(shapely.get_parts(shapely.polygonize(edges)))
    inner = shapely.get_coordinates(shapely.point_on_surface(found))
    order = np.lexsort((inner[:, 0], -inner[:, 1]))
    ordered: Shapes = found[order]
    return ordered
