"""The chain from person to map, its totals, and those that may be published."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely
import shapes
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from shapes import buildings_of, houses_at, random_houses

from gridgis.assign.chain import Chain, chain
from gridgis.assign.houses import assign_houses
from gridgis.assign.persons import assign_persons
from gridgis.assign.totals import public_totals, unit_totals
from gridgis.cli import run
from gridgis.errors import GeometryError, SchemaError
from gridgis.files import list_layers, write
from gridgis.profile import Parameters

# --- chain ------------------------------------------------------------------------------------------------------------


def check_conserved(result: Chain, persons: pd.DataFrame, houses: pd.DataFrame) -> None:
    """The laws: parts add up at each link, breaks are as many as counted, totals add up to what came in."""
    for link, counts in result.counts.items():
        assert counts["total"] == counts["complete"] + counts["ambiguous"] + counts["none"], link
        assert counts["broken"] == counts["ambiguous"] + counts["none"], link
        if "how" in counts:
            assert sum(counts["how"].values()) == counts["total"]
    broken = result.breaks.groupby("link").size().to_dict()
    for link in set(result.counts) - {"person_house", "person_grid", "household_grid"}:
        assert broken.get(link, 0) == result.counts[link]["broken"]
    first = result.counts["person_house"]
    assert first["broken"] <= broken.get("person_house", 0) <= first["broken"] + first["wrong_code"]
    totals = result.totals
    assert totals["persons"].sum() == len(persons)
    assert totals["houses"].sum() == len(houses)
    wanted = houses["households"].sum() if "households" in houses.columns else len(houses)
    assert totals["households"].sum() == wanted
    placed = totals[totals["grid"].notna()]
    assert placed["persons"].sum() == result.counts["person_grid"]["complete"]
    assert placed["households"].sum() == result.counts["household_grid"]["complete"]
    assert not result.breaks.duplicated(["link", "id"]).any()
    json.dumps({**result.counts, "breaks": result.breaks.to_dict("records")}, allow_nan=False)


@pytest.mark.filterwarnings("ignore::gridgis.errors.GridgisWarning")  # the grids overlap: told elsewhere
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_chain_conserves_whatever_is_broken(data: st.DataObject) -> None:
    place = st.one_of(st.none(), st.tuples(st.integers(-50, 350), st.integers(-50, 350)))
    places = data.draw(st.lists(place, min_size=1, max_size=12))
    houses = houses_at(*places)
    size = len(houses)
    houses["households"] = data.draw(st.lists(st.integers(0, 9), min_size=size, max_size=size))
    houses["building"] = data.draw(
        st.lists(st.sampled_from(["b0", "b1", "b2", "b9", None]), min_size=size, max_size=size)
    )
    codes = st.one_of(st.none(), st.sampled_from([f"h{i}" for i in range(15)]))
    given_codes = data.draw(st.lists(codes, max_size=20))
    persons = pd.DataFrame({"id": [f"p{i}" for i in range(len(given_codes))], "house": given_codes}, dtype=object)
    buildings = buildings_of(shapely.box(10, 10, 20, 20), shapely.box(290, 10, 310, 20), shapely.box(900, 0, 910, 9))
    grids = data.draw(st.sampled_from([shapes.squares(), shapes.with_lake(), shapes.with_none(), shapes.contained()]))
    built = data.draw(st.sampled_from([None, buildings]))
    result = chain(persons, houses, grids, built)
    check_conserved(result, persons, houses)
    ready = chain(assign_persons(persons, houses), assign_houses(houses, grids), grids, built)
    assert ready.counts == result.counts
    pd.testing.assert_frame_equal(ready.breaks, result.breaks)
    pd.testing.assert_frame_equal(ready.totals, result.totals)


def test_every_break_is_listed_with_its_reason() -> None:
    houses = houses_at((50, 50), (150, 50), (500, 50), (250, 50), codes=["H1", "H2", "H3", "H4"]).assign(
        building=["b0", None, "b1", "b7"], address=["成府路1号", None, "成府路3号", None], households=[10, 20, 30, 40]
    )
    buildings = buildings_of(shapely.box(40, 40, 60, 60), shapely.box(490, 40, 510, 60))
    persons = pd.DataFrame(
        {
            "id": ["p1", "p2", "p3", "p4", "p5"],
            "house": ["H1", "H3", "H8", "H9", None],
            "address": [None, None, "成府路1号", None, None],
        }
    )
    result = chain(persons, houses, shapes.with_none(), buildings)
    assert result.breaks.to_numpy().tolist() == [
        ["person_house", "p3", "the given house does not exist; found by address"],
        ["person_house", "p4", "the given house does not exist; no house fits what is given"],
        ["person_house", "p5", "no house fits what is given"],
        ["house_building", "H2", "no building is given"],
        ["house_building", "H4", "the building does not exist"],
        ["building_grid", "b1", "in no grid"],
        ["house_grid", "H3", "in no grid"],
        ["grid_map", "none", "the grid has no geometry"],
    ]
    assert result.counts["person_house"] == {
        "total": 5, "complete": 3, "ambiguous": 0, "none": 2, "broken": 2, "wrong_code": 2,
        "how": {"address": 1, "code": 2, "none": 2},
    }  # fmt: skip
    assert result.counts["person_grid"] == {"total": 5, "complete": 2, "ambiguous": 0, "none": 3, "broken": 3}
    assert result.counts["household_grid"] == {
        "total": 100, "complete": 70, "ambiguous": 0, "none": 30, "broken": 30,
    }  # fmt: skip
    rows = result.totals.set_index("grid")
    assert rows.loc["11"].tolist() == [None, 1, 1, 10, 2]
    assert rows.iloc[-1].tolist() == [None, 1, 1, 30, 3]
    check_conserved(result, persons, houses)


def test_a_chain_without_breaks() -> None:
    houses = houses_at((50, 50), (150, 50))
    persons = pd.DataFrame({"id": ["1", "2", "3"], "house": ["h0", "h0", "h1"]})
    result = chain(persons, houses, shapes.squares())
    assert len(result.breaks) == 0
    assert list(result.breaks.columns) == ["link", "id", "reason"]
    assert result.totals["grid"].tolist() == shapes.squares()["code"].tolist()
    assert result.totals["persons"].tolist() == [2, 1] + [0] * 7
    assert set(result.counts) == {"person_house", "house_grid", "grid_map", "person_grid", "household_grid"}


def test_houses_without_a_place_are_where_their_building_is() -> None:
    houses = pd.DataFrame({"code": ["H1", "H2"], "building": ["b0", "b9"]})
    persons = pd.DataFrame({"id": ["1"], "house": ["H1"]})
    buildings = buildings_of(shapely.box(110, 10, 120, 20))
    result = chain(persons, houses, shapes.squares(), buildings)
    assert result.totals.set_index("grid").loc["12"].tolist() == [None, 1, 1, 1, 1]
    assert result.counts["house_grid"]["how"] == {"building": 1, "none": 1}
    with pytest.raises(GeometryError, match=r"houses need a place; .* the column grid, or buildings"):
        chain(persons, houses, shapes.squares())


def test_a_grid_of_another_plan_is_a_break() -> None:
    houses = houses_at((50, 50), (150, 50)).assign(grid=["11", "old"])
    result = chain(pd.DataFrame({"id": ["1"], "house": ["h1"]}), houses, shapes.squares())
    assert result.breaks.to_numpy().tolist() == [["house_grid", "h1", "its grid is not on the map"]]
    assert result.counts["person_grid"]["broken"] == 1


def test_houses_in_another_grid_than_their_building_are_counted() -> None:
    houses = houses_at((110, 15)).assign(building=["b0"])
    buildings = buildings_of(shapely.box(0, 0, 120, 20))
    result = chain(pd.DataFrame({"id": ["1"], "house": ["h0"]}), houses, shapes.squares(), buildings)
    assert result.counts["house_grid"]["other_than_building"] == 1
    assert len(result.breaks) == 0


def test_ambiguous_persons_are_neither_found_nor_missing() -> None:
    houses = houses_at((50, 50), (150, 50)).assign(address=["成府路3号", "成府路3号"])
    persons = pd.DataFrame({"id": ["1", "2", "3"], "house": ["h0", None, None], "address": [None, "成府路3号", None]})
    counts = chain(persons, houses, shapes.squares()).counts
    wanted = {"total": 3, "complete": 1, "ambiguous": 1, "none": 1, "broken": 2}
    assert counts["person_house"].items() >= wanted.items()
    assert counts["person_grid"] == wanted


def test_totals_are_those_of_the_units_and_grids_need_one_code_each() -> None:
    grids = shapes.squares().assign(parent=lambda g: "U" + g["code"].str[0])
    houses = random_houses(300, width=290.0)
    persons = pd.DataFrame({"id": range(300), "house": [f"h{i}" for i in range(300)]})
    totals = chain(persons, houses, grids).totals
    units = unit_totals(totals)
    assert units["unit"].tolist() == ["U1", "U2", "U3"]
    assert units["grids"].tolist() == [3, 3, 3]
    for column in ("houses", "households", "persons"):
        assert units[column].sum() + totals.loc[totals["grid"].isna(), column].sum() == 300
    assert units["buildings"].isna().all()
    doubled = pd.concat([grids, grids.iloc[:1]])
    with pytest.raises(SchemaError, match=r"the codes of grids are not unique \(row 11\)\. gridgis validate"):
        chain(persons, houses, doubled)


# --- what may be published --------------------------------------------------------------------------------------------


def test_small_counts_are_hidden_and_another_with_each() -> None:
    houses = houses_at(*[(50, 50)] * 4, *[(150, 50)] * 6, *[(150, 150)] * 9)
    persons = pd.DataFrame({"id": range(19), "house": [f"h{i}" for i in range(19)]})
    totals = chain(persons, houses, shapes.squares()).totals
    public = public_totals(totals)
    assert public["persons"].fillna(-1).tolist() == [-1, -1, 0, 0, 9, 0, 0, 0, 0, 19, 19]
    assert public["level"].tolist() == ["grid"] * 9 + ["unit", "all"]
    assert public["buildings"].isna().all()
    assert public.attrs["parameters"] == {"small_count": 5.0}
    assert totals["persons"].tolist()[:2] == [4, 6]
    assert public_totals(totals, Parameters(small_count=2))["persons"].tolist()[:2] == [4, 6]


def _totals(units: list[list[int]]) -> pd.DataFrame:
    rows = [(f"U{u}", f"U{u}G{g}", n) for u, counts in enumerate(units) for g, n in enumerate(counts)]
    return pd.DataFrame(rows, columns=["unit", "grid", "persons"])


@pytest.mark.parametrize(
    ("units", "wanted"),
    [
        # Two small ones in a unit whose sum tells both: a third goes with them.
        ([[1, 1, 7, 50]], [[-1, -1, -1, 50], [59], 59]),
        # Alone in its unit: the totals of two units go, and a count of the other.
        ([[3], [40, 60]], [[-1, -1, 60], [-1, -1], 103]),
        # Nothing else anywhere: the total of all goes too.
        ([[3]], [[-1], [-1], -1]),
        ([[2, 0], [0, 0]], [[-1, 0, 0, 0], [-1, 0], -1]),
        ([[0, 0], [9]], [[0, 0, 9], [0, 9], 9]),
    ],
)
def test_what_is_hidden_with_a_small_count(units: list[list[int]], wanted: list[Any]) -> None:
    public = public_totals(_totals(units))
    told = [public.loc[public["level"] == level, "persons"].fillna(-1).tolist() for level in ("grid", "unit", "all")]
    assert [*told[:2], told[2][0]] == wanted


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=5), min_size=1, max_size=4),
    st.sampled_from([1.0, 2.0, 3.0, 4.5, 5.0]),
)
def test_no_hidden_count_can_be_worked_out(units: list[list[int]], small: float) -> None:
    totals = _totals(units)
    public = public_totals(totals, Parameters(small_count=small))
    truth = [*totals["persons"], *(sum(counts) for counts in units), totals["persons"].sum()]
    told = public["persons"].notna().to_numpy()
    assert public["persons"][told].tolist() == [n for n, shown in zip(truth, told, strict=True) if shown]
    assert not any(0 < n < small and shown for n, shown in zip(truth, told, strict=True))
    # The attacker: every unknown is at least 1 (zeros are told), sums are sums, and the rest is as published.
    count, size = len(totals), len(truth)
    sums = np.zeros((len(units) + 1, size))
    sums[:-1, :count] = np.array([[u == f"U{k}" for u in totals["unit"]] for k in range(len(units))])
    sums[:-1, count : count + len(units)] = -np.eye(len(units))
    sums[-1, count : count + len(units)], sums[-1, -1] = 1, -1
    bounds = [(n, n) if shown else (1, 10_000) for n, shown in zip(truth, told, strict=True)]
    for at in np.flatnonzero(~told[:count]):
        aim = np.zeros(size)
        aim[at] = 1
        low, high = (linprog(s * aim, A_eq=sums, b_eq=np.zeros(len(sums)), bounds=bounds).fun * s for s in (1, -1))
        assert low == pytest.approx(1, abs=1e-6)
        assert high >= small - 1e-6


def test_the_report_has_links_breaks_and_totals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grids, houses, persons = (tmp_path / name for name in ("g.geojson", "h.csv", "p.csv"))
    write(shapes.squares().assign(parent="U").to_crs(4326), grids)
    write(houses_at((50, 50), (400, 50)).to_crs(4326), houses)
    write(pd.DataFrame({"id": ["1", "2"], "house": ["h0", "h1"]}), persons)
    public = tmp_path / "public.csv"
    inputs = ["--persons", persons, "--houses", houses, "--grids", grids, "--public", public]
    arguments = [str(a) for a in ["chain", *inputs, "-o"]]
    assert run([*arguments, str(tmp_path / "report.csv")]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"house_grid +│ +2 +│ +1 +│ +0 +│ +1 +│ +1 ", printed)
    assert pd.read_csv(tmp_path / "report.csv")["reason"].tolist() == ["in no grid"]
    assert pd.read_csv(tmp_path / "report.links.csv")["link"].tolist() == [
        "person_house", "house_grid", "grid_map", "person_grid", "household_grid",
    ]  # fmt: skip
    assert pd.read_csv(tmp_path / "report.totals.csv")["persons"].tolist() == [1] + [0] * 8 + [1]
    assert pd.read_csv(public)["persons"].isna().sum() == 3  # the grid, its unit and the whole: 1 each
    assert run([*arguments, str(tmp_path / "report.json"), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert told["totals"][0] == {
        "unit": "U", "grid": "11", "buildings": None, "houses": 1, "households": 1, "persons": 1,
    }  # fmt: skip
    assert run([*arguments, str(tmp_path / "report.gpkg"), "--within", "200"]) == 0
    assert list_layers(tmp_path / "report.gpkg") == ["breaks", "links", "totals"]
