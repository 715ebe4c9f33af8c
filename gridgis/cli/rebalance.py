"""gridgis rebalance: share the blocks of some grids out anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gridgis.cli import options
from gridgis.cli.partition import borders_beside, classes, echo_summary, read_locks, searching, the_norm


@click.command("rebalance")
@click.argument("plan")
@click.option("--grids", required=True, metavar="CODE,…", help="相邻的网格 codes of grids side by side")
@click.option("--profile", help="规则 profile: a name or a .toml file; default: 原方案的标准 the norm of the plan")
@click.option("--norm", type=click.FloatRange(min=0, min_open=True), help="每格户数 households wanted in a grid")
@click.option("--tolerance", type=click.FloatRange(min=0), help="上下浮动 a fraction, as 0.25")
@click.option("--weight", type=click.Choice(["households", "persons"]), default="households", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--stay", type=click.FloatRange(min=0), default=0.0, show_default=True,
              help="换格的代价 price of a norm's households that leave their grid")  # fmt: skip
@click.option("--change-count", is_flag=True, help="格数可变 another number of grids where that is better")
@click.option("--lock", help="锁定的街坊 blocks (code, grid) whose grids must not change")
@click.option("--never-cross", metavar="CLASS,…", help="不可跨越的界线 classes of barriers that no grid crosses")
@options.output
@options.as_json
@click.option("--crs", help="坐标系（文件没写明时）CRS of a plan that does not name its")
def command(
    plan: str,
    grids: str,
    profile: str | None,
    norm: float | None,
    tolerance: float | None,
    weight: str,
    seed: int,
    stay: float,
    change_count: bool,
    lock: str | None,
    never_cross: str | None,
    output: Path,
    as_json: bool,
    crs: str | None,
) -> None:
    """只重划所选的几个网格，其余网格一点不动。

    Share the blocks of some grids of a partition out anew; every other grid stays as it is, byte for byte. The norm is
    that of the plan, unless --profile or --norm says otherwise. Layers grids, blocks and, where there are, borders.
    """
    from gridgis.files import write_layers
    from gridgis.plan.rebalance import rebalance

    if profile is not None and norm is not None:
        raise click.UsageError("give either --profile or --norm")
    before, borders = _read(plan, crs), borders_beside(plan, crs)
    wanted = the_norm(profile, norm) if profile is not None or norm is not None else _norm(before, weight, plan)
    with options.naming(blocks=plan, grids=plan, lock=lock, borders=plan), searching() as progress:
        made = rebalance(
            before,
            [code.strip() for code in grids.split(",") if code.strip()],
            wanted,
            borders=borders,
            tolerance=tolerance,
            weight=weight,
            seed=seed,
            stay=stay,
            lock=read_locks(lock),
            never_cross=classes(never_cross),
            keep_count=not change_count,
            progress=progress,
        )
    layers = {"grids": made.grids, "blocks": made.blocks}
    paths = write_layers(layers if borders is None else layers | {"borders": borders}, output)
    if as_json:
        options.echo_json(made.summary)
    else:
        _echo(made.summary)
    options.echo_written(paths)


def _read(spec: str, crs: str | None) -> Any:
    """The grids and blocks of a plan."""
    from gridgis.errors import InputError
    from gridgis.files import read_layer_beside
    from gridgis.plan.partition import Plan

    blocks = read_layer_beside(spec, "blocks", table="block", crs=crs)
    if blocks is None:
        raise InputError(
            "the plan has no blocks", source=spec, wanted="a layer blocks, or NAME.blocks.EXT beside it",
            remedy="gridgis partition writes both; gridgis adopt makes a plan of blocks out of grids.",
        )  # fmt: skip
    grids = options.read_place(spec, "grid", crs=crs)
    return Plan(options.need_place(blocks, spec), grids, {})


def _norm(plan: Any, weight: str, spec: str) -> Any:
    """The norm that the plan was made for."""
    from gridgis.errors import PlanError
    from gridgis.plan.rebalance import norm_of

    found = norm_of(plan.grids) if weight == "households" else None
    if found is None:
        raise PlanError(
            "the plan does not tell its norm", source=spec, found="no deviation of households, or several norms",
            wanted="--profile P or --norm N",
        )  # fmt: skip
    return found


def _echo(summary: dict[str, Any]) -> None:
    count = f"新 new {', '.join(summary['new']) or '–'}，撤销 gone {', '.join(summary['gone']) or '–'}"
    click.echo(f"重划 rebalanced: {', '.join(summary['rebalanced'])}    {count}")
    click.echo(f"有变 changed: {', '.join(summary['changed']) or '–'}")
    echo_summary(summary)
