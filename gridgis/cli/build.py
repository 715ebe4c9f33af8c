"""gridgis build: the whole job from a project file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gridgis.cli import options


@click.command("build")
@click.argument("project", type=click.Path(path_type=Path, dir_okay=False), metavar="PROJECT.toml")
@click.option("--serve", "then_serve", is_flag=True, help="完成后打开地图 open the map afterwards")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
def command(project: Path, then_serve: bool, port: int) -> None:
    """按项目文件跑全程：街坊、网格、检查、落格、巡查、入库。

    Blocks, grids, a verdict on the tiling, houses and persons in their grids, patrol coverage, a store and a report.
    """
    result = build_with_progress(project)
    if then_serve:
        from gridgis.cli.serve import serve_store

        serve_store(result.store, "127.0.0.1", port)


def build_with_progress(path: Path) -> Any:
    """Run the build, telling each step on stderr, and print what came out."""
    from rich.console import Console

    from gridgis.pipeline import build
    from gridgis.project import Project

    project = Project.load(path)
    console = Console(stderr=True, highlight=False, markup=False)
    with console.status("…") as status:
        result = build(project, status.update)
    click.echo(f"{project.title}")
    click.echo(f"街坊 blocks: {result.counts['block']}    网格 grids: {result.counts['grid']}")
    word = "通过 valid" if result.verdict["valid"] else "不通过 not valid"
    found = ", ".join(f"{kind} {n}" for kind, n in result.verdict["counts"].items() if n) or "无 none"
    click.echo(f"铺满检查 tiling: {word}; 缺陷 defects: {found}")
    click.echo(f"房屋 houses: {result.counts['house']}    人员 persons: {result.counts['person']}")
    click.echo(f"巡查 patrols: {result.counts['patrol']}")
    if result.tracks is not None:
        options.echo_kept(result.tracks)
    if result.old_tracks:
        click.echo(result.old_tracks)
    click.echo(f"成果 results: {result.out}    库 store: {result.store}")
    options.echo_written(result.out / "report.html")
    return result
