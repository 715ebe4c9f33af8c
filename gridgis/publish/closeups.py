"""A small picture of each defect's place: the grids around it, the defect, a scale bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from gridgis.publish.outlines import (
    Floats,
    Objects,
    Window,
    clip,
    length_text,
    path,
    rings_of,
    round_length,
    shape_path,
    simplified,
)

#: The side of a picture, in units; two make a pixel.
SIDE = 320.0
#: More rings than these are not drawn into one picture: it shows less ground instead.
RINGS = 60
#: Rings are cut this far outside the picture, so that the cut is not seen.
_BEYOND = 12.0
_BAR = 100.0
_LABELS = 3
_LETTERS = 9
_LETTER_WIDTH, _LETTER_HEIGHT = 15.0, 24.0
_SMALLEST_M = 10.0
# Where a label may stand: its middle, off the sides by half its width, and above the scale bar.
_LATTICE = np.array([(x, y) for y in np.linspace(20.0, SIDE - 50.0, 13) for x in np.linspace(64.0, SIDE - 64.0, 11)])


@dataclass(frozen=True)
class Closeup:
    """A picture of :data:`SIDE` units.

    It holds paths of the grids (each with 0 for others, 1, 2, 3 for those named), of the boundary and of the defect
    (`dots` where it is points), a ring around what is too small to see, labels with their places, and the bar.
    """

    grids: tuple[tuple[int, str], ...]
    boundary: str
    defect: str
    dots: bool
    ring: tuple[int, int] | None
    labels: tuple[tuple[int, int, str], ...]
    bar: int
    bar_text: str
    partly: bool


@dataclass(frozen=True)
class Place:
    """What a picture is to show, in metres: the defect, its width, a point inside, the rows of the grids named."""

    shape: Any
    width_m: float
    inside: tuple[float, float]
    named: tuple[tuple[str, tuple[int, ...]], ...]
    whole_grid: bool


def closeups(places: Sequence[Place], grids: Objects, boundary: Any | None) -> list[Closeup]:
    """A picture of each place.

    Parameters
    ----------
    places : sequence of Place
    grids : array of polygons or None, in metres
        Their positions are the rows of the places.
    boundary : polygon, optional

    Returns
    -------
    list of Closeup
        A picture shows the whole defect where it can; where that would be too many grids, the ground around the point
        inside it, and is marked `partly`.
    """
    if not places:
        return []
    rings, owner = rings_of(grids)
    tree = shapely.STRtree(rings)
    edges = rings_of(np.array([boundary], dtype=object))[0]
    centre, span = _windows(places, grids)
    partly = np.zeros(len(places), dtype=bool)
    for _ in range(30):
        picture, ring = tree.query(_boxes(centre, span))
        crowded = np.bincount(picture, minlength=len(places)) > RINGS
        if not crowded.any():
            break
        centre[crowded] = np.array([place.inside for place in places])[crowded]
        span[crowded] /= 2
        partly |= crowded
    near = np.split(ring, np.searchsorted(picture, np.arange(1, len(places))))
    made = []
    for i, place in enumerate(places):
        window = Window(centre[i, 0] - span[i] / 2, centre[i, 1] + span[i] / 2, SIDE / span[i])
        seen = np.sort(near[i])[: 2 * RINGS]
        made.append(_closeup(place, window, rings[seen], owner[seen], edges, bool(partly[i])))
    return made


def _windows(places: Sequence[Place], grids: Objects) -> tuple[Floats, Floats]:
    """The centre and the side, in metres, of each picture."""
    bounds = shapely.bounds(np.array([place.shape for place in places], dtype=object))
    areas = shapely.area(grids)
    side = float(np.sqrt(np.median(areas[areas > 0]))) if (areas > 0).any() else _SMALLEST_M
    extent = np.maximum(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])
    whole = np.array([place.whole_grid for place in places])
    width = np.array([place.width_m for place in places])
    least = np.where(whole, 2 * side, np.where(extent == 0, min(40.0, side), _SMALLEST_M))
    span = np.maximum.reduce([1.5 * extent, np.minimum(12 * np.nan_to_num(width), 3 * extent), least])
    return (bounds[:, :2] + bounds[:, 2:]) / 2, span


def _boxes(centre: Floats, span: Floats) -> Objects:
    half = span[:, None] / 2
    boxes: Objects = shapely.box(*(centre - half).T, *(centre + half).T)
    return boxes


def _closeup(
    place: Place, window: Window, rings: Objects, owner: NDArray[np.intp], edges: Objects, partly: bool
) -> Closeup:
    limits = (-_BEYOND, SIDE + _BEYOND)
    colour = {row: min(i, _LABELS) for i, (_, rows) in enumerate(place.named, 1) for row in rows}
    paths: dict[int, str] = {}
    cut = [clip(window.place(shapely.get_coordinates(ring)[:-1]), *limits) for ring in rings]
    kept = [i for i, ring in enumerate(cut) if len(ring)]
    drawn = simplified([np.vstack([cut[i], cut[i][:1]]) for i in kept])
    for i, line in zip(kept, drawn, strict=True):
        row = int(owner[i])
        paths[row] = paths.get(row, "") + path(line, closed=True)
    border = [clip(window.place(shapely.get_coordinates(ring)[:-1]), *limits) for ring in edges]
    border = [np.vstack([ring, ring[:1]]) for ring in border if len(ring)]
    bar_m = round_length(_BAR / window.scale)
    return Closeup(
        grids=tuple(sorted(((colour.get(row, 0), d) for row, d in paths.items()), key=lambda item: item[0])),
        boundary="".join(path(line, closed=True) for line in simplified(border)),
        defect=shape_path(place.shape, window, limits),
        dots=bool(shapely.get_dimensions(place.shape) == 0),
        ring=_ring(place, window),
        labels=_labels(place, window, {int(owner[i]) for i in kept}, cut, owner),
        bar=round(bar_m * window.scale),
        bar_text=length_text(bar_m),
        partly=partly,
    )


def _ring(place: Place, window: Window) -> tuple[int, int] | None:
    """Where a ring goes around what is smaller than itself."""
    west, south, east, north = shapely.bounds(place.shape)
    if max(east - west, north - south) * window.scale > 16:
        return None
    x, y = np.rint(window.place(np.array([[(west + east) / 2, (south + north) / 2]]))[0]).astype(int).tolist()
    return x, y


def _labels(
    place: Place, window: Window, seen: set[int], cut: list[Floats], owner: NDArray[np.intp]
) -> tuple[tuple[int, int, str], ...]:
    """The codes of the grids named, each in its grid; those without a place of their own stand on one line."""
    points = shapely.points(_LATTICE)
    off_defect = shapely.distance(points, shapely.transform(place.shape, window.place))
    off_labels = np.full(len(points), np.inf)
    labels: list[tuple[float, float, str]] = []
    for code, rows in place.named[:_LABELS]:
        row = next((row for row in rows if row in seen), None)
        own = [ring for ring, of in zip(cut, owner, strict=True) if of == row and len(ring) > 2]
        best = _roomiest(own, points, off_defect, off_labels)
        if best is None:
            continue
        x, y = _LATTICE[best].tolist()
        text = code if len(code) <= _LETTERS else "…" + code[1 - _LETTERS :]
        if off_labels[best] < _LETTER_HEIGHT:
            x, y, before = labels.pop(int(np.argmin([abs(y - there) for _, there, _ in labels])))
            text = f"{before}, {text}"
        half = _LETTER_WIDTH * len(text) / 2
        x = min(max(x, half), SIDE - half)
        labels.append((x, y, text))
        off_labels = np.minimum(
            off_labels, shapely.distance(points, shapely.linestrings([(x - half, y), (x + half, y)]))
        )
    return tuple((round(x), round(y), text) for x, y, text in labels)


def _roomiest(own: list[Floats], points: Objects, off_defect: Floats, off_labels: Floats) -> int | None:
    """The point inside the rings `own` with the most room to their lines, to labels and, where possible, the defect."""
    inside = np.zeros(len(points), dtype=bool)
    for ring in own:
        inside ^= shapely.contains_xy(shapely.polygons(ring), _LATTICE)
    if not inside.any():
        return None
    lines = shapely.multilinestrings([shapely.linestrings(np.vstack([ring, ring[:1]])) for ring in own])
    room = np.minimum(shapely.distance(points, lines), off_labels)
    # A duplicate is all defect: its codes stand on it.
    if (inside & (off_defect > 0)).any():
        room = np.minimum(room, off_defect)
    return int(np.argmax(np.where(inside, room, -1.0)))
