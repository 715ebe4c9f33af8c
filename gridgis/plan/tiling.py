"""Where a set of polygons fails to tile its ground: exact overlay, but only where segments do not match.

The segments that do not cancel (:mod:`gridgis.plan.segments`) are noded and polygonized. In each face of them the
number of polygons on top, less one on the ground, is the same everywhere: one point tells it. Faces without a polygon
are gaps; polygons that reach into a face with too many are laid over each other and the ground. Gaps that are closed
only by points where polygons touch are faces like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from gridgis.plan.ruler import NOISE_M, Ruler
from gridgis.plan.segments import (
    GROUND,
    Ints,
    Network,
    directed_segments,
    distinct_pairs,
    joined,
    reversed_segments,
    split_at_vertices,
    unmatched,
)

#: How far, in noises, an edge of a face may lie off the segment that it was made from.
_SLACK = 4.0

Objects = NDArray[np.object_]


class Fault(NamedTuple):
    """One fault: its kind (a word of the contract), the positions of the polygons in it, and where it is."""

    kind: str
    rows: tuple[int, ...]
    geometry: Any


def tiling_faults(polygons: Objects, ground: Any, ruler: Ruler) -> list[Fault]:
    """All faults by which `polygons` do not tile `ground`, however small; numerical noise is left out.

    Parameters
    ----------
    polygons : array of Polygon or MultiPolygon
        Valid, not empty, in the CRS of `ruler`.
    ground : Polygon or MultiPolygon, optional
        Valid, in the same CRS. Without it the ground is what the outer rings of the polygons' union enclose.
    ruler : Ruler

    Returns
    -------
    list of Fault
        overlap, contained (rows: the inner, then the outer one), duplicate (all copies), gap and uncovered (the
        polygons along it), outside, unmatched_edge (the one without the vertex, then those with it). Overlaps, gaps,
        uncovered and outside ground are one fault for each connected piece.

    Notes
    -----
    Two places within :data:`~gridgis.plan.ruler.NOISE_M` are one, and strips thinner than that are no faults.
    """
    if len(polygons) == 0:
        return [] if ground is None else [Fault("uncovered", (), part) for part in shapely.get_parts(ground)]
    segments = directed_segments(polygons)
    if ground is not None:
        segments = joined(segments, reversed_segments(ground))
    open_ = unmatched(segments)
    if len(open_.owner) == 0:
        return []
    network = split_at_vertices(open_, ruler.noise)
    faces = _faces(network, ruler)
    tree = shapely.STRtree(polygons)
    count, on_ground = _counts(faces, tree, ground)
    faults = list(_missing(faces[(count == 0) & on_ground], network, ruler, ground is not None))
    crowded = faces[count > (1 if ground is None else on_ground.astype(int))]
    rows = np.unique(tree.query(crowded, predicate="intersects")[1])
    faults += _laid_over(polygons, rows, ruler)
    if ground is not None:
        faults += _outside(polygons, tree, crowded, ground, ruler)
    faults += _unmatched_edges(network)
    return faults


def _faces(network: Network, ruler: Ruler) -> Objects:
    """The polygons that the open segments enclose, without noise."""
    low, high = np.minimum(network.tail, network.head), np.maximum(network.tail, network.head)
    pairs = np.column_stack(distinct_pairs(low, high))
    noded = shapely.union_all(shapely.linestrings(network.points[pairs]))
    faces: Objects = shapely.get_parts(shapely.polygonize(shapely.get_parts(noded)))
    return faces[ruler.substantial(faces)]


def _counts(faces: Objects, tree: Any, ground: Any) -> tuple[Ints, NDArray[np.bool_]]:
    """How many polygons lie over each face, and whether it is ground (everything enclosed is, if none is given)."""
    inside = shapely.point_on_surface(faces)
    over, _ = tree.query(inside, predicate="intersects")
    count = np.bincount(over, minlength=len(faces)).astype(np.int64)
    if ground is None:
        return count, np.ones(len(faces), dtype=bool)
    shapely.prepare(ground)
    return count, shapely.intersects(ground, inside)


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
    edges = directed_segments(faces)
    middles = shapely.points((edges.start + edges.end) / 2)
    tree = shapely.STRtree(network.lines())
    edge, segment = tree.query(middles, predicate="dwithin", distance=_SLACK * ruler.noise)
    owner, face = distinct_pairs(network.owner[segment], edges.owner[edge])
    for f, o in zip(face.tolist(), owner.tolist(), strict=True):
        owners[f].add(o)
    return owners


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
    begin, end = (np.searchsorted(network.held, network.missed, side) for side in ("left", "right"))
    found: dict[tuple[int, ...], set[int]] = {}
    for lacking, point, b, e in zip(
        network.lacking.tolist(), network.missed.tolist(), begin.tolist(), end.tolist(), strict=True
    ):
        having = set(network.holder[b:e].tolist())
        others = having - {GROUND}
        if lacking != GROUND and others and lacking not in having:
            found.setdefault((lacking, *sorted(others)), set()).add(point)
    return [
        Fault("unmatched_edge", rows, shapely.multipoints(network.points[sorted(points)]))
        for rows, points in sorted(found.items())
    ]
