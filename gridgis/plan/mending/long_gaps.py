"""Long gaps are shared out: one that runs along several polygons is cut across, and no polygon gets a spike.

A long gap is cut from each place where the polygon beside it changes, and from each corner where it branches, straight
to the other side. The polygon that comes first gets the cells that it has its share of, then the next one, and so on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import shapely

from gridgis.plan.checking.ruler import Bools, Floats
from gridgis.plan.checking.segments import Ints
from gridgis.plan.mending.contested import NOBODY, Contested, Given, Piece, Place, lies_beyond
from gridgis.plan.mending.receivers import Policy, may_have, owners_beyond

#: A gap is long when its area is less than this share of the disc with its perimeter (a strip 14 times as long as
#: wide), …
LONG_COMPACTNESS = 0.2
#: … and is shared out when nobody borders on this share of its perimeter: one whole side is a half.
_ONE_SIDE = 0.45
#: Angles inside the gap, in degrees: where the polygon beside it changes and the gap does not end; where it branches.
_ALONG, _BRANCH = 120.0, 220.0
#: A cut that meets the other side nearer to a vertex than this share of its length ends at the vertex.
_TO_VERTEX = 0.25
#: A polygon gets the cells in which it has at least this share of the longest border of anybody.
_SHARE = 0.5
#: How many places on the other side are tried, the nearest first.
_TRIED = 12


class _Outline(NamedTuple):
    """The edges of a gap, the gap on the left: `start` and `end` in the CRS, and who is beyond."""

    start: Floats
    end: Floats
    owner: Ints


def shared_gaps(contested: Contested, to: list[int], place: Place, policy: Policy) -> Given:
    """The cells of the long gaps, each with its receiver.

    Parameters
    ----------
    contested : Contested
    to : list of int
        The receivers so far: only gaps with one are shared out.
    place : Place
    policy : Policy
    """
    shapes: list[Any] = []
    takers: list[int] = []
    for piece, taker in zip(contested.pieces, to, strict=True):
        if taker < 0 or piece.over or piece.to >= 0 or piece.givers or len(piece.faces) != 1:
            continue
        outline = _outline(contested, piece, to)
        allowed = {
            row
            for row in set(outline.owner.tolist())
            if row >= 0 and not policy.protected[row] and may_have(row, piece, place)
        }
        if len(allowed) < 2 or not _is_long(outline, piece, allowed, place):
            continue
        cells, receivers = _shared(outline, contested.plan.faces[piece.faces[0]], allowed, place, policy)
        if len(set(receivers)) > 1:
            shapes += cells
            takers += receivers
    none = np.full(len(shapes), NOBODY, dtype=np.int64)
    return Given(np.array(shapes, dtype=object), np.array(takers, dtype=np.int64), none)


def _outline(contested: Contested, piece: Piece, to: list[int]) -> _Outline:
    plan = contested.plan
    low, high = plan.points[plan.low[piece.edges]], plan.points[plan.high[piece.edges]]
    left = (piece.sides > 0)[:, None]
    owner = np.array(owners_beyond(lies_beyond(contested, piece), to), dtype=np.int64)
    return _Outline(np.where(left, low, high), np.where(left, high, low), owner)


def _is_long(outline: _Outline, piece: Piece, allowed: set[int], place: Place) -> bool:
    span = (outline.end - outline.start) * place.ruler.unit_m
    length = np.hypot(span[:, 0], span[:, 1])
    perimeter = float(length.sum())
    most = max(float(length[outline.owner == row].sum()) for row in allowed)
    return 4 * np.pi * piece.area < LONG_COMPACTNESS * perimeter**2 and most < _ONE_SIDE * perimeter


def _shared(
    outline: _Outline, gap: Any, allowed: set[int], place: Place, policy: Policy
) -> tuple[list[Any], list[int]]:
    outline, cuts = _cut_across(outline, gap, np.array(place.ruler.unit_m))
    if len(cuts) == 0:
        return [gap], [NOBODY]
    sides = np.stack([outline.start, outline.end], axis=1)
    cells = shapely.get_parts(shapely.polygonize(shapely.linestrings(np.concatenate([sides, cuts]))))
    owner_of = {(*a, *b): o for a, b, o in zip(*(column.tolist() for column in outline), strict=True)}
    borders: list[dict[int, float]] = []
    edges: list[dict[tuple[float, ...], float]] = []
    for cell in shapely.orient_polygons(cells, exterior_cw=False):
        border: dict[int, float] = {}
        inner: dict[tuple[float, ...], float] = {}
        for ring in (cell.exterior, *cell.interiors):
            for a, b in zip(ring.coords[:-1], ring.coords[1:], strict=True):
                length = float(np.hypot(*((np.subtract(b, a)) * place.ruler.unit_m)))
                owner = owner_of.get((*a, *b))
                if owner is None:
                    inner[(*min(a, b), *max(a, b))] = length
                elif owner in allowed:
                    border[owner] = border.get(owner, 0.0) + length
        borders.append(border)
        edges.append(inner)
    return list(cells), _dealt(borders, edges, policy)


def _cut_across(outline: _Outline, gap: Any, scale: Floats) -> tuple[_Outline, Floats]:
    """The outline with the far ends of the cuts as vertices, and the cuts (n, 2, 2)."""
    start, end = outline.start * scale, outline.end * scale
    prepared = shapely.transform(gap, lambda xy: xy * scale)
    shapely.prepare(prepared)
    cuts: list[Floats] = []
    feet: dict[int, list[float]] = {}
    for edge, node in _places_to_cut(outline, start, end):
        found = _foot(node, edge, start, end, prepared)
        if found is not None:
            far, along = found
            if 0 < along < 1:
                feet.setdefault(far, []).append(along)
                target = outline.start[far] + along * (outline.end[far] - outline.start[far])
            else:
                target = outline.start[far] if along <= 0 else outline.end[far]
            cuts.append(np.stack([outline.start[edge], target]))
    if not cuts:
        return outline, np.empty((0, 2, 2))
    starts, ends, owners = [], [], []
    for edge in range(len(start)):
        stops = [0.0, *sorted(set(feet.get(edge, ()))), 1.0]
        nodes = [outline.start[edge] + along * (outline.end[edge] - outline.start[edge]) for along in stops[:-1]]
        nodes.append(outline.end[edge])
        starts += nodes[:-1]
        ends += nodes[1:]
        owners += [outline.owner[edge]] * (len(nodes) - 1)
    return _Outline(np.array(starts), np.array(ends), np.array(owners)), _distinct(np.array(cuts))


def _distinct(cuts: Floats) -> Floats:
    """A corner may be the far end of another corner's cut: the same cut is made once."""
    seen = {tuple(sorted(map(tuple, cut.tolist()))): cut for cut in cuts}
    return np.array(list(seen.values()))


def _places_to_cut(outline: _Outline, start: Floats, end: Floats) -> list[tuple[int, Floats]]:
    """Edges at whose beginning the gap is to be cut, with that place (scaled to metres)."""
    leaves = {tuple(xy): i for i, xy in enumerate(outline.start.tolist())}
    out = []
    for before in range(len(start)):
        after = leaves.get(tuple(outline.end[before].tolist()))
        if after is None:
            continue
        one, two = start[before] - end[before], end[after] - start[after]
        # From the edge that leaves to the one that arrives, anticlockwise: the angle on the gap's side.
        turn = np.degrees(np.arctan2(one[1], one[0]) - np.arctan2(two[1], two[0])) % 360
        a, b = outline.owner[before], outline.owner[after]
        if (turn > _ALONG and a != b and min(a, b) >= 0) or turn > _BRANCH:
            out.append((after, start[after]))
    return out


def _foot(node: Floats, edge: int, start: Floats, end: Floats, gap: Any) -> tuple[int, float] | None:
    """The nearest place on the other side that is seen from `node`: its edge, and how far along it (0 to 1)."""
    span = end - start
    along = np.clip(((node - start) * span).sum(axis=1) / (span**2).sum(axis=1), 0, 1)
    distance = np.hypot(*(start + along[:, None] * span - node).T)
    incident = (start == node).all(axis=1) | (end == node).all(axis=1)
    distance[incident] = np.inf
    for far in np.argsort(distance, kind="stable")[:_TRIED].tolist():
        if not np.isfinite(distance[far]):
            break
        share = float(along[far])
        length = float(np.hypot(*span[far]))
        reach = _TO_VERTEX * float(distance[far])
        tries = [share]
        if share * length < reach:
            tries = [0.0, share]
        elif (1 - share) * length < reach:
            tries = [1.0, share]
        for a in tries:
            place = start[far] + a * span[far]
            if distance[far] > 0 and _seen(node, place, gap):
                return far, a
    return None


def _seen(node: Floats, place: Floats, gap: Any) -> bool:
    line = shapely.linestrings([node + 1e-3 * (place - node), node + (1 - 1e-3) * (place - node)])
    inside: Bools = shapely.contains_properly(gap, line)
    return bool(inside)


def _dealt(borders: list[dict[int, float]], inner: list[dict[tuple[float, ...], float]], policy: Policy) -> list[int]:
    """The receiver of each cell."""
    to = [NOBODY] * len(borders)
    left = {i for i, border in enumerate(borders) if border}
    while left:
        total: dict[int, float] = {}
        for i in sorted(left):
            for row, length in borders[i].items():
                total[row] = total.get(row, 0.0) + length
        best = policy.first(sorted(total), total)
        own = [i for i in left if borders[i].get(best, 0.0) >= _SHARE * max(borders[i].values())]
        for i in own or [max(sorted(left), key=lambda i: borders[i].get(best, 0.0))]:
            to[i] = best
            left.discard(i)
    bare = [i for i, border in enumerate(borders) if not border]
    while bare:
        waiting = []
        for i in bare:
            total = {}
            for edge, length in inner[i].items():
                for j, other in enumerate(inner):
                    if j != i and edge in other and to[j] != NOBODY:
                        total[to[j]] = total.get(to[j], 0.0) + length
            to[i] = policy.first(sorted(total), total) if total else NOBODY
            if not total:
                waiting.append(i)
        if len(waiting) == len(bare):
            break
        bare = waiting
    return to
