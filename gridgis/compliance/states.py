"""Results of a state that is judged once, on the last day of the period; and of a rule for which there are no data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gridgis.compliance.case import Case
from gridgis.compliance.marks import judge, result_rows, wanted_text
from gridgis.rules import Rule


def unknown(rule: Rule, case: Case, why: str) -> pd.DataFrame:
    """The one row of a rule for which there are no data."""
    span = {"from": [case.first], "to": [case.last], "result": ["no data"]}
    return result_rows(rule, span, wanted_text(rule), why)


def standing(rule: Rule, case: Case, rows: dict[str, Any], reason: Any) -> pd.DataFrame:
    """Rows of a state that is judged once, on the last day of the period."""
    count = len(np.asarray(rows["value"]))
    span = {"from": [case.first] * count, "to": [case.last] * count}
    result = judge(rule, rows["value"], case.parameters)
    return result_rows(rule, {**rows, **span, "result": result}, wanted_text(rule), reason)
