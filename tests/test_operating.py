"""The operator's page: its lines for cron, systemd and nginx are well formed, and what it promises holds."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
from contextlib import suppress
from pathlib import Path

import click
import pytest
from postgres import Server
from test_docs import PAGES, fenced, resolve
from test_store_moving import assert_holds, filled

from gridgis.cli import run
from gridgis.store import upgrades
from gridgis.store.engines import engine_of, place_of
from gridgis.store.moving import MANIFEST

PAGE = PAGES["operating"]
#: The fields of a line of cron, and the range of each.
FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
#: Where a command of the shell ends.
ENDS = {"&&", "||", ";", "|", "&", "{", "}"}
CRON = "\n".join(fenced(PAGE, "cron"))


def jobs() -> list[tuple[list[str], str, str]]:
    """The times, the user and the command of each line of cron."""
    lines = [line for line in CRON.splitlines() if line and not re.match(r"#|\w+=", line)]
    split = [line.split(maxsplit=6) for line in lines]
    return [(words[:5], words[5], words[6]) for words in split]


def calls(text: str) -> list[list[str]]:
    """The arguments of every ``gridgis`` in lines of the shell, also behind && and within the quotes of su -c."""
    found = []
    for line in text.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
        lexer.whitespace_split = True
        words = list(lexer)
        for inner in (words[n + 1] for n, word in enumerate(words[:-1]) if word == "-c" and "su" in words):
            found += calls(inner)
        for n, word in enumerate(words):
            if word == "gridgis" and (n == 0 or words[n - 1] in ENDS):
                rest = words[n + 1 :]
                ends = [
                    i
                    for i, w in enumerate(rest)
                    if w in ENDS or w.startswith(">") or (w.isdigit() and rest[i + 1 : i + 2] == [">"])
                ]
                found.append(rest[: min(ends, default=len(rest))])
    return found


def test_lines_of_cron_can_be_used() -> None:
    assert len(jobs()) >= 2
    for times, user, command in jobs():
        assert user == "gridgis"
        for field, (low, high) in zip(times, FIELDS, strict=True):
            assert field == "*" or low <= int(field) <= high, field
        # To cron a bare % is the end of the line.
        assert not re.search(r"(?<!\\)%", command)
        assert "umask 077" in command
        plain = command.replace("\\%", "%")
        assert subprocess.run(["sh", "-n", "-c", plain], check=False).returncode == 0, plain


def test_scripts_of_the_page_are_shell() -> None:
    for block in fenced(PAGE, "sh"):
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), block


def test_commands_parse_wherever_they_stand() -> None:
    lines = calls("".join(fenced(PAGE, "sh")) + "\n".join(command for _, _, command in jobs()))
    named = {resolve(list(line))[0] for line in lines}
    assert named >= {("store", verb) for verb in ("backup", "restore", "check", "upgrade", "expire", "copy", "init")}
    assert ("serve",) in named
    for line in lines:
        path, command, rest = resolve(list(line))
        with suppress(click.exceptions.Exit):
            assert command.make_context(" ".join(path), rest).args == []


def test_the_unit_serves_as_an_ordinary_user_and_keeps_secrets_out() -> None:
    (block,) = fenced(PAGE, "ini")
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(block)
    service = unit["Service"]
    assert (service["User"], service["UMask"]) == ("gridgis", "0077")
    program, *arguments = shlex.split(service["ExecStart"])
    assert program == "/opt/gridgis/current/bin/gridgis"
    path, command, rest = resolve(arguments)
    assert command.make_context(" ".join(path), rest).params["store"] == "${GRIDGIS_STORE}"
    assert f"chmod 600 {Path(service['EnvironmentFile']).name}\n" in PAGE
    assert not re.search(r"://[^/\s@`]+:[^/\s@`]+@", PAGE)


def test_the_proxy_leads_to_the_port_of_the_unit() -> None:
    nginx, folder = fenced(PAGE, "nginx")
    (unit,) = fenced(PAGE, "ini")
    for block in (nginx, folder):
        assert block.count("{") == block.count("}")
    assert "proxy_pass" not in folder
    ports = set(re.findall(r"proxy_pass http://127\.0\.0\.1:(\d+);", nginx))
    assert ports == set(re.findall(r"--port (\d+)", unit))
    where = re.search(r"location = /where \{(.*?)\}", nginx, re.S)
    assert where
    assert "access_log off;" in where[1]


def test_old_backups_go_only_after_a_new_one_is_there() -> None:
    (script,) = [block for block in fenced(PAGE, "sh") if block.startswith("#!/bin/sh")]
    assert "\nset -eu\n" in script
    assert script.index("umask 077") < script.index("store backup") < script.index("store check")
    assert script.index("store check") < script.index("-delete")


@pytest.mark.parametrize("kind", ["file", "postgis"])
def test_upgrade_and_the_way_back(
    kind: str, postgres: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A backup, the store of an older version brought up, and the drill: as the page says, by the command line."""
    with postgres.database() as one, postgres.database() as other:
        here, there = (str(tmp_path / "a.gpkg"), str(tmp_path / "b.gpkg")) if kind == "file" else (one, other)
        wanted = filled(here)
        before = tmp_path / "before"
        assert run(["store", "backup", here, str(before)]) == 0
        place = place_of(here)
        engine = engine_of(place)
        upgrades.downgrade(engine, upgrades.revisions()[-2])
        engine.dispose()
        assert run(["store", "check", here]) == 2
        assert "made by an older version of gridgis" in capsys.readouterr().err
        # The newer version takes no backup of it: the page has it made by the old one.
        assert run(["store", "backup", here, str(tmp_path / "late")]) == 2
        assert "made by an older version of gridgis" in capsys.readouterr().err
        assert not (tmp_path / "late").exists()
        assert [run(["store", verb, here]) for verb in ("upgrade", "check")] == [0, 0]
        assert_holds(here, wanted)
        assert [run(["store", "restore", str(before), there]), run(["store", "check", there])] == [0, 0]
        assert_holds(there, wanted)
        manifest = before.with_name(before.name + MANIFEST)
        manifest.write_text(manifest.read_text("utf-8").replace(f'"{upgrades.HEAD}"', '"0005"'), "utf-8")
        capsys.readouterr()
        assert run(["store", "restore", str(before), there]) == 2
        assert "the backup was made by another version of gridgis; found revision 0005" in capsys.readouterr().err
