"""A zlib stream made the same way everywhere: one deflate block with fixed Huffman codes.

Zlib libraries of different versions compress the same text to different bytes. Where those bytes
become part of a digest, this encoder produces them. Source: RFC 1950, RFC 1951 section 3.2.6.
"""

import zlib

_LENGTH_BASE = (3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99,
                115, 131, 163, 195, 227, 258)  # fmt: skip
_LENGTH_EXTRA = (0,) * 8 + (1,) * 4 + (2,) * 4 + (3,) * 4 + (4,) * 4 + (5,) * 4 + (0,)
_DISTANCE_BASE = (1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769,
                  1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577)  # fmt: skip
_DISTANCE_EXTRA = (0, 0, *(bits for bits in range(14) for _ in range(2)))
_WINDOW = 32_768
_MATCH_MIN, _MATCH_MAX = 4, 258
_CANDIDATES = 16


def compress(data: bytes) -> bytes:
    """A zlib stream of `data`, decoded by any zlib."""
    bits = _Bits()
    bits.put(0b011, 3)
    position = 0
    seen: dict[bytes, list[int]] = {}
    while position < len(data):
        key = data[position : position + _MATCH_MIN]
        places = seen.setdefault(key, [])
        length, distance = _longest(data, position, places)
        if length:
            bits.put_match(length, distance)
        else:
            bits.put_symbol(data[position])
            length = 1
        places.append(position)
        for step in range(position + 1, position + length):
            seen.setdefault(data[step : step + _MATCH_MIN], []).append(step)
        position += length
    bits.put_symbol(256)
    return b"\x78\x01" + bits.finish() + zlib.adler32(data).to_bytes(4, "big")


def _longest(data: bytes, position: int, places: list[int]) -> tuple[int, int]:
    """Length and distance of the longest earlier match, (0, 0) if there is none."""
    best, distance = 0, 0
    limit = min(_MATCH_MAX, len(data) - position)
    if limit < _MATCH_MIN:
        return 0, 0
    for place in reversed(places[-_CANDIDATES:]):
        if position - place > _WINDOW:
            break
        length = _MATCH_MIN
        while length < limit and data[place + length] == data[position + length]:
            length += 1
        if length > best:
            best, distance = length, position - place
    return best, distance


class _Bits:
    """Bits in deflate's order: least significant first, Huffman codes reversed."""

    def __init__(self) -> None:
        self._out = bytearray()
        self._pending = 0
        self._count = 0

    def put(self, value: int, width: int) -> None:
        self._pending |= value << self._count
        self._count += width
        while self._count >= 8:
            self._out.append(self._pending & 0xFF)
            self._pending >>= 8
            self._count -= 8

    def put_code(self, code: int, width: int) -> None:
        self.put(int(f"{code:0{width}b}"[::-1], 2), width)

    def put_symbol(self, symbol: int) -> None:
        if symbol < 144:
            self.put_code(0x30 + symbol, 8)
        elif symbol < 256:
            self.put_code(0x190 + symbol - 144, 9)
        elif symbol < 280:
            self.put_code(symbol - 256, 7)
        else:
            self.put_code(0xC0 + symbol - 280, 8)

    def put_match(self, length: int, distance: int) -> None:
        index = _slot(_LENGTH_BASE, length)
        self.put_symbol(257 + index)
        self.put(length - _LENGTH_BASE[index], _LENGTH_EXTRA[index])
        index = _slot(_DISTANCE_BASE, distance)
        self.put_code(index, 5)
        self.put(distance - _DISTANCE_BASE[index], _DISTANCE_EXTRA[index])

    def finish(self) -> bytes:
        if self._count:
            self._out.append(self._pending & 0xFF)
        return bytes(self._out)


def _slot(bases: tuple[int, ...], value: int) -> int:
    return next(i for i in range(len(bases) - 1, -1, -1) if bases[i] <= value)
