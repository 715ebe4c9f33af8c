"""Draw the plans of 清华园街道 and Cambridge MA that docs/planners.md shows: python docs/pictures/draw.py [PLACES]

PLACES is the folder of real places, by default ../shared/data beside the project: what tests marked `places` read.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

import gridgis
from gridgis.assign.estimate import estimate_households, houses_of_buildings
from gridgis.errors import GridgisWarning
from gridgis.files import read_osm
from gridgis.publish.pictures import save_picture

HERE = Path(__file__).resolve().parent
PLACES = HERE.parents[1].parent / "shared" / "data"


def qinghuayuan(places: Path) -> None:
    """From one OSM extract, with households estimated; no communities are known, so the sub-district is one unit."""
    place = gridgis.read(f"{places}/beijing/haidian-all.geojson#110108014", table="boundary")
    layers = read_osm(places / "qinghuayuan" / "map.osm", place)
    profile = gridgis.Profile.load("yichang")
    buildings = layers["buildings"][layers["buildings"].intersects(place.union_all())]
    buildings = estimate_households(buildings, profile)
    houses = houses_of_buildings(buildings)
    cut = gridgis.make_blocks(
        place,
        layers["barriers"],
        houses=houses[houses.intersects(place.union_all())],
        buildings=buildings,
        compounds=layers["compounds"],
        water=layers["water"],
        norm=profile.norm,
    )
    plan = gridgis.partition(cut.blocks, profile, borders=cut.borders)
    title = "清华园街道：网格划分（户数为估算）", "Qinghuayuan Sub-district: grids (estimated households)"
    figure = gridgis.draw_plan(
        plan.grids, barriers=layers["barriers"], blocks=cut.blocks, boundary=place, water=layers["water"], title=title,
        sources=["© OpenStreetMap contributors (ODbL)"], width_in=7.6,
    )  # fmt: skip
    told(save_picture(figure, HERE / "qinghuayuan.png"), cut, plan)


def cambridge(places: Path) -> None:
    """From the city's own layers; homes are counted from its parcels and tax list."""
    place = gpd.read_file(places / "cambridge" / "BOUNDARY_CityBoundary.geojson").assign(code="CAM")
    water = gpd.read_file(places / "cambridge" / "HYDRO_WaterBodies.geojson").rename(columns={"NAME": "name"})
    barriers = cambridge_barriers(places / "cambridge", water)
    cut = gridgis.make_blocks(place, barriers, houses=cambridge_homes(places / "cambridge"), water=water)
    plan = gridgis.partition(cut.blocks, 600.0, borders=cut.borders)
    title = "剑桥市（美国马萨诸塞州）：每格约 600 户", "Cambridge MA: grids of about 600 homes"
    figure = gridgis.draw_plan(
        plan.grids, barriers=barriers, blocks=cut.blocks, boundary=place, water=water, title=title,
        sources=["City of Cambridge GIS"], width_in=9.0,
    )  # fmt: skip
    told(save_picture(figure, HERE / "cambridge.png"), cut, plan)


def cambridge_barriers(folder: Path, water: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Streets, shores and rails in our classes."""
    streets = gpd.read_file(folder / "TRANS_Centerlines.geojson")
    rails = gpd.read_file(folder / "TRANS_Rail.geojson").geometry
    kinds = np.select([streets["MajorRoad"] == 1, streets["MajorRoad"] == 2], ["main", "secondary"], "lane")
    parts = [
        (streets.geometry, kinds, streets["Street"]),
        (water.boundary, "river", water["name"]),
        (rails, "railway", None),
    ]
    layers = [gpd.GeoDataFrame(geometry=g.to_crs(water.crs)).assign(**{"class": c, "name": n}) for g, c, n in parts]
    return pd.concat(layers, ignore_index=True)


def cambridge_homes(folder: Path) -> gpd.GeoDataFrame:
    """A point in each parcel with homes: one a condominium, else as many as the tax list says live there."""
    tax = pd.read_csv(folder / "TaxFY14.csv", dtype=str)
    use = tax["UseDescription"].fillna("")
    told = pd.to_numeric(tax["Occupancy"], errors="coerce").fillna(0).clip(0, 400)
    lived = use.str.contains("CONDOMINIUM|FAM|UNIT-APT|Housing Auth|MULT-RES").to_numpy()
    homes = pd.Series(np.where(use == "CONDOMINIUM", 1, told) * lived, index=tax["ML"]).groupby(level=0).sum()
    parcels = gpd.read_file(folder / "ASSESSING_ParcelsFY2014.topojson").drop_duplicates("ML")
    count = parcels["ML"].map(homes).fillna(0).astype(int).to_numpy()
    points = shapely.point_on_surface(shapely.make_valid(parcels.geometry.to_numpy()))
    houses = gpd.GeoDataFrame({"code": parcels["ML"].to_numpy(), "households": count}, geometry=points, crs=4326)
    return houses[count > 0]


def told(path: Path, cut: gridgis.plan.blocks.Blocks, plan: gridgis.plan.partition.Plan) -> None:
    """Say on the terminal what the picture shows."""
    summary = plan.summary
    print(
        f"{path.name}: {path.stat().st_size / 1000:.0f} kB, {len(cut.blocks)} blocks, {summary['grids']} grids, "
        f"{summary['off_norm']} off norm (at least {summary['bound_off_norm']}), "
        f"compactness {summary['compactness']:.2f}, on strong barriers {summary['road_share']:.0%}"
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore", GridgisWarning)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PLACES
    qinghuayuan(folder)
    cambridge(folder)
