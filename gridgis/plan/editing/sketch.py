"""One edit in the making: cuts and moves of blocks, then the rules that no plan may break, then what changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import shapely

from gridgis.errors import EditError
from gridgis.plan.editing.answer import Outcome, answer
from gridgis.plan.editing.apportion import shared_out
from gridgis.plan.editing.change import Edited, Replaced, Step, moved_on
from gridgis.plan.editing.cutting import SNAP_M, Added, Edge, cut_along, edge_of, edges_of, with_vertices
from gridgis.plan.editing.draft import (
    Barrier,
    Block,
    Draft,
    Grid,
    ResponsibilityBlock,
    Segment,
    codes_in,
    heaviest_of,
    kind_of_grid,
    loads_of,
    measured,
    united,
)
from gridgis.plan.editing.rules import Joints, across_units, barrier_of, locked, torn
from gridgis.plan.editing.settle import followed, settled
from gridgis.plan.faces.network import flatten

_Pairs = Mapping[str, tuple[Block | None, Block | None]]


class Sketch:
    """A draft with cuts and moves that are not yet checked; the draft itself stays as it is."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.blocks: dict[str, Block] = dict(draft.blocks)
        self.pieces: dict[int, tuple[str, ...]] = dict(draft.pieces)
        self.drawn: dict[Edge, Barrier] = dict(draft.drawn)
        self.responsibility: dict[str, ResponsibilityBlock] = dict(draft.responsibility)
        self.segments: dict[str, Segment] = dict(draft.segments)
        self.touched: set[str] = set()
        self.origin: dict[str, str] = {}
        self.renamed: dict[str, str] = {}  # new code of a grid: its old one
        self.barred: set[str] = set()  # blocks beside a new barrier that must not be crossed
        self.added: list[Added] = []
        self.attributes: dict[str, dict[str, Any]] = {}

    # --- what edits do ------------------------------------------------------------------------------------------------

    def cut(
        self, lines: list[Any], allowed: Iterable[str], barrier: Barrier = (None, None)
    ) -> tuple[dict[str, list[str]], frozenset[Edge]]:
        """Cut the `allowed` blocks along lines: the pieces of each that came apart, and where the lines run."""
        base = self.draft.base
        chosen = set(allowed)
        codes = self._near(shapely.union_all(lines), chosen, 2 * SNAP_M) if chosen else []
        if not codes:
            return {}, frozenset()
        shapes = np.array([self.blocks[c].shape for c in codes], dtype=object)
        done = cut_along(shapes, np.array([c in chosen for c in codes]), lines, base.scale)
        for row, shape in done.bent.items():
            self.put(replace(self.blocks[codes[row]], shape=shape))
        pieces = {codes[row]: self._replaced(codes[row], shapes_) for row, shapes_ in sorted(done.pieces.items())}
        if pieces:
            self.added.append(done.added)
            self._inherit(done.added)
            if barrier[0] is not None:
                self._draw(
                    barrier, done.line, shapes, done.added, [name for names in pieces.values() for name in names]
                )
        return pieces, done.line

    def _near(self, line: Any, allowed: set[str], within_m: float) -> list[str]:
        """Codes of the blocks that a line comes near to, sorted; those away from the `allowed` blocks are left out."""
        base = self.draft.base
        own = shapely.total_bounds(np.array([self.blocks[c].shape for c in allowed], dtype=object))
        low = np.maximum(line.bounds[:2], own[:2]) - within_m / base.scale
        high = np.minimum(line.bounds[2:], own[2:]) + within_m / base.scale
        if (low > high).any():
            return []
        codes = sorted(codes_in(base, (*low, *high), self.pieces))
        flat = flatten(np.array([line], dtype=object), base.scale)[0]
        shapes = flatten(np.array([self.blocks[c].shape for c in codes], dtype=object), base.scale)
        return [code for code, near in zip(codes, shapely.dwithin(shapes, flat, within_m), strict=True) if near]

    def _inherit(self, added: Added) -> None:
        """Parts of an edge lie on the barrier that the edge lies on."""
        for edge, spots in added.items():
            barrier = barrier_of(self.draft.base, self.drawn, edge)
            if barrier[0] is not None:
                for part in pairwise([edge[0], *spots, edge[1]]):
                    self.drawn[edge_of(*part)] = barrier

    def _draw(self, barrier: Barrier, line: frozenset[Edge], shapes: Any, added: Added, pieces: list[str]) -> None:
        """The new edges between pieces lie on the barrier that was drawn."""
        old = set().union(*(edges_of(with_vertices(shape, added)) for shape in shapes))
        new = line & frozenset().union(*(edges_of(self.blocks[code].shape) for code in pieces)) - old
        self.drawn.update(dict.fromkeys(new, barrier))
        if barrier[0] in self.draft.base.never_cross:
            self.barred.update(pieces)

    def put(self, block: Block) -> None:
        """Set a block, new or old."""
        self.blocks[block.code] = block
        self.touched.add(block.code)

    def _replaced(self, code: str, shapes: list[Any]) -> list[str]:
        """Put the pieces of a block in its place."""
        block = self.blocks.pop(code)
        self.touched.add(code)
        names: list[str] = []
        number = 0
        while len(names) < len(shapes):
            number += 1
            name = f"{code}.{number}"
            if name not in self.blocks and name not in self.draft.blocks:
                names.append(name)
        for piece in shared_out(self.draft.base, block, names, shapes):
            self.put(piece)
            self.origin[piece.code] = self.origin.get(code, code)
        known = self.pieces.get(block.row, (self.draft.base.codes[block.row],))
        self.pieces[block.row] = tuple(sorted({*known, *names} - {code}))
        return names

    def place(self, codes: Iterable[str], grid: str) -> None:
        """Move blocks to a grid."""
        for code in codes:
            if self.blocks[code].grid != grid:
                self.put(replace(self.blocks[code], grid=grid))

    def describe(self, grid: str, **attributes: Any) -> None:
        """Set name, kind or lock of a grid, new or old."""
        self.attributes.setdefault(grid, {}).update(attributes)

    def recode(self, old: str, new: str) -> None:
        """Give a grid another code; nobody moves by it."""
        self.renamed[new] = old
        self.place(sorted(self.draft.members[old]), new)
        for code, part in self.draft.responsibility.items():
            if part.grid == old:
                self.responsibility[code] = replace(part, grid=new)
        for code, segment in self.draft.segments.items():
            if segment.grid == old:
                self.segments[code] = replace(segment, grid=new)

    # --- what comes of it ---------------------------------------------------------------------------------------------

    def finish(self, operation: Mapping[str, Any]) -> Edited:
        """Check the rules and make the new draft.

        Raises
        ------
        EditError
            A grid would come apart, cross a unit or a barrier, or change although it is locked; or nothing would
            change.
        """
        before = self.draft
        came_from = {c: was for c in sorted(self.touched & self.blocks.keys())
                     if (was := self.was_in(c)) != self.blocks[c].grid}  # fmt: skip
        self._refuse_locked(came_from)
        near = {g for c, was in came_from.items() for g in (was, self.blocks[c].grid)}
        able = self.touched.union(*(before.members.get(g, ()) for g in near))
        for block in settled(before.grids, self.responsibility, self.blocks, came_from, able).values():
            self.put(block)
        blocks = {c: (before.blocks.get(c), self.blocks.get(c)) for c in sorted(self.touched)}
        blocks = {c: pair for c, pair in blocks.items() if pair[0] is not None or pair[1] is not None}
        heirs: dict[str, set[str]] = {}
        for code, was in came_from.items():
            heirs.setdefault(was, set()).add(self.blocks[code].grid)
        members = self._members(blocks)
        grids = self._grids(members, heirs)
        after = {**before.grids, **{c: now for c, (_, now) in grids.items() if now is not None}}
        after = {c: g for c, g in after.items() if c not in grids or grids[c][1] is not None}
        self.segments.update(followed(before.base, self.segments, after, heirs))
        parts = _differing(before.responsibility, self.responsibility)
        replaced = Replaced(blocks, grids, _differing(before.drawn, self.drawn), parts,
                            _differing(before.segments, self.segments))  # fmt: skip
        if not any(replaced):
            raise EditError("the edit changes nothing", reason="nothing", found=str(operation["op"]))
        draft = moved_on(before, replaced)
        change = answer(operation, Outcome(before, draft, replaced, came_from, self.origin, self.renamed))
        return Edited(replace(draft, done=(*before.done, Step(change, replaced)), undone=()), change)

    def was_in(self, code: str) -> str:
        """The grid, by its code after the edit, in which a block or what it was cut from was before."""
        was = self.draft.blocks[self.origin.get(code, code)].grid
        return next((new for new, old in self.renamed.items() if old == was), was)

    def _refuse_locked(self, came_from: Mapping[str, str]) -> None:
        known = self.draft.grids
        for code in sorted({g for c, was in came_from.items() for g in (was, self.blocks[c].grid)}):
            if code in known and known[code].locked:
                moved = sorted(c for c, was in came_from.items() if code in (was, self.blocks[c].grid))
                raise locked(code, self.blocks[moved[0]].shape, moved)

    def _members(self, blocks: _Pairs) -> dict[str, set[str]]:
        """The blocks of each grid of which a block is touched."""
        members: dict[str, set[str]] = {}
        for code, (was, now) in blocks.items():
            for block in (was, now):
                if block is not None and block.grid not in members:
                    members[block.grid] = set(self.draft.members.get(block.grid, ()))
            if was is not None:
                members[was.grid].discard(code)
            if now is not None:
                members[now.grid].add(code)
        return members

    def _grids(
        self, members: Mapping[str, set[str]], heirs: Mapping[str, set[str]]
    ) -> dict[str, tuple[Grid | None, Grid | None]]:
        """Each grid that changes, before and after."""
        ground = heirs.keys() | set().union(*heirs.values())
        grids: dict[str, tuple[Grid | None, Grid | None]] = {}
        for code in sorted(members.keys() | self.attributes.keys()):
            was = self.draft.grids.get(self.renamed.get(code, code))
            if code in members and not members[code]:
                grids[code] = (was, None)
                continue
            now = self._grid(code, was, members.get(code), code in ground)
            if now is not was:
                grids[code] = (self.draft.grids.get(code), now)
        return grids

    def _grid(self, code: str, was: Grid | None, own: set[str] | None, ground: bool) -> Grid:
        """A grid after the edit; the same object where nothing changed."""
        attributes = {**self.attributes.get(code, {}), **({"code": code} if code in self.renamed else {})}
        if was is None or ground:
            return self._measured(code, was, [self.blocks[b] for b in sorted(own or ())])
        if own is not None and not own.isdisjoint(self.barred):
            self._refuse_barriers(code, was, [self.blocks[b] for b in sorted(own)])
        if own is not None:
            shape = was.shape
            for added in self.added:
                shape = with_vertices(shape, added)
            mine = [self.blocks[b] for b in own]
            now = shape, loads_of(mine)[2], heaviest_of(self.draft.base, mine)
            if now != (was.shape, was.estimated, was.heaviest):
                attributes |= {"shape": now[0], "estimated": now[1], "heaviest": now[2]}
        return replace(was, **attributes) if attributes else was

    def _measured(self, code: str, was: Grid | None, mine: list[Block]) -> Grid:
        """A grid whose ground changed, made and measured anew."""
        units = sorted({b.unit for b in mine})
        if len(units) > 1:
            raise across_units(code, was.unit if was is not None else units[0], mine)
        shape = united(mine)
        pieces = len(shapely.get_parts(shape))
        if pieces > 1 and pieces > (0 if was is None else len(shapely.get_parts(was.shape))):
            raise torn(code, shape, mine)
        self._refuse_barriers(code, was, mine)
        base = self.draft.base
        area, round_ = measured(base, np.array([shape], dtype=object))
        texts = {"name": code, "kind": "residential", "locked": False}
        if was is not None:
            texts = {"name": was.name, "kind": was.kind, "locked": was.locked}
        households, persons, estimated = loads_of(mine)
        texts.update(self.attributes.get(code, {}))
        return Grid(
            code, str(texts["name"]), str(texts["kind"]), units[0], bool(texts["locked"]), shape, households, persons,
            estimated, float(area[0]), float(round_[0]), kind_of_grid(base, mine),
            heaviest_of(base, mine), -1 if was is None else was.row,
        )  # fmt: skip

    def _refuse_barriers(self, code: str, was: Grid | None, mine: list[Block]) -> None:
        """No grid may hang together only across a barrier that must not be crossed, unless it did so before."""
        base, draft = self.draft.base, self.draft
        if not base.never_cross:
            return
        joints = Joints(base, mine, self.drawn)
        if joints.pieces > 1 and joints.barred:
            old = [] if was is None else [draft.blocks[b] for b in sorted(draft.members[was.code])]
            if joints.pieces > max(1, Joints(base, old, draft.drawn).pieces):
                raise joints.refusal(code, self.drawn)


def _differing(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> dict[Any, tuple[Any, Any]]:
    """What is new, gone or another one, before and after."""
    if before == after:
        return {}
    keys = [k for k in {**before, **after} if before.get(k) != after.get(k)]
    return {k: (before.get(k), after.get(k)) for k in keys}
