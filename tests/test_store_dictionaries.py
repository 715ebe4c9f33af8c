"""An organisation's own words: loaded as a table, kept as codes in others, checked; on both databases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from stored import everything

from gridgis.cli import run
from gridgis.errors import SchemaError
from gridgis.loading import load_files
from gridgis.schema import DICTIONARIES, TABLES
from gridgis.store import Store, add_organisation, open_store
from gridgis.store.checking import check
from gridgis.store.dictionaries import as_codes, dictionaries_of, words_of
from gridgis.store.models import TABLES as KEPT
from gridgis.store.models import Base

WORDS = (
    "字典,编码,名称,英文名称,顺序,停用日期\n"
    "matter.category,fire,消防,fire safety,1,\n"
    "matter.category,refuse,垃圾,refuse,2,\n"
    "matter.category,other,其他,other,,\n"
    "site.class,fire,消防重点,,1,\n"
    "site.class,gas,燃气,gas,2,2026-01-01\n"
)


def text(folder: Path, content: str, name: str) -> str:
    path = folder / name
    path.write_text(content, "utf-8")
    return str(path)


@pytest.fixture
def words(store: Store, tmp_path: Path) -> str:
    path = text(tmp_path, WORDS, "words.csv")
    assert load_files(store, "dictionary", [path], by="clerk").counts == (5, 0, 0)
    return path


def log(store: Store) -> list[Any]:
    audit = Base.metadata.tables["audit"]
    with store.reading() as connection:
        return list(connection.execute(select(audit).order_by(audit.c.id)))


# --- the table --------------------------------------------------------------------------------------------------------


def test_a_dictionary_is_a_table_like_the_others(store: Store, words: str, tmp_path: Path) -> None:
    found = store.load("dictionary")
    assert found[["dictionary", "code", "name_zh"]].iloc[3].tolist() == ["site.class", "fire", "消防重点"]
    assert str(found["retired_on"].iloc[4].date()) == "2026-01-01"
    assert load_files(store, "dictionary", [words], by="clerk").counts == (0, 0, 5)
    more = text(tmp_path, "dictionary,code,name_zh\nsite.class,fire,火灾\nboard.kind,fire,消防牌\n", "more.csv")
    assert load_files(store, "dictionary", [more], by="boss").counts == (1, 1, 0)
    named = store.load("dictionary").set_index(["dictionary", "code"])["name_zh"]
    assert named["site.class", "fire"] == "火灾"
    assert named["matter.category", "fire"] == "消防"
    changed = [row for row in log(store) if row.key is not None]
    assert [(row.table, row.key, row.before, row.after) for row in changed] == [
        ("dictionary", "site.class/fire", {"name_zh": "消防重点"}, {"name_zh": "火灾"})
    ]
    assert check(store.name)[1] == []


def test_a_code_stands_once_in_a_dictionary(store: Store, tmp_path: Path) -> None:
    lines = "dictionary,code,name_zh\nsite.class,a,甲\nsite.class,a,乙\nboard.kind,a,丙\nperson.kind,a,丁\n,b,戊\n"
    done = load_files(store, "dictionary", [text(tmp_path, lines, "words.csv")], by="clerk")
    assert done.counts == (1, 0, 0)
    reasons = dict(zip(done.rejects["row"], done.rejects["reason"].str.split(" / ").str[1], strict=True))
    assert reasons[1] == reasons[2] == (
        "the code is not unique; found 'a'; wanted each code once in a dictionary."
    )  # fmt: skip
    assert reasons[4].startswith("the column 'dictionary' has values that cannot be used; found 'person.kind'; wanted")
    assert reasons[5].startswith("the column 'dictionary' has values that cannot be used; found nothing")
    one, other = (
        text(tmp_path, f"dictionary,code,name_zh\nsite.class,{a},甲\nboard.kind,{b},乙\n", f"{a}{b}.csv")
        for a, b in ("xy", "xz")
    )
    both = load_files(store, "dictionary", [one, other], by="clerk")
    assert both.counts == (2, 0, 0)
    assert both.rejects["code"].tolist() == ["x", "x"]


def test_every_dictionary_is_of_a_column_of_words_and_none_of_residents() -> None:
    for name in DICTIONARIES:
        table, column = name.split(".")
        found = TABLES[table].column(column)
        assert found is not None
        assert (found.kind, found.choices) == ("text", ())
        assert column in KEPT[table].columns
        assert table not in ("person", "household", "house")


# --- the tables whose words it lists ----------------------------------------------------------------------------------


def test_words_are_kept_as_codes_and_others_are_set_aside(store: Store, words: str, tmp_path: Path) -> None:
    lines = "编号,类别,备注\n1,fire,a\n2,消防,b\n3,refuse,c\n4,消防重点,d\n5,,e\n6,Refuse,f\n"
    path = text(tmp_path, lines, "matters.csv")
    done = load_files(store, "matters", [path], by="clerk")
    assert done.counts == (4, 0, 0)
    kept = store.load("matter").set_index("code")["category"]
    assert kept.to_dict() == {"1": "fire", "2": "fire", "3": "refuse", "5": None}
    assert done.rejects[["file", "row", "备注"]].to_numpy().tolist() == [[path, 4, "d"], [path, 6, "f"]]
    assert done.rejects["reason"].str.split(" / ").tolist() == [
        [
            f"列 'category' 有字典里没有的词；发现：'{word}'；应为：其中之一：fire, refuse, other。",
            f"the column 'category' has words that the dictionary does not list; found '{word}'; "
            "wanted one of fire, refuse, other.",
        ]
        for word in ("消防重点", "Refuse")
    ]
    assert load_files(store, "matters", [path], by="clerk").counts == (0, 0, 4)
    with pytest.raises(
        SchemaError, match=r"bad\.csv: the column 'category' has words that the dictionary does not list"
    ):
        load_files(store, "matters", [text(tmp_path, "code,category\n7,x\n8,y\n", "bad.csv")], by="clerk")
    assert store.tables()["matter"] == 4


def test_a_row_of_several_files_and_a_word_of_none(store: Store, words: str, tmp_path: Path) -> None:
    """Rows that are set aside for one reason do not shift those that are set aside for another."""
    one = text(tmp_path, "code,category\n1,fire\n2,flood\n3,refuse\n", "one.csv")
    other = text(tmp_path, "code,category\n1,fire\n4,消防\n5,flood\n", "other.csv")
    done = load_files(store, "matters", [one, other], by="clerk")
    assert done.counts == (2, 0, 0)
    assert store.load("matter")["code"].tolist() == ["3", "4"]
    reasons = done.rejects["reason"].str.split(" / ").str[1].str.split(";").str[0]
    assert list(zip(done.rejects["file"], done.rejects["row"], reasons, strict=True)) == [
        (one, 1, "the code stands in another file too."),
        (one, 2, "the column 'category' has words that the dictionary does not list"),
        (other, 1, "the code stands in another file too."),
        (other, 3, "the column 'category' has words that the dictionary does not list"),
    ]


def test_a_row_that_is_set_aside_is_listed_as_the_file_has_it(store: Store, tmp_path: Path) -> None:
    listed = "dictionary,code,name_zh\nboard.kind,grid,网格牌\nboard.place,crossing,主要路口\n"
    load_files(store, "dictionary", [text(tmp_path, listed, "words.csv")], by="clerk")
    path = text(tmp_path, "code,kind,place\nB1,网格牌,主要路口\nB2,门牌,主要路口\n", "boards.csv")
    done = load_files(store, "boards", [path], by="clerk")
    assert store.load("board")[["code", "kind", "place"]].to_numpy().tolist() == [["B1", "grid", "crossing"]]
    assert done.rejects[["code", "kind", "place"]].to_numpy().tolist() == [["B2", "门牌", "主要路口"]]


def test_a_column_without_a_dictionary_takes_any_word(store: Store, words: str, tmp_path: Path) -> None:
    path = text(tmp_path, "code,kind,place\nB1,whatever,crossing\n", "boards.csv")
    assert load_files(store, "boards", [path], by="clerk").counts == (1, 0, 0)
    assert words_of(store, "board") == {}
    assert dictionaries_of("board") == {"kind": "board.kind", "place": "board.place"}


def test_a_retired_word_is_still_known(store: Store, words: str, tmp_path: Path) -> None:
    path = text(tmp_path, "code,class\nS1,gas\nS2,燃气\n", "sites.csv")
    assert load_files(store, "sites", [path], by="clerk").counts == (2, 0, 0)
    assert everything(store, "site")["class"].tolist() == ["gas", "gas"]


def test_check_lists_words_that_are_in_no_dictionary(store: Store, words: str, capsys: Any) -> None:
    store.save({"matter": pd.DataFrame({"code": ["1", "2", "3"], "category": ["fire", "flood", None]})})
    faults = check(store.name)[1]
    assert faults == [("matter", "category has words that the dictionary matter.category does not list (flood)")]
    assert run(["store", "check", store.name, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)["faults"]
    assert told[0]["message_zh"] == "category 有字典 matter.category 没有的词（flood）"


def test_each_organisation_has_its_own_words(store: Store, words: str, tmp_path: Path) -> None:
    add_organisation(store.name, "other")
    with open_store(store.name, organisation="other") as other:
        assert words_of(other, "matter") == {}
        path = text(tmp_path, "code,category\n1,flood\n", "matters.csv")
        assert load_files(other, "matters", [path], by="clerk").counts == (1, 0, 0)
        load_files(other, "dictionary", [words], by="clerk")
        assert set(words_of(other, "matter")["category"].values()) == {"fire", "refuse", "other"}
    assert [fault.table for fault in check(store.name)[1]] == ["matter"]


# --- the rule by itself -----------------------------------------------------------------------------------------------


def test_a_name_of_several_codes_names_none(store: Store, tmp_path: Path) -> None:
    lines = "dictionary,code,name_zh,name_en\nsite.class,a,甲,one\nsite.class,b,甲,two\nsite.class,one,丙,two\n"
    load_files(store, "dictionary", [text(tmp_path, lines, "words.csv")], by="clerk")
    assert words_of(store, "site") == {"class": {"a": "a", "b": "b", "one": "one", "丙": "one"}}


@given(st.lists(st.sampled_from(["fire", "消防", "flood", None])), st.dictionaries(st.text(), st.text(), max_size=3))
def test_law_known_words_become_codes_and_unknown_ones_are_told(said: list[str | None], more: dict[str, str]) -> None:
    known = {**more, "fire": "fire", "消防": "fire"}
    frame = pd.DataFrame({"category": pd.Series(said, dtype=object), "code": range(len(said))})
    before = frame.copy()
    out, unknown = as_codes(frame, {"category": known, "absent": known}, "f.csv")
    pd.testing.assert_frame_equal(frame, before)
    wrong = unknown[0][0].tolist() if unknown else [False] * len(said)
    for word, kept, bad in zip(said, out["category"], wrong, strict=True):
        assert bad == (word is not None and word not in known)
        assert (kept is None or pd.isna(kept)) if word is None else kept == known.get(word, word)
