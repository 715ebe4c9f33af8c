"""Addresses as people write them, each beside the right answer: the table that the address index is measured by.

A pair is a text and the row of the right house in its register, or "none" or "ambiguous". The writers know the parts of
a house and nothing of how the program reads them. What they vary was collected from forms, parcels and maps:

- what stands in front: nothing, district, town, community, province and city, a postcode, a prefix written twice;
- characters: traditional, full width, 一二三 said or spelt, a digit and a numeral mixed in one address;
- words: 栋, 幢, 座, 号楼, # for a building; 单元, 门 for a staircase; 室, 房 or nothing for a room; 3-2-301 for all;
- what is left out: the staircase, 号, 室, the road before an estate; what is added: 小区, a remark in brackets, commas;
- English: Street and St, MAIN and Main, #3 and Apt 3 and Unit 3 before or behind, the city behind, First and 1st.

Addresses that do not exist have the right answer none: another number in the road, the same number in another road, the
lane of that name in another town. An address that ends before the house is told is ambiguous.
"""

from __future__ import annotations

import csv
import random
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

NONE, AMBIGUOUS = "none", "ambiguous"
Answer = int | str
_OLD = str.maketrans("号楼栋单园华镇区乡门东层馆庄桥厦阳关", "號樓棟單園華鎮區鄉門東層館莊橋廈陽關")
_WIDE = str.maketrans("0123456789-", "０１２３４５６７８９－")
_SPELT = "〇一二三四五六七八九"


class Table(NamedTuple):
    """A register, what is known beside it, and pairs of text and right answer."""

    houses: list[str]
    pairs: list[tuple[str, Answer]]
    estates: Sequence[tuple[str, str]] = ()
    place: str = ""


class Home(NamedTuple):
    """A dwelling in the words of whoever wrote the register; empty for what it has not."""

    road: str = ""
    lane: str = ""
    number: str = ""
    estate: str = ""
    building: str = ""
    unit: str = ""
    room: str = ""

    def register(self) -> str:
        parts = [self.road, self.lane and f"{self.lane}弄", self.number and f"{self.number}号", self.estate]
        parts += [self.building and f"{self.building}栋", self.unit and f"{self.unit}单元"]
        return "".join(parts) + (self.room and f"{self.room}室")


def said(number: str) -> str:
    """A number below a hundred as it is said, a longer one as it is spelt."""
    if not number.isdecimal() or int(number) > 99:
        return "".join(_SPELT[int(c)] if c.isdecimal() else c for c in number)
    tens, ones = divmod(int(number), 10)
    return ("" if tens < 2 else _SPELT[tens]) + ("十" if tens else "") + (_SPELT[ones] if ones else "")


def write(home: Home, rng: random.Random, prefixes: list[str]) -> str:
    """One way in which somebody writes where he lives."""
    numerals = said if rng.random() < 0.15 else str
    bare = numerals is str and not home.estate and not home.room and rng.random() < 0.1
    between = rng.choice(["", "", "", " ", "，"])
    parts = [home.road]
    if home.lane:
        parts.append(numerals(home.lane) + "弄")
    if home.number:
        word = "号" if not home.lane else rng.choice(["号", "号", "号楼", "幢"])
        parts.append(numerals(home.number) + ("" if bare else word))
    if home.estate:
        parts.append(home.estate + ("小区" if rng.random() < 0.2 and len(home.estate) < 4 else ""))
    if home.lane and home.room and rng.random() < 0.1:
        parts = [home.road, f"{home.lane}弄", f"{home.number}-{home.room}"]
    elif home.building and home.unit and home.room and rng.random() < 0.2:
        parts.append(f"{home.building}-{home.unit}-{home.room}")
    else:
        if home.building:
            front = rng.choice(["", "", "", "第"])
            parts.append(front + numerals(home.building) + rng.choice(["栋", "幢", "座", "号楼", "#", "栋楼"]))
        if home.unit and rng.random() < 0.8:
            parts.append(numerals(home.unit) + rng.choice(["单元", "单元", "门"]))
        if home.room and not parts[-1].endswith(home.room):
            parts.append(numerals(home.room) + rng.choice(["室", "室", "", "房"]))
    text = rng.choice(prefixes) + between.join(part for part in parts if part)
    text += rng.choice(["", "", "", "", "（原粮站旁）", "(近北门)"])
    if rng.random() < 0.15:
        text = text.translate(_OLD)
    return text.translate(_WIDE) if rng.random() < 0.15 else text


# --- an invented town -------------------------------------------------------------------------------------------------

_ROADS = (
    "兰桥路",
    "红旗路",
    "县前街",
    "市民路",
    "菜市口大街",
    "八一大道",
    "新街口外大街",
    "景德镇路",
    "三门路",
    "镇海路",
)
_LANED = ("酒旗巷", "旗杆弄", "望乡路", "区府路", "文三路", "石库门路")
_ESTATES = ("华清嘉园", "阳光花园", "铁路新村", "棉纺小区", "听澜苑", "东关馆舍")
_VILLAGES = ("石磨村", "沈家湾村")
_FRONT = [
    "",
    "",
    "",
    "晴岚市渚南区",
    "渚南区望汀街道",
    "望汀街道",
    "江南省晴岚市渚南区望汀街道柳汀社区",
    "晴岚市晴岚市渚南区",
    "215000 晴岚市渚南区",
    "中国江南省晴岚市渚南区望汀街道",
]


def invented(seed: int = 1, count: int = 1500) -> Table:
    """A town with all kinds of addresses, and addresses that are not in it."""
    rng = random.Random(seed)
    homes = [Home(road, number=str(n)) for road in _ROADS for n in range(1, 24, 2)]
    homes += [Home(road, number=f"{n}甲") for road in _ROADS for n in (3, 7)]
    homes += [
        Home(road, str(lane), str(n), room=f"{floor}0{door}")
        for road in _LANED
        for lane in (12, 128)
        for n in (1, 2, 13)
        for floor in (1, 2, 11)
        for door in (1, 2)
    ]
    homes += [
        Home("学院路", number=str(30 + 2 * i), estate=estate, building=str(b), unit=str(u), room=f"{f}0{2 * u + d - 2}")
        for i, estate in enumerate(_ESTATES)
        for b in (1, 2, 10)
        for u in (1, 2)
        for f in (1, 3)
        for d in (1, 2)
    ]
    homes += [Home(village, number=str(n)) for village in _VILLAGES for n in range(1, 20)]
    houses = [home.register() for home in homes]
    pairs: list[tuple[str, Answer]] = []
    for _ in range(count):
        row = rng.randrange(len(homes))
        pairs.append((write(homes[row], rng, _FRONT), row))
    known = {home.register() for home in homes}
    while len(pairs) < count * 4 // 3:
        home = rng.choice(homes)
        other = rng.choice(
            [
                home._replace(
                    number=str(rng.randrange(200, 300)), building="", unit="", room=home.room and "101", estate=""
                ),
                home._replace(road=rng.choice(["学府路", "酒坊巷", "红星路", "兰亭路", "桥兰路"]), estate=""),
                home._replace(lane="13") if home.lane else home._replace(road="县后街", estate=""),
                home._replace(building="77", unit="1", room="101") if home.estate else home._replace(number="98"),
            ]
        )
        if other.register() not in known:
            pairs.append((write(other, rng, _FRONT), NONE))
    laned = [home for home in homes if home.lane]
    for _ in range(60):
        home = rng.choice(laned)
        pairs.append((write(home._replace(room=""), rng, _FRONT), AMBIGUOUS))
        pairs.append((f"北岸市江东区汇渡镇{rng.choice(homes).register()}", NONE))
        pairs.append((f"渚南区下汀街道{rng.choice(homes).register()}", NONE))
    return Table(houses, pairs, place="晴岚市渚南区望汀街道")


# Register, text, answer: written down by hand, one by one.
BY_HAND_HOUSES = [
    "成府路28号",
    "成府路30-34号",
    "成府路36号附3号",
    "成府路甲38号",
    "成府路38号",
    "和平里12号院3号楼2单元301室",
    "望月弄5号",
    "月弄5号",
    "天通苑北一区3号楼",
    "天通苑北二区3号楼",
    "史各庄村三组12号",
    "天堂软件园A座1602C",
    "天堂软件园B座1602C",
    "碑林区东大街1号",
    "江北区解放西路3号",
    "乡村路8号",
    "镇东路8号",
    "文一西路100号",
    "八里庄北里3号楼",
    "学院路15号",
    "学院南路15号",
    "学院路15号乙",
    "建国门外大街丙12号",
    "三里河一区7栋1门102",
    "四新村9号",
    "中关村北二条13号",
    "东渚街道和平路1号",
    "西渚镇和平路1号",
    "三元桥路1号楼101室",
    "三元桥路2号楼101室",
    "清华大学紫荆公寓3号楼",
]
BY_HAND = [
    ("成府路贰拾捌号", 0),
    ("成府路二十八号", 0),
    ("成府路廿八号", 0),
    ("成府路28", 0),
    ("成府路 28 号", 0),
    ("成府路28號", 0),
    ("北京市海淀区成府路28号(东门)", 0),
    ("成府路28号三楼", 0),
    ("成府路28号301室", 0),
    ("成府路128号", NONE),
    ("成府路29号", NONE),
    ("成府路28弄", NONE),
    ("成府路甲28号", NONE),
    ("成府路30-34号", 1),
    ("成府路30—34号", 1),
    ("成府路32号", 1),
    ("成府路33号", NONE),
    ("成府路28-30号", AMBIGUOUS),
    ("成府路36号之3", 2),
    ("成府路36-3号", 2),
    ("成府路三十六号附三号", 2),
    ("成府路36号附4号", NONE),
    ("成府路38号甲", 3),
    ("成府路甲三十八号", 3),
    ("成府路38甲号", 3),
    ("成府路38号", 4),
    ("成府路乙38号", NONE),
    ("和平里12号院3-2-301", 5),
    ("和平里12号院3号楼301", 5),
    ("和平里十二号院三号楼二单元三〇一室", 5),
    ("和平里12号3楼2单元301室", 5),
    ("和平里12号院", AMBIGUOUS),
    ("和平里12号院4号楼2单元301室", NONE),
    ("和平里12号院3号楼1单元301室", NONE),
    ("望月弄5号", 6),
    ("月弄5号", 7),
    ("望汀街道望月弄5号", 6),
    ("新月弄5号", NONE),
    ("天通苑北一区3号楼", 8),
    ("天通苑北1区3栋", 8),
    ("天通苑北二区三号楼", 9),
    ("天通苑北三区3号楼", NONE),
    ("天通苑3号楼", NONE),
    ("昌平区回龙观镇史各庄村3组12号", 10),
    ("史各庄村三组13号", NONE),
    ("天堂软件园ａ座１６０２ｃ室", 11),
    ("天堂软件园B座1602C", 12),
    ("天堂软件园C座1602C", NONE),
    ("碑林区东大街1号", 13),
    ("东大街1号", 13),
    ("西安市碑林区东大街一号", 13),
    ("雁塔区东大街1号", NONE),
    ("解放西路3号", 14),
    ("重庆市江北区解放西路3号", 14),
    ("解放东路3号", NONE),
    ("乡村路8号", 15),
    ("镇东路8号", 16),
    ("上虞区百官街道镇东路8号", 16),
    ("文一西路100号", 17),
    ("文一西路一〇〇号", 17),
    ("文一西路一百号", 17),
    ("文二西路100号", NONE),
    ("朝阳区八里庄街道八里庄北里3号楼", 18),
    ("八里庄北里3栋", 18),
    ("八里庄南里3号楼", NONE),
    ("学院路15号", 19),
    ("学院南路15号", 20),
    ("学院路15号乙", 21),
    ("学院路乙15号", 21),
    ("学院北路15号", NONE),
    ("建国门外大街丙12号", 22),
    ("建国门外大街12号丙", 22),
    ("建国门外大街12号", NONE),
    ("三里河1区7栋1单元102室", 23),
    ("三里河一区7-1-102", 23),
    ("三里河二区7栋1门102", NONE),
    ("四新村9号", 24),
    ("四新村九号", 24),
    ("五新村9号", NONE),
    ("中关村北2条13号", 25),
    ("中关村北三条13号", NONE),
    ("东渚街道和平路1号", 26),
    ("西渚镇和平路1号", 27),
    ("和平路1号", AMBIGUOUS),
    ("南渚镇和平路1号", NONE),
    ("三元桥路1号楼101", 28),
    ("三元桥路101室", AMBIGUOUS),
    ("清华大学紫荆公寓3号楼", 30),
    ("海淀区清华大学紫荆公寓3号楼", 30),
    ("28号", NONE),
    ("", NONE),
    ("？？", NONE),
    ("成府路", AMBIGUOUS),
    ("成府路与学院路交叉口", NONE),
    ("12-34", NONE),
]


def by_hand() -> Table:
    return Table(BY_HAND_HOUSES, list(BY_HAND))


# --- real places ------------------------------------------------------------------------------------------------------


def qinghuayuan(path: Path, seed: int = 2) -> Table:
    """The addresses of the OpenStreetMap extract, each in 20 ways, and ones that are not in it."""
    homes = {}
    for element in ET.parse(path).getroot():
        tags = {tag.get("k"): tag.get("v") or "" for tag in element.findall("tag")}
        street, number = tags.get("addr:street", ""), tags.get("addr:housenumber", "")
        number = number.removesuffix("号").removesuffix("號")
        if re.fullmatch(r"[一-鿿]+", street) and number.isdecimal() and "addr:housename" not in tags:
            homes[f"{street}{number}号"] = Home(street, number=number)
    rng = random.Random(seed)
    front = ["", "", "北京市海淀区", "海淀区", "海淀区清华园街道", "北京海淀区", "100084 北京市海淀区清华园街道"]
    pairs: list[tuple[str, Answer]] = []
    for row, home in enumerate(homes.values()):
        pairs += [(write(home, rng, front), row) for _ in range(20)]
        pairs.append((write(home._replace(number=str(int(home.number) + 300)), rng, front), NONE))
        pairs.append((write(home._replace(road="成府" + home.road), rng, front), NONE))
        pairs.append((f"北京市西城区{home.register()}", NONE))
    return Table(list(homes), pairs, place="北京市海淀区清华园街道")


_LONG = {"ST": "Street", "AVE": "Avenue", "RD": "Road", "PL": "Place", "CT": "Court", "TER": "Terrace", "PK": "Park",
         "DR": "Drive", "LN": "Lane", "SQ": "Square", "CIR": "Circle", "PKWY": "Parkway", "HWY": "Highway"}  # fmt: skip


def _write_english(location: str, rng: random.Random) -> str:
    street, _, unit = location.partition("#")
    words = street.split()
    if rng.random() < 0.5:
        words[-1] = _LONG.get(words[-1], words[-1])
    text = " ".join(word.title() if rng.random() < 0.7 else word for word in words)
    unit = unit.strip()
    if unit:
        behind = rng.choice([" #{}", ", Apt {}", " Unit {}", ", Unit {}", " apt. {}", "  # {}"]).format(unit)
        text = f"Apt {unit}, {text}" if rng.random() < 0.1 else text + behind
    return text + rng.choice(["", "", ", Cambridge", ", Cambridge, MA 02139", ", CAMBRIDGE MA", ", Cambridge, MA, USA"])


def cambridge(path: Path, seed: int = 3, count: int = 1500) -> Table:
    """Locations of the tax table: every one is a house, those that several parcels have are in doubt."""
    with path.open(encoding="utf-8-sig") as file:
        found = [" ".join(row["Location"].split()) for row in csv.DictReader(file) if row["Location"].strip()]
    times = Counter(found)
    rng = random.Random(seed)
    row_of = {location: row for row, location in enumerate(found)}
    plain = re.compile(r"\d+[A-Z]?(?:-\d+)* [A-Z][A-Z ]+[A-Z](?: ?#\w+)?")
    once = sorted(location for location in times if times[location] == 1 and plain.fullmatch(location))
    pairs: list[tuple[str, Answer]] = [
        (_write_english(location, rng), row_of[location]) for location in rng.sample(once, count)
    ]
    double = sorted(location for location in times if times[location] > 1 and plain.fullmatch(location))
    pairs += [(_write_english(location, rng), AMBIGUOUS) for location in double[:40]]
    streets = {re.sub(r"^\S+ | ?#.*", "", location) for location in times}
    bare = {location for location in times if not location[0].isdecimal()}  # a whole street: in doubt, not none
    for location in rng.sample(once, count // 5):
        street = re.sub(r"^\S+ | ?#.*", "", location)
        other = f"{location.split(' ')[0]} {rng.choice(['ELMWOOD HILL RD', 'MAINE ST', 'HARVARDE AVE'])}"
        if street not in bare:
            pairs.append((_write_english(f"{rng.randrange(7001, 7999)} {street}", rng), NONE))
        if other.split(" ", 1)[1] not in streets:
            pairs.append((_write_english(other, rng), NONE))
        pairs.append((f"{location.partition('#')[0].strip()}, Somerville, MA 02143", NONE))
    return Table(found, pairs, place="Cambridge, MA")
