"""Handling of failures: set the key aside, dead-letter the record, or hold the key in memory.

Only the key of the failed record is delayed. While the store cannot be written, such keys are held
in memory, and other keys whose work can be committed continue.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from host.domain.ids import EpochMs
from host.flow.core.aside import Aside, Cause, WorkKey
from host.flow.core.config import FlowConfig
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.events import EventSink, RecordDeadLettered, RecordRetried
from host.flow.core.messages import GROUP
from host.flow.core.retry import FailureKind, Failures, delay_ms, kind_of, next_failures, retry_at
from host.flow.core.taken import RECORDS_MAX, Taken
from host.flow.engine.asides import Asides
from host.flow.engine.giving_up import GivingUp
from host.ports.clock import Clock
from host.ports.groups import Fence
from host.ports.live import Live
from host.ports.units import StateStore, Unit
from host.ports.work import WorkRecord

_FAILURES_MAX = 10_000
"""Maximum keys whose unstored failures are kept in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of work on a key.

    Attributes:
        worked: whether records were removed from the queue, or the key has more work at once.
        hold_ms: how long to hold the key, if nothing could be stored.
        is_done: whether the records are known to be no longer in their queue.
    """

    worked: bool
    hold_ms: int | None = None
    is_done: bool = False


class Setbacks:
    """Decides about failures. Thread-safe for distinct keys."""

    def __init__(
        self,
        *,
        store: StateStore,
        asides: Asides,
        giving_up: GivingUp,
        clock: Clock,
        events: EventSink,
        config: Live[FlowConfig],
    ) -> None:
        self._store = store
        self._asides = asides
        self._giving_up = giving_up
        self._clock = clock
        self._events = events
        self._config = config
        self._failures: OrderedDict[WorkKey, Failures] = OrderedDict()

    def __contains__(self, key: WorkKey) -> bool:
        """Whether the stored state of the key may differ from the known one."""
        return key in self._failures

    def over(self, key: WorkKey) -> None:
        """Report that the key's work was done."""
        self._failures.pop(key, None)

    def failed(
        self,
        key: WorkKey,
        records: Sequence[WorkRecord],
        failure: BaseException,
        epoch: int | None = None,
    ) -> Outcome:
        """Handle a failure of `FlowEngine.work`: set the key aside, dead-letter it, or wait.

        If that fails as well, the key is held in memory; other keys are not affected.
        """
        if kind_of(failure) is FailureKind.FENCED:
            self._failures.pop(key, None)
            return Outcome(worked=False)
        before, fence = self._failures.get(key), fence_of(key, epoch)
        try:
            return self._set_aside(key, records, failure, fence)
        except Exception as again:  # noqa: BLE001  # worker boundary: even this may fail
            if kind_of(again) is FailureKind.FENCED:
                return Outcome(worked=False)
            position = records[0].position if records else before.position if before else -1
            failures = self._count(before, position, again)
            self._remember(key, failures)
            self._tell_retried(key, failures, again)
            delay = delay_ms(failures, self._config.get())
            if records or key not in self._asides:
                return Outcome(worked=False, hold_ms=delay)
            # Keys that are set aside are not held in memory: their number is not limited.
            now = self._clock.now_ms()
            self._asides.note(key, EpochMs(now + delay), now, fence)
            return Outcome(worked=False)

    def _set_aside(
        self,
        key: WorkKey,
        records: Sequence[WorkRecord],
        failure: BaseException,
        fence: Fence | None,
    ) -> Outcome:
        try:
            aside = self._asides.load(key, fence)
            waiting = records or self._asides.records(
                aside, RECORDS_MAX if aside.head.failures is None else 1
            )
        except FlowRecordDamagedError as damaged:
            self._clear_aside(key, damaged, fence)
            return Outcome(worked=True)
        if not waiting:
            return Outcome(worked=True)
        if records and len(aside):
            self.queue_behind(aside, records, aside.head.failures, aside.due, fence)
            return Outcome(worked=True)
        now = self._clock.now_ms()
        if len(waiting) > 1:
            # Retrying the records one by one shows which of them fails.
            failures, again = _unknown(waiting[0], kind_of(failure), now), now
        else:
            before = self._failures.get(key, aside.head.failures)
            failures = self._count(before, waiting[0].position, failure)
            if failures.kind is FailureKind.CONFLICT and failures.count == 1:
                self._remember(key, failures)
                if not records:
                    self._asides.note(key, now, now, fence)
                return Outcome(worked=True)
            found = retry_at(failures, self._config.get())
            if found is None:
                self._give_up(aside, waiting[0], failure, is_aside=not records, fence=fence)
                return Outcome(worked=True)
            again = found
        if records:
            self.queue_behind(aside, records, failures, again, fence)
        else:
            writes = aside.failed(failures, again)
            self._store.commit(Unit(states=writes, fences=() if fence is None else (fence,)))
            self._asides.note(key, again, now, fence)
        self._failures.pop(key, None)
        if failures.count:
            self._tell_retried(key, failures, failure)
        return Outcome(worked=bool(records) or again <= now)

    def queue_behind(
        self,
        aside: Aside,
        records: Sequence[WorkRecord],
        failures: Failures | None,
        due: EpochMs | None,
        fence: Fence | None,
        *,
        cause: Cause = Cause.RETRY,
    ) -> None:
        """Move records from their queue to the end of their key's records that are set aside.

        Raises:
            FencedError: the partition has been reassigned.
            StateConflictError: the key differs from `aside`, or a record was processed meanwhile.
            StorageError: the store cannot be written.
        """
        writes = aside.behind(records, failures, due, cause)
        self._store.commit(Taken.of_queue(records, fence).unit(Unit(states=writes)))
        noted_at = self._clock.now_ms() if failures is None else failures.last
        self._asides.note(aside.key, due, noted_at, fence)

    def _give_up(
        self,
        aside: Aside,
        record: WorkRecord,
        failure: BaseException,
        *,
        is_aside: bool,
        fence: Fence | None,
    ) -> None:
        if is_aside:
            taken = self._asides.taken(aside, [record], fence, self._clock.now_ms())
        else:
            taken = Taken.of_queue([record], fence)
        self._giving_up.give_up(taken, failure)
        if is_aside:
            self._asides.left(aside, 1, self._clock.now_ms(), fence)
        self._failures.pop(aside.key, None)
        self._events(
            RecordDeadLettered(
                topic=record.queue.topic,
                partition=record.queue.partition,
                position=record.position,
                reason=_reason(failure),
            )
        )

    def _clear_aside(
        self, key: WorkKey, damaged: FlowRecordDamagedError, fence: Fence | None
    ) -> None:
        """Dead-letter all records that are set aside of a key if any of them cannot be read."""
        self._giving_up.clear(key, damaged, fence)
        self._asides.forget(key, fence)
        self._failures.pop(key, None)

    def _count(self, before: Failures | None, position: int, failure: BaseException) -> Failures:
        now = self._clock.now_ms()
        return next_failures(before, position=position, kind=kind_of(failure), now=now)

    def _remember(self, key: WorkKey, failures: Failures) -> None:
        self._failures[key] = failures
        while len(self._failures) > _FAILURES_MAX:
            # Its head may have been stored although the result of the commit was lost: check the
            # store.
            forgotten, _ = self._failures.popitem(last=False)
            now = self._clock.now_ms()
            self._asides.note(forgotten, now, now, None)

    def _tell_retried(self, key: WorkKey, failures: Failures, failure: BaseException) -> None:
        self._events(
            RecordRetried(
                topic=key.queue.topic,
                partition=key.queue.partition,
                position=failures.position,
                attempt=failures.count,
                reason=_reason(failure),
            )
        )


def _unknown(record: WorkRecord, kind: FailureKind, now: EpochMs) -> Failures:
    """A failure of several records together: it counts as an attempt of none of them."""
    return Failures(position=record.position, kind=kind, count=0, attempts=0, since=now, last=now)


def _reason(failure: BaseException) -> str:
    return f"{type(failure).__name__}: {failure}"


def fence_of(key: WorkKey, epoch: int | None) -> Fence | None:
    """The proof that the owner with `epoch` may work on a key."""
    if epoch is None:
        return None
    return Fence(group=GROUP, partition=key.queue.partition, epoch=epoch)
