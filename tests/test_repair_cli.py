"""gridgis repair from the terminal: what it writes, what it says, exit codes, arguments that do not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
import shapely
import shapes

from gridgis.cli import run


def gridgis(*arguments: object) -> int:
    return run([str(argument) for argument in arguments])


def written(frame: gpd.GeoDataFrame, path: Path) -> Path:
    frame.to_file(path)
    return path


@pytest.fixture
def town(tmp_path: Path) -> dict[str, Path]:
    """The chessboard, clean and with 22 reaching 5 m into 23; its outline, its two communities, five houses."""
    parent = ["A", "A", "B"] * 3
    halves = shapes.frame([shapes.square(0, 0, 200, 300), shapes.square(200, 0, 100, 300)], ["A", "B"])
    spots = [(202, 150), (204, 110), (198, 150), (250, 250), (900, 900)]
    houses = gpd.GeoDataFrame(
        {"code": [f"h{i}" for i in range(1, 6)]},
        geometry=[shapely.Point(shapes.X0 + x, shapes.Y0 + y) for x, y in spots],
        crs=shapes.METRES,
    )
    layers = {
        "clean": shapes.squares(),
        "dirty": shapes.overlapping().assign(parent=parent, households=range(9)),
        "gapped": shapes.gapped(),
        "outline": shapes.outline(shapes.squares()),
        "halves": halves,
        "houses": houses,
    }
    return {name: written(frame, tmp_path / f"{name}.gpkg") for name, frame in layers.items()}


def areas(path: Path) -> dict[str, float]:
    found = gpd.read_file(path)
    return dict(zip(found["code"], found.geometry.area.round(3), strict=True))


# --- what it writes ---------------------------------------------------------------------------------------------------


def test_the_mended_grids_are_written(town: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    out = town["dirty"].with_name("mended.gpkg")
    assert gridgis("repair", town["dirty"], "--boundary", town["outline"], "-o", out) == 0
    told, written_ = capsys.readouterr()
    assert "改动 changed: " in told and "余下 left:" in told and str(out) in written_
    assert "通过 valid" in told and "换格房屋" not in told
    before, after = gpd.read_file(town["dirty"]), gpd.read_file(out)
    assert after.drop(columns="geometry").equals(before.drop(columns="geometry"))
    assert after.geometry.area.sum() == pytest.approx(90_000)
    assert gridgis("validate", out, "--boundary", town["outline"]) == 0


def test_log_houses_and_page(town: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    out, log, page = (town["dirty"].with_name(name) for name in ("mended.gpkg", "log.csv", "page.html"))
    priority = ("--receiver", "least_load", "--load", "households")
    written(gpd.read_file(town["dirty"]).assign(households=[1, 1, 1, 1, 9, 2, 1, 1, 1]), town["dirty"])
    arguments = ("--houses", town["houses"], "--log", log, "--html", page, *priority, "-o", out)
    assert gridgis("repair", town["dirty"], *arguments) == 0
    table = pd.read_csv(log, dtype={"code": str})
    changed = table.set_index("code").loc["22"]
    assert (changed["area_before_m2"], changed["area_after_m2"], changed["lost_m2"]) == (10_500, 10_000, 500)
    assert changed["lost_to"] == "23 500.00"
    moved = pd.read_csv(log.with_name("log.houses.csv"), dtype=str)
    assert moved.to_dict("records") == [{"house": h, "from": "22", "to": "23"} for h in ("h1", "h2")]
    text = page.read_text(encoding="utf-8")
    assert "<html" in text and "22" in text and "23 500.00" in text
    told, written_ = capsys.readouterr()
    assert "换格房屋 houses in another grid: 2" in told
    for path in (out, log, log.with_name("log.houses.csv"), page):
        assert str(path) in written_


def test_houses_without_a_log_are_told_only(town: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    out = town["dirty"].with_name("mended.gpkg")
    assert gridgis("repair", town["dirty"], "--houses", town["houses"], "-o", out) == 0
    assert "换格房屋 houses in another grid: 0" in capsys.readouterr().out
    assert sorted(path.name for path in out.parent.glob("*.csv")) == []


def test_json_has_log_houses_and_what_is_left(town: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    out = town["dirty"].with_name("mended.gpkg")
    assert gridgis("repair", town["dirty"], "--houses", town["houses"], "--json", "-o", out) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert set(found) == {"changed", "log", "houses", "left"}
    assert found["changed"] == len(found["log"]) and found["houses"] == []
    assert [row["lost_m2"] for row in found["log"] if row["code"] == "23"] == [500.0]
    assert found["left"]["valid"] is True and found["left"]["checked"] == 9 and found["left"]["defects"] == []
    assert gridgis("repair", town["dirty"], "--json", "-o", out) == 0
    assert json.loads(capsys.readouterr().out)["houses"] is None


def test_the_input_file_is_not_written_over(town: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    before = town["dirty"].read_bytes()
    assert gridgis("repair", town["dirty"], "-o", town["dirty"]) == 2
    assert "the output is an input too" in capsys.readouterr().err
    assert town["dirty"].read_bytes() == before


def test_a_clean_file_is_left_as_it_is(town: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    out = town["clean"].with_name("same.geojson")
    assert gridgis("repair", town["clean"], "--json", "-o", out) == 0
    assert json.loads(capsys.readouterr().out)["changed"] == 0
    assert areas(out) == areas(town["clean"])


# --- settings ---------------------------------------------------------------------------------------------------------


def test_protected_grids_keep_their_ground(town: dict[str, Path]) -> None:
    out = town["dirty"].with_name("mended.gpkg")
    assert gridgis("repair", town["dirty"], "--protect", "23, 11", "-o", out) == 0
    assert areas(out)["23"] == 10_000 and areas(out)["22"] == 10_000


def test_what_protected_grids_leave_is_exit_code_1(town: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    out = town["dirty"].with_name("mended.gpkg")
    assert gridgis("repair", town["dirty"], "--protect", "22,23", "--json", "-o", out) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["left"]["valid"] is False and found["left"]["counts"]["overlap"] == 1
    assert areas(out)["22"] == 10_500


def test_parents_keep_their_children(town: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """22 belongs to A, and what it takes of B's ground goes back to 23, although 22 would get it by its code."""
    out = town["dirty"].with_name("mended.gpkg")
    assert gridgis("repair", town["dirty"], "--parents", town["halves"], "-o", out) == 0
    assert areas(out) == areas(town["clean"])
    capsys.readouterr()
    assert gridgis("repair", town["dirty"], "--parents", town["halves"], "--parent", "name", "-o", out) == 1
    assert "nesting" in capsys.readouterr().out


def test_known_holes_stay_open(town: dict[str, Path]) -> None:
    cells = shapes.squares()
    lake = shapes.square(shapes.X0 + 140, shapes.Y0 + 140, 20)
    wet = shapes.replaced(cells, "22", shapes.shape_of(cells, "22").difference(lake))
    grids = written(wet, town["clean"].with_name("wet.gpkg"))
    holes = written(shapes.frame_of([lake], ["lake"]), town["clean"].with_name("lake.gpkg"))
    out = town["clean"].with_name("mended.gpkg")
    assert gridgis("repair", grids, "--holes", holes, "-o", out) == 0
    assert areas(out)["22"] == 9_600
    assert gridgis("repair", grids, "-o", out) == 0
    assert areas(out)["22"] == 10_000


# --- arguments that do not fit ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--protect", "22,99"), "no grid has the codes to protect"),
        (("--code", "number"), "there is no column 'number'"),
        (("--priority", "name"), "has values that are no numbers"),
        (("--load", "people", "--receiver", "least_load"), "there is no column 'people'"),
        (("--parent", "community"), "community"),
        (("--receiver", "tallest"), "'tallest' is not one of"),
        (("--snap", "-1"), "-1"),
        (("--inlet-width", "x"), "'x' is not a valid float"),
        (("--log", "log.xlsx"), "the log is a table"),
        (("--log", "nowhere/log.csv"), "nowhere"),
        (("--boundary", "missing.gpkg"), "missing.gpkg"),
    ],
)
def test_bad_arguments_are_exit_code_2_and_nothing_is_written(
    town: dict[str, Path], capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    out = town["dirty"].with_name("mended.gpkg")
    extra = ("--parents", town["halves"]) if "--parent" in arguments else ()
    before = town["dirty"].read_bytes()
    assert gridgis("repair", town["dirty"], *arguments, *extra, "-o", out) == 2
    assert message in capsys.readouterr().err
    assert not out.exists() and town["dirty"].read_bytes() == before


def test_parents_of_several_levels_are_refused(town: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    both = pd.concat([
        gpd.read_file(town["halves"]).assign(level=4),
        gpd.read_file(town["outline"]).assign(level=3),
    ])  # fmt: skip
    path = written(gpd.GeoDataFrame(both, crs=shapes.METRES), town["halves"].with_name("levels.gpkg"))
    out = town["dirty"].with_name("mended.gpkg")
    assert gridgis("repair", town["dirty"], "--parents", path, "-o", out) == 2
    assert "several levels" in capsys.readouterr().err
    assert not out.exists()
