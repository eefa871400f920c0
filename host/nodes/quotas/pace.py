"""The rate limit of one node: how much it may use per second, and how long runs wait. Pure.

A run is charged when it has ended, so a run may use more than one second's share. The excess is a
debt that decreases with time at the node's rate. While there is a debt, runs wait: each gets a
start time after those already waiting, one average run apart.
"""

from dataclasses import dataclass, field

from host.domain.ids import EpochMs

BURST_SECONDS = 2
"""The burst of an idle node, in seconds of its rate."""
WAIT_MS_MAX = 60_000
"""The longest wait of one reservation; a run that still may not start then gets another one."""
_AVERAGE_OVER = 16


@dataclass(slots=True)
class Bucket:
    """The balance of one rate. A `level` below 0 is a debt; `at` is the time of the level."""

    level: float
    at: EpochMs

    def refill(self, rate: int, now: EpochMs) -> None:
        passed = max(0, now - self.at)
        self.level = min(self.level + rate * passed / 1000, rate * BURST_SECONDS)
        self.at = now  # also if it is earlier: the clock was set back


@dataclass(slots=True)
class TokenBucket:
    """Mutable, of one node and one rate. Not thread-safe."""

    rate: int
    bucket: Bucket
    average: float = 0.0
    booked_until: EpochMs = field(default=EpochMs(0))

    @staticmethod
    def full(rate: int, now: EpochMs) -> "TokenBucket":
        """A pace with its full burst."""
        return TokenBucket(rate=rate, bucket=Bucket(level=rate * BURST_SECONDS, at=now))

    def charge(self, amount: int, now: EpochMs) -> None:
        """Charge what a run used."""
        self.bucket.refill(self.rate, now)
        self.bucket.level -= amount
        self.average += (amount - self.average) / _AVERAGE_OVER

    def wait_until(self, now: EpochMs) -> EpochMs | None:
        """When a run that is requested now may start; None if it may start at once."""
        self.bucket.refill(self.rate, now)
        if self.bucket.level >= 0:
            return None
        paid_at = now - self.bucket.level * 1000 / self.rate
        spacing = self.average * 1000 / self.rate
        at = max(paid_at, self.booked_until + spacing)
        at = min(max(at, now + 1), now + WAIT_MS_MAX)
        self.booked_until = EpochMs(int(at))
        return EpochMs(int(at) + 1)
