"""What was planted: every fault of the sample with its place, its ids and who should find it, kept beside the files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

#: Who finds what only later versions can find; `subject` then names the piece of work that will.
LATER = "later"

_ABOUT = (
    "Every fault that the program planted in this sample, and no other. `seen_by` names the command that finds it "
    "today; `later` stands where none does yet, and `subject` then names the work that will. `where` is the file, "
    "`ids` are codes in it."
)


class Planted(NamedTuple):
    """One fault: a unique id, the subject it belongs to, its file, the codes in it, its kind, who finds it, in words.

    `more` holds what belongs to one kind only: a place (lon, lat), a size, a day.
    """

    id: str
    subject: str
    where: str
    ids: tuple[str, ...]
    kind: str
    seen_by: str
    detail: str
    more: Mapping[str, Any] = {}


def truth_of(planted: Iterable[Planted], counts: Mapping[str, Any]) -> dict[str, Any]:
    """The document of truth.json: about, planted, counts.

    Examples
    --------
    >>> fault = Planted("old-gap", "tiling", "old_grids.geojson", ("A", "B"), "gap", "validate", "between A and B")
    >>> truth_of([fault], {"persons": 3})["planted"][0]["expected"]
    'now'
    """
    rows = []
    for fault in planted:
        row = {k: v for k, v in fault._asdict().items() if k != "more"}
        expected = "later" if fault.seen_by == LATER else "now"
        rows.append({**row, "ids": list(fault.ids), "expected": expected, **fault.more})
    return {"about": _ABOUT, "planted": rows, "counts": dict(counts)}


def as_text(truth: Mapping[str, Any]) -> str:
    """The document as JSON, one planted fault a line, so that a change shows as the lines that changed."""
    rows = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in truth["planted"])
    counts = json.dumps(truth["counts"], ensure_ascii=False, indent=1)
    about = json.dumps(truth["about"], ensure_ascii=False)
    return f'{{\n "about": {about},\n "planted": [\n  {rows}\n ],\n "counts": {counts}\n}}\n'
