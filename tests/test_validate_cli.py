"""gridgis validate from the terminal: levels, overlays, several files, reports, and arguments that do not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
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
    frame.to_file(path) if path.suffix != ".parquet" else frame.to_parquet(path)
    return path


@pytest.fixture
def town(tmp_path: Path) -> dict[str, Path]:
    """The chessboard in two communities of one town, each in a file; 22 reaches 5 m into 23 in `dirty`."""
    parents = ["A", "A", "B"] * 3
    communities = shapes.frame([shapes.square(0, 0, 200, 300), shapes.square(200, 0, 100, 300)], ["A", "B"])
    layers = {
        "cells": shapes.squares().assign(parent=parents),
        "dirty": shapes.overlapping().assign(parent=parents),
        "west": shapes.squares().iloc[[0, 1, 3, 4, 6, 7]],
        "east": shapes.squares().iloc[[2, 5, 8]],
        "communities": communities,
        "outline": shapes.outline(shapes.squares()),
        "fire": shapes.frame([shapes.square(0, 0, 300, 100), shapes.square(0, 50, 310, 250)], ["F1", "F2"]),
        "school": shapes.frame([shapes.square(100, 100, 100)], ["S"]),
        "segments": shapes.frame(
            [shapely.LineString([(0, 50), (88, 50)]), shapely.LineString([(100, 50), (300, 50)])], ["S1", "S2"]
        ),
        "streets": shapes.frame([shapely.LineString([(0, 50), (300, 50)])]).assign(**{"class": "main"}),
    }
    return {name: written(frame, tmp_path / f"{name}.gpkg") for name, frame in layers.items()}


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


# --- what it says -----------------------------------------------------------------------------------------------------


def test_levels_are_called_after_their_files(town: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    levels = ("--parents", town["communities"], "--parents", town["outline"])
    assert gridgis("validate", town["cells"], *levels, "--json") == 0
    assert list(document(capsys)["levels"]) == [
        "grids", "grids < communities", "communities", "communities < outline", "outline",
    ]  # fmt: skip
    assert gridgis("validate", town["dirty"], *levels, "--min-area", 1) == 1
    told = capsys.readouterr().out
    assert "不通过 not valid: 9 个网格 grids checked" in told
    assert "  grids < communities: 不通过 not valid, 9 checked; nesting 1" in told
    assert "  communities: 通过 valid, 2 checked\n" in told
    assert "容差 tolerances: > 1 m², > 0 m" in told
    assert "错误 error: 2" in told and "提示 warning: 2" in told
    assert "22 belongs to A" in told


def test_a_parent_column_of_another_name(town: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    wrong = written(shapes.squares().assign(community=["B", *["A", "B"], *["A", "A", "B"] * 2]), town["cells"])
    arguments = ("validate", wrong, "--parents", town["communities"], "--parent", "community", "--json")
    assert gridgis(*arguments) == 1
    found = document(capsys)
    assert found["parameters"]["parents"] == {"grids < communities": "community"}
    assert [(d["kind"], d["codes"], d["level"]) for d in found["defects"]] == [
        ("nesting", ["11", "B", "A"], "grids < communities")
    ]


def test_one_file_of_several_levels_and_names_that_are_taken(
    town: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [gpd.read_file(town[name]).assign(level=level) for name, level in (("communities", 2), ("outline", 1))]
    units = written(gpd.GeoDataFrame(pd.concat(both, ignore_index=True)), tmp_path / "units.gpkg")
    assert gridgis("validate", town["cells"], "--parents", units, "--json") == 0
    names = document(capsys)["levels"]
    assert list(names)[2::2] == ["units level 2", "units level 1"]
    grids = written(gpd.read_file(town["communities"]), tmp_path / "grids.geojson")
    assert gridgis("validate", town["cells"], "--parents", grids, "--json") == 0
    assert "grids 2" in document(capsys)["levels"]


def test_several_kinds_are_checked_together(town: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert gridgis("validate", town["west"], "--boundary", town["outline"], "--json") == 1
    assert document(capsys)["counts"] == {"uncovered": 1}
    assert gridgis("validate", town["west"], town["east"], "--boundary", town["outline"], "--json") == 0
    assert document(capsys)["checked"] == 9


def test_files_in_another_crs_are_projected_to_the_first(
    town: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    east = written(shapes.squares().iloc[[2, 5, 8]].to_crs(4490), tmp_path / "east.geojson")
    together = ("validate", town["west"], east, "--boundary", town["outline"], "--min-width", 0.01, "--json")
    assert gridgis(*together) == 0
    assert document(capsys)["parameters"]["measured_in"] == "EPSG:4548"


def test_overlays_and_their_misfit(town: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    overlay = ("validate", town["fire"], "--mode", "overlay", "--base", town["cells"])
    assert gridgis(*overlay, "--json") == 1
    found = document(capsys)
    assert found["counts"] == {"outside": 1}
    assert found["misfit"][0] == {
        "overlay": "F1", "grid": "11", "area_m2": 10_000.0, "overlay_share": pytest.approx(1 / 3), "grid_share": 1.0,
    }  # fmt: skip
    assert gridgis(*overlay) == 1
    assert "套合 misfit: 4 / 13" in capsys.readouterr().out
    lonely = ("validate", town["school"], "--mode", "overlay", "--base", town["cells"])
    assert gridgis(*lonely) == 1
    told = capsys.readouterr().out
    assert "套合 misfit: 8 / 9" in told and "100.0 %" in told


def test_a_long_misfit_table_is_cut(town: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = written(shapes.squares(8, 8, 40.0), tmp_path / "base.gpkg")
    assert gridgis("validate", town["school"], "--mode", "overlay", "--base", base) == 1
    assert "… 其余见 the rest: --json" in capsys.readouterr().out


def test_segments_and_streets(town: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    lines = ("--segments", town["segments"], "--streets", town["streets"])
    assert gridgis("validate", town["cells"], *lines) == 1
    told = capsys.readouterr().out
    assert "接头 seams > 2 m" in told and "S1、S2" in told
    assert gridgis("validate", town["cells"], *lines, "--seam", 13, "--json") == 0
    assert document(capsys)["parameters"]["seam_m"] == 13.0


def test_holes_and_inlets(town: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lake = written(shapes.with_lake(), tmp_path / "lake.gpkg")
    water = written(shapes.frame([shapes.square(100, 100, 100)]), tmp_path / "water.gpkg")
    assert gridgis("validate", lake, "--json") == 1
    assert document(capsys)["counts"] == {"gap": 1}
    assert gridgis("validate", lake, "--holes", water, "--json") == 0
    capsys.readouterr()
    pair = written(shapes.frame([shapes.square(0, 0, 10), shapes.square(11, 0, 10)]), tmp_path / "pair.gpkg")
    assert gridgis("validate", pair) == 0
    assert gridgis("validate", pair, "--inlet-width", 1.1) == 1
    assert "缝隙 inlets < 1.1 m" in capsys.readouterr().out


# --- what it writes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["geojson", "gpkg", "parquet"])
@pytest.mark.parametrize("unit", ["metres", "degrees"])
def test_defects_of_every_shape_are_written_and_read_back(tmp_path: Path, ending: str, unit: str) -> None:
    """Polygons, points, nothing at all, several parts; in the CRS of the grids and with the same bits."""
    from gridgis.files import read
    from gridgis.plan.validate import validate

    grids = pd.concat([shapes.bow_tie(), shapes.with_none().iloc[:1], shapes.same_code().iloc[5:6]], ignore_index=True)
    grids = gpd.GeoDataFrame(grids, crs=shapes.METRES)
    grids = grids if unit == "metres" else shapes.in_degrees(grids)
    parents = shapes.frame([shapes.square(0, 0, 150, 300), shapes.square(150, 0, 150, 300)], ["A", "B"])
    parents = parents if unit == "metres" else shapes.in_degrees(parents)
    files = [written(frame, tmp_path / f"{name}.gpkg") for name, frame in (("grids", grids), ("units", parents))]
    out = tmp_path / f"defects.{ending}"
    assert gridgis("validate", files[0], "--parents", files[1], "-o", out) == 1
    wanted = validate(grids, parents=parents, level_names=["units"])
    assert len(set(wanted.geom_type.dropna())) >= 3 and wanted.geometry.isna().any()
    found = read(out, crs=str(grids.crs))
    assert found["kind"].tolist() == wanted["kind"].tolist()
    assert found["codes"].fillna("").tolist() == [";".join(codes) for codes in wanted["codes"]]
    assert found["level"].tolist() == wanted["level"].tolist()
    assert found["area_m2"].tolist() == wanted["area_m2"].tolist()
    assert found.crs == grids.crs
    for there, shape in zip(found.geometry, wanted.geometry, strict=True):
        assert (there is None) == (shape is None)
        assert there is None or there.equals_exact(shape, 0)


def test_the_page_is_written_with_the_verdict(town: dict[str, Path], tmp_path: Path) -> None:
    page = tmp_path / "defects.html"
    arguments = ("validate", town["dirty"], "--parents", town["communities"], "--boundary", town["outline"])
    assert gridgis(*arguments, "--html", page) == 1
    text = page.read_text("utf-8")
    assert "dirty.gpkg" in text and "grids &lt; communities" in text and "<svg" in text
    before = page.read_bytes()
    assert gridgis(*arguments, "--html", tmp_path / "none" / "defects.html", "-o", tmp_path / "d.gpkg") == 2
    assert not (tmp_path / "d.gpkg").exists() and page.read_bytes() == before


def test_strict_counts_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(shapes.t_junction(), tmp_path / "grids.gpkg")
    assert gridgis("validate", path) == 0
    assert "提示 warning: 1" in capsys.readouterr().out
    assert gridgis("validate", path, "--strict") == 1


# --- what cannot be used: one message, exit code 2, nothing written ---------------------------------------------------

BAD: dict[str, tuple[Callable[[dict[str, Path]], list[object]], str]] = {
    "overlay without ground": (
        lambda t: [t["fire"], "--mode", "overlay"],
        "an overlay needs ground to be checked against; found neither base nor boundary",
    ),
    "base without overlay": (lambda t: [t["cells"], "--base", t["cells"]], "base is for an overlay"),
    "overlay with parents": (
        lambda t: [t["fire"], "--mode", "overlay", "--base", t["cells"], "--parents", t["communities"]],
        "an overlay has no levels",
    ),
    "streets without segments": (lambda t: [t["cells"], "--streets", t["streets"]], "streets are for segments"),
    "parents without codes": (
        lambda t: [t["cells"], "--parents", _without_codes(t)], "codeless.gpkg: the parents have no column of codes",
    ),
    "lines among parents": (
        lambda t: [t["cells"], "--parents", t["streets"]],
        "streets.gpkg: geometry of the wrong type (row 1); found LineString; wanted polygons",
    ),
    "no such parent column": (
        lambda t: [t["cells"], "--parents", t["communities"], "--parent", "unit"], "there is no column 'unit'",
    ),
    "polygons as segments": (lambda t: [t["cells"], "--segments", t["cells"]], "found Polygon; wanted lines"),
    "polygons as streets": (
        lambda t: [t["cells"], "--segments", t["segments"], "--streets", t["cells"]], "found Polygon; wanted lines",
    ),
    "lines as holes": (lambda t: [t["cells"], "--holes", t["streets"]], "wanted Polygon or MultiPolygon"),
    "codes in one file only": (
        lambda t: [t["west"], _without_codes(t)], "files to be checked together must all have codes, or none",
    ),
    "no such file of parents": (lambda t: [t["cells"], "--parents", "none.gpkg"], "none.gpkg: no such file"),
    "no such mode": (lambda t: [t["cells"], "--mode", "both"], "'both' is not one of 'partition', 'overlay'"),
    "a negative width": (lambda t: [t["cells"], "--inlet-width", "-1"], "--inlet-width"),
    "a width that is no number": (lambda t: [t["cells"], "--seam", "nan"], "seam must be a number ≥ 0"),
    "nothing": (lambda t: [], "Missing argument 'GRIDS'"),
}  # fmt: skip


def _without_codes(town: dict[str, Path]) -> Path:
    frame = shapes.frame([shapes.square(200, 0, 100, 300)]).drop(columns="code")
    return written(frame, town["cells"].with_name("codeless.gpkg"))


@pytest.mark.parametrize("name", BAD)
def test_arguments_that_cannot_be_used(
    name: str, town: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, message = BAD[name]
    out = tmp_path / "defects.gpkg"
    assert gridgis("validate", *make(town), "-o", out) == 2
    told = capsys.readouterr()
    assert message in told.err and told.out == ""
    assert told.err.count("\n") == 1 and not out.exists()
