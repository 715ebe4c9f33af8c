"""truth.json against today's commands: each planted fault that they can see is found, and none else."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from gridgis.assign.chain import chain
from gridgis.assign.persons import assign_persons
from gridgis.cli.patrol import _echo_rules
from gridgis.compliance import check_compliance
from gridgis.crs import to_metric
from gridgis.files import read, read_sites, read_tracks
from gridgis.patrol.datum import likely_datums
from gridgis.patrol.tracks import clean_tracks
from gridgis.patrolled import check_patrols
from gridgis.plan.blocks import make_blocks
from gridgis.plan.validate import validate
from gridgis.profile import Profile
from gridgis.project import Project
from gridgis.publish.boards import make_board
from gridgis.publish.compliance_report import compliance_page
from gridgis.sample.people import WRONG
from gridgis.sample.written import WAYS
from gridgis.schema import DEFECT_KINDS

#: Persons by place that today's nearest house gets wrong, of all by place: a door that is nearer to the neighbour's.
WRONG_BY_PLACE = 0.01


@pytest.fixture(scope="module")
def truth(sample: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((sample / "truth.json").read_text("utf-8"))
    return document


def planted(truth: dict[str, Any], *, subject: str | None = None, file: str | None = None) -> list[dict[str, Any]]:
    rows = [row for row in truth["planted"] if subject is None or row["subject"] == subject]
    return [row for row in rows if file is None or row["where"] == file]


def test_the_list_is_whole(truth: dict[str, Any], sample: Path) -> None:
    rows = truth["planted"]
    assert len({row["id"] for row in rows}) == len(rows)
    assert all(row["subject"] and row["kind"] and row["detail"] for row in rows)
    assert all((row["seen_by"] == "later") == (row["expected"] == "later") for row in rows)
    assert [row["where"] for row in rows if not (sample / row["where"]).exists()] == []


# --- old grids --------------------------------------------------------------------------------------------------------


def test_every_kind_of_defect_is_planted_once_in_the_old_grids(truth: dict[str, Any]) -> None:
    assert sorted(row["kind"] for row in planted(truth, file="old_grids.geojson")) == sorted(DEFECT_KINDS)


def test_validate_finds_what_was_planted_in_the_old_grids_and_nothing_else(truth: dict[str, Any], sample: Path) -> None:
    old = read(sample / "old_grids.geojson", table="grid", lenient=("codes", "geometry"))
    units = read(sample / "units.geojson", table="unit")
    found = validate(old, read(sample / "boundary.geojson"), parents=units)
    rows = planted(truth, file="old_grids.geojson")
    # Of the three codes of a nesting, the first is a grid of the file; the others are its parent and the wrong one.
    seen = ((d.kind, d.codes[:1] if d.kind == "nesting" else d.codes) for d in found.itertuples())
    assert sorted(seen) == sorted((row["kind"], tuple(row["ids"])) for row in rows)
    (nesting,) = (row for row in rows if row["kind"] == "nesting")
    (codes,) = found.loc[found["kind"] == "nesting", "codes"]
    assert nesting["detail"] == f"belongs to {codes[1]} and reaches into {codes[2]}"
    assert {name: level["valid"] for name, level in found.attrs["levels"].items()} == {
        "grids": False, "grids < level 2": False, "level 2": True,
    }  # fmt: skip
    places = found.set_index("kind")[["lon", "lat"]]
    for row in rows:
        if "lon" in row:
            there = shapely.Point(places.loc[row["kind"]])
            assert there.distance(shapely.Point(row["lon"], row["lat"])) < 1e-3, row["id"]
    assert found["area_m2"].max() < 250_000


# --- persons ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def persons(sample: Path) -> pd.DataFrame:
    """The persons as today's commands assign them, beside the right answers."""
    given = read(sample / "persons.parquet", table="person")
    compounds = read(sample / "compounds.geojson", table="compound")
    found = assign_persons(given, read(sample / "houses.csv", table="house"), compounds=compounds)
    answers = pd.read_parquet(sample / "truth_persons.parquet").set_index("id")
    plain = pd.DataFrame(found.drop(columns="geometry")).set_index("id", drop=False)
    right = answers["house"].reindex(plain.index)
    return plain.assign(
        way=answers["way"].reindex(plain.index).fillna("code"), right=right.fillna(plain["house_given"])
    )


def test_by_code_and_by_address_nobody_gets_a_wrong_house(persons: pd.DataFrame) -> None:
    wrong = persons[persons["house"].notna() & (persons["house"] != persons["right"])]
    assert set(wrong["house_how"]) <= {"nearest"}
    assert len(wrong) <= WRONG_BY_PLACE * (persons["way"] == "place").sum()


def test_every_way_of_giving_a_house_is_taken_as_the_list_says(truth: dict[str, Any], persons: pd.DataFrame) -> None:
    assert persons["way"].value_counts().to_dict() == truth["counts"]["persons_by_way"]
    expected = {"code": "code", "place": "nearest"}
    expected |= dict.fromkeys(WAYS, "address") | {name: how for name, (_, how, _) in WRONG.items()}
    hows = persons.groupby("way")["house_how"].unique()
    assert {way: how.tolist() for way, how in hows.items()} == {way: [how] for way, how in expected.items()}


def test_three_in_a_hundred_are_wrong_or_in_doubt_on_purpose(truth: dict[str, Any], persons: pd.DataFrame) -> None:
    rows = planted(truth, subject="chain")
    assert sum(len(row["ids"]) for row in rows) == round(0.03 * len(persons))
    for row in rows:
        assert set(persons.loc[row["ids"], "way"]) == {row["kind"]}
        assert set(persons.loc[row["ids"], "house_how"]) == {row["house_how"]}


def test_the_chain_breaks_at_these_persons_and_nowhere_else(
    truth: dict[str, Any], persons: pd.DataFrame, sample: Path, built: Path
) -> None:
    houses, grids = read(sample / "houses.csv", table="house"), read(f"{built / 'plan.gpkg'}:grids", table="grid")
    buildings = read(sample / "buildings.geojson", table="building")
    broken = chain(persons, houses, grids, buildings).breaks
    rows = planted(truth, file="persons.parquet")
    assert set(broken["link"]) == {"person_house"}
    assert sorted(broken["id"]) == sorted(i for row in rows for i in row["ids"])
    wrong = broken[broken["reason"].str.startswith("the given house does not exist")]
    assert sorted(wrong["id"]) == sorted(i for row in rows if "unknown code" in row["kind"] for i in row["ids"])


def test_addresses_are_written_in_every_way(persons: pd.DataFrame) -> None:
    written = persons["address"].dropna()
    for sign in "路弄号號栋幢座室甲乙０单":
        assert written.str.contains(sign).any(), sign
    assert written.str.contains("[一二三四五六七八九]号").any()
    assert written.str.contains("望汀街道柳汀社区").any()
    assert written.str.fullmatch(r".*\d{6,}.*").sum() == 0


# --- ground and layers ------------------------------------------------------------------------------------------------


def test_lanes_that_fall_short_are_carried_to_their_street(truth: dict[str, Any], sample: Path) -> None:
    rows = [row for row in truth["planted"] if row["kind"] == "short end"]
    boundary, barriers = read(sample / "boundary.geojson"), read(sample / "barriers.geojson", table="barrier")
    for row in rows:
        ends = barriers.loc[barriers["name"].isin(row["ids"])].boundary.explode()
        away = to_metric(ends.to_frame("geometry")).distance(_metric_point(row["lon"], row["lat"]))
        assert away.min() == pytest.approx(row["gap_m"], abs=0.05)
    with_snap, without = (make_blocks(boundary, barriers, snap_m=metres) for metres in (5.0, 0.5))
    assert len(with_snap.blocks) - len(without.blocks) == len(rows) == 3
    for row in rows:
        assert with_snap.borders["name"].isin(row["ids"]).any()


def test_a_dual_carriageway_is_no_block(sample: Path, built: Path) -> None:
    barriers = read(sample / "barriers.geojson", table="barrier")
    assert (barriers["name"] == "鹤渡路").sum() == 2
    blocks = to_metric(read(f"{built / 'plan.gpkg'}:blocks", table="block")).geometry
    assert (2 * blocks.area / blocks.length).min() > 15


def test_the_broken_seam_between_responsibility_blocks_is_found_and_no_other(
    truth: dict[str, Any], sample: Path
) -> None:
    (row,) = planted(truth, file="responsibility_blocks.geojson")
    kinds = read(sample / "kinds.geojson", table="grid")
    blocks = read(sample / "responsibility_blocks.geojson", table="responsibility_block")
    found = validate(blocks, kinds[kinds["kind"] == "residential"])
    assert [(d.kind, d.codes) for d in found.itertuples()] == [(row["kind"], tuple(row["ids"]))]


def test_the_broken_seam_between_segments_is_the_only_one(truth: dict[str, Any], sample: Path) -> None:
    (row,) = planted(truth, file="segments.geojson")
    segments = read(sample / "segments.geojson", table="segment")
    streets = read(sample / "barriers.geojson", table="barrier")
    lines = segments.set_index("code").geometry
    junctions = {tuple(c) for c in shapely.get_coordinates(streets.geometry.array).tolist()}
    loose = [code for code, line in lines.items() if {line.coords[0], line.coords[-1]} - junctions]
    assert loose == row["ids"][:1]
    kinds = read(sample / "kinds.geojson", table="grid")
    found = validate(kinds, segments=segments, streets=streets)
    assert [(d.kind, d.codes) for d in found.itertuples()] == [(row["kind"], tuple(row["ids"]))]


# --- levels and overlays ----------------------------------------------------------------------------------------------

#: Where a line of one layer meets an edge of another between two of its vertices, seven decimals bend the edge.
ROUNDED_M = 0.05


def test_the_old_grid_that_reaches_into_another_community_is_the_only_one(truth: dict[str, Any], sample: Path) -> None:
    (row,) = planted(truth, subject="levels")
    old = read(sample / "old_grids.geojson").dropna(subset=["geometry", "code"])
    units = read(sample / "units.geojson", table="unit").set_index("code").geometry
    beyond = shapely.difference(shapely.make_valid(old.geometry.array), units[old["parent"]].array)
    outside = to_metric(old.set_geometry(gpd.GeoSeries(beyond, index=old.index, crs=old.crs))).area
    # What is planted at the outline, in slivers and overlaps, is small.
    assert old["code"][outside > 2000].tolist() == row["ids"]


def test_grids_of_three_kinds_nest_in_the_communities_and_blocks_in_the_grids(sample: Path) -> None:
    kinds, units = read(sample / "kinds.geojson", table="grid"), read(sample / "units.geojson", table="unit")
    found = validate(kinds, read(sample / "boundary.geojson"), parents=units, min_width=ROUNDED_M)
    assert len(found) == 0
    assert validate(kinds, parents=units)["width_m"].max() < ROUNDED_M
    blocks = read(sample / "responsibility_blocks.geojson", table="responsibility_block")
    residential = kinds[kinds["kind"] == "residential"]
    found = validate(blocks, parents=[residential], parent="grid")
    assert found.attrs["levels"]["grids < level 3"] == {"valid": True, "checked": len(blocks), "counts": {}}


def test_overlays_misfit_as_listed(truth: dict[str, Any], sample: Path) -> None:
    rows = {row["kind"]: row for row in planted(truth, subject="overlays")}
    assert set(rows) == {"outside", "overlap", "misfit"}
    outline, kinds = read(sample / "boundary.geojson"), read(sample / "kinds.geojson", table="grid")
    fire, health = (read(sample / f"{name}.geojson", table="grid") for name in ("fire", "health"))
    found = validate(fire, outline, mode="overlay", base=kinds, min_width=ROUNDED_M)
    assert [(d.kind, d.codes) for d in found.itertuples()] == [("outside", tuple(rows["outside"]["ids"]))]
    as_partition = validate(fire, outline, min_width=ROUNDED_M)
    overlapping = as_partition.loc[as_partition["kind"] == "overlap", "codes"]
    assert sorted({code for codes in overlapping for code in codes}) == rows["overlap"]["ids"]
    found = validate(health, outline, mode="overlay", base=kinds)
    bare = [row for row in found.attrs["misfit"] if row["overlay"] is None]
    assert [(row["grid"], row["grid_share"]) for row in bare] == [(rows["misfit"]["ids"][0], pytest.approx(1.0))]
    assert [(d.kind, d.area_m2) for d in found.itertuples()] == [("uncovered", pytest.approx(bare[0]["area_m2"]))]


# --- patrols ----------------------------------------------------------------------------------------------------------

#: The rules whose results on working days follow from what was planted alone.
_RULES = ("R4-03", "R4-04", "R4-06")


def test_the_rules_find_the_planted_days_and_no_others(truth: dict[str, Any], built: Path, sample: Path) -> None:
    document = json.loads((built / "patrol.json").read_text("utf-8"))
    rules = pd.DataFrame(document["rules"])
    walkers = set(pd.read_parquet(sample / "tracks.parquet", columns=["staff"])["staff"])
    working = pd.to_datetime(rules["from"]).dt.day_of_week < 5
    odd = rules[rules["staff"].isin(walkers) & rules["rule"].isin(_RULES) & working & (rules["result"] != "kept")]
    # A day of leave or storm excuses from every rule; it is planted once.
    first = odd[(odd["result"] == "missed") | (odd["rule"] == "R4-03")]
    found = {(r.rule, r.staff, r.date, r.result) for r in first.rename(columns={"from": "date"}).itertuples()}
    rows = [row for row in planted(truth, subject="patrol") if "rule" in row]
    assert found == {(row["rule"], who, row["date"], row["result"]) for row in rows for who in row["ids"]}
    excused = set(zip(odd["staff"], odd["from"], strict=True))
    assert excused == {(who, row["date"]) for row in rows for who in row["ids"]}


def test_a_posting_that_ends_ends_the_duty(truth: dict[str, Any], built: Path) -> None:
    (row,) = (row for row in truth["planted"] if row["id"] == "posting-ends")
    rules = pd.DataFrame(json.loads((built / "patrol.json").read_text("utf-8"))["rules"])
    daily = rules[(rules["staff"] == row["ids"][0]) & (rules["rule"] == "R4-03")]
    assert daily["from"].max() == row["last_day"]


def test_jumps_are_dropped_and_nothing_else_is(truth: dict[str, Any], sample: Path) -> None:
    (row,) = (row for row in truth["planted"] if row["kind"] == "jump")
    clean = clean_tracks(read_tracks([sample / "tracks.parquet"]))
    dropped = clean[clean["why"].notna()]
    assert set(dropped["why"]) == {"jump"}
    assert set(zip(dropped["staff"], dropped["date"].dt.strftime("%Y-%m-%d"), strict=True)) == {
        (row["ids"][0], row["date"])
    }
    assert len(dropped) == pytest.approx(row["count"], abs=2)  # two that follow each other, or one at an end


def test_the_desk_the_copy_and_the_car_are_suspicious_and_nothing_else_is(truth: dict[str, Any], built: Path) -> None:
    rows = {row["kind"]: row for row in truth["planted"] if row["where"] == "tracks.parquet"}
    kinds = {"desk": "still", "replayed": "same track", "vehicle": "vehicle"}
    found = pd.DataFrame(json.loads((built / "patrol.json").read_text("utf-8"))["suspicions"])
    assert {(r.kind, r.staff, r.date) for r in found.itertuples()} == {
        (seen, rows[kind]["ids"][0], rows[kind]["date"]) for kind, seen in kinds.items()
    }
    (copy,) = found[found["kind"] == "same track"].to_dict("records")
    assert (copy["other"], copy["other_date"]) == (copy["staff"], rows["replayed"]["of"])
    assert copy["detail"] == "1 d later, 0.0 m apart"


def test_only_the_desk_is_a_stay(truth: dict[str, Any], built: Path) -> None:
    (desk,) = (row for row in truth["planted"] if row["kind"] == "desk")
    stays = pd.DataFrame(json.loads((built / "patrol.json").read_text("utf-8"))["stays"])
    assert set(zip(stays["staff"], stays["date"], strict=True)) == {(desk["ids"][0], desk["date"])}


def test_the_phones_in_gcj02_are_told_and_no_others(truth: dict[str, Any], sample: Path, built: Path) -> None:
    (row,) = planted(truth, file="tracks_gcj02.parquet")
    fixes = read_tracks([sample / "tracks.parquet", sample / "tracks_gcj02.parquet"])
    some = fixes.iloc[::30]
    grids = read(f"{built / 'plan.gpkg'}:grids", table="grid")
    found = likely_datums(some, grids, read(sample / "postings.csv", table="posting"))
    assert found[["staff", "likely"]].to_numpy().tolist() == [[who, "gcj02"] for who in row["ids"]]
    assert found["shift_m"].between(300, 700).all()


def test_the_gap_is_not_walked(truth: dict[str, Any], built: Path) -> None:
    (gap,) = (row for row in truth["planted"] if row["id"] == "track-gap")
    walks = pd.DataFrame(json.loads((built / "patrol.json").read_text("utf-8"))["patrols"])
    walks["whole"] = (pd.to_datetime(walks["end"]) - pd.to_datetime(walks["start"])).dt.total_seconds() / 60
    lost = walks[walks["whole"] - walks["minutes"] > 1]
    assert lost[["staff", "date"]].to_numpy().tolist() == [[gap["ids"][0], gap["date"]]]
    assert (lost["whole"] - lost["minutes"]).tolist() == pytest.approx([12], abs=0.1)


def test_tracks_in_gcj02_lie_in_their_grids_when_they_are_read_as_such(
    truth: dict[str, Any], sample: Path, built: Path
) -> None:
    (row,) = planted(truth, file="tracks_gcj02.parquet")
    postings = read(sample / "postings.csv", table="posting")
    posted = postings[postings["staff"].isin(row["ids"]) & postings["to"].isna()]
    ground = read(f"{built / 'plan.gpkg'}:grids", table="grid").set_index("code").geometry[posted["grid"]].union_all()
    inside = {}
    for datum in ("wgs84", "gcj02"):
        fixes = read_tracks([sample / "tracks_gcj02.parquet"], datum=datum)
        assert set(fixes["staff"]) == set(row["ids"])
        inside[datum] = shapely.intersects_xy(ground, fixes["lon"], fixes["lat"]).mean()
    assert inside["gcj02"] > 0.97
    assert inside["wgs84"] < 0.3


def test_boards_lack_what_was_left_out(truth: dict[str, Any], sample: Path, built: Path) -> None:
    staff, postings = read(sample / "staff.csv", table="staff"), read(sample / "postings.csv", table="posting")
    profile, settings = Profile.load("sample"), Project.load(sample / "project.toml").publish
    grids = read(f"{built / 'plan.gpkg'}:grids", table="grid")
    lacking = {
        (row["code"], field)
        for row in grids.to_dict("records")
        for field in make_board(
            row, staff, postings, settings=settings, required=profile.board_required, on=date(2026, 3, 2)
        ).missing
    }
    rows = [row for row in planted(truth, subject="boards") if "missing" in row]
    assert lacking == {(row["grid"], row["missing"]) for row in rows}


# --- what is expected later -------------------------------------------------------------------------------------------


def test_what_nothing_finds_yet_is_listed_with_the_work_that_will(truth: dict[str, Any]) -> None:
    later = {row["subject"] for row in truth["planted"] if row["expected"] == "later"}
    assert later == set()


# --- visits, boards, matters, posts -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def walked(sample: Path, built: Path) -> dict[str, Any]:
    """What patrol finds in the two weeks, by the profile of the sample and the grids of the build."""
    tables: dict[str, Any] = {
        name: read(sample / file, table=table)
        for name, file, table in (
            ("postings", "postings.csv", "posting"), ("staff", "staff.csv", "staff"), ("leave", "leave.csv", "leave"),
            ("weather", "weather.csv", "weather"), ("visits", "visits.csv", "visit"),
            ("houses", "houses.csv", "house"), ("boards", "boards.csv", "board"),
            ("matters", "matters.csv", "matter"), ("buildings", "buildings.geojson", "building"),
            ("units", "units.geojson", "unit"),
        )
    }  # fmt: skip
    tables["tracks"] = read_tracks([sample / "tracks.parquet"])
    tables["sites"] = read_sites([str(sample / "sites.geojson"), str(sample / "care_addresses.csv")])
    tables["water"], tables["settings"] = None, Project.load(sample / "project.toml").publish
    grids = read(f"{built / 'plan.gpkg'}:grids", table="grid")
    return check_patrols(tables, grids, Profile.load("sample"), start=date(2026, 3, 2), end=date(2026, 3, 15))


def missed(walked: dict[str, Any], rule: str) -> pd.DataFrame:
    rules: pd.DataFrame = walked["rules"]
    return rules[(rules["rule"] == rule) & (rules["result"] == "missed")]


def test_the_visit_that_was_left_out_is_the_only_one(truth: dict[str, Any], walked: dict[str, Any]) -> None:
    rows = {row["kind"]: row for row in planted(truth, subject="visit")}
    odd = missed(walked, "R4-13")
    assert odd["target"].tolist() == rows["missing"]["ids"]
    assert odd["from"].dt.strftime("%Y-%m-%d").tolist() == [rows["missing"]["date"]]
    late = missed(walked, "R4-11")
    assert late["target"].tolist() == rows["overdue"]["ids"]
    assert late["from"].dt.strftime("%Y-%m-%d").tolist() == ["2026-03-09"]
    assert walked["overdue"]["target"].tolist() == rows["overdue"]["ids"]


def test_no_track_confirms_the_visit_that_was_only_claimed_and_the_one_of_the_phone_on_a_desk(
    truth: dict[str, Any], walked: dict[str, Any]
) -> None:
    (row,) = (row for row in planted(truth, subject="visit") if row["kind"] == "claimed")
    visits = walked["visits"]
    # Calls at care addresses are not made on patrol; a site is where its worker passes every day.
    sites = visits[visits["class"] != "care address"]
    odd = sites[sites["confirmed"] == "no"]
    (desk,) = (fault for fault in planted(truth, subject="patrol") if fault["kind"] == "desk")
    # The phone that lay on a desk all day was not at the site either.
    found = set(zip(odd["staff"], odd["date"].dt.strftime("%Y-%m-%d"), strict=True))
    assert found == {(row["detail"].split()[0], row["date"]), (desk["ids"][0], desk["date"])}
    assert odd.loc[odd["staff"] != desk["ids"][0], "target"].tolist() == row["ids"]
    assert len(odd) == 2
    heads = sites[sites["confirmed"] == "no track"]
    assert not set(heads["staff"]) & set(sites.loc[sites["confirmed"] == "yes", "staff"])


def test_matters_that_are_late_stuck_or_misplaced_are_found(truth: dict[str, Any], walked: dict[str, Any]) -> None:
    rows = {row["kind"]: row["ids"] for row in planted(truth, subject="matters")}
    lights = walked["lights"]
    for kind in ("late", "stuck"):
        assert lights.loc[lights["reason"] == kind, "code"].tolist() == rows[kind]
    assert set(lights.loc[lights["light"] == "red", "code"]) == set(rows["stuck"])
    wrong = lights["grid_of_place"].notna() & (lights["grid_of_place"] != lights["grid"])
    assert lights.loc[wrong, "code"].tolist() == rows["misplaced"]


def test_boards_and_posts_that_are_lacking_are_found(truth: dict[str, Any], walked: dict[str, Any]) -> None:
    wanted = [*planted(truth, subject="boards"), *planted(truth, subject="staff and postings")]
    rows = {row["kind"]: sorted(row["ids"]) for row in wanted if row["seen_by"] == "patrol"}
    faults = walked["board_faults"].groupby("fault")["code"].agg(sorted).to_dict()
    assert {kind: faults[kind] for kind in ("overdue", "unchecked", "placeless", "lacking")} == {
        kind: rows[kind] for kind in ("overdue", "unchecked", "placeless", "lacking")
    }
    # What boards lack in words is planted with the staff, and found by the map as well.
    lacking = {row["grid"] for row in planted(truth, subject="boards") if row["seen_by"] != "patrol"}
    assert set(faults["incomplete"]) == {f"GB-{code}" for code in lacking}
    assert missed(walked, "R3.6-05")["grid"].tolist() == rows["vacancy"]
    assert missed(walked, "R4-45")["grid"].tolist() == rows["lacking"]


def test_every_profile_runs_on_the_sample_prints_its_table_and_makes_its_page(
    walked: dict[str, Any], sample: Path, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grids = read(f"{built / 'plan.gpkg'}:grids", table="grid")
    postings, units = read(sample / "postings.csv", table="posting"), read(sample / "units.geojson", table="unit")
    for name in Profile.names():
        profile = Profile.load(name)
        table = check_compliance(
            walked["patrols"], walked["coverage"], profile, postings=postings, grids=grids, units=units,
            boards=read(sample / "boards.csv", table="board"), fixes=walked["fixes"],
            buildings=read(sample / "buildings.geojson", table="building"),
            start="2026-03-02", end="2026-03-15",
        )  # fmt: skip
        told, asked = set(table["rule"]), {rule.id for rule in profile.rules if rule.check != "score"}
        assert told == asked, name
        checked = table[~table["reason"].astype(object).str.startswith("not checked", na=False)]
        assert set(checked["rule"]) == told & {rule.id for rule in profile.rules if rule.check == "rule"}
        _echo_rules(table, profile)
        printed = capsys.readouterr().out
        assert [rule for rule in asked if rule not in printed] == []
        page = compliance_page({**walked, "rules": table}, grids, None, profile)
        assert [rule for rule in asked if rule not in page] == []


def _metric_point(lon: float, lat: float) -> shapely.Point:
    point: shapely.Point = to_metric(gpd.GeoDataFrame(geometry=[shapely.Point(lon, lat)], crs=4326)).geometry.iloc[0]
    return point
