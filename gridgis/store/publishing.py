"""What makes a draft the plan that holds: its faults, its days, where its ground came from."""

from __future__ import annotations

from datetime import date, timedelta

import geopandas as gpd
import numpy as np
import shapely
from sqlalchemy import Connection, and_, func, insert, or_, select, update

from gridgis.errors import StoreError
from gridgis.plan.difference import difference
from gridgis.plan.partition import Plan
from gridgis.plan.validate import validate
from gridgis.store.models import Base, Revision

_PLAN, _LINEAGE = Base.metadata.tables["plan"], Base.metadata.tables["lineage"]


def faults(made: Plan, units: gpd.GeoDataFrame | None) -> gpd.GeoDataFrame:
    """The defects of a plan by the ground of its units, else of its blocks; a grid in pieces is an error."""
    known = units is not None and made.grids["parent"].notna().any()
    ground = units
    if ground is None:
        parts = made.blocks if len(made.blocks) else made.grids
        ground = gpd.GeoDataFrame(geometry=[shapely.union_all(parts.geometry.to_numpy())], crs=parts.crs)
    defects = validate(made.grids, ground, units if known else None)
    defects["severity"] = np.where(defects["kind"] == "multipart", "error", defects["severity"])
    return defects


def make_room(connection: Connection, on: date, *, replace: bool = False) -> date | None:
    """End the plan that holds on a day the day before; the last day of the one that begins then.

    One that begins on the very day is in the way; with `replace` it is archived and holds on no day.
    """
    if replace:
        same = and_(_PLAN.c.state == "published", _PLAN.c.valid_from == on)
        connection.execute(update(_PLAN).where(same).values(state="archived", valid_to=on - timedelta(days=1)))
    begins = select(_PLAN.c.id).where(_PLAN.c.state == "published", _PLAN.c.valid_from == on)
    there = connection.execute(begins).scalars().all()
    if there:
        raise StoreError("another plan begins on this day", source=f"plan {there[0]}", found=on.isoformat(),
                         remedy="Archive it, or choose another day.")  # fmt: skip
    before = and_(_PLAN.c.state == "published", _PLAN.c.valid_from < on)
    ongoing = and_(before, or_(_PLAN.c.valid_to.is_(None), _PLAN.c.valid_to >= on))
    connection.execute(update(_PLAN).where(ongoing).values(valid_to=on - timedelta(days=1)))
    later = select(func.min(_PLAN.c.valid_from)).where(_PLAN.c.state == "published", _PLAN.c.valid_from > on)
    following = connection.execute(later).scalar()
    return None if following is None else following - timedelta(days=1)


def write_lineage(connection: Connection, plan: int, before: gpd.GeoDataFrame, after: gpd.GeoDataFrame) -> None:
    found = difference(before, after).lineage
    rows = [
        {"code": to, "before": was, "ground_share": float(ground), "household_share": float(households or 0.0)}
        for was, to, ground, households in found[["from", "to", "share", "household_share"]].itertuples(index=False)
    ]
    if rows:
        connection.execute(insert(_LINEAGE), [{**row, "plan": plan} for row in rows])


def count(connection: Connection) -> None:
    """What is public changed: readers look at the revision."""
    connection.execute(update(Revision).values(number=Revision.number + 1))
