"""What an edit answers at once: the figures of a :class:`~gridgis.plan.editing.change.Change`, from what it touched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import shapely

from gridgis.plan.editing.change import Change, Farthest, Figures, Replaced, Share, Stretch
from gridgis.plan.editing.draft import Base, Block, Draft, Grid, Segment, loads_of, measured
from gridgis.plan.editing.reasons import reason_of
from gridgis.plan.faces.network import Floats, flatten


class Outcome(NamedTuple):
    """An edit that keeps the rules: the drafts before and after it, and how the one became the other.

    `came_from` is the old grid of blocks that change grid, `origin` the block that a piece was cut from, `renamed` the
    old code of a grid that has a new one.
    """

    before: Draft
    after: Draft
    replaced: Replaced
    came_from: Mapping[str, str]
    origin: Mapping[str, str]
    renamed: Mapping[str, str]


def answer(operation: Mapping[str, Any], outcome: Outcome) -> Change:
    """The change that an edit is, in figures."""
    base, after = outcome.before.base, outcome.after
    moved = [after.blocks[code] for code in outcome.came_from]
    area = _areas(base, moved)
    houses = sorted(
        (base.homes.code[home], outcome.came_from[block.code], block.grid, home)
        for block in moved
        for home in block.homes
    )
    cut: dict[str, list[str]] = {}
    for code in sorted(outcome.origin.keys() & after.blocks.keys()):
        cut.setdefault(outcome.origin[code], []).append(code)
    return Change(
        operation=operation,
        grids={code: (_figures(outcome.before, was), _figures(after, now))
               for code, (was, now) in outcome.replaced.grids.items()},
        cut=dict(sorted((code, tuple(own)) for code, own in cut.items())),
        houses=tuple((house, was, now) for house, was, now, _ in houses),
        farthest=_farthest(after, [(home, was) for _, was, _, home in houses]),
        households_moved=sum(b.households for b in moved),
        persons_moved=sum(b.persons for b in moved),
        ground_moved_m2=round(float(area.sum()), 2),
        successors=_successors(outcome, area),
        responsibility=_shares(outcome),
        segments={code: (_stretch(base, was), _stretch(base, now))
                  for code, (was, now) in outcome.replaced.segments.items()},
    )  # fmt: skip


def _areas(base: Base, blocks: list[Block]) -> Floats:
    """Areas of blocks, m²."""
    return measured(base, np.array([b.shape for b in blocks], dtype=object))[0] if blocks else np.zeros(0)


def _figures(draft: Draft, grid: Grid | None) -> Figures | None:
    if grid is None:
        return None
    base, blocks = draft.base, [draft.blocks[code] for code in sorted(draft.members[grid.code])]
    target, deviation = base.target(grid.compound_kind), base.deviation(grid)
    reason = reason_of(draft, grid, blocks)
    return Figures(
        grid.households, grid.persons, grid.estimated, len(blocks), len(shapely.get_parts(grid.shape)), grid.area_m2,
        grid.compactness, None if np.isnan(target) else target, None if np.isnan(deviation) else deviation,
        None if reason is None else reason.text,
    )  # fmt: skip


def _farthest(after: Draft, moved: list[tuple[int, str]]) -> Farthest | None:
    """The house (position, old grid) that lies farthest from what its old grid keeps; the first of equals."""
    base, best = after.base, None
    for grid in sorted({was for _, was in moved} & after.grids.keys()):
        homes = np.array([home for home, was in moved if was == grid], dtype=np.int64)
        shape = flatten(np.array([after.grids[grid].shape], dtype=object), base.scale)[0]
        shapely.prepare(shape)
        metres = shapely.distance(shape, shapely.points(base.homes.xy[homes] * base.scale))
        row = int(np.argmax(metres))
        if best is None or metres[row] > best.metres:
            best = Farthest(str(base.homes.code[homes[row]]), round(float(metres[row]), 2))
    return best


def _successors(outcome: Outcome, area: Floats) -> dict[str, tuple[tuple[str, float], ...]]:
    """Who has the ground of each grid that lost some, in shares."""
    found: dict[str, tuple[tuple[str, float], ...]] = {old: ((new, 1.0),) for new, old in outcome.renamed.items()}
    lost: dict[str, dict[str, float]] = {}
    for (code, was), metres in zip(outcome.came_from.items(), area.tolist(), strict=True):
        heirs, heir = lost.setdefault(was, {}), outcome.after.blocks[code].grid
        heirs[heir] = heirs.get(heir, 0.0) + metres
    for was, heirs in lost.items():
        if was in outcome.after.grids:
            heirs[was] = max(0.0, outcome.before.grids[was].area_m2 - sum(heirs.values()))
        total = sum(heirs.values())
        shares = ((grid, round(metres / total, 6)) for grid, metres in heirs.items())
        found[was] = tuple(sorted(shares, key=lambda pair: (-pair[1], pair[0])))
    return dict(sorted(found.items()))


def _shares(outcome: Outcome) -> dict[str, tuple[Share | None, Share | None]]:
    """The responsibility blocks that gained, lost or changed anything."""
    if not outcome.before.responsibility and not outcome.after.responsibility:
        return {}
    codes = set(outcome.replaced.responsibility)
    for was, now in outcome.replaced.blocks.values():
        if was is None or now is None or was.responsibility != now.responsibility:
            codes |= {b.responsibility for b in (was, now) if b is not None}
    return {code: (_share(outcome.before, code), _share(outcome.after, code)) for code in sorted(codes - {""})}


def _share(draft: Draft, code: str) -> Share | None:
    part = draft.responsibility.get(code)
    if part is None:
        return None
    own = [draft.blocks[b] for b in sorted(draft.members[part.grid]) if draft.blocks[b].responsibility == code]
    households, persons, _ = loads_of(own)
    area = round(float(_areas(draft.base, own).sum()), 2)
    return Share(part.name, part.kind, part.grid, len(own), households, persons, area)


def _stretch(base: Base, segment: Segment | None) -> Stretch | None:
    if segment is None:
        return None
    flat = flatten(np.array([segment.shape], dtype=object), base.scale)[0]
    return Stretch(segment.name, segment.kind, segment.grid, round(float(flat.length), 2))
