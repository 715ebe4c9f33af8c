"""gridgis publish: the public map of a store as a folder of files."""

from __future__ import annotations

from pathlib import Path

import click

from gridgis.cli import options


@click.command("publish")
@click.argument("store")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="写到 the folder: new, empty, or published before",
)
def command(store: str, folder: Path) -> None:
    """把公开地图写成一个文件夹，任何网页服务器都能用，不需要 Python。

    Write the public map of a store as a folder of files for any web server, which needs no Python. An earlier
    publication in DIR is replaced as a whole at the end; a folder with other files in it is refused.
    """
    from webmap.freeze import freeze

    with options.progress("发布 publishing") as tell:
        made = freeze(store, folder, tell)
    click.echo(
        f"已发布 published {made.folder}：公示牌 boards {made.boards} × 2，文件 files {made.files}，"
        f"{made.size / 1e6:.1f} MB"
    )
