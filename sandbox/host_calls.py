"""The port through which a run's host calls are answered."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar, cast

from sandbox.limits import Usage

LONG = 64 * 1024
"""Characters of a text that takes the interpreter for a noticeable time."""
T = TypeVar("T")


class SuspendRun(BaseException):
    """Raised by a `HostCallHandler`: the run ends here, as `Suspended`.

    Not an `Exception`, so that no `except Exception` in between catches it.
    """


class GuestCallError(Exception):
    """Raised by a `HostCallHandler`: the call's `err`, which the guest may catch.

    Attributes:
        payload: JSON text `{"code": .., "message": ..}`.
    """

    def __init__(self, payload: str) -> None:
        super().__init__(payload)
        self.payload = payload


class RunEndedError(Exception):
    """Raised by a `HostCallHandler`: the host ends the run for its own reasons.

    Reaches the caller of `Guest.call` unchanged but for `usage`.

    Attributes:
        usage: what the run used until then; None if it never started.
    """

    def __init__(self, message: str, *, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.usage = usage


class HostCallHandler(Protocol):
    """Answers a guest's host calls, one at a time, on the thread that runs the guest."""

    def __call__(self, interface: str, function: str, request: str) -> str:
        """Answer the JSON text of `ok`.

        Args:
            interface: WIT interface without package and version, for example `sessions`.
            function: WIT function name, for example `sub-flow`.
            request: JSON text as the guest gave it.

        Raises:
            GuestCallError: the call's `err`.
            SuspendRun: end the run as suspended.
            RunEndedError: end the run with this error, whose `usage` is set.
            SandboxError: the same, with the run's receipt.
            BaseException: any other ends the run and reaches the caller of the run as it is.
        """
        ...


class RunControl(Protocol):
    """A run, for the handler of its host calls. Used within a host call, on the run's thread."""

    def usage(self) -> Usage:
        """What the run has used since its start."""
        ...

    def memory_bytes(self) -> int:
        """The approximate amount of memory that the guest has touched."""
        ...

    def paused(self) -> AbstractContextManager[None]:
        """Stop the run's wall clock for the length of the block; it is reset afterwards."""
        ...


class WaitingHandler(HostCallHandler, Protocol):
    """A handler that may let a run wait inside a host call for long."""

    def attach(self, run: RunControl) -> None:
        """Called before the first host call, by guests whose runs can be paused."""
        ...


def waiting(handler: HostCallHandler | None) -> WaitingHandler | None:
    """`handler`, if it is a `WaitingHandler`.

    Every run asks this; `isinstance` of a protocol would take longer than a small guest's run.
    """
    return cast("WaitingHandler", handler) if hasattr(handler, "attach") else None


class CarryingHandler(HostCallHandler, Protocol):
    """A handler that knows a better thread than the run's for what holds the interpreter."""

    def carry(self, work: Callable[[], T]) -> T:
        """The result of `work`, or what it raised, wherever it is executed."""
        ...


def carried(handler: HostCallHandler | None, work: Callable[[], T], *, size: int) -> T:
    """The result of `work` on a text of `size` characters, that of a long one by the handler.

    A thread of low priority must not hold the interpreter for long: while others have the
    processors, all other threads wait for it.
    """
    if size > LONG and hasattr(handler, "carry"):
        return cast("CarryingHandler", handler).carry(work)
    return work()
