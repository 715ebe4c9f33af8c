"""Polygons put together again after some ground changed hands: coordinates are copied, none is computed.

A polygon's outline is the sum of its directed segments and of those of the faces that it gained, less those of the
faces that it lost; what cancels is gone, and what is left are its new rings. A point that was only made by cutting and
that no polygon turns at is left out again; a point that another polygon has, and that lies on an edge, is put in.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import shapely

from gridgis.plan.checking.arrangement import around_faces
from gridgis.plan.checking.ruler import Bools, Floats
from gridgis.plan.checking.segments import GROUND, Ints, distinct, spans
from gridgis.plan.checking.tiling import Objects
from gridgis.plan.mending.contested import Contested
from gridgis.plan.mending.receivers import STAYS

_Spot = tuple[float, float]

#: How far, in noises, a point that is left out may lie off the straight line.
_STRAIGHT = 2.0


class _Rings(NamedTuple):
    """Directed edges of polygons, by nodes: polygon `row` runs from `tail` to `head`."""

    row: Ints
    tail: Ints
    head: Ints


class _Nodes(NamedTuple):
    """All points that polygons run through: those of the plan, then those of their segments outside it.

    `at` (n, 2). `start`, `end`: the nodes of every segment of the matching whose polygon is in the plan or changes
    (-1 elsewhere). `own` are the keys row × len(at) + node of the nodes that were a polygon's own vertices, sorted.
    """

    at: Floats
    start: Ints
    end: Ints
    own: Ints


def rebuilt(contested: Contested, to: list[int], polygons: Objects, fixed: Bools, noise: float) -> dict[int, Any]:
    """The polygons that change, by position; None where nothing is left of one.

    Parameters
    ----------
    contested : Contested
    to : list of int
        The receiver of each piece.
    polygons : array of Polygon or MultiPolygon
        As they were.
    fixed : array of bool
        Polygons that are not touched, not even by a missing vertex.
    noise : float
        What is nearer than this, in units of the coordinates, is one place; vertices moved by more were snapped.
    """
    row, edge, sign = _exchanged(contested, to)
    nodes = _nodes(contested, len(polygons), row)
    size = len(nodes.at)
    moved = _moved(contested, nodes, noise)
    changed = distinct(np.concatenate([row, moved]))
    changed = changed[~fixed[changed]]
    rings = _rings(contested, nodes, changed, (row, edge, sign))
    touched = np.zeros(size, dtype=bool)
    touched[np.concatenate([contested.plan.low[edge], contested.plan.high[edge]])] = True
    bends = _bends(rings, nodes, touched, noise)
    others = nodes.own[~_among(changed, nodes.own // size)]
    wanted = distinct(np.concatenate([others % size, (rings.row * size + rings.tail)[bends] % size]))
    lacking = _lacking(contested, nodes, wanted)
    lacking = lacking[~fixed[lacking] & ~_among(changed, lacking)]
    if len(lacking):
        more = _rings(contested, nodes, lacking, (row[:0], edge[:0], sign[:0]))
        rings = _Rings(*(np.concatenate(pair) for pair in zip(rings, more, strict=True)))
        bends = np.concatenate([bends, _bends(more, nodes, np.zeros(size, dtype=bool), noise)])
    kept = bends | _among(distinct(np.concatenate([wanted, _of_ground(contested, nodes)])), rings.tail)
    rings = _without(rings, ~kept)
    own_at = _own_places(contested, nodes, touched, noise)
    rows = np.concatenate([changed, lacking])
    return _assembled(rings, rows, nodes, own_at, polygons)


def _exchanged(contested: Contested, to: list[int]) -> tuple[Ints, Ints, Ints]:
    """What changes: polygon, edge, and what is added to the polygon's direction there."""
    faces: list[Ints] = []
    rows: list[int] = []
    gains: list[int] = []
    for piece, taker in zip(contested.pieces, to, strict=True):
        if taker == STAYS:
            continue
        losers = piece.held() - {taker}
        for row in sorted(losers):
            faces.append(piece.faces)
            rows.append(row)
            gains.append(-1)
        if taker >= 0 and taker not in piece.held():
            faces.append(piece.faces)
            rows.append(taker)
            gains.append(1)
    if not faces:
        empty = np.empty(0, dtype=np.int64)
        return empty, empty, empty
    count = [len(own) for own in faces]
    every, who, gain = np.concatenate(faces), np.repeat(rows, count), np.repeat(gains, count)
    faced, at = np.unique(every, return_inverse=True)
    face, edge, side = around_faces(contested.plan, faced)
    order = np.argsort(face, kind="stable")
    face, edge, side = face[order], edge[order], side[order]
    which, of = spans(np.searchsorted(face, at, "left"), np.searchsorted(face, at, "right"))
    return who[of], edge[which], side[which] * gain[of]


def _nodes(contested: Contested, count: int, changed: Ints) -> _Nodes:
    """The nodes of all segments of polygons that are in the plan or `changed`."""
    plan, segments = contested.plan, contested.matching.segments
    present = np.zeros(count + 1, dtype=bool)
    present[contested.segments.owner[contested.segments.owner >= 0]] = True
    present[changed] = True
    present[GROUND] = False
    chosen = np.flatnonzero(present[segments.owner])
    places = np.concatenate([segments.start[chosen], segments.end[chosen]])
    as_one = np.ascontiguousarray(places).view(np.complex128).ravel()
    at = np.minimum(np.searchsorted(plan.ends, as_one), max(len(plan.ends) - 1, 0))
    known = plan.ends[at] == as_one if len(plan.ends) else np.zeros(len(as_one), dtype=bool)
    extra, position = np.unique(as_one[~known], return_inverse=True)
    node = np.empty(len(as_one), dtype=np.int64)
    node[known] = plan.snapped[at[known]]
    node[~known] = len(plan.points) + position
    start, end = np.full(len(segments.owner), -1, dtype=np.int64), np.full(len(segments.owner), -1, dtype=np.int64)
    start[chosen], end[chosen] = node[: len(chosen)], node[len(chosen) :]
    everywhere = np.concatenate([plan.points, extra.view(np.float64).reshape(-1, 2)])
    own = distinct(np.tile(segments.owner[chosen], 2) * len(everywhere) + node)
    return _Nodes(everywhere, start, end, own)


def _moved(contested: Contested, nodes: _Nodes, noise: float) -> Ints:
    """The polygons with a vertex that another one stands for, or an edge that runs through one, beyond noise."""
    segments = contested.matching.segments
    chosen = np.flatnonzero(nodes.start >= 0)
    off = nodes.at[nodes.start[chosen]] - segments.start[chosen]
    moved = segments.owner[chosen[np.hypot(off[:, 0], off[:, 1]) > 2 * noise]]
    plan = contested.plan
    start, end = contested.segments.start[plan.chain_row], contested.segments.end[plan.chain_row]
    span, here = end - start, plan.points[plan.chain_node] - start
    across = np.abs(span[:, 0] * here[:, 1] - span[:, 1] * here[:, 0])
    owner = contested.segments.owner[plan.chain_row]
    bent = (across > 2 * noise * np.hypot(span[:, 0], span[:, 1])) & (owner >= 0)
    return distinct(np.concatenate([moved, owner[bent]]))


def _rings(contested: Contested, nodes: _Nodes, rows: Ints, exchanged: tuple[Ints, Ints, Ints]) -> _Rings:
    """The directed edges of `rows` after the exchange; what runs both ways is gone."""
    plan, segments = contested.plan, contested.matching.segments
    chosen = np.zeros(int(max(segments.owner.max(initial=0), rows.max(initial=0))) + 3, dtype=bool)
    chosen[rows] = True
    row, edge, sign = exchanged
    there = chosen[row]
    here = chosen[plan.owner] & (plan.owner >= 0)
    owner = np.concatenate([plan.owner[here], row[there]])
    edges, signs = np.concatenate([plan.edge[here], edge[there]]), np.concatenate([plan.sign[here], sign[there]])
    keys, at = np.unique(owner * max(len(plan.low), 1) + edges, return_inverse=True)
    net = np.bincount(at, weights=signs, minlength=len(keys))
    keys, net = keys[net != 0], net[net != 0]
    owner, edges = keys // max(len(plan.low), 1), keys % max(len(plan.low), 1)
    tail = np.where(net > 0, plan.low[edges], plan.high[edges])
    head = np.where(net > 0, plan.high[edges], plan.low[edges])
    outside = chosen[segments.owner] & (segments.owner >= 0)
    outside[contested.used] = False
    real = outside & (nodes.start != nodes.end)
    return _Rings(
        np.concatenate([owner, segments.owner[real]]),
        np.concatenate([tail, nodes.start[real]]),
        np.concatenate([head, nodes.end[real]]),
    )


def _bends(rings: _Rings, nodes: _Nodes, touched: Bools, noise: float) -> Bools:
    """For each edge if its polygon needs its tail: a vertex that it had, or a place where it turns or meets itself.

    A vertex that it had where ground changed hands (`touched`) is needed only if it still turns there.
    """
    size = len(nodes.at)
    leaves, arrives = rings.row * size + rings.tail, rings.row * size + rings.head
    needed = _among(nodes.own, leaves) & ~touched[rings.tail]
    order = np.argsort(arrives, kind="stable")
    begin, end = (np.searchsorted(arrives[order], leaves, side) for side in ("left", "right"))
    _, at, times = np.unique(leaves, return_inverse=True, return_counts=True)
    through = np.flatnonzero(~needed & (end - begin == 1) & (times[at] == 1))
    before = nodes.at[rings.tail[order[begin[through]]]]
    here, after = nodes.at[rings.tail[through]], nodes.at[rings.head[through]]
    chord = after - before
    length = np.hypot(chord[:, 0], chord[:, 1])
    offset = here - before
    across = np.abs(chord[:, 0] * offset[:, 1] - chord[:, 1] * offset[:, 0])
    onward = ((after - here) * offset).sum(axis=1) > 0
    needed[:] = True
    needed[through] = ~((across <= _STRAIGHT * noise * length) & onward)
    before_it = dict(zip(through.tolist(), order[begin[through]].tolist(), strict=True))
    _keep_turns(needed, rings, nodes.at, before_it, noise)
    return needed


def _keep_turns(needed: Bools, rings: _Rings, at: Floats, before: dict[int, int], noise: float) -> None:
    """Mark what is needed of tails that follow each other: each may lie on its neighbours' line, and all turn together.

    `before` has the edge before each edge whose tail may be left out.
    """
    dropped = set(np.flatnonzero(~needed).tolist())
    after = {before[edge]: edge for edge in dropped if before[edge] in dropped}
    waiting = set(after) | set(after.values())
    for first in [edge for edge in sorted(waiting) if before[edge] not in dropped]:
        run = [first]
        while run[-1] in after:
            run.append(after[run[-1]])
        waiting.difference_update(run)
        places = at[[rings.tail[before[first]], *rings.tail[run], rings.head[run[-1]]]]
        needed[[run[i] for i in _turns(places, noise)]] = True
    needed[sorted(waiting)] = True  # rings without a beginning


def _turns(places: Floats, noise: float) -> list[int]:
    """The inner places (from 0) without which the line through `places` would move: the farthest, then between."""
    span, off = places[-1] - places[0], places[1:-1] - places[0]
    across = np.abs(span[0] * off[:, 1] - span[1] * off[:, 0])
    along = off @ span
    straight = (across <= _STRAIGHT * noise * np.hypot(*span)).all() and (np.diff(along, prepend=0.0) > 0).all()
    if len(off) == 0 or straight:
        return []
    far = int(np.argmax(np.hypot(*off.T) if not span.any() else across))
    return [*_turns(places[: far + 2], noise), far, *(far + 1 + i for i in _turns(places[far + 1 :], noise))]


def _among(sorted_keys: Ints, keys: Ints) -> Bools:
    if len(sorted_keys) == 0:
        return np.zeros(len(keys), dtype=bool)
    at = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    found: Bools = sorted_keys[at] == keys
    return found


def _lacking(contested: Contested, nodes: _Nodes, wanted: Ints) -> Ints:
    """Polygons whose edges run through a wanted node that is no vertex of theirs."""
    plan = contested.plan
    owner = contested.segments.owner[plan.chain_row]
    inside = (owner >= 0) & _among(wanted, plan.chain_node)
    owner, node = owner[inside], plan.chain_node[inside]
    own = _among(nodes.own, owner * len(nodes.at) + node)
    return distinct(owner[~own])


def _of_ground(contested: Contested, nodes: _Nodes) -> Ints:
    """The vertices of the ground: they stay where a polygon comes to run along it."""
    plan = contested.plan
    owner = contested.segments.owner
    there = np.flatnonzero(owner == GROUND)
    first = np.searchsorted(plan.chain_row, there, "left")
    last = np.searchsorted(plan.chain_row, there, "right") - 1
    real = last >= first
    return distinct(np.concatenate([plan.chain_node[first[real]], plan.chain_node[last[real]]]))


def _without(rings: _Rings, left_out: Bools) -> _Rings:
    """The rings without the tails of the edges that are `left_out`; each has one edge before it."""
    if not left_out.any():
        return rings
    size = int(max(rings.tail.max(), rings.head.max())) + 1
    leaves = rings.row * size + rings.tail
    follows = dict(zip(leaves[left_out].tolist(), rings.head[left_out].tolist(), strict=True))
    keep = ~left_out
    row, tail, head = rings.row[keep], rings.tail[keep], rings.head[keep].copy()
    for i in np.flatnonzero(_among(distinct(leaves[left_out]), row * size + head)).tolist():
        base = int(row[i]) * size
        node = int(head[i])
        while base + node in follows:
            node = follows[base + node]
        head[i] = node
    return _Rings(row, tail, head)


def _own_places(
    contested: Contested, nodes: _Nodes, touched: Bools, noise: float
) -> dict[tuple[int, int], tuple[float, float]]:
    """A polygon's own coordinates at nodes that stand for near ones: away from what changed they stay bit-identical."""
    segments = contested.matching.segments
    chosen = np.flatnonzero(nodes.start >= 0)
    node = nodes.start[chosen]
    off = nodes.at[node] - segments.start[chosen]
    chosen = chosen[(off != 0).any(axis=1) & (np.hypot(off[:, 0], off[:, 1]) <= 2 * noise) & ~touched[node]]
    places = map(tuple, segments.start[chosen].tolist())
    return dict(
        zip(zip(segments.owner[chosen].tolist(), nodes.start[chosen].tolist(), strict=True), places, strict=True)
    )


def _assembled(
    rings: _Rings, rows: Ints, nodes: _Nodes, own_at: dict[tuple[int, int], tuple[float, float]], polygons: Objects
) -> dict[int, Any]:
    """One polygon or multipolygon for each row from its directed edges."""
    order = np.argsort(rings.row, kind="stable")
    row, tail, head = rings.row[order], rings.tail[order], rings.head[order]
    begin, end = np.searchsorted(row, rows, "left"), np.searchsorted(row, rows, "right")
    out: dict[int, Any] = {}
    for r, b, e in zip(rows.tolist(), begin.tolist(), end.tolist(), strict=True):
        start, stop = nodes.at[tail[b:e]], nodes.at[head[b:e]]
        if own_at:
            _put_own(start, tail[b:e], r, own_at)
            _put_own(stop, head[b:e], r, own_at)
        out[r] = _polygon(start, stop, polygons[r])
    return out


def _put_own(places: Floats, node: Ints, row: int, own_at: dict[tuple[int, int], tuple[float, float]]) -> None:
    for i, n in enumerate(node.tolist()):
        place = own_at.get((row, n))
        if place is not None:
            places[i] = place


def _polygon(start: Floats, end: Floats, before: Any) -> Any:
    """What lies on the left of the edges, with parts and rings in the order of `before`; None if that is nothing."""
    tails, heads = list(map(tuple, start.tolist())), list(map(tuple, end.tolist()))
    ring = _single_ring(tails, heads)
    if ring is not None:
        return _like([shapely.polygons(np.array(ring))], before)
    faces = shapely.get_parts(shapely.polygonize(shapely.linestrings(np.stack([start, end], axis=1))))
    known = set(zip(tails, heads, strict=True))
    inside = []
    for face in shapely.orient_polygons(faces, exterior_cw=False):
        first, second = (tuple(xy) for xy in face.exterior.coords[:2])
        if (first, second) in known:
            inside.append(face)
    return _like(inside, before) if inside else None


def _single_ring(tails: list[_Spot], heads: list[_Spot]) -> list[_Spot] | None:
    """The edges as one ring that runs anticlockwise through no place twice, if that is what they are."""
    follows = dict(zip(tails, heads, strict=True))
    if not tails or len(follows) < len(tails):
        return None
    ring = [tails[0]]
    for _ in range(len(tails) - 1):
        after = follows.get(ring[-1])
        if after is None or after == tails[0]:
            return None
        ring.append(after)
    return ring if follows.get(ring[-1]) == tails[0] and shapely.is_ccw(shapely.linearrings(np.array(ring))) else None


def _like(parts: list[Any], before: Any) -> Any:
    """The parts as a polygon or multipolygon, wound and begun as `before` where its vertices are still there."""
    old = list(map(tuple, shapely.get_coordinates(before).tolist()))
    clockwise = not shapely.is_ccw(shapely.get_exterior_ring(shapely.get_geometry(before, 0)))
    begun = []
    for part in shapely.orient_polygons(np.array(parts, dtype=object), exterior_cw=bool(clockwise)):
        ring = list(map(tuple, shapely.get_coordinates(part.exterior)[:-1].tolist()))
        place = {xy: i for i, xy in enumerate(ring)}
        first = next((i for i, xy in enumerate(old) if xy in place), len(old))
        at = place[old[first]] if first < len(old) else place[min(ring)]
        begun.append((first, ring[at], _begun_at(at, ring, part)))
    shapes = [shape for _, _, shape in sorted(begun, key=lambda item: item[:2])]
    many = len(shapes) > 1 or shapely.get_type_id(before) == shapely.GeometryType.MULTIPOLYGON
    return shapely.MultiPolygon(shapes) if many else shapes[0]


def _begun_at(at: int, ring: list[_Spot], part: Any) -> Any:
    return shapely.polygons(np.array(ring[at:] + ring[:at]), holes=list(part.interiors) or None)
