"""Boundary, units and barriers (and who lives there) to blocks: the pieces of ground that grids are made of."""

from __future__ import annotations

import warnings
from dataclasses import asdict
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from gridgis import crs as crs_
from gridgis.errors import GridgisWarning, InputError
from gridgis.plan.faces import network
from gridgis.plan.faces.carry import join
from gridgis.plan.faces.estates import inside_estates, read_estates, too_large
from gridgis.plan.faces.folding import Limits, Rims, faces_in_units, fold_faces
from gridgis.plan.faces.network import Bools, Floats, Ints, Lines, Shapes
from gridgis.plan.faces.water import in_water, wide_water, with_shores
from gridgis.plan.loads import compounds_of, count_loads, nobody_in
from gridgis.plan.reading_order import reading_order
from gridgis.plan.units import ground_units
from gridgis.profile import Norm
from gridgis.schema import BARRIER_CLASSES

#: Barriers keep 5 cm from outlines until they are carried there: what is nearer, metres, is outline.
_ON_OUTLINE_M = 1e-3

_COLUMNS = (
    "code", "unit", "households", "persons", "buildings", "compound_kind", "compound", "estimated", "geometry",
)  # fmt: skip


class Blocks(NamedTuple):
    """Blocks and the borders between them (see :func:`make_blocks`)."""

    blocks: gpd.GeoDataFrame
    borders: gpd.GeoDataFrame


def make_blocks(
    boundary: gpd.GeoDataFrame,
    barriers: gpd.GeoDataFrame,
    *,
    units: gpd.GeoDataFrame | None = None,
    houses: gpd.GeoDataFrame | None = None,
    buildings: gpd.GeoDataFrame | None = None,
    compounds: gpd.GeoDataFrame | None = None,
    persons: pd.DataFrame | None = None,
    water: gpd.GeoDataFrame | None = None,
    norm: Norm | None = None,
    snap_m: float = 5.0,
    min_block_m2: float = 2000.0,
    min_width_m: float = 20.0,
    island_width_m: float = 40.0,
    min_court_m2: float = 10_000.0,
    min_water_m2: float = 20_000.0,
    min_water_width_m: float = 40.0,
    need_access: bool = True,
) -> Blocks:
    """Cut the ground along barriers into blocks that tile every unit exactly, and count who lives in each.

    Parameters
    ----------
    boundary : GeoDataFrame
        Polygons, of several rows or parts, with or without holes. Its CRS is that of the result; its vertices
        come back bit for bit.
    barriers : GeoDataFrame
        Lines with ``class`` (one of schema.BARRIER_CLASSES) and perhaps ``name``.
    units : GeoDataFrame, optional
        Polygons with ``code`` that tile the boundary; by default each row of the boundary is a unit.
    houses, buildings, persons : optional
        Households are summed from the houses (points; 1 each if not given), or from the buildings where there are
        no houses; persons are those whose ``house`` is the code of one of the houses. A bool column ``estimated``
        in houses or buildings says which households are estimates.
    compounds : GeoDataFrame, optional
        Housing estates: lanes and walls inside do not cut (see `norm`); ``kind`` becomes the compound kind of blocks
        that lie for the most part in compounds of that kind, ``code`` the compound of those that lie so in one.
    water : GeoDataFrame, optional
        Polygons, perhaps with ``name``. The shores of wide water cut as barriers of class river, what lies on it
        (bridges, middle lines of rivers) does not, and it is a block of its own that needs no access. Narrower water is
        a border, not ground, and is left to `barriers`.
    norm : Norm, optional
        Lanes and walls cut all the same inside compounds with more households (where the norm is of persons alone,
        more persons) than the norm of their kind and its tolerance. Without it every compound stays whole.
    snap_m : float
        Barrier ends that fall short by up to this many metres are carried to the next line.
    min_block_m2, min_width_m : float
        Faces of less area (m²), or narrower than this (metres; twice the area over the perimeter: the strip between
        two carriageways), are merged into the neighbour in the unit with the longest border on the weakest barrier.
    island_width_m : float
        So are faces up to this wide (metres, as above) with three quarters of their rim on larger roads of one name:
        the ground between two carriageways that run apart.
    min_court_m2 : float
        So are courts of less area (m²): nobody lives there, no compound has them, and their rim lies for the most part
        on lanes without a name, walls, or no barrier (the courts of a campus or a works). Not judged in a unit without
        any households.
    min_water_m2, min_water_width_m : float
        What wide water is: at least this area (m²) and width (metres, as above), joined over all rows of one name.
    need_access : bool
        Faces without access are merged in the same way: neither along their rim nor inside is there road of 3 m or
        more (main, secondary or lane; a dead end counts). Not judged in a unit where no face has any.

    Returns
    -------
    Blocks
        ``blocks``: code (unit code and a running number, north to south), unit, households, persons, buildings,
        compound_kind, compound (code, None where there is none), estimated (how many of the households are estimates),
        geometry. Neighbours share their border vertex for vertex.
        ``borders``: left, right (None at the outline), class (None where no barrier), name, length_m, geometry; one row
        for each pair of blocks, class and name.
        ``attrs["parameters"]`` of both holds the thresholds.

    Raises
    ------
    InputError
        A CRS, a class or all lines are missing; a threshold is negative or no number; households likewise.
    GeometryError
        A boundary or unit that is no valid polygon; barriers that are no lines; water that is no polygon.
    PlanError
        Units that overlap each other, leave the boundary, or leave part of it free, by more than 1 m² in one place.

    Warns
    -----
    GridgisWarning
        No barrier meets the boundary; households or persons that are in no block, with their count.

    Notes
    -----
    Lines are noded in the plane of the boundary's CRS by GEOS (OverlayNG) and polygonized. A crossing on an outline
    is rounded to a floating point number, so that an edge of 1 km is bent there by less than 1e-6 m². Not promised:
    that two carriageways become one line.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> place = gpd.GeoDataFrame({"code": ["U"]}, geometry=[shapely.box(0, 0, 200, 100)], crs=32650)
    >>> street = gpd.GeoDataFrame(
    ...     {"class": ["main"], "name": ["成府路"]}, geometry=[shapely.LineString([(80, -9), (80, 98)])], crs=32650
    ... )
    >>> cut = make_blocks(place, street)
    >>> cut.blocks[["code", "households"]].values.tolist(), cut.blocks.area.tolist()
    ([['U-0001', 0], ['U-0002', 0]], [8000.0, 12000.0])
    >>> cut.borders.loc[cut.borders["right"].notna(), ["left", "right", "class", "name"]].values.tolist()
    [['U-0001', 'U-0002', 'main', '成府路']]
    """
    limits = Limits(min_block_m2, min_width_m, island_width_m, min_court_m2, need_access)
    water_limits = {"min_water_m2": min_water_m2, "min_water_width_m": min_water_width_m}
    _check_thresholds({"snap_m": snap_m, **limits._asdict(), **water_limits})
    crs = crs_.require_crs(boundary, "boundary")
    metric = crs_.metric_crs(boundary, "boundary")
    scale = network.metres_per_unit(crs, metric, np.asarray(boundary.total_bounds))
    ground = ground_units(boundary, units, crs, scale)
    bodies, names = wide_water(water, crs, metric, **water_limits)
    lines = with_shores(network.barrier_lines(barriers, crs), bodies, names)
    lines = _near(lines, ground, scale, snap_m)
    estates = read_estates(compounds, crs)
    edges, lines = join(ground.geometry.to_numpy(), lines, scale, snap_m)
    idle = in_water(edges, bodies, scale)
    if estates is not None:
        whole = estates if norm is None else estates[~too_large(estates, norm, houses, buildings, persons)]
        idle |= inside_estates(edges, lines, whole, scale)
    rows = np.flatnonzero(idle)
    idle[rows] = ~_on_outlines(edges[rows], ground, scale)
    faces = faces_in_units(edges[~idle], ground, lines, scale)
    wet = network.mostly_in(faces.pieces, bodies)
    pieces = gpd.GeoDataFrame(geometry=faces.pieces, crs=crs)
    empty = nobody_in(pieces, faces.unit, houses, buildings, estates)
    shapes, unit, rims = fold_faces(faces, edges, lines, (crs, metric), scale, limits, wet=wet, empty=empty)
    blocks, order = _numbered(shapes, unit, ground, metric)
    borders = _borders(rims, order, blocks["code"].to_numpy(), lines, crs)
    blocks = count_loads(blocks, houses, buildings, persons)
    blocks = blocks.join(compounds_of(blocks, estates, metric))[list(_COLUMNS)]
    parameters = {
        "snap_m": snap_m, **limits._asdict(), **water_limits, "norm": None if norm is None else asdict(norm),
    }  # fmt: skip
    blocks.attrs["parameters"] = borders.attrs["parameters"] = parameters
    return Blocks(blocks, borders)


def _check_thresholds(given: dict[str, float]) -> None:
    wrong = [f"{name}={value}" for name, value in given.items() if not 0 <= value < np.inf]
    if wrong:
        raise InputError("a threshold is no length or area", found=", ".join(wrong), wanted="0 or more")


# --- ground and lines -------------------------------------------------------------------------------------------------


def _near(lines: Lines, ground: gpd.GeoDataFrame, scale: Floats, snap_m: float) -> Lines:
    """The lines within `snap_m` of the ground."""
    tree = shapely.STRtree(network.flatten(lines.shapes, scale))
    areas = network.flatten(ground.geometry.to_numpy(), scale)
    rows = np.unique(tree.query(areas, predicate="dwithin", distance=snap_m)[1])
    if len(rows) == 0:
        warnings.warn(
            f"none of the {len(lines.shapes)} barrier lines meets the boundary; each unit is one block "
            "(is it the right CRS and datum?)",
            GridgisWarning,
            stacklevel=3,
        )
    return network.take(lines, rows)


def _on_outlines(edges: Shapes, ground: gpd.GeoDataFrame, scale: Floats) -> Bools:
    """Which edges are pieces of the outlines of units: these cut whatever lies on both sides."""
    if len(edges) == 0:
        return np.zeros(0, dtype=bool)
    rims, _ = network.segments_of(network.flatten(shapely.get_rings(shapely.get_parts(ground.geometry)), scale))
    middle = shapely.points(network.middles(edges, scale))
    near = shapely.STRtree(shapely.linestrings(rims)).query(middle, predicate="dwithin", distance=_ON_OUTLINE_M)[0]
    result: Bools = np.isin(np.arange(len(edges)), near)
    return result


# --- codes, borders, loads --------------------------------------------------------------------------------------------


def _numbered(
    shapes: Shapes, unit: Ints, ground: gpd.GeoDataFrame, metric: pyproj.CRS
) -> tuple[gpd.GeoDataFrame, Ints]:
    """Blocks with code and unit, by code; and the rows of `shapes` in that order."""
    moved = crs_.project(shapes, ground.crs, metric)
    rows, codes = [], []
    for number, name in enumerate(ground["code"]):
        own = np.flatnonzero(unit == number)
        if len(own) == 0:
            continue
        own = own[reading_order(moved[own])]
        width = max(4, len(str(len(own))))
        rows.append(own)
        codes += [f"{name}-{n:0{width}d}" for n in range(1, len(own) + 1)]
    order = np.concatenate(rows)
    columns = {"code": codes, "unit": ground["code"].to_numpy()[unit[order]]}
    table = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    return gpd.GeoDataFrame(table, geometry=shapes[order], crs=ground.crs), order


def _borders(rims: Rims, order: Ints, codes: Shapes, lines: Lines, crs: pyproj.CRS) -> gpd.GeoDataFrame:
    """One row for each pair of blocks, class and name; left is the lower code."""
    place = np.empty(len(order) + 1, dtype=np.int64)
    place[order], place[-1] = np.arange(len(order)), len(order)
    one, other = place[rims.left], place[rims.right]
    left, right = np.minimum(one, other), np.maximum(one, other)
    rank = np.append(lines.rank, len(BARRIER_CLASSES))[rims.line]
    title, name = np.unique([*(n or "" for n in lines.name), ""], return_inverse=True)
    key, of = np.unique(np.column_stack([left, right, rank, name[rims.line]]), axis=0, return_inverse=True)
    groups = np.split(np.argsort(of.ravel(), kind="stable"), np.cumsum(np.bincount(of.ravel()))[:-1])
    merged = shapely.line_merge([shapely.multilinestrings(shapely.linestrings(rims.ends[rows])) for rows in groups])
    known = np.array([*codes, None], dtype=object)
    columns = {
        "left": known[key[:, 0]],
        "right": known[key[:, 1]],
        "class": np.array([*BARRIER_CLASSES, None], dtype=object)[key[:, 2]],
        "name": [str(t) or None for t in title[key[:, 3]]],
    }
    table = pd.DataFrame({label: pd.Series(values, dtype=object) for label, values in columns.items()})
    table["length_m"] = np.bincount(of.ravel(), rims.length_m, len(key))
    return gpd.GeoDataFrame(table, geometry=shapely.normalize(merged), crs=crs)
