"""Shapes as short SVG paths: in whole units, simplified for drawing only, cut to a window.

Works on rings and lines whatever their faults are: a ring that crosses itself is drawn as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Objects = NDArray[np.object_]

#: How far a drawn line may lie off, in units of the drawing.
TOLERANCE = 1.0


@dataclass(frozen=True)
class Window:
    """A square or rectangle of ground as a drawing: `scale` units a metre, north up, `margin` units around."""

    west: float
    north: float
    scale: float
    margin: float = 0.0

    def place(self, xy: Floats) -> Floats:
        """Coordinates in metres, shape (n, 2), as units of the drawing, y downwards."""
        at = np.column_stack([xy[:, 0] - self.west, self.north - xy[:, 1]])
        return at * self.scale + self.margin


def rings_of(shapes: Objects) -> tuple[Objects, NDArray[np.intp]]:
    """The rings of polygons, and the position of each ring's shape; what is no polygon has none."""
    parts, owner = shapely.get_parts(shapes, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    return rings, owner[part]


def lines_of(shapes: Objects) -> Objects:
    """The lines among the parts of some shapes."""
    parts: Objects = shapely.get_parts(shapes)
    lines: Objects = parts[shapely.get_dimensions(parts) == 1]
    return lines


def points_of(shapes: Objects) -> Floats:
    """The points among the parts of some shapes, shape (n, 2)."""
    parts = shapely.get_parts(shapes)
    return np.asarray(shapely.get_coordinates(parts[shapely.get_dimensions(parts) == 0]), dtype=float)


def clip(ring: Floats, low: float, high: float) -> Floats:
    """The part of a ring inside the square from `low` to `high`, along whose sides it is closed.

    Parameters
    ----------
    ring : array of shape (n, 2)
        Without the closing vertex.
    low, high : float

    Returns
    -------
    array of shape (m, 2)
        Without the closing vertex; empty where nothing is inside. Parts that fall asunder stay one ring, joined along
        the square's sides: draw the square a little larger than what is seen.

    References
    ----------
    Sutherland, Hodgman: Reentrant polygon clipping. Communications of the ACM 17 (1974).

    Examples
    --------
    >>> import numpy as np
    >>> clip(np.array([[0.0, 0], [4, 0], [4, 4], [0, 4]]), 1, 9).tolist()
    [[4.0, 1.0], [4.0, 4.0], [1.0, 4.0], [1.0, 1.0]]
    """
    for axis, sign, limit in ((0, 1, low), (0, -1, high), (1, 1, low), (1, -1, high)):
        depth = sign * (ring[:, axis] - limit)
        inside = depth >= 0
        if inside.all():
            continue
        if not inside.any():
            return ring[:0]
        following, depth_there = np.concatenate([ring[1:], ring[:1]]), np.concatenate([depth[1:], depth[:1]])
        crossing = inside != (depth_there >= 0)
        share = np.divide(depth, depth - depth_there, out=np.zeros(len(depth)), where=crossing)
        both = np.stack([ring, ring + share[:, None] * (following - ring)], axis=1).reshape(-1, 2)
        ring = both[np.column_stack([inside, crossing]).ravel()]
    return ring


def simplified(lines: list[Floats], tolerance: float = TOLERANCE) -> list[NDArray[np.int64]]:
    """Lines, each of shape (n, 2) with n ≥ 2, with fewer vertices and in whole units."""
    if not lines:
        return []
    index = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    return thinned(np.concatenate(lines), index, tolerance)


def thinned(xy: Floats, index: NDArray[np.intp], tolerance: float = TOLERANCE) -> list[NDArray[np.int64]]:
    """The same of lines that are one array: `index`, from 0 without a break, says which line a vertex is of."""
    if not len(xy):
        return []
    drawn = shapely.simplify(shapely.linestrings(xy, indices=index), tolerance, preserve_topology=False)
    xy, index = shapely.get_coordinates(drawn, return_index=True)
    whole = np.rint(xy).astype(np.int64)
    return np.split(whole, np.searchsorted(index, np.arange(1, len(drawn))))


def path(line: NDArray[np.int64], closed: bool = False) -> str:
    """One line as an SVG path of relative steps; one that has shrunk to a point is a dot of its stroke.

    Examples
    --------
    >>> import numpy as np
    >>> path(np.array([[5, 5], [8, 1], [8, 1], [5, 5]]), closed=True), path(np.array([[5, 5], [5, 5]]))
    ('M5 5l3-4z', 'M5 5h0')
    """
    steps = np.diff(line, axis=0)
    steps = steps[steps.any(axis=1)]
    start = f"M{line[0, 0]} {line[0, 1]}"
    if not len(steps):
        return start + "h0"
    if closed:
        return start + "l" + _joined(steps[:-1] if len(steps) > 1 else steps) + "z"
    return start + "l" + _joined(steps)


def dot(xy: Floats) -> str:
    """One point as a dot of its stroke."""
    x, y = np.rint(xy).astype(int).tolist()
    return f"M{x} {y}h0"


def _joined(steps: NDArray[np.int64]) -> str:
    return " ".join(map(str, steps.ravel().tolist())).replace(" -", "-")


def shape_path(shape: Any, window: Window, inside: tuple[float, float] | None = None) -> str:
    """A shape of any kind, in metres, as one SVG path (polygons closed, points as dots).

    `inside` cuts polygons to a square in units of the drawing.
    """
    given = np.array([shape], dtype=object)
    rings, _ = rings_of(given)
    placed = [window.place(shapely.get_coordinates(ring)[:-1]) for ring in rings]
    if inside is not None:
        placed = [clip(ring, *inside) for ring in placed]
    closed = simplified([np.vstack([ring, ring[:1]]) for ring in placed if len(ring)])
    opened = simplified([window.place(shapely.get_coordinates(line)) for line in lines_of(given)])
    dots = [dot(xy) for xy in window.place(points_of(given))]
    return "".join([*(path(ring, closed=True) for ring in closed), *map(path, opened), *dots])


def round_length(metres: float) -> float:
    """The largest of … 0.1, 0.2, 0.5, 1, 2, 5, 10 … that is not above `metres`.

    Examples
    --------
    >>> round_length(37), round_length(0.6), round_length(1000)
    (20.0, 0.5, 1000.0)
    """
    power = 10.0 ** np.floor(np.log10(metres) + 1e-9)
    return float(max(step * power for step in (1, 2, 5) if step * power <= metres * (1 + 1e-9)))


def length_text(metres: float) -> str:
    """A length as a scale bar says it.

    Examples
    --------
    >>> length_text(0.05), length_text(20.0), length_text(5000.0)
    ('5 cm', '20 m', '5 km')
    """
    for unit, size in (("km", 1000.0), ("m", 1.0), ("cm", 0.01)):
        if metres >= size * (1 - 1e-9):
            return f"{metres / size:g} {unit}"
    return f"{metres * 1000:g} mm"
