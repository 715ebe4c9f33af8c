"""Tables to Folium: the map element, its script, and the layers that our script fetches.

Folium's own page asks other hosts for its scripts and writes script and style into the page. Here a figure of our own
takes nothing but files of this server, and the script is served as a file. No text of a user goes through Folium: it
renders what it is given as a template. Names reach the page as JSON, and our script writes them as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import folium
import geopandas as gpd
import numpy as np
import shapely
from branca.element import CssLink, Element, Figure, JavascriptLink, MacroElement
from folium.template import Template

from gridgis import crs
from gridgis.errors import InputError
from gridgis.publish import features
from gridgis.publish.extent import label_places, line_names, tails, turned
from gridgis.schema import BARRIER_CLASSES

#: Decimals of degrees: 7 for grids (as published), 6 (0.1 m) for what is drawn around them.
_DECIMALS, _CONTEXT_DECIMALS = 7, 6


@dataclass(frozen=True)
class MapParts:
    """A map taken apart: addresses of its scripts and styles, its element, and its own script."""

    scripts: tuple[str, ...]
    styles: tuple[str, ...]
    html: str
    script: str


class PublicFigure(Figure):
    """A figure that takes only files that this server serves.

    Parameters
    ----------
    served : iterable of str
        The addresses that a map may link to.
    """

    # The page around the map is a template of Flask; a figure drawn by itself is only its element.
    _template = Template("{{ this.html.render(**kwargs) }}")

    def __init__(self, served: Iterable[str]) -> None:
        super().__init__()
        self.served = frozenset(served)

    def parts(self) -> MapParts:
        """Render the map in it.

        Raises
        ------
        InputError
            If an element of the map links to a file that is not served here, or writes into the page's head.
        """
        html = self.render()
        links: dict[type[Element], list[str]] = {JavascriptLink: [], CssLink: []}
        for name, child in self.header._children.items():
            if name == "meta_http":
                continue
            url = getattr(child, "url", None)
            if type(child) not in links or url not in self.served:
                raise InputError(
                    "the map asks for something that is not served here",
                    found=f"{name}: {url or 'script or style in the page'}",
                    wanted=", ".join(sorted(self.served)),
                )
            links[type(child)].append(str(url))
        return MapParts(tuple(links[JavascriptLink]), tuple(links[CssLink]), html.strip(), self.script.render().strip())


class PublicMap(folium.Map):
    """A Folium map without tiles, whose files are ours and whose name is always the same.

    Parameters
    ----------
    bounds : sequence of float
        west, south, east, north of what is shown at first, degrees.
    scripts, styles : sequence of (name, address)
    """

    _template = Template(
        """
        {% macro html(this, kwargs) %}
            <div class="map" id={{ this.get_name()|tojson }}></div>
        {% endmacro %}
        {% macro script(this, kwargs) %}
            var {{ this.get_name() }} = L.map({{ this.get_name()|tojson }}, {{ this.options|tojavascript }});
            {{ this.get_name() }}.fitBounds({{ this.bounds|tojson }}, {"padding": [12, 12]});
        {% endmacro %}
        """
    )

    def __init__(
        self, bounds: Sequence[float], scripts: Sequence[tuple[str, str]], styles: Sequence[tuple[str, str]]
    ) -> None:
        west, south, east, north = (round(float(b), 6) for b in bounds)
        wide, high = max(east - west, 1e-4), max(north - south, 1e-4)
        super().__init__(
            location=((south + north) / 2, (west + east) / 2),
            tiles=None,
            zoom_control=False,
            attribution_control=False,
            zoom_snap=0.25,
            zoom_delta=1,
            wheel_px_per_zoom_level=90,
            max_bounds_viscosity=0.8,
        )
        self._id = "public"
        self.bounds = [[south, west], [north, east]]
        self.options["max_zoom"] = 20
        self.options["max_bounds"] = [[south - high, west - wide], [north + high, east + wide]]
        # On the instance: the lists of the class belong to every map of this process.
        self.default_js = list(scripts)
        self.default_css = list(styles)


class GridLayers(MacroElement):
    """Calls our script, which fetches the layers and fills the map."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
            gridgis.fill({{ this._parent.get_name() }}, {{ this.addresses|tojson }});
        {% endmacro %}
        """
    )

    def __init__(self, addresses: Mapping[str, str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name, self._id = "GridLayers", "public"
        self.addresses = dict(addresses)


def draw_map(
    bounds: Sequence[float],
    addresses: Mapping[str, str],
    scripts: Sequence[tuple[str, str]],
    styles: Sequence[tuple[str, str]],
) -> MapParts:
    """The public map: the same bytes for the same arguments."""
    shown = PublicMap(bounds, scripts, styles)
    # Out of the figure that Folium made, and into ours.
    shown._parent = None  # type: ignore[assignment]
    figure = PublicFigure(url for _, url in (*scripts, *styles))
    figure.add_child(shown)
    shown.add_child(GridLayers(addresses))
    return figure.parts()


def grids_layer(grids: gpd.GeoDataFrame) -> bytes:
    """The grids as GeoJSON, each with its colour, and where and how large its label may be (lon, lat, metres)."""
    metric = crs.metric_crs(grids)
    places = label_places(np.asarray(crs.project(grids.geometry.array, crs.WGS84, metric), dtype=object))
    points = shapely.get_coordinates(crs.project(shapely.points(places[:, :2]), metric, crs.WGS84))
    frame = grids.assign(
        label_lon=points[:, 0].round(6),
        label_lat=points[:, 1].round(6),
        room_m=places[:, 2].round(1),
        short=shorts(grids),
        tail=tails(grids),
    )
    wanted = ["code", "name", "short", "tail", "colour", "label_lon", "label_lat", "room_m"]
    return _bytes(features.feature_collection(frame, wanted, decimals=_DECIMALS))


def shorts(grids: gpd.GeoDataFrame) -> list[str]:
    """What of each name tells the grid from the others of its parent.

    Examples
    --------
    >>> import geopandas as gpd
    >>> shorts(gpd.GeoDataFrame({"name": ["柳岸第一网格", "柳岸第二网格", "公园"], "parent": ["1", "1", "2"]}))
    ['第一网格', '第二网格', '公园']
    """
    names = [name if isinstance(name, str) else "" for name in grids["name"]]
    siblings: dict[object, list[str]] = {}
    for name, parent in zip(names, grids["parent"], strict=True):
        siblings.setdefault(parent, []).append(name)
    # A number is not cut in two, nor a word.
    same = {
        parent: re.sub(r"(第|[0-9A-Za-z]+)$", "", _beginning(group)) if len(group) > 1 else ""
        for parent, group in siblings.items()
    }
    return [name[len(same[parent]) :].strip() or name for name, parent in zip(names, grids["parent"], strict=True)]


def _beginning(names: Sequence[str]) -> str:
    """The longest beginning that all names share."""
    first, last = min(names), max(names)
    return first[: next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


def context_layer(barriers: gpd.GeoDataFrame, water: gpd.GeoDataFrame, buildings: gpd.GeoDataFrame) -> bytes:
    """What is drawn around the grids: one feature for water, buildings and each class of barrier, and street names."""
    wanted = ["kind", "name", "class", "angle", "upright", "length_m"]
    drawn = [("water", water), ("building", buildings)]
    drawn += [(kind, barriers[barriers["class"] == kind]) for kind in BARRIER_CLASSES[::-1] if len(barriers)]
    rows = [
        {"kind": kind, "geometry": _one(np.asarray(frame.geometry.array, dtype=object))}
        for kind, frame in drawn
        if len(frame)
    ]
    if len(barriers):
        metric = crs.metric_crs(barriers)
        lines = np.asarray(crs.project(barriers.geometry.array, crs.WGS84, metric), dtype=object)
        named = line_names(lines, barriers["name"].to_numpy(dtype=object), barriers["class"].to_numpy(dtype=object))
        points = crs.project(shapely.points(named[["x", "y"]].to_numpy(dtype=float)), metric, crs.WGS84)
        rows += [
            {"kind": "name", "name": r.name, "class": r[2], **_turn(r), "length_m": r.length_m, "geometry": p}
            for r, p in zip(named.itertuples(), points, strict=True)
        ]
    frame = gpd.GeoDataFrame(rows, columns=[*wanted, "geometry"], crs=crs.WGS84)
    return _bytes(features.feature_collection(frame, wanted, key=None, decimals=_CONTEXT_DECIMALS))


def _turn(row: Any) -> dict[str, Any]:
    angle, upright = turned(row.name, row.angle)
    return {"angle": angle, "upright": upright}


def _one(shapes: Any) -> Any:
    parts = shapely.get_parts(shapes)
    if shapely.get_type_id(parts[:1])[0] == shapely.GeometryType.POLYGON:
        return shapely.multipolygons(list(parts))
    return shapely.multilinestrings(list(parts))


def _bytes(collection: Mapping[str, Any]) -> bytes:
    return json.dumps(collection, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
