"""The templates of self-contained pages, and how they write figures, shares and days."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

_RANGE = re.compile(r"(\d{1,2}[:：]\d{2}\s*[-‐-―−~～〜]\s*\d{1,2}[:：]\d{2})")


def template(name: str, words: Mapping[str, Any] | None = None, **filters: Callable[..., Any]) -> jinja2.Template:
    """A template of this folder; whatever is filled in is escaped, and a name that is missing is an error.

    Parameters
    ----------
    name : str
        Its file.
    words : mapping, optional
        What the template knows by name beside what it is given.
    **filters : callable
        Filters of this page beside ``figure``, ``percent``, ``day`` and ``whole``.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(figure=figure, percent=percent, day=day, whole=whole, **filters)
    environment.globals.update(words or {})
    return environment.from_string((files("gridgis.publish") / name).read_text("utf-8"))


def figure(value: Any) -> str:
    """A number as a reader wants it: whole ones grouped, others with three figures or so; a dash for none.

    Examples
    --------
    >>> figure(27000), figure(0.03333), figure(1234.56), figure(float("nan"))
    ('27,000', '0.0333', '1,235', '–')
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {figure(inner)}" for name, inner in value.items())
    if value is None or (not isinstance(value, str | list | tuple) and pd.isna(value)):
        return "–"
    if isinstance(value, bool | np.bool_):
        return "是 yes" if value else "否 no"
    if not isinstance(value, int | float | np.integer | np.floating):
        return ", ".join(map(figure, value)) if isinstance(value, list | tuple) else str(value)
    number = float(value)
    if number == round(number) or abs(number) >= 1000:
        return f"{number:,.0f}"
    return f"{number:.3g}"


def percent(value: Any, signed: bool = False) -> str:
    """A fraction as percent with one decimal; a dash for none. What is short of all is never written as all.

    Examples
    --------
    >>> percent(0.8659), percent(-0.25, signed=True), percent(0.9999)
    ('86.6 %', '−25.0 %', '> 99.9 %')
    """
    if value is None or pd.isna(value):
        return "–"
    if 0.9995 <= value < 1 and not signed:
        return "> 99.9 %"
    return f"{100 * float(value):{'+' if signed else ''}.1f} %".replace("-", "−")


def day(value: Any) -> str:
    """A date as ISO 8601; a dash for none."""
    if value is None or pd.isna(value):
        return "–"
    return value.strftime("%Y-%m-%d") if isinstance(value, date | pd.Timestamp) else str(value)


def whole(text: str) -> Markup:
    """`text` with each time range kept in one line: 8:30–11:30 does not break at its dash.

    Examples
    --------
    >>> whole("每日 8:30–11:30 <b>")
    Markup('每日 <span class="nowrap">8:30–11:30</span> &lt;b&gt;')
    """
    parts = _RANGE.split(text)
    return Markup("").join(
        Markup('<span class="nowrap">{}</span>').format(p) if i % 2 else p for i, p in enumerate(parts)
    )
