"""gridgis patrol: was the ground walked, and were the rules kept?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
import pandas as pd

from gridgis.cli import options
from gridgis.errors import name_ids

if TYPE_CHECKING:
    from gridgis.profile import Profile

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command("patrol")
@click.argument("tracks", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--grids", required=True, help="网格 the grids")
@click.option("--profile", required=True, help="规则 profile: a name or a .toml file")
@click.option("--sight", type=click.FloatRange(min=0, min_open=True), help="视距（米）sight width in metres")
@click.option("--staff", help="人员 staff")
@click.option("--postings", help="任职 postings")
@click.option("--leave", help="请假 leave")
@click.option("--weather", help="极端天气 declared extreme weather")
@click.option("--sites", multiple=True, help="隐患点、走访地址，可给几份 sites and care addresses; may be repeated")
@click.option("--visits", help="走访记录 visits")
@click.option("--houses", help="房屋（走访地址的位置）houses, where care addresses lie")
@click.option("--segments", help="责任路段 road segments")
@click.option("--responsibility-blocks", help="责任块 responsibility blocks")
@click.option("--boards", help="公示牌 boards")
@click.option("--matters", help="事项 matters")
@click.option("--compounds", help="小区 compounds")
@click.option("--units", help="社区 communities")
@click.option("--boundary", help="辖区范围（查未覆盖）the ground that grids must cover")
@click.option("--buildings", help="楼栋（不算可走地面）buildings, no ground to be walked")
@click.option("--water", help="水面（不算可走地面）water, no ground to be walked")
@click.option("--streets", help="道路（走过多少，未巡地块旁是哪条） streets, to be passed and to name holes by")
@click.option("--from", "start", type=_DAY, help="起始日 first day")
@click.option("--to", "end", type=_DAY, help="末日 last day")
@click.option("--holes", type=click.Path(path_type=Path), help="未巡到的地块 the ground not walked, as polygons")
@click.option("--heat", type=click.Path(path_type=Path), help="各处有几天看到 on how many days ground was seen")
@click.option("--covered", type=click.Path(path_type=Path), help="谁走了哪里 who covered what")
@click.option("--html", type=click.Path(path_type=Path), help="带图的内部网页 an internal page with maps")
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
    heat: Path | None,
    covered: Path | None,
    html: Path | None,
    sites: Sequence[str],
    boundary: str | None,
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
    from gridgis.files import read_sites, stream_tracks, write, write_text
    from gridgis.patrol.rejects import REJECT_COLUMNS, rejected
    from gridgis.patrolled import check_patrols, patrol_document
    from gridgis.pipeline import check_tiling
    from gridgis.profile import Profile
    from gridgis.publish.compliance_report import compliance_page

    rules = Profile.load(profile)
    if sight is not None:
        rules = replace(rules, parameters=replace(rules.parameters, sight_m=sight))
    ground = options.read_place(grids, "grid", crs=crs)
    tables = _read_tables(files, crs)
    tables["sites"] = read_sites(sites, crs=crs) if sites else None
    if boundary is not None:
        tables["defects"] = check_tiling(
            ground, options.read_place(boundary, "boundary", crs=crs), rules, tables["units"]
        )
    tables["tracks"] = stream_tracks(
        list(tracks), datum=datum, rename=options.renaming(renames), staff_from=staff_from, pass_over=True
    )
    first, last = (None if day is None else day.date() for day in (start, end))
    layers = {"holes": holes, "heat": heat, "covered": covered}
    extras = {name for name, path in layers.items() if path is not None} | ({"holes"} if html is not None else set())
    walked = check_patrols(tables, ground, rules, start=first, end=last, datum=datum, extras=extras)
    lost = walked["patrols"] if tables["postings"] is not None else None
    judged = pd.DataFrame(walked["rules"].attrs["rejects"], columns=REJECT_COLUMNS)
    rejects = pd.concat(
        [rejected(walked["set_aside"], lost, tables["tracks"].rejects), judged], ignore_index=True
    ).drop_duplicates()
    written = _write({**walked, "rejects": rejects}, output)
    for name, path in layers.items():
        if path is not None:
            write(walked[name], path)
            written.append(path)
    if html is not None:
        write_text(compliance_page(walked, ground, walked["holes"], rules, staff=tables["staff"]), html)
        written.append(html)
    if as_json:
        options.echo_json(patrol_document(walked, rules.parameters.as_dict()))
    else:
        _echo(walked, rules)
        _echo_walks(walked)
    _echo_rejects(rejects)
    options.echo_written(written)


def _read_tables(files: dict[str, str | None], crs: str | None) -> dict[str, Any]:
    names = {
        "staff": "staff", "postings": "posting", "leave": "leave", "weather": "weather", "buildings": "building",
        "water": "water", "streets": "barrier", "visits": "visit", "houses": "house", "segments": "segment",
        "responsibility_blocks": "responsibility_block", "boards": "board", "matters": "matter",
        "compounds": "compound", "units": "unit",
    }  # fmt: skip
    return {name: options.read_optional(files[name], table, crs=crs) for name, table in names.items()}


def _write(walked: dict[str, Any], output: Path) -> list[Path]:
    """The covered shares where `output` says, and each other table that has rows beside it."""
    from gridgis.files import write
    from gridgis.findings import LISTS
    from gridgis.patrolled import with_chinese

    write(walked["coverage"], output)
    written = [output]
    names = (*LISTS, "rules", "suspicions", "stays", "datums", "rejects")
    for name in names:
        table = walked[name]
        if table is not None and len(table):
            path = output.with_name(f"{output.stem}.{name}{output.suffix}")
            write(with_chinese(table), path)
            written.append(path)
    return written


_RESULTS = {
    "kept": "达标 kept", "missed": "未达标 missed", "excused": "免责 excused", "undecided": "待定 undecided",
    "no data": "无数据 no data",
}  # fmt: skip


def _echo(walked: dict[str, Any], profile: Profile) -> None:
    covered, rules = walked["coverage"], walked["rules"]
    rows = [
        (r["grid"], f"{r['from']:%Y-%m-%d}", f"{r['to']:%Y-%m-%d}", f"{r['share']:.1%}")
        for r in covered.to_dict("records")
    ]
    options.echo_table("巡查覆盖 patrol coverage", ["网格 grid", "自 from", "至 to", "覆盖 share"], rows)
    _echo_rules(rules, profile)
    _echo_lists(walked)
    click.echo(f"参数 parameters: {covered.attrs.get('parameters', {})}")
    click.echo(f"规则参数 of the rules: {rules.attrs['parameters']}")


def _echo_rules(rules: Any, profile: Profile) -> None:
    """Each rule with its words and how often it was kept, missed …; then those that no machine can check, and why."""
    from gridgis.publish.rule_words import rule_mark, rule_name

    counts = rules.groupby(["rule", "result"]).size().to_dict()
    table = []
    for rule in profile.rules:
        if rule.check == "rule":
            name, mark = ("\n".join(words) for words in (rule_name(rule), rule_mark(rule)))
            table.append((rule.id, name, mark, *(counts.get((rule.id, result), "") for result in _RESULTS)))
    if table:
        columns = ["编号 id", "规定 rule", "要求 wanted", *_RESULTS.values()]
        options.echo_table(f"规则 rules: {profile.title}", columns, table)
    for rule in profile.rules:
        if rule.check == "none":
            click.echo(f"不能核对 not checked: {rule.id} {rule.metric}: {rule.why}")


def _echo_lists(walked: dict[str, Any]) -> None:
    rows: list[tuple[object, ...]]
    overdue, lights, scores, faults = (walked[name] for name in ("overdue", "lights", "scores", "board_faults"))
    if overdue is not None and len(overdue):
        rows = [(r.target, r.rule, r.wanted, f"{r.due:%Y-%m-%d}", r.days) for r in overdue.itertuples()]
        columns = ["对象 target", "规则 rule", "要求 wanted", "应于 due", "逾期天数 days"]
        options.echo_table("逾期未访 overdue", columns, rows)
    if lights is not None and len(lights):
        counts = lights["light"].value_counts()
        names = {"green": "绿 green", "yellow": "黄 yellow", "red": "红 red"}
        options.echo_table(
            "事项灯 lights of matters", list(names.values()), [[int(counts.get(light, 0)) for light in names]]
        )
    if scores is not None and len(scores):
        rows = [(r.staff or r.grid, f"{r.score:g}", r.formula, r.unknown) for r in scores.itertuples()]
        columns = ["对象 of", "得分 score", "算式 formula", "未计 not known"]
        options.echo_table("得分 scores", columns, rows)
    if faults is not None and len(faults):
        names = {
            "lacking": "没有公示牌 lacking", "incomplete": "内容不全 incomplete", "overdue": "久未检查 overdue",
            "unchecked": "无检查日期 unchecked", "placeless": "无位置 placeless",
        }  # fmt: skip
        rows = [(r.code, names[r.fault], r.detail) for r in faults.itertuples()]
        options.echo_table("公示牌问题 faults of boards", ["编码 code", "问题 fault", "说明 detail"], rows)


def _echo_walks(walked: Mapping[str, Any]) -> None:
    """The cleaning in one line, and a table of what is odd."""
    from gridgis.publish.rule_words import SUSPICIONS

    fixes, odd = walked["fixes"], walked["suspicions"]
    dropped = {reason: n for reason, n in fixes.attrs["dropped"].items() if n}
    click.echo(f"清洗 cleaning: {fixes.attrs['counts']}  未用 set aside: {dropped}")
    if len(odd):
        kinds = [" ".join(SUSPICIONS[kind]) for kind in odd["kind"]]
        rows = [
            (r["staff"], _day(r["date"]), kind, _other(r), f"{r['measure']:.4g} {r['unit']}", r["detail"])
            for r, kind in zip(odd.to_dict("records"), kinds, strict=True)
        ]
        options.echo_table(
            "待核实（并非结论） to be asked about, no verdict",
            ["人员 staff", "日期 date", "可疑 kind", "与 other", "量 measure", "说明 detail"],
            rows,
        )


def _echo_rejects(rejects: pd.DataFrame) -> None:
    """What was set aside, by reason, with the first ten ids (fixes have none) and the count; on stderr."""
    for (table, reason), rows in rejects.groupby(["table", "reason"], sort=False):
        named = f"{len(rows)} fixes" if table == "tracks" else name_ids(rows["id"], "row")
        click.echo(f"未用 set aside: {table} ({named}): {reason}", err=True)


def _day(value: Any) -> str:
    return "" if pd.isna(value) else f"{value:%Y-%m-%d}"


def _other(row: Mapping[str, Any]) -> str:
    return "" if row["other"] is None else f"{row['other']} {_day(row['other_date'])}"
