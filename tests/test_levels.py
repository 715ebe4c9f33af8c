"""Do levels nest? Laws first (against plain overlay), then what declares a parent, verdicts, bad input, real places."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import hypothesis
import numpy as np
import pandas as pd
import pytest
import shapely
import shapes
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gridgis.errors import CRSError, GeometryError, InputError, SchemaError
from gridgis.plan.validate import validate, verdict

LAWS = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 10_000)
units_of = st.sampled_from(["metres", "degrees"])


def nested(seed: int, depth: int = 2, unit: str = "metres", cells: int = 40) -> list[gpd.GeoDataFrame]:
    """A clean tiling in `depth` levels, the grids first; each row names its parent."""
    grids = shapes.voronoi(cells, seed)
    levels = [grids if unit == "metres" else shapes.in_degrees(grids)]
    rng = np.random.default_rng(seed)
    for number in range(2, depth + 1):
        below = levels[-1]
        inside = shapely.get_coordinates(shapely.centroid(np.asarray(below.geometry.array)))
        middles = inside[rng.permutation(len(below))[: max(1, len(below) // 3)]]
        nearest = np.hypot(*(inside[:, None] - middles[None]).transpose(2, 0, 1)).argmin(axis=1)
        names = np.array([f"L{number}-{n:02d}" for n in range(len(middles))], dtype=object)
        levels[-1] = below.assign(parent=names[nearest])
        ground = [shapely.union_all(np.asarray(below.geometry.array)[nearest == n]) for n in range(len(middles))]
        levels.append(gpd.GeoDataFrame({"code": names}, geometry=ground, crs=below.crs))
    return levels


def check(levels: list[gpd.GeoDataFrame], **how: object) -> gpd.GeoDataFrame:
    return validate(levels[0], parents=levels[1:], **how)


def nestings(defects: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return defects[defects["kind"] == "nesting"]


def area_m2(shapes_: object, crs: object) -> np.ndarray:
    return gpd.GeoSeries(list(shapes_), crs=crs).to_crs(shapes.METRES).area.to_numpy()


def taken(children: gpd.GeoDataFrame, parents: gpd.GeoDataFrame) -> dict[tuple[str, str, str], float]:
    """By plain overlay of each child with each other parent: who takes whose ground, in m² (of 1e-4 m² and more)."""
    ground = dict(zip(parents["code"], parents.geometry, strict=True))
    found = {}
    for code, own, shape in zip(children["code"], children["parent"], children.geometry, strict=True):
        beyond = shapely.difference(shape, ground[own])
        for other, there in ground.items():
            size = 0.0 if other == own else float(area_m2([shapely.intersection(beyond, there)], children.crs)[0])
            if size > 1e-4:
                found[code, own, other] = size
    return found


def facts(defects: gpd.GeoDataFrame) -> list[tuple[object, ...]]:
    return sorted(zip(defects["kind"], defects["level"], defects["codes"], defects["area_m2"].round(6), strict=True))


# --- laws -------------------------------------------------------------------------------------------------------------


@LAWS
@given(seeds, st.integers(2, 5), units_of, st.booleans(), st.booleans())
def test_clean_levels_of_any_depth_have_no_defect(
    seed: int, depth: int, unit: str, declared: bool, bounded: bool
) -> None:
    levels = nested(seed, depth, unit)
    boundary = shapes.outline(levels[0]) if bounded else None
    if not declared:
        levels = [level.drop(columns="parent", errors="ignore") for level in levels]
    found = verdict(check(levels, boundary=boundary))
    assert found["valid"] and set(found["counts"]) <= {"multipart"}
    assert len(found["levels"]) == 2 * depth - 1
    assert all(level["valid"] for level in found["levels"].values())


@LAWS
@given(seeds, units_of, st.floats(0.02, 0.5))
def test_a_vertex_across_the_parents_border_is_one_childs_nesting(seed: int, unit: str, metres: float) -> None:
    levels = nested(seed, 2, unit)
    grids, parents = levels
    rng = np.random.default_rng(seed)
    ground = dict(zip(parents["code"], parents.geometry, strict=True))
    row = int(rng.integers(len(grids)))
    own = ground[grids["parent"].iloc[row]]
    xy = shapely.get_coordinates(grids.geometry.iloc[row])[:-1]
    rim = np.flatnonzero(
        shapely.dwithin(own.boundary, shapely.points(xy), 1e-12)
        & ~shapely.dwithin(grids.union_all().boundary, shapely.points(xy), 1e-12)
    )
    assume(len(rim) > 0)
    at = int(rng.choice(rim))
    away = xy[at] - shapely.get_coordinates(grids.geometry.iloc[row].centroid)[0]
    unit_m = 1 / shapes.METRES_PER_DEGREE[1] if unit == "degrees" else 1.0
    xy[at] += away / np.hypot(*away) * metres * unit_m
    moved = shapes.replaced(grids, grids["code"].iloc[row], shapely.Polygon(xy))
    assume(moved.geometry.iloc[row].is_valid)
    found = nestings(check([moved, parents]))
    wanted = taken(moved, parents)
    assert set(found["codes"]) == set(wanted)
    assert {code for code, _, _ in wanted} <= {grids["code"].iloc[row]}
    hypothesis.event(f"parents that lose ground: {len(wanted)}")
    assert found["area_m2"].sum() == pytest.approx(sum(wanted.values()), rel=1e-4, abs=1e-3)


@LAWS
@given(seeds, units_of, st.integers(1, 12))
def test_nesting_is_what_plain_overlay_finds(seed: int, unit: str, wrong: int) -> None:
    """Whole clusters with the wrong parent too, whose inner grids have no border with the right one."""
    grids, parents = nested(seed, 2, unit)
    rng = np.random.default_rng(seed)
    names = grids["parent"].to_numpy(dtype=object).copy()
    spot = shapely.points(
        rng.uniform(0, 1, 2) * np.ptp(grids.total_bounds.reshape(2, 2), axis=0) + grids.total_bounds[:2]
    )
    nearest = np.argsort(shapely.distance(np.asarray(grids.geometry.array), spot), kind="stable")[:wrong]
    names[nearest] = rng.choice(parents["code"].to_numpy(dtype=object))
    grids = grids.assign(parent=names)
    found = nestings(check([grids, parents]))
    wanted = taken(grids, parents)
    sizes = found.groupby("codes")["area_m2"].sum().to_dict()
    assert set(sizes) == set(wanted)
    for codes, size in wanted.items():
        assert sizes[codes] == pytest.approx(size, rel=1e-6)


@LAWS
@given(seeds, st.integers(2, 4))
def test_the_order_of_rows_does_not_matter(seed: int, depth: int) -> None:
    levels = nested(seed, depth)
    rng = np.random.default_rng(seed)
    levels[0] = shapes.moved(levels[0], levels[0]["code"].iloc[int(rng.integers(len(levels[0])))], 3.0, 2.0)
    mixed = [level.iloc[rng.permutation(len(level))] for level in levels]
    assert facts(check(levels)) == facts(check(mixed))


@LAWS
@given(
    seeds,
    st.tuples(st.floats(0, 200), st.floats(0, 200)).map(sorted),
    st.tuples(st.floats(0, 3), st.floats(0, 3)).map(sorted),
)
def test_a_larger_tolerance_reports_nothing_new(seed: int, areas: list[float], breadths: list[float]) -> None:
    levels = nested(seed, 3)
    rng = np.random.default_rng(seed)
    levels[0] = shapes.moved(levels[0], levels[0]["code"].iloc[int(rng.integers(len(levels[0])))], 4.0, -2.0)
    low, high = (facts(check(levels, min_area=a, min_width=w)) for a, w in zip(areas, breadths, strict=True))
    assert set(high) <= set(low)


@LAWS
@given(seeds, units_of)
def test_a_vertex_that_one_level_lacks_is_no_nesting(seed: int, unit: str) -> None:
    """The parents' borders lose every second vertex where it lies on a straight line; the grids keep them."""
    grids, parents = nested(seed, 2, unit)
    ring = shapely.get_coordinates(grids.geometry.iloc[0])
    middle = (ring[:-1] + ring[1:]) / 2
    dense = np.empty((2 * len(middle) + 1, 2))
    dense[::2], dense[1::2] = ring, middle
    grids = shapes.replaced(grids, grids["code"].iloc[0], shapely.Polygon(dense))
    found = check([grids, parents])
    assert len(nestings(found)) == 0
    assert set(found["kind"]) <= {"unmatched_edge", "multipart"}


@LAWS
@given(seeds)
def test_a_child_less_leaves_a_gap_in_its_parent(seed: int) -> None:
    grids, parents = nested(seed, 2)
    rng = np.random.default_rng(seed)
    row = int(rng.integers(len(grids)))
    found = check([grids.drop(index=row).reset_index(drop=True), parents])
    missing = found[found["kind"].isin(["gap", "uncovered"])]
    assert missing["area_m2"].sum() == pytest.approx(grids.geometry.iloc[row].area)
    assert set(missing["level"]) == {"grids"}
    assert len(nestings(found)) == 0


# --- who is whose -----------------------------------------------------------------------------------------------------


def halves(codes: tuple[str, str] = ("A", "B")) -> gpd.GeoDataFrame:
    """Two parents of the chessboard: its two western columns, and the eastern one."""
    return shapes.frame([shapes.square(0, 0, 200, 300), shapes.square(200, 0, 100, 300)], codes)


def test_a_declared_parent_that_geometry_contradicts() -> None:
    grids = shapes.squares().assign(parent=["A", "A", "B"] * 3)
    assert len(nestings(validate(grids, parents=halves()))) == 0
    wrong = grids.assign(parent=["A", "B", "B", *["A", "A", "B"] * 2])
    found = nestings(validate(wrong, parents=halves()))
    assert found[["codes", "area_m2", "level"]].values.tolist() == [[("12", "B", "A"), 10_000.0, "grids < parents 1"]]
    assert "12 belongs to B and takes ground of A" in found["message"].iloc[0]


def test_a_strip_in_another_parent_is_one_defect_for_each_piece() -> None:
    """The parents' border has two dents that grid 22 does not follow."""
    dented = shapely.Polygon([
        (0, 0), (200, 0), (200, 110), (195, 110), (195, 120), (200, 120), (200, 150), (190, 150), (190, 160),
        (200, 160), (200, 300), (0, 300),
    ])  # fmt: skip
    west = shapes.frame([dented], ["A"]).geometry.iloc[0]
    parents = shapes.frame_of([west, shapely.difference(shapes.outline(shapes.squares()).geometry.iloc[0], west)], "AB")
    found = nestings(validate(shapes.squares(), parents=parents))
    assert found[["codes", "area_m2"]].values.tolist() == [[("22", "A", "B"), 100.0], [("22", "A", "B"), 50.0]]


def test_a_parent_by_code_counts_before_ground() -> None:
    parents = halves(("990101001001", "990101002000"))
    codes = [f"{'990101001001' if c < 2 else '990101002'}{r}{c}" for r in range(3) for c in range(3)]
    grids = shapes.squares().assign(code=codes)
    assert len(nestings(validate(grids, parents=parents))) == 0
    codes[0] = "99010100299"
    found = nestings(validate(grids.assign(code=codes), parents=parents))
    assert found["codes"].tolist() == [("99010100299", "990101002000", "990101001001")]


def test_short_codes_are_no_prefix() -> None:
    """Parents 1 and 2 begin many codes: only ground tells."""
    assert len(nestings(validate(shapes.squares(), parents=halves(("1", "2"))))) == 0


def test_most_ground_decides_and_the_rest_is_nesting() -> None:
    parents = shapes.frame([shapes.square(0, 0, 140, 300), shapes.square(140, 0, 160, 300)], ["A", "B"])
    found = nestings(validate(shapes.squares(), parents=parents))
    assert found[["codes", "area_m2"]].values.tolist() == [[(c, "B", "A"), 4000.0] for c in ("12", "22", "32")]


def test_a_child_without_a_parent_in_the_table() -> None:
    grids = shapes.squares().assign(parent=["A", "A", "B", "A", None, "B", "A", "Z", "B"])
    found = nestings(validate(grids, parents=halves(), min_area=1e9))
    assert found[["codes", "area_m2"]].values.tolist() == [[("22",), 0.0], [("32",), 0.0]]
    assert "22 has no parent, or one that is not in the table" in found["message"].iloc[0]
    assert set(found.geom_type) == {"Point"}


def test_a_child_outside_every_parent() -> None:
    grids = shapes.with_island()
    parents = shapes.frame([shapes.square(0, 0, 200, 100)], ["A"])
    found = validate(grids, parents=parents)
    assert found[["kind", "codes"]].values.tolist() == [["outside", ("island",)], ["nesting", ("island",)]]


def test_parents_that_overlap_are_their_own_fault() -> None:
    """A child inside its own parent takes nobody's ground, though another parent reaches there."""
    parents = shapes.frame([shapes.square(0, 0, 210, 300), shapes.square(200, 0, 100, 300)], ["A", "B"])
    grids = shapes.squares().assign(parent=["A", "A", "B"] * 3)
    found = validate(grids, parents=parents)
    assert set(found["level"]) == {"parents 1"}
    assert found[found["kind"] == "overlap"]["area_m2"].tolist() == [3000.0]


def test_parents_of_several_rows_are_one() -> None:
    cells = shapes.squares()
    parents = cells.assign(code=["A", "A", "B"] * 3)
    found = validate(cells.assign(parent=["A", "A", "B"] * 3), parents=parents)
    assert set(found["kind"]) == {"duplicate_code"} and set(found["level"]) == {"parents 1"}


def test_rows_without_geometry_keep_their_place_at_every_level() -> None:
    grids = shapes.with_none()
    grids = grids.assign(parent=["A", *["A", "A", "B"] * 3])
    parents = halves()
    parents = gpd.GeoDataFrame(
        pd.concat([parents.iloc[:0], shapes.frame_of([None], ["Z"]), parents], ignore_index=True), crs=parents.crs
    )
    found = validate(grids, parents=parents)
    assert sorted(found[["kind", "level", "codes"]].values.tolist()) == [
        ["empty", "grids", ("none",)], ["empty", "parents 1", ("Z",)],
    ]  # fmt: skip
    orphans = validate(grids.assign(parent=["Z", "Z", *["A", "B"], *["A", "A", "B"] * 2]), parents=parents)
    assert nestings(orphans)["codes"].tolist() == [("11", "Z", "A")]


# --- levels and their verdicts ----------------------------------------------------------------------------------------


def test_each_level_has_its_verdict() -> None:
    grids = shapes.overlapping().assign(parent=["A", "A", "B"] * 3)
    town = shapes.frame([shapes.square(0, 0, 300)], ["T"])
    found = verdict(validate(grids, parents=[halves(), town], level_names=["community", "town"]))
    assert {name: level["valid"] for name, level in found["levels"].items()} == {
        "grids": False, "grids < community": False, "community": True, "community < town": True, "town": True,
    }  # fmt: skip
    assert found["levels"]["grids"] == {"valid": False, "checked": 9, "counts": {"overlap": 1, "unmatched_edge": 2}}
    assert found["levels"]["grids < community"] == {"valid": False, "checked": 9, "counts": {"nesting": 1}}
    assert found["levels"]["community"]["checked"] == 2
    assert found["counts"] == {"overlap": 1, "unmatched_edge": 2, "nesting": 1}
    assert {defect["level"] for defect in found["defects"]} == {"grids", "grids < community"}
    assert found["parameters"]["parents"] == {
        "grids < community": "parent", "community < town": "by code, else most ground",
    }  # fmt: skip


def test_strict_counts_at_every_level() -> None:
    parents = shapes.frame_of([shapely.union_all(list(shapes.squares().geometry[[0, 8]]))], ["A"])
    rest = shapes.frame_of([shapely.union_all(list(shapes.squares().geometry[1:8]))], ["B"])
    parents = gpd.GeoDataFrame(pd.concat([parents, rest], ignore_index=True), crs=parents.crs)
    defects = validate(shapes.squares(), parents=parents)
    assert defects[["kind", "level"]].values.tolist() == [["multipart", "parents 1"]]
    assert verdict(defects)["levels"]["parents 1"]["valid"] is True
    strict = verdict(defects, strict=True)
    assert (strict["levels"]["parents 1"]["valid"], strict["levels"]["grids"]["valid"]) == (False, True)


def test_one_table_of_several_levels() -> None:
    town = shapes.frame([shapes.square(0, 0, 300)], ["T"]).assign(level=1)
    both = pd.concat([town, halves().assign(level=2)], ignore_index=True)
    found = validate(shapes.squares(), parents=gpd.GeoDataFrame(both, crs=town.crs))
    assert list(found.attrs["levels"]) == ["grids", "grids < level 2", "level 2", "level 2 < level 1", "level 1"]
    assert len(found) == 0


def test_the_ground_is_the_level_above_unless_a_boundary_is_given() -> None:
    smaller = shapes.frame([shapes.square(0, 0, 200, 300)], ["A"])
    without = validate(shapes.squares(), parents=smaller)
    assert without[without["kind"] == "outside"]["codes"].tolist() == [("13",), ("23",), ("33",)]
    given = validate(shapes.squares(), shapes.outline(shapes.squares()), parents=smaller)
    assert given[["kind", "level"]].values.tolist()[0] == ["uncovered", "parents 1"]
    assert "outside" not in set(given["kind"])
    assert given.attrs["parameters"]["boundary"] == "given"


def test_without_parents_there_is_no_level() -> None:
    defects = validate(shapes.overlapping())
    assert "level" not in defects.columns and verdict(defects)["levels"] == {}
    assert "level" not in verdict(defects)["defects"][0]


def test_parents_in_another_crs_are_taken_along() -> None:
    grids = shapes.in_degrees(shapes.squares())
    parents = shapes.in_degrees(halves()).to_crs("EPSG:4490")
    assert len(validate(grids, parents=parents)) == 0


# --- bad input --------------------------------------------------------------------------------------------------------


def test_parents_that_cannot_be_used() -> None:
    grids = shapes.squares()
    with pytest.raises(
        SchemaError, match=r"parents 1: the parents have no column of codes; found the columns name, geo"
    ):
        validate(grids, parents=halves().drop(columns="code"))
    with pytest.raises(SchemaError, match="parents 1: there are no grids to check"):
        validate(grids, parents=halves().iloc[:0])
    line = shapes.frame([shapely.LineString([(0, 0), (1, 1)])], ["A"])
    with pytest.raises(GeometryError, match=r"parents 1: geometry of the wrong type \(row A\); found LineString"):
        validate(grids, parents=line)
    with pytest.raises(CRSError, match="parents 1: the coordinate reference system is missing"):
        validate(grids, parents=halves().set_crs(None, allow_override=True))
    with pytest.raises(SchemaError, match=r"parents 1: the column 'level' has values that are no numbers \(row 2\)"):
        validate(grids, parents=halves().assign(level=[1, "high"]))
    with pytest.raises(SchemaError, match="there is no column 'unit'; found the columns code, name, geometry"):
        validate(grids, parents=halves(), parent="unit")


def test_names_of_levels() -> None:
    with pytest.raises(InputError, match="one name for each level; found 2 names; wanted 1"):
        validate(shapes.squares(), parents=halves(), level_names=["a", "b"])
    with pytest.raises(InputError, match="two levels have one name; found grids, grids"):
        validate(shapes.squares(), parents=halves(), level_names=["grids"])


# --- real places ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def districts(places: Path) -> gpd.GeoDataFrame:
    return gpd.read_file(places / "cambridge" / "PUBLICSAFETY_PoliceResponseDistricts.geojson")


@pytest.mark.places
@pytest.mark.parametrize(("key", "layer", "rows"), [("SECTOR", "PoliceSectors", 5), ("CAR_RTE", "PoliceCarRoutes", 9)])
def test_cambridges_districts_nest_in_the_published_levels(
    places: Path, districts: gpd.GeoDataFrame, key: str, layer: str, rows: int
) -> None:
    parents = gpd.read_file(places / "cambridge" / f"PUBLICSAFETY_{layer}.geojson")
    found = verdict(validate(districts, parents=parents, code="CADRA", parent=key, min_area=1.0))
    assert {name: (level["valid"], level["checked"]) for name, level in found["levels"].items()} == {
        "grids": (True, 117), "grids < parents 1": (True, 117), "parents 1": (True, rows),
    }  # fmt: skip


@pytest.mark.places
def test_cambridges_walking_routes_and_the_rows_without_a_key(places: Path, districts: gpd.GeoDataFrame) -> None:
    routes = gpd.read_file(places / "cambridge" / "PUBLICSAFETY_PoliceWalkingRoutes.geojson")
    defects = validate(districts, parents=routes, code="CADRA", parent="WALK_RTE", min_area=2.0)
    orphans = nestings(defects)
    assert len(orphans) == 18 and all(len(codes) == 1 for codes in orphans["codes"])
    assert (defects["kind"] == "missing_code").sum() == 2


@pytest.mark.places
def test_cambridges_neighbourhoods_contradict_their_districts(places: Path, districts: gpd.GeoDataFrame) -> None:
    """Published so: dissolved by NBHD the districts differ from the layer by 193,183 m², counted in both."""
    published = gpd.read_file(places / "cambridge" / "PUBLICSAFETY_PoliceNeighborhoodRegions.geojson")
    keyed = districts.dropna(subset=["NBHD"])
    defects = validate(keyed, parents=published, code="CADRA", parent="NBHD", min_area=1.0)
    wrong = nestings(defects)
    assert wrong["codes"].tolist() == [("1304", "13", "12"), ("606", "2", "6")]
    assert wrong["area_m2"].iloc[0] < 3.0
    # What one neighbourhood takes, another one lacks: the difference counts it twice.
    assert 2 * wrong["area_m2"].iloc[1] == pytest.approx(193_183, abs=1)


@pytest.mark.places
@pytest.mark.parametrize("name", ["changping", "mentougou", "pinggu", "yanqing"])
def test_beijings_units_nest_in_their_district(places: Path, name: str) -> None:
    folder = places / "beijing"
    units, outline = (gpd.read_file(folder / f"{name}-{part}.geojson") for part in ("all", "outline"))
    found = verdict(validate(units, parents=outline))
    assert found["valid"] and set(found["counts"]) <= {"multipart"}
    assert found["levels"]["grids < parents 1"] == {"valid": True, "checked": len(units), "counts": {}}
