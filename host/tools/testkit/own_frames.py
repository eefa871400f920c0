"""Tracebacks without the frames of the SDK, the kit, and the host's parts below it."""

import sys
from types import TracebackType

from cordapp.failures import message_of
from cordapp.registry import DeclarationError
from host.domain.errors import HostError
from host.tools.testkit.rebuilt import chain_of

_HIDDEN = frozenset({"cordapp", "cordapp_testkit", "host", "sandbox", "cpi"})


def hide_frames(exc: BaseException) -> None:
    """Take those frames out of an exception and of all that it came from.

    A traceback of nothing else stays as it is: a failure has to be seen. A cause of nothing else
    is left out if what it led to says the same.
    """
    for each in list(chain_of(exc)):
        if each.__cause__ is not None and _says_nothing_new(each.__cause__, each):
            each.__cause__, each.__suppress_context__ = None, True
        kept = [step for step in _steps(each.__traceback__) if not _is_hidden(step)]
        if kept:
            for step, after in zip(kept, [*kept[1:], None], strict=True):
                step.tb_next = after
            each.__traceback__ = kept[0]


def _says_nothing_new(cause: BaseException, exc: BaseException) -> bool:
    steps = _steps(cause.__traceback__)
    is_repeated = bool(message_of(cause)) and message_of(cause) in message_of(exc)
    return bool(steps) and all(map(_is_hidden, steps)) and is_repeated and not _notes(cause)


def _notes(exc: BaseException) -> list[str]:
    return getattr(exc, "__notes__", [])


def refusal_of(exc: BaseException) -> str | None:
    """What is wrong with a CorDapp, a line each; None of what its own code or a test has raised."""
    if not isinstance(exc, HostError | DeclarationError):
        return None
    if any(not _is_hidden(step) and not _is_library(step) for step in _steps(exc.__traceback__)):
        return None
    return explained(exc)


def explained(refused: Exception) -> str:
    """A refusal as commands print it: each of several faults on a line of its own."""
    code = f"error[{refused.code}]: " if isinstance(refused, HostError) else ""
    entry = getattr(refused, "entry", None)
    place = f"{entry}: " if entry else ""
    problems = getattr(refused, "problems", None)
    return (
        "\n".join(f"{code}{place}{each}" for each in problems) if problems else f"{code}{refused}"
    )


def _is_library(step: TracebackType) -> bool:
    """Of pytest, or of the standard library, such as the threads that prepare code."""
    module = str(step.tb_frame.f_globals.get("__name__", ""))
    return module.partition(".")[0] in {"_pytest", "pluggy", *sys.stdlib_module_names}


def _steps(trace: TracebackType | None) -> list[TracebackType]:
    steps = []
    while trace is not None:
        steps.append(trace)
        trace = trace.tb_next
    return steps


def _is_hidden(step: TracebackType) -> bool:
    module = step.tb_frame.f_globals.get("__name__", "")
    return isinstance(module, str) and module.partition(".")[0] in _HIDDEN
