"""Boards: one for each grid at a street corner, one for each community, and at some blocks of flats."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gridgis.crs import WGS84
from gridgis.sample.truth import Planted

FILE = "boards.csv"
#: The number of the grid that has no board.
_WITHOUT_BOARD = 4


def make_boards(
    grids: gpd.GeoDataFrame, units: gpd.GeoDataFrame, barriers: gpd.GeoDataFrame, buildings: gpd.GeoDataFrame
) -> tuple[gpd.GeoDataFrame, list[Planted]]:
    """The boards, and what was planted: one grid without a board, some incomplete, some not checked for long."""
    corners, corner_names = _corners(barriers)
    rows: list[tuple[Any, ...]] = []
    bare = str(grids["code"].iloc[_WITHOUT_BOARD])
    for code, shape in zip(grids["code"], grids.geometry, strict=True):
        if code == bare:
            continue
        inside = shape.representative_point()
        nearest = _nearest_corner(corners, shape, inside)
        at = shapely.LineString([corners[nearest], inside]).interpolate(1.2e-4)
        rows.append((f"GB-{code}", "grid", code, None, f"{'、'.join(corner_names[nearest])}路口", "2025-04-15", at))
    for code, name, shape in zip(units["code"], units["name"], units.geometry, strict=True):
        at = shape.representative_point()
        rows.append((f"GB-{code}", "community", None, None, f"{name}居委会门口", "2025-04-10", at))
    flats = buildings[buildings["kind"] == "apartments"].iloc[::10]
    for code, address, shape in zip(flats["code"], flats["address"], flats.geometry, strict=True):
        at = shape.centroid
        rows.append((f"GB-{code}", "building", None, code, f"{address}门厅", "2025-05-06", at))
    columns = ["code", "kind", "grid", "building", "place", "installed_on", "geometry"]
    boards = gpd.GeoDataFrame(pd.DataFrame(rows, columns=columns), crs=WGS84)
    places = shapely.transform(boards.geometry.array, lambda xy: np.round(xy, 7))
    number = np.arange(len(boards))
    overdue, unknown, placeless = number % 7 == 3, number % 19 == 5, number % 23 == 11
    boards.insert(
        6, "checked_on", pd.Series(np.where(overdue, "2025-07-20", "2026-02-20"), dtype=object).mask(unknown, None)
    )
    boards["place"] = boards["place"].where(~placeless, None)
    codes = boards["code"].to_numpy(dtype=object)
    told = [
        ("board-overdue", overdue & ~unknown, "not checked since 2025-07-20, more than 180 days before the walks"),
        ("board-unchecked", unknown, "nobody wrote down when it was checked"),
        ("board-placeless", placeless, "nobody wrote down where it hangs"),
    ]
    planted = [
        Planted(name, "boards", FILE, tuple(codes[rows]), name.partition("-")[2], "patrol", detail)
        for name, rows, detail in told
    ]
    planted.append(Planted("board-lacking", "boards", FILE, (bare,), "lacking", "patrol", "a grid without a board"))
    return boards.set_geometry(places, crs=WGS84), planted


def _corners(barriers: gpd.GeoDataFrame) -> tuple[NDArray[Any], list[tuple[str, ...]]]:
    """Points where streets of two names meet, and the names, the larger street first."""
    order = ("main", "secondary", "lane")
    streets = barriers[barriers["class"].isin(order)]
    named = list(zip(streets["class"].map(order.index), streets["name"], strict=True))
    at, row = shapely.get_coordinates(streets.geometry.array, return_index=True)
    met: dict[tuple[float, float], set[tuple[int, str]]] = {}
    for (lon, lat), number in zip(at.tolist(), row, strict=True):
        met.setdefault((lon, lat), set()).add(named[number])
    found = sorted((place, sorted(both)) for place, both in met.items() if len(both) > 1)
    return shapely.points([place for place, _ in found]), [tuple(name for _, name in both) for _, both in found]


def _nearest_corner(corners: NDArray[Any], shape: Any, inside: Any) -> int:
    """The corner on the edge of a grid (or inside it) that lies nearest to its middle."""
    away = shapely.distance(corners, inside)
    touching = shapely.intersects(corners, shape)
    return int(np.argmin(np.where(touching, away, away + 1.0)))
