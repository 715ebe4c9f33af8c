"""Pictures of a plan for notebooks, docs and letters: grids, blocks, barriers by class, scale, legend, sources.

Needs matplotlib (the extra ``notebooks``). Chinese is written where the machine has a font for it, else English alone.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from gridgis import crs as crs_
from gridgis.errors import InputError
from gridgis.plan.network import Floats, Ints, Shapes, barrier_lines, rim_segments
from gridgis.schema import BARRIER_CLASSES, codes_as_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Fonts with Chinese, the first that is there is taken.
CHINESE_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei",
    "PingFang SC", "Microsoft YaHei", "SimHei", "Noto Serif CJK SC",
)  # fmt: skip

#: Tints that stay apart for the colour-blind as well: they differ in lightness, and every border is drawn.
_TINTS = ("#fdf3d0", "#cfe3f2", "#f6d3b8", "#d9ead0", "#e3d6ea", "#f0f0ee", "#bcd9d6")
_INK, _HALO = "#1c1c1c", "#ffffff"


class _Style(NamedTuple):
    """How a class of barrier is drawn: Chinese and English word, colour, width in points, dashes."""

    zh: str
    en: str
    colour: str
    width: float
    dashes: Any = "-"


#: Classes differ by width and dashes too, so that they can be told apart in grey.
_STYLES = {
    "river": _Style("河道", "river", "#2f7fc1", 2.2),
    "railway": _Style("铁路", "railway", "#111111", 1.6, (0, (5, 2))),
    "expressway": _Style("快速路", "expressway", "#b3470b", 3.0),
    "main": _Style("主干路", "main road", "#d1700f", 2.2),
    "secondary": _Style("次要道路", "secondary road", "#a98326", 1.4),
    "lane": _Style("街巷", "lane", "#9a9a9a", 0.6),
    "wall": _Style("围墙", "wall", "#7a4b7a", 0.7, (0, (1, 1.5))),
}

_NAME_PT, _CODE_PT, _LEAST_PT = 7.0, 9.0, 5.0


def draw_plan(
    grids: gpd.GeoDataFrame,
    *,
    barriers: gpd.GeoDataFrame | None = None,
    blocks: gpd.GeoDataFrame | None = None,
    boundary: gpd.GeoDataFrame | None = None,
    water: gpd.GeoDataFrame | None = None,
    title: tuple[str, str] = ("网格", "Grids"),
    sources: Sequence[str] = (),
    width_in: float = 9.0,
) -> Figure:
    """Draw a plan with its legend.

    Parameters
    ----------
    grids : GeoDataFrame
        Polygons with ``code``, and ``households`` where they were counted; in any CRS, drawn in the metric one.
    barriers : GeoDataFrame, optional
        Lines with ``class`` and perhaps ``name``, drawn by class; names of rivers and larger roads are written on them
        where there is room.
    blocks : GeoDataFrame, optional
        Drawn as thin lines under the borders of grids.
    boundary, water : GeoDataFrame, optional
        Polygons.
    title : (str, str)
        In Chinese and in English.
    sources : sequence of str
        Whose data are drawn ("© OpenStreetMap contributors"), at the foot.
    width_in : float
        Inches; the height follows from the ground.

    Returns
    -------
    matplotlib.figure.Figure
        It belongs to no window; :func:`save_picture` writes it.

    Raises
    ------
    InputError
        matplotlib is not installed, or there is no grid.
    CRSError
        A CRS is missing.

    Notes
    -----
    Codes are shortened by what all have in common (the legend says it) and written at the centre of the largest circle
    inside each grid, smaller in small grids. Neighbouring grids have different tints.
    """
    _need_matplotlib()
    from matplotlib.figure import Figure

    if len(grids) == 0:
        raise InputError("there is no grid to draw", source="grids", wanted="at least one")
    words = _Words(chinese_font())
    metric = crs_.metric_crs(grids, "grids")
    shapes = _in_metres(grids, metric, "grids")
    west, south, east, north = shapely.total_bounds(shapes)
    tall = float(np.clip((north - south) / (east - west), 0.4, 1.8))
    figure = Figure(figsize=(width_in, width_in * tall + 1.2))
    foot = 0.75 / (width_in * tall + 1.2)
    ax = figure.add_axes((0.01, foot, 0.98, 1 - foot - 0.4 / (width_in * tall + 1.2)))
    pad = 0.015 * max(east - west, north - south)
    ax.set(xlim=(west - pad, east + pad), ylim=(south - pad, north + pad), aspect="equal")
    ax.set_axis_off()
    tints = np.array(_TINTS, dtype=object)[_colours(shapes)]
    _areas(ax, shapes, tints, 1)
    if water is not None and len(water):
        _areas(ax, _in_metres(water, metric, "water"), "#a9cfe8", 2)
    if blocks is not None:
        _outlines(ax, _in_metres(blocks, metric, "blocks"), "#8c8c8c", 0.35, 3)
    classes = [] if barriers is None or len(barriers) == 0 else _barriers(ax, barriers, metric, shapes)
    _outlines(ax, shapes, _HALO, 2.8, 5)
    _outlines(ax, shapes, _INK, 1.5, 6)
    if boundary is not None:
        _outlines(ax, _in_metres(boundary, metric, "boundary"), _INK, 2.4, 7)
    figure.canvas.draw()
    placed: list[Any] = []
    prefix = _codes(ax, grids, shapes, words, placed)
    if barriers is not None and len(barriers):
        _road_names(ax, barriers, metric, shapes, words, placed)
    _scale_and_north(ax, words)
    figure.text(0.015, 0.99, words(*title), va="top", fontsize=13, weight="bold", color=_INK, family=words.family)
    _legend(figure, words, classes, prefix, blocks is not None, sources)
    return figure


def save_picture(figure: Figure, path: Path | str, *, dpi: int = 130, colours: int = 128) -> Path:
    """Write a figure as PNG with at most `colours` colours (a third of the bytes); the same bytes each time."""
    from PIL import Image

    path = Path(path)
    memory = io.BytesIO()
    figure.savefig(memory, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    memory.seek(0)
    plain = Image.open(memory).convert("RGB").quantize(colours, dither=Image.Dither.NONE)
    plain.save(path, format="PNG", optimize=True)
    return path


def chinese_font() -> str | None:
    """The name of an installed font with Chinese, None where there is none."""
    from matplotlib.font_manager import fontManager

    known = {font.name for font in fontManager.ttflist}
    return next((name for name in CHINESE_FONTS if name in known), None)


def _need_matplotlib() -> None:
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise InputError("pictures need matplotlib, which is not installed", remedy="pip install 'gridgis[notebooks]'")


class _Words:
    """Chinese and English where there is a Chinese font, else English."""

    def __init__(self, chinese: str | None) -> None:
        self.chinese = chinese
        self.family = [chinese, "DejaVu Sans"] if chinese else ["DejaVu Sans"]

    def __call__(self, zh: str, en: str) -> str:
        return f"{zh} {en}" if self.chinese else en

    def writable(self, text: str) -> bool:
        """Whether the font has the letters: any with Chinese, Latin ones alone without."""
        return self.chinese is not None or all(ord(letter) < 0x2E80 for letter in text)


# --- ground and lines -------------------------------------------------------------------------------------------------


def _in_metres(frame: gpd.GeoDataFrame, metric: pyproj.CRS, source: str) -> Shapes:
    shapes = np.asarray(frame.geometry.array, dtype=object)
    there: Shapes = crs_.project(shapely.force_2d(shapes), crs_.require_crs(frame, source), metric)
    return there


def _rings(shapes: Shapes) -> list[Floats]:
    rings = shapely.get_rings(shapely.get_parts(shapes))
    return [shapely.get_coordinates(ring) for ring in rings]


def _areas(ax: Axes, shapes: Shapes, colours: Any, order: int) -> None:
    """Filled polygons; holes stay free."""
    from matplotlib.collections import PathCollection
    from matplotlib.path import Path as Outline

    parts, owner = shapely.get_parts(shapes, return_index=True)
    paths = [Outline.make_compound_path(*(Outline(ring, closed=True) for ring in _rings(part))) for part in parts]
    fill = colours if isinstance(colours, str) else [colours[row] for row in owner]
    ax.add_collection(PathCollection(paths, facecolors=fill, edgecolors="none", zorder=order), autolim=False)


def _outlines(ax: Axes, shapes: Shapes, colour: str, width: float, order: int) -> None:
    from matplotlib.collections import LineCollection

    # Each edge once: two rims drawn over each other would be darker than one.
    lines = shapely.get_parts(
        shapely.line_merge(shapely.multilinestrings(shapely.linestrings(rim_segments(shapes).ends)))
    )
    paths = [shapely.get_coordinates(line) for line in lines]
    ax.add_collection(
        LineCollection(paths, colors=colour, linewidths=width, zorder=order, capstyle="round", joinstyle="round"),
        autolim=False,
    )


def _barriers(ax: Axes, barriers: gpd.GeoDataFrame, metric: pyproj.CRS, shapes: Shapes) -> list[str]:
    """Draw barriers near the grids, the strongest last; the classes that there are."""
    from matplotlib.collections import LineCollection

    lines = barrier_lines(barriers, metric)
    near = shapely.intersects(lines.shapes, shapely.box(*shapely.total_bounds(shapes)))
    found = []
    for number, (name, style) in enumerate(_STYLES.items()):
        own = lines.shapes[near & (lines.rank == BARRIER_CLASSES.index(name))]
        if len(own) == 0:
            continue
        found.append(name)
        paths = [shapely.get_coordinates(line) for line in own]
        ax.add_collection(
            LineCollection(paths, colors=style.colour, linewidths=style.width, linestyles=[style.dashes],
                           zorder=4.9 - number / 10),
            autolim=False,
        )  # fmt: skip
    return found


def _colours(shapes: Shapes) -> Ints:
    """A tint for each grid, another than those of its neighbours: the largest degree first, the least used wins."""
    rims = rim_segments(shapes)
    inner = rims.right >= 0
    pairs = np.unique(np.stack([rims.left[inner], rims.right[inner]], axis=1), axis=0)
    beside: list[set[int]] = [set() for _ in shapes]
    for one, other in pairs.tolist():
        beside[one].add(other)
        beside[other].add(one)
    tint = np.full(len(shapes), -1, dtype=np.int64)
    used = np.zeros(len(_TINTS), dtype=np.int64)
    for row in sorted(range(len(shapes)), key=lambda r: (-len(beside[r]), r)):
        taken = {int(tint[other]) for other in beside[row]}
        free = [t for t in range(len(_TINTS)) if t not in taken] or list(range(len(_TINTS)))
        tint[row] = min(free, key=lambda t: (used[t], t))
        used[tint[row]] += 1
    return tint


# --- words on the map -------------------------------------------------------------------------------------------------


def _codes(ax: Axes, grids: gpd.GeoDataFrame, shapes: Shapes, words: _Words, placed: list[Any]) -> str:
    """Write the code and households of each grid where it is widest; what all codes begin with is returned."""
    codes = codes_as_text(grids["code"]).fillna("").tolist()
    prefix = _common(codes)
    counts = pd.to_numeric(grids["households"]) if "households" in grids.columns else pd.Series([pd.NA] * len(grids))
    widest = shapely.maximum_inscribed_circle(shapely.make_valid(shapes), tolerance=1.0)
    scale = _points_per_metre(ax)
    for code, count, line in zip(codes, counts.tolist(), widest, strict=True):
        (x, y), radius = shapely.get_coordinates(line)[0], shapely.length(line) * scale
        text = code.removeprefix(prefix)
        size = float(np.clip(1.5 * radius / max(len(text), 2) + 2, _LEAST_PT, _CODE_PT))
        told = not pd.isna(count) and radius > 16
        style: dict[str, Any] = {
            "ha": "center",
            "color": _INK,
            "zorder": 12,
            "family": words.family,
            "path_effects": _halo(2.2),
        }
        placed.append(ax.text(x, y, text, va="bottom" if told else "center", fontsize=size, weight="bold", **style))
        if told:
            load = f"{int(count)} 户" if words.chinese else f"{int(count)} hh"
            placed.append(ax.text(x, y, load, va="top", fontsize=size - 2.5, **style))
    return prefix


def _common(codes: list[str]) -> str:
    """What all codes begin with, so that at least two characters are left of each."""
    if len(codes) < 2:
        return ""
    low, high = min(codes), max(codes)
    same = next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[: max(0, min(same, min(len(code) for code in codes) - 2))]


def _road_names(
    ax: Axes, barriers: gpd.GeoDataFrame, metric: pyproj.CRS, shapes: Shapes, words: _Words, placed: list[Any]
) -> None:
    """Write the names of rivers and larger roads along them, the longest first, where nothing stands yet."""
    lines = barrier_lines(barriers, metric)
    ground = shapely.box(*shapely.total_bounds(shapes))
    large = lines.rank <= BARRIER_CLASSES.index("secondary")
    names = sorted({n for n in lines.name[large] if n is not None and words.writable(n)})
    runs = []
    for name in names:
        own = shapely.line_merge(shapely.union_all(lines.shapes[large & (lines.name == name)]))
        parts = shapely.get_parts(shapely.intersection(own, ground))
        parts = parts[shapely.get_dimensions(parts) == 1]
        runs += [(float(shapely.length(part)), name, part) for part in parts]
    boxes = [text.get_window_extent().expanded(1.05, 1.1) for text in placed]
    said: dict[str, int] = {}
    for metres, name, part in sorted(runs, key=lambda run: (-run[0], run[1])):
        if said.get(name, 0) < 2 and _write_along(ax, name, part, metres, words, boxes):
            said[name] = said.get(name, 0) + 1


def _write_along(ax: Axes, name: str, line: Any, metres: float, words: _Words, boxes: list[Any]) -> bool:
    """Write a name on a line at the first of some places where it is long and straight enough and nothing stands."""
    wide = _NAME_PT * sum(1.05 if ord(letter) >= 0x2E80 else 0.6 for letter in name) / _points_per_metre(ax)
    if metres < 1.1 * wide:
        return False
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
            return True
        text.remove()
    return False


def _halo(width: float) -> list[Any]:
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width, foreground=_HALO)]


def _points_per_metre(ax: Axes) -> float:
    (x0, _), (x1, _) = ax.transData.transform([(0.0, 0.0), (1000.0, 0.0)])
    return float((x1 - x0) / 1000 * 72 / ax.figure.dpi)


def _scale_and_north(ax: Axes, words: _Words) -> None:
    """A bar of a round length and an arrow to the north, in the corners of the map's frame."""
    west, east = ax.get_xlim()
    south, north = ax.get_ylim()
    about = (east - west) / 5
    step = 10 ** np.floor(np.log10(about))
    metres = float(step * max(m for m in (1, 2, 5) if m * step <= about))
    told = f"{metres:g} m" if metres < 1000 else f"{metres / 1000:g} km"
    x, y = east - 0.02 * (east - west), south + 0.02 * (north - south)
    ax.plot([x - metres, x - metres / 2], [y, y], color=_INK, linewidth=5, solid_capstyle="butt", zorder=13)
    ax.plot([x - metres / 2, x], [y, y], color="#9a9a9a", linewidth=5, solid_capstyle="butt", zorder=13)
    style: dict[str, Any] = {"color": _INK, "zorder": 13, "family": words.family, "path_effects": _halo(2.5)}
    ax.annotate(told, (x - metres / 2, y), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=8, **style)
    ax.annotate(
        "北 N" if words.chinese else "N", xy=(0.975, 0.985), xytext=(0.975, 0.92), xycoords="axes fraction",
        ha="center", va="top", fontsize=9, arrowprops={"arrowstyle": "-|>", "color": _INK, "linewidth": 1.5}, **style,
    )  # fmt: skip


def _legend(
    figure: Figure, words: _Words, classes: list[str], prefix: str, with_blocks: bool, sources: Sequence[str]
) -> None:
    from matplotlib.lines import Line2D

    entries = [Line2D([], [], color=_INK, linewidth=2, label=words("网格界", "grid border"))]
    if with_blocks:
        entries.append(Line2D([], [], color="#8c8c8c", linewidth=0.8, label=words("街坊界", "block border")))
    for name in classes:
        style = _STYLES[name]
        entries.append(
            Line2D([], [], color=style.colour, linewidth=style.width, linestyle=style.dashes,
                   label=words(style.zh, style.en))
        )  # fmt: skip
    tall = figure.get_figheight()
    figure.legend(
        handles=entries, loc="lower left", bbox_to_anchor=(0.005, 0.26 / tall), ncols=5, frameon=False,
        prop={"family": words.family, "size": 8}, handlelength=2.6, columnspacing=1.4,
    )  # fmt: skip
    notes = [words(f"网格编码前省略 {prefix}；", f"grid codes begin with {prefix}")] if prefix else []
    notes += list(sources)
    figure.text(0.015, 0.08 / tall, "    ".join(notes), fontsize=7.5, color="#444444", family=words.family)
