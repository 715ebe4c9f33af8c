"""Reading reception hours (接待时间): who is on duty now, and when next.

Only what can be read with certainty is read: days of the week and times of a 24-hour clock. A text that says more
(holidays, seasons, every other week, by appointment) is left alone as a whole, and shown as it is written.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta

#: Spans of a week, each from a minute (included) to a minute (excluded) since Monday 0:00; sorted, apart.
Week = tuple[tuple[int, int], ...]

_DAY_MINUTES = 1440
_WEEK_MINUTES = 7 * _DAY_MINUTES
_NAMES = "一二三四五六日"

_OF_WEEK = r"每?(?:周|星期|礼拜)"
_DAY = rf"(?:{_OF_WEEK})?[{_NAMES}天]"
_DAYS = rf"每日|每天|每?周末|{_OF_WEEK}[{_NAMES}天](?:[-至到、,和]{_DAY})*"
_CLOCK = r"(?:[01]?\d|2[0-4]):[0-5]\d"
_SPAN = rf"(?:上午|下午)?{_CLOCK}[-至到](?:上午|下午)?{_CLOCK}"
_HOURS = rf"全天|24小时|{_SPAN}(?:[、,和]{_SPAN})*"
_GROUP = re.compile(rf"(?P<days>{_DAYS}):?(?P<hours>{_HOURS})(?:[;,、](?=.)|$)")


def read_hours(text: str) -> Week | None:
    """The spans of a week that a text tells, or None where it cannot be read with certainty.

    Parameters
    ----------
    text : str
        Days (每日; 周一至周五; 周一、周三、周五; 每周四; 周末) with times of a 24-hour clock (9:00–11:30、14:00–16:30;
        上午 and 下午 may stand before a time that they fit), one after the other.

    Returns
    -------
    tuple of (int, int), or None
        Minutes since Monday 0:00, sorted, spans that touch joined. None too where a day is named twice, a span is
        empty, runs past midnight or overlaps another: such a text contradicts itself.

    Notes
    -----
    Public holidays are not known here, nor leave: what is told is what was published.

    Examples
    --------
    >>> read_hours("每周四 14:00–17:00")
    ((5160, 5340),)
    >>> read_hours("周一至周五 9:00–11:30、14:00–16:30")[:2]
    ((540, 690), (840, 990))
    >>> read_hours("工作日上班时间") is None, read_hours("周五 22:00–6:00") is None
    (True, True)
    """
    plain = re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))
    plain = re.sub(r"[‐‑‒–—―−~〜]+", "-", plain).replace("。", "")
    spans: list[tuple[int, int]] = []
    named: set[int] = set()
    place = 0
    while place < len(plain):
        group = _GROUP.match(plain, place)
        if group is None:
            return None
        days, hours = _days(group["days"]), _spans(group["hours"])
        if days is None or hours is None or named & set(days):
            return None
        named.update(days)
        spans += [(day * _DAY_MINUTES + start, day * _DAY_MINUTES + end) for day in days for start, end in hours]
        place = group.end()
    return _joined(sorted(spans)) if spans else None


def is_open(week: Week, at: datetime) -> bool:
    """Whether the time `at` (local to the place) is in one of the spans.

    Examples
    --------
    >>> from datetime import datetime
    >>> week = read_hours("每日 8:30–11:30")
    >>> is_open(week, datetime(2026, 3, 2, 8, 30)), is_open(week, datetime(2026, 3, 2, 11, 30))
    (True, False)
    """
    minute = _minute(at)
    return any(start <= minute < end for start, end in week)


def next_opening(week: Week, at: datetime) -> datetime:
    """When the next span begins after `at`, both local to the place; within seven days.

    Examples
    --------
    >>> from datetime import datetime
    >>> next_opening(read_hours("每周四 14:00–17:00"), datetime(2026, 3, 2, 9, 0)).isoformat()
    '2026-03-05T14:00:00'
    """
    now = _minute(at)
    wait = min((start - now - 1) % _WEEK_MINUTES + 1 for start, _ in week)
    return at.replace(second=0, microsecond=0) + timedelta(minutes=wait)


def _minute(at: datetime) -> int:
    return at.weekday() * _DAY_MINUTES + at.hour * 60 + at.minute


def _days(text: str) -> list[int] | None:
    """Days of the week, 0 is Monday; None where one is named twice or a range runs backwards."""
    if text in ("每日", "每天"):
        return list(range(7))
    if text.endswith("周末"):
        return [5, 6]
    plain = re.sub(_OF_WEEK, "", text).replace("天", "日")
    days: list[int] = []
    for part in re.split(r"[、,和]", plain):
        ends = [_NAMES.index(name) for name in re.split(r"[-至到]", part)]
        if len(ends) > 2 or (len(ends) == 2 and ends[0] >= ends[1]):
            return None
        days += range(ends[0], ends[-1] + 1)
    return days if len(set(days)) == len(days) else None


def _spans(text: str) -> list[tuple[int, int]] | None:
    """Spans of a day in minutes; None where one is empty or overlaps the one before."""
    if text in ("全天", "24小时"):
        return [(0, _DAY_MINUTES)]
    spans: list[tuple[int, int]] = []
    for part in re.split(r"[、,和]", text):
        start, end = (_clock(side) for side in re.split(r"[-至到]", part))
        if start is None or end is None or start >= end or (spans and start < spans[-1][1]):
            return None
        spans.append((start, end))
    return spans


def _clock(text: str) -> int | None:
    """Minutes since midnight; None after 24:00, and where 上午 or 下午 does not fit a 24-hour clock."""
    half, digits = (text[:2], text[2:]) if text[0] in "上下" else ("", text)
    hour, minute = (int(part) for part in digits.split(":"))
    total = 60 * hour + minute
    noon = _DAY_MINUTES // 2
    fits = total <= noon if half == "上午" else total >= noon if half == "下午" else True
    return total if fits and total <= _DAY_MINUTES else None


def _joined(spans: list[tuple[int, int]]) -> Week:
    out: list[tuple[int, int]] = []
    for start, end in spans:
        if out and out[-1][1] == start:
            out[-1] = (out[-1][0], end)
        else:
            out.append((start, end))
    return tuple(out)
