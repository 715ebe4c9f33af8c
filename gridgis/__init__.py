"""gridgis: draw, check, assign, patrol and publish the grids (网格) of a sub-district.

The front door. Each name is loaded when it is first used, so that ``import gridgis`` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_ROOMS = {
    "read": "gridgis.files",
    "write": "gridgis.files",
    "make_blocks": "gridgis.plan.blocks",
    "partition": "gridgis.plan.partition",
    "validate": "gridgis.plan.validate",
    "repair": "gridgis.plan.repair",
    "describe": "gridgis.plan.bounds",
    "GridLocator": "gridgis.locate",
    "assign_houses": "gridgis.assign.houses",
    "assign_buildings": "gridgis.assign.buildings",
    "assign_persons": "gridgis.assign.persons",
    "clean_tracks": "gridgis.patrol.tracks",
    "patrol_coverage": "gridgis.patrol.coverage",
    "patrols": "gridgis.patrol.tracks",
    "check_compliance": "gridgis.compliance",
    "plot_calendar": "gridgis.publish.plots",
    "plot_coverage": "gridgis.publish.plots",
    "plot_minimum": "gridgis.publish.plots",
    "Profile": "gridgis.profile",
    "draw_plan": "gridgis.publish.pictures",
    "open_store": "gridgis.store",
}

__all__ = ["__version__", *_ROOMS]  # noqa: PLE0604  the keys are names


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'gridgis' has no attribute {name!r}; it has {', '.join(sorted(_ROOMS))}")
    return getattr(import_module(_ROOMS[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS])
