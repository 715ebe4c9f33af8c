"""Write beside, then rename: what was there stays whole until the new file is complete."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from uuid import uuid4

from gridgis.errors import InputError

#: What SQLite keeps beside a GeoPackage while it is written.
_SIDECARS = ("-journal", "-wal", "-shm")

#: A temporary name: the machine and the process that writes, and what makes it one of its own.
_TEMPORARY = re.compile(r"\.gridgis-([0-9a-f]{8})-([0-9]+)-[0-9a-f]{32}")

#: Seconds after which nobody can still be writing: for what was left on another machine.
_FORGOTTEN = 2 * 86_400


@contextmanager
def replacing(*paths: Path) -> Iterator[Sequence[Path]]:
    """Temporary names beside `paths`, renamed over them when the block ends without an exception.

    The temporary files keep their endings, because writers choose the format by it. Whatever ends the block early (an
    error, a full disk, an interrupt), nothing is renamed and nothing temporary is left. What a process left that was
    killed is removed by the next one that writes into the folder. The files get their names in the order of `paths`.

    Raises
    ------
    InputError
        If a folder is missing, a path is a folder, or the system cannot write.
    """
    goals = [_goal(path) for path in paths]
    mine = f".gridgis-{_machine()}-{os.getpid()}"
    beside = [goal.with_name(f"{mine}-{uuid4().hex}{goal.suffix}") for goal in goals]
    for folder in {goal.parent for goal in goals}:
        _clear(folder)
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


def _machine() -> str:
    return blake2b(socket.gethostname().encode(), digest_size=4).hexdigest()


def _clear(folder: Path) -> None:
    """Remove what writers left that were killed: those of this machine that are gone, any that is days old."""
    for path in folder.glob(".gridgis-*"):
        found = _TEMPORARY.match(path.name)
        if found is None:
            continue
        try:
            gone = found[1] == _machine() and not _runs(int(found[2]))
            if gone or time.time() - path.stat().st_mtime > _FORGOTTEN:
                path.unlink(missing_ok=True)
        except (FileNotFoundError, PermissionError):
            continue  # somebody else's, or removed by somebody else; it is in nobody's way


def _runs(process: int) -> bool:
    """Whether a process of this number runs; taken for granted where a system cannot be asked without harm."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


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
