"""An organisation's own words for categories: what a column of a table may hold where they are listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from sqlalchemy import Table, select

from gridgis.errors import SchemaError
from gridgis.schema import DICTIONARIES
from gridgis.store import Store
from gridgis.store.models import TABLES

DICTIONARY: Table = TABLES["dictionary"]


def dictionaries_of(table: str) -> dict[str, str]:
    """The columns of a table that a dictionary may list the words of, with its name.

    Examples
    --------
    >>> dictionaries_of("matter")
    {'category': 'matter.category'}
    """
    return {column: name for found, column, name in governed() if found.name == table}


def words_of(store: Store, table: str) -> dict[str, dict[str, str]]:
    """What a file may say in columns of a table, with the code of each; columns without a dictionary are not there.

    A code is known by itself, by its Chinese and by its English name; a name that several codes of a dictionary share
    names none of them. Retired codes are among them: older rows have them.

    Returns
    -------
    dict of column to dict of word to code
        The codes themselves first, in the order that their `position` gives.
    """
    kept = DICTIONARY.c
    columns = dictionaries_of(table)
    if not columns:
        return {}
    query = select(kept.dictionary, kept.code, kept.name_zh, kept.name_en)
    query = query.where(kept.dictionary.in_(columns.values())).order_by(kept.position.nulls_last(), kept.row)
    rows = store.ask(lambda connection: connection.execute(query).all())
    return {
        column: _codes([(row.code, row.name_zh, row.name_en) for row in rows if row.dictionary == name])
        for column, name in columns.items()
        if any(row.dictionary == name for row in rows)
    }


def _codes(listed: list[tuple[str, str, str | None]]) -> dict[str, str]:
    named = Counter(name for _, *names in listed for name in set(names) - {None})
    by_name = {name: code for code, *names in listed for name in names if name is not None and named[name] == 1}
    own = {code: code for code, *_ in listed}
    return own | {name: code for name, code in by_name.items() if name not in own}


def as_codes(
    frame: pd.DataFrame, words: Mapping[str, Mapping[str, str]], source: str
) -> tuple[pd.DataFrame, list[tuple[np.ndarray, SchemaError]]]:
    """A frame with the codes for the words that it has, and which rows have a word that is not listed.

    Parameters
    ----------
    frame : DataFrame
        It is not changed. Missing values stay missing.
    words : mapping
        As :func:`words_of` gives them.
    source : str
        The file's name, for messages.

    Returns
    -------
    DataFrame, list of (array of bool, SchemaError)
        Unknown words stay as they are. For each column that has some: its rows, and what is to be said of them.
    """
    coded, unknown = frame, []
    for column, known in words.items():
        if column not in frame.columns:
            continue
        said = frame[column]
        wrong = (said.notna() & ~said.isin(list(known))).to_numpy()
        coded = coded.assign(**{column: said.map(lambda word, known=known: known.get(word, word), na_action="ignore")})
        if wrong.any():
            unknown.append((wrong, _unknown(column, said[wrong], known, source)))
    return coded, unknown


def _unknown(column: str, said: pd.Series, known: Mapping[str, str], source: str) -> SchemaError:
    return SchemaError(
        f"the column {column!r} has words that the dictionary does not list",
        source=source,
        found=", ".join(repr(word) for word in said.unique()[:3]),
        wanted=f"one of {', '.join(dict.fromkeys(known.values()))}",
        remedy="Load the dictionary with the new words first.",
        column=column,
    )


def governed() -> Iterator[tuple[Table, str, str]]:
    """Each table and column whose words a dictionary may list, with the name of the dictionary."""
    for name in DICTIONARIES:
        table, column = name.split(".")
        yield TABLES[table], column, name
