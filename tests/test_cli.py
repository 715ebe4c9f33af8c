"""The command line's contract: exit codes, what stands on stdout and stderr, and that bad input changes nothing."""

from __future__ import annotations

import errno
import inspect
import json
from collections.abc import Callable
from pathlib import Path

import click
import geopandas as gpd
import pandas as pd
import pytest
import shapely

from gridgis.cli import _COMMANDS, cli, run
from gridgis.files import read
from gridgis.plan.blocks import make_blocks

SQUARES = [shapely.box(x, y, x + 0.001, y + 0.001) for x, y in ((116.3, 40.0), (116.301, 40.0), (116.302, 40.0))]


def grids(shapes: list[shapely.Geometry | None] = SQUARES, codes: list[object] | None = None) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"code": codes or [f"g{i}" for i in range(len(shapes))]}, geometry=shapes, crs=4326)


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    path = tmp_path / "grids.geojson"
    grids().to_file(path)
    return path


def gridgis(*arguments: object) -> int:
    return run([str(a) for a in arguments])


# --- what each command gives ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", _COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert gridgis(command, "--help") == 0
    assert "Usage: gridgis" in capsys.readouterr().out


def test_validate_says_valid(clean: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gridgis("validate", clean, "--json") == 0
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert result["valid"] is True
    assert result["checked"] == 3
    assert result["defects"] == []
    assert result["parameters"]["min_area_m2"] == 1e-6
    assert set(result) >= {"valid", "checked", "counts", "levels", "misfit", "parameters", "defects"}


def test_validate_ends_with_1_and_writes_the_defects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "grids.geojson", tmp_path / "defects.gpkg"
    grids([SQUARES[0], SQUARES[2]]).to_file(path)
    boundary = tmp_path / "boundary.geojson"
    gpd.GeoDataFrame({"code": ["b"]}, geometry=[shapely.union_all(SQUARES)], crs=4326).to_file(boundary)
    assert gridgis("validate", path, "--boundary", boundary, "-o", out, "--json") == 1
    result = json.loads(capsys.readouterr().out)
    assert result["counts"]["uncovered"] == 1
    (defect,) = result["defects"]
    assert defect["kind"] == "uncovered"
    assert set(defect) == {"kind", "severity", "codes", "area_m2", "width_m", "lon", "lat", "message"}
    assert len(read(out)) == 1
    gap = shapely.box(116.301, 40.0, 116.302, 40.001)
    assert shapely.equals(read(out).geometry.iloc[0], gap)


def test_a_table_in_the_terminal_names_the_defects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "grids.geojson"
    grids([*SQUARES[:2], SQUARES[1]]).to_file(path)
    assert gridgis("validate", path) == 1
    printed = capsys.readouterr().out
    assert "不通过 not valid" in printed
    assert "duplicate" in printed
    assert "min_area_m2" in printed


def test_a_code_picks_one_feature_by_its_short_form(tmp_path: Path) -> None:
    path = tmp_path / "units.geojson"
    grids(codes=[110108014000, 110108015000, 110108016000]).to_file(path)
    assert read(f"{path}#110108015").geometry.iloc[0].equals(SQUARES[1])


def test_the_steps_one_by_one_on_the_sample(
    sample: Path, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks, plan, described = tmp_path / "b.gpkg", tmp_path / "p.gpkg", tmp_path / "d.geojson"
    place = {n: sample / f"{n}.geojson" for n in ("boundary", "barriers", "units", "buildings", "compounds")}
    cut = ["--barriers", place["barriers"], "--units", place["units"], "--houses", sample / "houses.csv"]
    cut += ["--buildings", place["buildings"], "--compounds", place["compounds"]]
    cut += ["--persons", sample / "persons.parquet"]
    lost = json.loads((sample / "truth.json").read_text("utf-8"))["counts"]["chain"]["person_house_broken"]
    assert gridgis("blocks", place["boundary"], *cut, "-o", blocks) == 0
    assert f"warning: {lost} 人找不到房屋" in capsys.readouterr().err
    assert gridgis("partition", blocks, "--profile", "sample", "-o", plan, "--json") == 0
    capsys.readouterr()
    assert gridgis("partition", blocks, "--profile", "sample", "-o", plan, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["grids"] == len(read(f"{plan}:grids"))
    assert summary["road_share"] is not None
    for named in (plan, f"{plan}:grids"):
        assert gridgis("validate", named, "--boundary", place["boundary"], "--strict") == 0
    described_with = ["--barriers", place["barriers"], "--profile", "sample", "--units", place["units"]]
    assert gridgis("describe", f"{plan}:grids", *described_with, "-o", described) == 0
    assert read(described)["bounds_text"].str.contains("东至").all()
    # Step by step gives the grids that build gives.
    ours, theirs = read(f"{plan}:grids", table="grid"), read(f"{built / 'plan.gpkg'}:grids", table="grid")
    assert ours["code"].tolist() == theirs["code"].tolist()
    assert (shapely.to_wkb(ours.geometry.array) == shapely.to_wkb(theirs.geometry.array)).all()
    assert ours["persons"].tolist() == theirs["persons"].tolist()


def test_blocks_take_a_norm_and_print_their_parameters(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = {n: sample / f"{n}.geojson" for n in ("barriers", "units", "water")}
    place["compounds"] = tmp_path / "estates.geojson"  # each community is an estate: none of its lanes cuts
    read(sample / "units.geojson")[["code", "geometry"]].to_file(place["compounds"])
    cut = [sample / "boundary.geojson", "--houses", sample / "houses.csv"]
    cut += [x for n, p in place.items() for x in (f"--{n}", p)]

    def blocks(*options: object) -> tuple[int, str]:
        assert gridgis("blocks", *cut, *options, "-o", tmp_path / "b.gpkg") == 0
        made = read(f"{tmp_path / 'b.gpkg'}:blocks", table="block")
        assert set(made["compound"].dropna()) <= set(read(place["compounds"])["code"])
        return len(made), capsys.readouterr().out

    whole, printed = blocks()
    assert "'snap_m': 5.0, 'min_block_m2': 2000.0, 'min_width_m': 20.0, 'island_width_m': 40.0" in printed
    assert "'norm': None" in printed
    low, printed = blocks("--norm", 100, "--tolerance", 0)
    assert "'norm': {'households': {'mixed': 100.0}, 'persons': None, 'tolerance': 0.0" in printed
    assert low > whole
    assert blocks("--profile", "sample")[0] == low
    assert blocks("--min-area", 60_000)[0] < whole
    assert blocks("--water-width", 20, "--min-width", 10)[0] > blocks("--min-width", 10)[0]
    others = {"--snap": "snap_m", "--island-width": "island_width_m", "--court-area": "min_court_m2"}
    printed = blocks("--no-access", *(x for flag in others for x in (flag, 7)))[1]
    assert all(f"'{name}': 7.0" in printed for name in others.values())
    assert "'need_access': False" in printed


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--profile", "sample", "--norm", 300], "give --profile or --norm, not both"),
        (["--tolerance", 0.2], "--tolerance is of a norm"),
        (["--snap", -1], "-1.0 is not in the range x>=0"),
        (["--water", "BARRIERS"], "barriers.geojson: "),
    ],
)
def test_blocks_refuse_options_that_do_not_fit(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[object], told: str
) -> None:
    barriers = sample / "barriers.geojson"
    fitted = [barriers if x == "BARRIERS" else x for x in options]
    out = tmp_path / "b.gpkg"
    assert gridgis("blocks", sample / "boundary.geojson", "--barriers", barriers, *fitted, "-o", out) == 2
    assert told in capsys.readouterr().err
    assert not out.exists()


def test_the_options_of_blocks_have_the_defaults_of_the_function() -> None:
    command = cli.get_command(click.Context(cli), "blocks")
    assert command is not None
    defaults = {name: p.default for name, p in inspect.signature(make_blocks).parameters.items()}
    told = {p.name: p.default for p in command.params if p.name in defaults and p.name.endswith(("_m", "_m2"))}
    assert told == {name: value for name, value in defaults.items() if name.endswith(("_m", "_m2"))}


def test_assign_and_chain_on_the_sample(
    sample: Path, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, plan = tmp_path / "houses.csv", f"{built / 'plan.gpkg'}:grids"
    assert gridgis("assign", "houses", sample / "houses.csv", "--grids", plan, "-o", found) == 0
    houses = pd.read_csv(found)
    assert set(houses["grid_how"]) <= {"inside", "border"}
    assert len(houses) == len(pd.read_csv(sample / "houses.csv"))
    footprints = tmp_path / "buildings.gpkg"
    assert gridgis("assign", "buildings", sample / "buildings.geojson", "--grids", plan, "-o", footprints) == 0
    assert read(footprints)["grid_share"].between(0, 1).all()
    persons = tmp_path / "persons.parquet"
    arguments = ("persons", sample / "persons.parquet", "--houses", sample / "houses.csv", "-o", persons)
    estates = ("--compounds", sample / "compounds.geojson")
    assert gridgis("assign", *arguments, *estates, "--place", "晴岚市渚南区望汀街道") == 0
    counts = json.loads((sample / "truth.json").read_text("utf-8"))["counts"]
    how = pd.read_parquet(persons)["house_how"].value_counts()
    assert how["code"] == counts["persons_by_way"]["code"]
    assert how["none"] + how["ambiguous"] == counts["chain"]["person_house_broken"]
    capsys.readouterr()
    chained = ("--persons", sample / "persons.parquet", "--houses", sample / "houses.csv", "--grids", plan)
    assert gridgis("chain", *chained, *estates, "--json") == 1
    assert len(json.loads(capsys.readouterr().out)["breaks"]) == counts["chain"]["breaks"]


def test_patrol_on_the_sample(sample: Path, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, holes = tmp_path / "patrol.csv", tmp_path / "holes.geojson"
    plan = f"{built / 'plan.gpkg'}:grids"
    arguments = (sample / "tracks.parquet", "--grids", plan, "--profile", "sample")
    arguments += ("--postings", sample / "postings.csv", "--staff", sample / "staff.csv")
    assert gridgis("patrol", *arguments, "-o", report, "--holes", holes, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"coverage", "patrols", "rules", "suspicions", "stays", "datums", "parameters"}
    assert {row["result"] for row in document["rules"]} <= {"kept", "missed", "excused", "undecided", "no data"}
    assert {"kept", "missed"} <= {row["result"] for row in document["rules"]}
    assert pd.read_csv(report)["share"].between(0, 1).all()
    assert document["parameters"]["sight_m"] == 25
    assert (read(holes)["area_m2"] > 0).all()


def test_patrol_tells_reasons_in_chinese_too(
    sample: Path, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "patrol.csv"
    tables = ("--postings", sample / "postings.csv", "--staff", sample / "staff.csv", "--leave", sample / "leave.csv")
    plan = f"{built / 'plan.gpkg'}:grids"
    arguments = (sample / "tracks.parquet", "--grids", plan, "--profile", "sample", *tables)
    assert gridgis("patrol", *arguments, "-o", out, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    for name, told in (("rules", ["reason"]), ("suspicions", ["kind", "detail"])):
        table = pd.read_csv(tmp_path / f"patrol.{name}.csv", keep_default_na=False)
        for column in told:
            assert list(table.columns).index(f"{column}_zh") == list(table.columns).index(column) + 1
            beside = [(row[column], row[f"{column}_zh"]) for row in document[name]]
            assert sorted((said or "", chinese) for said, chinese in beside) == sorted(
                zip(table[column], table[f"{column}_zh"], strict=True)
            )
            filled = [chinese for said, chinese in beside if said]
            assert filled
            assert all(any("\u4e00" <= letter <= "\u9fff" for letter in chinese) for chinese in filled)
            assert all(chinese == "" for said, chinese in beside if not said)


def test_patrol_heat_and_who_covered_what_add_up(
    sample: Path, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, heat, covered = tmp_path / "patrol.csv", tmp_path / "heat.geojson", tmp_path / "covered.csv"
    # Of three workers, one is off duty in the second week.
    postings = read(sample / "postings.csv", table="posting")
    fixes = pd.read_parquet(sample / "tracks.parquet")
    walkers = sorted(set(fixes["staff"]) & set(postings["staff"]))[:3]
    path, posted = tmp_path / "tracks.parquet", tmp_path / "postings.csv"
    fixes[fixes["staff"].isin(walkers)].to_parquet(path)
    postings = postings[postings["staff"].isin(walkers[:2])].copy()
    postings["to"] = postings["to"].mask(postings["staff"] == walkers[1], pd.Timestamp("2026-03-08"))
    postings.to_csv(posted, index=False)
    plan = f"{built / 'plan.gpkg'}:grids"
    tables = ("--postings", posted, "--buildings", sample / "buildings.geojson", "--water", sample / "water.geojson")
    arguments = (path, "--grids", plan, "--profile", "sample", *tables)
    assert gridgis("patrol", *arguments, "-o", out, "--heat", heat, "--covered", covered) == 0
    capsys.readouterr()
    seen, who = read(heat), pd.read_csv(covered, dtype={"grid": str, "staff": str})
    assert list(seen.columns) == ["grid", "days", "area_m2", "geometry"]
    assert list(who.columns) == ["grid", "staff", "from", "to", "days", "metres", "share", "alone"]
    # The first worker's days and the second's first week alone; the third has no posting.
    assert set(who["staff"]) == set(walkers[:2])
    local = fixes["time"].dt.tz_convert("Asia/Shanghai").dt.tz_localize(None).dt.normalize()
    first, second = (set(local[fixes["staff"] == walker]) for walker in walkers[:2])
    counted = {walkers[0]: len(first), walkers[1]: len({day for day in second if day <= pd.Timestamp("2026-03-08")})}
    assert counted[walkers[1]] < len(second)
    for staff, rows in who.groupby("staff"):
        assert rows["days"].max() == counted[staff]
    assert 0 < seen["days"].max() <= sum(counted.values())
    assert (who["alone"] <= who["share"] + 1e-9).all()
    ground = seen.groupby("grid")["area_m2"].sum()
    union = (seen[seen["days"] > 0].groupby("grid")["area_m2"].sum() / ground).dropna()
    ours, lone = (who.groupby("grid")[name].sum().reindex(union.index).fillna(0.0) for name in ("share", "alone"))
    # Heat counts whole cells, who covered what parts of them: they differ by some 1e-3.
    assert (ours >= union - 5e-3).all()
    assert (lone <= union + 5e-3).all()


def test_estimate_flags_every_guess(sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = read(sample / "buildings.geojson").drop(columns="households", errors="ignore")
    path, out = tmp_path / "buildings.geojson", tmp_path / "estimated.geojson"
    bare.to_file(path)
    assert gridgis("estimate", path, "-o", out) == 0
    result = read(out)
    assert (result.loc[result["estimated"], "households"] > 0).all()
    assert result["estimated"].any()
    assert not result["estimated"].all()
    assert "m2_per_household" in capsys.readouterr().out


@pytest.mark.parametrize("layer", ["grids", "grid", "house", "staff", "block"])
def test_export_gives_layers_back(built: Path, tmp_path: Path, layer: str) -> None:
    store = next(built.parent.glob("**/gridgis.gpkg"))
    out = tmp_path / ("x.csv" if layer == "staff" else "x.geojson")
    assert gridgis("export", store, layer, "-o", out) == 0
    assert len(read(out)) > 0


def test_export_gives_the_plan_of_a_day(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, out = next(built.parent.glob("**/gridgis.gpkg")), tmp_path / "out.geojson"
    day = "2999-01-01"
    for layer in ("grids", "blocks", "borders"):
        assert gridgis("export", store, layer, "--at", day, "-o", out) == 0
        plan = read(out)
        assert gridgis("export", store, layer, "-o", out) == 0
        assert sorted(plan.geometry.to_wkt()) == sorted(read(out).geometry.to_wkt())
    assert gridgis("export", store, "grids", "--plan", "1", "-o", out) == 0
    capsys.readouterr()
    for arguments, message in (
        (("grids", "--at", "2001-01-01"), "no plan holds on this day; found 2001-01-01; wanted published plans from"),
        (("grids", "--plan", "77"), "there is no such plan; found 77"),
        (("houses", "--at", day), "a plan has no such layer; found houses; wanted grid, block, border, lineage"),
        (("grids", "--at", day, "--plan", "1"), "--plan and --at exclude each other"),
    ):
        assert gridgis("export", store, *arguments, "-o", tmp_path / "x.geojson") == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "x.geojson").exists()


def test_export_lists_what_there_is(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = next(built.parent.glob("**/gridgis.gpkg"))
    assert gridgis("export", store, "roofs", "-o", tmp_path / "x.geojson") == 2
    assert "the store holds no such layer; found roofs; wanted barrier, block" in capsys.readouterr().err


def test_profiles_are_listed_shown_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gridgis("profile", "list") == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("xueyan", "yichang", "hongwei", "pujiang", "sample"))
    assert gridgis("profile", "show", "yichang") == 0
    assert "sight_m = 25.0" in capsys.readouterr().out
    own = tmp_path / "own.toml"
    own.write_text('name = "own"\ntitle = "自定"\n[norm]\nhouseholds = { mixed = -3 }\n', "utf-8")
    assert gridgis("profile", "check", own) == 1
    assert "norm.households.mixed must be a number ≥ 0; found -3" in capsys.readouterr().out
    assert gridgis("profile", "check", tmp_path / "none.toml") == 2
    assert gridgis("profile", "check", "sample") == 0


# --- bad input: one clear message, exit code 2, nothing changed -------------------------------------------------------
# Broken files of every sort, through validate and repair: test_broken_files.py.


def _no_crs(folder: Path) -> list[object]:
    path = folder / "grids.parquet"
    grids().set_crs(None, allow_override=True).to_parquet(path)
    return ["validate", path]


def _empty(folder: Path) -> list[object]:
    path = folder / "boundary.geojson"
    path.write_text('{"type": "FeatureCollection", "features": []}')
    return ["blocks", path, "--barriers", path, "-o", folder / "out.gpkg"]


def _no_geometry(folder: Path) -> list[object]:
    path = folder / "grids.geojson"
    grids([SQUARES[0], None]).to_file(path)
    houses = _houses(folder)
    return ["assign", "houses", houses, "--grids", path, "-o", folder / "out.csv"]


def _doubled(folder: Path) -> list[object]:
    path = folder / "grids.geojson"
    grids(codes=["a", "b", "a"]).to_file(path)
    return ["assign", "houses", _houses(folder), "--grids", path, "-o", folder / "out.csv"]


def _text_for_number(folder: Path) -> list[object]:
    path = folder / "grids.geojson"
    grids().to_file(path)
    houses = folder / "houses.csv"
    houses.write_text("code,households,lon,lat\nh1,two,116.3005,40.0005\n", "utf-8")
    return ["assign", "houses", houses, "--grids", path, "-o", folder / "out.csv"]


def _no_lines(folder: Path) -> list[object]:
    path = folder / "boundary.geojson"
    grids().assign(**{"class": "main"}).to_file(path)
    return ["blocks", path, "--barriers", path, "-o", folder / "out.gpkg"]


def _cut_gpx(folder: Path) -> list[object]:
    path, track = folder / "grids.geojson", folder / "w1.gpx"
    grids().to_file(path)
    track.write_text('<gpx version="1.1"><trk><trkseg><trkpt lat="40" lon="116.3"><time>2026-03-02T0', "utf-8")
    return ["patrol", track, "--grids", path, "--profile", "xueyan", "-o", folder / "out.csv"]


def _no_ending(folder: Path) -> list[object]:
    return ["assign", "houses", _houses(folder), "--grids", _tidy(folder), "-o", folder / "out.docx"]


def _tidy(folder: Path) -> Path:
    path = folder / "grids.geojson"
    grids().to_file(path)
    return path


def _houses(folder: Path) -> Path:
    path = folder / "houses.csv"
    path.write_text("code,lon,lat\nh1,116.3005,40.0005\n", "utf-8")
    return path


BAD: dict[str, tuple[Callable[[Path], list[object]], str]] = {
    "empty layer": (_empty, "boundary.geojson: the table is empty"),
    "None geometry": (_no_geometry, "grids.geojson: rows without geometry (row g1)"),
    "duplicate codes": (_doubled, "grids.geojson: the code is not unique (row a)"),
    "text in a number column": (_text_for_number, "found 'two'; wanted a whole number ≥ 0"),
    "barriers without lines": (_no_lines, "found Polygon; wanted LineString or MultiLineString"),
    "truncated GPX": (_cut_gpx, "w1.gpx"),
    "unknown ending": (_no_ending, ".docx"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gives_one_message_and_changes_nothing(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, message = BAD[name]
    arguments = make(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert gridgis(*arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err and printed.err.startswith("gridgis: 错误：")
    assert printed.err.count("\n") == 1, printed.err
    assert "Traceback" not in printed.err
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_missing_crs_can_be_named(tmp_path: Path) -> None:
    assert gridgis(*_no_crs(tmp_path), "--crs", "EPSG:4326") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["partition", "x.gpkg", "-o", "y.gpkg"], "give either --profile or --norm"),
        (["partition", "x.gpkg", "--norm", "0", "-o", "y.gpkg"], "not in the range"),
        (["validate"], "Missing argument 'GRIDS"),
        (["repaint"], "No such command 'repaint'"),
        (["estimate", "h.csv", "--map", "a", "-o", "y.csv"], "'a' is not theirs=ours"),
    ],
)
def test_wrong_arguments_are_2_too(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert gridgis(*arguments) == 2
    assert message in capsys.readouterr().err


def test_shifted_houses_are_warned_of_but_not_mended(
    sample: Path, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from gridgis.crs import wgs84_to_gcj02

    houses = pd.read_csv(sample / "houses.csv", dtype=str)
    lon, lat = wgs84_to_gcj02(houses["lon"].astype(float), houses["lat"].astype(float))
    shifted, out = tmp_path / "houses.csv", tmp_path / "out.csv"
    houses.assign(lon=lon, lat=lat).to_csv(shifted, index=False)
    plan = f"{built / 'plan.gpkg'}:grids"
    assert gridgis("assign", "houses", shifted, "--grids", plan, "-o", out) == 0
    warned = capsys.readouterr().err
    assert "--datum gcj02" in warned
    assert (pd.read_csv(out)["grid_how"] == "none").any()
    assert gridgis("assign", "houses", shifted, "--grids", plan, "--datum", "gcj02", "-o", out) == 0
    assert "--datum" not in capsys.readouterr().err
    assert not (pd.read_csv(out)["grid_how"] == "none").any()


def test_an_interrupt_or_a_full_disk_leaves_the_old_output_whole(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    arguments = ("assign", "houses", _houses(tmp_path), "--grids", clean, "-o", out)
    assert gridgis(*arguments) == 0
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    for fault, code, message in (
        (KeyboardInterrupt(), 130, "what was there is unchanged"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "No space left on device"),
    ):

        def fail(*_: object, fault: BaseException = fault, **__: object) -> None:
            raise fault

        with monkeypatch.context() as patch:
            patch.setattr("pathlib.Path.replace", fail)
            patch.setattr("os.replace", fail)
            assert gridgis(*arguments) == code
        assert message in capsys.readouterr().err
        assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_fault_of_ours_is_told_in_one_line(
    clean: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("gridgis.plan.validate.validate", broken)
    assert gridgis("validate", clean) == 70
    assert "ZeroDivisionError: division by zero. Set GRIDGIS_DEBUG=1" in capsys.readouterr().err
    monkeypatch.setenv("GRIDGIS_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        gridgis("validate", clean)
