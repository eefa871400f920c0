"""What the attempts share."""

from dataclasses import dataclass

from cordapp.flows import CordaRuntimeError


@dataclass(frozen=True)
class NoInput:
    """The attempt needs to know nothing."""


class AttemptFailedError(CordaRuntimeError):
    """The platform answered the call, and gave away nothing."""

    def __init__(self, message: str) -> None:
        super().__init__("attempt-failed", message)
