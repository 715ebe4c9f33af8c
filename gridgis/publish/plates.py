"""A small map of the grids as SVG, for a page that stands alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from gridgis import crs
from gridgis.publish.features import public_grids

#: The width of a map, in its own units; the height follows from the ground.
WIDTH = 1000.0
_MARGIN = 12.0
_MAX_HEIGHT = 1400.0
_LETTER = (11.0, 26.0)


@dataclass(frozen=True)
class PlateGrid:
    """One grid on the map: its outline as an SVG path, its colour, and its label with place and height."""

    code: str
    path: str
    colour: int
    label: str
    x: float
    y: float
    letter: float


@dataclass(frozen=True)
class Plate:
    """A map: its size, its grids, marks, and a bar for its scale."""

    width: float
    height: float
    grids: tuple[PlateGrid, ...]
    marks: tuple[tuple[float, float], ...]
    prefix: str
    bar: float
    bar_m: int


def draw_plate(grids: gpd.GeoDataFrame, marks: Any = ()) -> Plate:
    """A map of the grids, north up, in the metric CRS of the place.

    Parameters
    ----------
    grids : GeoDataFrame
        With a code; rows without geometry or area are left out.
    marks : sequence of (lon, lat), degrees of WGS 84
        Places to be marked.

    Returns
    -------
    Plate
        Coordinates in units of a thousandth of the map's width, y downwards. Outlines are simplified by at most one
        unit, all together, so that neighbours stay neighbours. What all codes begin with is left out of the labels
        (`prefix`); a label that does not fit is empty.
    """
    # No area, no place on the map: missing, empty and flat shapes.
    shown = grids[np.nan_to_num(shapely.area(grids.geometry.to_numpy())) > 0]
    metric = crs.metric_crs(shown)
    shapes = crs.project(shown.geometry.to_numpy(), crs.require_crs(shown), metric)
    west, south, east, north = shapely.total_bounds(shapes)
    scale = min((WIDTH - 2 * _MARGIN) / max(east - west, 1.0), _MAX_HEIGHT / max(north - south, 1.0))
    width, height = ((b - a) * scale + 2 * _MARGIN for a, b in ((west, east), (south, north)))

    def place(xy: Any) -> Any:
        return np.column_stack([(xy[:, 0] - west) * scale + _MARGIN, (north - xy[:, 1]) * scale + _MARGIN])

    drawn = shapely.transform(shapes, place)
    if shapely.coverage_is_valid(drawn):
        drawn = shapely.coverage_simplify(drawn, 1.0)
    codes = ["" if code is None else str(code) for code in shown["code"]]
    prefix = _shared_start(codes)
    colours = public_grids(shown)["colour"].tolist()
    bar_m = _round_length(WIDTH / scale / 5)
    return Plate(
        width=round(width, 1),
        height=round(height, 1),
        grids=tuple(_grid(*item, prefix) for item in zip(codes, drawn, colours, strict=True)),
        marks=_marks(marks, metric, place),
        prefix=prefix,
        bar=round(bar_m * scale, 1),
        bar_m=bar_m,
    )


def _shared_start(codes: list[str]) -> str:
    """What all codes begin with; two characters at least are left of each: "01", not "1" beside "02"."""
    if len(codes) < 2:
        return ""
    alike = [len(set(letters)) == 1 for letters in zip(*codes, strict=False)]
    length = alike.index(False) if False in alike else len(alike)
    return codes[0][: max(0, min(length, min(map(len, codes)) - 2))]


def _grid(code: str, shape: Any, colour: int, prefix: str) -> PlateGrid:
    label = code[len(prefix) :]
    circle = shapely.maximum_inscribed_circle(shape, tolerance=1.0)
    (x, y), _ = shapely.get_coordinates(circle)
    letter = min(_LETTER[1], 2.0 * shapely.length(circle) / (0.78 * max(len(label), 1)))
    return PlateGrid(
        code=code,
        path=_path(shape),
        colour=int(colour),
        label=label if letter >= _LETTER[0] else "",
        x=round(float(x), 1),
        y=round(float(y), 1),
        letter=round(float(letter), 1),
    )


def _path(shape: Any) -> str:
    rings = shapely.get_rings(shapely.get_parts(shape))
    return "".join(
        "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in shapely.get_coordinates(ring)[:-1]) + "Z" for ring in rings
    )


def _marks(marks: Any, metric: Any, place: Any) -> tuple[tuple[float, float], ...]:
    points = np.asarray(list(marks), dtype=float).reshape(-1, 2)
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return ()
    xy = place(shapely.get_coordinates(crs.project(shapely.points(points), crs.WGS84, metric)))
    return tuple((round(float(x), 1), round(float(y), 1)) for x, y in xy)


def _round_length(metres: float) -> int:
    """The largest of 1, 2, 5, 10, 20, 50 … that is not above `metres`."""
    power = 10.0 ** np.floor(np.log10(max(metres, 1.0)))
    return int(max(step * power for step in (1, 2, 5) if step * power <= max(metres, 1.0)))
