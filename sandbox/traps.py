"""From the text of an engine error to the error that names the reason; nothing else is let out.

The engine's own text holds addresses, function names and a backtrace of the guest. Those stay here.
"""

import re

from sandbox.errors import (
    DeadlineExceededError,
    ForbiddenOperationError,
    GuestTrapError,
    MemoryLimitError,
    OutOfFuelError,
    RunError,
    StackOverflowError,
)

CLOCK = "the sandbox has no clock: ask the host (flow.now)"
RANDOMNESS = "the sandbox has no randomness: ask the host (flow.random)"
FILES = "the sandbox has no files"

_OUT_OF_MEMORY = ("exceeds memory limits", "exceeds table limits", "resource limit exceeded")
_ALLOCATION_FRAMES = re.compile(r"!(?:cabi_realloc|[\w:<> ]*(?:rust_oom|handle_alloc_error))")
_FORBIDDEN = (
    (re.compile(r"!(?:__)?clock_(?:gettime|getres|time_get)"), CLOCK),
    (re.compile(r"!(?:clock_nanosleep|nanosleep|poll_oneoff|poll)\b"), "the sandbox cannot wait"),
    (re.compile(r"!(?:__)?(?:getentropy|getrandom|random_get)"), RANDOMNESS),
    (
        re.compile(
            r"!(?:__wasilibc_\w+|f?open(?:at)?|fd_\w+|path_\w+|l?stat|fstat(?:at)?|read|write|writev|"
            r"opendir|access|faccessat|unlink(?:at)?|mkdir(?:at)?|rename(?:at)?|getcwd|chdir)\b"
        ),
        FILES,
    ),
)


def forbidden_operation(text: str) -> str | None:
    """What the guest reached for that does not exist; None for another kind of trap."""
    for mark, reason in _FORBIDDEN:
        if mark.search(text):
            return reason
    return None


def trap_name(text: str) -> str:
    """The trap's own name, such as `call stack exhausted`."""
    found = re.search(r"wasm trap: ([a-z][a-z0-9 `_-]{0,80})", text)
    return found.group(1).strip() if found else "no reason given"


def error_of(text: str) -> RunError:
    """The run's error for the text of an engine error."""
    name = trap_name(text)
    if "all fuel consumed" in text:
        return OutOfFuelError("the guest used all of its fuel")
    if name == "interrupt":
        return DeadlineExceededError("the run took longer than its wall-clock limit")
    if "call stack exhausted" in text:
        return StackOverflowError("the guest used all of its stack")
    if any(mark in text for mark in _OUT_OF_MEMORY) or _ALLOCATION_FRAMES.search(text):
        return MemoryLimitError("the guest needs more memory than its limit")
    reason = forbidden_operation(text)
    if reason:
        return ForbiddenOperationError(reason)
    return GuestTrapError(f"the guest's code trapped: {name}")
