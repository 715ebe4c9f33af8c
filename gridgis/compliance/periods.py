"""Days, working days and the longer spans of the calendar: weeks, months, quarters, half-years, years."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gridgis.profile import Calendar, Parameters

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAY = pd.Timedelta(days=1)
#: Months of the spans that are longer than a week.
_MONTHS = {"month": 1, "quarter": 3, "half-year": 6, "year": 12}


def span_of(period: str) -> str:
    """The span that a period is judged by: a rule of "day or week" by the week, the weaker of both."""
    return "week" if period == "day or week" else period


def starts(days: pd.Series, period: str, parameters: Parameters) -> pd.Series:
    """The first day of the span in which each day lies.

    Examples
    --------
    >>> days = pd.Series(pd.to_datetime(["2026-03-04", "2026-08-31"]))
    >>> [starts(days, p, Parameters()).dt.strftime("%m-%d").tolist() for p in ("week", "quarter", "half-year")]
    [['03-02', '08-31'], ['01-01', '07-01'], ['01-01', '07-01']]
    """
    if period in ("day", "working day"):
        return days
    if period == "week":
        since = (days.dt.day_of_week - WEEKDAYS.index(parameters.week_start)) % 7
        return days - pd.to_timedelta(since, unit="D")
    months = _MONTHS[period]
    month = (days.dt.month - 1) // months * months + 1
    return pd.to_datetime({"year": days.dt.year, "month": month, "day": 1}).astype("datetime64[us]")


def ends(first: pd.Series, period: str) -> pd.Series:
    """The last day of the spans that begin on `first`."""
    if period in ("day", "working day"):
        return first
    if period == "week":
        return first + 6 * DAY
    return first + pd.DateOffset(months=_MONTHS[period]) - DAY


def spans(first: pd.Timestamp, last: pd.Timestamp, period: str, parameters: Parameters) -> pd.DataFrame:
    """The spans that a time touches: from, to, and how many of their days lie in it and altogether."""
    days = pd.Series(pd.date_range(first, last)).astype("datetime64[us]")
    begin = starts(days, period, parameters).drop_duplicates().reset_index(drop=True)
    end = ends(begin, period).astype("datetime64[us]")
    inside = (end.clip(upper=last) - begin.clip(lower=first)) // DAY + 1
    return pd.DataFrame({"from": begin, "to": end, "inside": inside, "days": (end - begin) // DAY + 1})


def cut_text(period: str, inside: pd.Series, days: pd.Series) -> pd.Series:
    """What is said of a span that the data do not cover whole."""
    return f"{period} cut by the period: " + inside.astype(str) + " of " + days.astype(str) + " days"


def working(days: Any, parameters: Parameters, calendar: Calendar) -> NDArray[np.bool_]:
    """Whether each day is worked on: by the week of the profile, but for its holidays and the days made up for them.

    Examples
    --------
    >>> from datetime import date
    >>> days = pd.to_datetime(["2026-05-01", "2026-05-02", "2026-05-09"])
    >>> working(days, Parameters(), Calendar((date(2026, 5, 1),), (date(2026, 5, 9),))).tolist()
    [False, False, True]
    """
    index = pd.DatetimeIndex(days)
    usual = np.isin(index.day_of_week, parameters.weekdays)
    holidays, workdays = (index.isin(pd.to_datetime(list(d))) for d in (calendar.holidays, calendar.workdays))
    return np.asarray((usual & ~holidays) | workdays)
