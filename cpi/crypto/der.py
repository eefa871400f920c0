"""One walk over DER or BER before any library reads it: cost and shape are bounded here.

Libraries decode object identifiers and long integers in quadratic time, follow nesting by
recursion, and join the segments of a constructed string by copying. So every certificate, CMS
block, timestamp, key and PKCS#12 file passes `check_der` first, which reads each tag and length
once, without recursion, and stops at the first excess. What BER allows beyond DER (indefinite
lengths, constructed strings) stays readable: Java's older tools and Bouncy Castle write it.

Wrapped bytes (an OCTET STRING that contains DER again) are a separate structure: their reader must
call `load` for them.

Source: ITU-T X.690 section 8.
"""

from typing import Any, Protocol

OBJECT_IDENTIFIER_BYTES_MAX = 64
INTEGER_BYTES_MAX = 2 * 1024 + 1
"""An RSA modulus of 16384 bits with its sign byte."""
TIME_BYTES_MAX = 64
DEPTH_MAX = 32
SEGMENTS_MAX = 5_000
"""Segments of all constructed strings together: a library copies all previous ones for each."""
_TAG_BYTES_MAX = 4
_LENGTH_BYTES_MAX = 8
_ELEMENTS_FREE = 64
_BYTES_PER_ELEMENT = 4
_INDEFINITE = -1

_CONSTRUCTED = 0x20
_END_OF_CONTENTS = 0x00
_STRINGS = frozenset({0x03, 0x04, 0x0C, 0x12, 0x13, 0x14, 0x16, 0x19, 0x1A, 0x1B, 0x1C, 0x1E})
_BYTES_MAX = {
    0x01: 1,
    0x02: INTEGER_BYTES_MAX,
    0x05: 0,
    0x06: OBJECT_IDENTIFIER_BYTES_MAX,
    0x0A: INTEGER_BYTES_MAX,
    0x0D: OBJECT_IDENTIFIER_BYTES_MAX,
    0x17: TIME_BYTES_MAX,
    0x18: TIME_BYTES_MAX,
}
"""Content bytes of primitive universal types, by their identifier octet."""
_NAMES = {
    0x01: "BOOLEAN",
    0x02: "INTEGER",
    0x05: "NULL",
    0x06: "OBJECT IDENTIFIER",
    0x0A: "ENUMERATED",
    0x0D: "RELATIVE-OID",
    0x17: "UTCTime",
    0x18: "GeneralizedTime",
}


class DerRefusedError(ValueError):
    """The bytes are not a DER or BER value, or exceed a limit; the message gives the position."""


class _Loadable(Protocol):
    """A class of asn1crypto."""

    def load(self, encoded_data: bytes, *, strict: bool) -> Any: ...


def load(kind: _Loadable, data: bytes, *, trailing: bool = False) -> Any:
    """Read a value with a class of asn1crypto, after the walk.

    Args:
        kind: the class, such as `asn1crypto.cms.ContentInfo`.
        data: the encoded value.
        trailing: whether bytes after the value are ignored.

    Raises:
        DerRefusedError: the walk refuses it.
        ValueError: it is no such value.
    """
    check_der(data, trailing=trailing)
    return kind.load(data, strict=not trailing)


def check_der(data: bytes, *, trailing: bool = False) -> None:
    """Walk one value, in time linear in `data`.

    Args:
        data: the encoded value.
        trailing: whether bytes after the value are ignored.

    Raises:
        DerRefusedError: it is damaged or nested too deeply, or has too many or too long elements.
    """
    end = _Walk(data).run()
    if end != len(data) and not trailing:
        raise DerRefusedError(f"{len(data) - end} bytes follow the value that ends at byte {end}")


class _Walk:
    """Open elements are kept as a stack of end offsets; -1 stands for an indefinite length."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._open: list[tuple[int, bool]] = []
        self._left = _ELEMENTS_FREE + len(data) // _BYTES_PER_ELEMENT
        self._segments_left = SEGMENTS_MAX

    def run(self) -> int:
        """Where the value ends."""
        while True:
            self._element()
            while self._open and self._open[-1][0] == self._at:
                self._open.pop()
            if not self._open:
                return self._at

    def _element(self) -> None:
        start = self._at
        first = self._tag()
        size = self._length(first)
        if first == _END_OF_CONTENTS:
            self._close(start, size)
            return
        self._count(start)
        end = self._end(start, size)
        if first & _CONSTRUCTED:
            if len(self._open) >= DEPTH_MAX:
                raise DerRefusedError(f"element at byte {start} is nested deeper than {DEPTH_MAX}")
            self._open.append((end, first & ~_CONSTRUCTED in _STRINGS))
            return
        allowed = _BYTES_MAX.get(first)
        if allowed is not None and size > allowed:
            raise DerRefusedError(
                f"{_NAMES[first]} at byte {start} has {size} bytes, at most {allowed}"
            )
        self._at = end

    def _tag(self) -> int:
        """The identifier octet; further octets of a long tag number are skipped."""
        first = self._byte()
        if first & 0x1F == 0x1F:
            for _ in range(_TAG_BYTES_MAX):
                if not self._byte() & 0x80:
                    return first
            raise DerRefusedError(f"the tag that ends at byte {self._at} is too long")
        return first

    def _length(self, first: int) -> int:
        size = self._byte()
        if size < 0x80:
            return size
        if size == 0x80:
            if not first & _CONSTRUCTED:
                raise DerRefusedError(f"a primitive element at byte {self._at} has no length")
            return _INDEFINITE
        if size & 0x7F > _LENGTH_BYTES_MAX:
            raise DerRefusedError(f"a length at byte {self._at} has {size & 0x7F} bytes")
        octets = self._data[self._at : self._at + (size & 0x7F)]
        self._at += len(octets)
        if len(octets) < size & 0x7F:
            raise self._cut()
        return int.from_bytes(octets, "big")

    def _end(self, start: int, size: int) -> int:
        """The end offset of an element, which must lie inside every enclosing element."""
        if size == _INDEFINITE:
            return _INDEFINITE
        end = self._at + size
        limit = self._open[-1][0] if self._open else len(self._data)
        # Inside an indefinite length, the nearest enclosing definite length is the bound, else the
        # data's end.
        if limit == _INDEFINITE:
            limit = self._limit
        if end > limit:
            raise DerRefusedError(
                f"element at byte {start} ends at byte {end}, what holds it at byte {limit}"
            )
        return end

    @property
    def _limit(self) -> int:
        ends = (end for end, _ in reversed(self._open) if end != _INDEFINITE)
        return next(ends, len(self._data))

    def _close(self, start: int, size: int) -> None:
        ends_one = self._open and self._open[-1][0] == _INDEFINITE and not size
        if not ends_one or self._at > self._limit:
            raise DerRefusedError(f"end-of-contents at byte {start} ends nothing")
        self._open.pop()

    def _count(self, start: int) -> None:
        self._left -= 1
        if self._left < 0:
            raise DerRefusedError(
                f"more elements than one for each {_BYTES_PER_ELEMENT} bytes, up to byte {start}"
            )
        if self._open and self._open[-1][1]:
            self._segments_left -= 1
            if self._segments_left < 0:
                raise DerRefusedError(f"strings of more than {SEGMENTS_MAX} segments")

    def _byte(self) -> int:
        if self._at >= len(self._data):
            raise self._cut()
        self._at += 1
        return self._data[self._at - 1]

    def _cut(self) -> DerRefusedError:
        return DerRefusedError(f"the value is cut off at byte {len(self._data)}")
