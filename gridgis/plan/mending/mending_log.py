"""The log of a repair: which grids changed, how much ground went from whom to whom, and how far borders moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gridgis.plan.checking.layers import Layer
from gridgis.plan.checking.ruler import Ruler
from gridgis.plan.mending.contested import NOBODY

COLUMNS = (
    "code", "area_before_m2", "area_after_m2", "gained_m2", "lost_m2", "gained_from", "lost_to",
    "vertices_added", "vertices_removed", "farthest_move_m", "ring_mended",
)  # fmt: skip

#: Who is meant where ground came from no grid (a gap), or went to none (beyond the boundary).
_GAP, _OUTSIDE = "空隙 gap", "范围外 outside"


class Transfer(NamedTuple):
    """Ground of `area` m² that left row `giver` (-1: nobody had it) for row `taker` (-1: it lies outside).

    `gained`: whether it is new to the taker; it is not where it lay under both.
    """

    giver: int
    taker: int
    area: float
    gained: bool


def mending_log(layer: Layer, fixed: gpd.GeoDataFrame, transfers: Sequence[Transfer]) -> pd.DataFrame:
    """One row for each grid whose geometry changed, in the order of the grids.

    Parameters
    ----------
    layer : Layer
        The grids as they were.
    fixed : GeoDataFrame
        The grids as they are now: the same rows.
    transfers : sequence of Transfer

    Returns
    -------
    DataFrame
        code; area_before_m2 (with invalid rings mended) and area_after_m2; gained_m2, lost_m2 and from or to whom
        ("E 500.00; 空隙 gap 3.20": codes and m², the largest first); vertices_added and vertices_removed;
        farthest_move_m: how far from the old border a new vertex lies, or from the new border one that is gone;
        ring_mended: whether its ring was invalid. Sizes are measured in the metric CRS of the place.
    """
    before = np.asarray(layer.frame.geometry.array, dtype=object)
    after = np.asarray(fixed.geometry.array, dtype=object)
    usable = dict(zip(layer.shapes.rows.tolist(), layer.shapes.polygons, strict=True))
    changed = [row for row in usable if after[row] is not before[row]]
    if not changed:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in COLUMNS})
    ruler = Ruler.of(layer.frame.geometry.iloc[layer.shapes.rows])
    gained: dict[int, dict[str, float]] = {}
    lost: dict[int, dict[str, float]] = {}
    for giver, taker, area, new in transfers:
        if giver != NOBODY:
            _add(lost, giver, _OUTSIDE if taker == NOBODY else layer.labels[taker], area)
        if new:
            _add(gained, taker, _GAP if giver == NOBODY else layer.labels[giver], area)
    records = [
        _record(layer, row, usable[row], after[row], before[row], gained.get(row, {}), lost.get(row, {}), ruler)
        for row in changed
    ]
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))


def _add(ledger: dict[int, dict[str, float]], row: int, whom: str, area: float) -> None:
    account = ledger.setdefault(row, {})
    account[whom] = account.get(whom, 0.0) + area


def _record(
    layer: Layer,
    row: int,
    old: Any,
    new: Any,
    given: Any,
    gained: dict[str, float],
    lost: dict[str, float],
    ruler: Ruler,
) -> tuple[Any, ...]:
    one, other = ruler.metres(old), ruler.metres(new)
    added, removed, farthest = _moves(shapely.force_2d(given), shapely.force_2d(new), one, other, ruler)
    return (
        layer.labels[row],
        float(shapely.area(one)),
        float(shapely.area(other)),
        sum(gained.values()),
        sum(lost.values()),
        _listed(gained),
        _listed(lost),
        added,
        removed,
        farthest,
        not bool(shapely.is_valid(given)),
    )


def _moves(given: Any, new: Any, old_there: Any, new_there: Any, ruler: Ruler) -> tuple[int, int, float]:
    """Vertices that came and went, and how far the farthest lies off the other border in metres."""
    old_xy, new_xy = ({tuple(xy) for xy in shapely.get_coordinates(shape).tolist()} for shape in (given, new))
    came, went = sorted(new_xy - old_xy), sorted(old_xy - new_xy)
    farthest = 0.0
    for places, border in ((came, old_there.boundary), (went, new_there.boundary)):
        if places and not border.is_empty:
            there = ruler.metres(shapely.points(places))
            farthest = max(farthest, float(shapely.distance(there, border).max()))
    return len(came), len(went), farthest


def _listed(account: dict[str, float]) -> str:
    rows = sorted(account.items(), key=lambda item: (-item[1], item[0]))
    return "; ".join(f"{whom} {area:.2f}" for whom, area in rows)
