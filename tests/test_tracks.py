"""Reading tracks, and what cleaning sets aside."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridgis import crs
from gridgis.errors import CRSError, GeometryError, GridgisWarning, InputError, SchemaError
from gridgis.files.tracks import read_tracks
from gridgis.patrol.cleaning import _dead_band, cleaned_vertices
from gridgis.patrol.compiled import compile_loop
from gridgis.patrol.tracks import REASONS, clean_tracks
from gridgis.profile import Parameters

METRES = "EPSG:4548"  # CGCS2000, central meridian 117 E
ORIGIN = np.array([442000.0, 4430000.0])


def gpx(points: str, name: str = "<name>w1</name>") -> str:
    return f'<gpx version="1.1" creator="t"><trk>{name}<trkseg>{points}</trkseg></trk></gpx>'


def point(lat: float, lon: float, time: str | None) -> str:
    stamp = f"<time>{time}</time>" if time else ""
    return f'<trkpt lat="{lat}" lon="{lon}">{stamp}</trkpt>'


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def fixes(seconds: list[float], xy: list[tuple[float, float]], staff: str = "w1") -> pd.DataFrame:
    """Fixes at metres from a corner in Beijing, `seconds` after eight in the morning."""
    points = gpd.GeoSeries(gpd.points_from_xy(*(np.array(xy) + ORIGIN).T), crs=METRES).to_crs(4326)
    time = pd.Timestamp("2026-03-02T08:00+08:00").tz_convert("UTC") + pd.to_timedelta(seconds, unit="s")
    return pd.DataFrame({"staff": staff, "time": time, "lon": points.x.to_numpy(), "lat": points.y.to_numpy()})


def walk(count: int, step_s: float = 10.0, step_m: float = 12.0) -> pd.DataFrame:
    return fixes([i * step_s for i in range(count)], [(i * step_m, 0.0) for i in range(count)])


# --- reading ----------------------------------------------------------------------------------------------------------


def test_gpx_points_become_fixes(tmp_path: Path) -> None:
    text = gpx(point(40, 116, "2026-03-02T00:00:00Z") + point(40.001, 116.001, "2026-03-02T08:00:30+08:00"))
    out = read_tracks(write(tmp_path / "a.gpx", text))
    assert list(out.columns) == ["staff", "time", "lon", "lat", "accuracy"]
    assert out["time"].dt.tz is not None
    assert (out["time"].iloc[1] - out["time"].iloc[0]).total_seconds() == 30
    assert out[["staff", "lon", "lat"]].iloc[1].tolist() == ["w1", 116.001, 40.001]
    assert out["accuracy"].isna().all()


def test_whose_walk_it_is(tmp_path: Path) -> None:
    moment = point(40, 116, "2026-03-02T00:00:00Z")
    named = write(tmp_path / "file7.gpx", gpx(moment))
    assert read_tracks(named)["staff"].tolist() == ["w1"]
    assert read_tracks(named, staff_from="file")["staff"].tolist() == ["file7"]
    nameless = write(tmp_path / "file8.gpx", gpx(moment, ""))
    assert read_tracks(nameless)["staff"].tolist() == ["file8"]
    table = write(tmp_path / "w9.csv", "time,lon,lat\n2026-03-02T08:00:00+08:00,116,40\n")
    assert read_tracks(table)["staff"].tolist() == ["w9"]


def test_every_format_gives_the_same_fixes(tmp_path: Path) -> None:
    text = "staff,time,lon,lat,accuracy,battery\nw1,2026-03-02T08:00:00+08:00,116.25,40.5,4,80\n"
    csv = write(tmp_path / "t.csv", text)
    wanted = read_tracks(csv)
    assert wanted["battery"].tolist() == ["80"]
    wanted.to_parquet(tmp_path / "t.parquet")
    points = gpd.GeoDataFrame(
        wanted.drop(columns=["lon", "lat"]), geometry=gpd.points_from_xy(wanted["lon"], wanted["lat"]), crs=4326
    )
    points.to_parquet(tmp_path / "geo.parquet")
    points.assign(time=["2026-03-02T08:00:00+08:00"]).to_file(tmp_path / "t.geojson")
    for name in ("t.parquet", "geo.parquet", "t.geojson"):
        out = read_tracks(tmp_path / name)[wanted.columns]
        pd.testing.assert_frame_equal(out, wanted, check_dtype=False)


def test_chinese_headers_and_encodings(tmp_path: Path) -> None:
    text = "工号,时间,经度,纬度,精度\n001,2026-03-02T08:00:00+08:00,116,40,5\n"
    for encoding in ("utf-8", "utf-8-sig", "gb18030"):
        (tmp_path / "t.csv").write_bytes(text.encode(encoding))
        out = read_tracks(tmp_path / "t.csv")
        assert out[["staff", "lon", "lat", "accuracy"]].to_numpy().tolist() == [["001", 116.0, 40.0, 5.0]]


def test_folders_are_read_by_name_and_headers_renamed(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    write(tmp_path / "b" / "w2.csv", "when,lon,lat\n2026-03-02T08:00:00Z,116,40\n")
    write(tmp_path / "a.csv", "staff,when,lon,lat\nw1,2026-03-02T08:00:00Z,116,40\n")
    write(tmp_path / "notes.txt", "nothing")
    out = read_tracks(tmp_path, rename={"when": "time"})
    assert out["staff"].tolist() == ["w1", "w2"]
    assert read_tracks([tmp_path / "b", tmp_path / "a.csv"], rename={"when": "time"})["staff"].tolist() == ["w2", "w1"]


def test_a_shifted_datum_comes_back(tmp_path: Path) -> None:
    for datum, shift in (("gcj02", crs.wgs84_to_gcj02), ("bd09", crs.wgs84_to_bd09)):
        lon, lat = (float(v) for v in shift(116.377817, 39.911954))
        path = write(tmp_path / "t.csv", f"staff,time,lon,lat\nw1,2026-03-02T08:00:00Z,{lon!r},{lat!r}\n")
        out = read_tracks(path, datum=datum)
        assert out[["lon", "lat"]].to_numpy()[0] == pytest.approx([116.377817, 39.911954], abs=1e-9)
    with pytest.raises(InputError, match="datum is unknown; found 'nad27'; wanted wgs84, gcj02, bd09"):
        read_tracks(path, datum="nad27")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("cut.gpx", gpx(point(40, 116, "2026-03-02T00:00:00Z"))[:90], r"cut\.gpx: the GPX is broken: .*line 1.*Export"),
        ("empty.gpx", "", r"empty\.gpx: the GPX is broken"),
        ("bad.gpx", gpx('<trkpt lat="north" lon="2"></trkpt>'), "the GPX is broken: .*north"),
        ("none.gpx", "<html></html>", "holds no track points"),
        ("route.gpx", gpx(point(40, 116, None) * 3), "has no times; found 3 points without <time>"),
        ("far.gpx", gpx(point(95, 116, "2026-03-02T00:00:00Z")), r"not degrees \(row 1\); found 116 95"),
        ("naive.csv", "staff,time,lon,lat\nw1,2026-03-02T08:00:00,116,40\n", "'time' has values.*with its zone"),
        ("text.csv", "staff,time,lon,lat\nw1,2026-03-02T08:00:00Z,east,40\n", "column 'lon' has values.*found 'east'"),
        ("short.csv", "staff,time,lon\nw1,2026-03-02T08:00:00Z,116\n", "a fix needs the column 'lat'"),
        ("void.csv", "", "the CSV cannot be read"),
        ("broken.geojson", '{"type": "FeatureCollection", "fea', "the GeoJSON cannot be read"),
        ("broken.parquet", "PAR1", "the Parquet file cannot be read"),
        ("walk.kml", "<kml/>", "not a kind of track file that is known; found '.kml'; wanted .gpx, .csv"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_tracks(write(tmp_path / name, text))
    assert name in str(caught.value)


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        read_tracks(tmp_path / "none.gpx")
    with pytest.raises(InputError, match=r"the folder holds no tracks; wanted \.gpx"):
        read_tracks(tmp_path)
    with pytest.raises(InputError, match="no track files were named"):
        read_tracks([])
    (tmp_path / "x.csv").write_bytes(b"staff,time\n\xff\xff,\x80\n")
    with pytest.raises(InputError, match="neither UTF-8 nor GB 18030"):
        read_tracks(tmp_path / "x.csv")
    (tmp_path / "x.gpx").write_bytes(b"<gpx>\xff</gpx>")
    with pytest.raises(InputError, match="not UTF-8 text"):
        read_tracks(tmp_path / "x.gpx")


def test_geojson_of_lines_is_refused(tmp_path: Path) -> None:
    line = {"type": "Feature", "properties": {}, "geometry": {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}}
    path = write(tmp_path / "l.geojson", json.dumps({"type": "FeatureCollection", "features": [line]}))
    with pytest.raises(GeometryError, match=r"a fix is one point with its time.*found LineString; wanted Point"):
        read_tracks(path)


def test_geoparquet_without_a_crs_is_refused(tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame({"time": ["2026-03-02T08:00:00Z"]}, geometry=gpd.points_from_xy([1], [1]))
    frame.to_parquet(tmp_path / "p.parquet")
    with pytest.raises(CRSError, match="coordinate reference system is missing"):
        read_tracks(tmp_path / "p.parquet")


def test_points_without_time_and_times_without_zone_are_told(tmp_path: Path) -> None:
    some = gpx(point(40, 116, "2026-03-02T00:00:00Z") + point(40, 116, None))
    with pytest.warns(GridgisWarning, match="1 of 2 points have no time and were left out"):
        assert len(read_tracks(write(tmp_path / "a.gpx", some))) == 1
    naive = gpx(point(40, 116, "2026-03-02T00:00:00") + point(40, 116, "2026-03-02T00:01:00Z"))
    with pytest.warns(GridgisWarning, match="1 times have no zone and were read as UTC"):
        out = read_tracks(write(tmp_path / "b.gpx", naive))
    assert (out["time"].iloc[1] - out["time"].iloc[0]).total_seconds() == 60


@pytest.mark.places
def test_the_bus_of_limerick(places: Path) -> None:
    out = read_tracks(places / "limerick")
    assert len(out) == 2144
    clean = clean_tracks(out, Parameters(timezone="Europe/Dublin"))
    # It rides: most fixes lie between two steps faster than any walk.
    assert clean.attrs["dropped"]["too fast"] > 700
    assert clean["date"].unique().tolist() == [pd.Timestamp("2019-02-18")]
    metres = gpd.GeoSeries(gpd.points_from_xy(out["lon"], out["lat"]), crs=4326).to_crs(32629)
    assert np.hypot(np.diff(metres.x), np.diff(metres.y)).sum() == pytest.approx(14_000, rel=0.03)


# --- cleaning: laws ---------------------------------------------------------------------------------------------------

some_fixes = st.lists(
    st.tuples(st.integers(0, 2000), st.integers(-300, 300), st.integers(-300, 300), st.sampled_from(["a", "b"])),
    min_size=1, max_size=40,
)  # fmt: skip


def made(rows: list[tuple[int, int, int, str]]) -> pd.DataFrame:
    out = fixes([t for t, _, _, _ in rows], [(x, y) for _, x, y, _ in rows])
    return out.assign(staff=[s for _, _, _, s in rows])


@settings(max_examples=60, deadline=None)
@given(some_fixes, st.randoms())
def test_the_order_of_rows_does_not_matter(rows: list[tuple[int, int, int, str]], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (clean_tracks(made(r)).reset_index(drop=True) for r in (rows, shuffled))
    pd.testing.assert_frame_equal(one, other)
    assert one.attrs["dropped"] == other.attrs["dropped"]


@settings(max_examples=60, deadline=None)
@given(some_fixes)
def test_nothing_is_lost_and_twice_is_once(rows: list[tuple[int, int, int, str]]) -> None:
    given_fixes = made(rows)
    before = given_fixes.copy()
    clean = clean_tracks(given_fixes)
    pd.testing.assert_frame_equal(given_fixes, before)
    assert sorted(clean.index) == sorted(given_fixes.index)
    assert sum(clean.attrs["dropped"].values()) + clean.attrs["counts"]["kept"] == len(rows)
    assert list(clean.attrs["dropped"]) == list(REASONS)
    pd.testing.assert_frame_equal(clean_tracks(clean), clean)
    assert (clean["segment"] >= 0).equals(clean["kept"])


@settings(max_examples=60, deadline=None)
@given(some_fixes)
def test_no_line_is_drawn_over_a_gap_or_faster_than_a_walk(rows: list[tuple[int, int, int, str]]) -> None:
    clean = clean_tracks(made(rows), Parameters(gap_s=100, max_speed_mps=3))
    kept = clean[clean["kept"]]
    xy = gpd.GeoSeries(gpd.points_from_xy(kept["lon"], kept["lat"]), crs=4326).to_crs(METRES)
    seconds = kept["time"].diff().dt.total_seconds().to_numpy()[1:]
    metres = np.hypot(np.diff(xy.x), np.diff(xy.y))
    joined = np.diff(kept["segment"]) == 0
    assert (seconds[joined] <= 100).all()
    assert (metres[joined] <= 3.01 * seconds[joined]).all()
    assert (kept["staff"].to_numpy()[1:] == kept["staff"].to_numpy()[:-1])[joined].all()


@pytest.mark.parametrize("seed", range(5))
def test_the_compiled_loop_says_the_same(seed: int) -> None:
    loop = compile_loop(_dead_band)
    assert loop is not None, "numba is one of the tools for the tests"
    random = np.random.default_rng(seed)
    xy = np.cumsum(random.normal(0, 4, (3000, 2)), axis=0)
    piece = np.sort(random.integers(0, 5, 3000))
    plain = cleaned_vertices(piece, xy, 10.0)
    compiled = loop(piece, xy[:, 0].copy(), xy[:, 1].copy(), 10.0, np.zeros(3000, dtype=bool))
    assert (plain == compiled).all()


# --- cleaning: examples -----------------------------------------------------------------------------------------------


def test_same_times_keep_the_most_accurate() -> None:
    double = pd.concat([walk(3), walk(3)], ignore_index=True).assign(accuracy=[9, 9, 9, 5, 5, 30.0])
    clean = clean_tracks(double)
    assert clean.attrs["dropped"]["same time"] == 3
    assert clean.loc[clean["kept"], "accuracy"].tolist() == [5, 5, 9]
    assert clean.attrs["counts"]["out of order"] == 1


def test_impossible_times_and_places_are_set_aside() -> None:
    bad = walk(6)
    bad.loc[1, "time"] = pd.Timestamp("1901-01-01", tz="UTC")
    bad.loc[2, "time"] = pd.NaT
    bad.loc[3, ["lon", "lat"]] = 0.0
    bad.loc[4, "lon"] = np.nan
    clean = clean_tracks(bad.assign(accuracy=[5, 5, 5, 5, 5, 99.0]))
    dropped = {k: n for k, n in clean.attrs["dropped"].items() if n}
    assert dropped == {"no time": 1, "before GPS": 1, "no position": 2, "poor accuracy": 1}
    assert clean["why"].loc[[0, 1, 2, 3, 4, 5]].astype(object).where(lambda s: s.notna(), None).tolist() == [
        None, "before GPS", "no time", "no position", "no position", "poor accuracy",
    ]  # fmt: skip


def test_a_jump_is_cut_out_and_the_walk_goes_on() -> None:
    jumping = walk(20)
    jumping.loc[[8, 9], "lon"] += 0.01
    clean = clean_tracks(jumping)
    assert clean.index[~clean["kept"]].tolist() == [8, 9]
    assert set(clean.loc[~clean["kept"], "why"]) == {"jump"}
    assert clean["segment"].max() == 0


def test_a_lasting_move_is_two_segments_not_a_jump() -> None:
    moved = walk(20)
    moved.loc[10:, "lon"] += 0.01
    clean = clean_tracks(moved)
    assert clean["kept"].all()
    assert clean["segment"].tolist() == [0] * 10 + [1] * 10
    assert clean["session"].max() == 0


def test_a_first_fix_far_off_and_a_ride_are_too_fast() -> None:
    start = walk(10)
    start.loc[0, "lat"] += 0.02
    assert clean_tracks(start).attrs["dropped"]["too fast"] == 1
    ride = walk(30, step_s=1.0, step_m=12.0)
    assert clean_tracks(ride).attrs["dropped"]["too fast"] == 30


def test_gaps_part_segments_and_long_pauses_part_sessions() -> None:
    times = [0, 60, 120, 120 + 301, 500, 500 + 1801, 2400]
    clean = clean_tracks(fixes([float(t) for t in times], [(i * 5.0, 0) for i in range(7)]))
    assert clean["segment"].tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert clean["session"].tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert clean.attrs["counts"]["gaps"] == 1
    assert clean.attrs["counts"]["within dead band"] == 7 - clean.attrs["counts"]["vertices"]


def test_days_are_local_and_belong_to_the_start() -> None:
    night = walk(3).assign(time=pd.to_datetime(["2026-03-02T15:58Z", "2026-03-02T15:59Z", "2026-03-02T16:01Z"]))
    # 23:58 in Beijing, and on past midnight.
    assert set(clean_tracks(night)["date"]) == {pd.Timestamp("2026-03-02")}
    assert set(clean_tracks(night.iloc[2:])["date"]) == {pd.Timestamp("2026-03-03")}
    assert set(clean_tracks(night.iloc[2:], Parameters(timezone="UTC"))["date"]) == {pd.Timestamp("2026-03-02")}


def drift(seed: int, count: int = 3600, sigma: float = 4.0, memory_s: float = 60.0) -> np.ndarray:
    """The wandering of a phone's position at 1 Hz: noise with a memory, and a little without."""
    random = np.random.default_rng(seed)
    keep = np.exp(-1 / memory_s)
    out = np.zeros((count, 2))
    for i in range(1, count):
        out[i] = keep * out[i - 1] + random.normal(0, sigma * np.sqrt(1 - keep**2), 2)
    return out + random.normal(0, 0.4, (count, 2))


@pytest.mark.parametrize("seed", range(4))
def test_a_phone_that_lies_still_walks_next_to_nothing(seed: int) -> None:
    xy = drift(seed)
    raw = np.hypot(*np.diff(xy, axis=0).T).sum()
    vertex = cleaned_vertices(np.zeros(len(xy), dtype=np.int64), xy, 10.0)
    assert raw > 3000
    assert np.hypot(*np.diff(xy[vertex], axis=0).T).sum() < 150


@pytest.mark.parametrize("seed", range(4))
def test_a_walk_keeps_its_length(seed: int) -> None:
    random = np.random.default_rng(seed)
    turns = np.cumsum(np.repeat(random.choice([-1, 1], 36), 100)) / 100 * np.pi / 2
    heading = np.round(turns / (np.pi / 2)) * np.pi / 2
    truth = np.cumsum(np.column_stack([np.cos(heading), np.sin(heading)]), axis=0)
    xy = truth + drift(seed)
    vertex = cleaned_vertices(np.zeros(len(xy), dtype=np.int64), xy, 10.0)
    assert np.hypot(*np.diff(xy, axis=0).T).sum() / 3600 > 1.3
    assert np.hypot(*np.diff(xy[vertex], axis=0).T).sum() / 3600 == pytest.approx(1.0, abs=0.08)


def test_bad_frames_are_one_clear_error() -> None:
    with pytest.raises(SchemaError, match="fixes need the column 'lat'; found 'staff', 'time', 'lon'"):
        clean_tracks(walk(2).drop(columns="lat"))
    naive = walk(2).assign(time=pd.to_datetime(["2026-03-02", "2026-03-03"]))
    with pytest.raises(SchemaError, match=r"times of the fixes have no zone; found datetime64.*tz_localize"):
        clean_tracks(naive)


def test_no_fixes_are_no_error() -> None:
    clean = clean_tracks(walk(1).iloc[:0])
    assert len(clean) == 0
    assert clean.attrs["counts"]["kept"] == 0


def test_without_numba_the_plain_loop_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert compile_loop.__wrapped__(_dead_band) is None
    monkeypatch.setattr("gridgis.patrol.cleaning.compile_loop", compile_loop.__wrapped__)
    monkeypatch.setattr("gridgis.patrol.cleaning._COMPILE_FROM", 1)
    assert clean_tracks(walk(50))["moving"].all()
