"""Faults become defects: measured in metres, placed, put into words and sorted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gridgis.errors import SHOWN_IDS
from gridgis.plan.ruler import Floats, Ruler, widths
from gridgis.plan.tiling import Fault
from gridgis.schema import DEFECT_KINDS

#: Kinds that do not make a plan invalid; all others are errors.
WARNINGS = frozenset({"sliver", "unmatched_edge", "multipart"})

#: Kinds whose first code has a part of its own (the inner one; the one without the vertex): their codes keep order.
_ORDERED = frozenset({"contained", "unmatched_edge"})

COLUMNS = ("kind", "severity", "codes", "area_m2", "width_m", "lon", "lat", "message", "geometry")

# {codes}, {first} and {rest} are codes; {size} is area and width. Chinese before English.
_WORDS: dict[str, tuple[str, str]] = {
    "overlap": (
        "{codes} 相互重叠，{size}；重叠处只应划给其中一个",
        "{codes} overlap, {size}; give the ground to one of them",
    ),
    "contained": (
        "{first} 整个落在 {rest} 之内，{size}；从外面的网格中挖去，或删去里面的",
        "{first} lies wholly inside {rest}, {size}; cut it out of the outer grid, or delete the inner one",
    ),
    "duplicate": (
        "{codes} 的图形相同，{size}；只保留一个",
        "{codes} have the same shape, {size}; keep one of them",
    ),
    "gap": (
        "网格之间有空隙，{size}，相邻网格：{codes}；应划给相邻的网格",
        "a gap between the grids, {size}, beside {codes}; give it to a grid beside it",
    ),
    "uncovered": (
        "范围边缘有未覆盖之处，{size}，相邻网格：{codes}；应划给相邻的网格",
        "ground along the boundary that no grid covers, {size}, beside {codes}; give it to a grid beside it",
    ),
    "outside": (
        "{codes} 超出范围，{size}；沿范围线裁去",
        "{codes} reaches beyond the boundary, {size}; cut it along the boundary",
    ),
    "invalid_ring": (
        "{codes} 的边界无效（自相交等）；在此处改正",
        "{codes} has an invalid ring (it crosses or touches itself); mend it here",
    ),
    "empty": ("{codes} 没有图形；补画，或删去该行", "{codes} has no geometry; draw it, or delete the row"),
    "multipart": (
        "{codes} 不是一整块，主体之外有 {parts} 处飞地，{size}",
        "{codes} is not one piece: {parts} more beside the largest, {size}",
    ),
    "sliver": (
        "{codes} 是狭长的碎片，{size}；并入相邻的网格",
        "{codes} is a sliver, {size}; merge it into a grid beside it",
    ),
    "unmatched_edge": (
        "{first} 的边上缺 {parts} 个顶点，{rest} 在那里有；补上即可",
        "{first} lacks {parts} vertices on its edge that {rest} has there; add them",
    ),
    "duplicate_code": (
        "编码 {codes} 用了 {parts} 次；每个网格应有自己的编码",
        "the code {codes} is used {parts} times; give each grid its own",
    ),
    "missing_code": ("{codes} 没有编码；补上", "{codes} has no code; give it one"),
}


def defects_of(
    faults: Sequence[Fault], labels: Sequence[str], ruler: Ruler | None, *, min_area: float, min_width: float
) -> gpd.GeoDataFrame:
    """The faults that exceed both tolerances, as the defects of the contract.

    Parameters
    ----------
    faults : sequence of Fault
        Their rows are positions in `labels`; their geometry is in the CRS of `ruler`, or None.
    labels : sequence of str
        What each row is called.
    ruler : Ruler, optional
        Needed as soon as a fault has geometry.
    min_area, min_width : float
        m² and m. Faults that are no area (a vertex, a code) have neither and are kept whatever these are.

    Returns
    -------
    GeoDataFrame
        Columns :data:`COLUMNS`, in the CRS of `ruler`; errors first, then by kind, codes, area and place.
    """
    shapes = np.array([fault.geometry for fault in faults], dtype=object)
    area, width, lon, lat = _measured(shapes, ruler)
    flat = shapely.get_dimensions(shapes) < 2
    kept = np.flatnonzero(flat | ((area > min_area) & (width > min_width)))
    records = []
    for i in kept.tolist():
        fault = faults[i]
        codes = _codes(fault, labels)
        severity = "warning" if fault.kind in WARNINGS else "error"
        message = _message(fault, codes, labels, float(area[i]), float(width[i]))
        listed = () if fault.kind == "missing_code" else codes
        records.append((fault.kind, severity, listed, area[i], width[i], lon[i], lat[i], message))
    table = pd.DataFrame.from_records(records, columns=list(COLUMNS[:-1]))
    for name in ("area_m2", "width_m", "lon", "lat"):
        table[name] = table[name].astype(float)
    geometry = gpd.GeoSeries(shapely.normalize(shapes[kept]), crs=None if ruler is None else ruler.crs)
    frame = gpd.GeoDataFrame(table, geometry=geometry)
    return _sorted(frame)


def _measured(shapes: NDArray[np.object_], ruler: Ruler | None) -> tuple[Floats, Floats, Floats, Floats]:
    """Area, width, and longitude and latitude of a point inside; 0 and NaN where there is no area or no geometry."""
    area, width = np.zeros(len(shapes)), np.zeros(len(shapes))
    lon, lat = np.full(len(shapes), np.nan), np.full(len(shapes), np.nan)
    if ruler is None:
        return area, width, lon, lat
    inside = ruler.degrees(shapely.point_on_surface(shapes))
    placed = ~shapely.is_missing(shapes)
    lon[placed], lat[placed] = shapely.get_x(inside[placed]), shapely.get_y(inside[placed])
    solid = shapely.get_dimensions(shapes) == 2
    there = ruler.metres(shapes[solid])
    area[solid], width[solid] = shapely.area(there), widths(there)
    return area, width, lon, lat


def _codes(fault: Fault, labels: Sequence[str]) -> tuple[str, ...]:
    codes = [labels[row] for row in fault.rows]
    if fault.kind == "duplicate_code":
        return tuple(dict.fromkeys(codes))
    if fault.kind in _ORDERED:
        return (codes[0], *sorted(codes[1:]))
    return tuple(sorted(codes))


def _message(fault: Fault, codes: tuple[str, ...], labels: Sequence[str], area: float, width: float) -> str:
    chinese, english = _WORDS[fault.kind]
    parts = len(fault.rows) if fault.kind == "duplicate_code" else int(shapely.get_num_geometries(fault.geometry))
    zh = chinese.format(
        codes=_listed(codes, "、", "没有"),
        first=_listed(codes[:1], "", "没有"),
        rest=_listed(codes[1:], "、", "没有"),
        parts=parts,
        size=f"{_number(area)} 平方米，宽 {_number(width)} 米",
    )
    en = english.format(
        codes=_listed(codes, ", ", "none"),
        first=_listed(codes[:1], "", "none"),
        rest=_listed(codes[1:], ", ", "none"),
        parts=parts,
        size=f"{_number(area)} m², {_number(width)} m wide",
    )
    return f"{zh} / {en}"


def _listed(codes: Sequence[str], comma: str, none: str) -> str:
    if len(codes) > SHOWN_IDS:
        return f"{comma.join(codes[:SHOWN_IDS])}{comma}… ({len(codes)})"
    return comma.join(codes) or none


def _number(value: float) -> str:
    """Three digits for what is small, one decimal for what is not."""
    return f"{value:,.1f}" if value >= 100 else f"{value:.3g}"


def _sorted(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    keys = pd.DataFrame(
        {
            "severity": frame["severity"],
            "kind": frame["kind"].map({kind: i for i, kind in enumerate(DEFECT_KINDS)}),
            "codes": frame["codes"],
            "area": -frame["area_m2"],
            "lon": frame["lon"],
            "lat": frame["lat"],
        }
    )
    order = keys.sort_values(list(keys.columns), kind="stable").index
    return frame.loc[order].reset_index(drop=True)


def as_records(frame: gpd.GeoDataFrame) -> list[dict[str, Any]]:
    """The defects as JSON has them: codes as lists, no geometry, None where there is no place."""
    records = []
    for row in frame[list(COLUMNS[:-1])].to_dict("records"):
        row["codes"] = list(row["codes"])
        for name in ("area_m2", "width_m", "lon", "lat"):
            row[name] = None if np.isnan(row[name]) else float(row[name])
        records.append({str(name): value for name, value in row.items()})
    return records
