"""The pages tell the truth: commands parse and run, examples run, tables and quoted words agree with the code."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import click
import pyogrio
import pytest
from babel.messages.pofile import read_po

import gridgis
import webmap
from gridgis.cli import cli, run
from gridgis.compliance import METRICS
from gridgis.compliance import RESULTS as RESULT_NAMES
from gridgis.errors import InputError
from gridgis.pipeline import RESULTS
from gridgis.plan.checking.defects import WARNINGS
from gridgis.plan.mending import mending_log
from gridgis.profile import Parameters, Profile
from gridgis.project import INPUTS, Project
from gridgis.publish import words
from gridgis.schema import BARRIER_CLASSES, DEFECT_KINDS, STRONG_BARRIERS, TABLES

ROOT = Path(__file__).resolve().parent.parent
PAGES = {path.stem: path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
TEXTS = {"README": (ROOT / "README.md").read_text("utf-8"), **PAGES}
HAN = re.compile(r"[\u4e00-\u9fff]")


def fenced(text: str, language: str) -> list[str]:
    """The blocks of one language, in the order of the page."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)
    return found


def command_lines(text: str) -> list[list[str]]:
    """The arguments of every ``gridgis …`` line in the sh blocks of a page."""
    lines = "".join(fenced(text, "sh")).splitlines()
    words_of = [shlex.split(re.sub(r"(^|\s)#.*", "", line).removeprefix(".venv/bin/")) for line in lines]
    return [w[1:] for w in words_of if w[:1] == ["gridgis"]]


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of the table whose header begins with `first`."""
    table = re.search(rf"^\| {re.escape(first)}.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.M)
    assert table, first
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in table[1].splitlines()]


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def leaves(command: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with its path."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        yield from leaves(below, (*path, name))


def resolve(arguments: list[str]) -> tuple[tuple[str, ...], click.Command, list[str]]:
    """The command that the arguments name, and what is left for it."""
    command: click.Command = cli
    path: tuple[str, ...] = ()
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        below = command.get_command(click.Context(command), arguments[0])
        assert below is not None, f"there is no command gridgis {' '.join((*path, arguments[0]))}"
        command, path, arguments = below, (*path, arguments[0]), arguments[1:]
    return path, command, arguments


def long_options(command: click.Command) -> set[str]:
    return {o for p in command.params if isinstance(p, click.Option) for o in p.opts if o.startswith("--")}


# --- the site ---------------------------------------------------------------------------------------------------------


class _Loaded(HTMLParser):
    """What a page makes the browser load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        keys = {"link": "href", "object": "data", "form": "action"}
        if tag != "a":
            self.found += [value for name, value in attrs if name in (keys.get(tag, "src"), "srcset") and value]


def test_the_site_builds_and_loads_nothing_from_outside(tmp_path: Path) -> None:
    mkdocs = Path(sys.executable).parent / "mkdocs"
    done = subprocess.run(
        [mkdocs, "build", "--strict", "--site-dir", tmp_path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    pages = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.html")]
    assert set(pages) == {"404.html", *(f"{name}.html" for name in PAGES)}
    for path in tmp_path.rglob("*.html"):
        reader = _Loaded()
        reader.feed(path.read_text("utf-8"))
        assert len(reader.found) > 3
        assert not [address for address in reader.found if re.match(r"(\w+:)?//", address)]
    styles = "".join(path.read_text("utf-8") for path in tmp_path.rglob("*.css"))
    assert not re.findall(r"(?:url\(|@import\s+)[\"']?(?:https?:)?//[^)\"']+", styles)


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md", "docs"])
def test_links_within_the_project_lead_somewhere(path: str) -> None:
    there = ROOT / path
    files = sorted(there.glob("*.md")) if there.is_dir() else [there]
    links = [
        (file.name, link)
        for file in files
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", file.read_text("utf-8"))
        if not re.match(r"\w+:", link)
    ]
    assert [pair for pair in links if not (there if there.is_dir() else there.parent).joinpath(pair[1]).exists()] == []
    assert links or path not in ("README.md", "docs")


@pytest.mark.parametrize("name", sorted(set(PAGES) - {"contributing"}))
def test_headings_are_chinese_first(name: str) -> None:
    text = re.sub(r"^```.*?^```$", "", PAGES[name], flags=re.M | re.S)
    headings = [h for h in re.findall(r"^#+ (.*)$", text, re.M) if not h.startswith("`[") and h != "JSON"]
    assert headings
    for heading in headings:
        chinese, _, english = heading.partition(" · ")
        if not heading.startswith("gridgis"):
            assert HAN.search(chinese), heading
            assert re.search("[A-Za-z]", english), heading


# --- commands ---------------------------------------------------------------------------------------------------------

LINES = [(name, line) for name, text in TEXTS.items() for line in command_lines(text)]


@pytest.mark.parametrize(("name", "line"), LINES, ids=lambda x: x if isinstance(x, str) else " ".join(x)[:40])
def test_every_command_line_parses(name: str, line: list[str]) -> None:
    path, command, rest = resolve(list(line))
    assert path or rest in (["--help"], ["--version"]), f"{name}: {line}"
    with suppress(click.exceptions.Exit):
        context = command.make_context(" ".join(path), rest)
        assert context.args == []


def test_every_command_written_in_a_text_exists_with_its_options() -> None:
    spans = [(n, s) for n, text in TEXTS.items() for s in re.findall(r"`gridgis ([a-z][^`]*)`", text)]
    assert len(spans) > 20
    for name, span in spans:
        given = re.findall(r"^(?:[a-z]+\s?)+", span)[0].split()
        command = resolve(given)[1]
        unknown = set(re.findall(r"--[a-z-]+", span)) - long_options(command) - {"--help"}
        assert not unknown, f"{name}: gridgis {span}"


def test_every_command_and_every_option_is_on_a_page() -> None:
    shown = {resolve(list(line))[0] for name, line in LINES if name != "README"}
    assert {path for path, _ in leaves()} - shown == set()
    text = "\n".join(PAGES.values())
    options = {option for _, command in leaves() for option in long_options(command)}
    assert len(options) > 30
    assert {o for o in options if not re.search(rf"{o}(?![a-z-])", text)} == set()


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    lines = [line for text in TEXTS.values() for line in "".join(fenced(text, "sh")).splitlines()]
    wanted = {t for line in lines if line.startswith("make ") for t in line.partition("#")[0].split()[1:]}
    assert wanted >= {"demo", "test", "install", "docs"}
    assert [t for t in sorted(wanted) if not re.search(rf"^{t}:", makefile, re.M)] == []


# --- examples that run ------------------------------------------------------------------------------------------------


@pytest.fixture
def town(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the built sample, as the folder one works in."""
    folder = tmp_path / "town"
    shutil.copytree(built.parent, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("name", [name for name in PAGES if fenced(PAGES[name], "python")])
def test_python_examples_run(name: str, town: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space: dict[str, Any] = {}
    before = set(town.iterdir())
    for number, block in enumerate(fenced(PAGES[name], "python"), 1):
        exec(compile(block, f"{name}.md, block {number}", "exec"), space)
    assert capsys.readouterr().out or set(town.iterdir()) - before


def test_the_readme_example_runs(town: Path) -> None:
    shutil.copy(town / "out" / "plan.gpkg", town)
    space: dict[str, Any] = {"x": [0.0], "y": [0.0]}
    (block,) = fenced(TEXTS["README"], "python")
    exec(compile(block, "README.md", "exec"), space)
    assert space["rows"].tolist() == [-1]
    assert len(space["defects"]) == 0


def test_the_front_door_is_used_in_the_examples() -> None:
    code = "\n".join(fenced(PAGES["analysts"], "python"))
    assert [n for n in gridgis.__all__ if n != "__version__" and f"gridgis.{n}" not in code] == []
    told = {name for row in rows(PAGES["analysts"], "名称 name") for name in names_in(row[0])}
    assert told == set(gridgis.__all__) - {"__version__"}


def _ours() -> str:
    """The profile that the planners' page calls ours.toml."""
    return next(block for block in fenced(PAGES["planners"], "toml") if "[norm]" in block)


def test_the_steps_of_the_planners_page_run_on_the_sample(town: Path) -> None:
    (town / "ours.toml").write_text(_ours(), "utf-8")
    steps = [line for line in command_lines(PAGES["planners"]) if not re.search("haidian|osm|town|build", str(line))]
    steps = [line for line in steps if "layers.gpkg" not in str(line)]
    assert [line[0] for line in steps[:4]] == ["blocks", "partition", "validate", "describe"]
    # The old grids have faults, repair leaves what people must decide, a health station leaves a grid out, a segment
    # ends early, and the sample's persons have addresses that nobody can read.
    faulty = {"old_grids.geojson", "mended.geojson", "health.geojson", "segments.geojson", "persons.parquet"}
    for line in steps:
        code = run(line)
        assert code == 0 or (code == 1 and line[0] in ("validate", "repair", "chain") and faulty & set(line)), line
    for name in ("defects.gpkg", "defects.html", "mended.geojson", "mended.csv", "mended.houses.csv", "mended.html"):
        assert (town / name).exists(), name
    assert run(next(line for line in command_lines(PAGES["analysts"]) if line[0] == "patrol")) == 0


@pytest.mark.places
def test_a_newcomer_builds_a_real_place_from_the_pages(
    places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(places / "qinghuayuan" / "map.osm", tmp_path)
    shutil.copy(places / "beijing" / "haidian-all.geojson", tmp_path / "haidian.geojson")
    for name in ("README", "planners"):
        project = next(block for block in fenced(TEXTS[name], "toml") if "[inputs]" in block)
        (tmp_path / "project.toml").write_text(project, "utf-8")
        line = next(line for line in command_lines(TEXTS[name]) if line[0] == "build")
        assert run([word for word in line if word != "--serve"]) == 0
        assert "通过 valid" in capsys.readouterr().out
        assert (tmp_path / "out" / "report.html").exists()
    steps = [line for line in command_lines(PAGES["planners"]) if re.search("haidian|layers", str(line))]
    assert [line[0] for line in steps] == ["osm", "estimate", "blocks"]
    assert [run(line) for line in steps] == [0, 0, 0]


@pytest.mark.parametrize("name", [name for name in TEXTS if fenced(TEXTS[name], "toml")])
def test_project_files_and_profiles_can_be_used(name: str, tmp_path: Path) -> None:
    for block in fenced(TEXTS[name], "toml"):
        if "[inputs]" in block:
            (tmp_path / "project.toml").write_text(block, "utf-8")
            assert Project.load(tmp_path / "project.toml").inputs["boundary"]
        else:
            assert Profile.parse(block).name == "ours"


# --- tables that agree with the code ----------------------------------------------------------------------------------


def test_every_key_of_a_project_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "project.toml"
    for section in ("project", "inputs", "publish"):
        path.write_text(f"[{section}]\nnobody_knows = 1\n", "utf-8")
        with pytest.raises(InputError, match="nobody_knows") as caught:
            Project.load(path)
        part = PAGES["planners"].split(f"### `[{section}]`")[1]
        told = [names_in(row[0])[0] for row in rows(part, "键 key")]
        assert sorted(told) == caught.value.wanted.split(", ")


def test_columns_of_the_inputs_are_those_of_the_schema() -> None:
    part = {names_in(r[0])[0]: r[-1] for r in rows(PAGES["planners"].split("### `[inputs]`")[1], "键 key")}
    for key, table in {**INPUTS, "tracks": "fix"}.items():
        needed = {c.name for c in TABLES[table].columns if c.required}
        assert set(re.findall(r"\*\*([a-z_]+)\*\*", part[key])) == needed, key
        told = set(re.findall("[a-z_]+", part[key]))
        loads = {"households", "persons", "deviation", "reason", "compactness", "bounds_text", "road_share"}
        of_grids = loads if table == "grid" else set()
        assert {c.name for c in TABLES[table].columns} - of_grids <= told, key


def test_every_parameter_is_told_with_its_default() -> None:
    table = rows(PAGES["analysts"], "参数 parameter")
    assert {names_in(r[0])[0]: r[1] for r in table} == {k: str(v) for k, v in asdict(Parameters()).items()}
    units = {"_m": "m", "_m2": "m²", "_km2": "km²", "_s": "s", "_mps": "m/s", "_days": "days"}
    for name, _, unit, _ in table:
        ending = re.search(r"(_[a-z0-9]+)`$", name)
        if ending and ending[1] in units and not isinstance(getattr(Parameters(), names_in(name)[0]), str):
            assert unit.split()[-1] == units[ending[1]], name


def test_parameters_that_nothing_uses_are_marked() -> None:
    modules = [*ROOT.glob("gridgis/**/*.py"), *ROOT.glob("webmap/**/*.py")]
    code = "\n".join(p.read_text("utf-8") for p in modules if p.name != "profile.py")
    for name, _, _, meaning in rows(PAGES["analysts"], "参数 parameter"):
        used = bool(re.search(rf"\b{names_in(name)[0]}\b", code))
        assert used != ("not used yet" in meaning), name


def test_defects_reasons_and_classes_are_all_told() -> None:
    planners = PAGES["planners"]
    kinds = {names_in(k)[0]: (zh, severity) for k, zh, _, severity in rows(planners, "类型 kind")}
    assert set(kinds) == set(DEFECT_KINDS)
    for kind, (zh, severity) in kinds.items():
        assert zh == words.DEFECTS[kind][0]
        assert severity.endswith("warning" if kind in WARNINGS else "error")
    assert {names_in(r[0])[0]: r[1] for r in rows(planners, "reason")} == {k: v[0] for k, v in words.REASONS.items()}
    strong = {r[0].split()[0]: r[-1] == "是 yes" for r in rows(planners, "类别 class")}
    assert strong == {c: c in STRONG_BARRIERS for c in BARRIER_CLASSES}


def test_the_sections_of_the_report_are_those_of_the_page(built: Path) -> None:
    report = (built / "report.html").read_text("utf-8")
    told = {z for row in rows(PAGES["planners"], "节 |") for z in row[0].split("、")}
    assert told == set(re.findall(r"<h2>(\S+) <span", report)) | {"说明"}


def test_the_files_of_a_build_are_told(built: Path) -> None:
    told = {name for r in rows(PAGES["analysts"], "文件 file") for name in names_in(r[0])}
    assert told == {*RESULTS, "gridgis.gpkg"}
    layers = {names_in(r[0])[0]: set(names_in(r[1])) for r in rows(PAGES["analysts"], "图层 layer")}
    for layer, columns in layers.items():
        assert columns == set(pyogrio.read_info(built / "plan.gpkg", layer=layer)["fields"]), layer
    files = {names_in(r[0])[0]: r[1] for r in rows(PAGES["analysts"], "文件 file")}
    for name in ("houses.csv", "persons.csv", "patrol.csv"):
        header = (built / name).read_text("utf-8-sig").splitlines()[0].split(",")
        assert set(names_in(files[name])) <= set(header), name


def test_the_fields_of_the_json_documents_are_told(built: Path, town: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = PAGES["analysts"].split("\n## JSON")[1]

    def told(start: str, first: str = "字段 field") -> set[str]:
        return {n for r in rows(text.split(start)[1], first) for n in names_in(r[0])}

    assert run(["repair", "old_grids.geojson", "-o", "mended.gpkg", "--json"]) == 1
    assert told("`gridgis repair --json`") == set(json.loads(capsys.readouterr().out))
    assert told("`gridgis validate --json`") == set(json.loads((built / "validate.json").read_text("utf-8")))
    assert run(["partition", "out/plan.gpkg", "--profile", "sample", "-o", "other.gpkg", "--json"]) == 0
    assert told("`gridgis partition --json`") == set(json.loads(capsys.readouterr().out))
    links = json.loads((built / "chain.json").read_text("utf-8"))
    assert told("`gridgis chain --json`", "环 link") | {"breaks", "totals", "parameters"} == set(links)
    patrol = json.loads((built / "patrol.json").read_text("utf-8"))
    assert told("`gridgis patrol --json`") == set(patrol)
    for name, cell, *_ in rows(text.split("`gridgis patrol --json`")[1], "字段 field"):
        if names_in(cell):
            assert set(names_in(cell)) == set(patrol[names_in(name)[0]][0])


@pytest.mark.parametrize("name", ["validate", "repair", "blocks"])
def test_every_option_of_the_checks_is_told_with_its_default(name: str) -> None:
    everywhere = {"--output", "--json", "--map", "--datum", "--crs"}
    options = {o.opts[0]: o for o in resolve([name])[1].params if isinstance(o, click.Option)}
    told = {names_in(row[0])[0]: row[-1] for row in rows(PAGES["planners"], f"`gridgis {name}`")}
    assert set(told) == {o for o in options if o.startswith("--")} - everywhere
    for option, default in told.items():
        value = options[option].default
        if isinstance(value, float):
            assert default == str(value), option
        elif isinstance(value, str):
            assert default == f"`{value}`", option


def test_the_columns_of_the_log_are_told() -> None:
    told = [name for row in rows(PAGES["analysts"], "列 column |") for name in names_in(row[0])]
    assert tuple(told) == mending_log.COLUMNS


def test_the_rules_that_the_machine_checks_are_counted() -> None:
    table = rows(PAGES["rules"], "规则 profile")
    assert [names_in(r[0])[0] for r in table] == Profile.names()
    for name, households, tolerance, *counts in table:
        profile = Profile.load(names_in(name)[0])
        kinds = profile.norm.households
        assert households in (
            "–",
            ", ".join(f"{kinds[k]:g}" if k in kinds else "–" for k in ("mixed", "managed", "rural")),
        )
        assert (households == "–") == (not kinds)
        assert tolerance == f"{profile.norm.tolerance:g}"
        checks = [sum(rule.check == how for rule in profile.rules) for how in ("rule", "score", "none")]
        assert [int(n) for n in counts] == [len(profile.rules), *checks], name
    periods = {name: metric.periods for name, metric in METRICS.items()}
    assert {names_in(r[0])[0]: tuple(r[-1].split(", ")) for r in rows(PAGES["rules"], "metric")} == periods
    assert [names_in(r[0])[0] for r in rows(PAGES["rules"], "结果 result")] == list(RESULT_NAMES)
    assert {names_in(r[0])[0] for r in rows(PAGES["rules"], "`[score] template`")} == {"items", "attendance"}


def test_the_security_headers_are_those_that_are_sent() -> None:
    (block,) = fenced(PAGES["operating"], "text")
    assert dict(line.split(": ", 1) for line in block.splitlines()) == webmap._HEADERS


def test_words_in_quotation_marks_stand_on_the_map() -> None:
    with (ROOT / "webmap/translations/zh/LC_MESSAGES/messages.po").open("rb") as file:
        catalogue = read_po(file, locale="zh")
    plain = {re.sub(r"%\(\w+\)s", "…", str(m.id)): re.sub(r"%\(\w+\)s", "…", str(m.string)) for m in catalogue if m.id}
    page = PAGES["residents"].replace("\n  ", " ").replace("\n", " ")
    chinese = {t.replace(" ", "") for t in re.findall("「([^」]+)」", page)}
    assert len(chinese) > 12
    assert chinese - {t.replace(" ", "") for t in plain.values()} == set()
    english = {t for t in re.findall("“([^”]+)”", page) if not HAN.search(t) and re.search("[A-Za-z]{3}", t)}
    assert english - set(plain) - {"Save as PDF"} == set()
