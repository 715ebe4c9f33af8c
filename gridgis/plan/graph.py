"""Blocks as a graph: who is whose neighbour, along how many metres, and what it costs to cut there."""

from __future__ import annotations

from typing import NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gridgis import crs as crs_
from gridgis.errors import PlanError, SchemaError
from gridgis.plan.network import Bools, Floats, Ints, Shapes, metres_per_unit, rim_segments
from gridgis.schema import STRONG_BARRIERS, codes_as_text

#: What a metre of border costs by the class it lies on; the last stands for a border on no barrier.
CLASS_COST: dict[str | None, float] = {
    "river": 0.2, "railway": 0.2, "expressway": 0.2, "main": 0.3, "secondary": 0.6, "lane": 1.0, "wall": 1.0,
    None: 2.0,
}  # fmt: skip

#: Neighbours share at least this much border, metres, unless blocks would be cut off without shorter ones.
MIN_SHARED_M = 5.0

#: Two blocks overlap if they have more ground in common than this, m².
_OVERLAP_M2 = 1e-3


class Graph(NamedTuple):
    """Neighbouring blocks (rows, the lower first) with their common border; and the size of each block."""

    pairs: Ints  # (m, 2)
    metres: Floats  # (m,)
    cost: Floats  # (m,) metres weighted by CLASS_COST
    strong: Floats  # (m,) metres on strong barriers
    area: Floats  # (n,) m²
    perimeter: Floats  # (n,) metres
    enclosed: Ints  # (h, 2) a block and one that lies in a hole of it, the innermost first
    clean: bool  # borders match vertex for vertex


def block_graph(blocks: gpd.GeoDataFrame, codes: Shapes, borders: gpd.GeoDataFrame | None) -> Graph:
    """The graph of `blocks`; classes of borders come from `borders` (a border it does not know lies on no barrier).

    Raises
    ------
    PlanError
        Blocks that overlap, or borders of blocks that do not exist.
    """
    shapes: Shapes = shapely.force_2d(np.asarray(blocks.geometry.array, dtype=object))
    metric = crs_.metric_crs(blocks, "blocks")
    crs = crs_.require_crs(blocks, "blocks")
    faults = shapely.coverage_invalid_edges(shapes)
    loose: Bools = ~(shapely.is_missing(faults) | shapely.is_empty(faults))
    if loose.any():
        _refuse_overlaps(shapes, loose, codes, metres_per_unit(crs, metric, np.asarray(blocks.total_bounds)))
    rims = rim_segments(shapes)
    inner = rims.right >= 0
    ends = crs_.project(shapely.linestrings(rims.ends[inner]), crs, metric)
    pair, length = np.stack([rims.left[inner], rims.right[inner]], axis=1), shapely.length(ends)
    if loose.any():
        more, extra = _unmatched(shapes, loose, pair)
        pair = np.concatenate([pair, more])
        length = np.concatenate([length, shapely.length(crs_.project(extra, crs, metric))])
    pairs, of = np.unique(pair, axis=0, return_inverse=True)
    metres = np.bincount(of.ravel(), length, len(pairs)).astype(float)
    moved = crs_.project(shapes, crs, metric)
    per_metre, strong = _classes(pairs, codes, borders)
    return Graph(
        pairs.reshape(-1, 2), metres, metres * per_metre, metres * strong, shapely.area(moved), shapely.length(moved),
        _enclosed(shapes), not loose.any(),
    )  # fmt: skip


def _enclosed(shapes: Shapes) -> Ints:
    parts, owner = shapely.get_parts(shapes, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    hole = np.append(False, part[1:] == part[:-1])  # the first ring of each part is its outline
    holes = shapely.polygons(rings[hole])
    inside, row = shapely.STRtree(shapely.point_on_surface(shapes)).query(holes, predicate="contains")[::-1]
    order = np.lexsort((inside, shapely.area(holes)[row])) if len(row) else np.empty(0, dtype=np.int64)
    outer = owner[part[hole]][row]
    return np.stack([outer[order], inside[order]], axis=1).astype(np.int64)


def _refuse_overlaps(shapes: Shapes, loose: Bools, codes: Shapes, scale: Floats) -> None:
    rows = np.flatnonzero(loose)
    one, other = shapely.STRtree(shapes[rows]).query(shapes[rows], predicate="intersects")
    one, other = rows[one[one < other]], rows[other[one < other]]
    area = shapely.area(shapely.intersection(shapes[one], shapes[other])) * scale.prod()
    bad = area > _OVERLAP_M2
    if bad.any():
        raise PlanError(
            "blocks overlap", source="blocks",
            ids=sorted(f"{codes[a]} with {codes[b]}" for a, b in zip(one[bad], other[bad], strict=True)),
            found=f"{area[bad].sum():,.3f} m²", wanted="blocks side by side",
            remedy="gridgis validate shows where; gridgis blocks makes blocks that do not.",
        )  # fmt: skip


def _unmatched(shapes: Shapes, loose: Bools, known: Ints) -> tuple[Ints, Shapes]:
    """Pairs of blocks that share border without sharing its vertices, and that border."""
    rows = np.flatnonzero(loose)
    one, other = shapely.STRtree(shapes[rows]).query(shapes[rows], predicate="intersects")
    pair = np.stack([rows[one[one < other]], rows[other[one < other]]], axis=1)
    seen = {(int(a), int(b)) for a, b in known}
    pair = pair[[(int(a), int(b)) not in seen for a, b in pair]] if len(pair) else pair
    common = shapely.intersection(shapely.boundary(shapes[pair[:, 0]]), shapely.boundary(shapes[pair[:, 1]]))
    real = shapely.length(common) > 0
    return pair[real], common[real]


def _classes(pairs: Ints, codes: Shapes, borders: gpd.GeoDataFrame | None) -> tuple[Floats, Floats]:
    """For each pair the cost of a metre, and the share on strong barriers."""
    if borders is None:
        return np.ones(len(pairs)), np.zeros(len(pairs))
    missing = [c for c in ("left", "right", "class", "length_m") if c not in borders.columns]
    if missing:
        raise SchemaError("borders lack columns", source="borders", found=", ".join(map(str, borders.columns)),
                          wanted=", ".join(missing))  # fmt: skip
    row = pd.Series(np.arange(len(codes)), index=codes)
    left, right = codes_as_text(borders["left"]), codes_as_text(borders["right"])
    unknown = sorted(set(left.dropna()).union(right.dropna()).difference(codes))
    if unknown:
        raise PlanError("borders name blocks that do not exist", source="borders", ids=unknown,
                        remedy="Take blocks and borders from the same run.")  # fmt: skip
    inner = (left.notna() & right.notna()).to_numpy()
    ends = np.sort(np.stack([left[inner].map(row), right[inner].map(row)], axis=1).astype(np.int64), axis=1)
    classes = borders["class"].astype(object).where(borders["class"].notna(), None)[inner].to_numpy()
    length = borders["length_m"].to_numpy(dtype=float)[inner]
    table = pd.DataFrame(
        {
            "pair": ends[:, 0] * len(codes) + ends[:, 1],
            "length": length,
            "cost": length * np.array([CLASS_COST.get(c, 2.0) for c in classes]),
            "strong": length * np.isin(classes.astype(str), STRONG_BARRIERS),
        }
    )
    sums = table.groupby("pair").sum().reindex(pairs[:, 0] * len(codes) + pairs[:, 1])
    whole = sums["length"].to_numpy()
    known = whole > 0
    whole = np.where(known, whole, 1.0)
    cost = np.where(known, sums["cost"].to_numpy() / whole, CLASS_COST[None])
    return cost, np.where(known, sums["strong"].to_numpy() / whole, 0.0)


def components(size: int, pairs: Ints) -> Ints:
    """The connected component of each of `size` nodes, numbered by their lowest node.

    Examples
    --------
    >>> import numpy as np
    >>> components(5, np.array([[0, 3], [1, 4]])).tolist()
    [0, 1, 2, 0, 1]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    label = connected_components(links, directed=False)[1]
    first = np.unique(label, return_index=True)[1]
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    numbered: Ints = rank[label]
    return numbered
