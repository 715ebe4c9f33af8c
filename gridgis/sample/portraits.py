"""Portraits of invented staff: a face in a few shapes, drawn by the program. Nobody looks like that."""

from __future__ import annotations

import numpy as np

from gridgis.sample.plane import SEED

_SKIN = ("#f2d3b3", "#e8c09a", "#d9a97c", "#f6dcc4")
_HAIR = ("#2b2420", "#3d2f28", "#1f1f24", "#5a4a42", "#8c8580")
_COAT = ("#2f5d7c", "#4a6b4f", "#7a4b52", "#3d4a66", "#6b5a3a", "#51606b")
_GROUND = ("#dfe8ee", "#e9e4d8", "#e2ebe0", "#efe3e3")
_CUTS = (
    '<path d="M30 46c0-17 8-26 20-26s20 9 20 26c-4-9-9-14-20-14s-16 5-20 14z" fill="{hair}"/>',
    '<path d="M29 60c-3-26 6-41 21-41s24 15 21 41c-3 4-5-14-8-20-8-2-18-2-26 0-3 6-5 24-8 20z" fill="{hair}"/>',
    '<path d="M30 44c-1-15 9-24 20-24s21 9 20 24c-3-5-4-9-7-12-9 3-20 2-26-1-4 4-5 8-7 13z" fill="{hair}"/>',
)
_GLASSES = (
    '<g fill="none" stroke="#333" stroke-width="1.5"><circle cx="42" cy="50" r="6"/><circle cx="58" cy="50" r="6"/>'
    '<path d="M48 50h4"/></g>'
)


def portrait(who: str) -> str:
    """The portrait of one member of staff as SVG, by the digits of the id; less than 1 kB."""
    rng = np.random.default_rng([SEED, 9, int("".join(c for c in who if c.isdigit()) or 0)])
    skin, hair, coat, ground = (
        str(colours[int(rng.integers(len(colours)))]) for colours in (_SKIN, _HAIR, _COAT, _GROUND)
    )
    cut = _CUTS[int(rng.integers(len(_CUTS)))].format(hair=hair)
    smile = int(rng.integers(2, 6))
    glasses = _GLASSES if rng.random() < 0.3 else ""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" width="100" height="100">'
        f'<rect width="100" height="100" fill="{ground}"/>'
        f'<path d="M14 100c2-20 16-26 36-26s34 6 36 26z" fill="{coat}"/>'
        f'<path d="M43 66h14v10c-4 5-10 5-14 0z" fill="{skin}"/>'
        f'<ellipse cx="50" cy="50" rx="18" ry="22" fill="{skin}"/>'
        f'{cut}<circle cx="42" cy="50" r="1.8"/><circle cx="58" cy="50" r="1.8"/>{glasses}'
        f'<path d="M44 61q6 {smile} 12 0" fill="none" stroke="#8a4b3c" stroke-width="1.6" stroke-linecap="round"/>'
        "</svg>\n"
    )
