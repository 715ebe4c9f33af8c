"""Look-ups out of a store: at a point, by code, unit, staff and address; the newest revision, also of others."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_store_plans import SIDE, SOUTH, WEST, edited, plan

from gridgis.errors import NotFoundError
from gridgis.locate import GridLocator
from gridgis.plan.edit import merge
from gridgis.store import Store, open_store
from gridgis.store.lookups import Desk, Lookups, Served
from gridgis.store.plans import Plans

TODAY = date(2026, 5, 1)


def fill(store: Store) -> None:
    grids = plan().grids
    codes = sorted(grids["code"])
    shapes = [grids.set_index("code").geometry[code].representative_point().buffer(SIDE / 20) for code in codes[:2]]
    buildings = gpd.GeoDataFrame(
        {"code": ["B1", "B2"], "address": ["成府路28号", "成府路30号"]}, geometry=shapes, crs=4326
    )
    postings = pd.DataFrame({
        "staff": ["s1", "s1", "s2"], "grid": [codes[1], codes[0], codes[0]], "role": "grid head",
        "from": pd.to_datetime(["2026-01-01", "2026-05-02", None]),
        "to": pd.to_datetime([None, None, "2026-04-30"]),
    })  # fmt: skip
    store.save({"grid": grids, "building": buildings, "posting": postings})


def test_each_question_has_its_answer(store: Store) -> None:
    fill(store)
    found = Lookups(store, TODAY)
    codes = sorted(plan().grids["code"])
    assert found.plan is None
    assert found.grid(codes[0])["households"] == 300
    assert found.of_unit("U") == codes
    assert found.of_unit("V") == []
    assert found.of_staff("s1") == [Served(codes[1], "grid head")]
    assert Lookups(store, TODAY + timedelta(days=1)).of_staff("s1") == [
        Served(codes[0], "grid head"), Served(codes[1], "grid head"),
    ]  # fmt: skip
    assert found.of_staff("s2") == []
    assert found.of_address("北京市海淀区成府路３０号") == codes[1]
    assert found.of_address("成府路") is None
    with pytest.raises(NotFoundError, match="no grid has this code; found 'x'"):
        found.grid("x")


def test_houses_answer_where_no_building_has_an_address(store: Store) -> None:
    fill(store)
    point = plan().grids.set_index("code").geometry.representative_point()
    houses = gpd.GeoDataFrame({"code": ["H1"], "address": ["学院路5号"]}, geometry=[point.iloc[0]], crs=4326)
    store.save({"building": pd.DataFrame(), "house": houses})
    assert Lookups(store, TODAY).of_address("学院路5号") == point.index[0]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_law_the_grid_at_a_point_is_that_of_the_locator(tmp_path: Path, data: st.DataObject) -> None:
    with open_store(tmp_path / "law.gpkg", create=True) as store:
        if not store.revision():
            fill(store)
        found = Lookups(store, TODAY)
    # Corners and borders too.
    lon, lat = (data.draw(st.lists(st.integers(-1, 9), min_size=30, max_size=30)).copy() for _ in range(2))
    x, y = WEST + np.array(lon) * SIDE / 2, SOUTH + np.array(lat) * SIDE / 2
    rows = GridLocator(found.grids).locate(x, y)
    wanted = [None if row < 0 else found.grids["code"][row] for row in rows]
    assert [found.at(*point) for point in zip(x, y, strict=True)] == wanted


def test_the_plan_of_the_day_answers(store: Store) -> None:
    fill(store)
    plans, made = Plans(store), plan()
    one, other = sorted(made.grids["code"])[:2]
    number = plans.add(edited(made, (merge, [one, other])), title="甲", by="planner")
    plans.publish(number, by="boss", on=TODAY)
    point = made.grids.set_index("code").geometry[other].representative_point()
    before, after = (Lookups(store, TODAY + timedelta(days=n)) for n in (-1, 0))
    assert (before.plan, before.at(point.x, point.y)) == (None, other)
    assert (after.plan, after.at(point.x, point.y)) == (number, one)
    assert after.at(0, 0) is None


PUBLISH = """
import sys
from datetime import date
from gridgis.store import open_store
from gridgis.store.plans import Plans
with open_store(sys.argv[1]) as store:
    Plans(store).publish(int(sys.argv[2]), by="boss", on=date(2026, 5, 1))
"""


def test_what_another_process_publishes_is_there_within_a_second(store: Store) -> None:
    fill(store)
    desk, plans = Desk(store), Plans(store)
    number = plans.add(plan(), title="甲", by="planner")
    before = desk.current()
    assert (before.plan, desk.current() is before) == (None, True)
    subprocess.run([sys.executable, "-c", PUBLISH, store.name, str(number)], check=True)
    until = time.monotonic() + 1
    while desk.current() is before:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert desk.current().plan == number
    assert shapely.equals_exact(desk.current().grids.geometry.iloc[0], before.grids.geometry.iloc[0], 0)
