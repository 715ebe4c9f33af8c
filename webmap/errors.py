"""Error class to HTTP status; a page for people, RFC 9457 problem+json for programs."""

from __future__ import annotations

import json
from typing import Any, cast

from flask import Flask, Response, current_app, render_template, request
from flask_babel import gettext, lazy_gettext
from werkzeug.exceptions import HTTPException, InternalServerError

from gridgis.errors import GridgisError, InputError, NotFoundError, StoreError

#: The first class that fits decides.
STATUS: tuple[tuple[type[GridgisError], int], ...] = (
    (NotFoundError, 404),
    (StoreError, 503),
    (InputError, 400),
    (GridgisError, 500),
)
_TITLES = {
    400: lazy_gettext("This cannot be read"),
    404: lazy_gettext("Not found"),
    405: lazy_gettext("This cannot be done here"),
    500: lazy_gettext("Something went wrong"),
    503: lazy_gettext("The map is not available at the moment"),
}
_DETAILS = {
    400: lazy_gettext("Please check what you entered and try again."),
    404: lazy_gettext("There is nothing at this address. The list shows all grids."),
    405: lazy_gettext("Please go back to the map."),
    500: lazy_gettext("The fault is ours and has been noted. Please try again later."),
    503: lazy_gettext("Nothing has been published yet, or the data cannot be read. Please try again later."),
}


def status_of(error: GridgisError) -> int:
    """The HTTP status of an error of the library.

    Examples
    --------
    >>> status_of(NotFoundError("no such grid"))
    404
    """
    return next(status for kind, status in STATUS if isinstance(error, kind))


def wants_json() -> bool:
    """Whether this request is a program's: a path of data, or JSON preferred to a page."""
    if request.path.startswith(("/layers/", "/api/")):
        return True
    best = request.accept_mimetypes.best_match(["text/html", "application/json"], default="text/html")
    return bool(best == "application/json")


def register(app: Flask) -> None:
    """Answer every error with a page or with problem+json."""
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(GridgisError, _library)


def _library(error: GridgisError) -> Response:
    status = status_of(error)
    if status >= 500:
        # The library's message may name files: it goes to the log, not to the page.
        current_app.logger.error("%s: %s", request.path, error)
    return _answer(status, "")


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:
        return cast("Response", error.get_response())
    said = "" if isinstance(error, InternalServerError) or _stock(error) else str(error.description or "")
    response = _answer(status, said)
    for name, value in error.get_headers():
        if name.lower() in ("allow", "location", "retry-after"):
            response.headers[name] = value
    return response


def _stock(error: HTTPException) -> bool:
    """Whether the description is the framework's own, which is in English only."""
    return error.description == type(error).description


def _answer(status: int, said: str) -> Response:
    known = status if status in _TITLES else (400 if status < 500 else 500)
    title, detail = str(_TITLES[known]), said or str(_DETAILS[known])
    if wants_json():
        problem: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        body = json.dumps(problem, ensure_ascii=False)
        response = Response(body, status, mimetype="application/problem+json")
    else:
        page = render_template("error.html", status=status, title=title, detail=detail, back=gettext("Back to the map"))
        response = Response(page, status, mimetype="text/html")
    response.headers["Cache-Control"] = "no-store"
    return response
