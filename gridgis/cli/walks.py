"""What ``gridgis patrol`` tells about the tracks themselves: suspicions, stays, shifted datums, what was set aside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pandas as pd

from gridgis.cli import options
from gridgis.errors import name_ids

#: The kinds of suspicion in both languages.
_KINDS = {
    "same track": "轨迹重复 same track", "vehicle": "车速 vehicle", "still": "静置 still",
    "straight line": "笔直 straight line", "two places": "同时两地 two places", "future time": "未来时间 future time",
    "wrong clock": "时钟不对 wrong clock",
}  # fmt: skip


def write_beside(tables: Mapping[str, pd.DataFrame | None], output: Path) -> list[Path]:
    """Each table that has rows as NAME.<table>.EXT beside `output`."""
    from gridgis.files import write

    written = []
    for name, table in tables.items():
        if table is not None and len(table):
            path = output.with_name(f"{output.stem}.{name}{output.suffix}")
            write(table, path)
            written.append(path)
    return written


def echo_walks(walked: Mapping[str, Any]) -> None:
    """The cleaning in one line, and a table of what is odd."""
    fixes, odd = walked["fixes"], walked["suspicions"]
    dropped = {reason: n for reason, n in fixes.attrs["dropped"].items() if n}
    click.echo(f"清洗 cleaning: {fixes.attrs['counts']}  未用 set aside: {dropped}")
    if len(odd):
        rows = [
            (r["staff"], _day(r["date"]), _KINDS[r["kind"]], _other(r), f"{r['measure']:.4g} {r['unit']}", r["detail"])
            for r in odd.to_dict("records")
        ]
        options.echo_table(
            "待核实（并非结论） to be asked about, no verdict",
            ["人员 staff", "日期 date", "可疑 kind", "与 other", "量 measure", "说明 detail"],
            rows,
        )


def echo_rejects(rejects: pd.DataFrame) -> None:
    """What was set aside, by reason, on stderr."""
    for (table, reason), rows in rejects.groupby(["table", "reason"], sort=False):
        named = f" ({name_ids(rows['id'])})" if table != "tracks" else ""
        click.echo(f"未用 set aside: {table}, {len(rows)}{named}: {reason}", err=True)


def _day(value: Any) -> str:
    return "" if pd.isna(value) else f"{value:%Y-%m-%d}"


def _other(row: Mapping[str, Any]) -> str:
    return "" if row["other"] is None else f"{row['other']} {_day(row['other_date'])}"
