"""Grids from outside become a plan of blocks: nothing is lost, faults are mended only with consent."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
import shapes
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import X0, Y0

from gridgis.cli import run
from gridgis.errors import PlanError, SchemaError
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
