"""Reading and writing tables: exact, whole or not at all, and one clear error where something is wrong."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import struct
import subprocess
import sys
import tempfile
import warnings
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import METRES, X0, Y0, in_degrees, squares

from gridgis import crs
from gridgis.errors import CRSError, GeometryError, GridgisError, GridgisWarning, InputError, NotFoundError, SchemaError
from gridgis.files import read, read_layer_beside, write, write_layers, write_text
from gridgis.files.vectors import parse_spec

ENDINGS = (".geojson", ".gpkg", ".parquet", ".csv")
OPEN = [[0, 0], [1, 0], [1, 1], [0, 1]]
CLOSED = [*OPEN, [0, 0]]


def table(count: int = 3) -> gpd.GeoDataFrame:
    return squares(count, 1)


def wkb(frame: gpd.GeoDataFrame) -> list[bytes | None]:
    return list(shapely.to_wkb(np.asarray(frame.geometry.array, dtype=object)))


def left(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def geojson(path: Path, *geometries: Any, **more: Any) -> Path:
    features = [
        {"type": "Feature", "properties": {"code": f"g{i}"}, "geometry": g} for i, g in enumerate(geometries, 1)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features, **more}))
    return path


def polygon(ring: list[list[Any]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [ring]}


# --- what is written is what is read ----------------------------------------------------------------------------------

COORDINATE = st.floats(-1e7, 1e7)
DEGREES = st.tuples(st.floats(-180, 180), st.floats(-90, 90))
SOMEWHERE = st.tuples(COORDINATE, COORDINATE)


def shapes_of(position: st.SearchStrategy[tuple[float, float]]) -> st.SearchStrategy[Any]:
    ring = st.lists(position, min_size=3, max_size=6)
    polygons = st.builds(shapely.Polygon, ring, st.lists(ring, max_size=2))
    lines = st.lists(position, min_size=2, max_size=6).map(shapely.LineString)
    return st.one_of(
        polygons, lines, st.lists(polygons, min_size=1, max_size=3).map(shapely.MultiPolygon),
        st.lists(lines, min_size=1, max_size=3).map(shapely.MultiLineString), st.none(),
    )  # fmt: skip


def written_and_read(frame: gpd.GeoDataFrame, ending: str) -> gpd.GeoDataFrame:
    with tempfile.TemporaryDirectory() as folder:
        path = write(frame, Path(folder) / f"t{ending}")
        assert left(Path(folder)) == {path.name}
        return read(path, crs=frame.crs.to_string())


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=20, deadline=None)
@given(st.lists(shapes_of(DEGREES), min_size=1, max_size=5), st.lists(shapes_of(SOMEWHERE), max_size=5))
def test_coordinates_come_back_to_the_last_bit(ending: str, degrees: list[Any], metres: list[Any]) -> None:
    anchor = shapely.LineString([(X0 + 0.1, Y0 + 0.2), (X0 + 500.3, Y0)])
    line = shapely.LineString([(116.3, 39.9), (116.4, 40.0)])
    for shapes, epsg in (([line, *degrees], 4326), ([anchor, *metres], 4548)):
        frame = gpd.GeoDataFrame({"code": [f"0{i}" for i in range(len(shapes))]}, geometry=shapes, crs=epsg)
        got = written_and_read(frame, ending)
        assert wkb(got) == wkb(frame)
        assert got["code"].tolist() == frame["code"].tolist()
        assert got.crs == frame.crs


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=20, deadline=None)
@given(st.lists(st.one_of(DEGREES, st.none()), min_size=1, max_size=20))
def test_points_come_back_to_the_last_bit(ending: str, points: list[Any]) -> None:
    shapes = [shapely.Point(116.3, 39.9), *(p if p is None else shapely.Point(p) for p in points)]
    frame = gpd.GeoDataFrame({"n": range(len(shapes))}, geometry=shapes, crs=4326)
    assert wkb(written_and_read(frame, ending)) == wkb(frame)


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=12)),
            st.one_of(st.none(), st.integers(0, 10**18)),
            st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
            st.booleans(),
        ),
        min_size=1, max_size=8,
    )
)  # fmt: skip
def test_cells_come_back(ending: str, rows: list[tuple[Any, ...]]) -> None:
    names, codes, numbers, flags = zip(*rows, strict=True)
    frame = gpd.GeoDataFrame(
        {"name": pd.Series(names, dtype=object), "code": pd.Series(codes, dtype="Int64"),
         "deviation": pd.Series(numbers, dtype=float), "estimated": flags},
        geometry=[shapely.box(0, 0, 1, 1)] * len(rows), crs=4326,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = write(frame, Path(folder) / f"t{ending}")
        got = read(path, table="grid", crs="EPSG:4326", lenient=["codes"])
    assert got["name"].tolist() == list(names)
    assert got["code"].tolist() == [None if c is None else str(c) for c in codes]
    # Nought has no sign in an SQLite file.
    assert (got["deviation"] + 0.0).map(repr).tolist() == (frame["deviation"] + 0.0).map(repr).tolist()
    assert got["estimated"].tolist() == list(flags)


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_table_gives_the_same_bytes(ending: str, tmp_path: Path) -> None:
    frame = table().assign(codes=[("a", "b"), (), None], when=pd.to_datetime(["2026-03-02"] * 3, utc=True))
    frame.attrs["parameters"] = {"seed": 1}
    first = write(frame, tmp_path / f"plan{ending}").read_bytes()
    (tmp_path / "again").mkdir()
    assert write(frame, tmp_path / "again" / f"plan{ending}").read_bytes() == first
    assert write(frame, tmp_path / f"plan{ending}").read_bytes() == first


@pytest.mark.parametrize("ending", ENDINGS)
def test_writing_changes_no_input_and_takes_any_index_and_geometry_name(ending: str, tmp_path: Path) -> None:
    frame = (
        table().rename_geometry("ground").set_index(pd.Index([7, 5, 3], name="row")).assign(codes=[("a", 1), [], None])
    )
    before = frame.copy(deep=True)
    got = read(write(frame, tmp_path / f"t{ending}"), crs=METRES)
    pd.testing.assert_frame_equal(pd.DataFrame(frame), pd.DataFrame(before))
    assert wkb(got) == wkb(frame)
    assert list(got.index) == [0, 1, 2]
    assert [c or None for c in got["codes"]] == ["a;1", None, None]


@pytest.mark.parametrize("ending", ENDINGS)
def test_times_and_dates_pass_the_door_again(ending: str, tmp_path: Path) -> None:
    moment = pd.Timestamp("2026-03-02T08:30:00.250+08:00").tz_convert("UTC")
    visits = pd.DataFrame({"target": ["t1", "t2"], "time": [moment, moment], "note": [None, "x"]})
    assert read(write(visits, tmp_path / f"v{ending}"), table="visit")["time"].tolist() == [moment, moment]
    leave = pd.DataFrame({"staff": ["007"], "date": pd.to_datetime(["2026-03-02"])})
    got = read(write(leave, tmp_path / f"l{ending}"), table="leave")
    assert (got["staff"][0], got["date"][0]) == ("007", pd.Timestamp(2026, 3, 2))


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_empty_table_can_be_written_and_is_told_of_when_read_as_something(ending: str, tmp_path: Path) -> None:
    path = write(table().iloc[:0], tmp_path / f"none{ending}")
    assert len(read(path, crs=METRES)) == 0
    with pytest.raises(SchemaError, match=rf"none\{ending}: the table is empty; wanted at least one grid"):
        read(path, table="grid", crs=METRES)


@pytest.mark.parametrize("ending", ENDINGS)
def test_several_tables_at_once(ending: str, tmp_path: Path) -> None:
    layers = {"grids": table(), "blocks": table(5), "log": pd.DataFrame({"text": ["x"]})}
    paths = write_layers(layers, tmp_path / f"plan{ending}")
    one = ending == ".gpkg"
    assert [p.name for p in paths] == (
        [f"plan{ending}"] if one else [f"plan{e}" for e in (ending, f".blocks{ending}", f".log{ending}")]
    )
    assert left(tmp_path) == {p.name for p in paths}
    assert len(read(paths[0], table="grid", crs=METRES)) == 3
    blocks = read_layer_beside(paths[0], "blocks", table="block", crs=METRES)
    assert blocks is not None and len(blocks) == 5
    log = read_layer_beside(paths[0], "log")
    assert log is not None and log["text"].tolist() == ["x"]
    assert read_layer_beside(paths[0], "borders", table="border") is None


def test_geojson_names_a_crs_only_where_it_is_not_the_standard_one(tmp_path: Path) -> None:
    plain = json.loads(write(in_degrees(table()), tmp_path / "a.geojson").read_text("utf-8"))
    assert "crs" not in plain and plain["features"][0]["properties"]["code"] == "11"
    path = write(table(), tmp_path / "b.geojson")
    assert json.loads(path.read_text("utf-8"))["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::4548"
    assert gpd.read_file(path).crs.to_epsg() == 4548
    assert read(path).crs.to_epsg() == 4548


def test_other_programs_read_what_we_write(tmp_path: Path) -> None:
    frame = in_degrees(table())
    for ending in (".geojson", ".gpkg"):
        theirs = pyogrio.read_dataframe(write(frame, tmp_path / f"t{ending}"))
        assert wkb(theirs) == wkb(frame)
    assert wkb(gpd.read_parquet(write(frame, tmp_path / "t.parquet"))) == wkb(frame)
    assert pd.read_csv(write(frame, tmp_path / "t.csv"))["geometry"].map(shapely.from_wkt).tolist() == list(
        frame.geometry
    )


def test_points_of_another_crs_are_lon_and_lat_in_csv(tmp_path: Path) -> None:
    points = table().set_geometry(table().centroid)
    text = pd.read_csv(write(points, tmp_path / "p.csv"))
    true = points.to_crs(4326).geometry
    assert text["lon"].tolist() == pytest.approx(true.x.tolist(), abs=1e-12)
    assert text["lat"].tolist() == pytest.approx(true.y.tolist(), abs=1e-12)


def test_a_column_called_fid_is_a_column(tmp_path: Path) -> None:
    frame = table().assign(fid=["x", "x", "y"])
    assert read(write(frame, tmp_path / "t.gpkg"))["fid"].tolist() == ["x", "x", "y"]


def test_csv_has_the_mark_of_utf_8_only_where_it_helps(tmp_path: Path) -> None:
    plain, chinese = pd.DataFrame({"code": ["a"]}), pd.DataFrame({"code": ["网格"]})
    assert write(plain, tmp_path / "t.csv").read_bytes() == b"code\na\n"
    assert write(chinese, tmp_path / "t.csv").read_bytes() == b"\xef\xbb\xbf" + "code\n网格\n".encode()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_frame_that_lost_its_geometry_is_a_plain_table(ending: str, tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame({"code": ["a", "b"]})
    assert read(write(frame, tmp_path / f"t{ending}"), table="house")["code"].tolist() == ["a", "b"]


def test_text_is_written_as_utf_8(tmp_path: Path) -> None:
    assert write_text("网格\n", tmp_path / "t.txt").read_bytes() == "网格\n".encode()


# --- whole or not at all ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device"), MemoryError()]
)
def test_whatever_stops_the_writing_the_old_file_stays(
    ending: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_layers({"a": table(2), "b": table(2)}, tmp_path / f"t{ending}")
    before = {p: p.read_bytes() for p in paths}

    def stop(path: Path) -> None:
        raise error

    # The last step before the renaming: everything has been written beside.
    monkeypatch.setattr("gridgis.replace._to_disk", stop)
    wanted: Any = InputError if isinstance(error, OSError) else type(error)
    full = r"cannot be written; found No space left on device\. What was there is unchanged"
    match = full if wanted is InputError else None
    with pytest.raises(wanted, match=match):
        write_layers({"a": table(5), "b": table(5)}, paths[0])
    assert {p: p.read_bytes() for p in paths} == before
    assert left(tmp_path) == {p.name for p in paths}


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_interrupt_in_the_midst_of_writing(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(table(2), tmp_path / f"t{ending}")
    before = path.read_bytes()
    target = {".gpkg": "pyogrio.write_dataframe", ".parquet": "geopandas.GeoDataFrame.to_parquet"}.get(ending)

    def begin(*arguments: Any, **options: Any) -> None:
        made = next(Path(a) for a in arguments if isinstance(a, Path))
        for name in (made, made.with_name(f"{made.name}-journal")):
            with name.open("wb") as file:
                file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(target or "pathlib.Path.write_bytes", begin)
    with pytest.raises(KeyboardInterrupt):
        write(table(5), path)
    assert path.read_bytes() == before
    assert left(tmp_path) == {path.name}


_FULL_DISK = """
import resource, sys
from pathlib import Path
import geopandas as gpd, numpy as np, shapely
from gridgis.errors import InputError
from gridgis.files import read, write

folder = Path(sys.argv[1])
xy = np.random.default_rng(1).random((2000, 2)) / 100 + (116, 39)
shapes = shapely.buffer(shapely.points(xy), 1e-3)
frame = gpd.GeoDataFrame({"code": [f"c{i}" for i in range(2000)]}, geometry=shapes, crs=4326)
for ending in (".geojson", ".gpkg", ".parquet", ".csv"):
    path = folder / f"t{ending}"
    whole = write(frame, path).stat().st_size
    write(frame.iloc[:3], path)
    before = path.read_bytes()
    for share in (0.0, 0.3, 0.7, 0.95, 0.999):
        limit = int(whole * share)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            write(frame, path)
        except InputError as error:
            assert "unchanged" in str(error), error
        else:
            print("written in spite of it", ending, share)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert path.read_bytes() == before
        assert [p.name for p in folder.iterdir()] == [path.name]
    path.unlink()
print("done")
"""


def test_a_disk_that_is_full_in_earnest(tmp_path: Path) -> None:
    """The system itself refuses to write more, at five points of each format."""
    run = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (0, "done\n"), run.stderr[-2000:]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "plan.csv"
    link.symlink_to(tmp_path / "real" / "plan.csv")
    write(table(), link)
    assert link.is_symlink() and len(read(tmp_path / "real" / "plan.csv", crs=METRES)) == 3


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: the folder does not exist\. Make it first"):
        write(table(), tmp_path / "nowhere" / "t.gpkg")
    with pytest.raises(
        InputError, match=r"t\.shp: the ending of the output is unknown; found '\.shp'; wanted \.geojson, \.gpkg"
    ):
        write(table(), tmp_path / "t.shp")
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(InputError, match=r"d\.csv: this is a folder; wanted the name of a file"):
        write(table(), tmp_path / "d.csv")
    with pytest.raises(InputError, match="there is nothing to write"):
        write_layers({}, tmp_path / "t.gpkg")
    assert left(tmp_path) == {"d.csv"}


def test_cells_that_no_format_holds(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"a number is infinite, which GeoJSON cannot hold \(row 2\)"):
        write(table().assign(x=[1.0, np.inf, 2.0]), tmp_path / "t.geojson")
    doubled = pd.DataFrame([["a", "b"]], columns=["code", "code"])
    with pytest.raises(SchemaError, match="two columns have one name; found code, code"):
        write(doubled, tmp_path / "t.csv")
    assert left(tmp_path) == set()


# --- FILE:LAYER#CODE --------------------------------------------------------------------------------------------------


def units(path: Path, codes: list[Any], column: str = "code") -> Path:
    frame = in_degrees(squares(len(codes), 1)).drop(columns="code").assign(**{column: codes})
    return write(frame, path)


def test_specs(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    path.touch()
    assert parse_spec(path) == (path, None, None)
    assert parse_spec(f"{path}:units") == (path, "units", None)
    assert parse_spec(f"{path}#110108014") == (path, None, "110108014")
    assert parse_spec(f"{path}:units#A:1#2") == (path, "units", "A:1#2")
    odd = tmp_path / "b#1:2.gpkg"
    odd.touch()
    assert parse_spec(odd) == (odd, None, None)
    assert parse_spec(f"{odd}#7") == (odd, None, "7")
    with pytest.raises(InputError, match=r"c\.gpkg:units#1: no such file"):
        parse_spec(f"{tmp_path / 'c.gpkg'}:units#1")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("stored", [[110108014000, 110108015000], ["110108014", "110108015"], [110108014.0, None]])
@pytest.mark.parametrize("asked", ["110108014", "110108014000"])
def test_one_feature_by_its_code_in_either_form(ending: str, stored: list[Any], asked: str, tmp_path: Path) -> None:
    path = units(tmp_path / f"u{ending}", stored)
    got = read(f"{path}#{asked}", table="boundary", crs="EPSG:4326")
    assert (len(got), got["code"][0][:9], got["name"][0]) == (1, "110108014", "网格11")
    assert list(got.index) == [0]


@pytest.mark.parametrize("column", ["编码", "CODE", "Code", "代码"])
def test_the_column_of_codes_may_be_called_so(column: str, tmp_path: Path) -> None:
    path = units(tmp_path / "u.geojson", ["A", "007"], column)
    for name in (None, "unit"):
        assert read(f"{path}#007", table=name)["name"].tolist() == ["网格12"]
    theirs = units(tmp_path / "v.geojson", ["A", "B"], "DISTRICT")
    assert read(f"{theirs}#B", table="unit", rename={"DISTRICT": "code"})["name"].tolist() == ["网格12"]


def test_a_community_is_not_its_sub_district(tmp_path: Path) -> None:
    path = units(tmp_path / "u.csv", ["110108014000", "110108014001"])
    assert read(f"{path}#110108014001", crs="EPSG:4326")["code"].tolist() == [110108014001]
    assert read(f"{path}#110108014", crs="EPSG:4326")["code"].tolist() == [110108014000]


def test_no_feature_several_features_no_codes(tmp_path: Path) -> None:
    path = units(tmp_path / "u.geojson", ["A", "B", "B"])
    with pytest.raises(NotFoundError, match=r"u\.geojson: no feature has the code C; found codes as A, B, B"):
        read(f"{path}#C")
    with pytest.raises(SchemaError, match=r"2 features have the code B \(2 rows: 2, 3\); wanted one"):
        read(f"{path}#B")
    other = units(tmp_path / "v.geojson", ["A"], "key")
    with pytest.raises(SchemaError, match=r"no column of codes to find a feature by; found .*'key'.*--map theirs=code"):
        read(f"{other}#A")


def test_the_layer_named_as_the_table_or_the_only_one(tmp_path: Path) -> None:
    path = tmp_path / "plan.gpkg"
    write_layers({"blocks": table(5), "grid": table(2), "log": pd.DataFrame({"a": [1]})}, path)
    assert len(read(path, table="grid")) == 2
    assert len(read(path, table="block")) == 5
    assert len(read(f"{path}:blocks")) == 5
    assert len(read(path, layer="grid")) == 2
    assert len(read(f"{path}:blocks", layer="grid")) == 5
    with pytest.raises(
        InputError,
        match=r"the file has 3 layers and none is named; found blocks, grid, log\. Name one: .*plan\.gpkg:blocks",
    ):
        read(path)
    with pytest.raises(NotFoundError, match=r"there is no layer 'grids'; found blocks, grid, log"):
        read(f"{path}:grids")
    single = tmp_path / "single.gpkg"
    write_layers({"whatever": table(2), "layer_styles": pd.DataFrame({"a": [1]})}, single)
    assert len(read(single, table="grid")) == 2
    with pytest.raises(NotFoundError, match=r"there is no layer 'x'; found t"):
        read(f"{write(table(), tmp_path / 't.csv')}:x")


# --- formats of others ------------------------------------------------------------------------------------------------


def test_shapefiles_zipped_too(tmp_path: Path) -> None:
    frame = table()
    frame.to_file(tmp_path / "s.shp", engine="pyogrio")
    assert wkb(read(tmp_path / "s.shp", table="grid").normalize().to_frame()) == wkb(frame.normalize().to_frame())
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for ending in ("shp", "shx", "dbf", "prj"):
            archive.write(tmp_path / f"s.{ending}", f"s.{ending}")
    assert read(tmp_path / "s.zip", table="grid")["code"].tolist() == frame["code"].tolist()


@pytest.mark.parametrize("encoding", ["UTF-8", "GB18030"])
def test_a_shapefile_that_does_not_say_its_encoding(encoding: str, tmp_path: Path) -> None:
    frame = table().assign(name=["东一", "东二", "东三"]).rename(columns={"code": "编码"})
    frame.to_file(tmp_path / "s.shp", engine="pyogrio", encoding=encoding)
    (tmp_path / "s.cpg").unlink()
    dbf = bytearray((tmp_path / "s.dbf").read_bytes())
    dbf[29] = 0  # the language of the dBASE file, by which GDAL would know
    (tmp_path / "s.dbf").write_bytes(dbf)
    got = read(tmp_path / "s.shp", table="grid")
    assert got["name"].tolist() == ["东一", "东二", "东三"]
    assert got["code"].tolist() == ["11", "12", "13"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_of_chinese_excel(encoding: str, separator: str, tmp_path: Path) -> None:
    header = ["房屋编码", "地址", "户数", "经度", "纬度"]
    rows = [header, ["007", '"清华园1号，东"', "2", "116.3251", "39.99"], ["008", f'"a{separator}""b"""', "", "", ""]]
    text = "\r\n".join(separator.join(row) for row in rows)
    (tmp_path / "h.csv").write_bytes((text + "\r\n\r\n").encode(encoding))
    got = read(tmp_path / "h.csv", table="house")
    assert got["code"].tolist() == ["007", "008"]
    assert got["address"].tolist() == ["清华园1号，东", f'a{separator}"b"']
    assert got["households"].tolist() == [2, 1]
    assert got.geometry[0] == shapely.Point(116.3251, 39.99) and got.geometry[1] is None
    assert (got.crs.to_epsg(), got["lon"][0]) == (4326, 116.3251)


def test_csv_keeps_codes_and_only_blank_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "house,n,x,flag,long,name\n007,1,1e-07,True,123456789012345678,NA\n12E3,2,-2.5,False,1,null\n,,,,,\n"
    )
    got = read(path)
    assert got["house"].tolist() == ["007", "12E3"]
    assert (got["n"].tolist(), got["x"].tolist(), got["flag"].tolist()) == ([1, 2], [1e-07, -2.5], [True, False])
    assert got["long"].tolist() == ["123456789012345678", "1"]
    assert got["name"].tolist() == ["NA", "null"]


def test_csv_with_a_very_long_outline(tmp_path: Path) -> None:
    angle = np.linspace(0, 2 * np.pi, 20_000)
    ring = shapely.Polygon(np.column_stack([116 + np.cos(angle) / 7, 40 + np.sin(angle) / 7]))
    frame = gpd.GeoDataFrame({"code": ["a"]}, geometry=[ring], crs=4326)
    path = write(frame, tmp_path / "t.csv")
    assert path.stat().st_size > 500_000
    assert wkb(read(path, crs="EPSG:4326")) == wkb(frame)


def test_wkt_may_name_its_crs(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f'code,WKT\na,"SRID=4548;POINT ({X0} {Y0})"\nb,\n')
    got = read(path, table="house")
    assert got.crs.to_epsg() == 4548 and got.geometry[1] is None
    path.write_text('code,WKT\na,"SRID=4548;POINT (1 2)"\nb,SRID=4326;POINT (1 2)\n')
    with pytest.raises(CRSError, match=r"the rows name more than one CRS; found 4326, 4548"):
        read(path)


def test_parquet_with_lon_and_lat(tmp_path: Path) -> None:
    pd.DataFrame({"code": ["a"], "lon": [116.3], "lat": [39.9]}).to_parquet(tmp_path / "h.parquet")
    assert read(tmp_path / "h.parquet", table="house").geometry[0] == shapely.Point(116.3, 39.9)
    staff = pd.DataFrame({"id": ["a"], "name": ["王"], "lon": [116.3], "lat": [39.9]})
    staff.to_parquet(tmp_path / "s.parquet")
    assert not isinstance(read(tmp_path / "s.parquet", table="staff"), gpd.GeoDataFrame)


@pytest.mark.parametrize("ending", [".geojson", ".gpkg", ".parquet"])
def test_long_codes_stored_as_numbers_with_gaps(ending: str, tmp_path: Path) -> None:
    codes = [110108014000123457, None, 9007199254740993]
    path = tmp_path / f"t{ending}"
    frame = table().assign(code=pd.Series(codes, dtype="Int64"))
    if ending == ".parquet":
        arrow = pyarrow.table({"code": codes, "geometry": frame.geometry.to_wkb().tolist()})
        meta = {
            "version": "1.0.0",
            "primary_column": "geometry",
            "columns": {"geometry": {"encoding": "WKB", "geometry_types": [], "crs": None}},
        }
        pyarrow.parquet.write_table(arrow.replace_schema_metadata({"geo": json.dumps(meta)}), path)
    elif ending == ".gpkg":
        frame.to_file(path, engine="pyogrio", layer="t")
    else:
        geojson(path, *[json.loads(shapely.to_geojson(g)) for g in in_degrees(frame).geometry])
        path.write_text(
            path.read_text().replace('"g1"', str(codes[0])).replace('"g2"', "null").replace('"g3"', str(codes[2]))
        )
    got = read(path, table="grid", crs=METRES, lenient=["codes"])
    assert got["code"].tolist() == ["110108014000123457", None, "9007199254740993"]


def test_geojson_of_all_kinds(tmp_path: Path) -> None:
    path = tmp_path / "t.geojson"
    path.write_text(json.dumps(polygon(CLOSED)))
    assert read(path).geometry[0].equals(shapely.box(0, 0, 1, 1))
    path.write_text(json.dumps({"type": "Feature", "id": 5, "properties": None, "geometry": polygon(CLOSED)}))
    assert read(path)["id"].tolist() == [5]
    path.write_bytes(b"\xef\xbb\xbf" + geojson(path, polygon(CLOSED), crs=None).read_bytes())
    assert read(path).crs.to_epsg() == 4326
    geojson(path, polygon(CLOSED), crs={"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}})
    assert read(path).crs.to_epsg() == 4326
    geojson(path, {"type": "Point", "coordinates": [1, 2, 3]})
    assert not read(path).geometry[0].has_z


def test_other_json_is_left_to_gdal(tmp_path: Path) -> None:
    topology = {
        "type": "Topology", "arcs": [CLOSED],
        "objects": {"grids": {"type": "GeometryCollection", "geometries": [
            {"type": "Polygon", "arcs": [[0]], "properties": {"code": "a"}}]}},
    }  # fmt: skip
    (tmp_path / "t.json").write_text(json.dumps(topology))
    got = read(tmp_path / "t.json", table="grid", crs="EPSG:4326")
    assert got["code"].tolist() == ["a"] and got.geometry[0].area == 1


def test_heights_are_dropped(tmp_path: Path) -> None:
    frame = table().set_geometry(shapely.force_3d(table().geometry.array, 5.0))
    for ending in (".gpkg", ".parquet"):
        got = read(write(frame, tmp_path / f"t{ending}"))
        assert not got.has_z.any() and wkb(got) == wkb(table())


@pytest.mark.parametrize("datum", ["gcj02", "bd09"])
def test_shifted_coordinates_come_in_true(datum: str, tmp_path: Path) -> None:
    shift = {"gcj02": crs.wgs84_to_gcj02, "bd09": crs.wgs84_to_bd09}[datum]
    lon, lat = (float(v) for v in shift(116.32, 40.0))
    path = tmp_path / "h.csv"
    path.write_text(f"code,lon,lat\na,{lon!r},{lat!r}\nb,,\n")
    got = read(path, table="house", datum=datum)
    assert (got.geometry[0].x, got.geometry[0].y) == pytest.approx((116.32, 40.0), abs=1e-9)
    assert (got["lon"][0], got["lat"][0]) == (got.geometry[0].x, got.geometry[0].y)
    with pytest.raises(CRSError, match=f"a {datum} shift needs degrees"):
        read(write(table(), tmp_path / "t.gpkg"), datum=datum)
    (tmp_path / "s.csv").write_text("id,name\n1,王\n")
    with pytest.raises(InputError, match="a datum is named for a table without coordinates"):
        read(tmp_path / "s.csv", table="staff", datum=datum)


def test_reading_with_a_datum_shifts_tables_of_fixes(tmp_path: Path) -> None:
    lon, lat = (float(v) for v in crs.wgs84_to_gcj02(116.32, 40.0))
    path = tmp_path / "f.csv"
    path.write_text(f"staff,time,lon,lat\n01,2026-03-02T08:00:00Z,{lon!r},{lat!r}\n")
    got = read(path, table="fix", datum="gcj02")
    assert not isinstance(got, gpd.GeoDataFrame)
    assert (got["staff"][0], got["lon"][0], got["lat"][0]) == (
        "01",
        pytest.approx(116.32, abs=1e-9),
        pytest.approx(40.0, abs=1e-9),
    )


# --- what cannot be read ----------------------------------------------------------------------------------------------


def test_a_missing_crs_must_be_named(tmp_path: Path) -> None:
    frame = table().set_crs(None, allow_override=True)
    with pytest.warns(UserWarning, match="'crs' was not provided"):
        frame.to_file(tmp_path / "s.shp", engine="pyogrio")
    remedy = r"the coordinate reference system is missing\. Name it with --crs EPSG:4326"
    with pytest.raises(CRSError, match=rf"s\.shp: {remedy}"):
        read(tmp_path / "s.shp", table="grid")
    assert read(tmp_path / "s.shp", table="grid", crs=METRES).crs.to_epsg() == 4548
    with pytest.raises(CRSError, match=rf"t\.csv: {remedy}"):
        read(write(table(), tmp_path / "t.csv"))
    with pytest.raises(CRSError, match=r"the CRS is unknown; found 'EPSG:1'; wanted a code as EPSG:4326"):
        read(tmp_path / "s.shp", crs="EPSG:1")


def test_a_named_crs_is_not_overridden(tmp_path: Path) -> None:
    path = write(table(), tmp_path / "t.gpkg")
    assert read(path, crs="EPSG:4490").crs.to_epsg() == 4548
    degrees = write(in_degrees(table()), tmp_path / "t.geojson")
    assert read(degrees, crs=METRES).crs.to_epsg() == 4326


def test_a_wrong_crs_is_told_of(tmp_path: Path) -> None:
    metres = geojson(tmp_path / "m.geojson", polygon([[X0 + x * 99, Y0 + y * 99] for x, y in CLOSED]))
    with pytest.raises(
        CRSError,
        match=rf"m\.geojson: .* not degrees, though the CRS \(WGS 84\) says so \(row 1\); found x {X0}, y {Y0}",
    ):
        read(metres, table="grid")
    assert read(metres, table="grid", crs=METRES).crs.to_epsg() == 4548
    degrees = geojson(tmp_path / "d.geojson", polygon([[116 + x / 99, 40 + y / 99] for x, y in CLOSED]),
                      crs={"type": "name", "properties": {"name": "EPSG:4548"}})  # fmt: skip
    with pytest.raises(
        CRSError,
        match=r"d\.geojson: the coordinates look like degrees, though the CRS \(CGCS2000 .*\) is in metres; "
        r"found x 116 to 116\.01, y 40 to 40\.0101",
    ):
        read(degrees, table="grid")
    geojson(degrees, polygon(CLOSED), crs={"type": "name", "properties": {"name": "EPSG:99"}})
    with pytest.raises(CRSError, match=r"the file names a CRS that is unknown; found .*EPSG:99"):
        read(degrees)
    (tmp_path / "h.csv").write_text(f"code,lon,lat\na,{X0},{Y0}\n")
    with pytest.raises(CRSError, match=r"h\.csv: the coordinates are not degrees"):
        read(tmp_path / "h.csv", table="house")


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        (polygon(OPEN), r"found a ring that is not closed\. Close each ring: its last position is its first"),
        ({"type": "MultiPolygon", "coordinates": [[CLOSED, OPEN]]}, "found a ring that is not closed"),
        (polygon([[0, None], [1, 0], [1, 1], [0, None]]), "found coordinates that are not numbers"),
        (polygon([["0", "0"], [1, 0], [1, 1], ["0", "0"]]), "found coordinates that are not numbers"),
        ({"type": "Polygon", "coordinates": "x"}, "found coordinates that are not numbers"),
        ({"type": "Circle"}, "found Unknown geometry type"),
        ({"type": "LineString", "coordinates": [[1]]}, "found Expected two or three coordinates"),
    ],
)
def test_geometry_that_cannot_be_used(shape: Any, found: str, tmp_path: Path) -> None:
    path = geojson(tmp_path / "g.geojson", polygon(CLOSED), shape, polygon(CLOSED))
    with pytest.raises(GeometryError, match=rf"g\.geojson: geometry that cannot be used \(row 2\); {found}"):
        read(path)


def test_an_open_ring_in_other_formats(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        'code,geometry\na,"POLYGON ((0 0, 1 0, 1 1, 0 0))"\nb,"POLYGON ((0 0, 1 0, 1 1, 0 1))"\n'
    )
    with pytest.raises(GeometryError, match=r"\(row 2\); found a ring that is not closed"):
        read(tmp_path / "t.csv", crs="EPSG:4326")
    path = write(table(), tmp_path / "t.gpkg")
    blob = b"GP" + struct.pack("<BBi", 0, 1, 4548) + struct.pack("<BIII", 1, 3, 1, 4) + np.array(OPEN, float).tobytes()
    with sqlite3.connect(path) as store:
        for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            store.execute(f'DROP TRIGGER "{name}"')
        store.execute("UPDATE t SET geometry = ? WHERE fid = 2", (blob,))
    with pytest.raises(GeometryError, match=r"t\.gpkg: .*\(row 2\); found a ring that is not closed"):
        read(path)


def test_none_and_mixed_geometry_is_refused_as_a_table_and_read_without(tmp_path: Path) -> None:
    path = geojson(tmp_path / "g.geojson", polygon(CLOSED), None)
    assert read(path).geometry.isna().tolist() == [False, True]
    with pytest.raises(GeometryError, match=r"rows without geometry \(row g2\)"):
        read(path, table="grid")
    assert len(read(path, table="grid", lenient=["geometry"])) == 2
    geojson(path, {"type": "GeometryCollection", "geometries": [polygon(CLOSED)]})
    with pytest.raises(GeometryError, match=r"wrong type for a grid .*found GeometryCollection"):
        read(path, table="grid")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.csv: the file is empty; wanted a header and rows"),
        ("code,lon,lat\na,1,2,3\n", r"more cells than the header \(row 1\); found 'a', '1', .*; wanted 3 cells"),
        ('code,name\na,"open\n', r"the table is not whole \(was it cut off\?\); found unexpected end of data"),
        ("code,name,x\na,b,c\nd,e", r"the last row is cut off \(row 2\); found 'd', 'e'; wanted 3 cells"),
        ("code,name,code\na,b,c\n", "two columns have one name; found code"),
        ("code,lon,lat\na,116,\n", r"rows with a lon or a lat but not both \(row 1\)"),
        ("code,lon,lat\na,1,2\nb,east,2\n", r"'lon' has values that are no numbers \(row 2\); found 'east'"),
        ("code,lon,lat\na,1,inf\n", "the column 'lat' has values that are no numbers"),
        ("code,geometry\na,here\n", r"geometry that cannot be used \(row 1\); found Unknown type: 'HERE'"),
        ("code,geometry\na,POINT (500 2)\n", r"not degrees, though the CRS \(WGS 84\) says so"),
        ("code\na\n\0", "the file is not text; wanted UTF-8"),
    ],
)  # fmt: skip
def test_csv_that_cannot_be_used(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(GridgisError, match=message):
        read(tmp_path / "t.csv", table="house", crs="EPSG:4326")


def test_excel_leaves_blank_cells_at_the_end_of_a_row_out(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("code,address,note,\na,b\nc,d,e,\n")
    got = read(tmp_path / "t.csv", table="house")
    assert list(got.columns) == ["code", "address", "note", "households"]
    assert got["note"].tolist() == [None, "e"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"type": "FeatureCollection", "fea', r"the file is not whole JSON: .*line 1"),
        ('{"type": "FeatureCollection"}', "the features cannot be read; wanted a list of GeoJSON features"),
        ('{"type": "FeatureCollection", "features": [1]}', "the features cannot be read"),
        ('{"type": "Feature", "properties": [1], "geometry": null}', r"properties that are no object; found \[1\]"),
        ('{"type": "Topology"}', "the file cannot be read"),
        ("[" * 100_000, "the file is not whole JSON"),
        ("<html>", "the file is not whole JSON"),
    ],
)
def test_geojson_that_cannot_be_used(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.geojson").write_text(text)
    with pytest.raises(InputError, match=rf"t\.geojson: {message}"):
        read(tmp_path / "t.geojson")


def make_every_format(folder: Path) -> list[Path]:
    frame = in_degrees(squares(6, 6))
    paths = [write(frame, folder / f"t{ending}") for ending in ENDINGS]
    for ending in (".shp", ".fgb", ".kml"):
        pyogrio.write_dataframe(frame, str(folder / f"g{ending}"), driver="KML" if ending == ".kml" else None)
        paths.append(folder / f"g{ending}")
    with zipfile.ZipFile(folder / "z.zip", "w") as archive:
        for ending in ("shp", "shx", "dbf", "prj"):
            archive.write(folder / f"g.{ending}", f"g.{ending}")
    return [*paths, folder / "z.zip"]


def test_a_file_that_was_cut_off_is_never_read_as_less(tmp_path: Path) -> None:
    """At twenty places of each format: an error that names the file, never fewer rows (a zip may end a byte early)."""
    for path in make_every_format(tmp_path):
        whole = path.read_bytes()
        assert len(read(path, crs="EPSG:4326")) == 36
        if path.suffix == ".csv":
            continue
        refused = 0
        for cut in np.linspace(0, len(whole) - 3, 20).astype(int):
            path.write_bytes(whole[:cut])
            try:
                assert len(read(path, table="grid", crs="EPSG:4326")) == 36
            except InputError as error:
                assert path.name in str(error)
                refused += 1
        assert refused >= 19
        path.write_bytes(whole)


def test_csv_that_was_cut_off_inside_a_row(tmp_path: Path) -> None:
    """Cut at the end of a row it is a whole CSV, which nothing can tell; anywhere else it is refused."""
    path = write(in_degrees(squares(6, 6)), tmp_path / "t.csv")
    whole = path.read_bytes()
    ends = [i for i, byte in enumerate(whole) if byte == ord("\n")]
    for end, following in pairwise(ends):
        path.write_bytes(whole[: (end + following) // 2])
        with pytest.raises(InputError, match=r"t\.csv: .*cut off"):
            read(path, table="grid", crs="EPSG:4326")


@pytest.mark.parametrize(
    "name", ["t.geojson", "t.gpkg", "t.parquet", "t.csv", "t.shp", "t.zip", "t.osm", "t.osm.pbf", "t.xyz"]
)
def test_rubbish_is_one_error_that_names_the_file(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(bytes(range(256)) * 4)
    with pytest.raises(InputError, match=rf"{name}: [^\n]*$"):
        read(tmp_path / name, table="grid")


def test_other_programs_fault_while_reading_are_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(table(), tmp_path / "t.gpkg")
    real = pyogrio.read_dataframe

    def noisy(*arguments: Any, **options: Any) -> Any:
        warnings.warn("Non closed ring detected.", RuntimeWarning, stacklevel=2)
        return real(*arguments, **options)

    monkeypatch.setattr("pyogrio.read_dataframe", noisy)
    with pytest.warns(GridgisWarning, match=r"t\.gpkg: 1 remarks while reading: Non closed ring detected"):
        assert len(read(path)) == 3


# --- real places ------------------------------------------------------------------------------------------------------


@pytest.mark.places
def test_real_files_of_every_kind(places: Path) -> None:
    boundary = read(f"{places}/beijing/haidian-all.geojson#110108014", table="boundary")
    assert (boundary["code"][0], boundary["name"][0], len(boundary)) == ("110108014000", "清华园街道", 1)
    assert len(read(places / "beijing/haidian-all.geojson", table="unit")) == 29
    districts = read(places / "cambridge/PUBLICSAFETY_PoliceResponseDistricts.geojson")
    assert len(districts) == 117
    assert len(read(places / "providence/blocks.zip")) == 3014
    assert read(places / "providence/blocks.zip").crs.to_epsg() == 4269
    codes = read(places / "codes/streets.csv")
    assert len(codes) == 41_352
    parcels = read(places / "cambridge/ASSESSING_ParcelsFY2014.topojson", crs="EPSG:4326")
    assert len(parcels) == 13_116


@pytest.mark.places
def test_real_coordinates_are_those_of_gdal(places: Path) -> None:
    for name in ("beijing/haidian-all.geojson", "somerville/somerville_wards.geojson"):
        ours, theirs = read(places / name), pyogrio.read_dataframe(places / name)
        assert wkb(ours) == wkb(theirs.set_geometry(shapely.force_2d(theirs.geometry.array)))


# --- portraits --------------------------------------------------------------------------------------------------------


def test_photos_are_taken_with_consent_only(tmp_path: Path) -> None:
    from gridgis.files.photos import MOST_BYTES, embed_photos

    (tmp_path / "a.svg").write_text("<svg/>")
    (tmp_path / "big.png").write_bytes(b"x" * (MOST_BYTES + 1))
    rows = [
        ("s1", "a.svg", "是"), ("s2", "a.svg", "no"), ("s3", "a.svg", None), ("s4", None, "yes"),
        ("s5", "gone.png", "yes"), ("s6", "big.png", "yes"), ("s7", "a.svg.exe", "yes"),
    ]  # fmt: skip
    staff = pd.DataFrame(rows, columns=["id", "photo", "photo_consent"])
    with pytest.warns(GridgisWarning) as caught:
        out = embed_photos(staff, tmp_path)
    assert out["photo"].tolist() == ["data:image/svg+xml;base64,PHN2Zy8+", *[None] * 6]
    said = {str(w.message) for w in caught}
    assert said == {
        "photos of staff were left out, without consent (2: s2, s3)",
        "photos of staff were left out, without a file (s5)",
        "photos of staff were left out, larger than 100 kB (s6)",
        "photos of staff were left out, of an unknown kind (s7)",
    }
    assert staff["photo"][0] == "a.svg"


def test_photos_need_a_column_of_consent(tmp_path: Path) -> None:
    from gridgis.files.photos import embed_photos

    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.warns(GridgisWarning, match="without consent"):
        out = embed_photos(pd.DataFrame({"id": ["s"], "photo": ["a.png"]}), tmp_path)
    assert out["photo"].tolist() == [None]
    plain = pd.DataFrame({"id": ["s"]})
    assert embed_photos(plain, tmp_path) is plain
