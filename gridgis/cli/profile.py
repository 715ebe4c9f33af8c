"""gridgis profile: the rules of a locality."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from gridgis.cli import options

if TYPE_CHECKING:
    from gridgis.rules import Rule

_STRENGTHS = {
    "must": "必须 must", "principle": "原则上 principle", "observed": "仅见于实际 observed", "plan": "计划 plan",
    "target": "目标 target",
}  # fmt: skip


@click.group("profile")
def command() -> None:
    """查看各地规则。The norms, parameters and rules of a locality."""


@command.command("list")
def list_command() -> None:
    """列出随附的规则。The profiles that ship."""
    from gridgis.profile import Profile

    rows = []
    for name in Profile.names():
        shown = Profile.load(name)
        checked, score = (sum(rule.check == how for rule in shown.rules) for how in ("rule", "score"))
        rows.append((name, shown.title, len(shown.rules), checked, score, len(shown.rules) - checked - score))
    columns = ["名称 name", "标题 title", "规定 rules", "机器核对 checked", "计分 in the score", "不能核对 not checked"]
    options.echo_table("规则 profiles", columns, rows)


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
    if shown.score.template:
        click.echo(f"计分办法 score: {shown.score.template}")
    if shown.rules:
        rows = [
            (r.id, _STRENGTHS[r.strength], r.subject, r.metric, f"{r.op} {_mark(r)} {r.unit}", r.period, _how(r))
            for r in shown.rules
        ]
        columns = [
            "编号 id",
            "效力 strength",
            "对象 subject",
            "指标 metric",
            "要求 wanted",
            "周期 period",
            "核对 check",
        ]
        options.echo_table("规则 rules", columns, rows)


def _mark(rule: Rule) -> str:
    between = " 至 to " if rule.op == "between" else "、"
    return between.join(f"{v:g}" for v in rule.value) if isinstance(rule.value, tuple) else f"{rule.value}"


def _how(rule: Rule) -> str:
    if rule.check == "none":
        return f"不能核对 not checked: {rule.why}"
    return "计分 in the score" if rule.check == "score" else "机器 by machine"


@command.command("check")
@click.argument("name")
def check_command(name: str) -> int:
    """检查规则文件，逐行列出错误；有错误时退出码为 1。Every fault of a profile with its line; then exit code 1."""
    from gridgis.profile import Profile

    faults = Profile.faults(name)
    for fault in faults:
        click.echo(f"有误 fault: {fault}")
    if faults:
        return 1
    shown = Profile.load(name)
    click.echo(f"可用 can be used: {shown.name}（{len(shown.rules)} 条规则 rules）")
    return 0
