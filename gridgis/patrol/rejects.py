"""What was set aside and why: files, fixes, and patrols that belong to no grid."""

from __future__ import annotations

import pandas as pd

REJECT_COLUMNS = ["table", "id", "reason"]


def rejected(clean: pd.DataFrame, walks: pd.DataFrame | None = None, files: pd.DataFrame | None = None) -> pd.DataFrame:
    """Everything that was given and not used, a row each.

    Parameters
    ----------
    clean : DataFrame
        What :func:`gridgis.patrol.tracks.clean_tracks` returned.
    walks : DataFrame, optional
        What :func:`gridgis.patrol.tracks.patrols` returned for postings; one without a grid is listed.
    files : DataFrame, optional
        source and reason of the files that could not be read, the `rejects` of :func:`gridgis.files.stream_tracks`.

    Returns
    -------
    DataFrame
        table ("files", "tracks" or "patrols"), id (name of the file; staff and time of the fix; the patrol), reason.
    """
    parts = []
    if files is not None and len(files):
        parts.append(pd.DataFrame({"table": "files", "id": files["source"], "reason": files["reason"]}))
    aside = clean[~clean["kept"]]
    if len(aside):
        time = aside["time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ").fillna("?")
        parts.append(
            pd.DataFrame(
                {"table": "tracks", "id": aside["staff"].astype(str) + " " + time, "reason": aside["why"].astype(str)}
            )
        )
    if walks is not None:
        lost = walks.loc[walks["grid"].isna(), "patrol"]
        if len(lost):
            parts.append(
                pd.DataFrame({"table": "patrols", "id": lost, "reason": "no posting to a known grid that day"})
            )
    if not parts:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in REJECT_COLUMNS})
    return pd.concat(parts, ignore_index=True)
