"""Addresses, and persons to houses."""

from __future__ import annotations

import time

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import houses_at, random_houses

from gridgis.assign.addresses import AddressIndex, compare, normalise, parse
from gridgis.assign.persons import assign_persons
from gridgis.errors import CRSError, SchemaError

# --- addresses --------------------------------------------------------------------------------------------------------

SAME = [
    ("成府路28号", "成府路２８號"),
    ("成府路28号", "北京市海淀区清华园街道成府路二十八号"),
    ("成府路28号", "海淀区清华园街道清华园社区居委会成府路28号"),
    ("上海市浦东新区龙华路100弄5号301室", "龍華路一百弄五號三〇一室"),
    ("华清嘉园3号楼2单元301室", "华清嘉园小区3栋2单元301"),
    ("华清嘉园3幢2单元301室", "华清嘉园3-2-301"),
    ("华清嘉园3#2单元301室", "华清嘉园三栋二單元301室"),
    ("学院路甲5号", "学院路5号甲"),
    ("幸福里乙栋2门", "幸福里2栋二单元"),
    ("文三路9号天堂软件园A座1602C", "文三路9号天堂软件园ａ座１６０２c室"),
    ("中关村北二条13号", "中关村北2条13号"),
    ("解放路2弄03号", "解放路2弄3号"),
    ("成府路 28 号（东门）", "成府路28号东门"),
    ("史各庄村三组12号", "昌平区回龙观镇史各庄村3组12号"),
    ("12 Main St.", "12  main st"),
]
OTHER = [
    ("成府路28号", "成府路29号"),
    ("成府路28号", "成府路128号"),
    ("成府路28号", "学院路28号"),
    ("成府路28号", "成府路28弄"),
    ("成府路28号", "成府路甲28号"),
    ("海淀区成府路28号", "朝阳区成府路28号"),
    ("新街口外大街19号", "新街口南大街19号"),
    ("华清嘉园3栋301室", "华清嘉园3栋302室"),
    ("华清嘉园3栋1单元301室", "华清嘉园3栋2单元301室"),
    ("华清嘉园301室", "华清嘉园3栋301室"),
    ("天通苑北一区3号楼", "天通苑北二区3号楼"),
    ("阳光小区3栋", "月光小区3栋"),
    ("成府路28号", "成府路28号1单元101室"),
    ("28号", "28号"),
    ("12 Main St", "12 Maine St"),
]


@pytest.mark.parametrize(("one", "two"), SAME)
def test_addresses_that_are_the_same(one: str, two: str) -> None:
    assert compare(parse(one), parse(two)) == 1.0
    assert compare(parse(two), parse(one)) == 1.0
    assert AddressIndex([two]).find(one)[:2] == (0, "address")


@pytest.mark.parametrize(("one", "two"), OTHER)
def test_addresses_that_differ(one: str, two: str) -> None:
    assert compare(parse(one), parse(two)) == 0.0
    assert AddressIndex([two]).find(one).row == -1


_name = st.sampled_from(["成府路", "学院路", "华清嘉园", "新街口外大街", "石榴巷", "三里河一区"])
_part = st.tuples(st.integers(1, 400), st.sampled_from(["号", "弄", "栋", "单元", "室"])).map(lambda p: f"{p[0]}{p[1]}")


@settings(max_examples=150, deadline=None)
@given(_name, st.lists(_part, min_size=1, max_size=4), _name, st.lists(_part, min_size=1, max_size=4))
def test_an_address_equals_itself_however_written_and_no_other(
    name: str, parts: list[str], other_name: str, other_parts: list[str]
) -> None:
    one, two = name + "".join(parts), other_name + "".join(other_parts)
    full = "北京市海淀区" + one.translate(str.maketrans("0123456789号单园", "０１２３４５６７８９號單園"))
    assert normalise(full).removeprefix("北京市海淀区") == normalise(one)
    assert normalise(normalise(one)) == normalise(one)
    assert compare(parse(one), parse(full)) == 1.0
    same = parse(one)[1:] == parse(two)[1:]
    assert (compare(parse(one), parse(two)) == compare(parse(two), parse(one)) == 1.0) == same
    if not same:
        match = AddressIndex([one, two]).find(full)
        assert (match.row, match.how) == (0, "address")


def test_a_building_takes_what_is_in_it_and_the_finer_house_wins() -> None:
    index = AddressIndex(["成府路28号3栋", "成府路28号3栋2单元301室", None, "", "成府路28号"])
    assert index.find("成府路28号3栋2单元301室").row == 1
    assert index.find("成府路28号3栋2单元302室")[:2] == (0, "address")
    assert index.find("成府路28号5栋101室").row == 4
    assert AddressIndex(["成府路28号", "华清嘉园3栋301"]).find("成府路28号华清嘉园3栋301").row == 1


def test_ties_and_weak_matches_are_ambiguous() -> None:
    index = AddressIndex(["成府路28号", "成府路28号", "华清嘉园3栋101室", "华清嘉园3栋102室", "清华大学"])
    assert index.find("成府路28号").how == "ambiguous"
    assert index.find("华清嘉园3栋").how == "ambiguous"  # finer houses only
    assert index.find("清华大学12号楼").how == "ambiguous"  # the name alone is weak
    assert index.find("学院路1号").how == "none"
    assert index.find("").how == "none"


def test_address_without_the_road_finds_the_estate() -> None:
    match = AddressIndex(["成府路28号华清嘉园3栋301室", "成府路28号华清嘉园4栋301室"]).find("华清嘉园3号楼301")
    assert match == (0, "address", 0.6)


# --- persons ----------------------------------------------------------------------------------------------------------


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
