"""Portraits of staff: read beside the table that names them, and only of those who agreed."""

from __future__ import annotations

import base64
import warnings
from pathlib import Path

import pandas as pd

from gridgis.errors import GridgisWarning, name_ids

#: A portrait larger than this is not taken: it would weigh on every visit of the page.
MOST_BYTES = 100_000
_KINDS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".svg": "svg+xml"}
_YES = {"yes", "true", "1", "y", "是", "同意"}


def embed_photos(staff: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Staff with their photos as ``data:`` addresses, so that a store holds all that its map shows.

    Parameters
    ----------
    staff : DataFrame
        id; ``photo`` is a file (.png, .jpg, .webp, .svg; relative to `folder`), ``photo_consent`` says yes or 是.
    folder : Path
        Where the table of staff lies.

    Returns
    -------
    DataFrame
        The same rows. A photo without consent, without file, larger than 100 kB or of another kind is None.

    Warns
    -----
    GridgisWarning
        With the ids of those whose photo was left out, and why.
    """
    if "photo" not in staff.columns or staff["photo"].isna().all():
        return staff
    agreed = staff["photo_consent"] if "photo_consent" in staff.columns else pd.Series(None, index=staff.index)
    taken: list[str | None] = []
    left: dict[str, list[object]] = {}
    for who, photo, consent in zip(staff["id"], staff["photo"], agreed, strict=True):
        address, why = None, ""
        if not pd.isna(photo):
            address, why = _embedded(folder / str(photo), str(consent).strip().lower() in _YES)
        taken.append(address)
        if why:
            left.setdefault(why, []).append(who)
    for why, ids in left.items():
        warnings.warn(f"photos of staff were left out, {why} ({name_ids(ids)})", GridgisWarning, stacklevel=2)
    return staff.assign(photo=pd.Series(taken, index=staff.index, dtype=object))


def _embedded(path: Path, agreed: bool) -> tuple[str | None, str]:
    """The photo as a ``data:`` address, or why there is none."""
    if not agreed:
        return None, "without consent"
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        return None, "of an unknown kind"
    if not path.is_file():
        return None, "without a file"
    content = path.read_bytes()
    if len(content) > MOST_BYTES:
        return None, f"larger than {MOST_BYTES // 1000} kB"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}", ""
