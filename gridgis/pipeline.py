"""The whole job on one screen: from a project file to blocks, grids, a verdict, who is where, patrols, a store.

:func:`build` is the order of the work; each step is one call of a room. What needs files and the store together is
composed here.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import geopandas as gpd
import pandas as pd

from gridgis.assign.buildings import assign_buildings
from gridgis.assign.chain import chain
from gridgis.assign.estimate import estimate_households, houses_of_buildings
from gridgis.assign.houses import assign_houses
from gridgis.assign.persons import assign_persons
from gridgis.assign.ready import ReadyGrids
from gridgis.assign.shift import warn_of_shift
from gridgis.errors import GridgisWarning
from gridgis.files import TrackStream, read, read_osm, read_sites, stream_tracks, write, write_layers, write_text
from gridgis.files.folder import replace_together
from gridgis.files.photos import embed_photos
from gridgis.files.track_ages import AgedTracks
from gridgis.patrolled import check_patrols, patrol_document
from gridgis.plan.blocks import make_blocks
from gridgis.plan.bounds import describe
from gridgis.plan.partition import Plan, partition
from gridgis.plan.validate import GRIDS, validate, verdict
from gridgis.profile import Parameters, Profile
from gridgis.project import INPUTS, Project
from gridgis.publish.reports import build_report
from gridgis.store import open_store
from gridgis.store.audit import login
from gridgis.store.personal import keep_portions, oldest_kept
from gridgis.store.plans import Plans, holding
from gridgis.store.walks import Kept

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: What a build writes into its folder.
RESULTS = (
    "plan.gpkg", "defects.gpkg", "validate.json", "houses.csv", "persons.csv", "chain.json",
    "patrol.csv", "patrol.json", "report.html",
)  # fmt: skip
_FROM_OSM = ("barriers", "buildings", "compounds", "water")

Tell = Callable[[str], None]
Frames = dict[str, Any]


@dataclass(frozen=True)
class BuildResult:
    """What a build made: where it lies, the verdict on the tiling, and how many rows each table has.

    `tracks` tells what was kept of the tracks, None where there were none; `old_tracks` is the note on days that were
    too old, one of the notes.
    """

    out: Path
    store: str
    verdict: Mapping[str, Any]
    counts: Mapping[str, int]
    notes: tuple[str, ...]
    tracks: Kept | None
    old_tracks: str


def build(project: Project, tell: Tell = lambda step: None) -> BuildResult:
    """Run the whole job of a project.

    Everything is made beside the old results and put in their place at the end; a failed or interrupted build leaves
    the old results whole.

    Parameters
    ----------
    project : Project
    tell : callable, optional
        Called with the name of each step as it begins.

    Returns
    -------
    BuildResult
        Its `notes` are the warnings of the work, and that days of tracks are too old to be kept; they stand in the
        report as well.
    """
    profile = Profile.load(project.profile)
    today = datetime.now(ZoneInfo(profile.parameters.timezone)).date()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", GridgisWarning)
        tell("读入 reading")
        tables = read_inputs(project, profile)
        warn_of_shift(tables["houses"], tables["boundary"], "houses")
        tell("切分街坊、划分网格 blocks and grids")
        plan = make_plan(tables, profile)
        tell("检查 validating")
        defects = check_tiling(plan["grids"], tables["boundary"], profile, tables["units"])
        tell("落格 who is where")
        people = assign_people(tables, plan["grids"])
        tell("巡查 patrols")
        tables["tracks"] = _aged(tables["tracks"], profile.parameters, today)
        found = {**tables, **people, "defects": defects, "chain_counts": _counts(people), "settings": project.publish}
        walked = check_patrols(found, plan["grids"], profile, datum=project.datum.get("tracks"))
    notes = tuple(str(w.message) for w in caught if issubclass(w.category, GridgisWarning))
    tables["old_tracks"] = _age_note(tables["tracks"], profile.parameters)
    notes += (tables["old_tracks"],) if tables["old_tracks"] else ()
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    tell("写出 writing")
    everything = {**tables, **plan, **people, **walked, "defects": defects}
    outcome = verdict(defects)
    return _write_results(project, profile, everything, outcome, notes, today)


def read_inputs(project: Project, profile: Profile) -> Frames:
    """Every input as a checked frame (None where none was given).

    Households are estimated where nobody counted them; persons are assigned to houses.
    """
    inputs, datum = project.inputs, project.datum
    tables: Frames = dict.fromkeys(INPUTS)
    tables["tracks"] = None
    tables["boundary"] = read(inputs["boundary"][0], table="boundary", datum=datum.get("boundary"))
    if "osm" in inputs:
        layers = read_osm(Path(inputs["osm"][0]), tables["boundary"])
        tables.update({name: layers[name] for name in _FROM_OSM if len(layers[name])})
    for name, table in INPUTS.items():
        if name in inputs and name != "boundary":
            shift, several = datum.get(name), name == "sites"
            tables[name] = (
                read_sites(inputs[name], datum=shift) if several else read(inputs[name][0], table=table, datum=shift)
            )
    if tables["staff"] is not None:
        tables["staff"] = embed_photos(tables["staff"], Path(inputs["staff"][0]).parent)
    if "tracks" in inputs:
        tables["tracks"] = stream_tracks([Path(spec) for spec in inputs["tracks"]], datum=datum.get("tracks"))
    if tables["houses"] is None and tables["buildings"] is not None:
        tables["buildings"] = estimate_households(_inside(tables["buildings"], tables["boundary"]), profile)
        tables["houses"] = _inside(houses_of_buildings(tables["buildings"]), tables["boundary"])
    if tables["houses"] is not None and tables["persons"] is not None:
        # Before anything is counted: a person whose address or place tells the house counts as one with its code.
        tables["persons"] = assign_persons(tables["persons"], tables["houses"], compounds=tables["compounds"])
    return tables


def make_plan(tables: Frames, profile: Profile) -> Frames:
    """Blocks, borders, grids and the partition's summary; grids that came from outside stay as they are."""
    if tables["grids"] is not None:
        grids, summary = tables["grids"], None
        blocks = borders = None
    else:
        cut = make_blocks(
            tables["boundary"],
            tables["barriers"],
            units=tables["units"],
            houses=tables["houses"],
            buildings=tables["buildings"],
            compounds=tables["compounds"],
            persons=None if tables["persons"] is None else housed(tables["persons"]),
            water=tables["water"],
            norm=profile.norm,
        )
        plan = partition(cut.blocks, profile, borders=cut.borders, units=_named(tables["units"], tables["boundary"]))
        blocks, borders, grids, summary = plan.blocks, cut.borders, plan.grids, plan.summary
        if tables["persons"] is None:  # nobody counted them, which is not the same as nobody being there
            unknown = pd.array([pd.NA] * len(blocks), dtype="Int64")
            blocks, grids = blocks.assign(persons=unknown), grids.assign(persons=unknown[: len(grids)])
    if tables["barriers"] is not None:
        grids = describe(grids, tables["barriers"], profile=profile, units=tables["units"], houses=tables["houses"])
    return {"blocks": blocks, "borders": borders, "grids": grids, "summary": summary}


def housed(persons: pd.DataFrame) -> pd.DataFrame:
    """The persons whose house is known (`assign_persons` was run); the chain lists the others as breaks."""
    return persons[persons["house"].notna()] if "house_how" in persons.columns else persons


def check_tiling(
    grids: gpd.GeoDataFrame, boundary: gpd.GeoDataFrame, profile: Profile, units: gpd.GeoDataFrame | None = None
) -> gpd.GeoDataFrame:
    """Defects of the grids inside the boundary and in their units; a grid of a plan in several pieces is an error."""
    parameters = profile.parameters
    defects = validate(grids, boundary, units, min_area=parameters.min_area_m2, min_width=parameters.min_width_m)
    of_grids = defects["level"] == GRIDS if "level" in defects.columns else True
    defects.loc[(defects["kind"] == "multipart") & of_grids, "severity"] = "error"
    return defects


def assign_people(tables: Frames, grids: gpd.GeoDataFrame) -> Frames:
    """Houses, buildings and persons in their grids, and the chain between them."""
    result: Frames = {"chain": None}
    if tables["houses"] is None:
        return result
    ground = ReadyGrids(grids)
    result["houses"] = assign_houses(tables["houses"], ground)
    if tables["buildings"] is not None:
        result["buildings"] = assign_buildings(tables["buildings"], ground)
    if tables["persons"] is not None:
        result["persons"] = tables["persons"]
        result["chain"] = chain(result["persons"], result["houses"], grids, result.get("buildings"))
    return result


def _counts(people: Frames) -> Any:
    return None if people["chain"] is None else people["chain"].counts


def _write_results(
    project: Project, profile: Profile, everything: Frames, outcome: dict[str, Any], notes: tuple[str, ...], today: date
) -> BuildResult:
    made = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
    with replace_together(project.out, RESULTS) as fresh:
        layers = {name: everything[name] for name in ("blocks", "borders", "grids") if everything[name] is not None}
        write_layers(layers, fresh / "plan.gpkg")
        write(everything["defects"], fresh / "defects.gpkg")
        _write_json(outcome, fresh / "validate.json")
        for name in ("houses", "persons"):
            if everything.get(name) is not None:
                write(everything[name], fresh / f"{name}.csv")
        if everything["chain"] is not None:
            _write_json(everything["chain"].document(), fresh / "chain.json")
        if everything["patrols"] is not None:
            write(everything["coverage"], fresh / "patrol.csv")
            _write_json(patrol_document(everything, profile.parameters.as_dict()), fresh / "patrol.json")
        write_text(_report(project, everything, outcome, notes, made), fresh / "report.html")
        # Last, and one transaction of its own: if the store refuses, no file has changed.
        counts, kept = _save_store(project, profile, everything, notes, made, today)
    return BuildResult(project.out, project.store, outcome, counts, notes, kept, everything["old_tracks"])


def _report(project: Project, everything: Frames, outcome: dict[str, Any], notes: tuple[str, ...], made: str) -> str:
    return build_report(
        title=project.title,
        verdict=outcome,
        partition=everything["summary"],
        grids=everything["grids"],
        chain=None if everything["chain"] is None else everything["chain"].counts,
        coverage=everything["coverage"],
        patrols=everything["patrols"],
        rules=everything["rules"],
        notes=[*notes, *_estimate_note(everything)],
        sources=_sources(project),
        made=made,
    )


_STORED = {
    "unit": "units", "barrier": "barriers", "water": "water", "compound": "compounds", "building": "buildings",
    "house": "houses", "person": "persons", "staff": "staff", "posting": "postings", "board": "boards",
    "block": "blocks", "border": "borders", "grid": "grids", "defect": "defects", "patrol": "patrols",
    "patrol_coverage": "coverage", "rule_result": "rules",
}  # fmt: skip


def _save_store(
    project: Project, profile: Profile, everything: Frames, notes: tuple[str, ...], made: str, today: date
) -> tuple[dict[str, int], Kept | None]:
    named = {**everything, "units": _named(everything["units"], everything["boundary"])}
    found = {table: named.get(name) for table, name in _STORED.items()}
    # An empty frame empties its table: nothing of an older build stays beside this one.
    tables = {table: pd.DataFrame() if frame is None else frame for table, frame in found.items()}
    settings = {
        "name": project.name,
        "title": project.title,
        "profile": profile.name,
        "board_required": "\n".join(profile.board_required),
        "supervision_phone": str(project.publish.get("supervision_phone", "")),
        "community_phone": str(project.publish.get("community_phone", "")),
        "sources": "\n".join(_sources(project)),
        "patrol_matters": _lines(project.publish.get("patrol_matters", "")),
        "service_items": _lines(project.publish.get("service_items", "")),
        "review_number": str(project.publish.get("review_number", "")),
        "households_note": "\n".join(_estimate_note(everything)),
        "notes": "\n".join(notes),
        "built_at": made,
        "parameters": json.dumps(profile.parameters.as_dict(), ensure_ascii=False),
    }
    if "://" not in project.store:
        Path(project.store).parent.mkdir(parents=True, exist_ok=True)
    with open_store(project.store, create=True) as store:
        keeping = _Keeping(Plans(store), project, profile, everything, today)
        store.save(tables, settings, then=keeping)
        counts = store.tables()
    return {**dict.fromkeys(_STORED, 0), **counts}, keeping.kept


class _Keeping:
    """What else a build keeps, in the transaction of its tables: its plan, then its tracks painted for that plan."""

    def __init__(self, plans: Plans, project: Project, profile: Profile, everything: Frames, today: date) -> None:
        self._keep_plan = _keep_plan(plans, project, everything, today)
        self._tracks: AgedTracks | None = everything["tracks"]
        self._parameters, self._today = profile.parameters, today
        self.kept: Kept | None = None

    def __call__(self, connection: Connection) -> None:
        if self._keep_plan is not None:
            self._keep_plan(connection)
        if self._tracks is not None:
            # The days before the plan have none: patrol coverage of the build was measured on its grids.
            plan = None if self._keep_plan is None else holding(connection, self._today)
            self.kept = keep_portions(connection, login(), self._tracks.young(), self._parameters, otherwise=plan)


def _keep_plan(
    plans: Plans, project: Project, everything: Frames, today: date
) -> Callable[[Connection], object] | None:
    """What publishes the plan of a build from today on, where it differs from the one that holds; not with faults."""
    if (everything["defects"]["severity"] == "error").any():
        return None
    grids, blocks = everything["grids"], everything["blocks"]
    if blocks is None:
        blocks = gpd.GeoDataFrame({"code": [], "grid": []}, geometry=[], crs=grids.crs)
    return plans.keeping(
        Plan(blocks, grids, everything["summary"] or {}),
        title=f"{project.title} {today}", by=login(), on=today, borders=everything["borders"],
    )  # fmt: skip


def _aged(tracks: TrackStream | None, parameters: Parameters, today: date) -> AgedTracks | None:
    """The tracks, with the age from which on they are not kept."""
    if tracks is None:
        return None
    return AgedTracks(tracks, oldest_kept(today, int(parameters.track_kept_days)), parameters.timezone)


def _age_note(tracks: AgedTracks | None, parameters: Parameters) -> str:
    if tracks is None or not tracks.old_days:
        return ""
    days, oldest, kept = tracks.old_days, tracks.oldest, int(parameters.track_kept_days)
    return (
        f"{days:,} 人日的轨迹早于 {oldest}（规则的 track_kept_days 为 {kept} 天），不存入库；巡查结果照样计算。 "
        f"Tracks: {days:,} days of staff lie before {oldest} (track_kept_days {kept}) and are not kept in the store; "
        "the results of the patrols have them."
    )


def _estimate_note(everything: Frames) -> list[str]:
    grids = everything["grids"]
    if "estimated" not in grids.columns or not int(grids["estimated"].fillna(0).sum()):
        return []
    guessed, total = int(grids["estimated"].sum()), int(grids["households"].sum())
    return [
        f"{total} 户中有 {guessed} 户为按楼栋面积和层数的估算，并非入户统计。 "
        f"{guessed} of {total} households are estimated from the size of buildings; nobody counted them."
    ]


def _lines(value: object) -> str:
    """One text, or a list of lines."""
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)


def _sources(project: Project) -> list[str]:
    sources = [str(s) for s in project.publish.get("sources", ())]
    credit = "© OpenStreetMap contributors"
    if "osm" in project.inputs and not any("OpenStreetMap" in s for s in sources):
        sources.append(f"{credit} (ODbL)")
    return sources


def _write_json(document: Mapping[str, Any], path: Path) -> None:
    write_text(json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False), path)


def _named(units: gpd.GeoDataFrame | None, boundary: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The units; without them the rows of the boundary that have a code, else the boundary as one."""
    if units is not None:
        return units
    if "code" in boundary.columns and boundary["code"].notna().all() and boundary["code"].is_unique:
        return boundary
    name = boundary["name"].iloc[0] if "name" in boundary.columns and len(boundary) == 1 else None
    return gpd.GeoDataFrame({"code": ["1"], "name": [name]}, geometry=[boundary.union_all()], crs=boundary.crs)


def _inside(places: gpd.GeoDataFrame, boundary: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """What touches the boundary: buildings, and of those that straddle it the ones whose house point lies inside."""
    return places[places.intersects(boundary.to_crs(places.crs).union_all())]
