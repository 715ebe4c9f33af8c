"""The words on a picture of a plan: codes and loads, names along roads, scale, legend; how classes are drawn.

Chinese is written where the machine has a font for it, else English alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gridgis.plan.faces.network import Lines, Shapes
from gridgis.schema import BARRIER_CLASSES, codes_as_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Fonts with Chinese, the first that is there is taken.
CHINESE_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei",
    "PingFang SC", "Microsoft YaHei", "SimHei", "Noto Serif CJK SC",
)  # fmt: skip

INK, HALO = "#1c1c1c", "#ffffff"

#: Points of names, codes and the smallest of these; a name stands a second time this far away.
_NAME_PT, _CODE_PT, _LEAST_PT, _AGAIN_PT = 7.0, 9.0, 5.0, 150.0


class Style(NamedTuple):
    """How a class of barrier is drawn: Chinese and English word, colour, width in points, dashes, colour underneath."""

    zh: str
    en: str
    colour: str
    width: float
    dashes: Any = "-"
    under: str | None = None


#: Classes differ by width and dashes too, so that they can be told apart in grey.
STYLES = {
    "river": Style("河道", "river", "#2f7fc1", 1.8),
    "railway": Style("铁路", "railway", "#ffffff", 1.2, (0, (4, 3)), "#3c3c3c"),
    "expressway": Style("快速路", "expressway", "#b3470b", 3.0),
    "main": Style("主干路", "main road", "#d1700f", 2.2),
    "secondary": Style("次要道路", "secondary road", "#a98326", 1.4),
    "lane": Style("街巷", "lane", "#9a9a9a", 0.6),
    "wall": Style("围墙", "wall", "#7a4b7a", 0.7, (0, (1, 1.5))),
}


class Words:
    """Chinese and English where there is a Chinese font, else English."""

    def __init__(self, chinese: str | None) -> None:
        self.chinese = chinese
        self.family = [chinese, "DejaVu Sans"] if chinese else ["DejaVu Sans"]

    def __call__(self, zh: str, en: str) -> str:
        return f"{zh} {en}" if self.chinese else en

    def writable(self, text: str) -> bool:
        """Whether the font has the letters: any with Chinese, Latin ones alone without."""
        return self.chinese is not None or all(ord(letter) < 0x2E80 for letter in text)


def chinese_font() -> str | None:
    """The name of an installed font with Chinese, None where there is none."""
    from matplotlib.font_manager import fontManager

    known = {font.name for font in fontManager.ttflist}
    return next((name for name in CHINESE_FONTS if name in known), None)


def write_codes(ax: Axes, grids: gpd.GeoDataFrame, shapes: Shapes, words: Words, placed: list[Any]) -> str:
    """Write the code and households of each grid where it is widest; what all codes begin with is returned."""
    codes = codes_as_text(grids["code"]).fillna("").tolist()
    prefix = _common(codes)
    widest = shapely.maximum_inscribed_circle(shapely.make_valid(shapes), tolerance=1.0)
    scale = _points_per_metre(ax)
    for code, load, line in zip(codes, _loads(grids, words), widest, strict=True):
        (x, y), radius = shapely.get_coordinates(line)[0], shapely.length(line) * scale
        text = code.removeprefix(prefix)
        size = float(np.clip(1.5 * radius / max(len(text), 2) + 2, _LEAST_PT, _CODE_PT))
        told = load if _fits(load, size - 2.5, radius) else ""
        style: dict[str, Any] = {
            "ha": "center", "color": INK, "zorder": 12, "family": words.family, "path_effects": _halo(2.2),
        }  # fmt: skip
        placed.append(ax.text(x, y, text, va="bottom" if told else "center", fontsize=size, weight="bold", **style))
        if told:
            placed.append(ax.text(x, y, told, va="top", fontsize=size - 2.5, linespacing=1.0, **style))
    return prefix


def _loads(grids: gpd.GeoDataFrame, words: Words) -> list[str]:
    """Households of each grid, and how far it is off the norm where it has a reason to be."""
    none = [None] * len(grids)
    counts = grids["households"].tolist() if "households" in grids.columns else none
    off = grids["deviation"].tolist() if {"deviation", "reason"} <= set(grids.columns) else none
    reasons = grids["reason"].tolist() if "reason" in grids.columns else none
    told = []
    for count, deviation, reason in zip(counts, off, reasons, strict=True):
        load = "" if pd.isna(count) else f"{int(count)} 户" if words.chinese else f"{int(count)} hh"
        known = load and not pd.isna(deviation) and isinstance(reason, str) and reason
        told.append(f"{load}\n{deviation:+.0%}" if known else load)
    return told


def _fits(text: str, size: float, radius: float) -> bool:
    """Whether lines under a code stay in a circle (points) around it; the corners may stick out a little."""
    lines = text.split("\n")
    wide = max(_ems(line) for line in lines) * size / 2
    return float(np.hypot(wide, 1.3 * size * len(lines))) < 1.35 * radius


def _ems(text: str) -> float:
    """About how wide a text is, in font sizes."""
    return sum(1.05 if ord(letter) >= 0x2E80 else 0.6 for letter in text)


def _common(codes: list[str]) -> str:
    """What all codes begin with, so that at least two characters are left of each."""
    if len(codes) < 2:
        return ""
    low, high = min(codes), max(codes)
    same = next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[: max(0, min(same, min(len(code) for code in codes) - 2))]


def write_road_names(ax: Axes, lines: Lines, words: Words, placed: list[Any]) -> None:
    """Write the names of rivers and larger roads along them, the longest first, where nothing stands yet."""
    large = lines.rank <= BARRIER_CLASSES.index("secondary")
    names = sorted({n for n in lines.name[large] if n is not None and words.writable(n)})
    runs = []
    for name in names:
        own = shapely.line_merge(shapely.union_all(lines.shapes[large & (lines.name == name)]))
        runs += [(float(shapely.length(part)), name, part) for part in shapely.get_parts(own)]
    boxes = [text.get_window_extent().expanded(1.05, 1.1) for text in placed]
    said: dict[str, list[Any]] = {}
    for metres, name, part in sorted(runs, key=lambda run: (-run[0], run[1])):
        # Once more only far away: a road of two carriageways is one road.
        apart = [float(shapely.distance(part, place)) for place in said.get(name, [])]
        if len(apart) < 2 and all(far > _AGAIN_PT / _points_per_metre(ax) for far in apart):
            place = _write_along(ax, name, part, metres, words, boxes)
            said.setdefault(name, []).extend([] if place is None else [place])


def _write_along(ax: Axes, name: str, line: Any, metres: float, words: Words, boxes: list[Any]) -> Any:
    """Write a name on a line where it is long and straight enough and nothing stands; the place, None without one."""
    wide = _NAME_PT * _ems(name) / _points_per_metre(ax)
    if metres < 1.1 * wide:
        return None
    for share in (0.5, 0.35, 0.65, 0.2, 0.8):
        middle = share * metres
        if middle < wide / 2 or middle > metres - wide / 2:
            continue
        (x0, y0), (x, y), (x1, y1) = (
            shapely.get_coordinates(shapely.line_interpolate_point(line, middle + way))[0]
            for way in (-wide / 2, 0, wide / 2)
        )
        if np.hypot(x1 - x0, y1 - y0) < 0.97 * wide:
            continue
        turn = (np.degrees(np.arctan2(y1 - y0, x1 - x0)) + 90) % 180 - 90
        text = ax.text(
            x, y, name, ha="center", va="center", fontsize=_NAME_PT, rotation=turn, rotation_mode="anchor",
            zorder=11, color="#3a2a10", family=words.family, path_effects=_halo(1.8),
        )  # fmt: skip
        box = text.get_window_extent()
        if not any(box.overlaps(other) for other in boxes):
            boxes.append(box)
            return shapely.Point(x, y)
        text.remove()
    return None


def _halo(width: float) -> list[Any]:
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width, foreground=HALO)]


def _points_per_metre(ax: Axes) -> float:
    (x0, _), (x1, _) = ax.transData.transform([(0.0, 0.0), (1000.0, 0.0)])
    return float((x1 - x0) / 1000 * 72 / ax.figure.dpi)


def scale_and_north(ax: Axes, words: Words) -> None:
    """A bar of a round length and an arrow to the north, in the corners of the map's frame."""
    west, east = ax.get_xlim()
    south, north = ax.get_ylim()
    about = (east - west) / 5
    step = 10 ** np.floor(np.log10(about))
    metres = float(step * max(m for m in (1, 2, 5) if m * step <= about))
    told = f"{metres:g} m" if metres < 1000 else f"{metres / 1000:g} km"
    x, y = east - 0.02 * (east - west), south + 0.02 * (north - south)
    ax.plot([x - metres, x - metres / 2], [y, y], color=INK, linewidth=5, solid_capstyle="butt", zorder=13)
    ax.plot([x - metres / 2, x], [y, y], color="#9a9a9a", linewidth=5, solid_capstyle="butt", zorder=13)
    style: dict[str, Any] = {"color": INK, "zorder": 13, "family": words.family, "path_effects": _halo(2.5)}
    ax.annotate(told, (x - metres / 2, y), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=8, **style)
    ax.annotate(
        "北 N" if words.chinese else "N", xy=(0.975, 0.985), xytext=(0.975, 0.92), xycoords="axes fraction",
        ha="center", va="top", fontsize=9, arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.5}, **style,
    )  # fmt: skip


def write_title(figure: Figure, words: Words, title: tuple[str, str]) -> None:
    """The title in Chinese, with English under it."""
    tall = figure.get_figheight()
    for text, down, size in zip(title if words.chinese else title[1:], (0.1, 0.4), (14, 10), strict=False):
        place = 1 - down / tall
        figure.text(0.015, place, text, va="top", fontsize=size, weight="bold", color=INK, family=words.family)


def legend(
    figure: Figure, words: Words, classes: list[str], prefix: str, sources: Sequence[str], *, blocks: bool, loads: bool
) -> None:
    """What lines and figures mean, and the sources, below the map."""
    from matplotlib.lines import Line2D

    entries = [Line2D([], [], color=INK, linewidth=2.8, label=words("网格界", "grid border"))]
    if blocks:
        entries.append(Line2D([], [], color="#8c8c8c", linewidth=0.8, label=words("街坊界", "block border")))
    for name in classes:
        style = STYLES[name]
        entries.append(
            Line2D([], [], color=style.under or style.colour, linewidth=style.width, linestyle=style.dashes,
                   label=words(style.zh, style.en))
        )  # fmt: skip
    tall = figure.get_figheight()
    columns = 5 if figure.get_figwidth() > 6 else 3
    figure.legend(
        handles=entries, loc="lower left", bbox_to_anchor=(0.005, 0.38 / tall), ncols=columns,
        frameon=False, prop={"family": words.family, "size": 8}, handlelength=2.6, columnspacing=1.4,
    )  # fmt: skip
    notes = [words(f"编码前省略 {prefix}", f"codes begin with {prefix}")] if prefix else []
    notes += [words("户数，超标者注偏差", "households, and the deviation where off the norm")] if loads else []
    for text, up in (("  ·  ".join(notes), 0.25), ("  ·  ".join(sources), 0.08)):
        figure.text(0.015, up / tall, text, fontsize=7.5, color="#444444", family=words.family)
