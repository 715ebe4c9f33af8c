"""Reception hours: written, read, asked; and what is not certain is not read."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridgis.publish.hours import is_open, next_opening, read_hours

NAMES = "一二三四五六日"
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31))


@st.composite
def weeks(draw: st.DrawFn) -> tuple[str, dict[int, list[tuple[int, int]]]]:
    """A text of hours, and the minutes of each day that it means."""
    days = draw(st.lists(st.integers(0, 6), min_size=1, unique=True))
    cuts = draw(st.lists(st.integers(0, len(days)), max_size=2))
    edges = sorted({0, len(days), *cuts})
    said, meant = [], {}
    for first, last in pairwise(edges):
        group = days[first:last]
        times = sorted(draw(st.lists(st.integers(0, 1440), min_size=2, max_size=6, unique=True)))
        spans = list(zip(times[::2], times[1::2], strict=False))
        dash = draw(st.sampled_from("-–—~～至到"))
        hours = draw(st.sampled_from("、，")).join(
            f"{a // 60}:{a % 60:02d}{dash}{b // 60:02d}:{b % 60:02d}" for a, b in spans
        )
        week = draw(st.sampled_from(("周", "每周", "星期", "礼拜")))
        listed = draw(st.sampled_from("、，和")).join(week + NAMES[day] for day in group)
        said.append(f"{listed}{draw(st.sampled_from(('', ' ', '：')))}{hours}")
        meant.update(dict.fromkeys(group, spans))
    return draw(st.sampled_from("；，")).join(said), meant


@given(weeks(), MOMENTS)
def test_what_is_written_is_what_is_meant(written: tuple[str, dict[int, list[tuple[int, int]]]], at: datetime) -> None:
    text, meant = written
    week = read_hours(text)
    assert week is not None
    assert sum(b - a for a, b in week) == sum(b - a for spans in meant.values() for a, b in spans)
    minute = 60 * at.hour + at.minute
    assert is_open(week, at) == any(a <= minute < b for a, b in meant.get(at.weekday(), []))


@given(weeks(), MOMENTS)
def test_the_next_opening_is_the_next(written: tuple[str, dict[int, list[tuple[int, int]]]], at: datetime) -> None:
    week = read_hours(written[0])
    assert week is not None
    then = next_opening(week, at)
    assert at < then <= at + timedelta(days=7)
    assert is_open(week, then)
    if not is_open(week, at):
        assert not is_open(week, then - timedelta(minutes=1)) or week == ((0, 7 * 1440),)
        starts = {start for start, _ in week}
        between = int((then - at).total_seconds() // 60)
        minute = at.weekday() * 1440 + at.hour * 60 + at.minute
        assert not starts & {(minute + step) % 10080 for step in range(1, between)}


@given(weeks(), st.sampled_from(["（节假日除外）", "，预约", "；其余时间请拨打电话", "左右", "，单周", "起"]))
def test_whatever_is_added_makes_it_unsure(written: tuple[str, object], more: str) -> None:
    assert read_hours(written[0] + more) is None
    assert read_hours(more + written[0]) is None


@given(st.text(alphabet="周一二至五每日天、，；：09:30–-14 上下午24小时全天", max_size=30))
def test_no_text_is_too_odd(text: str) -> None:
    week = read_hours(text)
    if week is not None:
        assert all(0 <= a < b <= 10080 for a, b in week)
        assert all(b < c for (_, b), (c, _) in pairwise(week))


@pytest.mark.parametrize(
    ("text", "days", "spans"),
    [
        ("周一至周五 9:00–11:30、14:00–16:30", range(5), [(540, 690), (840, 990)]),
        ("每周四 14:00–17:00", [3], [(840, 1020)]),
        ("每日 8:30–11:30，14:00–17:00", range(7), [(510, 690), (840, 1020)]),
        ("周一、三、五 18:30–20:30", [0, 2, 4], [(1110, 1230)]),
        ("周一至五上午９：００－１１：３０，下午14:00-16:30", range(5), [(540, 690), (840, 990)]),
        ("星期六至星期天 全天", [5, 6], [(0, 1440)]),
        ("周末9:00-12:00。", [5, 6], [(540, 720)]),
    ],
)
def test_as_boards_write_it(text: str, days: list[int], spans: list[tuple[int, int]]) -> None:
    week = read_hours(text)
    assert week is not None
    monday = datetime(2026, 3, 2)
    for day in range(7):
        for minute in range(0, 1440, 15):
            wanted = day in days and any(a <= minute < b for a, b in spans)
            assert is_open(week, monday + timedelta(days=day, minutes=minute)) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "每日",
        "9:00–11:30",
        "工作日 9:00–11:30",
        "周一至周五",
        "周五 22:00–6:00",
        "周五 9:00–9:00",
        "周五至周一 9:00–11:00",
        "周一 9:00–12:00、11:00–14:00",
        "每日 9:00–11:00；周六 14:00–16:00",
        "周一、周一 9:00–10:00",
        "下午2:00–4:00",
        "上午9:00–14:00",
        "每日 9:00–24:30",
        "每日 9:60–10:00",
        "每日 25:00–26:00",
        "每月第一周周三 9:00–11:00",
        "周一至周五 9点–11点",
        "Mon–Fri 9:00–11:30",
        "周一至周三至周五 9:00–11:00",
        "周一至周五 9:00–11:30、",
        "周一或周二 9:00–11:00",
    ],
)
def test_what_is_unsure_is_not_read(text: str) -> None:
    assert read_hours(text) is None
