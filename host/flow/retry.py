"""When a record that failed to be processed is tried again, and when it is given up.

Pure. Source: Corda's flow engine: delays of 1, 2, 4, 8 and 16 s, at most 5 attempts within 5
minutes; a record that keeps failing goes to the dead letter topic.
"""

from dataclasses import dataclass

from host.domain.ids import EpochMs

ATTEMPTS_MAX = 5
WINDOW_MS = 300_000
DELAY_MS_MAX = 16_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Failures in a row of one record. `bounded` False: the store failed, not the record."""

    count: int
    since: EpochMs
    last: EpochMs
    bounded: bool


def next_failures(before: Failures | None, *, now: EpochMs, bounded: bool) -> Failures:
    """Count one more failure. Failures of the store do not add to the record's."""
    if before is None or before.bounded is not bounded:
        return Failures(count=1, since=now, last=now, bounded=bounded)
    return Failures(count=before.count + 1, since=before.since, last=now, bounded=bounded)


def retry_at(failures: Failures) -> EpochMs | None:
    """When to try again; None when the record is to be given up."""
    spent = failures.count >= ATTEMPTS_MAX or failures.last - failures.since > WINDOW_MS
    if failures.bounded and spent:
        return None
    delay = min(1000 * 2 ** min(failures.count - 1, 10), DELAY_MS_MAX)
    return EpochMs(failures.last + delay)
