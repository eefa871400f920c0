"""Corda's member X.500 names: attributes, limits, and the canonical text that hashes are made of.

The text is read as Java reads it (`cpi.crypto.name_text`), and the canonical text is Java's: it
quotes a value that holds a special character or two spaces in a row. Builders, verifiers and hosts
share this module, so a name has one text, and one short hash, everywhere.

Stricter than Corda where two names would get one text, or none that can be shown:

- control characters;
- a value in two pairs of quotes, of which Java loses one pair;
- a backslash before a comma or semicolon, or at the end of a value, if an odd number of other
  special characters lies between it and the comma or semicolon before: Java takes the separator
  that follows for an escaped one, or the reverse, and loses the next attribute.

Source: corda-api 5.2 `MemberX500Name`, with which `tests/domain/test_domain_x500_java.py` compares
this module.
"""

import re
from collections.abc import Mapping

from cpi.crypto.name_text import (
    JAVA_WHITE,
    KEYWORDS,
    NAME_CHARACTERS_MAX,
    NameTextError,
    read_name_text,
)

KINDS = ("CN", "OU", "O", "L", "ST", "C")
"""The attributes that a name may have, in canonical order."""
_KIND_OF = {KEYWORDS[kind]: kind for kind in KINDS}
_LENGTH_MAX = {"CN": 64, "OU": 64, "O": 128, "L": 64, "ST": 64}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
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


class MemberNameError(NameTextError):
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
    except NameTextError as error:
        raise MemberNameError(f"X.500 name {text!r}: {error}") from None


def member_name_text(values: Mapping[str, str]) -> str:
    """The canonical text of attributes by their kind."""
    return ", ".join(f"{kind}={_shown(values[kind])}" for kind in KINDS if kind in values)


def _read(text: str) -> Mapping[str, str]:
    values: dict[str, str] = {}
    for part in read_name_text(text):
        if len(part) > 1:
            raise MemberNameError("attributes joined by '+' are not supported")
        oid, value = part[0]
        kind = _KIND_OF.get(oid)
        if kind is None:
            keyword = next((k for k, known in KEYWORDS.items() if known == oid), oid)
            raise MemberNameError(f"attribute {keyword} is not supported")
        if kind in values:
            raise MemberNameError(f"attribute {kind} appears twice")
        values[kind] = _checked(kind, value)
    for kind in ("O", "L", "C"):
        if kind not in values:
            raise MemberNameError(f"attribute {kind} is missing")
    return {kind: values[kind] for kind in KINDS if kind in values}


def _checked(kind: str, java_value: str) -> str:
    """The value that Corda makes of Java's."""
    raw = _printed_and_read(java_value)
    if kind == "C":
        if raw not in _COUNTRIES:
            raise MemberNameError(f"country {raw!r} is no ISO 3166 alpha-2 code")
        return raw
    value = raw.strip(JAVA_WHITE)
    if not value:
        raise MemberNameError(f"attribute {kind} is empty")
    if _CONTROL.search(value):
        raise MemberNameError(f"attribute {kind} has a control character")
    # Java counts UTF-16 units; Corda counts those of O before it trims.
    counted = raw if kind == "O" else value
    if len(counted.encode("utf-16-le")) // 2 >= _LENGTH_MAX[kind]:
        raise MemberNameError(f"{kind} must be shorter than {_LENGTH_MAX[kind]} characters")
    for piece in re.split("[,;]", value):
        if piece.endswith("\\") and _special_characters(piece) % 2:
            raise MemberNameError(f"Java misreads the backslash at the end of {piece!r} in {kind}")
    return value


def _printed_and_read(value: str) -> str:
    """What becomes of a value when Java's `X500Principal` prints it and `LdapName` reads that.

    A value that is in quotes itself is printed as it is and read without them, and one space at its
    end is lost.
    """
    if _in_quotes(value):
        value = value[1:-1]
    if _in_quotes(value.strip(JAVA_WHITE)):
        raise MemberNameError(f"value {value!r} is in two pairs of quotes")
    return value.removesuffix(" ")


def _in_quotes(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] == '"'


def _special_characters(text: str) -> int:
    """How many characters, other than backslashes, Java writes with a backslash before them."""
    return sum(text.count(character) for character in _QUOTED_FOR - {"\\"})


def _shown(value: str) -> str:
    if _QUOTED_FOR.isdisjoint(value) and "  " not in value and value == value.strip(" "):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
