"""Mending: laws over damaged tilings first, then who receives, long gaps, levels, settings, bad input."""

from __future__ import annotations

from typing import Any

import damage
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import shapes
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from gridgis.errors import CRSError, GeometryError, InputError, SchemaError
from gridgis.plan.repair import Repaired, repair
from gridgis.plan.validate import validate

#: Each law runs in metres and degrees, with and without a boundary: 4 × 125 examples.
LAWS = settings(max_examples=125, deadline=None)
#: A fifth of it for what is no law of repair but of its dress.
FEWER = settings(max_examples=25, deadline=None)
EVERYWHERE = [
    pytest.param(unit, bounded, id=f"{unit}-{'boundary' if bounded else 'open'}")
    for unit in ("metres", "degrees")
    for bounded in (True, False)
]
everywhere = pytest.mark.parametrize(("unit", "bounded"), EVERYWHERE)
#: What may be left: what no exchange of ground can mend, and warnings.
MAY_STAY = {"empty", "duplicate_code", "missing_code", "multipart", "sliver"}
#: m². Areas are sums of many products of coordinates of seven digits.
AREA_M2 = 1e-2
#: m. What lies nearer than this to contested ground touches it.
TOUCHES_M = 1e-5
#: An edge of L metres in degrees is bent in the plane where it is measured: its segment has up to this times L³ m².
BENT = 1.5e-8


@st.composite
def cases(draw: st.DrawFn, unit: str, bounded: bool) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame | None]:
    """A damaged tiling and its boundary: 8 to 14 cells with one to four faults, far from or near to each other."""
    faults = draw(st.lists(st.sampled_from(damage.FAULTS), min_size=1, max_size=4))
    seed = draw(st.integers(0, 1_000_000))
    clean = shapes.voronoi(draw(st.integers(8, 14)), seed, 2)
    grids = damage.damaged(clean, faults, np.random.default_rng(seed), draw(st.booleans()))
    return placed(grids, clean, unit, bounded)


def placed(
    grids: gpd.GeoDataFrame, clean: gpd.GeoDataFrame, unit: str, bounded: bool
) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame | None]:
    ground = shapes.outline(clean) if bounded else None
    if unit == "metres":
        return grids, ground
    return shapes.in_degrees(grids), None if ground is None else shapes.in_degrees(ground)


# --- measuring --------------------------------------------------------------------------------------------------------


def m2(frame: gpd.GeoDataFrame) -> float:
    """m² in a square unit of the table's CRS."""
    return float(np.prod(shapes.METRES_PER_DEGREE)) if frame.crs.is_geographic else 1.0


def metres(frame: gpd.GeoDataFrame) -> float:
    return float(max(shapes.METRES_PER_DEGREE)) if frame.crs.is_geographic else 1.0


def bytes_of(frame: gpd.GeoDataFrame) -> list[bytes | None]:
    return [None if shape is None else shape.wkb for shape in frame.geometry]


def labels(frame: gpd.GeoDataFrame) -> list[str]:
    return [f"row {row}" if pd.isna(code) else str(code) for row, code in enumerate(frame["code"], 1)]


def has_ground(frame: gpd.GeoDataFrame) -> Any:
    geometry = np.asarray(frame.geometry.array, dtype=object)
    return ~(shapely.is_missing(geometry) | shapely.is_empty(geometry))


def whole(frame: gpd.GeoDataFrame) -> Any:
    """The polygons of all rows, mended; None where there are none."""
    out = shapely.force_2d(np.asarray(frame.geometry.array, dtype=object))
    there = has_ground(frame)
    out[there] = shapely.make_valid(out[there], method="structure", keep_collapsed=False)
    out[~there] = None
    return out


def enclosed(frame: gpd.GeoDataFrame) -> float:
    """What the rings of all grids enclose, in units of the CRS: all their ground and every gap in it."""
    rings = shapely.boundary(whole(frame)[has_ground(frame)])
    faces = shapely.polygonize(shapely.get_parts(shapely.union_all(rings, grid_size=1e-6 / metres(frame))))
    return float(shapely.area(faces))


def bent_m2(shape: Any) -> float:
    """How far off a measured area in degrees may be, in m², by edges that become two or lose a vertex."""
    rings = shapely.get_rings(shapely.get_parts(shape))
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    length = np.hypot(*(np.diff(xy, axis=0) * shapes.METRES_PER_DEGREE).T)[np.diff(ring) == 0]
    return float(BENT * (length**3).sum())


def vertices(shape: Any) -> set[tuple[float, ...]]:
    return set() if shape is None else set(map(tuple, shapely.get_coordinates(shape).tolist()))


def copies(frame: gpd.GeoDataFrame, boundary: gpd.GeoDataFrame | None) -> set[int]:
    """Rows that are further copies of others inside the boundary, or the first of them; to 10 cm² of a strip."""
    polygons = whole(frame)
    if boundary is not None:
        polygons = shapely.intersection(polygons, boundary.geometry.iloc[0])
    rows = np.flatnonzero(has_ground(frame))
    first, second = shapely.STRtree(polygons[rows]).query(polygons[rows], predicate="intersects")
    one, other = rows[first[first != second]], rows[second[first != second]]
    apart = shapely.area(shapely.symmetric_difference(polygons[one], polygons[other])) * m2(frame)
    return set(one[apart <= 1e-3].tolist())


# --- laws -------------------------------------------------------------------------------------------------------------


def assert_only_what_may_stay_is_left(result: Repaired, boundary: gpd.GeoDataFrame | None) -> None:
    left = result.left
    if boundary is not None:  # a grid with no ground inside is not emptied: it is listed
        beyond = set(left.loc[left["kind"] == "outside", "codes"].map(lambda codes: codes[0]))
        strays = result.grids[result.grids["code"].isin(beyond)]
        inside = shapely.intersection(whole(strays), boundary.geometry.iloc[0])
        assert shapely.area(inside).sum() * m2(strays) < 1e-3
        left = left[left["kind"] != "outside"]
    assert set(left["kind"]) <= MAY_STAY
    found = validate(result.grids, boundary)
    pd.testing.assert_frame_equal(pd.DataFrame(result.left), pd.DataFrame(found))


def assert_rows_stay(given_: gpd.GeoDataFrame, result: Repaired, boundary: gpd.GeoDataFrame | None) -> None:
    fixed = result.grids
    assert fixed.index.equals(given_.index) and fixed.crs == given_.crs
    assert fixed.geometry.name == given_.geometry.name and list(fixed.columns) == list(given_.columns)
    pd.testing.assert_frame_equal(
        pd.DataFrame(fixed.drop(columns=fixed.geometry.name)), pd.DataFrame(given_.drop(columns=given_.geometry.name))
    )
    emptied = set(np.flatnonzero(has_ground(given_) & ~has_ground(fixed)).tolist())
    assert emptied <= copies(given_, boundary)
    geometry = np.asarray(fixed.geometry.array, dtype=object)[has_ground(fixed)]
    assert shapely.is_valid(geometry).all()


def assert_all_is_covered_once(given_: gpd.GeoDataFrame, result: Repaired, boundary: gpd.GeoDataFrame | None) -> None:
    total = sum(shape.area for shape in result.grids.geometry if shape is not None)
    total -= sum(shape.area for shape in result.left.geometry[result.left["kind"] == "outside"])
    ground = enclosed(given_) if boundary is None else boundary.geometry.iloc[0].area
    assert total * m2(given_) == pytest.approx(ground * m2(given_), abs=AREA_M2)


def trouble_of(given_: gpd.GeoDataFrame, boundary: gpd.GeoDataFrame | None) -> Any:
    """The ground of all defects and of every overlap as GEOS sees it, and what they cut off from the rest of a grid."""
    defects = validate(given_, boundary, min_area=0.0)
    places = [shape for shape in defects.geometry if shape is not None]
    grids = whole(given_)[has_ground(given_)]
    one, other = shapely.STRtree(grids).query(grids, predicate="overlaps")
    places += shapely.intersection(grids[one[one < other]], grids[other[one < other]]).tolist()
    ground = shapely.union_all(places)
    cut_off = []
    for shape in whole(given_)[has_ground(given_)]:
        # Wider by a hair: a tip beyond the place where two borders cross hangs on by rounding only.
        parts = shapely.get_parts(shapely.difference(shape, ground.buffer(TOUCHES_M / metres(given_), quad_segs=1)))
        cut_off += sorted(parts, key=shapely.area)[:-1]
    # No union: it loses strips that are a hair wide.
    return shapely.GeometryCollection([*places, *cut_off])


def assert_nothing_else_moves(given_: gpd.GeoDataFrame, result: Repaired, boundary: gpd.GeoDataFrame | None) -> None:
    """Grids that no defect touches are the very same bytes; so are all vertices that lie on no contested ground.

    Contested is the ground of every defect (with the vertices that edges lack), and what it cuts off from a grid. A
    vertex that is new was another grid's or the boundary's, or it lies on contested ground. Only where the table has
    vertices less than a centimetre apart (coordinates rounded by another program) borders cross in strips that are
    noise: there a vertex may come or go on the border, within ten micrometres, or a tenth of a millimetre off them.
    """
    trouble = trouble_of(given_, boundary)
    shapely.prepare(trouble)
    reach = TOUCHES_M / metres(given_)
    before, after = whole(given_), np.asarray(result.grids.geometry.array, dtype=object)
    invalid = ~shapely.is_valid(np.asarray(given_.geometry.array, dtype=object))
    known = set().union(*(vertices(shape) for shape in before))
    known |= set() if boundary is None else vertices(boundary.geometry.iloc[0])
    rounded = len(cKDTree(sorted(known)).query_pairs(1e-2 / metres(given_))) > 0
    for row in np.flatnonzero(has_ground(given_)).tolist():
        if not invalid[row] and not shapely.dwithin(before[row], trouble, reach):
            assert after[row].wkb == given_.geometry.iloc[row].wkb
        if after[row].is_empty:
            continue  # a further copy: what was its ground is the other one's
        old, new = vertices(before[row]), vertices(after[row])
        for places, shape in ((old - new, after[row]), (new - known, before[row])):
            points = shapely.points(np.array(sorted(places)).reshape(-1, 2))
            far = points[~shapely.dwithin(points, trouble, 10 * reach if rounded else reach)]
            assert len(far) == 0 or (rounded and shapely.dwithin(far, shape.boundary, reach).all())


def assert_log_is_true(given_: gpd.GeoDataFrame, result: Repaired) -> None:
    log, fixed = result.log, result.grids
    changed = [row for row, (old, new) in enumerate(zip(bytes_of(given_), bytes_of(fixed), strict=True)) if old != new]
    assert [labels(given_)[row] for row in changed] == log["code"].tolist()
    polygons = whole(given_)
    ledger: dict[str, list[float]] = {"gained": [], "lost": []}
    for row, entry in zip(changed, log.itertuples(), strict=True):
        old, new = polygons[row], fixed.geometry.iloc[row]
        bent = bent_m2(given_.geometry.iloc[row]) + bent_m2(new) if given_.crs.is_geographic else 0.0
        assert entry.area_after_m2 - entry.area_before_m2 == pytest.approx(
            entry.gained_m2 - entry.lost_m2, abs=AREA_M2 + 5 * bent
        )
        assert entry.ring_mended == (not given_.geometry.iloc[row].is_valid)
        came = vertices(new) - vertices(given_.geometry.iloc[row])
        went = vertices(given_.geometry.iloc[row]) - vertices(new)
        assert (entry.vertices_added, entry.vertices_removed) == (len(came), len(went))
        far = [0.0]
        if came:
            far.append(shapely.distance(shapely.points(sorted(came)), old.boundary).max())
        if went and not new.is_empty:
            far.append(shapely.distance(shapely.points(sorted(went)), new.boundary).max())
        assert entry.farthest_move_m == pytest.approx(max(far) * metres(given_), rel=0.35, abs=0.05)
        for name, total, listed in (
            ("gained", entry.gained_m2, entry.gained_from), ("lost", entry.lost_m2, entry.lost_to),
        ):  # fmt: skip
            shares = [item.rsplit(" ", 1) for item in listed.split("; ") if item]
            assert sum(float(area) for _, area in shares) == pytest.approx(total, abs=0.01 * len(shares) + 1e-9)
            ledger[name] += [float(area) for whom, area in shares if not whom.endswith(("gap", "outside"))]
    if given_["code"].is_unique and shapely.is_valid(polygons[has_ground(given_)]).all():
        # What one lost to another, that one gained, unless it lay under both.
        assert sum(ledger["gained"]) <= sum(ledger["lost"]) + 0.01 * len(ledger["gained"])


def assert_houses_are_told(given_: gpd.GeoDataFrame, result: Repaired, houses: gpd.GeoDataFrame) -> None:
    def holder(frame: gpd.GeoDataFrame, point: Any) -> str | None:
        there = [
            label
            for label, shape in zip(labels(frame), frame.geometry, strict=True)
            if shape is not None and shape.is_valid and shape.intersects(point)
        ]
        return min(there, default=None)

    assert result.moved is not None
    told = {
        house: (None if pd.isna(old) else old, None if pd.isna(new) else new)
        for house, old, new in result.moved.itertuples(index=False)
    }
    if not shapely.is_valid(np.asarray(given_.geometry.array, dtype=object)[has_ground(given_)]).all():
        return  # how a crossed ring holds a point is no matter of mending
    for house, point in zip(houses["code"], houses.geometry, strict=True):
        old, new = holder(given_, point), holder(result.grids, point)
        assert told.get(house, (old, old)) == (old, new)
        assert (house in told) == (old != new)


def some_houses(grids: gpd.GeoDataFrame, count: int = 40) -> gpd.GeoDataFrame:
    x0, y0, x1, y1 = grids.total_bounds
    xy = np.random.default_rng(count).uniform((x0, y0), (x1, y1), (count, 2))
    return gpd.GeoDataFrame({"code": [f"h{i}" for i in range(count)]}, geometry=shapely.points(xy), crs=grids.crs)


@everywhere
@LAWS
@given(data=st.data())
def test_a_damaged_tiling_is_mended_and_nothing_else(unit: str, bounded: bool, data: st.DataObject) -> None:
    grids, boundary = data.draw(cases(unit, bounded))
    before = bytes_of(grids)
    houses = some_houses(grids)
    result = repair(grids, boundary, houses=houses)
    assert bytes_of(grids) == before
    assert_only_what_may_stay_is_left(result, boundary)
    assert_rows_stay(grids, result, boundary)
    assert_all_is_covered_once(grids, result, boundary)
    assert_nothing_else_moves(grids, result, boundary)
    assert_log_is_true(grids, result)
    assert_houses_are_told(grids, result, houses)
    again = repair(result.grids, boundary)
    assert bytes_of(again.grids) == bytes_of(result.grids) and len(again.log) == 0


@everywhere
@LAWS
@given(data=st.data())
def test_the_order_of_rows_does_not_matter(unit: str, bounded: bool, data: st.DataObject) -> None:
    """Bit for bit, also where codes are missing or not unique; of rows that are the same in everything one is kept."""
    grids, boundary = data.draw(cases(unit, bounded))
    order = np.random.default_rng(len(grids)).permutation(len(grids))
    result, shuffled = repair(grids, boundary), repair(grids.iloc[order], boundary)
    twins = pd.Series(list(zip(grids["code"], bytes_of(grids), strict=True))).duplicated(keep=False).to_numpy()
    one, other = result.grids.iloc[order], shuffled.grids
    assert other.index.equals(one.index)
    alone = ~twins[order]
    assert bytes_of(one[alone]) == bytes_of(other[alone])
    assert sorted(map(str, bytes_of(one[~alone]))) == sorted(map(str, bytes_of(other[~alone])))


@everywhere
@LAWS
@given(data=st.data())
def test_protected_grids_stay_bit_for_bit(unit: str, bounded: bool, data: st.DataObject) -> None:
    grids, boundary = data.draw(cases(unit, bounded))
    codes = sorted(grids["code"].dropna().unique())
    chosen = data.draw(st.sets(st.sampled_from(codes), min_size=1, max_size=3))
    result = repair(grids, boundary, protect=chosen)
    own = grids["code"].isin(chosen) & shapely.is_valid(np.asarray(grids.geometry.array, dtype=object))
    assert bytes_of(result.grids[own]) == bytes_of(grids[own])
    assert not set(result.log.loc[~result.log["ring_mended"].astype(bool), "code"]) & chosen
    errors = result.left[(result.left["severity"] == "error") & ~result.left["kind"].isin(MAY_STAY)]
    near = np.asarray(grids[grids["code"].isin(chosen)].geometry.array, dtype=object)
    near = shapely.union_all(shapely.make_valid(near[~shapely.is_missing(near)]))
    assert (shapely.distance(np.asarray(errors.geometry.array, dtype=object), near) * metres(grids) < TOUCHES_M).all()
    assert bytes_of(repair(result.grids, boundary, protect=chosen).grids) == bytes_of(result.grids)


@everywhere
@LAWS
@given(data=st.data())
def test_holes_stay_open(unit: str, bounded: bool, data: st.DataObject) -> None:
    """A known hole in the middle of a cell, or in place of a cell, is nobody's, whatever else is damaged."""
    clean = shapes.voronoi(10, data.draw(st.integers(0, 10_000)), 2)
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    lake = clean.geometry.iloc[0] if data.draw(st.booleans()) else clean.geometry.iloc[0].buffer(-40)
    dry = damage.dropped_cell(clean, 0, rng)
    if not lake.equals(clean.geometry.iloc[0]) and not lake.is_empty:
        dry = damage.put(clean, 0, shapely.Polygon(clean.geometry.iloc[0].exterior, [largest(lake).exterior]))
        lake = largest(lake)
    elif lake.is_empty:
        lake = clean.geometry.iloc[0]
    row = int(rng.integers(1, len(dry)))
    fault = data.draw(st.sampled_from([damage.moved_vertex, damage.shifted_cell, damage.extra_vertex]))
    grids, boundary = placed(fault(dry, row, rng), clean, unit, bounded)
    hole = shapes.frame_of([lake], ["lake"])
    hole = hole if unit == "metres" else shapes.in_degrees(hole)
    result = repair(grids, boundary, holes=hole)
    over = shapely.intersection(whole(result.grids), hole.geometry.iloc[0])
    had = shapely.intersection(whole(grids), hole.geometry.iloc[0])
    assert shapely.area(over).sum() * m2(grids) <= shapely.area(had).sum() * m2(grids) + AREA_M2
    assert not set(result.left["kind"]) - MAY_STAY


def largest(shape: Any) -> Any:
    return max(shapely.get_parts(shape), key=shapely.area)


# --- what laws found first --------------------------------------------------------------------------------------------


def boundary_of(*boxes: tuple[float, float, float, float]) -> gpd.GeoDataFrame:
    return shapes.frame([shapely.union_all([shapely.box(*box) for box in boxes])], ["unit"])


def test_a_small_part_may_grow_back_to_its_own_grid() -> None:
    """The gap between a grid and a small part of it goes to the grid, and so does the part: once."""
    parts = shapely.MultiPolygon([shapely.box(0, 0, 100, 10), shapely.box(110, 0, 120, 10)])
    grids = shapes.frame([parts, shapely.box(0, 200, 120, 300)], ["W", "N"])
    ground = boundary_of((0, 0, 120, 10), (0, 200, 120, 300))
    fixed, log, left, _ = repair(grids, ground)
    assert shapes.shape_of(fixed, "W").equals(shapes.shape_of(shapes.frame([shapely.box(0, 0, 120, 10)], ["W"]), "W"))
    assert log[["gained_m2", "lost_m2", "gained_from"]].values.tolist() == [[100.0, 0.0, "空隙 gap 100.00"]]
    assert len(left) == 0


def test_vertices_near_each_other_are_not_left_out_together() -> None:
    """Two vertices 5 µm apart lie each on the line to the next one, but the border turns there."""
    north, south = (110.0, 50.0 + 5e-6), (110.0, 50.0)
    west = shapely.Polygon([(1, 0), (100, 0), south, north, (100, 100), (1, 100)])
    east = shapely.Polygon([(200, 0), (200, 100), (100, 100), north, (109.0, 50.0), south, (100, 0)])
    grids = shapes.frame([west, east], ["W", "E"])
    fixed, _, left, _ = repair(grids, boundary_of((0, 0, 200, 100)))
    assert len(left) == 0
    area = fixed.geometry.area.tolist()
    assert area == pytest.approx([10_500, 9_500], abs=1e-2) and sum(area) == pytest.approx(20_000, abs=1e-6)


def test_a_copy_with_a_second_part_keeps_that_part() -> None:
    """The row of `copy` is no further copy: it has more ground than 22, so it is not emptied."""
    cells = shapes.squares()
    more = shapely.union(shapes.shape_of(cells, "22"), shapes.square(shapes.X0 + 250, shapes.Y0, 20))
    grids = shapes.frame_of([*cells.geometry, more], [*cells["code"], "copy"])
    fixed, _, left, _ = repair(grids, shapes.outline(cells))
    assert fixed.geometry.area.tolist() == [100 * 100.0] * 2 + [100 * 100 - 400.0] + [100 * 100.0] * 6 + [400.0]
    assert len(left) == 0


def test_copies_are_cut_at_the_boundary() -> None:
    cells = shapes.squares()
    wide = shapely.box(shapes.X0 - 5, shapes.Y0 + 100, shapes.X0 + 100, shapes.Y0 + 200)
    grids = shapes.replaced(cells, "21", wide)
    grids = shapes.frame_of([*grids.geometry, wide], [*grids["code"], "copy"])
    fixed, log, left, _ = repair(grids, shapes.outline(cells))
    assert left[["kind", "codes"]].values.tolist() == [["empty", ("copy",)]]
    assert shapes.shape_of(fixed, "21").equals(shapes.shape_of(cells, "21"))
    assert log["code"].tolist() == ["21", "copy"]


# --- parents ----------------------------------------------------------------------------------------------------------


@st.composite
def nested(draw: st.DrawFn, unit: str) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Two to four parents made of whole cells, and the cells, damaged also across their parents' borders."""
    seed = draw(st.integers(0, 1_000_000))
    rng = np.random.default_rng(seed)
    clean = shapes.voronoi(draw(st.integers(9, 14)), seed, 2)
    count = draw(st.integers(2, 4))
    centre = shapely.get_coordinates(shapely.centroid(np.asarray(clean.geometry.array)))
    middle = centre.mean(axis=0)
    turn = np.degrees(np.arctan2(*(centre - middle).T[::-1])) % 360
    parent = np.array([f"p{int(t * count // 360)}" for t in turn], dtype=object)
    ground = {code: shapely.union_all(np.asarray(clean.geometry[parent == code].array)) for code in sorted(set(parent))}
    parents = shapes.frame_of(ground.values(), list(ground))
    faults = draw(
        st.lists(
            st.sampled_from([
                damage.moved_vertex, damage.shifted_cell, damage.dropped_cell, damage.grown_cell, damage.three_over,
                damage.simplified_cell, damage.punched_hole, damage.extra_vertex,
            ]),
            min_size=1, max_size=3,
        )
    )  # fmt: skip
    grids = damage.damaged(clean.assign(parent=parent), faults, rng, draw(st.booleans()))
    kept = set(grids["parent"])
    parents = parents[parents["code"].isin(kept)].reset_index(drop=True)
    return (grids, parents) if unit == "metres" else (shapes.in_degrees(grids), shapes.in_degrees(parents))


@pytest.mark.parametrize("unit", ["metres", "degrees"])
@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_children_tile_their_own_parents(unit: str, data: st.DataObject) -> None:
    grids, parents = data.draw(nested(unit))
    result = repair(grids, parents=parents)
    assert not set(result.left["kind"]) - MAY_STAY
    polygons = np.asarray(result.grids.geometry.array, dtype=object)
    for code, ground in zip(parents["code"], parents.geometry, strict=True):
        own = polygons[(grids["parent"] == code).to_numpy()]
        beyond = shapely.area(shapely.difference(own, ground)).sum()
        assert beyond * m2(grids) < AREA_M2
        assert shapely.area(own).sum() * m2(grids) == pytest.approx(ground.area * m2(grids), abs=AREA_M2)
    again = repair(result.grids, parents=parents)
    assert bytes_of(again.grids) == bytes_of(result.grids)


# --- the table --------------------------------------------------------------------------------------------------------


@everywhere
@FEWER
@given(data=st.data())
def test_the_dress_of_a_table_does_not_matter(unit: str, bounded: bool, data: st.DataObject) -> None:
    """Heights, multipolygons, another geometry column, index and attributes: the same ground goes the same way."""
    grids, boundary = data.draw(cases(unit, bounded))
    plain = repair(grids, boundary)
    dressed = grids.rename_geometry("范围").assign(level=3.5)
    dressed.index = pd.Index([f"i{row}" for row in range(len(grids))], name="key")
    high = [shape if shape is None else shapely.force_3d(multi(shape), 7.0) for shape in dressed.geometry]
    dressed = dressed.set_geometry(gpd.GeoSeries(high, index=dressed.index, crs=grids.crs))
    before = bytes_of(dressed)
    result = repair(dressed, boundary)
    assert bytes_of(dressed) == before
    assert_rows_stay(dressed, result, boundary)
    for one, other in zip(plain.grids.geometry, result.grids.geometry, strict=True):
        if one is None or one.is_empty:
            assert other is None or other.is_empty
        else:
            assert other.geom_type == "MultiPolygon" or not multi(one).equals_exact(one)
            assert other.has_z and set(shapely.get_coordinates(other, include_z=True)[:, 2]) == {7.0}
            # A crossed ring begins elsewhere when it is mended as a multipolygon.
            assert shapely.equals_exact(
                shapely.normalize(multi(shapely.force_2d(other))), shapely.normalize(multi(one))
            )


def multi(shape: Any) -> Any:
    return shape if shape.geom_type == "MultiPolygon" else shapely.MultiPolygon([] if shape.is_empty else [shape])


def test_heights_stay_and_new_vertices_have_that_of_the_nearest() -> None:
    high = [
        [(0, 0, 1), (100, 0, 2), (100, 100, 3), (0, 100, 4)],
        [(95, 0, 5), (200, 0, 6), (200, 100, 7), (95, 100, 8)],
    ]
    grids = shapes.frame(map(shapely.Polygon, high), ["W", "E"])
    grids = grids.set_geometry(
        gpd.GeoSeries(
            [shapely.Polygon([(x + shapes.X0, y + shapes.Y0, z) for x, y, z in ring]) for ring in high],
            crs=grids.crs,
        )
    )
    result = repair(grids)
    at = {
        (x - shapes.X0, y - shapes.Y0): z
        for x, y, z in shapely.get_coordinates(shapes.shape_of(result.grids, "W"), include_z=True)
    }
    assert at == {(0, 0): 1, (95, 0): 2, (95, 100): 3, (0, 100): 4}


def test_rows_of_an_overlay_stay_as_they_are() -> None:
    school = shapes.square(shapes.X0 + 150, shapes.Y0 + 150, 100)
    cells = shapes.overlapping()
    grids = shapes.frame_of([*cells.geometry, school, school], [*cells["code"], "S", "T"])
    grids["mode"] = ["partition"] * 9 + ["overlay"] * 2
    fixed, log, left, _ = repair(grids, shapes.outline(shapes.squares()))
    assert bytes_of(fixed)[9:] == bytes_of(grids)[9:]
    assert {"23"} <= set(log["code"]) <= {"22", "23", "13", "33"}
    assert set(left["kind"]) <= {"duplicate"} and (left["codes"].map(set) <= {"S", "T"}).all()
    assert bytes_of(fixed)[:9] == bytes_of(repair(cells, shapes.outline(shapes.squares())).grids)


def test_tables_without_ground_or_faults() -> None:
    empty = shapes.frame([None, None])
    result = repair(empty, houses=some_houses(shapes.squares(), 3))
    assert result.left["kind"].tolist() == ["empty", "empty"] and len(result.log) == 0
    assert result.moved is not None and len(result.moved) == 0
    cells = shapes.squares()
    fixed, log, left, moved = repair(cells)
    assert all(one is other for one, other in zip(fixed.geometry, cells.geometry, strict=True))
    assert len(log) == 0 and len(left) == 0 and moved is None


# --- who receives -----------------------------------------------------------------------------------------------------

RECEIVERS = ["longest_border", "largest", "smallest", "least_load", "priority"]


def two(width: float, reach: float, gap: bool) -> gpd.GeoDataFrame:
    """Grid A, `width` m wide, and B up to 200 m; both reach over each other's ground by `reach`, or leave it open."""
    by = -reach / 2 if gap else reach / 2
    grids = shapes.frame([shapely.box(0, 0, width + by, 60), shapely.box(width - by, 0, 200, 60)], ["A", "B"])
    return grids.assign(households=[30, 20], rank=[2, 1])


@pytest.mark.parametrize("unit", ["metres", "degrees"])
@settings(max_examples=250, deadline=None)
@given(
    width=st.floats(20, 180).filter(lambda w: abs(w - 100) > 1), reach=st.floats(0.5, 15), gap=st.booleans(),
    receiver=st.sampled_from(RECEIVERS),
)  # fmt: skip
def test_the_receiver_gets_what_both_or_none_have(
    unit: str, width: float, reach: float, gap: bool, receiver: Any
) -> None:
    grids = two(width, reach, gap)
    boundary = shapes.frame([shapely.box(0, 0, 200, 60)], ["unit"])
    if unit == "degrees":
        grids, boundary = shapes.in_degrees(grids), shapes.in_degrees(boundary)
    how: dict[str, Any] = {"priority": "rank"} if receiver == "priority" else {"receiver": receiver}
    fixed, log, left, _ = repair(grids, boundary, **how)
    assert len(left) == 0
    wider, narrower = ("A", "B") if width > 100 else ("B", "A")
    wanted = {"largest": wider, "smallest": narrower, "least_load": "B", "priority": "B", "longest_border": "A"}
    taker = wanted[receiver]
    got = shapely.difference(shapes.shape_of(fixed, taker), shapes.shape_of(grids, taker)).area * m2(grids)
    kept = shapes.shape_of(fixed, taker).area * m2(grids)
    both = {"A": width, "B": 200 - width}[taker] * 60 + reach * 30
    assert kept == pytest.approx(both, abs=0.01)
    assert got == pytest.approx(reach * 60 if gap else 0.0, abs=0.01)
    assert log["code"].tolist() == [taker if gap else {"A": "B", "B": "A"}[taker]]


def test_priority_comes_first_and_the_receiver_between_equals() -> None:
    grids = two(120, 10, gap=False)
    for ranks, taker in (([1, 2], "A"), ([2, 1], "B"), ([1, 1], "B"), ([None, 1], "B"), ([None, None], "B")):
        fixed = repair(grids.assign(rank=ranks), priority="rank", receiver="smallest").grids
        assert shapes.shape_of(fixed, taker).equals(shapes.shape_of(grids, taker))


# --- long gaps --------------------------------------------------------------------------------------------------------


def compactness(shape: Any) -> float:
    return float(4 * np.pi * shape.area / shape.length**2)


def assert_shared_out(clean: gpd.GeoDataFrame, gap: Any, least: int, boundary: gpd.GeoDataFrame | None) -> None:
    """A gap cut out of a clean tiling goes to at least `least` grids, each beside its part, and none gets a spike.

    No grid's compactness (4π area ÷ perimeter²) drops below 0.8 times what it was without the gap.
    """
    grids = clean.set_geometry(clean.geometry.difference(gap))
    fixed, log, left, _ = repair(grids, boundary)
    assert len(left) == 0
    assert len(log) >= least
    filled = (log["gained_m2"] - log["lost_m2"]).sum()
    assert filled == pytest.approx(clean.union_all().intersection(gap).area, abs=AREA_M2)
    for before, without, after in zip(clean.geometry, grids.geometry, fixed.geometry, strict=True):
        assert after.geom_type == "Polygon"
        assert compactness(after) > 0.8 * min(compactness(before), compactness(without))
        part = after.difference(without)
        for piece in shapely.get_parts(part):
            if piece.area > AREA_M2:
                assert piece.intersection(without).length > 0.15 * piece.length


def street(*places: tuple[float, float], width: float = 6.0) -> Any:
    line = shapely.LineString([(shapes.X0 + x, shapes.Y0 + y) for x, y in places])
    return line.buffer(width / 2, cap_style="flat", join_style="mitre")


@pytest.mark.parametrize("width", [0.5, 2.0, 8.0])
def test_a_gap_along_several_grids_is_shared_out(width: float) -> None:
    cells = shapes.squares(6, 2)
    assert_shared_out(cells, street((20, 100), (580, 100), width=width), 6, None)
    assert_shared_out(cells, street((20, 100.2), (580, 99.8), width=width), 6, None)


@pytest.mark.parametrize("bounded", [True, False])
def test_a_gap_along_the_boundary_is_shared_out(bounded: bool) -> None:
    """With the boundary; without one it is no gap, and nothing changes."""
    cells = shapes.squares(6, 2)
    gap = street((0, 0), (600, 0))
    if bounded:
        assert_shared_out(cells, gap, 6, shapes.outline(cells))
    else:
        grids = cells.set_geometry(cells.geometry.difference(gap))
        assert bytes_of(repair(grids).grids) == bytes_of(grids)


def sectors() -> gpd.GeoDataFrame:
    """Three sectors of four grids each, from the middle outwards."""

    def place(k: int, j: int) -> tuple[float, float]:
        angle = np.radians(30 + 120 * k)
        return (100 * j * np.cos(angle), 100 * j * np.sin(angle))

    cells = {}
    for k in range(3):
        for j in range(4):
            inner, outer = (place(k, j), place(k + 1, j)), (place(k + 1, j + 1), place(k, j + 1))
            cells[f"{k}{j}"] = shapely.Polygon([*(inner[:1] if j == 0 else inner), *outer])
    return shapes.frame(cells.values(), list(cells))


@pytest.mark.parametrize("width", [0.5, 2.0, 8.0])
def test_a_gap_in_the_form_of_a_y_is_shared_out(width: float) -> None:
    ends = [(390 * np.cos(np.radians(angle)), 390 * np.sin(np.radians(angle))) for angle in (30, 150, 270)]
    gap = shapely.union_all([street((0, 0), end, width=width) for end in ends])
    assert_shared_out(sectors(), gap, 9, None)


@pytest.mark.parametrize("width", [0.5, 2.0, 8.0])
def test_a_gap_in_the_form_of_a_ring_is_shared_out(width: float) -> None:
    ring = shapely.box(*(np.array([100, 100, 400, 400]) + np.tile([shapes.X0, shapes.Y0], 2))).boundary
    gap = ring.buffer(width / 2, join_style="mitre")
    assert_shared_out(shapes.squares(6, 6), gap, 8, None)


def test_ground_between_arms_of_a_gap_is_not_contested() -> None:
    """Borders that match run through the faces between the arms: here the middle of one lies on the line x = 300."""
    cells = shapes.squares(6, 6)
    arms = [street((300, 300), end) for end in ((300, 20), (40, 560), (560, 560))]
    grids = cells.set_geometry(cells.geometry.difference(shapely.union_all(arms)))
    fixed, log, left, _ = repair(grids)
    assert not set(left["kind"]) - {"multipart"}
    assert not {"63", "64"} & set(log["code"])
    assert fixed.geometry.area.sum() == pytest.approx(360_000)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.3, 8.0))
def test_a_gap_across_a_voronoi_tiling_is_shared_out(seed: int, width: float) -> None:
    """A street through ten to twenty cells: every cell gets back about what it lost on its side."""
    clean = shapes.voronoi(16, seed, 2)
    rng = np.random.default_rng(seed)
    y = rng.uniform(200, 800, 2)
    gap = street((60, y[0]), (940, y[1]), width=width)
    grids = clean.set_geometry(clean.geometry.difference(gap))
    if (grids.geometry.geom_type != "Polygon").any():
        return  # cells that it cuts in two are another matter
    fixed, log, left, _ = repair(grids, shapes.outline(clean))
    assert not set(left["kind"]) - {"multipart"}
    assert (log["gained_m2"] < 0.75 * gap.area).all()
    assert log["gained_m2"].sum() == pytest.approx(gap.area, abs=AREA_M2)
    for without, after in zip(grids.geometry, fixed.geometry, strict=True):
        assert compactness(after) > 0.5 * compactness(without)


# --- settings ---------------------------------------------------------------------------------------------------------


def test_inlets_are_filled_up_to_the_width() -> None:
    east = shapely.Polygon([(100, 0), (200, 0), (200, 100), (102, 100), (102, 10), (100, 10)])
    grids = shapes.frame([shapely.box(0, 0, 100, 100), east], ["W", "E"])
    for width, filled in ((0.0, 0), (1.0, 0), (5.0, 180)):
        fixed, log, left, _ = repair(grids, inlet_width=width)
        assert fixed.geometry.area.sum() == pytest.approx(19_820 + filled)
        assert log["gained_m2"].sum() == pytest.approx(filled)
        assert len(left) == 0


def with_part(area: float) -> gpd.GeoDataFrame:
    """The chessboard; 11 also has the south-west corner of 33, of `area` m²."""
    cells = shapes.squares()
    part = shapes.square(shapes.X0 + 200, shapes.Y0 + 200, area**0.5)
    grids = shapes.replaced(cells, "33", shapes.shape_of(cells, "33").difference(part))
    return shapes.replaced(grids, "11", shapely.union(shapes.shape_of(cells, "11"), part))


def test_small_parts_go_to_a_neighbour_up_to_the_limit() -> None:
    for area, limit, goes in ((400, 500, True), (400, 300, False), (400, 0, False), (2500, 10_000, False)):
        fixed, log, left, _ = repair(with_part(area), small_part_m2=limit)
        assert (shapely.get_num_geometries(shapes.shape_of(fixed, "11")) == 1) == goes
        assert left["kind"].tolist() == ([] if goes else ["multipart"])
        assert ("11" in set(log["code"])) == goes
        if goes:
            assert "33" in log["code"].tolist() and log["gained_m2"].max() == pytest.approx(area)


def test_slivers_are_merged_only_when_asked() -> None:
    grids = shapes.with_sliver()
    fixed, log, left, _ = repair(grids)
    assert bytes_of(fixed) == bytes_of(grids) and left["kind"].tolist() == ["sliver"] and len(log) == 0
    fixed, log, left, _ = repair(grids, merge_slivers=True)
    assert shapes.shape_of(fixed, "strip").is_empty and left["kind"].tolist() == ["empty"]
    assert fixed.geometry.area.sum() == pytest.approx(grids.geometry.area.sum())
    assert log["code"].tolist() == ["strip", "east"] or log["code"].tolist() == ["west", "strip"]


def test_a_snap_closes_what_is_finer_and_nothing_else() -> None:
    """Gap and overlap of 5 cm are closed by moving vertices onto the other border; 5 m is mended by exchange."""
    for grids in (shapes.gapped(0.05), shapes.overlapping(0.05)):
        fixed, log, left, _ = repair(grids, snap=0.2)
        assert len(left) == 0
        assert fixed.geometry.area.sum() == pytest.approx(90_000, abs=1e-6)
        assert len(log) >= 1 and log["farthest_move_m"].max() <= 0.2
    wide = shapes.gapped(5.0)
    assert bytes_of(repair(wide, snap=0.2).grids) == bytes_of(repair(wide).grids)
    cells = shapes.squares()
    assert bytes_of(repair(cells, snap=0.2).grids) == bytes_of(cells)


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"receiver": "tallest"}, InputError, r"there is no such receiver.*'tallest'.*longest_border or largest or"),
        ({"protect": ["22", "99", "98"]}, SchemaError, r"no grid has the codes to protect.*98.*99.*2 unknown"),
        ({"receiver": "least_load"}, SchemaError, r"there is no column 'households'.*the columns code, name, geometry"),
        ({"load": "people", "receiver": "least_load"}, SchemaError, r"there is no column 'people'"),
        ({"priority": "rank"}, SchemaError, r"there is no column 'rank'"),
        (
            {"priority": "name"},
            SchemaError,
            r"the column 'name' has values that are no numbers.*网格11.*numbers",
        ),
        ({"code": "number"}, SchemaError, r"there is no column 'number'"),
        ({"inlet_width": -1.0}, InputError, r"inlet_width must be a number ≥ 0.*-1\.0"),
        ({"small_part_m2": float("nan")}, InputError, r"small_part_m2 must be a number ≥ 0.*nan"),
        ({"snap": float("inf")}, InputError, r"snap must be a number ≥ 0.*inf"),
    ],
)
def test_what_cannot_be_done_is_said(how: dict[str, Any], error: type[Exception], message: str) -> None:
    grids = shapes.overlapping()
    with pytest.raises(error, match=f"(?s){message}"):
        repair(grids, **how)


def test_bad_tables_are_refused() -> None:
    with pytest.raises(SchemaError, match="there are no grids to check"):
        repair(shapes.squares().iloc[:0])
    with pytest.raises(CRSError):
        repair(shapes.squares().set_crs(None, allow_override=True))
    lines = shapes.frame([shapely.LineString([(0, 0), (1, 1)]), shapes.square(0, 0, 9)])
    with pytest.raises(GeometryError, match=r"(?s)wrong type.*LineString"):
        repair(lines)
    mixed = shapes.squares().assign(priority=[1, 2, "x", *[None] * 6])
    with pytest.raises(SchemaError, match=r"(?s)the column 'priority' has values that are no numbers.*13.*'x'"):
        repair(mixed, priority="priority")
    nowhere = shapes.squares().assign(parent="A")
    with pytest.raises(SchemaError, match="there is no column 'community'"):
        repair(nowhere, parents=shapes.frame([shapes.square(0, 0, 300)], ["A"]), parent="community")
