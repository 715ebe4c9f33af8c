"""The invented sub-district: the same each time, whole, of the right size, and invented."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from gridgis.crs import to_metric
from gridgis.errors import InputError
from gridgis.files import read, read_tracks
from gridgis.pipeline import make_plan, read_inputs
from gridgis.plan.validate import validate, verdict
from gridgis.profile import Profile
from gridgis.project import Project
from gridgis.sample import write_sample
from gridgis.sample.plane import to_degrees, to_plan
from gridgis.sample.staff import DAYS, FIRST_DAY_OF_NEXT, LAST_DAY
from gridgis.schema import BARRIER_CLASSES, COMPOUND_KINDS, GRID_KINDS, ROLES, check

KEPT = Path(__file__).resolve().parent.parent / "data" / "sample"
#: Files that no project names: the truth, and layers for commands of their own.
BESIDE = (
    "truth.json", "truth_persons.parquet", "old_grids.geojson", "kinds.geojson", "responsibility_blocks.geojson",
    "segments.geojson", "fire.geojson", "health.geojson", "tracks_gcj02.parquet", "sites.geojson", "care_addresses.csv",
    "visits.csv", "matters.csv",
)  # fmt: skip
#: Too large to be kept; whoever builds the folder itself may have them.
NOT_KEPT = {"tracks.parquet", "tracks_gcj02.parquet"}
Tables = dict[str, gpd.GeoDataFrame]


@pytest.fixture(scope="module")
def project(sample: Path) -> Project:
    return Project.load(sample / "project.toml")


@pytest.fixture(scope="module")
def tables(project: Project) -> Tables:
    """Every input as `build` reads it: each has passed the check at the door."""
    return read_inputs(project, Profile.load(project.profile))


@pytest.fixture(scope="module")
def grids(tables: Tables, project: Project) -> gpd.GeoDataFrame:
    return make_plan(tables, Profile.load(project.profile))["grids"]


def _files(folder: Path) -> set[str]:
    """Names of the files in a folder, without the store that a build may have put there."""
    return {p.name for p in folder.iterdir() if p.is_file() and not p.name.startswith("gridgis.gpkg")}


def _segments(shapes: gpd.GeoSeries) -> set[frozenset[tuple[float, float]]]:
    """Every straight piece of lines or outlines, whichever way it runs."""
    polygons = shapes.geom_type.iloc[0] == "Polygon"
    lines = shapely.get_parts(shapely.boundary(shapes.array) if polygons else shapes.array)
    return {frozenset(pair) for line in lines for pair in pairwise(map(tuple, shapely.get_coordinates(line).tolist()))}


# --- the files --------------------------------------------------------------------------------------------------------


def test_written_by_another_process_the_files_are_the_same_bytes(sample: Path, tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time\n"
        "from gridgis.sample import write_sample\n"
        "started = time.process_time()\n"
        "names = [p.name for p in write_sample(pathlib.Path(sys.argv[1]))]\n"
        "print(time.process_time() - started, *names)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "again")],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, *written = done.stdout.split()
    assert float(seconds) < 10
    again = tmp_path / "again"
    assert (
        sorted(written) == sorted([*_files(sample), "portraits", "tracks"]) == sorted(p.name for p in again.iterdir())
    )
    files = [p.relative_to(again) for p in again.rglob("*") if p.is_file()]
    assert len(files) == len(_files(sample)) + 45 + 1
    assert [n for n in files if (again / n).read_bytes() != (sample / n).read_bytes()] == []


def test_the_committed_files_are_what_is_written(sample: Path) -> None:
    kept = _files(KEPT) - NOT_KEPT
    assert kept == _files(sample) - NOT_KEPT
    kept |= {f"portraits/{p.name}" for p in (sample / "portraits").iterdir()}
    text = [name for name in sorted(kept) if not name.endswith(".parquet")]
    changed = [name for name in text if (KEPT / name).read_bytes() != (sample / name).read_bytes()]
    assert not changed, "write the folder anew: gridgis sample data/sample, then remove its tracks"
    # Parquet names the library that wrote it, so here the content counts.
    for name in ("persons.parquet", "truth_persons.parquet"):
        pd.testing.assert_frame_equal(pd.read_parquet(KEPT / name), pd.read_parquet(sample / name))
    assert sum((KEPT / name).stat().st_size for name in kept) < 3_000_000


def test_the_project_names_every_file_and_nothing_real(sample: Path, project: Project) -> None:
    listed = {Path(spec).name for specs in project.inputs.values() for spec in specs}
    assert listed | set(BESIDE) | {"project.toml"} == _files(sample)
    assert (project.profile, Path(project.store).name, project.out.name) == ("sample", "gridgis.gpkg", "out")
    assert project.publish["sources"] == ["示范数据：虚构的街道 / invented sample, no real place"]


def test_other_files_in_the_folder_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    monkeypatch.chdir(tmp_path)
    write_sample(Path())
    assert (tmp_path / "notes.txt").read_text("utf-8") == "mine"


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "place").write_text("x", "utf-8")
    with pytest.raises(InputError, match=r"place: the folder cannot be made; found File exists"):
        write_sample(tmp_path / "place")


@given(st.floats(-1200, 1200), st.floats(-1000, 1000))
def test_degrees_and_metres_of_the_plan_agree_to_a_centimetre(x: float, y: float) -> None:
    place = shapely.Point(x, y)
    degrees = to_degrees(place)
    assert [round(v, 7) for v in degrees.coords[0]] == list(degrees.coords[0])
    assert to_plan(degrees).distance(place) < 0.01


# --- the ground -------------------------------------------------------------------------------------------------------


def test_the_place_has_the_size_and_the_parts_that_were_asked_for(tables: Tables) -> None:
    assert 3.3 < float(to_metric(tables["boundary"]).area.sum()) / 1e6 < 3.7
    counts = {name: len(tables[name]) for name in ("boundary", "units", "buildings", "houses", "persons", "staff")}
    assert counts == {"boundary": 1, "units": 4, "buildings": 600, "houses": 9600, "persons": 27000, "staff": 45}
    assert set(tables["barriers"]["class"]) == set(BARRIER_CLASSES)
    assert set(tables["compounds"]["kind"]) == set(COMPOUND_KINDS)
    assert int(tables["houses"]["households"].sum()) == 9600
    assert len(tables["water"]) >= 3


def test_the_communities_tile_the_boundary_vertex_for_vertex(tables: Tables) -> None:
    units, boundary = tables["units"], tables["boundary"]
    assert shapely.coverage_is_valid(units.geometry.array)
    together = shapely.normalize(shapely.coverage_union_all(units.geometry.array))
    assert shapely.to_wkb(together) == shapely.to_wkb(shapely.normalize(boundary.geometry.iloc[0]))
    assert set(units["parent"]) == set(boundary["code"]) == {"990101001"}
    outcome = verdict(validate(units, boundary), strict=True)
    assert (outcome["valid"], outcome["defects"]) == (True, [])


def test_community_borders_follow_roads_and_rivers(tables: Tables) -> None:
    strong = tables["barriers"][~tables["barriers"]["class"].isin(["lane", "wall"])]
    assert _segments(tables["units"].geometry) <= _segments(strong.geometry)


def test_streets_meet_in_common_vertices(tables: Tables) -> None:
    lines = tables["barriers"].geometry.array
    ends = shapely.get_coordinates(np.concatenate([shapely.get_point(lines, 0), shapely.get_point(lines, -1)]))
    vertices, count = np.unique(shapely.get_coordinates(lines), axis=0, return_counts=True)
    joined = {tuple(v) for v, n in zip(vertices.tolist(), count, strict=True) if n > 1}
    inside = shapely.contains_xy(tables["boundary"].geometry.iloc[0], ends)
    loose = [place for place, it in zip(map(tuple, ends.tolist()), inside, strict=True) if it and place not in joined]
    # Lanes that end blind are loose at one end, the ditch at its pond, and three lanes that fall short on purpose.
    street = tables["barriers"].iloc[shapely.STRtree(lines).nearest(shapely.points(loose))]
    assert street["class"].value_counts().to_dict() == {"lane": 17, "river": 1}
    assert street["name"].is_unique
    left, right = shapely.STRtree(lines).query(lines, predicate="crosses")
    crossing = shapely.get_coordinates(shapely.intersection(lines[left], lines[right]))
    assert {tuple(c) for c in crossing.tolist()} <= {tuple(v) for v in vertices.tolist()}


def test_coordinates_have_seven_decimals(tables: Tables) -> None:
    for name in ("boundary", "units", "barriers", "water", "compounds", "buildings", "houses", "boards"):
        degrees = shapely.get_coordinates(tables[name].geometry.array)
        assert np.array_equal(degrees, np.round(degrees, 7)), name


def test_buildings_stand_clear_of_each_other_of_streets_and_of_water(tables: Tables) -> None:
    shapes = to_plan(tables["buildings"].geometry.to_numpy())
    assert shapely.is_valid(shapes).all()
    tree = shapely.STRtree(shapes)
    near = tree.query(shapes, predicate="dwithin", distance=1.5)
    assert (near[0] == near[1]).all()
    assert tree.query(to_plan(tables["barriers"].geometry.to_numpy()), predicate="dwithin", distance=6.0).size == 0
    assert tree.query(to_plan(tables["water"].geometry.to_numpy()), predicate="dwithin", distance=4.0).size == 0
    assert shapely.within(shapes, to_plan(tables["boundary"].geometry.iloc[0])).all()
    assert shapely.area(shapes).min() > 80


def test_buildings_have_kinds_levels_and_addresses(tables: Tables) -> None:
    buildings = tables["buildings"]
    assert set(buildings["kind"]) >= {"apartments", "house", "school", "hospital", "commercial", "retail", "industrial"}
    assert buildings["levels"].between(1, 12).all()
    assert buildings["address"].is_unique
    assert buildings["address"].str.fullmatch(r"\w+?(\d+弄\d+号|\d+号[甲乙]?|\d+号\d+幢)").all()
    assert buildings["address"].str.fullmatch(r"兰桥路\d+弄\d+号").any()


# --- the people -------------------------------------------------------------------------------------------------------


def test_every_house_is_in_its_building_and_in_no_school(tables: Tables) -> None:
    houses = tables["houses"].merge(
        tables["buildings"][["code", "kind", "address", "geometry"]].rename_geometry("shape"),
        left_on="building",
        right_on="code",
        suffixes=("", "_of_building"),
    )
    assert len(houses) == 9600
    assert shapely.within(houses.geometry.array, gpd.GeoSeries(houses["shape"]).array).all()
    assert set(houses["kind"]) == {"apartments", "house"}
    assert [
        a for a, b in zip(houses["address"], houses["address_of_building"], strict=True) if not a.startswith(b)
    ] == []
    assert houses["address"].str.fullmatch(r".+号[甲乙]?\d{3,4}室").all()
    assert houses["address"].is_unique


def test_a_person_is_an_id_and_a_house_an_address_or_a_place_and_nothing_else(sample: Path, tables: Tables) -> None:
    persons = pd.read_parquet(sample / "persons.parquet")
    assert list(persons.columns) == ["id", "house", "address", "lon", "lat"]
    assert persons["id"].str.fullmatch(r"P\d{5}").all()
    given = persons[["house", "address", "lon"]].notna()
    assert (given.sum(axis=1) >= 1).all()
    assert (persons["lon"].notna() == persons["lat"].notna()).all()
    assert not (given["lon"] & (given["house"] | given["address"])).any()
    answers = pd.read_parquet(sample / "truth_persons.parquet")
    assert set(answers["id"]) < set(persons["id"])
    home = persons.set_index("id")["house"].where(lambda h: ~h.index.isin(answers["id"])).dropna()
    assert set(home) | set(answers["house"]) == set(tables["houses"]["code"])


def test_telephone_numbers_cannot_exist(sample: Path, tables: Tables) -> None:
    numbers = [
        *tables["staff"]["phone"].dropna(),
        *re.findall(r'phone = "(.*)"', (sample / "project.toml").read_text("utf-8")),
    ]
    assert len(numbers) == len(set(numbers)) == 46
    assert all(re.fullmatch(r"000-6400\d{4}", number) for number in numbers)
    assert tables["staff"]["name"].is_unique
    assert tables["staff"]["duties"].notna().all()
    assert tables["staff"]["hours"].isna().sum() == 1


def test_postings_name_the_grids_that_build_makes(sample: Path, tables: Tables, grids: gpd.GeoDataFrame) -> None:
    postings = tables["postings"]
    assert set(postings["grid"]) == set(grids["code"])
    assert set(postings["staff"]) == set(tables["staff"]["id"])
    assert set(postings["role"]) <= set(ROLES)
    day = pd.Timestamp(DAYS[0])
    held = postings[(postings["from"] <= day) & (postings["to"].isna() | (postings["to"] >= day))]
    workers = held[held["role"] == "full-time worker"]
    truth = json.loads((sample / "truth.json").read_text("utf-8"))
    (vacant,) = (row["ids"] for row in truth["planted"] if row["kind"] == "vacancy")
    assert sorted([*workers["grid"], *vacant]) == sorted(grids["code"])
    assert workers["staff"].value_counts().max() == 1
    assert set(held.loc[held["role"] == "grid head", "grid"]) == set(grids["code"])
    ended = postings[postings["to"].notna()]
    assert sorted(ended["to"].dt.strftime("%Y-%m-%d")) == ["2025-12-31", LAST_DAY]
    assert set(ended["staff"]) <= set(held["staff"])
    (after,) = ended.loc[ended["to"] == LAST_DAY, "grid"]
    assert (postings.loc[postings["grid"] == after, "from"] == FIRST_DAY_OF_NEXT).sum() == 1


def test_boards_name_grids_and_buildings_that_exist(tables: Tables, grids: gpd.GeoDataFrame) -> None:
    boards = tables["boards"]
    of_grids = boards[boards["kind"] == "grid"].merge(grids, left_on="grid", right_on="code", suffixes=("", "_of_grid"))
    assert len(of_grids) == len(set(of_grids["grid"])) == len(grids) - 1
    assert shapely.intersects(of_grids.geometry.array, gpd.GeoSeries(of_grids["geometry_of_grid"]).array).mean() > 0.9
    assert of_grids["place"].dropna().str.fullmatch(r"\w+(、\w+)+路口").all()
    assert (boards["kind"] == "community").sum() == 4
    named = boards.loc[boards["kind"] == "building", "building"]
    assert len(named) > 20
    assert set(named) <= set(tables["buildings"]["code"])


# --- the tracks -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fixes(sample: Path) -> pd.DataFrame:
    return check(read_tracks([sample / "tracks.parquet"]), "fix")


def test_tracks_are_two_weeks_of_twelve_workers_at_1_hz(fixes: pd.DataFrame, sample: Path) -> None:
    other = check(read_tracks([sample / "tracks_gcj02.parquet"], datum="gcj02"), "fix")
    assert (fixes["staff"].nunique(), other["staff"].nunique()) == (10, 2)
    assert not set(fixes["staff"]) & set(other["staff"])
    local = fixes["time"].dt.tz_convert("Asia/Shanghai")
    assert sorted({str(d) for d in local.dt.date}) == list(DAYS)
    step = fixes["time"].diff().dt.total_seconds()
    assert (step == 1).mean() > 0.999
    walks = fixes.assign(walk=(~step.between(0, 800)).cumsum()).groupby("walk")["time"]
    minutes = (walks.last() - walks.first()).dt.total_seconds() / 60
    assert len(minutes) == 180
    assert (minutes < 60).sum() == 10  # one came home early, and nine were caught by the storm
    assert fixes["accuracy"].between(3, 12).all()
    assert fixes.sort_values(["staff", "time"]).index.is_monotonic_increasing


def test_walkers_walk_in_their_own_grid(fixes: pd.DataFrame, tables: Tables, grids: gpd.GeoDataFrame) -> None:
    held = tables["postings"][tables["postings"]["role"].eq("full-time worker")]
    held = held[held["to"].isna() | (held["to"] >= DAYS[0])]
    shape = grids.set_index("code").geometry
    for who, own in fixes.groupby("staff"):
        ground = shapely.union_all(shape[held.loc[held["staff"] == who, "grid"]].array)
        assert shapely.intersects_xy(ground, own["lon"], own["lat"]).mean() > 0.97
    # Noise of a phone: each second's step is longer than the walk was.
    xy = shapely.get_coordinates(to_plan(shapely.points(fixes["lon"], fixes["lat"])))
    steps = np.hypot(*np.diff(xy, axis=0).T)
    steps = steps[fixes["time"].diff().dt.total_seconds().to_numpy()[1:] == 1]
    assert 1.5 < np.median(steps) < 2.1
    assert np.quantile(steps, 0.999) < 8


def test_the_gpx_file_is_one_day_of_the_same_tracks(fixes: pd.DataFrame, sample: Path) -> None:
    (path,) = (sample / "tracks").iterdir()
    gpx = read_tracks([path])
    (who,) = set(gpx["staff"])
    same = fixes[(fixes["staff"] == who) & (fixes["time"] <= gpx["time"].max())].reset_index(drop=True)
    columns = ["staff", "time", "lon", "lat"]
    pd.testing.assert_frame_equal(gpx[columns], same[columns], check_dtype=False)


def test_visits_are_made_where_and_when_the_tracks_are(fixes: pd.DataFrame, sample: Path, tables: Tables) -> None:
    sites = read(sample / "sites.geojson", table="site").set_index("code")
    visits = read(sample / "visits.csv", table="visit")
    assert set(visits["staff"]) <= set(tables["staff"]["id"])
    own = visits[visits["target"].isin(sites.index)].merge(fixes, on=["staff", "time"])
    places = to_plan(sites.geometry[own["target"]].to_numpy())
    away = shapely.distance(places, to_plan(shapely.points(own["lon"], own["lat"])))
    assert len(own) > 80
    assert np.quantile(away, 0.95) < 30
    care = read(sample / "care_addresses.csv")
    assert list(care.columns) == ["id", "house", "cadence"]
    assert set(care["house"]) <= set(tables["houses"]["code"])
    assert set(visits["target"]) == set(sites.index) | set(care["id"])
    matters = read(sample / "matters.csv", table="matter")
    assert set(matters["state"]) == {"open", "closed"}


# --- other divisions of the ground ------------------------------------------------------------------------------------


def test_grids_of_three_kinds_tile_the_town_together(sample: Path) -> None:
    kinds = read(sample / "kinds.geojson", table="grid")
    assert set(kinds["kind"]) == {"residential", "street-face", "extension"} < set(GRID_KINDS)
    assert verdict(validate(kinds, read(sample / "boundary.geojson")), strict=True)["defects"] == []
    segments = read(sample / "segments.geojson", table="segment")
    assert set(segments["grid"]) <= set(kinds["code"])
    blocks = read(sample / "responsibility_blocks.geojson", table="responsibility_block")
    assert set(blocks["grid"]) == set(kinds.loc[kinds["kind"] == "residential", "code"])
    for name in ("fire.geojson", "health.geojson"):
        assert read(sample / name, table="grid")["kind"].eq("professional").all()


def test_portraits_are_small_drawings_and_shown_with_consent_only(sample: Path) -> None:
    staff = read(sample / "staff.csv", table="staff")
    drawn = sorted((sample / "portraits").iterdir())
    assert [p.stem for p in drawn] == sorted(staff["id"])
    assert len({p.read_bytes() for p in drawn}) > 30
    assert all(p.stat().st_size < 1500 and b"<script" not in p.read_bytes() for p in drawn)
    agreed = staff[staff["photo_consent"] == "yes"]
    assert 30 <= len(agreed) < len(staff) == 45
    assert staff["photo"].notna().equals(staff["photo_consent"] == "yes")
    assert all((sample / photo).is_file() for photo in agreed["photo"])


def test_the_readme_of_the_data_names_every_file_with_its_rows(sample: Path) -> None:
    text = (KEPT.parent / "README.md").read_text("utf-8")
    said = dict(re.findall(r"^\| ([\w./]+(?:, [\w./]+)?) \| ([\d, ]*) ?\|", text, re.MULTILINE))
    named = [name for names in said for name in names.split(", ")]
    folders = {"tracks/", "portraits/"}
    assert sorted(named) == sorted(_files(sample) | folders)
    for names, rows in said.items():
        for name, number in zip(names.split(", "), re.split(r", (?=\d+$)", rows.strip()), strict=False):
            if number and name not in folders:
                assert int(number.replace(",", "")) == _rows(sample / name), name


def _rows(path: Path) -> int:
    if path.suffix == ".parquet":
        return len(pd.read_parquet(path))
    if path.suffix == ".csv":
        return len(pd.read_csv(path))
    return len(json.loads(path.read_text("utf-8"))["features"])
