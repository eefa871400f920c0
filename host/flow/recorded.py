"""Finding what is recorded of a flow: while it runs in its checkpoint, later in its history."""

from dataclasses import dataclass

from host.domain.ids import ShortHash
from host.domain.refused import shown
from host.flow.checkpoint import decode_checkpoint
from host.flow.errors import FlowHistoryUnavailableError, FlowNotFoundError
from host.flow.history import History, history_of, read_history
from host.flow.journal import Entry, decode_journal
from host.flow.messages import flow_state_key
from host.flow.statuses import StoredStatus, decode_status, status_key
from host.ports.units import FlowStore


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFlow:
    """A flow's history with its journal, which is empty if it was too large to be kept."""

    history: History
    journal: tuple[Entry, ...]


def find_recorded(store: FlowStore, short_hash: ShortHash, request_id: str) -> RecordedFlow:
    """What is recorded of a flow, running or ended.

    Args:
        store: of the flow engine.
        short_hash: of the virtual node.
        request_id: the client request id, or the session id of a responder.

    Raises:
        FlowNotFoundError: no such flow was started.
        FlowHistoryUnavailableError: it has not begun, or its history is no longer kept.
        FlowRecordDamagedError: what is stored cannot be read.
    """
    status = _status(store, short_hash, request_id)
    label = f"flow {shown(request_id)} of virtual node {short_hash}"
    if status.flow_id is None:
        raise FlowHistoryUnavailableError(f"{label} has no history: its status is {status.status}")
    history = _history(store, status)
    if history is None:
        raise FlowHistoryUnavailableError(f"the history of {label} is not kept (any more)")
    journal = decode_journal(store.journal(history.flow_id)) if history.start is not None else ()
    return RecordedFlow(history=history, journal=journal)


def _status(store: FlowStore, short_hash: ShortHash, request_id: str) -> StoredStatus:
    for is_responder in (False, True):
        record = store.get(status_key(short_hash, request_id, responder=is_responder))
        if record is not None:
            return decode_status(record)
    raise FlowNotFoundError(
        f"virtual node {short_hash} has no flow with client request id {shown(request_id)}"
    )


def _history(store: FlowStore, status: StoredStatus) -> History | None:
    if status.flow_id is not None and not status.status.is_final:
        stored = store.get(flow_state_key(status.flow_id))
        if stored is not None:
            checkpoint = decode_checkpoint(stored.value)
            return history_of(checkpoint, status, (), status.updated_at)
    record = store.get(status.history) if status.history is not None else None
    if record is None:
        return None
    history = read_history(record)
    return history if history.flow_id == status.flow_id else None  # another flow has its slot now
