"""What the kit raises, apart from the host's own `CapabilityError`s."""

from typing import Any


class FlowFailedError(Exception):
    """A flow that a test started ended FAILED.

    Attributes:
        type: the error's code, or the exception's class name.
        trace: frames of the CorDapp's own files.
    """

    def __init__(self, kind: str, message: str, trace: list[dict[str, Any]] | None = None) -> None:
        super().__init__(f"{kind}: {message}")
        self.type = kind
        self.message = message
        self.trace = trace or []


class ContractRefusedError(Exception):
    """Contracts refuse a transaction; `failures` as in host-api.md, `contract.verify`."""

    def __init__(self, failures: list[dict[str, Any]]) -> None:
        super().__init__("; ".join(f["message"] for f in failures))
        self.failures = failures


class FlowKilled(BaseException):  # no Exception, so that guest code cannot catch it
    """The platform ends a flow; guest code has no say."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
