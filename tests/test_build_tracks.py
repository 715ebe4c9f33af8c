"""A build keeps its young tracks, painted for its own plan: all or nothing, once, and none that is too old."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from sqlalchemy import select
from test_pipeline import small_place
from test_store_walks import FINE, publish, rows, walks

from gridgis.cli import run
from gridgis.compliance import windows
from gridgis.files import TrackStream
from gridgis.files.track_ages import AgedTracks
from gridgis.patrol.painted import coverage_of
from gridgis.patrolled import obstacles
from gridgis.pipeline import BuildResult, build, read_inputs
from gridgis.profile import Profile
from gridgis.project import Project
from gridgis.store import Store, open_store
from gridgis.store.audit import login
from gridgis.store.checking import check
from gridgis.store.models import Base
from gridgis.store.personal import Personal, keep_portions
from gridgis.store.plans import Plans
from gridgis.store.walks import Keeper

_AUDIT, _TRACK = Base.metadata.tables["audit"], Base.metadata.tables["track"]
TODAY = datetime.now(ZoneInfo("Asia/Shanghai")).date()
#: Days ago on which somebody walks; the profile keeps 90 days.
YOUNG, OLD = (1, 2, 4), (100, 101)


def tracks(*ago: int) -> pd.DataFrame:
    """Two workers on some days, half an hour each about noon, a fix every ten seconds; written as they come."""
    random, parts = np.random.default_rng(3), []
    for days in ago:
        for staff in ("w2", "w1"):
            start = datetime(*(TODAY - timedelta(days=days)).timetuple()[:3], 4, tzinfo=UTC)
            steps = random.normal(0, 6e-5, (180, 2)).cumsum(axis=0) + random.uniform(0.002, 0.008, 2)
            time = pd.date_range(start, periods=180, freq="10s")
            part = {"staff": staff, "time": time, "lon": 114.6 + steps[:, 0], "lat": 30.2 + steps[:, 1]}
            parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def project(folder: Path, where: str, *ago: int) -> Project:
    """A small place with a building and tracks of some days ago."""
    yard = gpd.GeoDataFrame({"code": ["b1"]}, geometry=[shapely.box(114.602, 30.202, 114.603, 30.2035)], crs=4326)
    yard.to_file(folder / "buildings.geojson")
    tracks(*ago).to_parquet(folder / "tracks.parquet")
    more = 'buildings = "buildings.geojson"\ntracks = "tracks.parquet"'
    return Project.load(small_place(folder, more, f'profile = "sample"\nstore = "{where}"'))


def kept(store: Store) -> pd.DataFrame:
    return Personal(store, "clerk").tracks(purpose="test")


def logged(store: Store) -> list[tuple[Any, ...]]:
    told = _AUDIT.c["table"].in_(("track", "painted_day", "plan")) & (_AUDIT.c.what != "look")
    query = select(_AUDIT.c.by, _AUDIT.c.what, _AUDIT.c["table"], _AUDIT.c.after).where(told).order_by(_AUDIT.c.id)
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(query)]


def coverage_from(store: Store, made: Project, result: BuildResult) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Patrol coverage out of the painted days of a store, and as the build wrote it."""
    profile = Profile.load(made.profile)
    names = {"grid": object, "from": "datetime64[us]", "to": "datetime64[us]", "share": float, "covered_m2": float,
             "ground_m2": float}  # fmt: skip
    wrote = pd.read_csv(result.out / "patrol.csv", dtype=str)[list(names)].astype(names)
    holding = Plans(store).at(TODAY) or Plans(store).listed()[0]
    grids = Plans(store).load(holding.id)[0].grids
    painted = Personal(store, "clerk").painted(purpose="test")
    assert painted.attrs["plans"] == [holding.id]
    found = coverage_of(
        painted, grids, sight=profile.parameters.sight_m, days=sorted({1, *windows(profile)}),
        obstacles=obstacles(read_inputs(made, profile), grids), parameters=profile.parameters,
        start=wrote["from"].min().date(), end=wrote["to"].max().date(),
    )  # fmt: skip
    found.attrs = {}
    return found[list(names)], wrote


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_a_window_from_the_store_is_that_of_the_build(tmp_path: Path, where: str) -> None:
    made = project(tmp_path, where, *YOUNG)
    result = build(made)
    assert result.tracks == (6 * 180, 0, 6, 0)
    assert (result.old_tracks, result.notes) == ("", ())
    with open_store(where) as store:
        ours, theirs = coverage_from(store, made, result)
        assert_frame_equal(ours, theirs, check_exact=True)
        assert theirs["share"].between(0.01, 0.99).any()
        assert len(kept(store)) == 6 * 180
        assert [row[:3] for row in logged(store)] == [
            (login(), "publish", "plan"), (login(), "load", "track"),
            (login(), "load", "painted_day"),
        ]  # fmt: skip
        assert [row[3] for row in logged(store)[1:]] == [{"fixes": 1080}, {"painted": 6}]
        assert store.revision() == 1
    assert check(where)[1] == []


def test_a_build_again_writes_nothing_new(tmp_path: Path, where: str) -> None:
    made = project(tmp_path, where, *YOUNG, *OLD)
    build(made)
    with open_store(where) as store:
        before = rows(store), kept(store), logged(store), store.tables()
        again = build(made)
        assert again.tracks == (0, 6 * 180, 0, 0)
        after = rows(store), kept(store), logged(store), store.tables()
    assert (after[0], after[2], after[3]) == (before[0], before[2], before[3])
    assert_frame_equal(after[1], before[1])


def test_days_that_are_too_old_are_not_there_and_the_build_says_so(
    tmp_path: Path, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = project(tmp_path, where, *YOUNG, *OLD)
    assert run(["build", str(made.path)]) == 0
    told = capsys.readouterr().out
    note = f"4 人日的轨迹早于 {TODAY - timedelta(days=90)}（规则的 track_kept_days 为 90 天），不存入库"
    assert "轨迹点 fixes: 新增 new 1,080, 不变 same 0; 覆盖 painted days: 6" in told
    assert note in told
    assert "Tracks: 4 days of staff lie before" in told
    assert note in (made.out / "report.html").read_text("utf-8")
    with open_store(where) as store:
        days = {row[1] for row in rows(store)}
        assert days == {TODAY - timedelta(days=ago) for ago in YOUNG}
        assert kept(store)["time"].min() > pd.Timestamp(TODAY - timedelta(days=5), tz="UTC")
        assert note in store.settings()["notes"]
        # The results have them all the same.
        assert pd.read_csv(made.out / "patrol.csv")["from"].min() == str(TODAY - timedelta(days=101))


def test_nothing_is_read_twice_for_nothing(tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    plain = TrackStream.__iter__

    def counted(self: TrackStream) -> Iterator[pd.DataFrame]:
        begun.append(1)
        yield from plain(self)

    monkeypatch.setattr(TrackStream, "__iter__", counted)
    result = build(project(tmp_path, where, *OLD))
    assert (result.tracks, sum(begun)) == ((0, 0, 0, 0), 1)
    assert build(project(tmp_path, where, *YOUNG)).tracks == (6 * 180, 0, 6, 0)
    assert sum(begun) == 3
    made = Project.load(small_place(tmp_path, "", f'store = "{where}"'))
    assert (build(made).tracks, sum(begun)) == (None, 3)


def test_without_a_plan_of_its_own_a_build_keeps_tracks_only(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project(tmp_path, where, *YOUNG)
    monkeypatch.setattr("gridgis.pipeline._keep_plan", lambda *_: None)  # as with faults
    assert build(made).tracks == (6 * 180, 0, 0, 6)
    monkeypatch.undo()
    assert build(made).tracks == (0, 6 * 180, 6, 0)


# --- all or nothing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("step", ["_keep", "_put"])
def test_a_crash_inside_leaves_the_old_store(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch, step: str, fault: type[BaseException]
) -> None:
    made = project(tmp_path, where, 4)
    build(made)
    files = {path: path.read_bytes() for path in made.out.iterdir()}
    with open_store(where) as store:
        before = rows(store), kept(store), logged(store), store.tables(), store.settings(), store.revision()
        project(tmp_path, where, *YOUNG)
        plain, turns = getattr(Keeper, step), []

        def strike(self: Keeper, *given: Any, **named: Any) -> Any:
            done = plain(self, *given, **named)
            turns.append(1)
            if len(turns) == 2:
                raise fault("stopped")
            return done

        monkeypatch.setattr(Keeper, step, strike)
        with pytest.raises(fault, match="stopped"):
            build(made)
        monkeypatch.undo()
        after = rows(store), kept(store), logged(store), store.tables(), store.settings(), store.revision()
        assert after[0] == before[0]
        assert_frame_equal(after[1], before[1])
        assert after[2:] == before[2:]
        assert {path: path.read_bytes() for path in made.out.iterdir()} == files
        assert build(made).tracks == (4 * 180, 2 * 180, 4, 0)


# --- for which plan ---------------------------------------------------------------------------------------------------


def test_a_day_without_a_plan_is_painted_for_the_other_one_and_stays_with_it(store: Store) -> None:
    publish(store, date(2026, 3, 4))
    publish(store, date(2026, 6, 1), columns=2)

    def keep(otherwise: int) -> tuple[Any, ...]:
        with store.locked() as connection:
            return keep_portions(connection, "build", [walks()], FINE, otherwise=otherwise)

    assert keep(2) == (1440, 0, 6, 0)
    plans = [(row[1].day, row[2]) for row in rows(store)]
    assert plans == [(2, 2), (3, 2), (4, 1)] * 2
    assert keep(1) == (0, 1440, 0, 0)
    assert [(row[1].day, row[2]) for row in rows(store)] == plans


# --- the age of tracks ------------------------------------------------------------------------------------------------

_MOMENTS = st.datetimes(datetime(2026, 3, 1), datetime(2026, 3, 4))
_FIXES = st.lists(st.tuples(st.sampled_from("abc"), _MOMENTS), max_size=12)


@given(
    portions=st.lists(_FIXES, max_size=3), oldest=st.dates(date(2026, 2, 28), date(2026, 3, 5)),
    zone=st.sampled_from(["Asia/Shanghai", "UTC", "Asia/Kathmandu", "America/St_Johns"]),
)  # fmt: skip
def test_young_and_old_are_told_by_the_local_day(
    portions: list[list[tuple[str, datetime]]], oldest: date, zone: str
) -> None:
    frames = [
        pd.DataFrame({
            "staff": pd.Series([staff for staff, _ in fixes], dtype=object),
            "time": pd.to_datetime([moment for _, moment in fixes], utc=True),
        })
        for fixes in portions
    ]  # fmt: skip
    aged = AgedTracks(frames, oldest, zone)
    assert list(aged.young()) == []  # not gone through yet
    for given_, seen in zip(frames, list(aged), strict=True):
        assert_frame_equal(given_, seen)
    days = [(staff, moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()) for part in portions
            for staff, moment in part]  # fmt: skip
    assert aged.old_days == len({(staff, day) for staff, day in days if day < oldest})
    young = [moment for part in aged.young() for moment in part["time"]]
    assert len(young) == sum(day >= oldest for _, day in days)
    assert all(moment.tz_convert(zone).date() >= oldest for moment in young)
    for _ in aged:  # gone through twice is once
        pass
    assert aged.old_days == len({pair for pair in days if pair[1] < oldest})


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
def test_the_oldest_day_there_can_be_is_no_trouble(zone: str) -> None:
    fixes = pd.DataFrame({"staff": "w1", "time": pd.to_datetime(["1970-01-01T00:00Z", "2026-03-01T16:00Z"])})
    for unit in ("ns", "us"):
        aged = AgedTracks([fixes.astype({"time": f"datetime64[{unit}, UTC]"})], date(1, 1, 2), zone)
        assert (len(list(aged)), aged.old_days, len(next(aged.young()))) == (1, 0, 2)
