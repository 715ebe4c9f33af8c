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
from gridgis.crs import to_metric
from gridgis.files import read, read_tracks
from gridgis.locate import GridLocator
from gridgis.patrol.datum import likely_datums
from gridgis.patrol.tracks import clean_tracks
from gridgis.plan.blocks import make_blocks
from gridgis.plan.validate import validate
from gridgis.profile import Profile
from gridgis.project import Project
from gridgis.publish.boards import make_board
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
    rows = [row for row in planted(truth, subject="boards") if row["expected"] == "now"]
    assert lacking == {(row["grid"], row["missing"]) for row in rows}


# --- what is expected later -------------------------------------------------------------------------------------------


def test_what_nothing_finds_yet_is_listed_with_the_work_that_will(truth: dict[str, Any]) -> None:
    later = {row["subject"] for row in truth["planted"] if row["expected"] == "later"}
    assert later == {
        "staff and postings", "boards", "visit", "matters",
    }  # fmt: skip


def test_visits_lack_what_was_left_out_and_nothing_else(truth: dict[str, Any], sample: Path) -> None:
    visits = read(sample / "visits.csv", table="visit")
    local = visits["time"].dt.tz_convert("Asia/Shanghai")
    days = visits.assign(date=local.dt.strftime("%Y-%m-%d"), hour=local.dt.hour, week=local.dt.isocalendar().week)
    rows = {row["kind"]: row for row in planted(truth, subject="visit")}
    sites = read(sample / "sites.geojson", table="site")
    every = {(code, f"2026-03-{day:02d}") for code in sites["code"] for day in range(2, 16)}
    made = set(zip(days["target"], days["date"], strict=True))
    assert every - made == {(rows["missing"]["ids"][0], rows["missing"]["date"])}
    night = days[days["hour"] > 18]
    assert set(zip(night["target"], night["date"], strict=True)) == {
        (rows["claimed"]["ids"][0], rows["claimed"]["date"])
    }
    care = read(sample / "care_addresses.csv").set_index("id")["cadence"]
    calls = days[days["target"].isin(care.index)].groupby(["target", "week"]).size().unstack(fill_value=0)
    wanted = care.map({"weekly": 1, "twice a week": 2}).reindex(calls.index)
    assert calls.index[(calls.lt(wanted, axis=0)).any(axis=1)].tolist() == rows["overdue"]["ids"]


def test_matters_are_late_stuck_or_misplaced_as_listed(truth: dict[str, Any], sample: Path, built: Path) -> None:
    matters = read(sample / "matters.csv", table="matter")
    rows = {row["kind"]: row["ids"] for row in planted(truth, subject="matters")}
    as_of = pd.Timestamp("2026-03-15T20:00:00+08:00")
    assert matters.loc[matters["closed"] > matters["deadline"], "code"].tolist() == rows["late"]
    still_open = matters[matters["closed"].isna()]
    assert set(still_open["state"]) == {"open"}
    assert still_open.loc[still_open["deadline"] < as_of, "code"].tolist() == rows["stuck"]
    grids = read(f"{built / 'plan.gpkg'}:grids", table="grid").sort_values("code", ignore_index=True)
    at = GridLocator(grids).locate(matters.geometry.x.to_numpy(), matters.geometry.y.to_numpy())
    assert matters.loc[grids["code"].to_numpy()[at] != matters["grid"], "code"].tolist() == rows["misplaced"]


def test_boards_and_postings_lack_what_is_listed(truth: dict[str, Any], sample: Path, built: Path) -> None:
    boards, postings = read(sample / "boards.csv", table="board"), read(sample / "postings.csv", table="posting")
    codes = set(read(f"{built / 'plan.gpkg'}:grids", table="grid")["code"])
    wanted = [*planted(truth, subject="boards"), *planted(truth, subject="staff and postings")]
    rows = {row["kind"]: row["ids"] for row in wanted}
    overdue = boards["checked_on"] < pd.Timestamp("2026-03-02") - pd.Timedelta(days=180)
    assert boards["code"][overdue].tolist() == rows["overdue"]
    assert boards["code"][boards["checked_on"].isna()].tolist() == rows["unchecked"]
    assert boards["code"][boards["place"].isna()].tolist() == rows["placeless"]
    assert codes - set(boards["grid"].dropna()) == set(rows["lacking"])
    day = pd.Timestamp("2026-03-12")
    held = postings[(postings["from"] <= day) & ~(postings["to"] < day)]
    assert codes - set(held.loc[held["role"] == "full-time worker", "grid"]) == set(rows["vacancy"])


def _metric_point(lon: float, lat: float) -> shapely.Point:
    point: shapely.Point = to_metric(gpd.GeoDataFrame(geometry=[shapely.Point(lon, lat)], crs=4326)).geometry.iloc[0]
    return point
