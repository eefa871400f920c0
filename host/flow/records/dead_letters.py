"""Dead letters of the flow engine, for operators: records that could not be processed."""

from collections.abc import Sequence
from dataclasses import dataclass

from host.domain.ids import EpochMs
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.messages import DEAD_LETTER_TOPIC, FlowEvent, decode_event, decode_start
from host.ports.bus import Record, RecordPlace
from host.ports.topics import Logs

LIMIT_MAX = 1_001


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record of the dead letter topic; its content stays in the store.

    Attributes:
        key: key of the record: a flow id, a session id, or request id and node of a start.
        kind: the kind of record, such as `session` or `start`; `unreadable` if it cannot be
            decoded.
        size: bytes of its value.
        given_up_at: when it became a dead letter.
        place: its position in the list.
    """

    key: str
    kind: str
    size: int
    given_up_at: EpochMs
    place: RecordPlace


def dead_letters(
    store: Logs, limit: int, before: RecordPlace | None = None
) -> Sequence[DeadLetter]:
    """The latest dead letters, newest first; at most `limit`, and never more than `LIMIT_MAX`.

    One record at a time is in memory: each may be large.
    """
    found: list[DeadLetter] = []
    while len(found) < min(limit, LIMIT_MAX):
        records = store.newest(DEAD_LETTER_TOPIC, 1, before)
        if not records:
            break
        found.append(_letter(records[0]))
        before = records[0].place
    return found


def _letter(record: Record) -> DeadLetter:
    return DeadLetter(
        key=record.key,
        kind=_kind(record.value),
        size=len(record.value),
        given_up_at=record.written_at,
        place=record.place,
    )


def _kind(value: bytes) -> str:
    for decode in (decode_event, decode_start):
        try:
            event: FlowEvent = decode(value)
        except FlowRecordDamagedError:
            continue
        return str(event.__struct_config__.tag)
    return "unreadable"
