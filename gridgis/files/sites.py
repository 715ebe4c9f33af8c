"""Sites and care addresses out of several files: a layer of places, and a list of houses to be called at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import pandas as pd

from gridgis.crs import WGS84
from gridgis.errors import SchemaError
from gridgis.files.vectors import read


def read_sites(specs: Sequence[str], **how: Any) -> pd.DataFrame:
    """The rows of several tables of sites, one after the other, in WGS 84; their codes are unique over all.

    Parameters
    ----------
    specs : sequence of str
        At least one, as of :func:`gridgis.files.read`.
    **how
        crs, datum: of :func:`gridgis.files.read`.

    Raises
    ------
    SchemaError
        If two files have a code in common; and what ``read`` raises.
    """
    frames = [read(spec, table="site", **how) for spec in specs]
    placed = [f for f in frames if isinstance(f, gpd.GeoDataFrame) and f.active_geometry_name]
    plain = [pd.DataFrame(f) for f in frames if not (isinstance(f, gpd.GeoDataFrame) and f.active_geometry_name)]
    # An active geometry of another name would be a second column of places.
    placed = [f if f.geometry.name == "geometry" else f.rename_geometry("geometry") for f in placed]
    placed = [f.to_crs(WGS84) for f in placed]
    out = pd.concat([*placed, *plain], ignore_index=True)
    doubled = sorted(set(out["code"][out["code"].duplicated()]))
    if doubled:
        raise SchemaError("two files of sites have a code in common", source=", ".join(specs), ids=doubled)
    return gpd.GeoDataFrame(out, geometry="geometry", crs=WGS84) if placed else out
