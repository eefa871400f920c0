"""The sandbox's error tree: every refusal is a class with a stable `code`."""

import json
from typing import ClassVar

from sandbox.limits import Usage

_REPORT_CHARACTERS_MAX = 256 * 1024
_NAME_CHARACTERS_MAX = 150


class SandboxError(Exception):
    """Root of every refusal of the sandbox.

    Attributes:
        code: stable kebab-case identifier.
        message: one sentence that names the refused item.
        receipt: the run's receipt as canonical JSON; None if no run took place.
        usage: what the run used; None if no run took place.
    """

    code: ClassVar[str] = "sandbox-error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.receipt: str | None = None
        self.usage: Usage | None = None


class RunError(SandboxError):
    """Root of the errors that end a run."""

    code = "guest-stopped"


class OutOfFuelError(RunError):
    """The guest used all of its fuel."""

    code = "out-of-fuel"


class DeadlineExceededError(RunError):
    """The run took longer than its wall-clock limit."""

    code = "deadline-exceeded"


class MemoryLimitError(RunError):
    """The guest needed more memory or table elements than its limit."""

    code = "memory-limit"


class HostMemoryError(RunError):
    """The system refused memory within the guest's limit: the run may be repeated."""

    code = "host-memory"


class StackOverflowError(RunError):
    """The guest used all of its stack."""

    code = "stack-overflow"


class GuestTrapError(RunError):
    """The guest's code ended by a WebAssembly trap."""

    code = "guest-trap"


class ForbiddenOperationError(RunError):
    """The guest tried to reach a clock, randomness, files or another thing that does not exist."""

    code = "forbidden-operation"


class CapabilityNotGrantedError(RunError):
    """The guest called an interface that was not granted.

    Attributes:
        function: `interface.function` of the call.
        report: what the guest answered after the refusal, if that was a failure.
    """

    code = "capability-not-granted"

    def __init__(self, message: str, *, function: str) -> None:
        super().__init__(message)
        self.function = function
        self.report: str | None = None

    def locate(self, report: str) -> None:
        """Add the place of the call from the guest's failure, which may be any text."""
        self.report = report
        place = _place_of(report)
        if place is not None:
            self.message = f"{self.message} (at {place})"
            self.args = (self.message,)


class PayloadTooLargeError(RunError):
    """A text that should cross the boundary is larger than the limit."""

    code = "payload-too-large"


class TooManyHostCallsError(RunError):
    """The guest made more host calls than its limit."""

    code = "too-many-host-calls"


class LogLimitError(RunError):
    """The guest logged more than its limit."""

    code = "log-limit"


class InvalidPayloadError(RunError):
    """A text that should cross the boundary is not Unicode."""

    code = "payload-invalid"


class ComponentRefusedError(SandboxError):
    """The component breaks a static limit or is not a valid component."""

    code = "component-refused"


class WorldMismatchError(SandboxError):
    """The component's imports and exports are not those of its world."""

    code = "world-mismatch"


class ComponentUnknownError(SandboxError):
    """No component or image of that digest has been admitted or made here."""

    code = "component-unknown"


class CompileRefusedError(SandboxError):
    """The compile jail ended: a limit was reached, or the compiler refused the component."""

    code = "compile-refused"


class CompileLostError(CompileRefusedError):
    """The compiler was killed from outside, not by its own limits: a retry may succeed."""

    code = "compile-lost"


class LoadFailedError(SandboxError):
    """The Python sources cannot be loaded into the runtime."""

    code = "load-failed"


class RuntimeUnknownError(SandboxError):
    """No pinned runtime of that digest or world is installed."""

    code = "runtime-unknown"


class RuntimeDamagedError(SandboxError):
    """A pinned runtime's bytes are not those that its digest names."""

    code = "runtime-damaged"


class SourceRefusedError(SandboxError):
    """The Python sources break a limit or a rule of their form."""

    code = "source-refused"


class ToolMissingError(SandboxError):
    """A tool that the operation needs is not installed."""

    code = "tool-missing"


def _place_of(report: str) -> str | None:
    """The innermost place in a guest's failure: `iou/flows.py:12 call`."""
    if len(report) > _REPORT_CHARACTERS_MAX:
        return None
    try:
        match json.loads(report):
            case {"trace": [*_, {"file": str(file), "line": int(line), "function": str(name)}]}:
                place = f"{file[-_NAME_CHARACTERS_MAX:]}:{line} {name[:_NAME_CHARACTERS_MAX]}"
                return place if place.isprintable() else None
    except (ValueError, RecursionError):
        pass
    return None
