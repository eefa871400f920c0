"""What processes have used of the processor and of memory, from Linux's /proc."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Processor time in seconds (a tick of the clock is 10 ms), and page faults without reading."""

    cpu_seconds: float
    faults: int


def used(*pids: int) -> Used:
    """What processes have used since they began, all their threads together."""
    rows = [_fields(pid) for pid in pids]
    return Used(
        cpu_seconds=sum(int(row[11]) + int(row[12]) for row in rows) / _TICKS,
        faults=sum(int(row[7]) for row in rows),
    )


def used_with_children(pid: int) -> Used:
    """What a process, those below it, and those below it that have ended have used."""
    rows = [_fields(each) for each in (pid, *below(pid))]
    return Used(
        cpu_seconds=sum(sum(int(field) for field in row[11:15]) for row in rows) / _TICKS,
        faults=sum(int(row[7]) + int(row[8]) for row in rows),
    )


def below(pid: int) -> Iterator[int]:
    """The processes that a process has started, and theirs."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text(encoding="ascii").split():
            yield int(child)
            yield from below(int(child))


def _fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: a name may hold spaces and brackets."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
