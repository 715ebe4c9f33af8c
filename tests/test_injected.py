"""Planted defects: every one found, nothing invented, every one mended, and nothing touched that is far from them."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import shapes

from gridgis.plan.validate import validate, verdict

CELLS, EACH = 600, 4
#: m. Repair may move what lies nearer than this to a planted defect.
REACH_M = 10.0


def _tilings() -> ModuleType:
    """benchmarks/tilings.py: it is no package, and its folder does not belong on the path."""
    path = Path(__file__).resolve().parent.parent / "benchmarks" / "tilings.py"
    spec = importlib.util.spec_from_file_location("tilings", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tilings"] = module
    spec.loader.exec_module(module)
    return module


tilings = _tilings()


@pytest.fixture(scope="module", params=[1, 2])
def clean(request: pytest.FixtureRequest) -> Any:
    return tilings.tiling(CELLS, request.param)


@pytest.fixture(scope="module")
def planted(clean: Any) -> tuple[gpd.GeoDataFrame, list[Any]]:
    return tilings.injected(clean.grids, clean.boundary, EACH, seed=5)


@pytest.fixture(scope="module")
def loose(clean: Any) -> tuple[gpd.GeoDataFrame, set[tuple[str, str]]]:
    return tilings.unmatched(clean.grids, seed=5)


def polygons(grids: gpd.GeoDataFrame) -> Any:
    return np.asarray(grids.geometry.array, dtype=object)


def overlaps_of(shapes_: Any) -> float:
    """m² of all pairwise overlaps, by plain overlay."""
    first, second = shapely.STRtree(shapes_).query(shapes_, predicate="intersects")
    once = first < second
    return float(shapely.area(shapely.intersection(shapes_[first[once]], shapes_[second[once]])).sum())


# --- the sets themselves, by other means ------------------------------------------------------------------------------


def test_the_clean_set_is_a_coverage_of_its_boundary(clean: Any) -> None:
    cells = polygons(clean.grids)
    assert len(cells) == CELLS
    assert shapely.is_valid(cells).all() and shapely.coverage_is_valid(cells)
    assert shapely.coverage_union_all(cells).equals(clean.boundary.geometry.iloc[0])
    assert 105 < shapely.get_num_coordinates(cells).mean() < 125


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second = (tilings.tiling(120, 3) for _ in range(2))
    assert first.grids.to_wkb().equals(second.grids.to_wkb())
    (one, truth), (two, again) = (tilings.injected(t.grids, t.boundary, 1, 4) for t in (first, second))
    assert one.to_wkb().equals(two.to_wkb()) and truth == again
    assert not tilings.tiling(120, 4).grids.to_wkb().equals(first.grids.to_wkb())


def test_fifteen_kinds_are_planted_apart(clean: Any, planted: Any) -> None:
    grids, truth = planted
    assert Counter(p.name for p in truth) == dict.fromkeys(tilings.NAMES, EACH) and len(tilings.NAMES) == 15
    named = [code for p in truth for code in p.codes]
    assert len(set(named)) == len(named)
    assert set(named) <= set(grids["code"]) and grids["code"].is_unique
    # Cells that lie beside each other are named by one defect only.
    owner = {code.split("-")[0]: p.id for p in truth for code in p.codes}
    codes = clean.grids["code"].tolist()
    near = tilings.mesh_of(polygons(clean.grids)).near
    beside = [(codes[a], codes[b]) for a in range(CELLS) for b in near[a].tolist()]
    assert all(owner[a] == owner[b] for a, b in beside if a in owner and b in owner)


def test_the_truth_agrees_with_plain_overlay(clean: Any, planted: Any) -> None:
    """Each m² of overlap, of ground left open and of grid beyond the boundary was planted; nothing else."""
    grids, truth = planted
    cells = shapely.make_valid(polygons(grids), method="structure")
    ground = clean.boundary.geometry.iloc[0]
    every = [(p.kind, p.place) for p in truth] + [(a.kind, a.place) for p in truth for a in p.also]

    def told(*kinds: str) -> float:
        return sum(place.area for kind, place in every if kind in kinds)

    union = shapely.union_all(cells)
    assert overlaps_of(cells) == pytest.approx(told("overlap", "contained", "duplicate"), abs=1e-3)
    assert ground.difference(union).area == pytest.approx(told("gap", "uncovered"), abs=1e-3)
    assert union.difference(ground).area == pytest.approx(told("outside"), abs=1e-3)
    assert (~shapely.is_valid(polygons(grids))).sum() == EACH


def test_a_tiling_without_room_says_so() -> None:
    small = tilings.tiling(40, 0)
    with pytest.raises(ValueError, match=r"40 cells have room for \d+ of 9 defects '.*' only"):
        tilings.injected(small.grids, small.boundary, 9)


# --- the scorer -------------------------------------------------------------------------------------------------------


def told(truth: list[Any]) -> gpd.GeoDataFrame:
    """What a faultless validator would say."""
    rows = [(p.kind, p.codes, p.place) for p in truth] + [(a.kind, a.codes, a.place) for p in truth for a in p.also]
    frame = pd.DataFrame({"kind": [r[0] for r in rows], "codes": [r[1] for r in rows]})
    return gpd.GeoDataFrame(frame, geometry=[r[2] for r in rows], crs=shapes.METRES)


def test_the_scorer_takes_the_truth(planted: Any) -> None:
    _, truth = planted
    result = tilings.score(told(truth), truth)
    assert (len(result.found), result.missed, len(result.invented)) == (15 * EACH, [], 0)
    assert result.explained == sum(len(p.also) for p in truth) > EACH
    assert str(result) == f"{15 * EACH} of {15 * EACH} found, 0 false alarms"
    nothing = tilings.score(told([]), truth)
    assert len(nothing.missed) == 15 * EACH and "; missed: bow-tie, contained, duplicate" in str(nothing)
    inside = tilings.score(told([p for p in truth if not p.bounded]), truth, bounded=False)
    assert len(inside.found) == 13 * EACH and not inside.missed


@pytest.mark.parametrize("row", range(0, 15 * EACH, EACH))
def test_the_scorer_is_not_to_be_fooled(planted: Any, row: int) -> None:
    """Another kind, other codes, another place: missed, and a false alarm. A second copy: a false alarm."""
    _, truth = planted
    perfect = told(truth)

    def outcome(**changes: Any) -> tuple[int, int]:
        frame = perfect.copy()
        for column, value in changes.items():
            frame.at[row, column] = value
        result = tilings.score(frame, truth)
        return len(result.missed), len(result.invented)

    place = perfect.geometry.iloc[row]
    half = shapely.box(*place.bounds[:3], (place.bounds[1] + place.bounds[3]) / 2).intersection(place)
    assert outcome(kind="nesting") == outcome(codes=("000000",)) == (1, 1)
    assert outcome(geometry=shapely.transform(place, lambda xy: xy + 30.0)) == (1, 1)
    if place.area:
        assert outcome(geometry=half) == (1, 1)
    twice = pd.concat([perfect, perfect.iloc[[row]]], ignore_index=True)
    assert len(tilings.score(twice, truth).invented) == 1


def test_the_scorer_explains_only_what_follows(planted: Any) -> None:
    _, truth = planted
    perfect = told(truth)
    companions = range(15 * EACH, len(perfect))
    for row in companions:
        moved = perfect.copy()
        moved.at[row, "geometry"] = shapely.transform(perfect.geometry.iloc[row], lambda xy: xy + 0.5)
        assert tilings.score(moved, truth).invented.index.tolist() == [row]
    turned = perfect.copy()
    turned.at[companions[0], "codes"] = perfect["codes"].iloc[companions[0]][::-1]
    assert tilings.score(turned, truth).invented.index.tolist() == [companions[0]]


# --- validate ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bounded", [True, False], ids=["boundary", "no boundary"])
def test_a_clean_set_has_no_defect(clean: Any, bounded: bool) -> None:
    assert len(validate(clean.grids, clean.boundary if bounded else None)) == 0


@pytest.mark.parametrize("bounded", [True, False], ids=["boundary", "no boundary"])
def test_all_planted_defects_are_found_and_none_invented(clean: Any, planted: Any, bounded: bool) -> None:
    grids, truth = planted
    result = tilings.score(validate(grids, clean.boundary if bounded else None), truth, bounded=bounded)
    assert len(result.found) == (15 if bounded else 13) * EACH
    assert not result.missed
    assert result.invented[["kind", "codes", "area_m2"]].to_numpy().tolist() == []


def test_all_are_found_in_degrees_too(clean: Any, planted: Any) -> None:
    grids, truth = planted
    defects = validate(shapes.in_degrees(grids), shapes.in_degrees(clean.boundary))
    origin, scale = (np.array(xy) for xy in ((shapes.LON0, shapes.LAT0), shapes.METRES_PER_DEGREE))
    back = shapely.transform(polygons(defects), lambda xy: (xy - origin) * scale + (shapes.X0, shapes.Y0))
    result = tilings.score(defects.set_geometry(back), truth)
    assert (len(result.found), result.missed) == (15 * EACH, [])
    assert result.invented[["kind", "codes", "area_m2"]].to_numpy().tolist() == []


@pytest.mark.parametrize("bounded", [True, False], ids=["boundary", "no boundary"])
def test_where_no_edge_matches_nothing_is_wrong(clean: Any, loose: Any, bounded: bool) -> None:
    """Each of two neighbours lacks vertices that the other has: one warning each way, and no error."""
    grids, pairs = loose
    assert (tilings.mesh_of(polygons(grids)).beside == -1).all(), "a segment has its opposite"
    defects = validate(grids, clean.boundary if bounded else None)
    assert verdict(defects)["valid"] is True
    assert set(defects["kind"]) == {"unmatched_edge"}
    assert sorted(defects["codes"]) == sorted(pairs)


def test_strips_of_a_millimetre_everywhere(clean: Any) -> None:
    """They are real, so they are defects, but none is wider than what was drawn; a tolerance of 1 cm leaves none."""
    small = tilings.tiling(40, 6)
    grids, _ = tilings.unmatched(small.grids, 6, off_m=0.001)
    cells = polygons(grids)
    defects = validate(grids, small.boundary, min_area=0.0)
    assert defects["width_m"].max() <= 0.002
    sizes = defects.groupby("kind")["area_m2"].sum()
    assert sizes["overlap"] == pytest.approx(overlaps_of(cells), rel=1e-3)
    left_open = small.boundary.geometry.iloc[0].difference(shapely.union_all(cells)).area
    assert sizes["gap"] + sizes["uncovered"] == pytest.approx(left_open, rel=1e-3)
    assert verdict(validate(grids, small.boundary, min_width=0.01))["valid"] is True


# --- repair -----------------------------------------------------------------------------------------------------------


def leavings(truth: list[Any]) -> list[tuple[str, tuple[str, ...]]]:
    """What repair may leave, and must list: the further copies, emptied, and slivers that are grids."""
    copies = [("empty", (p.codes[1],)) for p in truth if p.kind == "duplicate"]
    return sorted(copies + [("sliver", p.codes) for p in truth if p.kind == "sliver"])


def listed(defects: gpd.GeoDataFrame) -> list[tuple[str, tuple[str, ...]]]:
    return sorted(zip(defects["kind"], defects["codes"], strict=True))


def far_vertices(shape: Any, places: Any) -> list[tuple[float, float]]:
    """The vertices of a shape that are farther than :data:`REACH_M` from all places, sorted; exact bits."""
    if shape is None or shape.is_empty:
        return []
    xy = np.unique(shapely.get_coordinates(shape), axis=0)
    return [tuple(v) for v in xy[~shapely.dwithin(shapely.points(xy), places, REACH_M)].tolist()]


@pytest.fixture(scope="module", params=[True, False], ids=["boundary", "no boundary"])
def mending(request: pytest.FixtureRequest, clean: Any, planted: Any) -> Any:
    """The planted set, its truth, the boundary (or None), and what repair made of them."""
    from gridgis.plan.repair import repair

    grids, truth = planted
    boundary = clean.boundary if request.param else None
    before = grids.to_wkb()
    repaired = repair(grids, boundary)
    assert grids.to_wkb().equals(before), "the input was changed"
    return grids, truth, boundary, repaired


def test_what_was_planted_is_mended_or_listed(mending: Any) -> None:
    _, truth, boundary, repaired = mending
    assert listed(repaired.left) == leavings(truth)
    assert listed(validate(repaired.grids, boundary)) == leavings(truth)


def test_no_row_is_lost_and_no_attribute_changed(mending: Any) -> None:
    grids, truth, _, repaired = mending
    pd.testing.assert_frame_equal(
        pd.DataFrame(grids.drop(columns="geometry")), pd.DataFrame(repaired.grids.drop(columns="geometry"))
    )
    empty = repaired.grids.geometry.is_empty | repaired.grids.geometry.isna()
    assert set(repaired.grids["code"][empty]) == {p.codes[1] for p in truth if p.kind == "duplicate"}


def test_nothing_far_from_a_defect_is_touched(mending: Any) -> None:
    grids, truth, _, repaired = mending
    places = shapely.union_all([p.place for p in truth] + [a.place for p in truth for a in p.also])
    shapely.prepare(places)
    cells, after = polygons(grids), polygons(repaired.grids)
    away = ~shapely.dwithin(cells, places, REACH_M)
    assert away.sum() > CELLS / 2
    assert [shape.wkb for shape in after[away]] == [shape.wkb for shape in cells[away]]
    for code, old, new in zip(grids["code"][~away], cells[~away], after[~away], strict=True):
        assert far_vertices(new, places) == far_vertices(old, places), code


def test_areas_sum_to_the_ground(mending: Any) -> None:
    grids, _, boundary, repaired = mending
    if boundary is None:
        union = shapely.union_all(shapely.make_valid(polygons(grids), method="structure"))
        ground = shapely.Polygon(union.exterior)
    else:
        ground = boundary.geometry.iloc[0]
    after = polygons(repaired.grids)
    assert shapely.area(after).sum() == pytest.approx(ground.area, abs=1e-3)
    assert overlaps_of(after) == pytest.approx(0, abs=1e-3)


def test_the_log_has_a_row_for_every_grid_changed(mending: Any) -> None:
    grids, _, _, repaired = mending
    changed = ~grids.geometry.to_wkb().eq(repaired.grids.geometry.to_wkb())
    assert len(repaired.log) == changed.sum() >= 14 * EACH


def test_a_clean_set_comes_back_as_it_was(clean: Any) -> None:
    from gridgis.plan.repair import repair

    repaired = repair(clean.grids, clean.boundary)
    assert repaired.grids.to_wkb().equals(clean.grids.to_wkb())
    assert (len(repaired.log), len(repaired.left)) == (0, 0)


def test_missing_vertices_are_put_in_and_none_is_lost() -> None:
    from gridgis.plan.repair import repair

    small = tilings.tiling(60, 6)
    grids, _ = tilings.unmatched(small.grids, 6)
    repaired = repair(grids, small.boundary)
    assert len(repaired.left) == 0 and len(validate(repaired.grids, small.boundary)) == 0
    assert shapely.area(polygons(repaired.grids)).sum() == pytest.approx(small.boundary.area.sum(), abs=1e-3)
    for old, new in zip(polygons(grids), polygons(repaired.grids), strict=True):
        kept = {tuple(xy) for xy in shapely.get_coordinates(new).tolist()}
        assert {tuple(xy) for xy in shapely.get_coordinates(old).tolist()} <= kept
