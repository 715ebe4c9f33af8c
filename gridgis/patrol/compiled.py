"""Compiled loops, where numba (the extra ``fast``) is installed; the same functions run without it, slower."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any


@cache
def compile_loop(loop: Callable[..., Any]) -> Callable[..., Any] | None:
    """`loop` compiled, or None without numba. The machine code is kept on disk where that can be written."""
    if importlib.util.find_spec("numba") is None:
        return None
    import numba

    try:
        compiled: Callable[..., Any] = numba.njit(cache=True)(loop)
    except RuntimeError:  # no folder to keep the machine code in
        compiled = numba.njit(loop)
    return compiled
