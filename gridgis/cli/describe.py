"""gridgis describe: bounds text, border on barriers, load, compactness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import click

from gridgis.cli import options


@click.command("describe")
@click.argument("grids")
@click.option("--barriers", required=True, help="道路、河道 roads, rivers")
@click.option("--profile", help="规则 profile: a name or a .toml file")
@click.option("--units", help="社区 communities, for names")
@click.option("--houses", help="房屋 houses, to count households")
@options.output
@options.reading
def command(
    grids: str,
    barriers: str,
    profile: str | None,
    units: str | None,
    houses: str | None,
    output: Path,
    crs: str | None,
    datum: str | None,
    renames: Sequence[str],
) -> None:
    """写出每个网格的四至、沿路比例、负荷与紧凑度。

    Bounds text (四至), border on each class of barrier, what cuts through, load and compactness of each grid.
    """
    from gridgis.files import write
    from gridgis.plan.bounds import describe
    from gridgis.profile import Profile

    table = options.read_place(grids, "grid", crs=crs, datum=datum, rename=options.renaming(renames))
    lines = options.read_place(barriers, "barrier", crs=crs)
    wanted = None if profile is None else Profile.load(profile)
    communities = options.read_optional(units, "unit", crs=crs)
    lived = options.read_optional(houses, "house", crs=crs)
    with options.naming(grids=grids, barriers=barriers, units=units, houses=houses):
        result = describe(table, lines, profile=wanted, units=communities, houses=lived)
    write(result, output)
    rows = [
        (r["code"], r["bounds_text"], _share(r["road_share"]), f"{r['compactness']:.2f}", r["cut_through"])
        for _, r in result.iterrows()
    ]
    heads = ["网格 grid", "四至 bounds text", "沿干道 on strong barriers", "紧凑度 compactness", "穿过 cut through by"]
    options.echo_table("四至与边界 bounds and borders", heads, rows)
    click.echo(f"参数 parameters: {result.attrs['parameters']}")
    options.echo_written(output)


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0%}"
