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
from gridgis.plan.checking.ruler import Floats, Ruler, widths
from gridgis.plan.checking.tiling import Fault
from gridgis.schema import DEFECT_KINDS

#: Kinds that do not make a plan invalid; all others are errors.
WARNINGS = frozenset({"sliver", "unmatched_edge", "multipart"})

#: Kinds whose first code has a part of its own (the inner one; the one without the vertex): their codes keep order.
_ORDERED = frozenset({"contained", "unmatched_edge"})

#: Kinds whose codes are listed as they are: nesting has the child, its parent, the other parent.
_AS_LISTED = frozenset({"nesting"})

COLUMNS = ("kind", "severity", "codes", "area_m2", "width_m", "lon", "lat", "message", "geometry")

# By kind, or by kind:note (see Fault). {codes}, {first}, {second}, {last} and {rest} are codes; {size} is area and
# width, {length} that of a line in metres. Chinese before English.
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
    "nesting": (
        "{first} 属于 {second}，却占了 {last} 的地，{size}；沿上级边界改画，或改其所属上级",
        "{first} belongs to {second} and takes ground of {last}, {size}; redraw it along the parents' border, or "
        "name its right parent",
    ),
    "nesting:no parent": (
        "{first} 没有上级，或其上级不在表中；填上上级编码，或补上该上级",
        "{first} has no parent, or one that is not in the table; name its parent, or add that one",
    ),
    "gap:inlet": (
        "网格之间有通到外面的缝隙，{size}，相邻网格：{codes}；应划给相邻的网格",
        "a strip between the grids that is open to the outside, {size}, beside {codes}; give it to a grid beside it",
    ),
    "gap:overlay": (
        "有地方不属于任何一片，{size}，相邻各片：{codes}；应划给其中一片",
        "ground that no area covers, {size}, beside {codes}; extend an area over it",
    ),
    "uncovered:overlay": (
        "范围边缘有地方不属于任何一片，{size}，相邻各片：{codes}；应划给其中一片",
        "ground along the boundary that no area covers, {size}, beside {codes}; extend an area over it",
    ),
    "outside:overlay": (
        "{codes} 超出网格所在的范围，{size}；沿范围线裁去",
        "{codes} reaches beyond the ground of the grids, {size}; cut it along their outline",
    ),
    "duplicate:overlay": (
        "{codes} 各片的图形相同，{size}；只保留一片",
        "the areas {codes} have the same shape, {size}; keep one of them",
    ),
    "gap:seam": (
        "路段 {codes} 没有接上，中断 {length} 米；把端点接到一起",
        "the segments {codes} do not join: a break of {length} m; bring their ends together",
    ),
    "uncovered:street": (
        "有一段街道没有路段负责，长 {length} 米，相邻路段：{codes}；延长相邻的路段，或新设路段",
        "{length} m of street that no segment covers, beside {codes}; extend a segment along it, or add one",
    ),
    "overlap:segment": (
        "路段 {codes} 重复，长 {length} 米；该处只应归一个路段",
        "the segments {codes} run along each other for {length} m; leave the stretch to one of them",
    ),
}


def defects_of(
    faults: Sequence[Fault],
    labels: Sequence[str],
    ruler: Ruler | None,
    *,
    min_area: float,
    min_width: float,
    levels: Sequence[str] | None = None,
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
    levels : sequence of str, optional
        The level that each fault belongs to.

    Returns
    -------
    GeoDataFrame
        Columns :data:`COLUMNS`, and `level` before the geometry where levels are given; in the CRS of `ruler`; errors
        first, then by kind, codes, area and place.
    """
    shapes = np.array([fault.geometry for fault in faults], dtype=object)
    area, width, lon, lat = _measured(shapes, ruler)
    lengths = _lengths(shapes, ruler)
    flat = shapely.get_dimensions(shapes) < 2
    kept = np.flatnonzero(flat | ((area > min_area) & (width > min_width)))
    records = []
    for i in kept.tolist():
        fault = faults[i]
        codes = _codes(fault, labels)
        severity = "warning" if fault.kind in WARNINGS else "error"
        message = _message(fault, codes, float(area[i]), float(width[i]), float(lengths[i]))
        listed = () if fault.kind == "missing_code" else codes
        records.append((fault.kind, severity, listed, area[i], width[i], lon[i], lat[i], message))
    table = pd.DataFrame.from_records(records, columns=list(COLUMNS[:-1]))
    for name in ("area_m2", "width_m", "lon", "lat"):
        table[name] = table[name].astype(float)
    if levels is not None:
        table["level"] = np.array([levels[i] for i in kept.tolist()], dtype=object)
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


def _lengths(shapes: NDArray[np.object_], ruler: Ruler | None) -> Floats:
    """Metres of what is a line, 0 elsewhere."""
    out = np.zeros(len(shapes))
    lines = shapely.get_dimensions(shapes) == 1
    if ruler is not None and lines.any():
        out[lines] = shapely.length(ruler.metres(shapes[lines]))
    return out


def _codes(fault: Fault, labels: Sequence[str]) -> tuple[str, ...]:
    codes = [labels[row] for row in fault.rows]
    if fault.kind == "duplicate_code":
        return tuple(dict.fromkeys(codes))
    if fault.kind in _AS_LISTED:
        return tuple(codes)
    if fault.kind in _ORDERED:
        return (codes[0], *sorted(codes[1:]))
    return tuple(sorted(codes))


def _message(fault: Fault, codes: tuple[str, ...], area: float, width: float, length: float) -> str:
    chinese, english = _WORDS[f"{fault.kind}:{fault.note}" if fault.note else fault.kind]
    parts = len(fault.rows) if fault.kind == "duplicate_code" else int(shapely.get_num_geometries(fault.geometry))
    zh = chinese.format(
        **_named(codes, "、", "没有"), parts=parts, length=_number(length),
        size=f"{_number(area)} 平方米，宽 {_number(width)} 米",
    )  # fmt: skip
    en = english.format(
        **_named(codes, ", ", "none"), parts=parts, length=_number(length),
        size=f"{_number(area)} m², {_number(width)} m wide",
    )  # fmt: skip
    return f"{zh} / {en}"


def _named(codes: tuple[str, ...], comma: str, none: str) -> dict[str, str]:
    parts = {"codes": codes, "first": codes[:1], "second": codes[1:2], "last": codes[-1:], "rest": codes[1:]}
    return {name: _listed(part, comma, none) for name, part in parts.items()}


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
            "level": frame.get("level", ""),
            "area": -frame["area_m2"],
            "lon": frame["lon"],
            "lat": frame["lat"],
        },
        index=frame.index,
    )
    order = keys.sort_values(list(keys.columns), kind="stable").index
    return frame.loc[order].reset_index(drop=True)


def as_records(frame: gpd.GeoDataFrame) -> list[dict[str, Any]]:
    """The defects as JSON has them: codes as lists, no geometry, None where there is no place."""
    records = []
    columns = [*COLUMNS[:-1], *(["level"] if "level" in frame else [])]
    for row in frame[columns].to_dict("records"):
        row["codes"] = list(row["codes"])
        for name in ("area_m2", "width_m", "lon", "lat"):
            row[name] = None if np.isnan(row[name]) else float(row[name])
        records.append({str(name): value for name, value in row.items()})
    return records
