"""The public pages: the map with its list, a board for each grid, and "which grid am I in"."""

from __future__ import annotations

import hashlib
import math
import unicodedata
from datetime import date, datetime
from typing import Any

import pandas as pd
import xstatic.pkg.leaflet
from babel.dates import format_date as format_day
from flask import (
    Blueprint,
    Response,
    current_app,
    g,
    jsonify,
    make_response,
    render_template,
    request,
    send_from_directory,
    url_for,
)
from flask_babel import format_decimal, gettext
from werkzeug.exceptions import BadRequest, NotFound

from gridgis import crs
from gridgis.errors import NotFoundError
from gridgis.publish.boards import Board
from gridgis.publish.hours import is_open, next_opening, read_hours
from webmap import language, layers
from webmap.errors import wants_json
from webmap.finding import LONGEST, SUGGESTIONS, Place
from webmap.published import Published, Shelf

blueprint = Blueprint("public", __name__)

#: What shows the plan of a day.
_DATED = frozenset(
    f"public.{name}" for name in ("home", "board", "where", "suggest", "find", "layer", "map_script", "overview")
)
#: The files of Leaflet that the map needs, out of its package.
LEAFLET_FILES = ("leaflet.js", "leaflet.css")


def published() -> Published:
    """The newest revision, the same one throughout a request; with ``?at=2026-03-02`` the plan of that day."""
    if "published" not in g:
        shelf: Shelf = current_app.extensions["gridgis"]
        day = _asked_day()
        found = shelf.current() if day is None else shelf.on(day)
        if found is None:
            raise NotFound(gettext("No plan is published for %(day)s.", day=day))
        g.published, g.settings = found, found.settings
        if found.of_another_day:
            g.day = day
    shown: Published = g.published
    return shown


def _asked_day() -> date | None:
    text = request.args.get("at", "").strip()
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError as error:
        raise BadRequest(gettext("A day is written like this: 2026-03-02.")) from error


@blueprint.app_url_defaults
def _same_day(endpoint: str, values: dict[str, Any]) -> None:
    """Links from the plan of a day lead to pages of that day."""
    if "day" in g and endpoint in _DATED:
        values.setdefault("at", g.day.isoformat())


@blueprint.get("/")
def home() -> str:
    """The map, and beside it the list of all grids; ``?q=`` filters the list where no script runs."""
    shown = published()
    asked = request.args.get("q", "").strip()
    boards = shown.boards()
    entries = [_entry(shown, row, boards[code]) for code, row in shown.rows.items()]
    words = _folded(asked).split()
    found = [e for e in entries if all(w in e["search"] for w in words)]
    groups: dict[str, list[dict[str, Any]]] = {}
    for entry in found:
        groups.setdefault(entry["unit"], []).append(entry)
    return render_template(
        "map.html", map=_map(shown), groups=groups, count=len(found), total=len(entries), q=asked, shown=shown,
        barriers=language.BARRIERS, words=_script_words(),
    )  # fmt: skip


@blueprint.get("/grids/<path:code>")
def board(code: str) -> Response | str:
    """The board of one grid, as a page or as JSON for our script."""
    shown = published()
    try:
        row = shown.row(code)
    except NotFoundError as error:
        raise NotFound(gettext("There is no grid with the code %(code)s.", code=code[:40])) from error
    view = _board(shown, row, shown.boards()[code])
    if wants_json():
        return jsonify(view)
    boards = list(shown.boards().values())
    return render_template(
        "grid.html",
        board=view,
        drawing=shown.sheet.around(row),
        shown=shown,
        neighbours=[_entry(shown, near, boards[near]) for near in shown.neighbours(row)],
    )


@blueprint.route("/where", methods=["GET", "POST"])
def where() -> Response:
    """Which grid is a point in, as a page or as JSON. The point is neither kept nor logged.

    The pages ask by POST, so that a position stands in no address, history or proxy's log; ``?lon=&lat=`` works too.
    """
    shown = published()
    given = {name: request.values.get(name, "").strip() for name in ("lon", "lat", "datum")}
    answer = None
    if given["lon"] or given["lat"] or wants_json():
        lon, lat = _position(given)
        answer = _answer(shown, lon, lat)
    if wants_json():
        response = jsonify(answer)
    else:
        page = render_template("where.html", answer=answer, given=given, shown=shown)
        response = make_response(page)
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.post("/suggest")
def suggest() -> Response:
    """What a visitor may mean who types an address or the name of a compound or building; neither kept nor logged."""
    shown = published()
    places = [_place(shown, place) for place in shown.finder.suggest(request.form.get("q", ""))]
    response = jsonify(places)
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.route("/find", methods=["GET", "POST"])
def find() -> Response:
    """The grid of an address, compound, building, street or member of staff, as a page or as JSON.

    Asked by POST only, so that an address stands in no address line, history or log; by GET it is the empty form.
    """
    shown = published()
    asked = request.form.get("q", "").strip()[:LONGEST]
    answer = _found(shown, asked) if asked else None
    if wants_json():
        if answer is None:
            raise BadRequest(gettext("Please enter an address, a compound, a street or a name."))
        response = jsonify({**answer, "grids": [_light(grid) for grid in answer["grids"]]})
    else:
        response = make_response(render_template("find.html", answer=answer, q=asked, shown=shown))
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/layers/<name>.geojson")
def layer(name: str) -> Response:
    """A layer of the map: ``grids`` or ``context``."""
    shown = published()
    if name not in ("grids", "context"):
        raise NotFound(gettext("There is no layer of this name."))
    body = shown.grids_layer if name == "grids" else shown.context_layer
    return _of_revision(shown, body, "application/geo+json", name)


@blueprint.get("/map.js")
def map_script() -> Response:
    """The script that Folium renders, as a file of its own."""
    shown = published()
    return _of_revision(shown, _map(shown).script.encode(), "text/javascript", "map")


@blueprint.get("/overview.svg")
def overview() -> Response:
    """All grids as a picture, for where no script runs."""
    shown = published()
    body = render_template("overview.svg", drawing=shown.sheet.overview())
    return _of_revision(shown, body.encode(), "image/svg+xml", "overview")


@blueprint.get("/leaflet/<path:name>")
def leaflet(name: str) -> Response:
    """Leaflet's own files, out of its package."""
    if name not in LEAFLET_FILES:
        raise NotFound
    return send_from_directory(xstatic.pkg.leaflet.BASE_DIR, name)


def _of_revision(shown: Published, body: bytes, mimetype: str, name: str) -> Response:
    response = Response(body, mimetype=mimetype)
    # The bytes too, not the revision alone: a restart on another store may count the same.
    response.set_etag(f"{name}-{shown.revision}-{hashlib.sha256(body).hexdigest()[:10]}")
    return response


def _map(shown: Published) -> layers.MapParts:
    mark, version = shown.revision, xstatic.pkg.leaflet.VERSION
    scripts = [
        ("leaflet", url_for("public.leaflet", name="leaflet.js", v=version)),
        ("gridgis", url_for("static", filename="map.js")),
    ]
    styles = [("leaflet_css", url_for("public.leaflet", name="leaflet.css", v=version))]
    addresses = {
        "grids": url_for("public.layer", name="grids", r=mark),
        "context": url_for("public.layer", name="context", r=mark),
    }
    if current_app.config["FROZEN"]:
        # No server answers there: a script does, out of the layers and of a file of places.
        scripts.insert(1, ("answers", url_for("static", filename="answers.js")))
        addresses["places"] = url_for("frozen.places", r=mark)
    else:
        addresses |= {name: url_for(f"public.{name}") for name in ("where", "find", "suggest")}
    return layers.draw_map(shown.grids.total_bounds.tolist(), addresses, scripts, styles)


def _entry(shown: Published, row: int, made: Board) -> dict[str, Any]:
    """One line of the list."""
    unit = shown.units.get(str(shown.grids["parent"].iat[row]), "")
    people = [person.name for person in made.staff]
    known = (made.name, made.code, unit, made.bounds_text, *people)
    return {
        "code": made.code,
        "name": made.name or made.code,
        "unit": unit,
        "bounds": made.bounds_text,
        "people": people,
        "colour": int(shown.grids["colour"].iat[row]),
        "url": url_for("public.board", code=made.code),
        "search": _folded(" ".join(k for k in known if k)),
    }


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _board(shown: Published, row: int, made: Board) -> dict[str, Any]:
    """A board in the visitor's language, ready to be written on a page."""
    grid = shown.grids.iloc[row]
    staff = [
        {
            "name": person.name,
            "initial": person.name[:1],
            "role": language.word(language.ROLES, person.role),
            "phone": person.phone,
            "duties": person.duties,
            "hours": person.hours,
            **_duty(person.hours, shown.now()),
            "photo": person.photo if person.photo.startswith("data:image/") else "",
        }
        for person in made.staff
    ]
    # Of another day a board shows no people, so that nothing can be said to be missing.
    missing = [] if shown.of_another_day else [language.word(language.FIELDS, field) for field in made.missing]
    return {
        **_entry(shown, row, made),
        "kind": language.word(language.GRID_KINDS, grid["kind"]),
        "households": _households(grid),
        "staff": staff,
        "community_phone": made.community_phone,
        "supervision_phone": made.supervision_phone,
        "missing": missing,
        "ask": _whom_to_ask(made),
    }


def _duty(text: str, now: datetime) -> dict[str, Any]:
    """Whether somebody is on duty now and when next, where the hours can be read with certainty."""
    week = read_hours(text)
    # In a folder of files "now" is the day of publishing.
    if week is None or current_app.config["FROZEN"]:
        return {"duty": "", "on_duty": False}
    if is_open(week, now):
        return {"duty": gettext("On duty now, by the published hours"), "on_duty": True}
    then = next_opening(week, now)
    days = (then.date() - now.date()).days
    named = {0: gettext("today"), 1: gettext("tomorrow")}
    # In a week's time the name of today is not enough.
    pattern = "EEE" if days < 7 else "MMM d" if language.current() == "en" else "M月d日"
    day = named.get(days) or format_day(then.date(), pattern, locale=language.current())
    when = gettext("%(day)s %(time)s", day=day, time=f"{then.hour}:{then.minute:02d}")
    return {"duty": gettext("Not on duty now; next: %(when)s", when=when), "on_duty": False}


def _households(grid: Any) -> str:
    if pd.isna(grid["households"]):
        return ""
    number = str(format_decimal(int(grid["households"])))
    return str(gettext("about %(number)s (an estimate)", number=number)) if grid["estimated"] else number


def _whom_to_ask(made: Board) -> dict[str, str]:
    """Whom a visitor asks instead: a sentence, and the number that it ends with."""
    if made.community_phone:
        return {"text": gettext("Please call the community:"), "phone": made.community_phone}
    if made.supervision_phone:
        return {"text": gettext("Please call the supervision line:"), "phone": made.supervision_phone}
    return {"text": gettext("Please ask at the community's office."), "phone": ""}


def _position(given: dict[str, str]) -> tuple[float, float]:
    """Longitude and latitude, WGS 84, out of what was typed."""
    lon, lat = (_degrees(given[name], name) for name in ("lon", "lat"))
    if not -90 <= lat <= 90:
        if -90 <= lon <= 90 and -180 <= lat <= 180:
            raise BadRequest(gettext("Longitude and latitude seem to be swapped: a latitude is between -90 and 90."))
        raise BadRequest(gettext("A latitude is between -90 and 90."))
    if not -180 <= lon <= 180:
        raise BadRequest(gettext("A longitude is between -180 and 180."))
    datum = given["datum"] or "wgs84"
    if datum == "wgs84":
        return lon, lat
    if datum not in crs.DATUMS:
        raise BadRequest(gettext("The kind of coordinates is not known."))
    shift = crs.gcj02_to_wgs84 if datum == "gcj02" else crs.bd09_to_wgs84
    there = shift(lon, lat)
    return float(there[0]), float(there[1])


def _degrees(text: str, name: str) -> float:
    label = gettext("longitude") if name == "lon" else gettext("latitude")
    if not text:
        raise BadRequest(gettext("The %(coordinate)s is missing.", coordinate=label))
    try:
        value = float(unicodedata.normalize("NFKC", text).strip().rstrip("°"))
    except ValueError as error:
        raise BadRequest(gettext("The %(coordinate)s is not a number.", coordinate=label)) from error
    if not math.isfinite(value):
        raise BadRequest(gettext("The %(coordinate)s is not a number.", coordinate=label))
    return value


def _answer(shown: Published, lon: float, lat: float) -> dict[str, Any]:
    position = shown.where(lon, lat)
    boards = shown.boards()
    grids = [_board(shown, row, boards[str(shown.grids["code"].iat[row])]) for row in position.rows]
    if len(grids) > 1:
        said = gettext("This place is on the border of %(count)s grids; each of them can help.", count=len(grids))
    elif grids:
        said = gettext("This place is in %(name)s.", name=grids[0]["name"])
    else:
        said = gettext("This place is in none of the grids on this map.")
    return {
        "lon": round(lon, 7), "lat": round(lat, 7), "on_border": position.on_border, "said": said, "grids": grids,
        "ask": None if grids else whom_to_call(shown),
    }  # fmt: skip


def _place(shown: Published, place: Place) -> dict[str, Any]:
    """A place as it is suggested: what it is called, its address, its grid or how many it lies in."""
    name = str(shown.grids["name"].iat[place.rows[0]] or shown.grids["code"].iat[place.rows[0]])
    grid = name if len(place.rows) == 1 else gettext("in %(count)s grids", count=len(place.rows))
    return {"label": place.label, "address": place.address, "grid": grid}


def _found(shown: Published, asked: str) -> dict[str, Any]:
    """The answer to a text. A place in several grids, and a text that fits several places, gets them all."""
    places, number_known = shown.finder.find(asked)
    rows = {row for place in places for row in place.rows}
    boards = shown.boards()
    if len(places) != 1:
        words = _folded(asked).split()
        entries = {row: _entry(shown, row, boards[code])["search"] for code, row in shown.rows.items()}
        rows |= {row for row, known in entries.items() if words and all(word in known for word in words)}
    grids = [_board(shown, row, boards[str(shown.grids["code"].iat[row])]) for row in sorted(rows)]
    one = places[0] if len(places) == 1 else None
    several = len(places) > 1 and len(grids) > 1 and len(places) <= SUGGESTIONS
    said = _said(one.label if one else "", grids, choices=several)
    if one and not number_known:
        said = gettext("This house number is not on the map. %(said)s", said=said)
    return {
        "said": said,
        "grids": [] if several else grids,
        "choices": [_place(shown, place) for place in places] if several else [],
        "lon": one.lon if one else None,
        "lat": one.lat if one else None,
        "ask": None if grids else whom_to_call(shown),
    }


def _said(label: str, grids: list[dict[str, Any]], *, choices: bool) -> str:
    """The sentence before an answer."""
    count = len(grids)
    name = grids[0]["name"] if grids else ""
    if not grids:
        said = gettext("Nothing on this map fits. Check the spelling, or click your place on the map.")
    elif choices:
        said = gettext("Several places fit. Which one is it?")
    elif label and count == 1:
        said = gettext("%(place)s is in %(name)s.", place=label, name=name)
    elif label:
        said = gettext("%(place)s lies in %(count)s grids; each of them can help.", place=label, count=count)
    elif count == 1:
        said = gettext("What you entered leads to %(name)s.", name=name)
    else:
        said = gettext("%(count)s grids fit. With a house number you find yours.", count=count)
    return str(said)


def _light(grid: dict[str, Any]) -> dict[str, Any]:
    return {name: grid[name] for name in ("code", "name", "url", "colour")}


def whom_to_call(shown: Published) -> dict[str, str] | None:
    """Whom a visitor calls who is in no grid: a sentence, and the number that it ends with."""
    phone = shown.settings.get("supervision_phone", "")
    return {"text": gettext("Please call the supervision line:"), "phone": phone} if phone else None


def _script_words() -> dict[str, str]:
    """The words that our script writes."""
    return {
        "zoom_in": gettext("Zoom in"),
        "zoom_out": gettext("Zoom out"),
        "map": gettext("Map of the grids. Arrow keys move it, plus and minus zoom; the list leads to each grid."),
        "found": gettext("{count} of {total} grids"),
        "all": gettext("{total} grids"),
        "none": gettext("No grid fits. Try a shorter word."),
        "outside": gettext("This place is in none of the grids on this map."),
        "failed": gettext("The map's data could not be loaded. The list and the boards still work."),
        "board_failed": gettext("The board could not be loaded. Open its page instead:"),
        "locating": gettext("Looking for your position …"),
        "suggested": gettext("{count} suggestions; arrow keys choose"),
        "no_position": gettext("Your position is not available. Click the map or type coordinates."),
    }
