"""Edits of responsibility blocks: the parts of a grid with a head each.

They are cut and named inside a grid as grids are inside a unit. A responsibility block is some of its grid's blocks, so
together they tile the grid exactly, whatever happens to it; :mod:`gridgis.plan.editing.settle` says what becomes of
them when the grid changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import shapely

from gridgis.errors import EditError
from gridgis.plan.editing.change import Edited
from gridgis.plan.editing.cuts import inside_of, largest
from gridgis.plan.editing.draft import Draft, ResponsibilityBlock, united
from gridgis.plan.editing.given import (
    checked_name,
    drawn_geometry,
    free_code,
    known_blocks,
    known_responsibility,
    listed,
    middle_of,
    plain,
    unlocked,
)
from gridgis.plan.editing.rules import place_in
from gridgis.plan.editing.settle import hanging, next_code
from gridgis.plan.editing.sketch import Sketch


def split_responsibility(draft: Draft, grid: str, line: Any) -> Edited:
    """Split the ground of a grid along a line into responsibility blocks; blocks are cut where the line runs.

    Where the grid has some, each that the line parts is split: the part with most households (area, where equal) keeps
    the code, the others are new. Where it has none, every part is a new one.

    Parameters
    ----------
    draft : Draft
    grid : str
        Code of a grid.
    line : LineString or mapping
        In the CRS of the plan.

    Raises
    ------
    EditError
        Unknown or locked grid; not a line, or one that crosses itself; the line parts nothing.
    """
    unlocked(draft, [grid])
    way = drawn_geometry(line, ("LineString",), "the line")
    sketch = Sketch(draft)
    pieces, cut = sketch.cut([way], draft.members[grid])
    own = sorted(draft.members[grid].difference(pieces).union(*pieces.values()))
    parted = False
    for part in sorted({sketch.blocks[c].responsibility for c in own}):
        groups = hanging([c for c in own if sketch.blocks[c].responsibility == part], sketch.blocks, cut)
        parted = parted or len(groups) > 1
        kept = largest(sketch, groups) if part else -1
        for i, group in enumerate(groups):
            if i != kept:
                _move(sketch, group, _made(sketch, grid, None, None, draft.responsibility[part].kind if part else None))
    if not parted:
        raise EditError(f"the line does not part the grid {grid}", reason="nothing", place=middle_of(way),
                        remedy="Draw it from one side of the grid to the other.")  # fmt: skip
    return _finished(sketch, [grid], {"op": "split_responsibility", "grid": grid, "line": plain(way)})


def draw_responsibility(draft: Draft, grid: str, polygon: Any, to: str | None = None) -> Edited:
    """Give the ground of a grid inside a drawn polygon to a responsibility block; blocks are cut where its rim runs.

    Parameters
    ----------
    draft : Draft
    grid : str
        Code of a grid; ground of others is left alone.
    polygon : Polygon or mapping
        In the CRS of the plan.
    to : str, optional
        Code of a responsibility block of the grid; by default a new one. What of the grid is in none becomes one.

    Raises
    ------
    EditError
        Unknown or locked grid, unknown responsibility block or one of another grid; not a valid polygon; it takes no
        ground; a responsibility block would come apart.
    """
    unlocked(draft, [grid])
    area = drawn_geometry(polygon, ("Polygon",), "the polygon")
    if to is not None:
        _of_grid(draft, to, grid)
    sketch = Sketch(draft)
    shapely.prepare(area)
    able = [c for c in sorted(draft.members[grid]) if draft.blocks[c].responsibility != to
            and shapely.intersects(area, draft.blocks[c].shape)]  # fmt: skip
    moved = inside_of(sketch, area, able) if able else []
    if not moved:
        raise EditError(f"the polygon takes no ground of the grid {grid}", reason="nothing", place=middle_of(area))
    _move(sketch, moved, to if to is not None else _made(sketch, grid, None, None, None))
    operation = {"op": "draw_responsibility", "grid": grid, "polygon": plain(area), "to": to}
    return _finished(sketch, [grid], operation)


def new_responsibility(
    draft: Draft, blocks: Iterable[str], code: str | None = None, name: str | None = None, kind: str | None = None
) -> Edited:
    """Make a responsibility block of blocks; what of the grid is in none becomes one too.

    Parameters
    ----------
    draft : Draft
    blocks : iterable of str
        Codes of blocks of one grid that hang together.
    code : str, optional
        By default GRID-1, GRID-2, …
    name, kind : str, optional
        The name is the code by default; kinds are free.

    Raises
    ------
    EditError
        Unknown blocks or none, blocks of several grids, a locked grid, a code that is empty or taken, an empty name, a
        responsibility block that would come apart.
    """
    chosen = sorted(set(listed(blocks)))
    known_blocks(draft, chosen)
    if not chosen:
        raise EditError("a responsibility block needs a block", reason="argument", found="none")
    grid = _one_grid(draft, chosen)
    free_code(code, draft.responsibility)
    sketch = Sketch(draft)
    made = _made(sketch, grid, code, None if name is None else checked_name(name), kind)
    _move(sketch, chosen, made)
    operation = {"op": "new_responsibility", "blocks": chosen, "code": made, "name": name, "kind": kind}
    return _finished(sketch, [grid], operation)


def assign_responsibility(draft: Draft, blocks: Iterable[str], to: str) -> Edited:
    """Move blocks of a grid to one of its responsibility blocks.

    Raises
    ------
    EditError
        Unknown codes, blocks of another grid, a locked grid, a responsibility block that would come apart; nothing
        would change.
    """
    chosen = sorted(set(listed(blocks)))
    known_blocks(draft, chosen)
    known_responsibility(draft, [to])
    grid = draft.responsibility[to].grid
    unlocked(draft, [grid])
    strange = [c for c in chosen if draft.blocks[c].grid != grid]
    if strange:
        raise EditError(f"the responsibility block {to} would leave its grid {grid}", reason="unit", ids=strange,
                        place=place_in(draft.blocks[strange[0]].shape),
                        remedy="Move the blocks to the grid first.")  # fmt: skip
    sketch = Sketch(draft)
    _move(sketch, chosen, to)
    return _finished(sketch, [grid], {"op": "assign_responsibility", "blocks": chosen, "to": to})


def merge_responsibility(draft: Draft, codes: Iterable[str], into: str | None = None) -> Edited:
    """Make one responsibility block of several of one grid; by default the first keeps its code, name and kind.

    Raises
    ------
    EditError
        Unknown codes, fewer than two, of several grids, a locked grid, or they do not hang together.
    """
    chosen = list(dict.fromkeys(listed(codes)))
    known_responsibility(draft, chosen)
    if len(chosen) < 2:
        raise EditError("merging takes two responsibility blocks or more", reason="argument",
                        found=", ".join(chosen) or "none")  # fmt: skip
    goal = chosen[0] if into is None else into
    if goal not in chosen:
        raise EditError("responsibility blocks are merged into one of them", reason="argument", ids=[goal],
                        wanted=", ".join(chosen))  # fmt: skip
    for code in chosen:
        _of_grid(draft, code, draft.responsibility[goal].grid)
    grid = draft.responsibility[goal].grid
    unlocked(draft, [grid])
    sketch = Sketch(draft)
    _move(sketch, [c for c in sorted(draft.members[grid]) if draft.blocks[c].responsibility in chosen], goal)
    return _finished(sketch, [grid], {"op": "merge_responsibility", "codes": chosen, "into": goal})


def drop_responsibility(draft: Draft, grid: str) -> Edited:
    """Take all responsibility blocks of a grid away; the blocks stay cut.

    Raises
    ------
    EditError
        Unknown or locked grid, or one that has none.
    """
    unlocked(draft, [grid])
    sketch = Sketch(draft)
    _move(sketch, sorted(draft.members[grid]), "")
    return _finished(sketch, [grid], {"op": "drop_responsibility", "grid": grid})


def describe_responsibility(draft: Draft, code: str, name: str | None = None, kind: str | None = None) -> Edited:
    """Give a responsibility block another name or kind; what is None stays.

    Raises
    ------
    EditError
        An unknown code, a locked grid, an empty name, nothing that would change.
    """
    known_responsibility(draft, [code])
    unlocked(draft, [draft.responsibility[code].grid])
    was = draft.responsibility[code]
    sketch = Sketch(draft)
    sketch.responsibility[code] = replace(
        was, name=was.name if name is None else checked_name(name), kind=was.kind if kind is None else kind
    )
    return sketch.finish({"op": "describe_responsibility", "code": code, "name": name, "kind": kind})


def _made(sketch: Sketch, grid: str, code: str | None, name: str | None, kind: str | None) -> str:
    """The code of a new responsibility block of a grid."""
    made = code or next_code(grid, {**sketch.draft.responsibility, **sketch.responsibility})
    sketch.responsibility[made] = ResponsibilityBlock(made, name or made, kind, grid)
    return made


def _move(sketch: Sketch, blocks: Iterable[str], to: str) -> None:
    for code in blocks:
        if sketch.blocks[code].responsibility != to:
            sketch.put(replace(sketch.blocks[code], responsibility=to))


def _one_grid(draft: Draft, blocks: list[str]) -> str:
    grids = sorted({draft.blocks[c].grid for c in blocks})
    if len(grids) > 1:
        raise EditError("a responsibility block lies in one grid", reason="unit", ids=blocks,
                        place=place_in(draft.blocks[blocks[-1]].shape), found=f"grids {', '.join(grids)}")  # fmt: skip
    unlocked(draft, grids)
    return grids[0]


def _of_grid(draft: Draft, code: str, grid: str) -> None:
    known_responsibility(draft, [code])
    if draft.responsibility[code].grid != grid:
        raise EditError(f"the responsibility block {code} is of another grid", reason="unit",
                        found=draft.responsibility[code].grid, wanted=grid)  # fmt: skip


def _finished(sketch: Sketch, grids: list[str], operation: dict[str, Any]) -> Edited:
    """Fill up the grids, take away what is empty, and refuse what would come apart."""
    for grid in grids:
        own = [c for c, b in sketch.blocks.items() if b.grid == grid]
        bare = sorted(c for c in own if not sketch.blocks[c].responsibility)
        if bare and len(bare) < len(own):
            for group in hanging(bare, sketch.blocks):
                _move(sketch, group, _made(sketch, grid, None, None, None))
        by_part: dict[str, list[str]] = {}
        for code in sorted(own):
            by_part.setdefault(sketch.blocks[code].responsibility, []).append(code)
        for part in [p for p, item in sketch.responsibility.items() if item.grid == grid and p not in by_part]:
            del sketch.responsibility[part]
        for part, codes in by_part.items():
            _refuse_torn(sketch, part, codes)
    return sketch.finish(operation)


def _refuse_torn(sketch: Sketch, part: str, codes: list[str]) -> None:
    before = [b for b in sketch.draft.blocks.values() if b.responsibility == part]
    groups = hanging(codes, sketch.blocks) if part else [codes]
    if len(groups) > 1 and len(groups) > len(hanging([b.code for b in before], sketch.draft.blocks)):
        small = min(groups, key=lambda g: sum(sketch.blocks[c].shape.area for c in g))
        shape = united([sketch.blocks[c] for c in small])
        raise EditError(
            f"the responsibility block {part} would be in {len(groups)} pieces", reason="pieces", ids=small,
            place=place_in(shape), found="a piece", wanted="every responsibility block in one piece",
        )  # fmt: skip
