"""Blocks cut along a drawn line, exactly: pieces tile the block, and neighbours get the new vertices.

No overlay: each place where the line crosses an edge is computed once and put into every ring that has that edge, and
pieces are put together from those very points. All other coordinates are copied.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import shapely

from gridgis.plan.faces.network import Bools, Floats, Ints, Shapes, flatten

#: The line goes through vertices, and its ends lie on edges, that are nearer than this, metres.
SNAP_M = 0.05

#: What a cut leaves with less area (m²), or narrower (metres, twice the area over the perimeter), stays with the piece
#: beside it: nobody draws that on purpose.
MIN_PIECE_M2 = 1.0
MIN_PIECE_WIDTH_M = 0.5

#: How often the line is bent to vertices near it; bending brings it near others only in clutter.
_ROUNDS = 4

Spot = tuple[float, float]
Edge = tuple[Spot, Spot]
Added = Mapping[Edge, list[Spot]]


class Cut(NamedTuple):
    """What a line does to shapes.

    `pieces`: for each position that is cut its pieces, north to south. `bent`: the others that got vertices.
    `added`: those vertices by edge, in the edge's direction. `line`: the edges along which the line runs.
    """

    pieces: dict[int, list[Any]]
    bent: dict[int, Any]
    added: Added
    line: frozenset[Edge]


def cut_along(shapes: Shapes, may_cut: Bools, lines: Iterable[Any], scale: Floats) -> Cut:
    """Cut those of `shapes` that `may_cut` along lines.

    Parameters
    ----------
    shapes : array of Polygon or MultiPolygon, shape (n,)
        Side by side, vertex for vertex: all that lie within :data:`SNAP_M` of the lines.
    may_cut : array of bool, shape (n,)
        The others only get the vertices that their cut neighbours have.
    lines : iterable of LineString
        In the plane of the shapes. Ends that reach through no shape are left out.
    scale : array of float, shape (2,)
        Metres in a unit of x and of y.

    Examples
    --------
    >>> import shapely
    >>> two = np.array([shapely.box(0, 0, 100, 100), shapely.box(100, 0, 200, 100)])
    >>> line = shapely.LineString([(50, -1), (50, 50), (101, 50)])
    >>> cut = cut_along(two, np.array([True, False]), [line], np.ones(2))
    >>> [p.area for p in cut.pieces[0]], [len(s.exterior.coords) for s in cut.bent.values()]
    ([7500.0, 2500.0], [6])
    """
    rings = [[ring for part in shapely.get_parts(shape) for ring in _rings(part)] for shape in shapes]
    own = [[edge_of(*pair) for ring in some for pair in pairwise(ring)] for some in rings]
    edges = sorted({edge for some in own for edge in some})
    chains, added = _noded([shapely.get_coordinates(line) for line in lines], edges, scale)
    split = {edge: _split(edge, added.get(edge, ())) for edge in edges}
    line = {edge_of(*pair) for chain in chains for pair in pairwise(chain)}
    inner = sorted(line.difference(*split.values()) if split else line)
    pieces = _pieces(shapes, may_cut, own, split, inner, scale)
    shared = {edge for row in pieces for edge in own[row]}
    used = {edge: spots for edge, spots in added.items() if edge in shared}
    bent = {row: with_vertices(shapes[row], used) for row, some in enumerate(own)
            if row not in pieces and not used.keys().isdisjoint(some)}  # fmt: skip
    return Cut(pieces, bent, used, frozenset(line))


def edge_of(a: Spot, b: Spot) -> Edge:
    """The edge between two places, whichever way it is run through."""
    return (a, b) if a < b else (b, a)


def edges_of(shape: Any) -> frozenset[Edge]:
    """The edges of the rings of a polygon or multipolygon."""
    rings = (ring for part in shapely.get_parts(shape) for ring in _rings(part))
    return frozenset(edge_of(*pair) for ring in rings for pair in pairwise(ring))


def with_vertices(shape: Any, added: Added) -> Any:
    """The shape with the `added` places on its edges; where there is nothing to add, the shape itself."""
    parts = []
    changed = False
    for part in shapely.get_parts(shape):
        rings = []
        for ring in _rings(part):
            grown = [ring[0]]
            for a, b in pairwise(ring):
                spots = added.get(edge_of(a, b), [])
                grown += [*(spots if a < b else spots[::-1]), b]
            changed = changed or len(grown) > len(ring)
            rings.append(grown)
        parts.append(shapely.Polygon(rings[0], rings[1:]))
    if not changed:
        return shape
    return shapely.MultiPolygon(parts) if shape.geom_type == "MultiPolygon" else parts[0]


def _rings(part: Any) -> list[list[Spot]]:
    return [list(map(tuple, shapely.get_coordinates(ring).tolist())) for ring in shapely.get_rings(part)]


# --- nodes ------------------------------------------------------------------------------------------------------------


def _noded(lines: list[Floats], edges: list[Edge], scale: Floats) -> tuple[list[list[Spot]], dict[Edge, list[Spot]]]:
    """The lines through every vertex near them and every crossing; and the places that edges get, in their order."""
    if not edges:
        return [], {}
    ends = np.array(edges)
    corners = np.unique(ends.reshape(-1, 2), axis=0)
    points = shapely.STRtree(shapely.points(corners * scale))
    tree = shapely.STRtree(shapely.linestrings(ends * scale))
    added: dict[Edge, list[Spot]] = defaultdict(list)
    chains = []
    for xy in lines:
        chain = _placed(xy, corners, points, edges, tree, scale, added)
        for _ in range(_ROUNDS):
            grown = _through(_without_repeats(chain), corners, points, scale)
            if grown == chain:
                break
            chain = grown
        chains.append(chain)
    crossed = [_crossed(chain, edges, ends, tree, scale, added) for chain in chains]
    for edge, spots in added.items():
        unique = set(spots)
        added[edge] = sorted(unique, key=lambda p, e=edge: (_along(e, p, scale), p))  # type: ignore[misc]
    return crossed, dict(added)


def _placed(
    xy: Floats, corners: Floats, points: Any, edges: list[Edge], tree: Any, scale: Floats, added: dict[Edge, list[Spot]]
) -> list[Spot]:
    """The line's vertices: each the corner near it, else its foot on the edge near it, else itself."""
    here = shapely.points(xy * scale)
    spots = [_spot(place) for place in xy]
    (rows, found), off = points.query_nearest(here, max_distance=SNAP_M, return_distance=True)
    best: dict[int, tuple[float, int]] = {}
    for row, corner, metres in zip(rows.tolist(), found.tolist(), off.tolist(), strict=True):
        best[row] = min(best.get(row, (metres, corner)), (metres, corner))
    beside: dict[int, int] = {}
    for row, edge in zip(*(side.tolist() for side in tree.query_nearest(here, max_distance=SNAP_M)), strict=True):
        beside[row] = min(beside.get(row, edge), edge)
    for row, (_, corner) in best.items():
        spots[row] = _spot(corners[corner])
    for row, number in beside.items():
        if row not in best:
            edge = edges[number]
            a, b = np.array(edge)
            spots[row] = _spot(a + _along(edge, spots[row], scale) * (b - a))
            added[edge].append(spots[row])
    return spots


def _along(edge: Edge, spot: Spot, scale: Floats) -> float:
    """How far along an edge a place lies: 0 at its beginning, 1 at its end."""
    a, b = np.array(edge) * scale
    span = b - a
    return float(np.clip((np.array(spot) * scale - a) @ span / (span @ span), 0, 1))


def _spot(xy: Any) -> Spot:
    return float(xy[0]) + 0.0, float(xy[1]) + 0.0


def _without_repeats(chain: list[Spot]) -> list[Spot]:
    return [spot for i, spot in enumerate(chain) if i == 0 or spot != chain[i - 1]]


def _through(chain: list[Spot], corners: Floats, points: Any, scale: Floats) -> list[Spot]:
    """The chain with the corners near its segments put in."""
    if len(chain) < 2:
        return chain
    xy = np.array(chain)
    segments = shapely.linestrings(np.stack([xy[:-1], xy[1:]], axis=1) * scale)
    row, corner = points.query(segments, "dwithin", SNAP_M)
    known = set(chain)
    between: dict[int, list[tuple[float, Spot]]] = defaultdict(list)
    for i, c in zip(row.tolist(), corner.tolist(), strict=True):
        spot = _spot(corners[c])
        if spot not in known:
            between[i].append((_along((chain[i], chain[i + 1]), spot, scale), spot))
            known.add(spot)
    return [s for i, here in enumerate(chain) for s in (here, *(spot for _, spot in sorted(between.get(i, ()))))]


def _crossed(
    chain: list[Spot], edges: list[Edge], ends: Floats, tree: Any, scale: Floats, added: dict[Edge, list[Spot]]
) -> list[Spot]:
    """The chain with the places where it crosses edges; these are put into the edges as well."""
    if len(chain) < 2:
        return chain
    xy = np.array(chain)
    row, edge = tree.query(shapely.linestrings(np.stack([xy[:-1], xy[1:]], axis=1) * scale))
    c, d, a, b = xy[row], xy[row + 1], ends[edge, 0], ends[edge, 1]
    begin, end = _turn(c, d, a), _turn(c, d, b)
    proper = (begin * end < 0) & (_turn(a, b, c) * _turn(a, b, d) < 0)
    between: dict[int, list[tuple[float, Spot]]] = defaultdict(list)
    for k in np.flatnonzero(proper).tolist():
        i, crossed = int(row[k]), edges[int(edge[k])]
        pair = {chain[i], chain[i + 1]}
        if pair.intersection(crossed) or pair.intersection(added.get(crossed, ())):
            continue
        spot = _spot(a[k] + begin[k] / (begin[k] - end[k]) * (b[k] - a[k]))
        added[crossed].append(spot)
        between[i].append((_along((chain[i], chain[i + 1]), spot, scale), spot))
    grown = [s for i, here in enumerate(chain) for s in (here, *(spot for _, spot in sorted(between.get(i, ()))))]
    return _without_repeats(grown)


def _turn(a: Floats, b: Floats, c: Floats) -> Floats:
    turn: Floats = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    return turn


def _split(edge: Edge, spots: Iterable[Spot]) -> set[Edge]:
    return {edge_of(*pair) for pair in pairwise([edge[0], *spots, edge[1]]) if pair[0] != pair[1]}


# --- faces ------------------------------------------------------------------------------------------------------------


def _pieces(
    shapes: Shapes,
    may_cut: Bools,
    own: list[list[Edge]],
    split: Mapping[Edge, set[Edge]],
    inner: list[Edge],
    scale: Floats,
) -> dict[int, list[Any]]:
    """The pieces of the shapes that come apart."""
    if not inner:
        return {}
    middles = shapely.points(np.array(inner).mean(axis=1))
    line, row = shapely.STRtree(shapes).query(middles, predicate="within")
    pieces: dict[int, list[Any]] = {}
    for number in np.unique(row[may_cut[row]]).tolist():
        edges = [part for edge in own[number] for part in sorted(split[edge])]
        edges += [inner[i] for i in line[row == number].tolist()]
        faces = shapely.get_parts(shapely.polygonize(shapely.linestrings(np.array(edges))))
        faces = faces[shapely.within(shapely.point_on_surface(faces), shapes[number])]
        faces = _folded(faces, scale)
        if len(faces) > 1:
            pieces[number] = _ordered(shapely.normalize(faces))
    return pieces


def _ordered(faces: Shapes) -> list[Any]:
    middle = shapely.get_coordinates(shapely.centroid(faces))
    rows: Ints = np.lexsort((middle[:, 0], -middle[:, 1]))
    return [faces[i] for i in rows]


def _folded(faces: Shapes, scale: Floats) -> Shapes:
    """The faces with what is too small or narrow joined to the face that it shares most border with."""
    parts = list(faces)
    while len(parts) > 1:
        flat = flatten(np.array(parts, dtype=object), scale)
        area, rim = shapely.area(flat), shapely.length(flat)
        small = (area < MIN_PIECE_M2) | (2 * area < MIN_PIECE_WIDTH_M * rim)
        if not small.any():
            break
        row = int(np.flatnonzero(small)[np.argmin(area[small])])
        sides = edges_of(parts[row])
        common = [
            0.0 if i == row else sum(float(np.hypot(*((np.array(a) - b) * scale))) for a, b in sides & edges_of(part))
            for i, part in enumerate(parts)
        ]
        goal = int(np.argmax(common))
        if common[goal] == 0:
            break
        joined = shapely.coverage_union_all([parts[row], parts[goal]])
        joined = joined.geoms[0] if joined.geom_type == "MultiPolygon" and len(joined.geoms) == 1 else joined
        parts = [part for i, part in enumerate(parts) if i not in (row, goal)] + [joined]
    return np.array(parts, dtype=object)
