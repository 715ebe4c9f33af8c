"""Pictures of a plan for notebooks, docs and letters: grids, blocks, barriers by class, scale, legend, sources.

Needs matplotlib (the extra ``notebooks``). Chinese is written where the machine has a font for it, else English alone.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pyproj
import shapely

from gridgis import crs as crs_
from gridgis.errors import InputError, SchemaError
from gridgis.plan.faces.network import Floats, Ints, Lines, Shapes, barrier_lines, rim_segments
from gridgis.publish.picture_words import (
    HALO,
    INK,
    STYLES,
    Words,
    chinese_font,
    legend,
    scale_and_north,
    write_codes,
    write_road_names,
    write_title,
)
from gridgis.schema import BARRIER_CLASSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Tints that stay apart for the colour-blind as well: they differ in lightness, and every border is drawn.
_TINTS = ("#fdf3d0", "#cfe3f2", "#f6d3b8", "#d9ead0", "#e3d6ea", "#f0f0ee", "#bcd9d6")
_WATER, _BLOCK = "#a9cfe8", "#8c8c8c"

#: Inches above the map for the title, and below it for legend and sources.
_HEAD_IN, _FOOT_IN = 0.65, 1.0

#: Barriers and water are drawn this far beyond the grids, metres.
_AROUND_M = 60.0


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
        matplotlib is not installed, there is no grid, or no column ``code``.
    CRSError
        A CRS is missing.

    Notes
    -----
    Codes are shortened by what all have in common (the legend says it) and written at the centre of the largest circle
    inside each grid, smaller in small grids. Neighbouring grids have different tints.
    """
    _need_matplotlib()
    grids = _drawable(grids)
    words = Words(chinese_font())
    metric = crs_.metric_crs(grids, "grids")
    shapes = _in_metres(grids, metric, "grids")
    figure, ax = _canvas(shapes, width_in)
    ground = shapely.buffer(shapely.union_all(shapely.make_valid(shapes)), _AROUND_M)
    _areas(ax, shapes, np.array(_TINTS, dtype=object)[_colours(shapes)], 1)
    if water is not None and len(water):
        wet = shapely.intersection(shapely.make_valid(_in_metres(water, metric, "water")), ground)
        _areas(ax, wet, _WATER, 2)
    if blocks is not None:
        _outlines(ax, _in_metres(blocks, metric, "blocks"), _BLOCK, 0.35, 3)
    # Barriers lie on top of borders: a border on a road is a dark band with the road's colour as its core.
    _outlines(ax, shapes, HALO, 4.4, 3.5)
    _outlines(ax, shapes, INK, 2.8, 4)
    if boundary is not None:
        _outlines(ax, _in_metres(boundary, metric, "boundary"), INK, 3.8, 4)
    lines = None if barriers is None or len(barriers) == 0 else _near(barrier_lines(barriers, metric), ground)
    classes = [] if lines is None else _barriers(ax, lines)
    figure.canvas.draw()  # from here on texts can be measured
    placed: list[Any] = []
    prefix = write_codes(ax, grids, shapes, words, placed)
    if lines is not None:
        write_road_names(ax, lines, words, placed)
    scale_and_north(ax, words)
    write_title(figure, words, title)
    legend(figure, words, classes, prefix, sources, blocks=blocks is not None, loads="households" in grids)
    return figure


def _drawable(grids: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The grids that have a shape."""
    if "code" not in grids.columns:
        raise SchemaError("the column 'code' is missing", source="grids", found=", ".join(map(str, grids.columns)))
    there = grids[~(grids.geometry.isna() | grids.geometry.is_empty)]
    if len(there) == 0:
        raise InputError("there is no grid to draw", source="grids", wanted="at least one")
    return there


def _canvas(shapes: Shapes, width_in: float) -> tuple[Figure, Axes]:
    """A figure as high as the ground needs, and the axes of the map."""
    from matplotlib.figure import Figure

    west, south, east, north = shapely.total_bounds(shapes)
    tall = width_in * float(np.clip((north - south) / (east - west), 0.4, 1.8)) + _HEAD_IN + _FOOT_IN
    figure = Figure(figsize=(width_in, tall))
    ax = figure.add_axes((0.01, _FOOT_IN / tall, 0.98, 1 - (_HEAD_IN + _FOOT_IN) / tall))
    pad = 0.015 * max(east - west, north - south)
    ax.set(xlim=(west - pad, east + pad), ylim=(south - pad, north + pad), aspect="equal")
    ax.set_axis_off()
    return figure, ax


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


def _need_matplotlib() -> None:
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise InputError("pictures need matplotlib, which is not installed", remedy="pip install 'gridgis[notebooks]'")


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


def _outlines(ax: Axes, shapes: Shapes, colour: str, width: float, order: float) -> None:
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


def _near(lines: Lines, ground: Any) -> Lines:
    """The parts of barriers near the ground."""
    shapely.prepare(ground)
    parts, row = shapely.get_parts(shapely.intersection(lines.shapes, ground), return_index=True)
    line = shapely.get_dimensions(parts) == 1
    return Lines(parts[line], lines.rank[row[line]], lines.name[row[line]])


def _barriers(ax: Axes, lines: Lines) -> list[str]:
    """Draw barriers, the strongest last; the classes that there are."""
    from matplotlib.collections import LineCollection

    found = []
    for number, (name, style) in enumerate(STYLES.items()):
        own = lines.shapes[lines.rank == BARRIER_CLASSES.index(name)]
        if len(own) == 0:
            continue
        found.append(name)
        paths = [shapely.get_coordinates(line) for line in own]
        layers = [(style.colour, style.width, style.dashes, 4.9)]
        if style.under:
            layers.append((style.under, style.width + 1.0, "-", 4.85))
        for colour, width, dashes, order in layers:
            drawn = LineCollection(
                paths, colors=colour, linewidths=width, linestyles=[dashes], zorder=order - number / 10
            )
            ax.add_collection(drawn, autolim=False)
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
