"""The sandbox's error tree: every refusal is a class with a stable `code`."""

from typing import ClassVar

from sandbox.limits import Usage


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
    """

    code = "capability-not-granted"

    def __init__(self, message: str, *, function: str) -> None:
        super().__init__(message)
        self.function = function


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
    """No component of that digest has been derived or admitted here."""

    code = "component-unknown"


class CompileRefusedError(SandboxError):
    """The compile jail ended: a limit was reached, or the compiler refused the component."""

    code = "compile-refused"


class CompileLostError(CompileRefusedError):
    """The compiler was killed from outside, not by its own limits: a retry may succeed."""

    code = "compile-lost"


class DeriveFailedError(SandboxError):
    """The Python sources cannot be loaded into the runtime."""

    code = "derive-failed"


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
