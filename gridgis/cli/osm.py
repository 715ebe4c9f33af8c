"""gridgis osm: layers out of an OSM extract."""

from __future__ import annotations

from pathlib import Path

import click

from gridgis.cli import options


@click.command("osm")
@click.argument("extract", metavar="MAP", type=click.Path(path_type=Path))
@click.option("--boundary", required=True, help="范围 the sub-district's boundary")
@options.output
@click.option("--crs", help="边界文件没写明时的坐标系 CRS of a boundary that does not name its own")
def command(extract: Path, boundary: str, output: Path, crs: str | None) -> None:
    """从 OSM 提取道路河流、楼栋、小区、水面、门牌。

    Layers barriers, buildings, compounds, water and addresses out of an OSM extract (.osm, .osm.pbf).
    """
    from gridgis.files import read_osm, write_layers

    layers = read_osm(extract, options.read_place(boundary, "boundary", crs=crs))
    paths = write_layers(layers, output)
    options.echo_table(
        "图层 layers", ["图层 layer", "数量 features"], [(name, len(frame)) for name, frame in layers.items()]
    )
    options.echo_written(paths)
