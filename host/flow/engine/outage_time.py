"""Time that this thread has waited for unavailable parts of the platform.

That time is neither charged to a node nor counted in a run's duration. Code that waits for an
unavailable part reports it here; code that measures a run reads the total before and after.
"""

import threading

_local = threading.local()


def waited_ms() -> int:
    """Total milliseconds that this thread has waited for unavailable parts."""
    found: int = getattr(_local, "millis", 0)
    return found


def note_wait(millis: int) -> None:
    """Report that this thread has waited `millis` milliseconds for an unavailable part."""
    _local.millis = waited_ms() + max(0, millis)
