"""Beijing, Cambridge, Providence, Somerville: the known answers of ../shared/data/README.md.

They were measured in the UTM zone of the place and are compared there, to their last digit. Our own areas are measured
in `gridgis.crs.metric_crs`; in China that is another projection, so both are compared on the ellipsoid.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely

from gridgis.crs import from_datum
from gridgis.plan.validate import validate, verdict

pytestmark = pytest.mark.places

UTM = {"beijing": 32650, "cambridge": 32619, "providence": 32619, "somerville": 32619}

#: name: units, extra parts (exclaves), and the kinds that validate finds against the published outline.
BEIJING: dict[str, tuple[int, int, set[str]]] = {
    "dongcheng": (17, 0, {"outside"}),
    "xicheng": (15, 0, {"outside"}),
    "changping": (22, 3, {"multipart"}),
    "mentougou": (13, 12, {"multipart"}),
    "pinggu": (18, 0, set()),
    "yanqing": (18, 2, {"multipart"}),
    "huairou": (16, 29, {"multipart", "gap", "unmatched_edge"}),
    "miyun": (20, 0, {"gap"}),
    "haidian": (29, 7, {"multipart", "gap", "overlap", "unmatched_edge"}),
    "chaoyang": (43, 5, {"multipart", "gap", "overlap"}),
}
#: m² between the units' union and the outline, and the README's last digit.
OFF_OUTLINE = {
    "changping": (0.0, 0.1), "mentougou": (0.0, 0.1), "pinggu": (0.0, 0.1), "yanqing": (0.0, 0.1),
    "dongcheng": (12.3, 0.1), "xicheng": (26.5, 0.1), "haidian": (1321, 1),
}  # fmt: skip
#: key: published layer, features, m² that the dissolved districts may differ by.
CAMBRIDGE = {
    "SECTOR": ("PoliceSectors", 5, 1.0),
    "CAR_RTE": ("PoliceCarRoutes", 9, 1.0),
    "BUSNSS": ("PoliceBusinessRegions", 10, 1.0),
    "WALK_RTE": ("PoliceWalkingRoutes", 38, 2.0),
    "NBHD": ("PoliceNeighborhoodRegions", 13, None),
}
TOUCHING = ("gap", "uncovered", "outside", "overlap", "contained", "duplicate", "unmatched_edge")


def beijing(places: Path, name: str) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    folder = places / "beijing"
    return gpd.read_file(folder / f"{name}-all.geojson"), gpd.read_file(folder / f"{name}-outline.geojson")


def cambridge(places: Path, name: str) -> gpd.GeoDataFrame:
    return gpd.read_file(places / "cambridge" / f"{name}.geojson")


def districts(places: Path) -> gpd.GeoDataFrame:
    return cambridge(places, "PUBLICSAFETY_PoliceResponseDistricts")


def providence(places: Path, name: str) -> gpd.GeoDataFrame:
    return gpd.read_file(f"zip://{places / 'providence' / name}.zip")


def in_utm(defects: gpd.GeoDataFrame, place: str, *kinds: str) -> float:
    """m² of the defects of these kinds in the UTM zone of the place, as the known answers were measured.

    Our own figure must be the same ground: measured in another projection, it differs by the ratio of the two scales.
    """
    chosen = defects[defects["kind"].isin(kinds)]
    theirs = chosen.to_crs(UTM[place]).area
    for one, ours in zip(chosen.index, chosen["area_m2"], strict=True):
        at = (chosen.at[one, "lon"], chosen.at[one, "lat"])
        scales = [pyproj.Proj(crs).get_factors(*at).areal_scale for crs in (measured_in(defects), UTM[place])]
        # The scale changes by less than 1e-4 within a district.
        assert ours / scales[0] == pytest.approx(theirs[one] / scales[1], rel=1e-4, abs=1e-6)
    return float(theirs.sum())


def measured_in(defects: gpd.GeoDataFrame) -> str:
    return str(defects.attrs["parameters"]["measured_in"])


def extra_parts(grids: gpd.GeoDataFrame) -> int:
    return int((shapely.get_num_geometries(np.asarray(grids.geometry.array)) - 1).sum())


def sizes(defects: gpd.GeoDataFrame, kind: str) -> list[tuple[tuple[str, ...], int]]:
    """Codes and whole m² of each defect of a kind."""
    chosen = defects[defects["kind"] == kind]
    return [(codes, round(area)) for codes, area in zip(chosen["codes"], chosen["area_m2"], strict=True)]


# --- Beijing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BEIJING)
def test_the_districts_of_beijing(places: Path, name: str) -> None:
    """Units, exclaves and the kinds of faults; the only error of a clean one is a hole or a strip at its outline."""
    grids, boundary = beijing(places, name)
    units, exclaves, kinds = BEIJING[name]
    own, given = validate(grids), validate(grids, boundary)
    assert own.attrs["checked"] == given.attrs["checked"] == units == len(grids)
    assert set(given["kind"]) == kinds
    assert set(own["kind"]) == kinds - {"outside"}
    parts = own[own["kind"] == "multipart"]
    assert int(shapely.get_num_geometries(np.asarray(parts.geometry.array)).sum()) == exclaves == extra_parts(grids)
    assert set(parts["severity"]) <= {"warning"}
    assert verdict(given)["valid"] is (kinds <= {"multipart", "unmatched_edge"})
    assert all(len(code) == 12 and code.isdigit() for codes in given["codes"] for code in codes)


@pytest.mark.parametrize("name", OFF_OUTLINE)
def test_how_far_the_districts_are_from_their_outlines(places: Path, name: str) -> None:
    wanted, digit = OFF_OUTLINE[name]
    found = in_utm(validate(*beijing(places, name)), "beijing", "gap", "uncovered", "outside")
    assert found == pytest.approx(wanted, abs=digit / 2 if wanted else digit)


def test_the_faults_of_haidian(places: Path) -> None:
    grids, boundary = beijing(places, "haidian")
    defects = validate(grids, boundary)
    assert sizes(defects, "gap") == [
        (("110108010000", "110108011000", "110108024000"), 266),
        (("110108012000", "110108023000"), 917),
        (("110108013000", "110108014000", "110108024000"), 121),
        (("110108013000", "110108022000"), 18),
    ]
    assert sizes(defects, "overlap") == [
        (("110108013000", "110108014000"), 455),
        (("110108013000", "110108020000"), 12),
        (("110108013000", "110108022000"), 4),
    ]
    assert verdict(defects)["counts"] == {"overlap": 3, "gap": 4, "multipart": 5, "unmatched_edge": 1}


def test_the_faults_of_chaoyang(places: Path) -> None:
    defects = validate(*beijing(places, "chaoyang"))
    assert [area for _, area in sizes(defects, "gap")] == [60]
    assert sum(defects.loc[defects["kind"] == "overlap", "area_m2"]) == pytest.approx(66.5, abs=0.05)
    assert verdict(defects)["counts"] == {"overlap": 2, "gap": 1, "multipart": 3}


@pytest.mark.parametrize(("name", "holes", "ground"), [("huairou", 2, 843), ("miyun", 1, 45)])
def test_the_holes_of_two_districts_are_known_ones(places: Path, name: str, holes: int, ground: int) -> None:
    """Clean with holes: with them listed, nothing is left that makes the set invalid."""
    grids, _ = beijing(places, name)
    gaps = validate(grids).query("kind == 'gap'")
    assert len(gaps) == holes
    assert in_utm(validate(grids), "beijing", "gap") == pytest.approx(ground, abs=0.5)
    lakes = gpd.GeoDataFrame(geometry=gaps.geometry, crs=gaps.crs).reset_index(drop=True)
    assert verdict(validate(grids, holes=lakes))["valid"] is True


def test_four_districts_nest_in_their_outlines(places: Path) -> None:
    """71 units of four districts that border on each other, by the codes: 110114005000 in 110114000000."""
    chosen = [name for name, (off, _) in OFF_OUTLINE.items() if off == 0.0]
    grids, outlines = (
        pd.concat(list(tables), ignore_index=True) for tables in zip(*(beijing(places, n) for n in chosen), strict=True)
    )
    defects = validate(grids, parents=outlines, level_names=["district"])
    found = verdict(defects)
    assert found["valid"] is True and len(grids) == 71
    assert set(found["counts"]) == {"multipart"}
    assert "district" in found["levels"] and all(level["valid"] for level in found["levels"].values())


def test_beijing_is_not_shifted(places: Path) -> None:
    """Read as GCJ-02 it would lie about 545 m off."""
    grids, _ = beijing(places, "haidian")
    shifted = from_datum(grids, "gcj02")
    there, here = (frame.to_crs(UTM["beijing"]).geometry.centroid for frame in (shifted, grids))
    assert float(there.distance(here).mean()) == pytest.approx(545, abs=10)


# --- Cambridge, Somerville --------------------------------------------------------------------------------------------


def test_cambridge_and_somerville_tile_themselves(places: Path) -> None:
    grids = districts(places)
    found = verdict(validate(grids, code="CADRA"))
    assert (found["valid"], found["checked"], found["defects"]) == (True, 117, [])
    assert found["parameters"]["code"] == "CADRA"
    wards = gpd.read_file(places / "somerville" / "somerville_wards.geojson")
    found = verdict(validate(wards, code="Ward"))
    assert (found["valid"], found["checked"], found["defects"]) == (True, 7, [])


@pytest.mark.parametrize("key", CAMBRIDGE)
def test_cambridge_dissolves_into_the_published_layers(places: Path, key: str) -> None:
    layer, features, within = CAMBRIDGE[key]
    grids, published = districts(places), cambridge(places, f"PUBLICSAFETY_{layer}")
    unkeyed = int(grids[key].isna().sum()), int(published[key].isna().sum())
    assert len(published) == features
    assert unkeyed == ((18, 2) if key == "WALK_RTE" else (0, 0))
    dissolved, theirs = (
        frame.dropna(subset=[key]).dissolve(key).to_crs(UTM["cambridge"]).geometry for frame in (grids, published)
    )
    assert list(dissolved.index) == list(theirs.index)
    apart = dissolved.symmetric_difference(theirs, align=True).area
    if within is None:  # a published inconsistency between two of the thirteen
        assert apart.sum() == pytest.approx(193_183, abs=1)
        assert sorted(apart[apart > 1.0].index.astype(int)) == [2, 6]
    else:
        assert apart.sum() < within if key == "WALK_RTE" else apart.max() < within


@pytest.mark.parametrize(
    ("child", "parent", "straddling"),
    [("CAR_RTE", "SECTOR", 1), ("WALK_RTE", "CAR_RTE", 5), ("BUSNSS", "SECTOR", None)],
)
def test_routes_that_lie_in_two_parents(places: Path, child: str, parent: str, straddling: int | None) -> None:
    """By the districts' own keys, and by the ground of the layers: the same routes are named."""
    grids = districts(places).dropna(subset=[child])
    by_key = grids.groupby(child)[parent].nunique()
    wanted = {str(code) for code in by_key[by_key > 1].index}
    assert straddling is None or len(wanted) == straddling
    lower, upper = (
        districts(places).dropna(subset=[key]).dissolve(key).reset_index()[[key, "geometry"]] for key in (child, parent)
    )
    defects = validate(
        lower.rename(columns={child: "code"}), parents=upper.rename(columns={parent: "code"}), min_area=1.0
    )
    nesting = defects[defects["kind"] == "nesting"]
    assert {codes[0] for codes in nesting["codes"]} == wanted
    assert all(len(codes) == 3 for codes in nesting["codes"])


def test_cambridge_against_the_citys_outline(places: Path) -> None:
    defects = validate(districts(places), cambridge(places, "BOUNDARY_CityBoundary"), code="CADRA")
    assert set(defects["kind"]) == {"outside", "uncovered"}
    assert in_utm(defects, "cambridge", "outside") == pytest.approx(25_522, abs=1)
    assert in_utm(defects, "cambridge", "uncovered", "gap") == pytest.approx(20_602, abs=1)


# --- Providence -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "count", "exclaves"), [("blocks", 3014, 1), ("new_precincts", 55, 2), ("districts", 15, 0)]
)
def test_what_tiles_in_providence(places: Path, name: str, count: int, exclaves: int) -> None:
    found = verdict(validate(providence(places, name), code=None))
    assert (found["valid"], found["checked"]) == (True, count)
    assert found["counts"] == ({"multipart": exclaves} if exclaves else {})


def test_the_precincts_of_providence(places: Path) -> None:
    """One precinct overlaps (two splinters of it lie in its neighbours), and there are three holes."""
    defects = validate(providence(places, "precincts"), code=None)
    assert sizes(defects, "gap") == [
        (("12", "17", "50"), 48),
        (("18", "24", "51", "58"), 12_748),
        (("23", "31", "43", "59"), 85_246),
    ]
    assert in_utm(defects, "providence", "gap") == pytest.approx(98_042, abs=0.5)
    assert sizes(defects, "overlap") == [(("22", "6"), 1), (("22", "8"), 3)]
    assert verdict(defects)["counts"] == {"overlap": 2, "gap": 3, "multipart": 3, "sliver": 2}


# --- repair -----------------------------------------------------------------------------------------------------------


def touched(defects: gpd.GeoDataFrame) -> set[str]:
    """The units that a defect of ground or of vertices names."""
    return {code for codes in defects.loc[defects["kind"].isin(TOUCHING), "codes"] for code in codes}


def assert_mended(grids: gpd.GeoDataFrame, code: str | None, result: Any, defects: gpd.GeoDataFrame) -> None:
    """What holds wherever: valid or listed, rows as they were, and a log that says what happened to whom."""
    after = result.grids
    assert verdict(result.left)["valid"] is True
    assert list(after.columns) == list(grids.columns) and after.index.equals(grids.index) and after.crs == grids.crs
    pd.testing.assert_frame_equal(
        pd.DataFrame(after.drop(columns="geometry")), pd.DataFrame(grids.drop(columns="geometry"))
    )
    names = grids[code].astype(str) if code else pd.Series([str(i) for i in range(1, len(grids) + 1)], grids.index)
    changed = set(names[shapely.to_wkb(after.geometry.array) != shapely.to_wkb(grids.geometry.array)])
    assert changed and set(result.log["code"]) == changed
    assert len(result.log) == len(changed)
    parts = {c for codes in defects.loc[defects["kind"].isin(["multipart", "sliver"]), "codes"] for c in codes}
    assert changed <= touched(defects) | parts


@pytest.mark.parametrize("name", ["pinggu", "changping", "mentougou"])
def test_repair_leaves_what_is_clean_as_it_is(places: Path, name: str) -> None:
    """Exclaves in earnest are no fault of drawing: 门头沟 has two of less than a hectare."""
    from gridgis.plan.repair import repair

    grids, boundary = beijing(places, name)
    result = repair(grids, boundary, **({"small_part_m2": 0.0} if name == "mentougou" else {}))
    assert (shapely.to_wkb(result.grids.geometry.array) == shapely.to_wkb(grids.geometry.array)).all()
    assert len(result.log) == 0


def test_repair_of_haidian_fills_its_outline(places: Path) -> None:
    from gridgis.plan.repair import repair

    grids, boundary = beijing(places, "haidian")
    defects = validate(grids, boundary)
    result = repair(grids, boundary)
    assert_mended(grids, "code", result, defects)
    assert set(result.left["kind"]) <= {"multipart"}
    outline = boundary.to_crs(4548).geometry.union_all()
    assert result.grids.to_crs(4548).area.sum() == pytest.approx(outline.area, abs=0.01)
    found = {
        code[6:9]: (round(gained), gained_from, round(lost), lost_to)
        for code, gained, gained_from, lost, lost_to in zip(
            result.log["code"], result.log["gained_m2"], result.log["gained_from"], result.log["lost_m2"],
            result.log["lost_to"], strict=True,
        )
    }  # fmt: skip
    assert found == {
        "001": (0, "", 0, ""),  # a vertex that it lacked
        "011": (266, "空隙 gap 266.48", 0, ""),
        "012": (917, "空隙 gap 916.63", 0, ""),
        "014": (0, "", 455, "110108013000 454.58"),
        "020": (0, "", 12, "110108013000 11.85"),
        "022": (18, "空隙 gap 18.09", 4, "110108013000 3.87"),
        "024": (121, "空隙 gap 121.21", 0, ""),
    }
    # The ground of the gaps went to somebody, that of the overlaps from one of two.
    balance = result.log["area_after_m2"] - result.log["area_before_m2"]
    gaps, overlaps = (defects.loc[defects["kind"] == kind, "area_m2"].sum() for kind in ("gap", "overlap"))
    assert balance.sum() == pytest.approx(gaps - overlaps, abs=0.01)


def test_repair_of_the_precincts_needs_no_boundary(places: Path) -> None:
    from gridgis.plan.repair import repair

    grids = providence(places, "precincts")
    defects = validate(grids, code=None)
    result = repair(grids, code=None)
    assert_mended(grids, None, result, defects)
    assert set(result.left["kind"]) <= {"multipart"}
    before, after = (frame.to_crs(UTM["providence"]).area.sum() for frame in (grids, result.grids))
    gaps, overlaps = (in_utm(defects, "providence", kind) for kind in ("gap", "overlap"))
    assert after - before == pytest.approx(gaps - overlaps, abs=0.01)
    assert gaps == pytest.approx(98_042, abs=0.5)
    balance = result.log["area_after_m2"] - result.log["area_before_m2"]
    assert balance.sum() == pytest.approx(after - before, abs=0.01)
    assert set(result.log["code"]) <= touched(defects)
    # Each hole went to the one of its neighbours with the longest border; 22 lost its splinters to both.
    assert dict(zip(result.log["code"], result.log["gained_m2"].round(), strict=True)) == {
        "12": 48, "22": 0, "23": 85_246, "58": 12_748
    }  # fmt: skip
    assert result.log.set_index("code").loc["22", "lost_to"] == "8 3.36; 6 0.59"
