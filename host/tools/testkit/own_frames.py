"""Tracebacks without the frames of the SDK, the kit, and the host's parts below it."""

from types import TracebackType

from host.tools.testkit.rebuilt import chain_of

_HIDDEN = frozenset({"cordapp", "cordapp_testkit", "host", "sandbox", "cpi"})


def hide_frames(exc: BaseException) -> None:
    """Take those frames out of an exception and of all that it came from.

    A traceback of nothing else stays as it is: a failure has to be seen.
    """
    for each in chain_of(exc):
        kept = [step for step in _steps(each.__traceback__) if not _is_hidden(step)]
        if kept:
            for step, after in zip(kept, [*kept[1:], None], strict=True):
                step.tb_next = after
            each.__traceback__ = kept[0]


def _steps(trace: TracebackType | None) -> list[TracebackType]:
    steps = []
    while trace is not None:
        steps.append(trace)
        trace = trace.tb_next
    return steps


def _is_hidden(step: TracebackType) -> bool:
    module = step.tb_frame.f_globals.get("__name__", "")
    return isinstance(module, str) and module.partition(".")[0] in _HIDDEN
