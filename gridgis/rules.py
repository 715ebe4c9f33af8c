"""Rules as a profile has them: the metric of a subject compared with a value, each period; and what can be checked.

A rule that no table of gridgis can tell stands in its profile all the same, with ``check = "none"`` and the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any

from gridgis.errors import ProfileError

OPS = (">=", "<=", "==", "between", "approx", "exists", "in")
#: How strictly a scheme means a rule. What was only observed, planned or aimed at is never missed.
STRENGTHS = ("must", "principle", "observed", "plan", "target")
#: Who or what does not have to hold: measured and shown, but never missed.
NOT_REQUIRED = ("observed", "plan", "target")
AREAS = ("patrol", "visits", "staffing", "publication", "spatial", "score", "workflow", "data quality")
#: Whether the machine checks a rule: by itself, as a part of the score, or not at all.
CHECKS = ("rule", "score", "none")

ROLES = (
    "grid head", "full-time worker", "part-time worker", "liaison", "information officer", "building steward",
    "volunteer",
)  # fmt: skip
#: Subjects of rules about people: a role, or everyone who is posted.
STAFF = (*ROLES, "staff")
GRIDS = ("grid", "small grid", "large grid", "residential grid", "street-face grid", "extension grid")
COMPOUNDS = ("grid of a managed compound", "grid of a mixed compound", "rural grid")
#: Spans of the calendar, from short to long.
SPANS = ("week", "month", "quarter", "half-year", "year")

_SUMS = ("day", "working day", *SPANS)
_STANDING = ("standing", "always")
_CALLS = ("day", *SPANS)


@dataclass(frozen=True)
class Metric:
    """What can be measured: of which subjects, in which periods."""

    subjects: tuple[str, ...]
    periods: tuple[str, ...]


#: What the machine can check: metrics, the subjects that have them, and for each the periods.
METRICS: dict[str, Metric] = {
    "patrols": Metric((*STAFF, *GRIDS), ("day", "working day", "day or week", *SPANS)),
    "patrols_each_half_day": Metric(STAFF, ("day", "working day")),
    "grid_visits": Metric(STAFF, _SUMS),
    "patrol_hours": Metric(STAFF, ("patrol", *_SUMS)),
    "inside_km": Metric(STAFF, _SUMS),
    "patrol_coverage": Metric(("small grid", "large grid", "grid"), ("day", "N days")),
    "building_rounds": Metric(STAFF, ("day", "working day")),
    "courtyard_rounds": Metric(STAFF, ("day", "working day")),
    "staff_on_duty": Metric(("segment",), ("day", "working day")),
    "visits": Metric(("site", "care address", "household"), _CALLS),
    "home_visits": Metric(("site", "care address", "household"), _CALLS),
    "phone_follow_ups": Metric(("site", "care address", "household"), _CALLS),
    "household_visit_rate": Metric(("community",), ("campaign",)),
    "reported_items": Metric(("grid",), ("month",)),
    "staff_in_group": Metric(GRIDS, _STANDING),
    "core_staff": Metric(GRIDS, _STANDING),
    "grid_heads": Metric(GRIDS, _STANDING),
    "grid_workers": Metric(GRIDS, _STANDING),
    "full_time_workers": Metric(GRIDS, _STANDING),
    "assistants": Metric(GRIDS, _STANDING),
    "information_officers": Metric(GRIDS, _STANDING),
    "volunteers": Metric(GRIDS, _STANDING),
    "block_heads": Metric(("responsibility block",), _STANDING),
    "full_time_patrol_staff": Metric(("segment",), _STANDING),
    "grids_served": Metric(STAFF, _STANDING),
    "building_steward_coverage": Metric(("community",), (*_STANDING, "period")),
    "boards": Metric((*GRIDS, "community", "building"), _STANDING),
    "complete_boards": Metric(("grids",), _STANDING),
    "households": Metric((*GRIDS, *COMPOUNDS), _STANDING),
    "persons": Metric((*GRIDS, *COMPOUNDS), _STANDING),
    "grids": Metric(("sub-district", "community"), _STANDING),
    "small_grids": Metric(("grid",), _STANDING),
    "grid_types": Metric(("sub-district",), _STANDING),
    "grid_maps_drawn": Metric(("community",), _STANDING),
    "levels": Metric(("sub-district",), _STANDING),
    "bounds_text": Metric(GRIDS, _STANDING),
    "communities": Metric(("grid",), _STANDING),
    "uncovered_area": Metric(("grids", "extension grids"), _STANDING),
    "overlap_area": Metric(("grids", "responsibility blocks"), _STANDING),
    "gap_area": Metric(("grids", "responsibility blocks"), _STANDING),
    "seam_gap": Metric(("segments",), _STANDING),
    "link_completeness": Metric(("chain",), _STANDING),
}  # fmt: skip

#: Metrics whose mark is one number: a share, or a count in a cadence.
_ONE_NUMBER = (
    "patrol_coverage", "building_rounds", "courtyard_rounds", "visits", "home_visits", "phone_follow_ups",
    "household_visit_rate",
)  # fmt: skip

#: The parts of the two templates of scores; a rule with ``check = "score"`` sets one.
SCORE_METRICS = (
    "attendance_weight", "daily_work_weight", "special_work_weight", "community_rating_weight",
    "weight service-management items", "weight visit records", "weight base data",
    "escalated item A / B / C", "self-handled item", "self_handled_items counted in full",
    "self_handled_items beyond 40", "wrongly escalated and rejected", "completed visit on time", "new base-data form",
    "updated base-data form (key field changed)", "new rental house",
    "registered resident whose actual address changed",
    "deduction for missing reported item", "deduction for missing service record",
    "day without track and without leave", "unqualified", "false",
)  # fmt: skip

_WINDOW = re.compile(r"([1-9][0-9]*) days?")
_CATEGORY = re.compile(r"reported_items\[(.+)\]")


@dataclass(frozen=True)
class Rule:
    """One rule: the `metric` of a `subject` compared by `op` with `value`, each `period`."""

    id: str
    subject: str
    metric: str
    op: str
    value: float | str | tuple[float, ...]
    unit: str
    period: str
    area: str = ""
    strength: str = "must"
    check: str = "rule"
    why: str = ""
    scope: str = ""
    note: str = ""

    @property
    def required(self) -> bool:
        """Whether it can be missed: what was only observed, planned or aimed at cannot."""
        return self.strength not in NOT_REQUIRED

    @property
    def category(self) -> str:
        """The category of matters that the rule counts; "" where it counts all."""
        found = _CATEGORY.fullmatch(self.metric)
        return found[1] if found else ""


def window_days(period: str) -> int | None:
    """How many days long the window of a period is: 1 of "day", 5 of "5 days"; None of others.

    Examples
    --------
    >>> window_days("5 days"), window_days("day"), window_days("week")
    (5, 1, None)
    """
    found = _WINDOW.fullmatch(period)
    return 1 if period == "day" else int(found[1]) if found else None


def metric_of(rule: Rule) -> str:
    """The key of a rule's metric in :data:`METRICS`: without the category of matters."""
    return "reported_items" if rule.category else rule.metric


def make_rule(item: Mapping[str, Any], where: str, source: str) -> Rule:
    """A rule out of a table of the profile.

    Raises
    ------
    ProfileError
        A key that is missing or unknown; an op, area, strength, metric, subject or period that nothing knows; a value
        that does not fit its op; a rule that is not checked without a reason.
    """
    _check_keys(item, where, source)
    rule = Rule(**{**item, "value": _value(item["op"], item["value"], item.get("check", "rule"), where, source)})
    for key, known in (("area", ("", *AREAS)), ("strength", STRENGTHS), ("check", CHECKS)):
        _one_of(getattr(rule, key), known, f"{where} has an unknown {key}", source)
    if rule.check == "none":
        if not rule.why.strip():
            raise ProfileError(f"{where} is not checked and does not say why", source=source, wanted='why = "…"')
    elif rule.check == "score":
        _one_of(rule.metric, SCORE_METRICS, f"{where} has an unknown metric of scores", source)
    else:
        _check_metric(rule, where, source)
    return rule


def _check_keys(item: Mapping[str, Any], where: str, source: str) -> None:
    known = tuple(f.name for f in fields(Rule))
    unknown = [key for key in item if key not in known]
    if unknown:
        raise ProfileError(
            f"{where} has keys that no profile knows", source=source, found=", ".join(unknown), wanted=", ".join(known)
        )
    missing = [f for f in known[:7] if f not in item]
    if missing:
        raise ProfileError(f"{where} lacks {', '.join(missing)}", source=source)
    for key in item:
        if key != "value" and not isinstance(item[key], str):
            raise ProfileError(f"{where}: {key} must be text", source=source, found=repr(item[key]))
    _one_of(item["op"], OPS, f"{where} has an unknown op", source)


def _one_of(value: str, known: tuple[str, ...], message: str, source: str) -> None:
    if value not in known:
        raise ProfileError(message, source=source, found=repr(value), wanted=", ".join(k for k in known if k))


def _check_metric(rule: Rule, where: str, source: str) -> None:
    metric = metric_of(rule)
    if metric not in METRICS:
        raise ProfileError(
            f"{where} has an unknown metric",
            source=source,
            found=repr(rule.metric),
            wanted=", ".join(METRICS),
            remedy='A rule that no machine can check has check = "none" and why = "…".',
        )
    known = METRICS[metric]
    for one in [s.strip() for s in rule.subject.split(",")]:
        _one_of(one, known.subjects, f"{where} has a subject that has no {metric}", source)
    if not (rule.period in known.periods or ("N days" in known.periods and window_days(rule.period))):
        wanted = ", ".join(known.periods)
        raise ProfileError(
            f"{where} has a period in which {metric} is not measured",
            source=source,
            found=repr(rule.period),
            wanted=wanted,
        )
    if isinstance(rule.value, str) or (isinstance(rule.value, tuple) and metric in _ONE_NUMBER):
        raise ProfileError(
            f"{where}: the value of {metric} is compared by {rule.op}",
            source=source,
            found=repr(rule.value),
            wanted="one number",
        )


def _value(op: str, value: Any, check: str, where: str, source: str) -> float | str | tuple[float, ...]:
    several = isinstance(value, list) and len(value) > 0 and all(_finite(v) for v in value)
    if op in ("between", "in") and check != "none":
        fits = several and (op == "in" or (len(value) == 2 and 0 <= value[0] <= value[1]))
        if not fits:
            wanted = "[min, max]" if op == "between" else "a list of numbers"
            raise ProfileError(f"{where} value must be {wanted}", source=source, found=repr(value))
    elif not (_finite(value) or isinstance(value, str) or (several and check == "none")):
        raise ProfileError(f"{where} value must be a number or text", source=source, found=repr(value))
    return tuple(float(v) for v in value) if isinstance(value, list) else value


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def make_rules(data: Any, source: str) -> tuple[Rule, ...]:
    """The rules of a profile, in order; their ids are unique.

    Raises
    ------
    ProfileError
        As :func:`make_rule`; no list of tables; two rules of one id.
    """
    if not isinstance(data, list) or not all(isinstance(item, Mapping) for item in data):
        raise ProfileError("[[rule]] must be a list of tables", source=source)
    rules = [make_rule(item, rule_name(item, number), source) for number, item in enumerate(data, 1)]
    ids = [rule.id for rule in rules]
    doubled = sorted({i for i in ids if ids.count(i) > 1})
    if doubled:
        raise ProfileError("rule ids are not unique", source=source, ids=doubled)
    return tuple(rules)


def rule_name(item: Mapping[str, Any], number: int) -> str:
    """What a rule is called in messages."""
    return f"rule {number} ({item.get('id', 'without id')})"
