"""Describe: bounds text on every side, shares and figures against what they are by definition, loads, bad input."""

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

from gridgis.errors import CRSError, GridgisWarning, InputError, SchemaError
from gridgis.plan.blocks import make_blocks
from gridgis.plan.bounds import describe
from gridgis.plan.partition import partition
from gridgis.profile import Norm, Profile
from gridgis.schema import BARRIER_CLASSES

SIDES = ("东至", "南至", "西至", "北至")


def lines(*rows: tuple[str, str | None, list[tuple[float, float]]]) -> gpd.GeoDataFrame:
    moved = [shapely.LineString(np.array(xy) + np.array((shapes.X0, shapes.Y0))) for _, _, xy in rows]
    columns = {"class": [r[0] for r in rows], "name": [r[1] for r in rows]}
    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(moved, crs=shapes.METRES))


def sides(text: str) -> dict[str, str]:
    parts = text.split("，")
    assert [p[:2] for p in parts] == list(SIDES)
    return {p[0]: p[2:] for p in parts}


#: Round the middle square (22) of three times three: a road on each side, the western one in two parts.
ROADS = lines(
    ("main", "清华东路", [(200, -50), (200, 350)]),
    ("secondary", "成府路", [(-50, 100), (350, 100)]),
    ("river", "万泉河", [(100, 90), (100, 155)]),
    ("lane", "西小街", [(100, 155), (100, 210)]),
    ("lane", None, [(-50, 200), (350, 200)]),
)


# --- bounds text ------------------------------------------------------------------------------------------------------


def test_each_side_has_its_names() -> None:
    text = describe(shapes.squares(), ROADS).set_index("code")["bounds_text"]
    assert sides(text["22"]) == {"东": "清华东路", "南": "成府路", "西": "万泉河、西小街", "北": "网格32"}
    assert sides(text["11"]) == {"东": "网格12", "南": "街道界", "西": "街道界", "北": "成府路"}


@pytest.mark.parametrize("way", [0.0, 7.0, 14.0, 16.0])
def test_a_road_beside_the_border_counts_within_15_metres(way: float) -> None:
    road = lines(("main", "北路", [(-50, 100 + way), (350, 100 + way)]))
    text = describe(shapes.squares(1, 1), road)["bounds_text"].iloc[0]
    assert sides(text)["北"] == ("北路" if way < 15 else "街道界")


def test_a_road_that_crosses_the_border_is_no_limit() -> None:
    roads = lines(*(("main", f"{n}号路", [(50 + 10 * n, 60), (50 + 10 * n, 140)]) for n in range(5)))
    assert sides(describe(shapes.squares(1, 1), roads)["bounds_text"].iloc[0])["北"] == "街道界"


def test_a_slanting_road_limits_two_sides() -> None:
    triangle = shapes.frame([shapely.Polygon([(0, 0), (100, 0), (0, 100)])])
    text = describe(triangle, lines(("main", "斜街", [(100, 0), (0, 100)])))["bounds_text"].iloc[0]
    assert sides(text) == {"东": "斜街", "南": "街道界", "西": "街道界", "北": "斜街"}


def test_a_name_on_a_short_piece_is_not_told_and_no_more_than_three_are() -> None:
    pieces = [(0, 24), (24, 47), (47, 69), (69, 90), (90, 100)]
    road = lines(*(("lane", f"{n}巷", [(x0, 100), (x1, 100)]) for n, (x0, x1) in enumerate(pieces)))
    text = describe(shapes.squares(1, 1).set_geometry(shapely.segmentize(shapes.squares(1, 1).geometry, 1)), road)
    assert sides(text["bounds_text"].iloc[0])["北"] == "0巷、1巷、2巷"


@pytest.mark.parametrize(
    ("side", "first", "second"),
    [
        ("东", [(200, 95), (200, 65)], [(200, 60), (200, 0)]),  # from north to south
        ("南", [(195, 0), (165, 0)], [(160, 0), (100, 0)]),  # from east to west
        ("西", [(100, 5), (100, 35)], [(100, 40), (100, 100)]),  # from south to north
        ("北", [(105, 100), (135, 100)], [(140, 100), (200, 100)]),  # from west to east
    ],
)
def test_names_stand_in_the_order_of_a_walk_clockwise(
    side: str, first: list[tuple[float, float]], second: list[tuple[float, float]]
) -> None:
    grid = shapes.frame([shapely.segmentize(shapely.box(100, 0, 200, 100), 1)])
    # The second street is the longer one: length is not what puts them in order.
    road = lines(("lane", "先路", first), ("main", "后路", second))
    assert sides(describe(grid, road)["bounds_text"].iloc[0])[side] == "先路、后路"
    assert sides(describe(grid, road.iloc[::-1])["bounds_text"].iloc[0])[side] == "先路、后路"


@pytest.mark.parametrize(("long", "told"), [(45.0, "短街、12"), (55.0, "短街")])
def test_who_lies_beside_half_of_a_side_or_more_is_told_with_the_names(long: float, told: str) -> None:
    grids = shapes.squares(2, 1).drop(columns="name")
    grids = grids.set_geometry(shapely.segmentize(grids.geometry, 1))
    road = lines(("lane", "短街", [(100, 100), (100, 100 - long)]))
    assert sides(describe(grids, road)["bounds_text"].iloc[0])["东"] == told


def test_english_words_stand_between_the_same_names() -> None:
    grids = shapes.squares(3, 1).assign(parent=["A", "A", "B"])
    units = pd.DataFrame({"code": ["A", "B"], "name": ["东里社区", "西里社区"]})
    told = describe(grids, lines(("main", "成府路", [(0, 0), (300, 0)])), units=units)["bounds_text_en"]
    assert told.tolist() == [
        "east to grid 12; south to 成府路; west to the outline; north to the outline",
        "east to the border of 西里社区; south to 成府路; west to grid 11; north to the outline",
        "east to the outline; south to 成府路; west to the border of 东里社区; north to the outline",
    ]


def test_units_name_the_border_between_them_and_shorten_their_own_grids() -> None:
    grids = shapes.squares(3, 1).assign(
        name=["东里社区第1网格", "东里社区第2网格", "西里社区第1网格"], parent=["A", "A", "B"]
    )
    units = pd.DataFrame({"code": ["A", "B"], "name": ["东里社区", "西里社区"]})
    text = describe(grids, lines(("lane", "远", [(0, 900), (9, 900)])), units=units)["bounds_text"]
    assert [sides(t)["东"] for t in text] == ["第2网格", "西里社区界", "街道界"]
    assert [sides(t)["西"] for t in text] == ["街道界", "第1网格", "东里社区界"]


def test_grids_without_names_are_called_by_code() -> None:
    text = describe(shapes.squares(2, 1).drop(columns="name"), ROADS)["bounds_text"]
    assert sides(text.iloc[0])["东"] == "12"


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), degrees=st.booleans())
def test_every_grid_of_every_plan_has_four_sides_and_its_own_figures(seed: int, degrees: bool) -> None:
    rng = np.random.default_rng(seed)
    place = shapes.frame([shapely.MultiPoint(rng.uniform(0, 900, (12, 2))).convex_hull], ["U"])
    streets = lines(
        *(
            (str(rng.choice(["main", "lane", "river"])), f"{n}路", rng.uniform(-99, 999, (3, 2)).tolist())
            for n in range(9)
        )
    )
    if degrees:
        place, streets = shapes.in_degrees(place), shapes.in_degrees(streets)
    cut = make_blocks(place, streets)
    plan = partition(cut.blocks.assign(households=rng.integers(0, 90, len(cut.blocks))), 100.0, borders=cut.borders)
    told = describe(plan.grids, streets)
    for text in told["bounds_text"]:
        assert all(sides(text).values())
    metres = told.to_crs(shapes.METRES)
    np.testing.assert_allclose(told["compactness"], 4 * np.pi * metres.area / metres.length**2)
    known = told["road_share"].dropna()
    assert known.between(0, 1).all()
    assert len(known) == (len(told) if len(told) > 1 else 0)
    np.testing.assert_allclose(told[SHARES].sum(axis=1), 1.0)
    np.testing.assert_allclose(told["border_m"], metres.length)
    np.testing.assert_allclose(told["area_m2"], metres.area)
    assert (told["no_road_m"] <= told["share_none"] * told["border_m"] + 1e-6).all()
    assert (told["cut_through"].notna() == (told["cut_through_m"] > 0)).all()
    assert told["bounds_text_en"].str.fullmatch("east to .+; south to .+; west to .+; north to .+").all()
    assert told[plan.grids.columns.drop("geometry")].equals(plan.grids.drop(columns="geometry"))


# --- shares -----------------------------------------------------------------------------------------------------------


def test_the_road_share_is_of_the_border_to_other_grids() -> None:
    share = describe(shapes.squares(), ROADS).set_index("code")["road_share"]
    assert share["22"] == pytest.approx((100 + 100 + 50) / 400, abs=0.03)
    assert share["11"] == pytest.approx(0.55)  # 100 m of 成府路, 10 m of the river
    assert share["31"] == pytest.approx(0.0)


def test_the_strongest_barrier_on_the_border_counts() -> None:
    both = [(100, 0), (100, 100)]
    roads = lines(("lane", "小路", both), ("main", "大路", both))
    told = describe(shapes.squares(2, 1), roads)
    assert told["road_share"].tolist() == [1.0, 1.0]
    assert sides(told["bounds_text"].iloc[0])["东"] == "大路"


def test_one_grid_alone_has_no_inner_border() -> None:
    assert np.isnan(describe(shapes.squares(1, 1), ROADS)["road_share"].iloc[0])


def test_neighbours_that_share_no_vertex_are_neighbours() -> None:
    grids = shapes.frame([shapely.box(0, 0, 300, 100), shapely.box(0, 100, 90, 200), shapely.box(90, 100, 300, 200)])
    told = describe(grids, lines(("main", "中路", [(0, 100), (300, 100)])))
    assert told["road_share"].tolist() == pytest.approx([1.0, 90 / 190, 210 / 310], abs=0.02)


SHARES = [f"share_{name}" for name in (*BARRIER_CLASSES, "none")]


def test_each_class_has_its_share_of_the_border() -> None:
    told = describe(shapes.squares(), ROADS).set_index("code")
    assert told.loc["22", "border_m"] == pytest.approx(400)
    assert told.loc["22", "area_m2"] == pytest.approx(10_000)
    found = told.loc["22", SHARES].astype(float).round(3).to_dict()
    # In pieces of 10 m: the river ends at 155 m, its piece counts where the middle lies.
    assert found["share_main"] == found["share_secondary"] == 0.25
    assert found["share_lane"] == pytest.approx(0.25 + 0.125, abs=0.03)
    assert found["share_river"] == pytest.approx(0.125, abs=0.03)
    assert found["share_none"] == found["share_railway"] == found["share_wall"] == 0
    # To 32, but for the last 10 m of the lane; the south lies on another lane, the rest is outline.
    assert told.loc["31", "no_road_m"] == pytest.approx(90)
    assert told.loc["31", "share_none"] == pytest.approx(0.725)


def test_what_cuts_through_a_grid_is_told_with_its_metres() -> None:
    roads = lines(
        ("main", "荷清路", [(-50, 60), (150, 60)]),
        ("railway", None, [(40, -50), (40, 150)]),
        ("river", "小河", [(50, 50), (50, 79)]),  # 29 m: too short
        ("secondary", "支路", [(-50, 30), (150, 30)]),  # no major barrier
        ("expressway", "高架", [(0, 90), (100, 90)]),  # beside the border
    )
    told = describe(shapes.squares(2, 1), roads)
    assert told["cut_through"].tolist() == ["荷清路 70 m、铁路 70 m", "荷清路 35 m"]
    assert told["cut_through_m"].tolist() == pytest.approx([140.0, 35.0])
    assert describe(shapes.squares(1, 1), roads.iloc[3:])["cut_through"].tolist() == [None]
    assert describe(shapes.squares(1, 1), roads.iloc[3:])["cut_through_m"].tolist() == [0.0]


# --- loads ------------------------------------------------------------------------------------------------------------


def houses() -> gpd.GeoDataFrame:
    xy = np.array([(50, 50), (100, 50), (150, 50), (900, 50)]) + np.array((shapes.X0, shapes.Y0))
    columns = {"code": list("abcd"), "households": [3, 2, 4, 9], "estimated": [True, True, False, True]}
    return gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy(*xy.T), crs=shapes.METRES)


def test_households_are_counted_anew_and_the_lowest_code_wins_a_border() -> None:
    grids = shapes.squares(2, 1).iloc[::-1].assign(households=99)
    told = describe(grids, ROADS, houses=houses().to_crs(4326))
    assert told["code"].tolist() == ["12", "11"]
    assert told["households"].sum() == 9
    assert describe(grids, ROADS, houses=houses())["households"].tolist() == [4, 5]
    assert describe(grids, ROADS, houses=houses())["estimated"].tolist() == [0, 5]


def test_what_nobody_counted_is_missing() -> None:
    told = describe(shapes.squares(2, 1), ROADS)
    assert told[["households", "persons", "estimated", "deviation", "reason"]].isna().all().all()


def test_deviation_and_reason_follow_the_norm_of_the_profile() -> None:
    grids = shapes.squares(3, 1).assign(
        households=[300, 520, 100], compound_kind=[None, "managed", "rural"],
        reason=["isolated", None, "community mean"], deviation=9.0,
    )  # fmt: skip
    profile = Profile("p", "P", Norm({"mixed": 240.0, "managed": 500.0, "rural": 400.0}))
    told = describe(grids, ROADS, profile=profile)
    assert told["deviation"].round(6).tolist() == [0.25, 0.04, -0.75]
    assert told["reason"].tolist() == [None, None, "community mean"]
    by_persons = describe(
        grids.assign(persons=[1200, 1000, 1500]), ROADS, profile=Profile("q", "Q", Norm(persons=(1000, 1500)))
    )
    assert by_persons["deviation"].round(6).tolist() == [-0.04, -0.2, 0.2]
    assert describe(grids, ROADS)["deviation"].tolist() == [9.0] * 3


def test_inputs_stay_as_they_are_and_other_columns_travel_along() -> None:
    grids = shapes.squares(2, 1).assign(colour=["red", "blue"]).set_index(pd.Index([7, 3]))
    before = grids.copy(deep=True)
    told = describe(grids.rename_geometry("ground"), ROADS)
    assert told.index.tolist() == [7, 3]
    assert told["colour"].tolist() == ["red", "blue"]
    assert told.geometry.name == "ground"
    assert told.attrs["parameters"]["near_m"] == 15.0
    pd.testing.assert_frame_equal(pd.DataFrame(grids), pd.DataFrame(before))


# --- bad input --------------------------------------------------------------------------------------------------------


def test_grids_need_a_crs_and_codes_and_barriers_lines() -> None:
    with pytest.raises(CRSError, match=r"grids: .* is missing\. Name it with --crs"):
        describe(shapes.squares().set_crs(None, allow_override=True), ROADS)
    with pytest.raises(SchemaError, match=r"grids: the code is not unique \(row A\)"):
        describe(shapes.squares(2, 1).assign(code="A"), ROADS)
    with pytest.raises(InputError, match="barriers: the barriers have no lines"):
        describe(shapes.squares(), ROADS.iloc[:0])


# --- real ground ------------------------------------------------------------------------------------------------------


@pytest.mark.places
def test_the_sides_of_qinghuayuan_bear_the_names_on_the_map(places: Path) -> None:
    from gridgis.files import read, read_osm

    place = read(f"{places}/beijing/haidian-all.geojson#110108014", table="boundary")
    with pytest.warns(GridgisWarning, match="the rest has no data"):
        barriers = read_osm(places / "qinghuayuan" / "map.osm", place)["barriers"]
    whole = describe(place, barriers)["bounds_text"].iloc[0]
    assert "中关村北大街" in sides(whole)["西"]
    assert "成府路" in sides(whole)["南"]
    halves = place.geometry.iloc[0], shapely.box(116.30, 40.0003, 116.34, 40.1)
    parts = gpd.GeoDataFrame(
        {"code": ["N", "S"]}, geometry=[halves[0].intersection(halves[1]), halves[0].difference(halves[1])], crs=4326
    )
    told = describe(parts, barriers).set_index("code")["bounds_text"]
    assert "成府路" in sides(told["S"])["南"]


def seen_from_outside(grid: shapely.Geometry, roads: gpd.GeoSeries, side: str) -> tuple[dict[str, float], int]:
    """Names within 15 m of where rays towards a side of the grid first meet it, with their share of the rays.

    An answer of its own: it knows nothing of normals, weights and pieces.
    """
    dx, dy = {"东": (1, 0), "南": (0, -1), "西": (-1, 0), "北": (0, 1)}[side]
    west, south, east, north = grid.bounds
    across = np.linspace(south, north, 41)[1:-1] if dx else np.linspace(west, east, 41)[1:-1]
    met: dict[str, int] = {}
    for at in across:
        start = ((east + 1) if dx > 0 else (west - 1), at) if dx else (at, (north + 1) if dy > 0 else (south - 1))
        end = ((west - 1) if dx > 0 else (east + 1), at) if dx else (at, (south - 1) if dy > 0 else (north + 1))
        hits = shapely.intersection(shapely.LineString([start, end]), grid.boundary)
        first = min(shapely.get_parts(hits), key=shapely.Point(start).distance)
        near = roads[shapely.distance(roads.to_numpy(), shapely.centroid(first)) <= 15]
        for name in set(near.index):
            met[name] = met.get(name, 0) + 1
    return {name: count / len(across) for name, count in met.items()}, len(across)


@pytest.mark.places
def test_bounds_of_the_grids_of_qinghuayuan_agree_with_rays_from_outside(places: Path) -> None:
    from gridgis.files import read, read_osm

    place = read(f"{places}/beijing/haidian-all.geojson#110108014", table="boundary")
    with pytest.warns(GridgisWarning, match="the rest has no data"):
        layers = read_osm(places / "qinghuayuan" / "map.osm", place)
    cut = make_blocks(place, layers["barriers"], compounds=layers["compounds"])
    area = (cut.blocks.to_crs(4548).area / 1000).round().astype(int)
    grids = partition(cut.blocks.assign(households=area), 200.0, borders=cut.borders).grids
    told = describe(grids, layers["barriers"])
    named = layers["barriers"].dropna(subset="name").to_crs(4548)
    roads = gpd.GeoSeries(named.geometry.to_numpy(), index=named["name"].to_numpy())
    names, wrong, missed = 0, [], []
    for code, text, grid in zip(told["code"], told["bounds_text"], told.to_crs(4548).geometry, strict=True):
        for side, limits in sides(text).items():
            seen, rays = seen_from_outside(grid, roads, side)
            said = [name for name in limits.split("、") if name in set(roads.index)]
            names += len(said)
            wrong += [(code, side, name) for name in said if seen.get(name, 0) < 2 / rays]
            missed += [(code, side, name) for name, share in seen.items() if share >= 0.7 and name not in said]
    assert names > 40
    assert wrong == []
    assert missed == []
