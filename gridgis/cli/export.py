"""gridgis export: a layer of a store to a file."""

from __future__ import annotations

from pathlib import Path

import click

from gridgis.cli import options


@click.command("export")
@click.argument("store")
@click.argument("layer")
@options.output
def command(store: str, layer: str, output: Path) -> None:
    """把库中的图层写成文件；图层名不对时列出全部图层。

    Write a layer of a store to a file, by its name or its plural: grid, grids, block, house, staff …
    """
    from gridgis.errors import NotFoundError
    from gridgis.files import write
    from gridgis.store import open_store

    with open_store(store) as opened:
        counts = opened.tables()
        name = layer if layer in counts else layer.removesuffix("s")
        if name == "boundarie":
            name = "boundary"
        if not counts.get(name):
            kept = ", ".join(sorted(table for table, n in counts.items() if n))
            raise NotFoundError("the store holds no such layer", source=store, found=layer, wanted=kept)
        frame = opened.load(name)
    write(frame, output)
    click.echo(f"{name}: {len(frame)}")
    options.echo_written(output)
