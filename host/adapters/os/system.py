"""The operating system's clock and randomness, behind the host's ports."""

import os
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

from host.domain.ids import EpochMs
from host.ports.clock import Clock


class SystemClock:
    """Implements the ports `Clock` and `TwoClocks` with the system's clocks."""

    def now_ms(self) -> EpochMs:
        return EpochMs(time.time_ns() // 1_000_000)

    def steady_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000


class SteadyClock:
    """A `Clock` for timeouts.

    It starts with the time of day of its creation, and ignores later changes of the time of day.

    Args:
        clock: read once.
        monotonic: a monotonic clock in seconds.
    """

    def __init__(self, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._zero_ms = clock.now_ms() - int(monotonic() * 1000)

    def now_ms(self) -> EpochMs:
        return EpochMs(self._zero_ms + int(self._monotonic() * 1000))


def boot_id() -> str:
    """Identifies the machine's current boot: changes with every power failure or restart."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def host_name() -> str:
    """The machine's name, in letters, digits and hyphens."""
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname()) or "host"


class SystemEntropy:
    """Implements the `Entropy` port with the kernel's random numbers."""

    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)
