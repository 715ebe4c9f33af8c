"""gridgis repair: mend a tiling and say what changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gridgis.cli import options
from gridgis.cli.validate import (
    check_folder,
    check_outputs,
    echo_verdict,
    page_of,
    read_grids,
    read_ground,
    read_parents,
)
from gridgis.errors import InputError

_SHOWN = 30


@click.command("repair")
@click.argument("grids", metavar="GRIDS")
@click.option("--boundary", help="范围 the ground to be covered; by default the outer rings of the grids' own union")
@click.option("--code", "code", metavar="COL", help="编码列 the column with each grid's code")
@click.option("--parents", metavar="FILE", help="上级 the next level above: grids are cut along its borders")
@click.option("--parent", metavar="COL", help="所属上级列 the column that names each grid's parent [parent]")
@click.option("--protect", metavar="CODE,…", help="不可改动的网格 codes of grids that must not change")
@click.option(
    "--receiver", type=click.Choice(["longest_border", "largest", "smallest", "least_load"]),
    default="longest_border", show_default=True, help="争议地划给谁 who gets ground that several grids have, or none",
)  # fmt: skip
@click.option("--load", metavar="COL", help="负荷列 the column for least_load [households]")
@click.option("--priority", metavar="COL", help="优先级列，小者先得 the lowest number gets the ground")
@click.option("--holes", metavar="FILE", help="已知的空洞（湖、飞地） known holes stay open")
@click.option("--houses", metavar="FILE", help="房屋 list the houses that change grid")
@click.option(
    "--inlet-width", type=click.FloatRange(min=0), default=0.0, show_default=True,
    help="米 m: without a boundary, fill strips open to the outside and narrower than this",
)  # fmt: skip
@click.option(
    "--small-part", "small_part_m2", type=click.FloatRange(min=0), default=2_000.0, show_default=True,
    help="平方米 m²: a part up to this, and a tenth of its grid, goes to a neighbour",
)  # fmt: skip
@click.option(
    "--merge-slivers", is_flag=True, help="整个网格是碎条时也并入 also empty grids that are slivers as a whole"
)
@click.option("--snap", type=click.FloatRange(min=0), default=0.0, show_default=True, help="米 m: close finer strips")
@options.output
@click.option("--log", type=click.Path(path_type=Path, dir_okay=False), help="改动记录 what changed, as .csv")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="网页报告 a page: what changed, what is left"
)
@options.as_json
@options.reading
def command(
    grids: str,
    boundary: str | None,
    code: str | None,
    parents: str | None,
    protect: str | None,
    holes: str | None,
    houses: str | None,
    output: Path,
    log: Path | None,
    html: Path | None,
    as_json: bool,
    crs: str | None,
    datum: str | None,
    renames: Sequence[str],
    **settings: Any,
) -> int:
    """修补网格：重叠、空隙、越界等划给一个网格，其余坐标一个不动。

    Mend grids so that they tile the ground: overlaps, gaps and what lies outside go to one grid; no other coordinate
    changes. Exit code 1 when errors are left.
    """
    from gridgis.plan.repair import repair
    from gridgis.plan.validate import verdict

    for path in (log, html):
        check_folder(path)
    check_outputs([output, log, html], [grids, boundary, parents, holes, houses])
    if log is not None and log.suffix.lower() != ".csv":
        raise InputError("the log is a table", source=log, found=log.suffix or "no ending", wanted=".csv")
    table, column = read_grids(grids, code, crs=crs, datum=datum, rename=options.renaming(renames))
    ground = read_ground(boundary, "boundary", crs, near=table)
    columns = {"code": column, "parent": settings["parent"]}
    levels = read_parents([] if parents is None else [parents], crs, **columns, near=table)
    above = levels.get("parents", [])
    if len(above) > 1:
        raise InputError("the parents have several levels", source=parents, wanted="the next level above the grids")
    with options.naming(grids=grids, boundary=boundary, parents=parents, holes=holes, houses=houses):
        result = repair(
            table,
            ground,
            code=column,
            parents=above[0] if above else None,
            level_name=levels["level_names"][0] if above else None,
            protect=[] if protect is None else [text.strip() for text in protect.split(",") if text.strip()],
            holes=read_ground(holes, "boundary", crs),
            houses=None if houses is None else options.read_place(houses, "house", crs=crs),
            **settings,
        )
    left = verdict(result.left)
    page = None if html is None else page_of(left, result.left, result.grids, ground, [str(output)], log=result.log)
    _write(result, output, log, html, page)
    if as_json:
        options.echo_json(_document(result, left))
    else:
        _echo(result, left)
    return 0 if left["valid"] else 1


def _write(result: Any, output: Path, log: Path | None, html: Path | None, page: str | None) -> None:
    from gridgis.files import write, write_text

    write(result.grids, output)
    options.echo_written(output)
    if log is not None:
        write(result.log, log)
        options.echo_written(log)
        if result.moved is not None:
            beside = log.with_suffix(f".houses{log.suffix}")
            write(result.moved, beside)
            options.echo_written(beside)
    if html is not None and page is not None:
        write_text(page, html)
        options.echo_written(html)


def _document(result: Any, left: dict[str, Any]) -> dict[str, Any]:
    """The log and what is left, ready for JSON."""
    return {
        "changed": len(result.log),
        "log": result.log.to_dict("records"),
        "houses": None if result.moved is None else result.moved.to_dict("records"),
        "left": left,
    }


def _echo(result: Any, left: dict[str, Any]) -> None:
    """Print what changed, the houses that moved, and what is left."""
    changed = result.log
    click.echo(f"改动 changed: {len(changed)} 个网格 grids")
    columns = ["网格 grid", "m²", "得 gained", "失 lost", "顶点 vertices", "最远 farthest m"]
    rows = [
        (
            row.code,
            f"{row.area_before_m2:,.2f} → {row.area_after_m2:,.2f}",
            row.gained_from,
            row.lost_to,
            f"+{row.vertices_added} −{row.vertices_removed}",
            f"{row.farthest_move_m:.3g}",
        )
        for row in changed.head(_SHOWN).itertuples()
    ]
    if rows:
        options.echo_table("", columns, rows)
    if len(changed) > _SHOWN:
        click.echo(f"… 共 in all {len(changed)}; --log FILE 可全部写出 writes them all")
    if result.moved is not None:
        click.echo(f"换格房屋 houses in another grid: {len(result.moved)}")
        moves = result.moved.head(_SHOWN).fillna("—").itertuples(index=False, name=None)
        if len(result.moved):
            options.echo_table("", ["房屋 house", "原 from", "现 to"], moves)
    click.echo("余下 left:")
    echo_verdict(left)
