"""Areas that lie over the grids (professional, fire, health, dedicated): what they claim, and how they misfit.

An overlay may overlap the base grids and itself. It is checked for what it claims: ground that it leaves out, ground
beyond, areas drawn twice. The misfit table says how much of which area lies over which grid.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from gridgis.plan.checking.layers import Layer
from gridgis.plan.checking.ruler import Floats, Ruler
from gridgis.plan.checking.segments import Ints
from gridgis.plan.checking.tiling import Fault, Objects, tiling_faults, union_of

#: What can be wrong with areas that may overlap: all of it for a whole overlay, less for areas inside the grids.
CLAIMED = frozenset({"duplicate", "gap", "uncovered", "outside"})
INSET = frozenset({"duplicate", "outside"})


def overlay_faults(
    polygons: Objects, ground: Any, ruler: Ruler, *, kinds: frozenset[str] = CLAIMED, holes: Any = None
) -> list[Fault]:
    """The faults of `kinds` by which areas that may overlap do not cover `ground`; with the note "overlay".

    Parameters
    ----------
    polygons, ground, ruler, holes
        As :func:`gridgis.plan.checking.tiling.tiling_faults` takes them.
    kinds : frozenset of str
        :data:`CLAIMED` or :data:`INSET`.
    """
    found = tiling_faults(polygons, ground, ruler, holes=holes)
    return [fault._replace(note="overlay") for fault in found if fault.kind in kinds]


def misfit(
    overlay: Layer, base: Layer, ruler: Ruler, *, rows: Any = None, base_rows: Any = None, whole: bool = True
) -> list[dict[str, Any]]:
    """How the areas of an overlay and the base grids lie over each other.

    Parameters
    ----------
    overlay, base : Layer
        May be one table.
    ruler : Ruler
    rows, base_rows : index, optional
        The usable rows that count; all by default.
    whole : bool
        Whether the overlay is meant to cover all ground: only then ground of the base without an area is listed.

    Returns
    -------
    list of dict
        overlay and grid (codes), area_m2 that they share, and the shares of both areas that it is, sorted by grid, then
        overlay, None last. overlay is None for ground of a grid that no area covers, grid is None for ground of an
        area outside every grid (overlay_share and grid_share are None there). Numerical noise is left out.
    """
    over, over_names = _chosen(overlay, rows)
    under, under_names = _chosen(base, base_rows)
    if len(over) == 0 or len(under) == 0:
        return []
    over_m2, under_m2 = shapely.area(ruler.metres(over)), shapely.area(ruler.metres(under))
    area, grid, common_m2 = _shared(over, under, under_m2, ruler)
    found = [
        (over_names[a], under_names[g], m2, m2 / over_m2[a], m2 / under_m2[g])
        for a, g, m2 in zip(area.tolist(), grid.tolist(), common_m2.tolist(), strict=True)
    ]
    for a, m2 in _beyond(over, union_of(under, ruler), ruler):
        found.append((over_names[a], None, m2, m2 / over_m2[a], None))
    if whole:
        for g, m2 in _beyond(under, union_of(over, ruler), ruler):
            found.append((None, under_names[g], m2, None, m2 / under_m2[g]))
    found.sort(key=lambda row: (row[1] is None, row[1] or "", row[0] is None, row[0] or "", -row[2]))
    return [dict(zip(("overlay", "grid", "area_m2", "overlay_share", "grid_share"), row, strict=True)) for row in found]


def _chosen(layer: Layer, rows: Any) -> tuple[Objects, list[str]]:
    rows = slice(None) if rows is None else rows
    return layer.shapes.polygons[rows], [layer.labels[row] for row in layer.shapes.rows[rows].tolist()]


def _shared(over: Objects, under: Objects, under_m2: Floats, ruler: Ruler) -> tuple[Ints, Ints, Floats]:
    """Pairs (area, grid) and the m² that they share; a grid that an area covers is not laid over it again."""
    tree = shapely.STRtree(under)
    pairs = tree.query(over, predicate="intersects")
    covered = tree.query(over, predicate="covers")
    key, inner = (np.ravel_multi_index(p, (len(over), len(under))) for p in (pairs, covered))
    rest = ~np.isin(key, inner)
    area, grid = pairs[0][rest], pairs[1][rest]
    common = shapely.intersection(over[area], under[grid])
    m2, real = shapely.area(ruler.metres(common)), ruler.substantial(common)
    return (
        np.concatenate([covered[0], area[real]]),
        np.concatenate([covered[1], grid[real]]),
        np.concatenate([under_m2[covered[1]], m2[real]]),
    )


def _beyond(polygons: Objects, ground: Any, ruler: Ruler) -> list[tuple[int, float]]:
    """Polygons that reach beyond `ground`, and by how many m²."""
    shapely.prepare(ground)
    astray = np.flatnonzero(~shapely.covers(ground, polygons))
    parts, source = shapely.get_parts(shapely.difference(polygons[astray], ground), return_index=True)
    real = ruler.substantial(parts)
    m2 = np.bincount(source[real], shapely.area(ruler.metres(parts[real])), len(astray))
    return [(int(row), float(size)) for row, size in zip(astray, m2, strict=True) if size > 0]
