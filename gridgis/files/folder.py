"""A folder of results that changes all at once: made beside the old files, then put in their place."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replace_together(folder: Path, names: Collection[str]) -> Iterator[Path]:
    """A fresh folder to write in; when the block ends well its files replace those of `folder`: all, or none.

    Parameters
    ----------
    folder : Path
        Made if it does not exist. Files in it that are not among `names` are left alone.
    names : collection of str
        The files that may be made. One that was not made this time is of older work, and is removed.

    Yields
    ------
    Path
        An empty folder beside the old files, on the same file system. If the block fails or is interrupted, or a file
        cannot be put in its place, the old files stay (or are put back).
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fresh-", dir=folder) as name:
        fresh, old = Path(name) / "fresh", Path(name) / "old"
        fresh.mkdir()
        old.mkdir()
        yield fresh
        moved: list[str] = []
        try:
            for result in sorted(names):
                moved.append(result)
                if (folder / result).exists():
                    (folder / result).replace(old / result)
                if (fresh / result).exists():
                    (fresh / result).replace(folder / result)
        except BaseException:
            for result in moved:
                (folder / result).unlink(missing_ok=True)
                if (old / result).exists():
                    (old / result).replace(folder / result)
            raise
