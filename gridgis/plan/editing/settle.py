"""What follows an edit: responsibility blocks and road segments of the grids whose ground changed.

A responsibility block is some of a grid's blocks, so it nests in its grid whatever is done to the grid. Of a grid that
has any, every block is in one. When blocks change grid:

- into a new grid, or out of a grid that is gone by it, they bring their responsibility blocks along; what is left
  without one in such a grid becomes one;
- else they join the responsibility block of the new grid that they share most border with, or none where it has none.

A responsibility block that so comes to lie in two grids or pieces keeps its code where most households live (the most
ground, where equal); each other piece becomes one of its own with the next code. One that has no block left is gone.

A road segment goes with the ground along which it runs: when its grid loses ground it changes to the grid that it runs
along most, and stays where that is equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import count

import numpy as np
import shapely

from gridgis.plan.editing.cutting import Edge, edges_of
from gridgis.plan.editing.draft import Base, Block, Grid, ResponsibilityBlock, Segment
from gridgis.plan.faces.graph import components
from gridgis.plan.faces.network import Shapes, flatten

#: A segment runs along a grid that is nearer than this, metres, judged at places this far apart.
ALONG_M = 15.0
_STEP_M = 5.0


def next_code(grid: str, taken: Iterable[str], mark: str = "") -> str:
    """The first free code of a responsibility block (GRID-1, GRID-2, …) or segment (`mark` "S": GRID-S1, …)."""
    used = set(taken)
    return next(code for code in (f"{grid}-{mark}{n}" for n in count(1)) if code not in used)


def settled(
    known: Mapping[str, Grid],
    table: dict[str, ResponsibilityBlock],
    blocks: Mapping[str, Block],
    came_from: Mapping[str, str],
    able: Iterable[str],
) -> dict[str, Block]:
    """Blocks whose responsibility block changes; `table` is brought up to date.

    Parameters
    ----------
    known : mapping
        The grids before the edit.
    table : dict
        All responsibility blocks.
    blocks : mapping
        All blocks after it, where those that moved still have their old responsibility block.
    came_from : mapping
        The grid before of each block that changes grid.
    able : iterable of str
        Codes among which are all blocks of the grids that gain or lose one.
    """
    if not table:
        return {}
    before = dict(table)
    touched = {g for code, was in came_from.items() for g in (was, blocks[code].grid)}
    own: dict[str, list[str]] = {grid: [] for grid in sorted(touched)}
    for code in sorted(set(able)):
        if code in blocks and blocks[code].grid in own:
            own[blocks[code].grid].append(code)
    label = {code: blocks[code].responsibility for codes in own.values() for code in codes}
    for grid, codes in own.items():
        _welcome(grid, codes, label, blocks, came_from, known, own)
    for grid, codes in own.items():
        _fill(grid, codes, label, table)
    changed = {name for c in came_from for name in (label[c], blocks[c].responsibility)} | (
        table.keys() - before.keys()
    )
    for part in sorted(changed & set(label.values()) - {""}):
        _part(part, label, blocks, table)
    for part in [p for p, old in before.items() if old.grid in touched and p not in label.values()]:
        del table[part]
    return {c: replace(blocks[c], responsibility=name) for c, name in label.items() if blocks[c].responsibility != name}


def _welcome(
    grid: str,
    codes: list[str],
    label: dict[str, str],
    blocks: Mapping[str, Block],
    came_from: Mapping[str, str],
    known: Mapping[str, Grid],
    own: Mapping[str, list[str]],
) -> None:
    """Say which responsibility block the blocks that came into a grid belong to."""
    came = [c for c in codes if c in came_from]
    stay = [c for c in codes if c not in came_from]
    if grid not in known:
        return
    strangers = [c for c in came if own[came_from[c]]]
    if not any(label[c] for c in stay):
        label.update(dict.fromkeys(strangers, ""))
        return
    ready = [c for c in codes if c not in strangers and label[c]]
    edges = {c: edges_of(blocks[c].shape) for c in codes}
    while strangers:
        pairs = ((c, other) for c in strangers for other in ready)
        _, name, code = min((-sum(map(_length, edges[c] & edges[other])), label[other], c) for c, other in pairs)
        label[code] = name
        strangers.remove(code)
        ready.append(code)


def _length(edge: tuple[tuple[float, float], tuple[float, float]]) -> float:
    (x0, y0), (x1, y1) = edge
    return float(np.hypot(x1 - x0, y1 - y0))


def _fill(grid: str, codes: list[str], label: dict[str, str], table: dict[str, ResponsibilityBlock]) -> None:
    """Where some blocks of a grid are in a responsibility block, the others become one."""
    bare = [c for c in codes if not label[c]]
    if bare and len(bare) < len(codes):
        name = next_code(grid, table)
        table[name] = ResponsibilityBlock(name, name, None, grid)
        label.update(dict.fromkeys(bare, name))


def _part(part: str, label: dict[str, str], blocks: Mapping[str, Block], table: dict[str, ResponsibilityBlock]) -> None:
    """One responsibility block for each piece in each grid; the one with most households keeps the code."""
    codes = [c for c, name in label.items() if name == part]
    groups: list[list[str]] = []
    for grid in sorted({blocks[c].grid for c in codes}):
        groups += hanging([c for c in codes if blocks[c].grid == grid], blocks)
    size = [
        (sum(blocks[c].households for c in g), sum(blocks[c].shape.area for c in g), -i) for i, g in enumerate(groups)
    ]
    kept = size.index(max(size))
    table[part] = replace(table[part], grid=blocks[groups[kept][0]].grid)
    for group in (g for i, g in enumerate(groups) if i != kept):
        grid = blocks[group[0]].grid
        name = next_code(grid, table)
        table[name] = ResponsibilityBlock(name, name, table[part].kind, grid)
        label.update(dict.fromkeys(group, name))


def hanging(codes: list[str], blocks: Mapping[str, Block], cut: frozenset[Edge] = frozenset()) -> list[list[str]]:
    """The groups of blocks that hang together by edges, other than those that a `cut` runs along."""
    seen: dict[Edge, int] = {}
    pairs = []
    for i, code in enumerate(codes):
        for edge in edges_of(blocks[code].shape) - cut:
            if edge in seen:
                pairs.append((seen[edge], i))
            seen[edge] = i
    part = components(len(codes), np.array(pairs, dtype=np.int64).reshape(-1, 2)).tolist()
    return [[c for c, p in zip(codes, part, strict=True) if p == number] for number in range(max(part, default=-1) + 1)]


# --- road segments ----------------------------------------------------------------------------------------------------


def followed(
    base: Base, segments: Mapping[str, Segment], grids: Mapping[str, Grid], heirs: Mapping[str, set[str]]
) -> dict[str, Segment]:
    """Segments that change to another grid.

    Parameters
    ----------
    base : Base
    segments : mapping
    grids : mapping
        All grids after the edit.
    heirs : mapping
        For each grid that lost ground: the grids that got it.
    """
    out = {}
    for code, segment in segments.items():
        if segment.grid not in heirs:
            continue
        able = [g for g in (segment.grid, *sorted(heirs[segment.grid] - {segment.grid})) if g in grids]
        spots = places_along(base, segment)
        shapes = flatten(np.array([grids[g].shape for g in able], dtype=object), base.scale)
        near = [int(shapely.dwithin(shape, spots, ALONG_M).sum()) for shape in shapes]
        best = able[near.index(max(near))]
        if best != segment.grid:
            out[code] = replace(segment, grid=best)
    return out


def places_along(base: Base, segment: Segment) -> Shapes:
    """Places along a segment in the flat plane, at most 5 m apart, away from its ends."""
    flat = flatten(np.array([segment.shape], dtype=object), base.scale)[0]
    steps = max(3, int(np.ceil(flat.length / _STEP_M)))
    share = (np.arange(steps) + 0.5) / steps
    places: Shapes = shapely.line_interpolate_point(flat, share, normalized=True)
    return places
