"""Single lines measured in metres, vertex by vertex: places on them, pieces of them, and where two run together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import shapely

from gridgis.errors import GeometryError
from gridgis.plan.checking.ruler import NOISE_M, Floats, Ruler
from gridgis.plan.checking.segments import Ints
from gridgis.plan.checking.tiling import Objects

#: The direction of an end is that of its last metres, so many of them: the last edge alone may be a rounding error.
HEADING_M = 10.0
_LINES = (shapely.GeometryType.LINESTRING, shapely.GeometryType.LINEARRING, shapely.GeometryType.MULTILINESTRING)


class MeasuredLines(NamedTuple):
    """Single lines: `shapes` as given, `there` in metres; `owner` their rows.

    `xy` and `metres` (n, 2) are the vertices of all in both; those of line k are `first[k]` to `first[k + 1]`. `run`
    (n,) is how many metres lie before each vertex, all lines laid end to end; `start[k]` those before line k.
    """

    shapes: Objects
    there: Objects
    owner: Ints
    xy: Floats
    metres: Floats
    first: Ints
    run: Floats
    start: Floats

    @classmethod
    def of(cls, shapes: Objects, ruler: Ruler, source: str) -> MeasuredLines:
        """The lines of `shapes`; those without any length are left out."""
        parts, owner = line_parts(shapes, source)
        parts = shapely.remove_repeated_points(parts)
        there = ruler.metres(parts)
        real = shapely.length(there) > NOISE_M
        parts, there, owner = parts[real], there[real], owner[real]
        metres = shapely.get_coordinates(there)
        first = np.concatenate([[0], np.cumsum(shapely.get_num_coordinates(parts))]).astype(np.int64)
        step = np.zeros(len(metres))
        step[1:] = np.hypot(*np.diff(metres, axis=0).T)
        step[first[:-1]] = 0.0
        run = np.cumsum(step)
        return cls(parts, there, owner, shapely.get_coordinates(parts), metres, first, run, run[first[:-1]])

    @property
    def length(self) -> Floats:
        """Of each line, in metres."""
        return self.run[self.first[1:] - 1] - self.start


class LineEnds(NamedTuple):
    """Both ends of each line, those of line k are 2k and 2k + 1.

    `inside` is a point of the line :data:`HEADING_M` before the end, `heading` the unit vector from there to the end.
    """

    line: Ints
    xy: Floats
    metres: Floats
    inside: Floats
    heading: Floats


def line_parts(shapes: Objects, source: str) -> tuple[Objects, Ints]:
    """The single lines among `shapes`, without Z, and the row of each."""
    rows = np.flatnonzero(~(shapely.is_missing(shapes) | shapely.is_empty(shapes)))
    wrong = rows[~np.isin(shapely.get_type_id(shapes[rows]), _LINES)]
    if len(wrong):
        found = ", ".join(sorted({shape.geom_type for shape in shapes[wrong]}))
        raise GeometryError(
            "geometry of the wrong type", source=source, ids=(wrong + 1).tolist(), found=found, wanted="lines"
        )
    flat = shapely.force_2d(shapes[rows])
    xy, place = shapely.get_coordinates(flat, return_index=True)
    bad = rows[np.unique(place[~np.isfinite(xy).all(axis=1)])]
    if len(bad):
        raise GeometryError("coordinates that are no numbers", source=source, ids=(bad + 1).tolist())
    several = shapely.get_num_geometries(flat) > 1
    flat[several] = shapely.line_merge(flat[several])
    parts, owner = shapely.get_parts(flat, return_index=True)
    return parts, rows[owner].astype(np.int64)


def cut_pieces(lines: MeasuredLines, k: Ints, start: Floats, end: Floats, *, metric: bool = False) -> Objects:
    """The pieces of lines `k` from `start` to `end` (metres along them, in either order), as given or in metres."""
    low, high = np.minimum(start, end), np.maximum(start, end)
    begin = np.searchsorted(lines.run, lines.start[k] + low + NOISE_M, side="right")
    inner = np.maximum(np.searchsorted(lines.run, lines.start[k] + high - NOISE_M) - begin, 0)
    piece = np.repeat(np.arange(len(k)), inner + 2)
    first = np.cumsum(inner + 2) - (inner + 2)
    vertex = begin[piece] + np.arange(len(piece)) - first[piece] - 1
    points = (lines.metres if metric else lines.xy)[np.clip(vertex, 0, len(lines.run) - 1)]
    points[first] = places_on(lines, k, low, metric=metric)
    points[first + inner + 1] = places_on(lines, k, high, metric=metric)
    pieces = np.atleast_1d(shapely.linestrings(points, indices=piece)) if len(k) else np.empty(0, dtype=object)
    return np.where(start <= end, pieces, shapely.reverse(pieces))


def places_on(lines: MeasuredLines, k: Ints, at: Floats, *, metric: bool = False) -> Floats:
    """The points `at` metres along lines `k`; the vertex itself where there is one."""
    at = lines.start[k] + at
    v = np.clip(np.searchsorted(lines.run, at, side="right") - 1, lines.first[k], lines.first[k + 1] - 2)
    xy = lines.metres if metric else lines.xy
    past, left = at - lines.run[v], lines.run[v + 1] - at
    points = xy[v] + (past / (past + left))[:, None] * (xy[v + 1] - xy[v])
    points = np.where((past <= NOISE_M)[:, None], xy[v], points)
    return np.where((left <= NOISE_M)[:, None], xy[v + 1], points)


def edges_of(lines: MeasuredLines) -> tuple[Ints, Ints]:
    """The line and the first vertex of each edge."""
    inner = np.ones(len(lines.xy), dtype=bool)
    inner[lines.first[1:] - 1] = False
    vertex = np.flatnonzero(inner)
    return np.searchsorted(lines.first, vertex, side="right") - 1, vertex


def ends_of(lines: MeasuredLines) -> LineEnds:
    """The ends of all lines."""
    vertex = np.column_stack([lines.first[:-1], lines.first[1:] - 1]).ravel()
    back = np.minimum(HEADING_M, lines.length)
    at = np.column_stack([back, lines.length - back]).ravel()
    line = np.repeat(np.arange(len(lines.owner)), 2)
    metres = lines.metres[vertex]
    inside = places_on(lines, line, at, metric=True)
    out = metres - inside
    size = np.hypot(*out.T)[:, None]
    heading = np.divide(out, size, out=np.zeros_like(out), where=size > 0)
    return LineEnds(line, lines.xy[vertex], metres, inside, heading)


def runs_along(
    base: MeasuredLines, cover: MeasuredLines, tolerance: float, *, twice: bool
) -> tuple[Ints, Ints, Floats, Floats]:
    """Stretches of the edges of `base` that edges of `cover` run along within `tolerance` metres.

    With `twice` both are the same, and only those of lower rows beside higher ones are looked at. Returns the line of
    `base`, the line of `cover`, and from where to where in metres along the first: what the second, as far as it is
    near enough, covers when it is dropped on it at right angles. So it does not reach beyond its ends, and a line that
    crosses covers next to nothing.
    """
    line, v = edges_of(base)
    other, w = edges_of(cover)
    low = np.minimum(base.metres[v], base.metres[v + 1]) - tolerance
    high = np.maximum(base.metres[v], base.metres[v + 1]) + tolerance
    tree = shapely.STRtree(shapely.linestrings(np.stack([cover.metres[w], cover.metres[w + 1]], axis=1)))
    one, two = tree.query(shapely.box(*low.T, *high.T))
    if twice:
        pair = base.owner[line[one]] < cover.owner[other[two]]
        one, two = one[pair], two[pair]
    line, v, other, w = line[one], v[one], other[two], w[two]
    span = base.metres[v + 1] - base.metres[v]
    size = np.hypot(*span.T)
    step = np.stack([cover.metres[w], cover.metres[w + 1]]) - base.metres[v]
    along = (step * span).sum(axis=2) / size
    aside = (span[:, 0] * step[..., 1] - span[:, 1] * step[..., 0]) / size
    slope = aside[1] - aside[0]
    level = slope == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(level, [[0.0], [1.0]], (np.array([[-tolerance], [tolerance]]) - aside[0]) / slope)
    begin, stop = np.clip(t.min(axis=0), 0, 1), np.clip(t.max(axis=0), 0, 1)
    reach = np.clip(along[0] + np.stack([begin, stop]) * (along[1] - along[0]), 0, size)
    found = (reach[0] != reach[1]) & (begin < stop) & ~(level & (np.abs(aside[0]) > tolerance))
    start = base.run[v] - base.start[line]
    return line[found], other[found], (start + reach.min(axis=0))[found], (start + reach.max(axis=0))[found]


def joined_runs(key: Ints, start: Floats, end: Floats, slack: float) -> tuple[Ints, Floats, Floats]:
    """Stretches of one key that lie within `slack` of each other made one; sorted by key and start."""
    order = np.lexsort((start, key))
    key, start, end = key[order], start[order], end[order]
    if len(key) == 0:
        return key, start, end
    reached = pd.Series(end).groupby(key).cummax().to_numpy()
    fresh = np.concatenate([[True], (key[1:] != key[:-1]) | (start[1:] > reached[:-1] + slack)])
    begin = np.flatnonzero(fresh)
    return key[begin], start[begin], np.maximum.reduceat(end, begin)
