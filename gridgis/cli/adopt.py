"""gridgis adopt: grids from outside become a plan of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from gridgis.cli import options


@click.command("adopt")
@click.argument("grids")
@click.option("--barriers", required=True, help="道路、河道 roads, rivers")
@click.option("--houses", help="房屋 houses, to count households")
@click.option("--mend", is_flag=True, help="同意修补重叠与空隙 consent to mend overlaps and gaps")
@options.output
@options.reading
def command(
    grids: str,
    barriers: str,
    houses: str | None,
    mend: bool,
    output: Path,
    crs: str | None,
    datum: str | None,
    renames: Sequence[str],
) -> None:
    """把现有网格变成由街坊组成的方案：边界不动，沿道路切开，可接着编辑。

    Make a plan of blocks out of grids that exist: their borders stay, roads cut them. Layers grids, blocks, borders.
    """
    from gridgis.files import write_layers
    from gridgis.plan.adopt import adopt

    table = options.read_place(grids, "grid", crs=crs, datum=datum, rename=options.renaming(renames))
    lines = options.read_place(barriers, "barrier", crs=crs)
    lived = options.read_optional(houses, "house", crs=crs)
    with options.naming(grids=grids, barriers=barriers, houses=houses):
        plan, borders, log = adopt(table, lines, mend=mend, houses=lived)
    paths = write_layers({"grids": plan.grids, "blocks": plan.blocks, "borders": borders}, output)
    click.echo(f"网格 grids: {len(plan.grids)}    街坊 blocks: {len(plan.blocks)}    修补 mended: {len(log)}")
    options.echo_written(paths)
