"""A draft back to tables: blocks, grids, borders, responsibility blocks and segments, with what came in kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gridgis import crs as crs_
from gridgis.plan.editing.draft import Base, Block, Draft, Grid, ground_of
from gridgis.plan.editing.reasons import reason_of
from gridgis.plan.editing.rules import barrier_of
from gridgis.plan.faces.network import Shapes, rim_segments
from gridgis.plan.partition import Plan
from gridgis.schema import BARRIER_CLASSES, STRONG_BARRIERS

_LOADS = ("households", "persons", "estimated", "buildings")
_OF_GRIDS = ("households", "persons", "estimated")
#: What describe wrote of a grid is no longer true once its ground changed.
_STALE = ("bounds_text", "road_share")
#: What a search wrote of its own result; an edited plan is not that.
_OF_A_SEARCH = (
    "communities_off", "rebalanced", "changed", "new", "gone", "moved", "moved_blocks", "moved_share",
)  # fmt: skip


class Drafted(NamedTuple):
    """A draft as tables (see :func:`plan_of`); the first three are those of a Plan."""

    blocks: gpd.GeoDataFrame
    grids: gpd.GeoDataFrame
    summary: dict[str, Any]
    borders: gpd.GeoDataFrame | None
    responsibility_blocks: gpd.GeoDataFrame
    segments: gpd.GeoDataFrame


def plan_of(draft: Draft) -> Drafted:
    """The draft as tables.

    Returns
    -------
    Drafted
        ``blocks`` in the order in which they came in, pieces where their block stood (with a new index once there are
        pieces), with ``responsibility_block`` where there are any. ``grids`` by code, with a column ``locked``;
        deviation and reason of changed grids are computed anew, and what :func:`~gridgis.plan.bounds.describe` wrote
        of them is emptied. ``borders`` as :func:`~gridgis.plan.blocks.make_blocks` gives them, for a draft opened with
        borders (else None). ``responsibility_blocks`` (code, name, kind, grid, households, persons, geometry) and
        ``segments`` (their columns, code, name, kind, grid, geometry), by code. ``summary``: what was reached; the
        bound is not computed.
    """
    blocks, grids = _block_table(draft), _grid_table(draft)
    blocks.attrs, grids.attrs = dict(draft.base.plan.blocks.attrs), dict(draft.base.plan.grids.attrs)
    borders = borders_of(draft, draft.blocks) if draft.base.borders else None
    summary = _summary(draft, grids, borders)
    return Drafted(blocks, grids, summary, borders, _responsibility_table(draft), _segment_table(draft))


def _summary(draft: Draft, grids: gpd.GeoDataFrame, borders: gpd.GeoDataFrame | None) -> dict[str, Any]:
    deviation = grids["deviation"].to_numpy(dtype=float)
    off = np.abs(deviation) > draft.base.tolerance
    known = deviation[~np.isnan(deviation)]
    came = {row["grid"]: row for row in draft.base.plan.summary.get("off", [])}
    rows = []
    for code, reason in zip(grids["code"][off], grids["reason"][off], strict=True):
        grid = draft.grids[code]
        now = reason_of(draft, grid, [draft.blocks[b] for b in sorted(draft.members[code])])
        remedy = now.remedy if now is not None and now.text == reason else ""
        if code in came and came[code].get("reason") == reason and _same(draft.base, grid):
            remedy = came[code].get("remedy", "")
        rows.append({"grid": code, "households": grid.households, "reason": reason,
                     **({"remedy": remedy} if remedy else {})})  # fmt: skip
    kept = {key: value for key, value in draft.base.plan.summary.items() if key not in _OF_A_SEARCH}
    return {
        **kept,
        "grids": len(grids),
        "bound_off_norm": None,
        "off_norm": int(off.sum()),
        "max_deviation": round(float(np.abs(known).max()), 6) if len(known) else None,
        "mean_deviation": round(float(np.abs(known).mean()), 6) if len(known) else None,
        "compactness": round(float(np.mean([grid.compactness for grid in draft.grids.values()])), 6),
        "road_share": None if borders is None else _road_share(draft, borders),
        "off": rows,
    }


def _road_share(draft: Draft, borders: gpd.GeoDataFrame) -> float | None:
    """The share of border between grids on strong barriers."""
    grid = {code: block.grid for code, block in draft.blocks.items()}
    one, other = borders["left"].map(grid), borders["right"].map(grid)
    inner = (other.notna() & (one != other)).to_numpy()
    length = borders["length_m"].to_numpy(dtype=float)
    strong = borders["class"].isin(STRONG_BARRIERS).to_numpy()
    total = float(length[inner].sum())
    return round(float(length[inner & strong].sum()) / total, 6) if total else None


# --- blocks and grids -------------------------------------------------------------------------------------------------


def _block_table(draft: Draft) -> gpd.GeoDataFrame:
    came = draft.base.plan.blocks
    ordered = sorted(draft.blocks.values(), key=lambda b: (b.row, b.code))
    out = came.iloc[[b.row for b in ordered]].copy()
    if len({b.row for b in ordered}) < len(ordered):
        out = out.reset_index(drop=True)
    for column in ("code", "grid"):
        out[column] = pd.Series([getattr(b, column) for b in ordered], index=out.index, dtype=object)
    if draft.responsibility or "responsibility_block" in came.columns:
        own = [b.responsibility or None for b in ordered]
        out["responsibility_block"] = pd.Series(own, index=out.index, dtype=object)
    for column in _LOADS:
        if column in came.columns:
            out[column] = _counts(ordered, column, out)
        elif column == "estimated" and any(b.estimated for b in ordered):
            out[column] = np.array([b.estimated for b in ordered], dtype=np.int64)
    return out.set_geometry(gpd.GeoSeries([b.shape for b in ordered], index=out.index, crs=draft.base.crs))


def _counts(blocks: list[Block], column: str, out: pd.DataFrame) -> pd.Series:
    """Counts of blocks; what nobody counted stays unknown."""
    unknown = out[column].isna().to_numpy()
    values = pd.Series([getattr(b, column) for b in blocks], index=out.index).astype(out[column].dtype)
    return values.mask(unknown) if unknown.any() else values


def _grid_table(draft: Draft) -> gpd.GeoDataFrame:
    base, came = draft.base, draft.base.plan.grids
    grids = [draft.grids[code] for code in sorted(draft.grids)]
    old = pd.DataFrame(came.drop(columns=came.active_geometry_name)).reset_index(drop=True)
    out = old.reindex([g.row for g in grids]).reset_index(drop=True)
    same = np.array([_same(base, g) for g in grids])
    text = {"code": [g.code for g in grids], "name": [g.name for g in grids], "kind": [g.kind for g in grids],
            "parent": [g.unit or None for g in grids], "compound_kind": [g.compound_kind for g in grids]}  # fmt: skip
    for column, values in text.items():
        out[column] = pd.Series(values, dtype=object)
    _put_level(out, came)
    for column in _OF_GRIDS:
        out[column] = np.array([getattr(g, column) for g in grids], dtype=np.int64)
    if "persons" in base.plan.blocks.columns and base.plan.blocks["persons"].isna().any():
        unknown = base.plan.blocks["persons"].isna().to_numpy()
        bare = {b.grid for b in draft.blocks.values() if unknown[b.row]}
        out["persons"] = out["persons"].astype("Int64").mask(out["code"].isin(bare))
    _put_deviation(out, draft, grids, same)
    for column in _STALE:
        if column in out.columns:
            out[column] = out[column].where(same, None)
    if "compactness" in out.columns:
        out["compactness"] = [g.compactness for g in grids]
    out["locked"] = [g.locked for g in grids]
    return gpd.GeoDataFrame(out, geometry=[g.shape for g in grids], crs=base.crs)


def _put_level(out: pd.DataFrame, came: pd.DataFrame) -> None:
    """Levels as they came; those of new grids are the lowest that came, 3 where none did."""
    if "level" not in came.columns:
        out["level"] = 3
        return
    known = pd.to_numeric(came["level"], errors="coerce")
    level = pd.to_numeric(out["level"], errors="coerce").fillna(known.max() if known.notna().any() else 3)
    out["level"] = level.astype("int64") if (level == level.round()).all() else level


def _same(base: Base, grid: Grid) -> bool:
    """Whether a grid has the ground and loads that it came in with."""
    if grid.row < 0:
        return False
    first = base.grids.get(grid.code)
    if first is None or first.row != grid.row:  # it has another code now
        first = next(g for g in base.grids.values() if g.row == grid.row)
    return (first.area_m2, first.households, first.persons) == (grid.area_m2, grid.households, grid.persons)


def _put_deviation(out: pd.DataFrame, draft: Draft, grids: list[Grid], same: Any) -> None:
    """Deviation and reason: as they came for grids that are the same, else what the norm says."""
    deviation = np.array([draft.base.deviation(g) for g in grids])
    if "deviation" in out.columns:
        came = pd.to_numeric(out["deviation"]).to_numpy(dtype=float, na_value=np.nan)
        deviation = np.where(same, came, deviation)
    found = [reason_of(draft, g, [draft.blocks[b] for b in sorted(draft.members[g.code])]) for g in grids]
    reason = [None if r is None else r.text for r in found]
    if "reason" in out.columns:
        was = [value if isinstance(value, str) else None for value in out["reason"]]
        reason = [old if kept else new for old, kept, new in zip(was, same, reason, strict=True)]
    out["deviation"], out["reason"] = deviation, pd.Series(reason, dtype=object)


def part_of(draft: Draft, grids: Iterable[str]) -> Plan:
    """Some grids of the draft and their blocks as a plan of their own, with what a search reads."""
    chosen = [draft.grids[code] for code in sorted(grids)]
    blocks = [draft.blocks[b] for grid in chosen for b in sorted(draft.members[grid.code])]
    table = {c: [getattr(b, c) for b in blocks] for c in ("code", "unit", "grid", "households", "persons", "estimated")}
    if "compound_kind" in draft.base.plan.blocks.columns:
        kinds = draft.base.plan.blocks["compound_kind"]
        table["compound_kind"] = [kinds.iat[b.row] for b in blocks]
    text = {c: [getattr(g, c) for g in chosen] for c in ("code", "name", "kind", "locked", "households", "persons")}
    crs = draft.base.crs
    return Plan(
        gpd.GeoDataFrame(table, geometry=[b.shape for b in blocks], crs=crs),
        gpd.GeoDataFrame(text, geometry=[g.shape for g in chosen], crs=crs),
        {key: draft.base.plan.summary[key] for key in ("norm", "parameters") if key in draft.base.plan.summary},
    )


# --- borders ----------------------------------------------------------------------------------------------------------


def borders_of(draft: Draft, blocks: Iterable[str]) -> gpd.GeoDataFrame:
    """The borders of blocks as make_blocks gives them: one row for each pair, class and name; left is the lower code.

    Blocks that are not among them are beyond the outline.
    """
    base, codes = draft.base, sorted(blocks)
    rims = rim_segments(np.array([draft.blocks[c].shape for c in codes], dtype=object))
    rank = {name: number for number, name in enumerate(BARRIER_CLASSES)}
    groups: dict[tuple[int, int, int, str], list[int]] = {}
    for row, ((a, b), left, right) in enumerate(
        zip(rims.ends.tolist(), rims.left.tolist(), rims.right.tolist(), strict=True)
    ):
        one, other = tuple(a), tuple(b)
        class_, name = barrier_of(base, draft.drawn, (one, other) if one < other else (other, one))
        last = right if right >= 0 else len(codes)
        groups.setdefault((left, last, rank.get(class_ or "", len(rank)), name or ""), []).append(row)
    keys = sorted(groups)
    lines = shapely.linestrings(rims.ends)
    merged = shapely.normalize(shapely.line_merge([shapely.multilinestrings(lines[groups[k]]) for k in keys]))
    known, classes = [*codes, None], [*BARRIER_CLASSES, None]
    columns = {
        "left": [known[k[0]] for k in keys],
        "right": [known[k[1]] for k in keys],
        "class": [classes[k[2]] for k in keys],
        "name": [k[3] or None for k in keys],
    }
    table = pd.DataFrame({label: pd.Series(values, dtype=object) for label, values in columns.items()})
    metres = shapely.length(crs_.project(lines, base.crs, base.metric))
    table["length_m"] = np.array([metres[groups[k]].sum() for k in keys], dtype=float)
    return gpd.GeoDataFrame(table, geometry=gpd.GeoSeries(list(merged), crs=base.crs))


# --- responsibility blocks and segments -------------------------------------------------------------------------------


def _responsibility_table(draft: Draft) -> gpd.GeoDataFrame:
    parts = [draft.responsibility[code] for code in sorted(draft.responsibility)]
    loads: dict[str, tuple[int, int]] = {}
    for block in draft.blocks.values():
        households, persons = loads.get(block.responsibility, (0, 0))
        loads[block.responsibility] = households + block.households, persons + block.persons
    table = _described(parts)
    for i, column in enumerate(("households", "persons")):
        table[column] = np.array([loads[p.code][i] for p in parts], dtype=np.int64)
    return _placed(table, np.array([ground_of(draft, p.code) for p in parts], dtype=object), draft)


def _segment_table(draft: Draft) -> gpd.GeoDataFrame:
    segments = [draft.segments[code] for code in sorted(draft.segments)]
    table, came = _described(segments), draft.base.segments
    if came is not None:
        other = pd.DataFrame(came.drop(columns=[came.active_geometry_name, *(c for c in table if c in came.columns)]))
        more = other.reset_index(drop=True).reindex([s.row for s in segments]).reset_index(drop=True)
        table = pd.concat([table, more], axis=1)
    return _placed(table, np.array([s.shape for s in segments], dtype=object), draft)


def _described(rows: list[Any]) -> pd.DataFrame:
    columns = ("code", "name", "kind", "grid")
    return pd.DataFrame({c: pd.Series([getattr(r, c) for r in rows], dtype=object) for c in columns})


def _placed(table: pd.DataFrame, shapes: Shapes, draft: Draft) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(table, geometry=gpd.GeoSeries(list(shapes), crs=draft.base.crs), crs=draft.base.crs)
