"""The project file: what a build reads, by which rules, and where its results go."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gridgis.crs import DATUMS
from gridgis.errors import InputError

#: The inputs of a project file and the table each is read as; ``osm`` and ``tracks`` have readers of their own.
INPUTS = {
    "boundary": "boundary", "units": "unit", "barriers": "barrier", "water": "water", "compounds": "compound",
    "buildings": "building", "houses": "house", "persons": "person", "staff": "staff", "postings": "posting",
    "leave": "leave", "weather": "weather", "sites": "site", "visits": "visit", "segments": "segment",
    "matters": "matter", "boards": "board", "grids": "grid",
}  # fmt: skip


@dataclass(frozen=True)
class Project:
    """A project file, read and checked; what it says relative to itself is resolved."""

    path: Path
    name: str
    title: str
    profile: str
    store: str
    out: Path
    inputs: Mapping[str, tuple[str, ...]]
    datum: Mapping[str, str] = field(default_factory=dict)
    publish: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Project:
        """Read a project file.

        Raises
        ------
        InputError
            If it cannot be read, has a key that no project knows, or names no boundary, or neither ``osm`` nor
            ``barriers`` nor ``grids``.
        """
        try:
            data = tomllib.loads(path.read_text("utf-8"))
        except FileNotFoundError as error:
            raise InputError("no such project file", source=path) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"not a project file: {error}", source=path) from error
        known = {
            "": {"project", "inputs", "datum", "publish"},
            "project": {"name", "title", "profile", "store", "out"},
            "inputs": {*INPUTS, "osm", "tracks"},
            "datum": {*INPUTS, "tracks"},
            "publish": {
                "supervision_phone",
                "community_phone",
                "sources",
                "review_number",
                "patrol_matters",
                "service_items",
            },
        }
        _check_keys(data, known, path)
        head, folder = data.get("project", {}), path.parent
        named = {k: _specs(v, k, path) for k, v in data.get("inputs", {}).items()}
        # An absolute path wins over the folder that it is joined to; ":LAYER" and "#CODE" stay at its end.
        inputs = {k: tuple(str(folder / spec) for spec in specs) for k, specs in named.items()}
        if "boundary" not in inputs or not {"osm", "barriers", "grids"} & set(inputs):
            raise InputError(
                "[inputs] is not enough to build from",
                source=path,
                found=", ".join(inputs) or "nothing",
                wanted="boundary, and osm or barriers (or grids)",
            )
        _check_datums(data.get("datum", {}), inputs, path)
        name = str(head.get("name", path.stem))
        out = folder / str(head.get("out", "out"))
        return cls(
            path=path,
            name=name,
            title=str(head.get("title", name)),
            profile=_profile(str(head.get("profile", "yichang")), folder),
            store=_store(str(head["store"]), folder) if "store" in head else str(out / "gridgis.gpkg"),
            out=out,
            inputs=inputs,
            datum=data.get("datum", {}),
            publish=data.get("publish", {}),
        )


def _check_datums(datums: Mapping[str, Any], inputs: Mapping[str, Any], path: Path) -> None:
    for name, datum in datums.items():
        if name not in inputs:
            raise InputError(f"[datum] names {name}, which is no input", source=path, wanted=", ".join(inputs))
        if datum not in DATUMS:
            raise InputError(
                f"the datum of {name} is unknown", source=path, found=repr(datum), wanted=", ".join(DATUMS)
            )


def _store(where: str, folder: Path) -> str:
    """A path relative to the project file, or the address of a database as it is."""
    return where if "://" in where else str(folder / where)


def _profile(name: str, folder: Path) -> str:
    return str(folder / name) if name.endswith(".toml") else name


def _specs(value: object, key: str, path: Path) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if (
        not values
        or not all(isinstance(v, str) and v for v in values)
        or (len(values) > 1 and key not in ("tracks", "sites"))
    ):
        raise InputError(f"[inputs] {key} must name one file", source=path, found=repr(value))
    return tuple(str(v) for v in values)


def _check_keys(data: Mapping[str, Any], known: Mapping[str, set[str]], path: Path) -> None:
    sections = [
        ("", data),
        *((name, data[name]) for name in ("project", "inputs", "datum", "publish") if name in data),
    ]
    for name, section in sections:
        where = f"[{name}]" if name else "the file"
        if not isinstance(section, Mapping):
            raise InputError(f"{where} must be a table", source=path, found=repr(section))
        unknown = sorted(set(section) - known[name])
        if unknown:
            raise InputError(
                f"{where} has keys that no project knows",
                source=path,
                found=", ".join(unknown),
                wanted=", ".join(sorted(known[name])),
            )
