"""The plane of the plan: metres east and north of the centre, slightly turned, and its way to degrees and back.

Also what every file of the sample draws with: smooth lines, the faces between lines, random numbers of a place.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely import LineString, Polygon

from gridgis.crs import WGS84, transformer, zone_crs

#: Every room of the sample draws from its own stream, so that one can grow without moving the others.
SEED = 20260302

CENTRE = (114.62, 30.21)
_TURN_DEG = 7.0


class Street(NamedTuple):
    """One line of the plan with its class and name; `through` ones run on beyond the boundary."""

    kind: str
    name: str
    line: LineString
    through: bool = False


def to_degrees(shapes: Any) -> Any:
    """Geometry of the plan in WGS 84, longitude before latitude, rounded to 7 decimals (about 1 cm)."""
    return shapely.transform(shapes, degrees_of)


def degrees_of(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places of the plan, shape (n, 2), in degrees: :func:`to_degrees` for many points."""
    forth, _, (east, north) = _transformers()
    turned = xy @ _turn().T
    return np.round(np.column_stack(forth.transform(east + turned[:, 0], north + turned[:, 1])), 7)


def to_plan(shapes: Any) -> Any:
    """Geometry in WGS 84 back in the metres of the plan; for measuring and walking, never to be written."""
    _, back, origin = _transformers()

    def move(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((np.column_stack(back.transform(degrees[:, 0], degrees[:, 1])) - origin) @ _turn())

    return shapely.transform(shapes, move)


@cache
def _transformers() -> tuple[pyproj.Transformer, pyproj.Transformer, tuple[float, float]]:
    """From the metric zone of the place to WGS 84, back, and the centre in the zone."""
    zone = zone_crs(*CENTRE)
    back = transformer(WGS84, zone)
    return transformer(zone, WGS84), back, back.transform(*CENTRE)


def _turn() -> NDArray[np.float64]:
    """Rotation of the plan against the grid of the zone: no street of a town runs due north."""
    cos, sin = np.cos(np.radians(_TURN_DEG)), np.sin(np.radians(_TURN_DEG))
    return np.array([[cos, -sin], [sin, cos]])


def stream(subject: int, place: Polygon) -> np.random.Generator:
    """Random numbers of one subject for one place: what changes elsewhere in the town does not change them."""
    x, y = place.centroid.coords[0]
    return np.random.default_rng([SEED, subject, int(x // 25) + 1000, int(y // 25) + 1000])


def curve(points: Any, step: float = 30.0) -> LineString:
    """A smooth line (Catmull-Rom) from the first to the last of `points`, a vertex about every `step` metres.

    Examples
    --------
    >>> [(round(x), round(y)) for x, y in curve([(0, 0), (100, 30), (200, 0)], 50.0).coords]
    [(0, 0), (49, 18), (100, 30), (151, 18), (200, 0)]
    """
    p = np.asarray(points, dtype=float)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = np.linspace(0.0, 1.0, 24, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True):
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    dense = LineString(np.vstack([*pieces, p[-2:-1]]))
    count = max(1, round(dense.length / step))
    places = shapely.line_interpolate_point(dense, np.linspace(0, 1, count + 1), normalized=True)
    return LineString(shapely.get_coordinates(places))


def faces_of(edges: NDArray[Any], outline: Polygon) -> NDArray[Any]:
    """Faces between the edges, inside the outline, from north to south and west to east."""
    faces = shapely.get_parts(shapely.polygonize(list(edges)))
    faces = faces[shapely.contains(outline, shapely.point_on_surface(faces))]
    centre = shapely.get_coordinates(shapely.centroid(faces))
    order = np.lexsort((np.round(centre[:, 0]), -np.round(centre[:, 1])))
    return np.asarray(shapely.normalize(faces[order]))
