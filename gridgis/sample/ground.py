"""The ground of the invented sub-district: streets of every class, river, railway, blocks, communities.

It is drawn in metres in the plane of :mod:`gridgis.sample.plane`, noded there once to whole multiples of 5 cm, and only
then carried to degrees. Every later outline is a union of the faces of that one network and so shares its vertices: the
communities tile the boundary vertex for vertex, after rounding too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, Point, Polygon
from shapely.ops import linemerge

from gridgis.sample import names
from gridgis.sample.lanes import make_lanes
from gridgis.sample.plane import Street, curve, faces_of

_SNAP_M = 0.05

#: Half the width of the ground that a barrier takes, in metres.
HALF_WIDTH = {
    "river": 20.0, "railway": 14.0, "expressway": 24.0, "main": 17.0, "secondary": 11.0, "lane": 6.0, "wall": 5.0,
}  # fmt: skip


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
#: A dual carriageway: its second one lies so many metres beside the first, east of it.
_DUAL, DUAL_M = "鹤渡路", 11.0
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
    ("secondary", "石榴路", [(228, 592), (340, 606), (520, 640), (668, 668)]),
    ("expressway", "望汀互通匝道", [(470, 858), (400, 822), (318, 742), (252, 652), (228, 592)]),
    ("lane", "船坞巷", [(-975, -672), (-860, -650), (-716, -664)]),
    ("lane", "鹤渡老街", [(-268, 330), (-160, 262), (-30, 286), (90, 232), (140, 150), (212, 118)]),
    ("lane", "渡口街", [(-205, -388), (-128, -300), (-10, -236), (48, -130), (66, 40)]),
    ("river", "荻塘浜", [(-838, -530), (-760, -590), (-640, -640), (-520, -612), (-406, -640)]),
)  # fmt: skip
#: Ends of these within so many metres of a larger street or river are moved onto it.
_MEET_M = 25.0
_POND = [
    (-962, -520), (-938, -458), (-890, -432), (-842, -452), (-806, -512), (-822, -568), (-880, -592), (-940, -578),
]  # fmt: skip


def make_ground() -> Ground:
    """Draw the plan; the same each time."""
    streets = _main_streets()
    outline = _enclosed([s.line for s in streets[:4]])
    lanes = make_lanes(streets, outline)
    streets = [s if s.through else s._replace(line=_kept(s.line, outline)) for s in [*streets, *lanes]]
    edges, classes, labels = _node(streets)
    faces = faces_of(edges, outline)
    outline = shapely.normalize(shapely.coverage_union_all(faces))
    water = _water(streets, outline)
    return Ground(outline, edges, classes, labels, faces, _units(faces, edges, labels), water)


def communities(ground: Ground) -> list[Polygon]:
    """The communities, in the order of their codes: unions of faces that share every vertex."""
    codes = [code for code, _, _ in names.COMMUNITIES]
    return [shapely.normalize(shapely.coverage_union_all(ground.faces[ground.units == code])) for code in codes]


def median(face: Polygon) -> bool:
    """Whether a face is the strip between two carriageways."""
    return bool(2 * face.area < 1.2 * DUAL_M * face.length)


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


def _main_streets() -> list[Street]:
    frame = [Street(kind, name, curve(points), True) for kind, name, points in _FRAME]
    through = [Street(kind, name, curve(points), True) for kind, name, points in _THROUGH]
    through += [street._replace(line=street.line.offset_curve(DUAL_M)) for street in through if street.name == _DUAL]
    streets = [*frame, Street("river", "兰沚河", curve(_RIVER, 25.0), True), *through]
    for kind, name, points in _INNER:
        lines = shapely.union_all([street.line for street in streets])
        ends = [shapely.shortest_line(Point(points[i]), lines) for i in (0, -1)]
        first, last = (end.coords[1] if end.length < _MEET_M else end.coords[0] for end in ends)
        streets.append(Street(kind, name, curve([first, *points[1:-1], last])))
    return streets


def _enclosed(lines: list[LineString]) -> Polygon:
    """The one face that the lines of the frame enclose."""
    rings = shapely.get_parts(shapely.polygonize([shapely.union_all(lines)]))
    return max(rings, key=lambda ring: ring.area)


def _kept(line: LineString, outline: Polygon) -> LineString:
    """The longest part of `line` inside the outline."""
    parts = shapely.get_parts(shapely.intersection(line, outline))
    return max(parts, key=lambda part: part.length)


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
