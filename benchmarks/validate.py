"""validate and repair in figures, beside what others offer, on seeded sets of 3,000 and 50,000 cells.

Run with ``make bench``, or ``python benchmarks/validate.py``; with everything it takes some ten minutes on two cores.

    --cells 3000,50000        sizes of the sets
    --sets clean,injected,unmatched
    --each 34                 planted defects of each of the 15 kinds
    --no-peers, --no-repair   ours alone; checking alone
    --methods validate,union  only the methods whose names contain one of these
    --repeat 3                best of so many for sets of up to 10,000 cells; larger ones run once, and repair is
                              left out on the unmatched one
    --json FILE               everything measured, as JSON

The sets (benchmarks/tilings.py): ``clean``; ``injected``, with 15 kinds of defect planted; ``unmatched``, in which no
segment has its opposite. Every measurement is a process of its own. CPU seconds are user + system of the call alone,
not of reading the set; memory is the peak resident set of the whole process. Peers that cannot take invalid rings get
them mended first, and that is counted. The results of both repairers are judged by validate. Nothing fails when a
target is missed.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import math
import os
import pickle
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Heavy libraries are imported by the measuring processes only: on Linux a child's peak memory starts at its parent's.

SEED = 1
SETS = ("clean", "injected", "unmatched")
#: Sets of more cells than this run once.
ONCE_FROM = 10_000
#: The unmatched set doubles its vertices, so it starts from cells of half as many.
VERTICES, HALF = 115, 58


# --- one measurement, in its own process ------------------------------------------------------------------------------


def make_set(job: dict[str, Any]) -> dict[str, Any]:
    """Write a set and the truth about it."""
    import shapely
    import tilings

    name = job["set"]
    made = tilings.tiling(job["cells"], SEED, vertices=HALF if name == "unmatched" else VERTICES)
    grids: Any = made.grids
    truth: Any = None
    if name == "injected":
        grids, truth = tilings.injected(made.grids, made.boundary, job["each"], SEED)
    elif name == "unmatched":
        grids, truth = tilings.unmatched(made.grids, SEED)
    Path(job["path"]).write_bytes(pickle.dumps((grids, made.boundary)))
    Path(job["truth"]).write_bytes(pickle.dumps(truth))
    return {"rows": len(grids), "vertices": round(float(shapely.get_num_coordinates(grids.geometry.array).mean()), 1)}


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Run one method on one set: CPU and wall seconds of the call, peak memory, and what came out."""
    grids, boundary = pickle.loads(Path(job["path"]).read_bytes())
    prepare, run, judge = METHODS[job["method"]]
    arguments = prepare(grids, boundary)
    before = _peak_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    result = run(*arguments)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    figures = {"cpu_s": cpu, "wall_s": wall, "peak_mb": _peak_mb(), "read_mb": before}
    if isinstance(judge, str):
        return figures | {"outcome": f"{len(result):,} {judge}"}
    truth = pickle.loads(Path(job["truth"]).read_bytes())
    return figures | {"outcome": judge(result, job["set"], truth, boundary)}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _frames(grids: Any, boundary: Any) -> tuple[Any, ...]:
    importlib.import_module("gridgis.plan.validate")
    return grids, boundary


def _validate(grids: Any, boundary: Any) -> Any:
    from gridgis.plan.validate import validate

    return validate(grids, boundary)


def _judge_defects(defects: Any, name: str, truth: Any, boundary: Any) -> dict[str, Any]:
    """Found and false; on the unmatched set each neighbour's vertices are to be missed, both ways, and no more."""
    import tilings

    kinds = {str(kind): int(n) for kind, n in defects["kind"].value_counts().items()}
    if name == "injected":
        found = tilings.score(defects, truth)
        told: dict[str, Any] = {"found": len(found.found), "planted": len(truth), "false": len(found.invented)}
        if found.missed:
            told["missed"] = dict(Counter(planted.name for planted in found.missed))
        if len(found.invented):
            told["invented"] = {str(k): int(n) for k, n in found.invented["kind"].value_counts().items()}
        return told | {"kinds": kinds}
    wanted = truth if name == "unmatched" else set()
    got = set(defects["codes"][defects["kind"] == "unmatched_edge"])
    found_pairs = len(got & wanted)
    return {"found": found_pairs, "planted": len(wanted), "false": len(defects) - found_pairs, "kinds": kinds}


def _repair(grids: Any, boundary: Any) -> Any:
    from gridgis.plan.repair import repair

    return repair(grids, boundary)


def _repair_frames(grids: Any, boundary: Any) -> tuple[Any, ...]:
    importlib.import_module("gridgis.plan.repair")
    return grids, boundary


def _judge_repair(repaired: Any, name: str, truth: Any, boundary: Any) -> dict[str, Any]:
    """What it lists as left, and what validate finds in the result: they should agree."""
    left, found = (
        {str(k): int(n) for k, n in frame["kind"].value_counts().items()}
        for frame in (repaired.left, _validate(repaired.grids, boundary))
    )
    return {"listed": left, "left": found, "changed": len(repaired.log)}


def _polygons(grids: Any, boundary: Any) -> tuple[Any, ...]:
    import numpy as np

    return np.asarray(grids.geometry.array, dtype=object), boundary.geometry.iloc[0]


def _sound(polygons: Any) -> Any:
    """Invalid rings mended: union, relate and the cleaner stop at them or answer wrongly."""
    import shapely

    wrong = ~shapely.is_valid(polygons)
    if wrong.any():
        polygons = polygons.copy()
        polygons[wrong] = shapely.make_valid(polygons[wrong], method="structure", keep_collapsed=False)
    return polygons


def _invalid_edges(polygons: Any, ground: Any) -> Any:
    import shapely

    edges = shapely.coverage_invalid_edges(polygons, gap_width=0.0)
    return edges[~shapely.is_empty(edges)]


def _relate(polygons: Any, ground: Any) -> Any:
    import shapely

    polygons = _sound(polygons)
    first, second = shapely.STRtree(polygons).query(polygons)
    once = first < second
    first, second = first[once], second[once]
    return first[shapely.relate_pattern(polygons[first], polygons[second], "T********")]


def _union(polygons: Any, ground: Any) -> Any:
    import shapely

    return shapely.get_parts(shapely.difference(ground, shapely.union_all(_sound(polygons))))


def _overlay(grids: Any, boundary: Any) -> Any:
    import geopandas as gpd

    both = gpd.overlay(grids, grids, how="intersection", keep_geom_type=True, make_valid=True)
    return both[both["code_1"] < both["code_2"]]


def _clean(polygons: Any, ground: Any) -> Any:
    import shapely

    there = _sound(polygons)
    there = there[~(shapely.is_missing(there) | shapely.is_empty(there))]  # it would shift the rows without a word
    return shapely.coverage_clean(there)


def _judge_clean(cleaned: Any, name: str, truth: Any, boundary: Any) -> dict[str, Any]:
    import geopandas as gpd

    defects = _validate(gpd.GeoDataFrame(geometry=cleaned, crs=boundary.crs), boundary)
    return {"left": {str(kind): int(n) for kind, n in defects["kind"].value_counts().items()}}


def _doctor(grids: Any, boundary: Any) -> Any:
    import maup

    return [maup.doctor(grids, silent=True)]


def _doctor_frames(grids: Any, boundary: Any) -> tuple[Any, ...]:
    importlib.import_module("maup")
    sound = grids.copy()
    sound.geometry = sound.geometry.make_valid()
    return sound, boundary


#: name: (what it is given, the call that is measured, how its answer is judged: a function, or what it is counted in).
METHODS: dict[str, tuple[Callable[..., Any], Callable[..., Any], Any]] = {
    "validate": (_frames, _validate, _judge_defects),
    "repair": (_repair_frames, _repair, _judge_repair),
    "coverage_invalid_edges": (_polygons, _invalid_edges, "polygons"),
    "STRtree + relate": (_polygons, _relate, "pairs"),
    "union + difference": (_polygons, _union, "pieces"),
    "geopandas.overlay": (_frames, _overlay, "pairs"),
    "maup.doctor": (_doctor_frames, _doctor, "verdict"),
    "coverage_clean": (_polygons, _clean, _judge_clean),
}
OURS = ("validate", "repair")
REPAIRERS = ("repair", "coverage_clean")
#: Which peers run on which set; union and relate together are what validate is measured against.
PEERS = {
    "clean": ("coverage_invalid_edges",),
    "injected": tuple(name for name in METHODS if name not in OURS),
    "unmatched": ("geopandas.overlay", "coverage_clean"),
}
TOGETHER = "union + relate"


# --- the run ----------------------------------------------------------------------------------------------------------


class Run:
    """Starts the measuring processes, says what is going on, and keeps the figures."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.figures: dict[tuple[int, str, str], dict[str, Any]] = {}

    def say(self, text: str) -> None:
        print(f"[{time.perf_counter() - self.start:5.0f} s] {text}", file=sys.stderr, flush=True)

    def child(self, **job: Any) -> dict[str, Any]:
        command = [sys.executable, __file__, "--job", json.dumps(job)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            return {"failed": last[0]}
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    def best(self, times: int, **job: Any) -> None:
        """The quickest of several runs, with the smallest peak."""
        runs = []
        for _ in range(times):
            runs.append(self.child(**job))
            if "failed" in runs[-1]:
                break
        best = runs[-1] if "failed" in runs[-1] else min(runs, key=lambda r: r["cpu_s"])
        self.figures[job["cells"], job["set"], job["method"]] = best | {"runs": len(runs)}
        told = best.get("failed") or f"{best['cpu_s']:.2f} s CPU, {best['peak_mb']:.0f} MB, {_shown(best['outcome'])}"
        self.say(f"{job['cells']:,} {job['set']}: {job['method']}: {told}")

    def together(self, cells: int) -> None:
        """Union and relate as one method: each finds what the other one does not."""
        parts = [self.figures.get((cells, "injected", name)) for name in ("STRtree + relate", "union + difference")]
        if all(part and "cpu_s" in part for part in parts):
            first, second = (part or {} for part in parts)
            self.figures[cells, "injected", TOGETHER] = {
                "cpu_s": first["cpu_s"] + second["cpu_s"],
                "wall_s": first["wall_s"] + second["wall_s"],
                "peak_mb": max(first["peak_mb"], second["peak_mb"]),
                "outcome": f"{first['outcome']}, {second['outcome']}",
                "runs": first["runs"],
            }

    def cpu(self, cells: int, name: str, method: str) -> float | None:
        value = self.figures.get((cells, name, method), {}).get("cpu_s")
        return None if value is None else float(value)


def run_all(args: argparse.Namespace) -> Run:
    run = Run()
    with tempfile.TemporaryDirectory() as folder:
        for cells in args.cells:
            for name in args.sets:
                job = {"cells": cells, "set": name, "path": f"{folder}/set", "truth": f"{folder}/truth"}
                made = run.child(make=True, each=args.each, **job)
                if "failed" in made:
                    raise SystemExit(f"{name} set of {cells:,} cells: {made['failed']}")
                run.say(f"{cells:,} {name}: {made['rows']:,} rows of {made['vertices']} vertices")
                methods = ["validate", *(["repair"] if args.repair and name != "clean" else [])]
                methods += [m for m in PEERS[name] if args.peers and (args.repair or m not in REPAIRERS)]
                if name == "unmatched" and cells > ONCE_FROM:  # minutes, and no target is set for it
                    methods = [m for m in methods if m not in REPAIRERS]
                for method in (m for m in methods if any(word in m for word in args.methods)):
                    run.best(args.repeat if cells <= ONCE_FROM else 1, method=method, **job)
            run.together(cells)
    return run


def _shown(outcome: Any) -> str:
    """An outcome in a few words."""
    if isinstance(outcome, str):
        return outcome
    if "left" in outcome:
        listed = ", ".join(f"{kind} {n:,}" for kind, n in outcome["left"].items()) or "nothing"
        differs = "" if outcome.get("listed", outcome["left"]) == outcome["left"] else " (its own list differs)"
        return f"left: {listed}{differs}"
    text = f"{outcome['found']:,} of {outcome['planted']:,}, {outcome['false']:,} false"
    for word in ("missed", "invented"):
        if word in outcome:
            text += f"; {word} " + ", ".join(f"{kind} {n}" for kind, n in outcome[word].items())
    return text


# --- tables -----------------------------------------------------------------------------------------------------------


def print_figures(run: Run) -> None:
    print(f"\n{'cells':>7}  {'set':10}{'method':24}{'CPU s':>8}{'wall s':>8}{'MB':>7}{'ours/peer':>11}  outcome")
    order = [*METHODS, TOGETHER]
    for (cells, name, method), got in sorted(
        run.figures.items(), key=lambda item: (item[0][0], SETS.index(item[0][1]), order.index(item[0][2]))
    ):
        head = f"{cells:7,}  {name:10}{method:24}"
        if "failed" in got:
            print(f"{head}{'–':>8}{'':8}{'':7}{'':11}  {got['failed']}")
            continue
        ours = run.cpu(cells, name, "repair" if method in REPAIRERS else "validate")
        ratio = f"{ours / got['cpu_s']:.2f}" if method not in OURS and ours is not None else ""
        row = f"{head}{got['cpu_s']:8.2f}{got['wall_s']:8.2f}{got['peak_mb']:7.0f}{ratio:>11}"
        print(f"{row}  {_shown(got['outcome'])}")


def growth(run: Run, cells: list[int]) -> Iterator[dict[str, Any]]:
    """How CPU grows from the smallest to the largest set, beside n log n."""
    small, large = min(cells), max(cells)
    if small == large:
        return
    times = large / small
    for method in OURS:
        for name in SETS:
            first, last = run.cpu(small, name, method), run.cpu(large, name, method)
            if first and last:
                exponent = math.log(last / first) / math.log(times)
                nlogn = math.log(times * math.log(large) / math.log(small)) / math.log(times)
                yield {"method": method, "set": name, "exponent": exponent, "n_log_n": nlogn, "times": last / first}


def targets(run: Run, cells: list[int]) -> Iterator[tuple[str, str, str]]:
    """Each target of the issue, what was measured, and met, missed or not measured."""
    large = max(cells)
    mine = run.cpu(large, "injected", "validate")
    got = run.figures.get((large, "injected", "validate"), {})

    def line(text: str, value: float | None, limit: float, shown: str = "{:.2f}") -> tuple[str, str, str]:
        if value is None:
            return text, "", "not measured"
        return text, shown.format(value), "met" if value <= limit else "missed"

    def share(name: str, own: str, peer: str) -> float | None:
        ours, theirs = run.cpu(large, name, own), run.cpu(large, name, peer)
        return None if ours is None or theirs is None else ours / theirs

    for name in SETS:
        told = run.figures.get((large, name, "validate"), {}).get("outcome")
        wrong = None if told is None else told["planted"] - told["found"] + told["false"]
        yield line(f"{large:,} {name}: missed and false alarms together, 0", wrong, 0, "{:.0f}")
    yield line(f"{large:,} injected: validate, CPU s ≤ 10", mine, 10)
    yield line(f"{large:,} injected: validate, CPU s ≤ 5 (the next goal)", mine, 5)
    yield line(
        f"{large:,} injected: validate ÷ (union + relate) ≤ 0.33", share("injected", "validate", TOGETHER), 1 / 3
    )
    yield line(f"{large:,} injected: validate, MB ≤ 1,600", got.get("peak_mb"), 1600, "{:.0f}")
    overlay = share("unmatched", "validate", "geopandas.overlay")
    yield line(f"{large:,} unmatched: validate ÷ geopandas.overlay ≤ 1.5", overlay, 1.5)
    cleaner = share("injected", "repair", "coverage_clean")
    yield line(f"{large:,} injected: repair ÷ coverage_clean ≤ 1", cleaner, 1)
    yield line(f"{large:,} injected: repair ÷ coverage_clean ≤ 0.5 (the goal)", cleaner, 0.5)
    for grown in growth(run, cells):
        text = f"growth of {grown['method']}, {grown['set']}: exponent ≤ {grown['n_log_n']:.2f} (n log n)"
        yield line(text, grown["exponent"], grown["n_log_n"])


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "cores": str(os.cpu_count())}
    for name in ("gridgis", "numpy", "pandas", "shapely", "geopandas", "maup"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="validate and repair in figures, beside their peers")
    parser.add_argument("--cells", type=lambda s: [int(n) for n in s.split(",")], default=[3000, 50_000])
    parser.add_argument("--sets", type=lambda s: s.split(","), default=list(SETS), help=", ".join(SETS))
    parser.add_argument("--each", type=int, default=34, help="planted defects of each kind")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--repair", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--methods", type=lambda s: s.split(","), default=[""], help="parts of their names")
    parser.add_argument("--repeat", type=int, default=3, help=f"best of so many, up to {ONCE_FROM:,} cells")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if unknown := set(args.sets) - set(SETS):
        parser.error(f"no such set: {', '.join(sorted(unknown))}; there are {', '.join(SETS)}")
    return args


def main() -> None:
    args = _arguments()
    if args.job:
        job = json.loads(args.job)
        print(json.dumps(make_set(job) if job.get("make") else measure(job)))
        return
    run = run_all(args)
    print_figures(run)
    checked = list(targets(run, args.cells))
    print()
    for text, value, verdict in checked:
        print(f"{text:74}{value:>8}  {verdict}")
    print("\n" + ", ".join(f"{name} {version}" for name, version in versions().items()))
    if args.json:
        rows = [{"cells": c, "set": s, "method": m} | got for (c, s, m), got in run.figures.items()]
        told = [{"target": t, "measured": v, "verdict": w} for t, v, w in checked]
        document = {"versions": versions(), "seed": SEED, "each": args.each, "figures": rows, "targets": told}
        args.json.write_text(json.dumps(document | {"growth": list(growth(run, args.cells))}, indent=1), "utf-8")


if __name__ == "__main__":
    main()
