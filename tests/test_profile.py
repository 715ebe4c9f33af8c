"""Profiles: those that ship say what the published schemes say; one of your own is read strictly."""

from __future__ import annotations

import csv
import re
from dataclasses import asdict, fields
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridgis.errors import ProfileError
from gridgis.profile import Calendar, Norm, Parameters, Profile, Score
from gridgis.rules import Rule

HEAD = 'name = "own"\ntitle = "自拟 Own"\n[norm]\nhouseholds = { mixed = 300 }\n'
RULE = (
    '[[rule]]\nid = "A1"\nsubject = "grid"\nmetric = "patrols"\nop = ">="\nvalue = 1\nunit = "patrol"\nperiod = "day"\n'
)
PUBLISHED = [
    "building-codes", "chenghua", "fire", "group-service", "gumei", "health", "hongwei", "labour", "pujiang",
    "three-kinds", "xueyan", "yantai", "yichang",
]  # fmt: skip
SHIPPED = sorted([*PUBLISHED, "sample"])
# Every rule of these areas stands in its profile; what the others ask for is work of offices, not of grids.
AREAS = ("patrol", "visits", "staffing", "publication", "spatial", "score")
# The words of the machine for those of the schemes.
SUBJECTS = {
    "full_time_worker": {"full-time worker"}, "grid_head": {"grid head"}, "liaison_officer": {"liaison"},
    "grid_worker": {"full-time worker"}, "worker": {"full-time worker"}, "grid_staff": {"staff"},
    "full_time_worker, grid_head": {"full-time worker, grid head"}, "small_grid": {"small grid", "grid"},
    "large_grid": {"large grid"}, "basic_grid": {"grid"}, "compound_grid": {"grid"}, "small_fire_grid": {"grid"},
    "labour_grid": {"grid"}, "health_grid": {"grid"}, "grid_set": {"grids"}, "officer_areas": {"grids"},
    "extension_grid_set": {"extension grids"}, "enterprise_extension_grid": {"extension grid"},
    "urban_grid (property-managed compound)": {"grid of a managed compound"},
    "urban_grid (mixed compound)": {"grid of a mixed compound"}, "rural_grid": {"rural grid"},
    "committee": {"community"}, "street": {"sub-district"}, "town": {"sub-district"}, "grid_system": {"sub-district"},
    "grid_scheme": {"sub-district"}, "city_scheme": {"sub-district"}, "fire_scheme": {"sub-district"},
    "road_segment": {"segment"}, "responsibility_block": {"responsibility block"},
    "responsibility_blocks": {"responsibility blocks"}, "residential_building": {"building"},
    "joints street/compound, block/block, segment/segment": {"segments"}, "care_address": {"care address"},
    "site_with_major_hazard": {"site"}, "ordinary_household": {"household"}, "person/household/house/grid": {"chain"},
}  # fmt: skip
METRIC_WORDS = {
    "patrol_time": "patrol_hours", "track_length_inside_grid": "inside_km", "track_coverage": "patrol_coverage",
    "grid_levels": "levels", "region_map_and_service_sign": "boards", "public_grid_map_with_contacts": "boards",
    "public_boards": "boards", "steward_boards": "boards", "bounds_and_archive": "bounds_text", "gap": "seam_gap",
    "labour_grids": "grids", "committees_per_grid": "communities", "valid_reported_items": "reported_items",
}  # fmt: skip
# Where the machine has other numbers or periods than the text of the scheme: in its note as well.
REWORDED = {
    "R4-03": {"metric": "patrols_each_half_day", "value": 1},  # one in each half of the day
    "R4-04": {"metric": "patrol_hours", "period": "patrol"},
    "R4-08": {"op": ">=", "value": 1, "unit": "of full_share"},  # 100 % is out of reach: the mark is a parameter
    "R4-09": {"op": ">=", "value": 1, "unit": "of full_share"},
    "R3.10-02": {"op": "in", "value": (7, 10)},
    "R1-03": {"unit": "m²"}, "R1-04": {"unit": "m²"}, "R3.10-04": {"unit": "m²"}, "R2-11": {"unit": "m"},
}  # fmt: skip
# The defaults of the contract, in its order.
DEFAULTS = {
    "sight_m": 25, "ground": "walkable", "full_share": 0.9, "large_grid_km2": 0.5, "street_passed": 0.9,
    "building_passed_m": 15, "gps_error_m": 10, "dead_band_m": 10, "gap_s": 300, "max_speed_mps": 6,
    "week_start": "monday", "noon": "12:00", "timezone": "Asia/Shanghai", "about": 0.25, "min_area_m2": 1e-6,
    "min_width_m": 0, "yellow_days": 3, "red_days": 7, "board_verified_days": 180, "m2_per_household": 90,
    "storeys_default": 6, "track_kept_days": 90, "small_count": 5,
}  # fmt: skip


@pytest.fixture(scope="session")
def published(places: Path) -> dict[str, dict[str, str]]:
    with (places.parent / "rules.csv").open(encoding="utf-8") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


# --- the profiles that ship -------------------------------------------------------------------------------------------


def test_the_profiles_that_ship() -> None:
    assert Profile.names() == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_profile_is_called_as_its_file_and_has_a_title_in_both_languages(name: str) -> None:
    profile = Profile.load(name)
    assert profile.name == name
    assert any("一" <= c <= "鿿" for c in profile.title) and any(c.isascii() and c.isalpha() for c in profile.title)


@pytest.mark.places
@pytest.mark.parametrize("name", PUBLISHED)
def test_every_rule_of_a_scheme_stands_in_its_profile_and_none_is_invented(
    name: str, published: dict[str, dict[str, str]]
) -> None:
    rows = {i: row for i, row in published.items() if row["profile"] == name and row["area"] in AREAS}
    assert {rule.id for rule in Profile.load(name).rules} == set(rows)
    for rule in Profile.load(name).rules:
        _says_what_its_scheme_says(rule, rows[rule.id])


def _says_what_its_scheme_says(rule: Rule, row: dict[str, str]) -> None:
    ours = REWORDED.get(rule.id, {})
    plain = row["subject"].replace("_", " ")
    assert rule.subject in {plain, row["subject"], *SUBJECTS.get(row["subject"], ())}, rule.id
    assert rule.metric == ours.get("metric", rule.metric)
    if "metric" not in ours:
        assert rule.metric in (row["metric"], METRIC_WORDS.get(row["metric"])), rule.id
    assert (rule.area, rule.strength) == (row["area"], row["strength"]), rule.id
    assert rule.op == ours.get("op", row["op"]), rule.id
    assert rule.value == ours.get("value", _number(row["value"])), rule.id
    # Of items the average of all grids counts, as the period of the scheme says.
    if rule.metric.startswith("reported_items"):
        assert (rule.unit, rule.period) == ("item (average of the grids)", "month")
        assert row["period"] == "month (average per grid)"
    else:
        assert rule.unit == ours.get("unit", row["unit"]), rule.id
        assert rule.period == ours.get("period", row["period"].removesuffix(" (average per grid)")), rule.id
    if "do not enforce" in row["note"]:
        assert rule.check == "none", rule.id


def _number(text: str) -> float | str | tuple[float, ...]:
    parts = text.split("..")
    try:
        return float(text) if len(parts) == 1 else tuple(float(part) for part in parts)
    except ValueError:
        return text


@pytest.mark.places
def test_notes_of_damaged_or_open_texts_are_kept(published: dict[str, dict[str, str]]) -> None:
    rules = {rule.id: rule for name in PUBLISHED for rule in Profile.load(name).rules}
    for i, rule in rules.items():
        note = published[i]["note"]
        for word in ("damaged", "inferred", "not stated", "inconsistent", "weaker", "alternative", "undefined"):
            if word in note and rule.check == "none":
                assert rule.note or rule.why
    assert "damaged" in rules["R1-02"].note and "damaged" in rules["R1-11"].why
    assert not [i for i, rule in rules.items() if rule.check == "none" and len(rule.why) < 12]


def test_what_is_only_observed_is_not_required() -> None:
    rules = {rule.id: rule for name in PUBLISHED for rule in Profile.load(name).rules}
    assert not rules["R3.8-02"].required and rules["R3.8-02"].strength == "observed"
    assert rules["R1-01"].required and rules["R1-01"].strength == "principle"
    assert not rules["R2-20"].required and not rules["R3.2-04"].required
    assert sum(rule.check == "rule" for rule in rules.values()) == 79


@pytest.mark.places
def test_norms_are_those_of_the_rules(published: dict[str, dict[str, str]]) -> None:
    yichang, hongwei = Profile.load("yichang").norm, Profile.load("hongwei").norm
    rules = {"managed": "R3.6-01", "mixed": "R3.6-02", "rural": "R3.6-03"}
    assert yichang.households == {kind: float(published[rule]["value"]) for kind, rule in rules.items()}
    assert yichang.grids_per_community == (6, 10) == tuple(int(v) for v in published["R3.6-04"]["value"].split(".."))
    assert hongwei.households == {"mixed": float(published["R1-01"]["value"])}
    assert hongwei.persons == tuple(float(v) for v in published["R1-02"]["value"].split(".."))
    assert Profile.load("pujiang").norm == Norm()


def test_the_sample_has_the_rules_of_yichang_and_xueyan() -> None:
    sample, xueyan, yichang = (Profile.load(name) for name in ("sample", "xueyan", "yichang"))
    assert sample.norm == yichang.norm
    borrowed = {*xueyan.rules, *yichang.rules, *Profile.load("pujiang").rules}
    assert set(sample.rules) <= borrowed
    wanted = ("patrol", "visits", "publication", "score")
    assert {rule for rule in xueyan.rules if rule.area in wanted} <= set(sample.rules)
    assert {"name", "extent", "bounds_text", "phone", "supervision_phone"} <= set(sample.board_required)
    assert (sample.score, yichang.score.template) == (xueyan.score, "attendance")


def test_parameters_and_defaults_are_those_of_the_contract() -> None:
    ours = {"session_gap_s": 1800.0, "max_accuracy_m": 50.0, "visit_near_m": 50.0, "visit_near_min": 15.0}
    ours |= {"working_days": "monday..friday"}
    assert asdict(Parameters()) == DEFAULTS | ours
    assert Profile.load("yichang").parameters == Parameters()
    assert Parameters().as_dict("sight_m", "noon") == {"sight_m": 25.0, "noon": "12:00"}
    assert list(Parameters().as_dict()) == [f.name for f in fields(Parameters)]


# --- one of your own --------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            k: st.floats(0.001, 1000) for k in ("sight_m", "gap_s", "max_speed_mps", "large_grid_km2", "min_area_m2")
        },
    ),
    st.floats(0.001, 1),
    st.sampled_from(["area", "walkable", "streets", "buildings"]),
)
def test_what_is_written_is_what_is_read(numbers: dict[str, float], share: float, ground: str) -> None:
    lines = "\n".join(f"{key} = {value!r}" for key, value in numbers.items())
    profile = Profile.parse(f'{HEAD}[parameters]\nfull_share = {share!r}\nground = "{ground}"\n{lines}\n{RULE}')
    assert profile.parameters.as_dict(*numbers) == numbers or not numbers
    assert (profile.parameters.full_share, profile.parameters.ground) == (share, ground)
    untouched = set(DEFAULTS) - set(numbers) - {"full_share", "ground"}
    assert all(getattr(profile.parameters, key) == DEFAULTS[key] for key in untouched)
    assert profile.rules[0].value == 1


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_a_profile_or_an_error_of_ours(text: str) -> None:
    try:
        profile = Profile.parse(text, "own.toml")
    except ProfileError as error:
        assert re.match(r"own\.toml(, line \d+)?: ", str(error))
    else:
        assert profile.name


def test_a_file_of_your_own_by_path(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("\ufeff" + HEAD, "utf-8")
    profile = Profile.load(path)
    assert (profile.name, profile.norm.target("managed"), profile.norm.target(None)) == ("own", 300.0, 300.0)
    assert profile == Profile.load(str(path))
    assert (profile.levels, profile.code, profile.board_required, profile.rules) == (
        ("街道", "社区", "网格"), "{unit}{n:02d}", (), (),
    )  # fmt: skip


def test_targets_fall_back_to_mixed_then_to_the_only_one() -> None:
    assert Norm({"mixed": 300, "managed": 500}).target("rural") == 300
    assert Norm({"managed": 500}).target(None) == 500
    assert Norm().target("mixed") == 0


def test_no_such_profile(tmp_path: Path) -> None:
    with pytest.raises(
        ProfileError, match=r"no such profile; found 'nowhere'; wanted building-codes, .*, yichang, or a \.toml file"
    ):
        Profile.load("nowhere")
    with pytest.raises(ProfileError, match=r"x\.toml: no such profile file"):
        Profile.load(tmp_path / "x.toml")
    (tmp_path / "gbk.toml").write_bytes('name = "自拟"'.encode("gb18030"))
    with pytest.raises(ProfileError, match=r"gbk\.toml: the file is not UTF-8 text"):
        Profile.load(tmp_path / "gbk.toml")


def with_rule(**changes: str) -> str:
    lines = dict(line.split(" = ", 1) for line in RULE.strip().splitlines()[1:])
    return HEAD + "[[rule]]\n" + "\n".join(f"{k} = {v}" for k, v in {**lines, **changes}.items() if v)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "own.toml: not valid TOML: Invalid value"),
        ('title = "x"\n[norm]\n', "'name' is missing"),
        ('name = "x"\ntitle = "x"\n', "'norm' is missing"),
        (HEAD + "[norms]\n", "the file has keys that no profile knows; found norms; wanted name, title, norm"),
        ('name = "x"\ntitle = "x"\nnorm = 300\n', r"\[norm\] must be a table; found 300"),
        ('name = "x"\ntitle = "x"\n[norm]\nhouseholds = 300\n', "norm.households must be a table of kinds; found 300"),
        ('name = "x"\ntitle = "x"\n[norm]\nhouseholds = {town = 3}\n', "norm.households has keys .*found town"),
        ('name = "x"\ntitle = "x"\n[norm]\nhouseholds = {mixed = 0}\n', "norm.households.mixed must be above 0"),
        ('name = "x"\ntitle = "x"\n[norm]\nhouseholds = {mixed = "many"}\n', "must be a number ≥ 0; found 'many'"),
        ('name = "x"\ntitle = "x"\n[norm]\nhouseholds = {mixed = nan}\n', "mixed must be a number ≥ 0; found nan"),
        (HEAD + "tolerance = 25\n", "norm.tolerance is a fraction of 1; found 25; wanted 0.25 for a quarter"),
        (HEAD + "persons = 1000\n", r"norm.persons must be \[min, max\]; found 1000"),
        (HEAD + "persons = [1500, 1000]\n", r"norm.persons must be \[min, max\]; found \[1500, 1000\]"),
        (HEAD + "grids_per_community = [6.5, 10]\n", "norm.grids_per_community must be whole numbers"),
        (HEAD + '[levels]\nnames = "街道"\n', "levels.names must be a list of words; found '街道'"),
        (HEAD + '[board]\nrequired = ["name", 3]\n', "board.required must be a list of words"),
        (HEAD + '[code]\ntemplate = "{unit}"\n', r"code.template must use \{unit\} and \{n\}; found '\{unit\}'"),
        (HEAD + '[code]\ntemplate = "{n:02d}"\n', r"code.template must use \{unit\} and \{n\}"),
        (HEAD + '[code]\ntemplate = "{unit}{m}"\n', "code.template cannot be filled in: 'm'"),
        (HEAD + '[code]\ntemplate = "{unit.x}{n}"\n', "code.template cannot be filled in"),
        (HEAD + "[parameters]\nsight = 25\n", r"\[parameters\] has keys .*; found sight; wanted sight_m"),
        (HEAD + '[parameters]\nsight_m = "25"\n', "parameters.sight_m must be a number ≥ 0; found '25'"),
        (HEAD + "[parameters]\nsight_m = true\n", "parameters.sight_m must be a number ≥ 0; found True"),
        (HEAD + "[parameters]\nsight_m = 0\n", "parameters.sight_m must be above 0"),
        (HEAD + "[parameters]\nfull_share = 90\n", "parameters.full_share is a fraction of 1; found 90"),
        (HEAD + '[parameters]\nground = "grass"\n', "parameters.ground is unknown; found 'grass'; wanted area"),
        (HEAD + '[parameters]\nweek_start = "Mon"\n', "parameters.week_start is unknown; found 'Mon'; wanted monday"),
        (HEAD + '[parameters]\ntimezone = "Asia"\n', "parameters.timezone is unknown; found 'Asia'"),
        (HEAD + '[parameters]\ntimezone = "Asia/Nowhere"\n', "parameters.timezone is unknown"),
        (HEAD + '[parameters]\nnoon = "25:00"\n', "parameters.noon must be HH:MM; found '25:00'"),
        (HEAD + '[parameters]\nnoon = "²:00"\n', "parameters.noon must be HH:MM"),
        (HEAD + "[parameters]\nyellow_days = 9\n", "parameters.yellow_days must not be above red_days; found 9 and 7"),
        ("rule = 3\n" + HEAD, r"\[\[rule\]\] must be a list of tables"),
        ("rule = [3]\n" + HEAD, r"\[\[rule\]\] must be a list of tables"),
        (with_rule(unit=""), r"rule 1 \(A1\) lacks unit"),
        (with_rule(id=""), r"rule 1 \(without id\) lacks id"),
        (with_rule(colour='"red"'), r"rule 1 \(A1\) has keys that no profile knows; found colour"),
        (with_rule(op='">"'), r"rule 1 \(A1\) has an unknown op; found '>'; wanted >=, <="),
        (with_rule(op="[1]"), r"rule 1 \(A1\): op must be text"),
        (with_rule(id="1"), r"rule 1 \(1\): id must be text; found 1"),
        (with_rule(op='"between"'), r"rule 1 \(A1\) value must be \[min, max\]; found 1"),
        (with_rule(value="[1, 2]"), r"rule 1 \(A1\) value must be a number or text; found \[1, 2\]"),
        (with_rule(value="true"), "value must be a number or text; found True"),
        (with_rule(value="inf"), "value must be a number or text; found inf"),
        (with_rule(metric='"steps"'), r"has an unknown metric; found 'steps'; wanted patrols, .*check = .none"),
        (with_rule(subject='"mayor"'), r"has a subject that has no patrols; found 'mayor'; wanted grid head"),
        (with_rule(period='"hour"'), r"has a period in which patrols is not measured; found 'hour'; wanted day"),
        (with_rule(value='"many"'), "the value of patrols is compared by >=; found 'many'; wanted one number"),
        (
            with_rule(subject='"site"', metric='"visits"', op='"between"', value="[1, 2]"),
            r"the value of visits is compared by between; found \(1.0, 2.0\); wanted one number",
        ),
        (with_rule(op='"in"'), r"value must be a list of numbers; found 1"),
        (with_rule(strength='"wish"'), "has an unknown strength; found 'wish'; wanted must, principle, observed"),
        (with_rule(area='"weather"'), "has an unknown area; found 'weather'; wanted patrol, visits"),
        (with_rule(check='"none"'), 'is not checked and does not say why; wanted why = "…"'),
        (with_rule(check='"score"'), "has an unknown metric of scores; found 'patrols'"),
        (HEAD + '[parameters]\nworking_days = "mon..fri"\n', "parameters.working_days is unknown; found 'mon..fri'"),
        (HEAD + '[calendar]\nholidays = ["May"]\n', "calendar.holidays has a day that is none; found .'May'."),
        (HEAD + '[calendar]\nholidays = 3\n', "calendar.holidays has a day that is none; found 3"),
        (HEAD + '[calendar]\nholidays = [2026-05-01]\nworkdays = [2026-05-01]\n', "a holiday or a workday, not both"),
        (HEAD + '[score]\ntemplate = "x"\n', "score.template is unknown; found 'x'; wanted items, attendance"),
        (HEAD + '[score.categories]\nx = "y"\n', "score.categories.x must be a list of words"),
        (HEAD + RULE + RULE, r"rule ids are not unique \(row A1\)"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_used(text: str, message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        Profile.parse(text, "own.toml")


FAULTY = (
    HEAD
    + """
[parameters]
sight_m = -1
full_share = 90
week_start = "monday"

[[rule]]
id = "A1"
subject = "staff"
metric = "steps"
op = ">="
value = 1
unit = "step"
period = "day"
note = '''
[[rule]]
op = "no rule at all"
'''

[[rule]]
id = "A1"
subject = "mayor"
metric = "patrols"
op = ">="
value = 1
unit = "patrol"
period = "day"

[[rule]]
id = "A2"
subject = "staff"
metric = "patrols"
op = ">="
unit = "patrol"
period = "day"
"""
)


def test_every_fault_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(FAULTY, "utf-8")
    told = [str(fault) for fault in Profile.faults(path)]
    lines = FAULTY.splitlines()
    places = [int(re.search(r"own\.toml, line (\d+): ", text)[1]) for text in told]  # type: ignore[index]
    assert [lines[n - 1] for n in places] == [
        "sight_m = -1", "full_share = 90", 'metric = "steps"', 'id = "A1"', 'subject = "mayor"', "[[rule]]",
    ]  # fmt: skip
    assert "rule 3 (A2) lacks value" in told[-1]
    with pytest.raises(ProfileError, match=r"own\.toml, line 7: parameters.sight_m must be a number ≥ 0; found -1"):
        Profile.load(path)
    assert all(Profile.faults(name) == [] for name in SHIPPED)


def test_keys_that_do_not_go_together_and_text_that_is_no_toml_are_faults_too(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(HEAD + "[parameters]\nred_days = 2\n", "utf-8")
    assert [str(f).partition(": ")[2] for f in Profile.faults(path)] == [
        "parameters.yellow_days must not be above red_days; found 3 and 2."
    ]
    path.write_text("name = ", "utf-8")
    assert "not valid TOML" in str(Profile.faults(path)[0])
    path.write_text('title = 3\nrules = 1\nlevels = "x"\n', "utf-8")
    told = [str(fault) for fault in Profile.faults(path)]
    assert ["name" in told[0], "norm" in told[1]] == [True, True]
    assert "line 2: the file has keys that no profile knows; found rules" in told[2]
    assert "line 3: [levels] must be a table" in told[3]


def test_a_calendar_and_a_score_are_read(tmp_path: Path) -> None:
    text = HEAD + '[calendar]\nholidays = ["2026-05-01"]\nworkdays = [2026-05-09]\n[score]\ntemplate = "items"\n'
    profile = Profile.parse(text + '[score.categories]\nsafety = ["安全"]\n')
    assert profile.calendar == Calendar((date(2026, 5, 1),), (date(2026, 5, 9),))
    assert profile.score == Score("items", {"safety": ("安全",)})
