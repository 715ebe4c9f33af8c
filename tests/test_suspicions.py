"""Tracks that look as if nobody had walked them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from walks import drift, line, recorded, stroll, walk

from gridgis.files import read_tracks
from gridgis.patrol import replays
from gridgis.patrol.coverage import patrol_coverage
from gridgis.patrol.replays import Thin, same_tracks, thinned
from gridgis.patrol.stays import stay_points
from gridgis.patrol.suspicions import SUSPICION_COLUMNS, Marks, suspicions
from gridgis.patrol.tracks import clean_tracks, patrols
from gridgis.profile import Parameters

NOW = pd.Timestamp("2026-04-01T00:00Z")


def kinds(*fixes: pd.DataFrame) -> list[tuple[str, str]]:
    found = suspicions(pd.concat(fixes, ignore_index=True), now=NOW)
    return list(zip(found["staff"], found["kind"], strict=True))


# --- the same track ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "shift_s", "other", "shake_m", "every"),
    [(0, 86_400, False, 0.0, 1), (1, 5_431, True, 0.6, 1), (2, 600_000, True, 1.0, 5), (3, 3_700, True, 0.0, 10)],
)
def test_a_copy_is_found_whoever_hands_it_in_shifted_shaken_or_thinned(
    seed: int, shift_s: int, other: bool, shake_m: float, every: int
) -> None:
    first = walk(recorded(seed), "w1", step_s=1)
    shaken = recorded(seed) + np.random.default_rng(seed).normal(0, shake_m, (3600, 2)) if shake_m else recorded(seed)
    again = walk(shaken, "w2" if other else "w1", step_s=1).iloc[seed % every :: every]
    again = again.assign(time=again["time"] + pd.Timedelta(seconds=shift_s))
    found = suspicions(pd.concat([again, first]), now=NOW)
    row = found[found["kind"] == "same track"].iloc[0]
    assert len(found) == 1
    assert row["staff"] == ("w2" if other else "w1")
    assert row["other"] == "w1"
    assert row["other_date"] == pd.Timestamp("2026-03-02")
    assert row["measure"] == pytest.approx(60, abs=12)
    assert row["limit"] == 10 and row["unit"] == "min"


def test_the_shift_is_told() -> None:
    again = walk(recorded(3), "w2", start="2026-03-04T09:30", step_s=1)
    found = suspicions(pd.concat([walk(recorded(3), step_s=1), again]), now=NOW)
    assert found["detail"].tolist() == ["2 d 1 h 30 min later, 0.0 m apart"]
    assert found.attrs["parameters"]["copy_m"] == 3.0


def test_a_copy_of_a_part_is_found() -> None:
    first = recorded(4)
    mixed = np.vstack([recorded(5)[:1500], first[1500:3000], recorded(6)[3000:]])
    found = suspicions(pd.concat([walk(first, step_s=1), walk(mixed, "w2", "2026-03-03T08:00", 1)]), now=NOW)
    assert found["kind"].tolist() == ["same track"]
    assert found["measure"].iloc[0] == pytest.approx(25, abs=6)


def test_honest_walks_of_one_round_are_none() -> None:
    days = [walk(recorded(seed), "w1", f"2026-03-{2 + seed:02d}T08:{7 * seed:02d}", 1) for seed in range(4)]
    assert kinds(*days) == []


def test_two_who_walk_side_by_side_are_none() -> None:
    way = stroll(7)
    pair = [way + drift(np.random.default_rng(seed), len(way), 4.0) for seed in (1, 2)]
    assert kinds(walk(pair[0], "w1", step_s=1), walk(pair[1] + 1.0, "w2", step_s=1)) == []


def test_phones_on_one_desk_are_still_but_no_copies() -> None:
    desk = [drift(np.random.default_rng(seed), 3600, 1.0) for seed in (1, 2)]
    found = kinds(walk(desk[0], "w1", step_s=1), walk(desk[1], "w1", "2026-03-03T08:00", 1))
    assert found == [("w1", "still"), ("w1", "still")]


def test_no_tracks_are_no_copies() -> None:
    nothing = thinned(np.empty(0, dtype=np.int64), np.empty(0), np.empty((0, 2)))
    assert same_tracks(nothing, 3.0, 10.0) == []


# --- what a track says by itself --------------------------------------------------------------------------------------


def test_a_vehicle_is_told_from_a_walk_and_a_run_for_the_bus() -> None:
    ride = line((0, 0), (3000, 0), (3000, 2000), step=4.5)  # 4.5 m/s: slower than what is set aside as too fast
    noise = drift(np.random.default_rng(1), len(ride), 3.0)
    found = suspicions(walk(ride + noise, step_s=1), now=NOW)
    assert found["kind"].tolist() == ["vehicle"]
    assert found["measure"].iloc[0] == pytest.approx(5000 / 4.5 / 60, abs=2.1)
    assert found["detail"].iloc[0] in ("4.4 m/s", "4.5 m/s", "4.6 m/s")
    run = recorded(8)
    run[600:] += line((0, 0), (0, 400), step=4.0)[-1]
    run[600:700] = recorded(8)[600:700] + np.column_stack([np.zeros(100), np.arange(100) * 4.0])
    assert kinds(walk(run, step_s=1)) == []


def test_a_noisy_phone_on_a_desk_is_no_vehicle() -> None:
    noisy = np.random.default_rng(2).normal(0, 8, (3600, 2))
    assert kinds(walk(noisy, step_s=1)) == [("w1", "still")]


def test_a_short_rest_is_not_still_and_a_long_one_in_a_walk_is_a_stay() -> None:
    assert kinds(walk(drift(np.random.default_rng(3), 1500, 1.0), step_s=1)) == []
    rest = np.vstack([recorded(9)[:1800], recorded(9)[1800] + drift(np.random.default_rng(4), 1500, 1.0)])
    assert kinds(walk(rest, step_s=1)) == []
    assert stay_points(walk(rest, step_s=1))["minutes"].tolist() == pytest.approx([25], abs=1)


def test_a_drawn_line_is_straighter_than_any_walk() -> None:
    drawn = line((0, 0), (900, 100), (900, 700), step=1.2)
    found = suspicions(walk(drawn, step_s=1), now=NOW)
    assert found["kind"].tolist() == ["straight line"]
    assert found["measure"].iloc[0] == pytest.approx(905 + 600, abs=110)
    walked = drawn + drift(np.random.default_rng(5), len(drawn), 1.0)
    assert kinds(walk(walked, step_s=1)) == []


def test_one_person_in_two_places() -> None:
    here, there = recorded(10)[:1200], recorded(11)[:1200] + 700
    woven = pd.concat(
        [walk(here, step_s=2), walk(there, step_s=2).assign(time=lambda f: f["time"] + pd.Timedelta("1s"))]
    )
    assert ("w1", "two places") in kinds(woven)
    same_second = pd.concat([walk(here, step_s=2), walk(there, step_s=2)])
    assert ("w1", "two places") in kinds(same_second)
    thrown = recorded(12)
    thrown[::200] += 400
    assert kinds(walk(thrown, step_s=1)) == []


def test_clocks_that_are_wrong() -> None:
    old = walk(recorded(13)[:60], step_s=1)
    old.loc[:9, "time"] = pd.Timestamp("1901-05-01", tz="UTC")
    found = suspicions(old, now=NOW)
    assert found["kind"].tolist() == ["wrong clock"]
    assert found[["measure", "detail"]].to_numpy().tolist() == [[10.0, "the earliest of 1901-05-01"]]
    assert found["date"].isna().all()
    late = suspicions(walk(recorded(13)[:60], step_s=1), now=pd.Timestamp("2026-03-01T00:00Z"))
    assert late[["kind", "measure"]].to_numpy().tolist() == [["future time", 60.0]]


def test_marks_can_be_set_and_nothing_is_an_empty_table() -> None:
    fixes = walk(drift(np.random.default_rng(3), 1500, 1.0), step_s=1)
    assert suspicions(fixes, now=NOW, marks=Marks(still_min=20.0))["kind"].tolist() == ["still"]
    nothing = suspicions(fixes.iloc[:0], now=NOW)
    assert list(nothing.columns) == SUSPICION_COLUMNS and len(nothing) == 0


def test_the_order_of_rows_does_not_matter() -> None:
    fixes = pd.concat([walk(recorded(1)[:1500], "w1", step_s=2), walk(recorded(1)[:1500], "w2", "2026-03-03T09:00", 2)])
    one, other = (suspicions(table, now=NOW) for table in (fixes, fixes.sample(frac=1, random_state=0)))
    assert len(one) == 1
    pd.testing.assert_frame_equal(one, other)


# --- the bus ----------------------------------------------------------------------------------------------------------


@pytest.mark.places
def test_the_bus_of_limerick_goes_through_every_step_and_is_called_a_vehicle(places: Path) -> None:
    import geopandas as gpd
    import shapely

    parameters = Parameters(timezone="Europe/Dublin")
    clean = clean_tracks(read_tracks(places / "limerick"), parameters)
    found = suspicions(clean, now=NOW, parameters=parameters)
    assert found[["kind", "unit"]].to_numpy().tolist() == [["vehicle", "min"]]
    assert found["date"].tolist() == [pd.Timestamp("2019-02-18")]
    assert found["measure"].iloc[0] > 30
    low, high = clean[["lon", "lat"]].min(), clean[["lon", "lat"]].max()
    city = gpd.GeoDataFrame({"code": ["L"]}, geometry=[shapely.box(*low, *high).buffer(1e-3)], crs=4326)
    walks = patrols(clean, city, parameters=parameters)
    assert walks["outside_m"].tolist() == [0.0]
    assert walks["inside_m"].iloc[0] == pytest.approx(walks["cleaned_m"].iloc[0])
    share = patrol_coverage(clean, city, parameters=parameters)["share"].iloc[0]
    assert 0.005 < share < 0.05
    stays = stay_points(clean, radius_m=30, least_min=2, parameters=parameters)
    assert (stays["minutes"] >= 2).all()


@given(st.integers(0, 999), st.integers(0, 400), st.integers(1, 30), st.integers(1, 500))
def test_places_are_the_same_however_many_are_looked_for_at_a_time(
    seed: int, count: int, sessions: int, rows: int
) -> None:
    random = np.random.default_rng(seed)
    session = np.sort(random.integers(0, sessions, count)).astype(np.int64)
    xy = np.cumsum(random.normal(0, 15, (count, 2)), axis=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replays, "_ROWS", rows)
        first, place = replays._first_places(Thin(session, np.arange(count, dtype=float), xy))
    cells = [(s, *cell) for s, cell in zip(session.tolist(), np.floor(xy / 25).tolist(), strict=True)]
    assert first.tolist() == [k for k in range(count) if cells[k] not in cells[:k]]
    assert len(set(zip(session[first].tolist(), place.tolist(), strict=True))) == len(first)
