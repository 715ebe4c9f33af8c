"""Write beside, then rename: what was there stays whole until the new file is complete."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from gridgis.errors import InputError

#: What SQLite keeps beside a GeoPackage while it is written.
_SIDECARS = ("-journal", "-wal", "-shm")


@contextmanager
def replacing(*paths: Path) -> Iterator[Sequence[Path]]:
    """Temporary names beside `paths`, renamed over them when the block ends without an exception.

    The temporary files keep their endings, because writers choose the format by it. Whatever ends the block early (an
    error, a full disk, an interrupt), nothing is renamed and nothing temporary is left.

    Raises
    ------
    InputError
        If a folder is missing, a path is a folder, or the system cannot write.
    """
    goals = [_goal(path) for path in paths]
    beside = [goal.with_name(f".gridgis-{uuid4().hex}{goal.suffix}") for goal in goals]
    try:
        for made in beside:  # the system says plainly why it will not; a database library would not
            made.touch(exist_ok=False)
            made.unlink()
        yield beside
        for made in beside:
            _to_disk(made)
        for made, goal in zip(beside, goals, strict=True):
            made.replace(goal)
    except OSError as error:
        raise InputError(
            "the file cannot be written",
            source=", ".join(str(p) for p in paths),
            found=error.strerror or str(error),
            remedy="What was there is unchanged.",
        ) from error
    finally:
        for made in beside:
            for ending in ("", *_SIDECARS):
                made.with_name(made.name + ending).unlink(missing_ok=True)


def write_text(text: str, path: Path | str) -> Path:
    """Write `text` as UTF-8 to `path`, whole or not at all.

    Raises
    ------
    InputError
        If the folder is missing or the system cannot write.
    """
    with replacing(Path(path)) as (made,):
        made.write_bytes(text.encode("utf-8"))
    return Path(path)


def _goal(path: Path) -> Path:
    """The file to replace: behind a link, the file it leads to."""
    goal = path.resolve()
    if goal.is_dir():
        raise InputError("this is a folder", source=path, wanted="the name of a file")
    if not goal.parent.is_dir():
        raise InputError("the folder does not exist", source=path.parent, remedy="Make it first.")
    return goal


def _to_disk(path: Path) -> None:
    """Hand the file to the disk before its name is given away, so that a power cut leaves one of the two whole."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
