"""Households where nobody counted them, estimated from the size of buildings; a house for each building."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gridgis import crs
from gridgis.errors import InputError, SchemaError
from gridgis.profile import Profile
from gridgis.schema import codes_as_text

Floats = NDArray[np.float64]

#: Values of `kind` (OSM's building=) in which people live; those of the first list are one household each.
ONE_HOUSEHOLD = ("house", "detached", "semidetached_house")
RESIDENTIAL = ("residential", "apartments", "dormitory", "terrace", *ONE_HOUSEHOLD, "住宅", "居民楼", "公寓", "宿舍")


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
