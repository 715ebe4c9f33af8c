"""One connected piece of ground shared out into grids: METIS first, then contiguity, then single blocks moved.

A piece is small (a community: tens to a few hundred blocks), so the search is plain Python over neighbour lists.
"""

from __future__ import annotations

import heapq
import math
from typing import NamedTuple

import numpy as np

from gridgis.plan.graph import components
from gridgis.plan.network import Floats, Ints

#: What the search pays for, for each grid: leaving the band of the norm (per deviation beyond it, and squared), the
#: squared deviation, 1/compactness - 1, the square of mean grid areas beyond WIDE of them (where nobody lives, loads
#: alone would leave one grid all the ground), and border cost over that of a square grid on lanes.
W_BAND, W_BAND_SQUARED, W_DEVIATION, W_SHAPE, W_GROUND, W_BORDER = 2.0, 20.0, 1.0, 0.2, 0.05, 0.2
WIDE = 2.0

#: Share of the weight that METIS is given by area, not load, at each start in turn.
AREA_SHARES = (0.0, 0.0, 0.2, 0.2, 0.4, 0.4, 0.1, 0.1)

#: Plans that are started from different seeds, the best is taken: fewer for larger pieces.
STARTS, STARTS_LARGE, LARGE = 8, 3, 300

#: A block reaches the outside by more than this many metres; a way out costs this much (of a norm) for each block.
_TOUCH_M = 0.1
_HOP = 0.01

_PASSES = 40
_LEAST = 1e-9


class Piece(NamedTuple):
    """Connected blocks (rows 0..n-1): load, m², metres around; pairs of neighbours, metres and cost of the border."""

    load: Floats
    area: Floats
    perimeter: Floats
    pairs: Ints
    metres: Floats
    cost: Floats


class _Draft:
    """Grids being shaped: who is where, and the sums that follow each move."""

    def __init__(self, piece: Piece, label: Ints, target: float, tolerance: float) -> None:
        self.piece, self.target, self.tolerance = piece, target, tolerance
        self.beside: list[list[tuple[int, float, float]]] = [[] for _ in piece.load]
        for (a, b), metres, cost in zip(piece.pairs.tolist(), piece.metres.tolist(), piece.cost.tolist(), strict=True):
            self.beside[a].append((b, metres, cost))
            self.beside[b].append((a, metres, cost))
        self.label: list[int] = label.tolist()
        self.count = int(label.max()) + 1
        self.members: list[set[int]] = [set() for _ in range(self.count)]
        for block, grid in enumerate(self.label):
            self.members[grid].add(block)
        self.load = np.bincount(label, piece.load, self.count).tolist()
        self.area = np.bincount(label, piece.area, self.count).tolist()
        inner = label[piece.pairs[:, 0]] == label[piece.pairs[:, 1]]
        rim = np.bincount(label, piece.perimeter, self.count)
        rim -= 2 * np.bincount(label[piece.pairs[inner, 0]], piece.metres[inner], self.count)
        self.rim = rim.tolist()
        self.mean = float(piece.area.sum()) / self.count
        self.square = 4 * math.sqrt(self.mean)

    def price(self, load: float, area: float, rim: float) -> float:
        """What one grid of this load, area and rim costs, without its borders."""
        off = load / self.target - 1
        band = max(0.0, abs(off) - self.tolerance)
        shape = rim * rim / (4 * math.pi * area) - 1
        wide = max(0.0, area / self.mean - WIDE)
        size = W_BAND * band + W_BAND_SQUARED * band * band + W_DEVIATION * off * off
        return size + W_SHAPE * shape + W_GROUND * wide * wide

    def score(self) -> tuple[int, float]:
        """Grids outside the tolerance, and the price of the whole."""
        label = np.array(self.label)
        cut = label[self.piece.pairs[:, 0]] != label[self.piece.pairs[:, 1]]
        total = W_BORDER * 2 * float(self.piece.cost[cut].sum()) / self.square
        total += sum(self.price(*grid) for grid in zip(self.load, self.area, self.rim, strict=True))
        off = sum(abs(load / self.target - 1) > self.tolerance for load in self.load)
        return off, round(total, 9)

    def gain(self, block: int, goal: int) -> float:
        """By how much the price falls if `block` moves to grid `goal`."""
        here = self.label[block]
        piece = self.piece
        own = there = border = 0.0
        for other, metres, cost in self.beside[block]:
            if self.label[other] == here:
                own += metres
                border += cost
            elif self.label[other] == goal:
                there += metres
                border -= cost
        load, area, rim = float(piece.load[block]), float(piece.area[block]), float(piece.perimeter[block])
        before = self.price(self.load[here], self.area[here], self.rim[here])
        before += self.price(self.load[goal], self.area[goal], self.rim[goal])
        after = self.price(self.load[here] - load, self.area[here] - area, self.rim[here] - rim + 2 * own)
        after += self.price(self.load[goal] + load, self.area[goal] + area, self.rim[goal] + rim - 2 * there)
        return before - after - W_BORDER * 2 * border / self.square

    def can_leave(self, block: int) -> bool:
        """Whether its grid stays in one piece, and not empty, without `block`."""
        left = self.members[self.label[block]]
        wanted = {other for other, _, _ in self.beside[block] if other in left}
        if not wanted:
            return False
        stack = [wanted.pop()]
        seen = {block, stack[0]}
        while stack and wanted:
            for other, _, _ in self.beside[stack.pop()]:
                if other in left and other not in seen:
                    seen.add(other)
                    wanted.discard(other)
                    stack.append(other)
        return not wanted

    def move(self, block: int, goal: int) -> None:
        """Move `block` to grid `goal`."""
        here, piece = self.label[block], self.piece
        rims = {here: -piece.perimeter[block], goal: piece.perimeter[block]}
        for other, metres, _ in self.beside[block]:
            if self.label[other] == here:
                rims[here] += 2 * metres
            elif self.label[other] == goal:
                rims[goal] -= 2 * metres
        for grid, sign in ((here, -1), (goal, 1)):
            self.load[grid] += sign * float(piece.load[block])
            self.area[grid] += sign * float(piece.area[block])
            self.rim[grid] += float(rims[grid])
        self.members[here].discard(block)
        self.members[goal].add(block)
        self.label[block] = goal


def share_out(piece: Piece, count: int, target: float, tolerance: float, seed: int) -> Ints:
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
    seed : int
        The same seed gives the same answer.

    Notes
    -----
    METIS (Karypis & Kumar 1998), k-way and recursive from several seeds, then single moves that lower the price of
    deviation, shape and border. Every grid is in one piece; no optimum is promised.
    """
    if count <= 1 or len(piece.load) <= 1:
        return np.zeros(len(piece.load), dtype=np.int64)
    if count >= len(piece.load):
        return np.arange(len(piece.load), dtype=np.int64)
    best: tuple[tuple[int, float], list[int]] | None = None
    for start in range(STARTS if len(piece.load) <= LARGE else STARTS_LARGE):
        mixed = mix(piece, AREA_SHARES[start])
        label = _mended(piece, _metis(mixed, count, seed + start // 2, recursive=bool(start % 2)), count, seed)
        draft = _Draft(piece, label, target, tolerance)
        _improve(draft)
        found = (draft.score(), draft.label)
        if best is None or found < best:
            best = found
    return np.array(best[1] if best else [], dtype=np.int64)


def mix(piece: Piece, share: float) -> Piece:
    """`piece` with this share of its load spread over the ground, in whole numbers for METIS."""
    even = piece.area / piece.area.sum()
    load = piece.load / max(float(piece.load.sum()), 1.0)
    return piece._replace(load=np.rint(1e6 * ((1 - share) * load + share * even)))


def polish(piece: Piece, label: Ints, target: float, tolerance: float) -> Ints:
    """`label` after single moves over the whole piece, and with enclaves opened to the outside."""
    draft = _Draft(piece, label, target, tolerance)
    _improve(draft)
    _open_enclaves(draft)
    return np.array(draft.label, dtype=np.int64)


def _open_enclaves(draft: _Draft) -> None:
    """Where a grid lies all around others, give them a way out through it, unless that puts more grids off norm."""
    around = draft.piece.perimeter - _bordered(draft.piece)
    for grid in range(draft.count):
        rest = np.flatnonzero(np.array(draft.label) != grid)
        part = components(len(rest), subpiece(draft.piece, rest).pairs) if len(rest) else rest
        for number in range(int(part.max()) + 1 if len(rest) else 0):
            inside = set(rest[part == number].tolist())
            if any(around[block] > _TOUCH_M for block in inside):
                continue
            way = _way_out(draft, grid, inside, around)
            if not way:
                continue
            beside = {draft.label[other] for other, _, _ in draft.beside[way[0]] if other in inside}
            goal = min(beside, key=lambda g: (draft.load[g], g))
            _give(draft, way, grid, goal)


def _give(draft: _Draft, way: list[int], grid: int, goal: int) -> None:
    """Move the blocks `way` from `grid` to `goal`, or none of them."""
    off, moved = draft.score()[0], []
    for block in way:
        if not draft.can_leave(block):
            break
        draft.move(block, goal)
        moved.append(block)
    if moved != way or draft.score()[0] > off:
        for block in reversed(moved):
            draft.move(block, grid)


def _way_out(draft: _Draft, grid: int, inside: set[int], around: Floats) -> list[int]:
    """Blocks of `grid` from beside `inside` to the outside, with the least load (Dijkstra); empty if there are none."""
    own = draft.members[grid]
    costs = draft.piece.load / draft.target + _HOP

    def out(block: int) -> bool:
        others = (other for other, _, _ in draft.beside[block])
        return bool(around[block] > _TOUCH_M) or any(o not in own and o not in inside for o in others)

    first = {b for b in own if any(other in inside for other, _, _ in draft.beside[b])}
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
        for other, _, _ in draft.beside[block]:
            if other in own and other not in came:
                heapq.heappush(queue, (cost + float(costs[other]), other, block))
    return []


def _bordered(piece: Piece) -> Floats:
    """Metres that each block has in common with others of the piece."""
    size = len(piece.load)
    inner: Floats = np.bincount(piece.pairs[:, 0], piece.metres, size).astype(float)
    return inner + np.bincount(piece.pairs[:, 1], piece.metres, size)


def _improve(draft: _Draft) -> None:
    """Move single border blocks as long as that lowers the price."""
    for _ in range(_PASSES):
        moved = False
        for block in range(len(draft.label)):
            here = draft.label[block]
            goals = sorted({draft.label[other] for other, _, _ in draft.beside[block]} - {here})
            if not goals or len(draft.members[here]) == 1:
                continue
            gains = [draft.gain(block, goal) for goal in goals]
            best = max(range(len(goals)), key=lambda i: gains[i])
            if gains[best] > _LEAST and draft.can_leave(block):
                draft.move(block, goals[best])
                moved = True
        if not moved:
            return


def _metis(piece: Piece, count: int, seed: int, *, recursive: bool) -> Ints:
    """METIS' own answer: even loads, cheap cuts; pieces are not always whole, and some of `count` may be missing."""
    import pymetis

    size = len(piece.load)
    ends = np.concatenate([piece.pairs, piece.pairs[:, ::-1]])
    # METIS wants whole numbers above 0: decimetres of the cheapest class are fine enough.
    cost = np.maximum(1, np.rint(np.concatenate([piece.cost, piece.cost]))).astype(np.int64)
    order = np.lexsort((ends[:, 1], ends[:, 0]))
    starts = np.searchsorted(ends[order, 0], np.arange(size + 1))
    _, label = pymetis.part_graph(
        count,
        pymetis.CSRAdjacency(starts.tolist(), ends[order, 1].tolist()),
        vweights=piece.load.astype(np.int64).tolist(),
        eweights=cost[order].tolist(),
        recursive=recursive,
        options=pymetis.Options(seed=seed) if recursive else pymetis.Options(seed=seed, contig=True),
    )
    return np.array(label, dtype=np.int64)


def _mended(piece: Piece, label: Ints, count: int, seed: int) -> Ints:
    """`label` with every grid in one piece and, where it can be had, none of `count` empty."""
    label = _joined(piece, label)
    for grid in range(count):
        if (label == grid).any():
            continue
        loads = np.bincount(label, piece.load, count)
        loads[np.bincount(label, minlength=count) < 2] = -1
        heaviest = int(np.argmax(loads))
        rows = np.flatnonzero(label == heaviest)
        if len(rows) < 2:
            break
        half = _joined(sub := subpiece(piece, rows), _metis(mix(sub, 0.1), 2, seed, recursive=True))
        if half.min() == half.max():
            half = _joined(sub, (np.arange(len(rows)) == int(np.argmin(sub.load))).astype(np.int64))
        label[rows[half == 1]] = grid
        label = _joined(piece, label)
    return np.unique(label, return_inverse=True)[1].astype(np.int64)


def _joined(piece: Piece, label: Ints) -> Ints:
    """Keep the heaviest part of each grid; blocks of other parts go, one by one, to the neighbour they border most."""
    label = label.copy()
    same = label[piece.pairs[:, 0]] == label[piece.pairs[:, 1]]
    part = components(len(label), piece.pairs[same])
    weight = np.bincount(part, piece.load)
    keep = {
        int(max(np.unique(part[label == grid]), key=lambda p: (weight[p], (part == p).sum(), -p)))
        for grid in np.unique(label)
    }
    label[~np.isin(part, list(keep))] = -1
    while (label < 0).any():
        a, b = piece.pairs.T
        open_a, open_b = (label[a] < 0) & (label[b] >= 0), (label[b] < 0) & (label[a] >= 0)
        block = np.concatenate([a[open_a], b[open_b]])
        goal = np.concatenate([label[b[open_a]], label[a[open_b]]])
        cost = np.concatenate([piece.cost[open_a], piece.cost[open_b]])
        best = np.lexsort((goal, -cost, block))[0]  # the lowest block first, along its dearest border
        label[block[best]] = goal[best]
    return label


def subpiece(piece: Piece, rows: Ints) -> Piece:
    """The blocks `rows` (ascending) of a piece, with what lies between them."""
    place = np.full(len(piece.load), -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    inner = (place[piece.pairs] >= 0).all(axis=1)
    return Piece(
        piece.load[rows], piece.area[rows], piece.perimeter[rows], place[piece.pairs[inner]], piece.metres[inner],
        piece.cost[inner],
    )  # fmt: skip
