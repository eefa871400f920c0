"""How much private memory this process has."""

import resource
from pathlib import Path

from sandbox.limits import MIB

_UNKNOWN = 256 * MIB


def data_bytes() -> int:
    """Bytes of writable private memory; a generous estimate if the system does not report it."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[5]
    except OSError:
        return _UNKNOWN
    return int(pages) * resource.getpagesize()


def thread_filled_bytes() -> int | None:
    """Bytes of all pages that the calling thread has touched so far; None if not counted.

    The engine does not report how large a guest's memory is. A page is allocated when it is first
    touched, which the kernel counts as a minor fault of that thread.
    """
    who = getattr(resource, "RUSAGE_THREAD", None)
    if who is None:
        return None
    try:
        return resource.getrusage(who).ru_minflt * resource.getpagesize()
    except OSError:  # in a sealed process, which the host measures from outside
        return None


def resident_bytes(pid: int) -> int | None:
    """Memory of a process; None if the system does not report it."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return None
    return int(pages) * resource.getpagesize()
