"""The port through which a run's host calls are answered."""

from contextlib import AbstractContextManager
from typing import Protocol

from sandbox.limits import Usage


class HostCalls(Protocol):
    """Answers a guest's host calls, one at a time, on the thread that runs the guest."""

    def __call__(self, interface: str, function: str, request: str) -> str:
        """Answer the JSON text of `ok`.

        Args:
            interface: WIT interface without package and version, for example `sessions`.
            function: WIT function name, for example `sub-flow`.
            request: JSON text as the guest gave it.

        Raises:
            GuestError: the call's `err`, which the guest may catch.
            Suspend: end the run as `Suspended`.
            SandboxError: end the run with this error.
            BaseException: any other ends the run and is re-raised to the caller of `Guest.call`.
        """
        ...


class RunControl(Protocol):
    """A run as its host sees it from within a host call, on the run's thread."""

    def usage(self) -> Usage:
        """What the run has used since its start."""
        ...

    def memory_bytes(self) -> int:
        """About how much memory the guest has filled."""
        ...

    def paused(self) -> AbstractContextManager[None]:
        """Stop the run's wall clock for the length of the block; it starts anew afterwards."""
        ...


class GuestError(Exception):
    """A host call's `err`.

    Attributes:
        payload: JSON text `{"code": .., "message": ..}`.
    """

    def __init__(self, payload: str) -> None:
        super().__init__(payload)
        self.payload = payload


class Suspend(Exception):  # noqa: N818  # an outcome, not a defect
    """Ends the run as `Suspended`."""
