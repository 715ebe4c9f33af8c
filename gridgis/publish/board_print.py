"""Boards as PDF, each on one page, set by WeasyPrint."""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from functools import partial
from typing import Any

import geopandas as gpd

from gridgis.errors import InputError
from gridgis.publish.board_fit import BoardTexts, Fit, Paper, fits, grown, larger
from gridgis.publish.board_pages import board_page, board_texts, drawing_size
from gridgis.publish.boards import Board
from gridgis.publish.extent import Drawing, Sheet


class BoardPrinter:
    """Sets boards on paper.

    Parameters
    ----------
    paper : Paper
        One of :data:`gridgis.publish.board_fit.PAPERS`.
    together : bool, default False
        Whether pages are kept for :meth:`all_pages`, about 6 MB of memory each.

    Raises
    ------
    InputError
        If WeasyPrint, segno, pango or a font with Chinese is missing; the message names the remedy.
    """

    def __init__(self, paper: Paper, *, together: bool = False) -> None:
        self.paper, self.together = paper, together
        self._weasyprint, self._segno = _load()
        if not has_chinese_font():
            raise InputError(
                "no font with Chinese characters was found",
                wanted="a font that fontconfig knows for zh-cn",
                remedy="Install one: apt-get install fonts-noto-cjk.",
            )
        from weasyprint.text.fonts import FontConfiguration
        from weasyprint.urls import URLFetcher

        self._fonts, self._fetcher = FontConfiguration(), URLFetcher(allowed_protocols=("data",))
        self._documents: list[Any] = []

    def set(self, texts: BoardTexts, draw: Callable[[tuple[float, float]], Drawing]) -> tuple[Fit, bytes]:
        """One board as PDF, and how it was set; its page is kept if they are wanted together.

        Parameters
        ----------
        texts : BoardTexts
        draw : callable
            Gives the map, a :class:`gridgis.publish.extent.Drawing`, of a width and height.

        Raises
        ------
        InputError
            If it has no room on one page.
        """
        qr = self._segno.make(texts.url, error="m", micro=False).svg_data_uri(border=2) if texts.url else ""
        for fit in fits(texts, self.paper):
            document = self._render(fit, draw, qr)
            if len(document.pages) == 1:
                fit, document = self._larger(fit, document, draw, qr)
                better = self._grown(fit, document)
                filled = self._render(better, draw, qr)
                if len(filled.pages) == 1:
                    fit, document = better, filled
                if self.together:
                    self._documents.append(document)
                return fit, bytes(document.write_pdf())
        raise InputError(
            "the board has no room on one page", source=texts.code, remedy="Print it on A3, or shorten its texts."
        )

    def _larger(
        self, fit: Fit, document: Any, draw: Callable[[tuple[float, float]], Drawing], qr: str
    ) -> tuple[Fit, Any]:
        """The largest of what is tried, until a size of type does not fit any more."""
        for tries in larger(fit, self.paper):
            # Wide cards are read more easily than narrow ones in type a little larger.
            made = ((more, self._render(more, draw, qr)) for more in tries if more.columns <= fit.columns)
            better = next((pair for pair in made if len(pair[1].pages) == 1), None)
            if better is not None:
                fit, document = better
            elif tries[0].size > fit.size:
                break
        return fit, document

    def _render(self, fit: Fit, draw: Callable[[tuple[float, float]], Drawing], qr: str) -> Any:
        page = board_page(fit, draw(drawing_size(fit, self.paper)), self.paper, qr=qr)
        return self._weasyprint.HTML(string=page, url_fetcher=self._fetcher).render(font_config=self._fonts)

    def _grown(self, fit: Fit, document: Any) -> Fit:
        """Texts are reckoned on the safe side: what is left of the page when they are set goes to the map."""
        ends = {name: y * 25.4 / 96 for name, (_, y, *_) in document.pages[0].anchors.items()}
        left = self.paper.height - self.paper.margin - ends["end"]
        lower = ends["end-beside"] - ends["end-map"] if self.paper.beside else 0.0
        return grown(fit, self.paper, left, lower)

    def all_pages(self) -> bytes:
        """All boards that were set, as one PDF."""
        pages = [page for document in self._documents for page in document.pages]
        return bytes(self._documents[0].copy(pages).write_pdf())


def print_boards(
    printer: BoardPrinter,
    grids: gpd.GeoDataFrame,
    boards: Mapping[str, Board],
    sheet: Sheet,
    *,
    units: Mapping[str, str],
    settings: Mapping[str, str],
    printed: date,
    address: Callable[[str], str] | None = None,
    codes: Iterable[str] | None = None,
) -> Iterator[tuple[str, Fit, bytes]]:
    """Set boards one after the other, in the order of the grids: the code, how it was set, the PDF.

    Parameters
    ----------
    printer : BoardPrinter
    grids : GeoDataFrame
        What :func:`gridgis.publish.features.public_grids` leaves.
    boards : mapping of code to Board
    sheet : Sheet
        Of the same grids.
    units : mapping of code to name
    settings, printed
        As of :func:`gridgis.publish.board_pages.board_texts`.
    address : callable, optional
        Gives the page of a grid on the public map, of its code.
    codes : iterable of str, optional
        The grids to print; all by default.
    """
    wanted = None if codes is None else set(codes)
    plain = grids.drop(columns=grids.geometry.name).to_dict("records")
    for row, grid in enumerate(plain):
        code = str(grid["code"])
        if wanted is not None and code not in wanted:
            continue
        unit = units.get(str(grid["parent"]), "")
        texts = board_texts(
            boards[code], grid, unit=unit, settings=settings, printed=printed, url=address(code) if address else ""
        )
        yield code, *printer.set(texts, partial(sheet.around, row))


def has_chinese_font() -> bool:
    """Whether fontconfig knows a font for simplified Chinese."""
    library = ctypes.CDLL(ctypes.util.find_library("fontconfig") or "libfontconfig.so.1")
    library.FcNameParse.restype = library.FcObjectSetCreate.restype = library.FcFontList.restype = ctypes.c_void_p
    library.FcFontList.argtypes = [ctypes.c_void_p] * 3
    pattern, names = library.FcNameParse(b":lang=zh-cn"), library.FcObjectSetCreate()
    # The first member of an FcFontSet is how many there are.
    found = library.FcFontList(None, pattern, names)
    count = ctypes.c_int.from_address(found).value if found else 0
    library.FcFontSetDestroy.argtypes = library.FcPatternDestroy.argtypes = [ctypes.c_void_p]
    library.FcObjectSetDestroy.argtypes = [ctypes.c_void_p]
    if found:
        library.FcFontSetDestroy(found)
    library.FcPatternDestroy(pattern)
    library.FcObjectSetDestroy(names)
    return count > 0


def _load() -> tuple[Any, Any]:
    try:
        # Where pango is missing WeasyPrint prints a notice of its own before the error.
        with contextlib.redirect_stdout(io.StringIO()):
            import segno
            import weasyprint
    except ImportError as error:
        raise InputError(
            "printing needs packages that are not installed",
            found=str(error),
            remedy="Install them: pip install 'gridgis[print]'.",
        ) from error
    except OSError as error:
        raise InputError(
            "printing needs a library of the system that is not there",
            found=str(error).splitlines()[0],
            remedy="Install it: apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0.",
        ) from error
    return weasyprint, segno
