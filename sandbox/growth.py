"""Makes refused growth of a memory end the run: `memory.grow` traps where it would answer -1.

By the standard a program gets an error when its memory cannot grow, and may continue. Its further
behaviour then depends on the limit and on the host's free memory, so that two hosts could reach
different verdicts; running out of fuel or stack has no such effect, since it traps. The engine has
no setting for this, so before compilation each `memory.grow` of a contract is replaced by a call of
a function that is added to its module:

    (func $cordbox_memory_refused (param i32) (result i32)
      local.get 0  memory.grow  local.tee 0  i32.const -1  i32.eq
      if  unreachable  end
      local.get 0)

The function's name distinguishes this trap from others. Only functions whose bytes could contain
the instruction are decoded; nothing else is changed, and no index of the module moves.
Source: WebAssembly core specification 5.4, 5.5; proposals for exceptions and multiple memories.
"""

import re
from collections.abc import Callable

from sandbox.binary import (
    CODE,
    CORE_MODULE,
    CUSTOM,
    FUNCTION,
    HEADER_BYTES,
    IMPORT,
    MEMORY,
    NESTED_COMPONENT,
    TYPE,
    appended_to,
    imports_of,
    make_number,
    make_section,
    make_vector,
    read_number,
    sections_of,
    skip_number,
    skip_type,
)
from sandbox.errors import ComponentRefusedError

REVISION = 1
"""Version of this module's output; a part of the engine's profile."""
TRAP_NAME = "cordbox_memory_refused"

_GROW_TYPE = bytes((0x60, 1, 0x7F, 1, 0x7F))
"""(func (param i32) (result i32))"""
_MAYBE_GROW = re.compile(rb"\x40(?=([\x80-\xff]{0,9}[\x00-\x7f]))")
"""A lookahead, since matches may overlap: the operand of a false match may contain a real one."""
_NAME = b"\x04name"
_FUNCTION_NAMES = 1


def trap_refused_growth(component: bytes) -> bytes:
    """`component`, all nested modules included, with refused growth as a trap.

    Raises:
        ComponentRefusedError: it is truncated, or contains an instruction that the engine does not
            support.
    """
    try:
        return _component(component)
    except IndexError as exc:
        raise ComponentRefusedError("component: cut short") from exc


def _component(wasm: bytes) -> bytes:
    parts = [wasm[:HEADER_BYTES]]
    for kind, body in sections_of(wasm):
        if kind == CORE_MODULE:
            parts.append(make_section(kind, _module(body)))
        elif kind == NESTED_COMPONENT:
            parts.append(make_section(kind, _component(body)))
        else:
            parts.append(make_section(kind, body))
    return b"".join(parts)


def _module(wasm: bytes) -> bytes:
    sections = list(sections_of(wasm))
    found = {kind: body for kind, body in sections if kind != CUSTOM}
    imported_functions, imported_memories = imports_of(found.get(IMPORT, b"\0"))
    memories = imported_memories + read_number(found.get(MEMORY, b"\0"), 0)[0]
    code = found.get(CODE, b"\0")
    functions = imported_functions + read_number(code, 0)[0]
    bodies, grown = _rewritten(code, memories, functions)
    if not grown:
        return wasm
    types = read_number(found[TYPE], 0)[0]
    changed = {
        TYPE: appended_to(found[TYPE], [_GROW_TYPE]),
        FUNCTION: appended_to(found[FUNCTION], [make_number(types)] * len(grown)),
        CODE: make_vector(
            [make_number(len(body)) + body for body in (*bodies, *map(_helper, grown))]
        ),
    }
    names = [(functions + i, TRAP_NAME.encode()) for i in range(len(grown))]
    parts = [wasm[:HEADER_BYTES]]
    kept_names = b""
    for kind, body in sections:
        if kind == CUSTOM and body.startswith(_NAME):
            kept_names = body[len(_NAME) :]
        else:
            parts.append(make_section(kind, changed.get(kind, body)))
    parts.append(make_section(CUSTOM, _NAME + _named(kept_names, names)))
    return b"".join(parts)


def _rewritten(code: bytes, memories: int, functions: int) -> tuple[list[bytes], list[int]]:
    """The bodies of a code section, and the memories that they grow, in order of their helpers."""
    count, position = read_number(code, 0)
    bodies: list[bytes] = []
    grown: list[int] = []
    for _ in range(count):
        size, start = read_number(code, position)
        position = start + size
        body = code[start:position]
        if len(body) < size:
            raise IndexError
        places = _growths(body) if _may_grow(body, memories) else []
        bodies.append(_calling(body, places, grown, functions))
    return bodies, grown


def _may_grow(body: bytes, memories: int) -> bool:
    """Whether the bytes contain, or might contain, a `memory.grow` of one of the memories."""
    return any(read_number(found[1], 0)[0] < memories for found in _MAYBE_GROW.finditer(body))


def _calling(
    body: bytes, places: list[tuple[int, int, int]], grown: list[int], functions: int
) -> bytes:
    parts, at = [], 0
    for start, end, memory in places:
        if memory not in grown:
            grown.append(memory)
        parts += [body[at:start], b"\x10", make_number(functions + grown.index(memory))]
        at = end
    return b"".join((*parts, body[at:]))


def _growths(body: bytes) -> list[tuple[int, int, int]]:
    """Start, end and memory of each `memory.grow` in a function's body."""
    groups, position = read_number(body, 0)
    for _ in range(groups):
        position = skip_type(body, skip_number(body, position))
    found = []
    while position < len(body):
        opcode, start = body[position], position
        if opcode == 0x40:
            memory, position = read_number(body, position + 1)
            found.append((start, position, memory))
        else:
            position = _IMMEDIATES[opcode](body, position + 1)
    return found


def _helper(memory: int) -> bytes:
    """The body of the function that grows `memory`, as in this module's docstring."""
    refused = b"\x22\x00\x41\x7f\x46\x04\x40\x00\x0b"
    return b"".join((b"\x00\x20\x00\x40", make_number(memory), refused, b"\x20\x00\x0b"))


def _named(names: bytes, added: list[tuple[int, bytes]]) -> bytes:
    """A name section's content with added function names; a malformed one is replaced."""
    entries = [make_number(index) + make_number(len(name)) + name for index, name in added]
    try:
        parts, has_functions = [], False
        for kind, body in sections_of(names, 0):
            is_functions = kind == _FUNCTION_NAMES
            parts.append(make_section(kind, appended_to(body, entries) if is_functions else body))
            has_functions = has_functions or is_functions
    except (IndexError, ComponentRefusedError):
        parts, has_functions = [], False
    if not has_functions:
        # Subsections stand in order; the module's own name, 0, is the only one before.
        first = [part for part in parts if part[0] == 0]
        others = [part for part in parts if part[0] != 0]
        parts = [*first, make_section(_FUNCTION_NAMES, make_vector(entries)), *others]
    return b"".join(parts)


Skip = Callable[[bytes, int], int]
"""From a body and the position behind an opcode to the position behind its immediates."""


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
    range(0x28, 0x3F): _memory_argument, range(0x3F, 0x40): _numbers(1),
    range(0x41, 0x43): _numbers(1), range(0x43, 0x44): _fixed(4), range(0x44, 0x45): _fixed(8),
    range(0x45, 0xC5): _nothing, range(0xD0, 0xD1): _numbers(1), range(0xD1, 0xD2): _nothing,
    range(0xD2, 0xD3): _numbers(1), range(0xD3, 0xD5): _nothing, range(0xD5, 0xD7): _numbers(1),
    range(0xFC, 0xFD): _miscellaneous, range(0xFD, 0xFE): _vectors,
}  # fmt: skip
_IMMEDIATES: tuple[Skip, ...] = tuple(
    next((skip for codes, skip in _KNOWN.items() if code in codes), _unknown) for code in range(256)
)
"""The immediates of each opcode."""
