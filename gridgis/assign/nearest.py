"""The nearest house of points: houses as points, or as footprints that may hold the point."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gridgis import crs

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Shapes = NDArray[np.object_]

#: Houses whose distances differ by less (metres) are equally near: ambiguous.
EQUAL_M = 1e-6
#: So many of the nearest centres are tried for a footprint, then more; what is still open then is asked of the tree.
_TRIED = (4, 16, 64)


class Nearest(NamedTuple):
    """For each point: the row of the nearest house (-1 for none within reach), its distance (m), and whether others
    are as near; for those `tied`, point and row of each house that is, by point and row."""

    row: Ints
    distance: Floats
    tied: Bools
    ties: tuple[Ints, Ints]


def nearest_houses(
    points: Shapes, source: pyproj.CRS, houses: Shapes, target: pyproj.CRS, metric: pyproj.CRS, within: float
) -> Nearest:
    """The nearest house of each point, not further than `within` metres; a point in a footprint is at 0 m.

    Parameters
    ----------
    points, houses : array of shapely geometries
        In the CRS `source` and `target`; houses are points or footprints. What is missing, empty or beyond what a CRS
        can hold is near nothing.
    metric : pyproj.CRS
        In metres; distances are measured there.
    within : float
        Metres.

    Notes
    -----
    Points against points go through scipy's cKDTree. Of footprints the k nearest inner points are tried, k growing
    until the next one is too far away to belong to a nearer house, and distances are those of the shapes.
    """
    start, person = _projected(points, source, metric)
    goal, housed = _projected(houses, target, metric)
    row, distance = np.full(len(points), -1), np.full(len(points), np.nan)
    tied = np.zeros(len(points), dtype=bool)
    nothing = np.zeros(0, dtype=np.int64)
    if len(start) == 0 or len(goal) == 0:
        return Nearest(row, distance, tied, (nothing, nothing))
    if (shapely.get_type_id(goal) == shapely.GeometryType.POINT).all():
        found = _of_points(shapely.get_coordinates(start), shapely.get_coordinates(goal), within)
    else:
        found = _of_footprints(start, goal, within)
    near = found.row >= 0
    row[person[near]], distance[person[near]] = housed[found.row[near]], found.distance[near]
    tied[person] = found.tied
    which, which_row = person[found.ties[0]], housed[found.ties[1]]
    order = np.lexsort((which_row, which))
    return Nearest(row, distance, tied, (which[order], which_row[order]))


def _projected(shapes: Shapes, source: pyproj.CRS, metric: pyproj.CRS) -> tuple[Shapes, Ints]:
    """The shapes in metres and their rows, without those that are missing, empty or not to be held by the CRS."""
    rows = np.flatnonzero(~(shapely.is_missing(shapes) | shapely.is_empty(shapes)))
    moved: Shapes = shapely.force_2d(crs.project(shapes[rows], source, metric))
    sound = np.isfinite(shapely.bounds(moved)).all(axis=1)
    return moved[sound], rows[sound]


def _of_points(start: Floats, goal: Floats, within: float) -> Nearest:
    tree = cKDTree(goal, balanced_tree=False)
    metres, nearest = tree.query(start, k=2, distance_upper_bound=within + 2 * EQUAL_M)
    near = metres[:, 0] <= within
    tied = near & (metres[:, 1] <= metres[:, 0] + EQUAL_M)
    which = np.flatnonzero(tied)
    held = tree.query_ball_point(start[which], metres[which, 0] + EQUAL_M)
    count = np.array([len(rows) for rows in held], dtype=np.int64)
    ties = np.repeat(which, count), np.array([row for rows in held for row in rows], dtype=np.int64)
    return Nearest(np.where(near, nearest[:, 0], -1), np.where(near, metres[:, 0], np.nan), tied, ties)


def _of_footprints(start: Shapes, goal: Shapes, within: float) -> Nearest:
    xy, centre = shapely.get_coordinates(start), shapely.point_on_surface(goal)
    middle = shapely.get_coordinates(centre)
    radius = shapely.hausdorff_distance(centre, goal)
    tree, most = cKDTree(middle, balanced_tree=False), float(radius.max())
    pairs: list[tuple[Ints, Ints, Floats]] = []
    open_ = np.arange(len(start))
    for k in _TRIED:
        if not len(open_):
            break
        k = min(k, len(goal))
        metres, rows = (a.reshape(len(open_), k) for a in tree.query(
            xy[open_], k=k, distance_upper_bound=within + most + 2 * EQUAL_M
        ))  # fmt: skip
        # The nearest house is no further than the nearest inner point, so that one beyond that need not be measured.
        reach = np.minimum(metres[:, 0], within) + EQUAL_M
        last = metres[:, -1]
        done = ~np.isfinite(last) | (last - most > reach) | (k == len(goal))
        point, column = np.nonzero(metres - np.append(radius, 0.0)[rows] <= reach[:, None])
        point, row = open_[point], rows[point, column]
        kept = np.isin(point, open_[done])
        pairs.append(_measured(start, goal, point[kept], row[kept]))
        open_ = open_[~done]
    if len(open_):
        point, row = shapely.STRtree(goal).query(start[open_], predicate="dwithin", distance=within + EQUAL_M)
        pairs.append(_measured(start, goal, open_[point], row))
    return _best(len(start), *(np.concatenate(parts) for parts in zip(*pairs, strict=True)), within=within)


def _measured(start: Shapes, goal: Shapes, point: Ints, row: Ints) -> tuple[Ints, Ints, Floats]:
    return point, row, shapely.distance(start[point], goal[row])


def _best(size: int, point: Ints, row: Ints, metres: Floats, *, within: float) -> Nearest:
    """The nearest of all pairs of point and house, and the ties."""
    least = np.full(size, np.inf)
    np.minimum.at(least, point, metres)
    near = least <= within
    best = near[point] & (metres <= least[point] + EQUAL_M)
    point, row = point[best], row[best]
    count = np.bincount(point, minlength=size)
    found = np.full(size, -1)
    found[point[::-1]] = row[::-1]
    shared = count[point] > 1
    return Nearest(found, np.where(near, least, np.nan), count > 1, (point[shared], row[shared]))
