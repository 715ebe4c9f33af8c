"""Persons to houses: by code, by address, by place; doubt with its candidates, households, bad input."""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import shapely.affinity
import shapes
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import houses_at, random_houses

from gridgis.assign.persons import assign_persons, households_of
from gridgis.errors import CRSError, GridgisWarning, InputError, SchemaError
from gridgis.files import read


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


# --- doubt ------------------------------------------------------------------------------------------------------------


def test_doubt_names_its_candidates_by_code() -> None:
    houses = houses_at((0, 0), (0, 0), (100, 0), codes=["9", "10", "7"]).assign(
        address=["成府路3号"] * 2 + ["成府路5号1室"]
    )
    persons = gpd.GeoDataFrame(
        {"id": range(5), "address": ["成府路3号", "成府路5号", "成府路7号", None, None]},
        geometry=houses_at(None, None, None, (1, 0), (99, 0)).geometry,
    )
    found = assign_persons(persons, houses)
    assert found["house_how"].tolist() == ["ambiguous", "ambiguous", "none", "ambiguous", "nearest"]
    assert found["house_candidates"].tolist() == ["10;9", "7", None, "10;9", None]
    many = pd.DataFrame({"code": range(100, 112), "address": "成府路3号"})
    told = assign_persons(persons.iloc[:1], many)["house_candidates"].iloc[0]
    assert told == ";".join(map(str, range(100, 110))) + ";…"


def test_estates_and_the_place_of_all_houses() -> None:
    houses = pd.DataFrame({"code": ["H1"], "address": ["兰桥路40弄4号302室"]})
    persons = pd.DataFrame(
        {"id": range(3), "address": ["望汀府4栋302", "下汀街道兰桥路40弄4号302室", "兰桥路40弄4栋302"]}
    )
    compounds = pd.DataFrame({"name": ["望汀府", None], "address": ["兰桥路40弄", "兰桥路42弄"]})
    found = assign_persons(persons, houses, compounds=compounds, place="渚南区望汀街道")
    assert found["house_how"].tolist() == ["address", "none", "address"]
    assert assign_persons(persons, houses)["house_how"].tolist() == ["none", "address", "address"]


# --- footprints -------------------------------------------------------------------------------------------------------


def _footprints(seed: int, count: int, width: float) -> gpd.GeoDataFrame:
    """Houses as footprints of all sizes and turns, some of them horseshoes."""
    rng = np.random.default_rng(seed)
    shapes_ = []
    for x, y, turn, size in rng.uniform((0, 0, 0, 0), (width, width, 360, 1), (count, 4)):
        wide, deep = 4 + 60 * size**4, 3 + 12 * size
        box = shapely.box(x, y, x + wide, y + deep)
        if size > 0.7:
            box = box.difference(shapely.box(x + 1, y + 1, x + wide - 1, y + deep + 9))
        shapes_.append(shapely.affinity.rotate(box, turn))
    moved = shapely.transform(np.array(shapes_), lambda xy: np.add(xy, (shapes.X0, shapes.Y0)))
    return gpd.GeoDataFrame({"code": [f"f{i:04d}" for i in range(count)]}, geometry=moved, crs=shapes.METRES)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([3, 40, 400]), st.sampled_from([5.0, 30.0]))
def test_footprints_hold_persons_or_are_nearest_as_in_a_spatial_join(seed: int, count: int, within: float) -> None:
    houses = _footprints(seed, count, 500.0)
    persons = random_houses(300, seed=seed, width=500.0).rename(columns={"code": "id"})
    before = houses.to_wkb()
    found = assign_persons(persons, houses, within=within)
    joined = persons.sjoin_nearest(houses, how="left", max_distance=within, distance_col="metres")
    sets = (
        joined.groupby("id")["code"].agg(lambda codes: ";".join(sorted(codes.dropna())[:10]) or None).loc[found["id"]]
    )
    told = found["house"].where(found["house"].notna(), found["house_candidates"].str.replace(";…", ""))
    assert told.fillna("").tolist() == sets.fillna("").tolist()
    sure = (found["house_how"] == "nearest").to_numpy()
    metres = joined.groupby("id")["metres"].min().loc[found["id"]].to_numpy()
    np.testing.assert_allclose(found["house_distance_m"][sure], metres[sure], atol=1e-6)
    assert houses.to_wkb().equals(before)


def test_a_person_in_a_footprint_is_at_no_distance() -> None:
    footprints = [shapely.box(0, 0, 10, 10), shapely.box(10, 0, 20, 10), None]
    houses = gpd.GeoDataFrame({"code": ["a", "b", "c"]}, geometry=footprints, crs=shapes.METRES)
    persons = gpd.GeoDataFrame({"id": range(3)}, geometry=gpd.points_from_xy([9, 10, 23], [5, 5, 5]), crs=shapes.METRES)
    found = assign_persons(persons, houses)
    assert found["house"].tolist() == ["a", None, "b"]
    assert found["house_candidates"].tolist() == [None, "a;b", None]
    assert found["house_distance_m"].iloc[[0, 2]].tolist() == [0, 3]


def test_who_stands_in_a_building_belongs_to_its_houses() -> None:
    buildings = gpd.GeoDataFrame(
        {"code": ["A", "B", "C"]},
        geometry=[shapely.box(0, 0, 100, 10), shapely.box(0, 12, 10, 20), shapely.box(200, 0, 210, 10)],
        crs=shapes.METRES,
    )
    at = [(2, 5), (98, 5), (5, 12), (98, 5), None, (150, 0)]
    points = [None if p is None else shapely.Point(p) for p in at]
    houses = gpd.GeoDataFrame(
        {"code": ["a1", "a2", "b1", "a3", "c1", "x"], "building": ["A", "A", "B", "A", "C", None]},
        geometry=gpd.GeoSeries(points, crs=shapes.METRES),
    )
    spots = [(5, 9), (45, 5), (90, 5), (205, 5), (150, 5), (300, 300)]
    persons = gpd.GeoDataFrame(
        {"id": range(6)}, geometry=gpd.points_from_xy(*zip(*spots, strict=True)), crs=shapes.METRES
    )
    found = assign_persons(persons.to_crs(4326), houses, buildings=buildings)
    # The first is nearer to b1, which is in another building; c1 has no place, and is the only one of its building.
    assert found["house"].tolist() == ["a1", "a1", None, "c1", "x", None]
    assert found["house_candidates"].tolist() == [None, None, "a2;a3", None, None, None]
    assert found["house_how"].tolist() == ["nearest", "nearest", "ambiguous", "nearest", "nearest", "none"]
    assert assign_persons(persons, houses)["house"].tolist()[:2] == ["b1", None]
    bare = pd.DataFrame(houses.drop(columns="geometry"))
    assert assign_persons(persons, bare, buildings=buildings)["house_candidates"].tolist()[:1] == ["a1;a2;a3"]


# --- households -------------------------------------------------------------------------------------------------------


def test_households_follow_their_persons_or_are_told_to_contradict() -> None:
    persons = pd.DataFrame(
        {
            "id": range(7),
            "household": ["10", "10", 9, 9, 8.0, None, "8"],
            "house": ["H1", None, "H2", "H1", None, "H1", None],
        }
    )
    before = persons.copy()
    found = households_of(assign_persons(persons, pd.DataFrame({"code": ["H1", "H2"]})))
    assert found.to_numpy().tolist() == [
        ["10", "H1", 2, 1, False, "H1"], ["8", None, 2, 0, False, None], ["9", None, 2, 2, True, "H1;H2"],
    ]  # fmt: skip
    assert persons.equals(before)
    with pytest.raises(SchemaError, match="persons need the column 'household'; found 'id', 'house'"):
        households_of(persons[["id", "house"]])
    nobody = households_of(persons.iloc[:0])
    assert len(nobody) == 0 and list(nobody.columns) == ["code", "house", "persons", "found", "contradicts", "houses"]


# --- bad input --------------------------------------------------------------------------------------------------------


def test_addresses_that_are_no_text_are_an_error_that_names_the_rows() -> None:
    houses = pd.DataFrame({"code": ["a", "b"], "address": ["成府路1号", "成府路2号"]})
    with pytest.raises(SchemaError, match=r"persons: addresses that are not text \(row 2\).*found 28.*成府路28号"):
        assign_persons(pd.DataFrame({"id": [1, 2], "address": ["成府路1号", 28]}), houses)
    with pytest.raises(SchemaError, match=r"houses: addresses that are not text \(2 rows: 1, 2\)"):
        assign_persons(pd.DataFrame({"id": [1], "address": ["成府路1号"]}), houses.assign(address=[1.5, 2.5]))


def test_no_houses_and_houses_without_addresses() -> None:
    persons = pd.DataFrame({"id": [1], "address": ["成府路1号"]})
    houses = pd.DataFrame({"code": ["a"], "address": [None]})
    with pytest.raises(SchemaError, match="there are no houses; wanted at least one"):
        assign_persons(persons, houses.iloc[:0])
    with pytest.warns(GridgisWarning, match="houses: the column 'address' is empty; nobody is found by address"):
        found = assign_persons(persons, houses)
    assert found["house_how"].tolist() == ["none"]
    blank = assign_persons(persons.assign(address=["  "]), houses)  # who gives none misses none
    assert blank["house_how"].tolist() == ["none"]


def test_a_missing_crs_of_houses_and_coordinates_in_text(tmp_path: Path) -> None:
    placeless = houses_at((0, 0)).set_crs(None, allow_override=True)
    with pytest.raises(CRSError, match="houses: the coordinate reference system is missing"):
        assign_persons(houses_at((0, 0)).rename(columns={"code": "id"}), placeless)
    path = tmp_path / "persons.csv"
    path.write_text("id,lon,lat\n1,116.3,40.0\n2,east,40.0\n", "utf-8")
    with pytest.raises(InputError, match=r"persons\.csv: .*lon"):
        read(path, table="person")


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_order_of_rows_does_not_matter_and_nothing_given_changes(data: st.DataObject) -> None:
    texts = ["成府路1号", "成府路3号", "成府路3号2室", "酒旗巷1弄1号", None]
    houses = houses_at(*[(20 * i, 0) for i in range(6)])
    houses["address"] = data.draw(st.lists(st.sampled_from(texts), min_size=6, max_size=6))
    size = data.draw(st.integers(1, 12))
    persons = houses_at(*data.draw(st.lists(st.tuples(st.integers(-9, 120), st.just(0)), min_size=size, max_size=size)))
    persons = persons.rename(columns={"code": "id"})
    persons["house"] = data.draw(st.lists(st.sampled_from(["h1", "h9", None]), min_size=size, max_size=size))
    persons["address"] = data.draw(st.lists(st.sampled_from([*texts, "成府路"]), min_size=size, max_size=size))
    before = persons.copy(), houses.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GridgisWarning)  # houses may all be without an address
        found = assign_persons(persons, houses)
        mixed = assign_persons(persons.iloc[::-1], houses.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(mixed.iloc[::-1], found)
    assert persons.equals(before[0]) and houses.equals(before[1])
    doubt = found["house_how"] == "ambiguous"
    assert found["house_candidates"].notna().equals(doubt)
    assert found["house"].notna().equals(found["house_how"].isin(["code", "address", "nearest"]))
