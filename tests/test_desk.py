"""The desk: what its changing index says is what the draft says, whatever is done, undone and done again."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import area, board, line, scene, state
from shapes import X0, Y0
from test_edit import random_edit

from gridgis.errors import EditError
from gridgis.plan.desk import Desk
from gridgis.plan.editing.draft import codes_in
from gridgis.plan.editing.given import plain


def assert_found(desk: Desk, rng: np.random.Generator) -> None:
    """Boxes and places give what a look at every block gives."""
    draft = desk.draft
    low, high = shapely.total_bounds([b.shape for b in draft.blocks.values()]).reshape(2, 2)
    for _ in range(3):
        ends = np.sort(rng.uniform(low - (high - low) / 9, high, (2, 2)), axis=0)
        box = shapely.box(*ends.ravel())
        wanted = sorted(c for c, b in draft.blocks.items() if shapely.envelope(b.shape).intersects(box))
        assert desk.blocks_in(ends.ravel()) == wanted
        assert desk.grids_in(ends.ravel()) == sorted({draft.blocks[c].grid for c in wanted})
        assert set(wanted) <= set(codes_in(draft.base, box.bounds, draft.pieces))
        x, y = ends[0]
        under = sorted(c for c, b in draft.blocks.items() if b.shape.intersects(shapely.Point(x, y)))
        assert desk.block_at(x, y) == (under[0] if under else None)
        assert desk.grid_at(x, y) == (draft.blocks[under[0]].grid if under else None)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), degrees=st.booleans())
def test_the_index_follows_every_edit_undo_and_redo(seed: int, degrees: bool) -> None:
    rng = np.random.default_rng(seed)
    desk = Desk(scene(seed % 4, 1, degrees).open())
    states = [state(desk.draft)]
    for _ in range(12):
        turn = rng.random()
        try:
            if turn < 0.25:
                answer = desk.undo()
            elif turn < 0.4:
                answer = desk.redo()
            else:
                answer = desk.do(random_edit(desk.draft, rng).change.operation)
        except EditError:
            assert state(desk.draft) == states[-1]
            continue
        for code, (_, now) in answer.grids.items():
            assert (now is None) == (code not in desk.draft.grids)
            assert now is None or now.households == desk.draft.grids[code].households
        states.append(state(desk.draft))
        assert_found(desk, rng)


def test_a_refused_operation_leaves_the_desk_as_it_is() -> None:
    desk = Desk(board())
    with pytest.raises(EditError, match="grids do not exist"):
        desk.do({"op": "merge", "grids": ["A", "nix"], "into": None})
    cut = desk.do({"op": "split_block", "block": "22", "line": plain(line((150, 50), (150, 250)))})
    assert cut.as_json()["cut"] == {"22": ["22.1", "22.2"]}
    assert desk.blocks_in((X0 + 110, Y0 + 110, X0 + 190, Y0 + 190)) == ["22.1", "22.2"]
    assert desk.undo().operation["op"] == "split_block"
    assert desk.blocks_in(area(110, 110, 190, 190).bounds) == ["22"]
    with pytest.raises(EditError, match="there is nothing to undo"):
        desk.undo()
    with pytest.raises(EditError, match="the box cannot be used; found 2, 0, 1, 3; wanted xmin"):
        desk.blocks_in((2, 0, 1, 3))
