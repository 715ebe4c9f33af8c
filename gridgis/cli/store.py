"""gridgis store: make, load, check, bring up, back up, restore and copy a store."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from gridgis.cli import options

if TYPE_CHECKING:
    from gridgis.loading import Loaded
    from gridgis.store.digests import Digest


#: How long a cell of the log may be on the terminal.
_SHOWN = 70

_by = click.option("--by", metavar="NAME", help="操作人，记入日志 who loads, for the audit log; by default your login")


@click.group("store")
def command() -> None:
    """库：建立、装入、检查、备份、恢复、复制。A store: a file, or postgresql://user@host/database with PostGIS."""


@command.command("init")
@click.argument("store")
def init(store: str) -> None:
    """建立空库。Make an empty store: a file, or the tables in an empty database."""
    from gridgis.store import create_store

    create_store(store).close()
    click.echo(f"已建立 made: {_shown(store)}", err=True)


@command.command("organisation")
@click.argument("store")
@click.argument("code")
@click.option("--name", help="名称 its name")
def organisation(store: str, code: str, name: str | None) -> None:
    """在库中加一个机构；各机构只见自己的数据。

    Make room for another organisation, as of another sub-district. Each sees its own rows: STORE#CODE names one. What
    was there before belongs to the organisation 1.
    """
    from gridgis.store import add_organisation

    add_organisation(store, code, name)
    click.echo(f"已加 added: {_shown(store)}#{code}")


@command.command("load")
@click.argument("store")
@click.argument("table")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--dry-run", is_flag=True, help="只看会怎样，不写 only say what would happen")
@click.option(
    "--rejects",
    type=click.Path(path_type=Path),
    metavar="CSV",
    help="不能用的行写到（默认在第一个文件旁）rows set aside; by default FILE.rejects.csv",
)
@_by
@options.as_json
@options.reading
def load(
    store: str,
    table: str,
    files: tuple[str, ...],
    dry_run: bool,
    rejects: Path | None,
    by: str | None,
    as_json: bool,
    crs: str | None,
    datum: str | None,
    renames: tuple[str, ...],
) -> None:
    """把文件装入库中的表；重复装入不变。

    Load files into a table of a store, in one transaction: new rows are added, rows with a known key are changed,
    nothing is removed. Rows that cannot be used are written to a file with the reason of each.
    """
    from gridgis.files import write
    from gridgis.files.vectors import parse_spec
    from gridgis.loading import load_files
    from gridgis.store import open_store
    from gridgis.store.audit import login

    if table in ("fix", "fixes", "tracks"):
        raise click.UsageError("tracks are kept by gridgis store tracks")
    with open_store(store) as opened, _progress() as told:
        done = load_files(
            opened, table, files, by=by or login(), rename=options.renaming(renames), crs=crs, datum=datum,
            dry_run=dry_run, progress=lambda rows, total: told(f"{table} /{total:,}", rows),
        )  # fmt: skip
    aside = rejects or parse_spec(files[0]).path.with_suffix(".rejects.csv")
    if len(done.rejects) and not dry_run:
        write(done.rejects, aside)
    _echo_load(done, aside, dry_run=dry_run, as_json=as_json)


@command.command("tracks")
@click.argument("store")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@_by
@options.profile
@options.reading
def tracks(
    store: str,
    files: tuple[str, ...],
    by: str | None,
    profile: str,
    crs: str | None,
    datum: str | None,
    renames: tuple[str, ...],
) -> None:
    """保存轨迹和当天方案网格的覆盖，到期由 expire 删除；重复装入不变。

    Keep tracks (GPX, CSV, GeoJSON, Parquet, folders of them): by member of staff and day, until expire deletes them;
    with them how near they came to the ground of the plan that holds on the day.
    """
    from gridgis.loading import load_tracks
    from gridgis.profile import Profile
    from gridgis.store import open_store
    from gridgis.store.audit import login

    if crs is not None:
        raise click.UsageError("tracks are in degrees of longitude and latitude; --datum says of which datum")
    parameters = Profile.load(profile).parameters
    with open_store(store) as opened:
        kept = load_tracks(opened, files, by=by or login(), parameters=parameters,
                           rename=options.renaming(renames), datum=datum)  # fmt: skip
    options.echo_kept(kept)


@command.command("expire")
@click.argument("store")
@options.profile
def expire(store: str, profile: str) -> None:
    """删除到期的轨迹和覆盖（规则的 track_kept_days）。

    Delete the tracks and painted days that are older than the profile's track_kept_days.
    """
    from gridgis.profile import Profile
    from gridgis.store import open_store
    from gridgis.store.audit import login
    from gridgis.store.personal import Personal

    kept = Profile.load(profile).parameters
    today = datetime.now(ZoneInfo(kept.timezone)).date()
    with open_store(store) as opened:
        gone = Personal(opened, login()).expire(today, int(kept.track_kept_days))
    click.echo(f"track_kept_days {kept.track_kept_days}: 删除了 {gone:,} 人日的轨迹 tracks of {gone:,} days deleted")


@command.command("forget")
@click.argument("store")
@click.option("--person", metavar="ID", help="删除一位居民 remove a resident")
@click.option(
    "--staff", metavar="ID", help="删除一名人员的全部轨迹和覆盖 remove all tracks and painted days of a member of staff"
)
def forget(store: str, person: str | None, staff: str | None) -> None:
    """应要求删除个人数据；日志只记删除过。

    Remove a person on request, with the visits to them; of the last one kept in a house also its households, sites and
    visits. The log says that it was done, not of whom.
    """
    from gridgis.store import open_store
    from gridgis.store.audit import login
    from gridgis.store.personal import Personal

    if (person is None) == (staff is None):
        raise click.UsageError("name --person or --staff")
    with open_store(store) as opened:
        personal = Personal(opened, login())
        if person is not None:
            personal.forget(person)
        gone = 1 if staff is None else personal.forget_tracks(staff)
    click.echo(f"已删除 removed: {gone:,}")


def _echo_load(done: Loaded, aside: Path, *, dry_run: bool, as_json: bool) -> None:
    counts = {**done.counts._asdict(), "rejected": len(done.rejects)}
    if as_json:
        rejects = done.rejects[["file", "row", "reason"]].to_dict("records")
        written = str(aside) if rejects and not dry_run else None
        options.echo_json({"table": done.table, "dry_run": dry_run, **counts, "rejects": rejects, "written": written})
        return
    if dry_run:
        first = done.first.drop(columns="geometry", errors="ignore").astype(object)
        cells = first.where(first.notna(), None).itertuples(index=False)
        options.echo_table(
            f"前几行 first rows: {done.table}", [str(c) for c in first.columns], [tuple(c) for c in cells]
        )
    shown = zip(("新增 new", "更改 changed", "不变 same", "不能用 rejected"), counts.values(), strict=True)
    options.echo_table(done.table, ["", "条 rows"], [(what, f"{rows:,}") for what, rows in shown])
    if len(done.rejects):
        listed = done.rejects.head(10)[["file", "row", "reason"]].itertuples(index=False)
        options.echo_table(
            "不能用的行 rows set aside", ["文件 file", "行 row", "原因 reason"], [tuple(r) for r in listed]
        )
        if not dry_run:
            options.echo_written(aside)
    if dry_run:
        click.echo("试装，未写 a dry run: nothing was written")


@command.command("upgrade")
@click.argument("store")
def upgrade(store: str) -> None:
    """升级旧版的库，一次完成或不变。Bring a store of an older version up, all or nothing."""
    from gridgis.store import upgrade_store

    before, after = upgrade_store(store)
    if before == after:
        click.echo(f"已是最新 up to date: {after}")
    else:
        click.echo(f"已升级 brought up: {before} → {after}")


@command.command("check")
@click.argument("store")
@options.as_json
def check(store: str, as_json: bool) -> int:
    """检查库是否完好；有问题时退出码为 1。Read a store from end to end; exit code 1 when something is wrong."""
    from gridgis.chinese import in_both, in_chinese
    from gridgis.store.checking import check as check_store

    held, faults = check_store(store)
    if as_json:
        tables = {name: {"rows": found.rows, "checksum": found.checksum} for name, found in held.items()}
        told = [{**fault._asdict(), "message_zh": in_chinese(fault.message)} for fault in faults]
        options.echo_json({"whole": not faults, "tables": tables, "faults": told})
    else:
        _echo(held)
        if faults:
            rows = [(fault.table or "–", in_both(fault.message)) for fault in faults]
            options.echo_table("问题 faults", ["表 table", "问题 fault"], rows)
        else:
            click.echo("完好 whole")
    return 1 if faults else 0


@command.command("log")
@click.argument("store")
@click.option("--table", metavar="T", help="只看某表 only of this table")
@click.option("--key", metavar="KEY", help="只看某行 only of the row of this code or id")
@click.option("--who", metavar="NAME", help="只看某人做的 only what this person did")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="从某日起（UTC） from this day on")
@click.option("--last", type=click.IntRange(1), default=50, show_default=True, help="最近几条 how many")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="全部写到 all of them to a file")
@options.as_json
def log(
    store: str,
    table: str | None,
    key: str | None,
    who: str | None,
    since: datetime | None,
    last: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """看日志：谁、何时、改了什么、看了什么。Show the audit log: who changed or looked at what, and when."""
    from gridgis.files import write
    from gridgis.store import audit, open_store

    day = None if since is None else since.replace(tzinfo=UTC)
    limit = None if output is not None else last
    with open_store(store) as opened:
        found = opened.ask(lambda c: audit.entries(c, table=table, key=key, by=who, since=day, last=limit))
    told = found.assign(at=found["at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    if as_json:
        options.echo_json({"log": told.to_dict("records")})
        return
    told = told.assign(**{name: [_as_text(said) for said in told[name]] for name in ("before", "after")})
    if output is not None:
        write(told, output)
        options.echo_written(output)
        return
    headers = ["时间 at", "谁 by", "做了 what", "表 table", "行 key", "之前 before", "之后 after"]
    told = told.assign(what=[f"{audit.CHINESE.get(what, '')} {what}" for what in told["what"]])
    cells = [[shorten(str(cell), _SHOWN) for cell in row] for row in told.fillna("").itertuples(index=False)]
    options.echo_table("日志 audit log", headers, cells)


def _as_text(said: object) -> str:
    return "" if said is None else json.dumps(said, ensure_ascii=False)


@command.command("backup")
@click.argument("store")
@click.argument("file", type=click.Path(path_type=Path))
def backup(store: str, file: Path) -> None:
    """备份到文件（使用中也可以）。Write a store to FILE while it is in use; FILE.manifest.json says what is in it."""
    from gridgis.store.moving import backup as write_backup

    _echo(write_backup(store, file))
    options.echo_written(file)


@command.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("store")
def restore(file: Path, store: str) -> None:
    """从备份恢复到空库。Bring a backup back into an empty store, proven by its counts and checksums."""
    from gridgis.store.moving import restore as bring_back

    _echo(bring_back(file, store))
    click.echo(f"已恢复 restored: {_shown(store)}", err=True)


@command.command("copy")
@click.argument("source")
@click.argument("goal")
def copy(source: str, goal: str) -> None:
    """复制整个库，文件与数据库之间均可。Copy a store into an empty one, file or database, either way."""
    from gridgis.store.moving import copy as copy_store

    with _progress() as told:
        held = copy_store(source, goal, told)
    _echo(held)
    click.echo(f"已复制，条数与校验和一致 copied, counts and checksums are equal: {_shown(goal)}", err=True)


class _Told:
    """Rows by table, on the terminal's error stream."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.status import Status

        self.status = Status("…", console=Console(stderr=True))

    def __call__(self, table: str, rows: int) -> None:
        self.status.update(f"{table}: {rows:,}")


@contextmanager
def _progress() -> Iterator[_Told]:
    told = _Told()
    with told.status:
        yield told


def _echo(held: Mapping[str, Digest]) -> None:
    rows = [(name, f"{found.rows:,}", found.checksum[:12]) for name, found in sorted(held.items()) if found.rows]
    options.echo_table("表 tables", ["表 table", "条 rows", "校验和 checksum"], rows)


def _shown(store: str) -> str:
    from gridgis.store.engines import place_of

    return place_of(store).name
