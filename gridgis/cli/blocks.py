"""gridgis blocks: cut the ground along barriers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gridgis.cli import options

if TYPE_CHECKING:
    import pandas as pd

    from gridgis.profile import Norm


def _metres(flag: str, name: str, default: float, told: str) -> Callable[[options.F], options.F]:
    """An option that is a length or an area."""
    return click.option(flag, name, type=click.FloatRange(min=0), default=default, show_default=True, help=told)


@click.command("blocks")
@click.argument("boundary")
@click.option("--barriers", required=True, help="道路、河道、铁路、围墙 roads, rivers, railways, walls")
@click.option("--units", help="社区 communities inside the boundary")
@click.option("--houses", help="房屋 houses, to count households")
@click.option("--buildings", help="楼栋 buildings, with households where there are no houses")
@click.option("--compounds", help="小区 housing estates, kept whole")
@click.option("--persons", help="人员 persons, to count them by house")
@click.option("--water", help="水面 water; a wide one is a block of its own")
@click.option("--profile", help="规则：户数超标的小区才切开 profile: estates over its norm are cut")
@click.option(
    "--norm", type=click.FloatRange(min=0, min_open=True), help="代替规则的每格户数 households, for a profile's"
)
@click.option("--tolerance", type=click.FloatRange(min=0), help="上下浮动 a fraction of the norm, as 0.25")
@_metres("--snap", "snap_m", 5.0, "米；短缺的线头接到前面的线 m; ends that fall short are carried this far")
@_metres("--min-area", "min_block_m2", 2000.0, "平方米；更小的并入邻块 m²; smaller ground joins a neighbour")
@_metres("--min-width", "min_width_m", 20.0, "米；更窄的并入邻块 m; narrower ground joins a neighbour")
@_metres(
    "--island-width", "island_width_m", 40.0, "米；同名道路之间更窄的 m; so does an island in one road up to this wide"
)
@_metres(
    "--court-area",
    "min_court_m2",
    10_000.0,
    "平方米；无住户的院落更小的 m²; so does a smaller court where nobody lives",
)
@_metres("--water-area", "min_water_m2", 20_000.0, "平方米；更大的水面自成一块 m²; water this large is a block")
@_metres("--water-width", "min_water_width_m", 40.0, "米；并且更宽的 m; if it is this wide as well")
@click.option(
    "--no-access", "need_access", flag_value=False, default=True, help="不并没有道路进出的 keep ground without a road"
)
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
    water: str | None,
    profile: str | None,
    norm: float | None,
    tolerance: float | None,
    output: Path,
    crs: str | None,
    datum: str | None,
    renames: Sequence[str],
    **limits: Any,
) -> None:
    """沿道路、河道、铁路、围墙切分街坊，并数出户数。

    Layers blocks (with their loads) and borders (with their barrier) inside the boundary.
    """
    from gridgis.files import write_layers
    from gridgis.plan.blocks import make_blocks

    wanted = _norm(profile, norm, tolerance)
    homes = options.read_optional(houses, "house", crs=crs)
    people = options.read_optional(persons, "person", crs=crs)
    if homes is not None and people is not None:
        people = _at_home(people, homes, options.read_optional(compounds, "compound", crs=crs))
    tables = {
        "boundary": options.read_place(boundary, "boundary", crs=crs, datum=datum, rename=options.renaming(renames)),
        "barriers": options.read_place(barriers, "barrier", crs=crs),
        "units": options.read_optional(units, "unit", crs=crs),
        "buildings": options.read_optional(buildings, "building", crs=crs),
        "compounds": options.read_optional(compounds, "compound", crs=crs),
        "water": options.read_optional(water, "water", crs=crs),
    }
    files = {"boundary": boundary, "barriers": barriers, "units": units, "houses": houses, "buildings": buildings,
             "compounds": compounds, "persons": persons, "water": water}  # fmt: skip
    with options.naming(**files):
        cut = make_blocks(**tables, houses=homes, persons=people, norm=wanted, **limits)
    paths = write_layers({"blocks": cut.blocks, "borders": cut.borders}, output)
    click.echo(f"街坊 blocks: {len(cut.blocks)}")
    click.echo(f"户数 households: {int(cut.blocks['households'].sum())}")
    if people is not None:
        click.echo(f"人数 persons: {int(cut.blocks['persons'].sum())}")
    click.echo(f"参数 parameters: {cut.blocks.attrs['parameters']}")
    options.echo_written(paths)


def _norm(profile: str | None, households: float | None, tolerance: float | None) -> Norm | None:
    """The norm above which estates are cut; None where none is given: they stay whole."""
    from gridgis.profile import Norm, Profile

    if profile is not None and households is not None:
        raise click.UsageError("give --profile or --norm, not both")
    if profile is None and households is None:
        if tolerance is not None:
            raise click.UsageError("--tolerance is of a norm: give --profile or --norm too")
        return None
    norm = Profile.load(profile).norm if profile is not None else Norm({"mixed": float(households or 0)})
    return norm if tolerance is None else replace(norm, tolerance=tolerance)


def _at_home(persons: pd.DataFrame, houses: pd.DataFrame, compounds: pd.DataFrame | None) -> pd.DataFrame:
    """The persons whose house is found by code, address or place; the count of the others is told."""
    from gridgis.assign.persons import assign_persons
    from gridgis.pipeline import housed

    found = housed(assign_persons(persons, houses, compounds=compounds))
    if len(found) < len(persons):
        lost = len(persons) - len(found)
        click.echo(
            f"gridgis: 注意 warning: {lost} 人找不到房屋，未计入 persons without a house are not counted", err=True
        )
    return found
