"""Who works there: staff, postings, leave, weather.

Names of staff are put together from words of landscape; their telephone numbers begin with 000, where no number can be.
"""

from __future__ import annotations

from collections.abc import Iterator

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gridgis.sample import names
from gridgis.sample.plane import SEED

STAFF = 40

#: The days of the tracks: Monday to Wednesday.
DAYS = ("2026-03-02", "2026-03-03", "2026-03-04")
#: How many workers carry a phone that records, one in each community.
WALKERS = 4

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
