"""Grids that lie all around others get an opening, so that no grid has a hole where that can be had."""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np

from gridgis.plan.faces.graph import components
from gridgis.plan.faces.network import Floats, Ints
from gridgis.plan.sharing.recombine import Piece, beside

#: A block reaches the outside by more than this many metres; a way out costs this much (of a norm) for each block.
_TOUCH_M = 0.1
_HOP = 0.01


class _Plan(NamedTuple):
    """Who is where: the grid of each block, its neighbours, its metres on the outside, and the loads."""

    label: list[int]
    near: list[list[int]]
    outside: Floats
    load: Floats
    target: float
    tolerance: float

    def off(self) -> int:
        """Grids outside the tolerance."""
        load = np.bincount(self.label, self.load)
        return int((np.abs(load / self.target - 1) > self.tolerance).sum())

    def can_leave(self, block: int) -> bool:
        """Whether its grid stays in one piece, and not empty, without `block`."""
        here = self.label[block]
        wanted = {other for other in self.near[block] if self.label[other] == here}
        if not wanted:
            return False
        stack = [min(wanted)]
        seen = {block, stack[0]}
        wanted.discard(stack[0])
        while stack and wanted:
            for other in self.near[stack.pop()]:
                if self.label[other] == here and other not in seen:
                    seen.add(other)
                    wanted.discard(other)
                    stack.append(other)
        return not wanted


def open_enclaves(piece: Piece, label: Ints, target: float, tolerance: float) -> Ints:
    """`label` where grids inside others got a way out through them, unless that puts more grids off norm."""
    near: list[list[int]] = [[] for _ in piece.load]
    for one, other in piece.pairs.tolist():
        near[one].append(other)
        near[other].append(one)
    plan = _Plan(label.tolist(), near, piece.perimeter - _bordered(piece), piece.load, target, tolerance)
    for grid in _surrounding(label, plan.outside, piece.pairs):
        for inside in _surrounded(piece, plan, grid):
            way = _way_out(plan, grid, inside)
            if way:
                around = {plan.label[other] for other in plan.near[way[0]] if other in inside}
                load = np.bincount(plan.label, piece.load)
                _give(plan, way, grid, min(around, key=lambda g: (load[g], g)))
    return np.array(plan.label, dtype=np.int64)


def _surrounding(label: Ints, outside: Floats, pairs: Ints) -> list[int]:
    """Grids without which others would not hang together with the outside (Tarjan 1972, without recursion)."""
    count = int(label.max()) + 1
    near: list[list[int]] = [[] for _ in range(count + 1)]
    rim = np.unique(label[outside > _TOUCH_M])
    for one, other in [*beside(label, pairs).tolist(), *((int(grid), count) for grid in rim)]:
        near[one].append(other)
        near[other].append(one)
    seen, low, found = {count: 0}, {count: 0}, set()
    path = [(count, -1, iter(near[count]))]
    while path:
        node, came, others = path[-1]
        other = next(others, None)
        if other is None:
            path.pop()
            if path and came != count:
                low[came] = min(low[came], low[node])
                if low[node] >= seen[came]:
                    found.add(came)
        elif other not in seen:
            seen[other] = low[other] = len(seen)
            path.append((other, node, iter(near[other])))
        elif other != came:
            low[node] = min(low[node], seen[other])
    return sorted(found)


def _surrounded(piece: Piece, plan: _Plan, grid: int) -> list[set[int]]:
    """The blocks of each ground that reaches neither the outside nor other ground but through `grid`."""
    label = np.array(plan.label)
    ends = label[piece.pairs]
    free = (ends != grid).all(axis=1)
    part = components(int(label.max()) + 1, ends[free])  # grids that hang together without this one
    open_ = np.zeros(int(part.max()) + 1, dtype=bool)
    open_[part[label[plan.outside > _TOUCH_M]]] = True
    closed = [number for number in np.unique(part[np.unique(label)]) if not open_[number] and number != part[grid]]
    return [set(np.flatnonzero(part[label] == number).tolist()) for number in closed]


def _give(plan: _Plan, way: list[int], grid: int, goal: int) -> None:
    """Move the blocks `way` from `grid` to `goal`, or none of them."""
    off, moved = plan.off(), []
    for block in way:
        if not plan.can_leave(block):
            break
        plan.label[block] = goal
        moved.append(block)
    if moved != way or plan.off() > off:
        for block in moved:
            plan.label[block] = grid


def _way_out(plan: _Plan, grid: int, inside: set[int]) -> list[int]:
    """Blocks of `grid` from beside `inside` to the outside, with the least load (Dijkstra); empty if there are none."""
    costs = plan.load / plan.target + _HOP

    def out(block: int) -> bool:
        others = (other for other in plan.near[block])
        return bool(plan.outside[block] > _TOUCH_M) or any(plan.label[o] != grid and o not in inside for o in others)

    own = {block for block in range(len(plan.label)) if plan.label[block] == grid}
    first = {block for block in own if any(other in inside for other in plan.near[block])}
    queue = [(float(costs[block]), block, -1) for block in sorted(first)]
    heapq.heapify(queue)
    came: dict[int, int] = {}
    while queue:
        cost, block, before = heapq.heappop(queue)
        if block in came:
            continue
        came[block] = before
        if out(block):
            way = [block]
            while came[way[-1]] >= 0:
                way.append(came[way[-1]])
            return way[::-1]
        for other in plan.near[block]:
            if other in own and other not in came:
                heapq.heappush(queue, (cost + float(costs[other]), other, block))
    return []


def _bordered(piece: Piece) -> Floats:
    """Metres that each block has in common with others of the piece."""
    size = len(piece.load)
    inner: Floats = np.bincount(piece.pairs[:, 0], piece.metres, size).astype(float)
    return inner + np.bincount(piece.pairs[:, 1], piece.metres, size)
