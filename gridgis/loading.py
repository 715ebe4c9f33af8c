"""Files into a table of a store: read, set aside what cannot be used, compare, one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from gridgis.errors import NotFoundError, SchemaError
from gridgis.files.apart import Apart, none_rejected, read_apart, rejected
from gridgis.files.track_streams import stream_tracks
from gridgis.files.vectors import parse_spec
from gridgis.profile import Parameters
from gridgis.schema import TABLES, Table, check_key, key_of
from gridgis.store import Store
from gridgis.store.dictionaries import as_codes, words_of
from gridgis.store.digests import file_checksum
from gridgis.store.merging import Merged, Part, Progress, merge
from gridgis.store.models import TABLES as STORED
from gridgis.store.personal import Personal
from gridgis.store.walks import Kept

#: The tables that files can be loaded into.
LOADED = tuple(name for name in TABLES if name in STORED)


class Loaded(NamedTuple):
    """What a load did: the table, its counts, the first rows of the files, and the rows set aside with their reasons.

    `rejects` has the columns file, row (from 1, without the header), reason, and those of the files.
    """

    table: str
    counts: Merged
    first: pd.DataFrame
    rejects: pd.DataFrame


def load_files(
    store: Store,
    table: str,
    files: Sequence[str],
    *,
    by: str,
    rename: Mapping[str, str] | None = None,
    crs: str | None = None,
    datum: str | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Loaded:
    """Bring files into a table of a store.

    A row whose key is there already changes the columns that the file names; rows of a table without a key are added
    where no row is equal. Nothing is removed, and loading the same files again changes nothing. Where the store has a
    dictionary for a column, its words are kept as their codes, and rows with a word that is not listed are set aside.

    Parameters
    ----------
    store : Store
    table : str
        Its name, or its plural.
    files : sequence of str
        ``FILE``, ``FILE:LAYER`` or ``…#CODE``, of any format that :func:`gridgis.read` reads.
    by : str
        Who loads, for the audit log.
    rename, crs, datum : optional
        As in :func:`gridgis.read`.
    dry_run : bool
        Only find out what would happen.
    progress : callable, optional
        Told how many rows are done, of how many.

    Raises
    ------
    NotFoundError
        There is no such table.
    InputError, CRSError, SchemaError, GeometryError
        A file as a whole cannot be used; nothing is written.
    StoreError
        The store refuses; nothing is written.
    """
    name = table_of(table)
    read = [read_apart(spec, name, crs=crs, datum=datum, rename=rename) for spec in files]
    read = _keys_once(read, files, TABLES[name])
    words = words_of(store, name)
    read = [_in_own_words(found, spec, words) for found, spec in zip(read, files, strict=True)]
    parts = [Part(found.frame, found.named) for found in read]
    sums = {spec: file_checksum(parse_spec(spec).path) for spec in files}
    rejected = [found.rejects for found in read if len(found.rejects)]
    rejects = pd.concat(rejected, ignore_index=True) if rejected else none_rejected()
    told = {"files": sums, "rejected": len(rejects)}
    counts = merge(store, name, parts, by=by, told=told, dry_run=dry_run, progress=progress)
    return Loaded(name, counts, read[0].frame.head(5), rejects)


def load_tracks(
    store: Store,
    files: Sequence[str],
    *,
    by: str,
    parameters: Parameters,
    rename: Mapping[str, str] | None,
    datum: str | None,
) -> Kept:
    """Bring tracks (GPX, CSV, GeoJSON, Parquet, folders of them) into a store, portion by portion.

    What is returned, and how they are painted, is said in :meth:`gridgis.store.personal.Personal.keep_tracks`.
    """
    return Personal(store, by).keep_tracks(stream_tracks(list(files), rename=rename, datum=datum), parameters)


def table_of(name: str) -> str:
    """A table that files can be loaded into, by its name or its plural.

    Raises
    ------
    NotFoundError
        There is none of that name.

    Examples
    --------
    >>> table_of("houses"), table_of("leave")
    ('house', 'leave')
    """
    found = [table for table in LOADED if name in (table, f"{table}s")]
    if not found:
        raise NotFoundError("there is no such table to load", found=repr(name), wanted=", ".join(LOADED))
    return found[0]


def _keys_once(read: Sequence[Apart], files: Sequence[str], spec: Table) -> list[Apart]:
    """Rows whose key stands in several of the files are set aside: nobody knows which of them is right."""
    key = spec.key
    if key is None or len(read) < 2:
        return list(read)
    every = pd.concat([pd.DataFrame(found.frame[list(key_of(spec.name))]) for found in read], keys=range(len(read)))
    doubled = every.duplicated(keep=False)
    if not doubled.any():
        return list(read)
    if doubled.all():
        check_key(every, key, ", ".join(files), spec.within)
    error = SchemaError(f"the {key} stands in another file too")
    return [
        _set_aside(found, file, [(doubled.loc[number].to_numpy(), error)])
        for number, (found, file) in enumerate(zip(read, files, strict=True))
    ]


def _in_own_words(found: Apart, spec: str, words: Mapping[str, Mapping[str, str]]) -> Apart:
    """The words of a file as the codes of the organisation's dictionaries; rows with others are set aside."""
    frame, unknown = as_codes(found.frame, words, spec)
    if unknown and np.logical_or.reduce([rows for rows, _ in unknown]).all():
        raise unknown[0][1]
    kept = _set_aside(found, spec, unknown)  # a row that is listed is as the file has it
    return kept._replace(frame=frame.loc[kept.frame.index])


def _set_aside(found: Apart, spec: str, wrong: Sequence[tuple[np.ndarray, SchemaError]]) -> Apart:
    """A file without the rows that are wrong, each of which is listed once, with the first that is wrong with it."""
    bad = np.zeros(len(found.frame), dtype=bool)
    listed = [found.rejects]
    for rows, error in wrong:
        fresh = rows & ~bad
        listed.append(rejected(found.frame[fresh], found.numbers[fresh], spec, error))
        bad |= rows
    if not bad.any():
        return found
    rejects = pd.concat([part for part in listed if len(part)], ignore_index=True)
    return Apart(found.frame[~bad], found.named, found.numbers[~bad], rejects)
