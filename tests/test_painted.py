"""Painted days: kept by staff and day, so that sight and window are chosen afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from walks import CORNER, METRES, grids_of, line, recorded, walk

from gridgis.errors import InputError
from gridgis.files.painted import painted_folder, read_painted, save_painted
from gridgis.patrol.bracket import bracket
from gridgis.patrol.coverage import decided, patrol_coverage
from gridgis.patrol.ground import Grounds
from gridgis.patrol.painted import PAINTED_COLUMNS, coverage_of, heat, paint_days, painted_key, who_covered
from gridgis.profile import Parameters

GRIDS = grids_of(A=shapely.box(0, 0, 300, 300), B=shapely.box(300, 0, 600, 300), C=shapely.box(2000, 0, 2050, 50))
AREA = Parameters(ground="area")


def some_days(seed: int, count: int = 3) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.concat(
        [
            walk(line(*random.uniform(-50, 650, (4, 2)).tolist()), staff=f"w{k % 2}", start=f"2026-03-0{2 + k}T08:00")
            for k in range(count)
        ]
    )


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 999), st.floats(8, 50), st.integers(1, 3))
def test_what_was_kept_gives_the_same_shares(seed: int, sight: float, days: int) -> None:
    fixes = some_days(seed)
    painted = paint_days(fixes, GRIDS)
    shed = gpd.GeoSeries([shapely.transform(shapely.box(100, 100, 150, 180), lambda c: c + CORNER)], crs=METRES)
    # A mark that no share is near to: kept days have no bracket.
    fine = Parameters(full_share=2.0)
    # A day on which nobody came near a grid is not kept, so the period is named.
    asked: dict[str, Any] = {"sight": sight, "days": days, "obstacles": shed, "parameters": fine}
    asked |= {"start": "2026-03-02", "end": "2026-03-04"}
    kept = coverage_of(painted, GRIDS, **asked)
    direct = patrol_coverage(fixes, GRIDS, **asked)
    pd.testing.assert_frame_equal(kept, direct)
    assert kept.attrs == direct.attrs


def test_days_are_kept_by_staff_day_and_grid() -> None:
    painted = paint_days(some_days(1), GRIDS)
    assert list(painted.columns) == PAINTED_COLUMNS
    assert painted[["date", "staff", "grid"]].apply(tuple, axis=1).is_monotonic_increasing
    assert "C" not in set(painted["grid"])
    first = painted.iloc[0]
    assert first["cells"].dtype == np.int32 and first["cm"].dtype == np.uint16
    assert (np.diff(first["cells"]) > 0).all() and first["cm"].max() <= 5050
    again = paint_days(some_days(1).sample(frac=1, random_state=1), GRIDS)
    assert all((a == b).all() for a, b in zip(painted["cm"], again["cm"], strict=True))


def test_files_hold_what_was_kept_and_take_in_what_comes_later(tmp_path: Path) -> None:
    fixes = some_days(2, 4)
    painted = paint_days(fixes, GRIDS)
    early = painted[painted["date"] < pd.Timestamp("2026-03-04")]
    early.attrs = painted.attrs
    assert [p.name for p in save_painted(early, tmp_path)] == ["2026-03-02.parquet", "2026-03-03.parquet"]
    save_painted(painted, tmp_path)
    save_painted(painted, tmp_path)  # twice is once
    key = painted_key(GRIDS)
    assert key == painted.attrs["key"]
    kept = read_painted(tmp_path, key)
    pd.testing.assert_frame_equal(kept[["staff", "date", "grid"]], painted[["staff", "date", "grid"]])
    pd.testing.assert_frame_equal(coverage_of(kept, GRIDS, days=2), coverage_of(painted, GRIDS, days=2))
    some = read_painted(tmp_path, key, start="2026-03-03", end="2026-03-04")
    assert set(some["date"].dt.day) == {3, 4}
    other = paint_days(walk(line((0, 0), (200, 200)), staff="w9"), GRIDS)
    save_painted(other, tmp_path)
    assert set(read_painted(tmp_path, key, end="2026-03-02")["staff"]) == {"w0", "w9"}
    assert len(read_painted(tmp_path, painted_key(GRIDS, reach=20.0))) == 0


def test_days_of_other_grids_or_a_wider_sight_are_refused(tmp_path: Path) -> None:
    painted = paint_days(some_days(3), GRIDS, reach=30)
    with pytest.raises(InputError, match=r"made with others; found grids \".*wanted grids \".*Paint the tracks again"):
        coverage_of(painted, GRIDS.iloc[:2])
    with pytest.raises(InputError, match="the sight is wider than what was kept; found 31 m; wanted at most 30 m"):
        coverage_of(painted, GRIDS, sight=31)
    with pytest.raises(InputError, match="these are no painted days"):
        coverage_of(pd.DataFrame(painted.to_dict("list")), GRIDS)
    with pytest.raises(InputError, match="these are no painted days"):
        save_painted(pd.DataFrame(painted.to_dict("list")), tmp_path)
    save_painted(painted, tmp_path)
    path = next(painted_folder(tmp_path, painted.attrs["key"]).iterdir())
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"2026-03-02\.parquet: the painted day cannot be read.*Delete it"):
        read_painted(tmp_path, painted.attrs["key"])


def test_who_covered_what() -> None:
    # w1 sees 50 m of A's 300, w2 the same strip moved by 25 m; half of each is seen by both.
    fixes = pd.concat([walk(line((-60, 100), (360, 100)), "w1"), walk(line((-60, 125), (360, 125)), "w2")])
    out = who_covered(paint_days(fixes, GRIDS.iloc[:1]), GRIDS.iloc[:1])
    assert out["staff"].tolist() == ["w1", "w2"]
    assert out["share"].to_numpy() == pytest.approx([1 / 6, 1 / 6], abs=1e-3)
    assert out["alone"].to_numpy() == pytest.approx([1 / 12, 1 / 12], abs=1e-3)
    assert out["days"].tolist() == [1, 1]


def test_the_heat_is_the_whole_ground_by_days() -> None:
    fixes = pd.concat([walk(line((0, 100), (300, 100)), start=f"2026-03-0{d}T08:00") for d in (2, 3)])
    fixes = pd.concat([fixes, walk(line((0, 200), (300, 200)), start="2026-03-03T15:00")])
    out = heat(paint_days(fixes, GRIDS), GRIDS)
    of_a = out[out["grid"] == "A"]
    assert of_a["days"].tolist() == [0, 1, 2]
    assert of_a["area_m2"].to_numpy() == pytest.approx([200 * 300, 50 * 300, 50 * 300], rel=0.02)
    area = out.groupby("grid")["area_m2"].sum()
    assert area.to_numpy() == pytest.approx([90_000, 90_000, 2_500], rel=1e-6)
    assert out.crs == GRIDS.crs


# --- the bracket ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_the_bracket_holds_the_exact_share_and_is_narrow(seed: int) -> None:
    xy = recorded(seed, 400)[::4]
    ground = Grounds(GRIDS, 1.0, AREA).ground(0)
    ends = np.column_stack([xy[:-1], xy[1:]]) + np.tile(CORNER, 2)
    low, high = bracket(ground, ends, 25.0)
    fine = shapely.union_all(shapely.buffer(shapely.linestrings(ends.reshape(-1, 2, 2)), 25.0, quad_segs=256))
    exact = shapely.area(shapely.intersection(fine, ground.shape)) / ground.area
    assert low <= exact <= high
    assert high - low < 3e-4


def test_a_share_near_its_mark_is_settled() -> None:
    xy = recorded(3, 900)[::3]
    fixes = walk(xy)
    share = patrol_coverage(fixes, GRIDS, parameters=AREA)["share"].iloc[0]
    for mark, reached in ((share - 1.5e-4, True), (share + 1.5e-4, False)):
        out = patrol_coverage(fixes, GRIDS, parameters=Parameters(ground="area", full_share=mark)).iloc[:1]
        assert out["share"].iloc[0] == share
        assert not out["undecided"].iloc[0]
        assert decided(out, mark).tolist() == [reached]
    asked = patrol_coverage(fixes, GRIDS, marks=[share + 1.5e-4], parameters=AREA).iloc[:1]
    assert asked["high"].iloc[0] - asked["low"].iloc[0] < 2.5e-4
    assert decided(asked, share + 1.5e-4).tolist() == [False]
    unsettled = coverage_of(paint_days(fixes, GRIDS), GRIDS, parameters=Parameters(ground="area", full_share=share))
    assert unsettled["undecided"].tolist()[:1] == [True]
