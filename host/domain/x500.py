"""Corda's member X.500 names: parsing, limits and the canonical text that hashes are made of.

Source: corda-api `MemberX500Name`; RFC 4514 for the text form.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from host.domain.errors import InvalidInputError

_ORDER = ("CN", "OU", "O", "L", "ST", "C")
_LENGTH_MAX = {"CN": 64, "OU": 64, "O": 128, "L": 64, "ST": 64}
_SPECIAL = frozenset(',=+<>#;"\\')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NAME_CHARACTERS_MAX = 1024
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
"""ISO 3166-1 alpha-2, and ZZ, which Corda takes for an unspecified country."""


class InvalidX500NameError(InvalidInputError):
    """The text is no member X.500 name."""

    code = "x500-name-invalid"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class MemberX500Name:
    """A member's name: O, L and C are mandatory, CN, OU and ST optional.

    `str()` gives Corda's canonical text, attributes in the order CN, OU, O, L, ST, C.
    """

    organization: str
    locality: str
    country: str
    common_name: str | None = None
    organization_unit: str | None = None
    state: str | None = None

    @staticmethod
    def parse(text: str) -> "MemberX500Name":
        """Parse the RFC 4514 text of a name, attributes in any order.

        Raises:
            InvalidX500NameError: unknown, repeated, missing, empty or overlong attribute.
        """
        return _parsed(text)

    def __str__(self) -> str:
        values = (
            self.common_name,
            self.organization_unit,
            self.organization,
            self.locality,
            self.state,
            self.country,
        )
        return ", ".join(
            f"{key}={_escape(value)}"
            for key, value in zip(_ORDER, values, strict=True)
            if value is not None
        )


@lru_cache(maxsize=1024)
def _parsed(text: str) -> MemberX500Name:
    # Every step of a flow parses its parties' names.
    if len(text) > _NAME_CHARACTERS_MAX:
        raise InvalidX500NameError(f"X.500 name is longer than {_NAME_CHARACTERS_MAX} characters")
    values: dict[str, str] = {}
    for part in _split_unescaped(text):
        key, separator, raw = part.partition("=")
        key = key.strip().upper()
        if not separator or key not in _ORDER:
            raise InvalidX500NameError(
                f"X.500 name {text!r}: attribute {part.strip()!r} is not supported"
            )
        if key in values:
            raise InvalidX500NameError(f"X.500 name {text!r}: attribute {key} appears twice")
        values[key] = _checked(text, key, _unescape(text, raw))
    for key in ("O", "L", "C"):
        if key not in values:
            raise InvalidX500NameError(f"X.500 name {text!r}: attribute {key} is missing")
    return MemberX500Name(
        organization=values["O"],
        locality=values["L"],
        country=values["C"],
        common_name=values.get("CN"),
        organization_unit=values.get("OU"),
        state=values.get("ST"),
    )


def _split_unescaped(text: str) -> list[str]:
    if "\\" not in text:
        return text.split(",")
    parts, start, escaped = [], 0, False
    for index, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ",":
            parts.append(text[start:index])
            start = index + 1
    parts.append(text[start:])
    return parts


def _unescape(text: str, raw: str) -> str:
    if _SPECIAL.isdisjoint(raw):
        return raw.strip()
    result, escaped = [], False
    for character in raw.strip():
        if escaped:
            if character not in _SPECIAL and character != " ":
                raise InvalidX500NameError(f"X.500 name {text!r}: unknown escape \\{character}")
            result.append(character)
            escaped = False
        elif character == "\\":
            escaped = True
        elif character in '=+<>;"':
            raise InvalidX500NameError(
                f"X.500 name {text!r}: character {character!r} must be escaped"
            )
        else:
            result.append(character)
    if escaped:
        raise InvalidX500NameError(f"X.500 name {text!r} ends with an escape")
    return "".join(result)


def _escape(value: str) -> str:
    if _SPECIAL.isdisjoint(value):
        return value
    return "".join(f"\\{c}" if c in _SPECIAL else c for c in value)


def _checked(text: str, key: str, value: str) -> str:
    if not value.strip():
        raise InvalidX500NameError(f"X.500 name {text!r}: attribute {key} is empty")
    if _CONTROL.search(value):
        raise InvalidX500NameError(f"X.500 name {text!r}: attribute {key} has a control character")
    if key == "C":
        if value not in _COUNTRIES:
            raise InvalidX500NameError(
                f"X.500 name {text!r}: country {value!r} is no ISO 3166 alpha-2 code"
            )
    elif len(value) >= _LENGTH_MAX[key]:
        raise InvalidX500NameError(
            f"X.500 name {text!r}: {key} must be shorter than {_LENGTH_MAX[key]} characters"
        )
    return value
