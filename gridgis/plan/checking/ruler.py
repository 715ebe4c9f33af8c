"""Metres for geometry that stays in its own coordinates: what a shape measures, and what is only numerical noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from gridgis import crs as crs_room

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Two places nearer than this are one place, and a strip that is thinner on average is no strip: a vertex interpolated
#: on a lon/lat edge, or coordinates printed with 15 digits, are off by up to 1e-7 m.
NOISE_M = 1e-6


@dataclass(frozen=True)
class Ruler:
    """Measures shapes of `crs` in metres by projecting them into `metric`.

    Attributes
    ----------
    crs, metric : pyproj.CRS
        Where the shapes are, and where they are measured.
    centre : tuple of float
        The middle of the place, in `crs`.
    """

    crs: pyproj.CRS
    metric: pyproj.CRS
    centre: tuple[float, float]

    @classmethod
    def of(cls, frame: gpd.GeoDataFrame | gpd.GeoSeries, source: object = None) -> Ruler:
        """The ruler for the place where `frame` lies; raises as :func:`gridgis.crs.metric_crs` does."""
        own = crs_room.require_crs(frame, source)
        metric = crs_room.metric_crs(frame, source)
        x0, y0, x1, y1 = (float(bound) for bound in frame.total_bounds)
        return cls(own, metric, ((x0 + x1) / 2, (y0 + y1) / 2))

    @cached_property
    def unit_m(self) -> tuple[float, float]:
        """Metres of one unit of `crs` along x and along y at the centre: for gates and tolerances, not for results."""
        x, y = self.centre
        step = 1e-4 if self.crs.is_geographic else 1.0
        spot = self.metres(shapely.points([[x, y], [x + step, y], [x, y + step]]))
        along_x, along_y = shapely.distance(spot[0], spot[1:]) / step
        return float(along_x), float(along_y)

    @property
    def noise(self) -> float:
        """:data:`NOISE_M` in units of `crs`."""
        return NOISE_M / max(self.unit_m)

    def metres(self, shapes: Any) -> Any:
        """`shapes` (an array or one) in `metric`."""
        return crs_room.project(shapes, self.crs, self.metric)

    def degrees(self, shapes: Any) -> Any:
        """`shapes` in WGS 84, longitude before latitude."""
        return crs_room.project(shapes, self.crs, crs_room.WGS84)

    def substantial(self, shapes: Any) -> Bools:
        """Which polygons are more than noise: their mean width, 2 × area ÷ perimeter, exceeds :data:`NOISE_M`.

        In their own coordinates as well: an edge that is straight in degrees bends when it is measured, so a vertex on
        it would make a strip.
        """
        there = self.metres(shapes)
        wide: Bools = 2 * shapely.area(there) > NOISE_M * shapely.length(there)
        if there is not shapes:
            wide &= 2 * shapely.area(shapes) > self.noise * shapely.length(shapes)
        return wide


def widths(polygons: Any) -> Floats:
    """Width in metres of polygons that are in metres: twice the radius of the largest circle inside.

    Parameters
    ----------
    polygons : array of Polygon or MultiPolygon, in metres

    Returns
    -------
    array of float
        Of the widest part where there are several. At most the true width and seldom less than 92 % of it: GEOS stops
        refining the circle of a long thin strip early, so twice area ÷ perimeter, which can never exceed the width
        either, is taken where it is larger.
    """
    out = np.zeros(len(polygons))
    parts, owner = shapely.get_parts(polygons, return_index=True)
    if len(parts) == 0:
        return out
    circles = 2 * shapely.length(shapely.maximum_inscribed_circle(parts))
    mean = 2 * shapely.area(parts) / shapely.length(parts)
    np.maximum.at(out, owner, np.maximum(circles, mean))
    return out
