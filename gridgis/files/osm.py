"""Read an OpenStreetMap extract (XML or PBF): barriers, buildings, compounds, water, addresses."""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gridgis.crs import WGS84, metric_crs, project
from gridgis.errors import GridgisWarning, InputError

#: How far outside the boundary (metres) barriers are kept: a road along the border is drawn on one side of it.
BARRIER_MARGIN_M = 50.0

LAYERS = ("barriers", "buildings", "compounds", "water", "addresses")
_KEYS = ("highway", "waterway", "railway", "barrier", "building", "landuse", "place", "natural", "addr:housenumber")
_ROADS = {
    "motorway": "expressway", "motorway_link": "expressway", "trunk": "expressway", "trunk_link": "expressway",
    "primary": "main", "primary_link": "main", "secondary": "main", "secondary_link": "main",
    "tertiary": "secondary", "tertiary_link": "secondary", "unclassified": "secondary",
    "residential": "lane", "living_street": "lane", "service": "lane", "pedestrian": "lane",
}  # fmt: skip
_RIVERS = ("river", "canal", "stream")
_WALLS = ("wall", "fence", "city_wall")
_YES = ("yes", "true", "1")
_ADDRESS = (
    "addr:city",
    "addr:district",
    "addr:street",
    "addr:place",
    "addr:housename",
    "addr:housenumber",
    "addr:unit",
)
_FULL_COVER = 0.9999

Rows = dict[str, list[dict[str, Any]]]
Tags = Mapping[str, str]


def read_osm(path: Path | str, boundary: gpd.GeoDataFrame | None = None) -> dict[str, gpd.GeoDataFrame]:
    """Tables out of an OSM extract.

    Parameters
    ----------
    path : Path or str
        ``.osm``, ``.osm.pbf`` (or packed ``.osm.gz``, ``.osm.bz2``).
    boundary : GeoDataFrame, optional
        Only what touches it is kept, barriers within 50 m of it as well; nothing is cut.

    Returns
    -------
    dict of str to GeoDataFrame
        EPSG:4326, rows in the order of OSM ids, nodes before ways before relations, `code` as "n1", "w1" or "r1":

        - ``barriers``: class, name, code, lines. See :func:`barrier_class`.
        - ``buildings``: code, name, kind (the value of ``building``), levels (number; NaN where missing or no number),
          address, households (missing: nobody counted them), polygons of ways and multipolygon relations.
        - ``compounds``: code, name, kind, address, polygons: named ``landuse=residential`` areas and
          ``place=neighbourhood`` ones. OSM does not say who manages them: kind is "mixed".
        - ``water``: code, name, polygons: ``natural=water``, ``waterway=riverbank``, ``landuse=reservoir|basin``.
        - ``addresses``: code, name, address, one point for each feature with ``addr:housenumber`` (a point on the
          surface of an area).

    Raises
    ------
    InputError
        If the file does not exist, is not OSM, or was cut off.

    Warns
    -----
    GridgisWarning
        With the share of the boundary that lies in the extract's own bounds (its data's, where it names none), if
        that is less than all; with the count of lines that lack some of their nodes.

    Notes
    -----
    Ways and relations that the extract holds only in part are given as far as they are there: lines as their whole
    runs of known nodes, areas not at all. A PBF file that was cut off exactly between two of its blobs cannot be told
    from a whole one.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file", source=path)
    rows, bounds, broken = _parse(path)
    layers = {name: _frame(rows[name], columns) for name, columns in _COLUMNS.items()}
    if broken:
        warnings.warn(
            f"{path}: {broken} lines lack some of their nodes (cut at the edge of the extract?)",
            GridgisWarning,
            stacklevel=2,
        )
    if boundary is None:
        return layers
    ground = shapely.union_all(project(boundary.geometry.array, boundary.crs, WGS84))
    if bounds is None:
        bounds = _data_bounds(layers)
    covered = _covered(ground, bounds)
    if covered < _FULL_COVER:
        warnings.warn(
            f"{path}: the extract covers {covered:.1%} of the boundary; the rest has no data",
            GridgisWarning,
            stacklevel=2,
        )
    return {name: _near(layer, ground, name == "barriers") for name, layer in layers.items()}


def barrier_class(tags: Tags) -> str | None:
    """The class of barrier of a way's tags, or None.

    Roads: expressway (motorway, trunk and links), main (primary, secondary and links), secondary (tertiary and links,
    unclassified), lane (residential, living_street, service, pedestrian, footway with a name). river: river, canal,
    stream. railway: rail and light_rail, not the subway. wall: wall, fence, city_wall. Areas are no barriers. A tunnel
    or culvert is: without it the line would end on both sides of what it passes under.

    Examples
    --------
    >>> barrier_class({"highway": "trunk_link"}), barrier_class({"highway": "footway"})
    ('expressway', None)
    """
    if tags.get("area") in _YES:
        return None
    highway = tags.get("highway", "")
    if highway in _ROADS:
        return _ROADS[highway]
    if highway == "footway" and tags.get("name"):
        return "lane"
    if tags.get("waterway") in _RIVERS:
        return "river"
    if tags.get("railway") in ("rail", "light_rail"):
        return "railway"
    return "wall" if tags.get("barrier") in _WALLS else None


_COLUMNS: dict[str, tuple[str, ...]] = {
    "barriers": ("class", "name", "code"),
    "buildings": ("code", "name", "kind", "levels", "address", "households"),
    "compounds": ("code", "name", "kind", "address"),
    "water": ("code", "name"),
    "addresses": ("code", "name", "address"),
}


def _parse(path: Path) -> tuple[Rows, tuple[float, float, float, float] | None, int]:
    """Rows of every layer, the bounds that the file names, and how many lines lack nodes."""
    import osmium

    rows: Rows = defaultdict(list)
    broken = 0
    try:
        # The default reader guesses the format by the ending; a file cut short raises.
        wanted = osmium.filter.KeyFilter(*_KEYS)
        processor = osmium.FileProcessor(str(path)).with_locations().with_areas(wanted).with_filter(wanted)
        box = processor.header.box()
        thing: Any
        for thing in processor:
            tags = {t.k: t.v for t in thing.tags}
            if thing.is_node():
                if "addr:housenumber" in tags:
                    _add_address(rows, f"n{thing.id}", tags, shapely.Point(thing.lon, thing.lat))
            elif thing.is_way():
                broken += _add_line(rows, thing, tags)
            elif thing.is_area():
                _add_area(rows, thing, tags)
    except RuntimeError as error:
        raise InputError(
            "the file cannot be read as OSM (was it cut off?)", source=path, found=str(error).splitlines()[0]
        ) from error
    bounds = None
    if box.valid():
        bounds = (box.bottom_left.lon, box.bottom_left.lat, box.top_right.lon, box.top_right.lat)
    return rows, bounds, broken


def _add_line(rows: Rows, way: Any, tags: Tags) -> bool:
    kind = barrier_class(tags)
    if kind is None:
        return False
    runs: list[list[tuple[float, float]]] = [[]]
    for node in way.nodes:
        if node.location.valid():
            runs[-1].append((node.location.lon, node.location.lat))
        elif runs[-1]:
            runs.append([])
    whole = [run for run in runs if len(set(run)) > 1]
    if whole:
        line = shapely.LineString(whole[0]) if len(whole) == 1 else shapely.MultiLineString(whole)
        rows["barriers"].append({"class": kind, "name": tags.get("name"), "code": f"w{way.id}", "geometry": line})
    return len(runs) > 1 or not whole


def _add_area(rows: Rows, area: Any, tags: Tags) -> None:
    targets = [name for name, wanted in _AREAS.items() if wanted(tags)]
    if not targets:
        return
    shape = _polygon(area)
    code = f"{'w' if area.from_way() else 'r'}{area.orig_id()}"
    row = {"code": code, "name": tags.get("name"), "address": _address(tags), "geometry": shape}
    if "buildings" in targets:
        kind, levels = tags["building"], _levels(tags.get("building:levels"))
        rows["buildings"].append({**row, "kind": kind, "levels": levels, "households": pd.NA})
    if "compounds" in targets:
        rows["compounds"].append({**row, "kind": "mixed"})
    if "water" in targets:
        rows["water"].append(row)
    if "addresses" in targets:
        _add_address(rows, code, tags, shapely.point_on_surface(shape))


def _polygon(area: Any) -> Any:
    polygons = []
    for outer in area.outer_rings():
        holes = [[(n.lon, n.lat) for n in inner] for inner in area.inner_rings(outer)]
        polygons.append(shapely.Polygon([(n.lon, n.lat) for n in outer], holes))
    return polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)


def _add_address(rows: Rows, code: str, tags: Tags, point: Any) -> None:
    rows["addresses"].append({"code": code, "name": tags.get("name"), "address": _address(tags), "geometry": point})


_AREAS: dict[str, Callable[[Tags], bool]] = {
    "buildings": lambda tags: tags.get("building", "no") != "no",
    "compounds": lambda tags: (
        bool(tags.get("name")) and (tags.get("landuse") == "residential" or tags.get("place") == "neighbourhood")
    ),
    "water": lambda tags: (
        tags.get("natural") == "water"
        or tags.get("waterway") == "riverbank"
        or tags.get("landuse") in ("reservoir", "basin")
    ),
    "addresses": lambda tags: "addr:housenumber" in tags,
}


def _address(tags: Tags) -> str | None:
    """The address as one text, from the large to the small; ``addr:full`` where it is given."""
    return tags.get("addr:full") or " ".join(tags[key] for key in _ADDRESS if key in tags) or None


def _levels(text: str | None) -> float:
    """Storeys as a number ("6", "2.5"); NaN where there is none or it is no plain number."""
    return float(text) if text is not None and re.fullmatch(r"\s*\d{1,3}(\.\d+)?\s*", text) else float("nan")


def _frame(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> gpd.GeoDataFrame:
    ordered = sorted(rows, key=lambda r: ("nwr".index(r["code"][0]), int(r["code"][1:])))
    frame = pd.DataFrame({c: pd.Series([r[c] for r in ordered], dtype=object) for c in columns})
    if "levels" in frame:
        frame["levels"] = frame["levels"].astype(float)
        frame["households"] = frame["households"].astype("Int64")
    return gpd.GeoDataFrame(frame, geometry=np.array([r["geometry"] for r in ordered], dtype=object), crs=WGS84)


def _data_bounds(layers: Mapping[str, gpd.GeoDataFrame]) -> tuple[float, float, float, float] | None:
    found = [layer.total_bounds for layer in layers.values() if len(layer)]
    if not found:
        return None
    west, south, east, north = np.array(found).T
    return float(west.min()), float(south.min()), float(east.max()), float(north.max())


def _covered(ground: Any, bounds: tuple[float, float, float, float] | None) -> float:
    """The share (0 to 1) of `ground`'s area that lies in `bounds`; both in degrees, areas in metres."""
    if bounds is None:
        return 0.0
    place = gpd.GeoSeries([ground, shapely.intersection(ground, shapely.box(*bounds))], crs=WGS84)
    whole, inside = shapely.area(project(place.array, WGS84, metric_crs(place)))
    return float(inside / whole)


def _near(layer: gpd.GeoDataFrame, ground: Any, margin: bool) -> gpd.GeoDataFrame:
    """Rows that touch `ground`, or come within the margin of it."""
    if layer.empty:
        return layer
    if not margin:
        near = shapely.intersects(layer.geometry.array, ground)
    else:
        crs = metric_crs(gpd.GeoSeries([ground], crs=WGS84))
        flat = project(layer.geometry.array, WGS84, crs)
        near = shapely.dwithin(flat, project(ground, WGS84, crs), BARRIER_MARGIN_M)
    return layer[near].reset_index(drop=True)
