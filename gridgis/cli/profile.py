"""gridgis profile: the rules of a locality."""

from __future__ import annotations

from dataclasses import asdict

import click

from gridgis.cli import options


@click.group("profile")
def command() -> None:
    """查看各地规则。The norms, parameters and rules of a locality."""


@command.command("list")
def list_command() -> None:
    """列出随附的规则。The profiles that ship."""
    from gridgis.profile import Profile

    for name in Profile.names():
        shown = Profile.load(name)
        click.echo(f"{name:12} {shown.title}（{len(shown.rules)} 条规则 rules）")


@command.command("show")
@click.argument("name")
def show_command(name: str) -> None:
    """显示一份规则。One profile: a name, or a .toml file of your own."""
    from gridgis.profile import Profile

    shown = Profile.load(name)
    norm = shown.norm
    click.echo(f"{shown.name}: {shown.title}")
    click.echo(f"户数标准 households: {dict(norm.households) or '–'}    人数 persons: {norm.persons or '–'}")
    click.echo(f"浮动 tolerance: {norm.tolerance}    每社区网格 grids a community: {norm.grids_per_community or '–'}")
    click.echo(f"不可跨越 never across: {', '.join(norm.never_cross) or '–'}")
    click.echo(f"层级 levels: {' > '.join(shown.levels)}    编码 code: {shown.code}，次序 order: {shown.code_order}")
    click.echo(f"公示牌必填 board: {', '.join(shown.board_required) or '–'}")
    click.echo(f"权重 weights: {', '.join(f'{k} {v:g}' for k, v in asdict(shown.weights).items())}")
    for key, value in shown.parameters.as_dict().items():
        click.echo(f"  {key} = {value}")
    if shown.rules:
        rows = [(r.id, r.subject, r.metric, f"{r.op} {r.value} {r.unit}", r.period) for r in shown.rules]
        options.echo_table("规则 rules", ["id", "subject", "metric", "wanted", "period"], rows)


@command.command("check")
@click.argument("name")
def check_command(name: str) -> int:
    """检查自己的规则文件；有错误时退出码为 1。Check a profile of your own; exit code 1 when it has a fault."""
    from pathlib import Path

    from gridgis.errors import ProfileError
    from gridgis.profile import Profile

    if not Path(name).is_file():
        Profile.load(name)  # one that ships, or an error of the argument, not of a profile
    try:
        shown = Profile.load(name)
    except ProfileError as error:
        click.echo(f"有误 fault: {error}")
        return 1
    click.echo(f"可用 can be used: {shown.name}（{len(shown.rules)} 条规则 rules）")
    return 0
