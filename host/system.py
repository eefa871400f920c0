"""The operating system's clock and randomness, behind the host's ports."""

import os
import time

from host.domain.ids import EpochMs


class SystemClock:
    """The `Clock` port by the system's clock."""

    def now_ms(self) -> EpochMs:
        return EpochMs(time.time_ns() // 1_000_000)


class SystemEntropy:
    """The `Entropy` port by the kernel's random numbers."""

    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)
