"""The words of rules and their results: Chinese first, English beside it. What is not listed stands for itself."""

from __future__ import annotations

import re
from typing import Any

from gridgis.publish.words import Words, pair
from gridgis.rules import Rule

METRICS: Words = {
    "patrols": ("巡查次数", "patrols"),
    "patrols_each_half_day": ("上下午各巡查次数", "patrols each half day"),
    "grid_visits": ("到网格次数", "visits of the grid"),
    "patrol_hours": ("巡查时长", "hours on patrol"),
    "inside_km": ("网格内里程", "kilometres inside the grid"),
    "patrol_coverage": ("巡查覆盖率", "patrol coverage"),
    "building_rounds": ("楼栋巡遍", "rounds of the buildings"),
    "courtyard_rounds": ("院落巡遍", "rounds of the courtyards"),
    "staff_on_duty": ("路段在岗人数", "staff on duty on the segment"),
    "visits": ("走访次数", "visits"),
    "home_visits": ("入户走访", "visits at home"),
    "phone_follow_ups": ("电话回访", "calls by phone"),
    "household_visit_rate": ("入户率", "share of households visited"),
    "reported_items": ("上报事项", "reported items"),
    "staff_in_group": ("队伍人数", "staff of the group"),
    "core_staff": ("骨干人数", "core staff"),
    "grid_heads": ("网格长", "grid heads"),
    "grid_workers": ("网格员", "grid workers"),
    "full_time_workers": ("专职网格员", "full-time workers"),
    "assistants": ("协管员", "assistants"),
    "information_officers": ("信息员", "information officers"),
    "volunteers": ("志愿者", "volunteers"),
    "block_heads": ("责任块长", "heads of the block"),
    "full_time_patrol_staff": ("路段专职人员", "full-time staff of the segment"),
    "grids_served": ("任职网格数", "grids served"),
    "building_steward_coverage": ("楼栋长覆盖率", "buildings with a steward"),
    "boards": ("公示牌", "boards"),
    "complete_boards": ("公示牌完整率", "complete boards"),
    "households": ("户数", "households"),
    "persons": ("人数", "persons"),
    "grids": ("网格数", "grids"),
    "small_grids": ("小网格数", "small grids"),
    "grid_types": ("网格种类", "kinds of grids"),
    "grid_maps_drawn": ("网格图", "maps of grids"),
    "levels": ("层级数", "levels"),
    "bounds_text": ("四至", "bounds text"),
    "communities": ("所辖社区数", "communities in the grid"),
    "uncovered_area": ("未覆盖面积", "ground not covered"),
    "overlap_area": ("重叠面积", "overlapping area"),
    "gap_area": ("缝隙面积", "gaps"),
    "seam_gap": ("路段接缝", "gaps between segments"),
    "link_completeness": ("关联完整率", "complete links"),
}
SUBJECTS: Words = {
    "grid head": ("网格长", "grid head"),
    "full-time worker": ("专职网格员", "full-time worker"),
    "part-time worker": ("兼职网格员", "part-time worker"),
    "liaison": ("网格联络员", "liaison"),
    "information officer": ("信息员", "information officer"),
    "building steward": ("楼栋长", "building steward"),
    "volunteer": ("志愿者", "volunteer"),
    "staff": ("网格人员", "staff"),
    "grid": ("网格", "grid"),
    "small grid": ("小网格", "small grid"),
    "large grid": ("大网格", "large grid"),
    "extension grid": ("拓展网格", "extension grid"),
    "grid of a managed compound": ("物业小区网格", "grid of a managed compound"),
    "grid of a mixed compound": ("杂居小区网格", "grid of a mixed compound"),
    "rural grid": ("农村网格", "rural grid"),
    "grids": ("全部网格", "all grids"),
    "site": ("隐患点", "site"),
    "care address": ("走访地址", "care address"),
    "household": ("住户", "household"),
    "segment": ("责任路段", "road segment"),
    "segments": ("责任路段", "road segments"),
    "responsibility block": ("责任块", "responsibility block"),
    "responsibility blocks": ("责任块", "responsibility blocks"),
    "extension grids": ("拓展网格", "extension grids"),
    "building": ("楼栋", "building"),
    "community": ("社区", "community"),
    "sub-district": ("街道", "sub-district"),
    "chain": ("人房关联", "chain"),
}
PERIODS: Words = {
    "day": ("每日", "a day"),
    "working day": ("每工作日", "a working day"),
    "day or week": ("每周", "a week"),
    "week": ("每周", "a week"),
    "month": ("每月", "a month"),
    "quarter": ("每季度", "a quarter"),
    "half-year": ("每半年", "half a year"),
    "year": ("每年", "a year"),
    "patrol": ("每次", "a patrol"),
    "5 days": ("每 5 日", "in 5 days"),
    "campaign": ("本期", "in this time"),
    "period": ("本期", "in this time"),
    "standing": ("", ""),
    "always": ("", ""),
}
STRENGTHS: Words = {
    "must": ("必须", "must"),
    "principle": ("原则上", "principle"),
    "observed": ("仅见于实际", "observed"),
    "plan": ("计划", "plan"),
    "target": ("目标", "target"),
}
CATEGORIES: Words = {
    "public security": ("社会治安", "public security"),
    "public safety": ("公共安全", "public safety"),
    "urban management": ("城市管理", "urban management"),
    "environment": ("生态环境", "environment"),
    "livelihood service": ("民生服务", "livelihood service"),
    "general management": ("综合管理", "general management"),
    "general enforcement": ("综合执法", "general enforcement"),
    "government errands": ("政务代办", "government errands"),
}
#: The sign of each result, which can be told without its colour.
SIGNS = {"kept": "✓", "missed": "✗", "excused": "○", "undecided": "?", "no data": "–"}
LIGHTS: Words = {"green": ("绿灯", "green"), "yellow": ("黄灯", "yellow"), "red": ("红灯", "red")}
LIGHT_REASONS: Words = {
    "in time": ("按时", "in time"),
    "slow": ("办理较慢", "slow"),
    "late": ("逾期办结", "late"),
    "stuck": ("逾期未结", "stuck"),
    "no time": ("无时间", "no time"),
}
SUSPICIONS: Words = {
    "same track": ("轨迹重复", "same track"),
    "vehicle": ("车速", "speed of a vehicle"),
    "still": ("静置", "lying still"),
    "straight line": ("笔直", "a straight line"),
    "two places": ("同时两地", "two places at once"),
    "future time": ("未来时间", "a time to come"),
    "wrong clock": ("时钟不对", "a wrong clock"),
}
BOARD_FAULTS: Words = {
    "lacking": ("没有公示牌", "no board"),
    "incomplete": ("内容不全", "incomplete"),
    "overdue": ("久未检查", "check overdue"),
    "unchecked": ("无检查日期", "never checked"),
    "placeless": ("无位置", "no place"),
}
BOARD_FIELDS: Words = {
    "name": ("网格名称", "grid name"), "code": ("网格编码", "grid code"), "extent": ("范围图", "extent map"),
    "bounds_text": ("四至", "bounds text"), "staff": ("人员", "staff"), "role": ("职务", "roles"),
    "photo": ("照片", "photos"), "phone": ("人员电话", "phones of staff"), "duties": ("职责", "duties"),
    "hours": ("接待时间", "reception hours"), "community_phone": ("社区电话", "community phone"),
    "supervision_phone": ("监督电话", "supervision phone"),
}  # fmt: skip
#: What suspicions are measured in; m and min stand for themselves.
MEASURES: Words = {"share of fixes": ("（占点数）", "of the fixes"), "fixes": ("个点", "fixes")}
CONFIRMED: Words = {
    "yes": ("轨迹相符", "yes"),
    "no": ("轨迹不符", "no"),
    "no track": ("无轨迹", "no track"),
    "no place": ("无位置", "no place"),
}
TABLES: Words = {
    "visits": ("走访记录", "visits"),
    "boards": ("公示牌", "boards"),
    "segments": ("责任路段", "segments"),
    "matters": ("事项", "matters"),
    "sites": ("走访对象", "sites"),
}
_UNITS = {
    "visit": "次", "call": "次", "patrol": "次", "round": "次", "hour": "小时", "km": "公里", "person": "人",
    "household": "户", "grid": "个", "board": "块", "level": "级", "item": "件", "m²": "平方米", "m": "米",
    "small grid": "个小网格", "type": "种", "map per committee": "张", "sign + map in the grid": "块",
    "neighbourhood committee": "个居委", "四至 + archive per grid": "份四至",
    "of full_share": "倍 full_share（全覆盖）", "% linked": "%", "% of buildings": "%", "% of households": "%",
}  # fmt: skip
#: Units that end with s where there is more than one.
_COUNTED = {"visit", "call", "patrol", "round", "hour", "person", "household", "grid", "board", "level", "item", "type"}
_OPS = {">=": "≥", "<=": "≤", "==": "=", "approx": "约 ≈", "between": "", "exists": "有 ≥", "in": "∈"}

#: What reasons say, in Chinese; groups stand where they stood.
_REASONS = [
    (re.compile(pattern), chinese)
    for pattern, chinese in (
        ("no track", "无轨迹"),
        ("leave", "请假"),
        ("no posting", "无任职"),
        (r"(.+) declared on (\d+) of (\d+) days", r"\3 天中 \2 天已宣布\1"),
        ("(.+) declared", r"已宣布\1"),
        (r"morning (\d+), afternoon (\d+)", r"上午 \1 次，下午 \2 次"),
        ("morning", "上午"),
        ("afternoon", "下午"),
        (r"(\d+) of (\d+) days off \((.+)\)", r"\2 天中 \1 天不当班（\3）"),
        (r"[\w -]+ cut by the period: (\d+) of (\d+) days", r"期间只含其中 \1 天（应为 \2 天）"),
        (r"grid changed in the period: (.+)", r"期间换了网格：\1"),
        (r"within ([\d.e-]+) of the mark", r"离及格线不到 \1"),
        ("no visit", "未走访"),
        (r"(\d+) of (\d+) visits", r"应走访 \2 次，实际 \1 次"),
        ("not confirmed: no track near at that time", "当时附近没有轨迹，未能印证"),
        ("nobody is posted", "无人任职"),
        ("nobody on duty", "无人在岗"),
        ("no board", "没有公示牌"),
        ("changed in the period", "期间有变动"),
        (r"only \w+ in the scheme, not required", "方案中仅见于实际或计划，不作要求"),
        ("no postings: judged as full-time worker", "没有任职表，按专职网格员核对"),
        (r"([\d,]+) of ([\d,]+) (?:households|buildings|grids|compounds)(?: passed)?", r"\1 ÷ \2"),
        (r"(\d+) items in (\d+) grids", r"\2 个网格共 \1 件"),
        (r"no windows of (\d+) days were measured", r"没有 \1 天的覆盖数据"),
        ("no ground to be covered", "没有应巡的地面"),
        (r"there is no (.+)", r"没有\1"),
        (r"not checked by machine: (.+)", r"机器不能核对：\1"),
        ("no bounds text", "没有四至"),
        ("no board in the grid", "网格内没有公示牌"),
        (r"checked (\d+) days ago", r"\1 天前检查"),
        ("nobody wrote down when it was checked", "没有检查日期"),
        ("nobody wrote down where it hangs", "没有写位置"),
        ("no posting to a known grid that day", "当天没有到已知网格的任职"),
        ("no time", "没有时间"),
        ("before GPS", "时间早于 1980 年"),
        ("no position", "没有位置"),
        ("same time", "同一时刻重复"),
        ("poor accuracy", "精度太差"),
        ("jump", "跳点"),
        ("too fast", "速度不可能"),
        (r"at the same time, ([\d.]+) m apart", r"同一时间，相距 \1 米"),
        (r"([\w ]+) later, ([\d.]+) m apart", r"晚 \1，相距 \2 米"),
        (r"([\w ]+) earlier, ([\d.]+) m apart", r"早 \1，相距 \2 米"),
        (r"([\d.]+) m/s", r"\1 米/秒"),
        (r"95 % within ([\d.]+) m", r"95 % 在 \1 米以内"),
        (r"pieces of ([\d.]+) m within ([\d.]+) m", r"每段 \1 米，偏离不到 \2 米"),
        (r"(\d+) fixes further than ([\d.]+) m from the fixes around them", r"\1 个点离前后的点 \2 米以上"),
        (r"later than (\S+)", r"晚于 \1"),
        (r"the earliest of (\S+)", r"最早 \1"),
        ("no time at all", "完全没有时间"),
        (r"(.+) (?:was|were) not given|no (.+) (?:was|were) given.*", "未提供所需的表"),
        (r"(.+) (?:is|are) needed", "未提供所需的表"),
    )
]

_TIMES = {"d": "天", "h": "小时", "min": "分", "s": "秒"}
_UNIT = re.compile(r"\b(?:d|h|min|s)\b")


def reason_words(reason: object) -> tuple[str, str]:
    """A reason in Chinese and English; what is not known stands as it is.

    Examples
    --------
    >>> reason_words("2 of 7 days off (leave)"), reason_words(None)
    (('7 天中 2 天不当班（请假）', '2 of 7 days off (leave)'), ('', ''))
    """
    if not isinstance(reason, str) or not reason:
        return "", ""
    return "；".join(_chinese(piece) for piece in reason.split("; ")), reason


def _chinese(piece: str) -> str:
    half, colon, rest = piece.partition(": ")
    if colon and half in ("morning", "afternoon"):
        return f"{_chinese(half)}：{_chinese(rest)}"
    for pattern, chinese in _REASONS:
        found = pattern.fullmatch(piece)
        if found:
            said = found.expand(chinese)
            if "相距" in said:
                said = _UNIT.sub(lambda unit: _TIMES[unit[0]], said)
            return said.replace("leave", "请假").replace("no posting", "无任职").replace(" declared", "")
    return piece


def rule_name(rule: Rule) -> tuple[str, str]:
    """Whom a rule is for and what it measures, as "专职网格员 · 巡查时长"."""
    metric = "reported_items" if rule.category else rule.metric
    named = [pair(SUBJECTS, one.strip()) for one in rule.subject.split(",")]
    what = pair(METRICS, metric)
    kind = pair(CATEGORIES, rule.category)
    category = f"（{kind[0]}）" if rule.category else ""
    chinese = "、".join(zh or en for zh, en in named) + " · " + (what[0] or what[1]) + category
    english = ", ".join(en or zh for zh, en in named) + ": " + (what[1] or what[0])
    english += f" ({kind[1] or kind[0]})" if rule.category else ""
    return chinese, english


def rule_mark(rule: Rule) -> tuple[str, str]:
    """What is wanted, as "每周 ≥ 12 小时" and "≥ 12 hours a week"; the scheme's text where no machine checks it."""
    value = "–".join(f"{v:g}" for v in rule.value) if isinstance(rule.value, tuple) else _plain(rule.value)
    zh_unit, unit = unit_words(rule.unit)
    zh, en = pair(PERIODS, rule.period)
    chinese = f"{zh or ''} {_OPS[rule.op]} {value} {zh_unit}"
    many = "s" if value != "1" and unit in _COUNTED else ""
    english = f"{_OPS[rule.op].replace('约 ', '').replace('有 ', '')} {value} {unit}{many} {en or zh}"
    return " ".join(chinese.split()), " ".join(english.split())


def unit_words(unit: str) -> tuple[str, str]:
    """The unit of a rule in Chinese and English, without what stands in brackets.

    Examples
    --------
    >>> unit_words("hour")
    ('小时', 'hour')
    """
    english = re.split(r" \(| at |, ", unit)[0]
    return _UNITS.get(english, english), english


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"


_OF_SCORES = {
    "monthly minimum (no whole month)": "月度底数（不足整月）", "items short of the month's minimum": "件未达月度底数",
    "base data": "基础数据", "service records": "服务记录", "special work": "专项工作",
    "community rating": "社区评分", "without track": "个无轨迹日", "unqualified": "件不合格", "false": "件虚假",
    "rejected": "件退回", "grades": "事项等级", "visits": "走访", " (of ": "（满分 ",
}  # fmt: skip


def board_words(fault: str, detail: str) -> tuple[str, str]:
    """What is wrong with a board in detail, in Chinese and English.

    Examples
    --------
    >>> board_words("incomplete", "phone, hours")
    ('缺人员电话、接待时间', 'lacks phones of staff, reception hours')
    """
    if fault != "incomplete":
        return reason_words(detail)
    fields = [pair(BOARD_FIELDS, field) for field in detail.split(", ")]
    return "缺" + "、".join(zh or en for zh, en in fields), "lacks " + ", ".join(en or zh for zh, en in fields)


def score_words(text: str) -> tuple[str, str]:
    """A formula of a score, or what it leaves out, in Chinese and English.

    Examples
    --------
    >>> score_words("base data, special work (30)")
    ('基础数据, 专项工作 (30)', 'base data, special work (30)')
    """
    chinese = text
    for english, word in _OF_SCORES.items():
        chinese = chinese.replace(english, word)
    return (chinese.replace(")", "）") if "（满分" in chinese else chinese), text


def cadence_words(wanted: str) -> tuple[str, str]:
    """What is wanted of a visit, as "每周 ≥ 2 次（自定周期）".

    Examples
    --------
    >>> cadence_words(">= 2 visit / week (own cadence)")
    ('每周 ≥ 2 次（自定周期）', '≥ 2 visit / week (own cadence)')
    """
    found = re.fullmatch(r"(\S+) (\S+) .+? / (\S+)( \(own cadence\))?", wanted)
    english = wanted.replace(">=", "≥")
    if found is None:
        return wanted, ""
    own = "（自定周期）" if found[4] else ""
    return f"{pair(PERIODS, found[3])[0]} {_OPS[found[1]]} {found[2]} 次{own}", english
