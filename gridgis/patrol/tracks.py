"""Fixes into clean fixes, and clean fixes into patrols: when, how long, how far, how much of it inside the grid."""

from __future__ import annotations

from typing import Any
from warnings import warn

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gridgis import crs
from gridgis.errors import GridgisWarning, InputError, SchemaError, name_ids
from gridgis.patrol import inside
from gridgis.patrol.cleaning import cleaned_vertices, drop_jumps
from gridgis.profile import Parameters

Ints = NDArray[np.int64]

DEFAULTS = Parameters()

#: Why a fix is set aside, in the order in which the reasons are looked for.
REASONS = (
    "no time", "before GPS", "no position", "same time", "poor accuracy", "jump", "too fast",
)  # fmt: skip

#: The first day of GPS: an older fix has a wrong clock.
_GPS_BEGINS = pd.Timestamp("1980-01-06", tz="UTC")

_CLEAN = ("kept", "why", "session", "date", "segment", "moving")

PATROL_COLUMNS = [
    "staff", "patrol", "grid", "date", "start", "end", "minutes", "raw_m", "cleaned_m", "inside_m", "inside_min",
    "outside_m", "outside_min",
]  # fmt: skip


def clean_tracks(fixes: pd.DataFrame, parameters: Parameters = DEFAULTS) -> pd.DataFrame:
    """Put fixes in order, set the impossible ones aside, and split them into sessions and segments.

    Parameters
    ----------
    fixes : DataFrame
        staff, time (with a zone), lon, lat (degrees, WGS 84), and, where known, accuracy (metres).
    parameters : Parameters
        `gap_s`, `max_speed_mps`, `dead_band_m` and `timezone` are used; fixes with an accuracy above
        `max_accuracy_m` are set aside (unknown accuracy passes); a pause between fixes longer than `session_gap_s`
        (`gap_s` where that is longer) ends a session (a patrol).

    Returns
    -------
    DataFrame
        All rows and columns of `fixes` in the order of staff and time, with their index, and with

        - kept (bool), why (the reason why not: one of :data:`REASONS`);
        - session (int, -1 where the time or place is unusable) and its local date (`parameters.timezone`): a session
          over midnight belongs to the day on which it began;
        - segment (int, -1 where not kept): lines are drawn between kept fixes of one segment, never across a gap
          longer than `gap_s` or a step faster than `max_speed_mps`;
        - moving (bool): the fix is a vertex of the cleaned line, from which distances are measured. Wandering within
          `dead_band_m` is no walking.

        ``attrs`` holds `dropped` (count by reason), `counts` (among them the gaps over which no line is drawn, and
        the fixes that lay still or drifted within the dead-band) and `parameters`.

    Raises
    ------
    SchemaError
        If a column is missing or the times have no zone.

    Notes
    -----
    Of fixes at the same time the most accurate is kept, then the westernmost. Numbers of sessions and segments are of
    this frame; do not join frames after cleaning. A dead-band of 10 m measures a walk at 1 Hz within a few percent,
    and a phone that lies still as some tens of metres an hour where its raw line is some kilometres long; a turn-about
    costs up to twice the band. Not promised: that a slow vehicle is told from a walk.

    Examples
    --------
    >>> import pandas as pd
    >>> time = pd.to_datetime(["2026-03-02T08:00:00+08:00", "2026-03-02T08:00:20+08:00", "2026-03-02T08:00:20+08:00"])
    >>> fixes = pd.DataFrame({"staff": "w1", "time": time, "lon": [116.0, 116.0002, 116.0002], "lat": 40.0})
    >>> clean_tracks(fixes).attrs["dropped"]["same time"]
    1
    """
    _require(fixes)
    code, _ = pd.factorize(fixes["staff"], sort=True)
    out, code, disorder = _in_order(fixes, code)
    reason = _unusable(out, code)
    usable = np.flatnonzero(reason < 0)
    seconds = inside.seconds_of(out.iloc[usable])
    session = np.full(len(out), -1, dtype=np.int64)
    session[usable] = _runs(code[usable], seconds, max(parameters.session_gap_s, parameters.gap_s))
    poor = _accuracy(out.iloc[usable]) > parameters.max_accuracy_m
    reason[usable] = np.where(poor, REASONS.index("poor accuracy"), reason[usable])
    segment, moving = _segments(out, code, reason, parameters)
    out["kept"] = reason < 0
    out["why"] = pd.Categorical.from_codes(reason, categories=list(REASONS))
    out["session"] = session
    out["date"] = _dates(out["time"], session, parameters.timezone)
    out["segment"] = segment
    out["moving"] = moving
    dropped = np.bincount(reason[reason >= 0], minlength=len(REASONS))
    pieces, sessions = int(segment.max(initial=-1)) + 1, int(session.max(initial=-1)) + 1
    out.attrs = {
        "dropped": dict(zip(REASONS, dropped.tolist(), strict=True)),
        "counts": {
            "fixes": len(out),
            "kept": int((reason < 0).sum()),
            "out of order": disorder,
            "sessions": sessions,
            "segments": pieces,
            "gaps": int(((np.diff(seconds) > parameters.gap_s) & (np.diff(session[usable]) == 0)).sum()),
            "vertices": int(moving.sum()),
            "within dead band": int((reason < 0).sum() - moving.sum()),
        },
        "parameters": parameters.as_dict(
            "gap_s", "max_speed_mps", "dead_band_m", "timezone", "max_accuracy_m", "session_gap_s"
        ),
    }
    return out


def patrols(
    fixes: pd.DataFrame,
    grids: gpd.GeoDataFrame,
    postings: pd.DataFrame | None = None,
    parameters: Parameters = DEFAULTS,
) -> pd.DataFrame:
    """Patrols, one a row: when, how long, how far, and how much of it inside the grid of the posting.

    Parameters
    ----------
    fixes : DataFrame
        What :func:`clean_tracks` returned; or fixes as read, which are then cleaned with `parameters`.
    grids : GeoDataFrame
        code and polygons, in any CRS.
    postings : DataFrame, optional
        staff, grid, and from, to (dates, both included; missing is open). Without it a patrol's grid is the one in
        which most of its time lay.
    parameters : Parameters

    Returns
    -------
    DataFrame
        Sorted by staff and start:

        - staff, patrol (staff and local start, as text), grid (of the posting on that day; of several the one with
          the most time inside, then the lowest code; None where there is none), date (local day of the start: a
          patrol over midnight belongs to the day on which it began), start, end (UTC);
        - minutes: time between kept fixes, gaps left out;
        - raw_m, cleaned_m: metres of the line as recorded and as cleaned. Rules are measured by the cleaned one;
        - inside_m, inside_min: of the cleaned line, inside the grid, its border included; NaN where there is no grid
          because nobody is posted;
        - outside_m, outside_min: the rest of cleaned_m and minutes.

        ``attrs["parameters"]`` are those of the cleaning; ``attrs["dropped"]`` and ``attrs["counts"]`` likewise.

    Raises
    ------
    CRSError, SchemaError
        If the grids have no CRS or code, or a column of `fixes` or `postings` is missing.

    Warns
    -----
    GridgisWarning
        Postings to grids that are not in `grids` are passed over; with their codes and count.
    """
    clean = cleaned(fixes, parameters)
    metric = crs.metric_crs(grids)
    ordered = by_code(grids)
    shapes = inside.grid_shapes(ordered, metric)
    used: dict[str, Any] = clean.attrs["parameters"]
    clean = in_time(clean)
    xy = inside.metres_of(clean, metric)
    steps = inside.cleaned_steps(clean, xy)
    out = _sessions(clean, used["timezone"])
    out["minutes"] = pd.Series(steps.seconds).groupby(steps.session).sum() / 60
    out["raw_m"] = inside.raw_metres(clean, xy, used["gap_s"])
    out["cleaned_m"] = pd.Series(steps.metres).groupby(steps.session).sum()
    out[["minutes", "raw_m", "cleaned_m"]] = out[["minutes", "raw_m", "cleaned_m"]].fillna(0.0)
    if postings is None:
        step, grid = inside.near_pairs(steps, shapes)
        posted = None
    else:
        posted = _posted(out, postings, ordered["code"])
        step, grid = _posted_pairs(steps, posted)
    within = inside.inside_of(steps, shapes, step, grid)
    out = out.join(_one_grid(within, posted, ordered["code"]))
    if postings is None:
        out[["inside_m", "inside_min"]] = out[["inside_m", "inside_min"]].fillna(0.0)
    out["grid"] = out["grid"].astype(object).where(out["grid"].notna(), None)
    # Sums of the same steps in another order: what is left of rounding is nothing.
    out["outside_m"] = (out["cleaned_m"] - out["inside_m"]).where(lambda rest: ~(rest < 1e-6), 0.0)
    out["outside_min"] = (out["minutes"] - out["inside_min"]).where(lambda rest: ~(rest < 1e-9), 0.0)
    out = out.sort_values(["staff", "start"], kind="stable", ignore_index=True)[PATROL_COLUMNS]
    out.attrs = dict(clean.attrs)
    return out


def on_duty(staff: pd.Series, date: pd.Series, postings: pd.DataFrame) -> pd.Series:
    """Whether each of some staff had a posting on a day; missing ends of a posting are open.

    Examples
    --------
    >>> postings = pd.DataFrame({"staff": ["w1"], "from": [pd.Timestamp("2026-03-02")], "to": [pd.NaT]})
    >>> days = pd.Series(pd.to_datetime(["2026-03-01", "2026-03-02", "2026-03-02"]))
    >>> on_duty(pd.Series(["w1", "w1", "w2"]), days, postings).tolist()
    [False, True, False]
    """
    asked = pd.DataFrame({"row": np.arange(len(staff)), "staff": staff.astype(str).to_numpy(dtype=object)})
    asked["date"] = date.to_numpy()
    pairs = asked.merge(_spans(postings), on="staff")
    held = pairs.loc[~(pairs["from"] > pairs["date"]) & ~(pairs["to"] < pairs["date"]), "row"]
    return pd.Series(np.isin(asked["row"], held), index=staff.index)


def _spans(postings: pd.DataFrame) -> pd.DataFrame:
    """staff, from, to of each posting."""
    table = pd.DataFrame({"staff": postings["staff"].astype(str).to_numpy(dtype=object)})
    for name in ("from", "to"):
        given = postings[name] if name in postings.columns else pd.Series(pd.NaT, index=postings.index)
        table[name] = pd.to_datetime(given).to_numpy(dtype="datetime64[us]")
    return table


def cleaned(fixes: pd.DataFrame, parameters: Parameters) -> pd.DataFrame:
    """`fixes` if they come from :func:`clean_tracks`, else cleaned with `parameters`."""
    done = set(_CLEAN) <= set(fixes.columns) and "parameters" in fixes.attrs
    return fixes if done else clean_tracks(fixes, parameters)


def in_time(clean: pd.DataFrame) -> pd.DataFrame:
    """Cleaned fixes in the order of session and time, whatever was done to their rows since."""
    return clean.iloc[np.lexsort((inside.moments_of(clean), clean["session"].to_numpy()))]


def by_code(grids: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The grids in the order of their codes as text: the lowest wins where two are as good."""
    if "code" not in grids.columns:
        raise SchemaError("grids need the column 'code'", found=", ".join(repr(str(c)) for c in grids.columns))
    return grids.iloc[np.argsort(grids["code"].astype(str).to_numpy(dtype=object), kind="stable")]


def _require(fixes: pd.DataFrame) -> None:
    missing = [c for c in ("staff", "time", "lon", "lat") if c not in fixes.columns]
    if missing:
        raise SchemaError(
            f"fixes need the column {', '.join(map(repr, missing))}",
            found=", ".join(repr(str(c)) for c in fixes.columns),
        )
    if not isinstance(fixes["time"].dtype, pd.DatetimeTZDtype):
        raise SchemaError(
            "the times of the fixes have no zone",
            found=str(fixes["time"].dtype),
            wanted="times with a zone",
            remedy="Read them with read_tracks, or give them one with .dt.tz_localize.",
        )


def _accuracy(fixes: pd.DataFrame) -> NDArray[np.float64]:
    if "accuracy" not in fixes.columns:
        return np.full(len(fixes), np.nan)
    return np.asarray(fixes["accuracy"].to_numpy(dtype=float, na_value=np.nan))


def _in_order(fixes: pd.DataFrame, code: Ints) -> tuple[pd.DataFrame, Ints, int]:
    """The fixes by person and time (best first among equals), their persons, and how many came too late."""
    time = inside.moments_of(fixes)
    keys = (fixes["lat"].to_numpy(), fixes["lon"].to_numpy(), _accuracy(fixes), time, code)
    order = np.lexsort(keys)
    given = np.argsort(code, kind="stable")
    late = (code[given][1:] == code[given][:-1]) & (time[given][1:] < time[given][:-1])
    out = fixes.iloc[order].drop(columns=[c for c in _CLEAN if c in fixes.columns])
    out["time"] = out["time"].dt.tz_convert("UTC")
    return out, code[order], int(late.sum())


def _unusable(out: pd.DataFrame, code: Ints) -> NDArray[np.int8]:
    """Why a fix has no usable time or place: a position in REASONS, -1 where it has."""
    lon, lat = (out[c].to_numpy(dtype=float, na_value=np.nan) for c in ("lon", "lat"))
    time = out["time"]
    lost = ~(np.isfinite(lon) & np.isfinite(lat)) | ((lon == 0) & (lat == 0))
    reason = np.select([time.isna().to_numpy(), (time < _GPS_BEGINS).to_numpy(), lost], [0, 1, 2], default=-1).astype(
        np.int8
    )
    usable = np.flatnonzero(reason < 0)
    moment = inside.moments_of(out)[usable]
    again = (code[usable][1:] == code[usable][:-1]) & (moment[1:] == moment[:-1])
    reason[usable[1:][again]] = REASONS.index("same time")
    return reason


def _runs(code: Ints, seconds: NDArray[np.float64], gap_s: float) -> Ints:
    """Numbers of the runs without a longer pause."""
    fresh = (np.diff(code) != 0) | (np.diff(seconds) > gap_s)
    return np.concatenate([[0], np.cumsum(fresh)])[: len(code)]


def _segments(
    out: pd.DataFrame, code: Ints, reason: NDArray[np.int8], parameters: Parameters
) -> tuple[Ints, NDArray[np.bool_]]:
    """Number of each fix's segment and whether it is a vertex; marks jumps and fast fixes in `reason`."""
    segment = np.full(len(out), -1, dtype=np.int64)
    moving = np.zeros(len(out), dtype=bool)
    rows = np.flatnonzero(reason < 0)
    if len(rows) == 0:
        return segment, moving
    good = out.iloc[rows]
    seconds = inside.seconds_of(good)
    xy = inside.metres_of(good, crs.zone_crs(float(good["lon"].median()), float(good["lat"].median())))
    run = _runs(code[rows], seconds, parameters.gap_s)
    jumps, fast, piece = drop_jumps(run, seconds, xy, parameters.max_speed_mps, parameters.gap_s)
    reason[rows[jumps]] = REASONS.index("jump")
    reason[rows[fast]] = REASONS.index("too fast")
    kept = ~(jumps | fast)
    rows, piece, xy = rows[kept], piece[kept], xy[kept]
    segment[rows] = np.unique(piece, return_inverse=True)[1]
    moving[rows] = cleaned_vertices(piece, xy, parameters.dead_band_m)
    return segment, moving


def _dates(time: pd.Series, session: Ints, timezone: str) -> NDArray[Any]:
    """The local day on which each fix's session began."""
    # Sessions count upwards, but fixes without one may stand between: the first row of each number is its start.
    _, first = np.unique(session, return_index=True)
    begins = first[session[first] >= 0]
    day = time.iloc[begins].dt.tz_convert(timezone).dt.tz_localize(None).dt.normalize().to_numpy()
    dates = np.full(len(session), np.datetime64("NaT"), dtype="datetime64[us]")
    dates[session >= 0] = day.astype("datetime64[us]")[session[session >= 0]]
    return dates


def _sessions(clean: pd.DataFrame, timezone: str) -> pd.DataFrame:
    """One row a session: staff, patrol, date, start, end."""
    used = clean[clean["session"] >= 0]
    groups = used.groupby("session", sort=True)
    out = groups.agg(staff=("staff", "first"), date=("date", "first"), start=("time", "min"), end=("time", "max"))
    local = out["start"].dt.tz_convert(timezone).dt.strftime("%Y%m%dT%H%M%S")
    out["patrol"] = out["staff"].astype(str) + "/" + local
    return out


def _posted(out: pd.DataFrame, postings: pd.DataFrame, codes: pd.Series) -> pd.DataFrame:
    """Pairs (session, grid position) of the postings on the day of each session."""
    missing = [c for c in ("staff", "grid") if c not in postings.columns]
    if missing:
        raise SchemaError(f"postings need the column {', '.join(map(repr, missing))}")
    place = pd.Series(np.arange(len(codes)), index=codes.astype(str).to_numpy(dtype=object))
    if place.index.has_duplicates:
        raise InputError("grid codes are not unique", ids=sorted(set(place.index[place.index.duplicated()])))
    where = place.reindex(postings["grid"].astype(str).to_numpy(dtype=object)).to_numpy()
    unknown = sorted(set(postings["grid"].astype(str)[np.isnan(where)]))
    if unknown:
        _warn_unknown(unknown)
    table = _spans(postings).assign(place=where)
    days = pd.DataFrame({"session": out.index, "staff": out["staff"].astype(str).to_numpy(dtype=object)})
    days["date"] = out["date"].to_numpy()
    pairs = days.merge(table.dropna(subset="place"), on="staff")
    # A missing day is an open end.
    pairs = pairs[~(pairs["from"] > pairs["date"]) & ~(pairs["to"] < pairs["date"])]
    return pairs[["session", "place"]].astype("int64").drop_duplicates()


def _warn_unknown(codes: list[str]) -> None:
    warn(f"postings to grids that do not exist were passed over ({name_ids(codes)}).", GridgisWarning, stacklevel=4)


def _posted_pairs(steps: inside.Steps, posted: pd.DataFrame) -> tuple[Ints, Ints]:
    walked = pd.DataFrame({"session": steps.session, "step": np.arange(len(steps.session))})
    pairs = walked.merge(posted, on="session")
    return pairs["step"].to_numpy(dtype=np.int64), pairs["place"].to_numpy(dtype=np.int64)


def _one_grid(within: pd.DataFrame, posted: pd.DataFrame | None, codes: pd.Series) -> pd.DataFrame:
    """The grid of each session: of those it may be, the one with the most time inside, then metres, then code."""
    table = within.rename(columns={"grid": "place"})
    if posted is not None:
        table = posted.merge(table, on=["session", "place"], how="left").fillna({"inside_m": 0.0, "inside_min": 0.0})
    else:
        table = table[(table["inside_m"] > 0) | (table["inside_min"] > 0)]
    table = table.sort_values(
        ["session", "inside_min", "inside_m", "place"], ascending=[True, False, False, True], kind="stable"
    ).drop_duplicates("session")
    names = codes.astype(str).to_numpy(dtype=object)[table["place"].to_numpy(dtype=np.int64)]
    return table.assign(grid=names).set_index("session")[["grid", "inside_m", "inside_min"]]
