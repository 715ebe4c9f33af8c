"""Do levels nest: every child in one parent, every parent tiled by its children, codes as geometry has it?

The segments of a parent's children must cancel among each other and with the parent's own, run the other way round.
That is the matching of :mod:`gridgis.plan.checking.segments` with the parent as the label, and most of it is known from
the children's own tiling. Only children that own what is left over, or that lie elsewhere, are laid over the parents.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from gridgis.errors import InputError, SchemaError
from gridgis.plan.checking.layers import Layer, layer_of
from gridgis.plan.checking.ruler import Bools, Ruler
from gridgis.plan.checking.segments import Ints, Segments, alone, directed_segments, joined, unmatched
from gridgis.plan.checking.tiling import Fault, Matching, Objects
from gridgis.schema import codes_as_text

#: A parent's code is looked for at the beginning of the child's from this many characters on.
PREFIX = 6

#: A child's parent is not known yet; it has none.
_OPEN, _NONE = -2, -1

_FILLED = re.compile(r"(?:000){1,2}$")
_LONG_DIGITS = 12


class Grounds(NamedTuple):
    """The parents by their codes, sorted: `rows` (first row of each, of all tables), `codes` and `polygons`."""

    rows: Ints
    codes: list[str | None]
    polygons: Objects


def read_levels(
    parents: gpd.GeoDataFrame | Sequence[gpd.GeoDataFrame],
    crs: pyproj.CRS,
    *,
    code: str | None,
    parent: str | None,
    names: Sequence[str] | None,
    first: int,
) -> list[Layer]:
    """The levels above the grids, the next one first.

    Parameters
    ----------
    parents : GeoDataFrame or sequence of them
        From the next level upwards; a table with a column `level` is taken apart by it, the largest number first.
    crs : pyproj.CRS
        That of the grids.
    code, parent : str, optional
        The columns that name the grids and their parents: a parents' table names its rows by `code` if it has it, else
        by "code", else by `parent`.
    names : sequence of str, optional
        One for each level; by default "level N" or "parents N".
    first : int
        The position of the first row among the rows of all tables.

    Raises
    ------
    SchemaError
        A table without rows or without codes, or with levels that are no numbers.
    InputError
        Not one name for each level.
    CRSError, GeometryError
        No CRS; lines or points.
    """
    given = [parents] if isinstance(parents, gpd.GeoDataFrame) else list(parents)
    tables: list[tuple[str, gpd.GeoDataFrame]] = []
    for frame in given:
        tables += by_level(frame, f"parents {len(tables) + 1}")
    if names is not None:
        if len(names) != len(tables):
            raise InputError(
                "there must be one name for each level", found=f"{len(names)} names", wanted=f"{len(tables)}"
            )
        tables = [(str(name), frame) for name, (_, frame) in zip(names, tables, strict=True)]
    layers = []
    for name, frame in tables:
        layers.append(layer_of(frame, crs, code_column(frame, name, code, parent), name, first))
        first += len(frame)
    return layers


def by_level(frame: gpd.GeoDataFrame, name: str) -> list[tuple[str, gpd.GeoDataFrame]]:
    """`frame` taken apart by its column `level`, the lowest level (the largest number) first, each with a name.

    `name` is the name where there is no such column, and that of the table in messages.

    Raises
    ------
    SchemaError
        No rows, or levels that are no numbers.
    """
    if len(frame) == 0:
        raise SchemaError("there are no grids to check", source=name, wanted="at least one row")
    if "level" not in frame.columns or frame["level"].isna().all():
        return [(name, frame)]
    numbers = pd.to_numeric(frame["level"], errors="coerce")
    if numbers.isna().any():
        raise SchemaError(
            "the column 'level' has values that are no numbers",
            source=name,
            ids=(np.flatnonzero(numbers.isna()) + 1).tolist(),
            wanted="a number in each row, the highest level lowest",
        )
    levels = np.sort(numbers.unique())[::-1].tolist()
    return [(f"level {level:g}", frame[(numbers == level).to_numpy()]) for level in levels]


def code_column(frame: gpd.GeoDataFrame, name: str, code: str | None, parent: str | None) -> str:
    """The column that names the parents: `code` if they have it, else "code", else `parent`; `name` is for the message.

    Raises
    ------
    SchemaError
        None of them is there.
    """
    for column in (code, "code", parent):
        if column is not None and column in frame.columns:
            return column
    raise SchemaError(
        "the parents have no column of codes",
        source=name,
        found=f"the columns {', '.join(map(str, frame.columns))}",
        wanted=" or ".join(dict.fromkeys(repr(c) for c in (code, "code", parent) if c is not None)),
        remedy="Give theirs the same name as the grids' codes, or name the children's column of parents.",
    )


def parent_column(frame: gpd.GeoDataFrame, parent: str | None, lowest: bool) -> str | None:
    """The column that declares each row's parent, or None where nothing is declared.

    Raises
    ------
    SchemaError
        If `parent` names a column that the grids (the lowest level) do not have.
    """
    if parent is not None and parent not in frame.columns and lowest:
        raise SchemaError(f"there is no column {parent!r}", found=f"the columns {', '.join(map(str, frame.columns))}")
    column = parent if parent is not None and parent in frame.columns else "parent"
    declared = column in frame.columns and codes_as_text(frame[column]).notna().any()
    return column if declared else None


def nesting_faults(
    children: Layer, above: Layer, ruler: Ruler, *, column: str | None, matching: Matching | None = None
) -> list[Fault]:
    """Children that have no parent, or that take ground of another parent than their own.

    Parameters
    ----------
    children, above : Layer
        Two levels, one right above the other.
    ruler : Ruler
    column : str, optional
        Where the children declare their parents. Without it a parent is known by its code (of at least
        :data:`PREFIX` characters, at the beginning of the child's; zeros that only fill a 12-digit code do not count),
        else it is the one with most of the child's ground; the lowest code wins a tie.
    matching : Matching, optional
        Of the children's polygons, where the caller has it.

    Returns
    -------
    list of Fault
        nesting: rows (child, own parent, the other parent) and the other's ground that the child takes beyond its own
        parent, one for each connected piece; rows (child,) at a point inside it where it has no parent. Rows are
        positions among the rows of all tables. Ground outside all parents is not in it.
    """
    return nesting(children, above, ruler, column=column, matching=matching).faults


class Nesting(NamedTuple):
    """The parents, for each usable child the position of its own among them (-1: none), and where that is not true."""

    grounds: Grounds
    parent_of: Ints
    faults: list[Fault]


def nesting(
    children: Layer, above: Layer, ruler: Ruler, *, column: str | None, matching: Matching | None = None
) -> Nesting:
    """Whose child each is, with the faults of :func:`nesting_faults`, which takes the same arguments."""
    grounds = _grounds(above)
    declared = _declared(children, grounds, column)
    label, doubt = _labels(children, declared, grounds, ruler, matching)
    at = children.shapes.rows
    lost = declared == _NONE
    lost[at[label == _NONE]] = True
    faults = [
        Fault("nesting", (row + children.first,), _spot(children, row), "no parent")
        for row in np.flatnonzero(lost).tolist()
    ]
    chosen = np.flatnonzero(doubt & (label >= 0))
    rows = at[chosen] + children.first
    faults += _taken(children.shapes.polygons[chosen], rows, label[chosen], grounds, ruler)
    return Nesting(grounds, label, faults)


# --- who is whose -----------------------------------------------------------------------------------------------------


def _grounds(above: Layer) -> Grounds:
    """Rows of one code are one parent; a row without a code is one by itself; one without geometry has no ground."""
    rows_of: dict[str, list[int]] = {}
    codes = above.known or [None] * len(above.labels)
    for row, (code, label) in enumerate(zip(codes, above.labels, strict=True)):
        rows_of.setdefault(label if code is None else code, []).append(row)
    names = sorted(rows_of)
    there = np.full(len(above.labels), shapely.Polygon(), dtype=object)
    there[above.shapes.rows] = above.shapes.polygons
    polygons = np.empty(len(names), dtype=object)
    for i, name in enumerate(names):
        rows = rows_of[name]
        polygons[i] = there[rows[0]] if len(rows) == 1 else shapely.union_all(there[rows])
    first = np.array([rows_of[name][0] for name in names], dtype=np.int64)
    return Grounds(first + above.first, [codes[row] for row in first.tolist()], polygons)


def _declared(children: Layer, grounds: Grounds, column: str | None) -> Ints:
    """For each row the position of its parent by what it declares or by its code."""
    out = np.full(len(children.labels), _OPEN, dtype=np.int64)
    known = {code: i for i, code in enumerate(grounds.codes) if code is not None}
    if column is not None:
        texts = codes_as_text(children.frame[column]).tolist()
        out[:] = [_NONE if text is None else known.get(text, known.get(_short(text), _NONE)) for text in texts]
        return out
    if children.known is None:
        return out
    begins = {_short(code): i for code, i in reversed(known.items()) if len(_short(code)) >= PREFIX}
    lengths = sorted({len(begin) for begin in begins}, reverse=True)
    for row, code in enumerate(children.known):
        if code is not None:
            found = (begins.get(code[:length]) for length in lengths if length <= len(code))
            out[row] = next((i for i in found if i is not None), _OPEN)
    return out


def _labels(
    children: Layer, declared: Ints, grounds: Grounds, ruler: Ruler, matching: Matching | None
) -> tuple[Ints, Bools]:
    """For each usable child the position of its parent, and whether it may reach into another one."""
    polygons = children.shapes.polygons
    own = declared[children.shapes.rows]
    inside, holder = _inside(polygons, own, grounds.polygons)
    guessed = own == _OPEN
    label = np.where(guessed, holder, own)
    doubt = _in_doubt(polygons, label, grounds.polygons, matching) | ~inside
    doubt &= own != _NONE
    chosen = np.flatnonzero(doubt)
    shapely.prepare(grounds.polygons)
    held = (label[chosen] >= 0) & shapely.covers(grounds.polygons[label[chosen]], polygons[chosen])
    chosen = chosen[~held]
    label[chosen] = _most_ground(polygons[chosen], label[chosen], guessed[chosen], grounds.polygons, ruler)
    return label, doubt


def _short(code: str) -> str:
    """A 12-digit code of a unit without the zeros that only fill it: 110108014000 is 110108014."""
    return _FILLED.sub("", code) if len(code) == _LONG_DIGITS and code.isdigit() else code


def _inside(polygons: Objects, own: Ints, grounds: Objects) -> tuple[Bools, Ints]:
    """Whether a point inside each child is in its parent (any, where none is known), and in which ground it is."""
    count = len(polygons)
    corner = shapely.points(shapely.get_coordinates(shapely.get_point(_outer(polygons), 0)))
    # Most first vertices lie strictly inside a parent; only for the others a point inside the child has to be found.
    inside, holder = _held(corner, own, grounds, "contains_properly")
    rest = np.flatnonzero(~inside)
    inside[rest], holder[rest] = _held(shapely.point_on_surface(polygons[rest]), own[rest], grounds, "contains")
    return inside, holder if count else np.empty(0, dtype=np.int64)


def _outer(polygons: Objects) -> Any:
    return shapely.get_exterior_ring(shapely.get_geometry(polygons, 0))


def _held(points: Any, own: Ints, grounds: Objects, predicate: Any) -> tuple[Bools, Ints]:
    ground, point = shapely.STRtree(points).query(grounds, predicate=predicate)
    order = np.argsort(-ground, kind="stable")  # the lowest is written last
    holder = np.full(len(points), _NONE, dtype=np.int64)
    holder[point[order]] = ground[order]
    inside = np.zeros(len(points), dtype=bool)
    inside[point[(ground == own[point]) | (own[point] == _OPEN)]] = True
    return inside, holder


def _most_ground(polygons: Objects, label: Ints, guessed: Bools, grounds: Objects, ruler: Ruler) -> Ints:
    """`label`, where it was only guessed, replaced by the parent that has most of the child; -1 where none has any."""
    out = label.copy()
    asked = np.flatnonzero(guessed)
    child, ground = shapely.STRtree(grounds).query(polygons[asked], predicate="intersects")
    common = shapely.intersection(polygons[asked[child]], grounds[ground])
    area = np.where(ruler.substantial(common), shapely.area(ruler.metres(common)), 0.0)
    order = np.lexsort((-ground, area, child))  # the largest last; of equals the lowest
    out[asked] = _NONE
    order = order[area[order] > 0]
    out[asked[child[order]]] = ground[order]
    return out


def _spot(children: Layer, row: int) -> Any:
    at = np.searchsorted(children.shapes.rows, row)
    there = at < len(children.shapes.rows) and children.shapes.rows[at] == row
    return shapely.point_on_surface(children.shapes.polygons[at]) if there else None


# --- who takes what ---------------------------------------------------------------------------------------------------


def _in_doubt(polygons: Objects, label: Ints, grounds: Objects, matching: Matching | None) -> Bools:
    """Children whose segments do not all cancel within their parent, and those that such segments of a parent cross.

    All others lie wholly inside their parent or wholly outside it.
    """
    own = _open_within(polygons, label, matching)
    theirs = directed_segments(grounds)
    theirs = Segments(theirs.end, theirs.start, theirs.owner + len(polygons))
    segments = joined(own, theirs)
    labels = np.concatenate([label, np.arange(len(grounds))])
    left = unmatched(segments, labels[segments.owner])
    doubt = np.zeros(len(polygons) + len(grounds), dtype=bool)
    doubt[left.owner] = True
    border = left.take(left.owner >= len(polygons))
    if len(border.owner):
        lines = shapely.linestrings(np.stack([border.start, border.end], axis=1))
        doubt[shapely.STRtree(polygons).query(lines, predicate="intersects")[1]] = True
    return doubt[: len(polygons)]


def _open_within(polygons: Objects, label: Ints, matching: Matching | None) -> Segments:
    """The children's segments that do not cancel within one parent, by the couples that are known already."""
    if matching is None:
        segments = directed_segments(polygons)
        return unmatched(segments, label[segments.owner])
    segments, (one, other) = matching
    of = np.append(label, _OPEN)[segments.owner]  # the ground, owner -1, is in no parent
    same = of[one] == of[other]
    left = alone(len(segments.owner), (one[same], other[same]))
    return segments.take(left[segments.owner[left] >= 0])


def _taken(polygons: Objects, rows: Ints, own: Ints, grounds: Grounds, ruler: Ruler) -> list[Fault]:
    """What children have of other parents' ground beyond their own parent, in connected pieces."""
    astray = ~shapely.covers(grounds.polygons[own], polygons)
    polygons, rows, own = polygons[astray], rows[astray], own[astray]
    beyond, child = _pieces(shapely.difference(polygons, grounds.polygons[own]), np.arange(len(polygons)), ruler)
    piece, other = shapely.STRtree(grounds.polygons).query(beyond, predicate="intersects")
    common, pair = _pieces(shapely.intersection(beyond[piece], grounds.polygons[other]), np.arange(len(piece)), ruler)
    child, other = child[piece[pair]], other[pair]
    return [
        Fault("nesting", (row, parent, taken), shape)
        for row, parent, taken, shape in zip(
            rows[child].tolist(), grounds.rows[own[child]].tolist(), grounds.rows[other].tolist(), common, strict=True
        )
    ]


def _pieces(shapes: Objects, number: Ints, ruler: Ruler) -> tuple[Objects, Ints]:
    """The connected polygons of `shapes` that are more than noise, and the number of each one's shape."""
    parts, source = shapely.get_parts(shapes, return_index=True)
    parts, deeper = shapely.get_parts(parts, return_index=True)
    real = (shapely.get_dimensions(parts) == 2) & ~shapely.is_empty(parts)
    parts, source = parts[real], number[source[deeper[real]]]
    kept = ruler.substantial(parts)
    return parts[kept], source[kept]
