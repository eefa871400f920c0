"""DER elements as bytes: read one level at a time, and written.

For structures whose parts must stay byte for byte what they were: certificates, names, and the
identifiers of signers. Indefinite lengths and tag numbers above 30 do not occur in them and are
refused. What is read here must have passed `cpi.crypto.der.check_der`, which bounds its size,
depth and number of elements.

Source: ITU-T X.690 section 8.1.
"""

from dataclasses import dataclass

from cpi.crypto.der import DerRefusedError

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING = 0x01, 0x02, 0x03, 0x04
NULL, OBJECT_IDENTIFIER, UTC_TIME, GENERALIZED_TIME = 0x05, 0x06, 0x17, 0x18
SEQUENCE, SET = 0x30, 0x31
_LONG = 0x80
_CONSTRUCTED = 0x20
_ARC_BITS = 7
_FIRST_ARCS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One element: identifier octet, content octets, and all its octets."""

    tag: int
    content: bytes
    der: bytes

    def children(self) -> "list[Element]":
        """The elements that follow each other in the content.

        Raises:
            DerRefusedError: the content is no sequence of elements.
        """
        found, at = [], 0
        while at < len(self.content):
            element = _element(self.content, at)
            found.append(element)
            at += len(element.der)
        return found


def read_element(der: bytes, tag: int, what: str) -> Element:
    """The one element that `der` is.

    Raises:
        DerRefusedError: it is another one, or other bytes follow.
    """
    element = _element(der, 0)
    if len(element.der) != len(der):
        raise DerRefusedError(f"{len(der) - len(element.der)} bytes follow {what}")
    return expect(element, tag, what)


def expect(element: Element, tag: int, what: str) -> Element:
    """The element itself, if it has this identifier octet.

    Raises:
        DerRefusedError: it has another one.
    """
    if element.tag != tag:
        raise DerRefusedError(f"{what} has tag {element.tag:#04x}, expected {tag:#04x}")
    return element


def members(element: Element, what: str, least: int, most: int | None = None) -> list[Element]:
    """The elements of a SEQUENCE that has between `least` and `most` of them.

    Raises:
        DerRefusedError: it is no SEQUENCE, or has fewer or more; `most` is `least` by default.
    """
    found = expect(element, SEQUENCE, what).children()
    if not least <= len(found) <= (most or least):
        raise DerRefusedError(f"{what} has {len(found)} parts, expected {least}")
    return found


class Fields:
    """The fields of a SEQUENCE or SET, taken from the first one on."""

    def __init__(self, holder: Element, what: str) -> None:
        self._what = what
        self._left = holder.children()[::-1]

    def next(self, tag: int, what: str) -> Element:
        """The next field.

        Raises:
            DerRefusedError: there is none, or one with another identifier octet.
        """
        if not self._left:
            raise DerRefusedError(f"{self._what} ends before {what}")
        return expect(self._left.pop(), tag, what)

    def optional(self, *tags: int) -> Element | None:
        """The next field, if it has one of these identifier octets."""
        return self._left.pop() if self._left and self._left[-1].tag in tags else None

    def end(self) -> None:
        """Check that no field is left.

        Raises:
            DerRefusedError: there is one.
        """
        if self._left:
            raise DerRefusedError(f"{self._what} has an unknown field {self._left[-1].tag:#04x}")


def integer(element: Element) -> int:
    """The number in an INTEGER.

    Raises:
        DerRefusedError: it has no octets.
    """
    if not element.content:
        raise DerRefusedError("a number has no octets")
    return int.from_bytes(element.content, "big", signed=True)


def object_identifier(element: Element) -> str:
    """The dotted text of an OBJECT IDENTIFIER.

    Raises:
        DerRefusedError: it is no such element, or ends inside a number.
    """
    content = expect(element, OBJECT_IDENTIFIER, "an object identifier").content
    arcs, value = list[int](), 0
    for octet in content:
        value = value << _ARC_BITS | octet & 0x7F
        if not octet & _LONG:
            arcs.append(value)
            value = 0
    if not content or content[-1] & _LONG:
        raise DerRefusedError("an object identifier is cut off")
    root = min(arcs[0] // _FIRST_ARCS, 2)
    return ".".join(str(arc) for arc in (root, arcs[0] - root * _FIRST_ARCS, *arcs[1:]))


def bits(element: Element) -> frozenset[int]:
    """The numbers of the bits that a BIT STRING sets, counted from its first one.

    Raises:
        DerRefusedError: it has no octet for its unused bits.
    """
    content = expect(element, BIT_STRING, "a bit string").content
    if not content:
        raise DerRefusedError("a bit string has no octets")
    return frozenset(
        at for at in range(len(content[1:]) * 8) if content[1 + at // 8] & 0x80 >> at % 8
    )


def encode(tag: int, *contents: bytes) -> bytes:
    """An element of an identifier octet and contents."""
    size = sum(map(len, contents))
    if size < _LONG:
        return bytes([tag, size, *b"".join(contents)])
    octets = size.to_bytes(-(-size.bit_length() // 8), "big")
    return b"".join([bytes([tag, _LONG | len(octets)]), octets, *contents])


def encode_integer(number: int) -> bytes:
    """An INTEGER."""
    size = (number if number >= 0 else ~number).bit_length() // 8 + 1
    return encode(INTEGER, number.to_bytes(size, "big", signed=True))


def encode_object_identifier(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER from its dotted text."""
    root, first, *arcs = map(int, dotted.split("."))
    return encode(OBJECT_IDENTIFIER, *(_arc(arc) for arc in (root * _FIRST_ARCS + first, *arcs)))


def _arc(number: int) -> bytes:
    """A number in groups of 7 bits; all but the last have the highest bit set."""
    octets = [number & 0x7F]
    while number := number >> _ARC_BITS:
        octets.append(_LONG | number & 0x7F)
    return bytes(reversed(octets))


def definite(data: bytes) -> bytes:
    """The first value of BER in DER's form: definite lengths, as short as possible, whole strings.

    Bouncy Castle and older tools write key stores in such a form.

    Raises:
        DerRefusedError: the value is cut off.
    """
    return _definite(data, 0)[0]


def _definite(data: bytes, start: int) -> tuple[bytes, int]:
    """The value at `start` and where it ends; the walk before bounded its depth."""
    if len(data) - start < 2:
        raise DerRefusedError(f"a value is cut off at byte {len(data)}")
    tag, size, at = data[start], data[start + 1], start + 2
    if size > _LONG:
        at += size - _LONG
        size = int.from_bytes(data[start + 2 : at], "big")
    elif size == _LONG:
        size = -1
    end = at + size
    if not tag & _CONSTRUCTED:
        return encode(tag, data[at:end]), end
    parts = list[bytes]()
    while at != end and not (size < 0 and data[at : at + 2] == b"\0\0"):
        part, at = _definite(data, at)
        parts.append(part)
    at += 2 if size < 0 else 0
    if tag != _CONSTRUCTED | OCTET_STRING:
        return encode(tag, *parts), at
    segments = [expect(_element(part, 0), OCTET_STRING, "a segment").content for part in parts]
    return encode(OCTET_STRING, *segments), at


def _element(data: bytes, start: int) -> Element:
    if len(data) - start < 2:
        raise DerRefusedError(f"an element is cut off at byte {len(data)}")
    tag, size, at = data[start], data[start + 1], start + 2
    if tag & 0x1F == 0x1F or size == _LONG:
        raise DerRefusedError(f"the element at byte {start} has a form that is not DER")
    if size > _LONG:
        octets = data[at : at + size - _LONG]
        at += size - _LONG
        size = int.from_bytes(octets, "big")
        if size < _LONG or octets[0] == 0:
            raise DerRefusedError(f"the element at byte {start} has a longer length than it needs")
    if at + size > len(data):
        raise DerRefusedError(f"an element is cut off at byte {len(data)}")
    return Element(tag=tag, content=data[at : at + size], der=data[start : at + size])
