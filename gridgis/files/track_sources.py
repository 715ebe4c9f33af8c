"""Where tracks come from: files, folders, and ZIP archives of them, which are read in memory and never unpacked."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection, Iterable
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from gridgis.errors import InputError

#: What an archive may hold: so many bytes unpacked, so many times its own size (a bomb is a thousand and more; text of
#: fixes packs to a tenth), so many files.
MOST_BYTES = 2 * 1024**3
MOST_RATIO = 200
MOST_FILES = 100_000

#: Small files are no bomb, whatever their ratio.
_SMALL = 10 * 1024**2

#: General purpose bits of a ZIP entry: encrypted, and named in UTF-8.
_ENCRYPTED, _UTF8 = 0x1, 0x800


class Source(NamedTuple):
    """One track file: its name for messages, the path of the file or archive, and its name in the archive."""

    name: str
    path: Path
    entry: str | None = None

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix.lower()

    def content(self) -> Path | BytesIO:
        """The file, or what the archive holds in memory.

        Raises
        ------
        InputError
            If the archive is damaged.
        """
        if self.entry is None:
            return self.path
        try:
            with zipfile.ZipFile(self.path) as archive:
                return BytesIO(archive.read(self.entry))
        except (zipfile.BadZipFile, EOFError, RuntimeError, zlib.error) as error:
            raise InputError(f"the archive is damaged: {error}", source=self.name) from error


def sources_of(path: Path, endings: Collection[str]) -> list[Source]:
    """The track files that a path names, in the order of their names.

    Parameters
    ----------
    path : Path
        A track file, a folder (every track file and archive below it), or a .zip.
    endings : collection of str
        The endings of track files, with the dot, in small letters.

    Raises
    ------
    InputError
        A path that does not exist, an unknown ending, nothing that could be a track; an archive that is damaged,
        encrypted, larger unpacked than :data:`MOST_BYTES` or :data:`MOST_RATIO`, that holds another archive, or names
        that lead out of it.
    """
    wanted = ", ".join([*endings, ".zip"])
    if path.is_dir():
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in (*endings, ".zip") and p.is_file())
        if not inside:
            raise InputError("the folder holds no tracks", source=path, wanted=wanted)
        return [source for p in inside for source in sources_of(p, endings)]
    if not path.exists():
        raise InputError("no such file or folder", source=path)
    if path.suffix.lower() == ".zip":
        return _in_archive(path, endings)
    if path.suffix.lower() not in endings:
        raise InputError("not a kind of track file that is known", source=path, found=repr(path.suffix), wanted=wanted)
    return [Source(str(path), path)]


def _in_archive(path: Path, endings: Collection[str]) -> list[Source]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, EOFError) as error:
        raise InputError(
            f"the archive cannot be read: {error}", source=path, remedy="Was it cut off while it was copied?"
        ) from error
    _refuse(path, entries)
    found = []
    for entry in entries:
        name = PurePosixPath(_name(entry))
        hidden = any(part.startswith((".", "__MACOSX")) for part in name.parts)
        if name.suffix.lower() in endings and not hidden:
            found.append(Source(f"{path}/{name}", path, entry.filename))
    if not found:
        raise InputError("the archive holds no tracks", source=path, wanted=", ".join(endings))
    return sorted(found)


def _refuse(path: Path, entries: Iterable[zipfile.ZipInfo]) -> None:
    entries = list(entries)
    names = {entry.filename: _name(entry) for entry in entries}
    outside = [n for n in names.values() if n.startswith("/") or n[1:2] == ":" or ".." in PurePosixPath(n).parts]
    if outside:
        raise InputError(
            "the archive has names that lead out of it",
            source=path,
            found=", ".join(outside[:3]),
            remedy="Pack the tracks anew, from inside their folder.",
        )
    nested = [n for n in names.values() if n.lower().endswith((".zip", ".gz", ".7z", ".rar", ".tar"))]
    if nested:
        raise InputError(
            "the archive holds another archive", source=path, found=", ".join(nested[:3]), remedy="Unpack it first."
        )
    locked = [names[entry.filename] for entry in entries if entry.flag_bits & _ENCRYPTED]
    if locked:
        raise InputError(
            "the archive is encrypted", source=path, found=", ".join(locked[:3]), remedy="Unpack it with its password."
        )
    size, packed = sum(e.file_size for e in entries), sum(e.compress_size for e in entries)
    if len(entries) > MOST_FILES or size > MOST_BYTES or (size > _SMALL and size > MOST_RATIO * max(packed, 1)):
        raise InputError(
            "the archive is suspiciously large when unpacked",
            source=path,
            found=f"{len(entries):,} files, {packed:,} bytes packed, {size:,} unpacked",
            wanted=f"at most {MOST_FILES:,} files, {MOST_BYTES:,} bytes, and {MOST_RATIO} times the packed size",
            remedy="If it is what you mean, unpack it and name the folder.",
        )


def _name(entry: zipfile.ZipInfo) -> str:
    """The entry's name; Chinese Windows writes it in GB 18030 and does not say so."""
    name = entry.filename
    if not entry.flag_bits & _UTF8:
        raw = name.encode("cp437", errors="replace")
        for encoding in ("utf-8", "gb18030"):
            try:
                return raw.decode(encoding)
            except UnicodeDecodeError:
                continue
    return name
