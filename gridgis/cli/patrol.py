"""gridgis patrol: was the ground walked, and were the rules kept?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import click
import pandas as pd

from gridgis.cli import options
from gridgis.errors import name_ids

_DAY = click.DateTime(["%Y-%m-%d"])

#: The kinds of suspicion in both languages.
_KINDS = {
    "same track": "轨迹重复 same track", "vehicle": "车速 vehicle", "still": "静置 still",
    "straight line": "笔直 straight line", "two places": "同时两地 two places", "future time": "未来时间 future time",
    "wrong clock": "时钟不对 wrong clock",
}  # fmt: skip


@click.command("patrol")
@click.argument("tracks", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--grids", required=True, help="网格 the grids")
@click.option("--profile", required=True, help="规则 profile: a name or a .toml file")
@click.option("--sight", type=click.FloatRange(min=0, min_open=True), help="视距（米）sight width in metres")
@click.option("--staff", help="人员 staff")
@click.option("--postings", help="任职 postings")
@click.option("--leave", help="请假 leave")
@click.option("--weather", help="极端天气 declared extreme weather")
@click.option("--buildings", help="楼栋（不算可走地面）buildings, no ground to be walked")
@click.option("--water", help="水面（不算可走地面）water, no ground to be walked")
@click.option("--streets", help="道路（走过多少，未巡地块旁是哪条） streets, to be passed and to name holes by")
@click.option("--from", "start", type=_DAY, help="起始日 first day")
@click.option("--to", "end", type=_DAY, help="末日 last day")
@click.option("--holes", type=click.Path(path_type=Path), help="未巡到的地块 the ground not walked, as polygons")
@options.output
@options.as_json
@click.option("--crs", help="坐标系（文件没写明时）CRS of layers that do not name theirs")
@click.option("--datum", type=click.Choice(["wgs84", "gcj02", "bd09"]), help="轨迹的坐标偏移 the datum of the tracks")
@click.option("--map", "renames", multiple=True, metavar="THEIRS=OURS", help="轨迹的列名 rename a column of the tracks")
@click.option(
    "--staff-from",
    type=click.Choice(["track", "file"]),
    default="track",
    show_default=True,
    help="GPX 是谁走的：按轨迹名或文件名 whose walk a GPX is: by its track's name or the file's",
)
def command(
    tracks: Sequence[Path],
    grids: str,
    profile: str,
    sight: float | None,
    start: datetime | None,
    end: datetime | None,
    holes: Path | None,
    output: Path,
    as_json: bool,
    crs: str | None,
    datum: str | None,
    renames: Sequence[str],
    staff_from: Literal["track", "file"],
    **files: str | None,
) -> None:
    """巡查：网格内的时长、里程、覆盖率，规则达标与否。

    Hours and kilometres inside the grid, the covered share, and each rule kept or missed.
    """
    from gridgis.files import read_usable_tracks, write
    from gridgis.patrol.rejects import rejected
    from gridgis.pipeline import check_patrols, obstacles, patrol_document
    from gridgis.profile import Profile

    rules = Profile.load(profile)
    if sight is not None:
        rules = replace(rules, parameters=replace(rules.parameters, sight_m=sight))
    ground = options.read_place(grids, "grid", crs=crs)
    tables = _read_tables(files, crs)
    tables["tracks"], unread = read_usable_tracks(
        list(tracks), datum=datum, rename=options.renaming(renames), staff_from=staff_from
    )
    first, last = (None if day is None else day.date() for day in (start, end))
    walked = check_patrols(tables, ground, rules, start=first, end=last, datum=datum)
    lost = walked["patrols"] if tables["postings"] is not None else None
    walked["rejects"] = rejected(walked["fixes"], lost, unread)
    write(walked["coverage"], output)
    beside = {name: walked[name] for name in ("suspicions", "stays", "datums", "rejects")}
    written = [output, *_write_beside(beside, output)]
    if holes is not None:
        from gridgis.patrol.coverage import holes as find_holes

        parameters = rules.parameters
        missed = find_holes(
            walked["fixes"],
            ground,
            sight=parameters.sight_m,
            obstacles=obstacles(tables, ground),
            streets=tables["streets"],
            start=first,
            end=last,
            parameters=parameters,
        )
        write(missed, holes)
        written.append(holes)
    if as_json:
        options.echo_json(patrol_document(walked, rules.parameters.as_dict()))
    else:
        _echo(walked)
        _echo_walks(walked)
    _echo_rejects(walked["rejects"])
    options.echo_written(written)


def _read_tables(files: dict[str, str | None], crs: str | None) -> dict[str, Any]:
    names = {
        "staff": "staff",
        "postings": "posting",
        "leave": "leave",
        "weather": "weather",
        "buildings": "building",
        "water": "water",
        "streets": "barrier",
    }
    return {name: options.read_optional(files[name], table, crs=crs) for name, table in names.items()}


def _echo(walked: dict[str, Any]) -> None:
    covered = walked["coverage"]
    rows = [
        (r["grid"], f"{r['from']:%Y-%m-%d}", f"{r['to']:%Y-%m-%d}", f"{r['share']:.1%}")
        for r in covered.to_dict("records")
    ]
    options.echo_table("巡查覆盖 patrol coverage", ["网格 grid", "自 from", "至 to", "覆盖 share"], rows)
    rules = walked["rules"]
    if len(rules):
        counts = rules.groupby(["rule", "result"]).size().reset_index(name="n")
        options.echo_table("规则 rules", ["规则 rule", "结果 result", "次 n"], counts.to_numpy().tolist())
    click.echo(f"参数 parameters: {covered.attrs.get('parameters', {})}")


def _write_beside(tables: Mapping[str, pd.DataFrame | None], output: Path) -> list[Path]:
    """Each table that has rows as NAME.<table>.EXT beside `output`."""
    from gridgis.files import write

    written = []
    for name, table in tables.items():
        if table is not None and len(table):
            path = output.with_name(f"{output.stem}.{name}{output.suffix}")
            write(table, path)
            written.append(path)
    return written


def _echo_walks(walked: Mapping[str, Any]) -> None:
    """The cleaning in one line, and a table of what is odd."""
    fixes, odd = walked["fixes"], walked["suspicions"]
    dropped = {reason: n for reason, n in fixes.attrs["dropped"].items() if n}
    click.echo(f"清洗 cleaning: {fixes.attrs['counts']}  未用 set aside: {dropped}")
    if len(odd):
        rows = [
            (r["staff"], _day(r["date"]), _KINDS[r["kind"]], _other(r), f"{r['measure']:.4g} {r['unit']}", r["detail"])
            for r in odd.to_dict("records")
        ]
        options.echo_table(
            "待核实（并非结论） to be asked about, no verdict",
            ["人员 staff", "日期 date", "可疑 kind", "与 other", "量 measure", "说明 detail"],
            rows,
        )


def _echo_rejects(rejects: pd.DataFrame) -> None:
    """What was set aside, by reason, on stderr."""
    for (table, reason), rows in rejects.groupby(["table", "reason"], sort=False):
        named = f" ({name_ids(rows['id'])})" if table != "tracks" else ""
        click.echo(f"未用 set aside: {table}, {len(rows)}{named}: {reason}", err=True)


def _day(value: Any) -> str:
    return "" if pd.isna(value) else f"{value:%Y-%m-%d}"


def _other(row: Mapping[str, Any]) -> str:
    return "" if row["other"] is None else f"{row['other']} {_day(row['other_date'])}"
