"""Addresses: one way of writing, parts, comparing, the index; the table of pairs that it is measured by."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import address_pairs
import numpy as np
import pandas as pd
import pytest
from address_pairs import AMBIGUOUS, NONE, Table
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridgis.assign.address_parts import Address
from gridgis.assign.addresses import AddressIndex, Match, compare, parse, text_of
from gridgis.assign.characters import normalise, normalise_all
from gridgis.assign.chinese_addresses import _USUAL, _read_any, read_tail
from gridgis.sample.people import WRONG

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
    assert match[:3] == (0, "address", 0.6)


# --- what was misread -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "areas", "names"),
    [
        ("望汀街道酒旗巷5号", {"town": "望汀"}, ["酒旗巷"]),
        ("晴岚市渚南区酒旗巷5号", {"city": "晴岚", "district": "渚南"}, ["酒旗巷"]),
        ("海淀区蓝旗营小区5号楼", {"district": "海淀"}, ["蓝旗营"]),
        (
            "鄂尔多斯市达拉特旗树林召镇平安路5号",
            {"city": "鄂尔多斯", "district": "达拉特", "town": "树林召"},
            ["平安路"],
        ),
        ("苏州市昆山市玉山镇前进路5号", {"city": "苏州", "district": "昆山", "town": "玉山"}, ["前进路"]),
        ("北京西城区菜市口大街5号", {"district": "西城"}, ["菜市口大街"]),
        ("北京路5号", {}, ["北京路"]),
        ("上海浦东新区张江镇高科路5号", {"district": "浦东", "town": "张江"}, ["高科路"]),
        ("米市大街5号", {}, ["米市大街"]),
        ("古镇东路5号", {}, ["古镇东路"]),
        ("城东区城东街道城东路5号", {"district": "城东", "town": "城东"}, ["城东路"]),
        ("铁路新村5号", {}, ["铁路新村"]),
        ("成府路28号华清嘉园3栋", {}, ["成府路", "华清嘉园"]),
        ("阳光社区3号楼", {}, ["阳光社区"]),
        ("碑林区东大街1号", {"district": "碑林"}, ["东大街"]),
    ],
)
def test_areas_end_where_the_name_begins(text: str, areas: dict[str, str], names: list[str]) -> None:
    read = parse(text)
    assert (dict(read.areas), list(read.names)) == (areas, names)


def test_a_lane_of_a_known_name_is_read_behind_any_prefix() -> None:
    index = AddressIndex(["前街12号", "县前街12号", "南街3号"])
    assert index.find("丰县前街12号").row == 0
    assert index.find("县前街12号").row == 1
    assert index.find("古镇南街3号").row == 2
    assert index.find("新南街3号").how == "none"


# --- estates, places, ranges ------------------------------------------------------------------------------------------


def test_an_estate_stands_for_its_lane() -> None:
    houses = ["兰桥路40弄4号302室", "兰桥路41弄4号302室", "学院路30号3栋302室", "学院路30号4栋302室"]
    index = AddressIndex(houses, estates=[("望汀府", "兰桥路40弄"), ("华清嘉园小区", "学院路30号"), ("南村", "南村")])
    for text in (
        "望汀府4号楼302室",
        "望汀府小区4栋302",
        "兰桥路40弄望汀府4号302室",
        "兰桥路40弄4号302室（望汀府）",
        "兰桥路望汀府4号302室",
    ):
        assert index.find(text)[:2] == (0, "address"), text
    assert index.find("华清嘉园4号楼302")[:2] == (3, "address")
    assert index.find("望汀府5号302室").how == "none"
    assert AddressIndex(houses).find("望汀府4号楼302室").how == "none"
    # The lane and the estate contradict each other.
    assert index.find("兰桥路41弄望汀府4号302室").how == "ambiguous"
    # Two estates of one name: in doubt only where both have the house.
    two = AddressIndex([*houses, "兰桥路41弄9号1室"], estates=[("望汀府", "兰桥路40弄"), ("望汀府", "兰桥路41弄")])
    assert two.find("望汀府4号302室")[1:] == ("ambiguous", 1.0, (0, 1))
    assert two.find("望汀府9号1室").row == 4


def test_another_place_is_not_here() -> None:
    index = AddressIndex(["兰桥路40弄4号", "下汀街道兰桥路42弄4号"], place="晴岚市渚南区望汀街道")
    assert index.find("渚南区望汀街道兰桥路40弄4号").row == 0
    assert index.find("渚南区下汀街道兰桥路40弄4号").how == "none"
    assert index.find("下汀街道兰桥路42弄4号").row == 1
    assert AddressIndex(["12 Main St"], place="Cambridge, MA").find("12 Main St, Boston").how == "none"


def test_a_community_only_lowers_the_score_and_tells_namesakes_apart() -> None:
    index = AddressIndex(["柳汀社区和平路1号", "石磨社区和平路1号", "柳汀社区和平路3号"])
    assert index.find("石磨社区和平路1号")[:3] == (1, "address", 1.0)
    assert index.find("和平路1号")[1:] == ("ambiguous", 1.0, (0, 1))
    assert index.find("石磨社区和平路3号")[:3] == (2, "address", 2 / 3)


def test_ranges() -> None:
    index = AddressIndex(["和平路12-16号", "和平路14号", "12-14-18 Main St", "和平路20号1室", "和平路22号1室"])
    expected = {"和平路12号": 0, "和平路14号": 1, "和平路13号": -1, "和平路12—16号": 0, "18 main street": 2}
    assert {text: index.find(text).row for text in expected} == expected
    assert index.find("和平路13号").how == "none"
    assert index.find("和平路20-22号1室")[1:] == ("ambiguous", 0.0, (3, 4))


def test_candidates_are_told_in_order_and_not_all() -> None:
    index = AddressIndex([f"成府路28号{room}室" for room in range(101, 130)])
    assert index.find("成府路28号").candidates == tuple(range(11))
    assert index.find("成府路").candidates == tuple(range(11))
    assert index.find("成府路28号101室").candidates == ()
    assert index.find("成府路29号") == Match(-1, "none", 0.0)


# --- the table of pairs -----------------------------------------------------------------------------------------------


def _sample_table(sample: Path) -> Table:
    """The addresses of the sample's persons: written in all ways, and wrong on purpose."""
    houses, persons = pd.read_csv(sample / "houses.csv"), pd.read_parquet(sample / "persons.parquet")
    compounds = pd.DataFrame(
        pd.read_json(sample / "compounds.geojson")["features"].map(lambda f: f["properties"]).tolist()
    )
    truth = pd.read_parquet(sample / "truth_persons.parquet").set_index("id")
    row_of = {code: row for row, code in enumerate(houses["code"])}
    pairs: list[tuple[str, int | str]] = []
    for person, address in persons.set_index("id")["address"].dropna().items():
        way = truth.loc[person, "way"]
        how = WRONG[way][1] if way in WRONG else "address"
        pairs.append((address, row_of[truth.loc[person, "house"]] if how == "address" else how))
    rng, known = random.Random(4), set(houses["address"])
    for address in houses["address"].sample(300, random_state=4):
        other = re.sub(r"\d+(?=弄|号)", lambda found: str(int(found[0]) + rng.choice([600, 700])), address, count=1)
        pairs.append((other, NONE))
        pairs.append((f"渚南区下汀街道{address}", NONE))
        assert other not in known
    estates = compounds[["name", "address"]].itertuples(index=False, name=None)
    return Table(houses["address"].tolist(), pairs, list(estates), "晴岚市渚南区望汀街道")


def _measured(table: Table, name: str) -> Counter[str]:
    """Right, wrong and left open: to take a house that is not the right one, or to miss one that is there, is wrong."""
    index = AddressIndex(table.houses, place=table.place, estates=table.estates)
    counts: Counter[str] = Counter()
    matches = index.find_all([text for text, _ in table.pairs])
    for (text, answer), row, how in zip(table.pairs, matches.row.tolist(), matches.how.tolist(), strict=True):
        found = row if row >= 0 else how
        kind = "right" if found == answer else "open" if found == AMBIGUOUS else "wrong"
        counts[kind] += 1
        if kind == "wrong":
            print(name, text, "is", answer, "but found", found)
    return counts


def _check(counts: Counter[str]) -> None:
    assert counts["right"] >= 0.98 * counts.total(), counts
    assert counts["wrong"] <= 0.003 * counts.total(), counts


def test_the_table_of_pairs(sample: Path) -> None:
    tables = {"sample": _sample_table(sample), "invented": address_pairs.invented(), "by hand": address_pairs.by_hand()}
    assert sum(len(table.pairs) for table in tables.values()) > 5000
    for name, table in tables.items():
        _check(_measured(table, name))


@pytest.mark.places
def test_the_pairs_of_real_places(places: Path) -> None:
    osm = address_pairs.qinghuayuan(places / "qinghuayuan" / "map.osm")
    tax = address_pairs.cambridge(places / "cambridge" / "TaxFY14.csv")
    assert len(osm.pairs) > 500 and len(tax.pairs) > 2000
    for name, table in {"Qinghuayuan": osm, "Cambridge": tax}.items():
        _check(_measured(table, name))


# --- laws -------------------------------------------------------------------------------------------------------------

_letters = st.text(
    st.sampled_from("成府路街弄号楼栋单元室甲乙一二十百〇0123-AaF #（）()附之第,，樓NnOo.\n区县旗市"), max_size=24
)


@settings(max_examples=400, deadline=None)
@example("0之甲栋")
@given(st.one_of(_letters, st.text(max_size=20)))
def test_normalising_twice_is_once_and_one_by_one_is_all_at_once(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert normalise_all(["成府路２８號", text, "12 Main St.", text]) == ["成府路28号", once, "12 main st", once]


_road = st.sampled_from(["成府路", "酒旗巷", "新街口外大街", "望月弄"])
_estate = st.sampled_from(["华清嘉园", "铁路新村", "听澜苑"])
_count = st.integers(1, 400).map(str)


@st.composite
def addresses(draw: st.DrawFn) -> str:
    """An address as a register has it."""
    parts = [draw(st.sampled_from(["", "海淀区", "北京市海淀区清河镇", "清河街道柳汀社区"]))]
    if draw(st.booleans()):
        parts += [draw(_road), draw(_count), draw(st.sampled_from(["号", "甲号"]))]
        parts += [draw(_estate), draw(_count), "栋"] if draw(st.booleans()) else []
    else:
        parts += [draw(_road), draw(_count), "弄", draw(_count), draw(st.sampled_from(["号", "栋"]))]
    parts += [draw(_count), "单元"] if draw(st.booleans()) else []
    return "".join([*parts, str(draw(st.integers(101, 2999))), "室"] if draw(st.booleans()) else parts)


@settings(max_examples=200, deadline=None)
@given(addresses())
def test_written_out_and_read_again_is_the_same(text: str) -> None:
    read = parse(text)
    assert parse(text_of(read)) == read
    assert isinstance(read, Address) and len(read.numbers) == len(read.words)


def _rewritten(text: str) -> dict[str, str]:
    """The same address in other characters."""
    wide = text.translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    old = text.translate(str.maketrans("号楼栋单华园铁乡镇区县听", "號樓棟單華園鐵鄉鎮區縣聽"))
    spelt = re.sub(r"\d+", lambda found: address_pairs.said(found[0]), text)
    return {"full width": wide, "traditional": old, "numerals": spelt, "blanks": " ".join(re.findall(r"\d+|\D+", text))}


@settings(max_examples=150, deadline=None)
@given(st.lists(addresses(), min_size=1, max_size=8), addresses(), st.randoms(use_true_random=False))
def test_the_writing_never_changes_the_answer(houses: list[str], other: str, rng: random.Random) -> None:
    index = AddressIndex(houses)
    for text in (rng.choice(houses), other):
        match = index.find(text)
        for way, written in _rewritten(text).items():
            assert index.find(written) == match, way


@settings(max_examples=80, deadline=None)
@given(
    st.lists(addresses(), min_size=1, max_size=8), st.lists(addresses(), max_size=6), st.randoms(use_true_random=False)
)
def test_the_order_of_houses_and_houses_elsewhere(houses: list[str], more: list[str], rng: random.Random) -> None:
    queries = [*houses, *more]
    index, before = AddressIndex(houses), list(houses)
    mixed = rng.sample(range(len(houses)), len(houses))
    other, wider = AddressIndex([houses[i] for i in mixed]), AddressIndex([*houses, *more])
    for text in queries:
        match = index.find(text)
        turned = other.find(text)
        assert (turned.how, turned.score, mixed[turned.row] if turned.row >= 0 else -1) == (
            match.how,
            match.score,
            match.row,
        )
        if text in houses and match.how == "address":
            assert wider.find(text).row in (match.row, -1), "a right answer stays or is in doubt"
            assert wider.find(text).how != "none"
    assert houses == before


@settings(max_examples=150, deadline=None)
@given(st.lists(addresses(), min_size=1, max_size=12), st.lists(addresses(), max_size=12))
def test_many_at_once_are_found_as_one_by_one(houses: list[str], others: list[str]) -> None:
    texts = [
        text
        for one in (*houses, *others)
        for text in (one, re.sub(r"室$|\d单元", "", one), one.replace("室", "室（东门）"))
    ]
    texts += ["12 Main St", "望汀府3栋", ""]
    index = AddressIndex(houses, place="北京市海淀区", estates=[("望汀府", "成府路28弄")])
    found = index.find_all(texts)
    for i, text in enumerate(texts):
        one = index.find(text)
        assert (found.row[i], found.how[i], found.score[i], found.candidates[i] or ()) == one, text


@settings(max_examples=300, deadline=None)
@given(
    st.booleans(),
    st.sampled_from(["", "12弄"]),
    _count,
    st.sampled_from(["号", "号楼", "栋", "幢", "座"]),
    st.sampled_from(["", "2单元", "3门"]),
    st.sampled_from(["", "302室", "302", "11房", "5户", "1602c"]),
)
def test_the_quick_reading_of_usual_tails_is_the_thorough_one(
    road: bool, lane: str, number: str, word: str, unit: str, room: str
) -> None:
    tail = f"{lane}{number}{word}{unit}{room}"
    assert _USUAL.fullmatch(tail)
    assert read_tail(tail, road) == _read_any(tail, road)


def test_what_is_no_address_is_nothing() -> None:
    index = AddressIndex(["成府路28号", None, "", "  ", "12 Main St"])
    for text in (
        "",
        "   ",
        "-",
        "28",
        "号",
        "室室室",
        "#",
        "，。",
        "\x00\ud7ff",
        "1-2-3-4-5",
        "號" * 50,
        "0" * 50,
        "Main",
    ):
        assert index.find(text).row == -1, text
    assert AddressIndex([]).find("成府路28号").how == "none"
    found = index.find_all([])
    assert len(found.row) == 0 and found.row.dtype == np.int64
