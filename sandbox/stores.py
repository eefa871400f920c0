"""A store of the engine: one run's fuel, deadline, limits and instance."""

import ctypes
from collections.abc import Callable
from ctypes import byref
from functools import partial
from typing import TypeAlias

from wasmtime import Engine
from wasmtime import _ffi as ffi
from wasmtime import component as wc

from sandbox import c_api
from sandbox.c_api import Argument, Value

_Instance = ffi.wasmtime_component_instance_t
_Function = ffi.wasmtime_component_func_t
Copied: TypeAlias = Callable[[Callable[[], bytes], int], bytes]
"""The result of a copy of so many bytes."""


class Store:
    """A store with at most one instance. Used by one thread at a time.

    Attributes:
        address: of the store's context, by which the engine names it to host functions.
    """

    __slots__ = ("_instance", "_store", "address")

    def __init__(self, engine: Engine) -> None:
        self._store: int | None = c_api.store_new(engine.ptr(), None, None)
        self.address: int = c_api.store_context(self._store)
        self._instance = _Instance()

    def close(self) -> None:
        """Free the store and its instance; it must not be used afterwards."""
        store, self._store = self._store, None
        if store is not None:
            c_api.store_delete(store)

    def __del__(self) -> None:
        self.close()

    def get_fuel(self) -> int:
        """The remaining fuel."""
        fuel = ctypes.c_uint64()
        c_api.check(c_api.get_fuel(self.address, byref(fuel)))
        return fuel.value

    def set_fuel(self, fuel: int) -> None:
        """Set the remaining fuel."""
        c_api.check(c_api.set_fuel(self.address, fuel))

    def set_epoch_deadline(self, ticks: int) -> None:
        """Trap when the engine's epoch has advanced by `ticks`."""
        c_api.set_epoch_deadline(self.address, ticks)

    def set_limits(
        self, *, memory_size: int, table_elements: int, instances: int, tables: int, memories: int
    ) -> None:
        """Limit what the store's instances may have: bytes of each memory, elements, counts."""
        c_api.store_limiter(self._store, memory_size, table_elements, instances, tables, memories)

    def instantiate(self, linker: wc.Linker, component: wc.Component) -> None:
        """Make the store's instance.

        Raises:
            WasmtimeError: the guest's code trapped, or a limit or the system refused.
        """
        c_api.check(
            c_api.instantiate(linker.ptr(), self.address, component.ptr(), byref(self._instance))
        )

    def call(
        self,
        export: wc.ExportIndex,
        argument: bytes | None,
        *,
        size_max: int,
        copied: Copied = lambda copy, _: copy(),
    ) -> tuple[bool, bytes | None, int]:
        """Call an export of the instance that takes a text or nothing, and answers a text or none.

        Args:
            export: of the instance.
            argument: its text; None for nothing.
            size_max: bytes of the longest answer that is copied.
            copied: where an answer is copied.

        Returns:
            Whether it answered `ok`, the text (None if there is none), and the text's size; a text
            of more than `size_max` bytes is not copied, and answered as None.

        Raises:
            WasmtimeError: the guest trapped.
        """
        function, result = _Function(), Value()
        found = c_api.get_func(byref(self._instance), self.address, export.ptr(), byref(function))
        assert found  # noqa: S101  # the export was found in the component
        if argument is None:
            arguments, count = None, 0
        else:
            arguments, count = byref(Argument(c_api.STRING, len(argument), argument)), 1
        c_api.check(
            c_api.func_call(byref(function), self.address, arguments, count, byref(result), 1)
        )
        try:
            return _answer(result, size_max, copied)
        finally:
            c_api.value_delete(byref(result))


def _answer(value: Value, size_max: int, copied: Copied) -> tuple[bool, bytes | None, int]:
    is_ok = True
    if value.kind == c_api.RESULT:
        is_ok = bool(value.first & 0xFF)
        if value.second is None:
            return is_ok, None, 0
        value = Value.from_address(value.second)
    size = value.first
    if size > size_max:
        return is_ok, None, size
    return is_ok, copied(partial(c_api.text_of, value), size), size
