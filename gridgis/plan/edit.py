"""Edits of a plan: each gives a new draft and says at once what changed, or is refused with the reason and the place.

A plan is blocks and their grid, so no edit can leave a gap or an overlap: a drawn line or polygon becomes a cut of
blocks and a move of pieces. Drafts are never changed. Each edit is one operation of plain types, see
:mod:`gridgis.plan.operations`. Those that cut are in :mod:`gridgis.plan.editing.cuts`, those of responsibility blocks
in :mod:`gridgis.plan.editing.responsibility`, those of road segments in :mod:`gridgis.plan.editing.stretches`; all are
found here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gridgis.errors import EditError
from gridgis.plan.editing.change import Edited
from gridgis.plan.editing.cuts import draw, split_block, split_block_evenly, split_grid
from gridgis.plan.editing.draft import Draft
from gridgis.plan.editing.given import (
    checked_kind,
    checked_name,
    free_code,
    known_blocks,
    known_grids,
    listed,
    next_grid_code,
    unlocked,
)
from gridgis.plan.editing.rebalancing import rebalance
from gridgis.plan.editing.responsibility import (
    assign_responsibility,
    describe_responsibility,
    draw_responsibility,
    drop_responsibility,
    merge_responsibility,
    new_responsibility,
    split_responsibility,
)
from gridgis.plan.editing.rules import locked
from gridgis.plan.editing.sketch import Sketch
from gridgis.plan.editing.stretches import (
    assign_segment,
    describe_segment,
    drop_segment,
    merge_segments,
    new_segment,
    split_segment,
)

__all__ = [
    "assign", "assign_responsibility", "assign_segment", "describe_responsibility", "describe_segment", "draw",
    "draw_responsibility", "drop_responsibility", "drop_segment", "lock", "merge", "merge_responsibility",
    "merge_segments", "new_grid", "new_responsibility", "new_segment", "place", "rebalance", "recode", "rename",
    "set_kind", "split_block", "split_block_evenly", "split_grid", "split_responsibility", "split_segment", "unlock",
]  # fmt: skip


def assign(draft: Draft, blocks: Iterable[str], to: str) -> Edited:
    """Move blocks to a grid.

    Parameters
    ----------
    draft : Draft
    blocks : iterable of str
        Codes of blocks.
    to : str
        Code of a grid.

    Returns
    -------
    Edited
        The new draft, and the change. A grid that loses all its blocks is gone.

    Raises
    ------
    EditError
        Unknown codes; a grid that would come apart, cross a unit, or is locked; nothing would change.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> from gridgis.plan.opening import open_plan
    >>> from gridgis.plan.partition import partition
    >>> shapes = shapely.box([0, 100, 200, 300], 0, [100, 200, 300, 400], 100)
    >>> table = {"code": ["a", "b", "c", "d"], "unit": "U", "households": [150, 160, 140, 150]}
    >>> draft = open_plan(partition(gpd.GeoDataFrame(table, geometry=shapes, crs=32650), 300))
    >>> draft, change = assign(draft, ["b"], "U02")
    >>> {code: (before.households, after.households) for code, (before, after) in change.grids.items()}
    {'U01': (310, 150), 'U02': (290, 450)}
    """
    return place(draft, dict.fromkeys(listed(blocks), to))


def place(draft: Draft, grid_of: Mapping[str, str]) -> Edited:
    """Move blocks to grids, several at once: what a new partition of some grids gives.

    Parameters
    ----------
    draft : Draft
    grid_of : mapping
        Code of a block to the code of a grid.

    Raises
    ------
    EditError
        As :func:`assign`.
    """
    known_blocks(draft, grid_of)
    known_grids(draft, grid_of.values())
    sketch = Sketch(draft)
    for code, to in sorted(grid_of.items()):
        sketch.place([code], to)
    return sketch.finish({"op": "place", "grid_of": dict(sorted(grid_of.items()))})


def merge(draft: Draft, grids: Iterable[str], into: str | None = None) -> Edited:
    """Make one grid of several.

    Parameters
    ----------
    draft : Draft
    grids : iterable of str
        Codes of two or more grids of one unit that hang together.
    into : str, optional
        The one whose code, name and kind stay; by default the first.

    Raises
    ------
    EditError
        Unknown codes, fewer than two grids, or as :func:`assign`.
    """
    codes = list(dict.fromkeys(listed(grids)))
    known_grids(draft, codes)
    if len(codes) < 2:
        raise EditError("merging takes two grids or more", reason="argument", found=", ".join(codes) or "none")
    goal = codes[0] if into is None else into
    if goal not in codes:
        raise EditError("grids are merged into one of them", reason="argument", ids=[goal], wanted=", ".join(codes))
    sketch = Sketch(draft)
    for code in codes:
        sketch.place(sorted(draft.members[code]), goal)
    return sketch.finish({"op": "merge", "grids": codes, "into": goal})


def new_grid(
    draft: Draft, blocks: Iterable[str], code: str | None = None, name: str | None = None, kind: str = "residential"
) -> Edited:
    """Make a grid of blocks.

    Parameters
    ----------
    draft : Draft
    blocks : iterable of str
        Codes of blocks of one unit that hang together.
    code : str, optional
        By default the next number of the unit.
    name : str, optional
        By default the code.
    kind : str
        One of schema.GRID_KINDS.

    Raises
    ------
    EditError
        A code that is empty or taken, an empty name, an unknown kind, no blocks, or as :func:`assign`.
    """
    chosen = sorted(set(listed(blocks)))
    known_blocks(draft, chosen)
    if not chosen:
        raise EditError("a grid needs a block", reason="argument", found="none")
    free_code(code, draft.grids)
    made = code if code is not None else next_grid_code(draft, draft.blocks[chosen[0]].unit)
    sketch = Sketch(draft)
    sketch.place(chosen, made)
    sketch.describe(made, name=made if name is None else checked_name(name), kind=checked_kind(kind))
    return sketch.finish({"op": "new_grid", "blocks": chosen, "code": made, "name": name, "kind": kind})


def recode(draft: Draft, grid: str, code: str) -> Edited:
    """Give a grid another code; its ground, name and everything else stay, and nobody moves by it.

    The answer names the new code as the grid's successor. A name that was the code becomes the new code.

    Parameters
    ----------
    draft : Draft
    grid, code : str
        The old code and the new one.

    Raises
    ------
    EditError
        Unknown or locked grid, a code that is empty or taken.
    """
    unlocked(draft, [grid])
    if not isinstance(code, str):
        raise EditError("the code is empty", reason="argument", found=repr(code))
    free_code(code, draft.grids)
    sketch = Sketch(draft)
    sketch.recode(grid, code)
    if draft.grids[grid].name == grid:
        sketch.describe(code, name=code)
    return sketch.finish({"op": "recode", "grid": grid, "code": code})


def rename(draft: Draft, grid: str, name: str) -> Edited:
    """Give a grid another name; its code stays.

    Raises
    ------
    EditError
        Unknown or locked grid, an empty name, the name it has.
    """
    return _described(draft, [grid], {"name": checked_name(name)}, {"op": "rename", "grid": grid, "name": name})


def set_kind(draft: Draft, grid: str, kind: str) -> Edited:
    """Make a grid one of another kind (schema.GRID_KINDS).

    Raises
    ------
    EditError
        Unknown or locked grid, an unknown kind, the kind it has.
    """
    return _described(draft, [grid], {"kind": checked_kind(kind)}, {"op": "set_kind", "grid": grid, "kind": kind})


def lock(draft: Draft, grids: Iterable[str]) -> Edited:
    """Lock grids: what would move their ground, name or kind is refused.

    Raises
    ------
    EditError
        Unknown codes; all are locked.
    """
    codes = listed(grids)
    return _described(draft, codes, {"locked": True}, {"op": "lock", "grids": codes})


def unlock(draft: Draft, grids: Iterable[str]) -> Edited:
    """Free grids that are locked.

    Raises
    ------
    EditError
        Unknown codes; none is locked.
    """
    codes = listed(grids)
    return _described(draft, codes, {"locked": False}, {"op": "unlock", "grids": codes})


def _described(draft: Draft, codes: list[str], attributes: dict[str, Any], operation: dict[str, Any]) -> Edited:
    known_grids(draft, codes)
    sketch = Sketch(draft)
    for code in codes:
        if draft.grids[code].locked and "locked" not in attributes:
            raise locked(code, draft.grids[code].shape)
        if any(getattr(draft.grids[code], key) != value for key, value in attributes.items()):
            sketch.describe(code, **attributes)
    return sketch.finish(operation)
