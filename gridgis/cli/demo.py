"""gridgis demo: the sample, every step, and its map."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("demo")
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False), default=Path("demo"))
@click.option("--no-serve", is_flag=True, help="不打开地图 stop after the build")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: 任意空闲 any free one")
def command(folder: Path, no_serve: bool, port: int) -> None:
    """造示范街道，跑全程，打开地图。

    Make the invented sub-district in DIR (demo), run everything on it and open its map.
    """
    from gridgis.cli.build import build_with_progress
    from gridgis.sample import write_sample

    write_sample(folder)
    result = build_with_progress(folder / "project.toml")
    if no_serve:
        click.echo(f"打开地图 open the map: gridgis serve {result.store}")
        return
    from gridgis.cli.serve import serve_store

    serve_store(result.store, "127.0.0.1", port, any_port=True)
