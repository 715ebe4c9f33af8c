"""Values against marks, and the rows of the result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gridgis.errors import ProfileError
from gridgis.profile import Parameters
from gridgis.rules import Rule

RESULTS = ("kept", "missed", "excused", "undecided", "no data")
RESULT_COLUMNS = [
    "rule", "staff", "grid", "target", "from", "to", "value", "wanted", "result", "reason", "strength",
]  # fmt: skip
#: What is said of a rule that does not hold and does not have to.
NOT_REQUIRED = "only {} in the scheme, not required"

Bools = NDArray[np.bool_]

#: Measured values fall short of a mark by no more than this through rounding (hours, kilometres, counts).
_ROUNDING = 1e-6


def result_rows(rule: Rule, table: dict[str, Any], wanted: Any, reason: Any) -> pd.DataFrame:
    """Result rows out of columns of the same length; `wanted` and `reason` may be one for all."""
    out = pd.DataFrame({name: np.asarray(values) for name, values in table.items()})
    out = out.reindex(columns=[c for c in RESULT_COLUMNS if c not in ("rule", "wanted", "reason", "strength")])
    out["rule"] = rule.id
    out["strength"] = rule.strength
    out["wanted"] = pd.Series(np.broadcast_to(np.asarray(wanted, dtype=object), len(out)), dtype=object)
    out["reason"] = pd.Series(np.broadcast_to(np.asarray(reason, dtype=object), len(out)), dtype=object)
    out["reason"] = out["reason"].where(out["reason"] != "", None)
    for name in ("from", "to"):
        out[name] = pd.to_datetime(out[name])
    if not rule.required:
        soft = out["result"] == "missed"
        told = NOT_REQUIRED.format(rule.strength)
        out.loc[soft, "reason"] = [told if r is None else f"{r}; {told}" for r in out.loc[soft, "reason"]]
        out.loc[soft, "result"] = "excused"
    return out.astype({"staff": object, "grid": object, "target": object, "value": float, "result": object})


def judge(rule: Rule, values: Any, parameters: Parameters) -> NDArray[np.object_]:
    """kept, missed, or no data where there is no value."""
    known = np.asarray(values, dtype=float)
    held = holds(rule, pd.Series(known), parameters)
    return np.select([np.isnan(known), held], ["no data", "kept"], "missed").astype(object)


def number(rule: Rule) -> float:
    """The mark of a rule that is measured (0 for "between" and "in"), or a ProfileError."""
    if isinstance(rule.value, str) or (isinstance(rule.value, tuple) != (rule.op in ("between", "in"))):
        raise ProfileError(
            f"rule {rule.id}: the value of {rule.metric} is compared by {rule.op}",
            found=repr(rule.value),
            wanted="[min, max]" if rule.op == "between" else "a number",
        )
    return 0.0 if isinstance(rule.value, tuple) else float(rule.value)


def wanted_text(rule: Rule) -> str:
    """The mark as text, as ">= 8 hour"."""
    if isinstance(rule.value, tuple):
        between = " to " if rule.op == "between" else " or "
        return f"{rule.op} {between.join(f'{v:g}' for v in rule.value)} {rule.unit}"
    return f"{rule.op} {number(rule):g} {rule.unit}"


def holds(rule: Rule, values: pd.Series, parameters: Parameters, part: pd.Series | float = 1.0) -> Bools:
    """Whether each value holds; of a minimum only `part` may be asked (of a week with days off)."""
    number(rule)
    if isinstance(rule.value, tuple):
        if rule.op == "in":
            known = np.asarray(values, dtype=float)
            return np.asarray((np.abs(known[:, None] - np.array(rule.value)) <= _ROUNDING).any(axis=1))
        low, high = rule.value
        return np.asarray((values >= low * part - _ROUNDING) & (values <= high + _ROUNDING))
    mark = number(rule) * (part if rule.op == ">=" else 1.0)
    return compare(rule.op, values, mark, parameters)


def compare(op: str, values: Any, mark: Any, parameters: Parameters) -> Bools:
    """Whether each value holds against its mark; what is not known does not hold."""
    known, marks = np.asarray(values, dtype=float), np.asarray(mark, dtype=float)
    off = known - marks
    held = {
        ">=": off >= -_ROUNDING,
        "<=": off <= _ROUNDING,
        "==": np.abs(off) <= _ROUNDING,
        "approx": np.abs(off) <= parameters.about * marks + _ROUNDING,
        "exists": known > 0,
    }
    return np.asarray(held[op], dtype=bool)
