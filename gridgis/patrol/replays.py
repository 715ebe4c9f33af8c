"""The same track handed in twice: by the same or another person, shifted in time, thinned out or shaken a little.

Two honest walks of one round go through the same places, but never for long at the same pace and with the same errors
of the phone. So two tracks are compared after one of them was moved in time, and they are the same where they then stay
within a few metres of each other for minutes on end. Which pairs to compare, and by how much to move, comes from votes:
pairs of places that both tracks reached one after the other with the same time between (as songs are recognised).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Tracks are compared at fixes so many seconds apart.
_THIN_S = 5.0
#: Places are square cells of this side, in metres, and are paired with the sixth new one after them.
_CELL_M, _LAG = 25.0, 6
#: The time between both places may differ by so many seconds, and so may the shifts that vote for each other.
_BIN_S = 20.0
_VOTES = 4
#: Matches are made so many at a time, and places are looked for in so many fixes at a time.
_AT_ONCE, _ROWS = 4_000_000, 1_000_000
#: A block of so many seconds is the same where this share of it lies together; standing still says nothing.
_BLOCK_S, _SHARE, _MOVED_M = 300.0, 0.8, 50.0
#: No position is read off between fixes further apart than this, in seconds.
_HOLD_S = 60.0
#: Shifts so many seconds around the one voted for are tried; who is further apart than this, in metres, is just far.
_NEAR_S, _FAR_M = 15.0, 25.0


class Thin(NamedTuple):
    """Tracks with a fix every few seconds: number of the session, seconds since 1970, metres."""

    session: Ints
    seconds: Floats
    xy: Floats


class Match(NamedTuple):
    """Two sessions with one track: how many minutes, moved by how many seconds, how many metres apart (median)."""

    one: int
    other: int
    minutes: float
    shift_s: float
    apart_m: float
    start: float
    end: float


def thinned(session: Ints, seconds: Floats, xy: Floats) -> Thin:
    """Every first fix of five seconds, counted from the start of its session; sessions and times ascend."""
    if len(session) == 0:
        return Thin(session, seconds, xy)
    begins = np.flatnonzero(np.diff(session, prepend=-1))
    start = np.repeat(seconds[begins], np.diff(np.append(begins, len(session))))
    tick = np.floor((seconds - start) / _THIN_S)
    keep = np.concatenate([[True], (np.diff(tick) != 0) | (np.diff(session) != 0)])
    return Thin(session[keep], seconds[keep], xy[keep])


def same_tracks(thin: Thin, apart_m: float, least_min: float) -> list[Match]:
    """Pairs of sessions that hold the same track.

    Parameters
    ----------
    thin : Thin
        Of all staff; sessions count from 0 and are ascending.
    apart_m : float
        Positions this near to each other, in metres, are the same.
    least_min : float
        Shorter matches, in minutes, are chance.

    Returns
    -------
    list of Match
        In the order of `one`, the session that began later, and `other`. ``shift_s`` is how much later it is.

    Notes
    -----
    Finds copies that were moved in time by any amount, shaken by about a metre and thinned to a fix every ten seconds
    or so. Not promised: copies that were turned, stretched in time or moved in space.
    """
    tracks = {int(thin.session[a]): (thin.seconds[a:b], thin.xy[a:b]) for a, b in spans(thin.session)}
    found = []
    for one, other, shift in _candidates(thin):
        match = _compare(tracks[one], tracks[other], shift, apart_m)
        if match is not None and match[0] >= least_min:
            found.append(Match(one, other, *match))
    return sorted(found)


def spans(session: Ints) -> list[tuple[int, int]]:
    """First and last (excluded) row of each run of equal numbers.

    Examples
    --------
    >>> spans(np.array([0, 0, 3])), spans(np.array([], dtype=int))
    ([(0, 2), (2, 3)], [])
    """
    begins = np.flatnonzero(np.diff(session, prepend=-1)).tolist()
    return list(zip(begins, [*begins[1:], len(session)][: len(begins)], strict=True))


def _candidates(thin: Thin) -> list[tuple[int, int, float]]:
    """Pairs (the session that began later, the other) and the shift that most of their common places vote for."""
    session, key, when, wait = _events(thin)
    begins = np.flatnonzero(np.diff(thin.session, prepend=-1))
    rank = np.zeros(int(thin.session.max(initial=-1)) + 1, dtype=np.int64)
    rank[thin.session[begins]] = np.argsort(np.lexsort((begins, thin.seconds[begins])))
    tick = np.floor(wait / _BIN_S).astype(np.int64)
    places = _mixed(key, tick)
    order = np.argsort(places, kind="stable")
    # Waits up to half a bin apart lie in two bins.
    upper = np.floor((wait + _BIN_S / 2) / _BIN_S).astype(np.int64)
    votes = []
    for asked in (_mixed(key, upper), _mixed(key, upper - 1)):
        low, high = (np.searchsorted(places[order], asked, side) for side in ("left", "right"))
        for rows in _portions(high - low):
            count = (high - low)[rows]
            one = np.repeat(rows, count)
            nth = np.arange(len(one)) - np.repeat(np.cumsum(count) - count, count)
            other = order[np.repeat(low[rows], count) + nth]
            fine = (rank[session[one]] > rank[session[other]]) & (np.abs(wait[one] - wait[other]) <= _BIN_S / 2)
            one, other = one[fine], other[fine]
            votes.append(_counted(session[one], session[other], when[one] - when[other]))
    if not votes:
        return []
    table = pd.concat(votes).groupby(["one", "other", "tick"], as_index=False)["n"].sum()
    table = table[table["n"] >= _VOTES].sort_values(["one", "other", "n", "tick"], ascending=[True, True, False, True])
    best = table.drop_duplicates(["one", "other"])
    return [(one, other, tick * _BIN_S / 2) for one, other, tick, _ in best.to_numpy().tolist()]


def _events(thin: Thin) -> tuple[Ints, Ints, Floats, Floats]:
    """Of each place reached for the first time: session, a number of it and the sixth after it, when, and the wait."""
    first, place = _first_places(thin)
    a, b = first[:-_LAG], first[_LAG:]
    same = thin.session[a] == thin.session[b]
    key = _mixed(place[:-_LAG][same], place[_LAG:][same])
    a, b = a[same], b[same]
    return thin.session[a], key, thin.seconds[a], thin.seconds[b] - thin.seconds[a]


def _first_places(thin: Thin) -> tuple[Ints, Ints]:
    """Of each place of each session the row in which it was reached first, ascending, and the number of the place."""
    parts: list[tuple[Ints, Ints]] = [(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))]
    begins, at = np.append(np.flatnonzero(np.diff(thin.session, prepend=-1)), len(thin.session)), 0
    while at < len(begins) - 1:  # whole sessions, about so many rows at a time
        until = max(int(np.searchsorted(begins, begins[at] + _ROWS, "right")) - 1, at + 1)
        rows = slice(int(begins[at]), int(begins[until]))
        cell = np.floor(thin.xy[rows] / _CELL_M).astype(np.int64)
        place = cell[:, 0] * 4_000_003 + cell[:, 1]
        _, first = np.unique(np.column_stack([thin.session[rows], place]), axis=0, return_index=True)
        first = np.sort(first)
        parts.append((first + rows.start, place[first]))
        at = until
    firsts, places = (np.concatenate(part) for part in zip(*parts, strict=True))
    return firsts, places


def _mixed(one: Ints, other: Ints) -> Ints:
    """One number of two; unlike pairs rarely share it."""
    with np.errstate(over="ignore"):
        return np.asarray(one * np.int64(-7046029254386353131) + other * np.int64(-4417276706812531889), dtype=np.int64)


def _portions(count: Ints) -> list[Ints]:
    """Rows in portions of not much more than so many matches."""
    rows = np.flatnonzero(count > 0)
    part = np.cumsum(count[rows]) // _AT_ONCE
    return [rows[part == k] for k in np.unique(part)]


def _counted(one: Ints, other: Ints, shift: Floats) -> pd.DataFrame:
    # Ticks of a whole bin that begin each half bin, so that shifts near an edge vote together.
    half = np.floor(shift / (_BIN_S / 2)).astype(np.int64)
    table = pd.DataFrame({"one": np.tile(one, 2), "other": np.tile(other, 2), "tick": np.concatenate([half, half + 1])})
    return table.groupby(["one", "other", "tick"]).size().rename("n").reset_index()


def _compare(
    one: tuple[Floats, Floats], other: tuple[Floats, Floats], shift: float, apart_m: float
) -> tuple[float, float, float, float, float] | None:
    """Minutes, shift, median distance, start and end of what is the same; None where nothing is."""
    away = _apart(one, other, shift)
    if not np.nanquantile(np.append(away, np.inf), 0.05, method="lower") <= _FAR_M:
        return None
    for offsets in (np.arange(-_NEAR_S, _NEAR_S + 1, 3.0), np.arange(-2.0, 3.0), np.arange(-4, 5) / 5):
        shift = min((shift + o for o in offsets), key=lambda s: (_score(one, other, s), abs(s)))
    seconds, xy = one
    away = _apart(one, other, shift)
    block = np.floor((seconds - seconds[0]) / _BLOCK_S).astype(np.int64)
    begins = np.flatnonzero(np.diff(block, prepend=-1))
    close = np.add.reduceat(np.nan_to_num(away, nan=np.inf) <= apart_m, begins, dtype=np.int64)
    moved = np.hypot(*(np.maximum.reduceat(xy, begins) - np.minimum.reduceat(xy, begins)).T)
    size = np.diff(np.append(begins, len(block)))
    rows = np.flatnonzero(np.repeat((close >= _SHARE * size) & (moved >= _MOVED_M), size))
    if len(rows) == 0:
        return None
    step = np.minimum(np.diff(seconds, append=seconds[-1]), _HOLD_S)
    return float(step[rows].sum() / 60), shift, float(np.nanmedian(away[rows])), seconds[rows[0]], seconds[rows[-1]]


def _score(one: tuple[Floats, Floats], other: tuple[Floats, Floats], shift: float) -> float:
    """How far apart both tracks are, what is far anyway not counted further; less is better."""
    away = _apart(one, other, shift)
    away = away[np.isfinite(away)]
    return float(np.minimum(away, _FAR_M).mean()) if len(away) else np.inf


def _apart(one: tuple[Floats, Floats], other: tuple[Floats, Floats], shift: float) -> Floats:
    """Metres between both tracks at the times of the first; NaN where the other has none."""
    seconds, xy = one
    then, there = other
    asked = seconds - shift
    if len(then) < 2:
        return np.full(len(asked), np.nan)
    after = np.clip(np.searchsorted(then, asked), 1, len(then) - 1)
    x, y = (np.interp(asked, then, there[:, axis]) for axis in (0, 1))
    out = np.hypot(xy[:, 0] - x, xy[:, 1] - y)
    out[(asked < then[0]) | (asked > then[-1]) | (then[after] - then[after - 1] > _HOLD_S)] = np.nan
    return np.asarray(out)
