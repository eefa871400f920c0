"""How long this thread has waited for parts of the platform that were away.

That time is nobody's: it is neither charged to a node nor counted as a run's. Who waits for a part
that is away says so here; who measures a run reads it before and after.
"""

import threading

_local = threading.local()


def waited_ms() -> int:
    """Milliseconds that this thread has ever waited for what was away."""
    found: int = getattr(_local, "millis", 0)
    return found


def note_wait(millis: int) -> None:
    """This thread has waited for `millis` for a part of the platform that was away."""
    _local.millis = waited_ms() + max(0, millis)
