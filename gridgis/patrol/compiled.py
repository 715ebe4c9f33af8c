"""Compiled loops, where numba (the extra ``fast``) is installed; the same functions run without it, slower."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

#: What the compiler may assume of a quick loop: no NaN, no signed zero, and sums in any order.
_QUICK = {"nnan", "nsz", "reassoc", "contract", "arcp"}


@cache
def compile_loop(loop: Callable[..., Any], quick: bool = False) -> Callable[..., Any] | None:
    """`loop` compiled, or None without numba. The machine code is kept on disk where that can be written.

    A `quick` loop may round differently in the last digits, which lets the processor take several numbers at a time.
    """
    if importlib.util.find_spec("numba") is None:
        return None
    import numba

    how: dict[str, Any] = {"fastmath": _QUICK} if quick else {}
    try:
        compiled: Callable[..., Any] = numba.njit(cache=True, **how)(loop)
    except RuntimeError:  # no folder to keep the machine code in
        compiled = numba.njit(**how)(loop)
    return compiled
