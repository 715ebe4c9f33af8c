"""gridgis validate: do the grids tile the ground, at every level?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import geopandas as gpd

from gridgis.cli import options
from gridgis.errors import GeometryError, InputError, SchemaError

_SHOWN = 30
_SEVERITIES = {"error": "错误 error", "warning": "提示 warning"}
#: A grid with this share of its ground in one area fits: the rest is how files round.
_FITS = 1 - 1e-9


@click.command("validate")
@click.argument("grids", nargs=-1, required=True, metavar="GRIDS")
@click.option("--boundary", help="范围 the ground to be covered; by default the outer rings of the grids' own union")
@click.option("--code", "code", metavar="COL", help="编码列 the column with each grid's code")
@click.option(
    "--parents", multiple=True, metavar="FILE", help="上级，由近到远 a level above, from the next one upwards"
)
@click.option("--parent", metavar="COL", help="所属上级列 the column that names each grid's parent [parent]")
@click.option(
    "--mode", type=click.Choice(["partition", "overlay"]), default="partition", show_default=True,
    help="铺满，或允许重叠的专业网格 overlay: areas that may overlap",
)  # fmt: skip
@click.option("--base", metavar="FILE", help="专业网格之下的网格 the grids under an overlay")
@click.option("--segments", metavar="FILE", help="责任路段 responsibility segments: their ends must meet")
@click.option("--streets", metavar="FILE", help="街道 the streets that the segments are to cover")
@click.option("--seam", type=click.FloatRange(min=0), help="米 m: ends of segments nearer than this meet")
@click.option("--min-area", type=click.FloatRange(min=0), default=1e-6, show_default=True, help="平方米 m²")
@click.option("--min-width", type=click.FloatRange(min=0), default=0.0, show_default=True, help="米 m")
@click.option(
    "--inlet-width", type=click.FloatRange(min=0), default=0.0, show_default=True,
    help="米 m: without a boundary, strips open to the outside and narrower than this are gaps",
)  # fmt: skip
@click.option("--holes", metavar="FILE", help="已知的空洞（湖、飞地） known holes: no gap")
@click.option("--strict", is_flag=True, help="警告也算错误 warnings count as errors")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="网页报告 a page with a map of the defects"
)
@options.output_or_none
@options.as_json
@options.reading
def command(
    grids: Sequence[str],
    boundary: str | None,
    code: str | None,
    parents: Sequence[str],
    base: str | None,
    segments: str | None,
    streets: str | None,
    seam: float | None,
    holes: str | None,
    strict: bool,
    html: Path | None,
    output: Path | None,
    as_json: bool,
    crs: str | None,
    datum: str | None,
    renames: Sequence[str],
    **settings: Any,
) -> int:
    """检查网格是否铺满范围、互不重叠、各级相套。有错误时退出码为 1。

    Check that grids tile the ground: no gap, no overlap, and levels that nest. Several files of GRIDS that tile the
    ground together are checked together. A defect is reported when it exceeds both --min-area and --min-width. Exit
    code 1 when there are errors.
    """
    from gridgis.files import write, write_text
    from gridgis.plan.validate import validate, verdict

    check_folder(html)
    check_outputs([output, html], [*grids, boundary, *parents, base, segments, streets, holes])
    table, column = _read_together(grids, code, crs=crs, datum=datum, rename=options.renaming(renames))
    ground = read_ground(boundary, "boundary", crs, near=table)
    given = {
        **read_parents(parents, crs, code=column, parent=settings["parent"], near=table),
        "base": None if base is None else _beside(read_grids(base, None, crs=crs)[0], table, base),
        "segments": _read_lines(segments, "segment", crs),
        "streets": _read_lines(streets, "barrier", crs),
        "holes": read_ground(holes, "boundary", crs),
        **({} if seam is None else {"seam": seam}),
    }
    defects = validate(table, ground, code=column, **given, **settings)
    result = verdict(defects, strict=strict)
    page = None if html is None else page_of(result, defects, table, ground, grids)
    if output is not None:
        write(defects, output)
        options.echo_written(output)
    if html is not None and page is not None:
        write_text(page, html)
        options.echo_written(html)
    if as_json:
        options.echo_json(result)
    else:
        echo_verdict(result)
    return 0 if result["valid"] else 1


# --- reading ----------------------------------------------------------------------------------------------------------


def check_folder(path: Path | None) -> None:
    """Raise before anything is written where the page cannot be."""
    if path is not None and not path.absolute().parent.is_dir():
        raise InputError("the folder does not exist", source=path, remedy="Make it first, or write somewhere else.")


def check_outputs(outputs: Sequence[Path | None], specs: Sequence[str | None]) -> None:
    """Raise before anything is written where an output would take the place of an input."""
    from gridgis.files.vectors import parse_spec

    given = {parse_spec(spec).path.resolve() for spec in specs if spec is not None}
    for path in outputs:
        if path is not None and path.resolve() in given:
            raise InputError("the output is an input too", source=path, remedy="Write to another file.")


def _read_together(specs: Sequence[str], code: str | None, **how: Any) -> tuple[gpd.GeoDataFrame, str | None]:
    """The grids of all files as one table in the CRS of the first, and the column of their codes."""
    import pandas as pd

    read = [read_grids(spec, code, **how) for spec in specs]
    if len(read) == 1:
        return read[0]
    columns = {column for _, column in read}
    if len(columns) > 1:
        raise SchemaError(
            "files to be checked together must all have codes, or none",
            ids=[],
            found=", ".join(f"{spec}: {column or 'no code'}" for spec, (_, column) in zip(specs, read, strict=True)),
            remedy="Name the column with --code, or rename it with --map theirs=ours.",
        )
    first = read[0][0].crs
    frames = [frame if frame.crs == first else frame.to_crs(first) for frame, _ in read]
    frames = [f if f.geometry.name == "geometry" else f.rename_geometry("geometry") for f in frames]
    return gpd.GeoDataFrame(pd.concat(frames, ignore_index=True), crs=first), columns.pop()


def read_grids(spec: str, code: str | None, **how: Any) -> tuple[gpd.GeoDataFrame, str | None]:
    """The grids as they are, faults and all, and the column of their codes (None: rows are numbered)."""
    from gridgis.crs import require_crs

    frame = _read_any(spec, "grid" if code is None else None, **how)
    require_crs(frame, spec)
    if code is not None and code not in frame.columns:
        raise SchemaError(
            f"there is no column {code!r}",
            source=spec,
            found=", ".join(str(c) for c in frame.columns if c != "geometry"),
        )
    if code is None:
        code = "code" if "code" in frame.columns else None
    _check_polygons(frame, code, spec)
    return frame, code


def _check_polygons(frame: gpd.GeoDataFrame, code: str | None, spec: str) -> None:
    """Raise where there are no rows, or rows with lines or points; missing geometry is a defect."""
    from gridgis.schema import ids_of

    if len(frame) == 0:
        raise SchemaError("there are no grids", source=spec, wanted="at least one row")
    wrong = (frame.geom_type.notna() & ~frame.geom_type.isin(["Polygon", "MultiPolygon"])).to_numpy()
    if wrong.any():
        raise GeometryError(
            "geometry of the wrong type",
            source=spec,
            ids=ids_of(frame, wrong, code),
            found=", ".join(sorted(set(frame.geom_type[wrong]))),
            wanted="polygons",
        )


def _beside(frame: gpd.GeoDataFrame, grids: gpd.GeoDataFrame, spec: str) -> gpd.GeoDataFrame:
    """`frame`, or an error where nothing of it can lie at the grids: their boxes are apart."""
    import numpy as np

    theirs, ours = frame.to_crs(grids.crs).total_bounds, grids.total_bounds
    if np.isfinite([*theirs, *ours]).all() and ((theirs[:2] > ours[2:]) | (theirs[2:] < ours[:2])).any():
        raise InputError(
            "it lies elsewhere than the grids",
            source=spec,
            found=f"from {theirs[0]:.6g}, {theirs[1]:.6g} to {theirs[2]:.6g}, {theirs[3]:.6g}",
            wanted=f"something between {ours[0]:.6g}, {ours[1]:.6g} and {ours[2]:.6g}, {ours[3]:.6g}, as the grids are",
            remedy="Check the CRS of both files, and that they are of one place.",
        )
    return frame


def _read_any(spec: str, table: str | None, **how: Any) -> gpd.GeoDataFrame:
    """A table of polygons as it is, with the headers of `table`; of a plan the grids, where no layer is named."""
    from gridgis.files import list_layers, read
    from gridgis.schema import rename_headers

    layer = "grids" if "grids" in list_layers(spec) else None
    frame = options.need_place(read(spec, layer=layer, **how), spec)
    return frame if table is None else options.need_place(rename_headers(frame, table, source=spec), spec)


def read_ground(
    spec: str | None, table: str, crs: str | None, near: gpd.GeoDataFrame | None = None
) -> gpd.GeoDataFrame | None:
    """A boundary, or what is read like one; it must lie at the grids `near`, where they are given."""
    frame = options.read_optional(spec, table, crs=crs)
    if frame is None:
        return None
    place = options.need_place(frame, str(spec))
    return place if near is None else _beside(place, near, str(spec))


def _read_lines(spec: str | None, table: str, crs: str | None) -> gpd.GeoDataFrame | None:
    """Lines as they are: codes and classes may be missing."""
    if spec is None:
        return None
    frame = _read_any(spec, table, crs=crs)
    wrong = set(frame.geom_type.dropna()) - {"LineString", "MultiLineString", "LinearRing"}
    if wrong:
        raise InputError("geometry of the wrong type", source=spec, found=", ".join(sorted(wrong)), wanted="lines")
    return frame


def read_parents(
    specs: Sequence[str], crs: str | None, *, code: str | None, parent: str | None, near: gpd.GeoDataFrame
) -> dict[str, Any]:
    """`parents` and `level_names`: each level is called after its file or layer, and its level where it has several.

    `code` and `parent` are the columns of the grids' codes and parents, `near` the grids.
    """
    from gridgis.files.vectors import parse_spec
    from gridgis.plan.checking.levels import by_level, code_column

    if not specs:
        return {}
    tables: dict[str, gpd.GeoDataFrame] = {}
    for spec in specs:
        there = parse_spec(spec)
        stem = there.layer or there.path.stem
        units = _read_any(spec, "unit", crs=crs)
        _check_polygons(units, code_column(units, spec, code, parent), spec)
        pairs = by_level(_beside(units, near, spec), spec)
        for name, frame in pairs:
            own = stem if len(pairs) == 1 else f"{stem} {name}"
            taken = {"grids", "segments", *tables}
            free = (f"{own} {n}" for n in range(2, len(taken) + 3))
            tables[own if own not in taken else next(n for n in free if n not in taken)] = frame
    return {"parents": list(tables.values()), "level_names": list(tables)}


# --- showing ----------------------------------------------------------------------------------------------------------


def page_of(
    result: dict[str, Any], defects: Any, table: Any, ground: Any, specs: Sequence[str], log: Any = None
) -> str:
    """The defects as a page, titled by the files."""
    from gridgis.publish.defect_report import defects_report

    title = "、".join(dict.fromkeys(Path(spec.partition("#")[0]).name for spec in specs))
    made = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
    return defects_report(result, defects, table, ground, title=title, made=made, log=log)


def echo_verdict(result: Mapping[str, Any]) -> None:
    """Print the verdict of each level, the tolerances, the counts, the first defects and the worst misfits."""
    click.echo(f"{_verdict_of(result)}: {result['checked']} 个网格 grids checked")
    for name, level in result["levels"].items():
        counts = _counts(level["counts"])
        click.echo(f"  {name}: {_verdict_of(level)}, {level['checked']} checked{f'; {counts}' if counts else ''}")
    click.echo(f"容差 tolerances: {_tolerances(result['parameters'])}")
    if result["defects"]:
        click.echo(f"缺陷 defects: {_counts(result['counts'])}")
        _echo_defects(result["defects"], levels=bool(result["levels"]))
    if result["misfit"]:
        _echo_misfit(result["misfit"])
    click.echo(f"参数 parameters: {result['parameters']}")


def _verdict_of(result: Mapping[str, Any]) -> str:
    return "通过 valid" if result["valid"] else "不通过 not valid"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {n}" for kind, n in counts.items() if n)


def _tolerances(parameters: Mapping[str, Any]) -> str:
    parts = [f"> {parameters['min_area_m2']:g} m², > {parameters['min_width_m']:g} m"]
    if parameters["inlet_width_m"]:
        parts.append(f"缝隙 inlets < {parameters['inlet_width_m']:g} m")
    if "seam_m" in parameters:
        parts.append(f"接头 seams > {parameters['seam_m']:g} m")
    return "; ".join(parts)


def _echo_defects(defects: Sequence[Mapping[str, Any]], *, levels: bool) -> None:
    """A table for each severity; the rows shown are shared out in their order."""
    left = _SHOWN
    columns = ["类型 kind", *(["级别 level"] if levels else []), "说明 message"]
    for severity, title in _SEVERITIES.items():
        there = [d for d in defects if d["severity"] == severity]
        shown = there[:left]
        left -= len(shown)
        if shown:
            rows = [(d["kind"], *([d["level"]] if levels else []), d["message"]) for d in shown]
            options.echo_table(f"{title}: {len(there)}", columns, rows)
    if len(defects) > _SHOWN:
        click.echo(f"… 共 in all {len(defects)}; -o FILE 可全部写出 writes them all")


def _echo_misfit(rows: Sequence[Mapping[str, Any]]) -> None:
    """The grids that no area covers wholly, and what areas have beyond them."""
    split = [row for row in rows if row["overlay"] is None or row["grid_share"] is None or row["grid_share"] < _FITS]
    click.echo(f"套合 misfit: {len(split)} / {len(rows)}")
    columns = ["网格 grid", "专业网格 overlay", "m²", "占网格 of the grid", "占专业网格 of the overlay"]
    if split:
        options.echo_table("", columns, _misfit_cells(split[:_SHOWN]))
    if len(split) > _SHOWN:
        click.echo("… 其余见 the rest: --json")


def _misfit_cells(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        shares = (row["grid_share"], row["overlay_share"])
        told = ("—" if share is None else f"{100 * share:.1f} %" for share in shares)
        yield row["grid"] or "—", row["overlay"] or "—", f"{row['area_m2']:,.1f}", *told
