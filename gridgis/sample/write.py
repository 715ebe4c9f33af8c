"""Writes the invented sub-district: what each room makes, as the files of a project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from gridgis.crs import WGS84
from gridgis.errors import InputError
from gridgis.files import read, write, write_text
from gridgis.plan.blocks import make_blocks
from gridgis.plan.partition import partition
from gridgis.profile import Profile
from gridgis.sample import boards, names, oldgrids, people, staff, truth
from gridgis.sample.ground import Ground, barrier_lines, communities, make_ground
from gridgis.sample.oldgrids import make_old_grids
from gridgis.sample.plane import to_degrees
from gridgis.sample.town import Town, make_town
from gridgis.sample.tracks import make_tracks

PROFILE = "sample"

#: The files, in the order in which they are written, by the input of the project that each is.
FILES = {
    "boundary": "boundary.geojson", "units": "units.geojson", "barriers": "barriers.geojson",
    "water": "water.geojson", "compounds": "compounds.geojson", "buildings": "buildings.geojson",
    "houses": "houses.csv", "persons": "persons.parquet", "staff": "staff.csv", "postings": "postings.csv",
    "boards": "boards.csv", "tracks": "tracks.parquet", "leave": "leave.csv", "weather": "weather.csv",
}  # fmt: skip
_TABLE = {
    "boundary": "boundary", "units": "unit", "barriers": "barrier", "compounds": "compound",
    "buildings": "building", "houses": "house",
}  # fmt: skip
TRUTH_FILE = "truth.json"


def write_sample(folder: Path) -> list[Path]:
    """Write the invented sub-district 望汀街道, a project that ``gridgis build`` can build.

    An invented place of 3.5 km² with streets of every class, a river, a railway, 4 communities, 600 buildings, 9,600
    households, 27,000 persons (an id and a house), 40 staff, and three days of tracks of four of them. The grids that
    postings and boards name are the ones that ``build`` makes of the same files with the profile ``sample``.

    Parameters
    ----------
    folder : Path
        Made if it is not there; files of the same names are replaced, others stay.

    Returns
    -------
    list of Path
        The files, the project file first. WGS 84, degrees rounded to 7 decimals.

    Raises
    ------
    InputError
        If the folder cannot be made or written to.

    Notes
    -----
    The same bytes at each run with the same versions of the libraries. Parquet files name the version that wrote
    them; the grids, and with them postings, boards and tracks, follow the partition.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("the folder cannot be made", source=folder, found=error.strerror or str(error)) from error
    paths = [write_text(_project(), folder / "project.toml")]
    ground = make_ground()
    town = make_town(ground)
    living = people.make_persons(town, houses := people.make_houses(town))
    tables = place(ground, town) | {"houses": houses, "persons": living.persons}
    paths += [write(table, folder / FILES[name]) for name, table in tables.items()]
    grids = _grids(folder)
    work = staff_at_work(tables, grids)
    paths += [write(work[name], folder / FILES[name]) for name in FILES if name in work]
    old, old_faults = make_old_grids(ground)
    beside = {oldgrids.FILE: old, people.ANSWERS_FILE: living.answers}
    paths += [write(table, folder / name) for name, table in beside.items()]
    found = truth.truth_of([*old_faults, *living.planted], _counts(tables, living))
    return [*paths, write_text(truth.as_text(found), folder / TRUTH_FILE)]


def _counts(tables: Mapping[str, Any], living: people.People) -> dict[str, Any]:
    """How much there is, and what the persons give."""
    ways = living.answers["way"].value_counts().sort_index()
    lost = sum(f.more["count"] for f in living.planted if f.more["house_how"] in ("none", "ambiguous"))
    found = sum(f.more["count"] for f in living.planted if f.more["house_how"] == "address")
    return {
        "rows": {name: len(table) for name, table in tables.items()},
        "chain": {"person_house_broken": lost, "breaks": lost + found},
        "persons_by_way": {"code": people.PERSONS - len(living.answers), **{str(k): int(n) for k, n in ways.items()}},
    }


def place(ground: Ground, town: Town) -> dict[str, Any]:
    """The ground and what stands on it, as tables in WGS 84; by the names of the inputs."""
    streets = barrier_lines(ground)
    codes, titles, _ = zip(*names.COMMUNITIES, strict=True)
    return {
        "boundary": _frame({"code": [names.TOWN_CODE], "name": [names.TOWN], "level": [1]}, [ground.outline]),
        "units": _frame(
            {"code": codes, "name": titles, "level": [2] * len(codes), "parent": [names.TOWN_CODE] * len(codes)},
            communities(ground),
        ),
        "barriers": _frame(
            {"class": [s.kind for s in streets], "name": [s.name for s in streets]}, [s.line for s in streets]
        ),
        "water": _frame({"name": [name for name, _ in ground.water]}, [bed for _, bed in ground.water]),
        "compounds": _compounds(town),
        "buildings": _buildings(town),
    }


def staff_at_work(tables: Mapping[str, Any], grids: gpd.GeoDataFrame) -> dict[str, pd.DataFrame]:
    """Staff, postings, boards, tracks, leave and weather, by the names of the inputs."""
    workers, postings = staff.make_staff(grids)
    walking = staff.walkers(grids, postings)
    barriers, buildings = tables["barriers"], tables["buildings"]
    return {
        "staff": workers,
        "postings": postings,
        "boards": boards.make_boards(grids, tables["units"], barriers, buildings),
        "tracks": make_tracks(walking, grids, barriers, buildings, tables["water"]),
        "leave": staff.make_leave(walking, workers),
        "weather": staff.make_weather(),
    }


def _grids(folder: Path) -> gpd.GeoDataFrame:
    """The grids that ``build`` makes of the files: read back, cut and shared out in the same way."""
    made = {name: read(folder / FILES[name], table=table) for name, table in _TABLE.items()}
    loads = {name: made[name] for name in ("units", "houses", "buildings", "compounds")}
    cut = make_blocks(made["boundary"], made["barriers"], **loads)
    plan = partition(cut.blocks, Profile.load(PROFILE), borders=cut.borders, units=made["units"])
    return plan.grids.sort_values("code", ignore_index=True)


def _frame(columns: Mapping[str, Any], shapes: Any) -> gpd.GeoDataFrame:
    made = np.empty(len(shapes), dtype=object)
    made[:] = to_degrees(np.array(shapes, dtype=object))
    return gpd.GeoDataFrame(dict(columns), geometry=made, crs=WGS84)


def _compounds(town: Town) -> gpd.GeoDataFrame:
    estates = [lot for lot in town.lots if lot.use in ("managed", "mixed", "rural") and lot.name]
    columns = {
        "code": [f"X{number:02d}" for number in range(1, len(estates) + 1)],
        "name": [lot.name for lot in estates],
        "kind": [lot.use for lot in estates],
        "address": [lot.address for lot in estates],
    }
    return _frame(columns, [lot.plot for lot in estates])


def _buildings(town: Town) -> gpd.GeoDataFrame:
    columns = {
        "code": people.building_codes(town),
        "name": [b.name for b in town.buildings],
        "kind": [b.kind for b in town.buildings],
        "levels": [b.levels for b in town.buildings],
        "address": [b.address for b in town.buildings],
    }
    return _frame(columns, [b.shape for b in town.buildings])


def _project() -> str:
    inputs = "\n".join(f'{name} = "{file}"' for name, file in FILES.items())
    return f"""# {names.CITY}{names.DISTRICT}{names.TOWN}：虚构的示范街道，纯属编造。
# An invented sub-district; nothing in it exists.
# gridgis build project.toml --serve

[project]
name = "sample"
title = "{names.TOWN}网格图（示范）"
profile = "{PROFILE}"
store = "plan.sqlite"
out = "out"

[inputs]
{inputs}

[publish]
supervision_phone = "{names.PHONE.format(9)}"
community_phone = "{names.PHONE.format(100)}"
sources = ["示范数据：虚构的街道 / invented sample, no real place"]
"""
