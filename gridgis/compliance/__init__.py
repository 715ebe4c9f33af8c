"""Everything measured against the profile's rules: kept or missed, and why. One floor above plan, assign and patrol."""

from gridgis.compliance.calls import overdue_calls, targets_of, visit_table
from gridgis.compliance.checks import check_compliance, coverage_marks, windows
from gridgis.compliance.marks import RESULT_COLUMNS, RESULTS
from gridgis.compliance.matters import matter_lights
from gridgis.compliance.notices import board_faults
from gridgis.compliance.scores import compliance_scores
from gridgis.rules import METRICS

__all__ = [
    "METRICS", "RESULTS", "RESULT_COLUMNS", "board_faults", "check_compliance", "compliance_scores", "coverage_marks",
    "matter_lights", "overdue_calls", "targets_of", "visit_table", "windows",
]  # fmt: skip
