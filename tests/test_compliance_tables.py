"""Rules about visits, staffing, boards, streets, the plan and matters: kept and missed, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gridgis.compliance import (
    board_faults,
    check_compliance,
    compliance_scores,
    matter_lights,
    overdue_calls,
    targets_of,
    visit_table,
)
from gridgis.compliance.calls import read_cadence
from gridgis.compliance.scores import item_points
from gridgis.patrol.tracks import clean_tracks
from gridgis.profile import Calendar, Parameters, Profile
from gridgis.rules import Rule

WEEK = {"start": "2026-03-02", "end": "2026-03-08"}  # Monday to Sunday
MARCH = {"start": "2026-03-01", "end": "2026-03-31"}
NOBODY = pd.DataFrame(
    {
        "staff": pd.Series(dtype=object), "grid": pd.Series(dtype=object), "date": pd.Series(dtype="datetime64[us]"),
        "start": pd.Series(dtype="datetime64[us, UTC]"), "minutes": pd.Series(dtype=float),
        "inside_m": pd.Series(dtype=float), "inside_min": pd.Series(dtype=float),
    }
)  # fmt: skip
SQUARES = [shapely.box(0, 0, 500, 500), shapely.box(500, 0, 1000, 500)]


@pytest.fixture
def grids() -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        {
            "code": ["A", "B"], "parent": ["U1", "U1"], "level": [3, 3], "kind": ["residential", "extension"],
            "households": [300, 500], "persons": [1200, 1600], "compound_kind": ["mixed", "managed"],
            "bounds_text": ["东至甲路", None],
        },
        geometry=SQUARES, crs="EPSG:4548",
    )  # fmt: skip


@pytest.fixture
def units() -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        {"code": ["U1", "U2"], "level": [2, 2]},
        geometry=[shapely.box(0, 0, 1000, 500), shapely.box(1000, 0, 1500, 500)], crs="EPSG:4548",
    )  # fmt: skip


def rule_of(profile: str, rule: str) -> Profile:
    shipped = Profile.load(profile)
    return replace(shipped, rules=tuple(r for r in shipped.rules if r.id == rule))


def own_rule(**keys: Any) -> Profile:
    base = {"id": "X", "op": ">=", "value": 1.0, "unit": "piece"}
    return Profile("own", "own", Profile.load("sample").norm, rules=(Rule(**{**base, **keys}),))


def check(profile: Profile, **given_: Any) -> pd.DataFrame:
    return check_compliance(NOBODY, None, profile, **{**WEEK, **given_})


def rows(table: pd.DataFrame, *columns: str) -> list[list[Any]]:
    found: list[list[Any]] = table[list(columns)].to_numpy().tolist()
    return found


def at(x: float, y: float) -> shapely.Point:
    return shapely.Point(x, y)


def lonlat(shapes: list[Any], **columns: Any) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(columns, geometry=shapes, crs="EPSG:4548").to_crs("EPSG:4326")


def visits(*made: tuple[str, str, str]) -> pd.DataFrame:
    """target, staff, local time."""
    table = pd.DataFrame(made, columns=["target", "staff", "time"])
    return table.assign(time=pd.to_datetime([f"{t}:00+08:00" for t in table["time"]], utc=True))


def walk(staff: str, start: str, line: list[tuple[float, float]], minutes: float) -> pd.DataFrame:
    """Fixes along a line (metres of EPSG:4548), one each five seconds."""
    steps = int(minutes * 12) + 1
    path = shapely.LineString(line)
    points = [path.interpolate(share, normalized=True) for share in np.linspace(0, 1, steps)]
    place = gpd.GeoSeries(points, crs="EPSG:4548").to_crs("EPSG:4326")
    time = pd.date_range(f"{start}:00+08:00", periods=steps, freq="5s").tz_convert("UTC")
    return pd.DataFrame({"staff": staff, "time": time, "lon": place.x, "lat": place.y})


# --- visits -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def sites() -> gpd.GeoDataFrame:
    return lonlat([at(100, 100), at(700, 100)], code=["S1", "S2"])


def test_a_hazard_site_is_visited_every_day(sites: gpd.GeoDataFrame, grids: gpd.GeoDataFrame) -> None:
    made = visits(*[("S1", "w1", f"2026-03-0{d}T09:00") for d in range(2, 9)], ("S2", "w1", "2026-03-02T09:00"))
    table = check(rule_of("xueyan", "R4-13"), sites=sites, visits=made, grids=grids)
    assert table.groupby("target")["result"].agg(list).to_dict() == {
        "S1": ["kept"] * 7,
        "S2": ["kept", *["missed"] * 6],
    }
    assert table.groupby("target")["grid"].first().to_dict() == {"S1": "A", "S2": "B"}
    assert set(table["reason"].dropna()) == {"no visit"}
    stormy = pd.DataFrame({"date": pd.to_datetime(["2026-03-03"]), "kind": ["storm"]})
    table = check(rule_of("xueyan", "R4-13"), sites=sites, visits=made, weather=stormy)
    assert rows(table[table["target"] == "S2"], "result", "reason")[:3] == [
        ["kept", None], ["excused", "storm declared"], ["missed", "no visit"],
    ]  # fmt: skip


def test_a_care_address_is_visited_every_month_or_at_its_own_cadence(grids: gpd.GeoDataFrame) -> None:
    care = pd.DataFrame(
        {"code": ["Z1", "Z2", "Z3"], "house": ["h1", "h1", "h2"], "cadence": [None, "yearly", "weekly"]}
    )
    made = visits(("Z1", "w1", "2026-03-31T23:00"), ("Z3", "w1", "2026-03-02T09:00"), ("Z3", "w1", "2026-03-10T09:00"))
    table = check(rule_of("xueyan", "R4-11"), sites=care, visits=made, grids=grids, **MARCH)
    assert rows(table[table["target"] != "Z3"], "target", "value", "wanted", "result") == [
        ["Z1", 1.0, ">= 1 visit / month", "kept"],
        ["Z2", 0.0, ">= 1 visit / month", "missed"],  # its own cadence asks for less: the rule's counts
    ]
    weeks = table[table["target"] == "Z3"]
    assert set(weeks["wanted"]) == {">= 1 visit / week (own cadence)"}
    # The first and the last week are cut by the month.
    assert weeks["result"].tolist() == ["no data", "kept", "kept", "missed", "missed", "no data"]
    assert weeks["from"].dt.strftime("%m-%d").tolist() == ["02-23", "03-02", "03-09", "03-16", "03-23", "03-30"]


def test_what_is_overdue_is_what_was_missed_last_and_nobody_came_since(sites: gpd.GeoDataFrame) -> None:
    made = visits(("S1", "w1", "2026-03-02T09:00"), ("S1", "w1", "2026-03-08T09:00"), ("S2", "w1", "2026-03-05T09:00"))
    table = check(rule_of("xueyan", "R4-13"), sites=sites, visits=made)
    told = visit_table(made, targets_of(sites, None, None), None, Parameters())
    late = overdue_calls(table, told, pd.Timestamp("2026-03-08"))
    # S1 was left out for five days and seen on the last; S2 was not seen since the fifth.
    assert rows(late, "target", "days") == [["S2", 0]]
    assert rows(late, "due", "last_visit") == [[pd.Timestamp("2026-03-08"), pd.Timestamp("2026-03-05")]]


def test_a_track_confirms_a_visit_or_not(sites: gpd.GeoDataFrame) -> None:
    fixes = clean_tracks(walk("w1", "2026-03-02T09:00", [(100, 60), (100, 360)], 10))
    made = visits(
        ("S1", "w1", "2026-03-02T09:01"),  # 40 m away at the start
        ("S1", "w1", "2026-03-02T22:10"),  # that day, hours later
        ("S2", "w1", "2026-03-02T09:05"),  # 600 m away
        ("S1", "w2", "2026-03-02T09:01"),  # carries no phone
        ("S9", "w1", "2026-03-02T09:01"),  # nobody knows it
    )
    table = visit_table(made, targets_of(sites, None, None), fixes, Parameters())
    assert rows(table, "target", "staff", "confirmed") == [
        ["S1", "w1", "yes"], ["S1", "w2", "no track"], ["S2", "w1", "no"], ["S1", "w1", "no"],
    ]  # fmt: skip
    assert table["distance_m"].round().tolist()[0] == pytest.approx(0, abs=4)
    assert np.isnan(table["distance_m"].iloc[3])
    checked = check(rule_of("xueyan", "R4-13"), sites=sites, visits=made, fixes=fixes)
    told = checked.set_index(["target", "from"])["reason"]
    assert told["S2", pd.Timestamp("2026-03-02")] == "not confirmed: no track near at that time"
    assert told["S1", pd.Timestamp("2026-03-02")] is None  # one of its visits is
    assert checked.attrs["rejects"] == [
        {"table": "visits", "id": "S9", "reason": "no such site, care address or house"}
    ]


def test_households_are_told_by_the_grid_alone(grids: gpd.GeoDataFrame) -> None:
    houses = lonlat([at(10, 10), at(20, 10), at(700, 10)], code=["h1", "h2", "h3"], households=[1, 3, 2])
    made = visits(("h1", "w1", "2026-01-05T09:00"), ("h3", "w1", "2026-06-30T23:30"), ("h3", "w1", "2026-07-01T00:30"))
    half = {"start": "2026-01-01", "end": "2026-06-30"}
    table = check(rule_of("group-service", "R3.1-03"), houses=houses, visits=made, grids=grids, **half)
    # One of A's four households, both of B's; the visit after midnight belongs to the next half-year.
    assert rows(table, "grid", "value", "result", "reason") == [
        ["A", 0.25, "missed", "1 of 4 households"], ["B", 1.0, "kept", "2 of 2 households"],
    ]  # fmt: skip
    assert not table["target"].notna().any()
    cut = check(rule_of("group-service", "R3.1-03"), houses=houses, visits=made, grids=grids)
    assert set(cut["result"]) == {"no data"}
    rate = check(rule_of("group-service", "R3.1-08"), houses=houses, visits=made, grids=grids, **half)
    assert rows(rate, "target", "value", "result") == [["U1", 50.0, "excused"]]
    assert rate["reason"].tolist() == ["3 of 6 households; only observed in the scheme, not required"]


def test_calls_by_phone_are_counted_apart(sites: gpd.GeoDataFrame) -> None:
    care = pd.DataFrame({"code": ["Z1"], "house": ["h1"]})
    made = visits(("Z1", "w1", "2026-03-05T09:00")).assign(kind="电话")
    by_phone = check(rule_of("group-service", "R3.1-06"), sites=care, visits=made, **MARCH)
    assert rows(by_phone, "value", "result") == [[1.0, "kept"]]
    at_home = check(rule_of("group-service", "R3.1-05"), sites=care, visits=made, start="2026-01-01", end="2026-03-31")
    assert rows(at_home, "value", "result") == [[0.0, "missed"]]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("daily", (1, "day")), ("每天", (1, "day")), ("每日2次", (2, "day")), ("weekly", (1, "week")),
        ("每周两次", (2, "week")), ("3 times a month", (3, "month")), ("once per quarter", (1, "quarter")),
        ("每半年", (1, "half-year")), ("每年一次", (1, "year")), ("often", None), (None, None), ("0x", None),
    ],
)  # fmt: skip
def test_cadences_as_people_write_them(text: str | None, wanted: tuple[float, str] | None) -> None:
    assert read_cadence(text) == wanted


def test_a_cadence_that_nobody_can_read_is_set_aside(sites: gpd.GeoDataFrame) -> None:
    table = check(rule_of("xueyan", "R4-13"), sites=sites.assign(cadence=["often", None]), visits=visits())
    assert table.attrs["rejects"] == [
        {"table": "sites", "id": "S1", "reason": "the cadence cannot be read: the rule's own counts"}
    ]
    assert set(table["wanted"]) == {">= 1 visit / day"}


# --- working days, spans, grids, rounds -------------------------------------------------------------------------------


def patrols_on(*days: str, staff: str = "w1", grid: str = "A") -> pd.DataFrame:
    start = pd.to_datetime([f"{d}T09:00:00+08:00" for d in days], utc=True)
    return pd.DataFrame(
        {
            "staff": staff, "grid": grid, "date": pd.to_datetime(list(days)).astype("datetime64[us]"), "start": start,
            "minutes": 60.0, "inside_m": 1000.0, "inside_min": 60.0,
        }
    )  # fmt: skip


def posted(*who: tuple[str, str, str], since: str = "2026-01-01") -> pd.DataFrame:
    """staff, grid, role."""
    table = pd.DataFrame(who, columns=["staff", "grid", "role"])
    return table.assign(**{"from": pd.Timestamp(since), "to": pd.NaT})


def test_two_patrols_each_working_day() -> None:
    own = rule_of("yichang", "R3.6-07")
    walks = patrols_on("2026-03-02", "2026-03-02", "2026-03-03", "2026-03-07")
    table = check_compliance(walks, None, own, postings=posted(("w1", "A", "full-time worker")), **WEEK)
    # Monday two, Tuesday one, no other; Saturday and Sunday are no working days.
    assert rows(table, "value", "result")[:3] == [[2.0, "kept"], [1.0, "missed"], [0.0, "missed"]]
    assert table["from"].dt.day.tolist() == [2, 3, 4, 5, 6]
    moved = replace(own, calendar=Calendar((pd.Timestamp("2026-03-02").date(),), (pd.Timestamp("2026-03-08").date(),)))
    table = check_compliance(walks, None, moved, postings=posted(("w1", "A", "full-time worker")), **WEEK)
    assert table["from"].dt.day.tolist() == [3, 4, 5, 6, 8]
    six = replace(own, parameters=Parameters(working_days="monday..saturday"))
    table = check_compliance(walks, None, six, postings=posted(("w1", "A", "full-time worker")), **WEEK)
    assert table["from"].dt.day.tolist() == [2, 3, 4, 5, 6, 7]


def test_a_grid_that_changed_in_the_week_is_told() -> None:
    who = posted(("w1", "A", "full-time worker"), ("w1", "B", "full-time worker"))
    who["to"] = [pd.Timestamp("2026-03-04"), pd.NaT]
    who["from"] = [pd.Timestamp("2026-01-01"), pd.Timestamp("2026-03-05")]
    table = check_compliance(patrols_on("2026-03-02"), None, rule_of("xueyan", "R4-05"), postings=who, **WEEK)
    assert rows(table, "grid", "result", "reason") == [[None, "missed", "grid changed in the period: A → B"]]
    both = posted(("w1", "A", "grid head"), ("w1", "B", "grid head"))
    table = check_compliance(patrols_on("2026-03-02"), None, rule_of("xueyan", "R4-02"), postings=both, **WEEK)
    assert rows(table, "grid", "reason") == [[None, None]]  # two grids at a time are no change


def test_patrols_of_a_grid_by_whomever(grids: gpd.GeoDataFrame) -> None:
    who = posted(("w1", "A", "part-time worker"), ("w2", "B", "full-time worker"))
    away = pd.DataFrame({"staff": ["w2"], "date": pd.to_datetime(["2026-03-03"])})
    table = check_compliance(
        patrols_on("2026-03-02"), None, rule_of("fire", "R3.10-03"), postings=who, grids=grids, leave=away,
        start="2026-03-02", end="2026-03-03",
    )  # fmt: skip
    assert rows(table, "grid", "value", "result", "reason") == [
        ["A", 1.0, "kept", None], ["A", 0.0, "missed", "no track"],
        ["B", 0.0, "missed", "no track"], ["B", 0.0, "excused", "leave"],
    ]  # fmt: skip


def test_a_round_passes_the_buildings_of_the_own_grid(grids: gpd.GeoDataFrame) -> None:
    houses = gpd.GeoDataFrame(
        {"code": ["b1", "b2", "b3"]},
        geometry=[shapely.box(40, 95, 60, 105), shapely.box(240, 95, 260, 105), shapely.box(700, 0, 710, 10)],
        crs="EPSG:4548",
    )  # fmt: skip
    fixes = clean_tracks(
        pd.concat(
            [
                walk("w1", "2026-03-02T09:00", [(10, 115), (300, 115)], 5),  # 10 m from both
                walk("w1", "2026-03-03T09:00", [(10, 115), (150, 115)], 3),  # the first alone
            ]
        )
    )
    table = check_compliance(
        NOBODY, None, rule_of("group-service", "R3.1-13"), postings=posted(("w1", "A", "part-time worker")),
        grids=grids, buildings=houses, fixes=fixes, start="2026-03-02", end="2026-03-04",
    )  # fmt: skip
    assert rows(table, "value", "result", "reason") == [
        [1.0, "kept", "2 of 2 buildings passed"], [0.5, "missed", "1 of 2 buildings passed"],
        [0.0, "missed", "0 of 2 buildings passed"],
    ]  # fmt: skip
    assert set(table["wanted"]) == {">= 0.9 of the buildings"}
    observed = check_compliance(
        NOBODY, None, rule_of("chenghua", "R3.9-05"), postings=posted(("w1", "A", "grid head")), grids=grids,
        compounds=houses, fixes=fixes, start="2026-03-03", end="2026-03-03",
    )  # fmt: skip
    assert rows(observed, "result") == [["excused"]]  # only observed there: never missed


def test_somebody_is_on_duty_on_each_segment_every_day() -> None:
    streets = gpd.GeoDataFrame(
        {"code": ["L1", "L2"], "grid": ["A", "A"]},
        geometry=[shapely.LineString([(0, 100), (200, 100)]), shapely.LineString([(0, 300), (200, 300)])],
        crs="EPSG:4548",
    )  # fmt: skip
    who = posted(("w1", "A", "full-time worker"), ("w2", "L2", "full-time worker"))
    fixes = clean_tracks(walk("w1", "2026-03-02T09:00", [(0, 108), (200, 108)], 4))
    own, day = rule_of("pujiang", "R2-14"), {"start": "2026-03-02", "end": "2026-03-03"}
    table = check_compliance(NOBODY, None, own, postings=who, segments=streets, fixes=fixes, **day)
    assert rows(table, "target", "value", "result", "reason") == [
        ["L1", 1.0, "kept", None], ["L1", 0.0, "missed", "no track"],
        ["L2", 0.0, "missed", "no track"], ["L2", 0.0, "missed", "no track"],  # its own staff is w2
    ]  # fmt: skip
    away = pd.DataFrame({"staff": ["w2"], "date": pd.to_datetime(["2026-03-03"])})
    table = check_compliance(NOBODY, None, own, postings=who, segments=streets, leave=away, **day)
    assert table["result"].tolist() == ["kept", "kept", "kept", "missed"]
    assert table["reason"].tolist()[::3] == ["by postings, without tracks", "nobody on duty"]
    staffed = check_compliance(NOBODY, None, rule_of("pujiang", "R2-13"), postings=who, segments=streets, **day)
    assert rows(staffed, "target", "value", "result") == [["L1", 1.0, "kept"], ["L2", 1.0, "kept"]]
    bare = check_compliance(
        NOBODY, None, own, postings=posted(("w1", "Z", "liaison")), segments=streets, fixes=fixes, **day
    )
    assert set(bare["reason"]) == {"no posting"}


# --- staffing ---------------------------------------------------------------------------------------------------------

TEAM = posted(
    ("h1", "A", "grid head"), ("w1", "A", "full-time worker"), ("i1", "A", "information officer"),
    ("v1", "A", "volunteer"), ("h1", "B", "grid head"), ("w1", "B", "full-time worker"),
    ("w1", "C", "full-time worker"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("profile", "rule", "values", "results"),
    [
        ("hongwei", "R1-05", [1, 1], ["kept", "kept"]), ("hongwei", "R1-06", [1, 1], ["kept", "kept"]),
        ("hongwei", "R1-07", [1, 0], ["kept", "missed"]), ("hongwei", "R1-08", [1, 0], ["kept", "missed"]),
        ("gumei", "R0-01", [3, 2], ["kept", "kept"]), ("group-service", "R3.1-01", [3, 2], ["missed", "missed"]),
        ("yichang", "R3.6-05", [1, 1], ["kept", "kept"]), ("labour", "R3.5-02", [1, 1], ["kept", "kept"]),
        ("pujiang", "R2-17", [1], ["kept"]),  # B is the only extension grid
    ],
)  # fmt: skip
def test_staff_of_each_grid(
    profile: str, rule: str, values: list[float], results: list[str], grids: gpd.GeoDataFrame
) -> None:
    table = check(rule_of(profile, rule), postings=TEAM, grids=grids)
    assert (table["value"].tolist(), table["result"].tolist()) == (values, results)


def test_more_grids_than_a_worker_should_serve_are_shown_and_never_missed(grids: gpd.GeoDataFrame) -> None:
    table = check(rule_of("yichang", "R3.6-06"), postings=TEAM, grids=grids)
    assert rows(table, "staff", "value", "result") == [["w1", 3.0, "excused"]]
    assert table["reason"].tolist() == ["A, B, C; only observed in the scheme, not required"]
    assert table["strength"].tolist() == ["observed"]


def test_a_post_is_judged_on_the_last_day(grids: gpd.GeoDataFrame) -> None:
    who = posted(("w1", "A", "full-time worker"), ("w2", "B", "full-time worker"))
    who["to"] = [pd.NaT, pd.Timestamp("2026-03-04")]
    table = check(rule_of("yichang", "R3.6-05"), postings=who, grids=grids)
    assert rows(table, "grid", "result", "reason") == [["A", "kept", None], ["B", "missed", "nobody is posted"]]


def test_heads_of_blocks_and_stewards_of_buildings(grids: gpd.GeoDataFrame) -> None:
    blocks = gpd.GeoDataFrame({"code": ["A-1", "A-2"], "grid": ["A", "A"]}, geometry=SQUARES, crs="EPSG:4548")
    who = posted(("h1", "A-1", "grid head"), ("s1", "b1", "building steward"))
    table = check(rule_of("pujiang", "R2-16"), postings=who, grids=grids, responsibility_blocks=blocks)
    assert rows(table, "target", "value", "result") == [["A-1", 1.0, "kept"], ["A-2", 0.0, "missed"]]
    houses = gpd.GeoDataFrame({"code": ["b1", "b2"]}, geometry=[s.buffer(-200) for s in SQUARES], crs="EPSG:4548")
    table = check(rule_of("building-codes", "R3.7-02"), postings=who, grids=grids, buildings=houses)
    assert rows(table, "target", "value", "result") == [["U1", 50.0, "excused"]]


# --- boards -----------------------------------------------------------------------------------------------------------


def test_boards_of_grids_communities_and_buildings(grids: gpd.GeoDataFrame, units: gpd.GeoDataFrame) -> None:
    boards = lonlat(
        [at(10, 10), at(300, 100), at(20, 20)], code=["g1", "c1", "x1"], kind=["grid", "community", "building"],
        grid=["A", None, "B"], building=[None, None, "b1"],
    )  # fmt: skip
    given_ = {"boards": boards, "grids": grids, "units": units}
    for profile, rule in (("xueyan", "R4-45"), ("hongwei", "R1-12")):
        table = check(rule_of(profile, rule), **given_)
        assert rows(table, "grid", "value", "result") == [["A", 1.0, "kept"], ["B", 0.0, "missed"]]
    table = check(rule_of("pujiang", "R2-18"), **given_)
    assert rows(table, "target", "value", "result") == [["U1", 1.0, "kept"], ["U2", 0.0, "missed"]]
    complete = own_rule(subject="grids", metric="complete_boards", value=100.0, unit="% of grids", period="standing")
    table = check(complete, board_lacks={"A": (), "B": ()}, **given_)
    assert rows(table, "value", "reason") == [[50.0, "1 of 2 grids"]]
    assert check(complete, board_lacks={"A": ("phone",)}, **given_)["value"].tolist() == [0.0]


@pytest.mark.parametrize(("have", "total", "share"), [(2073, 2394, 86.59), (1169, 1400, 83.50), (904, 994, 90.95)])
def test_the_published_shares_of_boards(have: int, total: int, share: float, grids: gpd.GeoDataFrame) -> None:
    codes = [f"b{n}" for n in range(total)]
    houses = gpd.GeoDataFrame({"code": codes}, geometry=[shapely.box(1, 1, 2, 2)] * total, crs="EPSG:4548")
    boards = pd.DataFrame({"code": codes[:have], "kind": "building", "building": codes[:have]})
    table = check(rule_of("building-codes", "R3.7-03"), boards=boards, buildings=houses, grids=grids)
    assert table["value"].round(2).tolist() == [share]
    assert rows(table, "grid", "result", "reason") == [["A", "missed", f"{have:,} of {total:,} buildings"]]
    assert table["wanted"].tolist() == [">= 100 % of buildings"]


def test_faults_of_boards(grids: gpd.GeoDataFrame) -> None:
    boards = pd.DataFrame(
        {
            "code": ["g1", "g2", "g3"], "kind": "grid", "grid": ["A", "A", "Z"],
            "place": ["门口", None, "路口"], "checked_on": pd.to_datetime(["2025-09-01", "2026-03-01", None]),
        }
    )  # fmt: skip
    found = board_faults(boards, grids, pd.Timestamp("2026-03-08"), Parameters(), {"A": ("phone",)})
    assert rows(found, "code", "fault") == [
        ["B", "lacking"], ["g1", "incomplete"], ["g2", "incomplete"], ["g1", "overdue"], ["g3", "unchecked"],
        ["g2", "placeless"],
    ]  # fmt: skip
    # 180 days back from 8 March 2026 is 9 September 2025.
    assert "188 days ago" in found.set_index("fault").loc["overdue", "detail"]
    table = check(rule_of("xueyan", "R4-45"), boards=boards, grids=grids)
    assert table.attrs["rejects"] == [{"table": "boards", "id": "g3", "reason": "no such grid"}]


# --- the plan ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "rule", "values", "results"),
    [
        ("hongwei", "R1-01", [300, 500], ["kept", "missed"]),  # about 300: 225 to 375
        ("hongwei", "R1-02", [1200, 1600], ["kept", "missed"]), ("hongwei", "R1-09", [3], ["kept"]),
        ("hongwei", "R1-15", [1, 0], ["kept", "missed"]), ("hongwei", "R1-16", [1, 0], ["kept", "missed"]),
        ("yichang", "R3.6-01", [500], ["kept"]), ("yichang", "R3.6-02", [300], ["kept"]),
        ("yichang", "R3.6-04", [2, 0], ["missed", "missed"]), ("yichang", "R3.6-15", [4], ["kept"]),
        ("yantai", "R3.2-01", [4], ["kept"]), ("fire", "R3.10-01", [3], ["kept"]),
        ("three-kinds", "R3.8-01", [2, 0], ["excused", "excused"]),
        ("three-kinds", "R3.8-02", [300, 500], ["excused", "kept"]),
        ("chenghua", "R3.9-01", [300, 500], ["missed", "kept"]), ("pujiang", "R2-01", [2], ["missed"]),
        ("pujiang", "R2-21", [3], ["kept"]), ("labour", "R3.5-01", [2], ["excused"]),
        ("labour", "R3.5-03", [2, 0], ["missed", "missed"]), ("health", "R3.4-01", [0, 0], ["missed", "missed"]),
    ],
)  # fmt: skip
def test_rules_of_the_plan(
    profile: str, rule: str, values: list[float], results: list[str], grids: gpd.GeoDataFrame, units: gpd.GeoDataFrame
) -> None:
    table = check(rule_of(profile, rule), grids=grids, units=units)
    assert (table["value"].tolist(), table["result"].tolist()) == (values, results)


def test_areas_are_those_that_validate_finds(grids: gpd.GeoDataFrame) -> None:
    from gridgis.plan.validate import validate

    wide = gpd.GeoDataFrame({"code": ["x"]}, geometry=[shapely.box(0, 0, 1000, 510)], crs="EPSG:4548")
    found = validate(grids, wide)
    table = check(rule_of("hongwei", "R1-03"), grids=grids, defects=found)
    assert table["value"].round(3).tolist() == [10_000.0] and table["result"].tolist() == ["missed"]
    assert check(rule_of("chenghua", "R3.9-03"), grids=grids, defects=found)["result"].tolist() == ["kept"]
    over = grids.set_geometry([SQUARES[0], shapely.box(490, 0, 1000, 500)])
    table = check(rule_of("hongwei", "R1-04"), grids=over)
    assert table["value"].round(3).tolist() == [5_000.0] and table["reason"].tolist() == ["1 places: A, B"]
    assert check(rule_of("hongwei", "R1-03"), grids=grids)["reason"].tolist() == [
        "the boundary of the ground was not given"
    ]
    blocks = gpd.GeoDataFrame(
        {"code": ["A-1", "A-2"], "grid": ["A", "A"]},
        geometry=[shapely.box(0, 0, 200, 500), shapely.box(210, 0, 500, 500)], crs="EPSG:4548",
    )  # fmt: skip
    given_ = {"grids": grids, "responsibility_blocks": blocks}
    assert check(rule_of("pujiang", "R2-10"), **given_)["value"].round(3).tolist() == [5_000.0]
    assert check(rule_of("pujiang", "R2-09"), **given_)["result"].tolist() == ["kept"]
    assert check(rule_of("pujiang", "R2-12"), grids=grids, defects=found)["result"].tolist() == ["missed"]


def test_health_grids_hold_the_communities_they_mostly_cover(units: gpd.GeoDataFrame) -> None:
    station = gpd.GeoDataFrame({"code": ["H"]}, geometry=[shapely.box(0, 0, 1300, 500)], crs="EPSG:4548")
    table = check(rule_of("health", "R3.4-01"), grids=station, units=units)
    assert rows(table, "grid", "value", "result") == [["H", 2.0, "missed"]]


def test_small_grids_in_compound_grids_and_links(grids: gpd.GeoDataFrame) -> None:
    nested = pd.concat([grids, grids.assign(code=["A1", "A2"], parent="A")], ignore_index=True)
    table = check(rule_of("gumei", "R0-03"), grids=nested)
    assert rows(table, "grid", "value", "result") == [["A", 2.0, "kept"], ["B", 0.0, "missed"]]
    counts = {
        "person_house": {"total": 200, "complete": 190, "broken": 10},
        "house_building": {"total": 50, "complete": 50, "broken": 0},
    }
    table = check(rule_of("hongwei", "R1-17"), grids=grids, chain=counts)
    assert rows(table, "target", "value", "result", "reason") == [
        ["person_house", 95.0, "missed", "10 of 200 broken"], ["house_building", 100.0, "kept", None],
    ]  # fmt: skip


def test_segments_that_do_not_meet() -> None:
    ground = gpd.GeoDataFrame({"code": ["A"]}, geometry=[shapely.box(0, 0, 400, 400)], crs="EPSG:4548")
    streets = gpd.GeoDataFrame(
        {"code": ["L1", "L2"], "grid": ["A", "A"]},
        geometry=[shapely.LineString([(0, 200), (190, 200)]), shapely.LineString([(200, 200), (400, 200)])],
        crs="EPSG:4548",
    )  # fmt: skip
    table = check(rule_of("pujiang", "R2-11"), grids=ground, segments=streets)
    assert table["value"].round(3).tolist() == [10.0] and table["result"].tolist() == ["missed"]
    closed = streets.set_geometry([shapely.LineString([(0, 200), (200, 200)]), streets.geometry.iloc[1]])
    assert check(rule_of("pujiang", "R2-11"), grids=ground, segments=closed)["result"].tolist() == ["kept"]


def test_rules_without_their_tables_are_no_data_and_say_which() -> None:
    for name in Profile.names():
        profile = Profile.load(name)
        table = check(profile)
        told = {rule.id for rule in profile.rules if rule.check != "score"}
        people = {r.id for r in profile.rules if r.area == "patrol"}
        assert told - set(table["rule"]) <= people, name
        rest = table[~table["rule"].isin(people)]
        assert set(rest["result"]) <= {"no data"}
        assert rest["reason"].notna().all()


# --- matters, lights, scores ------------------------------------------------------------------------------------------


def matters(
    *rows_: tuple[str, str, str | None, str | None], grid: str = "A", category: str = "治安"
) -> gpd.GeoDataFrame:
    """code, time, deadline, closed (local)."""

    def when(values: list[str | None]) -> pd.Series:
        return pd.to_datetime([None if v is None else f"{v}:00+08:00" for v in values], utc=True)

    return lonlat(
        [at(100, 100)] * len(rows_), code=[r[0] for r in rows_], category=category, grid=grid,
        time=when([r[1] for r in rows_]), deadline=when([r[2] for r in rows_]), closed=when([r[3] for r in rows_]),
    )  # fmt: skip


def test_the_light_of_each_matter(grids: gpd.GeoDataFrame) -> None:
    table = matters(
        ("m1", "2026-03-01T08:00", "2026-03-08T08:00", "2026-03-08T07:59"),
        ("m2", "2026-03-01T08:00", "2026-03-08T08:00", "2026-03-08T08:01"),
        ("m3", "2026-03-01T08:00", "2026-03-08T08:00", None),
        ("m4", "2026-03-05T08:00", None, None),  # four days old: more than yellow_days
        ("m5", "2026-03-08T08:00", None, None),  # a day old
        ("m6", "2026-03-01T08:00", None, "2026-03-20T08:00"),  # open then: due on the eighth, after red_days
        ("m7", "2026-03-10T08:00", None, None),  # not yet reported
    )
    lights = matter_lights(table, grids, Parameters(), pd.Timestamp("2026-03-09T09:00", tz="Asia/Shanghai"))
    assert rows(lights, "code", "light", "reason") == [
        ["m1", "green", "in time"], ["m2", "yellow", "late"], ["m3", "red", "stuck"], ["m4", "yellow", "slow"],
        ["m5", "green", "in time"], ["m6", "red", "stuck"],
    ]  # fmt: skip
    assert set(lights["grid_of_place"]) == {"A"}
    assert lights["days"].round(2).tolist()[:2] == [7.0, 7.0]


def test_items_of_a_month_are_the_average_of_the_grids(grids: gpd.GeoDataFrame) -> None:
    many = [(f"m{n}", f"2026-03-{n % 28 + 1:02d}T08:00", None, None) for n in range(20)]
    table = check(rule_of("xueyan", "R4-16"), grids=grids, matters=matters(*many), **MARCH)
    assert rows(table, "value", "result", "reason") == [[10.0, "kept", "20 items in 2 grids"]]
    table = check(rule_of("xueyan", "R4-16"), grids=grids, matters=matters(*many[1:]), **MARCH)
    assert rows(table, "value", "result") == [[9.5, "missed"]]
    table = check(rule_of("xueyan", "R4-17"), grids=grids, matters=matters(*many), **MARCH)
    assert rows(table, "value", "result") == [[0.0, "missed"]]  # none of public safety
    false = matters(*many).assign(finding=["虚假", *[None] * 19])
    assert check(rule_of("xueyan", "R4-14"), grids=grids, matters=false, **MARCH)["value"].tolist() == [9.5]
    assert check(rule_of("xueyan", "R4-14"), grids=grids, matters=matters(*many))["result"].tolist() == ["no data"]


def test_matters_without_time_or_grid_are_set_aside(grids: gpd.GeoDataFrame) -> None:
    odd = matters(("m1", "2026-03-02T08:00", None, None), ("m2", "2026-03-02T08:00", None, None))
    odd = odd.assign(time=odd["time"].where([False, True]), grid=["Z", None])
    found = check(rule_of("xueyan", "R4-14"), grids=grids, matters=odd).attrs["rejects"]
    assert found == [
        {"table": "matters", "id": "m1", "reason": "no time"},
        {"table": "matters", "id": "m2", "reason": "no grid"},
        {"table": "matters", "id": "m1", "reason": "no such grid"},
    ]


def test_three_items_beyond_forty_make_one() -> None:
    assert item_points(0, 0, 0, 40, {})[0] == 40
    assert [item_points(0, 0, 0, n, {})[0] for n in (41, 42, 43, 46)] == [40, 40, 41, 42]
    assert item_points(2, 1, 1, 3, {})[0] == 2 * 5 + 3 + 1 + 3


def test_the_score_of_a_grid_is_printed_with_its_numbers(grids: gpd.GeoDataFrame) -> None:
    xueyan = Profile.load("xueyan")
    table = matters(*[(f"m{n}", "2026-03-03T08:00", None, None) for n in range(4)])
    table = table.assign(grade=["A", "B", None, None], finding=[None, None, None, "unqualified"])
    who = posted(("w1", "A", "full-time worker"))
    rules = check_compliance(patrols_on("2026-03-02"), None, xueyan, postings=who, grids=grids, **WEEK)
    scores = compliance_scores(xueyan, rules, matters=table, grids=grids).set_index("grid")
    # Items 5 + 3 + 1 (one is not valid) = 9; six days without a track, one item unqualified: 5.4 − 12 − 2.
    assert scores.loc["A", "score"] == pytest.approx(0.6 * 9 - 6 * 2 - 2)
    assert scores.loc["A", "formula"] == (
        "0.6×(5×1 + 3×1 + 1×0 + 1×1) + 0.2×1×0 + 0.2×0 − 2×6 without track − 2×1 unqualified = -8.6"
    )
    assert "base data" in scores.loc["A", "unknown"] and "monthly minimum" in scores.loc["A", "unknown"]
    assert scores.loc["B", "score"] == 0.0
    month = check_compliance(patrols_on("2026-03-02"), None, xueyan, grids=grids, **MARCH)
    full = compliance_scores(xueyan, month, matters=table, grids=grids).set_index("grid")
    assert "− 77 items short of the month's minimum" in full.loc["A", "formula"]  # 80 less three valid ones


def test_the_score_of_a_worker_by_attendance() -> None:
    yichang = Profile.load("yichang")
    walks = patrols_on("2026-03-02", "2026-03-02", "2026-03-03")
    rules = check_compliance(walks, None, yichang, postings=posted(("w1", "A", "full-time worker")), **WEEK)
    (row,) = compliance_scores(yichang, rules).to_dict("records")
    # Five working days, two with a track, one with the two patrols that are asked for.
    assert row["formula"] == "15×2/5 + 45×1/5 = 15 (of 60)"
    assert (row["staff"], row["score"]) == ("w1", 15.0)
    assert row["unknown"] == "special work (30), community rating (10)"
    assert compliance_scores(Profile.load("fire"), rules).empty


# --- laws -------------------------------------------------------------------------------------------------------------

DAYS = [f"2026-03-{d:02d}" for d in range(2, 16)]
RANK = {"missed": 0, "undecided": 1, "excused": 2, "no data": 2, "kept": 3}
FORTNIGHT = {"start": DAYS[0], "end": DAYS[-1]}
LAWFUL = replace(
    Profile.load("xueyan"), rules=tuple(r for r in Profile.load("xueyan").rules if r.subject == "full-time worker")
)
days_of_walks = st.lists(st.sampled_from(DAYS), max_size=12)


def judged(walks: list[str], away: list[str] = [], **more: Any) -> pd.DataFrame:  # noqa: B006
    leave = pd.DataFrame({"staff": "w1", "date": pd.to_datetime(away)}) if away else None
    who = posted(("w1", "A", "full-time worker"))
    walked = patrols_on(*walks) if walks else NOBODY
    return check_compliance(walked, None, LAWFUL, postings=who, leave=leave, **FORTNIGHT, **more)


def ranks(table: pd.DataFrame) -> dict[Any, int]:
    # Of a day with a patrol its length is judged as well; days without have no such row.
    some = table[(table["rule"] != "R4-04") & table["staff"].notna()]
    return {
        key: RANK[result] for *key_, result in rows(some, "rule", "staff", "from", "result") for key in [tuple(key_)]
    }


@settings(deadline=None, max_examples=12)
@given(days_of_walks, days_of_walks)
def test_more_patrol_never_turns_kept_into_missed(walks: list[str], more: list[str]) -> None:
    fewer, all_ = ranks(judged(walks)), ranks(judged([*walks, *more]))
    assert all(all_[key] >= rank for key, rank in fewer.items())


@settings(deadline=None, max_examples=12)
@given(days_of_walks, st.lists(st.sampled_from(DAYS), max_size=6))
def test_leave_never_turns_kept_or_excused_into_missed(walks: list[str], away: list[str]) -> None:
    without, with_ = ranks(judged(walks)), ranks(judged(walks, away))
    assert all(with_[key] >= rank for key, rank in without.items())


@settings(deadline=None, max_examples=12)
@given(st.lists(st.tuples(st.sampled_from(["S1", "S2"]), st.sampled_from(DAYS)), max_size=20), st.randoms())
def test_visits_count_in_any_order_and_more_of_them_do_no_harm(made: list[tuple[str, str]], luck: Any) -> None:
    place = lonlat([at(100, 100), at(700, 100)], code=["S1", "S2"])
    own = rule_of("xueyan", "R4-13")
    table = [(who, "w1", f"{day}T09:00") for who, day in made]
    shuffled = luck.sample(table, len(table))
    one = check_compliance(NOBODY, None, own, sites=place, visits=visits(*table), **FORTNIGHT)
    other = check_compliance(NOBODY, None, own, sites=place.iloc[::-1], visits=visits(*shuffled), **FORTNIGHT)
    pd.testing.assert_frame_equal(one, other)
    assert one["value"].sum() == len(made)
    assert (one["result"] == "kept").sum() == len(set(made))
    assert len(one) == 2 * len(DAYS)


@settings(deadline=None, max_examples=8)
@given(days_of_walks, st.lists(st.sampled_from(DAYS), max_size=4))
def test_results_of_days_add_to_the_days_of_the_posting(walks: list[str], away: list[str]) -> None:
    table = judged(walks, away)
    daily = table[table["rule"] == "R4-06"]
    assert len(daily) == len(DAYS)
    assert daily["value"].sum() == pytest.approx(len(walks))
    assert daily["result"].value_counts().sum() == len(DAYS)
