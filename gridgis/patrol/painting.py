"""Cells: the exact share of each that a polygon fills, and the least squared distance of each to a track.

A raster is an array of square cells, row 0 in the south; cell (row, column) reaches from
``(x + column * cell, y + row * cell)`` to the next.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from gridgis.patrol.compiled import compile_loop

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: From this many segments in all the compiled loop pays for its import (about a second).
COMPILE_FROM = 30_000


class Raster(NamedTuple):
    """Where the cells are: the south-west corner (metres), the cell's side (metres), rows and columns."""

    x: float
    y: float
    cell: float
    rows: int
    columns: int

    def columns_x(self) -> Floats:
        """Centres of the columns."""
        return np.asarray(self.x + (np.arange(self.columns) + 0.5) * self.cell, dtype=float)

    def rows_y(self) -> Floats:
        """Centres of the rows."""
        return np.asarray(self.y + (np.arange(self.rows) + 0.5) * self.cell, dtype=float)


def raster_of(shape: Any, cell: float) -> Raster:
    """The cells that `shape` touches; their corners are whole multiples of `cell`, so that they stay where they are.

    Examples
    --------
    >>> raster_of(shapely.box(1, 1, 7, 4), 2.0)
    Raster(x=0.0, y=0.0, cell=2.0, rows=2, columns=4)
    """
    low_x, low_y, high_x, high_y = np.asarray(shapely.bounds(shape)) / cell
    x, y = np.floor(low_x), np.floor(low_y)
    rows, columns = int(np.ceil(high_y) - y), int(np.ceil(high_x) - x)
    return Raster(float(x * cell), float(y * cell), cell, max(rows, 1), max(columns, 1))


def filled(shape: Any, raster: Raster) -> Floats:
    """The share of each cell that a polygon fills, exactly.

    Parameters
    ----------
    shape : Polygon or MultiPolygon
        Valid, in the metres of `raster`, and inside it.

    Returns
    -------
    (rows, columns) floats
        From 0 to 1; their sum times the cell's area is the area of `shape`.

    Notes
    -----
    Every edge is cut where it crosses from cell to cell; each piece adds the area on its right to its cell, and its
    height to all cells further right (as font renderers do), so the work goes with the length of the outline.

    Examples
    --------
    >>> filled(shapely.box(1, 0, 5, 2), Raster(0, 0, 2.0, 1, 3))
    array([[0.5, 1. , 0.5]])
    """
    start, end = _edges(shape)
    origin = np.array([raster.x, raster.y])
    start, end = (start - origin) / raster.cell, (end - origin) / raster.cell
    low, high = _cut_at_cells(start, end)
    middle = (low + high) / 2
    column = np.clip(np.floor(middle[:, 0]).astype(np.int64), 0, raster.columns)
    row = np.clip(np.floor(middle[:, 1]).astype(np.int64), 0, raster.rows - 1)
    # Outlines run with the inside on their left: down on the west side, up on the east.
    height = low[:, 1] - high[:, 1]
    left_out = middle[:, 0] - column
    width = raster.columns + 2
    at = row * width + column
    shares = np.bincount(at, height * (1 - left_out), minlength=raster.rows * width)
    shares += np.bincount(at + 1, height * left_out, minlength=raster.rows * width)
    shares = np.cumsum(shares.reshape(raster.rows, width), axis=1)[:, : raster.columns]
    # What is left of rounding is no ground.
    shares[np.abs(shares) < 1e-9] = 0.0
    return np.clip(shares, 0.0, 1.0)


def boxes_of(chosen: NDArray[np.bool_], raster: Raster) -> NDArray[Any]:
    """The chosen cells as polygons, those that follow each other in a row as one.

    Examples
    --------
    >>> shapely.area(boxes_of(np.array([[True, True, False, True]]), Raster(0, 0, 2.0, 1, 4))).tolist()
    [8.0, 4.0]
    """
    flat = np.pad(chosen, ((0, 0), (1, 1))).astype(np.int8)
    row, begin = np.nonzero(np.diff(flat, axis=1) == 1)
    _, stop = np.nonzero(np.diff(flat, axis=1) == -1)
    left, right = raster.x + begin * raster.cell, raster.x + stop * raster.cell
    # The top of a row is the bottom of the next to the last digit: rows that touch become one polygon.
    bottom, top = raster.y + row * raster.cell, raster.y + (row + 1) * raster.cell
    return np.asarray(shapely.box(left, bottom, right, top))


def _edges(shape: Any) -> tuple[Floats, Floats]:
    """Start and end of every edge, (n, 2) each, the inside on the left."""
    parts = shapely.get_parts(shape)
    parts = shapely.orient_polygons(parts[shapely.get_type_id(parts) == 3], exterior_cw=False)
    xy, ring = shapely.get_coordinates(shapely.get_rings(parts), return_index=True)
    same = ring[1:] == ring[:-1]
    return xy[:-1][same], xy[1:][same]


def _cut_at_cells(start: Floats, end: Floats) -> tuple[Floats, Floats]:
    """The edges cut at every whole x and y."""
    count = len(start)
    edge = [np.arange(count), np.arange(count)]
    along = [np.zeros(count), np.ones(count)]
    for axis in (0, 1):
        a, b = start[:, axis], end[:, axis]
        first = np.floor(np.minimum(a, b)) + 1
        crossings = np.maximum(np.ceil(np.maximum(a, b)) - first, 0).astype(np.int64)
        owner = np.repeat(np.arange(count), crossings)
        nth = np.arange(len(owner)) - np.repeat(np.cumsum(crossings) - crossings, crossings)
        edge.append(owner)
        along.append((first[owner] + nth - a[owner]) / (b[owner] - a[owner]))
    edges, share = np.concatenate(edge), np.concatenate(along)
    order = np.lexsort((share, edges))
    edges, share = edges[order], share[order]
    points = start[edges] + share[:, None] * (end - start)[edges]
    same = edges[1:] == edges[:-1]
    return points[:-1][same], points[1:][same]


def paint(lines: Floats, raster: Raster, reach: float, compiled: bool = False) -> Floats:
    """The least squared distance from the centre of each cell to the nearest of some straight segments.

    Parameters
    ----------
    lines : (n, 4) floats
        x and y of both ends, metres; a segment may be a point.
    raster : Raster
    reach : float
        Metres; cells further away may stay at infinity.
    compiled : bool
        Whether the compiled loop is used, where numba is installed. The answers are the same.

    Returns
    -------
    (rows, columns) floats
        Square metres; infinity where no segment is near.
    """
    least = np.full((raster.rows, raster.columns), np.inf)
    windows = _windows(lines, raster, reach)
    near = (windows[:, 0] < windows[:, 1]) & (windows[:, 2] < windows[:, 3])
    lines, windows = np.ascontiguousarray(lines[near]), np.ascontiguousarray(windows[near])
    loop = compile_loop(_paint_loop, quick=True) if compiled else None
    if loop is None:
        _paint_plain(least, lines, windows, raster.columns_x(), raster.rows_y())
    else:
        loop(least, lines, windows, raster.x, raster.y, raster.cell)
    return least


def _windows(lines: Floats, raster: Raster, reach: float) -> Ints:
    """First and last (excluded) column and row of the cells within `reach` of the box of each segment."""
    out = np.empty((len(lines), 4), dtype=np.int64)
    for axis, (origin, size) in enumerate(((raster.x, raster.columns), (raster.y, raster.rows))):
        low = np.minimum(lines[:, axis], lines[:, axis + 2]) - reach
        high = np.maximum(lines[:, axis], lines[:, axis + 2]) + reach
        first = np.clip(np.ceil((low - origin) / raster.cell - 0.5), 0, size)
        last = np.clip(np.floor((high - origin) / raster.cell - 0.5) + 1, 0, size)
        out[:, 2 * axis], out[:, 2 * axis + 1] = first, last
    return out


def _paint_plain(least: Floats, lines: Floats, windows: Ints, xs: Floats, ys: Floats) -> None:
    for (x0, y0, x1, y1), (left, right, bottom, top) in zip(lines.tolist(), windows.tolist(), strict=True):
        dx, dy = x1 - x0, y1 - y0
        square = dx * dx + dy * dy
        px, py = xs[left:right] - x0, (ys[bottom:top] - y0)[:, None]
        if square > 0.0:
            along = np.clip((px * dx + py * dy) / square, 0.0, 1.0)
            px, py = px - along * dx, py - along * dy
        part = least[bottom:top, left:right]
        np.minimum(part, px * px + py * py, out=part)


def _paint_loop(least: Any, lines: Any, windows: Any, x: Any, y: Any, cell: Any) -> None:
    # Written so that the compiler takes several cells of a row at a time: no branch, no look-up in the inner loop.
    for k in range(len(lines)):
        x0, y0 = lines[k, 0], lines[k, 1]
        dx, dy = lines[k, 2] - x0, lines[k, 3] - y0
        square = dx * dx + dy * dy
        inverse = 1.0 / square if square > 0.0 else 0.0
        ax, ay = dx * inverse, dy * inverse
        left, right = windows[k, 0], windows[k, 1]
        px0 = x + (left + 0.5) * cell - x0
        for j in range(windows[k, 2], windows[k, 3]):
            row = least[j, left:right]
            py = y + (j + 0.5) * cell - y0
            along0 = py * ay
            for i in range(right - left):
                px = px0 + i * cell
                along = min(max(px * ax + along0, 0.0), 1.0)
                ex, ey = px - along * dx, py - along * dy
                row[i] = min(row[i], ex * ex + ey * ey)
