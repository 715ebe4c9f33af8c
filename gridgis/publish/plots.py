"""Plots for notebooks: a calendar of days, coverage over time, hours and kilometres against the minimum.

They need matplotlib (the extra ``notebooks``). Words are Chinese first where a font for it is found, else in English.
Colours can be told apart by the colour-blind, and every colour has a sign or a pattern beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gridgis.errors import InputError
from gridgis.profile import Profile
from gridgis.publish.rule_words import SIGNS, rule_mark, rule_name, unit_words
from gridgis.publish.words import RESULTS

#: Fonts with Chinese letters, the first that is found is used.
CHINESE_FONTS = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei",
    "Microsoft YaHei", "PingFang SC", "SimHei", "Noto Sans CJK JP", "Droid Sans Fallback",
)  # fmt: skip
_COLOURS = {"kept": "#cfe3f2", "missed": "#b3400c", "excused": "#dfe4e8", "undecided": "#e0d2f0", "no data": "#ffffff"}
_INK = {"kept": "#0b5a8f", "missed": "#ffffff", "excused": "#47525d", "undecided": "#6b3fa0", "no data": "#8a949e"}
_WORST = ("missed", "undecided", "excused", "kept", "no data")
_BLUE = "#1c5f94"
_BARS = {"missed": "#b3400c", "excused": "#5f6b76", "undecided": "#6b3fa0", "no data": "#a9b2ba"}


def plot_calendar(rules: pd.DataFrame, ax: Any = None) -> Any:
    """Each member of staff a row, each day a square with the sign of its worst result.

    Parameters
    ----------
    rules : DataFrame
        What :func:`gridgis.compliance.check_compliance` returned; the rules of a day are drawn.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        If no rule of staff was judged by the day, or matplotlib is not there.
    """
    daily = rules[rules["staff"].notna() & (rules["from"] == rules["to"]) & (rules["result"] != "no data")]
    if not len(daily):
        raise InputError("no rule of staff was judged by the day", wanted="results of check_compliance")
    order = {result: n for n, result in enumerate(_WORST)}
    worst = daily.assign(rank=daily["result"].map(order)).sort_values("rank", kind="stable")
    cells = worst.drop_duplicates(["staff", "from"])
    days, people = pd.date_range(daily["from"].min(), daily["from"].max()), sorted(set(daily["staff"]))
    ax, say = _axes(ax, (0.34 * len(days) + 2.2, 0.3 * len(people) + 1.3))
    row = {who: n for n, who in enumerate(people)}
    for who, day, result in zip(cells["staff"], cells["from"], cells["result"], strict=True):
        x, y = (day - days[0]).days, row[who]
        ax.add_patch(_square(x, y, _COLOURS[result]))
        ax.text(x, y, SIGNS[result], ha="center", va="center", color=_INK[result], fontsize=9, fontweight="bold")
    ax.set(xlim=(-0.6, len(days) - 0.4), ylim=(len(people) - 0.4, -0.6), aspect="equal")
    ax.set_xticks(range(len(days)), [f"{d.month}/{d.day}" if n % 7 == 0 else f"{d.day}" for n, d in enumerate(days)])
    ax.set_yticks(range(len(people)), people)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    shown = [r for r in _WORST if (cells["result"] == r).any()]
    ax.set_xlabel("    ".join(f"{SIGNS[r]} {say(*RESULTS[r])}" for r in shown))
    ax.set_title(say("每人每日（取最差的一条）", "Day by day: the worst of a day's rules"))
    return ax


def plot_coverage(coverage: pd.DataFrame, mark: float | None = None, ax: Any = None) -> Any:
    """The covered share of each grid over the days or windows, the mark as a dashed line.

    Parameters
    ----------
    coverage : DataFrame
        What :func:`gridgis.patrol.coverage.patrol_coverage` returned; the longest windows in it are drawn.
    mark : float, optional
        Fraction that counts as the whole grid; by default the `full_share` it was measured with.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
        At most the eight grids that were covered best are named; the others are grey.

    Raises
    ------
    InputError
        If there is no row, or matplotlib is not there.
    """
    if not len(coverage):
        raise InputError("there is no coverage to be drawn")
    length = (coverage["to"] - coverage["from"]).dt.days + 1
    some = coverage[length == length.max()]
    ax, say = _axes(ax, (7.5, 3.8))
    best = some.groupby("grid")["share"].max().sort_values(ascending=False, kind="stable").index
    styles = ("-", "--", "-.", ":")
    for n, code in enumerate(reversed(best)):
        own, place = some[some["grid"] == code].sort_values("to"), len(best) - 1 - n
        named = place < 8
        colour = _SERIES[place] if named else "#c3cad1"
        ax.plot(own["to"], 100 * own["share"], styles[place % 4] if named else "-", color=colour,
                lw=1.8 if named else 0.8, marker="o", ms=3,
                label=code if named else say("其余网格", "other grids") if place == 8 else None)  # fmt: skip
    limit = coverage.attrs.get("parameters", {}).get("full_share") if mark is None else mark
    if limit is not None:
        ax.axhline(
            100 * limit, color="#333333", ls=(0, (5, 3)), lw=1, label=say("全覆盖", "whole") + f" {100 * limit:g} %"
        )
    days = int(length.max())
    ax.set(ylim=(0, 102), ylabel=say("覆盖率 %", "share %"))
    ax.set_title(
        say(f"巡查覆盖，每 {days} 日", f"Patrol coverage, windows of {days} days")
        if days > 1
        else say("每日巡查覆盖", "Patrol coverage, day by day")
    )
    ax.set_xlabel(say("每段的末日", "last day of the window") if days > 1 else "")
    lines = [line for line in reversed(ax.get_lines()) if not line.get_label().startswith("_")]
    ax.legend(handles=lines, fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    _date_axis(ax)
    return ax


def plot_minimum(rules: pd.DataFrame, profile: Profile, rule: str, ax: Any = None) -> Any:
    """What was measured for one rule, a bar for each person, place or grid and time, against its minimum.

    Parameters
    ----------
    rules : DataFrame
        What :func:`gridgis.compliance.check_compliance` returned.
    profile : Profile
        To tell the rule's words and mark.
    rule : str
        Its id.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        If the profile has no such rule, or nothing was measured for it, or matplotlib is not there.
    """
    wanted = next((r for r in profile.rules if r.id == rule), None)
    if wanted is None:
        raise InputError(
            "the profile has no such rule", found=repr(rule), wanted=", ".join(r.id for r in profile.rules)
        )
    own = rules[(rules["rule"] == rule) & rules["value"].notna()]
    if not len(own):
        raise InputError(f"nothing was measured for rule {rule}")
    whose = own["staff"].fillna(own["target"]).fillna(own["grid"]).fillna("–")
    names, times = sorted(set(whose)), sorted(set(own["from"]))
    ax, say = _axes(ax, (max(5.0, 0.34 * len(names) + 1.6), 3.6))
    width = 0.8 / len(times)
    for n, begin in enumerate(times):
        at = own[own["from"] == begin]
        x = np.array([names.index(w) for w in whose[at.index]]) + (n - (len(times) - 1) / 2) * width
        colours = [_BARS.get(result, _BLUE) for result in at["result"]]
        bars = ax.bar(x, at["value"], width * 0.92, color=colours, edgecolor="white", lw=0.3)
        for bar, result, colour in zip(bars, at["result"], colours, strict=True):
            bar.set_hatch("///" if result == "missed" else "")
            if result != "kept":
                middle, top = bar.get_x() + bar.get_width() / 2, bar.get_height()
                ax.text(middle, top, SIGNS[result], color=colour, ha="center", va="bottom")
    if isinstance(wanted.value, float | int) and wanted.metric != "patrol_coverage":
        ax.axhline(wanted.value, color="#333333", ls=(0, (5, 3)), lw=1)
    ax.set_xticks(range(len(names)), names, rotation=90 if len(names) > 10 else 0, fontsize=8)
    zh, en = (f"{a} · {b}" for a, b in zip(rule_name(wanted), rule_mark(wanted), strict=True))
    ax.set_title(say(f"{rule} {zh}\n", en), fontsize=11)
    ax.set_ylabel(say(*unit_words(wanted.unit)))
    signs = "    ".join(f"{SIGNS[r]} {say(*RESULTS[r])}" for r in _WORST if r != "kept" and (own["result"] == r).any())
    order = say("每人从左到右：各时段", "left to right the times") if len(times) > 1 else ""
    ax.set_xlabel("\n".join(filter(None, (order, signs))), fontsize=9)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return ax


# --- what they share --------------------------------------------------------------------------------------------------

#: Okabe and Ito's colours, without yellow, and two more.
_SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#7f6fb0")


def _axes(ax: Any, size: tuple[float, float]) -> tuple[Any, Any]:
    """Axes to draw in, and a function that says a text in both languages, or in English where no font is found."""
    try:
        from matplotlib import font_manager, pyplot
    except ImportError as error:
        raise InputError("plots need matplotlib", remedy="Install gridgis with the extra notebooks.") from error
    there = {font.name for font in font_manager.fontManager.ttflist}
    font = next((name for name in CHINESE_FONTS if name in there), None)
    if font is not None:
        # Behind the usual letters: signs and digits keep their font.
        pyplot.rcParams["font.family"] = ["DejaVu Sans", font]
    if ax is None:
        _, ax = pyplot.subplots(figsize=size, layout="constrained")

    def say(chinese: str, english: str) -> str:
        return f"{chinese} {english}" if font is not None else english

    return ax, say


def _square(x: float, y: float, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.45, y - 0.45), 0.9, 0.9, facecolor=colour, edgecolor="none")


def _date_axis(ax: Any) -> None:
    from matplotlib import dates

    ax.xaxis.set_major_locator(dates.AutoDateLocator(minticks=3, maxticks=7))  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_formatter(dates.DateFormatter("%m-%d"))  # type: ignore[no-untyped-call]
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
