"""The ground of a unit shared out: which norm counts, how many grids it gives, and why one may be off norm."""

from __future__ import annotations

import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from gridgis.errors import PlanError
from gridgis.plan.balance import open_enclaves
from gridgis.plan.graph import MIN_SHARED_M, Graph, components
from gridgis.plan.network import Bools, Floats, Ints, Shapes
from gridgis.plan.recombine import Draft, Engine, Piece, engine, share_out, subpiece
from gridgis.profile import Profile

#: How far "about" goes where neither an argument nor a profile says.
TOLERANCE = 0.25

#: Code of a grid where no profile gives a template.
CODE = "{unit}{n:02d}"

#: Ground cut off by heavy blocks with less than this share of the norm joins one of them.
_LEFT_OVER = 0.5

#: Numbers of grids that are tried in a piece of ground, when the first leaves grids off norm.
_TRIED = 3


class Norms(NamedTuple):
    """What a grid should hold: by compound kind, with a tolerance, and how a grid is coded."""

    targets: dict[str, float]  # "" stands for an unknown kind
    tolerance: float
    per_unit: tuple[int, int] | None
    code: str
    shown: Any

    def target(self, kind: str | None) -> float:
        return self.targets.get(kind or "", self.targets[""])


class Table(NamedTuple):
    """Blocks as columns, ordered by code."""

    code: Shapes
    unit: Shapes
    load: Floats
    kind: Shapes
    row: Ints  # of the frame that came in


class Share(NamedTuple):
    """Grids of one connected piece of a unit: the blocks of each, its target and why it may be off norm."""

    blocks: list[Ints]
    target: float
    kind: str | None
    reasons: list[str]
    bound: int  # grids that no plan could bring inside the tolerance


def norms_of(norm: Profile | float, tolerance: float | None, weight: str) -> Norms:
    if weight not in ("households", "persons"):
        raise PlanError("the weight is unknown", found=repr(weight), wanted="households or persons")
    if tolerance is not None and not (math.isfinite(tolerance) and tolerance >= 0):
        raise PlanError(
            "the tolerance cannot be used", found=repr(tolerance), wanted="a fraction of 0 or more, as 0.25"
        )
    if not isinstance(norm, Profile):
        if isinstance(norm, bool) or not (math.isfinite(norm) and norm > 0):
            raise PlanError("the norm cannot be used", found=repr(norm), wanted=f"{weight} in a grid, above 0")
        return Norms({"": float(norm)}, TOLERANCE if tolerance is None else tolerance, None, CODE, float(norm))
    rule = norm.norm
    if weight == "households":
        if not rule.households:
            raise PlanError(
                f"the profile {norm.name} has no norm of households", wanted="[norm] households",
                remedy="Take --weight persons, or give --norm.",
            )  # fmt: skip
        targets = {**rule.households, "": rule.target(None)}
        about = rule.tolerance if tolerance is None else tolerance
        return Norms(targets, about, rule.grids_per_community, norm.code, dict(rule.households))
    if rule.persons is None or sum(rule.persons) <= 0:
        raise PlanError(
            f"the profile {norm.name} has no norm of persons", wanted="[norm] persons",
            remedy="Take --weight households, or give --norm.",
        )  # fmt: skip
    low, high = rule.persons
    middle = (low + high) / 2
    about = (high - low) / (high + low) if tolerance is None else tolerance
    return Norms({"": middle}, about, rule.grids_per_community, norm.code, [low, high])


def between(graph: Graph, rows: Ints) -> tuple[Bools, Ints]:
    """Which pairs of the graph lie between `rows` (ascending), and these pairs counted in `rows`."""
    place = np.full(len(graph.area), -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    inner: Bools = np.asarray((place[graph.pairs] >= 0).all(axis=1))
    return inner, place[graph.pairs[inner]]


def share_all(table: Table, graph: Graph, locked: Shapes, rule: Norms, seed: int) -> tuple[list[Share], bool]:
    """The grids of every unit, one connected piece after the other; and whether Ctrl-C made an end of it.

    Pieces have nothing to do with each other, so compiled they run side by side; the answer is the same. On Ctrl-C the
    search ends where it is: what was not begun has the first plan only. A second Ctrl-C is passed on.
    """
    stop = threading.Event()
    pieces = [piece for unit in _units(table, graph, locked) for piece in _pieces(*unit, table, graph)]
    tools = engine(seed, len(table.code), stop)
    workers = min(len(pieces), os.cpu_count() or 1) if tools.fast else 1
    with ThreadPoolExecutor(max(1, workers)) as pool:
        # The search runs beside this thread, so that Ctrl-C never comes between two steps of it.
        jobs = [pool.submit(_piece, *piece, table, graph, rule, tools) for piece in pieces]
        try:
            wait(jobs)
        except KeyboardInterrupt:
            stop.set()
            wait(jobs)
        return [job.result() for job in jobs], stop.is_set()


def _units(table: Table, graph: Graph, locked: Shapes) -> list[tuple[Ints, Ints]]:
    """The free blocks of each unit (rows) and the pairs of the graph between them, units in order."""
    free = np.flatnonzero(locked == "")
    if len(free) == 0:
        return []
    names, of = np.unique(table.unit[free].astype(str), return_inverse=True)
    unit = np.full(len(table.code), -1, dtype=np.int64)
    unit[free] = of
    one, other = unit[graph.pairs].T
    inner = np.flatnonzero((one == other) & (one >= 0))
    return list(zip(_grouped(free, of, len(names)), _grouped(inner, one[inner], len(names)), strict=True))


def _grouped(values: Ints, group: Ints, count: int) -> list[Ints]:
    """`values` of group 0, of group 1, …, each in the order given."""
    order = np.argsort(group, kind="stable")
    return np.split(values[order], np.cumsum(np.bincount(group, minlength=count))[:-1])


def _pieces(rows: Ints, inner: Ints, table: Table, graph: Graph) -> list[tuple[Piece, Ints, bool]]:
    """The ground of a unit as connected pieces: each with its rows, and whether it is the unit's main one."""
    pairs = np.searchsorted(rows, graph.pairs[inner])
    metres, cost = graph.metres[inner], graph.cost[inner]
    # Short borders count only where blocks would hang together by nothing else.
    wide = components(len(rows), pairs[metres >= MIN_SHARED_M])
    used = (metres >= MIN_SHARED_M) | (wide[pairs[:, 0]] != wide[pairs[:, 1]])
    whole = Piece(table.load[rows], graph.area[rows], graph.perimeter[rows], pairs[used], metres[used], cost[used])
    part = components(len(rows), whole.pairs)
    ground = np.bincount(part, whole.area)
    main = max(range(len(ground)), key=lambda p: (whole.load[part == p].sum(), ground[p], -p))
    owns = [np.flatnonzero(part == number) for number in range(len(ground))]
    return [(subpiece(whole, own), rows[own], number == main) for number, own in enumerate(owns)]


def _piece(piece: Piece, rows: Ints, main: bool, table: Table, graph: Graph, rule: Norms, tools: Engine) -> Share:
    """The grids of one connected piece: heavy blocks alone, the rest shared out, then all polished together."""
    kind = kind_of(table.kind[rows], piece.load)
    target = rule.target(kind)
    if piece.load.sum() == 0:
        return Share([rows], target, kind, ["no households"], 1)
    atom = _atoms(piece, rows, graph.enclosed, (1 + rule.tolerance) * target)
    merged = _merged(piece, atom)
    # Each piece draws its own numbers, whatever the other pieces are.
    tools = tools._replace(seed=tools.seed + crc32(str(table.code[rows[0]]).encode()))
    label, reasons, bound = _drafted(merged, target, rule, tools, main)
    label = _settled(merged, label, target, rule, tools)
    label = open_enclaves(merged, label, target, rule.tolerance)
    load = np.bincount(label, merged.load, len(reasons))
    off = np.abs(load / target - 1) > rule.tolerance
    given = ["" if not o else "no households" if h == 0 else r for o, h, r in zip(off, load, reasons, strict=True)]
    blocks = [rows[label[atom] == grid] for grid in range(len(reasons))]
    return Share(blocks, target, kind, given, bound)


def _settled(piece: Piece, label: Ints, target: float, rule: Norms, tools: Engine) -> Ints:
    """`label` after single moves over the whole piece, heavy blocks included."""
    count = int(label.max()) + 1
    if count < 2 or tools.stop.is_set():
        return label
    draft = Draft(piece, count, target, rule.tolerance, tools, 0)
    draft.start_from(label)
    draft.move()
    return draft.labels()


def _drafted(piece: Piece, target: float, rule: Norms, tools: Engine, main: bool) -> tuple[Ints, list[str], int]:
    """A first plan of a connected piece: the grid of each block, why each may be off norm, how many must be."""
    limit = (1 + rule.tolerance) * target
    heavy, free = np.flatnonzero(piece.load > limit), np.flatnonzero(piece.load <= limit)
    label = np.zeros(len(piece.load), dtype=np.int64)
    label[heavy] = np.arange(len(heavy))
    reasons, bound = ["indivisible block"] * len(heavy), len(heavy)
    part = components(len(free), subpiece(piece, free).pairs)
    parts = int(part.max()) + 1 if len(free) else 0
    for own in (free[part == number] for number in range(parts)):
        load = float(piece.load[own].sum())
        if len(heavy) and load < _LEFT_OVER * target:
            label[own] = _beside(piece, own, heavy)
            continue
        per_unit = rule.per_unit if main and not len(heavy) else None
        counts = grids_wanted(load, target, rule.tolerance, per_unit, len(own))
        fits = abs(load / counts[0] / target - 1) <= rule.tolerance
        bound += int(not fits and not len(heavy))
        shared = _best(subpiece(piece, own), counts, target, rule.tolerance, tools)
        label[own] = len(reasons) + shared
        reason = "no better cut found" if fits else "isolated" if parts > 1 or not main else "community mean"
        reasons += [reason] * (int(shared.max()) + 1)
    return label, reasons, bound


def _best(piece: Piece, counts: list[int], target: float, tolerance: float, tools: Engine) -> Ints:
    """The plan with the fewest grids off norm, of the first count that reaches it."""
    best, least = np.zeros(len(piece.load), dtype=np.int64), math.inf
    for count in counts:
        label = share_out(piece, count, target, tolerance, tools)
        off = int((np.abs(np.bincount(label, piece.load) / target - 1) > tolerance).sum())
        if off < least:
            best, least = label, off
        if off == 0 or tools.stop.is_set():
            break
    return best


def kind_of(kinds: Shapes, load: Floats) -> str | None:
    """The compound kind that most of the load lives in; None where that is unknown."""
    sums: dict[str, float] = {}
    for kind, value in zip(kinds, load.tolist(), strict=True):
        sums[kind or ""] = sums.get(kind or "", 0.0) + value
    return max(sorted(sums), key=lambda k: sums[k]) or None


def grids_wanted(
    load: float, target: float, tolerance: float, per_unit: tuple[int, int] | None = None, blocks: int | None = None
) -> list[int]:
    """Numbers of grids worth trying, the one that is wanted most first.

    Parameters
    ----------
    load, target : float
        Load of the unit, and that wanted in a grid.
    tolerance : float
        Fraction by which a grid may be off: the mean of what is tried is inside, unless no number's is.
    per_unit : (int, int), optional
        Grids wanted in a unit: the best number in this range comes first, then the best of all.
    blocks : int, optional
        There cannot be more grids than this.

    Examples
    --------
    >>> grids_wanted(1000, 300, 0.25), grids_wanted(1430, 300, 0.25), grids_wanted(1430, 300, 0.25, (6, 10))
    ([3, 4], [5, 4, 6], [6, 5, 4])
    """
    most = math.ceil(load / target * (1 + tolerance)) + 1
    counts = sorted(range(1, max(1, min(most, blocks or most)) + 1), key=lambda k: abs(load / k - target))
    fitting = [k for k in counts if abs(load / k / target - 1) <= tolerance] or counts[:1]
    low, high = per_unit or (1, 0)
    wanted = [k for k in fitting if low <= k <= high][:1]
    return [*wanted, *(k for k in fitting[:_TRIED] if k not in wanted)]


def _beside(piece: Piece, own: Ints, heavy: Ints) -> int:
    """Which of the heavy blocks (position in `heavy`) has the dearest border with the blocks `own`."""
    a, b = piece.pairs.T
    cost = [
        float(piece.cost[(np.isin(a, own) & (b == h)) | (np.isin(b, own) & (a == h))].sum()) for h in heavy.tolist()
    ]
    return int(np.argmax(cost))


def _merged(piece: Piece, atom: Ints) -> Piece:
    """The piece with the blocks of each atom as one."""
    size = int(atom.max()) + 1
    pairs, of = np.unique(np.sort(atom[piece.pairs], axis=1), axis=0, return_inverse=True)
    metres, cost = (_sums(of.ravel(), values, len(pairs)) for values in (piece.metres, piece.cost))
    within = pairs[:, 0] == pairs[:, 1]
    perimeter = _sums(atom, piece.perimeter, size)
    perimeter[pairs[within, 0]] -= 2 * metres[within]
    load, area = _sums(atom, piece.load, size), _sums(atom, piece.area, size)
    return Piece(load, area, perimeter, pairs[~within], metres[~within], cost[~within])


def _sums(of: Ints, values: Floats, size: int) -> Floats:
    sums: Floats = np.bincount(of, values, size).astype(float)
    return sums


def _atoms(piece: Piece, rows: Ints, enclosed: Ints, limit: float) -> Ints:
    """Blocks and what lies in their holes as one, where that is not too heavy."""
    place = {int(row): i for i, row in enumerate(rows)}
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
