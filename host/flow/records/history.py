"""Histories of ended flows: the data that is kept after the checkpoint is deleted.

A history is a state of the flow's node. When a flow ends, the oldest histories of its node are
deleted if there are too many or they are too large; other nodes' histories are not affected. The
flow's journal stays where it is.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from host.domain.accounts import Account, Charge
from host.domain.flow import FlowStatusName
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.flow.core.checkpoint import Checkpoint
from host.flow.core.errors import FlowRecordDamagedError
from host.flow.core.journal import Entry, encode_entry
from host.flow.core.message_trace import Note
from host.flow.core.messages import Party, due_place
from host.flow.core.room import NodeBalances, evicted
from host.flow.core.session import Session, SessionStatus
from host.flow.core.statuses import StoredStatus
from host.flow.core.versioned_codec import read_stored
from host.ports.accounts import Accounts
from host.ports.live import Fixed
from host.ports.state import StateRecord, StateWrite
from host.ports.units import Passed

HISTORY = "history"
"""First part of the key of a history."""

_ENTRY_OVERHEAD_BYTES = 200
_BYTES_PER_CHARACTER = 4
"""Maximum in UTF-8: the estimate of a history's size must not be too small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLimits:
    """Limits for the data of ended flows.

    Attributes:
        retention_ms: how long a history is kept; 0 keeps none, as in Corda.
        flows_max: maximum histories of one virtual node; the oldest are deleted first.
        bytes_max: maximum size of one history; a larger one is reduced to its facts.
    """

    retention_ms: int = 0
    flows_max: int = 10_000
    bytes_max: int = 1024 * 1024


NO_HISTORY = HistoryLimits()
FIXED_NO_HISTORY = Fixed(NO_HISTORY)


class SessionFacts(Struct, frozen=True, kw_only=True):
    """A history's facts about a session; the ids of both sides are derived from `id`."""

    id: str
    is_initiator: bool
    peer: Party
    protocol: str
    version: int | None
    status: SessionStatus
    failure: str | None


class History(Struct, frozen=True, kw_only=True):
    """A running or ended flow.

    `start` is the argument of the guest's `run`, None if it was too large to be kept; then the
    journal is not kept either. `notes` are those since the last journal entry. `ended_at` and other
    fields of the end are None while the flow runs. `result` is not stored here but in the status.
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
    error_code: str | None = None
    error_message: str | None = None
    trace: tuple[str, ...] = ()
    sessions: tuple[SessionFacts, ...] = ()
    notes: tuple[Note, ...] = ()
    waiting: str | None = None
    waiting_since: EpochMs | None = None
    calls: int = 0
    journal_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The history writes of a step. `key` is the key of the history, if there is one.

    `dropped` is the number of histories deleted to make room for it.
    """

    has_journal: bool
    key: str | None = None
    states: tuple[StateWrite, ...] = ()
    passed: tuple[Passed, ...] = ()
    dropped: int = 0
    forget: tuple[FlowId, ...] = ()


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(History)


def history_of(
    checkpoint: Checkpoint,
    status: StoredStatus,
    trace: tuple[str, ...],
    now: EpochMs,
    *,
    start: str | None,
) -> History:
    """The history of a flow, without its journal. `start` is the argument of the guest's `run`."""
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
        start=start,
        status=status.status,
        result=status.result,
        error_type=status.error_type,
        error_code=status.error_code,
        error_message=status.error_message,
        trace=trace,
        sessions=tuple(_session_facts(s) for s in checkpoint.sessions.values()),
        notes=checkpoint.notes,
        waiting=waiting.function if waiting else None,
        waiting_since=waiting.since if waiting else None,
        calls=checkpoint.calls,
    )


def keep(
    accounts: Accounts,
    history: History,
    journal: Sequence[Entry],
    limits: HistoryLimits,
    *,
    peer: ShortHash | None,
    balances: NodeBalances,
    bytes_max: int,
) -> Kept:
    """Store the history of a flow that ends; the node's oldest are deleted if there is no room.

    Args:
        accounts: the node's accounts.
        history: of the flow.
        journal: of the flow.
        limits: limits of histories.
        peer: the node whose flow started this one, if it is a responder.
        balances: of the node.
        bytes_max: of all histories of the node.
    """
    node, flow_id = history.holding.node(), history.flow_id
    size = _size(history, journal)
    is_whole = history.start is not None and size <= min(limits.bytes_max, bytes_max)
    if not is_whole:
        history = msgspec.structs.replace(history, start=None, notes=())
    key = f"{HISTORY}/{node}/{flow_id}"
    journal_bytes = sum(len(encode_entry(entry)) for entry in journal) if is_whole else 0
    # The result is in the flow's status, without which the history cannot be found.
    stored = msgspec.structs.replace(history, journal_bytes=journal_bytes, result=None)
    value = _encoder.encode(stored)
    charge = Charge(node=node, account=Account.HISTORY, peer=peer)
    gone = evicted(
        accounts,
        charge,
        balances=balances,
        more=len(key.encode()) + len(value) + journal_bytes,
        bytes_max=bytes_max,
        rows_max=limits.flows_max,
        size_of=_whole_size,
    )
    write = StateWrite(
        key=key,
        value=value,
        expected=0,
        due_at=EpochMs((history.ended_at or 0) + limits.retention_ms),
        place=due_place(key),
        charge=charge,
    )
    return Kept(
        has_journal=is_whole,
        key=key,
        states=(write, *(StateWrite(key=r.key, value=None, expected=None) for r in gone)),
        passed=(Passed(flow_id=flow_id, charge=charge),) if is_whole else (),
        dropped=len(gone),
        forget=(
            *(flow_id for record in gone for flow_id in forgotten(record)),
            *(() if is_whole else (flow_id,)),
        ),
    )


def _whole_size(record: StateRecord) -> int:
    size = len(record.key.encode()) + len(record.value)
    with suppress(FlowRecordDamagedError):
        size += read_history(record).journal_bytes
    return size


def forgotten(record: StateRecord) -> tuple[FlowId, ...]:
    """The flow whose journal is deleted with a history; none if the history is damaged."""
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
    characters = len(history.start or "")
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
