"""Making the table of cells out of polygons.

The edges of all polygons, each shared one once, are spread over the cells that they touch. Scan lines through the
centres of the sub-cells add up what each edge changes from left to right: so every centre knows its grid, cells
without edges lie wholly in one, and overlaps show as sums that no single grid has.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from gridgis.locate.codes import (
    ASK,
    CROSSED,
    MASK,
    OUTSIDE,
    SHIFT,
    SIDE,
    SUBCELLS,
    TILE,
    rows_of,
    spread,
    summed,
)
from gridgis.locate.table import CellTable
from gridgis.locate.walking import near_zero

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: What an edge is thickened by when the cells it touches are looked for, in widths of a (sub-)cell …
_THICK = 1e-6
#: … which must be many of the smallest steps of the coordinates, so that no rounding reaches as far.
_ULPS_PER_SUBCELL = 1 << 25
#: A scan line that meets an edge nearer to a centre than this leaves the centre open; in widths of a sub-cell.
_OPEN = 1e-5
#: A tile of more edges is left to GEOS, whose index is better then.
_MOST_EDGES = 128
#: Tiles filled at once: what stays in the cache.
_TILES = 2048
#: At most so many cells, tiles and grids.
_MOST_CELLS, _MOST_TILES, MOST_GRIDS = 1 << 25, 1 << 20, 1 << 22
#: Coordinates beyond this, and cells narrower than its inverse, are left to GEOS: their products would overflow.
_FARTHEST = 1e75
#: Where the cells start: off the round numbers on which borders like to lie.
_OFF = 0.3819660112501051


class Edges(NamedTuple):
    """Edges upwards: `ends` from x, y to x, y; `sides` the row on the left and the one on the right, or `OUTSIDE`."""

    ends: Floats
    sides: NDArray[np.int32]


class Frame(NamedTuple):
    """Where the cells lie; as in `CellTable`."""

    left: float
    bottom: float
    step: float
    per_unit: float
    columns: int
    lines: int


def build(shapes: NDArray[Any]) -> CellTable | None:
    """The table of these polygons; None where there can be none.

    Parameters
    ----------
    shapes : ndarray of object
        Polygons and MultiPolygons, None and empty ones among them. With other types, coordinates that are not
        finite, beyond 1e75 or within 1e-100 of 0 (but 0), or more than four million rows there is no table.

    Returns
    -------
    CellTable or None
    """
    kinds = shapely.get_type_id(shapes)
    solid = ~(shapely.is_empty(shapes) | (kinds < 0))
    if len(shapes) > MOST_GRIDS or not solid.any() or not np.isin(kinds[solid], (3, 6)).all():
        return None
    rings, owner, shell = _rings(shapes)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    if len(xy) == 0 or not np.abs(xy).max() < _FARTHEST or near_zero(xy).any():
        return None
    edges = _edges(xy, ring, owner, shell == shapely.is_ccw(rings))
    frame = _frame(xy, edges)
    if frame is None:
        return None
    del xy, ring, rings
    edges = _once_each(edges, frame)
    return _filled(edges, frame, len(shapes))


def _rings(shapes: NDArray[Any]) -> tuple[NDArray[Any], Ints, Bools]:
    """All rings, the row of each, and whether it is an outer one."""
    parts, row = shapely.get_parts(shapes, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    return rings, row[part], np.diff(part, prepend=-1) != 0


def _edges(xy: Floats, ring: Ints, owner: Ints, inside_left: Bools) -> Edges:
    """The edges of all rings, upwards (or to the right)."""
    starts = np.flatnonzero(ring[:-1] == ring[1:])
    a, b = xy[starts], xy[starts + 1]
    at = ring[starts]
    down = (a[:, 1] > b[:, 1]) | ((a[:, 1] == b[:, 1]) & (a[:, 0] > b[:, 0]))
    ends = np.empty((len(starts), 4))
    ends[:, :2], ends[:, 2:] = np.where(down[:, None], b, a), np.where(down[:, None], a, b)
    on_left = inside_left[at] != down
    sides = np.where(np.stack([on_left, ~on_left], axis=1), owner[at, None], OUTSIDE).astype(np.int32)
    real = (ends[:, 0] != ends[:, 2]) | (ends[:, 1] != ends[:, 3])
    return Edges(ends, sides) if real.all() else Edges(ends[real], sides[real])


def _frame(xy: Floats, edges: Edges) -> Frame | None:
    """Cells of the width that the length of the borders asks for, and that rounding leaves room for."""
    low, high = xy.min(axis=0), xy.max(axis=0)
    width, height = (float(side) for side in high - low)
    length = float(np.hypot(*(edges.ends[:, 2:] - edges.ends[:, :2]).T).sum()) / 2
    if not length > 0:
        return None
    least = float(np.spacing(np.abs([low, high]).max())) * _ULPS_PER_SUBCELL * SIDE
    cell = max(_cell_width(length, width, height, len(edges.ends)), least)
    if not cell > 1 / _FARTHEST:
        return None
    # Rim: a whole cell at the least on each side.
    left, bottom = float(low[0]) - cell * (1 + _OFF), float(low[1]) - cell * (1 + _OFF)
    columns, lines = (int(side / cell + _OFF) + 3 for side in (width, height))
    return Frame(left, bottom, cell / SIDE, SIDE / cell, columns, lines)


def _cell_width(length: float, width: float, height: float, edges: int) -> float:
    """Where `length` of border (each once) crosses an extent, how wide the cells should be.

    The narrower the cells, the smaller the share of points near an edge, and the more tiles there are. The product
    of both depends on the extent alone; so the share grows slowly with what has to be divided.
    """
    area = max(width * height, (width + height) * length / 1e6)
    crossing = 1.27 * length  # cells met by a line of any direction: 4 / pi for each width of a cell
    burden = crossing**2 / area
    share = min(max(0.05 * (burden / 1800.0) ** 0.35, 0.02), 0.6)
    tiles = min(max(burden / share, edges / 4), _MOST_TILES, 64.0 + 4.0 * edges)
    return float(max(crossing / tiles, math.sqrt(area / _MOST_CELLS), (width + height) / (1 << 20)))


def _once_each(edges: Edges, frame: Frame) -> Edges:
    """Edges in the order of the cells they start in, each that two grids share from both its sides made one.

    The order is by cell, then by a hash of the ends, so that equal ones come to lie side by side. Two that
    should meet and do not, by a chance of the hash, stay two, and so do more than two, of grids that overlap: that is
    as right.
    """
    ends, sides = edges
    count = len(ends)
    bits = max(count - 1, 1).bit_length()
    line = ((ends[:, 1] - frame.bottom) * (frame.per_unit / SIDE)).astype(np.int64)
    cell = line * frame.columns + ((ends[:, 0] - frame.left) * (frame.per_unit / SIDE)).astype(np.int64)
    room = 63 - bits - (frame.columns * frame.lines).bit_length()
    key = (cell << room) | _hash(ends, room)
    key <<= bits
    key |= np.arange(count)
    key.sort()
    order = key & ((1 << bits) - 1)
    ends, sides = ends.take(order, axis=0), sides.take(order, axis=0)
    new = np.ones(count + 1, dtype=bool)
    np.any(ends[1:] != ends[:-1], axis=1, out=new[1:-1])
    one = np.flatnonzero(new[:-1] & ~new[1:])  # equal to the next, and to none before …
    one = one[new[one + 2]]  # … nor to the one after that
    one = one[(sides[one, 0] < 0) != (sides[one + 1, 0] < 0)]
    sides[one] = np.maximum(sides[one], sides[one + 1])
    kept = np.ones(count, dtype=bool)
    kept[one + 1] = False
    return Edges(ends[kept], sides[kept])


def _hash(ends: Floats, bits: int) -> Ints:
    mixed = np.zeros(len(ends), dtype=np.uint64)
    for column, factor in enumerate((0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)):
        part = (ends[:, column] + 0.0).view(np.uint64)  # -0.0 is 0.0
        mixed += (part ^ (part >> np.uint64(29))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(32)
    mixed *= np.uint64(0x9E3779B97F4A7C15)
    return (mixed >> np.uint64(64 - bits)).astype(np.int64)


def _filled(edges: Edges, frame: Frame, grids: int) -> CellTable:
    local = _in_subcells(edges.ends, frame) / SIDE
    edge, cell = _touched(local, frame.columns)
    bits = max(len(edges.ends) - 1, 1).bit_length()
    key = (cell << bits) | edge
    key.sort()
    edge, cell = key & ((1 << bits) - 1), key >> bits
    del key, local
    first = np.flatnonzero(np.diff(cell, prepend=-1))
    crossed = cell[first]  # the cells that become tiles, in the order of their numbers
    first = np.append(first, len(cell))
    tiles = np.empty((len(crossed), SUBCELLS), dtype=np.int32)
    after = np.empty((len(crossed), SIDE), dtype=np.int64)
    before = np.zeros(SIDE, dtype=np.int64)
    for start in range(0, len(crossed), _TILES):
        part = slice(start, start + _TILES)
        since, until = first[start], first[min(start + _TILES, len(crossed))]
        tile = np.repeat(np.arange(len(crossed[part])), np.diff(first[start : start + _TILES + 1]))
        piece = _Piece(edges, frame, edge[since:until], tile, crossed[part])
        tiles[part], after[part] = piece.fill(before, grids)
        before = after[part][-1]
    tiles, first, edge = _without_crowds(tiles, first, edge)
    cells = _cells(crossed, after, frame, grids)
    ends, sides = edges.ends.take(edge, axis=0), edges.sides.take(edge, axis=0)
    return CellTable(*frame, grids, cells, tiles.ravel(), first, ends, sides)


def _cells(crossed: Ints, after: Ints, frame: Frame, grids: int) -> NDArray[np.int32]:
    """All cells: tiles where edges cross, and after each tile, up to the next one, what its right side says."""
    count = frame.columns * frame.lines
    if count == 0 or len(crossed) == 0:
        return np.full(count, OUTSIDE, dtype=np.int32)
    label = np.where((after == after[:, :1]).all(axis=1), rows_of(after[:, 0], grids), ASK).astype(np.int32)
    cells = np.repeat(np.append(np.int32(OUTSIDE), label), np.diff(np.concatenate([[0], crossed, [count]])))
    cells[crossed] = TILE - np.arange(len(crossed))
    return cells


def _without_crowds(tiles: NDArray[np.int32], first: Ints, edge: Ints) -> tuple[NDArray[np.int32], Ints, Ints]:
    """GEOS is asked in tiles of very many edges, and their lists are dropped."""
    sizes = np.diff(first)
    crowded = sizes > _MOST_EDGES
    if not crowded.any():
        return tiles, first, edge
    tiles[crowded[:, None] & (tiles < ASK)] = ASK
    kept = edge[~np.repeat(crowded, sizes)]
    return tiles, np.concatenate([[0], np.cumsum(np.where(crowded, 0, sizes))]), kept


def _in_subcells(ends: Floats, frame: Frame) -> Floats:
    """The ends in sub-cells from the corner of the table, by the very sum that points go through."""
    return (ends - (frame.left, frame.bottom, frame.left, frame.bottom)) * frame.per_unit


def _touched(ends: Floats, columns: int) -> tuple[Ints, Ints]:
    """Pairs of edge and number of a unit square that it touches, thickened a little; `ends` go upwards."""
    low, high = np.floor(ends[:, 1] - _THICK).astype(np.int64), np.floor(ends[:, 3] + _THICK).astype(np.int64)
    edge, line = spread(high - low + 1, low)
    left, right = _span(ends, edge, line)
    pair, column = spread(right - left + 1, left)
    return edge[pair], line[pair] * columns + column


def _span(ends: Floats, edge: Ints, line: Ints) -> tuple[Ints, Ints]:
    """The first and the last column that each edge touches within a line of squares."""
    u, v, across, up = ends[edge, 0], ends[edge, 1], (ends[:, 2] - ends[:, 0])[edge], (ends[:, 3] - ends[:, 1])[edge]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        enters, leaves = (line - _THICK - v) / up, (line + (1 + _THICK) - v) / up
    # A level edge gives infinities, and NaN where it lies on the thickened rim: then all of it counts.
    enters, leaves = np.fmin(np.fmax(enters, 0.0), 1.0), np.fmax(np.fmin(leaves, 1.0), 0.0)
    enters *= across
    leaves *= across
    left, right = u + np.minimum(enters, leaves), u + np.maximum(enters, leaves)
    return np.floor(left - _THICK).astype(np.int64), np.floor(right + _THICK).astype(np.int64)


class _Piece(NamedTuple):
    """Some tiles, one after the other, and the pairs of edge and tile (numbered within the piece) that meet."""

    edges: Edges
    frame: Frame
    edge: Ints
    tile: Ints
    cells: Ints

    def fill(self, before: Ints, grids: int) -> tuple[NDArray[np.int32], Ints]:
        """The sub-cells of the tiles, and the sums at their right sides, line by line.

        `before` are the sums left of the first tile, in the eight lines through its centres.
        """
        column, line = (self.cells % self.frame.columns)[self.tile], (self.cells // self.frame.columns)[self.tile]
        ends = self.edges.ends.take(self.edge, axis=0)
        local = _in_subcells(ends, self.frame)
        low = np.maximum(np.floor(local[:, 1] - _THICK).astype(np.int64) - line * SIDE, 0)
        high = np.minimum(np.floor(local[:, 3] + _THICK).astype(np.int64) - line * SIDE, MASK)
        pair, within = spread(np.maximum(high - low + 1, 0), low)
        place = (self.tile[pair] << SHIFT) + within  # which line of which tile
        at = within + line[pair] * SIDE
        crossed = self._crossed(local, pair, at, column, place)
        changes, unsure = self._changes(ends, pair, at, column, place)
        totals = changes.sum(axis=2)
        after = np.cumsum(totals, axis=0)
        after += before
        sums = np.cumsum(changes[:, :, :SIDE], axis=2)
        sums += (after - totals)[:, :, None]
        label = rows_of(sums.reshape(-1, SUBCELLS), grids)
        label = np.where(crossed & (label != ASK), CROSSED - label, label)
        label[unsure] = ASK
        return label.astype(np.int32), after

    def _crossed(self, local: Floats, pair: Ints, at: Ints, column: Ints, place: Ints) -> Bools:
        """Whether an edge touches each sub-cell."""
        left, right = _span(local, pair, at)
        offset = column[pair] * SIDE
        left, right = np.maximum(left - offset, 0), np.minimum(right - offset, MASK)
        owner, within = spread(np.maximum(right - left + 1, 0), left)
        crossed = np.zeros((len(self.cells), SUBCELLS), dtype=bool)
        crossed.reshape(-1)[(place[owner] << SHIFT) + within] = True
        return crossed

    def _changes(self, ends: Floats, pair: Ints, at: Ints, column: Ints, place: Ints) -> tuple[Ints, Bools]:
        """What changes from the left at each centre of each line (and behind the last), and the centres left open."""
        frame = self.frame
        y = frame.bottom + (at + 0.5) * frame.step
        met = np.flatnonzero((ends[pair, 1] <= y) & (ends[pair, 3] > y))
        pair, place, y = pair[met], place[met], y[met]
        ax, ay, bx, by = ends.take(pair, axis=0).T
        x = ax + (y - ay) / (by - ay) * (bx - ax)
        u = (x - frame.left) * frame.per_unit - column[pair] * SIDE
        here = np.flatnonzero((u >= 0) & (u < SIDE))
        pair, place, u = pair[here], place[here], u[here]
        changes = np.zeros((len(self.cells), SIDE, SIDE + 1), dtype=np.int64)
        behind = np.floor(u + 0.5).astype(np.int64)
        left, right = self.edges.sides.take(self.edge[pair], axis=0).T
        np.add.at(changes.reshape(-1), place * (SIDE + 1) + behind, summed(right) - summed(left))
        unsure = np.zeros((len(self.cells), SUBCELLS), dtype=bool)
        nearest = np.rint(u - 0.5).astype(np.int64)
        close = np.abs(u - 0.5 - nearest) < _OPEN
        unsure.reshape(-1)[(place[close] << SHIFT) + nearest[close]] = True
        return changes, unsure
