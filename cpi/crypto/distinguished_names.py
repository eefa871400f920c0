"""The names of subjects and issuers in certificates, as Java reads them.

A name is kept as its DER encoding, so that it is never written in another way than it was read.
Any attribute may have any value: Java reads T.61 strings as ISO 8859-1, replaces what a string type
does not allow, and shows values that are no strings by their encoding.

Source: RFC 2253; RFC 5280 section 7.1; Java `sun.security.x509.AVA`, `X500Name`.
"""

import unicodedata
from dataclasses import dataclass
from functools import cached_property

from cpi.crypto.der import check_der
from cpi.crypto.tlv import SEQUENCE, SET, Element, expect, members, object_identifier, read_element

KEYWORDS = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.9": "STREET",
    "0.9.2342.19200300.100.1.25": "DC",
    "0.9.2342.19200300.100.1.1": "UID",
}
"""The attribute types that Java's RFC 2253 text spells by keyword; all others are dotted."""
_CHARSETS = {
    0x0C: "utf-8",
    0x12: "ascii",  # NumericString
    0x13: "ascii",  # PrintableString
    0x14: "latin-1",  # TeletexString (T.61)
    0x16: "ascii",  # IA5String
    0x1A: "ascii",  # VisibleString
    0x1B: "ascii",  # GeneralString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}
"""Character set of each string type, by its identifier octet."""
_ESCAPED = frozenset(',+"\\<>;')
_RFC2253_STRINGS = frozenset({0x0C, 0x13, 0x14, 0x16, 0x1B, 0x1E})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute of a name: its type as dotted text, and its value."""

    kind: str
    value: Element

    @property
    def keyword(self) -> str:
        return KEYWORDS.get(self.kind, self.kind)

    @property
    def text(self) -> str:
        """The value for people to read; `#` and hexadecimal digits if it is no string."""
        charset = _CHARSETS.get(self.value.tag)
        if charset is None:
            return "#" + self.value.der.hex()
        return self.value.content.decode(charset, errors="replace")

    @property
    def rfc2253_value(self) -> str | bytes:
        """The value in Java's RFC 2253 text, before escapes; bytes are the encoding of one without.

        Java decodes the octets of string types as UTF-8 there, whatever type it is, and writes
        values of types without a keyword, and universal strings, by their encoding.
        """
        if self.kind not in KEYWORDS or self.value.tag not in _RFC2253_STRINGS:
            return self.value.der
        return self.value.content.decode(errors="replace")


class DistinguishedName:
    """A name. Names are equal if they differ in case, spacing or string types only, as in Java."""

    def __init__(self, der: bytes) -> None:
        """Read the DER encoding of a Name.

        Raises:
            DerRefusedError: it is none.
        """
        check_der(der)
        self._der = der
        self.rdns = tuple(_rdn(rdn) for rdn in read_element(der, SEQUENCE, "a name").children())
        """Relative distinguished names in the order of the encoding."""

    def public_bytes(self) -> bytes:
        """The DER encoding."""
        return self._der

    def rfc4514_string(self) -> str:
        """The name for people to read, in the reverse order of the encoding."""
        return ",".join("+".join(map(_shown, rdn)) for rdn in reversed(self.rdns))

    @cached_property
    def _canonical(self) -> tuple[frozenset[tuple[str, str]], ...]:
        return tuple(frozenset((a.kind, _folded(a.text)) for a in rdn) for rdn in self.rdns)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DistinguishedName):
            return NotImplemented
        return self._der == other._der or self._canonical == other._canonical

    def __hash__(self) -> int:
        return hash(self._canonical)

    def __repr__(self) -> str:
        return f"<DistinguishedName {self.rfc4514_string()[:200]!r}>"


def _rdn(element: Element) -> tuple[Attribute, ...]:
    return tuple(_attribute(child) for child in expect(element, SET, "an RDN").children())


def _attribute(element: Element) -> Attribute:
    kind, value = members(element, "an attribute of a name", 2)
    return Attribute(kind=object_identifier(kind), value=value)


def _folded(text: str) -> str:
    """As Java compares: compatible forms of characters, case and runs of spaces do not count."""
    compatible = unicodedata.normalize("NFKD", text)
    return " ".join(compatible.upper().lower().split())


def _shown(attribute: Attribute) -> str:
    text = attribute.text
    if attribute.value.tag not in _CHARSETS:
        return f"{attribute.keyword}={text}"
    last = len(text) - 1
    shown = "".join(_escaped(c, at, last) for at, c in enumerate(text))
    return f"{attribute.keyword}={shown}"


def _escaped(character: str, at: int, last: int) -> str:
    if character == "\0":
        return "\\00"
    outer = (character == " " and at in (0, last)) or (character == "#" and at == 0)
    return "\\" + character if outer or character in _ESCAPED else character
