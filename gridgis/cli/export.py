"""gridgis export: a layer of a store, or of one of its plans, to a file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gridgis.cli import options

if TYPE_CHECKING:
    import pandas as pd

    from gridgis.store import Store
    from gridgis.store.personal import Personal

#: The layers of a plan.
_OF_PLAN = ("grid", "block", "border", "lineage")


@click.command("export")
@click.argument("store")
@click.argument("layer")
@click.option("--plan", type=int, metavar="N", help="某一方案的图层 a layer of the plan of this number")
@click.option(
    "--at",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="某日有效的方案 of the plan that holds on a day, past or to come",
)
@click.option("--by", metavar="NAME", help="谁看，记入日志 who looks, for the audit log; by default your login")
@click.option("--purpose", default="export", show_default=True, help="为什么看，记入日志 what personal rows are for")
@options.output
def command(
    store: str, layer: str, plan: int | None, at: datetime | None, by: str | None, purpose: str, output: Path
) -> None:
    """把库中的图层写成文件；图层名不对时列出全部图层。看居民和轨迹的数据会记入日志。

    Write a layer of a store to a file, by its name or its plural: grid, grids, block, house, staff … With --plan or
    --at it is a layer of one plan: grid, block, border, or lineage (where ground came from). fixes are the tracks. A
    look at tracks and at rows of residents is noted in the audit log, with its purpose; of a store that can only be
    read they are not given out.
    """
    from gridgis.files import write
    from gridgis.store import open_store
    from gridgis.store.audit import login
    from gridgis.store.personal import Personal

    if plan is not None and at is not None:
        raise click.UsageError("--plan and --at exclude each other")
    with open_store(store) as opened:
        name = {"boundaries": "boundary"}.get(layer, layer)
        if plan is None and at is None:
            name, frame = _of_store(Personal(opened, by or login()), opened, name, layer, purpose)
        else:
            name, frame = _of_plan(opened, name, plan, at)
    write(frame, output)
    click.echo(f"{name}: {len(frame)}")
    options.echo_written(output)


def _of_store(personal: Personal, store: Store, name: str, asked: str, purpose: str) -> tuple[str, pd.DataFrame]:
    from gridgis.errors import NotFoundError

    if name in ("fix", "fixes", "tracks"):
        return "fix", personal.tracks(purpose=purpose)
    counts = store.tables()
    name = name if name in counts else name.removesuffix("s")
    if not counts.get(name):
        kept = ", ".join(sorted(table for table, n in counts.items() if n))
        raise NotFoundError("the store holds no such layer", source=store.name, found=asked, wanted=kept)
    return name, personal.load(name, purpose=purpose)


def _of_plan(store: Store, asked: str, plan: int | None, at: datetime | None) -> tuple[str, pd.DataFrame]:
    from gridgis.errors import NotFoundError
    from gridgis.store.plans import Plans

    name = asked if asked in _OF_PLAN else asked.removesuffix("s")
    if name not in _OF_PLAN:
        raise NotFoundError("a plan has no such layer", source=store.name, found=asked, wanted=", ".join(_OF_PLAN))
    plans = Plans(store)
    if at is not None:
        version = plans.at(at.date())
        if version is None:
            begins = [v.valid_from for v in plans.listed() if v.state in ("published", "archived")]
            first = f"published plans from {min(b for b in begins if b)}" if any(begins) else "no published plan"
            raise NotFoundError("no plan holds on this day", source=store.name, found=f"{at:%Y-%m-%d}", wanted=first)
        plan = version.id
    made, borders, version = plans.load(plan or 0)
    click.echo(f"方案 plan {version.id}: {version.title} ({version.state}, {version.valid_from} – {version.valid_to})")
    if name == "lineage":
        return name, plans.lineage(version.id)
    return name, {"grid": made.grids, "block": made.blocks, "border": borders}[name]
