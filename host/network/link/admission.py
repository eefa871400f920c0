"""What hosts without a session may ask for: rates by address and in all. Pure.

Every bucket refills continuously, and holds at most one second's worth. The number of addresses
that are remembered is bounded; an address that is forgotten has a full bucket again.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

HELLOS_PER_ADDRESS = 20.0
HELLOS = 500.0
REGISTRATIONS_PER_ADDRESS = 2.0
REGISTRATIONS = 50.0
FAILURES_PER_ADDRESS = 20
FAILURES_MS = 60_000
ADDRESSES_MAX = 4096
HALF_OPEN_MAX = 4096
HALF_OPEN_MS = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: int


class Rate:
    """Mutable: token buckets by address, and one for all. Rates are in requests per second."""

    def __init__(self, per_address: float, total: float) -> None:
        self._per_address = per_address
        self._total_rate = total
        self._total = _Bucket(total, 0)
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def admits(self, address: str, now_ms: int) -> bool:
        """Whether a request may be processed; it is counted if so."""
        bucket = self._buckets.pop(address, None) or _Bucket(self._per_address, now_ms)
        self._buckets[address] = bucket
        if len(self._buckets) > ADDRESSES_MAX:
            self._buckets.popitem(last=False)
        _refill(bucket, self._per_address, now_ms)
        _refill(self._total, self._total_rate, now_ms)
        if bucket.tokens < 1 or self._total.tokens < 1:
            return False
        bucket.tokens -= 1
        self._total.tokens -= 1
        return True


class Failures:
    """Mutable: failed handshakes by address."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def failed(self, address: str, now_ms: int) -> None:
        since, count = self._counts.pop(address, (now_ms, 0))
        fresh = now_ms - since >= FAILURES_MS
        self._counts[address] = (now_ms, 1) if fresh else (since, count + 1)
        if len(self._counts) > ADDRESSES_MAX:
            self._counts.popitem(last=False)

    def refuses(self, address: str, now_ms: int) -> bool:
        """Whether the address has failed too often within a minute."""
        since, count = self._counts.get(address, (0, 0))
        return count >= FAILURES_PER_ADDRESS and now_ms - since < FAILURES_MS


class InWork:
    """Mutable: requests that are processed now, of all addresses and of each."""

    def __init__(self, most: int, per_address: int) -> None:
        self._most = most
        self._per_address = per_address
        self._counts: Counter[str] = Counter()

    def enters(self, address: str) -> bool:
        """Whether a request may be processed now; `leaves` follows if so."""
        if self._counts.total() >= self._most or self._counts[address] >= self._per_address:
            return False
        self._counts[address] += 1
        return True

    def leaves(self, address: str) -> None:
        self._counts[address] -= 1
        if self._counts[address] <= 0:
            del self._counts[address]


T = TypeVar("T")


class HalfOpen(Generic[T]):
    """Mutable: handshakes that were answered and not concluded, in memory, for ten seconds."""

    def __init__(self) -> None:
        self._open: OrderedDict[bytes, tuple[str, int, T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, session: bytes, address: str, now_ms: int, value: T) -> None:
        """Keep a handshake; if there are too many, the oldest of the address is dropped."""
        self._expire(now_ms)
        self._open.pop(session, None)
        if len(self._open) >= HALF_OPEN_MAX:
            own = (key for key, (owner, _, _) in self._open.items() if owner == address)
            del self._open[next(own, next(iter(self._open)))]
        self._open[session] = (address, now_ms, value)

    def pop(self, session: bytes, now_ms: int) -> T | None:
        """Remove a handshake: it is concluded once."""
        self._expire(now_ms)
        found = self._open.pop(session, None)
        return None if found is None else found[2]

    def _expire(self, now_ms: int) -> None:
        while self._open:
            session, (_, at, _) = next(iter(self._open.items()))
            if now_ms - at < HALF_OPEN_MS:
                return
            del self._open[session]


def _refill(bucket: _Bucket, rate: float, now_ms: int) -> None:
    elapsed = max(0, now_ms - bucket.at)
    bucket.tokens = min(rate, bucket.tokens + elapsed * rate / 1000)
    bucket.at = now_ms
