"""The steps of cleaning on plain arrays: jumps, and lying still. Each takes fixes in order of person and time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridgis.patrol.compiled import compile_loop

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: From this many fixes the compiled loop pays for its import.
_COMPILE_FROM = 400_000


def breaks(run: Ints, seconds: Floats, xy: Floats, max_speed_mps: float) -> Bools:
    """Where a new piece begins: at a new run, and where the step before is faster than anybody walks."""
    fast = np.hypot(*np.diff(xy, axis=0).T) > max_speed_mps * np.diff(seconds)
    return np.concatenate([[True], (run[1:] != run[:-1]) | fast])


def drop_jumps(run: Ints, seconds: Floats, xy: Floats, max_speed_mps: float, gap_s: float) -> tuple[Bools, Bools, Ints]:
    """Fixes that nobody can have walked to.

    Parameters
    ----------
    run : (n,) ints
        Numbers of the runs between gaps; no line is drawn from one to the next.
    seconds, xy : (n,) and (n, 2) floats
        Times and positions in metres.
    max_speed_mps : float
        The fastest step that is walked.
    gap_s : float
        The longest time that a jump may last; what lasts longer is a place where somebody was.

    Returns
    -------
    jumps, fast : (n,) bools
        Jumps: pieces between two fast steps, left out when those around them join at walking speed and have no fewer
        fixes. Fast: single fixes with a fast step on each side (of a vehicle, or a first fix far off).
    piece : (n,) ints
        Number of the walked piece of each fix; lines are drawn within one.
    """
    alive = np.arange(len(run))
    while True:
        begins = breaks(run[alive], seconds[alive], xy[alive], max_speed_mps)
        piece = np.cumsum(begins) - 1
        first = np.flatnonzero(begins)
        last = np.append(first[1:], len(alive)) - 1
        odd = _odd_pieces(run[alive], seconds[alive], xy[alive], first, last, max_speed_mps, gap_s)
        if not odd.any():
            break
        alive = alive[~odd[piece]]
    jumps = np.ones(len(run), dtype=bool)
    jumps[alive] = False
    # A run of one fix only is somebody seen once, not somebody in a hurry.
    size = last - first + 1
    whose = run[alive[first]]
    lonely = (size == 1) & (np.bincount(whose)[whose] > 1)
    fast = np.zeros(len(run), dtype=bool)
    fast[alive] = lonely[piece]
    pieces = np.full(len(run), -1, dtype=np.int64)
    pieces[alive] = piece
    return jumps, fast, pieces


def _odd_pieces(
    run: Ints, seconds: Floats, xy: Floats, first: Ints, last: Ints, max_speed_mps: float, gap_s: float
) -> Bools:
    odd = np.zeros(len(first), dtype=bool)
    if len(first) < 3:
        return odd
    before, after = last[:-2], first[2:]
    wait = seconds[after] - seconds[before]
    size = last - first + 1
    inner = (run[before] == run[after]) & (wait <= gap_s) & (size[1:-1] <= size[:-2] + size[2:])
    inner &= np.hypot(*(xy[after] - xy[before]).T) <= max_speed_mps * wait
    # Of neighbours only every other one goes in a round: what joins A to A' is judged before A' is.
    start = inner & ~np.concatenate([[False], inner[:-1]])
    place = np.arange(len(inner))
    since = place - np.maximum.accumulate(np.where(start, place, 0))
    odd[1:-1] = inner & (since % 2 == 0)
    return odd


def cleaned_vertices(piece: Ints, xy: Floats, band_m: float) -> Bools:
    """Which fixes are vertices of the cleaned line.

    The first fix of a piece is one; so is each that lies more than `band_m` from the vertex before it. One that comes
    back to within `band_m` of the vertex before the last takes the last one away instead: a phone that lies still
    wanders out and back. This may not happen twice in a row down the same line, so that a walk to the end of a
    dead-end street and back is kept; each turn costs it up to twice the band.
    """
    x, y = np.ascontiguousarray(xy[:, 0]), np.ascontiguousarray(xy[:, 1])
    loop = compile_loop(_dead_band) if len(piece) >= _COMPILE_FROM else None
    if loop is not None:
        return np.asarray(loop(piece, x, y, band_m, np.zeros(len(piece), dtype=np.bool_)))
    # Plain lists: a loop over them is several times faster than one over an array.
    flags: Any = [False] * len(piece)
    return np.array(_dead_band(piece.tolist(), x.tolist(), y.tolist(), band_m, flags), dtype=bool)


def _dead_band(piece: Any, x: Any, y: Any, band: float, vertex: Any) -> Any:
    now = -1  # the piece
    here = before = -1  # the last vertex, and the one before it that may still be come back to
    limit = band * band
    for i in range(len(piece)):
        if piece[i] != now:
            now = piece[i]
            vertex[i] = True
            here, before = i, -1
            continue
        dx, dy = x[i] - x[here], y[i] - y[here]
        if dx * dx + dy * dy <= limit:
            continue
        if before >= 0:
            dx, dy = x[i] - x[before], y[i] - y[before]
            if dx * dx + dy * dy <= limit:
                vertex[here] = False
                here, before = before, -1
                continue
        vertex[i] = True
        before, here = here, i
    return vertex
