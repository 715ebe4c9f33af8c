"""Seeded tilings for benchmarks and tests: clean ones, ones with planted defects, and ones where no edge matches.

The cells are those of a jittered Voronoi diagram in metres (EPSG:4548), their borders crooked: about 20 vertices a
border, 115 a cell. The same seed gives the same bytes. Run as a script it does nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Voronoi, cKDTree

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

METRES = "EPSG:4548"
X0, Y0 = 447_000.0, 4_427_000.0
#: m. The mean width of a cell.
WIDTH_M = 200.0
#: m. Corners of the diagram nearer than this are one.
_NEAR_M = 0.001
#: m. A border is fit for a defect when it is longer than this, from corner to corner, and …
_LONG_M = 40.0
#: … has this many segments: a quarter at each end is left alone, so that no third cell is touched.
_MANY = 8
#: A defect is at its place when it differs from it by less than this share of the area, or by this distance.
_SHARE, _AWAY_M = 0.01, 0.001


class Tiling(NamedTuple):
    """`grids` (code, geometry) that tile `boundary` (one row) exactly, vertex for vertex."""

    grids: gpd.GeoDataFrame
    boundary: gpd.GeoDataFrame


class Companion(NamedTuple):
    """A defect that truly follows from a planted one: its kind, codes and place."""

    kind: str
    codes: tuple[str, ...]
    place: Any


class Planted(NamedTuple):
    """One planted defect.

    `name` is one of :data:`NAMES`, `kind` the contract's word for it, `codes` and `place` what a defect must say.
    `also` may be reported beside it, nothing else. `bounded`: it can be seen only where the boundary is given.
    """

    id: int
    name: str
    kind: str
    codes: tuple[str, ...]
    place: Any
    also: tuple[Companion, ...] = ()
    bounded: bool = False


class Score(NamedTuple):
    """How the defects found compare with those planted; `invented` holds the rows that nothing explains."""

    found: list[Planted]
    missed: list[Planted]
    explained: int
    invented: gpd.GeoDataFrame

    def __str__(self) -> str:
        text = f"{len(self.found)} of {len(self.found) + len(self.missed)} found, {len(self.invented)} false alarms"
        missed = sorted({p.name for p in self.missed})
        return f"{text}; missed: {', '.join(missed)}" if missed else text


# --- clean ------------------------------------------------------------------------------------------------------------


def tiling(cells: int, seed: int = 0, *, vertices: int = 115) -> Tiling:
    """A clean tiling of a square of ground by `cells` cells of about `vertices` vertices each."""
    rng = np.random.default_rng(seed)
    corners, size, tail, head = _diagram(cells, rng)
    low, high = np.minimum(tail, head), np.maximum(tail, head)
    key, edge = np.unique(low * len(corners) + high, return_inverse=True)
    bends, first, count = _bends(corners[key // len(corners)], corners[key % len(corners)], vertices, rng)
    forward = tail < head
    xy, lengths = _drawn(corners, bends, tail, first[edge], count[edge], forward)
    owner = np.repeat(np.arange(cells), size)
    ring = np.repeat(owner, lengths)
    polygons = shapely.polygons(shapely.linearrings(xy, indices=ring))
    codes = np.array([f"{i:06d}" for i in range(1, cells + 1)], dtype=object)
    alone = np.flatnonzero(np.bincount(edge)[edge] == 1)
    walk = alone[_walk(tail[alone], head[alone])]
    outline, _ = _drawn(corners, bends, tail[walk], first[edge[walk]], count[edge[walk]], forward[walk])
    return Tiling(
        gpd.GeoDataFrame({"code": codes}, geometry=polygons, crs=METRES),
        gpd.GeoDataFrame({"code": ["unit"]}, geometry=[shapely.Polygon(outline)], crs=METRES),
    )


def _diagram(cells: int, rng: np.random.Generator) -> tuple[Floats, Ints, Ints, Ints]:
    """The corners of the cells, each cell's number of borders, and their tails and heads, anticlockwise."""
    width = math.sqrt(cells) * WIDTH_M
    rows = max(1, round(math.sqrt(cells)))
    columns = np.full(rows, cells // rows)
    columns[: cells % rows] += 1
    row = np.repeat(np.arange(rows), columns)
    column = np.arange(cells) - np.repeat(np.cumsum(columns) - columns, columns)
    jitter = rng.uniform(-0.35, 0.35, (cells, 2))
    seeds = (np.column_stack([column, row]) + 0.5 + jitter) * width / np.column_stack([columns[row], 0 * row + rows])
    # Mirrored at the four walls, the diagram has the walls for borders.
    every = [seeds]
    for axis, wall in ((0, 0.0), (0, width), (1, 0.0), (1, width)):
        copy = seeds[np.abs(seeds[:, axis] - wall) < 4 * WIDTH_M]
        copy[:, axis] = 2 * wall - copy[:, axis]
        every.append(copy)
    diagram = Voronoi(np.vstack(every))
    points = diagram.vertices
    near = cKDTree(points).query_pairs(_NEAR_M, output_type="ndarray")
    links = coo_array((np.ones(len(near)), (near[:, 0], near[:, 1])), shape=(len(points), len(points)))
    _, group = connected_components(links, directed=False)
    _, lowest = np.unique(group, return_index=True)
    regions = [diagram.regions[region] for region in diagram.point_region[:cells]]
    size = np.array([len(region) for region in regions])
    tail = lowest[group][np.concatenate(regions)]
    until = np.cumsum(size)
    following = np.arange(1, len(tail) + 1)
    following[until - 1] = until - size
    head = tail[following]
    p, q = points[tail] - np.repeat(seeds, size, axis=0), points[head] - np.repeat(seeds, size, axis=0)
    clockwise = np.add.reduceat(p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0], until - size) < 0
    # A clockwise cell is read from its end: its borders in the opposite order, each the other way round.
    place = np.arange(len(tail))
    place = np.where(np.repeat(clockwise, size), np.repeat(2 * until - size - 1, size) - place, place)
    turned = np.repeat(clockwise, size)
    tail, head = np.where(turned, head[place], tail[place]), np.where(turned, tail[place], head[place])
    real = tail != head
    owner = np.repeat(np.arange(cells), size)[real]
    return points + np.array([X0, Y0]), np.bincount(owner, minlength=cells), tail[real], head[real]


def _bends(start: Floats, end: Floats, vertices: int, rng: np.random.Generator) -> tuple[Floats, Ints, Ints]:
    """The vertices between the ends of each border, and where each border's begin and how many they are."""
    along = end - start
    length = np.hypot(along[:, 0], along[:, 1])
    step = 3.85 * WIDTH_M / vertices  # a cell's girth is about 3.85 widths
    count = np.maximum(np.round(length / step).astype(np.int64) - 1, 1)
    first = np.cumsum(count) - count
    edge = np.repeat(np.arange(len(count)), count)
    number = np.arange(len(edge)) - first[edge] + 1
    t = (number + rng.uniform(-0.25, 0.25, len(edge))) / (count[edge] + 1)
    off = 0.04 * np.minimum(t, 1 - t) * rng.uniform(-1, 1, len(edge))
    normal = np.column_stack([-along[:, 1], along[:, 0]])
    return start[edge] + t[:, None] * along[edge] + off[:, None] * normal[edge], first, count


def _drawn(corners: Floats, bends: Floats, tail: Ints, first: Ints, count: Ints, forward: Any) -> tuple[Floats, Ints]:
    """Borders one after the other, each its tail and its bends; and how many vertices each gives."""
    lengths = count + 1
    border = np.repeat(np.arange(len(tail)), lengths)
    number = np.arange(len(border)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    place = np.where(forward[border], first[border] + number - 1, first[border] + count[border] - number)
    xy = np.where((number == 0)[:, None], corners[tail[border]], bends[np.clip(place, 0, len(bends) - 1)])
    return xy, lengths


def _walk(tail: Ints, head: Ints) -> list[int]:
    """The order in which directed borders make one ring."""
    leaving = {t: i for i, t in enumerate(tail.tolist())}
    order = [0]
    while (following := leaving[int(head[order[-1]])]) != 0:
        order.append(following)
    if len(order) != len(tail):
        raise ValueError(f"the outline is no single ring: {len(order)} of {len(tail)} borders; take another seed")
    return order


# --- who lies beside whom ---------------------------------------------------------------------------------------------


class Mesh(NamedTuple):
    """A clean tiling as rings of segments: `xy` of each segment's start, `beside` the row on its other side (-1: none).

    The segments of row i are `since[i]:since[i + 1]`; `near[i]` are the rows beside it.
    """

    xy: Floats
    beside: Ints
    since: Ints
    near: list[Ints]


def mesh_of(polygons: Any) -> Mesh:
    """The mesh of polygons without holes that match exactly."""
    xy, ring = shapely.get_coordinates(polygons, return_index=True)
    _, name = np.unique(np.ascontiguousarray(xy).view(np.complex128).ravel(), return_inverse=True)
    starts = ring[:-1] == ring[1:]
    tail, head, owner = name[:-1][starts], name[1:][starts], ring[:-1][starts]
    key = np.minimum(tail, head) * (int(name.max()) + 1) + np.maximum(tail, head)
    order = np.argsort(key, kind="stable")
    pair = np.flatnonzero(key[order][1:] == key[order][:-1])
    one, other = order[pair], order[pair + 1]
    beside = np.full(len(owner), -1, dtype=np.int64)
    beside[one], beside[other] = owner[other], owner[one]
    since = np.searchsorted(owner, np.arange(len(polygons) + 1))
    inner = beside >= 0
    pairs = np.unique(owner[inner] * len(polygons) + beside[inner])
    split = np.searchsorted(pairs // len(polygons), np.arange(1, len(polygons)))
    return Mesh(xy[:-1][starts], beside, since, np.split(pairs % len(polygons), split))


# --- every edge unmatched ---------------------------------------------------------------------------------------------


def unmatched(grids: gpd.GeoDataFrame, seed: int = 0, *, off_m: float = 0.0) -> tuple[gpd.GeoDataFrame, set[Any]]:
    """No segment has its opposite: each copy of every border has its own further vertices.

    Parameters
    ----------
    grids : GeoDataFrame
        A clean tiling of polygons without holes. The result has twice its vertices.
    off_m : float
        m. The new vertices lie on the old segments (0: off by rounding only), or up to this far beside them, which
        makes real overlaps and gaps of that width everywhere.

    Returns
    -------
    GeoDataFrame, set of (str, str)
        The grids, and all ordered pairs of codes side by side: each lacks vertices that the other one has.
    """
    rng = np.random.default_rng(seed)
    polygons = np.asarray(grids.geometry.array, dtype=object)
    mesh = mesh_of(polygons)
    size = np.diff(mesh.since)
    following = np.arange(1, len(mesh.xy) + 1)
    following[mesh.since[1:] - 1] = mesh.since[:-1]
    along = mesh.xy[following] - mesh.xy
    t = rng.uniform(0.2, 0.8, len(along))[:, None]
    new = mesh.xy + t * along
    if off_m:
        normal = np.column_stack([-along[:, 1], along[:, 0]]) / np.hypot(along[:, 0], along[:, 1])[:, None]
        new += rng.uniform(-off_m, off_m, len(along))[:, None] * normal
    xy = np.stack([mesh.xy, new], axis=1).reshape(-1, 2)
    shapes = shapely.polygons(shapely.linearrings(xy, indices=np.repeat(np.arange(len(size)), 2 * size)))
    codes = grids["code"].tolist()
    pairs = {(codes[a], codes[b]) for a, near in enumerate(mesh.near) for b in near.tolist()}
    return grids.set_geometry(gpd.GeoSeries(shapes, index=grids.index, crs=grids.crs)), pairs


# --- planted defects --------------------------------------------------------------------------------------------------


class Stretch(NamedTuple):
    """The middle of the border of `row` with `partner` (-1: the outline), and the rest of the ring after it.

    `line` runs anticlockwise round the row. `rest` closes the ring. `out` is the unit vector away from the row.
    """

    row: int
    partner: int
    line: Floats
    rest: Floats
    out: Floats


class _Planter:
    """The tiling while defects are planted into it: which cells are taken, what changes, and the truth."""

    def __init__(self, grids: gpd.GeoDataFrame, boundary: gpd.GeoDataFrame, rng: np.random.Generator) -> None:
        self.shapes = np.asarray(grids.geometry.array, dtype=object).copy()
        self.codes: list[str] = grids["code"].tolist()
        self.mesh = mesh_of(self.shapes)
        self.ground = boundary.geometry.iloc[0]
        self.rng = rng
        self.blocked = np.zeros(len(grids), dtype=bool)
        self.dropped: list[int] = []
        self.added: list[tuple[str, Any]] = []
        self.truth: list[Planted] = []

    def plant(self, name: str, count: int) -> None:
        """Plant `count` defects called `name` where nothing is near."""
        make = _MAKERS[name]
        done = 0
        for row in self.rng.permutation(len(self.codes)).tolist():
            if done == count:
                return
            if not self.blocked[row] and make(self, name, row):
                done += 1
        if done < count:
            raise ValueError(f"{len(self.codes)} cells have room for {done} of {count} defects '{name}' only")

    def take(self, *rows: int) -> None:
        """No other defect may lie in `rows` or beside them."""
        for row in rows:
            self.blocked[row] = True
            self.blocked[self.mesh.near[row]] = True

    def add(self, name: str, kind: str, codes: Iterable[str], place: Any, **more: Any) -> bool:
        self.truth.append(Planted(len(self.truth) + 1, name, kind, tuple(codes), place, **more))
        return True

    def partners(self, row: int) -> list[int]:
        """The free neighbours, first those that block the fewest cells for others."""
        near = self.mesh.near[row]
        free: list[int] = self.rng.permutation(near[~self.blocked[near]]).tolist()
        return sorted(free, key=lambda other: int((~self.blocked[self.mesh.near[other]]).sum()))

    def stretch(self, row: int, partner: int) -> Stretch | None:
        """The middle half of the border, or None where it is short."""
        since, until = self.mesh.since[row : row + 2]
        on = self.mesh.beside[since:until] == partner
        begin = np.flatnonzero(on & ~np.roll(on, 1))
        if len(begin) != 1:
            return None
        ring = np.roll(self.mesh.xy[since:until], -begin[0], axis=0)
        many = int(on.sum())
        chord = ring[many % len(ring)] - ring[0]
        length = math.hypot(*chord)
        if many < _MANY or length < _LONG_M:
            return None
        start, stop = many // 4, many - many // 4
        out = np.array([chord[1], -chord[0]]) / length
        return Stretch(row, partner, ring[start : stop + 1], np.concatenate([ring[stop + 1 :], ring[:start]]), out)

    def stretches(self, row: int) -> Iterator[Stretch]:
        """The borders with other cells that are free, in random order."""
        for partner in self.partners(row):
            found = self.stretch(row, partner)
            if found is not None:
                yield found


def _strip(stretch: Stretch, depth: float, cornered: bool) -> tuple[Floats, Floats, Floats]:
    """A stretch moved `depth` m away from its row (into it, if negative).

    Returns the row's new line, the ring of the strip between the old and the new line, and the vertices that are new
    on the old line: where `cornered`, the strip begins and ends halfway along segments.
    """
    line = stretch.line
    if cornered:
        on = np.array([(line[0] + line[1]) / 2, (line[-2] + line[-1]) / 2])
        old = np.concatenate([on[:1], line[1:-1], on[1:]])
        moved = old + depth * stretch.out
        new = np.concatenate([line[:1], on[:1], moved, on[1:], line[-1:]])
    else:
        on, old = line[:0], line
        moved = line[1:-1] + depth * stretch.out
        new = np.concatenate([line[:1], moved, line[-1:]])
    return new, np.concatenate([old, moved[::-1]]), on


def _shifted(p: _Planter, stretch: Stretch, depth: float, cornered: bool) -> tuple[Any, Floats] | None:
    """Move a stretch of a row's border: the strip that changes hands, or None where it would touch anything else."""
    new, ring, on = _strip(stretch, depth, cornered)
    strip, shape = shapely.Polygon(ring), shapely.Polygon(np.concatenate([new, stretch.rest]))
    if not (strip.is_valid and shape.is_valid):
        return None
    giver = stretch.row if depth < 0 else stretch.partner
    slack = 1e-6 * strip.area
    beyond = strip.difference(p.shapes[giver]).area if giver >= 0 else strip.intersection(p.ground).area
    if beyond > slack or abs(abs(shape.area - p.shapes[stretch.row].area) - strip.area) > slack:
        return None
    p.shapes[stretch.row] = shape
    return strip, on


def _between(depth: float, kind: str) -> Callable[[_Planter, str, int], bool]:
    """An overlap or a gap between two cells; every other one begins and ends halfway along segments."""

    def make(p: _Planter, name: str, row: int) -> bool:
        cornered = len(p.truth) % 2 == 1
        for stretch in p.stretches(row):
            done = _shifted(p, stretch, depth, cornered)
            if done is None:
                continue
            strip, on = done
            mine, other = p.codes[row], p.codes[stretch.partner]
            # The partner has no vertex where the strip begins and ends on its segments.
            also = (Companion("unmatched_edge", (other, mine), shapely.MultiPoint(on)),) if cornered else ()
            p.take(row, stretch.partner)
            return p.add(name, kind, sorted((mine, other)), strip, also=also)
        return False

    return make


def _along_outline(depth: float, kind: str) -> Callable[[_Planter, str, int], bool]:
    def make(p: _Planter, name: str, row: int) -> bool:
        stretch = p.stretch(row, -1)
        done = None if stretch is None else _shifted(p, stretch, depth, len(p.truth) % 2 == 1)
        if done is None:
            return False
        p.take(row)
        return p.add(name, kind, (p.codes[row],), done[0], bounded=True)

    return make


def _missing(p: _Planter, name: str, row: int) -> bool:
    since, until = p.mesh.since[row : row + 2]
    near = p.mesh.near[row]
    if (p.mesh.beside[since:until] < 0).any() or p.blocked[near].any():
        return False
    p.dropped.append(row)
    p.take(row, *near.tolist())
    return p.add(name, "gap", sorted(p.codes[n] for n in near), p.shapes[row])


def _duplicate(p: _Planter, name: str, row: int) -> bool:
    copy = f"{p.codes[row]}-copy"
    p.added.append((copy, p.shapes[row]))
    p.take(row)
    return p.add(name, "duplicate", (p.codes[row], copy), p.shapes[row])


def _disc(shape: Any, share: float, rng: np.random.Generator) -> Floats:
    """A crooked ring of 12 vertices, anticlockwise, within `share` of the largest circle inside."""
    radius = shapely.maximum_inscribed_circle(shape)
    angle = np.arange(12) * np.pi / 6
    away = share * radius.length * rng.uniform(0.8, 1.0, 12)
    ring: Floats = np.asarray(radius.coords[0]) + away[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return ring


def _contained(p: _Planter, name: str, row: int) -> bool:
    inner, shape = f"{p.codes[row]}-inner", shapely.Polygon(_disc(p.shapes[row], 0.3, p.rng))
    p.added.append((inner, shape))
    p.take(row)
    return p.add(name, "contained", (inner, p.codes[row]), shape)


def _bow_tie(p: _Planter, name: str, row: int) -> bool:
    """Two vertices in the wrong order, so that the ring crosses itself."""
    for stretch in p.stretches(row):
        for i in range(1, len(stretch.line) - 2):
            line = stretch.line.copy()
            line[[i, i + 1]] = line[[i + 1, i]]
            shape = shapely.Polygon(np.concatenate([line, stretch.rest]))
            if shape.is_valid:
                continue
            codes = tuple(sorted((p.codes[row], p.codes[stretch.partner])))
            also = tuple(_bow_tie_takes(p.shapes[row], shape, codes))
            p.shapes[row] = shape
            p.take(row, stretch.partner)
            place = shapely.MultiPoint(stretch.line[i - 1 : i + 3]).convex_hull
            return p.add(name, "invalid_ring", (p.codes[row],), place, also=also)
    return False


def _bow_tie_takes(before: Any, after: Any, codes: tuple[str, ...]) -> Iterator[Companion]:
    """What the ground loses and gets twice when each ring encloses what it goes round."""
    real = shapely.make_valid(after, method="structure", keep_collapsed=False)
    for kind, shape in (("gap", before.difference(real)), ("overlap", real.difference(before))):
        for part in shapely.get_parts(shape):
            if part.area > 1e-6:
                yield Companion(kind, codes, part)


def _second_part(p: _Planter, name: str, row: int) -> bool:
    """A part of the row lies within its neighbour, which leaves it free."""
    for partner in p.partners(row):
        ring = _disc(p.shapes[partner], 0.1, p.rng)
        part = shapely.Polygon(ring)
        p.shapes[partner] = shapely.Polygon(p.shapes[partner].exterior, [ring])
        p.shapes[row] = shapely.MultiPolygon([p.shapes[row], part])
        p.take(row, partner)
        return p.add(name, "multipart", (p.codes[row],), part)
    return False


def _vertex(p: _Planter, name: str, row: int) -> bool:
    for stretch in p.stretches(row):
        half = len(stretch.line) // 2
        new = (stretch.line[half - 1] + stretch.line[half]) / 2
        p.shapes[row] = shapely.Polygon(np.concatenate([np.insert(stretch.line, half, new, axis=0), stretch.rest]))
        p.take(row, stretch.partner)
        return p.add(name, "unmatched_edge", (p.codes[stretch.partner], p.codes[row]), shapely.MultiPoint([new]))
    return False


def _sliver(p: _Planter, name: str, row: int) -> bool:
    """A grid of its own, 20 cm wide, cut from the row along a border; nothing overlaps and nothing is left open."""
    for stretch in p.stretches(row):
        done = _shifted(p, stretch, -0.2, False)
        if done is None:
            continue
        code = f"{p.codes[row]}-sliver"
        p.added.append((code, done[0]))
        p.take(row, stretch.partner)
        return p.add(name, "sliver", (code,), done[0])
    return False


#: The 15 kinds. Those that find the least room are planted first.
_MAKERS: dict[str, Callable[[_Planter, str, int], bool]] = {
    "outside the boundary": _along_outline(5.0, "outside"),
    "uncovered strip along the boundary": _along_outline(-5.0, "uncovered"),
    "missing cell": _missing,
    "overlap 5 m": _between(5.0, "overlap"),
    "overlap 5 cm": _between(0.05, "overlap"),
    "overlap 1 mm": _between(0.001, "overlap"),
    "gap 5 m": _between(-5.0, "gap"),
    "gap 5 cm": _between(-0.05, "gap"),
    "gap 1 mm": _between(-0.001, "gap"),
    "bow-tie": _bow_tie,
    "second part": _second_part,
    "unmatched vertex": _vertex,
    "sliver polygon": _sliver,
    "duplicate": _duplicate,
    "contained": _contained,
}
NAMES = tuple(_MAKERS)


def injected(
    grids: gpd.GeoDataFrame, boundary: gpd.GeoDataFrame, each: int = 34, seed: int = 0
) -> tuple[gpd.GeoDataFrame, list[Planted]]:
    """Plant `each` defects of every kind into a clean tiling.

    No two lie in one cell or in neighbouring cells, so that each is seen alone.

    Parameters
    ----------
    grids, boundary : GeoDataFrame
        A result of :func:`tiling`. Neither is changed.

    Returns
    -------
    GeoDataFrame, list of Planted
        The grids, without the missing cells and with the further rows at the end; and the truth.

    Raises
    ------
    ValueError
        If there is no room: about 6 cells are needed for each defect.
    """
    planter = _Planter(grids, boundary, np.random.default_rng(seed))
    for name in NAMES:
        planter.plant(name, each)
    dropped = set(planter.dropped)
    kept = [row for row in range(len(grids)) if row not in dropped]
    codes = [planter.codes[row] for row in kept] + [code for code, _ in planter.added]
    shapes = [*planter.shapes[kept], *(shape for _, shape in planter.added)]
    frame = gpd.GeoDataFrame({"code": np.array(codes, dtype=object)}, geometry=shapes, crs=grids.crs)
    return frame, planter.truth


# --- the score --------------------------------------------------------------------------------------------------------


def score(defects: gpd.GeoDataFrame, truth: Iterable[Planted], *, bounded: bool = True) -> Score:
    """Compare defects with what was planted.

    A planted defect is found by one of its kind that names its codes (in order for contained and unmatched_edge, the
    inner one and the one that lacks the vertex first) at its place: the same ground but for 1 %, or points within
    1 mm. Of the others only the planted one's companions are explained, by the same test, once each:

    - overlap and gap that begin halfway along a segment: unmatched_edge of the partner at these two vertices;
    - bow-tie: a gap or an overlap of exactly the ground that the crossed ring loses or takes;
    - nothing beside any of the other kinds. All that is left is a false alarm.

    Parameters
    ----------
    bounded : bool
        Whether the boundary was given. Without it what lies along the outline was not to be found.
    """
    left: dict[tuple[str, tuple[str, ...]], list[int]] = defaultdict(list)
    for i, (kind, codes) in enumerate(zip(defects["kind"], defects["codes"], strict=True)):
        left[kind, tuple(codes)].append(i)
    shapes = np.asarray(defects.geometry.array, dtype=object)

    def taken(kind: str, codes: tuple[str, ...], place: Any) -> bool:
        for i in left[kind, codes]:
            if _at(shapes[i], place):
                left[kind, codes].remove(i)
                return True
        return False

    sought = [planted for planted in truth if bounded or not planted.bounded]
    found: list[Planted] = []
    missed: list[Planted] = []
    for planted in sought:
        (found if taken(planted.kind, planted.codes, planted.place) else missed).append(planted)
    explained = sum(taken(*companion) for planted in sought for companion in planted.also)
    return Score(found, missed, explained, defects.iloc[sorted(i for rows in left.values() for i in rows)])


def _at(shape: Any, place: Any) -> bool:
    """Is a defect where it should be? A point within the place will do where the place of a fault is an area."""
    if shape is None or shapely.is_empty(shape):
        return False
    if shapely.get_dimensions(place) == 2 and shapely.get_dimensions(shape) == 2:
        return bool(shapely.symmetric_difference(shape, place).area <= _SHARE * place.area)
    if shapely.get_dimensions(shape) == 0 and shapely.get_dimensions(place) == 2:
        return bool(shapely.distance(shape, place) <= _AWAY_M)
    return bool(shapely.hausdorff_distance(shape, place) <= _AWAY_M)
