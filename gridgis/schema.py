"""The nouns: columns, types and geometry of each table, and :func:`check` at the door.

Every table that a user hands in passes :func:`check` once, where it is read; behind the door its columns can be
trusted. Columns that no table names travel along untouched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gridgis.errors import GeometryError, SchemaError
from gridgis.rules import ROLES as ROLES

Kind = Literal["code", "text", "whole", "number", "date", "time"]
Shape = Literal["polygon", "line", "point", "any"]

BARRIER_CLASSES = ("river", "railway", "expressway", "main", "secondary", "lane", "wall")
STRONG_BARRIERS = ("river", "railway", "expressway", "main", "secondary")
GRID_KINDS = ("residential", "street-face", "extension", "dedicated", "professional")
COMPOUND_KINDS = ("managed", "mixed", "rural")
#: The columns whose words an organisation may list itself, as TABLE.COLUMN. Residents have none: people get no labels.
DICTIONARIES = (
    "matter.category", "site.class", "board.kind", "board.place", "building.kind", "segment.kind",
    "responsibility_block.kind", "visit.kind", "weather.kind",
)  # fmt: skip
DEFECT_KINDS = (
    "overlap", "gap", "uncovered", "outside", "contained", "duplicate", "invalid_ring", "empty", "multipart",
    "sliver", "unmatched_edge", "duplicate_code", "missing_code", "nesting",
)  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column: its name, what it holds, whether it must be there, and what counts when it is not.

    A ``code`` is text that names a row or refers to one; numbers are read as their digits (110108014.0 is
    "110108014"). ``whole`` is a whole number ≥ 0, ``number`` any finite one.
    """

    name: str
    kind: Kind = "text"
    required: bool = False
    default: object = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table: its columns, its key (never empty, and unique: `within` one value of a column, if that is named) and
    its geometry.
    """

    name: str
    columns: tuple[Column, ...]
    key: str | None = None
    shape: Shape | None = None
    geometry_required: bool = False
    within: str | None = None

    def column(self, name: str) -> Column | None:
        return next((c for c in self.columns if c.name == name), None)


def _columns(*specs: Column | str) -> tuple[Column, ...]:
    return tuple(Column(s) if isinstance(s, str) else s for s in specs)


_CODE = Column("code", "code", required=True)
_LOAD = _columns(Column("households", "whole"), Column("persons", "whole"))

TABLES: dict[str, Table] = {
    t.name: t
    for t in (
        Table("boundary", _columns(Column("code", "code"), "name"), None, "polygon", True),
        Table(
            "unit", _columns(_CODE, "name", Column("level", "whole"), Column("parent", "code")), "code", "polygon", True
        ),
        Table(
            "barrier",
            _columns(Column("class", required=True, choices=BARRIER_CLASSES), "name"),
            None,
            "line",
            True,
        ),
        Table("water", _columns("name"), None, "polygon", True),
        Table(
            "block",
            _columns(
                _CODE, Column("unit", "code"), *_LOAD, Column("buildings", "whole"),
                Column("compound_kind", choices=COMPOUND_KINDS),
            ),
            "code", "polygon", True,
        ),
        Table(
            "border",
            _columns(
                Column("left", "code", required=True), Column("right", "code"),
                Column("class", choices=BARRIER_CLASSES), "name", Column("length_m", "number"),
            ),
            None, "line", True,
        ),
        Table(
            "grid",
            _columns(
                _CODE, "name", Column("kind"), Column("level", "whole"), Column("parent", "code"), *_LOAD,
                Column("deviation", "number"), "reason", Column("compactness", "number"), "bounds_text",
                Column("road_share", "number"),
            ),
            "code", "polygon", True,
        ),
        Table(
            "compound", _columns(_CODE, "name", Column("kind", choices=COMPOUND_KINDS), "address"),
            "code", "polygon", True,
        ),
        Table(
            "building",
            _columns(_CODE, "name", "kind", Column("levels", "number"), "address", Column("households", "whole")),
            "code", "polygon", True,
        ),
        Table(
            "house",
            _columns(_CODE, Column("building", "code"), "address", Column("households", "whole", default=1)),
            "code", "point",
        ),
        Table(
            "person", _columns(Column("id", "code", required=True), Column("house", "code"), "address"), "id", "point"
        ),
        Table(
            "staff",
            _columns(
                Column("id", "code", required=True), Column("name", required=True), Column("phone", "code"), "photo",
                "duties", "hours",
            ),
            "id",
        ),
        Table(
            "posting",
            _columns(
                Column("staff", "code", required=True), Column("grid", "code", required=True),
                Column("role", required=True), Column("from", "date"), Column("to", "date"),
                Column("verified_at", "date"),
            ),
        ),
        Table(
            "fix",
            _columns(
                Column("staff", "code", required=True), Column("time", "time", required=True),
                Column("lon", "number", required=True), Column("lat", "number", required=True),
                Column("accuracy", "number"),
            ),
        ),
        Table("site", _columns(_CODE, "class", "cadence", Column("house", "code")), "code", "point"),
        Table(
            "visit",
            _columns(
                Column("target", "code", required=True), Column("staff", "code"),
                Column("time", "time", required=True), "kind",
            ),
        ),
        Table("leave", _columns(Column("staff", "code", required=True), Column("date", "date", required=True))),
        Table("weather", _columns(Column("date", "date", required=True), Column("kind", required=True))),
        Table("segment", _columns(_CODE, "name", "kind", Column("grid", "code")), "code", "line", True),
        Table(
            "responsibility_block", _columns(_CODE, "name", "kind", Column("grid", "code")), "code", "polygon", True
        ),
        Table(
            "board",
            _columns(
                _CODE, "kind", Column("grid", "code"), Column("building", "code"), "place",
                Column("installed_on", "date"), Column("checked_on", "date"),
            ),
            "code", "point",
        ),
        Table(
            "matter",
            _columns(
                _CODE, "category", Column("time", "time"), Column("grid", "code"), "state", Column("deadline", "time"),
                Column("closed", "time"),
            ),
            "code", "point",
        ),
        Table(
            "dictionary",
            _columns(
                Column("dictionary", required=True, choices=DICTIONARIES), _CODE, Column("name_zh", required=True),
                "name_en", Column("position", "whole"), Column("retired_on", "date"),
            ),
            "code", within="dictionary",
        ),
    )
}  # fmt: skip


def key_of(table: str) -> tuple[str, ...]:
    """The columns that a row of a table is known by; none where it has no key.

    Examples
    --------
    >>> key_of("house"), key_of("dictionary"), key_of("visit")
    (('code',), ('dictionary', 'code'), ())
    """
    spec = TABLES.get(table)
    return () if spec is None else tuple(name for name in (spec.within, spec.key) if name is not None)


#: Chinese headers that are known in every table; a table's own column of that name wins.
CHINESE = {
    "编码": "code", "代码": "code", "网格编码": "grid", "网格": "grid", "名称": "name", "类别": "class",
    "类型": "kind", "级别": "level", "上级": "parent", "户数": "households", "人数": "persons",
    "楼栋数": "buildings", "地址": "address", "层数": "levels", "楼栋": "building", "楼栋编码": "building",
    "房屋编码": "house", "经度": "lon", "纬度": "lat", "姓名": "name", "电话": "phone", "照片": "photo",
    "职责": "duties", "值班时间": "hours", "接待时间": "hours", "工号": "id", "编号": "id", "人员编号": "id",
    "员工": "staff", "网格员": "staff", "角色": "role", "职务": "role", "开始": "from", "结束": "to",
    "核实日期": "verified_at", "时间": "time", "精度": "accuracy", "日期": "date", "社区": "unit",
    "位置": "place", "安装日期": "installed_on", "检查日期": "checked_on",
}  # fmt: skip

#: Where the same Chinese header means another column: the key of the table itself.
_CHINESE_OF = {
    "grid": {"网格编码": "code", "网格名称": "name"},
    "house": {"房屋编码": "code"},
    "building": {"楼栋编码": "code"},
    "person": {"编号": "id", "编码": "id"},
    "staff": {"工号": "id", "编码": "id"},
    "posting": {"工号": "staff", "编号": "staff"},
    "fix": {"工号": "staff", "编号": "staff"},
    "leave": {"工号": "staff"},
    "site": {"id": "code", "编号": "code", "周期": "cadence", "频次": "cadence"},
    "visit": {"对象": "target", "编码": "target", "方式": "kind"},
    "matter": {"编号": "code", "类别": "category", "状态": "state", "期限": "deadline", "办结时间": "closed"},
    "dictionary": {
        "字典": "dictionary",
        "名称": "name_zh",
        "中文名称": "name_zh",
        "英文名称": "name_en",
        "顺序": "position",
        "停用日期": "retired_on",
    },
}

# 2^53: above it a float is no longer every whole number.
_LARGEST_WHOLE = 2.0**53
_ZONED = re.compile(r"[Tt ]\d{2}.*(?:[Zz]|[+-]\d{2}(?::?\d{2})?)$")
_EXCEL_DATE = re.compile(r"(\d{4})[/.年](\d{1,2})[/.月](\d{1,2})日?")

_SHAPES: dict[str, tuple[str, ...]] = {
    "polygon": ("Polygon", "MultiPolygon"),
    "line": ("LineString", "MultiLineString", "LinearRing"),
    "point": ("Point",),
    "any": (),
}


def codes_as_text(values: pd.Series) -> pd.Series:
    """Codes as text: whole numbers as their digits, text stripped, missing and blank as None.

    Examples
    --------
    >>> import pandas as pd
    >>> codes_as_text(pd.Series([110108014.0, " A1 ", None, ""])).tolist()
    ['110108014', 'A1', None, None]
    """
    return _texts(values, str.strip)


def _texts(values: pd.Series, trim: Callable[[str], str]) -> pd.Series:
    """Each value as text, trimmed by `trim`; missing and blank ones as None."""

    def other(value: object) -> str | None:
        return None if _is_missing(value) else trim(_text(value)) or None

    # Nearly every cell of nearly every table is text already: that way is short.
    cells = [(trim(v) or None) if type(v) is str else other(v) for v in values.to_numpy(dtype=object)]
    return pd.Series(cells, index=values.index, name=values.name, dtype=object)


def _unless_blank(text: str) -> str:
    return text if text.strip() else ""


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and bool(np.isnan(value)))


def _text(value: object) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    if isinstance(value, list | tuple):
        return ";".join(_text(v) for v in value)
    return str(value)


def rename_headers(
    frame: pd.DataFrame, table: str | None, rename: Mapping[str, str] | None = None, source: object = None
) -> pd.DataFrame:
    """`frame` with `rename` (theirs to ours) and the headers of `table` known in Chinese or in other case applied.

    Parameters
    ----------
    frame : DataFrame or GeoDataFrame
    table : str, optional
        A key of :data:`TABLES`; without it only `rename` is applied.
    rename : mapping, optional
        Their headers to ours.
    source : optional
        The file's name, for messages.

    Raises
    ------
    SchemaError
        If a header to rename does not exist, or two columns would have one name.

    Examples
    --------
    >>> import pandas as pd
    >>> list(rename_headers(pd.DataFrame(columns=["网格编码", "NAME", "面积"]), "grid"))
    ['code', 'name', '面积']
    """
    names = {str(k): str(v) for k, v in (rename or {}).items()}
    unknown = [theirs for theirs in names if theirs not in frame.columns]
    if unknown:
        raise SchemaError(
            "a column to rename does not exist", source=source, found=_listed(frame.columns), wanted=_listed(unknown)
        )
    if table is not None:
        known = {**CHINESE, **_CHINESE_OF.get(table, {})}
        own = {c.name for c in TABLES[table].columns} | {"lon", "lat"}
        for header in frame.columns:
            plain = str(header).strip()
            ours = known.get(plain, plain.lower())
            if header not in names and ours in own and ours not in frame.columns and ours not in names.values():
                names[header] = ours
    place = frame.geometry.name if _has_geometry(frame) else None
    out = frame.rename(columns=names)
    doubled = out.columns[out.columns.duplicated()].unique()
    if len(doubled):
        raise SchemaError(
            f"two columns would be called {_listed(doubled)}",
            source=source,
            found=_listed(frame.columns),
            remedy="Rename the other one too.",
        )
    return out.set_geometry(names[place]) if place in names else out


def _has_geometry(frame: pd.DataFrame) -> bool:
    return isinstance(frame, gpd.GeoDataFrame) and frame.active_geometry_name is not None


def check(frame: pd.DataFrame, table: str, *, source: object = None, lenient: Iterable[str] = ()) -> pd.DataFrame:
    """Check a table at the door and return it with its columns typed; the input is not changed.

    Parameters
    ----------
    frame : DataFrame or GeoDataFrame
    table : str
        A key of :data:`TABLES`.
    source : optional
        The file's name, for messages.
    lenient : iterable of {"codes", "geometry", "choices"}
        What is not checked: duplicate and missing codes, missing geometry (``validate`` reports both as defects),
        values outside a column's choices.

    Returns
    -------
    DataFrame
        The same index and rows. Codes are text or None, dates are ``datetime64``, times are UTC, whole numbers are
        ``Int64`` where some are missing and ``int64`` elsewhere.

    Raises
    ------
    SchemaError
        No rows; a required column is missing; text in a number column; a key is empty or doubled.
    GeometryError
        No geometry column, None or empty geometry, or geometry of another type than the table's.
    """
    spec = TABLES[table]
    skip = set(lenient)
    if len(frame) == 0:
        raise SchemaError("the table is empty", source=source, wanted=f"at least one {table}")
    doubled = frame.columns[frame.columns.duplicated()].unique()
    if len(doubled):
        raise SchemaError("two columns have one name", source=source, found=_listed(doubled))
    missing = [c.name for c in spec.columns if c.required and c.name not in frame.columns]
    if missing:
        raise SchemaError(
            f"a {table} needs the column {_listed(missing)}",
            source=source,
            found=f"the columns {_listed(frame.columns)}",
            remedy="Rename yours with --map theirs=ours.",
        )
    out = frame.copy()
    for column in spec.columns:
        if column.name in out.columns:
            out[column.name] = _typed(out[column.name], column, spec, out, source, skip)
        elif column.default is not None:
            out[column.name] = column.default
    if spec.key and "codes" not in skip:
        check_key(out, spec.key, source, spec.within)
    if spec.shape and _has_geometry(out):
        _check_geometry(out, spec, source, skip)
    elif spec.geometry_required:
        raise GeometryError(
            f"a {table} needs geometry",
            source=source,
            found="a table without geometry",
            wanted=f"a {spec.shape} in each row",
        )
    return out


def ids_of(frame: pd.DataFrame, rows: np.ndarray, key: str | None) -> list[object]:
    """Ids for a message: the key's values where there are any, else row numbers from 1."""
    positions = np.flatnonzero(rows)
    if key and key in frame.columns:
        values = frame[key].array
        return [values[p] if not pd.isna(values[p]) else f"row {p + 1}" for p in positions]
    return [int(p) + 1 for p in positions]


def _listed(names: Iterable[object]) -> str:
    return ", ".join(repr(str(n)) for n in names)


def _typed(
    values: pd.Series, column: Column, spec: Table, frame: pd.DataFrame, source: object, skip: set[str]
) -> pd.Series:
    if column.kind in ("whole", "number"):
        return _numbers(values, column, spec, frame, source)
    if column.kind in ("date", "time"):
        return _dates(values, column, spec, frame, source)
    out = codes_as_text(values) if column.kind == "code" else _texts(values, _unless_blank)
    wanted, bad = "a value", pd.Series(False, index=values.index)
    if column.choices and "choices" not in skip:
        wanted = f"one of {', '.join(column.choices)}"
        bad |= out.notna() & ~out.isin(column.choices)
    if column.required and column.name != spec.key:
        bad |= out.isna()
    _refuse(bad, values, column, wanted, spec, frame, source)
    return out


def _numbers(values: pd.Series, column: Column, spec: Table, frame: pd.DataFrame, source: object) -> pd.Series:
    plain = values if pd.api.types.is_numeric_dtype(values) else _texts(values, str.strip)
    blank = plain.isna()
    numbers = pd.to_numeric(plain, errors="coerce")
    numbers = pd.Series(numbers.to_numpy(dtype=float, na_value=np.nan), index=values.index, name=values.name)
    bad = numbers.isna() & ~blank | np.isinf(numbers)
    if column.required:
        bad |= blank
    wanted = "a number"
    if column.kind == "whole":
        wanted = "a whole number ≥ 0"
        bad |= numbers.notna() & ((numbers < 0) | (numbers != np.floor(numbers)) | (numbers > _LARGEST_WHOLE))
    _refuse(bad, values, column, wanted, spec, frame, source)
    if column.kind == "number":
        return numbers
    if isinstance(column.default, int):
        numbers = numbers.fillna(column.default)
    return numbers.astype("Int64") if numbers.isna().any() else numbers.astype("int64")


def _dates(values: pd.Series, column: Column, spec: Table, frame: pd.DataFrame, source: object) -> pd.Series:
    """Dates as they are written, without a zone; times in UTC, refused where their zone is not written."""
    if column.kind == "time" and isinstance(values.dtype, pd.DatetimeTZDtype):
        parsed = values.dt.tz_convert("UTC")
        _refuse(parsed.isna() & column.required, values, column, "a time", spec, frame, source)
        return parsed
    texts = _texts(values, lambda text: _iso(text.strip()))
    if column.kind == "time":
        wanted = "a time as 2026-03-02T08:30:00+08:00 (with its zone)"
        readable = texts.where(texts.str.contains(_ZONED, na=False))
        parsed = pd.to_datetime(readable, errors="coerce", format="ISO8601", utc=True)
    else:
        wanted = "a date as 2026-03-02"
        # A date with a time of day is that day; the time has to be one.
        whole = pd.to_datetime(texts, errors="coerce", format="ISO8601", utc=True)
        days = texts.where(whole.notna()).str.replace("-", "").str.slice(0, 8)
        parsed = pd.to_datetime(days, errors="coerce", format="%Y%m%d")
    bad = parsed.isna() & (texts.notna() | column.required)
    _refuse(bad, values, column, wanted, spec, frame, source)
    return parsed


def _iso(text: str) -> str:
    """A date as a Chinese Excel writes it (2026/3/2, 2026年3月2日) in ISO 8601; other text as it is."""
    found = _EXCEL_DATE.match(text)
    if found is None:
        return text
    year, month, day = found.groups()
    return f"{year}-{int(month):02d}-{int(day):02d}{text[found.end() :]}"


def _refuse(
    bad: pd.Series, values: pd.Series, column: Column, wanted: str, spec: Table, frame: pd.DataFrame, source: object
) -> None:
    rows = np.asarray(bad, dtype=bool)
    if rows.any():
        examples = list(dict.fromkeys("nothing" if _is_missing(v) else repr(v) for v in values[rows].tolist()))[:3]
        raise SchemaError(
            f"the column {column.name!r} has values that cannot be used",
            source=source,
            ids=ids_of(frame, rows, spec.key if spec.key != column.name else None),
            found=", ".join(examples),
            wanted=wanted,
            rows=_positions(rows),
            column=column.name,
        )


def _positions(rows: np.ndarray) -> list[int]:
    positions: list[int] = np.flatnonzero(rows).tolist()
    return positions


def check_key(frame: pd.DataFrame, key: str, source: object, within: str | None = None) -> None:
    """Raise :class:`SchemaError` where the codes in column `key` are missing or not unique (`within` one value)."""
    empty = frame[key].isna().to_numpy()
    if empty.any():
        raise SchemaError(f"rows without a {key}", source=source, ids=ids_of(frame, empty, None),
                          rows=_positions(empty), column=key)  # fmt: skip
    doubled = frame.duplicated(key if within is None else [within, key], keep=False).to_numpy()
    if doubled.any():
        raise SchemaError(
            f"the {key} is not unique",
            source=source,
            ids=sorted(set(frame[key][doubled])),
            wanted=f"each {key} once" if within is None else f"each {key} once in a {within}",
            remedy="Give each row its own, or take the doubled rows out.",
            rows=_positions(doubled),
            column=key,
        )


def _check_geometry(frame: gpd.GeoDataFrame, spec: Table, source: object, skip: set[str]) -> None:
    shapes = np.asarray(frame.geometry.array, dtype=object)
    missing = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    if spec.geometry_required and "geometry" not in skip and missing.any():
        raise GeometryError(
            "rows without geometry", source=source, ids=ids_of(frame, missing, spec.key), wanted=f"a {spec.shape} each",
            rows=_positions(missing),
        )  # fmt: skip
    kinds = frame.geom_type.to_numpy(dtype=object)
    wanted = _SHAPES[spec.shape or "any"]
    wrong = ~missing & ~np.isin(kinds, wanted) if wanted else np.zeros(len(frame), dtype=bool)
    if wrong.any():
        raise GeometryError(
            f"geometry of the wrong type for a {spec.name}",
            source=source,
            ids=ids_of(frame, wrong, spec.key),
            found=", ".join(sorted(set(kinds[wrong]))),
            wanted=" or ".join(wanted),
            rows=_positions(wrong),
        )
    xy, rows = shapely.get_coordinates(shapes, return_index=True)
    flawed = np.zeros(len(frame), dtype=bool)
    flawed[rows[~np.isfinite(xy).all(axis=1)]] = True
    if flawed.any():
        raise GeometryError(
            "coordinates that are not finite numbers", source=source, ids=ids_of(frame, flawed, spec.key),
            rows=_positions(flawed),
        )  # fmt: skip
