"""Why a grid of a draft is off its norm, in the words of :func:`~gridgis.plan.partition.partition`."""

from __future__ import annotations

from typing import NamedTuple

from gridgis.plan.editing.cutting import Edge, edges_of
from gridgis.plan.editing.draft import Block, Draft, Grid, codes_in
from gridgis.plan.editing.rules import barrier_of
from gridgis.plan.sharing.norms import grids_wanted

#: Why a grid is off norm where nothing else explains it: somebody drew it so.
EDITED = "edited"


class Reason(NamedTuple):
    """Why a grid is off norm, and what would mend it ("" where nothing is known to)."""

    text: str
    remedy: str = ""


def reason_of(draft: Draft, grid: Grid, blocks: list[Block]) -> Reason | None:
    """Why a grid (of these blocks) is off by more than the tolerance; None where it is not, or there is no norm."""
    base = draft.base
    deviation = base.deviation(grid)
    if not abs(deviation) > base.tolerance:
        return None
    target, limit = base.target(grid.compound_kind), (1 + base.tolerance) * base.target(grid.compound_kind)
    load = getattr(grid, base.weight)
    if grid.locked:
        return Reason("locked")
    if load == 0:
        return Reason("no households")
    if deviation > 0 and grid.heaviest > limit:
        parts = max(2, grids_wanted(grid.heaviest, target, base.tolerance)[0])
        return Reason("indivisible block", f"cut it into {parts} parts")
    if apart := _apart(draft, grid, blocks):
        return Reason(apart)
    if not _fits(draft, grid.unit, target, limit):
        return Reason("community mean")
    return Reason(EDITED)


def _apart(draft: Draft, grid: Grid, blocks: list[Block]) -> str:
    """Why a grid hangs together with no other block of its unit, though there are others; "" where it does."""
    if not any(other.unit == grid.unit and other.code != grid.code for other in draft.grids.values()):
        return ""
    base, own, rim = draft.base, {b.code for b in blocks}, edges_of(grid.shape)
    units: set[str] = set()
    covered: set[Edge] = set()
    barred = False
    for code in codes_in(base, grid.shape.bounds, draft.pieces):
        common = rim & edges_of(draft.blocks[code].shape) if code not in own else frozenset()
        if not common:
            continue
        if draft.blocks[code].unit == grid.unit:
            if not all(barrier_of(base, draft.drawn, edge)[0] in base.never_cross for edge in common):
                return ""
            barred = True
        units.add(draft.blocks[code].unit)
        covered |= common
    if barred:
        return "cut off by a barrier"
    return "enclave" if covered == rim and len(units) == 1 else "isolated"


def _fits(draft: Draft, unit: str, target: float, limit: float) -> bool:
    """Whether some number of grids would bring the unit's mean inside the tolerance, heavy blocks set aside."""
    weight = draft.base.weight
    own = [grid for grid in draft.grids.values() if grid.unit == unit]
    rest = sum(getattr(grid, weight) for grid in own)
    for grid in own:
        if grid.heaviest > limit:
            loads = (getattr(draft.blocks[b], weight) for b in draft.members[grid.code])
            rest -= sum(load for load in loads if load > limit)
    near = max(1, int(rest // target))
    best = min(abs(rest / count / target - 1) for count in (near, near + 1))
    return bool(rest == 0 or best <= draft.base.tolerance)
