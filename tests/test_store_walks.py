"""Painted days in a store: a window from the store is the window from the fixes; they go as the tracks go."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sqlalchemy import event, select, text
from test_store_plans import plan

from gridgis.cli import run
from gridgis.errors import InputError
from gridgis.patrol.coverage import patrol_coverage
from gridgis.patrol.painted import coverage_of, painted_key
from gridgis.profile import Parameters
from gridgis.store import Store, open_store, upgrades
from gridgis.store.checking import check
from gridgis.store.engines import engine_of, place_of
from gridgis.store.models import Base
from gridgis.store.moving import copy
from gridgis.store.personal import Personal
from gridgis.store.plans import Plans

#: A mark that no share is near to: kept days have no bracket.
FINE = Parameters(full_share=2.0)
MARCH, JUNE = date(2026, 3, 1), date(2026, 6, 1)
_AUDIT, _PAINTED = Base.metadata.tables["audit"], Base.metadata.tables["painted_day"]
_EVERY = select(*(_PAINTED.c[n] for n in ("staff", "day", "plan", "made_with", "crs", "count", "painted"))).order_by(
    _PAINTED.c.staff, _PAINTED.c.day
)


def walks(seed: int = 7) -> pd.DataFrame:
    """Two workers on three days about the grids, a fix every ten seconds; the first night goes over midnight."""
    random, parts = np.random.default_rng(seed), []
    for staff in ("w2", "w1"):
        for start in ("2026-03-02T15:40:00Z", "2026-03-03T08:00:00Z", "2026-03-04T01:00:00Z"):
            steps = random.normal(0, 6e-5, (240, 2)).cumsum(axis=0) + random.uniform(0.0005, 0.0015, 2)
            time = pd.date_range(start, periods=240, freq="10s")
            parts.append(
                pd.DataFrame({"staff": staff, "time": time, "lon": 116 + steps[:, 0], "lat": 40 + steps[:, 1]})
            )
    return pd.concat(parts, ignore_index=True)


def publish(store: Store, on: date = MARCH, columns: int = 4) -> Any:
    """A plan that holds from a day on; its grids as the store gives them."""
    number = Plans(store).add(plan(columns), title="甲", by="planner")
    Plans(store).publish(number, by="boss", on=on)
    return Plans(store).load(number)[0].grids


def logged(store: Store) -> list[tuple[str, dict[str, object]]]:
    with store.reading() as connection:
        found = connection.execute(select(_AUDIT).where(_AUDIT.c["table"] == "painted_day").order_by(_AUDIT.c.id)).all()
    return [(row.what, row.after) for row in found]


def rows(store: Store) -> list[tuple[Any, ...]]:
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(_EVERY)]


@pytest.mark.parametrize(("sight", "days"), [(12.0, 1), (25.0, 2), (50.0, [1, 3])])
def test_a_window_from_the_store_is_the_window_from_the_fixes(store: Store, sight: float, days: Any) -> None:
    grids, fixes, personal = publish(store), walks(), Personal(store, "clerk")
    kept = personal.keep_tracks(fixes, FINE)
    assert kept == (len(fixes), 0, 6, 0)
    painted = personal.painted(purpose="test")
    asked: dict[str, Any] = {"sight": sight, "days": days, "parameters": FINE}
    assert_frame_equal(coverage_of(painted, grids, **asked), patrol_coverage(fixes, grids, **asked))
    assert patrol_coverage(fixes, grids, **asked)["share"].between(0.01, 0.99).any()
    one = personal.painted("w1", date(2026, 3, 2), date(2026, 3, 3), purpose="test")
    some = fixes[(fixes["staff"] == "w1") & (fixes["time"] < pd.Timestamp("2026-03-04T00:00Z"))]
    assert_frame_equal(coverage_of(one, grids, **asked), patrol_coverage(some, grids, **asked))
    assert (painted.attrs["plans"], len(personal.painted("nobody", purpose="test"))) == ([1], 0)
    assert [entry[0] for entry in logged(store)] == ["load", "look", "look", "look"]
    assert logged(store)[1][1] == {"from": "", "to": "", "painted": 6, "purpose": "test"}


def test_in_whatever_portions_they_come_and_twice(store: Store) -> None:
    grids, fixes, personal = publish(store), walks(), Personal(store, "clerk")
    order = np.random.default_rng(1).permutation(len(fixes))
    for part in np.array_split(order, 3):
        personal.keep_tracks(fixes.iloc[part], FINE)
    apart = rows(store)
    assert personal.keep_tracks([fixes[fixes["staff"] == staff] for staff in ("w1", "w2")], FINE) == (0, 1440, 0, 0)
    assert rows(store) == apart
    direct = patrol_coverage(fixes, grids, parameters=FINE)
    assert_frame_equal(coverage_of(personal.painted(purpose="test"), grids, parameters=FINE), direct)
    slow = Parameters(full_share=2.0, dead_band_m=20.0)  # cleaned otherwise, so they are painted again
    assert personal.keep_tracks(fixes, slow)[:3] == (0, 1440, 6)
    key = painted_key(grids, parameters=slow)
    assert personal.painted(purpose="test").attrs["key"] == key
    assert len(personal.painted(key=painted_key(grids), purpose="test")) == 0


def test_a_day_is_kept_without_reading_the_others(store: Store) -> None:
    publish(store)
    personal, fixes = Personal(store, "clerk"), walks()
    personal.keep_tracks(fixes, FINE)
    asked: list[set[str]] = []

    def listen(_c: Any, _cursor: Any, statement: str, given: Any, *_rest: Any) -> None:
        if "SELECT" in statement and "FROM painted_day" in statement:
            values = given.values() if isinstance(given, dict) else given
            asked.append({str(value) for value in values if str(value).startswith("2026-")})

    event.listen(store._engine, "before_cursor_execute", listen)
    late = fixes[fixes["time"] > pd.Timestamp("2026-03-04T00:00Z")]
    late = late.assign(time=late["time"] + pd.Timedelta("1h"), lat=late["lat"] + 2e-4)
    kept = personal.keep_tracks(late, FINE)
    event.remove(store._engine, "before_cursor_execute", listen)
    assert kept == (480, 0, 2, 0)
    assert asked == [{"2026-03-04"}] * 6  # of two workers: what is to paint, for which plan, what is there


def test_without_a_plan_there_are_tracks_only_until_there_is_one(store: Store) -> None:
    fixes, personal = walks(), Personal(store, "clerk")
    assert personal.keep_tracks(fixes, FINE) == (1440, 0, 0, 6)
    grids = publish(store, date(2026, 3, 3))
    # The first day has none still; what was walked after its midnight belongs to its patrol.
    assert personal.keep_tracks(fixes, FINE) == (0, 1440, 4, 2)
    publish(store, JUNE, columns=2)
    assert personal.keep_tracks(fixes.assign(time=fixes["time"] + pd.Timedelta(days=120)), FINE)[2:] == (6, 0)
    with pytest.raises(InputError, match=r"of several grids or parameters; found plans 1, 2\. Name those"):
        personal.painted(purpose="test")
    key = painted_key(grids, parameters=FINE)
    assert personal.painted(key=key, purpose="test").attrs["plans"] == [1]
    assert personal.painted(last=JUNE, purpose="test").attrs == personal.painted(key=key, purpose="test").attrs


def test_they_go_as_the_tracks_go(store: Store) -> None:
    publish(store)
    personal = Personal(store, "clerk")
    personal.keep_tracks(walks(), FINE)
    assert personal.expire(date(2026, 6, 1), 90) == 2
    assert {row[1] for row in rows(store)} == {date(2026, 3, 3), date(2026, 3, 4)}
    assert personal.forget_tracks("w1") == 2
    assert {row[0] for row in rows(store)} == {"w2"}
    assert logged(store) == [
        ("load", {"painted": 6}), ("expire", {"before": "2026-03-03", "painted": 2}), ("forget", {"painted": 2}),
    ]  # fmt: skip


def test_they_move_with_the_store(store: Store, tmp_path: Path) -> None:
    publish(store)
    Personal(store, "clerk").keep_tracks(walks(), FINE)
    copy(store.name, tmp_path / "copied.gpkg")
    with open_store(tmp_path / "copied.gpkg") as copied:
        assert rows(copied) == rows(store)
        found = Personal(copied, "clerk").painted(purpose="test")
        assert_frame_equal(found, Personal(store, "clerk").painted(purpose="test"))
    assert check(store.name)[1] == []


def test_the_tables_come_and_go_with_the_migration(store: Store) -> None:
    publish(store)
    personal = Personal(store, "clerk")
    personal.keep_tracks(walks(), FINE)
    engine = engine_of(place_of(store.name))
    upgrades.downgrade(engine, "0007")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM track")).scalar() == 6
    upgrades.upgrade(engine)
    engine.dispose()
    assert (rows(store), check(store.name)[1]) == ([], [])
    assert personal.keep_tracks(walks(), FINE) == (0, 1440, 6, 0)  # painted again from the tracks


def test_the_command_says_where_there_is_no_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, file = tmp_path / "place.gpkg", tmp_path / "walks.parquet"
    walks().to_parquet(file)
    with open_store(path, create=True) as store:
        publish(store, date(2026, 3, 3))
    assert run(["store", "tracks", str(path), str(file)]) == 0
    told = capsys.readouterr().out
    assert "painted days: 4" in told
    assert "2 人日当天没有公布的方案，只存轨迹 days on which no plan holds: tracks only" in told
