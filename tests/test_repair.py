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

from gridgis.plan.repair import Repaired, repair
from gridgis.plan.validate import validate

#: Each law runs in metres and degrees, with and without a boundary: 4 × 125 examples.
LAWS = settings(max_examples=125, deadline=None)
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


def copies(frame: gpd.GeoDataFrame) -> set[int]:
    """Rows that are further copies of others, or the first of them; to 10 cm² of a micrometre's strip."""
    polygons = whole(frame)
    rows = np.flatnonzero(has_ground(frame))
    first, second = shapely.STRtree(polygons[rows]).query(polygons[rows], predicate="intersects")
    one, other = rows[first[first != second]], rows[second[first != second]]
    apart = shapely.area(shapely.symmetric_difference(polygons[one], polygons[other])) * m2(frame)
    return set(one[apart <= 1e-3].tolist())


# --- laws -------------------------------------------------------------------------------------------------------------


def assert_only_what_may_stay_is_left(result: Repaired, boundary: gpd.GeoDataFrame | None) -> None:
    assert set(result.left["kind"]) <= MAY_STAY
    found = validate(result.grids, boundary)
    pd.testing.assert_frame_equal(pd.DataFrame(result.left), pd.DataFrame(found))


def assert_rows_stay(given_: gpd.GeoDataFrame, result: Repaired) -> None:
    fixed = result.grids
    assert fixed.index.equals(given_.index) and fixed.crs == given_.crs
    assert fixed.geometry.name == given_.geometry.name and list(fixed.columns) == list(given_.columns)
    pd.testing.assert_frame_equal(
        pd.DataFrame(fixed.drop(columns=fixed.geometry.name)), pd.DataFrame(given_.drop(columns=given_.geometry.name))
    )
    emptied = set(np.flatnonzero(has_ground(given_) & ~has_ground(fixed)).tolist())
    assert emptied <= copies(given_)
    geometry = np.asarray(fixed.geometry.array, dtype=object)[has_ground(fixed)]
    assert shapely.is_valid(geometry).all()


def assert_all_is_covered_once(given_: gpd.GeoDataFrame, result: Repaired, boundary: gpd.GeoDataFrame | None) -> None:
    total = sum(shape.area for shape in result.grids.geometry if shape is not None)
    ground = enclosed(given_) if boundary is None else boundary.geometry.iloc[0].area
    assert total * m2(given_) == pytest.approx(ground * m2(given_), abs=AREA_M2)


def trouble_of(given_: gpd.GeoDataFrame, boundary: gpd.GeoDataFrame | None) -> Any:
    """The ground of all defects, and what they cut off from the rest of a grid."""
    defects = validate(given_, boundary, min_area=0.0)
    ground = shapely.union_all([shape for shape in defects.geometry if shape is not None])
    cut_off = []
    for shape in whole(given_)[has_ground(given_)]:
        parts = shapely.get_parts(shapely.difference(shape, ground))
        cut_off += sorted(parts, key=shapely.area)[:-1]
    return shapely.union_all([ground, *cut_off])


def assert_nothing_else_moves(given_: gpd.GeoDataFrame, result: Repaired, boundary: gpd.GeoDataFrame | None) -> None:
    """Grids that no defect touches are the very same bytes; so are all vertices that lie on no contested ground.

    Contested is the ground of every defect (with the vertices that edges lack), and what it cuts off from a grid. A
    vertex that is new was another grid's or the boundary's, or it lies on contested ground. Only where the table has
    vertices less than a millimetre apart (coordinates rounded by another program) borders cross in strips that are
    noise: there a vertex may come or go on the border, within ten micrometres.
    """
    trouble = trouble_of(given_, boundary)
    shapely.prepare(trouble)
    reach = TOUCHES_M / metres(given_)
    before, after = whole(given_), np.asarray(result.grids.geometry.array, dtype=object)
    invalid = ~shapely.is_valid(np.asarray(given_.geometry.array, dtype=object))
    known = set().union(*(vertices(shape) for shape in before))
    known |= set() if boundary is None else vertices(boundary.geometry.iloc[0])
    rounded = len(cKDTree(sorted(known)).query_pairs(1e-3 / metres(given_))) > 0
    for row in np.flatnonzero(has_ground(given_)).tolist():
        if not invalid[row] and not shapely.dwithin(before[row], trouble, reach):
            assert after[row].wkb == given_.geometry.iloc[row].wkb
        old, new = vertices(before[row]), vertices(after[row])
        for places, shape in ((old - new, after[row]), (new - known, before[row])):
            points = shapely.points(sorted(places))
            far = points[~shapely.dwithin(points, trouble, reach)] if places else points
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
    assert_rows_stay(grids, result)
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
