"""Failures of a guests' process, in addition to those of a run."""

from sandbox.errors import RunError, SandboxError


class GuestProcessDiedError(RunError):
    """The process that ran the guest crashed."""

    code = "guest-process-died"


class GuestProcessViolationError(RunError):
    """The process that ran the guest did something that no guest needs, and was killed."""

    code = "guest-process-violation"


class GuestProcessLostError(SandboxError):
    """The process could not be started, or was ended from outside: no fault of the run."""

    code = "guest-process-lost"
