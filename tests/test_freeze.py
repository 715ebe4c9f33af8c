"""The public map as a folder of files: whole, the same each time, with the server's answers, nothing of residents."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import frozenplace
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import webplace
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page
from postgres import Server
from stored import everything

from gridgis import crs
from gridgis.cli import run
from gridgis.errors import InputError, StoreError
from gridgis.files import folder as folders
from gridgis.project import Project
from gridgis.store import open_store
from webmap import create_app
from webmap.freeze import MARKER, POLICY, file_name, freeze
from webmap.published import BORDER_M, Published

FIRST, NOBODY = "99010100101", "99010100204"
NASTY = "<img src=x onerror=alert(1)>${alert(2)}{{7*7}}</script>\"'&"
LOCALES = {"zh": "zh-CN", "en": "en-GB"}
SIZES = {"phone": (390, 844), "laptop": (1366, 768)}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return webplace.make_store(tmp_path_factory.mktemp("freeze") / "place.gpkg")


@pytest.fixture(scope="module")
def folder(store: Path) -> Path:
    return freeze(str(store), store.parent / "grids").folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with frozenplace.served(folder) as found:
        yield found


@pytest.fixture(scope="module")
def server(store: Path) -> FlaskClient:
    return create_app({"STORE": store}).test_client()


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Path]:
    """Publishes a place that differs."""

    def make(change: Callable[[dict[str, Any]], None] | None = None, **settings: str) -> Path:
        store = webplace.make_store(tmp_path / "other.gpkg", change, **settings)
        return freeze(str(store), tmp_path / "public").folder

    return make


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an address; in the end nothing may have failed, been complained of or been asked of others."""
    complaints: list[str] = []
    contexts = []

    def open_page(url: str, size: str = "laptop", lang: str = "zh", **more: Any) -> Page:
        width, height = SIZES[size]
        viewport = {"width": width, "height": height}
        context = browser.new_context(viewport=viewport, locale=LOCALES[lang], reduced_motion="reduce", **more)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda r: complaints.append(r.url) if urlsplit(r.url).hostname != "127.0.0.1" else None)
        page.on("response", lambda r: complaints.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        page.on("console", lambda m: complaints.append(m.text))
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.on("dialog", lambda d: (complaints.append(d.message), d.dismiss()))
        page.goto(url)
        if more.get("java_script_enabled", True) and page.locator("#map_public").count():
            page.wait_for_selector(".pane-line path", state="attached")
        return page

    yield open_page
    assert complaints == []
    for context in contexts:
        context.close()


class Links(HTMLParser):
    """The addresses that a page holds, and what of it is script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.inline: list[str] = []
        self._script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src", "action", "data", "poster", "srcset"):
                self.links.append(value or "")
            if name == "id":
                self.ids.add(value or "")
            if name.startswith("on") or name == "style":
                self.inline.append(name)
        self._script = tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if self._script and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._script = False


def tree(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def links_of(path: Path, folder: Path) -> Iterator[tuple[Path, str]]:
    """The addresses in a file, and the file that they are relative to."""
    text = path.read_text("utf-8") if path.suffix != ".png" else ""
    if path.suffix == ".html":
        yield from ((path, link) for link in Links(text).links)
    elif path.suffix == ".css":
        # An address with a # names a part of the page itself.
        yield from ((path, link) for link in re.findall(r"url\([\"']?([^)\"'#]+)", text) if link[:5] != "data:")
    elif path.suffix == ".json" and path.parent.name == "grids":
        yield path.parent.parent / "index.html", json.loads(text)["url"]
    elif path.name == "map.js" and path.parent.name != "static":
        yield from ((path, link) for link in re.findall(r'"([^"]+\?r=[^"]*)"', text))


# --- the folder -------------------------------------------------------------------------------------------------------


def test_what_is_in_it(folder: Path) -> None:
    codes = webplace.grids()["code"]
    pages = ["index.html", "404.html", "map.js", *(f"grids/{c}.{end}" for c in codes for end in ("html", "json"))]
    wanted = {f"{root}{page}" for root in ("", "en/") for page in pages}
    wanted |= {"layers/grids.geojson", "layers/context.geojson", "layers/places.json", "overview.svg", MARKER}
    wanted |= {"static/answers.js", "static/map.js", "static/site.css", "static/icon.svg"}
    found = set(tree(folder))
    assert found - {f for f in found if f.startswith("leaflet/")} == wanted
    assert {"leaflet/leaflet.js", "leaflet/leaflet.css"} <= found
    assert (folder / MARKER).read_text("utf-8").splitlines() == sorted(found - {MARKER})


def check_links(folder: Path) -> int:
    """Every address in every file is of a file in the folder; gives how many there are."""
    pairs = [pair for path in folder.rglob("*.*") if path.is_file() for pair in links_of(path, folder)]
    for page, link in pairs:
        parts = urlsplit(link)
        if parts.scheme in ("tel", "data"):
            continue
        assert not parts.scheme and not parts.netloc and not parts.path.startswith("/"), f"{page}: {link}"
        there = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        assert there.is_file() and there.is_relative_to(folder.resolve()), f"{page}: {link}"
        if parts.fragment and there == page:
            assert parts.fragment in Links(page.read_text("utf-8")).ids
    return len(pairs)


def test_every_link_leads_to_a_file_in_the_folder(folder: Path) -> None:
    assert check_links(folder) > 250


def test_pages_say_what_they_may_load_and_hold_no_script(folder: Path) -> None:
    for path in folder.rglob("*.html"):
        text = path.read_text("utf-8")
        said = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'.replace("'", "&#39;")
        assert said in text and text.index(said) < text.index("<link")
        assert Links(text).inline == []
    assert "script-src 'self'" in POLICY and "form-action 'none'" in POLICY and "unsafe" not in POLICY


@pytest.mark.parametrize(
    ("root", "tag", "said"), [("", "zh-Hans", "月"), ("en/", "en", "The people and phone numbers")]
)
def test_pages_are_of_their_language_and_say_of_which_day(folder: Path, root: str, tag: str, said: str) -> None:
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    for name in ("index.html", f"grids/{FIRST}.html", f"grids/{NOBODY}.html"):
        text = (folder / root / name).read_text("utf-8")
        assert f'<html lang="{tag}">' in text
        assert f'<time datetime="{today.isoformat()}">' in text and said in text
        assert "在岗" not in text and "On duty now" not in text
    board = json.loads((folder / root / f"grids/{FIRST}.json").read_text("utf-8"))
    assert board["url"] == f"grids/{FIRST}.html" and {person["duty"] for person in board["staff"]} == {""}
    assert board["staff"][0]["role"] == ("网格长" if not root else "Grid head")


def test_the_same_store_gives_the_same_bytes(store: Path, folder: Path, tmp_path: Path) -> None:
    assert tree(freeze(str(store), tmp_path / "again").folder) == tree(folder)
    assert tree(freeze(str(store), tmp_path / "again").folder) == tree(folder), "over the first one"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again"], "nothing is left beside"


def test_a_store_in_a_database_gives_the_same_bytes(folder: Path, postgres: Server, tmp_path: Path) -> None:
    with postgres.database(store=True) as address:
        with open_store(address) as opened:
            webplace.fill_store(opened)
        assert tree(freeze(address, tmp_path / "public").folder) == tree(folder)


def test_people_are_those_of_the_day(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridgis.shown.now_at", lambda parameters: datetime(2024, 5, 6, 23, 0))
    page = (freeze(str(store), tmp_path / "old").folder / f"grids/{FIRST}.html").read_text("utf-8")
    assert "人员和电话为" in page and "2024年5月6日" in page
    assert "沈若溪" not in page and "目前无人任职" in page, "posted since 2025"


def test_the_plan_of_today_and_no_link_to_other_days(tmp_path: Path) -> None:
    store = webplace.make_store(tmp_path / "days.gpkg")
    webplace.publish_days(store, date(2026, 3, 1), date(2999, 5, 1))
    made = freeze(str(store), tmp_path / "public")
    home = (made.folder / "index.html").read_text("utf-8")
    assert made.boards == 8 and "旧柳岸第一网格" in home and "新" + "柳岸第一网格" not in home and "?at=" not in home
    assert 'name="at"' not in home


@given(st.lists(st.text(min_size=1, max_size=60), min_size=2, max_size=9, unique=True))
def test_each_code_has_a_file_of_its_own(codes: list[str]) -> None:
    names = [file_name(code) for code in codes if not re.search("[\ud800-\udfff]", code)]
    assert len({name.lower() for name in names}) == len(names)
    assert all(re.fullmatch("[0-9a-z_-]{1,120}", name) for name in names)


def test_odd_codes_have_their_boards(made: Callable[..., Path]) -> None:
    odd = ["../../etc", "a//b", "A?x=1#y", "..", "a b%20", "ｃ", "网格", "CON"]

    def rename(tables: dict[str, Any]) -> None:
        tables["grid"]["code"] = odd

    folder = made(rename)
    for code in odd:
        board = json.loads((folder / f"grids/{file_name(code)}.json").read_text("utf-8"))
        assert board["code"] == code and (folder / board["url"]).is_file()
    assert check_links(folder) > 250


# --- what must not get out --------------------------------------------------------------------------------------------


def test_no_house_person_or_room_of_the_sample(sample: Path, built: Path, tmp_path: Path) -> None:
    assert built.is_dir()
    path = Project.load(sample / "project.toml").store
    with open_store(path) as opened:
        tables = {name: everything(opened, name) for name in ("house", "person")}
        care = pd.read_csv(sample / "care_addresses.csv", dtype=str)
    made = freeze(str(path), tmp_path / "public")
    files = [p for p in made.folder.rglob("*") if p.suffix in (".html", ".json", ".geojson", ".js", ".svg")]
    ours = [path.read_text("utf-8") for path in files if path.parent.name not in ("leaflet", "static")]
    # As it is read, not as it is escaped.
    text = "\n".join(re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), one) for one in ours)
    words = set(re.findall(r"[0-9A-Za-z-]{3,}", text))
    assert words & {*tables["house"]["code"], *tables["person"]["id"], *care[care.columns[0]]} == set()
    assert re.findall(r"\d+\s*室|\d单元", text) == []
    assert made.boards > 10 and len(text) > 500_000


def test_counts_and_columns_that_are_not_public(made: Callable[..., Path]) -> None:
    def inhabit(tables: dict[str, Any]) -> None:
        at = [shapely.Point(webplace.inside(0, 0))]
        tables["house"] = gpd.GeoDataFrame(
            {"code": ["SECRETHOUSE"], "address": ["秘密路一号"], "households": [1]}, geometry=at, crs=4326
        )
        tables["person"] = pd.DataFrame({"id": ["SECRETPERSON"], "house": ["SECRETHOUSE"]})
        tables["building"]["code"] = [f"SECRET{i}" for i in range(len(tables["building"]))]
        tables["grid"]["persons"] = 876543
        tables["grid"]["reason"] = "秘密理由"
        tables["staff"]["identity"] = "SECRETIDENTITY"

    folder = made(inhabit)
    for path in folder.rglob("*"):
        if path.is_file() and path.parent.name != "images":
            text = path.read_text("utf-8").encode().decode("unicode_escape" if path.suffix == ".json" else "utf-8")
            assert not re.search(r"SECRET|秘密|876543|876,543", text), path


# --- where it may be written ------------------------------------------------------------------------------------------


def test_a_folder_of_others_is_refused_and_left_alone(store: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "sub").mkdir(parents=True)
    (theirs / "sub" / "thesis.txt").write_text("years of work")
    before = tree(tmp_path)
    wanted = r"theirs: the folder holds files that were not published by gridgis; found sub/thesis\.txt\. Name a new"
    with pytest.raises(InputError, match=wanted):
        freeze(str(store), theirs)
    with pytest.raises(InputError, match=r"thesis\.txt: this is a file; wanted the name of a folder"):
        freeze(str(store), theirs / "sub" / "thesis.txt")
    with pytest.raises(InputError, match=r"nowhere: the folder does not exist\. Make it first"):
        freeze(str(store), tmp_path / "nowhere" / "public")
    assert tree(tmp_path) == before


def test_a_file_that_was_laid_into_a_publication_is_not_lost(store: Path, tmp_path: Path) -> None:
    (tmp_path / "public").mkdir()  # an empty one is taken
    freeze(str(store), tmp_path / "public")
    (tmp_path / "public" / "robots.txt").write_text("User-agent: *")
    (tmp_path / "public" / "more").symlink_to(tmp_path)
    before = tree(tmp_path)
    with pytest.raises(InputError, match=r"found 2: more, robots\.txt"):
        freeze(str(store), tmp_path / "public")
    assert tree(tmp_path) == before


def test_a_store_that_cannot_be_read_changes_nothing(store: Path, tmp_path: Path) -> None:
    freeze(str(store), tmp_path / "public")
    before = tree(tmp_path)
    with pytest.raises(StoreError, match=r"none\.gpkg: there is no such store"):
        freeze(str(tmp_path / "none.gpkg"), tmp_path / "public")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("stop", [1, 20, 40])
def test_an_interrupted_run_leaves_the_old_folder(store: Path, tmp_path: Path, stop: int) -> None:
    freeze(str(store), tmp_path / "public")
    before = tree(tmp_path)

    def interrupt(done: int, _total: int) -> None:
        if done == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        freeze(str(store), tmp_path / "public", interrupt)
    assert tree(tmp_path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["public"]


@pytest.mark.parametrize("exchange", [True, False], ids=["in one step", "in two"])
def test_the_new_folder_takes_the_place_of_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(folders, "_exchange", lambda one, other: False)
    for words in ("old", "new"):
        with folders.replace_folder(tmp_path / "public", "list.txt") as fresh:
            (fresh / f"{words}.txt").write_text(words)
    assert set(tree(tmp_path)) == {"public/new.txt", "public/list.txt"}
    assert [p.name for p in tmp_path.iterdir()] == ["public"]


def test_in_two_steps_a_failure_puts_the_old_one_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_exchange", lambda one, other: False)
    with folders.replace_folder(tmp_path / "public", "list.txt") as fresh:
        (fresh / "old.txt").write_text("old")
    before = tree(tmp_path)
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.name == "fresh":
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    found = r"public: the folder cannot be written; found Permission denied\. What was there is unchanged"
    with pytest.raises(InputError, match=found), folders.replace_folder(tmp_path / "public", "list.txt") as fresh:
        (fresh / "new.txt").write_text("new")
    assert tree(tmp_path) == before


def test_what_killed_runs_left_is_removed_after_days(store: Path, tmp_path: Path) -> None:
    for name, age in ((".public-fresh-old", 3 * 86_400), (".public-fresh-new", 0), (".other-fresh-old", 3 * 86_400)):
        (tmp_path / name / "fresh").mkdir(parents=True)
        then = datetime.now().timestamp() - age
        os.utime(tmp_path / name, (then, then))
    freeze(str(store), tmp_path / "public")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".other-fresh-old", ".public-fresh-new", "public"]


def test_a_web_server_may_read_it_whatever_the_umask(store: Path, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        folder = freeze(str(store), tmp_path / "public").folder
    finally:
        os.umask(before)
    assert {p.stat().st_mode & 0o777 for p in [folder, *folder.rglob("*")] if p.is_dir()} == {0o755}
    assert {p.stat().st_mode & 0o777 for p in folder.rglob("*") if p.is_file()} == {0o644}


def test_the_command(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["publish", str(store), "--to", str(tmp_path / "public")]) == 0
    said = capsys.readouterr().out
    size = sum(p.stat().st_size for p in (tmp_path / "public").rglob("*") if p.is_file() and p.name != MARKER)
    files = len((tmp_path / "public" / MARKER).read_text("utf-8").splitlines())
    assert f"boards 8 × 2，文件 files {files}，{size / 1e6:.1f} MB" in said and "public" in said
    (tmp_path / "public" / "mine.txt").write_text("mine")
    assert run(["publish", str(store), "--to", str(tmp_path / "public")]) == 2
    assert "文件夹里有不是 gridgis 发布的文件" in capsys.readouterr().err


# --- the answers of the browser ---------------------------------------------------------------------------------------


def sure(shown: Published, points: list[tuple[float, float]]) -> list[list[float]]:
    """The points that are not within 2 cm of the line 2 m beside a border: published corners are rounded to 1 cm."""
    metric = crs.metric_crs(shown.grids)
    borders = shapely.boundary(crs.project(shown.grids.geometry.to_numpy(), crs.WGS84, metric))
    there = crs.project(shapely.points(points), crs.WGS84, metric)
    kept = (np.abs(shapely.distance(there[:, None], borders) - BORDER_M) > 0.02).all(axis=1)
    return [[float(lon), float(lat)] for (lon, lat), keep in zip(points, kept, strict=True) if keep]


@pytest.mark.browser
def test_where_is_as_the_server_has_it(store: Path, address: str, visit: Callable[..., Page]) -> None:
    with open_store(store) as opened:
        shown = Published(opened)
    west, south, east, north = shown.grids.total_bounds
    dice = np.random.default_rng(7)
    anywhere = list(zip(dice.uniform(west, east, 500), dice.uniform(south, north, 500), strict=True))
    corners = shapely.get_coordinates(shown.grids.geometry.to_numpy())
    along = corners[:-1] + dice.uniform(0, 1, (len(corners) - 1, 1)) * np.diff(corners, axis=0)
    beside = [xy + dice.uniform(-3e-5, 3e-5, 2) for xy in corners for _ in range(4)]
    points = sure(shown, [*anywhere, *map(tuple, [*corners, *along, *beside])])
    assert len(sure(shown, anywhere)) > 495 and len(points) > 1000
    wanted = [list(shown.where(lon, lat).rows) for lon, lat in points]
    assert {len(rows) for rows in wanted} >= {0, 1, 2, 4}
    assert frozenplace.rows(visit(f"{address}/index.html"), points) == wanted


@pytest.mark.browser
@pytest.mark.parametrize(("place", "code"), [((-71.1, 42.4), 32619), ((116.3, 40.0), 4548), ((151.2, -33.9), 32756)])
def test_metres_are_those_of_the_place(
    made: Callable[..., Path], visit: Callable[..., Page], place: tuple[float, float], code: int
) -> None:
    def move(tables: dict[str, Any]) -> None:
        for name, table in tables.items():
            if isinstance(table, gpd.GeoDataFrame):
                tables[name] = table.set_geometry(table.translate(place[0] - 113, place[1] - 30))

    folder = made(move)
    with open_store(folder.parent / "other.gpkg") as opened:
        shown = Published(opened)
    assert crs.metric_crs(shown.grids).to_epsg() == code
    corners = shapely.get_coordinates(shown.grids.geometry.to_numpy())
    dice = np.random.default_rng(11)
    points = sure(shown, [tuple(xy + dice.uniform(-4e-5, 4e-5, 2)) for xy in corners for _ in range(3)])
    with frozenplace.served(folder) as address:
        found = frozenplace.rows(visit(f"{address}/index.html"), points)
    assert found == [list(shown.where(lon, lat).rows) for lon, lat in points]


@pytest.mark.browser
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_what_is_typed_is_answered_in_the_server_s_words(
    server: FlaskClient, address: str, visit: Callable[..., Page], lang: str
) -> None:
    lon, lat = webplace.inside(2, 1)
    shifted = {
        "gcj02": [float(v) for v in crs.wgs84_to_gcj02(lon, lat)],
        "bd09": [float(v) for v in crs.wgs84_to_bd09(lon, lat)],
        "wgs84": [lon, lat], "": list(webplace.warp(1, 1)), "mars": [lon, lat],
    }  # fmt: skip
    asked = [{"lon": str(a), "lat": str(b), "datum": datum} for datum, (a, b) in shifted.items()]
    odd = [("30.0", "113.0"), ("", "30"), ("113", ""), ("abc", "30"), ("113", "1e"), ("200", "30"), ("113", "95")]
    odd += [("１１３.００5°", " 30.003 "), ("113.005", "inf"), ("0x71", "30"), ("+1.13e2", "30.003"), ("150", "170")]
    odd += [("113", "200"), ("114.5", "31")]
    asked += [{"lon": a, "lat": b, "datum": "wgs84"} for a, b in odd]
    page = visit(f"{address}/index.html" if lang == "zh" else f"{address}/en/index.html", lang=lang)
    page.evaluate("() => { const ask = window.fetch; window.fetch = (path) => ask(path.replace(/^layers/, document."
                  "documentElement.lang === 'en' ? '../layers' : 'layers')); }")  # fmt: skip
    found = frozenplace.ask(page, "where", asked)
    for values, answer in zip(asked, found, strict=True):
        said = server.post(f"/where?lang={lang}", data=values, headers={"Accept": "application/json"}).json
        assert answer["said"] == (said["said"] if "said" in said else said["detail"]), values
        assert [g["code"] for g in answer["grids"]] == [g["code"] for g in said.get("grids", [])]
        if "said" in said:
            assert answer["ask"] == said["ask"]
            assert (answer["lon"], answer["lat"]) == pytest.approx((said["lon"], said["lat"]), abs=1e-7)


def found_by(server: FlaskClient, what: str, asked: list[dict[str, str]]) -> list[Any]:
    accept = {"Accept": "application/json"}
    return [server.post(f"/{what}?lang=zh", data=values, headers=accept).json for values in asked]


WRITTEN = [
    "清水苑", "清水苑3号楼502室", "清水苑99号", "清水苑 2 栋", "滨河东路２０弄", "滨河东路十弄五号", "7", "a", "路",
    "柳岸街道滨河东路10弄5号302室", "滨河东路77弄1号", "学府街", "书院", "两界楼", "书院商厦", "北辰路7号", "沈若溪",
    "室", "302室", "书院新村", "没有这样的", "书院 顾长安", "99010100101", "清水河", "柳岸第一网格", "滨河东路10弄",
    "[清水(苑", "清水.苑", "\\d+", "滨河东路20弄清水苑5号", "书院路10弄1號2单元",
]  # fmt: skip


@pytest.mark.browser
def test_an_address_is_found_as_the_server_finds_it(
    server: FlaskClient, address: str, visit: Callable[..., Page]
) -> None:
    known = webplace.buildings()["address"]
    texts = [*WRITTEN, *known, *(known + "2单元302室")]
    asked = [{"q": text} for text in texts]
    found = frozenplace.ask(visit(f"{address}/index.html"), "find", asked)
    for text, answer, wanted in zip(texts, found, found_by(server, "find", asked), strict=True):
        told = {k: answer[k] for k in ("said", "lon", "lat", "ask", "choices")}
        assert told == {k: wanted[k] for k in told}, text
        assert [g["code"] for g in answer["grids"]] == [g["code"] for g in wanted["grids"]], text


@pytest.mark.browser
def test_what_residents_of_the_sample_would_type(
    sample: Path, built: Path, visit: Callable[..., Page], tmp_path: Path
) -> None:
    assert built.is_dir()
    path = Project.load(sample / "project.toml").store
    with open_store(path) as opened:
        houses, persons, buildings = (
            everything(opened, n)["address"].dropna() for n in ("house", "person", "building")
        )
    asked = [{"q": text} for text in (*houses.iloc[::61], *persons.iloc[::97], *sorted(buildings)[::11])]
    assert len(asked) > 200
    with frozenplace.served(freeze(str(path), tmp_path / "public").folder) as address:
        found = frozenplace.ask(visit(f"{address}/index.html"), "find", asked)
    server = create_app({"STORE": path}).test_client()
    for values, answer, wanted in zip(asked, found, found_by(server, "find", asked), strict=True):
        assert answer["said"] == wanted["said"], values
        assert [g["code"] for g in answer["grids"]] == [g["code"] for g in wanted["grids"]]


@pytest.mark.browser
def test_a_part_of_another_address_is_not_taken(made: Callable[..., Path], visit: Callable[..., Page]) -> None:
    def change(tables: dict[str, Any]) -> None:
        tables["building"].loc[[0, 1, 2], "name"] = ["3号楼", "东区5号楼", "10公寓"]
        tables["building"].loc[3, "address"] = "北京市海淀区"

    nobody = ["无名小区3号楼201室", "无名小区东区5号楼", "无名园区10公寓", "西书院路10弄1号", "书院路10弄1号院内"]
    known = {"3号楼": "3号楼", "北京市海淀区10公寓": "10公寓", "北京市海淀区学府街10弄2号": "学府街10弄2号"}
    with frozenplace.served(made(change)) as address:
        page = visit(f"{address}/index.html")
        answers = frozenplace.ask(page, "find", [{"q": text} for text in nobody])
        assert [answer["grids"] for answer in answers] == [[]] * len(nobody)
        answers = frozenplace.ask(page, "find", [{"q": text} for text in known])
        assert [answer["said"].split("属于")[0] for answer in answers] == list(known.values())


@pytest.mark.browser
def test_suggestions(server: FlaskClient, address: str, visit: Callable[..., Page]) -> None:
    asked = [{"q": text} for text in ("清水", "清水苑", "书院", "两界", "7", "", "滨河东路10弄1", "北辰路7号", "新村")]
    found = frozenplace.ask(visit(f"{address}/index.html"), "suggest", asked)
    for values, told, wanted in zip(asked, found, found_by(server, "suggest", asked), strict=True):
        assert told == wanted, values


# --- by mouse, in Chromium --------------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("lang", "path"), [("zh", "index.html"), ("en", "en/index.html")])
def test_a_visitor_finds_the_way(address: str, visit: Callable[..., Page], size: str, lang: str, path: str) -> None:
    page = visit(f"{address}/{path}", size, lang)
    words = {
        "zh": ("该位置属于", "交界处", "清水苑属于"),
        "en": ("This place is in", "on the border of 4", "清水苑 is in"),
    }
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]
    page.locator(f'#list a[data-code="{FIRST}"]').click()
    page.locator("#panel").get_by_text("沈若溪").wait_for()
    assert ("人员和电话为" if lang == "zh" else "The people and phone") in page.locator("#panel").inner_text()
    page.locator("#language").click()
    page.locator("#panel").get_by_text("Grid head" if lang == "zh" else "网格长").first.wait_for()
    page.go_back()
    page.wait_for_selector(".pane-line path", state="attached")
    page.locator("#where summary").click()
    for at, said in ((webplace.inside(3, 1), words[lang][0]), (webplace.warp(1, 1), words[lang][1])):
        page.locator('input[name="lon"]').fill("{:.7f}, {:.7f}".format(*at))
        page.locator('input[name="lat"]').press("Enter")
        page.locator("#answer", has_text=said).wait_for()
    assert page.locator("#answer a").count() == 4
    page.locator("#search").fill("清水苑")
    page.locator("#suggestions [role=option]").first.wait_for()
    page.locator("#search").press("Enter")
    page.locator("#answer", has_text=words[lang][2]).wait_for()
    page.locator("#panel").get_by_text("柳岸第二网格").wait_for()
    page.locator("#panel-link").click()
    page.locator("h1", has_text="柳岸第二网格").wait_for()
    page.locator(".crumbs a").click()
    page.locator("#panel").get_by_text("柳岸第二网格").wait_for()


@pytest.mark.browser
def test_the_position_of_the_browser(address: str, visit: Callable[..., Page]) -> None:
    lon, lat = webplace.inside(2, 0)
    page = visit(f"{address}/index.html", geolocation={"longitude": lon, "latitude": lat}, permissions=["geolocation"])
    page.locator("#where summary").click()
    page.locator("#locate").click()
    page.locator("#answer", has_text="该位置属于书院第一网格。").wait_for()


@pytest.mark.browser
def test_without_script_the_list_the_boards_and_the_overview_work(address: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{address}/index.html", java_script_enabled=False)
    assert page.locator("img.overview").evaluate("i => i.complete && i.naturalWidth > 0")
    assert page.locator("#search").is_hidden() and page.locator(".find noscript p").is_visible()
    page.locator(f'#list a[data-code="{FIRST}"]').click()
    assert page.locator("h1").inner_text() == "柳岸第一网格" and "沈若溪" in page.locator("main").inner_text()
    page.locator(".board-neighbours a").first.click()
    page.locator("#language").click()
    assert "Who looks after this grid" in page.locator("main").inner_text()
    page.locator(".crumbs a").click()
    assert page.locator("#list li").count() == 8 and "/en/" in page.url


@pytest.mark.browser
def test_names_with_markup_are_text(made: Callable[..., Path], visit: Callable[..., Page]) -> None:
    def poison(tables: dict[str, Any]) -> None:
        columns = {
            "grid": ["name", "bounds_text"], "unit": ["name"], "barrier": ["name"], "compound": ["name", "address"],
            "staff": ["name", "duties", "hours", "photo"],
        }  # fmt: skip
        for table, names in columns.items():
            for column in names:
                tables[table][column] = NASTY

    with frozenplace.served(made(poison, title=NASTY, sources=NASTY, supervision_phone=NASTY)) as address:
        page = visit(f"{address}/index.html")
        page.locator(f'#list a[data-code="{FIRST}"]').click()
        page.locator("#panel").wait_for()
        assert page.locator("#panel-title").inner_text() == NASTY
        page.locator("#search").fill("<img")
        page.locator("#suggestions [role=option]").first.wait_for()
        assert NASTY in page.locator("#suggestions").inner_text()
        page.locator("#search").press("Enter")
        page.locator("#answer.shown").wait_for()
        page.locator("#where summary").click()
        page.locator('input[name="lon"]').fill("{}, {}".format(*webplace.warp(1, 1)))
        page.locator('input[name="lat"]').press("Enter")
        page.locator("#answer a").first.wait_for()
        assert page.locator("img").count() == 0
        page.goto(f"{address}/grids/{FIRST}.html")
        assert page.locator("h1").inner_text() == NASTY and page.locator("img").count() == 0


@pytest.mark.browser
def test_when_the_places_cannot_be_had(address: str, browser: Browser) -> None:
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.route("**/places.json*", lambda route: route.abort())
    page.goto(f"{address}/index.html")
    page.locator("#search").fill("清水苑")
    page.locator("#search").press("Enter")
    page.get_by_text("地图数据加载失败，列表和公示牌仍可使用。").wait_for()
    context.close()
