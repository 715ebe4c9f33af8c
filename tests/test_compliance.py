"""Rules kept or missed, each with numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from gridgis.compliance import RESULT_COLUMNS, RESULTS, check_compliance, windows
from gridgis.errors import GridgisWarning, InputError, SchemaError
from gridgis.profile import Profile

# Monday 2 March to Sunday 8 March 2026: one whole week.
WEEK = {"start": "2026-03-02", "end": "2026-03-08"}
POSTINGS = pd.DataFrame(
    {
        "staff": ["w1", "h1", "l1"],
        "grid": ["A", "A", "A"],
        "role": ["full-time worker", "grid head", "liaison"],
        "from": pd.to_datetime(["2026-01-01"] * 3),
        "to": pd.to_datetime([None] * 3),
    }
)
XUEYAN = Profile.load("xueyan")


def walks(*rows: tuple[str, str, float, float]) -> pd.DataFrame:
    """Patrols: staff, local start, minutes, metres inside."""
    start = pd.to_datetime([f"{when}:00+08:00" for _, when, _, _ in rows], utc=True)
    minutes = [m for _, _, m, _ in rows]
    metres = [m for _, _, _, m in rows]
    return pd.DataFrame(
        {
            "staff": pd.Series([s for s, _, _, _ in rows], dtype=object),
            "patrol": [f"{s}/{w}" for s, w, _, _ in rows],
            "grid": "A",
            "date": pd.to_datetime([w[:10] for _, w, _, _ in rows]).astype("datetime64[us]"),
            "start": start,
            "end": start + pd.to_timedelta(minutes, unit="min"),
            "minutes": minutes,
            "raw_m": metres,
            "cleaned_m": metres,
            "inside_m": metres,
            "inside_min": minutes,
        }
    )


def seen(*rows: tuple[str, str, str, float]) -> pd.DataFrame:
    """Patrol coverage: grid, from, to, share."""
    return pd.DataFrame(
        {
            "grid": [g for g, _, _, _ in rows],
            "from": pd.to_datetime([a for _, a, _, _ in rows]),
            "to": pd.to_datetime([b for _, _, b, _ in rows]),
            "share": [s for _, _, _, s in rows],
            "ground_m2": 200_000.0,
        }
    )


def check(patrols: pd.DataFrame, rule: str, coverage: pd.DataFrame | None = None, **more: Any) -> pd.DataFrame:
    one = replace(XUEYAN, rules=tuple(r for r in XUEYAN.rules if r.id == rule))
    out = check_compliance(patrols, coverage, one, **{"postings": POSTINGS, **WEEK, **more})
    assert list(out.columns) == RESULT_COLUMNS
    assert set(out["result"]) <= set(RESULTS)
    assert set(out["rule"]) <= {rule}
    return out


def results(table: pd.DataFrame) -> list[str]:
    return table["result"].tolist()


@pytest.fixture
def grids() -> gpd.GeoDataFrame:
    # A 0.25 km², B 1 km²; small and large parted at 0.5 km².
    return gpd.GeoDataFrame(
        {"code": ["A", "B"]}, geometry=[shapely.box(0, 0, 500, 500), shapely.box(500, 0, 1500, 1000)], crs="EPSG:4548"
    )


def test_one_patrol_each_morning_and_afternoon() -> None:
    table = check(
        walks(
            ("w1", "2026-03-02T09:00", 60, 900),
            ("w1", "2026-03-02T12:00", 60, 900),
            ("w1", "2026-03-03T11:59", 300, 900),
        ),
        "R4-03",
    )
    # Monday has both (12:00 is afternoon), Tuesday's only walk began in the morning, five days have none.
    assert results(table) == ["kept", "missed", *["missed"] * 5]
    assert table["value"].tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert table["reason"].tolist()[:3] == [None, "morning 1, afternoon 0", "no track"]
    assert set(table["wanted"]) == {">= 1 patrol"}
    assert table["from"].equals(table["to"])
    assert set(table["staff"]) == {"w1"} and set(table["grid"]) == {"A"}


def test_a_patrol_lasts_an_hour() -> None:
    table = check(
        walks(("w1", "2026-03-02T09:00", 60, 0), ("w1", "2026-03-02T10:30", 5, 0), ("w1", "2026-03-02T14:00", 59.9, 0)),
        "R4-04",
    )
    # The short second walk of the morning does no harm; the afternoon falls six seconds short.
    assert sorted(zip(table["reason"], results(table), strict=True)) == [("afternoon", "missed"), ("morning", "kept")]
    assert table["value"].round(6).tolist() == [round(59.9 / 60, 6), 1.0]


def test_hours_of_a_week() -> None:
    heads = [("h1", f"2026-03-0{d}T09:00", 120, 0) for d in (2, 3, 4, 5)]
    assert check(walks(*heads), "R4-02").loc[0, ["value", "result"]].tolist() == [8.0, "kept"]
    assert check(walks(*heads[:3]), "R4-02").loc[0, ["value", "result"]].tolist() == [6.0, "missed"]
    workers = [("w1", f"2026-03-0{d}T09:00", 120, 0) for d in (2, 3, 4, 5, 6, 7)]
    whole = check(walks(*workers), "R4-05")
    assert whole.loc[0, ["value", "result", "wanted"]].tolist() == [12.0, "kept", ">= 12 hour"]
    assert whole.loc[0, ["from", "to"]].tolist() == [pd.Timestamp("2026-03-02"), pd.Timestamp("2026-03-08")]
    assert results(check(walks(*workers[:-1]), "R4-05")) == ["missed"]


def test_kilometres_inside_of_a_day_and_a_week() -> None:
    # 1 km a day for seven days keeps the daily rule and misses the weekly 8 km.
    daily = [("w1", f"2026-03-0{d}T09:00", 60, 1000.0) for d in range(2, 9)]
    assert results(check(walks(*daily), "R4-06")) == ["kept"] * 7
    assert check(walks(*daily), "R4-07").loc[0, ["value", "result"]].tolist() == [7.0, "missed"]
    more = [*daily, ("w1", "2026-03-08T15:00", 60, 1000.0)]
    assert check(walks(*more), "R4-07").loc[0, ["value", "result"]].tolist() == [8.0, "kept"]
    assert results(check(walks(("w1", "2026-03-02T09:00", 60, 999.0)), "R4-06"))[0] == "missed"


def test_a_visit_of_the_liaison_is_a_patrol_inside() -> None:
    assert check(walks(("l1", "2026-03-02T09:00", 30, 50)), "R4-01").loc[0, ["value", "result"]].tolist() == [
        1.0,
        "kept",
    ]
    outside = walks(("l1", "2026-03-02T09:00", 30, 0)).assign(inside_min=0.0)
    assert check(outside, "R4-01").loc[0, ["value", "result"]].tolist() == [0.0, "missed"]


def test_leave_and_declared_weather_excuse_a_day_but_not_a_kept_one() -> None:
    leave = pd.DataFrame({"staff": ["w1", "w1"], "date": pd.to_datetime(["2026-03-02", "2026-03-03"])})
    weather = pd.DataFrame({"date": pd.to_datetime(["2026-03-04"]), "kind": ["storm"]})
    table = check(walks(("w1", "2026-03-02T09:00", 60, 1200)), "R4-06", leave=leave, weather=weather)
    assert results(table) == ["kept", "excused", "excused", *["missed"] * 4]
    assert table["reason"].tolist()[:4] == [None, "leave", "storm declared", "no track"]
    short = walks(("w1", "2026-03-04T09:00", 30, 10))
    assert check(short, "R4-04", weather=weather).loc[0, ["result", "reason"]].tolist() == [
        "excused", "morning: storm declared",
    ]  # fmt: skip


def test_a_week_with_leave_is_asked_for_the_other_days() -> None:
    leave = pd.DataFrame({"staff": ["w1", "w1"], "date": pd.to_datetime(["2026-03-05", "2026-03-06"])})
    # Two of seven days off: 5/7 of 12 h = 8.571 h are asked.
    enough = walks(*[("w1", f"2026-03-0{d}T09:00", 129, 0) for d in (2, 3, 4, 7)])
    table = check(enough, "R4-05", leave=leave)
    assert table.loc[0, ["value", "result", "reason"]].tolist() == [8.6, "excused", "2 of 7 days off (leave)"]
    little = walks(*[("w1", f"2026-03-0{d}T09:00", 128, 0) for d in (2, 3, 4, 7)])
    assert check(little, "R4-05", leave=leave).loc[0, ["result", "reason"]].tolist() == [
        "missed",
        "2 of 7 days off (leave)",
    ]


def test_a_week_cut_by_the_data_is_no_data_unless_it_is_kept_already() -> None:
    some = walks(*[("w1", f"2026-03-0{d}T09:00", 60, 0) for d in (2, 3)])
    cut = check(some, "R4-05", end="2026-03-04")
    assert cut.loc[0, ["result", "reason"]].tolist() == ["no data", "week cut by the period: 3 of 7 days"]
    much = walks(*[("w1", f"2026-03-0{d}T06:00", 360, 0) for d in (2, 3)])
    assert check(much, "R4-05", end="2026-03-04").loc[0, ["value", "result"]].tolist() == [12.0, "kept"]


def test_the_week_begins_where_the_profile_says() -> None:
    sunday = Profile.parse(
        'name="p"\ntitle="p"\n[norm]\n[parameters]\nweek_start="sunday"\n[[rule]]\nid="X"\nsubject="full-time worker"\n'
        'metric="patrols"\nop=">="\nvalue=1\nunit="patrol"\nperiod="week"'
    )
    out = check_compliance(walks(("w1", "2026-03-08T09:00", 60, 0)), None, sunday, postings=POSTINGS, **WEEK)
    assert out["from"].dt.strftime("%m-%d").tolist() == ["03-01", "03-08"]
    assert out["value"].tolist() == [0.0, 1.0]
    assert results(out) == ["no data", "kept"]


def test_only_the_days_of_a_posting_are_asked_for() -> None:
    late = POSTINGS.assign(**{"from": pd.to_datetime(["2026-03-07"] * 3)})
    table = check(walks(("w1", "2026-03-07T09:00", 60, 2000)), "R4-06", postings=late)
    assert results(table) == ["kept", "missed"]
    assert table["from"].dt.day.tolist() == [7, 8]
    # 2 of 7 days on duty: 2/7 of 8 km = 2.286 km are asked, 2 km were walked.
    week = check(walks(("w1", "2026-03-07T09:00", 60, 2000)), "R4-07", postings=late)
    assert week.loc[0, ["result", "reason"]].tolist() == ["missed", "5 of 7 days off (no posting)"]
    before = POSTINGS.assign(to=pd.to_datetime(["2026-02-01"] * 3))
    assert len(check(walks(("h9", "2026-03-07T09:00", 60, 2000)), "R4-06", postings=before)) == 1


def test_who_has_no_posting_is_no_data() -> None:
    table = check(walks(("w9", "2026-03-02T09:00", 60, 2000)), "R4-06")
    assert table[table["staff"] == "w9"][["result", "reason"]].to_numpy().tolist() == [["no data", "no posting"]]


def test_without_postings_everyone_is_judged_as_a_worker_and_it_says_so() -> None:
    staff = pd.DataFrame({"id": ["w1", "w2"]})
    table = check(walks(("w1", "2026-03-02T09:00", 60, 1000)), "R4-06", postings=None, staff=staff)
    assert table.groupby("staff")["result"].apply(list).to_dict() == {
        "w1": ["kept", *["missed"] * 6],
        "w2": ["missed"] * 7,
    }
    assert table["reason"].iloc[0] == "no postings: judged as full-time worker"
    assert table["reason"].iloc[1] == "no track; no postings: judged as full-time worker"
    assert check(walks(("w1", "2026-03-02T09:00", 60, 1000)), "R4-02", postings=None).empty


def test_small_grids_every_day_large_ones_in_five(grids: gpd.GeoDataFrame) -> None:
    nobody = walks()
    coverage = pd.concat(
        [
            seen(("A", "2026-03-02", "2026-03-02", 0.95), ("A", "2026-03-03", "2026-03-03", 0.85)),
            seen(("A", "2026-03-04", "2026-03-04", 0.9001), ("B", "2026-03-02", "2026-03-02", 0.1)),
            seen(("B", "2026-03-02", "2026-03-06", 0.91), ("B", "2026-03-03", "2026-03-07", 0.5)),
        ]
    )
    posted = pd.concat([POSTINGS, POSTINGS.assign(grid="B")])
    small = check(nobody, "R4-09", coverage, grids=grids, postings=posted)
    assert small["grid"].tolist() == ["A"] * 3
    assert results(small) == ["kept", "missed", "undecided"]
    assert small["reason"].iloc[2] == "within 0.0002 of the mark"
    assert set(small["wanted"]) == {">= 0.9"}
    large = check(nobody, "R4-08", coverage, grids=grids, postings=posted)
    assert large[["grid", "value", "result"]].to_numpy().tolist() == [["B", 0.91, "kept"], ["B", 0.5, "missed"]]
    # Without the grids the area of their ground (0.2 km² each) tells: both are small.
    assert sorted(set(check(nobody, "R4-09", coverage)["grid"])) == ["A", "B"]


def test_windows_cut_excused_and_without_anyone(grids: gpd.GeoDataFrame) -> None:
    nobody = walks()
    short = seen(("B", "2026-03-02", "2026-03-04", 0.5))
    more = {"grids": grids, "end": "2026-03-04"}
    posted = POSTINGS.assign(grid="B")
    cut = check(nobody, "R4-08", short, postings=posted, **more)
    assert cut.loc[0, ["result", "reason"]].tolist() == ["no data", "window cut by the period: 3 of 5 days"]
    assert results(check(nobody, "R4-08", short.assign(share=0.95), postings=posted, **more)) == ["kept"]
    assert check(nobody, "R4-08", short, **more).loc[0, ["result", "reason"]].tolist() == ["no data", "no posting"]
    one = seen(("A", "2026-03-02", "2026-03-02", 0.5), ("B", "2026-03-02", "2026-03-02", 0.5))
    weather = pd.DataFrame({"date": pd.to_datetime(["2026-03-02"]), "kind": ["storm"]})
    stormy = check(nobody, "R4-09", one, grids=grids, weather=weather)
    assert stormy.loc[0, ["result", "reason"]].tolist() == ["excused", "storm declared on 1 of 1 days"]
    away = pd.DataFrame({"staff": ["w1", "h1", "l1"], "date": pd.to_datetime(["2026-03-02"] * 3)})
    assert check(nobody, "R4-09", one, grids=grids, leave=away).loc[0, ["result", "reason"]].tolist() == [
        "excused",
        "leave",
    ]
    assert results(check(nobody, "R4-09", one, grids=grids, leave=away.iloc[:2])) == ["missed"]
    unmeasured = check(nobody, "R4-08", one, grids=grids)
    assert unmeasured.loc[0, ["grid", "result", "reason"]].tolist() == [
        "B", "no data", "no windows of 5 days were measured",
    ]  # fmt: skip
    assert check(nobody, "R4-09", None).loc[0, ["result", "reason"]].tolist() == [
        "no data", "patrol coverage was not measured",
    ]  # fmt: skip
    bare = check(nobody, "R4-09", one.assign(share=float("nan")), grids=grids)
    assert bare.loc[0, ["result", "reason"]].tolist() == ["no data", "no ground to be covered"]


def test_rules_no_machine_knows_are_listed_as_such() -> None:
    for rule in ("R4-43", "R4-44"):
        table = check(walks(("w1", "2026-03-02T09:00", 60, 0)), rule)
        assert table[["result", "reason"]].to_numpy().tolist() == [
            ["no data", "not checked by machine: no table lists training courses"]
        ]


def test_every_patrol_and_visits_rule_of_the_scheme_is_checked() -> None:
    checked = [r.id for r in XUEYAN.rules if r.check == "rule" and r.area in ("patrol", "visits")]
    assert checked == [*[f"R4-0{i}" for i in range(1, 10)], "R4-11", "R4-13"]
    assert windows(XUEYAN) == [1, 5]


def test_chinese_roles_are_known_and_others_warned_of() -> None:
    patrols = walks(("w1", "2026-03-02T09:00", 60, 1000))
    chinese = POSTINGS.assign(role=["专职网格员", "网格长", "网格联络员"])
    assert check(patrols, "R4-06", postings=chinese).equals(check(patrols, "R4-06"))
    with pytest.warns(GridgisWarning, match=r"roles that no rule knows are not judged \(cook\)"):
        check(patrols, "R4-06", postings=POSTINGS.assign(role=["cook", "grid head", "liaison"]))


def test_the_order_of_rows_does_not_matter_and_inputs_stay() -> None:
    patrols = walks(*[("w1", f"2026-03-0{d}T{h}:00", 60, 700) for d in range(2, 9) for h in ("09", "15")])
    before = patrols.copy()
    one = check_compliance(patrols, None, XUEYAN, postings=POSTINGS, **WEEK)
    other = check_compliance(patrols.iloc[::-1], None, XUEYAN, postings=POSTINGS.iloc[::-1], **WEEK)
    pd.testing.assert_frame_equal(one, other)
    pd.testing.assert_frame_equal(patrols, before)
    assert one.attrs["parameters"]["noon"] == "12:00"
    assert one.attrs["parameters"]["start"] == "2026-03-02"


@pytest.mark.parametrize(
    ("op", "value", "held"),
    [(">=", "2", True), ("<=", "1", False), ("==", "2", True), ("between", "[1, 3]", True), ("approx", "2.5", True),
     ("approx", "3", False), ("exists", "1", True)],
)  # fmt: skip
def test_every_comparison(op: str, value: str, held: bool) -> None:
    profile = Profile.parse(
        'name="p"\ntitle="p"\n[norm]\n[parameters]\nabout=0.25\n[[rule]]\nid="X"\nsubject="full-time worker"\n'
        f'metric="patrols"\nop="{op}"\nvalue={value}\nunit="patrol"\nperiod="day"'
    )
    two = walks(("w1", "2026-03-02T09:00", 60, 0), ("w1", "2026-03-02T15:00", 60, 0))
    out = check_compliance(two, None, profile, postings=POSTINGS)
    assert results(out) == ["kept" if held else "missed"]


def test_bad_input_is_one_clear_error() -> None:
    patrols = walks(("w1", "2026-03-02T09:00", 60, 0))
    with pytest.raises(InputError, match=r"no patrol, so the period is unknown. Name its first and last day"):
        check_compliance(walks(), None, XUEYAN)
    with pytest.raises(InputError, match="ends before it begins; found 2026-03-02 to 2026-03-01"):
        check_compliance(patrols, None, XUEYAN, end="2026-03-01")
    with pytest.raises(SchemaError, match="postings need the column 'role'"):
        check_compliance(patrols, None, XUEYAN, postings=POSTINGS.drop(columns="role"))
