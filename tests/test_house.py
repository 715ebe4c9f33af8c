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
#: In a migration they are constants of the file, or what its own functions are given.
PUT_TOGETHER = {
    "geopackage.py": {"APPLICATION_ID", "USER_VERSION", "name", "listed"}, "engines.py": {"pragma"},
    "moving.py": {"VERSION_TABLE"}, "writing.py": {"quoted", "index"}, "copying.py": {"sql.SQL"},
    "0002_geopackage.py": {"column", "format(column)", "name"},
    "0004_plans.py": {"name", "when", "condition", "message", "body"}, "0006_organisations.py": {"name"},
}  # fmt: skip
SENDING = ("text", "execute", "executemany", "executescript", "exec_driver_sql", "SQL", "literal_column", "copy")

WITH_SQL = [
    path for path in [*MODULES, *sorted(ROOT.glob("migrations/**/*.py"))]
    if re.search(r"\b(sqlalchemy|sqlite3|psycopg|alembic)\b", path.read_text("utf-8"))
]  # fmt: skip


@pytest.mark.parametrize("path", WITH_SQL, ids=lambda p: str(p.relative_to(ROOT)))
def test_values_reach_the_database_as_bound_parameters(path: Path) -> None:
    assert _put_together(ast.parse(path.read_text("utf-8"))) <= PUT_TOGETHER.get(path.name, set())


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("c.execute(text('SELECT 1 WHERE a = :a'), {'a': a})", set()),
        ("c.execute('SELECT ' 'one')", set()),
        ("c.execute(f'SELECT {given}')", {"given"}),
        ("said = f'SELECT {given}'\nc.execute(said)", {"given"}),
        ("c.execute(sa.text(f'SELECT {a.given}'))", {"given"}),
        ("c.execute('SELECT ' + given)", {"'SELECT ' + given"}),
        ("c.execute('SELECT %s' % given)", {"'SELECT %s' % given"}),
        ("c.execute('SELECT {}'.format(given))", {"'SELECT {}'.format(given)"}),
        ("op.execute(' '.join(given))", {"' '.join(given)"}),
        ("said = 'SELECT '\nsaid += given\nc.exec_driver_sql(said)", {"given"}),
    ],
)
def test_a_statement_that_is_put_together_is_found(code: str, wanted: set[str]) -> None:
    assert _put_together(ast.parse(code)) == wanted


def _put_together(tree: ast.AST) -> set[str]:
    """What is filled into the texts that are sent to a database, also by a name that such a text was given."""
    named: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AugAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    added = isinstance(node, ast.AugAssign) and not isinstance(node.value, ast.Constant)
                    said = ast.JoinedStr([ast.FormattedValue(node.value, -1)]) if added else node.value
                    named.setdefault(target.id, []).append(said)
    found: set[str] = set()
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name in SENDING and call.args:
            given = call.args[0]
            for text in [given, *(named.get(given.id, []) if isinstance(given, ast.Name) else [])]:
                found |= _filled_in(text)
    return found


def _filled_in(text: ast.expr) -> set[str]:
    if isinstance(text, ast.BinOp):
        return set() if _is_constant(text) or not _is_of_text(text) else {ast.unparse(text)}
    if isinstance(text, ast.JoinedStr):
        values = [part.value for part in text.values if isinstance(part, ast.FormattedValue)]
        return {ast.unparse(value).rsplit(".", 1)[-1] for value in values}
    if isinstance(text, ast.Call) and isinstance(text.func, ast.Attribute):
        owner = text.func.value
        if text.func.attr in ("format", "join", "replace"):
            return {"sql.SQL" if ast.unparse(owner).startswith("sql.SQL(") else ast.unparse(text)}
        return set().union(*(_filled_in(part) for part in text.args))
    return set()


def _is_of_text(node: ast.expr) -> bool:
    return any(isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Constant) and isinstance(part.value, str))
               for part in ast.walk(node))  # fmt: skip


def _is_constant(node: ast.expr) -> bool:
    return all(isinstance(part, ast.BinOp | ast.Constant | ast.operator) for part in ast.walk(node))
