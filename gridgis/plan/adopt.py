"""Grids from outside become a plan of blocks."""

from __future__ import annotations

from typing import Any, NamedTuple

import geopandas as gpd
import pandas as pd

from gridgis.errors import PlanError
from gridgis.plan.blocks import make_blocks
from gridgis.plan.partition import Plan
from gridgis.plan.repair import repair
from gridgis.plan.units import unique_codes
from gridgis.plan.validate import validate
from gridgis.schema import codes_as_text


class Adopted(NamedTuple):
    """The `plan`, the `borders` between its blocks, and the `log` of what was mended (empty where nothing was)."""

    plan: Plan
    borders: gpd.GeoDataFrame
    log: pd.DataFrame


def adopt(
    grids: gpd.GeoDataFrame,
    barriers: gpd.GeoDataFrame,
    *,
    mend: bool = False,
    houses: gpd.GeoDataFrame | None = None,
    **how: Any,
) -> Adopted:
    """Make a plan of blocks out of grids: each grid is cut along barriers, and stays where it is.

    Parameters
    ----------
    grids : GeoDataFrame
        ``code`` and any other columns, which are kept; ``parent`` is the unit of the blocks.
    barriers : GeoDataFrame
        As :func:`~gridgis.plan.blocks.make_blocks` takes them.
    mend : bool
        Consent to :func:`~gridgis.plan.repair.repair`, where the grids overlap or leave gaps.
    houses : GeoDataFrame, optional
        To count the households of blocks; grids get their sums.
    **how
        Further arguments of :func:`~gridgis.plan.blocks.make_blocks`.

    Returns
    -------
    Adopted
        ``plan.blocks`` with ``grid``; ``plan.grids``: the rows that came in, by code, with their own columns.

    Raises
    ------
    SchemaError, GeometryError, CRSError
        As :func:`~gridgis.plan.validate.validate` and :func:`~gridgis.plan.blocks.make_blocks`.
    PlanError
        The grids have errors and `mend` is False, or errors are left after mending; the message counts them by kind.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> grids = gpd.GeoDataFrame(
    ...     {"code": ["A", "B"]}, geometry=shapely.box([0, 200], 0, [200, 400], 100), crs=32650
    ... )
    >>> street = gpd.GeoDataFrame({"class": ["lane"]}, geometry=[shapely.LineString([(80, -9), (80, 109)])], crs=32650)
    >>> adopt(grids, street).plan.blocks[["code", "grid"]].values.tolist()
    [['A-0001', 'A'], ['A-0002', 'A'], ['B-0001', 'B']]
    """
    unique_codes(grids, "grids")
    found = validate(grids)
    log = pd.DataFrame()
    if _errors(found):
        if not mend:
            raise _refusal("the grids do not tile their ground", found, "--mend mends them (gridgis repair).")
        grids, log, left, _ = repair(grids)
        if _errors(left):
            raise _refusal("the grids have errors that mending leaves", left, "gridgis validate shows where.")
    codes = codes_as_text(grids["code"])
    ordered = grids.assign(code=codes).sort_values("code", ignore_index=True)
    ground = ordered[["code", ordered.active_geometry_name]]
    blocks, borders = make_blocks(ground, barriers, units=ground, houses=houses, **how)
    parent = pd.Series([None] * len(ordered), index=ordered["code"], dtype=object)
    if "parent" in ordered.columns:
        parent = pd.Series(codes_as_text(ordered["parent"]).to_numpy(dtype=object), index=ordered["code"])
    blocks["grid"] = blocks["unit"]
    blocks["unit"] = pd.Series([parent[code] for code in blocks["grid"]], index=blocks.index, dtype=object)
    if houses is not None:
        for column in ("households", "estimated"):
            sums = blocks.groupby("grid")[column].sum()
            ordered[column] = sums.reindex(ordered["code"]).to_numpy()
    return Adopted(
        Plan(blocks, ordered, {"grids": len(ordered), "parameters": blocks.attrs["parameters"]}), borders, log
    )


def _errors(defects: gpd.GeoDataFrame) -> bool:
    return bool((defects["severity"] == "error").any())


def _refusal(message: str, defects: gpd.GeoDataFrame, remedy: str) -> PlanError:
    errors = defects[defects["severity"] == "error"]
    codes = sorted({str(code) for own in errors["codes"] for code in own})
    counts = ", ".join(f"{kind} {count}" for kind, count in errors["kind"].value_counts().sort_index().items())
    return PlanError(message, source="grids", ids=codes, found=counts, wanted="no gap, no overlap", remedy=remedy)
