"""The tables at the door: what is typed, what is refused, and what the refusal says."""

from __future__ import annotations

from datetime import UTC, date, datetime

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gridgis import schema
from gridgis.errors import GeometryError, SchemaError
from gridgis.schema import TABLES, check, codes_as_text, rename_headers

SQUARE = shapely.box(0, 0, 1, 1)
SHAPES = {"polygon": SQUARE, "line": shapely.LineString([(0, 0), (1, 1)]), "point": shapely.Point(0, 0)}
SAMPLES = {
    "code": "a1",
    "text": "word",
    "whole": 3,
    "number": 2.5,
    "date": "2026-03-02",
    "time": "2026-03-02T08:30:00Z",
}


def grids(**columns: object) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"code": ["A", "B"], **columns}, geometry=[SQUARE, SQUARE], crs=4326)


def full_table(name: str) -> pd.DataFrame:
    """One right row of a table, every column given."""
    spec = TABLES[name]
    row = {c.name: [c.choices[0] if c.choices else SAMPLES[c.kind]] for c in spec.columns}
    if spec.shape is None:
        return pd.DataFrame(row)
    return gpd.GeoDataFrame(row, geometry=[SHAPES[spec.shape]], crs=4326)


# --- laws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLES)
def test_checking_twice_is_checking_once_and_changes_no_input(name: str) -> None:
    frame = full_table(name)
    before = frame.copy(deep=True)
    once = check(frame, name)
    twice = check(once, name)
    pd.testing.assert_frame_equal(pd.DataFrame(once), pd.DataFrame(twice))
    pd.testing.assert_frame_equal(pd.DataFrame(frame), pd.DataFrame(before))
    assert list(once.index) == list(frame.index)


@pytest.mark.parametrize("name", TABLES)
def test_every_required_column_is_asked_for_by_name(name: str) -> None:
    spec = TABLES[name]
    for column in (c for c in spec.columns if c.required):
        with pytest.raises(
            SchemaError, match=rf"f\.csv: a {name} needs the column '{column.name}'; found the columns .*--map"
        ):
            check(full_table(name).drop(columns=column.name), name, source="f.csv")


@pytest.mark.parametrize("name", [t.name for t in TABLES.values() if t.geometry_required])
def test_geometry_is_asked_for(name: str) -> None:
    with pytest.raises(GeometryError, match=f"a {name} needs geometry; found a table without geometry; wanted"):
        check(pd.DataFrame(full_table(name).drop(columns="geometry")), name)


@pytest.mark.parametrize("name", TABLES)
def test_other_columns_travel_along_untouched(name: str) -> None:
    frame = full_table(name).assign(备注=[("x", 1)], note=[" as it is "])
    checked = check(frame, name)
    assert checked["备注"].tolist() == [("x", 1)]
    assert checked["note"].tolist() == [" as it is "]


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.integers(0, 10**18), st.text(st.characters(categories=["L", "N"]), min_size=1)))
)
def test_codes_are_text_and_stay_the_same_text(codes: list[object]) -> None:
    once = codes_as_text(pd.Series(codes, dtype=object))
    assert once.tolist() == [None if c is None else str(c) for c in codes]
    assert codes_as_text(once).tolist() == once.tolist()
    assert once.dtype == object


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**53), min_size=1))
def test_a_code_is_the_same_as_number_and_as_float(codes: list[int]) -> None:
    wanted = [str(c) for c in codes]
    assert codes_as_text(pd.Series(codes)).tolist() == wanted
    assert codes_as_text(pd.Series(codes, dtype=float)).tolist() == wanted
    assert codes_as_text(pd.Series(codes, dtype="Int64")).tolist() == wanted


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 2**53)), min_size=1))
def test_counts_survive_as_text_number_and_float(counts: list[int | None]) -> None:
    spelled = [
        pd.Series(counts, dtype="Int64"),
        pd.Series([None if c is None else str(c) for c in counts], dtype=object),
        pd.Series([None if c is None else float(c) for c in counts], dtype=float),
        pd.Series(["" if c is None else f" {c} " for c in counts], dtype=object),
    ]
    for column in spelled:
        frame = pd.DataFrame({"code": [f"h{i}" for i in range(len(counts))]})
        got = check(frame.assign(building=None, persons_note=None, households=column), "house")["households"]
        assert got.dtype == "int64"
        assert got.tolist() == [1 if c is None else c for c in counts]


@settings(deadline=None)
@given(st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)), st.integers(-12, 14))
def test_times_of_any_zone_are_the_same_instant_in_utc(moment: datetime, hours: int) -> None:
    aware = pd.Timestamp(moment).floor("us").tz_localize(f"{'+' if hours >= 0 else '-'}{abs(hours):02d}:00")
    frame = pd.DataFrame({"target": ["t"], "time": [aware.isoformat()]})
    got = check(frame, "visit")["time"]
    assert str(got.dtype).endswith("UTC]")
    assert got[0] == aware
    for spelled in (pd.Series([aware]), pd.Series([aware.to_pydatetime()], dtype=object)):
        assert check(frame.assign(time=spelled), "visit")["time"][0] == aware


@settings(deadline=None)
@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)))
def test_dates_as_iso_as_excel_and_as_dates(day: date) -> None:
    spellings = [
        day.isoformat(), f"{day.year}/{day.month}/{day.day}", f"{day.year}年{day.month}月{day.day}日",
        f"{day.year}.{day.month}.{day.day}", day.strftime("%Y%m%d"), int(day.strftime("%Y%m%d")), day,
        pd.Timestamp(day), f"{day.isoformat()}T23:30:00+08:00", f"{day.isoformat()} 00:30:00-05:00",
    ]  # fmt: skip
    frame = pd.DataFrame({"staff": ["s"] * len(spellings), "date": pd.Series(spellings, dtype=object)})
    got = check(frame, "leave")["date"]
    assert got.tolist() == [pd.Timestamp(day)] * len(spellings)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_an_empty_table() -> None:
    with pytest.raises(SchemaError, match=r"g\.shp: the table is empty; wanted at least one grid\."):
        check(grids().iloc[:0], "grid", source="g.shp")


@pytest.mark.parametrize(
    ("values", "shown"),
    [(["ten", 5], "'ten'"), (["3.5", 5], "'3.5'"), ([-1, 5], "-1"), ([np.inf, 5], "inf"), ([1e300, 5], "1e\\+300"),
     ([[1, 2], 5], r"\[1, 2\]"), (["1,200", 5], "'1,200'"), (["nan", 5], "'nan'")],
)  # fmt: skip
def test_text_in_a_number_column(values: list[object], shown: str) -> None:
    with pytest.raises(
        SchemaError,
        match=rf"the column 'households' has values that cannot be used \(row A\); found {shown}; "
        "wanted a whole number ≥ 0",
    ):
        check(grids(households=pd.Series(values, dtype=object)), "grid")


def test_a_share_may_be_negative_but_not_text() -> None:
    assert check(grids(deviation=["-0.25", None]), "grid")["deviation"].tolist()[0] == -0.25
    with pytest.raises(SchemaError, match=r"the column 'deviation' .*found 'much'; wanted a number\."):
        check(grids(deviation=["much", 0]), "grid")


def test_duplicate_and_missing_codes() -> None:
    twice = grids().assign(code=["A", "A"])
    with pytest.raises(SchemaError, match=r"the code is not unique \(row A\); wanted each code once\. Give each row"):
        check(twice, "grid")
    with pytest.raises(SchemaError, match=r"rows without a code \(row 2\)"):
        check(grids().assign(code=["A", " "]), "grid")
    assert check(twice, "grid", lenient=["codes"])["code"].tolist() == ["A", "A"]
    assert check(grids().assign(code=["A", None]), "grid", lenient=["codes"])["code"].tolist() == ["A", None]


def test_numbers_and_text_of_one_code_are_one_code() -> None:
    with pytest.raises(SchemaError, match=r"the code is not unique \(row 7\)"):
        check(grids().assign(code=pd.Series([7.0, "7"], dtype=object)), "grid")


def test_the_first_ten_ids_and_the_count() -> None:
    frame = gpd.GeoDataFrame({"code": [f"g{i}" for i in range(25)], "households": ["x"] * 25}, geometry=[SQUARE] * 25)
    with pytest.raises(SchemaError, match=r"\(25 rows: g0, g1, g2, g3, g4, g5, g6, g7, g8, g9, …\)"):
        check(frame, "grid")


def test_missing_geometry() -> None:
    frame = grids()
    for nothing in (None, shapely.Polygon(), shapely.GeometryCollection()):
        bad = frame.set_geometry(gpd.GeoSeries([SQUARE, nothing], crs=4326))
        with pytest.raises(GeometryError, match=r"rows without geometry \(row B\); wanted a polygon each"):
            check(bad, "grid")
        assert len(check(bad, "grid", lenient=["geometry"])) == 2


@pytest.mark.parametrize(
    "shape", [shapely.Point(0, 0), SHAPES["line"], shapely.GeometryCollection([SQUARE, shapely.Point(0, 0)])]
)
def test_geometry_of_the_wrong_type(shape: shapely.Geometry) -> None:
    bad = grids().set_geometry(gpd.GeoSeries([SQUARE, shape], crs=4326))
    with pytest.raises(
        GeometryError,
        match=rf"wrong type for a grid \(row B\); found {shape.geom_type}; wanted Polygon or MultiPolygon",
    ):
        check(bad, "grid", lenient=["geometry"])


def test_coordinates_that_are_not_finite() -> None:
    line = shapely.from_wkt("LINESTRING (0 0, NaN 1, 1 1)")
    frame = gpd.GeoDataFrame({"class": ["lane"]}, geometry=[line], crs=4326)
    with pytest.raises(GeometryError, match=r"coordinates that are not finite numbers \(row 1\)"):
        check(frame, "barrier")


def test_classes_have_choices() -> None:
    frame = gpd.GeoDataFrame({"class": ["road", None]}, geometry=[SHAPES["line"]] * 2, crs=4326)
    with pytest.raises(
        SchemaError, match=r"column 'class' .*\(2 rows: 1, 2\); found 'road', nothing; wanted one of river, railway"
    ):
        check(frame, "barrier")
    assert check(frame.assign(**{"class": ["road", "lane"]}), "barrier", lenient=["choices"])["class"][0] == "road"


def test_an_optional_choice_may_be_blank() -> None:
    frame = grids(name=["", "北"]).assign(kind=["", "mixed"])
    checked = check(frame, "compound")
    assert checked["kind"].tolist() == [None, "mixed"]
    assert checked["name"].tolist() == [None, "北"]


def test_required_cells_may_not_be_blank() -> None:
    frame = pd.DataFrame({"staff": ["s1", "s2"], "grid": ["g", " "], "role": ["liaison", "liaison"]})
    with pytest.raises(SchemaError, match=r"the column 'grid' .*\(row 2\); found ' '; wanted a value"):
        check(frame, "posting")
    with pytest.raises(SchemaError, match=r"the column 'role' .*\(row 1\); found nothing; wanted a value"):
        check(frame.assign(grid="g", role=[None, "liaison"]), "posting")


@pytest.mark.parametrize(
    "time", ["2026-03-02T08:30:00", "2026-03-02 08:30", "2026-03-02", "08:30+08:00", "soon", 1772411400]
)
def test_a_time_needs_its_zone(time: object) -> None:
    frame = pd.DataFrame({"target": ["t"], "time": pd.Series([time], dtype=object)})
    with pytest.raises(
        SchemaError, match=r"the column 'time' .*wanted a time as 2026-03-02T08:30:00\+08:00 \(with its zone\)"
    ):
        check(frame, "visit")


def test_a_naive_timestamp_is_no_time() -> None:
    frame = pd.DataFrame({"target": ["t"], "time": pd.to_datetime(["2026-03-02 08:30"])})
    with pytest.raises(SchemaError, match="with its zone"):
        check(frame, "visit")


@pytest.mark.parametrize("day", ["2026-13-02", "2026-02-30", "tomorrow", "3/2/2026", "2026"])
def test_a_date_must_exist(day: str) -> None:
    frame = pd.DataFrame({"staff": ["s"], "date": [day]})
    with pytest.raises(SchemaError, match=rf"the column 'date' .*found '{day}'; wanted a date as 2026-03-02"):
        check(frame, "leave")


def test_a_required_date_may_not_be_blank_an_optional_may() -> None:
    with pytest.raises(SchemaError, match=r"the column 'date' .*found nothing"):
        check(pd.DataFrame({"staff": ["s"], "date": [None]}), "leave")
    posting = pd.DataFrame({"staff": ["s"], "grid": ["g"], "role": ["liaison"], "from": ["2026-01-01"], "to": [None]})
    assert check(posting, "posting")["to"].isna().all()
    times = pd.Series([pd.NaT], dtype="datetime64[ns, UTC]")
    with pytest.raises(SchemaError, match="'time'"):
        check(pd.DataFrame({"target": ["t"], "time": times}), "visit")


def test_aware_timestamps_keep_their_written_day_as_dates() -> None:
    moment = pd.Series([pd.Timestamp(2026, 3, 2, 0, 30, tz="Asia/Shanghai")])
    frame = pd.DataFrame({"staff": ["s"], "date": moment})
    assert check(frame, "leave")["date"].tolist() == [pd.Timestamp(2026, 3, 2)]
    visit = pd.DataFrame({"target": ["t"], "time": moment})
    assert check(visit, "visit")["time"][0] == datetime(2026, 3, 1, 16, 30, tzinfo=UTC)


def test_two_columns_of_one_name() -> None:
    frame = pd.DataFrame([["a", "b"]], columns=["code", "code"])
    with pytest.raises(SchemaError, match="two columns have one name; found 'code'"):
        check(frame, "house")


def test_text_columns_hold_text() -> None:
    got = check(grids(name=[12.0, "东"]), "grid")["name"]
    assert got.tolist() == ["12", "东"]


# --- headers ----------------------------------------------------------------------------------------------------------


def test_chinese_headers_are_known() -> None:
    assert list(rename_headers(pd.DataFrame(columns=["房屋编码", "地址", "户数"]), "house")) == [
        "code",
        "address",
        "households",
    ]
    assert list(rename_headers(pd.DataFrame(columns=["编号", "房屋编码"]), "person")) == ["id", "house"]
    assert list(rename_headers(pd.DataFrame(columns=["网格编码", "网格名称", "户数"]), "grid")) == [
        "code",
        "name",
        "households",
    ]
    assert list(rename_headers(pd.DataFrame(columns=["工号", "网格", "角色"]), "posting")) == ["staff", "grid", "role"]
    assert list(rename_headers(pd.DataFrame(columns=[" Code ", "LON", "面积"]), "house")) == ["code", "lon", "面积"]


def test_every_known_header_names_a_column_of_ours() -> None:
    ours = {c.name for t in TABLES.values() for c in t.columns} | {"lon", "lat"}
    assert set(schema.CHINESE.values()) <= ours
    for table, names in schema._CHINESE_OF.items():
        assert set(names.values()) <= {c.name for c in TABLES[table].columns}


def test_our_own_header_wins_over_a_chinese_one_and_over_other_case() -> None:
    frame = pd.DataFrame([["ours", "theirs", "THEIRS"]], columns=["code", "编码", "CODE"])
    assert list(rename_headers(frame, "grid")) == ["code", "编码", "CODE"]
    both = pd.DataFrame([["a", "b"]], columns=["编码", "代码"])
    assert list(rename_headers(both, "grid")) == ["code", "代码"]


def test_renaming_theirs_to_ours() -> None:
    frame = pd.DataFrame([["G1", "x"]], columns=["DIST", "编码"])
    assert list(rename_headers(frame, "grid", {"DIST": "code"})) == ["code", "编码"]
    with pytest.raises(
        SchemaError, match=r"t\.csv: a column to rename does not exist; found 'DIST', '编码'; wanted 'ZONE'"
    ):
        rename_headers(frame, "grid", {"ZONE": "code"}, "t.csv")
    with pytest.raises(SchemaError, match=r"two columns would be called 'code'.*Rename the other one too"):
        rename_headers(frame.rename(columns={"编码": "code"}), "grid", {"DIST": "code"})
    swapped = rename_headers(frame.rename(columns={"编码": "code"}), "grid", {"DIST": "code", "code": "old"})
    assert list(swapped) == ["code", "old"]


def test_renaming_the_geometry_keeps_it_active() -> None:
    frame = grids().rename_geometry("shape")
    assert rename_headers(frame, None, {"shape": "ground"}).geometry.name == "ground"
    assert frame.geometry.name == "shape"


def test_any_name_of_the_geometry_column_will_do() -> None:
    checked = check(grids().rename_geometry("shape"), "grid")
    assert checked.geometry.name == "shape"
    inactive = gpd.GeoDataFrame({"code": ["A"]})
    with pytest.raises(GeometryError, match="a grid needs geometry"):
        check(inactive, "grid")
