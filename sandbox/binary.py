"""The binary format of modules and components: numbers, vectors, sections, imports.

Functions that read raise IndexError where the bytes are cut short.
Source: WebAssembly core specification 5; component model, Binary.md.
"""

from collections.abc import Iterator

from sandbox.errors import ComponentRefusedError

HEADER_BYTES = 8
CORE_MODULE, NESTED_COMPONENT = 1, 4
"""Sections of a component."""
CUSTOM, TYPE, IMPORT, FUNCTION, MEMORY, EXPORT, CODE = 0, 1, 2, 3, 5, 7, 10
"""Sections of a core module."""


def imports_of(section: bytes) -> tuple[int, int]:
    """How many functions and memories a module imports."""
    count, position = read_number(section, 0)
    functions = memories = 0
    for _ in range(count):
        for _ in range(2):  # names of module and field
            size, position = read_number(section, position)
            position += size
        kind, position = section[position], position + 1
        if kind == 0:
            functions, position = functions + 1, skip_number(section, position)
        elif kind == 1:
            position = skip_limits(section, skip_type(section, position))
        elif kind == 2:
            memories, position = memories + 1, skip_limits(section, position)
        elif kind == 3:
            position = skip_type(section, position) + 1
        elif kind == 4:
            position = skip_number(section, position + 1)
        else:
            raise ComponentRefusedError(f"import of kind {kind}: the sandbox has none")
    return functions, memories


def sections_of(wasm: bytes, position: int = HEADER_BYTES) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each section."""
    while position < len(wasm):
        kind = wasm[position]
        size, start = read_number(wasm, position + 1)
        position = start + size
        if position > len(wasm):
            raise IndexError
        yield kind, wasm[start:position]


def make_section(kind: int, body: bytes) -> bytes:
    """A section."""
    return b"".join((bytes((kind,)), make_number(len(body)), body))


def make_vector(items: list[bytes]) -> bytes:
    """A vector of encoded items."""
    return b"".join((make_number(len(items)), *items))


def appended_to(vector: bytes, items: list[bytes]) -> bytes:
    """`vector` with more items."""
    count, position = read_number(vector, 0)
    return b"".join((make_number(count + len(items)), vector[position:], *items))


def make_number(number: int) -> bytes:
    """An unsigned number in LEB128."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def read_number(data: bytes, position: int) -> tuple[int, int]:
    """The unsigned number at a position, and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ComponentRefusedError(f"number at byte {position}: more than 64 bits")


def skip_number(data: bytes, position: int) -> int:
    """The position behind the number at a position."""
    while data[position] > 0x7F:
        position += 1
    return position + 1


def skip_type(data: bytes, position: int) -> int:
    """A value type: one byte, or a reference with its heap type."""
    return skip_number(data, position + 1) if data[position] in (0x63, 0x64) else position + 1


def skip_limits(data: bytes, position: int) -> int:
    has_maximum = data[position] & 1
    position = skip_number(data, position + 1)
    return skip_number(data, position) if has_maximum else position
