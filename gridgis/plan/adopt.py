"""Grids from outside become a plan of blocks."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gridgis.errors import GridgisWarning, PlanError, name_ids
from gridgis.plan.blocks import make_blocks
from gridgis.plan.editing.apportion import parted
from gridgis.plan.faces.network import Bools
from gridgis.plan.partition import Plan
from gridgis.plan.repair import repair
from gridgis.plan.units import unique_codes
from gridgis.plan.validate import validate
from gridgis.schema import codes_as_text, ids_of

#: What grids may have counted themselves.
_COUNTS = ("households", "persons")


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
        To count the households of blocks; grids get their sums, and what they counted before is kept as
        ``households_before`` (``persons_before``). Without houses grids keep their own ``households`` and ``persons``,
        and their blocks share them by ground, in whole numbers that add up; households so shared count as estimated.
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
        Counts of grids that are negative or no numbers.

    Warns
    -----
    GridgisWarning
        Grids that nobody counted among others that are counted (their blocks have 0).

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
            raise _refusal(
                "the grids have errors that mending leaves",
                left,
                "Take rows that have no ground of their own out first.",
            )
    codes = codes_as_text(grids["code"])
    ordered = grids.assign(code=codes).sort_values("code", ignore_index=True)
    ground = ordered[["code", ordered.active_geometry_name]]
    blocks, borders = make_blocks(ground, barriers, units=ground, houses=houses, **how)
    blocks["grid"] = blocks["unit"]
    blocks["unit"] = _of_grid(ordered, "parent", blocks)
    if "compound_kind" in ordered.columns:
        known = blocks["compound_kind"].notna()
        blocks["compound_kind"] = blocks["compound_kind"].where(known, _of_grid(ordered, "compound_kind", blocks))
    counted = {"households": houses is not None, "persons": houses is not None and how.get("persons") is not None}
    for column in (c for c in _COUNTS if c in ordered.columns):
        if counted[column]:
            ordered[f"{column}_before"] = ordered[column]
        else:
            _share(ordered, blocks, column)
    for column in ("households", "persons", "estimated"):
        if counted.get(column, bool(blocks[column].any())) or column in ordered.columns:
            ordered[column] = _sums(ordered, blocks, column)
    return Adopted(
        Plan(blocks, ordered, {"grids": len(ordered), "parameters": blocks.attrs["parameters"]}), borders, log
    )


def _of_grid(grids: gpd.GeoDataFrame, column: str, blocks: gpd.GeoDataFrame) -> pd.Series:
    """What the grid of each block says, as text; None where it says nothing."""
    texts = codes_as_text(grids[column]) if column in grids.columns else [None] * len(grids)
    known = dict(zip(grids["code"], texts, strict=True))
    return pd.Series([known[code] for code in blocks["grid"]], index=blocks.index, dtype=object)


def _sums(grids: gpd.GeoDataFrame, blocks: gpd.GeoDataFrame, column: str) -> pd.Series:
    """The sum over each grid's blocks; unknown where a block's count is."""
    sums = blocks.groupby("grid")[column].agg(lambda own: own.sum() if own.notna().all() else pd.NA)
    found = pd.Series(sums.reindex(grids["code"]).to_numpy(), index=grids.index)
    return found.astype("Int64") if found.isna().any() else found.astype("int64")


def _share(grids: gpd.GeoDataFrame, blocks: gpd.GeoDataFrame, column: str) -> None:
    """Put into `blocks` their share of what each grid counted: persons by households where there are any, else ground.

    Raises
    ------
    PlanError
        Counts that are negative or no numbers.
    """
    values = pd.to_numeric(grids[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = (np.isnan(values) & grids[column].notna().to_numpy()) | np.isinf(values) | (values < 0)
    if wrong.any():
        raise PlanError(f"grids with {column} that cannot be used", source="grids", ids=ids_of(grids, wrong, "code"),
                        wanted="whole numbers of 0 or more")  # fmt: skip
    area = shapely.area(blocks.geometry.to_numpy())
    lived = blocks["households"].to_numpy(dtype=float) if column == "persons" else np.zeros(len(blocks))
    shares = pd.Series(0, index=blocks.index, dtype="Int64")
    for code, count in zip(grids["code"], values.tolist(), strict=True):
        own = (blocks["grid"] == code).to_numpy()
        weights = lived[own] if lived[own].any() else area[own]
        shares[own] = pd.NA if np.isnan(count) else parted(round(count), weights)
        if column == "households" and own.sum() > 1 and not np.isnan(count):
            blocks.loc[own, "estimated"] = shares[own].astype("int64")
    if column == "households":
        _warn_uncounted(grids, np.isnan(values))
        shares = shares.fillna(0)
    blocks[column] = shares if shares.isna().any() else shares.astype("int64")


def _warn_uncounted(grids: gpd.GeoDataFrame, none: Bools) -> None:
    if none.any() and not none.all():
        codes = grids["code"][none].tolist()
        warnings.warn(f"grids that nobody counted: their blocks have 0 households ({name_ids(codes)})",
                      GridgisWarning, stacklevel=4)  # fmt: skip


def _errors(defects: gpd.GeoDataFrame) -> bool:
    return bool((defects["severity"] == "error").any())


def _refusal(message: str, defects: gpd.GeoDataFrame, remedy: str) -> PlanError:
    errors = defects[defects["severity"] == "error"]
    codes = sorted({str(code) for own in errors["codes"] for code in own})
    counts = ", ".join(f"{kind} {count}" for kind, count in errors["kind"].value_counts().sort_index().items())
    return PlanError(message, source="grids", ids=codes, found=counts, wanted="no gap, no overlap", remedy=remedy)
