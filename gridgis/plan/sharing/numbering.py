"""Codes and names of grids: numbers run along a path, so that neighbours have near ones, or from north to south."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import shapely

from gridgis.plan.faces.network import Bools, Ints, Shapes
from gridgis.plan.reading_order import reading_order
from gridgis.schema import codes_as_text

#: In units of more grids than this the path goes to the nearest grid each time and is not improved.
_IMPROVED = 40

#: The highest number that is looked for in the code of a grid that had one before.
_MOST = 999


def path_order(shapes: Shapes, pairs: Ints) -> Ints:
    """The order of grids along a path: from each to a neighbour where that can be had, neighbours near each other.

    Parameters
    ----------
    shapes : array of Polygon
        Grids of one unit, in metres.
    pairs : (m, 2) array of int
        Those side by side.

    Returns
    -------
    (n,) array of int
        First by how many steps do not go to a neighbour, then by the sum of distances between neighbours in the order;
        it starts at the end that is read first. No optimum is promised. More than 40 grids: always to the nearest
        neighbour that is left, else to the nearest grid.

    Examples
    --------
    >>> import numpy as np, shapely
    >>> row = shapely.box([0, 200, 100], 0, [100, 300, 200], 100)
    >>> path_order(row, np.array([[0, 2], [1, 2]])).tolist()
    [0, 2, 1]
    """
    read = reading_order(shapes)
    count = len(read)
    if count < 3:
        return read
    near = np.zeros((count, count), dtype=bool)
    near[pairs[:, 0], pairs[:, 1]] = near[pairs[:, 1], pairs[:, 0]] = True
    path = _nearest(shapes, near, read)
    if count <= _IMPROVED:
        found = [_improved(start, near, pairs) for start in (path, read)]
        path = min(found, key=lambda order: _cost(order[None, :], near, pairs)[0])
    rank = np.argsort(read)
    return path if rank[path[0]] < rank[path[-1]] else path[::-1]


def _nearest(shapes: Shapes, near: Bools, read: Ints) -> Ints:
    """From the grid that is read first always to the nearest neighbour that is left, else to the nearest grid."""
    middle = shapely.get_coordinates(shapely.centroid(shapes))
    far = 1e3 * (np.ptp(middle, axis=0).sum() + 1)
    left = np.zeros(len(read))
    path = [int(read[0])]
    for _ in range(len(read) - 1):
        here = path[-1]
        left[here] = np.inf
        way = np.hypot(*(middle - middle[here]).T) + np.where(near[here], 0.0, far) + left
        path.append(int(np.argmin(way)))
    return np.array(path, dtype=np.int64)


@functools.cache
def _steps(count: int) -> Ints:
    """Every order that comes of 0..count-1 by turning a stretch around, or by moving one."""
    whole, orders = np.arange(count), []
    for i in range(count):
        for j in range(i + 1, count):
            orders.append(np.concatenate([whole[:i], whole[i : j + 1][::-1], whole[j + 1 :]]))
        rest = np.delete(whole, i)
        orders += [np.insert(rest, j, i) for j in range(count) if abs(i - j) > 1]
    return np.array(orders, dtype=np.int64)


def _cost(orders: Ints, near: Bools, pairs: Ints) -> Ints:
    """Steps to no neighbour (each dearer than all the rest), and the distances of neighbours, of each order."""
    count = orders.shape[1]
    place = np.empty_like(orders)
    np.put_along_axis(place, orders, np.broadcast_to(np.arange(count), orders.shape), axis=1)
    jumps = (~near[orders[:, :-1], orders[:, 1:]]).sum(axis=1)
    total: Ints = jumps * count**3 + np.abs(place[:, pairs[:, 0]] - place[:, pairs[:, 1]]).sum(axis=1)
    return total


def _improved(order: Ints, near: Bools, pairs: Ints) -> Ints:
    best = int(_cost(order[None, :], near, pairs)[0])
    while True:
        others = order[_steps(len(order))]
        cost = _cost(others, near, pairs)
        least = int(np.argmin(cost))
        if cost[least] >= best:
            return order
        order, best = others[least], int(cost[least])


def give_codes(
    parents: Shapes,
    known: Shapes,
    orders: Mapping[str, Ints],
    template: str,
    names: Mapping[str, str],
    titles: Mapping[str, str],
    taken: Iterable[str] = (),
) -> tuple[Shapes, Shapes]:
    """The code and the name of each grid.

    Parameters
    ----------
    parents : array of str
        The unit of each grid.
    known : array of str
        The code that a grid has already, "" for none.
    orders : mapping
        The rows of each unit's grids, in the order of their numbers.
    template : str
        With ``unit`` and ``n``.
    names, titles : mapping
        Names of units, and those of grids that are known, by code.
    taken : iterable of str
        Codes that no new grid may have.
    """
    codes, named = known.copy(), np.empty(len(known), dtype=object)
    used = {*taken, *known} - {""}
    for unit in sorted(set(parents)):
        numbers: dict[str, int] = {}
        number = 0
        for row in orders[unit]:
            if codes[row]:
                continue
            number += 1
            while template.format(unit=unit, n=number) in used:
                number += 1
            codes[row] = template.format(unit=unit, n=number)
            used.add(codes[row])
            numbers[codes[row]] = number
        if any(codes[row] not in numbers and codes[row] not in titles for row in orders[unit]):
            numbers = {template.format(unit=unit, n=n): n for n in range(1, _MOST + 1)} | numbers
        for row in orders[unit]:
            counted = numbers.get(codes[row])
            made = f"{names.get(unit, '')}第{counted}网格" if counted else codes[row]
            named[row] = titles.get(codes[row]) or made
    return codes, named


def names_of(table: pd.DataFrame | None) -> dict[str, str]:
    """Names by code, of a table that may have neither."""
    if table is None or not {"code", "name"} <= set(table.columns):
        return {}
    texts = zip(codes_as_text(table["code"]), table["name"], strict=True)
    return {code: name for code, name in texts if isinstance(code, str) and isinstance(name, str)}
