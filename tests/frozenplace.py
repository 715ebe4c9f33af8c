"""A published folder under a sub-path of a plain web server, and the script in it asked in Chromium."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

#: A desk as the page opens it, and what it answers to each of many questions (or the fault that it tells).
_ASK = """async ([what, asked]) => {
  const told = JSON.parse(document.getElementById("content").dataset.answers);
  const json = async (path) => (await fetch(path)).json();
  const { features } = await json("layers/grids.geojson");
  const items = [...document.querySelectorAll("#list li[data-search]")];
  const listed = (text) => {
    const words = text.normalize("NFKC").toLowerCase().split(/\\s+/).filter(Boolean);
    return items.filter((i) => words.length && words.every((w) => i.dataset.search.includes(w)))
      .map((i) => i.querySelector("a").dataset.code);
  };
  const desk = gridgisAnswers.desk(told, {
    loaded: async () => features, read: () => json("layers/places.json"), link: (code) => code, listed,
  });
  return Promise.all(asked.map((values) => desk[what](values).catch((fault) => ({ said: fault.message, grids: [] }))));
}"""
_ROWS = """async (points) => {
  const told = JSON.parse(document.getElementById("content").dataset.answers);
  const { features } = await (await fetch("layers/grids.geojson")).json();
  return points.map(gridgisAnswers.locator(features, told.plane, told.border_m));
}"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: Any) -> None:
        """Nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the folder above; gives the address of `folder`, which has no right to any other path of the host."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{folder.name}"
    finally:
        server.shutdown()
        server.server_close()


def ask(page: Page, what: str, asked: list[dict[str, str]]) -> list[dict[str, Any]]:
    """What the script answers to many questions: ``where``, ``find`` or ``suggest``."""
    answers: list[dict[str, Any]] = page.evaluate(_ASK, [what, asked])
    return answers


def rows(page: Page, points: list[list[float]]) -> list[list[int]]:
    """The rows of the grids at points (lon, lat), as the script finds them."""
    found: list[list[int]] = page.evaluate(_ROWS, points)
    return found
