"""gridgis assign: houses and buildings to their grid, persons to their house."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import pandas as pd

from gridgis.cli import options
from gridgis.errors import InputError

#: How many rows of a list are shown in the terminal.
_SHOWN = 20

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
@click.option("--problems", type=click.Path(path_type=Path), help="要查看的房屋写到 houses to look at: a file")
@click.option("--workers", type=click.IntRange(min=1), help="文件夹：本机几个进程 a folder: processes on this machine")
@click.option(
    "--cluster", metavar="ADDRESS", help="文件夹：集群地址 a folder: a Dask scheduler, as tcp://10.0.0.1:8786"
)
@options.output
@options.as_json
@options.reading
def houses_command(
    houses: str,
    grids: str,
    within: float,
    problems: Path | None,
    workers: int | None,
    cluster: str | None,
    output: Path,
    as_json: bool,
    crs: str | None,
    datum: str | None,
    renames: Sequence[str],
) -> None:
    """房屋落格：界上归编码最小的网格。HOUSES 是文件，或一文件夹 .parquet。

    Adds grid, grid_how (inside, border, nearest, none) and grid_distance_m. The lowest code wins a border. HOUSES may
    be a folder of .parquet files with more rows than memory holds; then -o is a folder too.
    """
    if Path(houses).is_dir():
        if problems is not None or datum is not None or renames:
            raise InputError("--problems, --datum and --map are for one file", source=houses, found="a folder")
        _houses_of_folder(houses, grids, within, workers, cluster, output, as_json, crs)
        return
    if workers is not None or cluster is not None:
        raise InputError("--workers and --cluster are for a folder of .parquet files", source=houses)
    from gridgis.assign.houses import assign_houses, house_problems
    from gridgis.assign.ready import ReadyGrids
    from gridgis.assign.shift import warn_of_shift
    from gridgis.files import write

    ground = ReadyGrids(options.read_place(grids, "grid", crs=crs))
    table = options.read_place(houses, "house", crs=crs, datum=datum, rename=options.renaming(renames))
    told = warn_of_shift(table, ground, houses)
    result = assign_houses(table, ground, within=within)
    listed = house_problems(result, ground, told)
    write(result, output)
    written = [output]
    if problems is not None:
        write(listed, problems)
        written.append(problems)
    if as_json:
        plain = listed.drop(columns="geometry").astype(object)
        options.echo_json(
            {
                "houses": len(result),
                "counts": _how_counts(result, "grid_how"),
                "shift": told,
                "problems": plain.where(plain.notna(), None).to_dict("records"),
                "parameters": result.attrs["parameters"],
            }
        )
    else:
        _echo_how(result, "grid_how")
        _echo_problems(listed)
    options.echo_written(written)


def _houses_of_folder(
    houses: str,
    grids: str,
    within: float,
    workers: int | None,
    cluster: str | None,
    output: Path,
    as_json: bool,
    crs: str | None,
) -> None:
    try:
        from gridgis.scale import assign_parts
    except ModuleNotFoundError as error:
        raise InputError(
            "a folder of parts needs Dask", found=f"no module {error.name}", remedy="pip install 'gridgis[scale]'"
        ) from error
    ground = options.read_place(grids, "grid", crs=crs)
    with options.progress("房屋落格 houses") as tell:
        report = assign_parts(
            houses, ground, output, within=within, workers=workers, cluster=cluster, named_crs=crs, tell=tell
        )
    if as_json:
        options.echo_json(report.document())
    else:
        click.echo(f"分块 parts: {report.done} / {report.parts}, {report.earlier} 块早已完成 done before")
        click.echo(f"共 in all {report.rows}: " + ", ".join(f"{how} {n}" for how, n in sorted(report.counts.items())))
        click.echo(f"没有位置 without a place: {report.without_place}")
    options.echo_written(output)
    if report.rejected:
        raise InputError(
            f"{len(report.rejected)} of {report.parts} parts cannot be used; the others are done",
            source=houses,
            ids=[row["part"] for row in report.rejected],
            found=report.rejected[0]["reason"].rstrip("."),
            remedy=f"All reasons are in {output / 'rejects.csv'}. Mend them and run it again: only they are done.",
        )


@command.command("buildings")
@click.argument("buildings")
@_grids
@click.option("--shares", type=click.Path(path_type=Path), help="跨格楼栋各格份额写到 what each grid has: a file")
@options.output
@options.as_json
@options.reading
def buildings_command(
    buildings: str,
    grids: str,
    shares: Path | None,
    output: Path,
    as_json: bool,
    crs: str | None,
    datum: str | None,
    renames: Sequence[str],
) -> None:
    """楼栋落格：归占地较大的网格。

    Adds grid (the larger share), grid_share and grid_how (inside, border: it straddles, none).
    """
    from gridgis.assign.buildings import assign_buildings, building_shares
    from gridgis.assign.ready import ReadyGrids
    from gridgis.files import write

    table = options.read_place(buildings, "building", crs=crs, datum=datum, rename=options.renaming(renames))
    ground = ReadyGrids(options.read_place(grids, "grid", crs=crs))
    result = assign_buildings(table, ground)
    straddlers = result["grid_how"].eq("border")
    write(result, output)
    written = [output]
    if shares is not None:
        write(building_shares(table[straddlers], ground), shares)
        written.append(shares)
    if as_json:
        options.echo_json(
            {
                "buildings": len(result),
                "counts": _how_counts(result, "grid_how"),
                "straddlers": result.loc[straddlers, "code"].tolist(),
            }
        )
    else:
        _echo_how(result, "grid_how")
        rows = result.loc[straddlers, ["code", "grid", "grid_share"]]
        if len(rows):
            lines = [(code, grid, f"{share:.1%}") for code, grid, share in rows.head(_SHOWN).to_numpy()]
            columns = ["楼栋 building", "归 grid", "份额 share"]
            options.echo_table(f"跨格楼栋 buildings that straddle: {len(rows)}", columns, lines)
    options.echo_written(written)


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


def _how_counts(result: pd.DataFrame, column: str) -> dict[str, int]:
    return {str(how): int(n) for how, n in sorted(result[column].value_counts().items())}


def _echo_how(result: pd.DataFrame, column: str) -> None:
    click.echo(f"共 in all {len(result)}: " + ", ".join(f"{how} {n}" for how, n in _how_counts(result, column).items()))


def _echo_problems(listed: pd.DataFrame) -> None:
    if len(listed) == 0:
        return
    rows = [
        (row.problem, row.code, row.grids, "" if pd.isna(row.distance_m) else f"{row.distance_m:.1f}", row.hint)
        for row in listed.head(_SHOWN).itertuples()
    ]
    columns = ["问题 problem", "房屋 house", "网格 grids", "界外 m outside", "可能是 hint"]
    options.echo_table(f"要查看的房屋 houses to look at: {len(listed)}", columns, rows)
