"""Do the grids tile the ground? Every defect with its place, size and codes, and one verdict for each level."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pyproj

from gridgis.crs import require_crs
from gridgis.errors import InputError, SchemaError
from gridgis.plan.checking.defects import as_records, defects_of
from gridgis.plan.checking.layers import SLIVER_COMPACTNESS, SLIVER_M, Layer, layer_of, row_faults
from gridgis.plan.checking.levels import nesting_faults, parent_column, read_levels
from gridgis.plan.checking.lines import SEAM_PARAMETERS, Lines, lines_of
from gridgis.plan.checking.overlays import INSET, misfit, overlay_faults
from gridgis.plan.checking.polygons import ground_of
from gridgis.plan.checking.ruler import NOISE_M, Ruler
from gridgis.plan.checking.seams import SEAM_M
from gridgis.plan.checking.tiling import INLET_COMPACTNESS, Fault, Matching, match, tiling_faults, union_of
from gridgis.schema import DEFECT_KINDS

#: What the grids and the segments are called where levels are told apart.
GRIDS, SEGMENTS = "grids", "segments"


class _Part(NamedTuple):
    """One verdict's share: the name of the level (or "child < parent"), how many rows were checked, their faults."""

    name: str
    checked: int
    faults: list[Fault]


class _Check(NamedTuple):
    """What every part of a check needs: the ground, the ruler (None where nothing has geometry) and the tolerances."""

    ground: Any
    holes: Any
    ruler: Ruler | None
    min_area: float
    min_width: float
    inlet_width: float


def validate(
    grids: gpd.GeoDataFrame,
    boundary: gpd.GeoDataFrame | None = None,
    parents: gpd.GeoDataFrame | Sequence[gpd.GeoDataFrame] | None = None,
    *,
    code: str | None = "code",
    parent: str | None = None,
    mode: str = "partition",
    base: gpd.GeoDataFrame | None = None,
    segments: gpd.GeoDataFrame | None = None,
    streets: gpd.GeoDataFrame | None = None,
    holes: gpd.GeoDataFrame | None = None,
    min_area: float = 1e-6,
    min_width: float = 0.0,
    inlet_width: float = 0.0,
    seam: float = SEAM_M,
    level_names: Sequence[str] | None = None,
) -> gpd.GeoDataFrame:
    """Find every defect by which `grids` fail to tile `boundary`, at every level.

    Parameters
    ----------
    grids : GeoDataFrame
        Polygons with a CRS; rows may lack geometry or code (both are defects). Never changed. Rows that a column `mode`
        calls "overlay" (dedicated grids inside a basic one) are not part of the partition: they are checked for what
        lies beyond it, and their misfit with the others is told.
    boundary : GeoDataFrame, optional
        The ground to be covered, at every level: all its rows together, of any number of parts, with holes; in another
        CRS its vertices are projected. Without it the ground of a level is the union of the level above; that of the
        highest one is what the outer rings of its own union enclose.
    parents : GeoDataFrame or sequence of them, optional
        The levels above, from the next one upwards; a table with a column `level` (numbers) may hold several, of which
        the largest number is the lowest level. Rows are named by the column `code` if it is there, else by "code", else
        by the column `parent` names.
    code : str or None
        The column with each grid's code. None, or a missing column "code", numbers the rows from 1.
    parent : str, optional
        The column in which children name their parent; by default "parent" where it is filled in. Without one, see
        :func:`gridgis.plan.checking.levels.nesting_faults`.
    mode : {"partition", "overlay"}
        Overlay: the areas may overlap each other; what they leave out of the ground (`boundary`, else the union of
        `base`), and what they have beyond it, is reported.
    base : GeoDataFrame, optional
        The grids under an overlay, for the misfit table. Invalid rows are mended for it, empty ones left out.
    segments, streets : GeoDataFrame, optional
        Lines, see :func:`gridgis.plan.checking.seams.seam_faults`: segments by code, kind and name; streets by class.
    holes : GeoDataFrame, optional
        Ground that nobody has to cover (a lake, an enclave): missing ground is reported only beyond it.
    min_area : float
        m². A defect is reported when its area exceeds it and
    min_width : float
        m, its width (twice the radius of the largest circle inside) exceeds this.
    inlet_width : float
        m; 0 is off. Where a level has no ground given, a strip between grids that is open to the outside, narrower than
        this, longer than this and elongated, is a gap.
    seam : float
        m. Ends of segments that are nearer than this meet.
    level_names : sequence of str, optional
        One for each level above the grids, which are "grids"; by default "level N" or "parents N".

    Returns
    -------
    GeoDataFrame
        One row for each defect: kind, severity (error, warning), codes (tuple of str), area_m2, width_m, lon, lat (a
        point inside, WGS 84), message (Chinese / English), with parents the level, and geometry in the CRS of `grids`;
        errors first. Codes are sorted, but for `contained` (the inner grid first), `unmatched_edge` (the grid that
        lacks the vertex first) and `nesting` (the child, its own parent, the parent whose ground it takes).
        ``.attrs`` holds "checked" (rows of `grids`), "parameters", "levels" (of each level, and of each pair as
        "child < parent": valid, checked, counts) and "misfit" (see :func:`gridgis.plan.checking.overlays.misfit`).

    Raises
    ------
    SchemaError
        A table without rows or without the column that names them; a mode or level that cannot be read.
    GeometryError
        Lines or points among polygons, polygons among lines; a boundary without geometry.
    CRSError
        No CRS, or coordinates that cannot be what it says.
    InputError
        A tolerance that is negative or no number; arguments that do not go together.

    Warns
    -----
    GridgisWarning
        If the boundary or the holes have invalid rings; they are mended for the comparison.

    Notes
    -----
    Matching runs in the coordinates as given, exactly; areas are measured in :func:`gridgis.crs.metric_crs`. Places
    within a micrometre are one (:data:`~gridgis.plan.checking.ruler.NOISE_M`), so a vertex on a lon/lat edge is on it.
    The kinds: overlap, contained, duplicate (between grids); gap (enclosed by grids), uncovered (along the boundary),
    outside; invalid_ring, empty, duplicate_code, missing_code, nesting; and the warnings multipart, sliver (see
    :data:`~gridgis.plan.checking.layers.SLIVER_M`) and unmatched_edge. A larger tolerance never reports a defect that a
    smaller one does not. A defect with no area (a vertex, a code, a seam) is reported whatever the tolerances are.
    Widths may come out up to 8 % low.

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

    The same grids in two communities, one of which the eastern grid reaches out of:

    >>> halves = [box(447000, 4427000, 447100, 4427100), box(447100, 4427000, 447200, 4427100)]
    >>> units = gpd.GeoDataFrame({"code": ["A", "B"]}, geometry=halves, crs="EPSG:4548")
    >>> found = validate(grids.assign(parent=["A", "B"]), parents=units)
    >>> found.loc[found["kind"] == "nesting", ["codes", "area_m2", "level"]]
           codes  area_m2              level
    1  (E, B, A)    500.0  grids < parents 1
    >>> {name: level["valid"] for name, level in found.attrs["levels"].items()}
    {'grids': False, 'grids < parents 1': False, 'parents 1': True}
    """
    _check_tolerances(min_area=min_area, min_width=min_width, inlet_width=inlet_width, seam=seam)
    _check_together(mode, boundary, parents, base, segments, streets)
    crs = require_crs(grids, GRIDS)
    layers = _layers(grids, parents, crs, code, parent, level_names)
    under = None if base is None else layer_of(base, crs, code if code in base.columns else "code", "base")
    lines = None if segments is None else lines_of(segments, streets, crs)
    ground = None if boundary is None else ground_of(boundary, crs)
    known = None if holes is None else ground_of(holes, crs, "holes")
    polygons = [layer.shapes.polygons for layer in layers]
    ruler = _ruler([*polygons, [] if ground is None else [ground]], crs)
    check = _Check(ground, known, ruler, min_area, min_width, inlet_width)
    parts = [_overlay(layers[0], under, check)] if mode == "overlay" else _partition(layers, check, parent)
    labels = [label for layer in layers for label in layer.labels]
    if lines is not None:
        parts.append(_seams(lines, check, seam, layers[0], len(labels)))
        labels += lines.labels
    faults = [fault for part in parts for fault in part.faults]
    named = None if parents is None else [part.name for part in parts for _ in part.faults]
    defects = defects_of(faults, labels, ruler, min_area=min_area, min_width=min_width, levels=named)
    if ruler is None:
        defects = defects.set_crs(crs)
    defects.attrs["checked"] = len(grids)
    defects.attrs["levels"] = {}
    if parents is not None:
        defects.attrs["levels"] = _by_level(defects, {part.name: part.checked for part in parts})
    defects.attrs["misfit"] = _misfit(layers[0], under, ruler, mode)
    defects.attrs["parameters"] = {
        **_parameters(check, mode, code, layers, under, parent),
        **({} if lines is None else {"seam_m": float(seam), **SEAM_PARAMETERS}),
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
        valid, checked, counts (of the kinds that occur), levels (the same of each level and each pair of levels, where
        parents were given), misfit, parameters, defects.

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
    checked = {name: level["checked"] for name, level in defects.attrs.get("levels", {}).items()}
    return {
        **_summary(defects, int(defects.attrs["checked"]), strict),
        "levels": _by_level(defects, checked, strict) if checked else {},
        "misfit": list(defects.attrs.get("misfit", [])),
        "parameters": {**defects.attrs["parameters"], "strict": strict},
        "defects": as_records(defects),
    }


def _summary(defects: gpd.GeoDataFrame, checked: int, strict: bool) -> dict[str, Any]:
    counts = defects["kind"].value_counts()
    failing = defects if strict else defects[defects["severity"] == "error"]
    return {
        "valid": len(failing) == 0,
        "checked": checked,
        "counts": {kind: int(counts[kind]) for kind in DEFECT_KINDS if kind in counts},
    }


def _by_level(defects: gpd.GeoDataFrame, checked: dict[str, int], strict: bool = False) -> dict[str, dict[str, Any]]:
    return {name: _summary(defects[defects["level"] == name], rows, strict) for name, rows in checked.items()}


# --- arguments --------------------------------------------------------------------------------------------------------


def _check_tolerances(**tolerances: float) -> None:
    for name, value in tolerances.items():
        if not (np.isfinite(value) and value >= 0):
            raise InputError(f"{name} must be a number ≥ 0", found=repr(value))


def _check_together(mode: str, boundary: Any, parents: Any, base: Any, segments: Any, streets: Any) -> None:
    """Raise where arguments do not go together."""
    if mode not in ("partition", "overlay"):
        raise InputError("the mode is unknown", found=repr(mode), wanted="partition or overlay")
    if mode == "overlay" and base is None and boundary is None:
        raise InputError(
            "an overlay needs ground to be checked against", found="neither base nor boundary", wanted="base, the "
            "grids that it lies over, or a boundary",
        )  # fmt: skip
    if mode == "overlay" and parents is not None:
        raise InputError("an overlay has no levels", found="parents", remedy="Leave them out, or check a partition.")
    if mode == "partition" and base is not None:
        raise InputError("base is for an overlay", found="mode partition", remedy="Set the mode to overlay.")
    if streets is not None and segments is None:
        raise InputError("streets are for segments", found="streets alone", wanted="the segments that cover them")


def _layers(
    grids: gpd.GeoDataFrame, parents: Any, crs: pyproj.CRS, code: str | None, parent: str | None, names: Any
) -> list[Layer]:
    """The grids and the levels above them, the lowest first."""
    lowest = layer_of(grids, crs, code, GRIDS)
    if parents is None:
        return [lowest]
    if parent is not None:
        parent_column(lowest.frame, parent, lowest=True)
    layers = [lowest, *read_levels(parents, crs, code=code, parent=parent, names=names, first=len(grids))]
    called = [layer.name for layer in layers] + [SEGMENTS]
    if len(set(called)) < len(called):
        raise InputError("two levels have one name", found=", ".join(called), wanted="a name of its own for each")
    return layers


def _ruler(polygons: Sequence[Any], crs: pyproj.CRS) -> Ruler | None:
    """The ruler of the place, or None where nothing has geometry."""
    shapes = next((some for some in polygons if len(some)), None)
    return None if shapes is None else Ruler.of(gpd.GeoSeries(shapes, crs=crs))


def _parameters(
    check: _Check, mode: str, code: str | None, layers: list[Layer], under: Layer | None, parent: str | None
) -> dict[str, Any]:
    """Every threshold and every choice that the result depends on."""
    own = "the level above; the highest one's own outline" if len(layers) > 1 else "own outline"
    ground = "given" if check.ground is not None else own if under is None else "base"
    found: dict[str, Any] = {
        "min_area_m2": float(check.min_area),
        "min_width_m": float(check.min_width),
        "inlet_width_m": float(check.inlet_width),
        "mode": mode,
        "code": code if layers[0].known is not None else None,
        "boundary": ground,
        "holes": None if check.holes is None else "given",
        "noise_m": NOISE_M,
        "sliver_m": SLIVER_M,
        "sliver_compactness": SLIVER_COMPACTNESS,
        "inlet_compactness": INLET_COMPACTNESS,
        "measured_in": None if check.ruler is None else check.ruler.metric.to_string(),
    }
    if len(layers) > 1:
        columns = {_pair(c, a): parent_column(c.frame, parent, c is layers[0]) for c, a in pairwise(layers)}
        found["parents"] = {name: "by code, else most ground" if c is None else c for name, c in columns.items()}
    return found


# --- partition --------------------------------------------------------------------------------------------------------


def _pair(child: Layer, above: Layer) -> str:
    return f"{child.name} < {above.name}"


def _partition(layers: list[Layer], check: _Check, parent: str | None) -> list[_Part]:
    """Each level by itself, and each with the one above."""
    parts = []
    for number, layer in enumerate(layers):
        above = layers[number + 1] if number + 1 < len(layers) else None
        ground = check.ground
        if ground is None and above is not None and check.ruler is not None and len(above.shapes.rows):
            ground = union_of(above.shapes.polygons[~above.overlay_rows()], check.ruler)
        faults, matching = _tiling(layer, ground, check)
        parts.append(_Part(layer.name, len(layer.labels), faults))
        if above is not None and check.ruler is not None:
            column = parent_column(layer.frame, parent, number == 0)
            nested = nesting_faults(layer, above, check.ruler, column=column, matching=matching)
            parts.append(_Part(_pair(layer, above), len(layer.labels), nested))
    return parts


def _tiling(layer: Layer, ground: Any, check: _Check) -> tuple[list[Fault], Matching | None]:
    """The faults of one level, and the matching of its polygons where that was of all of them."""
    faults = row_faults(layer, check.ruler, check.min_area, check.min_width)
    inset = layer.overlay_rows()
    if check.ruler is None:
        return faults, None
    polygons = layer.shapes.polygons
    if inset.all() and len(inset):
        raise SchemaError(
            "every row is an overlay", source=layer.name, wanted="rows of the partition", remedy="Check them as one, "
            "with mode overlay and the grids as base.",
        )  # fmt: skip
    tiles = polygons[~inset]
    matching = match(tiles, ground) if len(tiles) else None
    found = tiling_faults(
        tiles, ground, check.ruler, holes=check.holes, inlet_width=check.inlet_width, matching=matching
    )
    faults += layer.placed(found, ~inset)
    if not inset.any():
        return faults, matching
    over = union_of(tiles, check.ruler) if ground is None else ground
    found = overlay_faults(polygons[inset], over, check.ruler, kinds=INSET)
    return faults + layer.placed(found, inset), None


# --- overlays and segments --------------------------------------------------------------------------------------------


def _overlay(layer: Layer, under: Layer | None, check: _Check) -> _Part:
    """What an overlay claims and does not cover."""
    faults = row_faults(layer, check.ruler, check.min_area, check.min_width)
    ground = check.ground
    if check.ruler is not None:
        if ground is None and under is not None and len(under.shapes.rows):
            ground = union_of(under.shapes.polygons, check.ruler)
        found = overlay_faults(layer.shapes.polygons, ground, check.ruler, holes=check.holes)
        faults += layer.placed(found)
    return _Part(layer.name, len(layer.labels), faults)


def _misfit(layer: Layer, under: Layer | None, ruler: Ruler | None, mode: str) -> list[dict[str, Any]]:
    """The misfit table of an overlay and its base, or of the dedicated grids and those that they lie in."""
    if ruler is None or (mode == "overlay" and under is None):
        return []
    if mode == "overlay" and under is not None:
        return misfit(layer, under, ruler)
    inset = layer.overlay_rows()
    return misfit(layer, layer, ruler, rows=inset, base_rows=~inset, whole=False) if inset.any() else []


def _seams(lines: Lines, check: _Check, seam: float, grids: Layer, first: int) -> _Part:
    """Breaks, doubled stretches and streets without a segment; streets count inside the ground, else the grids."""
    ruler = check.ruler
    faults: list[Fault] = []
    if ruler is not None:
        ground = check.ground
        if ground is None and lines.streets is not None:
            ground = union_of(grids.shapes.polygons, ruler)
        faults = lines.faults(ruler, seam, ground)
    placed = [fault._replace(rows=tuple(row + first for row in fault.rows)) for fault in faults]
    return _Part(SEGMENTS, len(lines.labels), placed)
