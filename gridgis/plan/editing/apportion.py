"""Who lives on the pieces of a block that is cut: houses, persons and buildings are counted where they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import shapely

from gridgis.plan.editing.draft import Base, Block
from gridgis.plan.faces.network import Floats, Ints


def shared_out(base: Base, block: Block, codes: list[str], shapes: list[Any]) -> list[Block]:
    """The pieces of a block; each count of theirs adds up to the block's.

    Households go where the houses are, persons with their houses, buildings where they lie, when these are all there
    is. Where only some are known, or none, the block's count is shared by what is known, else by households (persons),
    else by area, in whole numbers by :func:`parted`. Households that are so shared are all estimated.
    """
    homes, built = np.array(block.homes, dtype=np.int64), np.array(block.built, dtype=np.int64)
    at, stands = _piece_of(base.homes.xy[homes], shapes), _piece_of(base.built[built], shapes)
    size, area = len(shapes), shapely.area(shapes)
    lived = _counted(at, base.homes.households[homes], size)
    households = _shared(block.households, lived, area)
    estimated = households
    if lived.sum() == block.households:
        guessed = _counted(at, base.homes.estimated[homes], size)
        none = np.zeros(size, dtype=np.int64)
        estimated = _shared(block.estimated, guessed if guessed.sum() == block.estimated else none, households, area)
    persons = _shared(block.persons, _counted(at, base.homes.persons[homes], size), households, area)
    buildings = _shared(block.buildings, _counted(stands, np.ones(len(built), dtype=np.int64), size), area)
    return [
        replace(
            block, code=code, shape=shape, households=int(households[i]), persons=int(persons[i]),
            estimated=int(estimated[i]), buildings=int(buildings[i]),
            homes=tuple(homes[at == i].tolist()), built=tuple(built[stands == i].tolist()),
        )
        for i, (code, shape) in enumerate(zip(codes, shapes, strict=True))
    ]  # fmt: skip


def _counted(at: Ints, count: Ints, size: int) -> Ints:
    return np.rint(np.bincount(at, count, size)).astype(np.int64) if len(at) else np.zeros(size, dtype=np.int64)


def _shared(total: int, known: Ints, *weights: Any) -> Ints:
    """`known` where that is all there is, else the total in parts by it, or by the first of `weights` that has any."""
    if known.sum() == total:
        return known
    return parted(total, next((w for w in (known, *weights) if np.sum(w) > 0), np.ones(len(known))))


def _piece_of(xy: Floats, shapes: list[Any]) -> Ints:
    """The piece that each place lies in; the first on a border, the nearest where rounding puts it in none."""
    points = shapely.points(xy)
    inside = np.array([shapely.intersects(shape, points) for shape in shapes]).reshape(len(shapes), -1)
    at = inside.argmax(axis=0)
    for i in np.flatnonzero(~inside.any(axis=0)):
        at[i] = int(np.argmin(shapely.distance(shapes, points[i])))
    found: Ints = at.astype(np.int64)
    return found


def parted(total: int, weights: Any) -> Ints:
    """A whole number in whole parts by weights: the largest remainders get what is left, the first of equals first.

    Examples
    --------
    >>> parted(10, [1, 1, 1]).tolist(), parted(7, [0, 3.0]).tolist()
    ([4, 3, 3], [0, 7])
    """
    share = np.asarray(weights, dtype=float)
    exact = total * share / share.sum()
    parts: Ints = np.floor(exact).astype(np.int64)
    left = total - int(parts.sum())
    parts[np.argsort(parts - exact, kind="stable")[:left]] += 1
    return parts
