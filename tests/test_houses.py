"""House to grid, and what somebody should look at: problems and shifts."""

from __future__ import annotations

import json
import pickle
import re
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
from shapes import buildings_of, houses_at, random_houses, read_as

from gridgis import crs
from gridgis.assign.buildings import assign_buildings
from gridgis.assign.houses import assign_houses, house_problems
from gridgis.assign.persons import assign_persons
from gridgis.assign.ready import ReadyGrids
from gridgis.assign.shift import detect_shift, warn_of_shift
from gridgis.cli import run
from gridgis.errors import CRSError, GeometryError, GridgisWarning, InputError, SchemaError
from gridgis.files import read, write

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


@pytest.mark.filterwarnings("ignore::gridgis.errors.GridgisWarning")  # the grids overlap: told elsewhere
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


# --- shifts -----------------------------------------------------------------------------------------------------------


def a_place(width: float = 2000.0) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """A boundary and 600 houses in it, all over it; degrees."""
    boundary = shapes.frame([shapely.box(0, 0, width, width)]).to_crs(4326)
    rng = np.random.default_rng(3)
    return boundary, houses_at(*map(tuple, rng.uniform(0, width, (600, 2)))).to_crs(4326)


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


# --- problems ---------------------------------------------------------------------------------------------------------


def test_problems_are_listed_with_grids_metres_and_geometry() -> None:
    houses = houses_at((50, 50), (100, 50), (100, 100), (310, 50), (331, 50), None, codes=list("abcdef"))
    placed = assign_houses(houses, shapes.squares(), within=30)
    found = house_problems(placed, shapes.squares())
    assert found["code"].tolist() == ["b", "c", "d", "e", "f"]
    assert found["problem"].tolist() == ["border", "border", "nearest", "outside", "no place"]
    assert found["grids"].tolist() == ["11;12", "11;12;21;22", "13", "13", None]
    np.testing.assert_allclose(found["distance_m"], [0, 0, 10, 31, np.nan], atol=1e-6)
    assert found["hint"].isna().all()
    assert found.geometry.iloc[0].equals(houses.geometry.iloc[1])
    assert found.attrs["parameters"] == {"within_m": 30.0}
    assert house_problems(placed.drop(columns="code"), shapes.squares())["code"].tolist() == ["2", "3", "4", "5", "6"]


def test_houses_in_grids_that_overlap_are_warned_of_and_listed() -> None:
    houses = houses_at((50, 150), (203, 150), (205, 150), (250, 150))
    with pytest.warns(GridgisWarning, match=r"2 houses lie in several grids at once.*lowest code.*gridgis validate"):
        placed = assign_houses(houses, shapes.overlapping())  # 22 reaches 5 m into 23: up to its edge at 205
    assert placed["grid"].tolist() == ["21", "22", "22", "23"]
    found = house_problems(placed, shapes.overlapping())
    assert found[["code", "problem", "grids"]].to_numpy().tolist() == [
        ["h1", "overlap", "22;23"], ["h2", "overlap", "22;23"],
    ]  # fmt: skip


def test_hints_of_single_houses_swapped_and_of_all_shifted() -> None:
    grids = shapes.squares(4, 4, 500.0).to_crs(4326)
    _, houses = a_place()
    one = read_as(houses.iloc[:1], lambda x, y: (y, x))
    mixed = pd.concat([houses.iloc[1:], one], ignore_index=True)
    found = house_problems(assign_houses(mixed, grids), grids)
    assert found[["code", "problem", "hint"]].to_numpy().tolist() == [["h0", "outside", "swapped"]]
    shifted = read_as(houses, crs.wgs84_to_gcj02)
    found = house_problems(assign_houses(shifted, grids), grids)
    assert set(found["hint"]) == {"gcj02"}
    assert len(found) == assign_houses(shifted, grids)["grid"].isna().sum()


@pytest.mark.filterwarnings("ignore::gridgis.errors.GridgisWarning")
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_house_is_sound_or_listed_once(data: st.DataObject) -> None:
    place = st.one_of(st.none(), st.tuples(st.integers(-40, 340), st.integers(-40, 340)))
    houses = houses_at(*data.draw(st.lists(place, min_size=1, max_size=30)))
    grids = data.draw(st.sampled_from([shapes.squares, shapes.with_lake, shapes.overlapping, shapes.contained]))()
    placed = assign_houses(houses, grids, within=data.draw(st.sampled_from([0, 5, 30])))
    found = house_problems(placed, grids)
    assert found["code"].is_unique
    sound = placed[~placed["code"].isin(found["code"])]
    assert (sound["grid_how"] == "inside").all()
    touched = houses.sjoin(grids[["geometry"]], predicate="intersects").groupby("code").size()
    assert (touched.reindex(sound["code"]) == 1).all()
    several = found[found["problem"].isin(["border", "overlap"])]
    assert (several["grids"].str.count(";") + 1 == touched.reindex(several["code"]).to_numpy()).all()
    outside = found["problem"].isin(["outside", "nearest"])
    assert (found.loc[outside, "distance_m"] > 0).all()
    assert set(found.loc[~outside & (found["problem"] != "no place"), "distance_m"]) <= {0.0}


def test_a_ground_kept_in_memory_gives_the_same_answers() -> None:
    grids, houses = shapes.voronoi(30), random_houses(500)
    kept = ReadyGrids(grids)
    for _ in range(2):
        pd.testing.assert_frame_equal(assign_houses(houses, kept, within=20), assign_houses(houses, grids, within=20))
    sent = pickle.loads(pickle.dumps(kept))
    pd.testing.assert_frame_equal(assign_houses(houses, sent, within=20), assign_houses(houses, grids, within=20))


def test_the_command_lists_problems_and_tells_them_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grids, houses, out, listed = (tmp_path / n for n in ("g.geojson", "h.csv", "out.csv", "list.csv"))
    shapes.squares().to_crs(4326).to_file(grids)
    table = houses_at((50, 50), (400, 50), None, codes=["a", "b", "c"]).to_crs(4326)
    write(table, houses)
    assert run(["assign", "houses", str(houses), "--grids", str(grids), "--problems", str(listed), "-o", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "共 in all 3: inside 1, none 2" in printed
    assert "要查看的房屋 houses to look at: 2" in printed
    assert pd.read_csv(listed)["problem"].tolist() == ["outside", "no place"]
    assert run(["assign", "houses", str(houses), "--grids", str(grids), "-o", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["counts"] == {"inside": 1, "none": 2}
    assert told["shift"] is None
    assert [(p["code"], p["problem"]) for p in told["problems"]] == [("b", "outside"), ("c", "no place")]
    assert told["problems"][0]["distance_m"] == pytest.approx(100, abs=0.1)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("code,lon,lat\na,116.3,39.9\na,116.3,39.9\n", r"h\.csv: the code is not unique \(row a\)"),
        (
            "code,lon,lat\na,东经116度,39.9\n",
            r"h\.csv: the column 'lon' has values that are no numbers \(row 1\); found",
        ),
        ("code,lon,lat\n", r"h\.csv: the table is empty; wanted at least one house"),
        ("code,address\na,b\n", r"h\.csv: the table has no geometry; wanted geometry, or lon and lat columns"),
        ("code,lon,lat\na,447000,4427000\n", r"h\.csv: the coordinates are not degrees"),
    ],
)
def test_houses_that_cannot_be_used_are_told_in_one_line(
    rows: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grids, houses, out = (tmp_path / n for n in ("g.geojson", "h.csv", "out.csv"))
    shapes.squares().to_crs(4326).to_file(grids)
    houses.write_text(rows, "utf-8")
    assert run(["assign", "houses", str(houses), "--grids", str(grids), "-o", str(out)]) == 2
    told = capsys.readouterr().err.strip()
    assert len(told.splitlines()) == 1
    assert re.search(message, told)
    assert not out.exists()


# --- real ground ------------------------------------------------------------------------------------------------------


@pytest.mark.places
def test_the_address_blocks_of_cambridge_fall_into_its_districts_and_counts_are_conserved(places: Path) -> None:
    folder = places / "cambridge"
    districts = read(folder / "PUBLICSAFETY_PoliceResponseDistricts.geojson", rename={"id": "code"})
    blocks = read(folder / "ADDRESS_MasterAddressBlocks.geojson")
    assert (len(blocks), len(districts)) == (749, 117)
    inner = blocks.set_geometry(blocks.representative_point())
    placed = assign_houses(inner, districts)
    assert (placed["grid_how"] == "inside").all()
    sectors = districts[["SECTOR", "geometry"]].dissolve("SECTOR", as_index=False).rename(columns={"SECTOR": "code"})
    sector = districts.set_index(districts["code"].astype(str))["SECTOR"].astype(str)
    by_sector = placed["grid"].map(sector)
    assert by_sector.tolist() == assign_houses(inner, sectors)["grid"].tolist()
    assert by_sector.value_counts().sum() == 749


@pytest.mark.places
def test_the_population_of_providence_by_ward_is_the_sum_of_its_blocks(places: Path) -> None:
    blocks, wards = (read(places / "providence" / f"{name}.zip") for name in ("blocks", "districts"))
    assert (len(blocks), blocks["TOTPOP"].sum(), len(wards)) == (3014, 178_040, 15)
    wards = wards.rename(columns={"id": "code"})
    placed = assign_houses(blocks.set_geometry(blocks.representative_point()), wards)
    assert placed["grid"].notna().all()
    by_ward = placed.groupby("grid")["TOTPOP"].sum()
    named = blocks.assign(WARD=blocks["WARD"].astype(int).astype(str)).groupby("WARD")["TOTPOP"].sum()
    assert by_ward.sum() == 178_040
    assert by_ward.sort_index().to_dict() == named.sort_index().to_dict()
