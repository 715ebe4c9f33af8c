"""A board as a page of HTML that is one sheet of paper: what a printer, or a browser, sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date
from typing import Any
from urllib.parse import quote

import pandas as pd

from gridgis.errors import InputError
from gridgis.publish import board_fit as sizes
from gridgis.publish.board_fit import BoardTexts, Fit, Paper
from gridgis.publish.boards import ROLE_NAMES, Board, BoardStaff
from gridgis.publish.extent import NAME_SIZE, TITLE_SIZE, Drawing
from gridgis.publish.page_templates import template
from gridgis.publish.words import Words

#: Fonts with Chinese, the first that is there.
FONTS = (
    "Noto Sans CJK SC", "Source Han Sans SC", "Noto Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei",
    "Microsoft YaHei", "PingFang SC",
)  # fmt: skip
KINDS: Words = {
    "residential": ("居村网格", "Residential grid"),
    "street-face": ("街面网格", "Street-face grid"),
    "extension": ("拓展网格", "Extension grid"),
    "dedicated": ("专属网格", "Dedicated grid"),
    "professional": ("专业网格", "Professional grid"),
}
#: What a board may lack.
FIELDS: Words = {
    "name": ("网格名称", "grid name"),
    "code": ("网格编码", "grid code"),
    "extent": ("网格范围图", "extent map"),
    "bounds_text": ("四至", "bounds"),
    "staff": ("网格人员", "staff"),
    "role": ("人员角色", "roles of staff"),
    "photo": ("人员照片", "photos of staff"),
    "phone": ("人员联系电话", "phone numbers of staff"),
    "duties": ("工作职责", "duties"),
    "hours": ("接待时间", "reception hours"),
    "community_phone": ("社区电话", "community phone"),
    "supervision_phone": ("监督电话", "supervision phone"),
    "patrol_matters": ("巡查事项", "patrol matters"),
    "service_items": ("服务事项", "service items"),
}


def field_name(field: str) -> str:
    """A field of a board in Chinese and English; one without a name stands for itself."""
    return " ".join(FIELDS[field]) if field in FIELDS else field


def board_texts(
    board: Board,
    grid: Mapping[str, Any],
    *,
    unit: str,
    settings: Mapping[str, str],
    printed: date,
    url: str = "",
) -> BoardTexts:
    """The texts of a board as they are printed, Chinese first.

    Parameters
    ----------
    board : Board
    grid : mapping
        Its row of :func:`gridgis.publish.features.public_grids`: kind, households, estimated.
    unit : str
        The name of the grid's unit; "" where it has none.
    settings : mapping
        title, sources (lines), review_number, built_at, patrol_matters, service_items; each may be missing.
    printed : date
    url : str, optional
        The page of the grid on the public map, to which the board then leads.
    """
    kind = grid.get("kind")
    zh, english = KINDS.get(str(kind), ("" if kind is None else str(kind), ""))
    return BoardTexts(
        title=settings.get("title", ""),
        name=board.name,
        code=board.code,
        unit=unit,
        kind=f"{zh} {english}".strip(),
        bounds=board.bounds_text,
        households=_households(grid),
        # A photo that is not in the store itself would have to be fetched from somewhere.
        staff=tuple(p if p.photo.startswith("data:image/") else replace(p, photo="") for p in board.staff),
        community_phone=board.community_phone,
        supervision_phone=board.supervision_phone,
        matters=settings.get("patrol_matters", "").strip(),
        services=settings.get("service_items", "").strip(),
        foot=_foot(settings, bool(grid.get("estimated")), printed),
        url=url,
    )


def board_page(fit: Fit, drawing: Drawing, paper: Paper, *, qr: str = "") -> str:
    """The page of one board.

    Parameters
    ----------
    fit : Fit
        One of :func:`gridgis.publish.board_fit.fits`.
    drawing : Drawing
        Of the size of :func:`drawing_size`.
    paper : Paper
    qr : str, optional
        A picture as a ``data:`` address.

    Returns
    -------
    str
        HTML without script that asks for nothing: portraits and the code are ``data:`` addresses. Whatever users wrote
        is text in it.
    """
    texts = fit.texts
    rows = [[_person(person) for person in row] for row in sizes.batches(texts.staff, fit.columns)]
    fonts = ", ".join(f"'{name}'" for name in FONTS) + ", sans-serif"
    return template("board.html").render(
        fit=fit, texts=texts, rows=rows, drawing=drawing, paper=paper, qr=qr, z=sizes, fonts=fonts,
        sizes={"name": NAME_SIZE, "title": TITLE_SIZE},
    )  # fmt: skip


def drawing_size(fit: Fit, paper: Paper) -> tuple[float, float]:
    """Width and height of the map of a board, in units of its drawing."""
    return round(paper.map_width / paper.unit, 1), round(fit.map_height / paper.unit, 1)


def _person(person: BoardStaff) -> dict[str, str]:
    zh, english = ROLE_NAMES.get(person.role, (person.role, ""))
    return {**asdict(person), "role_zh": zh, "role_en": english}


def _households(grid: Mapping[str, Any]) -> str:
    count = grid.get("households")
    if count is None or pd.isna(count):
        return ""
    return f"约 {int(count):,}（估算 an estimate）" if grid.get("estimated") else f"{int(count):,}"


def _foot(settings: Mapping[str, str], estimated: bool, printed: date) -> tuple[str, ...]:
    sources = [line.strip() for line in settings.get("sources", "").splitlines() if line.strip()]
    lines = [f"资料来源 Sources  {'；'.join(sources)}"] if sources else []
    if number := settings.get("review_number", "").strip():
        lines.append(number if "审图号" in number else f"审图号 Map review number  {number}")
    if estimated:
        lines.append("户数按建筑规模估算，并非入户统计。 Households are estimated from the size of buildings.")
    made = settings.get("built_at", "")[:10]
    days = [f"资料截至 As of  {made}"] if made else []
    return (*lines, "    ".join([*days, f"印制日期 Printed on  {printed.isoformat()}"]))


def grid_address(base_url: str, page: str) -> str:
    """The address of a page of the public map at `base_url`.

    Raises
    ------
    InputError
        If `base_url` is no web address.

    Examples
    --------
    >>> grid_address("https://grid.example.cn/", "grids/99010100101")
    'https://grid.example.cn/grids/99010100101'
    """
    if not base_url.startswith(("https://", "http://")):
        raise InputError("this is no web address", found=repr(base_url), wanted="https://…, where the public map is")
    return f"{base_url.rstrip('/')}/{quote(page)}"
