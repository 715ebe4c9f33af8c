"""Painted days as bytes: one form, for files and for the store."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gridgis.errors import InputError
from gridgis.patrol.painted import PAINTED_COLUMNS

_KEY = b"gridgis_painted"
_SCHEMA = pa.schema(
    [
        ("staff", pa.string()),
        ("date", pa.timestamp("us")),
        ("grid", pa.string()),
        ("cells", pa.list_(pa.int32())),
        ("cm", pa.list_(pa.uint16())),
    ]
)


def packed(painted: pd.DataFrame, key: Mapping[str, Any]) -> bytes:
    """Painted days as Parquet, with what they were made with.

    Parameters
    ----------
    painted : DataFrame
        As of :func:`gridgis.patrol.painted.paint_days`, in the order that is to be kept.
    key : mapping
        Its ``attrs["key"]``.

    Returns
    -------
    bytes
        The same for the same content, by the same version of Arrow.
    """
    table = pa.Table.from_pandas(painted[PAINTED_COLUMNS], schema=_SCHEMA, preserve_index=False)
    table = table.replace_schema_metadata({_KEY: json.dumps(dict(key), sort_keys=True).encode()})
    made = io.BytesIO()
    pq.write_table(
        table,
        made,
        compression="zstd",
        use_dictionary=["staff", "grid"],
        column_encoding={"cells.list.element": "DELTA_BINARY_PACKED"},
    )
    return made.getvalue()


def unpacked(content: bytes, source: object = None) -> pd.DataFrame:
    """What :func:`packed` made, with ``attrs["key"]``.

    Raises
    ------
    InputError
        It is no painted day, or not whole.
    """
    try:
        table = pq.read_table(io.BytesIO(content))
    except pa.ArrowInvalid as error:
        raise InputError(
            "the painted day cannot be read", source=source, remedy="Delete it and paint the tracks again."
        ) from error
    out = table.select(["staff", "date", "grid"]).to_pandas()
    for name in ("cells", "cm"):
        lists = table.column(name).combine_chunks()
        values, ends = lists.flatten().to_numpy(), np.cumsum(lists.value_lengths().to_numpy())
        out[name] = pd.Series(np.split(values, ends[:-1]) if len(ends) else [], index=out.index, dtype=object)
    out.attrs["key"] = json.loads((table.schema.metadata or {}).get(_KEY, b"{}"))
    return out
