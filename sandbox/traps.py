"""Maps the text of an engine error to the error that names the reason; the text is not passed on.

The engine's own text contains addresses, function names and a backtrace of the guest, which must
not leave this module.
"""

import re

from sandbox.errors import (
    DeadlineExceededError,
    ForbiddenOperationError,
    GuestTrapError,
    HostMemoryError,
    MemoryLimitError,
    OutOfFuelError,
    RunError,
    StackOverflowError,
)
from sandbox.growth import TRAP_NAME

CLOCK = "the sandbox has no clock: ask the host (flow.now)"
RANDOMNESS = "the sandbox has no randomness: ask the host (flow.random)"
FILES = "the sandbox has no files"

_KINDS: tuple[tuple[re.Pattern[str], type[RunError], str], ...] = (
    (
        # From the system, at instantiation; names chosen by a guest appear only in backtraces.
        re.compile(r"\A(?:(?!wasm backtrace).)*\(os error 12\)", re.DOTALL),
        HostMemoryError,
        "the system has no memory for the run",
    ),
    (
        re.compile("all fuel consumed"),
        OutOfFuelError,
        "the guest used all of its fuel",
    ),
    (
        re.compile("wasm trap: interrupt"),
        DeadlineExceededError,
        "the run took longer than its wall-clock limit",
    ),
    (
        re.compile("call stack exhausted"),
        StackOverflowError,
        "the guest used all of its stack",
    ),
    (
        re.compile(
            r"exceeds (?:memory|table) limits|resource limit exceeded|"
            rf"!(?:{TRAP_NAME}|cabi_realloc|wit_dylib_push_string|"
            r"[\w:<> ]*(?:rust_oom|handle_alloc_error))"
        ),
        MemoryLimitError,
        "the guest needs more memory than its limit",
    ),
    (
        re.compile(r"!(?:std::panicking|[\w:]*fatal_error|_?Py_FatalError)"),
        GuestTrapError,
        "the guest's runtime gave up",
    ),
)
"""Texts that identify a kind of trap, most specific first. Function names are the runtimes'."""

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


def error_of(text: str) -> RunError:
    """The run's error for the text of an engine error."""
    for mark, error, message in _KINDS:
        if mark.search(text):
            return error(message)
    for mark, reason in _FORBIDDEN:
        if mark.search(text):
            return ForbiddenOperationError(reason)
    found = re.search(r"wasm trap: ([a-z][a-z0-9 `_-]{0,80})", text)
    name = found.group(1).strip() if found else "no reason given"
    return GuestTrapError(f"the guest's code trapped: {name}")
