"""Who works there: staff, postings, leave, weather.

Names of staff are put together from words of landscape; their telephone numbers begin with 000, where no number can be.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gridgis.sample import names
from gridgis.sample.plane import SEED
from gridgis.sample.truth import Planted

STAFF = 45
#: How many workers carry a phone that records, three in each community.
WALKERS = 12

#: The working days of two weeks from Monday 2 March 2026.
DAYS = tuple(str(day.date()) for day in pd.bdate_range("2026-03-02", "2026-03-13"))
STORM_DAY = "2026-03-12"
#: The last walker's posting ends in the middle of the period, and somebody else's begins.
LAST_DAY, FIRST_DAY_OF_NEXT = "2026-03-11", "2026-03-12"

#: Days of leave of walkers, by their number, and of two others.
LEAVE = ((2, "2026-03-03"), (5, "2026-03-09"), (5, "2026-03-10"))

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


class Team(NamedTuple):
    """Staff, postings, who walks with a phone (staff, grid), leave, weather, and what was planted."""

    staff: pd.DataFrame
    postings: pd.DataFrame
    walking: list[tuple[str, str]]
    leave: pd.DataFrame
    weather: pd.DataFrame
    planted: list[Planted]


def make_team(grids: gpd.GeoDataFrame) -> Team:
    """Everyone who works in the grids given.

    Each grid but one has a full-time worker, a head shared with half its community, and the liaison of the community;
    whoever is left helps out in the grids with the most households.
    """
    rows = _Postings(grids)
    postings = pd.DataFrame(rows.all, columns=["staff", "grid", "role", "from", "to"])
    postings["verified_at"] = postings["to"].where(postings["to"] < DAYS[0]).fillna("2026-02-25")
    postings = postings.sort_values(["grid", "role", "from", "staff"], ignore_index=True)
    staff, planted = _staff(postings)
    who, where = rows.walking[-1]
    planted += [
        Planted(
            "posting-vacancy", "staff and postings", "postings.csv", (rows.vacant,), "vacancy", "patrol",
            "a grid without a full-time worker",
        ),
        Planted(
            "posting-ends", "patrol", "postings.csv", (who, where), "posting ends", "patrol",
            f"{who} works in {where} until {LAST_DAY}, the next from {FIRST_DAY_OF_NEXT}", {"last_day": LAST_DAY},
        ),
    ]  # fmt: skip
    leave = _leave(rows.walking, staff)
    storm = pd.DataFrame({"date": [STORM_DAY], "kind": ["暴雨红色预警"]})
    return Team(staff, postings, rows.walking, leave, storm, planted)


class _Postings:
    """The postings as they are given out: grid by grid, then community by community."""

    def __init__(self, grids: gpd.GeoDataFrame) -> None:
        codes, units = grids["code"].tolist(), grids["parent"].tolist()
        walked = _walked(grids)
        self.vacant = next(code for code in reversed(codes) if code not in walked)
        staffed = [code for code in codes if code != self.vacant]
        communities = sorted(set(units))
        helpers_from = len(communities) * (_HEADS_PER_UNIT + 1) + 1
        self._number = min(len(staffed), STAFF - helpers_from)
        worker = {code: f"S{i % self._number + 1:02d}" for i, code in enumerate(staffed)}
        self.walking = [(worker[code], code) for code in walked]
        self.all = list(self._full_time(staffed, worker))
        for unit in communities:
            self.all += self._leading([code for code, of in zip(codes, units, strict=True) if of == unit])
        successor = self._next()
        self.all.append((successor, walked[-1], "full-time worker", FIRST_DAY_OF_NEXT, None))
        # Who worked in the second grid before: the posting ended, the person works on elsewhere.
        self.all.append((worker[staffed[-1]], staffed[1], "full-time worker", "2025-03-01", "2025-12-31"))
        largest = grids.sort_values(["households", "code"], ascending=[False, True])["code"].tolist()
        for i in range(STAFF - self._number):
            self.all.append((self._next(), largest[i % len(largest)], "part-time worker", "2025-09-01", None))

    def _next(self) -> str:
        self._number += 1
        return f"S{self._number:02d}"

    def _full_time(self, codes: list[str], worker: dict[str, str]) -> Iterator[tuple[str, str, str, str, str | None]]:
        ending = self.walking[-1][1]
        for i, code in enumerate(codes):
            since = "2026-01-01" if i == 1 else "2025-03-01"
            yield worker[code], code, "full-time worker", since, LAST_DAY if code == ending else None

    def _leading(self, codes: list[str]) -> list[tuple[str, str, str, str, str | None]]:
        rows: list[tuple[str, str, str, str, str | None]] = []
        half = -(-len(codes) // _HEADS_PER_UNIT)
        for head in range(_HEADS_PER_UNIT):
            who = self._next()
            rows += [(who, c, "grid head", "2025-03-01", None) for c in codes[head * half : (head + 1) * half]]
        who = self._next()
        return rows + [(who, code, "liaison", "2025-09-01", None) for code in codes]


def _walked(grids: gpd.GeoDataFrame) -> list[str]:
    """The grids that are walked with a phone: the smallest lived-in ones of each community."""
    area = shapely.area(grids.geometry.array)
    lived_in = grids.assign(_area=np.round(area * 1e12))[grids["households"] >= 100]
    smallest = lived_in.sort_values(["_area", "code"]).groupby("parent").head(WALKERS // grids["parent"].nunique())
    return [str(code) for code in sorted(smallest["code"])]


def _staff(postings: pd.DataFrame) -> tuple[pd.DataFrame, list[Planted]]:
    """Everyone with name, phone, duties and hours; one has no phone, one no hours, and some agreed to no photo."""
    rng = np.random.default_rng([SEED, 5])
    surnames, given = rng.permutation(list(names.SURNAMES)), rng.permutation(names.GIVEN)
    roles = postings.sort_values("from").drop_duplicates("staff", keep="last").set_index("staff")["role"].sort_index()
    ids = roles.index.to_numpy(dtype=object)
    agreed = np.arange(len(ids)) % 5 != 3
    staff = pd.DataFrame(
        {
            "id": ids,
            "name": [f"{surnames[i % len(surnames)]}{given[i % len(given)]}" for i in range(len(ids))],
            "phone": [names.PHONE.format(2000 + 37 * (i + 1)) for i in range(len(ids))],
            "photo": [f"portraits/{who}.svg" if yes else None for who, yes in zip(ids, agreed, strict=True)],
            "photo_consent": np.where(agreed, "yes", "no"),
            "duties": roles.map(_DUTIES).to_numpy(),
            "hours": roles.map(_HOURS).to_numpy(),
        }
    )
    helper = np.flatnonzero(roles.to_numpy() == "part-time worker")
    planted = []
    for row, field in zip(helper[:2], ("phone", "hours"), strict=True):
        staff.loc[row, field] = None
        grid = str(postings.loc[postings["staff"] == ids[row], "grid"].iloc[0])
        detail = f"{ids[row]} has no {field}: the board of {grid} is incomplete"
        more = {"grid": grid, "missing": field}
        planted.append(Planted(f"board-no-{field}", "boards", "staff.csv", (ids[row],), field, "boards", detail, more))
    return staff, planted


def _leave(walking: list[tuple[str, str]], staff: pd.DataFrame) -> pd.DataFrame:
    """Days of leave of two walkers, and of two others of the staff."""
    others = [who for who in staff["id"] if who not in {w for w, _ in walking}]
    rows = [(walking[number][0], day) for number, day in LEAVE]
    rows += [(others[3], DAYS[0]), (others[8], DAYS[2])]
    return pd.DataFrame(rows, columns=["staff", "date"]).sort_values(["date", "staff"], ignore_index=True)
