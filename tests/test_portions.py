"""Tracks out of archives, in portions, and what is set aside; stays and shifted datums."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from walks import drift, grids_of, line, recorded, streets_of, walk

from gridgis import crs
from gridgis.compliance.passing import passed
from gridgis.errors import GridgisWarning, InputError
from gridgis.files import read_tracks, stream_tracks
from gridgis.files.track_sources import MOST_RATIO
from gridgis.patrol.batches import Walked, patrol_batches
from gridgis.patrol.coverage import holes, patrol_coverage
from gridgis.patrol.datum import DATUM_COLUMNS, likely_datums, warn_of_datums
from gridgis.patrol.heat import Heats
from gridgis.patrol.rejects import rejected
from gridgis.patrol.stays import STAY_COLUMNS, _stay_loop, stay_points
from gridgis.patrol.suspicions import suspicions
from gridgis.patrol.tracks import clean_tracks, patrols
from gridgis.profile import Parameters

NOW = pd.Timestamp("2026-04-01T00:00Z")
GRIDS = grids_of(A=shapely.box(0, 0, 300, 300), B=shapely.box(300, 0, 600, 300))
#: The share of grid A on the second day: it has to be settled.
MARK = 0.27927
STAFFED = pd.DataFrame({"staff": [f"w{k}" for k in range(4)]})
ROWS = "time,lon,lat\n2026-03-02T08:00:00Z,116,40\n"


def packed(path: Path, *files: tuple[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files:
            archive.writestr(name, text)
    return path


# --- archives ---------------------------------------------------------------------------------------------------------


def test_an_archive_is_read_like_a_folder(tmp_path: Path) -> None:
    point = '<trkpt lat="40" lon="116"><time>2026-03-02T00:00:00Z</time></trkpt>'
    track = f'<gpx version="1.1" creator="t"><trk><trkseg>{point}</trkseg></trk></gpx>'
    aside = [("__MACOSX/w1.csv", "x"), (".hidden.csv", "x"), ("read.me", "")]
    path = packed(tmp_path / "t.zip", ("b/w2.csv", ROWS), ("a/w1.gpx", track), *aside)
    assert read_tracks(path)["staff"].tolist() == ["w1", "w2"]
    assert read_tracks(tmp_path)["staff"].tolist() == ["w1", "w2"]
    fixes = read_tracks(path)
    fixes.to_parquet(tmp_path / "p.parquet")
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.write(tmp_path / "p.parquet", "p.parquet")
        archive.writestr("g.geojson", gpd.GeoDataFrame(
            {"staff": ["w3"], "time": ["2026-03-02T08:00:00Z"]}, geometry=gpd.points_from_xy([116], [40]), crs=4326
        ).to_json())  # fmt: skip
    assert read_tracks(tmp_path / "more.zip")["staff"].tolist() == ["w3", "w1", "w2"]


def test_chinese_names_in_an_archive_are_read_whatever_wrote_them(tmp_path: Path) -> None:
    packed(tmp_path / "utf8.zip", ("汀芷.csv", ROWS))
    assert read_tracks(tmp_path / "utf8.zip")["staff"].tolist() == ["汀芷"]
    raw = packed(tmp_path / "gb.zip", ("xxxx.csv", ROWS)).read_bytes()
    (tmp_path / "gb.zip").write_bytes(raw.replace(b"xxxx.csv", "汀芷".encode("gb18030") + b".csv"))
    assert read_tracks(tmp_path / "gb.zip")["staff"].tolist() == ["汀芷"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("/etc/w1.csv", ROWS, r"names that lead out of it; found /etc/w1\.csv.*Pack the tracks anew"),
        ("a/../../w1.csv", ROWS, "names that lead out of it"),
        ("C:/w1.csv", ROWS, "names that lead out of it"),
        ("w1.zip", "PK", r"holds another archive; found w1\.zip\. Unpack it first"),
        ("w1.txt", ROWS, "the archive holds no tracks; wanted .gpx"),
        ("w1.csv", "0" * 30_000_000, f"suspiciously large when unpacked; found 1 files.*{MOST_RATIO} times"),
    ],
)  # fmt: skip
def test_an_archive_that_is_no_archive_of_tracks_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_tracks(packed(tmp_path / "t.zip", (name, text)))
    assert "t.zip" in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["t.zip"]


def test_damaged_and_encrypted_archives(tmp_path: Path) -> None:
    path = packed(tmp_path / "t.zip", ("w1.csv", ROWS * 50))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"t\.zip: the archive cannot be read.*cut off"):
        read_tracks(path)
    path.write_bytes(whole[:45] + b"\xff\xff\xff" + whole[48:])
    with pytest.raises(InputError, match=r"w1\.csv: the archive is damaged"):
        read_tracks(path)
    at = whole.rindex(b"PK\x01\x02") + 8
    path.write_bytes(whole[:at] + b"\x01" + whole[at + 1 :])
    with pytest.raises(InputError, match=r"the archive is encrypted; found w1\.csv"):
        read_tracks(path)


# --- rejects ----------------------------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "a.gpx").write_text("<gpx>")
    (tmp_path / "b.csv").write_text(ROWS)
    (tmp_path / "c.zip").write_bytes(b"PK")
    stream = stream_tracks([tmp_path / name for name in ("a.gpx", "b.csv", "c.zip")], pass_over=True)
    for _ in range(2):
        assert pd.concat(stream)["staff"].tolist() == ["b"]
        assert [Path(name).name for name in stream.rejects["source"]] == ["a.gpx", "c.zip"]
    assert stream.rejects["reason"].str.contains("GPX is broken|archive cannot be read").all()
    with pytest.raises(InputError, match="archive cannot be read"):
        list(stream_tracks([tmp_path / "b.csv", tmp_path / "c.zip"]))
    with pytest.raises(InputError, match="GPX is broken"):
        list(stream_tracks([tmp_path / "a.gpx", tmp_path / "c.zip"], pass_over=True))
    stream = stream_tracks(tmp_path / "b.csv", pass_over=True)
    assert len(pd.concat(stream)) == 1
    assert len(stream.rejects) == 0


def test_every_fix_and_patrol_that_is_not_used_has_a_row() -> None:
    fixes = walk(line((0, 10), (200, 10)))
    fixes.loc[3, "time"] = pd.Timestamp("1901-01-01", tz="UTC")
    clean = clean_tracks(fixes)
    walks = patrols(clean, GRIDS, pd.DataFrame({"staff": ["w2"], "grid": ["A"]}))
    files = pd.DataFrame({"source": ["x.gpx"], "reason": ["broken"]})
    assert rejected(clean, walks, files).to_numpy().tolist() == [
        ["files", "x.gpx", "broken"],
        ["tracks", "w1 1901-01-01T00:00:00Z", "before GPS"],
        ["patrols", "w1/20260302T080000", "no posting to a known grid that day"],
    ]
    assert len(rejected(clean_tracks(walk(line((0, 10), (200, 10)))))) == 0


# --- portions ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fixes() -> pd.DataFrame:
    """Five staff on two days; the last hands in the first one's track again."""
    parts = [
        walk(recorded(k + 10 * d, 1500) * 0.8, f"w{k}", f"2026-03-0{2 + d}T08:00", 2)
        for k in range(4)
        for d in range(2)
    ]  # fmt: skip
    again = walk(recorded(0, 1500) * 0.8, "w4", "2026-03-03T15:00", 2)
    return pd.concat([*parts, again], ignore_index=True)


@pytest.mark.parametrize("rows_in_a_group", [400, 3000, 100_000])
def test_portions_hold_whole_persons_and_all_of_them(tmp_path: Path, fixes: pd.DataFrame, rows_in_a_group: int) -> None:
    path = tmp_path / "t.parquet"
    shuffled = fixes.sample(frac=1, random_state=1) if rows_in_a_group == 400 else fixes
    pq.write_table(pa.Table.from_pandas(shuffled, preserve_index=False), path, row_group_size=rows_in_a_group)
    (tmp_path / "w11.csv").write_text(ROWS)
    portions = list(stream_tracks([path, tmp_path / "w11.csv"], rows=2000))
    staff = [set(portion["staff"]) for portion in portions]
    assert sum(map(len, staff)) == len(set.union(*staff)) == 6
    if rows_in_a_group == 3000:
        assert len(portions) > 2
    together = pd.concat(portions).sort_values(["staff", "time"], ignore_index=True)
    whole = read_tracks([path, tmp_path / "w11.csv"]).sort_values(["staff", "time"], ignore_index=True)
    pd.testing.assert_frame_equal(together, whole)


def test_portions_give_what_all_tracks_at_once_give(fixes: pd.DataFrame) -> None:
    postings = pd.DataFrame({"staff": [f"w{k}" for k in range(5)], "grid": ["A", "B", "A", "B", "A"]})
    parameters = Parameters(full_share=2.0)
    portions = [part for _, part in fixes.groupby("staff")]
    seen: list[int] = []
    found = patrol_batches(
        portions, GRIDS, postings, days=[1, 2], now=NOW, parameters=parameters, keep=lambda c: seen.append(len(c))
    )
    clean = clean_tracks(fixes, parameters)
    at_once = patrols(clean, GRIDS, postings, parameters)
    pd.testing.assert_frame_equal(found.patrols, at_once)
    assert found.patrols.attrs["counts"] == clean.attrs["counts"]
    pd.testing.assert_frame_equal(found.coverage, patrol_coverage(clean, GRIDS, days=[1, 2], parameters=parameters))
    odd = suspicions(clean, now=NOW, parameters=parameters)
    assert odd["kind"].tolist() == ["same track"]
    columns = ["staff", "date", "kind", "other", "other_date", "start", "measure"]
    pd.testing.assert_frame_equal(found.suspicions[columns], odd[columns])
    assert sum(seen) == len(fixes)
    with pytest.raises(InputError, match=r"staff who come in two portions \(row w1\)"):
        patrol_batches([portions[1], portions[1]], GRIDS, now=NOW)
    with pytest.raises(InputError, match="there are no tracks; found not one portion"):
        patrol_batches([], GRIDS)


@pytest.fixture(scope="module")
def at_once(
    tmp_path_factory: pytest.TempPathFactory, fixes: pd.DataFrame
) -> tuple[Walked, gpd.GeoDataFrame, pd.DataFrame]:
    path = tmp_path_factory.mktemp("whole") / "t.parquet"
    fixes.to_parquet(path)
    return everything([read_tracks(path)])


def everything(portions: Iterable[pd.DataFrame]) -> tuple[Walked, gpd.GeoDataFrame, pd.DataFrame]:
    """What is found, the heat and who covered what; w4 is not on duty, and one share lies at its mark."""
    postings = pd.DataFrame({"staff": [f"w{k}" for k in range(4)], "grid": ["A", "B", "A", "B"]})
    visits = pd.DataFrame({"staff": ["w0"], "time": [pd.Timestamp("2026-03-02T08:10+08:00")]})
    heats = Heats(GRIDS, postings, Parameters())
    found = patrol_batches(
        portions, GRIDS, postings, days=[1, 2], now=NOW, visits=visits, with_holes=True, shares=[MARK], keep=heats.add
    )
    return found, heats.heat(), heats.covered(found.patrols)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.integers(50, 20_000), parts=st.integers(1, 5), group=st.integers(100, 8000), seed=st.integers(0, 99))
def test_however_tracks_are_parted_the_same_is_found(
    tmp_path_factory: pytest.TempPathFactory,
    fixes: pd.DataFrame,
    at_once: tuple[Walked, gpd.GeoDataFrame, pd.DataFrame],
    rows: int,
    parts: int,
    group: int,
    seed: int,
) -> None:
    folder = tmp_path_factory.mktemp("parted")
    file = np.random.default_rng(seed).integers(0, parts, len(fixes))
    if seed % 3 == 0:
        file[:] = np.sort(file)
    for k in np.unique(file):
        own = fixes[file == k]
        if k % 2:
            own.to_csv(folder / f"{k}.csv", index=False)
        else:
            ordered = own.sort_values("staff", kind="stable") if seed % 2 else own
            table = pa.Table.from_pandas(ordered, preserve_index=False)
            pq.write_table(table, folder / f"{k}.parquet", row_group_size=group)
    stream = stream_tracks(folder, rows=rows)
    assert pd.concat(stream)["staff"].value_counts().to_dict() == fixes["staff"].value_counts().to_dict()
    found, heat, covered = everything(stream)
    whole, heat_whole, covered_whole = at_once
    for name in Walked._fields:
        one, other = getattr(found, name), getattr(whole, name)
        pd.testing.assert_frame_equal(pd.DataFrame(one), pd.DataFrame(other), rtol=1e-9, atol=1e-7, obj=name)
    assert found.patrols.attrs["dropped"] == whole.patrols.attrs["dropped"]
    pd.testing.assert_frame_equal(covered, covered_whole, rtol=1e-12)
    pd.testing.assert_frame_equal(pd.DataFrame(heat), pd.DataFrame(heat_whole))


def test_what_is_kept_of_portions_is_enough_for_what_is_asked_of_it(
    fixes: pd.DataFrame, at_once: tuple[Walked, gpd.GeoDataFrame, pd.DataFrame]
) -> None:
    found, heat, covered = at_once
    clean = clean_tracks(fixes)
    assert len(found.fixes) < 0.5 * len(clean)
    pd.testing.assert_frame_equal(passed(found.fixes, GRIDS, 5.0), passed(clean, GRIDS, 5.0))
    moment = pd.Timestamp("2026-03-02T08:10+08:00")
    about = [abs(f["time"] - moment) <= pd.Timedelta(minutes=5) for f in (found.fixes, clean)]
    assert (found.fixes["staff"] == "w0")[about[0]].sum() == (clean["staff"] == "w0")[about[1]].sum() > 0
    bounds = patrol_coverage(clean, GRIDS, days=[1, 2], marks=[MARK])
    pd.testing.assert_frame_equal(found.coverage, bounds, rtol=1e-9)
    assert (found.coverage["high"] - found.coverage["low"]).round(6).nunique() > 1  # one of them was settled
    pd.testing.assert_frame_equal(pd.DataFrame(found.holes), pd.DataFrame(holes(clean, GRIDS)))
    pd.testing.assert_frame_equal(found.stays, stay_points(clean, STAFFED))
    assert set(covered["staff"]) == {"w0", "w1", "w2", "w3"}
    inside = found.patrols.groupby(["grid", "staff"])["inside_m"].sum()
    assert covered["metres"].sum() == pytest.approx(inside.sum())
    areas = heat.groupby("grid")["area_m2"].sum()
    assert areas.to_numpy() == pytest.approx([90_000, 90_000], rel=1e-6)


# --- stays ------------------------------------------------------------------------------------------------------------


def test_stays_are_where_and_how_long() -> None:
    xy = np.vstack([line((0, 0), (120, 0)), np.tile([120.0, 0.0], (91, 1)), line((120, 0), (240, 0))])
    out = stay_points(walk(xy))
    assert list(out.columns) == STAY_COLUMNS
    one = out.iloc[0]
    # Fifteen minutes, and the steps of 12 m before and after them that are within 30 m of the first.
    assert one["minutes"] == pytest.approx(15, abs=1)
    place = gpd.GeoSeries(gpd.points_from_xy([one["lon"]], [one["lat"]]), crs=4326).to_crs(GRIDS.crs).iloc[0]
    assert place.distance(shapely.Point(442_120, 4_430_000)) < 2
    assert stay_points(walk(xy), least_min=20).empty
    assert out.attrs["parameters"]["radius_m"] == 30


def test_stays_of_staff_who_are_not_on_duty_are_nobodys_business() -> None:
    still = pd.concat([walk(np.zeros((91, 2)), name) for name in ("w1", "w2")])
    postings = pd.DataFrame({"staff": ["w1", "w2"], "grid": "A", "from": pd.to_datetime(["2026-03-01", "2026-03-03"])})
    assert stay_points(still)["staff"].tolist() == ["w1", "w2"]
    assert stay_points(still, postings)["staff"].tolist() == ["w1"]
    with pytest.raises(InputError, match="the radius of a stay must be above 0; found 0"):
        stay_points(still, radius_m=0)
    assert len(stay_points(still.iloc[:0])) == 0


def test_a_stay_ends_at_a_gap_and_the_compiled_loop_says_the_same() -> None:
    from gridgis.patrol.compiled import compile_loop

    times = np.concatenate([np.arange(0, 540.0, 10), np.arange(1200, 1740.0, 10)])
    apart = walk(np.zeros((len(times), 2))).assign(
        time=pd.Timestamp("2026-03-02T00:00Z") + pd.to_timedelta(times, unit="s")
    )
    assert stay_points(apart).empty
    assert stay_points(apart, least_min=8.8)["minutes"].round(1).tolist() == [8.8, 8.8]
    xy = np.vstack([drift(np.random.default_rng(1), 900), recorded(2, 900)])
    segment, seconds = np.repeat([0, 1], 900), np.arange(1800.0)
    loop = compile_loop(_stay_loop)
    assert loop is not None, "numba is one of the tools for the tests"
    columns = segment, seconds, xy[:, 0].copy(), xy[:, 1].copy()
    compiled = loop(*columns, 30.0, 300.0, np.full(1800, -1))
    plain = _stay_loop(*(c.tolist() for c in columns), 30.0, 300.0, [-1] * 1800)
    assert compiled.tolist() == plain
    assert max(plain) >= 0


# --- datums -----------------------------------------------------------------------------------------------------------


def test_shifted_tracks_are_told_with_their_likely_datum_and_not_mended() -> None:
    postings = pd.DataFrame({"staff": ["w1", "w2", "w3", "w4"], "grid": "A"})
    plain = walk(line((20, 20), (280, 280)))
    parts = [plain]
    for name, move in (("w2", crs.wgs84_to_gcj02), ("w3", crs.wgs84_to_bd09)):
        lon, lat = move(plain["lon"].to_numpy(), plain["lat"].to_numpy())
        parts.append(plain.assign(staff=name, lon=lon, lat=lat))
    parts.append(walk(line((5000, 5000), (5200, 5200)), "w4"))  # elsewhere, and no shift explains it
    mixed = pd.concat(parts)
    before = mixed.copy()
    out = likely_datums(mixed, GRIDS, postings)
    assert list(out.columns) == DATUM_COLUMNS
    assert out[["staff", "likely", "inside", "inside_likely"]].to_numpy().tolist() == [
        ["w2", "gcj02", 0, 1], ["w3", "bd09", 0, 1],
    ]  # fmt: skip
    assert 300 < out["shift_m"].iloc[0] < 700 < out["shift_m"].iloc[1] < 1500
    pd.testing.assert_frame_equal(mixed, before)
    with pytest.warns(GridgisWarning, match=r"1 staff \(w2\) lie \d+ m beside.*fit them as gcj02; nothing was moved"):
        warn_of_datums(out[:1])
    lon, lat = crs.gcj02_to_wgs84(plain["lon"].to_numpy(), plain["lat"].to_numpy())
    wrong = likely_datums(plain.assign(lon=lon, lat=lat), GRIDS, read_as="gcj02")
    assert wrong["likely"].tolist() == ["wgs84"]
    with pytest.raises(InputError, match="datum is unknown; found 'nad27'"):
        likely_datums(plain, GRIDS, read_as="nad27")


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_goes_on_without_what_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from gridgis.cli import run
    from gridgis.files import write

    write(GRIDS, tmp_path / "grids.gpkg")
    streets = streets_of(East=[(0, 150), (600, 150)], Far=[(10, 290), (590, 290)]).assign(**{"class": "lane"})
    write(streets, tmp_path / "streets.gpkg")
    fixes = walk(line((0, 150), (600, 150)))
    fixes.loc[5, "time"] = pd.Timestamp("1901-01-01", tz="UTC")
    table = fixes.assign(time=fixes["time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")).rename(columns={"staff": "who"})
    packed(tmp_path / "t.zip", ("w1.csv", table.to_csv(index=False)))
    (tmp_path / "cut.gpx").write_text("<gpx>")
    (tmp_path / "postings.csv").write_text("staff,grid,role\nw9,A,full-time worker\n")
    profile = '[norm.households]\nmixed = 300\n[parameters]\nground = "streets"\n'
    (tmp_path / "ours.toml").write_text(f'name = "ours"\ntitle = "ours"\n{profile}')
    files = {"grids": "grids.gpkg", "profile": "ours.toml", "postings": "postings.csv", "streets": "streets.gpkg"}
    options = [word for name, file in files.items() for word in (f"--{name}", str(tmp_path / file))]
    inputs = [str(tmp_path / "t.zip"), str(tmp_path / "cut.gpx"), "--map", "who=staff"]
    assert (
        run(["patrol", *inputs, *options, "--holes", str(tmp_path / "holes.gpkg"), "-o", str(tmp_path / "p.csv")]) == 0
    )
    said = capsys.readouterr()
    shares = pd.read_csv(tmp_path / "p.csv")
    assert shares["share"].round(2).tolist() == [0.51, 0.51]
    rejects = pd.read_csv(tmp_path / "p.rejects.csv")
    assert rejects["table"].tolist() == ["files", "tracks", "patrols"]
    assert "set aside: files (row " in said.err and "GPX is broken" in said.err
    holes = gpd.read_file(tmp_path / "holes.gpkg")
    assert set(holes["streets"]) == {"Far、East", "East"}
