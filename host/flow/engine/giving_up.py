"""Records that retries cannot process: they become dead letters, and their flows end."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from host.domain.errors import HostError, UnavailableError
from host.domain.flow import FlowError, FlowStatusName
from host.domain.ids import FlowId, ShortHash
from host.flow.core.aside import WorkKey
from host.flow.core.bodies import body_deletion
from host.flow.core.config import FlowConfig
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.messages import (
    DEAD_LETTER_TOPIC,
    EVENT_TOPIC,
    KillFlow,
    Respond,
    SessionFailure,
    SessionMessage,
    decode_event,
    decode_start,
)
from host.flow.core.retry import FailureKind, kind_of
from host.flow.core.status_records import status_records
from host.flow.core.statuses import StoredStatus, status_key, write_status
from host.flow.core.taken import Taken
from host.flow.engine.mapper_worker import refusal_record
from host.flow.engine.steps import FlowSteps
from host.flow.records.corrupt_checkpoint import cleanup_of
from host.ports.bus import NOBODY, NewRecord
from host.ports.clock import Clock
from host.ports.groups import Fence
from host.ports.live import Live
from host.ports.state import StateRecord, StateWrite
from host.ports.units import StateStore, Unit
from host.ports.work import WorkRecord

_CLEARED_AT_ONCE = 8
"""Maximum records of a damaged key that one unit moves: each may be as large as a message."""
_WAITED_FOR = frozenset({FailureKind.OUTAGE, FailureKind.CONFLICT, FailureKind.FENCED})
"""Failures of the attempt to end a flow that are not caused by the flow."""


class GivingUp:
    """Moves records to the dead letters. Thread-safe."""

    def __init__(
        self, *, store: StateStore, steps: FlowSteps, clock: Clock, config: Live[FlowConfig]
    ) -> None:
        self._store = store
        self._steps = steps
        self._clock = clock
        self._config = config

    def give_up(self, taken: Taken, failure: BaseException) -> None:
        """Move the one record of `taken` to the dead letters, and end its flow.

        Raises:
            Exception: an outage, a conflict, or a reassigned partition; otherwise the flow ends,
                even if nothing of it can be read.
        """
        (record,) = taken.records
        error = _fatal(failure)
        letter = _letter(record.key, record.value, record.queue.node)
        if record.queue.topic == EVENT_TOPIC:
            try:
                self._steps.handle(taken, broken=error, letter=(letter,))
            except FlowRecordDamagedError as damaged:
                error = FlowError(type=error.type, message=damaged.message)
                self._clear(record, error, letter, taken)
                return
            except HostError as refused:
                if kind_of(refused) in _WAITED_FOR:
                    raise
                # The flow could not be created: there is no flow to end.
            except Exception as again:
                if kind_of(again) in _WAITED_FOR:
                    raise
                self._clear(record, error, letter, taken)
                return
            else:
                return
        states = self._failed_start(record, error)
        records = (letter, *self._published(states), *_refusals(record, error))
        self._store.commit(taken.unit(Unit(states=states, records=records)))

    def clear(self, key: WorkKey, damaged: FlowRecordDamagedError, fence: Fence | None) -> None:
        """Move all set-aside records of a key to the dead letters unchanged; its flow ends.

        The head is deleted last: until then the key waits, and a later call moves the rest.

        Raises:
            Exception: as `give_up`.
        """
        while len(left := self._left(key)) == _CLEARED_AT_ONCE:
            self._store.commit(_cleared(key, left, (), fence))
        head = self._store.get(key.state_key)
        unit = _cleared(key, left, () if head is None else (head,), fence)
        if key.queue.topic == EVENT_TOPIC:
            error = FlowError(type=damaged.code, message=damaged.message)
            now, kept = self._clock.now_ms(), self._config.get().status_retention_ms
            ending = cleanup_of(
                self._store, key.queue.node, FlowId(key.key), error, now, retention_ms=kept
            )
            unit = replace(
                unit,
                states=(*unit.states, *ending.states),
                forget=ending.forget,
                records=(*unit.records, *self._published(ending.states)),
            )
        self._store.commit(unit)

    def _published(self, states: Iterable[StateWrite]) -> tuple[NewRecord, ...]:
        return status_records(states, is_wanted=self._config.get().publishes_statuses)

    def _left(self, key: WorkKey) -> Sequence[StateRecord]:
        return self._store.scan(key.state_key + "/", _CLEARED_AT_ONCE)

    def _clear(self, record: WorkRecord, error: FlowError, letter: NewRecord, taken: Taken) -> None:
        """End a flow whose checkpoint cannot be read, or that cannot be ended regularly."""
        now, kept = self._clock.now_ms(), self._config.get().status_retention_ms
        ending = cleanup_of(
            self._store, record.queue.node, FlowId(record.key), error, now, retention_ms=kept
        )
        # A flow without stored state is known only from its start record.
        known = {write.key for write in ending.states}
        start = tuple(w for w in self._failed_start(record, error) if w.key not in known)
        ending = replace(ending, states=(*ending.states, *start))
        told = self._published(ending.states)
        ending = replace(ending, records=(letter, *told, *_refusals(record, error)))
        self._store.commit(taken.unit(ending))

    def _failed_start(self, record: WorkRecord, error: FlowError) -> tuple[StateWrite, ...]:
        """The status of a flow that could not start; its request body is deleted."""
        try:
            start = decode_start(record.value)
        except FlowRecordDamagedError:
            return ()
        if isinstance(start, KillFlow):
            return ()
        holding = start.holding.node()
        status = StoredStatus(
            holding=holding,
            request_id=start.client_request_id,
            flow_id=None,
            flow_class=start.flow_class,
            status=FlowStatusName.FAILED,
            error_type=error.type,
            error_code=error.code,
            error_message=error.message,
            updated_at=self._clock.now_ms(),
        )
        write = write_status(
            self._store.get(status_key(holding, start.client_request_id)),
            status,
            retention_ms=self._config.get().status_retention_ms,
        )
        writes = () if write is None else (write,)
        if not start.body_bytes:
            return writes
        return (*writes, body_deletion(holding, start.client_request_id))


def _cleared(
    key: WorkKey, left: Sequence[StateRecord], heads: Sequence[StateRecord], fence: Fence | None
) -> Unit:
    """Moves records of a key to the dead letters, and deletes its head."""
    return Unit(
        states=tuple(
            StateWrite(key=r.key, value=None, expected=r.version) for r in (*left, *heads)
        ),
        records=tuple(_letter(key.key, record.value, key.queue.node) for record in left),
        fences=() if fence is None else (fence,),
    )


def _refusals(record: WorkRecord, error: FlowError) -> tuple[NewRecord, ...]:
    """Notifications to the sender of a session message that it could not be delivered."""
    try:
        event = decode_event(record.value)
    except FlowRecordDamagedError:
        return ()
    message = event.message if isinstance(event, Respond) else event
    if not isinstance(message, SessionMessage) or isinstance(message.payload, SessionFailure):
        return ()
    failure = SessionFailure(code=error.code, message=error.message)
    return (refusal_record(message, failure),)


def _letter(key: str, value: bytes, node: ShortHash) -> NewRecord:
    """The dead letter of a record; it is charged to the record's node."""
    owner = node if node != NOBODY else None
    return NewRecord(topic=DEAD_LETTER_TOPIC, key=key, value=value, owner=owner)


def _fatal(failure: BaseException) -> FlowError:
    if isinstance(failure, UnavailableError):
        return FlowError(type="platform-unavailable", message=failure.public_message)
    if isinstance(failure, FlowRecordDamagedError):
        return FlowError(type=failure.code, message=failure.message)
    # Further details of platform errors are for the host's log, not for tenants.
    return FlowError(type="platform-failure", message="the platform failed; its log tells why")
