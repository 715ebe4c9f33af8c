"""What editors change in a draft: written where nobody else changed the same, refused with both values elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import shapely
from sqlalchemy import Connection, Table, delete, select

from gridgis.errors import ConflictError
from gridgis.plan.closing import plan_of
from gridgis.plan.opening import open_plan
from gridgis.plan.partition import Plan
from gridgis.store import plan_rows
from gridgis.store.plan_rows import BLOCK, GRID
from gridgis.store.rows import to_rows

#: What an edit sets; everything else is computed from it.
_MEANT = {"plan_block": ("code", "unit", "grid", "geometry"), "plan_grid": ("code", "name", "kind")}


def _by_code(frame: pd.DataFrame, table: Table) -> dict[str, dict[str, Any]]:
    return {row["code"]: row for row in to_rows(frame, table)[0]}


def write_changes(
    connection: Connection, table: Table, plan: int, before: pd.DataFrame, after: pd.DataFrame, *, alone: bool
) -> None:
    """Write the rows that differ. Where others saved too, each must be as it was read."""
    old, new = _by_code(before, table), _by_code(after, table)
    gone = [code for code in old if code not in new]
    made = [code for code in new if code not in old]
    changed = [code for code in new if code in old and not plan_rows.same(old[code], new[code])]
    if not alone:
        # What follows from the blocks is computed anew, out of what everybody changed.
        changed = [
            c for c in changed if not all(plan_rows.equal(old[c][name], new[c][name]) for name in _MEANT[table.name])
        ]
        gone = gone if table is BLOCK else []
        _refuse_conflicts(connection, table, plan, [*gone, *changed], made, old, new)
    for code in (*gone, *changed):
        connection.execute(delete(table).where(table.c.plan == plan, table.c.code == code))
    plan_rows.insert_into(connection, table, plan, [new[code] for code in (*made, *changed)])


def _refuse_conflicts(
    connection: Connection,
    table: Table,
    plan: int,
    touched: Sequence[str],
    made: Sequence[str],
    old: Mapping[str, dict[str, Any]],
    new: Mapping[str, dict[str, Any]],
) -> None:
    own = [c for c in table.columns if c.name not in ("id", "plan")]
    query = select(*own).where(table.c.plan == plan, table.c.code.in_([*touched, *made]))
    there = {row["code"]: dict(row) for row in connection.execute(query).mappings()}
    mine = _MEANT[table.name]
    conflicts: dict[str, tuple[object, object]] = {}
    for code in (*touched, *made):
        was, now, theirs = old.get(code), new.get(code), there.get(code)
        same = (was is None) == (theirs is None) and (
            was is None or theirs is None or all(plan_rows.equal(was[c], theirs[c]) for c in mine)
        )
        if not same:
            conflicts[code] = (_told(now, mine), _told(theirs, mine))
    if conflicts:
        raise ConflictError("somebody else changed the same in the meantime", source=f"plan {plan}",
                            conflicts=conflicts, remedy="Load the plan again and repeat the edit.")  # fmt: skip


def _told(row: Mapping[str, Any] | None, names: Sequence[str]) -> dict[str, Any] | None:
    if row is None:
        return None
    return {name: row[name] for name in names if name != "geometry"}


def make_whole(connection: Connection, plan: int) -> None:
    """After several people changed a plan: grids as their blocks are now; refused where one came apart."""
    merged, _ = plan_rows.loaded(connection, plan)
    used = set(merged.blocks["grid"])
    grids = merged.grids[merged.grids["code"].isin(used)]
    lost = sorted(used.difference(grids["code"]))
    if lost:
        raise ConflictError("somebody else removed a grid in the meantime", source=f"plan {plan}",
                            conflicts={code: (code, None) for code in lost},
                            remedy="Load the plan again and repeat the edit.")  # fmt: skip
    made = plan_of(open_plan(Plan(merged.blocks, grids, merged.summary)))
    apart = made.grids["code"][(shapely.get_num_geometries(made.grids.geometry.to_numpy()) > 1)].tolist()
    if apart:
        raise ConflictError("both changes together leave a grid in pieces", source=f"plan {plan}",
                            conflicts=dict.fromkeys(apart, (None, None)),
                            remedy="Load the plan again and repeat the edit.")  # fmt: skip
    connection.execute(delete(GRID).where(GRID.c.plan == plan))
    plan_rows.insert_into(connection, GRID, plan, to_rows(made.grids, GRID)[0])
