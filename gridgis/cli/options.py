"""What the commands share: options, reading with --crs, --datum and --map, tables in the terminal, JSON on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import geopandas as gpd
import pandas as pd

from gridgis.errors import GridgisError, InputError

if TYPE_CHECKING:
    from gridgis.store.walks import Kept

#: Columns of a table that goes into a file or a pipe.
_PIPED_WIDTH = 140

F = TypeVar("F", bound=Callable[..., Any])

output = click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="写到 output file")
output_or_none = click.option("-o", "--output", type=click.Path(path_type=Path), help="写到 output file")
as_json = click.option("--json", "as_json", is_flag=True, help="只输出一份 JSON one JSON document on stdout")
profile = click.option("--profile", default="yichang", show_default=True, help="规则 profile: a name or a .toml file")


def reading(command: F) -> F:
    """--crs, --datum and --map: how the inputs are read."""
    command = click.option("--crs", help="坐标系（文件没写明时）CRS of inputs that do not name theirs, as EPSG:4326")(
        command
    )
    command = click.option(
        "--datum",
        type=click.Choice(["wgs84", "gcj02", "bd09"]),
        help="第一个输入的坐标偏移 the datum of the first input's coordinates",
    )(command)
    return click.option(
        "--map",
        "renames",
        multiple=True,
        metavar="THEIRS=OURS",
        help="列名对照 rename a column of the first input",
    )(command)


def renaming(renames: Sequence[str]) -> dict[str, str]:
    """The dict of ``--map theirs=ours`` options."""
    pairs = {}
    for item in renames:
        theirs, sign, ours = item.partition("=")
        if not (sign and theirs and ours):
            raise click.BadParameter(f"{item!r} is not theirs=ours", param_hint="--map")
        pairs[theirs] = ours
    return pairs


def need_place(frame: pd.DataFrame, source: str) -> gpd.GeoDataFrame:
    """`frame` as a GeoDataFrame, or an error that says it has no geometry."""
    if not isinstance(frame, gpd.GeoDataFrame):
        raise InputError("the table has no geometry", source=source, wanted="geometry, or lon and lat columns")
    return frame


def read_place(spec: str, table: str, **how: Any) -> gpd.GeoDataFrame:
    """Read a table that must have geometry."""
    from gridgis.files import read

    return need_place(read(spec, table=table, **how), spec)


def read_optional(spec: str | None, table: str, **how: Any) -> Any:
    """Read a table, or give None where no file was named."""
    from gridgis.files import read

    return None if spec is None else read(spec, table=table, **how)


@contextmanager
def naming(**files: str | None) -> Iterator[None]:
    """Errors of the library about a table get the name of the file that it came from; `grids` where none is named."""
    try:
        yield
    except GridgisError as error:
        spec = files.get(error.source or "grids")
        if spec is None:
            raise
        raise type(error)(
            error.message, source=spec, ids=error.ids, found=error.found, wanted=error.wanted, remedy=error.remedy
        ) from error


def echo_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document to stdout."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False))


def echo_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table to the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else f"{cell}" for cell in row))
    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    Console(highlight=False, markup=False, width=width).print(table)


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr; call what it yields with how much is done, and of how much."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def echo_kept(kept: Kept) -> None:
    """Print what a store kept of tracks, and that some days have no plan."""
    click.echo(f"轨迹点 fixes: 新增 new {kept.new:,}, 不变 same {kept.same:,}; 覆盖 painted days: {kept.painted:,}")
    if kept.unplanned:
        click.echo(f"{kept.unplanned:,} 人日当天没有公布的方案，只存轨迹 days on which no plan holds: tracks only")


def echo_written(paths: Path | Iterable[Path]) -> None:
    """Say on stderr what was written."""
    for path in [paths] if isinstance(paths, Path) else paths:
        click.echo(f"已写 written: {path}", err=True)
