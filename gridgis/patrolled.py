"""Patrols from tracks to rules kept or missed, and the document that is written of them, in English and Chinese."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from datetime import date
from typing import Any

import geopandas as gpd
import pandas as pd

from gridgis.chinese import in_chinese
from gridgis.compliance import coverage_marks, windows
from gridgis.errors import InputError
from gridgis.findings import LISTS, WALKED, judge
from gridgis.patrol.batches import Walked, patrol_batches
from gridgis.patrol.datum import warn_of_datums
from gridgis.patrol.heat import Heats
from gridgis.profile import Profile
from gridgis.publish.rule_words import SUSPICIONS, reason_words

Frames = dict[str, Any]


def check_patrols(
    tables: Frames,
    grids: gpd.GeoDataFrame,
    profile: Profile,
    *,
    start: date | None = None,
    end: date | None = None,
    datum: str | None = None,
    extras: Collection[str] = (),
) -> Frames:
    """Cleaned fixes, patrols, patrol coverage, rules kept or missed, and what goes with them; all None without tracks.

    Parameters
    ----------
    tables : dict
        ``tracks`` (fixes as read, or portions of them as :func:`gridgis.files.stream_tracks` yields them, which may be
        more than the memory holds); and ``staff``, ``postings``, ``leave``, ``weather``, ``buildings``, ``water`` and
        the other tables that rules are checked against, ``chain_counts`` (of the chain) and ``settings`` (of the
        boards). None, or no such key, where not given.
    grids : GeoDataFrame
    profile : Profile
        Its parameters hold the sight width and the ground that counts.
    start, end : date, optional
        First and last local day that counts; by default all days of the tracks.
    datum : str, optional
        With which the tracks were read; who seems to have another is warned of.
    extras : collection of {"holes", "heat", "covered"}
        What else to find: the ground that nobody saw, on how many days each piece was seen, and by whom.

    Returns
    -------
    dict
        The keys of :data:`gridgis.findings.WALKED`; `fixes` as of :func:`gridgis.patrol.batches.patrol_batches`.
    """
    if tables["tracks"] is None:
        return dict.fromkeys(WALKED)
    heats = Heats(grids, tables["postings"], profile.parameters) if {"heat", "covered"} & set(extras) else None
    found = _walk(tables, grids, profile, start, end, datum, "holes" in extras, heats)
    days = pd.Timestamp(start or date.min), pd.Timestamp(end or date.max)
    walks = found.patrols[found.patrols["date"].between(*days)]
    if walks.empty:
        raise InputError("there is no patrol in the days asked for", found=_days_of(found), wanted=f"{start} to {end}")
    warn_of_datums(found.datums)
    walked = dict.fromkeys(WALKED) | found._asdict() | {"patrols": walks}
    walked |= {name: _in_period(walked[name], start, end) for name in ("suspicions", "stays")}
    if heats is not None:
        span = {"obstacles": obstacles(tables, grids), "start": start, "end": end}
        walked["heat"] = heats.heat(**span) if "heat" in extras else None
        walked["covered"] = heats.covered(walks, **span) if "covered" in extras else None
    return {**walked, **judge(walked, tables, grids, profile, start, end)}


def _walk(
    tables: Frames,
    grids: gpd.GeoDataFrame,
    profile: Profile,
    start: date | None,
    end: date | None,
    datum: str | None,
    with_holes: bool,
    heats: Heats | None,
) -> Walked:
    """The tracks, portion by portion."""
    parameters, tracks = profile.parameters, tables["tracks"]
    return patrol_batches(
        [tracks] if isinstance(tracks, pd.DataFrame) else tracks,
        grids,
        tables["postings"],
        sight=parameters.sight_m,
        days=sorted({1, *windows(profile)}),  # every length of window that a rule asks for
        obstacles=obstacles(tables, grids),
        streets=tables.get("streets", tables.get("barriers")),
        buildings=tables["buildings"],
        start=start,
        end=end,
        shares=coverage_marks(profile),
        visits=tables.get("visits"),
        read_as=datum or "wgs84",
        with_holes=with_holes,
        parameters=parameters,
        keep=None if heats is None else heats.add,
    )


def _in_period(frame: pd.DataFrame, start: date | None, end: date | None) -> pd.DataFrame:
    """The rows of the days asked for, and those of no day."""
    outside = (frame["date"] < pd.Timestamp(start or date.min)) | (frame["date"] > pd.Timestamp(end or date.max))
    return frame[~outside].reset_index(drop=True)


def obstacles(tables: Frames, grids: gpd.GeoDataFrame) -> gpd.GeoDataFrame | None:
    """Buildings and water, in the CRS of the grids: what is no ground to be walked; None where neither is known."""
    found = [tables[name] for name in ("buildings", "water") if tables[name] is not None]
    if not found:
        return None
    shapes = pd.concat([frame.geometry.to_crs(grids.crs) for frame in found], ignore_index=True)
    return gpd.GeoDataFrame(geometry=shapes)


def _days_of(found: Walked) -> str:
    dates = found.patrols["date"]
    return f"{dates.min():%Y-%m-%d} to {dates.max():%Y-%m-%d}" if len(dates) else "none"


def patrol_document(walked: Frames, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON document of ``gridgis patrol --json``; lists beside the rules where the tables for them were given."""
    lists = {name: records(with_chinese(walked[name])) for name in LISTS if walked[name] is not None}
    if lists:
        lists["rejects"] = records(with_chinese(pd.DataFrame(walked["rules"].attrs["rejects"])))
    return {
        "coverage": records(walked["coverage"]),
        "patrols": records(walked["patrols"]),
        "rules": records(with_chinese(walked["rules"])),
        "suspicions": records(with_chinese(walked["suspicions"])),
        "stays": records(with_chinese(walked["stays"])),
        "datums": records(with_chinese(walked["datums"])),
        **lists,
        "parameters": dict(parameters),
    }


def records(frame: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Rows of a frame as JSON-ready dicts: days as 2026-03-02, times in ISO 8601, missing values as null."""
    if frame is None:
        return []
    flat = pd.DataFrame(frame.drop(columns=frame.geometry.name) if isinstance(frame, gpd.GeoDataFrame) else frame)
    days = [
        c for c in flat if flat[c].dtype.kind == "M" and (flat[c].dropna() == flat[c].dropna().dt.normalize()).all()
    ]
    flat = flat.assign(**{c: flat[c].dt.strftime("%Y-%m-%d") for c in days})
    rows: list[dict[str, Any]] = json.loads(flat.to_json(orient="records", date_format="iso", double_precision=15))
    return rows


def with_chinese(table: pd.DataFrame) -> pd.DataFrame:
    """The Chinese words of reasons, details and suspicions in a column beside each."""
    words: dict[str, Callable[[str], str]] = {}
    for name in ("reason", "detail"):
        words[name] = lambda said: in_chinese(said) or reason_words(said)[0]
    if "other_date" in table.columns:
        words["kind"] = lambda kind: SUSPICIONS[kind][0] or kind
    out = table.copy()
    for name in [name for name in words if name in table.columns]:
        chinese = [words[name](value) if isinstance(value, str) else "" for value in table[name]]
        out.insert(out.columns.get_loc(name) + 1, f"{name}_zh", chinese)
    return out
