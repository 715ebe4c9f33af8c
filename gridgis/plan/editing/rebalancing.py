"""The edit that shares chosen grids out anew: what the partition finds is kept in the log as a move of blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gridgis.errors import EditError, PlanError
from gridgis.plan.closing import borders_of, part_of
from gridgis.plan.editing.change import Edited
from gridgis.plan.editing.draft import Draft
from gridgis.plan.editing.given import known_blocks, listed, next_grid_code, unlocked
from gridgis.plan.editing.sketch import Sketch
from gridgis.plan.rebalance import rebalance as shared_anew
from gridgis.profile import Profile


def rebalance(
    draft: Draft,
    grids: Iterable[str],
    norm: Profile | float | str | None = None,
    seed: int = 0,
    stay: float = 0.0,
    grid_of: Mapping[str, str] | None = None,
) -> Edited:
    """Share the blocks of some grids out anew, so that their loads are even; the other grids stay as they are.

    The operation in the log says what was asked and which block went where, so that a replay gives the same plan with
    any version of the partition.

    Parameters
    ----------
    draft : Draft
    grids : iterable of str
        Codes of grids, none of them locked.
    norm : Profile, float or str, optional
        A profile, its name, or the load wanted in a grid; by default the norm that the plan was made with.
    seed : int
        Another seed may find another plan.
    stay : float
        How much it counts that households stay in their grid (:func:`gridgis.plan.rebalance.rebalance`).
    grid_of : mapping, optional
        Code of each block that moves to the code of its grid, as the log has it: nothing is searched.

    Raises
    ------
    EditError
        Unknown or locked grids, none, a norm that is not known; nothing better was found; or as
        :func:`~gridgis.plan.edit.assign`.
    """
    codes = sorted(set(listed(grids)))
    unlocked(draft, codes)
    if not codes:
        raise EditError("rebalancing takes a grid or more", reason="argument", found="none")
    if grid_of is None:
        grid_of = _searched(draft, codes, norm, seed, stay)
    known_blocks(draft, grid_of)
    others = draft.grids.keys() - codes
    strange = sorted(b for b, to in grid_of.items() if draft.blocks[b].grid not in codes or to in others)
    if strange:
        raise EditError("only blocks of the grids that are rebalanced move", reason="argument", ids=strange)
    kinds = {draft.grids[code].kind for code in codes}
    sketch = Sketch(draft)
    for block, to in sorted(grid_of.items()):
        sketch.place([block], to)
        if to not in draft.grids and len(kinds) == 1:
            sketch.describe(to, kind=min(kinds))
    told: Any = norm.name if isinstance(norm, Profile) else norm
    moves = dict(sorted(grid_of.items()))
    operation = {"op": "rebalance", "grids": codes, "norm": told, "seed": seed, "stay": stay, "grid_of": moves}
    return sketch.finish(operation)


def _searched(
    draft: Draft, grids: list[str], norm: Profile | float | str | None, seed: int, stay: float
) -> dict[str, str]:
    """Where the partition puts each block that moves."""
    part, base, rule = part_of(draft, grids), draft.base, _norm(draft, norm)
    borders = borders_of(draft, part.blocks["code"]) if base.borders else None
    try:
        found = shared_anew(
            part, grids, rule, borders=borders, tolerance=base.tolerance, weight=base.weight, seed=seed, stay=stay,
            never_cross=sorted(base.never_cross),
        )  # fmt: skip
    except PlanError as error:
        raise EditError(error.message, reason="argument", ids=error.ids, found=error.found, wanted=error.wanted,
                        remedy=error.remedy) from error  # fmt: skip
    names = {code: code for code in grids}
    pairs = zip(found.blocks["code"].tolist(), found.blocks["grid"].tolist(), strict=True)
    moves = {}
    for code, grid in pairs:
        if grid not in names:  # a new one: its code is free in the whole plan
            names[grid] = next_grid_code(draft, draft.blocks[code].unit, names.values())
        if draft.blocks[code].grid != names[grid]:
            moves[code] = names[grid]
    return moves


def _norm(draft: Draft, norm: Profile | float | str | None) -> Profile | float:
    if isinstance(norm, str):
        if norm not in Profile.names():
            raise EditError("the profile is unknown", reason="argument", found=repr(norm),
                            wanted=", ".join(Profile.names()))  # fmt: skip
        return Profile.load(norm)
    if norm is not None:
        return norm
    summary = draft.base.plan.summary
    known, profile = summary.get("norm"), summary.get("parameters", {}).get("profile")
    if isinstance(known, int | float):
        return float(known)
    if known is not None and profile in Profile.names():
        return Profile.load(profile)
    raise EditError("the norm of the plan is not known", reason="argument", found=repr(known),
                    remedy="Say which load is wanted in a grid, or which profile.")  # fmt: skip
