"""Where a set of polygons fails to tile its ground: exact overlay, but only where segments do not match.

The segments that do not cancel (:mod:`gridgis.plan.checking.segments`) are noded and polygonized. In each face of them
the number of polygons on top, less one on the ground, is the same everywhere: one point tells it. Faces without a
polygon are gaps; polygons that reach into a face with too many are laid over each other and the ground. Gaps that are
closed only by points where polygons touch are faces like any other. Inlets (gaps that are open to the outside) are no
faces: they are what a closing of the outline fills.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gridgis.plan.checking.ruler import NOISE_M, Ruler, widths
from gridgis.plan.checking.segments import (
    GROUND,
    Ints,
    Network,
    Segments,
    alone,
    couples,
    directed_segments,
    distinct_pairs,
    joined,
    reversed_segments,
    split_at_vertices,
    unmatched,
)

#: How far, in noises, an edge of a face may lie off the segment that it was made from.
_SLACK = 4.0

#: Faces narrower on the mean than so many noises are thin.
_THIN = 1000.0

#: An inlet's area is less than this share of the disc with its perimeter: a strip 9 times as long as wide, a wedge
#: more than 4 times as deep as its mouth is wide.
INLET_COMPACTNESS = 0.3

#: How far, in half inlet widths, a sharp corner of the outline is carried outwards before it is cut off: little at
#: corners that stick out, so that they meet nothing far away; much in wedges, so that only those under 6° are filled.
_OUTER_MITRE, _INNER_MITRE = 2.0, 20.0

#: The share of an inlet's outline that is open to the outside; a shallow dent along the rim has a half.
_MOUTH = 0.25

Objects = NDArray[np.object_]


class Fault(NamedTuple):
    """One fault: its kind (a word of the contract), the positions of the polygons in it, where it is.

    `note` tells cases of one kind apart that are put into other words.
    """

    kind: str
    rows: tuple[int, ...]
    geometry: Any
    note: str = ""


class Matching(NamedTuple):
    """The segments of polygons and of their ground, and the couples of exact opposites among them."""

    segments: Segments
    couples: tuple[Ints, Ints]

    def open(self) -> Segments:
        """The segments in no couple."""
        return self.segments.take(alone(len(self.segments.owner), self.couples))


def match(polygons: Objects, ground: Any = None) -> Matching:
    """Match the segments of valid polygons with each other, and with those of the ground run the other way round."""
    segments = directed_segments(polygons)
    if ground is not None:
        segments = joined(segments, reversed_segments(ground))
    return Matching(segments, couples(segments))


def tiling_faults(
    polygons: Objects,
    ground: Any,
    ruler: Ruler,
    *,
    holes: Any = None,
    inlet_width: float = 0.0,
    matching: Matching | None = None,
) -> list[Fault]:
    """All faults by which `polygons` do not tile `ground`, however small; numerical noise is left out.

    Parameters
    ----------
    polygons : array of Polygon or MultiPolygon
        Valid, not empty, in the CRS of `ruler`.
    ground : Polygon or MultiPolygon, optional
        Valid, in the same CRS. Without it the ground is what the outer rings of the polygons' union enclose.
    ruler : Ruler
    holes : Polygon or MultiPolygon, optional
        Ground that nobody has to cover (a lake, an enclave).
    inlet_width : float
        m. Without a ground, strips between polygons that are open to the outside, narrower than this, longer than this
        and elongated (:data:`INLET_COMPACTNESS`) are gaps with the note "inlet".
    matching : Matching, optional
        What :func:`match` gives for the polygons and the ground, where the caller has it already.

    Returns
    -------
    list of Fault
        overlap, contained (rows: the inner, then the outer one), duplicate (all copies), gap and uncovered (the
        polygons along it), outside, unmatched_edge (the one without the vertex, then those with it). Overlaps, gaps,
        uncovered and outside ground are one fault for each connected piece.

    Notes
    -----
    Two places within :data:`~gridgis.plan.checking.ruler.NOISE_M` are one, and strips thinner than that are no faults.
    """
    if len(polygons) == 0:
        parts = np.empty(0, dtype=object) if ground is None else shapely.get_parts(ground)
        return [Fault("uncovered", (), part) for part in _without(parts, holes, ruler)]
    matching = match(polygons, ground) if matching is None else matching
    open_ = matching.open()
    if len(open_.owner) == 0:
        return []
    network = split_at_vertices(open_, ruler.noise)
    faces = _faces(network, ruler)
    tree = shapely.STRtree(polygons)
    count, on_ground = _counts(faces, tree, ground, ruler)
    missing = _without(faces[(count == 0) & on_ground], holes, ruler)
    faults = list(_missing(missing, network, ruler, ground is not None))
    crowded = faces[count > (1 if ground is None else on_ground.astype(int))]
    rows = np.unique(tree.query(crowded, predicate="intersects")[1])
    faults += _laid_over(polygons, rows, ruler)
    if ground is not None:
        faults += _outside(polygons, tree, crowded, ground, ruler)
    elif inlet_width > 0:
        faults += _inlets(faces, network, ruler, inlet_width, holes)
    faults += _unmatched_edges(network)
    return faults


def union_of(polygons: Objects, ruler: Ruler) -> Any:
    """The union of `polygons` without the holes that are only noise; quick where most of their segments match.

    Raises no error for polygons that overlap: it is their common ground all the same.
    """
    open_ = unmatched(directed_segments(polygons))
    faces = _faces(split_at_vertices(open_, ruler.noise), ruler)
    count, _ = _counts(faces, shapely.STRtree(polygons), None, ruler)
    covered = faces[count > 0]
    return covered[0] if len(covered) == 1 else shapely.union_all(covered)


def _without(faces: Objects, holes: Any, ruler: Ruler) -> Objects:
    """What is left of `faces` beyond the known holes, in connected pieces."""
    if holes is None or len(faces) == 0:
        return faces
    shapely.prepare(holes)
    hit = shapely.intersects(holes, faces)
    rest = shapely.get_parts(_polygonal(shapely.difference(faces[hit], holes)))
    return np.concatenate([faces[~hit], rest[ruler.substantial(rest)]])


def _faces(network: Network, ruler: Ruler) -> Objects:
    """The polygons that the open segments enclose, without noise."""
    low, high = np.minimum(network.tail, network.head), np.maximum(network.tail, network.head)
    pairs = np.column_stack(distinct_pairs(low, high))
    noded = shapely.union_all(shapely.linestrings(network.points[pairs]))
    faces: Objects = shapely.get_parts(shapely.polygonize(shapely.get_parts(noded)))
    return faces[ruler.substantial(faces)]


def _counts(faces: Objects, tree: Any, ground: Any, ruler: Ruler) -> tuple[Ints, NDArray[np.bool_]]:
    """How many polygons lie over each face, and whether it is ground (everything enclosed is, if none is given)."""
    inside = _inner_points(faces, ruler)
    over, _ = tree.query(inside, predicate="intersects")
    count = np.bincount(over, minlength=len(faces)).astype(np.int64)
    if ground is None:
        return count, np.ones(len(faces), dtype=bool)
    shapely.prepare(ground)
    return count, shapely.intersects(ground, inside)


def _inner_points(faces: Objects, ruler: Ruler) -> Objects:
    """A point in each face; of thin ones not so near to an edge that the noise of a vertex moves it to another side."""
    inside: Objects = shapely.point_on_surface(faces)
    thin = np.flatnonzero(2 * shapely.area(faces) <= _THIN * ruler.noise * shapely.length(faces))
    if len(thin) == 0:
        return inside
    pieces, of = shapely.get_parts(shapely.constrained_delaunay_triangles(faces[thin]), return_index=True)
    order = np.lexsort((shapely.area(pieces), of))
    last = order[np.append(np.diff(of[order]) != 0, True)]
    inside[thin[of[last]]] = shapely.centroid(pieces[last])
    return inside


def _missing(faces: Objects, network: Network, ruler: Ruler, given: bool) -> Iterator[Fault]:
    """Faces that no polygon covers: uncovered along the ground's outline, else a gap between the polygons."""
    along = _owners_along(faces, network, ruler)
    for face, owners in zip(faces, along, strict=True):
        kind = "uncovered" if given and GROUND in owners else "gap"
        yield Fault(kind, tuple(sorted(owners - {GROUND})), face)


def _owners_along(faces: Objects, network: Network, ruler: Ruler) -> list[set[int]]:
    """The owners of the segments that each face's rings are made of."""
    owners: list[set[int]] = [set() for _ in faces]
    if len(faces) == 0:
        return owners
    edges, edge, segment = _edges_along(faces, network, ruler)
    owner, face = distinct_pairs(network.owner[segment], edges.owner[edge])
    for f, o in zip(face.tolist(), owner.tolist(), strict=True):
        owners[f].add(o)
    return owners


def _edges_along(faces: Objects, network: Network, ruler: Ruler) -> tuple[Segments, Ints, Ints]:
    """The edges of `faces`, and pairs (edge, open segment) of those that run along each other."""
    edges = directed_segments(faces)
    middles = shapely.points((edges.start + edges.end) / 2)
    tree = shapely.STRtree(network.lines())
    edge, segment = tree.query(middles, predicate="dwithin", distance=_SLACK * ruler.noise)
    return edges, edge.astype(np.int64), segment.astype(np.int64)


def _mouths(pieces: Objects, network: Network, ruler: Ruler) -> NDArray[np.float64]:
    """The share of each piece's outline that does not run along a polygon."""
    edges, edge, _ = _edges_along(pieces, network, ruler)
    length = np.hypot(*((edges.end - edges.start) * ruler.unit_m).T)
    free = length.copy()
    free[edge] = 0.0
    open_m, all_m = (np.bincount(edges.owner, metres, len(pieces)) for metres in (free, length))
    share: NDArray[np.float64] = np.divide(open_m, all_m)
    return share


def _inlets(faces: Objects, network: Network, ruler: Ruler, width: float, holes: Any) -> Iterator[Fault]:
    """Strips open to the outside: what a closing of the outline by half of `width` fills between two polygons.

    The closing runs in a plane scaled to metres at the middle of the place; its vertices on the outline are given the
    outline's own coordinates again.
    """
    scale = np.array(ruler.unit_m)
    solid = shapely.transform(shapely.union_all(faces), lambda xy: xy * scale)
    wide = shapely.buffer(solid, width / 2, join_style="mitre", mitre_limit=_OUTER_MITRE)
    closed = shapely.buffer(wide, -width / 2, join_style="mitre", mitre_limit=_INNER_MITRE)
    filled = shapely.get_parts(_polygonal(np.array([shapely.difference(closed, solid, grid_size=NOISE_M)])))
    tree = cKDTree(network.points * scale)

    def back(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        away, nearest = tree.query(xy, distance_upper_bound=_SLACK * NOISE_M)
        out: NDArray[np.float64] = xy / scale
        known = np.isfinite(away)
        out[known] = network.points[nearest[known]]
        return out

    pieces = shapely.transform(filled, back)
    pieces = _without(pieces[shapely.is_valid(pieces) & ruler.substantial(pieces)], holes, ruler)
    there = ruler.metres(pieces)
    area, around = shapely.area(there), shapely.length(there)
    # What is thinner than both slacks together cannot be told from an edge.
    thick = 2 * area > 2 * _SLACK * NOISE_M * around
    long = thick & (4 * np.pi * area < INLET_COMPACTNESS * around**2) & (around > 2 * width)
    pieces, there = pieces[long], there[long]
    pieces = pieces[widths(there) < width]
    pieces = pieces[_mouths(pieces, network, ruler) < _MOUTH]
    for piece, owners in zip(pieces, _owners_along(pieces, network, ruler), strict=True):
        if len(owners) > 1:
            yield Fault("gap", tuple(sorted(owners)), piece, "inlet")


def _laid_over(polygons: Objects, rows: Ints, ruler: Ruler) -> list[Fault]:
    """Overlaps of the polygons in `rows`, by pairs; copies are one duplicate, and what lies inside is contained."""
    chosen = polygons[rows]
    first, second = shapely.STRtree(chosen).query(chosen, predicate="intersects")
    once = first < second
    first, second = first[once], second[once]
    common = _polygonal(shapely.intersection(chosen[first], chosen[second]))
    real = ruler.substantial(common)
    first, second, common = first[real], second[real], common[real]
    there = ruler.metres(chosen)
    area, slack = shapely.area(there), NOISE_M * shapely.length(there)
    shared = shapely.area(ruler.metres(common))
    first_in, second_in = (area[r] - shared <= slack[r] for r in (first, second))
    same = first_in & second_in
    faults = [
        Fault("duplicate", copies, polygons[copies[0]]) for copies in _groups(rows[first[same]], rows[second[same]])
    ]
    held = first_in ^ second_in
    inner, outer = np.where(first_in, first, second), np.where(first_in, second, first)
    faults += [
        Fault("contained", (int(rows[i]), int(rows[o])), shape)
        for i, o, shape in zip(inner[held], outer[held], common[held], strict=True)
    ]
    rest = ~same & ~held
    faults += _pieces("overlap", common[rest], list(zip(rows[first[rest]], rows[second[rest]], strict=True)), ruler)
    return faults


def _groups(first: Ints, second: Ints) -> list[tuple[int, ...]]:
    """Pairs joined into groups that hang together, each sorted."""
    group: dict[int, set[int]] = {}
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        joint = group.get(a, {a}) | group.get(b, {b})
        for member in joint:
            group[member] = joint
    return sorted({tuple(sorted(members)) for members in group.values()})


def _outside(polygons: Objects, tree: Any, crowded: Objects, ground: Any, ruler: Ruler) -> list[Fault]:
    """What the polygons in crowded faces have beyond the ground."""
    beyond = crowded[~shapely.covers(ground, crowded)]
    rows = np.unique(tree.query(beyond, predicate="intersects")[1])
    parts = _polygonal(shapely.difference(polygons[rows], ground))
    return _pieces("outside", parts, [(row,) for row in rows], ruler)


def _pieces(kind: str, shapes: Objects, rows: list[tuple[Any, ...]], ruler: Ruler) -> list[Fault]:
    """One fault for each connected piece of each shape."""
    parts, source = shapely.get_parts(shapes, return_index=True)
    real = ruler.substantial(parts)
    return [
        Fault(kind, tuple(int(row) for row in rows[s]), part)
        for part, s in zip(parts[real], source[real].tolist(), strict=True)
    ]


def _polygonal(shapes: Objects) -> Objects:
    """The polygons of each result of an overlay, without the lines and points that it may hold beside them."""
    mixed = np.flatnonzero(shapely.get_type_id(shapes) == shapely.GeometryType.GEOMETRYCOLLECTION)
    out = shapes.copy()
    for row in mixed:
        parts = shapely.get_parts(shapes[row])
        out[row] = shapely.union_all(parts[shapely.get_dimensions(parts) == 2])
    return out


def _unmatched_edges(network: Network) -> list[Fault]:
    """Vertices that one polygon has and another, whose edge runs through there, has not.

    Vertices that the same polygons have and the same one lacks are one fault. The ground's outline may have fewer or
    more vertices than the polygons: that is no fault.
    """
    polygon = network.holder != GROUND
    holder, held = network.holder[polygon], network.held[polygon]
    span = int(max(holder.max(initial=0), network.lacking.max(initial=0))) + 2
    begin, end = (np.searchsorted(held, network.missed, side) for side in ("left", "right"))
    known, asked = held * span + holder, network.missed * span + network.lacking  # the first is sorted
    at = np.minimum(np.searchsorted(known, asked), max(len(known) - 1, 0))
    has_it = known[at] == asked if len(known) else np.zeros(len(asked), dtype=bool)
    kept = (network.lacking != GROUND) & (end > begin) & ~has_it
    lacking, point, begin, size = network.lacking[kept], network.missed[kept], begin[kept], (end - begin)[kept]
    # One number for each set of holders: that of the set without its last one, joined with the last.
    those = size.copy()
    for k in range(int(size.max(initial=0))):
        more = size > k
        those[more] = np.unique(those[more] * span + holder[begin[more] + k], return_inverse=True)[1]
    order = np.lexsort((point, those, size, lacking))
    columns = np.column_stack([lacking, size, those, point])[order]
    new_group, new_point = (
        np.concatenate([[True], (columns[1:, :width] != columns[:-1, :width]).any(axis=1)])[: len(columns)]
        for width in (3, 4)
    )
    group = np.cumsum(new_group)[new_point] - 1
    places = shapely.multipoints(shapely.points(network.points[columns[new_point, 3]]), indices=group)
    first = order[new_group]
    rows = [
        (owner, *holder[at : at + n].tolist())
        for owner, at, n in zip(lacking[first].tolist(), begin[first].tolist(), size[first].tolist(), strict=True)
    ]
    return [Fault("unmatched_edge", rows[i], places[i]) for i in sorted(range(len(rows)), key=rows.__getitem__)]
