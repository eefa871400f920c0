"""Histories of ended flows: what is kept of a flow when its checkpoint goes, and for how long.

A history is a state in one of a fixed number of slots, so that there are never more than the
settings allow: a flow that ends takes the slot of an older one. Its journal stays where it is.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from host.domain.flow import FlowStatusName
from host.domain.ids import EpochMs, FlowId
from host.flow.births import start_argument
from host.flow.checkpoint import Checkpoint
from host.flow.errors import FlowRecordDamagedError
from host.flow.journal import Entry
from host.flow.messages import Party, due_place
from host.flow.notes import Note
from host.flow.session import Session, SessionStatus
from host.flow.statuses import StoredStatus
from host.flow.stored import read_stored
from host.ports.bus import PARTITIONS
from host.ports.state import StateRecord, States, StateWrite
from host.ports.work import WorkRecord

HISTORY = "history"
"""First part of the key of a history."""

_ENTRY_OVERHEAD_BYTES = 200
_BYTES_PER_CHARACTER = 4
"""At most, in UTF-8: the estimate of a history's size must not be too small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLimits:
    """How much is kept of ended flows.

    Attributes:
        retention_ms: time for which a history is kept; 0 keeps none, as Corda does.
        flows_max: histories on this host; the oldest go first.
        bytes_max: of one history; of a larger one only the facts are kept.
    """

    retention_ms: int = 0
    flows_max: int = 10_000
    bytes_max: int = 1024 * 1024


NO_HISTORY = HistoryLimits()


class SessionFacts(Struct, frozen=True, kw_only=True):
    """What a history tells of a session; ids of both sides follow from `id`."""

    id: str
    is_initiator: bool
    peer: Party
    protocol: str
    version: int | None
    status: SessionStatus
    failure: str | None


class History(Struct, frozen=True, kw_only=True):
    """A flow as it stands or stood.

    `start` is the argument of the guest's `run`, None if it was too large to be kept; then the
    journal is not kept either. `notes` are those since the last journal entry. `ended_at`, and what
    only an end brings, are None while the flow runs.
    """

    v: int = 1
    flow_id: FlowId
    holding: Party
    cpi_checksum: str
    flow_class: str
    request_id: str
    responds_to: str | None
    created_at: EpochMs
    ended_at: EpochMs | None
    start: str | None
    status: FlowStatusName
    result: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    trace: tuple[str, ...] = ()
    sessions: tuple[SessionFacts, ...] = ()
    notes: tuple[Note, ...] = ()
    waiting: str | None = None
    waiting_since: EpochMs | None = None
    calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a step writes about the history of its flow. `key` is the history's, if there is one."""

    has_journal: bool
    key: str | None = None
    states: tuple[StateWrite, ...] = ()
    forget: tuple[FlowId, ...] = ()


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(History)


def history_of(
    checkpoint: Checkpoint, status: StoredStatus, trace: tuple[str, ...], now: EpochMs
) -> History:
    """The history of a flow, its journal apart."""
    waiting = checkpoint.waiting
    return History(
        flow_id=checkpoint.flow_id,
        holding=checkpoint.holding,
        cpi_checksum=checkpoint.cpi_checksum,
        flow_class=checkpoint.flow_class,
        request_id=checkpoint.request_id,
        responds_to=checkpoint.responds_to,
        created_at=checkpoint.created_at,
        ended_at=now if status.status.is_final else None,
        start=start_argument(checkpoint),
        status=status.status,
        result=status.result,
        error_type=status.error_type,
        error_message=status.error_message,
        trace=trace,
        sessions=tuple(_session_facts(s) for s in checkpoint.sessions.values()),
        notes=checkpoint.notes,
        waiting=waiting.function if waiting else None,
        waiting_since=waiting.since if waiting else None,
        calls=checkpoint.calls,
    )


def keep(
    states: States,
    history: History,
    journal: Sequence[Entry],
    last: WorkRecord,
    limits: HistoryLimits,
) -> Kept:
    """Keep the history of a flow that ends, in the place of an older one.

    Args:
        states: tells which flow holds the slot.
        history: of the flow.
        journal: of the flow.
        last: the record that the flow's last step began with; its position chooses the slot.
        limits: how much is kept.
    """
    is_whole = _size(history, journal) <= limits.bytes_max
    if not is_whole:
        history = msgspec.structs.replace(history, start=None, notes=())
    slots = max(1, limits.flows_max // PARTITIONS)
    key = f"{HISTORY}/{last.queue.partition}/{last.position % slots}"
    before = states.get(key)
    write = StateWrite(
        key=key,
        value=_encoder.encode(history),
        expected=before.version if before else 0,
        due_at=EpochMs((history.ended_at or 0) + limits.retention_ms),
        place=due_place(key),
    )
    gone = forgotten(before) if before else ()
    return Kept(
        has_journal=is_whole,
        key=key,
        states=(write,),
        forget=gone if is_whole else (*gone, history.flow_id),
    )


def forgotten(record: StateRecord) -> tuple[FlowId, ...]:
    """The flow whose journal goes with a history; none if the history is damaged."""
    with suppress(FlowRecordDamagedError):
        return (read_history(record).flow_id,)
    return ()


def read_history(record: StateRecord) -> History:
    """Decode a stored history.

    Raises:
        FlowRecordDamagedError: it cannot be read.
    """
    return read_stored(_decoder, record.value, f"history {record.key!r}")


def _size(history: History, journal: Sequence[Entry]) -> int:
    characters = len(history.start or "") + len(history.result or "")
    characters += sum(len(e.answer) + len(e.request) for e in journal)
    return characters * _BYTES_PER_CHARACTER + len(journal) * _ENTRY_OVERHEAD_BYTES


def _session_facts(session: Session) -> SessionFacts:
    return SessionFacts(
        id=session.id,
        is_initiator=session.initiator,
        peer=session.peer,
        protocol=session.protocol,
        version=session.version,
        status=session.status,
        failure=session.failure.message if session.failure else None,
    )
