"""The binary format of modules and components: numbers, vectors, sections, imports.

Functions that read raise IndexError where the bytes are cut short.
Source: WebAssembly core specification 5; component model, Binary.md.
"""

from collections.abc import Callable, Iterator

from sandbox.errors import ComponentRefusedError

HEADER_BYTES = 8
CORE_MODULE, NESTED_COMPONENT = 1, 4
"""Sections of a component."""
CUSTOM, TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START = 0, 1, 2, 3, 4, 5, 6, 7, 8
ELEMENT, CODE, DATA, DATA_COUNT = 9, 10, 11, 12
"""Sections of a core module."""


def imports_of(section: bytes) -> tuple[int, int]:
    """How many functions and memories a module imports."""
    kinds = [kind for _, kind, _ in each_import(section)]
    return kinds.count(0), kinds.count(2)


def each_import(section: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The field, the kind and the position behind each import of a module."""
    for field, kind, _, end in _imports(section):
        yield field, kind, end


def each_imported(section: bytes, wanted: int) -> Iterator[int]:
    """The positions of the types of those imports of a module that have a kind."""
    return (start for _, kind, start, _ in _imports(section) if kind == wanted)


def _imports(section: bytes) -> Iterator[tuple[bytes, int, int, int]]:
    """The field, the kind, and the positions of the type of and behind each import."""
    count, position = read_number(section, 0)
    for _ in range(count):
        field = b""
        for _ in range(2):  # names of module and field
            size, start = read_number(section, position)
            position = start + size
            field = section[start:position]
        kind, position = section[position], position + 1
        start = position
        if kind == 0:
            position = skip_number(section, position)
        elif kind == 1:
            position = skip_limits(section, skip_type(section, position))
        elif kind == 2:
            position = skip_limits(section, position)
        elif kind == 3:
            position = skip_type(section, position) + 1
        elif kind == 4:
            position = skip_number(section, position + 1)
        else:
            raise ComponentRefusedError(f"import of kind {kind}: the sandbox has none")
        yield field, kind, start, position


def sections_of(wasm: bytes, position: int = HEADER_BYTES) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each section."""
    while position < len(wasm):
        kind = wasm[position]
        size, start = read_number(wasm, position + 1)
        position = start + size
        if position > len(wasm):
            raise IndexError
        yield kind, wasm[start:position]


def with_modules(wasm: bytes, changed: Callable[[bytes], bytes]) -> bytes:
    """A component with each of its core modules changed, those of nested components included."""
    parts = [wasm[:HEADER_BYTES]]
    for kind, body in sections_of(wasm):
        if kind == CORE_MODULE:
            parts.append(make_section(kind, changed(body)))
        elif kind == NESTED_COMPONENT:
            parts.append(make_section(kind, with_modules(body, changed)))
        else:
            parts.append(make_section(kind, body))
    return b"".join(parts)


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


def make_signed(number: int) -> bytes:
    """A signed number in LEB128."""
    out = bytearray()
    while not -0x40 <= number < 0x40:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number & 0x7F))


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


def read_signed(data: bytes, position: int) -> tuple[int, int]:
    """The signed number at a position, and the position behind it."""
    value, end = read_number(data, position)
    bits = 7 * (end - position)
    return value - (1 << bits if data[end - 1] & 0x40 else 0), end


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
