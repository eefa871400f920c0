"""The parts of a core module, as lists: read from its bytes, and written.

Read are modules as linkers of runtimes make them: function types, active element segments of
functions, no data, no start function, no tags; custom sections other than function names are left
out. Functions raise IndexError where the bytes are cut short.
Source: WebAssembly core specification 5.5, appendix A.4.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from sandbox.binary import (
    CODE,
    CUSTOM,
    ELEMENT,
    EXPORT,
    FUNCTION,
    GLOBAL,
    IMPORT,
    MEMORY,
    TABLE,
    TYPE,
    make_number,
    make_section,
    make_signed,
    make_vector,
    read_number,
    read_signed,
    sections_of,
    skip_limits,
    skip_number,
    skip_type,
)
from sandbox.errors import ComponentRefusedError
from sandbox.instructions import skip_instruction

PREAMBLE = b"\0asm\1\0\0\0"
FUNCTIONS, TABLES, MEMORIES, GLOBALS = 0, 1, 2, 3
"""Kinds of what is imported and exported; each has an index space."""

_FUNCTION_TYPE, _END = 0x60, 0x0B
_GLOBAL_GET, _I32_CONSTANT, _I32_ADD = 0x23, 0x41, 0x6A
_CONSTANTS = range(0x41, 0x45)
_NAME, _FUNCTION_NAMES = b"\x04name", 1
_OF_A_TABLE = 2
"""Flags of an active element segment that names its table."""
_Item = TypeVar("_Item")
_READ = frozenset((CUSTOM, TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, ELEMENT, CODE))


class Import(NamedTuple):
    """What a module imports; `kind` is that of the index space to which it adds an item."""

    module: bytes
    name: bytes
    kind: int


class Global(NamedTuple):
    """Value type and mutability, and the constant expression of its value."""

    type: bytes
    value: bytes


class Segment(NamedTuple):
    """An active element segment: the constant expression of its offset, and its functions."""

    table: int
    offset: bytes
    functions: Sequence[int]


@dataclass(slots=True)
class CoreModule:
    """What a module consists of. Indices are the module's own, imports come first.

    Attributes:
        types: the function types, encoded.
        imports: in order.
        functions: the index of the type of each function.
        tables: type and limits of each table.
        memories: the limits of each memory.
        globals: in order.
        exports: name -> kind and index.
        segments: in order.
        bodies: of each function, with its locals.
        names: index of a function -> its name, for backtraces.
    """

    types: list[bytes] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    functions: list[int] = field(default_factory=list)
    tables: list[bytes] = field(default_factory=list)
    memories: list[bytes] = field(default_factory=list)
    globals: list[Global] = field(default_factory=list)
    exports: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    segments: list[Segment] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    names: dict[int, bytes] = field(default_factory=dict)

    def imported(self, kind: int) -> list[Import]:
        """The imports of a kind, in the order of their indices."""
        return [each for each in self.imports if each.kind == kind]

    def encoded(self) -> bytes:
        """The bytes of a module without imports."""
        exports = [
            make_text(name) + bytes((kind,)) + make_number(index)
            for name, (kind, index) in self.exports.items()
        ]
        bodies = [make_number(len(body)) + body for body in self.bodies]
        names = [make_number(index) + make_text(name) for index, name in sorted(self.names.items())]
        return b"".join(
            (
                PREAMBLE,
                make_section(TYPE, make_vector(self.types)),
                make_section(FUNCTION, make_vector([make_number(i) for i in self.functions])),
                make_section(TABLE, make_vector(self.tables)),
                make_section(MEMORY, make_vector(self.memories)),
                make_section(GLOBAL, make_vector([b"".join(each) for each in self.globals])),
                make_section(EXPORT, make_vector(exports)),
                make_section(ELEMENT, make_vector([_segment(each) for each in self.segments])),
                make_section(CODE, make_vector(bodies)),
                make_section(CUSTOM, _NAME + make_section(_FUNCTION_NAMES, make_vector(names))),
            )
        )


def read_module(wasm: bytes) -> CoreModule:
    """The parts of a module.

    Raises:
        ComponentRefusedError: it has a part of another form.
    """
    sections: dict[int, bytes] = {}
    names: dict[int, bytes] = {}
    for kind, section in sections_of(wasm):
        if kind == CUSTOM and section.startswith(_NAME):
            names = _names(section[len(_NAME) :])
        elif kind not in _READ:
            raise ComponentRefusedError(f"runtime: a module has a section of kind {kind}")
        elif kind != CUSTOM:
            sections[kind] = section

    def items(kind: int, read: Callable[[bytes, int], tuple[_Item, int]]) -> list[_Item]:
        return list(items_of(sections.get(kind, b"\0"), read))

    return CoreModule(
        types=items(TYPE, _read_type),
        imports=items(IMPORT, _read_import),
        functions=items(FUNCTION, read_number),
        tables=items(TABLE, _read_table),
        memories=items(MEMORY, _read_memory),
        globals=items(GLOBAL, _read_global),
        exports=dict(items(EXPORT, _read_export)),
        segments=items(ELEMENT, _read_segment),
        bodies=items(CODE, _read_body),
        names=names,
    )


def items_of(
    vector: bytes, read: Callable[[bytes, int], tuple[_Item, int]], position: int = 0
) -> Iterator[_Item]:
    """The items of the vector at a position; `read` answers one and the position behind it."""
    count, position = read_number(vector, position)
    for _ in range(count):
        item, position = read(vector, position)
        yield item


def constant_of(expression: bytes, value_of: Callable[[int], bytes]) -> bytes:
    """A constant expression without globals: a constant alone.

    Args:
        expression: a constant, or a sum of constants and globals of 32 bits.
        value_of: the constant alone that a global is.

    Raises:
        ComponentRefusedError: an expression of another form.
    """
    if expression[0] in _CONSTANTS and skip_instruction(expression, 0) == len(expression) - 1:
        return expression
    stack: list[int] = []
    position = 0
    while expression[position] != _END:
        opcode, start = expression[position], position + 1
        position = skip_instruction(expression, position)
        if opcode == _I32_ADD and len(stack) > 1:
            stack.append(stack.pop() + stack.pop())
            continue
        value = expression[start - 1 :]
        if opcode == _GLOBAL_GET:
            value = value_of(read_number(expression, start)[0])
        if value[0] != _I32_CONSTANT:
            raise ComponentRefusedError(f"runtime: constant expression {expression.hex()}")
        stack.append(read_signed(value, 1)[0])
    if len(stack) != 1:
        raise ComponentRefusedError(f"runtime: constant expression {expression.hex()}")
    return bytes((_I32_CONSTANT, *make_signed((stack[0] + 2**31) % 2**32 - 2**31), _END))


def read_text(data: bytes, position: int) -> tuple[bytes, int]:
    """The name at a position, and the position behind it."""
    size, start = read_number(data, position)
    return data[start : start + size], start + size


def make_text(text: bytes) -> bytes:
    """A name with its size."""
    return make_number(len(text)) + text


def _read_type(section: bytes, position: int) -> tuple[bytes, int]:
    if section[position] != _FUNCTION_TYPE:
        raise ComponentRefusedError("runtime: a type of another kind than functions")
    end = position + 1
    for _ in range(2):  # parameters and results
        count, end = read_number(section, end)
        for _ in range(count):
            end = skip_type(section, end)
    return section[position:end], end


def _read_import(section: bytes, position: int) -> tuple[Import, int]:
    module, position = read_text(section, position)
    name, position = read_text(section, position)
    kind, position = section[position], position + 1
    if kind == FUNCTIONS:
        position = skip_number(section, position)
    elif kind == TABLES:
        position = skip_limits(section, skip_type(section, position))
    elif kind == MEMORIES:
        position = skip_limits(section, position)
    elif kind == GLOBALS:
        position = skip_type(section, position) + 1
    else:
        raise ComponentRefusedError(f"runtime: an import of kind {kind}")
    return Import(module, name, kind), position


def _read_table(section: bytes, position: int) -> tuple[bytes, int]:
    end = skip_limits(section, skip_type(section, position))
    return section[position:end], end


def _read_memory(section: bytes, position: int) -> tuple[bytes, int]:
    end = skip_limits(section, position)
    return section[position:end], end


def _read_global(section: bytes, position: int) -> tuple[Global, int]:
    end = skip_type(section, position) + 1
    value, after = _read_constant(section, end)
    return Global(section[position:end], value), after


def _read_constant(section: bytes, position: int) -> tuple[bytes, int]:
    end = position
    while section[end] != _END:
        end = skip_instruction(section, end)
    return section[position : end + 1], end + 1


def _read_export(section: bytes, position: int) -> tuple[tuple[bytes, tuple[int, int]], int]:
    name, position = read_text(section, position)
    index, end = read_number(section, position + 1)
    return (name, (section[position], index)), end


def _read_segment(section: bytes, position: int) -> tuple[Segment, int]:
    flags, position = read_number(section, position)
    table = 0
    if flags == _OF_A_TABLE:
        table, position = read_number(section, position)
    elif flags != 0:
        raise ComponentRefusedError("runtime: an element segment of another form")
    offset, position = _read_constant(section, position)
    if flags == _OF_A_TABLE:
        position += 1  # the kind, functions
    functions = []
    count, position = read_number(section, position)
    for _ in range(count):
        index, position = read_number(section, position)
        functions.append(index)
    return Segment(table, offset, functions), position


def _read_body(section: bytes, position: int) -> tuple[bytes, int]:
    size, start = read_number(section, position)
    if start + size > len(section):
        raise IndexError
    return section[start : start + size], start + size


def _names(section: bytes) -> dict[int, bytes]:
    for kind, content in sections_of(section, 0):
        if kind == _FUNCTION_NAMES:
            return dict(items_of(content, _read_function_name))
    return {}


def _read_function_name(content: bytes, position: int) -> tuple[tuple[int, bytes], int]:
    index, position = read_number(content, position)
    name, position = read_text(content, position)
    return (index, name), position


def _segment(segment: Segment) -> bytes:
    of_table = (b"\0", b"") if segment.table == 0 else (b"\2" + make_number(segment.table), b"\0")
    functions = make_vector([make_number(index) for index in segment.functions])
    return b"".join((of_table[0], segment.offset, of_table[1], functions))
