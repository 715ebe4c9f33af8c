"""Every sentence that an error or a warning can have is there in Chinese, and is found again when it is filled in."""

from __future__ import annotations

import re
from string import Formatter

import messages
from babel.messages.pofile import read_po
from conftest import ROOT

from gridgis.chinese import Catalogue, catalogue, in_chinese, known_messages
from gridgis.errors import EditError, InputError, SchemaError

SENTENCES = messages.messages("gridgis")
HAN = re.compile(r"[\u4e00-\u9fff]")


def filled(sentence: str) -> str:
    """The sentence with something in its places that no catalogue knows."""
    places = sum(name is not None for _, name, _, _ in Formatter().parse(sentence))
    return sentence.format(*(f"x{i}y" for i in range(places)))


def test_the_source_is_read() -> None:
    assert len(SENTENCES) > 700
    assert {"no such file", "the grid {} would be in {} pieces", "code.template must use {{unit}} and {{n}}"} <= set(
        SENTENCES
    )


def test_every_sentence_is_in_the_catalogue_and_nothing_else() -> None:
    lacking = {text: where for text, where in SENTENCES.items() if text not in known_messages()}
    assert lacking == {}, "python tests/messages.py prints the entries to be filled in"
    with (ROOT / "gridgis/translations/zh.po").open("rb") as file:
        noted = {str(m.id) for m in read_po(file) if m.auto_comments}
    assert set(known_messages()) - noted - set(SENTENCES) == set()


def test_a_sentence_is_found_again_with_all_that_is_filled_in() -> None:
    for sentence, chinese in known_messages().items():
        said = filled(sentence)
        told = catalogue().translate(said)
        assert told == chinese.format(*re.findall(r"x\d+y", said)), sentence
        assert set(re.findall(r"x\d+y", told)) == set(re.findall(r"x\d+y", said)), sentence


def test_what_is_filled_in_stays_as_it_is() -> None:
    told = in_chinese(SchemaError("the column 'level' has values that are no numbers", source="a.csv", ids=["甲", "乙"],
                                  found="no known format", wanted="10 words", remedy="Try again."))  # fmt: skip
    assert told == "a.csv：level 列有的值不是数（2 行：甲, 乙）；发现：不认识的格式；应为：10 words。请再试一次。"
    assert in_chinese(InputError("a sentence that nobody wrote")) is None
    assert in_chinese("3 of 7 parts cannot be used; the others are done") == "7 个分块中有 3 个不能用；其余已完成"


def test_the_place_of_a_refused_edit_is_told() -> None:
    error = EditError("the grid 03 is locked", reason="locked", place=(116.3, 40.0), remedy="Unlock it first.")
    assert in_chinese(error) == "plan：网格 03 已锁定；发现：在 116.300000, 40.000000。请先解锁。"


def test_ten_rows_are_shown_as_in_english() -> None:
    error = InputError("blocks overlap", ids=range(12))
    assert in_chinese(error) == "街坊重叠（12 行：0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …）。"
    assert in_chinese(InputError("blocks overlap", ids=["A"])) == "街坊重叠（行 A）。"


def test_the_longer_sentence_wins() -> None:
    few = Catalogue({"{} is wrong": "{}不对", "the code {} is wrong": "编码{}不对"})
    assert few.translate("the code is wrong") == "the code不对" and few.translate("the code 7 is wrong") == "编码7不对"


def test_the_catalogue_is_chinese() -> None:
    assert [k for k, v in known_messages().items() if re.search("[a-z]{3}", k) and not HAN.search(v) and v != k] == []
    assert sum(k == v for k, v in known_messages().items()) < 20, "what is the same in both languages"
