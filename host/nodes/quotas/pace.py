"""The pace of one node: how much it may use in a second, and who waits for how long. Pure.

A run is charged when it has ended, so that a run larger than a second's share is possible; what it
used beyond the share is a debt that time pays off. While there is a debt, guests wait. Each that
waits is given a place behind the ones before it, one average run apart.
"""

from dataclasses import dataclass, field

from host.domain.ids import EpochMs

BURST_SECONDS = 2
"""Seconds of its rate that a node that was idle may use at once."""
WAIT_MS_MAX = 60_000
"""The longest wait of one booking; whoever still may not run then is given another."""
_AVERAGE_OVER = 16


@dataclass(slots=True)
class Bucket:
    """What is left of one rate. `level` below 0 is a debt; `at` is when it was true."""

    level: float
    at: EpochMs

    def refill(self, rate: int, now: EpochMs) -> None:
        passed = max(0, now - self.at)
        self.level = min(self.level + rate * passed / 1000, rate * BURST_SECONDS)
        self.at = now  # also when that is before: the clock was put back, and time goes on


@dataclass(slots=True)
class TokenBucket:
    """Mutable, of one node and one rate. Not thread-safe."""

    rate: int
    bucket: Bucket
    average: float = 0.0
    booked_until: EpochMs = field(default=EpochMs(0))

    @staticmethod
    def full(rate: int, now: EpochMs) -> "TokenBucket":
        """A pace whose burst is all there."""
        return TokenBucket(rate=rate, bucket=Bucket(level=rate * BURST_SECONDS, at=now))

    def charge(self, amount: int, now: EpochMs) -> None:
        """Take what a run used."""
        self.bucket.refill(self.rate, now)
        self.bucket.level -= amount
        self.average += (amount - self.average) / _AVERAGE_OVER

    def wait_until(self, now: EpochMs) -> EpochMs | None:
        """When a guest that asks now may come back; None when it may run at once."""
        self.bucket.refill(self.rate, now)
        if self.bucket.level >= 0:
            return None
        paid_at = now - self.bucket.level * 1000 / self.rate
        spacing = self.average * 1000 / self.rate
        at = max(paid_at, self.booked_until + spacing)
        at = min(max(at, now + 1), now + WAIT_MS_MAX)
        self.booked_until = EpochMs(int(at))
        return EpochMs(int(at) + 1)
