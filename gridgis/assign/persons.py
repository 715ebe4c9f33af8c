"""Person to house: by the house's code, else by address, else by place; never a guess."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gridgis import crs
from gridgis.assign.addresses import WEAK_SCORE, AddressIndex
from gridgis.errors import InputError, SchemaError
from gridgis.schema import codes_as_text

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Texts = NDArray[np.object_]

#: Houses whose distances differ by less (metres) are equally near: ambiguous.
_EQUAL_M = 1e-6


def assign_persons(persons: pd.DataFrame, houses: pd.DataFrame, *, within: float = 30.0) -> pd.DataFrame:
    """The house of each person.

    Parameters
    ----------
    persons : DataFrame or GeoDataFrame
        With any of `house` (a house's code), `address`, and points in any CRS.
    houses : DataFrame or GeoDataFrame
        With unique `code`, and `address` and points where those are to be used.
    within : float
        Metres: by place, a house is taken no further away than this.

    Returns
    -------
    DataFrame or GeoDataFrame
        `persons`, the same index, with

        - ``house``: code of the house found, or None. What was given is kept as ``house_given``.
        - ``house_how``: code, address, nearest, ambiguous or none.
        - ``house_score``: 1 for a code, the share of equal parts for an address (the best one where ambiguous), else
          NaN.
        - ``house_distance_m``: metres to the house for nearest, else NaN.

        A given code that no house has falls through to the address, an address that nothing fits to the place.
        Several houses that fit equally well, or one that fits weakly, are ambiguous and end the search.
        ``attrs["parameters"]`` carries within_m and weak_score.

    Raises
    ------
    SchemaError
        If houses have no `code`, or codes that are missing or not unique.
    CRSError
        If points are compared and one side has no CRS.
    InputError
        If `within` is not a number ≥ 0.

    Examples
    --------
    >>> import pandas as pd
    >>> houses = pd.DataFrame({"code": ["H1", "H2"], "address": ["成府路28号", "成府路30号"]})
    >>> persons = pd.DataFrame({"id": ["1", "2", "3"], "house": ["H2", None, "H9"],
    ...                         "address": [None, "北京市成府路二十八号", None]})
    >>> assign_persons(persons, houses)[["house", "house_how"]].values.tolist()
    [['H2', 'code'], ['H1', 'address'], [None, 'none']]
    """
    if not (np.isfinite(within) and within >= 0):
        raise InputError("within must be metres ≥ 0", found=repr(within))
    codes = unique_codes(houses, "houses")
    given = given_houses(persons)
    row = pd.Index(codes).get_indexer(given).astype(np.int64)
    row[given.isna().to_numpy()] = -1
    how: Texts = np.where(row >= 0, "code", "none").astype(object)
    score, distance = np.where(row >= 0, 1.0, np.nan), np.full(len(persons), np.nan)
    _by_address(persons, houses, row, how, score)
    _by_place(persons, houses, within, row, how, distance)
    out = persons.copy()
    out["house_given"] = given
    out["house"] = pd.Series(np.append(codes, np.array([None]))[row], index=out.index, dtype=object)
    out["house_how"] = pd.Series(how, index=out.index, dtype=object)
    out["house_score"] = score
    out["house_distance_m"] = distance
    used = {"within_m": float(within), "weak_score": WEAK_SCORE}
    out.attrs["parameters"] = {**out.attrs.get("parameters", {}), **used}
    return out


def unique_codes(frame: pd.DataFrame, what: str) -> Texts:
    """The codes of houses or buildings as text: each there, each once, else a :class:`SchemaError`."""
    if "code" not in frame.columns:
        raise SchemaError(f"{what} need the column 'code'", found=", ".join(map(repr, map(str, frame.columns))))
    codes = codes_as_text(frame["code"])
    if codes.isna().any():
        raise SchemaError(f"{what} without a code", ids=(np.flatnonzero(codes.isna()) + 1).tolist())
    doubled = codes.duplicated(keep=False)
    if doubled.any():
        raise SchemaError(f"the codes of {what} are not unique", ids=sorted(set(codes[doubled])))
    return np.asarray(codes, dtype=object)


def given_houses(persons: pd.DataFrame) -> pd.Series:
    """The house codes given for persons, as text; what was given at first where persons were assigned before."""
    for column in ("house_given", "house"):
        if column in persons.columns:
            return codes_as_text(persons[column])
    return pd.Series(None, index=persons.index, dtype=object)


def _by_address(persons: pd.DataFrame, houses: pd.DataFrame, row: Ints, how: Texts, score: Floats) -> None:
    """Fill in, for persons without a house so far, what their address says."""
    if "address" not in persons.columns or "address" not in houses.columns:
        return
    addresses = persons["address"].to_numpy(dtype=object)
    index: AddressIndex | None = None
    for person in np.flatnonzero((row < 0) & persons["address"].notna().to_numpy()):
        if index is None:
            index = AddressIndex(houses["address"])
        match = index.find(str(addresses[person]))
        if match.how != "none":
            row[person], how[person], score[person] = match


def _by_place(
    persons: pd.DataFrame, houses: pd.DataFrame, within: float, row: Ints, how: Texts, distance: Floats
) -> None:
    """Fill in, for persons without a house and without doubt so far, the nearest house."""
    if not (isinstance(persons, gpd.GeoDataFrame) and isinstance(houses, gpd.GeoDataFrame)):
        return
    left = np.flatnonzero(how == "none")
    points = np.asarray(persons.geometry.array, dtype=object)[left]
    left, points = left[~_placeless(points)], points[~_placeless(points)]
    targets = np.asarray(houses.geometry.array, dtype=object)
    housed = np.flatnonzero(~_placeless(targets))
    if len(left) == 0 or len(housed) == 0:
        return
    source, target = crs.require_crs(persons, "persons"), crs.require_crs(houses, "houses")
    metric = crs.metric_crs(houses)
    goal, housed = _metres(targets[housed], housed, target, metric)
    start, person = _metres(points, left, source, metric)
    metres, nearest = cKDTree(goal).query(start, k=2, distance_upper_bound=within + 2 * _EQUAL_M)
    near = metres[:, 0] <= within
    tied = near & (metres[:, 1] <= metres[:, 0] + _EQUAL_M)
    how[person[tied]] = "ambiguous"
    taken = near & ~tied
    how[person[taken]] = "nearest"
    row[person[taken]], distance[person[taken]] = housed[nearest[taken, 0]], metres[taken, 0]


def _placeless(points: NDArray[np.object_]) -> NDArray[np.bool_]:
    return np.asarray(shapely.is_missing(points) | shapely.is_empty(points), dtype=bool)


def _metres(shapes: NDArray[np.object_], rows: Ints, source: pyproj.CRS, metric: pyproj.CRS) -> tuple[Floats, Ints]:
    """x and y in metres of the points (or centres) and their rows, without those that the CRS cannot hold."""
    xy = shapely.get_coordinates(crs.project(shapely.centroid(shapes), source, metric))
    sound = np.isfinite(xy).all(axis=1)
    return xy[sound], rows[sound]
