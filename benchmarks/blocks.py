"""Blocks of a street network whose ends fall short: how many come back, ours beside momepy's and neatnet's.

Run with ``make bench``, or ``python benchmarks/blocks.py``. The network is seeded: ground cut in two again and again
until there are as many blocks as wanted, so that most junctions are T; then bent, so that no street is straight. A
block counts as back when one of the blocks found has an IoU (common ground over joint ground) of 0.99 or more with it.
The target stands beside the figures; nothing fails when one is missed. momepy and neatnet stand beside ours where they
are installed (the extra ``bench``): as they are, with lines extended, with gaps closed as well, and simplified, which
moves streets. They are told how short ends fall at most, ours is not; closing gaps moves junctions that lie nearer
to each other.
"""

from __future__ import annotations

import heapq
import importlib.util
import math
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import shapely
import shapely.ops
from numpy.typing import NDArray

from gridgis.plan.blocks import make_blocks

Floats = NDArray[np.float64]
Cutter = Callable[[gpd.GeoDataFrame, gpd.GeoDataFrame], NDArray[Any]]

METRES = "EPSG:4548"
X0, Y0 = 447_000.0, 4_427_000.0
#: m. The mean width of a block.
WIDTH_M = 130.0
#: The share of ends that are pulled back, and by how much, m.
PULLED, SHORT_M = 0.02, (1.0, 3.0)
#: m. Ours may carry an end this far: its default.
SNAP_M = 5.0
#: A block is back with this IoU.
IOU = 0.99
#: neatnet is not run on networks of more blocks than this: it takes minutes.
NEATNET_BLOCKS = 1_000
#: The share of true blocks that ours is to bring back.
TARGET = 0.98


class Network(NamedTuple):
    """`streets` (class, name) that cut `boundary` (one row) into exactly the polygons `truth`."""

    streets: gpd.GeoDataFrame
    boundary: gpd.GeoDataFrame
    truth: NDArray[Any]


# --- the network ------------------------------------------------------------------------------------------------------


def network(blocks: int, seed: int = 0, *, whole: bool = True) -> Network:
    """A square of ground cut into `blocks`; streets whole from end to end, or in pieces from junction to junction."""
    rng = np.random.default_rng(seed)
    width = math.sqrt(blocks) * WIDTH_M
    square = shapely.box(0, 0, width, width)
    cuts, faces = [], [(-square.area, 0, square)]
    while len(faces) < blocks:
        _, _, face = heapq.heappop(faces)
        cut, halves = _halved(face, rng)
        cuts.append(cut)
        for half in halves:
            heapq.heappush(faces, (-half.area, len(cuts) * 2 + len(faces), half))
    edges, of = _noded(square, cuts)
    bent = shapely.transform(shapely.segmentize(edges, 20.0), _bent)
    truth = shapely.get_parts(shapely.polygonize(bent))
    boundary = shapely.polygons(shapely.get_exterior_ring(shapely.union_all(truth)))
    rows = [np.flatnonzero(of == number) for number in range(len(cuts))]
    shapes = [g for r in rows for g in (shapely.get_parts(shapely.line_merge(shapely.multilinestrings(bent[r])))
                                         if whole else bent[r])]  # fmt: skip
    classes = rng.choice(["main", "secondary", "lane"], len(shapes), p=[0.1, 0.3, 0.6])
    streets = gpd.GeoDataFrame({"class": classes, "name": None}, geometry=shapes, crs=METRES)
    return Network(streets, gpd.GeoDataFrame({"code": ["unit"]}, geometry=[boundary], crs=METRES), truth)


def _halved(face: Any, rng: np.random.Generator) -> tuple[Any, list[Any]]:
    """A convex face cut in two across its longer side, near the middle and a little askew."""
    box = shapely.get_coordinates(shapely.minimum_rotated_rectangle(face))
    sides = np.diff(box[:3], axis=0)
    along = sides[int(np.argmax(np.hypot(*sides.T)))]
    middle = box[:4].mean(axis=0) + along * rng.uniform(-0.15, 0.15)
    turn = math.atan2(along[1], along[0]) + math.pi / 2 + rng.uniform(-0.15, 0.15)
    reach = 2 * np.hypot(*along) * np.array([math.cos(turn), math.sin(turn)])
    knife = shapely.LineString([middle - reach, middle + reach])
    return shapely.intersection(knife, face), list(shapely.ops.split(face, knife).geoms)


def _noded(square: Any, cuts: list[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The pieces between junctions, and the cut that each is of (-1: the outline)."""
    # An end computed on a street is off it by rounding: a hair longer, and the overshoot thrown away, it is on it.
    lines = np.array([square.exterior, *(_longer(cut) for cut in cuts)], dtype=object)
    edges = shapely.get_parts(shapely.union_all(lines, grid_size=1e-6))
    edges = edges[shapely.length(edges) > 1e-3]
    middle = shapely.line_interpolate_point(edges, 0.5, normalized=True)
    edge, line = shapely.STRtree(lines).query_nearest(middle, all_matches=False)
    of = np.empty(len(edges), dtype=np.int64)
    of[edge] = line - 1
    return edges, of


def _longer(line: Any) -> Any:
    (x0, y0), (x1, y1) = line.coords
    way = np.array([x1 - x0, y1 - y0]) / line.length * 1e-4
    return shapely.LineString([(x0 - way[0], y0 - way[1]), (x1 + way[0], y1 + way[1])])


def _bent(xy: Floats) -> Floats:
    """The plane swung by some 10 m over 700 m and more: streets bend, junctions stay where streets meet."""
    x, y = xy.T
    swung = np.column_stack([x + 9 * np.sin(y / 113 + x / 301), y + 9 * np.sin(x / 127 - y / 277)])
    out: Floats = swung + np.array([X0, Y0])
    return out


def pulled_back(streets: gpd.GeoDataFrame, seed: int = 0) -> tuple[gpd.GeoDataFrame, int]:
    """The streets with a share of their ends cut off short, and how many ends that were; tiny pieces stay whole."""
    rng = np.random.default_rng(seed)
    short = np.where(rng.random((len(streets), 2)) < PULLED, rng.uniform(*SHORT_M, (len(streets), 2)), 0.0)
    short[streets.length.to_numpy() < 4 * SHORT_M[1]] = 0.0
    lines = [
        shapely.ops.substring(line, start, line.length - end)
        for line, (start, end) in zip(streets.geometry, short, strict=True)
    ]
    return streets.set_geometry(gpd.GeoSeries(lines, crs=streets.crs)), int((short > 0).sum())


# --- who brings them back ---------------------------------------------------------------------------------------------


def back(truth: NDArray[Any], found: NDArray[Any]) -> int:
    """How many polygons of `truth` have one in `found` with an IoU of at least 0.99."""
    true, other = shapely.STRtree(found).query(truth, predicate="intersects")
    common = shapely.area(shapely.intersection(truth[true], found[other]))
    joint = shapely.area(truth[true]) + shapely.area(found[other]) - common
    return len(np.unique(true[common >= IOU * joint]))


def not_carried(streets: gpd.GeoDataFrame, boundary: gpd.GeoDataFrame) -> NDArray[Any]:
    found: NDArray[Any] = make_blocks(boundary, streets, snap_m=0.0).blocks.geometry.to_numpy()
    return found


def ours(streets: gpd.GeoDataFrame, boundary: gpd.GeoDataFrame) -> NDArray[Any]:
    found: NDArray[Any] = make_blocks(boundary, streets, snap_m=SNAP_M).blocks.geometry.to_numpy()
    return found


def momepy_plain(streets: gpd.GeoDataFrame, boundary: gpd.GeoDataFrame) -> NDArray[Any]:
    import momepy

    found: NDArray[Any] = momepy.enclosures(streets, limit=boundary).geometry.to_numpy()
    return found


def momepy_extended(streets: gpd.GeoDataFrame, boundary: gpd.GeoDataFrame) -> NDArray[Any]:
    import momepy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # this one has moved on to neatnet
        return momepy_plain(momepy.extend_lines(cut_at_junctions(streets), SHORT_M[1]), boundary)


def neatnet_repaired(streets: gpd.GeoDataFrame, boundary: gpd.GeoDataFrame) -> NDArray[Any]:
    import neatnet

    closed = neatnet.close_gaps(cut_at_junctions(streets), SHORT_M[1])
    return momepy_plain(neatnet.fix_topology(neatnet.extend_lines(closed, SHORT_M[1])), boundary)


def neatnet_simplified(streets: gpd.GeoDataFrame, boundary: gpd.GeoDataFrame) -> NDArray[Any]:
    import neatnet

    closed = neatnet.close_gaps(cut_at_junctions(streets), SHORT_M[1])
    return momepy_plain(neatnet.neatify(neatnet.extend_lines(closed, SHORT_M[1])), boundary)


def cut_at_junctions(streets: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The streets as the peers' repairs want them: noded, else the end of a side street is no end on its street."""
    edges = shapely.get_parts(shapely.union_all(streets.geometry.to_numpy()))
    return gpd.GeoDataFrame(geometry=edges, crs=streets.crs)


def _peers(blocks: int) -> dict[str, Cutter]:
    found = {"momepy": importlib.util.find_spec("momepy"), "neatnet": importlib.util.find_spec("neatnet")}
    for name, spec in found.items():
        if spec is None:
            print(f"  {name}: not installed")
    peers: dict[str, Cutter] = {"ours": ours, "ours, snap_m=0": not_carried}
    if found["momepy"]:
        peers |= {"momepy": momepy_plain, "momepy, extended": momepy_extended}
    if found["momepy"] and found["neatnet"] and blocks <= NEATNET_BLOCKS:
        peers |= {"neatnet, its repairs": neatnet_repaired, "neatnet, simplified": neatnet_simplified}
    return peers


def report(blocks: int, seed: int, whole: bool) -> None:
    place = network(blocks, seed, whole=whole)
    short, count = pulled_back(place.streets, seed)
    ends = 2 * len(place.streets)
    what = "streets whole" if whole else "streets in pieces"
    print(f"{len(place.truth)} blocks, {what}: {count} of {ends} ends {SHORT_M[0]:g}-{SHORT_M[1]:g} m short")
    best: dict[str, float] = {}
    for name, cut in _peers(blocks).items():
        for label, streets in (("clean", place.streets), ("ends short", short)):
            start = time.process_time()
            found = cut(streets, place.boundary)
            seconds = time.process_time() - start
            share = back(place.truth, found)
            wanted = len(place.truth) if label == "clean" else math.ceil(TARGET * len(place.truth))
            told = f"target {wanted}: {'met' if share >= wanted else 'missed'}" if name == "ours" else ""
            first = best.setdefault(label, seconds)
            told = told or f"time of ours / its {first / seconds:.2f}"
            print(f"  {name:22}{label:12}{share:>7} back {seconds:>8.2f} CPU s   {told}")


def main() -> None:
    print(f"a block is back when its IoU with a block found is {IOU} or more")
    for blocks in (600, 10_000):
        for whole in (True, False):
            report(blocks, 0, whole)


if __name__ == "__main__":
    main()
