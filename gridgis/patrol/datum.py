"""Coordinates that are shifted: tracks that lie beside the grid of their posting and fit it as GCJ-02 or BD-09."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from warnings import warn

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gridgis import crs
from gridgis.errors import GridgisWarning, InputError
from gridgis.patrol import inside
from gridgis.patrol.tracks import DEFAULTS, by_code, cleaned
from gridgis.profile import Parameters

Floats = NDArray[np.float64]

#: A track is beside its grids when no more than this share of it lies there, and fits them from the other on.
_BESIDE, _FITS = 0.5, 0.8

#: So many fixes of each person are looked at.
_LOOKED_AT = 2000

_INTO: dict[str, Callable[..., Any]] = {"gcj02": crs.wgs84_to_gcj02, "bd09": crs.wgs84_to_bd09}
_OUT_OF: dict[str, Callable[..., Any]] = {"gcj02": crs.gcj02_to_wgs84, "bd09": crs.bd09_to_wgs84}

DATUM_COLUMNS = ["staff", "read_as", "likely", "inside", "inside_likely", "shift_m"]


def likely_datums(
    fixes: pd.DataFrame,
    grids: gpd.GeoDataFrame,
    postings: pd.DataFrame | None = None,
    *,
    read_as: str = "wgs84",
    parameters: Parameters = DEFAULTS,
) -> pd.DataFrame:
    """Whose coordinates are probably of another datum than they were read as. Nothing is mended.

    Parameters
    ----------
    fixes : DataFrame
        What :func:`gridgis.patrol.tracks.clean_tracks` returned; or fixes as read, which are then cleaned with
        `parameters`.
    grids : GeoDataFrame
        code and polygons, in any CRS.
    postings : DataFrame, optional
        staff and grid. Without it, and for staff without one, all grids together are the ground.
    read_as : {"wgs84", "gcj02", "bd09"}
        The datum with which the tracks were read.
    parameters : Parameters
        `gps_error_m` is how far beside its grid a fix may lie.

    Returns
    -------
    DataFrame
        staff, read_as, likely (the datum that fits), inside and inside_likely (the share of the fixes in the grids of
        the postings, as read and as likely), shift_m (between both, the median), sorted by staff; without rows where
        nobody's track is shifted.

    Raises
    ------
    InputError
        An unknown datum.

    Notes
    -----
    GCJ-02 lies 300 to 700 m from WGS 84 in China, BD-09 up to 1.3 km. In a grid of several kilometres a shift stays
    inside and is not seen, and outside China there is none.
    """
    if read_as not in crs.DATUMS:
        raise InputError("the datum is unknown", found=repr(read_as), wanted=", ".join(crs.DATUMS))
    clean = cleaned(fixes, parameters)
    clean = clean[clean["kept"]]
    metric = crs.metric_crs(grids)
    ordered = by_code(grids)
    shapes = shapely.buffer(inside.grid_shapes(ordered, metric), parameters.gps_error_m)
    codes = ordered["code"].astype(str).to_numpy(dtype=object)
    rows = []
    for staff, walked in clean.groupby("staff", sort=True):
        some = walked.iloc[:: max(len(walked) // _LOOKED_AT, 1)]
        ground = shapely.union_all(shapes[_posted(str(staff), codes, postings)])
        row = _judged(some["lon"].to_numpy(dtype=float), some["lat"].to_numpy(dtype=float), ground, metric, read_as)
        if row is not None:
            rows.append({"staff": str(staff), "read_as": read_as, **row})
    out = pd.DataFrame(rows, columns=DATUM_COLUMNS)
    out.attrs["parameters"] = {"beside": _BESIDE, "fits": _FITS, **parameters.as_dict("gps_error_m")}
    return out


def warn_of_datums(found: pd.DataFrame) -> None:
    """One warning for each datum that some tracks seem to have.

    Warns
    -----
    GridgisWarning
        It names the staff, the shift and what to do.
    """
    for likely, rows in found.groupby("likely", sort=True):
        named = ", ".join(rows["staff"].astype(str).head(10))
        warn(
            f"the tracks of {len(rows)} staff ({named}) lie {rows['shift_m'].median():.0f} m beside the grids of their "
            f"postings and fit them as {likely}; nothing was moved. Read them apart, with --datum {likely}.",
            GridgisWarning,
            stacklevel=2,
        )


def _posted(staff: str, codes: NDArray[Any], postings: pd.DataFrame | None) -> NDArray[np.bool_]:
    if postings is None:
        return np.ones(len(codes), dtype=bool)
    own = postings.loc[postings["staff"].astype(str) == staff, "grid"].astype(str)
    found = np.isin(codes, own.to_numpy(dtype=object))
    return found if found.any() else np.ones(len(codes), dtype=bool)


def _judged(lon: Floats, lat: Floats, ground: Any, metric: Any, read_as: str) -> dict[str, Any] | None:
    """The datum that fits where the one that was taken does not."""
    now = _inside(lon, lat, ground, metric)
    if now > _BESIDE:
        return None
    raw = _INTO[read_as](lon, lat) if read_as in _INTO else (lon, lat)
    places = {"wgs84": raw} | {name: move(*raw) for name, move in _OUT_OF.items()}
    shares = {name: _inside(place[0], place[1], ground, metric) for name, place in places.items() if name != read_as}
    likely = max(shares, key=lambda name: shares[name])
    if shares[likely] < _FITS:
        return None
    moved = [inside.metres_of(pd.DataFrame({"lon": x, "lat": y}), metric) for x, y in (places[likely], (lon, lat))]
    shift = float(np.median(np.hypot(*(moved[0] - moved[1]).T)))
    return {"likely": likely, "inside": now, "inside_likely": shares[likely], "shift_m": shift}


def _inside(lon: Any, lat: Any, ground: Any, metric: Any) -> float:
    xy = inside.metres_of(pd.DataFrame({"lon": lon, "lat": lat}), metric)
    shapely.prepare(ground)
    return float(np.asarray(shapely.intersects_xy(ground, xy[:, 0], xy[:, 1])).mean())
