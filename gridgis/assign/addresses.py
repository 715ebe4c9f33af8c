"""Reading and comparing Chinese addresses; the index that finds the house of an address.

An address is read into parts: administrative areas (city, district, town), names (roads, estates, villages) and
numbered parts (弄, 号, 栋, 单元, 室, …) in the order written, from coarse to fine. Two addresses are compared part
by part: parts that differ part them, parts that only one of them has lower the score.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

Number = tuple[str, str]
_Key = tuple[str, tuple[Number, ...]]

#: Below this share of equal parts a match is weak: reported as ambiguous, never taken.
WEAK_SCORE = 0.6

# Traditional characters that are common in addresses, each beside its simplified form.
_SIMPLER = str.maketrans(
    "號樓棟單層東鄉鎮區縣門橋園廣場廈裡裏華國學臺灣龍馬陽陰長莊齊興慶遠寧寶豐關頭觀廟蘭葉溝澤濱濟滬鐵錢錦鋪鳳鵬麗綠紅紡經緯環聯義榮"
    "萬圓團壩嶺崗廠廬張後徑總戶戸揚會業楊樹樂漢漁湯爐牆獅畫發盧碼礦禮穎窯節築級組維網縱織羅舊蘇衛補許設譚貝貨財貴賓賢趙車軍軒農連"
    "進達郵鄧鄭醫鋼鎖鏡鐘閘閣陳陸隊際雙雲電靈靜頂順館驛魚鳥麥黃齋衖劉吳孫馮圍爾現競術歷峽島嶼幣龔瀋",
    "号楼栋单层东乡镇区县门桥园广场厦里里华国学台湾龙马阳阴长庄齐兴庆远宁宝丰关头观庙兰叶沟泽滨济沪铁钱锦铺凤鹏丽绿红纺经纬环联义荣"
    "万圆团坝岭岗厂庐张后径总户户扬会业杨树乐汉渔汤炉墙狮画发卢码矿礼颖窑节筑级组维网纵织罗旧苏卫补许设谭贝货财贵宾贤赵车军轩农连"
    "进达邮邓郑医钢锁镜钟闸阁陈陆队际双云电灵静顶顺馆驿鱼鸟麦黄斋弄刘吴孙冯围尔现竞术历峡岛屿币龚沈",
)
_DIGIT = {c: str(n) for n, group in enumerate(("〇零○", "一", "二两", "三", "四", "五", "六", "七", "八", "九"))
          for c in group}  # fmt: skip
_STEM = "甲乙丙丁戊己庚辛壬癸"

# How a numbered part may be called, and what it is kept as.
_KINDS = {
    "支弄": "支弄", "弄": "弄", "巷": "巷", "条": "条", "号院": "号", "号楼": "栋", "号": "号", "栋": "栋", "幢": "栋",
    "座": "栋", "#": "栋", "楼": "楼", "单元": "单元", "门": "单元", "层": "层", "室": "室", "户": "室", "院": "院",
    "期": "期", "区": "区", "组": "组", "队": "队",
}  # fmt: skip
_MAY_BE_MISSING = ("单元", "层")
_SUFFIX = "|".join(map(re.escape, sorted(_KINDS, key=len, reverse=True)))

_NUMERAL = re.compile(rf"[〇零○一二两三四五六七八九十百]+(?={_SUFFIX})")
_STEM_ALONE = re.compile(rf"(?<![\da-z])[{_STEM}](?=栋|幢|座|楼|单元|门|号楼)")
_STEM_BEFORE = re.compile(rf"([{_STEM}])(\d+)(?=号)")
_STEM_AFTER = re.compile(rf"(\d+)号([{_STEM}])(?!栋|幢|座|楼|单元|门)")
_TRIPLE = re.compile(r"(?<![\d-])(\d+)-(\d+)-(\d+)$")
_NUMBERED = re.compile(rf"([\da-z]+(?:-[\da-z]+)*[{_STEM}]?)(?:({_SUFFIX})|$)")
_ROAD = re.compile(r".+?(?:路|街|大道|胡同|巷|弄)(?![口道路街])")

_NOT_ROAD = r"(?:(?!路|街(?!道)|巷|弄|胡同|[\d-])[一-鿿])"
_AREAS = (
    ("country", re.compile(r"中国(?=.)")),
    ("province", re.compile(rf"{_NOT_ROAD}{{2,7}}?(?:省|自治区|特别行政区)(?=.)")),
    ("city", re.compile(rf"{_NOT_ROAD}{{2,6}}?(?:市(?![场民政花广])|自治州)(?=.)")),
    ("district", re.compile(
        rf"(?:浦东新区|滨海新区|{_NOT_ROAD}{{1,6}}?(?:(?<![小园校院厂社宅舍属新东西南北中苑期])区|县|旗))(?=.)"
    )),
    ("town", re.compile(rf"{_NOT_ROAD}{{1,8}}?(?:街道办事处|街道|地区|镇|乡)(?=.)")),
    ("community", re.compile(rf"{_NOT_ROAD}{{1,10}}?(?:社区居委会|社区|居委会|居民委员会|村民委员会|村委会)(?=.)")),
)  # fmt: skip
_COMPARED_AREAS = ("city", "district", "town")
_AREA_WORD = re.compile(r"(?:市|自治州|区|县|旗|街道办事处|街道|地区|镇|乡)$")


class Address(NamedTuple):
    """An address in parts.

    `areas` are (kind, name); `names` are roads, estates and villages, each with how many numbered parts stand before
    it; `numbers` are (kind, value) as written, from coarse to fine.
    """

    areas: tuple[tuple[str, str], ...]
    names: dict[str, int]
    numbers: tuple[Number, ...]


class Match(NamedTuple):
    """What an address was compared to: the row of the best house (-1 if none was taken), how, and its score."""

    row: int
    how: str
    score: float


def normalise(text: str) -> str:
    """An address in one way of writing: half-width, lower case, simplified, numbers as digits, no blanks.

    Examples
    --------
    >>> normalise("成府路２８號 三單元")
    '成府路28号3单元'
    >>> normalise("学院路甲5号"), normalise("学院路5号甲"), normalise("乙栋")
    ('学院路5甲号', '学院路5甲号', '2栋')
    """
    text = unicodedata.normalize("NFKC", text).lower().translate(_SIMPLER)
    text = re.sub(r"[‐‑‒–—―−~]", "-", text)
    if re.search(r"[一-鿿]", text):
        text = re.sub(r"[\s,.;:、，。；：·'\"()\[\]【】《》]+", "", text)
    else:
        text = re.sub(r"[\s,.;:]+", " ", text).strip()
    text = text.replace("衚衕", "胡同")
    text = _NUMERAL.sub(lambda m: _number(m[0]), text)
    text = _STEM_ALONE.sub(lambda m: str(_STEM.index(m[0]) + 1), text)
    text = _STEM_BEFORE.sub(r"\2\1", text)
    text = _STEM_AFTER.sub(r"\1\2号", text)
    return _TRIPLE.sub(r"\1栋\2单元\3室", text)


def _number(numeral: str) -> str:
    """Digits of a Chinese numeral up to 999, said (二十三) or spelt (一二〇三); else the numeral itself."""
    if not set(numeral) & {"十", "百"}:
        return "".join(_DIGIT[c] for c in numeral)
    said = re.fullmatch(r"(?:(.)百)?零?(?:(.?)十)?(.?)", numeral)
    if said is None or any(c in "十百" for c in "".join(filter(None, said.groups()))):
        return numeral
    hundreds, tens, ones = said.groups()
    total = 100 * int(_DIGIT.get(hundreds or "", "0")) + int(_DIGIT.get(ones or "", "0"))
    if tens is not None:
        total += 10 * int(_DIGIT.get(tens, "1"))
    return str(total)


@lru_cache(maxsize=1 << 16)
def parse(text: str) -> Address:
    """Read an address into its parts.

    Text without Chinese characters is kept whole, as one name: it equals only itself.

    Examples
    --------
    >>> address = parse("北京市海淀区成府路28号华清嘉园小区三号楼2单元301室")
    >>> address.names
    {'成府路': 0, '华清嘉园': 1}
    >>> address.numbers
    (('号', '28'), ('栋', '3'), ('单元', '2'), ('室', '301'))
    """
    rest = normalise(text)
    if not re.search(r"[一-鿿]", rest):
        return Address((), {rest: 0} if rest else {}, ())
    areas = []
    for kind, pattern in _AREAS:
        found = pattern.match(rest)
        if found:
            rest = rest[found.end() :]
            if kind in _COMPARED_AREAS:
                areas.append((kind, _AREA_WORD.sub("", found[0])))
    names: dict[str, int] = {}
    numbers: list[Number] = []
    end = 0
    for found in _NUMBERED.finditer(rest):
        names |= dict.fromkeys(_names(rest[end : found.start()]), len(numbers))
        end = found.end()
        # A bare number at the end is the room after a numbered part, else the number in the street.
        kind = _KINDS[found[2]] if found[2] else ("室" if numbers else "号")
        number = (kind, _plain(found[1]))
        while number in numbers:  # the same part once more is another part
            number = (kind, number[1] + "'")
        numbers.append(number)
    names |= dict.fromkeys(_names(rest[end:]), len(numbers))
    return Address(tuple(areas), names, tuple(numbers))


def _plain(value: str) -> str:
    """A number without leading zeros."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", value)


def _names(text: str) -> list[str]:
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


def compare(given: Address, house: Address) -> float:
    """How well the address `given` for a person fits that of a house.

    Returns
    -------
    float
        0 where a part differs, no name is shared, or the house is finer than what is given. Else the equal parts'
        share of all parts of both. Numbers given below the house's finest do not count: a house that is a whole
        building (3栋) fits all addresses in it (3栋2单元301室). Only units and floors, and what stands before the
        last name that both have, may be missing on one side.

    Examples
    --------
    >>> compare(parse("海淀区成府路28号"), parse("成府路二十八號"))
    1.0
    >>> compare(parse("成府路28号"), parse("成府路29号"))
    0.0
    >>> compare(parse("华清嘉园3栋301室"), parse("成府路28号华清嘉园3栋301室"))
    0.6
    """
    equal, parts = _equal_parts(given, house)
    return equal / parts


def _equal_parts(given: Address, house: Address) -> tuple[int, int]:
    """How many parts are equal, of how many that count; (0, 1) where a part differs."""
    nothing = 0, 1
    areas = dict(house.areas)
    if any(areas.get(kind, name) != name for kind, name in given.areas):
        return nothing
    shared = given.names.keys() & house.names.keys()
    every = given.names.keys() | house.names.keys()
    if not shared or len(every) > max(len(given.names), len(house.names)):  # each has a name of its own
        return nothing
    head, tail = _split(given, shared)
    house_head, house_tail = _split(house, shared)
    if head and house_head and head != house_head:
        return nothing
    firm, house_firm = _firm(tail), _firm(house_tail)
    if firm[: len(house_firm)] != house_firm or (house_tail and house_tail[-1] not in tail):
        return nothing
    for kind in _MAY_BE_MISSING:
        loose, house_loose = ([n for n in numbers if n[0] == kind] for numbers in (tail, house_tail))
        if loose and house_loose and loose[: len(house_loose)] != house_loose:
            return nothing
    if house_tail:
        tail = tail[: tail.index(house_tail[-1]) + 1]
    elif house.numbers:
        tail = ()
    equal = len(shared) + len(set(tail) & set(house_tail)) + (len(head) if head == house_head else 0)
    return equal, len(every) + len({*tail, *house_tail}) + max(len(head), len(house_head))


def _split(address: Address, shared: Iterable[str]) -> tuple[tuple[Number, ...], tuple[Number, ...]]:
    """The numbers before the last shared name, and those after it."""
    cut = max(address.names[name] for name in shared)
    return address.numbers[:cut], address.numbers[cut:]


def _firm(numbers: tuple[Number, ...]) -> tuple[Number, ...]:
    return tuple(number for number in numbers if number[0] not in _MAY_BE_MISSING)


class AddressIndex:
    """The addresses of houses, kept by name and number: finds the one house of an address, or says why not.

    Parameters
    ----------
    addresses : iterable of str or None
        One for each house, in the order of the rows; houses without one are never found.

    Examples
    --------
    >>> index = AddressIndex(["成府路28号1单元101室", "成府路28号1单元102室"])
    >>> index.find("北京市成府路２８号一单元102")
    Match(row=1, how='address', score=1.0)
    >>> index.find("成府路28号").how, index.find("学院路5号").how
    ('ambiguous', 'none')
    """

    def __init__(self, addresses: Iterable[str | None]) -> None:
        self._parsed: dict[int, Address] = {}
        self._rows: dict[_Key, list[int]] = {}
        self._known: set[tuple[str, Number | None]] = set()
        for row, text in enumerate(addresses):
            if not isinstance(text, str) or not text.strip():
                continue
            parsed = self._parsed[row] = parse(text)
            for name, before in parsed.names.items():
                self._rows.setdefault((name, _firm(parsed.numbers[before:])), []).append(row)
                self._known.update((name, number) for number in (None, *parsed.numbers))

    def find(self, text: str) -> Match:
        """The house of an address.

        Returns
        -------
        Match
            `how` is "address" for one best house that fits well, "ambiguous" where several fit equally well or the
            best fits weakly (row -1), "none" where nothing fits (row -1). The house with the most equal parts is best:
            a finer one wins over the building that contains it.
        """
        given = parse(text)
        ranked = self.rank(given)
        if not ranked:
            finest = given.numbers[-1] if given.numbers else None
            nearly = any((name, finest) in self._known for name in given.names)
            return Match(-1, "ambiguous" if nearly else "none", 0.0)
        best, score, row = ranked[0]
        if score < WEAK_SCORE or (len(ranked) > 1 and ranked[1][:2] == (best, score)):
            return Match(-1, "ambiguous", score)
        return Match(row, "address", score)

    def rank(self, given: Address) -> list[tuple[int, float, int]]:
        """The houses that an address can mean: number of equal parts, score, row; the best first.

        Examples
        --------
        >>> index = AddressIndex(["成府路28号", "成府路28号1单元"])
        >>> index.rank(parse("成府路28号1单元102"))
        [(3, 1.0, 1), (2, 1.0, 0)]
        """
        ranked = []
        for row in {row for key in _keys(given) for row in self._rows.get(key, ())}:
            equal, parts = _equal_parts(given, self._parsed[row])
            if equal:
                ranked.append((equal, equal / parts, row))
        return sorted(ranked, reverse=True)


def _keys(given: Address) -> Iterator[_Key]:
    """Every name with every run of firm numbers after it: under one of these stands each house that can fit."""
    for name, before in given.names.items():
        firm = _firm(given.numbers[before:])
        for end in range(len(firm) + 1):
            yield name, firm[:end]
