"""What the library says, in Chinese.

Errors and warnings are written in English where they arise. Here they are found again, as sentences with places for
what is filled in, in the catalogue ``translations/zh.po``. ``tests/messages.py`` reads the sentences from the source,
and a test holds the catalogue to them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from string import Formatter

from babel.messages.pofile import read_po

from gridgis.errors import SHOWN_IDS, GridgisError


class Catalogue:
    """Sentences and their translation.

    Parameters
    ----------
    pairs : mapping of str to str
        Each sentence with its translation, both as :meth:`str.format` takes them: ``{}`` is what is filled in, and the
        translation may name it by its number.
    """

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self._plain: dict[str, str] = {}
        patterns = []
        for source, translation in pairs.items():
            parts = [(text, name is not None) for text, name, _, _ in Formatter().parse(source)]
            if not any(filled for _, filled in parts):
                self._plain["".join(text for text, _ in parts)] = translation.format()
            else:
                wanted = "".join(re.escape(text) + ("(.+?)" if filled else "") for text, filled in parts)
                patterns.append((-sum(len(text) for text, _ in parts), wanted, translation))
        # The sentence that says most itself is tried first.
        self._patterns = [(re.compile(wanted, re.DOTALL), into) for _, wanted, into in sorted(patterns)]

    def translate(self, text: str) -> str | None:
        """The translation, or None if no sentence fits; what is filled in is translated where it is a sentence too.

        Examples
        --------
        >>> few = Catalogue({"{} of {} are outside": "{1}个中有{0}个在外面", "all": "全部"})
        >>> few.translate("3 of all are outside"), few.translate("3 are inside")
        ('全部个中有3个在外面', None)
        """
        if text in self._plain:
            return self._plain[text]
        for pattern, into in self._patterns:
            if found := pattern.fullmatch(text):
                return into.format(*(self._plain.get(part, part) for part in found.groups()))
        return None


@cache
def catalogue() -> Catalogue:
    """The Chinese catalogue."""
    return Catalogue(known_messages())


@cache
def known_messages() -> Mapping[str, str]:
    """What the catalogue holds: each English sentence with its Chinese; read once, not to be changed."""
    with resources.files("gridgis").joinpath("translations/zh.po").open("rb") as file:
        return {str(message.id): str(message.string) for message in read_po(file, locale="zh") if message.id}


def in_both(told: GridgisError | Warning | str) -> str:
    """An error or a warning in Chinese and English for a cell of a table; in English if that is all there is.

    Examples
    --------
    >>> in_both("no such file")
    '没有这个文件 / no such file'
    """
    chinese = in_chinese(told)
    return f"{chinese} / {told}" if chinese else str(told)


def in_chinese(told: GridgisError | Warning | str) -> str | None:
    """An error or a warning in Chinese; None if its sentence is not in the catalogue.

    What an error found, wants and advises is translated sentence by sentence; a part that has no translation is left
    as it stands. Names, codes and what other programs said are never changed.

    Examples
    --------
    >>> from gridgis.errors import InputError
    >>> in_chinese(InputError("no such file", source="a.gpkg"))
    'a.gpkg：没有这个文件。'
    >>> in_chinese(InputError("the codes of grids are not unique", ids=["A", "B"], found="2 of them"))
    '网格编码有重复（2 行：A, B）；发现：其中 2 个。'
    """
    known = catalogue()
    if not isinstance(told, GridgisError):
        return known.translate(str(told))
    message = known.translate(told.message)
    if message is None:
        return None
    text = f"{told.source}：{message}" if told.source else message
    if told.ids:
        listed = ", ".join(str(i) for i in told.ids[:SHOWN_IDS]) + (", …" if len(told.ids) > SHOWN_IDS else "")
        text += f"（{len(told.ids)} 行：{listed}）" if len(told.ids) > 1 else f"（行 {listed}）"
    for name, part in (("发现", told.what_was_found()), ("应为", told.wanted)):
        if part:
            text += f"；{name}：{known.translate(part) or part}"
    remedy = told.remedy and (known.translate(told.remedy) or told.remedy)
    return f"{text.rstrip('。.')}。{remedy}"
