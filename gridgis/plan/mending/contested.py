"""The ground that does not belong to exactly one polygon, cut into pieces each of which goes to one of them as a whole.

Two arrangements are made: of the segments that have no opposite, which shows where the trouble is, and of these with
the segments that run through the trouble, so that in each face the same polygons lie on top everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import shapely

from gridgis.plan.checking.arrangement import CUT, Arrangement, around_faces, arrange, joined_faces
from gridgis.plan.checking.ruler import NOISE_M, Bools, Floats, Ruler
from gridgis.plan.checking.segments import (
    GROUND,
    Ints,
    Segments,
    alone,
    couples,
    directed_segments,
    distinct,
    joined,
)
from gridgis.plan.checking.tiling import Matching, Objects

#: No polygon, no parent.
NOBODY = -1
#: How far, in noises, a segment may lie off the trouble that it runs along.
_SLACK = 4.0
#: Where else in a triangle of a face a point is taken: shares of its corners that no layout of streets has.
_INSIDE = ((0.4142, 0.3179, 0.2679), (0.2361, 0.3028, 0.4611), (0.1623, 0.5279, 0.3098))


class Place(NamedTuple):
    """What does not change while polygons are mended.

    `ground`: what is to be covered, or None for all that the polygons enclose. `holes`: ground that nobody has to
    cover. `parents` and `parent_of`: the ground of each parent, and the parent of each polygon (:data:`NOBODY` where
    none is known). `noise`: two places nearer than this (in units of the CRS) are one.
    """

    ruler: Ruler
    noise: float
    ground: Any = None
    holes: Any = None
    parents: Objects = np.empty(0, dtype=object)
    parent_of: Ints = np.empty(0, dtype=np.int64)


class Given(NamedTuple):
    """Ground that is spoken for: each polygon of `shapes` goes to `to`; with `taken_from` ≥ 0 it is evicted from there.

    `to` is :data:`NOBODY` where the receiver has still to be found.
    """

    shapes: Objects
    to: Ints
    taken_from: Ints

    @classmethod
    def none(cls) -> Given:
        empty = np.empty(0, dtype=np.int64)
        return cls(np.empty(0, dtype=object), empty, empty)


class Piece(NamedTuple):
    """A connected piece of ground: its `faces`, the polygons `over` it, if it is `on_ground`, in which `parent`.

    `to` is the receiver if that is settled already, `givers` are the polygons that are evicted (not among those over
    it; several where they are copies).
    `area` is in m². `edges` are its outline, with +1 in `sides` where it lies on their left. `place` is its lowest
    corner, by x, then y.
    """

    faces: Ints
    over: frozenset[int]
    on_ground: bool
    parent: int
    to: int
    givers: frozenset[int]
    area: float
    edges: Ints
    sides: Ints
    place: tuple[float, float]

    def held(self) -> frozenset[int]:
        """The polygons that have the piece, or had it until they were evicted."""
        return self.over | self.givers


class Contested(NamedTuple):
    """The contested `pieces` in a `plan`, and for each face the piece that it belongs to (-1: none).

    `segments` are those of the plan, the chosen ones of `matching` first: `used` are their positions there.
    """

    plan: Arrangement
    segments: Segments
    used: Ints
    pieces: list[Piece]
    piece_of: Ints
    matching: Matching


def rematched(matching: Matching, polygons: Objects, changed: Ints) -> Matching:
    """The matching after some polygons changed: only what they have or had is matched again."""
    segments, (one, other) = matching
    gone = np.zeros(len(polygons) + 1, dtype=bool)
    gone[changed] = True
    stays = ~gone[segments.owner]
    position = np.cumsum(stays) - 1
    both = stays[one] & stays[other]
    one, other = position[one[both]], position[other[both]]
    new = directed_segments(polygons[changed])
    segments = joined(segments.take(stays), new._replace(owner=changed[new.owner]))
    rest = alone(len(segments.owner), (one, other))
    first, second = couples(segments.take(rest))
    return Matching(segments, (np.concatenate([one, rest[first]]), np.concatenate([other, rest[second]])))


def find_contested(
    polygons: Objects, tree: Any, place: Place, given: Given, strays: Objects, matching: Matching
) -> Contested | None:
    """The contested pieces, or None where every segment has its opposite and nothing is given away.

    Parameters
    ----------
    polygons : array of Polygon or MultiPolygon
        Valid; empty ones have no part in anything.
    tree : STRtree
        Of the polygons.
    place : Place
    given : Given
    strays : array of Polygon
        Ground that children take from other parents; see :func:`gridgis.plan.checking.levels.nesting_faults`.
    matching : Matching
        Of the polygons and the ground.
    """
    used = alone(len(matching.segments.owner), matching.couples)
    if len(used) == 0 and len(given.shapes) == 0 and len(strays) == 0:
        return None
    if place.noise > place.ruler.noise:
        used = np.concatenate([used, _beside_open(matching, used, place)])
    cuts = _cuts(place, given)
    segments = joined(matching.segments.take(used), cuts)
    plan = arrange(segments, place.noise)
    faces = _Faces.of(plan, polygons, tree, place, given)
    trouble = np.concatenate([plan.faces[faces.contested], given.shapes, strays])
    more = _running_through(trouble, tree, polygons, matching, used, place)
    if len(more) or len(strays):
        used = np.concatenate([used, more])
        segments = joined(joined(matching.segments.take(used), cuts), _parents_near(strays, place))
        plan = arrange(segments, place.noise)
        faces = _Faces.of(plan, polygons, tree, place, given)
    pieces, piece_of = _pieces(plan, faces, place)
    return Contested(plan, segments, used, pieces, piece_of, matching)


def _beside_open(matching: Matching, open_: Ints, place: Place) -> Ints:
    """The matched segments that open ones are to be snapped to."""
    segments = matching.segments
    lines = shapely.linestrings(np.stack([segments.start, segments.end], axis=1))
    near = distinct(shapely.STRtree(lines).query(lines[open_], "dwithin", place.noise)[1])
    return near[~np.isin(near, open_)]


def _cuts(place: Place, given: Given) -> Segments:
    shapes = [*given.shapes, *([] if place.holes is None else [place.holes])]
    there = directed_segments(np.array(shapes, dtype=object)) if shapes else directed_segments(np.empty(0, object))
    return there._replace(owner=np.full(len(there.owner), CUT, dtype=np.int64))


def _running_through(
    trouble: Objects, tree: Any, polygons: Objects, matching: Matching, used: Ints, place: Place
) -> Ints:
    """The positions of the matched segments, not `used` so far, that touch the trouble."""
    rows = distinct(tree.query(trouble, predicate="intersects")[1])
    chosen = np.zeros(len(polygons) + 1, dtype=bool)
    chosen[rows] = True
    chosen[GROUND] = len(trouble) > 0
    segments = matching.segments
    there = chosen[segments.owner]
    there[used] = False
    near = np.flatnonzero(there)
    lines = shapely.linestrings(np.stack([segments.start[near], segments.end[near]], axis=1))
    touching = shapely.STRtree(lines).query(trouble, "dwithin", _SLACK * place.noise)[1]
    chosen_ones: Ints = near[distinct(touching)]
    return chosen_ones


def _parents_near(strays: Objects, place: Place) -> Segments:
    """The outlines of parents where children take ground of others, as cuts."""
    there = directed_segments(place.parents)
    lines = shapely.linestrings(np.stack([there.start, there.end], axis=1))
    touching = np.unique(shapely.STRtree(lines).query(strays, "dwithin", _SLACK * place.noise)[1])
    return there.take(touching)._replace(owner=np.full(len(touching), CUT, dtype=np.int64))


class _Faces(NamedTuple):
    """What lies over each face: pairs (`face`, `row`); of each face what its piece would be, and if it is contested."""

    face: Ints
    row: Ints
    on_ground: Bools
    parent: Ints
    to: Ints
    givers: dict[int, frozenset[int]]
    contested: Bools

    @classmethod
    def of(cls, plan: Arrangement, polygons: Objects, tree: Any, place: Place, given: Given) -> _Faces:
        count = len(plan.faces)
        inside, face, row = _laid_over(plan.faces, polygons, tree)
        to = np.full(count, NOBODY, dtype=np.int64)
        at, which = shapely.STRtree(given.shapes).query(inside, predicate="intersects")
        to[at] = given.to[which]
        givers: dict[int, frozenset[int]] = {}
        if len(at):
            evicted = {pair for pair in zip(at.tolist(), given.taken_from[which].tolist(), strict=True) if pair[1] >= 0}
            for one, giver in evicted:
                givers[one] = givers.get(one, frozenset()) | {giver}
            stays = np.array(
                [pair not in evicted for pair in zip(face.tolist(), row.tolist(), strict=True)], dtype=bool
            )
            face, row = face[stays], row[stays]
        over = np.bincount(face, minlength=count)
        on_ground = np.ones(count, dtype=bool) if place.ground is None else _covers(place.ground, inside)
        parent = np.full(count, NOBODY, dtype=np.int64)
        ground_at, which_parent = shapely.STRtree(place.parents).query(inside, predicate="intersects")
        parent[ground_at[::-1]] = which_parent[::-1]
        contested = np.where(on_ground, over != 1, over > 0)
        if place.holes is not None:
            contested &= ~((over == 0) & _covers(place.holes, inside))
        if len(place.parents):
            wrong = (place.parent_of[row] != parent[face]) & (place.parent_of[row] >= 0) & (parent[face] >= 0)
            contested[face[wrong]] = True
        contested[at] = True
        return cls(face, row, on_ground, parent, to, givers, contested)


def _laid_over(faces: Objects, polygons: Objects, tree: Any) -> tuple[Objects, Ints, Ints]:
    """A point inside each face, and pairs (face, polygon over it).

    Borders that match run through faces: where the point came to lie on one, both sides would seem to lie over it.
    """
    inside = shapely.point_on_surface(faces)
    face, row = tree.query(inside, predicate="intersects")
    for weights in _INSIDE:
        touching = np.bincount(face, minlength=len(faces))[face] > 1
        touching[touching] = ~shapely.contains_properly(polygons[row[touching]], inside[face[touching]])
        again = distinct(face[touching])
        if len(again) == 0:
            break
        inside[again] = [_elsewhere(shape, weights) for shape in faces[again]]
        other, there = tree.query(inside[again], predicate="intersects")
        stays = ~np.isin(face, again)
        face, row = np.concatenate([face[stays], again[other]]), np.concatenate([row[stays], there])
    return inside, face, row


def _elsewhere(face: Any, weights: tuple[float, float, float]) -> Any:
    """A point inside the largest triangle of a face, nearer to one corner than to the next."""
    triangles = shapely.get_parts(shapely.constrained_delaunay_triangles(face))
    corners = shapely.get_coordinates(triangles[np.argmax(shapely.area(triangles))])[:3]
    return shapely.Point(np.average(corners, axis=0, weights=weights))


def _covers(ground: Any, points: Objects) -> Bools:
    shapely.prepare(ground)
    inside: Bools = shapely.intersects(ground, points)
    return inside


def _pieces(plan: Arrangement, faces: _Faces, place: Place) -> tuple[list[Piece], Ints]:
    """Contested faces that hang together and have the same polygons over them; what is only noise is left out."""
    chosen = np.flatnonzero(faces.contested)
    over: dict[int, list[int]] = {f: [] for f in chosen.tolist()}
    inside = faces.contested[faces.face]
    for f, r in zip(faces.face[inside].tolist(), faces.row[inside].tolist(), strict=True):
        over[f].append(r)
    keys: dict[tuple[frozenset[int], bool, int, int, frozenset[int]], int] = {}
    key = np.full(len(plan.faces), -1, dtype=np.int64)
    for f in chosen.tolist():
        what = (
            frozenset(over[f]),
            bool(faces.on_ground[f]),
            int(faces.parent[f]),
            int(faces.to[f]),
            faces.givers.get(f, frozenset()),
        )
        key[f] = keys.setdefault(what, len(keys))
    group = joined_faces(plan, key, faces.contested)
    numbers, of = np.unique(group[chosen], return_inverse=True)
    members = np.split(chosen[np.argsort(of, kind="stable")], np.cumsum(np.bincount(of, minlength=len(numbers)))[:-1])
    what_is = list(keys)
    outline, area, perimeter = _outlines(plan, chosen, of, len(numbers), place)
    piece_of = np.full(len(plan.faces), -1, dtype=np.int64)
    pieces: list[Piece] = []
    for number, own in enumerate(members if len(chosen) else []):
        if 2 * area[number] <= NOISE_M * perimeter[number]:
            continue
        edges, sides = outline[number]
        ends = plan.points[np.concatenate([plan.low[edges], plan.high[edges]])]
        x, y = ends[np.lexsort((ends[:, 1], ends[:, 0]))[0]].tolist()
        over_, ground, parent, to, givers = what_is[key[own[0]]]
        piece_of[own] = len(pieces)
        pieces.append(Piece(own, over_, ground, parent, to, givers, float(area[number]), edges, sides, (x, y)))
    return pieces, piece_of


def _outlines(
    plan: Arrangement, chosen: Ints, of: Ints, count: int, place: Place
) -> tuple[list[tuple[Ints, Ints]], Floats, Floats]:
    """For each group of faces its outline (edges and sides), its area in m² and its perimeter in m."""
    area = np.bincount(of, weights=shapely.area(place.ruler.metres(plan.faces[chosen])), minlength=count)
    face, edge, side = around_faces(plan, chosen)
    group = of[face]
    every = np.full(len(plan.faces) + 1, -2, dtype=np.int64)
    every[chosen] = of
    beyond = np.where(side > 0, plan.right[edge], plan.left[edge])
    outer = every[beyond] != group
    group, edge, side = group[outer], edge[outer], side[outer]
    perimeter = np.bincount(group, weights=plan.edge_lengths(place.ruler.unit_m)[edge], minlength=count)
    order = np.argsort(group, kind="stable")
    begin = np.searchsorted(group[order], np.arange(count + 1))
    outline = [(edge[order[a:b]], side[order[a:b]]) for a, b in pairwise(begin.tolist())]
    return outline, area.astype(float), perimeter.astype(float)


def lies_beyond(contested: Contested, piece: Piece) -> Sequence[tuple[int, frozenset[int]]]:
    """For each edge of a piece's outline the piece beyond it (-1: none), and the polygons there."""
    plan = contested.plan
    begin, end = (np.searchsorted(plan.edge, piece.edges, side) for side in ("left", "right"))
    out = []
    for edge, side, b, e in zip(piece.edges.tolist(), piece.sides.tolist(), begin.tolist(), end.tolist(), strict=True):
        face = plan.right[edge] if side > 0 else plan.left[edge]
        over = set(piece.over)
        for owner, sign in zip(plan.owner[b:e].tolist(), plan.sign[b:e].tolist(), strict=True):
            if owner >= 0:
                # With its ground on the piece's side it ends here; else it begins.
                (over.discard if sign == side else over.add)(owner)
        out.append((int(contested.piece_of[face]) if face >= 0 else -1, frozenset(over)))
    return out
