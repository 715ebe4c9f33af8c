"""The ground of the units shared out: every piece searched apart, side by side where the loops are compiled."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import NamedTuple
from zlib import crc32

import numpy as np

from gridgis.plan.faces.network import Floats, Ints
from gridgis.plan.sharing.balance import open_enclaves
from gridgis.plan.sharing.norms import Norms
from gridgis.plan.sharing.possible import Ground, Outlook, Table
from gridgis.plan.sharing.previous import followed, from_before
from gridgis.plan.sharing.recombine import Draft, Engine, Piece, engine, share_out, subpiece

#: How often the progress is told, seconds.
_TELL_S = 0.2

#: A grid that lies in another one may move this share of a norm's load out of its grid to get a way out.
_OPENING = 1.0


class Progress(NamedTuple):
    """How many pieces of ground are shared out; what is possible was known before the first."""

    done: int
    outlook: Outlook


class Share(NamedTuple):
    """Grids of one ground: the blocks of each, its target and why it may be off norm."""

    blocks: list[Ints]
    target: float
    kind: str | None
    reasons: list[str]


class Search(NamedTuple):
    """How the ground is searched: the seed, the price of leaving a grid, whether numbers of grids are kept."""

    seed: int = 0
    stay: float = 0.0
    keep_count: bool = False


def share_all(
    grounds: list[Ground],
    table: Table,
    rule: Norms,
    search: Search,
    outlook: Outlook,
    tell: Callable[[Progress], object] | None = None,
) -> tuple[list[Share], bool]:
    """The grids of every ground; and whether Ctrl-C made an end of it.

    Grounds have nothing to do with each other, so compiled they run side by side; the answer is the same. On Ctrl-C the
    search ends where it is: what was not begun has the first plan only. A second Ctrl-C is passed on.
    """
    stop = threading.Event()
    tools = engine(search.seed, len(table.code), stop)._replace(weights=rule.weights, stay=search.stay)
    workers = min(len(grounds), os.cpu_count() or 1) if tools.fast else 1
    with ThreadPoolExecutor(max(1, workers)) as pool:
        # The search runs beside this thread, so that Ctrl-C never comes between two steps of it.
        jobs: list[Future[Share]] = []

        def begin(own: list[Ground]) -> None:
            for ground in own:
                jobs.append(pool.submit(_shared, ground, table, rule, tools, search.keep_count))

        def told(done: int) -> None:
            if tell is not None:
                tell(Progress(done, outlook))

        try:
            told(0)
            begin(grounds)
            waiting = set(jobs)
            while waiting:
                waiting = wait(waiting, timeout=_TELL_S).not_done
                told(len(jobs) - len(waiting))
        except KeyboardInterrupt:
            stop.set()
            begin(grounds[len(jobs) :])
            wait(jobs)
        return [job.result() for job in jobs], stop.is_set()


def _shared(ground: Ground, table: Table, rule: Norms, tools: Engine, keep_count: bool) -> Share:
    """The grids of one ground: heavy blocks alone, the rest shared out, then all polished together."""
    piece, target = ground.piece, ground.target
    # Each ground draws its own numbers, whatever the other grounds are.
    tools = tools._replace(seed=tools.seed + crc32(str(table.code[ground.rows[0]]).encode()))
    label, reasons = _drafted(ground, rule, tools, keep_count)
    if piece.load.sum() > 0:
        piece = piece._replace(home=followed(label, piece) if tools.stay > 0 else None)
        label = _settled(piece, label, target, rule, tools)
        label = _opened(piece, label, target, rule, tools)
    load = np.bincount(label, piece.load, len(reasons))
    off = np.abs(load / target - 1) > rule.tolerance
    given = ["" if not o else "no households" if h == 0 else r for o, h, r in zip(off, load, reasons, strict=True)]
    blocks = [ground.rows[label[ground.atom] == grid] for grid in range(len(reasons))]
    return Share(blocks, target, ground.kind, given)


def _drafted(ground: Ground, rule: Norms, tools: Engine, keep_count: bool) -> tuple[Ints, list[str]]:
    """A plan of the parts of a ground: the grid of each atom, and why each grid may be off norm."""
    piece, target = ground.piece, ground.target
    label = np.zeros(len(piece.load), dtype=np.int64)
    label[ground.heavy] = np.arange(len(ground.heavy))
    reasons = ["indivisible block"] * len(ground.heavy)
    for own in ground.left_over:
        label[own] = _beside(piece, own, ground.heavy)
    for own, counts, fits, reason in ground.parts:
        part = subpiece(piece, own)
        shared = None
        if part.home is not None:
            taken = piece.home[ground.heavy] if piece.home is not None else np.empty(0, dtype=np.int64)
            shared = from_before(part, taken, counts, target, rule.tolerance, tools, keep_count)
        if shared is None:
            shared = _best(part, counts, target, rule.tolerance, tools)
        label[own] = len(reasons) + shared
        count = int(shared.max()) + 1
        if keep_count:
            fits = abs(float(part.load.sum()) / count / target - 1) <= rule.tolerance
        reasons += ["no better cut found" if fits else reason] * count
    return label, reasons


def _settled(piece: Piece, label: Ints, target: float, rule: Norms, tools: Engine) -> Ints:
    """`label` after single moves over the whole piece, heavy blocks included."""
    count = int(label.max()) + 1
    if count < 2 or tools.stop.is_set():
        return label
    draft = Draft(piece, count, target, rule.tolerance, tools, 0)
    draft.start_from(label)
    draft.move()
    return draft.labels()


def _opened(piece: Piece, label: Ints, target: float, rule: Norms, tools: Engine) -> Ints:
    """`label` with a way out for grids inside others, unless too much would leave the grid that it comes from."""
    opened = open_enclaves(piece, label, target, rule.tolerance)
    if piece.home is None or (opened == label).all():
        return opened
    moved: Floats = piece.load / target
    more = float(moved[opened != piece.home].sum() - moved[label != piece.home].sum())
    return opened if tools.stay * more <= _OPENING else label


def _beside(piece: Piece, own: Ints, heavy: Ints) -> int:
    """Which of the heavy atoms (position in `heavy`) has the dearest border with the atoms `own`."""
    a, b = piece.pairs.T
    cost = [
        float(piece.cost[(np.isin(a, own) & (b == h)) | (np.isin(b, own) & (a == h))].sum()) for h in heavy.tolist()
    ]
    return int(np.argmax(cost))


def _best(piece: Piece, counts: list[int], target: float, tolerance: float, tools: Engine) -> Ints:
    """The plan with the fewest grids off norm, of the first count that reaches it."""
    best, least = np.zeros(len(piece.load), dtype=np.int64), len(piece.load) + 1
    for count in counts:
        label = share_out(piece, count, target, tolerance, tools)
        off = int((np.abs(np.bincount(label, piece.load) / target - 1) > tolerance).sum())
        if off < least:
            best, least = label, off
        if off == 0 or tools.stop.is_set():
            break
    return best
