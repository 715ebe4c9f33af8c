"""Houses × 3,000 grids: load, assign, totals by grid, end to end, in both databases, in plain SQL and in geopandas.

Seeded; each peer does the same job from the same file in the same run, and all must give the same totals. CPU time is
that of this process and, beside it, of the database server. Each load runs in a process of its own, so that its memory
is its own. ``python benchmarks/store.py 10000`` measures another size, ``python benchmarks/store.py loads`` only the
loads of 1 M houses, from Parquet and from CSV.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import psutil
import psycopg
import shapely

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from peak import peak_mb
from postgres import Server, programs, server

from gridgis.assign.houses import assign_houses
from gridgis.loading import load_files
from gridgis.store import open_store

SIZES = (10_000, 100_000, 1_000_000)
COLUMNS, LINES = 60, 50
#: Seconds of wall time for the load of 1 M houses, and memory, MB.
WANTED = {"file": 90.0, "postgis": 180.0}
WANTED_MB = 2_000
WEST, SOUTH, SIDE = 116.2, 39.8, 0.004


def grids() -> gpd.GeoDataFrame:
    x, y = (n.ravel() for n in np.meshgrid(np.arange(COLUMNS), np.arange(LINES)))
    west, south = WEST + x * SIDE, SOUTH + y * SIDE
    shapes = shapely.segmentize(shapely.box(west, south, west + SIDE, south + SIDE), SIDE / 25)
    return gpd.GeoDataFrame({"code": [f"{n:04d}" for n in range(len(x))]}, geometry=shapes, crs=4326)


def write_houses(n: int, path: Path) -> None:
    draw = np.random.default_rng(8)
    # A few lie outside every grid.
    x = WEST + draw.random(n) * COLUMNS * SIDE * 1.001
    y = SOUTH + draw.random(n) * LINES * SIDE * 1.001
    number = np.arange(n)
    gpd.GeoDataFrame(
        {
            "code": [f"{i:012d}" for i in number], "building": [f"B{i // 20:06d}" for i in number],
            "address": [f"幸福路{i // 100}号{i % 6 + 1}单元{i % 30}室" for i in number], "households": number % 3 + 1,
        },
        geometry=gpd.points_from_xy(x, y), crs=4326,
    ).to_parquet(path)  # fmt: skip


def totals(houses: pd.DataFrame) -> dict[str, int]:
    return {str(code): int(n) for code, n in houses.groupby("grid")["households"].sum().items()}


def ours(where: str, file: Path, ground: gpd.GeoDataFrame, told: dict[str, float]) -> dict[str, int]:
    with open_store(where, create=True) as store:
        store.save({"grid": ground})
    told["load"], told["load CPU"], told["load MB"] = load_apart(where, file)
    with open_store(where) as store:
        begun = time.perf_counter()
        assigned = assign_houses(store.load("house"), store.load("grid"))
        told["assign"] = time.perf_counter() - begun
        begun = time.perf_counter()
        store.save({"house": assigned})
        found = totals(assigned)
        told["keep"] = time.perf_counter() - begun
    return found


def load_apart(where: str, file: Path) -> tuple[float, float, float]:
    """Load a file in a process of its own: seconds of wall time, of CPU, and the most memory it had, MB."""
    command = [sys.executable, __file__, "load", where, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, cpu, peak = map(float, done.stdout.split())
    return seconds, cpu, peak


def load(where: str, file: str) -> None:
    """What that process does."""
    with open_store(where) as store:
        begun = time.perf_counter()
        load_files(store, "house", [file], by="benchmark")
        seconds = time.perf_counter() - begun
    print(seconds, time.process_time(), peak_mb())


def loads(running: Server, folder: Path) -> None:
    """The loads of 1 M houses, from both formats into both databases."""
    file = folder / "houses.parquet"
    write_houses(SIZES[-1], file)
    houses = gpd.read_parquet(file)
    plain = pd.DataFrame(houses.drop(columns="geometry")).assign(lon=houses.geometry.x, lat=houses.geometry.y)
    plain.to_csv(file.with_suffix(".csv"), index=False)
    del houses, plain
    for source in (file, file.with_suffix(".csv")):
        for kind, wanted in WANTED.items():
            own = folder / "place.gpkg"
            own.unlink(missing_ok=True)
            with running.database() as address:
                where = str(own) if kind == "file" else address
                open_store(where, create=True).close()
                served = _cpu_of(running)
                seconds, cpu, peak = load_apart(where, source)
                served = _cpu_of(running) - served
            verdict = "met" if seconds < wanted and peak < WANTED_MB else "missed"
            print(f"  {source.suffix[1:]:8} {kind:8} {seconds:6.1f} s, CPU {cpu:6.1f} s + server {served:6.1f} s, "
                  f"{peak:6,.0f} MB; wanted < {wanted:.0f} s, < {WANTED_MB:,} MB: {verdict}", flush=True)  # fmt: skip


def in_sql(address: str, file: Path, ground: gpd.GeoDataFrame, told: dict[str, float]) -> dict[str, int]:
    """The same in PostGIS alone: COPY, a GiST index, ST_Covers, the lowest code on a border, GROUP BY."""
    with psycopg.connect(address) as connection:
        connection.execute("CREATE TABLE g (code text PRIMARY KEY, geometry geometry(Geometry, 4326))")
        connection.execute(
            "CREATE TABLE h (code text PRIMARY KEY, building text, address text, households int, "
            "geometry geometry(Point, 4326), grid text)"
        )
        begun = time.perf_counter()
        houses = gpd.read_parquet(file)
        rows = (
            ("COPY g FROM STDIN", zip(ground["code"], shapely.to_wkb(ground.geometry, hex=True), strict=True)),
            (
                "COPY h (code, building, address, households, geometry) FROM STDIN",
                zip(*(houses[c] for c in ("code", "building", "address", "households")),
                    shapely.to_wkb(houses.geometry, hex=True), strict=True),
            ),
        )  # fmt: skip
        for statement, lines in rows:
            with connection.cursor().copy(statement) as copy:
                for line in lines:
                    copy.write_row(line)
        told["load"] = time.perf_counter() - begun
        begun = time.perf_counter()
        connection.execute("CREATE INDEX ON g USING gist (geometry)")
        connection.execute("ANALYZE g")
        connection.execute(
            "UPDATE h SET grid = (SELECT min(g.code) FROM g WHERE ST_Intersects(g.geometry, h.geometry))"
        )
        told["assign"] = time.perf_counter() - begun
        begun = time.perf_counter()
        found = connection.execute("SELECT grid, sum(households) FROM h WHERE grid IS NOT NULL GROUP BY grid")
        made = {str(code): int(n) for code, n in found}
        told["keep"] = time.perf_counter() - begun
    return made


def in_geopandas(file: Path, ground: gpd.GeoDataFrame, told: dict[str, float]) -> dict[str, int]:
    """The same in memory: nothing is kept."""
    begun = time.perf_counter()
    houses = gpd.read_parquet(file)
    told["load"] = time.perf_counter() - begun
    begun = time.perf_counter()
    joined = gpd.sjoin(houses, ground.rename(columns={"code": "grid"}), predicate="intersects").sort_values("grid")
    found = totals(joined[~joined.index.duplicated()])
    told["assign"], told["keep"] = time.perf_counter() - begun, 0.0
    return found


def measured(name: str, job: Callable[[dict[str, float]], dict[str, int]], running: Server) -> dict[str, int]:
    told: dict[str, float] = {}
    cpu, served = time.process_time(), _cpu_of(running)
    found = job(told)
    cpu, served = time.process_time() - cpu, _cpu_of(running) - served
    cpu += told.pop("load CPU", 0.0)
    peak = told.pop("load MB", None)
    if peak is not None:
        PEAKS[name] = peak
    parts = ", ".join(f"{part} {seconds:6.1f} s" for part, seconds in told.items())
    print(f"  {name:10} {parts}; CPU {cpu:6.1f} s + server {served:6.1f} s", flush=True)
    if name in WANTED:
        LOADS[name] = told["load"]
    return found


#: Of the last size measured.
LOADS: dict[str, float] = {}
#: The most memory that the process of the load had, MB.
PEAKS: dict[str, float] = {}


def _cpu_of(running: Server) -> float:
    """CPU seconds of the server and of the processes that it had."""
    time.sleep(0.5)  # those of a process that ends count when the server notices
    pid = int((running.folder / "data" / "postmaster.pid").read_text().split()[0])
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    if sys.argv[1:2] == ["load"]:
        load(*sys.argv[2:4])
        return
    alone = sys.argv[1:] == ["loads"]
    sizes = [] if alone else [int(size) for size in sys.argv[1:]] or list(SIZES)
    ground = grids()
    found = programs()
    if found is None:
        sys.exit("no PostgreSQL server is installed (make system installs one)")
    with server(found) as running, tempfile.TemporaryDirectory() as folder:
        if alone:
            loads(running, Path(folder))
        for n in sizes:
            file, own = Path(folder) / "houses.parquet", Path(folder) / "place.gpkg"
            write_houses(n, file)
            print(f"{n:,} houses × {len(ground):,} grids")
            own.unlink(missing_ok=True)
            made = measured("file", lambda told: ours(str(own), file, ground, told), running)  # noqa: B023
            with running.database() as address:
                other = measured("postgis", lambda told: ours(address, file, ground, told), running)  # noqa: B023
            with running.database() as address:
                plain = address.replace("+psycopg", "")
                sql = measured("plain SQL", lambda told: in_sql(plain, file, ground, told), running)  # noqa: B023
            memory = measured("geopandas", lambda told: in_geopandas(file, ground, told), running)  # noqa: B023
            assert made == other == sql == memory, "the totals differ"
        if SIZES[-1] in sizes[-1:]:
            for name, wanted in WANTED.items():
                verdict = "met" if LOADS[name] < wanted else "missed"
                print(f"load of 1 M houses, {name}: {LOADS[name]:.0f} s, wanted < {wanted:.0f} s: {verdict}")
                verdict = "met" if PEAKS[name] < WANTED_MB else "missed"
                print(f"  its memory: {PEAKS[name]:,.0f} MB, wanted < {WANTED_MB:,} MB: {verdict}")


if __name__ == "__main__":
    main()
