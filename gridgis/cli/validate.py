"""gridgis validate: do the grids tile the ground?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gridgis.cli import options

_SHOWN = 30
_SEVERITIES = {"error": "错误 error", "warning": "提示 warning"}


@click.command("validate")
@click.argument("grids")
@click.option("--boundary", help="范围 the ground to be covered; by default the outer rings of the grids' own union")
@click.option("--code", "code", metavar="COL", help="编码列 the column with each grid's code")
@click.option("--min-area", type=click.FloatRange(min=0), default=1e-6, show_default=True, help="平方米 m²")
@click.option("--min-width", type=click.FloatRange(min=0), default=0.0, show_default=True, help="米 m")
@click.option("--strict", is_flag=True, help="警告也算错误 warnings count as errors")
@options.output_or_none
@options.as_json
@options.reading
def command(
    grids: str,
    boundary: str | None,
    code: str | None,
    min_area: float,
    min_width: float,
    strict: bool,
    output: Path | None,
    as_json: bool,
    crs: str | None,
    datum: str | None,
    renames: Sequence[str],
) -> int:
    """检查网格是否铺满范围、互不重叠。有错误时退出码为 1。

    Check that grids tile the ground: no gap, no overlap. A defect is reported when it exceeds both --min-area and
    --min-width. Exit code 1 when there are errors.
    """
    from gridgis.files import write
    from gridgis.plan.validate import validate, verdict

    table, column = _read_grids(grids, code, crs=crs, datum=datum, rename=options.renaming(renames))
    ground = options.read_optional(boundary, "boundary", crs=crs)
    defects = validate(
        table,
        None if ground is None else options.need_place(ground, str(boundary)),
        code=column,
        min_area=min_area,
        min_width=min_width,
    )
    result = verdict(defects, strict=strict)
    if output is not None:
        write(defects, output)
        options.echo_written(output)
    if as_json:
        options.echo_json(result)
    else:
        echo_verdict(result)
    return 0 if result["valid"] else 1


def _read_grids(spec: str, code: str | None, **how: Any) -> tuple[Any, str | None]:
    """The grids as they are, faults and all, and the column of their codes (None: rows are numbered)."""
    from gridgis.errors import SchemaError
    from gridgis.files import list_layers, read
    from gridgis.schema import rename_headers

    layer = "grids" if "grids" in list_layers(spec) else None  # of a plan, where no layer is named
    frame = options.need_place(read(spec, layer=layer, **how), spec)
    if code is not None and code not in frame.columns:
        raise SchemaError(
            f"there is no column {code!r}",
            source=spec,
            found=", ".join(str(c) for c in frame.columns if c != "geometry"),
        )
    if code is None:
        frame = options.need_place(rename_headers(frame, "grid", source=spec), spec)
        code = "code" if "code" in frame.columns else None
    return frame, code


def echo_verdict(result: dict[str, Any]) -> None:
    """Print the verdict, the counts and the first defects."""
    click.echo(f"{'通过 valid' if result['valid'] else '不通过 not valid'}: {result['checked']} 个网格 grids checked")
    if result["defects"]:
        counts = ", ".join(f"{kind} {n}" for kind, n in result["counts"].items() if n)
        click.echo(f"缺陷 defects: {counts}")
        rows = [(_SEVERITIES[d["severity"]], d["kind"], d["message"]) for d in result["defects"][:_SHOWN]]
        options.echo_table("", ["级别 severity", "类型 kind", "说明 message"], rows)
        if len(result["defects"]) > _SHOWN:
            click.echo(f"… 共 in all {len(result['defects'])}; -o FILE 可全部写出 writes them all")
    click.echo(f"参数 parameters: {result['parameters']}")
