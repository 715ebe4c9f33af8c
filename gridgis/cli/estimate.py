"""gridgis estimate: households where nobody counted them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from gridgis.cli import options


@click.command("estimate")
@click.argument("buildings")
@options.profile
@options.output
@options.reading
def command(
    buildings: str, profile: str, output: Path, crs: str | None, datum: str | None, renames: Sequence[str]
) -> None:
    """估算居民楼户数，并逐栋标明是估算。

    Households of residential buildings where nobody counted them, each flagged as an estimate.
    """
    from gridgis.assign.estimate import estimate_households
    from gridgis.files import write
    from gridgis.profile import Profile

    rules = Profile.load(profile)
    frame = options.read_place(buildings, "building", crs=crs, datum=datum, rename=options.renaming(renames))
    result = estimate_households(frame, rules)
    write(result, output)
    guessed = result["estimated"].to_numpy(dtype=bool)
    households = result["households"].fillna(0)
    click.echo(f"楼栋 buildings: {len(result)}")
    click.echo(f"估算 estimated: {int(guessed.sum())} 栋 buildings, {int(households[guessed].sum())} 户 households")
    click.echo(f"已知 counted: {int(households[~guessed].sum())} 户 households")
    click.echo(f"参数 parameters: {result.attrs['parameters']}")
    options.echo_written(output)
