"""One way of writing an address: half-width, lower case, simplified characters, digits for numerals, no blanks."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

# Traditional characters (and variants) that occur in addresses, each beside its simplified form in the same place of
# the text below. Only characters with one simplified form stand here: what has several (乾, 著, 藉) stays as written.
_TRADITIONAL = (
    "號樓棟單層東鄉鎮區縣門橋園廣場廈裡裏華國學臺灣龍馬陽陰長莊齊興慶遠寧寶豐關頭觀廟蘭葉溝澤濱濟滬鐵錢錦鋪鳳鵬麗綠紅紡經緯環聯義榮萬圓團壩嶺崗廠"
    "廬張後徑總戶戸揚會業楊樹樂漢漁湯爐牆獅畫發盧碼礦禮穎窯節築級組維網縱織羅舊蘇衛補許設譚貝貨財貴賓賢趙車軍軒農連進達郵鄧鄭醫鋼鎖鏡鐘閘閣陳陸隊"
    "際雙雲電靈靜頂順館驛魚鳥麥黃齋衖劉吳孫馮圍爾現競術歷峽島嶼幣龔瀋衚衕鍾韓韋項須顧顏領額風飛飯養驢駝駐騰驕鮮鳴鴻鷹鶴鹽麼黨齡龜備傳債傷價儀億優"
    "儲兒內兩冊凍動務勝勞勢勳協卻厭參叢員問啟喬嗎嘆嚴圖坵執報塊墳墾壇壘壟壽夢夥奪奮婦媽嬌宮寬寢審寫將專尋對導屆屍屬岡崑崙嵐巖巒師帥帶幫幹幾庫廚廢"
    "廳彈彎從徵恆愛態慘慣憲應懷戰擁擇擊擋據擔擴攔敵數斷時晉晝暉暫曆曉曠書棄棧楓槍榦構槳樁樅標樣樸橫檔檢檯檸櫃櫚櫻欄權歐歡歲歸殘殺殼毀氣決沒沖況涇"
    "涼淚淨淺淵淶渾測湧滅滌滿漲漸潁潔潛潤潯潰澆澗濃濕濤濰瀏瀝瀟瀾灘災為烏無煉煙煥熱燈燒營爭牽犧獎獨獲獻瑤瑩瓊產畝畢異當療癒盜盞盡監盤眾矯砲碩確禍"
    "禎種稱穀積穩窩窪筆簡籃籌籠糧紀約紋納純紙細終結絲給統絹綁綏綢綱綿緊線締編緣縮績繞繡繩繪繼續纜罰罷羈習聖聞聲聽肅腦腳腸膚臨舉艙艦艱藍藝藥蘆蘊蘋"
    "處虛蟲蝦螢蠶蠟製複見規視親覺覽訂計訊訓記訪訴診詞試詩話詳認語誠誤說課調談請論諸講謝識證護譽讀變讓豎豬貞負責貯貿費賀資賽贈趕趨跡踐踴躍軌軟輕載"
    "輔輝輪輸轉轎辦辭邊遊運過違選還邁鄒釀釋針釣鈴鉛銀銅銘銷鋁鋒鋸錄錨鍋鍛鍵鎢鏈鑄鑑鑽閃閉開閒間閱闊闖闢陝陣隨隱隴隻雜雞離難霧韻響頁預頻題願類顯飲"
    "飼餅餘騎騾驗驚髮鬥鯉鱗鴉鴨鴛鴦鵝鷗鸚峯羣牀粧糉竝箇彙滙迴鄰隣甯邨砦谿磚甎甌閩贛蕪蓮蔣蕭薩藺鄖鄲酈鉅臘膠蠻覓觸訶諾謙謨賈賴購蹤轄遙遞遷遼邏鄆鏢"
    "陘靂鞏韜颱饒駱駿騏驪鬱魯鮑鯨鰲鳩鴿鵲鷺麵點龐塢壢埡堯塵壯壺夾婁孿屜峴嶗嶧幟廕彥徠悅懸撫攬斬曬樑欽檜殯毆汙洶浹淪渦湞溫滄滎潑澱澠濼瀘瀨灃煒燁燭"
    "牘狹獵玨琺瑪璣瓏疊癡皚眥瞼碭磯祿稅窰竄筍簽籬絳綻緝縉纓罌羥翹耬聾膽艷芻莖葦蒼蔭蕩薊薌藹蘄蘚蠣褲襪訟詔諒諭謐賁賞軸輞輿逕邐郟鄔釗鈞鉢銳鋅錫鍍鎔"
    "鎧鏵鐮鐺闕闡霽頌頓頤顥飄饌馭駁駒騫"
)
_SIMPLIFIED = (
    "号楼栋单层东乡镇区县门桥园广场厦里里华国学台湾龙马阳阴长庄齐兴庆远宁宝丰关头观庙兰叶沟泽滨济沪铁钱锦铺凤鹏丽绿红纺经纬环联义荣万圆团坝岭岗厂"
    "庐张后径总户户扬会业杨树乐汉渔汤炉墙狮画发卢码矿礼颖窑节筑级组维网纵织罗旧苏卫补许设谭贝货财贵宾贤赵车军轩农连进达邮邓郑医钢锁镜钟闸阁陈陆队"
    "际双云电灵静顶顺馆驿鱼鸟麦黄斋弄刘吴孙冯围尔现竞术历峡岛屿币龚沈胡同钟韩韦项须顾颜领额风飞饭养驴驼驻腾骄鲜鸣鸿鹰鹤盐么党龄龟备传债伤价仪亿优"
    "储儿内两册冻动务胜劳势勋协却厌参丛员问启乔吗叹严图丘执报块坟垦坛垒垄寿梦伙夺奋妇妈娇宫宽寝审写将专寻对导届尸属冈昆仑岚岩峦师帅带帮干几库厨废"
    "厅弹弯从征恒爱态惨惯宪应怀战拥择击挡据担扩拦敌数断时晋昼晖暂历晓旷书弃栈枫枪干构桨桩枞标样朴横档检台柠柜榈樱栏权欧欢岁归残杀壳毁气决没冲况泾"
    "凉泪净浅渊涞浑测涌灭涤满涨渐颍洁潜润浔溃浇涧浓湿涛潍浏沥潇澜滩灾为乌无炼烟焕热灯烧营争牵牺奖独获献瑶莹琼产亩毕异当疗愈盗盏尽监盘众矫炮硕确祸"
    "祯种称谷积稳窝洼笔简篮筹笼粮纪约纹纳纯纸细终结丝给统绢绑绥绸纲绵紧线缔编缘缩绩绕绣绳绘继续缆罚罢羁习圣闻声听肃脑脚肠肤临举舱舰艰蓝艺药芦蕴苹"
    "处虚虫虾萤蚕蜡制复见规视亲觉览订计讯训记访诉诊词试诗话详认语诚误说课调谈请论诸讲谢识证护誉读变让竖猪贞负责贮贸费贺资赛赠赶趋迹践踊跃轨软轻载"
    "辅辉轮输转轿办辞边游运过违选还迈邹酿释针钓铃铅银铜铭销铝锋锯录锚锅锻键钨链铸鉴钻闪闭开闲间阅阔闯辟陕阵随隐陇只杂鸡离难雾韵响页预频题愿类显饮"
    "饲饼余骑骡验惊发斗鲤鳞鸦鸭鸳鸯鹅鸥鹦峰群床妆粽并个汇汇回邻邻宁村寨溪砖砖瓯闽赣芜莲蒋萧萨蔺郧郸郦巨腊胶蛮觅触诃诺谦谟贾赖购踪辖遥递迁辽逻郓镖"
    "陉雳巩韬台饶骆骏骐骊郁鲁鲍鲸鳌鸠鸽鹊鹭面点庞坞坜垭尧尘壮壶夹娄孪屉岘崂峄帜荫彦徕悦悬抚揽斩晒梁钦桧殡殴污汹浃沦涡浈温沧荥泼淀渑泺泸濑沣炜烨烛"
    "牍狭猎珏珐玛玑珑叠痴皑眦睑砀矶禄税窑窜笋签篱绛绽缉缙缨罂羟翘耧聋胆艳刍茎苇苍荫荡蓟芗蔼蕲藓蛎裤袜讼诏谅谕谧贲赏轴辋舆径逦郏邬钊钧钵锐锌锡镀熔"
    "铠铧镰铛阙阐霁颂顿颐颢飘馔驭驳驹骞"
)
_BRACKETS = {**dict.fromkeys("〔［【「『《〈", "("), **dict.fromkeys("〕］】」』》〉", ")")}
_DASHES = dict.fromkeys("‐‑‒–—―−─〜", "-")
_STRAY = dict.fromkeys(map(chr, range(0x300, 0x370)), "")  # accents that stand on no letter
_TABLE = str.maketrans(dict(zip(_TRADITIONAL, _SIMPLIFIED, strict=True)) | _BRACKETS | _DASHES | _STRAY)

#: What a numbered part of a Chinese address may be called, and what it is kept as.
KINDS = {
    "支弄": "支弄", "弄": "弄", "巷": "巷", "条": "条", "号院": "号", "院": "号", "号": "号", "号楼": "栋", "#楼": "栋",
    "栋楼": "栋", "幢楼": "栋", "栋": "栋", "幢": "栋", "座": "栋", "#": "栋", "楼": "楼", "单元": "单元", "门": "单元",
    "梯": "单元", "层": "层", "室": "室", "户": "室", "房间": "室", "房": "室", "号房": "室", "号室": "室", "期": "期",
    "区": "区", "组": "组", "队": "队",
}  # fmt: skip
# 三门路, 一号桥, 九层楼街: a name goes on behind the word, so that it counts nothing.
_NAME_GOES_ON = r"(?!大?街|路|大道|桥|寺|庙|庵|营|店|口|山|湾|河|塘|井|坊|线|码头|沟|坟|厂|站)"
#: The word behind a number, for a regular expression.
WORD = f"(?:{'|'.join(map(re.escape, sorted(KINDS, key=len, reverse=True)))}){_NAME_GOES_ON}"

_DIGIT = {c: str(n) for n, group in enumerate(("〇零○", "一", "二两", "三", "四", "五", "六", "七", "八", "九"))
          for c in group}  # fmt: skip
_NUMERALS = "".join(_DIGIT) + "十百千廿卅"
_STEM = "甲乙丙丁戊己庚辛壬癸"

_CHINESE = re.compile(r"[一-鿿]")
_APART = r"[^\S\n]*[ ,.;:、，。；：·/\\()]+[^\S\n]*"
#: Each is done to all addresses at once, a line each, in this order.
_REWRITING = (
    (re.compile("~"), "-"),
    # What is said about an address, and is no part of it: (原12号), (靠近北门).
    (re.compile(r"\((?:原|旧|老门|近|靠|临|对面|旁|曾|即|附近)[^()\n]*\)"), ""),
    # Two numbers stay two when the blank between them goes.
    (re.compile(rf"(?<=\d){_APART}(?=[0-9a-z])|(?<=[a-z]){_APART}(?=\d)|(?<=\d)[^\S\n]+(?=[0-9a-z])"), "-"),
    (re.compile(r"(?:[^\S\n]|[,.;:、，。；：·'\"`()<>{}…_*/\\|!?\[\]])+"), ""),
    (re.compile(rf"no-?(?=[\d{_NUMERALS}])"), ""),
    (re.compile(rf"(?m)^\d{{6}}-?(?=[一-鿿]{{2}})(?!{WORD})"), ""),  # a postcode
)
_NUMERAL = re.compile(
    rf"[{_NUMERALS}]+(?=[{_STEM}]?{WORD})|(?<=[附之第-])[{_NUMERALS}]+(?=[{_NUMERALS}\d号附之-]|$)"
    rf"|[{_NUMERALS}]+(?=[之附][{_NUMERALS}\d]|-[{_NUMERALS}\d])|(?<=[号栋幢座楼元门室层弄路街巷院])[{_NUMERALS}]{{1,6}}$",
    re.MULTILINE,
)
# 贰拾捌号, as on a cheque; one such character alone is a name (陆巷).
_CHEQUE = dict(zip("壹贰叁肆伍陆柒捌玖拾佰", "一二三四五六七八九十百", strict=True))
_ON_CHEQUE = re.compile(rf"[{''.join(_CHEQUE)}零]{{2,}}(?={WORD})")
_ZERO = re.compile(r"(?<=\d)[〇零○]+(?=\d)")
_ORDINAL = re.compile(rf"第(?=\d+{WORD})")
_BESIDE = re.compile(rf"(\d+)号?[附之](\d+)号?(?![\d{_NUMERALS}])")
_STEM_ALONE = re.compile(rf"(?<![\da-z])[{_STEM}](?=栋|幢|座|楼|单元|门|号楼)")
_STEM_BEFORE = re.compile(rf"(?<!\d)([{_STEM}])(\d+)(?=号)")
_STEM_AFTER = re.compile(rf"(\d+)号([{_STEM}])(?!栋|幢|座|楼|单元|门)")
_SAID = re.compile(
    r"(?:([一二两三四五六七八九])千)?(?:零?([一二两三四五六七八九])百)?([零〇])?(?:([一二三四五六七八九]?)十)?([一二三四五六七八九])?"
)

#: What may be rewritten once more, and how often that is tried.
_UNSETTLED = re.compile(f"[附之第{_STEM}{_NUMERALS}]")
_ROUNDS = 8

#: What is in this one way of writing already: nothing below changes it.
_UNTOUCHED = f"(?![{_TRADITIONAL}{_NUMERALS}{_STEM}{''.join(_CHEQUE)}附之第])[一-鿿]"
_PLAIN = re.compile(f"(?:{_UNTOUCHED})(?:{_UNTOUCHED}|[0-9a-mo-z])*")
#: So many addresses are rewritten at once.
_AT_ONCE = 50_000

_APOSTROPHES = re.compile("['\"`´‘’]+")
_ENGLISH_APART = re.compile(r"[\s,.;:]+")


def is_chinese(text: str) -> bool:
    return _CHINESE.search(text) is not None


def normalise(text: str) -> str:
    """An address in one way of writing: half-width, lower case, simplified, numbers as digits, no blanks.

    Text without Chinese characters keeps its words, parted by one blank, and its commas.

    Examples
    --------
    >>> normalise("成府路２８號 三單元")
    '成府路28号3单元'
    >>> normalise("学院路甲5号"), normalise("学院路5号甲"), normalise("乙栋")
    ('学院路5甲号', '学院路5甲号', '2栋')
    >>> normalise("成府路28号之三（原30号）"), normalise("100084 学院路 28 302")
    ('成府路28-3号', '学院路28-302')
    >>> normalise(" 12–14  Main St. ,Apt. 3")
    '12-14 main st, apt 3'
    """
    return normalise_all([text])[0]


def normalise_all(texts: Sequence[str]) -> list[str]:
    """Many addresses at once, as :func:`normalise` has each: far quicker than one by one."""
    done = list(texts)
    odd = [row for row, text in enumerate(texts) if not _PLAIN.fullmatch(text)]
    for start in range(0, len(odd), _AT_ONCE):
        rows = odd[start : start + _AT_ONCE]
        for row, line in zip(rows, _rewritten([texts[row] for row in rows]), strict=True):
            done[row] = line
    return done


def _rewritten(texts: Sequence[str]) -> list[str]:
    """Addresses in one way of writing, all of them in one text, a line each."""
    whole = "\n".join([text.replace("\n", " ") for text in texts])
    if not whole.isascii():
        whole = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", whole).lower()).translate(_TABLE)
    lines = whole.lower().split("\n")
    chinese = [row for row, line in enumerate(lines) if _CHINESE.search(line)]
    if len(chinese) == len(lines):
        return _chinese(whole).split("\n")
    done = [_english(line) for line in lines]
    if chinese:
        rewritten = _chinese("\n".join([lines[row] for row in chinese])).split("\n")
        for row, line in zip(chinese, rewritten, strict=True):
            done[row] = line
    return done


def _english(line: str) -> str:
    marked = _APOSTROPHES.sub("", line)
    return _ENGLISH_APART.sub(lambda found: ", " if "," in found[0] else " ", marked).strip(" ,")


def _chinese(lines: str) -> str:
    """Addresses, a line each, rewritten together; again where one rewriting makes room for another (3之甲栋)."""
    done = _once(lines).split("\n")
    left = [row for row, line in enumerate(done) if _UNSETTLED.search(line)]
    for _ in range(_ROUNDS):
        if not left:
            break
        again = _once("\n".join([done[row] for row in left])).split("\n")
        changed = [row for row, line in zip(left, again, strict=True) if line != done[row]]
        for row, line in zip(left, again, strict=True):
            done[row] = line
        left = changed
    return "\n".join(done)


def _once(lines: str) -> str:
    for pattern, instead in _REWRITING:
        lines = pattern.sub(instead, lines)
    lines = _ON_CHEQUE.sub(lambda found: "".join(_CHEQUE.get(c, c) for c in found[0]), lines)
    lines = _NUMERAL.sub(lambda found: _number(found[0]), lines)
    lines = _ZERO.sub(lambda found: "0" * len(found[0]), lines)
    lines = _BESIDE.sub(r"\1-\2号", lines)
    lines = _STEM_ALONE.sub(lambda found: str(_STEM.index(found[0]) + 1), lines)
    lines = _ORDINAL.sub("", lines)
    lines = _STEM_BEFORE.sub(r"\2\1", lines)
    return _STEM_AFTER.sub(r"\1\2号", lines)


def _number(numeral: str) -> str:
    """Digits of a Chinese numeral below 10,000, said (二十三) or spelt (一二〇三); else the numeral itself."""
    if not set(numeral) & set("十百千廿卅"):
        return "".join(_DIGIT[c] for c in numeral)
    said = _SAID.fullmatch(numeral.replace("廿", "二十").replace("卅", "三十"))
    if said is None:
        return numeral
    thousands, hundreds, zero, tens, ones = said.groups()
    if ones and (hundreds or thousands) and tens is None and zero is None:
        return numeral  # 一百二 may be 102 or 120
    total = 1000 * int(_DIGIT.get(thousands or "", "0")) + 100 * int(_DIGIT.get(hundreds or "", "0"))
    total += 0 if tens is None else 10 * int(_DIGIT.get(tens, "1"))
    return str(total + int(_DIGIT.get(ones or "", "0")))
