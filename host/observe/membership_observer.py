"""The work of membership as log lines and metrics."""

import structlog
from prometheus_client import CollectorRegistry, Counter

from host.ports.clock import TwoClocks

TELL_MS = 60_000
"""A failure of one kind is logged at most this often."""

_log = structlog.get_logger("cordbox.membership")


class MembershipObserver:
    """Called by the thread of membership alone."""

    def __init__(self, registry: CollectorRegistry, clock: TwoClocks) -> None:
        self._clock = clock
        self._told = dict[str, int]()
        self._records = Counter(
            "cordbox_membership_records",
            "Messages of membership that were handled, and outcomes of those sent, by result.",
            ("result",),
            registry=registry,
        )
        for result in ("handled", "dropped"):
            self._records.labels(result)

    def handled(self, *, is_dropped: bool) -> None:
        """A record was handled, or dropped because it cannot be."""
        self._records.labels("dropped" if is_dropped else "handled").inc()

    def failed(self, error: BaseException) -> None:
        """The work failed; it is tried again."""
        kind, now = type(error).__name__, self._clock.steady_ms()
        told = self._told.get(kind)
        if told is None or now - told >= TELL_MS:
            self._told[kind] = now
            _log.error("membership-work-failed", reason=str(error) or kind)
