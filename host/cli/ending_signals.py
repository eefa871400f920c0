"""Signals that end a command which has started processes of its own."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_KINDS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the block as Ctrl-C does, so that it stops what it has started."""
    before = {kind: signal.signal(kind, _interrupt) for kind in _KINDS}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
