"""Dead letters of the flow engine, for operators: records that could not be processed.

One that is discarded moves to a topic of its own, where it counts to its node as before, and is
deleted after `DISCARDED_MS`. Each move is one unit that names the record which it moves, so that no
record is tried twice or kept twice.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.errors import ConflictError, InvalidInputError, NotFoundError
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.domain.refused import shown
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.mapper import decode_state, session_key
from host.flow.core.messages import (
    DEAD_LETTER_TOPIC,
    DISCARDED_TOPIC,
    EVENT_TOPIC,
    IN_TOPIC,
    OUT_TOPIC,
    FlowEvent,
    SessionMessage,
    decode_event,
    flow_state_key,
)
from host.ports.bus import NewRecord, Record, RecordPlace
from host.ports.state import StateConflictError, States
from host.ports.topics import Logs
from host.ports.units import Commits, Dropped, Unit

LIMIT_MAX = 1_001
DISCARDED_MS = 7 * 86_400_000
"""How long discarded records are kept."""
CONTENT_BYTES_MAX = 64 * 1024
"""Most bytes of a record that are shown."""
_ID = re.compile(r"(d?)([0-9]{1,18})-([0-9]{1,9})-([0-9]{1,18})")

IsHosted = Callable[[ShortHash], bool]
"""Whether a node is one of this cluster's."""


class DeadLetterIdInvalidError(InvalidInputError):
    """The text is no id of a dead letter."""

    code = "dead-letter-id-invalid"


class DeadLetterFinalError(ConflictError):
    """The record cannot be processed any more: its flow has ended, or nobody can tell which it was.

    The message says which.
    """

    code = "dead-letter-final"


class DeadLetterMovedError(ConflictError):
    """The record has been retried, discarded, restored or deleted already."""

    code = "dead-letter-moved"


class LetterStore(States, Logs, Commits, Protocol):
    """The store, as far as dead letters need it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record of the dead letter topic; its content stays in the store.

    Attributes:
        key: key of the record: a flow id, a session id, or request id and node of a start.
        kind: the kind of record, such as `session` or `start`; `unreadable` if it cannot be
            decoded.
        size: bytes of its value.
        given_up_at: when it became a dead letter, or was discarded or restored.
        place: its position in the list.
        node: to which it counts; None if nobody can tell.
        is_discarded: whether it is among those that an operator discarded.
    """

    key: str
    kind: str
    size: int
    given_up_at: EpochMs
    place: RecordPlace
    node: ShortHash | None = None
    is_discarded: bool = False

    @property
    def id(self) -> str:
        """Names it until it is moved."""
        place = self.place
        mark = "d" if self.is_discarded else ""
        return f"{mark}{place.written_at}-{place.partition}-{place.offset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A dead letter with what can be done about it.

    Attributes:
        letter: the record.
        flow_id: the flow that it is for; None if nobody can tell.
        why_final: why it cannot be tried again; empty if it can.
        value: the record's value.
    """

    letter: DeadLetter
    flow_id: FlowId | None
    why_final: str
    value: bytes


class DeadLetters:
    """Lists dead letters, and moves them. Thread-safe."""

    def __init__(self, store: LetterStore) -> None:
        self._store = store

    def page(
        self, limit: int, before: RecordPlace | None = None, *, discarded: bool = False
    ) -> Sequence[DeadLetter]:
        """As `dead_letters`; with `discarded` those that were discarded."""
        return dead_letters(self._store, limit, before, discarded=discarded)

    def examine(self, letter_id: str) -> Examined:
        """A dead letter, discarded or not.

        Raises:
            DeadLetterIdInvalidError: the text is none.
            NotFoundError: it was moved or deleted.
        """
        record = self._find(letter_id)
        flow_id, why = self._flow_of(record, _event(record.value))
        return Examined(letter=_letter(record), flow_id=flow_id, why_final=why, value=record.value)

    def retry(self, letter_id: str, is_hosted: IsHosted) -> None:
        """Put a record at the end of its key's queue; it is no dead letter any more.

        Raises:
            DeadLetterIdInvalidError, NotFoundError: as `examine`.
            DeadLetterFinalError: its flow is not open.
            DeadLetterMovedError: it is discarded, or was moved at the same moment.
        """
        record = self._find(letter_id)
        _expect(letter_id, record, DEAD_LETTER_TOPIC)
        event = _event(record.value)
        _, why = self._flow_of(record, event)
        if why or record.owner is None or event is None:
            raise DeadLetterFinalError(f"dead letter {letter_id} cannot be retried: {why}")
        sender = _sender(event)
        queued = NewRecord(
            topic=_queue_of(record, event, sender, is_hosted),
            key=record.key,
            value=record.value,
            node=record.owner,
            peer=sender,
        )
        self._move(letter_id, record, queued)

    def discard(self, letter_id: str) -> None:
        """Keep a record among the discarded ones for `DISCARDED_MS`; raises as `retry`."""
        record = self._find(letter_id)
        _expect(letter_id, record, DEAD_LETTER_TOPIC)
        self._move(letter_id, record, _as_log(record, DISCARDED_TOPIC))

    def restore(self, letter_id: str) -> None:
        """Take a discarded record back among the dead letters, as the latest; raises as `retry`."""
        record = self._find(letter_id)
        _expect(letter_id, record, DISCARDED_TOPIC)
        self._move(letter_id, record, _as_log(record, DEAD_LETTER_TOPIC))

    def _find(self, letter_id: str) -> Record:
        topic, place = _parsed(letter_id)
        following = RecordPlace(
            written_at=place.written_at, partition=place.partition, offset=place.offset + 1
        )
        records = self._store.newest(topic, 1, following)
        if not records or records[0].place != place:
            raise NotFoundError(
                f"There is no dead letter {letter_id}.", kind="dead letter", named=letter_id
            )
        return records[0]

    def _flow_of(self, record: Record, event: FlowEvent | None) -> tuple[FlowId | None, str]:
        """The flow that a record is for, and why it cannot be retried; empty if it can."""
        if event is None:
            return None, "it cannot be read"
        flow_id: FlowId | None = FlowId(record.key)
        if _is_of_session(record, event):
            mapped = self._store.get(session_key(record.key))
            flow_id = None if mapped is None else decode_state(mapped.value).flow_id
        if record.owner is None:
            return flow_id, "nobody can tell which virtual node it is for"
        if flow_id is None:
            return None, "its session has no flow any more"
        if self._store.get(flow_state_key(flow_id)) is None:
            return flow_id, "its flow has ended, or never began"
        return flow_id, ""

    def _move(self, letter_id: str, record: Record, to: NewRecord) -> None:
        dropped = Dropped(source=record.source, offset=record.offset)
        try:
            self._store.commit(Unit(dropped=(dropped,), records=(to,)))
        except StateConflictError as exc:
            raise DeadLetterMovedError(f"dead letter {letter_id} was moved meanwhile") from exc


def dead_letters(
    store: Logs, limit: int, before: RecordPlace | None = None, *, discarded: bool = False
) -> Sequence[DeadLetter]:
    """The latest dead letters, newest first; at most `limit`, and never more than `LIMIT_MAX`.

    One record at a time is in memory: each may be large.
    """
    topic = DISCARDED_TOPIC if discarded else DEAD_LETTER_TOPIC
    found: list[DeadLetter] = []
    while len(found) < min(limit, LIMIT_MAX):
        records = store.newest(topic, 1, before)
        if not records:
            break
        found.append(_letter(records[0]))
        before = records[0].place
    return found


def _letter(record: Record) -> DeadLetter:
    event = _event(record.value)
    return DeadLetter(
        key=record.key,
        kind="unreadable" if event is None else str(event.__struct_config__.tag),
        size=len(record.value),
        given_up_at=record.written_at,
        place=record.place,
        node=record.owner,
        is_discarded=record.source.topic == DISCARDED_TOPIC,
    )


def _parsed(letter_id: str) -> tuple[str, RecordPlace]:
    found = _ID.fullmatch(letter_id)
    if found is None:
        raise DeadLetterIdInvalidError(f"{shown(letter_id)} is no id of a dead letter")
    place = RecordPlace(
        written_at=EpochMs(int(found[2])), partition=int(found[3]), offset=int(found[4])
    )
    return DISCARDED_TOPIC if found[1] else DEAD_LETTER_TOPIC, place


def _expect(letter_id: str, record: Record, topic: str) -> None:
    if record.source.topic != topic:
        is_now = "not discarded" if topic == DISCARDED_TOPIC else "discarded"
        raise DeadLetterMovedError(f"dead letter {letter_id} is {is_now}")


def _event(value: bytes) -> FlowEvent | None:
    """What a record is; start requests of earlier releases have the form of events, too."""
    try:
        return decode_event(value)
    except FlowRecordDamagedError:
        return None


def _is_of_session(record: Record, event: FlowEvent) -> bool:
    """Whether it was in a queue of a session, and not in one of a flow."""
    return isinstance(event, SessionMessage) and event.session_id == record.key


def _queue_of(
    record: Record, event: FlowEvent, sender: ShortHash | None, is_hosted: IsHosted
) -> str:
    """The topic of the queue that a record was in."""
    if not _is_of_session(record, event):
        return EVENT_TOPIC
    return OUT_TOPIC if sender is not None and is_hosted(sender) else IN_TOPIC


def _sender(event: FlowEvent) -> ShortHash | None:
    return event.source.node() or None if isinstance(event, SessionMessage) else None


def _as_log(record: Record, topic: str) -> NewRecord:
    return NewRecord(topic=topic, key=record.key, value=record.value, owner=record.owner)
