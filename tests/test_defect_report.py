"""The page about defects: it stands alone, shows every defect where it is, and stays small."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import shapes
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page

from gridgis.errors import CRSError, SchemaError
from gridgis.plan.validate import validate, verdict
from gridgis.publish import words
from gridgis.publish.closeups import RINGS, SIDE, Place, closeups
from gridgis.publish.defect_map import NAMED, draw_map
from gridgis.publish.defect_report import MARKED, ROWS, SHOWN, defects_report
from gridgis.publish.outlines import Window, clip, length_text, path, round_length, simplified
from gridgis.schema import DEFECT_KINDS

HOSTILE = "<script>alert(1)</script>\"'&{{7777*3}} / ；; x"
VOID = {"meta", "br"}


class Read(HTMLParser):
    """A page as read: every tag closed; its tags with attributes, ids, links, headings and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.headings: list[int] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self._open):
            self.text += data

    def every(self, name: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(name)) is not None]

    def count(self, tag: str, of_class: str = "") -> int:
        return sum(t == tag and of_class in (a.get("class") or "").split(" ") for t, a in self.tags)


def report(
    grids: gpd.GeoDataFrame, boundary: gpd.GeoDataFrame | None = None, strict: bool = False, **more: Any
) -> tuple[gpd.GeoDataFrame, str]:
    defects = validate(grids, boundary)
    answer = {**verdict(defects, strict=strict), **more.pop("answer", {})}
    return defects, defects_report(
        answer, defects, grids, boundary, **{"title": "某街道", "made": "2026-03-02", **more}
    )


def made_up(n: int, grids: gpd.GeoDataFrame, **columns: Any) -> gpd.GeoDataFrame:
    """`n` defects of all kinds in turn: wedges at the middles of the grids, each larger than the one before."""
    middles = shapely.get_coordinates(shapely.point_on_surface(grids.geometry.to_numpy()))
    xy = np.resize(middles, (n, 2))
    unit = 1e-6 if grids.crs.is_geographic else 0.1
    wedge = shapely.transform(shapely.Polygon([(0, 0), (9, 1), (8, 7), (1, 3)]), lambda c: c * unit)
    shapes_ = [shapely.affinity.translate(wedge, x, y) for x, y in xy]
    kinds = [DEFECT_KINDS[i % len(DEFECT_KINDS)] for i in range(n)]
    degrees = gpd.GeoSeries(shapes_, crs=grids.crs).representative_point().to_crs(4326)
    codes = np.resize(grids["code"].to_numpy(), n)
    table = {
        "kind": kinds,
        "severity": ["warning" if kind in ("sliver", "unmatched_edge", "multipart") else "error" for kind in kinds],
        "codes": [(code,) for code in codes],
        "area_m2": 1.0 + np.arange(n),
        "width_m": 0.5,
        "lon": degrees.x.to_numpy(),
        "lat": degrees.y.to_numpy(),
        "message": [f"{code} 有错；改正 / {code} is wrong; mend it" for code in codes],
    }
    return gpd.GeoDataFrame({**table, **columns}, geometry=shapes_, crs=grids.crs)


def answer_on(defects: gpd.GeoDataFrame, grids: gpd.GeoDataFrame) -> dict[str, Any]:
    return {"valid": False, "checked": len(grids), "counts": {}, "parameters": {"code": "code"}}


def assert_stands_alone(html: str) -> Read:
    page = Read(html)
    assert "://" not in html
    assert "url(" not in html
    assert "@import" not in html
    assert not {"link", "img", "iframe", "base", "form", "object", "image"} & {tag for tag, _ in page.tags}
    assert not page.every("src")
    assert not page.every("srcset")
    assert not [a for _, attributes in page.tags for a in attributes if a.startswith("on")]
    ids = page.every("id")
    assert len(ids) == len(set(ids))
    assert all(link.startswith("#") and link[1:] in ids for link in page.every("href"))
    script = html[html.index("<script>") + 8 : html.index("</script>")]
    assert page.count("script") == 1
    assert f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in html
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(page.headings, page.headings[1:], strict=False))
    return page


# --- the page ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [False, True], ids=["metres", "degrees"])
@pytest.mark.parametrize("name", sorted({**shapes.CLEAN, **shapes.FAULTY}))
def test_every_fault_of_the_zoo_has_its_row_its_mark_and_its_picture(name: str, degrees: bool) -> None:
    grids = {**shapes.CLEAN, **shapes.FAULTY}[name]()
    defects, html = report(shapes.in_degrees(grids) if degrees else grids)
    page = assert_stands_alone(html)
    placed = int(defects.geometry.notna().sum())
    assert page.count("svg", "near") == placed
    assert page.count("a", "mark") == placed
    assert {f"d{n}" for n in range(1, len(defects) + 1)} <= set(page.every("id"))
    for row in defects.itertuples():
        chinese, english = row.message.split(" / ")
        assert all(part in page.text for part in [*chinese.split("；"), *english.split("; ")])
    assert ("没有发现缺陷" in page.text) == (len(defects) == 0)
    assert not re.search(r"\b(nan|None|inf)\b", html)


def test_a_page_says_the_verdict_the_parameters_and_what_mends() -> None:
    _, html = report(shapes.overlapping(), answer={"counts": {}})
    text = re.sub(r"\s+", " ", Read(html).text)
    for wanted in (
        "不通过：网格有错误 Not valid: the grids do not tile the ground",
        "检查 9 个网格：错误 1 处，提示 2 处。",
        "面积容差 m² area tolerance m² 1e-06",
        "范围 boundary 网格自身外廓 own outline",
        "提示也算错误 warnings count as errors 否 no",
        "重叠处只划给其中一个网格 give the ground to one of the grids",
        "面积 area 500 m²宽 width 5 m",
        "重叠处只应划给其中一个 give the ground to one of them",
        "共 3 处，最重的在前。",
    ):
        assert wanted in text


@pytest.mark.parametrize(
    ("make", "strict", "mode", "says"),
    [
        (shapes.squares, False, "partition", "Valid: the grids tile the ground"),
        (shapes.with_sliver, False, "partition", "Valid: the grids tile the ground"),
        (shapes.with_sliver, True, "partition", "Not valid: warnings count as errors"),
        (shapes.squares, False, "overlay", "Valid: the overlay has no error"),
        (shapes.overlapping, False, "overlay", "Not valid: the overlay has errors"),
    ],
)
def test_the_verdict_is_that_of_the_check(make: Any, strict: bool, mode: str, says: str) -> None:
    _, html = report(make(), strict=strict, answer={"parameters": {"mode": mode}})
    text = Read(html).text
    assert says in text
    assert ("Not valid" in text) == says.startswith("Not")


def test_levels_misfit_and_log_are_told() -> None:
    misfit = [
        {"overlay": f"F{i}", "grid": None, "area_m2": 12.5, "overlay_share": 0.9999, "grid_share": None}
        for i in range(ROWS + 3)
    ]
    misfit[0] = {"overlay": None, "grid": "11", "area_m2": 12.5, "overlay_share": None, "grid_share": 0.25}
    levels = {
        "网格": {"valid": False, "checked": 9, "counts": {"gap": 2}},
        "网格 < 社区": {"valid": True, "checked": 3, "counts": {}},
        "grids < level 2": {"valid": True, "checked": 3, "counts": {}},
    }
    log = pd.DataFrame(
        {
            "code": ["11", HOSTILE],
            "area_before_m2": [1e4, np.nan],
            "gained_from": [["12", "13"], []],
            "farthest_move_m": [0.25, 0.0],
            "odd": [None, {"a": 1.5}],
        }
    )
    _, html = report(shapes.gapped(), answer={"levels": levels, "misfit": misfit}, log=log)
    text = re.sub(r"\s+", " ", assert_stands_alone(html).text)
    for wanted in (
        "网格不通过 not valid9缝隙 gap 2",
        "网格 < 社区通过 valid3–",
        "网格 < 第 2 级 grids < level 2通过 valid3–",
        "（无叠加网格覆盖） (no overlay)1112.5–25.0 %",
        "F1（在网格之外） (outside every grid)12.5> 99.9 %",
        "另有 3 行未列出 3 more rows are not listed here",
        "改动网格 2 个。",
        "最远移动 m farthest move m",
        "1110,00012, 130.25–",
        "a 1.5",
        "odd",
        HOSTILE,
    ):
        assert wanted in text
    _, bare = report(shapes.gapped())
    for absent in ("层级", "叠加网格与", "修补记录"):
        assert absent not in Read(bare).text


def test_every_value_is_escaped() -> None:
    codes = [f"{HOSTILE}{i}" for i in range(10)]
    grids = shapes.duplicated().assign(code=codes)
    defects = made_up(len(DEFECT_KINDS), grids, level=HOSTILE)
    answer = {**answer_on(defects, grids), "parameters": {"code": "code", HOSTILE: HOSTILE}}
    answer["levels"] = {HOSTILE: {"valid": False, "checked": 1, "counts": {HOSTILE: 1}}}
    answer["misfit"] = [{"overlay": HOSTILE, "grid": HOSTILE, "area_m2": 1, "overlay_share": 1, "grid_share": 1}]
    html = defects_report(answer, defects, grids, title=HOSTILE, made=HOSTILE)
    page = assert_stands_alone(html)
    assert all(page.text.count(code) >= 3 for code in codes)
    assert page.text.count(HOSTILE) > 3 * len(DEFECT_KINDS)
    assert "23331" not in page.text
    found, _ = report(grids)
    assert found["kind"].tolist() == ["duplicate"]
    _, html = report(grids)
    chinese, english = found["message"].iloc[0].split("；只保留一个 / ")
    assert chinese in assert_stands_alone(html).text
    assert english.removesuffix("; keep one of them") in Read(html).text


def test_a_message_that_is_not_in_two_halves_stands_as_it_is() -> None:
    grids = shapes.squares()
    messages = ["坏了", "坏 / 了 / bad", "坏了 / it is bad", ""]
    defects = made_up(4, grids, message=messages, kind="gap")
    text = Read(defects_report(answer_on(defects, grids), defects, grids, title="t", made="m")).text
    assert all(message in text for message in messages[:2])
    assert text.count(words.MENDS["gap"][0]) == 5


def test_the_worst_come_first_and_the_rest_is_counted() -> None:
    grids = shapes.voronoi(30)
    defects = made_up(MARKED + 70, grids)
    answer = answer_on(defects, grids)
    html = defects_report(answer, defects, grids, title="某街道", made="m")
    page = assert_stands_alone(html)
    assert page.count("svg", "near") == page.count("a", "mark") == SHOWN
    assert page.count("g", "mark") == MARKED - SHOWN
    assert f"这里列出 {SHOWN} 处，另有 {MARKED + 70 - SHOWN:,} 处未列出。" in page.text
    assert "70 more defects are not marked." in page.text
    areas = [float(a.replace(",", "")) for a in re.findall(r"area</span> <b>([\d,]+)</b> m²", html)]
    assert areas == sorted(areas, reverse=True)
    worst = defects[defects["severity"] == "error"]["area_m2"].nlargest(SHOWN)
    assert areas == worst.tolist()


def test_five_hundred_defects_of_three_thousand_grids_stay_small() -> None:
    grids = shapes.in_degrees(shapes.voronoi(3000, bends=8))
    defects = made_up(500, grids)
    html = defects_report(answer_on(defects, grids), defects, grids, title="某街道", made="m")
    page = assert_stands_alone(html)
    assert page.count("svg", "near") == 500
    assert len(html.encode()) < 3e6
    assert "simplified for drawing only" in page.text


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), cells=st.integers(2, 25), fault=st.sampled_from([0.0, 0.01, 0.3]))
def test_law_the_same_arguments_give_the_same_bytes_and_stay_as_they_are(seed: int, cells: int, fault: float) -> None:
    grids = shapes.voronoi(cells, seed).rename_geometry("place")
    hurt = grids.copy()
    hurt.loc[0, "place"] = shapely.affinity.scale(grids["place"].iloc[0], 1 + fault, 1 + fault)
    before = hurt.copy()
    defects, html = report(hurt)
    assert report(hurt)[1] == html
    pd.testing.assert_frame_equal(pd.DataFrame(hurt), pd.DataFrame(before))
    assert assert_stands_alone(html).count("a", "mark") == len(defects)


def test_geometry_of_every_kind_and_none_is_drawn() -> None:
    grids = shapes.squares()
    x, y = shapes.X0, shapes.Y0
    drawn = [
        shapely.LineString([(x, y), (x + 50, y + 20)]),
        shapely.MultiLineString([[(x, y), (x + 5, y)], [(x, y + 9), (x + 5, y + 9)]]),
        shapely.Point(x + 10, y + 10),
        shapely.MultiPoint([(x, y), (x + 300, y + 300)]),
        shapely.MultiPolygon([shapely.box(x, y, x + 1, y + 1), shapely.box(x + 9, y, x + 10, y + 1)]),
        shapely.GeometryCollection([shapely.Point(x, y), shapely.box(x, y, x + 1, y + 1)]),
        None,
        shapely.Polygon(),
        shapely.Polygon([(x, y), (x + 10, y + 10), (x + 10, y), (x, y + 10)]),
    ]
    defects = made_up(9, grids).set_geometry(gpd.GeoSeries(drawn, crs=grids.crs))
    defects.loc[[6, 7], ["lon", "lat"]] = np.nan
    html = defects_report(answer_on(defects, grids), defects, grids, title="某街道", made="m")
    page = assert_stands_alone(html)
    assert page.count("svg", "near") == page.count("a", "mark") == 7
    assert page.count("div", "none") == 2
    assert page.count("path", "dots") == 4


def test_nothing_to_draw_is_a_page_without_a_map() -> None:
    grids = shapes.squares().iloc[:2]
    grids = grids.set_geometry(gpd.GeoSeries([None, shapely.Polygon()], index=grids.index, crs=grids.crs))
    defects, html = report(grids)
    page = assert_stands_alone(html)
    assert len(defects) == 2
    assert page.count("svg", "plan") == page.count("svg", "near") == 0
    assert page.text.count("没有图形") >= 2


def test_the_boundary_may_be_in_another_crs_and_rows_may_be_numbered() -> None:
    grids = shapes.gapped()
    boundary = shapes.outline(shapes.squares()).to_crs(4326)
    numbered = grids.drop(columns="code")
    defects = validate(numbered, boundary)
    html = defects_report(verdict(defects), defects, numbered, boundary, title="某街道", made="m")
    page = assert_stands_alone(html)
    assert page.count("path", "border") == 1 + int(defects.geometry.notna().sum())
    assert "5, 6" in page.text


def test_what_is_no_result_of_validate_is_refused() -> None:
    grids = shapes.squares()
    with pytest.raises(
        SchemaError, match=r"these are no defects; found code, name, geometry; wanted kind, severity, co"
    ):
        defects_report({}, grids, grids, title="t", made="m")
    defects = validate(grids)
    with pytest.raises(CRSError, match="the coordinate reference system is missing"):
        defects_report(verdict(defects), defects, grids.set_crs(None, allow_override=True), title="t", made="m")


def test_every_kind_has_words_a_letter_of_its_own_and_what_mends_it() -> None:
    assert set(words.DEFECTS) >= set(DEFECT_KINDS)
    assert set(words.LETTERS) == set(words.MENDS) == set(DEFECT_KINDS)
    assert len(set(words.LETTERS.values())) == len(DEFECT_KINDS)
    assert {"min_area_m2", "min_width_m", "code", "boundary", "strict", "measured_in"} <= set(words.PARAMETERS)


# --- the drawing ------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), corners=st.integers(3, 12))
def test_law_a_cut_ring_covers_what_the_intersection_covers(seed: int, corners: int) -> None:
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    far = rng.uniform(5, 60, corners)
    ring = np.column_stack([np.cos(angles), np.sin(angles)]) * far[:, None] + rng.uniform(0, 50, 2)
    cut = clip(ring, 0.0, 50.0)
    polygon = shapely.Polygon(ring)
    assume(polygon.is_valid)
    want = polygon.intersection(shapely.box(0, 0, 50, 50)).area
    x, y = cut[:, 0], cut[:, 1]
    area = abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2 if len(cut) else 0.0
    assert area == pytest.approx(want, abs=1e-6)
    assert ((cut >= -1e-9) & (cut <= 50 + 1e-9)).all()


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(-99, 99), st.integers(-99, 99)), min_size=2, max_size=12))
def test_law_a_path_reads_back_as_its_line(steps: list[tuple[int, int]]) -> None:
    line = np.cumsum(np.array(steps), axis=0)
    numbers = np.array([int(n) for n in re.findall(r"-?\d+", path(line))])
    if not (line != line[0]).any():
        assert path(line) == f"M{line[0, 0]} {line[0, 1]}h0"
        return
    back = np.cumsum(numbers.reshape(-1, 2), axis=0)
    kept = np.concatenate([[True], (np.diff(line, axis=0) != 0).any(axis=1)])
    assert (back == line[kept]).all()


def test_lines_are_simplified_by_a_unit_and_no_more() -> None:
    line = np.column_stack([np.linspace(0, 1000, 400), 200 + 80 * np.sin(np.linspace(0, 9, 400))])
    (drawn,) = simplified([line])
    assert len(drawn) < 60
    assert shapely.hausdorff_distance(shapely.linestrings(line), shapely.linestrings(drawn)) < 2
    assert simplified([]) == []


def test_lengths_of_bars_are_round() -> None:
    assert [length_text(round_length(m)) for m in (0.004, 0.03, 0.7, 1.0, 9.99, 1234, 56_000)] == [
        "2 mm", "2 cm", "50 cm", "1 m", "5 m", "1 km", "50 km",
    ]  # fmt: skip


def test_a_picture_shows_the_whole_defect_or_says_that_it_does_not() -> None:
    grids = shapes.voronoi(400).geometry.to_numpy()
    far = shapely.MultiPoint([grids[0].centroid, grids[399].centroid])
    near = grids[7].buffer(-1)
    inside = (grids[0].centroid.x, grids[0].centroid.y)
    places = [Place(s, 1.0, inside, (("v000", (0,)),), False) for s in (far, near)]
    wide, close = closeups(places, grids, None)
    assert (wide.partly, close.partly) == (True, False)
    assert len(wide.grids) <= RINGS
    steps = [int(n) for n in re.findall(r"-?\d+", close.defect)]
    xy = np.cumsum(np.array(steps).reshape(-1, 2), axis=0)
    assert ((xy >= 0) & (xy <= SIDE)).all()
    assert np.ptp(xy, axis=0).max() == pytest.approx(SIDE / 1.5, abs=3)
    assert wide.labels[0][2] == "v000"
    assert close.bar > 30


def test_labels_stand_inside_their_grids_and_off_the_marks() -> None:
    grids = shapes.squares()
    shown, codes = grids.geometry.to_numpy(), [f"1101{code}" for code in grids["code"]]
    middle = np.array([[shapes.X0 + 50.0, shapes.Y0 + 50.0]])
    plan = draw_map(shown, codes, None, np.array([None], dtype=object), middle)
    assert plan is not None
    assert plan.prefix == "1101"
    assert [label.text for label in plan.labels] == grids["code"].tolist()
    window = Window(shapes.X0, shapes.Y0 + 300, (plan.width - 80) / 300, 40)
    for label, cell in zip(plan.labels, shapely.transform(shown, window.place), strict=True):
        assert cell.contains(shapely.Point(label.x, label.y))
    mark = plan.marks[0]
    assert abs(plan.labels[0].y - mark.y) > plan.size + plan.labels[0].letter / 2
    assert (plan.labels[1].x, plan.labels[1].y) == (round(plan.width / 2), mark.y)


def test_a_map_of_very_many_grids_is_one_outline() -> None:
    boxes = np.array([shapely.box(i % 80, i // 80, i % 80 + 1, i // 80 + 1) for i in range(NAMED + 1)], dtype=object)
    plan = draw_map(boxes, ["x"] * len(boxes), None, boxes[:0], np.empty((0, 2)))
    assert plan is not None
    assert len(plan.grids) == 1
    assert plan.grids[0][1].count("M") == NAMED + 1
    assert plan.labels == ()


# --- real places ------------------------------------------------------------------------------------------------------


@pytest.mark.places
def test_haidian_is_drawn_with_all_its_defects(places: Path) -> None:
    grids = gpd.read_file(places / "beijing" / "haidian-all.geojson")
    boundary = gpd.read_file(places / "beijing" / "haidian-outline.geojson")
    defects, html = report(grids, boundary)
    page = assert_stands_alone(html)
    assert page.count("a", "mark") == page.count("svg", "near") == len(defects) > 5
    assert len(html.encode()) < 200_000


# --- in the browser ---------------------------------------------------------------------------------------------------


def visible(page: Page, selector: str) -> bool:
    return page.locator(selector).first.is_visible()


@pytest.mark.browser
def test_a_page_opens_from_a_file_asks_nobody_and_speaks_either_language(browser: Browser, tmp_path: Path) -> None:
    grids = shapes.duplicated().assign(code=[f"{HOSTILE}{i}" for i in range(10)])
    _, html = report(grids, title=HOSTILE)
    file = tmp_path / "defects.html"
    file.write_text(html, "utf-8")
    page = browser.new_page(viewport={"width": 1366, "height": 768})
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.goto(file.as_uri())
    seen = []
    for language in ("both", "zh", "en"):
        page.click(f"button[data-set={language}]")
        seen.append((visible(page, "h1 .zh"), visible(page, "h1 .en"), page.locator("html").get_attribute("lang")))
        assert page.locator("button[aria-pressed=true]").count() == 1
    assert seen == [(True, True, "zh-Hans"), (True, False, "zh-Hans"), (False, True, "en")]
    page.locator("a.mark").first.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#d1"
    assert page.evaluate("document.querySelector(':target').getBoundingClientRect().top < innerHeight")
    page.locator("#d1 .to-map").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector(':target').id") == "m1"
    for width in (1366, 390):
        page.set_viewport_size({"width": width, "height": 768})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert {urlsplit(url).scheme for url in asked} == {"file"}
    assert len({url.partition("#")[0] for url in asked}) == 1
    assert said == []
    page.close()


@pytest.mark.browser
def test_without_a_script_both_languages_are_there(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "defects.html"
    file.write_text(report(shapes.overlapping())[1], "utf-8")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert visible(page, "h1 .zh")
    assert visible(page, "h1 .en")
    assert not visible(page, ".languages")
    context.close()
