"""What a host occupies: memory of its processes, bytes of its data directory, processors."""

from collections.abc import Iterator
from pathlib import Path

_PAGE_BYTES = 4096


def memory_bytes(pid: int) -> int:
    """Bytes of memory of a process and its descendants; shared pages count once per process."""
    found = 0
    for process in _tree(pid):
        try:
            pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError):  # it has ended
            continue
        found += pages * _PAGE_BYTES
    return found


def processor_wait_s() -> float:
    """Seconds for which the calling thread was ready to run, and had no processor (Linux).

    See `Documentation/scheduler/sched-stats.rst` of the kernel; 0 where it is not counted.
    """
    try:
        fields = Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()
        return int(fields[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found = children.read_text(encoding="ascii").split()
        except OSError:
            continue
        for child in found:
            yield from _tree(int(child))


def disk_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    found = 0
    for file in folder.rglob("*"):
        try:
            found += file.stat().st_size
        except OSError:  # it was removed meanwhile
            continue
    return found
