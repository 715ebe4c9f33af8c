"""gridgis blocks: cut the ground along barriers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gridgis.cli import options

if TYPE_CHECKING:
    import pandas as pd


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

    homes = options.read_optional(houses, "house", crs=crs)
    people = options.read_optional(persons, "person", crs=crs)
    if homes is not None and people is not None:
        people = _at_home(people, homes)
    cut = make_blocks(
        options.read_place(boundary, "boundary", crs=crs, datum=datum, rename=options.renaming(renames)),
        options.read_place(barriers, "barrier", crs=crs),
        units=options.read_optional(units, "unit", crs=crs),
        houses=homes,
        buildings=options.read_optional(buildings, "building", crs=crs),
        compounds=options.read_optional(compounds, "compound", crs=crs),
        persons=people,
    )
    paths = write_layers({"blocks": cut.blocks, "borders": cut.borders}, output)
    click.echo(f"街坊 blocks: {len(cut.blocks)}")
    click.echo(f"户数 households: {int(cut.blocks['households'].sum())}")
    if people is not None:
        click.echo(f"人数 persons: {int(cut.blocks['persons'].sum())}")
    options.echo_written(paths)


def _at_home(persons: pd.DataFrame, houses: pd.DataFrame) -> pd.DataFrame:
    """The persons whose house is found by code, address or place; the count of the others is told."""
    from gridgis.assign.persons import assign_persons
    from gridgis.pipeline import housed

    found = housed(assign_persons(persons, houses))
    if len(found) < len(persons):
        lost = len(persons) - len(found)
        click.echo(
            f"gridgis: 注意 warning: {lost} 人找不到房屋，未计入 persons without a house are not counted", err=True
        )
    return found
