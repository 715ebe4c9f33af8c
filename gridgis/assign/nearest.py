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
    start, person = _places(points, source, metric)
    row, distance = np.full(len(points), -1), np.full(len(points), np.nan)
    tied = np.zeros(len(points), dtype=bool)
    nothing = np.zeros(0, dtype=np.int64)
    found = None
    if (shapely.get_dimensions(houses) > 0).any():
        shapes, housed = _projected(houses, target, metric)
        if len(start) and len(shapes):
            found = _of_footprints(start, shapes, within)
    else:
        goal, housed = _places(houses, target, metric)
        if len(start) and len(goal):
            found = _of_points(start, goal, within)
    if found is None:
        return Nearest(row, distance, tied, (nothing, nothing))
    near = found.row >= 0
    row[person[near]], distance[person[near]] = housed[found.row[near]], found.distance[near]
    tied[person] = found.tied
    which, which_row = person[found.ties[0]], housed[found.ties[1]]
    order = np.lexsort((which_row, which))
    return Nearest(row, distance, tied, (which[order], which_row[order]))


def nearest_inside(
    points: Shapes, source: pyproj.CRS, houses: Shapes, target: pyproj.CRS, metric: pyproj.CRS, pairs: tuple[Ints, Ints]
) -> Nearest:
    """Of the houses that come into question for each point (`pairs`: point, row of the house) the nearest, however far.

    The only one is taken without a place; where there are several, those without a place are as near as the nearest.
    """
    point, row = pairs
    start, goal = np.full((len(points), 2), np.nan), np.full((len(houses), 2), np.nan)
    for xy, shapes, system in ((start, points, source), (goal, houses, target)):
        places, rows = _places(shapes, system, metric)
        xy[rows] = places
    metres = np.hypot(*(start[point] - goal[row]).T)
    least = np.full(len(points), np.inf)
    np.fmin.at(least, point, metres)
    least[np.isinf(least)] = 0.0
    return _best(len(points), point, row, np.where(np.isnan(metres), least[point], metres), within=np.inf)


def _there(shapes: Shapes) -> Ints:
    return np.flatnonzero(~(shapely.is_missing(shapes) | shapely.is_empty(shapes)))


def _places(shapes: Shapes, source: pyproj.CRS, metric: pyproj.CRS) -> tuple[Floats, Ints]:
    """x and y in metres of points (of other shapes their centres) and their rows, of all that have a place."""
    rows = _there(shapes)
    kept = shapes[rows]
    if not (shapely.get_type_id(kept) == shapely.GeometryType.POINT).all():
        kept = shapely.centroid(kept)
    xy: Floats = shapely.get_coordinates(kept)
    if source != metric:
        xy = np.column_stack(crs.transformer(source, metric).transform(xy[:, 0], xy[:, 1]))
    sound = np.isfinite(xy).all(axis=1)
    return xy[sound], rows[sound]


def _projected(shapes: Shapes, source: pyproj.CRS, metric: pyproj.CRS) -> tuple[Shapes, Ints]:
    """The shapes in metres and their rows, of all that have a place."""
    rows = _there(shapes)
    moved: Shapes = crs.project(shapes[rows], source, metric)
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


def _of_footprints(start: Floats, goal: Shapes, within: float) -> Nearest:
    points, inner = shapely.points(start), shapely.point_on_surface(goal)
    radius: Floats = shapely.hausdorff_distance(inner, goal)
    tree, most = cKDTree(shapely.get_coordinates(inner), balanced_tree=False), float(radius.max())
    pairs: list[tuple[Ints, Ints, Floats]] = []
    left = np.arange(len(start))
    for k in (min(k, len(goal)) for k in _TRIED):
        if not len(left):
            break
        metres, rows = tree.query(start[left], k=range(1, k + 1), distance_upper_bound=within + most + 2 * EQUAL_M)
        any_ = np.isfinite(metres[:, 0])
        left, metres, rows = left[any_], metres[any_], rows[any_]
        # The first is measured; of the others those that can be as near, for all of them if the last one cannot.
        first = shapely.distance(points[left], goal[rows[:, 0]])
        reach = np.minimum(first, within) + EQUAL_M
        done = ~np.isfinite(metres[:, -1]) | (metres[:, -1] - most > reach) | (k == len(goal))
        pairs.append((left[done], rows[done, 0], first[done]))
        near = metres[:, 1:] - np.append(radius, 0.0)[rows[:, 1:]] <= reach[:, None]
        at, column = np.nonzero(near & done[:, None])
        point, row = left[at], rows[at, column + 1]
        pairs.append((point, row, shapely.distance(points[point], goal[row])))
        left = left[~done]
    if len(left):
        point, row = shapely.STRtree(goal).query(points[left], predicate="dwithin", distance=within + EQUAL_M)
        pairs.append((left[point], row, shapely.distance(points[left[point]], goal[row])))
    return _best(len(start), *(np.concatenate(parts) for parts in zip(*pairs, strict=True)), within=within)


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
