"""The boundary in wasmtime's C API: texts in, texts out, and no exception ever across it.

wasmtime-py passes an exception of a host function on through a module global, so with threads one
guest can receive another's. The functions here go to the C API directly: what a host function
raises stays with the run it belongs to, and the guest's values are measured before they are copied.
"""

from collections.abc import Callable
from ctypes import byref
from functools import partial
from typing import Any, Protocol, TypeVar

from wasmtime.component import LinkerInstance

from sandbox import c_api
from sandbox.c_api import FIRST_OFFSET, Value
from sandbox.stores import Store

T = TypeVar("T")


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

    def copied(self, copy: Callable[[], T], size: int) -> T:
        """The result of `copy`, which copies a text of `size` bytes and raises nothing."""
        ...

    def fail(self, error: BaseException) -> None:
        """Keep what a host call raised, and stop the guest."""
        ...


_runs: dict[int, Boundary] = {}
"""Context address -> the run of that store. A store belongs to one run at a time, on one thread."""


def enter(store: Store, run: Boundary) -> Callable[[], None]:
    """Register `run` as the one that `store` belongs to; call the answer to end that."""
    address = store.address
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
    c_api.check(c_api.add_func(instance.ptr(), raw, len(raw), _trampoline, number, None))


def stop(store: Store) -> int:
    """Set the store's fuel to 0, so that the guest traps soon; returns the previous fuel."""
    left = store.get_fuel()
    store.set_fuel(0)
    return left


@c_api.host_function  # type: ignore[untyped-decorator]
def _trampoline(  # the C API's signature
    number: int | None,
    context: int,
    _type: int,
    arguments: Any,
    _argument_count: int,
    results: Any,
    _result_count: int,
) -> None:
    run = _runs[context]
    try:
        request: Value = arguments[0]
        if run.admits(number or 0, request.first):
            text = run.copied(partial(c_api.text_of, request), request.first)
            is_ok, answer = run.answer(number or 0, text)
        else:
            is_ok, answer = run.refused()
    except BaseException as exc:  # noqa: BLE001  # nothing may pass through wasm
        run.fail(exc)
        is_ok, answer = run.refused()
    given, size = Value(c_api.STRING), len(answer)
    run.copied(partial(c_api.bytes_new, byref(given, FIRST_OFFSET), size, answer), size)
    results[0] = Value(c_api.RESULT, is_ok, c_api.value_new(byref(given)))
