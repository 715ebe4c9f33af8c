"""gridgis partition: share blocks out into grids."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from gridgis.cli import options
from gridgis.errors import GridgisWarning


@click.command("partition")
@click.argument("blocks")
@click.option("--profile", help="规则 profile: a name or a .toml file")
@click.option("--norm", type=click.FloatRange(min=0, min_open=True), help="每格户数 households wanted in a grid")
@click.option("--tolerance", type=click.FloatRange(min=0), help="上下浮动 a fraction, as 0.25")
@click.option("--weight", type=click.Choice(["households", "persons"]), default="households", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--lock", help="保持不动的街坊 blocks (code, grid) that stay as they are")
@click.option("--never-cross", metavar="CLASS,…", help="不可跨越的界线 classes of barriers that no grid crosses")
@click.option("--previous", help="上一版方案，编码沿用 the plan to go on from; its codes go on")
@click.option("--stay", type=click.FloatRange(min=0), default=0.0, show_default=True,
              help="换格的代价 price of a norm's households that leave their grid; needs --previous")  # fmt: skip
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
    never_cross: str | None,
    previous: str | None,
    stay: float,
    output: Path,
    as_json: bool,
    crs: str | None,
) -> None:
    """把街坊均衡地分成网格：每格一整块，不跨社区。Ctrl-C 停止，写出目前最好的方案。

    Share blocks out into grids of even load, each in one piece and inside its unit. Layers grids and blocks. Says first
    what is possible; Ctrl-C stops, and the best plan so far is written.
    """
    from gridgis.files import write_layers
    from gridgis.plan.partition import partition

    if (profile is None) == (norm is None):
        raise click.UsageError("give either --profile or --norm")
    table = options.read_place(blocks, "block", crs=crs)
    with options.naming(blocks=blocks, lock=lock, previous=previous, grids=None), searching() as progress:
        plan = partition(
            table,
            the_norm(profile, norm),
            borders=borders_beside(blocks, crs),
            tolerance=tolerance,
            weight=weight,
            seed=seed,
            lock=read_locks(lock),
            never_cross=classes(never_cross),
            previous=None if previous is None else read_plan_layer(previous, crs),
            stay=stay,
            progress=progress,
        )
    paths = write_layers({"grids": plan.grids, "blocks": plan.blocks}, output)
    if as_json:
        options.echo_json(plan.summary)
    else:
        echo_summary(plan.summary)
    options.echo_written(paths)


# --- what rebalance needs as well -------------------------------------------------------------------------------------


def the_norm(profile: str | None, norm: float | None) -> Any:
    """The profile or the number that was given."""
    from gridgis.profile import Profile

    return Profile.load(profile) if profile is not None else float(norm or 0)


def classes(text: str | None) -> list[str]:
    """The classes of --never-cross."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def borders_beside(blocks: str, crs: str | None) -> Any:
    """The layer ``borders`` of the same file, or ``NAME.borders.EXT`` beside it; None where there is none."""
    from gridgis.files import read_layer_beside

    return read_layer_beside(blocks, "borders", table="border", crs=crs)


def read_locks(spec: str | None) -> Any:
    """The table of locks, None where no file was named."""
    from gridgis.files import read

    return None if spec is None else read(spec)


def read_plan_layer(spec: str, crs: str | None) -> Any:
    """The grids of a previous plan, or its blocks with their grid where a layer is named or it has nothing else."""
    return options.read_place(spec, "grid", crs=crs)


@contextmanager
def searching() -> Iterator[Callable[[Any], None]]:
    """What is possible, and then how far the search is, on stderr."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("划分 sharing out", total=None)
        said = False

        def tell(now: Any) -> None:
            nonlocal said
            if not said:
                said = True
                click.echo(
                    f"可能 possible: {now.outlook.grids} 个网格 grids，{now.outlook.pieces} 片 pieces of ground；"
                    f"至少 {now.outlook.bound_off_norm} 个超出标准 at least {now.outlook.bound_off_norm} off the norm",
                    err=True,
                )
                for note in now.outlook.notes:
                    warnings.warn(note, GridgisWarning, stacklevel=1)
            bar.update(task, total=now.outlook.pieces, completed=now.done)

        yield tell


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
    if "moved" in summary:
        share = "" if summary["moved_share"] is None else f"（{_share(summary['moved_share'])}）"
        click.echo(f"换格 moved: {summary['moved']:,}{share}，{summary['moved_blocks']} 个街坊 blocks")
    if summary["off"]:
        rows = [(off["grid"], off["households"], off["reason"], off.get("remedy")) for off in summary["off"]]
        columns = ["网格 grid", "户 households", "原因 reason", "办法 remedy"]
        options.echo_table("超出范围的网格 grids off the norm", columns, rows)
    if summary.get("communities_off"):
        told = [(unit["unit"], unit["grids"], unit["reason"]) for unit in summary["communities_off"]]
        low, high = summary["grids_per_community"]
        options.echo_table(
            f"不在每社区 {low}–{high} 格之内 communities without {low}–{high} grids",
            ["社区 unit", "网格 grids", "原因 reason"], told,
        )  # fmt: skip
    click.echo(f"参数 parameters: {summary['parameters']}")


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
