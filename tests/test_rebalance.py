"""Rebalance: some grids are shared out anew, all others stay byte for byte; what cannot change is refused."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from towns import cells, classed, towns

from gridgis.cli import run
from gridgis.errors import PlanError, SchemaError
from gridgis.files import read, write_layers
from gridgis.plan.faces.graph import block_graph, components
from gridgis.plan.partition import Plan, partition
from gridgis.plan.rebalance import norm_of, rebalance
from gridgis.plan.sharing.recombine import beside
from gridgis.profile import Norm, Profile


def shaken(plan: Plan, seed: int, by: float = 0.6) -> Plan:
    """The plan after other people moved in."""
    factor = np.random.default_rng(seed).uniform(1 - by, 1 + by, len(plan.blocks))
    households = np.rint(plan.blocks["households"] * factor).astype(int)
    blocks = plan.blocks.assign(households=households)
    sums = households.groupby(blocks["grid"]).sum()
    return Plan(blocks, plan.grids.assign(households=sums.reindex(plan.grids["code"]).to_numpy()), {})


def neighbours(plan: Plan) -> list[tuple[str, str]]:
    """Grids of one unit side by side."""
    blocks = plan.blocks.sort_values("code")
    graph = block_graph(blocks, blocks["code"].to_numpy(dtype=object), None)
    codes = sorted(set(blocks["grid"]))
    pairs = beside(np.searchsorted(codes, blocks["grid"].to_numpy(dtype=object)), graph.pairs)
    unit = blocks.groupby("grid")["unit"].first()
    return [(codes[a], codes[b]) for a, b in pairs.tolist() if unit[codes[a]] == unit[codes[b]]]


def assert_others_stay(before: Plan, after: Plan, chosen: list[str]) -> None:
    old, new = (p.grids[~p.grids["code"].isin(chosen)] for p in (before, after))
    new = new[new["code"].isin(before.grids["code"])]
    pd.testing.assert_frame_equal(*(pd.DataFrame(rows.drop(columns="geometry")) for rows in (old, new)))
    assert old.geometry.to_wkb().tolist() == new.geometry.to_wkb().tolist()
    same = ~before.blocks["grid"].isin(chosen)
    assert after.blocks.loc[same, "grid"].equals(before.blocks.loc[same, "grid"])
    assert after.blocks.drop(columns="grid").equals(before.blocks.drop(columns="grid"))


# --- laws -------------------------------------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(blocks=towns(), pick=st.integers(0, 99), stay=st.sampled_from([0.0, 1.0]), keep=st.booleans())
def test_the_chosen_change_and_all_others_stay(blocks: gpd.GeoDataFrame, pick: int, stay: float, keep: bool) -> None:
    plan = shaken(partition(blocks, 200.0), pick)
    pairs = neighbours(plan)
    assume(pairs)
    chosen = list(pairs[pick % len(pairs)])
    assume(plan.blocks.loc[plan.blocks["grid"].isin(chosen), "households"].sum() > 0)
    before = plan.blocks.copy(deep=True)
    after = rebalance(plan, chosen, 200.0, stay=stay, keep_count=keep, seed=pick)
    assert plan.blocks.equals(before)
    assert_others_stay(plan, after, chosen)
    grids, placed = after.grids, after.blocks
    assert set(placed["grid"]) == set(grids["code"])
    assert set(grids.geom_type) == {"Polygon"}
    for code, parent, shape in zip(grids["code"], grids["parent"], grids.geometry, strict=True):
        own = placed[placed["grid"] == code]
        assert set(own["unit"]) == {parent}
        assert shape.equals(shapely.union_all(own.geometry.to_numpy()))
    assert grids["households"].sum() == placed["households"].sum()
    for code in after.summary["new"]:
        assert code not in set(plan.grids["code"])
    away = placed["grid"] != plan.blocks["grid"]
    assert after.summary["moved"] == placed.loc[away, "households"].sum()
    assert after.summary["moved_blocks"] == away.sum()
    assert json.loads(json.dumps(after.summary)) == after.summary
    turned = Plan(plan.blocks.sample(frac=1, random_state=3), plan.grids, {})
    again = rebalance(turned, chosen[::-1], 200.0, stay=stay, keep_count=keep, seed=pick)
    assert again.blocks.sort_values("code")["grid"].tolist() == placed.sort_values("code")["grid"].tolist()


@settings(max_examples=15, deadline=None)
@given(pick=st.integers(0, 99))
def test_nothing_moves_where_staying_is_dear_and_all_is_in_tolerance(pick: int) -> None:
    plan = partition(cells(8, 4, np.random.default_rng(pick).integers(5, 45, 32)), 200.0)
    pairs = neighbours(plan)
    chosen = list(pairs[pick % len(pairs)])
    assert plan.grids.loc[plan.grids["code"].isin(chosen), "reason"].isna().all()
    after = rebalance(plan, chosen, 200.0, stay=1e6, seed=pick)
    assert after.blocks["grid"].equals(plan.blocks["grid"])
    assert after.grids.geometry.to_wkb().tolist() == plan.grids.geometry.to_wkb().tolist()
    assert (after.summary["changed"], after.summary["moved"]) == ([], 0)


# --- what is reached --------------------------------------------------------------------------------------------------


def test_loads_are_even_again_and_codes_stay_with_most_of_their_households() -> None:
    plan = partition(cells(10, 8, 20), 400.0)
    blocks = plan.blocks.copy()
    heavy = blocks["grid"] == plan.grids["code"].iloc[1]
    blocks.loc[heavy, "households"] = 35
    uneven = Plan(blocks, plan.grids, plan.summary)
    after = rebalance(uneven, plan.grids["code"].tolist(), 475.0, stay=0.1)
    assert after.summary["off_norm"] == 0
    assert after.grids["code"].tolist() == plan.grids["code"].tolist()
    assert 0 < after.summary["moved_share"] < 0.3
    for code in plan.grids["code"]:
        own = after.blocks[after.blocks["grid"] == code]
        from_ = own.groupby(plan.blocks.loc[own.index, "grid"])["households"].sum()
        assert from_.idxmax() == code


def test_the_number_of_grids_is_kept_unless_it_may_change() -> None:
    plan = partition(cells(6, 2, 50), 300.0)
    doubled = Plan(plan.blocks.assign(households=100), plan.grids, {})
    codes = plan.grids["code"].tolist()
    kept = rebalance(doubled, codes, 300.0)
    assert (len(kept.grids), kept.summary["off_norm"], kept.summary["new"]) == (2, 2, [])
    assert set(kept.grids["reason"]) == {"chosen mean"}
    free = rebalance(doubled, codes, 300.0, keep_count=False, stay=0.5)
    assert free.grids["households"].tolist() == [300] * 4
    assert free.summary["new"] == ["U03", "U04"]
    assert free.grids["name"].tolist() == ["第1网格", "第2网格", "第3网格", "第4网格"]
    halved = Plan(free.blocks.assign(households=40), free.grids, {})
    fewer = rebalance(halved, free.grids["code"].tolist(), 240.0, keep_count=False)
    assert len(fewer.grids) == 2
    assert len(fewer.summary["gone"]) == 2
    one = rebalance(doubled, codes[:1], 300.0, keep_count=False)
    assert one.summary["new"] == ["U03"]
    assert_others_stay(doubled, one, codes[:1])


def test_a_heavy_block_gets_a_grid_of_its_own() -> None:
    plan = partition(cells(6, 2, 50), 300.0)
    blocks = plan.blocks.copy()
    blocks.loc[blocks["code"] == "b00-02", "households"] = 900
    after = rebalance(Plan(blocks, plan.grids, {}), plan.grids["code"].tolist(), 300.0)
    alone = after.blocks.loc[after.blocks["code"] == "b00-02", "grid"].iloc[0]
    assert (after.blocks["grid"] == alone).sum() == 1
    assert {o["households"]: o["reason"] for o in after.summary["off"]}[900] == "indivisible block"


def test_barriers_that_must_not_be_crossed_are_kept() -> None:
    blocks = cells(8, 4, np.random.default_rng(1).integers(20, 40, 32))
    borders = classed(blocks, 3, ("lane", "lane", "lane", "railway"))
    plan = partition(blocks, 150.0, borders=borders, never_cross=["railway"])
    pairs = neighbours(plan)
    done = 0
    for chosen in pairs:
        try:
            now = shaken(plan, 1)._replace(summary=plan.summary)  # which says what is never crossed
            after = rebalance(now, chosen, 150.0, borders=borders)
        except PlanError as error:
            assert "no neighbour among those to be rebalanced" in str(error)  # only the railway lies between them
            continue
        done += 1
        graph = block_graph(after.blocks, blocks["code"].to_numpy(), borders, never_cross=["railway"])
        grid = after.blocks["grid"].to_numpy()
        inner = (grid[graph.pairs[:, 0]] == grid[graph.pairs[:, 1]]) & ~graph.barred
        assert components(len(grid), graph.pairs[inner]).max() + 1 == len(after.grids)
        assert after.summary["parameters"]["never_cross"] == ["railway"]
    assert done > 0


def test_rows_keep_their_own_columns_and_lose_what_told_of_the_old_shape() -> None:
    plan = partition(cells(10, 4, 20), 200.0)
    grids = plan.grids.assign(note=list("abcd"), bounds_text="东至…", compactness=0.5).rename_geometry("ground")
    chosen = list(neighbours(plan)[0])
    twice = plan.blocks["households"] * np.where(plan.blocks["grid"] == chosen[0], 2, 1)
    uneven = Plan(plan.blocks.assign(households=twice), grids, {})
    after = rebalance(uneven, chosen, 200.0)
    assert after.summary["changed"] == chosen
    assert after.grids["note"].tolist() == list("abcd")
    assert after.grids.active_geometry_name == "ground"
    changed = after.grids["code"].isin(chosen)
    assert after.grids.loc[changed, ["bounds_text", "compactness"]].isna().all(axis=None)
    assert after.grids.loc[~changed, "compactness"].tolist() == [0.5, 0.5]


def test_persons_that_nobody_counted_stay_unknown() -> None:
    plan = partition(cells(10, 4, 20), 200.0)
    unknown = pd.array([pd.NA] * 40, dtype="Int64")
    before = Plan(shaken(plan, 2).blocks.assign(persons=unknown), plan.grids.assign(persons=unknown[:4]), {})
    after = rebalance(before, list(neighbours(plan)[0]), 200.0)
    assert after.grids["persons"].isna().all()


def test_the_norm_of_a_plan_is_read_from_its_grids() -> None:
    blocks = cells(6, 2, 100, compound_kind=["managed"] * 7 + ["mixed"] * 5)
    wanted = Profile("p", "P", Norm({"mixed": 300.0, "managed": 600.0}))
    found = norm_of(partition(blocks, wanted).grids)
    assert found is not None
    assert dict(found.norm.households) == {"managed": 600.0}
    assert norm_of(partition(cells(4, 1, 100), 170.0).grids).norm.target(None) == pytest.approx(170.0)  # type: ignore[union-attr]
    assert norm_of(partition(cells(4, 1, 100), 170.0).grids.drop(columns="deviation")) is None


# --- what is refused --------------------------------------------------------------------------------------------------


def test_grids_that_cannot_be_rebalanced_are_refused() -> None:
    plan = partition(cells(8, 1, 100), 200.0)
    with pytest.raises(PlanError, match=r"grids: there are no such grids \(row U9\); wanted U01, U02, U03, U04"):
        rebalance(plan, ["U01", "U9"], 200.0)
    with pytest.raises(PlanError, match=r"one grid alone cannot be rebalanced \(row U01\)\. Name the neighbours"):
        rebalance(plan, ["U01", "U01"], 200.0)
    with pytest.raises(PlanError, match="no grid is named"):
        rebalance(plan, [], 200.0)
    with pytest.raises(PlanError, match=r"no neighbour among those to be rebalanced \(2 rows: U01, U03\)"):
        rebalance(plan, ["U01", "U03"], 200.0)
    with pytest.raises(PlanError, match=r"no neighbour among those to be rebalanced \(row U04\)"):
        rebalance(plan, ["U01", "U02", "U04"], 200.0)
    lock = pd.DataFrame({"code": ["b00-02"], "grid": ["U02"]})
    with pytest.raises(PlanError, match=r"locked grids cannot be rebalanced \(row U02\)\. Unlock them"):
        rebalance(plan, ["U01", "U02"], 200.0, lock=lock)
    marked = Plan(plan.blocks, plan.grids.assign(locked=[True, False, False, False]), {})
    with pytest.raises(PlanError, match=r"locked grids cannot be rebalanced \(row U01\)"):
        rebalance(marked, ["U01", "U02"], 200.0)
    with pytest.raises(PlanError, match="there is nothing to share out in these grids"):
        rebalance(Plan(plan.blocks.assign(households=0), plan.grids, {}), ["U01", "U02"], 200.0)


def test_plans_that_are_none_are_refused() -> None:
    plan = partition(cells(4, 1, 100), 200.0)
    with pytest.raises(SchemaError, match=r"blocks: the column 'grid' is missing.*gridgis partition writes it"):
        rebalance(Plan(plan.blocks.drop(columns="grid"), plan.grids, {}), ["U01", "U02"], 200.0)
    with pytest.raises(PlanError, match=r"blocks are in no grid of the plan \(row b00-03\).*from the same run"):
        rebalance(Plan(plan.blocks.assign(grid=["U01", "U01", "U02", "X"]), plan.grids, {}), ["U01", "U02"], 200.0)
    with pytest.raises(SchemaError, match="lock: locks need columns; found code; wanted grid"):
        rebalance(plan, ["U01", "U02"], 200.0, lock=pd.DataFrame({"code": ["b00-00"]}))


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_rebalances_what_partition_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = cells(10, 4, 20)
    write_layers({"blocks": blocks}, tmp_path / "b.gpkg")
    assert run(["partition", str(tmp_path / "b.gpkg"), "--norm", "200", "-o", str(tmp_path / "plan.gpkg")]) == 0
    grids, placed = (read(tmp_path / "plan.gpkg", layer=name) for name in ("grids", "blocks"))
    changed = shaken(Plan(placed, grids, {}), 2)
    write_layers({"grids": grids, "blocks": changed.blocks}, tmp_path / "now.gpkg")
    capsys.readouterr()
    codes = list(neighbours(changed)[0])
    command = ["rebalance", str(tmp_path / "now.gpkg"), "--grids", ",".join(codes), "-o", str(tmp_path / "out.gpkg")]
    assert run([*command, "--json"]) == 0
    said = capsys.readouterr()
    summary = json.loads(said.out)
    assert summary["norm"] == {"mixed": 200.0}
    assert summary["rebalanced"] == codes
    assert "可能 possible: " in said.err
    after = read(tmp_path / "out.gpkg", layer="grids")
    same = ~after["code"].isin(codes)
    assert after.geometry[same].to_wkb().tolist() == grids.geometry[same].to_wkb().tolist()
    assert run([*command, "--norm", "200", "--stay", "1", "--change-count"]) == 0
    assert f"重划 rebalanced: {codes[0]}, {codes[1]}    新 new" in capsys.readouterr().out
    assert run(["rebalance", str(tmp_path / "now.gpkg"), "--grids", "X", "-o", str(tmp_path / "x.gpkg")]) == 2
    assert "now.gpkg: there are no such grids (row X)" in capsys.readouterr().err
    assert not (tmp_path / "x.gpkg").exists()


def test_the_command_needs_blocks_and_a_norm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = partition(cells(4, 1, 100), 200.0)
    write_layers({"grids": plan.grids}, tmp_path / "grids.gpkg")
    assert run(["rebalance", str(tmp_path / "grids.gpkg"), "--grids", "U01,U02", "-o", str(tmp_path / "o.gpkg")]) == 2
    assert "the plan has no blocks; wanted a layer blocks" in capsys.readouterr().err
    write_layers({"grids": plan.grids.drop(columns="deviation"), "blocks": plan.blocks}, tmp_path / "p.gpkg")
    command = ["rebalance", str(tmp_path / "p.gpkg"), "--grids", "U01,U02", "-o", str(tmp_path / "o.gpkg")]
    assert run(command) == 2
    assert "the plan does not tell its norm" in capsys.readouterr().err
    assert run([*command, "--norm", "200", "--profile", "yichang"]) == 2
    assert "give either --profile or --norm" in capsys.readouterr().err
