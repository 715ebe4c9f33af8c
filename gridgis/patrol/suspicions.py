"""What is odd about tracks: reported with its measure, never a verdict. Somebody has to ask the person."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyproj
from numpy.typing import NDArray

from gridgis import crs
from gridgis.patrol import inside
from gridgis.patrol.replays import Thin, same_tracks, spans, thinned
from gridgis.patrol.tracks import DEFAULTS, cleaned, in_time
from gridgis.profile import Parameters

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: The kinds, in the order in which they are listed for a day.
KINDS = ("same track", "vehicle", "still", "straight line", "two places", "future time", "wrong clock")

SUSPICION_COLUMNS = [
    "staff", "date", "kind", "other", "other_date", "start", "end", "measure", "limit", "unit", "detail",
]  # fmt: skip


@dataclass(frozen=True)
class Marks:
    """From where on something is odd. Units stand in the names."""

    copy_m: float = 3.0
    copy_min: float = 10.0
    vehicle_mps: float = 2.5
    vehicle_min: float = 6.0
    still_m: float = 20.0
    still_min: float = 30.0
    straight_m: float = 300.0
    straight_rms_m: float = 0.1
    apart_m: float = 100.0
    apart_share: float = 0.1
    future_s: float = 600.0


MARKS = Marks()

#: Speed is that between fixes so many seconds apart (noise adds nothing to it), over two minutes.
_CHORD_S, _SPELL_S, _LONGEST_CHORD_S = 10.0, 120.0, 60.0
#: Whoever moves about in less than this in two minutes rides nothing, in metres.
_RIDE_M = 100.0
#: Windows of a straight line begin each so many metres and hold at least so many fixes.
_STRIDE_M, _LEAST_FIXES = 50.0, 10
#: A fix between two others is elsewhere when those are within so many seconds and metres of each other.
_ELSEWHERE_S, _BACK_M, _LEAST_ELSEWHERE = 60.0, 50.0, 20


class _Track(NamedTuple):
    """Fixes in the order of session and time, on arrays."""

    session: Ints
    segment: Ints
    seconds: Floats
    xy: Floats


def suspicions(
    fixes: pd.DataFrame,
    *,
    now: pd.Timestamp | None = None,
    marks: Marks = MARKS,
    parameters: Parameters = DEFAULTS,
) -> pd.DataFrame:
    """Tracks that look as if nobody had walked them.

    Parameters
    ----------
    fixes : DataFrame
        What :func:`gridgis.patrol.tracks.clean_tracks` returned; or fixes as read, which are then cleaned with
        `parameters`. Of all staff together, and of all days among which a track may come again.
    now : Timestamp, optional
        With a zone; a fix later than that has a wrong clock. By default the clock of this machine.
    marks : Marks
    parameters : Parameters
        Those of the cleaning; `max_speed_mps` parts what may be walked from what may not.

    Returns
    -------
    DataFrame
        staff, date (local day of the patrol; of a wrong clock NaT), kind, other and other_date (whose track of which
        day is the same), start, end (UTC), measure, limit, unit, detail; sorted by staff, date and kind, one row for
        each of them and other track:

        - same track: minutes within `copy_m` of another track after one was moved in time, from `copy_min`;
          the row is that of the later one, and detail says how much later and how far apart;
        - vehicle: minutes (in pieces of two) at `vehicle_mps` and more, from `vehicle_min`;
        - still: minutes of a patrol of `still_min` and more of which 95 % lie within `still_m` of its middle;
        - straight line: metres in pieces of `straight_m` that deviate by `straight_rms_m` at most, as no phone does;
        - two places: fixes further than `apart_m` from those just before and after it, from `apart_share` of a day's;
        - future time: fixes more than `future_s` later than `now`; wrong clock: fixes without time or before 1980.

        ``attrs["parameters"]`` holds the marks.

    Notes
    -----
    Not promised: that what is listed was done on purpose, nor that who is not listed walked. Two who walk side by side
    have tracks that are alike, but rarely within 3 m for long, as each phone has errors of its own.
    """
    clean = cleaned(fixes, parameters)
    rows = [
        _spot_checks(clean, marks, parameters),
        copies(thin_tracks(clean), session_days(clean), marks),
        _clocks(clean, now if now is not None else pd.Timestamp.now("UTC"), marks),
    ]
    return suspicion_table(rows, marks)


def suspicion_table(parts: list[pd.DataFrame], marks: Marks = MARKS) -> pd.DataFrame:
    """Rows of one staff, day, kind and other track as one: measures added, from the first start to the last end."""
    used = [part for part in parts if len(part)]
    if used:
        table = pd.concat(used, ignore_index=True)
        table["kind"] = pd.Categorical(table["kind"], categories=list(KINDS), ordered=True)
        keys = ["staff", "date", "kind", "other", "other_date"]
        how = {"start": "min", "end": "max", "measure": "sum", "limit": "first", "unit": "first", "detail": "first"}
        out = table.groupby(keys, dropna=False, observed=True, sort=True).agg(how).reset_index()
        out["kind"] = out["kind"].astype(object)
        out["other"] = out["other"].astype(object).where(out["other"].notna(), None)
    else:
        out = pd.DataFrame({name: pd.Series(dtype=object) for name in SUSPICION_COLUMNS})
    out = out[SUSPICION_COLUMNS]
    out.attrs["parameters"] = asdict(marks)
    return out


def session_days(clean: pd.DataFrame) -> pd.DataFrame:
    """staff and date of each session, by its number."""
    first = clean[clean["session"] >= 0].drop_duplicates("session")
    return first.set_index("session")[["staff", "date"]].sort_index()


def thin_tracks(clean: pd.DataFrame, metric: pyproj.CRS | None = None) -> Thin:
    """The kept fixes of cleaned tracks, thinned for comparison; small enough to be kept for all staff and days.

    Frames whose tracks are to be compared need the same `metric` CRS; without one it is the zone of the tracks.
    """
    track = _track(clean[clean["kept"]], metric)
    return thinned(track.session, track.seconds, track.xy)


def copies(thin: Thin, days: pd.DataFrame, marks: Marks = MARKS) -> pd.DataFrame:
    """The rows "same track".

    Parameters
    ----------
    thin : Thin
        What :func:`thin_tracks` returned, of several frames joined with sessions numbered on.
    days : DataFrame
        staff and date by session.
    marks : Marks
    """
    rows = [
        {
            **_whose(days, match.one),
            "kind": "same track",
            "other": str(days.loc[match.other, "staff"]),
            "other_date": days.loc[match.other, "date"],
            "start": match.start,
            "end": match.end,
            "measure": match.minutes,
            "detail": f"{_shift(match.shift_s)}, {match.apart_m:.1f} m apart",
        }
        for match in same_tracks(thin, marks.copy_m, marks.copy_min)
    ]
    return _rows(rows, marks.copy_min, "min")


def _spot_checks(clean: pd.DataFrame, marks: Marks, parameters: Parameters) -> pd.DataFrame:
    """What a patrol says by itself."""
    days = session_days(clean)
    kept = _track(clean[clean["kept"]])
    ridden = _track(clean[clean["session"] >= 0])
    found = [
        _rows(_named(_vehicles(ridden, marks), days, "vehicle"), marks.vehicle_min, "min"),
        _rows(_named(_still(kept, marks, parameters.gap_s), days, "still"), marks.still_min, "min"),
        _rows(_named(_straight(kept, marks), days, "straight line"), marks.straight_m, "m"),
        _rows(_two_places(clean, marks, parameters), marks.apart_share, "share of fixes"),
    ]
    return pd.concat([part for part in found if len(part)] or [found[0]], ignore_index=True)


def spot_checks(
    clean: pd.DataFrame, now: pd.Timestamp, marks: Marks = MARKS, parameters: Parameters = DEFAULTS
) -> list[pd.DataFrame]:
    """All rows but "same track", of one batch of cleaned tracks."""
    return [_spot_checks(clean, marks, parameters), _clocks(clean, now, marks)]


def _track(clean: pd.DataFrame, metric: pyproj.CRS | None = None) -> _Track:
    clean = in_time(clean)
    if len(clean) == 0:
        return _Track(*(np.empty(0, dtype=np.int64),) * 2, np.empty(0), np.empty((0, 2)))
    zone = metric or crs.zone_crs(float(clean["lon"].median()), float(clean["lat"].median()))
    xy = inside.metres_of(clean, zone)
    return _Track(clean["session"].to_numpy(), clean["segment"].to_numpy(), inside.seconds_of(clean), xy)


# --- what a session says by itself: rows of session, start, end, measure, detail --------------------------------------


def _vehicles(track: _Track, marks: Marks) -> list[dict[str, Any]]:
    tick = np.floor(track.seconds / _CHORD_S)
    keep = np.ones(len(tick), dtype=bool)
    keep[1:] = (np.diff(tick) != 0) | (np.diff(track.session) != 0)
    session, seconds, xy = track.session[keep], track.seconds[keep], track.xy[keep]
    wait, metres = np.diff(seconds), np.hypot(*np.diff(xy, axis=0).T)
    fine = (np.diff(session) == 0) & (wait <= _LONGEST_CHORD_S)
    table = {"session": session[1:], "spell": np.floor(seconds[1:] / _SPELL_S), "wait": wait, "speed": metres / wait}
    table |= {"west": xy[1:, 0], "south": xy[1:, 1], "start": seconds[:-1], "end": seconds[1:]}
    steps = pd.DataFrame(table)[fine].assign(east=xy[1:, 0][fine], north=xy[1:, 1][fine])
    # The median: a fix thrown far off is no ride.
    how = {"wait": "sum", "speed": "median", "west": "min", "east": "max", "south": "min", "north": "max"}
    spells = steps.groupby(["session", "spell"]).agg({**how, "start": "min", "end": "max"}).reset_index()
    wide = np.hypot(spells["east"] - spells["west"], spells["north"] - spells["south"]) >= _RIDE_M
    spells = spells[wide & (spells["wait"] >= _SPELL_S / 2) & (spells["speed"] >= marks.vehicle_mps)]
    rides = spells.groupby("session").agg({"wait": "sum", "speed": "median", "start": "min", "end": "max"})
    rides = rides[rides["wait"] >= 60 * marks.vehicle_min]
    return [
        {"session": r.Index, "start": r.start, "end": r.end, "measure": r.wait / 60, "detail": f"{r.speed:.1f} m/s"}
        for r in rides.itertuples()
    ]


def _still(track: _Track, marks: Marks, gap_s: float) -> list[dict[str, Any]]:
    rows = []
    for a, b in spans(track.session):
        wait = np.diff(track.seconds[a:b])
        minutes = float(wait[wait <= gap_s].sum() / 60)
        if minutes < marks.still_min:
            continue
        away = np.hypot(*(track.xy[a:b] - np.median(track.xy[a:b], axis=0)).T)
        radius = float(np.quantile(away, 0.95))
        if radius <= marks.still_m:
            span = {"session": track.session[a], "start": track.seconds[a], "end": track.seconds[b - 1]}
            rows.append({**span, "measure": minutes, "detail": f"95 % within {radius:.1f} m"})
    return rows


def _straight(track: _Track, marks: Marks) -> list[dict[str, Any]]:
    if len(track.session) < _LEAST_FIXES:
        return []
    first = np.flatnonzero(np.diff(track.segment, prepend=-2))
    xy = track.xy - np.repeat(track.xy[first], np.diff(np.append(first, len(track.xy))), axis=0)
    step = np.hypot(*np.diff(track.xy, axis=0, prepend=track.xy[:1]).T)
    step[first] = 0.0
    along = np.cumsum(step)
    base = np.repeat(along[first], np.diff(np.append(first, len(track.xy))))
    stride = np.floor((along - base) / _STRIDE_M)
    a = np.flatnonzero(np.concatenate([[True], (np.diff(stride) != 0) | (np.diff(track.segment) != 0)]))
    b = np.searchsorted(along, along[a] + marks.straight_m)
    fits = b < len(along)
    a, b = a[fits], b[fits]
    fits = (track.segment[a] == track.segment[b]) & (b - a + 1 >= _LEAST_FIXES)
    a, b = a[fits], b[fits]
    # The variance across the best line is the smaller eigenvalue of the covariance.
    sums = np.zeros((len(xy) + 1, 5))
    sums[1:] = np.cumsum(np.column_stack([xy, xy**2, xy[:, 0] * xy[:, 1]]), axis=0)
    mean = (sums[b + 1] - sums[a]) / (b - a + 1)[:, None]
    xx, yy = mean[:, 2] - mean[:, 0] ** 2, mean[:, 3] - mean[:, 1] ** 2
    cross = mean[:, 4] - mean[:, 0] * mean[:, 1]
    across = (xx + yy) / 2 - np.hypot((xx - yy) / 2, cross)
    flat = across <= marks.straight_rms_m**2
    inside_one = np.zeros(len(along) + 1, dtype=np.int64)
    np.add.at(inside_one, a[flat] + 1, 1)
    np.add.at(inside_one, b[flat] + 1, -1)
    drawn = np.flatnonzero(np.cumsum(inside_one)[:-1] > 0)
    table = pd.DataFrame({"session": track.session[drawn], "m": step[drawn], "s": track.seconds[drawn]})
    groups = table.groupby("session").agg(m=("m", "sum"), start=("s", "min"), end=("s", "max"))
    detail = f"pieces of {marks.straight_m:g} m within {marks.straight_rms_m:g} m"
    return [
        {"session": r.Index, "start": r.start, "end": r.end, "measure": r.m, "detail": detail}
        for r in groups.itertuples()
    ]


# --- what the times say -----------------------------------------------------------------------------------------------


def _two_places(clean: pd.DataFrame, marks: Marks, parameters: Parameters) -> list[dict[str, Any]]:
    """Fixes that lie elsewhere than those before and after them, or than another of the same moment."""
    table = clean[(clean["session"] >= 0) | (clean["why"] == "same time")]
    if len(table) < 3:
        return []
    code, names = pd.factorize(table["staff"])
    seconds = inside.seconds_of(table)
    xy = inside.metres_of(table, crs.zone_crs(float(table["lon"].median()), float(table["lat"].median())))
    same, wait, way = np.diff(code) == 0, np.diff(seconds), np.hypot(*np.diff(xy, axis=0).T)
    far = same & (way >= marks.apart_m) & (way > parameters.max_speed_mps * wait) & (wait <= _ELSEWHERE_S)
    odd = np.zeros(len(table), dtype=bool)
    back = np.hypot(*(xy[2:] - xy[:-2]).T) <= _BACK_M
    odd[1:-1] = far[:-1] & far[1:] & back
    odd[1:] |= far & (wait == 0)
    day = _local_days(table["time"], parameters.timezone)
    groups = pd.DataFrame({"code": code, "date": day, "odd": odd, "s": seconds}).groupby(["code", "date"])
    sums = groups.agg(odd=("odd", "sum"), share=("odd", "mean"), start=("s", "min"), end=("s", "max")).reset_index()
    sums = sums[(sums["odd"] >= _LEAST_ELSEWHERE) & (sums["share"] >= marks.apart_share)]
    detail = f"further than {marks.apart_m:g} m from the fixes around them"
    return [
        {
            "staff": str(names[r.code]), "date": r.date, "kind": "two places", "start": r.start, "end": r.end,
            "measure": r.share, "detail": f"{r.odd} fixes {detail}",
        }
        for r in sums.itertuples()
    ]  # fmt: skip


def _clocks(clean: pd.DataFrame, now: pd.Timestamp, marks: Marks) -> pd.DataFrame:
    late = clean[clean["time"] > now + pd.Timedelta(seconds=marks.future_s)]
    rows = [
        {
            "staff": str(staff), "date": day, "kind": "future time", "measure": float(len(part)),
            "start": inside.seconds_of(part).min(), "end": inside.seconds_of(part).max(),
            "detail": f"later than {now:%Y-%m-%dT%H:%MZ}",
        }
        for (staff, day), part in late.groupby(["staff", "date"])
    ]  # fmt: skip
    old = clean[clean["why"].isin(["no time", "before GPS"])]
    for staff, part in old.groupby("staff"):
        known = part["time"].dropna()
        detail = f"the earliest of {known.min():%Y-%m-%d}" if len(known) else "no time at all"
        row = {"staff": str(staff), "date": pd.NaT, "kind": "wrong clock", "start": np.nan, "end": np.nan}
        rows.append({**row, "measure": float(len(part)), "detail": detail})
    return _rows(rows, 0.0, "fixes")


def _local_days(time: pd.Series, timezone: str) -> NDArray[Any]:
    local = time.dt.tz_convert(timezone).dt.tz_localize(None).dt.normalize()
    return np.asarray(local.to_numpy(), dtype="datetime64[us]")


# --- rows -------------------------------------------------------------------------------------------------------------


def _named(rows: list[dict[str, Any]], days: pd.DataFrame, kind: str) -> list[dict[str, Any]]:
    return [{**_whose(days, row["session"]), "kind": kind, **row} for row in rows]


def _whose(days: pd.DataFrame, session: int) -> dict[str, Any]:
    return {"staff": str(days.loc[session, "staff"]), "date": days.loc[session, "date"]}


def _rows(rows: list[dict[str, Any]], limit: float, unit: str) -> pd.DataFrame:
    """Rows as a table; start and end, seconds since 1970, become times."""
    columns = ["staff", "date", "kind", "other", "other_date", "start", "end", "measure", "detail"]
    table = pd.DataFrame(rows, columns=columns).assign(limit=limit, unit=unit)
    for name in ("start", "end"):
        table[name] = pd.to_datetime(table[name].astype(float).round(3), unit="s", utc=True).dt.as_unit("us")
    for name in ("date", "other_date"):
        table[name] = pd.to_datetime(table[name]).astype("datetime64[us]")
    return table


def _shift(seconds: float) -> str:
    """A shift as days, hours, minutes and seconds.

    Examples
    --------
    >>> _shift(86400.2), _shift(-3725), _shift(0.1)
    ('1 d later', '1 h 2 min 5 s earlier', 'at the same time')
    """
    left = round(abs(seconds))
    if left == 0:
        return "at the same time"
    words = []
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            words.append(f"{count} {unit}")
    return f"{' '.join(words)} {'later' if seconds > 0 else 'earlier'}"
