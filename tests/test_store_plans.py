"""Plans in a store: drafts that several people edit, versions that never change, and who did what."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from gridgis.errors import ConflictError, NotFoundError, PlanError, StoreError
from gridgis.plan.closing import Drafted, plan_of
from gridgis.plan.edit import assign, merge, rename
from gridgis.plan.opening import open_plan
from gridgis.plan.partition import Plan, partition
from gridgis.store import Store
from gridgis.store.models import Base
from gridgis.store.plans import Plans

SIDE, WEST, SOUTH = 0.001, 116.0, 40.0
MAY, JUNE, JULY = date(2026, 5, 1), date(2026, 6, 1), date(2026, 7, 1)
_AUDIT = Base.metadata.tables["audit"]


def plan(columns: int = 4, lines: int = 2) -> Plan:
    """A chequerboard of blocks with 150 households each, two to a grid."""
    x, y = (n.ravel() for n in np.meshgrid(np.arange(columns), np.arange(lines)))
    west, south = WEST + x * SIDE, SOUTH + y * SIDE
    shapes = shapely.set_precision(shapely.box(west, south, west + SIDE, south + SIDE), 1e-7)
    codes = [f"b{i}{j}" for i, j in zip(x, y, strict=True)]
    blocks = gpd.GeoDataFrame({"code": codes, "unit": "U", "households": 150}, geometry=shapes, crs=4326)
    return partition(blocks, 300)


def edited(made: Plan | Drafted, *edits: Any) -> Drafted:
    draft = open_plan(made)
    for edit, *arguments in edits:
        draft = edit(draft, *arguments).draft
    return plan_of(draft)


def audited(store: Store) -> list[tuple[str, str]]:
    """What the log has of plans."""
    with store.reading() as connection:
        of_plans = select(_AUDIT).where(_AUDIT.c.table == "plan").order_by(_AUDIT.c.id)
        return [(row.what, row.by) for row in connection.execute(of_plans)]


def grid_of(plans: Plans, number: int) -> dict[str, str]:
    blocks = plans.load(number)[0].blocks
    return dict(zip(blocks["code"], blocks["grid"], strict=True))


def two_grids_side_by_side(made: Plan) -> tuple[str, str, str]:
    """A block, its grid, and another grid that touches the block and takes it without coming apart."""
    blocks = made.blocks.set_index("code")
    for code, row in blocks.iterrows():
        touching = blocks[blocks.geometry.intersection(row.geometry).length > 0]
        for other in sorted(set(touching["grid"]) - {row["grid"]}):
            return str(code), row["grid"], other
    raise AssertionError("no such block")


# --- what goes in comes out -------------------------------------------------------------------------------------------


def test_a_plan_comes_back_as_it_was(store: Store) -> None:
    plans, made = Plans(store), plan()
    number = plans.add(made, title="第一稿", by="planner")
    found, borders, version = plans.load(number)
    assert (version.title, version.state, version.revision, version.made_by) == ("第一稿", "draft", 0, "planner")
    by_code = made.blocks.sort_values("code", ignore_index=True)
    assert found.blocks["grid"].tolist() == by_code["grid"].tolist()
    assert (shapely.get_coordinates(found.blocks.geometry) == shapely.get_coordinates(by_code.geometry)).all()
    assert found.grids["code"].tolist() == made.grids["code"].tolist()
    assert found.grids["households"].tolist() == made.grids["households"].tolist()
    assert found.grids["estimated"].tolist() == made.grids["estimated"].tolist()
    assert found.summary["grids"] == made.summary["grids"]
    assert len(borders) == 0
    assert plans.listed() == [version]
    with pytest.raises(NotFoundError, match="there is no such plan; found 99"):
        plans.load(99)
    with pytest.raises(StoreError, match="a plan needs a title"):
        plans.add(made, title=" ", by="planner")


def test_an_edit_is_written_with_its_log(store: Store) -> None:
    plans, made = Plans(store), plan()
    number = plans.add(made, title="甲", by="planner")
    read, _, version = plans.load(number)
    block, _, goal = two_grids_side_by_side(read)
    change = assign(open_plan(read), [block], goal)
    after = plan_of(change.draft)
    saved = plans.save(number, read, after, seen=version.revision, by="planner", operations=[change.change.operation])
    assert (saved.revision, saved.state) == (1, "draft")
    assert grid_of(plans, number)[block] == goal
    assert [operation["op"] for operation in plans.operations(number)] == ["place"]
    found = plans.load(number)[0].grids
    assert dict(zip(found["code"], found["households"], strict=True)) == dict(
        zip(after.grids["code"], after.grids["households"], strict=True)
    )
    assert audited(store) == [("add", "planner"), ("save", "planner")]


# --- two editors ------------------------------------------------------------------------------------------------------


def test_two_editors_of_different_blocks_lose_nothing(store: Store) -> None:
    plans = Plans(store)
    number = plans.add(plan(6, 3), title="甲", by="one")
    mine, theirs = plans.load(number), plans.load(number)
    codes = mine[0].grids["code"].tolist()
    plans.save(number, theirs[0], edited(theirs[0], (rename, codes[0], "东格")), seen=theirs[2].revision, by="other")
    block, _, goal = two_grids_side_by_side(mine[0])
    after = edited(mine[0], (assign, [block], goal))
    plans.save(number, mine[0], after, seen=mine[2].revision, by="one")
    found = plans.load(number)[0]
    assert grid_of(plans, number)[block] == goal
    assert found.grids.set_index("code")["name"][codes[0]] == "东格"
    assert int(found.grids["households"].sum()) == int(found.blocks["households"].sum())
    lived = found.blocks.groupby("grid")["households"].sum()
    assert found.grids.set_index("code")["households"].to_dict() == lived.to_dict()


def test_the_second_save_of_the_same_block_gets_a_conflict_with_both_values(store: Store) -> None:
    plans = Plans(store)
    number = plans.add(plan(6, 1), title="甲", by="one")
    mine, theirs = plans.load(number), plans.load(number)
    first, second, third = sorted(mine[0].grids["code"])
    middle = [code for code, grid in grid_of(plans, number).items() if grid == second]
    plans.save(number, theirs[0], edited(theirs[0], (assign, [min(middle)], first)), seen=0, by="other")
    before = grid_of(plans, number)
    with pytest.raises(ConflictError, match="somebody else changed the same in the meantime") as error:
        plans.save(number, mine[0], edited(mine[0], (assign, middle, third)), seen=0, by="one")
    block = min(middle)
    yours, found = error.value.conflicts[block]
    assert (yours["grid"], found["grid"]) == (third, first)  # type: ignore[index]
    assert grid_of(plans, number) == before
    assert plans.version(number).revision == 1
    assert plans.operations(number) == []


def test_edits_that_break_a_grid_only_together_are_refused(store: Store) -> None:
    plans = Plans(store)
    number = plans.add(plan(6, 1), title="甲", by="one")
    joined = edited(plans.load(number)[0], (merge, sorted(plans.load(number)[0].grids["code"])[:2]))
    plans.save(number, plans.load(number)[0], joined, seen=0, by="one")
    mine, theirs = plans.load(number), plans.load(number)
    wide = mine[0].grids.sort_values("households")["code"].iloc[-1]
    last = next(code for code in mine[0].grids["code"] if code != wide)
    own = sorted(code for code, grid in grid_of(plans, number).items() if grid == wide)
    # One takes the eastern end, the other what lies before it: each alone leaves no hole, both only in this order.
    plans.save(number, theirs[0], edited(theirs[0], (assign, own[-1:], last)), seen=1, by="other")
    after = edited(mine[0], (assign, own[-2:], last))
    with pytest.raises(ConflictError):
        plans.save(number, mine[0], after, seen=1, by="one")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_law_after_any_saves_grids_are_their_blocks(store: Store, data: st.DataObject) -> None:
    plans = Plans(store)
    number = plans.add(plan(4, 3), title="甲", by="one")
    for _ in range(data.draw(st.integers(1, 3))):
        readers = [plans.load(number) for _ in range(2)]
        for read, _, version in readers:
            block = data.draw(st.sampled_from(sorted(read.blocks["code"])))
            goal = data.draw(st.sampled_from(sorted(read.grids["code"])))
            try:
                after = edited(read, (assign, [block], goal))
                plans.save(number, read, after, seen=version.revision, by="one")
            except (ConflictError, PlanError):
                continue
    found = plans.load(number)[0]
    lived = found.blocks.groupby("grid")["households"].sum()
    assert found.grids.set_index("code")["households"].to_dict() == lived.to_dict()
    for code, shape in zip(found.grids["code"], found.grids.geometry, strict=True):
        own = found.blocks[found.blocks["grid"] == code].geometry.to_numpy()
        assert shapely.equals(shapely.coverage_union_all(own), shape)
        assert shape.geom_type == "Polygon"


# --- published plans never change -------------------------------------------------------------------------------------


def published(store: Store, on: date = MAY) -> tuple[Plans, int]:
    plans = Plans(store)
    number = plans.add(plan(), title="甲", by="planner")
    plans.publish(number, by="boss", on=on)
    return plans, number


def test_a_draft_is_checked_published_and_archived(store: Store) -> None:
    plans = Plans(store)
    number = plans.add(plan(), title="甲", by="planner")
    assert (plans.check(number, by="planner")["severity"] != "error").all()
    assert plans.version(number).state == "checked"
    made = plans.publish(number, by="boss", on=MAY)
    assert (made.state, made.valid_from, made.valid_to, made.published_by) == ("published", MAY, None, "boss")
    ended = plans.archive(number, by="boss", on=JUNE)
    assert (ended.state, ended.valid_to) == ("archived", JUNE)
    assert [what for what, _ in audited(store)] == ["add", "check", "publish", "archive"]


def test_any_day_has_its_plan(store: Store) -> None:
    plans, first = published(store)
    second, third = (plans.add(plan(), title=title, by="planner", based_on=first) for title in ("乙", "丙"))
    plans.publish(third, by="boss", on=JULY)
    plans.publish(second, by="boss", on=JUNE)
    day = timedelta(days=1)
    found = [None if (v := plans.at(d)) is None else v.id for d in (MAY - day, MAY, JUNE - day, JUNE, JULY - day, JULY)]
    assert found == [None, first, first, second, second, third]
    assert plans.at(JULY + 1000 * day).id == third  # type: ignore[union-attr]
    again = plans.add(plan(), title="丁", by="planner")
    with pytest.raises(StoreError, match="another plan begins on this day; found 2026-06-01"):
        plans.publish(again, by="boss", on=JUNE)


def test_lineage_says_where_ground_came_from(store: Store) -> None:
    plans, first = published(store)
    read, _, _ = plans.load(first)
    one, other = sorted(read.grids["code"])[:2]
    second = plans.add(edited(read, (merge, [one, other])), title="乙", by="planner", based_on=first)
    plans.publish(second, by="boss", on=JUNE)
    found = plans.lineage(second).set_index(["code", "before"])
    assert found.loc[(one, one), "ground_share"] == pytest.approx(1)
    assert found.loc[(one, other), "ground_share"] == pytest.approx(1)
    assert len(found) == len(read.grids)


def test_a_plan_with_faults_is_not_published(store: Store) -> None:
    plans, made = Plans(store), plan()
    grids = made.grids.copy()
    grids.loc[0, "geometry"] = shapely.box(WEST, SOUTH, WEST + 4 * SIDE, SOUTH + SIDE / 2)
    number = plans.add(Plan(made.blocks, grids, made.summary), title="甲", by="planner")
    assert (plans.check(number, by="planner")["severity"] == "error").any()
    assert plans.version(number).state == "draft"
    with pytest.raises(StoreError, match=r"a plan with faults is not published; found .*overlap"):
        plans.publish(number, by="boss", on=MAY)
    assert plans.at(MAY) is None


CHANGES = (
    "UPDATE plan_block SET \"grid\" = 'x'", "DELETE FROM plan_block", "UPDATE plan_grid SET households = 0",
    "DELETE FROM plan_grid", "UPDATE plan_grid SET plan = plan + 1000",
    "INSERT INTO plan_grid (plan, code) VALUES ({plan}, 'new')", "INSERT INTO lineage (plan, code, before, "
    "ground_share, household_share) VALUES ({plan}, 'a', 'b', 1, 1)", "DELETE FROM plan",
    "UPDATE plan SET title = 'x'", "UPDATE plan SET state = 'draft'", "UPDATE plan SET valid_from = NULL",
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_published_rows_cannot_be_changed_by_anybody(store: Store, change: str) -> None:
    plans, number = published(store)
    before = plans.load(number)
    with pytest.raises((StoreError, SQLAlchemyError), match="a published plan never changes"), store.writing() as c:
        c.execute(text(change.format(plan=number)))
    after = plans.load(number)
    assert after[2] == before[2]
    assert after[0].blocks.equals(before[0].blocks)
    plans.archive(number, by="boss", on=JUNE)
    with pytest.raises((StoreError, SQLAlchemyError), match="a published plan never changes"), store.writing() as c:
        c.execute(text(change.format(plan=number)))


def test_what_is_published_is_refused_with_a_clear_word(store: Store) -> None:
    plans, number = published(store)
    read, _, version = plans.load(number)
    for change in (
        lambda: plans.save(number, read, read, seen=version.revision, by="one"),
        lambda: plans.remove(number, by="one"),
    ):
        with pytest.raises(StoreError, match=r"a published plan never changes; found published\. Make a draft"):
            change()
    with pytest.raises(StoreError, match="the plan is published already"):
        plans.publish(number, by="one", on=JULY)
    draft = plans.add(read, title="乙", by="one", based_on=number)
    with pytest.raises(StoreError, match="the plan cannot be archived; found draft"):
        plans.archive(draft, by="one", on=JULY)
    plans.remove(draft, by="one")
    with pytest.raises(NotFoundError):
        plans.version(draft)


@pytest.mark.parametrize("change", ["UPDATE audit SET \"by\" = 'nobody'", "DELETE FROM audit"])
def test_the_audit_log_is_only_added_to(store: Store, change: str) -> None:
    published(store)
    before = audited(store)
    with pytest.raises((StoreError, SQLAlchemyError), match="the audit log is only added to"), store.writing() as c:
        c.execute(text(change))
    assert audited(store) == before


# --- a build keeps its plan -------------------------------------------------------------------------------------------


def kept(store: Store, made: Plan | Drafted, on: date) -> int | None:
    found: list[int | None] = []
    keep = Plans(store).keeping(made, title="甲", by="build", on=on)
    store.save({"grid": made.grids}, then=lambda connection: found.append(keep(connection)))
    return found[0]


def test_a_plan_is_kept_only_where_it_differs(store: Store) -> None:
    made = plan()
    first = kept(store, made, MAY)
    assert first is not None
    assert kept(store, made, MAY) is None
    assert kept(store, plan(), JUNE) is None
    read = Plans(store).load(first)[0]
    one, other = sorted(read.grids["code"])[:2]
    second = kept(store, edited(read, (merge, [one, other])), JUNE)
    listed = [(v.id, v.state, v.valid_from, v.valid_to, v.based_on) for v in Plans(store).listed()]
    assert listed == [
        (second, "published", JUNE, None, first), (first, "published", MAY, JUNE - timedelta(days=1), None),
    ]  # fmt: skip
    assert set(Plans(store).lineage(second or 0)["before"]) == set(made.grids["code"])
    assert [what for what, _ in audited(store)] == ["publish", "publish"]


def test_a_second_plan_of_the_day_takes_the_place_of_the_first(store: Store) -> None:
    kept(store, plan(), MAY - timedelta(days=9))
    first = kept(store, plan(6), MAY)
    second = kept(store, plan(8), MAY)
    plans = Plans(store)
    assert plans.at(MAY).id == second  # type: ignore[union-attr]
    assert plans.version(first or 0).state == "archived"
    days = [plans.at(MAY + timedelta(days=n)) for n in (-1, 0, 1)]
    assert [v.id if v else None for v in days] == [1, second, second]


def test_a_fault_after_the_tables_leaves_neither_plan_nor_tables(store: Store) -> None:
    def fault(_connection: Any) -> None:
        raise KeyboardInterrupt

    keep = Plans(store).keeping(plan(), title="甲", by="build", on=MAY)
    with pytest.raises(KeyboardInterrupt):
        store.save({"grid": plan().grids}, then=lambda connection: (keep(connection), fault(connection)))
    assert Plans(store).listed() == []
    assert (store.revision(), store.tables()["grid"]) == (0, 0)


def test_what_is_public_counts_the_revision(store: Store) -> None:
    plans = Plans(store)
    number = plans.add(plan(), title="甲", by="planner")
    assert store.revision() == 0
    plans.publish(number, by="boss", on=MAY)
    assert store.revision() == 1
    plans.archive(number, by="boss", on=JUNE)
    assert store.revision() == 2
