"""What was walked, as straight lines from fix to fix with their day and staff, and which of them come near a box."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray

from gridgis.errors import InputError
from gridgis.patrol import inside
from gridgis.patrol.tracks import in_time

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Days = NDArray[np.datetime64]
Day: TypeAlias = date | str | np.datetime64

#: Lines that follow each other are looked up together, so many at a time.
_CHUNK = 256


class Lines(NamedTuple):
    """Steps of walks: both ends (n, 4), in metres; local days; positions in `names` of who walked."""

    ends: Floats
    day: Days
    staff: Ints
    names: NDArray[Any]

    def take(self, rows: Any) -> Lines:
        return Lines(self.ends[rows], self.day[rows], self.staff[rows], self.names)

    def within(self, first: np.datetime64, last: np.datetime64) -> Lines:
        """Those of the days from `first` to `last`, both included."""
        return self.take((self.day >= first) & (self.day <= last))

    def shapes(self) -> NDArray[Any]:
        """LineStrings; a step without length is one, too."""
        return np.asarray(shapely.linestrings(self.ends.reshape(-1, 2, 2)))


def lines_of(clean: pd.DataFrame, metric: pyproj.CRS) -> Lines:
    """The lines between the kept fixes of each segment. A fix that stands alone is a step without length."""
    clean = in_time(clean[clean["kept"]])
    xy = inside.metres_of(clean, metric)
    segment = clean["segment"].to_numpy()
    same = segment[1:] == segment[:-1]
    alone = ~(np.append(same, False) | np.append(False, same)[: len(segment)])
    a = np.concatenate([np.flatnonzero(same), np.flatnonzero(alone)])
    b = np.concatenate([np.flatnonzero(same) + 1, np.flatnonzero(alone)])
    staff, names = pd.factorize(clean["staff"], sort=True)
    days = clean["date"].to_numpy().astype("datetime64[D]")
    return Lines(np.column_stack([xy[a], xy[b]]), days[a], staff[a].astype(np.int64), np.asarray(names, dtype=object))


class Near:
    """Finds the lines near a box.

    Parameters
    ----------
    lines : Lines
        Lines that follow each other in it should lie near each other, as those of a walk do.
    """

    def __init__(self, lines: Lines) -> None:
        ends = lines.ends
        self._low = np.minimum(ends[:, :2], ends[:, 2:])
        self._high = np.maximum(ends[:, :2], ends[:, 2:])
        self._first = np.arange(0, len(ends), _CHUNK)
        if len(ends):
            low, high = np.minimum.reduceat(self._low, self._first), np.maximum.reduceat(self._high, self._first)
            self._tree = shapely.STRtree(shapely.box(low[:, 0], low[:, 1], high[:, 0], high[:, 1]))

    def rows(self, box: Floats) -> Ints:
        """Positions, ascending, of the lines whose own box meets `box` (west, south, east, north)."""
        if len(self._first) == 0:
            return np.empty(0, dtype=np.int64)
        chunks = np.sort(self._tree.query(shapely.box(*box)))
        rows = (self._first[chunks][:, None] + np.arange(_CHUNK)).ravel()
        rows = rows[rows < len(self._low)]
        near = ((self._high[rows] >= box[:2]) & (self._low[rows] <= box[2:])).all(axis=1)
        return np.asarray(rows[near], dtype=np.int64)


def period(when: Days, start: Day | None, end: Day | None) -> tuple[np.datetime64, np.datetime64]:
    """First and last day: those named, else those of the walks.

    Raises
    ------
    InputError
        Without walks and days; when the last day lies before the first.
    """
    if len(when) == 0 and (start is None or end is None):
        raise InputError(
            "no fix is left after cleaning, so the period is unknown", remedy="Name it by its first and last day."
        )
    first = when.min() if start is None else np.datetime64(pd.Timestamp(start), "D")
    last = when.max() if end is None else np.datetime64(pd.Timestamp(end), "D")
    if last < first:
        raise InputError("the period ends before it begins", found=f"{first} to {last}")
    return first, last


def windows(first: np.datetime64, last: np.datetime64, days: int | Any) -> tuple[Days, Days]:
    """First and last day of every window of each length; one, cut to the period, where that is shorter.

    Examples
    --------
    >>> starts, ends = windows(np.datetime64("2026-03-02"), np.datetime64("2026-03-04"), [2])
    >>> starts.astype(str).tolist(), ends.astype(str).tolist()
    (['2026-03-02', '2026-03-03'], ['2026-03-03', '2026-03-04'])
    """
    lengths = window_lengths(days)
    day = np.timedelta64(1, "D")
    starts = [np.arange(first, max(last - (n - 1) * day, first) + day) for n in lengths]
    ends = [np.minimum(s + (n - 1) * day, last) for s, n in zip(starts, lengths, strict=True)]
    return np.concatenate(starts), np.concatenate(ends)


def window_lengths(days: int | Any) -> list[int]:
    """The lengths of windows, ascending, each once.

    Raises
    ------
    InputError
        None, or one shorter than a day.
    """
    lengths = sorted({days}) if isinstance(days, int) else sorted({int(n) for n in days})
    if not lengths or lengths[0] < 1:
        raise InputError("a window has at least one day", found=", ".join(map(repr, lengths)))
    return lengths
