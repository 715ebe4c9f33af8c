"""Stay points: where somebody on patrol stood or sat for a while."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gridgis import crs
from gridgis.errors import InputError
from gridgis.patrol import inside
from gridgis.patrol.compiled import compile_loop
from gridgis.patrol.tracks import DEFAULTS, cleaned, in_time, on_duty
from gridgis.profile import Parameters

#: From this many fixes the compiled loop pays for its import.
_COMPILE_FROM = 100_000

STAY_COLUMNS = ["staff", "date", "from", "to", "minutes", "lon", "lat", "fixes"]


def stay_points(
    fixes: pd.DataFrame,
    postings: pd.DataFrame | None = None,
    *,
    radius_m: float = 30.0,
    least_min: float = 10.0,
    parameters: Parameters = DEFAULTS,
) -> pd.DataFrame:
    """Where and how long those on patrol stayed within a few metres.

    Parameters
    ----------
    fixes : DataFrame
        What :func:`gridgis.patrol.tracks.clean_tracks` returned; or fixes as read, which are then cleaned with
        `parameters`.
    postings : DataFrame, optional
        staff, and from, to (dates, both included; missing is open). With it only stays of days on which the staff had a
        posting are listed: where somebody is who is not on duty is nobody's business.
    radius_m : float
        A stay lasts until a fix lies further from its first.
    least_min : float
        Shorter ones, in minutes, are none.
    parameters : Parameters
        Those of the cleaning.

    Returns
    -------
    DataFrame
        staff, date (local day of the patrol), from, to (UTC), minutes, lon, lat (mean of its fixes), fixes (count),
        sorted by staff and from. ``attrs["parameters"]`` holds both limits and those of the cleaning.

    Raises
    ------
    InputError
        A radius or duration that is not above 0.

    Notes
    -----
    The rule of Li et al. (2008), Mining user similarity based on location history, within segments: a stay does not
    go on over a gap.
    """
    for name, value in (("radius", radius_m), ("duration", least_min)):
        if not 0 < value < np.inf:
            raise InputError(f"the {name} of a stay must be above 0", found=repr(value))
    clean = cleaned(fixes, parameters)
    used = clean.attrs["parameters"] | {"radius_m": radius_m, "least_min": least_min}
    clean = in_time(clean[clean["kept"]])
    if len(clean):
        zone = crs.zone_crs(float(clean["lon"].median()), float(clean["lat"].median()))
        xy, seconds = inside.metres_of(clean, zone), inside.seconds_of(clean)
        first, last = _stays(clean["segment"].to_numpy(), seconds, xy, radius_m, 60 * least_min)
    else:
        first = last = np.empty(0, dtype=np.int64)
    times = clean["time"]
    out = pd.DataFrame(
        {
            "staff": clean["staff"].to_numpy()[first],
            "date": clean["date"].to_numpy()[first],
            "from": times.iloc[first].array,
            "to": times.iloc[last].array,
            "minutes": (times.iloc[last].array - times.iloc[first].array).total_seconds() / 60,
            "lon": _means(clean["lon"].to_numpy(dtype=float), first, last),
            "lat": _means(clean["lat"].to_numpy(dtype=float), first, last),
            "fixes": last - first + 1,
        }
    )
    if postings is not None:
        out = out[on_duty(out["staff"], out["date"], postings)]
    out = out.sort_values(["staff", "from"], kind="stable", ignore_index=True)
    out.attrs["parameters"] = used
    return out


def _means(values: NDArray[np.float64], first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean of each stay, whatever stands around it."""
    if len(first) == 0:
        return np.empty(0)
    sums = np.add.reduceat(np.append(values, 0.0), np.column_stack([first, last + 1]).ravel())[::2]
    return np.asarray(sums / (last - first + 1), dtype=float)


def _stays(
    segment: NDArray[np.int64], seconds: NDArray[np.float64], xy: NDArray[np.float64], radius: float, least: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last fix of each stay."""
    x, y = np.ascontiguousarray(xy[:, 0]), np.ascontiguousarray(xy[:, 1])
    loop = compile_loop(_stay_loop) if len(segment) >= _COMPILE_FROM else None
    ends: Any = np.full(len(segment), -1, dtype=np.int64)
    if loop is None:  # plain lists: a loop over them is several times faster than one over arrays
        plain = segment.tolist(), seconds.tolist(), x.tolist(), y.tolist()
        ends = _stay_loop(plain[0], plain[1], plain[2], plain[3], radius, least, ends.tolist())
    else:
        ends = loop(segment, seconds, x, y, radius, least, ends)
    ends = np.asarray(ends, dtype=np.int64)
    first = np.flatnonzero(ends >= 0)
    return first, ends[first]


def _stay_loop(segment: Any, seconds: Any, x: Any, y: Any, radius: float, least: float, ends: Any) -> Any:
    count = len(segment)
    limit = radius * radius
    i = 0
    j = 0
    while i < count:
        j = i + 1
        while j < count and segment[j] == segment[i] and (x[j] - x[i]) ** 2 + (y[j] - y[i]) ** 2 <= limit:
            j += 1
        if seconds[j - 1] - seconds[i] >= least:
            ends[i] = j - 1
            i = j
        else:
            i += 1
    return ends
