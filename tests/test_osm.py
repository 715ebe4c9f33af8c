"""OSM extracts: what becomes a barrier, a building, a compound, water or an address; known answers of a real one."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Mapping
from pathlib import Path

import geopandas as gpd
import numpy as np
import osmium
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gridgis import schema
from gridgis.errors import GridgisWarning, InputError, NotFoundError, SchemaError
from gridgis.files import read, read_osm, write_layers
from gridgis.files.osm import LAYERS, barrier_class

BOX = (116.30, 39.90, 116.31, 39.91)


def ring(west: float, south: float, side: float = 0.001) -> list[tuple[float, float]]:
    east, north = round(west + side, 7), round(south + side, 7)
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]


def extract(
    path: Path,
    *things: tuple[object, Mapping[str, str]],
    bounds: tuple[float, float, float, float] | None = BOX,
    relations: str = "",
) -> Path:
    """An OSM file of ways (lists of positions, None for a node that is not in the file) and points; ids from 1."""
    nodes: dict[tuple[float, float], int] = {}
    node_xml, way_xml = [], []

    def node(xy: tuple[float, float], tags: Mapping[str, str]) -> int:
        if xy not in nodes or tags:
            nodes[xy] = len(nodes) + 1
            node_xml.append(f'<node id="{nodes[xy]}" version="1" lon="{xy[0]!r}" lat="{xy[1]!r}">{tagged(tags)}</node>')
        return nodes[xy]

    def tagged(tags: Mapping[str, str]) -> str:
        return "".join(f'<tag k="{k}" v="{v}"/>' for k, v in tags.items())

    for number, (shape, tags) in enumerate(things, 1):
        if isinstance(shape, tuple):
            node(shape, tags)
        else:
            refs = "".join(f'<nd ref="{999_000 if xy is None else node(xy, {})}"/>' for xy in shape)  # type: ignore[attr-defined]
            way_xml.append(f'<way id="{number}" version="1">{refs}{tagged(tags)}</way>')
    box = ""
    if bounds is not None:
        west, south, east, north = bounds
        box = f'<bounds minlon="{west}" minlat="{south}" maxlon="{east}" maxlat="{north}"/>'
    body = "\n".join([box, *node_xml, *way_xml, relations])
    path.write_text(f'<?xml version="1.0" encoding="UTF-8"?>\n<osm version="0.6">\n{body}\n</osm>\n', "utf-8")
    return path


def boundary(west: float, south: float, east: float, north: float) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"code": ["b"]}, geometry=[shapely.box(west, south, east, north)], crs=4326)


LINE = [(116.301, 39.901), (116.302, 39.902)]


# --- classes ----------------------------------------------------------------------------------------------------------

CLASSES = {
    "expressway": ["motorway", "motorway_link", "trunk", "trunk_link"],
    "main": ["primary", "primary_link", "secondary", "secondary_link"],
    "secondary": ["tertiary", "tertiary_link", "unclassified"],
    "lane": ["residential", "living_street", "service", "pedestrian"],
}
NO_ROADS = [
    "footway",
    "path",
    "cycleway",
    "steps",
    "platform",
    "track",
    "corridor",
    "construction",
    "proposed",
    "bus_stop",
]


@pytest.mark.parametrize(("kind", "highway"), [(kind, value) for kind, values in CLASSES.items() for value in values])
def test_roads_are_barriers_of_their_class(kind: str, highway: str) -> None:
    assert barrier_class({"highway": highway}) == kind
    assert barrier_class({"highway": highway, "area": "yes"}) is None
    assert barrier_class({"highway": highway, "area": "no", "name": "路"}) == kind


@pytest.mark.parametrize(
    ("tags", "kind"),
    [
        ({"highway": "footway", "name": "莲桥"}, "lane"), ({"highway": "footway"}, None),
        ({"waterway": "river"}, "river"), ({"waterway": "canal"}, "river"), ({"waterway": "stream"}, "river"),
        ({"waterway": "river", "tunnel": "culvert"}, "river"), ({"waterway": "ditch"}, None),
        ({"waterway": "riverbank"}, None), ({"railway": "rail"}, "railway"), ({"railway": "light_rail"}, "railway"),
        ({"railway": "subway"}, None), ({"railway": "subway", "tunnel": "yes"}, None), ({"railway": "platform"}, None),
        ({"railway": "abandoned"}, None), ({"barrier": "wall"}, "wall"), ({"barrier": "fence"}, "wall"),
        ({"barrier": "city_wall"}, "wall"), ({"barrier": "hedge"}, None), ({"barrier": "gate"}, None),
        ({"barrier": "wall", "highway": "service"}, "lane"), ({"building": "yes"}, None), ({}, None),
        *(({"highway": value}, None) for value in NO_ROADS),
    ],
)  # fmt: skip
def test_other_lines(tags: dict[str, str], kind: str | None) -> None:
    assert barrier_class(tags) == kind


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(["highway", "railway", "waterway", "barrier", "area", "name", "tunnel"]), st.text())
)
def test_every_class_is_one_of_the_contract(tags: dict[str, str]) -> None:
    assert barrier_class(tags) in (None, *schema.BARRIER_CLASSES)


# --- small extracts ---------------------------------------------------------------------------------------------------


def test_every_layer_of_a_small_extract(tmp_path: Path) -> None:
    path = extract(
        tmp_path / "m.osm",
        (LINE, {"highway": "primary", "name": "成府路"}),
        (ring(116.303, 39.903), {"building": "apartments", "name": "1号楼", "building:levels": "6",
                                 "addr:street": "成府路", "addr:housenumber": "28"}),
        (ring(116.304, 39.904), {"building": "yes", "building:levels": "about six"}),
        (ring(116.305, 39.905), {"building": "no"}),
        (ring(116.303, 39.902, 0.003), {"landuse": "residential", "name": "西院"}),
        (ring(116.306, 39.902), {"landuse": "residential"}),
        (ring(116.307, 39.902), {"place": "neighbourhood", "name": "新林院"}),
        (ring(116.308, 39.902), {"natural": "water", "name": "荷塘"}),
        (ring(116.309, 39.902), {"waterway": "riverbank"}),
        ((116.3055, 39.9055), {"addr:housenumber": "5", "addr:full": "北京市海淀区成府路5号"}),
        ((116.3056, 39.9055), {"amenity": "cafe"}),
    )  # fmt: skip
    layers = read_osm(path)
    assert tuple(layers) == LAYERS
    assert all(layer.crs.to_epsg() == 4326 for layer in layers.values())
    assert layers["barriers"][["class", "name", "code"]].to_dict("records") == [
        {"class": "main", "name": "成府路", "code": "w1"}
    ]
    assert shapely.get_coordinates(layers["barriers"].geometry[0]).tolist() == [list(xy) for xy in LINE]
    buildings = layers["buildings"]
    assert buildings["code"].tolist() == ["w2", "w3"]
    assert buildings["kind"].tolist() == ["apartments", "yes"]
    assert buildings["levels"].tolist()[0] == 6 and np.isnan(buildings["levels"][1])
    assert buildings["address"].tolist() == ["成府路 28", None]
    assert buildings["households"].isna().all() and buildings["households"].dtype == "Int64"
    assert buildings.geometry[0].equals(shapely.Polygon(ring(116.303, 39.903)))
    assert layers["compounds"][["code", "name", "kind"]].to_numpy().tolist() == [
        ["w5", "西院", "mixed"], ["w7", "新林院", "mixed"]
    ]  # fmt: skip
    assert layers["water"][["code", "name"]].to_numpy().tolist() == [["w8", "荷塘"], ["w9", None]]
    assert layers["addresses"]["address"].tolist() == ["北京市海淀区成府路5号", "成府路 28"]
    assert layers["addresses"]["code"].str[0].tolist() == ["n", "w"]
    assert layers["addresses"].geometry[1].within(buildings.geometry[0])


@pytest.mark.parametrize(
    ("text", "levels"),
    [("6", 6), (" 12 ", 12), ("2.5", 2.5), ("6-7", None), ("-1", None), ("六", None), ("1e9", None), ("", None)],
)
def test_levels(text: str, levels: float | None, tmp_path: Path) -> None:
    path = extract(tmp_path / "m.osm", (ring(116.303, 39.903), {"building": "yes", "building:levels": text}))
    got = read_osm(path)["buildings"]["levels"][0]
    assert got == levels if levels is not None else np.isnan(got)


def test_a_building_of_several_ways_with_a_hole(tmp_path: Path) -> None:
    roles = {1: "outer", 2: "inner", 3: "outer"}
    members = "".join(f'<member type="way" ref="{ref}" role="{role}"/>' for ref, role in roles.items())
    tags = '<tag k="type" v="multipolygon"/><tag k="building" v="school"/>'
    path = extract(
        tmp_path / "m.osm",
        (ring(116.301, 39.901, 0.002), {}),
        (ring(116.3015, 39.9015), {}),
        (ring(116.305, 39.901), {}),
        relations=f'<relation id="7" version="1">{members}{tags}</relation>',
    )
    got = read_osm(path)["buildings"]
    assert got["code"].tolist() == ["r7"]
    outer, inner, other = (
        shapely.Polygon(r) for r in (ring(116.301, 39.901, 0.002), ring(116.3015, 39.9015), ring(116.305, 39.901))
    )
    assert got.geometry[0].equals(shapely.union(outer.difference(inner), other))


def test_layers_pass_the_door_of_their_tables(tmp_path: Path) -> None:
    path = extract(
        tmp_path / "m.osm",
        (LINE, {"highway": "service"}),
        (ring(116.303, 39.903), {"building": "yes"}),
        (ring(116.303, 39.902), {"landuse": "residential", "name": "西院"}),
        (ring(116.308, 39.902), {"natural": "water"}),
    )
    layers = read_osm(path)
    for layer, table in {
        "barriers": "barrier",
        "buildings": "building",
        "compounds": "compound",
        "water": "water",
    }.items():
        assert len(schema.check(layers[layer], table)) == 1
        assert read(path, table=table).geometry.to_wkb().tolist() == layers[layer].geometry.to_wkb().tolist()
        assert len(read(f"{path}:{layer}")) == 1
    with pytest.raises(NotFoundError, match=r"m\.osm: there is no layer 'roads'; found barriers, buildings, compounds"):
        read(f"{path}:roads")
    written = write_layers(layers, tmp_path / "layers.gpkg")[0]
    assert read(written, table="barrier")["class"].tolist() == ["lane"]


def test_an_extract_without_lines_is_told_of_where_barriers_are_wanted(tmp_path: Path) -> None:
    path = extract(tmp_path / "m.osm", (ring(116.303, 39.903), {"building": "yes"}))
    layers = read_osm(path)
    assert [len(layers[name]) for name in LAYERS] == [0, 1, 0, 0, 0]
    with pytest.raises(SchemaError, match=r"m\.osm: the table is empty; wanted at least one barrier"):
        read(path, table="barrier")


def test_rows_are_in_the_order_of_ids(tmp_path: Path) -> None:
    path = extract(
        tmp_path / "m.osm",
        *(([(116.301, 39.901), (116.302, 39.9 + i / 1000)], {"highway": "service"}) for i in range(12)),
    )
    assert read_osm(path)["barriers"]["code"].tolist() == [f"w{i}" for i in range(1, 13)]


def test_a_line_that_lacks_nodes_is_kept_in_its_runs(tmp_path: Path) -> None:
    whole = [(116.301, 39.901), (116.302, 39.901), None, (116.303, 39.901), (116.304, 39.901)]
    path = extract(
        tmp_path / "m.osm", (whole, {"highway": "service"}), ([LINE[0], None], {"highway": "service"}),
        (LINE, {"highway": "service"}),
    )  # fmt: skip
    with pytest.warns(GridgisWarning, match=r"m\.osm: 2 lines lack some of their nodes"):
        got = read_osm(path)["barriers"]
    assert got["code"].tolist() == ["w1", "w3"]
    assert [g.geom_type for g in got.geometry] == ["MultiLineString", "LineString"]
    assert len(shapely.get_coordinates(got.geometry[0])) == 4


# --- a boundary -------------------------------------------------------------------------------------------------------


def test_only_what_touches_the_boundary_and_barriers_close_to_it(tmp_path: Path) -> None:
    """0.001 degrees of longitude are 85 m here."""
    inside, astride, outside = ring(116.303, 39.903), ring(116.3045, 39.903), ring(116.3062, 39.903)
    near = [(116.3055, 39.901), (116.3055, 39.904)]
    far = [(116.3057, 39.901), (116.3057, 39.904)]
    through = [(116.301, 39.9035), (116.309, 39.9035)]
    path = extract(
        tmp_path / "m.osm",
        *((shape, {"building": "yes"}) for shape in (inside, astride, outside)),
        *((line, {"highway": "service"}) for line in (near, far, through)),
    )
    ground = boundary(116.302, 39.902, 116.305, 39.906)
    layers = read_osm(path, ground)
    assert layers["buildings"]["code"].tolist() == ["w1", "w2"]
    assert layers["barriers"]["code"].tolist() == ["w4", "w6"]
    assert shapely.get_coordinates(layers["barriers"].geometry[1]).tolist() == [list(xy) for xy in through]
    metres = read_osm(path, ground.to_crs(4548))
    assert {name: len(layer) for name, layer in metres.items()} == {name: len(layer) for name, layer in layers.items()}


def test_ground_without_data_is_warned_of_with_its_share(tmp_path: Path) -> None:
    path = extract(tmp_path / "m.osm", (LINE, {"highway": "service"}))
    with pytest.warns(GridgisWarning, match=r"m\.osm: the extract covers 75\.0% of the boundary; the rest has no data"):
        read_osm(path, boundary(116.3025, 39.902, 116.3125, 39.904))
    with pytest.warns(GridgisWarning, match=r"covers 0\.0% of the boundary"):
        assert read_osm(path, boundary(117, 39, 117.01, 39.01))["barriers"].empty
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_osm(path, boundary(116.3005, 39.9005, 116.3095, 39.9095))["barriers"]) == 1


def test_without_bounds_the_data_tell_what_is_covered(tmp_path: Path) -> None:
    path = extract(tmp_path / "m.osm", ([(116.30, 39.90), (116.31, 39.91)], {"highway": "service"}), bounds=None)
    with pytest.warns(GridgisWarning, match=r"covers 50\.0% of the boundary"):
        read_osm(path, boundary(116.305, 39.902, 116.315, 39.908))
    empty = extract(tmp_path / "e.osm", bounds=None)
    with pytest.warns(GridgisWarning, match=r"covers 0\.0% of the boundary"):
        assert all(layer.empty for layer in read_osm(empty, boundary(*BOX)).values())


# --- what cannot be read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.osm", b""), ("a.osm", b"<html></html>"), ("a.osm", b"no xml"), ("a.osm.pbf", b""),
     ("a.osm.pbf", b"\0\0\0\x0drubbish"),
     ("a.geojson", b'{"type": "FeatureCollection", "features": []}'), ("a.osm.gz", b"\x1f\x8b\x08rubbish")],
)  # fmt: skip
def test_what_is_no_osm_is_one_error_that_names_the_file(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(
        InputError, match=rf"{name}: the file cannot be read as OSM \(was it cut off\?\); found [^\n]+$"
    ):
        read_osm(tmp_path / name)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.osm: no such file"):
        read_osm(tmp_path / "nowhere.osm")


# --- the real extract -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def qinghuayuan(places: Path) -> dict[str, gpd.GeoDataFrame]:
    return read_osm(places / "qinghuayuan/map.osm")


@pytest.fixture(scope="module")
def ground(places: Path) -> gpd.GeoDataFrame:
    return read(f"{places}/beijing/haidian-all.geojson#110108014", table="boundary")


@pytest.fixture(scope="module")
def within(places: Path, ground: gpd.GeoDataFrame) -> dict[str, gpd.GeoDataFrame]:
    with pytest.warns(
        GridgisWarning, match=r"map\.osm: the extract covers 96\.1% of the boundary; the rest has no data"
    ):
        return read_osm(places / "qinghuayuan/map.osm", ground)


@pytest.mark.places
def test_known_answers_of_the_extract(qinghuayuan: dict[str, gpd.GeoDataFrame]) -> None:
    counts = {name: len(layer) for name, layer in qinghuayuan.items()}
    assert {**counts, "barriers": 0} == {"barriers": 0, "buildings": 521, "compounds": 6, "water": 6, "addresses": 62}
    classes = qinghuayuan["barriers"]["class"].value_counts()
    assert (classes["river"], classes["railway"]) == (4, 1)
    assert int(qinghuayuan["buildings"]["levels"].notna().sum()) == 11
    assert qinghuayuan["compounds"]["name"].notna().all()
    assert all(layer["code"].is_unique for layer in qinghuayuan.values())


@pytest.mark.places
def test_every_way_with_a_highway_tag_is_a_barrier_of_its_class_or_none(
    places: Path, qinghuayuan: dict[str, gpd.GeoDataFrame]
) -> None:
    ways = {
        f"w{way.id}": dict(way.tags)
        for way in osmium.FileProcessor(str(places / "qinghuayuan/map.osm"), osmium.osm.WAY)
        if "highway" in way.tags and way.tags.get("area") != "yes"
    }
    assert len(ways) == 678
    barriers = qinghuayuan["barriers"].set_index("code")["class"]
    for code, tags in ways.items():
        assert barriers.get(code) == barrier_class(tags)
    lengths = qinghuayuan["barriers"].to_crs(4548).length.groupby(qinghuayuan["barriers"]["class"]).sum()
    assert set(lengths.index) == {"expressway", "main", "secondary", "lane", "river", "railway", "wall"}


@pytest.mark.places
def test_known_answers_inside_the_sub_district(within: dict[str, gpd.GeoDataFrame], ground: gpd.GeoDataFrame) -> None:
    area = shapely.union_all(ground.geometry.array)
    buildings = within["buildings"]
    assert buildings.intersects(area).all()
    inside = buildings[buildings.representative_point().within(area)]
    assert len(inside) == 410
    assert int(inside["name"].notna().sum()) == 256
    assert int(inside["kind"].isin(["residential", "apartments", "dormitory"]).sum()) == 145
    rivers = within["barriers"][within["barriers"]["class"] == "river"]
    assert rivers.to_crs(4548).intersection(ground.to_crs(4548).geometry[0]).length.sum() / 1000 == pytest.approx(
        3.9, abs=0.05
    )


@pytest.mark.places
def test_xml_pbf_and_packed_xml_say_the_same(
    places: Path, qinghuayuan: dict[str, gpd.GeoDataFrame], tmp_path: Path
) -> None:
    source = places / "qinghuayuan/map.osm"
    header = osmium.io.Reader(str(source)).header()
    with osmium.SimpleWriter(str(tmp_path / "m.osm.pbf"), header=header) as writer:
        for thing in osmium.FileProcessor(str(source)):
            writer.add(thing)
    (tmp_path / "m.osm.gz").write_bytes(gzip.compress(source.read_bytes()))
    for name in ("m.osm.pbf", "m.osm.gz"):
        for layer, theirs in read_osm(tmp_path / name).items():
            ours = qinghuayuan[layer]
            assert ours.drop(columns="geometry").equals(theirs.drop(columns="geometry"))
            assert ours.geometry.to_wkb().tolist() == theirs.geometry.to_wkb().tolist()


@pytest.mark.places
@pytest.mark.parametrize("ending", [".osm", ".osm.pbf", ".osm.gz"])
def test_an_extract_that_was_cut_off(places: Path, ending: str, tmp_path: Path) -> None:
    source = (places / "qinghuayuan/map.osm").read_bytes()
    path = tmp_path / f"m{ending}"
    if ending == ".osm.pbf":
        with osmium.SimpleWriter(str(path)) as writer:
            for thing in osmium.FileProcessor(str(places / "qinghuayuan/map.osm")):
                writer.add(thing)
        source = path.read_bytes()
    elif ending == ".osm.gz":
        source = gzip.compress(source)
    for share in (0.01, 0.3, 0.7, 0.99):
        path.write_bytes(source[: int(len(source) * share)])
        with pytest.raises(InputError, match=r"cannot be read as OSM \(was it cut off\?\)"):
            read_osm(path)
