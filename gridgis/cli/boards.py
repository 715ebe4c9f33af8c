"""gridgis boards: the boards of a store, to be printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from gridgis.cli import options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gridgis.publish.board_fit import Fit
    from gridgis.publish.boards import Board

#: All boards in one file.
_ALL = "boards.pdf"


@click.command("boards")
@click.argument("store")
@click.option(
    "--pdf", "folder", type=click.Path(path_type=Path), required=True, metavar="DIR", help="写到文件夹 output folder"
)
@click.option(
    "--grid", "grids", multiple=True, metavar="CODE", help="只印这个网格，可重复 this grid only; may be repeated"
)
@click.option(
    "--paper", type=click.Choice(["a3", "a4"]), default="a4", show_default=True,
    help="纸张：A3 横、A4 竖 A3 landscape or A4 portrait",
)  # fmt: skip
@click.option("--one", is_flag=True, help=f"另写一个全部公示牌的 {_ALL} also all boards in one file")
@click.option(
    "--url", default="", metavar="BASE", help="公开地图网址，印二维码 the public map's address: prints a QR code"
)
@click.option(
    "--files", is_flag=True, help="那里是 gridgis publish 的文件夹 the map there is a folder of gridgis publish"
)
def command(store: str, folder: Path, grids: tuple[str, ...], paper: str, one: bool, url: str, files: bool) -> None:
    """印制公示牌：每个网格一个 PDF，一页；缺的内容列在屏幕上。

    Printable boards: one PDF of one page for each grid of the plan that holds today, with the staff posted today. What
    the profile asks for and nobody filled in is listed here, not printed.
    """
    from gridgis.errors import NotFoundError
    from gridgis.files.folder import replace_together
    from gridgis.publish.board_fit import PAPERS
    from gridgis.publish.board_pages import grid_address
    from gridgis.publish.board_print import BoardPrinter, print_boards
    from gridgis.shown import show_store
    from gridgis.store import open_store
    from webmap.freeze import path_of

    if url:
        grid_address(url, "")

    def address(code: str) -> str:
        return grid_address(url, path_of("public.board", "zh", {"code": code}) if files else f"grids/{code}")

    with open_store(store) as opened:
        shown = show_store(opened)
        for code in grids:
            if code not in set(shown.grids["code"]):
                raise NotFoundError("no grid has this code", source=opened.name, found=repr(code))
    boards = shown.boards(shown.day)
    codes = [code for code in boards if not grids or code in grids]
    names = {code: file_name(code) for code in codes}
    printer, fitted = BoardPrinter(PAPERS[paper], together=one), {}
    made = print_boards(
        printer, shown.grids, boards, shown.sheet(), units=shown.units, settings=shown.settings, printed=shown.day,
        address=address if url else None, codes=codes,
    )  # fmt: skip
    with replace_together(folder, [*names.values(), *([_ALL] if one else [])]) as fresh:
        with options.progress("公示牌 boards") as tell:
            for code, fit, content in made:
                (fresh / names[code]).write_bytes(content)
                fitted[code] = fit
                tell(len(fitted), len(codes))
        if one:
            (fresh / _ALL).write_bytes(printer.all_pages())
    _tell(boards, fitted)
    options.echo_written([folder / name for name in [*names.values(), *([_ALL] if one else [])]])


def file_name(code: str) -> str:
    """The file of a grid: its code; what does not belong in a file's name is written as in an address.

    Examples
    --------
    >>> file_name("99010100101"), file_name("柳岸-1"), file_name("../a b")
    ('99010100101.pdf', '柳岸-1.pdf', '%2E%2E%2Fa%20b.pdf')
    """
    if f"{code}.pdf".lower() == _ALL:
        return f"%62{code[1:]}.pdf"
    plain = re.sub(r"[^\w.-]", lambda sign: quote(sign[0], safe=""), code)
    return re.sub(r"^\.+", lambda dots: "%2E" * len(dots[0]), plain) + ".pdf"


def _tell(boards: Mapping[str, Board], fitted: Mapping[str, Fit]) -> None:
    from gridgis.publish.board_pages import field_name

    lacking = [(code, boards[code].name, "、".join(map(field_name, boards[code].missing))) for code in fitted]
    lacking = [row for row in lacking if row[-1]]
    click.echo(f"公示牌 boards: {len(fitted)}; 缺内容 incomplete: {len(lacking)}")
    if lacking:
        options.echo_table("缺的内容 What is missing", ("网格 grid", "名称 name", "缺 missing"), lacking)
    cut = [(code, boards[code].name, ", ".join(fit.shortened)) for code, fit in fitted.items() if fit.shortened]
    if cut:
        options.echo_table("太长，印不全 Too long, cut on the board", ("网格 grid", "名称 name", "内容 text"), cut)
