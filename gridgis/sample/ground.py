"""The ground of the invented sub-district: streets of every class, river, railway, blocks, communities.

It is drawn in metres in a plane of its own, x to the east and y to the north, noded there once to whole multiples of
5 cm, and only then carried to degrees (:func:`to_degrees`). Every later outline is a union of the faces of that one
network and so shares its vertices: the communities tile the boundary vertex for vertex, after rounding too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely import LineString, Point, Polygon
from shapely.ops import linemerge, split, substring

from gridgis.crs import WGS84, zone_crs
from gridgis.sample import names

#: Every room of the sample draws from its own stream, so that one can grow without moving the others.
SEED = 20260302

CENTRE = (114.62, 30.21)
_TURN_DEG = 7.0
_SNAP_M = 0.05
_JOIN_M = 38.0

#: Half the width of the ground that a barrier takes, in metres.
HALF_WIDTH = {
    "river": 20.0, "railway": 14.0, "expressway": 24.0, "main": 17.0, "secondary": 11.0, "lane": 6.0, "wall": 5.0,
}  # fmt: skip

Points = list[tuple[float, float]]


class Street(NamedTuple):
    """One line of the plan with its class and name; `through` ones run on beyond the boundary."""

    kind: str
    name: str
    line: LineString
    through: bool = False


@dataclass(frozen=True)
class Ground:
    """The plan in metres: noded edges with class and name, faces between them, and the unit of each face."""

    outline: Polygon
    edges: NDArray[Any]
    classes: NDArray[Any]
    names: NDArray[Any]
    faces: NDArray[Any]
    units: NDArray[Any]
    water: list[tuple[str, Polygon]]


_FRAME = (
    ("expressway", "绕城高速", [
        (-1350, 795), (-1050, 838), (-500, 864), (0, 850), (500, 858), (1000, 884), (1350, 915),
    ]),
    ("main", "西汀路", [
        (-1000, 1120), (-1036, 840), (-1012, 500), (-1046, 100), (-1028, -300), (-985, -700), (-950, -1100),
    ]),
    ("main", "南渚路", [
        (-1350, -795), (-980, -816), (-500, -850), (-100, -832), (400, -872), (900, -846), (1350, -815),
    ]),
    ("river", "东屏港", [
        (1100, 1150), (1066, 880), (1034, 500), (1078, 100), (1052, -350), (1012, -850), (980, -1120),
    ]),
)  # fmt: skip
_RIVER = [
    (-300, 1150), (-352, 870), (-438, 560), (-352, 260), (-188, 0), (-226, -290), (-408, -560), (-392, -850),
    (-320, -1120),
]  # fmt: skip
_THROUGH = (
    ("main", "望汀大道", [
        (-1350, -40), (-1040, 22), (-700, 72), (-250, 34), (200, 58), (600, 34), (1065, 104), (1350, 150),
    ]),
    ("main", "鹤渡路", [(120, 1120), (172, 855), (246, 450), (204, 60), (262, -380), (332, -862), (380, -1100)]),
    ("railway", "望汀铁路", [(640, 1150), (652, 870), (700, 400), (806, 0), (884, -400), (908, -850), (900, -1120)]),
)  # fmt: skip
_INNER = (
    ("secondary", "兰桥路", [
        (-1060, 418), (-740, 462), (-400, 466), (0, 436), (246, 450), (560, 436), (800, 470), (1080, 482),
    ]),
    ("secondary", "青石路", [
        (-1080, -352), (-740, -398), (-260, -380), (262, -404), (640, -372), (870, -418), (1090, -440),
    ]),
    ("secondary", "荻塘路", [(-738, 900), (-752, 640), (-740, 462), (-700, 70), (-742, -398), (-694, -900)]),
    ("secondary", "文澜路", [(488, 900), (512, 640), (560, 440), (588, 40), (640, -372), (652, -900)]),
    ("secondary", "柳堤路", [
        (-262, 900), (-300, 780), (-362, 560), (-276, 296), (-104, 20), (-140, -270), (-318, -560), (-300, -900),
    ]),
    ("expressway", "望汀互通匝道", [(470, 858), (400, 822), (318, 742), (250, 640), (221, 575)]),
    ("river", "荻塘浜", [(-838, -530), (-760, -590), (-640, -640), (-520, -612), (-406, -640)]),
)  # fmt: skip
#: Walls from street to street, each through the block at its first point.
_WALLS = (("糖厂围墙", (-600.0, -250.0), 0.5), ("铁路货场围墙", (520.0, -620.0), 0.55))
_POND = [
    (-962, -520), (-938, -458), (-890, -432), (-842, -452), (-806, -512), (-822, -568), (-880, -592), (-940, -578),
]  # fmt: skip


def make_ground() -> Ground:
    """Draw the plan; the same each time."""
    rng = np.random.default_rng([SEED, 1])
    streets = _main_streets()
    outline = _enclosed([s.line for s in streets[:4]])
    lanes = _lanes(streets, outline, rng)
    streets = [s if s.through else s._replace(line=_kept(s.line, outline)) for s in [*streets, *lanes]]
    edges, classes, labels = _node(streets)
    faces = _faces(edges, outline)
    outline = shapely.normalize(shapely.coverage_union_all(faces))
    water = _water(streets, outline)
    return Ground(outline, edges, classes, labels, faces, _units(faces, edges, labels), water)


def communities(ground: Ground) -> list[Polygon]:
    """The communities, in the order of their codes: unions of faces that share every vertex."""
    codes = [code for code, _, _ in names.COMMUNITIES]
    return [shapely.normalize(shapely.coverage_union_all(ground.faces[ground.units == code])) for code in codes]


def barrier_lines(ground: Ground) -> list[Street]:
    """Edges merged into one line for each run of a street, with a vertex at every junction."""
    keys = sorted({(str(k), str(n)) for k, n in zip(ground.classes, ground.names, strict=True)})
    merged = []
    for kind, name in keys:
        own = ground.edges[(ground.classes == kind) & (ground.names == name)]
        line = linemerge(list(own))
        parts = sorted(shapely.get_parts(shapely.normalize(line)), key=lambda part: part.coords[0])
        merged += [Street(kind, name, part) for part in parts]
    return merged


def to_degrees(shapes: Any) -> Any:
    """Geometry of the plan in WGS 84, longitude before latitude, rounded to 7 decimals (about 1 cm)."""
    forth, _, (east, north) = _transformers()

    def move(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        turned = xy @ _turn().T
        return np.round(np.column_stack(forth.transform(east + turned[:, 0], north + turned[:, 1])), 7)

    return shapely.transform(shapes, move)


def to_plan(shapes: Any) -> Any:
    """Geometry in WGS 84 back in the metres of the plan; for measuring and walking, never to be written."""
    _, back, origin = _transformers()

    def move(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((np.column_stack(back.transform(degrees[:, 0], degrees[:, 1])) - origin) @ _turn())

    return shapely.transform(shapes, move)


@cache
def _transformers() -> tuple[pyproj.Transformer, pyproj.Transformer, tuple[float, float]]:
    """From the metric zone of the place to WGS 84, back, and the centre in the zone."""
    zone = zone_crs(*CENTRE)
    back = pyproj.Transformer.from_crs(WGS84, zone, always_xy=True)
    return pyproj.Transformer.from_crs(zone, WGS84, always_xy=True), back, back.transform(*CENTRE)


def _turn() -> NDArray[np.float64]:
    """Rotation of the plan against the grid of the zone: no street of a town runs due north."""
    cos, sin = np.cos(np.radians(_TURN_DEG)), np.sin(np.radians(_TURN_DEG))
    return np.array([[cos, -sin], [sin, cos]])


def curve(points: Any, step: float = 30.0) -> LineString:
    """A smooth line (Catmull-Rom) through `points` with a vertex about every `step` metres."""
    p = np.asarray(points, dtype=float)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = np.linspace(0.0, 1.0, 24, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True):
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    dense = LineString(np.vstack([*pieces, p[-2:-1]]))
    count = max(1, round(dense.length / step))
    return LineString(
        shapely.get_coordinates(shapely.line_interpolate_point(dense, np.linspace(0, 1, count + 1), True))
    )


def _main_streets() -> list[Street]:
    frame = [Street(kind, name, curve(points), True) for kind, name, points in _FRAME]
    through = [Street(kind, name, curve(points), True) for kind, name, points in _THROUGH]
    inner = [Street(kind, name, curve(points)) for kind, name, points in _INNER]
    return [*frame, Street("river", "兰沚河", curve(_RIVER, 25.0), True), *through, *inner]


def _enclosed(lines: list[LineString]) -> Polygon:
    """The one face that the lines of the frame enclose."""
    rings = shapely.get_parts(shapely.polygonize([shapely.union_all(lines)]))
    return max(rings, key=lambda ring: ring.area)


def _kept(line: LineString, outline: Polygon) -> LineString:
    """The longest part of `line` inside the outline."""
    parts = shapely.get_parts(shapely.intersection(line, outline))
    return max(parts, key=lambda part: part.length)


# --- lanes ------------------------------------------------------------------------------------------------------------


class _Lanes:
    """Lanes drawn so far, and the junctions that the next one may join."""

    def __init__(self, rng: np.random.Generator, junctions: list[Point]) -> None:
        self.rng = rng
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

    def chord(self, face: Polygon, share: float) -> LineString:
        """A slightly bent line across `face`, `share` along its long side."""
        corners = shapely.get_coordinates(shapely.oriented_envelope(face))[:4]
        if _distance(corners[0], corners[1]) < _distance(corners[1], corners[2]):
            corners = np.roll(corners, -1, axis=0)
        along, across = corners[1] - corners[0], corners[3] - corners[0]
        tilt = self.rng.normal(0.0, 0.04)
        a = corners[0] + along * (share - tilt) - across * 0.2
        b = corners[0] + along * (share + tilt) + across * 1.2
        inside = max(shapely.get_parts(face.intersection(LineString([a, b]))), key=lambda part: part.length)
        first, last = (self.joined(Point(c), face) for c in (inside.coords[0], inside.coords[-1]))
        middle = np.asarray([(first.x + last.x) / 2, (first.y + last.y) / 2])
        middle += along / np.hypot(*along) * self.rng.normal(0.0, 4.0)
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
    return float(rng.uniform(24e3, 36e3) if old_town else rng.uniform(36e3, 62e3))


def _lanes(streets: list[Street], outline: Polygon, rng: np.random.Generator) -> list[Street]:
    """Cut the faces of the main network by lanes until they are blocks; then the walls and the dead ends."""
    edges = shapely.get_parts(shapely.union_all([s.line for s in streets]))
    lanes = _Lanes(rng, _junctions(edges))
    faces = _faces(edges, outline)
    waiting, blocks = list(faces[::-1]), []
    while waiting:
        face = waiting.pop()
        narrow = 4 * np.pi * face.area / face.length**2 < 0.3
        if narrow or face.area < 1.35 * _wanted_m2(face, rng):
            blocks.append(face)
            continue
        line = lanes.chord(face, rng.uniform(0.44, 0.56))
        halves = _pieces(face, line)
        if len(halves) != 2 or min(h.area for h in halves) < 0.25 * face.area:
            blocks.append(face)
            continue
        lanes.drawn.append(Street("lane", lanes.name_for(line), line))
        waiting += halves[::-1]
    for name, place, share in _WALLS:
        face = next(b for b in blocks if b.contains(Point(place)))
        lanes.drawn.append(Street("wall", name, lanes.chord(face, share)))
    return [*lanes.drawn, *_dead_ends(blocks, lanes)]


def _junctions(edges: NDArray[Any]) -> list[Point]:
    """Where three or more edges of the main network meet."""
    ends = np.vstack([shapely.get_coordinates(shapely.get_point(edges, i)) for i in (0, -1)])
    places, count = np.unique(np.round(ends, 3), axis=0, return_counts=True)
    return [Point(xy) for xy in places[count > 2]]


def _dead_ends(blocks: list[Polygon], lanes: _Lanes) -> list[Street]:
    """Short lanes from a street into every fifth larger block, ending there."""
    large = sorted(
        (b for b in blocks if 28e3 < b.area < 60e3), key=lambda b: (round(b.centroid.y), round(b.centroid.x))
    )
    ends = []
    for face in large[::5]:
        whole = lanes.chord(face, lanes.rng.uniform(0.4, 0.6))
        length = 0.55 * whole.length
        ends.append(Street("lane", next(lanes.names), substring(whole, 0.0, length)))
    return ends


# --- from lines to faces ----------------------------------------------------------------------------------------------


def _node(streets: list[Street]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Noded edges, each with the class and name of the street it came from."""
    lines = np.array([s.line for s in streets], dtype=object)
    edges = shapely.get_parts(shapely.union_all(lines, grid_size=_SNAP_M))
    edges = shapely.normalize(edges)
    edges = edges[np.lexsort(shapely.bounds(edges).T[::-1])]
    middle = shapely.line_interpolate_point(edges, 0.5, normalized=True)
    owner = shapely.STRtree(lines).nearest(middle)
    kinds = np.array([s.kind for s in streets], dtype=object)
    labels = np.array([s.name for s in streets], dtype=object)
    return edges, kinds[owner], labels[owner]


def _faces(edges: NDArray[Any], outline: Polygon) -> NDArray[Any]:
    """Faces between the edges, inside the outline, from north to south and west to east."""
    faces = shapely.get_parts(shapely.polygonize(list(edges)))
    faces = faces[shapely.contains(outline, shapely.point_on_surface(faces))]
    centre = shapely.get_coordinates(shapely.centroid(faces))
    order = np.lexsort((np.round(centre[:, 0]), -np.round(centre[:, 1])))
    return np.asarray(shapely.normalize(faces[order]))


def _units(faces: NDArray[Any], edges: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
    """The community of each face. The river, the avenue and 文澜路 part them, the avenue only between the two."""
    limits = [name for _, name, _ in _FRAME] + ["兰沚河", "望汀大道", "文澜路"]
    regions = shapely.get_parts(shapely.polygonize(list(edges[np.isin(labels, limits)])))
    middle = shapely.point_on_surface(faces)
    units = np.full(len(faces), None, dtype=object)
    for code, _, places in names.COMMUNITIES:
        for place in places:
            region = regions[np.flatnonzero(shapely.contains_xy(regions, *place))[0]]
            units[shapely.contains(region, middle)] = code
    return units


def _water(streets: list[Street], outline: Polygon) -> list[tuple[str, Polygon]]:
    """River beds of changing width, a ditch and a pond."""
    beds = []
    for street in streets:
        if street.kind == "river":
            half = 4.0 if street.name == "荻塘浜" else HALF_WIDTH["river"] - 5.0
            beds.append((street.name, _bed(street.line, half)))
    around = shapely.buffer(outline, 150.0, quad_segs=4)
    clipped = [(name, max(shapely.get_parts(bed.intersection(around)), key=lambda p: p.area)) for name, bed in beds]
    pond = Polygon(curve([*_POND, _POND[0]], 18.0).coords)
    return [*clipped, ("荻塘", shapely.difference(pond, shapely.union_all([bed for _, bed in beds])))]


def _bed(line: LineString, half: float) -> Polygon:
    """A river bed about `half` metres to each side, wider here and narrower there."""
    coords = shapely.get_coordinates(line)
    ahead = np.gradient(coords, axis=0)
    normal = np.column_stack([-ahead[:, 1], ahead[:, 0]]) / np.hypot(*ahead.T)[:, None]
    steps = np.arange(len(coords))
    left = coords + normal * (half * (1 + 0.18 * np.sin(steps / 3.1)))[:, None]
    right = coords - normal * (half * (1 + 0.18 * np.sin(steps / 4.3 + 1)))[:, None]
    return Polygon(np.vstack([left, right[::-1]]))
