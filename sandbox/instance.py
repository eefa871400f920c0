"""One run's state: its limits, its host calls, and the slot for the error that ends it.

The first error fills the slot and makes every later host call fail, so a guest that catches the
failure gains nothing. The run's caller checks the slot first. Errors also set the fuel to 0, except
for a call that was not granted: its `err` is raised where the guest made the call, so that the
refusal can name the place.
"""

import json
from collections.abc import Callable
from typing import Protocol, TypeVar

from sandbox import native
from sandbox.errors import (
    CapabilityNotGrantedError,
    InvalidPayloadError,
    LogLimitError,
    PayloadTooLargeError,
    TooManyHostCallsError,
)
from sandbox.host_api import ALWAYS_GRANTED, HOST_API
from sandbox.host_calls import GuestCallError, HostCallHandler, carried
from sandbox.limits import Limits
from sandbox.stores import Store

T = TypeVar("T")
HOST_FUNCTIONS = tuple((i, f) for i, functions in HOST_API.items() for f in functions)
"""(interface, function) by the number under which the linker defines it."""


class Fuel(Protocol):
    """The fuel of one run."""

    def left(self) -> int:
        """The remaining units."""
        ...

    def stop(self) -> int:
        """Set the fuel to 0, so that the guest stops soon; returns the units that were left."""
        ...


class StoreFuel:
    """The fuel of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def left(self) -> int:
        return self._store.get_fuel()

    def stop(self) -> int:
        return native.stop(self._store)


class Run:
    """The state of one run; a `native.Boundary`."""

    def __init__(
        self, fuel: Fuel, *, limits: Limits, host: HostCallHandler | None, granted: frozenset[str]
    ) -> None:
        self.error: BaseException | None = None
        self.host_calls = 0
        self.log_bytes = 0
        self.has_returned = False
        """Whether the export's call returned, by whatever answer."""
        self._fuel_left: int | None = None
        self._fuel = fuel
        self._limits = limits
        self._host = host
        self._granted = granted | ALWAYS_GRANTED

    def fuel_used(self) -> int:
        """Fuel used until now, or until the run was stopped."""
        left = self._fuel.left() if self._fuel_left is None else self._fuel_left
        return self._limits.fuel_max - left

    def admits(self, number: int, size: int) -> bool:
        """Count the call and check it against the run's limits and grants."""
        if self.error is not None:
            return False
        interface, function = HOST_FUNCTIONS[number]
        self.host_calls += 1
        if interface == "log":
            self.log_bytes += size
        refusal = self._refusal(interface, function, size)
        if refusal is not None:
            self.fail(refusal)
        return refusal is None

    def refused(self) -> tuple[bool, bytes]:
        """The answer of a call that could not be made: whether it is `ok`, and the text.

        A guest whose fuel is 0 does not read it.
        """
        error = self.error
        if not isinstance(error, CapabilityNotGrantedError):
            return True, b"null"
        return False, json.dumps({"code": error.code, "message": error.message}).encode()

    def conclude(self, *, is_ok: bool, value: str | None) -> None:
        """Raise the error that ended the run, if there is one.

        Args:
            is_ok: whether the guest answered `ok`.
            value: its answer: of a failure, where the call that was not granted was made.
        """
        error = self.error
        if isinstance(error, CapabilityNotGrantedError) and not is_ok and value:
            error.locate(value)
        if error is not None:
            raise error

    def answer(self, number: int, request: bytes) -> tuple[bool, bytes]:
        """Call the host; any error that it raises ends the run."""
        interface, function = HOST_FUNCTIONS[number]
        if self._host is None:
            raise CapabilityNotGrantedError(
                f"host call {interface}.{function}: no host is attached",
                function=f"{interface}.{function}",
            )
        asked = carried(self._host, request.decode, size=len(request))
        try:
            text, is_ok = self._host(interface, function, asked), True
        except GuestCallError as exc:
            text, is_ok = exc.payload, False
        try:
            answer = carried(self._host, text.encode, size=len(text))
        except UnicodeEncodeError as exc:
            raise InvalidPayloadError(f"answer of {interface}.{function}: not Unicode") from exc
        if len(answer) > self._limits.payload_bytes_max:
            raise PayloadTooLargeError(
                f"answer of {interface}.{function}: {len(answer)} bytes, "
                f"at most {self._limits.payload_bytes_max}"
            )
        return is_ok, answer

    def copied(self, copy: Callable[[], T], size: int) -> T:
        """The result of `copy`, on the thread that the handler chooses for long texts."""
        return carried(self._host, copy, size=size)

    def fail(self, error: BaseException) -> None:
        """Fill the error slot if it is empty, and set the fuel to 0."""
        if self.error is None:
            self.error = error
            if not isinstance(error, CapabilityNotGrantedError):
                self._fuel_left = self._fuel.stop()

    def _refusal(self, interface: str, function: str, size: int) -> Exception | None:
        limits, name = self._limits, f"{interface}.{function}"
        if interface not in self._granted:
            return CapabilityNotGrantedError(
                f"host call {name}: capability {interface!r} is not granted: add it to"
                " `capabilities` of [workflow] in cordapp.toml, or have the host allow it to the"
                " node",
                function=name,
            )
        if self.host_calls > limits.host_calls_max:
            return TooManyHostCallsError(
                f"host call {name}: more than {limits.host_calls_max} host calls"
            )
        if size > limits.payload_bytes_max:
            return PayloadTooLargeError(
                f"request of {name}: {size} bytes, at most {limits.payload_bytes_max}"
            )
        if self.log_bytes > limits.log_bytes_max:
            return LogLimitError(f"the guest logged more than {limits.log_bytes_max} bytes")
        return None
