"""A self-contained page about the defects of a tiling: verdict, map, and each defect with a picture of its place.

The page asks nothing of any other host. Its only script chooses the language; without it both are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray

from gridgis import crs
from gridgis.errors import SchemaError
from gridgis.publish import words
from gridgis.publish.closeups import Closeup, Place, closeups
from gridgis.publish.defect_map import draw_map
from gridgis.publish.languages import SCRIPT, SCRIPT_HASH
from gridgis.publish.outlines import Floats, Objects
from gridgis.publish.page_templates import figure, template
from gridgis.schema import DEFECT_KINDS, codes_as_text

#: How many defects are written out, the worst first; how many more are marked on the map; rows of other tables.
SHOWN = 500
MARKED = 2_000
ROWS = 200
#: How many codes stand in a heading; the message has more of them.
NAMED = 6

_NEEDED = ("kind", "severity", "codes", "area_m2", "width_m", "lon", "lat", "message")
#: Kinds that are about a whole grid and not about the place of their point.
_WHOLE = ("duplicate_code", "missing_code")


def defects_report(
    verdict: Mapping[str, Any],
    defects: gpd.GeoDataFrame,
    grids: gpd.GeoDataFrame,
    boundary: gpd.GeoDataFrame | None = None,
    *,
    title: str,
    made: str,
    log: pd.DataFrame | None = None,
) -> str:
    """The defects of a tiling as one HTML page, Chinese first and English beside it.

    Parameters
    ----------
    verdict : mapping
        What ``gridgis validate --json`` prints; its parameters say which column holds the grids' codes.
    defects : GeoDataFrame
        What :func:`gridgis.plan.validate.validate` returned: any CRS, geometry of any kind or none.
    grids : GeoDataFrame
        What was checked, in any CRS; rows may lack geometry.
    boundary : GeoDataFrame, optional
        The ground to be covered, where it was given.
    title : str
        The name of the place.
    made : str
        When it was made, as it is to be printed.
    log : DataFrame, optional
        The log of a repair, one row a changed grid.

    Returns
    -------
    str
        The page. The worst :data:`SHOWN` defects (errors first, then by area) are written out and the worst
        :data:`MARKED` are marked on the map; other tables are cut at :data:`ROWS` rows; each says how many are left
        out. Outlines are simplified for drawing, by half a pixel. The same arguments give the same bytes.

    Raises
    ------
    SchemaError
        If `defects` lacks a column of a result of validate.
    CRSError
        If a frame has no CRS.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely import box
    >>> from gridgis.plan.validate import validate, verdict
    >>> west, east = box(447000, 4427000, 447100, 4427100), box(447095, 4427000, 447200, 4427100)
    >>> grids = gpd.GeoDataFrame({"code": ["W", "E"]}, geometry=[west, east], crs="EPSG:4548")
    >>> found = validate(grids)
    >>> page = defects_report(verdict(found), found, grids, title="某街道", made="2026-03-02")
    >>> "E、W 相互重叠" in page, "://" in page
    (True, False)
    """
    missing = [name for name in _NEEDED if name not in defects.columns]
    if missing:
        raise SchemaError("these are no defects", found=", ".join(map(str, defects.columns)), wanted=", ".join(missing))
    ranked = _worst_first(defects)
    codes = _labels(grids, verdict.get("parameters", {}))
    drawn = _Drawn(ranked.head(MARKED), grids, boundary)
    plan = draw_map(drawn.grids, codes, drawn.boundary, drawn.defects, drawn.places)
    cards = _cards(ranked.head(SHOWN), drawn, codes, "" if plan is None else plan.prefix)
    page = template("defects.html").render(
        title=title,
        made=made,
        verdict=verdict,
        summary=_summary(verdict, ranked),
        map=plan,
        marked=_marked(ranked.head(MARKED)),
        cards=cards,
        total=len(ranked),
        unmarked=max(0, len(ranked) - MARKED),
        misfit=_misfit(verdict.get("misfit") or ()),
        log=None if log is None else _log(log),
        script=SCRIPT,
        script_hash=SCRIPT_HASH,
    )
    return page + "\n"


class _Drawn:
    """What is drawn, in metres of the place; empty where no grid has geometry."""

    def __init__(self, defects: gpd.GeoDataFrame, grids: gpd.GeoDataFrame, boundary: gpd.GeoDataFrame | None) -> None:
        placed = next((f for f in (grids, boundary, defects) if f is not None and not _nowhere(f)), None)
        metric = crs.require_crs(grids) if placed is None else crs.metric_crs(placed)
        self.grids = _projected(grids, metric)
        self.boundary = None if boundary is None else shapely.union_all(_projected(boundary, metric))
        self.defects = _projected(defects, metric)
        self.places = _places(defects, metric)


def _nowhere(frame: gpd.GeoDataFrame) -> bool:
    shapes = frame.geometry.to_numpy()
    return bool((shapely.is_missing(shapes) | shapely.is_empty(shapes)).all())


def _projected(frame: gpd.GeoDataFrame, metric: pyproj.CRS) -> Objects:
    shapes: Objects = np.asarray(
        crs.project(frame.geometry.to_numpy(), crs.require_crs(frame), metric), dtype=object
    ).copy()
    return shapes


def _places(defects: gpd.GeoDataFrame, metric: pyproj.CRS) -> Floats:
    """The points of the rows in metres, shape (n, 2); NaN for those without one."""
    lonlat = np.column_stack([pd.to_numeric(defects[name]).to_numpy(dtype=float) for name in ("lon", "lat")])
    there = np.isfinite(lonlat).all(axis=1)
    at = np.full(lonlat.shape, np.nan)
    if there.any():
        points = crs.project(shapely.points(lonlat[there]), crs.WGS84, metric)
        at[there] = shapely.get_coordinates(points)
    return at


def _worst_first(defects: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    area = pd.to_numeric(defects["area_m2"]).fillna(0.0).to_numpy(dtype=float)
    mild = (defects["severity"] != "error").to_numpy(dtype=bool)
    return defects.iloc[np.lexsort((np.arange(len(defects)), -area, mild))]


def _labels(grids: gpd.GeoDataFrame, parameters: Mapping[str, Any]) -> list[str]:
    """What each grid is called in the defects: its code, or the number of its row."""
    column = parameters.get("code", "code")
    if column is None or column not in grids.columns:
        return [str(row) for row in range(1, len(grids) + 1)]
    known = codes_as_text(grids[column]).tolist()
    return [f"row {row}" if code is None else code for row, code in enumerate(known, 1)]


def _summary(verdict: Mapping[str, Any], ranked: gpd.GeoDataFrame) -> dict[str, Any]:
    """The verdict in figures: counts by kind with what mends each, levels, parameters."""
    graves = (ranked["severity"] == "error").to_numpy(dtype=bool)
    parameters = verdict.get("parameters", {})
    present = ranked["kind"].astype(object)
    kinds = [kind for kind in DEFECT_KINDS if (present == kind).any()]
    kinds += sorted(set(present) - set(DEFECT_KINDS))
    counts = [
        {
            "name": words.pair(words.DEFECTS, kind),
            "letter": words.LETTERS.get(kind, "?"),
            "grave": bool((graves & (present == kind)).any()),
            "count": int((present == kind).sum()),
            "area": float(pd.to_numeric(ranked["area_m2"])[(present == kind).to_numpy()].sum()),
            "mend": words.MENDS.get(kind, ("", "")),
        }
        for kind in kinds
    ]
    levels = [
        {
            **level,
            "name": _level(name),
            "kinds": [(words.pair(words.DEFECTS, k), n) for k, n in level["counts"].items()],
        }
        for name, level in (verdict.get("levels") or {}).items()
    ]
    return {
        "errors": int(graves.sum()),
        "warnings": int((~graves).sum()),
        "overlay": parameters.get("mode") == "overlay",
        "counts": counts,
        "levels": levels,
        "parameters": [(_named(name), _value(value)) for name, value in parameters.items()],
    }


def _level(name: object) -> tuple[str, str]:
    """A level's name, or those of two with a sign between them."""
    halves = [words.pair(words.LEVELS, part) for part in str(name).split(" < ")]
    chinese, english = (" < ".join(pair[i] or pair[0] for pair in halves) for i in (0, 1))
    return chinese, "" if english == chinese else english


def _named(name: str) -> tuple[str, str]:
    return words.pair(words.PARAMETERS, name)


def _value(value: Any) -> tuple[str, str]:
    """A parameter's value; small numbers as they are."""
    if isinstance(value, bool | np.bool_):
        return ("是", "yes") if value else ("否", "no")
    return words.pair(words.VALUES, str(value) if isinstance(value, float) else figure(value))


def _marked(ranked: gpd.GeoDataFrame) -> list[dict[str, Any]]:
    """What a mark on the map is: its letter, how grave, and its words."""
    return [
        {
            "n": n,
            "letter": words.LETTERS.get(kind, "?"),
            "grave": severity == "error",
            "says": " ".join(words.pair(words.DEFECTS, kind)),
            "codes": _listed(codes),
            "linked": n <= SHOWN,
        }
        for n, (kind, severity, codes) in enumerate(
            zip(ranked["kind"], ranked["severity"], ranked["codes"], strict=True), 1
        )
    ]


def _listed(codes: Sequence[object]) -> str:
    shown = ", ".join(map(str, codes[:NAMED]))
    return f"{shown} … ({len(codes)})" if len(codes) > NAMED else shown


def _cards(ranked: gpd.GeoDataFrame, drawn: _Drawn, codes: Sequence[str], prefix: str) -> list[dict[str, Any]]:
    rows = pd.DataFrame(ranked.drop(columns=ranked.geometry.name)).to_dict("records")
    shapes = drawn.defects[: len(rows)]
    there = [i for i, shape in enumerate(shapes) if shape is not None and not shape.is_empty]
    by_code: dict[str, tuple[int, ...]] = {}
    for row, code in enumerate(codes):
        by_code[code] = (*by_code.get(code, ()), row)
    places = [_place(rows[i], shapes[i], drawn.places[i], by_code, len(prefix)) for i in there]
    pictures = dict(zip(there, closeups(places, drawn.grids, drawn.boundary), strict=True))
    on_map = _finite(drawn.places)
    return [_card(n, row, pictures.get(n - 1), on_map[n - 1]) for n, row in enumerate(rows, 1)]


def _finite(places: Floats) -> list[bool]:
    return [bool(np.isfinite(place).all()) for place in places]


def _place(
    row: Mapping[str, Any], shape: Any, at: NDArray[Any], by_code: Mapping[str, tuple[int, ...]], skip: int
) -> Place:
    inside = at if np.isfinite(at).all() else shapely.get_coordinates(shape)[0]
    named = [(str(code)[skip:], by_code[str(code)]) for code in row["codes"] if str(code) in by_code]
    return Place(shape, float(row["width_m"]), (inside[0], inside[1]), tuple(named), row["kind"] in _WHOLE)


def _card(n: int, row: Mapping[str, Any], picture: Closeup | None, on_map: bool) -> dict[str, Any]:
    found, mend = _said(str(row["message"] or ""), str(row["kind"]))
    lon, lat = row["lon"], row["lat"]
    level = row.get("level")
    return {
        "n": n,
        "kind": words.pair(words.DEFECTS, row["kind"]),
        "letter": words.LETTERS.get(row["kind"], "?"),
        "grave": row["severity"] == "error",
        "severity": words.pair(words.SEVERITIES, row["severity"]),
        "codes": _listed(row["codes"]),
        "level": ("", "") if level is None or pd.isna(level) else _level(level),
        "area": row["area_m2"],
        "width": row["width_m"],
        "place": "" if pd.isna(lon) or pd.isna(lat) else f"{lon:.6f}, {lat:.6f}",
        "found": found,
        "mend": mend,
        "picture": picture,
        "on_map": on_map,
    }


def _said(message: str, kind: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """What a message says was found, and what mends it, each in Chinese and English.

    A message is ``Chinese / English``, and each half ``what was found; what mends it``; where it is not, it stands as
    it is and what mends its kind is said instead. Codes may hold " / " themselves, as often in either half.
    """
    pieces = message.split(" / ")
    middle = len(pieces) // 2
    whole = (" / ".join(pieces[:middle]), " / ".join(pieces[middle:])) if len(pieces) % 2 == 0 else (message, "")
    chinese, _, mend_chinese = whole[0].rpartition("；")
    english, _, mend_english = whole[1].rpartition("; ")
    if chinese and english:
        return (chinese, english), (mend_chinese, mend_english)
    return whole, words.MENDS.get(kind, ("", ""))


def _misfit(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = ("overlay", "grid", "area_m2", "overlay_share", "grid_share")
    return {"rows": [{name: row.get(name) for name in names} for row in rows[:ROWS]], "more": max(0, len(rows) - ROWS)}


def _log(log: pd.DataFrame) -> dict[str, Any]:
    """The log as it is, each column by its words; columns without words by their own name."""
    columns = [name for name in log.columns if name != getattr(log, "_geometry_column_name", None)]
    table = pd.DataFrame(log)[columns]
    rows = table.head(ROWS).to_dict("split")["data"]
    numeric = [pd.api.types.is_numeric_dtype(table[name]) and table[name].dtype != bool for name in columns]
    return {
        "columns": [(words.pair(words.LOG, name), number) for name, number in zip(columns, numeric, strict=True)],
        "rows": [[(figure(value), number) for value, number in zip(row, numeric, strict=True)] for row in rows],
        "changed": len(log),
        "more": max(0, len(log) - ROWS),
    }
