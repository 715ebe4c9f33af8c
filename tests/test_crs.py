"""The metric CRS of a place, and the shifted coordinates of Chinese maps."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gridgis import crs
from gridgis.errors import CRSError, InputError

# The land of China lies well inside these; the shift itself ends at 72.004–137.8347 E, 0.8293–55.8271 N.
LON = st.floats(73.0, 136.0)
LAT = st.floats(3.0, 54.0)
EXACT = 1e-9

# (WGS 84, GCJ-02) as published, latitude first.
PAIRS = [
    ((31.1774276, 121.5272106), (31.17530398364597, 121.531541859215)),
    ((22.543847, 113.912316), (22.540796131694766, 113.9171764808363)),
    ((39.911954, 116.377817), (39.91334545536069, 116.38404722455657)),
    ((39.915, 116.404), (39.91640428150164, 116.41024449916938)),
]

IN_CHINA = {
    "Beijing": (116.4, 39.9), "Tsinghua": (116.32, 40.0), "Taipei": (121.56, 25.04), "Kaohsiung": (120.3, 22.63),
    "Hong Kong": (114.17, 22.3), "Macau": (113.55, 22.2), "Urumqi": (87.6, 43.8), "Kashgar": (75.99, 39.47),
    "Altay": (88.13, 47.85), "Tacheng": (82.98, 46.75), "Khorgas": (80.42, 44.21), "Heihe": (127.53, 50.24),
    "Mohe": (122.54, 52.97), "Fuyuan": (134.31, 48.36), "Suifenhe": (131.15, 44.4), "Hunchun": (130.36, 42.86),
    "Dandong": (124.38, 40.13), "Manzhouli": (117.43, 49.59), "Erenhot": (111.98, 43.65), "Lhasa": (91.1, 29.65),
    "Sanya": (109.5, 18.25), "Sansha": (112.34, 16.83), "Jinghong": (100.8, 22.0), "Dongxing": (107.97, 21.55),
    "Dalian": (121.6, 38.9), "Weihai": (122.1, 37.5), "Zhoushan": (122.2, 30.0), "Tongjiang": (132.5, 47.65),
    "Ceke": (101.3, 42.4), "Ganqimaodu": (107.6, 42.4), "Burqin": (86.9, 47.7),
    "Ali": (80.1, 32.5), "Yadong": (88.9, 27.5), "Hotan": (79.9, 37.1), "Ruili": (97.85, 24.01),
}  # fmt: skip
ABROAD = {
    "Cambridge MA": (-71.1, 42.37, 32619), "Providence": (-71.4, 41.8, 32619), "Limerick": (-8.6, 52.7, 32629),
    "Seoul": (127.0, 37.55, 32652), "Pyongyang": (125.75, 39.03, 32651), "Hanoi": (105.85, 21.03, 32648),
    "Da Nang": (108.2, 16.07, 32649), "Delhi": (77.2, 28.6, 32643), "Ulaanbaatar": (106.9, 47.9, 32648),
    "Tokyo": (139.7, 35.7, 32654), "Vladivostok": (131.9, 43.1, 32652), "Almaty": (76.9, 43.25, 32643),
    "Kathmandu": (85.3, 27.7, 32645), "Naha": (127.7, 26.2, 32652), "Manila": (121.0, 14.6, 32651),
    "Vientiane": (102.6, 17.97, 32648), "Sydney": (151.2, -33.9, 32756), "Fiji": (180.0, -17.0, 32701),
}  # fmt: skip


def square(lon: float, lat: float, epsg: int | None = 4326, side: float = 0.01) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(geometry=[shapely.box(lon, lat, lon + side, lat + side)], crs=epsg)


# --- GCJ-02 and BD-09 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wgs", "gcj"), PAIRS)
def test_published_pairs_of_gcj02(wgs: tuple[float, float], gcj: tuple[float, float]) -> None:
    lon, lat = crs.wgs84_to_gcj02(wgs[1], wgs[0])
    assert (float(lon), float(lat)) == pytest.approx((gcj[1], gcj[0]), abs=1e-12)
    back = crs.gcj02_to_wgs84(gcj[1], gcj[0])
    assert (float(back[0]), float(back[1])) == pytest.approx((wgs[1], wgs[0]), abs=EXACT)


def test_published_pair_of_bd09() -> None:
    gcj, bd = (116.41024449916938, 39.91640428150164), (116.41036949371029, 39.92133699351021)
    # Both were published as the images of the same pair of numbers, 116.404 and 39.915.
    assert [float(v) for v in crs.wgs84_to_gcj02(116.404, 39.915)] == pytest.approx(gcj, abs=1e-12)
    assert [float(v) for v in crs.gcj02_to_bd09(116.404, 39.915)] == pytest.approx(bd, abs=1e-12)
    assert [float(v) for v in crs.bd09_to_gcj02(*bd)] == pytest.approx((116.404, 39.915), abs=EXACT)


@settings(deadline=None)
@given(LON, LAT)
def test_gcj02_there_and_back(lon: float, lat: float) -> None:
    back = crs.gcj02_to_wgs84(*crs.wgs84_to_gcj02(lon, lat))
    assert (float(back[0]), float(back[1])) == pytest.approx((lon, lat), abs=EXACT)


@settings(deadline=None)
@given(LON, LAT)
def test_bd09_there_and_back(lon: float, lat: float) -> None:
    back = crs.bd09_to_wgs84(*crs.wgs84_to_bd09(lon, lat))
    assert (float(back[0]), float(back[1])) == pytest.approx((lon, lat), abs=EXACT)
    again = crs.bd09_to_gcj02(*crs.gcj02_to_bd09(lon, lat))
    assert (float(again[0]), float(again[1])) == pytest.approx((lon, lat), abs=EXACT)


@settings(deadline=None)
@given(LON, LAT)
def test_the_shift_is_hundreds_of_metres_never_kilometres(lon: float, lat: float) -> None:
    shifted = crs.wgs84_to_gcj02(lon, lat)
    metres = pyproj.Geod(ellps="WGS84").inv(lon, lat, float(shifted[0]), float(shifted[1]))[2]
    assert 0 <= metres < 1500


@settings(deadline=None)
@given(st.floats(-180, 180), st.floats(-90, 90))
def test_outside_the_box_nothing_is_shifted(lon: float, lat: float) -> None:
    if 71 < lon < 139 and 0 < lat < 57:
        return
    assert [float(v) for v in crs.wgs84_to_gcj02(lon, lat)] == [lon, lat]
    assert [float(v) for v in crs.gcj02_to_wgs84(lon, lat)] == [lon, lat]


def test_arrays_are_shifted_like_single_points() -> None:
    lon, lat = np.linspace(75, 135, 50), np.linspace(5, 53, 50)
    together = np.column_stack(crs.wgs84_to_bd09(lon, lat))
    alone = np.array([[float(v) for v in crs.wgs84_to_bd09(x, y)] for x, y in zip(lon, lat, strict=True)])
    assert np.array_equal(together, alone)
    assert np.isnan(crs.gcj02_to_wgs84(np.nan, np.nan)[0])


@pytest.mark.parametrize(
    ("datum", "shift"), [("gcj02", crs.wgs84_to_gcj02), ("bd09", crs.wgs84_to_bd09), ("wgs84", lambda x, y: (x, y))]
)
def test_a_frame_of_a_shifted_datum_comes_back(datum: str, shift: crs.Shift) -> None:
    true = gpd.GeoDataFrame(
        {"code": ["a", "b", "c"]},
        geometry=[shapely.box(116.3, 39.9, 116.4, 40.0), None, shapely.Point(121.5, 31.2)],
        crs=4326,
    ).rename_geometry("ground")
    moved = true.set_geometry(
        shapely.transform(true.geometry.array, lambda xy: np.column_stack(shift(xy[:, 0], xy[:, 1]))), crs=4490
    )
    before = moved.geometry.to_wkb().tolist()
    back = crs.from_datum(moved, datum)
    assert moved.geometry.to_wkb().tolist() == before
    assert back.geometry.name == "ground"
    ours, wanted = (shapely.get_coordinates(f.geometry.array) for f in (back, true))
    assert np.abs(ours - wanted).max() < EXACT
    assert back.crs == (4490 if datum == "wgs84" else 4326)


def test_a_datum_must_be_known_and_have_degrees() -> None:
    with pytest.raises(InputError, match=r"a\.shp: the datum is unknown; found 'nad27'; wanted wgs84, gcj02, bd09"):
        crs.from_datum(square(116, 40), "nad27", "a.shp")
    with pytest.raises(CRSError, match=r"a gcj02 shift needs degrees; found .*; wanted longitude, latitude"):
        crs.from_datum(square(500000, 4400000, 4548), "gcj02")
    with pytest.raises(CRSError, match="is missing"):
        crs.from_datum(square(116, 40, None), "gcj02")


# --- metric CRS -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IN_CHINA)
def test_places_in_china_get_their_three_degree_zone(name: str) -> None:
    lon, lat = IN_CHINA[name]
    zone = crs.zone_crs(lon, lat)
    assert 4534 <= zone.to_epsg() <= 4554
    assert zone.name.startswith("CGCS2000 / 3-degree Gauss-Kruger CM")
    meridian = int(zone.name.split("CM ")[1].rstrip("E"))
    assert abs(lon - meridian) <= 1.5


def test_the_outline_is_one_valid_ring() -> None:
    assert crs._CHINA.is_valid


@pytest.mark.parametrize("name", ABROAD)
def test_places_abroad_get_their_utm_zone(name: str) -> None:
    lon, lat, epsg = ABROAD[name]
    assert crs.zone_crs(lon, lat).to_epsg() == epsg


@settings(deadline=None)
@given(st.floats(-180, 180), st.floats(-80, 84))
def test_lengths_and_areas_are_true_everywhere(lon: float, lat: float) -> None:
    """A square of about 200 m: as long and as large in the zone as on the ellipsoid, to 0.1 % (0.2 % of area)."""
    zone = crs.zone_crs(lon, lat)
    assert crs.is_metric(zone)
    factors = pyproj.Proj(zone).get_factors(lon, lat)
    assert factors.meridional_scale == pytest.approx(1.0, abs=1.1e-3)
    assert factors.areal_scale == pytest.approx(1.0, abs=2.2e-3)


@pytest.mark.parametrize(
    ("code", "metric"),
    [
        (4548, True), (4527, True), (32650, True), (2154, True), (3035, True), (27700, True),
        (26986, True), (2249, False), (3857, False), (3395, False), (4087, False), (4326, False), (4490, False),
        ("ESRI:102100", False), ("ESRI:54034", False), ("ESRI:102012", True),
    ],
)  # fmt: skip
def test_which_crs_may_be_measured_in(code: int | str, metric: bool) -> None:
    """Not US feet (2249), not Web Mercator or the Mercators of the world, not degrees."""
    assert crs.is_metric(pyproj.CRS(code)) is metric


def test_metres_stay_and_degrees_and_feet_are_projected() -> None:
    metres = square(500000, 4400000, 4548, 100)
    assert crs.metric_crs(metres).to_epsg() == 4548
    assert crs.to_metric(metres).geometry.to_wkb().tolist() == metres.geometry.to_wkb().tolist()
    feet = square(-71.1, 42.37).to_crs(2249)
    assert crs.metric_crs(feet).to_epsg() == 32619
    mercator = square(116.3, 39.9).to_crs(3857)
    assert crs.metric_crs(mercator).to_epsg() == 4548
    latitude_first = square(116.3, 39.9, 4490)
    assert crs.metric_crs(latitude_first).to_epsg() == 4548


def test_projecting_there_and_back_and_none() -> None:
    shapes = np.array([shapely.box(116.3, 39.9, 116.4, 40.0), None, shapely.Point()], dtype=object)
    zone = pyproj.CRS(4548)
    flat = crs.project(shapes, crs.WGS84, zone)
    assert flat[1] is None and flat[2].is_empty
    east, north = shapely.get_coordinates(flat[0])[0]
    assert 400_000 < east < 600_000 and 4_400_000 < north < 4_450_000
    back = crs.project(flat, zone, crs.WGS84)
    assert shapely.equals_exact(back[0], shapes[0], 1e-9)
    assert crs.project(shapes, zone, zone) is shapes


def test_a_missing_crs_says_how_to_give_one() -> None:
    with pytest.raises(
        CRSError, match=r"b\.csv: the coordinate reference system is missing\. Name it with --crs EPSG:"
    ):
        crs.metric_crs(square(0, 0, None), "b.csv")


def test_metres_that_claim_to_be_degrees() -> None:
    with pytest.raises(
        CRSError, match=r"not degrees of longitude and latitude; found a centre at 500050\.0, 4400050\.0"
    ):
        crs.metric_crs(square(500000, 4400000, 4326, 100))


def test_no_geometry_is_no_place() -> None:
    with pytest.raises(InputError, match="no row has geometry, so the place is unknown"):
        crs.metric_crs(gpd.GeoDataFrame(geometry=[None], crs=4326))


def test_a_local_crs_has_no_place() -> None:
    local = 'LOCAL_CS["site grid",UNIT["foot",0.3048],AXIS["x",EAST],AXIS["y",NORTH]]'
    frame = square(0, 0, None, 10).set_crs(pyproj.CRS.from_wkt(local))
    with pytest.raises(CRSError, match="has no place on the earth; found site grid"):
        crs.metric_crs(frame)
