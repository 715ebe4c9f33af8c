"""How large the type and the map of a printed board may be, so that the board is one page.

Heights are reckoned from the texts, on the safe side: no line is taken for fuller than it can be set. The template
`board.html` uses the same sizes; whoever changes one of them changes the other.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gridgis.errors import InputError
from gridgis.publish.boards import ROLE_NAMES, BoardStaff

#: A typographic point, in mm.
POINT = 25.4 / 72
#: Height of a line, as a share of the size of its type.
LINE = 1.4
#: Sizes of type on the board, as shares of its base size.
NAME, HEADING, PERSON, PHONE, SMALL, FINE = 2.5, 1.15, 1.35, 1.9, 0.8, 0.72
#: Space between blocks, inside a frame, and between cards; shares of the base size.
GAP, PAD, CARD_GAP, RUN_GAP = 0.8, 0.55, 0.6, 0.35
#: A portrait, shares of the base size.
FACE_WIDTH, FACE_HEIGHT = 4.2, 5.6
#: The QR code with its quiet zone, mm.
QR_MM = 27.0
#: Cards are not set in smaller type than this, nor running lines in larger, pt.
_CARDS, _RUNNING = 8.0, 9.0
#: So much further in the list of sizes larger ones are tried.
_STEPS = 1, 2, 4
#: What is kept free for rounding, mm.
_SPARE = 2.0
#: A text on a board that is too full is cut to so many characters, one after the other.
_LIMITS = (400, 200, 100, 50, 25, 12)
#: What a line is broken between: spaces, one Chinese sign, a run of others.
_PARTS = re.compile(r"\s+|[\u2e80-\uffef]|[^\s\u2e80-\uffef]+")
_HAN_WORD = re.compile(r"[\u2e80-\uffef]")


@dataclass(frozen=True)
class Paper:
    """A sheet: its size and margin (mm), the columns of its text, the sizes of type (pt) to try, the largest map (mm).

    `map_width` is the width of the map, and with two columns that of the left one.
    """

    name: str
    width: float
    height: float
    margin: float
    map_width: float
    map_most: float
    sizes: tuple[float, ...]
    unit: float

    @property
    def inner(self) -> tuple[float, float]:
        """Width and height inside the margins."""
        return self.width - 2 * self.margin, self.height - 2 * self.margin

    @property
    def beside(self) -> float:
        """The width of the right column; 0 where there is one."""
        left = self.inner[0] - self.map_width
        return 0.0 if left < 1 else left - 8.0


_SIZES = tuple(half / 2 for half in range(25, 11, -1))
PAPERS = {
    "a4": Paper("a4", 210, 297, 12, 186, 150, (14, 13.5, 13, *_SIZES), 0.30),
    "a3": Paper("a3", 420, 297, 14, 226, 220, (18, 17, 16, 15, 14, 13, *_SIZES), 0.37),
}


@dataclass(frozen=True)
class BoardTexts:
    """The texts of a printed board; empty where there is nothing to print."""

    title: str
    name: str
    code: str
    unit: str
    kind: str
    bounds: str
    households: str
    staff: tuple[BoardStaff, ...]
    community_phone: str
    supervision_phone: str
    matters: str
    services: str
    foot: tuple[str, ...]
    url: str = ""

    @property
    def faces(self) -> bool:
        """Whether anybody has a portrait."""
        return any(person.photo for person in self.staff)


@dataclass(frozen=True)
class Fit:
    """A board on its page: the base size of type (pt), the height of the map and of the space before the foot (mm).

    `texts` are those to print; `shortened` names the fields of which something was cut off. `running`: staff are told
    in lines of text instead of on cards with portraits.
    """

    texts: BoardTexts
    size: float
    columns: int
    map_height: float
    space: float
    running: bool = False
    shortened: tuple[str, ...] = ()


def fits(texts: BoardTexts, paper: Paper) -> list[Fit]:
    """All ways to set a board on one page that are reckoned to fit, the best one first.

    Parameters
    ----------
    texts : BoardTexts
    paper : Paper

    Returns
    -------
    list of Fit
        Cards by size of type, the largest first; then running lines in the same way; then with texts cut, the longest
        first. Never empty.

    Raises
    ------
    InputError
        There are more staff than the smallest type has room for.

    Notes
    -----
    Not promised: that a reckoned fit is one when it is set. Whoever prints counts the pages, and takes the next.
    """
    cards = [size for size in paper.sizes if size >= _CARDS or not texts.staff]
    found = [fit for size in cards if (fit := _at(texts, paper, size)) is not None]
    # Without portraits; it is said that there were any.
    faceless = replace(texts, staff=tuple(replace(person, photo="") for person in texts.staff))
    lost = ("photo",) if texts.faces else ()
    for size in paper.sizes:
        if size <= _RUNNING and texts.staff and (fit := _at(faceless, paper, size, running=True)) is not None:
            found.append(replace(fit, shortened=lost))
    for limit in _LIMITS:
        cut, fields = shortened(faceless, limit)
        fields = tuple(sorted((*fields, *lost)))
        if cut != faceless and (fit := _at(cut, paper, paper.sizes[-1], running=True)) is not None:
            found.append(replace(fit, shortened=fields))
    if not found:
        raise InputError(
            "the board has no room on one page",
            source=texts.code,
            found=f"{len(texts.staff)} staff",
            remedy="Print it on A3, or check the postings of this grid.",
        )
    return found


def larger(fit: Fit, paper: Paper) -> list[list[Fit]]:
    """The same board in larger type, or with wider cards, which may fit though it was not reckoned to.

    Only beside a map: where all stands in one column, what is left is of more use to the map. Each list is of one size
    of type, the smallest first; in it the widest cards are first.
    """
    if not paper.beside or fit.shortened:
        return []
    at = paper.sizes.index(fit.size)
    out = []
    for step in (0, *_STEPS):
        if step <= at:
            size = paper.sizes[at - step]
            same = replace(fit, size=size, map_height=_least_map(paper, size), space=0.0)
            wide = [replace(same, columns=1)] if fit.columns == 2 and not fit.running else []
            out.append([*wide, *([same] if step else [])])
    return [tries for tries in out if tries]


def shortened(texts: BoardTexts, limit: int) -> tuple[BoardTexts, tuple[str, ...]]:
    """Texts of at most `limit` characters, the last of them an ellipsis, and the names of the fields that were cut.

    Code, phones and roles stay whole.
    """
    cut: set[str] = set()

    def short(field: str, text: str) -> str:
        if len(text) <= limit:
            return text
        cut.add(field)
        return text[: limit - 1].rstrip() + "…"

    staff = tuple(replace(p, **{f: short(f, getattr(p, f)) for f in ("name", "duties", "hours")}) for p in texts.staff)
    plain = {f: short(f, getattr(texts, f)) for f in ("title", "name", "unit", "bounds", "matters", "services")}
    foot = tuple(short("sources", line) for line in texts.foot)
    return replace(texts, staff=staff, foot=foot, **plain), tuple(sorted(cut))


def needed(
    texts: BoardTexts, paper: Paper, size: float, columns: int, running: bool = False
) -> tuple[float, float, float]:
    """Heights in mm: what stands above and below all else, what stands with the map, and the other blocks."""
    em = size * POINT
    width = paper.inner[0]
    inside = width - 2 * PAD * em
    labels = f"{texts.unit} {texts.kind} 网格编码 Grid code {texts.code}" + " " * 8
    head = (lines(f"{texts.title} 网格公示牌 Grid notice board", inside, em) + lines(labels, inside, em)) * LINE * em
    head += lines(texts.name, inside, NAME * em) * 1.25 * NAME * em + (2 * PAD + GAP) * em
    qr = QR_MM + 6.0 if texts.url else 0.0
    fine = sum(lines(line, width - qr, FINE * em) for line in texts.foot) * LINE * FINE * em
    address = (
        lines(f"{texts.url} 扫码查看本网格 Scan for the page of this grid", width - qr, FINE * em) * LINE * FINE * em
    )
    foot = max(fine + (address if texts.url else 0.0), QR_MM if texts.url else 0.0) + GAP * em
    facts = _facts(texts, paper.map_width, em)
    wide = paper.beside or width
    blocks = (_run if running else _people)(texts, wide, em, columns) + _boxes(texts, wide, em)
    return head + foot + _SPARE, facts, blocks


def lines(text: str, width: float, em: float, label: str = "") -> int:
    """So many lines a text takes at most in a column `width` mm wide, its type `em` mm high.

    `label` stands before it on its first line: Chinese, and English in small type.

    Examples
    --------
    >>> lines("网格", 40.0, 10.0), lines("网格公示牌", 40.0, 10.0), lines("", 40.0, 10.0)
    (1, 2, 0)
    """
    # A line ends short where the next sign may not begin one.
    column = max(width / em - 1.0, 1.0)
    total = 0
    used = sum(_wide(part) * (1.0 if _HAN_WORD.match(part) else SMALL) + 0.3 for part in label.split())
    for line in text.splitlines():
        total += 1
        for part in _PARTS.findall(line):
            wide = _wide(part)
            if used + wide <= column:
                used += wide
            elif not part.isspace():
                # A word that is longer than a line begins one, and is broken.
                more = math.ceil(wide / column) if wide > column else 1
                total, used = total + more, wide if more == 1 else column
        used = 0.0
    return total


def _wide(text: str) -> float:
    """The width of a text on the safe side, in its own size."""
    return sum(map(_wide_sign, text))


def _wide_sign(sign: str) -> float:
    if ord(sign) > 0xFFFF:
        return 1.3
    if sign == "–":
        return 0.57
    return 1.0 if unicodedata.east_asian_width(sign) in "WFA" or sign in "mwMW@%&" else 0.7 if sign.isupper() else 0.57


def _at(texts: BoardTexts, paper: Paper, size: float, running: bool = False) -> Fit | None:
    """The board at one size of type, with as many columns of cards as need the least height."""
    most = 3 if size <= 8 and not running else 2
    counts = range(1, min(most, max(len(texts.staff), 1)) + 1)
    columns = min(counts, key=lambda n: needed(texts, paper, size, n, running)[2])
    frame, facts, blocks = needed(texts, paper, size, columns, running)
    room = paper.inner[1] - frame
    least = _least_map(paper, size)
    left = room - facts - (0.0 if paper.beside else blocks)
    if left < least or (paper.beside and blocks > room):
        return None
    height = min(left, paper.map_most)
    # With two columns the map's column is as high as the page, or as the other one.
    used = max(height + facts, blocks) if paper.beside else height + facts + blocks
    return Fit(texts, size, columns, math.floor(height * 10) / 10, max(room - used, 0.0), running)


def grown(fit: Fit, paper: Paper, left: float, lower: float = 0.0) -> Fit:
    """The board with a larger map, once it is known what is left on the page.

    Parameters
    ----------
    fit : Fit
    paper : Paper
    left : float
        What is left below the foot, mm.
    lower : float, optional
        So much lower than the map's column the one beside it ends, mm; negative where it ends above.
    """
    free = max(left + fit.space - 0.3, 0.0)
    taller = min(free + max(lower, 0.0), paper.map_most - fit.map_height)
    return replace(
        fit,
        map_height=math.floor((fit.map_height + max(taller, 0.0)) * 10) / 10,
        space=math.floor(max(free - max(taller - max(lower, 0.0), 0.0), 0.0) * 10) / 10,
    )


def _least_map(paper: Paper, size: float) -> float:
    """A small map is worth it only where the type is small already."""
    step = paper.sizes.index(size) / (len(paper.sizes) - 1)
    high, low = (92.0, 50.0) if not paper.beside else (150.0, 80.0)
    return high - (high - low) * step


def _facts(texts: BoardTexts, width: float, em: float) -> float:
    said = lines(texts.bounds, width, HEADING * em, "四至 Bounds") * LINE * HEADING * em
    counted = LINE * em if texts.households else 0.0
    return said + counted + 2 * GAP * em


def _people(texts: BoardTexts, width: float, em: float, columns: int) -> float:
    high = _heading(em)
    if not texts.staff:
        return high + 2 * LINE * em + GAP * em
    card = (width - (columns - 1) * CARD_GAP * em) / columns - 2 * PAD * em - 0.8
    face = (FACE_WIDTH + PAD) * em if texts.faces else 0.0
    for row in batches(texts.staff, columns):
        tallest = max(_card(person, card - face, em) for person in row)
        high += max(tallest, FACE_HEIGHT * em if face else 0.0) + (2 * PAD + CARD_GAP) * em + 0.8
    return high


def _run(texts: BoardTexts, width: float, em: float, columns: int) -> float:
    """The same as running lines."""
    high = _heading(em) + GAP * em
    line = (width - (columns - 1) * CARD_GAP * em) / columns
    for row in batches(texts.staff, columns):
        high += max(_running(person, line, em) for person in row) + RUN_GAP * em + 0.3
    return high


def _running(person: BoardStaff, width: float, em: float) -> float:
    chinese, english = ROLE_NAMES.get(person.role, (person.role, ""))
    label = f"{english} {'接待时间 Reception hours' if person.hours else ''} {'职责 Duties' if person.duties else ''}"
    text = " ".join((person.name, chinese, person.phone, *person.hours.split(), *person.duties.split()))
    return lines(text, width, 1.05 * em, label) * LINE * em


def _card(person: BoardStaff, width: float, em: float) -> float:
    chinese, english = ROLE_NAMES.get(person.role, (person.role, ""))
    # The role is set in the type of the text, beside a larger name; bold type is wider.
    bold = 1.05 * PERSON * em
    high = lines(f"{person.name} {'　' * round(len(chinese) / PERSON)}", width, bold, english) * LINE * PERSON * em
    high += lines(person.phone, width, bold) * LINE * PERSON * em
    high += lines(person.hours, width, em, "接待时间 Reception hours") * LINE * em
    high += lines(person.duties, width, em, "职责 Duties") * LINE * em
    return high


def _boxes(texts: BoardTexts, width: float, em: float) -> float:
    high = 0.0
    half = (width - CARD_GAP * em) / 2 - 2 * PAD * em - 0.8
    phones = [phone for phone in (texts.community_phone, texts.supervision_phone) if phone]
    if phones:
        label = lines("监督电话 Supervision phone ", half, em) * LINE * em
        called = max(lines(phone, half, PHONE * em) for phone in phones) * 1.2 * PHONE * em
        high += label + called + (2 * PAD + GAP) * em + 0.8
    told = [text for text in (texts.matters, texts.services) if text]
    if told:
        room = half if len(told) == 2 else width - 2 * PAD * em - 0.8
        said = max(lines(text, room, em) for text in told) * LINE * em
        high += said + _heading(em) + (2 * PAD + GAP) * em + 0.8
    return high


def _heading(em: float) -> float:
    return (HEADING * LINE + 0.3) * em


def batches(staff: Sequence[BoardStaff], columns: int) -> list[Sequence[BoardStaff]]:
    """Rows of cards."""
    return [staff[at : at + columns] for at in range(0, len(staff), columns)]
