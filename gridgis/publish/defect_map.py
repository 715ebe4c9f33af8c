"""The map of the defects: outlines of the grids, the boundary, each defect as it is, and a mark at each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from gridgis.publish.outlines import (
    Floats,
    Objects,
    Window,
    length_text,
    path,
    rings_of,
    round_length,
    shape_path,
    thinned,
)

#: The width of the map, in units; two make a pixel on a laptop.
WIDTH = 2000.0
_MAX_HEIGHT = 2400.0
_MARGIN = 40.0
#: With more grids than this the map has no codes, and the outlines are one shape.
NAMED = 4_000
_LETTER = (20.0, 44.0)
_MARK = 22.0
_PREFIX = 4


@dataclass(frozen=True)
class Mark:
    """A mark at a defect: the position of the defect in the list, and where."""

    defect: int
    x: int
    y: int


@dataclass(frozen=True)
class Label:
    """A code on the map: its text, middle and height of letters."""

    text: str
    x: int
    y: int
    letter: int


@dataclass(frozen=True)
class DefectMap:
    """A map in units of a two-thousandth of its width, y downwards.

    `grids` are pairs of code and path; `shapes` the defect's position, its path, and whether it is points; `size` is
    the half of a mark's width; all codes begin with `prefix`, which the labels leave out.
    """

    width: int
    height: int
    grids: tuple[tuple[str, str], ...]
    labels: tuple[Label, ...]
    boundary: str
    shapes: tuple[tuple[int, str, bool], ...]
    marks: tuple[Mark, ...]
    size: int
    bar: int
    bar_text: str
    prefix: str


def draw_map(
    grids: Objects, codes: Sequence[str], boundary: Any | None, defects: Objects, places: Floats
) -> DefectMap | None:
    """The map, north up; None where there is nothing to draw.

    Parameters
    ----------
    grids : array of polygons or None, in metres
    codes : sequence of str
    boundary : polygon, optional
    defects : array of geometries or None, in metres
    places : array of shape (n, 2), in metres
        Where each defect's mark stands; NaN for those without a place.

    Returns
    -------
    DefectMap or None
        Lines lie off by at most :data:`~gridgis.publish.outlines.TOLERANCE` units.
    """
    everything = np.array([*grids, boundary, *defects], dtype=object)
    bounds = shapely.total_bounds(everything)
    if np.isnan(bounds).any():
        return None
    west, south, east, north = bounds
    scale = min((WIDTH - 2 * _MARGIN) / max(east - west, 0.01), _MAX_HEIGHT / max(north - south, 0.01))
    window = Window(west, north, scale, _MARGIN)
    paths = _grid_paths(grids, window)
    prefix = _shared_start(codes)
    alone = len(paths) > NAMED
    bar_m = round_length(WIDTH / scale / 5)
    marks = _marks(places, window)
    return DefectMap(
        width=round((east - west) * scale + 2 * _MARGIN),
        height=round((north - south) * scale + 2 * _MARGIN),
        grids=(("", "".join(paths.values())),) if alone else tuple((codes[row], d) for row, d in paths.items()),
        labels=() if alone else _labels(grids, codes, prefix, window, marks),
        boundary="" if boundary is None else shape_path(boundary, window),
        shapes=_shapes(defects, window),
        marks=marks,
        size=int(_MARK) if len(marks) <= 60 else 18 if len(marks) <= 300 else 15,
        bar=round(bar_m * scale),
        bar_text=length_text(bar_m),
        prefix=prefix,
    )


def _grid_paths(grids: Objects, window: Window) -> dict[int, str]:
    rings, owner = rings_of(grids)
    paths: dict[int, str] = {}
    xy, index = shapely.get_coordinates(rings, return_index=True)
    lines = thinned(window.place(xy), index)
    for row, line in zip(owner.tolist(), lines, strict=True):
        if (line != line[0]).any():
            paths[row] = paths.get(row, "") + path(line, closed=True)
    return paths


def _shapes(defects: Objects, window: Window) -> tuple[tuple[int, str, bool], ...]:
    dimensions = shapely.get_dimensions(defects).tolist()
    there = ~shapely.is_missing(defects) & ~shapely.is_empty(defects)
    return tuple((i, shape_path(defects[i], window), dimensions[i] == 0) for i in np.flatnonzero(there).tolist())


def _marks(places: Floats, window: Window) -> tuple[Mark, ...]:
    rows = np.flatnonzero(np.isfinite(places).all(axis=1))
    at = np.rint(window.place(places[rows])).astype(int)
    return tuple(Mark(int(row), int(x), int(y)) for row, (x, y) in zip(rows, at, strict=True))


def _shared_start(codes: Sequence[str]) -> str:
    """What all codes begin with, if it is long enough to be worth it; two characters at least are left of each."""
    if len(codes) < 2:
        return ""
    # Between the first and the last in order lie all others: what these two share, all share.
    first, last = min(codes), max(codes)
    alike = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    length = min(alike, min(map(len, codes)) - 2)
    return first[:length] if length >= _PREFIX else ""


def _labels(
    grids: Objects, codes: Sequence[str], prefix: str, window: Window, marks: tuple[Mark, ...]
) -> tuple[Label, ...]:
    """A label in the largest circle inside each grid, where its letters can be read; one for grids of one shape."""
    length = np.array([0.62 * max(len(code) - len(prefix), 1) for code in codes])
    # No circle inside is wider than the root of the area by more than this.
    widest = 1.13 * np.sqrt(np.nan_to_num(shapely.area(grids))) * window.scale
    rows = np.flatnonzero(widest / length >= _LETTER[0])
    solid = grids[rows]
    flawed = ~shapely.is_valid(solid)
    solid[flawed] = shapely.make_valid(solid[flawed], method="structure")
    solid = shapely.simplify(solid, 1.0 / window.scale)
    rows, solid = rows[shapely.area(solid) > 0], solid[shapely.area(solid) > 0]
    circles = shapely.maximum_inscribed_circle(solid, tolerance=2.0 / window.scale)
    middle = window.place(shapely.get_coordinates(circles).reshape(-1, 2, 2)[:, 0])
    radius = shapely.length(circles) * window.scale
    at = np.array([(mark.x, mark.y) for mark in marks], dtype=float).reshape(-1, 2)
    labels: dict[tuple[int, int], Label] = {}
    for row, xy, room in zip(rows.tolist(), middle, radius.tolist(), strict=True):
        letter = min(_LETTER[1], 2.0 * room / length[row])
        if letter >= _LETTER[0]:
            x, y = np.rint(_beside(xy, letter, letter * length[row] / 2, room, at)).astype(int).tolist()
            text = codes[row][len(prefix) :]
            if (x, y) in labels:
                text = f"{labels[x, y].text}, {text}"
            labels[x, y] = Label(text, x, y, int(letter))
    return tuple(labels.values())


def _beside(middle: Floats, letter: float, half: float, room: float, marks: Floats) -> Floats:
    """Where a label goes: the middle of its grid, or below a mark that is there, if that is still inside."""
    off = np.abs(marks - middle)
    hit = np.flatnonzero((off[:, 0] < half + _MARK) & (off[:, 1] < letter / 2 + _MARK))
    if not len(hit):
        return middle
    lower = marks[hit, 1].max() + _MARK + 0.6 * letter
    return np.array([middle[0], lower]) if lower - middle[1] + letter / 2 < room else middle
