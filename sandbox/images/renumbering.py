"""Rewrites the bodies of functions for other indices of types, functions, tables and globals.

A body is mostly instructions without such an index; a pattern matches as many of them at once as
there are. The number of instructions, and so the fuel of a call, stays the same.
Source: WebAssembly core specification 5.4.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.binary import make_number, make_signed, read_number, skip_number, skip_type
from sandbox.errors import ComponentRefusedError
from sandbox.instructions import skip_instruction

_NUMBER = rb"[\x80-\xff]*[\x00-\x7f]"
_PLAIN = re.compile(
    rb"(?:"
    rb"[\x00\x01\x05\x0b\x0f\x1a\x1b\x45-\xc4]"  # no immediate
    rb"|[\x02-\x04][\x40\x7b-\x7f]"  # blocks without a type, or with that of a number
    rb"|[\x0c\x0d\x20-\x22\x41\x42]" + _NUMBER +  # branches, locals, constants
    rb"|[\x28-\x3e][\x00-\x3f]" + _NUMBER +  # loads and stores of memory 0
    rb"|[\x3f\x40]\x00"  # size and growth of memory 0
    rb"|\x43.{4}|\x44.{8}"
    rb"|\xfc(?:[\x00-\x07]|\x0a\x00\x00|\x0b\x00)"  # truncations, copying and filling memory 0
    rb")*+",
    re.DOTALL,
)  # fmt: skip
"""As many instructions as possible that stay as they are, whatever the indices."""
_BLOCKS = range(0x02, 0x05)
_WITHOUT_INDICES = frozenset((0x0E, 0x1C, 0xFD))
"""br_table, select with types, vector instructions"""
_OF_FUNCTIONS = frozenset((0x10, 0x12, 0xD2))
"""call, return_call, ref.func"""
_INDIRECT_CALLS = frozenset((0x11, 0x13))
_OF_GLOBALS = frozenset((0x23, 0x24))


@dataclass(frozen=True, slots=True)
class Indices:
    """The new indices of a module's types, functions, tables and globals, by the old ones."""

    types: Sequence[int]
    functions: Sequence[int]
    tables: Sequence[int]
    globals: Sequence[int]


def renumbered(body: bytes, indices: Indices) -> bytes:
    """A function's body, its locals included, with other indices.

    Raises:
        ComponentRefusedError: an instruction with an index that is not renumbered.
        IndexError: the body is cut short, or an index is none of the module's.
    """
    position = _behind_locals(body)
    start, end = 0, len(body)
    parts: list[bytes] = []
    functions, globals_ = indices.functions, indices.globals
    while True:
        found = _PLAIN.match(body, position)
        position = end if found is None else found.end()
        if position >= end:
            break
        opcode = body[position]
        if opcode in _OF_FUNCTIONS:
            index, after = read_number(body, position + 1)
            changed = make_number(functions[index])
        elif opcode in _OF_GLOBALS:
            index, after = read_number(body, position + 1)
            changed = make_number(globals_[index])
        elif opcode in _INDIRECT_CALLS:
            index, table_at = read_number(body, position + 1)
            table, after = read_number(body, table_at)
            changed = make_number(indices.types[index]) + make_number(indices.tables[table])
        elif opcode in _BLOCKS:
            after, changed = _block_type(body, position + 1, indices)
        elif opcode in _WITHOUT_INDICES:
            position = skip_instruction(body, position)
            continue
        else:
            raise ComponentRefusedError(f"runtime: instruction {opcode:#04x} cannot be renumbered")
        parts += (body[start : position + 1], changed)
        start = position = after
    return b"".join((*parts, body[start:]))


def _behind_locals(body: bytes) -> int:
    groups, position = read_number(body, 0)
    for _ in range(groups):
        position = skip_type(body, skip_number(body, position))
    return position


def _block_type(body: bytes, position: int, indices: Indices) -> tuple[int, bytes]:
    """The position behind the type of a block, and that type in the new indices.

    An index of a type is written as a signed number, so that it never looks like a value type.
    """
    if 0x40 <= body[position] < 0x80:
        after = skip_type(body, position)
        return after, body[position:after]
    index, after = read_number(body, position)
    return after, make_signed(indices.types[index])
