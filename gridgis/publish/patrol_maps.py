"""Maps of what patrols saw: each grid by its covered share with the holes, and the ground by the days it was seen."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gridgis import crs
from gridgis.patrol.painting import boxes_of, filled, raster_of
from gridgis.publish.defect_map import WIDTH, DefectMap, draw_map

#: Holes that are drawn, and how small a hole is left out (m²).
HOLES = 600
HOLE_M2 = 100.0
#: The marks that part the five shades of covered shares.
SHADES = (0.2, 0.4, 0.6, 0.8)
#: Into how many shades the days are parted at most.
_STEPS = 5
#: The heat is drawn in cells of this side, in units of the map (two to a pixel of a laptop), and what is smaller than
#: so many of them is left out.
_CELL, _SPECK = 2.0, 3.0


def covered_shares(coverage: pd.DataFrame, holes: gpd.GeoDataFrame | None) -> pd.Series:
    """The share of each grid's ground that somebody saw in all of the time; without holes its best window's."""
    ground = coverage.groupby("grid")["ground_m2"].first()
    if holes is None:
        return coverage.groupby("grid")["share"].max()
    unseen = holes.groupby("grid")["area_m2"].sum().reindex(ground.index).fillna(0.0)
    return (1 - unseen / ground.where(ground > 0)).clip(0.0, 1.0)


def shade_names() -> list[tuple[int, str]]:
    """The number of each shade of covered shares, and from where to where it goes."""
    edges = (0.0, *SHADES, 1.0)
    return [(n, f"{edges[n]:.0%}–{edges[n + 1]:.0%}") for n in range(len(edges) - 1)]


def coverage_map(
    coverage: pd.DataFrame, grids: gpd.GeoDataFrame, holes: gpd.GeoDataFrame | None
) -> dict[str, Any] | None:
    """The grids by their covered share, and the ground that nobody saw.

    Parameters
    ----------
    coverage : DataFrame
        What :func:`gridgis.patrol.coverage.patrol_coverage` returned.
    grids : GeoDataFrame
        code and polygons, in any CRS.
    holes : GeoDataFrame, optional
        What :func:`gridgis.patrol.coverage.holes` returned, the largest first.

    Returns
    -------
    dict or None
        `plan` (the map), `shades` and `share` by code, `figures` (the share in whole percent, as it stands on the map),
        `holes` and `left` (counts of those drawn and left out); None where there is nothing to draw.
    """
    metric = crs.metric_crs(grids)
    shown, left = np.empty(0, dtype=object), 0
    if holes is not None and len(holes):
        large = holes[holes["area_m2"] >= HOLE_M2].head(HOLES)
        left = len(holes) - len(large)
        shown = np.array(crs.project(large.geometry.to_numpy(), crs.require_crs(large), metric), dtype=object)
    plan = _drawn(grids, shown)
    if plan is None:
        return None
    share = covered_shares(coverage, holes).to_dict()
    return {
        "plan": plan,
        "shades": {code: _shade(known) for code, known in share.items()},
        "share": share,
        "figures": {code: whole_percent(known) for code, known in share.items()},
        "left": left,
        "holes": len(shown),
    }


def whole_percent(share: float) -> str:
    """A share in whole percent; what is short of all is never written as all, nor what is more than nothing as nothing.

    Examples
    --------
    >>> whole_percent(0.936), whole_percent(0.9999), whole_percent(1.0), whole_percent(0.001), whole_percent(0.0)
    ('94%', '99%', '100%', '<1%', '0%')
    """
    if pd.isna(share):
        return ""
    if 0 < share < 0.01:
        return "<1%"
    return f"{min(round(100 * share), 99 if share < 1 else 100)}%"


def day_steps(most: int) -> list[tuple[int, int]]:
    """From one day to `most`, in at most five steps that are as long as each other, but for the last.

    Examples
    --------
    >>> day_steps(3), day_steps(12)
    ([(1, 1), (2, 2), (3, 3)], [(1, 3), (4, 6), (7, 9), (10, 12)])
    >>> day_steps(0)
    []
    """
    length = -(-most // _STEPS)
    return [(first, min(first + length - 1, most)) for first in range(1, most + 1, max(length, 1))]


def heat_map(heat: gpd.GeoDataFrame | None, grids: gpd.GeoDataFrame) -> dict[str, Any] | None:
    """The ground by the number of days on which it was seen.

    Parameters
    ----------
    heat : GeoDataFrame, optional
        What :func:`gridgis.patrol.painted.heat` returned.
    grids : GeoDataFrame
        code and polygons, in any CRS.

    Returns
    -------
    dict or None
        `plan` (the map; its shapes are the ground seen on 0 and more days, on the first step and more, …, each on top
        of the one before), `steps` (first and last day of each), `rows` (of each grid its code, the share of the
        ground that was never seen and of each step, and the mean of the days), and `shades` (the step of that mean, by
        code). None without heat.
    """
    if heat is None or heat.empty:
        return None
    metric = crs.metric_crs(grids)
    steps = day_steps(int(heat["days"].max()))
    pieces = np.array(crs.project(heat.geometry.to_numpy(), crs.require_crs(heat), metric), dtype=object)
    layers = _nested(heat, pieces, [0, *(first for first, _ in steps)])
    plan = _drawn(grids, layers)
    if plan is None:
        return None
    rows = _days_of(heat, steps)
    shades = {row["code"]: int(np.searchsorted([last for _, last in steps], row["mean"])) for row in rows}
    return {"plan": plan, "steps": steps, "rows": rows, "shades": shades}


def _nested(heat: gpd.GeoDataFrame, pieces: NDArray[Any], starts: list[int]) -> NDArray[Any]:
    """The ground seen on so many days and more, for each start: as coarse as it is drawn, in square cells."""
    west, south, east, north = shapely.total_bounds(pieces)
    raster = raster_of(shapely.box(west, south, east, north), _CELL * max(east - west, north - south, 1.0) / WIDTH)
    days, seen = heat["days"].to_numpy(), np.zeros((raster.rows, raster.columns))
    layers = []
    for first, last in zip(reversed(starts), [np.inf, *reversed(starts)], strict=False):
        some = pieces[(days >= first) & (days < last)]
        seen = seen + filled(shapely.multipolygons(shapely.get_parts(some)), raster)
        shape = shapely.simplify(shapely.union_all(boxes_of(seen >= 0.5, raster)), 1.5 * raster.cell)
        layers.append(shapely.multipolygons(_without_specks(shapely.get_parts(shape), _SPECK * raster.cell**2)))
    return np.array(layers[::-1], dtype=object)


def _without_specks(polygons: NDArray[Any], least: float) -> NDArray[Any]:
    """The polygons without those, and without the holes in them, that are smaller than `least`."""
    kept = []
    for polygon in polygons[shapely.area(polygons) >= least]:
        rings = [ring for ring in polygon.interiors if shapely.area(shapely.polygons(ring)) >= least]
        kept.append(shapely.Polygon(polygon.exterior, rings))
    return np.array(kept, dtype=object)


def _days_of(heat: gpd.GeoDataFrame, steps: list[tuple[int, int]]) -> list[dict[str, Any]]:
    rows = []
    for code, own in heat.groupby("grid", sort=True):
        area, days = own["area_m2"].to_numpy(), own["days"].to_numpy()
        shares = [float(area[(days >= a) & (days <= b)].sum() / area.sum()) for a, b in [(0, 0), *steps]]
        rows.append({"code": code, "shares": shares, "mean": float((area * days).sum() / area.sum())})
    return rows


def _drawn(grids: gpd.GeoDataFrame, shapes: NDArray[Any]) -> DefectMap | None:
    metric = crs.metric_crs(grids)
    outlines = np.array(crs.project(grids.geometry.to_numpy(), crs.require_crs(grids), metric), dtype=object)
    return draw_map(outlines, grids["code"].astype(str).tolist(), None, shapes, np.full((len(shapes), 2), np.nan))


def _shade(share: Any) -> int:
    return -1 if pd.isna(share) else int(np.searchsorted(SHADES, float(share), side="right"))
