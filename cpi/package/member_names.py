"""Corda's member X.500 names: parsing, limits, and the canonical text that hashes are made of.

Both are Java's, which Corda's names are made of: quoted values, `;` beside `,`, UTF-8 as pairs of
hexadecimal digits, `#` with the DER of a string and dotted attribute types are read, and the
canonical text quotes a value that holds a special character or two spaces in a row. Builders,
verifiers and hosts share this module, so a name has one text, and one short hash, everywhere.

Stricter than Java where two names would get one text, or none that can be shown:

- control characters and half characters (lone surrogates);
- bytes that are not text in their encoding, which Java replaces by U+FFFD;
- a value in two pairs of quotes, of which Java loses one pair;
- a backslash before a comma or semicolon, or at the end of a value, if an odd number of other
  special characters lies between it and the comma or semicolon before: Java takes the separator
  that follows for an escaped one, or the reverse, and loses the next attribute.

Laxer in one point: a quoted value may end with a backslash. Java writes such values, but does not
read them.

Source: corda-api 5.2 `MemberX500Name`; behaviour of Java 17's `X500Principal` and `LdapName`, with
which `tests/domain/test_domain_x500_java.py` compares this module.
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
}
_OBJECT_IDENTIFIERS: Mapping[tuple[int, ...], str] = {
    (2, 5, 4, 3): "CN",
    (2, 5, 4, 11): "OU",
    (2, 5, 4, 10): "O",
    (2, 5, 4, 7): "L",
    (2, 5, 4, 8): "ST",
    (2, 5, 4, 6): "C",
}
_JAVA_WHITE = "".join(map(chr, range(0x21)))
"""The characters that Java's `String.trim` removes."""
_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_HEX_PAIRS = re.compile(r"(?:\\[0-9A-Fa-f]{2})+")
_HEX_VALUE = re.compile(r"#((?:[0-9A-Fa-f]{2}){2,})")
_STRING_ENCODINGS = {
    0x0C: "utf-8",  # UTF8String
    0x13: "ascii",  # PrintableString
    0x14: "latin-1",  # TeletexString
    0x16: "ascii",  # IA5String
    0x1B: "ascii",  # GeneralString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}
"""The types of string that Java reads as text, by their tags."""
_LENGTH_OCTETS_MAX = 4
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
        kind = _kind(keyword.strip(_JAVA_WHITE).upper())
        if not separator or kind is None:
            raise MemberNameError(f"attribute {part.strip()!r} is not supported")
        if kind in values:
            raise MemberNameError(f"attribute {kind} appears twice")
        values[kind] = _checked(kind, _value(raw))
    for kind in ("O", "L", "C"):
        if kind not in values:
            raise MemberNameError(f"attribute {kind} is missing")
    return {kind: values[kind] for kind in KINDS if kind in values}


def _kind(keyword: str) -> str | None:
    """The attribute of a keyword in capitals, or of an object identifier with or without `OID.`."""
    if keyword in _SYNONYMS:
        return _SYNONYMS[keyword]
    numbers = keyword.removeprefix("OID.").split(".")
    if not numbers[0][:1].isascii() or not all(number.isdecimal() for number in numbers):
        return None
    return _OBJECT_IDENTIFIERS.get(tuple(map(int, numbers)))


def _attributes(text: str) -> list[str]:
    """The text between commas and semicolons that are neither escaped nor in quotes."""
    parts, start, looked_at = [], 0, 0
    escaped = quoted = False
    for index, character in enumerate(text):
        if character in ",;":
            if not quoted:
                _check_backslashes(text[looked_at:index])
            looked_at = index + 1
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


def _check_backslashes(part: str) -> None:
    """Check the backslashes between the last `,` or `;`, of whatever meaning, and the next.

    Behind two backslashes, Java takes the next for escaped if all of these are an odd number.
    """
    at_end = len(part) - len(part.rstrip("\\"))
    if at_end > 1 and (part.count("\\") - at_end) % 2:
        raise MemberNameError(f"Java misreads the backslashes at the end of {part.strip()!r}")


def _value(raw: str) -> str:
    """The value as Corda gets it from Java, before Corda trims it."""
    raw = raw.lstrip(" \n")
    if raw.startswith("#"):
        value = _hexadecimal(raw)
    elif raw.startswith('"'):
        value = _quoted(raw).strip(_JAVA_WHITE)
    else:
        value = _plain(raw)
    # Java prints a value that is in quotes itself as it is, and reads it back without them.
    if _in_quotes(value):
        value = value[1:-1]
    if _in_quotes(value.strip(_JAVA_WHITE)):
        raise MemberNameError(f"value {value!r} is in two pairs of quotes")
    return value.removesuffix(" ")


def _in_quotes(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] == '"'


def _hexadecimal(raw: str) -> str:
    match = _HEX_VALUE.fullmatch(raw)
    value = None if match is None else _der_text(bytes.fromhex(match[1]))
    if value is None:
        raise MemberNameError(f"{raw!r} is no hexadecimal value of a string")
    return value


def _der_text(der: bytes) -> str | None:
    """The text of a DER string with a definite length; None for anything else."""
    tag, size, start = der[0], der[1], 2
    if size > 0x80:
        start += size - 0x80
        if start > 2 + _LENGTH_OCTETS_MAX:
            return None
        size = int.from_bytes(der[2:start])
    encoding = _STRING_ENCODINGS.get(tag)
    if encoding is None or der[1] == 0x80 or len(der) - start != size:
        return None
    return _decoded(der[start:], encoding)


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
    # Java also drops spaces before pairs at the end of the value.
    at_end = [found.pop()] if found and _HEX_PAIRS.match(raw, found[-1][0]) else []
    while found and found[-1][2] == " " and found[-1][1] - found[-1][0] == 1:
        found.pop()
    found += at_end
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
            yield start, at, _decoded(bytes.fromhex(pairs[0].replace("\\", "")), "utf-8")
        elif raw[at] == "\\":
            at += 2
            if raw[start + 1 : at] not in escapable:
                raise MemberNameError(f"unknown escape {raw[start:at]}")
            yield start, at, raw[start + 1]
        else:
            at += 1
            yield start, at, raw[start]


def _decoded(octets: bytes, encoding: str) -> str:
    try:
        return octets.decode(encoding)
    except UnicodeDecodeError:
        raise MemberNameError(f"hexadecimal pairs {octets.hex()} are not {encoding}") from None


def _checked(kind: str, raw: str) -> str:
    """The value that Corda makes of Java's."""
    if kind == "C":
        if raw not in _COUNTRIES:
            raise MemberNameError(f"country {raw!r} is no ISO 3166 alpha-2 code")
        return raw
    value = raw.strip(_JAVA_WHITE)
    if not value:
        raise MemberNameError(f"attribute {kind} is empty")
    if _NOT_TEXT.search(value):
        raise MemberNameError(f"attribute {kind} has a control character or half a character")
    # Java counts UTF-16 units; Corda counts those of O before it trims.
    counted = raw if kind == "O" else value
    if len(counted.encode("utf-16-le", "surrogatepass")) // 2 >= _LENGTH_MAX[kind]:
        raise MemberNameError(f"{kind} must be shorter than {_LENGTH_MAX[kind]} characters")
    for piece in re.split("[,;]", value):
        if piece.endswith("\\") and _special_characters(piece) % 2:
            raise MemberNameError(f"Java misreads the backslash at the end of {piece!r} in {kind}")
    return value


def _special_characters(text: str) -> int:
    """How many characters, other than backslashes, Java writes with a backslash before them."""
    return sum(text.count(character) for character in _QUOTED_FOR - {"\\"})


def _shown(value: str) -> str:
    if _QUOTED_FOR.isdisjoint(value) and "  " not in value and value == value.strip(" "):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
