"""Walks for the tests of patrols: positions in metres from a corner in Beijing, and the fixes of a phone there."""

from __future__ import annotations

from itertools import pairwise

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

METRES = pyproj.CRS.from_epsg(4548)  # CGCS2000, central meridian 117 E
CORNER = np.array([442_000.0, 4_430_000.0])
_DEGREES = pyproj.Transformer.from_crs(METRES, 4326, always_xy=True)


def walk(xy: np.ndarray | list, staff: str = "w1", start: str = "2026-03-02T08:00", step_s: float = 10) -> pd.DataFrame:
    """Fixes at these positions, one each `step_s` seconds from a local start."""
    lon, lat = _DEGREES.transform(*(np.asarray(xy, dtype=float) + CORNER).T)
    time = pd.Timestamp(f"{start}+08:00").tz_convert("UTC") + pd.to_timedelta(np.arange(len(lon)) * step_s, unit="s")
    time = pd.DatetimeIndex(time).as_unit("us")
    return pd.DataFrame({"staff": staff, "time": time, "lon": lon, "lat": lat})


def line(*corners: tuple[float, float], step: float = 12.0) -> np.ndarray:
    """Points each `step` metres along the corners, the corners among them."""
    parts = [np.array([corners[0]])]
    for a, b in pairwise(corners):
        count = max(int(np.ceil(np.hypot(b[0] - a[0], b[1] - a[1]) / step)), 1)
        parts.append(np.linspace(a, b, count + 1)[1:])
    return np.concatenate(parts)


def grids_of(**shapes: shapely.Polygon) -> gpd.GeoDataFrame:
    """Grids with these codes."""
    moved = shapely.transform(np.array(list(shapes.values())), lambda xy: xy + CORNER)
    return gpd.GeoDataFrame({"code": list(shapes)}, geometry=moved, crs=METRES)


def streets_of(**lines: list[tuple[float, float]]) -> gpd.GeoDataFrame:
    """Streets with these names."""
    moved = [shapely.LineString(np.array(xy) + CORNER) for xy in lines.values()]
    return gpd.GeoDataFrame({"name": list(lines)}, geometry=moved, crs=METRES)


def drift(random: np.random.Generator, count: int, sigma: float = 3.0, memory_s: float = 12.0) -> np.ndarray:
    """The error of a phone at 1 Hz: noise that forgets itself in some seconds."""
    keep = np.exp(-1 / memory_s)
    shocks = random.normal(0, sigma * np.sqrt(1 - keep**2), (count, 2))
    out = np.empty((count, 2))
    now = random.normal(0, sigma, 2)
    for i in range(count):
        now = keep * now + shocks[i]
        out[i] = now
    return out


def stroll(seed: int, count: int = 3600, side: float = 500.0) -> np.ndarray:
    """A round of a square kilometre or less at 1 Hz: always the same way, at a pace of its own, without error."""
    random = np.random.default_rng(seed)
    pace = 1.2 * np.clip(1 + 0.2 * drift(random, count, 1.0, 60.0)[:, 0], 0.3, 1.7)
    for halt in random.choice(count, 6, replace=False):
        pace[halt : halt + 30] = 0.0
    corners = np.array([(0, 0), (side, 0), (side, side), (0.4 * side, side), (0.4 * side, 0.3 * side), (0, 0.3 * side)])
    corners = np.vstack([corners, corners[:1]])
    marks = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    along = np.mod(np.cumsum(pace), marks[-1])
    return np.column_stack([np.interp(along, marks, corners[:, axis]) for axis in (0, 1)])


def recorded(seed: int, count: int = 3600, sigma: float = 3.0) -> np.ndarray:
    """A stroll as a phone records it."""
    return stroll(seed, count) + drift(np.random.default_rng([seed, 1]), count, sigma)
