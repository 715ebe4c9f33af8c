"""Areas over the grids: what they claim, and their misfit. Laws first (against plain overlay), then cases."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import shapes
from hypothesis import given, settings
from hypothesis import strategies as st

from gridgis.errors import CRSError, GeometryError, InputError, SchemaError
from gridgis.plan.validate import validate, verdict

LAWS = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 10_000)
units_of = st.sampled_from(["metres", "degrees"])


def discs(seed: int, count: int = 4, unit: str = "metres") -> gpd.GeoDataFrame:
    """Areas that overlap each other and reach beyond the ground of :func:`shapes.voronoi`."""
    rng = np.random.default_rng(seed)
    middles, radii = rng.uniform(0, 1000, (count, 2)), rng.uniform(150, 600, count)
    areas = shapes.frame(shapely.buffer(shapely.points(middles), radii, quad_segs=4), [f"X{n}" for n in range(count)])
    return areas if unit == "metres" else shapes.in_degrees(areas)


def tiling(seed: int, unit: str = "metres") -> gpd.GeoDataFrame:
    grids = shapes.voronoi(15, seed)
    return grids if unit == "metres" else shapes.in_degrees(grids)


def area_m2(shape: object, crs: object) -> float:
    return float(gpd.GeoSeries([shape], crs=crs).to_crs(shapes.METRES).area.iloc[0])


def table(defects: gpd.GeoDataFrame) -> dict[tuple[object, object], tuple[float, float | None, float | None]]:
    rows = defects.attrs["misfit"]
    found = {(r["overlay"], r["grid"]): (r["area_m2"], r["overlay_share"], r["grid_share"]) for r in rows}
    assert len(found) == len(rows)
    return found


# --- laws -------------------------------------------------------------------------------------------------------------


@LAWS
@given(seeds, units_of)
def test_the_misfit_is_what_plain_overlay_finds(seed: int, unit: str) -> None:
    areas, base = discs(seed, unit=unit), tiling(seed, unit)
    found = table(validate(areas, mode="overlay", base=base))
    over, under = (dict(zip(f["code"], f.geometry, strict=True)) for f in (areas, base))
    wanted = {(a, g): shapely.intersection(x, y) for a, x in over.items() for g, y in under.items()}
    wanted |= {(a, None): shapely.difference(x, base.union_all()) for a, x in over.items()}
    wanted |= {(None, g): shapely.difference(y, areas.union_all()) for g, y in under.items()}
    sizes = {pair: area_m2(shape, areas.crs) for pair, shape in wanted.items()}
    assert {pair for pair, size in sizes.items() if size > 1e-3} <= set(found)
    for (a, g), (size, of_area, of_grid) in found.items():
        assert size == pytest.approx(sizes[a, g], rel=1e-6, abs=1e-3)
        assert of_area == (None if a is None else pytest.approx(size / area_m2(over[a], areas.crs)))
        assert of_grid == (None if g is None else pytest.approx(size / area_m2(under[g], areas.crs)))


@LAWS
@given(seeds, units_of, st.booleans())
def test_what_is_claimed_and_not_covered_adds_up(seed: int, unit: str, bounded: bool) -> None:
    areas, base = discs(seed, unit=unit), tiling(seed, unit)
    boundary = shapes.outline(base)
    defects = validate(areas, boundary if bounded else None, mode="overlay", base=None if bounded else base)
    assert set(defects["kind"]) <= {"gap", "uncovered", "outside"}
    sizes = defects.groupby("kind")["area_m2"].sum()
    ground, union = boundary.geometry.iloc[0], areas.union_all()
    missing = area_m2(shapely.difference(ground, union), areas.crs)
    beyond = sum(area_m2(shapely.difference(a, ground), areas.crs) for a in areas.geometry)
    assert sizes.reindex(["gap", "uncovered"]).sum() == pytest.approx(missing, rel=1e-6, abs=1e-3)
    assert sizes.get("outside", 0.0) == pytest.approx(beyond, rel=1e-6, abs=1e-3)


@LAWS
@given(
    seeds,
    st.tuples(st.floats(0, 5e4), st.floats(0, 5e4)).map(sorted),
    st.tuples(st.floats(0, 100), st.floats(0, 100)).map(sorted),
)
def test_a_larger_tolerance_reports_nothing_new(seed: int, sizes: list[float], breadths: list[float]) -> None:
    areas, base = discs(seed), tiling(seed)
    low, high = (
        validate(areas, mode="overlay", base=base, min_area=a, min_width=w)
        for a, w in zip(sizes, breadths, strict=True)
    )
    first, second = (set(zip(d["kind"], d["codes"], d["area_m2"].round(6), strict=True)) for d in (low, high))
    assert second <= first
    assert low.attrs["misfit"] == high.attrs["misfit"]


@LAWS
@given(seeds)
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    areas, base = discs(seed), tiling(seed)
    rng = np.random.default_rng(seed)
    first = validate(areas, mode="overlay", base=base)
    second = validate(areas.iloc[rng.permutation(4)], mode="overlay", base=base.iloc[rng.permutation(15)])
    assert first["codes"].tolist() == second["codes"].tolist()
    assert [(r["overlay"], r["grid"]) for r in first.attrs["misfit"]] == [
        (r["overlay"], r["grid"]) for r in second.attrs["misfit"]
    ]


@LAWS
@given(seeds, units_of)
def test_the_grids_themselves_fit_without_a_fault(seed: int, unit: str) -> None:
    base = tiling(seed, unit)
    defects = validate(base, mode="overlay", base=base)
    assert len(defects) == 0
    assert set(table(defects)) == {(code, code) for code in base["code"]}
    assert all(row["overlay_share"] == row["grid_share"] == 1.0 for row in defects.attrs["misfit"])


# --- cases ------------------------------------------------------------------------------------------------------------


def test_overlaps_are_normal_and_the_rest_is_reported() -> None:
    areas = shapes.frame(
        [
            shapes.square(0, 0, 200, 300), shapes.square(150, 0, 160, 300), shapes.square(150, 0, 160, 300),
            shapely.Polygon([(0, 0), (100, 100), (0, 100), (100, 0)]), None,
        ],
        ["W", "E", "E2", "bow", "none"],
    )  # fmt: skip
    defects = validate(areas, mode="overlay", base=shapes.squares())
    assert [(d.kind, d.codes) for d in defects.itertuples()] == [
        ("outside", ("E",)), ("outside", ("E2",)), ("duplicate", ("E", "E2")), ("invalid_ring", ("bow",)),
        ("empty", ("none",)),
    ]  # fmt: skip
    assert "reaches beyond the ground of the grids" in defects["message"].iloc[0]
    assert defects.attrs["parameters"]["boundary"] == "base" and defects.attrs["parameters"]["mode"] == "overlay"


def test_ground_that_no_area_covers() -> None:
    areas = shapes.frame([shapes.square(0, 0, 300, 100), shapes.square(0, 0, 100, 300)], ["S", "W"])
    defects = validate(areas, mode="overlay", base=shapes.squares())
    assert defects[["kind", "codes", "area_m2"]].values.tolist() == [["uncovered", ("S", "W"), 40_000.0]]
    assert "ground along the boundary that no area covers" in defects["message"].iloc[0]
    bare = [(r["grid"], r["grid_share"]) for r in defects.attrs["misfit"] if r["overlay"] is None]
    assert bare == [("22", 1.0), ("23", 1.0), ("32", 1.0), ("33", 1.0)]
    found = verdict(defects)
    assert found["misfit"] == defects.attrs["misfit"] and found["valid"] is False


def test_known_holes_need_no_area() -> None:
    areas = shapes.frame([shapes.square(0, 0, 300, 100), shapes.square(0, 0, 100, 300)], ["S", "W"])
    lake = shapes.frame([shapes.square(110, 100, 200, 250)])
    defects = validate(areas, mode="overlay", base=shapes.squares(), holes=lake)
    assert defects[["kind", "area_m2"]].values.tolist() == [["uncovered", 2000.0]]


def test_base_rows_without_geometry_are_left_out() -> None:
    defects = validate(shapes.squares(), mode="overlay", base=shapes.with_none())
    assert len(defects) == 0 and len(defects.attrs["misfit"]) == 9


def test_with_a_boundary_alone_there_is_no_misfit() -> None:
    defects = validate(shapes.overlapping(), shapes.outline(shapes.squares()), mode="overlay")
    assert len(defects) == 0 and defects.attrs["misfit"] == []


# --- dedicated grids inside basic ones --------------------------------------------------------------------------------


def with_school(x: float = 120, mode: str | None = "overlay") -> gpd.GeoDataFrame:
    """The chessboard, and a school of 60 m in it that is declared an overlay."""
    grids = shapes.squares().assign(mode=[None, "partition", *[None] * 7])
    school = shapes.frame([shapes.square(x, 120, 60)], ["school"]).assign(mode=mode)
    return gpd.GeoDataFrame(pd.concat([grids, school], ignore_index=True), crs=grids.crs)


def test_a_dedicated_grid_may_lie_over_a_basic_one() -> None:
    defects = validate(with_school())
    assert len(defects) == 0
    assert table(defects) == {("school", "22"): (3600.0, 1.0, 0.36)}
    assert set(validate(with_school(mode=None))["kind"]) == {"contained"}


def test_a_dedicated_grid_beyond_the_others_is_outside() -> None:
    defects = validate(with_school(270))
    assert defects[["kind", "codes", "area_m2"]].values.tolist() == [["outside", ("school",), 1800.0]]
    assert table(defects) == {("school", "23"): (1800.0, 0.5, 0.18), ("school", None): (1800.0, 0.5, None)}


def test_a_cut_out_is_part_of_the_partition() -> None:
    grids = with_school(mode="partition")
    hole = shapely.difference(shapes.shape_of(grids, "22"), shapes.shape_of(grids, "school"))
    assert len(validate(shapes.replaced(grids, "22", hole))) == 0


def test_a_dedicated_grid_has_a_parent_like_all_others() -> None:
    parents = shapes.frame([shapes.square(0, 0, 150, 300), shapes.square(150, 0, 150, 300)], ["A", "B"])
    grids = with_school().iloc[[0, 9]].assign(parent=["A", "A"])
    found = validate(gpd.GeoDataFrame(grids, crs=grids.crs), parents=parents)
    nesting = found[found["kind"] == "nesting"]
    assert nesting[["codes", "area_m2"]].values.tolist() == [[("school", "A", "B"), 1800.0]]


# --- bad input --------------------------------------------------------------------------------------------------------


def test_arguments_that_do_not_go_together() -> None:
    grids, outline = shapes.squares(), shapes.outline(shapes.squares())
    with pytest.raises(InputError, match="the mode is unknown; found 'both'; wanted partition or overlay"):
        validate(grids, mode="both")
    with pytest.raises(InputError, match=r"an overlay needs ground.* found neither base nor boundary"):
        validate(grids, mode="overlay")
    with pytest.raises(InputError, match="an overlay has no levels"):
        validate(grids, outline, parents=outline, mode="overlay")
    with pytest.raises(InputError, match="base is for an overlay"):
        validate(grids, base=grids)
    with pytest.raises(InputError, match="streets are for segments"):
        validate(grids, streets=grids)


def test_a_base_that_cannot_be_used() -> None:
    areas, line = shapes.squares(), shapes.frame([shapely.LineString([(0, 0), (1, 1)])], ["l"])
    with pytest.raises(GeometryError, match=r"base: geometry of the wrong type \(row l\); found LineString"):
        validate(areas, mode="overlay", base=line)
    with pytest.raises(SchemaError, match="base: there are no grids to check"):
        validate(areas, mode="overlay", base=areas.iloc[:0])
    with pytest.raises(CRSError, match="base: the coordinate reference system is missing"):
        validate(areas, mode="overlay", base=areas.set_crs(None, allow_override=True))


def test_a_mode_that_is_none() -> None:
    with pytest.raises(
        SchemaError, match=r"grids: the column 'mode' has values.*row 10\); found 'walk'; wanted partiti"
    ):
        validate(with_school(mode="walk"))
    with pytest.raises(SchemaError, match="every row is an overlay"):
        validate(shapes.squares().assign(mode="overlay"))
