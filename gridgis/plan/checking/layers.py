"""One table under check: its rows' codes and usable polygons, and the faults that a row has by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pyproj
import shapely

from gridgis.crs import require_crs
from gridgis.errors import SchemaError
from gridgis.plan.checking.polygons import Usable, usable_polygons
from gridgis.plan.checking.ruler import Bools, Ruler, widths
from gridgis.plan.checking.segments import parts_of
from gridgis.plan.checking.tiling import Fault
from gridgis.schema import codes_as_text, ids_of

#: A part of a grid is a sliver when it is narrower than this, in metres, …
SLIVER_M = 1.0
#: … and its area is less than this share of the disc with its perimeter (a strip 30 times as long as wide).
SLIVER_COMPACTNESS = 0.1

_MODES = ("partition", "overlay")


class Layer(NamedTuple):
    """A table of polygons in the CRS of the check.

    Attributes
    ----------
    name : str
        What it is called in verdicts and messages.
    frame : GeoDataFrame
    known : list of str or None, or None
        The codes; None where rows are numbered.
    labels : list of str
        What each row is called in defects.
    shapes : Usable
    first : int
        The position of its first row among the rows of all tables under check.
    """

    name: str
    frame: gpd.GeoDataFrame
    known: list[str | None] | None
    labels: list[str]
    shapes: Usable
    first: int

    def placed(self, faults: list[Fault], chosen: Any = None) -> list[Fault]:
        """Faults whose rows are positions among the usable rows (`chosen` of them), as rows of all tables."""
        rows = self.shapes.rows if chosen is None else self.shapes.rows[chosen]
        row = (rows + self.first).tolist()
        return [fault._replace(rows=tuple(row[r] for r in fault.rows)) for fault in faults]

    def overlay_rows(self) -> Bools:
        """Which usable rows the column `mode` takes out of the partition.

        Raises
        ------
        SchemaError
            A mode that is neither partition nor overlay.
        """
        if "mode" not in self.frame.columns:
            return np.zeros(len(self.shapes.rows), dtype=bool)
        modes = codes_as_text(self.frame["mode"])
        wrong = (modes.notna() & ~modes.isin(_MODES)).to_numpy()
        if wrong.any():
            raise SchemaError(
                "the column 'mode' has values that cannot be used",
                source=self.name,
                ids=ids_of(self.frame, wrong, None),
                found=", ".join(sorted({repr(mode) for mode in modes[wrong]})[:3]),
                wanted="partition or overlay",
                remedy="Rename the column if it means something else.",
            )
        chosen: Bools = (modes == "overlay").to_numpy()[self.shapes.rows]
        return chosen


def layer_of(frame: gpd.GeoDataFrame, crs: pyproj.CRS, code: str | None, name: str, first: int = 0) -> Layer:
    """Read a table: its codes, and its polygons in `crs`.

    Raises
    ------
    SchemaError
        No rows, or no column `code`.
    CRSError, GeometryError
        No CRS; lines or points among the rows.
    """
    own = require_crs(frame, name)
    if len(frame) == 0:
        raise SchemaError("there are no grids to check", source=name, wanted="at least one row")
    known, labels = _codes(frame, code)
    frame = frame if own == crs else frame.to_crs(crs)
    return Layer(name, frame, known, labels, usable_polygons(frame, labels, name), first)


def _codes(frame: gpd.GeoDataFrame, code: str | None) -> tuple[list[str | None] | None, list[str]]:
    """The codes (None where rows are numbered), and what each row is called in defects."""
    if code is None or (code == "code" and code not in frame.columns):
        return None, [str(row) for row in range(1, len(frame) + 1)]
    if code not in frame.columns:
        raise SchemaError(f"there is no column {code!r}", found=f"the columns {', '.join(map(str, frame.columns))}")
    known: list[str | None] = codes_as_text(frame[code]).tolist()
    return known, [f"row {row}" if text is None else text for row, text in enumerate(known, 1)]


def row_faults(layer: Layer, ruler: Ruler | None, min_area: float, min_width: float) -> list[Fault]:
    """What is wrong with rows by themselves: geometry that is empty or invalid, codes, parts and slivers."""
    faults = [*layer.shapes.faults, *_code_faults(layer)]
    if ruler is not None:
        faults += _part_faults(layer, ruler, min_area, min_width)
    return [fault._replace(rows=tuple(row + layer.first for row in fault.rows)) for fault in faults]


def _code_faults(layer: Layer) -> Iterator[Fault]:
    """Rows without a code, and codes of several rows; placed at a point inside the grids that have geometry."""
    if layer.known is None:
        return
    shapes = layer.shapes
    position = dict(zip(shapes.rows.tolist(), range(len(shapes.rows)), strict=True))

    def inside(rows: list[int]) -> list[Any]:
        there = [position[row] for row in rows if row in position]
        return list(shapely.point_on_surface(shapes.polygons[there]))

    rows_of: dict[str, list[int]] = {}
    for row, code in enumerate(layer.known):
        if code is None:
            yield Fault("missing_code", (row,), next(iter(inside([row])), None))
        else:
            rows_of.setdefault(code, []).append(row)
    for rows in rows_of.values():
        if len(rows) > 1:
            points = inside(rows)
            yield Fault("duplicate_code", tuple(rows), shapely.MultiPoint(points) if points else None)


def _part_faults(layer: Layer, ruler: Ruler, min_area: float, min_width: float) -> Iterator[Fault]:
    """Grids of several parts (the tolerances hold for each part beside the largest), and slivers."""
    shapes = layer.shapes
    parts, owner = parts_of(shapes.polygons)
    several = np.bincount(owner)[owner] > 1
    # The bound errs by the ratio of a degree of longitude to one of latitude, and only upwards in what it lets through.
    least = 2 * shapely.area(parts) * min(ruler.unit_m)
    thin = least < SLIVER_M * shapely.length(parts)
    looked_at = np.flatnonzero(several | thin)
    there = ruler.metres(parts[looked_at])
    area, width = shapely.area(there), widths(there)
    round_ = np.divide(4 * np.pi * area, shapely.length(there) ** 2, out=np.ones(len(area)), where=area > 0)
    owner = owner[looked_at]
    parts = parts[looked_at]
    # A ring that crosses itself falls into parts when it is mended: only what was given in parts counts here.
    given = shapely.get_num_geometries(np.asarray(layer.frame.geometry.array, dtype=object)[shapes.rows])
    own_part = (given[owner] > 1) | ~several[looked_at]
    for i in np.flatnonzero((width < SLIVER_M) & (round_ < SLIVER_COMPACTNESS) & own_part):
        yield Fault("sliver", (int(shapes.rows[owner[i]]),), parts[i])
    for grid in np.unique(owner[several[looked_at]]).tolist():
        own = np.arange(*np.searchsorted(owner, [grid, grid + 1]))  # parts come in the order of their owners
        own = own[np.argsort(-area[own], kind="stable")][1:]
        extra = own[(area[own] > min_area) & (width[own] > min_width)]
        if given[grid] > 1 and len(extra):
            yield Fault("multipart", (int(shapes.rows[grid]),), shapely.MultiPolygon(list(parts[extra])))
