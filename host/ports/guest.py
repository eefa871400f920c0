"""Guest code as the flow engine runs it: one run from the start to the end or to a suspension.

A run is deterministic: given the same start and the same answers, a guest makes the same calls.
`sandbox.host_calls` defines the interface between a run and the handler of its host calls.
"""

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from host.domain.flow import NO_CODE
from host.domain.guest_text import TYPE_CHARACTERS_MAX, cut_line, cut_message, cut_trace
from host.domain.ids import ShortHash
from host.domain.packages import CpiRecord
from host.domain.quotas import Quota
from sandbox.host_calls import (
    GuestCallError,
    HostCallHandler,
    RunControl,
    RunEndedError,
    SuspendRun,
    WaitingHandler,
    carried,
)
from sandbox.limits import Usage

__all__ = [
    "Finished",
    "FlowFailedInGuest",
    "FlowGuests",
    "FlowRun",
    "GuestCallError",
    "GuestKilledError",
    "GuestOutcome",
    "HostCallHandler",
    "ParkedRun",
    "RunControl",
    "SuspendRun",
    "SuspendedRun",
    "Usage",
    "WaitingHandler",
    "carried",
]


class GuestKilledError(RunEndedError):
    """The run was ended from outside: a limit, a trap or a refused capability.

    Raised by `FlowGuests.run` for the sandbox's own refusals, and by a `HostCallHandler` to end
    the run with a code of the engine (`flow-non-deterministic`).

    Attributes:
        code: stable kebab-case identifier, for example `out-of-fuel`.
        denied: the host function that was called without a grant, if that was the reason.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        usage: Usage | None = None,
        denied: str | None = None,
    ) -> None:
        super().__init__(message, usage=usage)
        self.code = code
        self.message = message
        self.denied = denied


class ParkedRun(Protocol):
    """A run that waits inside the host call that suspended it."""

    @property
    def memory_bytes(self) -> int:
        """Approximate memory that it occupies while it waits, in bytes."""
        ...

    def resume(self, host: HostCallHandler) -> "GuestOutcome":
        """Repeat the waiting call with `host`, and continue the run; at most once.

        Returns and raises as `FlowGuests.run`. Usage counts from this call.
        """
        ...

    def drop(self) -> None:
        """End the run without an outcome; does nothing if it was dropped before."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The flow returned `result`, its result text; `is_json` as of `guest_text`, if it is known."""

    result: str
    is_json: bool | None = field(default=None, compare=False)
    usage: Usage = field(default=Usage(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFailedInGuest:
    """The flow failed by an error of its own. `trace` holds lines like `iou/flows.py:12 call`.

    `type` is the error's code or its class name, `code` its code, `flow-failed` if it has none.
    """

    type: str
    message: str
    trace: tuple[str, ...]
    code: str = NO_CODE
    usage: Usage = field(default=Usage(), compare=False)

    def __post_init__(self) -> None:
        """Truncate long texts when the failure is created."""
        object.__setattr__(self, "type", cut_line(self.type, TYPE_CHARACTERS_MAX))
        object.__setattr__(self, "message", cut_message(self.message))
        object.__setattr__(self, "trace", cut_trace(self.trace))


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspendedRun:
    """A host call raised `SuspendRun`. `parked` is the run itself, if the adapter keeps it."""

    usage: Usage = field(default=Usage(), compare=False)
    parked: ParkedRun | None = field(default=None, compare=False)


GuestOutcome: TypeAlias = Finished | FlowFailedInGuest | SuspendedRun


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRun:
    """Everything that determines a run, apart from the answers to its host calls.

    Attributes:
        cpi: the package that declares the flow.
        flow_class: the flow's full name.
        start: JSON text of the argument of the export `run` (docs/reference/host-api.md).
        granted: capabilities (interface names) that the virtual node grants; a call to any other
            ends the run with `capability-not-granted`.
        quota: limits of the virtual node's guests; the CPK may declare lower ones.
        node: the virtual node of the flow; None if there is none.
    """

    cpi: CpiRecord
    flow_class: str
    start: str
    granted: frozenset[str]
    quota: Quota
    node: ShortHash | None = None


class FlowGuests(Protocol):
    """Runs flows of stored CPIs, each run in a fresh sandbox. Called from several threads."""

    def run(self, run: FlowRun, host: HostCallHandler) -> GuestOutcome:
        """Run a flow from its start.

        Args:
            run: the flow, its start argument and its permissions.
            host: answers host calls, in order, while the caller waits.

        Raises:
            GuestKilledError: a limit, a trap, a refused capability, code that cannot be loaded.
            UnavailableError: the guest was lost for a reason outside its code: retry the run.
            Exception: any other exception of `host`.
        """
        ...
