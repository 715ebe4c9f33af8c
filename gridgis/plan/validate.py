"""Do the grids tile the ground? Every defect with its place, size and codes, and one verdict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import geopandas as gpd
import numpy as np
import pyproj
import shapely

from gridgis.crs import require_crs
from gridgis.errors import InputError, SchemaError
from gridgis.plan.defects import as_records, defects_of
from gridgis.plan.polygons import Usable, ground_of, usable_polygons
from gridgis.plan.ruler import NOISE_M, Ruler, widths
from gridgis.plan.segments import parts_of
from gridgis.plan.tiling import Fault, Objects, tiling_faults
from gridgis.schema import DEFECT_KINDS, codes_as_text

#: A part of a grid is a sliver when it is narrower than this, in metres, …
SLIVER_M = 1.0
#: … and its area is less than this share of the disc with its perimeter (a strip 30 times as long as wide).
SLIVER_COMPACTNESS = 0.1


def validate(
    grids: gpd.GeoDataFrame,
    boundary: gpd.GeoDataFrame | None = None,
    *,
    code: str | None = "code",
    min_area: float = 1e-6,
    min_width: float = 0.0,
) -> gpd.GeoDataFrame:
    """Find every defect by which `grids` fail to tile `boundary`.

    Parameters
    ----------
    grids : GeoDataFrame
        Polygons with a CRS; rows may lack geometry or code (both are defects). Never changed.
    boundary : GeoDataFrame, optional
        The ground to be covered: all its rows together, of any number of parts, with holes; in another CRS its
        vertices are projected. Without it the ground is what the outer rings of the grids' own union enclose.
    code : str or None
        The column with each grid's code. None, or a missing column "code", numbers the rows from 1.
    min_area : float
        m². A defect is reported when its area exceeds it and
    min_width : float
        m, its width (twice the radius of the largest circle inside) exceeds this.

    Returns
    -------
    GeoDataFrame
        One row for each defect: kind, severity (error, warning), codes (tuple of str), area_m2, width_m, lon, lat (a
        point inside, WGS 84), message (Chinese / English) and geometry in the CRS of `grids`; errors first.
        Codes are sorted, but for `contained` (the inner grid first) and `unmatched_edge` (the grid that lacks the
        vertex first). ``.attrs`` holds "checked" (rows) and "parameters".

    Raises
    ------
    SchemaError
        No rows, or no column `code`.
    GeometryError
        Lines or points among the grids or in the boundary; a boundary without geometry.
    CRSError
        No CRS, or coordinates that cannot be what it says.
    InputError
        A tolerance that is negative or no number.

    Warns
    -----
    GridgisWarning
        If the boundary has invalid rings; they are mended for the comparison.

    Notes
    -----
    Matching runs in the coordinates as given, exactly; areas are measured in :func:`gridgis.crs.metric_crs`. Places
    within a micrometre are one (:data:`~gridgis.plan.ruler.NOISE_M`), so a vertex on a lon/lat edge is on it.
    The kinds: overlap, contained, duplicate (between grids); gap (enclosed by grids), uncovered (along the boundary),
    outside; invalid_ring, empty, duplicate_code, missing_code; and the warnings multipart, sliver (see
    :data:`SLIVER_M`) and unmatched_edge. A larger tolerance never reports a defect that a smaller one does not.
    A defect with no area (a vertex, a code) is reported whatever the tolerances are. Widths may come out up to 8 % low.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely import box
    >>> west, east = box(447000, 4427000, 447100, 4427100), box(447095, 4427000, 447200, 4427100)
    >>> grids = gpd.GeoDataFrame({"code": ["W", "E"]}, geometry=[west, east], crs="EPSG:4548")
    >>> validate(grids)[["kind", "severity", "codes", "area_m2", "width_m"]]
                 kind severity   codes  area_m2  width_m
    0         overlap    error  (E, W)    500.0      5.0
    1  unmatched_edge  warning  (E, W)      0.0      0.0
    2  unmatched_edge  warning  (W, E)      0.0      0.0
    """
    _check_tolerances(min_area=min_area, min_width=min_width)
    crs = require_crs(grids)
    if len(grids) == 0:
        raise SchemaError("there are no grids to check", wanted="at least one grid")
    known, labels = _codes(grids, code)
    shapes = usable_polygons(grids, labels)
    ground = None if boundary is None else ground_of(boundary, crs)
    ruler = _ruler(shapes.polygons, ground, crs)
    faults = [*shapes.faults, *_code_faults(grids, known, shapes)]
    if ruler is not None:
        faults += [
            Fault(f.kind, tuple(int(shapes.rows[row]) for row in f.rows), f.geometry)
            for f in tiling_faults(shapes.polygons, ground, ruler)
        ]
        faults += _part_faults(grids, shapes, ruler, min_area, min_width)
    defects = defects_of(faults, labels, ruler, min_area=min_area, min_width=min_width)
    if ruler is None:
        defects = defects.set_crs(crs)
    defects.attrs["checked"] = len(grids)
    defects.attrs["parameters"] = {
        "min_area_m2": float(min_area),
        "min_width_m": float(min_width),
        "code": code if known is not None else None,
        "boundary": "own outline" if boundary is None else "given",
        "noise_m": NOISE_M,
        "sliver_m": SLIVER_M,
        "sliver_compactness": SLIVER_COMPACTNESS,
        "measured_in": None if ruler is None else ruler.metric.to_string(),
    }
    return defects


def verdict(defects: gpd.GeoDataFrame, *, strict: bool = False) -> dict[str, Any]:
    """One verdict on the defects that :func:`validate` returned, ready for JSON.

    Parameters
    ----------
    defects : GeoDataFrame
    strict : bool
        Count warnings as errors.

    Returns
    -------
    dict
        valid, checked, counts (of the kinds that occur), levels, misfit, parameters, defects.

    Raises
    ------
    SchemaError
        If `defects` is not a result of :func:`validate`.
    """
    if "checked" not in defects.attrs or "parameters" not in defects.attrs:
        raise SchemaError(
            "the defects do not say what was checked",
            found="a table without attrs",
            wanted="the result of validate, as it was returned",
        )
    counts = defects["kind"].value_counts()
    failing = defects if strict else defects[defects["severity"] == "error"]
    return {
        "valid": len(failing) == 0,
        "checked": int(defects.attrs["checked"]),
        "counts": {kind: int(counts[kind]) for kind in DEFECT_KINDS if kind in counts},
        "levels": {},
        "misfit": [],
        "parameters": {**defects.attrs["parameters"], "strict": strict},
        "defects": as_records(defects),
    }


def _check_tolerances(**tolerances: float) -> None:
    for name, value in tolerances.items():
        if not (np.isfinite(value) and value >= 0):
            raise InputError(f"{name} must be a number ≥ 0", found=repr(value))


def _codes(grids: gpd.GeoDataFrame, code: str | None) -> tuple[list[str | None] | None, list[str]]:
    """The codes (None where rows are numbered), and what each row is called in defects."""
    if code is None or (code == "code" and code not in grids.columns):
        return None, [str(row) for row in range(1, len(grids) + 1)]
    if code not in grids.columns:
        raise SchemaError(f"there is no column {code!r}", found=f"the columns {', '.join(map(str, grids.columns))}")
    known: list[str | None] = codes_as_text(grids[code]).tolist()
    return known, [f"row {row}" if text is None else text for row, text in enumerate(known, 1)]


def _ruler(polygons: Objects, ground: Any, crs: pyproj.CRS) -> Ruler | None:
    """The ruler of the place, or None where nothing has geometry."""
    shapes = polygons if len(polygons) else [] if ground is None else [ground]
    return Ruler.of(gpd.GeoSeries(shapes, crs=crs)) if len(shapes) else None


def _code_faults(grids: gpd.GeoDataFrame, known: list[str | None] | None, shapes: Usable) -> Iterator[Fault]:
    """Rows without a code, and codes of several rows; placed at a point inside the grids that have geometry."""
    if known is None:
        return
    position = dict(zip(shapes.rows.tolist(), range(len(shapes.rows)), strict=True))

    def inside(rows: list[int]) -> list[Any]:
        there = [position[row] for row in rows if row in position]
        return list(shapely.point_on_surface(shapes.polygons[there]))

    rows_of: dict[str, list[int]] = {}
    for row, code in enumerate(known):
        if code is None:
            yield Fault("missing_code", (row,), next(iter(inside([row])), None))
        else:
            rows_of.setdefault(code, []).append(row)
    for rows in rows_of.values():
        if len(rows) > 1:
            points = inside(rows)
            yield Fault("duplicate_code", tuple(rows), shapely.MultiPoint(points) if points else None)


def _part_faults(
    grids: gpd.GeoDataFrame, shapes: Usable, ruler: Ruler, min_area: float, min_width: float
) -> Iterator[Fault]:
    """Grids of several parts (the tolerances hold for each part beside the largest), and slivers."""
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
    for i in np.flatnonzero((width < SLIVER_M) & (round_ < SLIVER_COMPACTNESS)):
        yield Fault("sliver", (int(shapes.rows[owner[i]]),), parts[i])
    # A ring that crosses itself falls into parts when it is mended: only what was given in parts counts here.
    given = shapely.get_num_geometries(np.asarray(grids.geometry.array, dtype=object)[shapes.rows])
    for grid in np.unique(owner[several[looked_at]]):
        own = np.flatnonzero(owner == grid)
        own = own[np.argsort(-area[own], kind="stable")][1:]
        extra = own[(area[own] > min_area) & (width[own] > min_width)]
        if given[grid] > 1 and len(extra):
            yield Fault("multipart", (int(shapes.rows[grid]),), shapely.MultiPolygon(list(parts[extra])))
