"""What an edit answers: figures of every grid that it touched, who moves, what was cut. Plain types, ready for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from gridgis.plan.editing.cutting import Edge
from gridgis.plan.editing.draft import Barrier, Block, Draft, Grid, ResponsibilityBlock, Segment


@dataclass(frozen=True, slots=True)
class Figures:
    """A grid in numbers: area in m², compactness (Polsby-Popper), and how far it is off.

    `target` is the load that the norm wants, `deviation` the signed fraction off it (both None without a norm);
    `reason` why it is off by more than the tolerance (None: it is not).
    """

    households: int
    persons: int
    estimated: int
    blocks: int
    pieces: int
    area_m2: float
    compactness: float
    target: float | None
    deviation: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Share:
    """A responsibility block in numbers."""

    name: str
    kind: str | None
    grid: str
    blocks: int
    households: int
    persons: int
    area_m2: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """A segment in numbers."""

    name: str
    kind: str | None
    grid: str
    length_m: float


@dataclass(frozen=True, slots=True)
class Farthest:
    """The house that now lies farthest from the grid it was in."""

    house: str
    metres: float


@dataclass(frozen=True, slots=True)
class Change:
    """What an edit changed; everything before and after, None where it was not there or is gone.

    Attributes
    ----------
    operation : mapping
        What was done, ready for JSON and for :func:`~gridgis.plan.operations.apply`.
    grids : mapping
        :class:`Figures` of each grid that gained, lost or changed anything.
    cut : mapping
        The pieces of each block that was cut.
    houses : tuple of (house, grid before, grid after)
        The houses that change grid.
    farthest : Farthest or None
        Of these, the one farthest from the ground that its old grid keeps; None where no house moves, or the old grids
        are gone.
    households_moved, persons_moved, ground_moved_m2
        How much changes grid.
    successors : mapping
        For each grid that lost ground or its code: code of a grid, share of its ground (m²), the largest first.
    responsibility, segments : mapping
        :class:`Share` of each responsibility block, :class:`Stretch` of each road segment that changed.
    """

    operation: Mapping[str, Any]
    grids: Mapping[str, tuple[Figures | None, Figures | None]]
    cut: Mapping[str, tuple[str, ...]]
    houses: tuple[tuple[str, str, str], ...]
    farthest: Farthest | None
    households_moved: int
    persons_moved: int
    ground_moved_m2: float
    successors: Mapping[str, tuple[tuple[str, float], ...]]
    responsibility: Mapping[str, tuple[Share | None, Share | None]]
    segments: Mapping[str, tuple[Stretch | None, Stretch | None]]

    def as_json(self) -> dict[str, Any]:
        """The change as plain types."""
        return {
            "operation": dict(self.operation),
            "grids": _pairs(self.grids),
            "cut": {code: list(pieces) for code, pieces in self.cut.items()},
            "houses": [{"house": house, "from": before, "to": after} for house, before, after in self.houses],
            "houses_moved": len(self.houses),
            "farthest": None if self.farthest is None else asdict(self.farthest),
            "households_moved": self.households_moved,
            "persons_moved": self.persons_moved,
            "ground_moved_m2": self.ground_moved_m2,
            "successors": {
                code: [{"grid": grid, "share": share} for grid, share in found]
                for code, found in self.successors.items()
            },
            "responsibility": _pairs(self.responsibility),
            "segments": _pairs(self.segments),
        }

    def reversed(self) -> Change:
        """What undoing the edit changes; `cut` and `successors`, which an undo has not, are empty."""
        return replace(
            self, grids=_turned(self.grids), responsibility=_turned(self.responsibility),
            segments=_turned(self.segments), houses=tuple((h, after, before) for h, before, after in self.houses),
            farthest=None, cut={}, successors={},
        )  # fmt: skip


def _pairs(table: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    return {
        code: {"before": None if b is None else asdict(b), "after": None if a is None else asdict(a)}
        for code, (b, a) in table.items()
    }


def _turned(table: Mapping[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    return {code: (after, before) for code, (before, after) in table.items()}


class Replaced(NamedTuple):
    """What an edit put in the place of what, each thing before and after (None: not there)."""

    blocks: Mapping[str, tuple[Block | None, Block | None]]
    grids: Mapping[str, tuple[Grid | None, Grid | None]]
    drawn: Mapping[Edge, tuple[Barrier | None, Barrier | None]]
    responsibility: Mapping[str, tuple[ResponsibilityBlock | None, ResponsibilityBlock | None]]
    segments: Mapping[str, tuple[Segment | None, Segment | None]]


class Step(NamedTuple):
    """An edit that was done: its answer, and what it replaced."""

    change: Change
    replaced: Replaced


class Edited(NamedTuple):
    """The new draft, and what changed."""

    draft: Draft
    change: Change


def moved_on(before: Draft, step: Replaced, *, back: bool = False) -> Draft:
    """The draft after what a step replaces, or before it (`back`); what was done and undone is as it was."""
    goal = 0 if back else 1
    members, pieces = dict(before.members), dict(before.pieces)
    own: dict[str, set[str]] = {}
    cut: dict[int, set[str]] = {}
    for code, pair in step.blocks.items():
        was, now = pair[1 - goal], pair[goal]
        if was is not None:
            own.setdefault(was.grid, set(members.get(was.grid, ()))).discard(code)
        if now is not None:
            own.setdefault(now.grid, set(members.get(now.grid, ()))).add(code)
        if was is None or now is None:
            row = (was or pair[goal]).row  # type: ignore[union-attr]
            known = cut.setdefault(row, set(pieces.get(row, (before.base.codes[row],))))
            (known.discard if now is None else known.add)(code)
    for grid, codes in own.items():
        if codes:
            members[grid] = frozenset(codes)
        else:
            members.pop(grid, None)
    for row, codes in cut.items():
        pieces[row] = tuple(sorted(codes))
        if pieces[row] == (before.base.codes[row],):
            del pieces[row]
    return Draft(
        before.base, _put(before.blocks, step.blocks, goal), _put(before.grids, step.grids, goal), members, pieces,
        _put(before.drawn, step.drawn, goal), _put(before.responsibility, step.responsibility, goal),
        _put(before.segments, step.segments, goal), before.done, before.undone,
    )  # fmt: skip


def _put(table: Mapping[Any, Any], pairs: Mapping[Any, tuple[Any, Any]], goal: int) -> Mapping[Any, Any]:
    """The table with the `goal` of each pair in its place; the table itself where nothing changes."""
    if not pairs:
        return table
    out = dict(table)
    for key, pair in pairs.items():
        if pair[goal] is None:
            out.pop(key, None)
        else:
            out[key] = pair[goal]
    return out
