"""What the machine, or this process's control group, offers: processors and memory."""

import os
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
_KIB = 1024


def processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int | None:
    """Bytes that processes can still take without swapping; None where the system does not tell.

    Args:
        meminfo: the machine's `/proc/meminfo`.
        cgroup: folder of the own control group (version 2), which may allow less.
    """
    found = [each for each in (_of_machine(meminfo), _of_group(cgroup)) if each is not None]
    return min(found, default=None)


def _of_machine(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    sizes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(sizes[0]) * _KIB if sizes and sizes[0].isdigit() else None


def _of_group(cgroup: Path) -> int | None:
    most, used = (_number(cgroup / name) for name in ("memory.max", "memory.current"))
    return None if most is None or used is None else max(0, most - used)


def _number(file: Path) -> int | None:
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return int(text) if text.isdigit() else None
