"""Tables as GeoJSON (RFC 7946), and what of them the public may see.

Everything here denies by default: a column that is not named does not leave the house.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gridgis import crs
from gridgis.errors import InputError, SchemaError
from gridgis.profile import Parameters
from gridgis.schema import ids_of

#: How many colours neighbours are told apart by; more are used only where six do not do.
COLOURS = 6
#: What the public sees of a grid, besides its shape.
PUBLIC_COLUMNS = ("code", "name", "kind", "parent", "bounds_text", "households", "estimated", "colour")

_DEGREE_M = 111_320.0
# Columns kept, and how far a drawn line may lie off, in metres.
_CONTEXT: dict[str, tuple[tuple[str, ...], float]] = {
    "barrier": (("class", "name"), 1.0),
    "water": (("name",), 2.0),
    "building": ((), 0.5),
}


def feature_collection(
    frame: gpd.GeoDataFrame, properties: Sequence[str], *, key: str | None = "code", decimals: int = 7
) -> dict[str, Any]:
    """A frame as a GeoJSON FeatureCollection: a dict that :func:`json.dumps` takes as it is.

    Parameters
    ----------
    frame : GeoDataFrame
        Any CRS; the coordinates come out in WGS 84, longitude before latitude.
    properties : sequence of str
        The columns that are published; no other is.
    key : str or None, default "code"
        The column with the features' ids; None: no ids.
    decimals : int, default 7
        Decimals of a degree, 0 to 15; 7 is about a centimetre.

    Returns
    -------
    dict
        Outer rings counter-clockwise, inner ones clockwise, no ``crs`` member. Missing values and numbers that are
        not finite are null, as is geometry that vanishes by rounding.

    Raises
    ------
    SchemaError
        A named column does not exist, or an id is missing or doubled.
    CRSError
        The frame has no CRS.

    Notes
    -----
    Each vertex is rounded by itself, so a vertex that two shapes share is the same in both: a tiling whose
    neighbours share all their vertices stays one. Not promised: that a vertex of one that lies *on* an edge of the
    other stays on it, or that a shape narrower than the rounding stays valid.

    References
    ----------
    RFC 7946, The GeoJSON Format, sections 3.1.6, 4 and 11.2.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> grids = gpd.GeoDataFrame(
    ...     {"code": ["G1"], "phone": ["0"]}, geometry=[shapely.box(116.3, 40, 116.4, 40.1)], crs=4326
    ... )
    >>> feature_collection(grids, ["code"], decimals=2)["features"][0]
    {'type': 'Feature', 'id': 'G1', 'properties': {'code': 'G1'},
     'geometry': {'type': 'Polygon', 'coordinates': [[[116.4, 40.0], [116.4, 40.1], [116.3, 40.1], [116.3, 40.0],
     [116.4, 40.0]]]}}
    """
    missing = [name for name in properties if name not in frame.columns]
    if missing or (key is not None and key not in frame.columns):
        raise SchemaError(
            "a column to publish does not exist",
            found=", ".join(map(str, frame.columns)),
            wanted=", ".join([*missing, *([key] if key and key not in frame.columns else [])]),
        )
    columns = {name: [_plain(value) for value in frame[name].tolist()] for name in properties}
    shapes = _rounded(crs.project(frame.geometry.to_numpy(), crs.require_crs(frame), crs.WGS84), decimals)
    ids = [{}] * len(frame) if key is None else [{"id": i} for i in _ids(frame, key)]
    features = [
        {
            "type": "Feature",
            **ids[row],
            "properties": {name: values[row] for name, values in columns.items()},
            "geometry": None if shape is None else _lists(shapely.geometry.mapping(shape)),
        }
        for row, shape in enumerate(shapes)
    ]
    return {"type": "FeatureCollection", "features": features}


def public_grids(grids: gpd.GeoDataFrame, *, small_count: float = Parameters.small_count) -> gpd.GeoDataFrame:
    """What the public may see of the grids, and a colour for each.

    Parameters
    ----------
    grids : GeoDataFrame
    small_count : float, default 5
        Households below this number are not told.

    Returns
    -------
    GeoDataFrame
        The same rows, index and CRS, with :data:`PUBLIC_COLUMNS` only: `households` (Int64, missing where few or
        unknown), `estimated` (bool: some of the households told are estimates), `colour` (int, 0 to 5; neighbours
        differ; more only where six do not do). ``attrs["parameters"]`` says what `small_count` was.

    Notes
    -----
    Not promised: that a hidden number cannot be had by taking the others from a total published elsewhere.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> grids = gpd.GeoDataFrame(
    ...     {"code": ["A", "B"], "households": [300, 3], "persons": [900, 8]},
    ...     geometry=[shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)], crs=4326,
    ... )
    >>> public_grids(grids)[["code", "households", "estimated", "colour"]]
      code  households  estimated  colour
    0    A         300      False       0
    1    B        <NA>      False       1
    """
    out = gpd.GeoDataFrame(geometry=grids.geometry.array, index=grids.index, crs=grids.crs)
    for name in ("code", "name", "kind", "parent", "bounds_text"):
        values = grids[name].astype(object) if name in grids.columns else pd.Series(None, grids.index, dtype=object)
        out[name] = values.where(values.notna(), None)
    households = _counts(grids, "households")
    told = (households >= small_count).fillna(False).astype(bool)
    out["households"] = households.where(told)
    out["estimated"] = told & (_counts(grids, "estimated").fillna(0) > 0).astype(bool)
    out["colour"] = _colours(grids.geometry.to_numpy(), out["code"].tolist())
    out = out[[*PUBLIC_COLUMNS, "geometry"]]
    out.attrs["parameters"] = {"small_count": small_count}
    return out


def context(frame: gpd.GeoDataFrame, kind: Literal["barrier", "water", "building"]) -> gpd.GeoDataFrame:
    """Barriers, water or buildings as a map shows them behind the grids: simplified, without what nobody asks for.

    Parameters
    ----------
    frame : GeoDataFrame
        Any CRS.
    kind : {"barrier", "water", "building"}
        Barriers keep class and name, water its name; of buildings only the shape is kept: no address, no count.

    Returns
    -------
    GeoDataFrame
        In WGS 84, 6 decimals (0.1 m), simplified by at most 1 m (barriers), 2 m (water) or 0.5 m (buildings); rows
        without geometry, or whose shape vanishes, are left out. For drawing only: never measure or look up in it.
    """
    if kind not in _CONTEXT:
        raise InputError("no such context", found=repr(kind), wanted=", ".join(_CONTEXT))
    names, tolerance = _CONTEXT[kind]
    shapes = crs.project(frame.geometry.to_numpy(), crs.require_crs(frame), crs.WGS84)
    # A degree of longitude is shorter than one of latitude, so this errs on the side of detail.
    shapes = _rounded(shapely.simplify(shapes, tolerance / _DEGREE_M), 6)
    kept = np.array([shape is not None for shape in shapes], dtype=bool)
    out = gpd.GeoDataFrame(geometry=shapes[kept], crs=crs.WGS84)
    for name in names:
        values = frame[name].to_numpy(dtype=object)[kept] if name in frame.columns else None
        out.insert(len(out.columns) - 1, name, pd.Series(values, index=out.index, dtype=object))
        out[name] = out[name].where(out[name].notna(), None)
    return out


def _counts(grids: gpd.GeoDataFrame, name: str) -> pd.Series:
    if name not in grids.columns:
        return pd.Series(pd.NA, index=grids.index, dtype="Int64")
    return pd.to_numeric(grids[name]).astype("Float64").round().astype("Int64")


def _ids(frame: gpd.GeoDataFrame, key: str) -> list[str]:
    values = frame[key]
    wrong = (values.isna() | values.duplicated(keep=False)).to_numpy()
    if wrong.any():
        raise SchemaError(
            f"features need a {key} each, and each another",
            ids=ids_of(frame, wrong, key),
            remedy="Run gridgis validate: it lists missing and doubled codes.",
        )
    return [str(value) for value in values]


def _plain(value: Any) -> Any:
    """A value as JSON says it."""
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str | bool) or value is None:
        return value
    if pd.isna(value):
        return None
    if isinstance(value, date | pd.Timestamp):
        return value.isoformat()
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return str(value)


def _rounded(shapes: Any, decimals: int) -> NDArray[np.object_]:
    """Shapes with rounded coordinates, rings wound as RFC 7946 has it; None for what is empty or vanishes."""
    out: NDArray[np.object_] = np.asarray(shapely.force_2d(shapes), dtype=object)
    # Adding 0.0 makes -0.0 a plain zero.
    out = shapely.transform(out, lambda xy: np.round(xy, decimals) + 0.0)
    kind = shapely.get_type_id(out)
    polygonal, linear = np.isin(kind, (3, 6)), np.isin(kind, (1, 2, 5))
    out[polygonal] = [_without_flat_rings(shape) for shape in out[polygonal]]
    out[linear] = [_without_flat_lines(shape) for shape in out[linear]]
    # Two equal vertices in a row become one, the same in each shape.
    out[polygonal | linear] = shapely.remove_repeated_points(out[polygonal | linear])
    out[shapely.is_missing(out) | shapely.is_empty(out)] = None
    return out


def _without_flat_lines(shape: Any) -> Any:
    """A line (also of a ring) without parts that rounding made points; None if nothing is left."""
    parts = shapely.get_parts(shape)
    parts = [shapely.LineString(line.coords) for line in parts[shapely.length(parts) > 0]]
    if not parts:
        return None
    return parts[0] if shapely.get_type_id(shape) != 5 else shapely.multilinestrings(parts)


def _without_flat_rings(shape: Any) -> Any:
    """A polygon without rings that rounding made flat, wound counter-clockwise; None if nothing is left."""
    parts = []
    for polygon in shapely.get_parts(shape):
        rings = shapely.get_rings(polygon)
        full = shapely.area(shapely.polygons(rings)) > 0 if len(rings) else np.zeros(0, bool)
        if len(rings) and full[0]:
            parts.append(shapely.Polygon(rings[0], list(rings[1:][full[1:]])))
    if not parts:
        return None
    whole = parts[0] if shapely.get_type_id(shape) == 3 else shapely.multipolygons(parts)
    return shapely.orient_polygons(whole, exterior_cw=False)


def _lists(value: Any) -> Any:
    """What `mapping` gives, with lists for tuples."""
    if isinstance(value, dict):
        return {k: _lists(v) for k, v in value.items()}
    return [_lists(v) for v in value] if isinstance(value, list | tuple) else value


def _colours(shapes: NDArray[np.object_], codes: list[Any]) -> NDArray[np.int64]:
    """A colour for each shape, other than its neighbours': last the shapes with the fewest neighbours.

    In that order each shape meets at most five coloured neighbours where neighbours share a stretch of border, so
    six colours do (Matula and Beck, 1983, smallest-last ordering); where many shapes meet in one point more may be
    needed. Of the colours that are free, the one used least is taken.
    """
    tree = shapely.STRtree(shapes)
    left, right = tree.query(shapes, predicate="intersects")
    neighbours: list[set[int]] = [set() for _ in shapes]
    for a, b in zip(left.tolist(), right.tolist(), strict=True):
        if a != b:
            neighbours[a].add(b)
            neighbours[b].add(a)
    rank = {row: place for place, row in enumerate(sorted(range(len(shapes)), key=lambda r: str(codes[r])))}
    waiting = {row: set(near) for row, near in enumerate(neighbours)}
    order = []
    while waiting:
        row = min(waiting, key=lambda r: (len(waiting[r]), -rank[r]))
        for near in waiting.pop(row):
            waiting[near].discard(row)
        order.append(row)
    colours = np.full(len(shapes), -1, dtype=np.int64)
    used = [0] * COLOURS
    for row in reversed(order):
        taken = {int(colours[near]) for near in neighbours[row]}
        free = [c for c in range(len(used)) if c not in taken]
        if not free:
            free = [len(used)]
            used.append(0)
        colour = min(free, key=lambda c: (used[c], c))
        colours[row] = colour
        used[colour] += 1
    return colours
