"""How much memory this process has to itself."""

import resource
from pathlib import Path

from sandbox.limits import MIB

_UNKNOWN = 256 * MIB


def data_bytes() -> int:
    """Bytes of writable private memory; a generous guess where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[5]
    except OSError:
        return _UNKNOWN
    return int(pages) * resource.getpagesize()


def thread_filled_bytes() -> int | None:
    """Bytes of all pages that the calling thread has filled in its life; None where nobody counts.

    The engine does not tell how large a guest's memory is. A page of it exists once it is touched,
    and the kernel counts that as a minor fault of the thread that did.
    """
    who = getattr(resource, "RUSAGE_THREAD", None)
    if who is None:
        return None
    try:
        return resource.getrusage(who).ru_minflt * resource.getpagesize()
    except OSError:  # in a sealed process, where the host looks from outside
        return None


def resident_bytes(pid: int) -> int | None:
    """Memory that a process holds; None where the system does not tell."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return None
    return int(pages) * resource.getpagesize()
