"""Maps as drawings: the extent of one grid on its board, and all grids where no script runs.

Drawn in the metric CRS of the place, given to the templates as SVG path data; colours are the template's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gridgis import crs
from gridgis.schema import BARRIER_CLASSES

Geometries = NDArray[Any]

#: A Chinese character.
HAN = re.compile(r"[\u3400-\u9fff]")

#: Size of a drawing, in units of its view box, where nothing else is asked for.
WIDTH, HEIGHT = 480.0, 340.0
#: Sizes of the names on it, as in the style sheet.
NAME_SIZE, TITLE_SIZE = 12.5, 17.0
#: Ground shown around a grid, as a share of its size; and the least width of ground shown, metres.
_MARGIN, _LEAST_M = 0.22, 160.0
#: Names along a line: one for each so many metres, turned as the line runs over so many metres around it.
_NAME_EVERY_M, _NAME_RUN_M = 900.0, 40.0
#: A line this near to the border of a grid runs along it, metres.
_BESIDE_M = 12.0
#: Where along such a line its name may stand, the best first, as shares of its length.
_PLACES = (0.5, 0.35, 0.65, 0.2, 0.8)
_BARS_M = (20, 50, 100, 200, 500, 1000, 2000, 5000)


@dataclass(frozen=True)
class Name:
    """A name on a drawing: its place (units of the view box), its turn (degrees, clockwise), the class of its line.

    `upright`: Chinese along a steep line is written downwards, its characters standing.
    """

    text: str
    x: float
    y: float
    angle: float
    upright: bool
    kind: str


@dataclass(frozen=True)
class Shape:
    """A grid on a drawing: path data, colour index, name; label ("" where it has no room) and its place."""

    code: str
    path: str
    colour: int
    name: str
    label: str
    x: float
    y: float


@dataclass(frozen=True)
class Drawing:
    """What a template needs to draw a map; a path is "" where there is nothing."""

    shapes: tuple[Shape, ...]
    chosen: Shape | None
    water: str
    buildings: str
    lines: tuple[tuple[str, str], ...]
    names: tuple[Name, ...]
    bar: float
    bar_m: int
    width: float
    height: float


class Sheet:
    """Grids and their surroundings in metres, ready to be drawn.

    Parameters
    ----------
    grids : GeoDataFrame
        code, name, colour; EPSG:4326.
    tails : sequence of str
        What stands for the name of each grid where there is no room for it.
    barriers, water, buildings : GeoDataFrame
        EPSG:4326; may have no rows.
    """

    def __init__(
        self,
        grids: gpd.GeoDataFrame,
        tails: Sequence[str],
        barriers: gpd.GeoDataFrame,
        water: gpd.GeoDataFrame,
        buildings: gpd.GeoDataFrame,
    ) -> None:
        self.metric = crs.metric_crs(grids)
        self.codes = [str(c) for c in grids["code"]]
        self.names = [str(n) if isinstance(n, str) and n else c for n, c in zip(grids["name"], self.codes, strict=True)]
        self.tails = list(tails)
        self.colours = [int(c) for c in grids["colour"]]
        self.grids = _metres(grids, self.metric)
        self.lines = _metres(barriers, self.metric)
        self.classes = barriers["class"].to_numpy(dtype=object) if len(barriers) else np.empty(0, dtype=object)
        self.line_names = barriers["name"].to_numpy(dtype=object) if len(barriers) else np.empty(0, dtype=object)
        self.water = _metres(water, self.metric)
        self.buildings = _metres(buildings, self.metric)
        self._trees = {k: shapely.STRtree(v) for k, v in self._layers().items()}

    def _layers(self) -> dict[str, Geometries]:
        return {"grids": self.grids, "lines": self.lines, "water": self.water, "buildings": self.buildings}

    def around(self, row: int, size: tuple[float, float] = (WIDTH, HEIGHT)) -> Drawing:
        """The map of one grid: the grid, its neighbours, and what lies around; `size` is its width and height."""
        return self._draw(_window(shapely.bounds(self.grids[row]), _MARGIN, size), row, size)

    def overview(self) -> Drawing:
        """The map of all grids."""
        size = WIDTH, HEIGHT
        return self._draw(_window(shapely.total_bounds(self.grids), 0.03, size), None, size)

    def _draw(self, window: tuple[float, float, float, float], row: int | None, size: tuple[float, float]) -> Drawing:
        width, height = size
        scale = width / (window[2] - window[0])

        def place(xy: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.column_stack(((xy[:, 0] - window[0]) * scale, (window[3] - xy[:, 1]) * scale))

        def seen(layer: str) -> tuple[NDArray[np.int64], Geometries]:
            rows = np.sort(self._trees[layer].query(shapely.box(*window)))
            clipped = shapely.clip_by_rect(self._layers()[layer][rows], *window)
            there = ~shapely.is_empty(clipped)
            return rows[there], clipped[there]

        grid_rows, pieces = seen("grids")
        page = _Page(size)
        chosen = None if row is None else self._shape(row, self.grids[row], place, page, TITLE_SIZE)
        line_rows, parts = seen("lines")
        classes, called = self.classes[line_rows], self.line_names[line_rows]
        names: tuple[Name, ...] = ()
        if row is not None:
            # The names of what bounds the grid come first, where they run along it.
            near = shapely.buffer(shapely.boundary(self.grids[row]), _BESIDE_M)
            along = line_names(shapely.intersection(parts, near), called, classes, _PLACES, walls=True)
            names = _place_names(along, page, place, scale)
        shapes = tuple(
            self._shape(r, piece, place, page, NAME_SIZE)
            for r, piece in zip(grid_rows, pieces, strict=True)
            if r != row
        )
        buildings = path(seen("buildings")[1], place) if row is not None else ""
        bar_m = max((b for b in _BARS_M if b * scale <= width / 4), default=_BARS_M[0])
        return Drawing(
            shapes=shapes,
            chosen=chosen,
            water=path(seen("water")[1], place),
            buildings=buildings,
            lines=tuple((c, path(parts[classes == c], place)) for c in BARRIER_CLASSES[::-1] if (classes == c).any()),
            names=_place_names(line_names(parts, called, classes), page, place, scale, names),
            bar=bar_m * scale,
            bar_m=bar_m,
            width=width,
            height=height,
        )

    def _shape(self, row: int, piece: Any, place: Any, page: _Page, size: float) -> Shape:
        x, y, radius = label_places(np.array([piece], dtype=object))[0]
        at, side = place(np.array([[x, y], [x + radius, y]]))
        x0, y0 = float(at[0]), float(at[1])
        room = 2.4 * float(side[0] - at[0])
        label = self.names[row]
        # The chosen grid bears its name in any case, others what they have room for.
        if size == TITLE_SIZE:
            page.take(x0, y0, _wide(label, size) + size, size)
        elif not page.take(x0, y0, _wide(label, size), size, room):
            label = self.tails[row]
            if not page.take(x0, y0, _wide(label, size), size, room):
                label = ""
        return Shape(
            self.codes[row], path(np.array([piece]), place), self.colours[row], self.names[row], label,
            round(x0, 1), round(y0, 1),
        )  # fmt: skip


def _metres(frame: gpd.GeoDataFrame, metric: Any) -> Geometries:
    if len(frame) == 0:
        return np.empty(0, dtype=object)
    shapes = np.asarray(frame.geometry.array, dtype=object)
    return np.asarray(crs.project(shapely.force_2d(shapes), crs.WGS84, metric), dtype=object)


def _window(bounds: Any, margin: float, size: tuple[float, float]) -> tuple[float, float, float, float]:
    """The ground shown: `bounds` with a margin, widened to the shape of the drawing."""
    shape = size[0] / size[1]
    x0, y0, x1, y1 = (float(v) for v in bounds)
    width = max(x1 - x0, 1.0) * (1 + 2 * margin)
    height = max(y1 - y0, 1.0) * (1 + 2 * margin)
    width = max(width, height * shape, _LEAST_M)
    height = width / shape
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    return cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2


def tails(grids: gpd.GeoDataFrame) -> list[str]:
    """The end of each code: without the parent's code, four characters at most.

    Examples
    --------
    >>> import geopandas as gpd
    >>> tails(gpd.GeoDataFrame({"code": ["11010801407", "X-3"], "parent": ["110108014", None]}))
    ['07', 'X-3']
    """
    out = []
    for code, parent in zip(grids["code"], grids["parent"], strict=True):
        own = code[len(parent) :] if isinstance(parent, str) and code.startswith(parent) else code
        out.append((own or code)[-4:])
    return out


def path(shapes: Geometries, place: Any) -> str:
    """SVG path data of lines and rings, one decimal; `place` takes metres to units of the drawing."""
    pieces = shapely.get_parts(shapely.get_parts(np.asarray(shapes, dtype=object)))
    kinds = shapely.get_type_id(pieces)
    rings = shapely.get_rings(pieces[kinds == shapely.GeometryType.POLYGON])
    lines = pieces[(kinds == shapely.GeometryType.LINESTRING) | (kinds == shapely.GeometryType.LINEARRING)]
    out = []
    for group, close in ((rings, "Z"), (lines, "")):
        xy, owner = shapely.get_coordinates(group, return_index=True)
        if len(xy) == 0:
            continue
        words = [f"{x:.1f} {y:.1f}" for x, y in place(xy)]
        edges = np.flatnonzero(np.r_[True, np.diff(owner) > 0, True])
        out += ["M" + "L".join(words[a : b - 1 if close else b]) + close for a, b in pairwise(edges)]
    return "".join(out)


def label_places(shapes: Geometries) -> NDArray[np.float64]:
    """Where to write in each polygon: x, y and radius of its largest inscribed circle (to a fiftieth of its size)."""
    out = np.zeros((len(shapes), 3))
    for i, shape in enumerate(shapes):
        parts = shapely.get_parts(shape)
        largest = parts[int(np.argmax(shapely.area(parts)))]
        x0, y0, x1, y1 = shapely.bounds(largest)
        line = shapely.maximum_inscribed_circle(largest, tolerance=max(x1 - x0, y1 - y0) / 50)
        out[i] = (*shapely.get_coordinates(line)[0], shapely.length(line))
    return out


def line_names(
    lines: Geometries, names: Any, classes: Any, places: Sequence[float] = (0.5,), walls: bool = False
) -> pd.DataFrame:
    """Where to write the names of lines: columns name, class, x, y, angle, length_m (of the line that bears it).

    Lines of one name and class are joined; a long line bears its name every 900 m. `angle` is in degrees, counter-
    clockwise from east, between -90 and 90. Each of the `places` along a line gives a row, in their order.
    Walls bear their names only where `walls` says so.
    """
    frame = pd.DataFrame({"name": names, "class": classes, "at": range(len(lines))})
    frame = frame[frame["name"].notna() & (walls | (frame["class"] != "wall"))]
    rows: list[dict[str, Any]] = []
    for (name, kind), group in frame.groupby(["name", "class"], sort=True):
        pieces = shapely.get_parts(lines[group["at"].to_numpy()])
        pieces = pieces[shapely.get_type_id(pieces) == shapely.GeometryType.LINESTRING]
        if len(pieces) == 0:
            continue
        for part in shapely.get_parts(shapely.line_merge(shapely.multilinestrings(list(pieces)))):
            rows += [{"name": name, "class": kind, **spot} for spot in _spots(part, places)]
    found = pd.DataFrame(rows, columns=["name", "class", "rank", "x", "y", "angle", "length_m"])
    order = ["length_m", "name", "rank", "x", "y"]
    found = found.sort_values(order, ascending=[False, True, True, True, True], ignore_index=True)
    return found.drop(columns="rank")


def _spots(line: Any, places: Sequence[float]) -> list[dict[str, float]]:
    length = float(shapely.length(line))
    count = max(1, round(length / _NAME_EVERY_M))
    rank, part = np.divmod(np.arange(count * len(places)), count)
    spots = (part + np.asarray(places)[rank]) * length / count
    along = np.concatenate((spots - _NAME_RUN_M, spots, spots + _NAME_RUN_M)).clip(0)
    around = shapely.get_coordinates(shapely.line_interpolate_point(line, along)).reshape(3, len(spots), 2)
    step = around[2] - around[0]
    angle = np.degrees(np.arctan2(step[:, 1], step[:, 0]))
    angle = (angle + 90) % 180 - 90
    return [
        {
            "rank": int(r),
            "x": float(p[0]),
            "y": float(p[1]),
            "angle": round(float(a), 1),
            "length_m": round(length / count, 1),
        }
        for r, p, a in zip(rank, around[1], angle, strict=True)
    ]


def turned(text: str, angle: float) -> tuple[float, bool]:
    """How a name on a line of `angle` (see :func:`line_names`) is turned, degrees clockwise, and whether it stands.

    Examples
    --------
    >>> turned("学府街", 80.0), turned("学府街", -10.0), turned("Main St", 80.0)
    ((10.0, True), (10.0, False), (-80.0, False))
    """
    upright = abs(angle) > 45 and bool(HAN.search(text))
    return round((90.0 if angle > 0 else -90.0) - angle if upright else -angle, 1), upright


class _Page:
    """Where something stands on a drawing already: boxes that keep clear of each other."""

    def __init__(self, size: tuple[float, float]) -> None:
        self.width, self.height = size
        # The corners of the scale bar and of the north arrow.
        self.boxes = [(0.0, self.height - 40, 150.0, self.height), (self.width - 44, 0.0, self.width, 56.0)]

    def take(self, x: float, y: float, wide: float, high: float, room: float = np.inf) -> bool:
        """Take the box around x, y if it is free, on the page and no wider than `room`."""
        box = (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
        if wide > room or box[0] < 2 or box[1] < 2 or box[2] > self.width - 2 or box[3] > self.height - 2:
            return False
        if any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in self.boxes):
            return False
        self.boxes.append(box)
        return True


def _wide(text: str, size: float) -> float:
    """About how wide a text is written."""
    return size * sum(1.0 if HAN.match(c) else 0.62 for c in text)


def _place_names(
    named: pd.DataFrame, page: _Page, place: Any, scale: float, before: tuple[Name, ...] = ()
) -> tuple[Name, ...]:
    """Names that fit on their lines and keep clear of all else, the longest lines first, no name twice near by.

    Those that were placed `before` come first.
    """
    kept = list(before)
    for row in named.itertuples():
        long = _wide(row.name, NAME_SIZE * 1.1)
        x, y = place(np.array([[row.x, row.y]]))[0]
        near = any(k.text == row.name and np.hypot(x - k.x, y - k.y) < page.width / 2 for k in kept)
        if near or row.length_m * scale < 1.1 * long:
            continue
        angle, upright = turned(row.name, row.angle)
        along = np.radians(angle + 90 if upright else angle)
        wide = long * abs(np.cos(along)) + NAME_SIZE * abs(np.sin(along))
        high = long * abs(np.sin(along)) + NAME_SIZE * abs(np.cos(along))
        if page.take(float(x), float(y), float(wide), float(high)):
            kept.append(Name(row.name, round(float(x), 1), round(float(y), 1), angle, upright, row[2]))
    return tuple(kept)
