"""Texts of X.500 names, read as Java's `X500Principal` reads them. Pure.

Quoted values, `;` beside `,`, `+` between attributes of one part, a backslash before a special
character, UTF-8 as pairs of hexadecimal digits, `#` with the DER of a string, keywords in any case
and dotted object identifiers are read. Stricter than Java where it would lose something:

- half characters (lone surrogates), which Java replaces by `?`;
- bytes that are not text in their encoding, which Java replaces by U+FFFD;
- backslashes before a separator of which Java takes a wrong number for the separator's.

Laxer in one point: a quoted value may end with a backslash. Java writes such values, but does not
read them.

Source: RFC 1779 and RFC 2253; behaviour of Java 17's `X500Principal` and `LdapName`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

NAME_CHARACTERS_MAX = 1024
JAVA_WHITE = "".join(map(chr, range(0x21)))
"""The characters that Java's `String.trim` removes."""
KEYWORDS: Mapping[str, str] = {
    "CN": "2.5.4.3",
    "SURNAME": "2.5.4.4",
    "SERIALNUMBER": "2.5.4.5",
    "C": "2.5.4.6",
    "L": "2.5.4.7",
    "ST": "2.5.4.8",
    "S": "2.5.4.8",
    "STREET": "2.5.4.9",
    "O": "2.5.4.10",
    "OU": "2.5.4.11",
    "T": "2.5.4.12",
    "GIVENNAME": "2.5.4.42",
    "INITIALS": "2.5.4.43",
    "GENERATION": "2.5.4.44",
    "DNQ": "2.5.4.46",
    "DNQUALIFIER": "2.5.4.46",
    "UID": "0.9.2342.19200300.100.1.1",
    "DC": "0.9.2342.19200300.100.1.25",
    "EMAIL": "1.2.840.113549.1.9.1",
    "EMAILADDRESS": "1.2.840.113549.1.9.1",
    "IP": "1.3.6.1.4.1.42.2.11.2.1",
}
"""Java's keywords of attribute types."""
_HALF_CHARACTER = re.compile(r"[\ud800-\udfff]")
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

Attribute: TypeAlias = tuple[str, str]
"""The dotted object identifier of an attribute's type, and its value, which is not trimmed."""


class NameTextError(ValueError):
    """The text is no X.500 name; the message gives the reason."""


def read_name_text(text: str) -> list[list[Attribute]]:
    """The parts of a name in the order of the text, each with its attributes, mostly one.

    Raises:
        NameTextError: the text is too long, or is no X.500 name.
    """
    if len(text) > NAME_CHARACTERS_MAX:
        raise NameTextError(f"X.500 name is longer than {NAME_CHARACTERS_MAX} characters")
    if _HALF_CHARACTER.search(text):
        raise NameTextError("X.500 name has half a character (a lone surrogate)")
    return [[_attribute(one) for one in _split(part, "+")] for part in _split(text, ",;")]


def _attribute(part: str) -> Attribute:
    keyword, separator, raw = part.partition("=")
    if not separator:
        raise NameTextError(
            f"{part.strip()!r} is no attribute such as O=Acme; a value with ',' or ';' needs quotes"
        )
    kind = _type(keyword.strip(JAVA_WHITE).upper())
    if kind is None:
        raise NameTextError(f"attribute {keyword.strip()!r} is not supported")
    return kind, _value(raw)


def _type(keyword: str) -> str | None:
    """The object identifier of a keyword in capitals, or of digits with or without `OID.`."""
    if keyword in KEYWORDS:
        return KEYWORDS[keyword]
    numbers = keyword.removeprefix("OID.").split(".")
    if not numbers[0][:1].isascii() or not all(number.isdecimal() for number in numbers):
        return None
    # Java reads digits of any script, and leading zeros.
    return ".".join(str(int(number)) for number in numbers)


def _split(text: str, separators: str) -> list[str]:
    """The text between separators that are neither escaped nor in quotes."""
    parts, start, looked_at = [], 0, 0
    escaped = quoted = False
    for index, character in enumerate(text):
        if character in separators:
            if not quoted:
                _check_backslashes(text[looked_at:index])
            looked_at = index + 1
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character in separators and not quoted:
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
        raise NameTextError(f"Java misreads the backslashes at the end of {part.strip()!r}")


def _value(raw: str) -> str:
    raw = raw.lstrip(" \n")
    if raw.startswith("#"):
        return _hexadecimal(raw)
    return _quoted(raw).strip(JAVA_WHITE) if raw.startswith('"') else _plain(raw)


def _hexadecimal(raw: str) -> str:
    match = _HEX_VALUE.fullmatch(raw)
    value = None if match is None else _der_text(bytes.fromhex(match[1]))
    if value is None:
        raise NameTextError(f"{raw!r} is no hexadecimal value of a string")
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
        raise NameTextError("a quoted value has no end")
    rest = raw[close + 1 :]
    if rest.strip(" \n"):
        raise NameTextError(f"{rest!r} follows a quoted value")
    return "".join(text for _, _, text in _characters(raw[:close], 1, _ESCAPABLE_QUOTED))


def _plain(raw: str) -> str:
    found = list(_characters(raw, 0))
    for start, end, text in found:
        if end - start == 1 and text in _MUST_BE_ESCAPED:
            raise NameTextError(f"character {text!r} must be escaped")
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
                raise NameTextError(f"unknown escape {raw[start:at]}")
            yield start, at, raw[start + 1]
        else:
            at += 1
            yield start, at, raw[start]


def _decoded(octets: bytes, encoding: str) -> str:
    try:
        return octets.decode(encoding)
    except UnicodeDecodeError:
        raise NameTextError(f"hexadecimal pairs {octets.hex()} are not {encoding}") from None
