"""Persons to houses: by code, by address, by place; doubt with its candidates, households, bad input."""

from __future__ import annotations

import time

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from test_assign import houses_at, random_houses

from gridgis.assign.persons import assign_persons
from gridgis.errors import CRSError, SchemaError


def a_street() -> gpd.GeoDataFrame:
    houses = houses_at((0, 0), (50, 0), (50, 0), (200, 0), None, codes=["H1", "H2", "H3", "H4", "H5"])
    return houses.assign(address=["成府路1号", "成府路3号", "成府路3号", None, "成府路9号"])


def test_by_code_by_address_by_place_or_not_at_all() -> None:
    rows = [
        ("code", "H4", "成府路1号", (0, 0)),
        ("address", None, "北京市成府路一號", (200, 0)),
        ("address, wrong code", "H99", "成府路9号", None),
        ("nearest", None, None, (5, 0)),
        ("nearest, unknown address", None, "学院路7号", (215, 0)),
        ("too far", None, None, (120, 0)),
        ("tie of addresses", None, "成府路3号", (0, 0)),
        ("tie of places", None, None, (45, 0)),
        ("nothing", None, None, None),
        ("wrong code only", "H99", None, None),
    ]
    places = houses_at(*[row[3] for row in rows]).geometry
    persons = gpd.GeoDataFrame(
        {"id": [row[0] for row in rows], "house": [row[1] for row in rows], "address": [row[2] for row in rows]},
        geometry=places.to_crs(4326),
    )
    before = persons.copy()
    found = assign_persons(persons, a_street())
    assert found["house"].tolist() == ["H4", "H1", "H5", "H1", "H4", None, None, None, None, None]
    assert found["house_how"].tolist() == [
        "code", "address", "address", "nearest", "nearest", "none", "ambiguous", "ambiguous", "none", "none",
    ]  # fmt: skip
    np.testing.assert_allclose(found["house_score"], [1, 1, 1, np.nan, np.nan, np.nan, 1, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(found["house_distance_m"].dropna(), [5, 15], atol=0.01)
    assert found["house_given"].tolist() == [row[1] for row in rows]
    assert found.attrs["parameters"] == {"within_m": 30.0, "weak_score": 0.6}
    assert persons.equals(before)
    again = assign_persons(found, a_street())
    pd.testing.assert_frame_equal(again[found.columns], found)


def test_numbers_are_codes_too_and_tables_need_no_geometry() -> None:
    persons = pd.DataFrame({"id": [1, 2, 3], "house": [7.0, np.nan, 8.0]})
    houses = pd.DataFrame({"code": [8, 7]})
    found = assign_persons(persons, houses)
    assert found["house"].tolist() == ["7", None, "8"]
    assert found["house_how"].tolist() == ["code", "none", "code"]
    assert assign_persons(persons.iloc[:0], houses)["house"].tolist() == []


def test_persons_follow_the_nearest_house_of_a_spatial_join() -> None:
    houses, persons = random_houses(400, seed=1), random_houses(500, seed=2).rename(columns={"code": "id"})
    found = assign_persons(persons, houses, within=25)
    joined = persons.sjoin_nearest(houses, how="left", max_distance=25, distance_col="metres")
    assert found["house"].fillna("").tolist() == joined["code"].fillna("").tolist()
    np.testing.assert_allclose(found["house_distance_m"], joined["metres"])
    assert 100 < found["house"].notna().sum() < 490


def test_the_order_of_persons_and_houses_does_not_matter() -> None:
    houses, persons = random_houses(100, seed=1), random_houses(200, seed=2).rename(columns={"code": "id"})
    found = assign_persons(persons, houses)
    mixed = assign_persons(persons.iloc[::-1], houses.sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(mixed.iloc[::-1], found)


def test_house_codes_that_cannot_be_used() -> None:
    persons = pd.DataFrame({"id": ["1"], "house": ["a"]})
    with pytest.raises(SchemaError, match=r"the codes of houses are not unique \(row a\)"):
        assign_persons(persons, pd.DataFrame({"code": ["a", "a", "b"]}))
    with pytest.raises(SchemaError, match=r"houses without a code \(row 2\)"):
        assign_persons(persons, pd.DataFrame({"code": ["a", None]}))
    with pytest.raises(SchemaError, match="houses need the column 'code'; found 'id'"):
        assign_persons(persons, pd.DataFrame({"id": ["a"]}))
    placed = houses_at((0, 0)).rename(columns={"code": "id"}).set_crs(None, allow_override=True)
    with pytest.raises(CRSError, match="persons: the coordinate reference system is missing"):
        assign_persons(placed, houses_at((0, 0)))


def test_27_000_persons_by_code_in_a_second() -> None:
    houses = random_houses(9600)
    persons = pd.DataFrame({"id": range(27_000), "house": [f"h{i % 9600}" for i in range(27_000)]})
    start = time.process_time()
    found = assign_persons(persons, houses)
    assert time.process_time() - start < 1
    assert (found["house_how"] == "code").all()
