"""The same sums over more than memory holds, or more than one machine has: Dask over partitioned GeoParquet."""

from gridgis.scale.job import Report, assign_parts, list_parts
from gridgis.scale.lazy import assign_lazily

__all__ = ["Report", "assign_lazily", "assign_parts", "list_parts"]
