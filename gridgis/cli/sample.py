"""gridgis sample: the invented sub-district."""

from __future__ import annotations

from pathlib import Path

import click

from gridgis.cli import options


@click.command("sample")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
def command(folder: Path) -> None:
    """写出示范街道（虚构），每次字节相同。

    Write the invented sub-district, the same bytes each time; build it with gridgis build DIR/project.toml.
    """
    from gridgis.sample import write_sample

    options.echo_written(write_sample(folder))
