"""When a record that failed to be processed is tried again, and when it is given up.

Pure. Source: Corda's flow engine: delays of 1, 2, 4, 8 and 16 s, at most 5 attempts within 5
minutes; a record that keeps failing goes to the dead letter topic.
"""

from dataclasses import dataclass
from enum import StrEnum

from host.domain.ids import EpochMs

ATTEMPTS_MAX = 5
WINDOW_MS = 300_000
DELAY_MS_MAX = 16_000


class FailureKind(StrEnum):
    RECORD = "record"
    """Processing failed: bounded attempts."""
    CONFLICT = "conflict"
    """Another step changed the state first: at once with fresh state, then as RECORD."""
    STORE = "store"
    """The store cannot be used: no fault of the record, tried for as long as it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Failures in a row of one kind for the record at `offset`."""

    offset: int
    kind: FailureKind
    count: int
    since: EpochMs
    last: EpochMs


def next_failures(
    before: Failures | None, *, offset: int, kind: FailureKind, now: EpochMs
) -> Failures:
    """Count one more failure, or the first of another record or kind."""
    if before is None or (before.offset, before.kind) != (offset, kind):
        return Failures(offset=offset, kind=kind, count=1, since=now, last=now)
    return Failures(offset=offset, kind=kind, count=before.count + 1, since=before.since, last=now)


def retry_at(failures: Failures) -> EpochMs | None:
    """When to try again; None when the record is to be given up."""
    spent = failures.count >= ATTEMPTS_MAX or failures.last - failures.since > WINDOW_MS
    if failures.kind is not FailureKind.STORE and spent:
        return None
    if failures.kind is FailureKind.CONFLICT and failures.count == 1:
        return failures.last
    delay = min(1000 * 2 ** min(failures.count - 1, 10), DELAY_MS_MAX)
    return EpochMs(failures.last + delay)
