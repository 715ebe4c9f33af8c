"""Do responsibility segments join and cover their streets, each stretch once? Breaks, uncovered and doubled stretches.

Every line is measured vertex by vertex in metres; a place on it is a distance from its start. What is reported is
cut from the line as it was given, at that place of that edge, so its own vertices are never sent through a projection.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import shapely

from gridgis.errors import GridgisWarning, InputError, name_ids
from gridgis.plan.checking.measured_lines import (
    HEADING_M,
    LineEnds,
    MeasuredLines,
    cut_pieces,
    edges_of,
    ends_of,
    joined_runs,
    line_parts,
    places_on,
    runs_along,
)
from gridgis.plan.checking.ruler import NOISE_M, Bools, Floats, Ruler
from gridgis.plan.checking.segments import Ints
from gridgis.plan.checking.tiling import Fault, Objects

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
#: Classes of barriers that nobody has to patrol, whatever the segments' kinds are.
NOT_STREETS = frozenset({"river", "railway", "wall"})

#: Candidates within this of the nearest one, in metres, are at the same place: the one that goes straight on is taken.
_TIE_M = 1.0
#: A line returns to its own end where it is nearer than half the way along it, less this, in metres.
_RETURN_M = 1.0
_AHEAD = float(np.cos(np.radians(AHEAD_DEG)))
#: A street goes on from an end in a direction that turns by at most 120°; more is the way back.
_NOT_BACK = -0.5


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
    own = MeasuredLines.of(segments, ruler, "segments")
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


def _warn_of_lost(segments: Objects, own: MeasuredLines) -> None:
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


def _roads(streets: Objects, ground: Any, ruler: Ruler) -> MeasuredLines:
    """The streets on the ground, made one line where only two of them meet."""
    parts, _ = line_parts(streets, "streets")
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
    return MeasuredLines.of(np.array([merged], dtype=object), ruler, "streets")


# --- the three kinds --------------------------------------------------------------------------------------------------


def _uncovered(own: MeasuredLines, roads: MeasuredLines, seam: float, ruler: Ruler) -> Iterator[Fault]:
    """Pieces of street that no segment runs along."""
    line, _, start, end = runs_along(roads, own, seam + NOISE_M, twice=False)
    line, start, end = joined_runs(line, start, end, NOISE_M)
    every = np.arange(len(roads.owner))
    # The free stretches of a line lie between its covered ones: what ends one begins the other.
    key, begin = np.concatenate([every, line]), np.concatenate([np.zeros(len(every)), end])
    stop = np.concatenate([roads.length, start])
    order, till = np.lexsort((begin, key)), np.lexsort((stop, key))
    key, begin, stop = key[order], begin[order], stop[till]
    free = np.flatnonzero(stop - begin > NOISE_M)
    key = key[free]
    pieces = _rings_joined(cut_pieces(roads, key, begin[free], stop[free]), key)
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


def _doubled(own: MeasuredLines, seam: float) -> Iterator[Fault]:
    """Stretches along which two segments run."""
    line, other, start, end = runs_along(own, own, DOUBLED_M, twice=True)
    rows = int(own.owner.max(initial=0)) + 1
    # At a corner the stretches beside both edges may part by twice their distance.
    key, start, end = joined_runs(line * rows + own.owner[other], start, end, 2 * DOUBLED_M)
    long = np.flatnonzero(end - start > max(DOUBLED_LENGTH_M, seam))
    line, row = np.divmod(key[long], rows)
    stretches = cut_pieces(own, line, start[long], end[long])
    for first, second, stretch in zip(own.owner[line].tolist(), row.tolist(), stretches, strict=True):
        yield Fault("overlap", (first, second), stretch, "segment")


def _breaks(
    own: MeasuredLines, roads: MeasuredLines | None, seam: float, names: Sequence[object] | None
) -> Iterator[Fault]:
    """Ends that do not meet the segment with which their street goes on, each pair of ends once."""
    if len(own.owner) == 0:
        return
    ends = ends_of(own)
    loose = _loose(own, ends, seam)
    if roads is None:
        found = _by_direction(own, ends, loose, names)
    else:
        e, road = _followed(ends, roads, loose)
        off = np.setdiff1d(loose, e)
        found = pd.concat([_by_street(own, ends, roads, e, road), _by_direction(own, ends, off, names)])
    e, line, p, metres = _chosen(found, own)
    there = np.where(p[:, None] >= 0, ends.xy[p], places_on(own, line, metres))
    between = shapely.linestrings(np.stack([ends.xy[e], there], axis=1))
    turned = (p >= 0) & (p < e)
    between[turned] = shapely.reverse(between[turned])
    # Two ends that look at each other are one break; a place on a line is no end.
    pair = np.sort(np.column_stack([e, np.where(p >= 0, p, -1 - line)]), axis=1)
    _, once = np.unique(pair, axis=0, return_index=True)
    for i in np.sort(once):
        rows = {int(own.owner[ends.line[e[i]]]), int(own.owner[line[i]])}
        yield Fault("gap", tuple(sorted(rows)), between[i], "seam")


def _loose(own: MeasuredLines, ends: LineEnds, seam: float) -> Ints:
    """The ends that have no other line within `seam`, and to which their own line does not return."""
    line, v = edges_of(own)
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


def _by_direction(own: MeasuredLines, ends: LineEnds, loose: Ints, names: Sequence[object] | None) -> pd.DataFrame:
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


def _followed(ends: LineEnds, roads: MeasuredLines, loose: Ints) -> tuple[Ints, Ints]:
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


def _by_street(own: MeasuredLines, ends: LineEnds, roads: MeasuredLines, e: Ints, road: Ints) -> pd.DataFrame:
    """Ends and lines that the `road` of each end `e` comes to within :data:`REACH_M`."""
    foot = shapely.line_locate_point(roads.there[road], shapely.points(ends.metres[e]))
    till = np.concatenate([np.maximum(foot - REACH_M, 0.0), np.minimum(foot + REACH_M, roads.length[road])])
    foot, road, at_end = np.tile(foot, 2), np.tile(road, 2), np.tile(e, 2)
    real = np.abs(till - foot) > NOISE_M
    at_end, pieces = at_end[real], cut_pieces(roads, road[real], foot[real], till[real], metric=True)
    chord = shapely.get_coordinates(shapely.line_interpolate_point(pieces, HEADING_M))
    chord -= shapely.get_coordinates(shapely.get_point(pieces, 0))
    onward = (chord * ends.heading[at_end]).sum(axis=1) >= _NOT_BACK * np.hypot(*chord.T)
    at_end, pieces = at_end[onward], pieces[onward]
    return pd.concat([_ends_along(ends, at_end, pieces), _lines_along(own, ends, at_end, pieces)])


def _ends_along(ends: LineEnds, at_end: Ints, pieces: Objects) -> pd.DataFrame:
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


def _lines_along(own: MeasuredLines, ends: LineEnds, at_end: Ints, pieces: Objects) -> pd.DataFrame:
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


def _chosen(found: pd.DataFrame, own: MeasuredLines) -> tuple[Ints, Ints, Ints, Floats]:
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
