"""The rims of grids in short pieces: what lies outside each, and which barrier it runs along."""

from __future__ import annotations

from typing import NamedTuple

import geopandas as gpd
import numpy as np
import pyproj
import shapely

from gridgis.locate import GridLocator
from gridgis.plan.faces import network
from gridgis.plan.faces.network import Floats, Ints, Lines, Shapes
from gridgis.schema import BARRIER_CLASSES

#: A border belongs to a barrier that runs beside it within this distance, metres, and turns off by no more than 30°.
NEAR_M = 15.0
_COS_TURN = float(np.cos(np.radians(30)))

#: Nearer than this, metres, a border lies on the barrier; of several the strongest counts.
_ON_M = 1.0

#: Borders are judged in pieces no longer than this, metres.
_PIECE_M = 10.0

#: The neighbour is asked for at this distance outside the border, metres.
_OUTSIDE_M = 1.0


class Rims(NamedTuple):
    """Pieces of the rims of grids, in metres: grid, middle, outward unit normal, length, neighbour (-1: none)."""

    grid: Ints
    middle: Floats
    normal: Floats
    length: Floats
    beside: Ints


def rims_of(shapes: Shapes, metric: pyproj.CRS) -> Rims:
    """The rims of grids in short pieces, each with what lies outside."""
    parts, grid = shapely.get_parts(shapely.segmentize(shapes, _PIECE_M), return_index=True)
    rings, part = shapely.get_rings(shapely.orient_polygons(parts), return_index=True)
    ends, ring = network.segments_of(rings)
    way = ends[:, 1] - ends[:, 0]
    length = np.hypot(way[:, 0], way[:, 1])
    # Outlines run anticlockwise and holes clockwise: the outside is on the right.
    normal = np.column_stack([way[:, 1], -way[:, 0]]) / length[:, None]
    owner = grid[part[ring]].astype(np.int64)
    middle = ends.mean(axis=1)
    outside = middle + _OUTSIDE_M * normal
    beside = GridLocator(gpd.GeoSeries(shapes, crs=metric)).locate(outside[:, 0], outside[:, 1])
    beside[beside == owner] = -1
    return Rims(owner, middle, normal, length, beside)


def on_barriers(rims: Rims, lines: Lines) -> Ints:
    """The row of the barrier that each piece of rim lies on or runs beside, -1 where there is none."""
    found = np.full(len(rims.grid), -1, dtype=np.int64)
    if len(lines.shapes) == 0:
        return found
    ends, line = network.segments_of(lines.shapes)
    segments = shapely.linestrings(ends)
    points = shapely.points(rims.middle)
    piece, segment = shapely.STRtree(segments).query(points, predicate="dwithin", distance=NEAR_M)
    way = ends[segment, 1] - ends[segment, 0]
    way /= np.hypot(way[:, 0], way[:, 1])[:, None]
    gap = shapely.distance(points[piece], segments[segment])
    # Past the end of a segment the way to it is not square to it: at a bend a little, at the end of a road far from it.
    aside = np.abs((way[:, ::-1] * (-1, 1) * (rims.middle[piece] - ends[segment, 0])).sum(axis=1))
    beside = aside >= _COS_TURN * gap - _ON_M
    along = np.abs((way * rims.normal[piece]).sum(axis=1)) <= np.sqrt(1 - _COS_TURN**2)
    piece, segment, gap = piece[beside & along], segment[beside & along], gap[beside & along]
    rank = np.where(gap <= _ON_M, lines.rank[line[segment]], len(BARRIER_CLASSES))
    order = np.lexsort((line[segment], gap, rank, piece))
    first = np.append(True, np.diff(piece[order]) != 0)[: len(order)]
    found[piece[order][first]] = line[segment][order][first]
    return found
