"""The file that keeps a locator: grids, bounds and the table of cells, mapped into memory when it is opened.

A line that names the format, the length and a checksum of the head, the head as JSON (the hash of the grids, and where
each array lies, its type, shape and checksum), then the arrays, each at a multiple of 64 bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from gridgis.errors import InputError
from gridgis.locate.table import CellTable

#: The first bytes of every version of the format, and of this one. The number grows whenever the table, or what
#: codes.py says its numbers mean, changes.
_FORMAT = b"gridgis locator "
_MAGIC = _FORMAT + b"1\n"
_ALIGN = 64
_TABLE = ("cells", "tiles", "first", "edges", "sides")
_REMEDY = "Make it anew with GridLocator(grids).save(path)."
_FRAME = ("left", "bottom", "step", "per_unit", "columns", "lines", "grids")


class Broken(InputError):
    """A kept locator that cannot be used: truncated, damaged, or of another version."""


class Content:
    """What a file holds. The arrays are views of the mapped file."""

    def __init__(self, digest: str, arrays: dict[str, NDArray[Any]], frame: dict[str, Any] | None) -> None:
        self.digest = digest
        self.wkb, self.offsets, self.bounds = arrays["wkb"], arrays["offsets"], arrays["bounds"]
        self.vertices = int(arrays["vertices"][0])
        parts: dict[str, Any] = {name: arrays[name] for name in _TABLE if frame is not None}
        self.table = None if frame is None else CellTable(**frame, **parts)


def packed(shapes: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The grids as WKB one after the other, and where each begins; None takes no room."""
    parts = [b"" if part is None else part for part in shapely.to_wkb(shapes, output_dimension=2, byte_order=1)]
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)])
    return np.frombuffer(b"".join(parts), dtype=np.uint8), offsets.astype(np.int64)


def digest(wkb: NDArray[np.uint8], offsets: NDArray[np.int64]) -> str:
    """The hash of the coordinates of all grids, in the order of their rows."""
    hashed = hashlib.blake2b(offsets.tobytes(), digest_size=16)
    hashed.update(wkb.data)
    return hashed.hexdigest()


def write(
    path: Path,
    wkb: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    bounds: NDArray[np.float64],
    vertices: int,
    table: CellTable | None,
) -> None:
    """Write beside, then rename: who reads meanwhile sees the old file or the new one, whole.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    arrays: dict[str, NDArray[Any]] = {"wkb": wkb, "offsets": offsets, "bounds": bounds}
    arrays["vertices"] = np.array([vertices], dtype=np.int64)
    if table is not None:
        arrays |= {name: getattr(table, name) for name in _TABLE}
    frame = None if table is None else {name: getattr(table, name) for name in _FRAME}
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(8)}")
    try:
        with beside.open("xb") as file:
            file.write(_head(digest(wkb, offsets), arrays, frame))
            for array in arrays.values():
                file.write(b"\0" * (-file.tell() % _ALIGN))
                file.write(np.ascontiguousarray(array).data)
        beside.replace(path)
    except OSError as error:
        raise InputError("the locator cannot be written", source=path, found=error.strerror or "") from error
    finally:
        beside.unlink(missing_ok=True)


def _head(named: str, arrays: dict[str, NDArray[Any]], frame: dict[str, Any] | None) -> bytes:
    listed, place = [], 0
    for name, array in arrays.items():
        checksum = zlib.crc32(np.ascontiguousarray(array).data)
        listed.append({"name": name, "type": array.dtype.str, "shape": array.shape, "at": place, "crc32": checksum})
        place += array.nbytes + -array.nbytes % _ALIGN
    text = json.dumps({"digest": named, "frame": frame, "arrays": listed}).encode()
    head = _MAGIC + struct.pack("<QI", len(text), zlib.crc32(text)) + text
    return head + b"\0" * (-len(head) % _ALIGN)


def is_ours(path: Path) -> bool:
    """Whether the file is a kept locator, of any version and in any state; an empty file is nobody's."""
    with path.open("rb") as file:
        begun = file.read(len(_FORMAT))
    return begun == _FORMAT


def read(path: Path) -> Content:
    """Map a file that :func:`write` made. Every byte is checked, so nothing is answered from a damaged file.

    Raises
    ------
    Broken
        If the file is of another version, truncated or damaged.
    InputError
        If there is no such file, or it is no locator.
    """
    try:
        if not is_ours(path):
            raise InputError("this is no kept locator", source=path, wanted="a file that GridLocator.save wrote")
        data = np.memmap(path, dtype=np.uint8, mode="r")
    except OSError as error:
        raise InputError("the locator cannot be read", source=path, found=error.strerror or "") from error
    head, place = _read_head(data, path)
    arrays = {}
    for part in head["arrays"]:
        kind, start = np.dtype(part["type"]), place + part["at"]
        raw = data[start : start + kind.itemsize * math.prod(part["shape"])]
        if zlib.crc32(raw.data) != part["crc32"]:
            raise Broken(
                "the kept locator is truncated or damaged",
                source=path,
                found=f"other bytes in {part['name']}",
                remedy=_REMEDY,
            )
        arrays[part["name"]] = np.asarray(raw.view(kind)).reshape(part["shape"])
    return Content(head["digest"], arrays, head["frame"])


def _read_head(data: NDArray[np.uint8], path: Path) -> tuple[dict[str, Any], int]:
    """The head, and where the arrays begin."""
    start = len(_MAGIC) + struct.calcsize("<QI")
    if data[: len(_MAGIC)].tobytes() != _MAGIC:
        version = data[len(_FORMAT) : len(_MAGIC)].tobytes()
        raise Broken("the kept locator is of another version", source=path, found=repr(version), remedy=_REMEDY)
    if len(data) < start:
        raise Broken(
            "the kept locator is truncated or damaged", source=path, found=f"{len(data)} bytes", remedy=_REMEDY
        )
    length, checksum = struct.unpack("<QI", data[len(_MAGIC) : start].tobytes())
    text = data[start : start + length].tobytes()
    if len(text) != length or zlib.crc32(text) != checksum:
        raise Broken("the kept locator is truncated or damaged", source=path, found="another head", remedy=_REMEDY)
    head: dict[str, Any] = json.loads(text)
    return head, start + length + -(start + length) % _ALIGN
