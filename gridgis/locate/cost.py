"""When the table of cells pays: seconds as measured (benchmarks/locate.py), of which only the ratios matter."""

from __future__ import annotations

#: s. A point asked by bins and prepared grids; and the grids it is asked of.
_BINNED, _ASKED = 0.19e-6, 1.5
#: s. A vertex of a grid asked: each question, or once preparing it.
_ASKED_VERTEX, _PREPARED_VERTEX = 3.5e-9, 0.145e-6
#: s. A point looked up in the table, and the same compiled.
_TABLE, _COMPILED = 0.04e-6, 0.015e-6
#: s. Building the table: a call, and a vertex.
_BUILD, _BUILD_VERTEX = 0.02, 0.7e-6
#: With fewer points the table never pays, whatever the grids: a vertex costs more in it than in bins.
LEAST_POINTS = int(_BUILD / (_BINNED - _TABLE))
#: s. Loading numba and its machine code.
_START = 1.5


def table_pays(points: int, grids: int, vertices: int) -> bool:
    """Whether building the table costs less than what it saves on so many points.

    Parameters
    ----------
    points : int
        Points expected, or asked so far: then no more than twice the least is spent, whatever comes.
    grids, vertices : int
        Rows, and vertices of all rows together.

    Examples
    --------
    >>> table_pays(1_000, 300, 50_000), table_pays(10_000_000, 3_000, 540_000)
    (False, True)
    """
    if grids == 0:
        return False
    asked = points * _ASKED / grids  # questions a grid
    binned = points * _BINNED + vertices * min(_ASKED_VERTEX * asked, _PREPARED_VERTEX)
    return binned > points * _TABLE + _BUILD + _BUILD_VERTEX * vertices


def compiling_pays(points: int, *, loaded: bool) -> bool:
    """Whether the compiled loop saves its start, which is none where numba is `loaded` already.

    Examples
    --------
    >>> compiling_pays(1_000_000, loaded=False), compiling_pays(1_000_000, loaded=True)
    (False, True)
    """
    return points * (_TABLE - _COMPILED) > (0.0 if loaded else _START)
