"""Person to house: by the house's code, else by address, else by place; never a guess."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gridgis import crs
from gridgis.assign.addresses import CANDIDATES, WEAK_SCORE, AddressIndex
from gridgis.assign.nearest import Nearest, nearest_houses, nearest_inside
from gridgis.errors import GridgisWarning, InputError, SchemaError
from gridgis.schema import codes_as_text, ids_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Texts = NDArray[np.object_]


def assign_persons(
    persons: pd.DataFrame,
    houses: pd.DataFrame,
    *,
    within: float = 30.0,
    buildings: gpd.GeoDataFrame | None = None,
    compounds: pd.DataFrame | None = None,
    place: str = "",
) -> pd.DataFrame:
    """The house of each person.

    Parameters
    ----------
    persons : DataFrame or GeoDataFrame
        With any of `house` (a house's code), `address`, and points in any CRS.
    houses : DataFrame or GeoDataFrame
        With unique `code`, and `address` and points or footprints where those are to be used.
    within : float
        Metres: by place, a house is taken no further away than this. A person inside a footprint is at 0 m.
    buildings : GeoDataFrame, optional
        With `code` and footprints: by place, who stands in a building belongs to the nearest of its houses (those with
        this `building`), however far, and to no other.
    compounds : DataFrame, optional
        With `name` and `address`: housing estates, so that 望汀府4栋 is found as 兰桥路40弄4号.
    place : str
        The areas that all houses lie in (晴岚市渚南区望汀街道): an address that names another one is not here.

    Returns
    -------
    DataFrame or GeoDataFrame
        `persons`, the same index, with

        - ``house``: code of the house found, or None. What was given is kept as ``house_given``.
        - ``house_how``: code, address, nearest, ambiguous or none.
        - ``house_score``: 1 for a code, the share of equal parts for an address (the best one where ambiguous), else
          NaN.
        - ``house_distance_m``: metres to the house for nearest (0 inside its footprint), else NaN.
        - ``house_candidates``: where ambiguous, the codes of the houses in question, sorted as text and parted by
          ``;``: ten, and ``…`` where there are more. Else None.

        A given code that no house has falls through to the address, an address that nothing fits to the place.
        Several houses that fit equally well, or one that fits weakly, are ambiguous and end the search.
        ``attrs["parameters"]`` carries within_m and weak_score.

    Raises
    ------
    SchemaError
        If there are no houses, they have no `code`, or codes that are missing or not unique; if addresses are not text.
    CRSError
        If points are compared and one side has no CRS.
    InputError
        If `within` is not a number ≥ 0.

    Warns
    -----
    GridgisWarning
        If persons give addresses, and no house has one.

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
    if not len(codes):
        raise SchemaError("there are no houses", wanted="at least one")
    # By code, so that what is in doubt is listed in that order, whatever the order of the rows.
    order = np.argsort(codes.astype(str), kind="stable")
    found = _Found(persons, codes[order])
    _by_address(found, persons, houses.iloc[order], _estates(compounds), place)
    if buildings is not None:
        _by_building(found, persons, houses.iloc[order], buildings)
    _by_place(found, persons, houses.iloc[order], within)
    out = persons.copy()
    for name, values in found.columns().items():
        out[name] = values
    used = {"within_m": float(within), "weak_score": WEAK_SCORE}
    out.attrs["parameters"] = {**out.attrs.get("parameters", {}), **used}
    return out


def households_of(persons: pd.DataFrame) -> pd.DataFrame:
    """The house of each household: that of its persons, where they do not contradict each other.

    Parameters
    ----------
    persons : DataFrame
        As :func:`assign_persons` returns it, with `household`: the id of a household.

    Returns
    -------
    DataFrame
        One row a household, sorted by its id as text: ``code``, ``house`` (None where no person of it has one, or where
        they have several), ``persons``, ``found`` (persons with a house), ``contradicts``, and ``houses``: all houses
        of its persons, sorted as text, parted by ``;``.

    Raises
    ------
    SchemaError
        If persons have no `household` or no `house`.

    Examples
    --------
    >>> persons = pd.DataFrame({"household": ["1", "1", "2", "2"], "house": ["H1", None, "H1", "H2"]})
    >>> households_of(persons)[["code", "house", "contradicts", "houses"]].values.tolist()
    [['1', 'H1', False, 'H1'], ['2', None, True, 'H1;H2']]
    """
    for column in ("household", "house"):
        if column not in persons.columns:
            found = ", ".join(map(repr, map(str, persons.columns)))
            raise SchemaError(f"persons need the column {column!r}", found=found)
    table = pd.DataFrame({"code": codes_as_text(persons["household"]), "house": codes_as_text(persons["house"])})
    groups = table[table["code"].notna()].groupby("code", sort=True)["house"]
    there = groups.agg(lambda houses: sorted(set(houses.dropna())))
    out = pd.DataFrame({"code": pd.Series(there.index, dtype=object)})
    one = [houses[0] if len(houses) == 1 else None for houses in there]
    out["house"] = pd.Series(one, index=out.index, dtype=object)
    out["persons"], out["found"] = groups.size().to_numpy(dtype=np.int64), groups.count().to_numpy(dtype=np.int64)
    out["contradicts"] = np.array([len(houses) > 1 for houses in there], dtype=bool)
    out["houses"] = pd.Series([";".join(houses) or None for houses in there], index=out.index, dtype=object)
    return out


class _Found:
    """What is known of each person so far: row of the house, how, score, distance, candidates."""

    def __init__(self, persons: pd.DataFrame, codes: Texts) -> None:
        size = len(persons)
        self.codes, self.given = codes, given_houses(persons)
        self.row = pd.Index(codes).get_indexer(self.given).astype(np.int64)
        self.row[self.given.isna().to_numpy()] = -1
        self.how: Texts = np.where(self.row >= 0, "code", "none").astype(object)
        self.score = np.where(self.row >= 0, 1.0, np.nan)
        self.distance = np.full(size, np.nan)
        self.candidates: Texts = np.full(size, None, dtype=object)

    def open(self) -> NDArray[np.bool_]:
        """Persons without a house and without a doubt."""
        return np.asarray(self.how == "none", dtype=bool)

    def doubt(self, person: int, rows: Iterable[int]) -> None:
        listed = list(rows)
        more = ["…"] if len(listed) > CANDIDATES else []
        self.candidates[person] = ";".join([*self.codes[listed[:CANDIDATES]], *more])

    def columns(self) -> dict[str, pd.Series]:
        """The columns that persons get, in order."""
        index = self.given.index
        houses = np.append(self.codes, np.array([None]))[self.row]
        return {
            "house_given": self.given,
            "house": pd.Series(houses, index=index, dtype=object),
            "house_how": pd.Series(self.how, index=index, dtype=object),
            "house_score": pd.Series(self.score, index=index),
            "house_distance_m": pd.Series(self.distance, index=index),
            "house_candidates": pd.Series(self.candidates, index=index, dtype=object),
        }


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


def _by_address(
    found: _Found, persons: pd.DataFrame, houses: pd.DataFrame, estates: list[tuple[str, str]], place: str
) -> None:
    """Fill in, for persons without a house so far, what their address says."""
    if "address" not in persons.columns or "address" not in houses.columns:
        return
    given = _texts(persons["address"], "persons")
    which = np.flatnonzero(found.open() & given.notna().to_numpy())
    if not len(which):
        return
    known = _texts(houses["address"], "houses")
    if known.isna().all():
        warnings.warn("houses: the column 'address' is empty; nobody is found by address", GridgisWarning, stacklevel=3)
        return
    matches = AddressIndex(known, place=place, estates=estates).find_all(given.to_numpy()[which].tolist())
    told = matches.how != "none"
    rows = which[told]
    found.row[rows], found.how[rows], found.score[rows] = (values[told] for values in matches[:3])
    for person, candidates in zip(rows.tolist(), matches.candidates[told].tolist(), strict=True):
        if candidates:
            found.doubt(person, candidates)


def _texts(addresses: pd.Series, source: str) -> pd.Series:
    """Addresses as text, None where blank; an error where some are numbers or anything else."""
    cells = addresses.to_numpy(dtype=object)
    wrong = np.array([type(v) is not str for v in cells], dtype=bool) & addresses.notna().to_numpy()
    if wrong.any():
        first = cells[np.flatnonzero(wrong)[0]]
        raise SchemaError(
            "addresses that are not text", source=source, ids=ids_of(addresses.to_frame(), wrong, None),
            found=repr(first), wanted="text, as 成府路28号", remedy="Is this the column of addresses?",
        )  # fmt: skip
    return codes_as_text(addresses)


def _estates(compounds: pd.DataFrame | None) -> list[tuple[str, str]]:
    """Name and address of the compounds that have both."""
    if compounds is None or not {"name", "address"} <= set(compounds.columns):
        return []
    named = compounds[compounds["name"].notna() & compounds["address"].notna()]
    return sorted(set(zip(named["name"].astype(str), named["address"].astype(str), strict=True)))


def _by_place(found: _Found, persons: pd.DataFrame, houses: pd.DataFrame, within: float) -> None:
    """Fill in, for persons without a house and without doubt so far, the nearest house."""
    if not (isinstance(persons, gpd.GeoDataFrame) and isinstance(houses, gpd.GeoDataFrame)):
        return
    which = _placed(found, persons)
    if not len(which) or (houses.geometry.isna() | houses.geometry.is_empty).all():
        return
    near = nearest_houses(
        np.asarray(persons.geometry.array, dtype=object)[which], crs.require_crs(persons, "persons"),
        np.asarray(houses.geometry.array, dtype=object), crs.require_crs(houses, "houses"),
        crs.metric_crs(houses), within,
    )  # fmt: skip
    _take(found, which, near)


def _by_building(found: _Found, persons: pd.DataFrame, houses: pd.DataFrame, buildings: gpd.GeoDataFrame) -> None:
    """Fill in, for persons without a house and without doubt so far, the nearest house of the building they are in."""
    if not (isinstance(persons, gpd.GeoDataFrame) and "building" in houses.columns):
        return
    which = _placed(found, persons)
    source, ground = crs.require_crs(persons, "persons"), crs.require_crs(buildings, "buildings")
    points = np.asarray(persons.geometry.array, dtype=object)[which]
    footprints = np.asarray(buildings.geometry.array, dtype=object)
    point, building = shapely.STRtree(footprints).query(crs.project(points, source, ground), predicate="intersects")
    inside = pd.DataFrame({"point": point, "building": unique_codes(buildings, "buildings")[building]})
    homes = pd.DataFrame({"building": codes_as_text(houses["building"]).to_numpy(), "row": np.arange(len(houses))})
    pairs = inside.merge(homes[homes["building"].notna()], on="building").sort_values(["point", "row"])
    if not len(pairs):
        return
    nowhere: Texts = np.full(len(houses), None, dtype=object)
    placed = isinstance(houses, gpd.GeoDataFrame)
    near = nearest_inside(
        points, source, np.asarray(houses.geometry.array, dtype=object) if placed else nowhere,
        crs.require_crs(houses, "houses") if placed else source, crs.metric_crs(buildings),
        (pairs["point"].to_numpy(), pairs["row"].to_numpy()),
    )  # fmt: skip
    _take(found, which, near)


def _placed(found: _Found, persons: gpd.GeoDataFrame) -> Ints:
    """Persons without a house and without doubt so far who have a place."""
    there = ~(persons.geometry.isna() | persons.geometry.is_empty).to_numpy()
    return np.flatnonzero(found.open() & there)


def _take(found: _Found, which: Ints, near: Nearest) -> None:
    """The nearest houses of these persons, and the doubt where several are as near."""
    taken = (near.row >= 0) & ~near.tied
    found.how[which[taken]], found.how[which[near.tied]] = "nearest", "ambiguous"
    found.row[which[taken]], found.distance[which[taken]] = near.row[taken], near.distance[taken]
    starts = np.flatnonzero(np.diff(near.ties[0], prepend=-1))
    for person, rows in zip(near.ties[0][starts], np.split(near.ties[1], starts[1:]), strict=False):
        found.doubt(int(which[person]), rows.tolist())
