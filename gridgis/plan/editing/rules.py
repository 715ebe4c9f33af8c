"""The rules that no edit may break, and the refusals: reason and place of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import shapely

from gridgis.errors import EditError
from gridgis.plan.editing.cutting import Edge, edges_of
from gridgis.plan.editing.draft import Barrier, Base, Block
from gridgis.plan.faces.graph import MIN_SHARED_M, components
from gridgis.plan.faces.network import Ints

Place = tuple[float, float]


def place_in(shape: Any) -> Place:
    """A place inside a shape, for a message."""
    point = shapely.point_on_surface(shape)
    return float(point.x), float(point.y)


def locked(code: str, shape: Any, ids: Iterable[str] = ()) -> EditError:
    """The refusal to change a locked grid."""
    return EditError(f"the grid {code} is locked", reason="locked", ids=ids, place=place_in(shape),
                     remedy="Unlock it first.")  # fmt: skip


def torn(code: str, shape: Any, blocks: list[Block]) -> EditError:
    """The refusal to let a grid come apart, with the blocks of its smaller pieces and the place of the smallest."""
    parts = shapely.get_parts(shape)
    order = np.argsort(shapely.area(parts), kind="stable")
    inner = shapely.point_on_surface([b.shape for b in blocks])
    away = ~shapely.contains(parts[order[-1]], inner)
    return EditError(
        f"the grid {code} would be in {len(parts)} pieces", reason="pieces", place=place_in(parts[order[0]]),
        ids=[b.code for b, off in zip(blocks, away, strict=True) if off], found="a piece",
        wanted="every grid in one piece",
    )  # fmt: skip


def across_units(code: str, unit: str, blocks: list[Block]) -> EditError:
    """The refusal to let a grid lie in two units."""
    strange = [b for b in blocks if b.unit != unit]
    return EditError(
        f"the grid {code} would cross a unit", reason="unit", ids=[b.code for b in strange],
        place=place_in(strange[0].shape), found=f"units {', '.join(sorted({b.unit for b in blocks}))}",
        wanted="every grid in one unit",
    )  # fmt: skip


class Joints:
    """What blocks have in common: pairs that hang together, and pairs that only a barrier joins."""

    def __init__(self, base: Base, blocks: list[Block], drawn: Mapping[Edge, Barrier]) -> None:
        self.base, self.blocks = base, blocks
        seen: dict[Edge, int] = {}
        common: dict[tuple[int, int], list[Edge]] = {}
        for i, block in enumerate(blocks):
            for edge in edges_of(block.shape):
                if edge in seen:
                    common.setdefault((seen[edge], i), []).append(edge)
                seen[edge] = i
        self.barred: dict[tuple[int, int], Edge] = {}
        open_pairs = []
        for pair, edges in common.items():
            across = [e for e in edges if barrier_of(base, drawn, e)[0] in base.never_cross]
            whole = sum(self._metres(e) for e in edges)
            if across and sum(self._metres(e) for e in across) >= min(MIN_SHARED_M, whole) - 1e-9:
                self.barred[pair] = max(across, key=lambda e: (self._metres(e), e))
            else:
                open_pairs.append(pair)
        self.part: Ints = components(len(blocks), np.array(open_pairs, dtype=np.int64).reshape(-1, 2))

    def _metres(self, edge: Edge) -> float:
        return float(np.hypot(*((np.array(edge[0]) - edge[1]) * self.base.scale)))

    @property
    def pieces(self) -> int:
        """How many pieces the blocks are in, without crossing what must not be crossed."""
        return int(self.part.max(initial=-1)) + 1

    def refusal(self, code: str, drawn: Mapping[Edge, Barrier]) -> EditError:
        """The refusal to let a grid hang together only across a barrier, with the place where it does."""
        edge = min(e for (a, b), e in self.barred.items() if self.part[a] != self.part[b])
        class_, name = barrier_of(self.base, drawn, edge)
        away = [b.code for b, p in zip(self.blocks, self.part.tolist(), strict=True) if p != self.part[0]]
        middle = np.mean(edge, axis=0)
        return EditError(
            f"the grid {code} would cross a barrier that must not be crossed", reason="barrier", ids=sorted(away),
            place=(middle[0], middle[1]), found=" ".join(filter(None, [class_, name])),
            wanted=f"no grid across: {', '.join(sorted(self.base.never_cross))}",
        )  # fmt: skip


def barrier_of(base: Base, drawn: Mapping[Edge, Barrier], edge: Edge) -> Barrier:
    """The barrier that an edge lies on, (None, None) where there is none."""
    return drawn.get(edge) or base.barriers.get(edge, (None, None))
