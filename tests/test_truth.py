"""truth.json against today's commands: each planted fault that they can see is found, and none else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import shapely

from gridgis.assign.chain import chain
from gridgis.assign.persons import assign_persons
from gridgis.files import read
from gridgis.plan.validate import validate
from gridgis.sample.people import WRONG
from gridgis.sample.written import WAYS
from gridgis.schema import DEFECT_KINDS

#: Persons by place that today's nearest house gets wrong, of all by place: a door that is nearer to the neighbour's.
WRONG_BY_PLACE = 0.01


@pytest.fixture(scope="module")
def truth(sample: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((sample / "truth.json").read_text("utf-8"))
    return document


def planted(truth: dict[str, Any], *, subject: str | None = None, file: str | None = None) -> list[dict[str, Any]]:
    rows = [row for row in truth["planted"] if subject is None or row["subject"] == subject]
    return [row for row in rows if file is None or row["where"] == file]


def test_the_list_is_whole(truth: dict[str, Any], sample: Path) -> None:
    rows = truth["planted"]
    assert len({row["id"] for row in rows}) == len(rows)
    assert all(row["subject"] and row["kind"] and row["detail"] for row in rows)
    assert all((row["seen_by"] == "later") == (row["expected"] == "later") for row in rows)
    assert [row["where"] for row in rows if not (sample / row["where"]).exists()] == []


# --- old grids --------------------------------------------------------------------------------------------------------


def test_every_kind_of_defect_is_planted_once_in_the_old_grids(truth: dict[str, Any]) -> None:
    assert sorted(row["kind"] for row in planted(truth, file="old_grids.geojson")) == sorted(DEFECT_KINDS)


def test_validate_finds_what_was_planted_in_the_old_grids_and_nothing_else(truth: dict[str, Any], sample: Path) -> None:
    old = read(sample / "old_grids.geojson", table="grid", lenient=("codes", "geometry"))
    found = validate(old, read(sample / "boundary.geojson"))
    rows = [row for row in planted(truth, file="old_grids.geojson") if row["expected"] == "now"]
    assert sorted((d.kind, d.codes) for d in found.itertuples()) == sorted((r["kind"], tuple(r["ids"])) for r in rows)
    places = found.set_index("kind")[["lon", "lat"]]
    for row in rows:
        if "lon" in row:
            there = shapely.Point(places.loc[row["kind"]])
            assert there.distance(shapely.Point(row["lon"], row["lat"])) < 1e-3, row["id"]
    assert found["area_m2"].max() < 250_000


# --- persons ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def persons(sample: Path) -> pd.DataFrame:
    """The persons as today's commands assign them, beside the right answers."""
    given = read(sample / "persons.parquet", table="person")
    found = assign_persons(given, read(sample / "houses.csv", table="house"))
    answers = pd.read_parquet(sample / "truth_persons.parquet").set_index("id")
    plain = pd.DataFrame(found.drop(columns="geometry")).set_index("id", drop=False)
    right = answers["house"].reindex(plain.index)
    return plain.assign(
        way=answers["way"].reindex(plain.index).fillna("code"), right=right.fillna(plain["house_given"])
    )


def test_by_code_and_by_address_nobody_gets_a_wrong_house(persons: pd.DataFrame) -> None:
    wrong = persons[persons["house"].notna() & (persons["house"] != persons["right"])]
    assert set(wrong["house_how"]) <= {"nearest"}
    assert len(wrong) <= WRONG_BY_PLACE * (persons["way"] == "place").sum()


def test_every_way_of_giving_a_house_is_taken_as_the_list_says(truth: dict[str, Any], persons: pd.DataFrame) -> None:
    assert persons["way"].value_counts().to_dict() == truth["counts"]["persons_by_way"]
    expected = {"code": "code", "place": "nearest"}
    expected |= {name: way.today for name, way in WAYS.items()} | {name: how for name, (_, how, _) in WRONG.items()}
    hows = persons.groupby("way")["house_how"].unique()
    assert {way: how.tolist() for way, how in hows.items()} == {way: [how] for way, how in expected.items()}


def test_three_in_a_hundred_are_wrong_or_in_doubt_on_purpose(truth: dict[str, Any], persons: pd.DataFrame) -> None:
    rows = planted(truth, subject="chain")
    assert sum(len(row["ids"]) for row in rows) == round(0.03 * len(persons))
    for row in [*rows, *planted(truth, subject="address index")]:
        assert set(persons.loc[row["ids"], "way"]) == {row["kind"]}
        assert set(persons.loc[row["ids"], "house_how"]) == {row["house_how"]}


def test_the_chain_breaks_at_these_persons_and_nowhere_else(
    truth: dict[str, Any], persons: pd.DataFrame, sample: Path, built: Path
) -> None:
    houses, grids = read(sample / "houses.csv", table="house"), read(f"{built / 'plan.gpkg'}:grids", table="grid")
    buildings = read(sample / "buildings.geojson", table="building")
    broken = chain(persons, houses, grids, buildings).breaks
    rows = planted(truth, file="persons.parquet")
    assert set(broken["link"]) == {"person_house"}
    assert sorted(broken["id"]) == sorted(i for row in rows for i in row["ids"])
    wrong = broken[broken["reason"].str.startswith("the given house does not exist")]
    assert sorted(wrong["id"]) == sorted(i for row in rows if "unknown code" in row["kind"] for i in row["ids"])


def test_addresses_are_written_in_every_way(persons: pd.DataFrame) -> None:
    written = persons["address"].dropna()
    for sign in "路弄号號栋幢座室甲乙０单":
        assert written.str.contains(sign).any(), sign
    assert written.str.contains("[一二三四五六七八九]号").any()
    assert written.str.contains("望汀街道柳汀社区").any()
    assert written.str.fullmatch(r".*\d{6,}.*").sum() == 0
