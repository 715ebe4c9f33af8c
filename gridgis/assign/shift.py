"""Coordinates that are not what they say: GCJ-02 or BD-09 read as WGS 84, latitude taken for longitude."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from gridgis import crs
from gridgis.assign.ready import ReadyGrids
from gridgis.errors import GridgisWarning
from gridgis.locate import GridLocator

Floats = NDArray[np.float64]

#: Longitude and latitude as they would be if the shift that a name stands for is undone.
UNDO: dict[str, Callable[[Floats, Floats], tuple[Floats, Floats]]] = {
    "gcj02": crs.gcj02_to_wgs84,
    "bd09": crs.bd09_to_wgs84,
    "swapped": lambda lon, lat: (lat, lon),
}

# What it takes to tell: houses and share gained, share inside after it, share of those outside that may be left.
_LEAST_HOUSES, _LEAST_GAIN, _LEAST_SHARE, _MOST_LEFT = 5, 0.05, 0.8, 0.5
_SAMPLE = 20_000


def detect_shift(houses: gpd.GeoDataFrame, boundary: gpd.GeoDataFrame | ReadyGrids) -> dict[str, Any] | None:
    """Whether houses lie off the boundary by a tell-tale shift: GCJ-02 or BD-09 read as WGS 84, or
    latitude taken for longitude.

    Parameters
    ----------
    houses : GeoDataFrame
        Points; at most 20,000 of them, evenly taken, are looked at.
    boundary : GeoDataFrame or ReadyGrids
        Polygons where the houses should lie: a boundary, units or grids.

    Returns
    -------
    dict or None
        None where nothing is told. Else ``datum`` (gcj02, bd09 or swapped), ``share_given`` and ``share_mended``
        (fractions of the houses inside, as given and with the shift undone), ``distance_m`` (median of how far the
        houses lie off), ``houses`` (how many were looked at) and ``remedy``.

    Notes
    -----
    Told only where undoing the shift is clearly better: at least 5 houses and 5 % more are inside, at least 80 % are
    then, and at most half as many are left outside as before, and as when half of the shift is undone. By the last,
    houses that just stick out are not told: half a shift would bring them in as well. Nothing is mended here.

    Not promised: a shift on a boundary so wide that 95 % of the shifted houses still lie inside is not seen.
    """
    lon, lat = _degrees(houses)
    if len(lon) < _LEAST_HOUSES:
        return None
    ready = isinstance(boundary, ReadyGrids)
    locator = boundary.locator if ready else GridLocator(boundary)
    to_boundary = crs.transformer(crs.WGS84, boundary.crs if ready else crs.require_crs(boundary, "boundary"))

    def outside(x: Floats, y: Floats) -> int:
        return int((locator.locate(*to_boundary.transform(x, y)) < 0).sum())

    given = outside(lon, lat)
    if given < _LEAST_HOUSES:
        return None
    degrees = crs.require_crs(houses).is_geographic
    mended = {datum: undo(lon, lat) for datum, undo in UNDO.items() if degrees or datum != "swapped"}
    left = {datum: outside(*xy) for datum, xy in mended.items()}
    datum = min(left, key=lambda name: left[name])
    x, y = mended[datum]
    half = given if datum == "swapped" else outside((lon + x) / 2, (lat + y) / 2)
    least_gain, most_left = max(_LEAST_HOUSES, _LEAST_GAIN * len(lon)), (1 - _LEAST_SHARE) * len(lon)
    if given - left[datum] < least_gain or left[datum] > min(most_left, _MOST_LEFT * min(given, half)):
        return None
    # Swapped degrees have latitudes beyond the pole: cut, so that a distance exists.
    off = pyproj.Geod(ellps="WGS84").inv(x, y, lon, np.clip(lat, -90.0, 90.0))[2]
    return {
        "datum": datum,
        "share_given": 1 - given / len(lon),
        "share_mended": 1 - left[datum] / len(lon),
        "distance_m": float(np.median(off)),
        "houses": len(lon),
        "remedy": "--map lon=lat --map lat=lon" if datum == "swapped" else f"--datum {datum}",
    }


def _degrees(houses: gpd.GeoDataFrame) -> tuple[Floats, Floats]:
    """Longitude and latitude of the houses that have a place, evenly thinned to at most `_SAMPLE`."""
    source = crs.require_crs(houses, "houses")
    points = np.asarray(houses.geometry.array, dtype=object)
    points = points[~(shapely.is_missing(points) | shapely.is_empty(points))]
    points = crs.project(points[:: max(1, -(-len(points) // _SAMPLE))], source, crs.WGS84)
    return shapely.get_x(points), shapely.get_y(points)


def warn_of_shift(
    houses: gpd.GeoDataFrame | None, boundary: gpd.GeoDataFrame | ReadyGrids, source: object = None
) -> dict[str, Any] | None:
    """Warn (:class:`GridgisWarning`) where :func:`detect_shift` tells something; `source` names the houses' file.

    Returns what was told. Nothing happens where there are no houses or they have no geometry.
    """
    if not isinstance(houses, gpd.GeoDataFrame):
        return None
    told = detect_shift(houses, boundary)
    if told is None:
        return None
    name = {"gcj02": "GCJ-02 read as WGS 84", "bd09": "BD-09 read as WGS 84", "swapped": "latitude taken for longitude"}
    warnings.warn(
        f"{source or 'houses'}: only {told['share_given']:.0%} of {told['houses']} houses lie inside the boundary, "
        f"{told['share_mended']:.0%} would if the coordinates are {name[told['datum']]} "
        f"({told['distance_m']:,.0f} m off). If they are, read them with {told['remedy']}; nothing was changed.",
        GridgisWarning,
        stacklevel=2,
    )
    return told
