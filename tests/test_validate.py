"""Do the grids tile the ground? Laws first, then each kind of defect, real places, bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import shapes
from hypothesis import given, settings
from hypothesis import strategies as st

from gridgis.errors import CRSError, GeometryError, GridgisWarning, InputError, SchemaError
from gridgis.plan.checking.ruler import NOISE_M, widths
from gridgis.plan.checking.segments import directed_segments, unmatched
from gridgis.plan.validate import validate, verdict
from gridgis.schema import DEFECT_KINDS

OVERLAPS = ("overlap", "contained", "duplicate")
MISSING = ("gap", "uncovered")
LAWS = settings(max_examples=25, deadline=None)

seeds = st.integers(0, 10_000)
places_in = st.sampled_from(["metres", "degrees"])
bounded = st.booleans()


def tiling(seed: int, unit: str, cells: int = 14) -> gpd.GeoDataFrame:
    metres = shapes.voronoi(cells, seed)
    return metres if unit == "metres" else shapes.in_degrees(metres)


def per_metre(grids: gpd.GeoDataFrame) -> float:
    """Units of the table's CRS in a metre, about."""
    return 1 / shapes.METRES_PER_DEGREE[1] if grids.crs.is_geographic else 1.0


def kinds(defects: gpd.GeoDataFrame) -> set[str]:
    return set(defects["kind"])


def of_kind(defects: gpd.GeoDataFrame, *names: str) -> gpd.GeoDataFrame:
    return defects[defects["kind"].isin(names)]


def facts(defects: gpd.GeoDataFrame) -> list[tuple[object, ...]]:
    """What must not depend on the order of rows: kind, codes and size (to 1e-6 m²) of each defect."""
    rows = zip(defects["kind"], defects["codes"], defects["area_m2"].round(6) + 0.0, strict=True)
    return sorted(rows)


# --- faults, injected -------------------------------------------------------------------------------------------------


def moved_vertex(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """One vertex of one grid off by 5 cm to 5 m, towards its inside or away from it."""
    shape = grids.geometry.iloc[row]
    xy = shapely.get_coordinates(shape)[:-1]
    at = int(rng.integers(len(xy)))
    off = rng.normal(size=2)
    xy[at] += off / np.hypot(*off) * rng.choice([0.05, 0.5, 5.0]) * per_metre(grids)
    return shapes.replaced(grids, grids["code"].iloc[row], shapely.Polygon(xy))


def dropped_cell(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    return grids.drop(index=row).reset_index(drop=True)


def copied_row(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    copy = grids.iloc[[row]].assign(code="copy")
    return gpd.GeoDataFrame(pd.concat([grids, copy], ignore_index=True), crs=grids.crs)


def shifted_cell(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    dx, dy = rng.choice([-1, 1], 2) * rng.uniform(1, 20, 2) * per_metre(grids)
    return shapes.moved(grids, grids["code"].iloc[row], dx, dy)


def punched_hole(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    shape = grids.geometry.iloc[row]
    centre = shapely.maximum_inscribed_circle(shape)
    radius = rng.uniform(0.05, 0.5) * centre.length
    hole = shapely.Point(centre.coords[0]).buffer(radius, quad_segs=2)
    return shapes.replaced(grids, grids["code"].iloc[row], shapely.Polygon(shape.exterior, [hole.exterior]))


def crossed_ring(grids: gpd.GeoDataFrame, row: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    xy = shapely.get_coordinates(grids.geometry.iloc[row])[:-1]
    quarter = len(xy) // 4
    xy[[0, 2 * quarter]] = xy[[2 * quarter, 0]]
    return shapes.replaced(grids, grids["code"].iloc[row], shapely.Polygon(xy))


FAULTS: list[Callable[..., gpd.GeoDataFrame]] = [
    moved_vertex,
    dropped_cell,
    copied_row,
    shifted_cell,
    punched_hole,
    crossed_ring,
]


# --- laws -------------------------------------------------------------------------------------------------------------


@LAWS
@given(seeds, places_in, bounded, st.integers(4, 40))
def test_a_clean_tiling_has_no_defect(seed: int, unit: str, given_boundary: bool, cells: int) -> None:
    grids = tiling(seed, unit, cells)
    defects = validate(grids, shapes.outline(grids) if given_boundary else None)
    assert len(defects) == 0
    assert verdict(defects, strict=True)["valid"] is True


@LAWS
@given(seeds, places_in, st.sampled_from(FAULTS))
def test_sizes_equal_those_of_plain_overlay(seed: int, unit: str, fault: Callable[..., gpd.GeoDataFrame]) -> None:
    """Every m² of pairwise overlap, of ground not covered and of grid beyond it is in exactly one defect."""
    clean = tiling(seed, unit)
    rng = np.random.default_rng(seed)
    grids = fault(clean, int(rng.integers(len(clean))), rng)
    boundary = shapes.outline(clean)
    defects = validate(grids, boundary, min_area=0.0)
    polygons = shapely.make_valid(np.asarray(grids.geometry.array), method="structure")
    ground = boundary.geometry.iloc[0]
    common = [shapely.intersection(a, b) for a, b in combinations(polygons, 2)]
    wanted = [common, [shapely.difference(ground, shapely.union_all(polygons))], shapely.difference(polygons, ground)]
    for names, parts in zip((OVERLAPS, MISSING, ("outside",)), wanted, strict=True):
        area = gpd.GeoSeries(list(parts), crs=grids.crs).to_crs(4548).area.sum()
        assert of_kind(defects, *names)["area_m2"].sum() == pytest.approx(area, rel=1e-6, abs=1e-3)


@LAWS
@given(seeds, places_in, bounded)
def test_a_moved_vertex_is_found(seed: int, unit: str, given_boundary: bool) -> None:
    clean, rng = tiling(seed, unit), np.random.default_rng(seed)
    row = int(rng.integers(len(clean)))
    grids = moved_vertex(clean, row, rng)
    defects = validate(grids, shapes.outline(clean) if given_boundary else None)
    found = of_kind(defects, "overlap", "gap", "uncovered", "outside", "invalid_ring")
    before, after, outline = (
        {tuple(xy) for xy in shapely.get_coordinates(shape)}
        for shape in (clean.geometry.iloc[row], grids.geometry.iloc[row], clean.union_all())
    )
    # Without a boundary, a vertex of the outline only makes another outline.
    assert len(found) >= (1 if given_boundary or not before - after <= outline else 0)
    assert all(clean["code"].iloc[row] in codes for codes in found["codes"])


@LAWS
@given(seeds, places_in)
def test_a_dropped_cell_is_a_gap_beside_its_neighbours(seed: int, unit: str) -> None:
    clean, rng = tiling(seed, unit), np.random.default_rng(seed)
    row = int(rng.integers(len(clean)))
    hole = clean.geometry.iloc[row]
    defects = validate(dropped_cell(clean, row, rng), shapes.outline(clean))
    polygons = np.asarray(clean.geometry.array)
    outer = shapely.length(shapely.intersection(clean.union_all().boundary, hole.boundary)) > 0
    shared = shapely.length(shapely.intersection(shapely.boundary(polygons), hole.boundary)) > 0
    assert defects["kind"].tolist() == ["uncovered" if outer else "gap"]
    assert defects["codes"].iloc[0] == tuple(sorted(set(clean["code"][shared]) - {clean["code"].iloc[row]}))
    assert defects.geometry.iloc[0].equals(hole)


@LAWS
@given(seeds, places_in, bounded)
def test_a_copied_row_is_one_duplicate(seed: int, unit: str, given_boundary: bool) -> None:
    clean, rng = tiling(seed, unit), np.random.default_rng(seed)
    row = int(rng.integers(len(clean)))
    defects = validate(copied_row(clean, row, rng), shapes.outline(clean) if given_boundary else None)
    assert defects["kind"].tolist() == ["duplicate"]
    assert defects["codes"].iloc[0] == ("copy", clean["code"].iloc[row])


@LAWS
@given(seeds, places_in, bounded)
def test_a_shifted_cell_overlaps(seed: int, unit: str, given_boundary: bool) -> None:
    clean, rng = tiling(seed, unit), np.random.default_rng(seed)
    row = int(rng.integers(len(clean)))
    grids = shifted_cell(clean, row, rng)
    defects = validate(grids, shapes.outline(clean) if given_boundary else None)
    code, shape = clean["code"].iloc[row], grids.geometry.iloc[row]
    others = grids[grids["code"] != code]
    common = shapely.area(shapely.intersection(np.asarray(others.geometry.array), shape))
    hit = set(others["code"][common > 1e-2 * per_metre(grids) ** 2])
    overlaps = of_kind(defects, "overlap")
    assert hit <= {other for codes in overlaps["codes"] for other in codes}
    assert all(code in codes for codes in overlaps["codes"])


@LAWS
@given(seeds, places_in, bounded)
def test_a_hole_in_a_cell_is_a_gap(seed: int, unit: str, given_boundary: bool) -> None:
    clean, rng = tiling(seed, unit), np.random.default_rng(seed)
    row = int(rng.integers(len(clean)))
    defects = validate(punched_hole(clean, row, rng), shapes.outline(clean) if given_boundary else None)
    assert defects[["kind", "codes"]].values.tolist() == [["gap", (clean["code"].iloc[row],)]]


@LAWS
@given(seeds, places_in, bounded)
def test_a_crossed_ring_is_named(seed: int, unit: str, given_boundary: bool) -> None:
    clean, rng = tiling(seed, unit), np.random.default_rng(seed)
    row = int(rng.integers(len(clean)))
    grids = crossed_ring(clean, row, rng)
    defects = validate(grids, shapes.outline(clean) if given_boundary else None)
    crossed = not grids.geometry.iloc[row].is_valid
    named = of_kind(defects, "invalid_ring")["codes"].tolist()
    assert named == ([(clean["code"].iloc[row],)] if crossed else [])


@LAWS
@given(seeds, places_in, st.sampled_from(FAULTS), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(
    seed: int, unit: str, fault: Callable[..., gpd.GeoDataFrame], random: object
) -> None:
    clean, rng = tiling(seed, unit), np.random.default_rng(seed)
    grids = fault(clean, int(rng.integers(len(clean))), rng)
    order = rng.permutation(len(grids))
    assert facts(validate(grids)) == facts(validate(grids.iloc[order]))


@LAWS
@given(
    seeds,
    st.sampled_from(FAULTS),
    st.tuples(st.floats(0, 500), st.floats(0, 500)).map(sorted),
    st.tuples(st.floats(0, 5), st.floats(0, 5)).map(sorted),
)
def test_a_larger_tolerance_reports_nothing_new(
    seed: int, fault: Callable[..., gpd.GeoDataFrame], areas: list[float], breadths: list[float]
) -> None:
    clean, rng = tiling(seed, "metres"), np.random.default_rng(seed)
    grids = fault(clean, int(rng.integers(len(clean))), rng)
    boundary = shapes.outline(clean)
    low, high = (
        facts(validate(grids, boundary, min_area=a, min_width=w)) for a, w in zip(areas, breadths, strict=True)
    )
    assert set(high) <= set(low)


@LAWS
@given(seeds, st.sampled_from(FAULTS))
def test_other_codes_give_the_same_defects(seed: int, fault: Callable[..., gpd.GeoDataFrame]) -> None:
    clean, rng = tiling(seed, "metres"), np.random.default_rng(seed)
    grids = fault(clean, int(rng.integers(len(clean))), rng)
    there = {code: f"{900 - i}" for i, code in enumerate(grids["code"])}
    renamed = validate(grids.assign(code=grids["code"].map(there)))
    back = {new: old for old, new in there.items()}
    names = [tuple(sorted(back[c] for c in codes)) for codes in renamed["codes"]]
    plain = validate(grids)
    assert sorted(zip(renamed["kind"], names, strict=True)) == sorted(
        (kind, tuple(sorted(codes))) for kind, codes in zip(plain["kind"], plain["codes"], strict=True)
    )


@LAWS
@given(seeds, st.booleans())
def test_opposite_segments_cancel(seed: int, reverse: bool) -> None:
    """What is left without a match is the outline, whichever way round the rings are drawn."""
    grids = shapes.voronoi(10, seed)
    polygons = np.asarray(grids.geometry.array)
    left = unmatched(directed_segments(shapely.reverse(polygons) if reverse else polygons))
    ring = directed_segments(np.array([grids.union_all()], dtype=object))
    assert {tuple(r) for r in np.hstack([left.start, left.end])} == {
        tuple(r) for r in np.hstack([ring.start, ring.end])
    }


@pytest.mark.parametrize("make", [*shapes.CLEAN.values(), *shapes.FAULTY.values(), shapes.with_none])
def test_the_input_stays_as_it_was(make: Callable[[], gpd.GeoDataFrame]) -> None:
    grids, before = make(), make()
    boundary = shapes.outline(shapes.squares())
    validate(grids, boundary)
    assert [None if g is None else g.wkb for g in grids.geometry] == [
        None if g is None else g.wkb for g in before.geometry
    ]
    pd.testing.assert_frame_equal(
        pd.DataFrame(grids.drop(columns="geometry")), pd.DataFrame(before.drop(columns="geometry"))
    )
    assert grids.attrs == {}


def test_the_same_input_gives_the_same_bytes() -> None:
    grids = shapes.in_degrees(shapes.overlapping())
    first, second = (json.dumps(verdict(validate(grids))) + validate(grids).to_wkt().to_csv() for _ in range(2))
    assert first == second


# --- each kind --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["metres", "degrees"])
@pytest.mark.parametrize("kind", shapes.FAULTY)
def test_each_kind_of_the_zoo(kind: str, unit: str) -> None:
    grids = shapes.FAULTY[kind]()
    defects = validate(grids if unit == "metres" else shapes.in_degrees(grids))
    first = of_kind(defects, kind)
    assert len(first) == 1
    severity = "warning" if kind in ("sliver", "multipart", "unmatched_edge") else "error"
    assert first["severity"].tolist() == [severity]
    assert verdict(defects)["valid"] is (severity == "warning")
    assert verdict(defects, strict=True)["valid"] is False
    chinese, _, english = first["message"].iloc[0].partition(" / ")
    assert any("一" <= c <= "鿿" for c in chinese) and english.replace("m²", "m2").isascii()


@pytest.mark.parametrize("name", shapes.CLEAN)
def test_the_clean_ones_tile_their_own_outline(name: str) -> None:
    grids = shapes.CLEAN[name]()
    assert len(validate(grids, shapes.outline(grids))) == 0
    assert kinds(validate(grids)) == ({"gap"} if name == "with_lake" else set())


@pytest.mark.parametrize("size", [5.0, 0.05, 0.001])
@pytest.mark.parametrize("unit", ["metres", "degrees"])
@pytest.mark.parametrize(("make", "kind"), [(shapes.overlapping, "overlap"), (shapes.gapped, "gap")])
def test_a_strip_is_measured_in_metres(
    make: Callable[..., gpd.GeoDataFrame], kind: str, unit: str, size: float
) -> None:
    grids = make(size)
    found = of_kind(validate(grids if unit == "metres" else shapes.in_degrees(grids)), kind)
    assert found["area_m2"].tolist() == [pytest.approx(100 * size, rel=1e-4)]
    assert found["width_m"].iloc[0] == pytest.approx(size, rel=0.08)
    spot = gpd.GeoSeries(gpd.points_from_xy(found["lon"], found["lat"]), crs=4326).to_crs(found.crs)
    assert shapely.distance(spot.iloc[0], found.geometry.iloc[0]) < 1e-6


def test_a_defect_must_exceed_both_tolerances() -> None:
    grids = shapes.overlapping(5.0)
    assert "overlap" in kinds(validate(grids, min_area=499.9, min_width=4.9))
    assert "overlap" not in kinds(validate(grids, min_area=500.1))
    assert "overlap" not in kinds(validate(grids, min_width=5.01))


def test_gaps_closed_by_point_touches_are_found() -> None:
    defects = of_kind(validate(shapes.touching_gap()), "gap")
    assert defects["area_m2"].tolist() == [4.0, 4.0]
    assert defects["codes"].tolist() == [("comb", "square")] * 2


def test_an_overlap_of_some_micrometres_is_told_where_a_border_of_the_ground_crosses_it() -> None:
    # Found by a law of repair: the face runs across the outline, and a point of it beside an edge misled.
    south = [
        (116.38670480482239, 39.97872660249542), (116.38667966687807, 39.97748440166361),
        (116.38676071087247, 39.97624220083181), (116.38670480482239, 39.975),
        (116.38505358002813, 39.97496314782213), (116.38340235523387, 39.97498333977964),
        (116.38175113043961, 39.975), (116.38166958630397, 39.97570711686248),
        (116.38154927411617, 39.97641149372662), (116.38149800500973, 39.977120750328524),
        (116.3816107960063, 39.97733526860756), (116.3817201826175, 39.97755081091812),
        (116.3818264356068, 39.97776729581515), (116.38231734072268, 39.97811200025529),
        (116.3828363819903, 39.97843231489387), (116.38331727815343, 39.978785695587035),
        (116.38444554430231, 39.978735128034515), (116.38557650027842, 39.97877586672616),
    ]  # fmt: skip
    north = [
        (116.38670480482239, 39.982684021616755), (116.3857834962252, 39.982115299256925),
        (116.38484468426289, 39.98156444944832), (116.38387636214667, 39.98104373249269),
        (116.38366322818517, 39.98029497860842), (116.38349888336163, 39.97953907228102),
        (116.38331727863287, 39.97878569601441), (116.38444554456605, 39.97873512812429),
        (116.38557650026335, 39.97877586669669), (116.38670480482239, 39.978726602116645),
        (116.38674559372622, 39.98004574195001), (116.38674162345643, 39.981364881783385),
    ]  # fmt: skip
    ground = [
        (116.38667966687807, 39.97748440166361), (116.38676071087247, 39.97624220083181),
        (116.38670480482239, 39.975), (116.38505358002813, 39.97496314782213),
        (116.38340235523387, 39.97498333977964), (116.38175113043961, 39.975),
        (116.3795007536264, 39.975007535889404), (116.37725037681321, 39.97493215949273), (116.375, 39.975),
        (116.37497774179432, 39.976076558045555), (116.37504983266406, 39.97715311609112),
        (116.375, 39.97822967413667), (116.37496576481588, 39.97959847253994),
        (116.37503047725312, 39.9809672709432), (116.375, 39.98233606934646),
        (116.37498810586791, 39.98289303970091), (116.37501065468523, 39.983450010055364),
        (116.375, 39.984006980409816), (116.37614688879383, 39.983985709850586),
        (116.37729377758764, 39.98402617544328), (116.37844066638147, 39.984006980409816),
        (116.3811953791951, 39.984064061856415), (116.38395009200875, 39.9839518065273),
        (116.38670480482239, 39.984006980409816), (116.3866949596152, 39.98356599419756),
        (116.38668417528952, 39.98312500798531), (116.38670480482239, 39.98268402177306),
        (116.38674162297049, 39.98136488201385), (116.38674559374194, 39.98004574225464),
        (116.38670480482239, 39.97872660249542),
    ]  # fmt: skip
    grids = gpd.GeoDataFrame({"code": ["S", "N"]}, geometry=[shapely.Polygon(south), shapely.Polygon(north)], crs=4326)
    for boundary in (None, gpd.GeoDataFrame(geometry=[shapely.Polygon(ground)], crs=4326)):
        found = validate(grids, boundary)
        (overlap,) = found[found["kind"] == "overlap"].to_dict("records")
        assert overlap["codes"] == ("N", "S")
        assert overlap["area_m2"] == pytest.approx(0.0022292, rel=1e-3)


def test_ground_along_the_outline_is_uncovered_and_ground_inside_a_gap() -> None:
    grids = shapes.replaced(shapes.squares(), "23", None)
    boundary = shapes.outline(shapes.squares())
    defects = of_kind(validate(grids, boundary), *MISSING)
    assert defects[["kind", "codes", "area_m2"]].values.tolist() == [["uncovered", ("13", "22", "33"), 10_000.0]]
    assert kinds(validate(grids)) == {"empty"}
    assert kinds(validate(shapes.with_lake(), boundary)) == {"gap"}


def test_what_lies_beyond_the_boundary_is_outside() -> None:
    grids, boundary = shapes.squares(), shapes.outline(shapes.squares(2, 3))
    defects = validate(grids, boundary)
    assert defects[["kind", "codes", "area_m2", "width_m"]].values.tolist() == [
        ["outside", (code,), 10_000.0, 100.0] for code in ("13", "23", "33")
    ]


def test_overlap_and_outside_in_one_face_are_both_found() -> None:
    """22's copy of ground ends where the boundary does not: the face of too much crosses the boundary."""
    grids = shapes.frame([shapes.square(0, 0, 100), shapes.square(50, 0, 100)], ["in", "out"])
    boundary = shapes.frame([shapes.square(0, 0, 100)])
    defects = of_kind(validate(grids, boundary), "overlap", "outside")
    assert defects[["kind", "codes", "area_m2"]].values.tolist() == [
        ["overlap", ("in", "out"), 5000.0],
        ["outside", ("out",), 5000.0],
    ]


def test_a_boundary_of_several_rows_and_parts_with_a_hole() -> None:
    grids = shapes.with_lake()
    whole = shapes.outline(grids)
    island = shapes.frame([shapes.square(900, 0, 50)])
    x, y = shapes.X0, shapes.Y0
    halves = [
        shapely.intersection(whole.geometry.iloc[0], shapely.box(x + w, y, x + w + 150, y + 300)) for w in (0, 150)
    ]
    rows = gpd.GeoDataFrame(geometry=[*halves, *island.geometry, None], crs=grids.crs)
    defects = validate(grids, rows)
    assert defects[["kind", "codes", "area_m2"]].values.tolist() == [["uncovered", (), 2500.0]]


@settings(max_examples=40, deadline=None)
@given(seeds, places_in)
def test_a_node_on_the_boundarys_edge_is_no_defect(seed: int, unit: str) -> None:
    """The grids meet in the middle of long edges that the boundary has no vertex on, at any slant."""
    rng = np.random.default_rng(seed)
    corners = np.array([[0, 0], [1000, 100], [900, 1100], [-100, 1000]]) + rng.uniform(-90, 90, (4, 2))
    ground = shapes.frame([shapely.Polygon(corners)])
    ground = ground if unit == "metres" else shapes.in_degrees(ground)
    a, b, c, d = shapely.get_coordinates(ground.geometry.iloc[0])[:4]
    t, u = rng.uniform(0.1, 0.9, 2)
    low, high = a + t * (b - a), d + u * (c - d)
    grids = shapes.frame_of([shapely.Polygon([a, low, high, d]), shapely.Polygon([low, b, c, high])], ["w", "e"])
    grids = grids.set_crs(ground.crs, allow_override=True)
    assert len(validate(grids, ground)) == 0


@settings(max_examples=40, deadline=None)
@given(seeds, places_in)
def test_a_vertex_that_one_side_lacks_is_only_warned_of(seed: int, unit: str) -> None:
    """However the edge slants, rounding makes no gap of it."""
    clean, rng = tiling(seed, unit), np.random.default_rng(seed)
    row = int(rng.integers(len(clean)))
    xy = shapely.get_coordinates(clean.geometry.iloc[row])
    at = int(rng.integers(len(xy) - 1))
    between = xy[at] + rng.uniform(0.2, 0.8) * (xy[at + 1] - xy[at])
    grids = shapes.replaced(clean, clean["code"].iloc[row], shapely.Polygon(np.insert(xy, at + 1, between, axis=0)))
    defects = validate(grids)
    assert kinds(defects) <= {"unmatched_edge"}
    on_outline = shapely.dwithin(clean.union_all().boundary, shapely.Point(between), 1e-9)
    assert len(defects) == (0 if on_outline else 1)
    for codes, point in zip(defects["codes"], defects.geometry, strict=True):
        assert codes[1:] == (clean["code"].iloc[row],)
        assert point.equals(shapely.MultiPoint([between]))


def test_an_unmatched_edge_names_who_lacks_the_vertex() -> None:
    defects = validate(shapes.t_junction())
    assert defects[["kind", "codes", "area_m2"]].values.tolist() == [["unmatched_edge", ("wide", "east", "west"), 0.0]]
    assert defects.geometry.iloc[0].equals(shapely.MultiPoint([(shapes.X0 + 100, shapes.Y0 + 100)]))


def test_noise_of_overlay_is_not_reported() -> None:
    grids = shapes.moved(shapes.squares(), "22", NOISE_M / 10)
    assert len(of_kind(validate(grids, min_area=0.0), *OVERLAPS, *MISSING)) == 0
    assert kinds(validate(shapes.moved(shapes.squares(), "22", NOISE_M * 10))) >= {"overlap", "gap"}


def test_three_copies_are_one_duplicate() -> None:
    cell = shapes.square(0, 0, 100)
    defects = validate(shapes.frame([cell, cell, cell, shapes.square(100, 0, 100)], ["c", "a", "b", "d"]))
    assert defects[["kind", "codes"]].values.tolist() == [["duplicate", ("a", "b", "c")]]


def test_contained_names_the_inner_grid_first() -> None:
    defects = validate(shapes.contained())
    assert defects[["kind", "codes", "area_m2"]].values.tolist() == [["contained", ("inner", "22"), 900.0]]
    assert "inner lies wholly inside 22" in defects["message"].iloc[0]


def test_a_grid_across_two_others_overlaps_each() -> None:
    grids = shapes.frame(
        [shapes.square(0, 0, 100), shapes.square(100, 0, 100), shapes.square(80, 20, 40)], ["w", "e", "x"]
    )
    defects = of_kind(validate(grids), *OVERLAPS)
    assert defects[["kind", "codes", "area_m2"]].values.tolist() == [
        ["overlap", ("e", "x"), 800.0],
        ["overlap", ("w", "x"), 800.0],
    ]


def test_rows_without_geometry_keep_their_place() -> None:
    for make, code in ((shapes.with_none, "none"), (shapes.with_empty, "empty")):
        grids = make()
        defects = validate(shapes.moved(grids, "22", 5.0))
        assert of_kind(defects, "empty")["codes"].tolist() == [(code,)]
        assert of_kind(defects, "overlap")["codes"].tolist() == [("22", "23")]
        assert defects.attrs["checked"] == 10


def test_a_table_without_any_geometry() -> None:
    grids = shapes.frame([None, None], ["a", "b"])
    defects = validate(grids)
    assert defects[["kind", "codes"]].values.tolist() == [["empty", ("a",)], ["empty", ("b",)]]
    assert verdict(defects)["defects"][0]["lon"] is None
    assert kinds(validate(grids, shapes.outline(shapes.squares()))) == {"empty", "uncovered"}


def test_a_ring_of_no_numbers_is_invalid_and_the_rest_is_checked() -> None:
    x, y = shapes.X0, shapes.Y0
    with np.errstate(invalid="ignore"):
        broken = shapely.Polygon([(x, y), (x + 1, y), (np.nan, np.nan), (x, y + 1)])
    defects = validate(shapes.replaced(shapes.squares(), "22", broken))
    assert defects[["kind", "codes"]].values.tolist() == [
        ["gap", ("12", "21", "23", "32")],
        ["invalid_ring", ("22",)],
    ]


def test_an_invalid_ring_says_where() -> None:
    found = of_kind(validate(shapes.bow_tie()), "invalid_ring")
    assert found.geometry.iloc[0].equals(shapely.Point(shapes.X0 + 150, shapes.Y0 + 150))


def test_exclaves_are_warned_of_and_measured() -> None:
    defects = validate(shapes.multipart())
    assert defects[["kind", "codes", "area_m2"]].values.tolist() == [["multipart", ("11",), 10_000.0]]
    assert len(validate(shapes.multipart(), min_area=10_001.0)) == 0


def test_codes_are_text_and_missing_ones_are_named_by_row() -> None:
    grids = shapes.overlapping().assign(code=[*range(110108014001, 110108014010)])
    assert of_kind(validate(grids), "overlap")["codes"].tolist() == [("110108014005", "110108014006")]
    grids["code"] = grids["code"].astype(float).where(grids.index != 4)
    defects = validate(grids)
    assert of_kind(defects, "overlap")["codes"].tolist() == [("110108014006", "row 5")]
    missing = of_kind(defects, "missing_code")
    assert missing["codes"].tolist() == [()]
    assert "row 5" in missing["message"].iloc[0]


def test_a_code_of_two_rows() -> None:
    found = of_kind(validate(shapes.same_code()), "duplicate_code")
    assert found["codes"].tolist() == [("22",)]
    assert shapely.get_num_geometries(found.geometry.iloc[0]) == 2


def test_rows_are_numbered_without_a_code_column() -> None:
    grids = shapes.overlapping()
    for table, code in ((grids, None), (grids.drop(columns="code"), "code")):
        defects = validate(table, code=code)
        assert of_kind(defects, "overlap")["codes"].tolist() == [("5", "6")]
        assert defects.attrs["parameters"]["code"] is None
    assert of_kind(validate(grids, code="name"), "overlap")["codes"].tolist() == [("网格22", "网格23")]


def test_another_name_of_the_geometry_column() -> None:
    grids = shapes.overlapping().rename_geometry("shape")
    assert "overlap" in kinds(validate(grids, shapes.outline(shapes.squares()).rename_geometry("form")))


def test_z_and_doubled_vertices_are_nothing() -> None:
    grids = shapes.squares()
    ring = shapely.get_coordinates(shapes.shape_of(grids, "22"))
    doubled = shapely.Polygon(np.column_stack([np.repeat(ring, 2, axis=0), np.arange(10.0)]))
    assert len(validate(shapes.replaced(grids, "22", doubled))) == 0


def test_a_boundary_in_another_crs_is_taken_along() -> None:
    grids = shapes.in_degrees(shapes.squares())
    assert len(validate(grids, shapes.outline(grids).to_crs("EPSG:4490"))) == 0


# --- known holes, inlets, segments ------------------------------------------------------------------------------------


@LAWS
@given(seeds, places_in, bounded, st.floats(-40, 40))
def test_what_lies_beyond_a_known_hole_is_missing(seed: int, unit: str, given_boundary: bool, grow: float) -> None:
    """The hole is a missing cell, drawn larger or smaller than it is."""
    clean, rng = tiling(seed, unit), np.random.default_rng(seed)
    row = int(rng.integers(len(clean)))
    cell = clean.geometry.iloc[row]
    lake = gpd.GeoDataFrame(geometry=[shapely.buffer(cell, grow * per_metre(clean), quad_segs=2)], crs=clean.crs)
    if lake.is_empty.all():
        return
    boundary = shapes.outline(clean) if given_boundary else None
    grids = dropped_cell(clean, row, rng)
    plain, known = (of_kind(validate(grids, boundary, holes=h), *MISSING) for h in (None, lake))
    left = shapely.difference(cell, lake.geometry.iloc[0]) if len(plain) else shapely.Polygon()
    wanted = gpd.GeoSeries([left], crs=clean.crs).to_crs(4548).area.iloc[0]
    assert known["area_m2"].sum() == pytest.approx(wanted, rel=1e-6, abs=1e-3)
    assert grow < 0 or len(known) == 0


def test_two_known_holes_of_which_one_is_larger_than_its_gap() -> None:
    grids = shapes.with_lake()
    assert kinds(validate(grids)) == {"gap"}
    lake = shapes.frame([shapes.square(90, 90, 120), shapes.square(900, 900, 5)])
    defects = validate(grids, holes=lake)
    assert len(defects) == 0 and defects.attrs["parameters"]["holes"] == "given"
    half = validate(grids, holes=shapes.frame([shapes.square(100, 100, 50, 100)]))
    assert half[["kind", "area_m2"]].values.tolist() == [["gap", 5000.0]]
    with pytest.raises(GeometryError, match="holes: no row of the holes has geometry"):
        validate(grids, holes=shapes.frame([None]))


def strip(width: float = 1.0, length: float = 10.0) -> gpd.GeoDataFrame:
    """Two grids with a strip between them that is open at both ends."""
    return shapes.frame([shapes.square(0, 0, 10, length), shapes.square(10 + width, 0, 10, length)], ["w", "e"])


@pytest.mark.parametrize("unit", ["metres", "degrees"])
def test_an_inlet_is_a_gap_from_its_width_on(unit: str) -> None:
    grids = strip() if unit == "metres" else shapes.in_degrees(strip())
    assert len(validate(grids)) == len(validate(grids, inlet_width=0.99)) == 0
    defects = validate(grids, inlet_width=1.1)
    assert defects[["kind", "codes"]].values.tolist() == [["gap", ("e", "w")]]
    assert defects["area_m2"].iloc[0] == pytest.approx(10.0, rel=1e-4)
    assert defects["width_m"].iloc[0] == pytest.approx(1.0, rel=0.08)
    assert "open to the outside" in defects["message"].iloc[0]
    corners = {tuple(xy) for xy in shapely.get_coordinates(defects.geometry.iloc[0])}
    assert corners <= {tuple(xy) for xy in shapely.get_coordinates(np.asarray(grids.geometry.array))}
    assert len(validate(grids, inlet_width=1.1, min_area=10.1)) == 0


def test_a_gore_is_an_inlet_and_a_notch_a_wedge_and_a_courtyard_are_none() -> None:
    gore = shapes.frame(
        [
            shapely.box(0, 0, 80, 40),
            shapely.Polygon([(0, 80), (40, 80), (40, 40), (0, 41)]),
            shapely.box(40, 40, 80, 80),
        ]
    )
    assert of_kind(validate(gore, inlet_width=5), "gap")["area_m2"].tolist() == [20.0]
    notch = shapes.frame([shapely.box(0, 0, 10, 30), shapely.box(10, 0, 14, 26), shapely.box(14, 0, 24, 30)])
    assert len(of_kind(validate(notch, inlet_width=5), "gap")) == 0
    own = shapes.frame([shapely.box(0, 0, 30, 30).difference(shapely.box(14, 5, 15, 30)), shapely.box(30, 0, 40, 30)])
    assert len(of_kind(validate(own, inlet_width=5), "gap")) == 0
    wedge = shapes.frame([shapely.box(0, -50, 90, 0), shapely.Polygon([(0, 0), (90, 30), (0, 60)])])
    assert len(of_kind(validate(wedge, inlet_width=5), "gap")) == 0


def test_an_inlet_may_be_a_known_hole_and_needs_no_boundary() -> None:
    river = shapes.frame([shapes.square(10, -5, 1, 20)])
    assert len(validate(strip(), inlet_width=2, holes=river)) == 0
    whole = shapes.frame([shapes.square(0, 0, 21, 10)])
    assert validate(strip(), whole, inlet_width=2)["kind"].tolist() == ["uncovered"]


@LAWS
@given(seeds, places_in, st.floats(0.1, 20))
def test_a_clean_tiling_has_no_inlet(seed: int, unit: str, width: float) -> None:
    assert len(validate(tiling(seed, unit), inlet_width=width)) == 0


@LAWS
@given(seeds, st.floats(0.5, 20), st.tuples(st.floats(0, 500), st.floats(0, 500)).map(sorted))
def test_a_larger_tolerance_reports_no_new_inlet(seed: int, width: float, areas: list[float]) -> None:
    clean, rng = tiling(seed, "metres"), np.random.default_rng(seed)
    grids = moved_vertex(clean, int(rng.integers(len(clean))), rng)
    low, high = (facts(validate(grids, min_area=a, inlet_width=width)) for a in areas)
    assert set(high) <= set(low)


def test_segments_that_do_not_join() -> None:
    lines = [shapely.LineString([(0, 50), (88, 50)]), shapely.LineString([(100, 50), (200, 50)])]
    segments = shapes.frame(lines, ["S1", "S2"])
    defects = validate(shapes.squares(), segments=segments)
    assert defects[["kind", "severity", "codes", "area_m2"]].values.tolist() == [["gap", "error", ("S1", "S2"), 0.0]]
    assert "a break of 12 m" in defects["message"].iloc[0] and "中断 12 米" in defects["message"].iloc[0]
    assert defects.attrs["parameters"]["seam_m"] > 0
    assert len(validate(shapes.squares(), segments=segments, seam=12.5)) == 0
    with pytest.raises(SchemaError, match="there are no segments to check"):
        validate(shapes.squares(), segments=segments.iloc[:0])


def test_a_street_without_a_segment_is_measured_along_it() -> None:
    segments = shapes.frame([shapely.LineString([(0, 50), (100, 50)])], ["S1"])
    streets = shapes.frame([shapely.LineString([(0, 50), (900, 50)])], ["street"])
    defects = validate(shapes.squares(), segments=segments, streets=streets)
    assert defects[["kind", "codes"]].values.tolist() == [["uncovered", ("S1",)]]
    # The street counts where the grids are.
    assert shapely.length(defects.geometry.iloc[0]) == pytest.approx(200, abs=5)
    parents = shapes.frame([shapes.square(0, 0, 300)], ["A"])
    levels = validate(shapes.squares(), parents=parents, segments=segments, streets=streets).attrs["levels"]
    assert levels["segments"] == {"valid": False, "checked": 1, "counts": {"uncovered": 1}}


# --- the verdict ------------------------------------------------------------------------------------------------------


def test_the_verdict_is_the_contracts() -> None:
    found = verdict(validate(shapes.overlapping(), min_area=0.5, min_width=0.25))
    assert set(found) == {"valid", "checked", "counts", "levels", "misfit", "parameters", "defects"}
    assert (found["valid"], found["checked"], found["levels"], found["misfit"]) == (False, 9, {}, [])
    assert found["counts"] == {"overlap": 1, "unmatched_edge": 2}
    assert found["parameters"]["min_area_m2"] == 0.5 and found["parameters"]["min_width_m"] == 0.25
    assert found["parameters"]["boundary"] == "own outline" and found["parameters"]["measured_in"] == "EPSG:4548"
    keys = {"kind", "severity", "codes", "area_m2", "width_m", "lon", "lat", "message"}
    assert all(set(defect) == keys for defect in found["defects"])
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_verdict_needs_what_was_checked() -> None:
    with pytest.raises(SchemaError, match="the result of validate"):
        verdict(gpd.GeoDataFrame({"kind": [], "severity": []}, geometry=[], crs=4326))


def test_every_kind_that_is_found_is_in_the_contract() -> None:
    for make in shapes.FAULTY.values():
        assert kinds(validate(make())) <= set(DEFECT_KINDS)


def test_a_width_is_never_more_than_the_true_one() -> None:
    strip = shapely.box(0, 0, 3000, 0.02)
    found = widths(np.array([strip, shapely.box(0, 0, 4, 9), shapely.MultiPolygon([strip, shapely.box(0, 5, 2, 7)])]))
    assert found == pytest.approx([0.02, 4, 2], rel=0.01)


# --- bad input --------------------------------------------------------------------------------------------------------


def test_a_missing_crs_says_how_to_give_one() -> None:
    grids = gpd.GeoDataFrame({"code": ["1"]}, geometry=[shapes.square(0, 0, 1)])
    with pytest.raises(CRSError, match=r"missing.*EPSG:4326"):
        validate(grids)
    with pytest.raises(CRSError, match="boundary: the coordinate reference system is missing"):
        validate(shapes.squares(), grids)


def test_metres_called_degrees() -> None:
    grids = shapes.squares().set_crs("EPSG:4326", allow_override=True)
    with pytest.raises(CRSError, match="not degrees"):
        validate(grids)


def test_lines_are_no_grids() -> None:
    line = shapely.LineString([(0, 0), (1, 1)])
    with pytest.raises(GeometryError, match=r"grids: geometry of the wrong type \(row 22\); found LineString"):
        validate(shapes.replaced(shapes.squares(), "22", line))
    boundary = gpd.GeoDataFrame(geometry=[line], crs=shapes.METRES)
    with pytest.raises(GeometryError, match=r"boundary: geometry of the wrong type .*found LineString; wanted"):
        validate(shapes.squares(), boundary)


def test_an_empty_table_and_an_empty_boundary() -> None:
    with pytest.raises(SchemaError, match="no grids to check"):
        validate(shapes.squares().iloc[:0])
    with pytest.raises(GeometryError, match="boundary: no row of the boundary has geometry"):
        validate(shapes.squares(), shapes.frame([None]))


def test_an_unknown_code_column() -> None:
    with pytest.raises(SchemaError, match="there is no column 'CODE'; found the columns code, name, geometry"):
        validate(shapes.squares(), code="CODE")


@pytest.mark.parametrize("name", ["inlet_width", "seam"])
def test_a_width_is_a_number_from_zero_too(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} must be a number ≥ 0; found -2.0"):
        validate(shapes.squares(), **{name: -2.0})


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_tolerance_is_a_number_from_zero(value: float) -> None:
    with pytest.raises(InputError, match="min_area must be a number ≥ 0"):
        validate(shapes.squares(), min_area=value)
    with pytest.raises(InputError, match="min_width must be a number ≥ 0"):
        validate(shapes.squares(), min_width=value)


def test_an_invalid_boundary_is_mended_with_a_warning() -> None:
    boundary = shapes.frame([shapely.Polygon([(0, 0), (300, 0), (300, 300), (0, 300), (0, 0), (-5, 0), (0, 0)])])
    with pytest.warns(GridgisWarning, match="1 of 1 polygons have invalid rings"):
        assert len(validate(shapes.squares(), boundary)) == 0


# --- real places ------------------------------------------------------------------------------------------------------


def beijing(places: Path, name: str) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    folder = places / "beijing"
    return gpd.read_file(folder / f"{name}-all.geojson"), gpd.read_file(folder / f"{name}-outline.geojson")


@pytest.mark.places
@pytest.mark.parametrize(("name", "units"), [("changping", 22), ("mentougou", 13), ("pinggu", 18), ("yanqing", 18)])
def test_four_districts_tile_their_outlines(places: Path, name: str, units: int) -> None:
    grids, boundary = beijing(places, name)
    found = verdict(validate(grids, boundary))
    assert (found["valid"], found["checked"]) == (True, units)
    assert set(found["counts"]) <= {"multipart"}
    assert all(len(code) == 12 and code.isdigit() for defect in found["defects"] for code in defect["codes"])


@pytest.mark.places
@pytest.mark.parametrize(("name", "difference"), [("dongcheng", 12.3), ("xicheng", 26.5)])
def test_the_two_old_districts_tile_their_own_union(places: Path, name: str, difference: float) -> None:
    grids, boundary = beijing(places, name)
    assert len(validate(grids)) == 0
    defects = validate(grids, boundary)
    assert defects["area_m2"].sum() == pytest.approx(difference, rel=0.01)


@pytest.mark.places
@pytest.mark.parametrize(("name", "units"), [("huairou", 16), ("miyun", 20)])
def test_districts_with_holes(places: Path, name: str, units: int) -> None:
    found = verdict(validate(beijing(places, name)[0]))
    assert found["checked"] == units
    assert set(found["counts"]) <= {"gap", "multipart", "unmatched_edge"} and found["counts"]["gap"] >= 1


@pytest.mark.places
def test_haidian_is_slightly_dirty(places: Path) -> None:
    grids, boundary = beijing(places, "haidian")
    defects = validate(grids, boundary)
    missing = of_kind(defects, *MISSING, "outside")
    assert missing["area_m2"].sum() == pytest.approx(1321, rel=0.005)
    assert [
        (k, c, round(a)) for k, c, a in zip(missing["kind"], missing["codes"], missing["area_m2"], strict=True)
    ] == [
        ("gap", ("110108010000", "110108011000", "110108024000"), 266),
        ("gap", ("110108012000", "110108023000"), 917),
        ("gap", ("110108013000", "110108014000", "110108024000"), 121),
        ("gap", ("110108013000", "110108022000"), 18),
    ]
    overlaps = of_kind(defects, *OVERLAPS)
    assert [(c, round(a)) for c, a in zip(overlaps["codes"], overlaps["area_m2"], strict=True)] == [
        (("110108013000", "110108014000"), 455),
        (("110108013000", "110108020000"), 12),
        (("110108013000", "110108022000"), 4),
    ]
    assert len(of_kind(defects, "multipart")) == 5
    assert verdict(defects)["valid"] is False


@pytest.fixture(scope="session")
def cambridge(places: Path) -> gpd.GeoDataFrame:
    return gpd.read_file(places / "cambridge" / "PUBLICSAFETY_PoliceResponseDistricts.geojson")


@pytest.mark.places
def test_cambridge_tiles_itself(cambridge: gpd.GeoDataFrame) -> None:
    found = verdict(validate(cambridge, code="CADRA"))
    assert (found["valid"], found["checked"], found["parameters"]["code"]) == (True, 117, "CADRA")


@pytest.mark.places
@pytest.mark.parametrize(("key", "layer"), [("SECTOR", "PoliceSectors"), ("CAR_RTE", "PoliceCarRoutes")])
def test_cambridge_dissolves_into_the_published_layers(
    places: Path, cambridge: gpd.GeoDataFrame, key: str, layer: str
) -> None:
    published = gpd.read_file(places / "cambridge" / f"PUBLICSAFETY_{layer}.geojson").set_index(key).geometry
    dissolved = cambridge.dissolve(key).geometry
    assert set(dissolved.index) == set(published.index)
    apart = dissolved.symmetric_difference(published, align=True).to_crs(32619).area
    assert apart.max() < 1.0


@pytest.mark.places
def test_cambridge_against_the_citys_outline(places: Path, cambridge: gpd.GeoDataFrame) -> None:
    boundary = gpd.read_file(places / "cambridge" / "BOUNDARY_CityBoundary.geojson")
    sizes = validate(cambridge, boundary, code="CADRA").groupby("kind")["area_m2"].sum()
    assert sizes["outside"] == pytest.approx(25_522, rel=0.01)
    assert sizes.reindex(MISSING).sum() == pytest.approx(20_602, rel=0.01)


@pytest.mark.places
def test_providence_precincts(places: Path) -> None:
    grids = gpd.read_file(f"zip://{places / 'providence' / 'precincts.zip'}")
    sizes = validate(grids, code=None).groupby("kind")["area_m2"].agg(["count", "sum"])
    assert sizes.loc["gap", "count"] == 3
    assert sizes.loc["gap", "sum"] == pytest.approx(98_042, rel=0.001)
    for name in ("new_precincts", "districts", "blocks"):
        assert verdict(validate(gpd.read_file(f"zip://{places / 'providence' / name}.zip"), code=None))["valid"]
