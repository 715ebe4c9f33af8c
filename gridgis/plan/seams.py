"""Do responsibility segments join and cover their streets, each stretch once? Breaks, uncovered and doubled stretches.

Every line is measured vertex by vertex in metres; a place on it is a distance from its start. What is reported is
cut from the line as it was given, at that place of that edge, so its own vertices are never sent through a projection.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import shapely

from gridgis.errors import GeometryError, GridgisWarning, InputError, name_ids
from gridgis.plan.ruler import NOISE_M, Bools, Floats, Ruler
from gridgis.plan.segments import Ints
from gridgis.plan.tiling import Fault, Objects

#: Ends that lie nearer to another segment meet. One place printed twice with five decimals of a degree comes out up to
#: 1.6 m apart, so less than 2 m would report how files are written; a lane is 3 m wide, so no ground is lost.
SEAM_M = 2.0
#: How far ahead of an end the street may go on with another segment, in metres: what is missing up to here is a
#: break; a longer piece of street is uncovered. Wider than a crossing of main roads, shorter than a block.
REACH_M = 30.0
#: Two segments are doubled where they run nearer than this, in metres: along one street, not on two carriageways, …
DOUBLED_M = 1.0
#: … for longer than this (or than `seam`, if that is more): not where a street forks at 3° or more, or a slip road of
#: up to 200 m radius leaves it.
DOUBLED_LENGTH_M = 20.0
#: An end follows a street when it and its last metres are nearer to it than this, in metres.
ON_STREET_M = 5.0
#: Ahead is, and straight on goes, what turns by less than this, in degrees.
AHEAD_DEG = 45.0
#: The direction of an end is that of its last metres, so many of them: the last edge alone may be a rounding error.
HEADING_M = 10.0
#: Classes of barriers that nobody has to patrol, whatever the segments' kinds are.
NOT_STREETS = frozenset({"river", "railway", "wall"})

#: Candidates within this of the nearest one, in metres, are at the same place: the one that goes straight on is taken.
_TIE_M = 1.0
#: A line returns to its own end where it is nearer than half the way along it, less this, in metres.
_RETURN_M = 1.0
_AHEAD = float(np.cos(np.radians(AHEAD_DEG)))
#: A street goes on from an end in a direction that turns by at most 120°; more is the way back.
_NOT_BACK = -0.5
_LINES = (shapely.GeometryType.LINESTRING, shapely.GeometryType.LINEARRING, shapely.GeometryType.MULTILINESTRING)


class _Lines(NamedTuple):
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
    def of(cls, shapes: Objects, ruler: Ruler, source: str) -> _Lines:
        """The lines of `shapes`; those without any length are left out."""
        parts, owner = _parts(shapes, source)
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


class _Ends(NamedTuple):
    """Both ends of each line, those of line k are 2k and 2k + 1.

    `inside` is a point of the line :data:`HEADING_M` before the end, `heading` the unit vector from there to the end.
    """

    line: Ints
    xy: Floats
    metres: Floats
    inside: Floats
    heading: Floats


def seam_faults(
    segments: Objects,
    streets: Objects | None,
    ruler: Ruler,
    *,
    seam: float = SEAM_M,
    kinds: Sequence[object] | None = None,
    classes: Sequence[object] | None = None,
    names: Sequence[object] | None = None,
    ground: Any = None,
) -> list[Fault]:
    """Find where segments do not join, where nobody has the street, and where two have it.

    Parameters
    ----------
    segments : array of LineString or MultiLineString, or None
        In the CRS of `ruler`. The parts of one segment are joined where they meet.
    streets : array of LineString or MultiLineString, or None; optional
        The streets to be covered, in the same CRS. Rows without geometry are left out.
    ruler : Ruler
    seam : float
        Metres, see :data:`SEAM_M`.
    kinds : sequence of str or None, optional
        Kind of each segment, and
    classes : sequence of str or None, optional
        class of each street: if some kinds are names of classes, only streets of these classes are to be covered;
        otherwise all. Those of :data:`NOT_STREETS` never are.
    names : sequence of str or None, optional
        The name of each segment's street; ends of one name belong together even where the street turns.
    ground : Polygon or MultiPolygon, optional
        Streets are cut to it.

    Returns
    -------
    list of Fault
        In the CRS of `ruler`, rows are positions in `segments`:

        gap, note "seam": the end of a segment that has no other within `seam` while its street goes on with another
        one within :data:`REACH_M`. Where the end follows one of the `streets` (:data:`ON_STREET_M`) that one tells;
        elsewhere another end at most :data:`AHEAD_DEG` aside, of a segment that goes straight on or has the same name.
        Rows: both segments (one, if two parts of it do not meet); geometry: the straight line between them.

        uncovered, note "street": a piece of street, longer than :data:`REACH_M` and `seam`, that no segment runs
        along within `seam`. Rows: the segments that touch it.

        overlap, note "segment": two segments run along each other within :data:`DOUBLED_M` for longer than
        :data:`DOUBLED_LENGTH_M` and `seam`. Rows: the two; geometry: this stretch of the first.

    Raises
    ------
    InputError
        `seam` is negative or no number; kinds, names or classes are not one for each row.
    GeometryError
        Geometry that is no line, or coordinates that are no numbers.

    Warns
    -----
    GridgisWarning
        Segments without a line: they cover nothing.

    Notes
    -----
    A larger `seam` never reports a break or an overlap that a smaller one does not, and what it reports as uncovered
    is a part of what a smaller one does. A street that is uncovered for less than :data:`REACH_M` up to its true end is
    not reported, nor is a segment that runs back on itself. In degrees straight edges bend by up to 2 cm a kilometre
    when they are measured: a smaller `seam` asks for more than the coordinates say.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely import LineString
    >>> west = LineString([(447000, 4427000), (447088, 4427000)])
    >>> east = LineString([(447100, 4427000), (447200, 4427000)])
    >>> lines = gpd.GeoSeries([west, east], crs="EPSG:4548")
    >>> [(f.kind, f.note, f.rows, f.geometry.length) for f in seam_faults(lines.to_numpy(), None, Ruler.of(lines))]
    [('gap', 'seam', (0, 1), 12.0)]
    """
    if not (np.isfinite(seam) and seam >= 0):
        raise InputError("seam must be a number ≥ 0", found=repr(seam))
    segments = np.asarray(segments, dtype=object)
    _check_lengths(len(segments), kinds=kinds, names=names)
    own = _Lines.of(segments, ruler, "segments")
    _warn_of_lost(segments, own)
    roads = None
    if streets is not None:
        streets = np.asarray(streets, dtype=object)
        _check_lengths(len(streets), classes=classes)
        roads = _roads(streets[_expected(len(streets), kinds, classes)], ground, ruler)
    faults = list(_breaks(own, roads, seam, names))
    if roads is not None:
        faults += _uncovered(own, roads, seam, ruler)
    return faults + list(_doubled(own, seam))


# --- what was given ---------------------------------------------------------------------------------------------------


def _check_lengths(rows: int, **columns: Sequence[object] | None) -> None:
    for name, values in columns.items():
        if values is not None and len(values) != rows:
            raise InputError(f"{name} must be one for each row", found=f"{len(values)}", wanted=f"{rows}")


def _warn_of_lost(segments: Objects, own: _Lines) -> None:
    lost = np.setdiff1d(np.arange(len(segments)), own.owner)
    if len(lost):
        warnings.warn(
            f"segments: {len(lost)} of {len(segments)} have no line and cover nothing ({name_ids(lost + 1, 'row')})",
            GridgisWarning,
            stacklevel=3,
        )


def _expected(rows: int, kinds: Sequence[object] | None, classes: Sequence[object] | None) -> Bools:
    """Which streets are to be covered."""
    if classes is None:
        return np.ones(rows, dtype=bool)
    streets = [None if name in NOT_STREETS else name for name in classes]
    wanted = set(streets) - {None}
    if kinds is None or not wanted & set(kinds):
        return np.array([name not in NOT_STREETS for name in classes], dtype=bool)
    wanted &= set(kinds)
    return np.array([name in wanted for name in streets], dtype=bool)


def _roads(streets: Objects, ground: Any, ruler: Ruler) -> _Lines:
    """The streets on the ground, made one line where only two of them meet."""
    parts, _ = _parts(streets, "streets")
    if ground is not None and len(parts):
        shapely.prepare(ground)
        cut = np.flatnonzero(~shapely.covers(ground, parts))
        parts[cut] = shapely.intersection(parts[cut], ground)
        parts = shapely.get_parts(shapely.get_parts(parts))
        parts = parts[shapely.get_dimensions(parts) == 1]
    # A street that is listed twice would be merged into one that goes there and back.
    _, once = np.unique(shapely.to_wkb(shapely.normalize(parts)), return_index=True)
    parts = parts[np.sort(once)]
    merged = shapely.line_merge(shapely.multilinestrings(parts)) if len(parts) else shapely.MultiLineString()
    return _Lines.of(np.array([merged], dtype=object), ruler, "streets")


def _parts(shapes: Objects, source: str) -> tuple[Objects, Ints]:
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


# --- places on lines --------------------------------------------------------------------------------------------------


def _cuts(lines: _Lines, k: Ints, start: Floats, end: Floats, *, metric: bool = False) -> Objects:
    """The pieces of lines `k` from `start` to `end` (metres along them, in either order), as given or in metres."""
    low, high = np.minimum(start, end), np.maximum(start, end)
    begin = np.searchsorted(lines.run, lines.start[k] + low + NOISE_M, side="right")
    inner = np.maximum(np.searchsorted(lines.run, lines.start[k] + high - NOISE_M) - begin, 0)
    piece = np.repeat(np.arange(len(k)), inner + 2)
    first = np.cumsum(inner + 2) - (inner + 2)
    vertex = begin[piece] + np.arange(len(piece)) - first[piece] - 1
    points = (lines.metres if metric else lines.xy)[np.clip(vertex, 0, len(lines.run) - 1)]
    points[first] = _places(lines, k, low, metric=metric)
    points[first + inner + 1] = _places(lines, k, high, metric=metric)
    pieces = np.atleast_1d(shapely.linestrings(points, indices=piece)) if len(k) else np.empty(0, dtype=object)
    return np.where(start <= end, pieces, shapely.reverse(pieces))


def _places(lines: _Lines, k: Ints, at: Floats, *, metric: bool = False) -> Floats:
    """The points `at` metres along lines `k`; the vertex itself where there is one."""
    at = lines.start[k] + at
    v = np.clip(np.searchsorted(lines.run, at, side="right") - 1, lines.first[k], lines.first[k + 1] - 2)
    xy = lines.metres if metric else lines.xy
    past, left = at - lines.run[v], lines.run[v + 1] - at
    points = xy[v] + (past / (past + left))[:, None] * (xy[v + 1] - xy[v])
    points = np.where((past <= NOISE_M)[:, None], xy[v], points)
    return np.where((left <= NOISE_M)[:, None], xy[v + 1], points)


def _edges(lines: _Lines) -> tuple[Ints, Ints]:
    """The line and the first vertex of each edge."""
    inner = np.ones(len(lines.xy), dtype=bool)
    inner[lines.first[1:] - 1] = False
    vertex = np.flatnonzero(inner)
    return np.searchsorted(lines.first, vertex, side="right") - 1, vertex


def _ends_of(lines: _Lines) -> _Ends:
    """The ends of all lines."""
    vertex = np.column_stack([lines.first[:-1], lines.first[1:] - 1]).ravel()
    back = np.minimum(HEADING_M, lines.length)
    at = np.column_stack([back, lines.length - back]).ravel()
    line = np.repeat(np.arange(len(lines.owner)), 2)
    metres = lines.metres[vertex]
    inside = _places(lines, line, at, metric=True)
    out = metres - inside
    size = np.hypot(*out.T)[:, None]
    heading = np.divide(out, size, out=np.zeros_like(out), where=size > 0)
    return _Ends(line, lines.xy[vertex], metres, inside, heading)


def _runs(base: _Lines, cover: _Lines, tolerance: float, *, twice: bool) -> tuple[Ints, Ints, Floats, Floats]:
    """Stretches of the edges of `base` that edges of `cover` run along within `tolerance` metres.

    With `twice` both are the same, and only those of lower rows beside higher ones are looked at. Returns the line of
    `base`, the line of `cover`, and from where to where in metres along the first: what the second, as far as it is
    near enough, covers when it is dropped on it at right angles. So it does not reach beyond its ends, and a line that
    crosses covers next to nothing.
    """
    line, v = _edges(base)
    other, w = _edges(cover)
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


def _joined(key: Ints, start: Floats, end: Floats, slack: float) -> tuple[Ints, Floats, Floats]:
    """Stretches of one key that lie within `slack` of each other made one; sorted by key and start."""
    order = np.lexsort((start, key))
    key, start, end = key[order], start[order], end[order]
    if len(key) == 0:
        return key, start, end
    reached = pd.Series(end).groupby(key).cummax().to_numpy()
    fresh = np.concatenate([[True], (key[1:] != key[:-1]) | (start[1:] > reached[:-1] + slack)])
    begin = np.flatnonzero(fresh)
    return key[begin], start[begin], np.maximum.reduceat(end, begin)


# --- the three kinds --------------------------------------------------------------------------------------------------


def _uncovered(own: _Lines, roads: _Lines, seam: float, ruler: Ruler) -> Iterator[Fault]:
    """Pieces of street that no segment runs along."""
    line, _, start, end = _runs(roads, own, seam + NOISE_M, twice=False)
    line, start, end = _joined(line, start, end, NOISE_M)
    every = np.arange(len(roads.owner))
    # The free stretches of a line lie between its covered ones: what ends one begins the other.
    key, begin = np.concatenate([every, line]), np.concatenate([np.zeros(len(every)), end])
    stop = np.concatenate([roads.length, start])
    order, till = np.lexsort((begin, key)), np.lexsort((stop, key))
    key, begin, stop = key[order], begin[order], stop[till]
    free = np.flatnonzero(stop - begin > NOISE_M)
    key = key[free]
    pieces = _rings_joined(_cuts(roads, key, begin[free], stop[free]), key)
    there = ruler.metres(pieces)
    long = shapely.length(there) > max(REACH_M, seam)
    pieces, there = pieces[long], there[long]
    at, beside = shapely.STRtree(own.there).query(there, predicate="dwithin", distance=seam + NOISE_M)
    rows: list[set[int]] = [set() for _ in pieces]
    for piece, row in zip(at.tolist(), own.owner[beside].tolist(), strict=True):
        rows[piece].add(row)
    for piece, near in zip(pieces, rows, strict=True):
        yield Fault("uncovered", tuple(sorted(near)), piece, "street")


def _rings_joined(pieces: Objects, line: Ints) -> Objects:
    """The pieces of lines, in order; the last one of a line goes before its first where the line closes there."""
    step = np.flatnonzero(line[1:] != line[:-1])
    head, tail = np.concatenate([[0], step + 1]), np.concatenate([step, [len(line) - 1]])
    head, tail = head[head < tail], tail[head < tail]
    closed = shapely.equals(shapely.get_point(pieces[head], 0), shapely.get_point(pieces[tail], -1))
    head, tail = head[closed], tail[closed]
    pieces = pieces.copy()
    pieces[head] = shapely.line_merge(shapely.union(pieces[tail], pieces[head]))
    return np.delete(pieces, tail)


def _doubled(own: _Lines, seam: float) -> Iterator[Fault]:
    """Stretches along which two segments run."""
    line, other, start, end = _runs(own, own, DOUBLED_M, twice=True)
    rows = int(own.owner.max(initial=0)) + 1
    # At a corner the stretches beside both edges may part by twice their distance.
    key, start, end = _joined(line * rows + own.owner[other], start, end, 2 * DOUBLED_M)
    long = np.flatnonzero(end - start > max(DOUBLED_LENGTH_M, seam))
    line, row = np.divmod(key[long], rows)
    stretches = _cuts(own, line, start[long], end[long])
    for first, second, stretch in zip(own.owner[line].tolist(), row.tolist(), stretches, strict=True):
        yield Fault("overlap", (first, second), stretch, "segment")


def _breaks(own: _Lines, roads: _Lines | None, seam: float, names: Sequence[object] | None) -> Iterator[Fault]:
    """Ends that do not meet the segment with which their street goes on, each pair of ends once."""
    if len(own.owner) == 0:
        return
    ends = _ends_of(own)
    loose = _loose(own, ends, seam)
    if roads is None:
        found = _by_direction(own, ends, loose, names)
    else:
        e, road = _followed(ends, roads, loose)
        off = np.setdiff1d(loose, e)
        found = pd.concat([_by_street(own, ends, roads, e, road), _by_direction(own, ends, off, names)])
    e, line, p, metres = _chosen(found, own)
    there = np.where(p[:, None] >= 0, ends.xy[p], _places(own, line, metres))
    between = shapely.linestrings(np.stack([ends.xy[e], there], axis=1))
    turned = (p >= 0) & (p < e)
    between[turned] = shapely.reverse(between[turned])
    # Two ends that look at each other are one break; a place on a line is no end.
    pair = np.sort(np.column_stack([e, np.where(p >= 0, p, -1 - line)]), axis=1)
    _, once = np.unique(pair, axis=0, return_index=True)
    for i in np.sort(once):
        rows = {int(own.owner[ends.line[e[i]]]), int(own.owner[line[i]])}
        yield Fault("gap", tuple(sorted(rows)), between[i], "seam")


def _loose(own: _Lines, ends: _Ends, seam: float) -> Ints:
    """The ends that have no other line within `seam`, and to which their own line does not return."""
    line, v = _edges(own)
    tree = shapely.STRtree(shapely.linestrings(np.stack([own.metres[v], own.metres[v + 1]], axis=1)))
    end, edge = tree.query(shapely.points(ends.metres), predicate="dwithin", distance=seam + NOISE_M)
    meets = line[edge] != ends.line[end]
    own_end, own_v = end[~meets], v[edge[~meets]]
    a, span = own.metres[own_v], own.metres[own_v + 1] - own.metres[own_v]
    t = np.clip(((ends.metres[own_end] - a) * span).sum(axis=1) / (span**2).sum(axis=1), 0, 1)
    away = np.hypot(*(a + t[:, None] * span - ends.metres[own_end]).T)
    at = np.where(own_end % 2 == 0, 0.0, own.length[ends.line[own_end]])
    way = np.abs(own.run[own_v] + t * np.hypot(*span.T) - own.start[ends.line[own_end]] - at)
    meets[~meets] = way >= 2 * away + _RETURN_M
    return np.setdiff1d(np.arange(len(ends.line)), end[meets])


def _by_direction(own: _Lines, ends: _Ends, loose: Ints, names: Sequence[object] | None) -> pd.DataFrame:
    """Ends of other lines ahead of loose ones, that go straight on or have the same name."""
    tree = shapely.STRtree(shapely.points(ends.metres))
    i, p = tree.query(shapely.points(ends.metres[loose]), predicate="dwithin", distance=REACH_M)
    e = loose[i]
    other = ends.line[e] != ends.line[p]
    e, p = e[other], p[other]
    step = ends.metres[p] - ends.metres[e]
    size = np.hypot(*step.T)
    straight = -(ends.heading[e] * ends.heading[p]).sum(axis=1)
    named = np.zeros(len(e), dtype=bool)
    if names is not None:
        name = pd.factorize(np.asarray(names, dtype=object))[0][own.owner]
        named = (name[ends.line[e]] == name[ends.line[p]]) & (name[ends.line[e]] >= 0)
    fits = ((ends.heading[e] * step).sum(axis=1) >= _AHEAD * size) & (named | (straight >= _AHEAD))
    e, p = e[fits], p[fits]
    return _candidates(e, ends.line[p], p, 0.0, size[fits], straight[fits])


def _followed(ends: _Ends, roads: _Lines, loose: Ints) -> tuple[Ints, Ints]:
    """The nearest street that each end follows: the end and the line before it are on it. Some have none."""
    i, road = shapely.STRtree(roads.there).query(
        shapely.points(ends.metres[loose]), predicate="dwithin", distance=ON_STREET_M
    )
    along = shapely.dwithin(roads.there[road], shapely.points(ends.inside[loose[i]]), ON_STREET_M)
    e, road = loose[i[along]], road[along]
    away = shapely.distance(roads.there[road], shapely.points(ends.metres[e]))
    order = np.lexsort((road, away, e))
    e, first = np.unique(e[order], return_index=True)
    return e, road[order][first]


def _by_street(own: _Lines, ends: _Ends, roads: _Lines, e: Ints, road: Ints) -> pd.DataFrame:
    """Ends and lines that the `road` of each end `e` comes to within :data:`REACH_M`."""
    foot = shapely.line_locate_point(roads.there[road], shapely.points(ends.metres[e]))
    till = np.concatenate([np.maximum(foot - REACH_M, 0.0), np.minimum(foot + REACH_M, roads.length[road])])
    foot, road, at_end = np.tile(foot, 2), np.tile(road, 2), np.tile(e, 2)
    real = np.abs(till - foot) > NOISE_M
    at_end, pieces = at_end[real], _cuts(roads, road[real], foot[real], till[real], metric=True)
    chord = shapely.get_coordinates(shapely.line_interpolate_point(pieces, HEADING_M))
    chord -= shapely.get_coordinates(shapely.get_point(pieces, 0))
    onward = (chord * ends.heading[at_end]).sum(axis=1) >= _NOT_BACK * np.hypot(*chord.T)
    at_end, pieces = at_end[onward], pieces[onward]
    return pd.concat([_ends_along(ends, at_end, pieces), _lines_along(own, ends, at_end, pieces)])


def _ends_along(ends: _Ends, at_end: Ints, pieces: Objects) -> pd.DataFrame:
    """The ends of other lines beside the pieces of street that begin at `at_end`."""
    points = shapely.points(ends.metres)
    i, p = shapely.STRtree(points).query(pieces, predicate="dwithin", distance=ON_STREET_M)
    e = at_end[i]
    along = shapely.line_locate_point(pieces[i], points[p])
    aside = shapely.distance(pieces[i], points[p])
    straight = -(ends.heading[e] * ends.heading[p]).sum(axis=1)
    # Beside it, not ahead, ends what runs beside it: the other carriageway.
    ahead = (along >= aside) | (straight >= _AHEAD)
    fits = (ends.line[e] != ends.line[p]) & (along < REACH_M) & ahead
    e, p = e[fits], p[fits]
    return _candidates(e, ends.line[p], p, 0.0, (along + aside)[fits], straight[fits])


def _lines_along(own: _Lines, ends: _Ends, at_end: Ints, pieces: Objects) -> pd.DataFrame:
    """Other lines that the pieces of street come to, wherever on them."""
    i, k = shapely.STRtree(own.there).query(pieces, predicate="dwithin", distance=SEAM_M)
    other = ends.line[at_end[i]] != k
    i, k = i[other], k[other]
    e, pieces, lines = at_end[i], pieces[i], own.there[k]
    common = shapely.intersection(pieces, lines)
    common = np.where(shapely.is_empty(common), lines, common)
    start = np.where(shapely.intersects(pieces, lines), shapely.points(ends.metres[e]), pieces)
    target = shapely.get_point(shapely.shortest_line(start, common), 1)
    along = shapely.line_locate_point(pieces, target)
    aside = shapely.distance(pieces, target)
    fits = (along < REACH_M) & (along >= aside)
    metres = shapely.line_locate_point(lines, target)
    return _candidates(e[fits], k[fits], -1, metres[fits], (along + aside)[fits], -1.0)


def _candidates(end: Ints, line: Any, partner: Any, metres: Any, way: Floats, straight: Any) -> pd.DataFrame:
    """What an end may have to join: a line's end (`partner`), or a place `metres` along it; `way` metres off."""
    columns = {"end": end, "line": line, "partner": partner, "metres": metres, "way": way, "straight": straight}
    return pd.DataFrame(columns, index=range(len(end)))


def _chosen(found: pd.DataFrame, own: _Lines) -> tuple[Ints, Ints, Ints, Floats]:
    """The nearest of each end; of several at one place an end rather than a middle, and what goes straight on."""
    found = found[found["way"] <= found.groupby("end")["way"].transform("min") + _TIE_M]
    order = pd.DataFrame(
        {
            "end": found["end"],
            "middle": found["partner"] < 0,
            "turn": -found["straight"].round(6),
            "way": found["way"].round(6),
            "row": own.owner[found["line"].to_numpy()],
            "partner": found["partner"],
        }
    ).reset_index(drop=True)
    order = order.sort_values(list(order.columns), kind="stable").drop_duplicates("end")
    found = found.iloc[order.index]
    end, line, partner = (found[name].to_numpy(dtype=np.int64) for name in ("end", "line", "partner"))
    return end, line, partner, found["metres"].to_numpy(dtype=float)
