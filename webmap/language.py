"""Which language a visitor reads, and the words for what the tables hold."""

from __future__ import annotations

from datetime import date
from typing import Any

from babel.dates import format_date as format_day
from flask import Response, g, request, url_for
from flask_babel import get_locale, lazy_gettext
from markupsafe import Markup

from gridgis.publish.extent import HAN
from gridgis.publish.page_templates import whole

LANGUAGES = ("zh", "en")
#: What each language is called in itself, and its tag in ``<html lang>``.
NAMES = {"zh": "中文", "en": "English"}
TAGS = {"zh": "zh-Hans", "en": "en"}
SETTINGS = {"BABEL_DEFAULT_LOCALE": "zh"}
_COOKIE = "lang"
_YEAR = 31_536_000

ROLES = {
    "grid head": lazy_gettext("Grid head"),
    "full-time worker": lazy_gettext("Full-time grid worker"),
    "part-time worker": lazy_gettext("Part-time grid worker"),
    "liaison": lazy_gettext("Grid liaison"),
    "information officer": lazy_gettext("Information officer"),
    "building steward": lazy_gettext("Building steward"),
    "volunteer": lazy_gettext("Volunteer"),
}
GRID_KINDS = {
    "residential": lazy_gettext("Residential grid"),
    "street-face": lazy_gettext("Street-face grid"),
    "extension": lazy_gettext("Extension grid"),
    "dedicated": lazy_gettext("Dedicated grid"),
    "professional": lazy_gettext("Professional grid"),
}
BARRIERS = {
    "expressway": lazy_gettext("Expressway"),
    "main": lazy_gettext("Main road"),
    "secondary": lazy_gettext("Secondary road"),
    "lane": lazy_gettext("Lane"),
    "railway": lazy_gettext("Railway"),
    "river": lazy_gettext("River"),
    "wall": lazy_gettext("Wall"),
}
#: What a board may lack, by the name that the library gives it.
FIELDS = {
    "name": lazy_gettext("grid name"),
    "code": lazy_gettext("grid code"),
    "extent": lazy_gettext("extent map"),
    "bounds_text": lazy_gettext("bounds"),
    "staff": lazy_gettext("staff"),
    "role": lazy_gettext("roles of staff"),
    "photo": lazy_gettext("photos of staff"),
    "phone": lazy_gettext("phone numbers of staff"),
    "duties": lazy_gettext("duties"),
    "hours": lazy_gettext("reception hours"),
    "community_phone": lazy_gettext("community phone"),
    "supervision_phone": lazy_gettext("supervision phone"),
}


def word(words: dict[str, Any], value: object) -> str:
    """The word for `value` in the visitor's language; a value without one stands for itself."""
    text = "" if value is None else str(value)
    return str(words.get(text, text))


def choose() -> str:
    """The visitor's language: asked for, remembered, preferred by the browser, else Chinese."""
    asked = request.args.get("lang", "")
    if asked in LANGUAGES:
        return asked
    remembered = request.cookies.get(_COOKIE, "")
    if remembered in LANGUAGES:
        return remembered
    return str(request.accept_languages.best_match(LANGUAGES, default="zh"))


def current() -> str:
    """The language of this request."""
    locale = get_locale()
    return "zh" if locale is None else str(locale.language)


def remember(response: Response) -> Response:
    """Keep an asked-for language in a cookie; pages differ by language, and caches must know."""
    asked = request.args.get("lang", "")
    if asked in LANGUAGES and request.cookies.get(_COOKIE) != asked:
        response.set_cookie(_COOKIE, asked, max_age=_YEAR, samesite="Lax", httponly=True)
    if response.mimetype in ("text/html", "application/json", "application/problem+json"):
        response.vary.update(("Accept-Language", "Cookie", "Accept"))
    return response


def spoken(text: object) -> Markup:
    """`text` marked as Chinese where the page around it is not, so that it is read and drawn as Chinese."""
    words = whole("" if text is None else str(text))
    if current() != "zh" and HAN.search(words):
        return Markup('<span lang="{}">{}</span>').format(TAGS["zh"], words)
    return Markup("{}").format(words)


def _day() -> dict[str, str] | None:
    """The day that was asked for, where it is another one than today: as it is read, and in ISO 8601."""
    return dressed(g.day) if "day" in g else None


def dressed(day: date) -> dict[str, str]:
    """A day as it is read in the visitor's language, and in ISO 8601."""
    pattern = "d MMMM y" if current() == "en" else "y年M月d日"
    return {"said": format_day(day, pattern, locale=current()), "iso": day.isoformat()}


def for_templates() -> dict[str, Any]:
    """What every template may use: this page in the other language, and the tag of this one."""
    here = current()
    other = next(code for code in LANGUAGES if code != here)
    arguments = {**(request.view_args or {}), **request.args.to_dict(), "lang": other}
    endpoint = request.endpoint or "public.home"
    if request.url_rule is None:
        endpoint, arguments = "public.home", {"lang": other}
    return {
        "lang": here,
        "lang_tag": TAGS[here],
        "other_lang": other,
        "other_name": NAMES[other],
        "other_tag": TAGS[other],
        "other_url": url_for(endpoint, **arguments),
        "settings": g.get("settings", {}),
        "day": _day(),
    }
