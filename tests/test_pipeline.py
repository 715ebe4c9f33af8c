"""The whole job: on the sample, on 清华园街道, on grids that came from outside; and what a failed build leaves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from gridgis.cli import run
from gridgis.crs import to_metric
from gridgis.errors import GridgisWarning, InputError
from gridgis.files import read
from gridgis.pipeline import RESULTS, build
from gridgis.plan.validate import validate, verdict
from gridgis.project import Project
from gridgis.store import open_store


def _project(folder: Path, inputs: str, head: str = "") -> Path:
    path = folder / "project.toml"
    path.write_text(f'[project]\nname = "x"\ntitle = "试验"\n{head}\n[inputs]\n{inputs}\n', "utf-8")
    return path


def _in_one_piece(grids: gpd.GeoDataFrame) -> bool:
    return bool((shapely.get_num_geometries(grids.geometry.array) == 1).all())


# --- the sample -------------------------------------------------------------------------------------------------------


def test_the_sample_is_built_whole(sample: Path, built: Path) -> None:
    assert {p.name for p in built.iterdir()} >= set(RESULTS)
    outcome = json.loads((built / "validate.json").read_text("utf-8"))
    assert outcome["valid"] is True
    assert outcome["defects"] == []
    plan = built / "plan.gpkg"
    grids, blocks = read(f"{plan}:grids", table="grid"), read(f"{plan}:blocks", table="block")
    assert _in_one_piece(grids)
    households = pd.read_csv(built / "houses.csv").groupby("grid")["households"].sum()
    assert households.sum() == grids["households"].sum() == blocks["households"].sum() == 9600
    assert (
        households.to_dict() == dict(zip(grids["code"], grids["households"], strict=True))
        or {int(k): v for k, v in zip(grids["code"], grids["households"], strict=True)} == households.to_dict()
    )
    assert len(pd.read_csv(built / "persons.csv")) == 27000
    chain = json.loads((built / "chain.json").read_text("utf-8"))
    planted = json.loads((sample / "truth.json").read_text("utf-8"))
    assert len(chain["breaks"]) == planted["counts"]["chain"]["breaks"]
    assert chain["person_house"]["broken"] == planted["counts"]["chain"]["person_house_broken"]
    assert {row["link"] for row in chain["breaks"]} == {"person_house"}
    assert grids["persons"].sum() == blocks["persons"].sum() == chain["person_grid"]["complete"]
    patrol = json.loads((built / "patrol.json").read_text("utf-8"))
    assert {row["result"] for row in patrol["rules"]} >= {"kept", "missed"}


def test_the_store_holds_what_the_files_hold(sample: Path, built: Path) -> None:
    with open_store(Project.load(sample / "project.toml").store) as store:
        counts = store.tables()
        assert (counts["house"], counts["person"]) == (9600, 27000)
        assert counts["grid"] == len(read(f"{built / 'plan.gpkg'}:grids"))
        assert store.settings()["supervision_phone"]
        photos = store.load("staff")["photo"].dropna()
        assert len(photos) > 0
        assert photos.str.startswith("data:image/").all()
        assert store.load("grid")["bounds_text"].str.contains("北至").all()


def test_every_grid_of_the_sample_has_staff(sample: Path, built: Path) -> None:
    posted = set(pd.read_csv(sample / "postings.csv", dtype=str)["grid"])
    assert set(read(f"{built / 'plan.gpkg'}:grids", table="grid")["code"]) <= posted


def test_a_build_again_gives_the_same_plan(sample: Path, built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "again"
    shutil.copytree(sample, folder, ignore=shutil.ignore_patterns("out"))
    again = build(Project.load(folder / "project.toml"))
    for layer in ("blocks", "borders", "grids"):
        ours, theirs = (read(f"{out / 'plan.gpkg'}:{layer}") for out in (built, again.out))
        assert (shapely.to_wkb(ours.geometry.array) == shapely.to_wkb(theirs.geometry.array)).all()
        pd.testing.assert_frame_equal(ours.drop(columns="geometry"), theirs.drop(columns="geometry"))
    for name in ("houses.csv", "persons.csv", "patrol.csv", "validate.json", "chain.json", "patrol.json"):
        assert (built / name).read_bytes() == (again.out / name).read_bytes(), name


# --- a failed build leaves the old results ----------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["build_report", "open_store", "verdict"])
@pytest.mark.parametrize("fault", [KeyboardInterrupt, OSError])
def test_a_failed_build_leaves_the_old_results_whole(
    place: Path, monkeypatch: pytest.MonkeyPatch, where: str, fault: type[BaseException]
) -> None:
    first = build(Project.load(place))
    before = {p: p.read_bytes() for p in sorted(first.out.rglob("*")) if p.is_file()}

    def fail(*_: object, **__: object) -> None:
        raise fault("stopped")

    monkeypatch.setattr(f"gridgis.pipeline.{where}", fail)
    with pytest.raises(fault, match="stopped"):
        build(Project.load(place))
    assert {p: p.read_bytes() for p in sorted(first.out.rglob("*")) if p.is_file()} == before


def test_results_of_an_older_build_do_not_linger(place: Path) -> None:
    out = build(Project.load(place)).out
    (out / "persons.csv").write_text("of an older build")
    (out / "notes.txt").write_text("mine")
    build(Project.load(place))
    assert not (out / "persons.csv").exists()
    assert (out / "notes.txt").read_text() == "mine"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return small_place(tmp_path)


def small_place(folder: Path, more: str = "", head: str = "") -> Path:
    """A small place: a boundary, a cross of streets, twenty houses; `more` are further inputs."""
    box = shapely.box(114.6, 30.2, 114.61, 30.21)
    gpd.GeoDataFrame({"code": ["990101001"], "name": ["试验街道"]}, geometry=[box], crs=4326).to_file(
        folder / "boundary.geojson"
    )
    streets = [
        shapely.LineString([(114.599, 30.205), (114.611, 30.205)]),
        shapely.LineString([(114.605, 30.199), (114.605, 30.211)]),
    ]
    roads = gpd.GeoDataFrame({"class": ["main", "lane"], "name": ["东西路", "南北巷"]}, geometry=streets, crs=4326)
    roads.to_file(folder / "barriers.geojson")
    rows = [f"h{i:02d},30,{114.6012 + 0.0018 * (i % 5)},{30.2012 + 0.0022 * (i // 5)}" for i in range(20)]
    (folder / "houses.csv").write_text("code,households,lon,lat\n" + "\n".join(rows) + "\n", "utf-8")
    inputs = f'boundary = "boundary.geojson"\nbarriers = "barriers.geojson"\nhouses = "houses.csv"\n{more}'
    return _project(folder, inputs, head)


# --- boundaries of several parts, with holes --------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["parts", "hole"])
def test_a_boundary_of_several_parts_or_with_a_hole_is_built(place: Path, shape: str) -> None:
    box = shapely.box(114.6, 30.2, 114.61, 30.21)
    island = shapely.box(114.612, 30.2, 114.615, 30.203)
    lake = shapely.box(114.602, 30.206, 114.604, 30.2075)
    ground = shapely.union_all([box, island]) if shape == "parts" else box.difference(lake)
    path = place.parent / "boundary.geojson"
    gpd.GeoDataFrame({"code": ["990101001"]}, geometry=[ground], crs=4326).to_file(path)
    result = build(Project.load(place))
    assert result.verdict["valid"] is True
    grids = read(f"{result.out / 'plan.gpkg'}:grids")
    assert _in_one_piece(grids)
    assert shapely.area(grids.geometry.array).sum() == pytest.approx(ground.area, rel=1e-9)


# --- project files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[project\n", "not a project file"),
        ('[inputs]\nboundary = "b.geojson"\n', "is not enough to build from; found boundary; wanted boundary, and osm"),
        ('[inputs]\nboundary = "b"\nosm = "m"\nhouse = "h"\n', "keys that no project knows; found house; wanted"),
        ('[inputs]\nboundary = ["a", "b"]\nosm = "m"\n', "boundary must name one file"),
        ("inputs = 3\n", "must be a table; found 3"),
        ('[inputs]\nboundary = "b"\nosm = "m"\n[datum]\nhouses = "gcj02"\n', "names houses, which is no input; wanted"),
        ('[inputs]\nboundary = "b"\nosm = "m"\n[datum]\nboundary = "wgs72"\n', "unknown; found 'wgs72'; wanted wgs84"),
    ],
)
def test_a_project_file_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "project.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=message):
        Project.load(path)


def test_a_shifted_input_is_brought_back(place: Path) -> None:
    from gridgis.crs import wgs84_to_gcj02

    right = read(build(Project.load(place)).out / "houses.csv")
    lon, lat = wgs84_to_gcj02(right["lon"], right["lat"])
    shifted = right[["code", "households"]].assign(lon=lon, lat=lat)
    shifted.to_csv(place.parent / "houses.csv", index=False)
    with pytest.warns(GridgisWarning):
        notes = build(Project.load(place)).notes
    assert any("gcj02" in note for note in notes)
    place.write_text(place.read_text("utf-8") + '[datum]\nhouses = "gcj02"\n', "utf-8")
    again = read(build(Project.load(place)).out / "houses.csv")
    assert again["grid"].tolist() == right["grid"].tolist()
    assert abs(again["lon"] - right["lon"]).max() < 1e-9


def test_a_missing_input_is_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place.parent / "houses.csv").unlink()
    assert run(["build", str(place)]) == 2
    assert "houses.csv" in capsys.readouterr().err
    assert not (place.parent / "out").exists()


# --- real ground ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tsinghua(places: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """清华园街道, built from its OSM extract and its published boundary."""
    folder = tmp_path_factory.mktemp("qinghuayuan")
    boundary = f"{places / 'beijing' / 'haidian-all.geojson'}#110108014"
    extract = places / "qinghuayuan" / "map.osm"
    path = _project(folder, f'boundary = "{boundary}"\nosm = "{extract}"', 'profile = "yichang"')
    with pytest.warns(GridgisWarning, match="9[56]"):
        build(Project.load(path))
    return folder / "out"


@pytest.mark.places
def test_tsinghua_is_tiled_by_grids_of_one_piece(places: Path, tsinghua: Path) -> None:
    grids = read(f"{tsinghua / 'plan.gpkg'}:grids", table="grid")
    boundary = read(f"{places / 'beijing' / 'haidian-all.geojson'}#110108014", table="boundary")
    assert verdict(validate(grids, boundary), strict=True)["valid"] is True
    assert _in_one_piece(grids)
    assert len(grids) >= 2
    plan = f"{tsinghua / 'plan.gpkg'}:grids"
    ground = f"{places / 'beijing' / 'haidian-all.geojson'}#110108014"
    assert run(["validate", plan, "--boundary", ground, "--strict"]) == 0


@pytest.mark.places
def test_every_estimated_household_of_tsinghua_is_in_one_grid(tsinghua: Path) -> None:
    houses = pd.read_csv(tsinghua / "houses.csv", dtype={"grid": str})
    grids = read(f"{tsinghua / 'plan.gpkg'}:grids", table="grid")
    assert houses["estimated"].all()
    assert grids["persons"].isna().all()  # nobody counted them
    assert houses["grid"].notna().all()
    assert houses["code"].is_unique
    counted = houses.groupby("grid")["households"].sum()
    by_grid = dict(zip(grids["code"], grids["households"].astype(int), strict=True))
    assert {code: n for code, n in by_grid.items() if n} == counted.to_dict()
    with open_store(tsinghua / "gridgis.gpkg") as store:
        assert "估算" in store.settings()["households_note"]
        assert "OpenStreetMap" in store.settings()["sources"]
    assert "估算" in (tsinghua / "report.html").read_text("utf-8")


@pytest.mark.places
def test_cambridge_districts_are_read_as_grids(places: Path, tmp_path: Path) -> None:
    folder = places / "cambridge"
    districts = gpd.read_file(folder / "PUBLICSAFETY_PoliceResponseDistricts.geojson")
    grids = tmp_path / "grids.gpkg"
    districts.assign(code=[f"d{i:03d}" for i in range(len(districts))]).to_file(grids)
    inputs = f'boundary = "{folder / "PUBLICSAFETY_PoliceResponseDistricts.geojson"}"\ngrids = "grids.gpkg"'
    result = build(Project.load(_project(tmp_path, inputs)))
    assert result.counts["grid"] == 117
    assert result.verdict["valid"] is True
    with open_store(result.store) as store:
        kept = store.load("grid")
    assert shapely.area(to_metric(kept).geometry.array).sum() == pytest.approx(
        shapely.area(to_metric(districts).geometry.array).sum(), rel=1e-12
    )
