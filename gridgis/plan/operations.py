"""The log of an edited plan: undo, redo, and the same plan again from what was done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import geopandas as gpd

from gridgis.errors import PlanError
from gridgis.plan import edit
from gridgis.plan.draft import CODE, Draft, open_plan
from gridgis.plan.partition import Plan
from gridgis.plan.sketch import Edited, stepped

_EDITS = {
    f.__name__: f
    for f in (
        edit.place, edit.draw, edit.split_grid, edit.split_block, edit.split_block_evenly, edit.merge, edit.new_grid,
        edit.rename, edit.set_kind, edit.lock, edit.unlock,
    )
}  # fmt: skip


def undo(draft: Draft) -> Draft:
    """The draft before its last edit; nothing is limited or lost.

    Raises
    ------
    PlanError
        There is nothing to undo.
    """
    if not draft.done:
        raise PlanError("there is nothing to undo", source="plan")
    step = draft.done[-1]
    return stepped(draft, step, draft.done[:-1], (*draft.undone, step), back=True)


def redo(draft: Draft) -> Draft:
    """The draft after the edit that was undone last. A new edit forgets what was undone.

    Raises
    ------
    PlanError
        There is nothing to redo.
    """
    if not draft.undone:
        raise PlanError("there is nothing to redo", source="plan")
    step = draft.undone[-1]
    return stepped(draft, step, (*draft.done, step), draft.undone[:-1])


def log(draft: Draft) -> list[dict[str, Any]]:
    """The operations that made the draft, the first one first: plain types, ready for JSON."""
    return [dict(step.change.operation) for step in draft.done]


def apply(draft: Draft, operation: Mapping[str, Any]) -> Edited:
    """One operation, as :func:`log` has it.

    Raises
    ------
    PlanError
        No such operation, arguments that it does not have, or what the edit itself refuses.
    """
    given = dict(operation)
    name = given.pop("op", None)
    if name not in _EDITS:
        raise PlanError("the operation is unknown", source="log", found=repr(name), wanted=", ".join(_EDITS))
    code = _EDITS[name].__code__
    names = code.co_varnames[1 : code.co_argcount]
    least = names[: len(names) - len(_EDITS[name].__defaults__ or ())]
    if not set(least) <= set(given) <= set(names):
        raise PlanError(f"the operation {name} does not have these arguments", source="log",
                        found=", ".join(given), wanted=", ".join(names))  # fmt: skip
    edited: Edited = _EDITS[name](draft, **given)
    return edited


def replay(
    plan: Plan, operations: Iterable[Mapping[str, Any]], *, houses: gpd.GeoDataFrame | None = None, code: str = CODE
) -> Draft:
    """The draft that a log makes of a plan, bit for bit.

    Parameters
    ----------
    plan : Plan
        The plan that the log began with.
    operations : iterable of mapping
        As :func:`log` gives them, perhaps by way of JSON.
    houses, code
        As they were given to :func:`~gridgis.plan.draft.open_plan`.

    Raises
    ------
    PlanError
        An operation that does not fit the plan, with its number.
    """
    draft = open_plan(plan, houses=houses, code=code)
    for number, operation in enumerate(operations, 1):
        try:
            draft = apply(draft, operation).draft
        except PlanError as error:
            raise PlanError(
                error.message, source=f"operation {number} of the log", ids=error.ids, found=error.found,
                wanted=error.wanted, remedy=error.remedy,
            ) from error  # fmt: skip
    return draft
