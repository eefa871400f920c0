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
Source: WebAssembly core specification 5.5.
"""

import re

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
)
from sandbox.errors import ComponentRefusedError
from sandbox.instructions import instructions_of

REVISION = 1
"""Version of this module's output; a part of the engine's profile."""
TRAP_NAME = "cordbox_memory_refused"

_GROW_TYPE = bytes((0x60, 1, 0x7F, 1, 0x7F))
"""(func (param i32) (result i32))"""
_MAYBE_GROW = re.compile(rb"\x40(?=([\x80-\xff]{0,9}[\x00-\x7f]))")
"""A lookahead, since matches may overlap: the operand of a false match may contain a real one."""
_GROW = 0x40
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
    return [
        (start, end, read_number(body, start + 1)[0])
        for opcode, start, end in instructions_of(body)
        if opcode == _GROW
    ]


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
