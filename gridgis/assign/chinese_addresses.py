"""Reading Chinese addresses: areas, then names, then numbers, in the order written, from coarse to fine.

What is read was put in one way of writing before (:mod:`gridgis.assign.characters`). An address is cut at its first
digit: the head has areas and names, the tail numbers and the names between them. So a list of addresses that share
their heads and tails is read quickly.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gridgis.assign.address_parts import Address, Area, Number
from gridgis.assign.characters import KINDS, WORD

_HEAD = re.compile(r"[^0-9a-z#]*")
_NUMBERED = re.compile(rf"([\da-z]+(?:-[\da-z]+)*[甲乙丙丁戊己庚辛壬癸]?)(?:({WORD})|(?=-)|$)")
_USUAL = re.compile(
    r"(?:([1-9]\d*)弄)?([1-9]\d*)(号|号楼|栋|幢|座)(?:([1-9]\d*)(?:单元|门|梯))?(?:([1-9]\d*[a-z]?)(?:室|房|户)?)?"
)
_UNIT_NEXT = re.compile(r"-?[\da-z]+(?:单元|门|梯)")
_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")
# 铁路新村, 中街公寓: the estate has the name of a road, and is none.
_ROAD = re.compile(
    r".+?(?:路|街|大道|胡同|巷|弄)(?![口道路街弄巷村]|新村|小区|花园|家园|公寓|社区|大院|宿舍|大厦|大楼|广场|市场|医院|学校|[小中]学)"
)
_ROAD_END = re.compile(r"(?:路|街|道|胡同|巷|弄|条)$")

# --- areas ------------------------------------------------------------------------------------------------------------

_PROVINCES = (
    "北京|上海|天津|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西|甘肃|青海|台湾|"
    "内蒙古|广西|西藏|宁夏|新疆|香港|澳门"
)
# 旗 ends the name of a district only in these; anywhere else it belongs to a name (酒旗巷, 蓝旗营).
_BANNERS = (
    "阿鲁科尔沁旗|巴林左旗|巴林右旗|克什克腾旗|翁牛特旗|喀喇沁旗|敖汉旗|科尔沁左翼中旗|科尔沁左翼后旗|库伦旗|奈曼旗|扎鲁特旗|达拉特旗|准格尔旗|"
    "鄂托克前旗|鄂托克旗|杭锦旗|乌审旗|伊金霍洛旗|阿荣旗|莫力达瓦达斡尔族自治旗|鄂伦春自治旗|鄂温克族自治旗|陈巴尔虎旗|新巴尔虎左旗|"
    "新巴尔虎右旗|乌拉特前旗|乌拉特中旗|乌拉特后旗|杭锦后旗|察哈尔右翼前旗|察哈尔右翼中旗|察哈尔右翼后旗|四子王旗|科尔沁右翼前旗|科尔沁右翼中旗|"
    "扎赉特旗|阿巴嘎旗|苏尼特左旗|苏尼特右旗|东乌珠穆沁旗|西乌珠穆沁旗|太仆寺旗|镶黄旗|正镶白旗|正蓝旗|阿拉善左旗|阿拉善右旗|额济纳旗|土默特左旗|"
    "土默特右旗|达尔罕茂明安联合旗"
)
_ANY = r"(?!路|街(?!道)|巷|弄|胡同)[一-鿿]"
_BELOW_CITY = rf"(?:(?![区县]){_ANY})"
_BELOW_TOWN = rf"(?:(?!街道|镇|乡){_ANY})"
# What follows an area is a name: not the word alone that would make a road or an estate of it (景德镇|路, 酒旗|巷).
_BARE = r"(?!大?[路街]|大道|[巷弄里村道桥口]|胡同|花园|家园|小区|公寓|新村|大厦|广场|中心)(?=.)"
_AREAS = (
    ("country", re.compile(r"中国(?=.)")),
    ("province", re.compile(
        rf"(?:{_ANY}{{2,7}}?(?:省|自治区|特别行政区)|(?:{_PROVINCES})(?={_BELOW_CITY}{{2,6}}?[市区县])(?!市)){_BARE}"
    )),
    ("city", re.compile(rf"{_BELOW_CITY}{{2,6}}?(?:市(?![场民政花广口])|自治州|地区|盟){_BARE}")),
    ("district", re.compile(
        rf"(?:{_BANNERS}|{_ANY}[东西南北中]区|{_BELOW_TOWN}{{1,8}}?(?:新区|开发区|(?<![小园校院厂社宅舍属新东西南北中苑期业库景片营住地])区|县)"
        rf"|{_BELOW_CITY}{{2,4}}?市(?![场民政花广口])){_BARE}"
    )),
    ("town", re.compile(
        rf"{_BELOW_TOWN}{{1,8}}?(?:街道办事处|街道(?!口)|地区办事处|地区|镇|乡){_BARE}"
    )),
    ("community", re.compile(
        rf"(?:(?!社区|居委|村委){_ANY}){{1,10}}?(?:社区居民委员会|社区居委会|社区|居委会|居民委员会|村民委员会|村委会){_BARE}"
    )),
)  # fmt: skip
_TAKEN = ("city", "district", "town", "community")
_AREA_WORD = re.compile(
    r"(?:市|自治州|新区|开发区|区|县|旗|街道办事处|街道|地区办事处|地区|镇|乡"
    r"|社区居民委员会|社区居委会|社区|居委会|居民委员会|村民委员会|村委会)$"
)
# 古镇|东路 is a road of that name rather than one in a town called 古.
_DIRECTION = re.compile(r"[东西南北中前后上下大小老新正横内外]{1,2}(?:路|街|大街|大道|巷|弄|胡同)")


def read_areas(text: str) -> tuple[tuple[Area, ...], str]:
    """The administrative areas that a text begins with, and what is left of it.

    Examples
    --------
    >>> read_areas("北京市海淀区清华园街道成府路")
    ((('city', '北京'), ('district', '海淀'), ('town', '清华园')), '成府路')
    >>> read_areas("望汀街道酒旗巷")
    ((('town', '望汀'),), '酒旗巷')
    """
    areas: list[Area] = []
    for kind, pattern in _AREAS:
        found = pattern.match(text)
        while found:
            name = _AREA_WORD.sub("", found[0])
            rest = text[found.end() :]
            if len(name) < 2 and _DIRECTION.match(rest):
                break
            text = rest
            if kind in _TAKEN:
                areas.append((kind, name))
            # Written twice, as where two columns were joined.
            found = pattern.match(text) if text.startswith(found[0]) else None
    return tuple(dict.fromkeys(areas)), text


def only_areas(text: str) -> tuple[Area, ...] | None:
    """The areas of a text that has nothing else; None where it has."""
    areas, rest = read_areas(text + "某")
    return areas if rest == "某" else None


# --- names and numbers ------------------------------------------------------------------------------------------------


class Tail(NamedTuple):
    """What stands from the first digit on; each name with how many numbers stand before it."""

    names: tuple[tuple[str, int], ...]
    numbers: tuple[Number, ...]
    words: tuple[str, ...]


def read_chinese(text: str) -> Address:
    """Read a normalised Chinese address.

    Examples
    --------
    >>> read_chinese("兰桥路40弄4号302").numbers
    (('弄', '40'), ('栋', '4'), ('室', '302'))
    """
    cut = head_length(text)
    areas, names = read_head(text[:cut])
    return join(areas, names, read_tail(text[cut:], on_road(names)))


def head_length(text: str) -> int:
    found = _HEAD.match(text)
    return found.end() if found else 0


def read_head(head: str) -> tuple[tuple[Area, ...], tuple[str, ...]]:
    """Areas and names before the first digit."""
    areas, rest = read_areas(head)
    return areas, tuple(split_names(rest))


def join(areas: tuple[Area, ...], names: tuple[str, ...], tail: Tail) -> Address:
    return Address(areas, {**dict.fromkeys(names, 0), **dict(tail.names)}, tail.numbers, tail.words)


def on_road(names: tuple[str, ...]) -> bool:
    """Whether a number behind these names is one in a street, and not that of a building in an estate or village."""
    return not names or _ROAD_END.search(names[-1]) is not None


def split_names(text: str) -> list[str]:
    """Roads, and what stands after the last of them: an estate or a village."""
    names = []
    while text:
        road = _ROAD.match(text)
        name = road[0] if road else text
        text = text[len(name) :]
        name = name.strip("-#")
        if len(name) > 3:
            name = name.removesuffix("小区")
        if name:
            names.append(name)
    return names


def read_tail(tail: str, road: bool) -> Tail:
    """Numbers, and the names between them; `road`: the first number is one in a street."""
    usual = _USUAL.fullmatch(tail)
    return _read_usual(usual, road) if usual else _read_any(tail, road)


def _read_usual(tail: re.Match[str], road: bool) -> Tail:
    """What nearly all tails are, read with one expression: as :func:`_read_any` reads them, but quicker."""
    lane, building, word, unit, room = tail.groups()
    word = KINDS[word]
    numbers, words = [("栋" if lane or not road else word, building)], [word]
    if lane:
        numbers.insert(0, ("弄", lane))
        words.insert(0, "弄")
    if unit:
        numbers.append(("单元", unit))
        words.append("单元")
    if room:
        numbers.append(("室", room))
        words.append("室")
    return Tail((), tuple(numbers), tuple(words))


def _read_any(tail: str, road: bool) -> Tail:
    names: list[tuple[str, int]] = []
    numbers: list[Number] = []
    words: list[str] = []
    start = end = 0
    for found in _NUMBERED.finditer(tail):
        between = split_names(tail[end : found.start()])
        if between:
            names += [(name, len(numbers)) for name in between]
            start, road = len(numbers), on_road(tuple(between))
        end = found.end()
        unit_next = _UNIT_NEXT.match(tail, end) is not None
        for word, value in _parts(found[1], found[2], words[start:], unit_next):
            first = not {"号", "栋"} & set(words[start:])
            building = word in ("号", "栋") and first and not (road and len(words) == start)
            number = ("栋" if building else word, _ZEROS.sub("", value) if "0" in value else value)
            while number in numbers:  # the same part once more is another part
                number = (number[0], number[1] + "'")
            numbers.append(number)
            words.append(word)
    names += [(name, len(numbers)) for name in split_names(tail[end:])]
    return Tail(tuple(names), tuple(numbers), tuple(words))


def _parts(value: str, suffix: str | None, before: list[str], unit_next: bool) -> list[tuple[str, str]]:
    """What each number in `value` is called: one, or several in the short form 3-2-301."""
    values = value.split("-")
    word = KINDS[suffix] if suffix else ""
    if len(values) > 1 and word in ("", "室") and (word or len(values) > 2 or _is_room(values[-1])):
        last = "室"
        between = ["单元"] * (len(values) - 1)
        if not {"号", "栋"} & set(before):
            between[0] = "号"
        elif len(values) > 2:
            between[0] = "栋" if "栋" not in before else "单元"
        if len(values) == 4:
            between[1] = "栋"
        return list(zip([*between, last], values, strict=True))
    return [(_word(word, value, before, unit_next), value)]


def _word(word: str, value: str, before: list[str], unit_next: bool) -> str:
    """What a number is called, from its word and from what stands before it."""
    housed = [w for w in before if w in ("号", "栋", "单元", "层")]
    if not word:  # a bare number at the end: a room behind a building, else the number in the street
        return "室" if housed else "号"
    if word == "楼":
        return "层" if housed and not unit_next else "栋"
    if word == "号" and housed:
        if _is_room(value) or "单元" in housed:
            return "室"
        return "号" if "栋" in housed else "栋"
    return word


def _is_room(value: str) -> bool:
    return len(value) > 2
