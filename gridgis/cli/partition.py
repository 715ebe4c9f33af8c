"""gridgis partition: share blocks out into grids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gridgis.cli import options


@click.command("partition")
@click.argument("blocks")
@click.option("--profile", help="规则 profile: a name or a .toml file")
@click.option("--norm", type=click.FloatRange(min=0, min_open=True), help="每格户数 households wanted in a grid")
@click.option("--tolerance", type=click.FloatRange(min=0), help="上下浮动 a fraction, as 0.25")
@click.option("--weight", type=click.Choice(["households", "persons"]), default="households", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--lock", help="保持不动的街坊 blocks (code, grid) that stay as they are")
@options.output
@options.as_json
@click.option("--crs", help="坐标系（文件没写明时）CRS of blocks that do not name theirs")
def command(
    blocks: str,
    profile: str | None,
    norm: float | None,
    tolerance: float | None,
    weight: str,
    seed: int,
    lock: str | None,
    output: Path,
    as_json: bool,
    crs: str | None,
) -> None:
    """把街坊均衡地分成网格：每格一整块，不跨社区。

    Share blocks out into grids of even load, each in one piece and inside its unit. Layers grids and blocks.
    """
    from gridgis.files import write_layers
    from gridgis.plan.partition import partition
    from gridgis.profile import Profile

    if (profile is None) == (norm is None):
        raise click.UsageError("give either --profile or --norm")
    wanted = Profile.load(profile) if profile is not None else float(norm or 0)
    table = options.read_place(blocks, "block", crs=crs)
    plan = partition(
        table,
        wanted,
        borders=_borders_beside(blocks, crs),
        tolerance=tolerance,
        weight=weight,
        seed=seed,
        lock=_locks(lock),
    )
    paths = write_layers({"grids": plan.grids, "blocks": plan.blocks}, output)
    if as_json:
        options.echo_json(plan.summary)
    else:
        echo_summary(plan.summary)
    options.echo_written(paths)


def _borders_beside(blocks: str, crs: str | None) -> Any:
    """The layer ``borders`` of the same file, or ``NAME.borders.EXT`` beside it; None where there is none."""
    from gridgis.files import read_layer_beside

    return read_layer_beside(blocks, "borders", table="border", crs=crs)


def _locks(spec: str | None) -> Any:
    from gridgis.files import read

    return None if spec is None else read(spec)


def echo_summary(summary: dict[str, Any]) -> None:
    """Print what a partition reached, and each grid off the norm with its reason."""
    click.echo(f"网格 grids: {summary['grids']}    标准 norm: {summary['norm']}")
    click.echo(f"超出范围 off norm: {summary['off_norm']}（至少 at least {summary['bound_off_norm']}）")
    click.echo(
        f"偏差 deviation: 最大 max {_share(summary['max_deviation'])}, 平均 mean {_share(summary['mean_deviation'])}"
    )
    click.echo(f"紧凑度 compactness: {summary['compactness']:.2f}")
    if summary["road_share"] is not None:
        click.echo(f"沿干道河道 on strong barriers: {_share(summary['road_share'])}")
    if summary["off"]:
        rows = [(off["grid"], off["households"], off["reason"]) for off in summary["off"]]
        options.echo_table("超出范围的网格 grids off the norm", ["网格 grid", "户 households", "原因 reason"], rows)
    click.echo(f"参数 parameters: {summary['parameters']}")


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
