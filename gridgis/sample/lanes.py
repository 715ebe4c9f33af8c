"""Lanes, walls and blind alleys: the large faces between the streets are cut until they are blocks."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, Point, Polygon
from shapely.ops import split, substring

from gridgis.sample import names
from gridgis.sample.plane import Street, curve, faces_of, stream

#: An end within so many metres of a junction joins it.
_JOIN_M = 38.0
#: Places of blocks that no lane cuts: a park with a pond, fields along a ditch, the foot of a ramp.
_WHOLE = ((-890.0, -520.0), (-560.0, -500.0), (-560.0, -740.0), (430.0, 750.0))
#: Places of blocks that a lane leads into and ends.
_BLIND = (
    (-580.0, 130.0), (-820.0, -250.0), (-140.0, 360.0), (60.0, 350.0), (330.0, 350.0), (-160.0, 130.0),
    (120.0, -320.0), (180.0, -500.0), (590.0, -530.0), (750.0, -500.0), (750.0, -280.0), (730.0, -80.0),
    (930.0, -60.0), (750.0, -740.0),
)  # fmt: skip
#: Walls from street to street, each through the block at its first point.
_WALLS = (("糖厂围墙", (-600.0, -250.0), 0.5), ("铁路货场围墙", (520.0, -620.0), 0.55))

#: By how many metres the ends of some lanes fall short of the street that they lead to.
_SHORT_M = (1.2, 1.9, 2.6)


class ShortEnd(NamedTuple):
    """A lane that was drawn too short, where it should end, and how many metres are lacking."""

    name: str
    place: Point
    metres: float


class _Lanes:
    """Lanes drawn so far, and the junctions that the next one may join."""

    def __init__(self, junctions: list[Point]) -> None:
        self.junctions = junctions
        self.drawn: list[Street] = []
        self.names = iter(names.LANES)

    def name_for(self, line: LineString) -> str:
        """The name of the lane that `line` continues straight on, else a new one."""
        for own in (line.coords, line.coords[::-1]):
            for other in self.drawn:
                for theirs in (other.line.coords, other.line.coords[::-1]):
                    if other.kind == "lane" and _distance(own[0], theirs[0]) < 1 and _straight(own, theirs):
                        return other.name
        return next(self.names)

    def joined(self, end: Point, face: Polygon) -> Point:
        """`end`, or a junction on the same face nearby: four ways meet rather than three and three."""
        ends = [Point(c) for s in self.drawn for c in (s.line.coords[0], s.line.coords[-1])]
        near = [p for p in [*self.junctions, *ends] if p.distance(end) < _JOIN_M and p.distance(face) < 0.01]
        return min(near, key=lambda p: p.distance(end)) if near else end

    def chord(self, face: Polygon, share: float, rng: np.random.Generator) -> LineString:
        """A slightly bent line across `face`, `share` along its long side."""
        corners = shapely.get_coordinates(shapely.oriented_envelope(face))[:4]
        if _distance(corners[0], corners[1]) < _distance(corners[1], corners[2]):
            corners = np.roll(corners, -1, axis=0)
        along, across = corners[1] - corners[0], corners[3] - corners[0]
        tilt = rng.normal(0.0, 0.04)
        a = corners[0] + along * (share - tilt) - across * 0.2
        b = corners[0] + along * (share + tilt) + across * 1.2
        inside = max(shapely.get_parts(face.intersection(LineString([a, b]))), key=lambda part: part.length)
        first, last = (self.joined(Point(c), face) for c in (inside.coords[0], inside.coords[-1]))
        middle = np.asarray([(first.x + last.x) / 2, (first.y + last.y) / 2])
        middle += along / np.hypot(*along) * rng.normal(0.0, 4.0)
        return curve([(first.x, first.y), tuple(middle), (last.x, last.y)], 40.0)


def _distance(a: Any, b: Any) -> float:
    return float(np.hypot(a[0] - b[0], a[1] - b[1]))


def _straight(own: Any, theirs: Any) -> bool:
    u, v = np.subtract(own[1], own[0]), np.subtract(theirs[0], theirs[1])
    return bool(u @ v > 0.85 * np.hypot(*u) * np.hypot(*v))


def _pieces(face: Polygon, line: LineString) -> list[Polygon]:
    """The two sides of `face` on a line that ends on its border."""
    a, b = np.asarray(line.coords[0]), np.asarray(line.coords[-1])
    u, v = a - np.asarray(line.coords[1]), b - np.asarray(line.coords[-2])
    longer = LineString([tuple(a + u / np.hypot(*u)), *line.coords, tuple(b + v / np.hypot(*v))])
    parts = [part for part in split(face, longer).geoms if part.area > 50]
    return sorted(parts, key=lambda part: (round(part.centroid.x), round(part.centroid.y)))


def _wanted_m2(face: Polygon, rng: np.random.Generator) -> float:
    """How large a block is left uncut: large estates and fields at the edges, small blocks in the old town."""
    x, y = face.centroid.coords[0]
    old_town = np.hypot(x - 120, y - 30) < 420
    return float(rng.uniform(26e3, 38e3) if old_town else rng.uniform(42e3, 60e3))


def make_lanes(streets: list[Street], outline: Polygon) -> list[Street]:
    """Cut the faces of the main network by lanes until they are blocks; then the walls and the dead ends."""
    edges = shapely.get_parts(shapely.union_all([s.line for s in streets]))
    lanes = _Lanes(_junctions(edges))
    faces = faces_of(edges, outline)
    waiting, blocks = list(faces[::-1]), []
    while waiting:
        face = waiting.pop()
        rng = stream(1, face)
        narrow = 4 * np.pi * face.area / face.length**2 < 0.3
        whole = narrow or shapely.contains_xy(face, *zip(*_WHOLE, strict=True)).any()
        if whole or face.area < 1.35 * _wanted_m2(face, rng):
            blocks.append(face)
            continue
        line, halves = _halved(face, lanes, rng)
        if not halves:
            blocks.append(face)
            continue
        lanes.drawn.append(Street("lane", lanes.name_for(line), line))
        waiting += halves[::-1]
    for name, place, share in _WALLS:
        face = next(b for b in blocks if b.contains(Point(place)))
        lanes.drawn.append(Street("wall", name, lanes.chord(face, share, stream(1, face))))
    return [*lanes.drawn, *_blind(blocks, lanes)]


def _halved(face: Polygon, lanes: _Lanes, rng: np.random.Generator) -> tuple[LineString, list[Polygon]]:
    """A lane across `face` and its two sides, neither of them small; no sides if a few tries find none."""
    for _ in range(6):
        line = lanes.chord(face, rng.uniform(0.42, 0.58), rng)
        halves = _pieces(face, line)
        if len(halves) == 2 and min(half.area for half in halves) > 0.25 * face.area:
            return line, halves
    return line, []


def _junctions(edges: NDArray[Any]) -> list[Point]:
    """Where three or more edges of the main network meet."""
    ends = np.vstack([shapely.get_coordinates(shapely.get_point(edges, i)) for i in (0, -1)])
    places, count = np.unique(np.round(ends, 3), axis=0, return_counts=True)
    return [Point(xy) for xy in places[count > 2]]


def _blind(blocks: list[Polygon], lanes: _Lanes) -> list[Street]:
    """Lanes from a street into a block, ending there."""
    ends = []
    for place in _BLIND:
        face = next(b for b in blocks if b.contains(Point(place)))
        rng = stream(1, face)
        whole = lanes.chord(face, rng.uniform(0.4, 0.6), rng)
        ends.append(Street("lane", next(lanes.names), substring(whole, 0.0, 0.55 * whole.length)))
    return ends


def fall_short(streets: list[Street]) -> tuple[list[Street], list[ShortEnd]]:
    """The streets with a few lanes cut off just before the larger street that they lead to."""
    ends = [place for s in streets for place in (s.line.coords[0], s.line.coords[-1])]
    several = Counter(s.name for s in streets)  # what lies between two carriageways is no block anyway
    larger = {
        place for s in streets if s.kind in ("main", "secondary") and several[s.name] == 1 for place in s.line.coords
    }
    leading = [
        row
        for row, s in enumerate(streets)
        if s.kind == "lane" and s.line.length > 120.0 and s.line.coords[-1] in larger
        and s.line.coords[0] in larger and ends.count(s.line.coords[-1]) == 1
    ]  # fmt: skip
    chosen = [leading[i] for i in np.linspace(0, len(leading) - 1, len(_SHORT_M)).astype(int)]
    out, short = list(streets), []
    for row, metres in zip(chosen, _SHORT_M, strict=True):
        line = streets[row].line
        out[row] = streets[row]._replace(line=substring(line, 0.0, line.length - metres))
        short.append(ShortEnd(streets[row].name, Point(line.coords[-1]), metres))
    return out, short
