"""The words of a report: Chinese first, English beside it. What is not listed stands for itself."""

from __future__ import annotations

Words = dict[str, tuple[str, str]]

DEFECTS: Words = {
    "overlap": ("重叠", "overlap"),
    "gap": ("缝隙", "gap"),
    "uncovered": ("未覆盖", "uncovered"),
    "outside": ("越界", "outside"),
    "contained": ("包含", "contained"),
    "duplicate": ("重复", "duplicate"),
    "invalid_ring": ("无效边线", "invalid ring"),
    "empty": ("空图形", "empty"),
    "multipart": ("不连片", "multipart"),
    "sliver": ("碎屑", "sliver"),
    "unmatched_edge": ("边线不合", "unmatched edge"),
    "duplicate_code": ("编码重复", "duplicate code"),
    "missing_code": ("缺编码", "missing code"),
    "nesting": ("层级不符", "nesting"),
}
SEVERITIES: Words = {"error": ("错误", "error"), "warning": ("提示", "warning")}
RESULTS: Words = {
    "kept": ("达标", "kept"),
    "missed": ("未达标", "missed"),
    "excused": ("免责", "excused"),
    "undecided": ("待定", "undecided"),
    "no data": ("无数据", "no data"),
}
#: Figures of a partition's summary, in the order of the report.
PARTITION: Words = {
    "grids": ("网格数", "grids"),
    "norm": ("标准户数", "norm"),
    "off_norm": ("超出标准", "off norm"),
    "bound_off_norm": ("至少无法避免", "unavoidable at least"),
    "max_deviation": ("最大偏差", "largest deviation"),
    "mean_deviation": ("平均偏差", "mean deviation"),
    "compactness": ("紧凑度", "compactness"),
    "road_share": ("沿路边界占比", "border on strong barriers"),
}
COMPOUNDS: Words = {"mixed": ("杂居", "mixed"), "managed": ("物业", "managed"), "rural": ("农村", "rural")}
#: Why a grid is off its norm.
REASONS: Words = {
    "locked": ("已锁定", "locked"),
    "no households": ("无住户", "no households"),
    "indivisible block": ("街坊不可再分", "indivisible block"),
    "isolated": ("与本社区其他地块不相连", "isolated"),
    "community mean": ("受社区总户数所限", "community mean"),
    "no better cut found": ("未找到更优划分", "no better cut found"),
}
#: The links of the chain, each with a total and what of it is complete.
LINKS: Words = {
    "person_house": ("人 → 房屋", "person → house"),
    "house_building": ("房屋 → 楼栋", "house → building"),
    "building_grid": ("楼栋 → 网格", "building → grid"),
    "house_grid": ("房屋 → 网格", "house → grid"),
    "grid_map": ("网格 → 地图", "grid → map"),
    "person_grid": ("人 → 网格（全链）", "person → grid (all links)"),
    "household_grid": ("户 → 网格（全链）", "household → grid (all links)"),
}
#: What is told of a link besides, and how its rows were decided.
DETAILS: Words = {
    "wrong_code": ("所填房屋编码不存在", "given house does not exist"),
    "other_than_building": ("与楼栋网格不同", "other grid than the building"),
    "inside": ("在网格内", "inside"),
    "border": ("在边界上", "on a border"),
    "nearest": ("就近", "nearest"),
    "code": ("按编码", "by code"),
    "address": ("按地址", "by address"),
    "building": ("按楼栋", "by building"),
    "ambiguous": ("有多个可能", "ambiguous"),
    "none": ("未找到", "none"),
}


def pair(words: Words, value: object) -> tuple[str, str]:
    """The Chinese and the English word for `value`; a value without them stands for itself once.

    Examples
    --------
    >>> pair(RESULTS, "kept"), pair(RESULTS, "R3-01")
    (('达标', 'kept'), ('R3-01', ''))
    """
    text = "" if value is None else str(value)
    return words.get(text, (text, ""))
