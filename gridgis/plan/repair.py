"""Mend a tiling: what lies twice, nowhere or outside goes to one grid; all other coordinates stay as they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, get_args

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gridgis.crs import require_crs
from gridgis.errors import SHOWN_IDS, InputError, SchemaError
from gridgis.locate import GridLocator
from gridgis.plan.checking.layers import SLIVER_COMPACTNESS, SLIVER_M, Layer, layer_of
from gridgis.plan.checking.levels import nesting, parent_column, read_levels
from gridgis.plan.checking.polygons import ground_of
from gridgis.plan.checking.ruler import Bools, Floats, Ruler, widths
from gridgis.plan.checking.segments import Ints, parts_of
from gridgis.plan.checking.tiling import Matching, Objects, match, tiling_faults, union_of
from gridgis.plan.mending.contested import NOBODY, Contested, Given, Place, find_contested, rematched
from gridgis.plan.mending.long_gaps import shared_gaps
from gridgis.plan.mending.mending_log import Transfer, mending_log
from gridgis.plan.mending.rebuild import rebuilt
from gridgis.plan.mending.receivers import STAYS, Policy, Receiver, receivers_of
from gridgis.plan.validate import validate
from gridgis.schema import codes_as_text

#: A part of a grid goes to a neighbour when it is not larger than this, in m², …
SMALL_PART_M2 = 2_000.0
#: … and than this share of the grid.
SMALL_PART_SHARE = 0.1
#: Sorts after every code.
_LAST = chr(0x10FFFF)
#: Mending may bring forth new small parts, which go to a neighbour in the next pass; nearly always two passes do.
_PASSES = 6


class Repaired(NamedTuple):
    """What :func:`repair` gives: the mended `grids`, the `log` of what changed, what is `left`, and who `moved`."""

    grids: gpd.GeoDataFrame
    log: pd.DataFrame
    left: gpd.GeoDataFrame
    moved: pd.DataFrame | None


def repair(
    grids: gpd.GeoDataFrame,
    boundary: gpd.GeoDataFrame | None = None,
    *,
    code: str | None = "code",
    parents: gpd.GeoDataFrame | None = None,
    parent: str | None = None,
    level_name: str | None = None,
    receiver: Receiver = "longest_border",
    load: str | None = None,
    priority: str | None = None,
    protect: Iterable[str] = (),
    holes: gpd.GeoDataFrame | None = None,
    houses: gpd.GeoDataFrame | None = None,
    inlet_width: float = 0.0,
    small_part_m2: float = SMALL_PART_M2,
    merge_slivers: bool = False,
    snap: float = 0.0,
) -> Repaired:
    """Mend `grids` so that they tile `boundary`, and move nothing else.

    Parameters
    ----------
    grids : GeoDataFrame
        Polygons with a CRS; rows may lack geometry or code. Never changed. Rows that a column `mode` calls "overlay"
        stay as they are.
    boundary : GeoDataFrame, optional
        The ground to be covered, as :func:`gridgis.plan.validate.validate` takes it; without it what the outer rings of
        the grids' own union enclose.
    code : str or None
        The column with each grid's code. None, or a missing column "code", numbers the rows from 1.
    parents : GeoDataFrame, optional
        The next level above. Children are cut along their parents' borders, and ground goes to children of its parent
        only. How a child's parent is known: see :func:`gridgis.plan.checking.levels.nesting_faults`.
    parent : str, optional
        The column in which the grids name their parent; by default "parent" where it is filled in.
    level_name : str, optional
        What `left` calls the parents; by default as validate does.
    receiver : {"longest_border", "largest", "smallest", "least_load"}
        Who gets ground that lies under several grids (one of these) or under none (one beside it).
    load : str, optional
        The column of loads for "least_load"; by default "households".
    priority : str, optional
        A column of numbers: the lowest one gets the ground; the receiver decides between equals.
    protect : iterable of str
        Codes of grids that neither gain nor lose a single vertex. What that leaves unmended is listed.
    holes : GeoDataFrame, optional
        Ground that nobody has to cover (a lake, an enclave).
    houses : GeoDataFrame, optional
        Points with a column code: those that come to lie in another grid are listed.
    inlet_width : float
        m; 0 is off. Without a boundary, strips between grids that are open to the outside and narrower than this are
        filled as well.
    small_part_m2 : float
        m². A part of a grid beside its largest one that is not larger than this and than
        :data:`SMALL_PART_SHARE` of the grid goes to the neighbour with the longest border; so do slivers.
    merge_slivers : bool
        Also empty grids that are slivers as a whole; their rows stay.
    snap : float
        m; 0 is off. Vertices where borders do not match that are nearer than this to another border are moved onto it.

    Returns
    -------
    Repaired
        grids: the same rows in the same order, all columns as they were, in the same CRS. log: one row for each grid
        that changed, see :func:`gridgis.plan.mending.mending_log.mending_log`. left: the defects that remain, as
        :func:`~gridgis.plan.validate.validate` gives them. moved: house, from, to; None without houses.

    Raises
    ------
    SchemaError
        No rows, no such column, codes to protect that no grid has, priorities or loads that are no numbers.
    GeometryError, CRSError
        As :func:`~gridgis.plan.validate.validate`.
    InputError
        A receiver that does not exist; a distance or area that is negative or no number.

    Notes
    -----
    Polygons exchange whole faces of one arrangement of the segments that do not match, so nothing is overlaid, nothing
    is rounded, and vertices that no contested ground touches stay bit for bit. The row of a grid is only emptied if it
    is a further copy of another one, if `snap` closes it, or with `merge_slivers`; it is listed then. What lies wholly
    in another grid is cut out of it. Parts larger than the limits, codes and rows without geometry are left and listed.
    Z is kept where a vertex stays; new vertices have that of the nearest old one.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely import box
    >>> west, east = box(447000, 4427000, 447100, 4427100), box(447095, 4427000, 447200, 4427100)
    >>> grids = gpd.GeoDataFrame({"code": ["W", "E"]}, geometry=[west, east], crs="EPSG:4548")
    >>> mended, log, left, _ = repair(grids)
    >>> log[["code", "area_before_m2", "area_after_m2", "lost_to"]]
      code  area_before_m2  area_after_m2   lost_to
    0    W         10000.0         9500.0  E 500.00
    >>> len(left)
    0
    """
    layer = layer_of(grids, require_crs(grids), code, "grids")
    if len(layer.shapes.rows) == 0:
        left = validate(grids, boundary, code=code, holes=holes)
        return Repaired(grids.copy(), mending_log(layer, grids, []), left, None if houses is None else _nobody_moved())
    _check_numbers(inlet_width=inlet_width, small_part_m2=small_part_m2, snap=snap)
    ruler = Ruler.of(layer.frame.geometry.iloc[layer.shapes.rows])
    above = None if parents is None else _above(parents, layer, code)
    ground = _ground(boundary, above, layer, ruler)
    job = _Job(
        layer,
        Place(ruler, max(ruler.noise, snap / max(ruler.unit_m)), ground, _holes(holes, layer)),
        _policy(layer, ruler, receiver, load, priority, protect),
        above,
        parent_column(grids, parent, True),
        small_part_m2,
        merge_slivers,
        inlet_width if ground is None else 0.0,
    )
    polygons, transfers = _mended(job)
    fixed = grids.set_geometry(_geometry(layer, polygons))
    names = None if parents is None or level_name is None else [level_name]
    left = validate(
        fixed, boundary, parents, code=code, parent=parent, holes=holes, inlet_width=inlet_width, level_names=names
    )
    moved = None if houses is None else _moved(houses, grids, fixed, layer)
    return Repaired(fixed, mending_log(layer, fixed, transfers), left, moved)


class _Job(NamedTuple):
    """What one call mends, and how."""

    layer: Layer
    place: Place
    policy: Policy
    above: Layer | None
    column: str | None
    small_part_m2: float
    merge_slivers: bool
    inlet_width: float


# --- reading the arguments --------------------------------------------------------------------------------------------


def _check_numbers(**numbers: float) -> None:
    for name, value in numbers.items():
        if not (np.isfinite(value) and value >= 0):
            raise InputError(f"{name} must be a number ≥ 0", found=repr(value))


def _holes(holes: gpd.GeoDataFrame | None, layer: Layer) -> Any:
    return None if holes is None else ground_of(holes, layer.frame.crs, "holes")


def _above(parents: gpd.GeoDataFrame, layer: Layer, code: str | None) -> Layer:
    return read_levels(parents, layer.frame.crs, code=code, parent=None, names=["parents"], first=len(layer.labels))[0]


def _ground(boundary: gpd.GeoDataFrame | None, above: Layer | None, layer: Layer, ruler: Ruler) -> Any:
    """The boundary, else the union of the parents, else None."""
    if boundary is not None:
        return ground_of(boundary, layer.frame.crs)
    return None if above is None else union_of(above.shapes.polygons, ruler)


def _policy(
    layer: Layer, ruler: Ruler, receiver: str, load: str | None, priority: str | None, protect: Iterable[str]
) -> Policy:
    """The rules of who receives, one entry for each usable row."""
    if receiver not in get_args(Receiver):
        raise InputError("there is no such receiver", found=repr(receiver), wanted=" or ".join(get_args(Receiver)))
    rows = layer.shapes.rows
    load = "households" if load is None and receiver == "least_load" else load
    labels = [layer.labels[row] for row in rows.tolist()]
    # A row without a code comes last, by its place: its number would make the order of rows matter.
    known = layer.known or layer.labels
    named = [known[row] or _LAST for row in rows.tolist()]
    codes = set(protect)
    unknown = codes - set(layer.labels)
    if unknown:
        there = sorted(set(layer.labels))
        listed = ", ".join(there[:SHOWN_IDS]) + (", …" if len(there) > SHOWN_IDS else "")
        raise SchemaError(
            f"no grid has the codes to protect {', '.join(sorted(unknown))}",
            found=f"{len(unknown)} unknown beside {listed}",
        )
    polygons = layer.shapes.polygons
    place = shapely.get_coordinates(shapely.point_on_surface(polygons))
    rank = np.empty(len(rows), dtype=np.int64)
    rank[np.lexsort((place[:, 1], place[:, 0], np.array(named, dtype=str)))] = np.arange(len(rows))
    return Policy(
        receiver,  # type: ignore[arg-type]  # one of them, as was checked
        shapely.area(ruler.metres(polygons)),
        _numbers(layer, load)[rows],
        _numbers(layer, priority)[rows],
        np.array([label in codes for label in labels], dtype=bool),
        rank,
    )


def _numbers(layer: Layer, column: str | None) -> Floats:
    """A column as numbers, NaN where it is empty; all NaN where none is named."""
    if column is None:
        return np.full(len(layer.labels), np.nan)
    if column not in layer.frame.columns:
        raise SchemaError(
            f"there is no column {column!r}", found=f"the columns {', '.join(map(str, layer.frame.columns))}"
        )
    given = layer.frame[column]
    numbers = pd.to_numeric(given, errors="coerce")
    wrong = np.flatnonzero(given.notna() & ~np.isfinite(numbers))
    if len(wrong):
        raise SchemaError(
            f"the column {column!r} has values that are no numbers",
            ids=[layer.labels[row] for row in wrong.tolist()],
            found=repr(given.iloc[wrong[0]]),
            wanted="numbers",
        )
    out: Floats = numbers.to_numpy(dtype=float)
    return out


# --- mending ----------------------------------------------------------------------------------------------------------


def _mended(job: _Job) -> tuple[Objects, list[Transfer]]:
    """The polygons of the usable rows, mended (empty ones where nothing is left), and what went from whom to whom."""
    everything = job.layer.shapes.polygons.copy()
    active = np.flatnonzero(~job.layer.overlay_rows())
    polygons, rows = everything[active], job.layer.shapes.rows[active]
    matching = match(polygons, job.place.ground)
    transfers: list[Transfer] = []
    for _ in range(_PASSES):
        shapes, moved = _once(job, polygons, active, matching)
        changed = np.array(sorted(r for r, shape in shapes.items() if not _same(polygons[r], shape)), dtype=np.int64)
        if len(changed) == 0:
            break
        transfers += [t._replace(giver=_row(rows, t.giver), taker=_row(rows, t.taker)) for t in moved]
        for row in changed.tolist():
            polygons[row] = shapes[row]
        matching = rematched(matching, polygons, changed)
    everything[active] = polygons
    return everything, transfers


def _row(rows: Ints, position: int) -> int:
    return int(rows[position]) if position >= 0 else NOBODY


def _same(one: Any, other: Any) -> bool:
    return bool(shapely.equals_exact(one, other, 0.0))


def _once(job: _Job, polygons: Objects, active: Ints, matching: Matching) -> tuple[dict[int, Any], list[Transfer]]:
    """One pass: the polygons that change, by position, and what goes from whom to whom (positions as well)."""
    policy = job.policy.of(active)
    place, strays = _levels(job, polygons, active)
    tree = shapely.STRtree(polygons)
    given = _evicted(job, polygons, policy)
    contested = find_contested(polygons, tree, place, given, strays, matching)
    if contested is None:
        return {}, []
    to = receivers_of(contested, polygons, place, policy)
    shares = shared_gaps(contested, to, place, policy)
    if len(shares.shapes):
        given = Given(*(np.concatenate(pair) for pair in zip(given, shares, strict=True)))
        contested = find_contested(polygons, tree, place, given, strays, matching) or contested
        to = receivers_of(contested, polygons, place, policy)
    shapes = rebuilt(contested, to, polygons, policy.protected, place.ruler.noise)
    empty = shapely.Polygon()
    return {row: empty if shape is None else shape for row, shape in shapes.items()}, _transfers(contested, to)


def _levels(job: _Job, polygons: Objects, active: Ints) -> tuple[Place, Objects]:
    """The place with the parents in it, and the ground that children take from other parents."""
    if job.above is None:
        return job.place, np.empty(0, dtype=object)
    there = np.flatnonzero(~shapely.is_empty(polygons))
    shapes = job.layer.shapes
    children = job.layer._replace(shapes=shapes._replace(polygons=polygons[there], rows=shapes.rows[active[there]]))
    found = nesting(children, job.above, job.place.ruler, column=job.column)
    parent_of = np.full(len(polygons), NOBODY, dtype=np.int64)
    parent_of[there] = found.parent_of
    strays = [fault.geometry for fault in found.faults if len(fault.rows) == 3]
    place = job.place._replace(parents=found.grounds.polygons, parent_of=parent_of)
    return place, np.array(strays, dtype=object)


def _evicted(job: _Job, polygons: Objects, policy: Policy) -> Given:
    """Small parts and slivers of grids in several parts, and what fills inlets: their receivers are to be found."""
    ruler = job.place.ruler
    several = np.flatnonzero((shapely.get_num_geometries(polygons) > 1) & ~policy.protected)
    several = several[np.argsort(policy.rank[several])]
    parts, of = parts_of(polygons[several])
    there = ruler.metres(parts)
    area = shapely.area(there)
    total = np.bincount(of, weights=area, minlength=len(several))
    largest = np.zeros(len(parts), dtype=bool)
    order = np.lexsort((-area, of))
    largest[order[np.searchsorted(of[order], np.arange(len(several)))]] = True
    small = (area <= job.small_part_m2) & (area <= SMALL_PART_SHARE * total[of])
    chosen = ~largest & (small | _slivers(there))
    shapes, giver = list(parts[chosen]), several[of[chosen]].tolist()
    if job.merge_slivers:
        single = np.flatnonzero((shapely.get_num_geometries(polygons) == 1) & ~policy.protected)
        thin = 2 * shapely.area(polygons[single]) * min(ruler.unit_m) < SLIVER_M * shapely.length(polygons[single])
        single = single[thin]
        single = single[_slivers(ruler.metres(polygons[single]))]
        shapes += list(shapely.get_geometry(polygons[single], 0))
        giver += single.tolist()
    if job.inlet_width > 0:
        faults = tiling_faults(polygons, None, ruler, inlet_width=job.inlet_width, holes=job.place.holes)
        inlets = [fault.geometry for fault in faults if fault.note == "inlet"]
        shapes += inlets
        giver += [NOBODY] * len(inlets)
    to = np.full(len(shapes), NOBODY, dtype=np.int64)
    return Given(np.array(shapes, dtype=object), to, np.array(giver, dtype=np.int64))


def _slivers(metres: Objects) -> Bools:
    area, length = shapely.area(metres), shapely.length(metres)
    thin: Bools = (4 * np.pi * area < SLIVER_COMPACTNESS * length**2) & (widths(metres) < SLIVER_M)
    return thin


def _transfers(contested: Contested, to: list[int]) -> list[Transfer]:
    out = []
    for piece, taker in zip(contested.pieces, to, strict=True):
        if taker == STAYS:
            continue
        losers = sorted(piece.held() - {taker})
        gains = taker >= 0 and taker not in piece.held()
        out += [Transfer(row, taker, piece.area, gains and row == losers[0]) for row in losers]
        if gains and not losers:
            out.append(Transfer(NOBODY, taker, piece.area, True))
    return out


# --- the result -------------------------------------------------------------------------------------------------------


def _geometry(layer: Layer, polygons: Objects) -> gpd.GeoSeries:
    """The grids' geometry with the changed ones put in; what did not change is the very same."""
    frame = layer.frame
    out = np.asarray(frame.geometry.array, dtype=object).copy()
    rows = layer.shapes.rows
    changed = np.array([now is not then for now, then in zip(polygons, layer.shapes.polygons, strict=True)])
    mended = [fault.rows[0] for fault in layer.shapes.faults if fault.kind == "invalid_ring"]
    changed |= np.isin(rows, mended)
    for at, row in zip(np.flatnonzero(changed).tolist(), rows[changed].tolist(), strict=True):
        out[row] = _with_z(polygons[at], out[row]) if shapely.has_z(out[row]) else polygons[at]
    return gpd.GeoSeries(out, index=frame.index, crs=frame.crs)


def _with_z(shape: Any, before: Any) -> Any:
    """`shape` with the heights of the nearest vertices of `before`."""
    old = shapely.get_coordinates(before, include_z=True)
    tree = shapely.STRtree(shapely.points(old[:, :2]))

    def raised(xy: Floats) -> Floats:
        height: Floats = np.column_stack([xy, old[tree.nearest(shapely.points(xy)), 2]])
        return height

    return shapely.transform(shapely.force_3d(shape), lambda xyz: raised(xyz[:, :2]), include_z=True)


def _moved(houses: gpd.GeoDataFrame, before: gpd.GeoDataFrame, after: gpd.GeoDataFrame, layer: Layer) -> pd.DataFrame:
    """The houses that lie in another grid than before; of several grids over a house the lowest code has it."""
    crs = require_crs(houses, "houses")
    there = houses if crs == layer.frame.crs else houses.to_crs(layer.frame.crs)
    points = np.asarray(there.geometry.array, dtype=object)
    labels = np.array([*layer.labels, None], dtype=object)
    order = np.argsort(np.array(layer.labels, dtype=str), kind="stable")
    found = []
    for frame in (before, after):
        at = GridLocator(frame.iloc[order]).locate(shapely.get_x(points), shapely.get_y(points))
        found.append(labels[np.where(at >= 0, order[at], len(order))])
    codes = codes_as_text(houses["code"]) if "code" in houses.columns else pd.Series(range(1, len(houses) + 1))
    table = pd.DataFrame({"house": codes.to_numpy(), "from": found[0], "to": found[1]})
    same = (table["from"] == table["to"]) | (table["from"].isna() & table["to"].isna())
    return table[~same].reset_index(drop=True)


def _nobody_moved() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=object) for name in ("house", "from", "to")})
