"""Writes the invented sub-district: what each room makes, as the files of a project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd

from gridgis.crs import WGS84
from gridgis.errors import InputError
from gridgis.files import read, write, write_text
from gridgis.plan.blocks import make_blocks
from gridgis.plan.partition import partition
from gridgis.profile import Profile
from gridgis.sample import boards, names, oldgrids, people, phones, staff, truth
from gridgis.sample.duties import CARE_FILE, MATTERS_FILE, SITES_FILE, VISITS_FILE, make_duties
from gridgis.sample.ground import Ground, barrier_lines, communities, make_ground
from gridgis.sample.lanes import ShortEnd, fall_short
from gridgis.sample.layers import make_layers
from gridgis.sample.oldgrids import make_old_grids
from gridgis.sample.plane import to_degrees
from gridgis.sample.portraits import portrait
from gridgis.sample.town import Town, make_town
from gridgis.sample.tracks import make_rounds, make_walks

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
    "buildings": "building", "houses": "house", "water": "water",
}  # fmt: skip
TRUTH_FILE, PORTRAITS = "truth.json", "portraits"


def write_sample(folder: Path) -> list[Path]:
    """Write the invented sub-district 望汀街道, a project that ``gridgis build`` can build.

    An invented place of 3.5 km² with streets of every class, a river, a railway, 4 communities, 600 buildings, 9,600
    households, 27,000 persons (an id, and a house, an address or a place), 45 staff, and two weeks of tracks of twelve
    of them. The grids that postings and boards name are the ones that ``build`` makes of the same files with the
    profile ``sample``. ``truth.json`` lists every fault that was planted, and who finds it.

    Parameters
    ----------
    folder : Path
        Made if it is not there; files of the same names are replaced, others stay.

    Returns
    -------
    list of Path
        The files, the project file first, the truth last; ``portraits`` and ``tracks`` as folders. WGS 84, degrees
        rounded to 7 decimals; but for ``tracks_gcj02.parquet``.

    Raises
    ------
    InputError
        If the folder cannot be made or written to.

    Notes
    -----
    The same bytes at each run with the same versions of the libraries. Parquet files name the version that wrote
    them; the grids, and with them postings, boards and tracks, follow the partition.
    """
    for place_of in (folder, folder / PORTRAITS, folder / phones.GPX_FOLDER):
        _make_folder(place_of)
    paths = [write_text(_project(), folder / "project.toml")]
    ground = make_ground()
    town = make_town(ground)
    living = people.make_persons(town, houses := people.make_houses(town))
    inputs, short = place(ground, town)
    inputs |= {"houses": houses, "persons": living.persons}
    paths += [write(table, folder / FILES[name]) for name, table in inputs.items()]
    old, old_faults = make_old_grids(ground)
    layers = make_layers(ground, town)
    work = at_work(inputs, _grids(folder))
    tables = {FILES[name]: table for name, table in work.inputs.items()}
    tables |= {oldgrids.FILE: old, **layers.tables, **work.beside, people.ANSWERS_FILE: living.answers}
    paths += [write(table, folder / name) for name, table in tables.items()]
    within = [write_text(text, folder / name).parent for name, text in work.texts.items()]
    paths += dict.fromkeys(within)
    planted = [*old_faults, *short, *layers.planted, *living.planted, *work.planted]
    found = truth.truth_of(planted, _counts(inputs | work.inputs, living))
    return [*paths, write_text(truth.as_text(found), folder / TRUTH_FILE)]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("the folder cannot be made", source=folder, found=error.strerror or str(error)) from error


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


def place(ground: Ground, town: Town) -> tuple[dict[str, Any], list[truth.Planted]]:
    """The ground and what stands on it, as tables in WGS 84 by the names of the inputs; and ends that fall short."""
    streets, short = fall_short(barrier_lines(ground))
    codes, titles, _ = zip(*names.COMMUNITIES, strict=True)
    tables = {
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
    return tables, [_short_end(number, end) for number, end in enumerate(short, 1)]


def _short_end(number: int, end: ShortEnd) -> truth.Planted:
    at = to_degrees(end.place)
    detail = f"{end.name} ends {end.metres:g} m before the street that it leads to"
    more = {"lon": at.x, "lat": at.y, "gap_m": end.metres}
    return truth.Planted(
        f"lane-short-{number}", "blocks", FILES["barriers"], (end.name,), "short end", "blocks", detail, more
    )


class Work(NamedTuple):
    """Who does what: inputs of the project by name, tables and texts beside it by file, and what was planted."""

    inputs: dict[str, pd.DataFrame]
    beside: dict[str, pd.DataFrame]
    texts: dict[str, str]
    planted: list[truth.Planted]


def at_work(tables: Mapping[str, Any], grids: gpd.GeoDataFrame) -> Work:
    """Staff, postings, boards, tracks, leave, weather; sites, care addresses, visits, matters; portraits."""
    team = staff.make_team(grids)
    barriers, buildings = tables["barriers"], tables["buildings"]
    hung, missing = boards.make_boards(grids, tables["units"], barriers, buildings)
    rounds = make_rounds([code for _, code in team.walking], grids, barriers, buildings, tables["water"])
    walks = list(make_walks(rounds))
    recorded = phones.record(walks, rounds, team.walking)
    duties = make_duties(team, rounds, walks, tables["houses"], grids)
    inputs = {
        "staff": team.staff, "postings": team.postings, "boards": hung, "tracks": recorded.fixes,
        "leave": team.leave, "weather": team.weather,
    }  # fmt: skip
    texts = {f"{PORTRAITS}/{who}.svg": portrait(who) for who in team.staff["id"]}
    texts[recorded.gpx[0]] = recorded.gpx[1]
    planted = [*team.planted, *missing, *recorded.planted, *duties.planted]
    return Work(inputs, {phones.SHIFTED_FILE: recorded.shifted, **duties.tables}, texts, planted)


def _grids(folder: Path) -> gpd.GeoDataFrame:
    """The grids that ``build`` makes of the files: read back, cut and shared out in the same way."""
    made = {name: read(folder / FILES[name], table=table) for name, table in _TABLE.items()}
    loads = {name: made[name] for name in ("units", "houses", "buildings", "compounds", "water")}
    profile = Profile.load(PROFILE)
    cut = make_blocks(made["boundary"], made["barriers"], **loads, norm=profile.norm)
    plan = partition(cut.blocks, profile, borders=cut.borders, units=made["units"])
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
    inputs += f'\nsites = ["{SITES_FILE}", "{CARE_FILE}"]\nvisits = "{VISITS_FILE}"\nmatters = "{MATTERS_FILE}"'
    return f"""# {names.CITY}{names.DISTRICT}{names.TOWN}：虚构的示范街道，纯属编造。
# An invented sub-district; nothing in it exists.
# gridgis build project.toml --serve

[project]
name = "sample"
title = "{names.TOWN}网格图（示范）"
profile = "{PROFILE}"
store = "gridgis.gpkg"
out = "out"

[inputs]
{inputs}

[publish]
supervision_phone = "{names.PHONE.format(9)}"
community_phone = "{names.PHONE.format(100)}"
sources = ["示范数据：虚构的街道 / invented sample, no real place"]
"""
