"""Old grids: a layer as a drawer of plans leaves it, with every kind of defect in it once.

Groups of faces make grids that tile the ground exactly. Then one grid here and one there is spoilt, each border at
most once, by moving, cutting and adding along vertices that neighbours share: what is planted is all there is.
"""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Point, Polygon

from gridgis.crs import WGS84
from gridgis.sample.ground import Ground
from gridgis.sample.plane import to_degrees, to_plan
from gridgis.sample.truth import Planted

FILE = "old_grids.geojson"
_FACES_A_GRID = 3
_TICK = 1e-7

Place = tuple[float, float]


class _Drawing:
    """The grids while they are spoilt: shape, code and parent of each row, and what was planted."""

    def __init__(self, shapes: list[Any], parents: list[str]) -> None:
        self.shapes: list[Any] = shapes
        self.parents = parents
        self.codes: list[str | None] = [f"JW{number:02d}" for number in range(1, len(shapes) + 1)]
        self.planted: list[Planted] = []
        self._count = len(shapes)
        self._free = set(range(len(shapes)))

    def plant(self, kind: str, codes: tuple[str | None, ...], at: Any, detail: str) -> None:
        """Note a fault; `at` is a point or shape in degrees, None where it has no place."""
        place = None if at is None or at.is_empty else shapely.point_on_surface(at)
        more = {} if place is None else {"lon": round(place.x, 7), "lat": round(place.y, 7)}
        subject = "levels" if kind == "nesting" else "tiling"
        known = tuple(code for code in codes if code is not None)
        self.planted.append(Planted(f"old-{kind}", subject, FILE, known, kind, "validate", detail, more))

    def add(self, shape: Any, parent: str) -> str:
        """One more row, with a code of its own."""
        self._count += 1
        self.shapes.append(shape)
        self.parents.append(parent)
        self.codes.append(f"JW{self._count:02d}")
        return f"JW{self._count:02d}"

    def take(self) -> int:
        """A grid that no fault has touched."""
        row = min(self._free)
        self._free.discard(row)
        return row

    def take_pair(self, *, siblings: bool = False) -> tuple[int, int, list[Place]]:
        """Two untouched neighbours (of one parent), and their common border as the first has it; six vertices or more.

        An overlap of grids of two parents would be a fault between levels too.
        """
        for a in sorted(self._free):
            for b in sorted(self._free - {a}):
                border = _common(self.shapes[a], self.shapes[b])
                if len(border) >= 6 and not (siblings and self.parents[a] != self.parents[b]):
                    self._free -= {a, b}
                    return a, b, border
        raise ValueError("the old grids are too few for another fault")

    def take_at_edge(self, outline: Polygon) -> tuple[int, list[Place]]:
        """An untouched grid at the outline, and its run along it."""
        for row in sorted(self._free):
            run = _common(self.shapes[row], outline)
            if len(run) >= 8:
                self._free.discard(row)
                return row, run
        raise ValueError("no old grid is left at the outline")

    def bend(self, row: int, run: list[Place], inward_m: float) -> Polygon:
        """Move the middle of a run of vertices of a grid; what lies between the old line and the new one."""
        middle = len(run) // 2
        old = run[middle - 2 : middle + 2]
        new = _moved(old, self.shapes[row], inward_m)
        ring = list(self.shapes[row].exterior.coords)[:-1]
        start = ring.index(old[0])
        ring = ring[start:] + ring[:start]
        self.shapes[row] = Polygon([*new, *ring[len(old) :]])
        return Polygon([*old, *new[-2:0:-1]])


def make_old_grids(ground: Ground) -> tuple[gpd.GeoDataFrame, list[Planted]]:
    """The layer, WGS 84 (code, name, parent, geometry; one code and one geometry missing), and its list of faults."""
    groups = groups_of_faces(ground)
    crossing = _crossing(ground, groups)
    faces = np.array([to_degrees(face) for face in ground.faces], dtype=object)
    shapes = [shapely.normalize(shapely.coverage_union_all(faces[group])) for group in groups]
    drawing = _Drawing(shapes, [str(ground.units[group[0]]) for group in groups])
    own, other = crossing
    drawing.plant(
        "nesting", (drawing.codes[own],), faces[groups[own][-1]],
        f"belongs to {drawing.parents[own]} and reaches into {other}",
    )  # fmt: skip
    drawing._free.discard(own)
    outline = to_degrees(ground.outline)
    _along_borders(drawing, outline)
    _inside(drawing)
    _in_the_table(drawing)
    number = pd.Series(drawing.codes, dtype=object).str.slice(2)
    frame = gpd.GeoDataFrame(
        {
            "code": pd.Series(drawing.codes, dtype=object),
            "name": [f"旧网格{n}" if isinstance(n, str) else None for n in number],
            "parent": drawing.parents,
        },
        geometry=drawing.shapes,
        crs=WGS84,
    )
    return frame, drawing.planted


def groups_of_faces(ground: Ground) -> list[list[int]]:
    """Faces in groups of three that hang together, each in one community; left-overs join a neighbour."""
    beside = _beside(ground.faces)
    left = set(range(len(ground.faces)))
    groups: list[list[int]] = []
    for face in range(len(ground.faces)):
        if face not in left:
            continue
        group = [face]
        left.discard(face)
        while len(group) < _FACES_A_GRID:
            near = sorted(n for g in group for n in beside[g] if n in left and ground.units[n] == ground.units[face])
            if not near:
                break
            group.append(near[0])
            left.discard(near[0])
        home = [g for g in groups if ground.units[g[0]] == ground.units[face] and any(n in g for n in beside[face])]
        if len(group) == 1 and home:
            home[0].append(face)
        else:
            groups.append(group)
    return groups


def _beside(faces: NDArray[Any]) -> list[list[int]]:
    """For each face those that share an edge with it."""
    one, other = shapely.STRtree(faces).query(faces, predicate="touches")
    line = shapely.length(shapely.intersection(faces[one], faces[other])) > 20.0
    return [sorted(other[line & (one == row)].tolist()) for row in range(len(faces))]


def _crossing(ground: Ground, groups: list[list[int]]) -> tuple[int, str]:
    """Give a group one face of another community that its old group can spare; the group and that community."""
    beside = _beside(ground.faces)
    group_of = {face: row for row, group in enumerate(groups) for face in group}
    for row, group in enumerate(groups):
        for face in group:
            for near in beside[face]:
                lender = groups[group_of[near]]
                rest = [f for f in lender if f != near]
                whole = shapely.coverage_union_all(ground.faces[rest]) if rest else None
                if ground.units[near] == ground.units[face] or whole is None or whole.geom_type != "Polygon":
                    continue
                lender.remove(near)
                group.append(near)
                return row, str(ground.units[near])
    raise ValueError("no old grid has a neighbour in another community")


# --- faults -----------------------------------------------------------------------------------------------------------


def _along_borders(drawing: _Drawing, outline: Polygon) -> None:
    """Gap, overlap, sliver and a missing vertex between neighbours; uncovered and outside at the outline."""
    codes = drawing.codes
    row, run = drawing.take_at_edge(outline)
    place = drawing.bend(row, run, 8.0)
    drawing.plant("uncovered", (codes[row],), place, "drawn along the kerb, not along the middle of the street")
    row, run = drawing.take_at_edge(outline)
    place = drawing.bend(row, run, -10.0)
    drawing.plant("outside", (codes[row],), place, "drawn beyond the outline of the sub-district")
    a, b, border = drawing.take_pair()
    place = drawing.bend(a, border, 6.0)
    drawing.plant("gap", tuple(sorted((str(codes[a]), str(codes[b])))), place, "a strip that belongs to nobody")
    a, b, border = drawing.take_pair(siblings=True)
    place = drawing.bend(a, border, -5.0)
    drawing.plant("overlap", tuple(sorted((str(codes[a]), str(codes[b])))), place, "a strip that belongs to both")
    a, b, border = drawing.take_pair()
    strip = drawing.bend(a, border, 0.5)
    code = drawing.add(strip, drawing.parents[a])
    drawing.plant("sliver", (code,), strip, "left over from an old edit: a grid half a metre wide")
    a, b, border = drawing.take_pair()
    vertex = _halfway(border)
    ring = list(drawing.shapes[a].exterior.coords)[:-1]
    drawing.shapes[a] = Polygon(_with_vertex(ring, vertex))
    drawing.plant(
        "unmatched_edge",
        (str(codes[b]), str(codes[a])),
        Point(vertex),
        f"{codes[a]} has a vertex that {codes[b]} lacks",
    )


def _inside(drawing: _Drawing) -> None:
    """A grid of two pieces, one inside another, the same twice, a ring that runs back on itself."""
    codes = drawing.codes
    a, b, _ = drawing.take_pair()
    yard = _yard(drawing.shapes[b], 18.0)
    drawing.shapes[b] = Polygon(drawing.shapes[b].exterior.coords, [yard.exterior.coords])
    drawing.shapes[a] = MultiPolygon([drawing.shapes[a], yard])
    drawing.plant("multipart", (codes[a],), yard, f"a yard in the middle of {codes[b]} belongs to it as well")
    a = drawing.take()
    yard = _yard(drawing.shapes[a], 15.0)
    code = drawing.add(yard, drawing.parents[a])
    drawing.plant("contained", (code, codes[a]), yard, "a company's ground that was never cut out")
    a = drawing.take()
    code = drawing.add(drawing.shapes[a], drawing.parents[a])
    drawing.plant("duplicate", (str(codes[a]), code), drawing.shapes[a], "entered twice under two codes")
    a = drawing.take()
    ring = list(drawing.shapes[a].exterior.coords)[:-1]
    inner = to_degrees(to_plan(drawing.shapes[a]).representative_point())
    drawing.shapes[a] = Polygon([*ring, ring[0], (inner.x, inner.y)])
    drawing.plant("invalid_ring", (codes[a],), inner, "the ring runs into the grid and back on itself")


def _in_the_table(drawing: _Drawing) -> None:
    """A row without geometry, a code used twice, a code left out."""
    code = drawing.add(None, drawing.parents[0])
    drawing.plant("empty", (code,), None, "a row without a drawing")
    a, b = drawing.take(), drawing.take()
    drawing.codes[b] = drawing.codes[a]
    both = MultiPolygon([drawing.shapes[a], drawing.shapes[b]])
    drawing.plant("duplicate_code", (drawing.codes[a],), both, "two grids of one code")
    a = drawing.take()
    drawing.plant("missing_code", (), drawing.shapes[a], f"a grid without a code, once {drawing.codes[a]}")
    drawing.codes[a] = None


# --- shapes -----------------------------------------------------------------------------------------------------------


def _common(shape: Polygon, other: Polygon) -> list[Place]:
    """The longest run of vertices of a grid's ring that another outline has too."""
    ring = list(shape.exterior.coords)[:-1]
    theirs = set(other.exterior.coords)
    start = next((i for i, place in enumerate(ring) if place not in theirs), 0)
    best: list[Place] = []
    run: list[Place] = []
    for place in ring[start:] + ring[: start + 1]:
        run = [*run, place] if place in theirs else []
        best = max(best, run, key=len)
    return best


def _moved(path: list[Place], shape: Polygon, inward_m: float) -> list[Place]:
    """A path whose inner vertices are moved into `shape` by so many metres (out of it, if negative)."""
    plan = shapely.get_coordinates(to_plan(shapely.LineString(path)))
    inside = to_plan(shape)
    along = plan[2:] - plan[:-2]
    normal = np.column_stack([-along[:, 1], along[:, 0]]) / np.hypot(*along.T)[:, None]
    side = 1.0 if shapely.contains_xy(inside, *(plan[1] + normal[0])) else -1.0
    moved = to_degrees(shapely.points(plan[1:-1] + side * inward_m * normal))
    return [path[0], *map(tuple, shapely.get_coordinates(moved).tolist()), path[-1]]


def _yard(shape: Polygon, half_m: float) -> Polygon:
    """A square in a grid, where there is most room."""
    middle = shapely.get_point(shapely.maximum_inscribed_circle(to_plan(shape), tolerance=1.0), 0)
    square = shapely.box(middle.x - half_m, middle.y - half_m, middle.x + half_m, middle.y + half_m)
    return shapely.normalize(to_degrees(square))


def _halfway(border: list[Place]) -> Place:
    """The middle of an edge of the border that has seven decimals itself and so lies on the edge exactly."""
    ticks = np.rint(np.asarray(border) / _TICK).astype(np.int64)
    sums = ticks[:-1] + ticks[1:]
    edge = int(np.flatnonzero((sums % 2 == 0).all(axis=1))[0])
    lon, lat = np.round(sums[edge] / 2 * _TICK, 7).tolist()
    return lon, lat


def _with_vertex(ring: list[Place], vertex: Place) -> list[Place]:
    """The ring with one more vertex, in the edge that it lies on."""
    edges = shapely.linestrings([[a, b] for a, b in zip(ring, ring[1:] + ring[:1], strict=True)])
    at = int(np.argmin(shapely.distance(edges, Point(vertex))))
    return [*ring[: at + 1], vertex, *ring[at + 1 :]]
