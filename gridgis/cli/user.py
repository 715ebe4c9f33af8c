"""gridgis user: the users of a store's organisation, their roles and passwords."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from gridgis.cli import options
from gridgis.roles import ROLES

if TYPE_CHECKING:
    from gridgis.store.users import Users

#: The environment variable that a password may come by, where nobody sits at the terminal.
PASSWORD = "GRIDGIS_PASSWORD"

_by = click.option(
    "--by", metavar="NAME", help="操作人，记入日志 who does it, for the audit log; by default your login"
)
_role = click.option("--role", type=click.Choice(ROLES), required=True, help="角色 what the user may do")
_staff = click.option("--staff", metavar="ID", help="网格员、网格长的人员编号 the id of a worker or head")
_unit = click.option("--unit", metavar="CODE", help="社区编辑所在社区的编码 the code of an editor's unit")


@click.group("user")
def command() -> None:
    """库的用户：添加、列出、角色、口令、停用。地图网站还没有登录。

    The users of an organisation of a store. The web pages have no login yet: accounts are made ready for it. A password
    is asked for twice, or comes by the environment (GRIDGIS_PASSWORD); at least 12 characters, and not the name.
    """


@command.command("add")
@click.argument("store")
@click.argument("name")
@_role
@_staff
@_unit
@click.option("--display-name", metavar="TEXT", help="显示的姓名 the name as it is shown")
@_by
def add(
    store: str,
    name: str,
    role: str,
    staff: str | None,
    unit: str | None,
    display_name: str | None,
    by: str | None,
) -> None:
    """添加用户。Add a user; never by an identity number."""
    with _users(store, by) as users:
        users.add(name, _password(name), role=role, staff=staff, unit=unit, display_name=display_name)
    click.echo(f"已添加 added: {name} ({role})")


@command.command("list")
@click.argument("store")
@options.as_json
def listed(store: str, as_json: bool) -> None:
    """列出用户，不含口令。List the users, without their passwords."""
    with _users(store, None) as users:
        found = users.listed()
    if as_json:
        told = [
            {**user._asdict(), "made_at": user.made_at.isoformat(), "changed_at": user.changed_at.isoformat()}
            for user in found
        ]
        options.echo_json({"users": told})
        return
    rows = [
        (
            user.name,
            user.display_name or "",
            user.role,
            user.staff or user.unit or "",
            "是 yes" if user.active else "停用 no",
        )
        for user in found
    ]
    columns = ["用户 user", "姓名 name", "角色 role", "人员或社区 staff or unit", "启用 active"]
    options.echo_table("用户 users", columns, rows)


@command.command("role")
@click.argument("store")
@click.argument("name")
@_role
@_staff
@_unit
@_by
def role(store: str, name: str, role: str, staff: str | None, unit: str | None, by: str | None) -> None:
    """改角色。Give a user another role; the last active administrator stays one."""
    with _users(store, by) as users:
        users.set_role(name, role, staff=staff, unit=unit)
    click.echo(f"已更改 changed: {name} ({role})")


@command.command("password")
@click.argument("store")
@click.argument("name")
@_by
def password(store: str, name: str, by: str | None) -> None:
    """改口令。Give a user another password."""
    with _users(store, by) as users:
        users.set_password(name, _password(name))
    click.echo(f"已更改口令 password changed: {name}")


@command.command("disable")
@click.argument("store")
@click.argument("name")
@_by
def disable(store: str, name: str, by: str | None) -> None:
    """停用用户。Let a user in no more; the last active administrator cannot be disabled."""
    with _users(store, by) as users:
        users.disable(name)
    click.echo(f"已停用 disabled: {name}")


@command.command("enable")
@click.argument("store")
@click.argument("name")
@_by
def enable(store: str, name: str, by: str | None) -> None:
    """重新启用用户。Let a user in again."""
    with _users(store, by) as users:
        users.enable(name)
    click.echo(f"已启用 enabled: {name}")


@contextmanager
def _users(store: str, by: str | None) -> Iterator[Users]:
    from gridgis.store import open_store
    from gridgis.store.users import Users

    with open_store(store) as opened:
        yield Users(opened, by or getpass.getuser())


def _password(name: str) -> str:
    """A password from the environment, else asked for twice and not shown."""
    from gridgis.store.users import check_password

    given = os.environ.get(PASSWORD)
    if given is None:
        given = str(click.prompt("口令 password", hide_input=True, confirmation_prompt="再次输入 again", err=True))
    check_password(name, given)
    return given
