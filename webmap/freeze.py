"""The public map as a folder of files, which any web server gives out, without Python.

The pages are those of the application, asked for one by one; only addresses are written otherwise, in one place
(:class:`Folder`): relative ones, so that the folder works under any path. What a server answers, ``static/answers.js``
answers in the browser.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import xstatic.pkg.leaflet
from flask import Blueprint, Flask, Response, request

from gridgis.errors import StoreError
from gridgis.files.folder import replace_folder
from webmap import CONTENT_SECURITY_POLICY, answers, create_app, language
from webmap.public import LEAFLET_FILES, published
from webmap.published import Published, Shelf

#: Lists the files of a folder, and says that it was published here.
MARKER = "published-files.txt"
#: In which folder the pages of a language lie; the first language is the one at the root.
ROOTS = {code: "" if code == language.SETTINGS["BABEL_DEFAULT_LOCALE"] else f"{code}/" for code in language.LANGUAGES}
#: A page without a server's headers says itself what it may load. A form is read by our script, never sent.
POLICY = "; ".join(
    "form-action 'none'" if rule.startswith("form-action") else rule
    for rule in CONTENT_SECURITY_POLICY.split("; ")
    if not rule.startswith("frame-ancestors")  # which a page cannot say of itself
)
_PAGE = "gridgis.page"
_LONGEST_NAME = 100

blueprint = Blueprint("frozen", __name__)


@dataclass(frozen=True)
class Frozen:
    """What was written: the folder, and how many boards, files and bytes are in it."""

    folder: Path
    boards: int
    files: int
    size: int


@dataclass(frozen=True)
class _File:
    """A file of the folder: its path, where the application has it, in which language, as what, and with which status.

    `page` is the page whose links it holds, where that is another one.
    """

    path: str
    ask: str
    lang: str
    accept: str = "text/html"
    status: int = 200
    page: str = ""


class Folder(Flask):
    """The application whose addresses are those of files, relative to the page that is being written."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        # A code may hold what an address would be tidied of.
        self.url_map.merge_slashes = False

    def url_for(
        self,
        /,
        endpoint: str,
        *,
        _anchor: str | None = None,
        _method: str | None = None,
        _scheme: str | None = None,
        _external: bool | None = None,
        **values: Any,
    ) -> str:
        """The address of `endpoint` from the page that is being written."""
        lang = values.pop("lang", None) or language.current()
        self.inject_url_defaults(endpoint, values)
        path = path_of(endpoint, lang, values)
        mark: dict[str, Any] = {name: values[name] for name in ("v", "r") if name in values}
        here = posixpath.dirname(request.environ[_PAGE]) or "."
        return posixpath.relpath(path, here) + (f"?{urlencode(mark)}" if mark else "")


def path_of(endpoint: str, lang: str, values: dict[str, Any]) -> str:
    """The path of a file in the folder.

    Raises
    ------
    LookupError
        If the folder has no such page.

    Examples
    --------
    >>> path_of("public.board", "en", {"code": "110108014-A"})
    'en/grids/110108014-_41.html'
    """
    root = ROOTS[lang]
    if endpoint == "public.board":
        return f"{root}grids/{file_name(values['code'])}.html"
    if endpoint in ("public.layer", "public.leaflet", "static"):
        name = values["filename" if endpoint == "static" else "name"]
        return {"public.layer": f"layers/{name}.geojson", "public.leaflet": f"leaflet/{name}"}.get(
            endpoint, f"static/{name}"
        )
    paths = {
        "public.home": f"{root}index.html",
        "public.map_script": f"{root}map.js",
        "public.overview": "overview.svg",
        "frozen.places": "layers/places.json",
    }
    if endpoint not in paths:
        raise LookupError(f"a folder of files has no {endpoint}")
    return paths[endpoint]


def file_name(code: str) -> str:
    """The name of the file of a grid: another one for each code, also where case is not told apart.

    Examples
    --------
    >>> file_name("11010801401"), file_name("a/B"), file_name("..")
    ('11010801401', 'a_2f_42', '_2e_2e')
    """
    name = re.sub("[^0-9a-z-]", lambda found: "".join(f"_{byte:02x}" for byte in found[0].encode()), code)
    return name if len(name) <= _LONGEST_NAME else f"_{hashlib.sha256(code.encode()).hexdigest()}"


@blueprint.get("/layers/places.json")
def places() -> Response:
    """The places that the script in the browser finds."""
    return Response(answers.places(published()), mimetype="application/json")


def freeze(store: str, folder: Path | str, tell: Callable[[int, int], None] | None = None) -> Frozen:
    """Write the public map of a store, as of today, into a folder.

    Parameters
    ----------
    store : str
        Path or database address of the store.
    folder : Path or str
        New, empty, or an earlier publication, which is replaced as a whole; the old one stays where something fails.
    tell : callable, optional
        Is told how many of how many files are written.

    Returns
    -------
    Frozen

    Raises
    ------
    StoreError
        The store cannot be read or holds no grids.
    InputError
        `folder` holds other files, or cannot be written to.

    Notes
    -----
    The same store gives the same bytes on the same day: boards show the people of that day, and every page says which.
    Not promised: that the browser reads every way of writing an address that the server reads.
    """
    app = create_app({"STORE": store, "FROZEN": True}, Folder)
    shelf: Shelf = app.extensions["gridgis"]
    shown = shelf.current()
    # One revision for all pages, whatever is saved in the meantime.
    app.extensions["gridgis"] = _Still(shown)
    app.register_blueprint(blueprint)
    app.context_processor(lambda: _for_templates(shown))
    files = list(_files(shown, Path(app.static_folder or "")))
    try:
        with replace_folder(Path(folder), MARKER) as fresh:
            # The pages ask for none of them, but the style sheet names them.
            shutil.copytree(Path(xstatic.pkg.leaflet.BASE_DIR) / "images", fresh / "leaflet" / "images")
            for number, file in enumerate(files, 1):
                path = fresh / file.path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(_body(app, file))
                if tell is not None:
                    tell(number, len(files))
            sizes = [path.stat().st_size for path in fresh.rglob("*") if path.is_file()]
    finally:
        shelf.close()
    return Frozen(Path(folder), len(shown.rows), len(sizes), sum(sizes))


class _Still:
    """A shelf with one revision on it."""

    def __init__(self, shown: Published) -> None:
        self._shown = shown

    def current(self) -> Published:
        return self._shown


def _for_templates(shown: Published) -> dict[str, Any]:
    return {
        "frozen": {"policy": POLICY, "day": language.dressed(shown.day)},
        "answers": answers.for_script(shown),
        "settings": shown.settings,
    }


def _files(shown: Published, static: Path) -> Iterator[_File]:
    first = language.LANGUAGES[0]
    for lang, root in ROOTS.items():
        home = f"{root}index.html"
        yield _File(home, "/", lang)
        yield _File(f"{root}404.html", f"/{MARKER}", lang, status=404)
        yield _File(f"{root}map.js", "/map.js", lang, "*/*", page=home)
        for code in shown.rows:
            ask, name = f"/grids/{quote(code, safe='/')}", file_name(code)
            yield _File(f"{root}grids/{name}.html", ask, lang)
            yield _File(f"{root}grids/{name}.json", ask, lang, "application/json", page=home)
    yield _File("overview.svg", "/overview.svg", first, "*/*")
    for name in ("grids.geojson", "context.geojson", "places.json"):
        yield _File(f"layers/{name}", f"/layers/{name}", first, "*/*")
    for name in LEAFLET_FILES:
        yield _File(f"leaflet/{name}", f"/leaflet/{name}", first, "*/*")
    for name in sorted(path.relative_to(static).as_posix() for path in static.rglob("*") if path.is_file()):
        yield _File(f"static/{name}", f"/static/{name}", first, "*/*")


def _body(app: Flask, file: _File) -> bytes:
    with app.test_client(use_cookies=False) as client:
        answer = client.get(
            file.ask,
            query_string={"lang": file.lang},
            headers={"Accept": file.accept},
            environ_overrides={_PAGE: file.page or file.path},
        )
        if answer.status_code != file.status:
            raise StoreError(
                "a page of the map could not be made",
                source=file.path,
                found=f"status {answer.status_code}: {answer.get_data(as_text=True)[:200]}",
            )
        return bytes(answer.get_data())
