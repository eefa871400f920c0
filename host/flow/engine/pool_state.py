"""What the threads of a pool share."""

import sys
import threading
from collections.abc import Mapping

from host.flow.core.dispatch import Dispatch

STORE_RETRY_MS = 1_000


class PoolState:
    """Mutable; `lock` guards all of it, and a change of what a thread waits for notifies it.

    Attributes:
        has_work: threads without a turn wait on it.
        has_time: the thread of due times waits on it.
        dispatch: the pending work.
        epochs: the partitions that the pool owns, each with the epoch of its ownership; the mapping
            is replaced as a whole.
        is_stopping: the threads are going to end.
    """

    def __init__(self, threads: int, rest: float) -> None:
        self.lock = threading.Lock()
        self.has_work = threading.Condition(self.lock)
        self.has_time = threading.Condition(self.lock)
        self.dispatch = Dispatch(threads, rest=rest)
        self.epochs: Mapping[int, int] = {}
        self.is_stopping = False


def report_failure() -> None:
    """Report the current exception like one that ends a thread."""
    threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
