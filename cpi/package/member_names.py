"""Corda's member X.500 names: parsing, limits, and the canonical text that hashes are made of.

Both are Java's, which Corda's names are made of: quoted values, `;` beside `,`, UTF-8 as pairs of
hexadecimal digits and dotted attribute types are read, and the canonical text quotes a value that
holds a special character or two spaces in a row. Builders, verifiers and hosts share this module.
Two texts that Java misreads are treated differently: a value in two pairs of quotes is refused, and
a quoted value that ends with a backslash is accepted.

Source: corda-api `MemberX500Name`; OpenJDK `sun.security.x509.X500Name`, `RDN` and `AVA`, as
`X500Principal` uses them; `javax.naming.ldap.Rdn`.
"""

import re
from collections.abc import Iterator, Mapping

KINDS = ("CN", "OU", "O", "L", "ST", "C")
"""The attributes that a name may have, in canonical order."""
NAME_CHARACTERS_MAX = 1024
_LENGTH_MAX = {"CN": 64, "OU": 64, "O": 128, "L": 64, "ST": 64}
_SYNONYMS = {
    **{kind: kind for kind in KINDS},
    "S": "ST",
    "2.5.4.3": "CN",
    "2.5.4.11": "OU",
    "2.5.4.10": "O",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.6": "C",
}
_JAVA_WHITE = "".join(map(chr, range(0x21)))
"""The characters that Java's `String.trim` removes."""
_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_HEX_PAIRS = re.compile(r"(?:\\[0-9A-Fa-f]{2})+")
_HEX_VALUE = re.compile(r"#(?:0[cC]|13|16)([0-7][0-9A-Fa-f])((?:[0-9A-Fa-f]{2})*)")
"""The DER of a short UTF8String, PrintableString or IA5String."""
_ESCAPABLE_QUOTED = frozenset(',=\n+<>#;\\"')
_ESCAPABLE = _ESCAPABLE_QUOTED | {" "}
_MUST_BE_ESCAPED = frozenset(',+<>;"')
_QUOTED_FOR = frozenset(',+=<>#;\\"')
_COUNTRY_CODES = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ "
    "BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM "
    "DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS "
    "GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN "
    "KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ "
    "MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM "
    "PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV "
    "SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI "
    "VN VU WF WS YE YT ZA ZM ZW ZZ"
)
_COUNTRIES = frozenset(_COUNTRY_CODES.split())
"""ISO 3166-1 alpha-2, and ZZ, which Corda treats as an unspecified country."""


class MemberNameError(ValueError):
    """The text is not a member X.500 name; the message gives the reason."""


def read_member_name(text: str) -> Mapping[str, str]:
    """The attributes of a name by their kind, in canonical order.

    Raises:
        MemberNameError: an attribute is unknown, repeated, missing, empty or overlong.
    """
    if len(text) > NAME_CHARACTERS_MAX:
        raise MemberNameError(f"X.500 name is longer than {NAME_CHARACTERS_MAX} characters")
    try:
        return _read(text)
    except MemberNameError as error:
        raise MemberNameError(f"X.500 name {text!r}: {error}") from None


def member_name_text(values: Mapping[str, str]) -> str:
    """The canonical text of attributes by their kind."""
    return ", ".join(f"{kind}={_shown(values[kind])}" for kind in KINDS if kind in values)


def _read(text: str) -> Mapping[str, str]:
    values: dict[str, str] = {}
    for part in _attributes(text):
        keyword, separator, raw = part.partition("=")
        keyword = keyword.strip(_JAVA_WHITE).upper()
        kind = _SYNONYMS.get(keyword.removeprefix("OID."))
        if not separator or kind is None:
            raise MemberNameError(f"attribute {part.strip()!r} is not supported")
        if kind in values:
            raise MemberNameError(f"attribute {kind} appears twice")
        values[kind] = _checked(kind, _value(raw))
    for kind in ("O", "L", "C"):
        if kind not in values:
            raise MemberNameError(f"attribute {kind} is missing")
    return {kind: values[kind] for kind in KINDS if kind in values}


def _attributes(text: str) -> list[str]:
    """The text between commas and semicolons that are neither escaped nor in quotes."""
    parts, start = [], 0
    escaped = quoted = False
    for index, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character in ",;" and not quoted:
            parts.append(text[start:index])
            start = index + 1
    parts.append(text[start:])
    return parts


def _value(raw: str) -> str:
    raw = raw.lstrip(" \n")
    if raw.startswith("#"):
        value = _hexadecimal(raw.rstrip(" \n"))
    elif raw.startswith('"'):
        value = _quoted(raw)
    else:
        value = _plain(raw)
    # Java prints a value that is in quotes itself as it is, and reads it back without them.
    if _in_quotes(value):
        value = value[1:-1]
    value = value.strip(_JAVA_WHITE)
    if _in_quotes(value):
        raise MemberNameError(f"value {value!r} is in two pairs of quotes")
    return value


def _in_quotes(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] == '"'


def _hexadecimal(raw: str) -> str:
    match = _HEX_VALUE.fullmatch(raw)
    if match is None or int(match[1], 16) * 2 != len(match[2]):
        raise MemberNameError(f"{raw!r} is no hexadecimal value of a string")
    return _utf8(bytes.fromhex(match[2]))


def _quoted(raw: str) -> str:
    close = next(
        (start for start, end, _ in _characters(raw, 1) if raw[start:end] == '"'), len(raw)
    )
    if close == len(raw):
        raise MemberNameError("a quoted value has no end")
    rest = raw[close + 1 :]
    if rest.strip(" \n"):
        raise MemberNameError(f"{rest!r} follows a quoted value")
    return "".join(text for _, _, text in _characters(raw[:close], 1, _ESCAPABLE_QUOTED))


def _plain(raw: str) -> str:
    found = list(_characters(raw, 0))
    for start, end, text in found:
        if end - start == 1 and text in _MUST_BE_ESCAPED:
            raise MemberNameError(f"character {text!r} must be escaped")
    if found and _HEX_PAIRS.match(raw, found[-1][0]):
        # Java drops spaces before pairs at the end of the value, unless they are escaped.
        last = found.pop()
        while found and found[-1][2] == " " and found[-1][1] - found[-1][0] == 1:
            found.pop()
        found.append(last)
    return "".join(text for _, _, text in found)


def _characters(
    raw: str, at: int, escapable: frozenset[str] = _ESCAPABLE
) -> Iterator[tuple[int, int, str]]:
    """Each character from `at` on, as (start, end, what it stands for); pairs in a row as one."""
    while at < len(raw):
        start = at
        pairs = _HEX_PAIRS.match(raw, at)
        if pairs is not None:
            at = pairs.end()
            yield start, at, _utf8(bytes.fromhex(pairs[0].replace("\\", "")))
        elif raw[at] == "\\":
            at += 2
            if raw[start + 1 : at] not in escapable:
                raise MemberNameError(f"unknown escape {raw[start:at]}")
            yield start, at, raw[start + 1]
        else:
            at += 1
            yield start, at, raw[start]


def _utf8(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise MemberNameError(f"hexadecimal pairs {octets.hex()} are not UTF-8") from None


def _checked(kind: str, value: str) -> str:
    if not value.strip():
        raise MemberNameError(f"attribute {kind} is empty")
    if _NOT_TEXT.search(value):
        raise MemberNameError(f"attribute {kind} has a control character or half a character")
    if kind == "C":
        if value not in _COUNTRIES:
            raise MemberNameError(f"country {value!r} is no ISO 3166 alpha-2 code")
    # Java counts UTF-16 units.
    elif len(value.encode("utf-16-le")) // 2 >= _LENGTH_MAX[kind]:
        raise MemberNameError(f"{kind} must be shorter than {_LENGTH_MAX[kind]} characters")
    return value


def _shown(value: str) -> str:
    if _QUOTED_FOR.isdisjoint(value) and "  " not in value and value == value.strip(" "):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
