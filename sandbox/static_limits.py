"""Static limits on a component's bytes, checked before any compiler sees them.

A bounded walk over the binary format: it follows sizes and counts, never contents, so it says
nothing about validity. Nested components and modules share one set of totals.
Source: WebAssembly core specification 5.5; component model, Binary.md.
"""

from dataclasses import dataclass

from sandbox.errors import ComponentRefusedError
from sandbox.limits import KIB, MIB

_MODULE = b"\0asm\x01\0\0\0"
_COMPONENT = b"\0asm\x0d\0\x01\0"
_DEPTH_MAX = 8
_CUSTOM, _CORE_MODULE, _NESTED_COMPONENT = 0, 1, 4
_CODE = 10
_COUNTED = {1: "types", 2: "imports", 3: "functions", 4: "tables", 5: "memories", 6: "globals",
            7: "exports", 9: "element segments", 11: "data segments"}  # fmt: skip
"""Sections of a core module that begin with a count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Upper bounds over one component and all that is nested in it."""

    name: str
    bytes_max: int
    modules_max: int
    sections_max: int
    functions_max: int
    function_bytes_max: int
    locals_max: int
    all_locals_max: int
    items_max: int
    custom_bytes_max: int


PLAIN = Profile(
    name="self-contained",
    bytes_max=16 * MIB,
    modules_max=50,
    sections_max=2_000,
    functions_max=20_000,
    function_bytes_max=128 * KIB,
    locals_max=1_000,
    all_locals_max=400_000,
    items_max=50_000,
    custom_bytes_max=4 * MIB,
)
PYTHON = Profile(
    name="a Python runtime",
    bytes_max=64 * MIB,
    modules_max=100,
    sections_max=5_000,
    functions_max=60_000,
    function_bytes_max=512 * KIB,
    locals_max=5_000,
    all_locals_max=2_000_000,
    items_max=100_000,
    custom_bytes_max=16 * MIB,
)


def check_static(wasm: bytes, profile: Profile) -> int:
    """Refuse bytes that are not a component, are truncated, or break a limit of `profile`.

    Returns:
        How many bytes of function bodies the component has, all that is nested in it included.

    Raises:
        ComponentRefusedError: names the limit, with expected and found.
    """
    if len(wasm) > profile.bytes_max:
        raise ComponentRefusedError(f"component: {len(wasm)} bytes, at most {profile.bytes_max}")
    if wasm[:8] == _MODULE:
        raise ComponentRefusedError("expected a component, found a core module")
    if wasm[:8] != _COMPONENT:
        raise ComponentRefusedError(f"expected a component, found bytes {wasm[:8].hex() or 'none'}")
    walk = _Walk(wasm, profile)
    walk.component(8, len(wasm), depth=1)
    return walk.code_bytes


class _Walk:
    """Position-based reading with running totals; every read is bounded by its section's end."""

    def __init__(self, wasm: bytes, profile: Profile) -> None:
        self._wasm = wasm
        self._profile = profile
        self.code_bytes = 0
        self._totals: dict[str, int] = {}

    def component(self, position: int, end: int, *, depth: int) -> None:
        if depth > _DEPTH_MAX:
            raise ComponentRefusedError(f"components nested deeper than {_DEPTH_MAX}")
        while position < end:
            kind, body, position = self._section(position, end)
            if kind == _CORE_MODULE:
                self._add("modules", 1, self._profile.modules_max)
                self._module(body, position)
            elif kind == _NESTED_COMPONENT:
                if self._wasm[body : body + 8] != _COMPONENT:
                    raise ComponentRefusedError(f"nested component at byte {body}: no such header")
                self.component(body + 8, position, depth=depth + 1)

    def _module(self, position: int, end: int) -> None:
        if self._wasm[position : position + 8] != _MODULE:
            raise ComponentRefusedError(f"core module at byte {position}: no such header")
        position += 8
        while position < end:
            kind, body, position = self._section(position, end)
            if kind in _COUNTED:
                count, _ = self._number(body, position)
                what = _COUNTED[kind]
                functions = what == "functions"
                limit = self._profile.functions_max if functions else self._profile.items_max
                self._add(what, count, limit)
            elif kind == _CODE:
                self._code(body, position)

    def _section(self, position: int, end: int) -> tuple[int, int, int]:
        """Kind, start and end of the section at `position`."""
        self._add("sections", 1, self._profile.sections_max)
        kind = self._wasm[position]
        size, body = self._number(position + 1, end)
        if size > end - body:
            raise ComponentRefusedError(f"section at byte {position}: longer than what holds it")
        if kind == _CUSTOM:
            self._add("bytes of custom sections", size, self._profile.custom_bytes_max)
        return kind, body, body + size

    def _code(self, position: int, end: int) -> None:
        count, position = self._number(position, end)
        self._add("function bodies", count, self._profile.functions_max)
        for _ in range(count):
            size, body = self._number(position, end)
            position = body + size
            if position > end:
                raise ComponentRefusedError(f"function at byte {body}: longer than its section")
            if size > self._profile.function_bytes_max:
                raise ComponentRefusedError(
                    f"function at byte {body}: {size} bytes, "
                    f"at most {self._profile.function_bytes_max}"
                )
            self.code_bytes += size
            self._locals(body, position)

    def _locals(self, position: int, end: int) -> None:
        start, total = position, 0
        groups, position = self._number(position, end)
        for _ in range(groups):
            count, position = self._number(position, end)
            total += count
            if total > self._profile.locals_max:
                raise ComponentRefusedError(
                    f"function at byte {start}: more than {self._profile.locals_max} locals"
                )
            position = self._value_type(position, end)
        self._add("locals", total, self._profile.all_locals_max)

    def _value_type(self, position: int, end: int) -> int:
        """The position after a value type; reference types carry a heap type."""
        if position >= end:
            raise ComponentRefusedError(f"cut short at byte {end}")
        if self._wasm[position] in {0x63, 0x64}:
            _, position = self._number(position + 1, end)
            return position
        return position + 1

    def _number(self, position: int, end: int) -> tuple[int, int]:
        """An unsigned LEB128 of at most 32 bits, and the position after it."""
        value = 0
        for shift in range(0, 35, 7):
            if position >= end:
                raise ComponentRefusedError(f"cut short at byte {end}")
            byte = self._wasm[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >= 1 << 32:
                    break
                return value, position
        raise ComponentRefusedError(f"number at byte {position}: more than 32 bits")

    def _add(self, what: str, count: int, limit: int) -> None:
        total = self._totals.get(what, 0) + count
        if total > limit:
            raise ComponentRefusedError(f"{total} {what}, at most {limit}")
        self._totals[what] = total
