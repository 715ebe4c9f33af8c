"""Users: their roles, their passwords as hashes that never come out, and the last administrator who stays."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyogrio
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from gridgis.cli import run
from gridgis.errors import InputError, NotFoundError, StoreError
from gridgis.roles import ROLES
from gridgis.store import Store, open_store, upgrades
from gridgis.store.checking import check
from gridgis.store.engines import engine_of, place_of
from gridgis.store.models import TABLES, Base
from gridgis.store.moving import backup, copy, restore
from gridgis.store.users import User, Users

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
SECRET = "correct horse battery"
_TABLES = Base.metadata.tables


def rows(store: Store, table: str) -> list[dict[str, Any]]:
    with store.reading() as connection:
        found = connection.execute(select(_TABLES[table]).order_by(_TABLES[table].c.id)).mappings()
        return [dict(row) for row in found]


@pytest.fixture
def users(store: Store) -> Users:
    made = Users(store, "boss", QUICK)
    made.add("root", SECRET, role="administrator", display_name="王某")
    return made


def test_a_password_is_known_again_and_only_by_its_user(store: Store, users: Users) -> None:
    added = users.add("li", "another password", role="worker", staff="w1")
    assert users.verify("li", "another password") == added
    assert [users.verify(*pair) for pair in (("li", SECRET), ("nobody", SECRET), ("li", ""), ("Li", SECRET))] == [
        None
    ] * 4
    assert [user.name for user in users.listed()] == ["li", "root"]
    users.set_password("li", "a third password")
    assert users.verify("li", "another password") is None
    assert users.verify("li", "a third password") is not None
    users.disable("li")
    assert users.verify("li", "a third password") is None
    users.enable("li")
    assert users.verify("li", "a third password") is not None


class Slow(PasswordHasher):
    """A hasher during whose first verification something happens."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self._meanwhile, self.verified = meanwhile, 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Any:
        done = super().verify(hash, password)
        self.verified += 1
        if self.verified == 1:
            self._meanwhile()
        return done


@pytest.mark.parametrize(
    ("meanwhile", "known"),
    [
        (lambda users: users.disable("li"), False),
        (lambda users: users.set_password("li", "another password"), False),
        (lambda users: users.set_password("li", SECRET), True),  # the same one has another hash
        (lambda users: Users(users._store, "x").verify("li", SECRET), True),  # made anew by another login
        (lambda users: users.set_role("li", "supervisor"), True),
    ],
    ids=["disabled", "another password", "the same password", "made anew", "another role"],
)
def test_what_changes_while_the_hash_is_made_counts(
    store: Store, users: Users, meanwhile: Callable[[Users], object], known: bool
) -> None:
    users.add("li", SECRET, role="worker", staff="w1")
    slow = Slow(lambda: meanwhile(users))
    found = Users(store, "boss", slow).verify("li", SECRET)
    (now,) = [user for user in users.listed() if user.name == "li"]
    assert found == (now if known else None)
    assert users.verify("li", SECRET) == found


def test_a_user_who_comes_while_the_hash_is_made_needs_the_password_too(store: Store, users: Users) -> None:
    """The password of nobody's hash is known to all who read the code."""
    slow = Slow(lambda: users.add("-", SECRET, role="supervisor"))
    assert Users(store, "boss", slow).verify("-", "-" * 12) is None
    assert users.verify("-", SECRET) is not None


def test_what_is_kept_is_an_argon2id_hash_that_others_verify(store: Store, users: Users) -> None:
    (row,) = rows(store, "user_account")
    assert row["password_hash"].startswith("$argon2id$")
    assert PasswordHasher().verify(row["password_hash"], SECRET)
    assert SECRET not in json.dumps(row, default=str)
    assert Users(store, "boss").verify("root", SECRET) is not None
    (grown,) = rows(store, "user_account")
    assert f"m={PasswordHasher().memory_cost}," in grown["password_hash"]
    assert PasswordHasher().verify(grown["password_hash"], SECRET)
    assert Users(store, "boss").verify("root", SECRET) is not None
    assert [entry["what"] for entry in rows(store, "audit")] == ["add", "rehash"]


def test_an_unknown_name_costs_a_hash_of_the_same_parameters(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    plain = PasswordHasher.verify

    def verify(self: PasswordHasher, hash: str, password: str) -> bool:
        asked.append(hash)
        return bool(plain(self, hash, password))

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    for name in ("root", "nobody"):
        assert users.verify(name, "not the password") is None
    known, unknown = (found.rsplit("$", 2)[0] for found in asked)
    assert known == unknown


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"password": "short"}, "the password cannot be used; found 5 characters; wanted 12 to 1,024 characters"),
        ({"password": "x" * 1025}, "found 1025 characters"),
        ({"name": "administrator", "password": "Administrator"}, "the password is the name of the user"),
        ({"name": " li"}, "without spaces at its ends; found ' li'"),
        ({"role": "boss"}, "there is no such role; found 'boss'; wanted worker, head, editor, supervisor"),
        ({"role": "head"}, "the role head needs staff"),
        ({"role": "editor"}, "the role editor needs unit"),
        ({"role": "supervisor", "unit": "U1"}, "the role supervisor has no unit"),
        ({"role": "editor", "unit": "U1", "staff": "w1"}, "the role editor has no staff"),
        ({"name": "11010519491231002X"}, "nobody is kept by an identity number; found one in name"),
        ({"display_name": "王 110105491231002"}, "found one in display_name"),
        ({"role": "worker", "staff": "110105194912310021"}, "found one in staff"),
    ],
)
def test_what_cannot_be_used_is_refused(store: Store, users: Users, changed: dict[str, str], message: str) -> None:
    given: dict[str, Any] = {"name": "li", "password": SECRET, "role": "supervisor", **changed}
    with pytest.raises(InputError, match=message) as caught:
        users.add(given.pop("name"), given.pop("password"), **given)
    assert changed.get("password", SECRET) not in str(caught.value)
    assert [user.name for user in users.listed()] == ["root"]


def test_a_name_is_there_once(store: Store, users: Users) -> None:
    with pytest.raises(StoreError, match="there is a user of this name; found 'root'"):
        users.add("Root", SECRET, role="supervisor")
    for change in (users.disable, users.enable, lambda name: users.set_password(name, SECRET)):
        with pytest.raises(NotFoundError, match="there is no such user; found 'nobody'"):
            change("nobody")
    with pytest.raises(StoreError, match="cannot be written") as caught, store.writing() as connection:
        connection.execute(text("UPDATE user_account SET role = 'king'"))
    assert isinstance(caught.value.__cause__, IntegrityError)


def test_the_last_active_administrator_stays(users: Users) -> None:
    users.add("zhao", SECRET, role="administrator")
    users.disable("zhao")
    for leave in (lambda: users.disable("root"), lambda: users.set_role("root", "supervisor")):
        with pytest.raises(StoreError, match=r"this is the last active administrator; found 'root'\. Make"):
            leave()
    users.enable("zhao")
    users.set_role("root", "editor", unit="U1")
    with pytest.raises(StoreError, match="last active administrator; found 'zhao'"):
        users.disable("zhao")
    assert {user.name: (user.role, user.unit, user.active) for user in users.listed()} == {
        "root": ("editor", "U1", True), "zhao": ("administrator", None, True),
    }  # fmt: skip


def test_the_log_has_every_change_and_no_hash(store: Store, users: Users) -> None:
    users.add("li", SECRET, role="worker", staff="w1")
    users.set_role("li", "head", staff="w1")
    users.set_role("li", "head", staff="w1")  # nothing changes: nothing to tell
    users.set_password("li", "another password")
    users.disable("li")
    users.disable("li")
    users.enable("li")
    log = [entry for entry in rows(store, "audit") if entry["key"] == "li"]
    assert {(entry["by"], entry["table"]) for entry in log} == {("boss", "user_account")}
    assert [(entry["what"], entry["before"], entry["after"]) for entry in log] == [
        ("add", None,
         {"name": "li", "display_name": None, "role": "worker", "staff": "w1", "unit": None, "active": True}),
        ("role", {"role": "worker"}, {"role": "head"}), ("password", None, None),
        ("disable", {"active": True}, {"active": False}), ("enable", {"active": False}, {"active": True}),
    ]  # fmt: skip
    assert "argon2" not in json.dumps(log, default=str)


def test_hashes_move_with_the_whole_store_and_by_no_other_way(
    store: Store, users: Users, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "password_hash" not in User._fields
    assert "user_account" not in TABLES
    with pytest.raises(NotFoundError, match="no such table"):
        store.load("user_account")
    file = tmp_path / "u.csv"
    file.write_text("name,password_hash\nx,y\n", "utf-8")
    for line in (["export", store.name, "user_account", "-o", str(tmp_path / "o.csv")],
                 ["store", "load", store.name, "user_account", str(file)]):  # fmt: skip
        assert run(line) == 2
        assert "no such" in capsys.readouterr().err
    copy(store.name, tmp_path / "copied.gpkg")
    assert "user_account" not in {name for name, _ in pyogrio.list_layers(tmp_path / "copied.gpkg")}
    with open_store(tmp_path / "copied.gpkg") as copied:
        assert Users(copied, "x", QUICK).verify("root", SECRET) is not None
        assert rows(copied, "user_account") == rows(store, "user_account")
        Users(copied, "x", QUICK).add("new", SECRET, role="supervisor")
    backup(tmp_path / "copied.gpkg", tmp_path / "b")
    restore(tmp_path / "b", tmp_path / "restored.gpkg")
    with open_store(tmp_path / "restored.gpkg") as restored:
        assert Users(restored, "x", QUICK).verify("new", SECRET) is not None
    assert check(store.name)[1] == []


def test_accounts_come_and_go_with_the_migration(store: Store, users: Users) -> None:
    engine = engine_of(place_of(store.name))
    upgrades.downgrade(engine, "0006")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM audit")).scalar() == 1
    upgrades.upgrade(engine)
    engine.dispose()
    assert users.listed() == []
    users.add("root", SECRET, role="administrator")
    assert check(store.name)[1] == []


def test_the_database_knows_just_the_roles_that_there_are() -> None:
    (said,) = [c for c in _TABLES["user_account"].constraints if "user_account_role" in str(c.name)]
    assert str(said.sqltext) == f"role IN {ROLES}"  # type: ignore[attr-defined]


def test_the_help_names_the_roles_and_loads_no_store() -> None:
    code = "import sys; from gridgis.cli import run; run(['user', 'add', '--help']); print('sqlalchemy' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "|".join(ROLES) in told
    assert told.endswith("False\n")


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "place.gpkg"
    open_store(path, create=True).close()

    def told(*arguments: object, code: int = 0) -> str:
        assert run(["user", *map(str, arguments)]) == code
        out = capsys.readouterr()
        assert SECRET not in out.out + out.err
        assert "argon2" not in out.out + out.err
        return out.out + out.err

    monkeypatch.setenv("GRIDGIS_PASSWORD", SECRET)
    assert "added: root" in told("add", path, "root", "--role", "administrator", "--display-name", "王某", "--by", "赵")
    assert "added: li" in told("add", path, "li", "--role", "worker", "--staff", "w1")
    assert "the role editor needs unit" in told("role", path, "li", "--role", "editor", code=2)
    assert "changed: li (editor)" in told("role", path, "li", "--role", "editor", "--unit", "U1")
    assert "last active administrator" in told("disable", path, "root", code=2)
    assert "disabled: li" in told("disable", path, "li")
    assert "停用 no" in told("list", path)
    assert "enabled: li" in told("enable", path, "li")
    monkeypatch.setenv("GRIDGIS_PASSWORD", "short")
    assert "wanted 12 to 1,024 characters" in told("password", path, "li", code=2)
    monkeypatch.setenv("GRIDGIS_PASSWORD", "another password")
    assert "password changed: li" in told("password", path, "li")
    users = json.loads(told("list", path, "--json"))["users"]
    assert [(user["name"], user["role"], user["unit"], user["active"]) for user in users] == [
        ("li", "editor", "U1", True), ("root", "administrator", None, True),
    ]  # fmt: skip
    assert set(users[0]) == set(User._fields)
    with open_store(path) as store:
        assert Users(store, "x").verify("li", "another password") is not None
        assert rows(store, "audit")[0]["by"] == "赵"


def test_a_password_is_asked_for_twice_and_not_shown(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from gridgis.cli.user import command

    path = tmp_path / "place.gpkg"
    open_store(path, create=True).close()
    line = ["add", str(path), "root", "--role", "administrator"]
    runner = CliRunner(env={"GRIDGIS_PASSWORD": None})
    done = runner.invoke(command, line, input=f"{SECRET}\nsomething else\n{SECRET}\n{SECRET}\n")
    assert done.exit_code == 0, done.output
    assert "added: root" in done.output
    assert SECRET not in done.output
    with open_store(path) as store:
        assert Users(store, "x").verify("root", SECRET) is not None
