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
    "bound_off_norm": ("其中无法避免", "of these unavoidable"),
    "max_deviation": ("最大偏差", "largest deviation"),
    "mean_deviation": ("平均偏差", "mean deviation"),
    "compactness": ("紧凑度", "compactness"),
    "road_share": ("沿路边界占比", "border on strong barriers"),
}
#: What the chain counts; a figure inside another is named by both words.
CHAIN: Words = {
    "persons": ("人员", "persons"),
    "person": ("人员", "person"),
    "household": ("户", "household"),
    "house": ("房屋", "house"),
    "building": ("楼栋", "building"),
    "grid": ("网格", "grid"),
    "households": ("户", "households"),
    "houses": ("房屋", "houses"),
    "buildings": ("楼栋", "buildings"),
    "grids": ("网格", "grids"),
    "breaks": ("断链", "breaks"),
    "complete": ("全链完整", "complete"),
    "estimated": ("其中估算", "estimated"),
    "total": ("合计", "total"),
    "linked": ("已关联", "linked"),
    "broken": ("断链", "broken"),
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
