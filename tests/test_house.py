"""The house proves itself: who imports whom, a quick front door, docs that name every command, no loose ends."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gridgis
from gridgis.cli import _COMMANDS

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted([*ROOT.glob("gridgis/**/*.py"), *ROOT.glob("webmap/**/*.py")])
HEAVY = ("geopandas", "pandas", "numpy", "shapely", "pyproj", "flask", "sqlalchemy", "folium", "numba", "pyarrow")


def _fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout


def test_imports_go_only_downwards() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_and_the_front_door_import_nothing_heavy(arguments: list[str]) -> None:
    run = f"from gridgis.cli import run; run({arguments!r})" if arguments else "import gridgis"
    loaded = _fresh(f"{run}\nimport sys\nprint('loaded', *sorted(m for m in {HEAVY!r} if m in sys.modules))")
    assert loaded.splitlines()[-1] == "loaded"


def test_the_front_door_opens_on_every_name() -> None:
    assert {name for name in gridgis.__all__ if not callable(getattr(gridgis, name))} == {"__version__"}
    with pytest.raises(AttributeError, match="has no attribute 'cover'; it has GridLocator"):
        _ = gridgis.cover


def test_every_command_has_its_file_and_its_help() -> None:
    files = {path.stem for path in (ROOT / "gridgis" / "cli").glob("*.py")} - {"__init__", "options"}
    assert files == set(_COMMANDS)


def test_the_readme_names_every_command_and_every_room() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    missing = [name for name in _COMMANDS if f"`gridgis {name}" not in readme]
    assert not missing
    for folder in ("gridgis/", "webmap/", "migrations/", "data/", "tests/", "benchmarks/", "notebooks/"):
        assert f"`{folder}`" in readme


def test_the_version_is_one() -> None:
    setup = (ROOT / "setup.cfg").read_text("utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert f"version = {gridgis.__version__}\n" in setup
    assert f"## {gridgis.__version__}" in changelog


def test_every_package_is_installed() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    listed = {name for name in setup["options"]["packages"].split() if not name.startswith("gridgis_migrations")}
    found = {".".join(p.parent.relative_to(ROOT).parts) for p in MODULES if p.name == "__init__.py"}
    assert listed == found


def _lines_of_code(function: ast.FunctionDef) -> int:
    first = function.body[0]
    told = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return (function.end_lineno or 0) - ((first.end_lineno or 0) if told else function.lineno)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_loose_ends(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.search(r"\b(TODO|FIXME|XXX)\b|NotImplementedError", text)
    tree = ast.parse(text)
    if text.strip():
        assert ast.get_docstring(tree), "a module says what is in it"
    handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
    assert all(node.type is not None for node in handlers)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    long = [f"{node.name}: {lines}" for node in functions if (lines := _lines_of_code(node)) > 60]
    assert not long


def test_messages_of_raised_errors_are_not_empty() -> None:
    raised = [
        (path, node)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
    ]
    empty = [f"{path.name}:{n.lineno}" for path, n in raised if not (n.exc.args or n.exc.keywords)]
    assert not empty


#: Where the text of a statement is put together: of names that the code itself has, never of what a user gives.
PUT_TOGETHER = {
    ("geopackage.py", "APPLICATION_ID"), ("geopackage.py", "USER_VERSION"), ("geopackage.py", "name"),
    ("geopackage.py", "listed"), ("engines.py", "pragma"), ("moving.py", "VERSION_TABLE"), ("writing.py", "quoted"),
    ("writing.py", "index"),
}  # fmt: skip


WITH_SQL = [path for path in MODULES if re.search(r"\b(sqlalchemy|sqlite3|psycopg)\b", path.read_text("utf-8"))]


@pytest.mark.parametrize("path", WITH_SQL, ids=lambda p: str(p.relative_to(ROOT)))
def test_values_reach_the_database_as_bound_parameters(path: Path) -> None:
    found = set()
    for call in (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name not in ("text", "execute", "executemany", "exec_driver_sql", "SQL", "literal_column"):
            continue
        for argument in call.args[:1]:
            assert not (isinstance(argument, ast.BinOp) and not _is_constant(argument)), ast.unparse(call)
            assert not (isinstance(argument, ast.Call) and ast.unparse(argument.func).endswith(".format")
                        and "sql.SQL" not in ast.unparse(argument)), ast.unparse(call)  # fmt: skip
            for part in ast.walk(argument):
                if isinstance(part, ast.FormattedValue):
                    found.add((path.name, ast.unparse(part.value).rsplit(".", 1)[-1]))
    assert found <= PUT_TOGETHER


def _is_constant(node: ast.expr) -> bool:
    return all(isinstance(part, ast.BinOp | ast.Constant | ast.operator) for part in ast.walk(node))
