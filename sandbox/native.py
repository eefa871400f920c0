"""The boundary in wasmtime's C API: texts in, texts out, and no exception ever across it.

wasmtime-py passes an exception of a host function on through a module global, so with threads one
guest can receive another's. The functions here go to the C API directly: what a host function
raises stays with the run it belongs to, and the guest's values are measured before they are copied.
"""

import ctypes
from collections.abc import Callable
from ctypes import byref
from typing import Any, Protocol

from wasmtime import Store, WasmtimeError
from wasmtime import _ffi as ffi
from wasmtime.component import Func, LinkerInstance

_STRING = ffi.WASMTIME_COMPONENT_STRING.value
_RESULT = ffi.WASMTIME_COMPONENT_RESULT.value
_NO_FINALIZER = ctypes.cast(0, ctypes.CFUNCTYPE(None, ctypes.c_void_p))


class Boundary(Protocol):
    """One run, as the boundary sees it."""

    def admits(self, number: int, size: int) -> bool:
        """Whether host function `number` may read a request of `size` bytes."""
        ...

    def refused(self) -> tuple[bool, bytes]:
        """The answer of a call that could not be made."""
        ...

    def answer(self, number: int, request: bytes) -> tuple[bool, bytes]:
        """Answer a host call: whether it is `ok`, and the text."""
        ...

    def fail(self, error: BaseException) -> None:
        """Keep what a host call raised, and stop the guest."""
        ...


_runs: dict[int, Boundary] = {}
"""Context address -> the run of that store. A store belongs to one run, on one thread."""


def enter(store: Store, run: Boundary) -> Callable[[], None]:
    """Register `run` as the one that `store` belongs to; call the answer to end that."""
    address = _address(store._context())  # noqa: SLF001  # the binding has no public accessor
    _runs[address] = run

    def leave() -> None:
        _runs.pop(address, None)

    return leave


def define_host_function(instance: LinkerInstance, name: str, number: int) -> None:
    """Define `name` in a linker's instance as host function `number`.

    Raises:
        WasmtimeError: the name is taken.
    """
    raw = name.encode()
    error = ffi.wasmtime_component_linker_instance_add_func(
        instance.ptr(), ctypes.create_string_buffer(raw), len(raw), _trampoline, number,
        _NO_FINALIZER,
    )  # fmt: skip
    if error:  # type: ignore[truthy-bool]  # a null pointer is false
        raise WasmtimeError._from_ptr(error)  # noqa: SLF001  # as above


def stop(store: Store) -> int:
    """Set the store's fuel to 0, so that the guest traps soon; returns the previous fuel."""
    left = int(store.get_fuel())
    store.set_fuel(0)
    return left


def call(
    store: Store, function: Func, argument: bytes | None, *, size_max: int
) -> tuple[bool, bytes | None, int]:
    """Call an export: whether it answered `ok`, the text (None if there is none), the text's size.

    A text of more than `size_max` bytes is not copied, and answered as None.

    Raises:
        WasmtimeError: the guest trapped.
    """
    count = 0 if argument is None else 1
    parameters = (ffi.wasmtime_component_val_t * count)()
    if argument is not None:
        parameters[0].kind = _STRING
        parameters[0].of.string = ffi.bytes_to_capi(argument)
    result = ffi.wasmtime_component_val_t()
    try:
        error = ffi.wasmtime_component_func_call(
            byref(function._func), store._context(), parameters, count, byref(result), 1  # noqa: SLF001
        )  # fmt: skip
        if error:  # type: ignore[truthy-bool]  # a null pointer is false
            raise WasmtimeError._from_ptr(error)  # noqa: SLF001  # as above
        try:
            return _result(result, size_max)
        finally:
            ffi.wasmtime_component_val_delete(byref(result))
    finally:
        for parameter in parameters:
            ffi.wasmtime_component_val_delete(byref(parameter))


def _result(value: Any, size_max: int) -> tuple[bool, bytes | None, int]:
    is_ok = True
    if value.kind == _RESULT:
        is_ok = bool(value.of.result.is_ok)
        if not value.of.result.val:
            return is_ok, None, 0
        value = value.of.result.val.contents
    size = int(value.of.string.size)
    return is_ok, _text(value) if size <= size_max else None, size


def _text(value: Any) -> bytes:
    vector = value.of.string
    return ctypes.string_at(vector.data, vector.size) if vector.size else b""


def _address(context: Any) -> int:
    return ctypes.cast(context, ctypes.c_void_p).value or 0


@ffi.wasmtime_component_func_callback_t  # type: ignore[untyped-decorator]
def _trampoline(  # the C API's signature
    number: int | None,
    context: Any,
    _type: Any,
    arguments: Any,
    _argument_count: int,
    results: Any,
    _result_count: int,
) -> int:
    run = _runs[_address(context)]
    try:
        if run.admits(number or 0, int(arguments[0].of.string.size)):
            is_ok, answer = run.answer(number or 0, _text(arguments[0]))
        else:
            is_ok, answer = run.refused()
    except BaseException as exc:  # noqa: BLE001  # nothing may pass through wasm
        run.fail(exc)
        is_ok, answer = run.refused()
    text = ffi.wasmtime_component_val_t()
    text.kind = _STRING
    text.of.string = ffi.bytes_to_capi(answer)
    results[0].kind = _RESULT
    results[0].of.result.is_ok = is_ok
    results[0].of.result.val = ffi.wasmtime_component_val_new(byref(text))
    return 0
