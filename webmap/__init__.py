"""The web: parse, ask, dress. Every sum is a call of the library."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from flask_babel import Babel
from flask_compress import Compress

from gridgis.errors import InputError
from webmap import errors, language, public
from webmap.published import Shelf

#: Everything comes from this server, and nothing is written into the page as script or style.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # An address may hold a position that somebody asked about.
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "geolocation=(self), camera=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_LONG = 31_536_000


def create_app(config: Mapping[str, Any] | None = None, kind: type[Flask] = Flask) -> Flask:
    """The web application on one store.

    Parameters
    ----------
    config : mapping, optional
        ``STORE``: path of the store (else the environment's ``GRIDGIS_STORE``). ``FROZEN``: the pages are for a folder
        of files (:mod:`webmap.freeze`). Other keys go to Flask.
    kind : type, default Flask
        A subclass may write the addresses of the pages in its own way.

    Raises
    ------
    InputError
        If no store is named.
    StoreError
        If the store cannot be opened.
    """
    app = kind(__name__)
    app.config.from_mapping(language.SETTINGS)
    app.config["FROZEN"] = False
    app.config.from_mapping(
        COMPRESS_ALGORITHM=["br", "gzip"],
        COMPRESS_ALGORITHM_STREAMING=["br", "gzip"],
        COMPRESS_STREAMING_ENDPOINT_CONDITIONAL=["static", "public.leaflet"],
        COMPRESS_MIMETYPES=[
            "text/html", "text/css", "text/javascript", "application/javascript", "application/json",
            "application/geo+json", "application/problem+json", "image/svg+xml",
        ],
    )  # fmt: skip
    app.config.from_mapping(config or {})
    where = app.config.get("STORE") or os.environ.get("GRIDGIS_STORE")
    if not where:
        raise InputError("no store is named", remedy="Give config['STORE'] or set GRIDGIS_STORE.")
    app.extensions["gridgis"] = shelf = Shelf(str(where))
    shelf.current()
    # The last one named here runs first: tag the page, compress it, then the headers.
    app.after_request(_secure)
    Compress(app)
    app.after_request(_tag)
    app.after_request(language.remember)
    Babel(app, locale_selector=language.choose)
    app.context_processor(language.for_templates)
    app.add_template_filter(language.spoken, "spoken")
    app.url_defaults(_fingerprints(Path(app.static_folder or "")))
    app.register_blueprint(public.blueprint)
    errors.register(app)
    # Read now what the first visitor would wait for.
    app.jinja_env.get_template("map.html")
    app.jinja_env.get_template("grid.html")
    return app


def _secure(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _tag(response: Response) -> Response:
    """An ETag on each page, and how long the rest may be kept."""
    if request.method != "GET" or response.status_code != 200:
        return response
    if request.args.get("v") and not response.headers.get("Cache-Control", "").startswith("no-store"):
        response.headers["Cache-Control"] = f"public, max-age={_LONG}, immutable"
    elif "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-cache"
    if response.mimetype == "text/html":
        response.add_etag()
    if not response.is_streamed:
        response.make_conditional(request)
    return response


def _fingerprints(folder: Path) -> Any:
    """Static files carry their fingerprint in the address, so that they may be kept for ever."""
    marks = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:10]
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }

    def add(endpoint: str, values: dict[str, Any]) -> None:
        mark = marks.get(values.get("filename", "")) if endpoint == "static" else None
        if mark:
            values.setdefault("v", mark)

    return add
