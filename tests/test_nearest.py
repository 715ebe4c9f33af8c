"""What is kept of distances packed is all that a sight asks for; portions give the shares of all tracks to the bit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from walks import grids_of, recorded, streets_of, walk

from gridgis.patrol import batches
from gridgis.patrol.batches import patrol_batches
from gridgis.patrol.coverage import holes, patrol_coverage
from gridgis.patrol.ground import MOST_SIGHT_M, UNSEEN, check_sizes, seen_by_distance
from gridgis.patrol.heat import Heats
from gridgis.patrol.nearest import nearer, pack, unpack
from gridgis.patrol.painted import heat, paint_days, who_covered
from gridgis.patrol.tracks import clean_tracks, patrols
from gridgis.profile import Parameters

GRIDS = grids_of(A=shapely.box(0, 0, 300, 300), B=shapely.box(300, 0, 600, 300))
distances = st.lists(st.one_of(st.integers(0, UNSEEN), st.just(UNSEEN), st.integers(2400, 2600)), max_size=60)


@given(distances, st.floats(0.01, MOST_SIGHT_M), st.floats(0.01, 20.0))
def test_what_is_packed_is_seen_as_before(cm: list[int], sight: float, cell: float) -> None:
    cell = check_sizes(sight, cell)
    before, seen = np.array(cm, dtype=np.uint16), seen_by_distance(sight, cell)
    packed = pack(before, sight, cell)
    if packed is None:
        assert (seen[before] == 0).all()
        return
    after = unpack(packed)
    assert after.dtype == np.uint16
    assert (seen[after] == seen[before]).all()
    assert ((after > 100 * sight) == (before > 100 * sight)).all()


@given(distances, distances, st.floats(5, 40))
def test_the_nearer_of_two_is_that_of_what_was_packed(one: list[int], other: list[int], sight: float) -> None:
    length = min(len(one), len(other))
    a, b = (np.array(cm[:length], dtype=np.uint16) for cm in (one, other))
    together = nearer(pack(a, sight, 1.0), pack(b, sight, 1.0), sight, 1.0)
    assert together == pack(np.minimum(a, b), sight, 1.0)


def test_a_day_takes_a_few_kilobytes() -> None:
    grids = grids_of(A=shapely.box(-50, -50, 550, 550))
    painted = paint_days(walk(recorded(3, 14_400), step_s=1), grids, reach=25.0)
    dense = np.full(600 * 600, UNSEEN, dtype=np.uint16)
    dense[painted["cells"][0]] = painted["cm"][0]
    packed = pack(dense, 25.0, 1.0)
    assert packed is not None
    assert len(packed.content) < 20_000 < dense.nbytes / 30


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 999), st.sampled_from([3.0, 8.0, 25.0, 40.0]), st.integers(1, 3))
def test_portions_give_the_same_bits(seed: int, sight: float, days: int) -> None:
    parts = [
        walk(recorded(seed + k + 10 * d, 700) * 0.9, f"w{k}", f"2026-03-0{2 + d}T08:00", 2)
        for k in range(3)
        for d in range(3)
    ]  # fmt: skip
    fixes = pd.concat(parts, ignore_index=True)
    parameters = Parameters(full_share=2.0, sight_m=sight)
    heats = Heats(GRIDS, None, parameters)
    portions = [part for _, part in fixes.groupby("staff")]
    span = {"start": "2026-03-02", "end": "2026-03-03"}
    found = patrol_batches(
        portions, GRIDS, sight=sight, days=[1, days], with_holes=True, parameters=parameters, keep=heats.add, **span
    )
    at_once = patrol_coverage(fixes, GRIDS, sight=sight, days=[1, days], parameters=parameters, **span)
    pd.testing.assert_frame_equal(found.coverage, at_once, check_exact=True)
    unseen = holes(fixes, GRIDS, sight=sight, parameters=parameters, **span)
    pd.testing.assert_frame_equal(pd.DataFrame(found.holes), pd.DataFrame(unseen), check_exact=True)
    painted = paint_days(fixes, GRIDS, reach=sight, parameters=parameters)
    options = {"sight": sight, "parameters": parameters, **span}
    hot = heat(painted, GRIDS, **options)
    pd.testing.assert_frame_equal(pd.DataFrame(heats.heat(**span)), pd.DataFrame(hot), check_exact=True)
    walks = patrols(clean_tracks(fixes, parameters), GRIDS, parameters=parameters)
    who = heats.covered(walks, **span).drop(columns="metres")
    pd.testing.assert_frame_equal(who, who_covered(painted, GRIDS, **options), check_exact=True)


@pytest.mark.parametrize(("ground", "times"), [("area", 1), ("streets", 0)])
def test_only_days_that_are_asked_for_are_painted_and_only_where_an_area_counts(
    monkeypatch: pytest.MonkeyPatch, ground: str, times: int
) -> None:
    painted = []
    real = batches.distances
    monkeypatch.setattr(batches, "distances", lambda *given: painted.append(1) or real(*given))
    two = pd.concat([walk([(10, 10), (200, 10)], "w1", f"2026-03-0{d}T08:00", 100) for d in (2, 3)])
    streets, parameters = streets_of(S=[(0, 10), (300, 10)]), Parameters(ground=ground)
    found = patrol_batches(
        [two], GRIDS[:1], streets=streets, parameters=parameters, start="2026-03-02", end="2026-03-02"
    )
    assert len(found.coverage) == 1
    assert len(painted) == times
