"""Blocks to be shared out: a chessboard, and slanting towns for hypothesis."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import shapes
from hypothesis import strategies as st

from gridgis.plan.faces.graph import block_graph
from gridgis.schema import BARRIER_CLASSES


def cells(columns: int, rows: int, households: object, *, unit: object = "U", **more: object) -> gpd.GeoDataFrame:
    """A chessboard of blocks, 100 m wide, named by row and column from the south-west (b01-02)."""
    at = [(r, c) for r in range(rows) for c in range(columns)]
    table = shapes.frame(
        [shapes.square(c * 100, r * 100, 100) for r, c in at], [f"b{r:02d}-{c:02d}" for r, c in at]
    ).drop(columns="name")
    return table.assign(unit=unit, households=households, **more)


@st.composite
def towns(draw: st.DrawFn) -> gpd.GeoDataFrame:
    """Slanting blocks in one to three units, some ground missing, some blocks empty, some heavy."""
    columns, rows = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    x = np.cumsum(rng.uniform(40, 160, columns + 1))[:, None] + rng.uniform(-15, 15, (columns + 1, rows + 1))
    y = np.cumsum(rng.uniform(40, 160, rows + 1))[None, :] + rng.uniform(-15, 15, (columns + 1, rows + 1))
    corners = np.stack([x, y], axis=-1)
    at = [(c, r) for c in range(columns) for r in range(rows)]
    quads = [
        shapely.Polygon([corners[c, r], corners[c + 1, r], corners[c + 1, r + 1], corners[c, r + 1]]) for c, r in at
    ]
    count = draw(st.integers(1, 3))
    town = shapes.frame(quads, [f"b{c}{r}" for c, r in at]).drop(columns="name")
    town["unit"] = [f"u{int(c * count / columns)}" for c, _ in at]
    loads = rng.gamma(2, draw(st.sampled_from([5, 40, 150])), len(at)).astype(int)
    town["households"] = loads * (rng.random(len(at)) < draw(st.sampled_from([0.2, 0.9, 1.0])))
    town["persons"], town["estimated"] = town["households"] * 3, town["households"] // 2
    keep = rng.random(len(at)) < draw(st.sampled_from([0.7, 1.0]))
    keep[0] = True
    return town[keep].sample(frac=1, random_state=1)


def classed(blocks: gpd.GeoDataFrame, seed: int, classes: tuple[str, ...] = BARRIER_CLASSES) -> pd.DataFrame:
    """The borders of `blocks`, each of a class drawn at random."""
    codes = blocks["code"].to_numpy(dtype=object)
    graph = block_graph(blocks, codes, None)
    drawn = np.random.default_rng(seed).choice(np.array(classes, dtype=object), len(graph.pairs))
    ends = {"left": codes[graph.pairs[:, 0]], "right": codes[graph.pairs[:, 1]]}
    return pd.DataFrame({**ends, "class": drawn, "length_m": graph.metres})
