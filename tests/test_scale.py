"""Parts of a table over workers: the rows of one machine, whole whatever is killed, bad parts set aside."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import dask_geopandas
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapes
from distributed import Client, KilledWorker, LocalCluster
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import houses_at

from gridgis.assign.houses import assign_houses
from gridgis.assign.ready import ReadyGrids
from gridgis.cli import run
from gridgis.errors import GeometryError, InputError, SchemaError
from gridgis.files import write
from gridgis.scale import assign_lazily, assign_parts, job, list_parts
from gridgis.scale.part import Task, assign_part

ADDED = ["grid", "grid_how", "grid_distance_m"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of two workers on this machine; nothing listens to the outside."""
    quiet = {"dashboard_address": None, "worker_dashboard_address": None, "silence_logs": 50}
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", **quiet) as made:
        yield made.scheduler_address


def many_houses(count: int, seed: int = 0) -> gpd.GeoDataFrame:
    """Houses on the chessboard and around it; one in ten on a border or a corner, one in fifty without a place."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(-30, 330, (count, 2))
    tied = rng.random(count) < 0.1
    xy[tied] = np.round(xy[tied], -2) + rng.choice([0.0, 37.5], (int(tied.sum()), 2))
    houses = gpd.GeoDataFrame(
        {"code": [f"h{i}" for i in range(count)], "households": rng.integers(0, 5, count)},
        geometry=gpd.points_from_xy(shapes.X0 + xy[:, 0], shapes.Y0 + xy[:, 1]),
        crs=shapes.METRES,
    )
    houses.loc[rng.random(count) < 0.02, "geometry"] = None
    return houses


def write_parts(houses: gpd.GeoDataFrame, folder: Path, parts: int) -> None:
    for number, rows in enumerate(np.array_split(np.arange(len(houses)), parts)):
        path = folder / f"region={number % 2}" / f"part-{number}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        houses.iloc[rows].to_parquet(path, index=False)


def read_parts(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(folder / name) for name in list_parts(folder)], ignore_index=True)


def check_same(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """Row for row what one machine gives."""
    assert found["code"].is_unique
    one, two = (pd.DataFrame(frame)[["code", *ADDED]].sort_values("code") for frame in (found, wanted))
    for column in ("code", "grid", "grid_how"):
        assert one[column].fillna("").tolist() == two[column].fillna("").tolist()
    np.testing.assert_array_equal(one["grid_distance_m"].to_numpy(float), two["grid_distance_m"].to_numpy(float))


def alone(name: str, folder: Path, out: Path, grids: gpd.GeoDataFrame, **how: Any) -> dict[str, Any]:
    """One part without a cluster."""
    (out / ".unfinished").mkdir(parents=True, exist_ok=True)
    return assign_part(
        name, Task("job", how.get("within", 0.0), how.get("named"), str(folder), str(out)), ReadyGrids(grids)
    )


# --- the same rows ----------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(1, 5), st.sampled_from([0.0, 12.0]), st.sampled_from(["WKB", "geoarrow", "csv"])
)
def test_parts_give_the_rows_of_one_machine(
    tmp_path_factory: pytest.TempPathFactory, seed: int, parts: int, within: float, way: str
) -> None:
    folder, out = tmp_path_factory.mktemp("parts"), tmp_path_factory.mktemp("out")
    houses, grids = many_houses(80, seed), shapes.squares()
    if way == "csv":  # lon and lat, as they come from a table
        houses = houses.to_crs(4326)
    mixed = houses.sample(frac=1, random_state=seed)
    counts: list[dict[str, Any]] = []
    for number, rows in enumerate(np.array_split(np.arange(len(mixed)), parts)):
        part, path = mixed.iloc[rows], folder / f"{number}.parquet"
        if way == "csv":
            lonlat = {"lon": part.geometry.x.to_numpy(), "lat": part.geometry.y.to_numpy()}
            pd.DataFrame(part.drop(columns="geometry").assign(**lonlat)).to_parquet(path)
        else:
            part.to_parquet(path, geometry_encoding=way)
        counts.append(alone(path.name, folder, out, grids, within=within))
    wanted = assign_houses(houses, grids, within=within)
    check_same(read_parts(out), wanted)
    assert sum(c["rows"] for c in counts) == 80
    for how in ("inside", "border", "nearest", "none"):
        assert sum(c[how] for c in counts) == (wanted["grid_how"] == how).sum()
    assert sum(c["without_place"] for c in counts) == houses.geometry.isna().sum()


def test_a_part_keeps_its_columns_and_order_and_old_answers_go(tmp_path: Path) -> None:
    houses = many_houses(50).assign(grid="old", 备注=["甲"] * 50, tall=pd.array([None] * 50, dtype="Int64"))
    houses.to_parquet(tmp_path / "a.parquet")
    alone("a.parquet", tmp_path, tmp_path / "out", shapes.squares())
    found = gpd.read_parquet(tmp_path / "out" / "a.parquet")
    assert found.columns.tolist() == ["code", "households", "geometry", "备注", "tall", *ADDED]
    assert found["code"].tolist() == houses["code"].tolist()
    assert found.crs == houses.crs
    assert found.geometry.to_wkb().equals(houses.geometry.to_wkb())
    assert found["tall"].dtype == "Int64"


def test_a_part_larger_than_what_is_worked_on_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridgis.scale.part._ROWS", 64)
    houses = many_houses(500)
    houses.to_parquet(tmp_path / "a.parquet")
    counts = alone("a.parquet", tmp_path, tmp_path / "out", shapes.squares(), within=9.0)
    assert counts["rows"] == 500
    check_same(read_parts(tmp_path / "out"), assign_houses(houses, shapes.squares(), within=9.0))


def test_a_dask_frame_gives_the_same_rows_lazily() -> None:
    houses, grids = many_houses(400), shapes.squares()
    lazy = assign_lazily(dask_geopandas.from_geopandas(houses, npartitions=5), grids, within=12)
    assert lazy.npartitions == 5
    with dask.config.set(scheduler="threads"):
        found = lazy.compute()
    wanted = assign_houses(houses, grids, within=12)
    assert found.index.tolist() == wanted.index.tolist()
    check_same(found, wanted)
    with pytest.raises(InputError, match="within must be metres ≥ 0"):
        assign_lazily(lazy, grids, within=-1)


# --- whatever is killed -----------------------------------------------------------------------------------------------


def test_a_worker_is_killed_and_the_result_is_whole(cluster: str, tmp_path: Path) -> None:
    houses, grids = many_houses(120_000), shapes.squares()
    write_parts(houses, tmp_path / "in", 12)
    killed: list[int] = []

    def kill(done: int, parts: int) -> None:
        """After the first part one worker dies, after the fifth another one; each is then at some other part."""
        if (done, len(killed)) in ((1, 0), (5, 1)):
            with Client(cluster, set_as_default=False) as client:
                victim = next(pid for pid in client.run(os.getpid).values() if pid not in killed)
            killed.append(victim)
            os.kill(victim, signal.SIGKILL)

    report = assign_parts(tmp_path / "in", grids, tmp_path / "out", within=12, cluster=cluster, tell=kill)
    assert len(killed) == 2
    assert (report.parts, report.done, report.earlier, report.rejected) == (12, 12, 0, [])
    assert report.rows == sum(report.counts.values()) == 120_000
    assert list_parts(tmp_path / "out") == list_parts(tmp_path / "in")
    assert not (tmp_path / "out" / ".unfinished").exists()
    check_same(read_parts(tmp_path / "out"), assign_houses(houses, grids, within=12))
    assert json.loads((tmp_path / "out" / "report.json").read_text("utf-8")) == report.document()


def test_a_run_goes_on_where_another_was_killed(cluster: str, tmp_path: Path) -> None:
    houses, grids, out = many_houses(600), shapes.squares(), tmp_path / "out"
    write_parts(houses, tmp_path / "in", 6)
    told: list[tuple[int, int]] = []
    first = assign_parts(tmp_path / "in", grids, out, cluster=cluster, tell=lambda *n: told.append(n))
    assert told == [(n, 6) for n in range(7)]
    names = list_parts(out)
    before = {name: (out / name).read_bytes() for name in names}
    # What a killed run may leave: a part missing, one of half its bytes under a name of its own.
    (out / names[0]).unlink()
    (out / ".unfinished").mkdir()
    (out / ".unfinished" / "x.parquet").write_bytes(before[names[1]][:99])
    # And what a user may do: change a part.
    changed = tmp_path / "in" / names[2]
    gpd.read_parquet(changed).iloc[:-1].to_parquet(changed, index=False)
    (out / names[3]).write_bytes(before[names[3]][:-50])  # a disk that lost the end
    kept = {name: (out / name).stat().st_mtime_ns for name in names[4:]}
    second = assign_parts(tmp_path / "in", grids, out, cluster=cluster)
    assert (second.done, second.earlier, second.rows) == (6, 3, first.rows - 1)
    assert {name: (out / name).stat().st_mtime_ns for name in names[4:]} == kept
    for name in (names[0], names[3]):
        assert (out / name).read_bytes() == before[name]
    assert assign_parts(tmp_path / "in", grids, out, cluster="tcp://127.0.0.1:1").earlier == 6  # nobody is asked
    # A part that goes takes its result with it, and one that breaks too; what is not ours stays.
    (tmp_path / "in" / names[4]).unlink()
    (tmp_path / "in" / names[5]).write_bytes(b"broken")
    shapes.squares().to_parquet(out / "theirs.parquet")
    third = assign_parts(tmp_path / "in", grids, out, cluster=cluster)
    assert (third.parts, third.done, third.gone, len(third.rejected)) == (5, 4, [names[4]], 1)
    assert list_parts(out) == [*names[:4], "theirs.parquet"]
    with pytest.raises(
        InputError, match=r"holds the results of another job; found 9 grids within 0\.0 m, .* Name another"
    ):
        assign_parts(tmp_path / "in", grids, out, within=5, cluster=cluster)


def test_two_runs_do_not_write_into_one_folder(tmp_path: Path) -> None:
    write_parts(many_houses(10), tmp_path / "in", 1)
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another run is writing here"):
            assign_parts(tmp_path / "in", shapes.squares(), tmp_path / "out")


def test_a_part_at_which_workers_die_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Future:
        def __init__(self, name: str) -> None:
            self.name, self.status = name, "error" if name == "b" else "finished"

        def exception(self) -> BaseException:
            return KilledWorker("gridgis-b", None, 3)

        def result(self) -> dict[str, Any]:
            return {"rows": 1}

        def release(self) -> None:
            pass

    class Asked:
        def register_plugin(self, plugin: Any) -> None:
            pass

        def unregister_worker_plugin(self, name: str) -> None:
            pass

        def submit(self, work: Any, name: str, *_: Any, **__: Any) -> Future:
            return Future(name)

    (tmp_path / ".unfinished").mkdir()
    monkeypatch.setattr(job, "as_completed", list)
    task, asked = Task("j", 0.0, None, "", str(tmp_path)), Asked()
    found = dict(job._results(asked, ["a", "b"], task, ReadyGrids(shapes.squares())))  # type: ignore[arg-type]
    assert found["a"] == {"rows": 1}
    assert re.match(r"4 workers died at it; did it need more memory", found["b"]["reason"])


# --- bad input --------------------------------------------------------------------------------------------------------


def _bad_parts(folder: Path) -> dict[str, str]:
    """A part for each fault, and what is said of it."""
    sound = many_houses(5).dropna()
    frame = pd.DataFrame({"code": ["a", "b"], "lon": [116.3, 116.3], "lat": [39.9, 39.9]})
    sound.to_parquet(folder / "cut.parquet")
    (folder / "cut.parquet").write_bytes((folder / "cut.parquet").read_bytes()[:-100])
    (folder / "no.parquet").write_bytes(b"code,lon,lat\n")
    pd.concat([sound, sound.iloc[:1]]).to_parquet(folder / "doubled.parquet")
    sound.assign(code=[None, *sound["code"].iloc[1:]]).to_parquet(folder / "nameless.parquet")
    sound.rename(columns={"code": "id"}).to_parquet(folder / "without.parquet")
    sound.set_geometry(sound.buffer(1)).to_parquet(folder / "areas.parquet")
    sound.set_crs(None, allow_override=True).to_parquet(folder / "nowhere.parquet")
    sound.set_crs(4326, allow_override=True).to_parquet(folder / "metres.parquet")
    frame.assign(lon=["116.3", "东经116度"]).to_parquet(folder / "text.parquet")
    frame.assign(lat=[39.9, None]).to_parquet(folder / "half.parquet")
    frame.drop(columns="lat").to_parquet(folder / "placeless.parquet")
    return {
        "cut": r"cannot be read as Parquet \(was it cut off\?\)",
        "no": r"cannot be read as Parquet",
        "doubled": r"the code is not unique \(row h\d\); wanted each code once",
        "nameless": r"rows without a code \(row 1\)",
        "without": r"a house needs the column 'code'; found 'id', 'households', 'geometry'",
        "areas": r"houses that are not points \(5? ?rows?.*\)\. Assign footprints",
        "nowhere": r"the coordinate reference system is missing\. Name it with --crs",
        "metres": r"the coordinates are not degrees, though the CRS \(WGS 84.*\) says so",
        "text": r"the column 'lon' has values that are no numbers \(row 2\); found '东经116度'; wanted degrees",
        "half": r"rows with a lon or a lat but not both \(row 2\)",
        "placeless": r"houses need a place; found a table without geometry",
    }


def test_each_bad_part_has_one_clear_reason(tmp_path: Path) -> None:
    for name, reason in _bad_parts(tmp_path).items():
        told = alone(f"{name}.parquet", tmp_path, tmp_path / "out", shapes.squares())
        assert re.search(rf"/{name}\.parquet: .*{reason}", told["reason"]), told
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert "reason" not in alone("nowhere.parquet", tmp_path, tmp_path / "out", shapes.squares(), named=shapes.METRES)


def test_the_command_does_the_rest_and_names_the_part(
    cluster: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out, grids = tmp_path / "in", tmp_path / "out", tmp_path / "grids.geojson"
    houses = many_houses(200)
    write_parts(houses, folder, 4)
    write(shapes.squares(), grids)
    broken = folder / "region=1" / "part-1.parquet"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:50])
    asked = ["assign", "houses", str(folder), "--grids", str(grids), "--cluster", cluster, "-o", str(out)]
    assert run(asked) == 2
    told = capsys.readouterr()
    assert "分块 parts: 3 / 4" in told.out
    assert re.search(
        r"1 of 4 parts cannot be used; the others are done \(row region=1/part-1\.parquet\); found .*cut off", told.err
    )
    assert pd.read_csv(out / "rejects.csv")["part"].tolist() == ["region=1/part-1.parquet"]
    broken.write_bytes(whole)
    assert run([*asked, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["done"], report["earlier"], report["rows"]) == (4, 3, 200)
    assert not (out / "rejects.csv").exists()
    check_same(read_parts(out), assign_houses(houses, shapes.squares()))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--problems", "x.csv"], "--problems, --datum and --map are for one file; found a folder"),
        (["-o", "in/out"], "results and parts must not lie in each other"),
        (["--cluster", "tcp://127.0.0.1:1"], "tcp://127.0.0.1:1: the cluster does not answer"),
    ],
)
def test_what_a_folder_cannot_have(
    more: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gridgis.scale.job._PATIENCE", "1s")
    write_parts(many_houses(10), Path("in"), 1)
    write(shapes.squares(), "grids.geojson")
    assert run(["assign", "houses", "in", "--grids", "grids.geojson", "-o", "out", *more]) == 2
    assert message in capsys.readouterr().err
    write(houses_at((50, 50)), "houses.geojson")
    assert run(["assign", "houses", "houses.geojson", "--grids", "grids.geojson", "-o", "x.csv", "--workers", "2"]) == 2
    assert "--workers and --cluster are for a folder of .parquet files" in capsys.readouterr().err


def test_folders_without_parts_and_grids_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the folder does not exist; wanted a folder of \.parquet files"):
        assign_parts(tmp_path / "none", shapes.squares(), tmp_path / "out")
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match=r"the folder holds no \.parquet files"):
        assign_parts(tmp_path / "in", shapes.squares(), tmp_path / "out")
    write_parts(many_houses(10), tmp_path / "in", 1)
    with pytest.raises(SchemaError, match="there are no grids"):
        assign_parts(tmp_path / "in", shapes.squares().iloc[:0], tmp_path / "out")
    with pytest.raises(GeometryError, match="polygons are not valid"):
        assign_parts(tmp_path / "in", shapes.bow_tie(), tmp_path / "out")
    assert not (tmp_path / "out").exists()
