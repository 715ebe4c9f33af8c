"""Norms, parameters and rules of one locality, as TOML; the profiles that ship are in ``profiles/``.

A rule that its scheme leaves open (sight width, pass mark, "about") is a named parameter with a unit and a default,
and is printed with every result that used it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gridgis.errors import ProfileError
from gridgis.faults import find_faults
from gridgis.rules import Rule, make_rules

_GROUNDS = ("area", "walkable", "streets", "buildings")
_FRACTIONS = ("full_share", "street_passed", "about")
_ABOVE_ZERO = ("sight_m", "gap_s", "max_speed_mps", "m2_per_household", "storeys_default", "visit_near_m")
_TABLES = ("name", "title", "norm", "levels", "code", "board", "weights", "parameters", "calendar", "score", "rule")
_TEMPLATES = ("items", "attendance")
_CLASSES = ("river", "railway", "expressway", "main", "secondary", "lane", "wall")
_ORDERS = ("path", "north")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class Parameters:
    """What the published schemes leave open. Units stand in the names; shares and tolerances are fractions."""

    sight_m: float = 25.0
    ground: str = "walkable"
    full_share: float = 0.9
    large_grid_km2: float = 0.5
    street_passed: float = 0.9
    building_passed_m: float = 15.0
    gps_error_m: float = 10.0
    dead_band_m: float = 10.0
    gap_s: float = 300.0
    session_gap_s: float = 1800.0
    max_accuracy_m: float = 50.0
    max_speed_mps: float = 6.0
    week_start: str = "monday"
    working_days: str = "monday..friday"
    noon: str = "12:00"
    timezone: str = "Asia/Shanghai"
    about: float = 0.25
    min_area_m2: float = 1e-6
    min_width_m: float = 0.0
    yellow_days: float = 3.0
    red_days: float = 7.0
    visit_near_m: float = 50.0
    visit_near_min: float = 15.0
    board_verified_days: float = 180.0
    m2_per_household: float = 90.0
    storeys_default: float = 6.0
    track_kept_days: float = 90.0
    small_count: float = 5.0

    def as_dict(self, *names: str) -> dict[str, Any]:
        """All parameters, or the named ones, as a plain dict for a result."""
        values = asdict(self)
        return {name: values[name] for name in names} if names else values

    @property
    def weekdays(self) -> tuple[int, ...]:
        """The working days of a week, Monday as 0, out of "monday..friday" or "monday, wednesday".

        Examples
        --------
        >>> Parameters().weekdays, Parameters(working_days="saturday..monday, friday").weekdays
        ((0, 1, 2, 3, 4), (0, 4, 5, 6))
        """
        found: set[int] = set()
        for part in self.working_days.split(","):
            first, _, last = (word.strip() for word in part.partition(".."))
            start = _DAYS.index(first)
            found |= {(start + n) % 7 for n in range((_DAYS.index(last or first) - start) % 7 + 1)}
        return tuple(sorted(found))


@dataclass(frozen=True)
class Norm:
    """How large a grid should be: households by kind of compound, or persons; and how far "about" goes."""

    households: Mapping[str, float] = field(default_factory=dict)
    persons: tuple[float, float] | None = None
    tolerance: float = 0.25
    grids_per_community: tuple[int, int] | None = None
    never_cross: tuple[str, ...] = ()

    def target(self, compound_kind: str | None) -> float:
        """Households wanted in a grid of this compound kind; of mixed where the kind has no norm, 0 without any."""
        kinds = self.households
        return float(kinds.get(compound_kind or "mixed", kinds.get("mixed", next(iter(kinds.values()), 0.0))))


@dataclass(frozen=True)
class Weights:
    """What the search for a plan pays for. Plain numbers that count against each other; 0 means: of no account.

    load : of the squared deviation from the norm, and of leaving the tolerance, for each grid.
    compactness : of 1 / compactness - 1 (compactness: Polsby-Popper), for each grid.
    border : of the price of border over that of a square grid of mean area on lanes.
    wide_ground : of the square of mean grid areas beyond two, for each grid.
    compound : price of a metre of border inside a compound, on top of its class.
    river … wall, no_road : price of a metre of border on a barrier of this class, or on none; above 0, a lane is 1.
    """

    load: float = 1.0
    compactness: float = 0.2
    border: float = 0.7
    wide_ground: float = 0.05
    compound: float = 2.0
    river: float = 0.2
    railway: float = 0.2
    expressway: float = 0.2
    main: float = 0.3
    secondary: float = 0.6
    lane: float = 1.0
    wall: float = 1.0
    no_road: float = 2.0

    def of_class(self, barrier: str | None) -> float:
        """Price of a metre of border on a barrier of this class; None: on no barrier."""
        return float(getattr(self, barrier if barrier in _CLASSES else "no_road"))


@dataclass(frozen=True)
class Calendar:
    """Days that break the week: holidays on which nobody works, and days off that were made working days (调休)."""

    holidays: tuple[date, ...] = ()
    workdays: tuple[date, ...] = ()


@dataclass(frozen=True)
class Score:
    """Which template of scores counts, and which categories of matters each of its names stands for."""

    template: str = ""
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Profile:
    """The rules of one locality; make one with :meth:`load`."""

    name: str
    title: str
    norm: Norm
    levels: tuple[str, ...] = ("街道", "社区", "网格")
    code: str = "{unit}{n:02d}"
    code_order: str = "path"
    board_required: tuple[str, ...] = ()
    parameters: Parameters = field(default_factory=Parameters)
    weights: Weights = field(default_factory=Weights)
    rules: tuple[Rule, ...] = ()
    calendar: Calendar = field(default_factory=Calendar)
    score: Score = field(default_factory=Score)

    @staticmethod
    def names() -> list[str]:
        """Names of the profiles that ship."""
        return sorted(p.name[: -len(".toml")] for p in files("gridgis.profiles").iterdir() if p.name.endswith(".toml"))

    @classmethod
    def load(cls, name: str | Path) -> Profile:
        """Load a profile that ships, by name, or one of your own, by path.

        Raises
        ------
        ProfileError
            If there is none, or a line cannot be used; the message names the line, the table and the key.

        Examples
        --------
        >>> Profile.load("yichang").norm.households["mixed"]
        300.0
        """
        return cls.parse(*_text_of(name, cls.names()))

    @classmethod
    def faults(cls, name: str | Path) -> list[ProfileError]:
        """Every fault of a profile, each with its line, in the order of the file; none where it can be used.

        Raises
        ------
        ProfileError
            If there is no such profile.
        """
        text, source = _text_of(name, cls.names())
        try:
            data = _loaded(text, source)
        except ProfileError as error:
            return [error]
        return find_faults(text, data, source, cls._made)

    @classmethod
    def parse(cls, text: str, source: str = "profile") -> Profile:
        """Read a profile from TOML text; `source` is named in messages."""
        data = _loaded(text, source)
        try:
            return cls._made(data, source)
        except ProfileError as error:
            raise next(iter(find_faults(text, data, source, cls._made)), error) from error

    @classmethod
    def _made(cls, data: Mapping[str, Any], source: str) -> Profile:
        _only(data, _TABLES, "the file", source)
        for needed in ("name", "title", "norm"):
            if needed not in data:
                raise ProfileError(f"{needed!r} is missing", source=source)
        levels, code = _section(data, "levels", source), _section(data, "code", source)
        board = _section(data, "board", source)
        _only(levels, ("names",), "[levels]", source)
        _only(code, ("template", "order"), "[code]", source)
        _only(board, ("required",), "[board]", source)
        return cls(
            name=str(data["name"]),
            title=str(data["title"]),
            norm=_norm(_section(data, "norm", source), source),
            levels=_words(levels.get("names", list(cls.levels)), "levels.names", source),
            code=_template(code.get("template", cls.code), source),
            code_order=_one_of(code.get("order", cls.code_order), _ORDERS, "code.order", source),
            board_required=_words(board.get("required", []), "board.required", source),
            parameters=_parameters(_section(data, "parameters", source), source),
            weights=_weights(_section(data, "weights", source), source),
            rules=make_rules(data.get("rule", []), source),
            calendar=_calendar(_section(data, "calendar", source), source),
            score=_score(_section(data, "score", source), source),
        )


def _loaded(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"not valid TOML: {error}", source=source) from error


def _text_of(name: str | Path, shipped: list[str]) -> tuple[str, str]:
    """The text of a profile, and what it is called in messages."""
    path = Path(name)
    if path.suffix == ".toml":
        if not path.is_file():
            raise ProfileError("no such profile file", source=path)
        return _read_text(path), str(path)
    if str(name) not in shipped:
        raise ProfileError("no such profile", found=repr(str(name)), wanted=f"{', '.join(shipped)}, or a .toml file")
    return (files("gridgis.profiles") / f"{name}.toml").read_text("utf-8"), f"profile {name}"


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProfileError("the file is not UTF-8 text", source=path) from error


def _section(data: Mapping[str, Any], name: str, source: str) -> Mapping[str, Any]:
    section = data.get(name, {})
    if not isinstance(section, Mapping):
        raise ProfileError(f"[{name}] must be a table", source=source, found=repr(section))
    return section


def _only(data: Mapping[str, Any], known: tuple[str, ...], where: str, source: str) -> None:
    unknown = [key for key in data if key not in known]
    if unknown:
        raise ProfileError(
            f"{where} has keys that no profile knows", source=source, found=", ".join(unknown), wanted=", ".join(known)
        )


def _words(value: Any, key: str, source: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
        raise ProfileError(f"{key} must be a list of words", source=source, found=repr(value))
    return tuple(value)


def _one_of(value: Any, choices: tuple[str, ...], key: str, source: str) -> str:
    if value not in choices:
        raise ProfileError(f"{key} is unknown", source=source, found=repr(value), wanted=", ".join(choices))
    return str(value)


def _fraction(value: Any, key: str, source: str) -> float:
    number = _positive(value, key, source)
    if number > 1:
        raise ProfileError(f"{key} is a fraction of 1", source=source, found=repr(value), wanted="0.25 for a quarter")
    return number


def _positive(value: Any, key: str, source: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0 or value == float("inf"):
        raise ProfileError(f"{key} must be a number ≥ 0", source=source, found=repr(value))
    return float(value)


def _range(value: Any, key: str, source: str) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise ProfileError(f"{key} must be [min, max]", source=source, found=repr(value))
    low, high = (_positive(v, key, source) for v in value)
    if low > high:
        raise ProfileError(f"{key} must be [min, max]", source=source, found=repr(value))
    return low, high


def _norm(data: Mapping[str, Any], source: str) -> Norm:
    known = ("households", "persons", "tolerance", "grids_per_community", "never_cross")
    _only(data, known, "[norm]", source)
    households = data.get("households", {})
    if not isinstance(households, Mapping):
        raise ProfileError("norm.households must be a table of kinds", source=source, found=repr(households))
    _only(households, ("mixed", "managed", "rural"), "norm.households", source)
    for kind, value in households.items():
        if _positive(value, f"norm.households.{kind}", source) == 0:
            raise ProfileError(f"norm.households.{kind} must be above 0", source=source)
    per = data.get("grids_per_community")
    grids = None if per is None else _range(per, "norm.grids_per_community", source)
    if grids is not None and not all(n.is_integer() for n in grids):
        raise ProfileError("norm.grids_per_community must be whole numbers", source=source, found=repr(per))
    return Norm(
        households={k: float(v) for k, v in households.items()},
        persons=None if "persons" not in data else _range(data["persons"], "norm.persons", source),
        tolerance=_fraction(data.get("tolerance", Norm.tolerance), "norm.tolerance", source),
        grids_per_community=None if grids is None else (int(grids[0]), int(grids[1])),
        never_cross=tuple(
            _one_of(name, _CLASSES, "norm.never_cross", source)
            for name in _words(data.get("never_cross", []), "norm.never_cross", source)
        ),
    )


def _weights(data: Mapping[str, Any], source: str) -> Weights:
    _only(data, tuple(f.name for f in fields(Weights)), "[weights]", source)
    values = {key: _positive(value, f"weights.{key}", source) for key, value in data.items()}
    zero = [key for key, value in values.items() if value == 0 and key in (*_CLASSES, "no_road")]
    if zero:
        raise ProfileError(f"weights.{zero[0]} must be above 0", source=source, found="0", wanted="0.1 for nearly free")
    return Weights(**values)


def _template(value: Any, source: str) -> str:
    try:
        codes = {str(value).format(unit=unit, n=n) for unit in ("110108014", "110108015") for n in (1, 2)}
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ProfileError(f"code.template cannot be filled in: {error}", source=source, found=repr(value)) from error
    if len(codes) < 4:
        raise ProfileError("code.template must use {unit} and {n}", source=source, found=repr(value))
    return str(value)


def _parameters(data: Mapping[str, Any], source: str) -> Parameters:
    known = {f.name: f for f in fields(Parameters)}
    _only(data, tuple(known), "[parameters]", source)
    values: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(known[key].default, str):
            values[key] = _word(key, value, source)
        else:
            check = _fraction if key in _FRACTIONS else _positive
            values[key] = check(value, f"parameters.{key}", source)
            if key in _ABOVE_ZERO and values[key] == 0:
                raise ProfileError(f"parameters.{key} must be above 0", source=source)
    parameters = Parameters(**values)
    if parameters.yellow_days > parameters.red_days:
        raise ProfileError(
            "parameters.yellow_days must not be above red_days",
            source=source,
            found=f"{parameters.yellow_days:g} and {parameters.red_days:g}",
        )
    return parameters


def _word(key: str, value: Any, source: str) -> str:
    choices: dict[str, tuple[str, ...]] = {"ground": _GROUNDS, "week_start": _DAYS}
    if key in choices:
        _one_of(value, choices[key], f"parameters.{key}", source)
    if key == "timezone":
        try:
            ZoneInfo(str(value))
        except (KeyError, ValueError, OSError) as error:  # OSError: the name of a folder of zones, as "Asia"
            raise ProfileError("parameters.timezone is unknown", source=source, found=repr(value)) from error
    if key == "working_days" and not _are_days(str(value)):
        raise ProfileError(
            "parameters.working_days is unknown",
            source=source,
            found=repr(value),
            wanted="monday..friday, or days with commas between",
        )
    if key == "noon" and not re.fullmatch(r"([01]?[0-9]|2[0-3]):[0-5][0-9]", str(value)):
        raise ProfileError("parameters.noon must be HH:MM", source=source, found=repr(value))
    return str(value)


def _are_days(text: str) -> bool:
    named = [word.strip() for part in text.split(",") for word in part.split("..", 1)]
    return all(word in _DAYS for word in named)


def _calendar(data: Mapping[str, Any], source: str) -> Calendar:
    _only(data, ("holidays", "workdays"), "[calendar]", source)
    found = Calendar(**{key: _dates(value, f"calendar.{key}", source) for key, value in data.items()})
    both = sorted(set(found.holidays) & set(found.workdays))
    if both:
        raise ProfileError("a day is a holiday or a workday, not both", source=source, found=", ".join(map(str, both)))
    return found


def _dates(value: Any, key: str, source: str) -> tuple[date, ...]:
    wanted = 'a list of days as "2026-05-01"'
    try:
        return tuple(sorted(date.fromisoformat(str(day)) for day in _list(value)))
    except ValueError as error:
        raise ProfileError(f"{key} has a day that is none", source=source, found=repr(value), wanted=wanted) from error


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(value)
    return value


def _score(data: Mapping[str, Any], source: str) -> Score:
    _only(data, ("template", "categories"), "[score]", source)
    template = data.get("template", "")
    if template not in ("", *_TEMPLATES):
        raise ProfileError(
            "score.template is unknown", source=source, found=repr(template), wanted=", ".join(_TEMPLATES)
        )
    named = _section(data, "categories", source)
    return Score(template, {name: _words(words, f"score.categories.{name}", source) for name, words in named.items()})
