"""A share near a pass mark, settled: the ground seen lies between capsules drawn inside and outside the round ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from gridgis.patrol.ground import Ground

#: Segments of a quarter circle. The outer capsules are wider by 1 / cos(pi / 128), which is 0.03 percent.
_QUARTER = 32

#: What the rounding of coordinates may do to a share.
_ROUNDING = 1e-6


def bracket(ground: Ground, ends: NDArray[np.float64], sight: float) -> tuple[float, float]:
    """Bounds of the share of a ground within `sight` of some lines.

    Parameters
    ----------
    ground : Ground
    ends : (n, 4) floats
        Both ends of each line, metres.
    sight : float
        Metres.

    Returns
    -------
    low, high : float
        The true share lies between them; they are some 2e-4 of the share apart.

    Notes
    -----
    A buffer of GEOS is a polygon inscribed in the true surroundings; one with its radius divided by cos(pi / 4n), n the
    segments of a quarter, is circumscribed. Takes some seconds for an hour at 1 Hz.
    """
    lines = np.asarray(shapely.linestrings(np.unique(ends, axis=0).reshape(-1, 2, 2)))
    shapely.prepare(ground.shape)
    lines = lines[np.asarray(shapely.dwithin(lines, ground.shape, 1.01 * sight))]
    low, high = (_share(ground, lines, radius) for radius in (sight, sight / np.cos(np.pi / (4 * _QUARTER))))
    return max(low - _ROUNDING, 0.0), min(high + _ROUNDING, 1.0)


def _share(ground: Ground, lines: NDArray[Any], radius: float) -> float:
    seen = shapely.union_all(shapely.buffer(lines, radius, quad_segs=_QUARTER))
    return float(shapely.area(shapely.intersection(seen, ground.shape)) / ground.area)
