"""One look at the registers for a step: a step asks its caches thirty times, within a millisecond.

Each look whether something was committed is a statement. Within a view a thread looks once: what
others commit meanwhile it sees as if they had committed after its step.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from host.ports.database import SqlDatabase

VIEW_SECONDS = 0.02
"""How old a view may be: a step that lasts looks again."""


class _View(threading.local):
    """The view of a thread; `until` is by the monotonic clock, 0 without a view."""

    def __init__(self) -> None:
        self.until = 0.0
        self.seen: dict[SqlDatabase, int] = {}


_view = _View()


@contextmanager
def steady_view() -> Iterator[None]:
    """Within the block, the calling thread looks at each database's revision once.

    For `VIEW_SECONDS` at most, and until the thread itself writes. A block within another one has a
    view of its own, and ends that of the other.
    """
    _view.seen, _view.until = {}, time.monotonic() + VIEW_SECONDS
    try:
        yield
    finally:
        end_view()


def end_view() -> None:
    """The calling thread has written: it sees that at its next look."""
    _view.until = 0.0


def seen_revision(database: SqlDatabase) -> int:
    """The revision of a database in the calling thread's view; without one, the newest.

    Raises:
        StorageError: the database cannot be read.
    """
    view = _view
    if view.until == 0.0 or time.monotonic() >= view.until:
        return database.revision()
    found = view.seen.get(database)
    if found is None:
        found = view.seen[database] = database.revision()
    return found
