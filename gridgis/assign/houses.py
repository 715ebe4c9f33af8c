"""House to grid, building to grid, each with how it was decided; households where nobody counted them."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gridgis import crs
from gridgis.assign.shift import detect_shift, warn_of_shift
from gridgis.errors import GeometryError, InputError, SchemaError
from gridgis.locate import GridLocator
from gridgis.profile import Profile
from gridgis.schema import codes_as_text, ids_of

__all__ = [
    "assign_buildings",
    "assign_houses",
    "detect_shift",
    "estimate_households",
    "houses_of_buildings",
    "sorted_grids",
    "warn_of_shift",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Texts = NDArray[np.object_]

#: Values of `kind` (OSM's building=) in which people live; those of the first list are one household each.
ONE_HOUSEHOLD = ("house", "detached", "semidetached_house")
RESIDENTIAL = ("residential", "apartments", "dormitory", "terrace", *ONE_HOUSEHOLD, "住宅", "居民楼", "公寓", "宿舍")

#: Shares of a building that differ by less count as equal: the lowest code wins.
_EQUAL_SHARES = 1e-9


def assign_houses(houses: gpd.GeoDataFrame, grids: gpd.GeoDataFrame, *, within: float = 0.0) -> gpd.GeoDataFrame:
    """The grid of each house.

    Parameters
    ----------
    houses : GeoDataFrame
        Points in any CRS; None and empty geometry is allowed (grid_how "none").
    grids : GeoDataFrame
        Valid polygons with `code`. Where they share a border or overlap, the lowest code (as text) wins.
    within : float
        Metres: a house outside all grids goes to the nearest one no further away than this.

    Returns
    -------
    GeoDataFrame
        `houses` with ``grid`` (code or None), ``grid_how`` (inside, border, nearest, none) and ``grid_distance_m``
        (metres; 0 inside and on a border, NaN for none). The same index; the geometry untouched.
        ``attrs["parameters"]`` carries within_m.

    Raises
    ------
    SchemaError, GeometryError
        If a grid has no code or is not valid, or a house is not a point.
    CRSError
        If houses or grids have no CRS.
    InputError
        If `within` is not a number ≥ 0.

    Notes
    -----
    Inside and border are decided in the CRS of the grids, exactly; distances are measured in the metric CRS of the
    place (EPSG codes of :func:`gridgis.crs.metric_crs`), so they carry its scale error (up to 4e-4).

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> grids = gpd.GeoDataFrame({"code": ["B", "A"]}, geometry=[shapely.box(0, 0, 9, 9), shapely.box(9, 0, 18, 9)],
    ...                          crs=4548)
    >>> houses = gpd.GeoDataFrame({"code": ["1", "2", "3"]}, geometry=gpd.points_from_xy([4, 9, 20], [5, 5, 5]),
    ...                           crs=4548)
    >>> assign_houses(houses, grids, within=3).grid.tolist()
    ['B', 'A', 'A']
    """
    if not (np.isfinite(within) and within >= 0):
        raise InputError("within must be metres ≥ 0", found=repr(within))
    ground, codes = sorted_grids(grids)
    x, y = _points_in(houses, ground)
    locator = GridLocator(ground)
    row = locator.locate(x, y)
    how: Texts = np.full(len(houses), "none", dtype=object)
    how[row >= 0] = "inside"
    how[locator.on_border(x, y)] = "border"
    distance = np.where(row >= 0, 0.0, np.nan)
    outside = np.flatnonzero((row < 0) & np.isfinite(x) & np.isfinite(y))
    if within > 0 and len(outside):
        near, nearest, metres = _nearest(x[outside], y[outside], ground, within)
        row[outside[near]], distance[outside[near]], how[outside[near]] = nearest, metres, "nearest"
    out = houses.copy()
    out["grid"] = _coded(codes, row, out.index)
    out["grid_how"] = pd.Series(how, index=out.index, dtype=object)
    out["grid_distance_m"] = distance
    out.attrs["parameters"] = {**out.attrs.get("parameters", {}), "within_m": float(within)}
    return out


def sorted_grids(grids: gpd.GeoDataFrame) -> tuple[gpd.GeoDataFrame, Texts]:
    """Grids sorted by code as text, so that the lowest code wins; and those codes. Checked: codes, CRS, validity."""
    if "code" not in grids.columns:
        raise SchemaError("grids need the column 'code'", found=", ".join(map(repr, map(str, grids.columns))))
    if len(grids) == 0:
        raise SchemaError("there are no grids", wanted="at least one")
    crs.require_crs(grids, "grids")
    codes = codes_as_text(grids["code"]).to_numpy(dtype=object)
    missing = np.array([code is None for code in codes])
    if missing.any():
        raise SchemaError("grids without a code", ids=ids_of(grids, missing, None))
    flawed = ~shapely.is_valid(grids.geometry.array) & ~shapely.is_missing(grids.geometry.array)
    if flawed.any():
        raise GeometryError(
            "grids whose polygons are not valid", ids=ids_of(grids, flawed, "code"), remedy="Run gridgis validate."
        )
    order = np.argsort(codes, kind="stable")
    return grids.iloc[order], codes[order]


def _points_in(houses: gpd.GeoDataFrame, ground: gpd.GeoDataFrame) -> tuple[Floats, Floats]:
    """x and y of the houses in the CRS of the grids; NaN where a house has no place."""
    if not isinstance(houses, gpd.GeoDataFrame):
        raise GeometryError(
            "houses need a place", found="a table without geometry", wanted="points, or the columns lon and lat"
        )
    source, target = crs.require_crs(houses, "houses"), crs.require_crs(ground, "grids")
    points = np.asarray(houses.geometry.array, dtype=object)
    wrong = ~shapely.is_missing(points) & (shapely.get_type_id(points) != 0)
    if wrong.any():
        raise GeometryError(
            "houses that are not points",
            ids=ids_of(houses, wrong, "code"),
            remedy="Assign footprints as buildings, or take a point in each.",
        )
    x, y = np.full(len(points), np.nan), np.full(len(points), np.nan)
    placed = ~(shapely.is_missing(points) | shapely.is_empty(points))
    x[placed], y[placed] = shapely.get_x(points[placed]), shapely.get_y(points[placed])
    if source != target:
        x, y = crs.transformer(source, target).transform(x, y)
    return x, y


def _nearest(x: Floats, y: Floats, ground: gpd.GeoDataFrame, within: float) -> tuple[Ints, Ints, Floats]:
    """Which of the points are near a grid, its row (the lowest of equally near ones), and metres to it."""
    metric = crs.metric_crs(ground)
    source = crs.require_crs(ground)
    shapes = crs.project(np.asarray(ground.geometry.array, dtype=object), source, metric)
    points = crs.project(shapely.points(x, y), source, metric)
    points[~np.isfinite(shapely.get_x(points) + shapely.get_y(points))] = None  # beyond what the CRS can hold
    tree = shapely.STRtree(shapes)
    (near, row), metres = tree.query_nearest(points, max_distance=within * (1 + 1e-9), return_distance=True)
    order = np.lexsort((row, near))
    near, row, metres = near[order], row[order], metres[order]
    first = np.flatnonzero((np.diff(near, prepend=-1) > 0) & (metres <= within))
    return near[first], row[first], metres[first]


def _coded(codes: Texts, row: Ints, index: pd.Index) -> pd.Series:
    return pd.Series(np.append(codes, np.array([None]))[row], index=index, dtype=object)


# --- building to grid -------------------------------------------------------------------------------------


def assign_buildings(buildings: gpd.GeoDataFrame, grids: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The grid that holds the larger share of each building's footprint.

    Parameters
    ----------
    buildings : GeoDataFrame
        Polygons in any CRS. Footprints that are not valid are measured as ``shapely.make_valid`` mends them.
    grids : GeoDataFrame
        Valid polygons with `code`.

    Returns
    -------
    GeoDataFrame
        `buildings` with ``grid`` (code or None), ``grid_share`` (fraction of the footprint in that grid, by area in
        metres; NaN for none) and ``grid_how``: inside (wholly in the grid), border (across a border or the outline),
        none. Shares that differ by less than 1e-9 are equal: the lowest code wins. The same index.

    Raises
    ------
    SchemaError, GeometryError, CRSError
        As :func:`assign_houses`.
    """
    ground, codes = sorted_grids(grids)
    source, target = crs.require_crs(buildings, "buildings"), crs.require_crs(ground)
    shapes = crs.project(np.array(buildings.geometry.array, dtype=object), source, target)
    broken = ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
    if broken.any():
        shapes[broken] = shapely.make_valid(shapes[broken], method="structure")
    row, share = _larger_shares(shapes, ground)
    out = buildings.copy()
    out["grid"] = _coded(codes, row, out.index)
    out["grid_share"] = share
    how = np.select([row < 0, share >= 1 - _EQUAL_SHARES], ["none", "inside"], "border")
    out["grid_how"] = pd.Series(how.astype(object), index=out.index, dtype=object)
    return out


def _larger_shares(shapes: NDArray[Any], ground: gpd.GeoDataFrame) -> tuple[Ints, Floats]:
    """Row of the grid with the larger share of each shape (-1: none), and that share."""
    areas = np.asarray(ground.geometry.array, dtype=object)
    building, row = shapely.STRtree(areas).query(shapes, predicate="intersects")
    share = np.ones(len(row))
    # Only what lies in several grids, or sticks out of its one, has to be cut.
    cut = np.bincount(building, minlength=len(shapes))[building] > 1
    alone = np.flatnonzero(~cut)
    grids = shapely.force_2d(areas)
    shapely.prepare(grids)
    cut[alone] = ~shapely.covers(grids[row[alone]], shapes[building[alone]])
    cut = np.flatnonzero(cut)
    if len(cut):
        pieces = shapely.intersection(shapes[building[cut]], areas[row[cut]])
        source, metric = crs.require_crs(ground), crs.metric_crs(ground)
        whole = shapely.area(crs.project(shapes[building[cut]], source, metric))
        part = shapely.area(crs.project(pieces, source, metric))
        share[cut] = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    best_row, best = np.full(len(shapes), -1, dtype=np.int64), np.full(len(shapes), np.nan)
    order = np.lexsort((row, -np.round(share / _EQUAL_SHARES), building))
    order = order[share[order] > 0]
    first = order[np.flatnonzero(np.diff(building[order], prepend=-1))]
    best_row[building[first]], best[building[first]] = row[first], np.minimum(share[first], 1.0)
    return best_row, best


# --- households where nobody counted them -----------------------------------------------------------------


def estimate_households(buildings: gpd.GeoDataFrame, profile: Profile) -> gpd.GeoDataFrame:
    """Households of residential buildings where nobody counted them, each flagged as an estimate.

    Parameters
    ----------
    buildings : GeoDataFrame
        Polygons with `kind` (values of OSM's ``building=``, any case) and, where known, `levels` and `households`.
    profile : Profile
        Its parameters m2_per_household (floor area, m²) and storeys_default (where no levels are tagged) are used.

    Returns
    -------
    GeoDataFrame
        `buildings` with ``households`` (Int64) and ``estimated`` (bool). Counted households stay as they are, not
        estimated; so do estimates made before. Residential buildings (:data:`RESIDENTIAL`) without a count get
        footprint × levels ÷ m2_per_household, rounded, at least 1; a house, detached or semi-detached house gets 1.
        All others have none (missing): a building of unknown use is not taken for a home.
        ``attrs["parameters"]`` carries the parameters.

    Raises
    ------
    CRSError
        If the CRS is missing.
    InputError
        If m2_per_household is 0.

    Notes
    -----
    Dormitories count by floor area as apartments do, though a register may book one as a single collective
    household: what a grid has to carry is people, and one such room for each m2_per_household is the nearer guess.
    """
    parameters = profile.parameters
    if parameters.m2_per_household <= 0:
        raise InputError("m2_per_household must be above 0", source=f"profile {profile.name}")
    out = buildings.copy()
    counted = _numbers(out, "households")
    kind = [str(k).strip().lower() for k in out["kind"]] if "kind" in out.columns else [""] * len(out)
    levels = _numbers(out, "levels")
    levels = np.where(levels > 0, levels, parameters.storeys_default)
    households = np.maximum(np.rint(_footprints(out) * levels / parameters.m2_per_household), 1.0)
    households[np.isin(kind, ONE_HOUSEHOLD)] = 1.0
    guess = np.isnan(counted) & np.isin(kind, RESIDENTIAL) & ~np.isnan(households)
    before = out["estimated"].eq(True).to_numpy(dtype=bool) if "estimated" in out.columns else np.zeros(len(out), bool)
    out["households"] = pd.Series(np.where(guess, households, counted), index=out.index).astype("Int64")
    out["estimated"] = guess | (before & ~np.isnan(counted))
    used = parameters.as_dict("m2_per_household", "storeys_default")
    out.attrs["parameters"] = {**out.attrs.get("parameters", {}), **used}
    return out


def _numbers(frame: pd.DataFrame, column: str) -> Floats:
    if column not in frame.columns:
        return np.full(len(frame), np.nan)
    numbers = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    return np.asarray(numbers, dtype=float)


def _footprints(buildings: gpd.GeoDataFrame) -> Floats:
    """Footprints in m²; NaN where there is no geometry."""
    shapes = np.asarray(buildings.geometry.array, dtype=object)
    source = crs.require_crs(buildings, "buildings")
    missing = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    if missing.all():
        return np.full(len(shapes), np.nan)
    return np.where(missing, np.nan, shapely.area(crs.project(shapes, source, crs.metric_crs(buildings))))


def houses_of_buildings(buildings: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """One house for each building with households: a point surely inside the footprint.

    Parameters
    ----------
    buildings : GeoDataFrame
        Polygons with `code` and `households` (and `address`, `estimated` where known).

    Returns
    -------
    GeoDataFrame
        code and building (the building's code), address, households (int64), estimated (bool), geometry (points in
        the CRS of `buildings`). The index of the buildings kept.

    Raises
    ------
    SchemaError
        If there is no column `code` or `households`.
    """
    lacking = [name for name in ("code", "households") if name not in buildings.columns]
    if lacking:
        raise SchemaError(
            f"buildings need the column {', '.join(map(repr, lacking))}", remedy="Count or estimate households first."
        )
    shapes = np.asarray(buildings.geometry.array, dtype=object)
    placed = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    homes = buildings[(_numbers(buildings, "households") > 0) & placed]
    code = codes_as_text(homes["code"])
    nothing = pd.Series(None, index=homes.index, dtype=object)
    shapes = np.asarray(homes.geometry.array, dtype=object)
    shapes = np.where(shapely.is_valid(shapes), shapes, shapely.make_valid(shapes, method="structure"))
    return gpd.GeoDataFrame(
        {
            "code": code,
            "building": code,
            "address": homes["address"] if "address" in homes.columns else nothing,
            "households": homes["households"].astype("int64"),
            "estimated": homes["estimated"].eq(True) if "estimated" in homes.columns else False,
        },
        geometry=gpd.GeoSeries(shapely.point_on_surface(shapes), index=homes.index, crs=homes.crs),
    )
