"""Printed boards: one page each, all that a board must say, nothing of residents, text of users as text, no network."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.request import FileHandler

import geopandas as gpd
import pandas as pd
import pypdf
import pytest
import segno
import webplace
from hypothesis import given, settings
from hypothesis import strategies as st

from gridgis.cli import run
from gridgis.cli.boards import file_name
from gridgis.errors import InputError
from gridgis.publish import board_print
from gridgis.publish.board_fit import PAPERS, BoardTexts, fits, grown, needed, shortened
from gridgis.publish.board_pages import FIELDS, board_page, board_texts, drawing_size, grid_address
from gridgis.publish.board_print import BoardPrinter
from gridgis.publish.boards import BoardStaff, make_boards
from gridgis.publish.extent import Drawing
from gridgis.shown import show_store
from gridgis.store import open_store

FIRST, NOBODY = "99010100101", "99010100204"
EMPTY = Drawing((), None, "", "", (), (), 50.0, 100, 100.0, 100.0)
TEXTS = BoardTexts(
    title="柳岸街道网格地图", name="柳岸第一网格", code=FIRST, unit="柳岸社区", kind="居村网格 Residential grid",
    bounds="东至学府街，南至北辰路，西至滨河东路，北至文昌巷", households="291", staff=(),
    community_phone="000-0000-0200", supervision_phone="000-0000-0110", matters="", services="",
    foot=("资料来源 Sources  虚构", "印制日期 Printed on  2026-03-02"),
)  # fmt: skip
HOSTILE = "<img src=x onerror=alert(1)>{{7*7}}</p>&amp;"


def somebody(number: int, duties: str = "走访居民，巡查楼道") -> BoardStaff:
    return BoardStaff(f"沈若溪{number}", "full-time worker", f"000-0000-{number:04d}", duties, "每日 8:30–11:30", "")


def text_of(path: Path) -> str:
    """The text of a PDF without its spaces."""
    return re.sub(r"\s", "", "".join(page.extract_text() for page in pypdf.PdfReader(path).pages))


def without(text: str) -> str:
    return re.sub(r"\s", "", text)


@pytest.fixture(params=["file", "postgis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The store of the tests of the web, in a file and in a database."""
    path = webplace.make_store(tmp_path / "gridgis.gpkg")
    if request.param == "file":
        yield str(path)
        return
    tables = ("grid", "unit", "barrier", "water", "building", "compound", "staff", "posting")
    with request.getfixturevalue("postgres").database(store=True) as address:
        with open_store(path) as file, open_store(address) as database:
            database.save({name: file.load(name) for name in tables}, file.settings())
        yield address


# --- what is printed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paper", ["a3", "a4"])
def test_a_board_says_all_that_it_must(place: str, paper: str, tmp_path: Path) -> None:
    out = tmp_path / "boards"
    line = ["boards", place, "--pdf", str(out), "--grid", FIRST, "--paper", paper, "--url", "https://grid.example.cn/"]
    assert run(line) == 0
    assert [path.name for path in out.iterdir()] == [f"{FIRST}.pdf"]
    (page,) = pypdf.PdfReader(out / f"{FIRST}.pdf").pages
    wide, high = (round(float(side) * 25.4 / 72) for side in page.mediabox[2:])
    assert (wide, high) == {"a3": (420, 297), "a4": (210, 297)}[paper]
    text = text_of(out / f"{FIRST}.pdf")
    for wanted in (
        "柳岸街道网格地图", "网格公示牌", "柳岸第一网格", FIRST, "柳岸社区", "居村网格", "Residential grid",
        "东至学府街，南至北辰路，西至滨河东路，北至文昌巷", "户数", "291",
        "沈若溪", "网格长", "Grid head", "000-0000-0001", "每日 8:30–11:30，14:00–17:00", "顾长安", "专职网格员",
        "走访居民，巡查楼道与街面，受理邻里事项，报告安全隐患",
        "社区电话", "000-0000-0200", "监督电话", "000-0000-0110",
        "地图数据：虚构示例，不代表任何真实地点", "网格：柳岸街道办事处", "审图号", "示例 (2026) 0000 号", "印制日期",
        f"https://grid.example.cn/grids/{FIRST}", "北N", "米m",
    ):  # fmt: skip
        assert without(wanted) in text, wanted
    # The map and the portrait are drawn, not painted.
    assert not page.images


def test_there_is_a_file_for_each_grid_and_one_of_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = webplace.make_store(tmp_path / "gridgis.gpkg", board_required="name\nstaff\nphone\nservice_items")
    assert run(["boards", str(store), "--pdf", str(tmp_path / "out"), "--one"]) == 0
    codes = sorted(webplace.grids()["code"])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"boards.pdf", *(f"{code}.pdf" for code in codes)}
    assert all(len(pypdf.PdfReader(tmp_path / "out" / f"{code}.pdf").pages) == 1 for code in codes)
    together = [without(page.extract_text()) for page in pypdf.PdfReader(tmp_path / "out" / "boards.pdf").pages]
    assert [code in text for code, text in zip(codes, together, strict=True)] == [True] * 8
    # What is missing is told here, and not on the board.
    told = capsys.readouterr().out
    assert "缺内容 incomplete: 8" in told and "服务事项 service items" in told
    missing = next(line for line in told.splitlines() if NOBODY in line)
    assert "网格人员 staff" in missing and "人员联系电话 phone numbers of staff" in missing
    assert "服务事项" not in together[0] and "目前无人任职" in together[codes.index(NOBODY)]


def test_of_a_published_folder_the_code_leads_to_a_file_that_is_there(tmp_path: Path) -> None:
    store = webplace.make_store(tmp_path / "gridgis.gpkg")
    assert run(["publish", str(store), "--to", str(tmp_path / "public")]) == 0
    line = ["boards", str(store), "--pdf", str(tmp_path / "out"), "--grid", FIRST, "--url", "https://x.cn", "--files"]
    assert run(line) == 0
    (path,) = re.findall(r"https://x\.cn/(\S+?\.html)", text_of(tmp_path / "out" / f"{FIRST}.pdf"))
    assert "柳岸第一网格" in (tmp_path / "public" / path).read_text("utf-8")


def test_patrol_matters_and_services_are_printed_where_they_are_set(tmp_path: Path) -> None:
    store = webplace.make_store(
        tmp_path / "gridgis.gpkg", patrol_matters="楼道堆物\n飞线充电", service_items="代办证明\n矛盾调解"
    )
    assert run(["boards", str(store), "--pdf", str(tmp_path / "out"), "--grid", FIRST]) == 0
    text = text_of(tmp_path / "out" / f"{FIRST}.pdf")
    assert all(word in text for word in ("巡查事项", "楼道堆物", "飞线充电", "服务事项", "代办证明", "矛盾调解"))


def test_the_same_boards_are_the_same_bytes(tmp_path: Path) -> None:
    store = webplace.make_store(tmp_path / "gridgis.gpkg")
    for name in ("first", "second"):
        assert run(["boards", str(store), "--pdf", str(tmp_path / name), "--grid", FIRST]) == 0
    first, second = ((tmp_path / name / f"{FIRST}.pdf").read_bytes() for name in ("first", "second"))
    assert first == second


def test_the_code_leads_to_the_page_of_the_grid() -> None:
    url = "https://grid.example.cn/map/grids/%E6%9F%B3-1"
    grid = {"kind": None, "households": pd.NA, "estimated": False, "name": "柳", "code": "柳-1"}
    (board,) = make_boards(
        pd.DataFrame([grid]), pd.DataFrame({"id": []}), pd.DataFrame({"staff": [], "grid": [], "role": []}),
        settings={}, on=date(2026, 3, 2),
    ).values()  # fmt: skip
    how: dict[str, Any] = {"unit": "", "settings": {}, "printed": date(2026, 3, 2)}
    made = board_texts(board, grid, url=grid_address("https://grid.example.cn/map", "grids/柳-1"), **how)
    assert made.url == url and made.households == "" and made.kind == ""
    printer = BoardPrinter(PAPERS["a4"])
    seen: list[str] = []
    page = board_print.board_page

    def keep(*args: Any, **more: Any) -> str:
        seen.append(page(*args, **more))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(board_print, "board_page", keep)
        printer.set(made, lambda size: replace(EMPTY, width=size[0], height=size[1]))
    assert all(segno.make(url, error="m", micro=False).svg_data_uri(border=2) in text for text in map(_unescaped, seen))
    with pytest.raises(InputError, match="this is no web address; found 'ftp://x'; wanted https://…"):
        grid_address("ftp://x", "grids/柳-1")


def _unescaped(page: str) -> str:
    return page.replace("&#39;", "'").replace("&amp;", "&").replace("&#34;", '"').replace("&lt;", "<")


def test_the_streets_that_bound_a_grid_are_named_on_its_map(tmp_path: Path) -> None:
    with open_store(webplace.make_store(tmp_path / "gridgis.gpkg")) as store:
        shown = show_store(store)
    sheet = shown.sheet()
    for row, bounds in enumerate(shown.grids["bounds_text"]):
        for size in ((480.0, 340.0), (620.0, 300.0), (610.0, 520.0)):
            named = {name.text for name in sheet.around(row, size).names}
            assert set(re.findall(r"至(\w+)", bounds)) <= named, (row, size)


# --- what is not printed ----------------------------------------------------------------------------------------------


def test_nothing_of_residents_and_no_staff_of_other_days(tmp_path: Path) -> None:
    today = datetime.now().date()

    def change(tables: dict[str, Any]) -> None:
        tables["grid"].loc[tables["grid"]["code"] == FIRST, "households"] = 3
        tables["house"] = gpd.GeoDataFrame(
            {"code": ["HX0001"], "address": ["滨河东路10弄1号302室"]},
            geometry=gpd.points_from_xy(*zip(webplace.inside(0, 0), strict=True)), crs=4326,
        )  # fmt: skip
        tables["person"] = pd.DataFrame({"id": ["PX0001"], "house": ["HX0001"]})
        more = pd.DataFrame({"staff": ["S5", "S6"], "grid": [FIRST, FIRST], "role": ["liaison", "liaison"]})
        more["from"] = [pd.Timestamp("2025-01-01"), pd.Timestamp(today + timedelta(days=2))]
        more["to"] = [pd.Timestamp(today - timedelta(days=2)), pd.NaT]
        tables["posting"] = pd.concat([tables["posting"], more], ignore_index=True)
        # A photo that lies elsewhere is not shown.
        tables["staff"].loc[1, "photo"] = "http://photos.example.cn/1.png"

    store = webplace.make_store(tmp_path / "gridgis.gpkg", change)
    assert run(["boards", str(store), "--pdf", str(tmp_path / "out"), "--grid", FIRST]) == 0
    text = text_of(tmp_path / "out" / f"{FIRST}.pdf")
    assert "沈若溪" in text and "顾长安" in text
    for never in ("罗小满", "程望舒", "HX0001", "PX0001", "302室", "户数", "photos.example"):
        assert never not in text, never


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said += data


def test_text_of_users_stays_text(tmp_path: Path) -> None:
    def change(tables: dict[str, Any]) -> None:
        tables["grid"].loc[tables["grid"]["code"] == FIRST, ["name", "bounds_text", "kind"]] = HOSTILE
        tables["unit"]["name"] = HOSTILE
        tables["barrier"]["name"] = HOSTILE
        for column in ("name", "phone", "hours", "duties"):
            tables["staff"][column] = HOSTILE

    names = ("title", "sources", "review_number", "community_phone", "supervision_phone", "patrol_matters")
    store = webplace.make_store(tmp_path / "gridgis.gpkg", change, **dict.fromkeys(names, HOSTILE))
    assert run(["boards", str(store), "--pdf", str(tmp_path / "out"), "--grid", FIRST, "--paper", "a3"]) == 0
    path = tmp_path / "out" / f"{FIRST}.pdf"
    assert text_of(path).count(without(HOSTILE)) >= 12
    raw = path.read_bytes()
    assert b"/JavaScript" not in raw and b"/URI" not in raw


@given(
    st.lists(st.text(max_size=60), min_size=8, max_size=8),
    st.lists(st.tuples(st.text(max_size=20), st.text(max_size=80)), max_size=5),
)
@settings(max_examples=60, deadline=None)
def test_whatever_is_written_is_the_text_of_the_page(plain: list[str], staff: list[tuple[str, str]]) -> None:
    names = ("title", "name", "unit", "bounds", "community_phone", "supervision_phone", "matters", "services")
    people = tuple(BoardStaff(name, name, name, duties, duties, "data:image/png;base64,") for name, duties in staff)
    texts = replace(TEXTS, **dict(zip(names, plain, strict=True)), staff=people)
    paper = PAPERS["a4"]
    fit = fits(texts, paper)[0]
    reader = _Tags()
    reader.feed(board_page(fit, EMPTY, paper))
    allowed = "html head meta title style body div p h1 h2 span b table tr td svg rect path g text img"
    assert {tag for tag, _ in reader.tags} <= set(allowed.split())
    assert not [name for _, attributes in reader.tags for name in attributes if name.startswith("on") or name == "href"]
    assert all(str(a["src"]).startswith("data:image/") for tag, a in reader.tags if tag == "img")
    for text in (fit.texts.title, fit.texts.bounds, *(p.duties for p in fit.texts.staff)):
        assert without(text.replace("\x00", "\ufffd")) in without(reader.said.replace("\x00", "\ufffd"))


def test_nothing_is_asked_of_the_network_or_of_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret.svg"
    secret.write_text('<svg xmlns="http://www.w3.org/2000/svg"><text>秘密</text></svg>', "utf-8")
    asked: list[object] = []

    def refuse(*what: Any, **more: Any) -> Any:
        asked.append(what)
        raise OSError("no network in this test")

    hungry = "".join(f'<image href="{a}" width="9" height="9"/>' for a in ("http://127.0.0.1:9/a.png", secret.as_uri()))
    style = '<style>@import url("http://127.0.0.1:9/a.css"); text { font-family: x }</style>'
    photo = webplace.base64.b64encode(f'<svg xmlns="http://www.w3.org/2000/svg">{style}{hungry}</svg>'.encode())

    def change(tables: dict[str, Any]) -> None:
        tables["staff"]["photo"] = f"data:image/svg+xml;base64,{photo.decode()}"

    store = webplace.make_store(tmp_path / "gridgis.gpkg", change)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(FileHandler, "file_open", refuse)
    assert run(["boards", str(store), "--pdf", str(tmp_path / "out"), "--grid", FIRST]) == 0
    assert asked == []
    assert "秘密" not in text_of(tmp_path / "out" / f"{FIRST}.pdf")


# --- one page ---------------------------------------------------------------------------------------------------------

LENGTHS = st.integers(0, 1500)


@given(
    st.lists(st.tuples(LENGTHS, LENGTHS), max_size=30), st.tuples(LENGTHS, LENGTHS, LENGTHS, LENGTHS),
    st.sampled_from(sorted(PAPERS)), st.sampled_from(["网", "word ", "W", "网word"]), st.booleans(),
)  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_a_reckoned_fit_is_one_page(
    staff: list[tuple[int, int]], lengths: tuple[int, int, int, int], paper: str, letters: str, photos: bool
) -> None:
    sheet = PAPERS[paper]

    def said(length: int) -> str:
        return (letters * length)[:length]

    people = tuple(
        replace(somebody(i, said(duties)), hours=said(hours), photo="data:image/png," if photos else "")
        for i, (duties, hours) in enumerate(staff)
    )
    name, bounds, matters, services = map(said, lengths)
    texts = replace(TEXTS, staff=people, name=name, bounds=bounds, matters=matters, services=services)
    found = fits(texts, sheet)
    order = [(fit.running, fit.shortened not in ((), ("photo",)), -fit.size) for fit in found]
    assert order == sorted(order)
    for fit in found:
        frame, facts, blocks = needed(fit.texts, sheet, fit.size, fit.columns, fit.running)
        above = fit.map_height + facts
        high = max(above, blocks) if sheet.beside else above + blocks
        assert frame + high + fit.space <= sheet.inner[1] + 1e-6
        assert fit.map_height >= 50
        # Nothing is cut as long as smaller type does, and what was cut is named.
        assert bool(fit.shortened) == (fit.texts != texts)
        assert fit.shortened in ((), ("photo",)) or fit.size == sheet.sizes[-1]
        assert [p.name for p in fit.texts.staff] == [p.name for p in people]


@given(st.integers(1, 80), st.text(max_size=200))
def test_a_text_that_is_cut_is_no_longer_than_asked(limit: int, text: str) -> None:
    cut, fields = shortened(replace(TEXTS, bounds=text), limit)
    assert len(cut.bounds) <= limit and (("bounds" in fields) == (len(text) > limit))
    assert cut.bounds == text or (cut.bounds.endswith("…") and text.startswith(cut.bounds[:-1]))


@given(st.floats(0, 200), st.floats(-200, 200), st.sampled_from(sorted(PAPERS)))
def test_a_larger_map_takes_what_is_left_and_no_more(left: float, lower: float, paper: str) -> None:
    sheet = PAPERS[paper]
    lower = lower if sheet.beside else 0.0
    fit = fits(TEXTS, sheet)[-1]
    more = grown(fit, sheet, left, lower)
    assert fit.map_height - 0.1 <= more.map_height <= sheet.map_most
    assert more.space >= 0 and more.map_height - fit.map_height + 0.1 >= 0
    down = max(more.map_height - fit.map_height - max(lower, 0.0), 0.0)
    assert down + more.space <= left + fit.space + 0.2


LONG = "走访居民，巡查楼道与街面，受理邻里事项，报告安全隐患，宣传政策，调解纠纷，收集民意；" * 4
CROWDS = {
    "nobody": TEXTS,
    "one": replace(TEXTS, staff=(somebody(1),)),
    "twelve with long duties": replace(TEXTS, staff=tuple(somebody(i, LONG) for i in range(12))),
    "forty": replace(TEXTS, staff=tuple(somebody(i) for i in range(40))),
    "longer than a page": replace(TEXTS, staff=tuple(somebody(i, LONG * 9) for i in range(8)), bounds=LONG * 9),
    "long names": replace(TEXTS, name="柳岸" * 80, unit="Riverside " * 40, matters=LONG * 3, services="W" * 900),
}


@pytest.mark.parametrize("paper", sorted(PAPERS))
@pytest.mark.parametrize("crowd", sorted(CROWDS))
def test_every_board_is_one_page_as_reckoned(crowd: str, paper: str, tmp_path: Path) -> None:
    texts = CROWDS[crowd]
    fit, content = BoardPrinter(PAPERS[paper]).set(
        texts, lambda size: replace(EMPTY, width=size[0], height=size[1])
    )  # fmt: skip
    path = tmp_path / "board.pdf"
    path.write_bytes(content)
    (page,) = pypdf.PdfReader(path).pages
    text = without(page.extract_text())
    assert all(person.phone in text for person in texts.staff)
    assert texts.community_phone in text and texts.supervision_phone in text and "印制日期" in text
    assert bool(fit.shortened) == (crowd == "longer than a page")
    # It is set as it was reckoned at first, and the map takes what was left.
    first = fits(texts, PAPERS[paper])[0]
    assert fit.shortened == first.shortened
    if paper == "a3":
        assert fit.size >= first.size
    else:
        assert fit.size == first.size and fit.map_height >= first.map_height
    assert drawing_size(fit, PAPERS[paper])[1] > 100


def test_a_crowd_for_which_there_is_no_room_is_an_error() -> None:
    with pytest.raises(InputError, match=r"99010100101: the board has no room on one page; found 300 staff. Print it"):
        fits(replace(TEXTS, staff=tuple(somebody(i) for i in range(300))), PAPERS["a4"])


# --- what can go wrong ------------------------------------------------------------------------------------------------


def test_an_unknown_grid_is_an_error_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = webplace.make_store(tmp_path / "gridgis.gpkg")
    assert run(["boards", str(store), "--pdf", str(tmp_path / "out"), "--grid", "G7"]) == 2
    told = capsys.readouterr().err
    assert "no grid has this code" in told and "'G7'" in told and re.search("[\u4e00-\u9fff]", told)
    assert run(["boards", str(store), "--pdf", str(tmp_path / "out"), "--url", "grid.example.cn"]) == 2
    assert "这不是网址" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_was_there_stays_where_a_board_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = webplace.make_store(tmp_path / "gridgis.gpkg")
    out = tmp_path / "out"
    out.mkdir()
    (out / f"{FIRST}.pdf").write_bytes(b"old")
    set_one = BoardPrinter.set

    def fail(self: BoardPrinter, texts: BoardTexts, draw: Any) -> Any:
        if texts.code != FIRST:
            raise KeyboardInterrupt
        return set_one(self, texts, draw)

    monkeypatch.setattr(BoardPrinter, "set", fail)
    assert run(["boards", str(store), "--pdf", str(out)]) == 130
    assert [(path.name, path.read_bytes()) for path in out.iterdir()] == [(f"{FIRST}.pdf", b"old")]


def test_without_a_font_without_packages_and_without_pango_the_remedy_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = webplace.make_store(tmp_path / "gridgis.gpkg")
    line = ["boards", str(store), "--pdf", str(tmp_path / "out")]
    fonts = tmp_path / "fonts.conf"
    fonts.write_text('<?xml version="1.0"?><fontconfig><cachedir>cache</cachedir></fontconfig>', "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "gridgis", *line], env={**os.environ, "FONTCONFIG_FILE": str(fonts)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == ""
    assert "没有找到中文字体" in done.stderr and "apt-get install fonts-noto-cjk" in done.stderr

    class Missing:
        error: Exception = ImportError("No module named 'weasyprint'")

        def find_spec(self, name: str, *_: object) -> None:
            if name == "weasyprint":
                raise self.error

    for name in [name for name in sys.modules if name.split(".")[0] == "weasyprint"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    assert run(line) == 2
    told = capsys.readouterr().err
    assert "印制要用的软件包没有安装" in told and "pip install 'gridgis[print]'" in told
    Missing.error = OSError("cannot load library 'libpango-1.0-0'\nmore")
    assert run(line) == 2
    told = capsys.readouterr().err
    assert "印制要用的系统程序库没有安装" in told and "apt-get install libpango-1.0-0" in told
    assert not (tmp_path / "out").exists()


def test_a_file_is_named_after_its_grid_whatever_its_code() -> None:
    for code in ("../../etc/x", ".hidden", "a/b", "网格 1", "C:\\x", "x" * 30, "boards"):
        name = file_name(code)
        assert (
            name != "boards.pdf"
            and Path(name).name == name
            and not name.startswith(".")
            and not re.search(r"[\\/: ]", name)
        )


def test_every_field_of_a_profile_has_a_name() -> None:
    from gridgis.profile import Profile

    assert {field for name in Profile.names() for field in Profile.load(name).board_required} <= set(FIELDS)
