"""When a failed record is retried, and when it becomes a dead letter.

Pure. Source: Corda's flow engine: delays of 1, 2, 4, 8 and 16 s, at most 5 retries within 5
minutes; then the flow fails and the record goes to the dead letter topic. Outages of the platform
itself do not count: Corda's workers wait for their broker and database in the same way.

`KINDS` is the part of Corda's failure taxonomy that reaches the engine as an exception. The rest
are values: a platform failure that the flow may catch is a `CapabilityError` and becomes the
call's answer, a killed flow is the event `Killed`, an event that no flow waits for is dropped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from host.domain.errors import OutageError, StorageBusyError, StorageError
from host.domain.ids import EpochMs
from host.domain.shortages import is_shortage
from host.flow.core.config import CORDA_DEFAULTS, FlowConfig
from host.flow.core.errors import FlowRecordDamagedError
from host.ports.groups import FencedError
from host.ports.state import StateConflictError

_FIRST_DELAY_MS = 1_000


class FailureKind(StrEnum):
    TRANSIENT = "transient"
    """Retried a bounded number of times, then fatal."""
    FATAL = "fatal"
    """Not retried: the flow fails, and the record goes to the dead letter topic."""
    CONFLICT = "conflict"
    """Another step changed the state first: retried at once with fresh state, then as TRANSIENT."""
    OUTAGE = "outage"
    """The host lacks a shared resource, or has no worker process of a needed kind: not the record's
    fault, retried without limit."""
    FENCED = "fenced"
    """The partition now belongs to another worker, which will process the record."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the table: matches instances of `cls` for which `holds`, if given, is true."""

    cls: type[BaseException]
    kind: FailureKind
    holds: Callable[[BaseException], bool] | None = None


KINDS: Sequence[_Row] = (
    _Row(FencedError, FailureKind.FENCED),
    _Row(StateConflictError, FailureKind.CONFLICT),
    _Row(StorageError, FailureKind.OUTAGE),
    _Row(OutageError, FailureKind.OUTAGE),
    # The process that holds the lock commits, or loses it, also if it is stopped.
    _Row(StorageBusyError, FailureKind.OUTAGE),
    _Row(BaseException, FailureKind.OUTAGE, is_shortage),
    _Row(FlowRecordDamagedError, FailureKind.FATAL),
    _Row(BaseException, FailureKind.TRANSIENT),
)
"""The kind of a failure: the first matching row. Everything not known to be permanent is retried,
including faults of the platform. A failure of any kind delays only its own key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Consecutive failures of one kind for the record at `position`.

    `attempts` counts failures of all kinds except outages. An outage does not reset it: a record
    that crashes the workers that it needs becomes a dead letter in spite of the outages that it
    causes.
    """

    position: int
    kind: FailureKind
    count: int
    attempts: int
    since: EpochMs
    last: EpochMs


def kind_of(failure: BaseException) -> FailureKind:
    return next(
        row.kind
        for row in KINDS
        if isinstance(failure, row.cls) and (row.holds is None or row.holds(failure))
    )


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
    """When to retry; None if the record is to become a dead letter."""
    if failures.kind is not FailureKind.OUTAGE and _is_spent(failures, config):
        return None
    if failures.kind is FailureKind.CONFLICT and failures.count == 1:
        return failures.last
    return EpochMs(failures.last + delay_ms(failures, config))


def delay_ms(failures: Failures, config: FlowConfig = CORDA_DEFAULTS) -> int:
    """Delay after the last failure: doubles with each failure, up to a limit."""
    doublings = min(max(failures.count - 1, 0), 20)
    return min(_FIRST_DELAY_MS << doublings, config.max_retry_delay_ms)


def _is_spent(failures: Failures, config: FlowConfig) -> bool:
    return (
        failures.kind is FailureKind.FATAL
        or failures.attempts > config.max_retry_attempts
        or failures.last - failures.since > config.max_retry_window_ms
    )
