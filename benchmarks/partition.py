"""partition in figures, beside what others offer, on seeded towns of 600, 10,000 and 100,000 blocks and on Providence.

Run with ``python benchmarks/partition.py``; ours takes a minute or two on two cores, the peers up to half an hour.

    --sets s600,m10k,m100k,providence
    --no-peers                ours alone
    --peers "METIS k-way,KaHIP strong"     only these
    --limit 120               CPU seconds for each peer on each set; one that needs more is ended, and said so
    --memory 4000             MB of address space for each peer; one that needs more is ended, and said so
    --no-plain                without the run without compiled loops
    --seed 1

A town is a grid of crooked streets 100 m apart. Main roads part the communities (10 x 6 blocks each in s600, 10 x 10 in
the others); in them about every third street is a secondary or main road, the others are lanes. A block has 28
households in the mean (gamma distributed); a grid is to have 400. Providence: census blocks by ward, 1,250 people,
read from ../shared/data; left out where that folder does not exist.

Every run is inside each community, with the tolerance of the target (20 %, Providence 25 %) where the method knows one,
and border weights by class where it knows weights. Seconds are wall and CPU of the call (all threads), after a first
small call that loads the compiled loops; what that costs is printed too. ``road`` is the share of the inner border
(between grids of one community) on main and secondary roads, ``PP`` the mean Polsby-Popper. Each peer runs in a process
of its own: pymetis (k-way with contiguous parts, and recursive), KaHIP (strong), GerryChain's recursive tree, and
spopt's MaxP (floor 80 % of the norm; 5 constructions, one annealing), Skater (floor half the mean number of blocks) and
AZP; spopt's three get the blocks' coordinates as the attributes that are to be alike, which leads to round regions.
Nothing fails when a target is missed.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import multiprocessing
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from peak import peak_mb

from gridgis.plan.faces.graph import Graph, block_graph, components
from gridgis.plan.partition import compactness, partition
from gridgis.plan.sharing import recombine

Ints = NDArray[np.int64]

WIDTH_M, BEND_M = 100.0, 15.0
MEAN_HOUSEHOLDS, NORM, PEOPLE = 28, 400.0, 1250.0
STRONG = ("main", "secondary")
#: Communities across and up, and blocks across and up in each.
TOWNS = {"s600": (5, 2, 10, 6), "m10k": (10, 10, 10, 10), "m100k": (40, 25, 10, 10)}
PROVIDENCE = Path(__file__).parents[1] / ".." / "shared" / "data" / "providence" / "blocks.zip"


class Place(NamedTuple):
    """Blocks, their borders where they have classes; what is shared out, how much a grid is to have, tolerance."""

    blocks: gpd.GeoDataFrame
    borders: pd.DataFrame | None
    weight: str
    norm: float
    tolerance: float


class Target(NamedTuple):
    """What is to be reached: grids outside `limit`, compactness, share on roads, seconds."""

    limit: float
    outside: int
    compact: float
    road: float
    seconds: float


TARGETS = {
    "s600": Target(0.20, 0, 0.64, 0.55, 1.0),
    "m10k": Target(0.20, 0, 0.66, 0.70, 5.0),
    "m100k": Target(0.20, 0, 0.66, 0.70, 60.0),
    "providence": Target(0.25, 1, 0.60, 0.0, 60.0),
}
MEMORY_MB = 3000.0
#: A peer that sleeps or shares the machine is ended after so many times its CPU seconds on the wall.
WALL_FACTOR = 4


class Limits(NamedTuple):
    """What a peer may use on one set: CPU seconds, and address space in MB."""

    cpu_s: int
    memory_mb: int


class Ran(NamedTuple):
    """A run that ended: seconds on the wall and of the CPU, peak of its process in MB, the grid of each block."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    label: Ints


# --- the sets ---------------------------------------------------------------------------------------------------------


def town(across: int, up: int, wide: int, high: int, seed: int) -> Place:
    """A seeded town of ``across * up`` communities of ``wide * high`` blocks each."""
    rng = np.random.default_rng(seed)
    columns, rows = across * wide, up * high
    x, y = np.meshgrid(np.arange(columns + 1) * WIDTH_M, np.arange(rows + 1) * WIDTH_M, indexing="ij")
    corners = np.stack([x + 447_000, y + 4_427_000], axis=-1) + rng.uniform(-BEND_M, BEND_M, (*x.shape, 2))
    upright, level = _streets(across, wide, rng), _streets(up, high, rng)
    i, j = (at.ravel() for at in np.meshgrid(np.arange(columns), np.arange(rows), indexing="ij"))
    rings = np.stack([corners[i, j], corners[i + 1, j], corners[i + 1, j + 1], corners[i, j + 1]], axis=1)
    codes = np.array([f"b{a:04d}-{b:04d}" for a, b in zip(i, j, strict=True)], dtype=object)
    units = np.array([f"u{a:03d}{b:03d}" for a, b in zip(i // wide, j // high, strict=True)], dtype=object)
    homes = rng.gamma(2, MEAN_HOUSEHOLDS / 2, len(i)).astype(int)
    columns_of = {"code": codes, "unit": units, "households": homes}
    blocks = gpd.GeoDataFrame(columns_of, geometry=shapely.polygons(rings), crs=4548)
    east, north = i > 0, j > 0
    borders = pd.DataFrame({
        "left": np.concatenate([codes[(i - 1) * rows + j][east], codes[i * rows + j - 1][north]]),
        "right": np.concatenate([codes[east], codes[north]]),
        "class": np.concatenate([upright[i[east]], level[j[north]]]),
        "length_m": np.hypot(*np.concatenate([
            corners[i, j][east] - corners[i, j + 1][east], corners[i, j][north] - corners[i + 1, j][north]
        ]).T),
    })  # fmt: skip
    return Place(blocks, borders, "households", NORM, 0.20)


def _streets(communities: int, blocks: int, rng: np.random.Generator) -> NDArray[np.object_]:
    """The class of each street across: main between communities, about every third one a larger road in them."""
    number = np.arange(communities * blocks + 1)
    classes = np.where(number % blocks == 0, "main", "lane").astype(object)
    step = 3 if blocks > 6 else 2
    for first in range(0, communities * blocks, blocks):
        larger = first + np.arange(step, blocks, step)
        larger = np.unique(np.clip(larger + rng.integers(-1, 2, len(larger)), first + 1, first + blocks - 1))
        classes[larger] = rng.choice(["secondary", "main"], len(larger), p=[0.8, 0.2])
    return classes


def providence() -> Place:
    """Census blocks of Providence by ward, with the people of 2010."""
    read = gpd.read_file(f"zip://{PROVIDENCE.resolve()}")
    ward = [f"{int(w):02d}" for w in read["WARD"]]
    columns = {"code": read["GEOID10"], "unit": ward, "persons": read["TOTPOP"].astype(int)}
    return Place(gpd.GeoDataFrame(columns, geometry=read.geometry, crs=read.crs), None, "persons", PEOPLE, 0.25)


# --- what is measured -------------------------------------------------------------------------------------------------


def judge(place: Place, graph: Graph, label: Ints) -> dict[str, float]:
    """The figures of a plan: `label` is the number of its grid for each block; everything is counted anew here."""
    blocks = place.blocks
    load = np.bincount(label, blocks[place.weight].to_numpy(dtype=float))
    deviation = np.abs(load / place.norm - 1)
    units = pd.factorize(blocks["unit"])[0]
    whole = label[graph.pairs[:, 0]] == label[graph.pairs[:, 1]]
    pieces = int(components(len(label), graph.pairs[whole]).max()) + 1
    inner = ~whole & (units[graph.pairs[:, 0]] == units[graph.pairs[:, 1]])
    order = np.argsort(label, kind="stable")
    owns = np.split(blocks.geometry.to_numpy()[order], np.cumsum(np.bincount(label))[:-1])
    shapes = [shapely.union_all(own) for own in owns]
    metric = gpd.GeoSeries(shapes, crs=blocks.crs)
    metric = metric if metric.crs.is_projected else metric.to_crs(metric.estimate_utm_crs())
    metres = float(graph.metres[inner].sum())
    return {
        "grids": len(load), "max": float(deviation.max()), "mean": float(deviation.mean()),
        "off 25 %": int((deviation > 0.25).sum()), "off 20 %": int((deviation > 0.20).sum()),
        "in pieces": pieces - len(load),
        "crossing": int((pd.Series(units).groupby(label).nunique() > 1).sum()),
        "PP": float(compactness(metric.to_numpy()).mean()),
        "km": metres / 1000, "road": float(graph.strong[inner].sum()) / metres if metres else 0.0,
    }  # fmt: skip


def show(name: str, method: str, wall: float, cpu: float, figures: dict[str, float]) -> None:
    """One line of the table."""
    cells = [f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in figures.items()]
    print(f"{name:11}{method:18}{wall:7.2f} s {cpu:7.2f} CPU s  {'  '.join(cells)}", flush=True)


def verdict(name: str, wall: float, cpu: float, figures: dict[str, float]) -> None:
    """Each target of the set: met or missed."""
    target = TARGETS[name]
    outside = figures[f"off {target.limit * 100:.0f} %"]
    peak = peak_mb()
    checks = [
        (f"{outside:.0f} grids outside {target.limit:.0%} (at most {target.outside})", outside <= target.outside),
        (f"PP {figures['PP']:.3f} (at least {target.compact})", figures["PP"] >= target.compact),
        (f"road {figures['road']:.3f} (at least {target.road})", figures["road"] >= target.road),
        (f"{wall:.2f} s, {cpu:.2f} of the CPU (below {target.seconds:g})", wall < target.seconds),
        (f"peak {peak:.0f} MB (below {MEMORY_MB:.0f})", peak < MEMORY_MB),
        (f"{figures['in pieces']} in pieces, {figures['crossing']} crossing units (0, 0)",
         figures["in pieces"] == figures["crossing"] == 0),
    ]  # fmt: skip
    for text, met in checks:
        print(f"{name:11}{'met' if met else 'MISSED':8}{text}", flush=True)


# --- the methods ------------------------------------------------------------------------------------------------------


def ours(place: Place, graph: Graph, seed: int) -> Ints:
    """gridgis.partition."""
    plan = partition(
        place.blocks, place.norm, borders=place.borders, weight=place.weight, seed=seed, tolerance=place.tolerance
    )
    return np.asarray(pd.factorize(plan.blocks["grid"])[0], dtype=np.int64)


def by_unit(share: Callable[[Any, Graph, Ints, int, int], Ints]) -> Callable[[Place, Graph, int], Ints]:
    """A peer that shares out the blocks of one community, run for each."""

    def run(place: Place, graph: Graph, seed: int) -> Ints:
        label = np.zeros(len(place.blocks), dtype=np.int64)
        count, load = 0, place.blocks[place.weight].to_numpy(dtype=float)
        for rows in place.blocks.groupby("unit").indices.values():
            parts = max(1, round(float(load[rows].sum()) / place.norm))
            found = share(place, graph, np.sort(rows), parts, seed)
            label[np.sort(rows)] = count + found
            count += int(found.max()) + 1
        return np.asarray(pd.factorize(label)[0], dtype=np.int64)

    return run


def _between(graph: Graph, rows: Ints) -> tuple[Ints, Any]:
    at = np.full(len(graph.area), -1, dtype=np.int64)
    at[rows] = np.arange(len(rows))
    ends = at[graph.pairs]
    inner = (ends >= 0).all(axis=1)
    return ends[inner], graph.cost[inner]


def _rows_of(graph: Graph, rows: Ints) -> tuple[list[int], list[int], list[int]]:
    """Neighbours in rows one after the other: where each row starts, who, and the cost of the border."""
    pairs, cost = _between(graph, rows)
    ends, twice = np.concatenate([pairs, pairs[:, ::-1]]), np.concatenate([cost, cost])
    order = np.lexsort((ends[:, 1], ends[:, 0]))
    starts = np.searchsorted(ends[order, 0], np.arange(len(rows) + 1))
    return starts.tolist(), ends[order, 1].tolist(), np.maximum(1, np.rint(twice[order])).astype(int).tolist()


def metis(recursive: bool) -> Callable[[Any, Graph, Ints, int, int], Ints]:
    """pymetis.part_graph, k-way (contiguous) or recursive."""

    def share(place: Any, graph: Graph, rows: Ints, parts: int, seed: int) -> Ints:
        import pymetis

        starts, near, cost = _rows_of(graph, rows)
        weight = place.blocks[place.weight].to_numpy(dtype=np.int64)[rows]
        slack = round(1000 * place.tolerance)
        options = pymetis.Options(seed=seed) if recursive else pymetis.Options(seed=seed, contig=True, ufactor=slack)
        _, label = pymetis.part_graph(
            parts, pymetis.CSRAdjacency(starts, near), vweights=weight.tolist(), eweights=cost,
            recursive=recursive, options=options,
        )  # fmt: skip
        return np.array(label, dtype=np.int64)

    return share


def kahip_strong(place: Any, graph: Graph, rows: Ints, parts: int, seed: int) -> Ints:
    """kahip.kaffpa, strong."""
    import kahip

    if parts == 1:
        return np.zeros(len(rows), dtype=np.int64)
    starts, near, cost = _rows_of(graph, rows)
    weight = place.blocks[place.weight].to_numpy(dtype=np.int64)[rows].tolist()
    _, label = kahip.kaffpa(weight, starts, cost, near, parts, place.tolerance, True, seed, kahip.STRONG)
    return np.array(label, dtype=np.int64)


def _spopt(place: Any, graph: Graph, rows: Ints) -> tuple[gpd.GeoDataFrame, Any]:
    """Blocks with coordinates in metres, and their neighbours, as spopt wants them."""
    from libpysal.weights import W

    near: dict[int, list[int]] = {i: [] for i in range(len(rows))}
    for one, other in _between(graph, rows)[0].tolist():
        near[one].append(other)
        near[other].append(one)
    table = place.blocks.iloc[rows].reset_index(drop=True)
    middle = table.geometry.to_crs(table.estimate_utm_crs()).centroid
    return table.assign(x=middle.x, y=middle.y), W(near, silence_warnings=True)


def maxp(place: Any, graph: Graph, rows: Ints, parts: int, seed: int) -> Ints:
    """spopt.region.MaxPHeuristic, at 80 % of the norm at least."""
    from spopt.region import MaxPHeuristic

    np.random.seed(seed)  # noqa: NPY002 - what spopt draws from
    table, near = _spopt(place, graph, rows)
    model = MaxPHeuristic(table, near, ["x", "y"], place.weight, 0.8 * place.norm, 2, 5, 1)
    model.solve()
    return np.asarray(pd.factorize(np.asarray(model.labels_))[0], dtype=np.int64)


def skater(place: Any, graph: Graph, rows: Ints, parts: int, seed: int) -> Ints:
    """spopt.region.Skater."""
    from spopt.region import Skater

    table, near = _spopt(place, graph, rows)
    model = Skater(table, near, ["x", "y"], n_clusters=parts, floor=max(1, len(rows) // parts // 2))
    model.solve()
    return np.asarray(pd.factorize(np.asarray(model.labels_))[0], dtype=np.int64)


def azp(place: Any, graph: Graph, rows: Ints, parts: int, seed: int) -> Ints:
    """spopt.region.AZP."""
    from spopt.region import AZP

    table, near = _spopt(place, graph, rows)
    model = AZP(table, near, ["x", "y"], n_clusters=parts, random_state=seed)
    model.solve()
    return np.asarray(pd.factorize(np.asarray(model.labels_))[0], dtype=np.int64)


def recom(place: Any, graph: Graph, rows: Ints, parts: int, seed: int) -> Ints:
    """gerrychain.tree.recursive_tree_part."""
    import random

    import networkx
    from gerrychain import Graph as Net
    from gerrychain.partition import recursive_tree_part

    net = networkx.Graph()
    load = place.blocks[place.weight].to_numpy(dtype=float)[rows]
    net.add_nodes_from((i, {"load": float(value)}) for i, value in enumerate(load))
    net.add_edges_from(_between(graph, rows)[0].tolist())
    found = recursive_tree_part(
        Net.from_networkx(net), range(parts), load.sum() / parts, "load", place.tolerance, rng=random.Random(seed)
    )
    return np.array([found[i] for i in range(len(rows))], dtype=np.int64)


PEERS: dict[str, tuple[str, Callable[[Any, Graph, Ints, int, int], Ints]]] = {
    "METIS k-way": ("pymetis", metis(False)),
    "METIS recursive": ("pymetis", metis(True)),
    "KaHIP strong": ("kahip", kahip_strong),
    "GerryChain tree": ("gerrychain.partition", recom),
    "spopt MaxP": ("spopt.region", maxp),
    "spopt Skater": ("spopt.region", skater),
    "spopt AZP": ("spopt.region", azp),
}


# --- run --------------------------------------------------------------------------------------------------------------


def measured(run: Callable[[Place, Graph, int], Ints], place: Place, graph: Graph, seed: int) -> Any:
    """Wall and CPU seconds of a run, and its figures."""
    wall, cpu = time.perf_counter(), time.process_time()
    label = run(place, graph, seed)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return wall, cpu, judge(place, graph, label)


def _peer(name: str, place: Place, graph: Graph, seed: int, limits: Limits, answer: Any) -> None:
    """One peer in its process: sends its labels, seconds and peak, or what it raised."""
    module, share = PEERS[name]
    importlib.import_module(module)
    used = round(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (used + limits.cpu_s, used + limits.cpu_s + 5))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_mb * 2**20,) * 2)
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        label = by_unit(share)(place, graph, seed)
    except Exception as error:  # noqa: BLE001 - whatever a peer raises is its result
        answer.send(f"raised {type(error).__name__}: {' '.join(str(error).split())[:90]}")
        return
    answer.send(Ran(time.perf_counter() - wall, time.process_time() - cpu, peak_mb(), label))


def against(name: str, place: Place, graph: Graph, seed: int, limits: Limits) -> Ran | str:
    """What a peer gives: seconds, peak and labels, or why there are none."""
    if importlib.util.find_spec(PEERS[name][0].partition(".")[0]) is None:
        return "not installed"
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_peer, args=(name, place, graph, seed, limits, there))
    process.start()
    there.close()
    patience = limits.cpu_s * WALL_FACTOR
    try:
        if not here.poll(patience):
            process.kill()
            return f"did not end within {patience} s"
        found: Ran | str = here.recv()
    except EOFError:
        process.join()
        ended = process.exitcode in (-signal.SIGXCPU, -signal.SIGKILL)
        return f"did not end within {limits.cpu_s} CPU s" if ended else f"died with exit code {process.exitcode}"
    finally:
        process.join()
    return found


def better_at_once(theirs: dict[str, float], own: dict[str, float], limit: float) -> bool:
    """Whether a whole plan of a peer is more even, rounder and shorter in its inner border."""
    whole = theirs["in pieces"] == theirs["crossing"] == 0
    off = f"off {limit * 100:.0f} %"
    return bool(
        whole and (theirs[off], theirs["mean"]) <= (own[off], own["mean"]) and theirs["PP"] >= own["PP"]
        and theirs["km"] <= own["km"]
    )  # fmt: skip


def bench(name: str, seed: int, peers: list[str], limits: Limits) -> None:
    """One set, ours and theirs."""
    place = providence() if name == "providence" else town(*TOWNS[name], seed)
    graph = block_graph(place.blocks, place.blocks["code"].to_numpy(dtype=object), place.borders)
    wall, cpu, figures = measured(ours, place, graph, seed)
    show(name, "gridgis", wall, cpu, figures)
    verdict(name, wall, cpu, figures)
    better = []
    for peer in peers:
        found = against(peer, place, graph, seed, limits)
        if isinstance(found, str):
            print(f"{name:11}{peer:18}{found}", flush=True)
            continue
        theirs = judge(place, graph, found.label)
        show(name, peer, found.wall_s, found.cpu_s, theirs)
        print(f"{name:11}{'':18}{found.cpu_s / cpu:7.2f} x our CPU time, peak {found.peak_mb:.0f} MB", flush=True)
        if better_at_once(theirs, figures, place.tolerance):
            better.append(peer)
    if peers:
        told = f"no peer better in balance, compactness and inner border at once{': but ' if better else ''}"
        print(f"{name:11}{'MISSED' if better else 'met':8}{told}{', '.join(better)}", flush=True)


def without_numba(seed: int) -> None:
    """600 blocks with and without compiled loops: the same plan, slower."""
    place = town(*TOWNS["s600"], seed)
    graph = block_graph(place.blocks, place.blocks["code"].to_numpy(dtype=object), place.borders)
    fast = ours(place, graph, seed)
    recombine.COMPILED_FROM, before = 10**9, recombine.COMPILED_FROM
    show("s600", "without numba", *measured(ours, place, graph, seed))
    same = bool((ours(place, graph, seed) == fast).all())
    recombine.COMPILED_FROM = before
    print(f"{'s600':11}{'met' if same else 'MISSED':8}the same plan without numba", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="s600,m10k,m100k,providence")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--limit", type=int, default=120)
    parser.add_argument("--memory", type=int, default=4000)
    parser.add_argument("--no-plain", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    limits = Limits(given.limit, given.memory)
    small = town(*TOWNS["s600"], 0)
    start = time.perf_counter()
    partition(small.blocks, small.norm, borders=small.borders)
    print(f"first call, loading or compiling the loops: {time.perf_counter() - start:.1f} s", flush=True)
    for name in given.sets.split(","):
        if name == "providence" and not PROVIDENCE.exists():
            print(f"{name:11}left out: {PROVIDENCE.name} is not there")
        else:
            bench(name, given.seed, [] if given.no_peers else given.peers.split(","), limits)
    if not given.no_plain:
        without_numba(given.seed)


if __name__ == "__main__":
    main()
