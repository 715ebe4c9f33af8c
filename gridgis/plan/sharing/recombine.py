"""One connected piece of ground shared out into grids, by cutting random spanning trees again and again.

A first plan comes from cutting the ground in two, and these in two, …; then neighbouring grids are merged and cut anew,
as long as that lowers the price (:mod:`gridgis.plan.sharing.trees`). Every grid is in one piece at every step.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gridgis.plan.faces.network import Bools, Floats, Ints
from gridgis.plan.sharing.loops import compiled, ground_of, plain, room_for
from gridgis.plan.sharing.trees import price
from gridgis.profile import Weights

#: Trees drawn for each cut of the first plan, and for each pair or triple of grids.
TREES_FIRST, TREES = 12, 24

#: Share of the tolerance from which a deviation is paid for as if it left the tolerance, so that it seldom does.
INNER_BAND = 0.55

#: Ground of fewer blocks than this is started from so many seeds.
SMALL, STARTS = 400, 4

#: Where grids stay off norm that need not, ground is started so often again: small ground, and other ground.
MORE, MORE_LARGE = 12, 2

#: The machine code is loaded from so many blocks on: that takes longer than to share out a few blocks without it.
COMPILED_FROM = 500

#: What a mean grid area counts for, beside the norm's households, when ground leaves the grid it comes from.
_HOLD_GROUND = 0.05

_ROUNDS = 30


class Piece(NamedTuple):
    """Connected blocks (rows 0..n-1): load, m², metres around; pairs of neighbours, metres and cost of the border.

    `home` is the number of the grid that a block comes from, -1 for none.
    """

    load: Floats
    area: Floats
    perimeter: Floats
    pairs: Ints
    metres: Floats
    cost: Floats
    home: Ints | None = None


class Engine(NamedTuple):
    """How a plan is searched: the seed, the loops and whether they are compiled, what says that it is enough; weights.

    `stay` is the price of a norm's load that leaves the grid it comes from.
    """

    seed: int
    loops: dict[str, Callable[..., Any]]
    fast: bool
    stop: threading.Event
    weights: Weights = Weights()
    stay: float = 0.0


def engine(seed: int, blocks: int, stop: threading.Event | None = None) -> Engine:
    """The compiled loops where they are worth it and numba is installed, else the same in plain Python."""
    loops = compiled() if blocks >= COMPILED_FROM else None
    return Engine(seed, loops or plain(), loops is not None, stop or threading.Event())


class Draft:
    """Grids being shaped on one connected piece of ground; `label` is the grid of each block."""

    def __init__(self, piece: Piece, count: int, target: float, tolerance: float, tools: Engine, start: int) -> None:
        self.piece, self.count, self.tools = piece, count, tools
        mean = float(piece.area.sum()) / count
        weights = tools.weights
        self.rule = (
            float(target), INNER_BAND * tolerance, float(tolerance), mean, 4 * math.sqrt(mean), weights.load,
            weights.compactness, weights.wide_ground, weights.border, float(tools.stay),
        )  # fmt: skip
        self.home = np.full(len(piece.load), -1, dtype=np.int64) if piece.home is None else piece.home
        held = piece.load / target + _HOLD_GROUND * piece.area / mean
        self.hold: Floats = np.where(self.home >= 0, held, 0.0)
        sizes = (piece.load, piece.area, piece.perimeter)
        ground = ground_of(piece.pairs, piece.metres, piece.cost, sizes, self.home, self.hold)
        self.ground = tuple(self._own(values) for values in ground)
        self.room = tuple(self._own(values) for values in room_for(len(piece.load), len(piece.pairs)))
        self.state = self._own(_state(tools.seed, start, len(piece.load)))
        self.label = self._own(np.zeros(len(piece.load), dtype=np.int64))

    def _own(self, values: Any) -> Any:
        """Arrays for the compiled loops, lists for the plain ones, which are quicker there."""
        return np.array(values) if self.tools.fast else np.asarray(values).tolist()

    def labels(self) -> Ints:
        """The grid of each block."""
        return np.array(self.label, dtype=np.int64)

    def start_from(self, label: Ints) -> None:
        """Take these grids (0..count-1, each in one piece)."""
        self.label = self._own(label)

    def bisect(self, trees: int = TREES_FIRST) -> None:
        """Make a first plan; where blocks are few, of fewer grids."""
        self.count = int(self.tools.loops["bisect"](
            self.ground, self.label, self.count, trees, self.rule, self.state, self.room
        ))  # fmt: skip

    def sums(self) -> tuple[Floats, Floats, Floats]:
        """Load, m² and metres around of each grid."""
        piece, label = self.piece, self.labels()
        inner = label[piece.pairs[:, 0]] == label[piece.pairs[:, 1]]
        rim = np.bincount(label, piece.perimeter, self.count)
        rim -= 2 * np.bincount(label[piece.pairs[inner, 0]], piece.metres[inner], self.count)
        load, area = (np.bincount(label, values, self.count) for values in (piece.load, piece.area))
        return load.astype(float), area.astype(float), rim.astype(float)

    def off(self) -> Bools:
        """Which grids are outside the tolerance."""
        load = np.bincount(self.labels(), self.piece.load, self.count)
        outside: Bools = np.abs(load / self.rule[0] - 1) > self.rule[2]
        return outside

    def score(self) -> tuple[int, float]:
        """Grids outside the tolerance, and the price of the whole."""
        label, pairs = self.labels(), self.piece.pairs
        cut = label[pairs[:, 0]] != label[pairs[:, 1]]
        total = 2 * self.rule[8] * float(self.piece.cost[cut].sum()) / self.rule[4]
        total += self.rule[9] * float(self.hold[label != self.home].sum())
        for load, area, rim in zip(*(values.tolist() for values in self.sums()), strict=True):
            total += price(load, area, rim, 1, self.rule)
        return int(self.off().sum()), round(total, 7)

    def neighbours(self) -> Ints:
        """Pairs of grids side by side, in order."""
        return beside(self.labels(), self.piece.pairs)

    def improve(self) -> None:
        """Recombine pairs, move and swap blocks, recombine triples beside grids off norm: until nothing helps."""
        changed = np.ones(self.count, dtype=bool)
        for _ in range(_ROUNDS):
            changed = self._settle(changed)
            if self.tools.stop.is_set():
                return
            changed = self.move()
            stuck = self.off()
            if stuck.any():
                changed |= self._recombine(self._triples(stuck))
            if not changed.any():
                return

    def _settle(self, changed: Bools) -> Bools:
        """Recombine pairs of which one changed until none does."""
        ever = np.zeros(self.count, dtype=bool)
        for _ in range(_ROUNDS):
            pairs = self.neighbours()
            pairs = pairs[changed[pairs].any(axis=1)]
            if len(pairs) == 0 or self.tools.stop.is_set():
                break
            changed = self._recombine(np.column_stack([pairs, np.full(len(pairs), -1)]))
            ever |= changed
        return ever

    def _triples(self, wanted: Bools) -> Ints:
        """Three grids in a row, of which one is wanted."""
        beside: list[list[int]] = [[] for _ in range(self.count)]
        for one, other in self.neighbours().tolist():
            beside[one].append(other)
            beside[other].append(one)
        threes = {
            tuple(sorted((a, middle, b)))
            for middle in range(self.count) for a in beside[middle] for b in beside[middle]
            if a < b and (wanted[a] or wanted[b] or wanted[middle])
        }  # fmt: skip
        return np.array(sorted(threes), dtype=np.int64).reshape(-1, 3)

    def _first(self) -> Any:
        """A block of each grid."""
        return self._own(np.unique(self.labels(), return_index=True)[1].astype(np.int64))

    def _recombine(self, tasks: Ints) -> Bools:
        """Merge and cut anew; which grids changed."""
        loop = self.tools.loops["recombine"]
        before = self.labels()
        todo = self._own(np.ascontiguousarray(tasks, dtype=np.int64).ravel())
        loop(self.ground, self.label, self._first(), todo, TREES, self.rule, self.state, self.room)
        return self._changed(before)

    def move(self) -> Bools:
        """Move single blocks, and where grids stay off norm swap two; which grids changed."""
        before, sums = self.labels(), self._own(np.column_stack(self.sums()).ravel())
        first = self._first()
        for _ in range(_ROUNDS):
            done = self.tools.loops["move"](self.ground, self.label, first, sums, self.rule, self.room)
            if not done and self.off().any():
                done = self.tools.loops["swap"](self.ground, self.label, first, sums, self.rule, self.room)
            if not done or self.tools.stop.is_set():
                break
        return self._changed(before)

    def _changed(self, before: Ints) -> Bools:
        now = self.labels()
        other = now != before
        changed = np.zeros(self.count, dtype=bool)
        changed[now[other]] = changed[before[other]] = True
        return changed


def beside(label: Ints, pairs: Ints) -> Ints:
    """Pairs of grids side by side, in order, the lower grid first.

    Examples
    --------
    >>> import numpy as np
    >>> beside(np.array([1, 1, 0, 2]), np.array([[0, 1], [0, 2], [1, 2], [1, 3]])).tolist()
    [[0, 1], [1, 2]]
    """
    ends, count = label[pairs], int(label.max()) + 1
    low, high = ends.min(axis=1), ends.max(axis=1)
    key = np.unique((low * count + high)[low != high])
    return np.stack([key // count, key % count], axis=1)


def _state(seed: int, start: int, blocks: int) -> Ints:
    """The state of the random numbers; the first are thrown away, since seeds beside each other begin alike."""
    state = 1 + (seed * 7919 + start * 104729 + blocks) % 2147483646
    for _ in range(8):
        state = state * 48271 % 2147483647
    return np.array([state], dtype=np.int64)


def share_out(piece: Piece, count: int, target: float, tolerance: float, tools: Engine) -> Ints:
    """The grid (0..count-1) of each block of a connected piece; fewer grids where `count` cannot be had.

    Parameters
    ----------
    piece : Piece
    count : int
        How many grids are wanted.
    target : float
        Load wanted in a grid.
    tolerance : float
        Fraction of the target by which a grid may be off.
    tools : Engine
        The same seed gives the same answer, compiled or not; where it is told to stop, the best plan so far.

    Notes
    -----
    Recursive bisection by random spanning trees and recombination of neighbouring grids, as ReCom (DeFord, Duchin &
    Solomon 2021) does, but every edge of every tree is priced and only what lowers the price is kept. Every grid is in
    one piece; no optimum is promised.
    """
    if count <= 1 or len(piece.load) <= 1:
        return np.zeros(len(piece.load), dtype=np.int64)
    if count >= len(piece.load):
        return np.arange(len(piece.load), dtype=np.int64)
    best: tuple[tuple[int, float], Draft] | None = None
    small = len(piece.load) <= SMALL
    fits = abs(float(piece.load.sum()) / count / target - 1) <= tolerance
    starts = STARTS if small else 1
    for start in range(starts + (MORE if small else MORE_LARGE)):
        if best is not None and (tools.stop.is_set() or (start >= starts and (best[0][0] == 0 or not fits))):
            break
        draft = Draft(piece, count, target, tolerance, tools, start)
        draft.bisect()
        draft.improve()
        found = draft.score()
        if best is None or found < best[0]:
            best = found, draft
    return best[1].labels() if best else np.zeros(len(piece.load), dtype=np.int64)


def subpiece(piece: Piece, rows: Ints) -> Piece:
    """The blocks `rows` (ascending) of a piece, with what lies between them."""
    place = np.full(len(piece.load), -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    inner = (place[piece.pairs] >= 0).all(axis=1)
    return Piece(
        piece.load[rows], piece.area[rows], piece.perimeter[rows], place[piece.pairs[inner]], piece.metres[inner],
        piece.cost[inner], None if piece.home is None else piece.home[rows],
    )  # fmt: skip
