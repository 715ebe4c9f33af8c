"""The zoo: small tilings and awkward shapes that the tests of every room share.

Everything is in metres (EPSG:4548) around one spot in Beijing unless :func:`in_degrees` made it WGS 84. Each function
returns a new GeoDataFrame with the columns code, name and geometry; the nine cells of :func:`squares` are 11 to 33
(row, then column, counted from the south-west), 100 m wide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from scipy.spatial import Voronoi

METRES = "EPSG:4548"
DEGREES = "EPSG:4326"
X0, Y0 = 447_000.0, 4_427_000.0
LON0, LAT0 = 116.375, 39.975
METRES_PER_DEGREE = (85_435.0, 111_025.0)


def frame(polygons: Iterable[object], codes: Sequence[object] | None = None) -> gpd.GeoDataFrame:
    """Polygons (given near 0, 0; None stays None) as a table around the spot."""
    shapes = [p if p is None else shapely.transform(p, lambda xy: xy + np.array([X0, Y0])) for p in polygons]
    codes = [str(i + 1) for i in range(len(shapes))] if codes is None else list(codes)
    columns = {"code": np.array(codes, dtype=object), "name": [f"网格{c}" for c in codes]}
    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(shapes, crs=METRES))


def in_degrees(metres: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The same shapes as degrees by a plain scaling: shared vertices stay shared, straight edges stay straight."""

    def scale(xy: np.ndarray) -> np.ndarray:
        return (xy - (X0, Y0)) / METRES_PER_DEGREE + (LON0, LAT0)

    shapes = [g if g is None else shapely.transform(g, scale) for g in metres.geometry]
    return metres.set_geometry(gpd.GeoSeries(shapes, index=metres.index, crs=DEGREES), crs=DEGREES)


def outline(grids: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The boundary that the grids' union has: one row, holes included."""
    union = shapely.union_all([g for g in grids.geometry if g is not None])
    return gpd.GeoDataFrame({"code": ["unit"]}, geometry=[union], crs=grids.crs)


def replaced(grids: gpd.GeoDataFrame, code: str, shape: object) -> gpd.GeoDataFrame:
    """A copy in which the row of `code` has another geometry (in the table's own coordinates, or None)."""
    shapes = [shape if c == code else g for c, g in zip(grids["code"], grids.geometry, strict=True)]
    return grids.set_geometry(gpd.GeoSeries(shapes, index=grids.index, crs=grids.crs))


def moved(grids: gpd.GeoDataFrame, code: str, dx: float, dy: float = 0.0) -> gpd.GeoDataFrame:
    """A copy in which the whole polygon of `code` is shifted (units of the table's CRS)."""
    shape = shape_of(grids, code)
    return replaced(grids, code, shapely.transform(shape, lambda xy: xy + np.array([dx, dy])))


def shape_of(grids: gpd.GeoDataFrame, code: str) -> shapely.Geometry:
    """The geometry of the first row of `code`."""
    return grids.geometry[grids["code"] == code].iloc[0]


def square(x: float, y: float, width: float, height: float | None = None) -> shapely.Polygon:
    return shapely.box(x, y, x + width, y + (width if height is None else height))


# --- clean tilings ----------------------------------------------------------------------------------------------------


def squares(columns: int = 3, rows: int = 3, width: float = 100.0) -> gpd.GeoDataFrame:
    """A clean chessboard."""
    cells = [(r, c) for r in range(rows) for c in range(columns)]
    return frame([square(c * width, r * width, width) for r, c in cells], [f"{r + 1}{c + 1}" for r, c in cells])


def donut() -> gpd.GeoDataFrame:
    """A clean pair: grid `ring` goes all the way round grid `core`."""
    core = square(100, 100, 100)
    return frame([square(0, 0, 300).difference(core), core], ["ring", "core"])


def with_lake() -> gpd.GeoDataFrame:
    """The chessboard without its middle cell: tiles its own outline (with a hole), but its union has a hole."""
    cells = squares()
    return cells[cells["code"] != "22"].reset_index(drop=True)


def with_island() -> gpd.GeoDataFrame:
    """Clean: two squares and a third one 500 m away from both."""
    return frame([square(0, 0, 100), square(100, 0, 100), square(700, 0, 100)], ["west", "east", "island"])


def voronoi(cells: int = 20, seed: int = 0, bends: int = 3, width: float = 1000.0) -> gpd.GeoDataFrame:
    """A clean tiling of a square by crooked Voronoi cells.

    Every border carries `bends` points between its ends, a little off the straight line; both sides share them.
    """
    rng = np.random.default_rng(seed)
    seeds = rng.random((cells, 2)) * width
    mirrored = [seeds]
    for axis in (0, 1):
        for wall in (0.0, width):
            copy = seeds.copy()
            copy[:, axis] = 2 * wall - copy[:, axis]
            mirrored.append(copy)
    diagram = Voronoi(np.vstack(mirrored))
    offsets: dict[tuple[int, int], np.ndarray] = {}
    along = np.linspace(0, 1, bends + 2)[1:-1]

    def side(start: int, end: int) -> np.ndarray:
        low, high = min(start, end), max(start, end)
        if (low, high) not in offsets:
            a, b = diagram.vertices[low], diagram.vertices[high]
            normal = np.array([a[1] - b[1], b[0] - a[0]])
            bend = 0.04 * np.minimum(along, 1 - along) * rng.uniform(-1, 1, bends)
            offsets[low, high] = a + along[:, None] * (b - a) + bend[:, None] * normal
        points = offsets[low, high]
        return points if start == low else points[::-1]

    polygons = []
    for region in diagram.point_region[:cells]:
        corners = diagram.regions[region]
        ring = [
            xy
            for start, end in zip(corners, corners[1:] + corners[:1], strict=True)
            for xy in (diagram.vertices[start], *side(start, end))
        ]
        polygons.append(shapely.Polygon(ring))
    return frame(polygons, [f"v{i:03d}" for i in range(cells)])


# --- faults -----------------------------------------------------------------------------------------------------------


def overlapping(depth: float = 5.0) -> gpd.GeoDataFrame:
    """The chessboard; 22 reaches `depth` m into 23."""
    return replaced(squares(), "22", shapely.box(X0 + 100, Y0 + 100, X0 + 200 + depth, Y0 + 200))


def gapped(width: float = 5.0) -> gpd.GeoDataFrame:
    """The chessboard; 22 ends `width` m before 23."""
    return replaced(squares(), "22", shapely.box(X0 + 100, Y0 + 100, X0 + 200 - width, Y0 + 200))


def touching_gap() -> gpd.GeoDataFrame:
    """Two grids that enclose two gaps of 4 m² and touch only at points: the union has no hole in its ring."""
    comb = shapely.Polygon([(10, 10), (12, 8), (10, 6), (12, 4), (10, 2), (20, 5)])
    return frame([square(0, 0, 10), comb], ["square", "comb"])


def bow_tie() -> gpd.GeoDataFrame:
    """The chessboard; the ring of 22 crosses itself."""
    x, y = X0 + 100, Y0 + 100
    return replaced(squares(), "22", shapely.Polygon([(x, y), (x + 100, y), (x, y + 100), (x + 100, y + 100)]))


def multipart() -> gpd.GeoDataFrame:
    """The chessboard; 11 and 33 are one grid of two parts, 11."""
    cells = squares()
    both = shapely.MultiPolygon([shape_of(cells, "11"), shape_of(cells, "33")])
    return replaced(cells[cells["code"] != "33"].reset_index(drop=True), "11", both)


def duplicated() -> gpd.GeoDataFrame:
    """The chessboard, and 22 once more as `copy`."""
    cells = squares()
    return frame_of([*cells.geometry, shape_of(cells, "22")], [*cells["code"], "copy"])


def contained() -> gpd.GeoDataFrame:
    """The chessboard, and `inner`, which lies inside 22."""
    cells = squares()
    inner = square(X0 + 120, Y0 + 120, 30)
    return frame_of([*cells.geometry, inner], [*cells["code"], "inner"])


def with_none() -> gpd.GeoDataFrame:
    """The chessboard after a row without geometry, `none`."""
    cells = squares()
    return frame_of([None, *cells.geometry], ["none", *cells["code"]])


def with_empty() -> gpd.GeoDataFrame:
    """The chessboard with an empty polygon, `empty`, as its second row."""
    cells = squares()
    shapes = [cells.geometry.iloc[0], shapely.Polygon(), *cells.geometry.iloc[1:]]
    return frame_of(shapes, ["11", "empty", *cells["code"].iloc[1:]])


def with_sliver() -> gpd.GeoDataFrame:
    """Clean but for its warning: a grid of 0.2 m by 100 m between two squares."""
    return frame([square(0, 0, 100), square(100, 0, 0.2, 100), square(100.2, 0, 100)], ["west", "strip", "east"])


def t_junction() -> gpd.GeoDataFrame:
    """Two squares on top of one wide one, which has no vertex where they meet."""
    return frame([square(0, 0, 200, 100), square(0, 100, 100), square(100, 100, 100)], ["wide", "west", "east"])


def unmatched_vertex() -> gpd.GeoDataFrame:
    """The chessboard; 22 has a vertex halfway along its border with 23 that 23 lacks."""
    ring = [(100, 100), (200, 100), (200, 150), (200, 200), (100, 200)]
    return replaced(squares(), "22", shapely.Polygon([(X0 + x, Y0 + y) for x, y in ring]))


def same_code() -> gpd.GeoDataFrame:
    """The chessboard; the rows of 22 and 23 are both called 22."""
    cells = squares()
    return cells.assign(code=cells["code"].replace("23", "22"))


def without_code() -> gpd.GeoDataFrame:
    """The chessboard; the row of 22 has no code."""
    cells = squares()
    return cells.assign(code=cells["code"].astype(object).where(cells["code"] != "22", None))


def frame_of(shapes: Iterable[object], codes: Sequence[object]) -> gpd.GeoDataFrame:
    """A table of shapes that already are where they belong."""
    columns = {"code": np.array(list(codes), dtype=object), "name": [f"网格{c}" for c in codes]}
    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(list(shapes), crs=METRES))


#: Tilings without any defect, measured against their own outline.
CLEAN: dict[str, Callable[[], gpd.GeoDataFrame]] = {
    "squares": squares,
    "donut": donut,
    "with_lake": with_lake,
    "with_island": with_island,
    "voronoi": voronoi,
}

#: Faulty ones by the kind of defect that each has (its own outline is the boundary).
FAULTY: dict[str, Callable[[], gpd.GeoDataFrame]] = {
    "overlap": overlapping,
    "gap": gapped,
    "invalid_ring": bow_tie,
    "multipart": multipart,
    "duplicate": duplicated,
    "contained": contained,
    "empty": with_empty,
    "sliver": with_sliver,
    "unmatched_edge": t_junction,
    "duplicate_code": same_code,
    "missing_code": without_code,
}


# --- what stands on the ground ----------------------------------------------------------------------------------------


def houses_at(*places: tuple[float, float] | None, codes: list[str] | None = None) -> gpd.GeoDataFrame:
    """Houses at metres from the zoo's corner; None has no place."""
    points = [None if p is None else shapely.Point(X0 + p[0], Y0 + p[1]) for p in places]
    names = codes or [f"h{i}" for i in range(len(points))]
    return gpd.GeoDataFrame({"code": names}, geometry=gpd.GeoSeries(points, crs=METRES))


def random_houses(count: int, seed: int = 0, width: float = 1000.0) -> gpd.GeoDataFrame:
    rng = np.random.default_rng(seed)
    return houses_at(*[tuple(xy) for xy in rng.uniform(-0.02 * width, 1.02 * width, (count, 2))])


def buildings_of(*footprints: Any, **columns: Any) -> gpd.GeoDataFrame:
    out = frame(footprints, [f"b{i}" for i in range(len(footprints))])
    return out.assign(**columns)


def read_as(houses: gpd.GeoDataFrame, move: Any) -> gpd.GeoDataFrame:
    x, y = move(houses.geometry.x.to_numpy(), houses.geometry.y.to_numpy())
    return houses.set_geometry(gpd.points_from_xy(x, y), crs=DEGREES)
