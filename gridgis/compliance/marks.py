"""Values against marks, and the rows of the result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gridgis.errors import ProfileError
from gridgis.profile import Parameters, Rule

RESULTS = ("kept", "missed", "excused", "undecided", "no data")
RESULT_COLUMNS = ["rule", "staff", "grid", "from", "to", "value", "wanted", "result", "reason"]

Bools = NDArray[np.bool_]

#: Measured values fall short of a mark by no more than this through rounding (hours, kilometres, counts).
_ROUNDING = 1e-6


def result_rows(rule: Rule, table: dict[str, Any], wanted: str, reason: Any) -> pd.DataFrame:
    """Result rows out of columns of the same length; `wanted` and `reason` may be one for all."""
    out = pd.DataFrame({name: np.asarray(values) for name, values in table.items()})
    out = out.reindex(columns=[c for c in RESULT_COLUMNS if c not in ("rule", "wanted", "reason")])
    out["rule"] = rule.id
    out["wanted"] = wanted
    out["reason"] = pd.Series(np.broadcast_to(np.asarray(reason, dtype=object), len(out)), dtype=object)
    out["reason"] = out["reason"].where(out["reason"] != "", None)
    for name in ("from", "to"):
        out[name] = pd.to_datetime(out[name])
    return out.astype({"staff": object, "grid": object, "value": float, "result": object})


def number(rule: Rule) -> float:
    """The mark of a rule that is measured (0 for "between"), or a ProfileError."""
    if isinstance(rule.value, str) or (isinstance(rule.value, tuple) != (rule.op == "between")):
        raise ProfileError(
            f"rule {rule.id}: the value of {rule.metric} is compared by {rule.op}",
            found=repr(rule.value),
            wanted="[min, max]" if rule.op == "between" else "a number",
        )
    return 0.0 if isinstance(rule.value, tuple) else float(rule.value)


def wanted_text(rule: Rule) -> str:
    """The mark as text, as ">= 8 hour"."""
    if isinstance(rule.value, tuple):
        return f"{rule.op} {rule.value[0]:g} to {rule.value[1]:g} {rule.unit}"
    return f"{rule.op} {number(rule):g} {rule.unit}"


def holds(rule: Rule, values: pd.Series, parameters: Parameters, part: pd.Series | float = 1.0) -> Bools:
    """Whether each value holds; of a minimum only `part` may be asked (of a week with days off)."""
    number(rule)
    if rule.op == "between" and isinstance(rule.value, tuple):
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
