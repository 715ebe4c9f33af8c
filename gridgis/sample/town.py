"""What stands on the ground: who uses which block, compounds, buildings in rows, and their addresses.

Buildings stand in rows along their block, set back from every street, wall, railway and water; the rows of one block
never meet those of another, because each stays inside its own plot.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import shapely
from shapely import LineString, Point, Polygon, affinity

from gridgis.sample.ground import HALF_WIDTH, Ground, barrier_lines, median
from gridgis.sample.plane import stream

BUILDINGS = 600

#: What a block is used for and its name, by a place in it; every other block is housing of the old town without a name.
_USES = (
    ("managed", "望汀府", (-880, 345)), ("managed", "清晏园", (-900, -50)), ("managed", "星野花园", (-580, -75)),
    ("managed", "兰沚华庭", (-330, -270)), ("managed", "听澜花园", (90, 745)), ("managed", "柳堤名邸", (-270, 570)),
    ("managed", "鹤鸣苑", (110, 530)), ("managed", "澄湖雅居", (380, 540)), ("managed", "沁芳庭", (560, -280)),
    ("managed", "汀兰苑", (-60, -510)), ("managed", "映月湾", (180, -730)), ("managed", "知秋园", (400, -740)),
    ("managed", "云岸公馆", (580, 750)), ("managed", "拾光苑", (610, 540)), ("managed", "半山晴岚", (640, 330)),
    ("mixed", "棉纺新村", (-580, 130)), ("mixed", "糖厂新村", (-520, -230)), ("mixed", "建新里", (-820, -250)),
    ("mixed", "鹤渡坊", (-140, 360)), ("mixed", "桥东坊", (60, 140)), ("mixed", "工农里", (480, 350)),
    ("mixed", "苇桥新村", (520, -90)), ("mixed", "船厂新村", (-220, -500)), ("mixed", "青石坊", (180, -500)),
    ("mixed", "渡口坊", (50, -300)), ("mixed", "铁路新村", (750, -500)), ("mixed", "机修里", (750, -280)),
    ("rural", "石磨村", (-880, 560)), ("rural", "荻塘村", (-850, -750)), ("rural", "上埠村", (950, -50)),
    ("rural", "沈家湾村", (960, -300)),
    ("school", "望汀第一小学", (-310, -80)), ("school", "望汀中学", (-160, 745)), ("school", "苇桥小学", (330, -300)),
    ("school", "东埠学校", (780, -740)), ("hospital", "望汀医院", (310, 145)), ("hospital", "柳汀医院", (-580, 350)),
    ("commerce", "鹤渡广场", (500, 130)), ("commerce", "望汀百货", (310, 0)), ("commerce", "苇桥商厦", (140, -70)),
    ("commerce", "西汀市场", (-950, 140)), ("market", "苇桥农贸市场", (380, -510)),
    ("office", "望汀街道办事处", (-20, -50)), ("office", "渚南实业", (250, 720)), ("office", "鹤渡科技园", (430, 750)),
    ("works", "望汀糖厂", (-670, -290)), ("works", "绕城仓库", (-660, 660)), ("works", "东屏机械厂", (750, 760)),
    ("works", "东屏纸品厂", (950, 780)), ("works", "晴岚陶瓷厂", (760, 575)), ("works", "东埠物流园", (790, 360)),
    ("works", "铁路货场", (560, -800)),
    ("park", "荻塘公园", (-890, -520)), ("park", "北渚公园", (-480, 670)), ("park", "兰沚河公园", (-400, 230)),
    ("park", "水塔公园", (-230, -740)), ("park", "柳堤绿带北", (-380, 650)), ("park", "柳堤绿带中", (-300, 245)),
    ("park", "柳堤绿带南", (-160, -170)), ("park", "柳堤绿带末", (-370, -610)),
    ("field", "", (-890, 750)), ("field", "", (-970, -250)), ("field", "", (-560, -500)), ("field", "", (-560, -740)),
    ("field", "", (940, 580)), ("field", "", (950, 360)), ("field", "", (910, 160)), ("field", "", (960, -620)),
    ("field", "", (-50, -740)),
)  # fmt: skip

#: Metres from the edge of the street's own ground to the first building.
_SETBACK = {"managed": 9.0, "rural": 6.0, "works": 9.0}


class Rows(NamedTuple):
    """How the rows of one use are laid: depth and pitch of a row, lengths of its buildings, gap between, in metres."""

    depth: float
    pitch: float
    lengths: tuple[float, ...]
    gap: float
    keep: float = 1.0


_ROWS = {
    "managed": Rows(13.0, 36.0, (44.0, 52.0, 60.0), 13.0),
    "mixed": Rows(11.0, 33.0, (34.0, 42.0, 50.0), 13.0, 0.95),
    "rural": Rows(10.0, 21.0, (11.0, 12.5, 14.0), 12.0, 0.5),
    "school": Rows(15.0, 52.0, (54.0, 66.0), 22.0, 0.8),
    "hospital": Rows(18.0, 46.0, (48.0, 60.0), 20.0, 0.85),
    "commerce": Rows(30.0, 54.0, (44.0, 60.0), 16.0, 0.9),
    "office": Rows(18.0, 48.0, (40.0, 52.0), 26.0, 0.7),
    "market": Rows(26.0, 48.0, (60.0, 75.0), 18.0, 0.8),
    "works": Rows(30.0, 52.0, (58.0, 72.0, 90.0), 18.0, 0.85),
}
_KIND = {
    "managed": "apartments", "mixed": "apartments", "rural": "house", "school": "school", "hospital": "hospital",
    "commerce": "commercial", "office": "office", "market": "retail", "works": "industrial",
}  # fmt: skip
_LEVELS = {
    "managed": (7, 7, 9, 11), "mixed": (4, 6, 6, 6), "rural": (2, 2, 3), "school": (3, 4, 5), "hospital": (3, 5, 8),
    "commerce": (3, 4, 6), "office": (5, 7, 9), "market": (1, 2), "works": (1, 1, 2),
}  # fmt: skip


class Lot(NamedTuple):
    """One block in use: its plot (the block without its streets' ground and water) and its street address."""

    use: str
    name: str
    face: int
    unit: str
    plot: Polygon
    address: str


class Building(NamedTuple):
    """One building; `doors` is the number of dwellings on each floor, `axis` the line along which they lie."""

    lot: int
    unit: str
    kind: str
    name: str | None
    levels: int
    address: str
    shape: Polygon
    doors: int
    axis: LineString


class Town(NamedTuple):
    """Lots in the order of the faces, buildings in the order of their codes."""

    lots: list[Lot]
    buildings: list[Building]


def make_town(ground: Ground) -> Town:
    """Settle the ground; the same each time."""
    streets = Numbers(ground)
    lots = list(_lots(ground, streets))
    found: list[Building] = []
    for number, lot in enumerate(lots):
        taken: list[Building] = []
        rng = stream(2, ground.faces[lot.face])
        if lot.use == "mixed":
            taken = _shops(number, lot, ground, streets, rng)
        found += taken
        found += _rows_of(number, lot, [b.shape for b in taken], ground, rng)
    return Town(lots, _exactly(found, BUILDINGS))


def _exactly(found: list[Building], count: int) -> list[Building]:
    """`count` of them: shops are left out first, evenly, and what stays keeps its order."""
    shops = [i for i, b in enumerate(found) if b.kind == "retail" and b.levels <= 2]
    surplus = len(found) - count
    left_out = {shops[int(i)] for i in np.linspace(0, len(shops) - 1, surplus)} if surplus > 0 else set()
    kept = [b for i, b in enumerate(found) if i not in left_out]
    return sorted(kept, key=lambda b: b.unit)


# --- lots and addresses -----------------------------------------------------------------------------------------------


class Numbers:
    """House numbers along the streets: odd on the left, even on the right, growing with the distance."""

    def __init__(self, ground: Ground) -> None:
        self._lines: dict[str, LineString] = {}
        for street in barrier_lines(ground):
            known = self._lines.get(street.name)
            if known is None or known.length < street.line.length:
                self._lines[street.name] = street.line
        self._used: set[tuple[str, int]] = set()

    def take(self, street: str, place: Point) -> int:
        """A number that nobody has, for a place beside a street."""
        line = self._lines[street]
        along = line.project(place)
        foot, ahead = line.interpolate(along), line.interpolate(along + 1.0)
        side = (ahead.x - foot.x) * (place.y - foot.y) - (ahead.y - foot.y) * (place.x - foot.x)
        number = 2 * int(along // 7) + (1 if side > 0 else 2)
        while (street, number) in self._used:
            number += 2
        self._used.add((street, number))
        return number


def _lots(ground: Ground, streets: Numbers) -> Iterator[Lot]:
    wet = shapely.buffer(shapely.union_all([bed for _, bed in ground.water]), 7.0, quad_segs=3)
    uses = _uses(ground)
    for number, face in enumerate(ground.faces):
        if median(face):
            continue
        use, name = uses[number]
        plot = _plot(face, ground, wet)
        street, gate = _gate(face, ground)
        if use in ("managed", "mixed"):
            address = f"{street}{streets.take(street, gate)}弄"
        elif use == "rural":
            address = name
        elif use in ("park", "field"):
            address = street
        else:
            address = f"{street}{streets.take(street, gate)}号"
        yield Lot(use, name, number, str(ground.units[number]), plot, address)


def _uses(ground: Ground) -> list[tuple[str, str]]:
    uses = [("mixed", "")] * len(ground.faces)
    tree = shapely.STRtree(ground.faces)
    for use, name, (x, y) in _USES:
        uses[int(tree.query(Point(x, y), predicate="within")[0])] = (use, name)
    return uses


def _plot(face: Polygon, ground: Ground, wet: Polygon) -> Polygon:
    """The face without the ground of its streets and without water."""
    near = np.flatnonzero(shapely.dwithin(ground.edges, face, 30.0))
    widths = [HALF_WIDTH[kind] for kind in ground.classes[near]]
    ground_of_streets = shapely.union_all(shapely.buffer(ground.edges[near], widths, cap_style="square", quad_segs=2))
    parts = shapely.get_parts(face.difference(ground_of_streets).difference(wet))
    return shapely.normalize(max(parts, key=lambda part: part.area))


def _gate(face: Polygon, ground: Ground) -> tuple[str, Point]:
    """The street that a block is reached from, and a point just inside of the middle of that side."""
    weight = {"secondary": 1.3, "main": 1.0, "lane": 0.8}
    around = np.flatnonzero(shapely.covers(face.exterior, ground.edges))
    score = [shapely.length(ground.edges[i]) * weight.get(ground.classes[i], 0.0) for i in around]
    edge = ground.edges[around[int(np.argmax(score))]]
    middle, inside = edge.interpolate(0.5, normalized=True), face.point_on_surface()
    gate = LineString([middle, inside]).interpolate(20.0)
    return str(ground.names[around[int(np.argmax(score))]]), gate


# --- buildings --------------------------------------------------------------------------------------------------------


def _rows_of(number: int, lot: Lot, taken: list[Polygon], ground: Ground, rng: np.random.Generator) -> list[Building]:
    """The rows of buildings of one lot."""
    if lot.use not in _ROWS:
        return []
    site = lot.plot.buffer(-_SETBACK.get(lot.use, 5.0), join_style="mitre")
    if taken:
        site = site.difference(shapely.union_all(shapely.buffer(taken, 9.0, join_style="mitre")))
    if site.is_empty:
        return []
    rows, wild = _ROWS[lot.use], lot.use == "rural"
    shapes = _laid(site, rows, rng, wild) or _laid(site, rows._replace(keep=1.0), rng, wild)
    if lot.use == "school" and shapes:
        shapes[0] = _winged(shapes[0], site, shapes[1:])
    buildings = []
    for count, shape in enumerate(shapes, 1):
        levels = int(rng.choice(_LEVELS[lot.use]))
        axis = _axis(shape)
        several = lot.use in ("managed", "mixed", "rural")
        address = f"{lot.address}{_number(lot.use, count)}" if several else f"{lot.address}{count}幢"
        name = None if several else lot.name
        doors = _doors(lot.use, axis, levels)
        buildings.append(Building(number, lot.unit, _KIND[lot.use], name, levels, address, shape, doors, axis))
    return buildings


def _number(use: str, count: int) -> str:
    """The number of a building; in villages some were built between numbers: 4号, 4号甲, 4号乙, 7号."""
    if use != "rural" or count % 6 not in (5, 0):
        return f"{count}号"
    return f"{count - 1}号甲" if count % 6 == 5 else f"{count - 2}号乙"


def _doors(use: str, axis: LineString, levels: int) -> int:
    """Dwellings on each floor: two at each stair, a stair for about 26 m (20 m in the old town)."""
    if use == "managed":
        return 2 * max(1, round(float(axis.length) / (26.0 if levels < 9 else 30.0)))
    if use == "mixed":
        return 2 * max(1, round(float(axis.length) / 20.0))
    return 2 if use == "rural" else 0


def _axis(shape: Polygon) -> LineString:
    """The middle line of a building along its long side."""
    a, b, c, d = shapely.get_coordinates(shapely.oriented_envelope(shape))[:4]
    if np.hypot(*(b - a)) < np.hypot(*(c - b)):
        a, b, c, d = b, c, d, a
    ends = sorted([tuple((a + d) / 2), tuple((b + c) / 2)])
    return LineString(ends)


def _laid(site: Any, rows: Rows, rng: np.random.Generator, wild: bool) -> list[Polygon]:
    """Boxes in rows inside `site`, along the side of it that lies nearest to east and west.

    As many rows as there is room for, or one less where the edges are so ragged that this gives more boxes.
    """
    angle = _angle(site)
    level = affinity.rotate(site, -angle, origin=(0.0, 0.0))
    _, low, _, high = level.bounds
    most = int((high - low - rows.depth) // rows.pitch) + 1
    choices = [list(_in_rows(level, rows, count, rng, wild)) for count in (most, most - 1) if count > 0]
    boxes = max(choices, key=len, default=[])
    return [affinity.rotate(box, angle, origin=(0.0, 0.0)) for box in boxes]


def _in_rows(level: Any, rows: Rows, count: int, rng: np.random.Generator, wild: bool) -> Iterator[Polygon]:
    """The boxes of `count` rows, spread from the lower to the upper edge of `level`."""
    _, low, _, high = level.bounds
    pitch = min((high - low - rows.depth) / max(count - 1, 1), rows.pitch * 1.25)
    start = low + (high - low - rows.depth - pitch * (count - 1)) / 2
    for bottom in start + pitch * np.arange(count):
        for left, right in _free(level, bottom, bottom + rows.depth):
            for x, length in _packed(left, right, rows, rng):
                if rng.random() > rows.keep:
                    continue
                box = shapely.box(x, bottom, x + length, bottom + rows.depth)
                if wild:
                    box = affinity.rotate(box, float(rng.uniform(-9, 9)), origin="center")
                    box = affinity.translate(box, *rng.uniform(-3.0, 3.0, 2))
                if level.contains(box):
                    yield box


def _angle(site: Any) -> float:
    corners = shapely.get_coordinates(shapely.oriented_envelope(site))[:2]
    across, up = corners[1] - corners[0]
    return float((np.degrees(np.arctan2(up, across)) + 45.0) % 90.0 - 45.0)


def _free(site: Any, bottom: float, top: float) -> list[tuple[float, float]]:
    """Where a row from `bottom` to `top` lies inside `site`: pairs of left and right."""
    west, _, east, _ = site.bounds
    spans = []
    for y in (bottom, top):
        parts = shapely.get_parts(shapely.intersection(site, LineString([(west - 1, y), (east + 1, y)])))
        bounds = shapely.bounds(parts)
        spans.append(sorted((b[0], b[2]) for b in bounds if b[2] > b[0]))
    pairs = [(max(a[0], b[0]), min(a[1], b[1])) for a in spans[0] for b in spans[1]]
    return [(left + 0.05, right - 0.05) for left, right in pairs if right - left > 5]


def _packed(left: float, right: float, rows: Rows, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Start and length of the buildings of one row, the gaps between them even."""
    room = right - left
    lengths: list[float] = []
    while True:
        length = float(rng.choice(rows.lengths))
        if sum(lengths) + length + rows.gap * len(lengths) > room:
            break
        lengths.append(length)
    if not lengths:
        return []
    spare = room - sum(lengths)
    gap = min(spare / (len(lengths) - 1), rows.gap * 1.8) if len(lengths) > 1 else 0.0
    x = left + (spare - gap * (len(lengths) - 1)) / 2
    starts = x + np.cumsum([0.0, *[length + gap for length in lengths[:-1]]])
    return list(zip(starts.tolist(), lengths, strict=True))


def _winged(box: Polygon, site: Any, others: list[Polygon]) -> Polygon:
    """A school's main building: the box with two wings, where there is room for them."""
    axis = _axis(box)
    (x0, y0), (x1, y1) = axis.coords
    along = np.array([x1 - x0, y1 - y0]) / axis.length
    for side in (1.0, -1.0):
        out = side * 24.0 * np.array([-along[1], along[0]])
        wings = [
            LineString([end, tuple(np.add(end, out))]).buffer(5.5, cap_style="flat")
            for end in (tuple(np.add((x0, y0), 5.6 * along)), tuple(np.add((x1, y1), -5.6 * along)))
        ]
        whole = shapely.union_all([box, *wings])
        apart = all(whole.distance(other) > 6 for other in others)
        if whole.geom_type == "Polygon" and site.contains(whole) and apart:
            return whole
    return box


def _shops(number: int, lot: Lot, ground: Ground, streets: Numbers, rng: np.random.Generator) -> list[Building]:
    """Low shops along the main or secondary street of a block of the old town."""
    face = ground.faces[lot.face]
    around = np.flatnonzero(shapely.covers(face.exterior, ground.edges))
    fronts = [i for i in around if ground.classes[i] in ("main", "secondary")]
    if not fronts:
        return []
    front = max(fronts, key=lambda i: float(shapely.length(ground.edges[i])))
    edge: LineString = ground.edges[front]
    room = lot.plot.buffer(-1.5)
    found: list[Building] = []
    at = 40.0
    while at < edge.length - 50.0 and len(found) < 4:
        length = float(rng.choice((16.0, 22.0, 28.0)))
        box = _beside(edge, at, length, HALF_WIDTH[ground.classes[front]] + 8.0, face)
        if room.contains(box) and all(box.distance(b.shape) > 2 for b in found):
            street = str(ground.names[front])
            address = f"{street}{streets.take(street, box.centroid)}号"
            levels = int(rng.choice((1, 2, 2)))
            found.append(Building(number, lot.unit, "retail", None, levels, address, box, 0, _axis(box)))
        at += length + float(rng.choice((4.0, 6.0, 30.0)))
    return found


def _beside(edge: LineString, at: float, length: float, off: float, face: Polygon) -> Polygon:
    """A box of 10 m depth beside a street, `off` from its middle, on the side of `face`."""
    a, b = edge.interpolate(at), edge.interpolate(at + length)
    chord = LineString([a, b])
    for side in (off, -off):
        box = chord.offset_curve(side).buffer(5.0, cap_style="flat")
        if face.contains(box.centroid):
            return box
    return box
