"""Two plans of the same ground: what moved from whom to whom, which codes were kept, and who follows whom."""

from __future__ import annotations

from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from gridgis import crs as crs_
from gridgis.errors import GeometryError
from gridgis.locate import GridLocator
from gridgis.plan.checking.polygons import no_polygon
from gridgis.plan.faces.network import Floats, Ints, Shapes
from gridgis.plan.loads import households_of
from gridgis.plan.units import unique_codes
from gridgis.schema import ids_of

#: Ground that moves counts from this area on, m². Less is rounding where a border was bent to a vertex.
LEAST_M2 = 0.01


class Difference(NamedTuple):
    """What is different between two plans (see :func:`difference`)."""

    moved: gpd.GeoDataFrame
    grids: pd.DataFrame
    lineage: pd.DataFrame
    summary: dict[str, Any]


def difference(
    before: gpd.GeoDataFrame, after: gpd.GeoDataFrame, *, houses: gpd.GeoDataFrame | None = None
) -> Difference:
    """Compare two plans of grids.

    Parameters
    ----------
    before, after : GeoDataFrame
        Grids with ``code`` and perhaps ``households``; grids of one plan lie side by side. `after` may be in another
        CRS.
    houses : GeoDataFrame, optional
        Points (or polygons) with ``households``, 1 each if not given: households are counted where they live. Without
        houses those of a grid of `before` are shared by area, which is flagged ``estimated``.

    Returns
    -------
    Difference
        ``moved``: from, to (None: in no grid), area_m2, households (None where nobody counted them), estimated,
        geometry, in the CRS of `before`; one row for each pair of grids with different codes. ``grids``: one row for
        each code of either plan with status ("kept", "changed", "new", "gone"), area_before_m2, area_after_m2,
        kept_m2, households_before, households_after. ``lineage``: for each grid of `before` and of `after` that have
        ground in common: from, to, share (of the ground of ``from``), household_share (of its households; None where
        they are not known), to_share (of the ground of ``to``: how much of it came from there). ``summary``: as
        ``gridgis diff --json`` prints it, plain types; ``recoded`` are the grids that only have another code.

    Raises
    ------
    SchemaError
        Codes that are missing or doubled.
    GeometryError
        A grid that is no valid polygon.
    CRSError
        A CRS is missing.

    Notes
    -----
    Grids are overlaid by GEOS in the CRS of `before`; pieces are measured in :func:`gridgis.crs.metric_crs`. Pieces
    below :data:`LEAST_M2` are left out. A code that both plans have counts as kept even if most of its ground is new:
    the lineage shows it.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> def grids(*widths):
    ...     x = np.cumsum([0, *widths])
    ...     return gpd.GeoDataFrame(
    ...         {"code": ["A", "B"], "households": [300, 100]}, geometry=shapely.box(x[:-1], 0, x[1:], 100), crs=32650
    ...     )
    >>> found = difference(grids(300, 100), grids(200, 200))
    >>> found.moved[["from", "to", "area_m2", "households", "estimated"]].values.tolist()
    [['A', 'B', 10000.0, 100, True]]
    >>> found.summary["ground_moved_m2"], found.summary["households_moved"]
    (10000.0, 100)
    """
    crs = crs_.require_crs(before, "before")
    other = after if crs_.require_crs(after, "after") == crs else after.to_crs(crs)
    a, b = _grids(before, "before"), _grids(other, "after")
    metric = crs_.metric_crs(before, "before")
    pairs = _overlaid(a, b, crs, metric)
    lived = None if houses is None else _lived(houses, a, b, crs)
    known = _households(before)
    pairs["households"] = _counted(pairs, a, known) if lived is None else _found(pairs, lived)
    estimated = lived is None and known is not None
    grids = _by_code(a, b, pairs, known, _households(other), lived)
    moved = _moved(pairs, crs, estimated)
    lineage = _lineage(a, b, pairs)
    return Difference(moved, grids, lineage, _summary(moved, grids, lineage, metric, estimated))


class _Grids(NamedTuple):
    """Grids of one plan: codes, shapes, area in m²."""

    code: Shapes
    shape: Shapes
    area: Floats


def _grids(frame: gpd.GeoDataFrame, source: str) -> _Grids:
    codes = unique_codes(frame, source)
    shapes: Shapes = shapely.force_2d(np.asarray(frame.geometry.array, dtype=object))
    bad = no_polygon(shapes)
    if bad.any():
        raise GeometryError("not every grid is a valid polygon", source=source, ids=ids_of(frame, bad, "code"),
                            remedy="gridgis validate shows where; gridgis repair mends it.")  # fmt: skip
    order = np.argsort(codes.astype(str), kind="stable")
    metric = crs_.metric_crs(frame, source)
    area = shapely.area(crs_.project(shapes[order], crs_.require_crs(frame), metric))
    return _Grids(codes[order], shapes[order], area)


def _households(frame: pd.DataFrame) -> pd.Series | None:
    """Households by code; None where nobody counted them."""
    if "households" not in frame.columns:
        return None
    values = pd.to_numeric(frame["households"], errors="coerce")
    if values.isna().any():
        return None
    return pd.Series(values.to_numpy(dtype=float), index=unique_codes(frame, "grids"))


def _overlaid(a: _Grids, b: _Grids, crs: pyproj.CRS, metric: pyproj.CRS) -> pd.DataFrame:
    """The common ground of each pair of grids, and what is in no grid of the other plan."""
    tree = shapely.STRtree(b.shape)
    one, other = tree.query(a.shape, predicate="intersects")
    same = shapely.equals_identical(a.shape[one], b.shape[other])
    whole_a, whole_b = np.unique(one[same]), np.unique(other[same])
    keep = same | ~(np.isin(one, whole_a) | np.isin(other, whole_b))
    one, other, same = one[keep], other[keep], same[keep]
    common = a.shape[one].copy()
    common[~same] = shapely.intersection(a.shape[one[~same]], b.shape[other[~same]])
    lost_a, gone = _rest(a.shape, whole_a, b.shape)
    lost_b, come = _rest(b.shape, whole_b, a.shape)
    shapes = np.concatenate([common, gone, come])
    area = shapely.area(crs_.project(shapes, crs, metric))
    table = pd.DataFrame(
        {
            "a": np.concatenate([one, lost_a, np.full(len(come), -1)]),
            "b": np.concatenate([other, np.full(len(gone), -1), lost_b]),
            "area_m2": area,
        }
    )
    table["shape"] = pd.Series(shapes, dtype=object)
    for name, codes, rows in (("from", a.code, table["a"]), ("to", b.code, table["b"])):
        table[name] = pd.Series([codes[row] if row >= 0 else None for row in rows], dtype=object)
    return table[area >= LEAST_M2].reset_index(drop=True)


def _rest(shapes: Shapes, whole: Any, others: Shapes) -> tuple[Ints, Shapes]:
    """Rows of the shapes, but the `whole` ones that the other plan has too, and what the others leave free of each."""
    rows = np.setdiff1d(np.arange(len(shapes)), whole)
    row, beside = shapely.STRtree(others).query(shapes[rows], predicate="intersects")
    left = np.empty(len(rows), dtype=object)
    for number in range(len(rows)):
        left[number] = shapely.difference(shapes[rows[number]], shapely.union_all(others[beside[row == number]]))
    return rows, left


# --- households -------------------------------------------------------------------------------------------------------


def _lived(houses: gpd.GeoDataFrame, a: _Grids, b: _Grids, crs: pyproj.CRS) -> pd.Series:
    """Households by the grids (rows, -1 for none) before and after."""
    places = crs_.project(np.asarray(houses.geometry.array, dtype=object), crs_.require_crs(houses, "houses"), crs)
    inner = shapely.point_on_surface(places)
    x, y = shapely.get_x(inner), shapely.get_y(inner)
    rows = [GridLocator(gpd.GeoDataFrame({"code": g.code}, geometry=g.shape, crs=crs)).locate(x, y) for g in (a, b)]
    table = pd.DataFrame({"a": rows[0], "b": rows[1], "households": households_of(houses, 1.0)})
    return table.groupby(["a", "b"])["households"].sum()


def _found(pairs: pd.DataFrame, lived: pd.Series) -> pd.Series:
    index = pd.MultiIndex.from_frame(pairs[["a", "b"]])
    return pd.Series(lived.reindex(index).fillna(0).to_numpy(), index=pairs.index)


def _counted(pairs: pd.DataFrame, a: _Grids, known: pd.Series | None) -> pd.Series:
    """Households shared by the area of each piece in its grid; NaN where nobody counted them."""
    if known is None:
        return pd.Series(np.nan, index=pairs.index)
    load = np.append(known.reindex(a.code).to_numpy(dtype=float), 0.0)[pairs["a"]]
    return pd.Series(load * pairs["area_m2"].to_numpy() / np.append(a.area, 1.0)[pairs["a"]], index=pairs.index)


# --- what goes out ----------------------------------------------------------------------------------------------------


def _moved(pairs: pd.DataFrame, crs: pyproj.CRS, estimated: bool) -> gpd.GeoDataFrame:
    own = pairs[pairs["from"].to_numpy() != pairs["to"].to_numpy()]
    order = sorted(range(len(own)), key=lambda i: (own["from"].iat[i] or "", own["to"].iat[i] or ""))
    own = own.iloc[order].reset_index(drop=True)
    households = own["households"].round().astype("Int64")
    table = pd.DataFrame({name: pd.Series(own[name].tolist(), dtype=object) for name in ("from", "to")})
    table["area_m2"] = own["area_m2"].round(2)
    table["households"], table["estimated"] = households, estimated
    return gpd.GeoDataFrame(table, geometry=gpd.GeoSeries(own["shape"].tolist(), crs=crs), crs=crs)


def _by_code(
    a: _Grids,
    b: _Grids,
    pairs: pd.DataFrame,
    before: pd.Series | None,
    after: pd.Series | None,
    lived: pd.Series | None,
) -> pd.DataFrame:
    codes = sorted(set(a.code) | set(b.code))
    first, second = pd.Series(a.area, index=a.code), pd.Series(b.area, index=b.code)
    same = pairs[pairs["from"].to_numpy() == pairs["to"].to_numpy()]
    kept = same.groupby("from")["area_m2"].sum().reindex(codes).fillna(0.0)
    out = pd.DataFrame({"code": pd.Series(codes, dtype=object)})
    out["area_before_m2"] = first.reindex(codes).to_numpy()
    out["area_after_m2"] = second.reindex(codes).to_numpy()
    out["kept_m2"] = kept.to_numpy()
    if lived is not None:
        before = pd.Series(lived.groupby("a").sum().reindex(range(len(a.code))).fillna(0).to_numpy(), index=a.code)
        after = pd.Series(lived.groupby("b").sum().reindex(range(len(b.code))).fillna(0).to_numpy(), index=b.code)
    nobody = pd.Series(dtype=float)
    for name, load in (("households_before", before), ("households_after", after)):
        out[name] = (nobody if load is None else load).reindex(codes).round().astype("Int64").to_numpy()
    old, new = out["code"].isin(a.code), out["code"].isin(b.code)
    still = (out["area_before_m2"] - out["kept_m2"]).abs() + (out["area_after_m2"] - out["kept_m2"]).abs()
    status = np.where(still < 2 * LEAST_M2, "kept", "changed")
    out["status"] = pd.Series(np.where(old & new, status, np.where(old, "gone", "new")), dtype=object)
    return out[["code", "status", *(c for c in out.columns if c not in ("code", "status"))]].round(
        {"area_before_m2": 2, "area_after_m2": 2, "kept_m2": 2}
    )


def _lineage(a: _Grids, b: _Grids, pairs: pd.DataFrame) -> pd.DataFrame:
    """Successors of each grid with their shares, the largest first."""
    own = pairs[(pairs["a"] >= 0) & (pairs["b"] >= 0)]
    share = own["area_m2"].to_numpy() / a.area[own["a"]]
    total = own.groupby("a")["households"].transform("sum").to_numpy(dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        lived = np.where(total > 0, own["households"].to_numpy(dtype=float) / total, np.nan)
    table = pd.DataFrame({"from": own["from"], "to": own["to"], "share": share.round(6)})
    table["household_share"] = lived.round(6)
    table["to_share"] = (own["area_m2"].to_numpy() / b.area[own["b"]]).round(6)
    order = np.lexsort((table["to"].astype(str), -share, table["from"].astype(str)))
    return table.iloc[order].reset_index(drop=True)


def _summary(
    moved: pd.DataFrame, grids: pd.DataFrame, lineage: pd.DataFrame, metric: pyproj.CRS, estimated: bool
) -> dict[str, Any]:
    by_status = {status: grids["code"][grids["status"] == status].tolist()
                 for status in ("kept", "changed", "new", "gone")}  # fmt: skip
    same = lineage[(lineage["share"] == 1) & (lineage["to_share"] == 1)]
    known = bool(moved["households"].notna().all())
    whole = moved["from"].notna() & moved["to"].notna()
    return {
        "grids_before": int(grids["status"].isin(["kept", "changed", "gone"]).sum()),
        "grids_after": int(grids["status"].isin(["kept", "changed", "new"]).sum()),
        **by_status,
        "recoded": _records(same.loc[(same["from"] != same["to"]).to_numpy(), ["from", "to"]]),
        "ground_moved_m2": round(float(moved["area_m2"][whole].sum()), 2),
        "ground_left_m2": round(float(moved["area_m2"][moved["to"].isna()].sum()), 2),
        "ground_added_m2": round(float(moved["area_m2"][moved["from"].isna()].sum()), 2),
        "households_moved": int(moved["households"][whole].sum()) if known else None,
        "households_estimated": estimated,
        "moved": _records(pd.DataFrame(moved.drop(columns="geometry"))),
        "lineage": _records(lineage),
        "parameters": {"least_m2": LEAST_M2, "measured_in": metric.to_string()},
    }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    plain = table.astype(object).where(table.notna(), None)
    return [
        {str(key): value.item() if isinstance(value, np.generic) else value for key, value in row.items()}
        for row in plain.to_dict("records")
    ]
