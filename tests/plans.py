"""Plans to edit: slanting towns with holes and exclaves, a chessboard, who lives there, and what a draft is made of."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import shapes
from shapes import X0, Y0

from gridgis.plan.closing import plan_of
from gridgis.plan.editing.draft import Draft
from gridgis.plan.opening import open_plan
from gridgis.plan.partition import Plan, partition


def town(seed: int = 0, columns: int = 5, rows: int = 4, *, units: int = 2, degrees: bool = False) -> gpd.GeoDataFrame:
    """Slanting blocks, `units` of them side by side."""
    rng = np.random.default_rng(seed)
    x = np.arange(columns + 1)[:, None] * 100 + rng.uniform(-20, 20, (columns + 1, rows + 1))
    y = np.arange(rows + 1)[None, :] * 100 + rng.uniform(-20, 20, (columns + 1, rows + 1))
    corners = np.stack([x, y], axis=-1)
    at = [(c, r) for c in range(columns) for r in range(rows)]
    quads = [
        shapely.Polygon([corners[c, r], corners[c + 1, r], corners[c + 1, r + 1], corners[c, r + 1]]) for c, r in at
    ]
    made = shapes.frame(quads, [f"b{c}{r}" for c, r in at]).drop(columns="name")
    made["unit"] = [f"u{int(c * units / columns)}" for c, _ in at]
    made["households"] = rng.integers(0, 120, len(at))
    made["persons"], made["estimated"] = made["households"] * 3, made["households"] // 2
    return shapes.in_degrees(made) if degrees else made


def houses_in(blocks: gpd.GeoDataFrame, seed: int = 0) -> gpd.GeoDataFrame:
    """Three houses in each block that together hold its households; half of the households are estimates."""
    rng = np.random.default_rng(seed)
    places, count = [], []
    for shape, households in zip(blocks.geometry, blocks["households"], strict=True):
        ring = shapely.get_coordinates(shape)[:4]
        for part in (households // 2, households // 4, households - households // 2 - households // 4):
            places.append(shapely.Point(rng.dirichlet(np.ones(4)) @ ring))
            count.append(int(part))
    table = {"code": [f"h{i}" for i in range(len(places))], "households": count}
    return gpd.GeoDataFrame(table, geometry=places, crs=blocks.crs)


def chessboard(households: object = 100, **more: object) -> gpd.GeoDataFrame:
    """Blocks 11 to 33, 100 m wide, in one unit."""
    return shapes.squares().drop(columns="name").assign(unit="U", households=households, **more)


def laid(blocks: gpd.GeoDataFrame, grids: list[str]) -> Plan:
    """A plan with these grids."""
    lock = pd.DataFrame({"code": blocks["code"].tolist(), "grid": grids})
    return partition(blocks, 300.0, lock=lock)


def board(**how: Any) -> Draft:
    """The chessboard with its rows as grids A (south), B and C."""
    return open_plan(laid(chessboard(), [*"AAABBBCCC"]), **how)


def line(*xy: tuple[float, float]) -> shapely.LineString:
    return shapely.LineString(np.array(xy) + (X0, Y0))  # noqa: RUF005


def area(*bounds: float) -> shapely.Polygon:
    return shapely.box(*np.array(bounds) + (X0, Y0, X0, Y0))  # noqa: RUF005


class Scene(NamedTuple):
    """A plan, and what it is opened with."""

    plan: Plan
    how: dict[str, Any]

    def open(self) -> Draft:
        return open_plan(self.plan, **self.how)


#: Blocks that are left out: a hole in the middle, or a column between two parts of a unit.
MISSING = {"whole": (), "hole": ("b21", "b22"), "exclave": tuple(f"b3{row}" for row in range(4))}


@cache
def scene(seed: int, units: int = 1, degrees: bool = False, shape: str = "whole") -> Scene:
    """A town with everything in it: houses, persons, buildings, borders, responsibility blocks, segments."""
    rng = np.random.default_rng(seed)
    blocks = town(seed, units=units, degrees=degrees)
    blocks = blocks[~blocks["code"].isin(MISSING[shape])].reset_index(drop=True)
    borders = borders_of(blocks, rng)
    plan = partition(blocks, 250.0, borders=borders, never_cross=("railway",))
    houses = houses_in(plan.blocks, seed)
    homes = houses["code"].repeat(rng.integers(0, 4, len(houses))).reset_index(drop=True)
    persons = pd.DataFrame({"id": [str(i) for i in range(len(homes))], "house": homes})
    spots = gpd.GeoDataFrame(geometry=houses.geometry.iloc[::2].reset_index(drop=True))
    counted = plan.blocks["code"].repeat(3).reset_index(drop=True)
    here = counted[counted.index % 2 == 0].value_counts()
    living = persons["house"].map(dict(zip(houses["code"], counted, strict=True))).value_counts()
    made = plan.blocks.assign(
        buildings=plan.blocks["code"].map(here).fillna(0).astype(int),
        persons=plan.blocks["code"].map(living).fillna(0).astype(int),
    )
    parts = plan.grids[["code", "geometry"]].iloc[::2].rename(columns={"code": "grid"}).reset_index(drop=True)
    parts["code"], parts["name"] = parts["grid"] + "-1", "东片"
    streets = gpd.GeoDataFrame(
        {"code": [f"s{i}" for i in range(len(plan.grids))], "grid": plan.grids["code"], "name": "前街"},
        geometry=[shapely.LineString(shapely.get_coordinates(g)[:3]) for g in plan.grids.geometry], crs=blocks.crs,
    )  # fmt: skip
    how = {"houses": houses, "persons": persons, "buildings": spots, "borders": borders, "never_cross": ["railway"],
           "responsibility_blocks": parts, "segments": streets}  # fmt: skip
    return Scene(Plan(made, plan.grids, plan.summary), how)


def borders_of(blocks: gpd.GeoDataFrame, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """The borders of blocks, on lanes, main roads, railways or nothing."""
    nothing = {"left": [], "right": [], "class": [], "name": [], "length_m": []}
    bare = gpd.GeoDataFrame(nothing, geometry=[], crs=blocks.crs)
    one = laid(blocks, blocks["code"].tolist())
    borders = plan_of(open_plan(one, borders=bare)).borders
    assert borders is not None
    kinds = ((None, None), ("lane", "槐树巷"), ("main", "成府路"), ("railway", "京包线"))
    chosen = [kinds[i] for i in rng.choice(4, len(borders), p=[0.3, 0.3, 0.3, 0.1])]
    for i, column in enumerate(("class", "name")):
        borders[column] = pd.Series([kind[i] for kind in chosen], index=borders.index, dtype=object)
    return borders


def bits(draft: Draft) -> tuple[object, ...]:
    """Everything a plan says, down to the bits of its coordinates."""
    plan = plan_of(draft)
    frames = [t for t in plan if isinstance(t, gpd.GeoDataFrame)]
    tables = [pd.DataFrame(t.drop(columns=t.active_geometry_name)).astype(str).to_dict("list") for t in frames]
    return [t.geometry.to_wkb().tolist() for t in frames], tables, plan.summary


@cache
def planned(seed: int, units: int, degrees: bool) -> Plan:
    """A plan of a town; nobody changes it."""
    return partition(town(seed, units=units, degrees=degrees), 250.0)


def state(draft: Draft) -> tuple[object, ...]:
    """Every block and grid, down to the bits of its coordinates; cheaper than :func:`bits`."""
    items = [*(draft.blocks[c] for c in sorted(draft.blocks)), *(draft.grids[c] for c in sorted(draft.grids))]
    items += [draft.segments[c] for c in sorted(draft.segments)]
    fields = [[getattr(item, name) for name in item.__slots__ if name != "shape"] for item in items]
    rest = (draft.members, draft.pieces, draft.drawn, draft.responsibility)
    return fields, shapely.to_wkb([item.shape for item in items]).tolist(), *(dict(table) for table in rest)
