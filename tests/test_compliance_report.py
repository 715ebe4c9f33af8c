"""The page about patrols and rules: what it says in both languages, that it is internal, loads nothing; and plots."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import geopandas as gpd
import matplotlib as mpl
import matplotlib.font_manager
import pandas as pd
import pytest
import shapely

import gridgis
from gridgis.cli import run
from gridgis.compliance import check_compliance
from gridgis.errors import InputError
from gridgis.profile import Profile
from gridgis.publish import rule_words
from gridgis.publish.compliance_report import compliance_page
from gridgis.publish.rule_words import reason_words, rule_mark, rule_name
from gridgis.rules import METRICS, STRENGTHS

mpl.use("Agg")

HAN = re.compile("[\u4e00-\u9fff]")
EVIL = "<script>alert(1)</script>"


def patrols() -> pd.DataFrame:
    start = pd.to_datetime(["2026-03-02T09:00+08:00", "2026-03-02T15:00+08:00", "2026-03-03T09:00+08:00"], utc=True)
    return pd.DataFrame(
        {
            "staff": "w1", "patrol": ["1", "2", "3"], "grid": "A", "start": start,
            "date": pd.to_datetime(["2026-03-02", "2026-03-02", "2026-03-03"]).astype("datetime64[us]"),
            "minutes": 70.0, "inside_m": 4000.0, "inside_min": 70.0,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def place() -> dict[str, Any]:
    grids = gpd.GeoDataFrame(
        {"code": ["A", "B"]}, geometry=[shapely.box(0, 0, 300, 300), shapely.box(300, 0, 600, 300)], crs="EPSG:4548"
    )
    days = pd.to_datetime(["2026-03-02", "2026-03-03"] * 2)
    coverage = pd.DataFrame(
        {"grid": ["A", "A", "B", "B"], "from": days, "to": days, "share": [0.95, 0.5, 0.0, 0.0], "ground_m2": 90_000.0}
    )
    coverage.attrs["parameters"] = {"full_share": 0.9}
    holes = gpd.GeoDataFrame(
        {"grid": ["B", "A"], "area_m2": [90_000.0, 4_500.0]},
        geometry=[shapely.box(300, 0, 600, 300), shapely.box(0, 0, 15, 300)], crs="EPSG:4548",
    )  # fmt: skip
    profile = Profile.load("xueyan")
    postings = pd.DataFrame({"staff": ["w1", "w2"], "grid": ["A", "B"], "role": "full-time worker"})
    leave = pd.DataFrame({"staff": ["w2"], "date": pd.to_datetime(["2026-03-02"])})
    rules = check_compliance(patrols(), coverage, profile, postings=postings, leave=leave, grids=grids)
    rules.attrs["rejects"] = [{"table": "visits", "id": EVIL, "reason": "no such site"}]
    walked = {
        "coverage": coverage, "patrols": patrols(), "rules": rules, "scores": None, "board_faults": None,
        "lights": None,
        "overdue": pd.DataFrame(
            {"rule": ["R4-11"], "target": [EVIL], "grid": ["A"], "wanted": [">= 1 visit / month"],
             "due": [pd.Timestamp("2026-02-28")], "last_visit": [pd.NaT], "days": [3]}
        ),
        "visits": None,
        "suspicions": pd.DataFrame(
            {"staff": [EVIL], "date": [pd.Timestamp("2026-03-03")], "kind": ["same track"], "other": ["w2"],
             "other_date": [pd.Timestamp("2026-03-02")], "measure": [61.5], "limit": [10.0], "unit": ["min"],
             "detail": ["1 d later, 0.0 m apart"]}
        ),
    }  # fmt: skip
    return {"walked": walked, "grids": grids, "holes": holes, "profile": profile}


class _Reader(HTMLParser):
    """What a page loads, and its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.loaded += [value or "" for name, value in attrs if name in ("src", "srcset", "data", "action")]
        self.loaded += [value or "" for name, value in attrs if name == "href" and tag != "a"]


def test_the_page_is_internal_loads_nothing_and_escapes_what_people_wrote(place: dict[str, Any]) -> None:
    staff = pd.DataFrame({"id": ["w1", "w2"], "name": [EVIL, "王某"]})
    page = compliance_page(**place, staff=staff, title="某街道", made="2026-03-04")
    assert "内部资料" in page and "internal, not for publication" in page
    reader = _Reader()
    reader.feed(page)
    assert reader.loaded == [] and reader.scripts == 1
    assert "default-src 'none'" in page and "://" not in page
    assert EVIL not in page and page.count("&lt;script&gt;") >= 4
    assert page == compliance_page(**place, staff=staff, title="某街道", made="2026-03-04")


def test_the_page_says_what_was_kept_missed_and_excused(place: dict[str, Any]) -> None:
    page = compliance_page(**place)
    assert "专职网格员 · 上下午各巡查次数" in page and "full-time worker: patrols each half day" in page
    assert "每周 ≥ 12 小时" in page and "≥ 12 hours a week" in page
    assert "上午 1 次，下午 0 次" in page  # the second day's afternoon
    assert "无轨迹" in page and "请假" not in page.partition('id="days"')[2].partition('id="covered"')[0]
    assert "轨迹重复" in page and "w2 2026-03-02" in page and "61.5 min" in page
    assert "机器不能核对的规定：2 条" in page and "no table lists training courses" in page
    calendar = re.findall(r'<th scope="row">(w\d) .*?</tr>', page, re.S)
    assert calendar == ["w1", "w2"]
    # A is 5 % hole, B all of it.
    assert re.search(r"<title>A 95.0 %</title>", page) and re.search(r"<title>B 0.0 %</title>", page)
    assert page.count('class="hole"') == 2


def test_every_word_of_a_rule_has_both_languages() -> None:
    assert set(METRICS) - {"reported_items"} <= set(rule_words.METRICS)
    assert set(STRENGTHS) == set(rule_words.STRENGTHS)
    for name in Profile.names():
        for rule in Profile.load(name).rules:
            if rule.check == "rule":
                chinese, english = rule_name(rule)
                assert HAN.search(chinese) and not HAN.search(english), rule.id
                assert not re.search("[a-z_]{4,}", chinese), rule.id
                assert not re.search(
                    r"[≥≈] 1 \w+s\b|[≥≈] [02-9]\d* (hour|visit|household|item)\b", rule_mark(rule)[1]
                ), rule.id
                assert not re.search("[a-z]{3}", rule_mark(rule)[0].replace("full_share", "")), rule.id


def test_every_reason_of_the_sample_has_chinese(built: Path) -> None:
    rules = json.loads((built / "patrol.json").read_text("utf-8"))["rules"]
    reasons = {row["reason"] for row in rules if row["reason"]}
    assert len(reasons) > 8
    assert [reason for reason in reasons if not HAN.search(reason_words(reason)[0])] == []


def test_the_command_writes_report_lists_and_page(
    built: Path, sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixes = pd.read_parquet(sample / "tracks.parquet")
    local = fixes["time"].astype(str)
    some = fixes[fixes["staff"].isin(["S01", "S03"]) & local.str.startswith("2026-03-0")]
    some.to_parquet(tmp_path / "tracks.parquet")
    visits = pd.read_csv(sample / "visits.csv")
    pd.concat([visits, visits.head(1).assign(target="nobody")]).to_csv(tmp_path / "visits.csv", index=False)
    inputs = {
        "staff": "staff.csv", "postings": "postings.csv", "leave": "leave.csv", "weather": "weather.csv",
        "houses": "houses.csv", "boards": "boards.csv", "matters": "matters.csv", "units": "units.geojson",
        "segments": "segments.geojson", "compounds": "compounds.geojson", "boundary": "boundary.geojson",
    }  # fmt: skip
    line = ["patrol", tmp_path / "tracks.parquet", "--grids", f"{built / 'plan.gpkg'}:grids", "--profile", "sample"]
    line += [word for name, file in inputs.items() for word in (f"--{name}", sample / file)]
    line += ["--sites", sample / "sites.geojson", "--sites", sample / "care_addresses.csv"]
    line += ["--visits", tmp_path / "visits.csv", "--from", "2026-03-02", "--to", "2026-03-03"]
    line += ["--html", tmp_path / "page.html", "-o", tmp_path / "patrol.csv"]
    assert run([str(word) for word in line]) == 0
    printed = capsys.readouterr()
    assert "达标 kept" in printed.out and "公示牌问题 faults of boards" in printed.out and "R4-13" in printed.out
    assert "未用 set aside: visits (row nobody): no such site, care address or house" in printed.err
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {f"patrol.{n}.csv" for n in ("rules", "visits", "lights", "scores", "board_faults", "rejects")}
    page = (tmp_path / "page.html").read_text("utf-8")
    houses = set(pd.read_csv(sample / "care_addresses.csv")["house"])
    assert "ZF" in page or "逾期" in page
    assert not [house for house in houses if house in page]
    assert run([*[str(word) for word in line], "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {row["target"] for row in document["visits"]} <= set(visits["target"])
    assert document["rejects"][-1] == {
        "table": "segments",
        "id": document["rejects"][-1]["id"],
        "reason": "no such grid",
        "reason_zh": "没有这个网格",
    }


# --- plots ------------------------------------------------------------------------------------------------------------


def texts(ax: Any) -> str:
    return " ".join(str(t.get_text()) for t in ax.figure.findobj(mpl.text.Text))


def test_plots_show_days_coverage_and_minima(place: dict[str, Any]) -> None:
    walked = place["walked"]
    calendar = gridgis.plot_calendar(walked["rules"])
    assert len(calendar.patches) == 4  # two people, two days
    signs = [t.get_text() for t in calendar.texts]
    assert sorted(signs) == sorted(["✓", "✗", "○", "✗"])
    shares = gridgis.plot_coverage(walked["coverage"])
    assert [line.get_ydata().tolist() for line in shares.lines[:2]] == [[0.0, 0.0], [95.0, 50.0]]
    assert shares.lines[2].get_ydata()[0] == 90.0  # the mark
    assert [t.get_text().split()[-1] for t in shares.get_legend().get_texts()] == ["%", "A", "B"]  # as they lie
    bars = gridgis.plot_minimum(walked["rules"], place["profile"], "R4-06")
    assert sorted(bar.get_height() for bar in bars.patches) == [0.0, 0.0, 4.0, 8.0]
    assert sum(bool(bar.get_hatch()) for bar in bars.patches) == 1  # one of w2's days was leave
    assert sorted(t.get_text() for t in bars.texts) == sorted(["✗", "○"])
    assert "missed" in bars.get_xlabel() and "excused" in bars.get_xlabel() and "kept" not in bars.get_xlabel()
    assert bars.get_ylabel().endswith("km")
    mpl.pyplot.close("all")


def test_without_a_chinese_font_plots_are_in_english(place: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    fonts = [f for f in mpl.font_manager.fontManager.ttflist if f.name.startswith("DejaVu")]
    monkeypatch.setattr(mpl.font_manager.fontManager, "ttflist", fonts)
    mpl.rcdefaults()
    assert not HAN.search(texts(gridgis.plot_calendar(place["walked"]["rules"])))
    assert not HAN.search(texts(gridgis.plot_minimum(place["walked"]["rules"], place["profile"], "R4-07")))
    mpl.pyplot.close("all")


def test_plots_of_nothing_are_one_clear_error(place: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    rules = place["walked"]["rules"]
    with pytest.raises(InputError, match="no rule of staff was judged by the day"):
        gridgis.plot_calendar(rules.iloc[:0])
    with pytest.raises(InputError, match="the profile has no such rule; found 'R9'; wanted R4-01, R4-02"):
        gridgis.plot_minimum(rules, place["profile"], "R9")
    with pytest.raises(InputError, match="nothing was measured for rule R4-43"):
        gridgis.plot_minimum(rules, place["profile"], "R4-43")
    with pytest.raises(InputError, match="there is no coverage to be drawn"):
        gridgis.plot_coverage(place["walked"]["coverage"].iloc[:0])
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"plots need matplotlib\. Install gridgis with the extra notebooks"):
        gridgis.plot_calendar(rules)
