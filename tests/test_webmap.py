"""The public map by Flask's test client: pages, layers, look-ups, languages, and what must never leave the house."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import folium
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import webplace
import xstatic.pkg.leaflet
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from branca.colormap import LinearColormap
from flask import Flask
from flask.testing import FlaskClient
from folium.plugins import MarkerCluster
from sqlalchemy import Engine, event
from stored import everything

import webmap
from gridgis import crs
from gridgis.errors import GridgisError, InputError, NotFoundError, PlanError, StoreError
from gridgis.plan.partition import Plan
from gridgis.project import Project
from gridgis.publish.extent import label_places, tails
from gridgis.store import open_store
from gridgis.store.audit import LOOKED
from gridgis.store.plans import Plans
from webmap import CONTENT_SECURITY_POLICY, create_app, finding, language, layers
from webmap.errors import status_of
from webmap.published import Published, Shelf

FIRST, NOBODY, NO_PHONE, NO_HOURS = "99010100101", "99010100204", "99010100104", "99010100201"
REQUIRED = "name\nstaff\nphone\nhours"
ROOM = Path(webmap.__file__).parent
PAGES = ("/", "/?lang=en", f"/grids/{FIRST}", f"/grids/{NOBODY}?lang=en", "/where", "/grids/none")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return webplace.make_store(
        tmp_path_factory.mktemp("web") / "place.gpkg", board_required="name\nstaff\nphone\nhours"
    )


@pytest.fixture(scope="module")
def app(store: Path) -> Flask:
    return create_app({"STORE": store, "TESTING": True})


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def place(tmp_path: Path) -> Callable[..., FlaskClient]:
    """Makes a client of a place that differs."""

    def make(change: Callable[[dict[str, Any]], None] | None = None, **settings: str) -> FlaskClient:
        return create_app({"STORE": webplace.make_store(tmp_path / "other.gpkg", change, **settings)}).test_client()

    return make


class Page(HTMLParser):
    """Tags with their attributes, and the text that is read."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._foreign: list[str] = []
        self._open: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        if tag not in ("meta", "link", "input", "img", "path", "rect", "br"):
            self._open.append((tag, given.get("lang", "")))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if data.strip() and not any(lang == "en" for tag, lang in self._open if tag != "html"):
            self.words.append(data.strip())

    def links(self) -> Iterator[str]:
        for _, given in self.tags:
            yield from (given[name] for name in ("href", "src", "action") if name in given)


def get(client: FlaskClient, address: str, **headers: str) -> str:
    return client.get(address, headers={k.replace("_", "-"): v for k, v in headers.items()}).text


# --- starting ---------------------------------------------------------------------------------------------------------


def test_a_store_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRIDGIS_STORE", raising=False)
    with pytest.raises(InputError, match=r"no store is named\. Give config\['STORE'\] or set GRIDGIS_STORE"):
        create_app()


def test_the_environment_may_name_it(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDGIS_STORE", str(store))
    assert create_app().test_client().get("/").status_code == 200


def test_a_missing_store_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere\.gpkg: there is no such store"):
        create_app({"STORE": tmp_path / "nowhere.gpkg"})


def test_a_store_without_grids_is_told_at_the_start(tmp_path: Path) -> None:
    with open_store(tmp_path / "empty.gpkg", create=True) as store:
        store.save({}, webplace.SETTINGS)
    with pytest.raises(StoreError, match=r"the store holds no grids\. Run gridgis build first"):
        create_app({"STORE": tmp_path / "empty.gpkg"})


def test_a_store_that_vanishes_is_told_without_its_path(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = webplace.make_store(tmp_path / "place.gpkg")
    client = create_app({"STORE": path}).test_client()
    path.unlink()
    page = client.get("/")
    assert page.status_code == 503
    assert "地图暂时无法使用" in page.text and str(path) not in page.text
    assert str(path) in caplog.text
    assert client.get("/layers/grids.geojson").json == {
        "type": "about:blank", "status": 503, "title": "地图暂时无法使用",
        "detail": "尚未发布数据，或数据暂时无法读取。请稍后再试。",
    }  # fmt: skip


def test_the_map_shows_the_plan_that_holds_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = webplace.make_store(tmp_path / "gridgis.gpkg")
    blocks = gpd.GeoDataFrame({"code": [], "grid": []}, geometry=[], crs=4326)
    with open_store(path) as store:
        shelf, plans = Shelf(str(path)), Plans(store)
        assert shelf.current().plan is None
        today = shelf.current().day
        for title, day in (("今", today), ("明", today + timedelta(days=1))):
            made = Plan(blocks, webplace.grids().assign(name=title, parent=None), {})
            plans.publish(plans.add(made, title=title, by="planner"), by="boss", on=day)
            assert set(shelf.current().grids["name"]) == {"今"}
        before = shelf.current()
        assert shelf.current() is before
        later = datetime.combine(today + timedelta(days=1), time(8))
        monkeypatch.setattr("gridgis.shown.now_at", lambda parameters: later)
        assert set(shelf.current().grids["name"]) == {"明"}
        after = shelf.current()
        assert shelf.current() is after


def test_a_saved_or_replaced_store_is_read_anew(tmp_path: Path) -> None:
    path = webplace.make_store(tmp_path / "place.gpkg")
    client = create_app({"STORE": path}).test_client()
    before = client.get("/layers/grids.geojson")
    with open_store(path) as store:
        store.save({"grid": webplace.grids().assign(name="改名网格")})
    after = client.get("/layers/grids.geojson")
    assert after.json["features"][0]["properties"]["name"] == "改名网格"
    assert before.headers["ETag"] != after.headers["ETag"]
    for leftover in tmp_path.glob("place.gpkg-*"):
        leftover.unlink()
    webplace.make_store(tmp_path / "new.gpkg", title="另一个街道").replace(path)
    assert "另一个街道" in get(client, "/")


# --- every answer -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", [*PAGES, "/map.js", "/layers/grids.geojson", "/static/site.css", "/leaflet/leaflet.js", "/overview.svg"]
)
def test_headers(client: FlaskClient, address: str) -> None:
    headers = client.get(address).headers
    assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Permissions-Policy"].startswith("geolocation=(self)")


def test_policy_is_strict() -> None:
    rules = dict(rule.split(" ", 1) for rule in CONTENT_SECURITY_POLICY.split("; "))
    assert rules == {
        "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self' data:",
        "connect-src": "'self'", "font-src": "'self'", "base-uri": "'none'", "form-action": "'self'",
        "frame-ancestors": "'none'",
    }  # fmt: skip


@pytest.mark.parametrize("address", PAGES)
def test_pages_have_no_script_or_style_in_them_and_link_nowhere_else(client: FlaskClient, address: str) -> None:
    page = Page(get(client, address))
    assert dict(page.tags)["html"]["lang"] == ("en" if "lang=en" in address else "zh-Hans")
    for tag, given in page.tags:
        assert tag != "style" and "style" not in given
        assert not [name for name in given if name.startswith("on")]
        assert tag != "script" or given["src"].startswith("/")
    assert all(
        link.startswith(("/", "#", "tel:", "data:image/")) and not link.startswith("//") for link in page.links()
    )


@pytest.mark.parametrize("address", PAGES)
def test_ids_are_unique_and_labels_lead_somewhere(client: FlaskClient, address: str) -> None:
    page = Page(get(client, address))
    ids = [given["id"] for _, given in page.tags if "id" in given]
    assert len(ids) == len(set(ids))
    named = [given[name] for _, given in page.tags for name in ("for", "aria-labelledby") if name in given]
    named += [link[1:] for link in page.links() if link.startswith("#") and len(link) > 1]
    assert named and set(named) <= set(ids)


def test_static_files_are_kept_and_pages_are_asked_again(client: FlaskClient) -> None:
    page = client.get("/")
    (style,) = (link for link in Page(page.text).links() if link.startswith("/static/site.css"))
    assert re.fullmatch(r"/static/site\.css\?v=[0-9a-f]{10}", style)
    assert client.get(style).headers["Cache-Control"] == "public, max-age=31536000, immutable"
    (library,) = (link for link in Page(page.text).links() if link.startswith("/leaflet/leaflet.js"))
    assert "immutable" in client.get(library).headers["Cache-Control"]
    assert page.headers["Cache-Control"] == "no-cache"
    assert client.get("/", headers={"If-None-Match": page.headers["ETag"]}).status_code == 304


# --- list and boards, without script ----------------------------------------------------------------------------------


def test_the_list_names_every_grid(client: FlaskClient) -> None:
    page = get(client, "/")
    links = [link for link in Page(page).links() if link.startswith("/grids/")]
    assert links == [f"/grids/{code}" for code in sorted(webplace.grids()["code"])]
    assert "柳岸街道网格地图" in page and "柳岸社区" in page and "共 8 个网格" in page
    assert "审图号" in page and "示例 (2026) 0000 号" in page and "虚构示例" in page


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        ("柳岸第四", [NO_PHONE]),
        (NO_PHONE, [NO_PHONE]),
        ("９９０１０１００１０４", [NO_PHONE]),
        ("罗小满", [NO_HOURS]),
        ("柳岸大道 清水河", [NO_PHONE, "99010100202"]),
        ("没有这样的网格", []),
    ],
)
def test_search_without_script(client: FlaskClient, words: str, codes: list[str]) -> None:
    page = get(client, f"/?q={words}")
    assert [link[7:] for link in Page(page).links() if link.startswith("/grids/")] == codes
    assert f"共 8 个网格，符合 {len(codes)} 个" in page


def test_board(client: FlaskClient) -> None:
    page = get(client, f"/grids/{FIRST}")
    bounds = "东至学府街，南至北辰路，西至滨河东路，北至文昌巷"
    grid = ["柳岸第一网格", FIRST, "柳岸社区", "居村网格", bounds, "291"]
    people = ["沈若溪", "网格长", "000-0000-0001", "每日 8:30–11:30，14:00–17:00", "走访居民", "顾长安", "专职网格员"]
    for told in (*grid, *people, "监督电话", "000-0000-0110", "社区电话", "000-0000-0200"):
        assert told in re.sub(r'<span class="nowrap">(.*?)</span>', r"\1", page)
    assert 'href="tel:000-0000-0001"' in page
    assert '每日 <span class="nowrap">8:30–11:30</span>，<span class="nowrap">14:00–17:00</span>' in page
    assert "本公示牌尚缺" not in page and "估算" not in page


def test_neighbours_are_those_that_touch(client: FlaskClient) -> None:
    links = Page(get(client, f"/grids/{FIRST}")).links()
    codes = [link[7:] for link in links if link.startswith("/grids/") and "?" not in link]
    assert codes == ["99010100102", "99010100103", "99010100104"]


def test_the_extent_map_is_drawn_by_the_server(client: FlaskClient) -> None:
    page = Page(get(client, f"/grids/{FIRST}"))
    classes = [given.get("class", "") for _, given in page.tags]
    (edge,) = (given["d"] for _, given in page.tags if given.get("class") == "x-edge")
    points = np.array([pair.split() for pair in edge.strip("MZ").split("L")], dtype=float)
    assert points.min() > 0 and (points.max(axis=0) < (480, 340)).all()
    assert {"x-building", "x-line main", "x-casing secondary"} - set(classes) == {"x-line main"}
    assert "x-name secondary upright" in classes and "学府街" in page.words and "文昌巷" in page.words


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        (
            NOBODY,
            ["目前无人任职。", "本公示牌尚缺", "网格人员、人员联系电话、接待时间", "请拨打社区电话："],
        ),
        (NO_PHONE, ["电话未公布。", "人员联系电话", "请拨打社区电话："]),
        (NO_HOURS, ["本公示牌尚缺", "接待时间"]),
    ],
)
def test_what_is_missing_and_whom_to_ask(client: FlaskClient, code: str, wanted: list[str]) -> None:
    page = get(client, f"/grids/{code}")
    assert [words for words in wanted if words not in page] == []


@pytest.mark.parametrize(
    ("settings", "said", "phone"),
    [
        ({"community_phone": ""}, "请拨打监督电话：", "000-0000-0110"),
        ({"community_phone": "", "supervision_phone": ""}, "请到社区居委会咨询。", ""),
    ],
)
def test_whom_to_ask_without_a_community_phone(
    place: Callable[..., FlaskClient], settings: dict[str, str], said: str, phone: str
) -> None:
    client = place(**settings)
    board = client.get(f"/grids/{NOBODY}", headers={"Accept": "application/json"}).json
    assert board["ask"] == {"text": said, "phone": phone}
    assert "社区电话" in get(client, f"/grids/{NOBODY}") and "未公布。" in get(client, f"/grids/{NOBODY}")


def test_estimates_are_called_so(place: Callable[..., FlaskClient]) -> None:
    def estimate(tables: dict[str, Any]) -> None:
        tables["grid"]["estimated"] = [100] + [0] * 7

    client = place(estimate)
    note = "标为“估算”的户数按建筑规模推算，并非入户统计。"
    assert "约 291（估算）" in get(client, f"/grids/{FIRST}") and note in get(client, f"/grids/{FIRST}")
    assert "估算）" not in get(client, f"/grids/{NO_PHONE}")
    assert note in get(client, "/")


def test_postings_that_ended_are_not_shown(place: Callable[..., FlaskClient]) -> None:
    def end(tables: dict[str, Any]) -> None:
        tables["posting"]["to"] = [pd.Timestamp("2025-06-30")] + [pd.NaT] * 8

    page = get(place(end), f"/grids/{FIRST}")
    assert "沈若溪" not in page and "顾长安" in page


def test_unknown_grid(client: FlaskClient) -> None:
    page = client.get("/grids/99")
    assert page.status_code == 404 and "没有编码为 99 的网格。" in page.text and 'href="/"' in page.text
    problem = client.get("/grids/99", headers={"Accept": "application/json", "Accept-Language": "en"})
    assert problem.mimetype == "application/problem+json"
    assert problem.json == {
        "type": "about:blank", "title": "Not found", "status": 404, "detail": "There is no grid with the code 99.",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("address", "status"), [("/nothing", 404), ("/leaflet/leaflet-src.js", 404), ("/layers/x.geojson", 404)]
)
def test_other_errors(client: FlaskClient, address: str, status: int) -> None:
    answer = client.get(address)
    assert answer.status_code == status
    assert answer.mimetype == ("application/problem+json" if address.startswith("/layers") else "text/html")


def test_wrong_method(client: FlaskClient) -> None:
    answer = client.post("/")
    assert answer.status_code == 405 and "GET" in answer.headers["Allow"] and "请返回地图。" in answer.text


@pytest.mark.parametrize(
    ("error", "status"),
    [(NotFoundError, 404), (StoreError, 503), (InputError, 400), (PlanError, 500), (GridgisError, 500)],
)
def test_status_of_library_errors(error: type[GridgisError], status: int) -> None:
    assert status_of(error("x")) == status


# --- which grid am I in -----------------------------------------------------------------------------------------------


def where(client: FlaskClient, lon: object, lat: object, **more: str) -> Any:
    query = {"lon": str(lon), "lat": str(lat), **more}
    return client.get("/where", query_string=query, headers={"Accept": "application/json"})


def test_where_inside(client: FlaskClient) -> None:
    lon, lat = webplace.inside(2, 1)
    answer = where(client, lon, lat).json
    assert [g["code"] for g in answer["grids"]] == ["99010100202"] and not answer["on_border"]
    page = client.get("/where", query_string={"lon": lon, "lat": lat})
    assert "该位置属于" in page.text and "/grids/99010100202" in page.text and "程望舒" in page.text
    assert page.headers["Cache-Control"] == "no-store"


def test_where_agrees_with_shapely_on_every_grid(client: FlaskClient) -> None:
    grids = webplace.grids()
    points = grids.geometry.representative_point()
    assert len(points) == 8
    for code, point in zip(grids["code"], points, strict=True):
        assert [g["code"] for g in where(client, point.x, point.y).json["grids"]] == [code]


def test_where_on_a_border_names_all(client: FlaskClient) -> None:
    lon, lat = webplace.warp(1, 1)
    answer = where(client, lon, lat).json
    assert [g["code"] for g in answer["grids"]] == ["99010100101", "99010100102", "99010100103", "99010100104"]
    assert answer["on_border"] and answer["said"] == "该位置在 4 个网格的交界处，任何一个网格都可以受理。"
    lon, lat = webplace.warp(1, 0.5)
    assert len(where(client, lon + 1e-5, lat).json["grids"]) == 2, "a metre beside the border"
    assert len(where(client, lon + 5e-5, lat).json["grids"]) == 1, "five metres beside it"


def test_where_outside(client: FlaskClient) -> None:
    answer = where(client, 113.5, 30.5).json
    assert answer["grids"] == [] and answer["said"] == "该位置不在本图的任何网格内。"
    assert answer["ask"] == {"text": "请拨打监督电话：", "phone": "000-0000-0110"}
    assert "不在本图的任何网格内" in get(client, "/where?lon=113.5&lat=30.5")


def test_where_takes_shifted_coordinates(client: FlaskClient) -> None:
    lon, lat = webplace.inside(0, 0)
    for datum, shift in (("gcj02", crs.wgs84_to_gcj02), ("bd09", crs.wgs84_to_bd09)):
        x, y = (float(v) for v in shift(lon, lat))
        assert [g["code"] for g in where(client, x, y, datum=datum).json["grids"]] == [FIRST]
    assert FIRST not in [g["code"] for g in where(client, x, y).json["grids"]]


@pytest.mark.parametrize(
    ("lon", "lat", "zh", "en"),
    [
        ("", "30", "缺少经度。", "The longitude is missing."),
        ("113", "", "缺少纬度。", "The latitude is missing."),
        ("abc", "30", "经度不是数字。", "The longitude is not a number."),
        ("113", "nan", "纬度不是数字。", "The latitude is not a number."),
        ("113", "inf", "纬度不是数字。", "The latitude is not a number."),
        ("30", "113", "经度和纬度可能写反了", "Longitude and latitude seem to be swapped"),
        ("113", "999", "纬度应在 -90 到 90 之间", "A latitude is between -90 and 90."),
        ("999", "30", "经度应在 -180 到 180 之间", "A longitude is between -180 and 180."),
    ],
)
def test_where_refuses(client: FlaskClient, lon: str, lat: str, zh: str, en: str) -> None:
    page = client.get("/where", query_string={"lon": lon, "lat": lat})
    assert page.status_code == 400 and zh in page.text
    problem = where(client, lon, lat, lang="en")
    assert problem.status_code == 400 and en in problem.json["detail"]


def test_where_reads_full_width_digits_and_refuses_other_datums(client: FlaskClient) -> None:
    lon, lat = webplace.inside(0, 0)
    wide = str.maketrans("0123456789.", "０１２３４５６７８９．")
    assert where(client, str(lon).translate(wide), f" {lat}° ").json["grids"][0]["code"] == FIRST
    assert where(client, lon, lat, datum="mars").json["detail"] == "坐标类型无法识别。"


def test_a_position_is_neither_logged_nor_kept(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    page = client.post("/where", data={"lon": "113.00182", "lat": "30.00147"})
    assert page.status_code == 200 and "柳岸第一网格" in page.text
    client.post("/where", data={"lon": "113.00182", "lat": "x30.00147"})
    client.get("/where?lon=113.00182&lat=x30.00147")
    assert "113.00182" not in caplog.text and "30.00147" not in caplog.text
    assert not [c for c in page.headers.getlist("Set-Cookie") if "113" in c]
    # The answer in the other language is asked for by POST again, not by an address with the position in it.
    tags = Page(page.text).tags
    assert ("input", {"type": "hidden", "name": "lon", "value": "113.00182"}) in tags
    assert not [link for link in Page(page.text).links() if "113.00182" in link]


# --- an address, a compound, a name -----------------------------------------------------------------------------------


def find(client: FlaskClient, text: str, lang: str = "zh") -> Any:
    answer = client.post(f"/find?lang={lang}", data={"q": text}, headers={"Accept": "application/json"})
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store"
    return answer.json


def suggest(client: FlaskClient, text: str) -> Any:
    answer = client.post("/suggest?lang=zh", data={"q": text})
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store"
    return answer.json


def codes_of(answer: Any) -> list[str]:
    return [grid["code"] for grid in answer["grids"]]


def test_every_building_is_found_in_the_grids_that_hold_it(client: FlaskClient) -> None:
    grids, buildings = webplace.grids(), webplace.buildings()
    wide = str.maketrans("0123456789", "０１２３４５６７８９")
    for address, shape in zip(buildings["address"], buildings.geometry, strict=True):
        held = shapely.area(shapely.intersection(grids.geometry, shape)) / shape.area >= 0.05
        wanted = sorted(grids["code"][held])
        assert wanted
        for written in (address, address.translate(wide), f"{address}2单元３０２室", f" {address}302", address[:-1]):
            answer = find(client, written)
            assert codes_of(answer) == wanted, written
            assert shape.contains(shapely.Point(answer["lon"], answer["lat"]))
            assert answer["said"].startswith(address)


@pytest.mark.parametrize(
    ("text", "said", "codes"),
    [
        ("滨河东路10弄5号", "滨河东路10弄5号属于柳岸第一网格。", [FIRST]),
        ("某市某区滨河东路十弄5號", "滨河东路10弄5号属于柳岸第一网格。", [FIRST]),
        ("清水苑", "清水苑属于柳岸第二网格。", ["99010100102"]),
        ("清水苑3号楼501室", "滨河东路20弄3号属于柳岸第二网格。", ["99010100102"]),
        ("清水苑99号", "本图上没有这个门牌号。清水苑属于柳岸第二网格。", ["99010100102"]),
        ("滨河东路20弄99号", "本图上没有这个门牌号。清水苑属于柳岸第二网格。", ["99010100102"]),
        ("书院商厦", "书院商厦属于书院第四网格。", ["99010100204"]),
        ("两界楼", "两界楼跨 2 个网格，任何一个网格都可以受理。", ["99010100201", "99010100203"]),
        ("书院新村", "书院新村跨 2 个网格，任何一个网格都可以受理。", ["99010100201", "99010100203"]),
        ("滨河东路", "符合的网格有 2 个，输入门牌号可查到您所在的网格。", [FIRST, "99010100102"]),
        ("罗小满", "查到书院第一网格。", [NO_HOURS]),
        (NO_PHONE, "查到柳岸第四网格。", [NO_PHONE]),
        ("滨河东路30弄1号", "本图上没有查到，请核对文字，或在地图上点击所在位置。", []),
        ("滨河东路1", "本图上没有查到，请核对文字，或在地图上点击所在位置。", []),
        ("%_'\"<b>", "本图上没有查到，请核对文字，或在地图上点击所在位置。", []),
    ],
)
def test_what_is_typed_is_answered(client: FlaskClient, text: str, said: str, codes: list[str]) -> None:
    answer = find(client, text)
    assert (answer["said"], codes_of(answer), answer["choices"]) == (said, codes, [])
    assert answer["ask"] == (None if codes else {"text": "请拨打监督电话：", "phone": "000-0000-0110"})
    page = client.post("/find", data={"q": text}).text
    assert [link[7:] for link in dict.fromkeys(Page(page).links()) if link.startswith("/grids/")] == codes
    assert said in re.sub(r"<[^>]*>", "", page) or "<b>" in text


def test_an_answer_tells_people_phones_and_hours(app: Flask, client: FlaskClient) -> None:
    page = client.post("/find", data={"q": "滨河东路10弄5号"}).text
    for told in ("柳岸第一网格", FIRST, "沈若溪", "网格长", "tel:000-0000-0001", "在岗", "监督电话", "000-0000-0110"):
        assert told in page
    assert "目前无人任职。" in client.post("/find", data={"q": "书院商厦"}).text
    assert "请输入地址" in client.post("/find", headers={"Accept": "application/json"}).json["detail"]
    assert client.get("/find?q=滨河东路10弄5号").text.count("滨河东路") == 0, "by POST only"


def test_several_places_are_choices_unless_one_grid_has_them(place: Callable[..., FlaskClient]) -> None:
    def change(tables: dict[str, Any]) -> None:
        frame = tables["building"]
        frame.loc[[0, 1], "address"] = ["幸福一村1栋1号", "幸福二村1栋1号"]
        frame.loc[[2, 60], "address"] = ["和平一村1栋1号", "和平二村1栋1号"]

    client = place(change)
    assert codes_of(find(client, "幸福")) == [FIRST], "both are in it"
    answer = find(client, "和平")
    assert answer["said"] == "符合的地点不止一处，请选择：" and answer["grids"] == []
    assert [c["label"] for c in answer["choices"]] == ["和平一村1栋1号", "和平二村1栋1号"]
    page = client.post("/find", data={"q": "和平"}).text
    assert '<button class="quiet" name="q" value="和平二村1栋1号">' in page
    for choice in answer["choices"]:
        assert len(codes_of(find(client, choice["label"]))) == 1


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("清", ["清水苑", "滨河东路20弄1号"]),
        ("滨河东路2", ["清水苑", "滨河东路20弄1号", "滨河东路20弄2号"]),
        ("滨河东路２０弄3号301室", ["滨河东路20弄3号", "清水苑"]),
        ("新村", ["书院新村"]),
        ("两界", ["两界楼"]),
        ("7", []),
        ("", []),
        ("沈若溪", []),
    ],
)
def test_suggestions(client: FlaskClient, text: str, first: list[str]) -> None:
    found = suggest(client, text)
    assert [place["label"] for place in found][: len(first)] == first
    assert len(found) <= 8 and bool(found) == bool(first)
    for given in found:
        assert set(given) == {"label", "address", "grid"}
        assert find(client, given["label"])["said"].startswith(given["label"])


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_each_half_of_what_is_typed_is_taken(client: FlaskClient, lang: str) -> None:
    for text in ("滨河东路10弄5号", "x" * 5000, "号" * 200, "1-2-3", "〇十百", "\x00\ud7ff", "路", "甲"):
        for end in range(1, min(len(text), 40) + 1):
            assert len(suggest(client, text[:end])) <= 8
        assert find(client, text, lang)["said"]


def test_what_is_typed_is_neither_logged_nor_kept(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for _ in range(2):
        answer = client.post("/find", data={"q": "滨河东路10弄5号4407室"})
        client.post("/suggest", data={"q": "滨河东路10弄5号4407室"})
    assert "滨河东路10弄5号属于" in answer.text and "4407" not in caplog.text
    assert "4407" not in str(answer.headers) and not [x for x in Page(answer.text).links() if "4407" in x]
    modules = [
        finding,
        *(module for name, module in sys.modules.items() if re.match(r"gridgis\.assign\..*address", name)),
    ]
    assert len(modules) > 4
    assert not [
        name for module in (*modules, finding) for name, it in vars(module).items() if hasattr(it, "cache_info")
    ]


# --- on duty now ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "first", "second"),
    [
        ("2026-03-02 09:30", "现在在岗（按公布的时间）", "现在在岗（按公布的时间）"),
        ("2026-03-02 11:45", "现在不在岗，下次：今天 14:00", "现在在岗（按公布的时间）"),
        ("2026-03-06 20:00", "现在不在岗，下次：明天 8:30", "现在不在岗，下次：周一 9:00"),
    ],
)
def test_who_is_on_duty_now(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, now: str, first: str, second: str
) -> None:
    monkeypatch.setattr(Published, "now", lambda self: datetime.fromisoformat(now))
    board = client.get(f"/grids/{FIRST}", headers={"Accept": "application/json"}).json
    assert [person["duty"] for person in board["staff"]] == [first, second]
    page = get(client, f"/grids/{FIRST}")
    assert first in page and second in page
    english = get(client, f"/grids/{FIRST}?lang=en")
    assert ("On duty now" in english) == ("现在在岗" in first + second)


def test_in_a_week_s_time_the_date_is_told(place: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch) -> None:
    def change(tables: dict[str, Any]) -> None:
        tables["staff"]["hours"] = "每周四 14:00–17:00"

    client = place(change)
    monkeypatch.setattr(Published, "now", lambda self: datetime(2026, 3, 5, 18, 0))
    assert "现在不在岗，下次：3月12日 14:00" in get(client, f"/grids/{FIRST}")
    assert "Not on duty now; next: Mar 12 14:00" in get(client, f"/grids/{FIRST}?lang=en")


def test_the_clock_is_that_of_the_place(place: Callable[..., FlaskClient]) -> None:
    client = place(parameters='{"timezone": "Pacific/Kiritimati"}')
    shown = client.application.extensions["gridgis"].current()
    there = datetime.now(ZoneInfo("Pacific/Kiritimati")).replace(tzinfo=None)
    assert abs((shown.now() - there).total_seconds()) < 60


def test_counts_below_the_profile_s_small_count_are_not_shown(place: Callable[..., FlaskClient]) -> None:
    shown = webplace.grids().set_index("code")["households"]
    page = get(place(parameters=f'{{"small_count": {shown[FIRST]}}}'), f"/grids/{FIRST}")
    assert f"<dd>{shown[FIRST]}</dd>" in page
    page = get(place(parameters=f'{{"small_count": {shown[FIRST] + 1}}}'), f"/grids/{FIRST}")
    assert str(shown[FIRST]) not in page.split("四至")[-1].split("相邻")[0]


def test_hours_that_are_not_certain_are_shown_as_they_are(place: Callable[..., FlaskClient]) -> None:
    def change(tables: dict[str, Any]) -> None:
        tables["staff"]["hours"] = "工作日 9:00–12:00，节假日除外"

    client = place(change)
    page = get(client, f"/grids/{FIRST}")
    assert "在岗" not in page and "节假日除外" in page


def test_without_hours_a_board_says_so(client: FlaskClient) -> None:
    page = re.sub(r"\s+", "", get(client, f"/grids/{NO_HOURS}"))
    assert "接待时间未公布。" in page and "请来电询问。" in page and "在岗" not in page


# --- layers -----------------------------------------------------------------------------------------------------------


def test_grids_layer(client: FlaskClient) -> None:
    answer = client.get("/layers/grids.geojson")
    assert answer.mimetype == "application/geo+json"
    features = answer.json["features"]
    assert [f["id"] for f in features] == sorted(webplace.grids()["code"])
    assert set(features[0]["properties"]) == {
        "code", "name", "short", "tail", "colour", "label_lon", "label_lat", "room_m",
    }  # fmt: skip
    shapes = gpd.GeoDataFrame.from_features(features, crs=4326)
    labels = gpd.points_from_xy(shapes["label_lon"], shapes["label_lat"])
    assert shapes.geometry.contains(gpd.GeoSeries(labels, crs=4326)).all()
    assert not shapely.area(shapely.intersection(*shapes.geometry.iloc[[0, 1]])) > 0
    for a, b in itertools.combinations(range(8), 2):
        if shapes.geometry.iloc[a].intersects(shapes.geometry.iloc[b]):
            assert shapes["colour"].iloc[a] != shapes["colour"].iloc[b]


def test_the_label_of_a_bent_grid_stands_where_it_has_most_room() -> None:
    hook = shapely.box(0, 0, 100, 10) | shapely.box(0, 0, 10, 100) | shapely.box(70, 0, 100, 30)
    assert not hook.contains(hook.centroid)
    ((x, y, room),) = label_places(np.array([hook]))
    assert (x, y) == pytest.approx((85, 15), abs=2) and room == pytest.approx(15, abs=2)


def test_context_layer(client: FlaskClient) -> None:
    features = client.get("/layers/context.geojson").json["features"]
    kinds = [f["properties"]["kind"] for f in features]
    assert kinds[:9] == ["water", "building", "wall", "lane", "secondary", "main", "expressway", "railway", "river"]
    names = {f["properties"]["name"]: f["properties"] for f in features if f["properties"]["kind"] == "name"}
    assert set(names) == {*webplace._STREETS, *webplace._ACROSS, "柳岸支线", "柳荫巷"}
    assert names["学府街"]["upright"] and abs(names["学府街"]["angle"]) < 45
    assert not names["北辰路"]["upright"] and names["北辰路"]["length_m"] > 300


def test_layers_are_tagged_and_compressed(client: FlaskClient) -> None:
    for address in ("/layers/grids.geojson", "/layers/context.geojson", "/map.js", "/overview.svg"):
        plain = client.get(address)
        packed = client.get(address, headers={"Accept-Encoding": "gzip"})
        assert gzip.decompress(packed.data) == plain.data if len(plain.data) > 500 else packed.data
        assert client.get(address, headers={"If-None-Match": plain.headers["ETag"]}).status_code == 304
        again = client.get(address, headers={"If-None-Match": packed.headers["ETag"], "Accept-Encoding": "gzip"})
        assert again.status_code == 304 and again.data == b""
    assert packed.headers["Content-Encoding"] == "gzip"
    assert (
        client.get("/layers/grids.geojson", headers={"Accept-Encoding": "gzip"}).headers["Content-Encoding"] == "gzip"
    )


def test_same_store_same_bytes(store: Path, client: FlaskClient) -> None:
    other = create_app({"STORE": store}).test_client()
    for address in (
        "/",
        "/map.js",
        "/layers/grids.geojson",
        "/layers/context.geojson",
        f"/grids/{FIRST}",
        "/overview.svg",
    ):
        assert other.get(address).data == client.get(address).data


def test_bare_store_still_makes_a_map(place: Callable[..., FlaskClient]) -> None:
    def strip(tables: dict[str, Any]) -> None:
        for name in list(tables):
            if name != "grid":
                del tables[name]
        tables["grid"] = tables["grid"][["code", "geometry"]]

    client = place(strip, title="", sources="", review_number="", built_at="")
    assert client.get("/layers/context.geojson").json == {"type": "FeatureCollection", "features": []}
    assert client.get(f"/grids/{FIRST}").status_code == 200
    page = get(client, "/", Accept_Language="en")
    assert "Grid map" in page and f"/grids/{FIRST}" in page


# --- what must not get out, or in -------------------------------------------------------------------------------------


def test_nothing_about_residents(place: Callable[..., FlaskClient]) -> None:
    def inhabit(tables: dict[str, Any]) -> None:
        at = [shapely.Point(webplace.inside(0, 0))]
        tables["house"] = gpd.GeoDataFrame(
            {"code": ["SECRETHOUSE"], "address": ["秘密路一号"], "households": [1]}, geometry=at, crs=4326
        )
        tables["person"] = pd.DataFrame({"id": ["SECRETPERSON"], "house": ["SECRETHOUSE"]})
        tables["building"]["address"] = "秘密路一号"
        tables["building"]["code"] = [f"SECRET{i}" for i in range(len(tables["building"]))]
        tables["grid"]["persons"] = 876543
        tables["grid"]["reason"] = "秘密理由"
        tables["grid"]["note"] = "SECRETNOTE"
        tables["grid"].loc[0, "households"] = 3
        tables["staff"]["identity"] = "SECRETIDENTITY"

    client = place(inhabit)
    addresses = [
        "/", "/map.js", "/layers/grids.geojson", "/layers/context.geojson", "/overview.svg", f"/grids/{FIRST}", "/find",
    ]  # fmt: skip
    answers = [client.get(a).text for a in addresses]
    answers += [get(client, f"/grids/{FIRST}", Accept="application/json"), where(client, *webplace.inside(0, 0)).text]
    for text in answers:
        assert not re.search(r"SECRET|秘密|876543|876,543", text)
    assert client.get(f"/grids/{FIRST}", headers={"Accept": "application/json"}).json["households"] == ""


def everything_public(client: FlaskClient, typed: list[str]) -> str:
    """All that the public can have: each page in each language, each layer, and the answers to what is typed."""
    rules = {rule.rule for rule in client.application.url_map.iter_rules() if rule.endpoint != "static"}
    fixed = ["/", "/map.js", "/overview.svg", "/where", "/find", "/layers/grids.geojson", "/layers/context.geojson"]
    known = {"/grids/<path:code>", "/layers/<name>.geojson", "/leaflet/<path:name>", "/suggest"}
    assert rules == known | set(fixed) - {"/layers/grids.geojson", "/layers/context.geojson"}
    codes = [f["id"] for f in client.get("/layers/grids.geojson").json["features"]]
    answers = [
        client.get(f"{a}?lang={lang}") for a in [*fixed, *(f"/grids/{c}" for c in codes)] for lang in ("zh", "en")
    ]
    answers += [client.get(f"/grids/{c}", headers={"Accept": "application/json"}) for c in codes]
    assert {a.status_code for a in answers} == {200}
    for text in typed:
        for path in ("/find", "/suggest"):
            answers.append(client.post(path + "?lang=zh", data={"q": text}, headers={"Accept": "application/json"}))
    # As it is read, not as it is escaped.
    return "\n".join(
        json.dumps(a.json, ensure_ascii=False) if a.mimetype == "application/json" else a.text for a in answers
    )


ROOM_LEVEL = r"\d+\s*室|\d单元"


def test_no_house_person_or_room_in_all_that_is_public(place: Callable[..., FlaskClient]) -> None:
    def inhabit(tables: dict[str, Any]) -> None:
        addresses = tables["building"]["address"]
        codes = [f"HX{i:04d}" for i in range(len(addresses))]
        tables["house"] = gpd.GeoDataFrame(
            {"code": codes, "address": addresses + "2单元302室", "households": 1},
            geometry=tables["building"].geometry.representative_point(), crs=4326,
        )  # fmt: skip
        tables["person"] = pd.DataFrame({"id": [f"PX{i:04d}" for i in range(99)], "house": codes[0]})
        tables["building"].loc[0, "address"] = "滨河东路10弄1号2单元302室"

    client = place(inhabit)
    typed = [*webplace.buildings()["address"] + "302室", "302室", "室", "HX0001", "PX0001", "滨河东路10弄1号2单元302室"]
    text = everything_public(client, typed)
    assert "滨河东路10弄2号属于" in text and len(text) > 50_000
    assert re.findall(rf"HX\d{{4}}|PX\d{{4}}|{ROOM_LEVEL}", text) == []


def test_no_house_person_or_room_of_the_sample(sample: Path, built: Path) -> None:
    path = Project.load(sample / "project.toml").store
    with open_store(path) as store:
        tables = {name: everything(store, name) for name in ("house", "person", "building")}
    assert built.is_dir() and min(len(table) for table in tables.values()) > 500
    houses, persons = tables["house"], tables["person"]
    known = sorted(tables["building"]["address"].dropna())
    typed = [*houses["address"].dropna().iloc[::97], *persons["address"].dropna().iloc[::197], *known[::7]]
    text = everything_public(create_app({"STORE": path}).test_client(), typed)
    words = set(re.findall(r"[0-9A-Za-z-]{3,}", text))
    assert words & {*houses["code"], *persons["id"]} == set()
    assert re.findall(ROOM_LEVEL, text) == []
    assert sum(f'"label": "{address}"' in text for address in known[::7]) > 80


def test_the_web_opens_no_table_of_residents_tracks_or_users(sample: Path, built: Path) -> None:
    """Nothing that a web process asks of the store names one of them."""
    path = Project.load(sample / "project.toml").store
    assert built.is_dir()
    asked: list[str] = []

    def listen(_c: Any, _cursor: Any, sql: str, *_rest: Any) -> None:
        asked.append(sql)

    event.listen(Engine, "before_cursor_execute", listen)
    try:
        everything_public(create_app({"STORE": path}).test_client(), ["滨河东路10弄1号2单元302室", "PX0001"])
    finally:
        event.remove(Engine, "before_cursor_execute", listen)
    opened = {name for sql in asked for name in re.findall(r'(?:FROM|JOIN|INTO|UPDATE) "?(\w+)', sql)}
    assert {"grid", "staff", "posting", "building"} & opened
    assert opened & {*LOOKED, "house", "track", "audit", "user_account", "patrol"} == set()


NASTY = "<img src=x onerror=alert(1)>{{7*7}}${alert(2)}</script><script>alert(3)</script>\"'&"


def test_names_are_text_everywhere(place: Callable[..., FlaskClient]) -> None:
    def poison(tables: dict[str, Any]) -> None:
        for table, columns in (("grid", ["name", "bounds_text"]), ("unit", ["name"]), ("barrier", ["name"])):
            for column in columns:
                tables[table][column] = NASTY
        for column in ("name", "phone", "duties", "hours", "photo"):
            tables["staff"][column] = NASTY
        tables["posting"]["role"] = NASTY

    client = place(poison, title=NASTY, sources=NASTY, review_number=NASTY, community_phone=NASTY)
    lon, lat = webplace.inside(0, 0)
    for address in ("/", "/?lang=en", f"/grids/{FIRST}", f"/where?lon={lon}&lat={lat}"):
        page = Page(get(client, address))
        assert not [tag for tag, given in page.tags if "onerror" in given]
        assert all(given.get("src", "").startswith("/") for tag, given in page.tags if tag == "script")
        assert "{{7*7}}" in "".join(page.words) and "49" not in "".join(page.words)
    assert "alert" not in client.get("/map.js").text
    assert client.get("/layers/grids.geojson").json["features"][0]["properties"]["name"] == NASTY


def test_photos_are_shown_only_from_data(place: Callable[..., FlaskClient]) -> None:
    def picture(tables: dict[str, Any]) -> None:
        tables["staff"]["photo"] = ["data:image/png;base64,AAAA", "https://example.org/x.png", *[None] * 4]

    client = place(picture)
    board = client.get(f"/grids/{FIRST}", headers={"Accept": "application/json"}).json
    assert [person["photo"] for person in board["staff"]] == ["data:image/png;base64,AAAA", ""]
    assert "example.org" not in get(client, f"/grids/{FIRST}")


# --- Folium -----------------------------------------------------------------------------------------------------------


def test_leaflet_is_the_one_we_know() -> None:
    pinned = {
        "leaflet.js": "5819285cec137b229c94e1ee5ad73e8b6b84345a4367d60f75fe477fe0fb7b03",
        "leaflet.css": "90b693d86392a4779c861b28cf307e7e59c3fb35328c4d8b95f58f814d38c722",
    }
    folder = Path(xstatic.pkg.leaflet.BASE_DIR)
    assert {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in pinned} == pinned


SCRIPTS, STYLES = [("leaflet", "/leaflet/leaflet.js")], [("leaflet_css", "/leaflet/leaflet.css")]


def draw(*extra: Any) -> layers.MapParts:
    figure = layers.PublicFigure(url for _, url in (*SCRIPTS, *STYLES))
    shown = layers.PublicMap((113, 30, 113.1, 30.1), SCRIPTS, STYLES)
    shown._parent = None
    figure.add_child(shown)
    for element in extra:
        shown.add_child(element)
    return figure.parts()


def test_the_folium_map_takes_our_files_only() -> None:
    parts = draw()
    assert parts.scripts == ("/leaflet/leaflet.js",) and parts.styles == ("/leaflet/leaflet.css",)
    assert parts.html == '<div class="map" id="map_public"></div>'
    assert "http" not in parts.script and "<" not in parts.script
    assert parts == draw(), "the same bytes each time"


def test_links_that_are_not_served_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"asks for something that is not served here; found d3: https://.*d3.*wanted /lea"
    ):
        draw(LinearColormap(["red", "blue"]))
    with pytest.raises(InputError, match=r"not served here; found .*: https://.*markercluster"):
        draw(MarkerCluster())


def test_style_in_the_head_is_refused() -> None:
    class Styled(folium.MacroElement):
        _template = folium.template.Template("{% macro header(this, kwargs) %}<style>b{}</style>{% endmacro %}")

    with pytest.raises(InputError, match="script or style in the page"):
        draw(Styled())


def test_other_maps_of_the_process_stay_as_they_were() -> None:
    draw()
    assert [name for name, _ in folium.Map().default_js][0:2] == ["leaflet", "jquery"]
    assert len(folium.Map.default_css) > 1


def test_folium_is_the_version_whose_private_names_are_used() -> None:
    assert folium.__version__ == "0.20.0"
    shown = layers.PublicMap((0, 0, 1, 1), [], [])
    assert shown.get_name() == "map_public" and isinstance(shown._parent, folium.Figure)


def test_siblings_are_told_apart_by_what_differs() -> None:
    names = ["Elm Street 11", "Elm Street 12", None, "一网格"]
    frame = gpd.GeoDataFrame({"name": names, "parent": ["a", "a", None, "b"], "code": ["a11", "a12", "LONGCODE", "b1"]})
    assert layers.shorts(frame) == ["11", "12", "", "一网格"]
    assert tails(frame) == ["11", "12", "CODE", "1"]


# --- languages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepted", "tag"),
    [
        (None, "zh-Hans"), ("*", "zh-Hans"), ("fr", "zh-Hans"), ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"), ("en-GB", "en"),
        ("en-US,en;q=0.9,zh;q=0.5", "en"), ("zh-TW", "zh-Hans"),
    ],
)  # fmt: skip
def test_the_browser_s_language_is_honoured(client: FlaskClient, accepted: str | None, tag: str) -> None:
    page = client.get("/", headers={"Accept-Language": accepted} if accepted else {})
    assert f'<html lang="{tag}">' in page.text
    assert {"Accept-Language", "Cookie"} <= {v.strip() for v in page.headers["Vary"].split(",")}


def test_a_chosen_language_is_remembered(client: FlaskClient) -> None:
    page = client.get("/?lang=en&q=x")
    assert '<html lang="en">' in page.text and "lang=en" in page.headers["Set-Cookie"]
    assert "SameSite=Lax" in page.headers["Set-Cookie"]
    assert [link for link in Page(page.text).links() if "lang=zh" in link] == ["/?lang=zh&q=x"]
    assert "Who looks after this grid" in get(client, f"/grids/{FIRST}", Accept_Language="zh")
    assert "网格人员" in get(client, f"/grids/{FIRST}?lang=zh")
    assert "网格人员" in get(client, f"/grids/{FIRST}?lang=klingon", Accept_Language="en")


def test_chinese_data_is_marked_on_english_pages(client: FlaskClient) -> None:
    page = get(client, f"/grids/{FIRST}?lang=en")
    assert '<h1><span lang="zh-Hans">柳岸第一网格</span></h1>' in page and "Grid head" in page


#: What a Chinese page may say in Latin letters.
LATIN = {"English", "GPS", "WGS", "GCJ", "BD"}


@pytest.mark.parametrize(
    "address", ["/", f"/grids/{FIRST}", f"/grids/{NOBODY}", "/where", "/grids/none", "/where?lon=1"]
)
def test_no_english_on_chinese_pages(client: FlaskClient, address: str) -> None:
    page = Page(get(client, address))
    said = page.words + [
        given[name]
        for _, given in page.tags
        for name in ("aria-label", "placeholder", "alt", "title", "data-words")
        if name in given and given.get("lang") != "en"
    ]
    said = [text if not text.startswith("{") else " ".join(json.loads(text).values()) for text in said]
    words = {
        w for text in said for w in re.findall(r"[A-Za-z]{2,}", text.replace("{count}", "").replace("{total}", ""))
    }
    assert len(said) > 5 and words <= {*LATIN, *(["none"] if address.endswith("none") else [])}


@pytest.mark.parametrize(
    "address", ["/", f"/grids/{FIRST}", f"/grids/{NOBODY}", "/where", "/grids/none", "/where?lon=1"]
)
def test_no_chinese_words_of_ours_on_english_pages(client: FlaskClient, address: str) -> None:
    page = get(client, address + ("&" if "?" in address else "?") + "lang=en")
    ours = re.sub(r'<(span|a|text)[^>]*lang="zh-Hans"[^>]*>.*?</\1>|<text.*?</text>|<title>.*?</title>', "", page)
    ours = re.sub(r'data-search="[^"]*"|aria-label="Map of the extent[^"]*"', "", ours)
    assert re.findall(r"[\u3400-\u9fff]+", ours) == []


def catalogue() -> Any:
    return read_po((ROOM / "translations/zh/LC_MESSAGES/messages.po").open("rb"), locale="zh")


REMEDY = "see webmap/translations/babel.cfg for the three commands that mend it"


def test_every_word_is_in_the_catalogue() -> None:
    methods = [("**.py", "python"), ("templates/**.html", "jinja2"), ("templates/**.svg", "jinja2")]
    keywords = {"_": None, "gettext": None, "lazy_gettext": None}
    found = {str(m[2]) for m in extract_from_dir(str(ROOM), methods, {"**": {}}, keywords)}
    known = {m.id for m in catalogue() if m.id}
    assert len(found) > 100
    assert found - known == set(), REMEDY
    assert known - found == set(), "words that no page says any more; " + REMEDY


def test_every_word_is_translated() -> None:
    messages = [m for m in catalogue() if m.id]
    assert [m.id for m in messages if not m.string or m.fuzzy] == []
    assert [(m.id, str(e)) for m in messages for e in m.check()] == []
    for message in messages:
        assert set(re.findall(r"\{\w+\}", message.id)) == set(re.findall(r"\{\w+\}", message.string))


def test_the_compiled_catalogue_is_the_written_one() -> None:
    compiled = read_mo((ROOM / "translations/zh/LC_MESSAGES/messages.mo").open("rb"))
    assert {m.id: m.string for m in compiled if m.id} == {m.id: m.string for m in catalogue() if m.id}, REMEDY


def test_every_dictionary_word_has_its_chinese() -> None:
    known = {m.id for m in catalogue()}
    for words in (language.ROLES, language.GRID_KINDS, language.BARRIERS, language.FIELDS):
        assert {w._args[0] for w in words.values()} <= known


# --- colours ----------------------------------------------------------------------------------------------------------

#: Machado, Oliveira and Fernandes (2009), severity 1.0, linear RGB.
SIGHTS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def linear(colour: str) -> np.ndarray:
    part = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    )
    x = to_xyz @ rgb / np.array([0.95047, 1, 1.08883])
    f = np.where(x > 216 / 24389, np.cbrt(x), (24389 / 27 * x + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def tokens() -> dict[str, dict[str, str]]:
    light, _, rest = (ROOM / "static/site.css").read_text().partition("@media screen and (prefers-color-scheme: dark)")
    dark = rest.partition("/* Ground rules */")[0]
    return {
        name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part)) for name, part in (("light", light), ("dark", dark))
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("sight", SIGHTS)
def test_colours_of_grids_stay_apart(scheme: str, sight: str) -> None:
    colours = [tokens()[scheme][f"grid-{i}"] for i in range(6)]
    seen = [lab(np.clip(SIGHTS[sight] @ linear(c), 0, 1)) for c in colours]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 11


def contrast(a: str, b: str) -> float:
    weights = np.array([0.2126, 0.7152, 0.0722])
    high, low = sorted((float(weights @ linear(c)) for c in (a, b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(scheme: str) -> None:
    known = tokens()[scheme]
    pairs = [
        ("ink", "surface"),
        ("ink-soft", "surface"),
        ("ink-soft", "page"),
        ("accent", "surface"),
        ("accent", "page"),
    ]
    pairs += [("accent-ink", "accent"), ("ink", "warn-soft"), ("accent", "accent-soft"), ("ink-soft", "accent-soft")]
    pairs += [("ink", f"grid-{i}") for i in range(6)] + [("river-ink", "water")]
    assert [(a, b) for a, b in pairs if contrast(known[a], known[b]) < 4.5] == []
    assert contrast(known["rule-strong"], known["surface"]) > 3, "the edge of a field"


def test_the_drawing_without_style_has_the_same_colours(client: FlaskClient) -> None:
    drawn = set(re.findall(r'class="x-grid c\d" d="[^"]*" fill="(#[0-9a-f]{6})"', get(client, "/overview.svg")))
    assert drawn and drawn <= {tokens()["light"][f"grid-{i}"] for i in range(6)}


# --- another day ------------------------------------------------------------------------------------------------------


MARCH, MAY = date(2026, 3, 1), date(2999, 5, 1)


@pytest.fixture
def days(tmp_path: Path) -> Iterator[tuple[FlaskClient, Shelf]]:
    """A place with a plan since March, another one from 2999 on, and people."""
    path = webplace.make_store(tmp_path / "days.gpkg", board_required="name\nstaff\nphone")
    webplace.publish_days(path, MARCH, MAY)
    app = create_app({"STORE": path, "TESTING": True})
    yield app.test_client(), app.extensions["gridgis"]


def test_a_day_shows_the_plan_that_holds_on_it(days: tuple[FlaskClient, Shelf]) -> None:
    client, _ = days
    for asked, count, mark in (("", 8, "旧"), ("?at=2026-03-01", 8, "旧"), ("?at=2999-04-30", 8, "旧"),
                               ("?at=2999-05-01", 4, "新")):  # fmt: skip
        found = client.get(f"/layers/grids.geojson{asked}").json["features"]
        assert len(found) == count
        assert {f["properties"]["name"][0] for f in found} == {mark}
    lon, lat = webplace.warp(0.5, 0.5)
    for asked, mark in (("", "旧"), ("&at=2999-05-01", "新")):
        told = client.get(f"/where?lon={lon}&lat={lat}{asked}", headers={"Accept": "application/json"}).json
        assert told["grids"][0]["name"][0] == mark
    lon, lat = webplace.warp(0.5, 1.5)
    place, program = {"lon": lon, "lat": lat}, {"Accept": "application/json"}
    asked = [client.post(f"/where{day}", data=place, headers=program).json for day in ("", f"?at={MAY}")]
    assert [told["grids"][0]["code"] for told in asked] == ["99010100102", "99010100101"]


def test_every_link_of_a_day_leads_to_that_day_but_one_back(days: tuple[FlaskClient, Shelf]) -> None:
    client, _ = days
    for address in (f"/?at={MAY}", f"/grids/99010100101?at={MAY}", f"/where?at={MAY}", f"/find?at={MAY}"):
        page = get(client, f"{address}&lang=zh")
        dated = [link for link in Page(page).links() if not link.startswith(("/static", "/leaflet", "tel:", "#"))]
        # Back to today, and the form that asks for a day.
        assert [link for link in dated if f"at={MAY}" not in link] == ["/", "/"], address
        assert "这是2999年5月1日的网格。" in page
        assert "The grids of 1 May 2999." in get(client, f"{address}&lang=en")
    assert f"at={MAY}" in client.get(f"/map.js?at={MAY}").text
    assert "at=" not in client.get("/map.js").text
    today = get(client, "/")
    assert 'type="date"' in today
    assert 'class="day"' not in today


def test_people_are_those_of_today_only(days: tuple[FlaskClient, Shelf]) -> None:
    client, _ = days
    with_people = client.get("/grids/99010100101", headers={"Accept": "application/json"}).json
    assert with_people["staff"]
    names = [person["name"] for person in with_people["staff"]]
    phones = [person["phone"] for person in with_people["staff"] if person["phone"]]
    for day in (MARCH, MAY):
        board = client.get(f"/grids/99010100101?at={day}", headers={"Accept": "application/json"}).json
        assert (board["staff"], board["missing"], board["people"]) == ([], [], [])
        for address in ("/", "/grids/99010100101", "/map.js", "/layers/grids.geojson"):
            text = get(client, f"{address}?at={day}")
            assert not [word for word in names + phones if word in text]
        found = client.post(f"/find?at={day}", data={"q": names[0]}, headers={"Accept": "application/json"}).json
        assert found["grids"] == []
    assert "人员只显示今天的。" in get(client, f"/grids/99010100101?at={MAY}")


@pytest.mark.parametrize(
    ("day", "status", "said"),
    [
        ("2026-02-28", 404, "2026-02-28 没有公布的网格划分方案。"),
        ("0001-01-01", 404, "0001-01-01 没有公布的网格划分方案。"),
        ("yesterday", 400, "日期请写成 2026-03-02 这样。"),
        ("2026-13-01", 400, "日期请写成 2026-03-02 这样。"),
        ("<script>", 400, "日期请写成 2026-03-02 这样。"),
    ],
)
def test_days_that_cannot_be_shown(days: tuple[FlaskClient, Shelf], day: str, status: int, said: str) -> None:
    client, _ = days
    answer = client.get("/", query_string={"at": day})
    assert answer.status_code == status
    assert said in answer.text
    assert "<script>" not in answer.text.replace("<script defer", "")
    assert client.get("/layers/grids.geojson", query_string={"at": day}).json["detail"] == said


def test_few_days_are_kept_and_none_of_an_older_revision(days: tuple[FlaskClient, Shelf]) -> None:
    _, shelf = days
    today = shelf.current()
    assert shelf.on(today.day) is today
    march = shelf.on(MARCH)
    assert march is not None
    assert shelf.on(MARCH + timedelta(days=40)) is march  # the same plan
    assert shelf.on(date(1999, 1, 1)) is None
    with open_store(shelf._where) as store:
        store.save({}, {"title": "改"})
    again = shelf.on(MARCH)
    assert again is not None
    assert again is not march
    assert again.settings["title"] == "改"
    assert len(shelf._of_days) == 1
