"""Broken files and wrong arguments, through the command line: one clear message, exit code 2, nothing written."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import pytest
import shapely

from gridgis.cli import run

VALIDATE, REPAIR = "validate", "repair"
BOTH = (VALIDATE, REPAIR)
EAST, NORTH = 116.3, 40.0
SQUARES = [shapely.box(EAST + x, NORTH, EAST + x + 0.001, NORTH + 0.001) for x in (0.0, 0.001, 0.002)]
METRES = [shapely.box(447_000 + x, 4_427_000, 447_100 + x, 4_427_100) for x in (0, 100, 200)]


class Broken(NamedTuple):
    """`make` writes files into a folder and gives the arguments; `says`: what the one message has to contain."""

    make: Callable[[Path], list[object]]
    says: tuple[str, ...]
    commands: tuple[str, ...] = BOTH


# --- the files --------------------------------------------------------------------------------------------------------


def frame(shapes: list[shapely.Geometry | None] = SQUARES, crs: object = 4326) -> gpd.GeoDataFrame:
    codes = [f"g{i}" for i in range(len(shapes))]
    return gpd.GeoDataFrame({"code": codes}, geometry=gpd.GeoSeries(shapes, crs=crs))


def good(folder: Path) -> Path:
    return saved(folder, "grids.geojson")


def saved(folder: Path, name: str, shapes: list[shapely.Geometry | None] = SQUARES, crs: object = 4326) -> Path:
    path = folder / name
    if path.suffix == ".parquet":
        frame(shapes, crs).to_parquet(path)
    else:
        frame(shapes, crs).to_file(path)
    return path


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def cut(path: Path, share: float = 0.5) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def without(path: Path, *endings: str) -> Path:
    for ending in endings:
        path.with_suffix(ending).unlink()
    return path


def swapped(shapes: list[shapely.Geometry]) -> list[shapely.Geometry]:
    return [shapely.transform(shape, lambda xy: xy[:, ::-1]) for shape in shapes]


def geojson(*rings: object, **properties: object) -> str:
    features = [
        {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [ring]}}
        for ring in rings
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


RING = [[EAST, NORTH], [EAST + 0.001, NORTH], [EAST + 0.001, NORTH + 0.001], [EAST, NORTH]]
LINE = shapely.LineString([(EAST, NORTH), (EAST + 0.001, NORTH + 0.001)])
POINT = shapely.Point(EAST, NORTH)
ELSEWHERE = [shapely.box(113.0, 30.0, 113.01, 30.01)]
WKT = "POLYGON ((116.3 40, 116.301 40, 116.301 40.001, 116.3 40))"


def two_layers(folder: Path) -> Path:
    path = folder / "plan.gpkg"
    for layer in ("one", "two"):
        frame().to_file(path, layer=layer)
    return path


def infinite(folder: Path) -> Path:
    ring = [(EAST, NORTH), (np.inf, NORTH), (EAST, NORTH + 0.001), (EAST, NORTH)]
    with np.errstate(invalid="ignore"):
        return saved(folder, "boundary.parquet", [shapely.Polygon(ring)])


# --- the table --------------------------------------------------------------------------------------------------------

BROKEN: dict[str, Broken] = {
    # files that cannot be read
    "no such file": Broken(lambda d: [d / "none.geojson"], ("none.geojson: no such file",)),
    "a folder": Broken(lambda d: [d], ("{folder}: this is a folder; wanted the name of a file in it",)),
    "an empty file": Broken(
        lambda d: [written(d, "grids.geojson", b"")], ("grids.geojson: the file is empty; wanted GeoJSON features",)
    ),
    "an empty GeoPackage": Broken(
        lambda d: [written(d, "grids.gpkg", b"")], ("grids.gpkg: the file is empty; wanted a table with rows",)
    ),
    "not a GIS file": Broken(
        lambda d: [written(d, "grids.docx", b"PK\x03\x04 a letter")],
        ("grids.docx: the file cannot be read; found no known format; wanted one that GDAL reads",),
    ),
    "a GeoJSON that was cut off": Broken(
        lambda d: [cut(good(d))], ("grids.geojson: the file is not whole JSON: ", "line")
    ),
    "a GeoPackage that was cut off": Broken(
        lambda d: [cut(saved(d, "grids.gpkg"))], ("grids.gpkg: the file cannot be read (was it cut off?); found ",)
    ),
    "a shapefile that was cut off": Broken(
        lambda d: [cut(saved(d, "grids.shp"), 0.9)], ("grids.shp: the file was cut off", "bytes; wanted the")
    ),
    "a shapefile without its index": Broken(
        lambda d: [without(saved(d, "grids.shp"), ".shx")], ("grids.shp: ", "grids.shx")
    ),
    "a Parquet file of other bytes": Broken(
        lambda d: [written(d, "grids.parquet", bytes(range(256)) * 8)],
        ("grids.parquet: the file cannot be read as Parquet",),
    ),
    "a CSV that is not text": Broken(
        lambda d: [written(d, "grids.csv", b"\xff\xfe\x00\xd8code,geometry\xff\xff\x81")],
        ("grids.csv: the file is not text; wanted UTF-8",),
    ),
    "a CSV with cells too many": Broken(
        lambda d: [written(d, "grids.csv", f"code,geometry\na,{WKT}\n"), "--crs", "EPSG:4326"],
        ("grids.csv: rows with more cells than the header (row 1)", "found 'a', ", "wanted 2 cells"),
    ),
    "a CSV with a shape that is none": Broken(
        lambda d: [written(d, "grids.csv", f'code,geometry\na,"{WKT}"\nb,"POLYGON ((1 2, 3"\n'), "--crs", "EPSG:4326"],
        ("grids.csv: geometry that cannot be used (row 2); found ", "wanted WKT as POLYGON ((x y"),
    ),
    "several layers and none named": Broken(
        lambda d: [two_layers(d)],
        ("plan.gpkg: the file has 2 layers and none is named; found one, two", "plan.gpkg:one"),
    ),
    "no such layer": Broken(
        lambda d: [f"{two_layers(d)}:three"], ("plan.gpkg: there is no layer 'three'; found one, two",)
    ),
    # rows and columns
    "no features": Broken(lambda d: [written(d, "grids.geojson", geojson())], ("grids.geojson: ", "at least one")),
    "no geometry": Broken(
        lambda d: [written(d, "grids.csv", "code,name\na,甲\n")],
        ("grids.csv: the table has no geometry; wanted geometry, or lon and lat columns",),
    ),
    "no such column of codes": Broken(
        lambda d: [good(d), "--code", "CADRA"], ("grids.geojson: there is no column 'CADRA'; found code",)
    ),
    "no such column to rename": Broken(
        lambda d: [good(d), "--map", "编码=code"],
        ("grids.geojson: a column to rename does not exist", "found 'code'", "wanted '编码'"),
    ),
    "no such code": Broken(
        lambda d: [good(d), "--boundary", f"{saved(d, 'units.geojson')}#999"],
        ("units.geojson: no feature has the code 999; found codes as g0, g1, g2",),
    ),
    # shapes
    "a ring that is open": Broken(
        lambda d: [written(d, "grids.geojson", geojson(RING, [*RING[:3], [EAST, NORTH + 0.001]], code="a"))],
        ("grids.geojson: geometry that cannot be used (row 2); found a ring that is not closed. Close each ring",),
    ),
    "lines for grids": Broken(
        lambda d: [saved(d, "grids.geojson", [*SQUARES, LINE])],
        ("grids.geojson: geometry of the wrong type", "(row g3); found LineString; wanted "),
    ),
    "points for grids": Broken(
        lambda d: [written(d, "grids.csv", "code,lon,lat\na,116.3,40\nb,116.4,40\n")],
        ("grids.csv: geometry of the wrong type", "(2 rows: a, b); found Point; wanted "),
    ),
    # places
    "a shapefile without its CRS": Broken(
        lambda d: [without(saved(d, "grids.shp"), ".prj")],
        ("grids.shp: the coordinate reference system is missing. Name it with --crs EPSG:4326",),
    ),
    "a CSV without a CRS": Broken(
        lambda d: [written(d, "grids.csv", f'code,geometry\na,"{WKT}"\n')],
        ("grids.csv: the coordinate reference system is missing. Name it with --crs EPSG:4326",),
    ),
    "a CRS that is none": Broken(
        lambda d: [saved(d, "grids.parquet", crs=None), "--crs", "EPSG:999999"],
        ("the CRS is unknown; found 'EPSG:999999'; wanted a code as EPSG:4326",),
    ),
    "metres that are called degrees": Broken(
        lambda d: [saved(d, "grids.gpkg", METRES)],
        (
            "grids.gpkg: the coordinates are not degrees",
            "(3 rows: 1, 2, 3); found x 447100",
            "Give the file its right CRS",
        ),
    ),
    "degrees that are called metres": Broken(
        lambda d: [saved(d, "grids.gpkg", SQUARES, 4548)],
        (
            "grids.gpkg: the coordinates look like degrees, though the CRS (CGCS2000",
            "is in metres; found x 116.3 to 116.303",
        ),
    ),
    "latitude before longitude": Broken(
        lambda d: [saved(d, "grids.geojson", swapped(SQUARES))],
        ("grids.geojson: the coordinates are not degrees", "y 116.301", "or swap x and y"),
    ),
    "a shifted datum of metres": Broken(
        lambda d: [saved(d, "grids.gpkg", METRES, 4548), "--datum", "gcj02"],
        ("grids.gpkg: a gcj02 shift needs degrees", "wanted longitude, latitude"),
    ),
    # the boundary
    "a boundary without geometry": Broken(
        lambda d: [good(d), "--boundary", saved(d, "boundary.geojson", [None])],
        ("boundary.geojson: rows without geometry (row 1); wanted a polygon each",),
    ),
    "a boundary of lines": Broken(
        lambda d: [good(d), "--boundary", saved(d, "boundary.geojson", [LINE])],
        ("boundary.geojson: geometry of the wrong type for a boundary (row 1); found LineString; wanted Polygon",),
    ),
    "a boundary without a CRS": Broken(
        lambda d: [good(d), "--boundary", saved(d, "boundary.parquet", crs=None)],
        ("boundary.parquet: the coordinate reference system is missing",),
    ),
    "a boundary that is infinite": Broken(
        lambda d: [good(d), "--boundary", infinite(d)],
        ("boundary.parquet: coordinates that are not finite numbers (row 1)",),
    ),
    "a boundary elsewhere": Broken(
        lambda d: [good(d), "--boundary", saved(d, "boundary.geojson", ELSEWHERE)],
        ("boundary.geojson: ", "grids"),
    ),
    # other tables
    "parents without codes": Broken(
        lambda d: [good(d), "--parents", written(d, "units.geojson", geojson(RING, title="甲"))],
        ("units.geojson: ", "code", "found", "title"),
    ),
    "parents elsewhere": Broken(
        lambda d: [good(d), "--parents", saved(d, "units.geojson", ELSEWHERE)],
        ("units.geojson: ", "grids"),
    ),
    "parents of points": Broken(
        lambda d: [good(d), "--parents", saved(d, "units.geojson", [POINT])],
        ("units.geojson: geometry of the wrong type", "(row g0); found Point"),
    ),
    "a mode that is none": Broken(
        lambda d: [good(d), "--mode", "both"], ("--mode", "'both'", "partition", "overlay"), (VALIDATE,)
    ),
    "a base that does not exist": Broken(
        lambda d: [good(d), "--mode", "overlay", "--base", d / "base.gpkg"],
        ("base.gpkg: no such file",),
        (VALIDATE,),
    ),
    "holes of lines": Broken(
        lambda d: [good(d), "--holes", saved(d, "lakes.geojson", [LINE])],
        ("lakes.geojson: geometry of the wrong type", "found LineString"),
    ),
    "a code to protect that does not exist": Broken(
        lambda d: [good(d), "--protect", "g0,g9"], ("grids.geojson: ", "g9", "found", "g0"), (REPAIR,)
    ),
    "no such column of priorities": Broken(
        lambda d: [good(d), "--priority", "rank"], ("grids.geojson: ", "'rank'", "found", "code"), (REPAIR,)
    ),
    "houses without a place": Broken(
        lambda d: [good(d), "--houses", written(d, "houses.csv", "code,households\nh1,2\n")],
        ("houses.csv: ", "geometry", "lon"),
        (REPAIR,),
    ),
    "a log in a folder that does not exist": Broken(
        lambda d: [good(d), "--log", d / "there" / "log.csv"],
        ("there", "the folder does not exist"),
        (REPAIR,),
    ),
    # arguments and outputs
    "a negative tolerance": Broken(lambda d: [good(d), "--min-area", "-1"], ("--min-area", "-1"), (VALIDATE,)),
    "a tolerance that is no number": Broken(
        lambda d: [good(d), "--min-width", "nan"], ("min", "width", "nan", "number"), (VALIDATE,)
    ),
    "an output of an unknown ending": Broken(
        lambda d: [good(d), "-o", d / "out.docx"],
        ("out.docx: the ending of the output is unknown; found '.docx'; wanted .geojson, .gpkg, .parquet, .csv",),
    ),
    "an output in a folder that does not exist": Broken(
        lambda d: [good(d), "-o", d / "there" / "out.gpkg"], ("there: the folder does not exist. Make it first.",)
    ),
    "an output that is a folder": Broken(
        lambda d: [good(d), "-o", made_folder(d, "there.gpkg")], ("there.gpkg: this is a folder; wanted",)
    ),
    "an output that is the input": Broken(
        lambda d: [good(d), "-o", d / "." / "grids.geojson"],
        ("grids.geojson: ", "input"),
    ),
}


def made_folder(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


# --- what holds for each row ------------------------------------------------------------------------------------------

ROWS = [pytest.param(row, command, id=f"{command}-{name}") for name, row in BROKEN.items() for command in row.commands]


def test_the_table_has_its_twenty_rows_for_each_command() -> None:
    for command in BOTH:
        assert sum(command in row.commands for row in BROKEN.values()) >= 20


@pytest.mark.parametrize(("row", "command"), ROWS)
def test_one_message_and_nothing_changed(
    row: Broken, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(a) for a in row.make(tmp_path)]
    if command == REPAIR and "-o" not in arguments:
        arguments += ["-o", str(tmp_path / "fixed.gpkg")]
    before = contents(tmp_path)
    assert run([command, *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1, printed.err
    assert printed.err.startswith("gridgis: 错误：")
    assert "Traceback" not in printed.err
    for piece in row.says:
        assert piece.format(folder=tmp_path) in printed.err
    assert contents(tmp_path) == before


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, for a test that gives up an administrator's rights."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def as_anybody() -> Iterator[None]:
    """An administrator may write anywhere: without those rights until the end."""
    administrator = os.geteuid() == 0
    if administrator:
        os.seteuid(65534)
    try:
        yield
    finally:
        if administrator:
            os.seteuid(0)


@pytest.mark.parametrize("command", BOTH)
def test_an_output_that_may_not_be_written(command: str, open_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, locked = good(open_folder), made_folder(open_folder, "locked")
    assert run([command, str(path), "-o", str(open_folder / "out.gpkg")]) == 0
    capsys.readouterr()
    locked.chmod(0o555)
    with as_anybody():
        assert run([command, str(path), "-o", str(locked / "out.gpkg")]) == 2
    assert "out.gpkg: the file cannot be written; found Permission denied" in capsys.readouterr().err
    assert list(locked.iterdir()) == []


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file below the folder with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}
