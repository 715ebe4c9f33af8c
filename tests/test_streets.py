"""Stretches of street and buildings that were passed."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from walks import CORNER, METRES, grids_of, line, streets_of, walk

from gridgis.errors import CRSError, GeometryError, InputError
from gridgis.patrol.along import buildings_passed, streets_by_name, streets_passed, stretches
from gridgis.patrol.coverage import holes, patrol_coverage
from gridgis.profile import Parameters

GRIDS = grids_of(A=shapely.box(0, 0, 300, 300), B=shapely.box(300, 0, 600, 300))
#: East runs through both grids, along their middle; North along their common border; Side ends blind in A.
STREETS = streets_of(East=[(0, 150), (600, 150)], North=[(300, 0), (300, 300)], Side=[(100, 150), (100, 250)])
ON_STREETS, ON_BUILDINGS = Parameters(ground="streets"), Parameters(ground="buildings")


def test_stretches_go_from_junction_to_junction_inside_a_grid() -> None:
    out = stretches(STREETS, GRIDS)
    rows = [(r.grid, r.name_, round(r.length_m)) for r in out.rename(columns={"name": "name_"}).itertuples()]
    assert rows == [
        ("A", "East", 100), ("A", "East", 200), ("A", "North", 150), ("A", "North", 150), ("A", "Side", 100),
        ("B", "East", 300), ("B", "North", 150), ("B", "North", 150),
    ]  # fmt: skip
    assert out["stretch"].tolist() == ["A-001", "A-002", "A-003", "A-004", "A-005", "B-001", "B-002", "B-003"]
    assert out.crs == GRIDS.crs


def test_a_vertex_is_no_junction_and_another_name_is_another_street() -> None:
    bent = streets_of(Bent=[(10, 10), (100, 10), (100, 90)], More=[(100, 90), (200, 90)])
    assert stretches(bent, GRIDS)["length_m"].round(3).tolist() == [170, 100]
    ways = pd.concat([streets_of(Way=[(10, 10), (50, 10)]), streets_of(Way=[(50, 10), (90, 10)])])
    assert stretches(ways, GRIDS)["length_m"].round(3).tolist() == [80]


def test_rivers_walls_and_expressways_are_no_streets() -> None:
    classes = STREETS.assign(**{"class": ["river", "main", "expressway"]})
    assert set(stretches(classes, GRIDS)["name"]) == {"North"}
    with pytest.raises(GeometryError, match=r"the streets are no lines; wanted LineStrings; of a class.*main"):
        stretches(STREETS.assign(**{"class": "river"}), GRIDS)
    with pytest.raises(CRSError, match="coordinate reference system is missing"):
        stretches(STREETS.set_crs(None, allow_override=True), GRIDS)


def test_degrees_and_metres_give_the_same_stretches() -> None:
    metric, degrees = stretches(STREETS, GRIDS), stretches(STREETS.to_crs(4326), GRIDS.to_crs(4326))
    assert degrees["stretch"].tolist() == metric["stretch"].tolist()
    assert degrees["length_m"].to_numpy() == pytest.approx(metric["length_m"].to_numpy(), rel=2e-4)


def test_a_street_that_was_only_crossed_is_not_passed() -> None:
    fixes = walk(line((0, 152), (600, 152)))
    out = streets_passed(fixes, GRIDS, STREETS)
    assert set(out.loc[out["passed"], "name"]) == {"East"}
    side = out[out["name"] == "Side"].iloc[0]
    # Within 10 m of its end at the junction, walked 2 m beside it: 12 of 100 m. At 25 m it would be 27.
    assert side["share"] == pytest.approx(0.12, abs=0.011)
    assert out["share"].between(0, 1).all() and not out["undecided"].any()
    named = streets_by_name(out).set_index(["grid", "name"])
    assert named.loc[("A", "East"), ["length_m", "passed_m", "share"]].tolist() == pytest.approx([301, 301, 1], abs=1)
    assert named.loc[("A", "Side"), ["passed_m", "share"]].tolist() == [0, 0]


def test_ninety_percent_of_a_stretch() -> None:
    street = streets_of(Long=[(0, 150), (298, 150)])
    for metres, passed in ((240, False), (262, True)):
        # The track sees 10 m beyond its end.
        out = streets_passed(walk(line((0, 150), (metres, 150))), GRIDS, street)
        assert out["passed"].tolist() == [passed]
        assert out["share"].iloc[0] == pytest.approx((metres + 10) / 298, abs=0.005)
    near = streets_passed(walk(line((0, 150), (258, 150))), GRIDS, street)
    assert near["undecided"].tolist() == [True]


def test_streets_as_the_ground_of_patrol_coverage() -> None:
    fixes = pd.concat([walk(line((0, 150), (600, 150))), walk(line((300, 0), (300, 300)), start="2026-03-03T08:00")])
    out = patrol_coverage(fixes, GRIDS, streets=STREETS, days=[1, 2], parameters=ON_STREETS)
    assert out["grid"].tolist() == ["A"] * 3 + ["B"] * 3
    # Of A's 700 m East is 300, North 300, Side 100; of B's 600 m East is 300, North 300.
    assert out["share"].to_numpy() == pytest.approx([3 / 7, 3 / 7, 6 / 7, 1 / 2, 1 / 2, 1], abs=0.003)
    assert out["covered"].round(-1).tolist() == [300, 300, 600, 300, 300, 600]
    assert not out["undecided"].any()
    assert out.attrs["parameters"]["ground"] == "streets"
    assert out.attrs["parameters"]["street_passed"] == 0.9
    assert (out["low"] <= out["share"]).all() and (out["share"] <= out["high"]).all()


def test_buildings_are_passed_by_their_outline() -> None:
    boxes = [shapely.box(50, 160, 80, 180), shapely.box(100, 175, 130, 190), shapely.box(310, 140, 330, 148)]
    moved = [shapely.transform(b, lambda xy: xy + CORNER) for b in [*boxes, shapely.box(900, 900, 910, 910)]]
    houses = gpd.GeoDataFrame({"code": ["H1", "H2", "H3", "far"]}, geometry=moved, crs=METRES)
    fixes = walk(line((0, 150), (320, 150)))
    out = buildings_passed(fixes, GRIDS, houses.to_crs(4326))
    assert out[["grid", "building", "passed"]].to_numpy().tolist() == [
        ["A", "H1", True], ["A", "H2", False], ["B", "H3", True],
    ]  # fmt: skip
    shares = patrol_coverage(fixes, GRIDS, buildings=houses, parameters=ON_BUILDINGS)
    assert shares[["share", "covered", "ground"]].to_numpy().tolist() == [[0.5, 1, 2], [1, 1, 1]]
    wide = patrol_coverage(
        fixes, GRIDS, buildings=houses, parameters=Parameters(ground="buildings", building_passed_m=25.5)
    )
    assert wide["share"].tolist() == [1, 1]
    with pytest.raises(InputError, match=r"coverage of buildings needs them; wanted a layer of buildings.*--buildings"):
        patrol_coverage(fixes, GRIDS, parameters=ON_BUILDINGS)


def test_a_grid_without_streets_has_no_share() -> None:
    out = patrol_coverage(
        walk(line((0, 10), (90, 10))), GRIDS, streets=streets_of(X=[(10, 10), (90, 10)]), parameters=ON_STREETS
    )
    assert out["share"].iloc[0] == 1
    assert np.isnan(out["share"].iloc[1]) and out["ground"].iloc[1] == 0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 999))
def test_more_walks_pass_no_less_and_a_window_is_the_union_of_its_days(seed: int) -> None:
    random = np.random.default_rng(seed)
    ways = [line(*random.uniform(0, 600, (4, 2)).tolist(), step=11) for _ in range(2)]
    days = [walk(way, start=f"2026-03-0{2 + k}T08:00") for k, way in enumerate(ways)]
    both = patrol_coverage(pd.concat(days), GRIDS, streets=STREETS, days=2, parameters=ON_STREETS)
    same_day = pd.concat([walk(way, staff=f"w{k}") for k, way in enumerate(ways)])
    union = patrol_coverage(same_day, GRIDS, streets=STREETS, parameters=ON_STREETS)
    assert both["share"].tolist() == union["share"].tolist()
    alone = patrol_coverage(days[0], GRIDS, streets=STREETS, parameters=ON_STREETS)
    assert (union["share"] >= alone["share"]).all()


def test_streets_stand_beside_the_holes() -> None:
    fixes = walk(line((0, 150), (300, 150)))
    out = holes(fixes, GRIDS.iloc[:1], streets=STREETS)
    # North of what was seen the border street has 125 m and the blind end of Side 75; East is seen, 25 m away.
    assert out["streets"].tolist()[0].split("、")[:2] == ["North", "Side"]
    assert list(out.columns) == ["grid", "area_m2", "streets", "geometry"]
