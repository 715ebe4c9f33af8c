"""gridgis assign: houses and buildings to their grid, persons to their house."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import pandas as pd

from gridgis.cli import options

_grids = click.option("--grids", required=True, help="网格 the grids")


@click.group("assign")
def command() -> None:
    """房屋、楼栋落格，人员落户。Put houses and buildings in their grid, persons in their house."""


@command.command("houses")
@click.argument("houses")
@_grids
@click.option(
    "--within",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="界外多少米内归最近网格 metres",
)
@options.output
@options.reading
def houses_command(
    houses: str,
    grids: str,
    within: float,
    output: Path,
    crs: str | None,
    datum: str | None,
    renames: Sequence[str],
) -> None:
    """房屋落格：界上归编码最小的网格。

    Adds grid, grid_how (inside, border, nearest, none) and grid_distance_m. The lowest code wins a border.
    """
    from gridgis.assign.houses import assign_houses, warn_of_shift
    from gridgis.files import write

    ground = options.read_place(grids, "grid", crs=crs)
    table = options.read_place(houses, "house", crs=crs, datum=datum, rename=options.renaming(renames))
    warn_of_shift(table, ground, houses)
    result = assign_houses(table, ground, within=within)
    write(result, output)
    _echo_how(result, "grid_how")
    options.echo_written(output)


@command.command("buildings")
@click.argument("buildings")
@_grids
@options.output
@options.reading
def buildings_command(
    buildings: str, grids: str, output: Path, crs: str | None, datum: str | None, renames: Sequence[str]
) -> None:
    """楼栋落格：归占地较大的网格。

    Adds grid (the larger share), grid_share and grid_how.
    """
    from gridgis.assign.houses import assign_buildings
    from gridgis.files import write

    table = options.read_place(buildings, "building", crs=crs, datum=datum, rename=options.renaming(renames))
    result = assign_buildings(table, options.read_place(grids, "grid", crs=crs))
    write(result, output)
    _echo_how(result, "grid_how")
    options.echo_written(output)


@command.command("persons")
@click.argument("persons")
@click.option("--houses", required=True, help="房屋 the houses")
@click.option(
    "--within",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="按位置找房屋的距离 metres",
)
@click.option("--buildings", help="楼栋轮廓 footprints: who stands in one belongs to its houses")
@click.option("--compounds", help="小区名称和地址 housing estates: their names stand for their addresses")
@click.option("--place", default="", help="房屋都在哪里 the areas of all houses, as 晴岚市渚南区望汀街道")
@options.output
@options.reading
def persons_command(
    persons: str,
    houses: str,
    within: float,
    buildings: str | None,
    compounds: str | None,
    place: str,
    output: Path,
    crs: str | None,
    datum: str | None,
    renames: Sequence[str],
) -> None:
    """人员落户：按房屋编码，其次地址，再次位置；不猜，拿不准的列出候选。

    Adds house, house_how (code, address, nearest, ambiguous, none), house_score, house_distance_m and
    house_candidates. Where persons have a column household, households whose persons are in several houses are told.
    """
    from gridgis.assign.persons import assign_persons, households_of
    from gridgis.errors import name_ids
    from gridgis.files import read, write

    result = assign_persons(
        read(persons, table="person", crs=crs, datum=datum, rename=options.renaming(renames)),
        read(houses, table="house", crs=crs),
        within=within,
        buildings=options.read_optional(buildings, "building", crs=crs),
        compounds=options.read_optional(compounds, "compound", crs=crs),
        place=place,
    )
    write(result, output)
    _echo_how(result, "house_how")
    if "household" in result.columns:
        apart = households_of(result).query("contradicts")["code"]
        if len(apart):
            click.echo(f"一户住在几处 households in several houses: {name_ids(apart)}")
    options.echo_written(output)


def _echo_how(result: pd.DataFrame, column: str) -> None:
    counts = result[column].value_counts()
    click.echo(f"共 in all {len(result)}: " + ", ".join(f"{how} {n}" for how, n in sorted(counts.items())))
