"""One edit in the making: cuts and moves of blocks, then the rules that no plan may break, then what changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import shapely

from gridgis.errors import PlanError
from gridgis.plan.cutting import SNAP_M, Added, Edge, cut_along, with_vertices
from gridgis.plan.draft import Base, Block, Draft, Grid, kind_of_grid, loads_of, measured, united
from gridgis.plan.network import Floats, Ints, flatten


@dataclass(frozen=True, slots=True)
class Figures:
    """A grid in numbers: area in m², compactness (Polsby-Popper), deviation from the norm (None without one)."""

    households: int
    persons: int
    estimated: int
    blocks: int
    pieces: int
    area_m2: float
    compactness: float
    deviation: float | None


@dataclass(frozen=True, slots=True)
class Change:
    """What an edit changed.

    `grids`: figures before and after of each grid that gained, lost or changed anything (None: it was not there, it is
    gone). `cut`: the pieces of each block that was cut. `houses`: code, grid before, grid after of each house that
    changes grid. `households_moved`: how many households change grid. `operation`: what was done, ready for JSON.
    """

    operation: Mapping[str, Any]
    grids: Mapping[str, tuple[Figures | None, Figures | None]]
    cut: Mapping[str, tuple[str, ...]]
    houses: tuple[tuple[str, str, str], ...]
    households_moved: int

    def as_dict(self) -> dict[str, Any]:
        """The change as plain types, ready for JSON."""
        grids = {
            code: {"before": None if b is None else asdict(b), "after": None if a is None else asdict(a)}
            for code, (b, a) in self.grids.items()
        }
        houses = [{"house": house, "from": before, "to": after} for house, before, after in self.houses]
        cut = {code: list(pieces) for code, pieces in self.cut.items()}
        return {"operation": dict(self.operation), "grids": grids, "cut": cut, "houses": houses,
                "households_moved": self.households_moved}  # fmt: skip


class Step(NamedTuple):
    """A change with what it replaced: blocks and grids before and after (None: not there)."""

    change: Change
    blocks: Mapping[str, tuple[Block | None, Block | None]]
    grids: Mapping[str, tuple[Grid | None, Grid | None]]


class Edited(NamedTuple):
    """The new draft, and what changed."""

    draft: Draft
    change: Change


class Sketch:
    """A draft with cuts and moves that are not yet checked; the draft itself stays as it is."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.blocks: dict[str, Block] = dict(draft.blocks)
        self.touched: set[str] = set()
        self.origin: dict[str, str] = {}
        self.added: list[Added] = []
        self.attributes: dict[str, dict[str, Any]] = {}

    def cut(self, lines: list[Any], allowed: Iterable[str]) -> tuple[dict[str, list[str]], frozenset[Edge]]:
        """Cut the `allowed` blocks along lines: the pieces of each that came apart, and where the lines run."""
        base = self.draft.base
        whole = shapely.union_all(lines)
        chosen = set(allowed)
        codes = self._near(whole, chosen, 2 * SNAP_M) if chosen else []
        if not codes:
            return {}, frozenset()
        shapes = np.array([self.blocks[c].shape for c in codes], dtype=object)
        done = cut_along(shapes, np.array([c in chosen for c in codes]), lines, base.scale)
        for row, shape in done.bent.items():
            self._put(replace(self.blocks[codes[row]], shape=shape))
        pieces = {codes[row]: self._replaced(codes[row], shapes_) for row, shapes_ in sorted(done.pieces.items())}
        if pieces:
            self.added.append(done.added)
        return pieces, done.line

    def _near(self, line: Any, allowed: set[str], within_m: float) -> list[str]:
        """Codes of the blocks that a line comes near to, sorted; those away from the `allowed` blocks are left out."""
        base = self.draft.base
        blocks = list(self.blocks.values())
        bounds = shapely.bounds(np.array([b.shape for b in blocks], dtype=object))
        own = shapely.total_bounds(np.array([self.blocks[c].shape for c in allowed], dtype=object))
        low = np.maximum(line.bounds[:2], own[:2]) - within_m / base.scale
        high = np.minimum(line.bounds[2:], own[2:]) + within_m / base.scale
        rows = np.flatnonzero(((bounds[:, 2:] >= low) & (bounds[:, :2] <= high)).all(axis=1)).tolist()
        flat = flatten(np.array([line], dtype=object), base.scale)[0]
        shapes = flatten(np.array([blocks[r].shape for r in rows], dtype=object), base.scale)
        return sorted(
            blocks[r].code for r, near in zip(rows, shapely.dwithin(shapes, flat, within_m), strict=True) if near
        )

    def _put(self, block: Block) -> None:
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
            self._put(piece)
            self.origin[piece.code] = self.origin.get(code, code)
        return names

    def place(self, codes: Iterable[str], grid: str) -> None:
        """Move blocks to a grid."""
        for code in codes:
            if self.blocks[code].grid != grid:
                self._put(replace(self.blocks[code], grid=grid))

    def describe(self, grid: str, **attributes: Any) -> None:
        """Set name, kind or lock of a grid, new or old."""
        self.attributes.setdefault(grid, {}).update(attributes)

    def finish(self, operation: Mapping[str, Any]) -> Edited:
        """Check the rules and make the new draft.

        Raises
        ------
        PlanError
            A grid would come apart, cross a unit, or change although it is locked; or nothing would change.
        """
        before = self.draft
        blocks = {c: (before.blocks.get(c), self.blocks.get(c)) for c in sorted(self.touched)}
        blocks = {c: pair for c, pair in blocks.items() if pair[0] is not None or pair[1] is not None}
        members, ground = self._members(blocks)
        grids = self._grids(blocks, members, ground)
        if not blocks and not grids:
            raise PlanError("the edit changes nothing", source="plan", found=str(operation["op"]))
        change = Change(operation, self._figures(grids, members), *self._moves(blocks))
        step = Step(change, blocks, grids)
        draft = stepped(before, step, (*before.done, step), ())
        return Edited(draft, change)

    def _members(self, blocks: Mapping[str, tuple[Block | None, Block | None]]) -> tuple[dict[str, set[str]], set[str]]:
        """The blocks of each grid that is touched, and the grids whose ground changes."""
        members: dict[str, set[str]] = {}
        ground: set[str] = set()
        for code, (was, now) in blocks.items():
            for block in (was, now):
                if block is not None and block.grid not in members:
                    members[block.grid] = set(self.draft.members.get(block.grid, ()))
            if was is not None:
                members[was.grid].discard(code)
            if now is not None:
                members[now.grid].add(code)
                origin = self.draft.blocks.get(self.origin.get(code, code))
                if origin is not None and origin.grid != now.grid:
                    ground |= {origin.grid, now.grid}
        return members, ground

    def _grids(
        self,
        blocks: Mapping[str, tuple[Block | None, Block | None]],
        members: Mapping[str, set[str]],
        ground: set[str],
    ) -> dict[str, tuple[Grid | None, Grid | None]]:
        """Each grid that changes, before and after."""
        known = self.draft.grids
        for code in sorted(ground):
            if code in known and known[code].locked:
                pairs = ((c, [b.grid for b in pair if b is not None]) for c, pair in blocks.items())
                moved = sorted(c for c, own in pairs if code in own)
                raise locked(code, moved)
        grids: dict[str, tuple[Grid | None, Grid | None]] = {}
        for code in sorted(members.keys() | self.attributes.keys()):
            was = known.get(code)
            if code in members and not members[code]:
                grids[code] = (was, None)
                continue
            now = self._grid(code, was, members.get(code), code in ground)
            if now is not was:
                grids[code] = (was, now)
        return grids

    def _grid(self, code: str, was: Grid | None, own: set[str] | None, ground: bool) -> Grid:
        """A grid after the edit; the same object where nothing changed."""
        attributes = self.attributes.get(code, {})
        if was is not None and own is not None and not ground:
            shape = was.shape
            for added in self.added:
                shape = with_vertices(shape, added)
            estimated = sum(self.blocks[b].estimated for b in own)
            if shape is not was.shape or estimated != was.estimated:
                was = replace(was, shape=shape, estimated=estimated)
            return replace(was, **attributes) if attributes else was
        if was is not None and own is None:
            return replace(was, **attributes)
        mine = [self.blocks[b] for b in sorted(own or ())]
        units = sorted({b.unit for b in mine})
        if len(units) > 1:
            unit = was.unit if was is not None else units[0]
            raise PlanError(
                f"the grid {code} would cross a unit", source="plan", ids=[b.code for b in mine if b.unit != unit],
                found=f"units {', '.join(units)}", wanted="every grid in one unit",
            )  # fmt: skip
        shape = united(mine)
        pieces = len(shapely.get_parts(shape))
        if pieces > 1 and pieces > (0 if was is None else len(shapely.get_parts(was.shape))):
            raise _torn(code, shape, mine)
        base = self.draft.base
        area, round_ = measured(base, np.array([shape], dtype=object))
        first = {"name": code, "kind": "residential", "locked": False}
        kept = {"name": was.name, "kind": was.kind, "locked": was.locked} if was is not None else first
        households, persons, estimated = loads_of(mine)
        texts = {**kept, **attributes}
        return Grid(
            code, texts["name"], texts["kind"], units[0], texts["locked"], shape, households, persons, estimated,
            float(area[0]), float(round_[0]), kind_of_grid(base, mine),
        )  # fmt: skip

    def _figures(
        self, grids: Mapping[str, tuple[Grid | None, Grid | None]], members: Mapping[str, set[str]]
    ) -> dict[str, tuple[Figures | None, Figures | None]]:
        base, old = self.draft.base, self.draft.members
        return {
            code: (
                None if was is None else figures(base, was, len(old[code])),
                None if now is None else figures(base, now, len(members.get(code, old.get(code, ())))),
            )
            for code, (was, now) in grids.items()
        }

    def _moves(
        self, blocks: Mapping[str, tuple[Block | None, Block | None]]
    ) -> tuple[dict[str, tuple[str, ...]], tuple[tuple[str, str, str], ...], int]:
        """Pieces of blocks that were cut, houses that change grid, and how many households do."""
        cut: dict[str, list[str]] = {}
        houses, households = [], 0
        names = self.draft.base.homes.code
        for code, (_, now) in blocks.items():
            if now is None:
                continue
            origin = self.origin.get(code, code)
            if code in self.origin:
                cut.setdefault(origin, []).append(code)
            was = self.draft.blocks[origin].grid
            if was != now.grid:
                households += now.households
                houses += [(names[home], was, now.grid) for home in now.homes]
        return {code: tuple(own) for code, own in cut.items()}, tuple(sorted(houses)), households


def figures(base: Base, grid: Grid, blocks: int) -> Figures:
    """The numbers of a grid."""
    deviation = base.deviation(grid)
    pieces = len(shapely.get_parts(grid.shape))
    return Figures(grid.households, grid.persons, grid.estimated, blocks, pieces, grid.area_m2, grid.compactness,
                   None if np.isnan(deviation) else deviation)  # fmt: skip


def locked(code: str, ids: Iterable[str] = ()) -> PlanError:
    """The refusal to change a locked grid."""
    return PlanError(f"the grid {code} is locked", source="plan", ids=ids, remedy="Unlock it first.")


def _torn(code: str, shape: Any, blocks: list[Block]) -> PlanError:
    """The refusal to let a grid come apart, with the blocks of its smaller pieces and the place of the smallest."""
    parts = shapely.get_parts(shape)
    order = np.argsort(shapely.area(parts), kind="stable")
    inner = shapely.point_on_surface([b.shape for b in blocks])
    away = ~shapely.contains(parts[order[-1]], inner)
    where = shapely.point_on_surface(parts[order[0]])
    return PlanError(
        f"the grid {code} would be in {len(parts)} pieces", source="plan",
        ids=[b.code for b, off in zip(blocks, away, strict=True) if off],
        found=f"a piece at {where.x:.6f}, {where.y:.6f}", wanted="every grid in one piece",
    )  # fmt: skip


def stepped(
    before: Draft, step: Step, done: tuple[Step, ...], undone: tuple[Step, ...], *, back: bool = False
) -> Draft:
    """The draft after a step, or before it (`back`)."""
    source, goal = (1, 0) if back else (0, 1)
    blocks, grids, members = dict(before.blocks), dict(before.grids), dict(before.members)
    moved: dict[str, set[str]] = {}
    for code, pair in step.blocks.items():
        was, now = pair[source], pair[goal]
        if was is not None:
            moved.setdefault(was.grid, set(members.get(was.grid, ()))).discard(code)
        if now is None:
            blocks.pop(code, None)
        else:
            blocks[code] = now
            moved.setdefault(now.grid, set(members.get(now.grid, ()))).add(code)
    for code, own in moved.items():
        if own:
            members[code] = frozenset(own)
        else:
            members.pop(code, None)
    for code, grid_pair in step.grids.items():
        after = grid_pair[goal]
        if after is None:
            grids.pop(code, None)
        else:
            grids[code] = after
    return Draft(before.base, blocks, grids, members, done, undone)


# --- who lives on the pieces ------------------------------------------------------------------------------------------


def shared_out(base: Base, block: Block, codes: list[str], shapes: list[Any]) -> list[Block]:
    """The pieces of a block: households where the houses are, else by area and counted as estimated."""
    homes = np.array(block.homes, dtype=np.int64)
    at = _piece_of(base.homes.xy[homes], shapes)
    area = shapely.area(shapes)
    lived = np.bincount(at, base.homes.households[homes], len(shapes)) if len(homes) else np.zeros(len(shapes))
    if lived.sum() == block.households:
        households = np.rint(lived).astype(np.int64)
        guessed = np.bincount(at, base.homes.estimated[homes], len(shapes)) if len(homes) else lived
        exact = guessed.sum() == block.estimated
        estimated = np.rint(guessed).astype(np.int64) if exact else parted(block.estimated, households)
    else:
        households = parted(block.households, lived if lived.sum() else area)
        estimated = households
    persons = parted(block.persons, households if households.sum() else area)
    buildings = parted(block.buildings, area)
    return [
        Block(code, block.unit, block.grid, shape, int(households[i]), int(persons[i]), int(estimated[i]),
              int(buildings[i]), block.row, tuple(homes[at == i].tolist()))
        for i, (code, shape) in enumerate(zip(codes, shapes, strict=True))
    ]  # fmt: skip


def _piece_of(xy: Floats, shapes: list[Any]) -> Ints:
    """The piece that each place lies in; the first on a border, the nearest where rounding puts it in none."""
    points = shapely.points(xy)
    inside = np.array([shapely.intersects(shape, points) for shape in shapes]).reshape(len(shapes), -1)
    at = inside.argmax(axis=0)
    for i in np.flatnonzero(~inside.any(axis=0)):
        at[i] = int(np.argmin(shapely.distance(shapes, points[i])))
    found: Ints = at.astype(np.int64)
    return found


def parted(total: int, weights: Any) -> Ints:
    """A whole number in whole parts by weights: the largest remainders get what is left, the first of equals first.

    Examples
    --------
    >>> parted(10, [1, 1, 1]).tolist(), parted(7, [0, 3.0]).tolist()
    ([4, 3, 3], [0, 7])
    """
    share = np.asarray(weights, dtype=float)
    exact = total * share / share.sum()
    parts: Ints = np.floor(exact).astype(np.int64)
    left = total - int(parts.sum())
    parts[np.argsort(parts - exact, kind="stable")[:left]] += 1
    return parts
