"""Everything measured against the profile's rules: kept or missed, and why. One floor above plan, assign and patrol."""

from gridgis.compliance.checks import METRICS, check_compliance, windows
from gridgis.compliance.marks import RESULT_COLUMNS, RESULTS

__all__ = ["METRICS", "RESULTS", "RESULT_COLUMNS", "check_compliance", "windows"]
