"""Each organisation sees its own rows: every function of the store tries to reach those of another one."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from sqlalchemy import delete, exists, func, insert, select, text, union_all, update
from stored import everything
from test_store_plans import plan

from gridgis.cli import run
from gridgis.errors import NotFoundError, StoreError
from gridgis.loading import load_files
from gridgis.plan.partition import Plan
from gridgis.store import Store, add_organisation, open_store
from gridgis.store.checking import check
from gridgis.store.lookups import Lookups
from gridgis.store.models import Base
from gridgis.store.moving import copy
from gridgis.store.personal import Personal
from gridgis.store.plans import Plans
from gridgis.store.users import Users

MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)
_TABLES = Base.metadata.tables


@pytest.fixture(params=["file", "postgis"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "file":
        path = tmp_path / "place.gpkg"
        open_store(path, create=True).close()
        yield str(path)
        return
    with request.getfixturevalue("postgres").database(store=True) as address:
        yield address


@pytest.fixture
def both(where: str) -> Iterator[tuple[Store, Store]]:
    """Two organisations of one store; the first one has a bit of everything."""
    add_organisation(where, "other", "另一街道")
    with open_store(where, organisation="1") as one, open_store(where, organisation="other") as other:
        fill(one, "甲")
        yield one, other


def fill(store: Store, name: str) -> int:
    point = [shapely.box(116.0004, 40.0004, 116.0006, 40.0006)]
    store.save(
        {
            "grid": plan().grids.assign(name=name), "person": pd.DataFrame({"id": ["p1"], "house": [name]}),
            "building": gpd.GeoDataFrame({"code": ["B1"], "address": ["成府路28号"]}, geometry=point, crs=4326),
            "posting": pd.DataFrame({"staff": ["s1"], "grid": [name], "role": "grid head"}),
        },
        {"title": name},
    )  # fmt: skip
    plans = Plans(store)
    number = plans.add(plan(), title=name, by="planner")
    plans.publish(number, by="boss", on=MAY)
    plans.add(plan(), title=f"{name}稿", by="planner", based_on=number)
    walked = pd.DataFrame({"staff": ["s1"], "time": ["2026-05-02T08:00:00Z"], "lon": 116.0, "lat": 40.0})
    Personal(store, "clerk").keep_tracks(walked)
    Users(store, "boss").add("root", f"{name}'s password, long", role="administrator")
    return number


def held(store: Store) -> dict[str, Any]:
    """All that an organisation sees."""
    plans = Plans(store)
    with store.reading() as connection:
        log = connection.execute(select(_TABLES["audit"].c["id"], _TABLES["audit"].c.what)).all()
    return {
        "tables": {name: everything(store, name).to_csv() for name in store.tables()}, "counts": store.tables(),
        "settings": store.settings(), "revision": store.revision(), "plans": plans.listed(), "log": log,
        "users": Users(store, "boss").listed(),
        "rows": {v.id: plans.load(v.id)[0].blocks.to_csv() for v in plans.listed()},
    }  # fmt: skip


def test_nothing_of_another_organisation_is_seen(both: tuple[Store, Store]) -> None:
    one, other = both
    assert not any(other.tables().values())
    assert (other.settings(), other.revision()) == ({}, 0)
    assert all(len(everything(other, name)) == 0 for name in other.tables())
    plans, theirs = Plans(other), [version.id for version in Plans(one).listed()]
    assert plans.listed() == []
    assert plans.at(MAY) is None
    for number in theirs:
        for ask in (plans.version, plans.load):
            with pytest.raises(NotFoundError, match="there is no such plan"):
                ask(number)
        assert plans.operations(number) == []
        assert len(plans.lineage(number)) == 0
    assert len(Personal(other, "spy").tracks(purpose="test")) == 0
    assert len(Personal(one, "clerk").painted(purpose="test")) == 1
    assert len(Personal(other, "spy").painted(purpose="test")) == 0
    assert len(Personal(other, "spy").load("person", purpose="test")) == 0
    users = Users(other, "spy")
    assert (users.listed(), users.verify("root", "甲's password, long")) == ([], None)
    found = Lookups(other, MAY)
    assert (found.plan, found.at(116.0005, 40.0005), found.of_staff("s1"), found.of_address("成府路28号")) == (
        None, None, [], None,
    )  # fmt: skip


def test_nothing_of_another_organisation_is_changed(both: tuple[Store, Store], tmp_path: Path) -> None:
    one, other = both
    before = held(one)
    draft, published = (version.id for version in Plans(one).listed())
    read, _, version = Plans(one).load(draft)
    plans, personal, users = Plans(other), Personal(other, "spy"), Users(other, "spy")
    tries = (
        lambda: plans.add(read, title="乙", by="spy", based_on=draft),
        lambda: plans.save(draft, read, read, seen=version.revision, by="spy"),
        lambda: plans.remove(draft, by="spy"), lambda: plans.check(draft, by="spy"),
        lambda: plans.publish(draft, by="spy", on=JUNE), lambda: plans.archive(published, by="spy", on=JUNE),
        lambda: personal.forget("p1"), lambda: users.set_role("root", "supervisor"), lambda: users.disable("root"),
        lambda: users.enable("root"), lambda: users.set_password("root", "the spy's password"),
    )  # fmt: skip
    for attempt in tries:
        with pytest.raises((NotFoundError, StoreError), match="there is no such"):
            attempt()
    assert personal.expire(date(2100, 1, 1), 1) == 0
    assert personal.forget_tracks("s1") == 0
    other.save({"grid": pd.DataFrame(), "person": pd.DataFrame()}, {"title": "丁"})
    persons = tmp_path / "persons.csv"
    persons.write_text("id,house\np1,H9\n", "utf-8")
    assert load_files(other, "person", [str(persons)], by="spy").counts == (1, 0, 0)
    keep = plans.keeping(Plan(read.blocks, read.grids, {}), title="乙", by="spy", on=MAY)
    other.save({}, then=keep)
    assert users.add("root", "the spy's password", role="supervisor").role == "supervisor"
    assert users.verify("root", "the spy's password") is not None
    assert held(one) == before


def test_the_same_codes_live_side_by_side(both: tuple[Store, Store], where: str, tmp_path: Path) -> None:
    one, other = both
    before = held(one)
    fill(other, "乙")
    assert held(one) == before
    assert other.load("grid")["name"].unique().tolist() == ["乙"]
    fill_again = everything(other, "person").assign(house="H2")
    other.save({"person": fill_again})
    one.save({"person": everything(one, "person")})
    assert (everything(one, "person")["house"].tolist(), everything(other, "person")["house"].tolist()) == (
        ["甲"],
        ["H2"],
    )
    assert Plans(one).at(MAY) != Plans(other).at(MAY)
    faults = [fault for fault in check(where)[1] if "names what is not in" not in fault.message]
    assert faults == []
    code = one.load("grid")["code"].iloc[0]  # a grid of theirs does not count as one of ours
    mine = {"grid": pd.DataFrame(), "posting": pd.DataFrame({"staff": ["s1"], "grid": [code], "role": "grid head"})}
    other.save({**mine, "staff": pd.DataFrame({"id": ["s1"], "name": ["乙"]})})
    one.save({"posting": pd.DataFrame()})
    named = [fault.message for fault in check(where)[1] if fault.table == "posting"]
    assert named == [f"grid names what is not in grid ({code})"]
    copy(where, tmp_path / "copied.gpkg")
    with open_store(tmp_path / "copied.gpkg", organisation="other") as copied:
        assert copied.load("staff")["name"].tolist() == ["乙"]


def test_a_store_of_several_is_opened_for_one(both: tuple[Store, Store], where: str) -> None:
    with pytest.raises(NotFoundError, match="the store holds several organisations; found 2 of them"):
        open_store(where)
    with pytest.raises(NotFoundError, match="no such organisation; found 'third'"):
        open_store(where, organisation="third")
    with open_store(f"{where}#other") as named:
        assert (named.organisation, named.settings()) == (both[1].organisation, {})
        assert named.name.endswith("#other")
    with pytest.raises(NotFoundError, match="no such organisation; found 'none'"):
        open_store(f"{where}#none")
    with pytest.raises(StoreError, match="there is an organisation of this code; found 'other'"):
        add_organisation(where, "other")


def test_a_locked_transaction_sees_its_own_rows_and_leaves_the_revision(both: tuple[Store, Store]) -> None:
    one, other = both
    before = one.revision(), other.revision()
    with other.locked() as connection:
        assert connection.execute(select(func.count()).select_from(_TABLES["person"])).scalar_one() == 0
        assert connection.execute(delete(_TABLES["grid"])).rowcount == 0
    assert (one.revision(), other.revision()) == before
    assert one.tables()["person"] > 0


def test_the_rule_reaches_every_kind_of_statement(both: tuple[Store, Store]) -> None:
    one, other = both
    person, grid = _TABLES["person"], _TABLES["grid"]
    with other.writing() as connection:
        for query in (
            select(func.count()).select_from(person),
            select(func.count()).select_from(select(person.c.id).subquery()),
            select(func.count()).select_from(union_all(select(person.c.id), select(grid.c.code)).subquery()),
            select(func.count()).select_from(person.join(grid, person.c.id != grid.c.code)),
            select(func.count()).select_from(person.alias()),
        ):
            assert connection.execute(query).scalar_one() == 0, str(query)
        assert connection.execute(select(exists(select(person.c.id)))).scalar_one() in (0, False)
        assert connection.execute(delete(person)).rowcount == 0
        assert connection.execute(update(person).values(house="x")).rowcount == 0
        connection.execute(insert(person), [{"row": 77, "id": "p1"}, {"row": 78, "id": "p2"}])
    assert everything(one, "person")["id"].tolist() == ["p1"]
    assert everything(other, "person")["id"].tolist() == ["p1", "p2"]


def test_every_table_belongs_to_an_organisation() -> None:
    assert {name for name, table in _TABLES.items() if "organisation" not in table.columns} == {"organisation"}


def test_every_function_was_tried() -> None:
    """A new function of the store has to be added to the tests above."""
    source = Path(__file__).read_text("utf-8")
    for kind in (Plans, Personal, Lookups, Store, Users):
        for name, _ in inspect.getmembers(kind, inspect.isfunction):
            if not name.startswith("_") and name not in ("close", "ask", "today", "grid", "of_unit"):
                assert f".{name}(" in source or f"{name}," in source, f"{kind.__name__}.{name}"


def test_rows_of_before_belong_to_the_first(tmp_path: Path) -> None:
    from gridgis.store import upgrade_store, upgrades
    from gridgis.store.engines import engine_of, place_of

    path = tmp_path / "old.gpkg"
    engine = engine_of(place_of(path))
    upgrades.upgrade(engine, "0005")
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO staff (row, id, name) VALUES (1, 's1', '甲')"))
        connection.execute(text("INSERT INTO setting (key, value) VALUES ('title', '甲')"))
    engine.dispose()
    upgrade_store(path)
    with open_store(path) as store:
        assert store.load("staff")["id"].tolist() == ["s1"]
        assert store.settings() == {"title": "甲"}
    add_organisation(path, "other")
    with open_store(path, organisation="other") as store:
        assert store.tables()["staff"] == 0


def test_a_store_is_not_made_for_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no such organisation; found 'other'\. gridgis store init makes a"):
        open_store(f"{tmp_path}/new.gpkg#other", create=True)
    assert list(tmp_path.iterdir()) == []
    open_store(f"{tmp_path}/new.gpkg#1", create=True).close()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, staff = tmp_path / "place.gpkg", tmp_path / "staff.csv"
    open_store(path, create=True).close()
    staff.write_text("id,name\ns1,甲\n", "utf-8")
    assert run(["store", "organisation", str(path), "other", "--name", "另一街道"]) == 0
    assert "place.gpkg#other" in capsys.readouterr().out
    assert run(["store", "load", str(path), "staff", str(staff)]) == 2
    assert "several organisations; found 2 of them; wanted the code of one of them. Name it" in capsys.readouterr().err
    assert run(["store", "load", f"{path}#other", "staff", str(staff)]) == 0
    assert run(["export", f"{path}#1", "staff", "-o", str(tmp_path / "out.csv")]) == 2
    assert run(["export", f"{path}#other", "staff", "-o", str(tmp_path / "out.csv")]) == 0
    assert run(["store", "check", str(path)]) == 0
