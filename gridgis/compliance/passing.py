"""Who passed what: buildings, compounds and road segments that a cleaned track came near to, on which day."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gridgis import crs
from gridgis.locate import GridLocator
from gridgis.patrol import inside
from gridgis.patrol.tracks import in_time


def passed(fixes: pd.DataFrame, places: gpd.GeoDataFrame, distance_m: float) -> pd.DataFrame:
    """Which places each member of staff came within `distance_m` of on each day.

    Parameters
    ----------
    fixes : DataFrame
        What :func:`gridgis.patrol.tracks.clean_tracks` returned.
    places : GeoDataFrame
        Polygons, lines or points, in any CRS.
    distance_m : float
        Metres from the cleaned track.

    Returns
    -------
    DataFrame
        staff, date, place (position in `places`); each once, sorted.
    """
    metric = crs.metric_crs(places)
    clean = in_time(fixes)
    steps = inside.cleaned_steps(clean, inside.metres_of(clean, metric))
    lines = shapely.linestrings(np.stack([steps.start, steps.end], axis=1))
    shapes = np.asarray(crs.project(places.geometry.to_numpy(), crs.require_crs(places), metric))
    step, place = shapely.STRtree(shapes).query(lines, predicate="dwithin", distance=distance_m)
    who = clean[clean["session"] >= 0].groupby("session")[["staff", "date"]].first()
    table = who.loc[steps.session[step]].reset_index(drop=True).assign(place=place)
    table["staff"] = table["staff"].astype(str).astype(object)
    return table.drop_duplicates().sort_values(["staff", "date", "place"], ignore_index=True)


def rounds(
    duty: pd.DataFrame, fixes: pd.DataFrame, places: gpd.GeoDataFrame, grids: gpd.GeoDataFrame, distance_m: float
) -> pd.DataFrame:
    """Of each person and day on duty: how many of the places in their grids they passed.

    Returns
    -------
    DataFrame
        staff, date, grid (None where there are several), excuse, passed, total, share (NaN where there is no place).
    """
    whose = pd.DataFrame({"place": np.arange(len(places)), "grid": grid_of(places, grids)}).dropna()
    asked = duty.drop_duplicates(["staff", "date", "grid"])[["staff", "date", "grid", "excuse"]]
    every = asked.merge(whose, on="grid", how="left")
    seen = passed(fixes, places, distance_m).assign(seen=1)
    every = every.merge(seen, on=["staff", "date", "place"], how="left")
    out = every.groupby(["staff", "date"], as_index=False).agg(
        grid=("grid", "first"), grids=("grid", "nunique"), excuse=("excuse", "max"),
        passed=("seen", "sum"), total=("place", "nunique"),
    )  # fmt: skip
    share = out["passed"] / out["total"].where(out["total"] > 0)
    out = out.assign(grid=out["grid"].where(out["grids"] == 1, None), passed=out["passed"].astype(int), share=share)
    return out.drop(columns="grids")


def grid_of(places: gpd.GeoDataFrame, grids: gpd.GeoDataFrame) -> Any:
    """The code of the grid in which each place lies, by a point of it; None where there is none."""
    ordered = grids.iloc[np.argsort(grids["code"].astype(str).to_numpy(dtype=object), kind="stable")]
    shapes = np.asarray(crs.project(places.geometry.to_numpy(), crs.require_crs(places), crs.require_crs(grids)))
    at = shapely.get_coordinates(shapely.point_on_surface(shapes))
    found = np.full(len(places), None, dtype=object)
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    row = GridLocator(ordered).locate(at[:, 0], at[:, 1])
    codes = ordered["code"].astype(str).to_numpy(dtype=object)
    found[there] = np.where(row >= 0, codes[row], None)
    return found
