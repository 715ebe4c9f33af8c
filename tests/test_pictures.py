"""Pictures of a plan: what is written on them, with and without a Chinese font, tints, the same bytes, bad input."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import shapes
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from gridgis.errors import CRSError, InputError, SchemaError
from gridgis.plan.faces.network import rim_segments
from gridgis.publish import picture_words, pictures
from gridgis.publish.pictures import draw_plan, save_picture

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
NO_FONT = pytest.mark.usefixtures("no_chinese")


@pytest.fixture
def no_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "chinese_font", lambda: None)


def plan() -> gpd.GeoDataFrame:
    """Three times three grids of 400 m, one of them off the norm."""
    grids = shapes.squares(3, 3)
    corner = np.array((shapes.X0, shapes.Y0))
    grids = grids.set_geometry(shapely.transform(grids.geometry, lambda xy: (xy - corner) * 4 + corner))
    reason = [None] * 8 + ["indivisible block"]
    codes = [f"110108014{n:03d}" for n in range(1, 10)]
    return grids.assign(code=codes, households=range(300, 390, 10), deviation=0.4, reason=reason)


def streets() -> gpd.GeoDataFrame:
    west, south, east, north = plan().total_bounds
    middle = (south + north) / 2 - 200
    rows = [
        ("main", "成府路", [(west, middle), (east, middle)]),
        ("river", "Long River", [(west + 400, south), (west + 400, north)]),
        ("lane", "小巷", [(west + 800, south), (west + 800, north)]),
        ("main", "远路", [(west - 900, south), (west - 900, north)]),
    ]
    columns = {"class": [r[0] for r in rows], "name": [r[1] for r in rows]}
    return gpd.GeoDataFrame(columns, geometry=[shapely.LineString(r[2]) for r in rows], crs=shapes.METRES)


def written(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")) if text.get_text()]


def test_codes_loads_names_scale_and_sources_are_written() -> None:
    if picture_words.chinese_font() is None:
        pytest.fail("the suite needs a Chinese font: fonts-noto-cjk")
    said = written(
        draw_plan(plan(), barriers=streets(), title=("网格", "Grids"), sources=["© OpenStreetMap contributors"])
    )
    assert {f"{n:02d}" for n in range(1, 10)} <= set(said)
    assert {"300 户", "370 户", "380 户\n+40%"} <= set(said)
    assert {"成府路", "Long River", "北 N", "网格", "Grids", "© OpenStreetMap contributors"} <= set(said)
    assert "小巷" not in said, "lanes are too many to be named"
    assert "远路" not in said, "it is not near"
    assert {"网格界 grid border", "河道 river", "主干路 main road", "街巷 lane"} <= set(said)
    assert any(text.startswith("编码前省略 1101080140 codes begin with 1101080140") for text in said)
    assert "200 m" in said


@NO_FONT
def test_without_a_chinese_font_english_alone_is_written() -> None:
    said = written(draw_plan(plan(), barriers=streets(), title=("网格", "Grids")))
    assert {"Grids", "N", "river", "main road", "grid border", "300 hh", "Long River"} <= set(said)
    assert not [text for text in said if any(ord(letter) >= 0x2E80 for letter in text)]


def test_what_is_not_given_is_not_in_the_legend() -> None:
    said = written(draw_plan(plan()[["code", "geometry"]]))
    assert "网格界 grid border" in said
    assert not [text for text in said if "river" in text or "block" in text or "households" in text]
    assert "街坊界 block border" in written(draw_plan(plan(), blocks=plan(), water=plan().iloc[:1], boundary=plan()))


def test_no_two_words_on_the_map_overlap() -> None:
    figure = draw_plan(plan(), barriers=streets())
    names = {*(f"{n:02d}" for n in range(1, 10)), "成府路", "Long River"}
    boxes = [t.get_window_extent() for t in figure.axes[0].texts if t.get_text() in names]
    assert len(boxes) == 11
    assert not [pair for n, one in enumerate(boxes) for pair in boxes[n + 1 :] if one.overlaps(pair)]


@pytest.mark.parametrize(
    ("codes", "left_out"),
    [
        (["A01", "A02"], "A"),
        (["X1", "Y1"], ""),
        (["11010801401", "11010801402"], "110108014"),
        (["A1"], ""),
        (["7", "71"], ""),
        ([], ""),
    ],
)
def test_what_all_codes_begin_with_is_left_out(codes: list[str], left_out: str) -> None:
    assert picture_words._common(codes) == left_out


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 40))
def test_neighbours_have_different_tints(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(rng.uniform(0, 900, (count, 2)))))
    tint = pictures._colours(cells)
    rims = rim_segments(cells)
    inner = rims.right >= 0
    assert (tint[rims.left[inner]] != tint[rims.right[inner]]).all()


def test_tints_and_classes_can_be_told_apart_in_grey() -> None:
    def light(colour: str) -> float:
        red, green, blue = (int(colour[n : n + 2], 16) for n in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    assert all(light(tint) > 195 for tint in pictures._TINTS), "black letters stand on them"
    drawn = sorted((style.width, light(style.colour)) for style in picture_words.STYLES.values())
    assert all(a[0] != b[0] or abs(a[1] - b[1]) > 25 for a, b in pairwise(drawn))
    assert set(picture_words.STYLES) == set(picture_words.BARRIER_CLASSES)


def test_the_same_plan_gives_the_same_bytes_and_a_small_file(tmp_path: Path) -> None:
    first = save_picture(draw_plan(plan(), barriers=streets()), tmp_path / "a.png")
    second = save_picture(draw_plan(plan(), barriers=streets()), tmp_path / "b.png")
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_size < 100_000
    with Image.open(first) as image:
        assert image.width == pytest.approx(9 * 130, abs=1)


def test_degrees_are_drawn_in_metres_and_inputs_stay_as_they_are() -> None:
    grids = shapes.in_degrees(plan()).rename_geometry("ground")
    before = grids.copy(deep=True)
    figure = draw_plan(grids, barriers=shapes.in_degrees(streets()))
    west, east = figure.axes[0].get_xlim()
    assert east - west == pytest.approx(1236, rel=0.01)
    pd.testing.assert_frame_equal(pd.DataFrame(grids), pd.DataFrame(before))


def test_grids_with_faults_are_drawn_as_they_are() -> None:
    grids = plan()
    x, y = grids.total_bounds[:2]
    bow = shapely.Polygon([(x, y), (x + 400, y + 400), (x + 400, y), (x, y + 400)])
    faulty = grids.set_geometry([bow, None, *grids.geometry[2:]], crs=grids.crs)
    said = written(draw_plan(faulty, barriers=streets()))
    assert "01" in said
    assert "02" not in said


def test_grids_that_cannot_be_drawn_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"grids: there is no grid to draw; wanted at least one"):
        draw_plan(plan().iloc[:0])
    with pytest.raises(InputError, match=r"grids: there is no grid to draw"):
        draw_plan(plan().set_geometry(gpd.GeoSeries([None] * 9, crs=shapes.METRES)))
    with pytest.raises(SchemaError, match=r"grids: the column 'code' is missing; found name"):
        draw_plan(plan().drop(columns="code"))
    with pytest.raises(CRSError, match=r"grids: .* is missing"):
        draw_plan(plan().set_crs(None, allow_override=True))
    with pytest.raises(InputError, match="a barrier needs the column 'class'"):
        draw_plan(plan(), barriers=streets().drop(columns="class"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"matplotlib, which is not installed\. pip install 'gridgis\[notebooks\]'"):
        draw_plan(plan())


@pytest.mark.parametrize("name", ["qinghuayuan.png", "cambridge.png"])
def test_pictures_of_the_docs_are_there_and_small(name: str) -> None:
    assert (PICTURES / name).stat().st_size < 400_000
    assert f"pictures/{name}" in (PICTURES.parent / "planners.md").read_text("utf-8")
