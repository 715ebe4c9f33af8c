"""A self-contained page about a build: verdict, defects, loads, who is where, patrols, and what was assumed.

The page asks nothing of any other host, runs no script, and names no resident.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import geopandas as gpd
import pandas as pd

from gridgis.chinese import in_chinese
from gridgis.publish import words
from gridgis.publish.page_templates import figure, percent, template
from gridgis.publish.plates import draw_plate

#: How many rows of a long list are written out; the rest is counted.
SHOWN = 200
_SHARES = ("max_deviation", "mean_deviation", "road_share")


def build_report(
    *,
    title: str,
    verdict: Mapping[str, Any],
    partition: Mapping[str, Any] | None,
    grids: gpd.GeoDataFrame,
    chain: Mapping[str, Any] | None,
    coverage: pd.DataFrame | None,
    patrols: pd.DataFrame | None,
    rules: pd.DataFrame | None,
    notes: Sequence[str],
    sources: Sequence[str],
    made: str,
) -> str:
    """A build as one HTML page, Chinese first and English beside it.

    Parameters
    ----------
    title : str
        The name of the place.
    verdict : mapping
        What ``gridgis validate --json`` prints.
    partition : mapping or None
        What ``gridgis partition --json`` prints; None where the grids came from outside.
    grids : GeoDataFrame
        The grids, described or not; any CRS.
    chain : mapping or None
        Counts of the chain, as ``gridgis chain --json`` prints them; ids of breaks are never written out.
    coverage, patrols, rules : DataFrame or None
        Results of the patrols; their ``attrs["parameters"]`` are printed with them.
    notes, sources : sequence of str
        What was assumed or warned of; whom to credit.
    made : str
        When it was made, as it is to be printed.

    Returns
    -------
    str
        The page. Lists are cut at :data:`SHOWN` rows and say so. The same arguments give the same bytes.
    """
    defects = list(verdict.get("defects", ()))
    page = template("report.html", parameters=_parameters).render(
        title=title,
        made=made,
        verdict=verdict,
        defects=[_defect(d) for d in defects[:SHOWN]],
        more_defects=max(0, len(defects) - SHOWN),
        errors=sum(d["severity"] == "error" for d in defects),
        warnings=sum(d["severity"] != "error" for d in defects),
        counts=[(words.pair(words.DEFECTS, kind), n) for kind, n in verdict.get("counts", {}).items() if n],
        plate=draw_plate(grids, [(d.get("lon"), d.get("lat")) for d in defects]),
        grids=_grids(grids),
        partition=None if partition is None else _partition(partition),
        chain=None if chain is None else _chain(chain),
        coverage=None if coverage is None else _coverage(coverage),
        patrols=None if patrols is None else _patrols(patrols),
        rules=None if rules is None else _rules(rules),
        notes=[_note(note) for note in notes],
        sources=list(sources),
    )
    return page + "\n"


def _note(note: str) -> tuple[str, str]:
    """A note in Chinese and in English; as it stands, where there is no Chinese of it."""
    chinese = in_chinese(note)
    return (chinese, note) if chinese else (note, "")


def _parameters(values: Any) -> list[tuple[str, str]]:
    """Parameters as name and value; small numbers as they are."""
    return [(name, str(value) if isinstance(value, float) else figure(value)) for name, value in values.items()]


def _defect(defect: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": words.pair(words.DEFECTS, defect["kind"]),
        "severity": words.pair(words.SEVERITIES, defect["severity"]),
        "grave": defect["severity"] == "error",
        "codes": "、".join(map(str, defect.get("codes", ()))),
        "area_m2": defect.get("area_m2"),
        "width_m": defect.get("width_m"),
        "place": _place(defect.get("lon"), defect.get("lat")),
        "message": defect.get("message") or "",
    }


def _place(lon: Any, lat: Any) -> str:
    return "–" if lon is None or lat is None or pd.isna(lon) or pd.isna(lat) else f"{lon:.6f}, {lat:.6f}"


def _grids(grids: gpd.GeoDataFrame) -> list[dict[str, Any]]:
    wanted = ("code", "name", "households", "estimated", "persons", "deviation", "road_share", "bounds_text")
    there = [name for name in wanted if name in grids.columns]
    rows = pd.DataFrame(grids[there]).to_dict("records")
    blank = dict.fromkeys(wanted)
    return [{**blank, **{k: None if pd.isna(v) else v for k, v in row.items()}} for row in rows]


def _partition(summary: Mapping[str, Any]) -> dict[str, Any]:
    figures = []
    for name, word in words.PARTITION.items():
        if name in summary:
            figures.append((word, _partition_figures(name, summary[name])))
    off = [{**o, "reason": words.pair(words.REASONS, o["reason"])} for o in summary.get("off", ())]
    return {
        "figures": figures,
        "off": off[:SHOWN],
        "more": max(0, len(off) - SHOWN),
        "parameters": summary.get("parameters", {}),
    }


def _partition_figures(name: str, value: Any) -> list[tuple[tuple[str, str], str]]:
    """One figure, or one for each kind of compound; each with the words that stand before it."""
    if isinstance(value, Mapping):
        return [(words.pair(words.COMPOUNDS, kind), figure(inner)) for kind, inner in value.items()]
    return [(("", ""), percent(value) if name in _SHARES else figure(value))]


def _chain(counts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The links, each with its total and breaks, and what else is counted of it; lists are no figures."""
    rows = []
    for link, found in counts.items():
        if isinstance(found, Mapping) and {"total", "complete", "broken"} <= set(found):
            total = found["total"]
            share = found["complete"] / total if total else None
            row = {name: found[name] for name in ("total", "complete", "broken")}
            rows.append({**row, "link": words.pair(words.LINKS, link), "share": share, "details": _details(found)})
    return rows


def _details(found: Mapping[str, Any]) -> list[tuple[tuple[str, str], int]]:
    skip = ("total", "complete", "ambiguous", "none", "broken", "how")
    told = {**{name: n for name, n in found.items() if name not in skip}, **found.get("how", {})}
    return [(words.pair(words.DETAILS, name), n) for name, n in told.items() if n]


def _coverage(coverage: pd.DataFrame) -> dict[str, Any]:
    ordered = coverage.sort_values(["grid", "from"], kind="stable")
    return {
        "rows": ordered.head(SHOWN).to_dict("records"),
        "more": max(0, len(ordered) - SHOWN),
        "parameters": coverage.attrs.get("parameters", {}),
    }


def _patrols(patrols: pd.DataFrame) -> dict[str, Any]:
    """Walks added up for each member of staff and grid."""
    known = patrols.assign(grid=patrols["grid"].astype(object).where(patrols["grid"].notna(), "–"))
    added = known.groupby(["staff", "grid"], sort=True).agg(
        patrols=("patrol", "nunique"), minutes=("inside_min", "sum"), metres=("inside_m", "sum")
    )
    return {
        "rows": added.reset_index().head(SHOWN).to_dict("records"),
        "more": max(0, len(added) - SHOWN),
        "parameters": patrols.attrs.get("parameters", {}),
    }


def _rules(rules: pd.DataFrame) -> dict[str, Any]:
    results = [r for r in words.RESULTS if (rules["result"] == r).any()]
    results += sorted(set(rules["result"]) - set(words.RESULTS))
    tally = rules.groupby(["rule", "result"], sort=True).size()
    wanted = rules.groupby("rule", sort=True)["wanted"].first()
    summary = [
        {"rule": rule, "wanted": wanted[rule], "counts": [int(tally.get((rule, result), 0)) for result in results]}
        for rule in sorted(set(rules["rule"]))
    ]
    listed = rules[(rules["result"] != "kept").to_numpy()]
    return {
        "results": [words.pair(words.RESULTS, r) for r in results],
        "summary": summary,
        "rows": [_rule(row) for row in _records(listed.head(SHOWN))],
        "more": max(0, len(listed) - SHOWN),
        "parameters": rules.attrs.get("parameters", {}),
    }


def _rule(row: Mapping[str, Any]) -> dict[str, Any]:
    subject = [str(row[name]) for name in ("staff", "grid") if not pd.isna(row.get(name))]
    return {**row, "subject": " · ".join(subject) or "–", "result_words": words.pair(words.RESULTS, row["result"])}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pd.DataFrame(frame).to_dict("records")
    return rows
