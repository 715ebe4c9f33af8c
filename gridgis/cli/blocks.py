"""gridgis blocks: cut the ground along barriers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from gridgis.cli import options


@click.command("blocks")
@click.argument("boundary")
@click.option("--barriers", required=True, help="道路、河道、铁路、围墙 roads, rivers, railways, walls")
@click.option("--units", help="社区 communities inside the boundary")
@click.option("--houses", help="房屋 houses, to count households")
@click.option("--buildings", help="楼栋 buildings, with households where there are no houses")
@click.option("--compounds", help="小区 housing estates, kept whole")
@click.option("--persons", help="人员 persons, to count them by house")
@options.output
@options.reading
def command(
    boundary: str,
    barriers: str,
    units: str | None,
    houses: str | None,
    buildings: str | None,
    compounds: str | None,
    persons: str | None,
    output: Path,
    crs: str | None,
    datum: str | None,
    renames: Sequence[str],
) -> None:
    """沿道路、河道、铁路、围墙切分街坊，并数出户数。

    Layers blocks (with their loads) and borders (with their barrier) inside the boundary.
    """
    from gridgis.files import write_layers
    from gridgis.plan.blocks import make_blocks

    cut = make_blocks(
        options.read_place(boundary, "boundary", crs=crs, datum=datum, rename=options.renaming(renames)),
        options.read_place(barriers, "barrier", crs=crs),
        units=options.read_optional(units, "unit", crs=crs),
        houses=options.read_optional(houses, "house", crs=crs),
        buildings=options.read_optional(buildings, "building", crs=crs),
        compounds=options.read_optional(compounds, "compound", crs=crs),
        persons=options.read_optional(persons, "person", crs=crs),
    )
    paths = write_layers({"blocks": cut.blocks, "borders": cut.borders}, output)
    click.echo(f"街坊 blocks: {len(cut.blocks)}")
    click.echo(f"户数 households: {int(cut.blocks['households'].sum())}")
    options.echo_written(paths)
