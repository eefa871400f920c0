"""Refusals of unknown callers: the first of a kind has an entry, the others are counted. Pure.

However refusals vary, a minute adds at most `FIRST_PER_MINUTE_MAX` + 1 first entries, and as many
entries of counts. All further refusals are counted together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from host.domain.ids import EpochMs

FIRST_PER_MINUTE_MAX = 100
MINUTE_MS = 60_000
ANY = ("*",)

Key = tuple[str, ...]


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """Refusals like that of entry `of`, which is not counted itself."""

    of: int
    count: int
    first_at: EpochMs
    last_at: EpochMs
    is_any: bool


@dataclass(slots=True, kw_only=True)
class _Run:
    first_at: EpochMs
    last_at: EpochMs
    of: int | None = None
    count: int = 0


class Floods:
    """The refusals of the minute. Not thread-safe."""

    def __init__(self) -> None:
        self._since = EpochMs(0)
        self._runs: dict[Key, _Run] = {}

    def add(self, key: Key, now: EpochMs) -> Key | None:
        """Count a refusal.

        Returns:
            None; or, if the refusal needs an entry, the key to pass to `recorded`.
        """
        if self.is_due(now) and not self.counts():
            self.clear()
        if not self._runs:
            self._since = now
        found = key if key in self._runs else ANY
        run = self._runs.get(found)
        if run is None:
            first = key if len(self._runs) < FIRST_PER_MINUTE_MAX else ANY
            self._runs[first] = _Run(first_at=now, last_at=now)
            return first
        run.first_at = run.first_at if run.count else now
        run.last_at = now
        run.count += 1
        return None

    def recorded(self, key: Key, seq: int | None) -> None:
        """Entry `seq` records the first refusal of `key`; None: no entry could be written."""
        run = self._runs.get(key)
        if run is None:
            return
        if seq is None:
            del self._runs[key]
        else:
            run.of = seq

    def counts(self) -> Sequence[Count]:
        """The counts that have not been taken yet."""
        return [
            Count(
                of=run.of,
                count=run.count,
                first_at=run.first_at,
                last_at=run.last_at,
                is_any=key == ANY,
            )
            for key, run in self._runs.items()
            if run.count and run.of is not None
        ]

    def is_due(self, now: EpochMs) -> bool:
        """Whether a minute has passed since the first of these refusals."""
        return bool(self._runs) and not 0 <= now - self._since < MINUTE_MS

    def clear(self) -> None:
        """Begin a new minute, after all counts have been taken."""
        self._runs = {key: run for key, run in self._runs.items() if run.of is None}
