"""An invented place of eight grids for the tests of the web: 柳岸街道, two communities, a river, streets, people."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gridgis.plan.partition import Plan
from gridgis.store import Store, open_store
from gridgis.store.plans import Plans

UNITS = {"990101001": "柳岸社区", "990101002": "书院社区"}
SETTINGS = {
    "title": "柳岸街道网格地图",
    "name": "柳岸街道",
    "profile": "yichang",
    "supervision_phone": "000-0000-0110",
    "community_phone": "000-0000-0200",
    "sources": "地图数据：虚构示例，不代表任何真实地点\n网格：柳岸街道办事处",
    "review_number": "示例 (2026) 0000 号",
    "built_at": "2026-03-02T09:00:00+08:00",
}
_LEFT, _BOTTOM, _STEP = 113.000, 30.000, 0.0035
_STREETS = ("滨河东路", "学府街", "柳岸大道", "书院路", "西环路")
_ACROSS = ("北辰路", "文昌巷", "清水河")


def warp(x: float, y: float) -> tuple[float, float]:
    """A crooked town: cells of a chessboard, bent."""
    lon = _LEFT + _STEP * (x + 0.13 * np.sin(1.7 * y + 0.4) + 0.06 * np.sin(3.1 * x + y))
    lat = _BOTTOM + _STEP * (0.85 * y + 0.10 * np.sin(1.3 * x) + 0.05 * np.cos(2.3 * y + x))
    return lon, lat


def bent(shape: Any, step: float = 0.125) -> Any:
    """A shape of the chessboard, bent; a border shared before is shared after."""
    fine = shapely.segmentize(shape, step)
    return shapely.transform(fine, lambda xy: np.array([warp(x, y) for x, y in xy]))


def grids() -> gpd.GeoDataFrame:
    rows = []
    for column in range(4):
        for row in range(2):
            unit = list(UNITS)[column // 2]
            number = (column % 2) * 2 + row + 1
            name = f"{UNITS[unit][:2]}第{'一二三四'[number - 1]}网格"
            sides = (_STREETS[column + 1], _ACROSS[row], _STREETS[column], _ACROSS[row + 1])
            rows.append(
                {
                    "code": f"{unit}{number:02d}", "name": name, "kind": "residential", "level": 3, "parent": unit,
                    "households": 280 + 11 * number, "persons": 800, "deviation": 0.02, "reason": None,
                    "compactness": 0.7, "road_share": 0.9,
                    "bounds_text": f"东至{sides[0]}，南至{sides[1]}，西至{sides[2]}，北至{sides[3]}",
                    "geometry": bent(shapely.box(column, row, column + 1, row + 1)),
                }
            )  # fmt: skip
    return gpd.GeoDataFrame(rows, crs="EPSG:4326")


def barriers() -> gpd.GeoDataFrame:
    kinds = ("secondary", "secondary", "main", "secondary", "expressway")
    rows = [
        {"class": kinds[x], "name": _STREETS[x], "geometry": bent(shapely.LineString([(x, -0.2), (x, 2.2)]))}
        for x in range(5)
    ]
    across = (("secondary", 0), ("lane", 1), ("river", 2))
    rows += [
        {"class": kind, "name": _ACROSS[y], "geometry": bent(shapely.LineString([(-0.2, y), (4.2, y)]))}
        for kind, y in across
    ]
    more = (
        ("railway", "柳岸支线", [(-0.2, -0.1), (4.2, -0.15)]),
        ("wall", None, [(1.2, 0.2), (1.2, 0.8)]),
        ("lane", "柳荫巷", [(2.5, 0), (2.5, 1)]),
    )
    rows += [{"class": kind, "name": name, "geometry": bent(shapely.LineString(line))} for kind, name, line in more]
    return gpd.GeoDataFrame(rows, crs="EPSG:4326")


def buildings() -> gpd.GeoDataFrame:
    """Each cell is a lane of the street on its left; one building has a name, another one stands in two grids."""
    shapes, addresses = [], []
    for column in range(4):
        for row in range(2):
            number = 0
            for i, x in enumerate(np.linspace(0.14, 0.74, 4)):
                for j, y in enumerate(np.linspace(0.16, 0.76, 4)):
                    if (i + 2 * j + column) % 5:
                        wide, high = (0.13, 0.06) if column % 2 else (0.1, 0.07)
                        shapes.append(bent(shapely.box(column + x, row + y, column + x + wide, row + y + high), 1))
                        number += 1
                        addresses.append(f"{_STREETS[column]}{10 + 10 * row}弄{number}号")
    codes = [f"B{i:04d}" for i in range(len(shapes))]
    frame = gpd.GeoDataFrame({"code": codes, "kind": "residential", "households": 24}, geometry=shapes, crs="EPSG:4326")
    frame["name"], frame["address"] = None, addresses
    frame.loc[len(frame) - 1, "name"] = "书院商厦"
    frame.loc[len(frame)] = {"code": "B9999", "kind": "commercial", "households": 0, "name": "两界楼",
                             "address": "北辰路7号", "geometry": bent(shapely.box(2.9, 0.04, 3.1, 0.1))}  # fmt: skip
    return frame


def compounds() -> gpd.GeoDataFrame:
    """Two lanes with names, one of them in two grids."""
    rows = [
        ("C1", "清水苑", "managed", "滨河东路20弄", shapely.box(0.1, 1.1, 0.9, 1.9)),
        ("C2", "书院新村", "mixed", None, shapely.box(2.6, 0.2, 3.4, 0.9)),
    ]
    frame = gpd.GeoDataFrame(rows, columns=["code", "name", "kind", "address", "geometry"], crs="EPSG:4326")
    return frame.set_geometry([bent(shape) for shape in frame.geometry], crs="EPSG:4326")


#: A portrait as a build keeps it.
PORTRAIT = (
    "data:image/svg+xml;base64,"
    + base64.b64encode(
        b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle cx="4.5" cy="4.5" r="4"/></svg>'
    ).decode()
)


def staff() -> pd.DataFrame:
    people = [
        ("S1", "沈若溪", "000-0000-0001", "每日 8:30–11:30，14:00–17:00"),
        ("S2", "顾长安", "000-0000-0002", "周一至周五 9:00–12:00"),
        ("S3", "陆明远", "000-0000-0003", "每日 14:00–17:00"),
        ("S4", "白砚秋", None, "周二、周四 9:00–11:00"),
        ("S5", "罗小满", "000-0000-0005", None),
        ("S6", "程望舒", "000-0000-0006", "每日 9:00–17:00"),
    ]
    frame = pd.DataFrame(people, columns=["id", "name", "phone", "hours"])
    frame["duties"] = "走访居民，巡查楼道与街面，受理邻里事项，报告安全隐患"
    frame["photo"] = None
    frame.loc[0, "photo"] = PORTRAIT
    return frame


def postings() -> pd.DataFrame:
    first, second = UNITS
    rows = [
        ("S1", f"{first}01", "grid head"), ("S2", f"{first}01", "full-time worker"), ("S2", f"{first}02", "grid head"),
        ("S3", f"{first}03", "grid head"), ("S4", f"{first}04", "grid head"), ("S5", f"{second}01", "grid head"),
        ("S6", f"{second}02", "grid head"), ("S6", f"{second}03", "grid head"), ("S3", f"{second}03", "liaison"),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["staff", "grid", "role"])
    frame["from"] = pd.Timestamp("2025-01-01")
    frame["to"] = pd.NaT
    frame["verified_at"] = pd.Timestamp("2026-02-20")
    return frame


def units() -> gpd.GeoDataFrame:
    rows = [
        {"code": code, "name": name, "level": 2, "parent": None, "geometry": bent(shapely.box(2 * i, 0, 2 * i + 2, 2))}
        for i, (code, name) in enumerate(UNITS.items())
    ]
    return gpd.GeoDataFrame(rows, crs="EPSG:4326")


def water() -> gpd.GeoDataFrame:
    shape = bent(shapely.box(-0.2, 2, 4.2, 2.12))
    pond = shapely.Point(warp(3.5, 0.5)).buffer(0.0004)
    return gpd.GeoDataFrame({"name": ["清水河", "书院湖"]}, geometry=[shape, pond], crs="EPSG:4326")


def make_store(path: Path, change: Callable[[dict[str, Any]], None] | None = None, **settings: str) -> Path:
    """Write the place's store to `path`; `change` may alter the tables first."""
    with open_store(path, create=True) as store:
        fill_store(store, change, **settings)
    return path


def fill_store(store: Store, change: Callable[[dict[str, Any]], None] | None = None, **settings: str) -> None:
    """Save the place in a store; `change` may alter the tables first."""
    tables: dict[str, Any] = {
        "grid": grids(), "unit": units(), "barrier": barriers(), "water": water(), "building": buildings(),
        "compound": compounds(),
        "staff": staff(), "posting": postings(),
    }  # fmt: skip
    if change is not None:
        change(tables)
    store.save(tables, {**SETTINGS, **settings})


def publish_days(path: Path, *days: date) -> None:
    """Publish the eight grids (旧) from the first day, and four of two each (新) from the second."""
    blocks = gpd.GeoDataFrame({"code": [], "grid": []}, geometry=[], crs=4326)
    eight = grids()
    four = eight.dissolve(np.arange(8) // 2, as_index=False)
    with open_store(path) as store:
        plans = Plans(store)
        for mark, shown, day in zip("旧新", (eight, four), days, strict=True):
            made = Plan(blocks, shown.assign(name=mark + shown["name"].astype(str), parent=None), {})
            plans.publish(plans.add(made, title=mark, by="planner"), by="boss", on=day)


def inside(column: int, row: int) -> tuple[float, float]:
    """A point in the middle of a cell."""
    return warp(column + 0.5, row + 0.5)
