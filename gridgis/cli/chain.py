"""gridgis chain: person, house, building, grid, and every break between them."""

from __future__ import annotations

from pathlib import Path

import click

from gridgis.cli import options


@click.command("chain")
@click.option("--persons", required=True, help="人员 persons")
@click.option("--houses", required=True, help="房屋 houses")
@click.option("--buildings", help="楼栋 buildings")
@click.option("--compounds", help="小区名称和地址 housing estates: their names stand for their addresses")
@click.option("--grids", required=True, help="网格 grids")
@options.output_or_none
@options.as_json
@click.option("--crs", help="坐标系（文件没写明时）CRS of inputs that do not name theirs")
def command(
    persons: str,
    houses: str,
    buildings: str | None,
    compounds: str | None,
    grids: str,
    output: Path | None,
    as_json: bool,
    crs: str | None,
) -> int:
    """人—房—楼—格链条：每一环的数目和每一处断点。有断点时退出码为 1。

    Counts at every link of person, house, building, grid, and every break. Exit code 1 when there are breaks.
    """
    from gridgis.assign.chain import chain
    from gridgis.assign.persons import assign_persons
    from gridgis.files import read, write

    homes = options.read_place(houses, "house", crs=crs)
    estates = options.read_optional(compounds, "compound", crs=crs)
    result = chain(
        assign_persons(read(persons, table="person", crs=crs), homes, compounds=estates),
        homes,
        options.read_place(grids, "grid", crs=crs),
        options.read_optional(buildings, "building", crs=crs),
    )
    if output is not None:
        write(result.breaks, output)
        options.echo_written(output)
    if as_json:
        options.echo_json({**result.counts, "breaks": result.breaks.to_dict("records")})
    else:
        for link, counts in result.counts.items():
            click.echo(f"{link}: {counts}")
        rows = [(b["link"], b["id"], b["reason"]) for b in result.breaks.head(20).to_dict("records")]
        if rows:
            options.echo_table(f"断点 breaks: {len(result.breaks)}", ["环节 link", "编号 id", "原因 reason"], rows)
    return 1 if len(result.breaks) else 0
