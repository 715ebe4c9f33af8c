"""Profiles: those that ship say what the published schemes say; one of your own is read strictly."""

from __future__ import annotations

import csv
from dataclasses import asdict, fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridgis.errors import ProfileError
from gridgis.profile import Norm, Parameters, Profile

HEAD = 'name = "own"\ntitle = "自拟 Own"\n[norm]\nhouseholds = { mixed = 300 }\n'
RULE = (
    '[[rule]]\nid = "A1"\nsubject = "grid"\nmetric = "patrols"\nop = ">="\nvalue = 1\nunit = "patrol"\nperiod = "day"\n'
)
SHIPPED = ["hongwei", "pujiang", "sample", "xueyan", "yichang"]
# The rules as their schemes have them; sample borrows Xueyan's, and Xueyan's are reworded for the machine.
VERBATIM = ["hongwei", "pujiang", "yichang"]
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
@pytest.mark.parametrize("name", SHIPPED)
def test_every_rule_keeps_the_id_of_its_scheme(name: str, published: dict[str, dict[str, str]]) -> None:
    scheme = "xueyan" if name == "sample" else name
    rules = Profile.load(name).rules
    assert rules
    assert {published[rule.id]["profile"] for rule in rules} == {scheme}


@pytest.mark.places
@pytest.mark.parametrize("name", VERBATIM)
def test_no_rule_says_more_than_its_scheme(name: str, published: dict[str, dict[str, str]]) -> None:
    for rule in Profile.load(name).rules:
        row = published[rule.id]
        values = [float(v) for v in row["value"].split("..")]
        assert (list(rule.value) if isinstance(rule.value, tuple) else [rule.value]) == values, rule.id
        assert (rule.op, rule.metric, rule.area, rule.period) == (row["op"], row["metric"], row["area"], row["period"])
        assert row["strength"] in ("must", "principle") and "do not enforce" not in row["note"], rule.id


@pytest.mark.places
def test_norms_are_those_of_the_rules(published: dict[str, dict[str, str]]) -> None:
    yichang, hongwei = Profile.load("yichang").norm, Profile.load("hongwei").norm
    rules = {"managed": "R3.6-01", "mixed": "R3.6-02", "rural": "R3.6-03"}
    assert yichang.households == {kind: float(published[rule]["value"]) for kind, rule in rules.items()}
    assert yichang.grids_per_community == (6, 10) == tuple(int(v) for v in published["R3.6-04"]["value"].split(".."))
    assert hongwei.households == {"mixed": float(published["R1-01"]["value"])}
    assert hongwei.persons == tuple(float(v) for v in published["R1-02"]["value"].split(".."))
    assert Profile.load("pujiang").norm == Norm()


@pytest.mark.places
def test_the_patrols_of_xueyan_are_all_there(published: dict[str, dict[str, str]]) -> None:
    patrols = {i for i, row in published.items() if row["profile"] == "xueyan" and row["area"] == "patrol"}
    for name in ("xueyan", "sample"):
        assert patrols == {rule.id for rule in Profile.load(name).rules if rule.area == "patrol"}


def test_the_sample_has_the_rules_of_yichang_and_xueyan() -> None:
    sample, xueyan = Profile.load("sample"), Profile.load("xueyan")
    assert sample.norm == Profile.load("yichang").norm
    assert sample.rules == tuple(rule for rule in xueyan.rules if rule.area == "patrol")
    assert {"name", "extent", "bounds_text", "phone", "supervision_phone"} <= set(sample.board_required)


def test_parameters_and_defaults_are_those_of_the_contract() -> None:
    ours = {"session_gap_s": 1800.0, "max_accuracy_m": 50.0}
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
        assert str(error).startswith("own.toml: ")
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
        ProfileError, match=r"no such profile; found 'nowhere'; wanted hongwei, .*, yichang, or a \.toml file"
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
        (HEAD + RULE + RULE, r"rule ids are not unique \(row A1\)"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_used(text: str, message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        Profile.parse(text, "own.toml")
