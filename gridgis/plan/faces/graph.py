"""Blocks as a graph: who is whose neighbour, along how many metres, and what it costs to cut there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gridgis import crs as crs_
from gridgis.errors import PlanError, SchemaError
from gridgis.plan.faces.network import Bools, Floats, Ints, Shapes, metres_per_unit, rim_segments
from gridgis.profile import Weights
from gridgis.schema import BARRIER_CLASSES, STRONG_BARRIERS, codes_as_text

#: What a metre of border costs by the class it lies on, where no profile says; the last: a border on no barrier.
CLASS_COST: dict[str | None, float] = {name: Weights().of_class(name) for name in (*BARRIER_CLASSES, None)}

#: Neighbours share at least this much border, metres, unless blocks would be cut off without shorter ones.
MIN_SHARED_M = 5.0

#: Two blocks overlap if they have more ground in common than this, m².
_OVERLAP_M2 = 1e-3


class Graph(NamedTuple):
    """Neighbouring blocks (rows, the lower first) with their common border; and the size of each block."""

    pairs: Ints  # (m, 2)
    metres: Floats  # (m,)
    cost: Floats  # (m,) metres weighted by their class
    strong: Floats  # (m,) metres on strong barriers
    barred: Bools  # (m,) no grid may hang together across this border
    area: Floats  # (n,) m²
    perimeter: Floats  # (n,) metres
    enclosed: Ints  # (h, 2) a block and one that lies in a hole of it, the innermost first
    clean: bool  # borders match vertex for vertex


def block_graph(
    blocks: gpd.GeoDataFrame,
    codes: Shapes,
    borders: gpd.GeoDataFrame | None,
    weights: Weights | None = None,
    never_cross: Iterable[str] = (),
    compound: Shapes | None = None,
) -> Graph:
    """The graph of `blocks`; classes of borders come from `borders` (a border it does not know lies on no barrier).

    Blocks with ``MIN_SHARED_M`` metres or more of common border on a class of `never_cross` are barred from each other.
    A border between blocks of the same `compound` (code, None where there is none) is dearer.

    Raises
    ------
    PlanError
        Blocks that overlap, borders of blocks that do not exist, classes of `never_cross` that do not exist or without
        `borders`.
    """
    weights, bars = weights or Weights(), _bars(never_cross, borders)
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
    per_metre, strong, barred = _classes(pairs, codes, borders, weights, bars)
    if compound is not None:
        one, other = compound[pairs[:, 0]], compound[pairs[:, 1]]
        per_metre = per_metre + weights.compound * np.array(
            [a is not None and a == b for a, b in zip(one, other, strict=True)], dtype=float
        )
    return Graph(
        pairs.reshape(-1, 2), metres, metres * per_metre, metres * strong, barred, shapely.area(moved),
        shapely.length(moved), _enclosed(shapes), not loose.any(),
    )  # fmt: skip


def _bars(never_cross: Iterable[str], borders: gpd.GeoDataFrame | None) -> tuple[str, ...]:
    bars = tuple(sorted({never_cross} if isinstance(never_cross, str) else set(never_cross)))
    unknown = [name for name in bars if name not in BARRIER_CLASSES]
    if unknown:
        raise PlanError("never_cross names classes that no barrier has", found=", ".join(unknown),
                        wanted=", ".join(BARRIER_CLASSES))  # fmt: skip
    if bars and borders is None:
        raise PlanError(
            "barriers that must not be crossed need the borders of the blocks", source="borders", found="none",
            wanted=f"the borders that gridgis blocks writes, with the class ({', '.join(bars)})",
            remedy="Take blocks and borders from the same run.",
        )  # fmt: skip
    return bars


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


def _classes(
    pairs: Ints, codes: Shapes, borders: gpd.GeoDataFrame | None, weights: Weights, bars: tuple[str, ...]
) -> tuple[Floats, Floats, Bools]:
    """For each pair the cost of a metre, the share on strong barriers, and whether it must not be crossed."""
    if borders is None:
        return np.ones(len(pairs)), np.zeros(len(pairs)), np.zeros(len(pairs), dtype=bool)
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
            "cost": length * np.array([weights.of_class(c) for c in classes]),
            "strong": length * np.isin(classes.astype(str), STRONG_BARRIERS),
            "barred": length * np.isin(classes.astype(str), bars),
        }
    )
    sums = table.groupby("pair").sum().reindex(pairs[:, 0] * len(codes) + pairs[:, 1])
    whole = sums["length"].to_numpy()
    known = whole > 0
    whole = np.where(known, whole, 1.0)
    cost = np.where(known, sums["cost"].to_numpy() / whole, weights.no_road)
    barred: Bools = known & (sums["barred"].to_numpy() >= np.minimum(MIN_SHARED_M, whole))
    return cost, np.where(known, sums["strong"].to_numpy() / whole, 0.0), barred


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
