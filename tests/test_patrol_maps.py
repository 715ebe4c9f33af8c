"""The maps of a page about patrols: the heat is drawn as it was found, small, and reached by anybody."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from walks import grids_of, line, recorded, walk

from gridgis.patrol.painted import heat, paint_days
from gridgis.patrol.painting import Raster, boxes_of
from gridgis.patrolled import check_patrols
from gridgis.profile import Parameters, Profile
from gridgis.publish.compliance_report import compliance_page
from gridgis.publish.patrol_maps import coverage_map, day_steps, heat_map, whole_percent

if TYPE_CHECKING:
    from playwright.sync_api import Browser

GRIDS = grids_of(K990101=shapely.box(0, 0, 300, 300), K990102=shapely.box(300, 0, 600, 300))
AREA = Parameters(ground="area")


def some_heat(seed: int, days: int) -> gpd.GeoDataFrame:
    parts = [walk(recorded(seed + d, 600), "w1", f"2026-03-{2 + d:02}T08:00", 2) for d in range(days)]
    return heat(paint_days(pd.concat(parts), GRIDS, parameters=AREA), GRIDS, parameters=AREA)


def area_of(path: str) -> float:
    """The area of the closed rings of a path of relative steps, those against the others' turn as holes."""
    total = 0.0
    for part in re.findall(r"M(-?\d+) (-?\d+)l([^Mz]*)z", path):
        steps = np.array(re.findall(r"-?\d+", part[2]), dtype=float).reshape(-1, 2)
        xy = np.vstack([np.zeros(2), np.cumsum(steps, axis=0)])
        total += float(np.sum(xy[:, 0] * np.roll(xy[:, 1], -1) - xy[:, 1] * np.roll(xy[:, 0], -1))) / 2
    return abs(total)


# --- laws -------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 400))
def test_steps_hold_each_day_once_and_are_as_long_as_each_other(most: int) -> None:
    steps = day_steps(most)
    assert len(steps) <= 5
    assert [day for first, last in steps for day in range(first, last + 1)] == list(range(1, most + 1))
    assert len({last - first for first, last in steps[:-1]}) <= 1


@given(st.floats(0, 1))
def test_what_is_short_of_all_is_not_written_as_all_nor_some_as_none(share: float) -> None:
    said = whole_percent(share)
    assert (said == "100%") == (share == 1)
    assert (said == "0%") == (share == 0)


@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=6))
def test_boxes_are_the_chosen_cells(rows: list[list[bool]]) -> None:
    chosen = np.array(rows)
    boxes = boxes_of(chosen, Raster(10.0, -4.0, 2.0, *chosen.shape))
    assert shapely.area(shapely.union_all(boxes)) == pytest.approx(4.0 * chosen.sum())
    middle = [shapely.Point(11 + 2 * c, -3 + 2 * r) for r, c in np.argwhere(chosen)]
    assert shapely.contains(shapely.union_all(boxes), middle).all()


@given(st.floats(0.1, 3.0), st.floats(-1e6, 5e6))
def test_rows_of_boxes_join_whatever_the_side_of_a_cell_is(cell: float, y: float) -> None:
    boxes = boxes_of(np.ones((40, 2), dtype=bool), Raster(440_000.0, y, cell, 40, 2))
    assert shapely.get_num_geometries(shapely.union_all(boxes)) == 1


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 999), st.integers(1, 7))
def test_the_heat_is_drawn_on_as_much_ground_as_was_found(seed: int, days: int) -> None:
    found = some_heat(seed, days)
    drawn = heat_map(found, GRIDS)
    assert drawn is not None
    unit = 600 / (drawn["plan"].width - 80)
    starts = [0, *(first for first, _ in drawn["steps"])]
    assert [n for n, _, _ in drawn["plan"].shapes] == list(range(len(starts)))
    for start, (_, path, _) in zip(starts, drawn["plan"].shapes, strict=True):
        wanted = found.loc[found["days"] >= start, "area_m2"].sum()
        assert area_of(path) * unit**2 == pytest.approx(wanted, abs=0.01 * 180_000)
    for row in drawn["rows"]:
        assert sum(row["shares"]) == pytest.approx(1)
        assert row["mean"] <= days


# --- examples ---------------------------------------------------------------------------------------------------------


def test_ground_that_nobody_saw_has_no_steps_and_no_heat_has_no_map() -> None:
    never = heat(paint_days(walk(line((0, -900), (90, -900))), GRIDS, parameters=AREA), GRIDS,
                 start="2026-03-02", end="2026-03-02", parameters=AREA)  # fmt: skip
    drawn = heat_map(never, GRIDS)
    assert drawn is not None
    assert drawn["steps"] == [] and [row["shares"] for row in drawn["rows"]] == [[1.0], [1.0]]
    assert heat_map(None, GRIDS) is None
    assert heat_map(never.iloc[:0], GRIDS) is None


def test_without_holes_a_grid_has_the_share_of_its_best_window() -> None:
    coverage = pd.DataFrame({"grid": ["K990101", "K990101", "K990102"], "share": [0.1, 0.75, np.nan], "ground_m2": 9e4})
    drawn = coverage_map(coverage, GRIDS, None)
    assert drawn is not None
    assert drawn["figures"] == {"K990101": "75%", "K990102": ""}
    assert drawn["shades"] == {"K990101": 3, "K990102": -1}
    assert drawn["holes"] == drawn["left"] == 0


@pytest.fixture(scope="module")
def page() -> str:
    profile = Profile.load("xueyan")
    fixes = pd.concat([walk(recorded(d, 1200), "w1", f"2026-03-{2 + d:02}T08:00", 2) for d in range(7)])
    tables: dict[str, Any] = dict.fromkeys(
        ("staff", "leave", "weather", "buildings", "water", "sites", "visits", "houses", "segments", "boards",
         "matters", "compounds", "units", "responsibility_blocks", "streets", "chain_counts", "settings")
    )  # fmt: skip
    tables |= {
        "tracks": fixes,
        "postings": pd.DataFrame({"staff": ["w1"], "grid": ["K990101"], "role": "full-time worker"}),
    }
    walked = check_patrols(tables, GRIDS, profile, extras={"heat", "holes"})
    return compliance_page(walked, GRIDS, walked["holes"], profile)


def test_the_page_shows_the_heat_with_a_key_and_its_figures(page: str) -> None:
    part = page.partition('<section id="heat"')[2].partition("</section>")[0]
    assert "看到过几天" in part and "On how many days it was seen" in part and "从未" in part
    assert part.count('class="swatch d') == part.count('<path class="d') - 1 > 1
    assert part.count("<tr><td") == 2
    assert len(page.encode()) < 400_000
    assert 'id="heat"' not in page.replace(part, "").replace('<section id="heat"', "")


def test_what_scrolls_has_a_name_and_the_keyboard_and_contents_lead_to_what_is_there(page: str) -> None:
    scrolling = re.findall(r'<div class="wide"([^>]*)>', page)
    assert scrolling and all('tabindex="0" role="region" aria-label="' in words for words in scrolling)
    assert re.findall(r'<a href="#(\w+)"', page) == re.findall(r'<section id="(\w+)"', page)
    assert set(re.findall(r"url\(#(\w+)\)", page)) == set(re.findall(r'<pattern id="(\w+)"', page))


@pytest.mark.browser
@pytest.mark.parametrize("width", [1366, 390])
def test_the_page_fits_its_screen_and_is_walked_by_keyboard(
    page: str, browser: Browser, tmp_path: Path, width: int
) -> None:
    (tmp_path / "patrol.html").write_text(page, "utf-8")
    opened = browser.new_page(viewport={"width": width, "height": 768})
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.goto((tmp_path / "patrol.html").as_uri())
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    opened.locator('nav a[href="#heat"]').focus()
    opened.keyboard.press("Enter")
    assert opened.evaluate("document.querySelector('#heat').getBoundingClientRect().top < innerHeight")
    scrolling = opened.locator("#heat .wide").first
    scrolling.focus()
    assert opened.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    # The ground that was never seen is hatched, whatever the theme of the page.
    assert "never" in opened.evaluate("getComputedStyle(document.querySelector('#heat .d0')).fill")
    opened.click("button[data-set=en]")
    assert not re.search("[\u4e00-\u9fff]", opened.locator("#heat").inner_text())
    opened.click("button[data-set=zh]")
    assert "days" not in opened.locator("#heat").inner_text()
    assert said == []
    opened.close()
