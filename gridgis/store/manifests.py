"""What stands beside a backup: when it was made, and the rows and checksum of every table that is in it.

Two files cannot be renamed in one step. The manifest goes first, and names the backup that it is about to replace
too, each by the checksum of its file: whichever of the two is there when the work breaks off in between, it is told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gridgis.errors import StoreError
from gridgis.store import upgrades
from gridgis.store.digests import Digest, file_checksum

#: Beside a backup: what was in it, and when it was made.
MANIFEST = ".manifest.json"


def beside(file: Path) -> Path:
    """Where the manifest of a backup is."""
    return file.with_name(file.name + MANIFEST)


def manifest(made: Path, held: Mapping[str, Digest], goal: Path) -> str:
    """The manifest of a backup that was made and is about to take the place of `goal`."""
    told: dict[str, Any] = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"), "revision": upgrades.HEAD,
        "file": file_checksum(made), "tables": {name: list(found) for name, found in held.items()},
    }  # fmt: skip
    if goal.is_file() and beside(goal).is_file():
        # A manifest that cannot be read vouches for nothing: the new one need not keep it.
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            before = _entry(goal)
            told["replaced"] = {
                "file": file_checksum(goal), "revision": before["revision"], "tables": before["tables"]
            }  # fmt: skip
    return json.dumps(told, ensure_ascii=False, indent=1) + "\n"


def wanted(file: Path) -> dict[str, Digest]:
    """What a backup holds by its manifest.

    Raises
    ------
    StoreError
        There is no such backup; its manifest is missing or cannot be read; it is of another version of gridgis.
    """
    if not file.is_file():
        raise StoreError("there is no such file", source=file)
    try:
        entry = _entry(file)
        tables = {name: Digest(int(rows), str(checksum)) for name, (rows, checksum) in entry["tables"].items()}
        revision = str(entry["revision"])
    except FileNotFoundError as error:
        raise StoreError("the manifest of the backup is missing", source=beside(file),
                         remedy="It was written beside the backup; bring it along.") from error  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError("the manifest of the backup cannot be read", source=beside(file), found=str(error)) from error
    if revision != upgrades.HEAD:
        raise StoreError("the backup was made by another version of gridgis", source=file,
                         found=f"revision {revision}", wanted=f"revision {upgrades.HEAD}",
                         remedy="Restore it with that version, then run gridgis store upgrade with this one."
                         )  # fmt: skip
    return tables


def _entry(file: Path) -> dict[str, Any]:
    """The part of the manifest that speaks of this very file; where none does, that of the newest backup."""
    told: dict[str, Any] = json.loads(beside(file).read_text("utf-8"))
    replaced: dict[str, Any] | None = told.get("replaced")
    return replaced if replaced is not None and replaced["file"] == file_checksum(file) else told
