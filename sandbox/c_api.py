"""The functions of wasmtime's C API that every run calls, bound for few and cheap calls.

The binding's own declarations make a pointer object for each argument and result. Here addresses
are numbers, and each text is one structure. Functions that last less than a microsecond or two
keep Python's lock: with several busy threads, a call that gives it away waits for its turn to get
it back, up to 5 ms. Functions that run a guest, or that free its memory, give it away.

Shapes: `wasmtime/store.h`, `wasmtime/component/{val,func,instance,linker}.h`;
`tests/sandbox/test_sandbox_c_api.py` compares `Value` with the binding's declaration.
"""

import ctypes
from collections.abc import Callable
from ctypes import c_char, c_char_p, c_int64, c_size_t, c_uint8, c_uint64, c_void_p
from typing import Any

from wasmtime import WasmtimeError
from wasmtime import _ffi as ffi

STRING = int(ffi.WASMTIME_COMPONENT_STRING.value)
RESULT = int(ffi.WASMTIME_COMPONENT_RESULT.value)


class Value(ctypes.Structure):
    """A `wasmtime_component_val_t` that is a string or a result.

    Attributes:
        kind: `STRING`, `RESULT` or another one.
        first: of a string its size in bytes; of a result, its lowest byte tells whether it is `ok`.
        second: address of a string's bytes, or of a result's value; None if it has none.
    """

    _fields_ = (
        ("kind", c_uint8),
        ("first", c_size_t),
        ("second", c_void_p),
        ("rest", c_char * (ctypes.sizeof(ffi.wasmtime_component_val_t) - 24)),
    )
    kind: int
    first: int
    second: int | None


class Argument(ctypes.Structure):
    """A `Value` that is a string whose bytes belong to Python, and stay valid with the object."""

    _fields_ = (
        ("kind", c_uint8),
        ("size", c_size_t),
        ("data", c_char_p),
        ("rest", c_char * (ctypes.sizeof(ffi.wasmtime_component_val_t) - 24)),
    )


FIRST_OFFSET = Value.first.offset  # type: ignore[attr-defined]  # a descriptor of the class

_holding = ctypes.PyDLL(ffi.dll._name, handle=ffi.dll._handle)  # noqa: SLF001  # as loaded already


def _bound(
    library: ctypes.CDLL, name: str, result: object, *arguments: object
) -> Callable[..., Any]:
    function = library[name]
    function.restype = result  # type: ignore[assignment]  # a ctypes type
    function.argtypes = arguments  # type: ignore[assignment]
    return function


store_new = _bound(_holding, "wasmtime_store_new", c_void_p, c_void_p, c_void_p, c_void_p)
"""(engine, data, finalizer) -> store"""
store_context = _bound(_holding, "wasmtime_store_context", c_void_p, c_void_p)
"""(store) -> context"""
store_delete = _bound(ffi.dll, "wasmtime_store_delete", None, c_void_p)
"""(store)"""
store_limiter = _bound(
    _holding, "wasmtime_store_limiter", None, c_void_p, *(c_int64 for _ in range(5))
)
"""(store, bytes of a memory, elements of a table, instances, tables, memories)"""
set_fuel = _bound(_holding, "wasmtime_context_set_fuel", c_void_p, c_void_p, c_uint64)
"""(context, fuel) -> error"""
get_fuel = _bound(_holding, "wasmtime_context_get_fuel", c_void_p, c_void_p, c_void_p)
"""(context, address for the fuel) -> error"""
set_epoch_deadline = _bound(
    _holding, "wasmtime_context_set_epoch_deadline", None, c_void_p, c_uint64
)
"""(context, ticks)"""
instantiate = _bound(
    ffi.dll, "wasmtime_component_linker_instantiate",
    c_void_p, c_void_p, c_void_p, c_void_p, c_void_p,
)  # fmt: skip
"""(linker, context, component, address for the instance) -> error"""
get_func = _bound(
    _holding, "wasmtime_component_instance_get_func",
    ctypes.c_bool, c_void_p, c_void_p, c_void_p, c_void_p,
)  # fmt: skip
"""(instance, context, export index, address for the function) -> whether it is one"""
func_call = _bound(
    ffi.dll, "wasmtime_component_func_call",
    c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t,
)  # fmt: skip
"""(function, context, arguments, their count, results, their count) -> error"""
value_delete = _bound(_holding, "wasmtime_component_val_delete", None, c_void_p)
"""(value): frees what it refers to"""
value_new = _bound(_holding, "wasmtime_component_val_new", c_void_p, c_void_p)
"""(value) -> a value in the engine's memory, which takes over what the argument refers to"""
bytes_new = _bound(_holding, "wasm_byte_vec_new", None, c_void_p, c_size_t, c_char_p)
"""(address for size and data, size, bytes): copies them into the engine's memory"""
add_func = _bound(
    _holding, "wasmtime_component_linker_instance_add_func",
    c_void_p, c_void_p, c_char_p, c_size_t, c_void_p, c_void_p, c_void_p,
)  # fmt: skip
"""(linker's instance, name, its size, callback, data, finalizer) -> error"""

host_function = ctypes.CFUNCTYPE(
    c_void_p, c_void_p, c_void_p, c_void_p,
    ctypes.POINTER(Value), c_size_t, ctypes.POINTER(Value), c_size_t,
)  # fmt: skip
"""(data, context, type, arguments, their count, results, their count) -> error"""


def check(error: int | None) -> None:
    """Raise an error that a function answered.

    Raises:
        WasmtimeError: there is one.
    """
    if error:
        pointer = ctypes.cast(error, ctypes.POINTER(ffi.wasmtime_error_t))
        raise WasmtimeError._from_ptr(pointer)  # noqa: SLF001  # the binding has no other way


def text_of(value: Value) -> bytes:
    """The bytes of a string."""
    return b"" if value.second is None else ctypes.string_at(value.second, value.first)
