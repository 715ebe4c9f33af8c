"""Tables of a store as they lie there, without a note in its log."""

from __future__ import annotations

import pandas as pd

from gridgis.store import Store, read_table


def everything(store: Store, table: str) -> pd.DataFrame:
    """A table, those of residents too."""
    return store.ask(lambda connection: read_table(connection, table, store.name))
