"""When a record that failed to be processed is tried again, and when it is given up.

Pure. Source: Corda's flow engine: delays of 1, 2, 4, 8 and 16 s, at most 5 retries within 5
minutes; then the flow fails and the record goes to the dead letter topic. An outage of the platform
itself counts for nothing: Corda's workers wait for their broker and database in the same way.

`KINDS` is the part of Corda's failure taxonomy that reaches the engine as an exception. The rest
are values: a platform failure that the flow may catch is a `CapabilityError` and becomes the
call's answer, a killed flow is the event `Killed`, an event that no flow waits for is dropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from host.domain.errors import OutageError, StorageError
from host.domain.ids import EpochMs
from host.flow.config import CORDA_DEFAULTS, FlowConfig
from host.flow.errors import FlowRecordDamagedError
from host.ports.state import StateConflictError

_FIRST_DELAY_MS = 1_000


class FailureKind(StrEnum):
    TRANSIENT = "transient"
    """Tried again a bounded number of times, then fatal."""
    FATAL = "fatal"
    """Given up at once: the flow fails, the record goes to the dead letters."""
    CONFLICT = "conflict"
    """Another step changed the state first: at once with fresh state, then as TRANSIENT."""
    OUTAGE = "outage"
    """The store cannot be used, or no worker process of a kind that is needed is there: no fault of
    the record, tried for as long as it takes."""


KINDS: Sequence[tuple[type[Exception], FailureKind]] = (
    (StateConflictError, FailureKind.CONFLICT),
    (StorageError, FailureKind.OUTAGE),
    (OutageError, FailureKind.OUTAGE),
    (FlowRecordDamagedError, FailureKind.FATAL),
    (Exception, FailureKind.TRANSIENT),
)
"""The kind of a failure: the first row that fits. Whatever is not known to be hopeless is tried
again, faults of the platform included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Failures in a row of one kind for the record at `position`.

    `attempts` counts those of all kinds but outages. An outage does not set it back: a record that
    makes the workers end which it needs is given up in spite of the outages that it causes.
    """

    position: int
    kind: FailureKind
    count: int
    attempts: int
    since: EpochMs
    last: EpochMs


def kind_of(failure: Exception) -> FailureKind:
    return next(kind for cls, kind in KINDS if isinstance(failure, cls))


def next_failures(
    before: Failures | None, *, position: int, kind: FailureKind, now: EpochMs
) -> Failures:
    """Count one more failure, or the first of another record or kind."""
    same = before if before is not None and before.position == position else None
    attempts = (same.attempts if same else 0) + (kind is not FailureKind.OUTAGE)
    if same is None or same.kind != kind:
        return Failures(
            position=position, kind=kind, count=1, attempts=attempts, since=now, last=now
        )
    return replace(same, count=same.count + 1, attempts=attempts, last=now)


def retry_at(failures: Failures, config: FlowConfig = CORDA_DEFAULTS) -> EpochMs | None:
    """When to try again; None when the record is to be given up."""
    if failures.kind is not FailureKind.OUTAGE and _is_spent(failures, config):
        return None
    if failures.kind is FailureKind.CONFLICT and failures.count == 1:
        return failures.last
    delay = min(_FIRST_DELAY_MS * 2 ** min(failures.count - 1, 20), config.max_retry_delay_ms)
    return EpochMs(failures.last + delay)


def _is_spent(failures: Failures, config: FlowConfig) -> bool:
    return (
        failures.kind is FailureKind.FATAL
        or failures.attempts > config.max_retry_attempts
        or failures.last - failures.since > config.max_retry_window_ms
    )
