"""When a record that failed to be processed is tried again, and when it is given up.

Pure. Source: Corda's flow engine: delays of 1, 2, 4, 8 and 16 s, at most 5 retries within 5
minutes; then the flow fails and the record goes to the dead letter topic.

`KINDS` is the part of Corda's failure taxonomy that reaches the engine as an exception. The rest
are values: a platform failure that the flow may catch is a `CapabilityError` and becomes the
call's answer, a killed flow is the event `Killed`, an event that no flow waits for is dropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from host.domain.errors import StorageError
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
    STORE = "store"
    """The store cannot be used: no fault of the record, tried for as long as it takes."""


KINDS: Sequence[tuple[type[Exception], FailureKind]] = (
    (StateConflictError, FailureKind.CONFLICT),
    (StorageError, FailureKind.STORE),
    (FlowRecordDamagedError, FailureKind.FATAL),
    (Exception, FailureKind.TRANSIENT),
)
"""The kind of a failure: the first row that fits. Whatever is not known to be hopeless is tried
again, faults of the platform included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Failures in a row of one kind for the record at `offset`."""

    offset: int
    kind: FailureKind
    count: int
    since: EpochMs
    last: EpochMs


def kind_of(failure: Exception) -> FailureKind:
    return next(kind for cls, kind in KINDS if isinstance(failure, cls))


def next_failures(
    before: Failures | None, *, offset: int, kind: FailureKind, now: EpochMs
) -> Failures:
    """Count one more failure, or the first of another record or kind."""
    if before is None or (before.offset, before.kind) != (offset, kind):
        return Failures(offset=offset, kind=kind, count=1, since=now, last=now)
    return Failures(offset=offset, kind=kind, count=before.count + 1, since=before.since, last=now)


def retry_at(failures: Failures, config: FlowConfig = CORDA_DEFAULTS) -> EpochMs | None:
    """When to try again; None when the record is to be given up."""
    if failures.kind is not FailureKind.STORE and _is_spent(failures, config):
        return None
    if failures.kind is FailureKind.CONFLICT and failures.count == 1:
        return failures.last
    delay = min(_FIRST_DELAY_MS * 2 ** min(failures.count - 1, 20), config.max_retry_delay_ms)
    return EpochMs(failures.last + delay)


def _is_spent(failures: Failures, config: FlowConfig) -> bool:
    return (
        failures.kind is FailureKind.FATAL
        or failures.count > config.max_retry_attempts
        or failures.last - failures.since > config.max_retry_window_ms
    )
