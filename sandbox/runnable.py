"""The interface of a guest, wherever it runs, and the request of a run."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from sandbox.host_calls import HostCallHandler
from sandbox.limits import Limits
from sandbox.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """All inputs that determine a run of a guest, except the answers to its host calls.

    Attributes:
        export: `verify`, `run` or `describe`.
        argument: the export's JSON text; None for `describe`.
        limits: bounds of this run.
        granted: interfaces that may be called, in addition to `log` and `flow`.
    """

    export: str
    argument: str | None
    limits: Limits
    granted: frozenset[str] = frozenset()


class Runnable(ABC):
    """A guest. Safe to use from several threads: each run has an instance to itself."""

    __slots__ = ()

    @abstractmethod
    def run(self, request: RunRequest, host: HostCallHandler | None = None) -> Outcome:
        """Run an export in an instance that is new, or put back to its beginning.

        Args:
            request: the export, its argument, and what it may do.
            host: answers host calls; none are possible without it. A `WaitingHandler` is attached
                before the first of them, where runs can be paused.

        Raises:
            SandboxError: a trap, a limit or a refusal ended the run; `receipt` and `usage` are set.
            RunEndedError: `host` ended the run; `usage` is set.
            BaseException: what else `host` raised.
        """

    def call(
        self,
        export: str,
        argument: str | None,
        *,
        limits: Limits,
        host: HostCallHandler | None = None,
        granted: frozenset[str] = frozenset(),
    ) -> Outcome:
        """Run an export; see `run` and `RunRequest`."""
        request = RunRequest(export=export, argument=argument, limits=limits, granted=granted)
        return self.run(request, host)
