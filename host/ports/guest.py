"""Guest code as the flow engine runs it: one run from the start to the end or to a suspension.

A run is deterministic: given the same start and the same answers, a guest makes the same calls.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

from host.domain.guest_text import TYPE_CHARACTERS_MAX, cut_line, cut_message, cut_trace
from host.domain.ids import ShortHash
from host.domain.packages import CpiRecord
from host.domain.quotas import Quota, RunUsage


class SuspendFlow(BaseException):
    """Raised by a `HostCallHandler`: the run ends here and is answered as `SuspendedRun`.

    Not an `Exception`, so that no `except Exception` on the way swallows it.
    """


class GuestCallError(Exception):
    """Raised by a `HostCallHandler`: the call's `err`, which the guest may catch.

    Attributes:
        payload: JSON text `{"code": .., "message": ..}`.
    """

    def __init__(self, payload: str) -> None:
        super().__init__(payload)
        self.payload = payload


class GuestKilledError(Exception):
    """The run was ended from outside: a limit, a trap or a refused capability.

    Raised by `FlowGuests.run` for the sandbox's own refusals, and by a `HostCallHandler` to end
    the run with a code of the engine (`flow-non-deterministic`); the adapter re-raises the latter
    unchanged.

    Attributes:
        code: stable kebab-case identifier, for example `out-of-fuel`.
        usage: what the run used until then; None if it never started.
        denied: the host function that it called without the grant, if that ended it.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        usage: RunUsage | None = None,
        denied: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.usage = usage
        self.denied = denied


class HostCallHandler(Protocol):
    """Answers one host call of a guest."""

    def __call__(self, interface: str, function: str, request: str) -> str:
        """Answer the JSON text of `ok`.

        Args:
            interface: WIT interface without package and version, for example `sessions`.
            function: WIT function name, for example `sub-flow`.
            request: JSON text as the guest gave it.

        Raises:
            GuestCallError: the call's `err`.
            SuspendFlow: end the run as suspended.
            GuestKilledError: end the run with a reason.
            Exception: anything else ends the run and reaches the caller of `FlowGuests.run` as is.
        """
        ...


class RunControl(Protocol):
    """A run, for the handler of its host calls. Used within a host call, on its thread."""

    def usage(self) -> RunUsage:
        """What the run has used since its start."""
        ...

    def memory_bytes(self) -> int:
        """About how much memory the guest has filled."""
        ...

    def paused(self) -> AbstractContextManager[None]:
        """Stop the run's wall clock for the length of the block; it starts anew afterwards."""
        ...


@runtime_checkable
class WaitingHandler(HostCallHandler, Protocol):
    """A handler that may let a run wait inside a host call for long."""

    def attach(self, run: RunControl) -> None:
        """Called before the first host call, by guests whose runs can be paused."""
        ...


class ParkedRun(Protocol):
    """A run that waits inside the host call that suspended it."""

    @property
    def memory_bytes(self) -> int:
        """About how much memory it holds while it waits."""
        ...

    def resume(self, host: HostCallHandler) -> "GuestOutcome":
        """Make the waiting call again, of `host`, and go on; once.

        What it answers and raises is as of `FlowGuests.run`. Usage counts from here.
        """
        ...

    def drop(self) -> None:
        """End the run without an outcome; does nothing to one that was dropped."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The flow returned `result`, its result text."""

    result: str
    usage: RunUsage = field(default=RunUsage(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFailedInGuest:
    """The flow failed by an error of its own. `trace` holds lines like `iou/flows.py:12 call`."""

    type: str
    message: str
    trace: tuple[str, ...]
    usage: RunUsage = field(default=RunUsage(), compare=False)

    def __post_init__(self) -> None:
        """Cut what is too long, where the failure is made."""
        object.__setattr__(self, "type", cut_line(self.type, TYPE_CHARACTERS_MAX))
        object.__setattr__(self, "message", cut_message(self.message))
        object.__setattr__(self, "trace", cut_trace(self.trace))


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspendedRun:
    """A host call raised `SuspendFlow`. `parked` is the run itself, where guests keep it."""

    usage: RunUsage = field(default=RunUsage(), compare=False)
    parked: ParkedRun | None = field(default=None, compare=False)


GuestOutcome: TypeAlias = Finished | FlowFailedInGuest | SuspendedRun


class FlowGuests(Protocol):
    """Runs flows of stored CPIs, each run in a fresh sandbox. Called from several threads."""

    def run(
        self,
        cpi: CpiRecord,
        flow_class: str,
        start: str,
        host: HostCallHandler,
        granted: frozenset[str],
        *,
        quota: Quota,
        node: ShortHash | None = None,
    ) -> GuestOutcome:
        """Run `flow_class` from its start.

        Args:
            cpi: the package that declares the flow.
            flow_class: the flow's full name.
            start: JSON text of the argument of the export `run` (docs/reference/host-api.md).
            host: answers host calls, in order, while the caller waits.
            granted: capabilities (interface names) that the virtual node grants;
                a call to another one kills the run with `capability-not-granted`.
            quota: what the virtual node's guests may use; the CPK may have asked for less.
            node: the virtual node whose flow it is; None where there is none.

        Raises:
            GuestKilledError: a limit, a trap, a refused capability, code that cannot be loaded.
            UnavailableError: the guest was lost by no fault of its own: run it again.
        """
        ...
