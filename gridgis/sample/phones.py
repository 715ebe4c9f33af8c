"""What phones and their owners do to tracks: jumps, gaps, a phone on a desk, a track handed in twice, a car, GCJ-02."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gridgis.crs import wgs84_to_gcj02
from gridgis.sample.plane import SEED, degrees_of
from gridgis.sample.staff import DAYS, LEAVE, STORM_DAY
from gridgis.sample.tracks import ODD_MINUTES, Round, Walk, drift
from gridgis.sample.truth import Planted

TRACKS_FILE, SHIFTED_FILE, GPX_FOLDER = "tracks.parquet", "tracks_gcj02.parquet", "tracks"

#: Who does what on which day, by the number of the walker.
JUMPS = (4, "2026-03-04")
GAP = (5, "2026-03-05")
DESK = (6, "2026-03-06")
REPLAY = (7, "2026-03-09", "2026-03-10")
CAR = (8, "2026-03-05")
SHIFTED = (9, 10)

_JUMPS, _JUMP_M = 14, (200.0, 800.0)
_GAP_S = 12 * 60
_DESK_NOISE = 0.8
_CAR_MPS = 5.0
_DAY_S = 86_400


class Recorded(NamedTuple):
    """Fixes in WGS 84, fixes of the phones that record GCJ-02, the GPX text of one day, and what was planted."""

    fixes: pd.DataFrame
    shifted: pd.DataFrame
    gpx: tuple[str, str]
    planted: list[Planted]


def record(walks: list[Walk], rounds: list[Round], walking: list[tuple[str, str]]) -> Recorded:
    """The walks as they are handed in, faults and all."""
    handed_in = [_spoilt(walk, rounds[walk.walker]) for walk in walks]
    handed_in = _replayed(handed_in)
    plain = [walk for walk in handed_in if walk.walker not in SHIFTED]
    fixes, other = (_table(part, walking) for part in (plain, [walk for walk in handed_in if walk.walker in SHIFTED]))
    lon, lat = wgs84_to_gcj02(other["lon"], other["lat"])
    shifted = other.assign(lon=np.round(lon, 7), lat=np.round(lat, 7))
    return Recorded(fixes, shifted, _gpx(handed_in, walking), _planted([who for who, _ in walking]))


def _spoilt(walk: Walk, its: Round) -> Walk:
    """The walk with the fault of its worker and day, if there is one."""
    key = (walk.walker, walk.day)
    rng = np.random.default_rng([SEED, 7, walk.walker, int(walk.seconds[0])])
    count = len(walk.seconds)
    if key == JUMPS:
        rows = rng.choice(count, _JUMPS, replace=False)
        angle, far = rng.uniform(0, 2 * np.pi, _JUMPS), rng.uniform(*_JUMP_M, _JUMPS)
        xy = walk.xy.copy()
        xy[rows] += np.column_stack([np.cos(angle), np.sin(angle)]) * far[:, None]
        return walk._replace(xy=xy)
    if key == GAP and walk.half == 0:
        kept = np.r_[0 : int(0.4 * count), int(0.4 * count) + _GAP_S : count]
        return walk._replace(seconds=walk.seconds[kept], xy=walk.xy[kept], accuracy=walk.accuracy[kept])
    if key == DESK:
        noise = np.column_stack([drift(count, 30.0, rng), drift(count, 30.0, rng)]) * _DESK_NOISE
        return walk._replace(xy=its.calls[0] + noise)
    if key == CAR and walk.half == 1:
        speed = np.clip(_CAR_MPS * (1 + 0.03 * drift(count, 90.0, rng)), 4.4, 5.2)
        noise = np.column_stack([drift(count, 60.0, rng), drift(count, 60.0, rng)]) * 0.6
        return walk._replace(xy=its.at(np.cumsum(speed)) + noise)
    return walk


def _replayed(walks: list[Walk]) -> list[Walk]:
    """One worker hands in the tracks of one day again on the next, every fix a day later."""
    walker, first, again = REPLAY
    own = [walk for walk in walks if walk.walker == walker and walk.day == first]
    copies = [walk._replace(day=again, seconds=walk.seconds + _DAY_S) for walk in own]
    return [walk for walk in walks if (walk.walker, walk.day) != (walker, again)] + copies


def _table(walks: list[Walk], walking: list[tuple[str, str]]) -> pd.DataFrame:
    """Fixes by staff and time: staff, time (UTC), lon, lat, accuracy (metres)."""
    walks = sorted(walks, key=lambda walk: (walking[walk.walker][0], int(walk.seconds[0])))
    degrees = degrees_of(np.vstack([walk.xy for walk in walks]))
    size = [len(walk.seconds) for walk in walks]
    staff = pd.Categorical.from_codes(
        np.repeat([walk.walker for walk in walks], size), categories=[who for who, _ in walking]
    )
    seconds: NDArray[np.int64] = np.concatenate([walk.seconds for walk in walks])
    return pd.DataFrame(
        {
            "staff": np.asarray(staff, dtype=object),
            "time": pd.to_datetime(seconds, unit="s", utc=True).as_unit("us"),
            "lon": degrees[:, 0],
            "lat": degrees[:, 1],
            "accuracy": np.concatenate([walk.accuracy for walk in walks]),
        }
    )


def _gpx(walks: list[Walk], walking: list[tuple[str, str]]) -> tuple[str, str]:
    """The first walker's first day as GPX: name of the file and its text."""
    who, day = walking[0][0], DAYS[0]
    parts = []
    for walk in walks:
        if walk.walker == 0 and walk.day == day:
            times = pd.to_datetime(walk.seconds, unit="s").strftime("%Y-%m-%dT%H:%M:%SZ")
            points = zip(degrees_of(walk.xy).tolist(), times, strict=True)
            fixes = [
                f'<trkpt lat="{lat:.7f}" lon="{lon:.7f}"><time>{time}</time></trkpt>' for (lon, lat), time in points
            ]
            parts.append("<trkseg>\n" + "\n".join(fixes) + "\n</trkseg>")
    head = '<gpx version="1.1" creator="gridgis sample" xmlns="http://www.topografix.com/GPX/1/1">'
    body = "\n".join(parts)
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{head}\n<trk><name>{who}</name>\n{body}\n</trk>\n</gpx>\n'
    return f"{GPX_FOLDER}/{who}-{day}.gpx", text


# --- the list ---------------------------------------------------------------------------------------------------------


def _planted(ids: list[str]) -> list[Planted]:
    """What is wrong with the tracks; `rule`, `date` and `result` say what the rules make of it today."""
    (_, short_day, _), (_, missing_day, _) = ODD_MINUTES
    rows = [
        _fault(ids[1], "short", short_day, "R4-04", "an afternoon of 35 minutes"),
        _fault(ids[3], "missing", missing_day, "R4-03", "no walk in the afternoon, and no leave"),
        _fault(
            ids[GAP[0]], "gap", GAP[1], "R4-04", "the phone was off for 12 minutes, so that less than an hour is left"
        ),
        _fault(ids[DESK[0]], "desk", DESK[1], "R4-06", "the phone lay on a desk all day"),
    ]
    for number, day in LEAVE:
        rows.append(_fault(ids[number], f"leave-{day}", day, "R4-03", "leave", "excused"))
    walked = [who for number, who in enumerate(ids[:-1]) if number not in SHIFTED]
    rows.append(
        Planted(
            "track-storm", "patrol", TRACKS_FILE, tuple(walked), "storm", "patrol", "declared weather: a short walk",
            {"rule": "R4-03", "date": STORM_DAY, "result": "excused"},
        )
    )  # fmt: skip
    jumps = {"date": JUMPS[1], "count": 2 * _JUMPS}
    rows.append(
        Planted("track-jumps", "patrol", TRACKS_FILE, (ids[JUMPS[0]],), "jump", "patrol", "single fixes far off", jumps)
    )
    shifted = tuple(ids[number] for number in SHIFTED)
    rows.append(
        Planted(
            "track-gcj02", "patrol", SHIFTED_FILE, shifted, "gcj02", "patrol --datum gcj02",
            "two phones that record GCJ-02; read as WGS 84 they are some 500 m off",
        )
    )  # fmt: skip
    who, first, again = ids[REPLAY[0]], *REPLAY[1:]
    replay = {"date": again, "of": first}
    detail = f"the track of {first} handed in again, each fix a day later"
    rows.append(Planted("track-replayed", "replayed track", TRACKS_FILE, (who,), "replayed", "patrol", detail, replay))
    detail = "an afternoon by car in slow traffic, 5 m/s: below what counts as too fast"
    car = {"date": CAR[1]}
    rows.append(Planted("track-car", "vehicle", TRACKS_FILE, (ids[CAR[0]],), "vehicle", "patrol", detail, car))
    return rows


def _fault(who: str, kind: str, day: str, rule: str, detail: str, result: str = "missed") -> Planted:
    more = {"rule": rule, "date": day, "result": result}
    return Planted(f"track-{kind}", "patrol", TRACKS_FILE, (who,), kind.partition("-")[0], "patrol", detail, more)
