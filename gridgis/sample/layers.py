"""Other divisions of the same ground: grids of three kinds, responsibility blocks, road segments, overlays.

Grids of three kinds tile the town together: street-face grids are the corridors of the main streets, extension grids
are works, parks and fields, residential grids the rest. All of them are unions of the cells of one network.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from shapely import LineString, Point, Polygon
from shapely.ops import substring

from gridgis.crs import WGS84
from gridgis.sample import names
from gridgis.sample.ground import Ground
from gridgis.sample.oldgrids import groups_of_faces
from gridgis.sample.plane import to_degrees
from gridgis.sample.town import Town
from gridgis.sample.truth import Planted

KINDS_FILE, BLOCKS_FILE, SEGMENTS_FILE = "kinds.geojson", "responsibility_blocks.geojson", "segments.geojson"
FIRE_FILE, HEALTH_FILE = "fire.geojson", "health.geojson"

#: Streets whose corridors are street-face grids, and half the width of a corridor in metres.
_CORRIDORS = ("望汀大道", "鹤渡路", "西汀路", "南渚路")
_CORRIDOR_M = 26.0
_SNAP_M = 0.05
_END_M = 2.0
#: A piece smaller than this (m²) goes to the neighbour with the longest common border.
_SMALL_M2 = 1500.0
_EXTENSION = ("works", "park", "field")

#: Fire-safety areas: name and place of the station (metres in the plan).
_STATIONS = (
    ("西汀消防片", (-650.0, 250.0)), ("荻塘消防片", (-600.0, -500.0)), ("鹤渡消防片", (150.0, 500.0)),
    ("苇桥消防片", (200.0, -450.0)), ("东埠消防片", (850.0, 100.0)),
)  # fmt: skip
_SPREAD_M = 40.0
_SEAM_M = 12.0
_GAP_M = 3.0


class Layers(NamedTuple):
    """Tables by their files, and what was planted in them."""

    tables: dict[str, gpd.GeoDataFrame]
    planted: list[Planted]


class _Cells(NamedTuple):
    """The finest pieces: shape, community, kind of grid, and the key of the grid each belongs to."""

    shapes: NDArray[Any]
    units: NDArray[Any]
    kinds: NDArray[Any]
    keys: NDArray[Any]


def make_layers(ground: Ground, town: Town) -> Layers:
    """All layers; WGS 84."""
    cells = _cells(ground, town)
    kinds, rows_of = _kinds(cells)
    blocks, broken = _responsibility_blocks(cells, kinds, rows_of)
    segments, seam = _segments(ground, kinds)
    fire, outside = _fire(ground)
    health, misfit = _health(kinds)
    tables = {KINDS_FILE: kinds, BLOCKS_FILE: blocks, SEGMENTS_FILE: segments, FIRE_FILE: fire, HEALTH_FILE: health}
    return Layers(tables, [broken, seam, *outside, misfit])


# --- grids of three kinds ---------------------------------------------------------------------------------------------


def _cells(ground: Ground, town: Town) -> _Cells:
    """Cut the faces along the edges of the corridors; tell the kind and the grid of each piece."""
    streets = ground.edges[np.isin(ground.names, _CORRIDORS)]
    corridor = shapely.buffer(shapely.union_all(streets), _CORRIDOR_M, quad_segs=2, join_style="mitre")
    lines = [*ground.edges, *_kerbs(corridor, ground.outline)]
    cells = shapely.get_parts(
        shapely.polygonize(shapely.get_parts(shapely.union_all(lines, grid_size=_SNAP_M)).tolist())
    )
    inside = shapely.point_on_surface(cells)
    kept = shapely.contains(ground.outline, inside)
    cells, inside = cells[kept], inside[kept]
    face = shapely.STRtree(ground.faces).query(inside, predicate="within")[1]
    group_of = {f: n for n, group in enumerate(groups_of_faces(ground)) for f in group}
    use = {lot.face: lot.use for lot in town.lots}
    main = np.isin(ground.names, _CORRIDORS)
    near = ground.names[main][shapely.STRtree(ground.edges[main]).nearest(inside)]
    along = shapely.contains(corridor, inside)
    extension = np.array([use.get(int(f), "") in _EXTENSION for f in face])
    kinds = np.where(along, "street-face", np.where(extension, "extension", "residential")).astype(object)
    groups = np.array([f"{group_of[int(f)]:03d}" for f in face], dtype=object)
    keys = np.where(along, near, np.where(extension, "", groups)).astype(object)
    order = np.lexsort((shapely.get_x(inside), shapely.get_y(inside)))
    return _Cells(cells[order], ground.units[face][order], kinds[order], keys[order])


def _kerbs(corridor: Any, outline: Polygon) -> list[LineString]:
    """The edges of the corridors inside the outline; they end at vertices of it, so that it stays as it is."""
    edges = shapely.line_merge(corridor.boundary.intersection(outline.buffer(-_END_M)))
    lines = list(shapely.get_parts(edges))
    vertices = shapely.points(shapely.get_coordinates(outline))
    tree = shapely.STRtree(vertices)
    ends = [Point(line.coords[i]) for line in lines for i in (0, -1)]
    return [*lines, *(LineString([end, vertices[tree.nearest(end)]]) for end in ends)]


def _kinds(cells: _Cells) -> tuple[gpd.GeoDataFrame, list[list[int]]]:
    """The grids of three kinds, and the cells of each."""
    beside = _common_metres(cells.shapes)
    label = np.array([f"{u}|{k}|{g}" for u, k, g in zip(cells.units, cells.kinds, cells.keys, strict=True)])
    pieces = _in_one_piece(label, beside)
    _absorb(pieces, cells, beside)
    rows_of = [np.flatnonzero(pieces == n).tolist() for n in np.unique(pieces)]
    rows_of.sort(key=lambda rows: (cells.units[rows[0]], str(cells.kinds[rows[0]]), rows[0]))
    letter = {"residential": "", "street-face": "J", "extension": "T"}
    title = {"residential": "网格", "street-face": "街面网格", "extension": "拓展网格"}
    short = {code: name.removesuffix("社区") for code, name, _ in names.COMMUNITIES}
    count: dict[tuple[str, str], int] = {}
    records = []
    for rows in rows_of:
        unit, kind = str(cells.units[rows[0]]), str(cells.kinds[rows[0]])
        number = count[unit, kind] = count.get((unit, kind), 0) + 1
        code = f"{unit}{letter[kind]}{number:02d}"
        records.append((code, f"{short[unit]}{title[kind]}{number}", kind, 3, unit))
    shapes = [shapely.normalize(shapely.coverage_union_all(cells.shapes[rows])) for rows in rows_of]
    return _frame(pd.DataFrame(records, columns=["code", "name", "kind", "level", "parent"]), shapes), rows_of


def _common_metres(shapes: NDArray[Any]) -> dict[int, dict[int, float]]:
    """For each cell its neighbours and the metres of border with each."""
    one, other = shapely.STRtree(shapes).query(shapes, predicate="touches")
    metres = shapely.length(shapely.intersection(shapes[one], shapes[other]))
    found: dict[int, dict[int, float]] = {row: {} for row in range(len(shapes))}
    for a, b, length in zip(one.tolist(), other.tolist(), metres.tolist(), strict=True):
        if length > 0.5:
            found[a][b] = length
    return found


def _in_one_piece(label: NDArray[Any], beside: dict[int, dict[int, float]]) -> NDArray[np.int64]:
    """Number of the connected piece of each cell: neighbours of one label belong together."""
    piece = np.full(len(label), -1, dtype=np.int64)
    for start in range(len(label)):
        if piece[start] >= 0:
            continue
        waiting, piece[start] = [start], start
        while waiting:
            for near in beside[waiting.pop()]:
                if piece[near] < 0 and label[near] == label[start]:
                    piece[near] = start
                    waiting.append(near)
    return piece


def _absorb(piece: NDArray[np.int64], cells: _Cells, beside: dict[int, dict[int, float]]) -> None:
    """Give pieces that are too small for a grid to the neighbour of the same community, the smallest first."""
    area = shapely.area(cells.shapes)
    while True:
        sizes = {int(n): float(area[piece == n].sum()) for n in np.unique(piece)}
        small = [n for n in sorted(sizes, key=lambda n: (sizes[n], n)) if sizes[n] < _SMALL_M2]
        if not small:
            return
        own = np.flatnonzero(piece == small[0])
        border: dict[int, float] = {}
        for cell in own.tolist():
            for near, metres in beside[cell].items():
                if piece[near] != small[0] and cells.units[near] == cells.units[cell]:
                    border[int(piece[near])] = border.get(int(piece[near]), 0.0) + metres
        goal = max(sorted(border), key=lambda n: border[n])
        cells.kinds[own] = cells.kinds[np.flatnonzero(piece == goal)[0]]
        piece[own] = goal


# --- parts of grids ---------------------------------------------------------------------------------------------------


def _responsibility_blocks(
    cells: _Cells, kinds: gpd.GeoDataFrame, rows_of: list[list[int]]
) -> tuple[gpd.GeoDataFrame, Planted]:
    """The cells of residential grids, each with its grid; one is drawn a little short of its neighbour."""
    records, shapes = [], []
    for code, kind, rows in zip(kinds["code"], kinds["kind"], rows_of, strict=True):
        if kind == "residential":
            for number, row in enumerate(rows, 1):
                records.append((f"{code}-Z{number}", f"责任块{number}", "responsibility block", code))
                shapes.append(cells.shapes[row])
    for row, (shape, other) in enumerate(pairwise(shapes)):
        edge = shapely.line_merge(shape.intersection(other)) if records[row][3] == records[row + 1][3] else Point()
        if edge.geom_type == "LineString" and edge.length > 80.0 and len(edge.coords) > 3:
            break
    shapes[row] = _drawn_short(shape, edge)
    codes = (records[row][0], records[row + 1][0])
    detail = f"{codes[0]} ends {_GAP_M:g} m before {codes[1]}, in {records[row][3]}"
    frame = _frame(pd.DataFrame(records, columns=["code", "name", "kind", "grid"]), shapes)
    return frame, Planted("seam-blocks", "tiling", BLOCKS_FILE, codes, "gap", "validate", detail)


def _drawn_short(shape: Polygon, edge: LineString) -> Polygon:
    """`shape` with the inner vertices of one of its edges moved inwards."""
    inner = edge.coords[1:-1]
    a, b = np.array(edge.coords[0]), np.array(edge.coords[-1])
    normal = np.array([a[1] - b[1], b[0] - a[0]]) / np.hypot(*(b - a))
    side = 1.0 if shape.contains(Point(np.array(inner[0]) + normal)) else -1.0
    moved = {place: tuple(np.array(place) + side * _GAP_M * normal) for place in inner}
    return Polygon([moved.get(place, place) for place in shape.exterior.coords])


def _segments(ground: Ground, kinds: gpd.GeoDataFrame) -> tuple[gpd.GeoDataFrame, Planted]:
    """Pieces of the main and secondary streets from junction to junction; one ends before the next begins."""
    inside = shapely.covers(ground.outline, ground.edges) & np.isin(ground.classes, ("main", "secondary"))
    rows = np.flatnonzero(inside)
    rows = rows[np.lexsort((*shapely.bounds(ground.edges[rows]).T[::-1], ground.names[rows].astype(str)))]
    lines = list(ground.edges[rows])
    labels = [str(name) for name in ground.names[rows]]
    count: dict[str, int] = {}
    numbers = [count.setdefault(name, 0) or 0 for name in labels]
    for row, name in enumerate(labels):
        count[name] += 1
        numbers[row] = count[name]
    middles = to_degrees(shapely.line_interpolate_point(np.array(lines, dtype=object), 0.5, normalized=True))
    grid = kinds["code"].to_numpy(dtype=object)[shapely.STRtree(kinds.geometry.to_numpy()).nearest(middles)]
    street = labels.index("青石路")
    lines[street + 1] = substring(lines[street + 1], 0.0, lines[street + 1].length - _SEAM_M)
    frame = pd.DataFrame(
        {
            "code": [f"LD{row:03d}" for row in range(1, len(lines) + 1)],
            "name": [f"{name}第{number}段" for name, number in zip(labels, numbers, strict=True)],
            "kind": [str(k) for k in ground.classes[rows]],
            "grid": grid,
        }
    )
    code, following = (str(frame["code"][row]) for row in (street + 1, street + 2))
    detail = f"{code} ends {_SEAM_M:g} m before the junction where {following} begins"
    seam = Planted("seam-segments", "segments", SEGMENTS_FILE, (code, following), "gap", "validate", detail)
    return _frame(frame, lines), seam


# --- overlays ---------------------------------------------------------------------------------------------------------


def _fire(ground: Ground) -> tuple[gpd.GeoDataFrame, list[Planted]]:
    """Areas of five fire stations; they overlap each other, and one reaches beyond the sub-district."""
    middles = shapely.centroid(ground.faces)
    away = np.column_stack([shapely.distance(middles, Point(place)) for _, place in _STATIONS])
    nearest = away.argmin(axis=1)
    shapes = [shapely.coverage_union_all(ground.faces[nearest == n]) for n in range(len(_STATIONS))]
    wide = [shapely.simplify(shape.buffer(_SPREAD_M, quad_segs=2), 5.0) for shape in shapes]
    inner = [shape.intersection(ground.outline) for shape in wide[:-1]]
    codes = [f"XF{n}" for n in range(1, len(_STATIONS) + 1)]
    frame = pd.DataFrame({"code": codes, "name": [n for n, _ in _STATIONS], "kind": "professional"})
    detail = "reaches beyond the sub-district"
    outside = Planted("fire-outside", "overlays", FIRE_FILE, (codes[-1],), "outside", "validate", detail)
    detail = "areas overlap each other by twice 40 m: meant so, an overlay may; only a partition may not"
    overlap = Planted("fire-overlap", "overlays", FIRE_FILE, tuple(codes), "overlap", "validate", detail)
    return _frame(frame, [*inner, wide[-1]]), [outside, overlap]


def _health(kinds: gpd.GeoDataFrame) -> tuple[gpd.GeoDataFrame, Planted]:
    """Areas of four health stations: the communities, but one grid is left out."""
    left_out = str(kinds.loc[kinds["kind"] == "extension", "code"].iloc[-1])
    kept = kinds[kinds["code"] != left_out]
    shapes, units = [], sorted(set(kinds["parent"]))
    for unit in units:
        shapes.append(shapely.normalize(shapely.coverage_union_all(kept.geometry[kept["parent"] == unit].to_numpy())))
    short = {code: name.removesuffix("社区") for code, name, _ in names.COMMUNITIES}
    frame = gpd.GeoDataFrame(
        {
            "code": [f"WS{n}" for n in range(1, len(units) + 1)],
            "name": [f"{short[unit]}卫生服务站" for unit in units],
            "kind": "professional",
        },
        geometry=shapes,
        crs=WGS84,
    )
    detail = f"no health station is in charge of {left_out}"
    return frame, Planted("health-left-out", "overlays", HEALTH_FILE, (left_out,), "misfit", "validate", detail)


def _frame(columns: pd.DataFrame, shapes: list[Any]) -> gpd.GeoDataFrame:
    made = np.empty(len(shapes), dtype=object)
    made[:] = to_degrees(np.array(shapes, dtype=object))
    return gpd.GeoDataFrame(columns, geometry=made, crs=WGS84)
