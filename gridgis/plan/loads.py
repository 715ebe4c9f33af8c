"""Who lives on a piece of ground: households, persons and buildings of blocks and grids, and their compound kind."""

from __future__ import annotations

import warnings

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from gridgis import crs as crs_
from gridgis.errors import GridgisWarning, SchemaError, name_ids
from gridgis.locate import GridLocator
from gridgis.plan.faces.network import Bools, Floats, Ints, Shapes, mostly_in
from gridgis.plan.units import unique_codes
from gridgis.schema import COMPOUND_KINDS, codes_as_text, ids_of


def count_loads(
    blocks: gpd.GeoDataFrame,
    houses: gpd.GeoDataFrame | None,
    buildings: gpd.GeoDataFrame | None,
    persons: pd.DataFrame | None,
) -> gpd.GeoDataFrame:
    """Blocks with households, estimated, persons and buildings."""
    locator = GridLocator(blocks)
    out = blocks.copy()
    out["households"] = out["persons"] = out["buildings"] = out["estimated"] = 0
    if buildings is not None and len(buildings):
        row = _rows_of(locator, buildings, blocks.crs)
        out["buildings"] = _sums(np.ones(len(row)), row, len(blocks))
    homes = houses if houses is not None else buildings
    if homes is not None and len(homes):
        row = _rows_of(locator, homes, blocks.crs)
        count = households_of(homes, 1.0 if houses is not None else 0.0)
        guessed = homes["estimated"].fillna(False).to_numpy(dtype=bool) if "estimated" in homes.columns else False
        out["households"] = _sums(count, row, len(blocks))
        out["estimated"] = _sums(count * guessed, row, len(blocks))
        _warn_left_out(homes, row, count, "houses" if houses is not None else "buildings")
        if houses is not None and persons is not None and len(persons):
            out["persons"] = _persons(persons, houses, row, len(blocks))
    return out


def nobody_in(
    pieces: gpd.GeoDataFrame,
    unit: Ints,
    houses: gpd.GeoDataFrame | None,
    buildings: gpd.GeoDataFrame | None,
    estates: gpd.GeoDataFrame | None,
) -> Bools:
    """Which pieces hold no households and lie in no estate with more than half of their ground.

    Only in units (`unit` of each piece) with households: elsewhere it is not known whether anybody counted.
    """
    homes = houses if houses is not None else buildings
    if homes is None or len(homes) == 0:
        return np.zeros(len(pieces), dtype=bool)
    count = households_of(homes, 1.0 if houses is not None else 0.0)
    row = _rows_of(GridLocator(pieces), homes, pieces.crs)
    lived = np.bincount(row[row >= 0], count[row >= 0], len(pieces)) > 0
    areas = np.empty(0, dtype=object) if estates is None else estates.geometry.to_numpy()
    empty: Bools = ~lived & np.isin(unit, unit[lived]) & ~mostly_in(pieces.geometry.to_numpy(), areas)
    return empty


def households_of(homes: pd.DataFrame, default: float) -> Floats:
    """Households of each house or building; `default` where none are given.

    Raises
    ------
    SchemaError
        Households that are negative or no number.
    """
    if "households" not in homes.columns:
        return np.full(len(homes), default)
    given = homes["households"]
    counts: Floats = pd.to_numeric(given, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = (given.notna().to_numpy() & ~np.isfinite(counts)) | (counts < 0)
    if wrong.any():
        raise SchemaError(
            "households must be numbers of 0 or more", source="houses", ids=ids_of(homes, wrong, "code"),
            found=str(given[wrong].iloc[0]),
        )  # fmt: skip
    return np.where(np.isnan(counts), default, counts)


def _rows_of(locator: GridLocator, places: gpd.GeoDataFrame, crs: pyproj.CRS) -> Ints:
    shapes = crs_.project(np.asarray(places.geometry.array, dtype=object), crs_.require_crs(places), crs)
    inner = shapely.point_on_surface(shapes)
    return locator.locate(shapely.get_x(inner), shapely.get_y(inner))


def _sums(values: Floats, row: Ints, size: int) -> Ints:
    sums: Ints = np.rint(np.bincount(row[row >= 0], values[row >= 0], size)).astype(np.int64)
    return sums


def _persons(persons: pd.DataFrame, houses: gpd.GeoDataFrame, row: Ints, size: int) -> Ints:
    if "house" not in persons.columns:
        raise SchemaError("persons are counted by their house", source="persons", wanted="a column 'house'")
    place = pd.Series(row, index=unique_codes(houses, "houses"))
    block = codes_as_text(persons["house"]).map(place).fillna(-1).to_numpy(dtype=np.int64)
    if (block < 0).any():
        warnings.warn(
            f"{int((block < 0).sum())} of {len(block)} persons have no house in a block and are not counted",
            GridgisWarning,
            stacklevel=4,
        )
    return _sums(np.ones(len(block)), block, size)


def _warn_left_out(homes: pd.DataFrame, row: Ints, count: Floats, what: str) -> None:
    out = (row < 0) & (count > 0)
    if out.any():
        ids = codes_as_text(homes["code"])[out] if "code" in homes.columns else np.flatnonzero(out) + 1
        warnings.warn(
            f"{int(count[out].sum())} households of {what} outside the boundary are not counted ({name_ids(ids)})",
            GridgisWarning,
            stacklevel=4,
        )


def compounds_of(blocks: gpd.GeoDataFrame, estates: gpd.GeoDataFrame | None, metric: pyproj.CRS) -> pd.DataFrame:
    """For each block the kind of compound, and the code of the one compound, that covers more than half of it."""
    none = [None] * len(blocks)
    found = pd.DataFrame({"compound_kind": none, "compound": none}, index=blocks.index, dtype=object)
    if estates is None:
        return found
    shapes = crs_.project(blocks.geometry.to_numpy(), blocks.crs, metric)
    areas = shapely.make_valid(crs_.project(estates.geometry.to_numpy(), blocks.crs, metric))
    if "kind" in estates.columns:
        found["compound_kind"] = pd.Series(_kinds(shapes, areas, estates["kind"].to_numpy(dtype=object)), dtype=object)
    if "code" in estates.columns:
        found["compound"] = pd.Series(_codes(shapes, areas, codes_as_text(estates["code"]).to_numpy()), dtype=object)
    return found


def _kinds(shapes: Shapes, areas: Shapes, kind: Shapes) -> Shapes:
    kinds = np.full(len(shapes), None, dtype=object)
    half = shapely.area(shapes) / 2
    for name in COMPOUND_KINDS:
        own = areas[kind == name]
        if len(own):
            covered = shapely.area(shapely.intersection(shapes, shapely.union_all(own)))
            more = covered > half
            kinds[more], half[more] = name, covered[more]
    return kinds


def _codes(shapes: Shapes, areas: Shapes, code: Shapes) -> Shapes:
    codes = np.full(len(shapes), None, dtype=object)
    order = np.argsort(code.astype(str), kind="stable")  # where two estates lie on one ground the lowest code wins
    shape, area = shapely.STRtree(shapes).query(areas[order], predicate="intersects")[::-1]
    covered = shapely.area(shapely.intersection(shapes[shape], areas[order][area]))
    most = np.zeros(len(shapes))
    for row, estate, metres in zip(shape.tolist(), order[area].tolist(), covered.tolist(), strict=True):
        if metres > max(most[row], shapely.area(shapes[row]) / 2):
            codes[row], most[row] = code[estate], metres
    return codes
