"""A plan that goes on from another one: from which grid a block comes, what stays there, which codes continue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gridgis import crs as crs_
from gridgis.errors import PlanError, SchemaError
from gridgis.locate import GridLocator
from gridgis.plan.faces.graph import components
from gridgis.plan.faces.network import Floats, Ints, Shapes
from gridgis.plan.sharing.recombine import Draft, Engine, Piece, beside, share_out, subpiece
from gridgis.schema import codes_as_text


def grids_before(previous: gpd.GeoDataFrame, blocks: gpd.GeoDataFrame) -> Shapes:
    """The code of the grid of the previous plan in which each block lies (with an inner point), "" for none.

    Parameters
    ----------
    previous : GeoDataFrame
        Blocks with ``grid``, or grids with ``code``, in any CRS.
    blocks : GeoDataFrame

    Raises
    ------
    SchemaError
        Neither column is there.
    PlanError
        None of the blocks lies in the previous plan.
    """
    column = next((name for name in ("grid", "code") if name in previous.columns), None)
    if column is None:
        raise SchemaError("a previous plan needs the grid of its blocks, or grids with their code", source="previous",
                          found=", ".join(map(str, previous.columns)), wanted="grid or code")  # fmt: skip
    old = previous[~(previous.geometry.is_empty | previous.geometry.isna())]
    points = shapely.point_on_surface(np.asarray(blocks.geometry.array, dtype=object))
    moved = crs_.project(points, crs_.require_crs(blocks, "blocks"), crs_.require_crs(previous, "previous"))
    row = GridLocator(old).locate(shapely.get_x(moved), shapely.get_y(moved)) if len(old) else np.full(len(blocks), -1)
    if not (row >= 0).any():
        raise PlanError(
            "the previous plan is one of another place: no block lies in it", source="previous",
            found=_around(previous), wanted=f"a plan around {_around(blocks)}", remedy="Check the file and its CRS.",
        )  # fmt: skip
    codes = codes_as_text(old[column]).fillna("").to_numpy(dtype=object)
    home: Shapes = np.where(row >= 0, codes[np.maximum(row, 0)], "").astype(object)
    return home


def _around(frame: gpd.GeoDataFrame) -> str:
    middle = frame.geometry.to_crs(4326).total_bounds if frame.crs is not None else frame.total_bounds
    return f"{(middle[0] + middle[2]) / 2:.3f}, {(middle[1] + middle[3]) / 2:.3f}"


# --- the search -------------------------------------------------------------------------------------------------------


def from_before(
    piece: Piece,
    taken: Iterable[int],
    counts: list[int],
    target: float,
    tolerance: float,
    tools: Engine,
    keep_count: bool,
) -> Ints | None:
    """The grid of each block, on from those they come from; None where they come from none.

    Parameters
    ----------
    piece : Piece
        With ``home``.
    taken : iterable of int
        Homes that are those of other ground.
    counts : list of int
        Numbers of grids worth trying, when as many as before leave grids off norm.
    target, tolerance, tools
        As in :func:`~gridgis.plan.sharing.recombine.share_out`. Where ``tools.stay`` is 0, a plan from nothing is tried
        too when grids stay off norm.
    keep_count : bool
        As many grids as before, whatever `counts` say.
    """
    start = _grown(piece, set(taken))
    if start is None:
        return None
    before = len(np.unique(start))
    tries = [before] if keep_count else [before, *(count for count in counts if count != before)]
    found: list[tuple[tuple[float, float], int, Ints]] = []
    for count in tries:
        label, homes = _compressed(_adjusted(piece, start, count, target, tolerance, tools))
        home = np.array([homes.get(int(h), len(piece.load) if h >= 0 else -1) for h in piece.home])  # type: ignore[union-attr]
        draft = Draft(piece._replace(home=home), int(label.max()) + 1, target, tolerance, tools, 0)
        draft.start_from(label)
        if draft.count > 1:
            draft.improve()
        off, price = draft.score()
        found.append(((price, off) if tools.stay > 0 else (off, price), len(found), draft.labels()))
        if off == 0 or tools.stop.is_set():
            break
        if tools.stay <= 0:
            draft.start_from(share_out(piece, count, target, tolerance, tools))
            found.append((draft.score(), len(found), draft.labels()))
    return min(found, key=lambda item: item[:2])[2]


def _grown(piece: Piece, taken: set[int]) -> Ints | None:
    """The home of each block, each in one piece: smaller parts, and blocks without one, join a neighbour."""
    home = np.asarray(piece.home)
    label = np.where(np.isin(home, [*taken, -1]), -1, home)
    if not (label >= 0).any():
        return None
    ends = label[piece.pairs]
    part = components(len(label), piece.pairs[(ends[:, 0] == ends[:, 1]) & (ends[:, 0] >= 0)])
    load, area = (np.bincount(part, values) for values in (piece.load, piece.area))
    for grid in np.unique(label[label >= 0]).tolist():
        own = np.unique(part[label == grid]).tolist()
        kept = max(own, key=lambda p: (load[p], area[p], -p))
        label[(label == grid) & (part != kept)] = -1
    while (label < 0).any():
        ends = label[piece.pairs]
        reached = np.flatnonzero((ends < 0).sum(axis=1) == 1)
        turned = ends[reached, 0] < 0
        block = np.where(turned, piece.pairs[reached, 0], piece.pairs[reached, 1])
        grid = np.where(turned, ends[reached, 1], ends[reached, 0])
        order = np.lexsort((grid, -piece.metres[reached], block))
        first = np.unique(block[order], return_index=True)[1]
        label[block[order][first]] = grid[order][first]
    return label


def _adjusted(piece: Piece, start: Ints, count: int, target: float, tolerance: float, tools: Engine) -> Ints:
    """`start` with `count` grids: the heaviest are cut in two, or the lightest join their lightest neighbour."""
    label, new = start.copy(), int(np.asarray(piece.home).max()) + 1
    rank = (piece.load + 1e-6 * piece.area / piece.area.sum()).astype(float)
    while len(grids := np.unique(label)) != count:
        load = np.bincount(label, rank)
        if len(grids) > count:
            light = min(grids.tolist(), key=lambda g: (load[g], g))
            dense = np.searchsorted(grids, label)
            near = [int(grids[o]) for pair in beside(dense, piece.pairs) for o in pair if light in grids[pair]]
            other = min(set(near) - {light}, key=lambda g: (load[g], g))
            kept, gone = (other, light) if load[other] >= load[light] else (light, other)
            label[label == gone] = kept
            continue
        sizes = np.bincount(label)
        able = [g for g in grids.tolist() if sizes[g] > 1]
        if not able:
            return label
        own = np.flatnonzero(label == max(able, key=lambda g: (load[g], -g)))
        part = subpiece(piece, own)._replace(home=None)
        half = share_out(part, 2, float(part.load.sum()) / 2 or target, tolerance, tools._replace(stay=0.0))
        smaller = int(np.bincount(half, rank[own], 2).argmin())
        label[own[half == smaller]] = new
        new += 1
    return label


def _compressed(label: Ints) -> tuple[Ints, dict[int, int]]:
    """Labels 0, 1, …, and what each label was."""
    numbers, dense = np.unique(label, return_inverse=True)
    return dense.astype(np.int64), {int(number): place for place, number in enumerate(numbers)}


def followed(label: Ints, piece: Piece) -> Ints | None:
    """`piece.home` in the numbers of `label`: each grid follows that from which most of its load comes."""
    if piece.home is None:
        return None
    rows = [np.flatnonzero(label == grid) for grid in range(int(label.max()) + 1)]
    names = np.array([str(number) if number >= 0 else "" for number in piece.home], dtype=object)
    place = {name: grid for grid, name in enumerate(continued(rows, names, piece.load, piece.area)) if name}
    out: Ints = np.array([place.get(name, len(label) if name else -1) for name in names], dtype=np.int64)
    return out


# --- codes ------------------------------------------------------------------------------------------------------------


def continued(rows_of: list[Ints], home: Shapes, load: Floats, area: Floats) -> list[str]:
    """For each grid (rows of its blocks) the code that goes on in it, "" for none; the largest overlap comes first.

    Examples
    --------
    >>> import numpy as np
    >>> home = np.array(["A", "A", "B", ""], dtype=object)
    >>> continued([np.array([0]), np.array([1, 2]), np.array([3])], home, np.array([9., 5, 4, 1]), np.ones(4))
    ['A', 'B', '']
    """
    grid = np.concatenate([np.full(len(rows), number) for number, rows in enumerate(rows_of)])
    rows = np.concatenate(rows_of)
    table = pd.DataFrame({"grid": grid, "home": home[rows], "load": load[rows], "area": area[rows]})
    sums = table[table["home"] != ""].groupby(["grid", "home"], sort=True)[["load", "area"]].sum().reset_index()
    sums = sums.sort_values(["load", "area", "home", "grid"], ascending=[False, False, True, True], kind="stable")
    codes, given = [""] * len(rows_of), set[str]()
    for number, code in zip(sums["grid"].tolist(), sums["home"].tolist(), strict=True):
        if not codes[number] and code not in given:
            codes[number] = code
            given.add(code)
    return codes


def moved(home: Shapes, codes: Shapes, load: Floats) -> dict[str, Any]:
    """How much changes grid: blocks that come from a grid of another code, and their load."""
    away = (home != "") & (home != codes)
    known = float(load[home != ""].sum())
    return {
        "moved": round(float(load[away].sum())), "moved_blocks": int(away.sum()),
        "moved_share": round(float(load[away].sum()) / known, 6) if known else 0.0,
    }  # fmt: skip
