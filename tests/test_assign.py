"""Who is where: houses and buildings to grids, estimates, shifts, the chain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import shapes
from hypothesis import given, settings
from hypothesis import strategies as st

from gridgis import crs
from gridgis.assign.chain import Chain, chain, public_totals
from gridgis.assign.houses import (
    assign_buildings,
    assign_houses,
    detect_shift,
    estimate_households,
    houses_of_buildings,
    warn_of_shift,
)
from gridgis.assign.persons import assign_persons
from gridgis.errors import CRSError, GeometryError, GridgisWarning, InputError, SchemaError
from gridgis.files import read, read_osm
from gridgis.profile import Norm, Parameters, Profile

PROFILE = Profile("test", "test", Norm({"mixed": 300.0}))


def houses_at(*places: tuple[float, float] | None, codes: list[str] | None = None) -> gpd.GeoDataFrame:
    """Houses at metres from the zoo's corner; None has no place."""
    points = [None if p is None else shapely.Point(shapes.X0 + p[0], shapes.Y0 + p[1]) for p in places]
    names = codes or [f"h{i}" for i in range(len(points))]
    return gpd.GeoDataFrame({"code": names}, geometry=gpd.GeoSeries(points, crs=shapes.METRES))


def random_houses(count: int, seed: int = 0, width: float = 1000.0) -> gpd.GeoDataFrame:
    rng = np.random.default_rng(seed)
    return houses_at(*[tuple(xy) for xy in rng.uniform(-0.02 * width, 1.02 * width, (count, 2))])


def buildings_of(*footprints: Any, **columns: Any) -> gpd.GeoDataFrame:
    out = shapes.frame(footprints, [f"b{i}" for i in range(len(footprints))])
    return out.assign(**columns)


# --- houses -----------------------------------------------------------------------------------------------------------


def test_inside_border_nearest_none() -> None:
    houses = houses_at((50, 50), (100, 50), (100, 100), (310, 50), (331, 50), None)
    houses = pd.concat([houses, gpd.GeoDataFrame({"code": ["e"]}, geometry=[shapely.Point()], crs=houses.crs)])
    found = assign_houses(houses, shapes.squares(), within=30)
    assert found["grid"].tolist() == ["11", "11", "11", "13", None, None, None]
    assert found["grid_how"].tolist() == ["inside", "border", "border", "nearest", "none", "none", "none"]
    np.testing.assert_allclose(found["grid_distance_m"], [0, 0, 0, 10, np.nan, np.nan, np.nan], atol=1e-6)
    assert found.attrs["parameters"] == {"within_m": 30.0}
    assert assign_houses(houses, shapes.squares())["grid_how"].tolist()[3] == "none"


def test_exactly_within_counts_and_equally_near_grids_yield_the_lowest_code() -> None:
    grids = shapes.frame([shapely.box(0, 0, 10, 10), shapely.box(20, 0, 30, 10)], ["9", "10"])
    found = assign_houses(houses_at((15, 5), (15, 16)), grids, within=5)
    assert found["grid"].tolist() == ["10", None]  # as text "10" is below "9"
    assert found["grid_distance_m"].iloc[0] == 5


def test_codes_are_compared_as_text_and_numbers_as_their_digits() -> None:
    grids = shapes.frame([shapely.box(0, 0, 10, 10), shapely.box(10, 0, 20, 10)])
    grids["code"] = [9.0, 10.0]
    assert assign_houses(houses_at((10, 5)), grids)["grid"].tolist() == ["10"]


def test_houses_in_degrees_go_to_grids_in_metres_and_keep_their_coordinates() -> None:
    houses = houses_at((50, 50), (250, 250), (305, 250))
    degrees = houses.to_crs(4326)
    before = degrees.copy()
    found = assign_houses(degrees, shapes.squares(), within=10)
    assert found["grid"].tolist() == ["11", "33", "33"]
    assert found["grid_distance_m"].iloc[2] == pytest.approx(5, abs=0.01)
    assert found.crs == degrees.crs
    assert found.geometry.geom_equals_exact(before.geometry, 0).all()
    assert degrees.equals(before)


def test_distances_of_grids_in_degrees_are_metres() -> None:
    grids = shapes.squares().to_crs(4326)
    found = assign_houses(houses_at((50, 50), (310, 50), (150, 340)), grids, within=30)
    assert found["grid"].tolist() == ["11", "13", None]
    assert found["grid_distance_m"].iloc[1] == pytest.approx(10, abs=0.01)


def test_a_house_beyond_what_the_crs_can_hold_is_in_no_grid() -> None:
    far = gpd.GeoDataFrame({"code": ["a", "b"]}, geometry=gpd.points_from_xy([0, 40], [0, 116]), crs=4326)
    assert assign_houses(far, shapes.squares(), within=1e6)["grid_how"].iloc[1] == "none"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.permutations(range(9)), st.sampled_from(["squares", "overlap", "contained"]))
def test_the_order_of_rows_does_not_matter(seed: int, order: list[int], zoo: str) -> None:
    grids = {**shapes.CLEAN, **shapes.FAULTY}[zoo]()
    rng = np.random.default_rng(seed)
    places = np.vstack([rng.uniform(-20, 320, (30, 2)), rng.integers(0, 4, (20, 2)) * 100.0])
    houses = houses_at(*map(tuple, places)).set_index(pd.Index(range(100, 150), name="row"))
    found = assign_houses(houses, grids, within=15)
    mixed = assign_houses(
        houses.sample(frac=1, random_state=seed), grids.iloc[order + list(range(9, len(grids)))], within=15
    )
    pd.testing.assert_frame_equal(mixed.loc[houses.index], found)
    boxes = buildings_of(*[shapely.box(x, y, x + 15, y + 15) for x, y in places])
    one = assign_buildings(boxes, grids)
    two = assign_buildings(boxes.iloc[::-1], grids.iloc[::-1]).iloc[::-1]
    pd.testing.assert_frame_equal(one, two)


def test_the_result_of_houses_is_that_of_a_spatial_join() -> None:
    grids, houses = shapes.voronoi(60), random_houses(3000)
    found = assign_houses(houses, grids)
    joined = houses.sjoin(grids[["code", "geometry"]], how="left", predicate="intersects")
    wanted = joined.groupby(level=0)["code_right"].min()
    assert found["grid"].fillna("").tolist() == wanted.fillna("").tolist()
    assert found["grid"].isna().sum() > 50


def test_codes_stay_text_or_none() -> None:
    found = assign_houses(houses_at((50, 50), None), shapes.squares())
    assert found["grid"].dtype == object
    assert found["grid"].iloc[1] is None


# --- houses: bad input ------------------------------------------------------------------------------------------------


def test_a_missing_crs_is_an_error_that_says_how_to_name_it() -> None:
    houses, grids = houses_at((50, 50)), shapes.squares()
    with pytest.raises(CRSError, match=r"^houses: the coordinate reference system is missing\. Name it with --crs"):
        assign_houses(houses.set_crs(None, allow_override=True), grids)
    with pytest.raises(CRSError, match=r"^grids: the coordinate reference system is missing"):
        assign_houses(houses, grids.set_crs(None, allow_override=True))
    with pytest.raises(CRSError, match=r"^buildings: the coordinate reference system is missing"):
        assign_buildings(grids.set_crs(None, allow_override=True), grids)


@pytest.mark.parametrize(
    ("grids", "error", "message"),
    [
        (shapes.bow_tie(), GeometryError, r"polygons are not valid \(row 22\)\. Run gridgis validate"),
        (shapes.without_code(), SchemaError, r"grids without a code \(row 5\)"),
        (shapes.squares().iloc[:0], SchemaError, "there are no grids; wanted at least one"),
        (shapes.squares().drop(columns="code"), SchemaError, r"need the column 'code'; found 'name', 'geometry'"),
    ],
)
def test_grids_that_cannot_be_used(grids: gpd.GeoDataFrame, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        assign_houses(houses_at((50, 50)), grids)


def test_grids_without_geometry_hold_nothing() -> None:
    assert assign_houses(houses_at((50, 50)), shapes.with_none(), within=5)["grid"].tolist() == ["11"]


def test_houses_that_are_no_points_and_tables_without_a_place() -> None:
    with pytest.raises(GeometryError, match=r"houses that are not points \(row b0\)\. Assign footprints"):
        assign_houses(buildings_of(shapely.box(0, 0, 1, 1)), shapes.squares())
    with pytest.raises(GeometryError, match="houses need a place; found a table without geometry"):
        assign_houses(pd.DataFrame({"code": ["a"]}), shapes.squares())


@pytest.mark.parametrize("within", [-1, np.nan, np.inf])
def test_within_must_be_metres(within: float) -> None:
    with pytest.raises(InputError, match="within must be metres ≥ 0; found"):
        assign_houses(houses_at((50, 50)), shapes.squares(), within=within)
    with pytest.raises(InputError, match="within must be metres ≥ 0; found"):
        assign_persons(pd.DataFrame({"id": ["1"]}), houses_at((50, 50)), within=within)


# --- buildings --------------------------------------------------------------------------------------------------------


def test_the_larger_share_takes_the_building() -> None:
    buildings = buildings_of(
        shapely.box(10, 10, 30, 30),  # inside
        shapely.box(80, 10, 180, 20),  # a fifth and four fifths
        shapely.box(90, 40, 110, 60),  # halves: the lowest code
        shapely.box(290, 10, 310, 20),  # half of it outside
        shapely.box(290, 10, 390, 20),  # most of it outside
        shapely.box(300, 10, 310, 20),  # touches from outside
        shapely.box(500, 10, 510, 20),
        None,
        shapely.Polygon([(10, 210), (20, 220), (20, 210), (10, 220)]),  # crosses itself
        shapely.box(0, 0, 100, 100),  # the grid itself
    )
    found = assign_buildings(buildings, shapes.squares())
    assert found["grid"].tolist() == ["11", "12", "11", "13", "13", None, None, None, "31", "11"]
    np.testing.assert_allclose(found["grid_share"], [1, 0.8, 0.5, 0.5, 0.1, np.nan, np.nan, np.nan, 1, 1], atol=1e-9)
    assert found["grid_how"].tolist() == [
        "inside", "border", "border", "border", "border", "none", "none", "none", "inside", "inside",
    ]  # fmt: skip
    assert not found.geometry.iloc[8].is_valid  # measured mended, kept as given


def test_shares_are_those_of_an_overlay() -> None:
    grids = shapes.voronoi(80)
    rng = np.random.default_rng(1)
    corners = rng.uniform(-10, 990, (400, 2))
    buildings = buildings_of(
        *[shapely.box(x, y, x + w, y + 9) for (x, y), w in zip(corners, rng.uniform(5, 60, 400), strict=True)]
    )
    found = assign_buildings(buildings, grids).set_index("code")
    pieces = gpd.overlay(buildings[["code", "geometry"]], grids[["code", "geometry"]].rename(columns={"code": "g"}))
    pieces["share"] = pieces.area.to_numpy() / buildings.set_index("code").area.loc[pieces["code"]].to_numpy()
    best = pieces.sort_values(["code", "share"]).groupby("code").last()
    assert found["grid"].dropna().to_dict() == best["g"].to_dict()
    pd.testing.assert_series_equal(found["grid_share"].dropna().sort_index(), best["share"], check_names=False)


def test_buildings_in_another_crs_and_none_at_all() -> None:
    buildings = buildings_of(shapely.box(80, 10, 180, 20), kind="residential")
    found = assign_buildings(buildings.to_crs(4326), shapes.squares())
    assert found["grid"].tolist() == ["12"]
    assert found["grid_share"].iloc[0] == pytest.approx(0.8, abs=1e-4)
    nothing = assign_buildings(buildings.to_crs(4326).iloc[:0], shapes.squares())
    assert list(nothing.columns[-3:]) == ["grid", "grid_share", "grid_how"]
    assert len(nothing) == 0


def test_assigning_leaves_its_input_alone() -> None:
    buildings = buildings_of(shapely.Polygon([(0, 0), (9, 9), (9, 0), (0, 9)]), shapely.box(80, 10, 180, 20))
    grids = shapes.squares()
    before = buildings.to_wkb(), grids.to_wkb()
    assign_buildings(buildings, grids)
    assert buildings.to_wkb().equals(before[0])
    assert grids.to_wkb().equals(before[1])


# --- estimates --------------------------------------------------------------------------------------------------------


def test_estimates_follow_footprint_and_levels() -> None:
    block = shapely.box(0, 0, 30, 15)  # 450 m²
    buildings = buildings_of(
        *[block] * 9, shapely.box(0, 0, 1, 1), None,
        kind=["residential", "Apartments ", "dormitory", "house", "school", None, "residential", "yes", "terrace",
              "apartments", "apartments"],
        levels=[4, np.nan, 6, 3, 5, 5, 0, 6, 2, 1, 6],
        households=pd.array([None, None, None, None, None, 7, 99, None, None, None, None], dtype="Int64"),
    )  # fmt: skip
    found = estimate_households(buildings, PROFILE)
    assert found["households"].dtype == "Int64"
    assert found["households"].fillna(-1).tolist() == [20, 30, 30, 1, -1, 7, 99, -1, 10, 1, -1]
    assert found["estimated"].tolist() == [True, True, True, True, False, False, False, False, True, True, False]
    assert found.attrs["parameters"] == {"m2_per_household": 90.0, "storeys_default": 6.0}


def test_the_profile_sets_the_parameters() -> None:
    profile = Profile("p", "p", Norm({"mixed": 300.0}), parameters=Parameters(m2_per_household=45, storeys_default=2))
    found = estimate_households(buildings_of(shapely.box(0, 0, 30, 15), kind="residential"), profile)
    assert found["households"].tolist() == [20]
    assert found.attrs["parameters"] == {"m2_per_household": 45, "storeys_default": 2}
    with pytest.raises(InputError, match="profile p: m2_per_household must be above 0"):
        estimate_households(found, Profile("p", "p", Norm({}), parameters=Parameters(m2_per_household=0)))


_building = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["residential", "house", "dormitory", "school", None]),
        "levels": st.one_of(st.none(), st.integers(0, 40)),
        "households": st.one_of(st.none(), st.integers(0, 500)),
        "side": st.floats(1, 80),
    }
)


@settings(max_examples=40, deadline=None)
@given(st.lists(_building, min_size=1, max_size=12))
def test_estimates_conserve_what_was_counted_and_twice_is_once(rows: list[dict[str, Any]]) -> None:
    table = pd.DataFrame(rows)
    buildings = buildings_of(
        *[shapely.box(0, 0, s, s) for s in table["side"]],
        kind=table["kind"], levels=table["levels"].astype(float), households=table["households"].astype("Int64"),
    )  # fmt: skip
    before = buildings.copy()
    once = estimate_households(buildings, PROFILE)
    counted = buildings["households"].notna()
    assert (once["households"][counted] == buildings["households"][counted]).all()
    assert not once["estimated"][counted].any()
    assert (once["households"][once["estimated"]] >= 1).all()
    assert once["households"].isna().equals(~counted & ~once["estimated"])
    pd.testing.assert_frame_equal(estimate_households(once, PROFILE), once)
    assert buildings.equals(before)
    houses = houses_of_buildings(once)
    assert houses["households"].sum() == once["households"].fillna(0).sum()
    assert houses.loc[houses["estimated"], "households"].sum() == once.loc[once["estimated"], "households"].sum()


def test_houses_of_buildings_lie_inside_them() -> None:
    horseshoe = shapely.box(0, 0, 30, 30).difference(shapely.box(5, 5, 25, 40))
    crossed = shapely.Polygon([(0, 0), (9, 9), (9, 0), (0, 9)])
    buildings = buildings_of(
        horseshoe, shapely.box(0, 0, 5, 5), crossed, None,
        households=pd.array([12, 0, 3, 4], dtype="Int64"), address=["成府路28号", None, None, None],
    )  # fmt: skip
    houses = houses_of_buildings(buildings)
    assert houses.columns.tolist() == ["code", "building", "address", "households", "estimated", "geometry"]
    assert houses["building"].tolist() == ["b0", "b2"]
    assert houses["households"].tolist() == [12, 3]
    assert buildings.geometry.iloc[0].contains(houses.geometry.iloc[0])
    assert shapely.make_valid(buildings.geometry.iloc[2]).contains(houses.geometry.iloc[1])
    with pytest.raises(SchemaError, match=r"buildings need the column 'households'\. Count or estimate"):
        houses_of_buildings(buildings.drop(columns="households"))


# --- shifts -----------------------------------------------------------------------------------------------------------


def a_place(width: float = 2000.0) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """A boundary and 600 houses in it, all over it; degrees."""
    boundary = shapes.frame([shapely.box(0, 0, width, width)]).to_crs(4326)
    rng = np.random.default_rng(3)
    return boundary, houses_at(*map(tuple, rng.uniform(0, width, (600, 2)))).to_crs(4326)


def read_as(houses: gpd.GeoDataFrame, move: Any) -> gpd.GeoDataFrame:
    x, y = move(houses.geometry.x.to_numpy(), houses.geometry.y.to_numpy())
    return houses.set_geometry(gpd.points_from_xy(x, y), crs=4326)


@pytest.mark.parametrize(
    ("datum", "move", "distance"),
    [("gcj02", crs.wgs84_to_gcj02, 560), ("bd09", crs.wgs84_to_bd09, 1400)],
)
@pytest.mark.parametrize("width", [1200.0, 2000.0, 8000.0])
def test_a_shift_is_told(datum: str, move: Any, distance: float, width: float) -> None:
    boundary, houses = a_place(width)
    told = detect_shift(read_as(houses, move), boundary)
    assert told is not None
    assert told["datum"] == datum
    assert told["share_mended"] == pytest.approx(1.0)
    assert told["share_given"] < 0.95
    assert told["distance_m"] == pytest.approx(distance, rel=0.15)
    assert told["remedy"] == f"--datum {datum}"
    json.dumps(told)


def test_swapped_coordinates_are_told() -> None:
    boundary, houses = a_place()
    told = detect_shift(read_as(houses, lambda x, y: (y, x)), boundary)
    assert told is not None
    assert (told["datum"], told["share_given"], told["remedy"]) == ("swapped", 0, "--map lon=lat --map lat=lon")


def test_the_warning_says_share_distance_and_remedy_and_mends_nothing() -> None:
    boundary, houses = a_place()
    shifted = read_as(houses, crs.wgs84_to_gcj02)
    before = shifted.copy()
    with pytest.warns(
        GridgisWarning,
        match=r"houses\.csv: only \d\d% of 600 houses lie inside the boundary, 100% would if the coordinates are "
        r"GCJ-02 read as WGS 84 \(5\d\d m off\)\. If they are, read them with --datum gcj02; nothing was changed",
    ):
        warn_of_shift(shifted, boundary, "houses.csv")
    assert shifted.equals(before)


def test_grids_and_metric_houses_tell_as_well() -> None:
    boundary, houses = a_place()
    shifted = read_as(houses, crs.wgs84_to_gcj02).to_crs(4548)
    told = detect_shift(shifted, shapes.squares(4, 4, 500.0))
    assert told is not None
    assert told["datum"] == "gcj02"
    assert boundary.crs == 4326


@pytest.mark.parametrize("metres", [20, 100, 200])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.4])
@pytest.mark.parametrize("side", ["east", "west", "north", "south", "all"])
def test_houses_that_just_stick_out_give_no_alarm(metres: float, share: float, side: str) -> None:
    boundary, houses = a_place()
    xy = shapely.get_coordinates(houses.to_crs(4548).geometry.array) - (shapes.X0, shapes.Y0)
    rng = np.random.default_rng(7)
    moved = rng.random(len(xy)) < share
    along, off = rng.uniform(0, 2000, len(xy)), rng.uniform(0, metres, len(xy))
    outside = {
        "east": np.column_stack([2000 + off, along]), "west": np.column_stack([-off, along]),
        "north": np.column_stack([along, 2000 + off]), "south": np.column_stack([along, -off]),
    }  # fmt: skip
    sides = list(outside.values()) if side == "all" else [outside[side]]
    for i, places in enumerate(sides):
        here = moved & (np.arange(len(xy)) % len(sides) == i)
        xy[here] = places[here]
    assert detect_shift(houses_at(*map(tuple, xy)).to_crs(4326), boundary) is None


def test_no_houses_few_houses_and_no_place_give_no_alarm() -> None:
    boundary, houses = a_place()
    warn_of_shift(None, boundary)
    warn_of_shift(houses, boundary, "houses")
    warn_of_shift(pd.DataFrame({"code": ["a"]}), boundary)
    assert detect_shift(houses.iloc[:0], boundary) is None
    assert detect_shift(read_as(houses.iloc[:4], crs.wgs84_to_bd09), boundary) is None
    assert detect_shift(houses.set_geometry([None] * len(houses), crs=4326), boundary) is None
    elsewhere = houses.set_geometry(houses.translate(3, 2).to_numpy(), crs=4326)
    assert detect_shift(elsewhere, boundary) is None


# --- chain ------------------------------------------------------------------------------------------------------------


def check_conserved(result: Chain, persons: pd.DataFrame, houses: pd.DataFrame) -> None:
    """The laws: parts add up at each link, breaks are as many as counted, totals add up to what came in."""
    for link, counts in result.counts.items():
        assert counts["total"] == counts["complete"] + counts["broken"], link
        if "how" in counts:
            assert sum(counts["how"].values()) == counts["total"]
    broken = result.breaks.groupby("link").size().to_dict()
    for link in set(result.counts) - {"person_house", "person_grid", "household_grid"}:
        assert broken.get(link, 0) == result.counts[link]["broken"]
    first = result.counts["person_house"]
    assert first["broken"] <= broken.get("person_house", 0) <= first["broken"] + first["wrong_code"]
    totals = result.totals
    assert totals["persons"].sum() == len(persons)
    assert totals["houses"].sum() == len(houses)
    wanted = houses["households"].sum() if "households" in houses.columns else len(houses)
    assert totals["households"].sum() == wanted
    placed = totals[totals["grid"].notna()]
    assert placed["persons"].sum() == result.counts["person_grid"]["complete"]
    assert placed["households"].sum() == result.counts["household_grid"]["complete"]
    assert not result.breaks.duplicated(["link", "id"]).any()
    json.dumps({**result.counts, "breaks": result.breaks.to_dict("records")}, allow_nan=False)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_chain_conserves_whatever_is_broken(data: st.DataObject) -> None:
    place = st.one_of(st.none(), st.tuples(st.integers(-50, 350), st.integers(-50, 350)))
    places = data.draw(st.lists(place, min_size=1, max_size=12))
    houses = houses_at(*places)
    size = len(houses)
    houses["households"] = data.draw(st.lists(st.integers(0, 9), min_size=size, max_size=size))
    houses["building"] = data.draw(
        st.lists(st.sampled_from(["b0", "b1", "b2", "b9", None]), min_size=size, max_size=size)
    )
    codes = st.one_of(st.none(), st.sampled_from([f"h{i}" for i in range(15)]))
    given_codes = data.draw(st.lists(codes, max_size=20))
    persons = pd.DataFrame({"id": [f"p{i}" for i in range(len(given_codes))], "house": given_codes}, dtype=object)
    buildings = buildings_of(shapely.box(10, 10, 20, 20), shapely.box(290, 10, 310, 20), shapely.box(900, 0, 910, 9))
    grids = data.draw(st.sampled_from([shapes.squares(), shapes.with_lake(), shapes.with_none(), shapes.contained()]))
    built = data.draw(st.sampled_from([None, buildings]))
    result = chain(persons, houses, grids, built)
    check_conserved(result, persons, houses)
    ready = chain(assign_persons(persons, houses), assign_houses(houses, grids), grids, built)
    assert ready.counts == result.counts
    pd.testing.assert_frame_equal(ready.breaks, result.breaks)
    pd.testing.assert_frame_equal(ready.totals, result.totals)


def test_every_break_is_listed_with_its_reason() -> None:
    houses = houses_at((50, 50), (150, 50), (500, 50), (250, 50), codes=["H1", "H2", "H3", "H4"]).assign(
        building=["b0", None, "b1", "b7"], address=["成府路1号", None, "成府路3号", None], households=[10, 20, 30, 40]
    )
    buildings = buildings_of(shapely.box(40, 40, 60, 60), shapely.box(490, 40, 510, 60))
    persons = pd.DataFrame(
        {
            "id": ["p1", "p2", "p3", "p4", "p5"],
            "house": ["H1", "H3", "H8", "H9", None],
            "address": [None, None, "成府路1号", None, None],
        }
    )
    result = chain(persons, houses, shapes.with_none(), buildings)
    assert result.breaks.to_numpy().tolist() == [
        ["person_house", "p3", "the given house does not exist; found by address"],
        ["person_house", "p4", "the given house does not exist; no house fits what is given"],
        ["person_house", "p5", "no house fits what is given"],
        ["house_building", "H2", "no building is given"],
        ["house_building", "H4", "the building does not exist"],
        ["building_grid", "b1", "in no grid"],
        ["house_grid", "H3", "in no grid"],
        ["grid_map", "none", "the grid has no geometry"],
    ]
    assert result.counts["person_house"] == {
        "total": 5, "complete": 3, "broken": 2, "wrong_code": 2, "how": {"address": 1, "code": 2, "none": 2},
    }  # fmt: skip
    assert result.counts["person_grid"] == {"total": 5, "complete": 2, "broken": 3}
    assert result.counts["household_grid"] == {"total": 100, "complete": 70, "broken": 30}
    rows = result.totals.set_index("grid")
    assert rows.loc["11"].tolist() == [1, 1, 10, 2]
    assert rows.iloc[-1].tolist() == [1, 1, 30, 3]
    check_conserved(result, persons, houses)


def test_a_chain_without_breaks() -> None:
    houses = houses_at((50, 50), (150, 50))
    persons = pd.DataFrame({"id": ["1", "2", "3"], "house": ["h0", "h0", "h1"]})
    result = chain(persons, houses, shapes.squares())
    assert len(result.breaks) == 0
    assert list(result.breaks.columns) == ["link", "id", "reason"]
    assert result.totals["grid"].tolist() == shapes.squares()["code"].tolist()
    assert result.totals["persons"].tolist() == [2, 1] + [0] * 7
    assert set(result.counts) == {"person_house", "house_grid", "grid_map", "person_grid", "household_grid"}


def test_houses_without_a_place_are_where_their_building_is() -> None:
    houses = pd.DataFrame({"code": ["H1", "H2"], "building": ["b0", "b9"]})
    persons = pd.DataFrame({"id": ["1"], "house": ["H1"]})
    buildings = buildings_of(shapely.box(110, 10, 120, 20))
    result = chain(persons, houses, shapes.squares(), buildings)
    assert result.totals.set_index("grid").loc["12"].tolist() == [1, 1, 1, 1]
    assert result.counts["house_grid"]["how"] == {"building": 1, "none": 1}
    with pytest.raises(GeometryError, match=r"houses need a place; .* the column grid, or buildings"):
        chain(persons, houses, shapes.squares())


def test_a_grid_of_another_plan_is_a_break() -> None:
    houses = houses_at((50, 50), (150, 50)).assign(grid=["11", "old"])
    result = chain(pd.DataFrame({"id": ["1"], "house": ["h1"]}), houses, shapes.squares())
    assert result.breaks.to_numpy().tolist() == [["house_grid", "h1", "its grid is not on the map"]]
    assert result.counts["person_grid"]["broken"] == 1


def test_houses_in_another_grid_than_their_building_are_counted() -> None:
    houses = houses_at((110, 15)).assign(building=["b0"])
    buildings = buildings_of(shapely.box(0, 0, 120, 20))
    result = chain(pd.DataFrame({"id": ["1"], "house": ["h0"]}), houses, shapes.squares(), buildings)
    assert result.counts["house_grid"]["other_than_building"] == 1
    assert len(result.breaks) == 0


def test_small_counts_are_suppressed_for_the_public() -> None:
    houses = houses_at(*[(50, 50)] * 4, *[(150, 50)] * 6)
    persons = pd.DataFrame({"id": range(10), "house": [f"h{i}" for i in range(10)]})
    totals = chain(persons, houses, shapes.squares()).totals
    public = public_totals(totals)
    assert public["persons"].fillna(-1).tolist() == [-1, 6] + [0] * 7
    assert public.attrs["parameters"] == {"small_count": 5.0}
    assert totals["persons"].tolist()[:2] == [4, 6]
    assert public_totals(totals, Parameters(small_count=2))["persons"].tolist()[:2] == [4, 6]


# --- real ground ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def qinghuayuan(places: Path) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """The boundary of 清华园街道 and the buildings inside it."""
    boundary = read(f"{places}/beijing/haidian-all.geojson#110108014", table="boundary")
    with pytest.warns(GridgisWarning):  # the northern tip has no data
        layers = read_osm(places / "qinghuayuan" / "map.osm", boundary)
    buildings = layers["buildings"]
    return boundary, buildings[buildings.intersects(boundary.union_all())]


@pytest.mark.places
def test_real_buildings_get_estimates_only_where_people_live(
    qinghuayuan: tuple[gpd.GeoDataFrame, gpd.GeoDataFrame],
) -> None:
    boundary, buildings = qinghuayuan
    found = estimate_households(buildings, PROFILE)
    homes = found["kind"].isin(["residential", "apartments", "dormitory"])
    assert homes.sum() == 145
    assert found["estimated"].equals(homes)
    assert found["households"].notna().equals(homes)
    houses = houses_of_buildings(found)
    placed = assign_houses(houses, boundary, within=50)
    assert len(placed) == 145
    assert placed["grid"].notna().all()
    assert assign_buildings(found, boundary)["grid"].notna().all()
    shapely.prepare(found.geometry.array)
    assert shapely.contains(found.geometry.loc[houses.index].array, houses.geometry.array).all()


@pytest.mark.places
def test_a_real_place_read_in_gcj02_is_told(qinghuayuan: tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]) -> None:
    boundary, buildings = qinghuayuan
    houses = houses_of_buildings(estimate_households(buildings, PROFILE))
    assert detect_shift(houses, boundary) is None
    told = detect_shift(read_as(houses, crs.wgs84_to_gcj02), boundary)
    assert told is not None
    assert told["datum"] == "gcj02"
