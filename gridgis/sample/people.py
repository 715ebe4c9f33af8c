"""Who lives and works there: houses, persons, staff, postings, leave, weather, boards.

A person is an id and a house and nothing else. Names of staff are put together from words of landscape; their
telephone numbers begin with 000, where no number can be.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gridgis.crs import WGS84
from gridgis.sample import names
from gridgis.sample.plane import SEED, to_degrees
from gridgis.sample.town import Town

HOUSES = 9600
PERSONS = 27000
STAFF = 40

#: The days of the tracks: Monday to Wednesday.
DAYS = ("2026-03-02", "2026-03-03", "2026-03-04")
#: How many workers carry a phone that records, one in each community.
WALKERS = 4

_SIZES, _SIZE_SHARES = np.arange(1, 7), (0.17, 0.28, 0.28, 0.16, 0.08, 0.03)
_DUTIES = {
    "grid head": "统筹网格事务、调处矛盾、督促巡查",
    "full-time worker": "日常巡查、信息采集、上门走访、事项上报",
    "part-time worker": "协助巡查、环境卫生监督、活动组织",
    "liaison": "联系社区与网格、政策宣传、民意收集",
}
_HOURS = {
    "grid head": "周一至周五 9:00–11:30、14:00–16:30",
    "full-time worker": "周一至周六 8:30–11:30、14:00–17:00",
    "part-time worker": "周一、周三、周五 18:30–20:30",
    "liaison": "每周四 14:00–17:00",
}
_HEADS_PER_UNIT = 2


def building_codes(town: Town) -> list[str]:
    return [f"L{number:04d}" for number in range(1, len(town.buildings) + 1)]


def make_houses(town: Town) -> pd.DataFrame:
    """Every dwelling: code, building, address, households, lon, lat. Dwellings above each other have one place."""
    rng = np.random.default_rng([SEED, 3])
    rows: list[tuple[str, str, str]] = []
    places: list[Any] = []
    ground_floor: list[int] = []
    for code, building in zip(building_codes(town), town.buildings, strict=True):
        stairs = shapely.line_interpolate_point(
            building.axis, (np.arange(building.doors) + 0.5) / max(building.doors, 1), normalized=True
        )
        for floor in range(1, building.levels + 1):
            for door in range(building.doors):
                room = f"{floor}{door + 1:02d}"
                if floor == 1 and building.kind == "apartments":
                    ground_floor.append(len(rows))
                rows.append((f"{code}-{room}", code, f"{building.address}{room}室"))
                places.append(stairs[door])
    # Some ground floors are shops, rooms for bicycles or of the neighbourhood, until the count is right.
    other_use = rng.choice(ground_floor, len(rows) - HOUSES, replace=False)
    kept = np.setdiff1d(np.arange(len(rows)), other_use)
    points = to_degrees(np.array(places, dtype=object)[kept])
    houses = pd.DataFrame([rows[i] for i in kept], columns=["code", "building", "address"])
    return houses.assign(households=1, lon=shapely.get_x(points), lat=shapely.get_y(points))


def make_persons(houses: pd.DataFrame) -> pd.DataFrame:
    """Persons as an id and a house; one to six in each."""
    rng = np.random.default_rng([SEED, 4])
    count = rng.choice(_SIZES, len(houses), p=_SIZE_SHARES)
    off = PERSONS - int(count.sum())
    room = np.flatnonzero(count < _SIZES[-1] if off > 0 else count > 1)
    count[rng.choice(room, abs(off), replace=False)] += np.sign(off)
    home = np.repeat(houses["code"].to_numpy(), count)
    return pd.DataFrame({"id": [f"P{number:05d}" for number in range(1, PERSONS + 1)], "house": home})


# --- staff ------------------------------------------------------------------------------------------------------------


def make_staff(grids: gpd.GeoDataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Staff, and their postings in the grids given.

    Each grid has a full-time worker (who serves two grids where there are more grids than workers), a head shared with
    half its community, and the liaison of the community; whoever is left helps out in the grids with the most
    households.
    """
    rng = np.random.default_rng([SEED, 5])
    surnames, given = rng.permutation(list(names.SURNAMES)), rng.permutation(names.GIVEN)
    postings = pd.DataFrame(_postings(grids), columns=["staff", "grid", "role", "from", "to"])
    postings["verified_at"] = postings["to"].fillna("2026-02-25")
    roles = postings[postings["to"].isna()].drop_duplicates("staff").set_index("staff")["role"].sort_index()
    staff = pd.DataFrame(
        {
            "id": roles.index,
            "name": [f"{surnames[i % len(surnames)]}{given[i]}" for i in range(len(roles))],
            "phone": [names.PHONE.format(2000 + 37 * (i + 1)) for i in range(len(roles))],
            "duties": roles.map(_DUTIES).to_numpy(),
            "hours": roles.map(_HOURS).to_numpy(),
        }
    )
    return staff, postings.sort_values(["grid", "role", "from", "staff"], ignore_index=True)


def _postings(grids: gpd.GeoDataFrame) -> Iterator[tuple[str, str, str, str, str | None]]:
    codes, units = grids["code"].tolist(), grids["parent"].tolist()
    communities = sorted(set(units))
    leading = len(communities) * (_HEADS_PER_UNIT + 1)
    workers = min(len(codes), STAFF - leading)
    for i, code in enumerate(codes):
        since = "2026-01-01" if i == 1 else "2025-03-01"
        yield f"S{i % workers + 1:02d}", code, "full-time worker", since, None
    number = workers
    for unit in communities:
        own = [code for code, of in zip(codes, units, strict=True) if of == unit]
        half = -(-len(own) // _HEADS_PER_UNIT)
        for head in range(_HEADS_PER_UNIT):
            number += 1
            for code in own[head * half : (head + 1) * half]:
                yield f"S{number:02d}", code, "grid head", "2025-03-01", None
        number += 1
        for code in own:
            yield f"S{number:02d}", code, "liaison", "2025-09-01", None
    largest = grids.sort_values(["households", "code"], ascending=[False, True])["code"].tolist()
    for i, code in enumerate(largest[: STAFF - number]):
        yield f"S{number + i + 1:02d}", code, "part-time worker", "2025-09-01", None
    # Who worked in the second grid before: the posting ended, the person works on elsewhere.
    yield f"S{workers:02d}", codes[1], "full-time worker", "2025-03-01", "2025-12-31"


def walkers(grids: gpd.GeoDataFrame, postings: pd.DataFrame) -> list[tuple[str, str]]:
    """Who walks with a phone, and where: the worker of the smallest grid with households in each community."""
    area = shapely.area(grids.geometry.array)
    lived_in = grids.assign(_area=np.round(area * 1e12))[grids["households"] >= 100]
    smallest = lived_in.sort_values(["_area", "code"]).drop_duplicates("parent").sort_values("code")
    held = postings[postings["to"].isna() & (postings["role"] == "full-time worker")].set_index("grid")["staff"]
    return [(str(held[code]), str(code)) for code in smallest["code"][:WALKERS]]


def make_leave(walking: list[tuple[str, str]], staff: pd.DataFrame) -> pd.DataFrame:
    """Days of leave: the third walker on the second day, and two others of the staff."""
    others = [who for who in staff["id"] if who not in {w for w, _ in walking}]
    rows = [(walking[2][0], DAYS[1], "年休假"), (others[3], DAYS[0], "病假"), (others[8], DAYS[2], "年休假")]
    return pd.DataFrame(rows, columns=["staff", "date", "reason"]).sort_values(["date", "staff"], ignore_index=True)


def make_weather() -> pd.DataFrame:
    """Declared extreme weather: the day after the tracks."""
    return pd.DataFrame({"date": ["2026-03-05"], "kind": ["暴雨红色预警"]})


# --- boards -----------------------------------------------------------------------------------------------------------


def make_boards(
    grids: gpd.GeoDataFrame, units: gpd.GeoDataFrame, barriers: gpd.GeoDataFrame, buildings: gpd.GeoDataFrame
) -> gpd.GeoDataFrame:
    """Boards: one for each grid at a street corner, one for each community, one at every tenth block of flats."""
    corners, corner_names = _corners(barriers)
    rows: list[tuple[Any, ...]] = []
    for code, shape in zip(grids["code"], grids.geometry, strict=True):
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
    checked = np.where(np.arange(len(boards)) % 7 == 3, "2025-11-20", "2026-02-20")
    boards.insert(6, "checked_on", checked)
    return boards.set_geometry(places, crs=WGS84)


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
