"""How much memory this process, one of its threads or another process has."""

import resource
import threading
from pathlib import Path

from sandbox.limits import MIB

_UNKNOWN = 256 * MIB
_MINOR_FAULTS = 7
"""Place of `minflt` behind the name in `/proc/PID/stat`: proc_pid_stat(5) has it as field 10."""


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


def filled_bytes(pid: int, thread: int) -> int | None:
    """As `thread_filled_bytes`, of a thread of another process; None if there is no such thread."""
    try:
        fields = Path(f"/proc/{pid}/task/{thread}/stat").read_bytes().rpartition(b")")[2].split()
        return int(fields[_MINOR_FAULTS]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return None


def thread_faults() -> tuple[int, int, int] | None:
    """The calling thread, and its minor and major page faults so far; None if not counted.

    Between two equal answers the thread has touched no page for the first time, and no page that it
    shares copy-on-write has become its process's own by its doing: the kernel counts each such
    fault, also those of system calls that write to the process's memory.
    """
    who = getattr(resource, "RUSAGE_THREAD", None)
    if who is None:
        return None
    try:
        usage = resource.getrusage(who)
    except OSError:  # in a sealed process
        return None
    return threading.get_ident(), usage.ru_minflt, usage.ru_majflt


def resident_bytes(pid: int) -> int | None:
    """Memory of a process; None if the system does not report it."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return None
    return int(pages) * resource.getpagesize()
