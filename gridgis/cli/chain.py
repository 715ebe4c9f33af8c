"""gridgis chain: person, house, building, grid, and every break between them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gridgis.cli import options

if TYPE_CHECKING:
    from gridgis.assign.chain import Chain


@click.command("chain")
@click.option("--persons", required=True, help="人员 persons")
@click.option("--houses", required=True, help="房屋 houses")
@click.option("--buildings", help="楼栋 buildings")
@click.option("--compounds", help="小区名称和地址 housing estates: their names stand for their addresses")
@click.option("--grids", required=True, help="网格 grids")
@click.option(
    "--within", type=click.FloatRange(min=0), default=0.0, show_default=True, help="界外多少米内的房屋归最近网格 metres"
)
@click.option("--public", type=click.Path(path_type=Path), help="可公开的合计写到 totals fit for the public: a file")
@options.profile
@options.output_or_none
@options.as_json
@click.option("--crs", help="坐标系（文件没写明时）CRS of inputs that do not name theirs")
def command(
    persons: str,
    houses: str,
    buildings: str | None,
    compounds: str | None,
    grids: str,
    within: float,
    public: Path | None,
    profile: str,
    output: Path | None,
    as_json: bool,
    crs: str | None,
) -> int:
    """人—房—楼—格链条：每一环的数目和每一处断点。有断点时退出码为 1。

    Counts at every link of person, house, building, grid, and every break. Exit code 1 when there are breaks. The
    report (-o) has the tables breaks, links and totals, or is one .json. In --public, counts of few (small_count of the
    profile) are hidden.
    """
    from gridgis.assign.chain import chain
    from gridgis.assign.persons import assign_persons
    from gridgis.assign.shift import warn_of_shift
    from gridgis.assign.totals import public_totals
    from gridgis.files import read, write
    from gridgis.profile import Profile

    parameters = Profile.load(profile).parameters
    homes, ground = read(houses, table="house", crs=crs), options.read_place(grids, "grid", crs=crs)
    warn_of_shift(homes, ground, houses)
    built, estates = (
        options.read_optional(f, t, crs=crs) for f, t in ((buildings, "building"), (compounds, "compound"))
    )
    people = assign_persons(read(persons, table="person", crs=crs), homes, compounds=estates)
    result = chain(people, homes, ground, built, within=within)
    if output is not None:
        options.echo_written(_write(result, output))
    if public is not None:
        write(public_totals(result.totals, parameters), public)
        options.echo_written(public)
    if as_json:
        options.echo_json(result.document())
    else:
        _echo(result)
    return 1 if len(result.breaks) else 0


def _write(result: Chain, output: Path) -> list[Path]:
    from gridgis.files import write_layers, write_text

    if output.suffix.lower() == ".json":
        return [write_text(json.dumps(result.document(), ensure_ascii=False, indent=1, allow_nan=False), output)]
    return write_layers({"breaks": result.breaks, "links": result.links(), "totals": result.totals}, output)


def _echo(result: Chain) -> None:
    links = result.links().astype(object).to_numpy().tolist()
    columns = ["环节 link", "共 total", "完整 complete", "不定 ambiguous", "没有 none", "断 broken"]
    options.echo_table("链条 chain", columns, links)
    for link, found in result.counts.items():
        more = {name: found[name] for name in ("how", "wrong_code", "other_than_building") if found.get(name)}
        if more:
            click.echo(f"{link}: {more}")
    rows = [(b["link"], b["id"], b["reason"]) for b in result.breaks.head(20).to_dict("records")]
    if rows:
        options.echo_table(f"断点 breaks: {len(result.breaks)}", ["环节 link", "编号 id", "原因 reason"], rows)
