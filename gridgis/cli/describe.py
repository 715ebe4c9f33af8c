"""gridgis describe: bounds text, border share, load, compactness."""

from __future__ import annotations

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

    Bounds text (四至), share of border on strong barriers, load and compactness of each grid.
    """
    from gridgis.files import write
    from gridgis.plan.bounds import describe
    from gridgis.profile import Profile

    result = describe(
        options.read_place(grids, "grid", crs=crs, datum=datum, rename=options.renaming(renames)),
        options.read_place(barriers, "barrier", crs=crs),
        profile=None if profile is None else Profile.load(profile),
        units=options.read_optional(units, "unit", crs=crs),
        houses=options.read_optional(houses, "house", crs=crs),
    )
    write(result, output)
    rows = [(r["code"], r["bounds_text"]) for _, r in result.iterrows()]
    options.echo_table("四至 bounds", ["网格 grid", "四至 bounds text"], rows)
    options.echo_written(output)
