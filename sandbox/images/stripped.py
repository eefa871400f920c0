"""A pinned runtime without the content of its memory, and that content.

An image replaces the whole memory of an instance, so copying the runtime's data segments into it,
15 MB, would be in vain. They are taken out of the runtime, and make up the memory's initial
content, from which images are made.

The rest of an instance's state must not change, for an image holds none of it. Therefore
- every global but the stack pointer becomes immutable, so that the compiler refuses code that sets
  one. In a runtime only the linker's module `__init` does, in a function that nothing refers to:
  such functions become `unreachable`;
- no instruction may change a table, and no function may run at instantiation.

The stack pointer is where it was after a call that returned: each compiled function puts it back.
No index of a module moves.
Source: WebAssembly core specification 5.4, 5.5.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from sandbox.binary import (
    CODE,
    CORE_MODULE,
    CUSTOM,
    DATA,
    DATA_COUNT,
    ELEMENT,
    EXPORT,
    GLOBAL,
    HEADER_BYTES,
    IMPORT,
    MEMORY,
    NESTED_COMPONENT,
    START,
    TABLE,
    each_import,
    imports_of,
    make_number,
    make_section,
    make_vector,
    read_number,
    read_signed,
    sections_of,
    skip_type,
    with_modules,
)
from sandbox.errors import ComponentRefusedError
from sandbox.instructions import instructions_of, skip_instruction

PAGE_BYTES = 65_536
STACK_POINTER = b"__stack_pointer"

_UNREACHABLE = b"\x00\x00\x0b"
"""A body without locals: `unreachable`, `end`."""
_TABLE_SET, _PREFIX = 0x26, 0xFC
_TABLE_CODES = frozenset((12, 13, 14, 15, 17))
"""Behind the prefix: table.init, elem.drop, table.copy, table.grow, table.fill."""
_TABLES_MAX = 8
_MAY_CHANGE_TABLE = re.compile(
    rb"\x26(?:[\x00-\x07]|[\x80-\x87]\x80*\x00)|\xfc(?:[\x0c-\x11]|[\x8c-\x91]\x80*\x00)"
)
"""The bytes of such an instruction numbers in each of their encodings, for 8 tables."""
_KIND_TABLE, _KIND_GLOBAL = 1, 3
_CALL, _TAIL_CALL, _FUNCTION_REFERENCE = 0x10, 0x12, 0xD2


def strip_runtime(component: bytes) -> bytes:
    """The runtime without its data segments; the rest of its state, memory apart, is constant.

    Raises:
        ComponentRefusedError: instances of it have more state than their memory.
    """
    try:
        return with_modules(component, _module)
    except IndexError as exc:
        raise ComponentRefusedError("runtime: cut short") from exc


def initial_memory(component: bytes) -> bytes:
    """The content of the runtime's memory when it is instantiated, whole pages of 64 KiB.

    Raises:
        ComponentRefusedError: it has no memory, or several, or data without a constant place.
    """
    memory: bytearray | None = None
    try:
        for module in _modules(component):
            content = {kind: body for kind, body in sections_of(module) if kind != CUSTOM}
            if MEMORY in content:
                if memory is not None:
                    raise ComponentRefusedError("runtime: more than one memory")
                memory = bytearray(_memory_bytes(content[MEMORY]))
                for offset, data in _segments(content.get(DATA, b"\0")):
                    if offset + len(data) > len(memory):
                        raise ComponentRefusedError("runtime: a data segment outside of its memory")
                    memory[offset : offset + len(data)] = data
            elif DATA in content:
                raise ComponentRefusedError("runtime: data of a module without a memory of its own")
    except IndexError as exc:
        raise ComponentRefusedError("runtime: cut short") from exc
    if memory is None:
        raise ComponentRefusedError("runtime: has no memory")
    return bytes(memory)


def _modules(wasm: bytes) -> Iterator[bytes]:
    """Every core module of a component, those of nested components included, in order."""
    for kind, body in sections_of(wasm):
        if kind == CORE_MODULE:
            yield body
        elif kind == NESTED_COMPONENT:
            yield from _modules(body)


def _module(wasm: bytes) -> bytes:
    sections = list(sections_of(wasm))
    content = {kind: body for kind, body in sections if kind != CUSTOM}
    if START in content:
        raise ComponentRefusedError("runtime: a function runs when it is instantiated")
    imports = content.get(IMPORT, b"\0")
    tables = [kind for _, kind, _ in each_import(imports)].count(_KIND_TABLE)
    if tables + read_number(content.get(TABLE, b"\0"), 0)[0] > _TABLES_MAX:
        raise ComponentRefusedError(f"runtime: more than {_TABLES_MAX} tables of one module")
    imported = imports_of(imports)[0]
    changed: Mapping[int, Callable[[bytes], bytes]] = {
        IMPORT: _constant_imports,
        GLOBAL: lambda body: _constant_globals(body, _stack_pointers(content)),
        CODE: lambda body: _code(body, _reached(content, imported)),
    }
    parts = [wasm[:HEADER_BYTES]]
    for kind, body in sections:
        if kind not in {DATA, DATA_COUNT}:
            change = changed.get(kind)
            parts.append(make_section(kind, change(body) if change else body))
    return b"".join(parts)


def _memory_bytes(section: bytes) -> int:
    """The declared size of a module's memory."""
    count, position = read_number(section, 0)
    if count != 1 or section[position] not in {0, 1}:
        raise ComponentRefusedError("runtime: expected one memory, of 32 bits and not shared")
    return read_number(section, position + 1)[0] * PAGE_BYTES


def _segments(section: bytes) -> Iterator[tuple[int, bytes]]:
    """Offset and content of each data segment."""
    count, position = read_number(section, 0)
    for _ in range(count):
        flags, position = read_number(section, position)
        if flags != 0 or section[position] != 0x41:  # i32.const
            raise ComponentRefusedError("runtime: a data segment without a constant place")
        offset, position = read_signed(section, position + 1)
        if section[position] != 0x0B:  # end
            raise ComponentRefusedError("runtime: a data segment without a constant place")
        size, start = read_number(section, position + 1)
        position = start + size
        yield offset % 2**32, section[start:position]


def _stack_pointers(content: dict[int, bytes]) -> frozenset[int]:
    """The indices of the globals that are exported as the stack pointer."""
    section = content.get(EXPORT, b"\0")
    count, position = read_number(section, 0)
    found = set()
    for _ in range(count):
        size, start = read_number(section, position)
        kind = section[start + size]
        index, position = read_number(section, start + size + 1)
        if kind == _KIND_GLOBAL and section[start : start + size] == STACK_POINTER:
            found.add(index)
    return frozenset(found)


def _constant_imports(section: bytes) -> bytes:
    """The imports, of which no global but the stack pointer is mutable."""
    out = bytearray(section)
    for name, kind, end in each_import(section):
        if kind == _KIND_GLOBAL and name != STACK_POINTER:
            out[end - 1] = 0
    return bytes(out)


def _constant_globals(section: bytes, kept: frozenset[int]) -> bytes:
    """The globals, of which only `kept` may be mutable; no global of a runtime is imported too."""
    out = bytearray(section)
    count, position = read_number(section, 0)
    for index in range(count):
        position = skip_type(section, position)
        if index not in kept:
            out[position] = 0
        position += 1
        while section[position] != 0x0B:  # end
            position = skip_instruction(section, position)
        position += 1
    return bytes(out)


def _code(section: bytes, reached: frozenset[int] | None) -> bytes:
    """The bodies; those that nothing reaches are `unreachable`. `reached` is None for all."""
    bodies = []
    for index, body in enumerate(_bodies(section)):
        _check_tables(body)
        kept = body if reached is None or index in reached else _UNREACHABLE
        bodies.append(make_number(len(kept)) + kept)
    return make_vector(bodies)


def _bodies(section: bytes) -> Iterator[bytes]:
    count, position = read_number(section, 0)
    for _ in range(count):
        size, start = read_number(section, position)
        position = start + size
        yield section[start:position]


def _check_tables(body: bytes) -> None:
    if _MAY_CHANGE_TABLE.search(body) is None:
        return
    for opcode, start, _ in instructions_of(body):
        if opcode == _TABLE_SET or (
            opcode == _PREFIX and read_number(body, start + 1)[0] in _TABLE_CODES
        ):
            raise ComponentRefusedError("runtime: an instruction changes a table")


def _reached(content: dict[int, bytes], imported: int) -> frozenset[int] | None:
    """The module's own functions that something may call, from 0; None if all may be called."""
    if read_number(content.get(EXPORT, b"\0"), 0)[0]:
        return None
    entries = _entries(content.get(ELEMENT, b"\0"))
    if entries is None:
        return None
    bodies = list(_bodies(content[CODE]))
    reached: set[int] = set()
    ahead = [index - imported for index in entries if index >= imported]
    while ahead:
        index = ahead.pop()
        if index not in reached:
            reached.add(index)
            ahead += [called - imported for called in _calls(bodies[index]) if called >= imported]
    return frozenset(reached)


def _calls(body: bytes) -> Iterator[int]:
    for opcode, start, _ in instructions_of(body):
        if opcode in {_CALL, _TAIL_CALL, _FUNCTION_REFERENCE}:
            yield read_number(body, start + 1)[0]


def _entries(section: bytes) -> list[int] | None:
    """The functions in element segments; None where these are of another form than the linker's."""
    count, position = read_number(section, 0)
    found: list[int] = []
    for _ in range(count):
        flags, position = read_number(section, position)
        if flags != 0:
            return None
        while section[position] != 0x0B:  # end of the offset
            position = skip_instruction(section, position)
        functions, position = read_number(section, position + 1)
        for _ in range(functions):
            index, position = read_number(section, position)
            found.append(index)
    return found
