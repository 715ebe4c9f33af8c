"""What a grid should hold, and how many grids that gives."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from gridgis.errors import PlanError
from gridgis.plan.faces.network import Floats, Shapes
from gridgis.profile import Profile, Weights

#: How far "about" goes where neither an argument nor a profile says.
TOLERANCE = 0.25

#: Code of a grid where no profile gives a template.
CODE = "{unit}{n:02d}"

#: Numbers of grids that are tried in a piece of ground, when the first leaves grids off norm.
_TRIED = 3


class Norms(NamedTuple):
    """What a grid should hold: by compound kind, with a tolerance; how grids are coded; what the search pays for."""

    targets: dict[str, float]  # "" stands for an unknown kind
    tolerance: float
    per_unit: tuple[int, int] | None
    shown: Any
    code: str = CODE
    order: str = "path"
    never_cross: tuple[str, ...] = ()
    weights: Weights = Weights()
    profile: str | None = None

    def target(self, kind: str | None) -> float:
        return self.targets.get(kind or "", self.targets[""])


def norms_of(norm: Profile | float, tolerance: float | None, weight: str) -> Norms:
    """The norm of a profile or a plain number, for this weight.

    Raises
    ------
    PlanError
        An unknown weight; a norm or tolerance that cannot be used; a profile without a norm for this weight.
    """
    if weight not in ("households", "persons"):
        raise PlanError("the weight is unknown", found=repr(weight), wanted="households or persons")
    if tolerance is not None and not (math.isfinite(tolerance) and tolerance >= 0):
        raise PlanError(
            "the tolerance cannot be used", found=repr(tolerance), wanted="a fraction of 0 or more, as 0.25"
        )
    if not isinstance(norm, Profile):
        if isinstance(norm, bool) or not (math.isfinite(norm) and norm > 0):
            raise PlanError("the norm cannot be used", found=repr(norm), wanted=f"{weight} in a grid, above 0")
        return Norms({"": float(norm)}, TOLERANCE if tolerance is None else tolerance, None, float(norm))
    rule, how = norm.norm, (norm.code, norm.code_order, norm.norm.never_cross, norm.weights, norm.name)
    if weight == "households":
        if not rule.households:
            raise PlanError(
                f"the profile {norm.name} has no norm of households", wanted="[norm] households",
                remedy="Take --weight persons, or give --norm.",
            )  # fmt: skip
        targets = {**rule.households, "": rule.target(None)}
        about = rule.tolerance if tolerance is None else tolerance
        return Norms(targets, about, rule.grids_per_community, dict(rule.households), *how)
    if rule.persons is None or sum(rule.persons) <= 0:
        raise PlanError(
            f"the profile {norm.name} has no norm of persons", wanted="[norm] persons",
            remedy="Take --weight households, or give --norm.",
        )  # fmt: skip
    low, high = rule.persons
    about = (high - low) / (high + low) if tolerance is None else tolerance
    return Norms({"": (low + high) / 2}, about, rule.grids_per_community, [low, high], *how)


def kind_of(kinds: Shapes, load: Floats) -> str | None:
    """The compound kind that most of the load lives in; None where that is unknown."""
    sums: dict[str, float] = {}
    for kind, value in zip(kinds, load.tolist(), strict=True):
        sums[kind or ""] = sums.get(kind or "", 0.0) + value
    return max(sorted(sums), key=lambda k: sums[k]) or None


def grids_wanted(
    load: float, target: float, tolerance: float, per_unit: tuple[int, int] | None = None, blocks: int | None = None
) -> list[int]:
    """Numbers of grids worth trying, the one that is wanted most first.

    Parameters
    ----------
    load, target : float
        Load of the unit, and that wanted in a grid.
    tolerance : float
        Fraction by which a grid may be off: the mean of what is tried is inside, unless no number's is.
    per_unit : (int, int), optional
        Grids wanted in a unit: the best number in this range comes first, then the best of all.
    blocks : int, optional
        There cannot be more grids than this.

    Examples
    --------
    >>> grids_wanted(1000, 300, 0.25), grids_wanted(1430, 300, 0.25), grids_wanted(1430, 300, 0.25, (6, 10))
    ([3, 4], [5, 4, 6], [6, 5, 4])
    """
    most = math.ceil(load / target * (1 + tolerance)) + 1
    counts = sorted(range(1, max(1, min(most, blocks or most)) + 1), key=lambda k: abs(load / k - target))
    fitting = [k for k in counts if abs(load / k / target - 1) <= tolerance] or counts[:1]
    low, high = per_unit or (1, 0)
    wanted = [k for k in fitting if low <= k <= high][:1]
    return [*wanted, *(k for k in fitting[:_TRIED] if k not in wanted)]
