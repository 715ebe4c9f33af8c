"""gridgis diff: what is different between two plans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gridgis.cli import options

#: Rows of a table that the terminal shows; --json and -o have all.
_SHOWN = 30


@click.command("diff")
@click.argument("plan_a")
@click.argument("plan_b")
@click.option("--houses", help="房屋，按住处计户 houses, to count households where they live")
@options.output_or_none
@options.as_json
@click.option("--crs", help="坐标系（文件没写明时）CRS of inputs that do not name theirs")
def command(plan_a: str, plan_b: str, houses: str | None, output: Path | None, as_json: bool, crs: str | None) -> None:
    """比较两个方案：谁的地、谁的户归了谁，哪些编码保留、新增、撤销。

    Compare two plans of grids: ground and households that move from whom to whom, codes kept, new and gone, successors.
    """
    from gridgis.files import write
    from gridgis.plan.difference import difference

    before = options.read_place(plan_a, "grid", crs=crs)
    after = options.read_place(plan_b, "grid", crs=crs)
    lived = options.read_optional(houses, "house", crs=crs)
    with options.naming(before=plan_a, after=plan_b, houses=houses):
        found = difference(before, after, houses=lived)
    if output is not None:
        write(found.moved, output)
    if as_json:
        options.echo_json(found.summary)
    else:
        _echo(found.summary)
    if output is not None:
        options.echo_written(output)


def _echo(summary: dict[str, Any]) -> None:
    click.echo(f"网格 grids: {summary['grids_before']} → {summary['grids_after']}")
    for status, title in (
        ("kept", "未变 kept"),
        ("changed", "有变 changed"),
        ("new", "新增 new"),
        ("gone", "撤销 gone"),
    ):
        codes = summary[status]
        click.echo(f"{title}: {len(codes)}{'' if status == 'kept' or not codes else f'（{_few(codes)}）'}")
    if summary["recoded"]:
        pairs = [f"{pair['from']} → {pair['to']}" for pair in summary["recoded"]]
        click.echo(f"只换编码 only recoded: {len(pairs)}（{_few(pairs)}）")
    click.echo(f"换格面积 ground moved: {summary['ground_moved_m2']:,.0f} m²")
    click.echo(
        f"不再覆盖 left: {summary['ground_left_m2']:,.0f} m²    新覆盖 added: {summary['ground_added_m2']:,.0f} m²"
    )
    if summary["households_moved"] is not None:
        note = "（按面积估算 estimated by area）" if summary["households_estimated"] else ""
        click.echo(f"换格户数 households moved: {summary['households_moved']:,}{note}")
    if summary["moved"]:
        rows = [(m["from"], m["to"], f"{m['area_m2']:,.0f}", m["households"]) for m in summary["moved"][:_SHOWN]]
        options.echo_table("换格 moved", ["从 from", "到 to", "m²", "户 households"], rows)
    if len(summary["moved"]) > _SHOWN:
        click.echo(f"……共 {len(summary['moved'])} 行；全部见 all of them: --json, -o")
    click.echo(f"参数 parameters: {summary['parameters']}")


def _few(codes: list[str], most: int = 10) -> str:
    return ", ".join(codes[:most]) + (", …" if len(codes) > most else "")
