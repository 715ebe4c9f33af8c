"""Faults put into clean tilings of :mod:`shapes`, in metres, one or several to a tiling.

Each fault takes a table, the position of a row with ground and a random generator, and returns a new table. New rows
stand at the end; their codes begin with "x".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
import shapes

Fault = Callable[[gpd.GeoDataFrame, int, np.random.Generator], gpd.GeoDataFrame]


def put(grids: gpd.GeoDataFrame, row: int, shape: Any) -> gpd.GeoDataFrame:
    """A copy in which the row at position `row` has another geometry."""
    geometry = np.asarray(grids.geometry.array, dtype=object).copy()
    geometry[row] = shape
    return grids.set_geometry(gpd.GeoSeries(geometry, index=grids.index, crs=grids.crs))


def added(grids: gpd.GeoDataFrame, shape: Any, code: object = "") -> gpd.GeoDataFrame:
    """A copy with one more row."""
    new = f"x{len(grids):03d}" if code == "" else code
    geometry = gpd.GeoSeries([*grids.geometry, shape], crs=grids.crs)
    columns = {"code": np.array([*grids["code"], new], dtype=object), "name": [*grids["name"], f"网格{new}"]}
    return gpd.GeoDataFrame(columns, geometry=geometry)


def shape_at(grids: gpd.GeoDataFrame, row: int) -> Any:
    """The largest part of the row's ground, mended."""
    parts = shapely.get_parts(shapely.make_valid(grids.geometry.iloc[row], method="structure"))
    return max(parts, key=lambda part: part.area)


def polygonal(shape: Any) -> Any:
    parts = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and part.area > 1e-3]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _with_ring(grids: gpd.GeoDataFrame, row: int, ring: Any) -> gpd.GeoDataFrame:
    return put(grids, row, shapely.Polygon(ring, shape_at(grids, row).interiors))


def _ring(grids: gpd.GeoDataFrame, row: int) -> Any:
    return shapely.get_coordinates(shape_at(grids, row).exterior)[:-1]


# --- faults -----------------------------------------------------------------------------------------------------------


def moved_vertex(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """One vertex off by 5 cm to 30 m."""
    xy = _ring(grids, row)
    off = rng.normal(size=2)
    xy[int(rng.integers(len(xy)))] += off / np.hypot(*off) * rng.choice([0.05, 0.5, 5.0, 30.0])
    return _with_ring(grids, row, xy)


def shifted_cell(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    by = rng.choice([-1, 1], 2) * rng.uniform(0.1, 20, 2)
    return put(grids, row, shapely.transform(grids.geometry.iloc[row], lambda xy: xy + by))


def dropped_cell(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    return grids.drop(index=grids.index[row]).reset_index(drop=True)


def copied_row(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    return added(grids, grids.geometry.iloc[row])


def contained_piece(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    centre = shapely.maximum_inscribed_circle(shape_at(grids, row))
    spot = shapely.Point(centre.coords[0])
    return added(grids, spot.buffer(rng.uniform(0.05, 0.9) * centre.length, quad_segs=2))


def punched_hole(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    shape = shape_at(grids, row)
    centre = shapely.maximum_inscribed_circle(shape)
    hole = shapely.Point(centre.coords[0]).buffer(rng.uniform(0.05, 0.9) * centre.length, quad_segs=2)
    return put(grids, row, shapely.Polygon(shape.exterior, [*shape.interiors, hole.exterior]))


def crossed_ring(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    xy = _ring(grids, row)
    a, b = rng.choice(len(xy), 2, replace=False)
    xy[[a, b]] = xy[[b, a]]
    return _with_ring(grids, row, xy)


def bow_tie(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """Two vertices that follow each other change places: a small second wing."""
    xy = _ring(grids, row)
    a = int(rng.integers(len(xy) - 1))
    xy[[a, a + 1]] = xy[[a + 1, a]]
    return _with_ring(grids, row, xy)


def second_part(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """A small part somewhere on the others' ground, on top of theirs or cut out of it."""
    x0, y0, x1, y1 = grids.total_bounds
    x, y = rng.uniform((x0, y0), (x1, y1))
    part = shapely.box(x, y, x + rng.uniform(0.5, 60), y + rng.uniform(0.5, 60))
    shape = shape_at(grids, row)
    both = polygonal(shapely.union(shape, part))
    if rng.random() < 0.5:
        for other in range(len(grids)):
            there = grids.geometry.iloc[other]
            if other != row and there is not None and there.is_valid and there.intersects(part):
                left = polygonal(there.difference(part))
                grids = grids if left.is_empty else put(grids, other, left)
    return put(grids, row, both)


def split_cell(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """A strip is cut out right across: two large parts and a gap."""
    shape = shape_at(grids, row)
    x0, y0, x1, y1 = shape.bounds
    at = rng.uniform(x0, x1)
    left = polygonal(shape.difference(shapely.box(at, y0 - 1, at + rng.choice([0.01, 1.0, 10.0]), y1 + 1)))
    return grids if left.is_empty else put(grids, row, left)


def sliver_row(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """A new grid that is a strip of 2 to 90 cm along a border, on top of what is there."""
    xy = _ring(grids, row)
    at = int(rng.integers(len(xy)))
    line = shapely.LineString([xy[at - 2], xy[at - 1], xy[at]])
    return added(grids, line.buffer(rng.uniform(0.01, 0.45), cap_style="flat"))


def extra_vertex(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    xy = _ring(grids, row)
    at = int(rng.integers(len(xy)))
    return _with_ring(grids, row, np.insert(xy, at, (xy[at - 1] + xy[at]) / 2, axis=0))


def strip_along_outline(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """One side of the square that all cells fill is moved in or out by up to 5 m, for one cell or for all."""
    x0, y0, x1, y1 = (shapes.X0, shapes.Y0, shapes.X0 + 1000, shapes.Y0 + 1000)
    by = rng.choice([-1, 1]) * rng.choice([0.02, 0.5, 5.0])
    axis, wall = [(0, x0), (0, x1), (1, y0), (1, y1)][int(rng.integers(4))]
    rows = range(len(grids)) if rng.random() < 0.5 else [row]

    def push(xy: Any) -> Any:
        out = xy.copy()
        out[np.abs(xy[:, axis] - wall) < 1e-6, axis] += by
        return out

    for at in rows:
        shape = grids.geometry.iloc[at]
        if shape is not None and not shape.is_empty:
            grids = put(grids, at, shapely.transform(shape, push))
    return grids


def three_over(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """All grids around one corner reach over it."""
    xy = _ring(grids, row)
    corner = shapely.Point(xy[int(rng.integers(len(xy)))])
    for at in range(len(grids)):
        shape = grids.geometry.iloc[at]
        if shape is not None and shape.is_valid and shape.distance(corner) < 1e-6:
            disc = corner.buffer(rng.uniform(0.5, 20), quad_segs=int(rng.integers(1, 4)))
            grids = put(grids, at, polygonal(shapely.union(shape, disc)))
    return grids


def grown_cell(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """Larger or smaller by up to 40 m on all sides."""
    by = float(rng.choice([-5.0, -0.1, 0.1, 5.0, 40.0]))
    grown = polygonal(shape_at(grids, row).buffer(by, join_style="mitre"))
    return grids if grown.is_empty else put(grids, row, grown)


def rounded_cell(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """Coordinates as a program prints them that has few digits."""
    digits = int(rng.choice([-1, 0, 2, 4]))
    shape = shapely.transform(grids.geometry.iloc[row], lambda xy: np.round(xy, digits))
    return put(grids, row, shape) if shape.is_valid and shape.area > 0 else grids


def simplified_cell(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    return put(grids, row, shape_at(grids, row).simplify(rng.uniform(0.5, 10)))


def shaken_cell(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """Every vertex off by a few nanometres: noise."""
    xy = _ring(grids, row)
    return _with_ring(grids, row, xy + rng.uniform(-2e-8, 2e-8, xy.shape))


def swapped_cells(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    other = int(rng.integers(len(grids)))
    one, two = grids.geometry.iloc[row], grids.geometry.iloc[other]
    return put(put(grids, row, two), other, one)


def none_row(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    return added(grids, None)


def empty_row(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    return added(grids, shapely.Polygon())


def missing_code(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    codes = grids["code"].to_numpy(dtype=object).copy()
    codes[row] = None
    return grids.assign(code=codes)


def same_code(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    codes = grids["code"].to_numpy(dtype=object).copy()
    codes[row] = codes[int(rng.integers(len(codes)))]
    return grids.assign(code=codes)


FAULTS: list[Fault] = [
    moved_vertex, shifted_cell, dropped_cell, copied_row, contained_piece, punched_hole, crossed_ring, bow_tie,
    second_part, split_cell, sliver_row, extra_vertex, strip_along_outline, three_over, grown_cell, rounded_cell,
    simplified_cell, shaken_cell, swapped_cells, none_row, empty_row, missing_code, same_code,
]  # fmt: skip


def damaged(
    clean: gpd.GeoDataFrame, faults: Sequence[Fault], rng: np.random.Generator, near: bool = False
) -> gpd.GeoDataFrame:
    """`clean` with `faults` one after the other; `near` ones hit the same cell or a neighbour of it."""
    grids = clean
    spot = shapely.Point(rng.uniform(grids.total_bounds[:2], grids.total_bounds[2:]))
    for fault in faults:
        geometry = np.asarray(grids.geometry.array, dtype=object)
        rows = np.flatnonzero([shape is not None and shape.is_valid and shape.area > 1 for shape in geometry])
        if len(rows) < 3:
            break
        if near:
            rows = rows[np.argsort(shapely.distance(geometry[rows], spot), kind="stable")[:2]]
        grids = fault(grids, int(rng.choice(rows)), rng)
    return grids
