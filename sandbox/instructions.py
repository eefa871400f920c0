"""The instructions of a function's body, one after the other, without their meaning.

Functions raise IndexError where the bytes are cut short.
Source: WebAssembly core specification 5.4; proposals for exceptions and multiple memories.
"""

from collections.abc import Callable, Iterator

from sandbox.binary import read_number, skip_number, skip_type
from sandbox.errors import ComponentRefusedError

Skip = Callable[[bytes, int], int]
"""From a body and the position behind an opcode to the position behind its immediates."""


def instructions_of(body: bytes) -> Iterator[tuple[int, int, int]]:
    """Opcode, start and end of each instruction of a function's body, which begins with its locals.

    Raises:
        ComponentRefusedError: an instruction that the sandbox has none of.
    """
    groups, position = read_number(body, 0)
    for _ in range(groups):
        position = skip_type(body, skip_number(body, position))
    while position < len(body):
        start = position
        position = skip_instruction(body, start)
        yield body[start], start, position


def skip_instruction(body: bytes, position: int) -> int:
    """The position behind the instruction at a position.

    Raises:
        ComponentRefusedError: an instruction that the sandbox has none of.
    """
    return _IMMEDIATES[body[position]](body, position + 1)


def _nothing(_: bytes, position: int) -> int:
    return position


def _numbers(count: int) -> Skip:
    def skip(body: bytes, position: int) -> int:
        for _ in range(count):
            position = skip_number(body, position)
        return position

    return skip


def _fixed(size: int) -> Skip:
    return lambda _, position: position + size


def _memory_argument(body: bytes, position: int) -> int:
    alignment, position = read_number(body, position)
    if alignment & 0x40:
        position = skip_number(body, position)
    return skip_number(body, position)


def _block(body: bytes, position: int) -> int:
    is_type = 0x40 <= body[position] < 0x80
    return skip_type(body, position) if is_type else skip_number(body, position)


def _branch_table(body: bytes, position: int) -> int:
    count, position = read_number(body, position)
    for _ in range(count + 1):
        position = skip_number(body, position)
    return position


def _select_types(body: bytes, position: int) -> int:
    count, position = read_number(body, position)
    for _ in range(count):
        position = skip_type(body, position)
    return position


def _try_table(body: bytes, position: int) -> int:
    count, position = read_number(body, _block(body, position))
    for _ in range(count):
        kind = body[position]
        position = _numbers(2 if kind < 2 else 1)(body, position + 1)  # a tag, or catch all
    return position


def _miscellaneous(body: bytes, position: int) -> int:
    code, position = read_number(body, position)
    return _numbers({8: 2, 10: 2, 12: 2, 14: 2}.get(code, 0 if code < 8 else 1))(body, position)


def _vectors(body: bytes, position: int) -> int:
    code, position = read_number(body, position)
    if code <= 11 or code in (92, 93):
        return _memory_argument(body, position)
    if code in (12, 13):
        return position + 16
    if 21 <= code <= 34:
        return position + 1
    if 84 <= code <= 91:
        return _memory_argument(body, position) + 1
    return position


def _unknown(body: bytes, position: int) -> int:
    raise ComponentRefusedError(f"instruction {body[position - 1]:#04x}: the sandbox has none")


_KNOWN: dict[range, Skip] = {
    range(0x02): _nothing, range(0x02, 0x05): _block, range(0x05, 0x06): _nothing,
    range(0x08, 0x09): _numbers(1), range(0x0A, 0x0C): _nothing, range(0x0C, 0x0E): _numbers(1),
    range(0x0E, 0x0F): _branch_table, range(0x0F, 0x10): _nothing, range(0x10, 0x11): _numbers(1),
    range(0x11, 0x12): _numbers(2), range(0x12, 0x13): _numbers(1), range(0x13, 0x14): _numbers(2),
    range(0x14, 0x16): _numbers(1), range(0x1A, 0x1C): _nothing, range(0x1C, 0x1D): _select_types,
    range(0x1F, 0x20): _try_table, range(0x20, 0x27): _numbers(1),
    range(0x28, 0x3F): _memory_argument, range(0x3F, 0x41): _numbers(1),
    range(0x41, 0x43): _numbers(1), range(0x43, 0x44): _fixed(4), range(0x44, 0x45): _fixed(8),
    range(0x45, 0xC5): _nothing, range(0xD0, 0xD1): _numbers(1), range(0xD1, 0xD2): _nothing,
    range(0xD2, 0xD3): _numbers(1), range(0xD3, 0xD5): _nothing, range(0xD5, 0xD7): _numbers(1),
    range(0xFC, 0xFD): _miscellaneous, range(0xFD, 0xFE): _vectors,
}  # fmt: skip
_IMMEDIATES: tuple[Skip, ...] = tuple(
    next((skip for codes, skip in _KNOWN.items() if code in codes), _unknown) for code in range(256)
)
"""The immediates of each opcode."""
