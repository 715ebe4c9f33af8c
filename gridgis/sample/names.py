"""The names of the invented place. None of them is meant to be anybody's or anywhere's.

The name of the sub-district and of its communities are in no published list of 街道 and 社区 that was at hand; the unit
code begins with 99, which no province has.
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


CITY = "晴岚市"
DISTRICT = "渚南区"
TOWN = "望汀街道"
TOWN_CODE = "990101001"

#: Code and name of the communities, and places in its parts (metres in the plane of the plan).
COMMUNITIES = (
    ("990101001001", "柳汀社区", ((-700.0, 400.0), (-700.0, -200.0))),
    ("990101001002", "鹤渡社区", ((0.0, 600.0),)),
    ("990101001003", "苇桥社区", ((150.0, -200.0),)),
    ("990101001004", "东埠社区", ((850.0, 300.0), (800.0, -200.0))),
)

#: 000 is no area code, and after the international prefix 00 no country code begins with 0.
PHONE = "000-6400{:04d}"

LANES = _words(
    "采薇巷 听雨巷 竹影弄 小满巷 半亩弄 萤火巷 石榴里 双井巷 稻香弄 白鹭巷 芦花弄 新麦巷 琴台里 老槐巷 七星弄 青瓦巷 "
    "望月弄 橹声巷 蓼汀巷 杏林里 染坊弄 米行巷 灯笼巷 钟鼓里 榆钱巷 藕香弄 鹅掌巷 筛谷里 云锦弄 柴门巷 梅子巷 拾贝弄 "
    "绣针弄 苇塘巷 桑叶里 晒网弄 茶亭巷 木樨里 沉香弄 棋盘巷 砚池弄 风车巷 荷包里 燕尾弄 松针巷 纸伞弄 酒旗巷 "
    "星火里 丁香弄 长亭巷 磨盘弄 银杏里 草帽巷 暖阳弄 归帆巷 麦垛里 鱼篓弄 碧螺巷 山楂里 秋千巷 露白弄 石埠里 蒲扇巷 "
    "书简弄 陶罐里 豆荚巷 清和弄 回栏巷 野渡弄 微澜里 枕石巷 抱朴弄 知味巷 玉簪里 折柳弄 渔火巷 瓦当弄 归雁里 小筑巷"
)

SURNAMES = "沐云岚汀溪晴禾芷松苇鹤澜竹荷舟渔麦柳桑杏"
GIVEN = _words(
    "知远 望舒 听泉 小满 清和 怀瑾 若水 一苇 拾光 青禾 采蓝 思齐 临川 半夏 初晴 云舒 明澈 安澜 长歌 北辰 "
    "静好 子衿 未央 山月 行之 南乔 疏影 寄北 朝歌 有仪 令仪 其华 既明 如故 向晚 逢春 见山 问渠 渐鸿 观澜 "
    "晚晴 听雪 如松 月白 栖迟 微之 竹西 含章 景行 清欢"
)
