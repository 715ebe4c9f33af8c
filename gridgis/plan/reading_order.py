"""The order in which blocks and grids are numbered from north to south."""

from __future__ import annotations

import numpy as np
import shapely

from gridgis.plan.faces.network import Ints, Shapes

#: How tall a band is that is read from west to east, metres.
_BAND_M = 200.0


def reading_order(shapes: Shapes) -> Ints:
    """The order of areas (in metres) as text is read: bands from north to south, west to east in each."""
    middle = shapely.get_coordinates(shapely.centroid(shapes))
    band = np.floor((middle[:, 1].max() - middle[:, 1]) / _BAND_M)
    return np.lexsort((-middle[:, 1], middle[:, 0], band)).astype(np.int64)
