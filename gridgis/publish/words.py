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
#: The letter of each kind of defect on a map.
LETTERS: dict[str, str] = {
    "overlap": "O",
    "gap": "G",
    "uncovered": "U",
    "outside": "X",
    "contained": "C",
    "duplicate": "D",
    "invalid_ring": "R",
    "empty": "E",
    "multipart": "M",
    "sliver": "S",
    "unmatched_edge": "V",
    "duplicate_code": "K",
    "missing_code": "L",
    "nesting": "N",
}
#: What mends each kind of defect.
MENDS: Words = {
    "overlap": ("重叠处只划给其中一个网格", "give the ground to one of the grids"),
    "gap": ("划给相邻的网格；若是湖泊等，列为已知空洞", "give it to a grid beside it, or list it as a known hole"),
    "uncovered": ("划给相邻的网格", "give it to a grid beside it"),
    "outside": ("沿范围线裁去", "cut it along the boundary"),
    "contained": ("从外面的网格中挖去，或删去里面的", "cut it out of the outer grid, or delete the inner one"),
    "duplicate": ("只保留一个", "keep one of them"),
    "invalid_ring": ("改正自相交的边线", "mend the ring where it crosses or touches itself"),
    "empty": ("补画图形，或删去该行", "draw it, or delete the row"),
    "multipart": (
        "小块并入相邻网格；大块另立网格或予以确认",
        "give a small part to a grid beside it; confirm a big one",
    ),
    "sliver": ("并入相邻的网格", "merge it into a grid beside it"),
    "unmatched_edge": ("在边上补上顶点", "add the vertex to the edge"),
    "duplicate_code": ("每个网格各用一个编码", "give each grid its own code"),
    "missing_code": ("补上编码", "give it a code"),
    "nesting": ("沿上级边界改划，或改正上级编码", "follow the parent's border, or correct the parent's code"),
}
#: The parameters of a verdict.
PARAMETERS: Words = {
    "min_area_m2": ("面积容差 m²", "area tolerance m²"),
    "min_width_m": ("宽度容差 m", "width tolerance m"),
    "inlet_width_m": ("缝口宽度 m", "inlet width m"),
    "seam_m": ("接头容差 m", "seam tolerance m"),
    "code": ("编码列", "column of codes"),
    "parent": ("上级列", "column of parents"),
    "mode": ("方式", "mode"),
    "boundary": ("范围", "boundary"),
    "holes": ("已知空洞", "known holes"),
    "noise_m": ("视为同一点的距离 m", "distance taken as one place m"),
    "sliver_m": ("碎屑宽度 m", "sliver width m"),
    "sliver_compactness": ("碎屑紧凑度", "sliver compactness"),
    "inlet_compactness": ("缝口紧凑度", "inlet compactness"),
    "parents": ("上级取自", "parents from"),
    "seam_reach_m": ("接头查找距离 m", "seam reach m"),
    "seam_ahead_deg": ("接头朝向 °", "seam ahead °"),
    "doubled_m": ("视为重复的间距 m", "doubled within m"),
    "doubled_length_m": ("重复长度 m", "doubled length m"),
    "on_street_m": ("视为在街道上的距离 m", "on the street within m"),
    "measured_in": ("量算坐标系", "measured in"),
    "strict": ("提示也算错误", "warnings count as errors"),
}
#: Values of parameters that are words.
VALUES: Words = {
    "own outline": ("网格自身外廓", "own outline"),
    "given": ("另行给定", "given"),
    "base": ("基础网格", "base grids"),
    "the level above; the highest one's own outline": (
        "上一级；最高一级为自身外廓",
        "the level above; the highest one's own outline",
    ),
    "partition": ("分区（不重不漏）", "partition"),
    "overlay": ("叠加", "overlay"),
}
#: Names of levels that have none of their own.
LEVELS: Words = {
    "grids": ("网格", "grids"),
    "segments": ("路段", "segments"),
    **{f"level {n}": (f"第 {n} 级", f"level {n}") for n in range(1, 10)},
}
#: The columns of a repair's log.
LOG: Words = {
    "code": ("网格", "grid"),
    "area_before_m2": ("原面积 m²", "area before m²"),
    "area_after_m2": ("现面积 m²", "area after m²"),
    "gained_m2": ("增加 m²", "gained m²"),
    "lost_m2": ("减少 m²", "lost m²"),
    "gained_from": ("来自", "gained from"),
    "lost_to": ("划给", "lost to"),
    "vertices_added": ("增顶点", "new vertices"),
    "vertices_removed": ("减顶点", "vertices gone"),
    "farthest_move_m": ("最远移动 m", "farthest move m"),
    "ring_mended": ("环已改正", "ring mended"),
}
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
    "enclave": ("飞地，四周是别的社区或街坊", "enclave"),
    "cut off by a barrier": ("被不可跨越的界线隔开", "cut off by a barrier"),
    "cut off by locked grids": ("被锁定的网格隔开", "cut off by locked grids"),
    "community mean": ("受社区总户数所限", "community mean"),
    "chosen mean": ("受所选网格总户数所限", "chosen mean"),
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
