"""Makes refused growth end the run: `memory.grow` and `table.grow` trap where they would answer -1.

By the standard a program gets an error when a memory or table cannot grow, and may continue. Its
further behaviour then depends on the limit and on the host's free memory, so that two hosts could
reach different verdicts; running out of fuel or stack has no such effect, since it traps. There is
no setting for this in the engine. So before compilation each of these instructions of a contract
becomes a call of a function that is added, one for each memory and table that the module grows:

    (func $cordbox_memory_refused (param i32) (result i32)
      local.get 0  memory.grow  local.tee 0  i32.const -1  i32.eq
      if  unreachable  end
      local.get 0)

For a table, the function takes the value of the new elements before their number.

The function's name distinguishes this trap from others. Only functions whose bytes could contain
the instruction are decoded; nothing else is changed, and no index of the module moves.
Source: WebAssembly core specification 5.5.
"""

import re
from typing import NamedTuple

from sandbox.binary import (
    CODE,
    CUSTOM,
    FUNCTION,
    HEADER_BYTES,
    IMPORT,
    MEMORY,
    TABLE,
    TYPE,
    appended_to,
    each_imported,
    imports_of,
    make_number,
    make_section,
    make_vector,
    read_number,
    sections_of,
    skip_limits,
    skip_type,
    with_modules,
)
from sandbox.errors import ComponentRefusedError
from sandbox.instructions import instructions_of

REVISION = 2
"""Version of this module's output, a part of the engine's profile: two receipts with one profile
were made by the same rules. 1 checked `memory.grow` alone, 2 also checks `table.grow`."""
TRAP_NAME = "cordbox_memory_refused"

_I32 = b"\x7f"
_MAYBE_GROW = re.compile(rb"\x40(?=([\x80-\xff]{0,9}[\x00-\x7f]))")
"""A lookahead, since matches may overlap: the operand of a false match may contain a real one."""
_MAYBE_GROW_TABLE = re.compile(rb"\xfc(?:\x0f|\x8f\x80{0,8}\x00)")
"""`table.grow`, whose number may have a long form."""
_GROW, _MISCELLANEOUS, _TABLE_GROW = 0x40, 0xFC, 15
_KIND_TABLE = 1
_TABLE_WITH_VALUE = 0x40
"""The beginning of a table that has an initial value, which the sandbox's engine does not take."""
_NAME = b"\x04name"
_FUNCTION_NAMES = 1


class _Grown(NamedTuple):
    """What a module grows: a memory, or a table of a reference type."""

    number: int
    table_type: bytes | None = None

    def function_type(self) -> bytes:
        """The type of its function, as in the type section."""
        parameters = _I32 if self.table_type is None else self.table_type + _I32
        count = 1 if self.table_type is None else 2
        return b"".join((b"\x60", bytes((count,)), parameters, b"\x01", _I32))

    def body(self) -> bytes:
        """The body of its function, as in this module's docstring."""
        last_local = 0 if self.table_type is None else 1
        grow = bytes((_GROW,)) if self.table_type is None else bytes((_MISCELLANEOUS, _TABLE_GROW))
        arguments = b"".join(b"\x20" + bytes((local,)) for local in range(last_local + 1))
        last = bytes((last_local,))
        refused = b"\x22" + last + b"\x41\x7f\x46\x04\x40\x00\x0b"
        return b"".join(
            (b"\0", arguments, grow, make_number(self.number), refused, b"\x20", last, b"\x0b")
        )


def trap_refused_growth(component: bytes) -> bytes:
    """`component`, all nested modules included, with refused growth as a trap.

    Raises:
        ComponentRefusedError: it is truncated, or contains an instruction that the engine does not
            support.
    """
    try:
        return with_modules(component, _module)
    except IndexError as exc:
        raise ComponentRefusedError("component: cut short") from exc


def _module(wasm: bytes) -> bytes:
    sections = list(sections_of(wasm))
    found = {kind: body for kind, body in sections if kind != CUSTOM}
    imported_functions, imported_memories = imports_of(found.get(IMPORT, b"\0"))
    memories = imported_memories + read_number(found.get(MEMORY, b"\0"), 0)[0]
    code = found.get(CODE, b"\0")
    functions = imported_functions + read_number(code, 0)[0]
    tables = _table_types(found.get(IMPORT, b"\0"), found.get(TABLE, b"\0"))
    bodies, grown = _rewritten(code, memories, tables, functions)
    if not grown:
        return wasm
    before = read_number(found[TYPE], 0)[0]
    types = list(dict.fromkeys(each.function_type() for each in grown))
    used = [make_number(before + types.index(each.function_type())) for each in grown]
    helpers = [each.body() for each in grown]
    changed = {
        TYPE: appended_to(found[TYPE], types),
        FUNCTION: appended_to(found[FUNCTION], used),
        CODE: make_vector([make_number(len(body)) + body for body in (*bodies, *helpers)]),
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


def _table_types(imports: bytes, section: bytes) -> list[bytes]:
    """The reference type of each table of a module."""
    types = [imports[at : skip_type(imports, at)] for at in each_imported(imports, _KIND_TABLE)]
    count, position = read_number(section, 0)
    for _ in range(count):
        if section[position] == _TABLE_WITH_VALUE:
            raise ComponentRefusedError("a table with an initial value: the sandbox has none")
        end = skip_type(section, position)
        types.append(section[position:end])
        position = skip_limits(section, end)
    return types


def _rewritten(
    code: bytes, memories: int, tables: list[bytes], functions: int
) -> tuple[list[bytes], list[_Grown]]:
    """The bodies of a code section, and what they grow, in order of the functions for it."""
    count, position = read_number(code, 0)
    bodies: list[bytes] = []
    grown: list[_Grown] = []
    for _ in range(count):
        size, start = read_number(code, position)
        position = start + size
        body = code[start:position]
        if len(body) < size:
            raise IndexError
        places = _growths(body, tables) if _may_grow(body, memories, tables) else []
        bodies.append(_calling(body, places, grown, functions))
    return bodies, grown


def _may_grow(body: bytes, memories: int, tables: list[bytes]) -> bool:
    """Whether the bytes contain, or might contain, an instruction that grows something."""
    if tables and _MAYBE_GROW_TABLE.search(body):
        return True
    return any(read_number(found[1], 0)[0] < memories for found in _MAYBE_GROW.finditer(body))


def _calling(
    body: bytes, places: list[tuple[int, int, _Grown]], grown: list[_Grown], functions: int
) -> bytes:
    parts, at = [], 0
    for start, end, target in places:
        if target not in grown:
            grown.append(target)
        parts += [body[at:start], b"\x10", make_number(functions + grown.index(target))]
        at = end
    return b"".join((*parts, body[at:]))


def _growths(body: bytes, tables: list[bytes]) -> list[tuple[int, int, _Grown]]:
    """Start, end and target of each instruction in a function's body that grows something."""
    found = []
    for opcode, start, end in instructions_of(body):
        if opcode == _GROW:
            found.append((start, end, _Grown(read_number(body, start + 1)[0])))
        elif opcode == _MISCELLANEOUS:
            number, position = read_number(body, start + 1)
            if number == _TABLE_GROW:
                table = read_number(body, position)[0]
                if table >= len(tables):
                    raise ComponentRefusedError(f"table.grow of table {table}: there is none")
                found.append((start, end, _Grown(table, tables[table])))
    return found


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
