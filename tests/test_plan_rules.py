"""What a planner may ask of a partition: barriers never crossed, weights, a plan gone on with, codes along a path."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import shapes
from hypothesis import given, settings
from hypothesis import strategies as st
from towns import cells, classed, towns

from gridgis.cli import run
from gridgis.errors import PlanError, ProfileError, SchemaError
from gridgis.files import write, write_layers
from gridgis.plan.faces.graph import block_graph, components
from gridgis.plan.partition import Plan, Progress, partition
from gridgis.plan.sharing import recombine
from gridgis.plan.sharing.numbering import path_order
from gridgis.plan.sharing.recombine import beside
from gridgis.plan.validate import validate
from gridgis.profile import _CLASSES, Norm, Profile, Weights
from gridgis.schema import BARRIER_CLASSES


def pieces_of(plan: Plan, borders: pd.DataFrame | None = None, bars: tuple[str, ...] = ()) -> int:
    """Pieces of all grids together, where borders of the classes `bars` part them."""
    codes = plan.blocks["code"].to_numpy(dtype=object)
    graph = block_graph(plan.blocks, codes, borders, never_cross=bars)
    grid = plan.blocks["grid"].to_numpy()
    inner = (grid[graph.pairs[:, 0]] == grid[graph.pairs[:, 1]]) & ~graph.barred
    return int(components(len(codes), graph.pairs[inner]).max()) + 1


def railway(blocks: gpd.GeoDataFrame, column: int) -> pd.DataFrame:
    """Lanes everywhere, and a railway west of a column of blocks."""
    borders = classed(blocks, 0, ("lane",))
    west = [{left[-2:], right[-2:]} == {f"{column - 1:02d}", f"{column:02d}"} for left, right in
            zip(borders["left"], borders["right"], strict=True)]  # fmt: skip
    return borders.assign(**{"class": np.where(west, "railway", "lane")})


def profile(weights: Weights | None = None, order: str = "path", **norm: object) -> Profile:
    norm = norm or {"households": {"mixed": 300.0}}
    return Profile("p", "P", Norm(**norm), weights=weights or Weights(), code_order=order)  # type: ignore[arg-type]


# --- barriers that must not be crossed --------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(blocks=towns(), seed=st.integers(0, 99), norm=st.sampled_from([100.0, 400.0]))
def test_no_grid_hangs_together_across_a_barrier_that_must_not_be_crossed(
    blocks: gpd.GeoDataFrame, seed: int, norm: float
) -> None:
    borders = classed(blocks, seed, ("lane", "main", "railway"))
    plan = partition(blocks, norm, borders=borders, never_cross=["railway"])
    assert pieces_of(plan, borders, ("railway",)) == len(plan.grids)
    assert plan.summary["parameters"]["never_cross"] == ["railway"]
    assert plan.blocks.groupby("grid")["unit"].nunique().max() == 1
    assert set(plan.grids.geom_type) == {"Polygon"}
    assert plan.summary["off_norm"] >= plan.summary["bound_off_norm"]


def test_a_railway_parts_a_unit_and_the_reason_says_so() -> None:
    blocks = cells(6, 2, 50)
    borders = railway(blocks, 5)
    free = partition(blocks, 300.0, borders=borders)
    assert free.summary["off_norm"] == 0
    plan = partition(blocks, 300.0, borders=borders, never_cross=("railway",))
    east = plan.blocks.loc[plan.blocks["code"].str.endswith("05"), "grid"]
    assert plan.blocks["grid"].isin(set(east)).sum() == 2
    told = {o["grid"]: o["reason"] for o in plan.summary["off"]}
    assert told[east.iloc[0]] == "cut off by a barrier"
    assert plan.summary["notes"] == ["units that do not hang together (U): each piece has grids of its own"]


def test_the_classes_of_profile_and_option_are_joined() -> None:
    blocks = cells(6, 2, 50)
    wanted = profile(households={"mixed": 300.0}, never_cross=("railway",))
    plan = partition(blocks, wanted, borders=railway(blocks, 3), never_cross="river")
    assert plan.summary["parameters"]["never_cross"] == ["railway", "river"]
    assert plan.grids["households"].tolist() == [300, 300]
    assert pieces_of(plan, railway(blocks, 3), ("railway",)) == 2


def test_barriers_that_cannot_be_kept_are_refused() -> None:
    blocks = cells(4, 1, 100)
    with pytest.raises(PlanError, match=r"never_cross names classes that no barrier has; found canal; wanted river"):
        partition(blocks, 100.0, borders=railway(blocks, 2), never_cross=["canal"])
    with pytest.raises(PlanError, match=r"borders: barriers that must not be crossed need the borders.*\(railway\)"):
        partition(blocks, 100.0, never_cross=["railway"])
    lock = pd.DataFrame({"code": ["b00-01", "b00-02"], "grid": ["G", "G"]})
    with pytest.raises(PlanError, match=r"a locked grid lies across a barrier that must not be crossed \(row G\)"):
        partition(blocks, 100.0, borders=railway(blocks, 2), never_cross=["railway"], lock=lock)


# --- reasons ----------------------------------------------------------------------------------------------------------


def test_an_enclave_in_another_unit_is_told_from_ground_that_is_only_apart() -> None:
    blocks = cells(5, 5, 60)
    blocks.loc[blocks["code"].isin(["b02-02"]), "unit"] = "V"
    blocks = pd.concat([blocks, cells(2, 1, 150, unit="V").assign(
        code=["x1", "x2"], geometry=[shapes.square(2000, 0, 100), shapes.square(2100, 0, 100)]
    )], ignore_index=True)  # fmt: skip
    plan = partition(blocks, 300.0)
    told = {o["households"]: o["reason"] for o in plan.summary["off"]}
    assert told[60] == "enclave"
    assert "units that do not hang together (V)" in plan.summary["notes"][0]


def test_ground_behind_locked_grids_says_so() -> None:
    lock = pd.DataFrame({"code": ["b00-04"], "grid": ["L"]})
    plan = partition(cells(6, 1, 100), 200.0, tolerance=0.1, lock=lock)
    assert [(o["households"], o["reason"]) for o in plan.summary["off"]] == [
        (100, "locked"), (100, "cut off by locked grids"),
    ]  # fmt: skip
    assert plan.summary["bound_off_norm"] == 2


def test_what_lies_behind_a_heavy_block_says_so() -> None:
    plan = partition(cells(5, 1, [200, 200, 900, 150, 60]), 300.0, tolerance=0.25)
    told = {o["households"]: o["reason"] for o in plan.summary["off"]}
    assert told == {900: "indivisible block", 400: "isolated", 210: "isolated"}


def test_communities_outside_the_wanted_number_of_grids_are_named_with_the_reason() -> None:
    small, large = cells(4, 3, 50, unit="small"), cells(10, 10, 60, unit="large")
    large = large.assign(code="l" + large["code"]).set_geometry(large.translate(5000, 0))
    blocks = pd.concat([small, large], ignore_index=True)
    plan = partition(blocks, profile(households={"mixed": 300.0}, grids_per_community=(6, 10)))
    assert plan.summary["grids_per_community"] == [6, 10]
    assert plan.summary["communities_off"] == [
        {"unit": "large", "grids": 20, "reason": "too large: 10 grids would have 600 each, the norm is 300"},
        {"unit": "small", "grids": 2, "reason": "too small: 6 grids would have 100 each, the norm is 300"},
    ]
    assert plan.summary["off_norm"] == 0


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 99), low=st.sampled_from([300.0, 400.0]))
def test_a_range_of_persons_is_kept(seed: int, low: float) -> None:
    persons = np.random.default_rng(seed).integers(10, 60, 80)
    plan = partition(cells(10, 8, 1, persons=persons), profile(persons=(low, 1.5 * low)), weight="persons")
    assert plan.grids["persons"].between(low, 1.5 * low).all()
    assert plan.summary["off_norm"] == 0


# --- weights ----------------------------------------------------------------------------------------------------------


def test_weights_decide_between_shape_and_roads() -> None:
    blocks = cells(12, 8, np.random.default_rng(5).integers(20, 40, 96))
    borders = classed(blocks, 5, ("main", "lane", "lane"))
    round_, along = (
        partition(blocks, profile(weights=weights), borders=borders)
        for weights in (Weights(compactness=2.0, border=0.0), Weights(compactness=0.05, border=3.0))
    )
    assert round_.summary["compactness"] > along.summary["compactness"]
    assert round_.summary["road_share"] < along.summary["road_share"]
    assert along.summary["parameters"]["weights"]["border"] == 3.0
    assert round_.summary["off_norm"] == along.summary["off_norm"] == 0


def test_compounds_lean_to_one_grid() -> None:
    compound = [f"c{c // 4}" if r < 4 else None for r in range(6) for c in range(12)]
    blocks = cells(12, 6, np.random.default_rng(2).integers(10, 30, 72), compound=compound)

    def parted(weight: float) -> int:
        plan = partition(blocks, profile(weights=Weights(compound=weight)))
        return int((plan.blocks.groupby("compound")["grid"].nunique() - 1).sum())

    assert parted(5.0) < parted(0.0)
    plain = partition(blocks.drop(columns="compound"), profile())
    assert partition(blocks, profile(weights=Weights(compound=0.0))).blocks["grid"].equals(plain.blocks["grid"])


HEAD = 'name = "p"\ntitle = "P"\n[norm]\nhouseholds = { mixed = 300 }\n'


def test_the_profile_has_weights_barriers_and_the_order_of_codes() -> None:
    read = Profile.parse(
        HEAD + 'never_cross = ["railway"]\n[code]\norder = "north"\n[weights]\nborder = 1\nriver = 0.1\n'
    )
    assert (read.norm.never_cross, read.code_order, read.weights) == (
        ("railway",), "north", replace(Weights(), border=1.0, river=0.1),
    )  # fmt: skip
    assert _CLASSES == BARRIER_CLASSES
    assert [Weights().of_class(name) for name in ("river", None)] == [0.2, 2.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('never_cross = ["canal"]\n', "norm.never_cross is unknown; found 'canal'; wanted river, railway"),
        ('never_cross = "railway"\n', "norm.never_cross must be a list of words"),
        ('[code]\norder = "south"\n', "code.order is unknown; found 'south'; wanted path, north"),
        ("[weights]\nbeauty = 1\n", r"\[weights\] has keys that no profile knows; found beauty; wanted load, compact"),
        ("[weights]\nload = -1\n", "weights.load must be a number ≥ 0; found -1"),
        ("[weights]\nlane = 0\n", "weights.lane must be above 0"),
    ],
)
def test_a_profile_with_faults_in_these_is_refused(text: str, message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        Profile.parse(HEAD + text)


# --- what is possible, first ------------------------------------------------------------------------------------------


def test_what_is_possible_is_told_before_the_search() -> None:
    heard: list[Progress] = []
    homes = [100] * 16
    homes[5] = 900
    plan = partition(cells(4, 4, homes), 300.0, progress=heard.append)
    assert (heard[0].done, heard[-1].done) == (0, heard[-1].outlook.pieces)
    assert heard[0].outlook.bound_off_norm == plan.summary["bound_off_norm"] == 1
    assert heard[0].outlook.grids == plan.summary["grids"] == 6


def test_a_norm_that_no_plan_can_meet_is_told() -> None:
    heard: list[Progress] = []
    plan = partition(cells(4, 2, 20), 5000.0, progress=heard.append)
    message = (
        "no plan can bring a grid inside the norm; found 160 in the largest piece of ground; wanted 5000 in a grid, "
        "25% more or less. Change the norm, or cut heavy blocks."
    )
    assert heard[0].outlook.notes == (message,)
    assert plan.summary["notes"] == [message]
    assert plan.summary["bound_off_norm"] == plan.summary["off_norm"] == plan.summary["grids"]


@settings(max_examples=20, deadline=None)
@given(blocks=towns(), norm=st.sampled_from([100.0, 400.0]))
def test_a_partition_validates_strictly(blocks: gpd.GeoDataFrame, norm: float) -> None:
    plan = partition(blocks, norm)
    ground = gpd.GeoDataFrame({"code": ["T"]}, geometry=[shapely.union_all(blocks.geometry.to_numpy())], crs=blocks.crs)
    found = validate(plan.grids, ground)
    assert found["kind"].tolist() == []


# --- a plan gone on with ----------------------------------------------------------------------------------------------


def shaken(plan: Plan, seed: int, by: float) -> gpd.GeoDataFrame:
    """The blocks of a plan with other loads."""
    factor = np.random.default_rng(seed).uniform(1 - by, 1 + by, len(plan.blocks))
    return plan.blocks.drop(columns="grid").assign(households=np.rint(plan.blocks["households"] * factor).astype(int))


@settings(max_examples=15, deadline=None)
@given(blocks=towns(), seed=st.integers(0, 99))
def test_nothing_moves_where_staying_is_dear_and_all_is_in_tolerance(blocks: gpd.GeoDataFrame, seed: int) -> None:
    first = partition(blocks, 200.0, tolerance=0.3)
    second = partition(blocks, 200.0, tolerance=0.3, seed=seed, previous=first, stay=1e6)
    if first.summary["off_norm"] == 0:
        assert second.blocks["grid"].equals(first.blocks["grid"])
        assert (second.summary["moved"], second.summary["moved_blocks"]) == (0, 0)
    assert second.summary["off_norm"] >= second.summary["bound_off_norm"]
    assert pieces_of(second) == len(second.grids)


def test_the_dearer_the_fewer_move_and_codes_go_on() -> None:
    blocks = cells(12, 8, np.random.default_rng(1).integers(20, 60, 96))
    first = partition(blocks, 400.0)
    changed = shaken(first, 4, 0.5)
    plans = [partition(changed, 400.0, previous=first, stay=stay) for stay in (0.0, 0.3, 2.0)]
    shares = [plan.summary["moved_share"] for plan in plans]
    assert shares == sorted(shares, reverse=True)
    assert shares[2] < 0.12 < shares[0]
    assert [plan.summary["off_norm"] for plan in plans] == [0, 0, 0]
    for plan in plans:
        away = plan.blocks["grid"] != first.blocks["grid"]
        assert plan.summary["moved"] == changed.loc[away, "households"].sum()
        for code, own in plan.blocks.groupby("grid"):
            if code in set(first.grids["code"]):
                assert (first.blocks.loc[own.index, "grid"] == code).any()
    assert set(plans[2].grids["code"]) >= set(first.grids["code"])


def test_a_previous_plan_is_a_plan_its_blocks_or_its_grids() -> None:
    first = partition(cells(8, 6, 25), 200.0)
    first.grids["name"] = [f"{chr(0x7532 + n)}格" for n in range(len(first.grids))]
    changed = shaken(first, 2, 0.4)
    plans = [partition(changed, 200.0, previous=p, stay=1.0) for p in (first, first.blocks, first.grids)]
    assert plans[0].blocks["grid"].tolist() == plans[1].blocks["grid"].tolist() == plans[2].blocks["grid"].tolist()
    names = dict(zip(first.grids["code"], first.grids["name"], strict=True))
    assert plans[0].grids["name"].tolist() == plans[2].grids["name"].tolist()
    assert [names[c] for c in plans[0].grids["code"] if c in names] == [
        n for c, n in zip(plans[0].grids["code"], plans[0].grids["name"], strict=True) if c in names
    ]
    moved = partition(changed.to_crs(4326), 200.0, previous=first.grids, stay=1.0)
    assert moved.blocks["grid"].tolist() == plans[0].blocks["grid"].tolist()


def test_new_grids_get_new_codes_and_gone_ones_are_not_used_again() -> None:
    first = partition(cells(4, 1, 100), 200.0)
    grown = partition(cells(4, 1, 200), 200.0, previous=first, stay=1.0)
    assert grown.grids["code"].tolist() == ["U01", "U02", "U03", "U04"]
    shrunk = partition(cells(4, 1, 50), 200.0, previous=grown, stay=1.0)
    assert len(shrunk.grids) == 1
    assert set(shrunk.grids["code"]) < set(grown.grids["code"])


def test_previous_plans_that_do_not_fit_are_refused() -> None:
    blocks = cells(4, 1, 100)
    first = partition(blocks, 200.0)
    away = first.grids.set_geometry(first.grids.translate(50_000, 0))
    with pytest.raises(PlanError, match=r"previous: the previous plan is one of another place: no block lies in it"):
        partition(blocks, 200.0, previous=away)
    with pytest.raises(SchemaError, match="previous: a previous plan needs the grid of its blocks, or grids"):
        partition(blocks, 200.0, previous=first.grids[["name", "geometry"]])
    with pytest.raises(PlanError, match=r"nothing can stay without a previous plan; found stay 1; .* Give --previous"):
        partition(blocks, 200.0, stay=1.0)
    with pytest.raises(PlanError, match=r"the price of leaving a grid \(stay\) cannot be used; found -1; wanted 0 or"):
        partition(blocks, 200.0, previous=first, stay=-1)


def test_going_on_is_the_same_compiled_or_not_and_whatever_the_order_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    blocks = cells(14, 8, np.random.default_rng(3).integers(10, 40, 112), unit=["U"] * 56 + ["V"] * 56)
    first = partition(blocks, 250.0)
    changed = shaken(first, 1, 0.6)
    plain = partition(changed, 250.0, previous=first, stay=0.5, seed=3)
    monkeypatch.setattr(recombine, "COMPILED_FROM", 1)
    for workers in (1, 3):
        monkeypatch.setattr("os.cpu_count", lambda count=workers: count)
        fast = partition(changed.sample(frac=1, random_state=1), 250.0, previous=first, stay=0.5, seed=3)
        assert fast.blocks.sort_values("code")["grid"].tolist() == plain.blocks.sort_values("code")["grid"].tolist()
        assert fast.summary == plain.summary


# --- codes along a path -----------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), columns=st.integers(1, 7), rows=st.integers(1, 7))
def test_a_path_visits_each_grid_once_and_goes_to_neighbours(seed: int, columns: int, rows: int) -> None:
    blocks = cells(columns, rows, 1)
    graph = block_graph(blocks, blocks["code"].to_numpy(), None)
    order = path_order(blocks.geometry.to_numpy(), graph.pairs)
    assert sorted(order.tolist()) == list(range(columns * rows))
    steps = {tuple(sorted(p)) for p in zip(order[:-1].tolist(), order[1:].tolist(), strict=True)}
    assert len(steps - {tuple(p) for p in graph.pairs.tolist()}) <= (0 if columns * rows <= 40 else 2)
    shuffled = np.random.default_rng(seed).permutation(columns * rows)
    again = path_order(blocks.geometry.to_numpy()[shuffled], np.argsort(shuffled)[graph.pairs])
    assert shuffled[again].tolist() == order.tolist() or columns * rows > 2


def test_near_codes_are_neighbours() -> None:
    blocks = cells(12, 8, np.random.default_rng(6).integers(20, 60, 96))

    def distance(order: str) -> tuple[float, float]:
        plan = partition(blocks, profile(order=order))
        numbers = plan.blocks["grid"].str[-2:].astype(int).to_numpy() - 1
        pairs = beside(numbers, block_graph(blocks, blocks["code"].to_numpy(), None).pairs)
        return float((pairs[:, 1] == pairs[:, 0] + 1).sum()), float((pairs[:, 1] - pairs[:, 0]).mean())

    along, north = distance("path"), distance("north")
    assert along[0] == partition(blocks, profile()).summary["grids"] - 1
    assert along[0] > north[0]
    assert along[1] <= north[1]


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_goes_on_from_a_plan_and_keeps_barriers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = cells(8, 4, np.random.default_rng(1).integers(20, 40, 32))
    borders = railway(blocks, 4)
    lines = gpd.GeoDataFrame(borders, geometry=[shapely.LineString([(0, 0), (1, 1)])] * len(borders), crs=blocks.crs)
    write_layers({"blocks": blocks, "borders": lines}, tmp_path / "b.gpkg")
    first = ["partition", str(tmp_path / "b.gpkg"), "--norm", "200", "-o", str(tmp_path / "one.gpkg")]
    assert run([*first, "--never-cross", "railway", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["parameters"]["never_cross"] == ["railway"]
    assert "可能 possible: " in said.err
    assert "off the norm" in said.err.splitlines()[0]
    second = ["partition", str(tmp_path / "b.gpkg"), "--norm", "200", "--seed", "5", "-o", str(tmp_path / "two.gpkg")]
    assert run([*second, "--never-cross", "railway", "--previous", str(tmp_path / "one.gpkg"), "--stay", "100"]) == 0
    said = capsys.readouterr()
    assert "换格 moved: 0（0.0%），0 个街坊 blocks" in said.out
    assert run([*second, "--previous", str(tmp_path / "b.gpkg:borders")]) == 2
    assert run([*second, "--never-cross", "canal"]) == 2
    assert "never_cross names classes that no barrier has; found canal" in capsys.readouterr().err


def test_ctrl_c_at_the_terminal_writes_the_best_plan_so_far(tmp_path: Path) -> None:
    write(cells(23, 21, np.random.default_rng(1).integers(5, 40, 483)), tmp_path / "b.geojson")
    command = [sys.executable, "-c", "from gridgis.cli import main; main()", "partition", str(tmp_path / "b.geojson"),
               "--norm", "150", "--tolerance", "0.02", "-o", str(tmp_path / "plan.gpkg"), "--json"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        assert started.stderr is not None
        while "possible" not in (line := started.stderr.readline()):
            assert line, "ended before it said what is possible"
        time.sleep(0.3)
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=60)
    assert started.returncode == 0, err
    assert json.loads(out)["parameters"]["stopped"] is True
    assert "stopped: this is the best plan so far" in err
    assert (tmp_path / "plan.gpkg").exists()
