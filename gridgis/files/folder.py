"""A folder of results that changes all at once: made beside the old files, then put in their place."""

from __future__ import annotations

import ctypes
import glob
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from gridgis.errors import InputError, name_ids

#: Seconds after which nobody can still be filling a fresh folder.
_FORGOTTEN_S = 2 * 86_400


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


@contextmanager
def replace_folder(folder: Path, marker: str) -> Iterator[Path]:
    """A fresh folder to fill; when the block ends well it takes the place of `folder` as a whole.

    Parameters
    ----------
    folder : Path
        A folder that was made here before, an empty one, or one that does not exist; its parent must.
    marker : str
        The name of the file that says so: it lists all files of the folder, and is written at the end. A folder with
        other files in it is nobody's to replace.

    Yields
    ------
    Path
        An empty folder beside the old one, on the same file system. If the block fails or is interrupted the old one
        stays. Everybody may read what is put in place, whatever the umask.

    Raises
    ------
    InputError
        If `folder` is a file or holds what was not made here, or its parent is missing or cannot be written to.
    """
    goal = folder.resolve()
    _check_ours(goal, folder, marker)
    _clear_forgotten(goal)
    try:
        with tempfile.TemporaryDirectory(prefix=_beside(goal), dir=goal.parent, ignore_cleanup_errors=True) as name:
            fresh, old = Path(name) / "fresh", Path(name) / "old"
            fresh.mkdir()
            yield fresh
            (fresh / marker).write_text("".join(f"{path}\n" for path in _files(fresh)), "utf-8")
            _finish(fresh)
            _check_ours(goal, folder, marker)
            _put_in_place(fresh, goal, old)
    except OSError as error:
        raise InputError(
            "the folder cannot be written",
            source=folder,
            found=error.strerror or str(error),
            remedy="What was there is unchanged.",
        ) from error


def _beside(goal: Path) -> str:
    return f".{goal.name}-fresh-"


def _files(folder: Path) -> list[str]:
    paths = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def _check_ours(goal: Path, given: Path, marker: str) -> None:
    """Nothing is replaced that was not made here."""
    if not goal.parent.is_dir():
        raise InputError("the folder does not exist", source=given.parent, remedy="Make it first.")
    if not goal.exists():
        return
    if not goal.is_dir():
        raise InputError("this is a file", source=given, wanted="the name of a folder")
    there = _files(goal)
    ours = (goal / marker).read_text("utf-8").splitlines() if (goal / marker).is_file() else []
    strange = sorted(set(there) - {marker, *ours})
    if strange:
        raise InputError(
            "the folder holds files that were not published by gridgis",
            source=given,
            found=name_ids(strange),
            remedy="Name a new folder, or move these files away.",
        )


def _clear_forgotten(goal: Path) -> None:
    """Remove what runs left beside that were killed days ago."""
    for path in goal.parent.glob(f"{glob.escape(_beside(goal))}*"):
        if path.is_dir() and time.time() - path.stat().st_mtime > _FORGOTTEN_S:
            shutil.rmtree(path, ignore_errors=True)


def _finish(folder: Path) -> None:
    """Let everybody read it, and hand it to the disk, so that a power cut leaves one of the two folders whole."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _put_in_place(fresh: Path, goal: Path, old: Path) -> None:
    """One folder for another: in one step where the system can do that, else in two that are undone together."""
    if not goal.exists():
        fresh.rename(goal)
        return
    if _exchange(fresh, goal):
        return
    goal.rename(old)
    try:
        fresh.rename(goal)
    except BaseException:
        old.rename(goal)
        raise


def _exchange(one: Path, other: Path) -> bool:
    """Whether the system (Linux) let two folders change their names in one step."""
    call = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return call is not None and call(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0
