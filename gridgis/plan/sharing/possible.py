"""What is possible, before anything is searched: ground that hangs together, numbers of grids, how many must be off."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from gridgis.errors import name_ids
from gridgis.plan.faces.graph import MIN_SHARED_M, Graph, components
from gridgis.plan.faces.network import Bools, Floats, Ints, Shapes
from gridgis.plan.sharing.norms import Norms, grids_wanted, kind_of
from gridgis.plan.sharing.recombine import Piece, subpiece

#: Ground cut off by heavy blocks with less than this share of the norm joins one of them.
LEFT_OVER = 0.5

#: Ground lies inside other ground if it reaches the outside by less than this, metres.
_TOUCH_M = 0.1


class Table(NamedTuple):
    """Blocks as columns, ordered by code."""

    code: Shapes
    unit: Shapes
    load: Floats
    kind: Shapes
    row: Ints  # of the frame that came in
    home: Shapes | None = None  # code of the grid that a block comes from, "" for none


class Part(NamedTuple):
    """Blocks of a ground that hang together without its heavy ones, and numbers of grids worth trying.

    `reason` is why grids are off where no number fits the load (`fits` False).
    """

    own: Ints
    counts: list[int]
    fits: bool
    reason: str


class Ground(NamedTuple):
    """Ground of one unit that hangs together, and what is possible on it.

    `piece` has atoms: blocks, those in the holes of others joined with them where that is not too heavy; `atom` is the
    atom of each of the blocks `rows` of the table. Heavy atoms stand alone, but for what is left over beside them.
    """

    piece: Piece
    rows: Ints
    atom: Ints
    kind: str | None
    target: float
    heavy: Ints
    parts: list[Part]
    left_over: list[Ints]
    homes: list[str]  # the codes that piece.home numbers
    bound: int


class Outlook(NamedTuple):
    """What is known before the search: pieces of ground, grids wanted, and how many of them must be off the norm.

    `notes` say which units do not hang together, and that no grid can meet the norm.
    """

    pieces: int
    grids: int
    bound_off_norm: int
    notes: tuple[str, ...] = ()


def grounds_of(table: Table, graph: Graph, locked: Shapes, rule: Norms, alone: str = "community mean") -> list[Ground]:
    """The free ground of every unit in connected pieces, in the order of their lowest block.

    `alone` is why grids are off where no number of grids fits the main ground of a unit.
    """
    same = table.unit[graph.pairs[:, 0]] == table.unit[graph.pairs[:, 1]]
    free = locked == ""
    inner = same & ~graph.barred & free[graph.pairs].all(axis=1)
    piece = np.where(free, components(len(table.code), graph.pairs[inner]), -1)
    # Short borders count only where blocks would hang together by nothing else.
    wide = components(len(table.code), graph.pairs[inner & (graph.metres >= MIN_SHARED_M)])
    inner &= (graph.metres >= MIN_SHARED_M) | (wide[graph.pairs[:, 0]] != wide[graph.pairs[:, 1]])
    numbers = np.unique(piece[free])
    blocks = _grouped(np.flatnonzero(free), np.searchsorted(numbers, piece[free]), len(numbers))
    edges = np.flatnonzero(inner)
    pairs = _grouped(edges, np.searchsorted(numbers, piece[graph.pairs[edges, 0]]), len(numbers))
    reasons = _why_apart(blocks, table, graph, same, alone)
    return [
        _ground(rows, edge, reason, reason == alone, table, graph, rule)
        for rows, edge, reason in zip(blocks, pairs, reasons, strict=True)
    ]


def outlook_of(grounds: list[Ground], table: Table, locked: Shapes, rule: Norms) -> Outlook:
    """What is possible: heavy blocks, ground whose load fits no number of grids, locked grids that are off."""
    off, notes = 0, []
    fixed = sorted(set(locked) - {""})
    for code in fixed:
        own = locked == code
        target = rule.target(kind_of(table.kind[own], table.load[own]))
        off += int(abs(float(table.load[own].sum()) / target - 1) > rule.tolerance)
    grids = sum(len(ground.heavy) + sum(part.counts[0] for part in ground.parts) for ground in grounds)
    apart = Counter(str(table.unit[ground.rows[0]]) for ground in grounds)
    several = sorted(unit for unit, count in apart.items() if count > 1)
    if several:
        notes.append(f"units that do not hang together ({name_ids(several)}): each piece has grids of its own")
    if grounds and not any(part.fits for ground in grounds for part in ground.parts):
        held = max(float(ground.piece.load.sum()) for ground in grounds)
        wanted = sorted({ground.target for ground in grounds})
        norm = ", ".join(f"{target:g}" for target in wanted)
        notes.append(
            f"no plan can bring a grid inside the norm; found {held:g} in the largest piece of ground; wanted {norm} "
            f"in a grid, {rule.tolerance:.0%} more or less. Change the norm, or cut heavy blocks."
        )
    bound = sum(ground.bound for ground in grounds) + off
    return Outlook(len(grounds), grids + len(fixed), bound, tuple(notes))


def _grouped(values: Ints, group: Ints, count: int) -> list[Ints]:
    """`values` of group 0, of group 1, …, each in the order given."""
    order = np.argsort(group, kind="stable")
    return np.split(values[order], np.cumsum(np.bincount(group, minlength=count))[:-1]) if count else []


def _why_apart(blocks: list[Ints], table: Table, graph: Graph, same: Bools, alone: str) -> list[str]:
    """For each piece why it does not hang together with the main one of its unit; `alone` for the main ones."""
    main: dict[str, int] = {}
    size = [(float(table.load[rows].sum()), float(graph.area[rows].sum())) for rows in blocks]
    for number, rows in enumerate(blocks):
        unit = table.unit[rows[0]]
        if unit not in main or size[number] > size[main[unit]]:
            main[unit] = number
    if len(main) == len(blocks):
        return [alone] * len(blocks)
    whole = components(len(table.code), graph.pairs[same])
    passed = components(len(table.code), graph.pairs[same & ~graph.barred])
    inside = _enclaves(whole, table, graph)
    reasons = []
    for number, rows in enumerate(blocks):
        first, other = rows[0], blocks[main[table.unit[rows[0]]]][0]
        if number == main[table.unit[first]]:
            reasons.append(alone)
        elif whole[first] != whole[other]:
            reasons.append("enclave" if inside[whole[first]] else "isolated")
        else:
            barred = passed[first] != passed[other]
            reasons.append("cut off by a barrier" if barred else "cut off by locked grids")
    return reasons


def _enclaves(part: Ints, table: Table, graph: Graph) -> Bools:
    """Which parts lie all around against ground of one other unit."""
    count = int(part.max()) + 1
    ends = part[graph.pairs]
    across = ends[:, 0] != ends[:, 1]
    outside = np.bincount(part, graph.perimeter, count)
    outside -= np.bincount(ends[~across, 0], 2 * graph.metres[~across], count)
    units = np.unique(table.unit.astype(str), return_inverse=True)[1]
    found = []
    for side in (0, 1):
        own = ends[across, side]
        outside -= np.bincount(own, graph.metres[across], count)
        found.append(np.stack([own, units[graph.pairs[across, 1 - side]]], axis=1))
    neighbours = np.bincount(np.unique(np.concatenate(found), axis=0)[:, 0], minlength=count)
    inside: Bools = (outside < _TOUCH_M) & (neighbours == 1)
    return inside


def _ground(rows: Ints, edges: Ints, reason: str, main: bool, table: Table, graph: Graph, rule: Norms) -> Ground:
    piece = Piece(
        table.load[rows], graph.area[rows], graph.perimeter[rows], np.searchsorted(rows, graph.pairs[edges]),
        graph.metres[edges], graph.cost[edges],
    )  # fmt: skip
    homes: list[str] = []
    if table.home is not None:
        homes = sorted(set(table.home[rows]) - {""})
        place = {code: number for number, code in enumerate(homes)}
        piece = piece._replace(home=np.array([place.get(code, -1) for code in table.home[rows]], dtype=np.int64))
    kind = kind_of(table.kind[rows], piece.load)
    target = rule.target(kind)
    limit = (1 + rule.tolerance) * target
    atom = _atoms(piece, rows, graph.enclosed, limit)
    merged = _merged(piece, atom)
    heavy, free = np.flatnonzero(merged.load > limit), np.flatnonzero(merged.load <= limit)
    if merged.load.sum() == 0:
        part = Part(free, [1], False, "no households")
        return Ground(merged, rows, atom, kind, target, heavy, [part], [], homes, int(rule.tolerance < 1))
    parts, left_over, bound = _parts(merged, heavy, free, reason, main, target, rule)
    return Ground(merged, rows, atom, kind, target, heavy, parts, left_over, homes, bound)


def _parts(
    piece: Piece, heavy: Ints, free: Ints, reason: str, main: bool, target: float, rule: Norms
) -> tuple[list[Part], list[Ints], int]:
    """What hangs together without heavy atoms, what is left over beside them, and how many grids must be off."""
    part = components(len(free), subpiece(piece, free).pairs)
    owns = [free[part == number] for number in range(int(part.max()) + 1 if len(free) else 0)]
    parts, left_over, bound = [], [], len(heavy)
    for own in owns:
        load = float(piece.load[own].sum())
        if len(heavy) and load < LEFT_OVER * target:
            left_over.append(own)
            continue
        counts = grids_wanted(
            load, target, rule.tolerance, rule.per_unit if main and not len(heavy) else None, len(own)
        )
        fits = abs(load / counts[0] / target - 1) <= rule.tolerance
        bound += int(not fits and not len(heavy))
        why = reason
        if len(owns) > 1:
            why = "enclave" if _within_one(piece, own) else "isolated"
        parts.append(Part(own, counts, fits, why))
    return parts, left_over, bound


def _within_one(piece: Piece, own: Ints) -> bool:
    """Whether these atoms lie all around against one other."""
    mine = np.zeros(len(piece.load), dtype=bool)
    mine[own] = True
    ends = mine[piece.pairs]
    inner, across = ends.all(axis=1), ends[:, 0] != ends[:, 1]
    outside = piece.perimeter[own].sum() - 2 * piece.metres[inner].sum() - piece.metres[across].sum()
    return bool(outside < _TOUCH_M and len(np.unique(piece.pairs[across][~ends[across]])) == 1)


def _merged(piece: Piece, atom: Ints) -> Piece:
    """The piece with the blocks of each atom as one; it comes from where most of its load comes from."""
    size = int(atom.max()) + 1
    pairs, of = np.unique(np.sort(atom[piece.pairs], axis=1), axis=0, return_inverse=True)
    metres, cost = (_sums(of.ravel(), values, len(pairs)) for values in (piece.metres, piece.cost))
    within = pairs[:, 0] == pairs[:, 1]
    perimeter = _sums(atom, piece.perimeter, size)
    perimeter[pairs[within, 0]] -= 2 * metres[within]
    load, area = _sums(atom, piece.load, size), _sums(atom, piece.area, size)
    home = None
    if piece.home is not None:
        order = np.lexsort((piece.area, piece.load))
        home = np.empty(size, dtype=np.int64)
        home[atom[order]] = piece.home[order]  # the last one written counts
    return Piece(load, area, perimeter, pairs[~within], metres[~within], cost[~within], home)


def _sums(of: Ints, values: Floats, size: int) -> Floats:
    sums: Floats = np.bincount(of, values, size).astype(float)
    return sums


def _atoms(piece: Piece, rows: Ints, enclosed: Ints, limit: float) -> Ints:
    """Blocks and what lies in their holes as one, where that is not too heavy."""
    place = {int(row): i for i, row in enumerate(rows)} if len(enclosed) else {}
    atom = np.arange(len(rows))
    for outer in dict.fromkeys(enclosed[:, 0].tolist()):
        inner = [place[i] for i in enclosed[enclosed[:, 0] == outer, 1].tolist() if i in place]
        if outer not in place or not inner:
            continue
        together = np.isin(atom, atom[[*inner, place[outer]]])
        if piece.load[together].sum() <= limit:
            atom[together] = atom[together].min()
    numbered: Ints = np.unique(atom, return_inverse=True)[1].astype(np.int64)
    return numbered
