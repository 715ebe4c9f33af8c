"""Building to grid by the larger share, shares of straddlers, estimates of households."""

from __future__ import annotations

import json
from itertools import pairwise
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
from shapes import buildings_of, read_as

from gridgis import crs
from gridgis.assign.buildings import assign_buildings, building_shares
from gridgis.assign.estimate import estimate_households, houses_of_buildings
from gridgis.assign.houses import assign_houses
from gridgis.assign.shift import detect_shift
from gridgis.cli import run
from gridgis.errors import GridgisWarning, InputError, SchemaError
from gridgis.files import read, read_osm, write
from gridgis.profile import Norm, Parameters, Profile

PROFILE = Profile("test", "test", Norm({"mixed": 300.0}))


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


@pytest.mark.filterwarnings("ignore::gridgis.errors.GridgisWarning")
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_shares_are_those_of_geos_whatever_the_shapes(data: st.DataObject) -> None:
    """Whole-metre corners, so that edges run along borders and corners lie on them."""
    grids = data.draw(st.sampled_from([shapes.squares, shapes.with_lake, shapes.donut, shapes.overlapping]))()
    corner = st.tuples(st.integers(-3, 33), st.integers(-3, 33)).map(lambda p: (10 * p[0], 10 * p[1]))
    hulls = st.lists(corner, min_size=3, max_size=8).map(lambda points: shapely.MultiPoint(points).convex_hull)
    some = data.draw(st.lists(hulls, min_size=2, max_size=8))
    solid = [h for h in some if h.geom_type == "Polygon"]
    solid += [a.difference(b) for a, b in pairwise(solid)]
    solid = [h for h in solid if h.geom_type in ("Polygon", "MultiPolygon") and not h.is_empty]
    if not solid:
        return
    buildings = buildings_of(*solid)
    found = assign_buildings(buildings, grids).set_index("code")
    ordered = grids.sort_values("code", kind="stable")
    for code, shape in zip(buildings["code"], buildings.geometry, strict=True):
        shares = np.array([shape.intersection(g).area / shape.area for g in ordered.geometry])
        row = found.loc[code]
        if shares.max() < 1e-9:
            assert row["grid_how"] == "none"
            continue
        best = int(np.flatnonzero(shares > shares.max() - 1e-9)[0])
        assert row["grid"] == ordered["code"].iloc[best]
        assert row["grid_share"] == pytest.approx(shares[best], abs=1e-9)
        assert (row["grid_how"] == "inside") == bool(ordered.geometry.iloc[best].covers(shape))


def test_straddlers_are_listed_with_the_shares_of_all_grids() -> None:
    buildings = buildings_of(
        shapely.box(10, 10, 30, 30), shapely.box(80, 80, 120, 120), shapely.box(290, 10, 310, 20), None,
        shapely.box(100, 0, 110, 5),
    )  # fmt: skip
    found = building_shares(buildings, shapes.squares())
    assert found[["code", "grid"]].to_numpy().tolist() == [
        ["b1", "11"], ["b1", "12"], ["b1", "21"], ["b1", "22"], ["b2", "13"], ["b2", None],
    ]  # fmt: skip
    np.testing.assert_allclose(found["share"], [0.25] * 4 + [0.5] * 2, atol=1e-12)
    np.testing.assert_allclose(found["area_m2"], [400] * 4 + [100] * 2, rtol=1e-9)
    np.testing.assert_allclose(found.area, found["area_m2"], rtol=1e-9)
    assert len(building_shares(buildings.iloc[:1], shapes.squares())) == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["metres", "degrees"]))
def test_shares_of_a_straddler_add_up_to_one(seed: int, unit: str) -> None:
    rng = np.random.default_rng(seed)
    corners, sides = rng.uniform(-20, 990, (40, 2)), rng.uniform(5, 80, (40, 2))
    boxes = [shapely.box(x, y, x + w, y + h) for (x, y), (w, h) in zip(corners, sides, strict=True)]
    grids, buildings = shapes.voronoi(40, seed=seed % 5), buildings_of(*boxes)
    if unit == "degrees":
        grids, buildings = shapes.in_degrees(grids), shapes.in_degrees(buildings)
    found = building_shares(buildings, grids)
    np.testing.assert_allclose(found.groupby("code")["share"].sum(), 1, atol=1e-9)
    placed = assign_buildings(buildings, grids).set_index("code")
    assert set(found["code"]) == set(placed.index[placed["grid_how"] == "border"])
    best = found[found["grid"].notna()].sort_values("share").groupby("code").last()
    np.testing.assert_allclose(best["share"], placed.loc[best.index, "grid_share"], atol=1e-12)
    # Cut in degrees, measured in metres: as good as the pieces themselves.
    whole = buildings.to_crs(shapes.METRES).set_index("code").area[found["code"]].to_numpy()
    np.testing.assert_allclose(found.to_crs(shapes.METRES).area / whole, found["share"], atol=1e-5)


def test_buildings_on_ground_claimed_twice_are_warned_of() -> None:
    buildings = buildings_of(shapely.box(195, 110, 215, 120), shapely.box(110, 110, 120, 120))
    with pytest.warns(GridgisWarning, match=r"1 buildings stand on ground that several grids claim.*gridgis validate"):
        found = assign_buildings(buildings, shapes.overlapping())
    assert found["grid"].tolist() == ["23", "22"]


def test_the_command_lists_straddlers_and_their_shares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grids, buildings, out, shares = (tmp_path / f"{name}.geojson" for name in ("g", "b", "out", "shares"))
    write(shapes.squares(), grids)
    write(buildings_of(shapely.box(10, 10, 30, 30), shapely.box(80, 10, 180, 20)), buildings)
    arguments = ["assign", "buildings", str(buildings), "--grids", str(grids), "--shares", str(shares), "-o", str(out)]
    assert run(arguments) == 0
    printed = capsys.readouterr().out
    assert "共 in all 2: border 1, inside 1" in printed
    assert "跨格楼栋 buildings that straddle: 1" in printed
    assert "80.0%" in printed
    assert read(shares)["grid"].tolist() == ["11", "12"]
    assert read(out)["grid"].tolist() == ["11", "12"]
    assert run([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "buildings": 2, "counts": {"border": 1, "inside": 1}, "straddlers": ["b1"],
    }  # fmt: skip


@pytest.mark.places
def test_the_parcels_of_cambridge_fall_into_its_districts_and_join_the_tax_table(places: Path) -> None:
    folder = places / "cambridge"
    districts = read(folder / "PUBLICSAFETY_PoliceResponseDistricts.geojson", rename={"id": "code"})
    parcels = read(folder / "ASSESSING_ParcelsFY2014.topojson", crs="EPSG:4326").rename(columns={"ML": "code"})
    assert len(parcels) == 13_116
    taxed = parcels["code"].isin(read(folder / "TaxFY14.csv")["ML"])
    assert round(taxed.mean(), 3) == 0.990
    placed = assign_buildings(parcels, districts)
    # Two parcels lie 17 and 30 m outside every district, one has no geometry; all others are in one.
    lost = placed[placed["grid"].isna()]
    assert (~lost.geometry.is_empty).sum() == 2
    assert len(lost) == 3
    sectors = districts[["SECTOR", "geometry"]].dissolve("SECTOR", as_index=False).rename(columns={"SECTOR": "code"})
    sector = districts.set_index(districts["code"].astype(str))["SECTOR"].astype(str)
    by_sector = placed["grid"].map(sector).value_counts()
    assert by_sector.sum() == 13_113
    # A parcel across sectors may have its largest piece in a district of the smaller part: few do.
    told = assign_buildings(parcels, sectors)["grid"].value_counts()
    assert (by_sector - told).abs().max() <= 2
    assert by_sector.sum() == told.sum()


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
