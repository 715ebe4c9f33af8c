"""Grids from outside become a plan of blocks: nothing is lost, faults are mended only with consent."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import shapes
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import X0, Y0

from gridgis.cli import run
from gridgis.errors import GridgisWarning, PlanError, SchemaError
from gridgis.files import read, write
from gridgis.plan import edit
from gridgis.plan.adopt import adopt
from gridgis.plan.closing import plan_of
from gridgis.plan.opening import open_plan
from gridgis.plan.validate import validate, verdict


def lane(*xy: tuple[float, float]) -> gpd.GeoDataFrame:
    line = shapely.LineString(np.array(xy) + np.array([X0, Y0]))
    return gpd.GeoDataFrame({"class": ["lane"]}, geometry=[line], crs=shapes.METRES)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 200), cells=st.integers(2, 12), slope=st.floats(-400, 400))
def test_blocks_tile_each_grid_and_the_plan_can_be_edited(seed: int, cells: int, slope: float) -> None:
    grids = shapes.voronoi(cells, seed)
    plan, _, log = adopt(grids, lane((-9, 500 - slope), (1009, 500 + slope)))
    assert len(log) == 0
    assert sorted(plan.grids["code"]) == sorted(grids["code"])
    assert plan.grids["name"].tolist() == grids.sort_values("code")["name"].tolist()
    for code, shape in zip(grids["code"], grids.geometry, strict=True):
        own = plan.blocks[plan.blocks["grid"] == code]
        assert abs(shapely.area(own.geometry.to_numpy()).sum() - shape.area) < 1e-3
    draft = open_plan(plan)
    first = plan.blocks["code"].iloc[0]
    out = plan_of(edit.rename(draft, plan.blocks["grid"].iloc[0], "甲").draft)
    assert first in set(out.blocks["code"])
    assert verdict(validate(out.grids), strict=True)["valid"]


def test_columns_parents_and_households_are_kept_or_counted() -> None:
    grids = shapes.squares(2, 1, 200.0).assign(parent="U", note=["a", "b"])
    homes = [shapely.Point(X0 + x, Y0 + 50) for x in (10, 120, 390)]
    houses = gpd.GeoDataFrame({"code": ["1", "2", "3"]}, geometry=homes, crs=grids.crs)
    plan = adopt(grids, lane((100, -9), (100, 209)), houses=houses).plan
    assert plan.grids[["code", "parent", "note", "households"]].values.tolist() == [
        ["11", "U", "a", 2], ["12", "U", "b", 1],
    ]  # fmt: skip
    assert plan.blocks[["unit", "grid", "households"]].values.tolist() == [
        ["U", "11", 1],
        ["U", "11", 1],
        ["U", "12", 1],
    ]
    merged = edit.merge(open_plan(plan, houses=houses), ["11", "12"]).draft
    assert merged.grids["11"].households == 3


def test_counts_of_grids_are_kept_and_shared_by_ground() -> None:
    grids = shapes.squares(2, 1, 200.0).assign(households=[11, 7], persons=[30, None], parent="U", name=[7, 8])
    plan = adopt(grids, lane((50, -9), (50, 209))).plan
    assert plan.grids[["code", "households", "estimated"]].values.tolist() == [["11", 11, 11], ["12", 7, 0]]
    assert plan.blocks[["grid", "households", "estimated"]].values.tolist() == [
        ["11", 3, 3], ["11", 8, 8], ["12", 7, 0],
    ]  # fmt: skip
    assert plan.blocks["persons"].dropna().tolist() == [8, 22]
    out = plan_of(edit.split_block(open_plan(plan), "12-0001", lane((300, -9), (300, 209)).geometry[0]).draft).grids
    assert out["households"].tolist() == [11, 7]
    assert out["persons"].astype(object).where(out["persons"].notna(), None).tolist() == [30, None]
    assert out["name"].tolist() == ["7", "8"]
    houses = gpd.GeoDataFrame({"code": ["1"]}, geometry=[shapely.Point(X0 + 10, Y0 + 50)], crs=grids.crs)
    counted = adopt(grids, lane((50, -9), (50, 209)), houses=houses).plan.grids
    assert counted[["households", "households_before"]].values.tolist() == [[1, 11], [0, 7]]


def test_counts_that_cannot_be_used_are_named() -> None:
    grids, street = shapes.squares(2, 1, 200.0), lane((50, -9), (50, 209))
    for bad in (-1, "viele", float("inf")):
        with pytest.raises(PlanError, match=r"grids with households that cannot be used \(row 11\)"):
            adopt(grids.assign(households=pd.Series([bad, 3], dtype=object)), street)
    with pytest.warns(GridgisWarning, match=r"nobody counted: their blocks have 0 households \(11\)"):
        assert adopt(grids.assign(households=[None, 3]), street).plan.blocks["households"].sum() == 3


def test_a_copy_of_a_grid_is_not_dropped_silently() -> None:
    grids = shapes.squares(2, 1, 200.0)
    copy = pd.concat([grids, grids[:1].assign(code="copy")], ignore_index=True)
    with pytest.raises(
        PlanError, match=r"errors that mending leaves \(row copy\); found empty 1.*Take rows that have no"
    ):
        adopt(copy, lane((50, -9), (50, 209)), mend=True)


PLACES = {
    "cambridge": (
        "cambridge/PUBLICSAFETY_PoliceResponseDistricts.geojson",
        "cambridge/TRANS_MajorRoads.geojson",
        "CADRA",
    ),
    "providence": ("providence/new_precincts.zip", None, "GEOID20"),
    "haidian": ("beijing/haidian-all.geojson", None, "code"),
}  # fmt: skip


@pytest.mark.places
@pytest.mark.parametrize("name", PLACES)
def test_nothing_of_a_real_place_is_lost(name: str, places: Path) -> None:
    path, roads, code = PLACES[name]
    grids = gpd.read_file(places / path)
    columns = [c for c in grids.columns if c != "geometry"]
    grids = grids.assign(code=grids[code].astype(str), households=np.arange(len(grids)) * 7)
    x0, y0, x1, y1 = grids.total_bounds
    across = gpd.GeoSeries([shapely.LineString([(x0, y0), (x1, y1)]), shapely.LineString([(x0, y1), (x1, y0)])],
                           crs=grids.crs)  # fmt: skip
    lines = gpd.GeoDataFrame({"class": "main"}, index=range(2), geometry=across)
    if roads is not None:
        lines = gpd.read_file(places / roads).assign(**{"class": "main"})
    plan, borders, log = adopt(grids, lines, mend=name == "haidian")
    assert len(plan.grids) == len(grids)
    assert len(plan.blocks) > len(grids)
    assert (len(log) > 0) == (name == "haidian")
    draft = open_plan(plan, borders=borders)
    block = max(draft.blocks.values(), key=lambda b: b.households)
    out = plan_of(edit.rename(draft, block.grid, "改名").draft)
    for table in (plan.grids, out.grids):
        own = table.set_index("code").loc[grids["code"]]
        assert own["households"].tolist() == grids["households"].tolist()
        for column in columns:
            if column not in ("code", "name"):
                pd.testing.assert_series_equal(
                    own[column].reset_index(drop=True), grids[column], check_dtype=False, check_names=False
                )
    assert out.blocks["households"].sum() == grids["households"].sum()
    area = plan.grids.to_crs(6933).area.sum()
    assert area == pytest.approx(out.blocks.to_crs(6933).area.sum(), rel=1e-9)
    assert area == pytest.approx(grids.to_crs(6933).area.sum(), rel=1e-5)
    assert not (validate(out.grids)["severity"] == "error").any()


def test_faults_are_mended_only_with_consent() -> None:
    grids, street = shapes.overlapping(), lane((-9, 50), (309, 50))
    with pytest.raises(PlanError, match=r"grids: the grids do not tile .*22.*overlap 1.*--mend mends them"):
        adopt(grids, street)
    plan, _, log = adopt(grids, street, mend=True)
    assert {"22", "23"} <= set(log["code"])
    assert verdict(validate(plan.grids))["valid"]


def test_codes_that_are_doubled_are_named() -> None:
    with pytest.raises(SchemaError, match=r"grids: .*22"):
        adopt(shapes.same_code(), lane((-9, 50), (309, 50)))


def test_the_command_writes_layers_that_can_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grids, street, out = (str(tmp_path / name) for name in ("old.gpkg", "lane.geojson", "plan.gpkg"))
    write(shapes.overlapping(), Path(grids))
    write(lane((-9, 50), (309, 50)), Path(street))
    assert run(["adopt", grids, "--barriers", street, "-o", out]) == 2
    assert "old.gpkg: the grids do not tile their ground" in capsys.readouterr().err
    assert not Path(out).exists()
    assert run(["adopt", grids, "--barriers", street, "--mend", "-o", out]) == 0
    assert "网格 grids: 9    街坊 blocks: 12" in capsys.readouterr().out
    assert read(f"{out}:blocks", table="block")["grid"].nunique() == 9
