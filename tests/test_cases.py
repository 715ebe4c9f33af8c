"""Checks written by others (JTS, GEOS, geoplanar, maup, shapely, GDAL, PostGIS, bug reports), by their semantics.

Polygons are taken as metres where they lie (EPSG:4548, unshifted, so that every digit counts); `jts.issue1122` is in
degrees. Upstream's width of gaps is what :data:`READINGS` says under ``gap_width``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from conftest import SHARED

from gridgis.plan.checking.ruler import NOISE_M
from gridgis.plan.faces.graph import block_graph
from gridgis.plan.validate import validate, verdict

pytestmark = pytest.mark.places

Case = dict[str, Any]

#: How each field of the files is read; `derived_by_us` has its own fields after a dot.
READINGS = {
    "name": "the test's id",
    "polygons_wkt": "the grids, one row each in this order; their codes are 0, 1, 2, …",
    "source": "not judged: where the case comes from",
    "license": "not judged",
    "note": "prose; its figures are in NOTED",
    "rule": "`longest shared border` is the receiver `longest_border`",
    "semantics": "`full coverage of the hull` (and geoplanar): each hole is a gap; elsewhere wide holes are allowed, "
    "which is: gaps wider than gap_width are handed to validate and repair as known holes",
    "gap_width": "gaps narrower than this count, and so do strips open to the outside: inlet_width; 0 where not given",
    "expected_valid": "no defect of JTS_FAULTS (strict: a vertex that one side lacks counts); None: not judged",
    "expected_valid_basis": "not judged: always upstream's",
    "target_index": "only defects that name this polygon are judged",
    "expected_invalid_edges_wkt": "per polygon: None, no defect names it; else each part of the edge is touched by a "
    "defect that names it, and each such defect touches the edge",
    "expected_target_invalid_edges_wkt": "the same for the target",
    "expected_gaps_wkt": "the polygons of our gaps, topologically equal, no more and no fewer",
    "expected_gap_areas": "the areas of our gaps",
    "expected_overlap_pairs": "the pairs of our overlap, contained and duplicate",
    "expected_contained_pairs": "outer, inner: ours are inner, outer",
    "expected_edge_mismatch_pairs": "the pairs of our unmatched_edge",
    "expected_invalid_indices": "the polygons that our defects name",
    "expected_rook": "pairs with a common border in the graph of blocks",
    "expected_queen_extra": "pairs that touch at a point: no neighbours in that graph",
    "regions_wkt": "the parents, handed to repair; each mended grid lies in one",
    "snapping_distance": "repair(snap=…)",
    "merge_strategy": "MERGE_MIN_AREA: smallest, MERGE_MAX_AREA: largest, MERGE_LONGEST_BORDER: longest_border; "
    "MERGE_MIN_INDEX: a priority column that ranks the rows in their order",
    "expected_output_wkt": "topologically equal row by row (vertices on a straight line may differ); with a "
    "snapping_distance no farther from it than that; EMPTY where it was empty, a copy or CLOSED, else as EMPTIED says; "
    "None: not judged beyond the laws",
    "expected_output_areas": "the areas of the mended grids, row by row",
    "expected_output_is_valid_coverage": "shapely.coverage_is_valid of the mended grids that are not empty",
    "expected_fill": "areas after the gaps went to the receiver `largest` and `smallest`",
    "expected_trim": "areas after the overlaps went; geoplanar's `largest` means that the largest one loses: receiver "
    "`smallest`, and the other way round",
    "derived_by_us": "figures of other programs, not the author's:",
    "derived_by_us.all_rings_valid": "no invalid_ring",
    "derived_by_us.overlap_pairs": "m² that each pair shares: the sums of our overlap, contained, duplicate",
    "derived_by_us.union_holes": "holes of the union: each is ground of our gaps (ours may be more: closed by points)",
    "derived_by_us.n_union_holes": "their number",
    "derived_by_us.geos_coverage_is_valid_gap0": "our verdict when every gap is a known hole",
    "derived_by_us.shapely": "not judged: the version",
    "derived_by_us.geos": "not judged: the version",
}

#: What makes a set invalid for JTS: it knows no slivers, and polygons may have several parts or be empty.
JTS_FAULTS = ("overlap", "contained", "duplicate", "gap", "unmatched_edge")

#: Upstream empties a polygon that another covers. gridgis empties nothing but the further copies of a duplicate and
#: what a snap closes (CLOSED): the areas that we expect, or None where only the laws are judged.
EMPTIED: dict[str, list[float] | None] = {
    # The inner one is cut out of the outer one: 40 - 18 and 18; 22 - 6 and 6.
    "jts.CoverageCleaner.testCoveredItem": [22.0, 18.0],
    "jts.CoverageCleaner.testCoveredItemMultiPolygon": [16.0, 6.0],
    # The third lies half in each of the other two: `largest` would leave it nothing.
    "geoplanar.test_trim_overlaps_multiple": None,
}

#: Slivers that the case's snapping_distance closes; without it they are left and listed.
CLOSED = {"jts.CoverageCleaner.testPolygonsSnappedCollapse": {"2"}}

#: The same ground lies twice under whole grids: one of them would have to vanish. None does: what cannot be mended
#: without that is left and listed.
LYING_TWICE = {
    "jts.CoverageValidator.testFullyCoveredTriangles",
    "jts.CoveragePolygonValidator.testFullyCoveredAndMatched",
    "jts.CoveragePolygonValidator.testTargetCoveredAndMatching",
    "jts.CoveragePolygonValidator.testCoveredBy2AndMatching",
}

#: Figures that stand in notes only: the inlet_width, and what it leads to.
NOTED_SNAP = {"geoplanar.TestSnap.pair_1m_apart": {1.1: [110.0, 200.0], 0.5: [100.0, 200.0]}}
NOTED_WIDTHS = {"shapely.gap_1_wide": [1.0, 1.5, 2.0, 50.0]}

#: The vertices of the two lie nearer to each other's edges than our noise of 1e-6 m: GEOS, which is exact, sees none.
BELOW_NOISE = {"jts.issue1122"}

RECEIVERS = {"MERGE_MIN_AREA": "smallest", "MERGE_MAX_AREA": "largest", "MERGE_LONGEST_BORDER": "longest_border"}
FILES = ("jts_geos_validate", "jts_geos_clean", "python_peers_and_issues")
METRES_PER_DEGREE = 111_000.0


def _load(folder: Path) -> list[Case]:
    return [case for name in FILES for case in json.loads((folder / f"{name}.json").read_text("utf-8"))]


CASES = _load(SHARED / "cases") if (SHARED / "cases").is_dir() else []
_READ: set[str] = set()


def cases_with(*fields: str) -> Callable[..., Any]:
    """Run a test for each case that has the first field; all of them are counted as read."""
    _READ.update(fields)
    chosen = [case for case in CASES if _field(case, fields[0]) is not None]
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in chosen])


def _field(case: Case, name: str) -> Any:
    outer, _, inner = name.partition(".")
    return case.get(outer, {}).get(inner) if inner else case.get(outer)


def grids_of(case: Case, field: str = "polygons_wkt") -> gpd.GeoDataFrame:
    shapes = list(shapely.from_wkt(case[field]))
    crs = "EPSG:4326" if case["name"] == "jts.issue1122" else "EPSG:4548"
    columns = {"code": [str(i) for i in range(len(shapes))], "rank": range(len(shapes))}
    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(shapes, crs=crs))


def metres_per_unit(case: Case) -> float:
    return METRES_PER_DEGREE if case["name"] == "jts.issue1122" else 1.0


def gap_width(case: Case) -> float:
    """In metres."""
    return float(case.get("gap_width", 0.0)) * metres_per_unit(case)


def settings_of(case: Case, *, every_gap_known: bool = False) -> dict[str, Any]:
    """inlet_width and holes, where the case has them."""
    width = 0.0 if every_gap_known else gap_width(case)
    given: dict[str, Any] = {"inlet_width": width} if width > 0 else {}
    if case["name"].startswith(("maup.", "geoplanar.")) and not every_gap_known:
        return given
    found = validate(grids_of(case), **given)
    wide = found[(found["kind"] == "gap") & (found["width_m"] > width)]
    if len(wide):
        given["holes"] = gpd.GeoDataFrame(geometry=wide.geometry, crs=wide.crs).reset_index(drop=True)
    return given


def judged(case: Case, **how: Any) -> gpd.GeoDataFrame:
    """The defects that JTS would see; those of the target where the case names one."""
    defects = validate(grids_of(case), **settings_of(case, **how))
    defects = defects[defects["kind"].isin(JTS_FAULTS)]
    return naming(defects, case["target_index"]) if "target_index" in case else defects


def naming(defects: gpd.GeoDataFrame, polygon: int) -> gpd.GeoDataFrame:
    return defects[[str(polygon) in codes for codes in defects["codes"]]]


def pairs_of(defects: gpd.GeoDataFrame, *kinds: str) -> list[tuple[int, ...]]:
    found = {tuple(sorted(map(int, codes))) for codes in defects.loc[defects["kind"].isin(kinds), "codes"]}
    return sorted(found)


def sorted_pairs(pairs: Iterable[Iterable[int]]) -> list[tuple[int, ...]]:
    return sorted(tuple(sorted(pair)) for pair in pairs)


def areas(shapes: Iterable[Any]) -> list[float]:
    return [0.0 if shape is None else float(shape.area) for shape in shapes]


def empty(shapes: Any) -> Any:
    values = np.asarray(shapes, dtype=object)
    return shapely.is_missing(values) | shapely.is_empty(values)


# --- the table --------------------------------------------------------------------------------------------------------


def test_every_case_is_there_and_every_field_is_read(cases: Path) -> None:
    every = _load(cases)
    assert len(every) == 81 and len({case["name"] for case in every}) == 81
    fields = {field for case in every for field in case}
    fields |= {f"derived_by_us.{field}" for case in every for field in case["derived_by_us"]}
    assert fields == set(READINGS)
    said = {field for field, how in READINGS.items() if how.startswith("not judged")} | {"derived_by_us"}
    assert set(READINGS) == _READ | said
    assert {*EMPTIED, *CLOSED, *LYING_TWICE, *NOTED_SNAP, *NOTED_WIDTHS, *BELOW_NOISE} <= {
        case["name"] for case in every
    }
    assert {case["expected_valid_basis"] for case in every} == {"upstream"}
    readable = ("jts-coverage: non-overlap", "only polygon 0", "gap expected", "repair: ", "full coverage of the hull")
    assert all(case.get("semantics", "repair: ").startswith(readable) for case in every)
    assert {case.get("rule", "longest shared border") for case in every} == {"longest shared border"}
    assert {case.get("target_index", 0) for case in every} == {0}


def test_every_note_with_a_figure_is_judged() -> None:
    """Those that hold a figure that no other field has."""
    noted = {case["name"] for case in CASES if "note" in case}
    assert {*NOTED_SNAP, *NOTED_WIDTHS} <= noted
    assert noted - {*NOTED_SNAP, *NOTED_WIDTHS} == {
        "geoplanar.test_gaps",  # gaps closed by points: expected_gap_areas
        "geoplanar.test_non_planar_edges",  # expected_edge_mismatch_pairs
        "maup.toy_precincts_seed2023",  # the laws of repair, and regions_wkt
        "shapely.extra_vertex",  # expected_invalid_edges_wkt
        "libgeos.issue1525",  # expected_output_areas
        "jts.issue1122",  # expected_valid
    }


# --- validate ---------------------------------------------------------------------------------------------------------


@cases_with("expected_valid", "polygons_wkt", "name", "semantics", "gap_width", "target_index")
def test_the_verdict(case: Case) -> None:
    assert (len(judged(case)) == 0) is case["expected_valid"]


@cases_with("polygons_wkt")
def test_what_jts_does_not_judge_is_named_as_what_it_is(case: Case) -> None:
    """Empty polygons, rings that collapse, several parts: rows keep their places and nothing else is said."""
    grids = grids_of(case)
    defects = validate(grids)
    assert defects.attrs["checked"] == len(grids)
    by_kind = {kind: {int(c) for codes in part["codes"] for c in codes} for kind, part in defects.groupby("kind")}
    assert by_kind.get("empty", set()) == set(np.flatnonzero(empty(grids.geometry.array)))
    collapsed = {"jts.CoverageValidator.testRingCollapse": {0}}
    assert by_kind.get("invalid_ring", set()) == collapsed.get(case["name"], set())
    several = [i for i, shape in enumerate(grids.geometry) if sum(not p.is_empty for p in shapely.get_parts(shape)) > 1]
    assert by_kind.get("multipart", set()) == set(several)
    errors = {"empty", "invalid_ring", "overlap", "contained", "duplicate", "gap"}
    assert verdict(defects)["valid"] is not bool(errors & set(by_kind))


@cases_with("expected_invalid_edges_wkt")
def test_the_edges(case: Case) -> None:
    found = judged(case)
    for polygon, edge in enumerate(case["expected_invalid_edges_wkt"]):
        about = naming(found, polygon)
        if edge is None:
            assert len(about) == 0
        else:
            assert_touching(about, shapely.from_wkt(edge))


@cases_with("expected_target_invalid_edges_wkt", "target_index")
def test_the_edges_of_the_target(case: Case) -> None:
    assert_touching(judged(case), shapely.from_wkt(case["expected_target_invalid_edges_wkt"]))


def assert_touching(defects: gpd.GeoDataFrame, edge: Any) -> None:
    places = np.asarray(defects.geometry.array, dtype=object)
    assert len(places)
    assert (shapely.distance(places, edge) < 1e-9).all()
    assert all((shapely.distance(places, part) < 1e-9).any() for part in shapely.get_parts(edge))


@cases_with("expected_gaps_wkt")
def test_the_gaps(case: Case) -> None:
    found = validate(grids_of(case)).query("kind == 'gap'").geometry
    wanted = shapely.from_wkt(case["expected_gaps_wkt"])
    assert len(found) == len(wanted)
    assert all(any(gap.equals(other) for other in found) for gap in wanted)


@cases_with("expected_gap_areas", "note")
def test_the_areas_of_gaps(case: Case) -> None:
    gaps = validate(grids_of(case)).query("kind == 'gap'")
    assert sorted(gaps["area_m2"]) == pytest.approx(sorted(case["expected_gap_areas"]))


@cases_with("expected_overlap_pairs")
def test_the_pairs_that_overlap(case: Case) -> None:
    found = pairs_of(validate(grids_of(case)), "overlap", "contained", "duplicate")
    assert found == sorted_pairs(case["expected_overlap_pairs"])


@cases_with("expected_contained_pairs")
def test_the_pairs_inside_each_other(case: Case) -> None:
    defects = validate(grids_of(case)).query("kind == 'contained'")
    assert sorted((int(outer), int(inner)) for inner, outer in defects["codes"]) == sorted(
        map(tuple, case["expected_contained_pairs"])
    )


@cases_with("expected_edge_mismatch_pairs")
def test_the_pairs_whose_vertices_differ(case: Case) -> None:
    defects = validate(grids_of(case))
    assert pairs_of(defects, "unmatched_edge") == sorted_pairs(case["expected_edge_mismatch_pairs"])
    assert set(defects["kind"]) <= {"unmatched_edge", "multipart"}


@cases_with("expected_invalid_indices")
def test_the_polygons_at_fault(case: Case) -> None:
    assert sorted({int(c) for codes in judged(case)["codes"] for c in codes}) == case["expected_invalid_indices"]


@cases_with("expected_rook", "expected_queen_extra")
def test_neighbours_share_a_line_not_a_point(case: Case) -> None:
    grids = grids_of(case)
    graph = block_graph(grids, grids["code"].to_numpy(dtype=object), None)
    assert sorted_pairs(graph.pairs[graph.metres > 0].tolist()) == sorted_pairs(case["expected_rook"])
    assert not set(sorted_pairs(graph.pairs.tolist())) & set(sorted_pairs(case["expected_queen_extra"]))


@pytest.mark.parametrize("name", NOTED_WIDTHS)
def test_a_gap_is_reported_at_every_width_above_its_own(name: str, cases: Path) -> None:
    (case,) = (case for case in _load(cases) if case["name"] == name)
    for width in NOTED_WIDTHS[name]:
        assert pairs_of(judged({**case, "gap_width": width}), "gap") == [(0, 1)]


@pytest.mark.parametrize("name", NOTED_SNAP)
def test_an_open_strip_counts_from_its_width_on(name: str, cases: Path) -> None:
    (case,) = (case for case in _load(cases) if case["name"] == name)
    for width, after in NOTED_SNAP[name].items():
        defects = validate(grids_of(case), inlet_width=width)
        assert defects.query("kind == 'gap'")["area_m2"].sum() == pytest.approx(sum(after) - 300.0)


# --- validate, against the figures of other programs ------------------------------------------------------------------


@cases_with("derived_by_us.overlap_pairs", "derived_by_us.all_rings_valid")
def test_the_ground_that_pairs_share(case: Case) -> None:
    defects = validate(grids_of(case))
    assert ("invalid_ring" not in set(defects["kind"])) is case["derived_by_us"]["all_rings_valid"]
    shared = defects[defects["kind"].isin(["overlap", "contained", "duplicate"])]
    ours = shared["area_m2"].groupby(shared["codes"].map(lambda c: tuple(sorted(map(int, c))))).sum()
    theirs = {(a, b): area for a, b, area in case["derived_by_us"]["overlap_pairs"]}
    assert ours.to_dict() == pytest.approx(theirs, abs=1e-8)


@cases_with("derived_by_us.union_holes", "derived_by_us.n_union_holes")
def test_each_hole_of_the_union_is_a_gap(case: Case) -> None:
    """Or several, where it is narrower than our noise."""
    noise = NOISE_M / metres_per_unit(case)
    gaps = np.asarray(validate(grids_of(case)).query("kind == 'gap'").geometry.array, dtype=object)
    holes = case["derived_by_us"]["union_holes"]
    assert len(holes) == case["derived_by_us"]["n_union_holes"]
    for hole in shapely.make_valid(shapely.from_wkt([hole["wkt"] for hole in holes])):
        inside = gaps[shapely.intersects(hole, shapely.point_on_surface(gaps))]
        apart = shapely.symmetric_difference(shapely.union_all(inside), hole)
        assert len(inside) and apart.area <= noise * hole.length
    assert shapely.area(gaps).sum() >= sum(hole["area"] for hole in holes) - 1e-8


@cases_with("derived_by_us.geos_coverage_is_valid_gap0")
def test_with_every_gap_known_geos_agrees(case: Case) -> None:
    whole = {key: value for key, value in case.items() if key != "target_index"}
    agreed = (len(judged(whole, every_gap_known=True)) == 0) is case["derived_by_us"]["geos_coverage_is_valid_gap0"]
    assert agreed is (case["name"] not in BELOW_NOISE)


# --- repair -----------------------------------------------------------------------------------------------------------


def mended(case: Case, grids: gpd.GeoDataFrame | None = None, **how: Any) -> Any:
    """What repair makes of a case, or of other grids by its settings; in a toy no part is small."""
    from gridgis.plan.repair import repair

    given = settings_of(case)
    if "snapping_distance" in case:
        given["snap"] = case["snapping_distance"]
    strategy = case.get("merge_strategy")
    if strategy == "MERGE_MIN_INDEX":
        given["priority"] = "rank"
    elif strategy is not None:
        given["receiver"] = RECEIVERS[strategy]
    return repair(grids_of(case) if grids is None else grids, **{"small_part_m2": 0.0, **given, **how})


def facts(defects: gpd.GeoDataFrame) -> list[tuple[object, ...]]:
    return sorted(zip(defects["kind"], defects["codes"], defects["area_m2"].round(6) + 0.0, strict=True))


@cases_with("polygons_wkt", "snapping_distance", "merge_strategy", "rule")
def test_the_laws_of_repair(case: Case) -> None:
    """Mended or listed; no row lost, emptied or moved; the ground stays; twice is once."""
    before, known = grids_of(case), settings_of(case)
    result = mended(case)
    after = result.grids
    pd.testing.assert_frame_equal(pd.DataFrame(after[["code", "rank"]]), pd.DataFrame(before[["code", "rank"]]))
    assert after.crs == before.crs
    defects = validate(before, **known)
    copies = {c for codes in defects.loc[defects["kind"] == "duplicate", "codes"] for c in codes[1:]}
    nothing = {c for codes in defects.loc[defects["kind"].isin(["empty", "invalid_ring"]), "codes"] for c in codes}
    emptied = set(after["code"][empty(after.geometry.array)])
    gone = copies | CLOSED.get(case["name"], set())
    assert gone <= emptied <= gone | nothing
    assert facts(result.left) == facts(validate(after, **known))
    hopeless = result.left[result.left["severity"] == "error"]
    if case["name"] in LYING_TWICE:
        assert set(hopeless["kind"]) <= {"overlap", "contained", "duplicate"}
    else:
        assert set(hopeless["kind"]) <= {"empty", "invalid_ring"}
        assert {c for codes in hopeless["codes"] for c in codes} <= gone | nothing
    if len(hopeless) == len(emptied) and "snapping_distance" not in case:
        ground = shapely.union_all(shapely.make_valid(np.asarray(before.geometry.array, dtype=object)))
        gaps = defects.loc[defects["kind"] == "gap"].geometry
        # A strip below the noise is neither a gap nor an overlap.
        noise = NOISE_M / metres_per_unit(case) * shapely.length(np.asarray(after.geometry.array)).sum()
        assert sum(areas(after.geometry)) == pytest.approx(ground.area + sum(areas(gaps)), abs=noise)
    again = mended(case, after)
    assert (shapely.to_wkb(again.grids.geometry.array) == shapely.to_wkb(after.geometry.array)).all()
    assert len(again.log) == 0


@cases_with("expected_output_is_valid_coverage")
def test_the_mended_grids_are_a_valid_coverage(case: Case) -> None:
    shapes = np.asarray(mended(case).grids.geometry.array, dtype=object)
    valid = bool(shapely.coverage_is_valid(shapes[~empty(shapes)]))
    assert valid is case["expected_output_is_valid_coverage"]


@cases_with("expected_output_wkt")
def test_the_mended_grids(case: Case) -> None:
    result = mended(case)
    after = np.asarray(result.grids.geometry.array, dtype=object)
    if case["name"] in EMPTIED:
        assert areas(after) == pytest.approx(EMPTIED[case["name"]])
        return
    reach = case.get("snapping_distance", 0.0)
    for ours, theirs in zip(after, shapely.from_wkt(case["expected_output_wkt"]), strict=True):
        if theirs.is_empty or reach == 0.0:
            assert shapely.equals(ours, theirs), f"{ours} is not {theirs}"
        else:
            assert shapely.hausdorff_distance(ours.boundary, theirs.boundary, densify=0.01) <= reach


@pytest.mark.parametrize("name", CLOSED)
def test_a_sliver_that_is_a_whole_grid_is_left_and_listed(name: str, cases: Path) -> None:
    (case,) = (case for case in _load(cases) if case["name"] == name)
    left = mended(case, snap=0.0).left
    assert set(left.loc[left["kind"] == "sliver", "codes"]) == {(code,) for code in CLOSED[name]}


@cases_with("expected_output_areas")
def test_the_areas_of_the_mended_grids(case: Case) -> None:
    assert areas(mended(case).grids.geometry) == pytest.approx(case["expected_output_areas"])


@cases_with("expected_fill")
@pytest.mark.parametrize("receiver", ["largest", "smallest"])
def test_who_is_given_a_gap(case: Case, receiver: str) -> None:
    assert areas(mended(case, receiver=receiver).grids.geometry) == pytest.approx(case["expected_fill"][receiver])


@cases_with("expected_trim")
@pytest.mark.parametrize(("loser", "receiver"), [("largest", "smallest"), ("smallest", "largest")])
def test_who_keeps_an_overlap(case: Case, loser: str, receiver: str) -> None:
    wanted, found = case["expected_trim"][loser], areas(mended(case, receiver=receiver).grids.geometry)
    if 0.0 in wanted and EMPTIED[case["name"]] is None:
        assert sum(found) == pytest.approx(sum(wanted)) and min(found) > 0
    else:
        assert found == pytest.approx(wanted)


@cases_with("regions_wkt")
def test_each_mended_grid_lies_in_one_parent(case: Case) -> None:
    regions = grids_of(case, "regions_wkt").drop(columns="rank")
    after = np.asarray(mended(case, parents=regions).grids.geometry.array, dtype=object)
    parents = np.asarray(regions.geometry.array, dtype=object)
    beyond = shapely.area(shapely.difference(after[:, None], parents[None, :]))
    assert (beyond.min(axis=1) < 1e-9).all()
    assert shapely.area(after).sum() == pytest.approx(shapely.area(parents).sum())
    assert shapely.coverage_is_valid(after)


@pytest.mark.parametrize("name", NOTED_SNAP)
def test_an_open_strip_is_filled_from_its_width_on(name: str, cases: Path) -> None:
    (case,) = (case for case in _load(cases) if case["name"] == name)
    for width, after in NOTED_SNAP[name].items():
        assert areas(mended(case, inlet_width=width).grids.geometry) == pytest.approx(after)
