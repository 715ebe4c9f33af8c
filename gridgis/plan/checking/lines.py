"""Responsibility segments and streets as tables have them become what :mod:`gridgis.plan.checking.seams` checks."""

from __future__ import annotations

from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pyproj

from gridgis.crs import require_crs
from gridgis.errors import SchemaError
from gridgis.plan.checking import seams
from gridgis.plan.checking.ruler import Ruler
from gridgis.plan.checking.tiling import Fault, Objects
from gridgis.schema import codes_as_text

#: The thresholds of the check, for the parameters of its result.
SEAM_PARAMETERS = {
    "seam_reach_m": seams.REACH_M,
    "seam_ahead_deg": seams.AHEAD_DEG,
    "doubled_m": seams.DOUBLED_M,
    "doubled_length_m": seams.DOUBLED_LENGTH_M,
    "on_street_m": seams.ON_STREET_M,
}

Texts = list[str | None]


class Lines(NamedTuple):
    """Segments and the streets that they are to cover, in one CRS; None where a table or a column is not given."""

    labels: list[str]
    segments: Objects
    kinds: Texts | None
    names: Texts | None
    streets: Objects | None
    classes: Texts | None

    def faults(self, ruler: Ruler, seam: float, ground: Any) -> list[Fault]:
        """As :func:`gridgis.plan.checking.seams.seam_faults`; rows are positions among the segments."""
        return seams.seam_faults(
            self.segments, self.streets, ruler, seam=seam, kinds=self.kinds, classes=self.classes, names=self.names,
            ground=ground,
        )  # fmt: skip


def lines_of(segments: gpd.GeoDataFrame, streets: gpd.GeoDataFrame | None, crs: pyproj.CRS) -> Lines:
    """Read both tables; they are projected where they are in another CRS.

    Raises
    ------
    SchemaError
        There are no segments.
    CRSError
        No CRS.
    """
    if len(segments) == 0:
        raise SchemaError("there are no segments to check", wanted="at least one row")
    codes = _column(segments, "code") or [None] * len(segments)
    labels = [f"row {row}" if code is None else code for row, code in enumerate(codes, 1)]
    own = _shapes(segments, crs, "segments")
    roads = None if streets is None else _shapes(streets, crs, "streets")
    classes = None if streets is None else _column(streets, "class")
    return Lines(labels, own, _column(segments, "kind"), _column(segments, "name"), roads, classes)


def _shapes(frame: gpd.GeoDataFrame, crs: pyproj.CRS, source: str) -> Objects:
    there = frame if require_crs(frame, source) == crs else frame.to_crs(crs)
    return np.asarray(there.geometry.array, dtype=object)


def _column(frame: gpd.GeoDataFrame, name: str) -> Texts | None:
    return codes_as_text(frame[name]).tolist() if name in frame.columns else None
