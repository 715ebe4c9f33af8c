"""How near walks came to the cells of a grid, kept in a few kilobytes: as exactly as one sight asks for, and packed."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from gridgis.patrol.ground import Centimetres, seen_by_distance

_CODEC = "zstd"


class Packed(NamedTuple):
    """Distances as bytes: how many cells, the distance that is written as 0, bytes a cell."""

    content: bytes
    cells: int
    low: int
    width: int


def pack(cm: Centimetres, sight: float, cell: float) -> Packed | None:
    """Distances as far as a sight tells them apart: the share seen of every cell stays what it was.

    Parameters
    ----------
    cm : (n,) uint16
        Centimetres, as of :func:`gridgis.patrol.ground.distances`.
    sight, cell : float
        Metres. Nearer than ``sight - cell / 2`` all of a cell is seen, and further than ``sight + cell / 2`` nothing:
        such distances are cut to these two.

    Returns
    -------
    Packed or None
        None where no cell is seen.

    Notes
    -----
    Four hours in 0.3 km² are 5 kB (600 kB before): what is left lies along the edge of what was seen.

    Examples
    --------
    >>> unpack(pack(np.array([0, 2_480, 2_540, 65_535], dtype=np.uint16), 25.0, 1.0)).tolist()
    [2450, 2480, 2540, 2550]
    """
    low, high = _told_apart(sight, cell)
    if cm.size == 0 or cm.min() >= high:
        return None
    kind = np.dtype(np.uint8 if high - low <= np.iinfo(np.uint8).max else np.uint16)
    codes = (np.clip(cm, low, high) - low).astype(kind)
    return Packed(pa.compress(codes, codec=_CODEC, asbytes=True), cm.size, low, kind.itemsize)


def unpack(packed: Packed) -> Centimetres:
    """The distances of :func:`pack`, those that lie too far or nearer than matters cut."""
    content = pa.decompress(packed.content, packed.cells * packed.width, codec=_CODEC, asbytes=True)
    codes = np.frombuffer(content, dtype=np.uint8 if packed.width == 1 else np.uint16)
    return codes.astype(np.uint16) + np.uint16(packed.low)


def nearer(one: Packed | None, other: Packed | None, sight: float, cell: float) -> Packed | None:
    """Of each cell the least of two distances, packed with the same `sight` and `cell`."""
    if one is None or other is None:
        return one or other
    return pack(np.minimum(unpack(one), unpack(other)), sight, cell)


@cache
def _told_apart(sight: float, cell: float) -> tuple[int, int]:
    """The last centimetre at which all of a cell is seen, and the first at which nothing of it is."""
    seen = seen_by_distance(sight, cell)
    whole = np.flatnonzero(seen == 1.0)
    return int(whole[-1]) if len(whole) else 0, int(np.flatnonzero(seen == 0.0)[0])
