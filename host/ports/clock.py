"""Time and randomness come in from outside, so that tests decide about both."""

from typing import Protocol

from host.domain.ids import EpochMs


class Clock(Protocol):
    def now_ms(self) -> EpochMs: ...


class Entropy(Protocol):
    def random_bytes(self, count: int) -> bytes: ...
