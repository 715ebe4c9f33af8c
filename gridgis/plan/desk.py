"""The desk at which a plan is edited: the draft of the moment, and an index of its blocks that changes with it.

The draft itself needs no changing index: whatever becomes of a block stays in the box of the block that came in, so
that one STRtree, never changed, serves all drafts, undone or not (:func:`~gridgis.plan.editing.draft.codes_in`). Who
looks at a plan on a screen asks for the blocks of the moment by the thousand between two edits; for that the desk keeps
an R-tree (rtree, libspatialindex) and puts in what an edit changed. `benchmarks/edit.py` measures both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

import numpy as np
import shapely
from rtree import index

from gridgis.errors import EditError
from gridgis.plan import operations
from gridgis.plan.editing.change import Change, Replaced, Step
from gridgis.plan.editing.draft import Draft


class Desk:
    """A draft under the planner's hands; not for two threads at once.

    Parameters
    ----------
    draft : Draft

    Attributes
    ----------
    draft : Draft
        The plan as it is now.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> from gridgis.plan.opening import open_plan
    >>> from gridgis.plan.partition import partition
    >>> shapes = shapely.box([0, 100, 200, 300], 0, [100, 200, 300, 400], 100)
    >>> table = {"code": ["a", "b", "c", "d"], "unit": "U", "households": [150, 160, 140, 150]}
    >>> desk = Desk(open_plan(partition(gpd.GeoDataFrame(table, geometry=shapes, crs=32650), 300)))
    >>> change = desk.do({"op": "place", "grid_of": {"b": "U02"}})
    >>> desk.block_at(150, 50), desk.grid_at(150, 50), desk.blocks_in((210, 0, 390, 50))
    ('b', 'U02', ['c', 'd'])
    >>> desk.undo().households_moved, desk.grid_at(150, 50)
    (160, 'U01')
    """

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self._ids = count()
        self._code: dict[int, str] = {}
        self._id: dict[str, int] = {}
        codes = sorted(draft.blocks)
        boxes = shapely.bounds(np.array([draft.blocks[c].shape for c in codes], dtype=object))
        entries = [(self._named(c), tuple(box), None) for c, box in zip(codes, boxes.tolist(), strict=True)]
        self._tree = index.Index(iter(entries)) if entries else index.Index()

    def do(self, operation: Mapping[str, Any]) -> Change:
        """One operation, as :func:`~gridgis.plan.operations.apply` takes it; a refusal leaves the desk as it is."""
        draft, change = operations.apply(self.draft, operation)
        self._follow(draft, draft.done[-1].replaced, 1)
        return change

    def undo(self) -> Change:
        """Take the last edit back; the answer is what that changes.

        Raises
        ------
        EditError
            There is nothing to undo.
        """
        draft = operations.undo(self.draft)
        step: Step = self.draft.done[-1]
        self._follow(draft, step.replaced, 0)
        return step.change.reversed()

    def redo(self) -> Change:
        """Do again what was undone last.

        Raises
        ------
        EditError
            There is nothing to redo.
        """
        draft = operations.redo(self.draft)
        step: Step = self.draft.undone[-1]
        self._follow(draft, step.replaced, 1)
        return step.change

    def blocks_in(self, bounds: Iterable[float]) -> list[str]:
        """Codes of the blocks whose boxes meet a box (xmin, ymin, xmax, ymax; CRS of the plan), sorted."""
        return sorted(self._code[i] for i in self._tree.intersection(_box(bounds)))

    def grids_in(self, bounds: Iterable[float]) -> list[str]:
        """Codes of the grids that have a block whose box meets a box, sorted."""
        return sorted({self.draft.blocks[c].grid for c in self.blocks_in(bounds)})

    def block_at(self, x: float, y: float) -> str | None:
        """The block at a place, on a border the one with the lowest code; None where there is none."""
        point = shapely.Point(x, y)
        blocks = self.draft.blocks
        return next((c for c in self.blocks_in((x, y, x, y)) if blocks[c].shape.intersects(point)), None)

    def grid_at(self, x: float, y: float) -> str | None:
        """The grid of the block at a place."""
        code = self.block_at(x, y)
        return None if code is None else self.draft.blocks[code].grid

    def _named(self, code: str) -> int:
        number = next(self._ids)
        self._code[number], self._id[code] = code, number
        return number

    def _follow(self, draft: Draft, replaced: Replaced, goal: int) -> None:
        """Put what an edit cut into the index, and take out what it replaced; boxes of other blocks stay."""
        for code, pair in replaced.blocks.items():
            was, now = pair[1 - goal], pair[goal]
            if was is not None and now is None:
                number = self._id.pop(code)
                del self._code[number]
                self._tree.delete(number, was.shape.bounds)
            elif was is None and now is not None:
                self._tree.insert(self._named(code), now.shape.bounds)
        self.draft = draft


def _box(bounds: Iterable[float]) -> tuple[float, ...]:
    box = tuple(float(v) for v in bounds)
    if len(box) != 4 or not np.isfinite(box).all() or box[0] > box[2] or box[1] > box[3]:
        raise EditError("the box cannot be used", reason="argument", found=", ".join(f"{v:g}" for v in box),
                        wanted="xmin, ymin, xmax, ymax")  # fmt: skip
    return box
