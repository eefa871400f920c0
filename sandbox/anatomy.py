"""The structure of a component, for audits; nothing of it is executed.

Counts and bounds come from a walk over the binary, features from the engine's own validator: a
feature is used where a core module is valid with it and invalid without it.
Source: WebAssembly core specification 5.5; component model, Binary.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType

import wasmtime
from wasmtime import _ffi as ffi

from sandbox.binary import read_number
from sandbox.errors import ComponentRefusedError
from sandbox.guest import Guest
from sandbox.inspect import Shape, shape_of
from sandbox.static_limits import PYTHON, check_static

PAGE_BYTES = 65_536

_NEVER = (
    "wasm_threads", "wasm_memory64", "wasm_function_references", "wasm_gc", "wasm_stack_switching",
    "wasm_custom_page_sizes", "wasm_wide_arithmetic", "shared_memory", "wasm_component_model",
    "wasm_component_model_map", "wasm_component_model_implements",
)  # fmt: skip
"""Features that are off in the sandbox, or have no meaning for a core module."""
_NEVER_COMPONENT = ("async", "async_stackful", "more_async_builtins")

FEATURES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "bulk-memory": ("wasm_bulk_memory", "wasm_reference_types"),
        "exceptions": ("wasm_exceptions",),
        "multi-memory": ("wasm_multi_memory",),
        "multi-value": ("wasm_multi_value",),
        "reference-types": ("wasm_reference_types",),
        "relaxed-simd": ("wasm_relaxed_simd",),
        "simd": ("wasm_simd", "wasm_relaxed_simd"),
        "tail-call": ("wasm_tail_call",),
    }
)
"""Feature that the sandbox allows -> engine settings to switch off to see whether it is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Declared size of a memory in bytes, or of a table in elements; None for no maximum."""

    minimum: int
    maximum: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """Totals over a component and all that is nested in it; sizes in bytes."""

    size: int
    modules: int
    functions: int
    code_size: int
    data_size: int
    custom_size: int
    start_functions: int
    memories: tuple[Bounds, ...]
    tables: tuple[Bounds, ...]
    features: tuple[str, ...]


def shape_of_guest(guest: Guest) -> Shape:
    """Imports and exports of a compiled guest, as the engine reports them."""
    return shape_of(guest.program.engine, guest.program.compiled)


def anatomy_of(wasm: bytes) -> Anatomy:
    """Take a component apart.

    Raises:
        ComponentRefusedError: it breaks a static limit, or is truncated.
    """
    check_static(wasm, PYTHON)
    tally = _Tally()
    try:
        for start, end in _core_modules(wasm, 8, len(wasm)):
            _read_module(wasm, start, end, tally)
    except IndexError as exc:
        raise ComponentRefusedError("component: cut short") from exc
    return Anatomy(
        size=len(wasm),
        modules=len(tally.modules),
        functions=tally.functions,
        code_size=tally.sizes.get(_CODE, 0),
        data_size=tally.sizes.get(_DATA, 0),
        custom_size=tally.sizes.get(_CUSTOM, 0),
        start_functions=tally.starts,
        memories=tuple(tally.memories),
        tables=tuple(tally.tables),
        features=tuple(sorted(_features([wasm[a:b] for a, b in tally.modules]))),
    )


_CUSTOM, _CORE_MODULE, _NESTED_COMPONENT = 0, 1, 4
_TABLE, _MEMORY, _START, _CODE, _DATA = 4, 5, 8, 10, 11


@dataclass(slots=True)
class _Tally:
    modules: list[tuple[int, int]] = field(default_factory=list)
    functions: int = 0
    starts: int = 0
    sizes: dict[int, int] = field(default_factory=dict)
    memories: list[Bounds] = field(default_factory=list)
    tables: list[Bounds] = field(default_factory=list)


def _core_modules(wasm: bytes, position: int, end: int) -> Iterator[tuple[int, int]]:
    for kind, start, stop in _sections(wasm, position, end):
        if kind == _CORE_MODULE:
            yield start, stop
        elif kind == _NESTED_COMPONENT:
            yield from _core_modules(wasm, start + 8, stop)


def _sections(wasm: bytes, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    while position < end:
        kind = wasm[position]
        size, start = read_number(wasm, position + 1)
        position = start + size
        yield kind, start, position


def _read_module(wasm: bytes, start: int, end: int, tally: _Tally) -> None:
    tally.modules.append((start, end))
    for kind, body, stop in _sections(wasm, start + 8, end):
        tally.sizes[kind] = tally.sizes.get(kind, 0) + stop - body
        count, position = read_number(wasm, body) if kind not in {_CUSTOM, _START} else (0, body)
        if kind == _CODE:
            tally.functions += count
        elif kind == _START:
            tally.starts += 1
        elif kind == _MEMORY:
            for _ in range(count):
                bounds, position = _bounds(wasm, position, PAGE_BYTES)
                tally.memories.append(bounds)
        elif kind == _TABLE:
            _read_tables(wasm, position, count, tally)


def _read_tables(wasm: bytes, position: int, count: int, tally: _Tally) -> None:
    for _ in range(count):
        if wasm[position] not in {0x6F, 0x70}:
            return  # a table with an initialiser or a typed reference, which the sandbox refuses
        bounds, position = _bounds(wasm, position + 1, 1)
        tally.tables.append(bounds)


def _bounds(wasm: bytes, position: int, unit: int) -> tuple[Bounds, int]:
    flags = wasm[position]
    minimum, position = read_number(wasm, position + 1)
    maximum = None
    if flags & 1:
        maximum, position = read_number(wasm, position)
    top = None if maximum is None else maximum * unit
    return Bounds(minimum=minimum * unit, maximum=top), position


def _features(modules: list[bytes]) -> Iterator[str]:
    for name in FEATURES:
        engine = _engine_without(name)
        if not all(_is_valid(engine, module) for module in modules):
            yield name


def _is_valid(engine: wasmtime.Engine, module: bytes) -> bool:
    try:
        wasmtime.Module.validate(engine, module)
    except wasmtime.WasmtimeError:
        return False
    return True


@cache
def _engine_without(feature: str) -> wasmtime.Engine:
    """An engine for validation only: without components, so that any feature can be off."""
    config, off = wasmtime.Config(), False
    for name in (*_NEVER, *FEATURES[feature]):
        setattr(config, name, off)
    for name in _NEVER_COMPONENT:
        getattr(ffi, f"wasmtime_config_wasm_component_model_{name}_set")(config.ptr(), off)
    ffi.wasmtime_config_concurrency_support_set(config.ptr(), off)
    return wasmtime.Engine(config)
