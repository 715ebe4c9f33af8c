"""What an edit is given: codes, names and drawn geometry, read and refused before anything is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

import numpy as np
import shapely
from shapely.geometry import mapping, shape

from gridgis.errors import EditError
from gridgis.plan.editing.draft import Barrier, Draft
from gridgis.plan.editing.rules import locked
from gridgis.schema import BARRIER_CLASSES, GRID_KINDS


def listed(codes: Iterable[str]) -> list[str]:
    """Codes as a list; one code alone is a list of one."""
    return [codes] if isinstance(codes, str) else list(codes)


def known_blocks(draft: Draft, codes: Iterable[str]) -> None:
    """Refuse codes that no block has."""
    _known("blocks", draft.blocks, codes)


def known_grids(draft: Draft, codes: Iterable[str]) -> None:
    """Refuse codes that no grid has."""
    _known("grids", draft.grids, codes)


def known_responsibility(draft: Draft, codes: Iterable[str]) -> None:
    """Refuse codes that no responsibility block has."""
    _known("responsibility blocks", draft.responsibility, codes)


def known_segments(draft: Draft, codes: Iterable[str]) -> None:
    """Refuse codes that no segment has."""
    _known("segments", draft.segments, codes)


def _known(what: str, table: Mapping[str, Any], codes: Iterable[str]) -> None:
    unknown = sorted({str(code) for code in codes if code not in table})
    if unknown:
        raise EditError(f"{what} do not exist", reason="unknown", ids=unknown)


def unlocked(draft: Draft, grids: Iterable[str]) -> None:
    """Refuse grids that do not exist or are locked."""
    codes = listed(grids)
    known_grids(draft, codes)
    for code in codes:
        if draft.grids[code].locked:
            raise locked(code, draft.grids[code].shape)


def free_code(code: str | None, taken: Mapping[str, Any]) -> None:
    """Refuse a code that is empty or taken; None is no code yet."""
    if code is not None and (not isinstance(code, str) or not code.strip()):
        raise EditError("the code is empty", reason="argument", found=repr(code))
    if code in taken:
        raise EditError("the code is taken", reason="argument", ids=[code])


def checked_name(name: object) -> str:
    """A name; an empty one is refused."""
    if not isinstance(name, str) or not name.strip():
        raise EditError("the name is empty", reason="argument", found=repr(name))
    return name


def checked_kind(kind: str) -> str:
    """A kind of grid (schema.GRID_KINDS)."""
    if kind not in GRID_KINDS:
        raise EditError("the kind is unknown", reason="argument", found=repr(kind), wanted=", ".join(GRID_KINDS))
    return kind


def checked_barrier(barrier: str | None, name: str | None) -> Barrier:
    """The barrier that a drawn line is; no class is no barrier."""
    if barrier is None:
        return None, None
    if barrier not in BARRIER_CLASSES:
        raise EditError("the class of the barrier is unknown", reason="argument", found=repr(barrier),
                        wanted=", ".join(BARRIER_CLASSES))  # fmt: skip
    return barrier, None if name is None else checked_name(name)


def drawn_geometry(given: Any, types: tuple[str, ...], what: str) -> Any:
    """The drawn geometry, 2-D and checked.

    Raises
    ------
    EditError
        It cannot be read, is of another type, empty, has coordinates that are no numbers, or crosses itself.
    """
    try:
        drawn = shapely.force_2d(shape(given) if isinstance(given, Mapping) else given)
    except (TypeError, ValueError, AttributeError, KeyError, IndexError, shapely.errors.GEOSException) as error:
        raise EditError(f"{what} cannot be read", reason="geometry", found=str(error)) from error
    found = "nothing" if drawn is None else drawn.geom_type
    if found not in types or drawn.is_empty:
        raise EditError(
            f"{what} is none", reason="geometry", wanted=" or ".join(types),
            found=found if drawn is None or not drawn.is_empty else f"empty {found}",
        )  # fmt: skip
    if not np.isfinite(shapely.get_coordinates(drawn)).all():
        raise EditError(f"{what} has coordinates that are no numbers", reason="geometry")
    if not drawn.is_valid or not drawn.is_simple:
        raise EditError(f"{what} crosses itself or has no extent", reason="geometry", place=_fault(drawn),
                        found="" if drawn.is_valid else shapely.is_valid_reason(drawn).split("[")[0])  # fmt: skip
    return drawn


def _fault(drawn: Any) -> tuple[float, float]:
    """Where a polygon or line crosses itself; its first coordinate where it has no extent."""
    lines = shapely.boundary(drawn) if drawn.geom_type == "Polygon" else drawn
    noded = shapely.get_coordinates(shapely.node(lines))
    own = {tuple(xy) for xy in shapely.get_coordinates(lines).tolist()}
    crossing = [xy for xy in map(tuple, noded.tolist()) if xy not in own]
    x, y = min(crossing) if crossing else shapely.get_coordinates(drawn)[0].tolist()
    return x, y


def plain(geometry: Any) -> dict[str, Any]:
    """A geometry as GeoJSON of lists, whose numbers come back bit for bit."""

    def as_list(value: Any) -> Any:
        return [as_list(v) for v in value] if isinstance(value, list | tuple) else value

    return {key: as_list(value) for key, value in mapping(geometry).items()}


def middle_of(geometry: Any) -> tuple[float, float]:
    """The middle of the box round a geometry, for a message."""
    x0, y0, x1, y1 = geometry.bounds
    return (x0 + x1) / 2, (y0 + y1) / 2


def next_grid_code(draft: Draft, unit: str, taken: Iterable[str] = ()) -> str:
    """The first code of the template that no grid of the draft or of the plan that came in has."""
    used = draft.grids.keys() | draft.base.grids.keys() | set(taken)
    codes = (draft.base.template.format(unit=unit, n=n) for n in count(1))
    return next(code for code in codes if code not in used)
