"""A metric CRS for the place; GCJ-02 and BD-09 in and out.

Every length and area of gridgis is computed in :func:`metric_crs` of the place: the CGCS2000 3-degree zone in China,
the UTM zone elsewhere. Never in degrees, in EPSG:3857 or in shifted coordinates.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from numpy.typing import ArrayLike, NDArray

from gridgis.errors import CRSError, InputError

WGS84 = pyproj.CRS.from_epsg(4326)
Datum = Literal["wgs84", "gcj02", "bd09"]
Floats = NDArray[np.float64]
Shift = Callable[[ArrayLike, ArrayLike], tuple[Floats, Floats]]

# A coarse outline of China (lon, lat), generous at the borders: it only chooses between two metric zones.
_CHINA = shapely.Polygon(
    [
        (73.4, 39.4), (75.0, 36.9), (78.0, 34.5), (78.3, 32.3), (81.0, 29.9), (86.0, 27.6), (92.0, 26.7),
        (97.3, 27.6), (97.3, 23.7), (99.0, 21.7), (101.5, 20.9), (106.5, 21.6), (108.0, 20.8), (107.8, 18.5),
        (110.3, 16.5), (110.5, 10.0), (109.0, 3.0), (118.5, 9.0), (119.0, 19.0), (122.9, 21.5), (123.5, 26.5),
        (123.5, 32.0), (122.9, 37.5), (121.2, 38.6), (124.3, 39.7), (126.5, 41.2), (128.3, 41.2), (131.3, 42.3),
        (131.5, 44.9), (135.3, 48.6), (131.0, 48.2), (130.9, 49.0), (128.6, 49.8), (127.7, 50.4), (126.9, 51.5),
        (126.2, 52.6), (123.6, 53.7), (120.0, 53.5), (119.6, 51.5), (119.0, 50.4), (117.6, 49.8), (116.5, 49.9),
        (115.4, 48.2), (115.6, 47.6), (117.5, 47.5), (118.5, 47.9), (119.7, 46.8), (115.0, 45.3), (113.6, 44.9),
        (111.5, 44.1), (111.0, 43.0), (107.5, 42.6), (104.5, 42.0), (101.5, 42.8), (96.3, 43.1), (95.3, 44.4),
        (91.0, 45.2), (90.8, 47.0), (88.0, 49.2), (87.3, 49.2), (85.6, 48.3), (83.0, 47.3), (82.2, 45.6),
        (80.2, 45.1), (80.2, 42.2), (76.5, 40.6),
    ]
)  # fmt: skip


def require_crs(frame: gpd.GeoDataFrame | gpd.GeoSeries, source: object = None) -> pyproj.CRS:
    """The CRS of `frame`, or a :class:`CRSError` that says how to give one."""
    if frame.crs is None:
        raise CRSError(
            "the coordinate reference system is missing",
            source=source,
            remedy="Name it with --crs EPSG:4326 (or the code that fits), or in Python with set_crs.",
        )
    return pyproj.CRS(frame.crs)


def is_metric(crs: pyproj.CRS) -> bool:
    """Whether `crs` is projected in metres and may be measured in.

    Web Mercator, the Mercators of the world and the plate carrée may not: away from the equator their metres are longer
    than metres.

    Examples
    --------
    >>> is_metric(pyproj.CRS(4548)), is_metric(pyproj.CRS(3857)), is_metric(pyproj.CRS(2249))
    (True, False, False)
    """
    if not crs.is_projected:
        return False
    operation = crs.coordinate_operation
    method = "" if operation is None else operation.method_name
    if ("Mercator" in method and "Transverse" not in method and "Oblique" not in method) or "Cylindrical" in method:
        return False
    return all(axis.unit_conversion_factor == 1.0 for axis in crs.axis_info[:2])


def zone_crs(lon: float, lat: float) -> pyproj.CRS:
    """The metric CRS for a place.

    Parameters
    ----------
    lon, lat : float
        Degrees, WGS 84.

    Returns
    -------
    pyproj.CRS
        In China CGCS2000 / 3-degree Gauss-Kruger by central meridian (EPSG:4534 to 4554); elsewhere WGS 84 / UTM
        (EPSG:326zz, 327zz).

    Notes
    -----
    China's outline is coarse (tens of kilometres off in places): near the border either family may be chosen. Both
    are metric; scale errors stay below 4e-4.

    Examples
    --------
    >>> zone_crs(116.32, 40.0).to_epsg(), zone_crs(-71.1, 42.4).to_epsg()
    (4548, 32619)
    """
    if not (np.isfinite(lon) and np.isfinite(lat) and -180 <= lon <= 180 and -90 <= lat <= 90):
        raise CRSError(
            "the coordinates are not degrees of longitude and latitude",
            found=f"a centre at {lon}, {lat}",
            remedy="Check the CRS of the file: it may name the wrong one.",
        )
    if shapely.contains_xy(_CHINA, lon, lat):
        meridian = int(np.clip(np.floor(lon / 3 + 0.5) * 3, 75, 135))
        return pyproj.CRS.from_epsg(4534 + (meridian - 75) // 3)
    zone = int((lon + 180) // 6) % 60 + 1
    return pyproj.CRS.from_epsg((32600 if lat >= 0 else 32700) + zone)


def metric_crs(frame: gpd.GeoDataFrame | gpd.GeoSeries, source: object = None) -> pyproj.CRS:
    """The CRS to measure `frame` in: its own if that is in metres, else that of the centre of its bounds.

    Raises
    ------
    CRSError
        If the CRS is missing, or the coordinates cannot be degrees although it says so.
    """
    crs = require_crs(frame, source)
    if is_metric(crs):
        return crs
    bounds = np.asarray(frame.total_bounds, dtype=float)
    if np.isnan(bounds).any():
        raise InputError("no row has geometry, so the place is unknown", source=source)
    x, y = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    try:
        lon, lat = transformer(crs, WGS84).transform(x, y)
    except pyproj.exceptions.ProjError as error:
        raise CRSError(
            "the coordinate reference system has no place on the earth",
            source=source,
            found=crs.name,
            remedy="Give the file the CRS that its coordinates are in.",
        ) from error
    return zone_crs(lon, lat)


def to_metric(frame: gpd.GeoDataFrame, source: object = None) -> gpd.GeoDataFrame:
    """A copy of `frame` in its :func:`metric_crs`."""
    return frame.to_crs(metric_crs(frame, source))


@lru_cache(maxsize=64)
def transformer(source: pyproj.CRS, target: pyproj.CRS) -> pyproj.Transformer:
    """The way from one CRS into another, x before y; threads may share it.

    Kept, because PROJ takes 0.2 s to choose a way into a Chinese zone.
    """
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def project(geometries: Any, source: pyproj.CRS, target: pyproj.CRS) -> Any:
    """Geometries (an array or one) from one CRS into another, x before y; None and empty stay as they are."""
    if source == target:
        return geometries
    way = transformer(source, target)

    def move(xy: Floats) -> Floats:
        return np.column_stack(way.transform(xy[:, 0], xy[:, 1]))

    return shapely.transform(geometries, move)


# --- GCJ-02 and BD-09 -------------------------------------------------------------------------------------------------
# The published formula of the shift (ellipsoid of Krassovsky); its inverses by fixed point, four steps each:
# after 1, 2, 3, 4 steps the largest error over China is 5.6e-5, 3.7e-7, 2.4e-9, 1.6e-11 degrees.

_A = 6378245.0
_E2 = 0.00669342162296594323
_BOX = (72.004, 137.8347, 0.8293, 55.8271)
_BD_PI = np.pi * 3000.0 / 180.0
_STEPS = 4


def _pair(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    return np.asarray(lon, dtype=float), np.asarray(lat, dtype=float)


def _gcj_offset(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    x, y = lon - 105.0, lat - 35.0
    root = np.sqrt(np.abs(x))
    common = (20.0 * np.sin(6.0 * x * np.pi) + 20.0 * np.sin(2.0 * x * np.pi)) * 2.0 / 3.0
    d_lat = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + common
    d_lat += (20.0 * np.sin(y * np.pi) + 40.0 * np.sin(y / 3.0 * np.pi)) * 2.0 / 3.0
    d_lat += (160.0 * np.sin(y / 12.0 * np.pi) + 320.0 * np.sin(y * np.pi / 30.0)) * 2.0 / 3.0
    d_lon = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + common
    d_lon += (20.0 * np.sin(x * np.pi) + 40.0 * np.sin(x / 3.0 * np.pi)) * 2.0 / 3.0
    d_lon += (150.0 * np.sin(x / 12.0 * np.pi) + 300.0 * np.sin(x / 30.0 * np.pi)) * 2.0 / 3.0
    phi = np.radians(lat)
    magic = 1.0 - _E2 * np.sin(phi) ** 2
    d_lat = d_lat * 180.0 / ((_A * (1.0 - _E2)) / (magic * np.sqrt(magic)) * np.pi)
    d_lon = d_lon * 180.0 / (_A / np.sqrt(magic) * np.cos(phi) * np.pi)
    inside = (lon >= _BOX[0]) & (lon <= _BOX[1]) & (lat >= _BOX[2]) & (lat <= _BOX[3])
    return np.where(inside, d_lon, 0.0), np.where(inside, d_lat, 0.0)


def _invert(shift: Shift, lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    goal_lon, goal_lat = _pair(lon, lat)
    lon, lat = goal_lon, goal_lat
    for _ in range(_STEPS):
        there_lon, there_lat = shift(lon, lat)
        lon, lat = lon - (there_lon - goal_lon), lat - (there_lat - goal_lat)
    return lon, lat


def wgs84_to_gcj02(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """WGS 84 to GCJ-02, degrees. Outside 72.004–137.8347 E, 0.8293–55.8271 N nothing is shifted.

    Live map services agree with this formula to about 1 m, not better.

    Examples
    --------
    >>> lon, lat = wgs84_to_gcj02(121.5272106, 31.1774276)
    >>> round(float(lon), 9), round(float(lat), 9)
    (121.531541859, 31.175303984)
    """
    lon, lat = _pair(lon, lat)
    d_lon, d_lat = _gcj_offset(lon, lat)
    return lon + d_lon, lat + d_lat


def gcj02_to_wgs84(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """GCJ-02 to WGS 84, degrees; the inverse of :func:`wgs84_to_gcj02` within 1e-9 degrees."""
    return _invert(wgs84_to_gcj02, lon, lat)


def gcj02_to_bd09(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """GCJ-02 to BD-09, degrees."""
    lon, lat = _pair(lon, lat)
    radius = np.hypot(lon, lat) + 0.00002 * np.sin(lat * _BD_PI)
    angle = np.arctan2(lat, lon) + 0.000003 * np.cos(lon * _BD_PI)
    return radius * np.cos(angle) + 0.0065, radius * np.sin(angle) + 0.006


def bd09_to_gcj02(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """BD-09 to GCJ-02, degrees, by iteration (the closed form errs by up to 0.23 m)."""
    return _invert(gcj02_to_bd09, lon, lat)


def wgs84_to_bd09(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """WGS 84 to BD-09, degrees."""
    return gcj02_to_bd09(*wgs84_to_gcj02(lon, lat))


def bd09_to_wgs84(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """BD-09 to WGS 84, degrees."""
    return gcj02_to_wgs84(*bd09_to_gcj02(lon, lat))


_TO_WGS84: dict[str, Shift] = {"gcj02": gcj02_to_wgs84, "bd09": bd09_to_wgs84}
DATUMS: tuple[Datum, ...] = ("wgs84", "gcj02", "bd09")


def from_datum(frame: gpd.GeoDataFrame, datum: str, source: object = None) -> gpd.GeoDataFrame:
    """A copy of `frame`, whose degrees are of `datum`, in WGS 84 (EPSG:4326).

    Raises
    ------
    InputError
        If `datum` is not one of wgs84, gcj02, bd09.
    CRSError
        If a shifted datum is named for coordinates that are not degrees.
    """
    if datum not in DATUMS:
        raise InputError("the datum is unknown", source=source, found=repr(datum), wanted=", ".join(DATUMS))
    if datum == "wgs84":
        return frame.copy()
    crs = require_crs(frame, source)
    if not crs.is_geographic:
        raise CRSError(f"a {datum} shift needs degrees", source=source, found=crs.name, wanted="longitude, latitude")

    def move(xy: Floats) -> Floats:
        return np.column_stack(_TO_WGS84[datum](xy[:, 0], xy[:, 1]))

    return frame.set_geometry(shapely.transform(frame.geometry.array, move), crs=WGS84)
