"""Edits of road segments: stretches of street with their own staff, cut at a place and named, each of one grid.

A segment is a line of its own, not a border of blocks; :mod:`gridgis.plan.editing.settle` says which grid it goes to
when the ground along it changes grid. Pieces of a segment end in the very same coordinate, so that there is no break.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import shapely

from gridgis.errors import EditError
from gridgis.plan.editing.change import Edited
from gridgis.plan.editing.cutting import SNAP_M
from gridgis.plan.editing.draft import Draft, Segment
from gridgis.plan.editing.given import (
    checked_name,
    drawn_geometry,
    free_code,
    known_segments,
    listed,
    middle_of,
    plain,
    unlocked,
)
from gridgis.plan.editing.settle import ALONG_M, next_code, places_along
from gridgis.plan.editing.sketch import Sketch
from gridgis.plan.faces.network import flatten

#: A segment is cut at its nearest place to the one given, which is not farther off than this, metres …
REACH_M = 20.0
#: … and not nearer to one of its ends than this.
SHORTEST_M = 1.0


def new_segment(
    draft: Draft, grid: str, line: Any, code: str | None = None, name: str | None = None, kind: str | None = None
) -> Edited:
    """Make a road segment of a line that runs along or through a grid.

    Parameters
    ----------
    draft : Draft
    grid : str
    line : LineString or mapping
        In the CRS of the plan; more than half of it within 15 m of the grid.
    code : str, optional
        By default GRID-S1, GRID-S2, …
    name, kind : str, optional
        The name is the code by default; kinds are free.

    Raises
    ------
    EditError
        Unknown or locked grid, a code that is empty or taken, an empty name, not a line, a line elsewhere.
    """
    unlocked(draft, [grid])
    way = drawn_geometry(line, ("LineString",), "the line")
    free_code(code, draft.segments)
    made = code if code is not None else next_code(grid, draft.segments, "S")
    segment = Segment(made, made if name is None else checked_name(name), kind, grid, way)
    _refuse_elsewhere(draft, segment)
    sketch = Sketch(draft)
    sketch.segments[made] = segment
    operation = {"op": "new_segment", "grid": grid, "line": plain(way), "code": made, "name": name, "kind": kind}
    return sketch.finish(operation)


def split_segment(draft: Draft, segment: str, place: Any) -> Edited:
    """Cut a segment at a place: its pieces are CODE.1, from its beginning, and CODE.2, with its name and kind.

    Parameters
    ----------
    draft : Draft
    segment : str
    place : Point or mapping
        In the CRS of the plan; the segment is cut where it is nearest, at a vertex of its own within 5 cm.

    Raises
    ------
    EditError
        An unknown segment, one of a locked grid, not a point, a place more than 20 m off or less than 1 m from an end.
    """
    known_segments(draft, [segment])
    was = draft.segments[segment]
    unlocked(draft, [was.grid])
    spot = drawn_geometry(place, ("Point",), "the place")
    parts = _parts(draft, was, spot)
    codes: list[str] = []
    number = 0
    while len(codes) < len(parts):
        number += 1
        if f"{segment}.{number}" not in draft.segments:
            codes.append(f"{segment}.{number}")
    sketch = Sketch(draft)
    del sketch.segments[segment]
    for code, part in zip(codes, parts, strict=True):
        sketch.segments[code] = replace(was, code=code, shape=part)
    return sketch.finish({"op": "split_segment", "segment": segment, "place": plain(spot)})


def _parts(draft: Draft, segment: Segment, spot: Any) -> list[Any]:
    """The two lines that a segment is cut into."""
    scale = draft.base.scale
    xy = shapely.get_coordinates(segment.shape)
    flat, point = (flatten(np.array([s], dtype=object), scale)[0] for s in (segment.shape, spot))
    off, at = float(shapely.distance(flat, point)), float(shapely.line_locate_point(flat, point))
    where = (float(spot.x), float(spot.y))
    if off > REACH_M:
        raise EditError(f"the place is not on the segment {segment.code}", reason="outside", place=where,
                        found=f"{off:.1f} m off", wanted=f"{REACH_M:g} m or less")  # fmt: skip
    if min(at, flat.length - at) < SHORTEST_M:
        raise EditError(f"the place is at an end of the segment {segment.code}", reason="nothing", place=where,
                        wanted=f"{SHORTEST_M:g} m or more from it")  # fmt: skip
    along = np.append(0, np.cumsum(np.hypot(*(np.diff(xy, axis=0) * scale).T)))
    row = int(np.argmin(np.abs(along - at)))
    if abs(along[row] - at) <= SNAP_M and 0 < row < len(xy) - 1:
        return [shapely.LineString(xy[: row + 1]), shapely.LineString(xy[row:])]
    row = int(np.searchsorted(along, at)) - 1
    cut = xy[row] + (at - along[row]) / (along[row + 1] - along[row]) * (xy[row + 1] - xy[row])
    return [shapely.LineString([*xy[: row + 1], cut]), shapely.LineString([cut, *xy[row + 1 :]])]


def merge_segments(draft: Draft, segments: Iterable[str], into: str | None = None) -> Edited:
    """Make one segment of several of one grid that lie end to end; by default the first keeps code, name and kind.

    Raises
    ------
    EditError
        Unknown codes, fewer than two, of several grids, a locked grid, or ends that do not meet.
    """
    codes = list(dict.fromkeys(listed(segments)))
    known_segments(draft, codes)
    if len(codes) < 2:
        raise EditError("merging takes two segments or more", reason="argument", found=", ".join(codes) or "none")
    goal = codes[0] if into is None else into
    if goal not in codes:
        raise EditError("segments are merged into one of them", reason="argument", ids=[goal], wanted=", ".join(codes))
    grids = sorted({draft.segments[c].grid for c in codes})
    unlocked(draft, grids)
    lines = [draft.segments[c].shape for c in codes]
    if len(grids) > 1:
        raise EditError("segments of several grids are not merged", reason="unit", ids=codes,
                        place=middle_of(lines[0]), found=f"grids {', '.join(grids)}")  # fmt: skip
    line = shapely.line_merge(shapely.MultiLineString(lines), directed=True)
    if line.geom_type != "LineString":
        line = shapely.line_merge(shapely.MultiLineString(lines))
    if line.geom_type != "LineString":
        raise EditError("the segments do not lie end to end", reason="pieces", ids=codes, place=middle_of(lines[-1]),
                        found=f"{len(shapely.get_parts(line))} lines")  # fmt: skip
    sketch = Sketch(draft)
    for code in codes:
        del sketch.segments[code]
    sketch.segments[goal] = replace(draft.segments[goal], shape=line)
    return sketch.finish({"op": "merge_segments", "segments": codes, "into": goal})


def assign_segment(draft: Draft, segment: str, to: str) -> Edited:
    """Give a segment to another grid along which it runs.

    Raises
    ------
    EditError
        Unknown codes, a locked grid on either side, the grid it has, a grid elsewhere.
    """
    known_segments(draft, [segment])
    unlocked(draft, [draft.segments[segment].grid, to])
    sketch = Sketch(draft)
    if draft.segments[segment].grid != to:
        sketch.segments[segment] = replace(draft.segments[segment], grid=to)
        _refuse_elsewhere(draft, sketch.segments[segment])
    return sketch.finish({"op": "assign_segment", "segment": segment, "to": to})


def describe_segment(draft: Draft, segment: str, name: str | None = None, kind: str | None = None) -> Edited:
    """Give a segment another name or kind; what is None stays.

    Raises
    ------
    EditError
        An unknown code, a locked grid, an empty name, nothing that would change.
    """
    known_segments(draft, [segment])
    was = draft.segments[segment]
    unlocked(draft, [was.grid])
    now = replace(was, name=was.name if name is None else checked_name(name), kind=was.kind if kind is None else kind)
    sketch = Sketch(draft)
    if (now.name, now.kind) != (was.name, was.kind):
        sketch.segments[segment] = now
    return sketch.finish({"op": "describe_segment", "segment": segment, "name": name, "kind": kind})


def drop_segment(draft: Draft, segment: str) -> Edited:
    """Take a segment away.

    Raises
    ------
    EditError
        An unknown code, or a locked grid.
    """
    known_segments(draft, [segment])
    unlocked(draft, [draft.segments[segment].grid])
    sketch = Sketch(draft)
    del sketch.segments[segment]
    return sketch.finish({"op": "drop_segment", "segment": segment})


def _refuse_elsewhere(draft: Draft, segment: Segment) -> None:
    spots = places_along(draft.base, segment)
    shape = flatten(np.array([draft.grids[segment.grid].shape], dtype=object), draft.base.scale)[0]
    share = float(shapely.dwithin(shape, spots, ALONG_M).mean())
    if share <= 0.5:
        raise EditError(
            f"the segment {segment.code} does not run along the grid {segment.grid}", reason="outside",
            place=middle_of(segment.shape), found=f"{share:.0%} of it within {ALONG_M:g} m", wanted="more than half",
        )  # fmt: skip
