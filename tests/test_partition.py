"""Partition: laws of every plan first, then why a grid is off norm, locks, codes, and what is refused."""

from __future__ import annotations

import json
from concurrent.futures import wait
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import shapes
from hypothesis import given, settings
from hypothesis import strategies as st
from towns import cells, towns

from gridgis.errors import GeometryError, GridgisWarning, PlanError, SchemaError
from gridgis.plan.blocks import make_blocks
from gridgis.plan.faces.graph import block_graph, components
from gridgis.plan.partition import Plan, partition
from gridgis.plan.sharing import recombine
from gridgis.plan.sharing.loops import compiled
from gridgis.plan.sharing.recombine import Draft, Piece, engine
from gridgis.plan.sharing.trees import best_cut
from gridgis.profile import Norm, Profile
from gridgis.schema import check

REASONS = {
    "locked", "no households", "indivisible block", "isolated", "enclave", "cut off by a barrier",
    "cut off by locked grids", "community mean", "no better cut found",
}  # fmt: skip


def assert_plan(plan: Plan, blocks: gpd.GeoDataFrame, tolerance: float) -> None:
    grids, placed = plan.grids, plan.blocks
    assert placed.index.equals(blocks.index)
    assert set(placed["grid"]) == set(grids["code"])
    assert grids["code"].is_unique
    assert grids["code"].tolist() == sorted(grids["code"])
    assert set(grids.geom_type) == {"Polygon"}
    assert shapely.coverage_is_valid(grids.geometry.to_numpy())
    for code, parent, shape in zip(grids["code"], grids["parent"], grids.geometry, strict=True):
        own = placed[placed["grid"] == code]
        assert set(own["unit"]) == {parent}
        assert shape.equals(shapely.union_all(own.geometry.to_numpy()))
        assert set(map(tuple, shapely.get_coordinates(shape))) <= set(map(tuple, own.get_coordinates().to_numpy()))
    for column in ("households", "persons", "estimated"):
        assert grids[column].sum() == blocks[column].sum()
    off = grids["deviation"].abs() > tolerance
    assert grids["reason"].notna().equals(off)
    assert set(grids["reason"].dropna()) <= REASONS
    assert plan.summary["off_norm"] == off.sum() >= plan.summary["bound_off_norm"]
    assert [o["grid"] for o in plan.summary["off"]] == grids.loc[off, "code"].tolist()
    assert json.loads(json.dumps(plan.summary)) == plan.summary


def wkb(plan: Plan) -> tuple[object, ...]:
    plain = pd.DataFrame(plan.grids.drop(columns="geometry")).astype(str)
    return (
        plan.grids.geometry.to_wkb().tolist(),
        plain.values.tolist(),
        plan.blocks.sort_values("code")["grid"].tolist(),
    )


# --- laws -------------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(blocks=towns(), norm=st.sampled_from([30.0, 200.0, 1000.0]), degrees=st.booleans())
def test_every_plan_keeps_the_rules(blocks: gpd.GeoDataFrame, norm: float, degrees: bool) -> None:
    blocks = shapes.in_degrees(blocks) if degrees else blocks
    assert_plan(partition(blocks, norm), blocks, 0.25)


@settings(max_examples=15, deadline=None)
@given(blocks=towns(), seed=st.integers(0, 5))
def test_the_same_seed_gives_the_same_plan_whatever_the_order_of_rows(blocks: gpd.GeoDataFrame, seed: int) -> None:
    one = partition(blocks, 200.0, seed=seed)
    other = partition(blocks.sample(frac=1, random_state=7), 200.0, seed=seed)
    assert wkb(one) == wkb(other)
    assert one.summary == other.summary


@settings(max_examples=15, deadline=None)
@given(blocks=towns(), take=st.integers(0, 60))
def test_locked_grids_stay_and_the_rest_keeps_the_rules(blocks: gpd.GeoDataFrame, take: int) -> None:
    first = partition(blocks, 200.0)
    code = first.grids["code"].iloc[take % len(first.grids)]
    lock = pd.DataFrame(first.blocks.loc[first.blocks["grid"] == code, ["code", "grid"]])
    second = partition(blocks, 200.0, lock=lock, seed=3)
    assert_plan(second, blocks, 0.25)
    kept = second.blocks[second.blocks["grid"] == code]
    assert set(kept["code"]) == set(lock["code"])


def test_inputs_stay_as_they_are_and_the_active_geometry_is_used() -> None:
    blocks = cells(4, 2, 100)
    before = blocks.copy(deep=True)
    renamed = blocks.rename_geometry("ground").assign(geometry=None)
    assert wkb(partition(renamed, 200.0)) == wkb(partition(blocks, 200.0))
    pd.testing.assert_frame_equal(pd.DataFrame(blocks), pd.DataFrame(before))


def test_blocks_and_grids_are_tables_of_the_contract() -> None:
    plan = partition(cells(4, 2, 100), 200.0)
    assert check(plan.grids, "grid")["level"].tolist() == [3] * 4
    assert set(plan.grids["kind"]) == {"residential"}
    assert list(plan.summary) == [
        "grids", "norm", "bound_off_norm", "off_norm", "max_deviation", "mean_deviation", "compactness", "road_share",
        "parameters", "off",
    ]  # fmt: skip
    assert plan.summary["parameters"]["tolerance"] == 0.25
    assert plan.grids.attrs["parameters"] == plan.summary["parameters"]


# --- balance ----------------------------------------------------------------------------------------------------------


def test_even_blocks_are_shared_out_evenly() -> None:
    plan = partition(cells(10, 8, 20), 400.0)
    assert plan.grids["households"].tolist() == [400] * 4
    assert plan.summary["off_norm"] == plan.summary["bound_off_norm"] == 0
    assert plan.summary["compactness"] > 0.6


def test_hundreds_of_blocks_come_within_the_tolerance() -> None:
    rng = np.random.default_rng(4)
    blocks = cells(20, 15, rng.gamma(2, 14, 300).astype(int))
    plan = partition(blocks, 400.0)
    assert plan.summary["off_norm"] == 0
    assert plan.summary["mean_deviation"] < 0.12
    assert plan.summary["compactness"] > 0.55


def test_cuts_lean_to_the_stronger_barrier() -> None:
    place = shapes.frame([shapely.box(0, 0, 400, 400)], ["U"])

    def line(kind: str, xy: list[tuple[float, float]]) -> dict[str, object]:
        return {"class": kind, "name": None, "geometry": shapely.LineString(np.array(xy) + (shapes.X0, shapes.Y0))}  # noqa: RUF005

    lanes = [line("lane", [(x, -9), (x, 409)]) for x in (100, 200, 300)]
    lanes += [line("lane", [(-9, y), (409, y)]) for y in (100, 300)]
    barriers = gpd.GeoDataFrame([*lanes, line("river", [(-9, 200), (409, 200)])], crs=shapes.METRES)
    cut = make_blocks(place, barriers)
    blocks = cut.blocks.assign(households=20)
    plan = partition(blocks, 160.0, borders=cut.borders)
    assert plan.summary["road_share"] == 1.0
    assert plan.summary["grids"] == 2


def test_a_grid_takes_the_blocks_in_the_hole_of_its_own() -> None:
    ring = shapely.box(0, 0, 300, 300).difference(shapely.box(100, 100, 200, 200))
    blocks = shapes.frame([ring, shapely.box(100, 100, 200, 200), shapely.box(300, 0, 500, 300)], ["a", "b", "c"])
    plan = partition(blocks.assign(unit="U", households=[150, 100, 250]), 250.0)
    assert plan.blocks["grid"].tolist() == ["U01", "U01", "U02"]
    assert [len(g.interiors) for g in plan.grids.geometry] == [0, 0]


def test_ground_where_nobody_lives_does_not_all_go_to_one_grid() -> None:
    homes = np.zeros((12, 12), dtype=int)
    homes[:2, :] = 100
    plan = partition(cells(12, 12, homes.ravel()), 600.0)
    assert plan.summary["off_norm"] == 0
    assert plan.grids.area.max() < 5 * plan.grids.area.mean()


def test_touching_at_a_corner_is_not_enough() -> None:
    blocks = cells(2, 2, 100)
    blocks["unit"] = ["U", "V", "V", "U"]
    plan = partition(blocks, 200.0)
    assert plan.summary["grids"] == 4
    assert set(plan.grids["reason"]) == {"isolated", "community mean"}


def test_blocks_whose_vertices_do_not_match_are_neighbours_all_the_same() -> None:
    blocks = shapes.frame(
        [shapely.box(0, 0, 300, 100), shapely.box(0, 100, 90, 200), shapely.box(90, 100, 300, 200)], ["a", "b", "c"]
    ).assign(unit="U", households=100)
    plan = partition(blocks, 300.0)
    assert plan.grids["households"].tolist() == [300]
    assert plan.grids.geom_type.tolist() == ["Polygon"]


# --- the search -------------------------------------------------------------------------------------------------------


def draft_of(blocks: gpd.GeoDataFrame, count: int, seed: int = 0) -> Draft:
    """A draft of all blocks as one piece, not yet shared out."""
    graph = block_graph(blocks, blocks["code"].to_numpy(), None)
    load = blocks["households"].to_numpy(dtype=float)
    piece = Piece(load, graph.area, graph.perimeter, graph.pairs, graph.metres, graph.cost)
    return Draft(piece, count, load.sum() / count, 0.25, engine(seed, len(blocks)), 0)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(2, 7))
def test_the_price_only_falls_and_nothing_comes_apart(seed: int, count: int) -> None:
    draft = draft_of(cells(7, 6, np.random.default_rng(seed).gamma(2, 20, 42).astype(int) + 1), count, seed)
    draft.bisect()
    scores = [draft.score()[1]]
    for step in (draft.move, draft.improve):
        step()
        scores.append(draft.score()[1])
        assert sorted(set(draft.labels().tolist())) == list(range(count))
        ends = draft.labels()[draft.piece.pairs]
        parts = components(42, draft.piece.pairs[ends[:, 0] == ends[:, 1]])
        assert len(set(parts.tolist())) == count
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_what_a_tree_is_scored_by_is_what_the_grids_measure(seed: int) -> None:
    draft = draft_of(cells(4, 3, [10, 20, 30, 40, 50, 60, 70, 80, 90, 15, 25, 35]), 2)
    draft.room[6][:12] = [1] * 12  # all blocks are marked
    best, parts = best_cut(draft.ground, 1, 0, 2, 1, draft.rule, [seed], draft.room)
    draft.start_from(np.array(draft.room[12][:12]))
    assert parts == 1
    assert draft.score()[1] == pytest.approx(best, abs=1e-6)


def test_labels_stay_with_the_larger_overlap() -> None:
    draft = draft_of(cells(6, 1, 10), 2)
    draft.start_from(np.array([1, 1, 1, 1, 0, 0]))
    draft.improve()
    assert draft.labels().tolist() == [1, 1, 1, 0, 0, 0]


def test_the_plan_is_the_same_with_and_without_compiled_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    blocks = cells(14, 8, np.random.default_rng(3).gamma(2, 20, 112).astype(int), unit=["U"] * 56 + ["V"] * 56)
    plain = partition(blocks, 250.0, seed=2)
    monkeypatch.setattr(recombine, "COMPILED_FROM", 1)
    assert engine(0, len(blocks)).fast
    fast = partition(blocks, 250.0, seed=2)
    assert wkb(fast) == wkb(plain)
    assert fast.summary == plain.summary
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert wkb(partition(blocks, 250.0, seed=2)) == wkb(plain)


def test_without_numba_the_plain_loops_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    compiled.cache_clear()
    assert not engine(0, 10**6).fast
    compiled.cache_clear()


def test_ctrl_c_gives_the_best_plan_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = cells(10, 8, 20)
    calls: list[int] = []

    def interrupted(jobs: object, timeout: float | None = None) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return wait(jobs, timeout)  # type: ignore[arg-type]

    monkeypatch.setattr("gridgis.plan.sharing.shares.wait", interrupted)
    with pytest.warns(GridgisWarning, match="stopped: this is the best plan so far"):
        plan = partition(blocks, 400.0)
    assert plan.summary["parameters"]["stopped"] is True
    assert plan.grids["households"].sum() == 1600
    assert set(plan.grids.geom_type) == {"Polygon"}


def test_a_unit_is_shared_out_the_same_whatever_the_other_units_are() -> None:
    blocks = cells(10, 6, np.random.default_rng(1).gamma(2, 20, 60).astype(int), unit=["U"] * 30 + ["V"] * 30)
    both, one = partition(blocks, 250.0), partition(blocks[30:], 250.0)
    assert both.blocks["grid"][30:].tolist() == one.blocks["grid"].tolist()


# --- what a grid should hold, and why it may not ----------------------------------------------------------------------


def test_a_heavy_block_stands_alone_and_says_so() -> None:
    homes = [100] * 16
    homes[5] = 900
    plan = partition(cells(4, 4, homes), 300.0)
    heavy = plan.grids[plan.grids["households"] >= 900]
    assert heavy["reason"].tolist() == ["indivisible block"]
    assert [o.get("remedy") for o in plan.summary["off"]] == ["cut it into 3 parts"]
    assert plan.summary["bound_off_norm"] == plan.summary["off_norm"] == 1


def test_a_unit_without_households_is_one_grid() -> None:
    blocks = cells(4, 2, 0)
    blocks.loc[blocks["code"].str.endswith(("02", "03")), ["unit", "households"]] = ["V", 75]
    plan = partition(blocks, 300.0)
    assert plan.grids[["code", "households", "reason"]].values.tolist() == [
        ["U01", 0, "no households"], ["V01", 300, None],
    ]  # fmt: skip


def test_an_exclave_has_its_own_grid() -> None:
    blocks = cells(5, 2, 60)
    blocks = blocks[~blocks["code"].str.endswith("03")]
    plan = partition(blocks, 360.0)
    assert plan.grids[["households", "reason"]].values.tolist() == [[360, None], [120, "isolated"]]


def test_a_load_that_no_number_of_grids_fits_is_told() -> None:
    plan = partition(cells(4, 1, 110), 300.0, tolerance=0.2)
    assert set(plan.grids["reason"]) == {"community mean"}
    assert plan.summary["bound_off_norm"] == 1


def profile(**norm: object) -> Profile:
    return Profile("p", "P", Norm(**norm), code="{unit}-G{n:03d}")  # type: ignore[arg-type]


def test_the_norm_follows_the_kind_of_compound_that_most_live_in() -> None:
    blocks = cells(6, 2, 100, compound_kind=["managed"] * 7 + ["mixed"] * 2 + [None] * 3)
    plan = partition(blocks, profile(households={"mixed": 300.0, "managed": 600.0}))
    assert plan.grids["households"].tolist() == [600, 600]
    assert plan.grids["compound_kind"].tolist() == ["managed", "managed"]
    assert plan.summary["norm"] == {"mixed": 300.0, "managed": 600.0}


def test_six_to_ten_grids_a_community_come_first_where_the_mean_allows_it() -> None:
    wanted = profile(households={"mixed": 300.0}, grids_per_community=(6, 10))
    assert partition(cells(7, 7, 30), wanted).summary["grids"] == 6
    assert partition(cells(5, 5, 30), wanted).summary["grids"] == 3


def test_persons_may_be_what_is_shared_out() -> None:
    blocks = cells(4, 2, 10, persons=[1, 1, 1, 1, 1, 1, 1, 993])
    plan = partition(blocks, profile(persons=(400.0, 600.0)), weight="persons")
    assert plan.summary["norm"] == [400.0, 600.0]
    assert plan.summary["parameters"]["tolerance"] == pytest.approx(0.2)
    assert plan.grids.loc[plan.grids["persons"] > 900, "reason"].tolist() == ["indivisible block"]


def test_deviation_has_a_sign() -> None:
    plan = partition(cells(2, 1, [330, 270]), 300.0)
    assert sorted(plan.grids["deviation"].round(6)) == [-0.1, 0.1]


# --- codes and names --------------------------------------------------------------------------------------------------


def test_codes_and_names_run_from_north_to_south() -> None:
    units = pd.DataFrame({"code": ["U"], "name": ["东里社区"]})
    plan = partition(cells(4, 4, 25), profile(households={"mixed": 100.0}), units=units)
    assert plan.grids["code"].tolist() == [f"U-G00{n}" for n in (1, 2, 3, 4)]
    assert plan.grids["name"].tolist() == [f"东里社区第{n}网格" for n in (1, 2, 3, 4)]
    assert plan.grids.centroid.y.iloc[0] > plan.grids.centroid.y.iloc[3]


def test_blocks_without_units_are_one_place() -> None:
    plan = partition(cells(4, 1, 100).drop(columns="unit"), 200.0)
    assert plan.grids["code"].tolist() == ["01", "02"]
    assert plan.grids["name"].tolist() == ["第1网格", "第2网格"]
    assert plan.grids["parent"].tolist() == [None, None]


def test_a_template_without_the_unit_still_gives_each_grid_its_own_code() -> None:
    blocks = cells(4, 1, 100)
    blocks["unit"] = ["U", "U", "V", "V"]
    short = Profile("p", "P", Norm({"mixed": 200.0}), code="G{n}")
    assert partition(blocks, short).grids["code"].tolist() == ["G1", "G2"]


def test_a_locked_grid_keeps_its_code_and_no_other_takes_it() -> None:
    lock = pd.DataFrame({"code": ["b00-00", "b00-01", "b00-03"], "grid": ["U01", "U01", None]})
    plan = partition(cells(4, 1, 100), 100.0, lock=lock)
    assert plan.blocks["grid"].tolist() == ["U01", "U01", "U02", "U03"]
    assert plan.grids["reason"].tolist() == ["locked", None, None]
    assert plan.grids["name"].tolist() == ["第1网格", "第2网格", "第3网格"]
    assert plan.summary["bound_off_norm"] == 1


# --- bad input --------------------------------------------------------------------------------------------------------


def test_blocks_that_overlap_are_named() -> None:
    blocks = cells(3, 1, 100)
    wide = shapely.box(*blocks.geometry.iloc[0].bounds).buffer(10, join_style="mitre")
    with pytest.raises(PlanError, match=r"blocks overlap \(row b00-00 with b00-01\); found 1,000.000 m²"):
        partition(shapes.replaced(blocks, "b00-00", wide), 100.0)


@pytest.mark.parametrize("bad", [-1.0, None, float("inf")])
def test_households_that_are_missing_or_negative_are_named(bad: float | None) -> None:
    blocks = cells(3, 1, pd.Series([100, bad, 100], dtype="Float64"))
    with pytest.raises(PlanError, match=r"missing or negative \(row b00-01\); found .*; wanted 0 or more"):
        partition(blocks, 100.0)


@pytest.mark.parametrize("norm", [0, -300.0, float("nan"), float("inf"), True])
def test_a_norm_that_cannot_be_used_is_refused(norm: float) -> None:
    with pytest.raises(PlanError, match=r"the norm cannot be used; found .*; wanted households in a grid, above 0"):
        partition(cells(2, 1, 100), norm)


def test_a_profile_without_the_norm_that_is_asked_for_is_refused() -> None:
    with pytest.raises(PlanError, match=r"the profile p has no norm of households.* Take --weight persons"):
        partition(cells(2, 1, 100), profile(persons=(1000.0, 1500.0)))
    with pytest.raises(PlanError, match=r"the profile p has no norm of persons.* Take --weight households"):
        partition(cells(2, 1, 100, persons=9), profile(households={"mixed": 300.0}), weight="persons")


def test_arguments_and_columns_are_checked() -> None:
    with pytest.raises(PlanError, match="the weight is unknown; found 'area'; wanted households or persons"):
        partition(cells(2, 1, 100), 100.0, weight="area")
    with pytest.raises(PlanError, match=r"the tolerance cannot be used; found -0\.1"):
        partition(cells(2, 1, 100), 100.0, tolerance=-0.1)
    with pytest.raises(SchemaError, match="blocks: the column 'households' is missing; found code, unit, geometry"):
        partition(cells(2, 1, 100).drop(columns="households")[["code", "unit", "geometry"]], 100.0)
    with pytest.raises(SchemaError, match=r"blocks: the code is not unique \(row b00-00\)"):
        partition(cells(2, 1, 100).assign(code="b00-00"), 100.0)
    with pytest.raises(SchemaError, match="blocks: the table is empty"):
        partition(cells(2, 1, 100).iloc[:0], 100.0)
    with pytest.raises(GeometryError, match=r"not every block is a valid polygon \(row b00-01\)"):
        partition(shapes.replaced(cells(2, 1, 100), "b00-01", None), 100.0)


def test_locks_that_do_not_fit_are_refused() -> None:
    blocks = cells(3, 1, 100)

    def lock(codes: list[str], grids: list[str]) -> pd.DataFrame:
        return pd.DataFrame({"code": codes, "grid": grids})

    with pytest.raises(PlanError, match=r"locked blocks do not exist \(row b9\)"):
        partition(blocks, 100.0, lock=lock(["b9"], ["G"]))
    with pytest.raises(PlanError, match=r"locked to two grids \(row b00-00\)"):
        partition(blocks, 100.0, lock=lock(["b00-00", "b00-00"], ["G", "H"]))
    with pytest.raises(PlanError, match=r"a locked grid is not in one piece \(row G\)"):
        partition(blocks, 100.0, lock=lock(["b00-00", "b00-02"], ["G", "G"]))
    with pytest.raises(PlanError, match=r"a locked grid lies in two units \(row G\); found U, V"):
        partition(blocks.assign(unit=["U", "V", "V"]), 100.0, lock=lock(["b00-00", "b00-01"], ["G", "G"]))
    with pytest.raises(SchemaError, match="lock: locks need columns; found code; wanted grid"):
        partition(blocks, 100.0, lock=lock(["b00-00"], ["G"])[["code"]])


def test_borders_of_other_blocks_are_refused() -> None:
    blocks = cells(2, 1, 100)
    borders = pd.DataFrame({"left": ["b00-00"], "right": ["x"], "class": ["lane"], "length_m": [100.0]})
    with pytest.raises(PlanError, match=r"borders name blocks that do not exist \(row x\).*the same run"):
        partition(blocks, 100.0, borders=borders)
    with pytest.raises(SchemaError, match="borders lack columns; found left, right, length_m; wanted class"):
        partition(blocks, 100.0, borders=borders.drop(columns="class"))


# --- real ground ------------------------------------------------------------------------------------------------------


@pytest.mark.places
def test_qinghuayuan_is_shared_out(places: Path) -> None:
    from gridgis.assign.estimate import estimate_households
    from gridgis.files import read, read_osm

    place = read(f"{places}/beijing/haidian-all.geojson#110108014", table="boundary")
    with pytest.warns(GridgisWarning, match="the rest has no data"):
        layers = read_osm(places / "qinghuayuan" / "map.osm", place)
    yichang = Profile.load("yichang")
    buildings = estimate_households(layers["buildings"], yichang)
    cut = make_blocks(place, layers["barriers"], buildings=buildings, compounds=layers["compounds"])
    plan = partition(cut.blocks, yichang, borders=cut.borders)
    assert_plan(plan, cut.blocks, 0.25)
    assert plan.grids["households"].sum() == plan.grids["estimated"].sum() > 5000
    assert [len(g.interiors) for g in plan.grids.geometry] == [0] * len(plan.grids)
    assert plan.summary["off_norm"] <= plan.summary["bound_off_norm"] + 3
