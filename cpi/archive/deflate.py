"""Raw deflate streams that are the same everywhere: one block with dynamic Huffman codes.

Zlib libraries compress the same text to different bytes, by version and by vendor. Where a package
is built from sources, its bytes must not depend on them. This encoder comes within 1 % of zlib's
best level in size. At less than one MB a second, it is meant for the text of a CorDapp.

Source: RFC 1951 sections 3.2.2, 3.2.5 and 3.2.7.
"""

import heapq
from bisect import bisect_right
from collections.abc import Iterator, Sequence

_LENGTH_BASE = (3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99,
                115, 131, 163, 195, 227, 258)  # fmt: skip
_LENGTH_EXTRA = (0,) * 8 + (1,) * 4 + (2,) * 4 + (3,) * 4 + (4,) * 4 + (5,) * 4 + (0,)
_DISTANCE_BASE = (1, 2, *(1 + (half << bits) for bits in range(14) for half in (2, 3)))
_DISTANCE_EXTRA = (0, 0, *(bits for bits in range(14) for _ in range(2)))
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
"""Order of the lengths of the code length codes in the block's header."""

_END = 256
_SYMBOLS, _DISTANCES = 286, 30
_CODE_BITS_MAX, _HEAD_BITS_MAX = 15, 7
_WINDOW = 32_768
_MATCH_MIN, _MATCH_MAX = 3, 258
_FAR = 4_096
"""A match of three bytes from farther away costs more than the bytes themselves."""
_CANDIDATES = 48

_Token = tuple[int, int]
"""A byte and 0, or the length and the distance of a match."""


def deflate(data: bytes) -> bytes:
    """A raw deflate stream of `data`, for any inflater."""
    tokens = list(_tokens(data))
    symbols, distances = [0] * _SYMBOLS, [0] * _DISTANCES
    symbols[_END] = 1
    for value, distance in tokens:
        if distance:
            symbols[_END + bisect_right(_LENGTH_BASE, value)] += 1
            distances[bisect_right(_DISTANCE_BASE, distance) - 1] += 1
        else:
            symbols[value] += 1
    symbol_lengths = _code_lengths(symbols, _CODE_BITS_MAX)
    distance_lengths = _code_lengths(distances, _CODE_BITS_MAX)
    bits = _Bits()
    bits.put(0b101, 3)
    _put_head(bits, symbol_lengths, distance_lengths)
    _put_tokens(bits, tokens, _codes(symbol_lengths), _codes(distance_lengths))
    return bits.finish()


def _tokens(data: bytes) -> Iterator[_Token]:
    """Greedy matches, delayed by one byte where that gives a longer match (lazy matching)."""
    seen: dict[bytes, list[int]] = {}
    position, size = 0, len(data)
    length, distance = _longest(data, 0, seen)
    while position < size:
        _remember(data, position, 1, seen)
        following = _longest(data, position + 1, seen)
        if length == 0 or following[0] > length:
            yield data[position], 0
            position += 1
            length, distance = following
            continue
        yield length, distance
        _remember(data, position + 1, length - 1, seen)
        position += length
        length, distance = _longest(data, position, seen)


def _remember(data: bytes, position: int, count: int, seen: dict[bytes, list[int]]) -> None:
    for place in range(position, position + count):
        seen.setdefault(data[place : place + _MATCH_MIN], []).append(place)


def _longest(data: bytes, position: int, seen: dict[bytes, list[int]]) -> _Token:
    """The longest earlier match and its distance, the nearest of equals; (0, 0) for none."""
    limit = min(_MATCH_MAX, len(data) - position)
    places = seen.get(data[position : position + _MATCH_MIN])
    if limit < _MATCH_MIN or places is None:
        return 0, 0
    best, distance = 0, 0
    for place in reversed(places[-_CANDIDATES:]):
        if position - place > _WINDOW:
            break
        if best and data[place + best] != data[position + best]:
            continue
        length = _MATCH_MIN
        while length < limit and data[place + length] == data[position + length]:
            length += 1
        if length > best:
            best, distance = length, position - place
            if length == limit:
                break
    return (0, 0) if best == _MATCH_MIN and distance > _FAR else (best, distance)


def _code_lengths(counts: Sequence[int], bits_max: int) -> list[int]:
    """Lengths of a Huffman code; at least two symbols get a code, since some inflaters require it.

    Counts are flattened until no code is longer than `bits_max`.
    """
    weights = list(counts)
    for symbol in range(2):
        if sum(1 for weight in weights if weight) < 2:
            weights[symbol] = weights[symbol] or 1
    while True:
        lengths = _huffman(weights)
        if max(lengths) <= bits_max:
            return lengths
        weights = [(weight + 1) // 2 if weight else 0 for weight in weights]


def _huffman(weights: Sequence[int]) -> list[int]:
    heap: list[tuple[int, int, tuple[int, ...]]] = [
        (weight, symbol, (symbol,)) for symbol, weight in enumerate(weights) if weight
    ]
    heapq.heapify(heap)
    lengths = [0] * len(weights)
    while len(heap) > 1:
        one, order, left = heapq.heappop(heap)
        two, _, right = heapq.heappop(heap)
        for symbol in (*left, *right):
            lengths[symbol] += 1
        heapq.heappush(heap, (one + two, order, left + right))
    return lengths


def _codes(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Canonical codes with their lengths, bits reversed as the stream format requires."""
    code, result = 0, [(0, 0)] * len(lengths)
    for bits in range(1, _CODE_BITS_MAX + 1):
        for symbol, length in enumerate(lengths):
            if length == bits:
                result[symbol] = (int(f"{code:0{bits}b}"[::-1], 2), bits)
                code += 1
        code <<= 1
    return result


def _put_head(bits: "_Bits", symbols: Sequence[int], distances: Sequence[int]) -> None:
    symbols, distances = _trimmed(symbols, _END + 1), _trimmed(distances, 1)
    runs = list(_runs([*symbols, *distances]))
    counts = [0] * len(_ORDER)
    for code, _, _ in runs:
        counts[code] += 1
    lengths = _code_lengths(counts, _HEAD_BITS_MAX)
    ordered = _trimmed([lengths[code] for code in _ORDER], 4)
    bits.put(len(symbols) - _END - 1, 5)
    bits.put(len(distances) - 1, 5)
    bits.put(len(ordered) - 4, 4)
    for length in ordered:
        bits.put(length, 3)
    codes = _codes(lengths)
    for code, extra, width in runs:
        bits.put(*codes[code])
        bits.put(extra, width)


def _trimmed(lengths: Sequence[int], size_min: int) -> list[int]:
    """Without zeros at the end, but not shorter than `size_min`."""
    size = max((i + 1 for i, length in enumerate(lengths) if length), default=0)
    return list(lengths[: max(size, size_min)])


def _runs(lengths: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Code lengths with their repetitions: code, extra bits, how many extra bits."""
    position = 0
    while position < len(lengths):
        value = lengths[position]
        end = position
        while end < len(lengths) and lengths[end] == value:
            end += 1
        count = end - position
        position = end
        if value:
            yield value, 0, 0
            count -= 1
        while count >= 3:
            if value:
                step = min(count, 6)
                yield 16, step - 3, 2
            elif count <= 10:
                step = count
                yield 17, step - 3, 3
            else:
                step = min(count, 138)
                yield 18, step - 11, 7
            count -= step
        yield from ((value, 0, 0) for _ in range(count))


def _put_tokens(
    bits: "_Bits",
    tokens: Sequence[_Token],
    symbols: Sequence[tuple[int, int]],
    distances: Sequence[tuple[int, int]],
) -> None:
    for value, distance in tokens:
        if not distance:
            bits.put(*symbols[value])
            continue
        slot = bisect_right(_LENGTH_BASE, value) - 1
        bits.put(*symbols[_END + 1 + slot])
        bits.put(value - _LENGTH_BASE[slot], _LENGTH_EXTRA[slot])
        slot = bisect_right(_DISTANCE_BASE, distance) - 1
        bits.put(*distances[slot])
        bits.put(distance - _DISTANCE_BASE[slot], _DISTANCE_EXTRA[slot])
    bits.put(*symbols[_END])


class _Bits:
    """Bits in deflate's order, least significant first."""

    def __init__(self) -> None:
        self._out = bytearray()
        self._pending = 0
        self._count = 0

    def put(self, value: int, width: int) -> None:
        self._pending |= value << self._count
        self._count += width
        if self._count >= 64:
            self._out += (self._pending & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "little")
            self._pending >>= 64
            self._count -= 64

    def finish(self) -> bytes:
        return bytes(self._out) + self._pending.to_bytes((self._count + 7) // 8, "little")
