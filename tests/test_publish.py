"""What others see: GeoJSON as RFC 7946 has it, boards of staff on duty, a report that stands alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import shapes
from hypothesis import given, settings
from hypothesis import strategies as st

from gridgis import schema
from gridgis.errors import CRSError, InputError, SchemaError
from gridgis.publish.boards import ROLE_NAMES, Board, make_board
from gridgis.publish.features import PUBLIC_COLUMNS, context, feature_collection, public_grids
from gridgis.publish.plates import draw_plate
from gridgis.publish.reports import SHOWN, build_report

ZOO = {**shapes.CLEAN, **shapes.FAULTY, "none": shapes.with_none}
HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}"


def rings(collection: dict[str, Any]) -> list[list[list[list[float]]]]:
    """The polygons of a collection, each a list of rings."""
    found = []
    for feature in collection["features"]:
        geometry = feature["geometry"] or {"type": "MultiPolygon", "coordinates": []}
        found += geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    return found


# --- features ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [False, True], ids=["metres", "degrees"])
@pytest.mark.parametrize("name", sorted(ZOO))
def test_every_shape_of_the_zoo_is_geojson(name: str, degrees: bool) -> None:
    grids = shapes.in_degrees(ZOO[name]()) if degrees else ZOO[name]()
    collection = feature_collection(grids, ["name"], key=None)
    assert json.loads(json.dumps(collection, allow_nan=False)) == collection
    assert set(collection) == {"type", "features"}
    assert len(collection["features"]) == len(grids)
    for polygon in rings(collection):
        for place, ring in enumerate(polygon):
            assert len(ring) >= 4
            assert ring[0] == ring[-1]
            if shapely.LinearRing(ring).is_simple:
                assert shapely.is_ccw(shapely.LinearRing(ring)) == (place == 0)
        assert all(repr(c) == repr(round(c, 7)) for ring in polygon for xy in ring for c in xy)
        assert all(116 < x < 117 and 39 < y < 40 for ring in polygon for x, y in ring)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), cells=st.integers(2, 40), decimals=st.integers(6, 8))
def test_law_a_rounded_tiling_stays_a_tiling(seed: int, cells: int, decimals: int) -> None:
    grids = shapes.in_degrees(shapes.voronoi(cells, seed))
    rounded = gpd.GeoDataFrame.from_features(feature_collection(grids, ["code"], decimals=decimals), crs=4326)
    assert rounded.is_valid.all()
    assert shapely.coverage_is_valid(rounded.geometry.array)
    whole = shapely.union_all(rounded.geometry.array)
    assert shapely.area(rounded.geometry.array).sum() == pytest.approx(whole.area, rel=1e-9)
    again = feature_collection(rounded, ["code"], decimals=decimals)
    assert again["features"] == feature_collection(grids, ["code"], decimals=decimals)["features"]


@pytest.mark.places
def test_real_districts_stay_a_tiling_when_they_are_published(places: Path) -> None:
    file = places / "cambridge" / "PUBLICSAFETY_PoliceResponseDistricts.geojson"
    districts = gpd.read_file(file).reset_index(names="code")
    rounded = gpd.GeoDataFrame.from_features(feature_collection(districts, ["SECTOR"]), crs=4326)
    assert len(rounded) == 117
    assert shapely.coverage_is_valid(rounded.geometry.array)
    colours = public_grids(districts)["colour"]
    assert_neighbours_differ(districts, colours)
    assert colours.max() <= 5


def test_only_named_properties_leave_and_all_of_them_are_plain() -> None:
    grids = shapes.squares().assign(
        whole=pd.array([1, *[pd.NA] * 8], dtype="Int64"),
        number=[0.5, np.nan, np.inf, *[1.0] * 6],
        day=pd.Timestamp("2026-03-02"),
        pair=[("a", np.int64(1))] * 9,
        yes=np.True_,
        phone="13800000000",
    )
    made = feature_collection(grids, ["code", "whole", "number", "day", "pair", "yes"])["features"]
    assert made[0]["id"] == "11"
    assert made[0]["properties"] == {
        "code": "11", "whole": 1, "number": 0.5, "day": "2026-03-02T00:00:00", "pair": ["a", 1], "yes": True,
    }  # fmt: skip
    assert [f["properties"]["number"] for f in made[1:3]] == [None, None]
    assert made[1]["properties"]["whole"] is None
    assert "phone" not in json.dumps(made)


def test_ids_are_there_and_differ() -> None:
    with pytest.raises(
        SchemaError, match=r"features need a code each, and each another \(2 rows: 22, 22\)\. Run gridgis"
    ):
        feature_collection(shapes.same_code(), ["code"])
    with pytest.raises(SchemaError, match=r"and each another \(row row 5\)"):
        feature_collection(shapes.without_code(), ["name"])
    with pytest.raises(
        SchemaError, match="a column to publish does not exist; found code, name, geometry; wanted phone, id"
    ):
        feature_collection(shapes.squares(), ["phone"], key="id")
    with pytest.raises(CRSError, match="the coordinate reference system is missing"):
        feature_collection(shapes.squares().set_crs(None, allow_override=True), ["code"])


def test_what_vanishes_by_rounding_is_null_and_flat_holes_go() -> None:
    tiny, holed = shapely.box(116, 40, 116 + 1e-9, 40 + 1e-9), shapely.box(116, 40, 117, 41)
    holed = holed.difference(shapely.box(116.5, 40.5, 116.5 + 1e-9, 40.6))
    line = shapely.LineString([(116, 40), (116 + 1e-9, 40)])
    lines = shapely.multilinestrings([line, shapely.LineString([(116, 40), (116 + 1e-9, 40), (117, 40)])])
    shapes_ = [tiny, holed, line, lines, shapely.LinearRing([(116, 40), (117, 40), (117, 41)])]
    frame = gpd.GeoDataFrame({"code": list("12345")}, geometry=shapes_, crs=4326)
    made = feature_collection(frame, [])["features"]
    assert [f["geometry"] is None for f in made] == [True, False, True, False, False]
    assert made[3]["geometry"] == {"type": "MultiLineString", "coordinates": [[[116.0, 40.0], [117.0, 40.0]]]}
    assert made[4]["geometry"]["type"] == "LineString"
    assert len(made[1]["geometry"]["coordinates"]) == 1
    assert made[0]["properties"] == {}


def test_inputs_stay_as_they_are() -> None:
    for function in (
        lambda g: feature_collection(g, ["code"]),
        public_grids,
        lambda g: context(g, "water"),
        draw_plate,
    ):
        grids = shapes.donut().rename_geometry("place")
        before = grids.copy()
        function(grids)
        pd.testing.assert_frame_equal(pd.DataFrame(grids), pd.DataFrame(before))


# --- public grids -----------------------------------------------------------------------------------------------------


def assert_neighbours_differ(grids: gpd.GeoDataFrame, colours: pd.Series) -> None:
    left, right = shapely.STRtree(grids.geometry.array).query(grids.geometry.array, predicate="intersects")
    pairs = left != right
    assert pairs.any()
    assert (colours.to_numpy()[left[pairs]] != colours.to_numpy()[right[pairs]]).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), cells=st.integers(2, 60))
def test_law_neighbours_have_other_colours_whatever_the_order_of_rows(seed: int, cells: int) -> None:
    grids = shapes.voronoi(cells, seed)
    made = public_grids(grids)
    assert_neighbours_differ(grids, made["colour"])
    assert made["colour"].between(0, 5).all()
    shuffled = grids.sample(frac=1, random_state=seed)
    again = public_grids(shuffled)
    assert again.index.equals(shuffled.index)
    assert again["colour"].sort_index().equals(made["colour"])


def test_more_than_six_colours_where_eight_meet_in_a_point() -> None:
    angles = np.linspace(0, 2 * np.pi, 9)
    slices = [shapely.Polygon([(0, 0), (np.cos(a), np.sin(a)), (np.cos(b), np.sin(b))]) for a, b in pairwise(angles)]
    assert sorted(public_grids(shapes.frame(slices))["colour"]) == list(range(8))


def test_the_public_sees_the_allowed_columns_only() -> None:
    grids = shapes.squares().assign(
        households=pd.array([300, 5, 4, 0, pd.NA, 1, 2, 3, 600], dtype="Int64"),
        estimated=[300, 0, 4, 0, 0, 0, 0, 0, 1],
        persons=900,
        deviation=0.1,
        care="secret",
        bounds_text=None,
    )
    made = public_grids(grids)
    assert list(made.columns) == [*PUBLIC_COLUMNS, "geometry"]
    assert made["households"].tolist() == [300, 5, *[pd.NA] * 6, 600]
    assert made["estimated"].tolist() == [True, False, *[False] * 6, True]
    assert made["bounds_text"].tolist() == made["parent"].tolist() == [None] * 9
    assert made.attrs["parameters"] == {"small_count": 5.0}
    assert public_grids(grids, small_count=301)["households"].notna().tolist() == [False] * 8 + [True]
    assert made.crs == grids.crs


# --- context ----------------------------------------------------------------------------------------------------------


def test_context_is_light_and_says_little() -> None:
    bent = shapely.LineString([(0, 0), (50, 0.3), (100, 0)])
    barriers = shapes.frame([bent, None, shapely.Point(5, 5).buffer(0).boundary]).rename_geometry("line")
    barriers = barriers.assign(**{"class": ["main", "lane", "lane"], "owner": "x", "name": ["成府路", None, np.nan]})
    made = context(barriers, "barrier")
    assert list(made.columns) == ["class", "name", "geometry"]
    assert made["class"].tolist() == ["main"]
    assert shapely.get_num_coordinates(made.geometry.iloc[0]) == 2
    assert made.crs.to_epsg() == 4326
    assert (np.round(made.get_coordinates(), 6) == made.get_coordinates()).all(axis=None)
    buildings = shapes.squares().assign(address="1号楼", households=9)
    assert list(context(buildings, "building").columns) == ["geometry"]
    assert context(shapes.squares().assign(name=None), "water")["name"].tolist() == [None] * 9


def test_context_stays_within_its_tolerance_and_knows_its_kinds() -> None:
    grids = shapes.voronoi(20, bends=8)
    drawn = context(grids, "water").to_crs(grids.crs)
    distance = shapely.hausdorff_distance(grids.geometry.array, drawn.geometry.array)
    assert 0 < distance.max() <= 2.2
    empty = context(shapes.squares().iloc[:0], "barrier")
    assert (len(empty), list(empty.columns)) == (0, ["class", "name", "geometry"])
    with pytest.raises(InputError, match="no such context; found 'house'; wanted barrier, water, building"):
        context(grids, "house")  # type: ignore[arg-type]


# --- boards -----------------------------------------------------------------------------------------------------------

GRID = {"code": "G1", "name": "一网格", "bounds_text": None, "households": 300}
STAFF = pd.DataFrame(
    {
        "id": ["1", "2", "3", "4"],
        "name": ["王某", "李某", "张某", "赵某"],
        "phone": ["000-1", "000-2", None, "000-4"],
        "hours": ["9:00–17:00", np.nan, "", "9:00–12:00"],
        "home": "secret",
    }
)
POSTINGS = schema.check(
    pd.DataFrame(
        [
            ("1", "G1", "volunteer", None, None),
            ("2", "G1", "网格长", "2026-01-01", "2026-03-31"),
            ("3", "G1", "full-time worker", "2026-04-01", None),
            ("4", "G2", "grid head", None, None),
            ("9", "G1", "grid head", None, None),
            ("1", "G1", "volunteer", "2026-01-01", None),
        ],
        columns=["staff", "grid", "role", "from", "to"],
    ),
    "posting",
)


def board(on: str, **more: Any) -> Board:
    settings = {"supervision_phone": "12345", **more.pop("settings", {})}
    return make_board(GRID, STAFF, POSTINGS, settings=settings, on=date.fromisoformat(on), **more)


@pytest.mark.parametrize(
    ("on", "people"),
    [
        ("2025-12-31", [("王某", "volunteer")]),
        ("2026-01-01", [("李某", "grid head"), ("王某", "volunteer")]),
        ("2026-03-31", [("李某", "grid head"), ("王某", "volunteer")]),
        ("2026-04-01", [("张某", "full-time worker"), ("王某", "volunteer")]),
    ],
)
def test_a_board_names_who_is_on_duty_that_day_by_rank(on: str, people: list[tuple[str, str]]) -> None:
    assert [(p.name, p.role) for p in board(on).staff] == people


def test_a_board_holds_nothing_else() -> None:
    made = board("2026-02-01")
    assert "secret" not in repr(made)
    assert "300" not in repr(made)
    assert (made.code, made.name, made.bounds_text) == ("G1", "一网格", "")
    assert (made.community_phone, made.supervision_phone) == ("", "12345")
    assert [p.hours for p in made.staff] == ["", "9:00–17:00"]


def test_a_board_lists_what_is_missing() -> None:
    required = [
        "code",
        "extent",
        "bounds_text",
        "staff",
        "role",
        "phone",
        "hours",
        "community_phone",
        "supervision_phone",
    ]
    assert board("2026-02-01", required=required).missing == ("bounds_text", "hours", "community_phone")
    assert board("2026-05-01", required=["phone"]).missing == ("phone",)
    alone = make_board({"code": "G3"}, STAFF, POSTINGS, settings={}, required=["staff", "phone"], on=date(2026, 1, 1))
    assert (alone.staff, alone.missing, alone.name) == ((), ("staff", "phone"), "")
    empty = make_board(GRID, STAFF.iloc[:0], POSTINGS.iloc[:0], settings={}, required=["name"], on=date(2026, 1, 1))
    assert (empty.staff, empty.missing) == ((), ())
    assert board("2026-02-01", required=["matters"]).missing == ("matters",)
    assert board("2026-02-01", required=["matters"], settings={"matters": "巡查"}).missing == ()


def test_every_role_has_its_two_names() -> None:
    assert tuple(ROLE_NAMES) == schema.ROLES
    assert [chinese for chinese, _ in ROLE_NAMES.values()] == [
        "网格长", "专职网格员", "兼职网格员", "网格联络员", "信息员", "楼栋长", "志愿者",
    ]  # fmt: skip


# --- the report -------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Reads a page: its tags, text, what it links to, and whether every tag is closed."""

    _VOID = ("meta", "path", "circle", "br")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self._VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self._VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data


def report(**more: Any) -> str:
    given: dict[str, Any] = {
        "title": "清华园街道",
        "verdict": {"valid": True, "checked": 9, "counts": {}, "parameters": {"min_area_m2": 1e-6}, "defects": []},
        "partition": None,
        "grids": shapes.squares(),
        "chain": None,
        "coverage": None,
        "patrols": None,
        "rules": None,
        "notes": [],
        "sources": ["© OpenStreetMap contributors"],
        "made": "2026-03-02T10:00:00+08:00",
    }
    return build_report(**{**given, **more})


def full(text: str = "x", many: int = 2) -> dict[str, Any]:
    """Every part of a report, `text` wherever somebody else's text may stand."""
    defect = {
        "kind": "overlap", "severity": "error", "codes": [text, "12"], "area_m2": 12.345, "width_m": float("nan"),
        "lon": shapes.LON0, "lat": shapes.LAT0, "message": text,
    }  # fmt: skip
    day = pd.Timestamp("2026-03-02")
    n = range(many)
    coverage = pd.DataFrame(
        [
            {
                "grid": text,
                "from": day,
                "to": day,
                "share": 0.125,
                "covered_m2": 1250.0,
                "ground_m2": 1e4,
                "undecided": True,
            }
        ]
        * many
    )
    coverage.attrs["parameters"] = {"sight_m": 25.0}
    patrols = pd.DataFrame(
        [{"staff": text, "patrol": f"p{i}", "grid": None, "inside_min": 90.0, "inside_m": 1500.0} for i in n]
    )
    rules = pd.DataFrame(
        [
            {"rule": f"{text}{i}", "staff": None, "grid": text, "from": day, "to": pd.NaT, "value": np.nan,
             "wanted": text, "result": "missed", "reason": text} for i in n
        ]
    )  # fmt: skip
    rules.attrs["parameters"] = {"full_share": 0.9}
    link = {"total": 27_000, "complete": 26_999, "broken": 1, "how": {text: 3}}
    return {
        "title": text,
        "verdict": {
            "valid": False, "checked": 9, "counts": {"overlap": many}, "parameters": {text: text},
            "defects": [defect] * many,
        },
        "partition": {
            "grids": 9, "norm": {"mixed": 300.0}, "max_deviation": 0.38, "parameters": {"tolerance": 0.25},
            "off": [{"grid": text, "households": 512, "reason": "indivisible block"}] * many,
        },
        "grids": shapes.squares().assign(
            code=[f"{text}{i}" for i in range(9)], name=text, households=300, bounds_text=text, deviation=-0.25
        ),
        "chain": {"person_house": link, text: link, "breaks": [{"id": "P-1234567"}]},
        "coverage": coverage,
        "patrols": patrols,
        "rules": rules,
        "notes": [text],
        "sources": [text],
        "made": text,
    }  # fmt: skip


@pytest.mark.parametrize("make", [report, lambda: report(**full()), lambda: report(**full(HOSTILE))])
def test_a_report_stands_alone_and_runs_nothing(make: Callable[[], str]) -> None:
    html = make()
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "base", "form", "object"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name in ("src", "href", "srcset") or name.startswith("on")]
    assert "url(" not in html
    assert "http:" not in html
    assert "https:" not in html
    assert html == make()


def test_a_report_escapes_every_value() -> None:
    page = Page(report(**full(HOSTILE)))
    assert page.text.count(HOSTILE) >= 15
    assert "49" not in page.text.replace("{{7*7}}", "")


def test_a_report_says_what_was_found() -> None:
    text = re.sub(r"\s+", " ", Page(report(**full("甲"))).text)
    for wanted in (
        "网格有错误 The grids do not tile the ground.",
        "Grids checked: 9; errors: 2; warnings: 0.",
        "重叠 overlap错误 error甲、1212.3–116.375000, 39.975000甲",
        "300 杂居 mixed标准户数 norm",
        "38.0 %最大偏差 largest deviation",
        "甲512街坊不可再分 indivisible block",
        "tolerance 0.25",
        "人 → 房屋 person → house27,00026,9991> 99.9 %",
        "12.5 % 待定 undecided1,25010,000",
        "sight_m 25.0",
        "甲–23.03.00",
        "−25.0 %",
        "未达标 missed",
        "full_share 0.9",
    ):
        assert wanted in text
    assert "P-1234567" not in text


def test_a_clean_report_shows_what_there_is_and_no_more() -> None:
    text = Page(report()).text
    assert "网格铺满、不重叠" in text
    assert "min_area_m2 1e-06" in text
    assert "© OpenStreetMap contributors" in text
    for absent in ("缺陷", "划分 Partition", "巡查", "规则", "人—户", "None", "nan"):
        assert absent not in text


def test_long_lists_are_cut_and_counted() -> None:
    html = report(**full("甲", SHOWN + 7))
    assert html.count("另有 7 行未列出") == 4
    assert html.count("7 more rows are not listed here") == 4


# --- the small map ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(ZOO))
def test_every_shape_of_the_zoo_can_be_drawn(name: str) -> None:
    grids = ZOO[name]()
    plate = draw_plate(shapes.in_degrees(grids), [(shapes.LON0, shapes.LAT0), (None, None)])
    assert len(plate.grids) == (np.nan_to_num(grids.area) > 0).sum()
    assert plate.width == 1000 or plate.height > 1000
    numbers = np.array([float(n) for g in plate.grids for n in re.findall(r"[\d.-]+", g.path)])
    assert ((numbers >= 0) & (numbers <= max(plate.width, plate.height))).all()
    assert len(plate.marks) == 1


def test_labels_fit_and_leave_out_what_all_codes_begin_with() -> None:
    grids = shapes.squares().assign(code=[f"1101080140{i:02d}" for i in range(9)])
    plate = draw_plate(grids)
    assert plate.prefix == "1101080140"
    assert [g.label for g in plate.grids] == [f"{i:02d}" for i in range(9)]
    assert plate.grids[0].y > plate.grids[8].y
    assert plate.bar_m == 50
    assert plate.bar == pytest.approx(50 * 976 / 300, abs=0.1)
    strip = shapes.with_sliver()
    assert [g.label for g in draw_plate(strip).grids] == ["west", "", "east"]
