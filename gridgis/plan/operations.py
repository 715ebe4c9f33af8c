"""The log of an edited plan: undo, redo, and the same plan again from what was done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from inspect import Parameter, signature
from typing import Any

from gridgis.errors import EditError
from gridgis.plan import edit
from gridgis.plan.editing.change import Edited, moved_on
from gridgis.plan.editing.draft import Draft
from gridgis.plan.opening import open_plan
from gridgis.plan.partition import Plan

#: Every edit by the name that the log knows it by.
_EDITS = {name: getattr(edit, name) for name in sorted(edit.__all__) if name != "assign"}


def undo(draft: Draft) -> Draft:
    """The draft before its last edit; nothing is limited or lost.

    Raises
    ------
    EditError
        There is nothing to undo.
    """
    if not draft.done:
        raise EditError("there is nothing to undo", reason="nothing")
    step = draft.done[-1]
    return replace(moved_on(draft, step.replaced, back=True), done=draft.done[:-1], undone=(*draft.undone, step))


def redo(draft: Draft) -> Draft:
    """The draft after the edit that was undone last. A new edit forgets what was undone.

    Raises
    ------
    EditError
        There is nothing to redo.
    """
    if not draft.undone:
        raise EditError("there is nothing to redo", reason="nothing")
    step = draft.undone[-1]
    return replace(moved_on(draft, step.replaced), done=(*draft.done, step), undone=draft.undone[:-1])


def log(draft: Draft) -> list[dict[str, Any]]:
    """The operations that made the draft, the first one first: plain types, ready for JSON."""
    return [dict(step.change.operation) for step in draft.done]


def apply(draft: Draft, operation: Mapping[str, Any]) -> Edited:
    """One operation, as :func:`log` has it.

    Raises
    ------
    EditError
        No such operation, arguments that it does not have, or what the edit itself refuses.
    """
    given = dict(operation)
    name = given.pop("op", None)
    if name not in _EDITS:
        raise EditError("the operation is unknown", reason="argument", source="log", found=repr(name),
                        wanted=", ".join(_EDITS))  # fmt: skip
    arguments = list(signature(_EDITS[name]).parameters.values())[1:]
    least = {a.name for a in arguments if a.default is Parameter.empty}
    if not least <= set(given) <= {a.name for a in arguments}:
        raise EditError(f"the operation {name} does not have these arguments", reason="argument", source="log",
                        found=", ".join(given), wanted=", ".join(a.name for a in arguments))  # fmt: skip
    edited: Edited = _EDITS[name](draft, **given)
    return edited


def replay(plan: Plan, operations: Iterable[Mapping[str, Any]], **how: Any) -> Draft:
    """The draft that a log makes of a plan, bit for bit.

    Parameters
    ----------
    plan : Plan
        The plan that the log began with.
    operations : iterable of mapping
        As :func:`log` gives them, perhaps by way of JSON.
    **how
        Houses, borders and so on, as they were given to :func:`~gridgis.plan.opening.open_plan`.

    Raises
    ------
    EditError
        An operation that does not fit the plan, with its number.
    """
    draft = open_plan(plan, **how)
    for number, operation in enumerate(operations, 1):
        try:
            draft = apply(draft, operation).draft
        except EditError as error:
            raise EditError(
                error.message, reason=error.reason, place=error.place, source=f"operation {number} of the log",
                ids=error.ids, found=error.found, wanted=error.wanted, remedy=error.remedy,
            ) from error  # fmt: skip
    return draft
