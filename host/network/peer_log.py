"""The log of what members and strangers send: a bounded number of lines, the rest is counted."""

import structlog

from host.network.gateway.limits import LogBudget
from host.ports.clock import Clock

_members = structlog.get_logger("cordbox.membership")


class PeerLog:
    """Lines that others can cause, at most ten a second; `left_out` counts those before one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines = LogBudget()

    def warning(self, event: str, **facts: object) -> None:
        left_out = self._lines.admit(self._clock.now_ms())
        if left_out is not None:
            _members.warning(event, left_out=left_out, **facts)

    def error(self, event: str, **facts: object) -> None:
        left_out = self._lines.admit(self._clock.now_ms())
        if left_out is not None:
            _members.error(event, left_out=left_out, **facts)
