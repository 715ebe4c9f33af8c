"""What a script in the browser needs to answer as the server does: the words, the plane to measure in, the places.

Only what the server tells anybody who asks: compounds, named buildings and addresses of buildings, with their grids.
"""

from __future__ import annotations

import json
from typing import Any

import pyproj
from flask_babel import gettext

from gridgis import crs
from gridgis.errors import CRSError
from webmap.finding import LONGEST, SUGGESTIONS
from webmap.public import whom_to_call
from webmap.published import BORDER_M, Published


def for_script(shown: Published) -> dict[str, Any]:
    """What stands in the map page for the script, in the visitor's language."""
    return {
        "words": _words(),
        "plane": plane(crs.metric_crs(shown.grids)),
        "border_m": BORDER_M,
        "most": SUGGESTIONS,
        "longest": LONGEST,
        "call": whom_to_call(shown),
    }


def plane(metric: pyproj.CRS) -> dict[str, float]:
    """A transverse Mercator projection in numbers: `a` (m), `f`, `lon` (degrees), `k`; offsets left out.

    Raises
    ------
    CRSError
        If the CRS is of another kind.

    Examples
    --------
    >>> plane(pyproj.CRS(4547))["lon"], plane(pyproj.CRS(32649))["k"]
    (114.0, 0.9996)
    """
    operation, ellipsoid = metric.coordinate_operation, metric.ellipsoid
    if operation is None or ellipsoid is None or operation.method_name != "Transverse Mercator":
        raise CRSError("this is no transverse Mercator projection", found=metric.name)
    known = {one.name: float(one.value) for one in operation.params}
    return {
        "a": float(ellipsoid.semi_major_metre),
        "f": 1 / float(ellipsoid.inverse_flattening),
        "lon": known["Longitude of natural origin"],
        "k": known["Scale factor at natural origin"],
    }


def places(shown: Published) -> bytes:
    """The places that the map finds, as JSON: no house, no room, nobody. Most are written in one way: their label."""
    codes = [str(code) for code in shown.grids["code"]]
    rows: list[dict[str, Any]] = []
    for place in shown.finder.places:
        row = {"label": place.label, "grids": [codes[i] for i in place.rows], "lon": place.lon, "lat": place.lat}
        if place.address:
            row["address"] = place.address
        if place.keys != [place.label]:
            row["keys"] = place.keys
        rows.append(row)
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _words() -> dict[str, str]:
    """The sentences that the server's answers have, with places in braces."""
    one, many = {"name": "{name}"}, {"count": "{count}"}
    longitude, latitude = gettext("longitude"), gettext("latitude")
    return {
        "on_border": gettext("This place is on the border of %(count)s grids; each of them can help.", **many),
        "inside": gettext("This place is in %(name)s.", **one),
        "outside": gettext("This place is in none of the grids on this map."),
        "lon_missing": gettext("The %(coordinate)s is missing.", coordinate=longitude),
        "lat_missing": gettext("The %(coordinate)s is missing.", coordinate=latitude),
        "lon_no_number": gettext("The %(coordinate)s is not a number.", coordinate=longitude),
        "lat_no_number": gettext("The %(coordinate)s is not a number.", coordinate=latitude),
        "swapped": gettext("Longitude and latitude seem to be swapped: a latitude is between -90 and 90."),
        "lat_range": gettext("A latitude is between -90 and 90."),
        "lon_range": gettext("A longitude is between -180 and 180."),
        "datum": gettext("The kind of coordinates is not known."),
        "nothing": gettext("Nothing on this map fits. Check the spelling, or click your place on the map."),
        "which": gettext("Several places fit. Which one is it?"),
        "place_inside": gettext("%(place)s is in %(name)s.", place="{place}", **one),
        "place_across": gettext("%(place)s lies in %(count)s grids; each of them can help.", place="{place}", **many),
        "leads": gettext("What you entered leads to %(name)s.", **one),
        "fitting": gettext("%(count)s grids fit. With a house number you find yours.", **many),
        "no_number": gettext("This house number is not on the map. %(said)s", said="{said}"),
        "in_grids": gettext("in %(count)s grids", **many),
    }
