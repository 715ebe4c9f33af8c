"""The notebooks begin with a question, use the front door alone, run, keep what they say, and end with a picture."""

from __future__ import annotations

import ast
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.font_manager
import nbformat
import pytest

import gridgis

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
HAN = re.compile("[\u4e00-\u9fff]")
execute = runpy.run_path(str(FOLDER / "run.py"))["execute"]
#: A machine without any font for Chinese.
NO_CHINESE = """
from matplotlib.font_manager import fontManager
fontManager.ttflist = [font for font in fontManager.ttflist if font.name.startswith("DejaVu")]
"""

every_notebook = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def cells(notebook: Any, kind: str) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def said(notebook: Any) -> Iterator[tuple[int, str]]:
    """What each code cell printed or returned as text, pictures left out."""
    for number, cell in enumerate(cells(notebook, "code")):
        for output in cell.outputs:
            if "image/png" not in output.get("data", {}):
                yield number, output.get("text") or output.get("data", {}).get("text/plain") or output.output_type


def test_there_is_a_notebook() -> None:
    assert PATHS


@every_notebook
def test_it_begins_with_a_question(path: Path) -> None:
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "markdown"
    assert re.match(r"# .*？ · .*\?$", first.source.splitlines()[0])


@every_notebook
def test_its_texts_are_chinese_first_with_english_beside_it(path: Path) -> None:
    for cell in cells(nbformat.read(path, as_version=4), "markdown"):
        headings = re.findall(r"^#+ (.*)$", cell.source, re.M)
        assert all(re.match(r".*[\u4e00-\u9fff].* · [A-Z][^\u4e00-\u9fff]*$", heading) for heading in headings)
        text = re.sub(r"^#.*$", "", cell.source, flags=re.M).strip()
        assert not text or (HAN.search(text.split("\n\n")[0]) and re.search("[a-z]{3} [a-z]{2}", text)), text


@every_notebook
def test_it_uses_the_front_door_alone(path: Path) -> None:
    for cell in cells(nbformat.read(path, as_version=4), "code"):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Import):
                assert not [name.name for name in node.names if name.name.startswith(("gridgis.", "webmap"))]
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in ("gridgis", "webmap"):
                assert node.module == "gridgis"
                assert {name.name for name in node.names} <= set(gridgis.__all__)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "gridgis":
                assert node.attr in gridgis.__all__


@every_notebook
def test_it_is_small(path: Path) -> None:
    assert path.stat().st_size < 300_000, "smaller pictures, or fewer"


@pytest.mark.parametrize("before", ["", NO_CHINESE], ids=["as it is", "without a Chinese font"])
@every_notebook
def test_it_runs_and_ends_with_a_picture(path: Path, before: str) -> None:
    # The first look for fonts on a machine takes seconds and says so: here, not in the notebook.
    assert matplotlib.font_manager.fontManager.ttflist
    kept, fresh = nbformat.read(path, as_version=4), execute(path, before)
    outputs = [output for cell in cells(fresh, "code") for output in cell.outputs]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    assert "image/png" in cells(fresh, "code")[-1].outputs[-1].data
    assert "image/png" in cells(kept, "code")[-1].outputs[-1].data
    assert list(said(kept)) == list(said(fresh)), "what is kept is not what it says today: python notebooks/run.py"
