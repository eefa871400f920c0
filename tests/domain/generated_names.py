"""Texts of X.500 names, most of them odd: what the grammar allows and forbids, in random order."""

import random


def _words(text: str, *others: str) -> list[str]:
    return [*text.split(), *others]


KEYWORDS = _words(
    "CN OU O L ST C cn o c oU S s 2.5.4.10 OID.2.5.4.7 oid.2.5.4.6 2.5.4.3 2.5.4.11 2.5.4.8 2.5.4.010 2.5.04.7 "
    "DC E EMAILADDRESS STREET T UID SERIALNUMBER DNQ GIVENNAME SURNAME IP SP STATE OID.O OID. 2.5.4 2.5.4.6. "
    "OID.OID.2.5.4.10 1.2.840.113549.1.9.1 \u039f \u017ft \u0131p l. O.O 2.5.4.+10 \uff12.5.4.10",
    "",
    " O",
    "O ",
    "O\t",
    "O\xa0",
    "O O",
    "2.5.4.6 ",
)
COUNTRIES = _words(
    'GB US DE ZZ gb XX GBR UK "GB" #13024742 #0C024742 #1303474220 \\47\\42 G\\42 GB\\0A GB\\20 AN CS SU XK AQ EU',
    " GB ",
    '" GB "',
    "GB\\ ",
    "\\ GB",
    "GB\n",
    "\tGB",
    '\\"GB\\"',
    "GB\\ \\ ",
)
DER = _words(
    "#13034c6f6e #0C00 #1303 #16024142 #1E0400410042 #1E03004100 #1402E4E5 #1602E4E5 #1302C3BC #1402C3BC #0201ff #0500 "
    "#3003020101 #030100 #0C02C3BC #0C02FFFF #1C0400000041 #1C04FFFFFFFF #1B024142 #1A024142 #12023132 #170141 "
    "#0c81024142 #0c8200024142 #0c840000000241 #0c85000000000241 #0c804142 # #4 #41 #13024142x #130241421 "
    "#1302414243 #13034142 #13035C2C41 #0C0122 #0C03224122 #0C03206120 #0C020A41 #0C055C225C2242 #2403040141",
    "# 13024142",
    "#13 024142",
    "#13024142 ",
    "#13024142\n",
)
PLAIN = [*"abcXYZ019 .-_'()/:?&*@!~^%$[]{}|`", "London", "Acme", "ü", "é", "株", "東京", "😀"]
ODD = list(
    " \t\n\r\x0b\x0c\xa0\u2003\u3000\x85\x7f\x00\x1f\x1cßİ\u0131Å\u212bﬁ\ufeff\u200b\u202e\uffff\u0301"
)
ODD += ["  ", "   ", "\ud800", "\udc00"]
SPECIAL = _words(
    ', ; + = < > # " \\ '
    '"" \\\\ \\" \\, \\; \\+ \\= \\< \\> \\# \\n \\x \\C3\\BC \\c3\\bc \\C3 \\FF \\20 \\2C \\22 \\5C \\0A \\00 '
    "\\E6\\9D\\B1 \\F0\\9F\\98\\80 \\ED\\A0\\80 \\C0\\80 \\EF\\BB\\BF \\4 \\G1 #1 #0C0141",
    "\\ ",
    "\\\n",
    " #",
    ", ",
    "; ",
)


def names(count: int, seed: int) -> list[str]:
    """`count` texts, the same for the same seed."""
    source = random.Random(seed)
    return [_name(source) for _ in range(count)]


def _name(source: random.Random) -> str:
    if source.random() < 0.02:
        return "".join(source.choices(PLAIN + SPECIAL + KEYWORDS, k=source.randint(0, 12)))
    keywords = ["O", "L", "C"]
    if source.random() < 0.35:
        keywords += source.choices(["CN", "OU", "ST", "S"], k=source.randint(1, 3))
    source.shuffle(keywords)
    hostile = source.randrange(len(keywords))
    parts = [_attribute(source, k, hostile=at == hostile) for at, k in enumerate(keywords)]
    text = parts[0] + "".join(_separator(source) + part for part in parts[1:])
    if source.random() < 0.06:
        text = source.choice([" ", ",", ";", "\n", "\t", "\\"]) + text
    if source.random() < 0.06:
        text += source.choice([" ", ",", ";", "+", "\n", "\t", "\\", ", ", '"'])
    return text


def _attribute(source: random.Random, keyword: str, *, hostile: bool) -> str:
    if keyword == "C":
        value = source.choice(COUNTRIES) if hostile else "GB"
    elif hostile or source.random() < 0.2:
        value = _value(source)
    else:
        value = source.choice(["Alice", "London", "A", "Two Words"])
    sign = "="
    if source.random() < 0.1:
        keyword = source.choice(KEYWORDS)
    elif source.random() < 0.1:
        sign = source.choice([" = ", " =", "= ", "\t=", "=\n", "==", ""])
    return keyword + sign + value


def _separator(source: random.Random) -> str:
    if source.random() < 0.75:
        return ", "
    return source.choice([",", ";", "; ", " , ", " ;\n", ",\t", ",\x0b", ",,", "+", " + "])


def _value(source: random.Random) -> str:
    kind = source.random()
    if kind < 0.3:
        return "".join(source.choices(PLAIN, k=source.randint(1, 8)))
    if kind < 0.36:
        return source.choice(DER)
    if kind < 0.42:
        return _long(source)
    hostile = source.random() < 0.3
    pool = PLAIN * 2 + SPECIAL * 3 + (ODD if hostile else [" ", "  "])
    body = "".join(source.choices(pool, k=source.choice([0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8])))
    if kind < 0.6:
        return f'"{body}"' + source.choice(["", "", " ", "  ", "x", "\n", "\t", '"'])
    return source.choice(["", " ", "  ", "\n"]) + body + source.choice(["", "", " ", "  "])


def _long(source: random.Random) -> str:
    unit, size = source.choice(
        [("a", 1), ("ü", 1), ("😀", 2), ("a ", 2), ("\\,", 1), ("\\C3\\BC", 1)]
    )
    body = unit * (source.choice([62, 63, 64, 65, 126, 127, 128, 129]) // size)
    return source.choice([body, f'"{body}"', f" {body} ", f"{body}\t", f"{body}\\ "])
