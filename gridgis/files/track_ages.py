"""Tracks of which only the younger days are to be kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pandas as pd


class AgedTracks:
    """Tracks in portions that note, while they are gone through, whose days are older than may be kept.

    Parameters
    ----------
    tracks : iterable of DataFrame
        What can be gone through again, as :func:`gridgis.files.stream_tracks` gives it.
    oldest : date
        The first local day that may be kept.
    timezone : str
        Of the place: it says when that day begins.

    Examples
    --------
    >>> fixes = pd.DataFrame({"staff": "w1", "time": pd.to_datetime(["2026-03-01T15:59Z", "2026-03-01T16:00Z"])})
    >>> tracks = AgedTracks([fixes], date(2026, 3, 2), "Asia/Shanghai")
    >>> [len(portion) for portion in tracks], tracks.old_days, [len(portion) for portion in tracks.young()]
    ([2], 1, [1])
    """

    def __init__(self, tracks: Iterable[pd.DataFrame], oldest: date, timezone: str) -> None:
        self._tracks, self._zone = tracks, ZoneInfo(timezone)
        self.oldest = oldest
        self._begins = pd.Timestamp(datetime.combine(oldest, time.min, self._zone).astimezone(UTC))
        self._old: set[tuple[str, pd.Timestamp]] = set()
        self._some = False

    def __iter__(self) -> Iterator[pd.DataFrame]:
        for fixes in self._tracks:
            old = fixes[fixes["time"] < self._begins]
            if len(old):
                days = old["time"].dt.tz_convert(self._zone).dt.tz_localize(None).dt.normalize()
                pairs = pd.DataFrame({"staff": old["staff"].astype(str), "day": days}).drop_duplicates()
                self._old.update(pairs.itertuples(index=False, name=None))
            self._some = self._some or bool((fixes["time"] >= self._begins).any())
            yield fixes

    @property
    def old_days(self) -> int:
        """Days of a member of staff that may not be kept, as far as the tracks were gone through."""
        return len(self._old)

    def young(self) -> Iterator[pd.DataFrame]:
        """What may be kept, portion by portion; read again, unless nothing was seen of it when they were gone through.

        Yields
        ------
        DataFrame
            The fixes of a portion from the oldest day on; a portion without any is left out.
        """
        for fixes in self._tracks if self._some else ():
            kept = fixes[fixes["time"] >= self._begins]
            if len(kept):
                yield kept
