"""Who receives a piece of contested ground.

A polygon that is laid over others with all its ground keeps it; otherwise the piece goes to the one of those over it,
or beside it, that comes first: by the longest border with it, by size, by load, or by a column of priorities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import shapely

from gridgis.plan.checking.ruler import Bools, Floats
from gridgis.plan.checking.segments import Ints
from gridgis.plan.checking.tiling import Objects
from gridgis.plan.mending.contested import NOBODY, Contested, Piece, Place, lies_beyond

#: The piece stays as it is: nobody may have it.
STAYS = -2
#: Of two polygons whose areas differ by no more than this share, neither is the smaller one: they may be copies.
_SAME_SIZE = 1e-8

Receiver = Literal["longest_border", "largest", "smallest", "least_load"]


@dataclass(frozen=True)
class Policy:
    """Who comes first. Arrays have one entry a polygon.

    Attributes
    ----------
    receiver : str
        longest_border, largest, smallest or least_load.
    area, load : array of float
        m²; what counts as load (NaN is none).
    priority : array of float
        The lowest comes first, before everything else; NaN last.
    protected : array of bool
        Neither gains nor loses.
    rank : array of int
        Breaks ties: the position by code.
    """

    receiver: Receiver
    area: Floats
    load: Floats
    priority: Floats
    protected: Bools
    rank: Ints

    def of(self, rows: Ints) -> Policy:
        """The policy for some of the polygons."""
        area, load, priority = (column[rows] for column in (self.area, self.load, self.priority))
        return Policy(self.receiver, area, load, priority, self.protected[rows], self.rank[rows])

    def first(self, candidates: Iterable[int], border: dict[int, float]) -> int:
        """The candidate that comes first, given the length of each one's border with the piece."""

        def key(row: int) -> tuple[float, ...]:
            # Micrometres of border decide nothing: they are noise of coordinates.
            length = -round(border.get(row, 0.0), 6)
            by_size = {"largest": -self.area[row], "smallest": self.area[row], "least_load": self.load[row]}
            size = by_size.get(self.receiver, 0.0)
            return (
                _last(self.priority[row]),
                _last(size),
                length,
                float(self.rank[row]),
            )

        return min(candidates, key=key)


def _last(value: float) -> float:
    return float("inf") if np.isnan(value) else float(value)


def receivers_of(contested: Contested, polygons: Objects, place: Place, policy: Policy) -> list[int]:
    """Per piece the polygon that gets it, :data:`~gridgis.plan.mending.contested.NOBODY` outside, or :data:`STAYS`.

    Pieces under several polygons come first, then what lies outside, then what nobody covers, from its edges inwards.
    """
    to: list[int | None] = [None] * len(contested.pieces)
    lengths = contested.plan.edge_lengths(place.ruler.unit_m)
    whole = _without_own_ground(contested, polygons, place)
    beyond = [lies_beyond(contested, piece) for piece in contested.pieces]

    def borders(at: int) -> dict[int, float]:
        """Metres of border of a piece with each polygon that has the ground beyond it to itself."""
        out: dict[int, float] = {}
        for edge, owner in zip(contested.pieces[at].edges.tolist(), owners_beyond(beyond[at], to), strict=True):
            if owner >= 0:
                out[owner] = out.get(owner, 0.0) + float(lengths[edge])
        return out

    order = sorted(range(len(to)), key=lambda at: _sort_key(contested.pieces[at], policy))
    for at in order:
        piece = contested.pieces[at]
        if piece.to != NOBODY:
            to[at] = piece.to
        elif not piece.on_ground:
            to[at] = _outside(piece, policy)
        elif piece.over:
            to[at] = _among(piece, borders(at), whole, place, policy)
    waiting = [at for at in order if to[at] is None]
    while waiting:
        found = {at: _beside(contested.pieces[at], borders(at), place, policy) for at in waiting}
        settled = {at: row for at, row in found.items() if row is not None}
        if not settled:
            break
        for at, row in settled.items():
            to[at] = row
        waiting = [at for at in waiting if at not in settled]
    for at in waiting:
        # Small parts of several polygons, one on the other, with nobody beside them: one keeps its own.
        piece = contested.pieces[at]
        if len(piece.held()) > 1:
            held = {row for row in piece.held() if may_have(row, piece, place)}
            to[at] = policy.first(sorted(held), {}) if held else None
    _leave_none_empty(to, contested, whole, policy)
    return [STAYS if row is None else row for row in to]


def owners_beyond(beyond: Sequence[tuple[int, frozenset[int]]], to: Sequence[int | None]) -> list[int]:
    """For each edge of an outline the polygon that has the ground beyond it to itself, or a negative number.

    `beyond` is what :func:`~gridgis.plan.mending.contested.lies_beyond` gives, `to` the receivers that are known so
    far.
    """
    out = []
    for other, over in beyond:
        owner = to[other] if other >= 0 else (next(iter(over)) if len(over) == 1 else NOBODY)
        out.append(NOBODY if owner is None else owner)
    return out


def _sort_key(piece: Piece, policy: Policy) -> tuple[int, int, tuple[float, float], list[int]]:
    return (len(piece.over) == 0, len(piece.over), piece.place, sorted(int(policy.rank[row]) for row in piece.over))


def _without_own_ground(contested: Contested, polygons: Objects, place: Place) -> dict[int, float]:
    """The polygons all of whose ground is contested, with the m² of it that lie inside."""
    shared: dict[int, float] = {}
    inside: dict[int, float] = {}
    for piece in contested.pieces:
        # In the plane of the coordinates: a polygon and its faces, cut at more places, differ in a projected one.
        plane = float(shapely.area(contested.plan.faces[piece.faces]).sum())
        for row in piece.held():
            if row in piece.over or shapely.get_num_geometries(polygons[row]) > 1:  # else it was to be emptied
                shared[row] = shared.get(row, 0.0) + plane
                inside[row] = inside.get(row, 0.0) + (piece.area if piece.on_ground else 0.0)
    rows = np.array(sorted(shared), dtype=np.int64)
    slack = place.ruler.noise * shapely.length(polygons[rows])
    own = shapely.area(polygons[rows]) - np.array([shared[row] for row in rows.tolist()])
    return {row: inside[row] for row in rows[own <= slack].tolist()}


def _outside(piece: Piece, policy: Policy) -> int:
    """Nobody's; but a protected polygon keeps what it has, and so will one with no other ground: that is reported."""
    protected = [row for row in piece.over if policy.protected[row]]
    return NOBODY if not protected else protected[0] if len(protected) == 1 else STAYS


def _among(piece: Piece, border: dict[int, float], whole: dict[int, float], place: Place, policy: Policy) -> int | None:
    """One of those over the piece; None where none of them belongs into its parent, so that others are asked."""
    protected = [row for row in piece.over if policy.protected[row]]
    if protected:
        return protected[0] if len(protected) == 1 else STAYS
    candidates = [row for row in piece.over if may_have(row, piece, place)]
    if not candidates:
        return None
    covered = [row for row in candidates if row in whole]
    if covered:
        # What lies wholly in others is cut out of them: the smallest first, for others may lie round it.
        least = min(whole[row] for row in covered)
        candidates = [row for row in covered if whole[row] <= least * (1 + _SAME_SIZE)]
    return policy.first(candidates, border)


def may_have(row: int, piece: Piece, place: Place) -> bool:
    """Whether a polygon belongs into the parent that the piece lies in."""
    if piece.parent < 0 or len(place.parent_of) == 0:
        return True
    return int(place.parent_of[row]) in (NOBODY, piece.parent)


def _beside(piece: Piece, border: dict[int, float], place: Place, policy: Policy) -> int | None:
    """One of those beside a piece that nobody covers, or nobody over it may have; None as long as there is none."""
    if any(policy.protected[row] for row in piece.over):
        return STAYS
    candidates = [row for row in border if not policy.protected[row] and may_have(row, piece, place)]
    return policy.first(candidates, border) if candidates else None


def _leave_none_empty(to: list[int | None], contested: Contested, whole: dict[int, float], policy: Policy) -> None:
    """See to it that no polygon loses all its ground, unless it is a further copy of another.

    One that would gets its largest piece from somebody who has more; if nobody has, what it has outside stays its own,
    and the rest stays under all of them.
    """
    over: dict[int, list[int]] = {}
    for at, piece in enumerate(contested.pieces):
        for row in piece.held():
            over.setdefault(row, []).append(at)
    copies: dict[tuple[int, ...], list[int]] = {}
    for row in sorted(whole, key=lambda r: int(policy.rank[r])):
        # What they have outside, and lose, does not make copies different.
        inside = tuple(at for at in over[row] if contested.pieces[at].on_ground)
        copies.setdefault(inside or tuple(over[row]), []).append(row)
    for pieces, rows in copies.items():
        if any(to[at] in rows or to[at] in (None, STAYS) for at in pieces):
            continue
        won = {winner: [at for at, row in enumerate(to) if row == winner] for winner in {to[at] for at in pieces}}
        there = [at for at in pieces if contested.pieces[at].on_ground]
        spare = [at for at in there if to[at] not in whole or len(won[to[at]]) > 1]
        if spare:
            to[max(spare, key=lambda at: contested.pieces[at].area)] = policy.first(rows, {})
        else:
            for at in pieces:
                to[at] = STAYS if contested.pieces[at].on_ground else policy.first(rows, {})
